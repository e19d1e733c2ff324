"""The forward pass of the networks in NumPy: what a fitted estimator forecasts with.

It does the sums of :mod:`~sklearn_jobtime.lstm.network` in double precision, from weights that are
arrays under the names of that network's ``state_dict``. So a forecast needs no torch; that of one
window takes half its time, and that of many about as long as on one thread of torch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from sklearn_jobtime._typing import Floats, Ints
from sklearn_jobtime.lstm.window_inputs import standardised_inputs

__all__ = [
    "ACTIVATIONS",
    "DenseLayers",
    "ForwardPass",
    "RecurrentPass",
    "State",
    "forecast_windows",
    "member_arrays",
]


State = tuple[Floats, Floats]
Weights = Mapping[str, np.ndarray]
Activation = Callable[[Floats], Floats]

# Windows that go through the steps together: what they need stays in the cache of a core.
BLOCK_ROWS = 128


def sigmoid(x: Floats) -> Floats:
    """Logistic function, to full precision also where it is nearly 0."""
    return 1.0 / (1.0 + np.exp(-x))


def gelu(x: Floats) -> Floats:
    """Gaussian error linear unit, in its exact form."""
    from scipy.special import ndtr

    return x * ndtr(x)


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

ACTIVATIONS: dict[str, Activation] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "relu": lambda x: np.maximum(x, 0.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
    "gelu": gelu,
    "softplus": lambda x: np.logaddexp(0.0, x),
    "linear": lambda x: x,
}


def member_arrays(weights: Weights) -> dict[str, Floats]:
    """Stack the weights of the members of an ensemble, in double precision: the members first.

    A network that is no ensemble is one of one member.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.forward import member_arrays
    >>> bias = np.zeros(3, dtype=np.float32)
    >>> member_arrays({"members.0.head.bias": bias, "members.1.head.bias": bias})["head.bias"].shape
    (2, 3)
    """
    by_name: dict[str, list[np.ndarray]] = {}
    for name, array in weights.items():
        in_member = name.split(".", 2)[2] if name.startswith("members.") else name
        by_name.setdefault(in_member, []).append(array)
    return {name: np.stack(arrays).astype(np.float64) for name, arrays in by_name.items()}


class DenseLayers:
    """The head of the members: dense layers, ``(members, n, width)`` to ``(members, n, outputs)``.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As :func:`member_arrays` gives them.
    activation : name of `ACTIVATIONS`
        Of all layers but the last.
    """

    def __init__(self, arrays: Weights, activation: str) -> None:
        names = [name.rsplit(".", 1)[0] for name in arrays if name.startswith("head.")]
        self.layers = [
            (
                np.ascontiguousarray(arrays[f"{name}.weight"].swapaxes(1, 2)),
                arrays[f"{name}.bias"][:, None],
            )
            for name, _ in groupby(names)
        ]
        self.activation = ACTIVATIONS[activation]

    def __call__(self, x: Floats) -> Floats:
        """Return the outputs of the members for what each of them, or all, read."""
        *before, (weight, bias) = self.layers
        for inner_weight, inner_bias in before:
            x = self.activation(x @ inner_weight + inner_bias)
        return x @ weight + bias


def in_place(activation: Activation) -> Callable[[Floats, Floats], Any]:
    """Let an activation write where it is told, as NumPy's own functions do."""
    if isinstance(activation, np.ufunc):
        return activation

    def write(x: Floats, out: Floats) -> None:
        out[...] = activation(x)

    return write


