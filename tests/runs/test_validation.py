"""The run table's contract: every violation is named, and targets are what a slow loop says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs import (
    STATUSES,
    WHOLE_RUN,
    job_columns,
    make_targets,
    observed_durations,
    pivot_runs,
    series_of,
    to_utc,
    validate_runs,
)


def two_runs(**changes):
    table = {
        "started_at": ["2026-03-01T02:00", "2026-03-02T02:00"],
        "ended_at": ["2026-03-01T02:10", "2026-03-02T02:12"],
        "build": [40.0, 41.0],
        "build__status": ["success", "failed"],
    }
    return pd.DataFrame({**table, **changes}, index=["mon", "tue"])


BAD_TABLES = {
    "empty": (two_runs().iloc[:0], "empty"),
    "no table": ([1, 2, 3], "list"),
    "unsorted": (two_runs().iloc[::-1], "row 'mon': starts before"),
    "no start": (
        two_runs(started_at=["2026-03-01T02:00", None]),
        "row 'tue': the start is missing",
    ),
    "bad start": (two_runs(started_at=["2026-03-01", "soon"]), "row 'tue': 'soon' is not a time"),
    "ends early": (two_runs(ended_at=["2026-03-01T01:00"] * 2), "row 'mon': ended 2026-03-01 01"),
    "negative": (two_runs(build=[40.0, -2.0]), "'build', row 'tue': '-2.0' is negative"),
    "text": (two_runs(build=["40", "long"]), "'build', row 'tue': 'long' is no number"),
    "status": (two_runs(build__status=["ok", "failed"]), "'build__status', row 'mon': unknown"),
    "orphan": (two_runs(test__status=["failed"] * 2), "'test__status' has no job"),
    "no job": (two_runs()[["started_at"]], "no job found"),
    "reserved": (two_runs(whole_run=1.0, whole_run__status="failed"), "reserved name"),
    "duplicate run": (two_runs().set_axis(["mon", "mon"]), "row 'mon' stands twice"),
    "duplicate column": (
        pd.concat([two_runs(), two_runs()[["build"]]], axis=1),
        "column 'build' stands twice",
    ),
}


@pytest.mark.parametrize(("table", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_refused_by_name(table, message):
    with pytest.raises(RunTableError, match=message):
        validate_runs(table)


def test_a_good_table_gets_one_form_and_is_not_changed():
    given_table = two_runs(build=[40, 41], note=["a", "b"])
    before = given_table.copy(deep=True)
    runs = validate_runs(given_table)
    pd.testing.assert_frame_equal(given_table, before)
    assert runs["build"].dtype == "float64"
    assert str(runs["started_at"].dt.tz) == "UTC"
    assert runs["note"].tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(validate_runs(runs), runs)


def test_one_row_infinity_and_running_runs_are_fine():
    runs = validate_runs(two_runs(build=[np.inf, np.nan], ended_at=["2026-03-01T03:00", None]))
    assert np.isinf(runs["build"].iloc[0])
    assert pd.isna(runs["ended_at"].iloc[1])
    assert len(validate_runs(two_runs().iloc[:1])) == 1


def test_two_series_may_start_in_any_order_between_them():
    runs = two_runs().iloc[[1, 0]]
    runs.index = pd.MultiIndex.from_tuples([("a", 1), ("b", 1)], names=["series", "run"])
    assert len(validate_runs(runs)) == 2
    assert series_of(runs.index).tolist() == [0, 1]


@pytest.mark.parametrize(
    "column",
    [
        ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"],
        ["2026-03-29T00:30", "2026-03-29T01:30"],
        [1774744200, 1774747800],
        pd.to_datetime(["2026-03-29T00:30", "2026-03-29T01:30"]),
        pd.to_datetime(["2026-03-29T00:30", "2026-03-29T01:30"])
        .tz_localize("UTC")
        .tz_convert("Asia/Tokyo"),
    ],
    ids=["offsets", "naive", "epoch", "naive datetimes", "aware datetimes"],
)
def test_every_form_of_a_time_is_the_same_moment(column):
    expected = pd.to_datetime(["2026-03-29T00:30Z", "2026-03-29T01:30Z"]).as_unit("us")
    assert to_utc(pd.Series(column, name="started_at")).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "column",
    [
        ["2026-03-29T01:30Z", "2026-03-29T00:30"],
        ["2026-03-29T01:30+02:00", "2026-03-29"],
        [pd.Timestamp("2026-03-29T01:30Z"), pd.Timestamp("2026-03-29T00:30")],
        ["2026-03-29T01:30Z", pd.Timestamp("2026-03-29T00:30").to_pydatetime()],
    ],
    ids=["text", "a day", "timestamps", "text and a datetime"],
)
def test_times_with_and_without_a_zone_in_one_column_are_an_error(column):
    with pytest.raises(RunTableError, match=r"column 'started_at', row 1: .* has no zone, but '20"):
        to_utc(pd.Series(column, name="started_at"))
    table = pd.DataFrame({"started_at": column, "job": [1.0, 2.0]})
    for door in (validate_runs, job_columns):
        with pytest.raises(RunTableError, match="has no zone"):
            door(table)


def test_jobs_are_the_columns_with_a_status_or_else_the_float_columns():
    table = two_runs(size=[1.0, 2.0], lines=[3, 4])
    assert job_columns(table) == ["build"]
    assert job_columns(table.drop(columns="build__status")) == ["build", "size"]
    assert job_columns(table, ["lines"]) == ["lines"]
    with pytest.raises(RunTableError, match="no column 'deploy'"):
        job_columns(table, ["deploy"])


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "success"])
def test_only_successful_durations_count_as_durations(status):
    runs = validate_runs(two_runs(build__status=[None, status]))
    observed = observed_durations(runs)
    assert observed["build"].iloc[0] == 40.0
    assert np.isnan(observed["build"].iloc[1])
    assert observed[WHOLE_RUN].iloc[0] == 600.0
    assert np.isnan(observed[WHOLE_RUN].iloc[1]) == (status != "skipped")


def test_infinity_is_a_failure_without_a_status():
    runs = validate_runs(two_runs(build=[np.inf, 41.0]).drop(columns="build__status"))
    assert observed_durations(runs).isna().to_numpy().tolist() == [[True, True], [False, False]]


def targets_by_loop(durations, series, horizon):
    """DESIGN 4 word by word: runs t, t+1, ... of the row's own series."""
    n_rows, n_jobs = durations.shape
    y = np.full((n_rows, horizon * n_jobs), np.nan)
    for t in range(n_rows):
        own = [i for i in range(t, n_rows) if series[i] == series[t]]
        for step, i in enumerate(own[:horizon]):
            y[t, step * n_jobs : (step + 1) * n_jobs] = durations[i]
    return y


