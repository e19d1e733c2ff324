"""Durations as logarithms of their ratio to what a job usually takes, and back."""

import numpy as np

from sklearn_jobtime._typing import Floats

__all__ = ["from_log_ratio", "least_duration", "log_ratio"]


def least_duration(seconds: Floats) -> float:
    """Half the smallest positive duration: what a rounded 0 s may have been; 1 if there is none."""
    positive = seconds[(seconds > 0) & np.isfinite(seconds)]
    return float(positive.min()) / 2 if positive.size else 1.0


def log_ratio(seconds: Floats, usual: Floats, floor: float, clip: float = np.inf) -> Floats:
    """Logarithm of `seconds` over `usual`, both at least `floor`; NaN stays NaN.

    Beyond `clip`, above or below, it is `clip`.

    Examples
    --------
    >>> import numpy as np
    >>> log_ratio(np.array([60.0, 120.0, np.nan]), np.array([60.0]), floor=0.5).round(2)
    array([0.  , 0.69,  nan])
    """
    ratios = np.log(np.maximum(seconds, floor)) - np.log(np.maximum(usual, floor))
    return np.clip(ratios, -clip, clip)


def from_log_ratio(ratios: Floats, usual: Floats, floor: float) -> Floats:
    """Inverse of :func:`log_ratio`: the seconds that have these log ratios to `usual`."""
    return np.exp(ratios) * np.maximum(usual, floor)
