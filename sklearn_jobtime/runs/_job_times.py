"""When the jobs of a run started and ended, where the table says so."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import row_label, to_utc
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, end_column, start_column

__all__ = ["check_job_times", "job_ends", "job_starts", "known_from"]


MOST_SECONDS = 100 * 365.25 * 86400.0  # a century: no duration of a run, and inf means failed
ROUNDED = 2.0  # seconds: starts, ends and durations may each be cut to whole seconds
MINUTES = 120.0  # or to whole minutes
TIMES = "check the time zones of both columns, or set it to NaT."
SECONDS = "check that {!r} holds the seconds from its start to its end, or set the start to NaT."


def job_starts(runs: pd.DataFrame, job: str) -> pd.Series:
    """When a job started in each run: its column ``<job>__started_at``, NaT where none tells.

    Parameters
    ----------
    runs : DataFrame
        A run table.
    job : str

    Returns
    -------
    Series of UTC datetimes

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import job_starts
    >>> runs = pd.DataFrame({"build": [60.0], "build__started_at": ["2026-03-01T04:00Z"]})
    >>> job_starts(runs, "build").dt.hour.tolist(), job_starts(runs, "test").tolist()
    ([4], [NaT])
    """
    if start_column(job) not in runs:
        return pd.Series(pd.NaT, runs.index, dtype="datetime64[us, UTC]")
    return to_utc(runs[start_column(job)])


def job_ends(runs: pd.DataFrame, job: str) -> pd.Series:
    """When a job ended in each run: start plus duration, NaT where the table does not tell.

    A column ``<job>__ended_at`` of the user's own goes before that.

    Parameters
    ----------
    runs : DataFrame
        A run table with the durations in seconds.
    job : str

    Returns
    -------
    Series of UTC datetimes

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import job_ends
    >>> runs = pd.DataFrame({"build": [60.0], "build__started_at": ["2026-03-01T04:00Z"]})
    >>> job_ends(runs, "build").dt.minute.tolist()
    [1]
    """
    ends = job_starts(runs, job)
    if job in runs and start_column(job) in runs:
        seconds = runs[job].astype("float64")
        ends = ends + pd.to_timedelta(seconds.where(seconds.abs() < MOST_SECONDS), unit="s")
        ends = ends.dt.as_unit("us")
    if end_column(job) in runs:
        ends = to_utc(runs[end_column(job)]).fillna(ends)
    return ends.rename(None)


def known_from(runs: pd.DataFrame, job: str) -> Floats | None:
    """Seconds since 1970 at which a job had ended in each run; NaN where its run's end tells.

    None for a table without the starts and ends of this job.
    """
    if start_column(job) not in runs and end_column(job) not in runs:
        return None
    return _ends(runs, job, _seconds(runs, start_column(job)))


def _ends(runs: pd.DataFrame, job: str, starts: Floats) -> Floats:
    """As :func:`job_ends`, in numbers, which takes a tenth of the time."""
    ends = np.full(len(runs), np.nan)
    if job in runs:
        took = runs[job].to_numpy("float64", na_value=np.nan)
        ends = starts + np.where(np.abs(took) < MOST_SECONDS, took, np.nan)
    own = _seconds(runs, end_column(job))
    return np.where(np.isnan(own), ends, own)


def _seconds(runs: pd.DataFrame, column: str) -> Floats:
    """Seconds since 1970 of a column of times; NaN for NaT, and where there is no such column."""
    if column not in runs:
        return np.full(len(runs), np.nan)
    moments = to_utc(runs[column]).dt.tz_localize(None).to_numpy("datetime64[us]")
    seconds = moments.astype("int64") / 1e6
    seconds[np.isnat(moments)] = np.nan
    return seconds


def check_job_times(runs: pd.DataFrame, jobs: Iterable[str]) -> None:
    """Raise where a job did not start and end within its run.

    Starts, ends and durations may each be cut to whole seconds, so two seconds do not count, nor
    two minutes where all starts are whole minutes.

    Raises
    ------
    RunTableError
        It names the row and the column.
    """
    begun, done = _seconds(runs, STARTED_AT), _seconds(runs, ENDED_AT)
    for job in jobs:
        if start_column(job) not in runs and end_column(job) not in runs:
            continue
        starts = _seconds(runs, start_column(job))
        ends = _ends(runs, job, starts)
        in_minutes = not (starts[~np.isnan(starts)] % 60).any() and not (begun % 60).any()
        within = MINUTES if in_minutes else ROUNDED
        column = start_column(job) if start_column(job) in runs else end_column(job)
        for wrong, what, times, order, others, remedy in (
            (ends < starts - within, "ended", ends, "before it started", starts, TIMES),
            (starts < begun - within, "started", starts, "before its run started", begun, TIMES),
            (ends > done + within, "ended", ends, "after its run ended", done, SECONDS),
        ):
            if wrong.any():
                row = int(wrong.argmax())
                moment, other = (pd.Timestamp(t[row], unit="s", tz="UTC") for t in (times, others))
                raise RunTableError(
                    f"column {column!r}, row {row_label(runs.index, row)}: {job!r} {what} at "
                    f"{moment.round('us')}, {order}, {other.round('us')}; {remedy.format(job)}"
                )
