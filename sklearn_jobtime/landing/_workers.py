"""How many jobs may run at a time, where the history shows that they waited for each other."""

import numpy as np

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.landing._nights import Nights
from sklearn_jobtime.landing._precedence import Precedence

__all__ = ["infer_workers"]


LEAST_WAITS = 10  # for a worker: fewer are seen by chance
WAITS_SHARE = 0.9  # of the time that jobs wait: the rest is for something else
SLOW = 3.0  # times the usual time from an end to the next start: that start does not follow it


def infer_workers(nights: Nights, precedence: Precedence, tick: float) -> int | None:
    """Learn from runs how many jobs may run at a time.

    It is the largest number that ever ran at once, where jobs that were ready stood by while as
    many ran, and started when one of those ended. That has to hold for at least ten waits, and for
    nine in ten of all that are longer than it usually takes to start a job.

    Parameters
    ----------
    nights : Nights
        Runs that are over.
    precedence : Precedence
    tick : float
        Seconds by which clocks may be off.

    Returns
    -------
    int or None
        None where nothing shows that there is a limit.
    """
    if not nights.has_starts:
        return None
    starts = np.where(nights.skipped, np.nan, nights.starts)
    ends = np.where(np.isnan(nights.ends), nights.stops, nights.ends)
    ends = np.where(np.isnan(starts), np.nan, ends)
    freed, n_before = _last_ends(starts, ends, tick)
    limit = int(n_before.max(initial=0))
    since = np.maximum(starts - freed, 0.0)
    usual = since[np.isfinite(since)]
    soon = tick + SLOW * (float(np.median(usual)) if len(usual) else 0.0)
    waited = starts - precedence.ready(nights.ends)
    waited = np.where(waited > soon, waited, 0.0)
    for_worker = (waited > 0) & (n_before >= limit) & (since <= soon)
    seconds = float(waited[for_worker].sum())
    is_sure = for_worker.sum() >= LEAST_WAITS and seconds >= WAITS_SHARE * waited.sum()
    return limit if is_sure and limit < starts.shape[1] else None


def _last_ends(starts: Floats, ends: Floats, tick: float) -> tuple[Floats, np.ndarray]:
    """Give the last end before each start, and how many jobs ran until then.

    Returns
    -------
    freed : ndarray of shape (n_runs, n_jobs)
        Minus infinity where no job had ended.
    n_before : ndarray of int, shape (n_runs, n_jobs)
        0 there.
    """
    freed, n_before = np.full(starts.shape, -np.inf), np.zeros(starts.shape, dtype=int)
    for job, began in enumerate(starts.T):
        had_ended = ends <= began[:, None] + tick
        had_ended[:, job] = False
        last = np.where(had_ended, ends, -np.inf).max(axis=1, initial=-np.inf)
        ran = (starts < last[:, None] - tick) & (ends >= last[:, None])
        freed[:, job], n_before[:, job] = last, ran.sum(axis=1)
    return freed, n_before
