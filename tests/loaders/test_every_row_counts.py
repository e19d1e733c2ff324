"""Tables with junk in random cells: each row is in the result or counted under a reason."""

import os
import sqlite3
import warnings
from contextlib import closing

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_source

ROWS = int(os.environ.get("FUZZ_INPUTS", "6"))  # tables of each kind
MOMENTS = ["", "2026-03-02 03:00:00", "1999-01-01 00:00:00", "9999-12-31 00:00:00",
           "1970-01-01 00:00:00", "2026-03-40", "soon"]  # fmt: skip
JUNK = {
    "series": ["", "b", " a "],
    "run": ["", "r1", "r2", "007", "-"],
    "job": ["", "load", "a__b", "job:load", "started_at", "load__status"],
    "started_at": MOMENTS,
    "ended_at": MOMENTS,
    "duration": ["", "-1", "-60", "1e9", "inf", "0", "00:01:30", "two"],
    "status": ["", "running", "FAILED", "unheard-of", "skipped", "TIMEOUT", "0"],
}


def rows_of_jobs(columns):
    rows = [
        {
            "series": "a",
            "run": f"r{run}",
            "job": job,
            "started_at": f"2026-03-0{run} 04:0{minute}:00",
            "ended_at": f"2026-03-0{run} 04:0{minute + 1}:00",
            "duration": "60",
            "status": "success",
        }
        for run in range(1, 5)
        for minute, job in enumerate(["load", "test"])
    ]
    return pd.DataFrame(rows)[list(columns)].astype(object)


COLUMNS = {
    "log": ("run", "job", "started_at", "ended_at", "status"),
    "log of durations": ("job", "started_at", "duration", "status"),
    "without statuses": ("series", "run", "job", "started_at", "ended_at", "duration"),
    "long": ("series", "run", "job", "started_at", "ended_at", "duration", "status"),
    "without times": ("run", "job", "duration", "status"),
    "durations alone": ("run", "job", "duration"),
}


@st.composite
def damaged(draw, columns):
    table = rows_of_jobs(columns)
    for _ in range(draw(st.integers(1, 4))):
        column = draw(st.sampled_from(columns))
        row = draw(st.integers(0, len(table) - 1))
        table.loc[row, column] = draw(st.sampled_from(JUNK[column]))
    again = draw(st.lists(st.integers(0, len(table) - 1), max_size=2))
    return pd.concat([table, table.iloc[again]], ignore_index=True)


def written(table, form, folder):
    if form == "sqlite":
        with closing(sqlite3.connect(folder / "ops.db")) as database:
            table.to_sql("log", database, index=False)
        return f"sqlite:///{folder}/ops.db#log"
    path = folder / f"log.{form}"
    if form == "csv":
        table.to_csv(path, index=False)
    elif form == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_parquet(path)
    return str(path)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "sqlite"])
@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@settings(max_examples=ROWS, derandomize="FUZZ_INPUTS" not in os.environ)
@given(data=st.data())
def test_each_row_of_a_log_is_in_the_result_or_counted(columns, form, tmp_path_factory, data):
    if form == "sqlite":
        pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    table = data.draw(damaged(columns))
    source = written(table, form, tmp_path_factory.mktemp("rows"))
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of unknown states
            runs = read_source(source, on_unknown="warn")
    except (RunTableError, SourceError):
        return
    report = runs.attrs["report"]
    assert report["jobs_of_runs"] + sum(report["left_out"].values()) == len(table), report
    seen = runs[[c for c in runs if f"{c}__status" in runs]].notna().sum().sum()
    assert seen <= report["jobs_of_runs"]
