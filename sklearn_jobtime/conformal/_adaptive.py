"""Bounds that are updated online: adaptive conformal inference, one run at a time.

The state of one series of errors is a few dozen numbers, and a step costs microseconds, so a
scheduler can feed each run as it ends. Nothing here knows of forecasts or estimators.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from math import inf, isnan, nan
from typing import Any

import numpy as np

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.conformal._calibration_split import CalibrationSplit
from sklearn_jobtime.conformal._drift import DriftAlarm
from sklearn_jobtime.conformal._group_quantiles import GroupQuantiles

__all__ = ["PENDING", "WINDOW", "AdaptiveBound", "AdaptiveGroup", "PoolShares"]


TAILS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5)  # shares of misses that have a bound

WINDOW = 100  # newest errors, of which a bound is an order statistic
RATE = 0.3  # how far one miss moves the share of misses aimed at, relative to the nominal one
REACH = 5.0  # how far it may move below zero, relative to the nominal one, before all is inside
MOST = 0.9  # of the errors may be above a bound, whatever was inside for however long

POOL_RATE = 0.4  # how far a miss in every series moves the share that all of them aim at
POOL_REACH = (-0.5, 4.0)  # how far that may move it, relative to the nominal one
POOL_ALIKE = 0.1  # correlation of misses known at once: a slow night is slow for many

PENDING = 50  # bounds that are remembered: of runs that started before so many others had ended
POOL_PENDING = 200  # the same, of runs of any series

TIE = 1e-9  # a share of a count may be a little less than the whole number it is


class PoolShares:
    """By how much the shares aimed at are off in all series of a pool alike.

    After a wild spell the bounds of every series are too wide, and each would take hundreds of
    runs of its own to find that out. Together they need only a few. But runs that become known
    at once, such as all tests of a build, are late together when that night was slow: n of them
    count as ``n / (1 + (n - 1) * POOL_ALIKE)`` (the design effect of a cluster sample).

    Parameters
    ----------
    n_series : int
        Each of so many series moves the shares by one part of `POOL_RATE`.

    Attributes
    ----------
    moves : list of float
        What is added to the share aimed at, for each of `TAILS`.

    References
    ----------
    L. Kish, "Survey sampling", Wiley, 1965: the design effect.

    Examples
    --------
    >>> from sklearn_jobtime.conformal._adaptive import TAILS, PoolShares
    >>> one_by_one, at_once = PoolShares(n_series=10), PoolShares(n_series=10)
    >>> for run in range(21):
    ...     one_by_one.learn([False] * len(TAILS), ended=60.0 * run)
    ...     at_once.learn([False] * len(TAILS), ended=60.0)
    >>> [round(pool.moves[TAILS.index(0.1)], 3) for pool in (one_by_one, at_once)]
    [0.084, 0.028]
    """

    def __init__(self, n_series: int) -> None:
        self.n_series = n_series
        self.moves = [0.0] * len(TAILS)
        self._since = -inf  # when the moves became what they are
        self._at_once = 0  # runs that became known then
        self._excess = [0.0] * len(TAILS)  # misses among them beyond the nominal share
        self._past: deque[tuple[float, list[float]]] = deque(maxlen=POOL_PENDING)

    def learn(self, missed: Sequence[bool], ended: float = nan) -> None:
        """Learn for which of `TAILS` a run of any series was a miss, and when that was known."""
        if ended != self._since or not self._past:
            self._past.append((self._since, self.moves))
            self._since = self._since if isnan(ended) else max(self._since, ended)
            self._at_once, self._excess = 0, [0.0] * len(TAILS)
        self._at_once += 1
        each = zip(self._excess, missed, TAILS, strict=True)
        self._excess = [excess + miss - tail for excess, miss, tail in each]
        alike = 1 + (self._at_once - 1) * POOL_ALIKE
        rate, (least, most) = POOL_RATE / self.n_series / alike, POOL_REACH
        self.moves = [
            min(max(before - rate * excess, least * tail), most * tail)
            for before, tail, excess in zip(self._past[-1][1], TAILS, self._excess, strict=True)
        ]

    def at(self, time: float) -> list[float]:
        """Give the moves as they were at a time; NaN is now."""
        if isnan(time) or time >= self._since:
            return self.moves
        return earlier(self._past, time)


def earlier(past: deque[tuple[float, Any]], time: float) -> Any:
    """Return the newest entry that began at a time or before, or the oldest."""
    return next((entry for began, entry in reversed(past) if began <= time), past[0][1])


class AdaptiveBound:
    """Bounds that the next error stays below with the nominal coverage, in the long run.

    The bound that may be missed with a share `tail` is an order statistic of the newest errors,
    but not always at `tail`: each miss lowers the share aimed at, each hit raises it a little. So
    whatever the errors do, misses in excess of the nominal share are made up for.

    Parameters
    ----------
    errors : iterable of float
        Errors known so far, oldest first.
    pool : PoolShares, default=None
        What is learned together with the bounds of other series.

    Notes
    -----
    This is the rule of Gibbs and Candès with the step ``RATE * tail``, over a sliding window of
    `WINDOW` errors. Beyond the largest error of the window the bound goes on growing, to infinity
    where the share aimed at is ``-REACH * tail``. Therefore after T steps, on any sequence, the
    share of misses is at most ``tail + (1 + REACH + RATE) / (RATE * T)``, if each run is known
    before the next is forecast. Where up to D runs are pending when one is forecast, D more may
    miss; in a pool REACH is larger by the upper end of `POOL_REACH`. The other way round nothing is
    forced: where a job takes the same time each night, no run is called a miss to make up for it.

    The rule and its constants were chosen by measurement on real histories
    (``benchmarks/adaptive.py``).

    References
    ----------
    I. Gibbs, E. Candès, "Adaptive conformal inference under distribution shift", NeurIPS 2021.

    I. Gibbs, E. Candès, "Conformal inference for online prediction with arbitrary distribution
    shifts", Journal of Machine Learning Research 25, 2024.

    A. Angelopoulos, E. Candès, R. J. Tibshirani, "Conformal PID control for time series
    prediction", NeurIPS 2023.

    Examples
    --------
    >>> from sklearn_jobtime.conformal import AdaptiveBound
    >>> state = AdaptiveBound(range(1, 41))
    >>> state.bounds([0.1, 0.5])
    array([37., 21.])
    >>> for _ in range(40):
    ...     state.step(50.0)
    >>> state.bounds([0.1, 0.5])
    array([50., 50.])
    """

    def __init__(self, errors: Iterable[float], pool: PoolShares | None = None) -> None:
        self._newest = deque((float(e) for e in errors), maxlen=WINDOW)
        self._sorted = sorted(self._newest)
        self._shares = list(TAILS)
        self._pool = pool

    def step(
        self,
        error: float,
        *,
        is_censored: bool = False,
        in_force: Sequence[float] | None = None,
        ended: float = nan,
    ) -> None:
        """Learn the error of a run.

        Parameters
        ----------
        error : float
        is_censored : bool, default=False
            The run is right-censored and its error is at least this: then only a miss counts.
        in_force : sequence of float, default=None
            The bounds at `TAILS` when the run was forecast, from :meth:`at_tails`; None: those of
            now. Misses of these are made up for.
        ended : float, default=NaN
            When the error was known, in seconds; for a pool.
        """
        missed = [error > bound for bound in (in_force or self.at_tails())]
        if is_censored and not any(missed):
            return
        if self._pool is not None and not is_censored:
            self._pool.learn(missed, ended)
        self._shares = [
            share if is_censored and not miss else min(share - RATE * tail * (miss - tail), MOST)
            for share, tail, miss in zip(self._shares, TAILS, missed, strict=True)
        ]
        if len(self._newest) == WINDOW:
            del self._sorted[bisect_left(self._sorted, self._newest[0])]
        self._newest.append(error)
        insort(self._sorted, error)

    def bounds(self, tails: Sequence[float] | Floats) -> Floats:
        """Give the bounds that are to be missed with the shares `tails`.

        Between the shares in `TAILS` the bounds are interpolated; a share smaller than all of them
        has an infinite one.
        """
        bounds = np.array(self.at_tails())
        tails = np.asarray(tails, dtype=np.float64)
        place = np.interp(np.log(tails), np.log(TAILS), np.arange(len(TAILS))).round(9)
        rarer, part = place.astype(np.intp), place % 1
        asked = bounds[rarer]
        mixed = np.flatnonzero((part > 0) & np.isfinite(asked))
        far, near = asked[mixed], bounds[rarer[mixed] + 1]
        asked[mixed] = np.maximum(far - part[mixed] * (far - near), near)
        return np.where(tails < TAILS[0] * (1 - TIE), np.inf, asked)

    def at_tails(self, time: float = nan) -> list[float]:
        """Bounds at `TAILS`; that of a rarer miss is never the nearer one.

        With a `time`, the pool has the part that it had then.
        """
        errors, n = self._sorted, len(self._sorted)
        shares = self._shares
        if self._pool is not None:
            moves = self._pool.at(time)
            shares = [min(own + move, MOST) for own, move in zip(shares, moves, strict=True)]
        bounds, farthest = [], -inf
        for share, tail in zip(reversed(shares), reversed(TAILS), strict=True):
            n_above = share * (n + 1)
            bound = (
                errors[n - min(int(n_above + TIE), n)]
                if n_above >= 1
                else self._beyond(n_above, tail)
            )
            farthest = bound if bound > farthest else farthest
            bounds.append(farthest)
        return bounds[::-1]

    def _beyond(self, n_above: float, tail: float) -> float:
        """Bound above the largest error of the window: as far from it as the aim is below one."""
        n = len(self._sorted)
        part = (1 - n_above) / ((n + 1) * REACH * tail + 1)
        if part >= 1 or not n or self._sorted[-1] == inf:
            return inf
        largest = self._sorted[-1]
        return largest + (largest - self._sorted[n // 2]) * part / (1 - part)


class AdaptiveGroup:
    """Adaptive bounds of one group of outputs on each side of the forecast, and their alarm.

    Parameters
    ----------
    start : GroupQuantiles
        The calibration errors, from which it starts.
    sides : sequence of str
        The sides of the forecast that have a bound, ``"above"`` among them.
    n_groups : int
        How many groups there are, over all series.
    pools : dict of str to PoolShares, default=None
        For each side, what is learned together with the same group of other series.

    Examples
    --------
    >>> errors = np.arange(1.0, 41.0)[:, None]
    >>> split = CalibrationSplit(errors, -errors, np.zeros((40, 1), dtype=bool))
    >>> start = GroupQuantiles.calibrated(np.array([0]), split, np.zeros(40, int), WINDOW)
    >>> group, unknown = AdaptiveGroup(start, ["above"], 1), np.full(40, np.nan)
    >>> group.errors("above", np.array([0.5, 0.9]))
    array([[21., 37.]])
    >>> twice = CalibrationSplit(2 * errors, -2 * errors, split.is_censored)
    >>> group.learn(twice, unknown, unknown)
    True
    >>> bool((group.errors("above", np.array([0.5, 0.9])) > [[21, 37]]).all())
    True
    """

    def __init__(
        self,
        start: GroupQuantiles,
        sides: Sequence[str],
        n_groups: int,
        pools: dict[str, PoolShares] | None = None,
    ) -> None:
        self._scales = start.scales()
        pools = pools or {}
        self._bounds = {s: AdaptiveBound(start.newest[s], pools.get(s)) for s in sides}
        self._since = -inf  # when the bounds became what they are
        self._past: deque[tuple[float, list[list[float]]]] = deque(maxlen=PENDING)
        above = start.sides["above"]
        has_ended = np.diff(above.covered, prepend=0.0) > 0  # the alarm learns no other runs
        self.alarm = DriftAlarm(above.errors[has_ended].tolist(), n_groups)

    def learn(self, split: CalibrationSplit, started: Floats, ended: Floats) -> bool:
        """Learn the errors of runs in the order of their ends, and tell whether there is an alarm.

        Parameters
        ----------
        split : CalibrationSplit
            Errors of n runs.
        started, ended : ndarray of shape (n,)
            When each run was forecast and when its outcome was known; NaN where nobody says so:
            then it was forecast after all runs before it were known.
        """
        errors = split.row_errors(self._scales)
        sides = zip(*(errors[side].tolist() for side in self._bounds), strict=True)
        censored = np.asarray(split.is_censored.any(axis=1)).tolist()
        times = zip(started.tolist(), ended.tolist(), strict=True)
        for of_sides, is_censored, (start, end) in zip(sides, censored, times, strict=True):
            if max(of_sides) == -inf:
                continue
            in_force = self._in_force(start, end)
            for side, error, bounds in zip(self._bounds, of_sides, in_force, strict=True):
                if error > -inf and not (is_censored and side == "below"):
                    self._bounds[side].step(
                        error, is_censored=is_censored, in_force=bounds, ended=end
                    )
        alarmed = False
        for error, is_censored in zip(errors["above"].tolist(), censored, strict=True):
            if error > -inf and not is_censored:
                alarmed |= self.alarm.step(error)
        return alarmed

    def _in_force(self, start: float, end: float) -> list[list[float]]:
        """Bounds on each side when a run started; from its end on they are other ones."""
        since = self._since
        if not isnan(end):
            self._past.append((since, [b.at_tails(since) for b in self._bounds.values()]))
            self._since = max(since, end)
        if start < since:
            return earlier(self._past, start)
        return [bound.at_tails(start) for bound in self._bounds.values()]

    def errors(self, side: str, levels: Floats) -> Floats:
        """Largest error that is inside at each level, of shape (n_outputs, n_levels)."""
        scales = np.ones(1) if self._scales is None else self._scales
        return scales[:, None] * self._bounds[side].bounds(1 - levels)
