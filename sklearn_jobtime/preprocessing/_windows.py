"""Rows in, windows out: each run with the runs that had ended before it started."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    _num_samples,
    check_is_fitted,
    validate_data,
)

from sklearn_jobtime._containers import is_flags, numeric_rows
from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._memory import recall, remember
from sklearn_jobtime.point_in_time._order import ended_order
from sklearn_jobtime.point_in_time._timed_windows import TimedWindows
from sklearn_jobtime.runs._schema import clock_columns, marked_jobs, owner_of

__all__ = ["SequenceWindower"]


_BLOCK = 8192  # rows gathered at once: the positions of their steps fit into the cache


def sliding_windows(
    past: Floats, rows: Floats, known: Mask, n_steps: int, pad: Floats, dtype: str
) -> Floats:
    """Windows of one series in which every earlier row is known, as a view that copies nothing.

    Parameters
    ----------
    past : ndarray of shape (n_past, n_channels)
        Older rows, at most `n_steps` of them.
    rows : ndarray of shape (n, n_channels)
        The rows that get a window.
    known : ndarray of bool, shape (n_channels,)
        Which channels hold what is known at the start of a run.
    n_steps : int
        Length of a window.
    pad : ndarray of shape (n_pad_channels,), n_pad_channels >= n_channels
        What stands for a run that does not exist; a channel more than `rows` have is 1 in
        every real step.
    dtype : str
        Of the result.

    Returns
    -------
    ndarray of shape (n, n_steps, n_pad_channels)
        A read-only view of one buffer with `n_steps + n - 1` rows.
    """
    n, n_channels = rows.shape
    buffer = np.empty((n_steps + n - 1, len(pad)), dtype=dtype)
    start = n_steps - len(past)
    buffer[:start] = pad
    buffer[start:, n_channels:] = 1
    buffer[start:n_steps, :n_channels] = past
    buffer[n_steps:, :n_channels] = rows[: n - 1]
    for channel in np.flatnonzero(known):  # stands one step earlier, beside the outcomes before
        buffer[max(start - 1, 0) : n_steps - 1, channel] = past[max(1 - start, 0) :, channel]
        buffer[n_steps - 1 :, channel] = rows[:, channel]
    windows = np.lib.stride_tricks.sliding_window_view(buffer, n_steps, axis=0)
    return windows.transpose(0, 2, 1)


def gathered_windows(
    past: Floats,
    rows: Floats,
    clock: Clock,
    known: Mask,
    n_steps: int,
    pad: Floats,
    dtype: str,
    asked: Rows | None = None,
) -> Floats:
    """Windows of runs that overlap, or of several series.

    Parameters are those of `sliding_windows`; `clock` holds the times of `past` and `rows`, one
    after the other. With `asked`, the positions of some of the `rows`, only these get a window.

    Returns
    -------
    ndarray of shape (n, n_steps, n_pad_channels)
    """
    n_past, n_channels = len(past), rows.shape[1]
    found = ended_order(clock.series, clock.started, clock.ended, first=n_past)
    if asked is not None:
        found = found.at(asked)
    series = clock.series[found.order]

    # The runs in the order of their ends. Each series begins with a step that has nothing but
    # what was known of its first run; row 0 stands for all steps before that.
    at = np.arange(len(series)) + series + 2
    steps = np.empty((len(series) + len(clock.keys) + 1, len(pad)), dtype=dtype)
    steps[:] = pad
    of_past = found.order < n_past
    steps[at[of_past], :n_channels] = past[found.order[of_past]]
    steps[at[~of_past], :n_channels] = rows[found.order[~of_past] - n_past]
    steps[at, n_channels:] = 1
    steps[at[:, None] - 1, np.flatnonzero(known)] = steps[at[:, None], np.flatnonzero(known)]

    stop = found.stop + clock.series[found.asked] + 2
    before_first = found.first + clock.series[found.asked] + 1
    windows = np.empty((len(stop), n_steps, len(pad)), dtype=dtype)
    for low in range(0, len(stop), _BLOCK):
        block = slice(low, low + _BLOCK)
        places = stop[block, None] + np.arange(-n_steps, 0)
        places[places < before_first[block, None]] = 0
        np.take(steps, places, axis=0, out=windows[block], mode="clip")
    for channel in np.flatnonzero(known):
        windows[:, -1, channel] = rows[found.asked - n_past, channel]
    return windows


class SequenceWindower(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Give each run the runs before it: ``(n, features)`` becomes ``(n, n_steps, features)``.

    A sequence model forecasts a run from the runs before it. The obvious window, the rows
    above, leaks the future: real pipelines overlap, and often the run above had not ended when
    this one started. Here the window of a run holds the last `n_steps` runs of its series *that
    had ended when it started*, in the order in which they ended. Step j holds the outcomes of
    the j-th of them, and beside them what was known at the start of the run after it; so the
    last step holds the newest outcomes and what is known of the run itself. A column that
    is not known at the start is an outcome: to forget one costs accuracy, never honesty.

    The number of rows stays, so this is a step of a scikit-learn Pipeline like any other. A run
    with a shorter history than `n_steps` is padded in front.

    `fit` remembers the newest runs of each series. `transform` of later runs starts from them:
    a test fold, or tonight's run, has its full history. A run that is both remembered and in
    the given table counts once, as the table has it, and a remembered run counts only where it
    had ended, so the rows seen in `fit` transform as they did in `fit_transform`.

    Parameters
    ----------
    n_steps : int, default=20
        Length of a window. Twenty nightly runs are four working weeks, which shows a level and
        its drift; what lies further back is mostly another level. Search over it.
    known : array-like of str or int, default=None
        Columns known when a run starts, by name (or by position): the event, the size of the
        change. A name covers the columns derived from it: ``"event"`` is also ``"event__push"``
        where there is no column ``"event"`` any more, but never a job of such a name, which has
        ``"<job>__failed"`` beside it. `started_at` and what derives from it are known without
        saying.
        None: all else are outcomes.
    started_at, ended_at : str or None, default="started_at", "ended_at"
        The columns that say when a run started and ended: datetimes (UTC, or with a zone), or
        epoch seconds. A run without an end is still running, and in nobody's window. Without the
        first, a run has ended before every later row; without the second, before every later start.
        Where a step before has lost these columns, or scaled them, it is an error. None for the
        first says that rows have ended one by one, and nothing is checked.
    keep_times : bool, default=False
        Whether these two columns are also channels. They are not by default, since absolute
        seconds only ever grow, and no model learns from values that it meets but once. Starts of
        jobs, ``<job>__started_at``, never are.
    pad_value : float, default=nan
        What stands for a run that does not exist. NaN can not be mistaken for a duration;
        scikit-learn's scalers and `LSTMForecaster` skip it. Give a number to models that can not.
    add_mask : bool, default=False
        Whether to add a last channel, 1 where a step is a run and 0 where it is padded.
    dtype : {"float64", "float32"}, default="float64"
        Of the windows. "float32" halves the memory, but keeps only 7 digits of a number.

    Attributes
    ----------
    history_ : Memory
        The rows that later runs may look back at.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Their names, if they are all strings.

    Raises
    ------
    RunTableError
        If a column is not numeric, a run has no start, or a value is infinite.
    LostClockError
        If a step before has dropped, renamed or scaled the columns of times, so that windows could
        hold runs that had not ended.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : Splits that keep the order of time.

    Notes
    -----
    In the plain case (one series, no columns of times) the windows are a read-only view of one
    padded copy of the table, so a million rows by 20 steps cost little more than the rows.

    Where the table has no times, rows must be in start order, and the index labels tell which
    runs are the remembered ones; labels should go on counting where `fit` stopped. Rows whose
    labels sort before all remembered ones do not see them. Labels without an order are taken
    as later. A numpy array has no labels, and a default index, numbers from 0, says nothing: such
    rows are taken as later than `fit`, unless they are equal to rows of `fit` in so many different
    values that it is no chance, or have all rows of `fit` at their head.

    Two of scikit-learn's common checks can not hold for what looks back at earlier rows: those
    for the same result in another order of the rows, and in batches of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime import SequenceWindower
    >>> X = np.arange(10.0, 100.0, 10.0).reshape(-1, 1)
    >>> windows = SequenceWindower(n_steps=3).fit_transform(X)
    >>> windows[3].ravel()  # the row of 40
    array([10., 20., 30.])
    >>> windows[1].ravel()
    array([nan, nan, 10.])

    The second run starts while the first is still running, and does not see it:

    >>> import pandas as pd
    >>> runs = pd.DataFrame(
    ...     {
    ...         "started_at": pd.to_datetime(
    ...             ["2026-03-01 00:00", "2026-03-01 00:10", "2026-03-02 00:00"]
    ...         ),
    ...         "ended_at": pd.to_datetime(["2026-03-01 00:20", "2026-03-01 00:40", None]),
    ...         "build": [1200.0, 1800.0, np.nan],
    ...         "files": [3.0, 8.0, 5.0],
    ...     }
    ... )
    >>> windower = SequenceWindower(n_steps=2, known=["files"]).fit(runs)
    >>> windower.get_feature_names_out()
    array(['build', 'files'], dtype=object)
    >>> windower.transform(runs)[2]
    array([[1200.,    8.],
           [1800.,    5.]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "known": ["array-like", str, None],
        "started_at": [str, None],
        "ended_at": [str, None],
        "keep_times": ["boolean"],
        "pad_value": [Real],
        "add_mask": ["boolean"],
        "dtype": [StrOptions({"float64", "float32"})],
    }

    def __init__(
        self,
        n_steps: int = 20,
        *,
        known: Sequence[str | int] | None = None,
        started_at: str | None = "started_at",
        ended_at: str | None = "ended_at",
        keep_times: bool = False,
        pad_value: float = np.nan,
        add_mask: bool = False,
        dtype: str = "float64",
    ) -> None:
        self.n_steps = n_steps
        self.known = known
        self.started_at = started_at
        self.ended_at = ended_at
        self.keep_times = keep_times
        self.pad_value = pad_value
        self.add_mask = add_mask
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: pd.DataFrame | ArrayLike, y: Any = None) -> SequenceWindower:
        """Remember the newest runs of each series.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, features)
            The runs in start order. NaN is allowed.
        y : None, or the targets of the same rows
            Only to notice that an array comes from a table, whose times are lost.

        Returns
        -------
        self
        """
        values, clock = self._read(X, reset=True, y=y)
        self.history_ = remember(values, clock, self.n_steps)
        return self

    def transform(self, X: pd.DataFrame | ArrayLike) -> Floats:
        """Give each run the window of runs that had ended when it started.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, features)
            The runs in start order, with the columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n, n_steps, channels)
            Read-only where it is a view. Where there are times or series, a
            :class:`~sklearn_jobtime.point_in_time.TimedWindows`, which tells the steps behind it
            which rows are the newest.
        """
        return self.windows_of_rows(X)

    def windows_of_rows(self, X: pd.DataFrame | ArrayLike, rows: Rows | None = None) -> Floats:
        """Give some of the runs their windows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, features)
            The runs in start order, with the columns seen in `fit`.
        rows : ndarray of int, default=None
            Positions of the runs that get a window; None: all. With rows, each remembered run of
            the series in `X` has to be in `X`.

        Returns
        -------
        ndarray of shape (n_rows, n_steps, channels)
            As :meth:`transform` gives it.

        Raises
        ------
        NotAllGivenError
            When a remembered run may stand before the given ones.
        """
        check_is_fitted(self)
        values, clock = self._read(X, reset=False)
        kept, clock = recall(self.history_, values, clock, must_be_given=rows is not None)
        past = self.history_.table[kept]
        pad = np.full(values.shape[1] + self.add_mask, self.pad_value, dtype=self.dtype)
        pad[values.shape[1] :] = 0
        if clock.is_plain and rows is None:
            newest = past[-self.n_steps :]
            return sliding_windows(newest, values, self._known, self.n_steps, pad, self.dtype)
        windows = gathered_windows(
            past, values, clock, self._known, self.n_steps, pad, self.dtype, rows
        )
        own = np.arange(len(past), len(clock.series))
        return TimedWindows.of(windows, clock.take(own if rows is None else own[rows]))

    def set_output(self, *, transform: str | None = None) -> SequenceWindower:  # noqa: ARG002
        """Change nothing: windows have three axes, no place in a DataFrame, and stay arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Not used; taken so that a pipeline can set the output of its other steps.

        Returns
        -------
        self
        """
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the channels, which are the last axis of the windows.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            As in scikit-learn; None takes the names seen in `fit`.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)[self._channels]
        return np.append(names, "real_step") if self.add_mask else names

    def _read(
        self, X: pd.DataFrame | ArrayLike, *, reset: bool, y: Any = None
    ) -> tuple[Floats, Clock]:
        """Check a table, and give its channels and its clock."""
        X = numeric_rows(X)
        if isinstance(X, pd.DataFrame):
            if not X.columns.is_unique:
                twice = X.columns[X.columns.duplicated()][0]
                raise RunTableError(f"Two columns are named {twice!r}; rename or drop one.")
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not _num_samples(X):
                raise ValueError("Found an empty table (0 sample(s)); a minimum of 1 is required.")
            if reset:
                self._choose_channels(list(X.columns))
            clock = read_clock(X, self.started_at, self.ended_at, y)
            return _numbers(X.iloc[:, self._channels]), clock
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
        )
        if reset:
            self._choose_channels(list(range(X.shape[1])))
        values = X if len(self._channels) == X.shape[1] else X[:, self._channels]
        started_at, ended_at = self._times
        return values, read_clock(X, started_at, ended_at, y)

    def _choose_channels(self, columns: list[Any]) -> None:
        """Resolve names to positions, once, in `fit`."""
        if isinstance(self.known, str):
            raise ValueError(f"known={self.known!r} is a string; give a list of column names.")
        n = len(columns)
        known, jobs = set(), marked_jobs(columns)
        for name in [] if self.known is None else list(self.known):
            found = [at for at in range(n) if _is_part(columns[at], name, columns, jobs)]
            if not found and isinstance(name, Integral) and -n <= name < n:
                found = [int(name) % n]
            if not found:
                raise ValueError(
                    f"known={name!r} is no column of the table: {columns}. Give the names of its "
                    "columns, or their positions if it is an array."
                )
            known.update(found)
        if self.started_at is not None:
            known.update(
                at
                for at in range(n)
                if owner_of(columns[at], [self.started_at, *jobs]) == self.started_at
            )
        self._times = [  # in an array, the positions that they had in the table of `fit`
            columns.index(name) if name in columns else name
            for name in (self.started_at, self.ended_at)
        ]
        own = {columns.index(name) for name in clock_columns(columns)}  # of jobs: in no window
        left_out = own if self.keep_times else own.union(self._times)
        self._channels = [at for at in range(n) if at not in left_out]
        if not self._channels:
            raise RunTableError(
                f"The table has only columns of times: {columns}. Add a column to make windows of, "
                "or set keep_times=True."
            )
        self._known = np.isin(self._channels, list(known))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags


def _is_part(column: Any, name: Any, columns: list[Any], jobs: list[Any]) -> bool:
    """Tell whether a column is the one of a name, or stands for it behind an encoder.

    Jobs have double underscores in their names too: a job and its channels are no part of a
    covariate whose name they begin with, nor is any other column while the covariate is there.
    """
    if column == name:
        return True
    return (name in jobs or name not in columns) and owner_of(column, [name, *jobs]) == name


def _numbers(table: pd.DataFrame) -> Floats:
    for at, dtype in enumerate(table.dtypes):
        if dtype.kind == "O" and is_flags(table.iloc[:, at]):
            continue
        if not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_complex_dtype(dtype):
            raise RunTableError(
                f"Column {table.columns[at]!r} has dtype {dtype}; windows are made of numbers. "
                "Encode it before this step (FailureImputer for a status, TimestampToNumeric for "
                "a time, OneHotEncoder for a category), or drop it."
            )
    values = table.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(values).any(axis=0)
    if infinite.any():
        raise RunTableError(
            f"Column {table.columns[int(np.argmax(infinite))]!r} contains infinity, which marks a "
            "failed run. Put FailureImputer before this step."
        )
    return values
