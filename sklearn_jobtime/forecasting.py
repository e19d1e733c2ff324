"""Forecasts of the next runs of every job, from a fitted model of any kind."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_jobtime._containers import plain_table, row_label
from sklearn_jobtime._inside import chosen, fitted_part
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.point_in_time._newest_rows import NewestForecasts
from sklearn_jobtime.runs._jobs_of_series import jobs_in_coming
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN, clock_columns, series_of
from sklearn_jobtime.runs._timeline import later, median_gaps, next_runs

__all__ = [
    "as_fitted",
    "forecast",
    "outputs_of_step",
    "own_run_first",
    "target_names",
    "with_coming",
]


def target_names(model: BaseEstimator) -> pd.MultiIndex:
    """Give the (step, job) of every output of a fitted model, or of what it is around.

    Raises
    ------
    ValueError
        When the model was fitted on targets without names.
    """
    try:
        names = fitted_part(model, "target_names_").target_names_
    except AttributeError:
        names = None
    if not isinstance(names, pd.MultiIndex):
        raise ValueError(
            f"{type(model).__name__} does not know what its outputs mean: fit it on the DataFrame "
            "of sklearn_jobtime.runs.make_targets, whose columns are (step, job)."
        )
    return names


def as_fitted(runs: pd.DataFrame, model: BaseEstimator) -> pd.DataFrame:
    """Take the columns of a run table that a model was fitted on, in their order.

    Times that the table does not tell, as one of another source, are missing; `runs` stays as it
    is.

    Raises
    ------
    RunTableError
        When it lacks any other column.
    """
    names = list(getattr(model, "feature_names_in_", runs.columns))
    unknown = pd.Series(pd.NaT, runs.index, dtype="datetime64[us, UTC]")
    runs = runs.assign(**{name: unknown for name in clock_columns(names) if name not in runs})
    if missing := [name for name in names if name not in runs]:
        raise RunTableError(
            f"no column {missing[0]!r}, which the model was fitted on; the table has "
            f"{list(runs.columns)}. Add it (it may be empty), or fit a model on this table."
        )
    return runs[names]


def outputs_of_step(model: BaseEstimator, step: int) -> tuple[NDArray[np.intp], list[str]]:
    """Positions and jobs of the outputs of a fitted model that are `step` runs ahead.

    Raises
    ------
    ValueError
        When the model does not forecast that step, or its targets had no names.
    """
    names = target_names(model)
    steps = names.get_level_values("step")
    outputs = np.flatnonzero(steps == step)
    if not len(outputs):
        raise ValueError(f"step={step} came, the model forecasts the steps {sorted(set(steps))}.")
    return outputs, list(names.get_level_values("job")[outputs])


def with_coming(runs: pd.DataFrame, coming: pd.DataFrame) -> pd.DataFrame:
    """Put runs to come below the runs so far, as one table that a model can predict.

    Raises
    ------
    RunTableError
        When a coming run is already in the table.
    """
    flags = runs.select_dtypes("bool").columns  # a flag not yet known is NaN, so a float
    both = pd.concat(
        [runs.astype(dict.fromkeys(flags, "float64")), coming[list(runs.columns)]],
        ignore_index=True,
    ).set_axis(_appended(runs.index, coming.index))
    if (again := both.index.duplicated()).any():
        raise RunTableError(
            f"the coming run {row_label(both.index, int(again.argmax()))} is already in the table; "
            "give it a label of "
            "its own, or drop the row to forecast it anew."
        )
    return both


def _appended(past: pd.Index, ahead: pd.Index) -> pd.Index:
    """Append an index as pandas does, which reads all names anew where there are levels."""
    if (
        not (isinstance(past, pd.MultiIndex) and isinstance(ahead, pd.MultiIndex))
        or list(past.names) != list(ahead.names)
        or any((np.asarray(codes) < 0).any() for codes in (*past.codes, *ahead.codes))
        or any(own.dtype != new.dtype for own, new in zip(past.levels, ahead.levels, strict=True))
    ):
        return past.append(ahead)
    levels, codes = [], []
    for k, (level, own) in enumerate(zip(past.levels, past.codes, strict=True)):
        names = ahead.get_level_values(k)
        unknown = names[level.get_indexer(names) < 0].unique()
        levels.append(level.append(unknown) if len(unknown) else level)
        codes.append(np.concatenate([own, levels[-1].get_indexer(names)]))
    return pd.MultiIndex(levels, codes, names=past.names, verify_integrity=False)


def forecast(
    model: BaseEstimator, runs: pd.DataFrame, coming: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Forecast the next runs of every job, one row a forecast.

    Parameters
    ----------
    model : estimator
        A Pipeline or regressor fitted on targets of :func:`~sklearn_jobtime.runs.make_targets`.
    runs : DataFrame
        The validated run table up to now: what ended since `fit` is used as history.
    coming : DataFrame, default=None
        Rows of runs to come, as :func:`~sklearn_jobtime.runs.next_runs` makes them; None
        takes the next run of every series that is not retired.

    Returns
    -------
    DataFrame
        Indexed as `coming`, with the jobs of its series: those that it had in one of its runs and
        that were not taken out since (missing from the newest 20 complete runs, and from three
        times as many as ever before between two of its own). Columns: `step` (1 = the run of
        that row), `job`, `started_at` (the
        expected start, one median gap a step later), `seconds` (the forecast, never negative)
        and `ends_at` (start plus seconds for `whole_run`, else NaT). Without times in `runs`
        there are no clock columns. Where the model tells, `source` says what a forecast rests on
        (:meth:`AnchoredRegressor.sources <sklearn_jobtime.AnchoredRegressor.sources>`). A model
        with intervals (:class:`~sklearn_jobtime.ConformalForecaster`) adds `lower` and `upper` in
        seconds, at its own level.

    Raises
    ------
    RunTableError
        When a coming run is already in the table.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.forecasting import forecast
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=60, random_state=0)
    >>> rule = RollingRule().fit(runs, make_targets(runs, horizon=2))
    >>> table = forecast(rule, runs)
    >>> table["step"].unique().tolist(), bool((table["seconds"] > 0).all())
    ([1, 2], True)
    """
    model = chosen(model)
    names, runs = target_names(model), plain_table(runs)
    coming = next_runs(runs) if coming is None else plain_table(coming)
    both = with_coming(runs, coming)
    series = series_of(both.index)
    found = _forecasts_of_newest(model, both, len(coming))
    seconds = np.maximum(found.seconds, 0.0)
    table = pd.DataFrame(
        {
            "step": np.tile(names.get_level_values("step"), len(coming)),
            "job": np.tile(names.get_level_values("job"), len(coming)),
            "seconds": seconds.ravel(),
        },
        index=coming.index.repeat(len(names)),
    )
    if STARTED_AT in runs:
        past, ahead = series[: len(runs)], series[len(runs) :]
        is_own = np.isin(past, ahead)
        gaps = median_gaps(runs[STARTED_AT][is_own], past[is_own])
        gap = gaps.reindex(ahead).fillna(pd.Timedelta(0)).repeat(len(names))
        table.insert(
            2,
            STARTED_AT,
            coming[STARTED_AT].repeat(len(names)) + gap.array * (table["step"] - 1),
        )
        ends = later(table[STARTED_AT], table["seconds"])
        table["ends_at"] = ends.where(table["job"] == WHOLE_RUN)
    if found.sources is not None:
        table["source"] = found.sources.ravel()
    if found.interval is not None:
        table["lower"], table["upper"] = np.maximum(found.interval.reshape(-1, 2), 0.0).T
    jobs = [job for job in names.get_level_values("job").unique() if job != WHOLE_RUN]
    own = pd.DataFrame(jobs_in_coming(runs, coming, jobs, series), columns=jobs)
    own[WHOLE_RUN] = True
    return table[own[names.get_level_values("job")].to_numpy().ravel()]


