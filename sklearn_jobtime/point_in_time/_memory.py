"""Rows remembered in `fit`, so that later rows have a history."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Key, Mask, Rows
from sklearn_jobtime.exceptions import SameRunsWarning
from sklearn_jobtime.point_in_time._clock import Clock
from sklearn_jobtime.point_in_time._order import rows_to_remember
from sklearn_jobtime.point_in_time._same_rows import (
    Digests,
    all_given_again,
    carries_labels,
    counts_on,
    labels_tell_apart,
    place_among,
    places_in_series,
    row_digests,
    same_starts,
)

__all__ = ["Memory", "NotAllGivenError", "given_again", "recall", "remember"]


class NotAllGivenError(Exception):
    """The rows of a table are not enough: remembered ones would stand before them."""


@dataclass(frozen=True)
class Memory:
    """Rows kept after `fit`, so that later rows have a history; built by `remember`.

    `table` holds their values and `clock` their times, in the order of the table seen in fit.
    `age` is 1 for the last row of the table seen in fit, 2 for the one before it, and so on.
    Without times, `digests` has a number for each row of fit, series by series, by which the rows
    are known again, and `place` the position of each remembered row in its series.
    """

    table: Floats
    clock: Clock
    age: Rows
    labels_increase: bool
    digests: dict[Key, Digests] | None = None
    place: Rows | None = None


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
    jobs: Sequence[Hashable] = (),
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
    jobs : sequence, default=()
        The job of each column of `eligible`, so that its runs count from their own ends on.

    Returns
    -------
    Memory
    """
    n_rows = len(clock.series)
    if clock.is_plain and eligible is None:
        rows = np.arange(max(0, n_rows - n), n_rows)
    else:
        asked = [None] if eligible is None else np.reshape(eligible, (n_rows, -1)).T
        clocks = [clock.of_job(job) for job in jobs] or [clock] * len(asked)
        pairs = zip(clocks, asked, strict=True)
        rows = np.unique(
            np.concatenate([rows_to_remember(own, n, column) for own, column in pairs])
        )
    rows = np.unique(np.concatenate([rows, *also]))
    kept = np.array(values[rows], dtype=np.float64)
    age, increase = n_rows - rows, _labels_increase(clock)
    if clock.started is not None:
        return Memory(kept, clock.take(rows), age, increase)
    digests = _by_series(row_digests(values), clock)
    return Memory(kept, clock.take(rows), age, increase, digests, places_in_series(clock)[rows])


def _by_series(digests: Digests, clock: Clock) -> dict[Key, Digests]:
    if len(clock.keys) <= 1:
        return dict.fromkeys(clock.keys, digests)
    order = np.argsort(clock.series, kind="stable")
    starts = np.searchsorted(clock.series[order], np.arange(1, len(clock.keys)))
    return dict(zip(clock.keys, np.split(digests[order], starts), strict=True))


