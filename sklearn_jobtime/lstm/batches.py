"""Rows of windows and targets, split in time and cut into batches without copying them whole."""

import copy
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from sklearn_jobtime._typing import Ints
from sklearn_jobtime.lstm.losses import BatchTargets
from sklearn_jobtime.lstm.window_inputs import INPUT_BOUND

__all__ = [
    "Batches",
    "NewestRows",
    "RowsDataset",
    "WindowDataset",
]


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
        super().__init__(rows)
        self.X, self.y, self.dtype = X, y, dtype
        self.at_least, self.weight = at_least, weight
        self.mean, self.scale = torch.as_tensor(mean), torch.as_tensor(scale)
        self.mean_weight = self._mean_weight()

    def __getitem__(self, index: Any) -> tuple[Tensor, BatchTargets]:
        rows = self.rows[index]
        return self._inputs(rows), self._targets(torch.from_numpy(rows))

    def _inputs(self, rows: np.ndarray) -> Tensor:
        # NumPy's indexing copies these rows only, where numpy.take would copy the view whole.
        batch = torch.from_numpy(np.ascontiguousarray(self.X[rows]))
        batch.sub_(self.mean).div_(self.scale)
        batch.nan_to_num_(0.0).clamp_(-INPUT_BOUND, INPUT_BOUND)
        return batch.to(self.dtype)

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
        weight = torch.ones(len(y)) if self.weight is None else self.weight[rows]
        return y, at_least, (weight / self.mean_weight).to(y.dtype)[:, None]

    def _mean_weight(self) -> float:
        if self.weight is None:
            return 1.0
        rows = torch.from_numpy(self.rows)
        known = ~self.y[rows].isnan()
        if self.at_least is not None:
            known |= ~self.at_least[rows].isnan()
        n_known = known.sum(dim=1)
        return float((self.weight[rows] * n_known).sum() / n_known.sum())


class Batches:
    """Batches as slices of the rows: a torch ``DataLoader`` would fetch and stack row by row.

    With `generator` they are drawn in an order of its own; without, the rows come as they are.
    """

    def __init__(
        self, dataset: RowsDataset, batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.dataset, self.batch_size, self.generator = dataset, batch_size, generator

    def order(self, n: int) -> Ints:
        """Return the order of `n` rows."""
        if self.generator is None:
            return np.arange(n)
        return torch.randperm(n, generator=self.generator).numpy()

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        n = len(self.dataset)
        order = self.order(n)
        for start in range(0, n, self.batch_size):
            x, y = self.dataset[order[start : start + self.batch_size]]
            # A net that is called by itself has datasets of arrays.
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
