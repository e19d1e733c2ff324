"""Actual and forecast side by side, panel by panel, for predictions and residuals to draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from sklearn_jobtime._containers import plain_numbers, plain_table, seconds_of
from sklearn_jobtime.plots._style import TESTED, TRAINED
from sklearn_jobtime.runs._jobs_of_series import has_job
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN, series_of

__all__ = ["Panel", "own_panels", "panel_title", "read_panels", "times_of_rows"]


MOST_PANELS = 8


@dataclass(frozen=True)
class Panel:
    """One output of one series.

    Parameters
    ----------
    title : str
        The output, and the series where there are several.
    rows : DataFrame
        `time`, `actual`, `forecast` and `is_test`, in the order of time.
    """

    title: str
    rows: pd.DataFrame

    def parts(self) -> list[tuple[str, str, str, pd.Series]]:
        """Name, label, colour and rows of the parts that are drawn alike."""
        tested = self.rows["is_test"]
        if not tested.any():
            return [("trained", "all rows", TESTED, ~tested)]
        return [
            ("trained", "training rows", TRAINED, ~tested),
            ("tested", "test rows", TESTED, tested),
        ]


def panel_title(index: pd.Index, job: object) -> str:
    """Name the job of a panel, and the series of its rows where there are several."""
    title = "whole run" if job == WHOLE_RUN else str(job)
    return f"{'/'.join(map(str, index[0][:-1]))}: {title}" if index.nlevels > 1 else title


def own_panels(runs: pd.DataFrame, jobs: Sequence[Any]) -> list[tuple[int, Any]]:
    """Pair each series, by its number, with the jobs among `jobs` that it ever had."""
    codes = series_of(runs.index)
    named = [job for job in jobs if job != WHOLE_RUN]
    own = has_job(runs, named).groupby(codes).any()
    return [
        (series, job)
        for series in own.index
        for job in jobs
        if job == WHOLE_RUN or own.loc[series, job]
    ]


def times_of(y: Any, times: Any) -> tuple[NDArray[Any], str]:
    """Give times of the rows, and their name: those given, dates in the index, or row numbers."""
    times = times_of_rows(y) if times is None else times
    if times is None:
        return np.arange(len(y)), "row"
    name = getattr(times, "name", None) or "time"
    name = "start of the run" if name == STARTED_AT else str(name)
    times = pd.Series(np.asarray(times) if isinstance(times, list) else times)
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), f"{name} (UTC)"
    return times.to_numpy(), name


def times_of_rows(X: Any) -> Any:
    """Column `started_at` of a run table, the dates in the index of another one, else None."""
    X = plain_table(X)
    if isinstance(X, pd.DataFrame) and STARTED_AT in X:
        return X[STARTED_AT]
    index = getattr(X, "index", None)
    return index if isinstance(index, pd.DatetimeIndex) else None


def read_panels(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    is_test: ArrayLike | None = None,
    times: Any = None,
    step: int = 1,
) -> tuple[list[Panel], str]:
    """Sort targets and forecasts into panels, those with the largest values first.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
        Actual (NaN = not observed) and forecast. Names and series come from a DataFrame.
    is_test : array-like of bool, shape (n,), default=None
        Rows that the model was not fitted on; None says nothing about any row.
    times : array-like of shape (n,), default=None
        When the rows were.
    step : int, default=1
        Of outputs named (step, job), the runs ahead to draw.

    Returns
    -------
    panels : list of Panel
        At most eight.
    time_name : str
    """
    table = pd.DataFrame(plain_numbers(y_true, "y_true"))
    actual = table.to_numpy(dtype="float64")
    forecast = seconds_of(y_pred, "y_pred")
    forecast = forecast.reshape(len(forecast), -1)
    if forecast.shape != actual.shape:
        raise ValueError(
            f"y_true has shape {np.shape(y_true)} and y_pred {np.shape(y_pred)}; expected one "
            "forecast for each target."
        )
    tested = np.zeros(len(actual), dtype=bool) if is_test is None else np.asarray(is_test, bool)
    when, time_name = times_of(y_true, times)
    check_consistent_length(actual, tested, when)
    titles = _titles(table.columns, step)
    codes = series_of(table.index)
    panels = []
    for code in np.unique(codes):
        mine = codes == code
        series = "/".join(map(str, table.index[mine][0][:-1])) if table.index.nlevels > 1 else ""
        for k, title in titles.items():
            if series and np.isnan(actual[mine, k]).all():
                continue  # a job of other series
            rows = pd.DataFrame(
                {
                    "time": when[mine],
                    "actual": actual[mine, k],
                    "forecast": forecast[mine, k],
                    "is_test": tested[mine],
                }
            )
            name = ": ".join(part for part in (series, title) if part)
            panels.append(Panel(name, rows.sort_values("time", kind="stable", ignore_index=True)))
    panels.sort(key=lambda panel: -panel.rows["actual"].abs().sum())
    return panels[:MOST_PANELS], time_name


def _titles(columns: pd.Index, step: int) -> dict[int, str]:
    """Position -> title of the outputs to draw."""
    if isinstance(columns, pd.MultiIndex) and "step" in columns.names:
        names = {
            k: "whole run" if job == WHOLE_RUN else str(job)
            for k, (ahead, job) in enumerate(columns)
            if ahead == step
        }
        if not names:
            steps = list(columns.unique("step"))
            raise ValueError(f"no target is {step} steps ahead; expected one of {steps}.")
        return {k: name if step == 1 else f"{name}, step {step}" for k, name in names.items()}
    if isinstance(columns, pd.RangeIndex):
        return {k: f"output {k}" if len(columns) > 1 else "" for k in range(len(columns))}
    return {k: str(name) for k, name in enumerate(columns)}
