"""From errors of calibration rows to the error at a confidence level.

The error at a level is an order statistic, never an interpolated quantile, because only the order
statistic has the finite-sample guarantee of split conformal prediction.
"""

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.exceptions import TooFewRunsWarning

__all__ = [
    "EmpiricalQuantile",
    "KaplanMeierQuantile",
    "confidence_levels",
    "rows_needed",
    "warn_if_too_few",
]


TIE = 1e-9  # 0.9 * 10 is a little more than 9 in binary; levels this close are the same


def rows_needed(level: float) -> int:
    """How many calibration rows a finite bound at `level` needs.

    Examples
    --------
    >>> [rows_needed(level) for level in (0.8, 0.9, 0.95, 0.99)]
    [4, 9, 19, 99]
    """
    return max(1, int(np.ceil(level / (1 - level) - TIE)))


@dataclass(frozen=True)
class EmpiricalQuantile:
    """Errors in increasing order, and the share of the future that each of them covers.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Increasing.
    covered : ndarray of shape (n,)
        The chance that the next error is at most this one.

    Examples
    --------
    >>> EmpiricalQuantile.of(np.arange(1.0, 10.0)).at([0.5, 0.9, 0.91])
    array([ 5.,  9., inf])
    """

    errors: Floats
    covered: Floats

    @classmethod
    def of(cls, errors: Floats, weights: Floats | None = None) -> Self:
        """Count all errors, and one more, larger than all, for the run to be predicted.

        Counted alike, the error at a level is the one of rank ``ceil((n + 1) * level)``. With
        weights, the run to be predicted has the weight 1.
        """
        if weights is not None:
            return cls.weighted(errors, weights / (weights.sum() + 1))
        n = len(errors)
        return cls(errors[np.argsort(errors, kind="stable")], np.arange(1, n + 1) / (n + 1))

    @classmethod
    def weighted(cls, errors: Floats, masses: Floats, smaller: float = 0.0) -> Self:
        """Count each error by its mass, the chance that the next error is this one.

        Parameters
        ----------
        errors, masses : ndarray of shape (n,)
        smaller : float, default=0.0
            Mass of what is smaller than all errors.
        """
        order = np.argsort(errors, kind="stable")
        return cls(errors[order], smaller + np.cumsum(masses[order]))

    def at(self, levels: Floats) -> Floats:
        """Give the least error that covers each level; infinity when none of them does."""
        place = np.searchsorted(self.covered, np.asarray(levels) - TIE)
        return np.append(self.errors, np.inf)[place]


class KaplanMeierQuantile(EmpiricalQuantile):
    """The same of errors of which some are right-censored, and one more for the run to come.

    Examples
    --------
    >>> errors, is_censored = np.array([1.0, 2.0, 3.0]), np.array([False, True, False])
    >>> KaplanMeierQuantile.censored(errors, is_censored).at([0.25, 0.5, 0.7])
    array([ 1.,  3., inf])
    """

    @classmethod
    def censored(cls, errors: Floats, is_censored: Mask, weights: Floats | None = None) -> Self:
        """Estimate the distribution of errors of which the marked ones are lower bounds."""
        return cls.weighted(errors, survival_masses(errors, is_censored, weights))

    @classmethod
    def below_censored(
        cls, errors: Floats, above: Floats, is_censored: Mask, weights: Floats | None = None
    ) -> Self:
        """Estimate the distribution of the errors below the forecast, of a single output.

        A duration of which only the lower bound is known is long rather than short: its mass goes
        to the runs that are at least as far above (`above`), so to smaller errors below.
        """
        n = len(errors) if weights is None else float(weights.sum())
        masses = survival_masses(above, is_censored, weights, one_more=False) * n / (n + 1)
        return cls.weighted(errors, masses, smaller=n / (n + 1) - masses.sum())


def confidence_levels(asked: ArrayLike, name: str = "confidence_level") -> tuple[Floats, bool]:
    """Check one confidence level or several.

    Parameters
    ----------
    asked : float, or array-like of shape (n_levels,)
        A list, tuple, array, Series or Index; their order is kept.
    name : str, default="confidence_level"
        Of the parameter, for messages.

    Returns
    -------
    levels : ndarray of shape (n_levels,)
    is_one : bool
        Whether it came as one number, so that what is made of it has no axis of levels.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> confidence_levels((0.9, 0.5)), confidence_levels(0.9)
    ((array([0.9, 0.5]), False), (array([0.9]), True))
    """
    try:
        given = np.asarray(asked)
        is_number = given.dtype.kind in "fiuO"
        levels = np.atleast_1d(given.astype(np.float64)) if is_number else np.empty(0)
    except (TypeError, ValueError):
        levels = np.empty(0)
    if levels.ndim > 1 or not levels.size or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(
            f"{name} must be a number between 0 and 1, or a list, array or Series of such, got "
            f"{asked!r}."
        )
    return levels, given.ndim == 0


def warn_if_too_few(n_rows: float | None, one_sided: Floats, levels: Floats) -> None:
    """Say how many calibration rows the bounds at `levels` would need, if there are fewer."""
    if n_rows is None:
        return
    needed = np.array([rows_needed(level) for level in one_sided])
    if (needed > n_rows).any():
        short = int(np.argmax(needed > n_rows))
        warnings.warn(
            f"{n_rows:g} calibration rows are too few for a bound at {levels[short]:g}, which is "
            f"infinite: expected at least {needed[short]}; load a longer history, raise "
            "calibration_fraction or ask for a lower confidence_level.",
            TooFewRunsWarning,
            stacklevel=3,
        )
