"""Scores skip NaN targets, count them, and never skip a NaN forecast."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_pinball_loss

from sklearn_jobtime import metrics
from sklearn_jobtime.exceptions import NoHistoryError

FUNCTIONS = [
    metrics.observed_mae,
    metrics.observed_rmse,
    metrics.observed_mape,
    metrics.observed_pinball,
    metrics.observed_share_within,
    metrics.observed_r2,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), hidden=st.integers(0, 8))
def test_a_hidden_target_counts_as_if_its_row_were_not_there(function, seed, hidden):
    rng = np.random.default_rng(seed)
    y, forecast = rng.uniform(1, 9, 12), rng.uniform(1, 9, 12)
    gaps = rng.permutation(12)[:hidden]
    holed = y.copy()
    holed[gaps] = np.nan
    value, ignored = function(holed, forecast, return_ignored=True)
    assert ignored == hidden
    assert value == pytest.approx(function(np.delete(y, gaps), np.delete(forecast, gaps)))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_a_missing_forecast_is_an_error_and_no_target_too(function):
    with pytest.raises(ValueError, match="y_pred holds NaN"):
        function([1.0, 2.0], [1.0, np.nan])
    with pytest.raises(ValueError, match="same shape"):
        function([1.0, 2.0], [1.0])
    with pytest.raises(NoHistoryError, match="none of the 2 targets"):
        function([np.nan, np.nan], [1.0, 2.0])


def test_perfect_and_known_values():
    y = np.array([[10.0, 20.0], [30.0, np.nan], [50.0, 60.0]])
    perfect = np.nan_to_num(y, nan=7.0)
    assert metrics.observed_mae(y, perfect) == 0
    assert metrics.observed_r2(y, perfect) == 1
    assert metrics.observed_share_within(y, perfect) == 1
    assert metrics.observed_mae(y, perfect + 3) == pytest.approx(3)
    assert metrics.observed_share_within(y, perfect * 1.2, tolerance=0.25) == 1
    assert metrics.observed_pinball([10.0], [8.0], quantile=0.9) == pytest.approx(1.8)


def test_r2_skips_outputs_with_one_target():
    y = np.array([[1.0, 5.0], [2.0, np.nan], [3.0, np.nan]])
    assert metrics.observed_r2(y, [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]) == 1.0


@pytest.mark.parametrize("name", sorted(metrics.SCORERS))
def test_scorers_take_targets_with_gaps_and_greater_is_better(name):
    X, y = np.zeros((4, 1)), np.array([1.0, 2.0, np.nan, 3.0])
    scorer = metrics.get_forecast_scorer(name)
    near = DummyRegressor(strategy="constant", constant=2.0).fit(X, np.ones(4))
    far = DummyRegressor(strategy="constant", constant=20.0).fit(X, np.ones(4))
    assert scorer(near, X, y) > scorer(far, X, y)


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_any_quantile_has_a_scorer(quantile):
    X, y = np.zeros((4, 1)), np.array([1.0, 2.0, np.nan, 30.0])
    model = DummyRegressor(strategy="constant", constant=10.0).fit(X, np.ones(4))
    expected = mean_pinball_loss([1.0, 2.0, 30.0], [10.0] * 3, alpha=quantile)
    score = metrics.get_forecast_scorer(f"neg_observed_pinball_{quantile}")(model, X, y)
    assert score == pytest.approx(-expected)


@pytest.mark.parametrize("name", ["mae", "neg_observed_pinball_1", "neg_observed_mae_0.9", ""])
def test_an_unknown_scorer_lists_those_there_are(name):
    with pytest.raises(ValueError, match=r"neg_observed_mae.*neg_observed_pinball_0\.9"):
        metrics.get_forecast_scorer(name)
