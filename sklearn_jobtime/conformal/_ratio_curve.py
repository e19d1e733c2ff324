"""Distribution of the log ratio of duration to forecast, with a tail beyond the longest run."""

from dataclasses import dataclass

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.conformal._quantiles import KaplanMeierQuantile

__all__ = ["TIE", "RatioCurve", "ratio_curve"]


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
        Beyond the last of them the rest of the share falls off exponentially, with this mean; NaN
        where nobody knows how: no run that lasted so long ended, and some were cut off.
    is_cut_beyond : bool
        Whether runs were cut off beyond the last of them, so that a share beyond it is a guess.
        Else it is that of the one run more, in the place of the run to come.

    Examples
    --------
    >>> curve = ratio_curve(np.log([0.5, 1.0, 2.0]), np.full(3, False))
    >>> curve.share(np.array([0.0])), curve.last.__round__(3)
    (array([0.5]), 0.693)
    """

    quantile: KaplanMeierQuantile
    scale: float
    is_cut_beyond: bool

    @property
    def last(self) -> float:
        """The largest log ratio of a run that ended."""
        return float(self.quantile.errors[-1])

    def share(self, ratios: Floats) -> Floats:
        """Share of the runs up to each ratio, without the tail."""
        place = np.searchsorted(self.quantile.errors, ratios + TIE, side="right")
        return np.append(0.0, self.quantile.covered)[place]

    def log_survival(self, ratios: Floats) -> Floats:
        """Log of the share of runs that last longer, the tail too; NaN where it is not known."""
        beyond = ratios > self.last + TIE
        excess = np.where(beyond, ratios - self.last, 0.0)
        tail = np.where(np.isinf(excess), np.inf, excess / self.scale)  # none lasts for ever
        return np.log1p(-self.share(ratios)) - np.where(beyond, tail, 0.0)

    def ratio_at(self, log_survival: Floats) -> Floats:
        """Least ratio that at most such a share of the runs outlasts; NaN where it is not known."""
        ratio = self.quantile.at(-np.expm1(log_survival))
        left = np.log1p(-self.quantile.covered[-1]) - log_survival
        return np.where(np.isfinite(ratio), ratio, self.last + self.scale * left)

    def below(self, shares: Floats) -> Floats:
        """Largest ratio up to which at most these shares of the runs came."""
        place = np.searchsorted(self.quantile.covered, shares + TIE, side="right")
        return np.append(-np.inf, self.quantile.errors)[place]


def tail_scale(ratios: Floats, is_censored: Mask, weights: Floats) -> float:
    """Mean excess of the largest ratios, of which some are only lower bounds.

    Each run above a threshold adds its excess, whether it ended or was cut off, and the sum is
    divided by the number of those that ended: Hill's estimate for right-censored data. Counted for
    the ended ones alone, the tail would be as short as the time limit makes it. Each run counts by
    its weight.

    Returns
    -------
    float
        At least `LEAST_SCALE`; NaN where runs were cut off beyond the threshold and none ended
        there, so that nothing says how long they would have taken.

    References
    ----------
    J. Beirlant, A. Guillou, G. Dierckx, A. Fils-Villetard, "Estimation of the extreme value index
    and extreme quantiles under random censoring", Extremes 10, 2007.

    Examples
    --------
    >>> ratios, cut = np.array([1.0, 2.0, 3.0, 5.0]), np.array([False, False, False, True])
    >>> tail_scale(ratios, cut, np.ones(4))  # (3 - 2) + (5 - 2), of which one run ended
    4.0
    """
    ended = np.sort(ratios[~is_censored])
    least = ended[-max(int(np.ceil(TAIL_SHARE * len(ended))), 1)]
    below = ended[ended < least - TIE]
    threshold = below[-1] if len(below) else ended[-1]
    n_ended = weights @ (~is_censored & (ratios > threshold))
    if not n_ended:
        return np.nan if (ratios[is_censored] > threshold + TIE).any() else LEAST_SCALE
    return max(float(weights @ np.maximum(ratios - threshold, 0.0) / n_ended), LEAST_SCALE)


def ratio_curve(ratios: Floats, is_censored: Mask, weights: Floats | None = None) -> RatioCurve:
    """Estimate the distribution from `ratios`, of which some are only lower bounds."""
    weights = np.ones(len(ratios)) if weights is None else weights
    masses = survival_masses(ratios, is_censored, weights)
    return RatioCurve(
        KaplanMeierQuantile.weighted(ratios[~is_censored], masses[~is_censored]),
        tail_scale(ratios, is_censored, weights),
        bool((ratios[is_censored] > ratios[~is_censored].max() + TIE).any()),
    )
