"""Rows that count more or less, and runs of which only "at least this long" is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from skorch.callbacks import Callback

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm import NetworkOptions, ResidualForecaster
from sklearn_jobtime.lstm.losses import make_loss

LOSSES = ("mse", "mae", "huber", "pinball")


def windows(n=60, steps=4, seed=0):
    rng = np.random.default_rng(seed)
    table = 50 + 10 * np.sin(np.arange(n + steps) / 3) + rng.normal(size=n + steps)
    return np.lib.stride_tricks.sliding_window_view(table, steps)[:-1], table[steps:]


def quick(forecaster=LSTMForecaster, **options):
    return forecaster(
        **{"hidden_size": 6, "max_epochs": 3, "device": "cpu", "random_state": 0, **options}
    )


TWO_MEMBERS = {
    "forecaster": ResidualForecaster,
    "n_members": 2,
    "network_options": NetworkOptions(skip_connection=False),
    "batch_size": 3,
}


def naive_loss(name, quantile, forecast, actual, at_least, weight):
    """Sum over what is known, one number at a time, divided by how many there are."""
    total, count = 0.0, 0
    for row, column in np.ndindex(actual.shape):
        f, a, bound = forecast[row, column], actual[row, column], at_least[row, column]
        if np.isnan(a) and np.isnan(bound):
            continue
        count += 1
        if np.isnan(a):
            if f >= bound:
                continue
            a = bound
        e = float(a) - float(f)
        total += (
            weight[row]
            * {
                "mse": e**2,
                "mae": abs(e),
                "huber": e**2 / 2 if abs(e) <= 1 else abs(e) - 0.5,
                "pinball": quantile * e if e >= 0 else (quantile - 1) * e,
            }[name]
        )
    return total / max(count, 1)


@given(
    name=st.sampled_from(LOSSES),
    quantile=st.floats(0.05, 0.95),
    data=st.data(),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 3)),
)
@settings(deadline=None, max_examples=30)
def test_a_loss_is_the_naive_one_with_weights_and_bounds(name, quantile, data, shape):
    numbers = st.floats(-3, 3, width=32)
    missing = numbers | st.just(np.nan)
    forecast = data.draw(hnp.arrays(np.float32, shape, elements=numbers))
    actual = data.draw(hnp.arrays(np.float32, shape, elements=missing))
    at_least = data.draw(hnp.arrays(np.float32, shape, elements=missing))
    weight = data.draw(hnp.arrays(np.float32, shape[0], elements=st.floats(0, 5, width=32)))
    f = torch.from_numpy(forecast).requires_grad_()
    targets = [torch.from_numpy(part) for part in (actual, at_least, weight[:, None])]
    loss = make_loss(name, quantile if name == "pinball" else None)(f, targets)
    loss.backward()
    expected = naive_loss(name, quantile, forecast, actual, at_least, weight)
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    gradient = f.grad.numpy()
    assert np.isfinite(gradient).all()
    # Nothing pulls at a forecast that no one can say is wrong.
    at_ease = np.isnan(actual) & ~(forecast <= at_least)
    assert (gradient[at_ease] == 0).all()


@given(
    counts=st.lists(st.integers(0, 3), min_size=2, max_size=12).filter(lambda c: 0 < sum(c) < 32),
    options=st.sampled_from([{}, TWO_MEMBERS, {"early_stopping": False, "dropout": 0.2}]),
    seed=st.integers(0, 10),
)
@settings(deadline=None, max_examples=15)
def test_few_rows_with_weights_are_these_rows_repeated_in_any_order(counts, options, seed):
    X, y = windows(len(counts))
    rng = np.random.default_rng(seed)
    at_least = np.where(rng.random(len(y)) < 0.3, y - 5, np.nan)
    at_least[np.argmax(counts)] = np.nan
    y = np.where(np.isnan(at_least), y, np.nan)
    again = np.repeat(np.arange(len(y)), counts)
    alike = len(set(counts) - {0}) == 1  # then the order keeps its meaning
    order = np.arange(len(y)) if alike else rng.permutation(len(y))
    repeated = quick(**options).fit(X[again], y[again], at_least=at_least[again])
    weighted = quick(**options).fit(
        X[order], y[order], np.array(counts)[order], at_least=at_least[order]
    )
    assert np.array_equal(repeated.predict(X), weighted.predict(X))


def test_rows_without_weight_are_as_if_they_were_not_there():
    X, y = windows(80)
    weight = np.where(np.arange(80) % 4 == 0, 0.0, 1.0)
    at_least = np.where(np.arange(80) % 8 == 1, y, np.nan)
    y = np.where(np.isnan(at_least), y, np.nan)
    fitted = quick().fit(X, y, weight, at_least)
    X, y, at_least = X.copy(), y.copy(), at_least.copy()
    X[weight == 0], y[weight == 0], at_least[weight == 0] = 1e6, -1e6, 1e9
    other = quick().fit(X, y, weight, at_least)
    assert np.array_equal(fitted.predict(X), other.predict(X))
    kept = weight > 0
    absent = quick().fit(X[kept], y[kept], at_least=at_least[kept])
    np.testing.assert_allclose(fitted.predict(X), absent.predict(X), rtol=1e-6)


@pytest.mark.parametrize("n", [12, 60])
def test_weights_that_are_all_alike_change_nothing(n):
    X, y = windows(n)
    plain = quick().fit(X, y).predict(X)
    assert np.array_equal(quick().fit(X, y, np.full(n, 0.1)).predict(X), plain)
    assert np.array_equal(quick().fit(X, y, at_least=np.full(n, np.nan)).predict(X), plain)


def test_batches_weigh_what_their_rows_weigh():
    """Also one row at a time: a loss divided by the weights of its batch would forget them."""
    y = np.tile([0.0, 1.0], 50)
    X, weight = np.zeros((100, 2)), np.where(y > 0, 9.0, 1.0)
    options = {"early_stopping": False, "criterion": "mse", "optimizer": "sgd"}
    for batch_size, lr, max_epochs in ((1, 0.01, 8), (10, 0.05, 20), (100, 0.3, 100)):
        model = quick(batch_size=batch_size, lr=lr, max_epochs=max_epochs, **options)
        assert model.fit(X, y, weight).predict(X[:1])[0] == pytest.approx(0.9, abs=0.1)


def test_scaling_and_losses_of_the_epochs_are_weighted():
    X, y = windows(60)
    weight = np.random.default_rng(1).exponential(size=60)
    at_least = np.where(np.arange(60) % 5 == 0, y, np.nan)
    y = np.where(np.isnan(at_least), y, np.nan)
    # One batch, and steps too small to change anything: training scores are those of predict.
    model = quick(batch_size=60, lr=1e-12, optimizer="sgd", validation_fraction=0.25)
    model.fit(X, y, weight, at_least)
    known = np.where(np.isnan(y), at_least, y)
    assert model.target_mean_[0] == pytest.approx(np.average(known, weights=weight))
    deviation = np.sqrt(np.average((known - model.target_mean_) ** 2, weights=weight))
    assert model.target_scale_[0] == pytest.approx(deviation)
    assert model.feature_mean_[0] == pytest.approx(np.average(X.mean(axis=1), weights=weight))
    forecast = model.predict(X)
    for part, rows in {"train": slice(45), "valid": slice(45, None)}.items():
        relative = weight[rows] / weight[rows].mean()
        scaled = [
            ((v - model.target_mean_) / model.target_scale_)[rows, None]
            for v in (forecast, y, at_least)
        ]
        loss = naive_loss("mae", 0.5, *scaled, relative)
        assert model.training_history_[f"{part}_loss"].iloc[-1] == pytest.approx(loss, rel=1e-4)


def test_an_untrained_candidate_is_scored_as_the_epochs_are():
    X, y = windows(300)
    weight = np.linspace(0.1, 3, 300)
    y = y - 50
    at_least = np.where(np.arange(300) % 5 == 0, y, np.nan)
    y = np.where(np.isnan(at_least), y, np.nan)
    model = quick(
        ResidualForecaster,
        n_members=1,
        network_options=NetworkOptions(skip_connection=False),
        lr=1e-12,
        optimizer="sgd",
        patience=3,
    )
    model.fit(X, y, weight, at_least)
    stopping = dict(model.net_.callbacks_)["early_stopping"]
    assert stopping.dynamic_threshold_ == pytest.approx(
        model.training_history_["valid_loss"][0], rel=1e-5
    )


def test_losses_of_torch_take_weights_and_others_say_why_not():
    X, y = windows()
    weight = np.linspace(1, 2, 60)
    ours = quick(criterion="mse").fit(X, y, weight).predict(X)
    loss = torch.nn.MSELoss()
    assert np.array_equal(quick(criterion=loss).fit(X, y, weight).predict(X), ours)
    assert loss.reduction == "mean"

    class Whole(torch.nn.Module):
        def forward(self, forecast, actual):
            return (forecast - actual).abs().mean()

    plain = quick(criterion="mae").fit(X, y).predict(X)
    np.testing.assert_allclose(quick(criterion=Whole).fit(X, y).predict(X), plain, rtol=1e-5)
    with pytest.raises(TypeError, match="Whole gave one loss for all rows"):
        quick(criterion=Whole).fit(X, y, weight)


def test_partial_fit_weighs_and_bounds_too():
    X, y = windows()
    weight = np.where(np.arange(60) < 30, 1.0, 5.0)
    bounds = np.where(np.arange(60) % 2, y + 10, np.nan)
    cut = np.where(np.isnan(bounds), y, np.nan)
    forecasts = []
    for more in ((y,), (y, weight), (cut, None, bounds)):
        forecasts.append(quick(max_epochs=1).fit(X, y).partial_fit(X, *more).predict(X))
    assert not np.array_equal(forecasts[0], forecasts[1])
    assert forecasts[2].mean() > forecasts[0].mean()


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.zeros(60), "(?i)sample.weights? .*zero"),
        (-np.ones(60), "Negative values in data passed to `sample_weight`"),
        (np.ones(59), "sample_weight.shape"),
        (np.ones((60, 2)), "1D array"),
        (np.full(60, np.nan), "NaN"),
    ],
)
def test_weights_that_can_not_be_used_are_explained(weight, match):
    X, y = windows()
    with pytest.raises(ValueError, match=match):
        quick().fit(X, y, weight)


@pytest.mark.parametrize(
    ("bounds", "match"),
    [
        (np.ones(59), r"at_least has the shape \(59, 1\) and y \(60, 1\).*make_lower_bounds"),
        (np.ones((60, 2)), r"\(60, 2\) and y \(60, 1\)"),
        (np.full(60, np.inf), "Input at_least contains infinity"),
    ],
)
def test_bounds_that_can_not_be_used_are_explained(bounds, match):
    X, y = windows()
    with pytest.raises(ValueError, match=match):
        quick().fit(X, y, at_least=bounds)


def test_bounds_are_read_only_where_nothing_was_observed():
    X, y = windows()
    before = y.copy()
    other = np.where(np.arange(60) % 2, 1e6, np.nan)
    model = quick().fit(X, y, at_least=other)
    assert np.array_equal(model.predict(X), quick().fit(X, y).predict(X))
    assert np.array_equal(y, before)


def test_rows_with_nothing_but_bounds_are_used_also_for_validation():
    X, y = windows(50)
    at_least = np.where(np.arange(50) % 3 == 0, y, np.nan)
    y = np.where(np.isnan(at_least), y, np.nan)
    at_least[-2:], y[-2:] = np.nan, np.nan
    seen = {}

    class Spy(Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen["train"], seen["valid"] = dataset_train.rows, dataset_valid.rows

    quick(validation_fraction=0.25, callbacks=[Spy()]).fit(X, y, at_least=at_least)
    assert seen["train"].tolist() == list(range(36))
    assert seen["valid"].tolist() == list(range(36, 48))


def test_an_output_that_was_always_cut_off_was_never_observed():
    X, y = windows()
    with pytest.raises(NoHistoryError, match="no target of output 0 was observed"):
        quick().fit(X, np.full(60, np.nan), at_least=y)


def test_a_constant_job_that_timed_out_is_not_constant():
    X, _ = windows()
    y, at_least = np.full(60, 10.0), np.full(60, np.nan)
    y[::2], at_least[::2] = np.nan, 60.0
    assert quick(criterion="mse", max_epochs=30).fit(X, y, at_least=at_least).predict(X).max() > 15


def test_a_score_counts_rows_as_often_as_their_weights_say():
    X, y = windows()
    model = quick().fit(X, y)
    counts = np.arange(60) % 3
    again = np.repeat(np.arange(60), counts)
    y[::7] = np.nan
    assert model.score(X, y, counts) == pytest.approx(model.score(X[again], y[again]))


def test_a_grid_search_hands_weights_and_bounds_on_in_parts():
    X, y = windows()
    y = np.column_stack([y, 2 * y])
    at_least = pd.DataFrame(np.where(np.arange(120).reshape(60, 2) % 7 == 0, y, np.nan))
    y = pd.DataFrame(np.where(at_least.isna(), y, np.nan), columns=["build", "test"])
    search = GridSearchCV(
        quick(), {"lr": [0.01, 0.1]}, cv=TimeSeriesSplit(2), error_score="raise"
    ).fit(X, y, sample_weight=np.linspace(1, 2, 60), at_least=at_least)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def simulated_limit(n=2000, seed=0):
    """Durations that depend on the size of a change; 30 % are cut off at one limit."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n)
    duration = np.exp(4 + 0.3 * size + 0.5 * rng.normal(size=n))
    limit = np.quantile(duration, 0.7)
    cut = duration > limit
    X = np.repeat(size[:, None], 2, axis=1)
    return X, np.exp(4 + 0.3 * size), np.where(cut, np.nan, duration), np.where(cut, limit, np.nan)


