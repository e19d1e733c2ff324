"""The network agrees with the published equations, and its two ways to compute with each other."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from torch.nn.functional import dropout

from sklearn_jobtime.lstm import LSTMNetwork, RecurrentLayers
from sklearn_jobtime.lstm.losses import MaskedLoss
from sklearn_jobtime.lstm.network import ACTIVATIONS, LSTMEnsemble

SIZES = {
    "n_features": st.integers(1, 4),
    "hidden_size": st.integers(1, 6),
    "n_steps": st.integers(1, 6),
    "n_rows": st.integers(1, 4),
    "n_layers": st.integers(1, 3),
    "bidirectional": st.booleans(),
}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(a, alpha=1.0):
    return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0)))


# The published formulas, in NumPy.
ACTIVATION_FORMULAS = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),
    "softsign": lambda a: a / (1 + np.abs(a)),
    "relu": lambda a: np.maximum(a, 0),
    "elu": elu,
    "selu": lambda a: 1.0507009873554805 * elu(a, 1.6732632423543772),
    "gelu": lambda a: a * norm.cdf(a),
    "softplus": lambda a: np.log1p(np.exp(a)),
    "linear": lambda a: a,
}


def lstm_by_equations(x, weights, act, h, c, mask=1.0):
    """Hidden states of one sequence ``(steps, features)`` and its last cell, gate by gate.

    Hochreiter and Schmidhuber (1997) with the forget gate of Gers, Schmidhuber and Cummins (2000),
    in torch's order of the gates; `mask` is the recurrent dropout of Gal and Ghahramani (2016).
    """
    w_ih, w_hh, b_ih, b_hh = weights
    size = len(w_ih) // 4
    part = {gate: slice(k * size, (k + 1) * size) for k, gate in enumerate("ifgo")}
    states = []
    for x_t in x:
        a = {k: w_ih[p] @ x_t + b_ih[p] + w_hh[p] @ (h * mask) + b_hh[p] for k, p in part.items()}
        forget_gate, input_gate, output_gate = (sigmoid(a[gate]) for gate in "fio")
        c = forget_gate * c + input_gate * act(a["g"])
        h = output_gate * act(c)
        states.append(h)
    return np.array(states), c


def layers_by_equations(x, layers, hidden, cell, masks=None):
    """Sequence, hidden and cell states of one row through all layers and directions."""
    act = ACTIVATION_FORMULAS[layers.activation]
    suffixes = ("", "_reverse") if layers.lstm.bidirectional else ("",)
    ends = []
    for layer in range(layers.lstm.num_layers):
        sequences = []
        for suffix in suffixes:
            k, step = len(ends), -1 if suffix else 1
            parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [
                getattr(layers.lstm, f"{part}_l{layer}{suffix}").detach().numpy() for part in parts
            ]
            mask = 1.0 if masks is None else masks[k]
            states, c = lstm_by_equations(x[::step], weights, act, hidden[k], cell[k], mask)
            sequences.append(states[::step])
            ends.append((states[-1], c))
        x = np.concatenate(sequences, axis=1)
    return x, np.array([h for h, _ in ends]), np.array([c for _, c in ends])


@given(**SIZES, recurrent_dropout=st.sampled_from([0.0, 0.4]), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=10)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_layers_follow_the_published_equations(
    activation,
    n_features,
    hidden_size,
    n_steps,
    n_rows,
    n_layers,
    bidirectional,
    recurrent_dropout,
    seed,
):
    torch.manual_seed(seed)
    layers = RecurrentLayers(
        n_features,
        hidden_size,
        n_layers=n_layers,
        bidirectional=bidirectional,
        activation=activation,
        recurrent_dropout=recurrent_dropout,
    ).double()
    x = torch.randn(n_rows, n_steps, n_features, dtype=torch.float64)
    shape = (n_layers * (1 + bidirectional), n_rows, hidden_size)
    start = torch.randn(2, *shape, dtype=torch.float64)
    torch.manual_seed(seed)  # a layer and direction after the other draws a mask a row
    masks = np.ones(shape)
    if recurrent_dropout:
        ones = torch.ones(shape[1:], dtype=torch.float64)
        masks = np.array([dropout(ones, recurrent_dropout).numpy() for _ in range(shape[0])])
    torch.manual_seed(seed)
    with torch.no_grad():
        sequence, (hidden, cell) = layers.train()(x, (start[0], start[1]))
        from_zeros = layers.eval()(x)[0]
    for row in range(n_rows):
        expected, h, c = layers_by_equations(
            x[row].numpy(), layers, *start[:, :, row].numpy(), masks[:, row]
        )
        np.testing.assert_allclose(sequence[row].numpy(), expected, atol=1e-6, rtol=1e-9)
        np.testing.assert_allclose(hidden[:, row].numpy(), h, atol=1e-6, rtol=1e-9)
        np.testing.assert_allclose(cell[:, row].numpy(), c, atol=1e-6, rtol=1e-9)
        zeros = np.zeros((shape[0], hidden_size))
        expected, _, _ = layers_by_equations(x[row].numpy(), layers, zeros, zeros)
        np.testing.assert_allclose(from_zeros[row].numpy(), expected, atol=1e-6, rtol=1e-9)


@given(**SIZES)
@settings(deadline=None, max_examples=30)
def test_the_loop_over_steps_equals_the_fused_kernel(
    n_features, hidden_size, n_steps, n_rows, n_layers, bidirectional
):
    layers = RecurrentLayers(
        n_features, hidden_size, n_layers=n_layers, bidirectional=bidirectional
    )
    x = torch.randn(n_rows, n_steps, n_features)
    state = tuple(
        torch.randn(n_layers * (1 + bidirectional), n_rows, hidden_size) for _ in range(2)
    )
    for start in (None, state):
        fused, fused_state = layers(x, start)
        looped, looped_state = layers._unrolled(x, start)
        torch.testing.assert_close(looped, fused, atol=1e-6, rtol=0)
        torch.testing.assert_close(looped_state, fused_state, atol=1e-6, rtol=0)


@given(cut=st.integers(1, 5), activation=st.sampled_from(["tanh", "relu"]))
@settings(deadline=None, max_examples=10)
def test_reading_goes_on_from_a_returned_state(cut, activation):
    layers = RecurrentLayers(2, 4, n_layers=2, activation=activation)
    x = torch.randn(3, 6, 2)
    whole, end = layers(x)
    first, state = layers(x[:, :cut])
    second, later = layers(x[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(later, end)


def test_gradients_of_loop_and_kernel_agree():
    layers = RecurrentLayers(3, 5, n_layers=2, bidirectional=True)
    x = torch.randn(4, 7, 3)
    gradients = []
    for forward in (layers, lambda x: layers._unrolled(x, None)):
        layers.zero_grad()
        forward(x)[0].square().sum().backward()
        gradients.append([weight.grad.clone() for weight in layers.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-5)


def test_recurrent_dropout_hides_the_same_units_at_every_step():
    """With only the recurrent connections alive, a hidden unit's own path shows its mask."""
    layers = RecurrentLayers(1, 50, recurrent_dropout=0.5)
    with torch.no_grad():
        for weight in layers.lstm.parameters():
            weight.zero_()
        # Open input and output gates; the candidate is 1 at step 0, then the unit's own past.
        layers.lstm.bias_ih_l0[:50] = 20.0
        layers.lstm.bias_ih_l0[50:100] = -20.0
        layers.lstm.bias_ih_l0[150:] = 20.0
        layers.lstm.weight_ih_l0[100:150] = 1.0
        layers.lstm.weight_hh_l0[100:150] = torch.eye(50)
    x = torch.zeros(20, 4, 1)
    x[:, 0] = 1.0
    sequence, _ = layers.train()(x)
    alive = sequence[:, 1:] > 1e-6
    assert (alive == alive[:, :1]).all()
    assert 0.3 < alive[:, 0].float().mean() < 0.7
    assert not (alive[0, 0] == alive[1, 0]).all()  # each sequence its own mask
    assert (layers.eval()(x)[0] > 1e-6).all()


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}])
def test_dropout_acts_in_training_only(options):
    network = LSTMNetwork(2, 1, 8, n_layers=2, **options)
    x = torch.randn(5, 4, 2)
    plain = LSTMNetwork(2, 1, 8, n_layers=2)
    plain.load_state_dict(network.state_dict())
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))
    torch.testing.assert_close(network(x), plain.eval()(x))


