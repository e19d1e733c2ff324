"""An alarm for errors that are no longer what they were."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from statistics import NormalDist

import numpy as np

__all__ = ["ALARM", "ENOUGH", "NORMAL", "QUIET", "SLACK", "DriftAlarm"]


NORMAL = NormalDist()

QUIET = 30  # runs after an alarm that become what is usual
ENOUGH = 100  # errors that say well what is usual; until then each one more does
SLACK = 0.5  # standard deviations that are no drift
ALARM = 8.0  # without drift, one alarm in about ten thousand runs


class DriftAlarm:
    """Tells, once, that errors are no longer what they were.

    Each error is looked up among those that are usual; where it stands there, as a normal
    deviate, is added up for as long as it points to one side (a two-sided CUSUM). After an alarm
    the next `QUIET` errors become what is usual, so one shift alarms once.

    Parameters
    ----------
    errors : iterable of float
        Errors that are usual.
    n_alarms : int, default=1
        How many such alarms are listened to; false ones stay as rare for all of them together.

    Attributes
    ----------
    figure : float
        From -1 (errors have become smaller, an alarm) over 0 to 1 (larger, an alarm); it stays
        there until it is known again what is usual.

    References
    ----------
    E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954.

    Examples
    --------
    >>> from sklearn_jobtime.conformal import DriftAlarm
    >>> alarm = DriftAlarm(range(100))
    >>> [alarm.step(error) for error in (20, 70, 40, 120, 130, 125, 150, 130, 140)].index(True)
    6
    >>> round(alarm.figure)
    1
    """

    def __init__(self, errors: Iterable[float], n_alarms: int = 1) -> None:
        self._usual = sorted(errors)
        self._limit = ALARM + float(np.log(n_alarms))
        self._new: list[float] | None = None
        self._up = self._down = 0.0
        self.figure = 0.0

    def step(self, error: float) -> bool:
        """Learn of one error more, and tell whether it was the one too many."""
        if self._new is not None:
            self._new.append(error)
            if len(self._new) == QUIET:
                self._usual, self._new, self.figure = sorted(self._new), None, 0.0
            return False
        usual = self._usual
        place = (bisect_left(usual, error) + bisect_right(usual, error) + 1) / 2
        deviate = NORMAL.inv_cdf(place / (len(usual) + 1))
        self._up = max(0.0, self._up + deviate - SLACK)
        self._down = max(0.0, self._down - deviate - SLACK)
        furthest = self._up if self._up >= self._down else -self._down
        self.figure = max(-1.0, min(1.0, furthest / self._limit))
        if abs(self.figure) < 1:
            if len(usual) < ENOUGH:
                insort(usual, error)
            return False
        self._new, self._up, self._down = [], 0.0, 0.0
        return True
