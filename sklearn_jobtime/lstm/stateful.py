"""The stateful mode of the LSTM: it reads each run once and keeps what it knows in a state."""

import warnings
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, _fit_context, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import Interval, InvalidParameterError
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._estimator import pop_weights, with_forecaster_tags
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.exceptions import SameRunsWarning
from sklearn_jobtime.lstm.forecaster import LSTMForecaster
from sklearn_jobtime.lstm.network_estimator import load_training
from sklearn_jobtime.lstm.series_chunks import forecast_from_states, rows_of_series
from sklearn_jobtime.lstm.targets import Targets, read_weighted_rows
from sklearn_jobtime.lstm.window_inputs import read_windows, standardised_inputs
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._memory import recall, remember
from sklearn_jobtime.point_in_time._same_rows import carries_labels, row_digests
from sklearn_jobtime.point_in_time._timed_windows import TimedWindows, time_order
from sklearn_jobtime.runs._target_jobs import in_order_of, in_order_of_rows

if TYPE_CHECKING:
    from sklearn_jobtime.lstm.truncated_bptt import SeriesDataset

__all__ = ["StatefulForecaster"]

States = dict[Hashable, Floats]


def is_indexed(X: Any) -> bool:
    """Tell whether the index of a table, or the clock of windows, names the series of the rows."""
    return isinstance(getattr(X, "index", None), pd.MultiIndex) or (
        isinstance(X, TimedWindows) and X.clock is not None and X.clock.keys != [()]
    )


def index_names(X: Any) -> pd.Index:
    """Names of the series of the rows, as the levels of the index but the last give them."""
    if not isinstance(X, TimedWindows):
        return X.index.droplevel(-1)
    assert X.clock is not None
    names = [key[0] if len(key) == 1 else key for key in X.clock.keys]
    return pd.Index(names, tupleize_cols=False)[X.clock.series]


def read_series(X: Any, series: ArrayLike | None, n: int) -> tuple[Rows, list[Hashable]]:
    """Return the code of each row's series, and the names of the series in order of their codes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.stateful import read_series
    >>> read_series(np.zeros((3, 1)), ["etl", "ci", "etl"], 3)
    (array([0, 1, 0]), ['etl', 'ci'])
    """
    if series is not None:
        names = pd.Index(series)
    elif is_indexed(X):
        names = index_names(X)
    else:
        return np.zeros(n, dtype=np.intp), [0]
    if len(names) != n:
        raise ValueError(f"series has {len(names)} entries and X {n} rows; expected one a row.")
    codes, seen = pd.factorize(names)
    if (codes < 0).any():
        raise ValueError(
            f"the series of row {int(np.argmin(codes))} is missing; expected a name for each row."
        )
    return codes, seen.tolist()


def row_clock(X: Any, codes: Rows, names: list[Hashable]) -> Clock:
    """Give the times and the labels of steps, and their series as :func:`read_series` has them."""
    clock = read_clock(X) if isinstance(X, pd.DataFrame) else Clock(codes, [()])
    labels = (
        clock.labels if carries_labels(clock) else None
    )  # a default index may be that of new rows
    keys = [(name,) for name in names]
    return replace(clock, series=codes, keys=keys, ended=None, labels=labels)


