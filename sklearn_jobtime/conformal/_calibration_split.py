"""Errors of runs, split by the side of the forecast on which they are."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_jobtime._typing import Floats, Mask

__all__ = ["CalibrationSplit", "largest_scaled"]


@dataclass(frozen=True)
class CalibrationSplit:
    """How far runs were above and below their forecasts, in the units of a conformity score.

    Parameters
    ----------
    above, below : ndarray of shape (n, n_outputs)
        NaN where not observed. For right-censored runs: how far above they were at least, and how
        far below at most.
    is_censored : ndarray of bool, shape (n, n_outputs)
        Which runs are right-censored.
    weights : ndarray of shape (n,), default=None
        How much each row counts beside the run to be predicted, which has the weight 1; None: 1.

    Examples
    --------
    >>> errors = np.array([[0.2, -0.1], [0.1, np.nan]])
    >>> split = CalibrationSplit(errors, -errors, np.zeros((2, 2), dtype=bool))
    >>> split.is_observed.tolist()
    [[True, True], [True, False]]
    >>> split[:, [1]].row_errors(None)["both"].tolist()
    [0.1, -inf]
    """

    above: Floats
    below: Floats
    is_censored: Mask
    weights: Floats | None = None

    def __getitem__(self, part: Any) -> "CalibrationSplit":
        """Give some rows and outputs."""
        rows = part[0] if isinstance(part, tuple) else part
        weights = None if self.weights is None else self.weights[rows]
        return CalibrationSplit(self.above[part], self.below[part], self.is_censored[part], weights)

    def __len__(self) -> int:
        return len(self.above)

    @property
    def is_observed(self) -> Mask:
        """Mark the errors of which something is known."""
        return ~np.isnan(self.above)

    def without_rows(self, is_left_out: Mask) -> "CalibrationSplit":
        """Make all of some rows unobserved."""
        above, below = self.above.copy(), self.below.copy()
        above[is_left_out] = below[is_left_out] = np.nan
        return replace(self, above=above, below=below)

    def sizes(self) -> Floats:
        """Give the larger error of both sides, at least 0; NaN for right-censored runs."""
        larger = np.maximum(np.maximum(self.above, self.below), 0.0)
        return np.where(self.is_censored, np.nan, larger)

    def row_errors(self, scales: Floats | None) -> dict[str, Floats]:
        """Error of each row on each side: of its one output, or the largest relative to its scale.

        Parameters
        ----------
        scales : ndarray of shape (n_outputs,) or None
            The usual error of each of several outputs; None for a single one.

        Returns
        -------
        dict of str to ndarray of shape (n,)
            ``"above"``, ``"below"`` and ``"both"``; minus infinity where nothing was observed.
            With several outputs an error is never below 0.
        """
        above, below, is_censored = self.above, self.below, self.is_censored
        both = np.where(is_censored, above, np.maximum(above, below))
        if scales is None:
            sides = {"above": above, "below": below, "both": both}
            return {side: np.where(np.isnan(e), -np.inf, e)[:, 0] for side, e in sides.items()}
        # How short a censored run would have been nobody knows: the other outputs count.
        sides = {"above": above, "below": np.where(is_censored, np.nan, below), "both": both}
        return {side: largest_scaled(np.maximum(e, 0.0), scales) for side, e in sides.items()}


def largest_scaled(errors: Floats, scales: Floats) -> Floats:
    """Largest error of each row over its outputs, each relative to the scale of the output.

    Parameters
    ----------
    errors : ndarray of shape (..., n_outputs)
        NaN where not observed; a row without any that is gives minus infinity.
    scales : ndarray that broadcasts with `errors`
        0 for an output that was never wrong: no error is 0 there, any other is infinite.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(errors > 0, errors / scales, np.where(np.isnan(errors), -np.inf, 0.0))
    return scaled.max(axis=-1)
