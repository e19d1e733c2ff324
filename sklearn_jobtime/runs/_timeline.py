"""The run table in time: as it was known at a moment, split at one, and with runs to come."""

from collections.abc import Hashable, Iterable

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import plain_table, to_utc
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.runs._job_times import job_ends
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    STARTED_AT,
    clock_columns,
    end_column,
    job_columns,
    series_names,
    series_of,
    start_column,
    status_column,
)

__all__ = ["as_of", "later", "next_runs", "retired_series", "split_by_time", "split_off_coming"]

# A series whose next run is overdue by more than both of these is retired.
RETIRED_GAPS = 10
RETIRED_AFTER = pd.Timedelta(days=7)
GAPS = 20  # of the newest starts of a series, of which the median is taken
A_CENTURY = 100 * 365.25 * 86400.0


def later(started: pd.Series, seconds: pd.Series) -> pd.Series:
    """Moments so many seconds after each start, to the second; NaT beyond a century.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> starts = pd.Series(pd.to_datetime(["2026-03-01"] * 3, utc=True))
    >>> later(starts, pd.Series([90.2, np.inf, 1e15])).dt.second.tolist()
    [30.0, nan, nan]
    """
    known = seconds.where(seconds.abs() <= A_CENTURY)
    return (started + pd.to_timedelta(known, unit="s")).dt.round("s")


def as_of(runs: pd.DataFrame, when: pd.Timestamp) -> pd.DataFrame:
    """Give the table as it could be read at `when`: no later run, no outcome not yet known.

    Runs that had started but not ended keep what was known at their start as far as the table
    can tell it: their `ended_at`, durations and statuses are missing, and the clock times of jobs
    that come later than `when`. Where ``<job>__started_at`` tells, the jobs of such a run that had
    ended themselves keep their duration and status.

    Parameters
    ----------
    runs : DataFrame
        A validated run table with `started_at`.
    when : Timestamp
        An aware time.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import validate_runs
    >>> from sklearn_jobtime.runs import as_of
    >>> runs = validate_runs(pd.DataFrame({
    ...     "started_at": ["2026-03-01", "2026-03-02"],
    ...     "ended_at": ["2026-03-01T01:00", "2026-03-02T01:00"], "build": [3600.0, 3600.0]}))
    >>> as_of(runs, pd.Timestamp("2026-03-02T00:30", tz="UTC"))["build"].tolist()
    [3600.0, nan]
    """
    runs = plain_table(runs)
    if STARTED_AT not in runs:
        raise RunTableError(
            f"the table has no column {STARTED_AT!r}, so nothing says what was known at {when}."
        )
    known = runs[runs[STARTED_AT] <= when].copy()
    clocks = set(clock_columns(known))
    has_ended = known[ENDED_AT] <= when if ENDED_AT in known else pd.Series(True, known.index)
    if ENDED_AT in known:
        # `where` writes what is missing in the dtype of the column: NaT among times, NaN in
        # numbers.
        known[ENDED_AT] = known[ENDED_AT].where(has_ended)
    elif not clocks:
        return known
    moment = to_utc(pd.Series([when])).iloc[0]
    for job in job_columns(runs):
        own = job_ends(known, job)
        is_known = has_ended
        if own.notna().any():
            is_known = (own <= moment).where(own.notna(), has_ended)
        for outcome in (job, status_column(job)):
            if outcome in known:
                known[outcome] = known[outcome].where(is_known)
        for clock in (start_column(job), end_column(job)):
            if clock in clocks:
                known[clock] = known[clock].where(to_utc(known[clock]) <= moment)
    return known


