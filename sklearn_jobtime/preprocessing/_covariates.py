"""What is known at the start of a run becomes numbers: pieces of a line, 0/1 columns, buckets."""

from collections.abc import Hashable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import is_flags, plain_table, plain_value
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.preprocessing._tables import (
    in_rows,
    names_out,
    read_table,
    resolve_columns,
    transformed,
)
from sklearn_jobtime.runs._schema import clock_columns, marked_jobs, owner_of, series_of

__all__ = ["CovariateEncoder", "drifts"]


LEAST_PAIRS = 10
MOST_PERSISTENCE = 0.9


def quantile_knots(values: Floats, n_knots: int) -> Floats:
    """Values at equal steps of probability among those known, each once; may be empty."""
    known = values[np.isfinite(values)]
    if not known.size:
        return known
    return np.unique(np.quantile(known, np.linspace(0, 1, n_knots), method="inverted_cdf"))


def hat_functions(values: Floats, knots: Floats) -> Floats:
    """Piecewise-linear basis: column k is 1 at knot k, 0 at all others, and straight in between.

    The rows add up to 1; beyond the outer knots the basis is constant. NaN gives zeros.

    Examples
    --------
    >>> import numpy as np
    >>> hat_functions(np.array([0.0, 15.0, 99.0]), np.array([0.0, 10.0, 20.0]))
    array([[1. , 0. , 0. ],
           [0. , 0.5, 0.5],
           [0. , 0. , 1. ]])
    """
    place = np.interp(values, knots, np.arange(len(knots)))
    hats = np.maximum(1.0 - np.abs(place[:, None] - np.arange(len(knots))), 0.0)
    return np.where(np.isnan(values)[:, None], 0.0, hats)


def persistence(values: Floats, series: NDArray[np.intp]) -> float:
    """Rank correlation of each value with the one before it in its series; 0 if there is none."""
    table = pd.DataFrame({"rank": pd.Series(values).rank(), "series": series})
    before = table.groupby("series")["rank"].shift()
    both = pd.DataFrame({"now": table["rank"], "before": before}).dropna()
    if len(both) < LEAST_PAIRS or (both.nunique() < 2).any():
        return 0.0
    return float(np.corrcoef(both["now"], both["before"])[0, 1])


def drifts(column: pd.Series, most: float = MOST_PERSISTENCE) -> bool:
    """Whether a column of numbers hardly moves from run to run, so that it tells the date."""
    if _is_name(column):
        return False
    return persistence(_numbers(column), series_of(column.index)) > most


def bucket(value: Hashable, n_buckets: int) -> int:
    """Bucket of a category, the same on every machine and in every process."""
    return crc32(str(value).encode()) % n_buckets


def feature_names(categories: Sequence[Hashable], others: Sequence[str]) -> list[str]:
    """Names of the columns of some values: as text, or as Python writes them where that is taken.

    Examples
    --------
    >>> feature_names(["push", 1, "1", "missing"], others=["missing"])
    ['push', '1', "'1'", "'missing'"]
    """
    taken = {*others, *(str(value) for value in categories if not isinstance(value, str))}
    return [repr(v) if isinstance(v, str) and v in taken else str(v) for v in categories]


