"""Answers of Jenkins' remote API: builds, folders, pipelines with stages, and bad ones."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_jenkins
from sklearn_jobtime.runs import pivot_runs

SAMPLES = Path(__file__).parents[1] / "samples" / "jenkins"
START = 1_772_251_200_000
URL = "https://ci.example.org/job/team/job/etl/"


def build(number=1, start=START, taken=60_000, result="SUCCESS", **more):
    return {
        "number": number,
        "timestamp": start,
        "duration": taken,
        "result": result,
        "building": result is None,
        **more,
    }


def pipeline(number=1, status="SUCCESS", start=START, taken=60_000, stages=(), **more):
    return {
        "_links": {"self": {"href": f"/job/team/job/etl/{number}/wfapi/describe"}},
        "name": f"#{number}",
        "status": status,
        "startTimeMillis": start,
        "durationMillis": taken,
        "stages": list(stages),
        **more,
    }


def stage(name, start=START, taken=1000, status="SUCCESS", **more):
    times = {"startTimeMillis": start, "durationMillis": taken}
    return {"name": name, "status": status, **times, **more}


def read(folder, *documents, **options):
    for number, document in enumerate(documents):
        (folder / f"page{number}.json").write_text(json.dumps(document))
    return read_jenkins(folder, **options)


def test_the_documented_builds():
    jobs = read_jenkins(SAMPLES / "builds.json").set_index("run")
    assert set(jobs["series"]) == {"team/nightly etl"}
    document = json.loads((SAMPLES / "builds.json").read_text())
    for expected in document["builds"]:
        job = jobs.loc[expected["id"]]
        assert job["started_at"] == pd.Timestamp(expected["timestamp"], unit="ms", tz="UTC")
        wait = expected["actions"][1]["queuingDurationMillis"]
        assert job["queued_seconds"] == wait / 1000
        if expected["building"]:
            assert job["status"] is None
            assert np.isnan(job["duration"])
            assert pd.isna(job["ended_at"])
        else:
            assert job["duration"] == expected["duration"] / 1000
    assert jobs["status"].tolist() == ["success", "failed", "success", "cancelled", None]
    runs = pivot_runs(jobs.reset_index())
    assert runs["job"].tolist()[:4] == [60.0, 3.0, 61.25, 12.5]


def test_the_documented_pipeline_runs():
    jobs = read_jenkins(SAMPLES / "runs.json")
    assert set(jobs["series"]) == {"Test Workflow"}
    durations = jobs.set_index(["run", "job"])["duration"]
    assert durations["15"].to_dict() == {
        "job": 26.781,
        "Build": 6.754,
        "Test": 4.998,
        "Deploy": 15.029,
    }
    assert durations["16"].isna().to_dict() == {
        "job": True,
        "Build": False,
        "Test": False,
        "Deploy": True,
    }
    runs = pivot_runs(jobs)
    assert runs["ended_at"].isna().tolist() == [False, True]


def test_folders_hold_jobs_and_jobs_hold_builds(tmp_path):
    folder = {
        "jobs": [
            {"fullName": "team/etl", "builds": [build(1)]},
            {"name": "idle", "builds": []},
            {"name": "inner", "jobs": [{"fullName": "team/inner/x", "allBuilds": [build(1)]}]},
        ]
    }
    jobs = read(tmp_path, folder)
    assert sorted(jobs["series"]) == ["team/etl", "team/inner/x"]


@pytest.mark.parametrize(
    "document",
    [
        {"url": URL, "builds": [build()]},
        {"name": "etl", "builds": [build(url=f"{URL}1/")]},
        build(url=f"{URL}1/"),
        [build(url="/job/team/job/etl/1/")],
        {"fullName": "team/etl", "url": "https://elsewhere.org/job/other/", "builds": [build()]},
    ],
)
def test_the_name_of_a_job_is_found_where_it_stands(tmp_path, document):
    assert read(tmp_path, document)["series"].tolist() == ["team/etl"]


def test_jobs_of_one_name_in_two_folders_are_two_series(tmp_path):
    # Nothing but names: the folders are those around the job.
    page = {
        "jobs": [
            {"name": folder, "jobs": [{"name": "etl", "builds": [build(1, taken=taken)]}]}
            for folder, taken in (("north", 60_000), ("south", 3_600_000))
        ]
    }
    jobs = read(tmp_path, page).set_index("series")["duration"]
    assert jobs.to_dict() == {"north/etl": 60.0, "south/etl": 3600.0}


def test_a_number_used_again_is_another_build(tmp_path):
    # The job was deleted and made again a day later; a pipeline's page repeats the second build.
    old = {"fullName": "team/etl", "builds": [build(1, taken=60_000)]}
    new = {"fullName": "team/etl", "builds": [build(1, START + 86_400_000, 90_000)]}
    stages = [stage("Build", START + 86_401_000, 30_000)]
    again = pipeline(1, start=START + 86_400_500, taken=90_000, stages=stages)
    jobs = read(tmp_path, new, old, again)
    assert jobs[["run", "job", "duration"]].to_numpy().tolist() == [
        ["1", "job", 60.0],
        ["1@2026-03-01T04:00:00Z", "job", 90.0],
        ["1@2026-03-01T04:00:00Z", "Build", 30.0],
    ]
    assert jobs.attrs["notes"][0].startswith("1 builds have a number that an earlier build")
    assert len(pivot_runs(jobs)) == 2


@pytest.mark.parametrize(("number", "name", "said"), [(100, "builds", True), (99, "builds", False),
                                                      (100, "allBuilds", False)])  # fmt: skip
def test_the_newest_hundred_builds_are_not_all(tmp_path, number, name, said):
    page = {"fullName": "team/etl", name: [build(i, START + i) for i in range(number)]}
    notes = read(tmp_path, page).attrs["notes"]
    assert [note.startswith("team/etl: exactly 100 builds") for note in notes] == [True] * said


def test_pauses_are_no_part_of_a_duration(tmp_path):
    deploy = stage("Deploy", START + 1000, 50_000, pauseDurationMillis=49_000)
    run = pipeline(stages=[stage("Build"), deploy], taken=51_000, pauseDurationMillis=49_000)
    jobs = read(tmp_path, run).set_index("job")
    assert jobs["duration"].to_dict() == {"job": 2.0, "Build": 1.0, "Deploy": 1.0}
    assert jobs.loc["job", "ended_at"] == pd.Timestamp(START + 51_000, unit="ms", tz="UTC")


def test_stages_that_did_not_run_and_stages_of_one_name(tmp_path):
    never = stage("Deploy", 0, 0, status="NOT_EXECUTED")
    skipped = stage("Docs", START + 10, 0, status="NOT_EXECUTED")
    stages = [stage("Test"), stage("Test", taken=2000), stage("job"), skipped, never]
    jobs = read(tmp_path, pipeline(status="FAILED", stages=stages)).set_index("job")
    assert sorted(jobs.index) == ["Docs", "Test", "Test #2", "job", "job #1"]
    assert jobs.loc[["job", "Docs"], "status"].tolist() == ["failed", "skipped"]
    assert jobs.attrs["dropped"] == {"stage that did not run": 1}


def test_overlapping_pages_count_a_build_once(tmp_path):
    # The same build: while it ran, as a build with its pause, and with its stages.
    wait = {"actions": [{"queuingDurationMillis": 2500}]}
    running = {"fullName": "team/etl", "builds": [build(7, taken=0, result=None)]}
    done = {"fullName": "team/etl", "builds": [build(7, taken=9000, **wait)]}
    run = pipeline(7, taken=9000, stages=[stage("Build")], pauseDurationMillis=4000)
    expected = read(tmp_path, running, done, run)
    assert expected["duration"].tolist() == [1.0, 5.0]
    assert expected["job"].tolist() == ["Build", "job"]
    assert expected["queued_seconds"].tolist()[1] == 2.5
    assert_frame_equal(read(tmp_path, run, running, done), expected)


@settings(max_examples=30, deadline=None)
@given(
    builds=st.lists(
        st.tuples(
            st.integers(1, 10**12),
            st.integers(0, 10**9),
            st.sampled_from(["SUCCESS", "UNSTABLE", "FAILURE", "ABORTED", "NOT_BUILT", None]),
        ),
        min_size=1,
        max_size=8,
    ),
    zipped=st.booleans(),
)
def test_any_builds_come_back(builds, zipped, tmp_path_factory):
    page = [build(number, *values) for number, values in enumerate(builds, start=1)]
    text = json.dumps({"fullName": "a/b", "allBuilds": page}).encode()
    path = tmp_path_factory.mktemp("jenkins") / "b.json"
    path.write_bytes(gzip.compress(text) if zipped else text)
    jobs = read_jenkins(path).set_index("run")
    status = {"SUCCESS": "success", "UNSTABLE": "success", "FAILURE": "failed"}
    status |= {"ABORTED": "cancelled", "NOT_BUILT": "skipped", None: None}
    assert len(jobs) == len(builds)
    for number, (start, taken, result) in enumerate(builds, start=1):
        job = jobs.loc[str(number)]
        assert job["started_at"] == pd.Timestamp(start, unit="ms", tz="UTC")
        assert job["status"] == status[result]
        if result is None:
            assert np.isnan(job["duration"])
        else:
            assert job["duration"] == taken / 1000
            assert job["ended_at"] - job["started_at"] == pd.Timedelta(taken, unit="ms")


BAD_PAGES = {
    "half a page": ('{"builds": [{"number": 7', "column 25: is no JSON"),
    "default fields": (
        json.dumps({"name": "etl", "builds": [{"number": 7, "url": f"{URL}7/"}]}),
        r"builds\[0\]: expected a field 'timestamp', it has only number, url",
    ),
    "root": ('{"jobs": [{"name": "a", "url": "u", "color": "blue"}]}', "no build; ask .*tree="),
    "html": ("<html>Sign in</html>", "is a page of HTML"),
    "no answer": ('{"crumb": "x"}', "line 1: expected a job with 'builds', .* object with crumb"),
    "a number": ("[7]", r"line 1, \[0\]: expected an answer of Jenkins, got '7'"),
    "whose": (json.dumps({"builds": [build()]}), r"builds\[0\]: nothing says of which job"),
    "wrong kind": (
        json.dumps({"name": "a", "builds": [build(taken="1 min")]}),
        r"builds\[0\]\.duration: expected a whole number, got '1 min'",
    ),
    "seconds": (
        json.dumps({"name": "a", "builds": [build(taken=-5)]}),
        r"builds\[0\]: start .* and duration -5 are no milliseconds",
    ),
    "huge": (
        json.dumps({"name": "a", "builds": [build(), build(2, start=10**30)]}),
        r"builds\[1\]: start 1000000000000000000000000000000 and",
    ),
    "address": (
        json.dumps({**pipeline(), "_links": {"self": {"href": "/x"}}}),
        r"line 1\._links\.self\.href: expected an address such as /job/etl/7/wfapi/describe",
    ),
    "stage": (
        json.dumps(pipeline(stages=[{"name": "Build"}])),
        r"line 1\.stages\[0\]: expected a field 'status', it has only name",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_PAGES.values(), ids=BAD_PAGES)
def test_malformed_answers_are_named_with_their_place(tmp_path, text, message):
    path = tmp_path / "page.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=rf"page\.json.*{message}"):
        read_jenkins(path)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be opened"):
        read_jenkins(tmp_path / "none.json")
    with pytest.raises(SourceError, match="no file in this folder"):
        read_jenkins(tmp_path)
    path = tmp_path / "cut.json.gz"
    path.write_bytes(gzip.compress((SAMPLES / "builds.json").read_bytes())[:200])
    with pytest.raises(SourceError, match=r"cut\.json\.gz: the gzip data is cut off"):
        read_jenkins(tmp_path)
    path.write_bytes('{"name": "é"}'.encode("latin-1"))
    with pytest.raises(SourceError, match="line 1, byte 10: 0xe9 is not UTF-8"):
        read_jenkins(path)
    with pytest.raises(SourceError, match="max_bytes=30"):
        read_jenkins(SAMPLES / "builds.json", max_bytes=30)


def test_an_unknown_result_is_named_or_left_without_a_status(tmp_path):
    page = {"name": "etl", "builds": [build(result="EXPLODED")]}
    with pytest.raises(RunTableError, match="'EXPLODED'"):
        read(tmp_path, page)
    with pytest.warns(UserWarning, match="'EXPLODED'"):
        jobs = read(tmp_path, page, on_unknown="warn")
    assert jobs["status"].tolist() == [None]
