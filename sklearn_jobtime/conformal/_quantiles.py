"""From errors on held-out runs to bounds: the numbers behind split conformal prediction.

Every function takes plain arrays. An error is measured so that larger is worse; the bound at a
level is an order statistic of the errors, never an interpolated quantile, because only the order
statistic carries the finite-sample promise.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.conformal._effective_size import effective_number
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.exceptions import TooFewRunsWarning

__all__ = [
    "Bounds",
    "Ranked",
    "calibrated",
    "groups_of",
    "largest_scaled",
    "levels_of",
    "rank_errors",
    "row_errors",
    "rows_needed",
    "scaled_bounds",
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
class Ranked:
    """Errors in increasing order, and the share of the future that each of them covers.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Increasing.
    covered : ndarray of shape (n,)
        The chance that the next error is at most this one; without censored runs, i / (n + 1).
    """

    errors: Floats
    covered: Floats

    def bound(self, levels: Floats) -> Floats:
        """Give the least error that covers each level; infinity when none of them does."""
        place = np.searchsorted(self.covered, np.asarray(levels) - TIE)
        return np.append(self.errors, np.inf)[place]


def rank_errors(errors: Floats, masses: Floats | None = None, below: float = 0.0) -> Ranked:
    """Put errors in order, for :meth:`Ranked.bound`.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Errors of calibration rows.
    masses : ndarray of shape (n,), default=None
        Weight of each error. None gives each 1 / (n + 1): the bound at a level is then the error
        of rank ``ceil((n + 1) * level)``.
    below : float, default=0.0
        Weight of what is smaller than all errors.

    Examples
    --------
    >>> rank_errors(np.arange(1.0, 10.0)).bound([0.5, 0.9, 0.91])
    array([ 5.,  9., inf])
    """
    order = np.argsort(errors, kind="stable")
    if masses is None:
        return Ranked(errors[order], np.arange(1, len(errors) + 1) / (len(errors) + 1))
    return Ranked(errors[order], below + np.cumsum(masses[order]))


def largest_scaled(errors: Floats, units: Floats) -> Floats:
    """Largest error of each row over its outputs, each in the unit of the output.

    Parameters
    ----------
    errors : ndarray of shape (..., n_outputs)
        NaN where not observed; a row without any that is gives minus infinity.
    units : ndarray that broadcasts with `errors`
        0 for an output that was never wrong: no error is 0 there, any other is infinite.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(errors > 0, errors / units, np.where(np.isnan(errors), -np.inf, 0.0))
    return scaled.max(axis=-1)


def scaled_bounds(quantile: Floats, total: Floats, count: Rows) -> Floats:
    """Bound of the error of each output, from the bound of a row's largest scaled error.

    Parameters
    ----------
    quantile : ndarray of shape (n_levels,)
        Bound of :func:`largest_scaled` with ``units = total / (count + 1)``.
    total, count : ndarray of shape (n_outputs,)
        Sum and number of the calibration errors of each output.

    Returns
    -------
    ndarray of shape (n_outputs, n_levels)

    Notes
    -----
    The unit of an output is its mean error, and a unit learned on the rows that calibrate would
    void the promise, because the run to be predicted has no part in it. So give it one: let it be
    the mean over all n + 1 runs, which treats them alike, and let the run's own error be ``e``,
    not yet known. The run is inside when ``e / ((total + e) / (n + 1)) <= Q``, where ``Q`` is the
    bound of the scaled errors; they are largest in the smallest unit, that of ``e = 0``, so with
    that ``Q`` the run is inside whenever ``e <= Q * total / (n + 1 - Q)``. No row is set aside for
    the units, and the price is the factor ``(n + 1) / (n + 1 - Q)``.

    Examples
    --------
    >>> scaled_bounds(np.array([3.0, np.inf]), total=np.array([45.0]), count=np.array([9]))
    array([[19.28571429,         inf]])
    """
    room = count[:, None] + 1 - quantile
    finite = (room > 0) & (count[:, None] > 0)
    bound = np.where(finite, quantile, 0.0) * total[:, None] / np.where(finite, room, 1.0)
    return np.where(finite, bound, np.inf)


def groups_of(steps: Sequence, jobs: Sequence, coverage: str) -> NDArray[np.intp]:
    """Which outputs are covered together, as the number of a group for each output.

    Examples
    --------
    >>> steps, jobs = [1, 1, 2, 2], ["a", "b", "a", "b"]
    >>> [groups_of(steps, jobs, kind).tolist() for kind in ("output", "jobs", "steps", "all")]
    [[0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]
    """
    keys = {"output": range(len(steps)), "jobs": steps, "steps": jobs, "all": [0] * len(steps)}
    return pd.factorize(pd.Index(keys[coverage]))[0]


