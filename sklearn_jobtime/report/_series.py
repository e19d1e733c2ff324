"""What is known of one series: its runs, its calendar, its jobs."""

from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.report._calendar import by_calendar
from sklearn_jobtime.report._pool import Pool
from sklearn_jobtime.report._unseen import Unseen
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["MANY", "calendar_of", "history_of", "jobs_of"]


TREND = 30  # runs in the small line of the overview
MANY = 200  # series: beyond, less of each is shown


def history_of(pool: Pool, series: int, unseen: Unseen | None) -> dict[str, Any]:
    """Count the runs of a series, and give the newest of them."""
    rows = pool.rows[series]
    newest = rows[-(TREND if len(pool.names) > MANY else 2 * TREND) :]
    seconds = pool.seconds
    starts = pool.runs[STARTED_AT].iloc[newest] if STARTED_AT in pool.runs else [None] * len(newest)
    past = []
    for row, start in zip(newest, starts, strict=True):
        one = {"started_at": start, "seconds": seconds[row], "status": pool.status[row]}
        if unseen is not None:
            one |= {
                "forecast": unseen.main[row],
                "lower": unseen.lower[row],
                "upper": unseen.upper[row],
            }
        past.append(one)
    own = pool.runs.iloc[rows]
    ends = [own[c].max() for c in (STARTED_AT, ENDED_AT) if c in own]
    ends = [end for end in ends if end is not pd.NaT]
    return {
        "runs": len(rows),
        "good": int((~np.isnan(seconds[rows])).sum()),
        "failed": int(np.isin(pool.status[rows], ("failed", "timeout", "cancelled")).sum()),
        "median": float(np.nanmedian(seconds[rows])) if (~np.isnan(seconds[rows])).any() else None,
        "trend": seconds[rows[-TREND:]].tolist(),
        "past": past,
        "last": pool.last(series),
        "newest": max(ends) if ends else None,
    }


def calendar_of(pool: Pool, series: int, timezone: str) -> dict[str, Any] | None:
    """Give the durations of a series by weekday and hour."""
    if STARTED_AT not in pool.runs:
        return None
    rows = pool.rows[series]
    return by_calendar(pool.runs[STARTED_AT].iloc[rows], pool.seconds[rows], timezone)


def jobs_of(pool: Pool, series: int, unseen: Unseen | None) -> list[dict[str, Any]]:
    """Share of each job in the time and in the lateness of a series, most time first."""
    rows = pool.rows[series]
    own = [job for job in pool.jobs if pool.has[job].to_numpy()[rows].any()]
    took = {job: pool.observed[job].to_numpy()[rows] for job in own}
    late = dict.fromkeys(own, np.nan)
    if unseen is not None:
        for job in own:
            if job in unseen.forecasts:
                more = took[job] - unseen.forecasts[job].to_numpy()[rows]
                if (~np.isnan(more)).any():
                    late[job] = float(np.nansum(np.maximum(more, 0.0)))
    total = sum(float(np.nansum(seconds)) for seconds in took.values())
    all_late = float(np.nansum(list(late.values())))
    found = []
    for job in own:
        seconds = took[job]
        has_any = bool((~np.isnan(seconds)).any())
        found.append(
            {
                "job": job,
                "median": float(np.nanmedian(seconds)) if has_any else None,
                "runs": int((~np.isnan(seconds)).sum()),
                "time_share": float(np.nansum(seconds)) / total if total > 0 else None,
                "late_share": late[job] / all_late if all_late > 0 else None,
            }
        )
    return sorted(found, key=lambda one: -(one["time_share"] or 0.0))
