"""The newest rows of a table, and which others have a part in their forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.point_in_time._clock_checks import LEAST_EPOCH
from sklearn_jobtime.point_in_time._order import ended_order
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["AskedRows", "NewestForecasts", "has_clear_clock", "own_series"]


@dataclass(frozen=True)
class NewestForecasts:
    """What a model says of the newest n rows of a table, computed in one pass.

    Parameters
    ----------
    seconds : ndarray of shape (n, n_outputs)
    sources : ndarray of str, shape (n, n_outputs), default=None
        What each forecast rests on, where the model can tell.
    interval : ndarray of shape (n, n_outputs, 2), default=None
        Between which durations the runs will be, where the model can tell.
    """

    seconds: Floats
    sources: NDArray[np.str_] | None = None
    interval: Floats | None = None


@dataclass(frozen=True)
class AskedRows:
    """The rows of a table that are to be forecast, and those that their windows hold.

    Parameters
    ----------
    rows : ndarray of int
        Positions of the rows to forecast.
    needed : ndarray of int
        The same and those in their windows, in the order of the table.
    """

    rows: Rows
    needed: Rows

    @classmethod
    def of(cls, X: pd.DataFrame, rows: Rows, n_steps: int) -> AskedRows:
        """Find the rows that windows of `n_steps` runs hold, for a table without a memory.

        Examples
        --------
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"started_at": [0.0, 60.0, 120.0], "ended_at": [30.0, 90.0, None]})
        >>> AskedRows.of(runs, np.array([2]), n_steps=1).needed
        array([1, 2])
        """
        clock = read_clock(X)
        found = ended_order(clock.series, clock.started, clock.ended).at(rows)
        place = found.stop[:, None] - np.arange(1, n_steps + 1)
        seen = found.order[place[place >= found.first[:, None]]]
        return cls(rows, np.union1d(rows, seen))


def has_clear_clock(X: Any) -> bool:
    """Tell whether a table says when its runs started, in times that are exact as epoch seconds.

    Its clock is then the same, whatever part of the table it is read from.
    """
    if not isinstance(X, pd.DataFrame) or not X.columns.is_unique or STARTED_AT not in X:
        return False
    if not all(_is_coarse(X[name].dtype) for name in (STARTED_AT, ENDED_AT) if name in X):
        return False
    started = read_clock(X, STARTED_AT, None).started
    return started is not None and bool(started.min(initial=np.inf) >= LEAST_EPOCH)


def own_series(X: Any, n: int) -> tuple[pd.DataFrame, Rows] | None:
    """Take the rows of those series alone of which the newest `n` rows are.

    What looks back looks at runs of the same series, so no other has a part in a forecast.

    Parameters
    ----------
    X : DataFrame or array
    n : int
        The last rows of the table are asked.

    Returns
    -------
    table : DataFrame
    rows : ndarray of int, shape (n,)
        Where the asked rows are in it.
        None instead of both where the clock could be another one without the other series: times
        that are numbers, or finer than a microsecond, or none at all.
    """
    if not 0 < n < len(X) or not has_clear_clock(X):  # of all rows nothing can be left out
        return None
    clock = read_clock(X, STARTED_AT, None)
    is_own = np.zeros(len(clock.keys), dtype=bool)
    is_own[clock.series[len(X) - n :]] = True
    kept = np.flatnonzero(is_own[clock.series])
    table = X if len(kept) == len(X) else X.iloc[kept]
    return table, np.arange(len(kept) - n, len(kept))


def _is_coarse(dtype: Any) -> bool:
    """Whether times are such that epoch seconds as floats keep their order."""
    if isinstance(dtype, pd.DatetimeTZDtype):
        return dtype.unit in ("s", "ms", "us")
    is_naive = isinstance(dtype, np.dtype) and dtype.kind == "M"
    return is_naive and np.datetime_data(dtype)[0] in ("s", "ms", "us")
