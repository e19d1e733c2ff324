"""The stateful forecaster: one run at a time or many agree, states travel, series never mix."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline

from sklearn_jobtime import AnchoredRegressor, LSTMForecaster, SequenceWindower, StatefulForecaster
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm import NetworkOptions, ResidualForecaster
from sklearn_jobtime.lstm.forward import RecurrentPass

NAMES = ["etl", "ci", "report"]

NO_SKIP = NetworkOptions(skip_connection=False)


def small(n_steps=8, forecaster=LSTMForecaster, **options):
    options = {"hidden_size": 5, "max_epochs": 3, "device": "cpu", "random_state": 0} | options
    return StatefulForecaster(forecaster(**options), n_steps=n_steps)


def small_from_zero():
    return small(forecaster=ResidualForecaster, n_members=1, network_options=NO_SKIP)


def rows(seed, n, n_features=3, n_outputs=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(5, 2, (n, n_features))
    X[rng.random(X.shape) < 0.05] = np.nan
    y = np.nancumsum(X, axis=0)[:, :n_outputs] / np.arange(1, n + 1)[:, None]
    y[rng.random(y.shape) < 0.1] = np.nan
    return X, y


@pytest.fixture(scope="module")
def fitted():
    """A model of two layers and two members that has seen two of three series, interleaved."""
    X, y = rows(0, 90)
    series = np.array(NAMES)[np.random.default_rng(1).integers(0, 2, 90)]
    options = {
        "n_layers": 2,
        "n_members": 2,
        "network_options": NetworkOptions(dense_units=4),
        "dropout": 0.1,
    }
    model = small(forecaster=ResidualForecaster, **options)
    return model.fit(X, y, series=series), X, y, series


def naive_network_states(model, X, series):
    """Every series on its own, step by step, with torch's cell by hand in double precision."""
    forecaster = model.forecaster_
    network = forecaster.net_.module_.double()
    outputs = np.empty((len(X), forecaster.n_outputs_))
    states = {}
    inputs = (X - forecaster.feature_mean_) / forecaster.feature_scale_
    inputs = torch.from_numpy(np.clip(np.nan_to_num(inputs), -10, 10))
    with torch.no_grad():
        for name in dict.fromkeys(series):
            pairs = [None] * len(network.members)
            for row in np.flatnonzero(np.asarray(series) == name):
                found = []
                for k, member in enumerate(network.members):
                    step = inputs[row].reshape(1, 1, -1)
                    sequence, pairs[k] = member.recurrent.lstm(step, pairs[k])
                    found.append(member.head(torch.cat([sequence, step], dim=-1))[0, 0])
                outputs[row] = torch.stack(found).mean(0)
            hidden = torch.cat([pair[0] for pair in pairs])[:, 0]
            cell = torch.cat([pair[1] for pair in pairs])[:, 0]
            states[name] = torch.stack([hidden, cell]).numpy()
    network.float()
    return outputs * forecaster.target_scale_ + forecaster.target_mean_, states


def test_the_forecasts_and_the_kept_states_are_those_of_a_naive_loop(fitted):
    model, X, _, series = fitted
    outputs, states = naive_network_states(model, X, series)
    np.testing.assert_allclose(model.predict(X, series=series), outputs, rtol=1e-9)
    assert set(model.state_) == set(states) == {"etl", "ci"}
    for name, state in states.items():
        np.testing.assert_allclose(model.state_[name], state, rtol=1e-9, atol=1e-12)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_one_call_and_many_agree_however_the_rows_are_cut(fitted, data):
    model, *_ = fitted
    n = data.draw(st.integers(1, 40))
    X, _ = rows(data.draw(st.integers(0, 1000)), n)
    series = data.draw(st.lists(st.sampled_from(NAMES), min_size=n, max_size=n))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, n - 1)), max_size=5)) | {0, n})
    whole, last = model.predict(X, series=series, return_state=True)
    state, parts = model.state_, []
    for low, high in pairwise(cuts):
        part, state = model.predict(
            X[low:high], series=series[low:high], state=state, return_state=True
        )
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-10)
    assert set(state) == set(last)
    for name in last:
        np.testing.assert_allclose(state[name], last[name], rtol=1e-9, atol=1e-12)

    kept = dict(model.state_)
    for row, name in enumerate(series):
        one, kept[name] = model.step(X[[row]], kept.get(name))
        np.testing.assert_allclose(one[0], whole[row], rtol=1e-10)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 100),
    other=st.sampled_from(NAMES),
    length=st.integers(1, 30),
)
def test_what_happens_in_one_series_changes_nothing_in_another(fitted, seed, other, length):
    model, *_ = fitted
    rng = np.random.default_rng(seed)
    X, _ = rows(seed, length)
    series = rng.choice(NAMES, length)
    mine = series != other
    before, state_before = model.predict(X, series=series, return_state=True)
    X[~mine] = rng.normal(0, 50, (int((~mine).sum()), X.shape[1]))
    after, state_after = model.predict(X, series=series, return_state=True)
    np.testing.assert_array_equal(after[mine], before[mine])
    for name in set(NAMES) & set(state_before) - {other}:
        np.testing.assert_array_equal(state_after[name], state_before[name])


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 100), cut=st.integers(0, 19))
def test_a_forecast_does_not_depend_on_later_rows(fitted, seed, cut):
    model, *_ = fitted
    X, _ = rows(seed, 20)
    series = np.random.default_rng(seed).choice(NAMES, 20)
    before, changed = model.predict(X, series=series), X.copy()
    changed[cut + 1 :] += 100.0
    after = model.predict(changed, series=series)
    np.testing.assert_array_equal(after[: cut + 1], before[: cut + 1])