def _forecasts_of_newest(model: Any, both: pd.DataFrame, n: int) -> NewestForecasts:
    """Ask a model all that it can tell of the last rows, in one pass where it is one of ours."""
    if type(model).__module__.startswith("sklearn_jobtime.") and hasattr(model, "forecast_newest"):
        return model.forecast_newest(both, n)
    sources = bounds = None
    seconds = model.predict(both)[len(both) - n :].reshape(n, -1)
    if hasattr(model, "sources"):
        sources = model.sources(both)[len(both) - n :]
    if hasattr(model, "predict_interval"):
        bounds = model.predict_interval(both)[len(both) - n :]
    return NewestForecasts(seconds, sources, bounds)


def own_run_first(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Each coming run as forecast for itself; only behind the last one of a series further runs.

    A coming row knows its own covariates; the further steps of the row before it do not.
    """
    runs = forecasts.index.to_frame(index=False)
    series = (
        runs.iloc[:, :-1].apply(tuple, axis=1) if runs.shape[1] > 1 else pd.Series(0, runs.index)
    )
    last = runs.iloc[:, -1].groupby(series.to_numpy()).transform("last")
    is_last = (runs.iloc[:, -1] == last).to_numpy()
    return forecasts[(forecasts["step"] == 1).to_numpy() | is_last]
