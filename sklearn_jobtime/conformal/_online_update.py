"""Online update of a stored model: what became of its runs, from the table that has grown."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._calibration_set import latest
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.forecasting import target_names
from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.point_in_time._same_rows import is_later_by
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, WHOLE_RUN, series_of
from sklearn_jobtime.runs._targets import ahead, make_lower_bounds, targets_named
from sklearn_jobtime.runs._timeline import as_of

__all__ = ["OnlineUpdate", "online_update"]


@dataclass(frozen=True)
class OnlineUpdate:
    """What a model was updated with.

    Parameters
    ----------
    since, until : Timestamp
        The newest end of a run, or of a job, that the model knew before, and knows now.
    n_runs : int
        How many runs were new to it.
    jobs : DataFrame
        One row a job: `job`, `targets` (new durations, each step counted), `at_least` (new lower
        bounds of right-censored runs) and `drift`, the figure of its outputs that is furthest from
        0 (see `drift_` of :class:`~sklearn_jobtime.ConformalForecaster`).
    refit_advised : bool
        Whether the errors are no longer what they were: the newest update raised an alarm, or one
        was raised so lately that it is not known yet what is usual now.
    """

    since: pd.Timestamp
    until: pd.Timestamp
    n_runs: int
    jobs: pd.DataFrame
    refit_advised: bool


def online_update(
    model: ConformalForecaster, runs: pd.DataFrame, *, now: pd.Timestamp | None = None
) -> OnlineUpdate:
    """Update a fitted model with all runs that have ended since it was fitted or last updated.

    Each night the table has a few rows more. Give it whole, as for a forecast: what the model knows
    already is left out, what still runs waits for another night, and nothing is fitted. A step of a
    horizon counts as soon as that run has ended, or the job itself where ``<job>__started_at``
    tells; where several steps or jobs are covered together, when the last of them has. Rows of
    which `fit` knew a part are then left out.

    The forecast that is judged is the one of the model for the start of the run, from what was
    known then. So it makes no difference to the bounds whether nights are given one by one or at
    once.

    Parameters
    ----------
    model : ConformalForecaster
        Fitted on a run table with `started_at` and `ended_at`; it is changed, by its `update`.
    runs : DataFrame
        A validated run table with the columns of `fit`. Runs without `ended_at` are running or
        planned. Time-outs are right-censored, failed runs say nothing.
    now : Timestamp, default=None
        Take the table as it could be read at this time; None: all of it.

    Returns
    -------
    OnlineUpdate

    Raises
    ------
    ValueError
        When the model has no intervals, or its targets had no names.
    RunTableError
        When the table does not say when runs started and ended, or ends before what the model
        knows.
    NoHistoryError
        When the model was fitted on rows that do not say when runs had ended.

    Notes
    -----
    The model remembers one time, the newest end of a run that it knows. A run that is written into
    the table later than others that ended after it is therefore never used.

    Examples
    --------
    >>> from sklearn_jobtime import ConformalForecaster
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.conformal import online_update
    >>> from sklearn_jobtime.runs import make_targets
    >>> from sklearn_jobtime.runs import as_of
    >>> runs = make_job_runs(n_runs=200, n_jobs=2, random_state=0)
    >>> past = as_of(runs, runs["started_at"].iloc[150])
    >>> model = ConformalForecaster(RollingRule()).fit(past, make_targets(past))
    >>> online_update(model, runs).n_runs, online_update(model, runs).n_runs
    (50, 0)
    """
    _check_model(model)
    names, runs = target_names(model), plain_table(runs)
    if missing := [column for column in (STARTED_AT, ENDED_AT) if column not in runs]:
        raise RunTableError(
            f"the table has no column {missing[0]!r}, so nothing says in which order outcomes were "
            "known; add it, or call update(X, y) of the model with the new rows in that order."
        )
    runs = runs if now is None else as_of(runs, now)
    since, n_before = model.updated_until_, model.n_updates_
    clock = read_clock(runs)
    newest = latest(clock.last_known)
    if np.isnan(newest) or is_later_by(np.array([since]), newest).any():
        last = "none has ended" if np.isnan(newest) else f"the newest end is {_time(newest)}"
        raise RunTableError(
            f"the table is older than the model, which knows of runs up to {_time(since)}: of "
            f"{len(runs)} runs {last}. Read the history anew, up to now."
        )
    is_new = new_targets(model, runs, since)
    y = targets_named(runs, names).where(is_new)
    jobs = [job for job in names.get_level_values("job").unique() if job != WHOLE_RUN]
    horizon = int(names.get_level_values("step").max())
    at_least = make_lower_bounds(runs, horizon, jobs=jobs or None).reindex(columns=names)
    at_least = at_least.where(is_new)
    if is_new.any():
        assert clock.ended is not None  # the table has ends
        known = _up_to_last_end(runs, is_new.any(axis=1) | ~np.isnan(clock.ended))
        model.update(runs[known], y[known], at_least[known])
    return OnlineUpdate(
        _time(since),
        _time(model.updated_until_),
        model.n_updates_ - n_before,
        _by_job(model, y, at_least),
        model.refit_advised_ or bool((np.abs(model.drift_) >= 1).any()),
    )


def new_targets(model: ConformalForecaster, runs: pd.DataFrame, since: float) -> Mask:
    """Mark the targets that became known later than a time, and that an update may use.

    Parameters
    ----------
    model : ConformalForecaster
    runs : DataFrame
        With `ended_at`, in start order within each series.
    since : float
        Seconds since 1970.

    Returns
    -------
    ndarray of bool, shape (n_runs, n_outputs)
    """
    names = target_names(model)
    known = known_times(runs, names)
    for group in np.unique(model.groups_):
        outputs = np.flatnonzero(model.groups_ == group)
        if len(outputs) == 1:
            continue
        own = known[:, outputs]
        is_seen = (np.isfinite(own) & ~is_later_by(own, model.fitted_until_)).any(axis=1)
        known[:, outputs] = np.where(is_seen, np.nan, own.max(axis=1))[:, None]
    return is_later_by(known, since)


def known_times(runs: pd.DataFrame, names: pd.MultiIndex) -> Floats:
    """Tell when each target was known: at the end of its job, or of its run where that is not told.

    Parameters
    ----------
    runs : DataFrame
        With `started_at` and `ended_at`.
    names : MultiIndex of (step, job)

    Returns
    -------
    ndarray of shape (n_runs, n_outputs)
        Seconds since 1970; NaN where it is not known yet.
    """
    clock = read_clock(runs)
    steps = names.get_level_values("step")
    ended = pd.DataFrame(
        {job: clock.of_job(job).ended for job in names.get_level_values("job").unique()},
        index=runs.index,
    )
    return ahead(ended, int(steps.max()), runs)[names].to_numpy(copy=True)


def _check_model(model: ConformalForecaster) -> None:
    if not hasattr(model, "update"):
        raise ValueError(
            f"{type(model).__name__} has no intervals that could be updated; fit a "
            "ConformalForecaster around it, or store one with `jobtime fit --coverage 0.9`."
        )
    if not hasattr(model, "updated_until_"):
        raise NoHistoryError(
            "the model does not know until when it was updated: it is not fitted, or was stored "
            "by an older version; fit it."
        )
    if np.isnan(model.updated_until_):
        raise NoHistoryError(
            "the model was fitted on rows that do not say when runs had ended, so nothing tells "
            f"which runs are new to it; fit it on a run table with {STARTED_AT!r} and "
            f"{ENDED_AT!r}, or call its update(X, y) with the new rows."
        )


def _up_to_last_end(runs: pd.DataFrame, has_outcome: Mask) -> Mask:
    """Mark the rows of each series up to the last one that has ended, or a job of which has."""
    has_ended = pd.Series(has_outcome)[::-1]
    return has_ended.groupby(series_of(runs.index)[::-1]).cummax()[::-1].to_numpy()


def _by_job(model: ConformalForecaster, y: pd.DataFrame, at_least: pd.DataFrame) -> pd.DataFrame:
    drift = pd.Series(model.drift_[model.groups_], index=y.columns)
    found = pd.DataFrame(
        {
            "targets": y.notna().sum().groupby(level="job", sort=False).sum(),
            "at_least": at_least.notna().sum().groupby(level="job", sort=False).sum(),
            "drift": drift.groupby(level="job", sort=False).agg(lambda d: d.iloc[d.abs().argmax()]),
        }
    )
    return found.rename_axis("job").reset_index()


def _time(seconds: float) -> pd.Timestamp:
    return pd.Timestamp(seconds, unit="s", tz="UTC").round("us")
