"""Which run is to land, what was known by then, and the landings of a stored model."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.frozen import FrozenEstimator

from sklearn_jobtime._wording import human_time
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.forecasting import target_names
from sklearn_jobtime.landing._forecaster import LandingForecaster
from sklearn_jobtime.runs._job_times import job_ends, job_starts
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, series_of, start_column
from sklearn_jobtime.runs._targets import make_targets
from sklearn_jobtime.runs._timeline import next_runs

__all__ = ["landing_around", "run_asked"]


def landing_around(
    model: ConformalForecaster, history: pd.DataFrame, jobs: Sequence[str], **options: Any
) -> LandingForecaster:
    """Fit a LandingForecaster around a stored model, which itself learns nothing anew.

    Parameters
    ----------
    model : ConformalForecaster
    history : DataFrame
        Runs of one series that are over.
    jobs : sequence of str
        The jobs that the model forecasts.
    **options : dict
        Of :class:`~sklearn_jobtime.landing.LandingForecaster`, such as `graph`.
    """
    horizon = int(target_names(model).get_level_values("step").max())
    landing = LandingForecaster(
        FrozenEstimator(model), confidence_level=model.confidence_level, **options
    )
    return landing.fit(history, make_targets(history, horizon, jobs=list(jobs)))


def run_asked(
    table: pd.DataFrame, jobs: list[str], moment: pd.Timestamp | None, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Timestamp | None]:
    """Find the run that is asked for, the runs before it, and the moment from which it is seen.

    Parameters
    ----------
    table : DataFrame
        A run table of one series, with starts and ends.
    jobs : list of str
    moment : Timestamp or None
        What happened later is not known. None: the newest time in the table, if its last run still
        goes on, else the next run is asked for, from its start.
    notes : list of str
        What is concluded is added to it.

    Returns
    -------
    history, run : DataFrame
    now : Timestamp or None
        None: the run is seen from its start.

    Raises
    ------
    RunTableError
        When there are several series, no times, or no run had started at the moment.
    """
    if len(set(series_of(table.index))) > 1:
        raise RunTableError(
            "the table holds several series, whose jobs have graphs of their own; give the runs of "
            "one of them."
        )
    if missing := [c for c in (STARTED_AT, ENDED_AT) if c not in table]:
        raise RunTableError(
            f"the table has no column {missing[0]!r}, without which nothing lands at any time."
        )
    if moment is None:
        is_open = table[ENDED_AT].isna() & _has_begun(table, jobs)
        if not is_open.iloc[-1]:
            history = table[table[ENDED_AT].notna()]
            return history, next_runs(history), None
        moment = _newest_time(table, jobs)
        notes.append(
            f"now is taken to be {human_time(moment)} UTC, the newest time in the table; --now "
            "says another."
        )
    begun = table[table[STARTED_AT] <= moment]
    if not len(begun):
        raise RunTableError(f"no run of the table had started at {human_time(moment)} UTC.")
    run, history = begun.iloc[[-1]], begun.iloc[:-1]
    history = history[history[ENDED_AT] <= moment]
    if (run[ENDED_AT] <= moment).all():
        return begun[begun[ENDED_AT] <= moment], next_runs(begun), None
    return history, run, moment


def _has_begun(table: pd.DataFrame, jobs: list[str]) -> pd.Series:
    """Mark the runs of which anything is known beyond their start."""
    columns = [c for job in jobs for c in (job, start_column(job)) if c in table]
    return table[columns].notna().any(axis=1)


def _newest_time(table: pd.DataFrame, jobs: list[str]) -> pd.Timestamp:
    """Give the newest start or end of a run or a job."""
    newest = [table[STARTED_AT].max(), table[ENDED_AT].max()]
    for job in jobs:
        newest += [job_starts(table, job).max(), job_ends(table, job).max()]
    return max(time for time in newest if not pd.isna(time))
