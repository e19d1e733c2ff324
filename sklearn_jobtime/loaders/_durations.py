"""One parser of durations for every reader: numbers with a unit, clocks, words, ISO 8601.

What is ambiguous, negative or no duration at all is an error that names the value and its row;
it never becomes another number.
"""

import datetime
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import bad_value
from sklearn_jobtime.loaders._text import inferred

__all__ = ["has_short_clock", "parse_duration", "to_seconds"]


MISSING = frozenset(
    ("", "-", "--", "na", "n/a", "nan", "nat", "none", "null", "unknown", "invalid", "unlimited")
)
FORMS = (
    "expected seconds (or another unit that the name of the column tells, as in elapsed_ms), "
    "or a text such as 1-02:03:04, 01:02:03, '1 day, 2:03:04', '4h 41m 19s' or PT1H3M"
)
_SECONDS = {
    **dict.fromkeys(("w", "week", "weeks"), Decimal(604800)),
    **dict.fromkeys(("d", "day", "days"), Decimal(86400)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), Decimal(3600)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), Decimal(60)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), Decimal(1)),
    **dict.fromkeys(("ms", "msec", "msecs", "milli", "millis"), Decimal("1e-3")),
    **dict.fromkeys(("millisecond", "milliseconds"), Decimal("1e-3")),
    **dict.fromkeys(("us", "µs", "μs", "usec", "usecs", "micro", "micros"), Decimal("1e-6")),
    **dict.fromkeys(("microsecond", "microseconds"), Decimal("1e-6")),
    **dict.fromkeys(("ns", "nsec", "nsecs", "nano", "nanos"), Decimal("1e-9")),
    **dict.fromkeys(("nanosecond", "nanoseconds"), Decimal("1e-9")),
}
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+", re.ASCII)
# Slurm writes 1-02:03:04, HTCondor 1+02:03:04, .NET 1.02:03:04, Python "1 day, 2:03:04", pandas
# "1 days 02:03:04".
_CLOCK = re.compile(
    r"(?:(?P<days>[0-9]+)(?:[-+.]| +days?,? +| *d[, ]+))?"
    r"(?:(?P<hours>[0-9]+):)?(?P<minutes>[0-9]+):(?P<seconds>[0-9]{1,2})(?:[.,](?P<fraction>[0-9]+))?",
    re.ASCII,
)
_SHORT_CLOCK = r"[0-9]+:[0-9]{1,2}"
_PART = r"([0-9]+(?:[.,][0-9]{1,2}|\.[0-9]+)?|\.[0-9]+) *([a-zµμ]+)\.?"
_PARTS = re.compile(rf"{_PART}(?:(?: *,? *| +and +){_PART})*", re.IGNORECASE)
_ONE_PART = re.compile(_PART, re.IGNORECASE)
_ISO = re.compile(
    r"P(?:(?P<w>[0-9]+(?:[.,][0-9]+)?)W)?(?:(?P<d>[0-9]+(?:[.,][0-9]+)?)D)?"
    r"(?:T(?:(?P<h>[0-9]+(?:[.,][0-9]+)?)H)?(?:(?P<m>[0-9]+(?:[.,][0-9]+)?)M)?(?:(?P<s>[0-9]+(?:[.,][0-9]+)?)S)?)?",
    re.ASCII,
)


def parse_duration(text: str, *, unit: Decimal = Decimal(1), short_clock: str = "ask") -> float:
    """Seconds that a text says.

    Parameters
    ----------
    text : str
        Such as ``1-02:03:04``, ``1 day, 2:03:04``, ``01:02:03,250``, ``4h 41m 19s``, ``250ms``,
        ``PT1H3M`` or ``90.5``.
    unit : Decimal, default=1
        Seconds in one unit of a text that is a number alone.
    short_clock : {"ask", "minutes", "hours"}, default="ask"
        What ``02:03`` is: minutes and seconds, hours and minutes, or an error.

    Returns
    -------
    float
        NaN for a text that stands for "not known", such as an empty one or ``n/a``.

    Raises
    ------
    ValueError
        When the text is no duration, a negative or an ambiguous one; it says which.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._durations import parse_duration
    >>> [parse_duration(text) for text in ("1-02:03:04", "4h 41m 19s", "PT1H3M", "250ms")]
    [93784.0, 16879.0, 3780.0, 0.25]
    >>> parse_duration("1,234")
    Traceback (most recent call last):
    ...
    ValueError: is ambiguous: the comma may stand before decimals or between thousands; ...
    """
    text = text.strip().replace("\u00a0", " ").replace("\u202f", " ")
    if text.lower() in MISSING:
        return float("nan")
    if _NUMBER.fullmatch(text):
        return float(Decimal(text) * unit)
    if re.fullmatch(r"[0-9]+,[0-9]{1,2}|[0-9]+,[0-9]{4,}", text, re.ASCII):  # no group of thousands
        return float(Decimal(text.replace(",", ".")) * unit)
    if re.fullmatch(r"[0-9.,' ]*[0-9][0-9.,' ]*", text, re.ASCII):
        raise ValueError(
            "is ambiguous: the comma may stand before decimals or between thousands; write it "
            "with a point before the decimals and nothing between the thousands"
        )
    if text.startswith(("-", "\u2212", "P-", "PT-")):
        raise ValueError(
            "is negative, or not a duration; correct it, or leave it empty if not known"
        )
    if match := _CLOCK.fullmatch(text):
        return _clock_seconds(match, short_clock)
    if match := _ISO.fullmatch(text.upper() if text[0] in "Pp" else ""):
        if any(match.groups()) and not text.upper().endswith("T"):
            parts = {name: value for name, value in match.groupdict().items() if value}
            return _total((value.replace(",", "."), name) for name, value in parts.items())
    elif re.fullmatch(r"P[0-9YMWDTHS.,]+", text.upper()):
        raise ValueError("is not a duration of known length: years and months differ")
    if _PARTS.fullmatch(text):
        return _worded_seconds(text)
    raise ValueError(f"is not a duration; {FORMS}")


