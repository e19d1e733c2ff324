"""Rows of windows and targets, split in time and cut into batches without copying them whole."""

import copy
import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from sklearn_jobtime.lstm.losses import BatchTargets
from sklearn_jobtime.lstm.window_inputs import INPUT_BOUND

__all__ = [
    "Batches",
    "NewestRows",
    "RowsDataset",
    "WindowDataset",
    "table_under",
]


class RowsDataset(torch.utils.data.Dataset):
    """Some rows of inputs and targets; an index that is an array gives a batch.

    Parameters
    ----------
    rows : ndarray or Tensor of int
        The rows that belong to the dataset.
    """

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, part: slice) -> Self:
        """Return the dataset of a slice of the rows; inputs and targets are shared."""
        subset = copy.copy(self)
        subset.rows = self.rows[part]
        return subset

    def on(self, _device: torch.device) -> Self:
        """Return the dataset with all it holds on a device, if it can; here its batches are."""
        return self


# Rows of a table that are standardised at once: so that no second table is needed in between.
READ_ROWS = 4096


def table_under(X: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the table that windows are views on, and its rows from window to window and step.

    Parameters
    ----------
    X : ndarray of shape (n, n_steps, n_features)

    Returns
    -------
    table : ndarray of shape (n_rows, n_features)
        A view where that is not larger than `X`, else a copy of `X`.
    per_window, per_step : int
        ``X[i, j]`` is the row ``i * per_window + j * per_step`` of the table.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.batches import table_under
    >>> X = np.lib.stride_tricks.sliding_window_view(np.arange(5.0), 3)[:, :, None]
    >>> table, rows = table_under(X)
    >>> table.ravel(), rows
    (array([0., 1., 2., 3., 4.]), (1, 1))
    """
    n, n_steps, n_features = X.shape
    # Along an axis of length 1 a stride may be anything.
    window, step = (X.strides[axis] if X.shape[axis] > 1 else 0 for axis in (0, 1))
    row = math.gcd(window, step)
    n_rows = 1 + ((n - 1) * window + (n_steps - 1) * step) // row if row else 1
    if not X.size or window < 0 or step < 0 or n_rows > n * n_steps:
        return np.ascontiguousarray(X).reshape(n * n_steps, n_features), (n_steps, 1)
    table = np.lib.stride_tricks.as_strided(
        X, (n_rows, n_features), (row, X.strides[2]), writeable=False
    )
    return table, (window // row, step // row) if row else (0, 0)


class WindowDataset(RowsDataset):
    """Some rows of the windows, standardised, on the device where they are read.

    Only the table under the windows is standardised and moved, once: a batch is gathered from it by
    the rows' numbers. So windows are never copied whole, nor does a batch pass through NumPy.

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
    at_least : Tensor of shape (n, n_outputs) or None, default=None
        Standardised lower bounds of right-censored runs, NaN elsewhere.
    weight : Tensor of shape (n,) or None, default=None
        Weights of the rows. A batch has them relative to the mean over all targets of the rows.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: Tensor,
        rows: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray,
        dtype: torch.dtype = torch.float32,
        at_least: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(torch.from_numpy(rows))
        self.shape, self.dtype = X.shape, dtype
        self.y, self.at_least, self.weight = y, at_least, weight
        table, self.steps = table_under(X)
        self.table = torch.empty(table.shape, dtype=dtype)
        for start in range(0, len(table), READ_ROWS):
            part = slice(start, start + READ_ROWS)
            some = torch.from_numpy(np.array(table[part]))
            some.sub_(torch.as_tensor(mean)).div_(torch.as_tensor(scale))
            self.table[part] = some.nan_to_num_(0.0).clamp_(-INPUT_BOUND, INPUT_BOUND)
        self.mean_weight = self._mean_weight()

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.table.device

    def on(self, device: torch.device) -> Self:
        """Return the dataset with all it holds on a device."""
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        return moved

    def __getitem__(self, index: Tensor) -> tuple[Tensor, BatchTargets]:
        rows = self.rows[index]
        return self._inputs(rows), self._targets(rows)

    def _inputs(self, rows: Tensor) -> Tensor:
        width, (per_window, per_step) = self.table.shape[1], self.steps
        windows = self.table.as_strided(self.shape, (per_window * width, per_step * width, 1))
        return windows[rows]

    def subset(self, part: slice) -> Self:
        """Return the dataset of a slice of the rows, weighed among themselves."""
        subset = super().subset(part)
        subset.mean_weight = subset._mean_weight()
        return subset

    def _targets(self, rows: Tensor) -> BatchTargets:
        y = self.y[rows]
        if self.at_least is None and self.weight is None:
            return y
        at_least = torch.full_like(y, torch.nan) if self.at_least is None else self.at_least[rows]
        weight = y.new_ones(len(y)) if self.weight is None else self.weight[rows]
        return y, at_least, (weight / self.mean_weight).to(y.dtype)[:, None]

    def _mean_weight(self) -> float:
        if self.weight is None:
            return 1.0
        known = ~self.y[self.rows].isnan()
        if self.at_least is not None:
            known |= ~self.at_least[self.rows].isnan()
        n_known = known.sum(dim=1)
        return float((self.weight[self.rows] * n_known).sum() / n_known.sum())


class Batches:
    """Batches as slices of the rows: a torch ``DataLoader`` would fetch and stack row by row.

    With `generator` they are drawn in an order of its own; without, the rows come as they are. The
    order is drawn on the CPU, so that a seed gives the same one for every device.
    """

    def __init__(
        self, dataset: RowsDataset, batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.dataset, self.batch_size, self.generator = dataset, batch_size, generator

    def order(self, n: int) -> Tensor:
        """Return the order of `n` rows."""
        if self.generator is None:
            return torch.arange(n)
        return torch.randperm(n, generator=self.generator)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        order: Any = self.order(len(self.dataset))
        if isinstance(self.dataset, WindowDataset):
            order = order.to(self.dataset.device)
        else:  # sequences of events, or arrays that are given to a net by itself
            order = order.numpy()
        for start in range(0, len(order), self.batch_size):
            x, y = self.dataset[order[start : start + self.batch_size]]
            yield x, torch.as_tensor(y) if isinstance(y, np.ndarray) else y


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
