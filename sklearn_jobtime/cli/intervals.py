"""The model inside the intervals, and models that have to have some.

What the command line needs of :mod:`sklearn_jobtime.conformal` is named here, in one place.
"""

from typing import Any

from sklearn.base import BaseEstimator

from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._nominal_coverage import (
    SIMULTANEOUS,
    NominalCoverage,
    coverage_record,
    few_runs_noted,
)
from sklearn_jobtime.exceptions import ModelFileError

__all__ = [
    "SIMULTANEOUS",
    "NominalCoverage",
    "conformal",
    "coverage_record",
    "few_runs_noted",
    "point_model",
]


def point_model(model: BaseEstimator) -> BaseEstimator:
    """Give the model inside the intervals, fitted if they are; a model without any is itself."""
    if not isinstance(model, ConformalForecaster):
        return model
    return getattr(model, "estimator_", model.estimator)


def conformal(model: BaseEstimator, path: Any) -> ConformalForecaster:
    """Make sure that a stored model has intervals."""
    if not isinstance(model, ConformalForecaster):
        raise ModelFileError(
            f"{path}: holds {type(model).__name__} without intervals, so nothing says how far a "
            "run may be from its forecast; store one with `jobtime fit --coverage 0.9`."
        )
    return model
