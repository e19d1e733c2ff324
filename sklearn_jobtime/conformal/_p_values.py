"""Conformal p-values: how unusual errors are beside those of calibration rows."""

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._calibration_split import largest_scaled

__all__ = ["TIE", "CalibrationErrors", "conformal_p_values"]


BLOCK = 2_000_000  # numbers that are compared at once: small enough for the cache of a laptop
TIE = 1e-9  # errors that differ by rounding only are the same


def conformal_p_values(values: Floats, reference: Floats, is_in_reference: Mask | bool) -> Floats:
    """Share of the reference, the value itself included, that is as large as each value.

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
    """Conformal p-values of rows by their largest error over outputs, each relative to its scale.

    The scale of an output is the mean of its positive errors over the old rows and the new one, so
    that all are treated alike: with scales of the old rows alone, new rows would look too large.

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
        scales = (total + np.nan_to_num(rows)) / np.maximum(count + ~np.isnan(rows), 1)
        bar = np.maximum(largest_scaled(rows, scales), 0.0) * (1 - TIE)
        as_large = largest_scaled(old[None], scales[:, None]) >= bar[:, None]
        p[start : start + step] = (1 + as_large.sum(axis=1)) / (len(old) + 1)
    return p


def two_sided(long: Floats, short: Floats) -> Floats:
    """P-value of being too long or too short: either may take half of the false alarms."""
    return np.minimum(1.0, 2 * np.minimum(long, short))


class CalibrationErrors:
    """Errors of calibration runs, with which those of other runs are compared on both sides.

    Parameters
    ----------
    errors : ndarray of shape (n, n_outputs)
        Positive where a run took longer than its forecast; NaN where not observed.

    Examples
    --------
    >>> usual = CalibrationErrors(np.linspace(-1, 1, 39)[:, None])
    >>> usual.p_of_outputs(np.array([[0.0], [2.0]]), np.array([False, False]))[:, 0]
    array([1.  , 0.05])
    """

    def __init__(self, errors: Floats) -> None:
        self._errors = errors

    def p_of_outputs(self, errors: Floats, is_calibration: Mask) -> Floats:
        """P-value of each output of each row.

        Parameters
        ----------
        errors : ndarray of shape (m, n_outputs)
        is_calibration : ndarray of bool, shape (m,)
            Which rows are among those that calibrate, so that they are not compared with
            themselves.

        Returns
        -------
        ndarray of shape (m, n_outputs)
            NaN where not observed.
        """
        p = np.empty_like(errors)
        for k, column in enumerate(self._errors.T):
            usual = np.sort(column[~np.isnan(column)])
            long = conformal_p_values(errors[:, k], usual, is_calibration)
            short = conformal_p_values(-errors[:, k], -usual[::-1], is_calibration)
            p[:, k] = two_sided(long, short)
        return p

    def p_of_rows(self, errors: Floats, is_calibration: Mask) -> Floats:
        """P-value of each row by its largest error; 1 where nothing was observed.

        Parameters
        ----------
        errors, is_calibration
            As for :meth:`p_of_outputs`.

        Returns
        -------
        ndarray of shape (m,)
        """
        p = np.ones(len(errors))
        new = errors[~is_calibration]
        p[~is_calibration] = two_sided(
            *(joint_p_values(way * new, way * self._errors) for way in (1, -1))
        )
        p[is_calibration] = self._p_among_others(errors[is_calibration])
        return np.where(np.isnan(errors).all(axis=1), 1.0, p)

    def _p_among_others(self, errors: Floats) -> Floats:
        """P-values of rows that calibrate: each is compared with the others."""
        ranks = []
        for way in (1, -1):
            scales = mean_size(way * self._errors)
            old, own = (
                largest_scaled(np.maximum(way * e, 0), scales) for e in (self._errors, errors)
            )
            in_order = np.sort(old)
            ranks.append([conformal_p_values(each, in_order, True) for each in (old, own)])
        usual, own = (np.minimum(long, short) for long, short in zip(*ranks, strict=True))
        return conformal_p_values(-own, np.sort(-usual), True)
