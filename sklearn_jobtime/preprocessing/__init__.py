"""Transformers that turn a run table into numbers: times, failures, ranges."""

from sklearn_jobtime.preprocessing._failures import FailureImputer
from sklearn_jobtime.preprocessing._minmax import MinMaxScaler
from sklearn_jobtime.preprocessing._timestamps import TimestampToNumeric

__all__ = ["FailureImputer", "MinMaxScaler", "TimestampToNumeric"]
