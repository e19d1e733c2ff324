"""The run table: what it means, what breaks it, and the targets that a forecaster learns.

One row is one run of a pipeline of jobs, in start order; one float column a job holds its
duration in seconds. See :func:`validate_runs` for every column and rule.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklearn_jobtime.exceptions import RunTableError

__all__ = [
    "STATUSES",
    "job_columns",
    "make_lower_bounds",
    "make_targets",
    "observed_durations",
    "outputs_of_step",
    "series_of",
    "target_names",
    "to_utc",
    "validate_runs",
]

STARTED_AT = "started_at"
ENDED_AT = "ended_at"
WHOLE_RUN = "whole_run"
STATUS_SUFFIX = "__status"
RESERVED = (STARTED_AT, ENDED_AT, WHOLE_RUN)
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
    if column.dtype == "datetime64[us, UTC]":
        return column
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


def series_names(index: pd.Index) -> np.ndarray:
    """Name of each row's series, its levels joined by slashes; ``all`` where there is only one."""
    if index.nlevels == 1:
        return np.full(len(index), "all", dtype=object)
    keys = index.droplevel(-1)
    names = ["/".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in keys]
    return np.array(names, dtype=object)


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
        runs[job] = checked_durations(runs[job])
        if status_column(job) in runs:
            runs[status_column(job)] = checked_statuses(runs[status_column(job)])
    _check_index(runs.index)
    _check_times(runs)
    return runs


def checked_durations(column: pd.Series) -> pd.Series:
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


def checked_statuses(column: pd.Series) -> pd.Series:
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
    good = np.isfinite(seconds.to_numpy())
    marked = [k for k, job in enumerate(jobs) if status_column(job) in runs]
    status = runs[[status_column(jobs[k]) for k in marked]]
    good[:, marked] &= (status.isna() | (status == "success")).to_numpy("bool")
    spoilt = np.isinf(seconds).any(axis=1) | status.isin(SPOILS_RUN).any(axis=1)
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
    return ahead(observed, horizon)


