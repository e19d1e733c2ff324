"""The rules that people use today, as regressors over the run table.

They are what a model has to beat. A rule looks at the newest successful runs of a job that had
ended when the row started, so it can be scored beside a model on the same rows.
"""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.history import Clock, ended_order, read_clock, recall, remember
from sklearn_jobtime.metrics import observed_r2
from sklearn_jobtime.runs import ENDED_AT, STARTED_AT, observed_durations, to_utc

__all__ = ["RollingRule"]

Floats = NDArray[np.float64]

_RULES = {
    "last": lambda newest: newest[:, 0],
    "mean": lambda newest: np.nanmean(newest, axis=1),
    "median": lambda newest: np.nanmedian(newest, axis=1),
}


def _with_times(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.assign(**{c: to_utc(runs[c]) for c in (STARTED_AT, ENDED_AT) if c in runs})


def newest_values(values: Floats, clock: Clock, n_runs: int) -> Floats:
    """For each row, the newest `n_runs` values that were known when it started, newest first.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One outcome a run; NaN where there is none, and such a run is passed over.
    clock : Clock
        Series and times of the same rows.
    n_runs : int
        How many to find.

    Returns
    -------
    ndarray of shape (n, n_runs)
        NaN where the history is shorter.
    """
    found = ended_order(clock.series, clock.started, clock.ended, ~np.isnan(values))
    place = found.stop[:, None] - np.arange(1, n_runs + 1)
    known = place >= found.first[:, None]
    padded = np.append(found.order, 0)
    return np.where(known, values[padded[np.where(known, place, -1)]], np.nan)


class RollingRule(RegressorMixin, BaseEstimator):
    """Forecast each job by a rule over its newest successful runs.

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
    n_runs : int, default=10
        How many successful runs the mean or the median sees; "last" sees one. Ten is what
        schedulers use; 2 follows faster, 50 is steadier.

    Attributes
    ----------
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
        "rule": [StrOptions(set(_RULES))],
        "n_runs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, rule: str = "median", n_runs: int = 10) -> None:
        self.rule = rule
        self.n_runs = n_runs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: pd.DataFrame | ArrayLike, y: pd.DataFrame | ArrayLike) -> "RollingRule":
        """Remember the newest runs.

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
        n_runs = 1 if self.rule == "last" else self.n_runs
        self._memory = remember(values, clock, n_runs, eligible=~np.isnan(values))
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
        X, _ = self._checked(X)
        values, given = self._history(X)
        kept, clock = recall(self._memory, values, given)
        values = np.concatenate([self._memory.table[kept], values])
        n_runs = 1 if self.rule == "last" else self.n_runs
        forecasts = {}
        for k, job in enumerate(self._history_jobs):
            newest = newest_values(values[:, k], clock, n_runs)[len(kept) :]
            has_history = ~np.isnan(newest[:, 0])
            forecasts[job] = np.full(len(newest), np.nan)
            if has_history.any():
                forecasts[job][has_history] = _RULES[self.rule](newest[has_history])
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
                "RollingRule requires y to be passed, but the target y is None; build it with "
                "sklearn_jobtime.runs.make_targets(runs)."
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
        """Successful durations of the jobs, one column each, and the clock of the rows."""
        if not isinstance(X, pd.DataFrame):
            return X[:, self._history_jobs], read_clock(X)
        own = [job for job in self._history_jobs if job in X]
        runs = _with_times(X)
        observed = observed_durations(runs, own or None).reindex(columns=self._history_jobs)
        return observed.to_numpy(dtype="float64"), read_clock(runs)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # it does not look at other columns than its own
        return tags
