"""The baselines that people use today, and their weighted average."""

from sklearn_jobtime.baselines._baseline import Baseline
from sklearn_jobtime.baselines._history_regressor import HistoryRegressor, Learned
from sklearn_jobtime.baselines._online_mix import OnlineMix, averaged_baselines
from sklearn_jobtime.baselines._rules import (
    ExponentialMean,
    JenkinsRule,
    RollingRule,
    SeasonalRule,
)

__all__ = [
    "Baseline",
    "ExponentialMean",
    "HistoryRegressor",
    "JenkinsRule",
    "Learned",
    "OnlineMix",
    "RollingRule",
    "SeasonalRule",
    "averaged_baselines",
]
