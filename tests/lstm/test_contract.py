"""LSTMForecaster keeps scikit-learn's contract: checks, clones, pickles, searches, pipelines."""

import copy
import io
import logging
import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.exceptions import DeviceError
from sklearn_jobtime.lstm import NetworkOptions, forecaster, training

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def windows(n=60, steps=5, features=2, seed=0):
    """Windows on a noisy cycle, and what follows each."""
    rng = np.random.default_rng(seed)
    table = (
        50 + 10 * np.sin(np.arange(n + steps) / 3)[:, None] + rng.normal(size=(n + steps, features))
    )
    X = np.lib.stride_tricks.sliding_window_view(table, steps, axis=0)[:-1].swapaxes(1, 2)
    return X, table[steps:, 0]


def quick(**options):
    return LSTMForecaster(
        **{"hidden_size": 6, "max_epochs": 3, "device": "cpu", "random_state": 0, **options}
    )


def test_predict_changes_neither_estimator_nor_input():
    X, y = windows()
    model = quick(dropout=0.3).fit(X, y)
    weights = copy.deepcopy(model.net_.module_.state_dict())
    before, keys = X.copy(), set(vars(model))
    first = model.predict(X)
    assert np.array_equal(model.predict(X), first)
    assert np.array_equal(X, before)
    assert set(vars(model)) == keys
    assert not model.net_.module_.training
    after = model.net_.module_.state_dict()
    assert all(torch.equal(after[k], weights[k]) and after[k].dtype == torch.float32 for k in after)


def test_read_only_windows_and_targets_are_fine():
    X, y = windows()
    X, y = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    assert np.isfinite(quick().fit(X, y).predict(X)).all()


@pytest.mark.parametrize("criterion", ["mae", torch.nn.SmoothL1Loss, torch.nn.HuberLoss(delta=2)])
def test_pickle_and_clone_forecast_the_same(criterion):
    X, y = windows()
    model = quick(criterion=criterion, early_stopping=True, gradient_clip=0.5).fit(X, y)
    expected = model.predict(X)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(twin.predict(X), expected)
        pd.testing.assert_frame_equal(twin.training_history_, model.training_history_)
    assert np.array_equal(clone(model).fit(X, y).predict(X), expected)


def test_a_loaded_model_goes_on_training_as_the_live_one():
    X, y = windows()
    model = quick(optimizer="sgd", momentum=0.9).fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    expected = model.partial_fit(X, y).predict(X)
    assert np.array_equal(twin.partial_fit(X, y).predict(X), expected)


def test_a_pickle_is_small_and_holds_no_training_data():
    def size(n):
        X, y = windows(n)
        X = X.copy()
        model = quick(max_epochs=2, early_stopping=True).fit(X, y)
        return len(pickle.dumps(model)), len(pickle.dumps(model.net_.module_.state_dict()))

    small, weights = size(50)
    large, _ = size(5000)
    assert abs(large - small) < 100
    assert large < 20_000 + 5 * weights