def split_by_time(runs: pd.DataFrame, test_size: float = 0.2) -> tuple[pd.DataFrame, np.ndarray]:
    """Split a table at one moment: the past as it was known then, and which rows came after.

    To test a model, fit it on the first part and predict the *whole* table, then look at the
    marked rows: each of them then has its full history, and no more than that.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    test_size : float, default=0.2
        Share of the runs that come after the split; at least one run stays on each side.

    Returns
    -------
    train : DataFrame
        The table :func:`as_of` the split.
    is_test : ndarray of bool, shape (n_runs,)

    Raises
    ------
    NoHistoryError
        When the table has fewer than two runs, or all start at the same moment.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import split_by_time
    >>> train, is_test = split_by_time(pd.DataFrame({"build": [1.0, 2.0, 3.0, 4.0]}), 0.25)
    >>> len(train), is_test.tolist()
    (3, [False, False, False, True])
    """
    if not 0 < test_size < 1:
        raise ValueError(f"test_size must be a share between 0 and 1, got {test_size}.")
    runs = plain_table(runs)
    if STARTED_AT not in runs:
        series = pd.Series(series_of(runs.index))
        rank = series.groupby(series).cumcount()
        length = series.groupby(series).transform("size")
        is_test = (rank >= np.ceil(length * (1 - test_size)).clip(lower=1)).to_numpy()
        train = runs[~is_test]
    else:
        started = runs[STARTED_AT].sort_values(kind="stable")
        n_train = min(max(int(len(runs) * (1 - test_size)), 1), len(runs) - 1)
        cut = started.iloc[n_train]
        is_test = (runs[STARTED_AT] >= cut).to_numpy()
        train = as_of(runs[~is_test], cut)
    if train.empty or not is_test.any():
        raise NoHistoryError(
            f"{len(runs)} runs cannot be split in time: expected at least two runs with "
            "different starts; load a longer history."
        )
    return train, is_test


def next_runs(
    runs: pd.DataFrame, started_at: pd.Timestamp | str | Iterable[pd.Timestamp | str] | None = None
) -> pd.DataFrame:
    """Make rows for runs to come, with everything unknown but their start.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    started_at : time or list of times, default=None
        When the coming runs start, for every series. None: one run a series that is not retired
        (:func:`retired_series`), at its last start plus the median gap between its last twenty
        starts.

    Returns
    -------
    DataFrame
        The same columns as `runs`; covariates are missing and may be filled in. Integer labels
        count on from the last run, others read ``next 1``, ``next 2``, ...

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import validate_runs
    >>> from sklearn_jobtime.runs import next_runs
    >>> runs = validate_runs(pd.DataFrame({
    ...     "started_at": ["2026-03-01", "2026-03-02"], "build": [3600.0, 3500.0]}))
    >>> next_runs(runs)
                     started_at  build
    2 2026-03-03 00:00:00+00:00    NaN
    """
    runs = plain_table(runs)
    if started_at is not None and STARTED_AT not in runs:
        raise RunTableError(
            f"started_at was given, but the table has no column {STARTED_AT!r} to put it in."
        )
    given = None
    if started_at is not None:
        one = isinstance(started_at, str) or not isinstance(started_at, Iterable)
        given = to_utc(pd.Series([started_at] if one else list(started_at), name=STARTED_AT))
        if given.empty or given.isna().any():
            raise RunTableError(f"started_at must name at least one time, got {started_at!r}.")
    if given is None:
        runs = runs[~_is_retired(runs)]
    newest, starts = _newest_runs(runs), given
    n = 1 if given is None else len(given)
    if given is None and STARTED_AT in runs:
        gaps = median_gaps(runs[STARTED_AT], series_of(runs.index))
        gap = gaps.reindex(series_of(runs.index)[newest])
        starts = runs[STARTED_AT].iloc[newest] + gap.array
    elif given is not None:
        starts = given.iloc[np.tile(np.arange(n), len(newest))]
    coming = pd.DataFrame(index=_next_labels(runs.index[newest], n))
    if starts is not None:
        coming[STARTED_AT] = starts.array
    return coming.reindex(columns=runs.columns).astype(_nullable(runs.dtypes))


def _newest_runs(runs: pd.DataFrame) -> np.ndarray:
    """Position of the newest run of each series, in the order in which the series appear."""
    series = pd.factorize(series_of(runs.index))[0]
    order = np.arange(len(runs))
    if STARTED_AT in runs:
        order = runs[STARTED_AT].reset_index(drop=True).sort_values(kind="stable").index.to_numpy()
    order = order[np.argsort(series[order], kind="stable")]
    return order[np.diff(series[order], append=-1) != 0]


