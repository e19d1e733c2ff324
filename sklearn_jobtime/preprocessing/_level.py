"""Durations become ratios to the local level that was known when their run started."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_jobtime._containers import plain_table, refuse_lookalikes
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._memory import recall, remember
from sklearn_jobtime.point_in_time._order import EndedOrder, ended_by_job
from sklearn_jobtime.point_in_time._rolling import newest, row_mean, row_median
from sklearn_jobtime.preprocessing._tables import (
    in_rows,
    read_table,
    resolve_columns,
    transformed,
)
from sklearn_jobtime.runs._log_ratio import least_duration, log_ratio
from sklearn_jobtime.runs._schema import ENDED_AT, RESERVED, SPOILS_RUN, STARTED_AT, STATUSES

__all__ = ["LevelScaler", "find_jobs", "read_successes", "table_clock"]


ELAPSED = f"{ENDED_AT}__elapsed"  # what TimestampToNumeric calls the time of the whole run
FAILURES = STATUSES[1:]


def causal_level(successes: Floats, ended: EndedOrder, n_runs: int, statistic: str) -> Floats:
    """Local level of one job at each row's start: a statistic of its newest ended successes.

    Parameters
    ----------
    successes : ndarray of shape (n,)
        Seconds; NaN where the run is no success.
    ended : EndedOrder
        The runs that had ended when each asked row started.
    n_runs : int
        How many successes the level sees.
    statistic : {"median", "mean"}

    Returns
    -------
    ndarray of shape (n_asked,)
        NaN where no success had ended.
    """
    seen = newest(successes, ended.only(np.isfinite(successes)), n_runs)
    return row_median(seen) if statistic == "median" else row_mean(seen)


def find_jobs(
    estimator: BaseEstimator, table: pd.DataFrame, jobs: Sequence[str | int] | None, *, whole: bool
) -> list[str]:
    """Columns of durations behind FailureImputer; `whole` takes all columns of an array."""
    if jobs is not None:
        return resolve_columns(estimator, jobs, "jobs")
    if whole:
        return list(table.columns)
    marked = [name for name in table.columns if f"{name}__{FAILURES[0]}" in table]
    if not marked:
        marked = [
            name
            for name in table.columns
            if pd.api.types.is_float_dtype(table[name])
            and name not in RESERVED
            and "__" not in str(name)
        ]
    return marked + ([ELAPSED] if marked and ELAPSED in table else [])


def read_successes(table: pd.DataFrame, jobs: list[str]) -> tuple[Floats, Floats]:
    """Seconds of all runs, and of the successful ones alone, each of shape (n_runs, n_jobs)."""
    seconds = np.full((len(table), len(jobs)), np.nan)
    spoilt = np.zeros(seconds.shape, dtype=bool)
    for column, job in enumerate(jobs):
        seconds[:, column] = _seconds(table[job])
        for name in _spoilers(job, jobs):
            if name in table:
                spoilt[:, column] |= table[name].to_numpy(np.float64, na_value=np.nan) > 0
    return seconds, np.where(spoilt, np.nan, seconds)


def _spoilers(job: str, jobs: list[str]) -> list[str]:
    """Columns that say that a duration of `job` is not that of a success."""
    owners = [name for name in jobs if name != ELAPSED] if job == ELAPSED else [job]
    statuses = SPOILS_RUN if job == ELAPSED else FAILURES
    return [f"{owner}__{status}" for owner in owners for status in statuses]


class LevelScaler(TransformerMixin, BaseEstimator):
    """Turn the durations of jobs into logarithms of their ratios to a causal local level.

    A job of two hours and one of two seconds behave alike: what counts is whether a run took ten
    per cent longer than the job did lately. And levels jump, with a new machine image or a larger
    table, so a network that learned seconds starts anew after each jump. This step divides every
    duration by the local level of its job when the run *started*, a median of the newest successes
    that had ended by then, and takes the logarithm: 0 means as lately, 0.1 is ten per cent more,
    and a value of one series means the same in another.

    Put it behind :class:`~sklearn_jobtime.FailureImputer` and before the windows. A failed run has
    the ratio of what the imputer made of it, clipped, and never sets a level. All other columns
    pass unchanged. `fit` remembers the newest successes of each series for later rows.

    Parameters
    ----------
    n_runs : int, default=10
        Successes in a local level. Ten follow a jump within a week of nightly runs and are steady
        enough that the ratio is one of this run, not of the noise of the level.
    statistic : {"median", "mean"}, default="median"
        The median shrugs off a single hung run.
    clip : float, default=3.0
        Bound of the log ratios: 20 times longer or shorter says no more than that it went wrong.
    keep_level : bool, default=False
        Add a column ``started_at__level_<job>`` with the logarithm of the level. The name says that
        it is known at the start, as everything that derives from `started_at` is. Off, because
        levels never seen in training are what this step takes away.
    jobs : list of str or int, default=None
        The columns of durations. None takes those with a ``<job>__failed`` beside them (as
        FailureImputer leaves them) and ``ended_at__elapsed``, the time of the whole run; in a table
        without any such column every float column that derives from no other; in an array, all.

    Attributes
    ----------
    jobs_ : list of str
        The columns that are scaled.
    floor_ : dict of str to float
        Seconds that shorter durations count as: half the smallest positive success in `fit`, so
        that a duration rounded to 0 s has a logarithm.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    RunTableError
        When a job holds inf or no numbers, or the table already has a column of a level.

    See Also
    --------
    sklearn_jobtime.AnchoredRegressor : The same for the targets, with any base forecast.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime import LevelScaler
    >>> runs = pd.DataFrame({"build": [40.0, 40.0, 80.0, 40.0]})
    >>> LevelScaler(n_runs=2).fit_transform(runs)["build"].round(2).tolist()
    [nan, 0.0, 0.69, -0.41]

    The last level is the median of 40 s and 80 s. The first run has no level, as nothing is known
    before it.

    >>> LevelScaler().fit(pd.DataFrame({"build": [40.0, float("inf")]}))
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.RunTableError: column 'build', row 1: the duration is infinite ...
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_runs": [Interval(Integral, 1, None, closed="left")],
        "statistic": [StrOptions({"median", "mean"})],
        "clip": [Interval(Real, 0, None, closed="neither")],
        "keep_level": ["boolean"],
        "jobs": ["array-like", None],
    }

    def __init__(
        self,
        n_runs: int = 10,
        *,
        statistic: str = "median",
        clip: float = 3.0,
        keep_level: bool = False,
        jobs: Sequence[str | int] | None = None,
    ):
        self.n_runs = n_runs
        self.statistic = statistic
        self.clip = clip
        self.keep_level = keep_level
        self.jobs = jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Remember the newest successes of each job and series.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table, times as datetimes or epoch seconds.
        y : None
            Ignored.

        Returns
        -------
        self : LevelScaler
        """
        X = plain_table(X)
        table = read_table(self, X, reset=True, dtype=(np.float64, np.float32))
        self.jobs_ = find_jobs(self, table, self.jobs, whole=not isinstance(X, pd.DataFrame))
        self.get_feature_names_out()  # a clash of names shows now
        _, successes = read_successes(table, self.jobs_)
        self.floor_ = {
            job: least_duration(column) for job, column in zip(self.jobs_, successes.T, strict=True)
        }
        if self.jobs_:
            clock = table_clock(X, table)
            is_good = np.isfinite(successes)
            self._memory = remember(successes, clock, self.n_runs, is_good, jobs=self.jobs_)
        return self

    def transform(self, X: Any) -> Any:
        """Divide every duration by the local level at its start, and take the logarithm.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            Rows and index as given; NaN where there is no duration, or no level yet.
        """
        return self.transform_rows(X)

    def transform_rows(self, X: Any, rows: Rows | None = None) -> Any:
        """Transform a table, but the durations of some of its rows alone.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.
        rows : ndarray of int, default=None
            Positions of the rows whose ratios are wanted; None: all. With rows, each remembered run
            of the series in `X` has to be in `X`.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            As :meth:`transform` gives it; the durations of other rows are NaN.

        Raises
        ------
        NotAllGivenError
            When a remembered run may stand before the given ones.
        """
        check_is_fitted(self)
        X = plain_table(X)
        table = read_table(self, X, reset=False, dtype=(np.float64, np.float32))
        if not self.jobs_:
            return transformed(self, table, X)
        seconds, successes = read_successes(table, self.jobs_)
        kept, clock = recall(
            self._memory, successes, table_clock(X, table), must_be_given=rows is not None
        )
        history = np.concatenate([self._memory.table[kept], successes])
        ended = ended_by_job(clock, self.jobs_, first=len(kept))
        if rows is not None:
            ended = {job: of_job.at(rows) for job, of_job in ended.items()}
            seconds = seconds[rows]
        scaled, levels = {}, {}
        for column, job in enumerate(self.jobs_):
            level = causal_level(history[:, column], ended[job], self.n_runs, self.statistic)
            floor = self.floor_[job]
            ratios = log_ratio(seconds[:, column], level, floor, self.clip)
            scaled[job] = in_rows(len(table), rows, ratios)
            level = np.log(np.maximum(level, floor))
            levels[_level_column(job)] = in_rows(len(table), rows, level)
        added = pd.DataFrame(levels if self.keep_level else {}, index=table.index)
        return transformed(self, pd.concat([table.assign(**scaled), added], axis=1), X)

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
        added = [_level_column(job) for job in self.jobs_ if self.keep_level]
        if clash := set(names) & set(added):
            raise RunTableError(
                f"the table already has a column {min(clash)!r}, which LevelScaler would add; drop "
                "it, and do not transform a table twice."
            )
        return np.array(names + added, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _level_column(job: str) -> str:
    return f"{STARTED_AT}__level_{job}"


def table_clock(X: Any, table: pd.DataFrame) -> Clock:
    """Read the clock; the rows of an array have no labels that could be compared."""
    return read_clock(table if isinstance(X, pd.DataFrame) else table.to_numpy())


def _seconds(column: pd.Series) -> Floats:
    refuse_lookalikes(column, f"column {column.name!r}")
    try:
        seconds = column.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise RunTableError(
            f"column {column.name!r} is {column.dtype}, expected the durations of a job as "
            "numbers of seconds; convert it with pandas.to_numeric, or name the jobs with jobs=."
        ) from error
    if (infinite := np.isinf(seconds)).any():
        row = column.index[int(infinite.argmax())]
        raise RunTableError(
            f"column {column.name!r}, row {row!r}: the duration is infinite (infinity, inf), which "
            "marks a failed run; put FailureImputer before LevelScaler."
        )
    return seconds
