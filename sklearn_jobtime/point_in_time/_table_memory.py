"""The rows that are history for later ones, though the fitted estimator has not seen them."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.point_in_time._memory import recall, remember
from sklearn_jobtime.point_in_time._order import rows_to_remember
from sklearn_jobtime.point_in_time._same_rows import carries_labels
from sklearn_jobtime.point_in_time._timed_windows import TimedWindows
from sklearn_jobtime.runs._schema import STARTED_AT, series_of

__all__ = ["RememberedRows"]


N_REMEMBERED = 1000  # newest runs of a series: lags, windows and rolling rules reach less far back


def row_values(X: pd.DataFrame | NDArray) -> NDArray:
    """Numbers by which a row is known again, where neither its time nor its label tells."""
    if isinstance(X, pd.DataFrame):
        return X.select_dtypes("number").to_numpy(np.float64, na_value=np.nan)
    return X.reshape(len(X), np.prod(X.shape[1:], dtype=int))  # -1 does not work for no rows


class RememberedRows:
    """Rows that stand before those to be forecast.

    Parameters
    ----------
    X : DataFrame or array of shape (n, ...)
        In start order.
    n_kept : int, default=0
        How many of each series are kept when more are added; not fewer than there are now, nor
        than `N_REMEMBERED`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.point_in_time import RememberedRows
    >>> rows = RememberedRows(pd.DataFrame({"build": [60.0, 62.0]}))
    >>> table, n_before = rows.before(pd.DataFrame({"build": [65.0]}, index=[2]))
    >>> table["build"].tolist(), n_before
    ([60.0, 62.0, 65.0], 2)
    """

    def __init__(self, X: Any, n_kept: int = 0) -> None:
        X = np.asarray(X)[:0] if isinstance(X, TimedWindows) else X  # they bring their history
        clock = read_clock(X)
        most = int(np.bincount(clock.series, minlength=1).max())
        self._n_kept = max(n_kept, most, N_REMEMBERED)
        self._table = X if isinstance(X, pd.DataFrame) else None
        self._memory = remember(row_values(X), clock, len(X))

    def before(self, X: Any, *, must_be_given: bool = False) -> tuple[Any, int]:
        """Put the remembered rows before the given ones, and say how many they are.

        With `must_be_given`, a NotAllGivenError says that there may be such rows.
        """
        if isinstance(X, TimedWindows):
            return X, 0
        self._check_form(X)
        clock = read_clock(X)
        kept, _ = recall(self._memory, row_values(X), clock, must_be_given=must_be_given)
        return (self._joined(kept, X), len(kept)) if len(kept) else (X, 0)

    def and_(self, X: Any) -> Self:
        """Remember further rows, and forget the oldest of their series."""
        if isinstance(X, TimedWindows):
            return self
        self._check_form(X)
        kept, _ = recall(self._memory, row_values(X), read_clock(X))
        past, given = self._memory.clock, set(read_clock(X).keys)
        is_other = np.array([key not in given for key in past.keys], dtype=bool)
        others = np.flatnonzero(is_other[past.series])
        kept = np.union1d(kept, others)
        table = self._joined(kept, X) if len(kept) else X
        if len(others) and STARTED_AT in table:
            table = table.sort_values(STARTED_AT, kind="stable")
        clock = replace(read_clock(table), ended=None)
        newest = np.sort(rows_to_remember(clock, self._n_kept))
        kept_rows = table.iloc[newest] if isinstance(table, pd.DataFrame) else table[newest]
        return type(self)(kept_rows, self._n_kept)

    def _check_form(self, X: Any) -> None:
        """Raise an error where a table came after an array, or the other way round."""
        forms = [
            "a table" if isinstance(of, pd.DataFrame) else "an array" for of in (self._table, X)
        ]
        if forms[0] != forms[1]:
            raise TypeError(
                f"X came as {forms[1]}, the rows of fit as {forms[0]}: nothing tells which of the "
                f"rows are the same. Give {forms[0]} here, or fit on {forms[1]}."
            )

    def _joined(self, kept: NDArray[np.intp], X: Any) -> Any:
        if self._table is None:
            return np.concatenate([self._memory.table[kept].reshape(-1, *X.shape[1:]), X])
        before = self._table.iloc[len(self._table) - self._memory.age[kept]]
        # A flag that is not known yet is NaN, so a float.
        flags = [c for c in X if {before[c].dtype.kind, X[c].dtype.kind} == {"b", "f"}]
        floats = dict.fromkeys(flags, "float64")
        given = X.astype(floats)
        return pd.concat([before.astype(floats), given.set_axis(_counted_on(before, given))])


def _counted_on(before: pd.DataFrame, X: pd.DataFrame) -> pd.Index:
    """Labels of rows numbered from 0 anew, counted on from those of the rows before them.

    Else they would be the labels of the first rows of fit to an estimator that remembers these.
    """
    labels = before.index.get_level_values(-1)
    if STARTED_AT in X or labels.dtype.kind != "i" or carries_labels(read_clock(X)):
        return X.index
    series = series_of(before.index.append(X.index))
    newest = pd.Series(labels).groupby(series[: len(before)]).max()
    own = series[len(before) :]
    place = pd.Series(own).groupby(own).cumcount().to_numpy()
    counted = newest.reindex(own).fillna(-1).to_numpy(np.intp) + 1 + place
    if X.index.nlevels == 1:
        return pd.Index(counted, name=X.index.name)
    names = [X.index.get_level_values(k) for k in range(X.index.nlevels - 1)]
    return pd.MultiIndex.from_arrays([*names, counted], names=X.index.names)
