"""Windows are gathered where they are read: nothing is copied from there while an epoch runs."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_jobtime import LSTMForecaster, StatefulForecaster
from sklearn_jobtime.lstm import ResidualForecaster
from sklearn_jobtime.lstm.batches import Batches, WindowDataset, table_under

RNG = np.random.default_rng(0)


@given(st.data())
def test_the_table_under_any_view_gives_its_windows(data):
    size = st.integers(1, 4)
    n, n_steps, n_features = (data.draw(size) for _ in range(3))
    table = np.arange(600.0).reshape(60, 10)
    kind = data.draw(st.sampled_from(["sliding", "copied", "thinned", "backwards", "lags", "one"]))
    X = np.lib.stride_tricks.sliding_window_view(table[:, :n_features], n_steps, axis=0)
    X = X[:n].swapaxes(1, 2)
    if kind == "copied":
        X = X.copy()
    elif kind == "thinned":  # the rows between two windows belong to none
        X = np.lib.stride_tricks.sliding_window_view(table, n_steps, axis=0)[::15][:n].swapaxes(
            1, 2
        )
    elif kind == "backwards":
        X = X[::-1, :, ::-1]
    elif kind == "lags":  # a feature is the one before, a step later
        X = np.lib.stride_tricks.as_strided(table, (n, n_steps, n_features), (8, 8, 8))
    elif kind == "one":
        X = np.broadcast_to(X[:1], X.shape)
    found, (per_window, per_step) = table_under(X)
    rows = np.arange(X.shape[0])[:, None] * per_window + np.arange(n_steps) * per_step
    np.testing.assert_array_equal(found[rows], X)
    assert len(found) <= X.shape[0] * n_steps


@pytest.mark.parametrize("n", [0, 50, 5000])
def test_batches_are_the_standardised_windows_in_single_precision(n):
    table = RNG.normal(size=(max(n, 1) + 2, 3)) * 1e3
    table[RNG.random(table.shape) < 0.1] = np.nan
    X = np.lib.stride_tricks.sliding_window_view(table, 3, axis=0).swapaxes(1, 2)[:n]
    mean, scale = np.array([1.0, 2.0, 3.0]), np.array([100.0, 1.0, 1000.0])
    y, rows = torch.arange(float(n))[:, None], np.arange(0, n, 3)
    dataset = WindowDataset(X, y, rows, mean, scale).on(torch.device("cpu"))
    batches = list(Batches(dataset, 7, torch.Generator().manual_seed(0)))
    assert [len(x) for x, _ in batches] == [7] * (len(rows) // 7) + [len(rows) % 7] * (
        len(rows) % 7 > 0
    )
    for x, targets in batches:
        some = X[targets[:, 0].numpy().astype(int)]
        expected = np.clip(np.nan_to_num((some - mean) / scale), -10, 10).astype(np.float32)
        np.testing.assert_array_equal(x.numpy(), expected)
    assert sorted(float(one) for _, targets in batches for one in targets) == rows.tolist()


class HostCopies(TorchDispatchMode):
    """Counts what would wait for a GPU, or copy from or to it."""

    ON_HOST = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")

    def __init__(self, monkeypatch):
        super().__init__()
        self.seen = Counter()
        for owner, name in ((torch.Tensor, "numpy"), (torch.Tensor, "cpu"), (torch, "from_numpy")):
            monkeypatch.setattr(owner, name, self.counted(name, getattr(owner, name)))

    def counted(self, name, function):
        def call(*args, **kwargs):
            self.seen[name] += 1
            return function(*args, **kwargs)

        return call

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        indices = args[1] if name == "index" else ()
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        if name in self.ON_HOST or by_mask:
            self.seen["index by a mask" if by_mask else name] += 1
        return function(*args, **(kwargs or {}))


def forecaster(X, y, at_least, weight, epochs):
    model = LSTMForecaster(4, max_epochs=epochs, batch_size=8, device="cpu", random_state=0)
    return model.fit(X, y, sample_weight=weight, at_least=at_least)


def residual(X, y, _at_least, _weight, epochs):
    options = {"n_members": 2, "max_epochs": epochs, "batch_size": 8, "random_state": 0}
    return ResidualForecaster(4, dropout=0.1, device="cpu", **options).fit(X, y)


def stateful(X, y, at_least, weight, epochs):
    network = LSTMForecaster(4, max_epochs=epochs, batch_size=2, device="cpu", random_state=0)
    model = StatefulForecaster(network, n_steps=4)
    series = np.arange(len(X)) % 4
    return model.fit(X[:, -1], y, series=series, at_least=at_least, sample_weight=weight)


@pytest.mark.parametrize("fit", [forecaster, residual, stateful])
def test_batches_copy_nothing_from_or_to_the_host_and_an_epoch_a_constant(fit, monkeypatch):
    """On the CPU the same code runs, so the calls that would copy can be counted there."""

    def copies(n, epochs):
        X = RNG.normal(size=(n, 3, 2))
        y, at_least = X[:, -1] + 5, np.full((n, 2), np.nan)
        y[::5, 0] = np.nan
        at_least[::10, 0] = 4.0
        with monkeypatch.context() as patch, HostCopies(patch) as found:
            model = fit(X, y, at_least, np.linspace(1, 2, n), epochs)
        model = getattr(model, "forecaster_", model)
        return found.seen, len(model.training_history_)

    few, n_epochs = copies(80, 3)
    many, _ = copies(160, 3)
    longer, n_epochs_longer = copies(80, 5)
    assert (n_epochs, n_epochs_longer) == (3, 5)
    # What is done once a fit may grow with its rows, by a block; not with its batches.
    assert many == few
    per_epoch = {name: (longer[name] - few[name]) / 2 for name in longer}
    assert max(per_epoch.values()) <= 10, per_epoch
    assert "index by a mask" not in few
