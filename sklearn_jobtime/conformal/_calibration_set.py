"""The rows whose errors calibrate the bounds, and the runs that `update` added to them."""

from collections import deque

import numpy as np
from numpy.typing import ArrayLike

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.runs._target_arrays import shaped

__all__ = ["CalibrationSet", "latest", "read_outcomes"]


N_UPDATED = 1000  # newest rows of `update` that are kept


class CalibrationSet:
    """Forecasts of runs that were not learned from, and what these runs took.

    Parameters
    ----------
    forecasts, targets, at_least : ndarray of shape (n, n_outputs)
        Of the calibration rows: forecasts, durations and lower bounds of right-censored runs, in
        seconds; NaN where there is none.
    weights : ndarray of shape (n,), default=None
        How much each of them counts; None: 1, as those that are added.
    started : ndarray of shape (n,), default=None
        When each of them started, in seconds since 1970; None: not known.

    Examples
    --------
    >>> unknown = np.full((2, 1), np.nan)
    >>> rows = CalibrationSet(np.full((2, 1), 60.0), np.full((2, 1), 66.0), unknown)
    >>> rows.add(np.full((1, 1), 50.0), np.full((1, 1), 70.0), unknown[:1])
    >>> [part[:, 0].tolist() for part in rows.arrays()]
    [[60.0, 60.0, 50.0], [66.0, 66.0, 70.0], [nan, nan, nan]]
    """

    def __init__(
        self,
        forecasts: Floats,
        targets: Floats,
        at_least: Floats,
        weights: Floats | None = None,
        started: Floats | None = None,
    ) -> None:
        self._weights = weights
        self._started = np.full(len(forecasts), np.nan) if started is None else started
        self._rows = np.stack([forecasts, targets, at_least], axis=1)
        n_kept = max(N_UPDATED, len(forecasts))
        self._updated: deque[tuple[Floats, ...]] = deque(maxlen=n_kept)
        self._updated_started: deque[float] = deque(maxlen=n_kept)

    def add(
        self,
        forecasts: Floats,
        targets: Floats,
        at_least: Floats,
        started: Floats | None = None,
    ) -> None:
        """Add rows that say something; the oldest of those that were added are forgotten."""
        rows = np.flatnonzero(~np.isnan(np.fmax(targets, at_least)).all(axis=1))
        self._updated.extend(zip(forecasts[rows], targets[rows], at_least[rows], strict=True))
        when = np.full(len(targets), np.nan) if started is None else started
        self._updated_started.extend(when[rows].tolist())

    def weights(self) -> Floats | None:
        """Give the weights of the same rows; None where all count alike."""
        if self._weights is None:
            return None
        return np.concatenate([self._weights, np.ones(len(self._updated))])

    def started(self) -> Floats:
        """Give the starts of the same rows, in seconds since 1970; NaN where not known."""
        return np.concatenate([self._started, np.array(self._updated_started, dtype=np.float64)])

    def arrays(self) -> tuple[Floats, Floats, Floats]:
        """Give the calibration rows, then those that were added."""
        rows = self._rows
        if self._updated:
            rows = np.concatenate([rows, np.array(self._updated)])
        return rows[:, 0], rows[:, 1], rows[:, 2]


def latest(ended: Floats | None, known: float = np.nan) -> float:
    """Newest of some ends in seconds and of a known one; NaN where there is none.

    Examples
    --------
    >>> latest(np.array([60.0, np.nan])), latest(np.array([np.nan]), 90.0), latest(None)
    (60.0, 90.0, nan)
    """
    return known if ended is None else float(np.fmax.reduce(ended, initial=known))


def read_outcomes(
    shape: tuple[int, ...], y: ArrayLike, at_least: ArrayLike | None
) -> tuple[Floats, Floats]:
    """Read what became of forecasts of a shape: durations, and lower bounds of censored runs."""
    targets = shaped(y, "y")
    lower_bounds = np.full_like(targets, np.nan)
    if at_least is not None:
        lower_bounds = shaped(at_least, "at_least")
    if not targets.shape == lower_bounds.shape == shape:
        raise ValueError(
            f"there are {shape[0]} forecasts of {shape[1]} outputs, y has the shape "
            f"{targets.shape} and at_least {lower_bounds.shape}; expected one for each."
        )
    return targets, lower_bounds
