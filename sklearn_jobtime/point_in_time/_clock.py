"""When the runs of a table started and ended, series by series."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._containers import to_utc
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import LostClockError, RunTableError
from sklearn_jobtime.point_in_time._clock_checks import (
    REMEDY,
    check_column_names,
    check_no_hidden_clock,
    check_plausible,
    check_targets,
)
from sklearn_jobtime.point_in_time._composition import tables_above
from sklearn_jobtime.runs._job_times import known_from
from sklearn_jobtime.runs._schema import STARTED_AT, clock_columns

__all__ = ["Clock", "clocks_above", "epoch_seconds", "read_clock"]


EPOCH = pd.Timestamp(0, tz="UTC")
EARLY = 120.0  # seconds by which clocks that count minutes may be off


@dataclass(frozen=True)
class Clock:
    """Who ran when, for the n rows of a table.

    Parameters
    ----------
    series : ndarray of int, shape (n,)
        The series of each row, as a position in `keys`.
    keys : list of tuple
        The keys of the series; ``()`` is the one series of a table with a plain index.
    started, ended : ndarray of float64, shape (n,), or None
        Epoch seconds. An `ended` of NaN means that the run had not ended when the table was
        written. None: the table does not have this column.
    labels : pandas.Index or None
        The last level of the index, which names a run within its series; None for arrays.
    job_ended : mapping of job to ndarray of float64, shape (n,)
        Epoch seconds at which the job itself had ended, of the jobs whose starts the table has; NaN
        where nothing else is known than the end of the run.
    """

    series: Rows
    keys: list[tuple[Any, ...]]
    started: Floats | None = None
    ended: Floats | None = None
    labels: pd.Index | None = None
    job_ended: Mapping[Hashable, Floats] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether the rows are one series in which every earlier row is known."""
        return len(self.keys) <= 1 and self.started is None and self.ended is None

    @property
    def is_one_by_one(self) -> bool:
        """Whether the rows are one series in which each run had ended when the next one started."""
        if len(self.keys) > 1 or self.started is None:
            return self.is_plain
        ended = self.started if self.ended is None else np.maximum(self.ended, self.started)
        ended_by = np.maximum.accumulate(np.where(np.isnan(ended), np.inf, ended))
        in_order = bool((np.diff(self.started) >= 0).all())
        return in_order and bool((ended_by[:-1] <= self.started[1:]).all())

    @property
    def is_in_time_order(self) -> bool:
        """Whether the rows stand as :meth:`in_time_order` would put them."""
        return bool((np.diff(self.in_time_order()) == 1).all())

    def in_time_order(self) -> Rows:
        """Positions of the rows as the runs started, whatever the order of the table.

        Runs of one series that started at once keep their order; series are in the order of their
        names. Without starts, the rows are in time order as they stand.
        """
        if self.started is None:
            return np.arange(len(self.series))
        rank = np.argsort(np.argsort([repr(key) for key in self.keys]))
        return np.lexsort((rank[self.series], self.started))

    def take(self, rows: Rows) -> Clock:
        """Return the clock of some of the rows."""
        return replace(
            self,
            series=self.series[rows],
            started=None if self.started is None else self.started[rows],
            ended=None if self.ended is None else self.ended[rows],
            labels=None if self.labels is None else self.labels[rows],
            job_ended={job: ended[rows] for job, ended in self.job_ended.items()},
        )

    def of_job(self, job: Hashable) -> Clock:
        """Return the clock by which outcomes of a job were known: its own ends where they are told.

        Examples
        --------
        >>> runs = pd.DataFrame({"started_at": [0.0], "ended_at": [90.0], "build": [60.0],
        ...                      "build__started_at": [5.0]})
        >>> clock = read_clock(runs)
        >>> clock.of_job("build").ended, clock.of_job("test").ended
        (array([65.]), array([90.]))
        """
        if job not in self.job_ended:
            return self
        own, of_run = self.job_ended[job], self.started if self.ended is None else self.ended
        assert of_run is not None  # ends of jobs are read beside starts of runs alone
        return replace(self, ended=np.where(np.isnan(own), of_run, own), job_ended={})

    @property
    def last_known(self) -> Floats | None:
        """When the newest outcome of each run was known: its end, or that of its jobs so far."""
        if self.ended is None or not self.job_ended:
            return self.ended
        return np.asarray(np.fmax.reduce([self.ended, *self.job_ended.values()]))


