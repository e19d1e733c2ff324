"""Targets in seconds with one column an output, and back to the form in which they came."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples, check_array

from sklearn_jobtime._containers import plain_numbers, plain_table, seconds_of
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.runs._target_jobs import (
    in_order_of,
    in_order_of_rows,
    jobs_of_targets,
    names_of,
)

__all__ = ["TargetArrays", "TargetForm", "read_targets", "shaped"]


class TargetForm:
    """Whether targets have names, and one or two dimensions.

    Parameters
    ----------
    y : DataFrame or array of shape (n,) or (n, n_outputs)
        As they came.

    Attributes
    ----------
    names : Index or None
        The columns of a DataFrame, or the name of a Series.
    ndim : int
        1 or 2.
    """

    def __init__(self, y: Any) -> None:
        y = plain_table(y)
        self.names = names_of(y)
        self.ndim = np.asarray(y).ndim

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of shape (n, n_outputs) in as many dimensions as the targets had."""
        return values[:, 0] if self.ndim == 1 else values

    def named(self, values: Floats, X: Any) -> Any:
        """Return targets of the rows of X in the form in which they came."""
        if self.names is None:
            return self.of(values)
        index = X.index if isinstance(X, pd.DataFrame) else None
        if self.ndim == 1:
            return pd.Series(np.reshape(values, -1), name=self.names[0], index=index)
        return pd.DataFrame(values, columns=self.names, index=index)

    def for_jobs_of(self, X: Any, targets: Floats, estimator: BaseEstimator) -> "TargetForm":
        """Name targets of an array by the jobs whose durations they are, if they stand elsewhere.

        Where they stand at the position of their job, or X is no run table, nothing changes.
        """
        if not isinstance(X, pd.DataFrame) or isinstance(self.names, pd.MultiIndex):
            return self
        try:
            jobs = jobs_of_targets(X, self.names, targets, type(estimator).__name__)
            own = jobs_of_targets(X, self.names, np.full_like(targets, np.nan), "")
        except (
            ValueError
        ):  # no run table, or no durations of it: whoever forecasts them will say so
            return self
        if jobs == own or len(set(jobs)) < len(jobs):
            return self
        form = copy(self)
        form.names = pd.MultiIndex.from_product([[1], jobs], names=["step", "job"])
        return form

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


@dataclass(frozen=True)
class TargetArrays:
    """What is known of what was to be forecast, with one column an output.

    Parameters
    ----------
    observed : ndarray of shape (n, n_outputs)
        Seconds; NaN where not observed.
    lower_bounds : ndarray of shape (n, n_outputs)
        Of right-censored runs, which took at least so long; NaN elsewhere.
    form : TargetForm
        How the targets came.
    """

    observed: Floats
    lower_bounds: Floats
    form: TargetForm


def read_targets(
    estimator: BaseEstimator, X: Any, y: Any, at_least: Any = None, *, strict: bool = False
) -> TargetArrays:
    """Read the targets of a fit, and the lower bounds of those that are right-censored.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is: messages have its name.
    X : DataFrame or array of shape (n, ...)
    y : DataFrame or array of shape (n,) or (n, n_outputs)
        NaN where not observed.
    at_least : DataFrame or array of the shape of `y`, default=None
        NaN where nothing was censored.
    strict : bool, default=False
        Raise an error where a target has both a value and a lower bound. Else the value counts.

    Returns
    -------
    TargetArrays
        Laid out row by row (C order), whatever came: sums of another layout have other last digits.

    Raises
    ------
    ValueError
        When there is no `y`, it holds infinity, or a shape is wrong.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> known = read_targets(RollingRule(), [[0], [1]], [60.0, None], at_least=[None, 90.0])
    >>> known.observed.tolist(), known.lower_bounds.tolist()
    ([[60.0], [nan]], [[nan], [90.0]])
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None; pass "
            "the seconds to forecast for each row, as sklearn_jobtime.runs.make_targets(runs) "
            "gives."
        )
    observed = _read_numbers(in_order_of_rows(y, X), "y")
    if _num_samples(X) != len(observed):
        raise ValueError(
            f"X has {_num_samples(X)} rows and y has {len(observed)} (inconsistent numbers of "
            "samples); expected one row of y for each of X."
        )
    lower_bounds = np.full_like(observed, np.nan)
    if at_least is not None:
        at_least = in_order_of(in_order_of_rows(at_least, X, "at_least"), names_of(y), "at_least")
        lower_bounds = _read_numbers(at_least, "at_least")
        if lower_bounds.shape != observed.shape:
            raise ValueError(
                f"at_least has the shape {lower_bounds.shape} and y {observed.shape}; expected a "
                "bound, or NaN, for each target: give make_targets and "
                "sklearn_jobtime.runs.make_lower_bounds the same arguments."
            )
        is_observed = ~np.isnan(observed)
        if strict and (is_observed & ~np.isnan(lower_bounds)).any():
            raise ValueError(
                "at_least holds a number where y does too; where a run was cut off its duration "
                "is not known, so set y to NaN there."
            )
        lower_bounds = np.where(is_observed, np.nan, lower_bounds)
    return TargetArrays(observed, lower_bounds, TargetForm(y))


def _read_numbers(values: Any, name: str) -> Floats:
    numbers = check_array(
        plain_numbers(values, name),
        dtype="float64",
        order="C",
        ensure_2d=False,
        ensure_all_finite="allow-nan",
        input_name=name,
    )
    return np.reshape(numbers, (len(numbers), -1))


def shaped(values: ArrayLike, name: str) -> Floats:
    """Read numbers that may be NaN, with one column an output; quick, for one row at a time."""
    array = np.asarray(seconds_of(values, name), order="C")
    if np.isinf(array).any():
        raise ValueError(f"{name} holds infinity; pass NaN where a run was not observed.")
    return array.reshape(len(array), -1)
