"""Training of a network with skorch: batches, masked losses, scores an epoch, early stopping.

The only file that knows skorch. It takes windows and targets as they are and leaves every global
setting (random states, thread count) as it found it.
"""

import copy
import inspect
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from skorch import NeuralNetRegressor
from skorch import callbacks as skorch_callbacks
from skorch.utils import to_device
from torch import Tensor, nn

from sklearn_jobtime.exceptions import DeviceError

__all__ = [
    "HISTORY",
    "INPUT_BOUND",
    "LOSSES",
    "OPTIMIZERS",
    "Batches",
    "MaskedLoss",
    "NewestRows",
    "PinballLoss",
    "RowsDataset",
    "StoredOnCPU",
    "WindowDataset",
    "WithinTenPercent",
    "build_net",
    "cpu_copy",
    "draw_seed",
    "evaluate_batches",
    "kept_epoch",
    "limited_threads",
    "make_loss",
    "moved_to",
    "predict_dtype",
    "predict_windows",
    "resolve_device",
    "seeded",
    "train",
]

# What an epoch records, as the columns of an estimator's `history_`.
HISTORY = ["epoch", "train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "seconds"]

LOSSES: dict[str, type[nn.Module] | None] = {
    "mse": nn.MSELoss,
    "mae": nn.L1Loss,
    "huber": nn.HuberLoss,
    "pinball": None,  # needs the quantile
}

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "adamax": torch.optim.Adamax,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

# A standardised input beyond this many standard deviations says no more than the bound does, and
# an unbounded one would overflow float32 and come out as NaN.
INPUT_BOUND = 1e3

# Nothing is learned from these batches, so they may be large; small enough to stay in the cache.
PREDICT_BATCH_SIZE = 1024


class RowsDataset(torch.utils.data.Dataset):
    """Some rows of inputs and targets; an index that is an array gives a batch.

    Parameters
    ----------
    rows : ndarray of int
        The rows that belong to the dataset.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, part: slice) -> Self:
        """Return the dataset of a slice of the rows; inputs and targets are shared."""
        subset = copy.copy(self)
        subset.rows = self.rows[part]
        return subset


class WindowDataset(RowsDataset):
    """Some rows of the windows, standardised batch by batch: the windows are never copied whole.

    Parameters
    ----------
    X : ndarray of shape (n, n_steps, n_features)
        Windows, usually a strided view on a table; NaN = not known.
    y : Tensor of shape (n, n_outputs)
        Standardised targets in float32, NaN = not observed.
    rows : ndarray of int
        The rows that belong to the dataset.
    mean, scale : ndarray of shape (n_features,)
        A batch is ``(X - mean) / scale`` with 0 for NaN.
    dtype : torch.dtype, default=torch.float32
        Of the batches of windows.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: Tensor,
        rows: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(rows)
        self.X, self.y, self.dtype = X, y, dtype
        self.mean, self.scale = torch.as_tensor(mean), torch.as_tensor(scale)

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        rows = self.rows[index]
        # NumPy's indexing copies these rows only, where numpy.take would copy the view whole.
        batch = torch.from_numpy(self.X[rows])
        batch.sub_(self.mean).div_(self.scale)
        batch.nan_to_num_(0.0).clamp_(-INPUT_BOUND, INPUT_BOUND)
        return batch.to(self.dtype), self.y[torch.from_numpy(rows)]


class Batches:
    """Batches as slices of the rows: a torch ``DataLoader`` would fetch and stack row by row."""

    def __init__(self, dataset: RowsDataset, batch_size: int, shuffle: bool = False) -> None:
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self.dataset)
        order = torch.randperm(n).numpy() if self.shuffle else np.arange(n)
        for start in range(0, n, self.batch_size):
            yield self.dataset[order[start : start + self.batch_size]]


class NewestRows:
    """Splits off the last `fraction` of the rows for validation, or none if that is under two.

    A random split would score forecasts of rows whose neighbours, with windows that overlap
    theirs, were trained on.
    """

    def __init__(self, fraction: float) -> None:
        self.fraction = fraction

    def __call__(self, dataset: RowsDataset) -> tuple[RowsDataset, RowsDataset | None]:
        """Return the rows to train on and those to validate on."""
        n_valid = int(self.fraction * len(dataset))
        if n_valid < 2:
            return dataset, None
        return dataset.subset(slice(None, -n_valid)), dataset.subset(slice(-n_valid, None))


