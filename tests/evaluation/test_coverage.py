"""The coverage report counts what a loop counts, and tells whether it is the nominal coverage."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.evaluation import (
    coverage_report,
    holdout_intervals,
    interval_table,
    rolling_coverage,
)
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.runs import STARTED_AT, make_targets, split_by_time


@st.composite
def intervals_and_targets(draw):
    n, jobs, horizon = draw(st.integers(2, 12)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    seconds = rng.uniform(1, 100, (n, jobs))
    seconds[rng.random((n, jobs)) < 0.2] = np.nan
    seconds[0] = 50.0
    index = pd.MultiIndex.from_arrays([rng.integers(0, 2, n), np.arange(n)])
    y = make_targets(pd.DataFrame(seconds, index, [f"job{k}" for k in range(jobs)]), horizon)
    low = rng.uniform(0, 60, y.shape)
    return np.stack([low, low + 60], axis=2), y


def held_by_loop(interval, y):
    """For each kind of count, whether each of its cases was inside."""
    actual, columns = y.to_numpy(), y.columns.tolist()
    horizon = max(step for step, _ in columns)
    series = y.index.get_level_values(0).tolist()
    inside = (interval[..., 0] <= actual) & (actual <= interval[..., 1])
    held = {"each target": [], "all jobs of a run": [], "all steps of a job": []}
    held["whole forecast"] = []
    for t in range(len(y)):
        seen = [k for k in range(len(columns)) if not np.isnan(actual[t, k])]
        held["each target"] += [inside[t, k] for k in seen]
        for step in range(1, horizon + 1):
            own = [inside[t, k] for k in seen if columns[k][0] == step]
            held["all jobs of a run"] += [all(own)] if own else []
        if series[t + 1 :].count(series[t]) < horizon - 1:
            continue  # its last step lies beyond the table
        for job in {job for _, job in columns}:
            own = [inside[t, k] for k in seen if columns[k][1] == job]
            held["all steps of a job"] += [all(own)] if own else []
        held["whole forecast"] += [all(inside[t, seen])] if seen else []
    return held


@settings(deadline=None, max_examples=40)
@given(intervals_and_targets())
def test_the_report_counts_what_a_loop_counts(made):
    interval, y = made
    report = coverage_report(interval_table(interval, interval.mean(axis=2), y), 0.9)
    expected = held_by_loop(interval, y)
    counted = report[report["which"] == ""].set_index("what")
    assert set(counted.index) <= set(expected)
    for what, row in counted.iterrows():
        cases = expected[what]
        k, n = sum(cases), len(cases)
        assert row["n"] == n
        assert row["coverage"] == pytest.approx(k / n)
        assert row["low"] == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0.0)
        assert row["high"] == pytest.approx(beta.ppf(0.975, k + 1, n - k) if k < n else 1.0)
        assert 1 <= row["n_effective"] <= n
    several = {name: len(set(y.columns.get_level_values(name))) > 1 for name in ("job", "step")}
    seen = y.columns[y.notna().any()]
    for name in ("job", "step"):
        own = report[report["what"] == name]
        n_seen = seen.get_level_values(name).nunique()
        assert len(own) == (n_seen if several[name] and n_seen > 1 else 0)
        if len(own):
            assert own["n"].sum() == len(expected["each target"])
    assert np.allclose(report["width"], 60.0)


@settings(deadline=None, max_examples=30)
@given(intervals_and_targets(), st.integers(1, 5))
def test_rolling_coverage_is_that_of_the_newest_targets(made, n_rows):
    interval, y = made
    table = interval_table(interval, interval.mean(axis=2), y)
    rolling = rolling_coverage(table, n_rows)
    inside = table["inside"].tolist()
    expected = [np.mean(inside[k - n_rows : k]) for k in range(n_rows, len(inside) + 1)]
    np.testing.assert_allclose(rolling["coverage"], expected)
    assert (
        (rolling["low"] <= rolling["coverage"]) & (rolling["coverage"] <= rolling["high"])
    ).all()


@pytest.fixture(scope="module")
def tested():
    runs = make_job_runs(n_runs=500, n_jobs=3, n_series=2, random_state=0)
    train, is_test = split_by_time(runs, 0.4)
    return runs, train, is_test


@pytest.mark.parametrize("simultaneous", ["none", "both"])
def test_only_simultaneous_intervals_have_simultaneous_coverage(tested, simultaneous):
    runs, train, is_test = tested
    model = ConformalForecaster(RollingRule("median"), 0.9, simultaneous=simultaneous)
    model.fit(train, make_targets(train, 2))
    intervals = holdout_intervals(model, runs, is_test)
    assert set(intervals["row"]) <= set(np.flatnonzero(is_test))
    assert intervals[STARTED_AT].is_monotonic_increasing
    report = coverage_report(intervals, 0.9)
    joint = report[report["what"] == "whole forecast"].iloc[0]
    if simultaneous == "none":
        assert not joint["as_promised"]
        assert report["coverage"].iloc[0] == pytest.approx(0.9, abs=0.05)
    else:
        assert joint["as_promised"]
    assert set(report.loc[report["what"] == "series", "which"]) == {"pipeline_0", "pipeline_1"}
    half = coverage_report(holdout_intervals(model, runs, is_test, 0.5), 0.5)
    assert (half["width"] < report["width"]).all()


def test_what_cannot_be_counted_is_refused():
    y = make_targets(pd.DataFrame({"build": [1.0, np.nan]}))
    bounds = np.array([[[0.5, 2.0]]] * 2)
    assert len(interval_table(bounds, [[1.0]] * 2, y)) == 1
    with pytest.raises(NoHistoryError, match="none of the 1 targets"):
        interval_table(bounds[1:], [[1.0]], y.iloc[1:])
    with pytest.raises(ValueError, match="interval has shape"):
        interval_table(bounds[:, :, 0], [[1.0]] * 2, y)
    bounds[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="bound of an observed target is NaN"):
        interval_table(bounds, [[1.0]] * 2, y)
    unbounded = interval_table([[[0.0, np.inf]]] * 2, [[0.0]] * 2, y)
    report = coverage_report(unbounded, 0.9)
    assert report["coverage"].tolist() == [1.0]
    assert np.isinf(report["width"]).all()
    assert rolling_coverage(unbounded).empty