def ahead(table: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Put the next runs of its series beside each run: columns become a MultiIndex (step, job)."""
    by_series = table.groupby(series_of(table.index))
    steps = {step: by_series.shift(1 - step) for step in range(1, horizon + 1)}
    return pd.concat(steps, axis=1, names=["step", "job"])


def targets_named(runs: pd.DataFrame, names: pd.MultiIndex) -> pd.DataFrame:
    """Build the targets with the given names (step, job), such as those a model was fitted on."""
    jobs = names.get_level_values("job").unique()
    y = make_targets(
        runs,
        int(names.get_level_values("step").max()),
        jobs=[job for job in jobs if job != WHOLE_RUN] or None,
        whole_run=WHOLE_RUN in jobs,
    )
    return y[names]


def make_lower_bounds(
    runs: pd.DataFrame,
    horizon: int = 1,
    *,
    jobs: Sequence[str] | None = None,
    whole_run: bool | None = None,
    now: pd.Timestamp | str | None = None,
    cut_by: Sequence[str] = ("timeout",),
) -> pd.DataFrame:
    """Build `at_least` beside :func:`make_targets`: how long a run took that was cut off.

    A time-out says "at least this long", which is more than nothing: a model that never hears of
    it learns from the short runs alone. What is known, in seconds:

    - A job that timed out took at least its recorded duration, and its whole run at least the time
      from its start to its end. Where another job of the run failed, nothing is said of the
      whole run.
    - With `now`, a run that has started and not ended takes at least the time since its start. So
      does a job of it, where the table has ``<job>__started_at`` and ``<job>__ended_at``.

    A failed job says nothing: it may have failed in its first second. Nor does a cancelled one by
    default: a person cancels the runs that look bad, and methods for censored data assume that the
    moment of the cut has nothing to do with how long the run would have taken.

    Parameters
    ----------
    runs, horizon, jobs, whole_run
        As for :func:`make_targets`.
    now : Timestamp or str, default=None
        When the table was read, for the runs that were running then; the moment of
        :func:`~sklearn_jobtime.timeline.as_of`. None: nothing is said of running runs, because a
        run whose end was never recorded looks as if it ran for ever. Drop such runs first.
    cut_by : sequence of {"timeout", "cancelled"}, default=("timeout",)
        The statuses that say "at least this long". Add ``"cancelled"`` where a limit cancels, not
        a person.

    Returns
    -------
    DataFrame of float64 seconds
        Rows and columns of the targets; NaN where the target was observed or nothing is known.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import make_lower_bounds
    >>> runs = pd.DataFrame({"build": [40.0, 600.0], "build__status": ["success", "timeout"]})
    >>> make_lower_bounds(runs, horizon=2).to_numpy().tolist()
    [[nan, 600.0], [600.0, nan]]
    """
    if unknown := set(cut_by) - {"timeout", "cancelled"}:
        raise ValueError(
            f"cut_by holds {min(unknown)!r}; expected 'timeout' or 'cancelled': no other status "
            "says how long a run would have taken."
        )
    targets = make_targets(runs, horizon, jobs=jobs, whole_run=whole_run)[1]
    bounds = pd.DataFrame(np.nan, index=runs.index, columns=targets.columns)
    all_jobs = job_columns(runs, jobs)
    cut = pd.Series(False, index=runs.index)
    spoilt = pd.Series(False, index=runs.index)
    for job in all_jobs:
        seconds = runs[job].astype("float64")
        status = runs.get(status_column(job), pd.Series(None, runs.index, dtype=object))
        own = status.isin(cut_by) & ~np.isinf(seconds)
        cut |= own
        spoilt |= np.isinf(seconds) | (status.isin(SPOILS_RUN) & ~own)
        bounds[job] = seconds.where(own)
        if now is not None and {f"{job}__{STARTED_AT}", f"{job}__{ENDED_AT}"} <= set(runs):
            runs_still = seconds.isna() & status.isna() & runs[f"{job}__{ENDED_AT}"].isna()
            bounds[job] = bounds[job].fillna(_seconds_until(now, runs, job).where(runs_still))
    if WHOLE_RUN in bounds:
        elapsed = (runs[ENDED_AT] - runs[STARTED_AT]).dt.total_seconds().where(cut)
        if now is not None:
            elapsed = elapsed.fillna(_seconds_until(now, runs).where(runs[ENDED_AT].isna()))
        bounds[WHOLE_RUN] = elapsed.where(~spoilt)
    return ahead(bounds.where((bounds > 0) & targets.isna()), horizon)


def _seconds_until(now: pd.Timestamp | str, runs: pd.DataFrame, job: str = "") -> pd.Series:
    """Seconds from the start of each run, or of one job of it, until `now`."""
    started = to_utc(runs[f"{job}__{STARTED_AT}" if job else STARTED_AT])
    return (to_utc(pd.Series([now], name="now")).iloc[0] - started).dt.total_seconds()


def target_names(model: BaseEstimator) -> pd.MultiIndex:
    """Give the (step, job) of every output of a fitted model, a Pipeline or its last step.

    Raises
    ------
    ValueError
        When the model was fitted on targets without names.
    """
    last = model[-1] if isinstance(model, Pipeline) else model
    names = getattr(last, "target_names_", None)
    if not isinstance(names, pd.MultiIndex):
        raise ValueError(
            f"{type(last).__name__} does not know what its outputs mean: fit it on the DataFrame "
            "of sklearn_jobtime.runs.make_targets, whose columns are (step, job)."
        )
    return names


def outputs_of_step(model: BaseEstimator, step: int) -> tuple[NDArray[np.intp], list[str]]:
    """Positions and jobs of the outputs of a fitted model that are `step` runs ahead.

    Raises
    ------
    ValueError
        When the model does not forecast that step, or its targets had no names.
    """
    names = target_names(model)
    steps = names.get_level_values("step")
    outputs = np.flatnonzero(steps == step)
    if not len(outputs):
        raise ValueError(f"step={step} came, the model forecasts the steps {sorted(set(steps))}.")
    return outputs, list(names.get_level_values("job")[outputs])
