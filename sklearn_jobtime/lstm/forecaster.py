"""The LSTM as a scikit-learn regressor of windows."""

from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.lstm import training
from sklearn_jobtime.lstm.batches import RowsDataset, WindowDataset
from sklearn_jobtime.lstm.callbacks import new_log_folder
from sklearn_jobtime.lstm.losses import LOSSES, WithinTenPercent, make_loss
from sklearn_jobtime.lstm.network import ACTIVATIONS, LSTMEnsemble, LSTMNetwork
from sklearn_jobtime.lstm.targets import (
    Targets,
    check_observed,
    merge_repeats,
    read_weighted_targets,
)
from sklearn_jobtime.lstm.weights import INITIAL_WEIGHTS
from sklearn_jobtime.lstm.window_inputs import read_windows, windows_mean_and_scale
from sklearn_jobtime.metrics import observed_r2

__all__ = ["LSTMForecaster"]


# Parameters that go to the network as they are.
NETWORK_OPTIONS = (
    *("hidden_size", "n_layers", "dropout", "recurrent_dropout", "spatial_dropout"),
    *("bidirectional", "activation", "dense_activation", "skip_connection"),
    *("weight_init", "recurrent_init", "forget_bias"),
)


class LSTMForecaster(RegressorMixin, training.StoredOnCPU):
    """Forecast job run times from windows of past runs with an LSTM.

    A run's duration depends on the runs before it: caches warm up, tables grow, a slow runner
    stays slow for a while. The LSTM reads the window of the last runs step by step and forecasts
    one or many numbers: the next run of one job, or the next ten runs of every job. It behaves
    like any scikit-learn regressor: it can be cloned, searched over, put into a pipeline behind
    `SequenceWindower`, and stored with joblib. Its stateful mode, which reads each run once and
    remembers beyond the window, is :class:`~sklearn_jobtime.StatefulForecaster`.

    Inputs and targets are standardised inside, so the forecasts do not depend on their units.
    What is not known in a window (NaN) counts as the mean; a target that was not observed (NaN)
    takes no part in the loss. Forecasts are never NaN.

    Parameters
    ----------
    hidden_size : int, default=32
        Units of an LSTM layer. Run histories are short; more units seldom help and train slower.
    n_layers : int, default=1
        LSTM layers, one on top of the other.
    dropout : float, default=0.0
        Share of values set to zero in training, between the layers and before the output. Try
        0.1 to 0.3 when the validation loss rises while the training loss still falls.
    recurrent_dropout : float, default=0.0
        The same for the connections from step to step, with one mask a window [2]_. Training
        is then some five times slower, as the fused kernel can not do it.
    spatial_dropout : float, default=0.0
        The same for the features that come in, each hidden from the LSTM at all steps of a window:
        no one of them gets relied on. For many features that say nearly the same.
    bidirectional : bool, default=False
        Read the window also from its newest run to its oldest.
    activation : {"tanh", "relu", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", \
            "selu", "gelu", "linear"}, default="tanh"
        Of the cells. "relu" extrapolates a trend beyond what was seen, "tanh" levels off, which
        is safer and some five times faster than each of the others.
    dense_units : int, sequence of int or None, default=None
        Widths of dense layers between the LSTM and the output. None adds none.
    dense_activation : str, default="relu"
        Of these layers, by the same names.
    weight_init : str, default="torch"
        How the weights from the inputs and of the dense layers are drawn: "torch" (uniform within
        the inverse root of the width), "glorot_uniform", "glorot_normal", "he_uniform",
        "he_normal", "lecun_uniform", "lecun_normal", "orthogonal", "normal" or "uniform" (both
        small: 0.05). All but "torch" start with biases of 0. "he" goes with "relu", "lecun" with
        "selu".
    recurrent_init : str, default="torch"
        The same for the weights from step to step. "orthogonal" keeps long memories alive; with
        ``weight_init="glorot_uniform"`` and ``forget_bias=1`` it is what Keras starts from.
    forget_bias : float or None, default=None
        Where the biases of the forget gates start; 1 lets cells remember from the first epoch on.
        None leaves it to `weight_init`.
    skip_connection : bool, default=False
        Let the output layer also see the last step of the window as it came in, not only through
        the LSTM. That step holds what is known of the run itself: its event, its hour, the size of
        the change. With such columns it took 1.5 % off the error; without, it adds nothing.
    zero_start : bool, default=False
        Begin with a network that forecasts 0, and keep it if no epoch does better on the newest
        rows (with `early_stopping`). For targets that are what a rule left over, as in
        :class:`~sklearn_jobtime.AnchoredRegressor`: no training at all then means the rule.
    log_targets : bool, default=False
        Say that the targets are logs of durations, or of their ratio to a rule, so that the
        accuracies in `history_` are those of the durations. Training and forecasts stay the same.
    n_members : int, default=1
        Networks, with weights of their own, that are trained together and whose forecasts are
        averaged. Three take 0.5 to 1 % off the error, at three times the time.
    optimizer : {"adam", "adamw", "nadam", "adamax", "adagrad", "adadelta", "rmsprop", "sgd"} \
            or torch optimizer class, default="adam"
        "sgd" needs a higher `lr` and some `momentum`, "adadelta" an `lr` near 1.
    lr : float, default=0.01
        Learning rate. As high as training stays stable for networks this small: fewer epochs.
    momentum : float, default=0.0
        For the optimizers that have it ("sgd" and "rmsprop"); the others ignore it.
    weight_decay : float, default=0.0
        Shrinks the weights; for the optimizers that have it (all named ones do).
    criterion : {"mae", "mse", "huber", "pinball"}, torch loss class or instance, default="mae"
        What training minimises. Run times have long tails: "mae" forecasts the median and lets
        a single hung run pull at it no more than any other, "mse" forecasts the mean. "huber" is
        in between and "pinball" forecasts `quantile`. A torch loss sees standardised forecasts
        and observed targets, ``(n, outputs)`` or, where some are NaN, the observed ones in a row.
    quantile : float, default=0.5
        For ``criterion="pinball"``: 0.9 forecasts what nine runs in ten stay below.
    batch_size : int, default=32
        Windows in a step of training.
    max_epochs : int, default=100
        Passes over the training rows, at most; early stopping usually ends sooner.
    early_stopping : bool, default=True
        Keep the newest rows for validation, stop when their loss no longer falls, and restore the
        weights that did best. With False all `max_epochs` are run on all rows.
    patience : int, default=30
        Epochs without a better validation loss before training stops. The loss of an LSTM often
        rests on a plateau for twenty epochs before it finds which step of the window counts.
    validation_fraction : float, default=0.2
        Share of the rows kept for validation: the *last* ones, as the future is what
        the forecasts are for. Rows without any observed target are not counted. When this is less
        than two rows, all are trained on and nothing is validated.
    gradient_clip : float or None, default=1.0
        Largest norm of a step's gradient: one extreme run then does not throw the weights
        off. None does not clip.
    warm_start : bool, default=False
        Let `fit` go on from the weights of the last `fit`, with the scaling learned at first.
        Of the parameters only `max_epochs`, `validation_fraction` and `n_threads` are read anew.
    device : str, default="cuda"
        Where to compute: "cuda", "cuda:1", "mps", "cpu", or "auto" for what there is. Where the
        machine has no such device the CPU is used, and the logger ``sklearn_jobtime`` says so
        once; a model trained on a GPU also loads and forecasts on a machine without one.
    n_threads : int or None, default=1
        CPU threads of torch during `fit` and `predict`; the earlier number is restored. More
        than one slows down networks of the default size, and a grid search with ``n_jobs``
        already uses all cores. None leaves torch's setting alone.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the batches and dropout. None draws
        another seed each time. No global random state is read or changed.
    verbose : int, default=0
        1 shows a progress bar with the losses and accuracies of the newest epoch.
    callbacks : list of skorch callbacks or None, default=None
        Told of each batch and epoch, such as ``skorch.callbacks.LRScheduler()``. They are used as
        given, not copied, so that what they collect can be read from them.
    log_dir : str, Path or None, default=None
        Where to log the graph of the network, the losses and the weights of every epoch for
        TensorBoard: ``tensorboard --logdir <log_dir>`` shows them. Each fit gets a folder of its
        own in it. Needs ``pip install 'sklearn-jobtime[tensorboard]'``.

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained network with its optimizer.
    history_ : DataFrame
        One row an epoch: `epoch`, `train_loss` and `valid_loss` (in standardised units),
        `train_accuracy` and `valid_accuracy` (share of the forecasts within 10 % of the actual,
        in the targets' own units), `seconds`. NaN where nothing was validated.
    kept_epoch_ : int
        The epoch whose weights are in use; 0 when, with `zero_start`, no training did best.
    n_features_in_ : int
        Features a step for 3-D windows, columns for 2-D ones.
    feature_names_in_ : ndarray of str
        Column names; only when fitted on a DataFrame with string names.
    n_steps_in_ : int
        Steps of a window.
    ndim_in_ : int
        2 or 3, the dimensions of the windows seen in `fit`.
    n_outputs_ : int
        Numbers forecast for a window.
    target_names_ : pandas.Index or None
        Columns of `y` if it was a DataFrame, such as the pairs (step, job).
    feature_mean_, feature_scale_ : ndarray of shape (n_features,)
        What the inputs are standardised with.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        What the targets are standardised with; the scale of a constant target is 0.
    device_ : torch.device
        The device in use.
    seed_ : int
        The seed drawn from `random_state`.
    log_dir_ : pathlib.Path
        Folder of this fit; only with `log_dir`.

    Notes
    -----
    With the same `random_state` the same machine gives the same forecasts, bit for bit on the CPU.
    An input more than 1000 standard deviations from the mean counts as that bound.

    The loss of what was cut off is one-sided, as in censored regression [3]_, [4]_. It assumes that
    the moment of the cut says no more of how long the run would have taken than "longer", given
    the window: a fixed limit does so, an operator who cancels the runs that look bad does not. With
    "mae" and "pinball" the forecast is then the median or quantile of all runs as long as that
    lies below the limit; where more than half of the runs are cut off, nobody can know it and the
    forecast rests near the limit. The mean, "mse", depends on how far the cut runs would have gone
    on and stays too low, though less so than without them.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).
    .. [2] Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016.
    .. [3] J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26
       (1958).
    .. [4] J. L. Powell, "Censored regression quantiles", Journal of Econometrics 32 (1986).

    Examples
    --------
    Windows of three runs, and the run that follows each:

    >>> import numpy as np
    >>> from sklearn_jobtime import LSTMForecaster
    >>> durations = np.arange(10.0, 100.0, 10.0)
    >>> X = np.lib.stride_tricks.sliding_window_view(durations, 3)[:-1]
    >>> y = durations[3:]
    >>> model = LSTMForecaster(
    ...     hidden_size=50, activation="relu", max_epochs=200, device="cpu", random_state=0
    ... )
    >>> model.fit(X, y).predict([[70.0, 80.0, 90.0]]).round(-1)
    array([100.])

    Several outputs, one of them not always observed:

    >>> Y = np.column_stack([y, 2 * y])
    >>> Y[0, 1] = np.nan
    >>> model.fit(X, Y).predict(X).shape
    (6, 2)

    A job that never succeeded can not be learned:

    >>> model.fit(X, np.column_stack([y, np.full(6, np.nan)]))
    Traceback (most recent call last):
        ...
    sklearn_jobtime.exceptions.NoHistoryError: no target of output 1 was observed ...
    """

    ndim_in_: int

    masks_missing_targets = True  # AnchoredRegressor passes it rows whose target is NaN

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "spatial_dropout": [Interval(Real, 0, 1, closed="left")],
        "bidirectional": ["boolean"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dense_units": [Interval(Integral, 0, None, closed="left"), "array-like", None],
        "dense_activation": [StrOptions(set(ACTIVATIONS))],
        "weight_init": [StrOptions({"torch", *INITIAL_WEIGHTS})],
        "recurrent_init": [StrOptions({"torch", *INITIAL_WEIGHTS})],
        "forget_bias": [Interval(Real, None, None, closed="neither"), None],
        "skip_connection": ["boolean"],
        "zero_start": ["boolean"],
        "log_targets": ["boolean"],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(training.OPTIMIZERS)), HasMethods("step")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "criterion": [StrOptions(set(LOSSES)), HasMethods("forward")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "warm_start": ["boolean"],
        "device": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, tuple, None],
        "log_dir": [str, Path, None],
    }

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        spatial_dropout: float = 0.0,
        bidirectional: bool = False,
        activation: str = "tanh",
        dense_units: int | Sequence[int] | None = None,
        dense_activation: str = "relu",
        weight_init: str = "torch",
        recurrent_init: str = "torch",
        forget_bias: float | None = None,
        skip_connection: bool = False,
        zero_start: bool = False,
        log_targets: bool = False,
        n_members: int = 1,
        optimizer: str | type[torch.optim.Optimizer] = "adam",
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        criterion: str | torch.nn.Module | type[torch.nn.Module] = "mae",
        quantile: float = 0.5,
        batch_size: int = 32,
        max_epochs: int = 100,
        early_stopping: bool = True,
        patience: int = 30,
        validation_fraction: float = 0.2,
        gradient_clip: float | None = 1.0,
        warm_start: bool = False,
        device: str = "cuda",
        n_threads: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
        log_dir: str | Path | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.spatial_dropout = spatial_dropout
        self.bidirectional = bidirectional
        self.activation = activation
        self.dense_units = dense_units
        self.dense_activation = dense_activation
        self.weight_init = weight_init
        self.recurrent_init = recurrent_init
        self.forget_bias = forget_bias
        self.skip_connection = skip_connection
        self.zero_start = zero_start
        self.log_targets = log_targets
        self.n_members = n_members
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.criterion = criterion
        self.quantile = quantile
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.gradient_clip = gradient_clip
        self.warm_start = warm_start
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.log_dir = log_dir

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        at_least: ArrayLike | None = None,
    ) -> "LSTMForecaster":
        """Learn the scaling and train the network.

        Parameters
        ----------
        X : array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Windows, oldest step first, rows in time order; 2-D windows have one feature. NaN
            where a value is not known.
        y : array-like of shape (n,) or (n, n_outputs)
            What followed each window; NaN where it was not observed.
        sample_weight : array-like of shape (n,), default=None
            How much a row counts, in the losses of training and validation and in the scaling: 2
            as much as the row twice, 0 as if it were not there. In fits of fewer than 32 rows that
            holds bit for bit, because rows that repeat are merged there; where the rows then do
            not count alike, their order plays no part, and some of all times validate.
        at_least : array-like of the shape of y, default=None
            In the unit of `y`, what is known of targets that were cut off: a run that timed out
            took "at least this long". Such as :func:`~sklearn_jobtime.runs.make_lower_bounds`
            gives; NaN elsewhere, and not read where `y` was observed. A forecast below it costs
            what an error costs, one above nothing; see the Notes.

        Returns
        -------
        self

        Raises
        ------
        NoHistoryError
            When an output was never observed; a ValueError that names it.
        DeviceError
            When `device` numbers a GPU that the machine does not have.
        FloatingPointError
            When training diverged.
        """
        fresh = not (self.warm_start and hasattr(self, "net_"))
        rows = self._validate(X, y, sample_weight, at_least, reset=fresh)
        windows, targets = merge_repeats(*rows)
        with training.limited_threads(self.n_threads):
            if fresh:
                self._initialize(windows, targets)
            self._train(windows, targets, self.max_epochs, self._validation)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        at_least: ArrayLike | None = None,
    ) -> "LSTMForecaster":
        """Train for one more pass, over new rows only, without validation.

        The scaling stays as it was learned at first, by `fit` or the first call of this; rows
        of which no target was observed change nothing.

        Parameters
        ----------
        X : array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Windows as in `fit`.
        y : array-like of shape (n,) or (n, n_outputs)
            What followed each window; NaN where it was not observed.
        sample_weight : array-like of shape (n,), default=None
            How much each of these rows counts, relative to each other.
        at_least : array-like of the shape of y, default=None
            Lower bounds of targets that were cut off, as in `fit`.

        Returns
        -------
        self
        """
        fresh = not hasattr(self, "net_")
        rows = self._validate(X, y, sample_weight, at_least, reset=fresh)
        windows, targets = merge_repeats(*rows)
        with training.limited_threads(self.n_threads):
            if fresh:
                self._initialize(windows, targets)
            self._train(windows, targets, epochs=1, validation=0.0)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Forecast what follows each window.

        Parameters
        ----------
        X : array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Windows with the steps and features of `fit`; NaN where a value is not known.

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs), as `y` was
            In the unit of `y`, never NaN.
        """
        check_is_fitted(self)
        windows = read_windows(self, X, reset=False)
        with training.limited_threads(self.n_threads):
            forecast = training.predict_windows(
                self._network, self.device_, windows, self.feature_mean_, self.feature_scale_
            )
        return self._in_units(forecast)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2 over the observed targets, averaged over the outputs.

        Parameters
        ----------
        X : array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Windows.
        y : array-like of shape (n,) or (n, n_outputs)
            What followed; NaN is skipped.
        sample_weight : array-like of shape (n,), default=None
            How much a row counts.

        Returns
        -------
        float
        """
        return observed_r2(y, self.predict(X), sample_weight=sample_weight)

    def _validate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        at_least: ArrayLike | None,
        reset: bool,
    ) -> tuple[Floats, Targets]:
        windows = read_windows(self, X, reset=reset)
        targets = read_weighted_targets(self, windows, y, at_least, sample_weight)
        if reset:
            check_observed(targets)
            self.target_names_, self.target_ndim_ = targets.names, targets.ndim
            self.n_outputs_ = targets.observed.shape[1]
        elif targets.observed.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {targets.observed.shape[1]} outputs, but LSTMForecaster was fitted with "
                f"{self.n_outputs_}; fit a new one with warm_start=False."
            )
        return windows, targets

    @property
    def _validation(self) -> float:
        return self.validation_fraction if self.early_stopping else 0.0

    def _initialize(self, windows: Floats, targets: Targets) -> None:
        self.feature_mean_, self.feature_scale_ = windows_mean_and_scale(windows, targets.weight)
        self.target_mean_, self.target_scale_ = targets.mean_and_scale()
        self.device_ = training.resolve_device(self.device)
        self.seed_ = training.draw_seed(self.random_state)
        network: dict[str, Any] = {
            "n_features": windows.shape[2],
            "n_outputs": self.n_outputs_,
            **{name: getattr(self, name) for name in NETWORK_OPTIONS},
            "dense_units": () if self.dense_units is None else self.dense_units,
        }
        module: type[torch.nn.Module] = LSTMNetwork
        if self.n_members > 1:
            module, network = LSTMEnsemble, {"n_members": self.n_members, **network}
        if self.log_dir is not None:
            self.log_dir_ = new_log_folder(self.log_dir)
        mean, scale = self.target_mean_, self.target_scale_
        zero = np.divide(-mean, scale, where=scale > 0, out=0.0 * mean)
        with training.seeded(self.seed_, self.device_):
            self.net_ = training.build_net(
                module=module,
                network=network,
                start=zero if self.zero_start else None,
                loss=make_loss(self.criterion, self.quantile),
                count=WithinTenPercent(mean, scale, self.log_targets),
                optimizer=self.optimizer,
                lr=self.lr,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                batch_size=self.batch_size,
                gradient_clip=self.gradient_clip,
                patience=self.patience if self.early_stopping else None,
                device=self.device_,
                callbacks=self.callbacks or (),
                verbose=self.verbose,
                log_folder=None if self.log_dir is None else self.log_dir_,
            )

    def _train(self, windows: Floats, targets: Targets, epochs: int, validation: float) -> None:
        rows = np.flatnonzero(~np.isnan(targets.best_known).all(axis=1))
        if not len(rows):
            return
        dataset = WindowDataset(
            windows,
            self._standardised(targets.observed),
            rows,
            self.feature_mean_,
            self.feature_scale_,
            at_least=None if targets.at_least is None else self._standardised(targets.at_least),
            weight=None if targets.weight is None else torch.from_numpy(targets.weight),
        )
        self._train_on(dataset, epochs, validation)

    def _train_on(self, dataset: RowsDataset, epochs: int, validation: float) -> None:
        # Each call draws its own batches: going on is not doing the same again.
        with training.seeded(self.seed_ + len(self.net_.history) + 1, self.device_):
            training.train(self.net_, dataset, epochs=epochs, validation_fraction=validation)
        # An epoch that the user interrupted has no scores yet.
        self.kept_epoch_ = training.kept_epoch(self.net_)
        self.history_ = pd.DataFrame(self.net_.history.to_list()).reindex(columns=training.HISTORY)
        self._prepare()

    def _in_units(self, forecast: Floats) -> Floats:
        # ReLU cells can overflow float32 on windows unlike any seen: the mean is then the forecast.
        forecast = np.where(np.isfinite(forecast), forecast, 0.0).astype(np.float64)
        forecast = forecast * self.target_scale_ + self.target_mean_
        return forecast[:, 0] if self.target_ndim_ == 1 else forecast

    def _standardised(self, y: Floats) -> torch.Tensor:
        scale = np.where(self.target_scale_ == 0, 1.0, self.target_scale_)
        return torch.from_numpy(((y - self.target_mean_) / scale).astype(np.float32))
