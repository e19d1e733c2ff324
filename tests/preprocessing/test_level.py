"""Levels see what a slow loop sees, nothing that had not ended, and every ratio can be undone."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_jobtime import FailureImputer, LevelScaler, SequenceWindower, TimestampToNumeric
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs import job_columns
from sklearn_jobtime.runs._log_ratio import least_duration, log_ratio


def overlapping_runs(seed, n_rows=16):
    rng = np.random.default_rng(seed)
    started = np.sort(rng.integers(0, 20, n_rows)) * 60.0
    ended = started + rng.integers(0, 6, n_rows) * 60
    ended[rng.random(n_rows) < 0.1] = np.nan
    build = np.round(rng.uniform(0, 9, n_rows))
    build[rng.random(n_rows) < 0.2] = np.nan
    index = pd.MultiIndex.from_arrays([rng.choice(["a", "b"], n_rows), np.arange(n_rows)])
    return pd.DataFrame(
        {
            "started_at": started,
            "ended_at": ended,
            "build": build,
            "build__failed": (rng.random(n_rows) < 0.2).astype(float),
        },
        index=index,
    )


def level_by_loop(runs, n_runs, statistic):
    levels = []
    for t, (series, _) in enumerate(runs.index):
        known = [
            (runs["ended_at"].iloc[i], runs["started_at"].iloc[i], i)
            for i in range(t)
            if runs.index[i][0] == series
            and runs["ended_at"].iloc[i] <= runs["started_at"].iloc[t]
            and runs["build__failed"].iloc[i] == 0
            and not np.isnan(runs["build"].iloc[i])
        ]
        newest = [runs["build"].iloc[i] for *_, i in sorted(known)][-n_runs:]
        levels.append(getattr(np, statistic)(newest) if newest else np.nan)
    return np.array(levels)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    n_runs=st.integers(1, 5),
    statistic=st.sampled_from(["median", "mean"]),
)
def test_a_ratio_is_that_to_the_level_of_a_slow_loop(seed, n_runs, statistic):
    runs = overlapping_runs(seed)
    scaler = LevelScaler(n_runs, statistic=statistic, keep_level=True)
    out = scaler.fit_transform(runs)
    floor = scaler.floor_["build"]
    level = np.maximum(level_by_loop(runs, n_runs, statistic), floor)
    expected = np.log(np.maximum(runs["build"], floor) / level).clip(-3, 3)
    np.testing.assert_allclose(out["build"], expected, atol=1e-12)
    np.testing.assert_allclose(out["started_at__level_build"], np.log(level))
    assert out.columns.tolist() == scaler.get_feature_names_out().tolist()
    others = ["started_at", "ended_at", "build__failed"]
    pd.testing.assert_frame_equal(out[others], runs[others])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), row=st.integers(3, 15))
def test_nothing_unknown_at_the_start_changes_a_level(seed, row):
    runs = overlapping_runs(seed)
    scaler = LevelScaler(3, keep_level=True).fit(runs)
    unknown = ~(runs["ended_at"] <= runs["started_at"].iloc[row])
    unknown.iloc[row] = True
    altered = runs.copy()
    altered.loc[unknown, "build"] = 12345.0
    altered.loc[unknown, "build__failed"] = 0.0
    level = "started_at__level_build"
    before, after = scaler.transform(runs)[level], scaler.transform(altered)[level]
    np.testing.assert_array_equal(before.iloc[row], after.iloc[row])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), cut=st.integers(2, 14))
def test_rows_after_fit_have_the_history_of_the_whole_table(seed, cut):
    runs = overlapping_runs(seed)
    is_late = (runs["started_at"] >= runs["started_at"].iloc[cut]).to_numpy()
    if is_late.all():
        return
    whole, head = LevelScaler(4).fit(runs), LevelScaler(4).fit(runs[~is_late])
    head.floor_ = whole.floor_
    pd.testing.assert_frame_equal(head.transform(runs[is_late]), whole.transform(runs)[is_late])
    pd.testing.assert_frame_equal(head.transform(runs), whole.transform(runs))


@given(
    seconds=st.floats(1e-3, 1e5),
    level=st.floats(1e-3, 1e5),
    unit=st.sampled_from([1e-3, 60.0, 3600.0]),
)
def test_ratios_have_no_unit_and_stay_within_the_clip(seconds, level, unit):
    one = log_ratio(np.array([seconds]), np.array([level]), 1e-4, 2.0)
    other = log_ratio(np.array([seconds * unit]), np.array([level * unit]), 1e-4 * unit, 2.0)
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert abs(one[0]) <= 2.0
    if 1 / 7 < seconds / level < 7:
        assert level * np.exp(one[0]) == pytest.approx(seconds)


def test_zero_seconds_have_a_ratio():
    out = LevelScaler(2).fit_transform(pd.DataFrame({"test": [0.0, 0.02, 0.0, 0.0, 0.0]}))
    assert np.isfinite(out["test"][1:]).all()
    assert out["test"].iloc[-1] == 0.0
    assert least_duration(np.array([0.0, np.nan])) == 1.0


def test_a_failed_run_never_sets_a_level():
    runs = pd.DataFrame({"build": [10.0, 10.0, 900.0, 10.0], "build__failed": [0.0, 0, 1, 0]})
    ratio = LevelScaler(1, clip=2.5).fit_transform(runs)["build"]
    assert ratio.tolist()[1:] == [0.0, 2.5, 0.0]


def test_jobs_are_found_behind_the_imputer_with_the_time_of_the_whole_run():
    runs = make_job_runs(n_runs=60, n_jobs=3, random_state=0)
    table = TimestampToNumeric().fit_transform(runs)
    table = FailureImputer().fit_transform(table)
    scaler = LevelScaler(5)
    out = scaler.fit_transform(table)
    assert scaler.jobs_ == [*job_columns(runs), "ended_at__elapsed"]
    assert out[scaler.jobs_].abs().max(axis=None) <= 3.0
    spoilt = table.filter(regex="__(failed|timeout|cancelled)$").any(axis=1)
    assert spoilt.any()
    alone = table["ended_at__elapsed"].mask(spoilt)
    only = LevelScaler(5, jobs=["ended_at__elapsed"]).fit_transform(
        table.assign(ended_at__elapsed=alone).filter(regex="^(started_at|ended_at)")
    )
    np.testing.assert_allclose(
        out["ended_at__elapsed"][~spoilt], only["ended_at__elapsed"][~spoilt]
    )


def test_without_marks_the_float_columns_are_the_jobs():
    runs = pd.DataFrame({"started_at": [0.0, 9.0], "build": [1.0, 2.0], "files": [3, 4]})
    assert LevelScaler().fit(runs).jobs_ == ["build"]
    assert LevelScaler(jobs=["files"]).fit(runs).jobs_ == ["files"]
    text = runs.assign(event=["push", "schedule"]).drop(columns="build")
    pd.testing.assert_frame_equal(LevelScaler().fit_transform(text), text)


def test_the_level_is_known_at_the_start_to_the_windower():
    runs = pd.DataFrame({"build": [2.0, 4.0, 8.0]})
    table = LevelScaler(1, keep_level=True).fit_transform(runs)
    window = SequenceWindower(n_steps=1).fit(table).transform(table)[2]
    np.testing.assert_allclose(np.exp(window), [[2.0, 4.0]])  # the ratio before, its own level


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "object"])
def test_nullable_and_object_numbers_are_read(dtype):
    runs = pd.DataFrame({"build": pd.Series([2, None, 4], dtype=dtype)})
    out = LevelScaler(1, jobs=["build"]).fit_transform(runs)["build"]
    assert out.iloc[2] == pytest.approx(np.log(2))


def test_a_table_is_not_changed_and_neither_is_the_scaler():
    runs = overlapping_runs(1)
    runs_before = runs.copy()
    scaler = LevelScaler().fit(runs)
    state = pickle.dumps(scaler)
    scaler.transform(runs.iloc[5:])
    assert pickle.dumps(scaler) == state
    pd.testing.assert_frame_equal(runs, runs_before)
    assert clone(scaler).get_params() == scaler.get_params()


BAD = {
    "infinite": ({"build": [1.0, np.inf]}, {}, "FailureImputer before"),
    "text": ({"build": ["a", "b"]}, {"jobs": ["build"]}, "numbers of seconds"),
    "no column": ({"build": [1.0, 2.0]}, {"jobs": ["test"]}, "no column of the table"),
    "twice": (
        {"build": [1.0], "started_at__level_build": [0.0]},
        {"keep_level": True},
        "transform a table twice",
    ),
}


@pytest.mark.parametrize(("table", "options", "message"), BAD.values(), ids=BAD)
def test_bad_tables_are_named(table, options, message):
    with pytest.raises(RunTableError, match=message):
        LevelScaler(**options).fit_transform(pd.DataFrame(table))
