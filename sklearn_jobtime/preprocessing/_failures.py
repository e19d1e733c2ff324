"""Failed jobs get a duration a forecaster can use, and channels that say how they ended."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import plain_table, refuse_lookalikes, row_label
from sklearn_jobtime._estimator import check_has_effect
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._memory import recall, remember
from sklearn_jobtime.point_in_time._order import ended_order
from sklearn_jobtime.preprocessing._tables import (
    names_out,
    read_table,
    resolve_columns,
    transformed,
)
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, STATUSES, status_column

__all__ = ["FailureImputer"]


SUCCESS, *FAILURES = STATUSES
LEARNED = ("high", "quantile", "median", "last success")
STRATEGIES = (*LEARNED, "constant", "missing")
# What a user who names none gets: cut off or skipped, a job says nothing about its duration.
SILENT = {"cancelled": "missing", "skipped": "missing"}


def read_durations(column: pd.Series) -> np.ndarray:
    """Seconds of one job as float64: NaN = not observed, inf = failed."""
    refuse_lookalikes(column, f"column {column.name!r}")
    try:
        seconds = column.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise RunTableError(
            f"column {column.name!r} is {column.dtype}, expected the durations of a job as "
            "numbers of seconds; convert it with pandas.to_numeric, or rename the column "
            f"{status_column(str(column.name))!r} if this is no job."
        ) from error
    if (negative := seconds < 0).any():
        row = int(negative.argmax())
        raise RunTableError(
            f"column {column.name!r}, row {row_label(column.index, row)}: {seconds[row]} is "
            "negative; "
            "expected seconds >= 0, NaN = not observed, inf = failed; correct it or set it to NaN."
        )
    return seconds


def read_outcomes(seconds: np.ndarray, status: pd.Series | None) -> np.ndarray:
    """How each run of a job ended, as a position in `STATUSES`; inf without a failure is failed."""
    outcome = np.zeros(len(seconds), dtype=np.int8)
    if status is not None:
        outcome = pd.Index(STATUSES, dtype=object).get_indexer(status.astype(object))
        unknown = (outcome < 0) & status.notna().to_numpy()
        if unknown.any():
            row = int(unknown.argmax())
            raise RunTableError(
                f"column {status.name!r}, row {row_label(status.index, row)}: unknown status "
                f"{status.iloc[row]!r}, expected one of {', '.join(STATUSES)}; map your "
                "scheduler's states to these with Series.replace."
            )
        outcome[outcome < 0] = 0
    return np.where(np.isinf(seconds) & (outcome == 0), STATUSES.index("failed"), outcome)


def last_success(successes: np.ndarray, clock: Clock) -> np.ndarray:
    """For each row the success of its series that ended last before the row started.

    `successes` holds seconds, and NaN where a run is no success; NaN where no success had ended.
    """
    known = ended_order(clock.series, clock.started, clock.ended, np.isfinite(successes))
    newest = np.full(len(successes), np.nan)
    has_one = known.stop > known.first
    newest[has_one] = successes[known.order[known.stop[has_one] - 1]]
    return newest


class FailureImputer(TransformerMixin, BaseEstimator):
    """Give failed jobs a duration, and say in channels of their own that they failed.

    A job that crashes after four seconds did not take four seconds: taken at face value, the
    failures teach a forecaster that the job is fast. And the night was not good either, so by
    default a failure counts as a very long run. The status texts are consumed, since the steps
    that follow take numbers only, and come out as channels of 0 and 1.

    A job is a column with a ``<job>__status`` column beside it, or a column of numbers that held
    an ``inf`` in `fit`. A run of it is a failure when its status is `failed`, `timeout`,
    `cancelled` or `skipped`, or its duration is inf (which counts as `failed` unless the status
    says something worse than success). A missing status means success. A successful run without
    a duration was not observed and stays NaN. All other columns pass unchanged.

    Parameters
    ----------
    strategy : str or dict, default="high"
        What stands for the duration of a failure, in seconds:

        - ``"high"``: `factor` times the `quantile` of the job's successful durations. The
          default, because an LSTM can tell so high a value from all good ones.
        - ``"quantile"``: that quantile itself, a pessimistic but possible duration.
        - ``"median"``: the median of the successful durations.
        - ``"last success"``: the job's newest success in the same series that had ended when the
          failed run started, remembered from `fit` on; the median while there is none.
        - ``"constant"``: `fill_value`.
        - ``"missing"``: NaN, as if it had not been observed.

        A string rules runs that failed or timed out; those that were cancelled or skipped are
        ``"missing"``, because someone else's decision says nothing about the job. A dict rules
        each status it names, ``{"timeout": "median", "skipped": "constant"}``, and leaves the
        others as in the default. A time-out took *at least* the time it was given, so its
        duration never becomes smaller than the one observed (unless it becomes missing).
    jobs : list of str or int, default=None
        The jobs, by name or position; None finds them as told above. Name them when failures
        are marked by inf alone and the training rows may hold none.
    quantile : float, default=0.95
        For ``"high"`` and ``"quantile"``. 0.95 is near the slowest good run and, other than the
        maximum, does not hang on a single one.
    factor : float, default=3.0
        For ``"high"``: three times that quantile is beyond nearly all successes in real logs.
    fill_value : float, default=None
        Seconds for ``"constant"``.
    on_no_success : {"error", "pooled"}, default="error"
        What to do about a failure of a job that never succeeded in `fit`: raise, since any number
        would be invented, or learn from the successes of all jobs together.
    indicators : bool, default=True
        Add ``<job>__failed``, ``<job>__timeout``, ``<job>__cancelled`` and ``<job>__skipped``
        behind all columns, 1.0 where the run ended so, else 0.0, also where it was not observed
        (the duration is NaN there). A job without a status column gets ``<job>__failed`` alone.

    Attributes
    ----------
    jobs_ : list of str
        The jobs.
    strategies_ : dict of str to str
        The strategy for each status.
    fill_values_ : dict of str to dict of str to float
        Seconds by job and status, learned from the training rows only. NaN where the strategy is
        ``"missing"`` or no success was there to learn from.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    RunTableError
        For a negative duration, an unknown status, or inf in a column that is no job.
    NoHistoryError
        For a failure of a job that never succeeded, see `on_no_success`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime import FailureImputer
    >>> runs = pd.DataFrame({
    ...     "build": [40.0, 3.0, 50.0],
    ...     "build__status": ["success", "failed", "success"]})
    >>> imputer = FailureImputer("median")
    >>> imputer.fit_transform(runs)[["build", "build__failed"]]
       build  build__failed
    0   40.0            0.0
    1   45.0            1.0
    2   50.0            0.0

    A job that never succeeded gives nothing to learn from:

    >>> imputer.fit(runs[1:2])
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.NoHistoryError: job 'build' has failed runs but no successful one...
    """

    _parameter_constraints: ClassVar[dict] = {
        "strategy": [StrOptions(set(STRATEGIES)), dict],
        "jobs": ["array-like", None],
        "quantile": [Interval(Real, 0, 1, closed="both")],
        "factor": [Interval(Real, 0, None, closed="neither")],
        "fill_value": [Interval(Real, 0, None, closed="left"), None],
        "on_no_success": [StrOptions({"error", "pooled"})],
        "indicators": ["boolean"],
    }

    def __init__(
        self,
        strategy: str | Mapping[str, str] = "high",
        *,
        jobs: Sequence[str | int] | None = None,
        quantile: float = 0.95,
        factor: float = 3.0,
        fill_value: float | None = None,
        on_no_success: str = "error",
        indicators: bool = True,
    ):
        self.strategy = strategy
        self.jobs = jobs
        self.quantile = quantile
        self.factor = factor
        self.fill_value = fill_value
        self.on_no_success = on_no_success
        self.indicators = indicators

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Learn what stands for a failure from the successes in X.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table, before or after :class:`~sklearn_jobtime.TimestampToNumeric`.
        y : None
            Ignored.

        Returns
        -------
        self : FailureImputer
        """
        self.strategies_ = self._strategies()
        X = plain_table(X)
        table = read_table(self, X, reset=True, dtype=(np.float64, np.float32))
        self.jobs_ = self._find_jobs(table)
        owners = {job: status_column(job) in table for job in self.jobs_}
        self._dropped = {status_column(job) for job, has_status in owners.items() if has_status}
        self._added = [
            (job, status)
            for job, has_status in owners.items()
            for status in (FAILURES if has_status else FAILURES[:1])
            if self.indicators
        ]
        names_out(self, None, self._added, self._dropped)  # a clash of names shows now
        seconds, outcomes = self._read(table)
        successes = _successes(seconds, outcomes)
        self.fill_values_ = {
            job: {status: self._learn(successes, column, status) for status in FAILURES}
            for column, job in enumerate(self.jobs_)
        }
        for column, job in enumerate(self.jobs_):
            self._check_history(job, outcomes[:, column], self._constants(job)[outcomes[:, column]])
        if self.looks_back():
            clock = _clock(X, table)
            is_good = np.isfinite(successes)
            self._memory = remember(successes, clock, 1, is_good, jobs=self.jobs_)
        return self

    def _strategies(self) -> dict[str, str]:
        if isinstance(self.strategy, str):
            chosen = {"failed": self.strategy, "timeout": self.strategy, **SILENT}
        else:
            chosen = {"failed": "high", "timeout": "high", **SILENT, **self.strategy}
        for status, strategy in chosen.items():
            if status not in FAILURES or strategy not in STRATEGIES:
                raise ValueError(
                    f"strategy has {status!r}: {strategy!r}; expected as keys some of {FAILURES} "
                    f"and as values one of {list(STRATEGIES)}."
                )
        if "constant" in chosen.values() and self.fill_value is None:
            raise ValueError("strategy 'constant' needs fill_value, in seconds; got None.")
        for name, used_by in (
            ("quantile", ("high", "quantile")),
            ("factor", ("high",)),
            ("fill_value", ("constant",)),
        ):
            has_effect = not set(used_by).isdisjoint(chosen.values())
            check_has_effect(self, name, has_effect, needs=f"the strategy {' or '.join(used_by)!r}")
        return chosen

    def looks_back(self) -> bool:
        """Whether what stands for a failure rests on other runs than those of `fit`."""
        return bool(self.jobs_) and "last success" in self.strategies_.values()

    def _find_jobs(self, table: pd.DataFrame) -> list[str]:
        if self.jobs is not None:
            return resolve_columns(self, self.jobs, "jobs")
        return [
            name
            for name in table.columns
            if name not in (STARTED_AT, ENDED_AT)
            and (status_column(name) in table or _is_infinite(table[name]).any())
        ]

    def _read(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Durations and outcomes, each of shape (n_runs, n_jobs)."""
        for name in table.columns.difference([*self.jobs_, *self._dropped], sort=False):
            if (infinite := _is_infinite(table[name])).any():
                row = table.index[int(infinite.argmax())]
                raise RunTableError(
                    f"column {name!r}, row {row!r}: the value is inf (infinity) in a column that "
                    "is not known to be a job. If inf marks a failed run, name the job: "
                    f"FailureImputer(jobs={[*self.jobs_, name]}); else set it to NaN."
                )
        seconds = np.empty((len(table), len(self.jobs_)))
        outcomes = np.empty(seconds.shape, dtype=np.int8)
        for column, job in enumerate(self.jobs_):
            seconds[:, column] = read_durations(table[job])
            status = table[status_column(job)] if status_column(job) in self._dropped else None
            outcomes[:, column] = read_outcomes(seconds[:, column], status)
        return seconds, outcomes

    def _learn(self, successes: np.ndarray, column: int, status: str) -> float:
        strategy = self.strategies_[status]
        if strategy == "constant":
            return float(self.fill_value)  # type: ignore[arg-type]
        good = successes[:, column]
        if self.on_no_success == "pooled" and np.isnan(good).all():
            good = successes
        good = good[np.isfinite(good)]
        if strategy == "missing" or not good.size:
            return float("nan")
        if strategy in ("median", "last success"):
            return float(np.median(good))
        return float(np.quantile(good, self.quantile)) * (self.factor if strategy == "high" else 1)

    def _constants(self, job: str) -> np.ndarray:
        """Fill value by outcome; a success needs none."""
        return np.array([np.nan, *self.fill_values_[job].values()])

    def _check_history(self, job: str, outcome: np.ndarray, fill: np.ndarray) -> None:
        learned = np.array([False] + [self.strategies_[status] in LEARNED for status in FAILURES])
        if (learned[outcome] & np.isnan(fill)).any():
            raise NoHistoryError(
                f"job {job!r} has failed runs but no successful one to learn from; fit on more "
                "runs, drop the job, or choose on_no_success='pooled' or a strategy of "
                "'constant' or 'missing'."
            )

    def transform(self, X: Any) -> Any:
        """Fill in the failures, and turn the statuses into channels.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            Rows and index as given.
        """
        check_is_fitted(self)
        X = plain_table(X)
        table = read_table(self, X, reset=False, dtype=(np.float64, np.float32))
        seconds, outcomes = self._read(table)
        newest = self._newest(X, table, _successes(seconds, outcomes))
        filled = {}
        for column, job in enumerate(self.jobs_):
            outcome, observed = outcomes[:, column], seconds[:, column]
            fill = self._constants(job)[outcome]
            for code, status in enumerate(FAILURES, start=1):
                if self.strategies_[status] == "last success":
                    rows = (outcome == code) & np.isfinite(newest[:, column])
                    fill[rows] = newest[rows, column]
            self._check_history(job, outcome, fill)
            at_least = (outcome == STATUSES.index("timeout")) & np.isfinite(observed)
            fill[at_least] = np.maximum(fill[at_least], observed[at_least])
            filled[job] = np.where(outcome == 0, observed, fill)
        channels = {
            f"{job}__{status}": outcomes[:, self.jobs_.index(job)] == STATUSES.index(status)
            for job, status in self._added
        }
        kept = table.drop(columns=list(self._dropped)).assign(**filled)
        added = pd.DataFrame(channels, index=table.index, dtype=np.float64)
        return transformed(self, pd.concat([kept, added], axis=1), X)

    def _newest(self, X: Any, table: pd.DataFrame, successes: np.ndarray) -> np.ndarray:
        """Last success known to each row, shape (n_runs, n_jobs); NaN where nobody asks."""
        if not self.looks_back():
            return np.full(successes.shape, np.nan)
        kept, clock = recall(self._memory, successes, _clock(X, table))
        successes = np.concatenate([self._memory.table[kept], successes])
        newest = [
            last_success(column, clock.of_job(job))
            for job, column in zip(self.jobs_, successes.T, strict=True)
        ]
        return np.stack(newest, axis=1)[len(kept) :]

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
        check_is_fitted(self)
        return names_out(self, input_features, self._added, self._dropped)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _clock(X: Any, table: pd.DataFrame) -> Clock:
    """Read the clock; the rows of an array have no labels that could be compared."""
    return read_clock(table if isinstance(X, pd.DataFrame) else table.to_numpy())


def _successes(seconds: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    return np.where(outcomes == 0, seconds, np.nan)


def _is_infinite(column: pd.Series) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column):
        return np.zeros(len(column), dtype=bool)
    return np.isinf(column.to_numpy(np.float64, na_value=np.nan))
