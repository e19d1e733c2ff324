"""The run table: what it means, what breaks it, and the targets that a forecaster learns.

One row is one run of a pipeline of jobs, in start order; one float column a job holds its
duration in seconds. See :func:`validate_runs` for every column and rule.
"""

from collections.abc import Container, Sequence

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import RunTableError

__all__ = [
    "STATUSES",
    "job_columns",
    "make_targets",
    "observed_durations",
    "pivot_runs",
    "series_of",
    "to_utc",
    "validate_runs",
]

STARTED_AT = "started_at"
ENDED_AT = "ended_at"
WHOLE_RUN = "whole_run"
STATUS_SUFFIX = "__status"
RESERVED = (STARTED_AT, ENDED_AT, WHOLE_RUN)
JOB_PREFIX = "job:"
CLOCKS = (f"__{STARTED_AT}", f"__{ENDED_AT}")
MOST_JOBS = 1000
STATUSES = ("success", "failed", "timeout", "cancelled", "skipped")
# A skipped job does not spoil the run around it; any other end than success does.
SPOILS_RUN = ("failed", "timeout", "cancelled")


def status_column(job: str) -> str:
    """Name of the column that holds the status of `job`."""
    return f"{job}{STATUS_SUFFIX}"


def derives(column: object, name: object) -> bool:
    """Tell whether `column` is the column `name`, or derived from it: ``<name>__...``."""
    return column == name or (
        isinstance(column, str) and isinstance(name, str) and column.startswith(f"{name}__")
    )


def row_label(index: pd.Index, row: int) -> str:
    """Label of a row for a message: ``7``, not ``np.int64(7)``."""
    label = index[row]
    if isinstance(label, tuple):
        return f"({', '.join(row_label(pd.Index([part], dtype=object), 0) for part in label)})"
    return repr(label.item() if isinstance(label, np.generic) else label)


def to_utc(column: pd.Series) -> pd.Series:
    """Turn a column of times into UTC datetimes.

    Parameters
    ----------
    column : Series
        Datetimes (aware in any zone, or naive and then read as UTC), ISO 8601 strings, or
        numbers (seconds since 1970). Missing values stay missing.

    Returns
    -------
    Series of ``datetime64[us, UTC]``

    Raises
    ------
    RunTableError
        When a value is no time; it names the column, the row and the value.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import to_utc
    >>> to_utc(pd.Series(["2026-03-01T04:00+01:00", None], name="started_at")).tolist()
    [Timestamp('2026-03-01 03:00:00+0000', tz='UTC'), NaT]
    """
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    how = {"unit": "s"} if numeric else {"format": "ISO8601"}
    times = pd.to_datetime(column, utc=True, errors="coerce", **how)
    if not numeric:  # pandas reads these two words as the time of reading
        times = times.mask(column.isin(["now", "today"]))
    bad = times.isna() & column.notna()
    if bad.any():  # an empty string is missing, as in a CSV file
        bad[bad] = column[bad].astype(str).str.strip() != ""
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise RunTableError(
            f"column {column.name!r}, row {row_label(column.index, row)}: {column.iloc[row]!r} is "
            "not a "
            "time. Expected a datetime, an ISO 8601 string such as '2026-03-01T04:00:00Z', or "
            "seconds since 1970; convert the column with pandas.to_datetime first."
        )
    return times.dt.as_unit("us")


def series_of(index: pd.Index) -> np.ndarray:
    """Integer code of each row's series: every index level but the last names the series.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import series_of
    >>> series_of(pd.MultiIndex.from_tuples([("etl", 1), ("ci", 1), ("etl", 2)])).tolist()
    [0, 1, 0]
    >>> series_of(pd.RangeIndex(3)).tolist()
    [0, 0, 0]
    """
    if index.nlevels == 1:
        return np.zeros(len(index), dtype=np.intp)
    return pd.factorize(index.droplevel(-1))[0]


