"""Initial weights of LSTM and dense layers, by the names under which they are tuned."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import init

__all__ = ["INITIAL_WEIGHTS", "draw_weights"]


# "he" keeps the variance through ReLU layers, "lecun" through linear and SELU ones, "glorot"
# (also called Xavier) both forwards and backwards through tanh; "normal" and "uniform" are small
# numbers whatever the width, as in Keras.
INITIAL_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
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


@torch.no_grad()
def draw_weights(
    network: nn.Module,
    weight_init: str = "torch",
    recurrent_init: str = "torch",
    forget_bias: float | None = None,
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
                    INITIAL_WEIGHTS[how](gate)
