"""The parts of a forecast add up, and are those of the model where these are known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin

from sklearn_jobtime.baselines import ExponentialMean, RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.inspection import forecast_contributions, shapley_values
from sklearn_jobtime.runs import ENDED_AT, WHOLE_RUN, make_targets

JOBS = ["a", "b", "c"]


def in_all_orders(value, n_players):
    """Shapley's values as they are defined: the mean over all orders of joining."""
    shares = np.zeros((n_players, len(value(0))))
    orders = list(itertools.permutations(range(n_players)))
    for order in orders:
        coalition = 0
        for player in order:
            shares[player] += value(coalition | 1 << player) - value(coalition)
            coalition |= 1 << player
    return shares / len(orders)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_shares_are_the_mean_over_all_orders(n_players, seed):
    worth = np.random.default_rng(seed).normal(size=(2**n_players, 2))
    shares, errors = shapley_values(worth.__getitem__, n_players)
    np.testing.assert_allclose(shares, in_all_orders(worth.__getitem__, n_players), atol=1e-12)
    assert not errors.any()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 9))
def test_sampled_shares_add_up(seed, n_permutations):
    worth = np.random.default_rng(seed).normal(size=(2**7, 2))
    shares, errors = shapley_values(worth.__getitem__, 7, n_permutations, random_state=seed)
    np.testing.assert_allclose(shares.sum(axis=0), worth[-1] - worth[0], atol=1e-9)
    assert (errors > 0).any()


def test_sampled_shares_are_as_near_the_exact_ones_as_their_errors_say():
    worth = np.random.default_rng(0).normal(size=(2**9, 3))
    exact, none = shapley_values(worth.__getitem__, 9, n_permutations=1000)
    assert not none.any()
    off = []
    for seed in range(30):
        shares, errors = shapley_values(worth.__getitem__, 9, 50, random_state=seed)
        off.append((shares - exact) / errors)
    assert 0.8 < np.sqrt(np.mean(np.square(off))) < 1.25
    assert abs(np.mean(off)) < 0.25


def test_no_player_shares_nothing():
    shares, errors = shapley_values(lambda coalition: np.ones(3), 0)
    assert shares.shape == errors.shape == (0, 3)


class Weights(RegressorMixin, BaseEstimator):
    """Forecasts that add the last durations and a covariate with known weights."""

    def fit(self, X, y):
        self.target_names_ = y.columns
        self.is_fitted_ = True
        return self

    def predict(self, X):
        last = X[JOBS].shift(1).fillna(0.0)
        mix = last["a"] + 2 * last["b"] + 0.5 * X["size"]
        return np.column_stack([mix, last["a"] + last["b"], last["c"]])


def table(seed, n_runs=15):
    rng = np.random.default_rng(seed)
    runs = pd.DataFrame(rng.uniform(50, 150, size=(n_runs, 3)), columns=JOBS)
    return runs.assign(size=rng.integers(1, 100, n_runs))


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 1000), st.integers(3, 14))
def test_an_additive_model_is_taken_apart(seed, row):
    runs = table(seed)
    why = forecast_contributions(Weights().fit(runs, make_targets(runs, jobs=JOBS)), runs, row)
    usual = runs[JOBS].iloc[max(0, row - 11) : row - 1].median()
    off = runs[JOBS].iloc[row - 1] - usual
    size = runs["size"].iloc[row] - runs["size"].iloc[max(0, row - 10) : row].median()
    expected = pd.DataFrame(
        {
            "a": [off["a"], 2 * off["b"], 0.0, 0.5 * size],
            "b": [off["a"], off["b"], 0.0, 0.0],
            "c": [0.0, 0.0, off["c"], 0.0],
        },
        index=[*JOBS, "size"],
    )
    pd.testing.assert_frame_equal(why.seconds, expected, atol=1e-9)
    np.testing.assert_allclose(why.seconds.sum(), why.forecast - why.baseline, atol=1e-9)


