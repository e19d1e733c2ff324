"""Which rows are the newest, and which targets were known at a split."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Mask
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["known_targets", "newest_share", "split_rows"]


def known_targets(clock: Clock, steps: NDArray[np.intp], had_ended: Mask) -> Mask:
    """Tell which targets were known when the marked runs had ended, and no other.

    Parameters
    ----------
    clock : Clock
        Of the n rows of a table.
    steps : ndarray of int, shape (n_outputs,)
        How many runs ahead each output is, 1 for the row's own run.
    had_ended : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of bool, shape (n, n_outputs)
    """
    started = np.zeros(len(had_ended)) if clock.started is None else clock.started
    order = np.lexsort((started, clock.series))
    series, ended = clock.series[order], had_ended[order]
    known = np.zeros((len(order), len(steps)), dtype=bool)
    for k, step in enumerate(steps):
        n = max(len(order) - step + 1, 0)  # rows that have a run so many steps ahead
        known[order[:n], k] = ended[step - 1 :] & (series[step - 1 :] == series[:n])
    return known


def split_rows(X: Any, seen: Mask, fraction: float) -> tuple[Mask, Any]:
    """Hold out the newest rows.

    Parameters
    ----------
    X : DataFrame or array of shape (n, ...)
    seen : ndarray of bool, shape (n,)
        The rows with an observed target.
    fraction : float
        Share of these to hold out.

    Returns
    -------
    held_out : ndarray of bool, shape (n,)
    cut : Timestamp or float, or None
        The first start of a held-out row, if the table says when runs had ended.

    Raises
    ------
    NoHistoryError
        When either part would have no observed target.
    """
    if not seen.any():
        raise NoHistoryError("y contains NaN only: no run was observed, so nothing is known.")
    held_out = newest_share(X, seen, fraction)
    cut = None
    if isinstance(X, pd.DataFrame) and STARTED_AT in X:
        began = X.loc[held_out, STARTED_AT].min()
        held_out = (X[STARTED_AT] >= began).to_numpy()
        cut = began if ENDED_AT in X else None
    if not seen[~held_out].any():
        raise NoHistoryError(
            f"n_samples = {int(seen.sum())} rows with an observed target cannot be split in time "
            "into rows to learn from and rows to calibrate on; load a longer history, or fit the "
            "estimator elsewhere and pass cv='prefit'."
        )
    return held_out, cut


def newest_share(X: Any, observed: NDArray[np.bool_], fraction: float) -> Mask:
    """Mark the rows that started last and have `fraction` of the observed targets."""
    started = read_clock(X).started
    order = np.arange(len(observed)) if started is None else np.argsort(started, kind="stable")
    seen = np.cumsum(observed[order])
    is_new = np.empty(len(observed), dtype=bool)
    is_new[order] = seen > (1 - fraction) * seen[-1]
    return is_new
