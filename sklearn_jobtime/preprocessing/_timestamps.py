"""Timestamps become epoch seconds and cyclic calendar features."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._estimator import check_has_effect
from sklearn_jobtime._typing import Rows
from sklearn_jobtime.preprocessing._epoch import dtype_back, from_epoch, to_seconds
from sklearn_jobtime.preprocessing._tables import (
    in_rows,
    like_input,
    names_out,
    read_table,
    resolve_columns,
    transformed,
)
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, clock_columns

__all__ = ["TimestampToNumeric"]


WEEK = np.timedelta64(7, "D")
MONDAY = np.datetime64("1970-01-05", "us")


def calendar_turns(seconds: np.ndarray, timezone: str) -> dict[str, np.ndarray]:
    """How far the local clock has come through its day, week, month and year, each in [0, 1).

    The fraction is that of the wall clock (a day always has 24 h on it), so a job at 02:00 every
    night keeps its place when the clocks change.
    """
    there = np.isfinite(seconds)
    utc = from_epoch(seconds[there], pd.DatetimeTZDtype("us", "UTC"))
    wall = utc.tz_convert(ZoneInfo(timezone)).tz_localize(None).to_numpy("datetime64[us]")
    turns = {
        "hour": _turn(wall, "D"),
        "weekday": ((wall - MONDAY) % WEEK) / WEEK,
        "monthday": _turn(wall, "M"),
        "month": _turn(wall, "Y"),
    }
    return {
        name: in_rows(len(seconds), np.flatnonzero(there), turn) for name, turn in turns.items()
    }


def _turn(wall: np.ndarray, unit: str) -> np.ndarray:
    first = wall.astype(f"datetime64[{unit}]")
    begin, end = first.astype(wall.dtype), (first + 1).astype(wall.dtype)
    return (wall - begin) / (end - begin)


def seconds_since_previous(series: pd.Index, started: np.ndarray) -> np.ndarray:
    """Seconds since the newest strictly earlier start of the same series; NaN where none is."""
    gaps = np.full(len(started), np.nan)
    there = np.flatnonzero(np.isfinite(started))
    codes = pd.factorize(series)[0][there]
    order = np.lexsort((started[there], codes))
    code, start = codes[order], started[there][order]
    same_series = code[1:] == code[:-1]
    # Equal starts form one group: each run of it looks back at the group before.
    first = np.r_[True, ~same_series | (start[1:] != start[:-1])][: len(order)]
    group = np.cumsum(first) - 1
    code, start = code[first], start[first]
    gap = np.full(len(start), np.nan)
    gap[1:] = np.where(code[1:] == code[:-1], np.diff(start), np.nan)
    gaps[there[order]] = gap[group]
    return gaps


def _series(index: pd.Index) -> pd.Index:
    """Name of each row's series; a plain index is one series."""
    return pd.Index(np.zeros(len(index), int)) if index.nlevels == 1 else index.droplevel(-1)