class PinballLoss(nn.Module):
    """The loss whose minimum is a quantile: a forecast too low costs `quantile`, else the rest."""

    def __init__(self, quantile: float) -> None:
        super().__init__()
        self.quantile = quantile

    def forward(self, forecast: Tensor, actual: Tensor) -> Tensor:
        """Return the mean loss."""
        error = actual - forecast
        return torch.maximum(self.quantile * error, (self.quantile - 1) * error).mean()


def beside(actual: Tensor, forecast: Tensor) -> Tensor:
    """Repeat the targets for each member of an ensemble in training."""
    n_outputs, n_forecasts = actual.shape[-1], forecast.shape[-1]
    if n_outputs == n_forecasts:
        return actual
    return actual.repeat(*[1] * (actual.ndim - 1), n_forecasts // n_outputs)


class MaskedLoss(nn.Module):
    """A torch loss, asked about the observed targets only; 0 when a batch has none.

    The loss sees ``(n, outputs)`` where all are observed, else the observed ones in a row.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, forecast: Tensor, actual: Tensor) -> Tensor:
        """Return the loss of forecasts ``(n, outputs)`` against targets with NaN.

        Forecasts of several members, one behind the other, are each held against the targets.
        """
        actual = beside(actual, forecast)
        missing = actual.isnan()
        if not missing.any():
            return self.loss(forecast, actual)
        if missing.all():
            return forecast.sum() * 0.0
        return self.loss(forecast[~missing], actual[~missing])


def make_loss(criterion: str | nn.Module | type[nn.Module], quantile: float) -> MaskedLoss:
    """Return the masked loss for a name of `LOSSES`, or a torch loss module, class or instance.

    "huber" is quadratic up to an error of one standard deviation of the target, then linear.
    """
    if criterion == "pinball":
        return MaskedLoss(PinballLoss(quantile))
    loss = LOSSES.get(criterion, criterion) if isinstance(criterion, str) else criterion
    if isinstance(loss, type) and issubclass(loss, nn.Module):
        return MaskedLoss(loss())
    if not isinstance(loss, nn.Module):
        raise TypeError(
            f"criterion came as {criterion!r}; expected one of {', '.join(LOSSES)}, or a torch "
            "loss module such as torch.nn.SmoothL1Loss."
        )
    return MaskedLoss(copy.deepcopy(loss))


class WithinTenPercent:
    """Tells which forecasts are within 10 % of the actual, from their standardised values."""

    def __init__(
        self, target_mean: np.ndarray, target_scale: np.ndarray, log_targets: bool
    ) -> None:
        # |error| <= 0.1 |actual|, both divided by the scale; a constant target is always met.
        self.scale = torch.as_tensor(target_scale, dtype=torch.float32) if log_targets else None
        constant = target_scale == 0
        offset = np.where(constant, np.inf, 0.1 * target_mean / np.where(constant, 1, target_scale))
        self.offset = torch.as_tensor(offset, dtype=torch.float32)

    def __call__(self, forecast: Tensor, actual: Tensor) -> tuple[int, int]:
        """Count the forecasts that are near, and those whose target was observed."""
        actual = beside(actual, forecast)
        error = forecast - actual
        if self.scale is None:
            bound = torch.add(beside(self.offset, forecast), actual, alpha=0.1).abs_()
            near = error.abs_() <= bound
        else:  # of the durations behind the logs: exp(forecast) / exp(actual) - 1
            near = torch.expm1(error * beside(self.scale, forecast)).abs_() <= 0.1
        return int(near.count_nonzero()), actual.numel() - int(actual.isnan().count_nonzero())


class _EpochScores(skorch_callbacks.Callback):
    """Records an epoch's losses, its accuracies, its seconds.

    `count` gives how many outputs of a batch are right, and how many could be: those observed.
    The averages are over observed targets; skorch's own are over rows.
    """

    def __init__(self, count: Callable[[Tensor, Tensor], tuple[int, int]]) -> None:
        self.count = count

    def on_epoch_begin(self, _net: Any, **_kwargs: Any) -> None:
        self.began_ = time.perf_counter()
        self.sums_ = {"train": [0.0, 0, 0], "valid": [0.0, 0, 0]}

    def on_batch_end(
        self,
        _net: Any,
        batch: Any = None,
        training: bool = False,
        loss: Any = None,
        y_pred: Any = None,
        **_kwargs: Any,
    ) -> None:
        right, observed = self.count(y_pred.detach().cpu(), batch[1])
        sums = self.sums_["train" if training else "valid"]
        sums[0] += loss.item() * observed
        sums[1] += right
        sums[2] += observed

    def on_epoch_end(self, net: Any, **_kwargs: Any) -> None:
        for part, (loss, right, observed) in self.sums_.items():
            net.history.record(f"{part}_loss", loss / observed if observed else np.nan)
            net.history.record(f"{part}_accuracy", right / observed if observed else np.nan)
        net.history.record("seconds", time.perf_counter() - self.began_)


class _GradientClipping(skorch_callbacks.Callback):
    """Clips the norm of a step's gradient; skorch's own looks for the weights at each step."""

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def on_train_begin(self, net: Any, **_kwargs: Any) -> None:
        self.weights_ = [weight for _, weight in net.get_all_learnable_params()]

    def on_grad_computed(self, _net: Any, **_kwargs: Any) -> None:
        nn.utils.clip_grad_norm_(self.weights_, self.max_norm)

    def on_train_end(self, _net: Any, **_kwargs: Any) -> None:
        self.weights_ = []  # a pickle would hold them twice


class _EarlyStopping(skorch_callbacks.EarlyStopping):
    """skorch's early stopping, idle where there are no validation rows.

    With `untrained`, the weights before the first epoch are a candidate like all others.
    """

    dynamic_threshold_: float
    best_model_weights_: dict[str, Tensor] | None

    def __init__(self, untrained: bool, **options: Any) -> None:
        super().__init__(**options)
        self.untrained = untrained

    def on_epoch_begin(self, net: Any, dataset_valid: Any = None, **_kwargs: Any) -> None:
        if not self.untrained or dataset_valid is None or self.best_model_weights_ is not None:
            return
        if np.isfinite(self.dynamic_threshold_):
            return
        losses = [
            (net.validation_step(batch)["loss"].item(), len(batch[1]))
            for batch in net.get_iterator(dataset_valid)
        ]
        loss, n_rows = np.array(losses).T
        self.dynamic_threshold_ = np.average(loss, weights=n_rows)
        self.best_epoch_ = 0
        self.best_model_weights_ = copy.deepcopy(net.module_.state_dict())

    def on_epoch_end(self, net: Any, dataset_valid: Any = None, **kwargs: Any) -> None:
        if dataset_valid is not None:
            super().on_epoch_end(net, **kwargs)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        super().on_train_end(net, **kwargs)
        self.best_model_weights_ = None


class _ProgressBar(skorch_callbacks.Callback):
    """One bar over all epochs, with the newest losses and accuracies beside it."""

    bar_: Progress | None = None

    def on_train_begin(self, net: Any, **_kwargs: Any) -> None:
        columns = (BarColumn(12), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar_ = Progress(
            *(TextColumn("epoch"), *columns, TextColumn("{task.description}")),
            console=Console(stderr=True),
        )
        self.bar_.start()
        self.task_ = self.bar_.add_task("", total=net.max_epochs)

    def on_epoch_end(self, net: Any, **_kwargs: Any) -> None:
        newest = net.history[-1]
        scores = ", ".join(
            f"{part} loss {newest[f'{part}_loss']:.3f} acc {newest[f'{part}_accuracy']:.0%}"
            for part in ("train", "valid")
        )
        if self.bar_ is not None:
            self.bar_.update(self.task_, advance=1, description=scores)

    def stop(self) -> None:
        if self.bar_ is not None:
            self.bar_.stop()
        self.bar_ = None


class _Net(NeuralNetRegressor):
    """skorch's net, but it tells the modules of training only when that changes, not each step."""

    def _set_training(self, training: bool = True) -> None:
        if self.module_.training != training:
            super()._set_training(training)


def build_net(
    *,
    module: type[nn.Module],
    network: dict[str, Any],
    loss: nn.Module,
    count: Callable[[Tensor, Tensor], tuple[int, int]],
    optimizer: str | type[torch.optim.Optimizer],
    lr: float,
    momentum: float,
    weight_decay: float,
    batch_size: int,
    gradient_clip: float | None,
    patience: int | None,
    device: torch.device,
    callbacks: Sequence[Any],
    verbose: int,
    start: np.ndarray | None = None,
) -> NeuralNetRegressor:
    """Return an initialised skorch net around a `module` with the options `network`.

    `count` counts the right outputs of a batch, and those that could be, for the accuracies.
    With `start`, the network's :meth:`start_at` is told it, and untrained it is a candidate of
    early stopping. `patience` None means no early stopping. `momentum` and `weight_decay` go to
    an optimizer that has them. Call it within :func:`seeded`: the weights are drawn here.
    """
    optimizer = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    if not (isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)):
        raise TypeError(
            f"optimizer came as {optimizer!r}; expected one of {', '.join(OPTIMIZERS)}, or a "
            "subclass of torch.optim.Optimizer (the class, not an instance)."
        )
    takes = inspect.signature(optimizer).parameters
    options = {"momentum": momentum, "weight_decay": weight_decay}
    steps: list[tuple[str, Any]] = [("scores", _EpochScores(count))]
    if gradient_clip is not None:
        steps.append(("clip", _GradientClipping(gradient_clip)))
    if patience is not None:
        untrained = start is not None
        stopping = _EarlyStopping(untrained, patience=patience, threshold=0.0, load_best=True)
        steps.append(("early_stopping", stopping))
    if verbose:
        steps.append(("progress", _ProgressBar()))
    net = _Net(
        module,
        criterion=loss,
        optimizer=optimizer,
        lr=lr,
        batch_size=batch_size,
        iterator_train=Batches,
        iterator_train__shuffle=True,
        iterator_valid=Batches,
        iterator_valid__batch_size=max(batch_size, PREDICT_BATCH_SIZE),
        train_split=None,
        # Ours first: what an epoch scored is in the history when the user's callbacks look.
        callbacks=[*steps, *callbacks],
        callbacks__epoch_timer=None,
        callbacks__train_loss=None,
        callbacks__valid_loss=None,
        callbacks__print_log=None,
        verbose=0,
        device=str(device),
        **{f"module__{name}": value for name, value in network.items()},
        **{f"optimizer__{name}": value for name, value in options.items() if name in takes},
    )
    net.initialize()
    if start is not None:
        net.module_.start_at(torch.as_tensor(start, dtype=torch.float32))
    return net


