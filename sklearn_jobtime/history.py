"""What was known when: which runs had ended when another one started.

Everything that looks back (windows, rolling rules, the last success) asks this module, so that
the rule against leakage is written once:

    run ``i`` is known to row ``t`` of the same series when ``ended[i] <= started[t]`` and ``i``
    comes before ``t`` in start order (equal starts keep their row order).

Sorted by ``(ended, started, row)``, the runs known to a row are a prefix of its series, so one
sort answers the question for all rows and no loop over rows is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime.exceptions import RunTableError

__all__ = [
    "Clock",
    "EndedOrder",
    "Memory",
    "ended_order",
    "epoch_seconds",
    "newest_rows",
    "read_clock",
    "recall",
    "remember",
]

Rows: TypeAlias = NDArray[np.intp]
Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

# Without names and times, only the content of a row tells whether it was seen in fit. Whole
# seconds repeat for many rows in real series, so a shorter block of equal rows proves nothing.
_SAME_ROWS = 32
_BLOCK = 4096  # candidates compared at once: a constant column must not cost a copy of the table


@dataclass(frozen=True)
class Clock:
    """Who ran when, for the n rows of a table.

    Parameters
    ----------
    series : ndarray of int, shape (n,)
        The series of each row, as a position in `keys`.
    keys : list of tuple
        The keys of the series; ``()`` is the one series of a table with a plain index.
    started, ended : ndarray of float64, shape (n,), or None
        Epoch seconds. An `ended` of NaN means that the run had not ended when the table was
        written. None: the table does not have this column.
    labels : pandas.Index or None
        The last level of the index, which names a run within its series; None for arrays.
    """

    series: Rows
    keys: list[tuple[Any, ...]]
    started: Floats | None = None
    ended: Floats | None = None
    labels: pd.Index | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the rows are one series in which every earlier row is known."""
        return len(self.keys) <= 1 and self.started is None and self.ended is None

    def take(self, rows: Rows) -> Clock:
        """Return the clock of some of the rows."""
        return replace(
            self,
            series=self.series[rows],
            started=None if self.started is None else self.started[rows],
            ended=None if self.ended is None else self.ended[rows],
            labels=None if self.labels is None else self.labels[rows],
        )


@dataclass(frozen=True)
class EndedOrder:
    """The runs in the order of their ends, and for each asked row the slice that it may use.

    ``order[first[t]:stop[t]]`` are the numbers of the runs known to the t-th asked row, oldest end
    first. One sort serves every question about a table: which successes, which runs alike.
    """

    order: Rows
    first: Rows
    stop: Rows

    def only(self, eligible: Mask) -> EndedOrder:
        """Leave out the runs that are not `eligible`, a mask of all runs of the table."""
        kept = eligible[self.order]
        before = np.concatenate([[0], np.cumsum(kept)])
        return EndedOrder(self.order[kept], before[self.first], before[self.stop])

    def within(self, groups: Rows) -> EndedOrder:
        """Leave to each row the runs of its own group.

        Parameters
        ----------
        groups : ndarray of int, shape (n,)
            The group of every run of the table, counted from 0; the last of them are the asked
            rows. It splits the series: runs of two series are never of one group.
        """
        asked = groups[len(groups) - len(self.stop) :]
        place = np.flatnonzero(np.isin(groups[self.order], asked))
        group = groups[self.order[place]]
        by_group = np.argsort(group, kind="stable")
        size = len(self.order) + 1
        keys = group[by_group] * size + place[by_group]
        return EndedOrder(
            self.order[place[by_group]],
            np.searchsorted(keys, asked * size + self.first),
            np.searchsorted(keys, asked * size + self.stop),
        )


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