def epoch_seconds(column: pd.Series) -> Floats:
    """Seconds since 1970-01-01 UTC of a column of times; NaT becomes NaN.

    Parameters
    ----------
    column : pandas.Series
        Numbers are taken as they are; for all else see :func:`~sklearn_jobtime.runs.to_utc`.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    RunTableError
        If a value is no time.

    Examples
    --------
    >>> import pandas as pd
    >>> epoch_seconds(pd.Series(pd.to_datetime(["1970-01-01 00:01", None])))
    array([60., nan])
    """
    column = column.infer_objects()
    if not pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind in "bc":
        if not isinstance(column.dtype, pd.DatetimeTZDtype):
            column = to_utc(column)
        column = (column - EPOCH) / pd.Timedelta(seconds=1)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _series_codes(index: pd.Index) -> tuple[Rows, list[tuple[Any, ...]]]:
    if not isinstance(index, pd.MultiIndex):
        return np.broadcast_to(np.intp(0), len(index)), [()]
    codes = np.zeros(len(index), dtype=np.intp)
    for level, level_codes in zip(index.levels[:-1], index.codes[:-1], strict=True):
        # A missing key has the code -1 and is a series of its own.
        codes, _ = pd.factorize(codes * (len(level) + 1) + level_codes + 1)
    newest = np.unique(codes, return_index=True)[1]
    few = index[newest].remove_unused_levels()  # else the labels of all runs are read
    return codes.astype(np.intp, copy=False), [key[:-1] for key in few]


def _times(X: pd.DataFrame | NDArray[Any], column: str | int | None) -> Floats | None:
    if column is None or (isinstance(X, pd.DataFrame) and column not in X.columns):
        return None
    if not isinstance(X, pd.DataFrame):
        if isinstance(column, str):
            return None
        return epoch_seconds(pd.Series(X[:, column], name=column))
    found = X[column]
    if isinstance(found, pd.DataFrame):
        raise RunTableError(
            f"{found.shape[1]} columns are named {column!r}; expected one. Rename the others."
        )
    return epoch_seconds(found)


def read_clock(
    X: pd.DataFrame | NDArray[Any],
    started_at: str | int | None = "started_at",
    ended_at: str | int | None = "ended_at",
    y: Any = None,
) -> Clock:
    """Read the series and the times of the rows of a table.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, features)
        Every level but the last of a MultiIndex names the series; anything else is one series.
    started_at, ended_at : str, int or None
        The columns of the times: a name in a DataFrame, a position in an array. A name that is
        not there, or None, means that this time is not known.
    y : DataFrame or array, default=None
        The targets of the same rows, in `fit`: they may say that the rows of an array come from a
        table.

    Returns
    -------
    Clock
        Of windows that carry a clock (:class:`~sklearn_jobtime.point_in_time.TimedWindows`), it.

    Raises
    ------
    RunTableError
        If a run has no start, or a column of times holds neither datetimes nor numbers.
    LostClockError
        If these times are not those of the runs, or there are none though the table had some: a
        step on the way here has renamed, scaled or dropped them. With ``started_at=None`` nothing
        is checked.

    Examples
    --------
    >>> import pandas as pd
    >>> clock = read_clock(pd.DataFrame({"started_at": [0.0, 60.0], "ended_at": [90.0, None]}))
    >>> clock.started, clock.ended
    (array([ 0., 60.]), array([90., nan]))
    """
    carried = getattr(X, "clock", None)
    if isinstance(carried, Clock):
        return carried
    clock = _read(X, started_at, ended_at)
    if started_at is None:
        return clock
    return _with_true_ends(clock, _check(X, clock, started_at, ended_at, y))


def _with_true_ends(clock: Clock, sources: Sequence[Clock]) -> Clock:
    """Keep the ends of jobs that the tables above have too.

    They rest on durations, so a step that scales or fills these in would move them: the outcomes of
    such a row are known at the end of its run.
    """
    kept = dict(clock.job_ended)
    for source in sources if kept else ():
        for job, ended in kept.items():
            true = np.round(source.job_ended.get(job, np.empty(0)), 3)
            kept[job] = np.where(np.isin(np.round(ended, 3), true), ended, np.nan)
    return replace(clock, job_ended=kept) if kept else clock


