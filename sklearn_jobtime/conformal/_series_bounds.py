"""Bounds of every group of outputs in every series: as calibrated, then updated online.

A pool of series has one regressor but not one kind of error: a test of two seconds is off by
other factors than one of an hour, and one job that turned wild says nothing of the others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats, Key, Rows
from sklearn_jobtime.conformal._adaptive import PENDING, WINDOW, AdaptiveGroup, PoolShares
from sklearn_jobtime.conformal._calibration_split import CalibrationSplit
from sklearn_jobtime.conformal._group_quantiles import GroupQuantiles
from sklearn_jobtime.conformal._quantiles import rows_needed
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._same_rows import same_starts
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["OWN_ROWS", "SeriesBounds", "rows_of_series", "times_of"]


OWN_ROWS = 20  # calibration rows from which on a series starts from its own errors


def rows_of_series(X: Any) -> list[tuple[Key, Any]]:
    """Tell which rows each series has; arrays, plain indexes and None are one series, ``()``.

    Examples
    --------
    >>> index = pd.MultiIndex.from_tuples([("etl", 1), ("ci", 1), ("etl", 2)])
    >>> rows_of_series(pd.DataFrame(index=index))
    [(('etl',), array([0, 2])), (('ci',), array([1]))]
    """
    if not isinstance(X, pd.DataFrame) or not isinstance(X.index, pd.MultiIndex):
        return [((), slice(None))]
    clock = read_clock(X, None, None)
    order = np.argsort(clock.series, kind="stable")
    starts = np.flatnonzero(np.diff(clock.series[order])) + 1
    # A missing name is another NaN in each pickle.
    keys = [tuple(None if pd.isna(name) else name for name in key) for key in clock.keys]
    return list(zip(keys, np.split(order, starts), strict=True)) if keys else []


def times_of(X: Any, n: int) -> tuple[Floats, Floats]:
    """Tell when `n` runs started and ended, in seconds; NaN where the table does not say.

    Of a run that goes on it is when the last of its jobs so far had ended, if that is told.

    Examples
    --------
    >>> times_of(pd.DataFrame({"started_at": [0.0, 60.0], "ended_at": [90.0, None]}), 2)
    (array([ 0., 60.]), array([90., nan]))
    >>> times_of(None, 1)
    (array([nan]), array([nan]))
    """
    if isinstance(X, pd.DataFrame) and STARTED_AT in X and ENDED_AT in X:
        clock = read_clock(X)
        return np.asarray(clock.started), np.asarray(clock.last_known)
    return np.full(n, np.nan), np.full(n, np.nan)


class Ends:
    """When the newest runs of a series started and ended: outcomes of later steps are known then.

    Examples
    --------
    >>> ends, started = Ends(), np.array([0.0, 60.0, 120.0])
    >>> ends.add(started, started + 45)
    >>> ends.of(started, started + 45, steps=(2,))
    array([105., 165., 165.])
    """

    def __init__(self) -> None:
        self._times = np.empty((0, 2))

    def add(self, started: Floats, ended: Floats) -> None:
        """Add runs, or say anew when they ended."""
        if np.isnan(started).any():
            return
        new = np.column_stack([started, np.where(np.isnan(ended), np.inf, ended)])
        old = self._times
        if len(old) and len(new) and old[-1, 0] + 1 >= new[:, 0].min():
            clocks = [Clock(np.zeros(len(one), np.intp), [()], one[:, 0]) for one in (old, new)]
            nothing = [np.empty((len(one), 0)) for one in (old, new)]
            again = same_starts(clocks[0], clocks[0].series, nothing[0], clocks[1], nothing[1])
            old = old[again < 0]
        times = np.concatenate([old, new])
        self._times = times[np.argsort(times[:, 0], kind="stable")]

    def forget(self, ahead: int) -> None:
        """Keep as many of the newest runs as a row that is known late may need."""
        self._times = self._times[-(PENDING + 2 * ahead) :]

    def of(self, started: Floats, ended: Floats, steps: Sequence[int]) -> Floats:
        """Give when the runs of all `steps` had ended, or the last known one where one is missing.

        Returns
        -------
        ndarray of shape (n,)
            `ended` where nobody says when runs started.
        """
        if not len(self._times):
            return ended
        starts, ends = self._times.T
        order = np.argsort(started, kind="stable")
        place = np.searchsorted(starts, started)
        place[order] += np.arange(len(order)) - np.searchsorted(started[order], started[order])
        place = place[:, None] + np.asarray(steps) - 1  # runs that start at once keep their order
        later = ends[np.minimum(place, len(ends) - 1)]
        last = ends[np.isfinite(ends)].max(initial=-np.inf)
        return np.where(np.isfinite(later), later, last).max(axis=1)


def _codes(series: list[tuple[Key, Any]], n: int) -> Rows:
    codes = np.zeros(n, dtype=np.intp)
    for code, (_, rows) in enumerate(series):
        codes[rows] = code
    return codes


def _of_one_series(rows: Rows, when: Floats, codes: Rows) -> list[Rows]:
    """Split some rows, in the order of a time, wherever the series changes."""
    if len(rows) < 2:  # the split takes longer than all the rest of an update
        return [rows] if len(rows) else []
    order = rows[np.argsort(when[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


class SeriesBounds:
    """The largest errors that are inside, for each group of outputs and each series.

    Parameters
    ----------
    groups : ndarray of int, shape (n_outputs,)
        The outputs with the same number are covered together.
    steps : ndarray of int, shape (n_outputs,)
        How many runs ahead each output is, 1 for the run of the row itself.
    split : CalibrationSplit
        Errors of the calibration rows, in time order.
    series : list of (tuple, rows)
        Which of these rows each series has.
    symmetric : bool
        Whether intervals are made of one error for both sides.
    group_conditional : bool
        Whether a series that was not updated yet has the bounds of its own rows, where they are
        enough, and not those of all series.

    Attributes
    ----------
    pooled : list of GroupQuantiles
        Of each group, over all series.
    own : dict of tuple to list of GroupQuantiles
        The same of each series with enough rows; empty if there is one series only.
    updated : dict of tuple to list of AdaptiveGroup
        The series that have been updated.

    Examples
    --------
    >>> errors = np.arange(1.0, 41.0)[:, None]
    >>> split = CalibrationSplit(errors, -errors, np.zeros((40, 1), dtype=bool))
    >>> one, series = np.array([0]), rows_of_series(None)
    >>> bounds = SeriesBounds(one, one + 1, split, series, symmetric=True, group_conditional=False)
    >>> bounds.errors(None, "above", np.array([0.5, 0.9]))
    array([[21., 37.]])
    """

    def __init__(
        self,
        groups: Rows,
        steps: Rows,
        split: CalibrationSplit,
        series: list[tuple[Key, Any]],
        *,
        symmetric: bool,
        group_conditional: bool,
    ) -> None:
        codes = _codes(series, len(split))
        self._groups = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
        self._steps = [tuple(np.unique(steps[outputs]).tolist()) for outputs in self._groups]
        self._own_run = np.flatnonzero(steps == steps.min())
        self._sides = ("above", "both") if symmetric else ("above", "below")
        self._group_conditional = group_conditional

        def of(rows: Any) -> list[GroupQuantiles]:
            own = split[rows]
            return [
                GroupQuantiles.calibrated(outputs, own[:, outputs], codes[rows], WINDOW)
                for outputs in self._groups
            ]

        self.pooled = of(slice(None))
        least = 1 if group_conditional else OWN_ROWS
        several = series if len(series) > 1 else []
        counts = np.bincount(codes, minlength=len(series))
        self.own = {
            key: of(rows) for (key, rows), n in zip(several, counts, strict=False) if n >= least
        }
        self.updated: dict[Key, list[AdaptiveGroup]] = {}
        self._learned: list[set[Key]] = [set() for _ in self._groups]  # series of each group
        self._ends: dict[Key, Ends] = {}
        self._pools = [
            {side: PoolShares(len(several)) for side in self._sides} if several else {}
            for _ in self._groups
        ]

    def learn(
        self, X: Any, split: CalibrationSplit, started: Floats, ended: Floats
    ) -> tuple[int, bool]:
        """Update the bounds of each series with new errors.

        The rows are learned in the order in which their outcomes were known, where there are
        times, else in the given one.

        Parameters
        ----------
        X : DataFrame or array of shape (n, ...), or None
            Whose rows tell the series.
        split : CalibrationSplit
            Errors of the n rows.
        started, ended : ndarray of shape (n,)
            As :func:`times_of` gives them.

        Returns
        -------
        n_runs : int
            How many of the rows tell something of their own run.
        alarmed : bool
            Whether there was an alarm.
        """
        series = rows_of_series(X)
        codes = _codes(series, len(split))
        known = self._known(series, started, ended)
        is_observed = split.is_observed
        alarmed = False
        for group, (outputs, steps) in enumerate(zip(self._groups, self._steps, strict=True)):
            when, new = known[steps], np.flatnonzero(is_observed[:, outputs].any(axis=1))
            errors = split[:, outputs]
            for rows in _of_one_series(new, when, codes):
                state = self._adaptive(series[codes[rows[0]]][0], group)
                alarmed |= state.learn(errors[rows], started[rows], when[rows])
        return len(np.flatnonzero(is_observed[:, self._own_run].any(axis=1))), alarmed

    def _known(
        self, series: list[tuple[Key, Any]], started: Floats, ended: Floats
    ) -> dict[tuple[int, ...], Floats]:
        """Tell for the steps of each group when it was known what became of each row."""
        known = {steps: ended if steps == (1,) else ended.copy() for steps in set(self._steps)}
        if known.keys() == {(1,)}:
            return known
        ahead = max(map(max, self._steps)) - 1
        for key, rows in series:
            ends = self._ends.setdefault(key, Ends())
            ends.add(started[rows], ended[rows])
            for steps in known.keys() - {(1,)}:
                known[steps][rows] = ends.of(started[rows], ended[rows], steps)
            ends.forget(ahead)
        return known

    def _adaptive(self, key: Key, group: int) -> AdaptiveGroup:
        """State of a series that is updated; it starts from the errors of calibration rows.

        The more series of a pool are updated, the less each of them moves what they share.
        """
        if key not in self.updated:
            self.updated[key] = self._start(key)
        if self._pools[group]:
            self._learned[group].add(key)
            for pool in self._pools[group].values():
                pool.n_series = max(pool.n_series, len(self._learned[group]))
        return self.updated[key][group]

    def _start(self, key: Key) -> list[AdaptiveGroup]:
        n_groups = len(self.pooled) * max(len(self.own), 1)
        found = []
        own = self.own.get(key, self.pooled)
        for mine, pooled, pools in zip(own, self.pooled, self._pools, strict=True):
            start = mine if mine.n_rows >= OWN_ROWS else pooled
            found.append(AdaptiveGroup(start, self._sides, n_groups, pools))
        return found

    def drift(self) -> Floats:
        """Give the drift figure of each group, of the series that is furthest off."""
        furthest = np.zeros(len(self._groups))
        for figures in self.drift_of_series().values():
            furthest = np.where(np.abs(figures) > np.abs(furthest), figures, furthest)
        return furthest

    def drift_of_series(self) -> dict[Key, Floats]:
        """Give the drift figure of each group, for each series that was updated."""
        return {
            key: np.array([state.alarm.figure for state in states])
            for key, states in self.updated.items()
        }

    def n_rows(self, X: Any) -> float | None:
        """Count the calibration rows behind the bounds of these rows; None if all were updated."""
        if all(key in self.updated for key, _ in rows_of_series(X)):
            return None
        return min(group.n_rows for group in self.pooled)

    def errors(self, X: Any, side: str, levels: Floats) -> Floats:
        """Largest error that is inside at each level.

        Parameters
        ----------
        X : DataFrame or array of shape (n, ...)
            Whose rows tell the series.
        side : str
        levels : ndarray of shape (n_levels,)

        Returns
        -------
        ndarray of shape (n, n_outputs, n_levels)
            Or (n_outputs, n_levels) where it is the same for all rows.
        """
        pooled = self._together(self.pooled, side, levels)
        found = rows_of_series(X)
        if len(found) == 1:
            return self._of(found[0][0], pooled, side, levels)
        errors = np.empty((len(X), *pooled.shape))
        for key, rows in found:
            errors[rows] = self._of(key, pooled, side, levels)
        return errors

    def _of(self, key: Key, pooled: Floats, side: str, levels: Floats) -> Floats:
        if key in self.updated:
            return self._together(self.updated[key], side, levels)
        if not self._group_conditional or key not in self.own:
            return pooled
        needed = np.array([rows_needed(level) for level in levels])
        enough = np.empty((len(pooled), 1))
        for group in self.own[key]:
            enough[group.outputs] = group.n_rows
        return np.where(enough >= needed, self._together(self.own[key], side, levels), pooled)

    def _together(
        self, sources: Sequence[GroupQuantiles | AdaptiveGroup], side: str, levels: Floats
    ) -> Floats:
        errors = np.empty((sum(map(len, self._groups)), len(levels)))
        for outputs, source in zip(self._groups, sources, strict=True):
            errors[outputs] = source.errors(side, levels)
        return errors
