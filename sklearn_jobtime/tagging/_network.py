"""The network that tags the events of a sequence, its loss, and its batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_jobtime.lstm.batches import RowsDataset
from sklearn_jobtime.lstm.dropout import DrawsMasks, SpatialDropout
from sklearn_jobtime.lstm.network import RecurrentLayers, dense_layers
from sklearn_jobtime.lstm.series_chunks import pad
from sklearn_jobtime.lstm.weights import as_generator, draw_weights, drawn
from sklearn_jobtime.tagging._events import NO_TAG, PADDING, UNKNOWN

__all__ = ["SequenceDataset", "TagLoss", "TaggingNetwork", "count_right"]


class TaggingNetwork(DrawsMasks):
    """Embeddings of the events, LSTM layers over the sequence, dense layers at each event.

    It gives the logits of the tags, ``(n, steps, n_tags)``, or ``(n, n_tags)`` with `one_tag`. No
    logit of an event depends on how far its sequence is padded.

    Parameters
    ----------
    n_codes : sequence of int
        Codes of each feature that is a category; 0 is padding, 1 the unknown.
    n_numbers : int
        Features that are numbers; they go to the LSTM beside the embeddings.
    n_tags : int
        Tags to choose from.
    one_tag : bool, default=False
        One answer a sequence, from the last state, instead of one an event.
    embedding_dim : int, default=16
        Width of each embedding.
    unknown_share : float, default=0.0
        Share of the codes replaced by the unknown in training, so that the unknown is learned.
    spatial_dropout : float, default=0.0
        Share of the embeddings' channels hidden over the whole sequence in training.
    dense_units : int or sequence of int, default=()
        Widths of dense layers at each event before the output.
    dense_activation : str, default="relu"
        Of these.
    weight_init, recurrent_init, forget_bias, generator
        See :class:`~sklearn_jobtime.lstm.LSTMNetwork`.
    dropout : float, default=0.0
        Between the recurrent layers and before each dense layer.
    **recurrent
        Options of :class:`RecurrentLayers`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.tagging._network import TaggingNetwork
    >>> network = TaggingNetwork([5], n_numbers=1, n_tags=3, hidden_size=4, bidirectional=True)
    >>> codes, numbers = torch.ones(2, 6, 1, dtype=torch.long), torch.zeros(2, 6, 1)
    >>> network(codes, numbers, lengths=torch.tensor([6, 4])).shape
    torch.Size([2, 6, 3])
    """

    def __init__(
        self,
        n_codes: Sequence[int],
        n_numbers: int,
        n_tags: int,
        *,
        one_tag: bool = False,
        embedding_dim: int = 16,
        unknown_share: float = 0.0,
        spatial_dropout: float = 0.0,
        dense_units: int | Sequence[int] = (),
        dense_activation: str = "relu",
        weight_init: str = "torch",
        recurrent_init: str = "torch",
        forget_bias: float | None = None,
        dropout: float = 0.0,
        generator: torch.Generator | int | None = None,
        **recurrent: Any,
    ) -> None:
        super().__init__()
        generator = as_generator(generator)
        self.one_tag = one_tag
        self.unknown_share = unknown_share
        options: Any = {"padding_idx": PADDING, "device": "meta"}
        self.embeddings = nn.ModuleList(
            [drawn(nn.Embedding(n, embedding_dim, **options), generator) for n in n_codes]
        )
        self.spatial_dropout = SpatialDropout(spatial_dropout)
        width = embedding_dim * len(n_codes) + n_numbers
        self.recurrent = RecurrentLayers(width, dropout=dropout, generator=generator, **recurrent)
        width = self.recurrent.out_features
        self.head = dense_layers(width, n_tags, dense_units, dropout, dense_activation, generator)
        draw_weights(self, weight_init, recurrent_init, forget_bias, generator)

    def forward(self, codes: Tensor, numbers: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of the sequences with these `lengths`.

        A sequence without events counts as one event of which nothing is known.

        Parameters
        ----------
        codes : Tensor of int64, shape (n, steps, n_categories)
        numbers : Tensor of shape (n, steps, n_numbers)
        lengths : Tensor of int64, shape (n,)
        """
        if self.training and self.unknown_share:
            chance = torch.empty(codes.shape, dtype=torch.float32, device=codes.device)
            hidden = chance.uniform_(generator=self.generator) < self.unknown_share
            codes = codes.masked_fill(hidden & (codes != PADDING), UNKNOWN)
        embedded = [layer(codes[..., k]) for k, layer in enumerate(self.embeddings)]
        if embedded:
            numbers = torch.cat([self.spatial_dropout(torch.cat(embedded, -1)), numbers], -1)
        sequence, (state, _) = self.recurrent(numbers, lengths=lengths.clamp(min=1))
        if self.one_tag:
            n_directions = 2 if self.recurrent.lstm.bidirectional else 1
            return self.head(torch.cat(list(state[-n_directions:]), dim=-1))
        return self.head(sequence)


