"""The door for tables and numbers: any container and dtype becomes pandas with NumPy's own types.

Polars, pyarrow and pandas' nullable or Arrow-backed columns hold the same values as NumPy's; what
stands behind this door sees NumPy's alone, so that the same runs give the same forecast.
"""

from datetime import date, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import RunTableError

__all__ = [
    "is_flags",
    "kind_of",
    "numeric_rows",
    "plain_column",
    "plain_numbers",
    "plain_table",
    "plain_value",
    "refuse_lookalikes",
    "seconds_of",
]


CLOCKS = ("started_at", "ended_at")
INDEX_LEVELS = ("series", "run")  # of a run table, where a container has no index
SECOND = pd.Timedelta(seconds=1)
# What looks like a number to NumPy and is none of seconds, by kind of dtype.
LOOKALIKES = {
    "b": "flags (True, False)",
    "M": "moments, not lengths of time",
    "c": "complex numbers (Complex data not supported)",
    "V": "lengths of time among plain numbers, so that the unit of these is not clear",
}
KIND_OF_OBJECTS = {
    "boolean": "b",
    "timedelta": "m",
    "timedelta64": "m",
    "datetime": "M",
    "datetime64": "M",
    "date": "M",
    "time": "M",
    "period": "M",
    "complex": "c",
    "integer": "f",
    "floating": "f",
    "mixed-integer-float": "f",
    "decimal": "f",
}
KINDS_OF_CELLS = (
    (bool | np.bool_, "b"),
    (timedelta | np.timedelta64, "V"),
    (date | np.datetime64, "M"),
    (complex | np.complexfloating, "c"),
)


def plain_table(X: Any, *, is_long: bool = False) -> Any:
    """Give a table as a pandas DataFrame of NumPy's types, and anything else as it is.

    Lengths of time become float seconds. What is missing is NaN, NaT or None, as in NumPy. The
    index and the names of columns get NumPy's types too.

    Parameters
    ----------
    X : DataFrame of pandas, polars or pyarrow, an array, or anything else
        It is not changed. Containers other than pandas have no index: their columns `series` and
        `run`, where they have them, become it.
    is_long : bool, default=False
        A long table keeps these as columns.

    Returns
    -------
    DataFrame, an array of seconds for one of lengths of time, or `X` itself where it is no table
    or has nothing to convert

    Raises
    ------
    TypeError
        For a lazy frame, which holds no rows yet.
    RunTableError
        When a column of moments (``started_at``, ``ended_at``) holds lengths of time.

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
        return _plain_frame(X)
    if isinstance(X, np.ndarray | list | tuple):
        return _plain_array(X)
    if hasattr(X, "collect_schema") and hasattr(X, "collect") and not hasattr(X, "to_pandas"):
        raise TypeError(
            f"got a {type(X).__name__}, which holds no rows yet; call its collect() first."
        )
    if not (hasattr(X, "to_pandas") and hasattr(X, "columns")):
        return X
    frame = _plain_frame(X.to_pandas())
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


def _plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    changed: dict[int, pd.Series] = {}
    for at, dtype in enumerate(frame.dtypes.array):
        if _is_always_plain(dtype):
            continue
        name, column = frame.columns[at], frame.iloc[:, at]
        if kind_of(column) == "m" and str(name).endswith(CLOCKS):
            raise RunTableError(
                f"column {name!r} holds lengths of time ({dtype}); expected moments: datetimes, "
                "ISO 8601 strings or seconds since 1970. Add the lengths to a start."
            )
        if (new := plain_column(column)) is not column:
            changed[at] = new
    index, columns = _plain_index(frame.index), _plain_index(frame.columns)
    if not changed and index is frame.index and columns is frame.columns:
        return frame
    plain = frame.copy(deep=False)
    for at, new in changed.items():
        plain.isetitem(at, new)
    plain.index, plain.columns = index, columns
    return plain


def _is_always_plain(dtype: Any) -> bool:
    """Whether columns of a dtype stay as they are, whatever their values."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "fiubM"
    return isinstance(dtype, pd.DatetimeTZDtype) or (
        isinstance(dtype, pd.StringDtype) and _is_plain_dtype(dtype)
    )


def _is_plain_dtype(dtype: Any) -> bool:
    if isinstance(dtype, pd.StringDtype):
        return dtype.na_value is not pd.NA  # the strings of pandas 3
    return isinstance(dtype, np.dtype | pd.DatetimeTZDtype | pd.PeriodDtype | pd.IntervalDtype)


def _plain_index(index: pd.Index) -> pd.Index:
    if isinstance(index, pd.MultiIndex):
        if all(_is_plain_dtype(level.dtype) for level in index.levels):
            return index
        levels = [_plain_index(index.get_level_values(k)) for k in range(index.nlevels)]
        return pd.MultiIndex.from_arrays(levels, names=index.names)
    if _is_plain_dtype(index.dtype):
        return index
    values = pd.Series(index.array)
    if isinstance(index.dtype, pd.CategoricalDtype):
        values = values.astype(index.categories.dtype if not index.hasnans else object)
    return pd.Index(plain_column(values).array, name=index.name)


