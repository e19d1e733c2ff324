"""Regressors around other regressors: on a base forecast, averaged, step by step."""

from sklearn_jobtime.compose._anchored import AnchoredRegressor
from sklearn_jobtime.compose._boosted_trees import BoostedTreesRegressor
from sklearn_jobtime.compose._complete_case import CompleteCaseRegressor
from sklearn_jobtime.compose._direct_steps import DirectMultiStepRegressor
from sklearn_jobtime.compose._forecast_mean import ForecastMean

__all__ = [
    "AnchoredRegressor",
    "BoostedTreesRegressor",
    "CompleteCaseRegressor",
    "DirectMultiStepRegressor",
    "ForecastMean",
]
