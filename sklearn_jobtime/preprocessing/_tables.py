"""DataFrame in, DataFrame out; array in, array out: the door of the run-table transformers."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, validate_data

from sklearn_jobtime._containers import numeric_rows
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import RunTableError

__all__ = ["in_rows", "like_input", "names_out", "read_table", "resolve_columns", "transformed"]


def read_table(estimator: BaseEstimator, X: Any, *, reset: bool, dtype: Any) -> pd.DataFrame:
    """Check `X` as scikit-learn does and give it as a table under the names seen in fit.

    A DataFrame keeps every column's own type, because scikit-learn's check would turn the
    strings and times of a run table into one array of objects.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets `n_features_in_` (and `feature_names_in_`) where `reset`, is compared with them else.
    X : DataFrame or array-like of shape (n_runs, n_features)
        What :func:`~sklearn_jobtime._containers.plain_table` gave of the caller's; it is never
        changed, and neither may the returned table be.
    reset : bool
        True in fit.
    dtype : dtype, list of dtypes or None
        What scikit-learn's `check_array` shall make of an array.

    Returns
    -------
    DataFrame
    """
    X = X if dtype is None else numeric_rows(X)
    if isinstance(X, pd.DataFrame):
        if not X.columns.is_unique:
            twice = X.columns[X.columns.duplicated()][0]
            raise RunTableError(f"column {twice!r} stands twice in the table; rename or drop one.")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if len(X) == 0:
            raise ValueError(
                f"Found a table with 0 rows (shape={X.shape}) while a minimum of 1 is required by "
                f"{type(estimator).__name__}; check the filter that made it."
            )
        table = X.copy(deep=False)
    else:
        table = pd.DataFrame(
            validate_data(
                estimator, X, reset=reset, dtype=dtype, ensure_all_finite=False, order="C"
            )
        )
    table.columns = list(_check_feature_names_in(estimator))
    return table


def in_rows(n_rows: int, rows: Rows | None, values: Floats) -> Floats:
    """Put what was computed for some rows in their places; NaN in all others.

    Examples
    --------
    >>> in_rows(3, np.array([2]), np.array([5.0]))
    array([nan, nan,  5.])
    """
    if rows is None:
        return values
    filled = np.full((n_rows, *values.shape[1:]), np.nan)
    filled[rows] = values
    return filled


def like_input(table: pd.DataFrame, X: Any) -> pd.DataFrame | np.ndarray:
    """Give `table` in the form that the caller gave `X`; an array is a new one, row by row."""
    return table if isinstance(X, pd.DataFrame) else np.array(table.to_numpy(), order="C")


def transformed(estimator: BaseEstimator, table: pd.DataFrame, X: Any) -> Any:
    """Give the table that a `transform` made in the container that `set_output` asked for.

    Raises
    ------
    RunTableError
        For polars and a table whose index names series: without it, their runs would be mixed.
    """
    if _get_output_config("transform", estimator)["dense"] != "polars":
        return like_input(table, X)
    if table.index.nlevels > 1:
        raise RunTableError(
            f"{type(estimator).__name__} cannot give a polars frame of this table: such a frame "
            "has no index, and it is the index that names the series of each run. Choose "
            "transform_output='pandas' or 'default'."
        )
    import polars  # noqa: PLC0415 - an optional container

    return polars.from_pandas(table)


def resolve_columns(
    estimator: BaseEstimator, columns: Sequence[str | int], parameter: str
) -> list[str]:
    """Turn the user's `columns` (names, or positions) into names as `read_table` gives them."""
    names = list(_check_feature_names_in(estimator))
    resolved = []
    for column in columns:
        if isinstance(column, int | np.integer) and -len(names) <= column < len(names):
            resolved.append(names[column])
        elif column in names:
            resolved.append(column)
        else:
            raise RunTableError(
                f"{parameter} names {column!r}, which is no column of the table; it has {names}."
            )
    return list(dict.fromkeys(resolved))


def names_out(
    estimator: BaseEstimator,
    input_features: Any,
    added: Sequence[tuple[str, str]],
    dropped: Collection[str] = (),
) -> np.ndarray:
    """Names of the columns after a transform: those kept, then ``<column>__<feature>`` for each.

    Parameters
    ----------
    estimator : BaseEstimator
        A fitted transformer.
    input_features : array-like of str or None
        As in scikit-learn's `get_feature_names_out`.
    added : sequence of (column, feature)
        What the transformer adds.
    dropped : collection of str
        Columns that do not come out.
    """
    given = _check_feature_names_in(estimator, input_features)
    name_of = dict(zip(_check_feature_names_in(estimator), given, strict=True))
    kept = [new for old, new in name_of.items() if old not in dropped]
    derived = [f"{name_of[column]}__{feature}" for column, feature in added]
    if clash := set(kept) & set(derived):
        raise RunTableError(
            f"the table already has a column {min(clash)!r}, which {type(estimator).__name__} "
            "would add; drop it, and do not transform a table twice."
        )
    return np.array(kept + derived, dtype=object)
