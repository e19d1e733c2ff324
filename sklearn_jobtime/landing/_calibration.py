"""What held-out nights say: their surprises, and how far off landings are at each stage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.landing._bounds import StageBounds, stage_counts, stage_errors
from sklearn_jobtime.landing._lateness import lateness
from sklearn_jobtime.landing._live import LandingPaths, RunPlan, draw, play
from sklearn_jobtime.landing._nights import Nights
from sklearn_jobtime.landing._surprises import Surprises

__all__ = ["Calibration"]


LEAST_NIGHTS = 2  # held-out nights: of one nobody can tell how nights differ
PRIOR_NIGHTS = 200  # that say that a forecast is the median of its job
MOST_NIGHTS = 300  # newest held-out nights that are kept
REPLAY_PATHS = 200  # of a night that is forecast from the others: enough for a median and a spread
AT_START = 0.0
GOLDEN = 0.618034  # its multiples, less whole numbers, fill the interval evenly


class Calibration:
    """Surprises of held-out nights, and bounds of landings that were learned from their replays.

    Each held-out night is forecast from all others, at its start and at the stages behind it, as if
    it went on; how far off that was says how wide an interval has to be.

    Parameters
    ----------
    nights : Nights
        The held-out ones, in time order.
    gaps : ndarray of shape (n_nights, n_jobs + 1)
        How long their jobs waited.
    plans : sequence of RunPlan
        What was expected of each when it started.
    seed : int
        Of the sample paths.

    Attributes
    ----------
    surprises : Surprises

    Raises
    ------
    NoHistoryError
        When there are fewer than two nights.
    """

    def __init__(self, nights: Nights, gaps: Floats, plans: Sequence[RunPlan], seed: int) -> None:
        whole = ~np.isnan(nights.durations).any(axis=1)
        if whole.sum() < LEAST_NIGHTS:
            whole = ~np.isnan(nights.durations).all(axis=1)
        if whole.sum() < LEAST_NIGHTS:
            raise NoHistoryError(
                f"{int(whole.sum())} held-out nights with a job that succeeded; expected at least "
                f"{LEAST_NIGHTS}: pass a longer history, or raise calibration_fraction."
            )
        self._seed = seed
        rows = np.flatnonzero(whole)[-MOST_NIGHTS:]
        self._late = np.array([_surprise(nights, gaps, plans[row], row) for row in rows])
        self._skipped = nights.skipped[rows]
        self.surprises = Surprises(_centred(self._late, self._skipped))
        self._n_replayed = 0
        self._stages = stage_counts(nights.durations.shape[1])
        errors = [
            self._replayed(nights, row, plans[row], self.surprises.without(k))
            for k, row in enumerate(rows)
        ]
        self._bounds = StageBounds(np.array(errors))

    @property
    def n_nights(self) -> int:
        """How many nights are kept."""
        return len(self.surprises.nights)

    def learn(self, nights: Nights, row: int, gaps: Floats, plan: RunPlan) -> None:
        """Learn what became of one more night."""
        if np.isnan(nights.durations[row]).all():
            return
        self._bounds.learn(self._replayed(nights, row, plan, self.surprises))
        late = _surprise(nights, gaps, plan, row)
        self._late = np.vstack([self._late, late])[-MOST_NIGHTS:]
        self._skipped = np.vstack([self._skipped, nights.skipped[row]])[-MOST_NIGHTS:]
        self.surprises = Surprises(_centred(self._late, self._skipped))

    def random(self) -> np.random.Generator:
        """Give the generator that each run begins anew with: its paths do not depend on others."""
        return np.random.default_rng(self._seed)

    def interval_of(
        self, paths: LandingPaths, levels: Floats, now: float, *, together: bool
    ) -> Floats:
        """Give the intervals of a run from its sample paths, of shape (n_jobs + 1, 2, n_levels)."""
        centre, below, above = paths.centre_and_spreads()
        bound = self._bounds.at(self._stage_of(paths, now), levels, together=together)
        is_known = self._is_known(paths)
        bound = np.where(is_known[:, None], 0.0, bound)
        low = np.maximum(
            centre[:, None] - bound * below[:, None], np.where(is_known, 0.0, now)[:, None]
        )
        return np.stack([low, centre[:, None] + bound * above[:, None]], axis=1)

    def chance_of(self, paths: LandingPaths, limits: ArrayLike, now: float) -> Floats:
        """Chance that each job, and the run, has landed by its limit, of shape (n_jobs + 1,).

        It is told by how far off held-out nights were relative to their own sample paths: what
        share of these paths lands by then says too little where nights are few. Where no
        landing can lie before now the share is one of those that are left.
        """
        centre, below, above = paths.centre_and_spreads()
        limits = np.broadcast_to(np.asarray(limits, float), centre.shape)
        stage = self._stage_of(paths, now)
        by_limit, by_now = (
            self._bounds.share_by(
                stage, np.where(at > centre, (at - centre) / above, (at - centre) / below)
            )
            for at in (limits, np.full(len(centre), now if now > 0 else -np.inf))
        )
        chances = (by_limit - by_now) / (1 - by_now)
        least = 1 / (self.n_nights + 1)
        chances = np.where(limits < now, 0.0, np.clip(chances, least, 1 - least))
        is_known = self._is_known(paths)
        chances = np.where(is_known, centre <= limits, chances)
        return np.where(np.append(paths.blocked, paths.blocked.any()), 0.0, chances)

    def _moments(self, ends: Floats) -> Floats:
        """Give a moment of each stage at which a night is replayed; NaN for one it did not reach.

        A run is asked for just after a job has ended, or at any time; so is every other night.
        """
        self._n_replayed += 1
        times = np.append(AT_START, np.sort(ends[~np.isnan(ends)]))
        later = 0.0 if self._n_replayed % 2 else self._n_replayed * GOLDEN % 1
        moments = np.full(len(self._stages), np.nan)
        moments[0] = AT_START
        for stage, n_ended in enumerate(self._stages[1:], start=1):
            if n_ended < len(times) - 1:
                until = self._stages[stage + 1] if stage + 1 < len(self._stages) else len(ends)
                share = self._n_replayed * GOLDEN % 1 if n_ended == 0 else later
                lasts = times[min(until, len(times) - 1)] - times[n_ended]
                moments[stage] = times[n_ended] + share * lasts
        return moments

    def _stage_of(self, paths: LandingPaths, now: float) -> int:
        n_ended = int(paths.is_known.sum())
        if now <= AT_START:
            return 0
        return int(np.searchsorted(self._stages, n_ended, side="right") - 1)

    @staticmethod
    def _is_known(paths: LandingPaths) -> Mask:
        return np.append(paths.is_known, paths.is_known.all() and np.ptp(paths.whole) == 0)

    def _replayed(self, nights: Nights, row: int, plan: RunPlan, surprises: Surprises) -> Floats:
        """Forecast a night that is over at each stage, and tell how far off that was.

        Returns
        -------
        ndarray of shape (n_stages, n_jobs + 1)
        """
        ends = nights.ends[row]
        landings = np.append(ends, nights.run_end(row))
        errors = np.full((len(self._stages), len(landings)), np.nan)
        for stage, now in enumerate(self._moments(ends)):
            if np.isnan(now):
                continue
            so_far = nights.as_of(row, float(now))
            drawn = draw(plan, surprises, so_far, REPLAY_PATHS, self.random())
            paths = play(plan, drawn, so_far)
            is_known = np.append(paths.is_known, False)
            errors[stage] = stage_errors(landings, *paths.centre_and_spreads(), is_known)
        return errors


def _surprise(nights: Nights, gaps: Floats, plan: RunPlan, row: int) -> Floats:
    """Give how much longer than forecast the jobs of a night took, and its unusual gaps."""
    late = lateness(nights.durations[row], plan.forecast, plan.least)
    return np.append(late, gaps[row] - plan.usual_gaps)


def _centred(late: Floats, skipped: Mask) -> Floats:
    """Take out most of the median lateness of each job: a forecast follows levels, a mean does not.

    What is left of it are the nights over the nights and `PRIOR_NIGHTS`; a job that was skipped
    took no time, however late others were.
    """
    n_jobs = skipped.shape[1]
    jobs = np.where(skipped, np.nan, late[:, :n_jobs])
    seen = ~np.isnan(jobs).all(axis=0)
    middle = np.zeros(n_jobs)
    middle[seen] = np.nanmedian(jobs[:, seen], axis=0)
    n = (~np.isnan(jobs)).sum(axis=0)
    moved = late.copy()
    moved[:, :n_jobs] -= np.where(skipped, 0.0, middle * PRIOR_NIGHTS / (n + PRIOR_NIGHTS))
    return moved
