"""LSTMForecaster learns what it should: losses, scaling, validation, continuing, missing values."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skorch.callbacks import Callback, EpochScoring, LRScheduler

from sklearn_jobtime import LSTMForecaster, StatefulForecaster
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm import LSTMNetwork, NetworkOptions, losses
from sklearn_jobtime.metrics import get_forecast_scorer, observed_r2

LOSSES = ("mse", "mae", "huber", "pinball")


def windows(n=60, steps=5, features=2, outputs=None, seed=0):
    """Windows on a noisy cycle, and what follows each."""
    rng = np.random.default_rng(seed)
    table = (
        50 + 10 * np.sin(np.arange(n + steps) / 3)[:, None] + rng.normal(size=(n + steps, features))
    )
    X = np.lib.stride_tricks.sliding_window_view(table, steps, axis=0)[:-1].swapaxes(1, 2)
    y = table[steps:, 0]
    return X, y if outputs is None else np.column_stack([y * (k + 1) for k in range(outputs)])


def quick(**options):
    return LSTMForecaster(
        **{"hidden_size": 6, "max_epochs": 3, "device": "cpu", "random_state": 0, **options}
    )


def naive_loss(name, quantile, forecast, actual):
    """Sum and count over the observed targets, one at a time."""
    total, count = 0.0, 0
    for f, a in zip(np.ravel(forecast), np.ravel(actual), strict=True):
        if not np.isnan(a):
            e = a - f
            total += {
                "mse": e**2,
                "mae": abs(e),
                "huber": e**2 / 2 if abs(e) <= 1 else abs(e) - 0.5,
                "pinball": quantile * e if e >= 0 else (quantile - 1) * e,
            }[name]
            count += 1
    return total / max(count, 1)


def fit_by_hand(model, X, Y):
    """Train as `fit` should, without skorch, masks or batch-wise scaling; return the forecasts."""
    mean, scale = np.nanmean(X, axis=(0, 1)), np.nanstd(X, axis=(0, 1))
    y_mean, y_scale = np.nanmean(Y, axis=0), np.nanstd(Y, axis=0)
    inputs = torch.from_numpy(np.nan_to_num((X - mean) / scale).astype(np.float32))
    targets = torch.from_numpy(((Y - y_mean) / y_scale).astype(np.float32))
    rows = torch.from_numpy(np.flatnonzero(~np.isnan(Y).all(axis=1)))
    with torch.random.fork_rng():
        torch.manual_seed(model.seed_)
        network = LSTMNetwork(X.shape[2], Y.shape[1], model.hidden_size)
        optimizer = torch.optim.Adam(network.parameters(), lr=model.lr)
        torch.manual_seed(model.seed_ + 1)
        for _ in range(model.max_epochs):
            for batch in rows[torch.randperm(len(rows))].split(model.batch_size):
                forecast, actual = network(inputs[batch]), targets[batch]
                seen = [(i, k) for i, k in np.argwhere(~np.isnan(actual.numpy()))]
                loss = sum((actual[i, k] - forecast[i, k]).abs() for i, k in seen) / len(seen)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), model.gradient_clip)
                optimizer.step()
    with torch.no_grad():
        return network(inputs).double().numpy() * y_scale + y_mean


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_fit_takes_the_steps_of_a_hand_written_loop(missing):
    X, Y = windows(outputs=2)
    rng = np.random.default_rng(1)
    X = np.where(rng.random(X.shape) < missing, np.nan, X)
    Y = np.where(rng.random(Y.shape) < missing, np.nan, Y)
    model = quick(early_stopping=False, batch_size=16).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), fit_by_hand(model, X, Y), rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("options", [{}, {"criterion": "mse", "early_stopping": False}])
def test_the_textbook_sequence_goes_on(seed, options):
    durations = np.arange(10.0, 100.0, 10.0)
    X = np.lib.stride_tricks.sliding_window_view(durations, 3)[:-1]
    model = LSTMForecaster(
        50, activation="relu", max_epochs=200, device="cpu", random_state=seed, **options
    )
    forecast = model.fit(X, durations[3:]).predict([[70.0, 80.0, 90.0]])
    assert abs(forecast[0] - 100.0) < 5.0


@given(
    name=st.sampled_from(LOSSES),
    quantile=st.floats(0.05, 0.95),
    data=st.data(),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 3)),
)
@settings(deadline=None, max_examples=30)
def test_a_loss_is_the_naive_mean_over_observed_targets(name, quantile, data, shape):
    numbers = st.floats(-3, 3, width=32)
    forecast = data.draw(hnp.arrays(np.float32, shape, elements=numbers))
    actual = data.draw(hnp.arrays(np.float32, shape, elements=numbers | st.just(np.nan)))
    f = torch.from_numpy(forecast).requires_grad_()
    loss = losses.make_loss(name, quantile if name == "pinball" else None)(
        f, torch.from_numpy(actual)
    )
    loss.backward()
    assert loss.item() == pytest.approx(naive_loss(name, quantile, forecast, actual), abs=1e-5)
    assert np.isfinite(f.grad.numpy()).all()
    assert (f.grad.numpy()[np.isnan(actual)] == 0).all()


def test_a_torch_loss_sees_observed_targets_only():
    X, Y = windows(outputs=2)
    Y[::3, 1] = np.nan
    ours = quick(criterion="mse").fit(X, Y).predict(X)
    for theirs in (torch.nn.MSELoss, torch.nn.MSELoss()):
        assert np.array_equal(quick(criterion=theirs).fit(X, Y).predict(X), ours)


def test_rows_without_any_target_teach_nothing():
    X, y = windows()
    model = quick(batch_size=4).fit(X, np.where(np.arange(60) % 20 < 10, y, np.nan))
    assert model.net_.optimizer_.state_dict()["state"][0]["step"] == 3 * 6  # 24 of 30 in fours
    fitted = model.predict(X)
    model.partial_fit(X, np.full(60, np.nan))
    assert np.array_equal(model.predict(X), fitted)
    assert len(model.training_history_) == 3


@given(shift=st.floats(-1000, 1000), power=st.integers(-20, 20), y_shift=st.floats(-1000, 1000))
@settings(deadline=None, max_examples=15)
def test_units_do_not_matter(shift, power, y_shift):
    X, y = windows(40)
    plain = quick().fit(X, y).predict(X)
    scale = 2.0**power
    moved = quick().fit((X + shift) * scale, (y + y_shift) / scale)
    back = moved.predict((X + shift) * scale) * scale - y_shift
    np.testing.assert_allclose(back, plain, atol=1e-3 * y.std())


def test_epoch_seconds_lose_no_precision():
    X, y = windows()
    plain = quick().fit(X, y).predict(X)
    late = quick().fit(X + 2.0**31, y).predict(X + 2.0**31)
    np.testing.assert_allclose(late, plain, atol=1e-3 * y.std())


def test_fit_never_copies_a_view_of_windows():
    n, steps = 30_000, 50
    table = np.random.default_rng(0).normal(size=n + steps)
    X = np.lib.stride_tricks.sliding_window_view(table, steps)[:-1]
    model = quick(max_epochs=1, batch_size=2048, early_stopping=True)
    model.fit(X[:100], table[steps : steps + 100])  # imports and caches
    tracemalloc.start()
    model.fit(X, table[steps:]).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    batch = 2048 * steps * 8
    assert peak < 2 * X.nbytes / steps + 3 * batch  # the windows themselves are 50 tables


def test_validation_rows_are_the_newest_with_a_target():
    X, y = windows(50)
    y[-10:] = np.nan
    seen = {}

    class Spy(Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen["train"], seen["valid"] = dataset_train.rows, dataset_valid.rows

    quick(validation_fraction=0.25, callbacks=[Spy()]).fit(X, y)
    assert seen["train"].tolist() == list(range(30))
    assert seen["valid"].tolist() == list(range(30, 40))


def test_early_stopping_watches_the_newest_rows():
    """Where the newest rows contradict the rest, learning the rest soon makes them worse."""
    X, y = windows(200)
    row = np.arange(200)

    def history(y):
        return quick(hidden_size=16, max_epochs=60, patience=5).fit(X, y).training_history_

    against_newest = history(np.where(row < 160, y, 100 - y))
    against_oldest = history(np.where(row >= 40, y, 100 - y))
    assert len(against_newest) < len(against_oldest)
    assert against_newest["valid_loss"].min() > 0.8
    assert against_oldest["valid_loss"].min() < 0.3


def test_the_best_weights_are_restored_after_patience_runs_out():
    X, y = windows(100)
    noisy = np.random.default_rng(0).permutation(y)
    model = quick(hidden_size=16, max_epochs=100, patience=7, lr=0.03).fit(X, noisy)
    losses = model.training_history_["valid_loss"]
    assert len(losses) == losses.idxmin() + 1 + 7
    error = np.abs(model.predict(X[80:]) - noisy[80:]).mean() / noisy.std()
    assert error == pytest.approx(losses.min(), rel=1e-4)
    assert losses.iloc[-1] > losses.min()


@pytest.mark.parametrize(("n", "validated"), [(1, False), (2, False), (9, False), (10, True)])
def test_few_rows_are_all_trained_on(n, validated):
    X, y = windows(n)
    model = quick(validation_fraction=0.2).fit(X, y)
    assert model.training_history_["valid_loss"].notna().all() == validated
    assert model.training_history_["valid_accuracy"].notna().all() == validated
    assert np.isfinite(model.predict(X)).all()
    assert len(model.training_history_) == 3


def test_history_has_the_losses_and_accuracies_of_the_epochs():
    X, Y = windows(60, outputs=2)
    Y[::4, 0] = np.nan
    # One batch, and steps too small to change anything: training scores are those of predict.
    model = quick(batch_size=60, lr=1e-12, optimizer="sgd", validation_fraction=0.25).fit(X, Y)
    history = model.training_history_
    assert history.columns.tolist() == [
        "epoch",
        "train_loss",
        "valid_loss",
        "train_accuracy",
        "valid_accuracy",
        "seconds",
    ]
    assert history["epoch"].tolist() == [1, 2, 3]
    assert (history["seconds"] > 0).all()
    forecast = model.predict(X)
    for part, rows in {"train": slice(45), "valid": slice(45, None)}.items():
        scaled = [(v[rows] - model.target_mean_) / model.target_scale_ for v in (forecast, Y)]
        loss = naive_loss("mae", 0.5, *scaled)
        assert history[f"{part}_loss"].iloc[-1] == pytest.approx(loss, rel=1e-4)
        seen = ~np.isnan(Y[rows])
        near = np.abs(forecast[rows] - Y[rows])[seen] <= 0.1 * np.abs(Y[rows][seen])
        assert history[f"{part}_accuracy"].iloc[-1] == pytest.approx(near.mean())


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": 7},
        {"n_layers": 2},
        {"dropout": 0.3},
        {"network_options": NetworkOptions(recurrent_dropout=0.3)},
        {"network_options": NetworkOptions(spatial_dropout=0.3)},
        {"bidirectional": True},
        {"activation": "relu"},
        {"network_options": NetworkOptions(dense_units=4)},
        {"network_options": NetworkOptions(dense_units=(4, 3))},
        {"network_options": NetworkOptions(weight_init="he_normal")},
        {"network_options": NetworkOptions(recurrent_init="orthogonal")},
        {"network_options": NetworkOptions(forget_bias=1.0)},
        {"optimizer": "sgd"},
        {"optimizer": "rmsprop"},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": torch.optim.Adagrad},
        {"lr": 0.02},
        {"weight_decay": 0.1},
        {"criterion": "mse"},
        {"criterion": "huber"},
        {"criterion": "pinball", "quantile": 0.9},
        {"batch_size": 8},
        {"max_epochs": 4},
        {"early_stopping": False},
        {"validation_fraction": 0.4},
        {"gradient_clip": 0.01},
        {"random_state": 1},
    ],
    ids=str,
)
def test_every_tunable_changes_the_forecasts(options):
    X, y = windows()
    assert not np.array_equal(quick(**options).fit(X, y).predict(X), quick().fit(X, y).predict(X))


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_momentum_goes_to_the_optimizers_that_have_it(optimizer):
    X, y = windows()
    forecasts = [quick(optimizer=optimizer, momentum=m).fit(X, y).predict(X) for m in (0.0, 0.9)]
    assert not np.array_equal(*forecasts)


def test_pinball_forecasts_the_quantile():
    rng = np.random.default_rng(0)
    X, y = np.zeros((400, 3)), rng.exponential(size=400)
    for quantile in (0.1, 0.9):
        model = quick(criterion="pinball", quantile=quantile, max_epochs=40, early_stopping=False)
        share = (y <= model.fit(X, y).predict(X)).mean()
        assert abs(share - quantile) < 0.05


@pytest.mark.parametrize("clip", [0.5, 0.01])
def test_gradients_are_clipped_to_the_norm(clip):
    norms = []

    class Spy(Callback):
        def on_grad_computed(self, net, named_parameters=None, **kwargs):
            gradients = [weight.grad.flatten() for weight in net.module_.parameters()]
            norms.append(float(torch.cat(gradients).norm()))

    X, y = windows()
    quick(gradient_clip=None, criterion="mse", callbacks=[Spy()]).fit(X, y)
    assert max(norms) > clip
    norms.clear()
    quick(gradient_clip=clip, criterion="mse", callbacks=[Spy()]).fit(X, y)
    assert max(norms) <= clip * 1.001


def test_divergence_is_an_error_that_says_what_to_lower():
    X, y = windows()
    diverging = quick(optimizer="sgd", criterion="mse", lr=1e30, gradient_clip=None)
    with pytest.raises(FloatingPointError, match=r"Lower lr \(now 1e\+30\) or set gradient_clip"):
        diverging.fit(X, y)


def test_callbacks_of_skorch_work():
    X, y = windows()
    callbacks = [
        EpochScoring("neg_mean_absolute_error", name="mae"),
        ("decay", LRScheduler("StepLR", step_size=1, gamma=0.1)),
    ]
    model = quick(callbacks=callbacks).fit(X, y)
    scores = -np.array(model.net_.history[:, "mae"])
    np.testing.assert_allclose(scores, model.training_history_["valid_loss"], rtol=1e-5)
    assert model.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0.01 * 0.1**3)


def test_warm_start_goes_on_and_a_cold_start_begins_anew():
    X, y = windows()
    cold = quick(max_epochs=2).fit(X, y)
    once = cold.predict(X)
    assert np.array_equal(cold.fit(X, y).predict(X), once)
    assert len(cold.training_history_) == 2
    warm = quick(max_epochs=2, warm_start=True).fit(X, y)
    mean = warm.target_mean_.copy()
    assert np.array_equal(warm.predict(X), once)
    warm.fit(X[:30], y[:30] + 5)
    assert not np.array_equal(warm.predict(X), once)
    assert warm.training_history_["epoch"].tolist() == [1, 2, 3, 4]
    assert np.array_equal(warm.target_mean_, mean)
    with pytest.raises(ValueError, match="2 outputs, but LSTMForecaster was fitted with 1"):
        warm.fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match=r"4 steps of 2 features, but .* 5 steps of 2"):
        warm.fit(X[:, 1:], y)


def test_partial_fit_is_one_more_pass_with_the_first_scaling():
    X, y = windows()
    model = quick().partial_fit(X[:40], y[:40])
    assert len(model.training_history_) == 1
    scaling = [model.feature_mean_, model.feature_scale_, model.target_mean_, model.target_scale_]
    before = model.predict(X)
    model.partial_fit(X[40:], y[40:] * 3)
    assert len(model.training_history_) == 2
    assert model.training_history_["valid_loss"].isna().all()
    after = [model.feature_mean_, model.feature_scale_, model.target_mean_, model.target_scale_]
    assert all(np.array_equal(a, b) for a, b in zip(scaling, after, strict=True))
    assert not np.array_equal(model.predict(X), before)


def test_partial_fit_after_early_stopping_adapts_to_a_new_level():
    X, y = windows(200)
    model = quick(max_epochs=20).fit(X, y)
    for _ in range(30):
        model.partial_fit(X, y + 8)
    assert abs(np.median(model.predict(X) - y) - 8) < 2


@pytest.mark.parametrize("outputs", [None, 1, 3])
def test_forecasts_have_the_shape_of_the_targets(outputs):
    X, y = windows(outputs=outputs)
    forecast = quick().fit(X, y).predict(X[:7])
    assert forecast.shape == y[:7].shape
    assert forecast.dtype == np.float64


def test_names_of_the_targets_are_kept():
    X, Y = windows(outputs=2)
    columns = pd.MultiIndex.from_product([[1], ["build", "test"]], names=["step", "job"])
    model = quick().fit(X, pd.DataFrame(Y, columns=columns))
    pd.testing.assert_index_equal(model.target_names_, columns)
    assert quick().fit(X, Y).target_names_ is None
    np.testing.assert_allclose(model.predict(X), quick().fit(X, Y).predict(X), rtol=1e-5)


def test_flat_windows_are_windows_of_one_feature():
    X, y = windows(features=1)
    flat, cube = quick().fit(X[:, :, 0], y), quick().fit(X, y)
    assert np.array_equal(flat.predict(X[:, :, 0]), cube.predict(X))
    assert (flat.n_features_in_, flat.n_steps_in_, flat.ndim_in_) == (5, 5, 2)
    assert (cube.n_features_in_, cube.n_steps_in_, cube.ndim_in_) == (1, 5, 3)


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a.astype(np.float32),
        lambda a: a.astype(object),
        lambda a: a.tolist(),
        np.asfortranarray,
    ],
    ids=["float32", "object", "list", "fortran"],
)
def test_kinds_of_numbers_do_not_matter(convert):
    X, y = windows()
    X, y = np.round(X), np.round(y)
    expected = quick().fit(X, y).predict(X)
    np.testing.assert_allclose(
        quick().fit(convert(X), convert(y)).predict(convert(X)), expected, rtol=1e-5
    )


def test_pandas_integers_with_missing_values():
    X, y = windows(features=1)
    X, y = np.round(X[:, :, 0]), np.round(y)
    frame = pd.DataFrame(X, columns=list("abcde")).convert_dtypes()
    target = pd.Series(y).convert_dtypes()
    assert str(target.dtype) == "Int64"
    target[3] = pd.NA
    frame.iloc[5, 2] = pd.NA
    X[5, 2] = y[3] = np.nan
    model = quick().fit(frame, target)
    assert np.array_equal(model.predict(frame), quick().fit(X, y).predict(X))
    assert model.feature_names_in_.tolist() == list("abcde")


def test_an_unknown_input_counts_as_the_mean():
    X, y = windows()
    model = quick().fit(X, y)
    holes = X.copy()
    holes[::2, 1, 0] = np.nan
    filled = np.where(np.isnan(holes), model.feature_mean_, holes)
    np.testing.assert_allclose(model.predict(holes), model.predict(filled), rtol=1e-12)


def test_constant_and_never_known_features_are_harmless():
    X, y = windows(features=4)
    X = X.copy()
    X[..., 1], X[..., 2], X[..., 3] = 1.1e9 + 0.1, np.nan, 0.0
    model = quick().fit(X, y)
    assert model.feature_scale_[1:].tolist() == [1.0, 1.0, 1.0]
    assert np.isfinite(model.predict(X)).all()


def test_a_constant_target_is_forecast_exactly():
    X, y = windows()
    model = quick().fit(X, np.full(len(y), 1e-7))
    assert model.predict(X) == pytest.approx(1e-7)
    assert (model.training_history_["train_accuracy"] == 1).all()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("value", [1e30, -1e300, np.nan])
def test_forecasts_are_never_nan(activation, value):
    X, y = windows()
    model = quick(activation=activation).fit(X, y)
    assert np.isfinite(model.predict(np.full_like(X, value))).all()


def test_score_skips_targets_that_were_not_observed():
    X, Y = windows(outputs=2)
    model = quick().fit(X, Y)
    Y[::2, 0] = np.nan
    assert model.score(X, Y) == observed_r2(Y, model.predict(X))
    assert model.score(X[1::2], Y[1::2, :]) <= 1


@pytest.mark.parametrize("estimator", [quick, lambda: StatefulForecaster(quick(), n_steps=2)])
def test_score_compares_names_and_not_positions(estimator):
    X, Y = windows(outputs=2)
    X = X if estimator is quick else X[:, -1]
    names = pd.MultiIndex.from_tuples([(1, "a"), (1, "b")], names=["step", "job"])
    y = pd.DataFrame(Y * [1.0, 50.0], columns=names)
    model = estimator().fit(X, y)
    scorer = get_forecast_scorer("neg_observed_mae")
    assert model.score(X, y[names[::-1]]) == model.score(X, y)
    assert scorer(model, X, y[names[::-1]]) == scorer(model, X, y)
    with pytest.raises(ValueError, match="has the columns"):
        model.score(X, y.rename(columns={"b": "c"}))


def test_a_row_is_forecast_alike_alone_and_among_others():
    X, y = windows()
    model = quick(hidden_size=32).fit(X, y)
    alone = np.concatenate([model.predict(X[[k]]) for k in range(len(X))])
    np.testing.assert_allclose(alone, model.predict(X), rtol=1e-12)


def test_an_output_never_observed_is_named():
    X, Y = windows(outputs=2)
    Y[:, 1] = np.nan
    with pytest.raises(NoHistoryError, match="no target of output 1 was observed"):
        quick().fit(X, Y)
    names = pd.MultiIndex.from_tuples([(1, "build"), (1, "deploy")])
    with pytest.raises(NoHistoryError, match=r"output \(1, deploy\) was observed \(all 60"):
        quick().fit(X, pd.DataFrame(Y, columns=names))
    with pytest.raises(ValueError, match="requires y"):
        quick().fit(X, None)
    Y[:, 1] = np.inf
    with pytest.raises(ValueError, match="Input y contains infinity"):
        quick().fit(X, Y)