def recall(
    memory: Memory, values: NDArray[Any], clock: Clock, *, must_be_given: bool = False
) -> tuple[Rows, Clock]:
    """Find the remembered rows that stand before a given table, and join the two clocks.

    A run that is both remembered and given counts once, as the table has it. Which runs are the
    same is decided by time, then by label, then by value:

    - With times, it is the run of the same series with the same start, in the coarser resolution of
      the two tables; of runs that start at once, the one with the same label, or the next one. The
      times alone decide which row may see it.
    - Without times, index labels tell, but for the default index, numbers from 0. If they increase
      along each series, as numbers and dates do, a remembered run counts when it comes before all
      given runs of its series: rows from before the memory do not see it. Where labels have no
      order the table is taken to be later than fit, and a series of which it has any remembered run
      gets no memory. Where no label of fit comes back, values may tell too.
    - In arrays and under a default index, the table is taken to be later, unless it goes on from
      some place in the rows of fit, equal row for row, and that is no chance: rows that are all
      alike prove nothing, whatever their number. All rows of fit at the head of the table are the
      rows of fit; so are the first of them under a default index, which must not see later ones.

    A SameRunsWarning says where none of these can tell.

    Parameters
    ----------
    memory : Memory
        From `remember`.
    values : ndarray of shape (n, n_columns)
        The given rows, with the columns that were remembered.
    clock : Clock
        The times of the given rows.
    must_be_given : bool, default=False
        Raise a NotAllGivenError unless each remembered run of the given series is sure to be there,
        with its start and its label. Then `values` are not looked at.

    Returns
    -------
    kept : ndarray of int
        Rows of `memory` to put before the given ones.
    joined : Clock
        The times of ``memory.table[kept]`` followed by those of the given rows.
    """
    past, past_series = memory.clock, _series_of_past(memory, clock)
    is_timed = past.started is not None and clock.started is not None
    if is_timed and all_given_again(past, past_series, clock):
        keep = np.full(len(past.series), False)
    elif must_be_given:
        raise NotAllGivenError
    elif is_timed:
        keep = _given_by_time(memory, past_series, values, clock) < 0
    elif past.started is not None or memory.digests is None:
        keep = np.full(len(past.series), True)  # a table without times, of a fit with times
    else:
        places = _places(memory, values, clock)
        keep = _before_by_place(memory, places)
        if carries_labels(clock) and past.labels is not None:
            by_label = _before_by_label(memory, past_series, clock)
            keep = np.where(_told_by_value(memory, places, past_series, clock), keep, by_label)
    kept = np.flatnonzero(keep & (past_series >= 0))
    return kept, Clock(
        _one_after_other(past_series[kept], clock.series),
        clock.keys,
        _joined(past.started, clock.started, kept),
        _joined(past.ended, clock.ended, kept),
        job_ended=_joined_jobs(past, clock, kept),
    )


def _series_of_past(memory: Memory, clock: Clock) -> Rows:
    """Series of the remembered rows, as the given clock numbers them; -1 where it is not there."""
    code_of = {key: code for code, key in enumerate(clock.keys)}
    codes = np.array([code_of.get(key, -1) for key in memory.clock.keys], dtype=np.intp)
    return codes[memory.clock.series]


def _joined(past: Floats | None, given: Floats | None, kept: Rows) -> Floats | None:
    return None if past is None or given is None else np.concatenate([past[kept], given])


def _joined_jobs(past: Clock, given: Clock, kept: Rows) -> dict[Hashable, Floats]:
    if past.started is None or given.started is None:
        return {}
    n_past, n_given = len(past.started), len(given.started)
    return {
        job: np.concatenate(
            [
                past.job_ended.get(job, np.full(n_past, np.nan))[kept],
                given.job_ended.get(job, np.full(n_given, np.nan)),
            ]
        )
        for job in dict.fromkeys([*past.job_ended, *given.job_ended])
    }


def _one_after_other(past: Rows, given: Rows) -> Rows:
    if not past.any() and given.strides == (0,):  # one series takes no memory
        return np.broadcast_to(np.intp(0), len(past) + len(given))
    return np.concatenate([past, given])


def _given_by_time(memory: Memory, past_series: Rows, values: NDArray[Any], clock: Clock) -> Rows:
    past = memory.clock
    found = same_starts(past, past_series, memory.table, clock, values)
    if not (found >= 0).any() and _interleave(past, past_series, clock):
        warnings.warn(
            "The rows lie between the runs seen in fit and none of them starts when one of these "
            "did: all count as other runs. If they are the same runs, give their starts as fit "
            "had them (the same time zone, not rounded to more than a second).",
            SameRunsWarning,
            stacklevel=4,
        )
    return found


def _interleave(past: Clock, past_series: Rows, clock: Clock) -> bool:
    """Tell whether several remembered runs lie between given ones, and given ones between them."""
    assert past.started is not None
    assert clock.started is not None
    if len(clock.started) < 2 or len(past.started) < 2:
        return False
    inside = (past.started > clock.started.min()) & (past.started < clock.started.max())
    inside &= past_series >= 0
    if inside.sum() < 2:
        return False
    oldest, newest = past.started[inside].min(), past.started[inside].max()
    if not ((clock.started > oldest) & (clock.started < newest)).any():
        return False
    return not (carries_labels(clock) and labels_tell_apart(past, past_series, clock))


