"""Conformity scores: how far off a forecast was, and the duration that is so far off.

A score of your own is a subclass of :class:`ConformityScore` with four methods and one line of
`SCORES`, the table at the end of this file.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone

from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.conformal._calibration_split import CalibrationSplit
from sklearn_jobtime.preprocessing._tables import in_rows
from sklearn_jobtime.runs._log_ratio import FINEST, indistinct_durations

__all__ = [
    "LEAST",
    "SCORES",
    "AbsoluteScore",
    "ConformityScore",
    "LogRatioScore",
    "NormalisedScore",
    "QuantileScore",
    "RowForecasts",
    "score_named",
]


LEAST = FINEST
ROUNDING = 1e-12  # a run as long as the worst one in calibration is inside, whatever exp() rounds


@dataclass(frozen=True)
class RowForecasts:
    """What the inner estimators say of n rows, from which errors are measured.

    Parameters
    ----------
    forecast : ndarray of shape (n, n_outputs)
        Seconds.
    lower, upper : ndarray of shape (n, n_outputs)
        A low and a high quantile in seconds; both are the forecast where no score needs quantiles.
    scale : ndarray of shape (n, n_outputs)
        How large an error of this row may well be, for normalised scores; else 1.
    """

    forecast: Floats
    lower: Floats
    upper: Floats
    scale: Floats

    @classmethod
    def of(
        cls,
        forecast: Floats,
        *,
        quantiles: Sequence[Floats] = (),
        scale: Floats | None = None,
    ) -> "RowForecasts":
        """Put together what there is; where there are two quantiles, they may cross."""
        lower = upper = forecast
        if quantiles:
            lower, upper = np.minimum(*quantiles), np.maximum(*quantiles)
        return cls(forecast, lower, upper, np.ones_like(forecast) if scale is None else scale)

    def replaced(self, rows: Mask, by: "RowForecasts") -> "RowForecasts":
        """Take the forecasts of some rows from others of all n rows."""
        mine = self.forecast, self.lower, self.upper, self.scale
        theirs = by.forecast, by.lower, by.upper, by.scale
        chosen = rows[:, None]
        return RowForecasts(
            *(np.where(chosen, new, old) for old, new in zip(mine, theirs, strict=True))
        )

    def spread(self, rows: Rows, n: int) -> "RowForecasts":
        """Put these forecasts into the given rows of n; the others are NaN."""
        parts = self.forecast, self.lower, self.upper, self.scale
        return RowForecasts(*(in_rows(n, rows, part) for part in parts))

    def take(self, rows: Rows | slice) -> "RowForecasts":
        """Return those of some of the rows."""
        parts = self.forecast, self.lower, self.upper, self.scale
        return RowForecasts(*(part[rows] for part in parts))


class ConformityScore(BaseEstimator, ABC):
    """How an error is measured, and which duration is so far off: the score and its inverse.

    Write a subclass for a score of your own, and pass an instance of it as `conformity_score` of
    :class:`~sklearn_jobtime.ConformalForecaster`. It has four methods, which work element by
    element on arrays that broadcast. The larger an error, the further off the run; an error below
    0 is inside the forecast. Its parameters, if it has any, are set in ``__init__`` under their own
    names, as those of any estimator, so that a grid search reaches them.

    Attributes
    ----------
    needs_scale_model : bool
        Whether errors are divided by the forecast of the `scale_model`.
    needs_quantile_estimators : bool
        Whether errors are measured from the forecasts of the `quantile_estimators`.
    positive_only : bool
        Whether only durations above 0 have a score.

    Examples
    --------
    Seconds and their logarithm are not the only choices:

    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_jobtime.conformal import ConformalForecaster, ConformityScore
    >>> class SquareRootScore(ConformityScore):
    ...     def error_above(self, seconds, forecast):
    ...         return np.sqrt(seconds) - np.sqrt(forecast)
    ...     def error_below(self, seconds, forecast):
    ...         return np.sqrt(forecast) - np.sqrt(seconds)
    ...     def bound_above(self, errors, forecast):
    ...         return (np.sqrt(forecast) + errors) ** 2
    ...     def bound_below(self, errors, forecast):
    ...         return np.maximum(np.sqrt(forecast) - errors, 0.0) ** 2
    >>> X = np.arange(100.0)[:, None]
    >>> y = 100 + X[:, 0] + np.resize([-9.0, 0.0, 9.0], 100)
    >>> model = ConformalForecaster(Ridge(), conformity_score=SquareRootScore()).fit(X, y)
    >>> model.predict_interval([[50.0]]).round(0)
    array([[[141., 159.]]])
    """

    needs_scale_model: ClassVar[bool] = False
    needs_quantile_estimators: ClassVar[bool] = False
    positive_only: ClassVar[bool] = True

    def fit(self, targets: Floats, tick: float = 0.0) -> Self:  # noqa: ARG002
        """Learn from the durations of `fit` what the errors depend on; nothing, as a rule.

        Parameters
        ----------
        targets : ndarray of shape (n, n_outputs)
            Durations in seconds; NaN where not observed.
        tick : float, default=0.0
            60 where all starts and ends are whole minutes: what the clock of the table counts.

        Returns
        -------
        self
        """
        return self

    @abstractmethod
    def error_above(self, seconds: Floats, forecast: Floats) -> Floats:
        """How far durations are above the forecast; negative where they are below."""

    @abstractmethod
    def error_below(self, seconds: Floats, forecast: Floats) -> Floats:
        """How far durations are below the forecast; negative where they are above."""

    @abstractmethod
    def bound_above(self, errors: Floats, forecast: Floats) -> Floats:
        """Duration in seconds that is so far above the forecast: inverse of `error_above`."""

    @abstractmethod
    def bound_below(self, errors: Floats, forecast: Floats) -> Floats:
        """Duration in seconds that is so far below the forecast: inverse of `error_below`."""

    def split(
        self, forecasts: RowForecasts, targets: Floats, lower_bounds: Floats
    ) -> CalibrationSplit:
        """Measure the errors of runs above and below their forecasts.

        Parameters
        ----------
        forecasts : RowForecasts
        targets : ndarray of shape (n, n_outputs)
            Durations in seconds; NaN where not observed.
        lower_bounds : ndarray of shape (n, n_outputs)
            Of right-censored runs, in seconds; NaN for all others.

        Returns
        -------
        CalibrationSplit
        """
        is_censored = ~np.isnan(lower_bounds)
        seconds = np.where(is_censored, lower_bounds, targets)
        return CalibrationSplit(
            self.error_above(seconds, forecasts.upper) / forecasts.scale,
            self.error_below(seconds, forecasts.lower) / forecasts.scale,
            is_censored,
        )

    def upper_bounds(self, errors: Floats, forecasts: RowForecasts) -> Floats:
        """Durations that are so far above their forecasts, of shape (n, n_outputs, n_levels)."""
        scale, forecast = forecasts.scale[:, :, None], forecasts.upper[:, :, None]
        return self.bound_above(errors * scale, forecast)

    def lower_bounds(self, errors: Floats, forecasts: RowForecasts) -> Floats:
        """Durations that are so far below their forecasts, of shape (n, n_outputs, n_levels)."""
        scale, forecast = forecasts.scale[:, :, None], forecasts.lower[:, :, None]
        return self.bound_below(errors * scale, forecast)


class AbsoluteScore(ConformityScore):
    """Seconds: a bound is as far from a short forecast as from a long one.

    Examples
    --------
    >>> from sklearn_jobtime.conformal import AbsoluteScore
    >>> score = AbsoluteScore()
    >>> score.error_above(90.0, 60.0), float(round(score.bound_above(30.0, 60.0), 6))
    (30.0, 90.0)
    """

    positive_only: ClassVar[bool] = False

    def error_above(self, seconds: Floats, forecast: Floats) -> Floats:
        """Seconds above the forecast."""
        return seconds - forecast

    def error_below(self, seconds: Floats, forecast: Floats) -> Floats:
        """Seconds below the forecast."""
        return forecast - seconds

    def bound_above(self, errors: Floats, forecast: Floats) -> Floats:
        """Forecast plus error."""
        return forecast + errors + ROUNDING * np.abs(forecast)

    def bound_below(self, errors: Floats, forecast: Floats) -> Floats:
        """Forecast minus error; below 0 where the error is larger than the forecast."""
        return forecast - errors - ROUNDING * np.abs(forecast)


class LogRatioScore(ConformityScore):
    """Log of duration / forecast above it, the missing share 1 - duration / forecast below it.

    Bounds are factors of the forecast and never negative. The two are much the same where errors
    are small, but a share is at most 1: otherwise a run that ended at a thousandth of its forecast
    would say that the next may well take a thousand times as long. Durations below a millisecond
    count as one. Where the durations of `fit` are all whole seconds (or tenths, or hundredths), the
    clock tells those up to 2 s (two tenths, ...) not apart, so that they count as 2 s: a job of 0 s
    or 1 s says nothing of how much others vary. Where all starts and ends are whole minutes, these
    are 2 minutes.

    Attributes
    ----------
    least_ : ndarray of shape (n_outputs,)
        What shorter durations count as, in seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.conformal import LogRatioScore
    >>> score, forecast = LogRatioScore(), np.array([60.0])
    >>> score.error_above(np.e * forecast, forecast), score.error_below(forecast / 4, forecast)
    (array([1.]), array([0.75]))
    >>> score.bound_below(np.array([0.75]), forecast)
    array([15.])
    """

    least_: Floats | float = LEAST

    def fit(self, targets: Floats, tick: float = 0.0) -> Self:
        """Learn which durations the clock does not tell apart."""
        self.least_ = indistinct_durations(targets, tick)
        return self

    def split(
        self, forecasts: RowForecasts, targets: Floats, lower_bounds: Floats
    ) -> CalibrationSplit:
        """Measure the errors of runs above and below their forecasts."""
        least = self.least_
        return super().split(
            self._told_apart(forecasts), np.maximum(targets, least), np.maximum(lower_bounds, least)
        )

    def upper_bounds(self, errors: Floats, forecasts: RowForecasts) -> Floats:
        """Durations that are so far above their forecasts, of shape (n, n_outputs, n_levels)."""
        bounds = super().upper_bounds(errors, self._told_apart(forecasts))
        return bounds + self._rounding(forecasts.upper)

    def lower_bounds(self, errors: Floats, forecasts: RowForecasts) -> Floats:
        """Durations that are so far below their forecasts; 0 where the clock tells no less."""
        bounds = super().lower_bounds(errors, self._told_apart(forecasts))
        bounds = np.where(bounds <= np.reshape(self.least_, (-1, 1)), 0.0, bounds)
        return np.maximum(bounds - self._rounding(forecasts.lower), 0.0)

    def _rounding(self, forecast: Floats) -> Floats:
        """Half a tick of a coarse clock, where that is more than a fortieth of the forecast."""
        is_coarse = np.asarray(self.least_) > LEAST
        is_short = forecast < 10 * np.asarray(self.least_)
        return np.where(is_coarse & is_short, np.asarray(self.least_) / 4, 0.0)[:, :, None]

    def _told_apart(self, forecasts: RowForecasts) -> RowForecasts:
        return replace(
            forecasts,
            lower=np.maximum(forecasts.lower, self.least_),
            upper=np.maximum(forecasts.upper, self.least_),
        )

    def error_above(self, seconds: Floats, forecast: Floats) -> Floats:
        """Log of duration / forecast."""
        return np.log(np.maximum(seconds, LEAST)) - np.log(np.maximum(forecast, LEAST))

    def error_below(self, seconds: Floats, forecast: Floats) -> Floats:
        """Share of the forecast that the run did not take."""
        return -np.expm1(-self.error_above(forecast, seconds))

    def bound_above(self, errors: Floats, forecast: Floats) -> Floats:
        """Forecast times exp(error)."""
        with np.errstate(over="ignore"):  # beyond any number is infinite
            return np.maximum(forecast, LEAST) * np.exp(errors) * (1 + ROUNDING)

    def bound_below(self, errors: Floats, forecast: Floats) -> Floats:
        """Forecast times (1 - error), not below 0."""
        bound = np.maximum(forecast, LEAST) * (1 - errors - ROUNDING)
        # Runs below what a clock tells are all alike.
        return np.where(bound <= LEAST, 0.0, bound)


class NormalisedScore(LogRatioScore):
    """Log ratio relative to what a scale model expects of the row.

    Bounds are wide only where a run is hard to forecast.

    Examples
    --------
    >>> from sklearn_jobtime.conformal import NormalisedScore
    >>> NormalisedScore().needs_scale_model
    True
    """

    needs_scale_model: ClassVar[bool] = True


class QuantileScore(LogRatioScore):
    """Log ratio to the nearer of two forecast quantiles (conformalized quantile regression).

    References
    ----------
    Y. Romano, E. Patterson, E. Candès, "Conformalized quantile regression", NeurIPS 2019.

    Examples
    --------
    >>> from sklearn_jobtime.conformal import QuantileScore
    >>> QuantileScore().needs_quantile_estimators
    True
    """

    needs_quantile_estimators: ClassVar[bool] = True


SCORES: dict[str, type[ConformityScore]] = {
    "absolute": AbsoluteScore,
    "log_ratio": LogRatioScore,
    "normalised": NormalisedScore,
    "quantile": QuantileScore,
}


def score_named(score: str | ConformityScore) -> ConformityScore:
    """Give the score of a name in `SCORES`; a score itself is cloned."""
    if not isinstance(score, str):
        return clone(score)
    if score not in SCORES:
        raise ValueError(
            f"conformity_score={score!r} is not known; expected one of {sorted(SCORES)}, or a "
            "ConformityScore."
        )
    return SCORES[score]()
