"""Sample paths of a run: durations and gaps sent through the graph of its jobs."""

from dataclasses import dataclass

import numpy as np

from sklearn_jobtime._typing import Floats, Ints, Mask
from sklearn_jobtime.landing._precedence import Precedence

__all__ = ["NOTHING_BEFORE", "Schedule", "schedule"]


NOTHING_BEFORE = -1  # a job that waited for the start of the run alone


@dataclass(frozen=True)
class Schedule:
    """When each job starts and ends on each path, in seconds after the start of the run.

    Parameters
    ----------
    starts, ends : ndarray of shape (n_paths, n_jobs)
    cause : ndarray of int, shape (n_paths, n_jobs)
        The place of the job whose end each one waited for last; `NOTHING_BEFORE` for none.
    """

    starts: Floats
    ends: Floats
    cause: Ints

    def critical(self) -> Mask:
        """Mark the jobs of the chain that the end of each path waited for.

        Returns
        -------
        ndarray of bool, shape (n_paths, n_jobs)
        """
        n_paths, n_jobs = self.ends.shape
        paths = np.arange(n_paths)
        found = np.zeros((n_paths, n_jobs), dtype=bool)
        at = self.ends.argmax(axis=1)
        for _ in range(n_jobs):
            goes_on = at != NOTHING_BEFORE
            found[paths[goes_on], at[goes_on]] = True
            at = np.where(goes_on, self.cause[paths, at], NOTHING_BEFORE)
        return found

    def slack(self, precedence: Precedence) -> Floats:
        """How much later each job could start without the run ending later, in seconds.

        Returns
        -------
        ndarray of shape (n_paths, n_jobs)
        """
        latest = np.repeat(self.ends.max(axis=1)[:, None], self.ends.shape[1], axis=1)
        lead = self.starts - precedence.ready(self.ends)  # what a job waits beside its parents
        children = precedence.children
        for job in reversed(precedence.order):
            for child in children[job]:
                length = self.ends[:, child] - self.starts[:, child]
                must_end = latest[:, child] - length - np.maximum(lead[:, child], 0.0)
                latest[:, job] = np.minimum(latest[:, job], must_end)
        return np.maximum(latest - self.ends, 0.0)


def schedule(
    durations: Floats,
    gaps: Floats,
    precedence: Precedence,
    *,
    started: Floats | None = None,
    not_before: float = 0.0,
    n_workers: int | None = None,
) -> Schedule:
    """Play the jobs of a run on each path.

    A job starts its gap after the last job that it waits for has ended. With a number of workers
    it also waits until one is free; who was ready first goes first.

    Parameters
    ----------
    durations, gaps : ndarray of shape (n_paths, n_jobs)
        Seconds.
    precedence : Precedence
    started : ndarray of shape (n_jobs,), default=None
        Seconds after the start of the run at which jobs did start; NaN for those to come.
    not_before : float, default=0.0
        What has not started starts no earlier: now.
    n_workers : int, default=None
        How many jobs may run at a time; None: all.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> import networkx as nx
    >>> chain = Precedence.of(nx.DiGraph([("load", "test")]), ["load", "test"])
    >>> played = schedule(np.array([[60.0, 30.0]]), np.array([[0.0, 5.0]]), chain)
    >>> played.starts.tolist(), played.ends.tolist(), played.cause.tolist()
    ([[0.0, 65.0]], [[60.0, 95.0]], [[-1, 0]])
    """
    known = np.full(durations.shape[1], np.nan) if started is None else started
    if n_workers is not None:
        return _with_workers(durations, gaps, precedence, known, not_before, n_workers)
    starts, ends = np.empty_like(durations), np.empty_like(durations)
    cause = np.full(durations.shape, NOTHING_BEFORE)
    for job in precedence.order:
        ready, last = _ready(ends, precedence.parents[job])
        planned = np.maximum(ready + gaps[:, job], not_before)
        starts[:, job] = planned if np.isnan(known[job]) else known[job]
        ends[:, job] = starts[:, job] + durations[:, job]
        cause[:, job] = last
    return Schedule(starts, ends, cause)


def _ready(ends: Floats, parents: tuple[int, ...]) -> tuple[Floats | float, Ints | int]:
    """When the last parent has ended, and which one that is."""
    if not parents:
        return 0.0, NOTHING_BEFORE
    of_parents = ends[:, list(parents)]
    last = of_parents.argmax(axis=1)
    return of_parents[np.arange(len(ends)), last], np.asarray(parents)[last]


def _with_workers(
    durations: Floats,
    gaps: Floats,
    precedence: Precedence,
    known: Floats,
    not_before: float,
    n_workers: int,
) -> Schedule:
    """Play the jobs in the order in which they are ready, one job a path in each turn.

    Whoever is not yet ready waits for a job that is not yet played, so it is ready no sooner than
    the one that is played next.
    """
    n_paths, n_jobs = durations.shape
    paths = np.arange(n_paths)
    starts, ends = np.empty_like(durations), np.empty_like(durations)
    cause = np.full(durations.shape, NOTHING_BEFORE)
    waits_for = np.zeros((n_jobs, n_jobs), dtype=bool)  # row: those that wait for this job
    for child, parents in enumerate(precedence.parents):
        waits_for[list(parents), child] = True
    n_left = np.tile(waits_for.sum(axis=0), (n_paths, 1))
    ready, came = np.zeros(durations.shape), np.full(durations.shape, NOTHING_BEFORE)
    free_at = np.zeros((n_paths, min(n_workers, n_jobs)))
    freed_by = np.full(free_at.shape, NOTHING_BEFORE)
    rank = np.argsort(precedence.order)
    has_started = ~np.isnan(known)
    wait = np.where(has_started, 0.0, gaps)
    for _ in range(n_jobs):
        asks = np.where(has_started, -1.0, ready + wait)  # who has started has its worker
        asks[n_left != 0] = np.inf
        first = asks.min(axis=1, keepdims=True)
        job = np.where(asks == first, rank, n_jobs).argmin(axis=1)
        worker = free_at.argmin(axis=1)
        free, asked = free_at[paths, worker], np.maximum(first[:, 0], 0.0)
        planned = np.maximum(np.maximum(asked, free), not_before)
        start = np.where(has_started[job], known[job], planned)
        end = start + durations[paths, job]
        held = (free > asked) & ~has_started[job]
        starts[paths, job], ends[paths, job] = start, end
        cause[paths, job] = np.where(held, freed_by[paths, worker], came[paths, job])
        free_at[paths, worker], freed_by[paths, worker] = end, job
        n_left[paths, job] = -1
        children = waits_for[job]
        n_left -= children
        is_last = children & (end[:, None] > ready)
        ready = np.where(is_last, end[:, None], ready)
        came = np.where(children & (is_last | (came < 0)), job[:, None], came)
    return Schedule(starts, ends, cause)
