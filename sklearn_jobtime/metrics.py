"""Scores of forecasts that skip what was not observed, and say how much they skipped.

Every function takes `y_true` and `y_pred` of one shape, ``(n,)`` or ``(n, n_outputs)``. A target
is NaN where a run failed, has not ended, or lies in the future; it takes no part in the score.
Numbers are seconds; lengths of time (timedelta of any unit) become seconds; flags, moments and
complex numbers are errors.
A NaN *forecast* of an observed target is an error: it must not look like a better score.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn import metrics as sk
from sklearn.metrics._scorer import _Scorer

from sklearn_jobtime._containers import seconds_of
from sklearn_jobtime._inside import fitted_part
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.runs._target_jobs import in_order_of, in_order_of_rows, names_of

__all__ = [
    "SCORERS",
    "get_forecast_scorer",
    "observed_mae",
    "observed_mape",
    "observed_pinball",
    "observed_r2",
    "observed_rmse",
    "observed_share_within",
]


def observed_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray, int]:
    """Flat pairs of actual and forecast where the actual was observed, and how many were not.

    Raises
    ------
    ValueError
        When the shapes differ, or a forecast of an observed target is NaN or infinite.
    NoHistoryError
        When no target was observed at all.
    """
    y_true = _as_forecast(y_true, y_pred)
    actual, forecast = seconds_of(y_true, "y_true"), seconds_of(y_pred, "y_pred")
    if actual.ndim == 2 and forecast.ndim == 1:
        forecast = forecast[:, None]
    elif actual.ndim == 1 and forecast.ndim == 2:
        actual = actual[:, None]
    if actual.shape != forecast.shape:
        raise ValueError(
            f"y_true has shape {actual.shape} and y_pred {forecast.shape}; expected one forecast "
            "for each target, so that both have the same shape."
        )
    seen = ~np.isnan(actual)
    if not seen.any():
        raise NoHistoryError(
            f"none of the {actual.size} targets was observed (all are NaN), so nothing can be "
            "scored; score rows whose runs have ended and succeeded."
        )
    if not np.isfinite(forecast[seen]).all():
        raise ValueError(
            "y_pred holds NaN or infinity for an observed target; a forecaster must give a number."
        )
    return actual[seen], forecast[seen], int((~seen).sum())


def _as_forecast(y_true: Any, y_pred: Any) -> Any:
    """Put targets into the rows and columns of forecasts, where both have names for them."""
    y_true = in_order_of(y_true, names_of(y_pred), "y_true")
    frame = y_pred.to_frame() if isinstance(y_pred, pd.Series) else y_pred
    return in_order_of_rows(y_true, frame, "y_true")


Score = Any  # a float, or (float, int) with return_ignored=True


def _score(function: Callable, y_true: ArrayLike, y_pred: ArrayLike, return_ignored: bool) -> Score:
    actual, forecast, ignored = observed_pairs(y_true, y_pred)
    value = float(function(actual, forecast))
    return (value, ignored) if return_ignored else value


def observed_mae(y_true: ArrayLike, y_pred: ArrayLike, *, return_ignored: bool = False) -> Score:
    """Mean absolute error over the observed targets, in the unit of the targets (seconds).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
        Actual durations (NaN = not observed) and forecasts.
    return_ignored : bool, default=False
        Also return how many targets were NaN and took no part.

    Returns
    -------
    float, or (float, int)

    Examples
    --------
    >>> from sklearn_jobtime.metrics import observed_mae
    >>> observed_mae([10.0, float("nan")], [12.0, 99.0], return_ignored=True)
    (2.0, 1)
    """
    return _score(sk.mean_absolute_error, y_true, y_pred, return_ignored)


def observed_rmse(y_true: ArrayLike, y_pred: ArrayLike, *, return_ignored: bool = False) -> Score:
    """Root mean squared error over the observed targets, in seconds; see :func:`observed_mae`.

    Parameters
    ----------
    y_true, y_pred, return_ignored
        As for :func:`observed_mae`.

    Returns
    -------
    float, or (float, int)

    Examples
    --------
    >>> from sklearn_jobtime.metrics import observed_rmse
    >>> round(observed_rmse([10.0, 20.0], [13.0, 16.0]), 3)
    3.536
    """
    return _score(sk.root_mean_squared_error, y_true, y_pred, return_ignored)


def observed_mape(y_true: ArrayLike, y_pred: ArrayLike, *, return_ignored: bool = False) -> Score:
    """Mean absolute error as a share of the actual; see :func:`observed_mae`.

    Parameters
    ----------
    y_true, y_pred, return_ignored
        As for :func:`observed_mae`.

    Returns
    -------
    float, or (float, int)

    Examples
    --------
    >>> from sklearn_jobtime.metrics import observed_mape
    >>> observed_mape([10.0, 20.0], [12.0, 20.0])
    0.1
    """
    return _score(sk.mean_absolute_percentage_error, y_true, y_pred, return_ignored)


def observed_r2(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    return_ignored: bool = False,
) -> Score:
    """Coefficient of determination, averaged over outputs with two or more observed targets.

    Outputs with fewer are skipped: with one target there is no variance to explain. Rows count as
    much as `sample_weight` says.

    Parameters
    ----------
    y_true, y_pred, return_ignored
        As for :func:`observed_mae`.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows; None counts all alike.

    Returns
    -------
    float, or (float, int)
        1 is perfect; NaN where no output has two observed targets.

    Examples
    --------
    >>> from sklearn_jobtime.metrics import observed_r2
    >>> observed_r2([1.0, 2.0, float("nan"), 3.0], [1.0, 2.0, 9.0, 3.0])
    1.0
    """
    y_true = _as_forecast(y_true, y_pred)
    _, _, ignored = observed_pairs(y_true, y_pred)
    actual = seconds_of(y_true, "y_true")
    actual = actual.reshape(len(actual), -1)
    forecast = seconds_of(y_pred, "y_pred").reshape(actual.shape)
    weight = np.ones(len(actual)) if sample_weight is None else np.asarray(sample_weight)
    seen = ~np.isnan(actual) & (weight > 0)[:, None]
    scores = [
        sk.r2_score(actual[rows, k], forecast[rows, k], sample_weight=weight[rows])
        for k, rows in enumerate(seen.T)
        if rows.sum() >= 2
    ]
    value = float(np.mean(scores)) if scores else float("nan")
    return (value, ignored) if return_ignored else value


def observed_pinball(
    y_true: ArrayLike, y_pred: ArrayLike, *, quantile: float = 0.5, return_ignored: bool = False
) -> Score:
    """Pinball loss of a forecast quantile over the observed targets, in seconds.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
        Actual durations (NaN = not observed) and forecast quantiles.
    quantile : float, default=0.5
        Which quantile `y_pred` means; 0.5 gives half the mean absolute error.
    return_ignored : bool, default=False
        Also return how many targets were NaN.

    Returns
    -------
    float, or (float, int)

    Examples
    --------
    >>> from sklearn_jobtime.metrics import observed_pinball
    >>> observed_pinball([10.0, 10.0], [12.0, 8.0], quantile=0.9)
    1.0
    """
    return _score(
        lambda a, f: sk.mean_pinball_loss(a, f, alpha=quantile), y_true, y_pred, return_ignored
    )


def observed_share_within(
    y_true: ArrayLike, y_pred: ArrayLike, *, tolerance: float = 0.1, return_ignored: bool = False
) -> Score:
    """Share of the forecasts that are within `tolerance` of the actual: "accuracy" in our tables.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
        Actual durations (NaN = not observed) and forecasts.
    tolerance : float, default=0.1
        Largest error that still counts, as a share of the actual: 10 per cent is what people
        take for "on time" when they read a forecast as a clock time.
    return_ignored : bool, default=False
        Also return how many targets were NaN.

    Returns
    -------
    float, or (float, int)

    Examples
    --------
    >>> from sklearn_jobtime.metrics import observed_share_within
    >>> observed_share_within([100.0, 100.0], [109.0, 120.0])
    0.5
    """
    return _score(
        lambda a, f: np.mean(np.abs(f - a) <= tolerance * np.abs(a)),
        y_true,
        y_pred,
        return_ignored,
    )


class _ForecastScorer(_Scorer):
    """A scorer that puts targets into the order of the names that the model was fitted on."""

    def _score(
        self, method_caller: Callable, estimator: Any, X: Any, y_true: Any, **kwargs: Any
    ) -> float:
        try:
            names = fitted_part(estimator, "target_names_").target_names_
        except AttributeError:
            names = None
        y_true = in_order_of(in_order_of_rows(y_true, X), names)
        return super()._score(method_caller, estimator, X, y_true, **kwargs)


def _forecast_scorer(function: Callable, *, sign: int = -1, **kwargs: Any) -> _ForecastScorer:
    return _ForecastScorer(function, sign, kwargs, "predict")


SCORERS = {
    "neg_observed_mae": _forecast_scorer(observed_mae),
    "neg_observed_rmse": _forecast_scorer(observed_rmse),
    "neg_observed_mape": _forecast_scorer(observed_mape),
    "neg_observed_pinball": _forecast_scorer(observed_pinball),
    "observed_r2": _forecast_scorer(observed_r2, sign=1),
    "observed_share_within": _forecast_scorer(observed_share_within, sign=1),
}


PINBALL = "neg_observed_pinball"


def get_forecast_scorer(scoring: str) -> Callable:
    """Scorer for ``GridSearchCV(scoring=...)`` or ``cross_val_score`` that skips NaN targets.

    Parameters
    ----------
    scoring : str
        A key of `SCORERS`; errors are negated ("neg_"), so that greater is better. Any quantile can
        be scored: ``neg_observed_pinball_0.9`` is the pinball loss of forecasts that mean the 90 %
        quantile, ``neg_observed_pinball`` that of the median.

    Returns
    -------
    callable ``scorer(estimator, X, y)``

    Raises
    ------
    ValueError
        When there is no scorer of that name; it lists those there are.

    See Also
    --------
    sklearn.metrics.get_scorer : scikit-learn's own scorers, which take no NaN.

    Notes
    -----
    Targets with names are put into the order of the targets that the model was fitted on; other
    names are an error. A scorer of ``sklearn.metrics.make_scorer(observed_mae)`` can not do that:
    it hands the function an array of forecasts, which has no names, so that columns are compared
    by their position. Take a scorer of here, or give it ``y[model.target_names_]``.

    Examples
    --------
    >>> from sklearn_jobtime.metrics import get_forecast_scorer
    >>> get_forecast_scorer("neg_observed_mae")
    make_scorer(observed_mae, greater_is_better=False, ...)
    >>> get_forecast_scorer("neg_observed_pinball_0.9")
    make_scorer(observed_pinball, greater_is_better=False, ..., quantile=0.9)
    """
    if scoring in SCORERS:
        return SCORERS[scoring]
    name, _, level = str(scoring).rpartition("_")
    try:
        quantile = float(level) if name == PINBALL else math.nan
    except ValueError:
        quantile = math.nan
    if not 0 < quantile < 1:
        raise ValueError(
            f"no scorer {scoring!r}; expected one of {', '.join(sorted(SCORERS))}, or {PINBALL}_q "
            f"with a quantile q between 0 and 1, such as {PINBALL}_0.9."
        )
    return _forecast_scorer(observed_pinball, quantile=quantile)
