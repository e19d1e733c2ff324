"""Times in any form become epoch seconds, and epoch seconds become times again."""

from datetime import date
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite

from sklearn_jobtime._containers import is_zoned, row_label, to_utc
from sklearn_jobtime.exceptions import RunTableError

__all__ = ["dtype_back", "from_epoch", "to_seconds"]


# Python's calendar, and so every time zone, ends at the years 1 and 9999; a day less for offsets.
FIRST, LAST = -62135596800.0 + 86400, 253402300800.0 - 86400


def to_seconds(column: pd.Series) -> np.ndarray:
    """Seconds since 1970-01-01 UTC of a column of times in any form, float64, NaN = missing."""
    if pd.api.types.is_numeric_dtype(column):
        seconds = column.to_numpy(np.float64, na_value=np.nan)
    else:
        if not _is_datetime(column.dtype):
            column = column.astype(object)
            stamps = _is_stamp(column)
            if not stamps.any():  # numbers, or nothing at all
                column = column.mask(_is_blank(column), np.nan)
                return to_seconds(column.astype(np.float64))
            column = column.where(stamps, None)
        micros = to_utc(column).dt.tz_localize(None).to_numpy("datetime64[us]")
        seconds = np.where(np.isnat(micros), np.nan, micros.astype(np.int64) * 1.0) / 1e6
    assert_all_finite(seconds, allow_nan=True, input_name=f"column {column.name!r} of X")
    beyond = (seconds < FIRST) | (seconds > LAST)
    if beyond.any():
        row = int(beyond.argmax())
        raise RunTableError(
            f"column {column.name!r}, row {row_label(column.index, row)}: {seconds[row]:.15g} "
            "seconds since "
            "1970 lie outside the years 1 to 9999; expected seconds - divide milliseconds by 1e3, "
            "nanoseconds by 1e9."
        )
    return seconds


def _is_datetime(dtype: Any) -> bool:
    # Other classes of datetimes, such as Arrow's, are read value by value.
    return isinstance(dtype, pd.DatetimeTZDtype) or (
        isinstance(dtype, np.dtype) and dtype.kind == "M"
    )


def _is_blank(column: pd.Series) -> np.ndarray:
    blank = [isinstance(value, str) and not value.strip() for value in column]
    return column.isna().to_numpy() | np.array(blank, dtype=bool)


def _is_stamp(column: pd.Series) -> np.ndarray:
    """Mask of the datetimes and strings; an error where they do not go with the other values."""
    values = column.to_numpy()
    stamps = np.zeros(len(values), dtype=bool)
    first_of: dict[str, int] = {}
    for row in map(int, np.flatnonzero(~_is_blank(column))):
        form = _form(values[row])
        if form is None:
            raise TypeError(
                f"column {column.name!r}, row {row_label(column.index, row)}: argument must be a "
                "string, "
                f"a datetime or a number, got {type(values[row]).__name__}."
            )
        stamps[row] = form != "a number"
        first_of.setdefault(form, int(row))
    if len(first_of) > 1:
        (one, i), (other, j) = list(first_of.items())[:2]
        raise RunTableError(
            f"column {column.name!r} mixes forms: row {column.index[i]!r} holds {one} "
            f"({values[i]!r}), row {column.index[j]!r} {other} ({values[j]!r}). Give all rows "
            "one form, such as pandas.to_datetime(column, utc=True) if the bare ones are UTC."
        )
    return stamps


def _form(value: Any) -> str | None:
    if isinstance(value, Real):
        return "a number"
    if isinstance(value, str | date | np.datetime64):
        return "a time with its zone" if is_zoned(value) else "a time without a zone"
    return None


def from_epoch(seconds: np.ndarray, dtype: Any) -> pd.DatetimeIndex:
    """Datetimes of epoch seconds, exact to the microsecond, in `dtype`; NaN becomes NaT."""
    there = np.isfinite(seconds)
    # Whole seconds apart: seconds * 1e6 alone would round to the wrong microsecond after 2106.
    whole = np.floor(seconds[there])
    fraction = np.rint((seconds[there] - whole) * 1e6)
    micros = np.full(len(seconds), "NaT", dtype="datetime64[us]")
    micros[there] = (whole.astype(np.int64) * 1_000_000 + fraction.astype(np.int64)).view("M8[us]")
    times = pd.DatetimeIndex(micros)
    aware = isinstance(dtype, pd.DatetimeTZDtype)
    return times.tz_localize("UTC").astype(dtype) if aware else times.astype(dtype)


def dtype_back(column: pd.Series) -> Any:
    """Type in which a time column comes back; None for numbers, which stay as they are."""
    if _is_datetime(column.dtype):
        return column.dtype
    if pd.api.types.is_numeric_dtype(column):
        return None
    values = column.astype(object)
    values = values[_is_stamp(values)]
    if values.empty:
        return None
    return pd.DatetimeTZDtype("us", "UTC") if is_zoned(values.iloc[0]) else np.dtype("M8[us]")
