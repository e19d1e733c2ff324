"""Long table to run table and back: the same runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.loaders import STATES, to_status
from sklearn_jobtime.runs import STATUSES, clock_columns, long_table, melt_runs, pivot_runs
from sklearn_jobtime.runs._long_table import LONG_COLUMNS

# Names that mean something else in a run table stand among them.
JOBS = ["build", "test", "started_at", "ended_at", "whole_run", "build__status", "stg__orders"]
JOBS += ["build__unit", "job:build", "stg"]


@st.composite
def long_tables(draw):
    pairs = st.tuples(st.sampled_from(["etl", "ci"]), st.integers(0, 5), st.sampled_from(JOBS))
    keys = draw(st.lists(pairs, min_size=1, max_size=25, unique=True))
    rows = pd.DataFrame(keys, columns=["series", "run", "job"])
    seed = draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    hours = rng.integers(0, 500, len(rows))
    rows["started_at"] = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(hours, unit="h")
    rows["duration"] = rng.integers(0, 9000, len(rows)).astype(float)
    rows["ended_at"] = rows["started_at"] + pd.to_timedelta(rows["duration"], unit="s")
    rows["status"] = rng.choice([*STATUSES, None], len(rows))
    return long_table(rows)


def same_runs(one, other):
    def plain(table):
        columns = ["series", "run", "job", "duration", "status"]
        table = table[columns].sort_values(columns[:3], ignore_index=True)
        return table.astype({"series": object, "job": object, "status": object})

    pd.testing.assert_frame_equal(plain(one), plain(other))


@settings(deadline=None, max_examples=30)
@given(long=long_tables(), job_starts=st.booleans())
def test_there_and_back_are_the_same_runs(long, job_starts):
    runs = pivot_runs(long, job_starts=job_starts)
    back = melt_runs(runs, [c for c in runs.columns if f"{c}__status" in runs])
    ended = long[long["status"].notna()]
    same_runs(back, ended)
    if job_starts and clock_columns(runs):
        keys = ["series", "run", "job"]
        both = ended.merge(back, on=keys, suffixes=("", "_back"))
        both = both[both["status"] != "skipped"]
        assert (both["started_at"] == both["started_at_back"]).all()
        assert (both["ended_at"] == both["ended_at_back"]).all()


def test_a_simulated_table_survives():
    runs = make_job_runs(n_runs=60, n_series=2, random_state=0, input_effect=0)
    back = pivot_runs(melt_runs(runs))
    pd.testing.assert_frame_equal(
        back[runs.columns].sort_index(),
        runs.sort_index(),
        check_index_type=False,
        check_names=False,
    )


def test_a_running_job_keeps_its_run_open_and_a_skipped_one_does_not():
    rows = pd.DataFrame(
        {
            "series": "etl",
            "run": [1, 1, 2, 2],
            "job": ["a", "b", "a", "b"],
            "started_at": ["2026-03-01", "2026-03-01", "2026-03-02", None],
            "ended_at": ["2026-03-01T01:00", None, "2026-03-02T01:00", None],
            "status": ["success", None, "success", "skipped"],
        }
    )
    runs = pivot_runs(long_table(rows))
    assert runs["ended_at"].isna().tolist() == [True, False]


def test_too_many_jobs_are_asked_about():
    rows = pd.DataFrame({"run": 1, "job": np.arange(1500), "duration": np.arange(1500.0)})
    with pytest.raises(RunTableError, match=r"1,500 jobs.*top_jobs"):
        pivot_runs(rows)
    runs = pivot_runs(rows, top_jobs=2)
    assert list(runs.columns) == ["1498", "1499"]
    assert sum(runs.attrs["dropped"].values()) == 1498


def test_covariates_are_kept_once_a_run():
    rows = pd.DataFrame(
        {"run": [1, 1, 2], "job": ["a", "b", "a"], "duration": 1.0, "event": ["push", "push", "pr"]}
    )
    assert pivot_runs(rows, covariates=["event"])["event"].tolist() == ["push", "pr"]


@pytest.mark.parametrize("system", STATES)
def test_every_state_maps_to_the_one_vocabulary(system):
    assert set(STATES[system].values()) <= {*STATUSES, None}
    mapped = to_status(pd.Series(list(STATES[system])), system)
    assert mapped.tolist() == list(STATES[system].values())
    assert to_status(pd.Series([None, np.nan]), system).tolist() == [None, None]


def test_an_unknown_state_is_named_or_warned_about():
    states = pd.Series(["COMPLETED", "EXPLODED"])
    with pytest.raises(RunTableError, match="'EXPLODED' in 1 row"):
        to_status(states, "slurm")
    with pytest.warns(UserWarning, match="EXPLODED"):
        assert to_status(states, "slurm", on_unknown="warn").tolist() == ["success", None]


def test_a_long_table_has_its_columns_and_no_duration_before_the_end():
    rows = pd.DataFrame(
        {
            "series": "s",
            "run": [1],
            "job": "j",
            "started_at": ["2026-03-01"],
            "ended_at": [None],
            "duration": [5.0],
            "status": [None],
            "queued_seconds": [3.0],
        }
    )
    table = long_table(rows, {"no start": 2})
    assert tuple(table.columns) == (*LONG_COLUMNS, "queued_seconds")
    assert np.isnan(table["duration"].item())
    assert table.attrs["dropped"] == {"no start": 2}


def test_the_readmes_table_of_states_is_the_one_in_force():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme.split("<!-- states -->")[1].split("<!-- /states -->")[0].strip().splitlines()
    shown = {}
    for line in table[2:]:
        system, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        shown[system] = {
            state: status
            for status, cell in zip((*STATUSES, None), cells, strict=True)
            for state in cell.replace("`", "").split()
        }
    assert shown == STATES
