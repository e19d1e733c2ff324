"""Covariates and odd names of our own tables come back identical from every form."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import read_runs, read_source, write_table
from sklearn_jobtime.runs import clock_columns, job_columns, validate_runs

TEXTS = ["007", "7", "true", "False", "NA", "nan", "None", "null", "1e5", "1.0", "", " ", " a ",
         "2026-03-01", "04:00", "a,b", 'say "x"', "line\nbreak", "back\r\nslash\\n", "ünï", "N/A",
         "-", "inf", '""']  # fmt: skip
NAMES = ["build", "a__b", "d e", "a,b", 'say "x"', "line\nbreak", "größe", "007", "true", "#x"]


@st.composite
def tables(draw):
    n = draw(st.integers(1, 5))

    def column(values, dtype):
        return pd.Series(draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype).array

    start = pd.Timestamp("2026-03-01 04:00:00.123456", tz="UTC") + pd.to_timedelta(
        np.arange(n), unit="D"
    )
    runs = pd.DataFrame({"started_at": start, "ended_at": start + pd.Timedelta("1.000001s")})
    seconds = st.floats(0, 1e6) | st.just(np.nan) | st.just(np.inf)
    for job in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)):
        runs[job] = column(seconds, "float64")
        runs[f"{job}__status"] = column(st.sampled_from(["success", "failed", None]), object)
        if draw(st.booleans()):  # it ends with its run, or nothing is told
            runs[f"{job}__started_at"] = start.where(~(runs[job] > 1) | np.isinf(runs[job]))
    runs["event"] = column(st.sampled_from(TEXTS), "str")
    runs["branch or tag"] = column(st.sampled_from([*TEXTS, None]), "str")
    runs["rows"] = column(st.integers(-5, 2**53), "int64")
    runs["is_full"] = column(st.booleans(), "bool")
    runs["size"] = column(st.floats(-10, 10) | st.just(np.nan), "float64")
    runs.index = pd.Index([f"{k:03}" for k in range(n)], name="run", dtype="str")
    if draw(st.booleans()):
        series = [draw(st.sampled_from(TEXTS)) for _ in range(n)]
        runs.index = pd.MultiIndex.from_arrays([series, runs.index], names=["series", "run"])
    return validate_runs(runs)


@settings(max_examples=30)
@given(tables(), st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_covariates_and_names_come_back_with_their_types(tmp_path_factory, runs, ending):
    path = tmp_path_factory.mktemp("own") / f"runs{ending}"
    write_table(runs, path)
    for read in (read_source(str(path)), read_runs(path)):
        pd.testing.assert_frame_equal(read, runs, check_dtype=False, check_index_type=False)
        for name in ("event", "branch or tag", "rows", "is_full", "size"):
            if runs[name].notna().any():
                assert read[name].dtype == runs[name].dtype, name
        assert job_columns(read) == job_columns(runs)


def test_starts_of_jobs_come_back_from_json_lines_and_without_statuses(tmp_path):
    runs = make_job_runs(30, n_jobs=2, starts=True, random_state=0)
    runs.to_json(
        path := tmp_path / "runs.jsonl", orient="records", lines=True, date_format="iso",
        date_unit="us", double_precision=15,
    )  # fmt: skip
    read = read_source(str(path))
    pd.testing.assert_frame_equal(read, runs.reset_index(drop=True), check_dtype=False)
    plain = runs.drop(columns=[c for c in runs if c.endswith("__status")])
    write_table(plain, tmp_path / "runs.csv")
    read = read_source(str(tmp_path / "runs.csv"))
    pd.testing.assert_frame_equal(read, plain, check_dtype=False, check_index_type=False)
    assert job_columns(read) == ["job_0", "job_1"]
    without = read_source(str(tmp_path / "runs.csv"), job_starts=False)
    assert not clock_columns(without)
    assert job_columns(without) == ["job_0", "job_1"]
