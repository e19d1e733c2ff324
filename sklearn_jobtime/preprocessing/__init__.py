"""Transformers that turn a run table into numbers: times, failures, covariates, levels."""

from sklearn_jobtime.preprocessing._covariates import CovariateEncoder
from sklearn_jobtime.preprocessing._failures import FailureImputer
from sklearn_jobtime.preprocessing._level import LevelScaler
from sklearn_jobtime.preprocessing._minmax import MinMaxScaler
from sklearn_jobtime.preprocessing._recent import RecentRuns
from sklearn_jobtime.preprocessing._series import SeriesEncoder
from sklearn_jobtime.preprocessing._timestamps import TimestampToNumeric
from sklearn_jobtime.preprocessing._windows import SequenceWindower

__all__ = [
    "CovariateEncoder",
    "FailureImputer",
    "LevelScaler",
    "MinMaxScaler",
    "RecentRuns",
    "SequenceWindower",
    "SeriesEncoder",
    "TimestampToNumeric",
]
