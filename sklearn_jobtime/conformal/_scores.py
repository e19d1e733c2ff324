"""How far off a forecast was, and back: the scores that conformal bounds are made of."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.runs._target_arrays import shaped

__all__ = ["LEAST", "Centres", "around", "centres_of", "given_centres", "measured", "told_targets"]


LEAST = 1e-3  # seconds: clocks tell no less, and the log of 0 s says nothing
ROUNDING = 1e-12  # a run as long as the worst one in calibration is inside, whatever exp() rounds


@dataclass(frozen=True)
class Centres:
    """From where the errors of n forecasts are measured, and in which unit.

    Parameters
    ----------
    forecast, lower, upper : ndarray of shape (n, n_outputs)
        Seconds: the forecast, and twice the same or a low and a high quantile.
    unit : ndarray of shape (n, n_outputs)
        How far off a forecast of this row may well be; 1 unless that was learned.
    is_log : bool
        Whether errors are log ratios, not seconds.
    """

    forecast: Floats
    lower: Floats
    upper: Floats
    unit: Floats
    is_log: bool

    def take(self, rows: NDArray[np.intp]) -> "Centres":
        """Return those of some of the rows."""
        lower, upper, unit = self.lower[rows], self.upper[rows], self.unit[rows]
        return Centres(self.forecast[rows], lower, upper, unit, self.is_log)

    def _scale(self, seconds: Floats) -> Floats:
        return np.log(np.maximum(seconds, LEAST)) if self.is_log else seconds

    def errors_of(self, seconds: Floats) -> tuple[Floats, Floats]:
        """How far runs of these seconds are above and below, in units; negative inside.

        A run that is shorter is so by a share of the forecast, not by a log ratio: the two differ
        little where they are small, but a share is at most 1. Else a run that ended at a thousandth
        of its forecast would say that the next may well take a thousand times as long.
        """
        scaled = self._scale(seconds)
        above = scaled - self._scale(self.upper)
        below = self._scale(self.lower) - scaled
        return above / self.unit, (-np.expm1(-below) if self.is_log else below) / self.unit

    def above(self, errors: Floats) -> Floats:
        """Seconds that are off by `errors` above, of shape (n_outputs, n_levels)."""
        centre, by = self.upper[:, :, None], errors * self.unit[:, :, None]
        if not self.is_log:
            return centre + by + ROUNDING * np.abs(centre)
        with np.errstate(over="ignore"):  # beyond any number is infinite
            return np.maximum(centre, LEAST) * np.exp(by) * (1 + ROUNDING)

    def below(self, errors: Floats) -> Floats:
        """Seconds that are off by `errors` below, of shape (n_outputs, n_levels)."""
        centre, by = self.lower[:, :, None], errors * self.unit[:, :, None]
        if not self.is_log:
            return centre - by - ROUNDING * np.abs(centre)
        moved = np.maximum(centre, LEAST) * (1 - by - ROUNDING)
        # Runs below what a clock tells are all alike.
        return np.where(moved <= LEAST, 0.0, moved)


def measured(centres: Centres, targets: Floats, limits: Floats) -> tuple[Floats, Floats, Mask]:
    """Errors above and below the forecast, the least and the most ones where a run was cut off."""
    is_censored = ~np.isnan(limits)
    above, below = centres.errors_of(np.where(is_censored, limits, targets))
    return above, below, is_censored


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
