"""What a trained net is, as arrays and plain values, and the net that is made of them again.

A fitted estimator keeps these and nothing of torch: it then loads where there is no torch, on any
device, and forecasts with :mod:`~sklearn_jobtime.lstm.forward`.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["network_weights", "restore", "state_of", "with_weights"]


def as_arrays(value: Any) -> Any:
    """Give the tensors in a ``state_dict`` as arrays of their own; all else stays as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {key: as_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(as_arrays(item) for item in value)
    return value


def as_tensors(value: Any) -> Any:
    """Give the arrays of :func:`as_arrays` as tensors again."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return {key: as_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(as_tensors(item) for item in value)
    return value


def network_weights(module: nn.Module) -> dict[str, np.ndarray]:
    """Return the weights of a network, by their names in its ``state_dict``."""
    return as_arrays(dict(module.state_dict()))


def with_weights(module: nn.Module, weights: dict[str, np.ndarray]) -> nn.Module:
    """Give a network the weights of :func:`network_weights`, in place, and return it."""
    module.load_state_dict(as_tensors(weights))
    return module


def state_of(net: Any) -> dict[str, Any]:
    """Return what the training of a skorch net goes on with, beside the weights."""
    return {
        "optimizer": as_arrays(net.optimizer_.state_dict()),
        "criterion": as_arrays(dict(net.criterion_.state_dict())),
        "history": [dict(epoch) for epoch in net.history],
    }


def restore(net: Any, weights: dict[str, np.ndarray], state: dict[str, Any]) -> Any:
    """Bring an initialised skorch net to where another one was, in place, and return it."""
    with_weights(net.module_, weights).eval()
    net.criterion_.load_state_dict(as_tensors(state["criterion"]))
    # It casts the state to the device of the weights it belongs to.
    net.optimizer_.load_state_dict(as_tensors(state["optimizer"]))
    net.history.extend(dict(epoch) for epoch in state["history"])
    return net