def test_a_series_in_training_does_not_see_the_others():
    """The same two series, interleaved or one behind the other, give the same model."""
    X, y = rows(3, 60)
    series = np.array(["etl", "ci"] * 30)
    sorted_by = np.argsort(series, kind="stable")
    model = small(early_stopping=False).fit(X, y, series=series)
    other = small(early_stopping=False)
    other.fit(X[sorted_by], y[sorted_by], series=series[sorted_by])
    for name in ("etl", "ci"):
        np.testing.assert_allclose(other.state_[name], model.state_[name], rtol=1e-3, atol=1e-4)


def test_predict_changes_neither_the_model_nor_what_it_is_given(fitted):
    model, X, _, series = fitted
    state = {name: one.copy() for name, one in model.state_.items()}
    for start in (state, None):
        before, stored = pickle.dumps(model), pickle.dumps(state)
        first = model.predict(X[:7], series=series[:7], state=start)
        model.step(X[:1], state["etl"])
        assert pickle.dumps(model) == before
        assert pickle.dumps(state) == stored
        np.testing.assert_array_equal(first, model.predict(X[:7], series=series[:7], state=start))


def test_a_state_survives_json_and_a_model_survives_pickle(fitted):
    model, X, *_ = fitted
    state = json.loads(json.dumps(model.state_["ci"].tolist()))
    again = pickle.loads(pickle.dumps(model))
    forecast, after = model.step(X[:1], model.state_["ci"])
    same, same_after = again.step(X[:1], state)
    np.testing.assert_array_equal(same, forecast)
    np.testing.assert_array_equal(same_after, after)


def test_the_rows_of_fit_start_from_zeros_and_later_ones_from_the_kept_state(fitted):
    model, X, _, series = fitted
    new, _ = rows(9, 6)
    new_series = ["etl", "ci", "report"] * 2
    both = model.predict(np.vstack([X, new]), series=[*series, *new_series])
    np.testing.assert_allclose(both[len(X) :], model.predict(new, series=new_series), rtol=1e-9)
    zeros = model.predict(X, series=series, state={})
    # A longer table is another shape of product, whose last digit is the processor's own.
    np.testing.assert_allclose(both[: len(X)], model.predict(X, series=series), rtol=1e-9)
    np.testing.assert_array_equal(zeros, model.predict(X, series=series))
    later = model.predict(X, series=series, state=model.state_)
    assert not np.allclose(later[:10], zeros[:10])


def test_a_series_is_reset_alone():
    X, y = rows(4, 40)
    series = np.array(["etl", "ci"] * 20)
    model = small().fit(X, y, series=series)
    ci, etl = (model.predict(X[5:9], series=[name] * 4) for name in ("ci", "etl"))
    model.reset(["etl"])
    assert list(model.state_) == ["ci"]
    np.testing.assert_array_equal(model.predict(X[5:9], series=["ci"] * 4), ci)
    fresh = model.predict(X[5:9], series=["etl"] * 4)
    assert not np.allclose(fresh, etl)
    np.testing.assert_array_equal(fresh, model.predict(X[5:9], series=["never seen"] * 4))
    assert model.reset().state_ == {}
    with pytest.raises(KeyError, match="'etl' has no state"):
        model.reset(["etl"])


