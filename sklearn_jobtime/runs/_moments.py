"""Moments of a run table in any form, as UTC datetimes, and errors that name their place."""

from numbers import Number

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import kind_of, plain_column
from sklearn_jobtime.exceptions import BadValueError
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["bad_value", "elapsed_seconds", "first_number", "row_label", "to_utc"]


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


NO_TIME = (
    "is not a time. Expected a datetime, an ISO 8601 string such as '2026-03-01T04:00:00Z', or "
    "seconds since 1970 (from the year 1 to 9999); convert the column with pandas.to_datetime "
    "first."
)
# The years 1 to 9999, as far as Python's own datetime goes.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_800


def row_label(index: pd.Index, row: int) -> str:
    """Label of a row for a message: ``7``, not ``np.int64(7)``."""
    label = index[row]
    if isinstance(label, tuple):
        return f"({', '.join(row_label(pd.Index([part], dtype=object), 0) for part in label)})"
    return repr(label.item() if isinstance(label, np.generic) else label)


def to_utc(column: pd.Series) -> pd.Series:
    """Turn a column of times into UTC datetimes.

    Parameters
    ----------
    column : Series
        Datetimes (aware in any zone, or naive and then read as UTC), ISO 8601 strings, or
        numbers (seconds since 1970). Missing values stay missing.

    Returns
    -------
    Series of ``datetime64[us, UTC]``

    Raises
    ------
    RunTableError
        When a value is no time; it names the column, the row and the value.

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
    return times.dt.as_unit("us")


def elapsed_seconds(runs: pd.DataFrame) -> pd.Series:
    """Seconds from the start to the end of each run, NaN where one of them is missing.

    Parameters
    ----------
    runs : DataFrame
        A table with `started_at` and `ended_at`, in any form that :func:`to_utc` reads.

    Raises
    ------
    RunTableError
        When a value is no time.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"started_at": ["2026-03-01"], "ended_at": ["2026-03-01T00:02Z"]})
    >>> elapsed_seconds(runs).tolist()
    [120.0]
    """
    return (to_utc(runs[ENDED_AT]) - to_utc(runs[STARTED_AT])).dt.total_seconds()


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


_ALL_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")


def first_number(column: pd.Series) -> int | None:
    """Place of the first number in a column of objects, which pandas would read as a year."""
    if column.dtype != object:
        return None
    if pd.api.types.infer_dtype(column, skipna=True) in ("string", "datetime", "date", "empty"):
        return None
    values = enumerate(column.tolist())
    numbers = (place for place, value in values if isinstance(value, Number) and value == value)  # noqa: PLR0124 - not NaN
    return next(numbers, None)
