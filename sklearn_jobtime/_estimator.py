"""What every regressor of run tables does alike."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from sklearn_jobtime._containers import numeric_rows, plain_table
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.metrics import observed_r2

__all__ = ["ObservedScoreMixin", "read_array", "read_rows"]


def read_rows(estimator: BaseEstimator, X: Any, *, reset: bool) -> Any:
    """Check the rows of `fit` or `predict`: a table as it is, or an array of numbers.

    Parameters
    ----------
    estimator : estimator
        In `fit` it gets `n_features_in_`, and the names of columns in `feature_names_in_`.
    X : DataFrame of any library, or array-like as for :func:`read_array`
        The columns of a DataFrame may be of any type; see
        :func:`~sklearn_jobtime._containers.plain_table`.
    reset : bool
        True in `fit`; else the columns have to be those of `fit`.

    Returns
    -------
    DataFrame of pandas, or ndarray
    """
    X = plain_table(X)
    if isinstance(X, pd.DataFrame):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return X
    return read_array(estimator, X, reset=reset)


def read_array(estimator: BaseEstimator, X: Any, *, reset: bool) -> Floats:
    """Check an array of numbers, as the tags of the estimator say what it takes.

    Parameters
    ----------
    estimator : estimator
        Its input tags tell whether NaN (`allow_nan`) and windows (`three_d_array`) may come.
    X : array-like of shape (n, n_columns), or windows of shape (n, n_steps, n_columns)
    reset : bool
        True in `fit`; else the columns have to be those of `fit`.

    Returns
    -------
    ndarray
        Laid out row by row (C order), but for windows: a view on them is not to be copied whole.
    """
    tags = get_tags(estimator).input_tags
    X = numeric_rows(X)
    X = X if hasattr(X, "ndim") or not tags.three_d_array else np.asarray(X)
    is_windows = tags.three_d_array and X.ndim == 3
    X = validate_data(
        estimator,
        X,
        reset=reset,
        order=None if is_windows else "C",
        ensure_all_finite="allow-nan" if tags.allow_nan else True,
        ensure_2d=not is_windows,
        allow_nd=is_windows,
    )
    if is_windows and reset:
        estimator.n_features_in_ = X.shape[2]
    return X


class ObservedScoreMixin(RegressorMixin):
    """A regressor that is scored on the observed targets; those of failed runs are NaN."""

    predict: Any

    def score(self, X: pd.DataFrame | ArrayLike, y: ArrayLike) -> float:
        """Coefficient of determination over the observed targets.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for `predict`.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Seconds; NaN where not observed.

        Returns
        -------
        float
            1 is perfect, 0 as good as the mean; averaged over the outputs.
        """
        return float(observed_r2(y, self.predict(X)))
