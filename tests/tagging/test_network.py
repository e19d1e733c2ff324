"""The network reads no padding, hides what it should, and its loss is the textbook's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.lstm.network import RecurrentLayers, SpatialDropout
from sklearn_jobtime.tagging._events import NO_TAG, PADDING, UNKNOWN
from sklearn_jobtime.tagging._network import SequenceDataset, TaggingNetwork, TagLoss, count_right

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("bidirectional", [False, True])
@settings(deadline=None, max_examples=15)
@given(lengths=LENGTHS, extra=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_padded_sequence_is_read_as_it_is_alone(activation, bidirectional, lengths, extra, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = RecurrentLayers(
            3, hidden_size=4, n_layers=2, bidirectional=bidirectional, activation=activation
        ).double()
        x = torch.randn(len(lengths), max(lengths) + extra, 3, dtype=torch.float64)
    sequence, (hidden, cell) = layers(x, lengths=torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, (hidden_alone, cell_alone) = layers(x[row : row + 1, :length])
        torch.testing.assert_close(sequence[row, :length], alone[0])
        torch.testing.assert_close(hidden[:, row], hidden_alone[:, 0])
        torch.testing.assert_close(cell[:, row], cell_alone[:, 0])
        assert not sequence[row, length:].any()


def test_the_loop_over_steps_reads_lengths_as_the_fused_kernel_does():
    torch.random.default_generator.manual_seed(0)
    layers = RecurrentLayers(2, hidden_size=3, n_layers=2, bidirectional=True).double()
    x, lengths = torch.randn(3, 5, 2, dtype=torch.float64), torch.tensor([5, 1, 3])
    fused, states = layers(x, lengths=lengths)
    looped, looped_states = layers._unrolled(x, None, lengths)
    torch.testing.assert_close(fused, looped)
    torch.testing.assert_close(states, looped_states)


def test_spatial_dropout_hides_whole_channels_and_keeps_the_mean():
    layer = SpatialDropout(0.25)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = layer(torch.ones(200, 7, 20))
    hidden = found == 0
    assert torch.equal(hidden.all(dim=1), hidden.any(dim=1))
    assert found.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(layer.eval()(torch.ones(2, 3, 4)), torch.ones(2, 3, 4))


def codes_read(network, codes, lengths):
    """Codes that reach the embedding."""
    seen = []
    network.embeddings[0].register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    network(codes, torch.zeros(*codes.shape[:2], 0), lengths)
    return seen[0]


def test_codes_become_the_unknown_in_training_only_and_padding_never():
    codes = torch.full((50, 40, 1), 3)
    codes[:, 30:] = PADDING
    lengths = torch.full((50,), 30)
    network = TaggingNetwork([5], 0, n_tags=2, unknown_share=0.3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        read = codes_read(network, codes, lengths)
    assert (read[:, 30:] == PADDING).all()
    assert set(read[:, :30].unique().tolist()) == {UNKNOWN, 3}
    assert (read[:, :30] == UNKNOWN).double().mean().item() == pytest.approx(0.3, abs=0.04)
    assert (codes[:, :30] == 3).all()
    still = codes_read(TaggingNetwork([5], 0, 2, unknown_share=0.3).eval(), codes, lengths)
    assert torch.equal(still, codes[..., 0])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(NO_TAG, 2), min_size=1, max_size=12), st.integers(0, 99))
def test_the_loss_is_the_mean_weighted_cross_entropy_of_the_tagged_events(tags, seed):
    rng = np.random.default_rng(seed)
    logits, weights = rng.normal(size=(len(tags), 3)), np.array([0.5, 1.0, 4.0])
    losses = []
    for row, tag in zip(logits, tags, strict=True):
        if tag != NO_TAG:
            losses.append(weights[tag] * (np.log(np.exp(row).sum()) - row[tag]))
    loss = TagLoss(torch.tensor(weights))(torch.tensor(logits)[None], torch.tensor(tags)[None])
    assert loss.item() == pytest.approx(np.mean(losses) if losses else 0.0, abs=1e-9)
    right = sum(row.argmax() == tag for row, tag in zip(logits, tags, strict=True))
    assert count_right(torch.tensor(logits), torch.tensor(tags)) == (right, len(losses))


def test_a_batch_without_tags_teaches_nothing():
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    loss = TagLoss(torch.ones(3))(logits, torch.full((1, 2), NO_TAG))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_a_batch_is_padded_to_the_longest_of_its_own_sequences():
    lengths = np.array([1, 3, 2])
    codes = np.arange(6)[:, None] + 2
    dataset = SequenceDataset(
        codes, np.zeros((6, 1)), lengths, np.arange(6), np.arange(3), one_tag=False
    )
    inputs, tags = dataset[np.array([2, 0])]
    assert inputs["codes"][..., 0].tolist() == [[6, 7], [2, PADDING]]
    assert inputs["lengths"].tolist() == [2, 1]
    assert tags.tolist() == [[4, 5], [0, NO_TAG]]
    assert len(dataset.subset(slice(1, None))) == 2