def _total(parts: Any) -> float:
    return float(sum(Decimal(value) * _SECONDS[unit] for value, unit in parts))


def _clock_seconds(match: re.Match[str], short_clock: str) -> float:
    days, hours, minutes, seconds, fraction = match.groups()
    if hours is None and days is None and fraction is None:
        if short_clock == "ask":
            raise ValueError(
                "is ambiguous: minutes and seconds, or hours and minutes; write it as 00:02:03 or "
                "02:03:00, or say which it is in the column's name: elapsed_mmss or elapsed_hhmm"
            )
        if short_clock == "hours":
            hours, minutes, seconds = minutes, seconds, "0"
    if hours is None and days is not None:  # 1-02:03 is days, hours and minutes in Slurm's limits
        raise ValueError(
            "is ambiguous: days with hours and minutes, or with minutes and seconds; write it as "
            "1-02:03:00"
        )
    if int(seconds) > 59 or (hours is not None and int(minutes) > 59):
        raise ValueError("is not a duration: more than 59 minutes or seconds behind a colon")
    if days is not None and int(hours) > 23:
        raise ValueError("is not a duration: more than 23 hours behind the days")
    whole = int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return float(Decimal(f"{whole}.{fraction or 0}"))


def _worded_seconds(text: str) -> float:
    parts = _ONE_PART.findall(text)
    if len(parts) == 1 and parts[0][1] == "M":
        raise ValueError("is ambiguous: M may be minutes, months or millions; write min")
    named = [(value.replace(",", "."), unit.lower()) for value, unit in parts]
    if unknown := [unit for _, unit in named if unit not in _SECONDS]:
        raise ValueError(f"is not a duration: {unknown[0]!r} is no unit of time; {FORMS}")
    sizes = [_SECONDS[unit] for _, unit in named]
    if sizes != sorted(set(sizes), reverse=True):
        raise ValueError("is not a duration: its units do not go from the largest to the smallest")
    return _total(named)


def has_short_clock(values: pd.Series) -> tuple[int | None, bool]:
    """Tell whether a column holds texts such as ``02:03``, and others that say what they are.

    Returns
    -------
    first : int or None
        The place of the first text of two numbers, which may be minutes and seconds or hours and
        minutes.
    settled : bool
        Whether another text of the column, such as ``01:02:03`` or ``02:03.5``, shows that two
        numbers are minutes and seconds.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._durations import has_short_clock
    >>> has_short_clock(pd.Series(["90", "02:03"]))
    (1, False)
    >>> has_short_clock(pd.Series(["1:02:03", "02:03"]))
    (1, True)
    """
    if not (_is_text(values) or pd.api.types.infer_dtype(values, skipna=True) == "string"):
        return None, False
    text = inferred(values).astype("str").str.strip()
    short = text.str.fullmatch(_SHORT_CLOCK).fillna(False).to_numpy(dtype=bool)
    longer = text.str.contains(r":[0-9]+[:.,][0-9]", regex=True).fillna(False)
    return (int(short.argmax()) if short.any() else None), bool(longer.any())


def _is_text(values: pd.Series) -> bool:
    return pd.api.types.is_string_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype)


def to_seconds(values: pd.Series, *, unit: float = 1.0, short_clock: str = "ask") -> pd.Series:
    """Turn a column of durations into seconds.

    Parameters
    ----------
    values : Series
        Numbers, texts, timedeltas, intervals of a database, times of day (``datetime.time``), or
        a mixture of them. -1 and nothing at all mean that the duration is not known.
    unit : float, default=1.0
        Seconds in one unit of what is a number alone.
    short_clock : {"ask", "minutes", "hours"}, default="ask"
        As in :func:`parse_duration`.

    Returns
    -------
    Series of float64
        NaN where not known.

    Raises
    ------
    BadValueError
        At the first value that is no duration, negative or ambiguous.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._durations import to_seconds
    >>> to_seconds(pd.Series([1500, -1]), unit=0.001).tolist()
    [1.5, nan]
    >>> to_seconds(pd.Series(["1 day, 2:03:04", "1.5 min", None])).tolist()
    [93784.0, 90.0, nan]
    """
    if pd.api.types.is_timedelta64_dtype(values):
        return _not_negative(values.dt.total_seconds(), values)
    if pd.api.types.is_bool_dtype(values) and not values.isna().all():
        raise bad_value(values, int(values.notna().to_numpy().argmax()), "is not a duration")
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.astype("float64")
        return _not_negative(_in_seconds(numbers, unit), values, is_number=True)
    if _is_text(values):
        return _from_text(values, unit, short_clock)
    return _from_objects(values, unit, short_clock)


