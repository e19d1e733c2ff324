"""Which of the given rows were seen in `fit`: by time, then by label, then by value.

- *Time*: the same start, within the coarser resolution of the two tables. A store that keeps whole
  seconds or milliseconds gives the same runs back.
- *Label*: it tells runs apart that start at once, and stands for the time where there is none. The
  index that a table has by default, numbers from 0, carries nothing.
- *Value*: rows that repeat prove nothing, so a block of equal rows counts only as far as it would
  be a surprise by chance.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.point_in_time._clock import Clock

__all__ = [
    "Digests",
    "all_given_again",
    "carries_labels",
    "counts_on",
    "is_later_by",
    "labels_tell_apart",
    "place_among",
    "places_in_series",
    "row_digests",
    "same_starts",
]


Digests = NDArray[np.uint32]

_CHUNK = 2**16  # rows digested at once
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, without a pattern in its bits
_UNITS = (1.0, 1e-3)  # what stores round times to
_FINEST = 1e-6
# Natural logarithm of how unlikely it has to be that equal rows are other runs.
_SURE = np.log(1e6)
_SURE_OF_START = np.log(1e4)  # of one place alone there are no others to be confused with


# ---------------------------------------------------------------- time


def resolution(times: Floats) -> float:
    """Coarsest usual unit, in seconds, of which all times are whole numbers.

    Examples
    --------
    >>> resolution(np.array([120.0, 7.0])), resolution(np.array([0.25])), resolution(np.array([]))
    (1.0, 0.001, 1.0)
    """
    for unit in _UNITS:
        if (np.abs(times / unit - np.round(times / unit)) * unit < _FINEST).all():
            return unit
    return _FINEST


def is_later_by(times: Floats, than: float) -> Mask:
    """Tell which times are later than another one, though one of them may have been rounded.

    Examples
    --------
    >>> is_later_by(np.array([59.0, 60.0, 61.0, np.nan]), 59.7)
    array([False, False,  True, False])
    """
    known = np.isfinite(times)
    units = resolution(times[known]), resolution(np.array([than]))
    within = 0.0 if units[0] == units[1] else max(units)
    return times >= than + within if within else times > than


def _whole(times: Floats, unit: float, how: str) -> NDArray[np.int64]:
    if how == "as they are":  # but for the nanoseconds, of which seconds since 1970 keep none
        found, which = np.unique(times, return_inverse=True)
        return np.cumsum(np.diff(found, prepend=found[:1]) > 2 * unit).astype(np.int64)[which]
    counts = times / unit
    near = np.round(counts)
    down = np.where(np.abs(counts - near) * unit < _FINEST, near, np.floor(counts))
    return (near if how == "round" else down).astype(np.int64)


def _starts_as_keys(
    past: Floats, past_series: Rows, given: Floats, given_series: Rows
) -> tuple[Rows, Rows, float]:
    """Give starts numbers, equal where a run may be the same, and say how exactly."""
    unit = max(resolution(past), resolution(given))
    ways = [(_FINEST, "as they are")]
    if resolution(past) != resolution(given):
        ways += [(unit, "down"), (unit, "round")]
    best: tuple[int, Rows, Rows, float] | None = None
    for unit_of, how in ways:
        both = _whole(np.concatenate([past, given]), unit_of, how)
        pairs = pd.MultiIndex.from_arrays([np.concatenate([past_series, given_series]), both])
        codes = pd.factorize(pairs)[0].astype(np.intp)
        keys = codes[: len(past)], codes[len(past) :]
        found = int(np.isin(*keys).sum())
        if best is None or found > best[0]:
            best = found, *keys, 0.0 if (unit_of, how) == ways[0] else unit
    assert best is not None
    return best[1:]


def all_given_again(past: Clock, past_series: Rows, given: Clock) -> bool:
    """Tell whether each remembered run of the given series is there as it was: start and label.

    This is the usual case, and then :func:`same_starts` finds all of them, whatever its rules for
    the others would say: it pairs equal starts with equal labels, or the k-th with the k-th.

    Parameters
    ----------
    past, given : Clock
        With starts.
    past_series : ndarray of int
        The series of each remembered run as the given clock numbers them; -1 where it is not there.

    Returns
    -------
    bool
        False also where it takes more to tell, as for labels that stand twice in a series.
    """
    assert past.started is not None
    assert given.started is not None
    mine = np.flatnonzero(past_series >= 0)
    if past.labels is None or given.labels is None or past.labels.dtype != given.labels.dtype:
        return False
    labels, found = pd.factorize(past.labels[mine].append(given.labels))
    n_series = len(given.keys) + 1
    if labels.min(initial=0) < 0 or len(found) * n_series > np.iinfo(np.intp).max:
        return False
    runs = labels * n_series + np.concatenate([past_series[mine], given.series])
    order = np.argsort(runs[len(mine) :], kind="stable")
    known, asked = runs[len(mine) :][order], runs[: len(mine)]
    if (np.diff(known) == 0).any() or len(np.unique(asked)) < len(asked):
        return False
    if not len(known):
        return not len(asked)
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    same_start = past.started[mine] == given.started[order[place]]
    return bool((same_start & (known[place] == asked)).all())


def same_starts(
    past: Clock, past_series: Rows, past_values: Floats, given: Clock, values: NDArray
) -> Rows:
    """Find the remembered runs among the given ones by their starts.

    Parameters
    ----------
    past, given : Clock
        With starts.
    past_series : ndarray of int
        The series of each remembered run as the given clock numbers them; -1 where it is not there.
    past_values, values : ndarray of shape (n, n_columns)
        They decide where the tables have one start in common alone.

    Returns
    -------
    ndarray of int
        The given row that is each remembered run; -1 where it is not given.
    """
    assert past.started is not None
    assert given.started is not None
    found = np.full(len(past.started), -1, dtype=np.intp)
    if not len(given.started) or not len(past.started):
        return found
    widest = _UNITS[0]
    is_near = (past.started >= given.started.min() - widest) & (past_series >= 0)
    rows = np.flatnonzero(is_near & (past.started <= given.started.max() + widest))
    if not len(rows):
        return found
    oldest, newest = past.started[rows].min() - widest, past.started[rows].max() + widest
    near = np.flatnonzero((given.started >= oldest) & (given.started <= newest))
    if len(near):
        keys = _starts_as_keys(
            past.started[rows], past_series[rows], given.started[near], given.series[near]
        )
        mine = _paired(past, rows, past_series[rows], past_values, given, near, values, *keys)
        found[rows[mine >= 0]] = near[mine[mine >= 0]]
    return found


def _paired(
    past: Clock,
    rows: Rows,
    past_series: Rows,
    past_values: Floats,
    given: Clock,
    near: Rows,
    values: NDArray,
    keys: Rows,
    near_keys: Rows,
    unit: float,
) -> Rows:
    """Pair the runs of equal starts, one to one: by label, then in their order."""
    mine = np.full(len(rows), -1, dtype=np.intp)
    if past.labels is not None and given.labels is not None and carries_labels(given):
        wanted = pd.MultiIndex.from_arrays([near_keys, given.labels[near]])
        if wanted.is_unique:
            mine = wanted.get_indexer(pd.MultiIndex.from_arrays([keys, past.labels[rows]]))
    free = np.setdiff1d(np.arange(len(near)), mine)
    ours = np.flatnonzero(mine < 0)
    labels_differ = carries_labels(given) and labels_tell_apart(
        past.take(rows[ours]), past_series[ours], given.take(near)
    )
    if labels_differ:
        # One start in common may also be the last of a table whose labels are others now.
        is_proof = len(free) < len(near) or len(np.intersect1d(keys, near_keys)) > 1
        if past.labels is not None and given.labels is not None and len(ours):
            own = given.labels[np.isin(given.series, past_series[ours])]
            is_proof |= bool(own.min() < past.labels[rows[ours]].max())  # both count alike
        ours = ours[:0] if is_proof else ours
    elif len(free) < len(near):  # the labels are those of fit: another one is another run
        is_tied = pd.Series(keys).duplicated(keep=False).to_numpy()
        tied_given = near_keys[pd.Series(near_keys).duplicated(keep=False).to_numpy()]
        ours = ours[~(is_tied | np.isin(keys, tied_given))[ours]]
    place = _in_order(keys[ours], near_keys[free])
    pairs = np.flatnonzero(place >= 0)
    alone = _one_start_in_common(keys, near_keys, given.series[near])[ours[pairs]]
    differ = ~_agree(
        past_values[rows[ours[pairs]]], values[near[free[place[pairs]]]], unit, labels_differ
    )
    if counts_on(past.labels, given.labels):
        pairs = pairs[~alone]
    else:
        for pair in pairs[alone & differ]:  # perhaps another of those that start at once
            alike = np.flatnonzero(near_keys[free] == keys[ours[pair]])
            one = np.broadcast_to(past_values[rows[ours[pair]]], (len(alike), values.shape[1]))
            alike = alike[_agree(one, values[near[free[alike]]], unit, labels_differ)]
            if len(alike) or carries_labels(given):  # else the start tells, whatever came of it
                place[pair] = alike[0] if len(alike) else -1
        pairs = pairs[place[pairs] >= 0]
    mine[ours[pairs]] = free[place[pairs]]
    return mine


def _in_order(keys: Rows, given: Rows) -> Rows:
    """Pair the k-th of equal keys with the k-th of the given ones; -1 where there is none."""
    pairs = pd.MultiIndex.from_arrays([given, pd.Series(given).groupby(given).cumcount()])
    wanted = pd.MultiIndex.from_arrays([keys, pd.Series(keys).groupby(keys).cumcount()])
    return np.asarray(pairs.get_indexer(wanted), dtype=np.intp)


def _one_start_in_common(keys: Rows, near_keys: Rows, series: Rows) -> Mask:
    """Mark the remembered runs of series that share no other start with the given rows."""
    shared = np.isin(near_keys, keys) & ~pd.Series(near_keys).duplicated().to_numpy()
    counts = np.bincount(series[shared], minlength=int(series.max()) + 1)
    return np.isin(keys, near_keys[shared][counts[series[shared]] == 1])


def labels_tell_apart(past: Clock, past_series: Rows, given: Clock) -> bool:
    """Tell whether labels name other runs: all are different, and increase with the starts.

    Labels of another kind, or from another count, do not increase where the runs of two tables
    lie between each other.
    """
    assert past.started is not None
    assert given.started is not None
    if past.labels is None or given.labels is None:
        return False
    if past.labels.dtype.kind != given.labels.dtype.kind:
        return False
    try:
        rank = pd.factorize(past.labels.append(given.labels), sort=True)[0]
    except TypeError:  # labels of several types have no order
        return False
    series = np.concatenate([past_series, given.series])
    order = np.lexsort((rank, np.concatenate([past.started, given.started]), series))
    return bool((np.diff(rank[order])[np.diff(series[order]) == 0] > 0).all())


def counts_on(past: pd.Index | None, given: pd.Index | None) -> bool:
    """Tell whether whole numbers go on where those of fit stopped."""
    if past is None or given is None or past.dtype.kind != "i" or given.dtype.kind != "i":
        return False
    return bool(given.min() == past.max() + 1)


def _agree(some: Floats, others: NDArray, unit: float, needs_proof: bool) -> Mask:
    """Tell in which rows no number that both know differs by more than rounded times can."""
    unknown = np.isnan(some) | np.isnan(others)
    same = (unknown | np.isclose(some, others, rtol=1e-6, atol=unit)).all(axis=1)
    return np.asarray(same & ~(needs_proof & unknown.all(axis=1)))


# ---------------------------------------------------------------- label


def places_in_series(clock: Clock) -> Rows:
    """Position of each row among those of its series.

    Examples
    --------
    >>> places_in_series(Clock(np.array([0, 1, 0]), [("a",), ("b",)]))
    array([0, 0, 1])
    """
    n = len(clock.series)
    if len(clock.keys) <= 1:
        return np.arange(n)
    order = np.argsort(clock.series, kind="stable")
    starts = np.searchsorted(clock.series[order], np.arange(len(clock.keys)))
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n) - starts[clock.series[order]]
    return place


def carries_labels(clock: Clock) -> bool:
    """Tell whether labels say anything: those of arrays, and numbers from 0 by default, do not.

    Examples
    --------
    >>> one_series = np.zeros(2, dtype=int)
    >>> [carries_labels(Clock(one_series, [()], labels=pd.Index(of))) for of in ([0, 1], [7, 8])]
    [True, True]
    >>> carries_labels(Clock(one_series, [()], labels=pd.RangeIndex(2)))
    False
    """
    labels = clock.labels
    if labels is None:
        return False
    if isinstance(labels, pd.RangeIndex):
        return not (labels.start == 0 and labels.step == 1)
    # What pandas.concat({"etl": table, "ci": other}) gives: the series, and numbers from 0 in each.
    if clock.keys == [()] or labels.dtype.kind != "i":
        return True
    return not np.array_equal(labels.to_numpy(), places_in_series(clock))


# ---------------------------------------------------------------- value


def row_digests(values: NDArray) -> Digests:
    """Digest each row to a number: equal rows have equal ones, and 24 bits tell most others apart.

    Numbers are compared in single precision, so that their last digits may depend on the layout.

    Examples
    --------
    >>> digests = row_digests(np.array([[1.0, np.nan], [2.0, 0.0], [1.0, np.nan], [2.0, -0.0]]))
    >>> bool((digests[:2] == digests[2:]).all()), bool(digests[0] == digests[1])
    (True, False)
    """
    found = np.empty(len(values), dtype=np.uint32)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        state = np.zeros(len(found[rows]), dtype=np.uint64)
        for column in np.reshape(values[rows], (len(state), -1)).T:
            with np.errstate(over="ignore"):
                number = np.array(column, dtype=np.float32) + np.float32(0)  # -0 is 0
            number[np.isnan(number)] = np.nan
            state = (state ^ number.view(np.uint32)) * _FACTOR
            state ^= state >> np.uint64(29)
        found[rows] = (state * _FACTOR) >> np.uint64(40)
    return found


def place_among(
    seen: Digests, given: Digests, *, may_be_whole: bool = True, may_be_first: bool = False
) -> tuple[int, bool]:
    """Find where in the rows of fit the given ones begin.

    Parameters
    ----------
    seen, given : ndarray of uint32
        Digests of the rows of one series in fit, and of those given now.
    may_be_whole : bool, default=True
        Whether all rows of fit, one behind the other at the head of the given ones, are proof.
    may_be_first : bool, default=False
        Whether the first rows of fit, and nothing else, are proof too, though they may be few.

    Returns
    -------
    place : int
        As many rows of fit stand before the given ones; all of them where these are later.
    looks_alike : bool
        Whether the given rows could be others of fit, but repeat too much to tell.
    """
    n = len(seen)
    starts = np.flatnonzero(seen == given[0]) if len(given) and n else np.arange(0)
    if not len(starts):
        return n, False
    stops = np.minimum(starts + len(given), n)
    same = _equal_blocks(seen, given, starts, stops)
    starts, stops = starts[same], stops[same]
    if not len(starts):
        return n, False
    if starts[0] == 0 and may_be_whole and (stops[0] == n or may_be_first):
        return 0, False
    total = np.concatenate([[0.0], np.cumsum(_surprise(seen))])
    surprise = total[stops] - total[starts]
    best = int(surprise.argmax())
    needed = _SURE_OF_START if starts[best] == 0 else np.log(n) + _SURE
    if surprise[best] < needed:
        return n, bool(surprise[best] > 0)
    is_one = np.delete(surprise, best).max(initial=0.0) <= surprise[best] / 2
    return (int(starts[best]), False) if is_one else (n, True)


def _surprise(seen: Digests) -> Floats:
    """How unlikely each row is, as a natural logarithm; one that repeats the last says nothing."""
    _, code, counts = np.unique(seen, return_inverse=True, return_counts=True)
    n = len(seen)
    pairs = n * (n - 1) / 2
    equal_pairs = float((counts * (counts - 1.0) / 2).sum())
    # Of values seen once, the pairs of equal ones tell how many others there may be.
    once = max(np.log(n), np.log((pairs + 1) / (equal_pairs + 1)))
    found = np.where(counts == 1, once, np.log(n / counts))[code]
    found[1:][seen[1:] == seen[:-1]] = 0.0
    return np.asarray(found, dtype=np.float64)


def _equal_blocks(seen: Digests, given: Digests, starts: Rows, stops: Rows) -> Mask:
    """Tell which blocks of `seen` are equal to the head of `given`, by polynomials modulo 2^64."""
    n = max(len(seen), len(given))
    powers = np.full(n + 1, _FACTOR)
    powers[0] = 1
    powers = np.cumprod(powers)

    def sums(digests: Digests) -> NDArray[np.uint64]:
        terms = (digests.astype(np.uint64) + np.uint64(1)) * powers[: len(digests)]
        return np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])

    whole, head = sums(seen), sums(given[: len(seen)])
    return np.asarray(whole[stops] - whole[starts] == head[stops - starts] * powers[starts])
