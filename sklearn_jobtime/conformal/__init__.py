"""Intervals and chances from the errors of any forecaster: conformal prediction."""

from sklearn_jobtime.conformal._adaptive import AdaptiveBound
from sklearn_jobtime.conformal._drift import DriftAlarm
from sklearn_jobtime.conformal._duration_distribution import DurationDistribution
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._inner_estimators import RecentSpread
from sklearn_jobtime.conformal._online_update import OnlineUpdate, online_update
from sklearn_jobtime.conformal._quantiles import rows_needed
from sklearn_jobtime.conformal._scores import (
    AbsoluteScore,
    ConformityScore,
    LogRatioScore,
    NormalisedScore,
    QuantileScore,
)

__all__ = [
    "AbsoluteScore",
    "AdaptiveBound",
    "ConformalForecaster",
    "ConformityScore",
    "DriftAlarm",
    "DurationDistribution",
    "LogRatioScore",
    "NormalisedScore",
    "OnlineUpdate",
    "QuantileScore",
    "RecentSpread",
    "online_update",
    "rows_needed",
]
