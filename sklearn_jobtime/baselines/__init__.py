"""The baselines that people use today, and their weighted average."""

from sklearn_jobtime.baselines._base import HistoryRegressor
from sklearn_jobtime.baselines._online_mix import OnlineMix, mixed_rules
from sklearn_jobtime.baselines._rules import (
    ExponentialMean,
    JenkinsRule,
    RollingRule,
    Rule,
    SeasonalRule,
)

__all__ = [
    "ExponentialMean",
    "HistoryRegressor",
    "JenkinsRule",
    "OnlineMix",
    "RollingRule",
    "Rule",
    "SeasonalRule",
    "mixed_rules",
]
