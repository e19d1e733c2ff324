"""What windows and targets are standardised with: one pass over views, nothing copied whole."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_no_infinity", "targets_mean_and_scale", "windows_mean_and_scale"]

Floats = NDArray[np.floating[Any]]

# Numbers looked at at once: half a megabyte, so that a view on windows is never copied whole.
_CHUNK = 2**16


def window_chunks(X: Floats) -> Iterator[Floats]:
    """Yield `X` in slices of rows, each of a bounded size."""
    rows = max(1, _CHUNK // max(1, X[:1].size))
    for start in range(0, len(X), rows):
        yield X[start : start + rows]


def check_no_infinity(X: Floats) -> None:
    """Raise a ValueError when a window holds an infinite value; NaN is allowed."""
    for chunk in window_chunks(X):
        if np.isinf(chunk).any():
            raise ValueError(
                "Input X contains infinity; expected finite durations, or NaN where one is not "
                "known. If inf marks failed jobs, put FailureImputer() before the windows."
            )


def windows_mean_and_scale(X: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation per feature over rows and steps, NaN skipped.

    Two passes in float64, so that a large offset (epoch seconds) costs no precision. A constant
    feature has the scale 1, one never known also the mean 0.
    """
    count = np.zeros(X.shape[2])
    total = np.zeros(X.shape[2])
    for chunk in window_chunks(X):
        count += (~np.isnan(chunk)).sum(axis=(0, 1))
        total += np.nansum(chunk, axis=(0, 1), dtype=np.float64)
    mean = total / np.maximum(count, 1)
    squares = np.zeros(X.shape[2])
    for chunk in window_chunks(X):
        squares += np.nansum(np.square(chunk - mean), axis=(0, 1))
    scale = np.sqrt(squares / np.maximum(count, 1))
    return mean, np.where(is_constant(mean, scale), 1.0, scale)


def targets_mean_and_scale(y: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation per output, NaN skipped; the scale of a constant output is 0."""
    count = (~np.isnan(y)).sum(axis=0)
    mean = np.nansum(y, axis=0) / count
    scale = np.sqrt(np.nansum(np.square(y - mean), axis=0) / count)
    return mean, np.where(is_constant(mean, scale), 0.0, scale)


def is_constant(mean: Floats, scale: Floats) -> NDArray[np.bool_]:
    """Tell which standard deviations are zero, up to the rounding of the mean."""
    return scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)
