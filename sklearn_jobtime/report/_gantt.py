"""When each job of the next run starts and lands: through its graph, or from the usual starts."""

from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.baselines._online_mix import OnlineMix
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import GraphError, NoHistoryError, RunTableError
from sklearn_jobtime.forecasting import target_names
from sklearn_jobtime.landing import LandingForecaster, landing_table
from sklearn_jobtime.landing._run_asked import landing_around
from sklearn_jobtime.report._pool import Pool
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, WHOLE_RUN, derives
from sklearn_jobtime.runs._targets import make_targets

__all__ = ["landing_of", "usual_plan"]


NEWEST = 20  # runs, of whose starts of jobs the median is taken
COLUMNS = ["job", "state", "starts", "lands", "lower", "upper", "critical"]


def usual_plan(pool: Pool, series: int, forecasts: pd.DataFrame) -> list[dict[str, Any]] | None:
    """Put the forecasts of the jobs of a run where these usually start.

    Parameters
    ----------
    pool : Pool
    series : int
    forecasts : DataFrame
        Of the next run of the series.

    Returns
    -------
    list of dict or None
        One row a job, those that start first before the others: seconds after the start of the
        run. None where nothing tells when jobs start.
    """
    newest = pool.rows[series][-NEWEST:]
    plan = []
    for row in forecasts.to_dict("records"):
        job = row["job"]
        if job not in pool.waits:
            continue
        told = pool.waits[job].to_numpy()[newest]
        waits = float(np.nanmedian(told)) if (~np.isnan(told)).any() else np.nan
        if np.isnan(waits):
            continue
        plan.append(
            {
                "job": job,
                "state": "waiting",
                "starts": waits,
                "lands": waits + row["seconds"],
                "lower": waits + row.get("lower", np.nan),
                "upper": waits + row.get("upper", np.nan),
                "critical": np.nan,
            }
        )
    return sorted(plan, key=lambda row: (row["starts"], row["lands"])) or None


def landing_of(
    model: Any, pool: Pool, series: int, run: pd.DataFrame, now: pd.Timestamp | None
) -> dict[str, Any] | None:
    """Send sample paths of the next run of a series through the graph of its jobs.

    The model itself forecasts where all of its jobs are jobs of the series; else an average of
    baselines on the runs of the series alone does.

    Parameters
    ----------
    model : estimator
    pool : Pool
    series : int
    run : DataFrame of one row
        The run to come, or one that runs.
    now : Timestamp or None
        What is known of it; None: it has not started.

    Returns
    -------
    dict or None
        `rows` as those of :func:`~sklearn_jobtime.landing.landing_table`, the edges of the `graph`,
        `nights`, and whether the model was used (`by_model`). None where nothing tells which job
        waits for which, or there are too few runs.
    """
    history = pool.runs.iloc[pool.rows[series]]
    own = [job for job in pool.jobs if pool.has[job].to_numpy()[pool.rows[series]].any()]
    if STARTED_AT not in history or ENDED_AT not in history or len(own) < 2:
        return None
    history = history[history[ENDED_AT].notna()]
    asked = set(target_names(model).get_level_values("job")) - {WHOLE_RUN}
    by_model = isinstance(model, ConformalForecaster) and asked <= set(own)
    if not by_model:
        others = [job for job in pool.jobs if job not in own]
        kept = [c for c in history if not any(derives(c, job) for job in others)]
        history, run = history[kept], run[kept]
    try:
        if by_model:
            landing = landing_around(model, history, own, random_state=0)
        else:
            level = getattr(model, "confidence_level", 0.9)
            landing = LandingForecaster(OnlineMix(), confidence_level=level, random_state=0)
            landing.fit(history, make_targets(history, jobs=own))
        table = landing_table(landing, run, now=now)
    except (GraphError, NoHistoryError, RunTableError):
        return None
    return {
        "rows": table[COLUMNS].to_dict("records"),
        "graph": [list(map(str, edge)) for edge in landing.graph_.edges],
        "nights": landing.n_nights_,
        "by_model": by_model,
        "started_at": run[STARTED_AT].iloc[0],
        "now": now,
    }
