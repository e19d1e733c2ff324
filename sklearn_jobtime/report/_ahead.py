"""The runs to come of a report: forecasts, deadlines and chances, series by series."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Ints
from sklearn_jobtime.conformal._deadlines import next_risks
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._nominal_coverage import few_runs_noted
from sklearn_jobtime.exceptions import TooFewRunsWarning
from sklearn_jobtime.forecasting import forecast, own_run_first
from sklearn_jobtime.report._pool import Pool
from sklearn_jobtime.runs._schema import STARTED_AT
from sklearn_jobtime.runs._timeline import later, next_runs, retired_series

__all__ = ["Ahead"]


RISK = (
    *("done_by", "counted_runs", "deadline", "deadline_at"),
    *("elapsed", "remaining", "extrapolated"),
)


def coming_of_series(forecasts: pd.DataFrame, pool: Pool) -> list[pd.DataFrame]:
    """Sort forecasts into their series; a series without any has an empty table."""
    codes = pool.series_in(forecasts.index)
    order = np.argsort(codes, kind="stable")
    cuts = np.searchsorted(codes[order], np.arange(len(pool.names) + 1))
    return [forecasts.iloc[order[a:b]] for a, b in pairwise(cuts)]


def landings_of(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Add when forecasts and their bounds are done: `lands_at`, `lower_at`, `upper_at`.

    Seconds count from the start of the run. Without times, or without bounds, these are missing.
    """
    found = forecasts.copy()
    for name, moment in (("seconds", "lands_at"), ("lower", "lower_at"), ("upper", "upper_at")):
        if STARTED_AT in found and name in found:
            found[moment] = later(found[STARTED_AT], found[name])
        else:
            found[moment] = pd.NaT
    return found


def risks_of_series(
    model: Any,
    forecasts: pd.DataFrame,
    pool: Pool,
    limits: Sequence[str | None],
    *,
    is_open: Ints,
    zone: ZoneInfo,
    now: pd.Timestamp,
) -> list[dict[str, Any] | None]:
    """Tell the chances of the deadlines of each series, for the duration that stands for its runs.

    Parameters
    ----------
    model : estimator
    forecasts : DataFrame
        One row a series.
    pool : Pool
    limits : list of str or None
        The deadline of each series.
    is_open : ndarray of int
        Series whose coming run stands in the table, and is running if it started before `now`.
    zone : ZoneInfo
    now : Timestamp

    Returns
    -------
    list of dict or None
        `done_by`, `counted_runs`, `deadline`, `deadline_at`, `elapsed`, `remaining`,
        `extrapolated`; None where there is no deadline, or no chance to tell.
    """
    found: list[dict[str, Any] | None] = [None] * len(limits)
    if not isinstance(model, ConformalForecaster) or forecasts.empty:
        return found
    codes = pool.series_in(forecasts.index)
    limit_of = np.array([limits[code] or "" for code in codes], dtype=object)
    runs_now = np.isin(codes, is_open)
    for text in dict.fromkeys(limit_of):
        for is_running in (False, True):
            own = (limit_of == text) & (runs_now == is_running)
            if not text or not own.any():
                continue
            with warnings.catch_warnings():  # of time-outs, which are not shown
                warnings.simplefilter("ignore", TooFewRunsWarning)
                risks = next_risks(
                    model, forecasts[own], text, zone=zone, now=now if is_running else None
                )
            for code, row in zip(codes[own], risks.to_dict("records"), strict=True):
                found[code] = {name: row.get(name) for name in RISK}
    return found


@dataclass(frozen=True)
class Ahead:
    """The runs to come, by series; made by :meth:`of`.

    Parameters
    ----------
    pool : Pool
    rows : DataFrame
        The runs to come.
    is_open : ndarray of int
        Series whose coming run stands in the table.
    forecasts : list of DataFrame
        One a series.
    risks : list of dict or None
    limits : list of str or None
        The deadlines.
    retired : set of str
    now : Timestamp
    """

    pool: Pool
    rows: pd.DataFrame
    is_open: Ints
    forecasts: list[pd.DataFrame]
    risks: list[dict[str, Any] | None]
    limits: list[str | None]
    retired: set[str]
    now: pd.Timestamp

    @classmethod
    def of(
        cls,
        model: Any,
        pool: Pool,
        coming: pd.DataFrame,
        limits: list[str | None],
        zone: ZoneInfo,
        now: pd.Timestamp,
        notes: list[str],
    ) -> "Ahead":
        is_given = len(coming) > 0
        rows = coming if is_given else next_runs(pool.runs)
        retired = set() if is_given else {str(name) for name in retired_series(pool.runs).index}
        is_open = np.unique(pool.series_in(coming.index)) if is_given else np.empty(0, np.intp)
        n_series = len(pool.names)
        if model is None or rows.empty:
            none = pd.DataFrame({"step": [], "job": [], "seconds": []})
            nothing: list[Any] = [None] * n_series
            return cls(pool, rows, is_open, [none] * n_series, nothing, limits, retired, now)
        few: list[str] = []
        with few_runs_noted(few):
            found = landings_of(own_run_first(forecast(model, pool.runs, rows)))
            sorted_in = coming_of_series(found, pool)
            firsts = [_first_of(one, main) for one, main in zip(sorted_in, pool.main, strict=True)]
            risks = risks_of_series(
                model,
                pd.concat(firsts),
                pool,
                limits,
                is_open=is_open,
                zone=zone,
                now=now,
            )
        if few:
            notes.append("Some intervals have no end: too few runs calibrate them.")
        return cls(pool, rows, is_open, sorted_in, risks, limits, retired, now)

    def run_of(self, series: int) -> pd.DataFrame:
        """Row of the next run of a series; empty where none is expected."""
        return self.rows[self.pool.series_in(self.rows.index) == series][:1]

    def of_series(self, series: int) -> dict[str, Any]:
        """Say what is forecast for a series."""
        table, main = self.forecasts[series], self.pool.main[series]
        first = _first_of(table, main)
        whole: dict[str, Any] = {} if first.empty else first.to_dict("records")[0]
        if len(self.pool.rows[series]) == 1 and not np.isin(series, self.is_open):
            # One run has no rhythm; its start again is no start of the next.
            whole |= dict.fromkeys((STARTED_AT, "lands_at", "lower_at", "upper_at"))
        starts = whole.get(STARTED_AT)
        is_open = bool(np.isin(series, self.is_open))
        kept = table[(table["step"] == 1) | (table["job"] == main)]
        kept = kept.assign(run=[str(label) for label in kept.index.get_level_values(-1)])
        return {
            "next_run": None if first.empty else str(first.index.get_level_values(-1)[0]),
            "next_start": starts,
            "is_running": is_open and starts is not None and starts <= self.now,
            "overdue": _overdue(starts, self.now) if not is_open else 0.0,
            **{name: whole.get(name) for name in ("seconds", "lower", "upper")},
            **{name: whole.get(name) for name in ("lands_at", "lower_at", "upper_at")},
            "limit": self.limits[series],
            "risk": None if starts is None and STARTED_AT in table else self.risks[series],
            "is_retired": self.pool.names[series] in self.retired,
            "forecasts": kept.to_dict("records"),
        }


def _first_of(forecasts: pd.DataFrame, job: str) -> pd.DataFrame:
    """Row of the first run to come, of one job; empty where there is none."""
    return forecasts[(forecasts["step"] == 1) & (forecasts["job"] == job)][:1]


def _overdue(starts: Any, now: pd.Timestamp) -> float:
    if starts is None or starts is pd.NaT:
        return 0.0
    return max(0.0, (now - starts).total_seconds())
