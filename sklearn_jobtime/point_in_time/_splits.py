"""Which rows are the newest, and which targets were known at a split."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.runs._schema import STARTED_AT
from sklearn_jobtime.runs._timeline import as_of

__all__ = [
    "TimeSplit",
    "in_start_order",
    "known_targets",
    "newest_share",
    "split_in_time",
    "split_rows",
]


@dataclass(frozen=True)
class TimeSplit:
    """Older rows to learn from, as they were known when the first of the newer ones started.

    Parameters
    ----------
    is_newer : ndarray of bool, shape (n,)
        The other rows.
    older : ndarray of int, shape (n_older,)
        Positions of the older rows.
    table : DataFrame or array of shape (n_older, ...)
        The older rows as they were known.
    is_known : ndarray of bool, shape (n, n_outputs)
        Which targets were known then.
    unfinished : ndarray of int
        Positions of all rows whose run had not ended then.
    """

    is_newer: Mask
    older: Rows
    table: Any
    is_known: Mask
    unfinished: Rows

    def known(self, targets: Floats) -> Floats:
        """Give the targets of the older rows as they were known; NaN where they were not yet."""
        return np.where(self.is_known, targets, np.nan)[self.older]


def split_in_time(X: Any, seen: Mask, steps: NDArray[np.intp], fraction: float) -> TimeSplit:
    """Split rows into older and newer ones, and forget what was not known at the split.

    Parameters
    ----------
    X, seen, fraction
        As for :func:`split_rows`.
    steps : ndarray of int, shape (n_outputs,)
        How many runs ahead each output is, 1 for the row's own run.

    Returns
    -------
    TimeSplit

    Raises
    ------
    NoHistoryError
        When either part would have no observed target.

    Examples
    --------
    >>> X = np.arange(8.0)[:, None]
    >>> split = split_in_time(X, np.full(8, True), np.array([1, 2]), 0.25)
    >>> split.older, split.known(np.hstack([X, X + 1]))[-1]
    (array([0, 1, 2, 3, 4, 5]), array([ 5., nan]))
    """
    X = plain_table(X)
    is_newer, cut = split_rows(X, seen, fraction)
    had_ended = ~is_newer
    older = np.flatnonzero(had_ended)
    table = X.iloc[older] if isinstance(X, pd.DataFrame) else X[older]
    clock = read_clock(X)
    if cut is not None and clock.ended is not None:
        had_ended &= clock.ended <= cut
        if isinstance(X, pd.DataFrame):
            table = as_of(table, X.loc[is_newer, STARTED_AT].min())
    is_known = known_targets(clock, steps, had_ended)
    return TimeSplit(is_newer, older, table, is_known, np.flatnonzero(~had_ended))


def in_start_order(clock: Clock, is_wanted: Mask) -> Rows:
    """Positions of the marked rows in the order in which their runs started."""
    order = clock.in_time_order()
    return order[is_wanted[order]]


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


def split_rows(X: Any, seen: Mask, fraction: float) -> tuple[Mask, float | None]:
    """Mark the newest rows, and say when the first of them started.

    Parameters
    ----------
    X : DataFrame or array of shape (n, ...)
    seen : ndarray of bool, shape (n,)
        The rows with an observed target.
    fraction : float
        Share of these that is newer.

    Returns
    -------
    is_newer : ndarray of bool, shape (n,)
    cut : float or None
        The first start of a newer row in epoch seconds, if starts are known.

    Raises
    ------
    NoHistoryError
        When either part would have no observed target.
    """
    if not seen.any():
        raise NoHistoryError("y contains NaN only: no run was observed, so nothing is known.")
    is_newer = newest_share(X, seen, fraction)
    cut = None
    started = read_clock(X).started
    if started is not None:
        cut = float(started[is_newer].min())
        is_newer = started >= cut
    if not seen[~is_newer].any():
        raise NoHistoryError(
            f"n_samples = {int(seen.sum())} rows with an observed target cannot be split in time "
            "into rows to learn from and rows to calibrate on; load a longer history, or fit the "
            "estimator elsewhere and pass cv='prefit'."
        )
    return is_newer, cut


def newest_share(X: Any, observed: NDArray[np.bool_], fraction: float) -> Mask:
    """Mark the rows that started last and have `fraction` of the observed targets."""
    order = read_clock(X).in_time_order()
    seen = np.cumsum(observed[order])
    is_new = np.empty(len(observed), dtype=bool)
    is_new[order] = seen > (1 - fraction) * seen[-1]
    return is_new
