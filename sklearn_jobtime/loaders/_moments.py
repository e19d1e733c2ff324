"""The moments of a table in UTC: texts, datetimes, and epochs whose unit their digits tell."""

import datetime
import re

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import bad_value, first_number, to_utc
from sklearn_jobtime.exceptions import BadValueError

__all__ = ["UNIT_NAMES", "epoch_unit", "moment_kind", "since_utc", "to_moments", "unknown_moments"]


# Seconds since 1970 have at most 11 digits until the year 5138, milliseconds 12 to 14, and so on.
_LARGEST = {1.0: 1e11, 1e-3: 1e14, 1e-6: 1e17, 1e-9: 1e20}
_ZONE = {"with": "moments with a zone", "without": "moments without a zone"}
UNIT_NAMES = {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds"}
_PANDAS_UNITS = {1.0: "s", 1e-3: "ms", 1e-6: "us", 1e-9: "ns"}
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_800  # the years 1 to 9999
_NOT_SET = (0, -1)  # of an epoch, as "not yet" or "not known"
_ZONED = r"(?i)(?:z|utc|gmt|[+-]\d\d:?(?:\d\d)?)$"
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_AFTER_ZERO = pd.Timestamp("1970-01-03", tz="UTC")


def epoch_unit(column: pd.Series) -> float | None:
    """Tell the unit in seconds of a column of epochs from their digits; None if it holds none.

    Numbers that are written dates, such as 20260301, are no epochs.

    Raises
    ------
    BadValueError
        When some values are of another unit than the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._moments import epoch_unit
    >>> epoch_unit(pd.Series([1_772_337_600_000, 0])), epoch_unit(pd.Series([1_772_337_600.5]))
    (0.001, 1.0)
    """
    if _written_dates(column) is not None:
        return None
    size = np.abs(column.to_numpy(dtype="float64", na_value=np.nan))
    known = ~np.isnan(size) & ~np.isin(size, (0, 1))
    if not known.any():
        return None
    units = list(_LARGEST)
    largest, smallest = np.max(size[known]), np.min(size[known])
    at = int(np.searchsorted(list(_LARGEST.values()), largest, side="right"))
    if at == len(units):
        raise bad_value(
            column,
            int(np.where(known, size, -1).argmax()),
            "is no moment: it has more digits than nanoseconds since 1970; correct it, or leave "
            "it empty if not known.",
        )
    if at and smallest < _LARGEST[units[at - 1]]:
        row = int(np.where(known, size, np.inf).argmin())
        raise bad_value(
            column,
            row,
            f"and {column.iloc[int(np.where(known, size, -1).argmax())]} cannot be of one unit: "
            f"the larger is of {UNIT_NAMES[units[at]]} since 1970; write all of them in one.",
        )
    return units[at]


def to_moments(column: pd.Series, *, unit: float | None = None) -> pd.Series:
    """Turn a column of moments into UTC.

    Parameters
    ----------
    column : Series
        Datetimes, ISO 8601 texts, or numbers since 1970 (texts of ten digits or more too); without
        a zone they are UTC. Whole numbers such as 20260301 and 20260301040000 are a date.
    unit : float, default=None
        Seconds in one unit of the numbers. None tells it from their digits: 10 are seconds, 13
        milliseconds, 16 microseconds, 19 nanoseconds.

    Returns
    -------
    Series of ``datetime64[us, UTC]``
        A time that stands for "not known" (0 or -1 in a column of milliseconds, say, or the year
        9999) is still in it, so that :func:`unknown_moments` can count it.

    Raises
    ------
    BadValueError
        At the first value that is no moment, or of another kind than the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._moments import to_moments
    >>> to_moments(pd.Series([1772337600000])).iloc[0]
    Timestamp('2026-03-01 04:00:00+0000', tz='UTC')
    """
    if column.dtype == "datetime64[us, UTC]":
        return column
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return _from_numbers(column, unit)
    if pd.api.types.is_datetime64_any_dtype(column):
        return to_utc(column)
    if (digits := _as_numbers(column)) is not None:
        return _from_numbers(digits, unit)
    try:
        one_form = first_number(column) is None and not _says_now(column)
        with_zone = pd.to_datetime(column, format="ISO8601") if one_form else column
        if pd.api.types.is_datetime64_any_dtype(with_zone):
            return to_utc(with_zone)
    except (ValueError, TypeError, OverflowError):
        pass  # a value is no time, or of another zone than the others
    _check_one_kind(column)
    try:
        return to_utc(column)
    except BadValueError as error:
        raise bad_value(
            column,
            error.row,
            "is not a time; write it as 2026-03-01T04:00:00Z, or as a number of seconds or "
            "milliseconds since 1970.",
        ) from None


def _says_now(column: pd.Series) -> bool:
    return bool(column.isin(["now", "today"]).any())


def _as_numbers(column: pd.Series) -> pd.Series | None:
    """Give a column of texts that are all epochs as numbers."""
    first = column.dropna()
    if first.empty or not str(first.iloc[0]).strip().replace(".", "", 1).isdigit():
        return None
    text = column.astype("str").str.strip()
    there = column.notna() & (text != "")
    epochs = text.str.fullmatch(r"-1|0|\d{9,20}(?:\.\d*)?")
    if not epochs[there].all() or not text[there].str.len().ge(9).any():
        return None
    if text[there].str.contains(".", regex=False).any():
        return pd.to_numeric(text.where(there)).rename(column.name)
    whole = text.where(there, None).astype(object)
    return pd.Series(
        [int(value) if isinstance(value, str) else None for value in whole],
        index=column.index,
        name=column.name,
        dtype="Int64",
    )


def _from_numbers(column: pd.Series, unit: float | None) -> pd.Series:
    told = unit
    if unit is None:
        if (dates := _written_dates(column)) is not None:
            return dates
        unit = epoch_unit(column) or 1.0
    numbers = column.to_numpy(dtype="float64", na_value=np.nan)
    _check_plausible(column, numbers, unit, told)
    with np.errstate(invalid="ignore"):
        outside = ~((numbers * unit >= _FIRST_SECOND) & (numbers * unit < _LAST_SECOND))
    outside &= ~np.isnan(numbers)
    if outside.any():
        raise bad_value(
            column,
            int(outside.argmax()),
            f"is no moment in {UNIT_NAMES[unit]} since 1970; correct it, or the name of the "
            "column if it tells another unit.",
        )
    if pd.api.types.is_integer_dtype(column):  # a float would lack digits
        return to_utc(pd.to_datetime(column, unit=_PANDAS_UNITS[unit], utc=True))
    seconds = pd.Series(numbers / round(1 / unit), index=column.index, name=column.name)
    return to_utc(seconds)


def _check_plausible(
    column: pd.Series, numbers: np.ndarray, unit: float, told: float | None
) -> None:
    """Refuse numbers that would silently become a day of January 1970."""
    known = numbers[~np.isnan(numbers) & ~np.isin(numbers, _NOT_SET)]
    if not known.size:
        return
    least, most = known.min(), known.max()
    if told not in (None, 1.0) and least >= 946_684_800 and most <= 4_102_444_800:
        raise bad_value(
            column,
            int((numbers == least).argmax()),
            f"is a moment after the year 2000 in seconds since 1970, but the column's name tells "
            f"{UNIT_NAMES[unit]}; rename the column.",
        )
    if told is None and least >= 36_526 and most <= 55_153 and (known % 1 != 0).any():
        raise bad_value(
            column,
            int((numbers == least).argmax()),
            "may be a date as spreadsheets count them or seconds since 1970; write moments as "
            "2026-03-01T04:00:00Z.",
        )


def _written_dates(column: pd.Series) -> pd.Series | None:
    """Read whole numbers that are all written dates: 20260301, 202603010400, 20260301040000."""
    known = column.dropna()
    if known.empty or not 19_700_101 <= known.iloc[0] < 21_000_000_000_000:
        return None
    width = len(str(int(known.iloc[0])))
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(width)
    if form is None or (known % 1 != 0).any():
        return None
    year = known // 10 ** (width - 4)
    if not year.between(1970, 2100).all():
        return None
    text = known.astype("int64").astype("str")
    dates = pd.to_datetime(text, format=form, errors="coerce", utc=True)
    if dates.isna().any():
        return None
    return to_utc(dates.reindex(column.index).rename(column.name))


def _check_one_kind(column: pd.Series) -> None:
    """Refuse a column in which some moments have a zone and others do not, or are numbers."""
    kinds: dict[str, int] = {}
    for place, value in enumerate(column.tolist()):
        kind = _kind(value)
        if kind:
            kinds.setdefault(kind, place)
    if len(kinds) > 1:
        (one, _), (other, place) = list(kinds.items())[:2]
        raise bad_value(
            column,
            place,
            f"stands in a column that holds {one} and {other}; write all of them in one form, "
            "such as 2026-03-01T04:00:00Z.",
        )


def moment_kind(column: pd.Series) -> str:
    """Tell how a column writes its moments, from the first that tells; empty if none does.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._moments import moment_kind
    >>> moment_kind(pd.Series([None, "2026-03-01", "2026-03-01T04:00Z"]))
    'moments with a zone'
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return _ZONE["with"]
    return next(filter(None, map(_kind, column)), "")


def _kind(value: object) -> str:
    """How one value is written; a date alone goes with all the others."""
    if isinstance(value, str):
        text = value.strip()
        if text.replace(".", "", 1).isdigit() and len(text) >= 9:
            return "numbers"
        if len(text) <= 10:
            return ""
        return _ZONE["with" if re.search(_ZONED, text) else "without"]
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return ""
    if isinstance(value, datetime.datetime):
        return _ZONE["with" if value.tzinfo else "without"]
    return "" if isinstance(value, datetime.date) else "numbers"


def unknown_moments(moments: pd.Series, others: pd.Series | None = None) -> np.ndarray:
    """Find moments that stand for "not known": the years 1, 1900, 9999, or the start of 1970.

    Parameters
    ----------
    moments : Series of ``datetime64[us, UTC]``
        The moments.
    others : Series, default=None
        Further moments of the same table. The start of 1970 counts as not known only where the
        table's other moments are later, since a simulated clock may begin there.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._moments import unknown_moments
    >>> times = ["2026-03-01", "9999-12-31", "1970-01-01"]
    >>> unknown_moments(pd.to_datetime(pd.Series(times), utc=True)).tolist()
    [False, True, True]
    """
    first, last = moments.min(), moments.max()
    if first is pd.NaT or (first > _AFTER_ZERO and last.year < _LAST_YEAR):
        return np.zeros(len(moments), dtype=bool)
    days = [_micros(part) / 86_400e6 for part in (moments, others) if part is not None]
    mine = days[0]
    first, last = ((year - 1970) * 365.2425 + 1 for year in (_FIRST_YEAR, _LAST_YEAR))
    with np.errstate(invalid="ignore"):
        unknown = (mine < first) | (mine > last)
        at_zero = np.abs(mine) <= 1.0
        if at_zero.any():
            rest = np.concatenate(days)
            rest = rest[(np.abs(rest) > 1.0) & (rest > first) & (rest < last)]
            if rest.size and rest.min() > 366.0:
                unknown |= at_zero
    return unknown


def since_utc(since: str | datetime.datetime) -> pd.Timestamp:
    """Time of a filter in UTC; without a zone it is read as UTC.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._moments import since_utc
    >>> since_utc("2026-03-01")
    Timestamp('2026-03-01 00:00:00+0000', tz='UTC')
    """
    try:
        time = pd.Timestamp(since).as_unit("us")
    except (ValueError, TypeError):
        time = pd.NaT
    if time is pd.NaT:
        raise ValueError(f"since={since!r} is not a time; expected one such as '2026-03-01'.")
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")


def _micros(moments: pd.Series) -> np.ndarray:
    values = moments.dt.tz_localize(None).to_numpy("datetime64[us]")
    return np.where(np.isnat(values), np.nan, values.astype("int64").astype("float64"))
