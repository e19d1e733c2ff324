"""How a command reads its options and tables, and writes durations for people."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime._wording import human_seconds
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli.inputs import read_as_fitted
from sklearn_jobtime.cli.options import split_names
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.runs import clock_columns, make_targets
from sklearn_jobtime.runs._timeline import split_off_coming


@given(st.floats(0, 1e8))
def test_durations_for_people_are_near_the_seconds(seconds):
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    parts = re.findall(r"([\d.]+)([smhd])", human_seconds(seconds).replace(",", ""))
    back = sum(float(number) * unit[name] for number, name in parts)
    smallest = unit[parts[-1][1]]
    assert abs(back - seconds) <= max(smallest, 0.05)
    assert human_seconds(seconds).count(" ") == len(parts) - 1


def test_names_are_split_at_commas():
    assert split_names(["a, b", "c", ""]) == ["a", "b", "c"]
    assert split_names(None) == []


@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), min_size=1, max_size=20))
def test_only_last_rows_without_outcome_are_to_come(rows):
    """Against a loop from the end."""
    index = pd.MultiIndex.from_tuples([(series, k) for k, (series, _) in enumerate(rows)])
    runs = pd.DataFrame({"build": [1.0 if seen else np.nan for _, seen in rows]}, index=index)
    if runs["build"].isna().all():
        with pytest.raises(ValueError, match="has an outcome"):
            split_off_coming(runs, ["build"])
        return
    coming, over = set(), set()
    for k in reversed(range(len(rows))):
        series, seen = rows[k]
        if seen:
            over.add(series)
        elif series not in over:
            coming.add(k)
    past, found = split_off_coming(runs, ["build"])
    assert set(found.index.get_level_values(1)) == coming
    assert len(past) + len(found) == len(rows)
    assert past.index.tolist() == [label for label in index if label[1] not in coming]


def test_a_table_without_starts_of_jobs_serves_a_model_fitted_with_them(tmp_path):
    runs = make_job_runs(30, n_jobs=2, starts=True, random_state=0)
    model = RollingRule().fit(runs, make_targets(runs))
    starts = clock_columns(runs)
    write_table(runs.drop(columns=starts), tmp_path / "runs.csv")
    table, jobs = read_as_fitted(str(tmp_path / "runs.csv"), model)
    assert list(table.columns) == list(runs.columns)
    assert table[starts].isna().all(axis=None)
    assert jobs == ["job_0", "job_1"]
