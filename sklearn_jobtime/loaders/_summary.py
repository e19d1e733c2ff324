"""What is in a run history, and which of its series can be forecast at all."""

import numpy as np
import pandas as pd

from sklearn_jobtime.point_in_time import ended_order, newest, read_clock, row_median
from sklearn_jobtime.runs._log_ratio import clock_tick, indistinct_durations
from sklearn_jobtime.runs._schema import (
    STARTED_AT,
    STATUSES,
    WHOLE_RUN,
    job_columns,
    series_of,
    status_column,
)
from sklearn_jobtime.runs._targets import observed_durations

__all__ = ["summarise_runs"]


ENOUGH_RUNS = 30
ENOUGH_TESTED = 15  # of them, those of which the rule had a past
ERRATIC = 0.5
N_RUNS = 10  # of which the baseline takes the median


def summarise_runs(runs: pd.DataFrame, jobs: list[str] | None = None) -> pd.DataFrame:
    """Count what a run table holds, series by series, and say which can be forecast.

    A series is called regular enough when it has at least 30 good runs and the rolling median
    of the last ten is off by less than half its mean duration: with fewer runs nothing can be
    tested, and beyond that error a forecast says little more than "some time". Only those runs
    are counted of which the median had a past: the same job of the same series, ended before the
    run began.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    jobs : list of str, default=None
        The job columns; None finds them as :func:`~sklearn_jobtime.runs.job_columns` does.

    Returns
    -------
    DataFrame indexed by series (``"all"`` for a table of one series that has no name)
        `runs`, `jobs` (ever observed), `first` and `last` start, one column for each status (how
        many jobs of runs ended so), `good_runs` (with at least one successful job),
        `median_seconds` (of the whole run; else of the jobs' sum), `baseline_error` (mean absolute
        error of the rolling median of ten over all jobs, as a share of their mean duration, where
        the median had a past; NaN where it never had; durations that the clock does not tell apart
        count as the largest of them) and `recommendation`.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.loaders import summarise_runs
    >>> table = summarise_runs(make_job_runs(n_runs=100, random_state=0))
    >>> table[["runs", "jobs", "recommendation"]]
            runs  jobs         recommendation
    series
    all      100     4  regular enough
    """
    jobs = job_columns(runs, jobs)
    observed = observed_durations(runs, jobs)
    errors = _baseline_errors(runs, observed[jobs])
    clock = read_clock(runs)
    tick = clock_tick(clock.started, clock.ended)
    codes = series_of(runs.index)
    rows = []
    for code in range(codes.max() + 1):
        mine = codes == code
        rows.append(_summary(runs[mine], observed[mine], errors[mine], jobs, tick))
    names = [str(runs.attrs.get("series", "all"))]
    if runs.index.nlevels > 1:
        keys = runs.index.droplevel(-1).unique()
        names = ["/".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in keys]
    return pd.DataFrame(rows, index=pd.Index(names, name="series"))


def _baseline_errors(runs: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Absolute error of the rolling median for every run and job that it could forecast.

    NaN where the job has no ended run in its series yet: what another baseline would say there is
    no error of this one.
    """
    clock = read_clock(runs)
    errors = {}
    for job in observed.columns[observed.notna().any()]:
        seconds = observed[job].to_numpy()
        own = clock.of_job(job)
        known = ended_order(own.series, own.started, own.ended, ~np.isnan(seconds))
        errors[job] = np.abs(seconds - row_median(newest(seconds, known, N_RUNS)))
    return pd.DataFrame(errors, index=runs.index)


def _summary(
    runs: pd.DataFrame, observed: pd.DataFrame, errors: pd.DataFrame, jobs: list[str], tick: float
) -> dict:
    good = observed[jobs].notna().any(axis=1)
    whole = observed[WHOLE_RUN] if WHOLE_RUN in observed else observed[jobs].sum(axis=1).where(good)
    states = pd.concat([_states(runs, observed, job) for job in jobs]).value_counts()
    tested = errors.notna()
    total = observed[errors.columns].where(tested).to_numpy()
    total = np.maximum(total, indistinct_durations(total, tick))  # as in all ratios of durations
    error = np.nansum(errors) / np.nansum(total) if np.nansum(total) > 0 else np.nan
    first_last = (
        {"first": runs[STARTED_AT].min(), "last": runs[STARTED_AT].max()}
        if STARTED_AT in runs
        else {}
    )
    return {
        "runs": len(runs),
        "jobs": int((runs[jobs].notna() | observed[jobs].notna()).any().sum()),
        **first_last,
        **{status: int(states.get(status, 0)) for status in STATUSES},
        "good_runs": int(good.sum()),
        "median_seconds": float(whole.median()),
        "baseline_error": float(error),
        "recommendation": _recommendation(int(good.sum()), int(tested.any(axis=1).sum()), error),
    }


def _states(runs: pd.DataFrame, observed: pd.DataFrame, job: str) -> pd.Series:
    success = observed[job].notna().map({True: "success", False: None})
    failed = np.isinf(runs[job])
    status = runs.get(status_column(job), success)
    return status.where(status.notna(), success).where(~failed, "failed")


def _recommendation(good_runs: int, tested_runs: int, error: float) -> str:
    if good_runs < ENOUGH_RUNS:
        return f"too few good runs ({good_runs}, not {ENOUGH_RUNS})"
    if tested_runs < ENOUGH_TESTED:
        return f"too few runs of jobs that had run before ({tested_runs}, not {ENOUGH_TESTED})"
    if error > ERRATIC:
        return "erratic"
    return "regular enough"
