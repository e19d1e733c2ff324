"""The runs to come of a report: forecasts, deadlines and chances, series by series."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Ints
from sklearn_jobtime.conformal._deadlines import next_risks
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import TooFewRunsWarning
from sklearn_jobtime.report._pool import Pool
from sklearn_jobtime.runs._schema import STARTED_AT
from sklearn_jobtime.runs._timeline import later

__all__ = ["coming_of_series", "landings_of", "risks_of_series"]


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
                found[code] = {
                    name: row.get(name)
                    for name in (
                        "done_by",
                        "counted_runs",
                        "deadline",
                        "deadline_at",
                        "elapsed",
                        "remaining",
                        "extrapolated",
                    )
                }
    return found
