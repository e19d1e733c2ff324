"""Recurrent networks for job run times: the network, its training, the scikit-learn estimators.

The network itself loads on first use, since it is torch's: the estimators need torch to fit only.
"""

from typing import TYPE_CHECKING, Any

from sklearn_jobtime.lstm.forecaster import LSTMForecaster
from sklearn_jobtime.lstm.options import NetworkOptions
from sklearn_jobtime.lstm.residual import ResidualForecaster
from sklearn_jobtime.lstm.stateful import StatefulForecaster

if TYPE_CHECKING:
    from sklearn_jobtime.lstm.network import LSTMNetwork, RecurrentLayers

__all__ = [
    "LSTMForecaster",
    "LSTMNetwork",
    "NetworkOptions",
    "RecurrentLayers",
    "ResidualForecaster",
    "StatefulForecaster",
]


def __getattr__(name: str) -> Any:
    if name not in ("LSTMNetwork", "RecurrentLayers"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sklearn_jobtime.lstm import network

    return getattr(network, name)
