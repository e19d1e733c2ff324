"""What is said of recent runs is what a slow loop finds, and never of a run that had not ended."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime import FailureImputer, RecentRuns, TimestampToNumeric
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError

WINDOWS = [1, 3]


def overlapping_runs(seed, n_rows=18):
    rng = np.random.default_rng(seed)
    started = np.sort(rng.integers(0, 20, n_rows)) * 60.0
    ended = started + rng.integers(0, 6, n_rows) * 60
    ended[rng.random(n_rows) < 0.1] = np.nan
    build = np.round(rng.uniform(1, 9, n_rows)) + 0.001
    build[rng.random(n_rows) < 0.2] = np.nan
    index = pd.MultiIndex.from_arrays([rng.choice(["a", "b"], n_rows), np.arange(n_rows)])
    table = {
        "started_at": started,
        "ended_at": ended,
        "event": rng.choice(["push", "tag", None], n_rows),
        "build": build,
        "build__failed": (rng.random(n_rows) < 0.2).astype(float),
    }
    return pd.DataFrame(table, index=index)


def by_loop(runs, t):
    """Features of row t, one run at a time."""
    row, series = runs.iloc[t], runs.index[t][0]
    ended = sorted(
        (runs["ended_at"].iloc[i], runs["started_at"].iloc[i], i)
        for i in range(t)
        if runs.index[i][0] == series and runs["ended_at"].iloc[i] <= row["started_at"]
    )
    ended = [runs.iloc[i] for *_, i in ended]
    good = [r for r in ended if not np.isnan(r["build"]) and not r["build__failed"]]
    logs = np.log([r["build"] for r in good])
    if not len(logs):
        return {}
    same = [r for r in good if r["event"] == row["event"] or (r.isna() & row.isna())["event"]]
    level = np.median(logs[-10:])
    recorded = [r["build__failed"] for r in ended[-5:] if not np.isnan(r["build"])]
    under_way = sum(runs.index[i][0] == series for i in range(t)) - len(ended)
    expected = {f"build_median_{n}": np.median(logs[-n:]) - level for n in WINDOWS}
    expected |= {
        "build_mean_10": np.log(np.mean(np.exp(logs[-10:]))) - level,
        "build_low": np.quantile(logs[-20:], 0.1) - level,
        "build_high": np.quantile(logs[-20:], 0.9) - level,
        "build_spread": np.median(np.abs(logs[-20:] - np.median(logs[-20:]))),
        "build_failed": np.mean(recorded) if recorded else np.nan,
        "overlap": np.log1p(under_way),
    }
    if same:
        expected["build_by_event"] = np.median(np.log([r["build"] for r in same])[-10:]) - level
    return {f"started_at__{name}": value for name, value in expected.items()}


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_every_column_is_that_of_a_slow_loop(seed):
    runs = overlapping_runs(seed)
    recent = RecentRuns(["event"], windows=WINDOWS)
    out = recent.fit_transform(runs)
    assert out.columns.tolist() == recent.get_feature_names_out().tolist()
    pd.testing.assert_frame_equal(out[runs.columns], runs)
    for t in range(len(runs)):
        for name, value in by_loop(runs, t).items():
            assert out[name].iloc[t] == pytest.approx(value, nan_ok=True), (t, name)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), row=st.integers(3, 17))
def test_nothing_unknown_at_the_start_changes_a_column(seed, row):
    runs = overlapping_runs(seed)
    recent = RecentRuns(["event"], windows=WINDOWS).fit(runs)
    unknown = ~(runs["ended_at"] <= runs["started_at"].iloc[row])
    unknown.iloc[row] = True
    altered = runs.copy()
    altered.loc[unknown, "build"] = 12345.0
    altered.loc[unknown, "build__failed"] = 0.0
    added = recent.get_feature_names_out()[runs.shape[1] :]
    before, after = recent.transform(runs)[added], recent.transform(altered)[added]
    pd.testing.assert_series_equal(before.iloc[row], after.iloc[row])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), cut=st.integers(2, 16))
def test_rows_after_fit_have_the_history_of_the_whole_table(seed, cut):
    runs = overlapping_runs(seed)
    is_late = (runs["started_at"] >= runs["started_at"].iloc[cut]).to_numpy()
    if is_late.all():
        return
    whole, head = RecentRuns(["event"]).fit(runs), RecentRuns(["event"]).fit(runs[~is_late])
    head.floor_ = whole.floor_
    given = is_late | runs["ended_at"].isna()  # what still runs is part of today's table
    expected = whole.transform(runs)
    pd.testing.assert_frame_equal(head.transform(runs[given])[is_late[given]], expected[is_late])


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_what_is_forgotten_is_not_missed(seed):
    runs = overlapping_runs(seed, n_rows=200)
    runs["started_at"] += np.repeat(np.arange(20), 10) * 3600.0
    runs["ended_at"] += np.repeat(np.arange(20), 10) * 3600.0
    runs.loc[runs["build"].isna(), "ended_at"] = np.nan  # more than count as under way
    is_late = (runs["started_at"] >= runs["started_at"].iloc[150]).to_numpy()
    whole = RecentRuns(["event"], windows=WINDOWS).fit(runs)
    head = RecentRuns(["event"], windows=WINDOWS).fit(runs[~is_late])
    head.floor_ = whole.floor_
    assert len(head._memory.age) < (~is_late).sum()
    given = is_late | runs["ended_at"].isna()
    expected = whole.transform(runs)[is_late]
    pd.testing.assert_frame_equal(head.transform(runs[given])[is_late[given]], expected)
    pd.testing.assert_frame_equal(head.transform(runs[is_late]), expected)


def test_numbers_of_many_values_are_cut_into_classes():
    rng = np.random.default_rng(0)
    lines = rng.lognormal(3, 1, 300)
    runs = pd.DataFrame({"build": 10 + (lines > 40) * 30.0, "lines": lines})
    recent = RecentRuns(["lines"], jobs=["build"])
    out = recent.fit_transform(runs)["started_at__build_by_lines"][50:]
    assert len(recent.cuts_["lines"]) == 4
    large = lines[50:] > recent.cuts_["lines"][-1]
    assert (out[large] >= 0).all()
    assert out[large].max() > out[~large].min()
    new = pd.DataFrame({"build": [np.nan] * 2, "lines": [np.nan, 1e9]}, index=[300, 301])
    new = recent.transform(new)
    assert new["started_at__build_by_lines"].isna().tolist() == [True, False]


def test_covariates_that_drift_are_passed_over():
    runs = pd.DataFrame({"build": 9.0, "sloc": np.arange(40), "event": list("ab") * 20})
    assert RecentRuns(["sloc", "event"], jobs=["build"]).fit(runs).by_ == ["event"]


def test_behind_the_imputer_every_job_and_the_whole_run_have_their_columns():
    runs = make_job_runs(n_runs=50, n_jobs=2, n_series=2, random_state=0)
    table = FailureImputer().fit_transform(TimestampToNumeric().fit_transform(runs))
    recent = RecentRuns(windows=[3])
    added = recent.fit_transform(table).iloc[:, table.shape[1] :]
    assert added.shape[1] == 3 * 6 + 1
    assert np.isfinite(added.iloc[-10:]).all(axis=None)
    assert added.abs().max(axis=None) <= np.log1p(20)


def test_bad_options_and_tables_are_named():
    runs = pd.DataFrame({"build": [1.0, 2.0], "build__failed": [0.0, 0.0]})
    with pytest.raises(ValueError, match="whole numbers of runs"):
        RecentRuns(windows=[0]).fit(runs)
    with pytest.raises(RunTableError, match="no column of the table"):
        RecentRuns(by=["event"]).fit(runs)
    with pytest.raises(RunTableError, match="transform a table twice"):
        RecentRuns().fit(RecentRuns().fit_transform(runs))
