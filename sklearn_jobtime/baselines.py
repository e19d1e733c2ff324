"""The rules that people use today, as regressors over the run table.

They are what a model has to beat. A rule looks at the runs of a job that had ended when the row
started, so it can be scored beside a model on the same rows.
"""

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.history import Clock, EndedOrder, ended_order, read_clock, recall, remember
from sklearn_jobtime.metrics import observed_r2
from sklearn_jobtime.runs import (
    ENDED_AT,
    STARTED_AT,
    WHOLE_RUN,
    observed_durations,
    status_column,
    to_utc,
)

__all__ = [
    "ExponentialMean",
    "HistoryRegressor",
    "JenkinsRule",
    "Past",
    "RollingRule",
    "Rule",
    "SeasonalRule",
]

Floats = NDArray[np.float64]

WINDOWS = (3, 5, 10, 20, 50)  # what n_runs="auto" chooses from
TAIL = 0.25  # share of the newest training rows on which it chooses
NEGLIGIBLE = 2.0**-60  # a weight below this changes no sum in double precision


@dataclass(frozen=True)
class Past:
    """The runs of one job, and of which rows a forecast is asked.

    Parameters
    ----------
    job : hashable
        The column of the job.
    seconds : ndarray of shape (n,)
        Durations of the successful runs; NaN for the others.
    recorded : ndarray of shape (n,)
        Durations of all runs that have one, the failed and cancelled ones too.
    clock : Clock
        Series and times of the same rows.
    remembered : ndarray of int
        The first rows of this table are these rows of the memory; a forecast is asked of those
        behind them.
    """

    job: Hashable
    seconds: Floats
    recorded: Floats
    clock: Clock
    remembered: NDArray[np.intp]

    @property
    def first(self) -> int:
        """The first row of which a forecast is asked."""
        return len(self.remembered)

    @cached_property
    def successes(self) -> EndedOrder:
        """The successful runs in the order of their ends."""
        return self.order_of(~np.isnan(self.seconds))

    def order_of(self, eligible: NDArray[np.bool_]) -> EndedOrder:
        """Put some of the runs into the order of their ends."""
        return ended_order(self.clock.series, self.clock.started, self.clock.ended, eligible)


def newest(values: NDArray[Any], found: EndedOrder, n_runs: int, first: int = 0) -> Floats:
    """For each row, the values of the newest `n_runs` runs known when it started, newest first.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One outcome a run.
    found : EndedOrder
        The runs worth knowing.
    n_runs : int
        How many to find.
    first : int, default=0
        The first row to answer for.

    Returns
    -------
    ndarray of shape (n - first, n_runs)
        NaN where the history is shorter.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.history import ended_order
    >>> newest(np.array([1.0, 2.0, 3.0]), ended_order(np.zeros(3, int), None, None), 2)
    array([[nan, nan],
           [ 1., nan],
           [ 2.,  1.]])
    """
    place = found.stop[first:, None] - np.arange(1, n_runs + 1)
    known = place >= found.first[first:, None]
    padded = np.append(found.order, 0)
    return np.where(known, values[padded[np.where(known, place, -1)]], np.nan)


