"""Pages of GitHub's REST API: waits apart from run times, re-runs, waiting and running jobs."""

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
from sklearn_jobtime.loaders import read_github
from sklearn_jobtime.runs import observed_durations, pivot_runs

SAMPLES = Path(__file__).parents[1] / "samples" / "github"
STEPS = Path(__file__).parents[3] / "shared" / "data" / "gha_steps.csv.gz"
API = "https://api.github.com/repos/octo-org/octo-repo/actions"
DAY = pd.Timestamp("2026-03-01T12:00:00Z")


def at(seconds):
    return None if seconds is None else (DAY + pd.Timedelta(seconds=seconds)).isoformat()


def run(number=1, start=0, end=600, *, attempt=1, conclusion="success", **more):
    return {
        "id": number,
        "name": "CI",
        "workflow_id": 9,
        "url": f"{API}/runs/{number}",
        "run_attempt": attempt,
        "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion,
        "created_at": at(0),
        "run_started_at": at(start),
        "updated_at": at(end),
        **more,
    }


def job(number, name="build", created=0, start=30, end=90, *, attempt=1, of=1, **more):
    return {
        "id": number,
        "run_id": of,
        "run_url": f"{API}/runs/{of}",
        "workflow_name": "CI",
        "name": name,
        "run_attempt": attempt,
        "status": "completed" if end is not None else "in_progress",
        "conclusion": "success" if end is not None else None,
        "created_at": at(created),
        "started_at": at(start),
        "completed_at": at(end),
        **more,
    }


def read(folder, *pages, **options):
    for number, page in enumerate(pages):
        (folder / f"page{number}.json").write_text(json.dumps(page))
    return read_github(folder, **options)


def jobs_page(*jobs, total=None):
    return {"total_count": len(jobs) if total is None else total, "jobs": list(jobs)}


def runs_page(*runs):
    return {"total_count": len(runs), "workflow_runs": list(runs)}


def test_the_documented_examples():
    jobs = read_github(SAMPLES)
    assert jobs["series"].tolist() == ["octo-org/octo-repo/CI"]
    row = jobs.iloc[0]
    assert (row["run"], row["job"], row["status"]) == ("29679449", "build", "success")
    assert (row["started_at"], row["duration"]) == (pd.Timestamp("2020-01-20T17:42:40Z"), 119.0)
    assert np.isnan(row["queued_seconds"])
    assert jobs.attrs["dropped"] == {"run that has not started": 1}
    steps = read_github(SAMPLES / "jobs.json", steps=True).set_index("job")["duration"].to_dict()
    assert steps == {
        "build": 119.0,
        "build / Set up job": 1.0,
        "build / Run actions/checkout@v2": 4.0,
        "build / Run actions/checkout@v2 #2": 114.0,
    }


def test_waiting_is_told_apart_from_running(tmp_path):
    # The deployment waited for an approval from 100 to 5000 seconds.
    page = jobs_page(job(1), job(2, "deploy", created=100, start=5000, end=5060))
    jobs = read(tmp_path, page).set_index("job")
    assert jobs["duration"].to_dict() == {"build": 60.0, "deploy": 60.0}
    assert jobs["queued_seconds"].to_dict() == {"build": 30.0, "deploy": 4900.0}


def test_the_last_attempt_counts_whole(tmp_path):
    # All jobs were run again a year later; updated_at of the run moved with them.
    late = 400 * 86400
    first = [job(1, end=50, conclusion="failure"), job(2, "test", start=60, end=70)]
    second = [
        job(3, created=late, start=late + 10, end=late + 75, attempt=2),
        job(4, "test", created=late + 80, start=late + 90, end=late + 95, attempt=2),
    ]
    page = runs_page(run(start=late, end=late + 100, attempt=2))
    jobs = read(tmp_path, page, jobs_page(*first, *second)).set_index("job")
    assert jobs["duration"].to_dict() == {"build": 65.0, "test": 5.0}
    assert jobs["run_attempt"].tolist() == [2, 2]
    assert jobs.attrs["dropped"] == {"job of an earlier attempt": 2}
    runs = pivot_runs(jobs.reset_index())
    assert observed_durations(runs)["whole_run"].tolist() == [85.0]


@pytest.mark.parametrize("with_run", [True, False])
def test_jobs_carried_over_from_an_earlier_attempt_are_left_out(tmp_path, with_run):
    # Only the failed job ran again; the other stands in attempt 2 with its old times.
    kept = job(3, "build", created=9000, start=30, end=90, attempt=2)
    again = job(4, "test", created=9000, start=9003, end=9020, attempt=2)
    pages = [jobs_page(kept, again)]
    if with_run:
        pages.append(runs_page(run(start=9001, end=9021, attempt=2)))
    jobs = read(tmp_path, *pages)
    assert jobs["job"].tolist() == ["test"]
    assert jobs.attrs["dropped"] == {"job carried over from an earlier attempt": 1}


