"""Options of a network that few people change, in one object."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_jobtime._estimator import check_has_effect
from sklearn_jobtime.lstm.forward import ACTIVATIONS
from sklearn_jobtime.lstm.names import INITIAL_WEIGHTS

__all__ = ["LAYER_CONSTRAINTS", "NetworkOptions", "options_of"]


# What the options that all networks have may be, by name.
LAYER_CONSTRAINTS: dict[str, list[Any]] = {
    "dense_units": [Interval(Integral, 0, None, closed="left"), "array-like", None],
    "dense_activation": [StrOptions(set(ACTIVATIONS))],
    "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
    "spatial_dropout": [Interval(Real, 0, 1, closed="left")],
    "weight_init": [StrOptions({"torch", *INITIAL_WEIGHTS})],
    "recurrent_init": [StrOptions({"torch", *INITIAL_WEIGHTS})],
    "forget_bias": [Interval(Real, None, None, closed="neither"), None],
}


class NetworkOptions(BaseEstimator):
    """Options of the network of a forecaster that few people change.

    Parameters
    ----------
    dense_units : int, sequence of int or None, default=None
        Widths of dense layers between the LSTM and the output. None adds none.
    dense_activation : str, default="relu"
        Activation function of these layers, one of the names of :class:`LSTMForecaster`.
    recurrent_dropout : float, default=0.0
        Share of the connections from step to step set to zero in training, the same units at all
        steps of a window. Training is then several times slower.
    spatial_dropout : float, default=0.0
        Share of the inputs set to zero in training, each feature at all steps of a window. Useful
        with many features that carry nearly the same information: the network then relies on no
        single one.
    skip_connection : bool or None, default=None
        Give the output layer also the last step of the window as it came in. Useful where that
        step holds what is known of the run itself: its event, its hour, the size of the change.
        None does so in :class:`ResidualForecaster` alone.
    weight_init : str, default="torch"
        Initial weights from the inputs and of the dense layers: "torch" (its default),
        "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
        "lecun_normal", "orthogonal", "normal" or "uniform" (both small: 0.05). All but "torch"
        start with biases of 0. "he" goes with "relu", "lecun" with "selu".
    recurrent_init : str, default="torch"
        The same for the weights from step to step. "orthogonal" helps to remember early steps;
        with ``weight_init="glorot_uniform"`` and ``forget_bias=1`` it is the default of Keras.
    forget_bias : float or None, default=None
        Initial bias of the forget gates; with 1 the cells remember from the first epoch on. None
        leaves it to `weight_init`.

    Examples
    --------
    >>> from sklearn_jobtime import LSTMForecaster
    >>> from sklearn_jobtime.lstm import NetworkOptions
    >>> model = LSTMForecaster(network_options=NetworkOptions(dense_units=16))

    A grid names them ``network_options__dense_units``, also where none were given:

    >>> LSTMForecaster().set_params(network_options__dense_units=16)
    LSTMForecaster(network_options=NetworkOptions(dense_units=16))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LAYER_CONSTRAINTS,
        "skip_connection": ["boolean", None],
    }

    def __init__(
        self,
        *,
        dense_units: int | Sequence[int] | None = None,
        dense_activation: str = "relu",
        recurrent_dropout: float = 0.0,
        spatial_dropout: float = 0.0,
        skip_connection: bool | None = None,
        weight_init: str = "torch",
        recurrent_init: str = "torch",
        forget_bias: float | None = None,
    ) -> None:
        self.dense_units, self.dense_activation = dense_units, dense_activation
        self.recurrent_dropout, self.spatial_dropout = recurrent_dropout, spatial_dropout
        self.skip_connection = skip_connection
        self.weight_init, self.recurrent_init = weight_init, recurrent_init
        self.forget_bias = forget_bias


def options_of(given: Any) -> dict[str, Any]:
    """Check an object of options, and return them as the network takes them."""
    given._validate_params()
    has_dense = given.dense_units is not None
    check_has_effect(given, "dense_activation", has_dense, needs="dense_units")
    options = given.get_params(deep=False)
    return {**options, "dense_units": given.dense_units if has_dense else ()}