def plain_column(column: pd.Series) -> pd.Series:
    """Give a column in NumPy's own type; lengths of time as seconds.

    Categories of text become text. Those of numbers stay, because a number that is declared a
    category is a code, and no quantity.

    Examples
    --------
    >>> plain_column(pd.Series([1, None], dtype="Int64")).tolist()
    [1.0, nan]
    >>> plain_column(pd.Series([90_000], dtype="timedelta64[ms]")).tolist()
    [90.0]
    """
    dtype = column.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return plain_column(_like(column, pa.array(column, from_pandas=True).to_pandas().array))
    if isinstance(dtype, pd.CategoricalDtype):
        return _plain_categories(column)
    if isinstance(dtype, pd.SparseDtype):
        return column.sparse.to_dense()
    if not _is_plain_dtype(dtype):
        return _like(column, _of_nullable(column))
    if dtype.kind == "O" and not isinstance(dtype, pd.StringDtype):
        return _plain_objects(column)
    return column / SECOND if dtype.kind == "m" else column


def _of_nullable(column: pd.Series) -> np.ndarray:
    """Values of pandas' nullable types; flags of which some are missing stay flags, as objects."""
    numpy_dtype = getattr(column.dtype, "numpy_dtype", np.dtype(object))
    if numpy_dtype.kind == "O" or (numpy_dtype.kind == "b" and column.hasnans):
        return column.to_numpy(object, na_value=None)
    if column.hasnans:
        return column.to_numpy("float64", na_value=np.nan)
    return column.to_numpy(numpy_dtype)


def _like(column: pd.Series, values: Any) -> pd.Series:
    return pd.Series(values, index=column.index, name=column.name)


def _plain_categories(column: pd.Series) -> pd.Series:
    categories = column.cat.categories
    if not pd.api.types.is_numeric_dtype(categories):
        return plain_column(_like(column, column.to_numpy(object, na_value=None))).infer_objects()
    plain = _plain_index(categories)
    return column if plain is categories else column.cat.rename_categories(plain)


def _plain_objects(column: pd.Series) -> pd.Series:
    if len(column) and isinstance(column.iloc[0], str):
        return column  # text, or a mixture
    kind = KIND_OF_OBJECTS.get(pd.api.types.infer_dtype(column, skipna=True))
    if kind == "b":
        return column if column.hasnans else column.astype("bool")
    if kind == "m":
        return pd.to_timedelta(column) / SECOND
    if kind == "M":
        return column.infer_objects()  # dates, times and moments of several zones stay objects
    if kind != "f":
        return column
    numbers = pd.to_numeric(column)
    return numbers if numbers.dtype == "int64" else numbers.astype("float64")


def kind_of(column: pd.Series) -> str:
    """Kind of the values of a column, as NumPy's dtypes name it; ``O`` for text and mixtures.

    Examples
    --------
    >>> kind_of(pd.Series([True, None])), kind_of(pd.Series([1.5])), kind_of(pd.Series(["a", 1]))
    ('b', 'f', 'O')
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return kind_of(pd.Series(column.cat.categories))
    if isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_temporal(column.dtype.pyarrow_dtype):
        return "m" if pa.types.is_duration(column.dtype.pyarrow_dtype) else "M"
    if isinstance(column.dtype, pd.PeriodDtype | pd.IntervalDtype):
        return "M"
    if column.dtype != object:
        return column.dtype.kind
    return KIND_OF_OBJECTS.get(pd.api.types.infer_dtype(column, skipna=True), "O")


def refuse_lookalikes(column: pd.Series, name: str) -> None:
    """Raise where a column that should hold seconds holds what only looks like numbers.

    Raises
    ------
    RunTableError
    """
    kind = kind_of(column)
    if kind == "O":
        cells = column[column.notna()]
        found = (kind for types, kind in KINDS_OF_CELLS if any(isinstance(c, types) for c in cells))
        kind = next(found, kind)
    if (what := LOOKALIKES.get(kind)) is not None:
        raise RunTableError(
            f"{name} holds {what} ({column.dtype}); expected seconds as numbers, or lengths of "
            "time as pandas.Timedelta or numpy.timedelta64."
        )


def is_flags(column: pd.Series) -> bool:
    """Whether a column holds True and False, and perhaps missing values, and nothing else.

    Examples
    --------
    >>> is_flags(pd.Series([True, None])), is_flags(pd.Series([1, 0])), is_flags(pd.Series([None]))
    (True, False, False)
    """
    return kind_of(column) == "b"


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


def plain_value(value: Any) -> Any:
    """Give equal values one type, so that they are written alike: 1, 1.0 and True are 1.

    Text stays text: "1" is not 1.

    Examples
    --------
    >>> [plain_value(value) for value in (1.0, True, np.int8(1), 0.5, "1", ("etl", 1.0))]
    [1, 1, 1, 0.5, '1', ('etl', 1)]
    """
    if isinstance(value, tuple):
        return tuple(map(plain_value, value))
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral | np.bool_):
        return int(value)
    if not isinstance(value, Real | Decimal) or not np.isfinite(float(value)):
        return value
    number = float(value)
    return int(number) if number == int(number) else number
