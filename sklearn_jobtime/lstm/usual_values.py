"""Mean and standard deviation of the usual values: a few hung runs have no say in them."""

from collections.abc import Callable, Iterable

import numpy as np

from sklearn_jobtime._typing import Floats

__all__ = ["is_constant", "mean_and_scale", "usual_range"]


TAIL = 0.025  # share of the values, on either side, that may be anything
REACH = 2.0  # usual values lie within that many widths of the rest; 10 deviations if normal
RARE_REACH = 20.0  # the same, in typical deviations, where the rest is one value

# Makes the chunks of a table anew: ``(k, ..., n_features)``, and the weights of their rows or None.
Chunks = Callable[[], Iterable[tuple[Floats, Floats | None]]]


def usual_range(values: Floats, weight: Floats | None, one_run: float = 1.0) -> tuple[float, float]:
    """Return the bounds of the usual values.

    The largest and the smallest values, 2.5 % of each and no less than one run, may be anything:
    the bounds lie two widths of all others beyond these. Rare events are usual values as long as
    they are more than that, or not out of all proportion where the others are constant: a flag
    that is raised now and then.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Without NaN.
    weight : ndarray of shape (n,) or None
        How often each of them counts.
    one_run : float, default=1.0
        How much of the weight may be values of one and the same run.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.usual_values import usual_range
    >>> usual_range(np.array([10.0, 20.0, 30.0, 40.0, 50.0, 1e6]), None)
    (-40.0, 110.0)
    >>> usual_range(np.array([0.0] * 99 + [1.0]), None)
    (-20.0, 20.0)
    """
    if not len(values):
        return -np.inf, np.inf
    weight = np.ones(len(values)) if weight is None else weight
    order = np.argsort(values, kind="stable")
    values, weight = values[order], weight[order]
    total = weight.sum()
    tail = min(max(TAIL * total, one_run), total / 4)
    low = weighted_quantile(values, weight, tail)
    high = -weighted_quantile(-values[::-1], weight[::-1], tail)
    if high > low:
        return low - REACH * (high - low), high + REACH * (high - low)
    away = np.abs(values - low)
    away, weight = away[away > 0], weight[away > 0]
    order = np.argsort(away, kind="stable")
    away, weight = away[order], weight[order]
    typical = weighted_quantile(away, weight, weight.sum() / 2) if len(away) else 0.0
    # One hung run among constant ones is as typical as can be: durations have a proportion.
    reach = RARE_REACH * (min(typical, abs(low)) if low else typical)
    return low - reach, low + reach


def weighted_quantile(values: Floats, weight: Floats, position: float) -> float:
    """Return the first of the sorted values up to which more of the weight has come."""
    reached = np.searchsorted(np.cumsum(weight), position * (1 + 1e-12), side="right")
    return float(values[min(int(reached), len(values) - 1)])


def mean_and_scale(chunks: Chunks, bounds: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each feature, of its values within the bounds; NaN skipped.

    Two passes in float64, so that a large offset (epoch seconds) costs no precision. A feature
    without a value has the mean 0, a constant one the scale 0.

    Parameters
    ----------
    chunks : callable
    bounds : ndarray of shape (2, n_features)
    """
    low, high = bounds

    def usual() -> Iterable[tuple[Floats, Floats | None]]:
        for chunk, weight in chunks():
            is_usual = (chunk >= low) & (chunk <= high) | np.isnan(chunk)
            yield (chunk if is_usual.all() else np.where(is_usual, chunk, np.nan)), weight

    count, mean, squares = np.zeros((3, bounds.shape[1]))
    for chunk, weight in usual():
        count += total((~np.isnan(chunk)).astype(np.float64), weight)
        mean += total(chunk, weight)
    count[count == 0] = 1.0
    mean /= count
    for chunk, weight in usual():
        squares += total(np.square(chunk - mean), weight)
    scale = np.sqrt(squares / count)
    return mean, np.where(is_constant(mean, scale), 0.0, scale)


def total(values: Floats, weight: Floats | None) -> Floats:
    """Sum over all axes but the last, each row as often as its weight says; NaN skipped."""
    axes = tuple(range(1, values.ndim - 1))
    if weight is None:
        return np.nansum(values, axis=(0, *axes), dtype=np.float64)
    return weight @ np.nansum(values, axis=axes, dtype=np.float64)


def is_constant(mean: Floats, scale: Floats) -> np.ndarray:
    """Tell which standard deviations are zero, up to the rounding of the mean."""
    return scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)
