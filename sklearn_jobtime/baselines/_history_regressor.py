"""Regressors that forecast a job from nothing else than what had become of it before each row.

The baselines and their weighted average stand on this: it reads the history of every job from a
run table, keeps what later rows need, and finds for each row the runs that had ended when it
started.
"""

import logging
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import refuse_lookalikes, to_utc
from sklearn_jobtime._estimator import (
    ObservedScoreMixin,
    observed_with_weight,
    pop_weights,
    read_rows,
)
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.baselines._shrinkage import pooled_medians, prior_weight, shrunk
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._job_history import JobHistory
from sklearn_jobtime.point_in_time._memory import recall, remember
from sklearn_jobtime.point_in_time._newest_rows import AskedRows, NewestForecasts
from sklearn_jobtime.point_in_time._order import ended_by_job
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, WHOLE_RUN, status_column
from sklearn_jobtime.runs._target_arrays import read_targets
from sklearn_jobtime.runs._target_jobs import jobs_of_targets
from sklearn_jobtime.runs._targets import observed_durations
from sklearn_jobtime.runs._validation import elapsed_seconds

__all__ = ["HistoryRegressor", "Learned"]


def is_same_state(one: Any, other: Any) -> bool:
    """Tell whether two states are the same plain number or text; of others nobody knows."""
    plain = (int, float, str, bool, type(None))
    return type(one) in plain and type(one) is type(other) and bool(one == other)


@dataclass(frozen=True)
class Learned:
    """What a fit found out about one job.

    Parameters
    ----------
    runs_needed : int
        How many runs of its series back a forecast looks.
    further_rows : ndarray of int, default=None
        Rows of the table of `fit` that a later forecast may look at beyond these, such as those of
        :func:`~sklearn_jobtime.point_in_time.rows_to_remember` for runs of the same weekday.
    state : object, default=None
        What else `forecast_job` needs to know.
    run_values : ndarray of shape (n, k), default=None
        Numbers that belong to the runs of the table of `fit`. Those of the remembered runs are
        kept: ``run_values[history.remembered]`` are those of the first rows of a later `history`.
    prior_sample_size : float, default=0.0
        How many runs the prior, the median of all series, is worth.
    parts : tuple of Learned, default=()
        What the estimators learned that this one is made of.
    """

    runs_needed: int
    further_rows: Rows | None = None
    state: Any = None
    run_values: Floats | None = None
    prior_sample_size: float = 0.0
    parts: tuple["Learned", ...] = ()

    def is_as(self, other: "Learned") -> bool:
        """Tell whether the same was found out about another job."""
        mine, theirs = self.run_values, other.run_values
        if mine is None or theirs is None:
            has_same_values = mine is theirs
        else:
            has_same_values = np.array_equal(mine, theirs, equal_nan=True)
        return (
            self.runs_needed == other.runs_needed
            and self.prior_sample_size == other.prior_sample_size
            and self.further_rows is other.further_rows is None
            and is_same_state(self.state, other.state)
            and has_same_values
            and len(self.parts) == len(other.parts)
            and all(one.is_as(two) for one, two in zip(self.parts, other.parts, strict=True))
        )

    def keep(self, rows: Rows) -> "Learned":
        """Keep the values of the remembered rows of the table of `fit` alone."""
        values = None if self.run_values is None else self.run_values[rows]
        parts = tuple(part.keep(rows) for part in self.parts)
        return replace(self, further_rows=None, run_values=values, parts=parts)


