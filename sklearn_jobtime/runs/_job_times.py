"""When the jobs of a run started and ended, where the table says so."""

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs._moments import row_label, to_utc
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, end_column, start_column

__all__ = ["check_job_times", "job_ends", "job_starts", "known_from"]


MOST_SECONDS = 100 * 365.25 * 86400.0  # a century: no duration of a run, and inf means failed
ROUNDED = pd.Timedelta(seconds=2)  # starts, ends and durations may each be cut to whole seconds
MINUTES = pd.Timedelta(seconds=120)  # or to whole minutes


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

    None for a table without the starts and ends of this job. A moment before the start of the run
    is none: another step has changed the durations or the times.
    """
    if start_column(job) not in runs and end_column(job) not in runs:
        return None
    return _epoch(job_ends(runs, job))


def _epoch(times: pd.Series) -> Floats:
    microseconds = times.dt.tz_localize(None).to_numpy("datetime64[us]")
    seconds = microseconds.astype("int64") / 1e6
    return np.where(np.isnat(microseconds), np.nan, seconds)


def check_job_times(runs: pd.DataFrame, job: str) -> None:
    """Raise where a job did not start and end within its run.

    Starts, ends and durations may each be cut to whole seconds, so two seconds do not count, nor
    two minutes where all starts are whole minutes.

    Raises
    ------
    RunTableError
        It names the row and the column.
    """
    if start_column(job) not in runs and end_column(job) not in runs:
        return
    starts, ends = job_starts(runs, job), job_ends(runs, job)
    within = _tolerance(runs, starts)
    column = start_column(job) if start_column(job) in runs else end_column(job)
    checks = [(ends < starts - within, end_column(job), "ended", ends, "it started", starts)]
    if STARTED_AT in runs:
        early = starts < runs[STARTED_AT] - within
        checks.append((early, column, "started", starts, "its run started", runs[STARTED_AT]))
    for wrong, where, did, moments, what, others in checks:
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise RunTableError(
                f"column {where!r}, row {row_label(runs.index, row)}: {job!r} {did} at "
                f"{moments.iloc[row]}, before {what}, {others.iloc[row]}; check the time zones of "
                "both columns, or set it to NaT."
            )
    if ENDED_AT in runs and (late := ends > runs[ENDED_AT] + within).any():
        row = int(late.to_numpy().argmax())
        raise RunTableError(
            f"column {column!r}, row {row_label(runs.index, row)}: {job!r} ended at "
            f"{ends.iloc[row]}, after its run ended, {runs[ENDED_AT].iloc[row]}; check that "
            f"{job!r} holds the seconds from its start to its end, or set the start to NaT."
        )


def _tolerance(runs: pd.DataFrame, starts: pd.Series) -> pd.Timedelta:
    known = starts.dropna()
    if STARTED_AT in runs:
        known = pd.concat([known, runs[STARTED_AT]])
    in_minutes = len(known) > 0 and bool((known == known.dt.floor("min")).all())
    return MINUTES if in_minutes else ROUNDED
