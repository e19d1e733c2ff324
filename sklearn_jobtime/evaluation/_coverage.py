"""How often intervals held on runs that the model had not seen, one job and night at a time.

The nominal coverage of an interval is a share, and which share was meant matters: of each job by
itself, of all jobs of a night, of a whole forecast. The report counts all of them side by side.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binomtest

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime.conformal._effective_size import effective_sample_size
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.runs._log_ratio import indistinct_durations
from sklearn_jobtime.runs._schema import STARTED_AT, series_names
from sklearn_jobtime.runs._targets import targets_named

__all__ = [
    "coverage_report",
    "holdout_intervals",
    "interval_table",
    "rolling_coverage",
    "share_bounds",
]


def interval_table(
    interval: ArrayLike,
    forecast: ArrayLike,
    targets: pd.DataFrame,
    started_at: pd.Series | None = None,
) -> pd.DataFrame:
    """Put intervals beside what happened, one row for each target that was observed.

    Parameters
    ----------
    interval : array-like of shape (n_runs, n_outputs, 2)
        Lower and upper bounds in seconds.
    forecast : array-like of shape (n_runs, n_outputs)
        What the intervals are around, in seconds.
    targets : DataFrame of shape (n_runs, n_outputs)
        Of :func:`~sklearn_jobtime.runs.make_targets`, for the same runs.
    started_at : Series of shape (n_runs,), default=None
        When the runs started. None: they are in start order.

    Returns
    -------
    DataFrame
        In start order: `row` (position in `targets`), `series`, `started_at` (when given), `step`,
        `job`, `actual`, `low`, `high` and `forecast` in seconds, `inside`, and `is_complete`: all
        steps of the row lie in the table, observed or not. A run that failed, was censored or
        has not ended takes no part.

    Raises
    ------
    NoHistoryError
        When no target was observed.
    ValueError
        When the shapes differ, or a bound is NaN.
    """
    bounds, middle = np.asarray(interval, np.float64), np.asarray(forecast, np.float64)
    if bounds.shape != (*targets.shape, 2) or middle.shape != targets.shape:
        raise ValueError(
            f"interval has shape {bounds.shape} and forecast {middle.shape}; expected "
            f"{(*targets.shape, 2)} and {targets.shape}, one for each target."
        )
    series = series_names(targets.index)
    behind = pd.Series(series).groupby(series).cumcount(ascending=False).to_numpy()
    steps = targets.columns.get_level_values("step").to_numpy(int)
    actual = targets.to_numpy(np.float64)
    row, output = np.nonzero(~np.isnan(actual))
    if not len(row):
        raise NoHistoryError(
            f"none of the {actual.size} targets was observed, so no interval can be checked; take "
            "more runs to test on."
        )
    if np.isnan(bounds[row, output]).any():
        raise ValueError("a bound of an observed target is NaN; an interval must have two ends.")
    table = pd.DataFrame(
        {
            "row": row,
            "series": series[row],
            "step": steps[output],
            "job": targets.columns.get_level_values("job").to_numpy(object)[output],
            "actual": actual[row, output],
            "low": bounds[row, output, 0],
            "high": bounds[row, output, 1],
            "forecast": middle[row, output],
            "is_complete": (behind >= steps.max() - 1)[row],
        }
    )
    table["inside"] = table["actual"].between(table["low"], table["high"])
    if started_at is not None:
        table.insert(2, STARTED_AT, started_at.array[row])
        table = table.sort_values(STARTED_AT, kind="stable", ignore_index=True)
    return table


def holdout_intervals(
    model: Any,
    runs: pd.DataFrame,
    is_test: NDArray[np.bool_],
    confidence_level: float | None = None,
) -> pd.DataFrame:
    """Give the intervals of a fitted model for runs that it has not seen.

    Parameters
    ----------
    model : ConformalForecaster
        Fitted on the runs before the marked ones, with targets of
        :func:`~sklearn_jobtime.runs.make_targets`.
    runs : DataFrame
        The whole validated run table, so that each run has its full history.
    is_test : ndarray of bool, shape (n_runs,)
        The runs to check, as :func:`~sklearn_jobtime.runs.split_by_time` marks them.
    confidence_level : float, default=None
        None takes that of the model.

    Returns
    -------
    DataFrame
        See :func:`interval_table`.
    """
    runs = plain_table(runs)
    y = targets_named(runs, model.target_names_)
    interval = np.asarray(model.predict_interval(runs, confidence_level))
    forecast = np.reshape(model.predict(runs), y.shape)
    table = interval_table(
        interval[is_test],
        forecast[is_test],
        y[is_test],
        runs.loc[is_test, STARTED_AT] if STARTED_AT in runs else None,
    )
    return table.assign(row=np.flatnonzero(is_test)[table["row"]])


def _told_apart(part: pd.DataFrame) -> pd.Series:
    """Forecasts above 0, each at least what the clock of the durations tells apart."""
    least = indistinct_durations(part[["actual"]].to_numpy(np.float64))[0]
    return part["forecast"].where(part["forecast"] > 0).clip(lower=least)


def coverage_report(
    intervals: pd.DataFrame, nominal: float, *, confidence_level: float = 0.95
) -> pd.DataFrame:
    """Count how often the intervals held: each by itself, all of a run at once, and by group.

    Parameters
    ----------
    intervals : DataFrame
        Of :func:`holdout_intervals` or :func:`interval_table`.
    nominal : float
        The nominal coverage.
    confidence_level : float, default=0.95
        Of the bounds of the coverage.

    Returns
    -------
    DataFrame
        One row a count:

        - `what`: ``each target``; ``all jobs of a run`` (step by step), ``all steps of a job``,
          ``whole forecast`` (all jobs and steps of a row), where there are several; then each
          ``job``, ``step`` and ``series`` by itself, named in `which`.
        - `n` of them were counted and a share `coverage` was inside; `low` and `high` are the exact
          binomial bounds (Clopper and Pearson) of that share, for independent runs.
        - `n_effective`: the effective sample size, because what lies next to each other in time
          is alike. Far below `n`, the bounds are too narrow.
        - `width` in seconds and `relative_width`, as a share of the forecast: medians.
        - `nominal`, and `as_promised`: the coverage is that or more, as far as `n_effective`
          independent ones can tell.
          Simultaneous counts can be so only where the model was asked for them (`simultaneous=`
          of ConformalForecaster).

    Notes
    -----
    Simultaneous counts look at the targets of a row that were observed; those over steps leave out
    the rows whose steps reach beyond the table.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26(4), 1934.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.evaluation import coverage_report, interval_table
    >>> from sklearn_jobtime.runs import make_targets
    >>> y = make_targets(pd.DataFrame({"build": [40.0, 50.0], "test": [9.0, 30.0]}))
    >>> intervals = interval_table([[[35, 55], [5, 15]]] * 2, [[45, 10]] * 2, y)
    >>> coverage_report(intervals, 0.9)[["what", "which", "n", "coverage", "width"]]
                    what  which  n  coverage  width
    0        each target         4      0.75   15.0
    1  all jobs of a run         2      0.50   15.0
    2                job  build  2      1.00   20.0
    3                job   test  2      0.50   10.0
    """
    rows = []
    for what, which, held, part in _counts(intervals):
        low, high = binomtest(int(held["inside"].sum()), len(held)).proportion_ci(confidence_level)
        width = part["high"] - part["low"]
        share, groups = held["inside"].mean(), pd.factorize(held["series"])[0]
        n_effective = effective_sample_size(held["inside"].to_numpy(float), groups)
        rows.append(
            {
                "what": what,
                "which": which,
                "n": len(held),
                "coverage": share,
                "low": low,
                "high": high,
                "n_effective": n_effective,
                "width": width.median(),
                "relative_width": (width / _told_apart(part)).median(),
                "nominal": nominal,
                "as_promised": bool(
                    share_bounds(share, n_effective, confidence_level)[1] >= nominal
                ),
            }
        )
    return pd.DataFrame(rows)


def share_bounds(share: ArrayLike, n: ArrayLike, confidence_level: float) -> tuple[Any, Any]:
    """Give the bounds of Clopper and Pearson, for numbers of rows that are not whole too.

    Examples
    --------
    >>> from scipy.stats import binomtest
    >>> exact = binomtest(6, 8).proportion_ci(0.95)
    >>> bool(np.allclose(share_bounds(0.75, 8, 0.95), exact, atol=1e-9))
    True
    """
    yes = np.multiply(share, n)
    no, tail = n - yes, (1 - confidence_level) / 2
    low = np.where(yes > 0, beta.ppf(tail, np.where(yes > 0, yes, 1.0), no + 1), 0.0)
    return low, np.where(no > 0, beta.ppf(1 - tail, yes + 1, np.where(no > 0, no, 1.0)), 1.0)


def _counts(
    intervals: pd.DataFrame,
) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """Give what is counted: its kind, its name, what was inside, and of which intervals it is."""
    yield "each target", "", intervals, intervals
    several = {name: len(intervals[name].unique()) > 1 for name in ("job", "step", "series")}
    whole = intervals[intervals["is_complete"]]
    joint = {
        "all jobs of a run": (several["job"], intervals, ["row", "step"]),
        "all steps of a job": (several["step"], whole, ["row", "job"]),
        "whole forecast": (several["job"] and several["step"], whole, ["row"]),
    }
    for what, (wanted, part, keys) in joint.items():
        if wanted and len(part):
            groups = part.groupby(keys, sort=False)
            yield what, "", groups.agg(inside=("inside", "all"), series=("series", "first")), part
    for name in (name for name, is_wanted in several.items() if is_wanted):
        for which, part in intervals.groupby(name, sort=name == "step"):
            yield name, str(which), part, part


def rolling_coverage(
    intervals: pd.DataFrame, n_rows: int = 100, *, confidence_level: float = 0.95
) -> pd.DataFrame:
    """Follow the coverage over time: in each place that of the newest `n_rows` targets.

    Parameters
    ----------
    intervals : DataFrame
        Of :func:`holdout_intervals` or :func:`interval_table`.
    n_rows : int, default=100
        Targets that are counted together: with fewer than a hundred, the bounds of 90 % are more
        than six points away.
    confidence_level : float, default=0.95
        Of the bounds.

    Returns
    -------
    DataFrame
        From the `n_rows`-th target on: `started_at` (or `row`) of the newest, `coverage`, and its
        exact binomial bounds `low` and `high`. Empty when there are fewer targets.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.evaluation import interval_table, rolling_coverage
    >>> from sklearn_jobtime.runs import make_targets
    >>> y = make_targets(pd.DataFrame({"build": [40.0, 50.0, 90.0]}))
    >>> intervals = interval_table([[[35, 55]]] * 3, [[45]] * 3, y)
    >>> rolling_coverage(intervals, n_rows=2)["coverage"].tolist()
    [1.0, 0.5]
    """
    when = STARTED_AT if STARTED_AT in intervals else "row"
    held = intervals["inside"].rolling(n_rows).sum()
    ends = held.notna()
    bounds = {
        k: binomtest(k, n_rows).proportion_ci(confidence_level)
        for k in held[ends].astype(int).unique().tolist()
    }
    count = held[ends].astype(int)
    return pd.DataFrame(
        {
            when: intervals.loc[ends, when],
            "coverage": count / n_rows,
            "low": count.map(lambda k: bounds[k].low),
            "high": count.map(lambda k: bounds[k].high),
        }
    ).reset_index(drop=True)
