"""Windows as a fit takes them: validated, and standardised without copying a view on them whole."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import validate_data

from sklearn_jobtime._containers import numeric_rows
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.lstm.usual_values import mean_and_scale, usual_range

__all__ = [
    "INPUT_BOUND",
    "check_no_infinity",
    "read_windows",
    "standardised_inputs",
    "windows_mean_and_scale",
]


# Standardised inputs count as this where they are larger: a hung run is at the bound. An input so
# far off says no more than that, and would drive a network wild that has no bound itself.
INPUT_BOUND = 10.0


# Numbers looked at at once: half a megabyte, so that a view on windows is never copied whole.
_CHUNK = 2**16

# Values of a feature that are sorted: enough to tell what is usual.
_SAMPLE = 2**15


def window_chunks(X: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yield `X` in slices of rows, each of a bounded size and laid out row by row.

    Of numbers that lie otherwise, a sum has another last digit.
    """
    rows = max(1, _CHUNK // max(1, X[:1].size))
    for start in range(0, len(X), rows):
        part = slice(start, start + rows)
        yield part, np.ascontiguousarray(X[part])


def check_no_infinity(X: Floats) -> None:
    """Raise a ValueError when a window holds an infinite value; NaN is allowed."""
    for _, chunk in window_chunks(X):
        if np.isinf(chunk).any():
            raise ValueError(
                "Input X contains infinity; expected finite durations, or NaN where one is not "
                "known. If inf marks failed jobs, put FailureImputer() before the windows."
            )


def windows_mean_and_scale(X: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Mean and standard deviation per feature over rows and steps, NaN and hung runs skipped.

    A constant feature has the scale 1, one never known also the mean 0. A row counts as often as
    its `weight` says.
    """

    def chunks() -> Iterator[tuple[Floats, Floats | None]]:
        for part, chunk in window_chunks(X):
            yield chunk, None if weight is None else weight[part]

    mean, scale = mean_and_scale(chunks, usual_range_of_windows(X, weight))
    return mean, np.where(scale == 0, 1.0, scale)


def usual_range_of_windows(X: Floats, weight: Floats | None) -> Floats:
    """Return the bounds of the usual values of each feature, of many windows from every k-th."""
    every = slice(None, None, max(1, len(X) * X.shape[1] // _SAMPLE))
    n_steps = X.shape[1]
    bounds = np.empty((2, X.shape[2]))
    weight = None if weight is None else np.repeat(weight[every], n_steps)
    for k in range(X.shape[2]):
        values = X[every, :, k].ravel().astype(np.float64)
        known = ~np.isnan(values)
        mine = None if weight is None else weight[known]
        # A run stands in as many windows as they have steps.
        one_run = n_steps if mine is None else float(mine.sum() * n_steps / max(1, known.sum()))
        bounds[:, k] = usual_range(values[known], mine, one_run)
    return bounds


def _is_as_in_fit(estimator: Any, X: Any) -> bool:
    """Tell whether these are rows of windows in need of no change and no word."""
    return (
        type(X) is np.ndarray
        and X.dtype == np.float64
        and X.ndim == estimator.ndim_in_ == 3
        and X.shape[1:] == (estimator.n_steps_in_, estimator.n_features_in_)
        and len(X) > 0
        and not hasattr(estimator, "feature_names_in_")
    )


def read_windows(estimator: Any, X: ArrayLike, reset: bool) -> Floats:
    """Return `X` as windows ``(n, n_steps, n_features)``, a view where it is an array.

    With `reset`, `estimator` learns the shape that it then expects: its `ndim_in_`, `n_steps_in_`
    and `n_features_in_`.
    """
    X = numeric_rows(X)
    X = X if hasattr(X, "ndim") else np.asarray(X)
    ndim = X.ndim
    if ndim > 3 or (not reset and ndim in (2, 3) and ndim != estimator.ndim_in_):
        expected = "2-D (n, n_steps) or 3-D (n, n_steps, n_features)"
        if not reset:
            expected = f"{estimator.ndim_in_}-D as in fit"
        raise ValueError(f"X has {ndim} dimensions, shape {np.shape(X)}; expected {expected}.")
    if not reset and _is_as_in_fit(estimator, X):  # scikit-learn's look takes a third of a forecast
        as_in_fit: Any = X
        check_no_infinity(as_in_fit)
        return as_in_fit
    # The check for infinity is ours: scikit-learn's would copy a strided view.
    windows = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_2d=ndim != 3,
        allow_nd=ndim == 3,
        ensure_all_finite=False,
    )
    if ndim == 2:
        windows = windows[:, :, None]
    n_steps, n_features = windows.shape[1:]
    if not n_steps or not n_features:
        raise ValueError(f"X has shape {windows.shape}; expected at least one step and feature.")
    if reset:
        estimator.ndim_in_, estimator.n_steps_in_ = ndim, n_steps
        estimator.n_features_in_ = n_steps if ndim == 2 else n_features
    elif ndim == 3 and (n_steps, n_features) != (estimator.n_steps_in_, estimator.n_features_in_):
        raise ValueError(
            f"X has {n_steps} steps of {n_features} features, but {type(estimator).__name__} is "
            f"expecting {estimator.n_steps_in_} steps of {estimator.n_features_in_} features as "
            "input."
        )
    check_no_infinity(windows)
    return windows


def standardised_inputs(X: Floats, mean: Floats, scale: Floats) -> Floats:
    """Return the inputs as the network reads them, in double precision: 0 where not known.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.window_inputs import standardised_inputs
    >>> standardised_inputs(np.array([[3.0, np.nan, 900.0]]), np.array([1.0]), np.array([2.0]))
    array([[ 1.,  0., 10.]])
    """
    inputs = X.astype(np.float64)
    inputs -= mean
    inputs /= scale
    np.copyto(inputs, 0.0, where=np.isnan(inputs))
    return np.clip(inputs, -INPUT_BOUND, INPUT_BOUND, out=inputs)
