"""The forward pass of the tagging network in NumPy, from its weights as arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_jobtime._typing import Floats, Ints
from sklearn_jobtime.lstm.forward import BLOCK_ROWS, DenseLayers, RecurrentPass, member_arrays
from sklearn_jobtime.lstm.series_chunks import pad
from sklearn_jobtime.tagging._events import PADDING

__all__ = ["TaggingPass"]


class TaggingPass:
    """A :class:`~sklearn_jobtime.tagging._network.TaggingNetwork` in evaluation.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By the names in the network's ``state_dict``.
    n_codes, one_tag, dense_activation, n_layers, bidirectional, activation
        Options of the network; its others have no effect on an answer.
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        *,
        n_codes: Sequence[int],
        one_tag: bool = False,
        dense_activation: str = "relu",
        n_layers: int = 1,
        bidirectional: bool = False,
        activation: str = "tanh",
        **_of_training: Any,
    ) -> None:
        arrays = member_arrays(weights)
        self.embeddings = [arrays[f"embeddings.{k}.weight"][0] for k in range(len(n_codes))]
        self.recurrent = RecurrentPass(
            arrays, n_layers=n_layers, bidirectional=bidirectional, activation=activation
        )
        self.head = DenseLayers(arrays, dense_activation)
        self.one_tag = one_tag

    def __call__(self, codes: Ints, numbers: Floats, lengths: Ints) -> Floats:
        """Return the logits of sequences that stand one behind the other.

        Parameters
        ----------
        codes : ndarray of int, shape (n_events, n_categories)
        numbers : ndarray of shape (n_events, n_numbers)
        lengths : ndarray of int, shape (n,)
            Events of each sequence; one without events counts as one event of which nothing is
            known.

        Returns
        -------
        ndarray of shape (n_events, n_tags), or (n, n_tags) with `one_tag`
        """
        starts = np.cumsum(lengths) - lengths
        blocks = []
        with np.errstate(all="ignore"):  # cells without a bound can overflow, as they do in torch
            for begin in range(0, max(1, len(lengths)), BLOCK_ROWS):
                block = slice(begin, begin + BLOCK_ROWS)
                given = starts[block], lengths[block]
                padded = pad(codes, *given, PADDING), pad(numbers, *given, 0.0)
                blocks.append(self._logits(*padded, lengths[block]))
        return np.concatenate(blocks)

    def _logits(self, codes: Ints, numbers: Floats, lengths: Ints) -> Floats:
        embedded = [table[codes[..., k]] for k, table in enumerate(self.embeddings)]
        inputs = np.concatenate([*embedded, numbers], axis=-1)
        sequence, state = self.recurrent(inputs, lengths=np.maximum(lengths, 1))
        if self.one_tag:
            return self.head(self.recurrent.last_hidden(state))[0]
        real = np.arange(inputs.shape[1]) < lengths[:, None]
        return self.head(sequence[:, real])[0]
