"""The mean of forecasters is the mean of its members, each fitted on what it can learn from."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sklearn_jobtime import AnchoredRegressor, ForecastMean, LSTMForecaster
from sklearn_jobtime.compose import CompleteCaseRegressor
from sklearn_jobtime.compose._forecast_mean import weighted_mean
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.metrics import get_forecast_scorer
from sklearn_jobtime.pipeline import UNKNOWN, flatten, make_anchored_forecaster
from sklearn_jobtime.runs import make_targets


def lstm(**changes):
    return LSTMForecaster(4, max_epochs=3, device="cpu", random_state=0, **changes)


def trees(**changes):
    boosting = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=2, random_state=0)
    return make_pipeline(FunctionTransformer(flatten), boosting.set_params(**changes))


@pytest.fixture(scope="module")
def windows():
    """Windows with unknown steps, and three outputs with gaps of their own."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4, 2))
    X[:3, :2] = np.nan
    y = X[:, -1, [0]] + rng.normal(0, 0.1, (60, 3))
    y[rng.random(y.shape) < 0.2] = np.nan
    return X, np.where(np.isnan(y), np.nan, y + np.arange(3))


@settings(deadline=None, max_examples=30)
@given(n_members=st.integers(1, 4), seed=st.integers(0, 999))
def test_a_weighted_mean_is_that_of_a_loop(n_members, seed):
    rng = np.random.default_rng(seed)
    forecasts = [rng.normal(size=(3, 2)) for _ in range(n_members)]
    weights = rng.integers(0, 5, n_members) + np.eye(n_members, dtype=int)[0]
    naive = np.zeros((3, 2))
    for i in range(3):
        for j in range(2):
            total = 0.0
            for weight, one in zip(weights, forecasts, strict=True):
                total += weight * one[i, j]
            naive[i, j] = total / weights.sum()
    np.testing.assert_allclose(weighted_mean(forecasts, weights), naive)


@pytest.mark.parametrize("weights", [None, [1, 2]])
def test_it_forecasts_the_mean_of_its_members_fitted_by_hand(windows, weights):
    X, y = windows
    model = ForecastMean([("lstm", lstm()), ("trees", trees())], weights=weights).fit(X, y)
    network = lstm().fit(X, y).predict(X)  # masks the gaps
    flat = np.where(np.isnan(X), UNKNOWN, X).reshape(len(X), -1)
    by_hand = np.empty_like(y)
    for k in range(y.shape[1]):
        seen = ~np.isnan(y[:, k])
        by_hand[:, k] = clone(trees()[-1]).fit(flat[seen], y[seen, k]).predict(flat)
    share = 0.5 if weights is None else 2 / 3
    expected = (1 - share) * network + share * by_hand
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)
    assert list(model.named_estimators_) == ["lstm", "trees"]
    assert model.weights_.tolist() == pytest.approx([1 - share, share])
    assert isinstance(model.named_estimators_["trees"][-1], CompleteCaseRegressor)
    assert isinstance(model.named_estimators_["lstm"], LSTMForecaster)


@pytest.mark.parametrize("shape", [(60,), (60, 1)])
def test_one_output_keeps_its_shape_whatever_the_members_make_of_it(windows, shape):
    X, y = windows[0][:, -1], windows[1][:, 0].reshape(shape)
    X = np.nan_to_num(X)
    members = [("lines", Ridge()), ("tree", DecisionTreeRegressor(max_depth=1))]
    assert ForecastMean(members).fit(X, y).predict(X).shape == shape
    y = np.nan_to_num(y)  # a tree gives a column of complete targets as a row
    assert ForecastMean(members).fit(X, y).predict(X).shape == shape


def test_the_same_seed_gives_the_same_forecast_and_no_global_state_moves(windows):
    X, y = windows
    model = ForecastMean([("lstm", lstm()), ("trees", trees())])
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state not to touch
    torch_before = torch.random.get_rng_state()
    n_threads = torch.get_num_threads()
    first, second = (clone(model).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert torch.get_num_threads() == n_threads
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.predict(X), first.predict(X))


