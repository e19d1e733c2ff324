"""Forecasts of job run times from run histories, as scikit-learn estimators.

The public names load on first use (PEP 562): ``import sklearn_jobtime`` itself loads neither
torch nor matplotlib, so that a command line or a scheduler starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sklearn_jobtime._version import __version__

if TYPE_CHECKING:
    from sklearn_jobtime.anomaly import JobTimeAnomalyDetector
    from sklearn_jobtime.baselines import OnlineMix
    from sklearn_jobtime.compose import AnchoredRegressor, DirectMultiStepRegressor, ForecastMean
    from sklearn_jobtime.conformal import ConformalForecaster, DurationDistribution
    from sklearn_jobtime.datasets import make_job_runs
    from sklearn_jobtime.evaluation import evaluate
    from sklearn_jobtime.forecasting import forecast
    from sklearn_jobtime.inspection import job_linkage
    from sklearn_jobtime.lstm import LSTMForecaster, StatefulForecaster
    from sklearn_jobtime.pipeline import make_anchored_forecaster, make_forecast_pipeline
    from sklearn_jobtime.preprocessing import (
        CovariateEncoder,
        FailureImputer,
        LevelScaler,
        MinMaxScaler,
        RecentRuns,
        SequenceWindower,
        SeriesEncoder,
        TimestampToNumeric,
    )
    from sklearn_jobtime.runs import make_lower_bounds, make_targets, validate_runs
    from sklearn_jobtime.tagging import LSTMTagger

_HOME = {
    "AnchoredRegressor": "compose",
    "ConformalForecaster": "conformal",
    "CovariateEncoder": "preprocessing",
    "DurationDistribution": "conformal",
    "FailureImputer": "preprocessing",
    "ForecastMean": "compose",
    "JobTimeAnomalyDetector": "anomaly",
    "LSTMForecaster": "lstm",
    "LSTMTagger": "tagging",
    "LevelScaler": "preprocessing",
    "MinMaxScaler": "preprocessing",
    "OnlineMix": "baselines",
    "DirectMultiStepRegressor": "compose",
    "RecentRuns": "preprocessing",
    "SequenceWindower": "preprocessing",
    "SeriesEncoder": "preprocessing",
    "StatefulForecaster": "lstm",
    "TimestampToNumeric": "preprocessing",
    "evaluate": "evaluation",
    "forecast": "forecasting",
    "job_linkage": "inspection",
    "make_anchored_forecaster": "pipeline",
    "make_forecast_pipeline": "pipeline",
    "make_job_runs": "datasets",
    "make_lower_bounds": "runs",
    "make_targets": "runs",
    "validate_runs": "runs",
}

__all__ = [
    "AnchoredRegressor",
    "ConformalForecaster",
    "CovariateEncoder",
    "DirectMultiStepRegressor",
    "DurationDistribution",
    "FailureImputer",
    "ForecastMean",
    "JobTimeAnomalyDetector",
    "LSTMForecaster",
    "LSTMTagger",
    "LevelScaler",
    "MinMaxScaler",
    "OnlineMix",
    "RecentRuns",
    "SequenceWindower",
    "SeriesEncoder",
    "StatefulForecaster",
    "TimestampToNumeric",
    "__version__",
    "evaluate",
    "forecast",
    "job_linkage",
    "make_anchored_forecaster",
    "make_forecast_pipeline",
    "make_job_runs",
    "make_lower_bounds",
    "make_targets",
    "validate_runs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
