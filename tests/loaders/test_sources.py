"""One string for every source: what is read is what the source's own reader reads."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.loaders import SOURCES, read_slurm, read_source
from sklearn_jobtime.pipeline import make_forecast_pipeline
from sklearn_jobtime.runs import job_columns, make_targets, melt_runs, pivot_runs

SAMPLES = Path(__file__).parents[1] / "samples"
SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=60, input_effect=0, random_state=0)


@pytest.fixture
def log(runs):
    """The same runs as a log under other names, one row a job."""
    long = melt_runs(runs).dropna(subset="duration")
    return pd.DataFrame(
        {
            "build_id": long["run"],
            "task": long["job"],
            "start_time": long["started_at"],
            "elapsed_ms": long["duration"] * 1000,
            "state": long["status"],
        }
    )


def same_durations(one, other):
    jobs = job_columns(other)
    pd.testing.assert_frame_equal(
        one[jobs].reset_index(drop=True), other[jobs].reset_index(drop=True), check_names=False
    )


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".jsonl"])
def test_a_log_file_is_read_by_its_usual_names(log, runs, tmp_path, ending):
    path = tmp_path / f"log{ending}"
    if ending == ".parquet":
        log.to_parquet(path)
    elif ending == ".jsonl":
        log.to_json(path, orient="records", lines=True, date_format="iso")
    else:
        log.to_csv(path, index=False)
    read = read_source(str(path))
    same_durations(read, runs)
    assert read.attrs["columns"]["run"] == "build_id"
    assert read.attrs["columns"]["duration"] == "elapsed_ms"


def test_names_that_nobody_would_guess_are_given(log, runs, tmp_path):
    path = tmp_path / "log.csv"
    log.rename(columns={"elapsed_ms": "tyme_ms", "build_id": "wave"}).to_csv(path, index=False)
    with pytest.raises(SourceError, match="columns="):
        read_source(str(path))
    read = read_source(str(path), columns={"duration": "tyme_ms", "run": "wave"})
    same_durations(read, runs)


def test_a_run_table_is_not_taken_for_a_log(runs, tmp_path):
    runs.to_csv(tmp_path / "runs.csv", index=False)
    read = read_source(str(tmp_path / "runs.csv"))
    same_durations(read, runs)
    assert "columns" not in read.attrs


def test_jobs_filter_a_run_table_whatever_their_names(runs, tmp_path):
    first, second, *_ = job_columns(runs)
    names = {first: "stg_stripe__payments", second: "mart__orders"}
    table = runs.rename(
        columns={**names, **{f"{j}__status": f"{n}__status" for j, n in names.items()}}
    )
    table.to_csv(tmp_path / "runs.csv", index=False)
    read = read_source(str(tmp_path / "runs.csv"), jobs=["mart__orders"])
    assert list(read.columns) == ["started_at", "ended_at", "mart__orders", "mart__orders__status"]


def test_a_database_is_read_and_filtered(log, runs, tmp_path):
    pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        log.assign(start_time=log["start_time"].astype(str)).to_sql("log", database, index=False)
    url = f"sqlite:///{tmp_path}/runs.db"
    same_durations(read_source(f"{url}#log"), runs)
    same_durations(read_source(f"{url}#SELECT * FROM log"), runs)
    first = job_columns(runs)[0]
    since = str(runs["started_at"].iloc[30])
    few = read_source(f"{url}#log", jobs=[first], since=since)
    assert job_columns(few) == [first]
    assert few["started_at"].min() >= pd.Timestamp(since)
    with pytest.raises(SourceError, match="names no table"):
        read_source(url)


def test_a_password_is_in_no_message():
    with pytest.raises(SourceError) as caught:
        read_source("postgresql://me:geheim@localhost/db")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "pattern"), [("slurm", "slurm/sacct.txt"), ("github", "github")]
)
def test_files_of_schedulers_are_read_by_their_scheme(scheme, pattern):
    found = sorted(SAMPLES.glob(pattern))
    assert found, f"no sample {pattern}"
    read = read_source(f"{scheme}:{found[0]}")
    assert len(read) > 0
    assert "dropped" in read.attrs


def test_the_reader_behind_a_scheme_is_the_public_one():
    path = SAMPLES / "slurm" / "sacct.txt"
    pd.testing.assert_frame_equal(
        read_source(f"slurm:{path}").reset_index(drop=True),
        pivot_runs(read_slurm(path)).reset_index(drop=True),
    )


def test_jobs_and_unknown_sources_are_named(log, tmp_path):
    log.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(RunTableError, match="no run has a job 'deploy'"):
        read_source(str(tmp_path / "log.csv"), jobs=["deploy"])
    with pytest.raises(RunTableError, match="no run started at 2100"):
        read_source(str(tmp_path / "log.csv"), since="2100-01-01")
    with pytest.raises(SourceError) as caught:
        read_source("something else")
    assert all(form in str(caught.value) for form in SOURCES)


def test_half_a_line_of_json_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"run": 1, "job": "a", "duration": 3}) + '\n{"run": 2, "jo')
    with pytest.raises(SourceError, match="line 2"):
        read_source(str(path))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder is not there")
def test_a_real_log_is_forecast_end_to_end():
    runs = read_source(f"swf:{SHARED / 'NASA-iPSC-1993-3.1-cln.swf.gz'}")
    top = runs.index.get_level_values(0).value_counts().index[:3]
    few = runs[runs.index.get_level_values(0).isin(top)]
    model = make_forecast_pipeline(n_steps=5, device="cpu", random_state=0)
    model.set_params(lstm__max_epochs=2).fit(few, make_targets(few, whole_run=False))
    table = forecast(model, few)
    assert table.index.get_level_values(0).nunique() == 3
    assert (table["seconds"] >= 0).all()
