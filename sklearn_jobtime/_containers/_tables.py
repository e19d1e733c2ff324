"""The door for tables and numbers: any container becomes pandas with NumPy's own types."""

from collections.abc import Hashable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime._containers._columns import (
    SECOND,
    is_plain_dtype,
    kind_of,
    plain_column,
    plain_index,
    refuse_lookalikes,
)
from sklearn_jobtime._containers._moments import to_utc
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import RunTableError

__all__ = ["numeric_rows", "plain_numbers", "plain_table", "seconds_of"]


CLOCKS = ("started_at", "ended_at")
CLOCKS_OF_JOBS = ("__started_at", "__ended_at")
INDEX_LEVELS = ("series", "run")  # of a run table, where a container has no index


def plain_table(X: Any, *, is_long: bool = False, read_times: bool = True) -> Any:
    """Give a table as a pandas DataFrame of NumPy's types, and anything else as it is.

    Lengths of time become float seconds. What is missing is NaN, NaT or None, as in NumPy. The
    index and the names of columns get NumPy's types too. In `started_at`, `ended_at` and the
    clocks of jobs, text, objects and datetimes without a zone become UTC datetimes
    (:func:`to_utc`); numbers and datetimes with a zone say which moments they are, and stay.

    Parameters
    ----------
    X : DataFrame of pandas, polars or pyarrow, an array, or anything else
        It is not changed. Containers other than pandas have no index: their columns `series` and
        `run`, where they have them, become it.
    is_long : bool, default=False
        A long table keeps these as columns.
    read_times : bool, default=True
        Off, times stay as they came, for a step that reads them itself.

    Returns
    -------
    DataFrame, an array of seconds for one of lengths of time, or `X` itself where it is no table
    or has nothing to convert

    Raises
    ------
    TypeError
        For a lazy frame, which holds no rows yet.
    RunTableError
        When a column of moments (``started_at``, ``ended_at``) holds lengths of time, or a text
        that is no time.

    Examples
    --------
    >>> import pyarrow as pa
    >>> plain_table(pa.table({"run": ["a", "b"], "build": pa.array([40, 75], pa.duration("s"))}))
         build
    run
    a     40.0
    b     75.0
    """
    if isinstance(X, pd.DataFrame):
        return _plain_frame(X, read_times)
    if isinstance(X, np.ndarray | list | tuple):
        return _plain_array(X)
    if hasattr(X, "collect_schema") and hasattr(X, "collect") and not hasattr(X, "to_pandas"):
        raise TypeError(
            f"got a {type(X).__name__}, which holds no rows yet; call its collect() first."
        )
    if not (hasattr(X, "to_pandas") and hasattr(X, "columns")):
        return X
    frame = _plain_frame(X.to_pandas(), read_times)
    if is_long or "run" not in frame.columns or not isinstance(frame.index, pd.RangeIndex):
        return frame
    return frame.set_index([name for name in INDEX_LEVELS if name in frame.columns])


def _plain_array(X: Any) -> Any:
    """Give lengths of time as seconds, and any other array or list as it is."""
    if isinstance(X, np.ndarray) and X.dtype.kind == "m":
        return X / SECOND.to_timedelta64()
    first = X
    while isinstance(first, list | tuple) and len(first):
        first = first[0]
    if isinstance(first, timedelta | np.timedelta64):
        X = np.array(X, dtype=object)
    if not isinstance(X, np.ndarray) or X.dtype.kind != "O":
        return X
    flat = pd.Series(X.ravel(), dtype=object)
    return plain_column(flat).to_numpy().reshape(X.shape) if kind_of(flat) == "m" else X