@settings(deadline=None, max_examples=30)
@given(
    n_rows=st.integers(1, 15),
    n_jobs=st.integers(1, 3),
    horizon=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_targets_equal_a_slow_loop(n_rows, n_jobs, horizon, seed):
    rng = np.random.default_rng(seed)
    durations = np.where(rng.random((n_rows, n_jobs)) < 0.2, np.nan, rng.random((n_rows, n_jobs)))
    series = rng.integers(0, 3, n_rows)
    index = pd.MultiIndex.from_arrays([series, np.arange(n_rows)], names=["series", "run"])
    jobs = [f"job{k}" for k in range(n_jobs)]
    y = make_targets(pd.DataFrame(durations, index=index, columns=jobs), horizon)
    np.testing.assert_array_equal(y.to_numpy(), targets_by_loop(durations, series, horizon))
    assert y.columns.tolist() == [(s, j) for s in range(1, horizon + 1) for j in jobs]


def test_the_whole_run_is_a_target_where_its_end_is_known():
    runs = validate_runs(two_runs())
    assert make_targets(runs).columns.tolist() == [(1, "build"), (1, WHOLE_RUN)]
    assert make_targets(runs, whole_run=False).columns.tolist() == [(1, "build")]
    running = validate_runs(two_runs(ended_at=[None, None]))
    assert make_targets(running).columns.tolist() == [(1, "build")]
    with pytest.raises(RunTableError, match="whole_run=True needs"):
        make_targets(runs.drop(columns="ended_at"), whole_run=True)
    with pytest.raises(ValueError, match="at least 1 run ahead"):
        make_targets(runs, 0)


LONG = pd.DataFrame(
    {
        "series": ["etl", "etl", "etl", "ci"],
        "run": [2, 2, 1, 1],
        "job": ["extract", "load", "extract", "test"],
        "started_at": ["2026-03-02T01:00", "2026-03-02T02:00", "2026-03-01T01:00", "2026-03-01"],
        "ended_at": ["2026-03-02T01:30", None, "2026-03-01T01:20", "2026-03-01T00:10"],
        "status": ["success", None, "failed", "success"],
    }
)


def test_a_long_table_becomes_a_run_table_in_start_order():
    runs = pivot_runs(LONG)
    assert runs.index.tolist() == [("ci", 1), ("etl", 1), ("etl", 2)]
    etl = runs.loc["etl"]
    assert etl["extract"].tolist() == [1200.0, 1800.0]
    assert etl["extract__status"].tolist() == ["failed", "success"]
    assert etl["ended_at"].isna().tolist() == [False, True], "one job of run 2 still runs"
    assert etl["started_at"].iloc[1] == pd.Timestamp("2026-03-02T01:00Z")
    assert runs["test"].isna().tolist() == [False, True, True]


def test_a_long_table_names_what_it_lacks():
    with pytest.raises(RunTableError, match="no column 'job'"):
        pivot_runs(LONG.drop(columns="job"))
    with pytest.raises(RunTableError, match="no column 'duration'"):
        pivot_runs(LONG.drop(columns="ended_at"))
    with pytest.raises(RunTableError, match="'extract' stands twice in run '2'"):
        pivot_runs(pd.concat([LONG, LONG.iloc[:1]]))
    assert len(pivot_runs(pd.concat([LONG, LONG.iloc[:1]]), on_duplicate="last")) == 3
