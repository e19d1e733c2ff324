"""Truncated back-propagation through time: its gradients, and the chunks of the series."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.lstm.network import LSTMEnsemble
from sklearn_jobtime.lstm.series_chunks import chunks_of, rows_of_series
from sklearn_jobtime.lstm.truncated_bptt import Chunks, SeriesDataset, TruncatedBPTT


@pytest.mark.parametrize("n_members", [1, 2])
def test_one_chunk_over_a_series_is_full_back_propagation(n_members):
    """Gradients against a loop of torch's own cell; shorter chunks give others."""
    torch.manual_seed(0)
    options = {"n_features": 3, "n_outputs": 2, "hidden_size": 4}
    network = LSTMEnsemble(n_members, **options)
    x, weight = torch.randn(1, 12, 3), torch.randn(12, 2 * n_members)

    def gradient(n_steps):
        network.zero_grad()
        trained = TruncatedBPTT(network)
        for begin in range(0, 12, n_steps):
            outputs = trained(x[:, begin : begin + n_steps], torch.tensor([begin == 0]))
            (outputs * weight[begin : begin + n_steps]).sum().backward()
        return torch.cat([p.grad.flatten() for p in network.parameters()])

    network.zero_grad()
    for k, member in enumerate(network.members):
        lstm = member.recurrent.lstm
        cell = torch.nn.LSTMCell(3, 4)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            delattr(cell, name)
            setattr(cell, name, getattr(lstm, f"{name}_l0"))
        state, loss = None, 0.0
        for step in range(12):
            state = cell(x[:, step], state)
            loss = loss + (member.head(state[0]) * weight[step, 2 * k : 2 * k + 2]).sum()
        loss.backward()
    full = torch.cat([p.grad.flatten() for p in network.parameters()])
    torch.testing.assert_close(gradient(12), full)
    torch.testing.assert_close(gradient(50), full)
    assert not torch.allclose(gradient(4), full, rtol=0.01)


@settings(deadline=None, max_examples=40)
@given(
    series=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    n_steps=st.integers(1, 20),
    batch_size=st.integers(1, 4),
    cut=st.floats(0, 1),
)
def test_chunks_hold_every_row_once_in_order_up_to_the_last_that_counts(
    series, n_steps, batch_size, cut
):
    _, codes = np.unique(series, return_inverse=True)
    n = len(codes)
    counted = np.arange(n)[int(cut * (n - 1)) :]
    X = np.arange(float(n)).reshape(n, 1, 1)
    y, scale = torch.from_numpy(X[:, 0]), np.full(1, 100.0)  # within the bound of the inputs
    dataset = SeriesDataset(X, y, counted, np.zeros(1), scale, torch.float64, series=codes)
    state = {}
    for batch, targets in Chunks(dataset, batch_size, torch.Generator(), n_steps=n_steps):
        x = (batch["x"][..., 0].numpy() * 100).round().astype(int)
        n_series, width = x.shape
        assert width <= n_steps
        assert n_series <= batch_size
        if batch["begins"]:
            by_series = [[] for _ in range(n_series)]
        assert batch["begins"] == (not by_series[0])
        known = targets.numpy().reshape(n_series, width)
        for mine, values, target in zip(by_series, x, known, strict=False):
            mine += list(zip(values.tolist(), target.tolist(), strict=True))
        for mine in by_series[:n_series]:
            state[codes[mine[0][0]]] = mine
    for code, mine in enumerate(rows_of_series(codes)):
        wanted = [row for row in mine if row <= max(set(mine) & set(counted), default=-1)]
        found = state.get(code, [])
        assert [row for row, _ in found[: len(wanted)]] == wanted
        assert np.isnan([target for _, target in found[len(wanted) :]]).all()
        scored = {row for row, target in found if not np.isnan(target)}
        assert scored == set(mine) & set(counted)


def test_series_are_cut_side_by_side():
    chunks = list(chunks_of([np.arange(5), np.arange(5, 7)], n_steps=3))
    assert [found.tolist() for found, _ in chunks] == [[[0, 1, 2], [5, 6, -1]], [[3, 4]]]
    assert [lengths.tolist() for _, lengths in chunks] == [[3, 2], [2]]