def _plain_frame(frame: pd.DataFrame, read_times: bool) -> pd.DataFrame:
    changed: dict[int, pd.Series] = {}
    for at, (name, dtype) in enumerate(zip(frame.columns, frame.dtypes.array, strict=True)):
        if isinstance(dtype, np.dtype) and dtype.kind in "fiub":
            continue  # plain under any name
        is_clock = read_times and _is_clock(name)
        if _is_always_plain(dtype, is_clock):
            continue
        column = frame.iloc[:, at]
        if kind_of(column) == "m" and str(name).endswith(CLOCKS):
            raise RunTableError(
                f"column {name!r} holds lengths of time ({dtype}); expected moments: datetimes, "
                "ISO 8601 strings or seconds since 1970. Add the lengths to a start."
            )
        new = plain_column(column)
        if is_clock and not (isinstance(new.dtype, pd.DatetimeTZDtype) or new.dtype.kind in "fiub"):
            new = to_utc(new)
        if new is not column:
            changed[at] = new
    index, columns = plain_index(frame.index), plain_index(frame.columns)
    if not changed and index is frame.index and columns is frame.columns:
        return frame
    plain = frame.copy(deep=False)
    for at, new in changed.items():
        plain.isetitem(at, new)
    plain.index, plain.columns = index, columns
    return plain


def _is_always_plain(dtype: Any, is_clock: bool) -> bool:
    """Whether columns of a dtype stay as they are, whatever their values."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in ("fiub" if is_clock else "fiubM")
    is_text = isinstance(dtype, pd.StringDtype) and is_plain_dtype(dtype)
    return isinstance(dtype, pd.DatetimeTZDtype) or (is_text and not is_clock)


def _is_clock(name: Hashable) -> bool:
    return name in CLOCKS or (isinstance(name, str) and name.endswith(CLOCKS_OF_JOBS))


def numeric_rows(X: Any) -> Any:
    """Give the rows of an estimator of numbers: as :func:`plain_table`, but no array of moments.

    Raises
    ------
    RunTableError
        For an array of moments, which NumPy would count as numbers of any unit.
    """
    X = plain_table(X)
    if isinstance(X, np.ndarray) and X.dtype.kind == "M":
        raise RunTableError(
            f"X is an array of moments ({X.dtype}); expected numbers. Put TimestampToNumeric "
            "before this step."
        )
    return X


def plain_numbers(values: Any, name: str) -> Any:
    """Give seconds in NumPy's types; lengths of time of any unit become seconds.

    Parameters
    ----------
    values : array-like, Series or DataFrame of any library
        Numbers are seconds.
    name : str
        What they are, for messages.

    Returns
    -------
    DataFrame, Series or ndarray of the same shape
        What is no number at all (text) stays as it is.

    Raises
    ------
    RunTableError
        For flags, moments and complex numbers.

    Examples
    --------
    >>> plain_numbers(np.array([90_000, "NaT"], dtype="timedelta64[ms]"), "y")
    array([90., nan])
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        return values
    if hasattr(values, "to_pandas"):
        values = values.to_pandas()
    if isinstance(values, pd.DataFrame):
        for at, column in enumerate(values.columns):
            refuse_lookalikes(values.iloc[:, at], f"column {column!r} of {name}")
        return plain_table(values)
    if isinstance(values, pd.Series):
        refuse_lookalikes(values, name)
        return plain_column(values)
    if values is None or isinstance(values, str) or hasattr(values, "toarray"):  # sparse
        return values
    # As objects: of [1.0, True] NumPy would make two numbers.
    array = np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    if array.dtype.kind in "bMmcO" and array.ndim:
        flat = pd.Series(array.ravel(), dtype=object if array.dtype.kind == "O" else None)
        refuse_lookalikes(flat, name)
        return plain_column(flat).to_numpy().reshape(array.shape)
    return array


def seconds_of(values: Any, name: str) -> Floats:
    """Read seconds as an array of floats; see :func:`plain_numbers`.

    Examples
    --------
    >>> seconds_of([pd.Timedelta("2min"), None], "deadline")
    array([120.,  nan])
    """
    if isinstance(values, pd.Timedelta | np.timedelta64 | timedelta):
        return np.asarray(pd.Timedelta(values) / SECOND)
    return np.asarray(plain_numbers(values, name), dtype=np.float64)
