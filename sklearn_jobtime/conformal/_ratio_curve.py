"""Distribution of the log ratio of duration to forecast, with a tail beyond the longest run."""

from dataclasses import dataclass

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.conformal._quantiles import KaplanMeierQuantile

__all__ = ["RatioCurve", "ratio_curve"]


TAIL_SHARE = 0.1  # of the largest ratios, which say how a run goes on that outlasts them all
LEAST_SCALE = 0.1  # and if they are all alike, by a tenth
TIE = 1e-9  # shares of runs this close are the same


@dataclass(frozen=True)
class RatioCurve:
    """Distribution of the log ratio of duration to forecast.

    Parameters
    ----------
    quantile : KaplanMeierQuantile
        The log ratios of calibration runs in increasing order, and the share of runs up to each.
    scale : float
        Beyond the last of them the rest of the share falls off exponentially, with this mean.

    Examples
    --------
    >>> curve = ratio_curve(np.log([0.5, 1.0, 2.0]), np.full(3, False))
    >>> curve.share(np.array([0.0])), curve.last.__round__(3)
    (array([0.5]), 0.693)
    """

    quantile: KaplanMeierQuantile
    scale: float

    @property
    def last(self) -> float:
        """The largest log ratio of a run that ended."""
        return float(self.quantile.errors[-1])

    def share(self, ratios: Floats) -> Floats:
        """Share of the runs up to each ratio, without the tail."""
        place = np.searchsorted(self.quantile.errors, ratios + TIE, side="right")
        return np.append(0.0, self.quantile.covered)[place]

    def log_survival(self, ratios: Floats) -> Floats:
        """Log of the share of runs that last longer; the tail is part of it."""
        return np.log1p(-self.share(ratios)) - np.maximum(ratios - self.last, 0.0) / self.scale

    def ratio_at(self, log_survival: Floats) -> Floats:
        """Least ratio that at most such a share of the runs outlasts; the tail is part of it."""
        ratio = self.quantile.at(-np.expm1(log_survival))
        left = np.log1p(-self.quantile.covered[-1]) - log_survival
        return np.where(np.isfinite(ratio), ratio, self.last + self.scale * left)

    def below(self, shares: Floats) -> Floats:
        """Largest ratio up to which at most these shares of the runs came."""
        place = np.searchsorted(self.quantile.covered, shares + TIE, side="right")
        return np.append(-np.inf, self.quantile.errors)[place]


def ratio_curve(ratios: Floats, is_censored: Mask) -> RatioCurve:
    """Estimate the distribution from `ratios`, of which some are only lower bounds."""
    masses = survival_masses(ratios, is_censored)
    ended = np.sort(ratios[~is_censored])
    n_tail = min(int(np.ceil(TAIL_SHARE * len(ended))), len(ended) - 1)
    excess = (ended[-n_tail:] - ended[-n_tail - 1]).mean() if n_tail else 0.0
    return RatioCurve(
        KaplanMeierQuantile.weighted(ratios[~is_censored], masses[~is_censored]),
        max(float(excess), LEAST_SCALE),
    )