@pytest.mark.parametrize("n_history", [50, 500])
def test_a_new_run_costs_one_step_however_long_the_history(n_history, monkeypatch):
    X, y = rows(5, n_history, n_outputs=1)
    model = small(max_epochs=1).fit(X, y[:, 0])
    steps, read = [], RecurrentPass.__call__

    def look(self, x, *args, **kwargs):
        steps.append(x.shape[:2])
        return read(self, x, *args, **kwargs)

    monkeypatch.setattr(RecurrentPass, "__call__", look)
    model.step(X[:1], model.state_[0])
    model.predict(X[:1])
    assert steps == [(1, 1), (1, 1)]
    assert model.state_[0].shape == (2, 1, 5)


def test_the_state_is_that_behind_the_last_row_also_where_its_target_is_missing():
    X, y = rows(6, 50, n_outputs=1)
    y[40:] = np.nan
    model = small().fit(X, y)
    _, state = model.predict(X, return_state=True)
    np.testing.assert_allclose(state[0], model.state_[0], rtol=1e-9)


def test_the_series_are_read_from_the_index_of_a_table():
    X, y = rows(7, 40)
    names = np.array(["etl", "ci"] * 20)
    index = pd.MultiIndex.from_arrays([names, np.arange(40)], names=["series", "run"])
    table = pd.DataFrame(X, index=index, columns=["a", "b", "c"])
    model, other = small().fit(table, y), small().fit(X, y, series=names)
    assert set(model.state_) == {"etl", "ci"}
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(model.predict(table), other.predict(X, series=names))
    two = table.set_axis(pd.MultiIndex.from_arrays([names, ["x"] * 40, range(40)]))
    assert set(small().fit(two, y).state_) == {("etl", "x"), ("ci", "x")}


def test_behind_the_windower_a_new_run_goes_on_from_the_training_runs():
    rng = np.random.default_rng(0)
    runs = 50 + np.cumsum(rng.normal(size=(120, 1)), axis=0)
    pipe = Pipeline([("windows", SequenceWindower(n_steps=1)), ("lstm", small())])
    pipe.fit(runs[:100], runs[:100, 0])
    whole = pipe.predict(runs)
    np.testing.assert_allclose(pipe.predict(runs[100:]), whole[100:], rtol=1e-9)
    wide = Pipeline([("windows", SequenceWindower(n_steps=3)), ("lstm", small())])
    wide.fit(runs[:100], runs[:100, 0])
    assert wide[-1].n_features_in_ == 1
    assert wide[-1].forecaster_.feature_mean_.shape == (3,)
    np.testing.assert_allclose(wide.predict(runs[100:]), wide.predict(runs)[100:], rtol=1e-9)


def test_it_works_under_an_anchor_and_in_a_grid_search():
    rng = np.random.default_rng(0)
    runs = 50 + np.cumsum(rng.normal(size=(80, 1)), axis=0)
    pipe = Pipeline([("windows", SequenceWindower(n_steps=1)), ("lstm", small_from_zero())])
    y = runs[:, 0].copy()
    y[70:] = np.nan
    model = AnchoredRegressor(pipe).fit(runs, y)
    assert model.predict(runs).shape == (80,)
    assert np.isfinite(model.predict(runs)).all()
    grid = {"lstm__n_steps": [5, 20], "lstm__forecaster__hidden_size": [3]}
    search = GridSearchCV(pipe, grid, cv=TimeSeriesSplit(2)).fit(runs, runs[:, 0])
    assert clone(search.best_estimator_)["lstm"].forecaster.hidden_size == 3


def test_series_do_not_mix_under_an_anchor():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([range(40), ["etl", "ci"]]).swaplevel()
    table = pd.DataFrame({"build": 50 + rng.normal(size=80).cumsum()}, index=index)
    names = index.get_level_values(0)
    y = table[["build"]]
    pipe = Pipeline([("windows", SequenceWindower(n_steps=1)), ("lstm", small_from_zero())])
    model = AnchoredRegressor(pipe, prior_sample_size=0).fit(table, y, lstm__series=names)
    before = model.predict(table, series=names)
    changed = table.where(names.to_numpy()[:, None] == "etl", table + 20)
    after = model.predict(changed, series=names)
    np.testing.assert_array_equal(after[names == "etl"], before[names == "etl"])
    assert not np.allclose(after[names == "ci"], before[names == "ci"])
    np.testing.assert_array_equal(model.predict(table), before)  # windows know their series


