"""LSTMTagger: what it answers, what it reads, and that it is a scikit-learn classifier."""

import io
import logging

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import recall_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from sklearn_jobtime import LSTMTagger
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm import training
from sklearn_jobtime.tagging import TaggerOptions
from sklearn_jobtime.tagging._events import UNKNOWN

FEW = settings(deadline=None, max_examples=20)


def quick(**options):
    options = {"hidden_size": 8, "max_epochs": 3, **options}
    return LSTMTagger(device="cpu", random_state=0, **options)


def make_logs(n=60, seed=0, longest=9):
    """Logs of unequal length over four events, and their events again as tags."""
    rng = np.random.default_rng(seed)
    return [rng.choice(list("abcd"), rng.integers(2, longest)).tolist() for _ in range(n)]


def was_there_a_d(logs):
    """A tag that needs the past only."""
    return [["yes" if "d" in log[: k + 1] else "no" for k in range(len(log))] for log in logs]


def what_comes_next(logs):
    """A tag that needs the future."""
    return [[*log[1:], "end"] for log in logs]


def padded(rows, fill, steps=12):
    return np.array([list(row) + [fill] * (steps - len(row)) for row in rows], dtype=object)


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


LOGS = make_logs()
TAGS = was_there_a_d(LOGS)


@pytest.fixture(scope="module")
def two_way():
    return quick().fit(LOGS, what_comes_next(LOGS))


@pytest.fixture(scope="module")
def causal():
    return quick(bidirectional=False, n_layers=2).fit(LOGS, TAGS)


def test_a_tag_that_needs_the_future_is_found_by_reading_both_ways():
    logs, new = make_logs(300), make_logs(100, seed=1)
    scores = {}
    for both in (True, False):
        tagger = quick(bidirectional=both, max_epochs=15, hidden_size=16)
        tagger.fit(logs, what_comes_next(logs))
        scores[both] = tagger.score(new, what_comes_next(new))
    assert scores[True] > 0.95
    assert scores[False] < 0.5  # one of four events, or the end


def test_a_tag_that_needs_the_past_only_is_found_by_reading_forward():
    logs, new = make_logs(300), make_logs(100, seed=1)
    for both in (True, False):
        tagger = quick(bidirectional=both, max_epochs=15, hidden_size=16)
        assert tagger.fit(logs, was_there_a_d(logs)).score(new, was_there_a_d(new)) > 0.95


WORDS = st.lists(st.sampled_from("abcdz"), min_size=1, max_size=10)


@FEW
@given(past=WORDS, one=WORDS, other=WORDS)
def test_no_later_event_changes_an_earlier_tag_of_a_causal_tagger(causal, past, one, other):
    found = causal.predict_proba([past + one, past + other, past])
    n = len(past)
    np.testing.assert_allclose(found[0][:n], found[1][:n], atol=1e-12)
    np.testing.assert_allclose(found[0][:n], found[2], atol=1e-12)


def test_later_events_do_change_earlier_tags_of_a_two_way_tagger(two_way):
    one, other = two_way.predict_proba([["a", "b", "c"], ["a", "b", "d"]])
    assert np.abs(one[1] - other[1]).max() > 1e-3


@FEW
@given(st.lists(WORDS, min_size=1, max_size=5), st.integers(11, 30))
def test_longer_sequences_beside_it_change_no_tag(two_way, logs, longest):
    alone = [two_way.predict_proba([log])[0] for log in logs]
    found = two_way.predict_proba([*logs, ["c"] * longest])
    for one, other in zip(alone, found, strict=False):
        np.testing.assert_allclose(one, other, atol=1e-6)
        np.testing.assert_allclose(other.sum(axis=1), 1)