def job_columns(runs: pd.DataFrame, jobs: Sequence[str] | None = None) -> list[str]:
    """Names of the columns that hold durations of jobs.

    Parameters
    ----------
    runs : DataFrame
        A run table.
    jobs : sequence of str, default=None
        The jobs, when you know them. None: every column that has a ``<job>__status`` beside it;
        in a table without any status column, every float column, since a count or a flag that
        is a covariate is seldom a float.

    Returns
    -------
    list of str, in the order of the table (of `jobs`, when given)

    Raises
    ------
    RunTableError
        When a named job is not in the table, a status has no job, or there is no job at all.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import job_columns
    >>> job_columns(pd.DataFrame({"build": [3.0], "build__status": ["success"], "size": [1.5]}))
    ['build']
    """
    columns = list(runs.columns)
    if jobs is not None:
        wanted = list(jobs)
    else:
        owners = [str(c)[: -len(STATUS_SUFFIX)] for c in columns if str(c).endswith(STATUS_SUFFIX)]
        wanted = [c for c in columns if c in owners] if owners else _float_columns(runs)
        if orphans := [owner for owner in owners if owner not in columns]:
            raise RunTableError(
                f"column {status_column(orphans[0])!r} has no job beside it: expected a column "
                f"{orphans[0]!r} with its durations in seconds; rename or drop the status column."
            )
    if missing := [job for job in wanted if job not in columns]:
        raise RunTableError(f"no column {missing[0]!r} for that job; the table has {columns}.")
    if reserved := [job for job in wanted if job in RESERVED]:
        raise RunTableError(
            f"{reserved[0]!r} is a reserved name and cannot be a job; rename the column."
        )
    if not wanted:
        raise RunTableError(
            f"no job found among the columns {columns}: expected a float column of seconds for "
            "each job, or name them with jobs=[...]."
        )
    return wanted


def _float_columns(runs: pd.DataFrame) -> list[str]:
    return [
        c
        for c in runs.columns
        if pd.api.types.is_float_dtype(runs[c]) and c not in RESERVED and "__" not in str(c)
    ]


def validate_runs(runs: pd.DataFrame, *, jobs: Sequence[str] | None = None) -> pd.DataFrame:
    """Check a run table and bring its times, durations and statuses into one form.

    ============== =======================================================================
    column         meaning
    ============== =======================================================================
    `started_at`   when the run started; missing nowhere; in order within each series
    `ended_at`     when its last job ended; NaT while it runs; optional
    a job          its duration in seconds, >= 0; NaN = not observed, inf = failed
    <job>__status  optional; one of `STATUSES`; missing means success
    anything else  a covariate, left as it is
    ============== =======================================================================

    Several pipelines share a table through a ``MultiIndex(series, run)``.

    Parameters
    ----------
    runs : DataFrame
        The table; it is not changed.
    jobs : sequence of str, default=None
        The job columns; None finds them as :func:`job_columns` does.

    Returns
    -------
    DataFrame
        A copy with UTC datetimes and float64 seconds.

    Raises
    ------
    RunTableError
        At the first violation; it names the column, the row and what to do.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import validate_runs
    >>> runs = pd.DataFrame({"started_at": ["2026-03-01", "2026-03-02"], "build": [40.0, -1.0]})
    >>> validate_runs(runs)
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.RunTableError: column 'build', row 1: '-1.0' is negative, ...
    """
    if not isinstance(runs, pd.DataFrame):
        raise RunTableError(
            f"expected a pandas DataFrame with one row a run, got {type(runs).__name__}."
        )
    if runs.empty:
        raise RunTableError(
            f"the run table is empty ({runs.shape[0]} rows, {runs.shape[1]} columns): expected one "
            "row a run; check the file or the filter that made it."
        )
    if not runs.columns.is_unique:
        twice = runs.columns[runs.columns.duplicated()][0]
        raise RunTableError(f"column {twice!r} stands twice in the table; rename or drop one.")
    runs = runs.copy()
    for column in (STARTED_AT, ENDED_AT):
        if column in runs:
            runs[column] = to_utc(runs[column])
    for job in job_columns(runs, jobs):
        runs[job] = _durations(runs[job])
        if status_column(job) in runs:
            runs[status_column(job)] = _statuses(runs[status_column(job)])
    _check_index(runs.index)
    _check_times(runs)
    return runs


