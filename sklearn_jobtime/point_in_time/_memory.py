"""Rows remembered in `fit`, so that later rows have a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.point_in_time._clock import Clock
from sklearn_jobtime.point_in_time._order import rows_to_remember

__all__ = ["Memory", "recall", "remember"]


# Without names and times, only the content of a row tells whether it was seen in fit. Whole
# seconds repeat for many rows in real series, so a shorter block of equal rows proves nothing.
_SAME_ROWS = 32
_BLOCK = 4096  # candidates compared at once: a constant column must not cost a copy of the table


@dataclass(frozen=True)
class Memory:
    """Rows kept after `fit`, so that later rows have a history; built by `remember`.

    `table` holds their values and `clock` their times, in the order of the table seen in fit.
    `age` is 1 for the last row of the table seen in fit, 2 for the one before it, and so on.
    """

    table: Floats
    clock: Clock
    age: Rows
    labels_increase: bool


def _labels_increase(clock: Clock) -> bool:
    if clock.labels is None:
        return False
    if len(clock.keys) <= 1:
        return bool(clock.labels.is_monotonic_increasing and clock.labels.is_unique)
    try:
        rank = pd.factorize(clock.labels, sort=True)[0]
    except TypeError:  # labels of several types have no order
        return False
    by_series = np.argsort(clock.series, kind="stable")
    same = np.diff(clock.series[by_series]) == 0
    return bool((np.diff(rank[by_series])[same] > 0).all())


def remember(
    values: NDArray[Any],
    clock: Clock,
    n: int,
    eligible: NDArray[np.bool_] | None = None,
    also: Sequence[Rows] = (),
) -> Memory:
    """Keep the rows that give any later row its full history of `n` runs.

    Later means: started at or after the newest start of its series in this table. Kept are,
    for each series, the newest `n` of those that had ended by its newest start, and all that
    ended after it.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        What to remember of the rows, as numbers.
    clock : Clock
        The times of the same rows.
    n : int
        How many runs back a later row may look.
    eligible : ndarray of bool, shape (n_rows,) or (n_rows, k), default=None
        The runs worth knowing; with several columns, `n` rows are kept for each of them.
    also : sequence of ndarray of int
        Further rows to keep, such as those of :func:`rows_to_remember` for other groups
        than the series.

    Returns
    -------
    Memory
    """
    n_rows = len(clock.series)
    if clock.is_plain and eligible is None:
        rows = np.arange(max(0, n_rows - n), n_rows)
    else:
        asked = [None] if eligible is None else np.reshape(eligible, (n_rows, -1)).T
        rows = np.unique(np.concatenate([rows_to_remember(clock, n, column) for column in asked]))
    rows = np.unique(np.concatenate([rows, *also]))
    if clock.labels is None and clock.started is None:
        tail = np.arange(max(0, n_rows - n - _SAME_ROWS), n_rows)
        rows = np.union1d(rows, tail)
    kept = np.array(values[rows], dtype=np.float64)
    return Memory(kept, clock.take(rows), n_rows - rows, _labels_increase(clock))


def recall(memory: Memory, values: NDArray[Any], clock: Clock) -> tuple[Rows, Clock]:
    """Find the remembered rows that stand before a given table, and join the two clocks.

    A run that is both remembered and given counts once, as the table has it:

    - With times, it is the run of the same series with the same start (and, because runs may
      start at once, the same index label, unless the table is freshly numbered from 0). The
      times alone decide which row may see it.
    - Without times, index labels tell. If they increase along each series, as numbers and dates
      do, a remembered run counts when it comes before all given runs of its series: rows from
      before the memory do not see it. Where labels have no order the table is taken to be
      later than fit, and a series of which it has any remembered run gets no memory.
    - In arrays, the table is taken to be later, unless it has the last rows of fit in a block of
      equal rows: all that are remembered, or 32 of them at its head. Some of the rows seen in
      fit, cut out so that the block is not in it, can not be recognised.

    Parameters
    ----------
    memory : Memory
        From `remember`.
    values : ndarray of shape (n, n_columns)
        The given rows, with the columns that were remembered.
    clock : Clock
        The times of the given rows.

    Returns
    -------
    kept : ndarray of int
        Rows of `memory` to put before the given ones.
    joined : Clock
        The times of ``memory.table[kept]`` followed by those of the given rows.
    """
    past = memory.clock
    code_of = {key: code for code, key in enumerate(clock.keys)}
    codes = np.array([code_of.get(key, -1) for key in past.keys], dtype=np.intp)
    past_series = codes[past.series]  # -1: not in the given table
    if past.started is not None and clock.started is not None:
        keep = ~_same_start(past, past_series, clock)
    elif past.labels is not None and clock.labels is not None:
        keep = _before_by_label(memory, past_series, clock)
    else:
        keep = memory.age > _overlap(memory, values)
    kept = np.flatnonzero(keep & (past_series >= 0))
    return kept, Clock(
        _one_after_other(past_series[kept], clock.series),
        clock.keys,
        _joined(past.started, clock.started, kept),
        _joined(past.ended, clock.ended, kept),
    )


def _joined(past: Floats | None, given: Floats | None, kept: Rows) -> Floats | None:
    return None if past is None or given is None else np.concatenate([past[kept], given])


def _one_after_other(past: Rows, given: Rows) -> Rows:
    if not past.any() and given.strides == (0,):  # one series takes no memory
        return np.broadcast_to(np.intp(0), len(past) + len(given))
    return np.concatenate([past, given])


def _same_start(past: Clock, past_series: Rows, clock: Clock) -> Mask:
    assert past.started is not None
    assert clock.started is not None
    near = np.flatnonzero(np.isin(clock.started, past.started))
    if not len(near):
        return np.zeros(len(past.started), dtype=bool)
    remembered: list[Any] = [past_series, past.started]
    given: list[Any] = [clock.series[near], clock.started[near]]
    labels = clock.labels
    fresh = isinstance(labels, pd.RangeIndex) and labels.start == 0 and labels.step == 1
    if labels is not None and past.labels is not None and not fresh:
        remembered.append(past.labels)
        given.append(labels[near])
    return pd.MultiIndex.from_arrays(remembered).isin(pd.MultiIndex.from_arrays(given))


def _before_by_label(memory: Memory, past_series: Rows, clock: Clock) -> Mask:
    past = memory.clock.labels
    assert past is not None
    assert clock.labels is not None
    if memory.labels_increase:
        try:
            if len(clock.keys) == 1:
                return np.asarray(past < clock.labels.min())
            labels = pd.Series(clock.labels, index=range(len(clock.labels)))
            oldest = labels.groupby(clock.series).min()
            keep = np.isin(past_series, oldest.index)
            keep[keep] = past[keep] < pd.Index(oldest.loc[past_series[keep]])
            return keep
        except TypeError:  # numbers in fit and names now: no order
            pass
    remembered = pd.MultiIndex.from_arrays([past_series, past])
    shared = remembered.isin(pd.MultiIndex.from_arrays([clock.series, clock.labels]))
    return ~np.isin(past_series, past_series[shared])


def _overlap(memory: Memory, values: NDArray[Any]) -> int:
    """Count the first given rows up to the newest remembered one, 0 if it is not among them."""
    ages = memory.age[::-1]
    tail = memory.table[::-1][ages == np.arange(1, len(ages) + 1)]  # newest first, without gaps
    if not len(tail):
        return 0
    same = np.ones(len(values), dtype=bool)
    for column, value in enumerate(tail[0]):
        same &= _equal(values[:, column], value)
    places = np.flatnonzero(same)
    places = places[np.searchsorted(places, min(_SAME_ROWS, len(tail)) - 1) :]
    for stop in range(len(places), 0, -_BLOCK):
        place = places[max(stop - _BLOCK, 0) : stop]
        for back, row in enumerate(tail[1:], start=1):
            for column, value in enumerate(row):
                inside = values[np.maximum(place - back, 0), column]
                place = place[_equal(inside, value) | (place < back)]
        if len(place):
            return int(place[-1]) + 1
    return 0


def _equal(found: NDArray[Any], value: float) -> Mask:
    return np.isnan(found) if np.isnan(value) else found == value
