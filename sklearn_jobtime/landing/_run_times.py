"""What a run table says of each run, as arrays: a run that goes on is read again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import refuse_lookalikes
from sklearn_jobtime._typing import Floats, Mask, Moments
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    SPOILS_RUN,
    STARTED_AT,
    job_columns,
    start_column,
    status_column,
)
from sklearn_jobtime.runs._validation import to_utc

__all__ = ["SECOND", "RunTimes", "read_run_times", "utc_moments"]


SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True)
class RunTimes:
    """Times of the jobs of runs, in seconds.

    Parameters
    ----------
    starts : ndarray of shape (n_runs, n_jobs)
        After the start of the run; NaN where nothing tells.
    durations : ndarray of shape (n_runs, n_jobs)
        Of the jobs that succeeded; NaN for others.
    stops : ndarray of shape (n_runs, n_jobs)
        How long the jobs ran that did not succeed: 0 where nothing tells; NaN for others.
    skipped : ndarray of bool, shape (n_runs, n_jobs)
    whole : ndarray of shape (n_runs,)
        From the start of the run to its end.
    has_starts : bool
        Whether the table has a start of any job.
    """

    starts: Floats
    durations: Floats
    stops: Floats
    skipped: Mask
    whole: Floats
    has_starts: bool


def read_run_times(runs: pd.DataFrame, jobs: Sequence[str]) -> RunTimes:
    """Read the times of jobs from a run table.

    Durations are those of :func:`~sklearn_jobtime.runs.observed_durations`.

    Parameters
    ----------
    runs : DataFrame
        As :func:`~sklearn_jobtime._containers.plain_table` gives it.
    jobs : sequence of str

    Raises
    ------
    RunTableError
        When the table lacks a job, or what it has of it are no seconds.

    Examples
    --------
    >>> runs = pd.DataFrame({"started_at": pd.to_datetime(["2026-03-01T04:00Z"]), "load": [60.0],
    ...     "load__started_at": pd.to_datetime(["2026-03-01T04:00:05Z"]), "load__status": "failed"})
    >>> times = read_run_times(runs, ["load"])
    >>> times.starts, times.durations, times.stops
    (array([[5.]]), array([[nan]]), array([[60.]]))
    """
    columns = dict(runs.items())
    if any(job not in columns for job in jobs):
        job_columns(runs, jobs)  # says which
    shape = (len(runs), len(jobs))
    starts, stops = np.full(shape, np.nan), np.full(shape, np.nan)
    durations, skipped = np.empty(shape), np.zeros(shape, dtype=bool)
    has_starts, whole = False, np.full(len(runs), np.nan)
    began = utc_moments(columns[STARTED_AT]) if STARTED_AT in columns else None
    if began is not None and ENDED_AT in columns:
        whole = (utc_moments(columns[ENDED_AT]) - began) / SECOND
    for k, job in enumerate(jobs):
        seconds = _seconds(columns[job], job)
        good, failed = np.isfinite(seconds), np.isinf(seconds)
        if (status := columns.get(status_column(job))) is not None:
            said = status.tolist()
            skipped[:, k] = [one == "skipped" for one in said]
            failed = np.array([one in SPOILS_RUN for one in said]) | (failed & ~skipped[:, k])
            good &= np.array([one == "success" or pd.isna(one) for one in said])
        durations[:, k] = np.where(good, seconds, np.nan)
        stops[:, k] = np.where(failed, np.where(np.isfinite(seconds), seconds, 0.0), np.nan)
        if began is not None and (start := columns.get(start_column(job))) is not None:
            starts[:, k] = (utc_moments(start) - began) / SECOND
            has_starts = True
    return RunTimes(starts, durations, stops, skipped, whole, has_starts)


def utc_moments(column: pd.Series) -> Moments:
    """Give a column of moments as an array of UTC datetimes in microseconds.

    Examples
    --------
    >>> utc_moments(pd.Series(["2026-03-01T04:00+01:00", None])).tolist()
    [datetime.datetime(2026, 3, 1, 3, 0), None]
    """
    has_zone = isinstance(column.dtype, pd.DatetimeTZDtype)
    return (column if has_zone else to_utc(column)).to_numpy("datetime64[us]")


def _seconds(column: pd.Series, job: str) -> Floats:
    if column.dtype == np.float64:
        return column.to_numpy()
    if column.dtype.kind not in "fiu":
        refuse_lookalikes(column, f"column {job!r}")
    return column.astype("float64").to_numpy()
