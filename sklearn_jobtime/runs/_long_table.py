"""The long table that every loader returns, one row a job of a run; to the run table and back."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import plain_table, plain_value, row_label, to_utc
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs._job_times import MOST_SECONDS, ROUNDED, job_ends, job_starts
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    RESERVED,
    STARTED_AT,
    STATUS_SUFFIX,
    end_column,
    job_columns,
    start_column,
    status_column,
)
from sklearn_jobtime.runs._validation import checked_durations, checked_statuses, validate_runs

__all__ = ["LONG_COLUMNS", "long_table", "melt_runs", "pivot_runs"]


JOB_PREFIX = "job:"
_JOB_START = "job start"
MOST_JOBS = 1000
LONG_COLUMNS = ("series", "run", "job", STARTED_AT, ENDED_AT, "duration", "status")


def long_table(rows: pd.DataFrame, dropped: Mapping[str, int] | None = None) -> pd.DataFrame:
    """Bring the rows of a source into the one form of a long table.

    Parameters
    ----------
    rows : DataFrame
        Columns `series`, `run`, `job`, `started_at`, `ended_at`, `status` (in the one
        vocabulary; None = not ended); `duration` in seconds where the source says it itself, else
        it is end minus start. `has_ended` (bool), if there is one, marks the rows that have ended
        though their status is not known. More columns, such as `queued_seconds`, are kept behind
        these.
    dropped : mapping of str to int, default=None
        Why the loader left rows out, and how many; kept in ``.attrs["dropped"]`` for summaries,
        without the zeros.

    Returns
    -------
    DataFrame
        Columns `LONG_COLUMNS` first, UTC datetimes, float64 seconds, in start order (rows without
        a start last). A job that has not ended, or whose status is not known, has no duration; its
        end is known only once it has ended. ``.attrs["dropped"]`` is set.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import long_table
    >>> rows = pd.DataFrame({"series": ["etl"], "run": ["r1"], "job": ["load"],
    ...     "started_at": ["2026-03-01T00:00Z"], "ended_at": ["2026-03-01T00:02Z"],
    ...     "status": ["success"]})
    >>> long_table(rows)["duration"].tolist()
    [120.0]
    """
    rows = plain_table(rows, is_long=True).copy()
    for column in (STARTED_AT, ENDED_AT):
        rows[column] = to_utc(rows[column])
    if "duration" not in rows:
        rows["duration"] = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    ended = rows["status"].notna()
    rows["duration"] = rows["duration"].astype("float64").where(ended, np.nan)
    if "has_ended" in rows:
        ended |= rows.pop("has_ended")
    rows[ENDED_AT] = rows[ENDED_AT].where(ended)
    others = [c for c in rows.columns if c not in LONG_COLUMNS]
    table = rows[[*LONG_COLUMNS, *others]].sort_values(
        [STARTED_AT, "series", "run", "job"], kind="stable", ignore_index=True
    )
    table.attrs["dropped"] = {why: n for why, n in (dropped or {}).items() if n}
    return table


def job_column(job: str, others: Container[str] = ()) -> str:
    """Column name of a job: its own, or ``job:<name>`` where that means something else already.

    That is a reserved name, a name that reads as the status of a job, or one that reads as
    derived from another job or clock column, because it goes on with ``__`` behind its name.
    """
    owners = [job[:at] for at in range(1, len(job)) if job.startswith("__", at)]
    taken = job in RESERVED or job.endswith(STATUS_SUFFIX) or job.startswith(JOB_PREFIX)
    if taken or any(owner in others or owner in RESERVED for owner in owners):
        return JOB_PREFIX + job
    return job


def _names_of_jobs(values: Iterable[Any]) -> list[str]:
    """Write the jobs of a long table as text, each its own."""
    names = [str(plain_value(value)) for value in values]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RunTableError(
            f"column 'job' holds the number {twice} and the text {twice!r}, which would be one "
            "column of the run table; rename one of them, or write both as text."
        )
    return names


def pivot_runs(
    long: pd.DataFrame,
    *,
    covariates: Sequence[str] = (),
    job_starts: bool = False,
    top_jobs: int | None = None,
    on_duplicate: str = "error",
) -> pd.DataFrame:
    """Pivot a long table, one row a job of a run, to the run table.

    Parameters
    ----------
    long : DataFrame
        Columns `run` and `job`; `duration` in seconds, or `started_at` and `ended_at` to take it
        from; optionally `series` and `status`. A run starts with its first job and ends with its
        last; it has no end while one of its jobs has neither end nor status.
    covariates : sequence of str, default=()
        Columns that hold one value a run, such as its event, to keep; the first row's is taken.
    job_starts : bool, default=False
        Also keep when every job started, as ``<job>__started_at``: from its start plus its
        duration on its outcome is known, though the run may go on, and graphs of jobs are learned
        from it. Off, since durations alone need it not. Nothing is added where each run has one
        job, which starts with it.
    top_jobs : int, default=None
        Keep only the jobs with the most seconds in total. None keeps all, up to 1,000: a wider
        table is seldom meant, so it has to be asked for.
    on_duplicate : {"error", "last"}, default="error"
        What to do when a job stands twice in a run: raise, or keep its last row in start order.

    Returns
    -------
    DataFrame
        A validated run table in start order, indexed by `run`, or by (`series`, `run`). A job
        whose name means something else in a run table is called ``job:<name>``. Of a job that
        came or went over time the other runs hold NaN. ``.attrs["dropped"]`` says how many rows
        were left out, and why; ``.attrs["no_outcome"]`` how many rows have neither duration nor
        status, since they still run, say; ``.attrs["notes"]`` of the long table are kept.

    Raises
    ------
    RunTableError
        When a column is missing, a job stands twice in a run, or there are too many jobs.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import pivot_runs
    >>> pivot_runs(pd.DataFrame({"run": [1, 1, 2], "job": ["build", "test", "build"],
    ...                          "duration": [40.0, 300.0, 41.0]}))
         build   test
    run
    1     40.0  300.0
    2     41.0    NaN
    """
    long = plain_table(long, is_long=True)
    long, dropped = _checked_long(long, covariates, on_duplicate)
    long, fewer = _top_jobs(long, top_jobs)
    keys = [c for c in ("series", "run") if c in long]
    row = long.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    job, values = pd.factorize(long["job"].astype(object))
    names = _names_of_jobs(values)
    columns = [job_column(name, frozenset(names)) for name in names]
    first = long.drop_duplicates(keys)
    index = first.set_index(keys).index

    def spread(column: str, suffix: str = "") -> pd.DataFrame:
        values, nothing = _plain(long[column])
        wide = np.full((len(index), len(names)), nothing, dtype=values.dtype)
        wide[row, job] = values
        if wide.dtype.kind == "M":
            moments = [pd.DatetimeIndex(wide[:, k], tz="UTC") for k in range(len(columns))]
            return pd.DataFrame(
                {c + suffix: times for c, times in zip(columns, moments, strict=True)}, index=index
            )
        return pd.DataFrame(wide, index=index, columns=[c + suffix for c in columns])

    parts = [first.set_index(index)[list(covariates)], spread("duration")]
    if "status" in long:
        parts.append(spread("status", STATUS_SUFFIX))
    if job_starts and STARTED_AT in long and len(index) < len(long):
        long = long.assign(**{_JOB_START: _job_starts(long)})
        parts.append(spread(_JOB_START, f"__{STARTED_AT}"))
    runs = pd.concat(parts, axis=1)
    if ENDED_AT in long:
        running = (
            long[ENDED_AT].isna() & long["status"].isna()
            if "status" in long
            else (long[ENDED_AT].isna())
        )
        ends = long[ENDED_AT].groupby(row).max()
        runs.insert(0, ENDED_AT, ends.where(~running.groupby(row).any()).array)
    if STARTED_AT in long:
        runs.insert(0, STARTED_AT, long[STARTED_AT].groupby(row).min().array)
        never = runs[STARTED_AT].isna()
        of_never = never.to_numpy()[row]
        dropped["job of a run of which no job has started"] = int(of_never.sum())
        runs = runs[~never].sort_values(STARTED_AT, kind="stable")
        long = long[~of_never]
    runs = validate_runs(runs, jobs=columns)
    runs.attrs["dropped"] = {why: n for why, n in {**dropped, **fewer}.items() if n}
    runs.attrs["no_outcome"] = _without_outcome(long)
    if "notes" in long.attrs:
        runs.attrs["notes"] = list(long.attrs["notes"])
    return runs


def _job_starts(long: pd.DataFrame) -> pd.Series:
    """When the seconds of each job began, NaT where its times and its duration contradict."""
    starts, seconds = long[STARTED_AT], long["duration"]
    if "status" in long:
        starts = starts.mask(long["status"] == "skipped")
    if ENDED_AT not in long:
        return starts
    took = pd.to_timedelta(seconds.where(seconds < MOST_SECONDS), unit="s").dt.round("us")
    own = (long[ENDED_AT] - took).dt.as_unit("us")
    is_known = own.notna()
    longer = own < starts - pd.Timedelta(seconds=ROUNDED)
    own = own.where(own >= starts, starts)  # but for what clocks round
    is_unknown = ~is_known & seconds.isna() & long[ENDED_AT].notna()
    if "status" in long:
        is_unknown &= long["status"].isna()  # else it failed
    return own.where(is_known & starts.notna(), starts).mask(longer | is_unknown)


def _without_outcome(long: pd.DataFrame) -> dict[str, int]:
    """Count the rows of which the run table shows neither a duration nor a status."""
    nothing = long["duration"].isna()
    if "status" not in long:
        return {"no duration": int(nothing.sum())} if nothing.any() else {}
    nothing &= long["status"].isna()
    ended = nothing & long[ENDED_AT].notna() if ENDED_AT in long else nothing & False
    counts = {"unknown": int(ended.sum()), "running": int((nothing & ~ended).sum())}
    return {name: count for name, count in counts.items() if count}


def _plain(column: pd.Series) -> tuple[np.ndarray, object]:
    """Values of a column as a numpy array, and what stands for a missing one there."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_localize(None).to_numpy("datetime64[us]"), np.datetime64("NaT")
    return (column.to_numpy(), np.nan) if column.dtype == "float64" else (column.to_numpy(), None)


