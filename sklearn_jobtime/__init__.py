"""Forecasts of job run times from run histories, as scikit-learn estimators.

The public names load on first use (PEP 562): ``import sklearn_jobtime`` itself loads neither
torch nor matplotlib, so that a command line or a scheduler starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sklearn_jobtime._version import __version__

if TYPE_CHECKING:
    from sklearn_jobtime.anchored import AnchoredRegressor
    from sklearn_jobtime.anomaly import JobTimeAnomalyDetector
    from sklearn_jobtime.conformal import ConformalForecaster
    from sklearn_jobtime.forecast_mean import ForecastMean
    from sklearn_jobtime.lstm.forecaster import LSTMForecaster
    from sklearn_jobtime.lstm.stateful import StatefulForecaster
    from sklearn_jobtime.lstm.tagger import LSTMTagger
    from sklearn_jobtime.pooled_steps import PooledSteps
    from sklearn_jobtime.preprocessing import (
        CovariateEncoder,
        FailureImputer,
        LevelScaler,
        MinMaxScaler,
        RecentRuns,
        SeriesEncoder,
        TimestampToNumeric,
    )
    from sklearn_jobtime.windows import SequenceWindower

_HOME = {
    "AnchoredRegressor": "anchored",
    "ConformalForecaster": "conformal",
    "CovariateEncoder": "preprocessing",
    "FailureImputer": "preprocessing",
    "ForecastMean": "forecast_mean",
    "JobTimeAnomalyDetector": "anomaly",
    "LSTMForecaster": "lstm.forecaster",
    "LSTMTagger": "lstm.tagger",
    "LevelScaler": "preprocessing",
    "MinMaxScaler": "preprocessing",
    "PooledSteps": "pooled_steps",
    "RecentRuns": "preprocessing",
    "SequenceWindower": "windows",
    "SeriesEncoder": "preprocessing",
    "StatefulForecaster": "lstm.stateful",
    "TimestampToNumeric": "preprocessing",
}

__all__ = [
    "AnchoredRegressor",
    "ConformalForecaster",
    "CovariateEncoder",
    "FailureImputer",
    "ForecastMean",
    "JobTimeAnomalyDetector",
    "LSTMForecaster",
    "LSTMTagger",
    "LevelScaler",
    "MinMaxScaler",
    "PooledSteps",
    "RecentRuns",
    "SequenceWindower",
    "SeriesEncoder",
    "StatefulForecaster",
    "TimestampToNumeric",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
