"""What every regressor of run tables does alike."""

from dataclasses import asdict, dataclass
from inspect import signature
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import RegressorTags, Tags, get_tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import _check_sample_weight, validate_data

from sklearn_jobtime._containers import numeric_rows, plain_table
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.runs._target_jobs import in_order_of, in_order_of_rows

__all__ = [
    "ForecasterTags",
    "ObservedScoreMixin",
    "check_has_effect",
    "looks_back",
    "masks_missing_targets",
    "observed_with_weight",
    "pop_weights",
    "read_array",
    "read_rows",
    "read_weights",
    "with_forecaster_tags",
]


@dataclass(slots=True)
class ForecasterTags(RegressorTags):
    """The tags of a regressor, and what matters where targets are missing.

    Pipelines and searches of scikit-learn hand them on with the other tags of a regressor.

    Parameters
    ----------
    missing_targets : bool, default=False
        Whether `fit` takes targets that are NaN, and all rows with them.
    looks_back : bool, default=False
        Whether rows are the history of other rows, so that none may be left out.
    """

    missing_targets: bool = False
    looks_back: bool = False


def with_forecaster_tags(estimator: Any, tags: Tags) -> Tags:
    """Add what the attributes `masks_missing_targets` and `looks_back` of a class say."""
    known = asdict(tags.regressor_tags or RegressorTags())
    known["missing_targets"] = getattr(estimator, "masks_missing_targets", False)
    known["looks_back"] = getattr(estimator, "looks_back", False)
    tags.regressor_tags = ForecasterTags(**known)
    return tags


def masks_missing_targets(estimator: Any) -> bool:
    """Tell by the tags, or an attribute of its class, whether a regressor takes NaN in `y`."""
    tags = get_tags(estimator).regressor_tags
    has_attribute = getattr(estimator, "masks_missing_targets", False)
    return bool(getattr(tags, "missing_targets", False) or has_attribute)


def looks_back(estimator: Any) -> bool:
    """Tell by the tags, or an attribute of its class, whether rows are the history of others."""
    tags = get_tags(estimator).regressor_tags
    has_attribute = getattr(estimator, "looks_back", False)
    return bool(getattr(tags, "looks_back", False) or has_attribute)


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


def pop_weights(fit_params: dict[str, Any], X: Any) -> Floats | None:
    """Take the checked weights of rows out of what came beside X and y; None where none came.

    They are no named parameter of such a `fit`, since scikit-learn's checks then hold a row of
    weight 2 to be the same as the row twice. Where a row is the history of others it is not: two
    rows would be two runs.

    Raises
    ------
    ValueError
        When weights are negative, all 0, or not one for each row.
    """
    weights = fit_params.pop("sample_weight", None)
    return None if weights is None else read_weights(weights, X)


def read_weights(weights: Any, X: Any) -> Floats:
    """Check the weights of rows: one for each, not negative, not all 0."""
    found = np.asarray(_check_sample_weight(weights, X, dtype=np.float64))
    if (found < 0).any() or not found.any():
        raise ValueError(
            "sample_weight has "
            f"{'a negative weight' if (found < 0).any() else 'the weight zero for all rows'}; "
            "expected weights of at least 0, some of them above."
        )
    return found


def observed_with_weight(targets: Floats, weights: Floats | None) -> Floats:
    """Make the targets of rows of weight 0 unobserved: these rows are history and nothing else."""
    return targets if weights is None else np.where(weights[:, None] > 0, targets, np.nan)


class ObservedScoreMixin(RegressorMixin):
    """A regressor that is scored on the observed targets; those of failed runs are NaN."""

    masks_missing_targets = True
    __metadata_request__score: ClassVar = {"sample_weight": True}
    predict: Any

    def score(
        self,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Coefficient of determination over the observed targets.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for `predict`.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Seconds; NaN where not observed.
        sample_weight : array-like of shape (n_runs,), default=None
            How much each row counts.

        Returns
        -------
        float
            1 is perfect, 0 as good as the mean; averaged over the outputs.
        """
        from sklearn_jobtime.metrics import observed_r2  # noqa: PLC0415 - a forecast needs none

        y = in_order_of(in_order_of_rows(y, X), getattr(self, "target_names_", None))
        return float(observed_r2(y, self.predict(X), sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Tags:
        return with_forecaster_tags(self, super().__sklearn_tags__())


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
