"""Starts and ends of the jobs of runs as numbers, and how exactly clocks tell them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.runs._job_times import job_ends, job_starts

__all__ = ["JobTimes", "read_job_times"]


MINUTE = 60.0
ENOUGH_TIMES = 10  # starts on whole minutes by chance: never so many
RESOLUTIONS = (MINUTE, 1.0, 1e-3)  # of clocks; finer ones are exact to the microsecond
EXACT = 1e-6


@dataclass(frozen=True)
class JobTimes:
    """When the jobs of runs started and ended.

    Parameters
    ----------
    jobs : list of str
    started, ended : ndarray of shape (n_runs, n_jobs)
        Seconds after the first start of a job of the run; NaN where it did not start, or where
        nothing says when it ended.
    tolerance : float
        Seconds by which a job may seem to start too early, since start, end and duration are each
        rounded.
    """

    jobs: list[str]
    started: Floats
    ended: Floats
    tolerance: float


def read_job_times(runs: pd.DataFrame, jobs: Sequence[str]) -> JobTimes:
    """Read the starts and ends of jobs from a run table."""
    shape = (len(runs), len(jobs))
    started, ended = np.full(shape, np.nan), np.full(shape, np.nan)
    for k, job in enumerate(jobs):
        for values, moments in ((started, job_starts(runs, job)), (ended, job_ends(runs, job))):
            micros = moments.dt.tz_localize(None).to_numpy("datetime64[us]")
            known = ~np.isnat(micros)
            values[known, k] = micros[known].astype("int64") / 1e6
    tolerance = 2 * _resolution(started)
    zero = np.where(np.isnan(started), np.inf, started).min(axis=1, initial=np.inf)
    zero = np.where(np.isfinite(zero), zero, 0.0)[:, None]
    return JobTimes(list(jobs), started - zero, ended - zero, tolerance)


def _resolution(times: Floats) -> float:
    known = times[np.isfinite(times)]
    for unit in RESOLUTIONS:
        if unit == MINUTE and len(known) < ENOUGH_TIMES:
            continue
        if (np.abs(known / unit - np.round(known / unit)) * unit <= EXACT).all():
            return unit
    return RESOLUTIONS[-1]