def test_a_grid_search():
    X, y = windows(40)
    grid = {
        "hidden_size": [3, 5],
        "lr": [0.01],
        "optimizer": ["adam", torch.optim.SGD],
        "criterion": ["mae", torch.nn.SmoothL1Loss()],
    }
    search = GridSearchCV(
        quick(max_epochs=2), grid, cv=TimeSeriesSplit(2), error_score="raise"
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == y.shape


def test_in_a_pipeline_with_named_parameters():
    X, y = windows()
    pipe = make_pipeline(FunctionTransformer(), quick())
    pipe.set_params(lstmforecaster__hidden_size=4).fit(X, y)
    assert pipe[-1].net_.module_.recurrent.lstm.hidden_size == 4
    assert pipe.score(X, y) == pipe[-1].score(X, y)


def test_same_seed_same_model_and_another_seed_another():
    X, y = windows()
    options = {"dropout": 0.2, "network_options": NetworkOptions(recurrent_dropout=0.2)}
    first = quick(**options).fit(X, y)
    again = quick(**options).fit(X, y)
    other = quick(**options, random_state=1).fit(X, y)
    assert np.array_equal(first.predict(X), again.predict(X))
    assert not np.array_equal(first.predict(X), other.predict(X))
    unseeded = [quick(random_state=None).fit(X, y) for _ in range(2)]
    assert unseeded[0].seed_ != unseeded[1].seed_


def test_a_random_state_instance_moves_on():
    rng = np.random.RandomState(0)
    X, y = windows()
    model = quick(random_state=rng).fit(X, y)
    assert model.seed_ == quick().fit(X, y).seed_
    assert model.fit(X, y).seed_ != quick().fit(X, y).seed_


@pytest.mark.parametrize("seed", [0, None])
def test_global_random_states_are_untouched(seed):
    def states():
        kind, keys, *rest = np.random.get_state()  # noqa: NPY002
        return random.getstate(), torch.get_rng_state().tolist(), kind, keys.tolist(), rest

    X, y = windows()
    before = states()
    model = quick(random_state=seed, dropout=0.3).fit(X, y)
    model.partial_fit(X, y).predict(X)
    assert states() == before


def test_a_global_seed_does_not_decide():
    X, y = windows()
    forecasts = []
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            forecasts.append(quick(dropout=0.3).fit(X, y).predict(X))
    assert np.array_equal(*forecasts)


@pytest.mark.parametrize(("asked", "expected"), [(1, 1), (2, 2), (None, 3)])
def test_threads_are_bounded_and_given_back(asked, expected):
    seen = []

    class Spy(torch.nn.L1Loss):
        def forward(self, forecast, actual):
            seen.append(torch.get_num_threads())
            return super().forward(forecast, actual)

    X, y = windows()
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        model = quick(n_threads=asked, criterion=Spy).fit(X, y)
        assert set(seen) == {expected}
        assert torch.get_num_threads() == 3
        model.predict(X)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_threads_are_given_back_after_an_error():
    class Broken(torch.nn.Module):
        def forward(self, forecast, actual):
            assert torch.get_num_threads() == 1
            raise RuntimeError("broken")

    X, y = windows()
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    state = torch.get_rng_state()
    try:
        with pytest.raises(RuntimeError, match="broken"):
            quick(criterion=Broken).fit(X, y)
        assert torch.get_num_threads() == 3
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "auto"])
def test_without_a_gpu_the_cpu_is_used_and_one_line_says_so(device, monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    training._warn_once.cache_clear()
    X, y = windows()
    with caplog.at_level(logging.WARNING, logger="sklearn_jobtime"):
        models = [quick(device=device).fit(X, y) for _ in range(2)]
        twin = pickle.loads(pickle.dumps(models[0]))
        twin.predict(X)
        assert twin.net_.device == "cpu"
    assert [m.device_ for m in models] == ["cpu"] * 2
    assert [r.name for r in caplog.records] == ["sklearn_jobtime"] * (device != "auto")
    assert all("CPU" in r.getMessage() for r in caplog.records)
    training._warn_once.cache_clear()


def test_a_gpu_that_does_not_exist_beside_one_that_does(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert training.resolve_device("cuda") == torch.device("cuda")
    assert training.resolve_device("auto") == torch.device("cuda")
    assert training.resolve_device("cuda:0") == torch.device("cuda:0")
    X, y = windows()
    with pytest.raises(DeviceError, match=r"'cuda:1'.* 1 CUDA device"):
        quick(device="cuda:1").fit(X, y)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "meta", ""])
def test_an_unknown_device_is_named(device):
    X, y = windows()
    with pytest.raises(ValueError, match=f"unknown device '{device}'; expected 'cuda'"):
        quick(device=device).fit(X, y)


def test_a_model_of_a_larger_machine_loads_on_a_smaller_one(monkeypatch):
    """A pickle holds arrays; the device is chosen anew when the net is made of them."""
    X, y = windows()
    model = quick().fit(X, y)
    expected = model.predict(X)
    model.device, model.device_ = "cuda:3", "cuda:3"  # as if it had run there
    data = pickle.dumps(model)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(data)
    assert np.array_equal(loaded.predict(X), expected)
    net = loaded.net_
    assert (loaded.device_, net.device) == ("cpu", "cpu")
    weights = list(net.module_.parameters())
    assert all(a is b for a, b in zip(weights, net.optimizer_.state, strict=True))
    assert loaded.net_ is net


def test_the_net_of_a_loaded_model_is_where_the_live_one_was():
    X, y = windows()
    model = quick(optimizer="nadam", early_stopping=True, criterion="huber").fit(X, y)
    live, made = model.net_, pickle.loads(pickle.dumps(model)).net_
    assert made.history.to_list() == live.history.to_list()
    assert type(made.optimizer_) is type(live.optimizer_)
    for part in ("module_", "criterion_"):
        assert str(getattr(made, part)) == str(getattr(live, part))
    of_made, of_live = made.optimizer_.state_dict(), live.optimizer_.state_dict()
    assert of_made["param_groups"] == of_live["param_groups"]
    states = [list(one["state"].values()) for one in (of_made, of_live)]
    weights = [[one.module_.state_dict()] for one in (made, live)]
    for found, expected in zip(states[0] + weights[0], states[1] + weights[1], strict=True):
        assert list(found) == list(expected)
        assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_net_made_anew_has_the_options_of_the_fit_and_not_those_set_since():
    X, y = windows()
    rare = NetworkOptions(dense_units=3)
    model = quick(optimizer="sgd", momentum=0.5, lr=0.1, network_options=rare).fit(X, y)
    live, expected = model.net_, model.predict(X)
    twin = pickle.loads(pickle.dumps(model))
    twin.set_params(
        hidden_size=9,
        optimizer="adam",
        momentum=0.0,
        criterion="mse",
        bidirectional=True,
        network_options__dense_units=7,
    )
    assert np.array_equal(twin.predict(X), expected)
    assert str(twin.net_.module_) == str(live.module_)
    assert twin.net_.optimizer_.param_groups[0]["momentum"] == 0.5