class TimestampToNumeric(TransformerMixin, BaseEstimator):
    """Turn timestamps into epoch seconds and cyclic calendar features.

    A network reads numbers, and what helps it is less *when* a run started than *where in the
    day, week, month and year*: nightly batches meet other nightly batches, month ends are heavy.
    An hour as a plain number would put 23:59 and 00:00 at opposite ends, so each place in a cycle
    becomes a point on a circle, a sine and a cosine, and stays continuous at every midnight.

    The time columns keep their names and places and become float seconds since 1970-01-01 UTC.
    The features follow after all columns, named ``<column>__<feature>``: what starts with
    `started_at__` is known at the start of a run, `ended_at__elapsed` is an outcome. All other
    columns of a DataFrame, strings too, pass unchanged.

    Parameters
    ----------
    columns : list of str or int, default=None
        The time columns, by name or position. Calendar features are made of `started_at` (else
        of the first named one), because a run's end is unknown when it is predicted. None takes,
        in a DataFrame, every datetime column and those named `started_at` and `ended_at`
        whatever their type; in an array, every column.
    hour : bool, default=True
        Place in the local day, as ``started_at__hour_sin`` and ``started_at__hour_cos``.
    weekday : bool, default=True
        Place in the week, which begins on Monday.
    monthday : bool, default=True
        Place in the month, relative to that month's length, so that month ends coincide.
    month : bool, default=True
        Place in the year.
    since_previous : bool, default=True
        ``started_at__since_previous``: seconds since the newest strictly earlier start in the same
        series, among the rows given and all starts seen in `fit`; NaN for the first. A start is
        known at once, so this leaks nothing, and a long gap often means cold caches.
    elapsed : bool, default=True
        For every further time column but the starts of jobs (``<job>__started_at``) the seconds
        since the first, ``ended_at__elapsed``: the time of the whole run.
    timezone : str, default="UTC"
        IANA name of the zone whose wall clock the calendar features follow, such as
        ``"Europe/Berlin"`` where the jobs are scheduled in local time: 02:00 then has the same
        features in summer and winter. It never changes the epoch seconds.

    Attributes
    ----------
    columns_ : list of str
        The time columns; the first has the calendar features.
    dtypes_ : dict of str to dtype
        What `inverse_transform` gives back, for each time column.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    RunTableError
        When a value is no time, a column mixes forms (with and without a zone, numbers and
        strings) or a number lies beyond the years 1 to 9999.

    Notes
    -----
    Datetimes of any unit, aware or naive, Python datetimes, ISO 8601 strings and numbers (epoch
    seconds) are read; None, NaT, NaN and ``""`` are missing and give NaN in all features. **Naive
    times are UTC**, so none is ambiguous. If yours are local, say which instants you mean before:
    ``column.dt.tz_localize("Europe/Berlin", ambiguous="infer", nonexistent="shift_forward")``.
    Float seconds are exact to the microsecond for the years 1700 to 2240; finer parts are cut.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime import TimestampToNumeric
    >>> runs = pd.DataFrame({
    ...     "started_at": ["2026-03-02T06:00Z", "2026-03-03T06:00Z"],
    ...     "ended_at": ["2026-03-02T06:10Z", None],
    ...     "event": ["schedule", "push"]})
    >>> numeric = TimestampToNumeric(weekday=False, monthday=False, month=False)
    >>> numeric.fit_transform(runs).T.round(6)
                                           0             1
    started_at                  1772431200.0  1772517600.0
    ended_at                    1772431800.0           NaN
    event                           schedule          push
    started_at__hour_sin                 1.0           1.0
    started_at__hour_cos                 0.0           0.0
    started_at__since_previous           NaN       86400.0
    ended_at__elapsed                  600.0           NaN

    A value that is no time is named, with its place:

    >>> numeric.fit(pd.DataFrame({"started_at": ["2026-03-02", "yesterday"]}))
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.BadValueError: column 'started_at', row 1: 'yesterday' is not a ...
    """

    _parameter_constraints: ClassVar[dict] = {
        "columns": ["array-like", None],
        "hour": ["boolean"],
        "weekday": ["boolean"],
        "monthday": ["boolean"],
        "month": ["boolean"],
        "since_previous": ["boolean"],
        "elapsed": ["boolean"],
        "timezone": [str],
    }

    def __init__(
        self,
        columns: Sequence[str | int] | None = None,
        *,
        hour: bool = True,
        weekday: bool = True,
        monthday: bool = True,
        month: bool = True,
        since_previous: bool = True,
        elapsed: bool = True,
        timezone: str = "UTC",
    ):
        self.columns = columns
        self.hour = hour
        self.weekday = weekday
        self.monthday = monthday
        self.month = month
        self.since_previous = since_previous
        self.elapsed = elapsed
        self.timezone = timezone

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Find the time columns and remember every start.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.
        y : None
            Ignored.

        Returns
        -------
        self : TimestampToNumeric
        """
        has_calendar = self.hour or self.weekday or self.monthday or self.month
        check_has_effect(self, "timezone", has_calendar, needs="hour, weekday, monthday or month")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"timezone={self.timezone!r} is not known here; expected an IANA name such as "
                "'UTC' or 'Europe/Berlin'."
            ) from error
        X = plain_table(X, read_times=False)
        table = read_table(self, X, reset=True, dtype=None)
        self.columns_ = self._time_columns(table, whole=not isinstance(X, pd.DataFrame))
        self.dtypes_ = {name: dtype_back(table[name]) for name in self.columns_}
        self._starts_of_jobs = clock_columns(table.columns)
        self._added = self._derived()
        self._seen = (pd.Index([], dtype=object), np.empty(0))
        names_out(self, None, self._added)  # a clash of names shows now, not at night
        seconds = {name: to_seconds(table[name]) for name in self.columns_}
        if self.columns_ and self.since_previous:
            self._seen = (_series(table.index), seconds[self.columns_[0]])
        return self

    def _time_columns(self, table: pd.DataFrame, *, whole: bool) -> list[str]:
        if self.columns is not None:
            names = resolve_columns(self, self.columns, "columns")
        elif whole:
            names = list(table.columns)
        else:
            clocks = (STARTED_AT, ENDED_AT, *clock_columns(table.columns))
            names = [
                name
                for name in table.columns
                if name in clocks or pd.api.types.is_datetime64_any_dtype(table[name])
            ]
        return sorted(names, key=lambda name: name != STARTED_AT)

    def _derived(self) -> list[tuple[str, str]]:
        """Column and feature of everything that `transform` adds."""
        if not self.columns_:
            return []
        first, *further = self.columns_
        cycles = {name: getattr(self, name) for name in ("hour", "weekday", "monthday", "month")}
        features = [
            f"{name}_{f}" for name, wanted in cycles.items() if wanted for f in ("sin", "cos")
        ]
        if self.since_previous:
            features.append("since_previous")
        pairs = [(first, feature) for feature in features]
        further = [name for name in further if name not in self._starts_of_jobs]
        return pairs + [(name, "elapsed") for name in further if self.elapsed]

    def transform(self, X: Any) -> Any:
        """Turn the time columns into seconds and add the features.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            Rows and index as given; times in seconds since 1970-01-01 UTC.
        """
        return self.transform_rows(X)

    def transform_rows(self, X: Any, rows: Rows | None = None) -> Any:
        """Transform a table, but add features to some of its rows alone.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features)
            The run table.
        rows : ndarray of int, default=None
            Positions of the rows whose features are wanted; None: all.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_out)
            As :meth:`transform` gives it; the features of other rows are NaN.
        """
        check_is_fitted(self)
        X = plain_table(X, read_times=False)
        table = read_table(self, X, reset=False, dtype=None)
        seconds = {name: to_seconds(table[name]) for name in self.columns_}
        added = {}
        if self.columns_:
            started = seconds[self.columns_[0]]
            asked = started if rows is None else started[rows]
            for name, turn in calendar_turns(asked, self.timezone).items():
                added[f"{name}_sin"] = in_rows(len(table), rows, np.sin(2 * np.pi * turn))
                added[f"{name}_cos"] = in_rows(len(table), rows, np.cos(2 * np.pi * turn))
            if self.since_previous:
                added["since_previous"] = self._gaps(table.index, started)
        derived = {
            f"{column}__{feature}": seconds[column] - started
            if feature == "elapsed"
            else added[feature]
            for column, feature in self._added
        }
        out = pd.concat([table.assign(**seconds), pd.DataFrame(derived, index=table.index)], axis=1)
        return transformed(self, out, X)

    def _gaps(self, index: pd.Index, started: np.ndarray) -> np.ndarray:
        series, seen = self._seen
        return seconds_since_previous(series.append(_series(index)), np.r_[seen, started])[
            len(seen) :
        ]

    def inverse_transform(self, X: Any) -> Any:
        """Give the columns seen in `fit` back, the times as datetimes.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_runs, n_features_out)
            A transformed table.

        Returns
        -------
        DataFrame (array for an array) of shape (n_runs, n_features_in_)
            Datetime columns in the type they had in `fit`, zone and unit included; strings come
            back as UTC datetimes (naive if they had no zone); epoch seconds stay seconds.
        """
        check_is_fitted(self)
        names = self.get_feature_names_out()
        X = plain_table(X, read_times=False)
        if isinstance(X, pd.DataFrame):
            table = X.copy(deep=False)
        else:
            table = pd.DataFrame(check_array(X, dtype=None, ensure_all_finite=False))
        if table.shape[1] != len(names):
            raise ValueError(
                f"X has {table.shape[1]} features, but {type(self).__name__} gave {len(names)}: "
                f"{list(names)}."
            )
        table.columns = names
        back = {
            name: from_epoch(to_seconds(table[name]), dtype)
            for name, dtype in self.dtypes_.items()
            if dtype is not None
        }
        return like_input(table.iloc[:, : self.n_features_in_].assign(**back), X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns; None takes those seen in `fit`, or x0, x1, ...

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return names_out(self, input_features, self._added)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
