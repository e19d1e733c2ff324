"""What a table of a file is: told for sure, or asked."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders import read_runs, read_source, write_table
from sklearn_jobtime.runs import STATUSES, job_columns, validate_runs

JOBS = ["job", "build", "step", "name", "series", "run", "status", "duration", "took_ms", "state"]


# Texts that a reader of CSV would take for numbers, dates, booleans or missing values.
LABELS = [
    *("7", "007", "-1", "1.0", "1e5", "+3", "0x1F", "inf", "1_000", "12345678901234567890"),
    *("2026-03-01", "2026-03-01T04:00:00Z", "04:00", "True", "false", "NA", "nan", "None", "null"),
    *(
        "",
        " ",
        " a",
        "a ",
        "#7",
        "a,b",
        'a"b',
        "'7",
        "N/A",
        "-",
        "d e",
        "b/c",
        "=1+1",
        "line\nbreak",
    ),
]


NUMBERED = st.just(None)


@st.composite
def run_tables(draw, labels=NUMBERED):
    """Run tables as commands write them: a column and its statuses for each job."""
    n = draw(st.integers(1, 6))
    pooled = draw(st.booleans())
    taken = {"run", "series"} if pooled else {"run"}
    names = draw(st.lists(st.sampled_from(JOBS), min_size=1, max_size=4, unique=True))
    jobs = [name for name in names if name not in taken] or ["job"]
    start = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.arange(n), unit="D")
    runs = pd.DataFrame({"started_at": start, "ended_at": start + pd.Timedelta(seconds=90)})
    seconds = st.one_of(
        st.floats(0, 1e6), st.integers(0, 5000).map(float), st.just(np.nan), st.just(np.inf)
    )
    for job in jobs:
        runs[job] = draw(st.lists(seconds, min_size=n, max_size=n))
        states = st.sampled_from([*STATUSES, None])
        runs[f"{job}__status"] = draw(st.lists(states, min_size=n, max_size=n))
        runs[f"{job}__status"] = runs[f"{job}__status"].astype(object)
    runs.index = pd.Index(np.arange(1, n + 1), name="run")
    if own := draw(labels):
        runs.index = pd.Index([f"{own[k % len(own)]}{k // len(own) or ''}" for k in range(n)])
        runs.index = runs.index.set_names(draw(st.sampled_from([None, "run"])))
    if pooled:
        runs.index = runs.index.set_names("run")
        names = st.sampled_from(LABELS if own else ["a", "b/c", "d e"])
        series = [draw(names) for _ in range(n)]
        runs.index = pd.MultiIndex.from_arrays([series, runs.index], names=["series", "run"])
    return validate_runs(runs, jobs=jobs)


@settings(max_examples=40, deadline=None)
@given(run_tables(), st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_a_run_table_comes_back_as_it_was_written(tmp_path_factory, runs, ending):
    path = tmp_path_factory.mktemp("own") / f"runs{ending}"
    write_table(runs, path)
    for read in (read_source(str(path)), read_runs(path)):
        pd.testing.assert_frame_equal(read, runs, check_dtype=False, check_index_type=False)
        assert job_columns(read) == job_columns(runs)


def write_json_lines(runs, path):
    rows = runs.reset_index() if runs.index.names != [None] else runs
    rows = rows.assign(**{c: rows[c].astype("str") for c in ("started_at", "ended_at")})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.to_dict("records")))


@settings(max_examples=40, deadline=None)
@given(
    run_tables(st.lists(st.sampled_from(LABELS), min_size=1, max_size=6, unique=True)),
    st.sampled_from([".csv", ".csv.gz", ".parquet", ".jsonl"]),
)
def test_labels_that_look_like_numbers_come_back_as_texts(tmp_path_factory, runs, ending):
    path = tmp_path_factory.mktemp("own") / f"runs{ending}"
    if ending == ".jsonl":
        runs.index = runs.index.set_names("run") if runs.index.nlevels == 1 else runs.index
        write_json_lines(runs, path)
    else:
        write_table(runs, path)
    for read in (read_source(str(path)), read_runs(path)):
        pd.testing.assert_frame_equal(read, runs, check_dtype=False, check_index_type=False)
        assert [type(label) for label in read.index.get_level_values(-1)] == [str] * len(runs)


@pytest.mark.parametrize(
    ("header", "labels"),
    [
        ('"run","started_at","build"', [7, 8]),  # all in quotes: from another program
        ('run,started_at,"build"', [7, 8]),
        ("run,started_at,build", [7, 8]),
        ('"run",started_at,build', ["7", "8"]),
        ('"run",started_at,"a,b"', ["7", "8"]),
    ],
)
def test_only_our_own_header_makes_numbers_texts(tmp_path, header, labels):
    text = f"{header}\n7,2026-03-01T04:00Z,1.5\n8,2026-03-02T04:00Z,2.5\n"
    assert read_source(written(tmp_path, text)).index.tolist() == labels


def test_any_reader_of_csv_reads_what_was_written(tmp_path):
    index = pd.MultiIndex.from_tuples([("NA", "7"), ("x,y", "8")], names=["series", "run"])
    write_table(pd.DataFrame({"a,b": [1.5, 2.5]}, index=index), tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["series", "run", "a,b"], ["NA", "7", "1.5"], ["x,y", "8", "2.5"]
        ]  # fmt: skip


def written(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_a_column_job_of_seconds_is_no_column_of_names(tmp_path):
    text = "run,started_at,ended_at,job\n1,2026-03-01T04:00Z,2026-03-01T04:02Z,120.5\n"
    read = read_source(written(tmp_path, text))
    assert read["job"].tolist() == [120.5]
    text = "run,job,duration\n1,17,40.5\n1,18,300.0\n"  # names that are numbers
    assert read_source(written(tmp_path, text))[["17", "18"]].to_numpy().tolist() == [[40.5, 300]]


def test_a_log_of_builds_is_read_with_its_states_and_projects(tmp_path):
    read = read_source(
        written(
            tmp_path,
            "build_id,project_id,build_status,start_time,end_time,total_duration_seconds,"
            "queue_time_seconds\n"
            "B-1,web,SUCCESS,2026-04-01T08:00:00Z,2026-04-01T08:02:00Z,100.5,19.5\n"
            "B-2,api,FAILED,2026-04-01T09:00:00Z,2026-04-01T09:00:30Z,20.25,9.75\n"
            "B-3,api,CANCELLED,2026-04-01T10:00:00Z,2026-04-01T10:00:30Z,28.0,2.0\n",
        )
    )
    assert read.index.tolist() == [("web", "B-1"), ("api", "B-2"), ("api", "B-3")]
    assert read["job"].tolist() == [100.5, 20.25, 28.0]
    assert read["job__status"].tolist() == ["success", "failed", "cancelled"]
    report = read.attrs["report"]
    assert report["statuses"] == {"success": 1, "failed": 1, "cancelled": 1}
    assert report["total_seconds"] == report["median_seconds"] == 100.5
    assert report["columns"]["status"] == {"column": "build_status", "why": "usual name"}


@pytest.mark.parametrize(
    ("name", "values", "statuses"),
    [
        ("job_state", "COMPLETED TIMEOUT", ["success", "timeout"]),
        ("result_state", "SUCCESS FAILED", ["success", "failed"]),
        ("exit_code", "0 137", ["success", "failed"]),
        ("succeeded", "true false", ["success", "failed"]),
        ("is_error", "0 1", ["success", "failed"]),
        ("rc", "0 2", ["success", "failed"]),
    ],
)
def test_statuses_are_found_under_their_usual_names(tmp_path, name, values, statuses):
    good, bad = values.split()
    text = (
        f"job_id,{name},start_time,end_time\n1,{good},2026-03-01T04:00Z,2026-03-01T04:01Z\n"
        f"2,{bad},2026-03-02T04:00Z,2026-03-02T04:02Z\n"
    )
    read = read_source(written(tmp_path, text))
    assert read["job__status"].tolist() == statuses
    assert read["job"].tolist() == [60.0, 120.0]


def test_how_a_run_ended_goes_before_where_it_is(tmp_path):
    text = (
        "buildNumber,status,result,startTime,finishTime\n"
        "1,completed,failed,2026-03-01T04:00Z,2026-03-01T04:01Z\n"
    )
    assert read_source(written(tmp_path, text))["job__status"].tolist() == ["failed"]


def test_without_statuses_a_note_says_so(tmp_path):
    text = "run,task,start,took\n1,load,2026-03-01T04:00Z,60\n"
    notes = read_source(written(tmp_path, text)).attrs["notes"]
    assert any("no column of statuses" in n and "--column status=NAME" in n for n in notes)
    text = "run,started_at,load\n1,2026-03-01T04:00Z,60.5\n"
    notes = read_source(written(tmp_path, text)).attrs["notes"]
    assert any("no column of statuses" in note for note in notes)
    assert any("taken for jobs: 'load'" in note for note in notes)


def test_numbers_become_jobs_only_when_they_are_named(tmp_path):
    path = written(tmp_path, "id,cpu,memory\n1,4.5,2.5\n2,5.5,2.5\n")
    with pytest.raises(SourceError, match=r"jobs=\['cpu', 'memory'\]; .*columns=.*'START'"):
        read_source(path)
    read = read_source(path, durations=["cpu"])
    assert read["cpu"].tolist() == [4.5, 5.5]
    path = written(tmp_path, "run,started_at,wait_s,state\n1,2026-03-01,4.5,0\n")
    with pytest.raises(SourceError, match=r"jobs=\['wait_s'\]; .*'status': 'state'"):
        read_source(path)


def test_a_long_table_without_times_is_read_as_read_runs_does(tmp_path):
    path = written(tmp_path, "run,job,duration\n1,build,40.0\n1,test,300.0\n2,build,41.0\n")
    read = read_source(path)
    pd.testing.assert_frame_equal(read[["build", "test"]], read_runs(path), check_index_type=False)
    assert read["build"].tolist() == [40.0, 41.0]
    path = written(tmp_path, "build_id,task,elapsed_ms,state\nb1,load,1500,ok\nb2,load,900,error\n")
    read = read_source(path)
    assert read["load"].tolist() == [1.5, 0.9]
    assert read["load__status"].tolist() == ["success", "failed"]


def test_numbers_that_count_the_runs_of_each_job_make_no_common_run(tmp_path):
    text = (
        "job,number,start,duration,result\netl,41,2026-03-01T04:00Z,60,SUCCESS\n"
        "web,41,2026-01-01T04:00Z,30,FAILURE\n"
    )
    read = read_source(written(tmp_path, text))
    assert sorted(map(tuple, read.index)) == [("etl", "41"), ("web", "41")]
    assert read.loc[("etl", "41"), "etl"] == 60.0
    assert read.loc[("web", "41"), "web__status"] == "failed"


def test_workflows_of_one_name_in_two_repositories_are_two_series(tmp_path):
    text = (
        "repository,workflow,run_id,start,took,result\n"
        "a,CI,1,2026-03-01T04:00Z,60,success\nb,CI,2,2026-03-01T05:00Z,900,success\n"
    )
    read = read_source(written(tmp_path, text))
    assert read.index.tolist() == [("a/CI", "1"), ("b/CI", "2")]
    assert read["job"].tolist() == [60.0, 900.0]
    assert "both name a series" in read.attrs["notes"][0]


def test_a_flag_of_errors_is_a_status_and_a_message_is_none(tmp_path):
    head = "run,task,start,took,error\n1,a,2026-03-01T04:00Z,60,"
    read = read_source(written(tmp_path, head + "0\n2,a,2026-03-02T04:00Z,5,1\n"))
    assert read["a__status"].tolist() == ["success", "failed"]
    read = read_source(written(tmp_path, head + "\n2,a,2026-03-02T04:00Z,5,disk full\n"))
    assert any("no column of statuses" in note for note in read.attrs["notes"])
