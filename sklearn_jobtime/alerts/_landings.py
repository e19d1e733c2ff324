"""Landings of the next run of each series: when its jobs are done, through their graph."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import pandas as pd

from sklearn_jobtime.conformal._deadlines import deadline_seconds
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import GraphError, NoHistoryError, RunTableError
from sklearn_jobtime.landing import landing_table
from sklearn_jobtime.landing._run_asked import landing_around, run_asked
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, WHOLE_RUN, series_names, with_series

__all__ = ["landings_of_series"]


def landings_of_series(
    model: ConformalForecaster,
    table: pd.DataFrame,
    jobs: Sequence[str],
    limits: Mapping[str, str | None],
    *,
    zone: ZoneInfo,
    now: pd.Timestamp,
    most: int,
    series: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Forecast when each job of the next run of a series lands, as `jobtime landing` does.

    Parameters
    ----------
    model : ConformalForecaster
    table : DataFrame
        The whole history.
    jobs : sequence of str
        The jobs that the model forecasts.
    limits : mapping of str to str or None
        The deadline of the run of each series.
    zone : ZoneInfo
    now : Timestamp
        A run that goes on is seen from there.
    most : int
        For so many series, the first ones; it takes a second or more for each.
    series : str, default=None
        Name of the one series.

    Returns
    -------
    dict of str to DataFrame
        Without the series that lack a job of the model, whose jobs have no graph that is known, or
        that have too few runs.
    """
    found: dict[str, pd.DataFrame] = {}
    if STARTED_AT not in table or ENDED_AT not in table or len(jobs) < 2:
        return found
    names = series_names(with_series(table, series).index)
    for name in list(dict.fromkeys(names))[:most]:
        own = table[names == name]
        if own[list(jobs)].isna().all().any():
            continue
        try:
            history, run, seen = run_asked(own, list(jobs), now, [])
            landing = landing_around(model, history, jobs, random_state=0)
            limit, deadlines = limits[str(name)], None
            if limit is not None:
                seconds = deadline_seconds(limit, zone, run[[STARTED_AT]])
                deadlines = {WHOLE_RUN: float(seconds[0])}
            landings = landing_table(landing, run, now=seen, deadlines=deadlines)
        except (GraphError, NoHistoryError, RunTableError):
            continue
        found[str(name)] = landings.assign(
            started_at=run[STARTED_AT].iloc[0], is_running=seen is not None
        )
    return found