def train(
    net: NeuralNetRegressor,
    dataset: RowsDataset,
    *,
    epochs: int,
    validation_fraction: float = 0.0,
) -> None:
    """Train `net` for up to `epochs` more passes over `dataset`, less its newest rows.

    `validation_fraction` of the rows is kept for validation; 0 keeps none.

    Raises
    ------
    FloatingPointError
        When the weights are no longer finite, so that every forecast would be NaN.
    """
    net.max_epochs = epochs
    net.train_split = NewestRows(validation_fraction) if validation_fraction else None
    try:
        net.partial_fit(dataset)
    finally:
        progress = dict(net.callbacks_).get("progress")
        if progress is not None:
            progress.stop()
    for epoch in net.history:
        epoch["batches"] = []
    net._set_training(False)
    if not all(bool(weight.isfinite().all()) for weight in net.module_.parameters()):
        raise FloatingPointError(
            f"training diverged: after {len(net.history)} epochs the weights are not finite. "
            f"Lower lr (now {net.lr}) or set gradient_clip."
        )


def kept_epoch(net: NeuralNetRegressor) -> int:
    """Return the epoch whose weights `net` has; 0 when the untrained ones did best."""
    stopping = dict(net.callbacks_).get("early_stopping")
    return int(getattr(stopping, "best_epoch_", len(net.history)))


