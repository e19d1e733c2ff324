"""One look at a history: its update, forecasts, chances, landings and unusual runs together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Ints, Mask
from sklearn_jobtime.alerts._landings import landings_of_series
from sklearn_jobtime.alerts._shifts import Shift, level_shifts
from sklearn_jobtime.anomaly import JobTimeAnomalyDetector, newest_runs
from sklearn_jobtime.conformal._deadlines import deadline_of_series, next_risks
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._nominal_coverage import few_runs_noted
from sklearn_jobtime.conformal._online_update import OnlineUpdate, online_update
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.forecasting import forecast, own_run_first
from sklearn_jobtime.point_in_time._clock import epoch_seconds
from sklearn_jobtime.runs._schema import STARTED_AT, series_names, with_series
from sklearn_jobtime.runs._timeline import next_runs, retired_series, split_off_coming

__all__ = ["Asked", "Night", "look_at"]


JUDGED = 0.2  # share of the newest runs that are judged, as `jobtime anomalies` does


@dataclass(frozen=True)
class Asked:
    """What a nightly run is asked for.

    Parameters
    ----------
    deadlines : sequence of str
        ``06:00`` for all series, ``SERIES=05:00`` for one.
    now : Timestamp
        The present: for runs that go on, and for the age of data and model.
    zone : ZoneInfo
        Whose clock deadlines and sentences go by.
    alarm_below : float
        A chance of a deadline below it is an alarm.
    refit_after : float or None
        Days after which a fit is due; None: errors alone tell.
    landings : int
        For how many series the next run is sent through the graph of its jobs.
    """

    deadlines: Sequence[str]
    now: pd.Timestamp
    zone: ZoneInfo
    alarm_below: float = 0.5
    refit_after: float | None = None
    landings: int = 8


@dataclass(frozen=True)
class Night:
    """What is known of a history, and of its runs to come.

    Parameters
    ----------
    history : DataFrame
        Runs with an outcome, their series in the index where it has a name.
    jobs : list of str
    update : OnlineUpdate
    coming : DataFrame
        The runs to come, and those that go on.
    is_running : ndarray of bool
        Which of them stand in the table and have started.
    forecasts, risks : DataFrame
        As `jobtime forecast` and `jobtime risk` give them; no risks without deadlines.
    limits : dict of str to str or None
        The deadline of each series.
    unusual : DataFrame
        As `jobtime anomalies` gives them.
    shifts : list of Shift
    landings : dict of str to DataFrame
        As `jobtime landing` gives them, for each series where they are known.
    retired : Series
        Last starts of retired series.
    notes : list of str
    """

    history: pd.DataFrame
    jobs: list[str]
    update: OnlineUpdate
    coming: pd.DataFrame
    is_running: Mask
    forecasts: pd.DataFrame
    risks: pd.DataFrame
    limits: dict[str, str | None]
    unusual: pd.DataFrame
    shifts: list[Shift]
    landings: dict[str, pd.DataFrame]
    retired: pd.Series
    notes: list[str]

    @cached_property
    def rows_of_series(self) -> dict[str, Ints]:
        """Rows of the history by series, in the order of their starts."""
        order = np.arange(len(self.history))
        if STARTED_AT in self.history:
            order = np.argsort(epoch_seconds(self.history[STARTED_AT]), kind="stable")
        codes, names = pd.factorize(series_names(self.history.index))
        order = order[np.argsort(codes[order], kind="stable")]
        parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
        return dict(zip(map(str, names), parts, strict=True))

    @cached_property
    def _names(self) -> dict[Any, str]:
        """Name of each series by its key."""
        keys = self.history.index.droplevel(-1) if self.history.index.nlevels > 1 else ()
        return dict(zip(keys, map(str, series_names(self.history.index)), strict=False))

    def name_of(self, label: Any) -> str:
        """Name of the series of a run, ``all`` where there is one without a name."""
        if self.history.index.nlevels == 1:
            return "all"
        return self._names[label[0] if len(label) == 2 else label[:-1]]

    def run_of(self, label: Any) -> str:
        """Label of a run within its series."""
        return str(label[-1] if self.history.index.nlevels > 1 else label)

    def series_label(self, name: str) -> str | None:
        """Name of a series to be told; None where there is one without a name."""
        return None if self.history.index.nlevels == 1 else name


def look_at(
    model: ConformalForecaster,
    table: pd.DataFrame,
    jobs: list[str],
    asked: Asked,
    series: str | None = None,
) -> Night:
    """Update a model with the runs that are new to it, and forecast, judge and land with it.

    Parameters
    ----------
    model : ConformalForecaster
        It is changed, by its `update`.
    table : DataFrame
        The whole history, with the columns of the fit.
    jobs : list of str
    asked : Asked
    series : str, default=None
        Name of the one series of the table, where it has one.

    Returns
    -------
    Night
    """
    history, given = split_off_coming(table, jobs)
    named = with_series(history, series)
    names = list(dict.fromkeys(map(str, series_names(named.index))))
    limits = dict(zip(names, deadline_of_series(asked.deadlines, names), strict=True))
    notes: list[str] = []
    update = online_update(model, table)
    coming, is_given = _runs_to_come(history, given)
    is_running = is_given & (coming[STARTED_AT] <= asked.now).to_numpy()
    with few_runs_noted(notes):
        forecasts = own_run_first(forecast(model, history, coming))
    named_forecasts, named_coming = with_series(forecasts, series), with_series(coming, series)
    with few_runs_noted([]):  # of time-outs, which are not told here
        risks = _risks(model, named_forecasts, limits, named_coming, is_running, asked)
    return Night(
        history=named,
        jobs=jobs,
        update=update,
        coming=named_coming,
        is_running=is_running,
        forecasts=named_forecasts,
        risks=risks,
        limits=limits,
        unusual=_unusual(named, jobs, notes),
        shifts=level_shifts(named, jobs, pd.Timestamp(model.fitted_until_, unit="s", tz="UTC")),
        landings=landings_of_series(
            model,
            table,
            jobs,
            limits,
            zone=asked.zone,
            now=asked.now,
            most=asked.landings,
            series=series,
        ),
        retired=retired_series(named),
        notes=notes,
    )


def _runs_to_come(history: pd.DataFrame, given: pd.DataFrame) -> tuple[pd.DataFrame, Mask]:
    """Give the runs to come: those of the table, and the next one of each series without any."""
    if given.empty:
        coming = next_runs(history)
        return coming, np.zeros(len(coming), dtype=bool)
    others = ~np.isin(series_names(history.index), series_names(given.index))
    if not others.any():
        return given, np.ones(len(given), dtype=bool)
    rest = next_runs(history[others])
    keep = ~np.isin(series_names(rest.index), list(retired_series(history).index))
    coming = pd.concat([given.astype(rest.dtypes.to_dict()), rest[keep]])
    return coming, np.arange(len(coming)) < len(given)


def _risks(
    model: ConformalForecaster,
    forecasts: pd.DataFrame,
    limits: Mapping[str, str | None],
    coming: pd.DataFrame,
    is_running: Mask,
    asked: Asked,
) -> pd.DataFrame:
    """Tell the chances of the deadlines, those of runs that go on from what is known by now."""
    limit = np.array([limits[name] or "" for name in series_names(forecasts.index)], dtype=object)
    runs_now = np.isin(forecasts.index, coming.index[is_running])
    found = []
    for text in dict.fromkeys(limit):
        for is_open in (False, True):
            own = (limit == text) & (runs_now == is_open)
            if text and own.any():
                now = asked.now if is_open else None
                found.append(next_risks(model, forecasts[own], text, zone=asked.zone, now=now))
    return pd.concat(found) if found else pd.DataFrame()


def _unusual(named: pd.DataFrame, jobs: list[str], notes: list[str]) -> pd.DataFrame:
    """Judge the newest runs by those before them, as `jobtime anomalies` does by default."""
    n_judged = max(1, round(JUDGED * len(named)))
    if len(named) < 2 or n_judged >= len(named):
        notes.append(f"no run is called unusual: {len(named)} are too few to compare with.")
        return pd.DataFrame()
    is_judged = newest_runs(named, n_judged)
    detector = JobTimeAnomalyDetector(jobs=jobs)
    try:
        return detector.fit(named[~is_judged]).alarms(named[is_judged])
    except NoHistoryError as error:
        notes.append(f"no run is called unusual: {error}")
        return pd.DataFrame()
