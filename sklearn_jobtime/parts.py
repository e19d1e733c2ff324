"""The estimators inside a conformal forecaster: what they are given, and what they say of a row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from sklearn_jobtime.conformity import Centres, RecentSpread
from sklearn_jobtime.observed import at_least_parameter, observing
from sklearn_jobtime.target_form import TargetForm, shaped

__all__ = [
    "around",
    "centres_of",
    "check_difficulty",
    "fit_difficulty",
    "fitted",
    "given_centres",
    "quantile_pair",
    "read_rows",
    "told_targets",
]

Floats = NDArray[np.float64]

LEAST_UNIT = 1e-3  # no forecast is less than a thousandth off


def read_rows(forecaster: BaseEstimator, inner: Any, X: Any, *, reset: bool) -> Any:
    """Check rows as the inner estimator wants them: a table, an array, or windows."""
    if isinstance(X, pd.DataFrame):
        validate_data(forecaster, X, reset=reset, skip_check_array=True)
        return X
    tags = get_tags(inner).input_tags
    X = X if hasattr(X, "ndim") or not tags.three_d_array else np.asarray(X)
    windows = tags.three_d_array and X.ndim == 3
    X = validate_data(
        forecaster,
        X,
        reset=reset,
        ensure_all_finite="allow-nan" if tags.allow_nan else True,
        ensure_2d=not windows,
        allow_nd=windows,
        order=None if windows else "C",  # a view on windows is not to be copied whole
    )
    if windows and reset:
        forecaster.n_features_in_ = X.shape[2]
    return X


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


def around(forecasts: Floats, *, is_log: bool) -> Centres:
    """Measure errors from the forecasts themselves, each as the others."""
    return Centres(forecasts, forecasts, forecasts, np.ones_like(forecasts), is_log)


def centres_of(outputs: list[Floats], least_unit: Floats, score: str) -> Centres:
    """Tell from where errors are measured, by the score.

    Parameters
    ----------
    outputs : list of ndarray of shape (n, n_outputs)
        The forecasts, then those of the quantile estimators or of the difficulty.
    least_unit : ndarray of shape (n_outputs,) or (1,)
    score : str
    """
    forecast, *others = outputs
    if score == "quantile":
        low, high = np.minimum(*others), np.maximum(*others)
        return Centres(forecast, low, high, np.ones_like(forecast), True)
    if score == "scaled":
        return Centres(forecast, forecast, forecast, np.maximum(others[0], least_unit), True)
    return around(forecast, is_log=score != "absolute")


def given_centres(forecast: ArrayLike, X: Any, score: str) -> Centres:
    """Tell from where errors are measured, where only the forecasts of rows are at hand."""
    if score in ("scaled", "quantile"):
        raise ValueError(
            f"the bounds of conformity_score={score!r} need more of a row than its forecast; "
            "pass X."
        )
    forecasts = shaped(forecast, "forecast")
    if isinstance(X, pd.DataFrame) and len(X) != len(forecasts):
        raise ValueError(
            f"X has {len(X)} rows and forecast {len(forecasts)}; expected one forecast for each "
            "row, or X=None for one series."
        )
    return around(forecasts, is_log=score != "absolute")


def told_targets(
    centres: Centres, n_outputs: int, y: ArrayLike, at_least: ArrayLike | None
) -> tuple[Floats, Floats]:
    """Read what came of forecasts: the durations, and the least ones of runs that were cut off."""
    targets = shaped(y, "y")
    limits = np.full_like(targets, np.nan)
    if at_least is not None:
        limits = shaped(at_least, "at_least")
    if not targets.shape == limits.shape == centres.upper.shape:
        raise ValueError(
            f"there are {len(centres.upper)} forecasts of {n_outputs} outputs, y has the shape "
            f"{targets.shape} and at_least {limits.shape}; expected one for each."
        )
    return targets, limits
