"""Times in any form become UTC datetimes, and values that cannot be read become errors."""

import re
from datetime import datetime
from numbers import Number
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime._containers._columns import kind_of, plain_column
from sklearn_jobtime._typing import Mask
from sklearn_jobtime.exceptions import BadValueError

__all__ = ["bad_value", "first_number", "is_zoned", "row_label", "to_utc", "wall_moment"]


NO_TIME = (
    "is not a time. Expected a datetime, an ISO 8601 string such as '2026-03-01T04:00:00Z', or "
    "seconds since 1970 (from the year 1 to 9999); convert the column with pandas.to_datetime "
    "first."
)
# The years 1 to 9999, as far as Python's own datetime goes.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_800
_OFFSET = re.compile(r"[T ]\d{2}.*(?:Z|z|[+-]\d{2}(?::?\d{2})?)\s*$")
_ALL_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")


def to_utc(column: pd.Series) -> pd.Series:
    """Turn a column of times into UTC datetimes.

    Parameters
    ----------
    column : Series
        Datetimes (aware in any zone, or naive and then read as UTC), ISO 8601 strings, or
        numbers (seconds since 1970). Missing values and empty strings are missing.

    Returns
    -------
    Series of ``datetime64[us, UTC]``

    Raises
    ------
    RunTableError
        When a value is no time, or some have a zone and others have none; it names the column,
        the row and the value.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import to_utc
    >>> to_utc(pd.Series(["2026-03-01T04:00+01:00", None], name="started_at")).tolist()
    [Timestamp('2026-03-01 03:00:00+0000', tz='UTC'), NaT]
    """
    if column.dtype == "datetime64[us, UTC]":
        return column
    if kind_of(column) in ("m", "b", "c"):  # lengths of time, flags, complex numbers
        raise bad_value(column, int(column.notna().to_numpy().argmax()), NO_TIME)
    if (row := first_number(column)) is not None:
        if pd.api.types.infer_dtype(column, skipna=True) not in _ALL_NUMBERS:
            raise bad_value(
                column,
                row,
                "is a number among times that are none; write all of them in one form, such as "
                "2026-03-01T04:00:00Z.",
            )
        column = column.map(float, na_action="ignore").astype("float64")
    column = plain_column(column)
    if pd.api.types.is_numeric_dtype(column):
        times = _from_seconds(column)
    else:
        times = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
        if not pd.api.types.is_datetime64_any_dtype(column):
            # pandas reads these two words as the time of reading
            times = times.mask(column.isin(["now", "today"]))
    bad = times.isna() & column.notna()
    if bad.any():  # an empty string is missing, as in a CSV file
        bad[bad] = [str(value).strip() != "" for value in column[bad].tolist()]
    if bad.any():
        raise bad_value(column, int(bad.to_numpy().argmax()), NO_TIME)
    if column.dtype.kind == "O":
        _check_one_kind(column, times.notna().to_numpy())
    return times.dt.as_unit("us")


def _check_one_kind(stamps: pd.Series, is_known: Mask) -> None:
    """Raise where some texts and objects have a zone and others have none."""
    zoned = np.fromiter(map(is_zoned, stamps.tolist()), dtype=bool, count=len(stamps))
    bare = is_known & ~zoned
    if zoned.any() and bare.any():
        other = stamps.iloc[int(zoned.argmax())]
        raise bad_value(
            stamps,
            int(bare.argmax()),
            f"has no zone, but {str(other)!r} in the same column has one, so that nothing says "
            "which moment it is; write all of them in one form, such as 2026-03-01T04:00:00Z.",
        )


def is_zoned(stamp: Any) -> bool:
    """Tell whether a text or datetime says in which zone it is.

    Examples
    --------
    >>> is_zoned("2026-03-01T04:00Z"), is_zoned("2026-03-01 04:00"), is_zoned("2026-03-01")
    (True, False, False)
    """
    if isinstance(stamp, str):
        return _OFFSET.search(stamp) is not None
    return isinstance(stamp, datetime) and stamp.tzinfo is not None


def _from_seconds(column: pd.Series) -> pd.Series:
    """Moments of seconds since 1970; pandas knows none with a fraction after the year 2262."""
    seconds = column.to_numpy(dtype="float64", na_value=np.nan)
    with np.errstate(invalid="ignore"):
        in_range = (seconds >= _FIRST_SECOND) & (seconds < _LAST_SECOND)
    whole = np.floor(np.where(in_range, seconds, 0.0))
    micros = np.rint((np.where(in_range, seconds, 0.0) - whole) * 1e6)
    moments = (whole.astype("int64") * 10**6 + micros.astype("int64")).astype("datetime64[us]")
    moments[~in_range] = np.datetime64("NaT")
    return pd.Series(moments, index=column.index, name=column.name).dt.tz_localize("UTC")


def first_number(column: pd.Series) -> int | None:
    """Place of the first number in a column of objects, which pandas would read as a year."""
    if column.dtype != object:
        return None
    if pd.api.types.infer_dtype(column, skipna=True) in ("string", "datetime", "date", "empty"):
        return None
    values = enumerate(column.tolist())
    numbers = (place for place, value in values if isinstance(value, Number) and value == value)  # noqa: PLR0124 - not NaN
    return next(numbers, None)


def bad_value(column: pd.Series, row: int, said: str) -> BadValueError:
    """Make the error of a value that cannot be read.

    Parameters
    ----------
    column : Series
        The column.
    row : int
        The place of the value in it, from 0.
    said : str
        What is wrong and what to do; it follows the value.
    """
    value = column.iloc[row]
    value = value.item() if isinstance(value, np.generic) else value
    shown = repr(value) if isinstance(value, str) else str(value)
    said = f"{shown if len(shown) <= 80 else shown[:77] + '...'} {said}"
    label = row_label(column.index, row)
    return BadValueError(
        f"column {column.name!r}, row {label}: {said}", row=row, column=column.name, said=said
    )


def row_label(index: pd.Index, row: int) -> str:
    """Label of a row for a message: ``7``, not ``np.int64(7)``."""
    label = index[row]
    if isinstance(label, tuple):
        return f"({', '.join(row_label(pd.Index([part], dtype=object), 0) for part in label)})"
    return repr(label.item() if isinstance(label, np.generic) else label)


def wall_moment(text: str, zone: ZoneInfo) -> pd.Timestamp:
    """Read one moment in UTC; one without an offset is a wall-clock time of the zone.

    Raises
    ------
    ValueError, TypeError
        When it is none, also of no text at all, or a time that is skipped or comes twice.

    Examples
    --------
    >>> wall_moment("2026-03-01T02:00", ZoneInfo("Europe/Berlin")).isoformat()
    '2026-03-01T01:00:00+00:00'
    """
    moment = pd.Timestamp(text)
    if moment is pd.NaT:
        raise ValueError(text)
    return (moment.tz_localize(zone) if moment.tz is None else moment).tz_convert("UTC")
