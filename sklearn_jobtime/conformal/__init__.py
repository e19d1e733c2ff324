"""Intervals and chances from the errors of any forecaster: conformal prediction."""

from sklearn_jobtime.conformal._adaptive import AdaptiveBound
from sklearn_jobtime.conformal._drift import DriftAlarm
from sklearn_jobtime.conformal._duration_distribution import DurationDistribution
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._inner_estimators import RecentSpread
from sklearn_jobtime.conformal._online_update import Followed, follow
from sklearn_jobtime.conformal._quantiles import rows_needed

__all__ = [
    "AdaptiveBound",
    "ConformalForecaster",
    "DriftAlarm",
    "DurationDistribution",
    "Followed",
    "RecentSpread",
    "follow",
    "rows_needed",
]