@pytest.mark.parametrize(
    "form",
    [
        lambda rows, fill: [np.array(row) for row in rows],
        lambda rows, fill: pd.Series(rows),
        lambda rows, fill: padded(rows, None),
        padded,
        lambda rows, fill: padded(rows, fill).astype(str),
        lambda rows, fill: np.roll(padded(rows, fill), 2, axis=1),
        lambda rows, fill: pd.DataFrame(padded(rows, fill)),
    ],
    ids=["arrays", "series", "None", "value", "str", "padded in front too", "frame"],
)
def test_every_form_gives_the_same_model_and_the_same_tags(causal, form):
    tagger = clone(causal).set_params(padding_value="-", padding_tag="-")
    X = form(LOGS, "-")
    found = tagger.fit(X, form(TAGS, "-")).predict(X)
    if found.ndim == 2:
        assert found.shape == (60, 12)
        assert found.dtype.kind == "U"
        found = [row[row != "-"] for row in found]
    same(found, causal.predict(LOGS))
    pd.testing.assert_frame_equal(
        tagger.training_history_.drop(columns="seconds"),
        causal.training_history_.drop(columns="seconds"),
    )


def test_integer_codes_padded_with_zero():
    codes = [["abcd".index(event) + 1 for event in log] for log in LOGS]
    X = padded(codes, 0).astype(int)
    tagger = quick(padding_value=0, padding_tag=-1)
    found = tagger.fit(X, padded(codes, -1).astype(int)).predict(X)
    assert found.dtype.kind == "i"
    assert ((found == -1) == (X == 0)).all()
    assert tagger.classes_.tolist() == [1, 2, 3, 4]
    proba = tagger.predict_proba(X)
    assert proba.shape == (60, 12, 4)
    assert (np.isnan(proba).all(axis=2) == (X == 0)).all()
    assert list(tagger.encoder_.categories[0]) == [1, 2, 3, 4]


def test_padding_is_none_in_the_answer_when_no_tag_stands_for_it(causal):
    found = clone(causal).fit(padded(LOGS, None), padded(TAGS, None)).predict(padded(LOGS, None))
    assert [sum(tag is not None for tag in row) for row in found] == [len(log) for log in LOGS]


def test_accuracies_and_losses_in_the_history_are_those_of_the_real_events():
    tagger = quick(max_epochs=8).fit(LOGS, TAGS)
    row = tagger.training_history_.set_index("epoch").loc[tagger.kept_epoch_]
    last, tags = LOGS[-12:], TAGS[-12:]
    assert tagger.score(last, tags) == pytest.approx(row["valid_accuracy"])
    flat = np.concatenate(tags)
    proba = np.concatenate(list(tagger.predict_proba(last)))
    picked = proba[np.arange(len(flat)), np.searchsorted(tagger.classes_, flat)]
    assert -np.log(picked).mean() == pytest.approx(row["valid_loss"], rel=1e-4)
    assert tagger.kept_epoch_ == tagger.training_history_["valid_loss"].idxmin() + 1


def test_an_event_without_a_tag_is_read_but_not_learned_from():
    tags = [[tag if k else None for k, tag in enumerate(row)] for row in TAGS]
    wrong = [["?" if k == 0 else tag for k, tag in enumerate(row)] for row in TAGS]
    tagger = quick().fit(LOGS, tags)
    assert tagger.classes_.tolist() == ["no", "yes"]
    other = quick(padding_tag="?").fit(LOGS, wrong)
    same(tagger.predict_proba(LOGS), other.predict_proba(LOGS))
    assert tagger.score(LOGS, tags) == other.score(LOGS, wrong)
    assert not np.array_equal(
        tagger.predict_proba(LOGS)[0], quick().fit(LOGS, TAGS).predict_proba(LOGS)[0]
    )


class FirstWeights(Callback):
    """Keeps the embeddings as they were before training."""

    def on_train_begin(self, net, **kwargs):
        self.weights_ = net.module_.embeddings[0].weight.detach().clone()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_unknown_event_is_trained_by_replacing_some(share):
    first = FirstWeights()
    tagger = quick(
        network_options=TaggerOptions(unknown_share=share), early_stopping=False, callbacks=[first]
    ).fit(LOGS, TAGS)
    moved = (tagger.net_.module_.embeddings[0].weight - first.weights_).abs().amax(dim=1) > 0
    assert bool(moved[UNKNOWN]) is (share > 0)
    assert not moved[0]
    assert moved[2:].all()
    same(tagger.predict_proba([["a", "new"]]), tagger.predict_proba([["a", "also new"]]))


