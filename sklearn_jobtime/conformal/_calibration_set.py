"""Which rows a forecaster learns from and which are held out, and what was known at the split."""

from collections import deque

import numpy as np

from sklearn_jobtime._typing import Floats

__all__ = ["HeldOut", "Told"]


N_TOLD = 1000  # newest rows that were told since


class HeldOut:
    """Forecasts of runs that were not learned from, what these took, and what was told since.

    Parameters
    ----------
    forecasts, targets, at_least : ndarray of shape (n, n_outputs)
        Of the rows that calibrate.

    Examples
    --------
    >>> unknown = np.full((2, 1), np.nan)
    >>> rows = HeldOut(np.full((2, 1), 60.0), np.full((2, 1), 66.0), unknown)
    >>> rows.add(np.full((1, 1), 50.0), np.full((1, 1), 70.0), unknown[:1])
    >>> [part[:, 0].tolist() for part in rows.arrays()]
    [[60.0, 60.0, 50.0], [66.0, 66.0, 70.0], [nan, nan, nan]]
    """

    def __init__(self, forecasts: Floats, targets: Floats, at_least: Floats) -> None:
        self._calibrating = np.stack([forecasts, targets, at_least], axis=1)
        self._told: deque[tuple[Floats, ...]] = deque(maxlen=max(N_TOLD, len(forecasts)))

    def add(self, forecasts: Floats, targets: Floats, at_least: Floats) -> None:
        """Add rows that say something; the oldest of those that were added are forgotten."""
        rows = np.flatnonzero(~np.isnan(np.fmax(targets, at_least)).all(axis=1))
        self._told.extend(zip(forecasts[rows], targets[rows], at_least[rows], strict=True))

    def arrays(self) -> tuple[Floats, Floats, Floats]:
        """Give the rows that calibrate, then the others."""
        rows = self._calibrating
        if self._told:
            rows = np.concatenate([rows, np.array(self._told)])
        return rows[:, 0], rows[:, 1], rows[:, 2]


class Told:
    """Until when a forecaster knows what became of runs, so that nothing is told to it twice.

    Parameters
    ----------
    ended : ndarray of shape (n,), or None
        When the runs ended that `fit` was given, in seconds since 1970; NaN = not yet.

    Attributes
    ----------
    until, fitted_until : float
        The newest end that it knows, and that `fit` knew; NaN where nobody said when runs ended.
    n_runs : int
        How many runs it was told of since.

    Examples
    --------
    >>> told = Told(np.array([60.0, np.nan]))
    >>> told.add(np.array([150.0, 90.0]), 2)
    >>> told.fitted_until, told.until, told.n_runs
    (60.0, 150.0, 2)
    """

    def __init__(self, ended: Floats | None) -> None:
        self.until = np.nan
        self.n_runs = 0
        self.add(np.empty(0) if ended is None else ended, 0)
        self.fitted_until = self.until

    def add(self, ended: Floats, n_runs: int) -> None:
        """Take note of runs that were told, and when these and others beside them had ended."""
        self.until = float(np.fmax.reduce(ended, initial=self.until))
        self.n_runs += n_runs
