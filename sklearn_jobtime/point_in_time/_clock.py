"""When the runs of a table started and ended, series by series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import RunTableError

__all__ = ["Clock", "epoch_seconds", "read_clock"]


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
    """

    series: Rows
    keys: list[tuple[Any, ...]]
    started: Floats | None = None
    ended: Floats | None = None
    labels: pd.Index | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the rows are one series in which every earlier row is known."""
        return len(self.keys) <= 1 and self.started is None and self.ended is None

    def take(self, rows: Rows) -> Clock:
        """Return the clock of some of the rows."""
        return replace(
            self,
            series=self.series[rows],
            started=None if self.started is None else self.started[rows],
            ended=None if self.ended is None else self.ended[rows],
            labels=None if self.labels is None else self.labels[rows],
        )


def epoch_seconds(column: pd.Series) -> Floats:
    """Seconds since 1970-01-01 UTC of a datetime or numeric column; NaT becomes NaN.

    Parameters
    ----------
    column : pandas.Series
        Naive datetimes are taken as UTC, aware ones are converted, numbers are taken as they are.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    RunTableError
        If the column holds anything else, such as text.

    Examples
    --------
    >>> import pandas as pd
    >>> epoch_seconds(pd.Series(pd.to_datetime(["1970-01-01 00:01", None])))
    array([60., nan])
    """
    column = column.infer_objects()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        zone = column.dt.tz
        zero = pd.Timestamp(0) if zone is None else pd.Timestamp(0, tz="UTC").tz_convert(zone)
        column = (column - zero) / pd.Timedelta(seconds=1)
    elif not pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind in "bc":
        raise RunTableError(
            f"Column {column.name!r} has dtype {column.dtype}; expected datetimes or epoch "
            "seconds. Put TimestampToNumeric before this step, or convert it with "
            "pandas.to_datetime(..., utc=True)."
        )
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _series_codes(index: pd.Index) -> tuple[Rows, list[tuple[Any, ...]]]:
    if not isinstance(index, pd.MultiIndex):
        return np.broadcast_to(np.intp(0), len(index)), [()]
    codes = np.zeros(len(index), dtype=np.intp)
    for level, level_codes in zip(index.levels[:-1], index.codes[:-1], strict=True):
        # A missing key has the code -1 and is a series of its own.
        codes, _ = pd.factorize(codes * (len(level) + 1) + level_codes + 1)
    newest = np.unique(codes, return_index=True)[1]
    return codes.astype(np.intp, copy=False), [key[:-1] for key in index[newest]]


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
) -> Clock:
    """Read the series and the times of the rows of a table.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, features)
        Every level but the last of a MultiIndex names the series; anything else is one series.
    started_at, ended_at : str, int or None
        The columns of the times: a name in a DataFrame, a position in an array. A name that is
        not there, or None, means that this time is not known.

    Returns
    -------
    Clock

    Raises
    ------
    RunTableError
        If a run has no start, or a column of times holds neither datetimes nor numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> clock = read_clock(pd.DataFrame({"started_at": [0.0, 60.0], "ended_at": [90.0, None]}))
    >>> clock.started, clock.ended
    (array([ 0., 60.]), array([90., nan]))
    """
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
    return Clock(series, keys, started, ended, labels)