def test_a_run_without_job_records_has_an_end_only_if_nothing_can_have_moved_it(tmp_path):
    page = runs_page(run(1), run(2, attempt=2, end=10**6), run(3, conclusion=None, start=60))
    jobs = read(tmp_path, page).set_index("run")
    assert jobs["job"].unique().tolist() == ["CI"]
    assert jobs.loc["1", "duration"] == 600.0
    assert jobs.loc["2", "status"] == "success"
    assert jobs.loc["3", "status"] is None
    assert jobs.loc[["2", "3"], ["duration", "ended_at", "queued_seconds"]].isna().all(axis=None)


def test_runs_alone_do_not_mix_with_jobs_of_the_same_workflow(tmp_path):
    jobs = read(tmp_path, runs_page(run(1), run(2)), jobs_page(job(5, of=2)))
    assert jobs[["run", "job"]].to_numpy().tolist() == [["2", "build"]]
    assert jobs.attrs["dropped"] == {"run without jobs in a workflow that has them": 1}


def test_running_and_waiting_jobs_keep_the_run_open(tmp_path):
    waiting = job(3, "deploy", status="queued", conclusion=None, completed_at=None)
    jobs = read(tmp_path, jobs_page(job(1), job(2, "test", end=None), waiting)).set_index("job")
    assert jobs["status"].to_dict() == {"build": "success", "test": None, "deploy": None}
    assert jobs["started_at"].isna().to_dict() == {"build": False, "test": False, "deploy": True}
    runs = pivot_runs(jobs.reset_index())
    assert runs["ended_at"].isna().all()
    assert runs["build"].tolist() == [60.0]


def test_a_run_of_which_no_job_has_started_is_left_out(tmp_path):
    waiting = job(1, status="waiting", conclusion=None, completed_at=None)
    jobs = read(tmp_path, jobs_page(waiting), jobs_page(job(2, of=2)))
    assert jobs["run"].tolist() == ["2"]
    assert jobs.attrs["dropped"] == {"job of a run that has not started": 1}


def test_a_run_with_missing_pages_is_left_out(tmp_path):
    # Without per_page a page has 30 jobs: a run of 45 would look shorter than it was.
    first = jobs_page(*[job(i, f"shard {i}") for i in range(30)], total=45)
    other = jobs_page(job(99, of=2))
    jobs = read(tmp_path, first, other)
    assert jobs["run"].tolist() == ["2"]
    assert jobs.attrs["dropped"] == {"job of a run with missing pages of jobs": 30}
    second = jobs_page(*[job(i, f"shard {i}") for i in range(30, 45)], total=45)
    assert len(read(tmp_path, first, second, other)) == 46


def test_the_newest_record_of_a_job_counts(tmp_path):
    running, done = job(1, end=None), job(1)
    for pages in ([running, done], [done, running]):
        jobs = read(tmp_path, *[jobs_page(page) for page in pages])
        assert jobs["duration"].tolist() == [60.0]


def test_names_of_the_matrix_stay_and_equal_names_are_numbered(tmp_path):
    names = ["test (3.11, ubuntu)", "test (3.12, ubuntu)", "same", "same"]
    jobs = read(tmp_path, jobs_page(*[job(i, name) for i, name in enumerate(names)]))
    assert sorted(jobs["job"]) == ["same", "same #2", "test (3.11, ubuntu)", "test (3.12, ubuntu)"]
    pivot_runs(jobs)


def test_skipped_jobs_and_clocks_a_second_apart(tmp_path):
    skipped = job(2, "deploy", created=90, start=90, end=89, conclusion="skipped")
    late = job(3, "test", created=32, start=30, end=95)
    jobs = read(tmp_path, jobs_page(job(1), skipped, late)).set_index("job")
    assert jobs["status"].to_dict() == {"build": "success", "deploy": "skipped", "test": "success"}
    assert jobs["duration"].to_dict() == {"build": 60.0, "deploy": 0.0, "test": 65.0}
    assert jobs["queued_seconds"].min() == 0.0


def test_a_job_that_ended_without_a_time_does_not_keep_its_run_open(tmp_path):
    broken = job(2, "test", start=None, end=None, status="completed", conclusion="startup_failure")
    jobs = read(tmp_path, jobs_page(job(1), broken))
    assert pivot_runs(jobs)["ended_at"].notna().all()
    assert jobs.attrs["dropped"] == {"job that ended without a time": 1}


