"""Parameters of a conformal forecaster that would do nothing are errors."""

from inspect import signature
from typing import Any

import pandas as pd
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_jobtime.conformal._inner_estimators import is_prefit
from sklearn_jobtime.conformal._scores import ConformityScore

__all__ = ["check_used", "is_default"]


NEEDS_SPLIT = "cv=None and an estimator that is not frozen"


def is_default(estimator: Any, name: str) -> bool:
    """Tell whether a parameter has its default."""
    default = signature(type(estimator).__init__).parameters[name].default
    value = getattr(estimator, name)
    return value is default or (isinstance(value, int | float) and bool(value == default))


def check_used(forecaster: Any, score: ConformityScore, X: Any, names: pd.Index | None) -> None:
    """Raise where a parameter that was set has no part in the fit.

    Parameters
    ----------
    forecaster : ConformalForecaster
    score : ConformityScore
        The one that it uses.
    X : DataFrame or array
    names : Index or None
        The columns of `y`.

    Raises
    ------
    InvalidParameterError
        With the names of the parameter, and of what it takes for it to have one.
    """
    chosen = f"conformity_score={forecaster.conformity_score!r}"
    calibrates = f"cv={forecaster.cv!r} and estimator={type(forecaster.estimator).__name__}"
    splits = forecaster.cv is None and not is_prefit(forecaster)
    steps = None
    if isinstance(names, pd.MultiIndex):
        steps = names.get_level_values(0).nunique()
    is_pool = isinstance(X, pd.DataFrame) and X.index.nlevels > 1
    for name, is_used, given, needed in [
        ("scale_model", score.needs_scale_model, chosen, "conformity_score='normalised'"),
        ("quantile_estimators", score.needs_quantile_estimators, chosen, "'quantile'"),
        ("calibration_fraction", splits or score.needs_scale_model, calibrates, NEEDS_SPLIT),
        ("refit", splits, calibrates, NEEDS_SPLIT),
        ("horizon", steps in (None, forecaster.horizon), f"y of {steps} named steps", "an array"),
        (
            "group_conditional",
            is_pool,
            "an index of X without series",
            "a MultiIndex (series, run)",
        ),
    ]:
        if not is_used and not is_default(forecaster, name):
            raise InvalidParameterError(
                f"{name}={getattr(forecaster, name)!r} has no part with {given}; leave it out, or "
                f"give what it takes: {needed}."
            )
