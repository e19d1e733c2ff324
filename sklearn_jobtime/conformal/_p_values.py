"""Conformal p-values: how unusual errors are beside those of calibration rows."""

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._calibration_split import largest_scaled

__all__ = ["BLOCK", "TIE", "conformal_p_values", "joint_p_values", "mean_size", "two_sided"]


BLOCK = 2_000_000  # numbers that are compared at once: small enough for the cache of a laptop
TIE = 1e-9  # errors that differ by rounding only are the same


def conformal_p_values(values: Floats, reference: Floats, is_in_reference: Mask | bool) -> Floats:
    """Conformal p-values: which share of the reference, the value itself included, is as large.

    Parameters
    ----------
    values : ndarray of shape (m,)
        NaN gives NaN.
    reference : ndarray of shape (n,)
        Increasing.
    is_in_reference : ndarray of bool, shape (m,), or bool
        Which values are among the reference already, so that they are not counted twice.

    Returns
    -------
    ndarray of shape (m,)
        In (0, 1]; if value and reference are exchangeable, at most p with a chance of at most p.

    Examples
    --------
    >>> conformal_p_values(np.array([0.0, 2.5, 9.0, 3.0]), np.array([1.0, 2.0, 3.0]),
    ...                np.array([False, False, False, True]))
    array([1.        , 0.5       , 0.25      , 0.33333333])
    """
    n = len(reference)
    bar = values - TIE * np.abs(values)
    own = np.where(is_in_reference, 0, 1)
    as_large = np.maximum(n - np.searchsorted(reference, bar) + own, 1)
    return np.where(np.isnan(values), np.nan, as_large / np.maximum(n + own, 1))


def mean_size(errors: Floats) -> Floats:
    """Mean over the rows of what is positive, 0 for what is not; of shape (n_outputs,)."""
    seen = (~np.isnan(errors)).sum(axis=0)
    return np.nansum(np.maximum(errors, 0.0), axis=0) / np.maximum(seen, 1)


def joint_p_values(new: Floats, old: Floats) -> Floats:
    """Conformal p-values of rows by their largest error over outputs, each in its own unit.

    The unit of an output is the mean of its positive errors over the old rows and the new one, so
    that all are treated alike: in units of the old rows alone, new rows would look too large.

    Parameters
    ----------
    new : ndarray of shape (m, n_outputs)
        Errors, the larger the worse; NaN = not observed.
    old : ndarray of shape (n, n_outputs)

    Returns
    -------
    ndarray of shape (m,)
        1 for a row without any positive error.
    """
    new, old = np.maximum(new, 0.0), np.maximum(old, 0.0)
    total, count = np.nansum(old, axis=0), (~np.isnan(old)).sum(axis=0)
    p = np.empty(len(new))
    step = max(1, BLOCK // max(old.size, 1))
    for start in range(0, len(new), step):
        rows = new[start : start + step]
        units = (total + np.nan_to_num(rows)) / np.maximum(count + ~np.isnan(rows), 1)
        bar = np.maximum(largest_scaled(rows, units), 0.0) * (1 - TIE)
        as_large = largest_scaled(old[None], units[:, None]) >= bar[:, None]
        p[start : start + step] = (1 + as_large.sum(axis=1)) / (len(old) + 1)
    return p


def two_sided(long: Floats, short: Floats) -> Floats:
    """P-value of being too long or too short: either may take half of the false alarms."""
    return np.minimum(1.0, 2 * np.minimum(long, short))