def test_dropout_acts_between_layers_of_the_loop_too():
    layers = RecurrentLayers(2, 8, n_layers=2, dropout=0.5, activation="relu")
    x = torch.randn(5, 4, 2)
    assert not torch.equal(layers.train()(x)[0], layers(x)[0])
    assert torch.equal(layers.eval()(x)[0], layers(x)[0])


@given(**SIZES, n_outputs=st.integers(1, 3), dense=st.sampled_from([(), 0, 5, [4, 3], (0, 2)]))
@settings(deadline=None, max_examples=30)
def test_any_network_maps_windows_to_outputs_row_by_row(
    n_features, hidden_size, n_steps, n_rows, n_layers, bidirectional, n_outputs, dense
):
    network = LSTMNetwork(
        n_features,
        n_outputs,
        hidden_size,
        n_layers=n_layers,
        bidirectional=bidirectional,
        dense_units=dense,
    )
    x = torch.randn(n_rows, n_steps, n_features)
    out = network(x)
    assert out.shape == (n_rows, n_outputs)
    torch.testing.assert_close(network(x[:1]), out[:1])
    linear = [layer for layer in network.head if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [
        *(units for units in np.atleast_1d(dense) if units),
        n_outputs,
    ]


def test_the_head_reads_both_ends_of_a_bidirectional_network():
    """The backward state after the whole window depends on the last step, and so on the first."""
    network = LSTMNetwork(1, 1, 4, bidirectional=True)
    x = torch.randn(1, 5, 1)
    sequence, _ = network.recurrent(x)
    ends = torch.cat([sequence[:, -1, :4], sequence[:, 0, 4:]], dim=1)
    torch.testing.assert_close(network(x), network.head(ends))


@pytest.mark.parametrize("activation", ["swish", "", "Tanh"])
def test_an_unknown_activation_is_named(activation):
    with pytest.raises(ValueError, match=f"unknown activation '{activation}'.*relu.*tanh"):
        RecurrentLayers(1, activation=activation)


@pytest.mark.parametrize("dense", [-1, (4, -2), 2.5])
def test_widths_have_to_be_whole_numbers(dense):
    with pytest.raises(ValueError, match="dense_units"):
        LSTMNetwork(1, 1, dense_units=dense)


def test_a_network_can_be_copied_and_its_weights_exchanged_between_activations():
    tanh = LSTMNetwork(2, 1, 4)
    relu = LSTMNetwork(2, 1, 4, activation="relu")
    relu.load_state_dict(tanh.state_dict())
    x = torch.randn(2, 3, 2)
    assert torch.equal(copy.deepcopy(relu)(x), relu(x))
    assert not torch.equal(relu(x), tanh(x))


WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("no torch here")
sys.meta_path.insert(0, NoTorch())
from sklearn_jobtime import LSTMForecaster
try:
    LSTMForecaster().fit([[1.0], [2.0]], [1.0, 2.0])
except ImportError as error:
    print(error)
"""


def test_torch_is_loaded_by_a_fit_only():
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=True
    )
    assert "torch" in ran.stdout


def test_forecasts_of_each_step_are_those_of_whole_sequences():
    torch.manual_seed(0)
    options = {"n_features": 3, "n_outputs": 2, "n_layers": 2, "skip_connection": True}
    for network in (LSTMNetwork(**options), LSTMEnsemble(2, **options)):
        network.double().eval()
        x = torch.randn(4, 9, 3, dtype=torch.float64)
        outputs, state = network.forecast_each_step(x)
        torch.testing.assert_close(outputs[:, -1], network(x))
        first, middle = network.forecast_each_step(x[:, :5])
        second, end = network.forecast_each_step(x[:, 5:], middle)
        torch.testing.assert_close(torch.cat([first, second], dim=1), outputs)
        torch.testing.assert_close(end, state)


def test_the_skip_connection_hands_the_last_step_to_the_head():
    torch.manual_seed(0)
    network = LSTMNetwork(3, 1, hidden_size=2, skip_connection=True).eval()
    with torch.no_grad():
        network.head[-1].weight[:, :2] = 0.0  # deaf to the LSTM
    x = torch.randn(5, 4, 3)
    expected = x[:, -1] @ network.head[-1].weight[0, 2:] + network.head[-1].bias
    torch.testing.assert_close(network(x)[:, 0], expected)
    assert LSTMNetwork(3, 1, hidden_size=2).head[-1].in_features == 2


def test_an_ensemble_is_the_mean_of_its_members():
    torch.manual_seed(0)
    networks = LSTMEnsemble(3, n_features=2, n_outputs=2, hidden_size=4)
    x = torch.randn(5, 6, 2)
    apart = torch.stack([member(x) for member in networks.members])
    torch.testing.assert_close(networks(x), torch.cat(list(apart), dim=1))
    torch.testing.assert_close(networks.eval()(x), apart.mean(dim=0))
    assert not torch.allclose(apart[0], apart[1])


def test_members_learn_from_their_own_errors():
    torch.manual_seed(0)
    networks = LSTMEnsemble(2, n_features=1, n_outputs=1, hidden_size=3)
    x, y = torch.randn(8, 4, 1), torch.randn(8, 1)
    y[2] = torch.nan
    loss = MaskedLoss(torch.nn.MSELoss())
    loss(networks(x), y).backward()
    for member in networks.members:
        together = [weight.grad.clone() for weight in member.parameters()]
        member.zero_grad()
        loss(member(x), y).backward()
        for weight, grad in zip(member.parameters(), together, strict=True):
            torch.testing.assert_close(weight.grad, 2 * grad)
