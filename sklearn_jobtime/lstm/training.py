"""Training of a network with skorch, on a device that is there, with seeds of its own.

Only this file and its callbacks know skorch. It takes windows and targets as they are, and draws
from generators of its own.
"""

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch import NeuralNetRegressor
from skorch.utils import to_device, to_tensor
from torch import Tensor, nn

from sklearn_jobtime.exceptions import DeviceError
from sklearn_jobtime.lstm import names
from sklearn_jobtime.lstm.batches import Batches, NewestRows, RowsDataset, WindowDataset
from sklearn_jobtime.lstm.callbacks import (
    Count,
    EarlyStopping,
    EpochScores,
    GradientClipping,
    ProgressBar,
    TensorBoard,
)
from sklearn_jobtime.lstm.dropout import drawing_from

__all__ = [
    "HISTORY",
    "OPTIMIZERS",
    "TrainingOptions",
    "build_net",
    "draw_seed",
    "evaluate_batches",
    "kept_epoch",
    "optimizer_class",
    "predict_dtype",
    "predict_windows",
    "resolve_device",
    "train",
]


# What an epoch records, as the columns of an estimator's `training_history_`.
HISTORY = ["epoch", "train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "seconds"]

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    name: getattr(torch.optim, torch_name) for name, torch_name in names.OPTIMIZERS.items()
}

# torch does their step for all weights in one call, if asked, on these devices. For a network this
# small that takes a quarter of the time.
FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
FUSED_DEVICES = ("cpu", "cuda")

# Nothing is learned from these batches, so they may be large; small enough to stay in the cache.
PREDICT_BATCH_SIZE = 1024


