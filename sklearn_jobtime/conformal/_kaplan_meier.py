"""Errors of which some are right-censored: the estimate of Kaplan and Meier."""

import numpy as np

from sklearn_jobtime._typing import Floats, Mask

__all__ = ["survival_masses"]


def survival_masses(
    errors: Floats, is_censored: Mask, weights: Floats | None = None, *, one_more: bool = True
) -> Floats:
    """Weight of each observed error in the product-limit estimate of Kaplan and Meier.

    A censored error is known to be at least so large; its weight moves to the larger ones.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Observed errors, and the least ones that the right-censored runs can have.
    is_censored : ndarray of bool, shape (n,)
        Which ones are the latter.
    weights : ndarray of shape (n,), default=None
        How often each error counts; None: once. The one more counts once.
    one_more : bool, default=True
        Count one more error, larger than all, in the place of the run to be predicted.

    Returns
    -------
    ndarray of shape (n,)
        0 for the censored ones. Without any, 1 / (n + 1) for all.

    References
    ----------
    E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", Journal of
    the American Statistical Association 53, 1958.

    Examples
    --------
    >>> survival_masses(np.array([1.0, 2.0, 3.0]), np.array([False, True, False]))
    array([0.25 , 0.   , 0.375])
    """
    order = np.lexsort((is_censored, errors))  # of equal ones, the observed come first
    counts = np.ones(len(errors)) if weights is None else weights[order]
    at_risk = np.cumsum(counts[::-1])[::-1] + one_more
    died = np.where(is_censored[order], 0.0, counts)
    surviving = np.cumprod(1 - died / at_risk)
    masses = np.empty(len(errors))
    masses[order] = np.append(1.0, surviving[:-1])[: len(errors)] * died / at_risk
    return masses
