"""The estimators inside a conformal forecaster: what they are given, and what they say of a row."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils._param_validation import Interval

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.baselines._history_regressor import HistoryRegressor, Learned
from sklearn_jobtime.compose._complete_case import at_least_parameter, observing
from sklearn_jobtime.conformal._scores import LEAST, around
from sklearn_jobtime.point_in_time._job_history import JobHistory
from sklearn_jobtime.point_in_time._rolling import row_mean, row_median
from sklearn_jobtime.runs._target_arrays import TargetForm

__all__ = [
    "RecentSpread",
    "check_difficulty",
    "fit_difficulty",
    "fitted",
    "quantile_pair",
]


LEAST_UNIT = 1e-3  # no forecast is less than a thousandth off


def quantile_pair(score: str, estimators: Sequence[Any] | None) -> list[Any]:
    """Give the two regressors of quantiles that the score takes, or none."""
    if score != "quantile":
        return []
    if estimators is None or len(estimators) != 2:
        raise ValueError(
            "conformity_score='quantile' needs quantile_estimators=(low, high), two regressors "
            f"that forecast quantiles, got {estimators!r}."
        )
    return list(estimators)


def check_difficulty(score: str, difficulty: Any, cv: str | None) -> None:
    """Raise an error where a fitted regressor of the errors is needed and is not there."""
    if score == "scaled" and cv == "prefit" and difficulty is None:
        raise ValueError(
            "conformity_score='scaled' with cv='prefit' needs a fitted difficulty; pass one, "
            "or let fit do it all with cv=None."
        )


def fitted(estimator: Any, form: TargetForm, X: Any, targets: Floats, limits: Floats) -> Any:
    """Fit a clone, on the observed rows where it does not take missing targets."""
    estimator = observing(estimator, form.of(targets))
    given = {}
    if not np.isnan(limits).all():
        given = at_least_parameter(estimator, form.named(limits, X))
    return estimator.fit(X, form.named(targets, X), **given)


def fit_difficulty(
    difficulty: Any, judge: Any, form: TargetForm, X: Any, targets: Floats, limits: Floats
) -> tuple[Any, Floats]:
    """Learn the size of errors on the newest of these rows, of an estimator fitted without.

    Parameters
    ----------
    difficulty : estimator or None
        None takes a default.
    judge : ConformalForecaster
        Not fitted; its calibration rows are the ones to learn from, by log ratios.
    form : TargetForm
    X : DataFrame or array of shape (n, ...)
    targets, limits : ndarray of shape (n, n_outputs)

    Returns
    -------
    difficulty : estimator
        Fitted.
    least_unit : ndarray of shape (n_outputs,)
        The least size that is believed: a tenth of the usual one.
    """
    judge.fit(X, form.named(targets, X), form.named(limits, X))
    sizes = np.full_like(targets, np.nan)
    centred = around(judge.calibration_forecasts_, is_log=True)
    sizes[judge.calibration_rows_] = np.abs(centred.errors_of(judge.calibration_targets_)[0])
    if difficulty is None:
        by_name = isinstance(form.names, pd.MultiIndex)
        difficulty = (
            RecentSpread()
            if by_name
            else HistGradientBoostingRegressor(loss="absolute_error", random_state=0)
        )
    never = np.isnan(sizes).all(axis=0)
    sizes[judge.calibration_rows_[0], never] = 1.0  # nothing is known, so nothing is harder
    least_unit = np.maximum(np.nanmean(sizes, axis=0) / 10, LEAST_UNIT)
    return fitted(difficulty, form, X, sizes, np.full_like(sizes, np.nan)), least_unit


class RecentSpread(HistoryRegressor):
    """Forecast how far off a forecast of each job may well be: by how much it varied lately.

    The mean of ``|log(duration / median)|`` over the newest successful runs that had ended. It
    looks at the durations alone, not at anybody's forecasts, so it serves any forecaster of a run
    table.

    Parameters
    ----------
    n_runs : int, default=20
        How many runs it looks at: a job that turned unsteady is known as such within days, and a
        single odd run is forgotten within a month of nights.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.conformal import RecentSpread
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({"build": [60.0] * 10 + [40.0, 90.0, 60.0]})
    >>> spread = RecentSpread().fit(runs, make_targets(runs)).predict(runs)
    >>> spread[[9, 11, 12], 0].round(2)
    array([0.  , 0.04, 0.07])
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_runs": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(self, n_runs: int = 20) -> None:
        self.n_runs = n_runs

    def learn(self, history: JobHistory, targets: Floats) -> Learned:  # noqa: ARG002
        """Say how far back a forecast looks; there is nothing else to learn."""
        return Learned(self.n_runs)

    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:  # noqa: ARG002
        """Take the mean absolute log ratio of the newest runs of one job to their median."""
        seen = np.maximum(history.newest(self.n_runs), LEAST)
        return row_mean(np.abs(np.log(seen / row_median(seen)[:, None])))