def _with_times(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.assign(**{c: to_utc(runs[c]) for c in (STARTED_AT, ENDED_AT) if c in runs})


def _recorded_durations(runs: pd.DataFrame, observed: pd.DataFrame) -> Floats:
    """Durations of all runs that have one, whatever became of them; columns as in `observed`."""
    recorded = observed.to_numpy(copy=True)
    for k, job in enumerate(observed):
        if job in runs:
            seconds = runs[job].to_numpy("float64", na_value=np.nan)
            known = np.isfinite(seconds)
            if status_column(job) in runs:
                known &= (runs[status_column(job)] != "skipped").to_numpy("bool", na_value=True)
            recorded[:, k] = np.where(known, seconds, np.nan)
        elif job == WHOLE_RUN and ENDED_AT in runs:
            recorded[:, k] = elapsed_seconds(runs)
    return recorded


class HistoryRegressor(ObservedScoreMixin, BaseEstimator):
    """A regressor that forecasts each job from the durations of its ended runs.

    It reads the history of every job from `X`, and remembers in `fit` what later rows need. What to
    forecast from a history is up to two methods of a subclass, `learn` and `forecast_job`, which
    get one job at a time and change nothing. `fit` calls the first, `predict` the second. All steps
    of the horizon get the same forecast; a row without history, of a new series or a new job, gets
    the median of the training targets.

    Attributes
    ----------
    learned_ : dict of Learned
        For each job, what `learn` returned in `fit`.
    """

    looks_back = True
    weighs_rows = True
    learns_durations: ClassVar[bool] = True  # else targets are other numbers about the same jobs
    __metadata_request__fit: ClassVar = {"sample_weight": True}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    @abstractmethod
    def learn(self, history: JobHistory, targets: Floats) -> Learned:
        """Find out what forecasts of one job need to know.

        Parameters
        ----------
        history : JobHistory
            The training runs of the job; all of them are asked rows.
        targets : ndarray of shape (n, n_steps)
            What is to be forecast of the same rows; NaN where not observed.

        Returns
        -------
        Learned
        """

    @abstractmethod
    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:
        """Forecast the asked rows of one job from the runs that had ended when each started.

        Parameters
        ----------
        history : JobHistory
            The remembered runs of the job, and behind them the asked ones.
        learned : Learned
            From `learn`.

        Returns
        -------
        ndarray of shape (n_asked,)
            Seconds; NaN where there is no history.
        """

    def forecast_rows_of_job(
        self, history: JobHistory, learned: Learned, rows: Rows | slice
    ) -> Floats:
        """Forecast some of the asked rows of one job, given by their positions among these."""
        return self.forecast_job(history, learned)[rows]

    def check_parameters(self) -> Self:
        """Raise an InvalidParameterError where a parameter has no allowed value, as `fit` does.

        Returns
        -------
        self
        """
        self._validate_params()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: pd.DataFrame | ArrayLike, y: pd.DataFrame | ArrayLike, **fit_params: Any
    ) -> Self:
        """Remember the runs that later rows may need.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            A run table. In an array, each column is the history of one job.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Targets from :func:`~sklearn_jobtime.runs.make_targets`: its columns (step, job) say
            which job an output belongs to, as do the name of a Series and columns named as jobs.
            An output without a name belongs to the job of the table whose durations it has.
        **fit_params : dict
            `sample_weight`, of shape (n_runs,): how often the target of each row counts in what is
            learned, such as medians and choices by the least error. A row of weight 0 is the
            history of others and no more; as history, all rows count alike.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When an output without a name is that of no job, such as one in minutes.
        """
        X = read_rows(self, X, reset=True)
        given = read_targets(self, X, y)
        weights = pop_weights(fit_params, X)
        if fit_params:
            raise TypeError(
                f"fit of {type(self).__name__} came with {', '.join(fit_params)}; beside X and y "
                "it takes sample_weight alone."
            )
        targets, self._form = observed_with_weight(given.observed, weights), given.form
        self.target_names_ = self._form.names
        self.jobs_ = self._jobs_of(X, self.target_names_, targets)
        seen = ~np.isnan(targets).all(axis=0)
        if not seen.any():
            raise NoHistoryError(
                f"y contains NaN only: no target of {', '.join(map(repr, self._history_jobs))} was "
                "observed, so there is nothing to forecast from; load a longer history."
            )
        observed = {self.jobs_[output] for output in np.flatnonzero(seen)}
        for job in self._history_jobs:
            if job not in observed:
                logging.getLogger("sklearn_jobtime").warning(
                    "%r was never observed: its forecast is the median of the other jobs until "
                    "a run of it has succeeded.",
                    job,
                )
        self.fallback_ = pooled_medians(targets, self.jobs_, weights)
        values, clock = self._values(X)
        learned: dict[Any, Learned] = {}
        histories = self._histories(values, clock, np.arange(0), weights)
        for k, history in enumerate(histories):
            own = self._targets_of(history.job, targets)
            same = next(
                (
                    job
                    for job in self._jobs_alike(histories, k)
                    if np.array_equal(self._targets_of(job, targets), own, equal_nan=True)
                ),
                None,
            )
            learned[history.job] = self.learn(history, own) if same is None else learned[same]
        runs_needed = max(one.runs_needed for one in learned.values())
        further = [one.further_rows for one in learned.values() if one.further_rows is not None]
        jobs = self._history_jobs * 2
        self._memory = remember(values, clock, runs_needed, ~np.isnan(values), further, jobs)
        kept = len(values) - self._memory.age
        self.learned_ = {job: one.keep(kept) for job, one in learned.items()}
        self.prior_sample_size_ = {job: one.prior_sample_size for job, one in learned.items()}
        return self

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
        return self._form.of(self.with_sources(X).seconds)

    def can_be_asked(self) -> bool:
        """Tell whether it can forecast some rows of a table alone."""
        return True

    def predict_rows(self, X: pd.DataFrame, asked: AskedRows | None) -> Floats:
        """Forecast some rows of a table in which each remembered run of its series is."""
        rows = None if asked is None else asked.rows
        return self._form.of(self.with_sources(X, rows).seconds)

    def with_sources(self, X: Any, rows: Rows | None = None) -> NewestForecasts:
        """Forecast rows, and tell what each forecast mostly rests on.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            As in `predict`.
        rows : ndarray of int, default=None
            The rows to forecast; None: all. With rows, each remembered run of the series in `X` has
            to be in `X`.

        Returns
        -------
        NewestForecasts

        Raises
        ------
        NotAllGivenError
            When a remembered run may stand before the given ones.
        """
        forecasts, weights = self._forecasts(X, rows)
        seconds = shrunk(forecasts, self.fallback_, weights)
        return NewestForecasts(seconds, np.where(weights >= 0.5, "prior", "baselines"))

    def sources(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.str_]:
        """Tell what each forecast mostly rests on.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            As in `predict`.

        Returns
        -------
        ndarray of str, shape (n_runs,) or (n_runs, n_outputs)
            "prior" where the prior has at least half the weight, as for a series or a job of which
            no run was known; else "baselines".
        """
        sources = self.with_sources(X).sources
        assert sources is not None
        return self._form.of(sources)

    def _forecasts(self, X: Any, rows: Rows | None = None) -> tuple[Floats, Floats]:
        """Forecasts from the history, NaN where there is none, and weights of the prior."""
        check_is_fitted(self)
        X = read_rows(self, X, reset=False)
        values, given = self._values(X)
        kept, clock = recall(self._memory, values, given, must_be_given=rows is not None)
        values = np.concatenate([self._memory.table[kept], values])
        asked: Rows | slice = slice(None) if rows is None else rows
        found: dict[Any, Floats] = {}
        share: dict[Any, Floats] = {}
        histories = self._histories(values, clock, kept)
        for k, history in enumerate(histories):
            job, learned = history.job, self.learned_[history.job]
            alike = self._jobs_alike(histories, k)
            same = next((one for one in alike if self.learned_[one].is_as(learned)), None)
            if same is not None:
                found[job], share[job] = found[same], share[same]
                continue
            found[job] = self.forecast_rows_of_job(history, learned, asked)
            share[job] = prior_weight(history.n_known[asked], self.prior_sample_size_[job])
        forecasts = np.column_stack([found[job] for job in self.jobs_])
        weights = np.column_stack([share[job] for job in self.jobs_])
        return forecasts, np.where(np.isnan(forecasts), 1.0, weights)

    def _jobs_alike(self, histories: list[JobHistory], k: int) -> list[Any]:
        """Jobs before the k-th with the same history: a run of one job takes as long as it.

        Rules of somebody else may tell jobs by their names.
        """
        rules = [self, *getattr(self, "baselines_", [])]
        if not all(type(one).__module__.startswith("sklearn_jobtime.") for one in rules):
            return []
        return [one.job for one in histories[:k] if one.is_as(histories[k])]

    def _targets_of(self, job: Any, targets: Floats) -> Floats:
        return targets[:, [one == job for one in self.jobs_]]

    @property
    def _history_jobs(self) -> list:
        return list(dict.fromkeys(self.jobs_))

    def _jobs_of(self, X: Any, names: pd.Index | None, targets: Floats) -> list:
        if isinstance(X, pd.DataFrame):
            known = targets if self.learns_durations else np.full_like(targets, np.nan)
            return jobs_of_targets(X, names, known, type(self).__name__)
        if isinstance(names, pd.MultiIndex):
            return list(names.get_level_values(-1))
        return [k % X.shape[1] for k in range(targets.shape[1])]

    def _values(self, X: Any) -> tuple[Floats, Clock]:
        """Seconds of the successful runs, a column a job, then those recorded, and the clock."""
        if not isinstance(X, pd.DataFrame):
            clock = read_clock(X)
            refuse_lookalikes(pd.Series(X[:0].ravel()), "X")
            return np.tile(X[:, self._history_jobs], 2).astype(np.float64), clock
        own = [job for job in self._history_jobs if job in X]
        if STARTED_AT in X and pd.api.types.is_numeric_dtype(X[STARTED_AT]):
            read_clock(X)  # before they become datetimes: numbers may be a scaled clock
        runs = _with_times(X)
        observed = observed_durations(runs, own or None).reindex(columns=self._history_jobs)
        both = np.column_stack([observed, _recorded_durations(runs, observed)])
        return both, read_clock(runs)

    def _histories(
        self, values: Floats, clock: Clock, remembered: Rows, weights: Floats | None = None
    ) -> list[JobHistory]:
        jobs = self._history_jobs
        ended = ended_by_job(clock, jobs, first=len(remembered))
        return [
            JobHistory(
                job,
                values[:, k],
                values[:, len(jobs) + k],
                clock.of_job(job),
                ended[job],
                remembered,
                weights,
            )
            for k, job in enumerate(jobs)
        ]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # it does not look at other columns than its own
        return tags
