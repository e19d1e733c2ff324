"""Where rows with missing targets may be left out: behind everything that reads other rows."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from sklearn_jobtime._estimator import looks_back, masks_missing_targets
from sklearn_jobtime._inside import is_search
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.compose._complete_case import CompleteCaseRegressor

__all__ = ["observing"]


class InPlace(CompleteCaseRegressor):
    """Stands in the place of a regressor; a search sets its parameters by the same names."""

    def set_params(self, **params: Any) -> "InPlace":
        """Set parameters of the regressor, under the names that it has for them."""
        self.regressor.set_params(**params)
        return self


def observing(regressor: Any, y: Floats, missing_targets: str = "auto") -> Any:
    """Clone a regressor, made fit for targets that are missing or several where needed.

    Parameters
    ----------
    regressor : estimator
        A regressor, or whatever wraps one: a pipeline, a search, a class of somebody's own.
    y : ndarray of shape (n,) or (n, n_outputs)
        The targets on which it will be fitted.
    missing_targets : {"auto", "pass", "drop"}, default="auto"
        As in :class:`~sklearn_jobtime.AnchoredRegressor`.

    Returns
    -------
    estimator
        As it is, or with the regressor in which it ends in a :class:`CompleteCaseRegressor`.

    Raises
    ------
    ValueError
        When rows would have to be left out in front of a part that reads other rows, such as a
        windower, so that it would take the failed runs for runs that never were.
    """
    regressor = clone(regressor)
    if missing_targets == "pass":
        return regressor
    is_dropped = missing_targets == "drop"
    return _prepared(regressor, bool(np.isnan(y).any()) or is_dropped, y.ndim == 2, is_dropped)


def _prepared(regressor: Any, is_missing: bool, is_several: bool, is_dropped: bool) -> Any:
    if isinstance(regressor, FrozenEstimator):
        return regressor  # its fit reads nothing
    if isinstance(regressor, Pipeline):
        name, last = regressor.steps[-1]
        last = _prepared(last, is_missing, is_several, is_dropped)
        regressor.steps[-1] = (name, last)
        return regressor
    if is_dropped or _copes(regressor, is_missing, is_several):
        return CompleteCaseRegressor(regressor) if is_dropped else regressor
    readers = parts_that_read_other_rows(regressor)
    if not readers:
        return InPlace(regressor)
    inside, name = wrapped(regressor), type(regressor).__name__
    if inside is None or (is_missing and _refuses_missing(regressor)):
        raise ValueError(
            f"y has missing targets or several outputs, which {name} does not take, and rows "
            f"cannot be left out in front of it: {', '.join(dict.fromkeys(readers))} inside it may "
            "read other rows, those of failed runs too. Put it behind that part instead, as the "
            f"last step of the pipeline: Pipeline([..., ('last', {name}(...))])."
        )
    prepared = _prepared(getattr(regressor, inside), is_missing, is_several, is_dropped)
    return regressor.set_params(**{inside: prepared})


def _copes(regressor: Any, is_missing: bool, is_several: bool) -> bool:
    """Tell whether a regressor takes such targets, as its tags say."""
    if is_search(regressor):  # its tags do not tell of several outputs
        return _copes(regressor.estimator, is_missing, is_several)
    if isinstance(regressor, Pipeline):
        return _copes(regressor[-1], is_missing, is_several)
    takes_several = get_tags(regressor).target_tags.multi_output
    has_all = not is_missing and (takes_several or not is_several)
    return masks_missing_targets(regressor) or has_all


def _refuses_missing(regressor: Any) -> bool:
    """Tell whether a wrapper checks that y has no NaN, as those of scikit-learn do."""
    own = type(regressor).__module__.startswith("sklearn.")
    return own and not is_search(regressor)


def wrapped(regressor: Any) -> str | None:
    """Give the name of the one parameter that is an estimator; None where there is no such one.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.linear_model import Ridge
    >>> wrapped(TransformedTargetRegressor(Ridge())), wrapped(Ridge())
    ('regressor', None)
    """
    params = regressor.get_params(deep=False)
    found = [
        name for name, one in params.items() if hasattr(one, "fit") and hasattr(one, "predict")
    ]
    return found[0] if len(found) == 1 else None


def parts_that_read_other_rows(regressor: Any) -> list[str]:
    """Name what is in a regressor, at any depth, and reads more than the row itself.

    Of scikit-learn's own transformers each row stands for itself; of others nobody knows.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_jobtime.preprocessing import SequenceWindower
    >>> parts_that_read_other_rows(make_pipeline(StandardScaler(), SequenceWindower(), Ridge()))
    ['SequenceWindower']
    """
    parts = [regressor, *regressor.get_params(deep=True).values()]
    estimators = [one for one in parts if hasattr(one, "fit") and not isinstance(one, type)]
    return [type(one).__name__ for one in estimators if _may_read_other_rows(one)]


def _may_read_other_rows(estimator: Any) -> bool:
    if isinstance(estimator, FunctionTransformer):
        return True
    if type(estimator).__module__.startswith("sklearn."):
        return False
    return hasattr(estimator, "transform") or looks_back(estimator)