def _checked_long(
    long: pd.DataFrame, covariates: Sequence[str], on_duplicate: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    timed = {STARTED_AT, ENDED_AT} <= set(long.columns)
    needed = ["run", "job", *covariates] + ([] if timed else ["duration"])
    if missing := [c for c in needed if c not in long]:
        raise RunTableError(
            f"the long table has no column {missing[0]!r}: expected {needed}, it has "
            f"{list(long.columns)}; rename yours."
        )
    if on_duplicate not in ("error", "last"):
        raise ValueError(f"on_duplicate must be 'error' or 'last', got {on_duplicate!r}.")
    long = long.assign(**{c: to_utc(long[c]) for c in (STARTED_AT, ENDED_AT) if c in long})
    if STARTED_AT in long:
        long = long.sort_values(STARTED_AT, kind="stable")
    if "duration" not in long:
        long["duration"] = (long[ENDED_AT] - long[STARTED_AT]).dt.total_seconds()
    long["duration"] = checked_durations(long["duration"])
    if "status" in long:
        long["status"] = checked_statuses(long["status"])
    twice = long.duplicated([c for c in ("series", "run", "job") if c in long], keep="last")
    if twice.any() and on_duplicate == "error":
        row = int(twice.to_numpy().argmax())
        raise RunTableError(
            f"row {row_label(long.index, row)}: job {str(long['job'].iloc[row])!r} stands twice in "
            "run "
            f"{str(long['run'].iloc[row])!r}; pass on_duplicate='last' to keep the last of them."
        )
    return long[~twice], {"earlier row of the same job and run": int(twice.sum())}


def _top_jobs(long: pd.DataFrame, top_jobs: int | None) -> tuple[pd.DataFrame, dict[str, int]]:
    total = long["duration"].where(np.isfinite(long["duration"])).groupby(long["job"]).sum()
    if top_jobs is None and len(total) > MOST_JOBS:
        raise RunTableError(
            f"the long table has {len(total):,} jobs, over {MOST_JOBS:,}; pass top_jobs=100, say, "
            "to keep those with the most seconds in total, or filter the jobs you mean."
        )
    if top_jobs is None or len(total) <= top_jobs:
        return long, {}
    top = total.nlargest(top_jobs).index
    kept = long["job"].isin(top)
    return long[kept], {f"row of a job not among the top {top_jobs}": int((~kept).sum())}


def _times_of(runs: pd.DataFrame, job: str) -> dict[str, pd.Series]:
    """Give the starts and ends of one job; those of its runs where the table has no others."""
    times = {clock: runs[clock] for clock in (STARTED_AT, ENDED_AT) if clock in runs}
    if start_column(job) in runs:
        times[STARTED_AT] = job_starts(runs, job)
    if start_column(job) in runs or end_column(job) in runs:
        ends = job_ends(runs, job)
        times[ENDED_AT] = ends.fillna(runs[ENDED_AT]) if ENDED_AT in runs else ends
    return times


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
        `ended_at`, `duration`, `status`. A job starts as its column ``<job>__started_at`` says,
        and ends so many seconds later; without one its times are those of its whole run.

    Raises
    ------
    ValueError
        When several index levels name the series; join them into one before.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import melt_runs
    >>> runs = pd.DataFrame({"build": [40.0, 41.0], "test": [300.0, None]})
    >>> melt_runs(runs)[["run", "job", "duration"]]
       run    job  duration
    0    0  build      40.0
    1    0   test     300.0
    2    1  build      41.0
    """
    runs = plain_table(runs)
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
                **{clock: times.array for clock, times in _times_of(runs, job).items()},
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