def _places(memory: Memory, values: NDArray[Any], clock: Clock) -> dict[Key, int]:
    """For each given series, how many rows of fit stand before its first row."""
    assert memory.digests is not None
    is_labelled = carries_labels(clock) and memory.clock.labels is not None
    given = _by_series(row_digests(values), clock)
    found, unsure = {}, False
    for key, digests in given.items():
        if (seen := memory.digests.get(key)) is None:
            continue
        found[key], looks_alike = place_among(
            seen,
            digests,
            may_be_whole=not is_labelled,
            may_be_first=clock.labels is not None and not is_labelled,
        )
        unsure |= looks_alike
    if unsure and not is_labelled and clock.labels is not None:
        warnings.warn(
            "The rows look like some of those seen in fit, but these repeat too much to tell, and "
            "an index that counts from 0 says nothing: they are taken to be later runs. Give them "
            "started_at, or labels that go on counting.",
            SameRunsWarning,
            stacklevel=4,
        )
    return found


def _before_by_place(memory: Memory, places: dict[Key, int]) -> Mask:
    assert memory.place is not None
    place = np.array([places.get(key, 0) for key in memory.clock.keys], dtype=np.intp)
    return np.asarray(memory.place < place[memory.clock.series])


def _told_by_value(memory: Memory, places: dict[Key, int], past_series: Rows, clock: Clock) -> Mask:
    """Mark the remembered rows of series whose values are known again though no label is."""
    assert memory.digests is not None
    past = memory.clock
    assert past.labels is not None
    assert clock.labels is not None
    remembered = pd.MultiIndex.from_arrays([past_series, past.labels])
    shared = remembered.isin(pd.MultiIndex.from_arrays([clock.series, clock.labels]))
    again = np.array([places.get(key, -1) for key in past.keys], dtype=np.intp)
    lengths = np.array([len(memory.digests[key]) for key in past.keys], dtype=np.intp)
    told = ((again >= 0) & (again < lengths))[past.series]
    if counts_on(past.labels, clock.labels):
        return np.zeros(len(told), dtype=bool)
    return np.asarray(told & ~np.isin(past_series, past_series[shared]))


def given_again(memory: Memory, values: NDArray[Any], clock: Clock) -> Rows:
    """Tell which remembered row each given one is, by the rule of :func:`recall`.

    Parameters
    ----------
    memory, values, clock
        As for :func:`recall`.

    Returns
    -------
    ndarray of int, shape (n,)
        Position among the rows of :func:`remember`; -1 for a row that is none of them.
    """
    past, past_series = memory.clock, _series_of_past(memory, clock)
    again = np.full(len(clock.series), -1, dtype=np.intp)
    if past.started is not None and clock.started is not None:
        found = _given_by_time(memory, past_series, values, clock)
        again[found[found >= 0]] = np.flatnonzero(found >= 0)
        return again
    if memory.digests is None or memory.place is None:
        return again
    places = _places(memory, values, clock)
    start = np.array([places.get(key, -1) for key in clock.keys], dtype=np.intp)[clock.series]
    in_series = start + places_in_series(clock)
    own = np.flatnonzero(past_series >= 0)  # of all other series the place would be the same
    by_place = pd.MultiIndex.from_arrays([past_series[own], memory.place[own]])
    again = by_place.get_indexer(pd.MultiIndex.from_arrays([clock.series, in_series]))
    again[start < 0] = -1
    if carries_labels(clock) and past.labels is not None:
        by_label = pd.MultiIndex.from_arrays([past_series[own], past.labels[own]])
        given = pd.MultiIndex.from_arrays([clock.series, clock.labels])
        if by_label.is_unique and given.isin(by_label).any():
            again = by_label.get_indexer(given)
    return np.where(again >= 0, np.append(own, -1)[again], -1)


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
