"""Dropout whose masks come from a generator of the fit's own, not from torch's only global one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DrawsMasks", "Dropout", "SpatialDropout", "drawing_from", "dropout"]


class DrawsMasks(nn.Module):
    """A module that draws in training: from `generator`, or where that is None as torch does."""

    generator: torch.Generator | None = None


@contextmanager
def drawing_from(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Let every module of `network` draw from `generator` in the block."""
    layers = [layer for layer in network.modules() if isinstance(layer, DrawsMasks)]
    for layer in layers:
        layer.generator = generator
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = None


def dropout(
    x: Tensor, share: float, training: bool, generator: torch.Generator | None = None
) -> Tensor:
    """Set a share of the values to zero and scale the others up, as torch's function does.

    That one has no generator. With one in the same state as torch's, both draw the same masks on
    the CPU.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm.dropout import dropout
    >>> generator = torch.Generator().manual_seed(0)
    >>> dropout(torch.ones(6), 0.5, True, generator).unique()
    tensor([0., 2.])
    """
    if not training or not share:
        return x
    if generator is None:
        return functional.dropout(x, share)
    kept = torch.empty_like(x).bernoulli_(1 - share, generator=generator)
    return x * kept.div_(1 - share)


class Dropout(nn.Dropout, DrawsMasks):
    """``torch.nn.Dropout`` with a generator."""

    def forward(self, x: Tensor) -> Tensor:
        """Hide values of `x`."""
        return dropout(x, self.p, self.training, self.generator)


class SpatialDropout(DrawsMasks):
    """Dropout of whole channels: a feature is hidden at every step of a sequence, or at none [1]_.

    Ordinary dropout hides single values, which a neighbouring step often gives away.

    Parameters
    ----------
    share : float
        Share of the features set to zero in training; the others are scaled up.

    References
    ----------
    .. [1] J. Tompson et al., "Efficient object localization using convolutional networks",
       CVPR 2015.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm.dropout import SpatialDropout
    >>> hidden = SpatialDropout(0.5)(torch.ones(4, 10, 3)) == 0
    >>> bool((hidden.all(dim=1) == hidden.any(dim=1)).all())
    True
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Hide features of the sequences ``(n, steps, features)``."""
        if not (self.training and self.share):
            return x
        return x * dropout(torch.ones_like(x[:, :1]), self.share, True, self.generator)