class StatefulForecaster(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """The stateful mode of :class:`LSTMForecaster`: it reads each run once and remembers.

    A window shows the last twenty runs and nothing before them, and each forecast reads all twenty
    anew. Here the network reads every run once, in order of time, and keeps what it knows of its
    series in a *state*, a few numbers. A forecast takes the new run and the state, and gives
    the next state: what happened two hundred runs ago can still count, and the cost of a
    forecast does not grow with the history.

    It is trained by truncated back-propagation through time [1]_: each series is read in chunks of
    `n_steps` rows, with a forecast and an error at each row; the state is passed on from chunk to
    chunk, the gradient is not. Each series has a state of its own and never sees another series.

    `fit` keeps the state behind the last row of each series, and `predict` of later rows starts
    there. `predict` never changes the model: a service stores the state of each series itself,
    gives it to :meth:`step` with the next run, and stores what comes back.

    Parameters
    ----------
    forecaster : LSTMForecaster
        The network and its training; it is cloned. ``batch_size`` is the number of series
        read side by side here. Dropout masks are drawn once a chunk. It can be neither
        bidirectional nor started warm.
    n_steps : int, default=20
        Length of a chunk: how many rows back an error is propagated in training. The state itself
        can remember longer, but a cause is only learned if its effect follows within a chunk now
        and then. Longer chunks also mean fewer training steps in an epoch, and a faster one.

    Attributes
    ----------
    forecaster_ : LSTMForecaster
        The trained clone, with its `net_`, `training_history_` and `kept_epoch_`, and the scaling.
    state_ : dict of series to ndarray of shape (2, n_layers, hidden_size)
        Hidden and cell state behind the last row of each series seen in `fit`; the layers of
        several members stand one behind the other.
    named_series_ : bool
        Whether `fit` knew the series by name; then `predict` needs their names too.
    n_features_in_ : int
        Columns of `X`; features of a run where `X` holds windows.
    feature_names_in_ : ndarray of str
        Column names; only when fitted on a DataFrame with string names.
    n_steps_in_, ndim_in_ : int
        The shape of the rows seen in `fit`.

    Raises
    ------
    FloatingPointError
        When training diverged, or a state grew without bound.

    See Also
    --------
    LSTMForecaster : Forecasts from windows; no order of the rows is needed.

    Notes
    -----
    *When it is better than windows:* where the cause of a duration lies further back than a window
    reaches, such as an event 40 or 80 runs ago. *When it is not:* in the recipe of ``jobtime`` the
    base forecast already knows the level, and a state gains nothing over a window. *When it is
    cheaper:* a forecast of one run reads one step instead of a window. A fit with short chunks
    takes longer than with windows, as one series gives each training step few rows
    (``python benchmarks/stateful.py DATA_DIR`` measures all three).

    A row of `X` is a step: what is known of the run, and the newest outcomes when it started. That
    is what ``SequenceWindower(n_steps=1)`` gives. Where runs overlap, two may end between two
    starts, and the step holds only the later one: ``SequenceWindower(n_steps=3)`` gives the last
    three of them, which are read together as one step.

    Rows given to `predict` come after those of `fit`, with one exception: a series that is given
    again from its first row of `fit` on is read from its start, so training rows get the forecasts
    of training, and new rows behind them go on from there. The start and the index labels tell, as
    for :class:`~sklearn_jobtime.SequenceWindower`; without them, rows have to be equal to those of
    `fit` in so many different values that it is no chance, or all rows of `fit` have to be there.
    With `state` nothing is recognised: each series starts from the state given.

    The windows of `SequenceWindower` know their series and times. Behind a transformer that gives
    a plain array these are gone, and `series` has to say which rows belong together:
    ``pipe.fit(runs, y, lstm__series=names)`` and ``pipe.predict(runs, series=names)``.

    A row of weight 2 in `sample_weight` counts twice in the loss. It is not the same as the row
    twice: that would be two steps in time.

    References
    ----------
    .. [1] R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training
       of recurrent network trajectories", Neural Computation 2 (1990).

    Examples
    --------
    A flag is raised now and then; the runs take long until it is lowered again:

    >>> import numpy as np
    >>> from sklearn_jobtime import LSTMForecaster, StatefulForecaster
    >>> flag = np.zeros(400)
    >>> flag[::80], flag[40::80] = 1, -1
    >>> X, seconds = flag.reshape(-1, 1), 60.0 + 30 * np.cumsum(flag)
    >>> network = LSTMForecaster(8, lr=0.03, max_epochs=15, device="cpu", random_state=0)
    >>> model = StatefulForecaster(network, n_steps=20).fit(X, seconds)

    A new run, the flag raised 39 runs ago; then the flag is lowered. The state goes along:

    >>> run, lowered = [[0.0]], [[-1.0]]
    >>> forecast, state = model.step([[1.0]], model.state_[0])
    >>> for _ in range(39):
    ...     forecast, state = model.step(run, state)
    >>> forecast.round(-1)
    array([90.])
    >>> forecast, state = model.step(lowered, state)
    >>> forecast.round(-1)
    array([60.])
    >>> state.shape
    (2, 1, 8)
    """

    masks_missing_targets = True  # AnchoredRegressor passes it rows whose target is NaN
    looks_back = True
    weighs_rows = True
    __metadata_request__fit: ClassVar = {"at_least": True, "sample_weight": None}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "forecaster": [LSTMForecaster],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, forecaster: LSTMForecaster, *, n_steps: int = 20) -> None:
        self.forecaster = forecaster
        self.n_steps = n_steps

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.forecaster).input_tags
        tags.target_tags = get_tags(self.forecaster).target_tags
        return with_forecaster_tags(self, tags)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        series: ArrayLike | None = None,
        at_least: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Train on all series in order of time, and keep the state behind the last row of each.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n, k, n_features)
            One step a row, the rows of a series in order of time; NaN where a value is not known.
            The k runs of a window are read together, as one step.
        y : array-like of shape (n,) or (n, n_outputs)
            What is to be forecast at each step; NaN where it was not observed.
        series : array-like of shape (n,), default=None
            The series of each row. None: every level but the last of the MultiIndex of a
            DataFrame; anything else is one series, named 0.
        at_least : array-like of the shape of y, default=None
            Lower bounds of right-censored runs, as in :meth:`LSTMForecaster.fit`.
        **fit_params : dict
            `sample_weight`, of shape (n,): weight of a row in the loss and in the scaling. A row of
            weight 0 is a step in time and no more.

        Returns
        -------
        self

        Raises
        ------
        NoHistoryError
            When an output was never observed; a ValueError that names it.
        FloatingPointError
            When training diverged, or the state of a series grew without bound.
        """
        if self.forecaster.bidirectional:
            raise InvalidParameterError(
                "forecaster came with bidirectional=True, but a state knows only the past; set it "
                "to False, or read windows in both directions with LSTMForecaster itself."
            )
        if self.forecaster.warm_start:
            raise InvalidParameterError(
                "forecaster came with warm_start=True, but each fit of StatefulForecaster starts "
                "anew; set it to False."
            )
        X = plain_table(X)
        steps = self._read_steps(X, reset=True)
        codes, names = read_series(X, series, len(steps))
        self.named_series_ = series is not None or is_indexed(X)
        self.forecaster_ = forecaster = clone(self.forecaster)
        weights = pop_weights(fit_params, steps)
        if fit_params:
            raise TypeError(f"fit came with {', '.join(fit_params)}, which it does not take.")
        _, targets = read_weighted_rows(forecaster, steps, y, weights, at_least, reset=True)
        if (order := time_order(X if isinstance(X, TimedWindows) else steps)) is not None:
            steps, targets = steps[order], targets.take(order)
            codes, seen = pd.factorize(codes[order])
            names = [names[code] for code in seen]
        self._train(steps, codes, targets)
        digests, clock = row_digests(steps)[:, None], row_clock(X, codes, names)
        if isinstance(X, pd.DataFrame):  # whose labels later ones may go on from
            clock = replace(clock, labels=read_clock(X).labels)
        self._memory = remember(digests, clock, len(steps), also=[np.arange(len(steps))])
        self.state_ = self._forecast_from(steps, codes, names, {})[1]
        endless = [name for name, state in self.state_.items() if not np.isfinite(state).all()]
        if endless:
            raise FloatingPointError(
                f"the state of series {endless[0]!r} grew without bound, as cells with "
                f"activation={forecaster.activation!r} can over a long series; take 'tanh'."
            )
        return self

    def predict(
        self,
        X: ArrayLike,
        series: ArrayLike | None = None,
        state: Mapping[Hashable, ArrayLike] | None = None,
        return_state: bool = False,
    ) -> Any:
        """Forecast every row from its inputs and the state before it.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n, k, n_features)
            One step a row, as in `fit`.
        series : array-like of shape (n,), default=None
            The series of each row, as in `fit`.
        state : mapping of series to array-like, default=None
            State of each series before its first row; a series that is not in it starts from
            zeros. None takes the states that `fit` kept, see the Notes.
        return_state : bool, default=False
            Whether to return the states too.

        Returns
        -------
        forecast : ndarray of shape (n,) or (n, n_outputs), as `y` was
            In the unit of `y`, never NaN.
        state : dict of series to ndarray of shape (2, n_layers, hidden_size)
            Only with `return_state`: the states given (or kept by `fit`); those of the series in
            `X` are now the ones behind their last row.
        """
        check_is_fitted(self)
        X = plain_table(X)
        steps = self._read_steps(X, reset=False)
        if self.named_series_ and series is None and not is_indexed(X):
            raise ValueError(
                "the series of the rows came as None, but fit knew them by name; give `series`, "
                "or the model would read the runs of several series as those of one."
            )
        codes, names = read_series(X, series, len(steps))
        order = time_order(X if isinstance(X, TimedWindows) else steps)
        order = np.arange(len(steps)) if order is None else order
        steps, codes = steps[order], codes[order]
        before = dict(self.state_)
        if state is not None:
            before = {name: self._checked(name, one) for name, one in state.items()}
        start = before
        if state is None:
            of_fit = self._given_from_start(steps, row_clock(X, codes, names))
            start = {name: one for name, one in before.items() if name not in of_fit}
        in_order, after = self._forecast_from(steps, codes, names, start)
        forecast = np.empty_like(in_order)
        forecast[order] = in_order
        return (forecast, before | after) if return_state else forecast

    def step(self, X: ArrayLike, state: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Forecast one run of one series, and return the state for its next run.

        The cost is that of one step of the network, however long the history. What a service stores
        for a series between two calls is the state: an array of numbers.

        Parameters
        ----------
        X : array-like of shape (1, n_features) or (1, k, n_features)
            The run, as a table of one row.
        state : array-like of shape (2, n_layers, hidden_size), default=None
            The state that the last call returned, or ``state_[series]`` after `fit`; None starts
            from zeros.

        Returns
        -------
        forecast : ndarray of shape (1,) or (1, n_outputs)
        state : ndarray of shape (2, n_layers, hidden_size)
        """
        check_is_fitted(self)
        run = self._read_steps(X, reset=False)
        if len(run) != 1:
            raise ValueError(
                f"X has {len(run)} rows; expected one run. Forecast several with predict(X, "
                "state={series: state}, return_state=True)."
            )
        start: States = {} if state is None else {0: self._checked(0, state)}
        forecast, after = self._forecast_from(run, np.zeros(1, dtype=np.intp), [0], start)
        return forecast, after[0]

    def reset(self, series: Iterable[Hashable] | None = None) -> Self:
        """Forget the states that `fit` kept, so that the next runs start from zeros.

        For a series that begins anew: a job that was rewritten, or moved to another machine.

        Parameters
        ----------
        series : iterable of series, default=None
            Those to forget; None for all.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        forgotten = set(self.state_) if series is None else set(series)
        if unknown := forgotten - set(self.state_):
            raise KeyError(
                f"series {min(unknown, key=str)!r} has no state; there are {list(self.state_)}."
            )
        self.state_ = {name: one for name, one in self.state_.items() if name not in forgotten}
        return self

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        series: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return R2 over the observed targets, averaged over the outputs.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n, k, n_features)
            One step a row.
        y : array-like of shape (n,) or (n, n_outputs)
            What followed; NaN is skipped. Columns with names may stand in any order.
        series : array-like of shape (n,), default=None
            The series of each row, as in `fit`.
        sample_weight : array-like of shape (n,), default=None
            How much a row counts.

        Returns
        -------
        float
        """
        from sklearn_jobtime.metrics import observed_r2

        check_is_fitted(self)
        y = in_order_of(in_order_of_rows(y, X), self.forecaster_.target_names_)
        return observed_r2(y, self.predict(X, series), sample_weight=sample_weight)

    def _read_steps(self, X: ArrayLike, reset: bool) -> Floats:
        steps = read_windows(self, X, reset=reset)
        return steps.reshape(len(steps), 1, -1)

    def _train(self, steps: Floats, codes: Rows, targets: Targets) -> None:
        load_training()
        from sklearn_jobtime.lstm.threads import limited_threads
        from sklearn_jobtime.lstm.truncated_bptt import chunked_training

        forecaster = self.forecaster_
        with limited_threads(forecaster.n_threads):
            forecaster._initialize(steps, targets)
            dataset = self._dataset(steps, codes, targets)
            with chunked_training(forecaster.net_, self.n_steps):
                forecaster._train_net(dataset, forecaster.max_epochs, forecaster._validation_share)
            forecaster._keep_net()

    def _dataset(self, steps: Floats, codes: Rows, targets: Targets) -> "SeriesDataset":
        from sklearn_jobtime.lstm.truncated_bptt import SeriesDataset

        rows = np.flatnonzero(~np.isnan(targets.best_known).all(axis=1))
        return SeriesDataset(
            steps, series=codes, **self.forecaster_._dataset_options(rows, targets)
        )

    def _forecast_from(
        self, steps: Floats, codes: Rows, names: list[Hashable], start: Mapping[Hashable, Floats]
    ) -> tuple[Floats, States]:
        """Forecasts in the unit of `y`, and the states of the series `names` behind their rows."""
        forecaster = self.forecaster_
        inputs = standardised_inputs(
            steps[:, 0], forecaster.feature_mean_, forecaster.feature_scale_
        )
        before = [start.get(name) for name in names]
        forecast, after = forecast_from_states(
            forecaster._forward, inputs, rows_of_series(codes), before
        )
        return forecaster._in_units(forecast), dict(zip(names, after, strict=True))

    def _given_from_start(self, steps: Floats, clock: Clock) -> set[Hashable]:
        """Find the series that are given again from their first row of fit."""
        kept, _ = recall(self._memory, row_digests(steps)[:, None], clock)
        of_fit, before = self._memory.clock, np.zeros(len(self._memory.age), dtype=bool)
        before[kept] = True
        found = set()
        for code, key in enumerate(of_fit.keys):
            stand_before = before[of_fit.series == code]
            if key not in clock.keys or stand_before.all():
                continue
            if stand_before[0]:
                warnings.warn(
                    f"the rows of series {key[0]!r} begin among those of fit, of which no state is "
                    "kept but the last: they are read as later runs. Give the series from its "
                    "first run on, or `state`.",
                    SameRunsWarning,
                    stacklevel=3,
                )
            else:
                found.add(key[0])
        return found

    def _checked(self, name: Hashable, state: ArrayLike) -> Floats:
        found = np.asarray(state, dtype=np.float64)
        expected = (2, self.forecaster_._forward.n_state_layers, self.forecaster_.hidden_size)
        if found.shape != expected or not np.isfinite(found).all():
            raise ValueError(
                f"the state of series {name!r} has shape {found.shape}, or values that are not "
                f"finite; expected {expected}, as predict or step of this model gave it."
            )
        return found