def test_runs_cut_off_at_a_limit_bias_a_fit_less_that_hears_of_them():
    X, median, y, at_least = simulated_limit()
    known = median < np.nanmax(at_least)  # a median beyond the limit can not be known
    layers = NetworkOptions(skip_connection=True)
    options = {"max_epochs": 40, "batch_size": 128, "criterion": "mae", "network_options": layers}

    def bias(**given):
        forecast = quick(**options).fit(X, y, **given).predict(X)
        return np.mean(np.log(forecast[known] / median[known]))

    assert 0.25 < np.isnan(y).mean() < 0.35
    assert known.mean() > 0.8
    dropped, heard = bias(), bias(at_least=at_least)
    assert dropped < -0.1  # at least 10 % too low
    assert abs(heard) < 0.5 * abs(dropped)
    assert abs(heard) < 0.05


def test_a_quantile_of_runs_that_were_cut_off_covers_its_share_of_all():
    X, _, y, at_least = simulated_limit(seed=1)
    rng = np.random.default_rng(2)
    fresh = np.exp(4 + 0.3 * X[:, 0] + 0.5 * rng.normal(size=len(X)))
    options = {"criterion": "pinball", "quantile": 0.6, "max_epochs": 40, "batch_size": 128}
    low = X[:, 0] < 0  # where the quantile lies below the limit
    heard = quick(**options).fit(X, y, at_least=at_least).predict(X)
    deaf = quick(**options).fit(X, y).predict(X)
    assert np.mean(fresh[low] <= heard[low]) == pytest.approx(0.6, abs=0.06)
    assert np.mean(fresh[low] <= deaf[low]) < np.mean(fresh[low] <= heard[low]) - 0.03
