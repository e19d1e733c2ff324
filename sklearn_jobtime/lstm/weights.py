"""Initial weights of LSTM and dense layers, by the names under which they are tuned."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import init

__all__ = ["INITIAL_WEIGHTS", "as_generator", "draw_weights", "drawn"]

Layer = TypeVar("Layer", bound=nn.Module)


# "he" keeps the variance through ReLU layers, "lecun" through linear and SELU ones, "glorot"
# (also called Xavier) both forwards and backwards through tanh; "normal" and "uniform" are small
# numbers whatever the width, as in Keras.
INITIAL_WEIGHTS: dict[str, Callable[..., Tensor]] = {
    "glorot_uniform": init.xavier_uniform_,
    "glorot_normal": init.xavier_normal_,
    "he_uniform": partial(init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": partial(init.kaiming_normal_, nonlinearity="relu"),
    "lecun_uniform": partial(init.kaiming_uniform_, nonlinearity="linear"),
    "lecun_normal": partial(init.kaiming_normal_, nonlinearity="linear"),
    "orthogonal": init.orthogonal_,
    "normal": partial(init.normal_, std=0.05),
    "uniform": partial(init.uniform_, a=-0.05, b=0.05),
}


def as_generator(given: torch.Generator | int | None) -> torch.Generator | None:
    """Return a generator as it is, and a new one for a seed."""
    return torch.Generator().manual_seed(given) if isinstance(given, int) else given


def in_single(draw: Callable[..., Any], weight: Tensor, **options: Any) -> None:
    """Fill a weight with what is drawn in single precision, whatever precision it has."""
    values = torch.empty(weight.shape, dtype=torch.float32)
    draw(values, **options)
    weight.copy_(values)


@torch.no_grad()
def drawn(layer: Layer, generator: torch.Generator | None) -> Layer:
    """Give a layer made on torch's "meta" device its memory, and the weights that torch would draw.

    torch's own layers draw from the global generator when they are made.

    Parameters
    ----------
    layer : torch.nn.LSTM, Linear or Embedding
    generator : torch.Generator or None
        None takes the global one.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm.weights import drawn
    >>> layer = drawn(torch.nn.Linear(3, 2, device="meta"), torch.Generator().manual_seed(7))
    >>> _ = torch.manual_seed(7)
    >>> bool((layer.weight == torch.nn.Linear(3, 2).weight).all())
    True
    """
    layer = layer.to_empty(device="cpu")
    if isinstance(layer, nn.Embedding):
        in_single(init.normal_, layer.weight, generator=generator)
        if layer.padding_idx is not None:
            layer.weight[layer.padding_idx].zero_()
        return layer
    width = layer.hidden_size if isinstance(layer, nn.LSTM) else layer.in_features
    bound = 1 / math.sqrt(width)  # type: ignore[arg-type]
    for weight in layer.parameters():
        in_single(init.uniform_, weight, a=-bound, b=bound, generator=generator)
    return layer


@torch.no_grad()
def draw_weights(
    network: nn.Module,
    weight_init: str = "torch",
    recurrent_init: str = "torch",
    forget_bias: float | None = None,
    generator: torch.Generator | None = None,
) -> None:
    """Draw the weights of a network's LSTM and dense layers anew, in place.

    A gate of an LSTM counts as a layer of its own, so the spread of its weights does not depend on
    how torch stacks the four gates in one matrix.

    Parameters
    ----------
    network : torch.nn.Module
        Its ``torch.nn.LSTM`` and ``torch.nn.Linear`` layers are drawn, whatever holds them.
    weight_init : "torch" or a name of `INITIAL_WEIGHTS`, default="torch"
        For the weights from the inputs and of dense layers; the biases then start at 0. "torch"
        leaves torch's: uniform within the inverse root of the width.
    recurrent_init : "torch" or a name of `INITIAL_WEIGHTS`, default="torch"
        For the weights from step to step.
    forget_bias : float or None, default=None
        Where the biases of the forget gates start. With 1 a cell remembers from the first epoch on
        [1]_. None leaves what the others give.

    References
    ----------
    .. [1] R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of recurrent
       network architectures", ICML 2015.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm.weights import draw_weights
    >>> layer = torch.nn.LSTM(2, 3)
    >>> draw_weights(layer, "glorot_uniform", "orthogonal", forget_bias=1.0)
    >>> layer.bias_ih_l0
    Parameter containing:
    tensor([0., 0., 0., 1., 1., 1., 0., 0., 0., 0., 0., 0.], requires_grad=True)
    """
    for name in (weight_init, recurrent_init):
        if name != "torch" and name not in INITIAL_WEIGHTS:
            raise ValueError(
                f"unknown initial weights {name!r}; expected 'torch' or one of "
                f"{sorted(INITIAL_WEIGHTS)}."
            )
    for layer in network.modules():
        if not isinstance(layer, nn.LSTM | nn.Linear):
            continue
        n_gates = 4 if isinstance(layer, nn.LSTM) else 1
        for name, weight in layer.named_parameters():
            how = recurrent_init if name.startswith("weight_hh") else weight_init
            if name.startswith("bias"):
                if weight_init != "torch":
                    weight.zero_()
                if forget_bias is not None and n_gates == 4:
                    # torch adds two biases: the one beside the inputs has it all.
                    weight.chunk(4)[1].fill_(forget_bias if name.startswith("bias_ih") else 0.0)
            elif how != "torch":
                for gate in weight.chunk(n_gates):
                    in_single(INITIAL_WEIGHTS[how], gate, generator=generator)