def predict_windows(
    net: NeuralNetRegressor, X: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Return the standardised forecasts ``(n, outputs)`` of `net` for the windows `X`."""
    rows = np.arange(len(X))
    dataset = WindowDataset(X, torch.empty((len(X), 0)), rows, mean, scale, predict_dtype(net))
    return torch.cat(list(evaluate_batches(net, dataset))).numpy()


def predict_dtype(net: NeuralNetRegressor) -> torch.dtype:
    """Return double precision, or single where the device knows no other.

    In single precision, the last digits of a forecast would depend on which other rows are
    forecast with it.
    """
    return torch.float32 if net.device.startswith("mps") else torch.float64


def evaluate_batches(net: NeuralNetRegressor, dataset: RowsDataset) -> Iterator[Tensor]:
    """Yield what `net` puts out for each batch of `dataset`, computed by a copy of its network."""
    network = copy.deepcopy(net.module_).to(predict_dtype(net)).eval()
    with torch.inference_mode():
        for batch, _ in Batches(dataset, PREDICT_BATCH_SIZE):
            inputs = to_device(batch, net.device)
            output = network(**inputs) if isinstance(inputs, dict) else network(inputs)
            yield output.cpu()


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed drawn from `random_state`; None leaves NumPy's global state alone."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(check_random_state(random_state).randint(2**31))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for the block, and give it its own random state back afterwards."""
    cuda = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        # torch.manual_seed would also seed accelerators whose state is not given back.
        torch.random.default_generator.manual_seed(seed)
        for index in cuda:
            with torch.cuda.device(index):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[None]:
    """Let torch use `n_threads` threads in the block (None: as many as it does already)."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if n_threads is None else n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _warn_once(message: str) -> None:
    # Not warnings.warn: the default device must work where warnings are errors.
    logging.getLogger("sklearn_jobtime").warning(message)


def resolve_device(name: str) -> torch.device:
    """Return the device to use for `name`: the CPU, with one logged line, where there is no GPU.

    Raises
    ------
    ValueError
        When `name` is none that torch could compute on here.
    DeviceError
        When there are GPUs, but none of that number.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        name = "mps" if name == "cpu" and torch.backends.mps.is_available() else name
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(
            f"unknown device {name!r}; expected 'cuda', 'cuda:<number>', 'mps', 'cpu' or 'auto'."
        )
    present = {"cpu": True, "cuda": torch.cuda.is_available()}
    if not present.get(device.type, torch.backends.mps.is_available()):
        _warn_once(f"no {device.type} device on this machine; the CPU is used.")
        return torch.device("cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name!r} does not exist: this machine has {torch.cuda.device_count()} CUDA "
            "device(s), numbered from 0; use one of these, or 'cuda' for the first."
        )
    return device


def moved_to(net: NeuralNetRegressor, device: torch.device) -> NeuralNetRegressor:
    """Move weights, loss and optimizer state of `net` to `device`, in place, and return it."""
    net.device = str(device)
    net.module_.to(device)
    net.criterion_.to(device)
    # load_state_dict casts the state to the device of the weights it belongs to.
    net.optimizer_.load_state_dict(net.optimizer_.state_dict())
    return net


def cpu_copy(net: NeuralNetRegressor) -> NeuralNetRegressor:
    """Return `net` with its weights on the CPU, where any machine can load it; `net` stays."""
    twin = object.__new__(type(net))
    # In one deepcopy, so that the copied optimizer holds the weights of the copied module.
    own = {name: vars(net)[name] for name in ("module_", "criterion_", "optimizer_")}
    vars(twin).update(vars(net), **copy.deepcopy(own))
    return moved_to(twin, torch.device("cpu"))


class StoredOnCPU(BaseEstimator):
    """An estimator with a `net_` on a `device_`, whose pickle any machine can load.

    A machine without a GPU could not read weights stored on one: they are stored on the CPU, and
    go to the device that the estimator asks for when loaded, where there is one.
    """

    device: str

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "net_" in state and state["device_"].type != "cpu":
            state["net_"] = cpu_copy(state["net_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "net_" in state:
            try:
                self.device_ = resolve_device(self.device)
            except DeviceError:
                self.device_ = torch.device("cpu")
            moved_to(state["net_"], self.device_)