def epoch_seconds(column: pd.Series) -> Floats:
    """Seconds since 1970-01-01 UTC of a datetime or numeric column; NaT becomes NaN.

    Parameters
    ----------
    column : pandas.Series
        Naive datetimes are taken as UTC, aware ones are converted, numbers are taken as they are.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    RunTableError
        If the column holds anything else, such as text.

    Examples
    --------
    >>> import pandas as pd
    >>> epoch_seconds(pd.Series(pd.to_datetime(["1970-01-01 00:01", None])))
    array([60., nan])
    """
    column = column.infer_objects()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        zone = column.dt.tz
        zero = pd.Timestamp(0) if zone is None else pd.Timestamp(0, tz="UTC").tz_convert(zone)
        column = (column - zero) / pd.Timedelta(seconds=1)
    elif not pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind in "bc":
        raise RunTableError(
            f"Column {column.name!r} has dtype {column.dtype}; expected datetimes or epoch "
            "seconds. Put TimestampToNumeric before this step, or convert it with "
            "pandas.to_datetime(..., utc=True)."
        )
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _series_codes(index: pd.Index) -> tuple[Rows, list[tuple[Any, ...]]]:
    if not isinstance(index, pd.MultiIndex):
        return np.broadcast_to(np.intp(0), len(index)), [()]
    codes = np.zeros(len(index), dtype=np.intp)
    for level, level_codes in zip(index.levels[:-1], index.codes[:-1], strict=True):
        # A missing key has the code -1 and is a series of its own.
        codes, _ = pd.factorize(codes * (len(level) + 1) + level_codes + 1)
    newest = np.unique(codes, return_index=True)[1]
    return codes.astype(np.intp, copy=False), [key[:-1] for key in index[newest]]


def _times(X: pd.DataFrame | NDArray[Any], column: str | int | None) -> Floats | None:
    if column is None or (isinstance(X, pd.DataFrame) and column not in X.columns):
        return None
    if not isinstance(X, pd.DataFrame):
        if isinstance(column, str):
            return None
        return epoch_seconds(pd.Series(X[:, column], name=column))
    found = X[column]
    if isinstance(found, pd.DataFrame):
        raise RunTableError(
            f"{found.shape[1]} columns are named {column!r}; expected one. Rename the others."
        )
    return epoch_seconds(found)


def read_clock(
    X: pd.DataFrame | NDArray[Any],
    started_at: str | int | None = "started_at",
    ended_at: str | int | None = "ended_at",
) -> Clock:
    """Read the series and the times of the rows of a table.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, features)
        Every level but the last of a MultiIndex names the series; anything else is one series.
    started_at, ended_at : str, int or None
        The columns of the times: a name in a DataFrame, a position in an array. A name that is
        not there, or None, means that this time is not known.

    Returns
    -------
    Clock

    Raises
    ------
    RunTableError
        If a run has no start, or a column of times holds neither datetimes nor numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> clock = read_clock(pd.DataFrame({"started_at": [0.0, 60.0], "ended_at": [90.0, None]}))
    >>> clock.started, clock.ended
    (array([ 0., 60.]), array([90., nan]))
    """
    started, ended = _times(X, started_at), _times(X, ended_at)
    index = X.index if isinstance(X, pd.DataFrame) else None
    if started is not None and not np.isfinite(started).all():
        row = int(np.argmin(np.isfinite(started)))
        name = row if index is None else repr(index[row])
        raise RunTableError(
            f"Row {name} (position {row}) has no start: {started_at!r} is {started[row]}. A run "
            "without a start can not be ordered; drop it or fill in its start."
        )
    if ended is not None:
        ended = np.where(np.isfinite(ended), ended, np.nan)
    if index is None:
        return Clock(np.broadcast_to(np.intp(0), len(X)), [()], started, ended)
    series, keys = _series_codes(index)
    labels = index.get_level_values(-1) if isinstance(index, pd.MultiIndex) else index
    return Clock(series, keys, started, ended, labels)


def _filled_times(n: int, started: Floats | None, ended: Floats | None) -> tuple[Floats, Floats]:
    """Give every row a start and an end, so that one rule serves tables with fewer times.

    Without starts, all rows start and end at once and the row order decides. Without ends, a run
    counts as ended when it started, so that the next one knows it.
    """
    if started is None:
        zero = np.zeros(n)
        return zero, zero if ended is None else np.where(np.isnan(ended), np.nan, 0.0)
    if ended is None:
        return started, started
    return started, np.maximum(ended, started)  # clocks disagree: never before its own start