class _Net(NeuralNetRegressor):
    """skorch's net, but it tells the modules of training only when that changes, not each step.

    Its inputs may be in double precision, as arrays are. The losses of the batches are tensors in
    its history until the epoch ends: to read one, a GPU has to finish all that it was told.
    """

    def infer(self, x: Any, **fit_params: Any) -> Any:
        if isinstance(x, Mapping):  # what is no tensor stays as it is
            parts = {
                name: part if isinstance(part, bool) else to_tensor(part, self.device)
                for name, part in x.items()
            }
            return self.module_(**parts, **fit_params)
        if isinstance(x, np.ndarray | Tensor):
            x = torch.as_tensor(x).to(next(self.module_.parameters()).dtype)
        return super().infer(x, **fit_params)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        if iterator is None:
            return
        loss, n_batches = f"{prefix}_loss", 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            self.history.record_batch(loss, step["loss"].detach())
            self.history.record_batch(f"{prefix}_batch_size", len(step["y_pred"]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
            n_batches += 1
        self.history.record(f"{prefix}_batch_count", n_batches)
        batches = [one for one in self.history[-1]["batches"] if loss in one]
        if batches:
            losses = torch.stack([one[loss] for one in batches]).tolist()
            for one, value in zip(batches, losses, strict=True):
                one[loss] = value

    def _set_training(self, training: bool = True) -> None:
        if self.module_.training != training:
            super()._set_training(training)


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained.

    Parameters
    ----------
    optimizer : name in `OPTIMIZERS` or torch optimizer class
    lr : float
        Learning rate.
    momentum, weight_decay : float
        For the optimizers that have them.
    batch_size : int
        Rows in a step of training.
    gradient_clip : float or None
        Largest norm of a step's gradient; None does not clip.
    patience : int or None
        Epochs without a better validation loss before training stops; None: no early stopping.
    device : torch.device
        Where to train.
    callbacks : sequence of skorch callbacks
        Those of the user.
    verbose : int
        1 shows a progress bar.
    log_folder : Path or None
        Where the training is logged for TensorBoard; None does not log.
    """

    optimizer: str | type[torch.optim.Optimizer]
    lr: float
    momentum: float
    weight_decay: float
    batch_size: int
    gradient_clip: float | None
    patience: int | None
    device: torch.device
    callbacks: Sequence[Any]
    verbose: int
    log_folder: Path | None = None

    def optimizer_and_its_options(self) -> tuple[type[torch.optim.Optimizer], dict[str, float]]:
        """Return the class of the optimizer, and of `momentum` and `weight_decay` what it has.

        Where torch can, it is told to step in one call.
        """
        optimizer = optimizer_class(self.optimizer)
        has = inspect.signature(optimizer).parameters
        options = {"momentum": self.momentum, "weight_decay": self.weight_decay}
        if optimizer in FUSED and self.device.type in FUSED_DEVICES:
            options["fused"] = True
        return optimizer, {name: value for name, value in options.items() if name in has}

    def all_callbacks(self, count: Count, untrained_counts: bool) -> list[Any]:
        """Return the callbacks of training, those of the user among them.

        They look when the scores of an epoch are recorded already, and what they add is there when
        the epoch is logged.
        """
        first: list[tuple[str, Any]] = [("scores", EpochScores(count))]
        if self.gradient_clip is not None:
            first.append(("clip", GradientClipping(self.gradient_clip)))
        if self.patience is not None:
            stopping = EarlyStopping(
                untrained_counts, count, patience=self.patience, threshold=0.0, load_best=True
            )
            first.append(("early_stopping", stopping))
        if self.verbose:
            first.append(("progress", ProgressBar()))
        folder = self.log_folder
        last = [] if folder is None else [("tensorboard", TensorBoard(folder))]
        return [*first, *self.callbacks, *last]


def optimizer_class(optimizer: str | type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """Return the torch class of a name of `OPTIMIZERS`, or the class that was given.

    Raises
    ------
    TypeError
        When it is neither.
    """
    found = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise TypeError(
            f"optimizer came as {optimizer!r}; expected one of {', '.join(OPTIMIZERS)}, or a "
            "subclass of torch.optim.Optimizer (the class, not an instance)."
        )
    return found


def build_net(
    module: type[nn.Module],
    network: dict[str, Any],
    *,
    loss: nn.Module,
    count: Count,
    options: TrainingOptions,
    start: np.ndarray | None = None,
) -> NeuralNetRegressor:
    """Return an initialised skorch net around a `module` with the options `network`.

    Parameters
    ----------
    module : torch module class
    network : dict
        Options of the module.
    loss : torch module
        What training minimises.
    count : callable
        Counts the right outputs of a batch, and those that could be, for the accuracies.
    options : TrainingOptions
    start : ndarray of shape (n_outputs,) or None, default=None
        What the untrained network forecasts, whatever it reads; these weights then are a candidate
        of early stopping as those of each epoch are. None leaves the weights as drawn.

    Returns
    -------
    skorch.NeuralNetRegressor
    """
    optimizer, optimizer_options = options.optimizer_and_its_options()
    net = _Net(
        module,
        criterion=loss,
        optimizer=optimizer,
        lr=options.lr,
        batch_size=options.batch_size,
        iterator_train=Batches,
        iterator_valid=Batches,
        iterator_valid__batch_size=max(options.batch_size, PREDICT_BATCH_SIZE),
        train_split=None,
        callbacks=options.all_callbacks(count, untrained_counts=start is not None),
        callbacks__epoch_timer=None,
        callbacks__train_loss=None,
        callbacks__valid_loss=None,
        callbacks__print_log=None,
        verbose=0,
        device=str(options.device),
        **{f"module__{name}": value for name, value in network.items()},
        **{f"optimizer__{name}": value for name, value in optimizer_options.items()},
    )
    net.initialize()
    net.module_.float()  # torch's default dtype may be another one
    if start is not None:
        net.module_.start_at(torch.as_tensor(start, dtype=torch.float32))
    return net


def train(
    net: NeuralNetRegressor,
    dataset: RowsDataset,
    *,
    epochs: int,
    seed: int,
    validation_fraction: float = 0.0,
) -> None:
    """Train `net` for up to `epochs` more passes over `dataset`, less its newest rows.

    `validation_fraction` of the rows is kept for validation; 0 keeps none. The batches and the
    dropout masks are drawn from `seed`.

    Raises
    ------
    FloatingPointError
        When the weights are no longer finite, so that every forecast would be NaN.
    """
    net.max_epochs = epochs
    net.train_split = NewestRows(validation_fraction) if validation_fraction else None
    try:
        with drawing(net, seed):
            net.partial_fit(dataset.on(torch.device(net.device)))
    finally:
        net.train_split = None
        for name, callback in net.callbacks_:
            if name in ("progress", "tensorboard"):
                callback.stop()
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
    network: nn.Module,
    device: torch.device,
    X: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """Return the standardised forecasts ``(n, outputs)`` of `network` for the windows `X`."""
    rows = np.arange(len(X))
    dataset = WindowDataset(X, torch.empty((len(X), 0)), rows, mean, scale, predict_dtype(device))
    return torch.cat(list(evaluate_batches(network, device, dataset.on(device)))).numpy()


def predict_dtype(device: torch.device) -> torch.dtype:
    """Return double precision, or single where the device knows no other.

    In single precision, the last digits of a forecast would depend on which other rows are
    forecast with it.
    """
    return torch.float32 if device.type == "mps" else torch.float64


def evaluate_batches(
    network: nn.Module, device: torch.device, dataset: RowsDataset
) -> Iterator[Tensor]:
    """Yield what `network` puts out for each batch of `dataset`."""
    with torch.inference_mode():
        for batch, _ in Batches(dataset, PREDICT_BATCH_SIZE):
            inputs = to_device(batch, device)
            output = network(**inputs) if isinstance(inputs, dict) else network(inputs)
            yield output.cpu()


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed drawn from `random_state`; None leaves NumPy's global state alone."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(check_random_state(random_state).randint(2**31))


@contextmanager
def drawing(net: NeuralNetRegressor, seed: int) -> Iterator[None]:
    """Let `net` draw the order of its batches and its dropout masks from `seed` in the block."""
    device = torch.device(net.device)
    masks = torch.Generator(device).manual_seed(seed)
    order = masks if device.type == "cpu" else torch.Generator().manual_seed(seed)
    iterator = net.iterator_train
    net.iterator_train = partial(iterator, generator=order)
    try:
        with drawing_from(net.module_, masks):
            yield
    finally:
        net.iterator_train = iterator


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
