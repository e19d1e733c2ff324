"""Sample paths of one run, from what is known of it now."""

from dataclasses import dataclass

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.landing._lateness import lateness, seconds_of
from sklearn_jobtime.landing._nights import NightSoFar
from sklearn_jobtime.landing._precedence import Precedence
from sklearn_jobtime.landing._schedule import Schedule, schedule
from sklearn_jobtime.landing._surprises import Paths, Surprises
from sklearn_jobtime.landing._what_if import WhatIf

__all__ = ["LandingPaths", "RunPlan", "draw", "play"]


SPREAD_QUANTILES = (0.16, 0.5, 0.84)  # the median, and about a standard deviation to each side
LEAST_SPREAD = 1e-3  # of the median: no landing is known better before it is there
LEAST_SECONDS = 0.01


@dataclass(frozen=True)
class RunPlan:
    """What a run is expected to be, when it starts.

    Parameters
    ----------
    precedence : Precedence
    forecast : ndarray of shape (n_jobs,)
        Seconds.
    usual_gaps : ndarray of shape (n_jobs + 1,)
        Seconds that each job waits after it is ready, and the run after its last job.
    least : ndarray of shape (n_jobs,)
        Durations up to which the clock tells nothing apart.
    n_workers : int or None
    """

    precedence: Precedence
    forecast: Floats
    usual_gaps: Floats
    least: Floats
    n_workers: int | None


@dataclass(frozen=True)
class LandingPaths:
    """Sample paths of a run.

    Parameters
    ----------
    played : Schedule
    whole : ndarray of shape (n_paths,)
        End of the run.
    blocked : ndarray of bool, shape (n_jobs,)
        Jobs that will not land, because they or a job that they wait for did not succeed.
    is_known : ndarray of bool, shape (n_jobs,)
        Jobs that have landed.
    """

    played: Schedule
    whole: Floats
    blocked: Mask
    is_known: Mask

    @property
    def landings(self) -> Floats:
        """Seconds after the start, ``(n_paths, n_jobs + 1)``, the run last; NaN for never."""
        ends = np.column_stack([self.played.ends, self.whole])
        ends[:, np.append(self.blocked, self.blocked.any())] = np.nan
        return ends

    def centre_and_spreads(self) -> tuple[Floats, Floats, Floats]:
        """Give the median of each landing, and about a standard deviation below and above it."""
        in_order = np.sort(self.landings, axis=0)
        at = np.array(SPREAD_QUANTILES)[:, None] * (len(in_order) - 1)
        before = at.astype(int)[:, 0]
        low, median, high = in_order[before] + (at - before[:, None]) * (
            in_order[np.minimum(before + 1, len(in_order) - 1)] - in_order[before]
        )
        least = np.maximum(LEAST_SPREAD * median, LEAST_SECONDS)
        return median, np.maximum(median - low, least), np.maximum(high - median, least)


def draw(
    plan: RunPlan,
    surprises: Surprises,
    so_far: NightSoFar,
    n_paths: int,
    random: np.random.Generator,
) -> Floats:
    """Draw surprises of a run that agree with what is known of it, one row a path.

    Returns
    -------
    ndarray of shape (n_paths, 2 * n_jobs + 1)
    """
    paths = surprises.paths(n_paths, random)
    if not so_far.is_at_start:
        _learn(paths, plan, so_far, random)
    return paths.values


def _learn(paths: Paths, plan: RunPlan, so_far: NightSoFar, random: np.random.Generator) -> None:
    """Tell the paths what is known: of jobs that ended, then of those that run or wait."""
    n_jobs = len(plan.forecast)
    elapsed = so_far.now - so_far.started
    seconds = np.where(so_far.has_ended, so_far.took, elapsed)
    surprise = lateness(seconds, plan.forecast, plan.least)
    ready = plan.precedence.ready(np.where(so_far.has_ended, so_far.started + so_far.took, np.nan))
    waited = np.maximum(np.where(np.isnan(so_far.started), so_far.now, so_far.started) - ready, 0.0)
    late = waited - plan.usual_gaps[:n_jobs]
    has_started = ~np.isnan(so_far.started)
    for job in plan.precedence.order:
        if has_started[job] and plan.n_workers is None and not np.isnan(late[job]):
            paths.learn(n_jobs + job, late[job])
        if so_far.has_ended[job] and so_far.took[job] > 0:
            paths.learn(job, surprise[job])
    for job in plan.precedence.order:
        if so_far.is_running[job]:
            paths.learn_at_least(job, surprise[job], random)
        elif not has_started[job] and plan.n_workers is None and not np.isnan(late[job]):
            paths.learn_at_least(n_jobs + job, late[job], random)


def play(
    plan: RunPlan, surprises: Floats, so_far: NightSoFar, what_if: WhatIf | None = None
) -> LandingPaths:
    """Send surprises through the graph.

    Parameters
    ----------
    plan : RunPlan
    surprises : ndarray of shape (n_paths, 2 * n_jobs + 1)
    so_far : NightSoFar
        What is known stays as it was, and nothing else is before now.
    what_if : WhatIf, default=None
        What is changed of what is to come.

    Returns
    -------
    LandingPaths
    """
    n_jobs = len(plan.forecast)
    precedence, n_workers = plan.precedence, plan.n_workers
    durations = seconds_of(surprises[:, :n_jobs], plan.forecast, plan.least)
    gaps = np.maximum(plan.usual_gaps + surprises[:, n_jobs:], 0.0)
    start = 0.0
    if what_if is not None:
        durations, gaps = what_if.of_times(durations, gaps, precedence.jobs)
        start = what_if.start_later if so_far.is_at_start else 0.0
        n_workers = what_if.n_workers or n_workers
        precedence = what_if.of_graph(precedence)
    ended, running = so_far.has_ended, so_far.is_running
    durations[:, ended] = so_far.took[ended]
    elapsed = so_far.now - so_far.started[running]
    durations[:, running] = np.maximum(durations[:, running], elapsed)
    played = schedule(
        durations,
        gaps[:, :n_jobs],
        precedence,
        started=so_far.started,
        not_before=so_far.now,
        n_workers=n_workers,
    )
    if start:
        played = Schedule(played.starts + start, played.ends + start, played.cause)
    blocked = so_far.stopped.copy()
    blocked[list(precedence.behind(np.flatnonzero(so_far.stopped).tolist()))] = True
    whole = np.maximum(played.ends.max(axis=1) + gaps[:, -1], so_far.now)
    if not np.isnan(so_far.whole):
        whole = np.full_like(whole, so_far.whole)
    return LandingPaths(played, whole, blocked & ~ended, ended)
