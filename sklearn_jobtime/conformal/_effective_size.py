"""How many independent rows tell as much as rows that resemble their neighbours."""

import numpy as np
from scipy.stats import rankdata

from sklearn_jobtime._typing import Floats, Rows

__all__ = ["effective_sample_size"]


ROUNDING = 1e-9  # of ranks, which are whole or half numbers


def effective_sample_size(errors: Floats, series: Rows, weights: Floats | None = None) -> float:
    """How many independent rows tell as much as these, which resemble their neighbours.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Errors in time order.
    series : ndarray of int, shape (n,)
        Only rows of the same series are neighbours.
    weights : ndarray of shape (n,), default=None
        How much each row counts. Rows of unequal weight tell as much as ``sum(w) ** 2 / sum(w **
        2)`` of equal ones (Kish).

    Returns
    -------
    float
        ``n / (1 + 2 * sum of the autocorrelations of the ranks)``, between 1 and n. The ranks of
        each series count from their own mean: that one series has larger errors than another is
        no likeness of neighbours, since the runs to come are of the same series. The sum ends where
        two successive autocorrelations are no longer positive together (Geyer's rule): what follows
        is noise.

    References
    ----------
    C. J. Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7, 1992.

    Examples
    --------
    >>> each_twice = np.random.default_rng(0).normal(size=500).repeat(2)
    >>> round(effective_sample_size(each_twice, np.zeros(1000, int)), -1)
    500.0
    """
    if weights is not None:
        equal = weights.sum() ** 2 / (weights**2).sum() / max(len(errors), 1)
        return float(equal * effective_sample_size(errors, series))
    n = len(errors)
    if n < 3:
        return float(n)
    by_series = np.argsort(series, kind="stable")
    series, z = series[by_series], rankdata(errors[by_series])
    _, code, size = np.unique(series, return_inverse=True, return_counts=True)
    z = z - (np.bincount(code, z) / size)[code]
    variance = z @ z
    if variance < ROUNDING * n:
        return float(n)

    def correlation(lag: int) -> float:
        together = series[lag:] == series[:-lag]
        return float((z[lag:] * z[:-lag])[together].sum() / variance)

    per_row = 1 + 2 * correlation(1)
    for lag in range(2, n - 1, 2):
        pair = correlation(lag) + correlation(lag + 1)
        if pair <= 0:
            break
        per_row += 2 * pair
    return float(np.clip(n / max(per_row, 1.0), 1.0, n))
