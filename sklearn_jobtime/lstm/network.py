"""The network: recurrent layers that read a window, and a head that forecasts from their end.

It knows torch only, no scikit-learn and no skorch, so it serves in a training loop of one's own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import rnn

from sklearn_jobtime.lstm.dropout import DrawsMasks, Dropout, SpatialDropout, dropout
from sklearn_jobtime.lstm.weights import as_generator, draw_weights, drawn

__all__ = [
    "ACTIVATIONS",
    "LSTMEnsemble",
    "LSTMNetwork",
    "RecurrentLayers",
    "State",
    "dense_layers",
    "lstm_cell",
]


State = tuple[Tensor, Tensor]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
    "softsign": nn.Softsign,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "linear": nn.Identity,
}


def make_activation(name: str) -> nn.Module:
    """Return the activation of a name in `ACTIVATIONS`."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; expected one of {sorted(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


class RecurrentLayers(DrawsMasks):
    """Stacked LSTM layers that return the whole sequence and the last state.

    The parameters are those of ``torch.nn.LSTM`` (`lstm`), whose fused kernel does the work where
    it can. That kernel has only tanh and no recurrent dropout: for the others a loop over the steps
    does the same sums with the same parameters, several times slower. It draws the masks between
    two layers from torch's global generator, so in training it runs layer by layer, with masks of
    `generator` in between; on a GPU the loop does that.

    Parameters
    ----------
    n_features : int
        Features a time step.
    hidden_size : int, default=32
        Units a layer and direction.
    n_layers : int, default=1
        Layers; each reads the sequence that the one below returns.
    dropout : float, default=0.0
        Share of the values between two layers set to zero in training.
    recurrent_dropout : float, default=0.0
        Share of the hidden units hidden from the recurrent connections in training. The mask is
        drawn once a sequence and is the same at each of its steps [1]_.
    bidirectional : bool, default=False
        Also read the sequence from its end; doubles the width of what is returned.
    activation : name of `ACTIVATIONS`, default="tanh"
        Of the cell's input and output. The gates stay sigmoid.
    generator : torch.Generator or None, default=None
        Where the initial weights are drawn from; None takes torch's global one. What training draws
        comes from :func:`~sklearn_jobtime.lstm.dropout.drawing_from`.

    Attributes
    ----------
    out_features : int
        Width of the returned sequence: `hidden_size`, twice that if bidirectional.

    References
    ----------
    .. [1] Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm import RecurrentLayers
    >>> sequence, (hidden, cell) = RecurrentLayers(3, hidden_size=8)(torch.zeros(4, 10, 3))
    >>> sequence.shape, hidden.shape, cell.shape
    (torch.Size([4, 10, 8]), torch.Size([1, 4, 8]), torch.Size([1, 4, 8]))
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        bidirectional: bool = False,
        activation: str = "tanh",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        layers = nn.LSTM(
            n_features,
            hidden_size,
            num_layers=n_layers,
            bidirectional=bidirectional,
            batch_first=True,
            device="meta",
        )
        self.lstm = drawn(layers, generator)
        self.dropout = dropout if n_layers > 1 else 0.0
        self.recurrent_dropout = recurrent_dropout
        self.activation = activation
        self.act = make_activation(activation)
        self.out_features = hidden_size * (2 if bidirectional else 1)

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Read the sequences ``(n, steps, features)``, from `state` or from zeros.

        With `lengths`, ``(n,)`` and at least 1, what stands behind a sequence's own length is
        padding: neither direction reads it, and the output there is 0.

        Returns
        -------
        sequence : Tensor of shape (n, steps, out_features)
            What the last layer put out at each step.
        state : (hidden, cell), each of shape (n_layers * n_directions, n, hidden_size)
            The state after the last step (for the backward direction: after the first).
        """
        if self.activation != "tanh" or (self.training and self.recurrent_dropout):
            return self._unrolled(x, state, lengths)
        by_layer = self.training and self.dropout
        if by_layer and x.device.type != "cpu":  # cuDNN takes the weights of all layers or of none
            return self._unrolled(x, state, lengths)
        if lengths is None:
            return self._layer_by_layer(x, None, state) if by_layer else self.lstm(x, state)
        packed = rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        if by_layer:
            state = (
                None if state is None else self.lstm.permute_hidden(state, packed.sorted_indices)
            )
            read, state = self._layer_by_layer(packed.data, packed.batch_sizes, state)
            sequence = packed._replace(data=read)
            state = self.lstm.permute_hidden(state, packed.unsorted_indices)
        else:
            sequence, state = self.lstm(packed, state)
        steps = x.shape[1]
        return rnn.pad_packed_sequence(sequence, batch_first=True, total_length=steps)[0], state

    def _start(self, x: Tensor, n: int) -> State:
        n_states = self.lstm.num_layers * (2 if self.lstm.bidirectional else 1)
        zeros = x.new_zeros((n_states, n, self.lstm.hidden_size))
        return zeros, zeros

    def _layer_by_layer(
        self, x: Tensor, batch_sizes: Tensor | None, state: State | None
    ) -> tuple[Tensor, State]:
        """Run the fused kernel on one layer at a time, of a batch or of a packed sequence."""
        n_layers, bidirectional = self.lstm.num_layers, self.lstm.bidirectional
        if state is None:
            state = self._start(x, len(x) if batch_sizes is None else int(batch_sizes[0]))
        weights = list(self.lstm.parameters())
        n_weights = len(weights) // n_layers
        ends: list[State] = []
        for layer, start in enumerate(zip(*(part.chunk(n_layers) for part in state), strict=True)):
            if layer:
                x = dropout(x, self.dropout, True, self.generator)
            own: Any = tuple(weights[layer * n_weights : (layer + 1) * n_weights])
            shape: Any = (True, 1, 0.0, self.training, bidirectional)
            if batch_sizes is None:
                x, *end = torch.lstm(x, start, own, *shape, True)  # type: ignore[call-overload]
            else:
                x, *end = torch.lstm(x, batch_sizes, start, own, *shape)
            ends.append((end[0], end[1]))
        hidden, cell = zip(*ends, strict=True)
        return x, (torch.cat(hidden), torch.cat(cell))

    def _unrolled(
        self, x: Tensor, state: State | None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        directions = ("", "_reverse") if self.lstm.bidirectional else ("",)
        state = self._start(x, len(x)) if state is None else state
        ends: list[State] = []
        for layer in range(self.lstm.num_layers):
            if layer:
                x = dropout(x, self.dropout, self.training, self.generator)
            sequences = []
            for suffix in directions:
                start = (state[0][len(ends)], state[1][len(ends)])
                sequence, end = self._one_direction(x, start, lengths, f"l{layer}{suffix}")
                sequences.append(sequence)
                ends.append(end)
            x = torch.cat(sequences, dim=-1)
        hidden, cell = zip(*ends, strict=True)
        return x, (torch.stack(hidden), torch.stack(cell))

    def _one_direction(
        self, x: Tensor, state: State, lengths: Tensor | None, name: str
    ) -> tuple[Tensor, State]:
        weight_ih, weight_hh, bias_ih, bias_hh = (
            getattr(self.lstm, f"{part}_{name}")
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        hidden, cell = state
        ones = torch.ones_like(hidden)
        mask = dropout(ones, self.recurrent_dropout, self.training, self.generator)
        # The inputs' share of all steps' gates at once; only the recurrent share needs the loop.
        steps = functional.linear(x, weight_ih, bias_ih + bias_hh).unbind(dim=1)
        backward = name.endswith("_reverse")
        order = range(len(steps))[::-1] if backward else range(len(steps))
        outputs = []
        for step in order:
            gates = steps[step] + functional.linear(hidden * mask, weight_hh)
            after = lstm_cell(gates, cell, self.act)
            if lengths is None:
                hidden, cell = after
                outputs.append(hidden)
            else:  # padding leaves the state alone, also where the backward direction begins
                real = (lengths > step)[:, None]
                hidden, cell = (
                    torch.where(real, *pair) for pair in zip(after, (hidden, cell), strict=True)
                )
                outputs.append(hidden * real)
        return torch.stack(outputs[::-1] if backward else outputs, dim=1), (hidden, cell)


def lstm_cell(gates: Tensor, cell: Tensor, act: Callable[[Tensor], Tensor]) -> State:
    """One step of the LSTM: new hidden and cell state from the gates' inputs ``(n, 4 * hidden)``.

    The gates stand in torch's order: input, forget, candidate, output.
    """
    take_in, keep, candidate, put_out = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(keep) * cell + torch.sigmoid(take_in) * act(candidate)
    return torch.sigmoid(put_out) * act(cell), cell


def dense_layers(
    n_features: int,
    n_outputs: int,
    dense_units: int | Sequence[int],
    dropout: float,
    activation: str = "relu",
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Return the head of a network: dense layers of `dense_units`, if any, then the outputs."""
    widths = [units for units in torch.as_tensor(dense_units).flatten().tolist() if units]
    if any(units < 0 or units != int(units) for units in widths):
        raise ValueError(f"dense_units came as {dense_units!r}; expected widths, or 0 for none.")
    layers: list[nn.Module] = []
    width = n_features
    for units in map(int, widths):
        dense = drawn(nn.Linear(width, units, device="meta"), generator)
        layers += [Dropout(dropout), dense, make_activation(activation)]
        width = units
    output = drawn(nn.Linear(width, n_outputs, device="meta"), generator)
    return nn.Sequential(*layers, Dropout(dropout), output)


class LSTMNetwork(nn.Module):
    """LSTM layers over a window, then dense layers: ``(n, steps, features)`` to ``(n, outputs)``.

    The head sees what the recurrent layers know after the window: the last layer's hidden state,
    of both directions if bidirectional.

    Parameters
    ----------
    n_features : int
        Features a time step.
    n_outputs : int
        Numbers forecast for a window.
    hidden_size, n_layers, recurrent_dropout, bidirectional, activation
        See :class:`RecurrentLayers`.
    spatial_dropout : float, default=0.0
        Share of the features hidden from the recurrent layers, see :class:`SpatialDropout`.
    dropout : float, default=0.0
        Dropout between the recurrent layers and before each layer of the head.
    dense_units : int or sequence of int, default=()
        Widths of the dense layers between the recurrent layers and the output; 0 or empty for
        none, which is enough for most run times and overfits least.
    dense_activation : name of `ACTIVATIONS`, default="relu"
        Of these dense layers.
    skip_connection : bool, default=False
        Whether the head also sees the last step of the window as it came in.
    weight_init, recurrent_init, forget_bias
        See :func:`~sklearn_jobtime.lstm.weights.draw_weights`.
    generator : torch.Generator, int or None, default=None
        Where the initial weights are drawn from, or its seed; None takes torch's global one.

    Attributes
    ----------
    recurrent : RecurrentLayers
    head : torch.nn.Sequential

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm import LSTMNetwork
    >>> network = LSTMNetwork(n_features=3, n_outputs=2, hidden_size=8, dense_units=16)
    >>> network(torch.zeros(4, 10, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        bidirectional: bool = False,
        activation: str = "tanh",
        spatial_dropout: float = 0.0,
        dense_units: int | Sequence[int] = (),
        dense_activation: str = "relu",
        skip_connection: bool = False,
        weight_init: str = "torch",
        recurrent_init: str = "torch",
        forget_bias: float | None = None,
        generator: torch.Generator | int | None = None,
    ) -> None:
        super().__init__()
        generator = as_generator(generator)
        self.skip_connection = skip_connection
        self.spatial_dropout = SpatialDropout(spatial_dropout)
        self.recurrent = RecurrentLayers(
            n_features,
            hidden_size,
            n_layers=n_layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            bidirectional=bidirectional,
            activation=activation,
            generator=generator,
        )
        width = self.recurrent.out_features + (n_features if skip_connection else 0)
        self.head = dense_layers(
            width, n_outputs, dense_units, dropout, dense_activation, generator
        )
        draw_weights(self, weight_init, recurrent_init, forget_bias, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Forecast from the windows `x`, ``(n, steps, features)``."""
        _, (hidden, _) = self.recurrent(self.spatial_dropout(x))
        n_directions = 2 if self.recurrent.lstm.bidirectional else 1
        return self.from_ends(x, *hidden[-n_directions:].unbind())

    def from_ends(self, x: Tensor, *ends: Tensor) -> Tensor:
        """Forecast from the windows `x`, and the last state of each direction that read them."""
        return self.head(torch.cat([*ends, *([x[:, -1]] if self.skip_connection else [])], dim=-1))

    def forecast_each_step(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Forecast at every step of the sequences `x`, from `state` or from zeros.

        Returns
        -------
        outputs : Tensor of shape (n, steps, n_outputs)
            Where the sequence is padded (see :meth:`RecurrentLayers.forward`) they mean nothing.
        state : (hidden, cell), each of shape (n_layers, n, hidden_size)
            After the last step, to go on from.
        """
        sequence, state = self.recurrent(self.spatial_dropout(x), state, lengths)
        if self.skip_connection:
            sequence = torch.cat([sequence, x], dim=-1)
        return self.head(sequence), state

    @property
    def n_state_layers(self) -> int:
        """Layers of a state: one a recurrent layer and direction."""
        lstm = self.recurrent.lstm
        return lstm.num_layers * (2 if lstm.bidirectional else 1)

    @torch.no_grad()
    def start_at(self, outputs: Tensor) -> None:
        """Set the last layer so that the network forecasts `outputs`, whatever it reads."""
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        last.weight.zero_()
        last.bias.copy_(outputs)


# Up to this width of all members together, one LSTM takes less time on a CPU than several.
SMALL_WIDTH = 32


def end_of_all(lstms: Sequence[nn.LSTM], x: Tensor) -> Tensor:
    """Return the last hidden states of several LSTMs of one layer, one behind the other.

    They are read as one, whose weights from step to step are 0 between two of them. These weights
    lie in one piece of memory, in the order in which cuDNN wants them.

    Parameters
    ----------
    lstms : sequence of torch.nn.LSTM
        Alike, of one layer and direction.
    x : Tensor of shape (n, steps, features)

    Returns
    -------
    Tensor of shape (n, n_lstms * hidden_size)

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm.network import end_of_all
    >>> lstms, x = [torch.nn.LSTM(2, 3, batch_first=True) for _ in range(4)], torch.randn(5, 6, 2)
    >>> found = end_of_all(lstms, x)
    >>> torch.allclose(found[:, 3:6], lstms[1](x)[1][0][0], atol=1e-6)
    True
    """
    n, width = len(lstms), lstms[0].hidden_size

    def by_gate(name: str) -> Tensor:  # (gates, members, units, ...)
        parts = [getattr(lstm, name) for lstm in lstms]
        return torch.stack([part.view(4, width, *part.shape[1:]) for part in parts], dim=1)

    recurrent = by_gate("weight_hh_l0").permute(0, 2, 3, 1)
    parts = [
        by_gate("weight_ih_l0").flatten(0, 2),
        torch.diag_embed(recurrent, dim1=1, dim2=3).reshape(4 * n * width, n * width),
        by_gate("bias_ih_l0").flatten(),
        by_gate("bias_hh_l0").flatten(),
    ]
    together = torch.cat([part.flatten() for part in parts]).split([part.numel() for part in parts])
    weights: Any = [flat.view(part.shape) for flat, part in zip(together, parts, strict=True)]
    start = x.new_zeros(1, len(x), n * width)
    options: Any = (True, 1, 0.0, torch.is_grad_enabled(), False, True)
    _, hidden, _ = torch.lstm(x, (start, start), weights, *options)
    return hidden[0]


class LSTMEnsemble(nn.Module):
    """Several :class:`LSTMNetwork` side by side, each with weights of its own.

    In evaluation it gives the mean of their forecasts. In training it gives all of them, one
    behind the other, so that a loss of each one's error trains them together but apart.

    Parameters
    ----------
    n_members : int
        Networks.
    generator : torch.Generator, int or None, default=None
        Where the weights of all are drawn from, as for :class:`LSTMNetwork`.
    **network
        Further options of each :class:`LSTMNetwork`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.lstm.network import LSTMEnsemble
    >>> networks = LSTMEnsemble(n_members=3, n_features=2, n_outputs=1, hidden_size=4)
    >>> networks(torch.zeros(5, 10, 2)).shape, networks.eval()(torch.zeros(5, 10, 2)).shape
    (torch.Size([5, 3]), torch.Size([5, 1]))
    """

    def __init__(
        self, n_members: int, *, generator: torch.Generator | int | None = None, **network: Any
    ) -> None:
        super().__init__()
        generator = as_generator(generator)
        self.members = nn.ModuleList(
            [LSTMNetwork(generator=generator, **network) for _ in range(n_members)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Forecast from the windows `x`, ``(n, steps, features)``."""
        if not self._read_as_one(x):
            return self._together([member(x) for member in self.members])
        lstms = [member.recurrent.lstm for member in self._networks]
        ends = end_of_all(lstms, x).chunk(len(lstms), dim=-1)
        return self._together(
            [member.from_ends(x, end) for member, end in zip(self._networks, ends, strict=True)]
        )

    def _read_as_one(self, x: Tensor) -> bool:
        """Tell whether one LSTM as wide as all members reads `x` in less time than they do.

        On a GPU that is one launch instead of many. On a CPU the zeros between the members cost
        more than the calls, but for the smallest networks.
        """
        first = self._networks[0]
        lstm, recurrent = first.recurrent.lstm, first.recurrent
        masks = self.training and (first.spatial_dropout.share or recurrent.recurrent_dropout)
        if lstm.num_layers > 1 or lstm.bidirectional or recurrent.activation != "tanh" or masks:
            return False
        is_small = len(self.members) * lstm.hidden_size <= SMALL_WIDTH
        return x.device.type == "cuda" or (self.training and is_small)

    def forecast_each_step(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Forecast at every step, see :meth:`LSTMNetwork.forecast_each_step`.

        In `state` the layers of the members stand one behind the other.
        """
        n = len(self.members)
        pairs: list[Any] = [None] * n
        if state is not None:
            pairs = list(zip(*(part.chunk(n) for part in state), strict=True))
        found = [
            member.forecast_each_step(x, pair, lengths)
            for member, pair in zip(self._networks, pairs, strict=True)
        ]
        hidden, cell = (torch.cat([end[k] for _, end in found]) for k in (0, 1))
        return self._together([outputs for outputs, _ in found]), (hidden, cell)

    def _together(self, forecasts: list[Tensor]) -> Tensor:
        if self.training:
            return torch.cat(forecasts, dim=-1)
        return torch.stack(forecasts).mean(dim=0)

    def start_at(self, outputs: Tensor) -> None:
        """Set the last layer of every member, see :meth:`LSTMNetwork.start_at`."""
        for member in self._networks:
            member.start_at(outputs)

    @property
    def n_state_layers(self) -> int:
        """Layers of a state, those of all members."""
        return sum(member.n_state_layers for member in self._networks)

    @property
    def _networks(self) -> list[LSTMNetwork]:
        return [member for member in self.members if isinstance(member, LSTMNetwork)]
