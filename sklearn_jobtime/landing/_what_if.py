"""What would be if a job were faster, gone, or did not wait: the same paths, played again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.landing._precedence import Precedence

__all__ = ["WhatIf"]


@dataclass(frozen=True)
class WhatIf:
    """A change of what is to come in a run. What has happened stays as it was.

    Parameters
    ----------
    scale : dict of job -> float, default={}
        0.5 halves the time that a job takes.
    faster : dict of job -> float, default={}
        So many seconds less for a job, down to none; negative for slower.
    drop : sequence of jobs, default=()
        They take no time and do not wait; what waits for them waits for their parents.
    durations : dict of job -> array-like, default={}
        Durations in seconds that replace those of a job; those of long nights become the longest.
    start_later : float, default=0.0
        Seconds by which the run starts later, or earlier if negative. No run that goes on can.
    n_workers : int, default=None
        How many jobs may run at a time. With gaps that were learned without a number of workers the
        time that jobs waited for one is still in them.
    cut : sequence of pairs of jobs, default=()
        The second no longer waits for the first.

    Raises
    ------
    ValueError
        When a number is none that a duration can be scaled or shifted by.

    Examples
    --------
    >>> WhatIf(scale={"load": 0.5}, cut=[("extract", "report")]).jobs
    ['load', 'extract', 'report']
    """

    scale: Mapping[Any, float] = field(default_factory=dict)
    faster: Mapping[Any, float] = field(default_factory=dict)
    drop: Sequence[Any] = ()
    durations: Mapping[Any, ArrayLike] = field(default_factory=dict)
    start_later: float = 0.0
    n_workers: int | None = None
    cut: Sequence[tuple[Any, Any]] = ()

    def __post_init__(self) -> None:
        for job, factor in self.scale.items():
            if not (_is_finite(factor) and factor >= 0):
                raise ValueError(f"scale of {job!r} is {factor!r}; expected a factor from 0 up.")
        for job, seconds in self.faster.items():
            if not _is_finite(seconds):
                raise ValueError(f"faster of {job!r} is {seconds!r}; expected seconds.")
        for job, sample in self.durations.items():
            given = np.asarray(sample, dtype=np.float64)
            if not given.size or not (np.isfinite(given) & (given >= 0)).all():
                raise ValueError(f"durations of {job!r} must be seconds from 0 up, at least one.")
        is_count = isinstance(self.n_workers, Integral) and not isinstance(self.n_workers, bool)
        if self.n_workers is not None and not (is_count and self.n_workers >= 1):
            raise ValueError(f"n_workers is {self.n_workers!r}; expected at least 1.")
        if not _is_finite(self.start_later):
            raise ValueError(f"start_later is {self.start_later!r}; expected seconds.")

    @property
    def jobs(self) -> list[Any]:
        """Give the jobs that it names."""
        pairs = [job for pair in self.cut for job in pair]
        return [*self.scale, *self.faster, *self.drop, *self.durations, *pairs]

    def check(self, precedence: Precedence) -> None:
        """Raise where it names a job or an edge that is not there.

        Raises
        ------
        ValueError
        """
        for job in self.jobs:
            if job not in precedence.jobs:
                raise ValueError(
                    f"{job!r} is no job of the run; expected one of {list(precedence.jobs)}."
                )
        for parent, job in self.cut:
            if precedence.jobs.index(parent) not in precedence.parents[precedence.jobs.index(job)]:
                raise ValueError(f"{job!r} does not wait for {parent!r}; there is no edge to cut.")

    def of_times(
        self, durations: Floats, gaps: Floats, jobs: Sequence[Any]
    ) -> tuple[Floats, Floats]:
        """Change the durations ``(n_paths, n_jobs)`` and gaps of the jobs."""
        durations, gaps = durations.copy(), gaps.copy()
        for job, sample in self.durations.items():
            k = jobs.index(job)
            rank = np.argsort(np.argsort(durations[:, k], kind="stable"), kind="stable")
            share = (rank + 0.5) / len(rank)
            durations[:, k] = np.quantile(np.asarray(sample, dtype=np.float64), share)
        for job, factor in self.scale.items():
            durations[:, jobs.index(job)] *= factor
        for job, seconds in self.faster.items():
            k = jobs.index(job)
            durations[:, k] = np.maximum(durations[:, k] - seconds, 0.0)
        for job in self.drop:
            durations[:, jobs.index(job)] = gaps[:, jobs.index(job)] = 0.0
        return durations, gaps

    def of_graph(self, precedence: Precedence) -> Precedence:
        """Cut edges of the graph."""
        if not self.cut:
            return precedence
        gone = {(precedence.jobs.index(a), precedence.jobs.index(b)) for a, b in self.cut}
        parents = tuple(
            tuple(p for p in waits_for if (p, job) not in gone)
            for job, waits_for in enumerate(precedence.parents)
        )
        return Precedence(precedence.jobs, parents, precedence.order)


def _is_finite(number: Any) -> bool:
    return isinstance(number, Real) and isfinite(number)
