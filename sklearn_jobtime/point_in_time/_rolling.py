"""Rolling statistics over the runs known when each row started; no loop over rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.point_in_time._order import EndedOrder

__all__ = [
    "NEGLIGIBLE",
    "decay_of",
    "decayed_sums",
    "newest",
    "row_mean",
    "row_median",
    "row_quantile",
    "runs_that_weigh",
]


NEGLIGIBLE = 2.0**-60  # a weight below this changes no sum in double precision


def newest(values: NDArray[Any], found: EndedOrder, n_runs: int) -> Floats:
    """For each row, the values of the newest `n_runs` runs known when it started, newest first.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One outcome a run.
    found : EndedOrder
        The runs worth knowing, and the asked rows.
    n_runs : int
        How many to find.

    Returns
    -------
    ndarray of shape (n_asked, n_runs)
        NaN where the history is shorter.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.point_in_time import ended_order
    >>> newest(np.array([1.0, 2.0, 3.0]), ended_order(np.zeros(3, int), None, None), 2)
    array([[nan, nan],
           [ 1., nan],
           [ 2.,  1.]])
    """
    none = np.full(n_runs, np.nan, dtype=np.result_type(values.dtype, np.float32))
    in_order = np.concatenate([none, values[found.order]])
    # the window of a row is the slice that ends at its stop, once for each row that asks
    seen = np.lib.stride_tricks.sliding_window_view(in_order, n_runs)[found.stop][:, ::-1]
    n_known = found.stop - found.first
    short = np.flatnonzero(n_known < n_runs)
    seen[short] = np.where(np.arange(n_runs) < n_known[short, None], seen[short], np.nan)
    return seen


def row_mean(values: Floats) -> Floats:
    """Mean of the numbers of each row; NaN for a row without any."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def row_median(values: Floats) -> Floats:
    """Median of the numbers of each row; NaN for a row without any.

    Sorting puts NaN last; ``numpy.nanmedian`` does the same by a masked array, ten times slower.
    """
    ordered = np.sort(values, axis=1)
    last = np.maximum((~np.isnan(values)).sum(axis=1) - 1, 0)
    rows = np.arange(len(values))
    return (ordered[rows, last // 2] + ordered[rows, (last + 1) // 2]) / 2


def row_quantile(values: Floats, q: float) -> Floats:
    """Quantile of the numbers of each row, linear between two of them; NaN without any.

    As ``numpy.nanquantile``, which loops over the rows.
    """
    ordered = np.sort(values, axis=1)
    place = q * np.maximum((~np.isnan(values)).sum(axis=1) - 1, 0)
    low, high = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
    rows = np.arange(len(values))
    below, above = ordered[rows, low], ordered[rows, high]
    return np.asarray(below + (above - below) * (place - low))


def decay_of(half_life: float) -> float:
    """Weight of a run relative to the one after it, so that it halves in `half_life` runs."""
    return 0.5 ** (1.0 / half_life)


def runs_that_weigh(half_life: float) -> int:
    """How many runs back an exponential weight can still change a sum, as a power of two."""
    reach = np.log(NEGLIGIBLE) / np.log(decay_of(half_life))
    return int(2 ** np.ceil(np.log2(max(reach, 1.0))))


def decayed_sums(values: Floats, place: NDArray[np.intp], half_life: float) -> Floats:
    """Sum over each value and those before it, a weight of one half for every `half_life` back.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, k)
        Values in time order, one series after the other.
    place : ndarray of int, shape (n,)
        How many values of the same series stand before each.
    half_life : float
        In values.

    Returns
    -------
    ndarray of the shape of `values`

    Notes
    -----
    The span that a sum covers doubles with each pass (a parallel prefix sum), so twelve passes do
    what a loop over all rows would; unlike differences of cumulative sums it loses no digits, and
    a sum does not depend on what lies further back than :func:`runs_that_weigh`.

    Examples
    --------
    >>> import numpy as np
    >>> decayed_sums(np.array([8.0, 4.0, 1.0]), np.array([0, 1, 0]), half_life=1.0)
    array([8., 8., 1.])
    """
    sums = np.array(values, dtype=np.float64)
    decay, span = decay_of(half_life), 1
    while span < min(runs_that_weigh(half_life), len(sums)):
        inside = (place[span:] >= span).reshape(-1, *[1] * (sums.ndim - 1))
        sums[span:] += decay**span * np.where(inside, sums[:-span], 0.0)
        span *= 2
    return sums
