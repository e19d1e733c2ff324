"""Targets in seconds with one column an output, and back to the form in which they came."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array

from sklearn_jobtime._typing import Floats

__all__ = ["TargetForm", "check_lower_bounds", "check_targets", "read_targets", "shaped"]


class TargetForm:
    """Whether targets have names, and one or two dimensions.

    Parameters
    ----------
    y : DataFrame or array of shape (n,) or (n, n_outputs)
        As they came.

    Attributes
    ----------
    names : Index or None
        The columns of a DataFrame.
    """

    def __init__(self, y: Any) -> None:
        self.names = y.columns if isinstance(y, pd.DataFrame) else None
        self._is_1d = np.asarray(y).ndim == 1

    def of(self, values: Floats) -> Floats:
        """Return values of shape (n, n_outputs) in as many dimensions as the targets had."""
        return values[:, 0] if self._is_1d else values

    def named(self, values: Floats, X: Any) -> Any:
        """Return targets of the rows of X in the form in which they came."""
        if self.names is None:
            return self.of(values)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(values, columns=self.names, index=index)

    def steps_and_jobs(self, n_outputs: int, horizon: int) -> tuple[NDArray[np.intp], list]:
        """Tell the step and the job of each output, by name or from the number of steps."""
        if isinstance(self.names, pd.MultiIndex):
            steps = self.names.get_level_values(0).to_numpy(np.intp)
            return steps, list(self.names.get_level_values(-1))
        n_jobs, rest = divmod(n_outputs, horizon)
        if rest:
            raise ValueError(
                f"y has {n_outputs} columns, which are not {horizon} steps of the same jobs; "
                "correct horizon, or pass the DataFrame of make_targets."
            )
        return np.repeat(np.arange(1, horizon + 1), n_jobs), list(range(n_jobs)) * horizon


def read_targets(X: Any, y: Any, at_least: Any) -> tuple[Floats, Floats]:
    """Check targets, and lower bounds of those that were cut off.

    Parameters
    ----------
    X : DataFrame or array of shape (n, ...)
    y : DataFrame or array of shape (n,) or (n, n_outputs)
        NaN where not observed.
    at_least : DataFrame or array of the shape of `y`, or None
        NaN where not cut off.

    Returns
    -------
    targets, limits : ndarray of shape (n, n_outputs)

    Raises
    ------
    ValueError
        When a shape is wrong, or a run is said to be both observed and cut off.
    """
    if y is None:
        raise ValueError(
            "ConformalForecaster requires y to be passed, but the target y is None; build it "
            "with sklearn_jobtime.runs.make_targets(runs)."
        )
    options = {
        "ensure_2d": False,
        "ensure_all_finite": "allow-nan",
        "dtype": "float64",
        "order": "C",
    }
    targets = check_array(y, **options, input_name="y")
    limits = np.full_like(targets, np.nan)
    if at_least is not None:
        limits = check_array(at_least, **options, input_name="at_least")
    if len(X) != len(targets) or limits.shape != targets.shape:
        raise ValueError(
            f"X has {len(X)} rows, y has the shape {targets.shape} and at_least "
            f"{limits.shape}; expected one row of y and at_least for each of X."
        )
    if (~np.isnan(targets) & ~np.isnan(limits)).any():
        raise ValueError(
            "at_least holds a number where y does too; where a run was cut off its duration is "
            "not known, so set y to NaN there."
        )
    return targets.reshape(len(targets), -1), limits.reshape(len(targets), -1)


def shaped(values: ArrayLike, name: str) -> Floats:
    """Read numbers that may be NaN, with one column an output; quick, for one row at a time."""
    array = np.asarray(values, dtype=np.float64, order="C")
    if np.isinf(array).any():
        raise ValueError(f"{name} holds infinity; pass NaN where a run was not observed.")
    return array.reshape(len(array), -1)


def check_targets(estimator: BaseEstimator, X: Any, y: Any) -> Floats:
    """Check targets in seconds, one row for each of `X`; NaN = not observed."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None; build "
            "it with sklearn_jobtime.runs.make_targets(runs)."
        )
    y = check_array(y, ensure_2d=False, ensure_all_finite="allow-nan", dtype="float64", order="C")
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows and y has {len(y)}; expected one y a row.")
    return y


def check_lower_bounds(at_least: Any, y: Floats) -> Floats:
    """Bounds of the outputs as a table; only where a target is missing do they say anything."""
    at_least = check_array(
        at_least, ensure_2d=False, ensure_all_finite="allow-nan", dtype="float64", order="C"
    )
    if at_least.shape != y.shape:
        raise ValueError(
            f"at_least has shape {at_least.shape} and y {y.shape}; expected one bound a target: "
            "give make_targets and sklearn_jobtime.runs.make_lower_bounds the same arguments."
        )
    return np.where(np.isnan(y), at_least, np.nan).reshape(len(y), -1)