def ended_order(
    series: Rows,
    started: Floats | None,
    ended: Floats | None,
    eligible: Mask | None = None,
    first: int = 0,
) -> EndedOrder:
    """Sort runs by their end, and find for each row those which had ended when it started.

    Parameters
    ----------
    series : ndarray of int, shape (n,)
        The series of each row, counted from 0.
    started, ended : ndarray of float64, shape (n,), or None
        Seconds. A run whose `ended` is NaN is known to nobody. Without `started`, every earlier
        row counts as ended; without `ended`, every run that started earlier does.
    eligible : ndarray of bool, shape (n,), default=None
        The runs worth knowing, such as the successful ones; None for all. The others are left
        out of `order`, but still have a `first` and a `stop`.
    first : int, default=0
        The first row to answer for; those before it are known, but have no `first` and `stop`.

    Returns
    -------
    EndedOrder

    Examples
    --------
    The first of three runs ends last, and is known to nobody:

    >>> import numpy as np
    >>> started, ended = np.array([0.0, 1.0, 5.0]), np.array([9.0, 2.0, 6.0])
    >>> found = ended_order(np.zeros(3, dtype=int), started, ended)
    >>> [found.order[a:b].tolist() for a, b in zip(found.first, found.stop)]
    [[], [], [1]]
    """
    n = len(series)
    row_order = started is None
    started, ended = _filled_times(n, started, ended)
    known = ~np.isnan(ended) if eligible is None else ~np.isnan(ended) & eligible
    rows = np.flatnonzero(known)
    asked = np.arange(first, n)
    if row_order and not series.any():
        stop = (np.cumsum(known) - known)[first:]
        return EndedOrder(rows, np.zeros(n - first, dtype=np.intp), stop)

    # Sort the ends together with the questions "who had ended when row t started?". A question
    # stands before the end of its own row, so that a run of no length does not know itself.
    is_end = np.repeat([True, False], [len(rows), len(asked)])
    row = np.concatenate([rows, asked])
    sorting = np.lexsort(
        (
            2 * row + is_end,
            np.concatenate([started[rows], started[asked]]),
            np.concatenate([ended[rows], started[asked]]),
            np.concatenate([series[rows], series[asked]]),
        )
    )
    is_end, row = is_end[sorting], row[sorting]
    stop = np.empty(len(asked), dtype=np.intp)
    stop[row[~is_end] - first] = np.cumsum(is_end)[~is_end]
    starts = _starts(series[rows], series.max(initial=0) + 1)
    return EndedOrder(row[is_end], starts[series[asked]], stop)


def _starts(series: Rows, n_series: int) -> Rows:
    """Where each series begins once the rows are sorted by series."""
    counts = np.bincount(series, minlength=n_series)
    return np.cumsum(counts) - counts


def newest_rows(
    clock: Clock, n: int, eligible: Mask | None = None, groups: Rows | None = None
) -> Rows:
    """Rows that any later row could have among the last `n` which had ended.

    Parameters
    ----------
    clock : Clock
        The times of the rows.
    n : int
        How many runs back a later row may look.
    eligible : ndarray of bool, shape (n_rows,), default=None
        The runs worth knowing; None for all.
    groups : ndarray of int, shape (n_rows,), default=None
        What a later row counts `n` runs of, if not of its series: a number from 0 for each row.

    Returns
    -------
    ndarray of int
        Later means: started at or after the newest start of its series in this table.
    """
    groups = clock.series if groups is None else groups
    order = ended_order(groups, clock.started, clock.ended, eligible).order
    started, ended = _filled_times(len(groups), clock.started, clock.ended)
    n_groups = int(groups.max(initial=-1)) + 1
    newest_start = np.full(n_groups, -np.inf)
    np.maximum.at(newest_start, groups, started)
    group = groups[order]
    ended_by_then = ended[order] <= newest_start[group]
    n_ended = np.bincount(group[ended_by_then], minlength=n_groups)
    place = np.arange(len(order)) - _starts(group, n_groups)[group]
    return order[place >= n_ended[group] - n]


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
        Further rows to keep, such as those of :func:`newest_rows` for other groups than the series.

    Returns
    -------
    Memory
    """
    n_rows = len(clock.series)
    if clock.is_plain and eligible is None:
        rows = np.arange(max(0, n_rows - n), n_rows)
    else:
        asked = [None] if eligible is None else np.reshape(eligible, (n_rows, -1)).T
        rows = np.unique(np.concatenate([newest_rows(clock, n, column) for column in asked]))
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