def _in_seconds(numbers: pd.Series, unit: float) -> pd.Series:
    """Seconds of numbers; a division where that is exact and a product is not (1001 ms)."""
    if unit == 1:
        return numbers
    return numbers / round(1 / unit) if unit < 1 else numbers * unit


def _not_negative(seconds: pd.Series, values: pd.Series, *, is_number: bool = False) -> pd.Series:
    wrong = seconds.to_numpy() < 0
    if not wrong.any():
        return seconds
    if is_number:
        wrong &= (values.astype("float64") != -1).to_numpy()
    if wrong.any():
        raise bad_value(
            values,
            int(wrong.argmax()),
            "is negative, so it is no duration; correct it, or leave it empty if not known.",
        )
    return seconds.where(seconds >= 0)


def _from_text(values: pd.Series, unit: float, short_clock: str) -> pd.Series:
    text = values.astype("str").str.strip()
    codes, uniques = pd.factorize(text.where(values.notna()))
    distinct = pd.Series(uniques, dtype="str")
    seconds = np.full(len(distinct) + 1, np.nan)  # the last is that of code -1, missing
    plain = distinct.str.fullmatch(_NUMBER.pattern).fillna(False).to_numpy(dtype=bool)
    numbers = pd.to_numeric(distinct[plain]).astype("float64")
    seconds[:-1][plain] = _in_seconds(numbers, unit)
    exact_unit = Decimal(repr(unit))
    for place in np.flatnonzero(~plain):
        word = distinct.iloc[place]
        if word == "-1":
            continue
        try:
            seconds[place] = parse_duration(word, unit=exact_unit, short_clock=short_clock)
        except ValueError as error:
            raise bad_value(values, int((codes == place).argmax()), f"{error}.") from None
    return pd.Series(seconds[codes], index=values.index, name=values.name)


def _from_objects(values: pd.Series, unit: float, short_clock: str) -> pd.Series:
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in ("string", "empty"):
        return _from_text(values, unit, short_clock)
    if kind in ("decimal", "integer", "floating", "mixed-integer-float"):
        return to_seconds(values.astype("float64").rename(values.name), unit=unit)
    if kind in ("timedelta", "timedelta64"):
        return to_seconds(pd.Series(pd.to_timedelta(values), name=values.name))
    seconds = np.full(len(values), np.nan)
    exact_unit = Decimal(repr(unit))
    for place, value in enumerate(values.tolist()):
        try:
            seconds[place] = _object_seconds(value, exact_unit, short_clock)
        except ValueError as error:
            raise bad_value(values, place, f"{error}.") from None
    return pd.Series(seconds, index=values.index, name=values.name)


def _object_seconds(value: Any, unit: Decimal, short_clock: str) -> float:
    if value is None or value is pd.NaT or value is pd.NA:
        return float("nan")
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, datetime.time):
        value = value.replace(tzinfo=None).isoformat()
    if isinstance(value, str):
        if value.strip() == "-1":
            return float("nan")
        return parse_duration(value, unit=unit, short_clock=short_clock)
    if isinstance(value, bool | np.bool_):
        raise ValueError("is not a duration")
    if isinstance(value, np.timedelta64):
        value = pd.Timedelta(value)
    if isinstance(value, datetime.timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float | Decimal | np.number):
        if value == -1 or pd.isna(value):
            return float("nan")
        seconds = float(Decimal(str(value)) * unit)
    else:
        seconds = _interval_seconds(value)
    if seconds < 0:
        raise ValueError("is negative, so it is no duration; correct it, or leave it empty")
    return seconds


def _interval_seconds(value: Any) -> float:
    """Seconds of an interval as BigQuery's (relativedelta) and Arrow's (MonthDayNano) drivers."""
    if getattr(value, "years", 0) or getattr(value, "months", 0):
        raise ValueError("is not a duration of known length: years and months differ")
    units = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
    if not hasattr(value, "days"):
        raise ValueError(f"is not a duration but {type(value).__name__}; {FORMS}")
    total = Decimal(0)
    for name, size in units.items():
        total += Decimal(str(getattr(value, name, 0))) * size
    micro, nano = (getattr(value, name, 0) for name in ("microseconds", "nanoseconds"))
    return float(total + Decimal(micro) / 10**6 + Decimal(nano) / 10**9)
