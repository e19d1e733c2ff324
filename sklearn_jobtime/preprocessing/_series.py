"""Which series a run belongs to, as columns known at its start."""

from numbers import Integral
from typing import Any, ClassVar, Self
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_jobtime._containers import plain_table, plain_value
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.preprocessing._tables import read_table, transformed
from sklearn_jobtime.runs._schema import STARTED_AT

__all__ = ["SeriesEncoder"]


CODE_LENGTH = 32  # bits of a checksum


def sign_code(key: tuple) -> NDArray[np.float64]:
    """Give a key 32 signs that look random, the same in every process and for equal keys.

    Examples
    --------
    >>> from sklearn_jobtime.preprocessing._series import sign_code
    >>> int((sign_code(("etl", "eu")) == sign_code(("etl", "us"))).sum())
    18
    """
    bits = crc32(repr(plain_value(key)).encode())
    return np.array([1.0 if bits >> place & 1 else -1.0 for place in range(CODE_LENGTH)])


class SeriesEncoder(TransformerMixin, BaseEstimator):
    """Tell a model of several series which of them a run belongs to.

    One network for many pipelines shares what they have in common; with this step it can also
    learn what one of them does differently, such as slow Mondays. Up to `max_categories` series
    have a 0/1 column each; more share 32 columns, in which each series has signs of its own that
    no outcome has a part in. A series that was not in `fit` has zeros, like nobody and like
    everybody. The columns are named ``started_at__series_<k>``, since the series is known at the
    start. A table of one series gets none.

    Parameters
    ----------
    max_categories : int, default=32
        How many series have a column each.

    Attributes
    ----------
    codes_ : dict of tuple to ndarray
        The columns of each series seen in `fit`, by its key: the index levels but the last.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    RunTableError
        When the table already has such a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime import SeriesEncoder
    >>> index = pd.MultiIndex.from_product([["etl", "ci"], [0, 1]])
    >>> runs = pd.DataFrame({"build": [9.0, 8.0, 70.0, 60.0]}, index=index)
    >>> SeriesEncoder().fit_transform(runs).iloc[:, 1:].to_numpy()
    array([[1., 0.],
           [1., 0.],
           [0., 1.],
           [0., 1.]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "max_categories": [Interval(Integral, 1, None, closed="left")]
    }

    def __init__(self, max_categories: int = 32):
        self.max_categories = max_categories

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Give every series its columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table; an array is one series.
        y : None
            Ignored.

        Returns
        -------
        self : SeriesEncoder
        """
        X = plain_table(X)
        table = read_table(self, X, reset=True, dtype=(np.float64, np.float32))
        keys = read_clock(table, None, None).keys
        if len(keys) == 1:
            self.codes_ = {keys[0]: np.empty(0)}
        elif len(keys) <= self.max_categories:
            self.codes_ = dict(zip(keys, np.eye(len(keys)), strict=True))
        else:
            self.codes_ = {key: sign_code(key) for key in keys}
        self.get_feature_names_out()  # a clash of names shows now
        return self

    def transform(self, X: Any) -> Any:
        """Add the columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            Rows and index as given.
        """
        check_is_fitted(self)
        X = plain_table(X)
        table = read_table(self, X, reset=False, dtype=(np.float64, np.float32))
        clock = read_clock(table, None, None)
        unknown = np.zeros(self._n_added)
        codes = np.array([self.codes_.get(key, unknown) for key in clock.keys])
        names = self.get_feature_names_out()[table.shape[1] :]
        added = pd.DataFrame(codes[clock.series], index=table.index, columns=names)
        return transformed(self, pd.concat([table, added], axis=1), X)

    @property
    def _n_added(self) -> int:
        return len(next(iter(self.codes_.values())))

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
        check_is_fitted(self, "codes_")
        names = list(_check_feature_names_in(self, input_features))
        added = [f"{STARTED_AT}__series_{k}" for k in range(self._n_added)]
        if clash := set(names) & set(added):
            raise RunTableError(
                f"the table already has a column {min(clash)!r}, which SeriesEncoder would add; "
                "drop it, and do not transform a table twice."
            )
        return np.array(names + added, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