def _next_labels(newest: pd.Index, n: int) -> pd.Index:
    """Labels of the `n` runs after each of the newest ones."""
    labels = [
        last + 1 + k if isinstance(last, int | np.integer) else f"next {k + 1}"
        for last in newest.get_level_values(-1)
        for k in range(n)
    ]
    if newest.nlevels == 1:
        return pd.Index(labels, name=newest.name)
    if not labels:  # as in `series_names`
        return newest[:0]
    pairs = zip(newest.repeat(n), labels, strict=True)
    return pd.MultiIndex.from_tuples(
        [(*run[:-1], label) for run, label in pairs], names=newest.names
    )


def retired_series(runs: pd.DataFrame) -> pd.Series:
    """Tell which series have had no run for so long that none is to be expected.

    Their next run, one median gap after the last, should have come more than ten gaps and more
    than a week before the newest start in the table. So the series with the newest run is never
    retired, a nightly one is ten nights after it was due, a weekly one ten weeks after, and one of
    a single run a week after it.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.

    Returns
    -------
    Series
        The last start of each retired series, by its name; empty for a table without times.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import retired_series
    >>> days = pd.date_range("2026-03-01", periods=40, tz="UTC")
    >>> old, new = (pd.DataFrame({"started_at": d, "job": 1.0}) for d in (days[:20], days))
    >>> retired_series(pd.concat({"old": old, "new": new})).dt.day.to_dict()
    {'old': 20}
    """
    runs = plain_table(runs)
    if STARTED_AT not in runs:
        return pd.Series(dtype="datetime64[ns, UTC]", name=STARTED_AT)
    last = runs.loc[_is_retired(runs), STARTED_AT]
    return last.groupby(series_names(last.index), sort=False).last()


def _is_retired(runs: pd.DataFrame) -> np.ndarray:
    """Rows of retired series."""
    if STARTED_AT not in runs or runs.index.nlevels == 1:
        return np.zeros(len(runs), dtype=bool)
    series = series_of(runs.index)
    gap = median_gaps(runs[STARTED_AT], series)
    overdue = runs[STARTED_AT].max() - runs[STARTED_AT].groupby(series).max() - gap
    is_retired = (overdue > RETIRED_GAPS * gap) & (overdue > RETIRED_AFTER)
    return is_retired.reindex(series).to_numpy()


def median_gaps(started: pd.Series, series: np.ndarray) -> pd.Series:
    """Median time between the last twenty starts of each series; zero for a single start.

    Parameters
    ----------
    started : Series of datetimes
    series : ndarray of int
        The series of each of them.

    Returns
    -------
    Series of timedelta64
        By the number of the series.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> days = pd.Series(pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-04", "2026-03-09"]))
    >>> median_gaps(days, np.array([0, 0, 0, 1])).dt.total_seconds().div(3600).tolist()
    [36.0, 0.0]
    """
    ordered = pd.DataFrame({"start": started.array, "series": series}).sort_values("start")
    newest = ordered.groupby("series").tail(GAPS + 1)
    gaps = newest["start"].groupby(newest["series"]).diff().dropna()  # pandas 2.2.0 counts NaT
    of_series = gaps.groupby(newest["series"].loc[gaps.index]).median()
    return of_series.reindex(np.unique(series), fill_value=pd.Timedelta(0))


def _nullable(dtypes: pd.Series) -> dict[Hashable, object]:
    """Types that can hold a missing value: whole numbers and flags become float."""
    return {name: "float64" if dtype.kind in "iub" else dtype for name, dtype in dtypes.items()}


def split_off_coming(runs: pd.DataFrame, jobs: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split off the last rows of each series that have no outcome: runs to come, or just started.

    Raises
    ------
    RunTableError
        When no row has an outcome.
    """
    statuses = [status_column(job) for job in jobs if status_column(job) in runs]
    outcomes = [*jobs, *statuses, *([ENDED_AT] if ENDED_AT in runs else [])]
    has_outcome = runs[outcomes].notna().any(axis=1)
    later = has_outcome[::-1].groupby(series_of(runs.index)[::-1]).cummax()[::-1].to_numpy()
    if not later.any():
        raise RunTableError(
            f"none of the {len(runs)} rows has an outcome (a value in one of {outcomes}), so there "
            "is no history; the runs to come belong below the runs that have ended."
        )
    return runs[later], runs[~later]
