"""The targets that a forecaster learns: durations of a run and of those after it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import plain_table, refuse_lookalikes, to_utc
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    SPOILS_RUN,
    STARTED_AT,
    WHOLE_RUN,
    end_column,
    job_columns,
    series_of,
    start_column,
    status_column,
)
from sklearn_jobtime.runs._validation import elapsed_seconds

__all__ = ["ahead", "make_lower_bounds", "make_targets", "observed_durations", "targets_named"]


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
    runs = plain_table(runs)
    jobs = job_columns(runs, jobs)
    for job, dtype in runs[jobs].dtypes.items():
        if dtype.kind not in "fiu":
            refuse_lookalikes(runs[job], f"column {job!r}")
    seconds = runs[jobs].astype("float64")
    good = np.isfinite(seconds.to_numpy())
    marked = [k for k, job in enumerate(jobs) if status_column(job) in runs]
    status = runs[[status_column(jobs[k]) for k in marked]]
    good[:, marked] &= (status.isna() | (status == "success")).to_numpy("bool")
    spoilt = np.isinf(seconds).any(axis=1) | status.isin(SPOILS_RUN).any(axis=1)
    observed = seconds.where(good)
    if STARTED_AT in runs and ENDED_AT in runs:
        whole = elapsed_seconds(runs)
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
    return ahead(observed, horizon, runs)


def ahead(table: pd.DataFrame, horizon: int, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put the next runs of its series beside each run: columns become a MultiIndex (step, job).

    The next run is the one that starts next, in whatever order the rows of `runs` are; without
    them, or without their starts, it is the next row.
    """
    order = np.arange(len(table))
    runs = None if runs is None else plain_table(runs)
    if runs is not None and STARTED_AT in runs:
        order = np.argsort(to_utc(runs[STARTED_AT]).to_numpy("datetime64[us]"), kind="stable")
    in_order = table.iloc[order]
    by_series = in_order.groupby(series_of(in_order.index))
    steps = {step: by_series.shift(1 - step) for step in range(1, horizon + 1)}
    return pd.concat(steps, axis=1, names=["step", "job"]).iloc[np.argsort(order)]


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
    """Build `at_least` beside :func:`make_targets`: lower bounds of right-censored runs.

    A time-out says "at least this long", which is more than nothing: a model that never hears of
    it learns from the short runs alone. What is known, in seconds:

    - A job that timed out took at least its recorded duration, and its whole run at least the time
      from its start to its end. Where another job of the run failed, nothing is said of the
      whole run.
    - With `now`, a run that has started and not ended takes at least the time since its start. So
      does a job of it, where ``<job>__started_at`` says that it has started.

    A failed job says nothing: it may have failed in its first second. Nor does a cancelled one by
    default: a person cancels the runs that look bad, and methods for censored data assume that the
    moment of the cut has nothing to do with how long the run would have taken.

    Parameters
    ----------
    runs, horizon, jobs, whole_run
        As for :func:`make_targets`.
    now : Timestamp or str, default=None
        When the table was read, for the runs that were running then; the moment of
        :func:`~sklearn_jobtime.runs.as_of`. None: nothing is said of running runs, because a
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
    runs = plain_table(runs)
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
        if now is not None and start_column(job) in runs:
            runs_still = seconds.isna() & status.isna()
            for end in (ENDED_AT, end_column(job)):
                runs_still &= runs[end].isna() if end in runs else True
            bounds[job] = bounds[job].fillna(_seconds_until(now, runs, job).where(runs_still))
    if WHOLE_RUN in bounds:
        elapsed = elapsed_seconds(runs).where(cut)
        if now is not None:
            elapsed = elapsed.fillna(_seconds_until(now, runs).where(runs[ENDED_AT].isna()))
        bounds[WHOLE_RUN] = elapsed.where(~spoilt)
    return ahead(bounds.where((bounds > 0) & targets.isna()), horizon, runs)


def _seconds_until(now: pd.Timestamp | str, runs: pd.DataFrame, job: str = "") -> pd.Series:
    """Seconds from the start of each run, or of one job of it, until `now`."""
    started = to_utc(runs[start_column(job) if job else STARTED_AT])
    return (to_utc(pd.Series([now], name="now")).iloc[0] - started).dt.total_seconds()
