"""The forecaster of residuals: a start at zero, logs, and members averaged in one fit."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_jobtime.lstm import LSTMForecaster, NetworkOptions, ResidualForecaster


def model(**options):
    given = {"device": "cpu", "random_state": 0, "max_epochs": 5, "hidden_size": 4}
    no_skip = NetworkOptions(skip_connection=False)
    off = {"n_members": 1, "network_options": no_skip}
    return ResidualForecaster(**{**given, **off, **options})


@pytest.fixture
def noise():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 6, 2)), rng.laplace(0.0, 0.2, size=(200, 2))


def test_where_nothing_can_be_learned_zero_is_kept(noise):
    X, y = noise
    fitted = model(lr=0.1, patience=3).fit(X, y)
    np.testing.assert_allclose(fitted.predict(X), 0.0, atol=1e-7)
    assert len(fitted.training_history_) == 3
    trained = model(early_stopping=False).fit(X, y)
    assert np.abs(trained.predict(X)).max() > 1e-3


@pytest.mark.parametrize("n_members", [1, 3])
def test_an_untrained_network_forecasts_zero_whatever_the_mean_of_the_targets(noise, n_members):
    X, y = noise
    fitted = model(n_members=n_members, lr=1e-30, early_stopping=False)
    np.testing.assert_allclose(fitted.fit(X, y + 3.0).predict(X), 0.0, atol=1e-6)


def test_what_can_be_learned_is_learned_from_zero(noise):
    X, _ = noise
    y = X[:, -1, 0] * 0.5
    fitted = model(max_epochs=40, lr=0.03).fit(X, y)
    assert fitted.score(X, y) > 0.8


def test_members_pickle_resume_and_repeat(noise):
    X, y = noise
    y = y.copy()
    y[3, 1] = np.nan
    options = {"n_members": 3, "dropout": 0.1, "early_stopping": False}
    one, two = model(**options).fit(X, y), model(**options).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X), one.predict(X))
    assert np.isfinite(one.training_history_[["train_loss", "train_accuracy"]]).all(axis=None)
    before = one.predict(X)
    np.testing.assert_array_equal(clone(one).fit(X, y).predict(X), before)
    assert not np.array_equal(one.partial_fit(X, y).predict(X), before)


def test_the_kept_epoch_is_the_best_one_or_none(noise):
    X, y = noise
    assert model(lr=0.1, patience=3).fit(X, y).kept_epoch_ == 0
    fitted = model(max_epochs=12, lr=0.03).fit(X, X[:, -1, 0] * 0.5)
    assert fitted.kept_epoch_ == fitted.training_history_["valid_loss"].argmin() + 1
    assert model(early_stopping=False).fit(X, y).kept_epoch_ == 5


def test_accuracies_of_logs_are_those_of_the_durations(noise):
    X, ratio = noise
    anchor = 100.0
    fitted = model(early_stopping=False, lr=1e-30).fit(X, ratio)
    durations = anchor * np.exp(ratio)
    near = np.mean(np.abs(anchor - durations) <= 0.1 * durations)  # untrained, it forecasts 0
    assert fitted.training_history_["train_accuracy"].iloc[-1] == pytest.approx(near, abs=0.006)


def test_the_skip_connection_can_be_left_off(noise):
    X, y = noise
    widths = [
        one.fit(X, y).net_.module_.head[-1].in_features
        for one in (model(network_options=None), model())
    ]
    assert widths == [4 + X.shape[2], 4]


def test_its_parameters_are_those_of_its_own_signature_with_the_same_defaults():
    mine, theirs = ResidualForecaster().get_params(), LSTMForecaster().get_params()
    own = {"n_members": 3}
    assert {name: mine.pop(name) for name in own} == own
    assert mine.items() <= theirs.items()
    assert all(hasattr(ResidualForecaster(), name) for name in theirs)