class Cell:
    """An LSTM layer in one direction, of all members side by side.

    torch's gates (input, forget, candidate, output) stand here in the order input, forget, output,
    candidate, and the first three with their sign changed: of these ``1 / (1 + exp(...))`` is due.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As :func:`member_arrays` gives them.
    name : str
        Of the layer and direction, such as ``"l0_reverse"``.
    activation : name of `ACTIVATIONS`
    """

    def __init__(self, arrays: Weights, name: str, activation: str) -> None:
        weight_ih, weight_hh, bias_ih, bias_hh = (
            arrays[f"recurrent.lstm.{part}_{name}"]
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        self.size = size = weight_hh.shape[2]
        order = np.concatenate([np.arange(size) + k * size for k in (0, 1, 3, 2)])
        sign = np.where(np.arange(4 * size) < 3 * size, -1.0, 1.0)
        self.weight_ih = np.ascontiguousarray(weight_ih[:, order].swapaxes(1, 2) * sign)
        self.weight_hh = np.ascontiguousarray(weight_hh[:, order].swapaxes(1, 2) * sign)
        self.bias = ((bias_ih + bias_hh)[:, order] * sign)[:, None]
        self.activate = in_place(ACTIVATIONS[activation])

    def read(
        self, x: Floats, n_steps: int, state: State, counts: Sequence[int], backward: bool
    ) -> tuple[Floats, State]:
        """Read sequences step by step.

        Parameters
        ----------
        x : ndarray of shape ([members,] n_steps * n, width)
            All rows of the first step, then those of the second, and so on.
        n_steps : int
        state : (hidden, cell), each of shape (members, n, size)
            Before the first step read.
        counts : sequence of int
            How many rows have a step: the first so many.
        backward : bool
            Read the last step first.

        Returns
        -------
        outputs : ndarray of shape (members, n_steps, n, size)
            0 where a row has no such step.
        state : (hidden, cell)
            After the last step read.
        """
        n_members, n, size = state[0].shape
        given = x @ self.weight_ih
        given += self.bias
        given = given.reshape(n_members, n_steps, n, 4 * size)
        outputs = np.zeros((n_members, n_steps, n, size))
        hidden, cell = state[0].copy(), state[1].copy()
        order = range(n_steps)[::-1] if backward else range(n_steps)
        for count, steps in groupby(order, key=counts.__getitem__):
            self._read_rows(
                given[:, :, :count],
                outputs[:, :, :count],
                hidden[:, :count],
                cell[:, :count],
                steps,
            )
        return outputs, (hidden, cell)

    def _read_rows(
        self, given: Floats, outputs: Floats, hidden: Floats, cell: Floats, steps: Iterable[int]
    ) -> None:
        """Read some steps of rows that have all of them; `hidden` and `cell` go along."""
        size, weight_hh, activate = self.size, self.weight_hh, self.activate
        product: Any = np.matmul
        if len(weight_hh) == 1:  # a product of matrices takes half the time of one of stacks
            product, weight_hh = np.dot, weight_hh[0]
            given, outputs, hidden, cell = given[0], outputs[0], hidden[0], cell[0]
        gates = np.empty(given[..., 0, :, :].shape)
        # What a step works on, cut once.
        open_ = gates[..., : 3 * size]
        take_in, keep, put_out, candidate = (
            gates[..., k * size : (k + 1) * size] for k in range(4)
        )
        before = hidden
        for step in steps:
            after = outputs[..., step, :, :]
            product(before, weight_hh, out=gates)
            gates += given[..., step, :, :]
            np.exp(open_, out=open_)
            open_ += 1.0
            np.reciprocal(open_, out=open_)
            activate(candidate, candidate)
            candidate *= take_in
            cell *= keep
            cell += candidate
            activate(cell, after)
            after *= put_out
            before = after
        hidden[...] = before


class RecurrentPass:
    """Stacked LSTM layers of all members.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As :func:`member_arrays` gives them.
    n_layers : int
    bidirectional : bool
    activation : name of `ACTIVATIONS`

    Attributes
    ----------
    n_members : int
    n_states : int
        Layers of a member's state: one a layer and direction.
    """

    def __init__(
        self, arrays: Weights, *, n_layers: int, bidirectional: bool, activation: str
    ) -> None:
        suffixes = ("", "_reverse") if bidirectional else ("",)
        self.layers = [
            [Cell(arrays, f"l{layer}{suffix}", activation) for suffix in suffixes]
            for layer in range(n_layers)
        ]
        self.n_members = len(self.layers[0][0].bias)
        self.n_states = n_layers * len(suffixes)
        self.n_directions = len(suffixes)

    def __call__(
        self, x: Floats, state: State | None = None, lengths: Ints | None = None
    ) -> tuple[Floats, State]:
        """Read the sequences ``(n, steps, features)``, from `state` or from zeros.

        With `lengths`, ``(n,)`` and at least 1, what stands behind a sequence's own length is
        padding: neither direction reads it, and the output there is 0.

        Returns
        -------
        outputs : ndarray of shape (members, n, steps, out_features)
        state : (hidden, cell), each of shape (members, n_states, n, hidden_size)
        """
        n, n_steps, _ = x.shape
        size = self.layers[0][0].size
        if state is None:
            zeros = np.zeros((self.n_members, self.n_states, n, size))
            state = zeros, zeros
        order = None
        counts = [n] * n_steps
        if lengths is not None and (lengths < n_steps).any():
            # Longest first: the rows that have a step are the first ones, at every step.
            order = np.argsort(-lengths, kind="stable")
            x, state = x[order], (state[0][:, :, order], state[1][:, :, order])
            counts = np.count_nonzero(lengths > np.arange(n_steps)[:, None], axis=1).tolist()
        read: Floats = np.ascontiguousarray(x.swapaxes(0, 1)).reshape(n_steps * n, -1)
        ends: list[State] = []
        for cells in self.layers:
            sequences = []
            for cell, backward in zip(cells, (False, True), strict=False):
                start = state[0][:, len(ends)], state[1][:, len(ends)]
                sequence, end = cell.read(read, n_steps, start, counts, backward)
                sequences.append(sequence)
                ends.append(end)
            both = sequences[0] if len(sequences) == 1 else np.concatenate(sequences, axis=-1)
            read = both.reshape(self.n_members, n_steps * n, -1)
        outputs = both.swapaxes(1, 2)
        hidden, cell_state = (np.stack(part, axis=1) for part in zip(*ends, strict=True))
        if order is not None:
            back = np.argsort(order)
            outputs, hidden = outputs[:, back], hidden[:, :, back]
            cell_state = cell_state[:, :, back]
        return outputs, (hidden, cell_state)

    def last_hidden(self, state: State) -> Floats:
        """Return what the last layer knows at its end, ``(members, n, out_features)``."""
        hidden = state[0][:, -self.n_directions :]
        return np.concatenate(list(hidden.swapaxes(0, 1)), axis=-1)


class ForwardPass:
    """The network of a forecaster, of one member or several, in evaluation.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By the names in the ``state_dict`` of an :class:`LSTMNetwork` or :class:`LSTMEnsemble`.
    n_layers, bidirectional, activation, dense_activation, skip_connection
        Options of that network; its others have no effect on a forecast.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm import LSTMNetwork
    >>> from sklearn_jobtime.lstm.forward import ForwardPass
    >>> network = LSTMNetwork(n_features=3, n_outputs=2, hidden_size=8)
    >>> weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    >>> ForwardPass(weights)(np.zeros((4, 10, 3))).shape
    (4, 2)
    """

    def __init__(
        self,
        weights: Weights,
        *,
        n_layers: int = 1,
        bidirectional: bool = False,
        activation: str = "tanh",
        dense_activation: str = "relu",
        skip_connection: bool = False,
        **_of_training: Any,
    ) -> None:
        arrays = member_arrays(weights)
        self.recurrent = RecurrentPass(
            arrays, n_layers=n_layers, bidirectional=bidirectional, activation=activation
        )
        self.head = DenseLayers(arrays, dense_activation)
        self.skip_connection = skip_connection

    @property
    def n_state_layers(self) -> int:
        """Layers of a state, those of all members."""
        return self.recurrent.n_members * self.recurrent.n_states

    def __call__(self, x: Floats) -> Floats:
        """Forecast from the windows `x`, ``(n, steps, features)``: ``(n, n_outputs)``."""
        with np.errstate(all="ignore"):  # cells without a bound can overflow, as they do in torch
            _, state = self.recurrent(x)
            return self._outputs(self.recurrent.last_hidden(state), x[:, -1])

    def forecast_each_step(
        self, x: Floats, state: State | None = None, lengths: Ints | None = None
    ) -> tuple[Floats, State]:
        """Forecast at every step of the sequences `x`, from `state` or from zeros.

        In `state`, ``(n_state_layers, n, hidden_size)`` each, the layers of the members stand one
        behind the other.

        Returns
        -------
        outputs : ndarray of shape (n, steps, n_outputs)
            Where the sequence is padded (see :class:`RecurrentPass`) they mean nothing.
        state : (hidden, cell)
            After the last step, to go on from.
        """
        n_members = self.recurrent.n_members
        if state is not None:
            hidden, cell = (part.reshape(n_members, -1, *part.shape[1:]) for part in state)
            state = hidden, cell
        with np.errstate(all="ignore"):
            sequence, (hidden, cell) = self.recurrent(x, state, lengths)
            flat = sequence.reshape(n_members, -1, sequence.shape[-1])
            outputs = self._outputs(flat, x.reshape(-1, x.shape[-1]))
        after = tuple(part.reshape(-1, *part.shape[2:]) for part in (hidden, cell))
        return outputs.reshape(*x.shape[:2], -1), after  # type: ignore[return-value]

    def _outputs(self, ends: Floats, newest: Floats) -> Floats:
        """Return the mean forecast of the members, ``(n, n_outputs)``."""
        if self.skip_connection:
            beside = np.broadcast_to(newest, (len(ends), *newest.shape))
            ends = np.concatenate([ends, beside], axis=-1)
        outputs = self.head(ends)
        return outputs[0] if len(outputs) == 1 else outputs.mean(axis=0)


def forecast_windows(network: ForwardPass, X: Floats, mean: Floats, scale: Floats) -> Floats:
    """Return the standardised forecasts ``(n, n_outputs)`` for windows as they come.

    Parameters
    ----------
    network : ForwardPass
    X : ndarray of shape (n, n_steps, n_features)
        Windows, usually a strided view on a table that is never copied whole; NaN = not known.
    mean, scale : ndarray of shape (n_features,)
        What they are standardised with.
    """
    blocks = [
        network(standardised_inputs(X[begin : begin + BLOCK_ROWS], mean, scale))
        for begin in range(0, max(1, len(X)), BLOCK_ROWS)
    ]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