def with_weights(targets: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor | None]:
    """Split what a batch has as targets into tags, and weights of its sequences if there are."""
    if isinstance(targets, Tensor):
        return targets, None
    tags, weights = targets
    return tags, weights


class TagLoss(nn.Module):
    """Cross-entropy of the tagged events, each weighted by its tag; 0 when a batch has none.

    With weights of the sequences, each event counts by that of its own too.

    Parameters
    ----------
    weights : Tensor of shape (n_tags,)
        Of the tags; with a mean of 1 over the events, losses with other weights compare.
    """

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, targets: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of `logits` ``(..., n_tags)`` against codes of tags ``(...)``."""
        tags, sequence_weights = with_weights(targets)
        of_each = functional.cross_entropy(
            logits.flatten(0, -2),
            tags.flatten(),
            weight=self.weights,
            ignore_index=NO_TAG,
            reduction="sum" if sequence_weights is None else "none",
        )
        total = of_each
        if sequence_weights is not None:
            shape = (-1, *[1] * (tags.ndim - 1))
            total = (of_each.view_as(tags) * sequence_weights.view(shape)).sum()
        return total / (tags != NO_TAG).sum().clamp(min=1)


def count_right(logits: Tensor, targets: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Count the events whose tag has the highest logit, and those that have a tag."""
    tags, _ = with_weights(targets)
    right = logits.argmax(dim=-1) == tags
    return right.count_nonzero(), (tags != NO_TAG).count_nonzero()


class SequenceDataset(RowsDataset):
    """Sequences held one behind the other; a batch of them is padded to its longest.

    Parameters
    ----------
    codes : ndarray of int64, shape (n_events, n_categories)
    numbers : ndarray of shape (n_events, n_numbers)
    lengths : ndarray of int64, shape (n,)
        Events of each sequence.
    tags : ndarray of int64, shape (n_events,) or (n,)
        Codes of the tags, `NO_TAG` for none; one an event, or with `one_tag` one a sequence.
    rows : ndarray of int
        The sequences that belong to the dataset.
    one_tag : bool
        Which of the two the tags are.
    dtype : torch.dtype, default=torch.float32
        Of the batches of numbers.
    weights : Tensor of shape (n,), default=None
        How much each sequence counts in the loss, 1 on average; None: all alike.
    """

    def __init__(
        self,
        codes: np.ndarray,
        numbers: np.ndarray,
        lengths: np.ndarray,
        tags: np.ndarray,
        rows: np.ndarray,
        one_tag: bool,
        dtype: torch.dtype = torch.float32,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__(rows)
        self.weights = weights
        self.codes, self.numbers, self.tags = codes, numbers, tags
        self.lengths, self.one_tag, self.dtype = lengths, one_tag, dtype
        self.starts = np.cumsum(lengths) - lengths

    def __getitem__(self, index: Any) -> tuple[dict[str, Tensor], Any]:
        rows = self.rows[index]
        starts, lengths = self.starts[rows], self.lengths[rows]
        batch = {
            "codes": torch.from_numpy(pad(self.codes, starts, lengths, PADDING)),
            "numbers": torch.from_numpy(pad(self.numbers, starts, lengths, 0.0)).to(self.dtype),
            "lengths": torch.from_numpy(lengths),
        }
        tags = self.tags[rows] if self.one_tag else pad(self.tags, starts, lengths, NO_TAG)
        found = torch.from_numpy(tags)
        if self.weights is None:
            return batch, found
        return batch, (found, self.weights[torch.from_numpy(rows)])
