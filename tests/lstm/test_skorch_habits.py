"""What people do who know skorch and torch works, or says what it lacks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import make_scorer
from skorch.callbacks import Checkpoint, EpochScoring, LoadInitState, TrainEndCheckpoint
from skorch.exceptions import SkorchException

from sklearn_jobtime import LSTMForecaster, LSTMTagger, StatefulForecaster
from sklearn_jobtime.metrics import observed_mae

X = np.random.default_rng(0).normal(size=(80, 4, 2))
Y = X[:, -1] * 3 + 10


def quick(*callbacks, **options):
    given = {"max_epochs": 4, "device": "cpu", "random_state": 0, **options}
    return LSTMForecaster(5, callbacks=list(callbacks), **given)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("monitor", ["valid_loss_best", "train_loss_best"])
def test_a_checkpoint_holds_the_weights_of_the_best_epoch(monitor, tmp_path):
    model = quick(Checkpoint(dirname=tmp_path, monitor=monitor, f_pickle="net.pkl")).fit(X, Y)
    losses = model.training_history_[monitor.removesuffix("_best")]
    best = [row[monitor] for row in model.net_.history]
    assert best == (losses == losses.cummin()).tolist()
    if monitor == "valid_loss_best":
        kept = model.net_.module_.state_dict()
        stored = torch.load(tmp_path / "params.pt", weights_only=True)
        assert all(torch.equal(kept[name], stored[name]) for name in kept)


def test_a_checkpoint_without_validation_says_so(tmp_path):
    with pytest.raises(SkorchException, match="Make sure you have validation data"):
        quick(Checkpoint(dirname=tmp_path), early_stopping=False).fit(X, Y)
    quick(TrainEndCheckpoint(dirname=tmp_path), early_stopping=False).fit(X, Y)


def test_a_fit_begins_at_a_checkpoint(tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path)
    first = quick(checkpoint).fit(X, Y)
    again = quick(LoadInitState(checkpoint), max_epochs=1).fit(X, Y)
    assert again.net_.history[0]["train_loss"] == first.net_.history[0]["train_loss"]


def test_epochs_are_scored():
    missing = Y.copy()
    missing[::7, 1] = np.nan
    skips_nan = make_scorer(observed_mae, greater_is_better=False)
    for scoring, targets in (("neg_mean_absolute_error", Y), (skips_nan, missing)):
        model = quick(EpochScoring(scoring, lower_is_better=False, name="mae")).fit(X, targets)
        found = [-row["mae"] for row in model.net_.history]
        np.testing.assert_allclose(found, model.training_history_["valid_loss"], rtol=1e-5)


def test_the_net_forecasts_and_trains_by_itself():
    model = quick().fit(X, Y)
    scaled = (X - model.feature_mean_) / model.feature_scale_
    for inputs in (scaled, scaled.astype(np.float32), torch.from_numpy(scaled)):
        forecast = model.net_.predict(inputs) * model.target_scale_ + model.target_mean_
        np.testing.assert_allclose(forecast, model.predict(X), rtol=1e-4)
    before = len(model.net_.history)
    model.net_.partial_fit(scaled.astype(np.float32), np.zeros(Y.shape, dtype=np.float32))
    assert len(model.net_.history) > before


def test_double_as_the_default_of_torch_changes_nothing(double):
    series = np.arange(80) % 2
    events = (X[..., 0] > 0).astype(int)

    def forecasts():
        model = quick(dropout=0.2, n_layers=2).fit(X, Y)
        return [
            model.predict(X),
            model.partial_fit(X, Y).predict(X),
            quick().fit(X, Y, sample_weight=np.arange(80.0)).predict(X),
            StatefulForecaster(quick()).fit(X, Y, series=series).predict(X, series=series),
            LSTMTagger(4, max_epochs=2, device="cpu", random_state=0)
            .fit(events, events)
            .predict_proba(events),
        ]

    in_double = forecasts()
    torch.set_default_dtype(torch.float32)
    model = quick(dropout=0.2, n_layers=2).fit(X, Y)
    for one, other in zip(in_double, forecasts(), strict=True):
        np.testing.assert_array_equal(one, other)
    torch.set_default_dtype(torch.float64)  # and between a fit and a forecast
    np.testing.assert_array_equal(model.predict(X), in_double[0])


def test_without_validation_the_newest_epoch_is_kept():
    assert quick().fit(X[:6], Y[:6]).kept_epoch_ == 4
    assert quick().fit(X, Y).partial_fit(X, Y).kept_epoch_ == 5
