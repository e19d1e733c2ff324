"""Regressors around other regressors: on a base forecast, averaged, step by step."""

from sklearn_jobtime.compose._anchored import AnchoredRegressor
from sklearn_jobtime.compose._direct_steps import PooledSteps
from sklearn_jobtime.compose._forecast_mean import ForecastMean
from sklearn_jobtime.compose._observed import ObservedRegressor

__all__ = ["AnchoredRegressor", "ForecastMean", "ObservedRegressor", "PooledSteps"]
