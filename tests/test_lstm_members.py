"""A start at zero, a look at the last step, and members that are trained together but apart."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import check_estimator

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.lstm.losses import MaskedLoss
from sklearn_jobtime.lstm.network import LSTMEnsemble, LSTMNetwork


def model(**options):
    given = {"device": "cpu", "random_state": 0, "max_epochs": 5, "hidden_size": 4}
    return LSTMForecaster(**{**given, **options})


@pytest.fixture
def noise():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 6, 2)), rng.laplace(0.0, 0.2, size=(200, 2))


def test_where_nothing_can_be_learned_zero_is_kept(noise):
    X, y = noise
    fitted = model(zero_start=True, lr=0.1, patience=3).fit(X, y)
    np.testing.assert_allclose(fitted.predict(X), 0.0, atol=1e-7)
    assert len(fitted.history_) == 3
    trained = model(zero_start=True, early_stopping=False).fit(X, y)
    assert np.abs(trained.predict(X)).max() > 1e-3


@pytest.mark.parametrize("n_members", [1, 3])
def test_an_untrained_network_forecasts_zero_whatever_the_mean_of_the_targets(noise, n_members):
    X, y = noise
    fitted = model(zero_start=True, n_members=n_members, lr=1e-30, early_stopping=False)
    np.testing.assert_allclose(fitted.fit(X, y + 3.0).predict(X), 0.0, atol=1e-6)


def test_what_can_be_learned_is_learned_from_zero(noise):
    X, _ = noise
    y = X[:, -1, 0] * 0.5
    fitted = model(zero_start=True, skip_connection=True, max_epochs=40, lr=0.03).fit(X, y)
    assert fitted.score(X, y) > 0.8


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


def test_members_pickle_resume_and_repeat(noise):
    X, y = noise
    y = y.copy()
    y[3, 1] = np.nan
    options = {"n_members": 3, "dropout": 0.1, "zero_start": True, "early_stopping": False}
    one, two = model(**options).fit(X, y), model(**options).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X), one.predict(X))
    assert np.isfinite(one.history_[["train_loss", "train_accuracy"]]).all(axis=None)
    before = one.predict(X)
    assert not np.array_equal(one.partial_fit(X, y).predict(X), before)


@pytest.mark.slow
def test_the_contract_holds_for_members():
    records = check_estimator(
        model(n_members=2, skip_connection=True, zero_start=True, hidden_size=16, max_epochs=100),
        on_fail=None,
        on_skip=None,
    )
    assert not [r["check_name"] for r in records if r["status"] == "failed"]
    assert sum(r["status"] == "passed" for r in records) > 40


def test_the_kept_epoch_is_the_best_one_or_none(noise):
    X, y = noise
    assert model(zero_start=True, lr=0.1, patience=3).fit(X, y).kept_epoch_ == 0
    fitted = model(zero_start=True, max_epochs=12, lr=0.03).fit(X, X[:, -1, 0] * 0.5)
    assert fitted.kept_epoch_ == fitted.history_["valid_loss"].argmin() + 1
    assert model(early_stopping=False).fit(X, y).kept_epoch_ == 5


def test_accuracies_of_logs_are_those_of_the_durations(noise):
    X, ratio = noise
    anchor = 100.0
    fitted = model(zero_start=True, log_targets=True, early_stopping=False, lr=1e-30).fit(X, ratio)
    durations = anchor * np.exp(ratio)
    near = np.mean(np.abs(anchor - durations) <= 0.1 * durations)  # untrained, it forecasts 0
    assert fitted.history_["train_accuracy"].iloc[-1] == pytest.approx(near, abs=0.006)
    plain = model(zero_start=True, early_stopping=False, lr=1e-30).fit(X, ratio)
    np.testing.assert_array_equal(plain.predict(X), fitted.predict(X))
    assert plain.history_["train_accuracy"].iloc[-1] < near / 2