def row_mean(values: Floats) -> Floats:
    """Mean of the numbers of each row; NaN for a row without any."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def row_median(values: Floats) -> Floats:
    """Median of the numbers of each row; NaN for a row without any.

    Sorting puts NaN last; ``numpy.nanmedian`` does the same by a masked array, ten times slower.
    """
    ordered = np.sort(values, axis=1)
    last = np.maximum((~np.isnan(values)).sum(axis=1) - 1, 0)
    rows = np.arange(len(values))
    return (ordered[rows, last // 2] + ordered[rows, (last + 1) // 2]) / 2


def decay_of(half_life: float) -> float:
    """Weight of a run relative to the one after it, so that it halves in `half_life` runs."""
    return 0.5 ** (1.0 / half_life)


def runs_that_weigh(half_life: float) -> int:
    """How many runs back an exponential weight can still change a sum, as a power of two."""
    reach = np.log(NEGLIGIBLE) / np.log(decay_of(half_life))
    return int(2 ** np.ceil(np.log2(max(reach, 1.0))))


def decayed_sums(values: Floats, place: NDArray[np.intp], half_life: float) -> Floats:
    """Sum over each value and those before it, a weight of one half for every `half_life` back.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, k)
        Values in time order, one series after the other.
    place : ndarray of int, shape (n,)
        How many values of the same series stand before each.
    half_life : float
        In values.

    Returns
    -------
    ndarray of the shape of `values`

    Notes
    -----
    The span that a sum covers doubles with each pass (a parallel prefix sum), so twelve passes do
    what a loop over all rows would; unlike differences of cumulative sums it loses no digits, and
    a sum does not depend on what lies further back than :func:`runs_that_weigh`.

    Examples
    --------
    >>> import numpy as np
    >>> decayed_sums(np.array([8.0, 4.0, 1.0]), np.array([0, 1, 0]), half_life=1.0)
    array([8., 8., 1.])
    """
    sums = np.array(values, dtype=np.float64)
    decay, span = decay_of(half_life), 1
    while span < min(runs_that_weigh(half_life), len(sums)):
        inside = (place[span:] >= span).reshape(-1, *[1] * (sums.ndim - 1))
        sums[span:] += decay**span * np.where(inside, sums[:-span], 0.0)
        span *= 2
    return sums


def newest_decayed_sums(values: Floats, past: Past, half_life: float) -> Floats:
    """For each asked row, the decayed sum over the successful runs known when it started."""
    found = past.successes
    if not len(found.order):
        return np.zeros((len(found.stop) - past.first, *values.shape[1:]))
    place = np.arange(len(found.order)) - found.first[found.order]
    sums = decayed_sums(values[found.order], place, half_life)
    first, stop = found.first[past.first :], found.stop[past.first :]
    known = (stop > first).reshape(-1, *[1] * (sums.ndim - 1))
    return np.where(known, sums[np.maximum(stop - 1, 0)], 0.0)


def _with_times(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.assign(**{c: to_utc(runs[c]) for c in (STARTED_AT, ENDED_AT) if c in runs})


def _recorded_durations(runs: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Durations of all runs that have one, whatever became of them; columns as in `observed`."""
    recorded = observed.copy()
    for job in observed:
        if job in runs:
            seconds = runs[job].astype("float64")
            skipped = runs.get(status_column(job), pd.Series(index=runs.index)) == "skipped"
            recorded[job] = seconds.where(np.isfinite(seconds) & ~skipped)
        elif job == WHOLE_RUN and ENDED_AT in runs:
            recorded[job] = (runs[ENDED_AT] - runs[STARTED_AT]).dt.total_seconds()
    return recorded


