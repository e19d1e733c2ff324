"""What every regressor of run tables does alike."""

from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import validate_data

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.metrics import observed_r2
from sklearn_jobtime.runs._target_jobs import in_order_of, in_order_of_rows

__all__ = ["ObservedScoreMixin", "check_has_effect", "read_array", "read_rows"]


def read_rows(estimator: BaseEstimator, X: Any, *, reset: bool) -> Any:
    """Check the rows of `fit` or `predict`: a table as it is, or an array of numbers.

    Parameters
    ----------
    estimator : estimator
        In `fit` it gets `n_features_in_`, and the names of columns in `feature_names_in_`.
    X : DataFrame, or array-like as for :func:`read_array`
        The columns of a DataFrame may be of any type.
    reset : bool
        True in `fit`; else the columns have to be those of `fit`.

    Returns
    -------
    DataFrame or ndarray
    """
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
        y = in_order_of(in_order_of_rows(y, X), getattr(self, "target_names_", None))
        return float(observed_r2(y, self.predict(X)))


def check_has_effect(estimator: BaseEstimator, name: str, has_effect: bool, *, needs: str) -> None:
    """Raise where a parameter was changed that another one leaves without effect.

    Parameters
    ----------
    estimator : estimator
    name : str
        Its parameter.
    has_effect : bool
        Whether, with the other parameters as they are, it does anything.
    needs : str
        The setting of another parameter that it needs.

    Raises
    ------
    InvalidParameterError
        A ValueError that names both.
    """
    value = getattr(estimator, name)
    parameters = signature(type(estimator)).parameters
    if has_effect or name not in parameters:  # a subclass may fix it
        return
    default = parameters[name].default
    if value != default:
        raise InvalidParameterError(
            f"{name}={value!r} of {type(estimator).__name__} has no effect: it needs {needs}. Set "
            f"that, or leave {name}={default!r}."
        )