@pytest.mark.slow
def test_weights_of_tags_raise_the_recall_of_a_rare_one():
    logs = make_logs(300)
    rng = np.random.default_rng(0)
    tags = [
        ["bad" if event == "a" and rng.random() < 0.3 else "good" for event in log] for log in logs
    ]
    truth = np.concatenate(tags) == "bad"
    found = {}
    for name, weights in {"none": None, "balanced": "balanced", "good": {"good": 100}}.items():
        tagger = quick(class_weight=weights, max_epochs=10).fit(logs, tags)
        found[name] = recall_score(truth, np.concatenate(tagger.predict(logs)) == "bad")
    assert found["none"] == found["good"] == 0
    assert found["balanced"] == 1
    share = truth.mean()
    by_hand = {"bad": 0.5 / share, "good": 0.5 / (1 - share)}
    one, other = (quick(class_weight=w).fit(logs, tags) for w in ("balanced", by_hand))
    np.testing.assert_allclose(one.predict_proba(logs)[0], other.predict_proba(logs)[0], atol=1e-5)


def test_one_tag_a_sequence_from_codes_of_unequal_length():
    logs, new = make_logs(300), make_logs(100, seed=1)
    tagger = quick(max_epochs=15).fit(logs, ["d" in log for log in logs])
    assert tagger.one_tag_
    assert tagger.predict(new).shape == (100,)
    assert tagger.score(new, ["d" in log for log in new]) > 0.95
    np.testing.assert_allclose(
        tagger.predict_proba(new)[3], tagger.predict_proba([new[3]])[0], atol=1e-6
    )


def test_numbers_beside_names_are_read():
    rng = np.random.default_rng(0)
    runs = [pd.DataFrame({"step": list("ab"), "seconds": rng.normal(size=2)}) for _ in range(200)]
    runs[0].loc[0, "seconds"] = np.nan
    tags = [np.where(run["seconds"] > 0, "slow", "ok") for run in runs]
    tagger = quick(max_epochs=20).fit(runs, tags)
    assert tagger.score(runs, tags) > 0.95
    tuples = [list(run.itertuples(index=False, name=None)) for run in runs]
    same(tagger.predict_proba(tuples), tagger.predict_proba(runs))
    scaled = [run.assign(seconds=60 * run["seconds"] + 7) for run in runs]
    other = clone(tagger).fit(scaled, tags)
    np.testing.assert_allclose(
        other.predict_proba(scaled)[5], tagger.predict_proba(runs)[5], atol=1e-3
    )


def test_windows_of_numbers_in_three_dimensions():
    X = np.random.default_rng(0).normal(size=(100, 5, 2))
    y = np.where(X[..., 0] > 0, 1, 0)
    tagger = quick(max_epochs=20).fit(X, y)
    assert tagger.n_features_in_ == 2
    assert tagger.score(X, y) > 0.9
    X[:, 3:] = np.nan
    assert np.isnan(tagger.predict_proba(X)[:, 3:]).all()
    X[0] = np.nan
    assert len(tagger.predict([X[0, :0], X[1, :1]])[0]) == 0


def test_a_sequence_without_events_has_no_tags_but_one_of_its_own(causal):
    assert [len(row) for row in causal.predict([[], ["a"], []])] == [0, 1, 0]
    assert [len(row) for row in causal.predict([[]])] == [0]
    ends = quick().fit(LOGS, [log[-1] for log in LOGS])
    assert np.isfinite(ends.predict_proba([[], ["a"]])).all()


