"""scikit-learn's MinMaxScaler, taught windows."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.preprocessing import MinMaxScaler as SklearnMinMaxScaler
from sklearn.utils import check_array
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import numeric_rows
from sklearn_jobtime.point_in_time._timed_windows import TimedWindows
from sklearn_jobtime.preprocessing._tables import transformed
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, clock_columns

__all__ = ["MinMaxScaler"]


# Windows repeat every row n_steps times; scaled by the block, no temporary is large.
BLOCK_VALUES = 1 << 20


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence numpy where a feature is all NaN or spans more than a float can hold."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        yield


def _ndim(X: Any) -> int:
    return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim


def _as_windows(X: Any) -> np.ndarray:
    """Check windows, without a copy where they are floats already."""
    X = check_array(X, allow_nd=True, dtype=(np.float64, np.float32), ensure_all_finite=False)
    if X.shape[1] == 0:
        raise ValueError(f"Found windows with 0 steps (shape={X.shape}); at least 1 is required.")
    return X


class MinMaxScaler(SklearnMinMaxScaler, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Scale each feature to a range, over rows and, in windows, over steps.

    This is :class:`sklearn.preprocessing.MinMaxScaler` and equals it to the last bit on tables.
    It also takes what :class:`~sklearn_jobtime.SequenceWindower` gives, an array of shape
    ``(n_runs, n_steps, n_features)``, and scales each feature (last axis) by its minimum and
    maximum over all runs and steps: the same as scaling the rows ``X.reshape(-1, n_features)``.
    So it may stand before or after the windower.

    The clock columns of a run table pass a scaler that stands before the windower unchanged:
    the windower compares one run's end with another one's start, and scaled apart from each
    other the two would no longer share a scale, so that a window could hold the future.

    Parameters
    ----------
    feature_range : tuple (min, max), default=(0, 1)
        Range of the transformed training data.
    copy : bool, default=True
        False scales a 2-D array in place where that is possible. Windows are never scaled in
        place, because those of a sequence overlap in memory.
    clip : bool, default=False
        Clip later data to `feature_range`. Off, because a job that takes longer than ever before
        is what one wants to see.
    keep : sequence of str, default=("started_at", "ended_at")
        Columns of a DataFrame that pass unchanged; those that are not there are ignored, and so
        are all names where X is an array.

    Attributes
    ----------
    data_min_, data_max_, data_range_ : ndarray of shape (n_features_in_,)
        Smallest and largest value of each feature, and their difference; NaN for kept columns.
    scale_, min_ : ndarray of shape (n_features_in_,)
        ``X * scale_ + min_`` is the transformed data; NaN for kept columns.
    kept_ : list of int
        Positions of the columns that pass unchanged.
    n_samples_seen_ : int
        Number of rows seen; a window counts as `n_steps` rows.
    n_features_in_ : int
        Size of the last axis.
    feature_names_in_ : ndarray of str
        Names of the columns of a DataFrame.

    Raises
    ------
    ValueError
        For infinite values (put :class:`~sklearn_jobtime.FailureImputer` before), and for a
        number of features other than in `fit`.

    See Also
    --------
    sklearn.preprocessing.MinMaxScaler : The maths, and more on each parameter.

    Notes
    -----
    One hung run sets the range, as in scikit-learn's: all others are then close to 0.
    :class:`~sklearn_jobtime.LSTMForecaster` scales them anew by their usual values and forecasts as
    without it; before other regressors, scale by :class:`sklearn.preprocessing.RobustScaler`.

    NaN is disregarded in fit and maintained in transform. float32 stays float32. `set_output`
    rules tables only: windows have no place in a DataFrame and stay arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime import MinMaxScaler
    >>> windows = np.array([[[10.0], [20.0]], [[20.0], [30.0]]])
    >>> MinMaxScaler().fit_transform(windows)[..., 0]
    array([[0. , 0.5],
           [0.5, 1. ]])

    Durations are scaled, the clock is kept:

    >>> import pandas as pd
    >>> runs = pd.DataFrame({"started_at": [0.0, 60.0], "build": [30.0, 40.0]})
    >>> MinMaxScaler().fit_transform(runs)
       started_at  build
    0         0.0    0.0
    1        60.0    1.0
    """

    _parameter_constraints: ClassVar[dict] = {
        **SklearnMinMaxScaler._parameter_constraints,
        "keep": ["array-like"],
    }

    def __init__(
        self,
        feature_range: tuple[float, float] = (0, 1),
        *,
        copy: bool = True,
        clip: bool = False,
        keep: Sequence[str] = (STARTED_AT, ENDED_AT),
    ):
        super().__init__(feature_range, copy=copy, clip=clip)
        self.keep = keep

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn the ranges of one more batch; `fit` forgets all earlier ones first.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_runs, n_features) or (n_runs, n_steps, n_features)
            The batch.
        y : None
            Ignored.

        Returns
        -------
        self : MinMaxScaler
        """
        X = numeric_rows(X)
        if not hasattr(self, "n_samples_seen_"):
            columns = list(X.columns) if isinstance(X, pd.DataFrame) else []
            kept = {*self.keep, *clock_columns(columns)}
            self.kept_ = [i for i, name in enumerate(columns) if name in kept]
        if _ndim(X) != 3:
            with _quiet():
                return super().partial_fit(self._blank_kept(X), y)
        X = _as_windows(X)
        # Two rows, each feature's extremes, teach what all the rows would, without a copy.
        axes = (0, 1)
        extremes = np.stack([np.fmin.reduce(X, axis=axes), np.fmax.reduce(X, axis=axes)])
        with _quiet():
            super().partial_fit(extremes, y)
        self.n_samples_seen_ += X.shape[0] * X.shape[1] - len(extremes)
        return self

    def _blank_kept(self, X: Any) -> Any:
        """Hide the kept columns of a table, which may be datetimes, from the maths."""
        if not self.kept_ or not isinstance(X, pd.DataFrame):
            return X
        nan = np.float32(np.nan)  # joined with any column's type, it does not widen it
        names = [name for i, name in enumerate(X.columns) if i in self.kept_]
        return X.assign(**dict.fromkeys(names, nan))

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit to X, then transform it.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_runs, n_features) or (n_runs, n_steps, n_features)
            The training data.
        y : None
            Ignored.

        Returns
        -------
        ndarray or DataFrame of the shape of X
        """
        return self.fit(X, y).transform(X)

    def transform(self, X: Any) -> Any:
        """Scale the features of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_runs, n_features) or (n_runs, n_steps, n_features)
            The data.

        Returns
        -------
        ndarray or DataFrame of the shape of X
        """
        check_is_fitted(self)
        X = numeric_rows(X)
        if _ndim(X) == 3:
            return self._by_block(super().transform, X)
        return self._in_container(self._scaled(super().transform, X), X)

    def inverse_transform(self, X: Any) -> Any:
        """Undo the scaling of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_runs, n_features) or (n_runs, n_steps, n_features)
            Scaled data.

        Returns
        -------
        ndarray or DataFrame of the shape of X
        """
        check_is_fitted(self)
        X = numeric_rows(X)
        if _ndim(X) == 3:
            return self._by_block(super().inverse_transform, X)
        out = self._scaled(super().inverse_transform, X)
        return self._framed(out, X) if isinstance(X, pd.DataFrame) else out

    def _scaled(self, scale: Any, X: Any) -> np.ndarray:
        kept = self.kept_ and not isinstance(X, pd.DataFrame)
        unscaled = np.array(X)[:, self.kept_] if kept else None
        with _quiet():
            out = scale(self._blank_kept(X))
        if unscaled is not None:
            out[:, self.kept_] = unscaled
        return out if isinstance(X, pd.DataFrame) else np.ascontiguousarray(out)

    def _by_block(self, scale: Any, X: Any) -> np.ndarray:
        given, X = X, _as_windows(X)
        out = np.empty(X.shape, X.dtype)
        step = max(1, BLOCK_VALUES // max(1, X[0].size))
        for begin in range(0, len(X), step):
            block = np.array(X[begin : begin + step])
            rows = block.reshape(-1, X.shape[2])
            out[begin : begin + step] = self._scaled(scale, rows).reshape(block.shape)
        return given.like(out) if isinstance(given, TimedWindows) else out

    def _in_container(self, out: np.ndarray, X: Any) -> Any:
        # scikit-learn's own wrapper, switched off in the class line, would wrap windows too.
        adapter = _get_container_adapter("transform", self)
        framed = out
        if isinstance(X, pd.DataFrame):
            framed = transformed(self, self._framed(out, X), X)
        if adapter is None:
            return framed
        return adapter.create_container(framed, X, columns=self.get_feature_names_out)

    def _framed(self, out: np.ndarray, X: pd.DataFrame) -> pd.DataFrame:
        frame = pd.DataFrame(out, index=X.index, columns=X.columns)
        return frame.assign(**{X.columns[i]: X.iloc[:, i] for i in self.kept_})

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of transformed tables; windows stay arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            "default" gives a DataFrame for a DataFrame and an array for an array. None changes
            nothing.

        Returns
        -------
        self : MinMaxScaler
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        tags.input_tags.three_d_array = True
        return tags
