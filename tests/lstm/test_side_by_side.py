"""Fits in several threads are the fits one by one, and nothing of the process is touched."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn import functional

from sklearn_jobtime import LSTMForecaster, LSTMTagger, StatefulForecaster
from sklearn_jobtime.lstm import NetworkOptions, RecurrentLayers, ResidualForecaster
from sklearn_jobtime.lstm.dropout import drawing_from, dropout
from sklearn_jobtime.lstm.threads import limited_threads
from sklearn_jobtime.tagging import TaggerOptions

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4, 2))
Y = X[:, -1, 0] + 5
EVENTS = np.where(X[..., 0] > 0, "late", "early")

QUICK = {"max_epochs": 3, "device": "cpu"}


def forecaster(seed):
    rare = NetworkOptions(recurrent_dropout=0.1, spatial_dropout=0.1, dense_units=3)
    layers = {"n_layers": 2, "dropout": 0.2, "network_options": rare}
    return LSTMForecaster(5, **layers, random_state=seed, **QUICK).fit(X, Y)


def stacked(seed):
    drawn = NetworkOptions(weight_init="orthogonal")
    fused = {"n_layers": 2, "dropout": 0.3, "network_options": drawn}
    return LSTMForecaster(5, **fused, random_state=seed, **QUICK).fit(X, Y)


def residual(seed):
    return ResidualForecaster(4, dropout=0.2, random_state=seed, **QUICK).fit(X, Y)


def stateful(seed):
    network = LSTMForecaster(4, dropout=0.2, random_state=seed, **QUICK)
    return StatefulForecaster(network, n_steps=5).fit(X, Y, series=np.arange(60) % 3)


def tagger(seed):
    options = {"n_layers": 2, "dropout": 0.2, "network_options": TaggerOptions(unknown_share=0.3)}
    return LSTMTagger(4, **options, random_state=seed, **QUICK).fit(EVENTS, EVENTS)


def forecast(model):
    if isinstance(model, LSTMTagger):
        return model.predict_proba(EVENTS)
    if isinstance(model, StatefulForecaster):
        return model.predict(X, series=np.arange(60) % 3)
    return model.predict(X)


@pytest.mark.parametrize("fit", [forecaster, stacked, residual, stateful, tagger])
def test_fits_at_once_are_the_fits_one_by_one_while_others_draw(fit):
    def draw(n):
        return [(torch.rand(1).item(), np.random.rand()) for _ in range(n)]  # noqa: NPY002

    one_by_one = [forecast(fit(seed)) for seed in range(3)]
    before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    try:
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        expected = draw(300)
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        with ThreadPoolExecutor(3) as pool:
            at_once = [pool.submit(fit, seed) for seed in range(3)]
            drawn = draw(300)
            at_once = [forecast(one.result()) for one in at_once]
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
    assert drawn == expected
    for one, other in zip(one_by_one, at_once, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(at_once[0], at_once[1])


def test_masks_are_those_of_torch():
    x = torch.randn(7, 5)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = functional.dropout(x, 0.4)
    assert torch.equal(dropout(x, 0.4, True, torch.Generator().manual_seed(3)), expected)
    assert torch.equal(dropout(x, 0.4, False), x)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, torch.tensor([2, 6, 4])])
def test_layer_by_layer_the_kernel_gives_what_the_loop_gives(bidirectional, lengths):
    """Without a mask between the layers both are torch's LSTM; here all values are hidden."""
    layers = RecurrentLayers(3, 4, n_layers=3, bidirectional=bidirectional).double()
    x = torch.randn(3, 6, 3, dtype=torch.float64)
    for state in (None, tuple(torch.randn(2, 3 * (1 + bidirectional), 3, 4).double())):
        expected, (hidden, cell) = layers(x, state, lengths)
        layers.dropout = 1e-300  # the path of dropout, that hides nothing
        found = layers.train()(x, state, lengths)
        layers.dropout = 0.0
        for a, b in zip((expected, hidden, cell), (found[0], *found[1]), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_the_share_of_hidden_values_between_the_layers():
    layers = RecurrentLayers(2, 50, n_layers=2, dropout=0.25).train()
    seen = []
    with drawing_from(layers, torch.Generator().manual_seed(0)), torch.no_grad():
        layers.lstm.weight_ih_l1.zero_()
        layers.lstm.weight_ih_l1[:50] = torch.eye(50) * 1e4  # a gate is open where a value came in
        layers.lstm.weight_hh_l1.zero_()
        layers.lstm.bias_ih_l1.zero_()
        layers.lstm.bias_hh_l1.zero_()
        layers.lstm.bias_ih_l1[100:150] = 1.0
        for _ in range(20):
            seen.append(layers(torch.randn(10, 1, 2))[1][1][1])
    cell = torch.stack(seen)
    halfway = torch.tanh(torch.tensor(1.0)) / 2  # the gate of a value that is 0
    assert float(torch.isclose(cell, halfway).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_the_number_of_threads_comes_back_however_blocks_overlap():
    before = torch.get_num_threads()
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    seen = {}

    def first():
        with limited_threads(2):
            first_is_in.set()
            second_is_in.wait(30)
            seen["first in"] = torch.get_num_threads()
        seen["first out"] = torch.get_num_threads()
        first_is_out.set()

    def second():  # its thread is new to torch while the other one has its limit
        first_is_in.wait(30)
        with limited_threads(1):
            second_is_in.set()
            first_is_out.wait(30)
            seen["second in"] = torch.get_num_threads()
        seen["second out"] = torch.get_num_threads()

    torch.set_num_threads(3)
    try:
        threads = [threading.Thread(target=one) for one in (first, second)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(60)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {"first in": 2, "first out": 3, "second in": 1, "second out": 3}
