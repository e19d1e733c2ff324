"""Bounds of landings at each stage of a run, calibrated on held-out nights."""

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._adaptive import AdaptiveBound

__all__ = ["StageBounds", "stage_counts", "stage_errors"]


MOST_NIGHTS = 300  # newest ones whose errors are kept for chances
MOST_STAGES = 5  # with ended jobs, from none to all but one

TIE = 1e-9  # of a rank


def stage_counts(n_jobs: int) -> list[int]:
    """Numbers of ended jobs from which on each stage is: the start, under way, then equal steps.

    Examples
    --------
    >>> stage_counts(3), stage_counts(12)
    ([0, 0, 1, 2], [0, 0, 3, 6, 9, 11])
    """
    if n_jobs <= MOST_STAGES:
        return [0, *range(n_jobs)]
    quarters = [round(n_jobs * k / (MOST_STAGES - 1)) for k in range(MOST_STAGES - 1)]
    return [0, *quarters, n_jobs - 1]


def stage_errors(
    landings: Floats, centre: Floats, below: Floats, above: Floats, is_known: Mask
) -> Floats:
    """Errors of forecast landings, in standard deviations of the sample paths; NaN where known.

    Positive for what landed later than forecast.

    Parameters
    ----------
    landings, centre, below, above : ndarray of shape (n_outputs,)
    is_known : ndarray of bool, shape (n_outputs,)
        Outputs that had landed when the forecast was made.
    """
    late = landings - centre
    errors = np.where(late > 0, late / above, late / below)
    return np.where(is_known, np.nan, errors)


class StageBounds:
    """By how many standard deviations of its sample paths a landing may be off, at each stage.

    The sample paths say in what shape landings spread, and which run is hard to forecast; how far
    they really are off, the held-out nights say. So the coverage is that of split conformal
    prediction: a bound is an order statistic of the errors of nights, each forecast from all
    others. From the first update on it is adaptive
    (:class:`~sklearn_jobtime.conformal.AdaptiveBound`).

    Parameters
    ----------
    errors : ndarray of shape (n_nights, n_stages, n_outputs)
        Of :func:`stage_errors`, in time order; NaN where not observed.

    References
    ----------
    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-free predictive
    inference for regression", Journal of the American Statistical Association 113, 2018, section
    5.2: errors relative to a spread.

    Examples
    --------
    >>> import numpy as np
    >>> bounds = StageBounds(np.arange(1.0, 40.0)[:, None, None])
    >>> bounds.at(0, np.array([0.9]), together=False)
    array([[36.]])
    """

    def __init__(self, errors: Floats) -> None:
        n_stages, n_outputs = errors.shape[1:]
        self._errors = errors
        far = np.abs(errors)
        self._each = [
            [AdaptiveBound(_seen(far[:, stage, k])) for k in range(n_outputs)]
            for stage in range(n_stages)
        ]
        self._together = [AdaptiveBound(_seen(_largest(far[:, s]))) for s in range(n_stages)]

    def learn(self, errors: Floats) -> None:
        """Learn the errors of one more night, of shape (n_stages, n_outputs)."""
        self._errors = np.concatenate([self._errors, errors[None]])[-MOST_NIGHTS:]
        for stage, of_stage in enumerate(np.abs(errors)):
            for bound, error in zip(self._each[stage], of_stage, strict=True):
                if not np.isnan(error):
                    bound.step(float(error))
            if not np.isnan(of_stage).all():
                self._together[stage].step(float(np.nanmax(of_stage)))

    def at(self, stage: int, levels: Floats, *, together: bool) -> Floats:
        """Give the bounds of all outputs, of shape (n_outputs, n_levels).

        Infinite where nights are too few to tell one that is missed so seldom.
        """
        seen = ~np.isnan(self._errors[:, stage])
        n_seen, bounds = seen.sum(axis=0), self._each[stage]
        if together:
            n_seen = np.full(len(bounds), seen.any(axis=1).sum())
            bounds = [self._together[stage]] * len(bounds)
        is_told = (1 - levels) * (n_seen[:, None] + 1) >= 1 - TIE
        return np.where(is_told, np.array([bound.bounds(1 - levels) for bound in bounds]), np.inf)

    def share_by(self, stage: int, errors: Floats) -> Floats:
        """Give the share of nights that are no later than so many standard deviations.

        Half of them land before the forecast, and as many are far off on either side: each side has
        a spread of its own. So a share is told by all nights, and not by those of one side, whose
        number is chance. Between the errors of two nights it is interpolated; of n nights it is
        from half of ``1 / (n + 1)`` on, and 0 or 1 at infinity.
        """
        shares = np.empty(len(errors))
        for k, error in enumerate(errors):
            far = np.sort(np.abs(_seen(self._errors[:, stage, k])))
            ranks = np.arange(len(far) + 1) / (len(far) + 1)
            nearer = np.interp(abs(error), np.append(0.0, far), ranks)
            shares[k] = 0.5 + 0.5 * np.sign(error) * nearer
        return np.where(np.isinf(errors), errors > 0, shares)


def _seen(errors: Floats) -> Floats:
    return errors[~np.isnan(errors)]


def _largest(errors: Floats) -> Floats:
    """Largest error of each row; NaN where none was observed."""
    found = np.where(np.isnan(errors), -np.inf, errors).max(axis=1)
    return np.where(np.isinf(found), np.nan, found)