@pytest.mark.parametrize("rule", [RollingRule("last"), ExponentialMean()])
def test_parts_sum_to_the_difference_and_only_the_own_past_moves_a_rule(rule):
    runs = make_job_runs(n_runs=80, n_jobs=3, random_state=1)
    rule.fit(runs, make_targets(runs))
    why = forecast_contributions(rule, runs, 70)
    assert list(why.seconds.index) == ["job_0", "job_1", "job_2", WHOLE_RUN, "input_rows"]
    np.testing.assert_allclose(why.seconds.sum(), why.forecast - why.baseline, atol=1e-9)
    np.testing.assert_allclose(why.forecast, rule.predict(runs)[70])
    others = why.seconds.to_numpy()[:4][~np.eye(4, dtype=bool)]
    assert not others.any()
    assert why.seconds.to_numpy()[:4].any()


def test_jobs_that_change_the_same_get_the_same():
    runs = table(0)
    runs["b"] = runs["a"]
    why = forecast_contributions(Weights().fit(runs, make_targets(runs, jobs=JOBS)), runs)
    assert why.seconds.loc["a", "b"] == pytest.approx(why.seconds.loc["b", "b"])


def test_more_players_than_all_coalitions_allow_are_sampled_and_still_add_up():
    runs = make_job_runs(n_runs=40, n_jobs=10, random_state=0)
    rule = RollingRule("mean").fit(runs, make_targets(runs))
    one, two = (forecast_contributions(rule, runs, n_permutations=4) for _ in range(2))
    np.testing.assert_allclose(one.seconds.sum(), one.forecast - one.baseline, atol=1e-9)
    pd.testing.assert_frame_equal(one.seconds, two.seconds)
    np.testing.assert_allclose(one.errors, 0.0, atol=1e-9)  # a rule is additive


def test_no_outcome_not_yet_known_changes_a_part():
    runs = make_job_runs(n_runs=60, n_jobs=2, n_series=2, interval="20min", random_state=0)
    rule = RollingRule("mean", n_runs=3).fit(runs, make_targets(runs))
    row = 90
    unknown = (~(runs[ENDED_AT] <= runs["started_at"].iloc[row])).to_numpy()
    altered = runs.copy()
    altered.loc[unknown, ["job_0", "job_1"]] = 98765.0
    altered.loc[unknown, ["job_0__status", "job_1__status"]] = "failed"
    altered.loc[unknown, ENDED_AT] += pd.Timedelta(days=900)
    before, after = (forecast_contributions(rule, t, row) for t in (runs, altered))
    pd.testing.assert_frame_equal(before.seconds, after.seconds)
    pd.testing.assert_series_equal(before.baseline, after.baseline)
    later = forecast_contributions(rule, altered, len(runs) - 1)
    assert not later.forecast.equals(forecast_contributions(rule, runs, len(runs) - 1).forecast)


def test_of_one_job_the_largest_part_comes_first():
    runs = table(3)
    why = forecast_contributions(Weights().fit(runs, make_targets(runs, jobs=JOBS)), runs)
    parts = why.of("a")["seconds"].abs()
    assert parts.is_monotonic_decreasing
    with pytest.raises(ValueError, match="'nothing' is not forecast"):
        why.of("nothing")


def test_rows_and_steps_that_are_not_there_are_errors():
    runs = table(0)
    model = Weights().fit(runs, make_targets(runs, jobs=JOBS))
    with pytest.raises(ValueError, match="row=15 came, the table has 15 rows"):
        forecast_contributions(model, runs, 15)
    with pytest.raises(ValueError, match="step=2 came"):
        forecast_contributions(model, runs, step=2)


def test_names_and_flags_as_covariates():
    runs = table(0).assign(event=["push"] * 14 + ["schedule"], manual=[False] * 14 + [True])
    model = Weights().fit(runs, make_targets(runs, jobs=JOBS))
    why = forecast_contributions(model, runs)
    assert list(why.seconds.index) == [*JOBS, "size", "event", "manual"]
    assert not why.seconds.loc[["event", "manual"]].any(axis=None)
