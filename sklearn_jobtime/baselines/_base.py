"""What had become of a job before each row, and regressors that forecast from nothing else.

The rules and their mix stand on this: it reads the history of every job from a run table, keeps
what later rows need, and finds for each row the runs that had ended when it started.
"""

import logging
from abc import abstractmethod
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_jobtime._estimator import ObservedScoreMixin
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._job_history import Past
from sklearn_jobtime.point_in_time._memory import recall, remember
from sklearn_jobtime.point_in_time._order import ended_order
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, WHOLE_RUN, status_column
from sklearn_jobtime.runs._target_arrays import check_targets
from sklearn_jobtime.runs._targets import observed_durations
from sklearn_jobtime.runs._validation import to_utc

__all__ = ["HistoryRegressor"]

OWN_HISTORY = 50  # runs from which on a series is forecast from nothing but its own


def prior_weight(n_known: Rows, prior_runs: float) -> Floats:
    """Weight of the prior beside a rule that knows some runs.

    It is ``prior_runs / (n_known + prior_runs)``, as in credibility theory, on its way to 0 at
    `OWN_HISTORY` runs: a longer history stands alone.

    Examples
    --------
    >>> import numpy as np
    >>> prior_weight(np.array([0, 1, 3, 50]), prior_runs=1.0).round(2)
    array([1.  , 0.49, 0.24, 0.  ])
    """
    if prior_runs == 0:
        return np.zeros(len(n_known))
    share = prior_runs / (n_known + prior_runs)
    return np.asarray(share * np.maximum(1 - n_known / OWN_HISTORY, 0.0))


def blended(forecasts: Floats, prior: Floats, weights: Floats) -> Floats:
    """Geometric mean of forecasts and prior; the prior where there is no forecast."""
    mixed = (weights > 0) & (forecasts > 0) & (prior > 0)
    ratio = np.divide(prior, forecasts, out=np.ones_like(forecasts), where=mixed)
    return np.where(np.isnan(forecasts), prior, forecasts * ratio**weights)


def pooled_medians(targets: Floats, jobs: list) -> Floats:
    """Median of each output over all series; for one never observed, what is nearest to it.

    That is the median of its job at the other steps, or else of the medians of the other jobs.

    Examples
    --------
    >>> import numpy as np
    >>> targets = np.array([[10.0, 90.0, np.nan], [30.0, 90.0, np.nan]])
    >>> pooled_medians(targets, ["build", "test", "deploy"])
    array([20., 90., 55.])
    """
    seen = ~np.isnan(targets).all(axis=0)
    medians = np.full(len(jobs), np.nan)
    medians[seen] = np.nanmedian(targets[:, seen], axis=0)
    of_a_job = seen & np.array([job != WHOLE_RUN for job in jobs])
    for output in np.flatnonzero(~seen):
        same = seen & np.array([job == jobs[output] for job in jobs])
        nearest = next(some for some in (same, of_a_job, seen) if some.any())
        medians[output] = np.median(medians[nearest])
    return medians


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
            recorded[:, k] = (runs[ENDED_AT] - runs[STARTED_AT]).dt.total_seconds()
    return recorded


class HistoryRegressor(ObservedScoreMixin, BaseEstimator):
    """A regressor that forecasts each job from the durations of its ended runs.

    It reads the history of every job from `X`, remembers in `fit` what later rows need, and asks
    `_forecast_job` for one job at a time. All steps of the horizon get the same forecast; a
    row without history, of a new series or a new job, gets the median of the training targets.
    """

    masks_missing_targets = True

    @abstractmethod
    def _forecast_job(self, past: Past) -> Floats:
        """Forecast the asked rows of one job; NaN where it has no history."""

    @abstractmethod
    def _reach(self) -> int:
        """How many runs of its series back a forecast looks."""

    def _further_rows(self, past: Past) -> list[Rows]:  # noqa: ARG002
        """Rows of the table of fit that a later row may look at beyond its reach."""
        return []

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
        seen = ~np.isnan(targets).all(axis=0)
        if not seen.any():
            raise NoHistoryError(
                f"y contains NaN only: no target of {', '.join(map(repr, self._history_jobs))} was "
                "observed, so there is nothing to forecast from; load a longer history."
            )
        observed = {job for job, some in zip(self.jobs_, seen, strict=True) if some}
        for job in self._history_jobs:
            if job not in observed:
                logging.getLogger("sklearn_jobtime").warning(
                    "%r was never observed: its forecast is the median of the other jobs until "
                    "a run of it has succeeded.",
                    job,
                )
        self.fallback_ = pooled_medians(targets, self.jobs_)
        self.prior_runs_ = dict.fromkeys(self._history_jobs, 0.0)
        self._is_1d = y.ndim == 1
        values, clock = self._history(X)
        pasts = self._pasts(values, clock, np.arange(0))
        mine = [targets[:, [job == past.job for job in self.jobs_]] for past in pasts]
        self._learn(pasts, mine)
        further = [rows for past in pasts for rows in self._further_rows(past)]
        self._memory = remember(values, clock, self._reach(), ~np.isnan(values), further)
        self._keep(len(values) - self._memory.age)
        return self

    def _learn(self, pasts: list[Past], targets: list[Floats]) -> None:
        """Choose what is to choose; both lists have one item a job."""

    def _keep(self, rows: Rows) -> None:
        """Forget what `_learn` found out about other rows of the table of fit than these."""

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
        forecasts, weights = self._forecasts(X)
        outputs = blended(forecasts, self.fallback_, weights)
        return outputs[:, 0] if self._is_1d else outputs

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
            no run was known; else "rule".
        """
        _, weights = self._forecasts(X)
        found = np.where(weights >= 0.5, "prior", "rule")
        return found[:, 0] if self._is_1d else found

    def _forecasts(self, X: Any) -> tuple[Floats, Floats]:
        """Forecasts of the rule, NaN where it has no history, and weights of the prior."""
        check_is_fitted(self)
        X, _ = self._checked(X)
        values, given = self._history(X)
        kept, clock = recall(self._memory, values, given)
        pasts = self._pasts(np.concatenate([self._memory.table[kept], values]), clock, kept)
        found = {past.job: self._forecast_job(past) for past in pasts}
        share = {past.job: prior_weight(past.n_known, self.prior_runs_[past.job]) for past in pasts}
        forecasts = np.column_stack([found[job] for job in self.jobs_])
        weights = np.column_stack([share[job] for job in self.jobs_])
        return forecasts, np.where(np.isnan(forecasts), 1.0, weights)

    @property
    def _history_jobs(self) -> list:
        return list(dict.fromkeys(self.jobs_))

    def _checked(self, X: Any, y: Any = None, reset: bool = False) -> tuple[Any, Any]:
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
        else:
            X = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan", order="C")
        if not reset:
            return X, None
        return X, check_targets(self, X, y)

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
        both = np.column_stack([observed, _recorded_durations(runs, observed)])
        return both, read_clock(runs)

    def _pasts(self, values: Floats, clock: Clock, remembered: NDArray[np.intp]) -> list[Past]:
        jobs = self._history_jobs
        ended = ended_order(clock.series, clock.started, clock.ended, first=len(remembered))
        return [
            Past(job, values[:, k], values[:, len(jobs) + k], clock, ended, remembered)
            for k, job in enumerate(jobs)
        ]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # it does not look at other columns than its own
        return tags