def _durations(column: pd.Series) -> pd.Series:
    seconds = pd.to_numeric(column, errors="coerce").astype("float64")
    for wrong, what in ((seconds.isna() & column.notna(), "no number"), (seconds < 0, "negative")):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise RunTableError(
                f"column {column.name!r}, row {row_label(column.index, row)}: "
                f"{str(column.iloc[row])!r} is "
                f"{what}, expected a duration in seconds >= 0 (NaN = not observed, inf = failed); "
                "correct the value or set it to NaN."
            )
    return seconds


def _statuses(column: pd.Series) -> pd.Series:
    unknown = column.notna() & ~column.isin(STATUSES)
    if unknown.any():
        row = int(unknown.to_numpy().argmax())
        raise RunTableError(
            f"column {column.name!r}, row {row_label(column.index, row)}: unknown status "
            f"{column.iloc[row]!r}, expected one of {', '.join(STATUSES)}; map your scheduler's "
            "states to these with Series.replace."
        )
    return column.astype(object).where(column.notna(), None)


def _check_index(index: pd.Index) -> None:
    if not index.is_unique:
        twice = row_label(index, int(index.duplicated().argmax()))
        raise RunTableError(
            f"row {twice} stands twice in the index: expected one row a run; drop the repeat "
            "with runs[~runs.index.duplicated(keep='last')]."
        )


def _check_times(runs: pd.DataFrame) -> None:
    if STARTED_AT not in runs:
        return
    started = runs[STARTED_AT]
    if started.isna().any():
        label = row_label(runs.index, int(started.isna().to_numpy().argmax()))
        raise RunTableError(
            f"column {STARTED_AT!r}, row {label}: the start is missing, and a run without a start "
            "has no place in time; fill it in or drop the row."
        )
    back = started.groupby(series_of(runs.index)).diff() < pd.Timedelta(0)
    if back.any():
        label = row_label(runs.index, int(back.to_numpy().argmax()))
        raise RunTableError(
            f"column {STARTED_AT!r}, row {label}: starts before the row above it; expected start "
            f"order within each series; sort with runs.sort_values({STARTED_AT!r}, kind='stable')."
        )
    if ENDED_AT in runs and (early := runs[ENDED_AT] < started).any():
        row = int(early.to_numpy().argmax())
        raise RunTableError(
            f"column {ENDED_AT!r}, row {row_label(runs.index, row)}: ended "
            f"{runs[ENDED_AT].iloc[row]}, "
            f"before its start {started.iloc[row]}; check the time zones of both columns."
        )


def observed_durations(runs: pd.DataFrame, jobs: Sequence[str] | None = None) -> pd.DataFrame:
    """Durations that say how long a job takes: those of successful jobs, NaN elsewhere.

    Where the table has `ended_at`, a last column `whole_run` holds the seconds from start to end
    of the runs in which no job failed, timed out or was cancelled.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    jobs : sequence of str, default=None
        The job columns; None finds them as :func:`job_columns` does.

    Returns
    -------
    DataFrame of float64 seconds, one column a job (and `whole_run`)

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import observed_durations
    >>> runs = pd.DataFrame({"build": [40.0, 3.0], "build__status": ["success", "failed"]})
    >>> observed_durations(runs)["build"].tolist()
    [40.0, nan]
    """
    jobs = job_columns(runs, jobs)
    seconds = runs[jobs].astype("float64")
    good = np.isfinite(seconds)
    spoilt = np.isinf(seconds).any(axis=1)
    for job in jobs:
        if status_column(job) in runs:
            status = runs[status_column(job)]
            good[job] &= status.isna() | (status == "success")
            spoilt |= status.isin(SPOILS_RUN)
    observed = seconds.where(good)
    if STARTED_AT in runs and ENDED_AT in runs:
        whole = (runs[ENDED_AT] - runs[STARTED_AT]).dt.total_seconds()
        observed[WHOLE_RUN] = whole.where(~spoilt)
    return observed