def _check(
    X: Any, clock: Clock, started_at: str | int, ended_at: str | int | None, y: Any
) -> list[Clock]:
    """Raise a LostClockError where the clock is none, or not that of the table it came from.

    Returns
    -------
    list of Clock
        Those of the tables that it came from.
    """
    if isinstance(X, pd.DataFrame):
        check_column_names(X.columns, str(started_at), str(ended_at))
        if clock.started is not None and pd.api.types.is_numeric_dtype(X[started_at]):
            check_plausible(clock.started, clock.ended)
    sources = clocks_above(len(X), started_at, ended_at)
    if clock.started is None:
        check_no_hidden_clock(X)
        if not sources:
            check_targets(X, y)
    for source in sources:
        is_honest = source.is_one_by_one and clock.is_in_time_order
        if not (is_honest or _is_same(clock, source)):
            raise LostClockError(
                "this step was given runs without the clock of the table that they came from, in "
                f"which runs overlap or several series stand together. {REMEDY}"
            )
    return sources


def clocks_above(
    n_rows: int,
    started_at: str | int | None = "started_at",
    ended_at: str | int | None = "ended_at",
) -> list[Clock]:
    """Read the clocks of the tables of so many rows that the pipelines around us were given."""
    return [_source_clock(table, started_at, ended_at) for table in tables_above(n_rows)]


def _source_clock(
    table: pd.DataFrame, started_at: str | int | None, ended_at: str | int | None
) -> Clock:
    """Read the clock of a table in which times may stand under their usual names alone."""
    names = [
        default if isinstance(name, int) or (name is not None and name not in table) else name
        for name, default in ((started_at, "started_at"), (ended_at, "ended_at"))
    ]
    return _read(table, *names)


def _is_same(clock: Clock, source: Clock) -> bool:
    """Tell whether two clocks say the same of what was known when, in whatever unit or row order.

    That rests on the order of all starts and ends alone.
    """
    if len(clock.keys) != len(source.keys):
        return False
    if source.started is None and source.ended is None:
        return True
    pairs = [(clock.started, source.started), (clock.ended, source.ended)]
    if any((mine is None) != (theirs is None) for mine, theirs in pairs):
        return False
    mine = [column for column, _ in pairs if column is not None]
    theirs = [column for _, column in pairs if column is not None]
    if all(map(_equal_sets, mine, theirs)):
        return True
    return np.array_equal(_ranks(mine), _ranks(theirs))


def _equal_sets(mine: Floats, theirs: Floats) -> bool:
    return np.allclose(np.sort(mine), np.sort(theirs), rtol=0, atol=1e-3, equal_nan=True)


def _ranks(columns: list[Floats]) -> Rows:
    return np.unique(np.concatenate(columns), return_inverse=True)[1]


def _read(X: Any, started_at: str | int | None, ended_at: str | int | None) -> Clock:
    started, ended = _times(X, started_at), _times(X, ended_at)
    index = X.index if isinstance(X, pd.DataFrame) else None
    if started is not None and not np.isfinite(started).all():
        row = int(np.argmin(np.isfinite(started)))
        name = row if index is None else repr(index[row])
        raise RunTableError(
            f"Row {name} (position {row}) has no start: {started_at!r} is {started[row]}. A run "
            "without a start can not be ordered; drop it or fill in its start."
        )
    if ended is not None:
        ended = np.where(np.isfinite(ended), ended, np.nan)
    if index is None:
        return Clock(np.broadcast_to(np.intp(0), len(X)), [()], started, ended)
    series, keys = _series_codes(index)
    labels = index.get_level_values(-1) if isinstance(index, pd.MultiIndex) else index
    own = {} if started is None else _job_ends(X, started)
    return Clock(series, keys, started, ended, labels, own)


def _job_ends(X: pd.DataFrame, started: Floats) -> dict[Hashable, Floats]:
    """Read when jobs themselves had ended, where the table has their starts beside durations."""
    found: dict[Hashable, Floats] = {}
    for column in clock_columns(X.columns):
        job = column.removesuffix(f"__{STARTED_AT}")
        if job in X and job != column and pd.api.types.is_numeric_dtype(X[job].infer_objects()):
            own = known_from(X, job)
            if own is not None:  # before the start of the run: another column, or a scaled one
                found[job] = np.where(own < started - EARLY, np.nan, own)
    return found
