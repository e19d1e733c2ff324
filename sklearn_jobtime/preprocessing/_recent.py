"""What the ended runs looked like when a run started, as columns known at its start."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self
from zlib import crc32

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_jobtime._containers import plain_table, plain_value
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.point_in_time._clock import Clock
from sklearn_jobtime.point_in_time._memory import Memory, recall, remember
from sklearn_jobtime.point_in_time._order import EndedOrder, ended_order, rows_to_remember
from sklearn_jobtime.point_in_time._rolling import newest, row_mean, row_median, row_quantile
from sklearn_jobtime.preprocessing._covariates import drifts
from sklearn_jobtime.preprocessing._level import (
    find_jobs,
    read_successes,
    table_clock,
)
from sklearn_jobtime.preprocessing._tables import (
    in_rows,
    read_table,
    resolve_columns,
    transformed,
)
from sklearn_jobtime.runs._log_ratio import least_duration
from sklearn_jobtime.runs._schema import STARTED_AT

__all__ = ["RecentRuns"]


LEVEL = 10  # runs in the local level that all else is relative to
SPREAD = 20  # runs in quantiles and spread
FAILED = 5  # ended runs of which the share of failures is taken
ALIKE = 10  # runs with the same value of a covariate
MOST_VALUES = 12  # a number with more values than this is cut into classes
CLASSES = 5
BOUND = 3.0  # of the log ratios
MOST_OVERLAP = 20  # a run whose end was never recorded must not count for ever more


def recent_levels(logs: Floats, ended: EndedOrder, windows: Sequence[int]) -> list[Floats]:
    """Statistics of the newest successes, relative to the median of the last ten.

    Parameters
    ----------
    logs : ndarray of shape (n,)
        Logarithms of the durations of successes, NaN for other runs.
    ended : EndedOrder
        The runs that had ended when each asked row started.
    windows : sequence of int
        Lengths of the medians.

    Returns
    -------
    list of ndarray of shape (n_asked,)
        The medians, the logarithm of the mean of ten, the 10 % and 90 % quantiles, the spread
        (median absolute deviation), and last the local level itself.
    """
    past = newest(logs, ended.only(np.isfinite(logs)), max(*windows, LEVEL, SPREAD))
    level = row_median(past[:, :LEVEL])
    some = past[:, :SPREAD]
    middle = row_median(some)
    statistics = [row_median(past[:, :n]) - level for n in windows]
    statistics.append(np.log(row_mean(np.exp(past[:, :LEVEL]))) - level)
    statistics += [row_quantile(some, q) - level for q in (0.1, 0.9)]
    statistics.append(row_median(np.abs(some - middle[:, None])))
    return [*statistics, level]


def alike(codes: Floats, clock: Clock) -> Rows:
    """Give a number to each pair of a series and a code."""
    return clock.series * (len(codes) + 1) + pd.factorize(codes)[0]


def overlap(clock: Clock, ended: EndedOrder) -> Floats:
    """Count the runs of the series under way when an asked row started, up to `MOST_OVERLAP`."""
    n = len(clock.series)
    started = np.zeros(n) if clock.started is None else clock.started
    order = np.lexsort((np.arange(n), started, clock.series))
    by_series = clock.series[order]
    before = np.empty(n, dtype=np.intp)
    before[order] = np.arange(n) - np.searchsorted(by_series, by_series)
    under_way = before[ended.asked] - (ended.stop - ended.first)
    return np.minimum(under_way, MOST_OVERLAP).astype(np.float64)


def never_ended(clock: Clock) -> Rows:
    """Find the newest `MOST_OVERLAP` runs of each series without an end: they stay under way."""
    if clock.ended is None:
        return np.arange(0)
    rows = np.flatnonzero(np.isnan(clock.ended))
    started = np.zeros(len(rows)) if clock.started is None else clock.started[rows]
    rows = rows[np.lexsort((started, clock.series[rows]))]
    series = clock.series[rows]
    return rows[
        np.searchsorted(series, series, side="right") - np.arange(len(rows)) <= MOST_OVERLAP
    ]


class RecentRuns(TransformerMixin, BaseEstimator):
    """Add to each run what the runs that had ended by its start say about it.

    A window of the last twenty runs shows a network every one of them, but not what a person would
    ask first: is the job slower this week than this month? How far apart do its runs lie? Did the
    last ones fail? How long did it take the last ten times *on a push to the main branch*? How many
    runs are under way right now? This step answers with columns named
    ``started_at__<job>_<what>``, which are known at the start of a run since their name begins so:

    - ``median_<n>``: median of the last n successes, ``mean_10``, ``low`` and ``high``: their mean
      and the 10 % and 90 % quantiles of twenty, ``by_<covariate>``: median of the last ten
      successes with the same value of a covariate. All are logarithms of ratios to the median of
      the last ten, so that they mean the same for jobs of seconds and of hours;
    - ``spread``: median absolute deviation of the logarithms of the last twenty;
    - ``failed``: share of failures among the last five ended runs;
    - ``started_at__overlap``: logarithm of one plus the number of runs under way.

    Put it behind :class:`~sklearn_jobtime.FailureImputer` and before
    :class:`~sklearn_jobtime.LevelScaler`. `fit` remembers the runs.

    Parameters
    ----------
    by : list of str or int, default=None
        Covariates known at the start of a run. Numbers of more than twelve values are cut into
        five classes of equal size; those that only ever drift are passed over, as
        :class:`~sklearn_jobtime.CovariateEncoder` does, since their runs alike are the newest.
    windows : list of int, default=(1, 3, 30, 100, 200)
        Lengths of the medians: from the last run to half a year of nights.
    jobs : list of str or int, default=None
        The columns of durations; None finds them as :class:`~sklearn_jobtime.LevelScaler` does.

    Attributes
    ----------
    jobs_ : list of str
        The columns of durations.
    by_ : list of str
        The covariates, without those that drift.
    cuts_ : dict of str to ndarray
        Bounds of the classes of numbers of many values.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    RunTableError
        When a job holds inf or no numbers, or the table already has a column to be added.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime import RecentRuns
    >>> runs = pd.DataFrame({"build": [60.0, 30.0, 60.0, 30.0, 60.0], "event": list("abaab")})
    >>> recent = RecentRuns(by=["event"], jobs=["build"]).fit_transform(runs)
    >>> recent["started_at__build_by_event"].round(2).tolist()
    [nan, nan, 0.35, 0.0, -0.35]

    The last run is a "b"; the "b" before it took 30 s, the middle of all four before is 42 s
    (a median of logarithms).
    """

    _parameter_constraints: ClassVar[dict] = {
        "by": ["array-like", None],
        "windows": ["array-like"],
        "jobs": ["array-like", None],
    }

    def __init__(
        self,
        by: Sequence[str | int] | None = None,
        *,
        windows: Sequence[int] = (1, 3, 30, 100, 200),
        jobs: Sequence[str | int] | None = None,
    ):
        self.by = by
        self.windows = windows
        self.jobs = jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Remember the runs, and cut numbers into classes.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.
        y : None
            Ignored.

        Returns
        -------
        self : RecentRuns
        """
        positive = Interval(Integral, 1, None, closed="left")
        if not len(self.windows) or not all(positive.is_satisfied_by(n) for n in self.windows):
            raise ValueError(f"windows must be some whole numbers of runs, got {self.windows!r}.")
        X = plain_table(X)
        table = read_table(self, X, reset=True, dtype=(np.float64, np.float32))
        self.jobs_ = find_jobs(self, table, self.jobs, whole=not isinstance(X, pd.DataFrame))
        named = [] if self.by is None else resolve_columns(self, self.by, "by")
        self.by_ = [name for name in named if not drifts(table[name])]
        self.cuts_ = {}
        for name in self.by_:
            if pd.api.types.is_numeric_dtype(table[name]) and table[name].nunique() > MOST_VALUES:
                numbers = table[name].to_numpy(np.float64, na_value=np.nan)
                inner = np.linspace(0, 1, CLASSES + 1)[1:-1]
                self.cuts_[name] = np.unique(np.nanquantile(numbers, inner))
        self.get_feature_names_out()  # a clash of names shows now
        values = self._read(table)
        self.floor_ = np.array([least_duration(column) for column in self._successes(values).T])
        self._memory = self._remember(values, table_clock(X, table))
        return self

    def _remember(self, values: Floats, clock: Clock) -> Memory:
        """Keep the runs that a later row may look at."""
        n_jobs = len(self.jobs_)
        good = np.isfinite(self._successes(values))
        reach = max(*self.windows, LEVEL, SPREAD)
        further = [rows_to_remember(clock, reach, column) for column in good.T]
        for codes in values[:, 2 * n_jobs :].T:
            groups = alike(codes, clock)
            further += [rows_to_remember(clock, ALIKE, column, groups) for column in good.T]
        further.append(never_ended(clock))
        return remember(values, clock, FAILED, also=further)

    def _read(self, table: pd.DataFrame) -> Floats:
        """Columns of the seconds of successes, of failures (0, 1), and of the codes."""
        seconds, successes = read_successes(table, self.jobs_)
        failed = np.where(np.isnan(seconds), np.nan, np.isnan(successes))
        codes = [self._code(name, table[name]) for name in self.by_]
        return np.column_stack([successes, failed, *codes]).astype(np.float64)

    def _successes(self, values: Floats) -> Floats:
        return values[:, : len(self.jobs_)]

    def _code(self, name: str, column: pd.Series) -> Floats:
        """Give each value a number; a fixed hash, so that values never seen have one too."""
        if name in self.cuts_:
            numbers = column.to_numpy(np.float64, na_value=np.nan)
            place = np.searchsorted(self.cuts_[name], numbers, side="right").astype(np.float64)
            return np.where(np.isnan(numbers), -1.0, place)
        codes, values = pd.factorize(column.astype(object))
        hashes = [float(crc32(repr(plain_value(value)).encode())) for value in values]
        return np.array([*hashes, -1.0])[codes]

    def transform(self, X: Any) -> Any:
        """Add the columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            Rows and index as given; NaN where there is no history.
        """
        return self.transform_rows(X)

    def transform_rows(self, X: Any, rows: Rows | None = None) -> Any:
        """Transform a table, but add columns to some of its rows alone.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.
        rows : ndarray of int, default=None
            Positions of the rows whose columns are wanted; None: all. With rows, each remembered
            run of the series in `X` has to be in `X`.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            As :meth:`transform` gives it; the added columns of other rows are NaN.

        Raises
        ------
        NotAllGivenError
            When a remembered run may stand before the given ones.
        """
        check_is_fitted(self)
        X = plain_table(X)
        table = read_table(self, X, reset=False, dtype=(np.float64, np.float32))
        values, is_part = self._read(table), rows is not None
        kept, clock = recall(self._memory, values, table_clock(X, table), must_be_given=is_part)
        values = np.concatenate([self._memory.table[kept], values])
        n_jobs = len(self.jobs_)
        logs = np.log(np.maximum(self._successes(values), self.floor_))
        ended = ended_order(clock.series, clock.started, clock.ended, first=len(kept))
        ended = ended if rows is None else ended.at(rows)
        ended_alike = [ended.within(alike(codes, clock)) for codes in values[:, 2 * n_jobs :].T]
        columns = []
        for k in range(n_jobs):
            *statistics, level = recent_levels(logs[:, k], ended, self.windows)
            good = np.isfinite(logs[:, k])
            statistics += [
                row_median(newest(logs[:, k], found.only(good), ALIKE)) - level
                for found in ended_alike
            ]
            columns += [np.clip(column, -BOUND, BOUND) for column in statistics]
            columns.append(row_mean(newest(values[:, n_jobs + k], ended, FAILED)))
        columns.append(np.log1p(overlap(clock, ended)))
        names = self.get_feature_names_out()[table.shape[1] :]
        found = in_rows(len(table), rows, np.column_stack(columns))
        added = pd.DataFrame(found, index=table.index, columns=names)
        return transformed(self, pd.concat([table, added], axis=1), X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; None takes those seen in `fit`, or x0, x1, ...

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "jobs_")
        names = list(_check_feature_names_in(self, input_features))
        statistics = [f"median_{n}" for n in self.windows] + [f"mean_{LEVEL}"]
        statistics += ["low", "high", "spread", *[f"by_{name}" for name in self.by_], "failed"]
        added = [f"{STARTED_AT}__{job}_{what}" for job in self.jobs_ for what in statistics]
        added.append(f"{STARTED_AT}__overlap")
        if clash := set(names) & set(added):
            raise RunTableError(
                f"the table already has a column {min(clash)!r}, which RecentRuns would add; drop "
                "it, and do not transform a table twice."
            )
        return np.array(names + added, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
