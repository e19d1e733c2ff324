"""The history of one job: what had become of it before each row."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.point_in_time._clock import Clock
from sklearn_jobtime.point_in_time._order import EndedOrder
from sklearn_jobtime.point_in_time._rolling import decayed_sums, newest

__all__ = ["JobHistory", "newest_decayed_sums"]


@dataclass(frozen=True)
class JobHistory:
    """The runs of one job, and of which rows a forecast is asked.

    Parameters
    ----------
    job : hashable
        The column of the job.
    seconds : ndarray of shape (n,)
        Durations of the successful runs; NaN for the others.
    recorded : ndarray of shape (n,)
        Durations of all runs that have one, the failed and cancelled ones too.
    clock : Clock
        Series and times of the same rows.
    ended : EndedOrder
        The runs that had ended when each asked row started.
    remembered : ndarray of int
        The first rows of this table are these rows of the memory; a forecast is asked of those
        behind them.
    weights : ndarray of shape (n,), default=None
        How often the target of each row counts in `fit`; None: once.
    """

    job: Hashable
    seconds: Floats
    recorded: Floats
    clock: Clock
    ended: EndedOrder
    remembered: NDArray[np.intp]
    weights: Floats | None = None

    @property
    def first(self) -> int:
        """The first row of which a forecast is asked."""
        return len(self.remembered)

    @cached_property
    def successes(self) -> EndedOrder:
        """The successful runs in the order of their ends."""
        return self.order_of(~np.isnan(self.seconds))

    @property
    def n_known(self) -> Rows:
        """How many successful runs were known when each asked row started."""
        return self.successes.stop - self.successes.first

    def is_as(self, other: "JobHistory") -> bool:
        """Tell whether another job had the same history, such as the only one of each run."""
        return (
            self.ended is other.ended
            and self.weights is other.weights
            and np.array_equal(self.seconds, other.seconds, equal_nan=True)
            and np.array_equal(self.recorded, other.recorded, equal_nan=True)
        )

    def newest(self, n_runs: int) -> Floats:
        """Durations of the newest successful runs known when each asked row started, newest first.

        Parameters
        ----------
        n_runs : int
            How many to find.

        Returns
        -------
        ndarray of shape (n_asked, n_runs)
            NaN where the history is shorter. Read-only: copy it to change it.
        """
        widest = self.__dict__.get("_widest")
        if widest is None or widest.shape[1] < n_runs:
            widest = self.__dict__["_widest"] = newest(self.seconds, self.successes, n_runs)
        seen = widest[:, :n_runs]
        seen.flags.writeable = False  # rules share it
        return seen

    def order_of(self, eligible: NDArray[np.bool_]) -> EndedOrder:
        """Put some of the runs into the order of their ends."""
        return self.ended.only(eligible)


def newest_decayed_sums(values: Floats, history: JobHistory, half_life: float) -> Floats:
    """For each asked row, the decayed sum over the successful runs known when it started."""
    found = history.successes
    if not len(found.order):
        return np.zeros((len(found.stop), *values.shape[1:]))
    series = history.clock.series[found.order]
    place = np.arange(len(series)) - np.searchsorted(series, series)
    sums = decayed_sums(values[found.order], place, half_life)
    known = (found.stop > found.first).reshape(-1, *[1] * (sums.ndim - 1))
    return np.where(known, sums[np.maximum(found.stop - 1, 0)], 0.0)
