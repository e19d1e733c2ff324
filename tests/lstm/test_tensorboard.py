"""One parameter logs graph, losses and weights; TensorBoard's own reader finds them."""

import pickle
import socket
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from skorch.callbacks import Callback, EpochScoring

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.lstm import NetworkOptions, ResidualForecaster

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

LAYERS = NetworkOptions(recurrent_dropout=0.2, dense_units=3)


def quick(log_dir, forecaster=LSTMForecaster, **options):
    return forecaster(
        3, **{"max_epochs": 3, "device": "cpu", "random_state": 0, "log_dir": log_dir, **options}
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 4, 2)), rng.normal(size=40)


def read(folder):
    return reader.EventAccumulator(
        str(folder), {reader.HISTOGRAMS: 0, reader.SCALARS: 0, reader.GRAPH: 1}
    ).Reload()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "forecaster": ResidualForecaster,
            "n_members": 2,
            "activation": "relu",
        },
        {"n_layers": 2, "bidirectional": True, "network_options": LAYERS},
    ],
    ids=str,
)
def test_graph_losses_and_every_weight_are_logged(options, data, tmp_path, monkeypatch):
    def no_network(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    model = quick(tmp_path / "runs", **options).fit(*data)
    assert model.log_dir_ == tmp_path / "runs" / "fit-1"
    events = read(model.log_dir_)
    for part in ("train", "valid"):
        for score in ("loss", "accuracy"):
            logged = events.Scalars(f"{score}/{part}")
            assert [event.step for event in logged] == [1, 2, 3]
            expected = model.training_history_[f"{part}_{score}"]
            np.testing.assert_allclose([event.value for event in logged], expected, rtol=1e-6)
    weights = dict(model.net_.module_.named_parameters())
    assert set(events.Tags()["histograms"]) == set(weights)
    for name, weight in weights.items():
        logged = events.Histograms(name)
        assert [event.step for event in logged] == [1, 2, 3]
        assert {event.histogram_value.num for event in logged} == {weight.numel()}
    nodes = {node.name for node in events.Graph().node}
    assert any("RecurrentLayers[recurrent]" in name for name in nodes)
    assert any("Sequential[head]" in name for name in nodes)


def test_logging_changes_no_forecast(data, tmp_path):
    X, _ = data
    options = {"dropout": 0.3, "network_options": NetworkOptions(spatial_dropout=0.2)}
    logged = quick(str(tmp_path), **options).fit(*data)
    assert np.array_equal(logged.predict(X), quick(None, **options).fit(*data).predict(X))
    assert not hasattr(quick(None).fit(*data), "log_dir_")


def test_clones_and_pickles_are_not_hurt(data, tmp_path):
    X, _ = data
    model = quick(tmp_path).fit(*data)
    twin = pickle.loads(pickle.dumps(model))
    assert np.array_equal(twin.predict(X), model.predict(X))
    again = clone(model).fit(*data)
    assert again.log_dir_.name == "fit-2"
    twin.partial_fit(*data)  # goes on in the folder of the model that it was
    assert [event.step for event in read(twin.log_dir_).Scalars("loss/train")] == [1, 2, 3, 4]
    assert len(list(tmp_path.iterdir())) == 2


def test_what_was_not_validated_is_not_logged(data, tmp_path):
    model = quick(tmp_path, early_stopping=False, verbose=1).fit(*data)
    assert "loss/valid" not in read(model.log_dir_).Tags()["scalars"]
    assert "loss/train" in read(model.log_dir_).Tags()["scalars"]


def test_scores_of_other_callbacks_are_logged_too(data, tmp_path):
    scoring = EpochScoring("neg_mean_absolute_error", name="mae")
    model = quick(tmp_path, callbacks=[scoring]).fit(*data)
    assert len(read(model.log_dir_).Scalars("mae")) == 3


def test_every_fit_of_a_search_has_a_folder_of_its_own(data, tmp_path):
    search = GridSearchCV(quick(tmp_path), {"lr": [0.01, 0.1]}, cv=TimeSeriesSplit(2))
    search.fit(*data)
    folders = {folder.name for folder in tmp_path.iterdir()}
    assert folders == {f"fit-{k}" for k in range(1, 6)}
    assert search.best_estimator_.log_dir_.name in folders


def test_the_log_is_closed_when_training_fails(data, tmp_path):
    class Broken(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("broken")

    model = quick(tmp_path, callbacks=[Broken()])
    with pytest.raises(RuntimeError, match="broken"):
        model.fit(*data)
    assert dict(model.net_.callbacks_)["tensorboard"].writer is None
    assert read(tmp_path / "fit-1").Graph().node


def test_without_tensorboard_an_error_says_what_to_install(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"sklearn-jobtime\[tensorboard\]"):
        quick(tmp_path).fit(*data)
    assert not list(tmp_path.iterdir())
    quick(None).fit(*data)
