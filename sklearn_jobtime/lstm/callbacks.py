"""What happens in each step and epoch of training beside the step itself, as skorch callbacks."""

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from skorch import callbacks as skorch_callbacks
from torch import Tensor, nn

from sklearn_jobtime._typing import Floats

__all__ = [
    "Count",
    "EarlyStopping",
    "EpochScores",
    "GradientClipping",
    "ProgressBar",
    "TensorBoard",
    "new_log_folder",
]


USUAL_STEPS = 8  # of an epoch: no fewer epochs are waited for where it has no more
LEAST_PATIENCE = 4

# Counts the outputs of a batch that are right, and those that could be: those observed. Both are
# tensors where the batch is, since to read a number from a GPU is to wait for it.
Count = Callable[[Tensor, Any], tuple[Tensor, Tensor]]


def read_scores(scores: Sequence[tuple[Tensor, ...]]) -> Floats:
    """Return numbers ``(k, n)`` of n batches with k scores each, read from the device at once."""
    if not scores:
        return np.zeros((3, 0))
    columns = [torch.stack(one).cpu().double() for one in zip(*scores, strict=True)]
    return torch.stack(columns).numpy()


class EpochScores(skorch_callbacks.Callback):
    """Records an epoch's losses, whether they are the best so far, its accuracies, its seconds.

    The averages are over observed targets; skorch's own are over rows. Its callbacks read them
    under the same names, such as ``valid_loss_best`` of ``Checkpoint``.
    """

    scores_: dict[str, list[tuple[Tensor, ...]]]

    def __init__(self, count: Count) -> None:
        self.count = count

    def on_train_begin(self, net: Any, **_kwargs: Any) -> None:
        self.best_ = {"train": np.inf, "valid": np.inf}
        self._move_count(net.device)

    def on_train_end(self, _net: Any, **_kwargs: Any) -> None:
        self._move_count("cpu")  # where any machine can load it
        self.scores_ = {}

    def _move_count(self, device: str) -> None:
        if isinstance(self.count, nn.Module):
            self.count.to(device)

    def on_epoch_begin(self, _net: Any, **_kwargs: Any) -> None:
        self.began_ = time.perf_counter()
        self.scores_ = {"train": [], "valid": []}

    def on_batch_end(
        self,
        _net: Any,
        batch: Any = None,
        training: bool = False,
        loss: Any = None,
        y_pred: Any = None,
        **_kwargs: Any,
    ) -> None:
        scores = self.scores_["train" if training else "valid"]
        scores.append((loss.detach(), *self.count(y_pred.detach(), batch[1])))

    def on_epoch_end(self, net: Any, **_kwargs: Any) -> None:
        for part, scores in self.scores_.items():
            losses, rights, counts = read_scores(scores)
            observed = counts.sum()
            loss = float(losses @ counts / observed) if observed else np.nan
            net.history.record(f"{part}_loss", loss)
            if observed:  # where nothing was validated, Checkpoint says that it needs that
                net.history.record(f"{part}_loss_best", bool(loss < self.best_[part]))
                self.best_[part] = min(self.best_[part], loss)
            accuracy = float(rights.sum() / observed) if observed else np.nan
            net.history.record(f"{part}_accuracy", accuracy)
        net.history.record("seconds", time.perf_counter() - self.began_)


