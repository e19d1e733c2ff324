"""Quantiles of the errors of a group of outputs that are covered together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.conformal._calibration_split import CalibrationSplit
from sklearn_jobtime.conformal._effective_size import effective_sample_size
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.conformal._quantiles import EmpiricalQuantile, KaplanMeierQuantile

__all__ = ["OVER_HORIZON", "GroupQuantiles", "groups_of", "scaled_bounds"]


OVER_HORIZON = ("horizon", "both")  # kinds of simultaneous coverage that span several steps


def groups_of(steps: Sequence, jobs: Sequence, simultaneous: str) -> NDArray[np.intp]:
    """Which outputs are covered together, as the number of a group for each output.

    Examples
    --------
    >>> steps, jobs = [1, 1, 2, 2], ["a", "b", "a", "b"]
    >>> [groups_of(steps, jobs, kind).tolist() for kind in ("none", "jobs", "horizon", "both")]
    [[0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]
    """
    keys = {"none": range(len(steps)), "jobs": steps, "horizon": jobs, "both": [0] * len(steps)}
    return pd.factorize(pd.Index(keys[simultaneous]))[0]


def scaled_bounds(quantile: Floats, total: Floats, count: Floats) -> Floats:
    """Bound of the error of each output, from the bound of a row's largest scaled error.

    Parameters
    ----------
    quantile : ndarray of shape (n_levels,)
        Quantile of the largest scaled error, with ``scales = total / (count + 1)``.
    total, count : ndarray of shape (n_outputs,)
        Sum and number of the calibration errors of each output.

    Returns
    -------
    ndarray of shape (n_outputs, n_levels)

    Notes
    -----
    The scale of an output is its mean error, and a scale learned on the calibration rows would
    void the guarantee, because the run to be predicted has no part in it. So give it one: let it
    be the mean over all n + 1 runs, which treats them alike, and let the run's own error be ``e``,
    not yet known. The run is inside when ``e / ((total + e) / (n + 1)) <= Q``, where ``Q`` is the
    quantile of the scaled errors; they are largest for the smallest scale, that of ``e = 0``, so
    with that ``Q`` the run is inside whenever ``e <= Q * total / (n + 1 - Q)``. No row is set
    aside for the scales, and the price is the factor ``(n + 1) / (n + 1 - Q)``.

    Examples
    --------
    >>> scaled_bounds(np.array([3.0, np.inf]), total=np.array([45.0]), count=np.array([9]))
    array([[19.28571429,         inf]])
    """
    room = count[:, None] + 1 - quantile
    finite = (room > 0) & (count[:, None] > 0)
    bound = np.where(finite, quantile, 0.0) * total[:, None] / np.where(finite, room, 1.0)
    return np.where(finite, bound, np.inf)


@dataclass(frozen=True)
class GroupQuantiles:
    """Quantiles of the calibration errors of one group of outputs that are covered together.

    Parameters
    ----------
    outputs : ndarray of int
        The outputs of the group.
    sides : dict of str to EmpiricalQuantile
        Of the errors ``"above"`` and ``"below"`` the forecast, and of ``"both"``.
    newest : dict of str to ndarray
        The newest of the same errors, in time order; right-censored ones are :func:`completed`.
    total, count : ndarray or None
        Sum and number of the errors of each output; None where a group is a single output.
    n_rows : float
        Calibration rows with an observed target, each counted by its weight.
    n_effective : float
        Their effective sample size.

    Examples
    --------
    >>> errors = np.arange(1.0, 10.0)[:, None]
    >>> split = CalibrationSplit(errors, -errors, np.zeros((9, 1), dtype=bool))
    >>> group = GroupQuantiles.calibrated(np.array([0]), split, np.zeros(9, int), n_newest=3)
    >>> group.errors("above", np.array([0.5, 0.9])), group.newest["above"]
    (array([[5., 9.]]), array([7., 8., 9.]))
    """

    outputs: Rows
    sides: dict[str, EmpiricalQuantile]
    newest: dict[str, Floats]
    total: Floats | None
    count: Floats | None
    n_rows: float
    n_effective: float

    @classmethod
    def calibrated(
        cls, outputs: Rows, split: CalibrationSplit, series: Rows, n_newest: int
    ) -> Self:
        """Order the errors of calibration rows.

        Parameters
        ----------
        outputs : ndarray of int, shape (n_outputs,)
            Which outputs of the forecaster they are.
        split : CalibrationSplit
            Errors of these outputs, in time order.
        series : ndarray of int, shape (n,)
            Series of each row.
        n_newest : int
            How many of the newest errors to keep in time order.

        Returns
        -------
        GroupQuantiles
        """
        rows = split.is_observed.any(axis=1)
        split = split[rows]
        total = count = scales = None
        if len(outputs) > 1:
            sizes = split.sizes()
            counts = np.ones(len(sizes)) if split.weights is None else split.weights
            total, count = counts @ np.nan_to_num(sizes), counts @ ~np.isnan(sizes)
            scales = total / (count + 1)
        errors = split.row_errors(scales)
        is_censored = np.asarray(split.is_censored.any(axis=1))
        sides = side_quantiles(errors, is_censored, split.weights, scales is None)
        newest = {}
        for side, error in errors.items():
            whole = error if side == "below" else completed(error, is_censored)
            newest[side] = whole[np.isfinite(error)][-n_newest:]
        n_effective = effective_sample_size(errors["both"], series[rows], split.weights)
        n_rows = len(split) if split.weights is None else float(split.weights.sum())
        return cls(outputs, sides, newest, total, count, n_rows, n_effective)

    def errors(self, side: str, levels: Floats) -> Floats:
        """Largest error that is inside at each level, of shape (n_outputs, n_levels)."""
        quantile = self.sides[side].at(levels)
        if self.total is None or self.count is None:
            return quantile[None]
        return scaled_bounds(quantile, self.total, self.count)

    def scales(self) -> Floats | None:
        """Give the usual error of each output, for rows to come; None for a single output."""
        if self.total is None or self.count is None:
            return None
        usual = self.total > 0
        if not usual.any():
            return np.ones_like(self.total)
        scales = self.total / (self.count + 1)
        return np.where(usual, scales, scales[usual].mean())


def completed(errors: Floats, is_censored: NDArray[np.bool_]) -> Floats:
    """Put in the place of right-censored errors what is larger, as often as it is estimated to be.

    Those that were censored at the same error are spread evenly over the estimate of Kaplan and
    Meier beyond it; infinity where it says nothing.

    Examples
    --------
    >>> errors, cut = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, True, True, False])
    >>> completed(errors, cut), completed(errors[:3], cut[:3])
    (array([1., 3., 3., 3.]), array([ 1., inf, inf]))
    """
    if not is_censored.any():
        return errors
    masses = survival_masses(errors, is_censored, one_more=False)
    known = KaplanMeierQuantile.weighted(errors, masses)
    found = errors.copy()
    for error in np.unique(errors[is_censored]):
        rows = np.flatnonzero(is_censored & (errors == error))
        share = masses[errors <= error].sum()
        part = (np.arange(len(rows)) + 0.5) / len(rows)
        found[rows] = np.maximum(known.at(share + part * (1 - share)), error)
    return found


def side_quantiles(
    errors: dict[str, Floats],
    is_censored: NDArray[np.bool_],
    weights: Floats | None,
    is_single: bool,
) -> dict[str, EmpiricalQuantile]:
    """Give the quantiles of the row errors on each side; by Kaplan and Meier where needed."""
    if not is_censored.any():
        return {side: EmpiricalQuantile.of(errors[side], weights) for side in errors}
    above, below, both = errors["above"], errors["below"], errors["both"]
    if is_single:
        masses = survival_masses(above, is_censored, weights)
        return {
            "above": KaplanMeierQuantile.weighted(above, masses),
            "below": KaplanMeierQuantile.below_censored(below, above, is_censored, weights),
            "both": KaplanMeierQuantile.weighted(both, masses),
        }
    return {
        "above": KaplanMeierQuantile.censored(above, is_censored, weights),
        "below": EmpiricalQuantile.of(
            below[below >= 0], None if weights is None else weights[below >= 0]
        ),
        "both": KaplanMeierQuantile.censored(both, is_censored, weights),
    }