def test_after_a_fit_that_failed_there_is_no_forecast():
    X, y = windows()
    model = quick().fit(X, y)
    model.set_params(lr=1e30, gradient_clip=None, optimizer="sgd", criterion="mse")
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="diverged"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_model_stored_with_a_torch_network_says_so():
    model = quick()
    with pytest.raises(ValueError, match="stored with a torch network"):
        model.__setstate__({"net_": None})


def test_callbacks_that_were_in_training_are_left_alone_when_the_net_is_made():
    class Counts(Callback):
        def initialize(self):
            self.n_epochs_ = 0
            return self

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs_ += 1

    X, y = windows()
    counts = Counts()
    model = quick(callbacks=[counts]).fit(X, y)
    model.__setstate__(model.__getstate__())
    del model._net
    assert dict(model.net_.callbacks_)["Counts"] is counts
    assert counts.n_epochs_ == 3


@needs_cuda
def test_a_gpu_model_forecasts_as_on_the_cpu_and_its_pickle_needs_no_gpu(monkeypatch):
    X, y = windows()
    before = torch.cuda.get_rng_state()
    model = quick(device="cuda").fit(X, y)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert next(model.net_.module_.parameters()).is_cuda
    data = pickle.dumps(model)
    assert b"cuda:0" not in data
    assert next(model.net_.module_.parameters()).is_cuda
    expected = model.predict(X)
    assert np.array_equal(pickle.loads(data).predict(X), expected)
    monkeypatch.setattr(forecaster, "DEVICE_WINDOWS", 1)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(data)
    np.testing.assert_allclose(loaded.predict(X), expected, rtol=1e-5)
    loaded.partial_fit(X, y)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"hidden_size": 0}, "hidden_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"activation": "Tanh"}, "activation"),
        ({"network_options": {"dense_units": 3}}, "network_options"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"criterion": "rmse"}, "criterion"),
        ({"quantile": 1.0}, "quantile"),
        ({"validation_fraction": 0.0}, "validation_fraction"),
        ({"gradient_clip": 0.0}, "gradient_clip"),
        ({"n_threads": 0}, "n_threads"),
        ({"lr": -0.1}, "lr"),
    ],
)
def test_a_parameter_out_of_range_is_named(options, match):
    X, y = windows()
    with pytest.raises(ValueError, match=f"'{match}' parameter of LSTMForecaster"):
        quick(**options).fit(X, y)


@pytest.mark.parametrize(
    "option",
    [{"dense_activation": "swish"}, {"spatial_dropout": 1.0}, {"weight_init": "xavier"}],
)
def test_an_option_of_the_network_out_of_range_is_named(option):
    X, y = windows()
    with pytest.raises(ValueError, match=f"'{next(iter(option))}' parameter of NetworkOptions"):
        quick(network_options=NetworkOptions(**option)).fit(X, y)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"optimizer": torch.optim.SGD([torch.zeros(1)])}, "the class, not an instance"),
        ({"criterion": torch.autograd.Function}, "expected one of mse, mae, huber, pinball"),
    ],
)
def test_what_only_looks_like_an_optimizer_or_a_loss(options, match):
    X, y = windows()
    with pytest.raises(TypeError, match=match):
        quick(**options).fit(X, y)


def test_verbose_shows_progress_and_default_is_silent(capsys):
    X, y = windows()
    quick().fit(X, y)
    assert capsys.readouterr() == ("", "")
    model = quick(verbose=1).fit(X, y)
    out = capsys.readouterr().err
    assert "3/3" in out
    assert f"valid loss {model.training_history_['valid_loss'].iloc[-1]:.3f} acc" in out
    pickle.dump(model, io.BytesIO())


def test_unfitted_says_so():
    with pytest.raises(NotFittedError):
        quick().predict(windows()[0])
    assert isinstance(pickle.loads(pickle.dumps(quick())), LSTMForecaster)