def test_a_search_reaches_every_member_and_can_leave_one_out(windows):
    X, y = windows
    search = GridSearchCV(
        ForecastMean([("lstm", lstm()), ("trees", trees())]),
        {
            "lstm__hidden_size": [2, 4],
            "trees__histgradientboostingregressor__max_iter": [1, 5],
            "weights": [None, [1, 3]],
        },
        cv=TimeSeriesSplit(2),
        scoring=get_forecast_scorer("neg_observed_mae"),
        error_score="raise",
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert len(set(search.cv_results_["mean_test_score"])) > 4
    model = ForecastMean([("lstm", lstm()), ("trees", trees())], weights=[5, 1])
    alone = model.set_params(trees="drop").fit(X, y)
    np.testing.assert_array_equal(alone.predict(X), lstm().fit(X, y).predict(X))
    assert alone.weights_.tolist() == [1.0]


class Broken(RegressorMixin, BaseEstimator):
    masks_missing_targets = True

    def fit(self, X, y):
        raise FloatingPointError("training diverged")

    def predict(self, X):
        return np.zeros(len(X))


def test_a_member_that_fails_is_named(windows):
    X, y = windows
    with pytest.raises(FloatingPointError, match="diverged") as caught:
        ForecastMean([("lstm", lstm()), ("other", Broken())]).fit(X, y)
    assert caught.value.__notes__ == ["raised by 'other', a member of ForecastMean"]
    y = y.copy()
    y[:, 1] = np.nan
    with pytest.raises(NoHistoryError, match="output 1"):
        ForecastMean([("trees", trees())]).fit(X, y)
    with pytest.raises(ValueError, match="make_targets"):
        ForecastMean([("trees", trees())]).fit(X, None)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, np.nan], [[1, 2]]])
def test_weights_that_make_no_mean_are_an_error(windows, weights):
    model = ForecastMean([("lstm", lstm()), ("trees", trees())], weights=weights)
    with pytest.raises(ValueError, match="for 2 estimators"):
        model.fit(*windows)


def test_no_members_or_two_of_one_name_are_an_error(windows):
    X, y = windows
    for members in (
        [],
        [("a", trees()), ("a", trees())],
        [("a", "drop")],
        [("a", StandardScaler())],
    ):
        with pytest.raises(ValueError):
            ForecastMean(members).fit(X, y)


class Bounded(RegressorMixin, BaseEstimator):
    """Learns nothing but the lower bounds that it got."""

    masks_missing_targets = True

    def fit(self, X, y, at_least=None):
        self.bounds_ = at_least
        self.mean_ = np.nanmean(y, axis=0)
        return self

    def predict(self, X):
        return np.tile(self.mean_, (len(X), 1))


def test_lower_bounds_go_to_the_members_that_take_them(windows):
    X, y = windows
    bounds = np.where(np.isnan(y), 7.0, np.nan)
    members = [("trees", trees()), ("bounded", make_pipeline(FunctionTransformer(), Bounded()))]
    model = ForecastMean(members).fit(X, y, at_least=bounds)
    np.testing.assert_array_equal(model.named_estimators_["bounded"][-1].bounds_, bounds)
    assert ForecastMean(members).fit(X, y).named_estimators_["bounded"][-1].bounds_ is None
    anchored = AnchoredRegressor(
        ForecastMean([("bounded", Bounded())]), prior_sample_size=0, missing_targets="auto"
    )
    table = make_job_runs(n_runs=40, n_jobs=1, random_state=0)
    targets = make_targets(table)
    fitted = anchored.fit(table, targets, at_least=targets.where(targets.isna(), np.nan))
    assert fitted.regressor_.estimators_[0].bounds_.shape == targets.shape


def test_the_recipe_is_the_mean_of_its_network_and_its_trees():
    runs = make_job_runs(n_runs=120, n_jobs=2, n_series=2, random_state=0)
    y = make_targets(runs, 2)
    model = make_anchored_forecaster(known=["input_rows"], device="cpu", random_state=0)
    model.set_params(
        regressor__mean__lstm__network__max_epochs=2,
        regressor__mean__trees__boosting__regressor__max_iter=3,
    ).fit(runs, y)
    mean = model.regressor_["mean"]
    shown = model._shown(runs, model.base_forecaster_.predict(runs))
    table = model.regressor_[:-1].transform(shown)
    base_columns = [name for name in table if name.startswith("started_at__base_forecast_")]
    assert len(base_columns) == 3
    network, boosted = mean.named_estimators_["lstm"], mean.named_estimators_["trees"]
    expected = (network.predict(table) + 2 * boosted.predict(table)) / 3
    np.testing.assert_allclose(model.regressor_.predict(shown), expected)
    n_columns = len(boosted["windows"].get_feature_names_out())
    assert len(network["windows"].get_feature_names_out()) == n_columns - len(base_columns)
    both = pd.MultiIndex.from_product([[1, 2], ["job_0", "job_1", "whole_run"]])
    assert list(model.target_names_) == list(both)