@settings(max_examples=40, deadline=None)
@given(
    chunks=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    form=st.sampled_from(["files", "lines", "joined", "slurped", "records", "zipped"]),
)
def test_all_ways_to_store_pages_read_the_same(chunks, form, tmp_path_factory):
    jobs, number = [], 0
    for of, size in enumerate(chunks):
        names = [job(number + i, f"job{i}", start=30 + of, end=90 + i, of=of) for i in range(size)]
        jobs.append(jobs_page(*names))
        number += size
    pages = [runs_page(*[run(of) for of in range(len(chunks))]), *jobs]
    plain = tmp_path_factory.mktemp("plain")
    expected = read(plain, *pages)
    folder = tmp_path_factory.mktemp("other")
    if form == "records":
        records = [r for page in pages for r in page.get("workflow_runs", page.get("jobs"))]
        (folder / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    elif form == "lines":
        (folder / "a.ndjson").write_text("\n".join(map(json.dumps, pages)))
    elif form == "joined":
        (folder / "a.json").write_text("".join(map(json.dumps, pages)))
    elif form == "slurped":
        (folder / "a.json").write_text(json.dumps(pages, indent=1))
    elif form == "zipped":
        (folder / "a.json.gz").write_bytes(gzip.compress(json.dumps(pages).encode()))
    source = folder if form != "files" else f"{plain}/page*.json"
    assert_frame_equal(read_github(source), expected)
    assert len(expected) == number


BAD_PAGES = {
    "half a page": ('{"jobs": [{"id": 7', r"line 1, column 19: is no JSON"),
    "second page cut": ('{"jobs": []}\n{"jobs": [', r"line 2, column 11: is no JSON"),
    "a message": ('{"message": "Not Found"}', r"line 1: expected a page .* object with message"),
    "gh run list": ('[{"databaseId": 7}]', r"line 1, \[0\]: expected a page .* with databaseId"),
    "a number": ("7", "line 1: expected a page of runs or jobs, got '7'"),
    "no id": ('{"jobs": [{"name": "a"}]}', r"jobs\[0\]: expected a field 'id', it has only name"),
    "no list": ('{"jobs": {"id": 7}}', r"line 1\.jobs: expected a list, got"),
    "nothing": ('{"jobs": []}', "holds no run and no job"),
    "blank": (" \n", "holds nothing but blanks"),
    "deep": ("[" * 100_000, "line 1: cannot be decoded"),
    "html": ("<!DOCTYPE html>", "is a page of HTML"),
    "no time": (
        json.dumps(jobs_page(job(1, started_at="yesterday"))),
        r"jobs\[0\], started_at: 'yesterday' is no time",
    ),
    "no address": (
        json.dumps(jobs_page(job(1, run_url="https://example.com"))),
        r"jobs\[0\]: no '/repos/OWNER/REPO/' in the address 'https://example\.com'",
    ),
    "no workflow": (
        json.dumps(jobs_page(job(1, workflow_name=None))),
        r"jobs\[0\]: has no workflow_name, and its run is not among the runs read",
    ),
    "wrong kind": (
        json.dumps(runs_page(run(run_attempt="2"))),
        r"workflow_runs\[0\]\.run_attempt: expected a whole number or null, got '2'",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_PAGES.values(), ids=BAD_PAGES)
def test_malformed_pages_are_named_with_their_place(tmp_path, text, message):
    path = tmp_path / "page.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=rf"page\.json.*{message}"):
        read_github(path)


def test_a_damaged_file_among_many_is_named(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(jobs_page(job(1))))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(jobs_page(job(2))).encode())[:60])
    with pytest.raises(SourceError, match=r"b\.json\.gz: the gzip data is cut off"):
        read_github(tmp_path)
    (tmp_path / "b.json.gz").write_bytes('{"jobs": "é"}'.encode("latin-1"))
    with pytest.raises(SourceError, match=r"b\.json\.gz, line 1, byte 10: 0xe9 is not UTF-8"):
        read_github(tmp_path)
    with pytest.raises(SourceError, match="max_bytes=20"):
        read_github(tmp_path / "a.json", max_bytes=20)


def test_an_unknown_state_is_named_or_left_without_a_status(tmp_path):
    page = jobs_page(job(1, conclusion="exploded"))
    with pytest.raises(RunTableError, match="'exploded'"):
        read(tmp_path, page)
    with pytest.warns(UserWarning, match="'exploded'"):
        jobs = read(tmp_path, page, on_unknown="warn")
    assert jobs["status"].tolist() == [None]


@pytest.mark.skipif(not STEPS.exists(), reason="the shared data is not beside this checkout")
def test_real_jobs_come_back_from_pages(tmp_path):
    real = pd.read_csv(STEPS)
    real = real[(real["step_no"] == -1) & real["started_at"].notna() & real["conclusion"].notna()]
    real = real.drop_duplicates(["run", "job"]).head(800).reset_index(drop=True)
    started = pd.to_datetime(real["started_at"], utc=True)
    project, number = (
        real["run"].str.rsplit("-", n=1).str[0],
        real["run"].str.rsplit("-", n=1).str[1],
    )
    records = [
        job(
            i,
            real["job"][i],
            of=int(number[i]),
            run_url=f"https://api.github.com/repos/x/{project[i]}/actions/runs/{number[i]}",
            conclusion=real["conclusion"][i],
            started_at=started[i].isoformat(),
            completed_at=(started[i] + pd.Timedelta(seconds=real["duration_s"][i])).isoformat(),
        )
        for i in range(len(real))
    ]
    lines = "\n".join(map(json.dumps, records))
    path = tmp_path / "jobs.jsonl.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    jobs = read_github(path)
    assert len(jobs) == len(real)
    assert jobs["duration"].sum() == pytest.approx(real["duration_s"].sum())
    runs = pivot_runs(jobs)
    assert len(runs) == real["run"].nunique()
    assert runs.index.get_level_values(0).nunique() == project.nunique()
