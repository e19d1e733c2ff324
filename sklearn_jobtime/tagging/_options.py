"""Options of the tagger's network that few people change, in one object."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from sklearn_jobtime.lstm.options import LAYER_CONSTRAINTS

__all__ = ["TaggerOptions"]


class TaggerOptions(BaseEstimator):
    """Options of the network of :class:`LSTMTagger` that few people change.

    Parameters
    ----------
    embedding_dim : int, default=16
        Length of the vector that is learned for each category.
    unknown_share : float, default=0.02
        Share of the categories replaced by ``<unknown>`` in training. An event never seen in
        `fit` is read as that, and so has a meaning: "some other step". 0 does not train it.
    spatial_dropout : float, default=0.1
        Share of the entries of the embedding vectors set to zero in training, the same ones at all
        events of a sequence. The usual first measure against learning sequences by heart.
    recurrent_dropout : float, default=0.0
        Share of the connections from event to event set to zero in training, the same units at all
        events of a sequence. Training is then several times slower.
    dense_units : int, sequence of int or None, default=None
        Widths of dense layers at each event between the LSTM and the output. None adds none.
    dense_activation : str, default="relu"
        Activation function of these layers, one of the names of :class:`LSTMTagger`.
    weight_init, recurrent_init : str, default="torch"
        How the weights from the inputs and of the dense layers, and those from event to event,
        are drawn, by the names of :class:`~sklearn_jobtime.lstm.NetworkOptions`.
    forget_bias : float or None, default=None
        Initial bias of the forget gates; with 1 the cells remember from the first epoch on. None
        leaves it to `weight_init`.

    Examples
    --------
    >>> from sklearn_jobtime.tagging import LSTMTagger, TaggerOptions
    >>> LSTMTagger(network_options=TaggerOptions(embedding_dim=8)).network_options
    TaggerOptions(embedding_dim=8)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LAYER_CONSTRAINTS,
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "unknown_share": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        embedding_dim: int = 16,
        unknown_share: float = 0.02,
        spatial_dropout: float = 0.1,
        recurrent_dropout: float = 0.0,
        dense_units: int | Sequence[int] | None = None,
        dense_activation: str = "relu",
        weight_init: str = "torch",
        recurrent_init: str = "torch",
        forget_bias: float | None = None,
    ) -> None:
        self.embedding_dim, self.unknown_share = embedding_dim, unknown_share
        self.spatial_dropout, self.recurrent_dropout = spatial_dropout, recurrent_dropout
        self.dense_units, self.dense_activation = dense_units, dense_activation
        self.weight_init, self.recurrent_init = weight_init, recurrent_init
        self.forget_bias = forget_bias
