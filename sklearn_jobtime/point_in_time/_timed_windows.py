"""Windows that know when their runs started, so that later steps need not trust the row order."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sklearn_jobtime._typing import Rows
from sklearn_jobtime.exceptions import LostClockError
from sklearn_jobtime.point_in_time._clock import Clock, clocks_above, read_clock

__all__ = ["TimedWindows", "in_time_order", "time_order"]


class TimedWindows(np.ndarray):
    """An array with a row a run, and the clock of these rows.

    What takes some of the rows, or computes number by number, keeps the clock; any other array
    made of it is a plain one, or has none (`clock` is None).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_jobtime.point_in_time import TimedWindows, read_clock
    >>> clock = read_clock(pd.DataFrame({"started_at": [60.0, 0.0, 30.0]}))
    >>> windows = TimedWindows.of(np.zeros((3, 2)), clock)
    >>> (windows[:2] + 1).clock.started
    array([60.,  0.])
    >>> type(windows.sum(axis=0))
    <class 'numpy.ndarray'>
    """

    clock: Clock | None = None

    @classmethod
    def of(cls, values: NDArray[Any], clock: Clock | None) -> NDArray[Any]:
        """Give an array a clock, without a copy; without one it stays as it is."""
        if clock is None:
            return values
        timed = values.view(cls)
        timed.clock = clock
        return timed

    def like(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give another array of the same rows this clock."""
        return type(self).of(values, self.clock)

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        rows = key[0] if isinstance(key, tuple) and key else key
        is_rows = isinstance(rows, slice) or np.ndim(rows) == 1
        if not isinstance(part, TimedWindows):
            return part
        chosen = np.arange(len(self))[rows] if is_rows and self.ndim else np.arange(0)
        if self.clock is None or part.shape[:1] != chosen.shape:
            return part.view(np.ndarray)
        part.clock = self.clock.take(chosen)
        return part

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        made = super().__array_wrap__(array, context, return_scalar)
        if not isinstance(made, TimedWindows):
            return made
        return self.like(made) if made.shape[:1] == self.shape[:1] else made.view(np.ndarray)

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    def __reduce__(self) -> Any:
        reduced: Any = super().__reduce__()
        return *reduced[:2], (reduced[2], self.clock)

    def __setstate__(self, state: Any) -> None:
        array_state, self.clock = state
        super().__setstate__(array_state)

    def __deepcopy__(self, memo: Any) -> Self:
        copied = super().__deepcopy__(memo).view(type(self))
        copied.clock = self.clock
        return copied


def time_order(X: Any) -> Rows | None:
    """Say in which order the rows of a table, or of windows, started; None if in their own.

    Parameters
    ----------
    X : DataFrame, TimedWindows, or array whose rows are taken to be in time order

    Raises
    ------
    LostClockError
        If rows without a clock come from a table that is in another order, so that nothing says
        any more which of them are the newest.
    """
    clock = read_clock(X) if hasattr(X, "columns") else getattr(X, "clock", None)
    if clock is None:
        for source in clocks_above(len(X)):
            if source.started is not None and (np.diff(source.started) < 0).any():
                raise LostClockError(
                    "the rows came without their starts from a table that is not in start order, "
                    "so nothing says which runs are the newest; sort it with "
                    "runs.sort_values('started_at', kind='stable') before."
                )
        return None
    return None if clock.is_in_time_order else clock.in_time_order()


def in_time_order(X: Any, *others: Any) -> tuple[Any, ...]:
    """Give rows, and what belongs to the same rows, in the order in which the runs started.

    Parameters
    ----------
    X : DataFrame, TimedWindows, or array whose rows are taken to be in time order
    *others : object
        Targets, weights, bounds; what has not the rows of `X`, such as None, stays as it is.

    Returns
    -------
    tuple
        `X` and the others, as they came where they are in that order already.
    """
    from sklearn.utils import _safe_indexing  # noqa: PLC0415  reading files needs no scikit-learn

    order = time_order(X)
    if order is None:
        return X, *others
    return tuple(
        _safe_indexing(one, order) if np.shape(one)[:1] == (len(order),) else one
        for one in (X, *others)
    )
