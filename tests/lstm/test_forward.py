"""The forward pass in NumPy is that of the torch network, for every option."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.lstm import forecaster, names, network, weights
from sklearn_jobtime.lstm.forward import ACTIVATIONS, ForwardPass, forecast_windows
from sklearn_jobtime.lstm.net_state import network_weights
from sklearn_jobtime.lstm.network import LSTMEnsemble, LSTMNetwork
from sklearn_jobtime.lstm.window_inputs import standardised_inputs

OPTIONS = st.fixed_dictionaries(
    {
        "n_features": st.integers(1, 4),
        "n_outputs": st.integers(1, 3),
        "hidden_size": st.integers(1, 5),
        "n_layers": st.integers(1, 3),
        "bidirectional": st.booleans(),
        "activation": st.sampled_from(sorted(ACTIVATIONS)),
        "dense_units": st.sampled_from([(), 3, (4, 2)]),
        "dense_activation": st.sampled_from(sorted(ACTIVATIONS)),
        "skip_connection": st.booleans(),
        "dropout": st.just(0.3),
    }
)


def both(options, n_members, seed):
    """A torch network in double precision with rather large weights, and its forward pass."""
    made = {"generator": seed, "weight_init": "glorot_normal", **options}
    net = LSTMEnsemble(n_members, **made) if n_members > 1 else LSTMNetwork(**made)
    for weight in net.parameters():
        weight.data.mul_(1.5).add_(0.1)
    return net.double().eval(), ForwardPass(network_weights(net), **options)


def agree(found, expected):
    """To 1e-6 relative; what is that small beside the others need not agree in all digits."""
    expected = expected.numpy()
    atol = 1e-12 * max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=atol)


@settings(deadline=None)
@given(OPTIONS, st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**31 - 1))
def test_windows_as_in_torch(options, n_members, n_steps, seed):
    net, forward = both(options, n_members, seed)
    x = np.random.default_rng(seed).normal(size=(4, n_steps, options["n_features"])) * 3
    with torch.inference_mode():
        agree(forward(x), net(torch.from_numpy(x)))


@settings(deadline=None)
@given(
    OPTIONS,
    st.integers(1, 3),
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 2**31 - 1),
)
def test_each_step_from_a_state_with_lengths_as_in_torch(options, n_members, lengths, starts, seed):
    net, forward = both(options, n_members, seed)
    rng = np.random.default_rng(seed)
    lengths = np.array(lengths)
    n, n_steps = len(lengths), 6
    x = rng.normal(size=(n, n_steps, options["n_features"]))
    state = torch_state = None
    if starts:
        shape = (2, forward.n_state_layers, n, options["hidden_size"])
        state = tuple(rng.normal(size=shape))
        torch_state = tuple(map(torch.from_numpy, state))
    assert forward.n_state_layers == net.n_state_layers
    with torch.inference_mode():
        outputs, after = net.forecast_each_step(
            torch.from_numpy(x), torch_state, torch.from_numpy(lengths)
        )
    found, found_after = forward.forecast_each_step(x, state, lengths)
    agree(found, outputs)
    for one, other in zip(found_after, after, strict=True):
        agree(one, other)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_as_in_torch_far_out_too(activation):
    x = np.concatenate([np.linspace(-30, 30, 401), [-1e300, -800, 800, 1e300, np.inf, np.nan]])
    expected = network.make_activation(activation)(torch.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        found = ACTIVATIONS[activation](x)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-13)


def test_many_windows_in_blocks_are_all_windows_at_once():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 2)) * 5
    table[rng.random(table.shape) < 0.1] = np.nan
    X = np.lib.stride_tricks.sliding_window_view(table, 5, axis=0).swapaxes(1, 2)
    _, forward = both({"n_features": 2, "n_outputs": 2, "hidden_size": 3}, 1, 0)
    mean, scale = np.array([1.0, 2.0]), np.array([0.3, 4.0])
    naive = np.clip(np.nan_to_num((X - mean) / scale), -10, 10)
    np.testing.assert_array_equal(standardised_inputs(X, mean, scale), naive)
    found = forecast_windows(forward, X, mean, scale)
    np.testing.assert_allclose(found, forward(naive), rtol=1e-12)


def test_many_windows_of_a_gpu_model_go_through_torch(monkeypatch):
    """On this machine without a GPU as well as on one with: the same digits, to rounding."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4, 2))
    model = LSTMForecaster(4, max_epochs=2, device="cpu", random_state=0).fit(X, X[:, -1])
    expected, keys = model.predict(X), set(vars(model))
    model.device_ = "cuda"
    monkeypatch.setattr(forecaster, "DEVICE_WINDOWS", 50)
    monkeypatch.setattr(forecaster, "forecast_windows", None)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9)
    assert set(vars(model)) == keys


def test_the_names_of_the_options_are_those_that_torch_is_asked_for():
    assert set(ACTIVATIONS) == set(network.ACTIVATIONS)
    assert set(names.INITIAL_WEIGHTS) == set(weights.INITIAL_WEIGHTS)
