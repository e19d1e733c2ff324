"""Recurrent networks for job run times: the network, its training, the scikit-learn estimators."""

from sklearn_jobtime.lstm.forecaster import LSTMForecaster
from sklearn_jobtime.lstm.network import LSTMNetwork, RecurrentLayers
from sklearn_jobtime.lstm.options import NetworkOptions
from sklearn_jobtime.lstm.residual import ResidualForecaster
from sklearn_jobtime.lstm.stateful import StatefulForecaster

__all__ = [
    "LSTMForecaster",
    "LSTMNetwork",
    "NetworkOptions",
    "RecurrentLayers",
    "ResidualForecaster",
    "StatefulForecaster",
]
