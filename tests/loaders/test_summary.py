"""The summary counts what a loop counts, and calls a series regular only when it is."""

import numpy as np
import pandas as pd

from sklearn_jobtime.datasets import load_github_runs, make_job_runs
from sklearn_jobtime.loaders import summarise_runs
from sklearn_jobtime.runs import STATUSES, job_columns, validate_runs


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
