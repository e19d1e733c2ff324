"""Targets as a fit takes them: what was observed, what is censored, how much a row counts."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm.window_inputs import is_constant
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = ["Targets", "check_observed", "merge_repeats", "read_weighted_targets"]


# Below so many rows, rows that repeat are looked for; above, to look would cost more than it says.
FEW_ROWS = 32


@dataclass(frozen=True)
class Targets:
    """What is known of what followed each window.

    Parameters
    ----------
    observed : ndarray of shape (n, n_outputs)
        NaN where it was not observed.
    at_least : ndarray of shape (n, n_outputs) or None
        Lower bounds of what is right-censored, NaN elsewhere; None when nothing is.
    weight : ndarray of shape (n,) or None
        How much a row counts; None when all count alike.
    names : pandas.Index or None
        Names of the outputs.
    ndim : int
        1 or 2, the dimensions in which they came.
    """

    observed: Floats
    at_least: Floats | None
    weight: Floats | None
    names: Any
    ndim: int

    @property
    def best_known(self) -> Floats:
        """What was observed, else the bound; NaN where nothing is known."""
        if self.at_least is None:
            return self.observed
        return np.where(np.isnan(self.observed), self.at_least, self.observed)

    def mean_and_scale(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation per output, NaN skipped; a constant one has the scale 0.

        Bounds count as if they had been observed: only where the network starts depends on it.
        """
        y = self.best_known
        weight = 1.0 if self.weight is None else self.weight[:, None]
        count = (~np.isnan(y) * weight).sum(axis=0)
        mean = np.nansum(y * weight, axis=0) / count
        scale = np.sqrt(np.nansum(np.square(y - mean) * weight, axis=0) / count)
        return mean, np.where(is_constant(mean, scale), 0.0, scale)


def read_weighted_targets(
    estimator: BaseEstimator,
    windows: Floats,
    y: ArrayLike,
    at_least: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> Targets:
    """Read the targets, the bounds and the weights that belong to `windows`.

    Of rows that count nothing, nothing is known; equal weights and no bounds are none.
    """
    given = read_targets(estimator, windows, y, at_least)
    observed = given.observed
    bounds = None if np.isnan(given.lower_bounds).all() else given.lower_bounds
    weight = None
    if sample_weight is not None:
        weight = _check_sample_weight(
            sample_weight, windows, dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("sample_weight has only zeros; expected a row that counts.")
        observed = np.where(weight[:, None] > 0, observed, np.nan)
        bounds = None if bounds is None else np.where(weight[:, None] > 0, bounds, np.nan)
        weight = None if (weight == weight[0]).all() else weight
    return Targets(observed, bounds, weight, given.form.names, given.form.ndim)


def check_observed(targets: Targets) -> None:
    """Raise a NoHistoryError that names the outputs never observed, if there are any."""
    never = np.flatnonzero(np.isnan(targets.observed).all(axis=0))
    if never.size:
        labels = ", ".join(
            output_label(k if targets.names is None else targets.names[k]) for k in never
        )
        raise NoHistoryError(
            f"no target of output {labels} was observed (all {len(targets.observed)} are NaN), so "
            "there is nothing to learn from; leave it out, or wait for a run to succeed."
        )


def output_label(name: Any) -> str:
    """Write the name of an output, such as a column (step, job), without its NumPy types."""
    return f"({', '.join(map(str, name))})" if isinstance(name, tuple) else str(name)


def merge_repeats(windows: Floats, targets: Targets) -> tuple[Floats, Targets]:
    """Let a row that stands k times among few count k times as much, in place of k rows.

    Whole-number weights are then the same as repeated rows, bit for bit, whatever their order:
    where rows do not count alike their order has no meaning left, so they get one of their own.
    """
    n = len(windows)
    if n >= FEW_ROWS:
        return windows, targets
    weight = np.ones(n) if targets.weight is None else targets.weight
    rows = np.flatnonzero(weight)
    parts = [windows, targets.observed] + ([] if targets.at_least is None else [targets.at_least])
    table = np.column_stack([np.reshape(part[rows], (len(rows), -1)) for part in parts])
    as_bytes = np.ascontiguousarray(table + 0.0).view(f"V{table.itemsize * table.shape[1]}")[:, 0]
    _, first, which = np.unique(as_bytes, return_index=True, return_inverse=True)
    counts: Floats = np.bincount(which, weights=weight[rows]).astype(np.float64)
    alike = bool((counts == counts[0]).all())
    order = np.argsort(first) if alike else np.random.default_rng(0).permutation(len(first))
    rows = rows[first[order]]
    merged = replace(
        targets,
        observed=targets.observed[rows],
        at_least=None if targets.at_least is None else targets.at_least[rows],
        weight=None if alike else counts[order],
    )
    return windows[rows], merged
