"""The runs of a report, series by series: what became of each, and which duration stands for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats, Ints
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.point_in_time._clock import epoch_seconds
from sklearn_jobtime.runs._jobs_of_series import has_job
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    SPOILS_RUN,
    STARTED_AT,
    WHOLE_RUN,
    series_names,
    series_of,
    start_column,
    status_column,
)
from sklearn_jobtime.runs._targets import observed_durations

__all__ = ["RUNNING", "Pool"]


NOT_KNOWN = "not known"
RUNNING = "running"


@dataclass(frozen=True)
class Pool:
    """A history, sorted into its series.

    Parameters
    ----------
    runs : DataFrame
        Runs with an outcome, validated.
    jobs : list of str
    names : list of str
        One a series, in the order of the table.
    rows : list of ndarray of int
        Of each series the positions of its runs, in start order.
    observed : DataFrame
        Durations of successes, by :func:`~sklearn_jobtime.runs.observed_durations`.
    has : DataFrame of bool
        Which jobs each run has.
    main : list of str
        Of each series the duration that stands for a run: ``whole_run``, or without ends the job
        with the most time.
    status : ndarray of str, shape (n_runs,)
        What became of each run.
    """

    runs: pd.DataFrame
    jobs: list[str]
    names: list[str]
    rows: list[Ints]
    observed: pd.DataFrame
    has: pd.DataFrame
    main: list[str]
    status: np.ndarray

    @classmethod
    def of(cls, runs: pd.DataFrame, jobs: Sequence[str], name: str | None) -> Self:
        """Sort runs into their series; `name` is that of a single one."""
        if runs.empty:
            raise RunTableError("the table has no run, so there is nothing to report on.")
        jobs = list(jobs)
        codes = pd.factorize(series_of(runs.index))[0]
        names = [name or "all"]
        if runs.index.nlevels > 1:
            names = list(pd.unique(pd.Series(series_names(runs.index))))
        order = np.arange(len(runs))
        if STARTED_AT in runs:
            order = runs[STARTED_AT].reset_index(drop=True).sort_values(kind="stable").index.array
            order = np.asarray(order)
        order = order[np.argsort(codes[order], kind="stable")]
        cuts = np.flatnonzero(np.diff(codes[order])) + 1
        rows = np.split(order, cuts)
        observed = observed_durations(runs, jobs)
        if WHOLE_RUN in observed and observed[WHOLE_RUN].isna().all():
            observed = observed.drop(columns=WHOLE_RUN)
        has = has_job(runs, jobs)
        main = [_main_of(observed.iloc[own], jobs) for own in rows]
        status = _statuses(runs, observed, jobs)
        if ENDED_AT in runs:
            newest = np.array([own[-1] for own in rows])
            has_end = np.array([runs[ENDED_AT].iloc[own].notna().any() for own in rows])
            goes_on = newest[has_end & runs[ENDED_AT].iloc[newest].isna().to_numpy()]
            status[goes_on] = np.where(status[goes_on] == "failed", "failed", RUNNING)
        return cls(runs, jobs, names, rows, observed, has, main, status)

    @cached_property
    def codes(self) -> Ints:
        """The number of the series of each run."""
        found = np.empty(len(self.runs), dtype=np.intp)
        for code, own in enumerate(self.rows):
            found[own] = code
        return found

    @cached_property
    def seconds(self) -> Floats:
        """Seconds of each run, of the duration that stands for it; NaN without success."""
        found = np.full(len(self.runs), np.nan)
        for own, main in zip(self.rows, self.main, strict=True):
            found[own] = self.observed[main].to_numpy()[own]
        return found

    @cached_property
    def waits(self) -> pd.DataFrame:
        """Seconds from the start of each run to that of each job; NaN where none is told."""
        if STARTED_AT not in self.runs:
            return pd.DataFrame(index=self.runs.index)
        began = epoch_seconds(self.runs[STARTED_AT])
        told = [job for job in self.jobs if start_column(job) in self.runs]
        return pd.DataFrame(
            {job: epoch_seconds(self.runs[start_column(job)]) - began for job in told},
            index=self.runs.index,
        )

    def series_in(self, index: pd.Index) -> Ints:
        """Give the number of the series of each row of another table, -1 for one that is not here.

        Parameters
        ----------
        index : Index
            Of forecasts, say.
        """
        if self.runs.index.nlevels == 1:
            return np.zeros(len(index), dtype=np.intp)
        keys = self.runs.index.droplevel(-1)
        first = [own[0] for own in self.rows]
        return pd.Index(keys[first]).get_indexer(index.droplevel(-1))

    def last(self, series: int) -> dict[str, Any]:
        """Say what became of the newest run of a series."""
        row = self.rows[series][-1]
        run = self.runs.iloc[row]
        spoilt = [
            job
            for job in self.jobs
            if self.has[job].iloc[row]
            and (run.get(status_column(job)) in SPOILS_RUN or np.isinf(float(run[job])))
        ]
        return {
            "run": str(self.runs.index.get_level_values(-1)[row]),
            "started_at": run.get(STARTED_AT),
            "ended_at": run.get(ENDED_AT),
            "status": self.status[row],
            "jobs": spoilt,
        }


def _main_of(observed: pd.DataFrame, jobs: list[str]) -> str:
    if WHOLE_RUN in observed and observed[WHOLE_RUN].notna().any():
        return WHOLE_RUN
    total = observed[jobs].sum()
    return str(total.idxmax())


def _statuses(runs: pd.DataFrame, observed: pd.DataFrame, jobs: list[str]) -> np.ndarray:
    """Say of each run the worst that became of one of its jobs."""
    found = np.full(len(runs), NOT_KNOWN, dtype=object)
    status = runs[[status_column(job) for job in jobs if status_column(job) in runs]]
    found[(status == "skipped").any(axis=1)] = "skipped"
    found[observed.notna().any(axis=1)] = "success"
    for worse in ("cancelled", "timeout"):
        found[(status == worse).any(axis=1)] = worse
    is_infinite = np.isinf(runs[jobs].astype("float64")).any(axis=1)
    found[(status == "failed").any(axis=1) | is_infinite] = "failed"
    return found
