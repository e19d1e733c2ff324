"""Transformers that turn a run table into numbers: times, failures, levels, ranges."""

from sklearn_jobtime.preprocessing._failures import FailureImputer
from sklearn_jobtime.preprocessing._level import LevelScaler
from sklearn_jobtime.preprocessing._minmax import MinMaxScaler
from sklearn_jobtime.preprocessing._timestamps import TimestampToNumeric

__all__ = ["FailureImputer", "LevelScaler", "MinMaxScaler", "TimestampToNumeric"]
