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
    paths, order = np.arange(n_paths), np.array(precedence.order)
    # A row a job, in topological order: of jobs that are ready at once the first one goes first.
    times = np.ascontiguousarray(durations.T[order])
    has_started = ~np.isnan(known[order])
    known = known[order]
    own_gaps = np.where(has_started[:, None], 0.0, gaps.T[order])
    opens = np.zeros((n_jobs, n_jobs), dtype=bool)  # row: a job, columns: those that wait for it
    for child, parents in enumerate(precedence.parents):
        opens[list(parents), child] = True
    opens = opens[np.ix_(order, order)]
    starts, ends = np.empty_like(times), np.empty_like(times)
    cause = np.full(times.shape, NOTHING_BEFORE)
    waits = np.tile(opens.sum(axis=0, dtype=np.float64)[:, None], n_paths)
    ready = np.where(waits > 0, -np.inf, 0.0)  # when the last of the parents played so far ended
    came = np.full(times.shape, NOTHING_BEFORE)
    free_at = np.zeros((min(n_workers, n_jobs), n_paths))
    freed_by = np.full(free_at.shape, NOTHING_BEFORE)
    for _ in range(n_jobs):
        asks = np.where(waits == 0, ready + own_gaps, np.inf)
        asks[has_started] = np.where(waits[has_started] == 0, -1.0, np.inf)  # they have a worker
        job, worker = asks.argmin(axis=0), free_at.argmin(axis=0)
        free, asked = free_at[worker, paths], np.maximum(asks[job, paths], 0.0)
        planned = np.maximum(np.maximum(asked, free), not_before)
        start = np.where(has_started[job], known[job], planned)
        end, name = start + times[job, paths], order[job]
        held = (free > asked) & ~has_started[job]
        starts[job, paths], ends[job, paths] = start, end
        cause[job, paths] = np.where(held, freed_by[worker, paths], came[job, paths])
        free_at[worker, paths], freed_by[worker, paths] = end, name
        children = opens.T[:, job]
        is_last = children & ((end > ready) | ((end == ready) & (name < came)))
        np.copyto(ready, end, where=is_last)
        np.copyto(came, name, where=is_last)
        waits -= children
        waits[job, paths] = np.inf
    back = np.argsort(order)
    return Schedule(*(np.ascontiguousarray(rows[back].T) for rows in (starts, ends, cause)))
