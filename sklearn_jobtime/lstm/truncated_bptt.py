"""Truncated back-propagation through time: series are read in chunks, and a state goes along."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.lstm.batches import Batches, WindowDataset
from sklearn_jobtime.lstm.losses import BatchTargets
from sklearn_jobtime.lstm.network import LSTMEnsemble, LSTMNetwork, State
from sklearn_jobtime.lstm.series_chunks import READ_STEPS, chunks_of, rows_of_series

__all__ = [
    "Chunks",
    "SeriesDataset",
    "TruncatedBPTT",
    "chunked_training",
]


def state_of_first(state: State | None, n: int) -> State | None:
    """Return the state of the first `n` series: those that have ended were the last ones."""
    if state is None:
        return None
    hidden, cell = state
    return hidden[:, :n].contiguous(), cell[:, :n].contiguous()


class SeriesDataset(WindowDataset):
    """Steps of one or more series, of which `rows` count; all others only change the state.

    Parameters
    ----------
    X : ndarray of shape (n, 1, n_features)
        The steps, those of each series in order of time.
    series : ndarray of int, shape (n,)
        Code of the series of each row.
    *args, **kwargs
        As for :class:`WindowDataset`.
    """

    def __init__(self, X: Floats, *args: Any, series: Rows, **kwargs: Any) -> None:
        super().__init__(X, *args, **kwargs)
        self.rows_by_series = rows_of_series(series)

    def counted(self) -> Tensor:
        """Tell which of all rows count."""
        counted = torch.zeros(self.shape[0], dtype=torch.bool, device=self.device)
        counted[self.rows] = True
        return counted

    def inputs(self, rows: Tensor) -> Tensor:
        """Return the inputs of a chunk, ``(n_series, steps, n_features)``."""
        return self._inputs(rows.flatten()).view(*rows.shape, -1)

    def targets(self, rows: Tensor, counted: Tensor) -> BatchTargets:
        """Return the targets of a chunk, one row a step; NaN where it does not count."""
        flat = rows.flatten()
        targets = self._targets(flat)
        hidden = ((flat < 0) | ~counted[flat])[:, None]
        if isinstance(targets, Tensor):
            return targets.masked_fill(hidden, torch.nan)
        y, at_least, weight = targets
        return y.masked_fill(hidden, torch.nan), at_least.masked_fill(hidden, torch.nan), weight


class Chunks(Batches):
    """Chunks of `batch_size` series side by side, in order of time; a generator mixes the series.

    A batch tells the network whether it begins new series or goes on with those of the last one.
    """

    def __init__(
        self,
        dataset: SeriesDataset,
        batch_size: int,
        generator: torch.Generator | None = None,
        *,
        n_steps: int,
    ) -> None:
        super().__init__(dataset, batch_size, generator)
        self.n_steps = n_steps
        counted = dataset.counted()
        self.counted = counted
        of_row = counted.cpu().numpy()
        # What follows the last row that counts is not read.
        rows_by_series = [
            rows[: np.flatnonzero(of_row[rows]).max(initial=-1) + 1]
            for rows in dataset.rows_by_series
        ]
        self.rows_by_series = [rows for rows in rows_by_series if len(rows)]

    def chunks(self) -> list[tuple[bool, Rows]]:
        """Return the rows of the batches of an epoch, and whether each begins new series."""
        order = self.order(len(self.rows_by_series)).tolist()
        chunks = []
        for first in range(0, len(order), self.batch_size):
            group = [self.rows_by_series[k] for k in order[first : first + self.batch_size]]
            group.sort(key=len, reverse=True)
            for position, (rows, _) in enumerate(chunks_of(group, self.n_steps)):
                chunks.append((position == 0, rows))
        return chunks

    def __iter__(self) -> Iterator[tuple[dict[str, Any], BatchTargets]]:
        dataset: Any = self.dataset
        chunks = self.chunks()
        if not chunks:
            return
        # All of an epoch go to the device at once.
        flat = torch.from_numpy(np.concatenate([rows.ravel() for _, rows in chunks]))
        parts = flat.to(dataset.device).split([rows.size for _, rows in chunks])
        for (begins, like), part in zip(chunks, parts, strict=True):
            rows = part.view(like.shape)
            batch = {"x": dataset.inputs(rows), "begins": begins}
            yield batch, dataset.targets(rows, self.counted)


class TruncatedBPTT(nn.Module):
    """A network trained by truncated back-propagation through time.

    It starts each chunk of a series from the state behind the chunk before. That state is passed on
    without its gradient, so errors are propagated back to the start of a chunk only [1]_.

    Parameters
    ----------
    network : LSTMNetwork or LSTMEnsemble
        What is trained.

    References
    ----------
    .. [1] R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training
       of recurrent network trajectories", Neural Computation 2 (1990).
    """

    def __init__(self, network: LSTMNetwork | LSTMEnsemble) -> None:
        super().__init__()
        self.network = network
        self.state: State | None = None

    def forward(self, x: Tensor, begins: bool = True) -> Tensor:
        """Forecast at every step of the chunks `x`, ``(n_series, steps, features)``.

        `begins` tells whether these are the first chunks of their series.

        Returns
        -------
        Tensor of shape (n_series * steps, n_outputs)
        """
        state = None if begins else state_of_first(self.state, len(x))
        outputs, (hidden, cell) = self.network.forecast_each_step(x, state)
        self.state = hidden.detach(), cell.detach()
        return outputs.flatten(0, 1)


@contextmanager
def chunked_training(net: Any, n_steps: int) -> Iterator[None]:
    """Let a skorch `net` train on a :class:`SeriesDataset` in chunks of `n_steps`, in the block.

    The errors of a chunk are propagated back to its start.
    """
    network, iterators = net.module_, (net.iterator_train, net.iterator_valid)
    net.module_ = TruncatedBPTT(network)
    net.iterator_train = partial(Chunks, n_steps=n_steps)
    net.iterator_valid = partial(Chunks, n_steps=READ_STEPS)
    try:
        yield
    finally:
        net.module_ = network
        net.iterator_train, net.iterator_valid = iterators
