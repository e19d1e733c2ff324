"""The summary counts what a loop counts, and calls a series regular only when it is."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.datasets import load_github_runs, make_job_runs
from sklearn_jobtime.loaders import summarise_runs
from sklearn_jobtime.runs import STATUSES, job_columns, pivot_runs, validate_runs


def test_it_counts_every_series_apart():
    data = load_github_runs(series=None)
    table = summarise_runs(data.runs, data.jobs)
    for name, row in table.iterrows():
        runs = data.runs.xs(name, level=0)
        assert row["runs"] == len(runs)
        assert row["first"] == runs["started_at"].iloc[0]
        for status in STATUSES[1:]:
            counted = sum((runs[f"{job}__status"] == status).sum() for job in data.jobs)
            assert row[status] == counted
    assert (table["recommendation"] == "regular enough").all()


def test_short_erratic_and_failed_series_are_named():
    rng = np.random.default_rng(0)
    wild = pd.DataFrame({"build": rng.pareto(0.4, 300)})
    assert summarise_runs(wild)["recommendation"].item() == "erratic"
    few = summarise_runs(make_job_runs(n_runs=12, random_state=0))
    assert few["recommendation"].item().startswith("too few good runs (")
    dead = validate_runs(pd.DataFrame({"build": [np.inf] * 40}))
    row = summarise_runs(dead).loc["all"]
    assert row["failed"] == 40
    assert row["good_runs"] == 0
    assert "too few" in row["recommendation"]


def test_a_table_without_times_has_no_span():
    runs = make_job_runs(n_runs=50, random_state=0)
    table = summarise_runs(runs.drop(columns=["started_at", "ended_at"]))
    assert "first" not in table
    assert table["jobs"].item() == len(job_columns(runs))


def history(**series):
    """One run a day of each series, of one job."""
    rows = [
        {"series": name, "run": str(i), "job": "job", "duration": float(seconds),
         "started_at": pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(days=i)}
        for name, durations in series.items()
        for i, seconds in enumerate(durations)
    ]  # fmt: skip
    long = pd.DataFrame(rows)
    long["ended_at"] = long["started_at"] + pd.to_timedelta(long["duration"], unit="s")
    return pivot_runs(long.assign(status="success"))


def test_a_long_series_does_not_make_a_short_one_erratic():
    # 4 and 6 in turn: the median of the newest ten is 4, 5, 4, 5, ... for the first ten runs (off
    # by 2, 1, 2, 1, 2, 1, 2, 1, 2) and 5 from then on (off by 1): 44 s of 40 runs with a past,
    # which took 4 * 20 + 6 * 20 = 200 s together. The first run, which took 4 s, has none.
    quick = [4, 6] * 20 + [4]
    table = summarise_runs(history(slow=[50_000] * 41, quick=quick))
    # run 2: |6 - 4| = 2, run 3: |4 - 5| = 1, run 4: |6 - 4| = 2, ..., run 10: |6 - 4| = 2
    expected = (5 * 2 + 4 * 1 + 31 * 1) / (20 * 4 + 20 * 6)
    assert table.loc["quick", "baseline_error"] == pytest.approx(expected)
    assert table.loc["slow", "baseline_error"] == 0.0
    assert table["recommendation"].tolist() == ["regular enough"] * 2
    alone = summarise_runs(history(quick=quick, other=[7] * 41)).loc["quick"]
    assert alone["baseline_error"] == pytest.approx(expected)


def test_a_series_is_not_judged_by_later_runs_of_others():
    few = history(short=[10.0] * 3, long=[900.0] * 60)
    first = few.index.get_level_values(0) == "short"
    changed = few.assign(job=few["job"].where(first, few["job"] * 100))
    for runs in (few, changed):
        assert summarise_runs(runs).loc["short", "baseline_error"] == 0.0


def test_one_run_of_each_job_shows_nothing():
    # A job a run: nothing has a past, so no rule was ever tested.
    names = [f"load_{i}" for i in range(40)]
    runs = pd.DataFrame(np.nan, index=range(40), columns=names)
    runs[:] = np.where(np.eye(40), 60.0, np.nan)
    row = summarise_runs(validate_runs(runs, jobs=names), names).loc["all"]
    assert np.isnan(row["baseline_error"])
    assert row["recommendation"] == "too few runs of jobs that had run before (0, not 15)"