class HistoryRegressor(RegressorMixin, BaseEstimator):
    """A regressor that forecasts each job from the durations of its ended runs.

    It reads the history of every job from `X`, remembers in `fit` what later rows need, and asks
    `_forecast_job` for one job at a time. All steps of the horizon get the same forecast; a
    row without history gets the median of the training targets.
    """

    @abstractmethod
    def _forecast_job(self, past: Past) -> Floats:
        """Forecast the asked rows of one job; NaN where it has no history."""

    @abstractmethod
    def _reach(self) -> int | None:
        """How many runs back a forecast looks, None for all of them."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: pd.DataFrame | ArrayLike, y: pd.DataFrame | ArrayLike) -> Self:
        """Remember the runs that later rows may need.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            A run table. In an array, each column is the history of one job.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Targets from :func:`~sklearn_jobtime.runs.make_targets`: its columns (step, job) say
            which job an output belongs to. Without names, output k belongs to column k.

        Returns
        -------
        self
        """
        self.target_names_ = y.columns if isinstance(y, pd.DataFrame) else None
        X, y = self._checked(X, y, reset=True)
        self.jobs_ = self._jobs_of(X, self.target_names_, 1 if y.ndim == 1 else y.shape[1])
        targets = y.reshape(len(y), -1)
        if (unseen := np.isnan(targets).all(axis=0)).any():
            job = self.jobs_[int(unseen.argmax())]
            raise NoHistoryError(
                f"y contains NaN only for the output of {job!r}: it was never observed, so there "
                "is nothing to forecast from; leave it out or load a longer history."
            )
        self.fallback_ = np.nanmedian(targets, axis=0)
        self._is_1d = y.ndim == 1
        values, clock = self._history(X)
        reach = self._reach()
        n_kept = len(values) if reach is None else reach
        self._memory = remember(values, clock, n_kept, eligible=~np.isnan(values))
        pasts = self._pasts(values, clock, np.arange(0))
        mine = [targets[:, [job == past.job for job in self.jobs_]] for past in pasts]
        self._learn(pasts, mine)
        return self

    def _learn(self, pasts: list[Past], targets: list[Floats]) -> None:
        """Choose or store what is needed beyond the memory; both lists have one item a job."""

    def predict(self, X: pd.DataFrame | ArrayLike) -> Floats:
        """Forecast each row from the runs that had ended when it started.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            Rows to forecast, and any rows newer than those of `fit`. A row's own outcomes are
            not used.

        Returns
        -------
        ndarray of shape (n_runs,) or (n_runs, n_outputs), in seconds
        """
        check_is_fitted(self)
        X, _ = self._checked(X)
        values, given = self._history(X)
        kept, clock = recall(self._memory, values, given)
        values = np.concatenate([self._memory.table[kept], values])
        pasts = self._pasts(values, clock, kept)
        forecasts = {past.job: self._forecast_job(past) for past in pasts}
        outputs = np.column_stack([forecasts[job] for job in self.jobs_])
        outputs = np.where(np.isnan(outputs), self.fallback_, outputs)
        return outputs[:, 0] if self._is_1d else outputs

    def score(self, X: pd.DataFrame | ArrayLike, y: ArrayLike) -> float:
        """Coefficient of determination over the observed targets."""
        return float(observed_r2(y, self.predict(X)))

    @property
    def _history_jobs(self) -> list:
        return list(dict.fromkeys(self.jobs_))

    def _checked(self, X: Any, y: Any = None, reset: bool = False) -> tuple[Any, Any]:
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            X = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan")
        if not reset:
            return X, None
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None; build "
                "it with sklearn_jobtime.runs.make_targets(runs)."
            )
        y = check_array(y, ensure_2d=False, ensure_all_finite="allow-nan", dtype="float64")
        if len(X) != len(y):
            raise ValueError(f"X has {len(X)} rows and y has {len(y)}; expected one y a row.")
        return X, y

    def _jobs_of(self, X: Any, y_columns: pd.Index | None, n_outputs: int) -> list:
        if isinstance(y_columns, pd.MultiIndex):
            return list(y_columns.get_level_values(-1))
        if isinstance(X, pd.DataFrame):
            columns = list(observed_durations(_with_times(X)).columns)
        else:
            columns = list(range(X.shape[1]))
        return [columns[k % len(columns)] for k in range(n_outputs)]

    def _history(self, X: Any) -> tuple[Floats, Clock]:
        """Seconds of the successful runs, a column a job, then those recorded, and the clock."""
        if not isinstance(X, pd.DataFrame):
            return np.tile(X[:, self._history_jobs], 2).astype(np.float64), read_clock(X)
        own = [job for job in self._history_jobs if job in X]
        runs = _with_times(X)
        observed = observed_durations(runs, own or None).reindex(columns=self._history_jobs)
        both = pd.concat([observed, _recorded_durations(runs, observed)], axis=1)
        return both.to_numpy("float64"), read_clock(runs)

    def _pasts(self, values: Floats, clock: Clock, remembered: NDArray[np.intp]) -> list[Past]:
        jobs = self._history_jobs
        return [
            Past(job, values[:, k], values[:, len(jobs) + k], clock, remembered)
            for k, job in enumerate(jobs)
        ]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # it does not look at other columns than its own
        return tags


class Rule(HistoryRegressor):
    """A rule with nothing to learn but, at most, how far it looks back."""


class RollingRule(Rule):
    """Forecast each job by the last, the mean or the median of its newest runs.

    The last run, the mean of the last two (usual in HPC schedulers) or of the last ten (what
    Airflow shows) and a rolling median are what people have today. A rolling median of ten to
    fifty runs is hard to beat from past durations alone, so every table of results should have
    it beside the model. Only runs that had ended when a row started are used; several series
    are kept apart; the newest runs seen in `fit` are remembered for `predict`. All steps of the
    horizon get the same forecast.

    Parameters
    ----------
    rule : {"last", "mean", "median"}, default="median"
        What to take of the newest runs. The median shrugs off a single odd run.
    n_runs : int or "auto", default=10
        How many runs the mean or the median sees; "last" sees one. Ten is what schedulers use; 2
        follows faster, 50 is steadier. With "auto", `fit` takes for each job the one of 3, 5, 10,
        20 and 50 with the least absolute error on the newest quarter of the training rows.
    failed_too : bool, default=False
        Look at every run that has a duration, the failed and cancelled ones too. That is the
        "last run" which most tools show; off, since a failed run does not tell how long the job
        takes.

    Attributes
    ----------
    n_runs_ : dict
        How many runs are seen for each job.
    jobs_ : list
        The column behind each output.
    target_names_ : Index or None
        The columns of `y`, when it was a DataFrame.
    fallback_ : ndarray of shape (n_outputs,)
        Median of the training targets in seconds, for rows without any history.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Names of the columns, when `X` is a DataFrame with such names.

    Raises
    ------
    RunTableError
        When `X` is a DataFrame without the jobs, or with times that are none.
    NoHistoryError
        When an output was never observed in `fit`.

    References
    ----------
    D. Tsafrir, Y. Etsion, D. G. Feitelson, "Backfilling using system-generated predictions rather
    than user runtime estimates", IEEE TPDS 18(6), 2007: the mean of the last two.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({"build": [10.0, 20.0, 60.0, 30.0]})
    >>> rule = RollingRule("mean", n_runs=2).fit(runs, make_targets(runs))
    >>> rule.predict(runs).ravel()
    array([25., 10., 15., 40.])

    The first row has no history: it gets the median of the training targets.
    """

    _parameter_constraints = {  # noqa: RUF012
        "rule": [StrOptions({"last", "mean", "median"})],
        "n_runs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "failed_too": ["boolean"],
    }

    def __init__(
        self, rule: str = "median", n_runs: int | str = 10, failed_too: bool = False
    ) -> None:
        self.rule = rule
        self.n_runs = n_runs
        self.failed_too = failed_too

    def _reach(self) -> int:
        if self.rule == "last":
            return 1
        return max(WINDOWS) if self.n_runs == "auto" else int(self.n_runs)

    def _learn(self, pasts: list[Past], targets: list[Floats]) -> None:
        choose = self.n_runs == "auto" and self.rule != "last"
        self.n_runs_ = {
            past.job: self._best_window(past, mine) if choose else self._reach()
            for past, mine in zip(pasts, targets, strict=True)
        }

    def _best_window(self, past: Past, targets: Floats) -> int:
        """Which window had the least error on the newest training rows; the shortest of equals."""
        tail = np.flatnonzero(~np.isnan(targets).all(axis=1))
        tail = tail[int(len(tail) * (1 - TAIL)) :]
        errors = [np.abs(targets[tail] - self._of_newest(past, n)[tail, None]) for n in WINDOWS]
        mae = row_mean(np.array([e.ravel() for e in errors]))
        return self._reach() if np.isnan(mae).all() else WINDOWS[int(np.nanargmin(mae))]

    def _forecast_job(self, past: Past) -> Floats:
        return self._of_newest(past, self.n_runs_[past.job])

    def _of_newest(self, past: Past, n_runs: int) -> Floats:
        if self.failed_too:
            values, found = past.recorded, past.order_of(~np.isnan(past.recorded))
        else:
            values, found = past.seconds, past.successes
        seen = newest(values, found, 1 if self.rule == "last" else n_runs, past.first)
        return row_median(seen) if self.rule == "median" else row_mean(seen)


class JenkinsRule(Rule):
    """Forecast each job as Jenkins estimates a build: the mean of up to three successes.

    They are the last success and more of them among the last six runs. Jenkins fills up with
    failed builds when there are fewer than three, and counts builds that still run among the
    six; here only runs that had ended count, and only successful ones tell how long a job takes.

    Attributes
    ----------
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`RollingRule`.

    References
    ----------
    Jenkins, ``hudson.model.Job.getEstimatedDurationCandidates``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import JenkinsRule
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({
    ...     "build": [10.0, 20.0, 3.0, 60.0, 30.0, 50.0],
    ...     "build__status": ["success", "success", "failed", "success", "success", "success"]})
    >>> JenkinsRule().fit(runs, make_targets(runs)).predict(runs).ravel().round(1).tolist()
    [30.0, 10.0, 15.0, 15.0, 30.0, 36.7]
    """

    _parameter_constraints: dict[str, list] = {}  # noqa: RUF012

    def _reach(self) -> int:
        return 6

    def _forecast_job(self, past: Past) -> Floats:
        ended = past.order_of(~np.isnan(past.recorded))
        seconds = newest(past.seconds, ended, 6, past.first)
        chosen = np.where(np.cumsum(~np.isnan(seconds), axis=1) <= 3, seconds, np.nan)
        last_success = newest(past.seconds, past.successes, 1, past.first)[:, 0]
        forecast = row_mean(chosen)
        return np.where(np.isnan(forecast), last_success, forecast)


class ExponentialMean(Rule):
    """Forecast each job by an exponentially weighted mean of its successful runs.

    It follows a change of level at once and smoothly, where a window forgets a run all at once.

    Parameters
    ----------
    half_life : float, default=5.0
        After how many successful runs the weight of one has halved. Five weighs about as a mean
        of the last ten does, but leans on the newer ones.

    Attributes
    ----------
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`RollingRule`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import ExponentialMean
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({"build": [30.0, 60.0, 60.0]})
    >>> ExponentialMean(half_life=1).fit(runs, make_targets(runs)).predict(runs).ravel()
    array([60., 30., 50.])
    """

    _parameter_constraints = {  # noqa: RUF012
        "half_life": [Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, half_life: float = 5.0) -> None:
        self.half_life = half_life

    def _reach(self) -> int:
        return runs_that_weigh(self.half_life)

    def _forecast_job(self, past: Past) -> Floats:
        terms = np.column_stack([past.seconds, np.ones(len(past.seconds))])
        total, weight = newest_decayed_sums(terms, past, self.half_life).T
        return np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)


class SeasonalRule(Rule):
    """Forecast each job by the median of its newest runs at the same time of the week.

    A nightly load on a Monday takes as long as those on the last Mondays. A run has its own hour
    and weekday (UTC) from its start. Where no successful run of that time is known, and in a table
    without starts, it is the rolling median of the last `n_runs` runs of any time.

    Parameters
    ----------
    season : {"hour of week", "hour", "weekday"}, default="hour of week"
        Which runs are alike: same weekday and hour, same hour, or same weekday.
    n_runs : int, default=5
        How many of them the median sees: about a month of a weekly rhythm.

    Attributes
    ----------
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`RollingRule`.

    Notes
    -----
    The whole history seen in `fit` is remembered, as the last run on a Sunday at three may be long
    ago.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import SeasonalRule
    >>> from sklearn_jobtime.runs import make_targets, validate_runs
    >>> days = pd.date_range("2026-03-02", periods=14, tz="UTC")
    >>> runs = validate_runs(pd.DataFrame({
    ...     "started_at": days, "build": [60.0] + [10.0] * 6 + [62.0] + [11.0] * 6}))
    >>> SeasonalRule().fit(runs, make_targets(runs)).predict(runs)[7:9].ravel().tolist()
    [60.0, 10.0]
    """

    _parameter_constraints = {  # noqa: RUF012
        "season": [StrOptions({"hour of week", "hour", "weekday"})],
        "n_runs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, season: str = "hour of week", n_runs: int = 5) -> None:
        self.season = season
        self.n_runs = n_runs

    def _reach(self) -> None:
        return None

    def _forecast_job(self, past: Past) -> Floats:
        any_time = row_median(newest(past.seconds, past.successes, self.n_runs, past.first))
        if past.clock.started is None:
            return any_time
        pairs = past.clock.series * 168 + self._season_of(past.clock.started)
        alike = replace(
            past, clock=replace(past.clock, series=np.unique(pairs, return_inverse=True)[1])
        )
        forecast = row_median(newest(alike.seconds, alike.successes, self.n_runs, alike.first))
        return np.where(np.isnan(forecast), any_time, forecast)

    def _season_of(self, started: Floats) -> NDArray[np.intp]:
        hours = np.floor(started / 3600).astype(np.intp)
        return {
            "hour of week": hours % 168,
            "hour": hours % 24,
            "weekday": hours // 24 % 7,
        }[self.season]
