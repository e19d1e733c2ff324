"""What the times of runs say for and against each edge between two jobs."""

from dataclasses import dataclass

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.graph._times import JobTimes

__all__ = ["Evidence", "worker_limit"]


MOST_EARLY = (
    0.02  # share of runs that may contradict: tasks cleared by hand, clocks of two machines
)
SLOW = 3.0  # times the usual gap: a start so late does not follow the end any more
LEAST_QUEUED = 3  # starts that only a freed worker explains
QUEUED_SHARE = 0.05  # of those that a freed worker could explain


@dataclass(frozen=True)
class Evidence:
    """Counts over runs; all arrays have the shape (n_jobs, n_jobs), row before column.

    Parameters
    ----------
    both : ndarray of int
        Runs in which the first ended and the second started.
    early : ndarray of int
        Of these, runs in which the second started before the first had ended.
    precedes : ndarray of bool
        Whether the second never starts before the first has ended, but for a few runs.
    follows : ndarray of int
        Runs in which it started soon after the end of the first, which was the last to end.
    follows_idle : ndarray of int
        Of these, runs in which a worker was free before that end, so that it did not wait for one.
    idle_wait : ndarray of int
        Runs in which it had not started though a worker was free just before the end of the first.
    waited : ndarray of int, shape (n_jobs,)
        Runs in which a job started soon after the end of some other.
    waited_idle : ndarray of int, shape (n_jobs,)
        Of these, runs in which a worker was free before that end.
    gap : ndarray of float
        Median seconds from the end of the first to the start of the second.
    """

    both: np.ndarray
    early: np.ndarray
    precedes: Mask
    follows: np.ndarray
    follows_idle: np.ndarray
    idle_wait: np.ndarray
    waited: np.ndarray
    waited_idle: np.ndarray
    gap: Floats

    @classmethod
    def of(cls, times: JobTimes, min_runs: int) -> "Evidence":
        """Count what the runs say; `min_runs` or more are needed to say that a job precedes."""
        started, ended, within = times.started, times.ended, times.tolerance
        running = running_before_end(times)
        soon = soon_after(times)
        limit = worker_limit(times, running, soon, min_runs)
        n_jobs = len(times.jobs)
        counts = {
            name: np.zeros((n_jobs, n_jobs), dtype=np.intp)
            for name in ("both", "early", "follows", "follows_idle", "idle_wait")
        }
        waited, waited_idle = np.zeros((2, n_jobs), dtype=np.intp)
        precedes, gap = np.zeros((n_jobs, n_jobs), dtype=bool), np.full((n_jobs, n_jobs), np.nan)
        idle = running < limit  # a worker was free just before the end of each job
        for b in range(n_jobs):
            gaps = started[:, [b]] - ended
            known = ~np.isnan(gaps)
            known[:, b] = False
            last = last_ended(times, b) & (gaps <= soon[b])
            counts["both"][:, b] = known.sum(axis=0)
            counts["early"][:, b] = (gaps < -within).sum(axis=0, where=known)
            counts["follows"][:, b] = last.sum(axis=0)
            counts["follows_idle"][:, b] = (last & idle).sum(axis=0)
            counts["idle_wait"][:, b] = (known & idle & (gaps >= -within)).sum(axis=0)
            waited[b] = last.any(axis=1).sum()
            waited_idle[b] = (last & idle).any(axis=1).sum()
            later = started[:, [b]] - started
            enough = counts["both"][:, b] >= min_runs
            precedes[:, b] = enough & (counts["early"][:, b] <= MOST_EARLY * counts["both"][:, b])
            for a in np.flatnonzero(precedes[:, b]):
                rows = known[:, a]
                gap[a, b] = np.median(gaps[rows, a])
                precedes[a, b] = later[rows, a].mean() > 0  # short jobs seem to precede both ways
        return cls(**counts, precedes=precedes, waited=waited, waited_idle=waited_idle, gap=gap)


def running_before_end(times: JobTimes) -> np.ndarray:
    """Count, for each run and job, the jobs that ran just before this one ended, itself too."""
    count = np.zeros(times.ended.shape, dtype=np.intp)
    for a in range(len(times.jobs)):
        end = times.ended[:, [a]]
        begun = times.started < end - times.tolerance / 2
        begun[:, a] = True
        count[:, a] = (begun & (times.ended >= end)).sum(axis=1)
    return count


def last_ended(times: JobTimes, b: int) -> Mask:
    """Mark, in each run, the jobs that ended last before job `b` started."""
    by_then = times.ended <= times.started[:, [b]] + times.tolerance
    by_then &= times.started < times.started[:, [b]] + (times.ended > times.started)
    by_then[:, b] = False
    ended = np.where(by_then, times.ended, -np.inf)
    newest = ended.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(by_then & (ended >= newest - times.tolerance / 2))


def soon_after(times: JobTimes) -> Floats:
    """How late each job may start after an end that it follows: three times its usual gap.

    Beyond the usual duration of the jobs it is no more than three times the usual gap of them all.
    """
    gaps = []
    for b in range(len(times.jobs)):
        ended = np.where(last_ended(times, b), times.ended, -np.inf).max(axis=1, initial=-np.inf)
        gap = times.started[:, b] - ended
        gaps.append(np.maximum(gap[np.isfinite(gap)], 0.0))
    own = np.array([np.median(gap) if len(gap) else 0.0 for gap in gaps])
    every = np.concatenate([*gaps, np.empty(0)])
    lasted = (times.ended - times.started)[~np.isnan(times.ended)]
    usual = float(np.median(every)) if len(every) else 0.0
    most = max(SLOW * usual, float(np.median(lasted)) if len(lasted) else 0.0)
    return np.asarray(np.minimum(SLOW * own, most) + times.tolerance)


def worker_limit(times: JobTimes, running: np.ndarray, soon: Floats, min_runs: int) -> float:
    """How many jobs can run at once; infinity where nothing shows that there is a limit.

    It is the largest number that do, if jobs start when some other job ends that they do not wait
    for, which in other runs ended after their start, and as many ran before that.
    """
    most = running.max(axis=1, initial=0)
    limit = int(np.quantile(most, 0.95, method="higher")) if len(most) else 0
    if limit < 2:
        return np.inf  # one after the other: nothing tells a queue of one worker from a chain
    freed = explained = 0
    for b in range(len(times.jobs)):
        gaps = times.started[:, [b]] - times.ended
        known = ~np.isnan(gaps)
        early = (gaps < -times.tolerance).sum(axis=0, where=known)
        may_need = early <= MOST_EARLY * known.sum(axis=0)
        last = last_ended(times, b) & (gaps <= soon[b])
        full = last & (running >= limit)
        freed += int(full.any(axis=1).sum())
        explained += int((full.any(axis=1) & ~(last & may_need).any(axis=1)).sum())
    is_queue = (
        explained >= max(LEAST_QUEUED, QUEUED_SHARE * freed) and len(times.started) >= min_runs
    )
    return float(limit) if is_queue else np.inf