class GradientClipping(skorch_callbacks.Callback):
    """Clips the norm of a step's gradient; skorch's own looks for the weights at each step.

    The norm is that of one vector: for a network this small, a norm a weight takes three times as
    long.
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def on_train_begin(self, net: Any, **_kwargs: Any) -> None:
        self.weights_ = [weight for _, weight in net.get_all_learnable_params()]

    def on_grad_computed(self, _net: Any, **_kwargs: Any) -> None:
        gradients = [weight.grad for weight in self.weights_ if weight.grad is not None]
        if gradients:
            norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
            nn.utils.clip_grads_with_norm_(self.weights_, self.max_norm, norm)

    def on_train_end(self, _net: Any, **_kwargs: Any) -> None:
        self.weights_ = []  # a pickle would hold them twice


def bounded_patience(patience: int, n_steps: int) -> int:
    """Epochs to wait for a better one, where an epoch is `n_steps` steps.

    On short histories an epoch is a step or two, and a network needs many of them to come to
    something; on long ones a few epochs show that it only gets worse.

    Examples
    --------
    >>> [bounded_patience(15, n_steps) for n_steps in (2, 8, 16, 100)], bounded_patience(3, 100)
    ([15, 15, 8, 4], 3)
    """
    return min(patience, max(LEAST_PATIENCE, -(-patience * USUAL_STEPS // n_steps)))


class EarlyStopping(skorch_callbacks.EarlyStopping):
    """skorch's early stopping, idle where there are no validation rows.

    With `untrained`, the weights before the first epoch are a candidate like all others, and the
    patience is that of :func:`bounded_patience`.
    """

    patience: int
    dynamic_threshold_: float
    best_model_weights_: dict[str, Tensor] | None

    def __init__(self, untrained: bool, count: Count, **options: Any) -> None:
        super().__init__(**options)
        self.untrained, self.count = untrained, count
        self.most_epochs = self.patience

    def on_epoch_begin(self, net: Any, dataset_valid: Any = None, **_kwargs: Any) -> None:
        if not self.untrained or dataset_valid is None or self.best_model_weights_ is not None:
            return
        if np.isfinite(self.dynamic_threshold_):
            return
        scores = []
        for batch in net.get_iterator(dataset_valid):
            step = net.validation_step(batch)
            scores.append((step["loss"], self.count(step["y_pred"], batch[1])[1]))
        loss, observed = read_scores(scores)
        self.dynamic_threshold_ = float(np.average(loss, weights=observed))
        self.best_epoch_ = 0
        self.best_model_weights_ = copy.deepcopy(net.module_.state_dict())

    def on_epoch_end(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        if dataset_valid is None:
            return
        if self.untrained:
            n_steps = -(-len(dataset_train) // net.batch_size)
            self.patience = bounded_patience(self.most_epochs, n_steps)
        super().on_epoch_end(net, **kwargs)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        super().on_train_end(net, **kwargs)
        if self.best_model_weights_ is None:  # it was idle: the newest weights are in use
            self.best_epoch_ = len(net.history)
        self.best_model_weights_ = None


class ProgressBar(skorch_callbacks.Callback):
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
            if np.isfinite(newest[f"{part}_loss"])  # no validation row may have been observed
        )
        if self.bar_ is not None:
            self.bar_.update(self.task_, advance=1, description=scores)

    def stop(self) -> None:
        if self.bar_ is not None:
            self.bar_.stop()
        self.bar_ = None


def new_log_folder(log_dir: str | Path) -> Path:
    """Make the next of the folders ``fit-1``, ``fit-2``, ... in `log_dir`: one for each fit.

    TensorBoard takes each folder for a curve, so the fits of a search can be compared. Fits in
    other processes get folders of their own.

    Raises
    ------
    ImportError
        When TensorBoard is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401  an extra, slow to load
    except ImportError:
        raise ImportError(
            "log_dir is written with TensorBoard, which is not installed; run "
            "pip install 'sklearn-jobtime[tensorboard]', or leave log_dir=None."
        ) from None
    for number in count(1):
        folder = Path(log_dir, f"fit-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")


class TensorBoard(skorch_callbacks.TensorBoard):
    """skorch's log for TensorBoard, with the network's graph and the weights of every epoch."""

    writer: Any

    def __init__(self, folder: Path) -> None:
        # The writer holds an open file and a thread: it lives in training only.
        super().__init__(writer=None, key_mapper=self.tag_of)
        self.folder = folder

    @staticmethod
    def tag_of(key: str) -> str:
        """Turn ``train_loss`` into ``loss/train``, so that train and valid share a chart."""
        part, _, score = key.partition("_")
        return f"{score}/{part}" if part in ("train", "valid") else key

    def on_train_begin(self, net: Any, X: Any = None, **_kwargs: Any) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(self.folder)
        if len(net.history):
            return
        windows, _ = X[torch.zeros(1, dtype=torch.long, device=X.device)]
        with warnings.catch_warnings():
            # torch's own way to the graph; until SummaryWriter.add_graph goes without it.
            warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
            # It warns that a trace holds for inputs of one shape; this one is drawn, not run.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            self.writer.add_graph(net.module_, windows)

    def add_scalar_maybe(self, history: Any, key: str, tag: str, global_step: Any = None) -> None:
        if not np.isnan(history[-1, key]):
            super().add_scalar_maybe(history, key, tag, global_step)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        for name, weight in net.module_.named_parameters():
            self.writer.add_histogram(name, weight.detach().cpu(), net.history[-1, "epoch"])
        super().on_epoch_end(net, **kwargs)

    def stop(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.writer = None