class CovariateEncoder(TransformerMixin, BaseEstimator):
    """Turn covariates that are known when a run starts into numbers that a network can use.

    Why a run takes longer is often known before it starts: a push to the main branch builds more
    than a pull request, a change of a thousand lines tests more than one of three. But sizes are
    skewed (most changes touch two files, some two thousand), and names are no numbers:

    - a **number** is given as pieces of a line between the quantiles seen in `fit`
      (``<column>__knot_0``, ...), so that a linear layer can follow any bend and one huge value
      is no more than the largest one seen;
    - a number that hardly moves from run to run and only ever drifts, such as the source lines of
      a project, is **left out**: its value tells the date, not the run, and what it does to the
      durations is in their local level already. A network would learn the calendar from it;
    - of a **name**, the most frequent values become 0/1 columns ``<column>__<value>``; all rarer
      and later ones share a few buckets ``<column>__rare_0``, ..., by a fixed hash, so that a
      branch or a user never seen before is no error;
    - what is missing has ``<column>__missing``, and is 0 in the others.

    Nothing is learned from the targets, so nothing can leak. All other columns pass unchanged, and
    what a column gives is known at the start when the column is, as it begins with its name.

    Parameters
    ----------
    columns : list of str or int, default=None
        The covariates. None takes every column that is neither number nor time, such as text.
    n_knots : int, default=5
        Quantiles for the pieces of a line: minimum, quartiles and maximum. Equal ones count once.
    max_categories : int, default=10
        How many values of a name have a 0/1 column of their own.
    n_buckets : int, default=1
        For the others. Values in a bucket have nothing in common; more than one bucket is for names
        that are many and long-lived.
    max_persistence : float, default=0.9
        Numbers whose rank correlation with the run before in their series is larger are left out.
        Sizes of changes are mostly far below, states of projects above. 1 keeps all.

    Attributes
    ----------
    columns_ : list of str
        The covariates.
    knots_ : dict of str to ndarray
        The knots of each number; empty for one that is left out or constant.
    categories_ : dict of str to list
        The values of each name that have a column, the most frequent first. Values are compared
        as Python compares them: 1, 1.0 and True are one, the text "1" is another.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    RunTableError
        When a column of `columns` is not in the table, or a name would stand twice.

    See Also
    --------
    sklearn.preprocessing.SplineTransformer : Pieces of any degree, without missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime import CovariateEncoder
    >>> runs = pd.DataFrame({"event": ["push", "push", "tag"], "files": [1.0, 3.0, 2.0]})
    >>> encoder = CovariateEncoder(["event", "files"], n_knots=2).fit(runs)
    >>> encoder.transform(runs).columns.tolist()
    ['event__push', 'event__tag', 'event__rare_0', 'event__missing', 'files__knot_0',
     'files__knot_1', 'files__missing']
    >>> new = pd.DataFrame({"event": ["schedule"], "files": [999.0]})
    >>> encoder.transform(new)[["event__rare_0", "files__knot_1"]].to_numpy()
    array([[1., 1.]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "columns": ["array-like", None],
        "n_knots": [Interval(Integral, 2, None, closed="left")],
        "max_categories": [Interval(Integral, 1, None, closed="left")],
        "n_buckets": [Interval(Integral, 1, None, closed="left")],
        "max_persistence": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        columns: Sequence[str | int] | None = None,
        *,
        n_knots: int = 5,
        max_categories: int = 10,
        n_buckets: int = 1,
        max_persistence: float = MOST_PERSISTENCE,
    ):
        self.columns = columns
        self.n_knots = n_knots
        self.max_categories = max_categories
        self.n_buckets = n_buckets
        self.max_persistence = max_persistence

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Learn the quantiles of the numbers and the frequent values of the names.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.
        y : None
            Ignored.

        Returns
        -------
        self : CovariateEncoder
        """
        X = plain_table(X)
        table = read_table(self, X, reset=True, dtype=None)
        if self.columns is None:
            clocks = clock_columns(table.columns)  # which may be text
            names = [name for name in table.columns if name not in clocks]
            self.columns_ = [name for name in names if _is_name(table[name])]
        else:
            self.columns_ = resolve_columns(self, self.columns, "columns")
        self.knots_, self.categories_ = {}, {}
        jobs = marked_jobs(list(table.columns))
        for name in self.columns_:
            if alike := [c for c in table if c != name and owner_of(c, [name, *jobs]) == name]:
                raise RunTableError(
                    f"column {alike[0]!r} begins like those that the covariate {name!r} gives, and "
                    "would count as known at the start of a run: rename one of the two."
                )
            if _is_name(table[name]):
                counts = _names(table[name]).value_counts().sort_index(key=_as_text)
                order = list(counts.sort_values(ascending=False, kind="stable").index)
                self.categories_[name] = order[: self.max_categories]
            else:
                knots = quantile_knots(_numbers(table[name]), self.n_knots)
                useless = len(knots) < 2 or drifts(table[name], self.max_persistence)
                self.knots_[name] = knots[:0] if useless else knots
        names_out(self, None, self._added(), self.columns_)  # a clash of names shows now
        return self

    def _added(self) -> list[tuple[str, str]]:
        added = []
        for name in self.columns_:
            if name in self.categories_:
                others = [*(f"rare_{k}" for k in range(self.n_buckets)), "missing"]
                features = [*feature_names(self.categories_[name], others), *others]
            else:
                features = [*(f"knot_{k}" for k in range(len(self.knots_[name]))), "missing"]
            added += [(name, feature) for feature in features]
        return added

    def transform(self, X: Any) -> Any:
        """Encode the covariates.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            Rows and index as given; first the columns that stay, then those of each covariate.
        """
        return self.transform_rows(X)

    def transform_rows(self, X: Any, rows: Rows | None = None) -> Any:
        """Transform a table, but encode the covariates of some of its rows alone.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.
        rows : ndarray of int, default=None
            Positions of the rows whose covariates are wanted; None: all.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            As :meth:`transform` gives it; what was encoded is NaN in other rows.
        """
        check_is_fitted(self)
        X = plain_table(X)
        table = read_table(self, X, reset=False, dtype=None)
        asked = table[self.columns_] if rows is None else table[self.columns_].iloc[rows]
        blocks = [
            self._encode_name(name, asked[name])
            if name in self.categories_
            else self._encode_number(name, asked[name])
            for name in self.columns_
        ]
        kept = table.drop(columns=self.columns_)
        names = self.get_feature_names_out()
        added = pd.DataFrame(
            in_rows(len(table), rows, np.concatenate([np.empty((len(asked), 0)), *blocks], axis=1)),
            index=table.index,
            columns=names[kept.shape[1] :],
        )
        out = pd.concat([kept, added], axis=1)
        return transformed(self, out, X)

    def _encode_name(self, name: str, column: pd.Series) -> Floats:
        values = _names(column)
        categories = self.categories_[name]
        place = pd.Index(categories, dtype=object).get_indexer(values)
        rare = (place < 0) & values.notna().to_numpy()
        place[rare] = [len(categories) + bucket(value, self.n_buckets) for value in values[rare]]
        place[values.isna().to_numpy()] = len(categories) + self.n_buckets
        return np.eye(len(categories) + self.n_buckets + 1)[place]

    def _encode_number(self, name: str, column: pd.Series) -> Floats:
        values, knots = _numbers(column), self.knots_[name]
        hats = hat_functions(values, knots) if len(knots) else np.empty((len(values), 0))
        return np.column_stack([hats, np.isnan(values)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; None takes those seen in `fit`, or x0, x1, ...

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return names_out(self, input_features, self._added(), self.columns_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _is_name(column: pd.Series) -> bool:
    """Whether a column holds names: anything but numbers, flags and times."""
    column = column.infer_objects()
    return not (
        pd.api.types.is_numeric_dtype(column)
        or is_flags(column)
        or pd.api.types.is_datetime64_any_dtype(column)
        or column.isna().all()
    )


def _names(column: pd.Series) -> pd.Series:
    """Values of a name, equal ones of one type: 1, 1.0 and True are one value, "1" another."""
    names = column.astype(object)
    wrong = names.notna() & ~names.map(lambda value: isinstance(value, Hashable)).astype(bool)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise TypeError(
            f"column {column.name!r}, row {column.index[row]!r}: argument must be a string or a "
            f"number, got {names.iloc[row]!r}; drop the column or write it as text."
        )
    return names.map(plain_value, na_action="ignore").astype(object)


def _as_text(values: pd.Index) -> pd.Index:
    return values.map(str)


def _numbers(column: pd.Series) -> Floats:
    return column.infer_objects().to_numpy(np.float64, na_value=np.nan)
