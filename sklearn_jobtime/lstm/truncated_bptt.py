"""Truncated back-propagation through time: series are read in chunks, and a state goes along."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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

    def counted(self) -> NDArray[np.bool_]:
        """Tell which of all rows count."""
        counted = np.zeros(len(self.X), dtype=bool)
        counted[self.rows] = True
        return counted

    def inputs(self, rows: Rows) -> Tensor:
        """Return the inputs of a chunk, ``(n_series, steps, n_features)``."""
        return self._inputs(rows.ravel()).view(*rows.shape, -1)

    def targets(self, rows: Rows, counted: NDArray[np.bool_]) -> BatchTargets:
        """Return the targets of a chunk, one row a step; NaN where it does not count."""
        flat = rows.ravel()
        targets = self._targets(torch.from_numpy(flat))
        hidden = torch.from_numpy((flat < 0) | ~counted[flat])[:, None]
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

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], BatchTargets]]:
        dataset: Any = self.dataset
        counted = dataset.counted()
        # What follows the last row that counts is not read.
        rows_by_series = [
            rows[: np.flatnonzero(counted[rows]).max(initial=-1) + 1]
            for rows in dataset.rows_by_series
        ]
        rows_by_series = [rows for rows in rows_by_series if len(rows)]
        n = len(rows_by_series)
        order = self.order(n).tolist()
        for first in range(0, n, self.batch_size):
            group = [rows_by_series[k] for k in order[first : first + self.batch_size]]
            group.sort(key=len, reverse=True)
            for position, (rows, _) in enumerate(chunks_of(group, self.n_steps)):
                begins = torch.full((len(rows),), position == 0)
                batch = {"x": dataset.inputs(rows), "begins": begins}
                yield batch, dataset.targets(rows, counted)


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

    def forward(self, x: Tensor, begins: Tensor | None = None) -> Tensor:
        """Forecast at every step of the chunks `x`, ``(n_series, steps, features)``.

        `begins`, ``(n_series,)``, tells whether these are the first chunks of their series; None
        says that they are.

        Returns
        -------
        Tensor of shape (n_series * steps, n_outputs)
        """
        state = None if begins is None or bool(begins[0]) else state_of_first(self.state, len(x))
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