@pytest.mark.parametrize(
    ("option", "at"),
    [
        ({"hidden_size": 5}, lambda m: m.recurrent.lstm.hidden_size == 5),
        ({"n_layers": 2}, lambda m: m.recurrent.lstm.num_layers == 2),
        ({"bidirectional": False}, lambda m: not m.recurrent.lstm.bidirectional),
        (
            {"network_options": TaggerOptions(embedding_dim=3)},
            lambda m: m.embeddings[0].weight.shape == (6, 3),
        ),
        (
            {"network_options": TaggerOptions(spatial_dropout=0.4)},
            lambda m: m.spatial_dropout.share == 0.4,
        ),
        ({"dropout": 0.3}, lambda m: m.head[0].p == 0.3),
        (
            {"network_options": TaggerOptions(recurrent_dropout=0.2)},
            lambda m: m.recurrent.recurrent_dropout == 0.2,
        ),
        ({"activation": "relu"}, lambda m: m.recurrent.activation == "relu"),
        (
            {"network_options": TaggerOptions(dense_units=[7])},
            lambda m: m.head[1].out_features == 7,
        ),
        (
            {"network_options": TaggerOptions(dense_units=4, dense_activation="elu")},
            lambda m: isinstance(m.head[2], torch.nn.ELU),
        ),
        ({"network_options": TaggerOptions(weight_init="he_normal")}, lambda m: True),
        ({"network_options": TaggerOptions(recurrent_init="orthogonal")}, lambda m: True),
        (
            {"network_options": TaggerOptions(forget_bias=1.0)},
            lambda m: m.recurrent.lstm.bias_ih_l0[8:16].mean() > 0.8,
        ),
    ],
)
def test_options_reach_the_network_and_change_the_answer(option, at):
    plain = quick(max_epochs=1).fit(LOGS, TAGS).predict_proba(LOGS)[0]
    tagger = quick(max_epochs=1, **option).fit(LOGS, TAGS)
    assert at(tagger.net_.module_)
    assert np.abs(tagger.predict_proba(LOGS)[0] - plain).max() > 1e-6
    same(tagger.predict_proba(LOGS), tagger.predict_proba(LOGS))  # no dropout at predict


def test_momentum_and_weight_decay_reach_the_optimizer():
    tagger = quick(optimizer="sgd", momentum=0.5, weight_decay=0.1, lr=0.2).fit(LOGS, TAGS)
    group = tagger.net_.optimizer_.param_groups[0]
    assert (group["momentum"], group["weight_decay"], group["lr"]) == (0.5, 0.1, 0.2)


def test_the_same_seed_gives_the_same_tagger_and_leaves_global_states_alone(causal):
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    threads = torch.get_num_threads()
    logs = [list(log) for log in LOGS]
    twin = clone(causal).fit(logs, TAGS)
    assert logs == LOGS
    same(twin.predict_proba(LOGS), causal.predict_proba(LOGS))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002
    assert torch.get_num_threads() == threads
    other = clone(causal).set_params(random_state=1).fit(LOGS, TAGS)
    assert not np.array_equal(other.predict_proba(LOGS)[0], causal.predict_proba(LOGS)[0])


def test_a_stored_tagger_answers_the_same(causal):
    file = io.BytesIO()
    joblib.dump(causal, file)
    file.seek(0)
    same(joblib.load(file).predict_proba(LOGS), causal.predict_proba(LOGS))