def test_a_service_goes_run_by_run_through_a_pipeline():
    """It keeps the newest run and a state a series, and gives what the whole table gives."""
    rng = np.random.default_rng(0)
    runs = 50 + np.cumsum(rng.normal(size=(120, 1)), axis=0)
    pipe = Pipeline([("windows", SequenceWindower(n_steps=1)), ("lstm", small())])
    pipe.fit(runs[:100], runs[:100, 0])
    whole, state = pipe.predict(runs), pipe[-1].state_[0]
    for row in range(100, 120):
        inputs = pipe[:-1].transform(runs[row - 1 : row + 1])[-1:]
        forecast, state = pipe[-1].step(inputs, state)
        np.testing.assert_allclose(forecast, whole[[row]], rtol=1e-9)


def test_a_fit_is_logged_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    X, y = rows(10, 40, n_outputs=1)
    small(log_dir=tmp_path).fit(X, y[:, 0])
    assert list((tmp_path / "fit-1").iterdir())


def test_lower_bounds_are_learned_from():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = 10 + rng.exponential(5, 200)
    cut_off = y > 14
    bounds = np.where(cut_off, 14.0, np.nan)
    seen = np.where(cut_off, np.nan, y)
    model = small(max_epochs=30, lr=0.02)
    with_bounds = clone(model).fit(X, seen, at_least=bounds).predict(X)
    without = clone(model).fit(X, seen).predict(X)
    assert np.median(with_bounds) > np.median(without) + 0.3


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"forecaster__bidirectional": True}, ValueError, "a state knows only the past"),
        ({"n_steps": 0}, ValueError, "'n_steps' parameter"),
        ({"forecaster": "lstm"}, ValueError, "'forecaster' parameter"),
    ],
)
def test_parameters_are_checked(change, error, message):
    X, y = rows(8, 20)
    with pytest.raises(error, match=message):
        small().set_params(**change).fit(X, y)


def test_errors_say_what_came_and_what_was_expected(fitted):
    model, X, y, series = fitted
    with pytest.raises(ValueError, match="series has 3 entries and X 90 rows"):
        small().fit(X, y, series=NAMES)
    with pytest.raises(ValueError, match="the series of row 1 is missing"):
        small().fit(X[:3], y[:3], series=["a", None, "b"])
    with pytest.raises(ValueError, match=r"state of series 'ci' has shape \(2, 2\)"):
        model.predict(X, series=series, state={"ci": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="X has 2 rows; expected one run"):
        model.step(X[:2])
    with pytest.raises(NoHistoryError, match="no target of output 0"):
        small().fit(X, np.full(90, np.nan))


def remembered_events(n, seed):
    """An event every 40 to 80 runs decides, until the next one, how long the runs take."""
    rng = np.random.default_rng(seed)
    event = np.zeros(n)
    at = np.cumsum(rng.integers(40, 80, n // 40))
    at = at[at < n]
    event[at] = rng.choice([-1.0, 1.0], len(at))
    last = pd.Series(np.where(event == 0, np.nan, event)).ffill().fillna(0.0).to_numpy()
    since = np.arange(n) - pd.Series(np.where(event == 0, np.nan, np.arange(n))).ffill().to_numpy()
    X = np.column_stack([event, rng.normal(size=n)])
    return X, 100 + 10 * last + rng.normal(0, 1, n), since


@pytest.mark.slow
def test_it_remembers_what_windows_of_the_same_length_cannot_see():
    X, y, since = remembered_events(2400, seed=0)
    train, test = slice(0, 1800), slice(1800, None)
    forecaster = LSTMForecaster(
        16,
        network_options=NetworkOptions(forget_bias=1.0),
        early_stopping=False,
        max_epochs=40,
        device="cpu",
        random_state=0,
    )
    model = StatefulForecaster(forecaster, n_steps=20).fit(X[train], y[train])
    stateful = np.abs(model.predict(X[test]) - y[test])
    windows = SequenceWindower(n_steps=20, known=[0, 1]).fit_transform(X)
    other = clone(forecaster).fit(windows[train], y[train])
    windowed = np.abs(other.predict(windows[test]) - y[test])
    long_ago = since[test] >= 40
    assert long_ago.sum() > 50
    assert stateful[long_ago].mean() < 3.0
    assert windowed[long_ago].mean() > 2 * stateful[long_ago].mean()
