"""The LSTM as a scikit-learn regressor of windows."""

from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._estimator import check_has_effect, with_forecaster_tags
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.lstm.forward import forecast_windows
from sklearn_jobtime.lstm.names import LOSSES
from sklearn_jobtime.lstm.network_estimator import (
    NETWORK_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    NetworkEstimator,
    load_training,
)
from sklearn_jobtime.lstm.options import NetworkOptions
from sklearn_jobtime.lstm.targets import (
    TARGET_BOUND,
    Targets,
    in_units,
    merge_repeats,
    newest_last,
    read_weighted_rows,
    standardised,
)
from sklearn_jobtime.lstm.window_inputs import (
    read_windows,
    standardised_inputs,
    windows_mean_and_scale,
)
from sklearn_jobtime.runs._target_jobs import in_order_of, in_order_of_rows

if TYPE_CHECKING:
    import torch

    from sklearn_jobtime.lstm.losses import WithinTenPercent

__all__ = ["LSTMForecaster"]


# From so many windows on, a model that was trained on a GPU forecasts there too. On the CPU torch
# is not faster than NumPy, whatever the number.
DEVICE_WINDOWS = 2**14


class LSTMForecaster(RegressorMixin, NetworkEstimator):
    """Forecast job run times from windows of past runs with an LSTM.

    A run's duration depends on the runs before it: caches warm up, tables grow, a slow runner
    stays slow for a while. The LSTM reads the window of the last runs step by step and forecasts
    one or many numbers: the next run of one job, or the next ten runs of every job. It behaves
    like any scikit-learn regressor: it can be cloned, searched over, put into a pipeline behind
    `SequenceWindower`, and stored with joblib. Its stateful mode, which reads each run once and
    remembers beyond the window, is :class:`~sklearn_jobtime.StatefulForecaster`; its form for what
    a base forecast leaves over is :class:`~sklearn_jobtime.lstm.ResidualForecaster`.

    Inputs and targets are standardised inside, so the forecasts do not depend on their units.
    An unknown input (NaN) counts as the mean; a target that was not observed (NaN) is not part of
    the loss. Forecasts are never NaN.

    Parameters
    ----------
    hidden_size : int, default=32
        Units of an LSTM layer. Run histories are short; more units seldom help and train slower.
    n_layers : int, default=1
        LSTM layers, one on top of the other.
    dropout : float, default=0.0
        Share of values set to zero in training, between the layers and before the output. Try
        0.1 to 0.3 when the validation loss rises while the training loss still falls.
    bidirectional : bool, default=False
        Also read the window from its newest run to its oldest.
    activation : {"tanh", "relu", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", \
            "selu", "gelu", "linear"}, default="tanh"
        Activation function of the cells. "relu" extrapolates a trend beyond the values seen in
        training, "tanh" levels off, which is safer and several times faster than all others.
    network_options : NetworkOptions or None, default=None
        Dense layers behind the LSTM, dropout of connections and of features, a skip connection,
        initial weights: see :class:`~sklearn_jobtime.lstm.NetworkOptions`. A grid names them
        ``network_options__dense_units`` and so on.
    optimizer : {"adam", "adamw", "nadam", "adamax", "adagrad", "adadelta", "rmsprop", "sgd"} \
            or torch optimizer class, default="adam"
        "sgd" needs a higher `lr` and some `momentum`, "adadelta" an `lr` near 1.
    lr : float, default=0.01
        Learning rate. For networks this small it can be high, which saves epochs.
    momentum : float, default=0.0
        For the optimizers that have it ("sgd" and "rmsprop"); with others it is an error.
    weight_decay : float, default=0.0
        How strongly the weights are shrunk; for the optimizers that have it (all named ones do).
    criterion : {"mae", "mse", "huber", "pinball"}, torch loss class or instance, default="mae"
        The loss that training minimises. Run times have long tails: "mae" forecasts the median,
        on which a single hung run has no more influence than any other, "mse" the mean. "huber" is
        in between and "pinball" forecasts `quantile`, the median if None. A torch loss is given
        standardised forecasts and targets, ``(n, outputs)``, or 1-D arrays of the observed ones
        where some are NaN.
    quantile : float or None, default=None
        What to forecast in place of the median: 0.9 is a duration that nine of ten runs stay below.
        It implies ``criterion="pinball"``, whose median is "mae"; with other losses it is an error.
    batch_size : int, default=32
        Windows in a step of training.
    max_epochs : int, default=100
        Passes over the training rows, at most; early stopping usually needs fewer.
    early_stopping : bool, default=True
        Keep the newest rows for validation, stop when their loss no longer falls, and take the
        best weights. False runs all `max_epochs` on all rows.
    patience : int, default=30
        Epochs without a better validation loss before training stops. The loss of an LSTM often
        stays the same for twenty epochs before it finds which step of the window counts.
    validation_fraction : float, default=0.2
        Share of the rows kept for validation: the *last* ones. Rows without any observed target
        do not count. If this is less than two rows, all are used for training.
    gradient_clip : float or None, default=1.0
        Largest norm of the gradient of a training step, so that one extreme run changes the
        weights only so much. None sets no bound.
    warm_start : bool, default=False
        Let `fit` start from the weights of the last `fit` and keep the scaling of the first one.
        Of the parameters only `max_epochs`, `validation_fraction` and `n_threads` are read anew.
    device : str, default="cuda"
        Where to compute: "cuda", "cuda:1", "mps", "cpu", or "auto" for the best one there is. On
        a machine without that device the CPU is used, and the logger ``sklearn_jobtime`` says so
        once; a model trained on a GPU also loads and forecasts on a machine without one.
    n_threads : int or None, default=1
        CPU threads of torch during `fit`. More than one slows down small networks and a grid search
        with ``n_jobs``. None leaves torch's setting as it is. Forecasts are NumPy's, whose threads
        are a setting of the whole process.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the batches and dropout. None draws
        another seed each time. No global random state is read or changed.
    verbose : int, default=0
        1 shows a progress bar with the losses and accuracies of the newest epoch.
    callbacks : list of skorch callbacks or None, default=None
        Called at each batch and epoch, such as ``skorch.callbacks.LRScheduler()``. They are not
        copied, so that what they collect can be read from them. What ``EpochScoring`` scores is
        standardised, and NaN where nothing was observed: give it a metric that skips NaN, such as
        ``make_scorer(sklearn_jobtime.metrics.observed_mae, greater_is_better=False)``.
    log_dir : str, Path or None, default=None
        Folder for TensorBoard, in which each fit logs the graph of the network, and the losses and
        weights of every epoch. Needs ``pip install 'sklearn-jobtime[tensorboard]'``.

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained network with its optimizer. A loaded model makes it when it is first asked for,
        which takes torch; to forecast, nothing does.
    weights_ : dict of str to ndarray
        The trained weights, by their names in ``net_.module_``; the forecasts come from these.
    training_history_ : DataFrame
        One row an epoch: `epoch`, `train_loss` and `valid_loss` (in standardised units),
        `train_accuracy` and `valid_accuracy` (share of the forecasts within 10 % of the actual,
        in the targets' own units), `seconds`. NaN where nothing was validated.
    kept_epoch_ : int
        The epoch whose weights are in use.
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
    device_ : str
        The device that trained it; of a loaded model with `net_`, the one that this is on.
    seed_ : int
        The seed drawn from `random_state`.
    log_dir_ : pathlib.Path
        Folder of this fit; only with `log_dir`.

    Notes
    -----
    With the same `random_state` the same machine gives the same forecasts, bit for bit on the CPU.

    *Hung runs.* Inputs and targets are scaled by the mean and the standard deviation of their usual
    values: without those that lie far outside the range of all but the largest and the smallest
    2.5 %. So a few runs of a month change the forecasts of all others as little as the loss lets
    them: hardly with "mae", "huber" and "pinball", but with "mse", which forecasts the mean of all
    and has targets scaled by all. An input more than 10 standard deviations from the mean
    counts as that bound.

    The loss of a right-censored run is one-sided, as in censored regression [3]_, [4]_: a forecast
    above its lower bound costs nothing. It assumes that, given the window, the censoring time says
    only that the run would have taken longer: true of a fixed time limit, not of an operator who
    cancels runs that look bad. With "mae" and "pinball" the forecast is then the median or quantile
    of all runs where that lies below the limit; where more than half of the runs are censored, it
    is near the limit. The mean, "mse", stays too low, but less so than without these runs.

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

    n_outputs_: int
    target_ndim_: int

    _has_skip_connection = False

    masks_missing_targets = True  # AnchoredRegressor passes it rows whose target is NaN
    __metadata_request__fit: ClassVar = {"at_least": True}
    __metadata_request__partial_fit: ClassVar = {"at_least": True}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NETWORK_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "network_options": [NetworkOptions, None],
        "criterion": [StrOptions(set(LOSSES)), HasMethods("forward")],
        "quantile": [Interval(Real, 0, 1, closed="neither"), None],
        "warm_start": ["boolean"],
        "log_dir": [str, Path, None],
    }

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        activation: str = "tanh",
        network_options: NetworkOptions | None = None,
        optimizer: "str | type[torch.optim.Optimizer]" = "adam",
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        criterion: "str | torch.nn.Module | type[torch.nn.Module]" = "mae",
        quantile: float | None = None,
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
        self.hidden_size, self.n_layers, self.bidirectional = hidden_size, n_layers, bidirectional
        self.dropout = dropout
        self.activation = activation
        self.network_options = network_options
        self.optimizer, self.lr = optimizer, lr
        self.momentum, self.weight_decay = momentum, weight_decay
        self.criterion, self.quantile = criterion, quantile
        self.batch_size, self.max_epochs = batch_size, max_epochs
        self.early_stopping, self.patience = early_stopping, patience
        self.validation_fraction = validation_fraction
        self.gradient_clip = gradient_clip
        self.warm_start = warm_start
        self.device, self.n_threads = device, n_threads
        self.random_state = random_state
        self.verbose, self.callbacks, self.log_dir = verbose, callbacks, log_dir

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return with_forecaster_tags(self, tags)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        at_least: ArrayLike | None = None,
    ) -> Self:
        """Learn the scaling and train the network.

        Parameters
        ----------
        X : array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Windows, oldest step first, rows in time order; 2-D windows have one feature. NaN
            where a value is not known. Windows of `SequenceWindower` know their times, and may
            come in any order of the rows.
        y : array-like of shape (n,) or (n, n_outputs)
            What followed each window; NaN where it was not observed.
        sample_weight : array-like of shape (n,), default=None
            Weight of a row in the losses of training and validation and in the scaling: 2 is the
            same as the row twice, 0 as if it were not there. In fits of fewer than 32 rows that
            holds bit for bit, because equal rows are merged there; where weights then differ, the
            order of the rows has no meaning, and the validation rows are drawn from all times.
        at_least : array-like of the shape of y, default=None
            Lower bound of a right-censored run, in the unit of `y`: a run that timed out took at
            least this long, as :func:`~sklearn_jobtime.runs.make_lower_bounds` gives it. NaN for
            all others; not read where `y` was observed. See the Notes.

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
        fresh = not (self.warm_start and self.__sklearn_is_fitted__())
        rows = read_weighted_rows(self, X, y, sample_weight, at_least, reset=fresh)
        rows = newest_last(X, *rows)
        return self._learn(*rows, fresh, self.max_epochs, self._validation_share)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        at_least: ArrayLike | None = None,
    ) -> Self:
        """Train for one more pass, over new rows only, without validation.

        The scaling stays that of `fit`, or of the first call of this method; rows without an
        observed target change nothing.

        Parameters
        ----------
        X, y, sample_weight, at_least
            The new rows, as in `fit`; the weights count relative to each other.

        Returns
        -------
        self
        """
        fresh = not self.__sklearn_is_fitted__()
        rows = read_weighted_rows(self, X, y, sample_weight, at_least, reset=fresh)
        return self._learn(*rows, fresh, epochs=1, validation_share=0.0)

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
        if self.device_.startswith("cuda") and len(windows) >= DEVICE_WINDOWS:
            forecast = self._forecast_on_device(windows)
        else:
            forecast = forecast_windows(
                self._forward, windows, self.feature_mean_, self.feature_scale_
            )
        return self._in_units(forecast)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2 over the observed targets, averaged over the outputs.

        Parameters
        ----------
        X : array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Windows.
        y : array-like of shape (n,) or (n, n_outputs)
            What followed; NaN is skipped. Columns with names may stand in any order.
        sample_weight : array-like of shape (n,), default=None
            How much a row counts.

        Returns
        -------
        float
        """
        from sklearn_jobtime.metrics import observed_r2

        check_is_fitted(self)
        y = in_order_of(in_order_of_rows(y, X), self.target_names_)
        return observed_r2(y, self.predict(X), sample_weight=sample_weight)

    def _learn(
        self,
        windows: Floats,
        targets: Targets,
        fresh: bool,
        epochs: int,
        validation_share: float,
    ) -> Self:
        load_training()
        from sklearn_jobtime.lstm.batches import WindowDataset
        from sklearn_jobtime.lstm.threads import limited_threads

        windows, targets = merge_repeats(windows, targets)
        with limited_threads(self.n_threads):
            if fresh:
                self._initialize(windows, targets)
            rows = np.flatnonzero(~np.isnan(targets.best_known).all(axis=1))
            if len(rows):
                dataset = WindowDataset(windows, **self._dataset_options(rows, targets))
                self._train_net(dataset, epochs, validation_share)
                self._keep_net()
        return self

    def _initialize(self, windows: Floats, targets: Targets) -> None:
        """Learn the scaling, and make the network that is not yet trained."""
        from sklearn_jobtime.lstm.callbacks import new_log_folder
        from sklearn_jobtime.lstm.losses import make_loss

        self._choose_device_and_seed()
        self._check_effects()
        self._begin(self._module_options(windows.shape[2]))
        self._made_with |= {"criterion": self.criterion, "quantile": self.quantile}
        self.feature_mean_, self.feature_scale_ = windows_mean_and_scale(windows, targets.weight)
        loss = make_loss(self.criterion, self.quantile)
        self.target_mean_, self.target_scale_ = targets.mean_and_scale(loss.is_robust)
        if self.log_dir is not None:
            self.log_dir_ = self._made_with["log_folder"] = new_log_folder(self.log_dir)
        self._net = self._new_net()

    def _new_net(self) -> Any:
        from sklearn_jobtime.lstm.losses import make_loss

        made = self._made_with
        return load_training().build_net(
            self._module_class(),
            made["network"],
            loss=make_loss(made["criterion"], made["quantile"]),
            count=self._accuracy(),
            options=self._training_options(),
            start=self._start(),
        )

    def _module_class(self) -> "type[torch.nn.Module]":
        """Return the class of the network: an ensemble where it has members."""
        from sklearn_jobtime.lstm import network

        is_ensemble = "n_members" in self._made_with["network"]
        return network.LSTMEnsemble if is_ensemble else network.LSTMNetwork

    def _module_options(self, n_features: int) -> dict[str, Any]:
        """Return the options of the network."""
        options = self._network_options()
        if options["skip_connection"] is None:
            options["skip_connection"] = self._has_skip_connection
        return {"n_features": n_features, "n_outputs": self.n_outputs_, **options}

    def _forecast_on_device(self, windows: Floats) -> Floats:
        """Forecast many windows on the GPU, if there is one, in double precision as elsewhere."""
        training = load_training()
        from sklearn_jobtime.lstm import net_state

        network = self._module_class()(**self._made_with["network"])
        device = training.resolve_device(self.device_)
        network = net_state.with_weights(network, self.weights_).to(device).double().eval()
        return training.predict_windows(
            network, device, windows, self.feature_mean_, self.feature_scale_
        )

    def _check_effects(self) -> None:
        super()._check_effects()
        is_pinball = self.criterion in ("mae", "pinball")
        needs = f'criterion="pinball", not criterion={self.criterion!r}'
        check_has_effect(self, "quantile", is_pinball, needs=needs)

    def _accuracy(self) -> "WithinTenPercent":
        """Return what counts the forecasts that are right."""
        from sklearn_jobtime.lstm.losses import WithinTenPercent

        return WithinTenPercent(self.target_mean_, self.target_scale_, log_targets=False)

    def _start(self) -> Floats | None:
        """Return the standardised outputs of the untrained network; None leaves its weights."""
        return None

    def _dataset_options(self, rows: Rows, targets: Targets) -> dict[str, Any]:
        """Options of a :class:`WindowDataset` of the given rows, all but the windows."""
        import torch

        bounds, weight = targets.at_least, targets.weight
        return {
            "y": self._standardised(targets.observed),
            "rows": rows,
            "mean": self.feature_mean_,
            "scale": self.feature_scale_,
            "at_least": None if bounds is None else self._standardised(bounds),
            "weight": None if weight is None else torch.tensor(weight),
        }

    def _network_inputs(self, X: Any) -> dict[str, Any]:
        """Return what the module of `net_` reads of one of the rows."""
        import torch

        window = read_windows(self, X, reset=False)[:1]
        inputs = standardised_inputs(window, self.feature_mean_, self.feature_scale_)
        return {"x": torch.from_numpy(inputs)}

    def _in_units(self, forecast: Floats) -> Floats:
        found = in_units(forecast, self.target_mean_, self.target_scale_)
        return found[:, 0] if self.target_ndim_ == 1 else found

    def _standardised(self, y: Floats) -> "torch.Tensor":
        import torch

        bound = TARGET_BOUND if self.net_.criterion_.is_robust else np.inf
        return torch.from_numpy(standardised(y, self.target_mean_, self.target_scale_, bound))
