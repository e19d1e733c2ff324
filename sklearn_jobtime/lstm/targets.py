"""Targets as a fit takes them: what was observed, lower bounds of censored runs, weights."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm.usual_values import mean_and_scale, usual_range
from sklearn_jobtime.lstm.window_inputs import read_windows
from sklearn_jobtime.point_in_time._timed_windows import TimedWindows, time_order
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = [
    "TARGET_BOUND",
    "Targets",
    "in_units",
    "merge_repeats",
    "newest_last",
    "read_weighted_rows",
    "read_weighted_targets",
    "standardised",
]


# Standardised targets count as this where they are larger: they could be larger, but for the digits
# of the other errors in a sum in single precision.
TARGET_BOUND = 1e3

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
        Lower bounds of right-censored runs, NaN elsewhere; None when there are none.
    weight : ndarray of shape (n,) or None
        Weights of the rows; None when all are equal.
    names : pandas.Index or None
        Names of the outputs.
    ndim : int
        1 or 2, the dimensions of `y`.
    """

    observed: Floats
    at_least: Floats | None
    weight: Floats | None
    names: Any
    ndim: int

    def take(self, rows: Rows) -> "Targets":
        """Return those of some of the rows."""
        return replace(
            self,
            observed=self.observed[rows],
            at_least=None if self.at_least is None else self.at_least[rows],
            weight=None if self.weight is None else self.weight[rows],
        )

    @property
    def best_known(self) -> Floats:
        """What was observed, else the bound; NaN where nothing is known."""
        if self.at_least is None:
            return self.observed
        return np.where(np.isnan(self.observed), self.at_least, self.observed)

    def mean_and_scale(self, robust: bool) -> tuple[Floats, Floats]:
        """Mean and standard deviation per output, NaN skipped; a constant one has the scale 0.

        Where it is `robust`, hung runs are skipped too. Bounds count as if they had been observed:
        only where the network starts depends on it.
        """
        y = self.best_known
        bounds = np.full((2, y.shape[1]), [[-np.inf], [np.inf]])
        for k in range(y.shape[1] if robust else 0):
            known = ~np.isnan(y[:, k])
            weight = None if self.weight is None else self.weight[known]
            one_run = 1.0 if weight is None else float(weight.mean())
            bounds[:, k] = usual_range(y[known, k], weight, one_run)
        return mean_and_scale(lambda: [(y, self.weight)], bounds)


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


def read_weighted_rows(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    at_least: ArrayLike | None,
    reset: bool,
) -> tuple[Floats, Targets]:
    """Validate the windows and the targets of a fit.

    With `reset`, `estimator` learns the shape of both that it then expects: what
    :func:`read_windows` says, and its `target_names_`, `target_ndim_` and `n_outputs_`.
    """
    windows = read_windows(estimator, X, reset=reset)
    targets = read_weighted_targets(estimator, windows, y, at_least, sample_weight)
    n_outputs = targets.observed.shape[1]
    if reset:
        check_observed(targets)
        estimator.target_names_, estimator.target_ndim_ = targets.names, targets.ndim
        estimator.n_outputs_ = n_outputs
    elif n_outputs != estimator.n_outputs_:
        raise ValueError(
            f"y has {n_outputs} outputs, but {type(estimator).__name__} was fitted with "
            f"{estimator.n_outputs_}; fit a new one with warm_start=False."
        )
    return windows, targets


def newest_last(X: Any, windows: Floats, targets: Targets) -> tuple[Floats, Targets]:
    """Bring the rows of a fit into time order, where the windows as they came know the times."""
    order = time_order(X if isinstance(X, TimedWindows) else windows)
    return (windows, targets) if order is None else (windows[order], targets.take(order))


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


def standardised(
    y: Floats, mean: Floats, scale: Floats, bound: float = np.inf
) -> NDArray[np.float32]:
    """Return the targets in single precision with the mean 0 and the scale 1, constant ones as 0.

    What lies beyond `bound` counts as the bound. A loss that is robust learns the same from it, and
    its sum keeps the digits of the other errors.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.targets import standardised
    >>> standardised(np.array([[50.0, 7.0], [70.0, 7.0]]), np.array([60, 7]), np.array([10, 0]))
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    """
    found = (y - mean) / np.where(scale == 0, np.inf, scale)
    return np.clip(found, -bound, bound).astype(np.float32)


def in_units(forecast: Floats, mean: Floats, scale: Floats) -> Floats:
    """Return standardised forecasts in the unit of the targets; the mean where one overflowed.

    ReLU cells can overflow on windows unlike any seen in training.
    """
    finite = np.where(np.isfinite(forecast), forecast, 0.0).astype(np.float64)
    return finite * scale + mean