def test_without_a_gpu_the_cpu_is_used_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    training._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="sklearn_jobtime"):
        taggers = [quick(max_epochs=1).set_params(device="cuda").fit(LOGS, TAGS) for _ in range(2)]
    assert [record.name for record in caplog.records] == ["sklearn_jobtime"]
    assert {tagger.device_ for tagger in taggers} == {"cpu"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_tagger_trained_on_a_gpu_is_stored_for_any_machine():
    tagger = quick().set_params(device="cuda").fit(LOGS, TAGS)
    assert next(tagger.net_.module_.parameters()).is_cuda
    file = io.BytesIO()
    joblib.dump(tagger, file)
    assert b"cuda:0" not in file.getvalue()
    for one, other in zip(tagger.predict_proba(LOGS), tagger.predict_proba(LOGS[:5]), strict=False):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("cv", [KFold(3), TimeSeriesSplit(3)])
def test_it_is_searched_over_in_a_pipeline(cv):
    upper = FunctionTransformer(lambda logs: [[event.upper() for event in log] for log in logs])
    pipe = make_pipeline(upper, quick(max_epochs=10))
    tags = pd.Series(TAGS)
    search = GridSearchCV(pipe, {"lstmtagger__lr": [1e-5, 0.03]}, cv=cv).fit(LOGS, tags)
    assert search.best_params_ == {"lstmtagger__lr": 0.03}
    assert search.score(LOGS, TAGS) > 0.8
    assert list(search.best_estimator_[-1].encoder_.categories[0]) == list("ABCD")


def test_sequences_of_tags_are_cross_validated():
    assert cross_val_score(quick(), LOGS, pd.Series(TAGS), cv=KFold(2)).shape == (2,)
    found = cross_val_predict(quick(), LOGS, pd.Series(TAGS), cv=KFold(2))
    assert [len(tags) for tags in found] == [len(log) for log in LOGS]


def test_a_table_keeps_its_names_and_its_width():
    frame = pd.DataFrame(padded(LOGS, None), columns=[f"event {k}" for k in range(12)])
    tagger = quick().fit(frame, [log[0] for log in LOGS])
    assert tagger.feature_names_in_.tolist() == list(frame.columns)
    assert tagger.n_features_in_ == tagger.n_steps_in_ == 12
    with pytest.raises(ValueError, match="X has 11 features, but LSTMTagger is expecting 12"):
        clone(tagger).fit(frame.to_numpy(), frame.index % 2).predict(frame.to_numpy()[:, 1:])
    tagger.fit(LOGS, TAGS)
    assert not hasattr(tagger, "feature_names_in_")
    assert tagger.n_steps_in_ is None


@pytest.mark.parametrize(
    ("X", "y", "error", "match"),
    [
        (LOGS, TAGS[:-1], ValueError, "inconsistent numbers of samples"),
        (LOGS, None, ValueError, "requires y to be passed"),
        ([["a", "b"]], [["x"]], ValueError, "sequence 0 has 2 events"),
        ([["a"]], [[None]], NoHistoryError, "no event of the 1 in y has a tag"),
        ([["a", "b"]], [["x", 1]], TypeError, "the tags of y are int and str"),
        ([["a"], ["b"]], [[0.5], [1.5]], ValueError, "Unknown label type"),
        ([[1.0, np.inf]], [["x", "y"]], ValueError, "infinity"),
        (np.zeros((2, 2, 2, 2)), [0, 1], ValueError, "X has 4 dimensions"),
        (["ab", "c"], ["x", "y"], ValueError, "Expected 2D array"),
    ],
)
def test_errors_of_fit_say_what_came(X, y, error, match):
    with pytest.raises(error, match=match):
        quick(max_epochs=1).fit(X, y)


def test_errors_of_predict_say_what_came(causal):
    with pytest.raises(ValueError, match="have 2 features, but LSTMTagger is expecting 1"):
        causal.predict([[("a", 1.0)]])
    windows = quick(max_epochs=1).fit(np.zeros((4, 3)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"X has 3 dimensions.*2-D as in fit"):
        windows.predict(np.zeros((4, 3, 1)))
    with pytest.raises(ValueError, match="X holds something else there"):
        windows.predict([["a"]])
    cubes = quick(max_epochs=1).fit(np.zeros((4, 3, 2)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="X has 5 steps, but LSTMTagger is expecting 3"):
        cubes.predict(np.zeros((4, 5, 2)))
    with pytest.raises(ValueError, match="have 1 features, but LSTMTagger is expecting 2"):
        cubes.predict(np.zeros((4, 3, 1)))


@pytest.mark.parametrize("one_tag", [False, True])
def test_a_sequence_counts_by_its_weight(one_tag):
    logs = [["start", "error"]] * 40
    tags = (["lost", "retry"] if one_tag else [["fine", "lost"], ["fine", "retry"]]) * 20
    tagger = LSTMTagger(max_epochs=40, device="cpu", random_state=0)

    def chance_of_lost(**given):
        found = tagger.fit(logs, tags, **given).predict_proba(logs[:1])
        return np.reshape(found[0], (-1, len(tagger.classes_)))[-1][-2 if not one_tag else 0]

    assert chance_of_lost(sample_weight=np.tile([9.0, 1.0], 20)) == pytest.approx(0.9, abs=0.03)
    assert chance_of_lost(sample_weight=np.full(40, 3.0)) == chance_of_lost()
    tagger.fit(logs, tags, sample_weight=np.tile([1.0, 0.0], 20))
    assert "retry" not in tagger.classes_
    with pytest.raises(TypeError, match="fit came with weights"):
        tagger.fit(logs, tags, weights=np.ones(40))
    with pytest.raises(ValueError, match=r"sample_weight\.shape"):
        tagger.fit(logs, tags, sample_weight=np.ones(39))
