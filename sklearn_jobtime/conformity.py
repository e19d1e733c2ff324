"""How far off a forecast was, and back: the scores that conformal bounds are made of."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from sklearn_jobtime.past import HistoryRegressor, Past, newest, row_mean, row_median

__all__ = ["LEAST", "Centres", "RecentSpread", "measured"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

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
    >>> from sklearn_jobtime.conformity import RecentSpread
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

    def _reach(self) -> int:
        return self.n_runs

    def _forecast_job(self, past: Past) -> Floats:
        seen = np.maximum(newest(past.seconds, past.successes, self.n_runs), LEAST)
        return row_mean(np.abs(np.log(seen / row_median(seen)[:, None])))
