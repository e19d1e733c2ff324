"""What happened in each run: when its jobs started and ended, and how long they waited."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.landing._precedence import Precedence
from sklearn_jobtime.landing._run_times import read_run_times
from sklearn_jobtime.runs._log_ratio import FINEST

__all__ = ["Nights"]


@dataclass(frozen=True)
class Nights:
    """Starts, durations and ends of the jobs of runs, in seconds after the start of their run.

    Parameters
    ----------
    starts, durations, ends : ndarray of shape (n_runs, n_jobs)
        Durations and ends are those of jobs that succeeded, or that were skipped and took no time;
        NaN where not known.
    stops : ndarray of shape (n_runs, n_jobs)
        When a job stopped that did not succeed.
    skipped : ndarray of bool, shape (n_runs, n_jobs)
        Jobs that took no time because they had nothing to do.
    whole : ndarray of shape (n_runs,)
        End of the run.
    has_starts : bool
        Whether starts come from the table; else a job starts when it is ready.
    """

    starts: Floats
    durations: Floats
    ends: Floats
    stops: Floats
    skipped: Mask
    whole: Floats
    has_starts: bool

    @classmethod
    def of(cls, runs: Any, durations: Floats | None, precedence: Precedence) -> Self:
        """Read runs.

        Parameters
        ----------
        runs : DataFrame, or anything else
            A run table. Of anything else only the durations are known.
        durations : ndarray of shape (n_runs, n_jobs) or None
            Of the jobs that succeeded, in seconds, where there is no run table.
        precedence : Precedence
        """
        if durations is None:
            times = read_run_times(runs, precedence.jobs)
            ends = np.full_like(times.starts, np.nan)
            nights = cls(
                times.starts,
                times.durations,
                ends,
                times.stops,
                times.skipped,
                times.whole,
                times.has_starts,
            )
            return nights._with_skipped(precedence)._played(precedence)
        unknown = np.full(durations.shape, np.nan)
        skipped = np.zeros(durations.shape, dtype=bool)
        whole = np.full(len(unknown), np.nan)
        nights = cls(unknown, durations, unknown, unknown, skipped, whole, False)
        return nights._with_skipped(precedence)._played(precedence)

    def _with_skipped(self, precedence: Precedence) -> Self:
        """Tell jobs that were not needed from those that did not come because the run failed.

        A step that is new, or is there on some nights only, has neither start nor duration. That it
        does not come is known when a job behind it starts, or the run ends. In a run in which a job
        failed only those count as skipped behind which a job has started.
        """
        starts, durations = self.starts.copy(), self.durations.copy()
        skipped = self.skipped.copy()
        stopped_at = np.where(np.isnan(self.stops), np.inf, starts + self.stops).min(axis=1)
        failed = ~np.isnan(self.stops).all(axis=1)
        children_of = precedence.children
        for job in reversed(precedence.order):
            children = children_of[job]
            behind = np.where(np.isnan(starts), np.inf, starts)[:, children]
            known_at = behind.min(axis=1, initial=np.inf)
            goes_on = np.isfinite(known_at)
            skipped[:, job] &= ~failed | goes_on
            if not children:
                known_at = np.where(np.isnan(self.whole), np.inf, self.whole)
            absent = np.isnan(starts[:, job]) & np.isnan(durations[:, job]) & self.has_starts
            absent &= np.isfinite(known_at) & (known_at < stopped_at) & ~skipped[:, job]
            starts[absent, job] = known_at[absent]
            skipped[absent, job] = True
        durations[skipped] = 0.0
        return replace(self, starts=starts, durations=durations, skipped=skipped)

    def _played(self, precedence: Precedence) -> Self:
        """Give jobs without a start that at which they were ready, and all their ends."""
        starts, ends = self.starts.copy(), np.full_like(self.starts, np.nan)
        for job in precedence.order:
            parents = list(precedence.parents[job])
            ready = ends[:, parents].max(axis=1) if parents else np.zeros(len(starts))
            is_unknown = np.isnan(starts[:, job])
            if self.has_starts:
                is_unknown &= self.skipped[:, job]
            starts[is_unknown, job] = ready[is_unknown]
            ends[:, job] = starts[:, job] + self.durations[:, job]
        stops = starts + self.stops
        return type(self)(
            starts, self.durations, ends, stops, self.skipped, self.whole, self.has_starts
        )

    def rows(self, rows: Any) -> Self:
        """Take some of the runs."""
        return replace(
            self,
            **{
                name: getattr(self, name)[rows]
                for name in ("starts", "durations", "ends", "stops", "skipped", "whole")
            },
        )

    def run_end(self, row: int) -> float:
        """End of a run, that of its last job where nobody says more; NaN if one did not succeed."""
        last = self.ends[row].max()
        return float(last if np.isnan(self.whole[row]) else np.maximum(self.whole[row], last))

    def as_of(self, row: int, now: float) -> "NightSoFar":
        """Say what of a run is known so many seconds after its start."""
        if now <= 0:
            return NightSoFar.at_start(self.starts.shape[1])
        by = now + FINEST  # an end that is a sum of floats may lie a little behind itself
        started = np.where(self.starts[row] <= by, self.starts[row], np.nan)
        has_ended = self.ends[row] <= by
        durations = self.durations[row]
        return NightSoFar(
            now,
            started,
            np.where(has_ended, durations, np.nan),
            self.stops[row] <= by,
            float(self.whole[row]) if self.whole[row] <= by else np.nan,
        )

    def gaps(self, precedence: Precedence, n_workers: int | None) -> Floats:
        """How long each job waited after it was ready, and the end of the run after its last job.

        Returns
        -------
        ndarray of shape (n_runs, n_jobs + 1)
            NaN where not known. With a number of workers a job is ready when one is free.
        """
        ready = precedence.ready(self.ends)
        if n_workers is not None:
            ready = np.maximum(ready, self._free_at(n_workers))
        gaps = np.maximum(self.starts - ready, 0.0)
        if not self.has_starts:
            gaps = np.where(np.isnan(self.starts), np.nan, 0.0)
        last = np.maximum(self.whole - self.ends.max(axis=1), 0.0)
        return np.column_stack([gaps, last])

    def _free_at(self, n_workers: int) -> Floats:
        """When, before its start, fewer than all workers were busy for the first time on end."""
        free = np.zeros_like(self.starts)
        for row, (starts, ends) in enumerate(zip(self.starts, self.ends, strict=True)):
            for job, start in enumerate(starts):
                before = (starts < start) | ((starts == start) & (np.arange(len(starts)) < job))
                others = np.sort(ends[before & ~np.isnan(ends)])[::-1]
                if len(others) >= n_workers:
                    free[row, job] = others[n_workers - 1]
        return free


@dataclass(frozen=True)
class NightSoFar:
    """What is known of a run that is under way.

    Parameters
    ----------
    now : float
        Seconds after its start.
    started : ndarray of shape (n_jobs,)
        Seconds after its start; NaN for jobs that have not started.
    took : ndarray of shape (n_jobs,)
        Seconds, of jobs that have ended; NaN for others.
    stopped : ndarray of bool, shape (n_jobs,)
        Jobs that failed, timed out or were cancelled.
    whole : float
        When it ended; NaN where it goes on.
    """

    now: float
    started: Floats
    took: Floats
    stopped: Mask
    whole: float

    @classmethod
    def at_start(cls, n_jobs: int) -> Self:
        """Give a run of which nothing is known yet."""
        unknown = np.full(n_jobs, np.nan)
        return cls(0.0, unknown, unknown, np.zeros(n_jobs, dtype=bool), np.nan)

    @property
    def has_ended(self) -> Mask:
        """Mark the jobs that have ended well."""
        return ~np.isnan(self.took)

    @property
    def is_running(self) -> Mask:
        """Mark the jobs that run."""
        return ~np.isnan(self.started) & ~self.has_ended & ~self.stopped

    @property
    def is_at_start(self) -> bool:
        """Whether the run has not begun, or begins now."""
        return self.now <= 0
