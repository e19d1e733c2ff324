"""Durations as logarithms of their ratio to what a job usually takes, and back."""

import numpy as np

from sklearn_jobtime._typing import Floats

__all__ = [
    "FINEST",
    "clock_tick",
    "from_log_ratio",
    "indistinct_durations",
    "least_duration",
    "log_ratio",
]


FINEST = 1e-3  # seconds: clocks tell no less, and the log of 0 s says nothing
RESOLUTIONS = (1.0, 0.1, 0.01)  # of clocks that are coarser
TOLERANCE = 1e-6  # of a resolution, for what arithmetic rounds
MINUTE = 60.0
ENOUGH_TIMES = 10  # ends on whole minutes by chance: never so many


def least_duration(seconds: Floats) -> float:
    """Give what 0 s counts as: half the smallest positive duration, or what the clock tells.

    Where the clock is coarse (:func:`indistinct_durations`) it is no less than that. 1 if no
    duration is positive.

    Examples
    --------
    >>> [least_duration(np.array(seconds)) for seconds in ([0.3, 0.55], [0.0, 1.0, 60.0], [0.0])]
    [0.15, 2.0, 1.0]
    """
    positive = seconds[(seconds > 0) & np.isfinite(seconds)]
    if not positive.size:
        return 1.0
    return max(float(positive.min()) / 2, float(indistinct_durations(positive[:, None])[0]))


def clock_tick(started: Floats | None, ended: Floats | None) -> float:
    """Return 60 where all starts and ends are whole minutes, else 0: durations tell the rest.

    Durations of whole minutes may be no more than round numbers; starts and ends, at least ten of
    them, are those of a clock that counts minutes.

    Examples
    --------
    >>> minutes = 60.0 * np.arange(12)
    >>> clock_tick(minutes, minutes + 120.0), clock_tick(minutes, minutes + 90.0)
    (60.0, 0.0)
    """
    if started is None or ended is None:
        return 0.0
    known = np.isfinite(ended)
    times = np.concatenate([started[known], ended[known]])
    return MINUTE if known.sum() >= ENOUGH_TIMES and not (times % MINUTE).any() else 0.0


def indistinct_durations(seconds: Floats, tick: float = 0.0) -> Floats:
    """Below which duration those of each output tell nothing apart, for want of a finer clock.

    Slurm, GitHub and many others count whole seconds. A duration is the difference of two times
    that were cut so: 0 s and 2 s on paper may both have been 1 s. So durations up to twice the
    resolution of the clock are alike, and their ratios mean nothing. The resolution is the largest
    of `tick`, 1, 0.1 and 0.01 s of which all durations are multiples; where there is none it is
    taken to be finer than any ratio needs.

    Parameters
    ----------
    seconds : ndarray of shape (n, n_outputs)
        Observed durations; NaN where not observed.
    tick : float, default=0.0
        What starts and ends tell of the clock, as :func:`clock_tick` does.

    Returns
    -------
    ndarray of shape (n_outputs,)

    Examples
    --------
    >>> indistinct_durations(np.array([[3.0, 0.4, 1.234], [0.0, 12.3, 5.0]])).tolist()
    [2.0, 0.2, 0.001]
    """
    least = np.full(seconds.shape[1], FINEST)
    for k, output in enumerate(seconds.T):
        seen = output[np.isfinite(output) & (output > 0)]  # zeros alone tell nothing of a clock
        for resolution in (*([tick] if tick else []), *RESOLUTIONS) if len(seen) else ():
            ticks = seen / resolution
            if (np.abs(ticks - np.round(ticks)) <= TOLERANCE).all():
                least[k] = 2 * resolution
                break
    return least


def log_ratio(
    seconds: Floats, usual: Floats, floor: float | Floats, clip: float = np.inf
) -> Floats:
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


def from_log_ratio(ratios: Floats, usual: Floats, floor: float | Floats) -> Floats:
    """Inverse of :func:`log_ratio`: the seconds that have these log ratios to `usual`."""
    return np.exp(ratios) * np.maximum(usual, floor)