def _never_ended(observed: pd.DataFrame) -> bool:
    return WHOLE_RUN in observed and bool(observed[WHOLE_RUN].isna().all())


def make_targets(
    runs: pd.DataFrame,
    horizon: int = 1,
    *,
    jobs: Sequence[str] | None = None,
    whole_run: bool | None = None,
) -> pd.DataFrame:
    """Build the targets `y`: for each row, the durations of its own and the next runs.

    Row t holds the durations of the runs t, t+1, ... t+`horizon`-1 of its series, for every job.
    What was not observed (the future, a run that failed) is NaN: losses and scores skip it.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    horizon : int, default=1
        How many runs ahead, the row's own run included.
    jobs : sequence of str, default=None
        The jobs to forecast; None takes all of them.
    whole_run : bool, default=None
        Whether the time from start to end of the run is a target too. None: where the table says
        of any good run when it ended, because "when will the run be done?" is what people ask.

    Returns
    -------
    DataFrame of float64 seconds, shape (n_runs, horizon * n_targets)
        Columns are a MultiIndex (step, job); step 1 is the row's own run.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import make_targets
    >>> make_targets(pd.DataFrame({"build": [40.0, 50.0, 60.0]}), horizon=2)
    step     1     2
    job  build build
    0     40.0  50.0
    1     50.0  60.0
    2     60.0   NaN
    """
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 run ahead, got {horizon}.")
    observed = observed_durations(runs, jobs)
    if whole_run and WHOLE_RUN not in observed:
        raise RunTableError(
            f"whole_run=True needs the columns {STARTED_AT!r} and {ENDED_AT!r}; the table has "
            f"{list(runs.columns)}."
        )
    if whole_run is False or (whole_run is None and _never_ended(observed)):
        observed = observed.drop(columns=WHOLE_RUN, errors="ignore")
    by_series = observed.groupby(series_of(runs.index))
    steps = {step: by_series.shift(1 - step) for step in range(1, horizon + 1)}
    return pd.concat(steps, axis=1, names=["step", "job"])


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


def pivot_runs(
    long: pd.DataFrame,
    *,
    covariates: Sequence[str] = (),
    job_times: bool = False,
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
    job_times : bool, default=False
        Also keep the clock of every job, as ``<job>__started_at`` and ``<job>__ended_at``. Off,
        since a forecast of durations does not need it.
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
        were left out, and why.

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
    long, dropped = _checked_long(long, covariates, on_duplicate)
    long, fewer = _top_jobs(long, top_jobs)
    keys = [c for c in ("series", "run") if c in long]
    row = long.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    job, names = pd.factorize(long["job"].astype(str))
    columns = [job_column(name, frozenset(names)) for name in names]
    first = long.drop_duplicates(keys)
    index = first.set_index(keys).index

    def spread(column: str, suffix: str = "") -> pd.DataFrame:
        values, nothing = _plain(long[column])
        wide = np.full((len(index), len(names)), nothing, dtype=values.dtype)
        wide[row, job] = values
        table = pd.DataFrame(wide, index=index, columns=[c + suffix for c in columns])
        return table.apply(lambda c: c.dt.tz_localize("UTC")) if suffix in CLOCKS else table

    parts = [first.set_index(index)[list(covariates)], spread("duration")]
    if "status" in long:
        parts.append(spread("status", STATUS_SUFFIX))
    if job_times:
        parts += [spread(clock.removeprefix("__"), clock) for clock in CLOCKS]
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
        dropped["run of which no job has started"] = int(never.sum())
        runs = runs[~never].sort_values(STARTED_AT, kind="stable")
    runs = validate_runs(runs, jobs=columns)
    runs.attrs["dropped"] = {why: n for why, n in {**dropped, **fewer}.items() if n}
    return runs


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
    long["duration"] = _durations(long["duration"])
    if "status" in long:
        long["status"] = _statuses(long["status"])
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
