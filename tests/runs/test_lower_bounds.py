"""How long a run took at least: what was cut off says so much, and no more than that."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.runs import (
    WHOLE_RUN,
    as_of,
    job_ends,
    make_lower_bounds,
    make_targets,
    validate_runs,
)

NOW = pd.Timestamp("2026-03-10T12:00Z")
JOBS = ("build", "test")
STATES = [None, "success", "failed", "timeout", "cancelled", "skipped"]


@st.composite
def run_tables(draw):
    """Tables of two jobs, one with a clock of its own, in up to two series."""
    n = draw(st.integers(1, 10))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    started = NOW + pd.to_timedelta(np.sort(rng.integers(-30, 3, n)), unit="h")
    lasts = pd.to_timedelta(rng.integers(1, 20, n), unit="h")
    runs = pd.DataFrame({"started_at": started, "ended_at": started + lasts})
    runs.loc[rng.random(n) < 0.3, "ended_at"] = pd.NaT
    for job in ("build", "test"):
        runs[job] = rng.choice([0.0, 5.0, 700.0, np.nan, np.inf], n)
        runs[f"{job}__status"] = rng.choice(np.array(STATES, dtype=object), n)
    runs["test__started_at"] = started + pd.Timedelta("30min")
    runs.loc[rng.random(n) < 0.3, "test__started_at"] = pd.NaT
    if draw(st.booleans()):  # ends of the user's own beside them
        runs["test__ended_at"] = runs["test__started_at"] + pd.Timedelta("20min")
        runs.loc[rng.random(n) < 0.6, "test__ended_at"] = pd.NaT
    if draw(st.booleans()):
        runs.index = pd.MultiIndex.from_arrays([rng.integers(0, 2, n), range(n)])
    return validate_runs(runs)


def bounds_by_loop(runs, horizon, now, cut_by):
    """The rules of the docstring, one target after another."""
    columns = pd.MultiIndex.from_product([range(1, horizon + 1), ["build", "test", WHOLE_RUN]])
    found = pd.DataFrame(np.nan, index=runs.index, columns=columns)
    series = [0] * len(runs) if runs.index.nlevels == 1 else runs.index.get_level_values(0).tolist()
    for t in range(len(runs)):
        own = [i for i in range(t, len(runs)) if series[i] == series[t]]
        for step, i in enumerate(own[:horizon], start=1):
            run = runs.iloc[i]
            cut = {j: run[f"{j}__status"] in cut_by and not np.isinf(run[j]) for j in JOBS}
            for job in JOBS:
                if cut[job] and run[job] > 0:
                    found.loc[runs.index[t], (step, job)] = run[job]
            clock = run["test__started_at"]
            running = run["test__status"] is None and np.isnan(run["test"])
            running &= run["ended_at"] is pd.NaT and run.get("test__ended_at", pd.NaT) is pd.NaT
            if now is not None and running and clock < now:
                found.loc[runs.index[t], (step, "test")] = (now - clock).total_seconds()
            bad = any(
                np.isinf(run[j])
                or (run[f"{j}__status"] in ("failed", "timeout", "cancelled") and not cut[j])
                for j in JOBS
            )
            end = run["ended_at"] if run["ended_at"] is not pd.NaT else now
            if run["ended_at"] is not pd.NaT and not any(cut.values()):
                end = None
            if not bad and end is not None and end > run["started_at"]:
                lasted = (end - run["started_at"]).total_seconds()
                found.loc[runs.index[t], (step, WHOLE_RUN)] = lasted
    return found


@settings(deadline=None, max_examples=40)
@given(
    runs=run_tables(),
    horizon=st.integers(1, 3),
    now=st.sampled_from([None, NOW]),
    cut_by=st.sampled_from([("timeout",), ("timeout", "cancelled")]),
)
def test_bounds_equal_a_slow_loop_and_stand_only_where_nothing_was_observed(
    runs, horizon, now, cut_by
):
    bounds = make_lower_bounds(runs, horizon, whole_run=True, now=now, cut_by=cut_by)
    targets = make_targets(runs, horizon, whole_run=True)
    assert bounds.columns.equals(targets.columns)
    assert bounds.index.equals(targets.index)
    np.testing.assert_array_equal(
        bounds.to_numpy(), bounds_by_loop(runs, horizon, now, cut_by).to_numpy()
    )
    assert not (bounds.notna() & targets.notna()).any(axis=None)


@settings(deadline=None, max_examples=20)
@given(runs=run_tables(), hours=st.integers(1, 20))
def test_a_bound_as_of_a_moment_needs_nothing_that_came_later(runs, hours):
    when = NOW - pd.Timedelta(hours=hours)
    later = runs.copy()
    ended = runs["ended_at"] <= when
    of_test = job_ends(runs, "test")  # known by then, though its run may still go on
    for job, known in (("build", ended), ("test", (of_test <= when).where(of_test.notna(), ended))):
        later.loc[~known, job] = 9e9
        later.loc[~known, f"{job}__status"] = "timeout"
    later.loc[~ended, "ended_at"] = NOW + pd.Timedelta("9D")
    if (runs["started_at"] <= when).any():
        one, other = (
            make_lower_bounds(as_of(table, when), 2, whole_run=True, now=when)
            for table in (runs, later)
        )
        pd.testing.assert_frame_equal(one, other)


def test_a_run_still_running_at_the_split_took_at_least_until_then():
    runs = validate_runs(
        pd.DataFrame(
            {
                "started_at": ["2026-03-01T00:00", "2026-03-02T00:00", "2026-03-03T00:00"],
                "ended_at": ["2026-03-01T01:00", "2026-03-02T09:00", "2026-03-03T01:00"],
                "build": [3600.0, 32400.0, 3600.0],
                "build__started_at": ["2026-03-01", "2026-03-02T00:10", "2026-03-03"],
                "build__ended_at": ["2026-03-01T01:00", "2026-03-02T09:00", "2026-03-03T01:00"],
            }
        ),
        jobs=["build"],
    )
    when = pd.Timestamp("2026-03-02T02:00Z")
    bounds = make_lower_bounds(as_of(runs, when), jobs=["build"], now=when)
    assert bounds[(1, WHOLE_RUN)].dropna().to_dict() == {1: 7200.0}
    assert bounds[(1, "build")].dropna().to_dict() == {1: 6600.0}
    done = as_of(runs.assign(build__ended_at=runs["build__started_at"]), when)
    assert make_lower_bounds(done, jobs=["build"], now=when)[(1, "build")].isna().all()
    before = pd.Timestamp("2026-03-02T00:05Z")  # the job itself has not started yet
    early = make_lower_bounds(as_of(runs, before), jobs=["build"], now=before)
    assert early[(1, "build")].isna().all()
    assert make_lower_bounds(as_of(runs, when), jobs=["build"]).isna().all(axis=None)
    naive = make_lower_bounds(as_of(runs, when), jobs=["build"], now="2026-03-02T02:00")
    pd.testing.assert_frame_equal(naive, bounds)


def test_only_a_cut_says_at_least():
    with pytest.raises(ValueError, match="cut_by holds 'failed'"):
        make_lower_bounds(pd.DataFrame({"build": [1.0]}), cut_by=["failed"])
