"""What was known when: which runs had ended when another one started.

Everything that looks back (windows, rolling rules, the last success) asks this module, so that
the rule against leakage is written once:

    run ``i`` is known to row ``t`` of the same series when ``ended[i] <= started[t]`` and ``i``
    comes before ``t`` in start order (equal starts keep their row order).

Of one job, `ended` is its own end, where the table says when it started
(:meth:`Clock.of_job <sklearn_jobtime.point_in_time.Clock.of_job>`); else that of its run.

Sorted by ``(ended, started, row)``, the runs known to a row are a prefix of its series, so one
sort answers the question for all rows and no loop over rows is needed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.point_in_time._clock import Clock

__all__ = ["EndedOrder", "ended_by_job", "ended_order", "rows_to_remember"]


@dataclass(frozen=True)
class EndedOrder:
    """The runs in the order of their ends, and for each asked row the slice that it may use.

    ``order[first[t]:stop[t]]`` are the numbers of the runs known to the t-th asked row, oldest end
    first. One sort serves every question about a table: which successes, which runs alike.
    ``asked[t]`` is the number of that row among all runs.
    """

    order: Rows
    first: Rows
    stop: Rows
    asked: Rows

    def at(self, places: Rows) -> EndedOrder:
        """Answer for some of the asked rows alone."""
        first, stop = self.first[places], self.stop[places]
        return EndedOrder(self.order, first, stop, self.asked[places])

    def only(self, eligible: Mask) -> EndedOrder:
        """Leave out the runs that are not `eligible`, a mask of all runs of the table."""
        kept = eligible[self.order]
        before = np.concatenate([[0], np.cumsum(kept)])
        return EndedOrder(self.order[kept], before[self.first], before[self.stop], self.asked)

    def within(self, groups: Rows) -> EndedOrder:
        """Leave to each row the runs of its own group.

        Parameters
        ----------
        groups : ndarray of int, shape (n,)
            The group of every run of the table, counted from 0. It splits the series: runs of two
            series are never of one group.
        """
        asked = groups[self.asked]
        place = np.flatnonzero(np.isin(groups[self.order], asked))
        group = groups[self.order[place]]
        by_group = np.argsort(group, kind="stable")
        size = len(self.order) + 1
        keys = group[by_group] * size + place[by_group]
        return EndedOrder(
            self.order[place[by_group]],
            np.searchsorted(keys, asked * size + self.first),
            np.searchsorted(keys, asked * size + self.stop),
            self.asked,
        )


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
        return EndedOrder(rows, np.zeros(n - first, dtype=np.intp), stop, asked)

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
    return EndedOrder(row[is_end], starts[series[asked]], stop, asked)


def ended_by_job(
    clock: Clock, jobs: Iterable[Hashable], first: int = 0
) -> dict[Hashable, EndedOrder]:
    """Sort runs by the ends of each job; those of the runs where its own are not told.

    Parameters
    ----------
    clock : Clock
    jobs : iterable of hashable
    first : int, default=0
        As for :func:`ended_order`.

    Returns
    -------
    dict of job to EndedOrder
    """
    of_runs: EndedOrder | None = None
    found: dict[Hashable, EndedOrder] = {}
    for job in jobs:
        own = clock.of_job(job)
        if own is clock and of_runs is not None:
            found[job] = of_runs
            continue
        found[job] = ended_order(own.series, own.started, own.ended, first=first)
        of_runs = found[job] if own is clock else of_runs
    return found


def _starts(series: Rows, n_series: int) -> Rows:
    """Where each series begins once the rows are sorted by series."""
    counts = np.bincount(series, minlength=n_series)
    return np.cumsum(counts) - counts


def rows_to_remember(
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
