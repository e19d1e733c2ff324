"""The rules see what a slow loop sees, and nothing that had not ended."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.runs import make_targets, validate_runs

RULES = [("last", 1), ("mean", 2), ("mean", 3), ("median", 3)]


def overlapping_runs(seed, n_rows=14):
    rng = np.random.default_rng(seed)
    started = np.sort(rng.integers(0, 20, n_rows)) * 60
    ended = (started + rng.integers(0, 6, n_rows) * 60).astype(float)
    ended[rng.random(n_rows) < 0.1] = np.nan
    series = rng.choice(["a", "b"], n_rows)
    index = pd.MultiIndex.from_arrays([series, np.arange(n_rows)], names=["series", "run"])
    table = {
        "started_at": started,
        "ended_at": ended,
        "build": rng.uniform(1, 9, n_rows),
        "build__status": rng.choice(["success", "failed"], n_rows, p=[0.8, 0.2]),
    }
    return validate_runs(pd.DataFrame(table, index=index))


def rule_by_loop(runs, rule, n_runs, fallback):
    forecasts = []
    for t, (series, _) in enumerate(runs.index):
        row = runs.iloc[t]
        known = [
            (runs["ended_at"].iloc[i], runs["started_at"].iloc[i], i)
            for i in range(t)
            if runs.index[i][0] == series
            and runs["ended_at"].iloc[i] <= row["started_at"]
            and runs["build__status"].iloc[i] == "success"
        ]
        newest = [runs["build"].iloc[i] for *_, i in sorted(known)][-n_runs:]
        statistic = {"last": lambda v: v[-1], "mean": np.mean, "median": np.median}[rule]
        forecasts.append(statistic(newest) if newest else fallback)
    return forecasts


@pytest.mark.parametrize(("rule", "n_runs"), RULES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_a_rule_equals_a_slow_loop(rule, n_runs, seed):
    runs = overlapping_runs(seed)
    y = make_targets(runs, whole_run=False)
    if y.isna().all(axis=None):
        return
    model = RollingRule(rule, n_runs).fit(runs, y)
    expected = rule_by_loop(runs, rule, n_runs, model.fallback_[0])
    np.testing.assert_allclose(model.predict(runs)[:, 0], expected)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), row=st.integers(3, 13))
def test_nothing_unknown_at_the_start_changes_a_forecast(seed, row):
    runs = overlapping_runs(seed)
    y = make_targets(runs)
    if y.isna().all().any():
        return
    model = RollingRule("median", 3).fit(runs, y)
    unknown = ~(runs["ended_at"] <= runs["started_at"].iloc[row])
    unknown.iloc[row] = True
    altered = runs.copy()
    altered.loc[unknown, "build"] = 12345.0
    altered.loc[unknown, "build__status"] = "success"
    np.testing.assert_array_equal(model.predict(runs)[row], model.predict(altered)[row])


@pytest.mark.parametrize(("rule", "n_runs"), RULES)
def test_rows_after_fit_have_the_history_of_the_whole_table(rule, n_runs):
    runs = overlapping_runs(3, n_rows=40)
    y = make_targets(runs)
    whole = RollingRule(rule, n_runs).fit(runs, y)
    late = runs[runs["started_at"] >= runs["started_at"].iloc[30]]
    head = RollingRule(rule, n_runs).fit(runs.iloc[:30], y.iloc[:30])
    head.fallback_ = whole.fallback_
    np.testing.assert_array_equal(head.predict(late), whole.predict(runs)[-len(late) :])


def test_every_job_and_step_gets_the_forecast_of_its_own_job():
    runs = pd.DataFrame({"build": [1.0, 2.0, 3.0], "test": [10.0, 20.0, 30.0]})
    forecast = RollingRule("last").fit(runs, make_targets(runs, horizon=2)).predict(runs)
    assert forecast[1:].tolist() == [[1.0, 10.0, 1.0, 10.0], [2.0, 20.0, 2.0, 20.0]]


def test_a_job_that_never_succeeded_is_named():
    runs = pd.DataFrame({"build": [1.0, 2.0], "build__status": ["failed", "failed"]})
    with pytest.raises(NoHistoryError, match="'build': it was never observed"):
        RollingRule().fit(runs, make_targets(runs))