def row_errors(
    above: Floats, below: Floats, is_censored: Mask, units: Floats | None
) -> dict[str, Floats]:
    """Errors of each row on each side of the forecast: of its one output, or the largest scaled.

    Parameters
    ----------
    above, below : ndarray of shape (n, n_outputs)
        How far the runs were above and below the forecast, NaN where not observed. For runs that
        were cut off: how far above they were at least, and how far below at most.
    is_censored : ndarray of bool, shape (n, n_outputs)
        Which those are.
    units : ndarray of shape (n_outputs,) or None
        The usual error of each of several outputs; None for a single one.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        ``"above"``, ``"below"`` and ``"both"``; minus infinity where nothing was observed. With
        several outputs an error is never below 0.
    """
    both = np.where(is_censored, above, np.maximum(above, below))
    if units is None:
        sides = {"above": above, "below": below, "both": both}
        return {side: np.where(np.isnan(e), -np.inf, e)[:, 0] for side, e in sides.items()}
    # How short a run that was cut off would have been nobody knows: the other outputs count.
    sides = {"above": above, "below": np.where(is_censored, np.nan, below), "both": both}
    return {side: largest_scaled(np.maximum(e, 0.0), units) for side, e in sides.items()}


@dataclass(frozen=True)
class Bounds:
    """The errors of the calibration rows of one group of outputs that are covered together.

    Parameters
    ----------
    outputs : ndarray of int
        The outputs of the group.
    sides : dict of str to Ranked
        The ranked errors ``"above"`` and ``"below"`` the forecast, and ``"both"``.
    newest : dict of str to ndarray
        The newest of the same errors, in time order.
    total, count : ndarray or None
        Sum and number of the errors of each output; None where a group is a single output.
    n_rows : int
        Calibration rows with an observed target.
    n_effective : float
        How many independent ones they are worth.
    """

    outputs: Rows
    sides: dict[str, Ranked]
    newest: dict[str, Floats]
    total: Floats | None
    count: Rows | None
    n_rows: int
    n_effective: float

    def errors(self, side: str, levels: Floats) -> Floats:
        """Largest error that is inside at each level, of shape (n_outputs, n_levels)."""
        bound = self.sides[side].bound(levels)
        if self.total is None or self.count is None:
            return bound[None]
        return scaled_bounds(bound, self.total, self.count)

    def units(self) -> Floats | None:
        """Give the usual error of each output, for rows to come; None for a single output."""
        if self.total is None or self.count is None:
            return None
        usual = self.total > 0
        if not usual.any():
            return np.ones_like(self.total)
        units = self.total / (self.count + 1)
        return np.where(usual, units, units[usual].mean())


def calibrated(
    outputs: Rows, above: Floats, below: Floats, is_censored: Mask, series: Rows, n_newest: int
) -> Bounds:
    """Rank the errors of calibration rows in one group of outputs.

    Parameters
    ----------
    outputs : ndarray of int, shape (n_outputs,)
        Which outputs of the forecaster they are.
    above, below, is_censored : ndarray of shape (n, n_outputs)
        As for :func:`row_errors`, in time order.
    series : ndarray of int, shape (n,)
        Series of each row.
    n_newest : int
        How many of the newest errors to keep in time order.

    Returns
    -------
    Bounds
    """
    rows = ~np.isnan(above).all(axis=1)
    above, below, is_censored = above[rows], below[rows], is_censored[rows]
    total = count = units = None
    if len(outputs) > 1:
        sizes = np.where(is_censored, np.nan, np.maximum(np.maximum(above, below), 0.0))
        total, count = np.nansum(sizes, axis=0), (~np.isnan(sizes)).sum(axis=0)
        units = total / (count + 1)
    errors = row_errors(above, below, is_censored, units)
    cut_off = np.asarray(is_censored.any(axis=1))
    sides = {side: rank_errors(errors[side]) for side in errors}
    if cut_off.any():
        mass = survival_masses(errors["above"], cut_off)
        sides["above"] = rank_errors(errors["above"], mass)
        if units is None:
            # A duration of which only the least is known is long rather than short.
            n = len(above)
            mass_below = survival_masses(errors["above"], cut_off, one_more=False) * n / (n + 1)
            rest = n / (n + 1) - mass_below.sum()
            sides["below"] = rank_errors(errors["below"], mass_below, below=rest)
        else:
            sides["below"] = rank_errors(errors["below"][errors["below"] >= 0])
            mass = survival_masses(errors["both"], cut_off)
        sides["both"] = rank_errors(errors["both"], mass)
    newest = {side: error[np.isfinite(error)][-n_newest:] for side, error in errors.items()}
    n_effective = effective_number(errors["both"], series[rows])
    return Bounds(outputs, sides, newest, total, count, int(rows.sum()), n_effective)


def levels_of(asked: float | Sequence[float]) -> Floats:
    """Check one confidence level or several."""
    levels = np.atleast_1d(np.asarray(asked, dtype=np.float64))
    if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(
            f"confidence_level must be a number between 0 and 1, or a list of such, got {asked}"
        )
    return levels


def warn_if_too_few(n_rows: int | None, one_sided: Floats, levels: Floats) -> None:
    """Say how many calibration rows the bounds at `levels` would need, if there are fewer."""
    if n_rows is None:
        return
    needed = np.array([rows_needed(level) for level in one_sided])
    if (needed > n_rows).any():
        short = int(np.argmax(needed > n_rows))
        warnings.warn(
            f"{n_rows} calibration rows are too few for a bound at {levels[short]:g}, which is "
            f"infinite: expected at least {needed[short]}; load a longer history, raise "
            "calibration_fraction or ask for a lower confidence_level.",
            TooFewRunsWarning,
            stacklevel=3,
        )
