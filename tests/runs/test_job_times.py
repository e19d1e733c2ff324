"""Starts of jobs in a run table: checked, there and back, and what they make known when."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs import (
    as_of,
    clock_columns,
    job_columns,
    job_ends,
    job_starts,
    melt_runs,
    pivot_runs,
    validate_runs,
)

RUN = {"started_at": ["2026-03-01T04:00Z"], "ended_at": ["2026-03-01T05:00Z"], "build": [600.0]}


def with_start(start, **more):
    return pd.DataFrame({**RUN, "build__started_at": [start], **more})


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("2026-03-01T03:59:30Z", r"'build__started_at', row 0: 'build' started .* before its run"),
        ("2026-03-01T04:55:00Z", r"'build__started_at', row 0: 'build' ended at .* after its run"),
        ("soon", r"'build__started_at', row 0: 'soon' is not a time"),
    ],
)
def test_a_job_outside_its_run_is_an_error_that_names_the_place(start, message):
    with pytest.raises(RunTableError, match=message):
        validate_runs(with_start(start))


@pytest.mark.parametrize("start", ["2026-03-01T03:59:59Z", "2026-03-01T04:50:01Z", None, ""])
def test_what_clocks_round_and_what_nobody_knows_is_none(start):
    runs = validate_runs(with_start(start))
    assert str(runs["build__started_at"].dtype) == "datetime64[us, UTC]"
    assert runs["build__started_at"].isna().tolist() == [not start]


def test_clocks_that_count_minutes_may_be_two_of_them_off():
    assert len(validate_runs(with_start("2026-03-01T03:59:00Z"))) == 1
    with pytest.raises(RunTableError, match="started at"):
        validate_runs(with_start("2026-03-01T03:57:00Z"))


def test_an_end_of_the_users_own_goes_before_start_and_duration():
    ended = with_start("2026-03-01T04:10Z", build__ended_at=["2026-03-01T04:30Z"])
    assert job_ends(ended, "build").dt.minute.tolist() == [30]
    with pytest.raises(RunTableError, match=r"row 0: 'build' ended at .* before it sta"):
        validate_runs(ended.assign(build__ended_at=["2026-03-01T04:05Z"]))


def test_starts_of_jobs_are_no_jobs():
    runs = validate_runs(with_start("2026-03-01T04:10Z", size=[3]))
    assert job_columns(runs) == ["build"]
    assert clock_columns(runs) == ["build__started_at"]
    epoch = runs.assign(build__started_at=1.0e9)
    assert job_columns(epoch) == ["build"]
    # A job of such a name has a status.
    other = pd.DataFrame({"a": [1.0], "a__started_at": [2.0], "a__started_at__status": ["failed"]})
    assert clock_columns(other) == []


# ------------------------------------------------------------------------------- from a long table

ROWS = {
    "run": [1, 1, 1, 1, 1, 1],
    "job": ["plain", "retried", "skipped", "running", "summed", "unknown"],
    "started_at": pd.to_datetime(["2026-03-01T04:00Z"] * 6, utc=True),
    "ended_at": ["2026-03-01T04:10Z", "2026-03-01T04:30Z", "2026-03-01T04:00Z", None,
                 "2026-03-01T04:10Z", "2026-03-01T04:20Z"],
    "duration": [600.0, 300.0, np.nan, np.nan, 6000.0, np.nan],
    "status": ["success", "success", "skipped", None, "success", None],
}  # fmt: skip


def test_a_start_is_where_the_seconds_of_the_duration_began():
    runs = pivot_runs(pd.DataFrame(ROWS), job_starts=True)
    starts = {job: job_starts(runs, job).iloc[0] for job in ROWS["job"]}
    assert starts["plain"] == starts["running"] == runs["started_at"].iloc[0]
    assert starts["retried"] == runs["started_at"].iloc[0] + pd.Timedelta("25min")
    assert all(starts[job] is pd.NaT for job in ("skipped", "summed", "unknown"))
    assert clock_columns(pivot_runs(pd.DataFrame(ROWS))) == []


def test_runs_of_one_job_start_with_it():
    rows = pd.DataFrame(ROWS).iloc[:1]
    assert clock_columns(pivot_runs(rows, job_starts=True)) == []


@settings(max_examples=5, deadline=None)
@given(
    graph=st.sampled_from(["chain", "fan_out", "diamond"]),
    n_workers=st.sampled_from([None, 2]),
    gap=st.sampled_from([0.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_simulated_starts_survive_a_long_table(graph, n_workers, gap, seed):
    runs = make_job_runs(
        20, graph=graph, n_jobs=5, n_workers=n_workers, gap=gap, starts=True, random_state=seed
    )
    back = pivot_runs(melt_runs(runs), job_starts=True)
    for job in job_columns(back):
        after = (job_starts(back, job) - job_starts(runs, job).array).dropna()
        assert (after.abs() <= pd.Timedelta("2us")).all()
        assert len(after) == job_starts(runs, job).notna().sum()


# ----------------------------------------------------------------------------- what is known when


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 999), minutes=st.integers(1, 400))
def test_as_of_keeps_what_had_ended_by_then(seed, minutes):
    runs = make_job_runs(
        12, n_jobs=3, interval="20min", failure_rate=0.1, starts=True, random_state=seed
    )
    runs.loc[runs.index % 4 == 0, "job_1__started_at"] = pd.NaT  # of which nothing else is told
    when = runs["started_at"].iloc[0] + pd.Timedelta(minutes=minutes)
    known = as_of(runs, when)
    for label, run in runs[runs["started_at"] <= when].iterrows():
        for job in job_columns(runs):
            end = run[f"{job}__started_at"] + pd.Timedelta(seconds=np.nan_to_num(run[job]))
            had_ended = (run["ended_at"] if end is pd.NaT else end) <= when
            kept = known.loc[label]
            same = kept[job] == run[job] or (np.isnan(kept[job]) and np.isnan(run[job]))
            assert same if had_ended else np.isnan(kept[job])
            status = kept[f"{job}__status"]
            assert status == run[f"{job}__status"] if had_ended else pd.isna(status)
    again = as_of(as_of(runs, when + pd.Timedelta("1h")), when)
    pd.testing.assert_frame_equal(again, known)
