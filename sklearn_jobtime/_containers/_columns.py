"""One column of any dtype becomes a column of NumPy's own type."""

from datetime import date, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sklearn_jobtime.exceptions import RunTableError

__all__ = [
    "SECOND",
    "is_flags",
    "is_plain_dtype",
    "kind_of",
    "plain_column",
    "plain_index",
    "plain_value",
    "refuse_lookalikes",
]


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
    if not is_plain_dtype(dtype):
        return _like(column, _of_nullable(column))
    if dtype.kind == "O" and not isinstance(dtype, pd.StringDtype):
        return _plain_objects(column)
    return column / SECOND if dtype.kind == "m" else column


def plain_index(index: pd.Index) -> pd.Index:
    """Give an index, or the names of columns, in NumPy's own types."""
    if isinstance(index, pd.MultiIndex):
        if all(is_plain_dtype(level.dtype) for level in index.levels):
            return index
        levels = [plain_index(index.get_level_values(k)) for k in range(index.nlevels)]
        return pd.MultiIndex.from_arrays(levels, names=index.names)
    if is_plain_dtype(index.dtype):
        return index
    values = pd.Series(index.array)
    if isinstance(index.dtype, pd.CategoricalDtype):
        values = values.astype(index.categories.dtype if not index.hasnans else object)
    return pd.Index(plain_column(values).array, name=index.name)


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
    plain = plain_index(categories)
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


def is_plain_dtype(dtype: Any) -> bool:
    if isinstance(dtype, pd.StringDtype):
        return dtype.na_value is not pd.NA  # the strings of pandas 3
    return isinstance(dtype, np.dtype | pd.DatetimeTZDtype | pd.PeriodDtype | pd.IntervalDtype)


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
