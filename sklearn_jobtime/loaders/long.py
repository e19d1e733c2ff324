"""The long table that every loader returns, one row a job of a run, and the way back to it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sklearn_jobtime.runs import (
    ENDED_AT,
    JOB_PREFIX,
    STARTED_AT,
    job_columns,
    status_column,
    to_utc,
)

__all__ = ["LONG_COLUMNS", "long_table", "melt_runs"]

LONG_COLUMNS = ("series", "run", "job", STARTED_AT, ENDED_AT, "duration", "status")


def long_table(rows: pd.DataFrame, dropped: Mapping[str, int] | None = None) -> pd.DataFrame:
    """Bring the rows of a source into the one form of a long table.

    Parameters
    ----------
    rows : DataFrame
        Columns `series`, `run`, `job`, `started_at`, `ended_at`, `status` (in the one
        vocabulary; None = not ended); `duration` in seconds where the source says it itself, else
        it is end minus start. More columns, such as `queued_seconds`, are kept behind these.
    dropped : mapping of str to int, default=None
        Why the loader left rows out, and how many; kept in ``.attrs["dropped"]`` for summaries,
        without the zeros.

    Returns
    -------
    DataFrame
        Columns `LONG_COLUMNS` first, UTC datetimes, float64 seconds, in start order (rows without
        a start last). A job that has not ended has no duration. ``.attrs["dropped"]`` is set.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders.long import long_table
    >>> rows = pd.DataFrame({"series": ["etl"], "run": ["r1"], "job": ["load"],
    ...     "started_at": ["2026-03-01T00:00Z"], "ended_at": ["2026-03-01T00:02Z"],
    ...     "status": ["success"]})
    >>> long_table(rows)["duration"].tolist()
    [120.0]
    """
    rows = rows.copy()
    for column in (STARTED_AT, ENDED_AT):
        rows[column] = to_utc(rows[column])
    if "duration" not in rows:
        rows["duration"] = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    ended = rows["status"].notna()
    rows["duration"] = rows["duration"].astype("float64").where(ended, np.nan)
    rows[ENDED_AT] = rows[ENDED_AT].where(ended)
    others = [c for c in rows.columns if c not in LONG_COLUMNS]
    table = rows[[*LONG_COLUMNS, *others]].sort_values(
        [STARTED_AT, "series", "run", "job"], kind="stable", ignore_index=True
    )
    table.attrs["dropped"] = {why: n for why, n in (dropped or {}).items() if n}
    return table


def melt_runs(runs: pd.DataFrame, jobs: list[str] | None = None) -> pd.DataFrame:
    """Turn a run table back into the long table that makes it.

    ``pivot_runs(melt_runs(runs))`` gives the same runs, but for those of which no job was
    observed.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    jobs : list of str, default=None
        The job columns; None finds them as :func:`~sklearn_jobtime.runs.job_columns` does.

    Returns
    -------
    DataFrame
        Columns `series` (with one index level for the series), `run`, `job`, `started_at`,
        `ended_at`, `duration`, `status`. The clock of a job is that of its columns
        ``<job>__started_at`` and ``<job>__ended_at``; else that of its whole run.

    Raises
    ------
    ValueError
        When several index levels name the series; join them into one before.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders.long import melt_runs
    >>> runs = pd.DataFrame({"build": [40.0, 41.0], "test": [300.0, None]})
    >>> melt_runs(runs)[["run", "job", "duration"]]
       run    job  duration
    0    0  build      40.0
    1    0   test     300.0
    2    1  build      41.0
    """
    if runs.index.nlevels > 2:
        raise ValueError(
            f"{runs.index.nlevels - 1} index levels name the series, expected one; join them, as "
            "in runs.index.map(lambda key: ('/'.join(map(str, key[:-1])), key[-1]))."
        )
    parts = []
    for job in job_columns(runs, jobs):
        part = pd.DataFrame(
            {
                "run": runs.index.get_level_values(-1),
                "job": job.removeprefix(JOB_PREFIX),
                **{
                    clock: runs.get(f"{job}__{clock}", runs[clock]).array
                    for clock in (STARTED_AT, ENDED_AT)
                    if clock in runs
                },
                "duration": runs[job].array,
                "row": np.arange(len(runs)),
            }
        )
        if status_column(job) in runs:
            part["status"] = runs[status_column(job)].array
        if runs.index.nlevels == 2:
            part.insert(0, "series", runs.index.get_level_values(0))
        there = part["duration"].notna()
        parts.append(part[there | part["status"].notna() if "status" in part else there])
    long = pd.concat(parts, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)
    return long.drop(columns="row")
