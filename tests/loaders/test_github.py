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


# ----------------------------------------------------- workflows by their id, pages by their count


def of_workflow(number, workflow, name, seconds, *, day=None, file="", repository="octo-org/app"):
    start = 86400 * (number if day is None else day)
    url = f"https://api.github.com/repos/{repository}/actions/runs/{number}"
    return run(
        number, start, start + seconds, name=name, workflow_id=workflow, url=url,
        created_at=at(start), path=f".github/workflows/{file}" if file else None,
    )  # fmt: skip


def durations_of(jobs):
    return {series: rows["duration"].tolist() for series, rows in jobs.groupby("series")}


def test_a_workflow_is_told_by_its_id_and_called_by_its_newest_name(tmp_path):
    # 21 was called Nightly, then Full tests; 22 and 23 are both called Lint.
    runs = [
        of_workflow(2, 21, "Nightly", 70, file="full.yml"),
        of_workflow(1, 21, "Nightly", 60, file="full.yml"),
        of_workflow(5, 21, "Full tests", 80, file="full.yml@refs/heads/main"),
        of_workflow(3, 22, "Lint", 5, file="lint.yml"),
        of_workflow(4, 23, "Lint", 500, file="deep.yml"),
        of_workflow(6, 22, "Lint", 6, file="lint.yml"),
    ]
    jobs = read(tmp_path, runs_page(*runs[:3]), runs_page(*runs[3:]))
    assert durations_of(jobs) == {
        "octo-org/app/Full tests": [60.0, 70.0, 80.0],
        "octo-org/app/Lint (lint.yml)": [5.0, 6.0],
        "octo-org/app/Lint (deep.yml)": [500.0],
    }
    assert set(jobs["job"]) == {"Full tests", "Lint (lint.yml)", "Lint (deep.yml)"}
    notes = " ".join(jobs.attrs["notes"])
    assert "2 workflows are called 'Lint'" in notes
    assert "the 3 runs of workflow 21 are one series, 'Full tests'" in notes
    assert "the pages say" not in notes


def test_runs_with_a_title_each_are_one_workflow_called_by_its_file(tmp_path):
    titles = ["pip in /docs - Update #11", "npm in / for left-pad #12", "pip in / #13"]
    runs = [of_workflow(i, 40, title, 30 + i) for i, title in enumerate(titles)]
    for one in runs:
        one["path"] = "dynamic/dependabot/dependabot-updates"
    runs += [of_workflow(9, 41, None, 77, file="own.yml")]
    jobs = read(tmp_path, runs_page(*runs))
    assert durations_of(jobs) == {
        "octo-org/app/dependabot-updates": [30.0, 31.0, 32.0],
        "octo-org/app/own.yml": [77.0],
    }


def test_one_name_in_two_repositories_and_two_ids_of_one_file(tmp_path):
    runs = [
        of_workflow(1, 7, "CI", 60, file="ci.yml"),
        of_workflow(2, 8, "CI", 90, file="ci.yml"),
        of_workflow(3, 9, "CI", 30, file="ci.yml", repository="octo-org/other"),
    ]
    assert durations_of(read(tmp_path, runs_page(*runs))) == {
        "octo-org/app/CI (7)": [60.0],
        "octo-org/app/CI (8)": [90.0],
        "octo-org/other/CI": [30.0],
    }


def test_jobs_go_with_the_workflow_of_their_run(tmp_path):
    # Run 1 and 2 are of two workflows called CI; of run 3 and 4 only the jobs are there.
    runs = [
        run(1, workflow_id=1, path="a.yml"),
        run(2, workflow_id=2, path="b.yml"),
        run(5, workflow_id=3, name="Deploy", path="d.yml"),
    ]
    jobs = [job(i, of=i, end=30 + 10 * i, start=30) for i in (1, 2, 3)]
    jobs.append(job(4, of=4, end=75, workflow_name="Deploy"))
    jobs.append(job(6, of=5, end=76, workflow_name="Deploy"))
    table = read(tmp_path, runs_page(*runs), *[jobs_page(one) for one in jobs])
    assert durations_of(table) == {
        "octo-org/octo-repo/CI (a.yml)": [10.0],
        "octo-org/octo-repo/CI (b.yml)": [20.0],
        "octo-org/octo-repo/Deploy": [45.0, 46.0],
    }
    why = "job of a run that is not there, of a workflow name that several have"
    assert table.attrs["dropped"] == {why: 1}


def test_jobs_without_any_run_say_that_names_were_taken(tmp_path):
    assert "not its id" in read(tmp_path, jobs_page(job(1))).attrs["notes"][0]


CLAIMS = {
    "one page of many": ([(0, 30, 145)], ["145 runs, 30"]),
    "all pages": ([(0, 100, 145), (100, 145, 145)], []),
    "all pages, with the empty one behind": ([(0, 3, 3), (3, 3, 3)], []),
    "a page is missing": ([(0, 100, 345), (200, 300, 345)], ["345 runs, 200"]),
    "pages overlap": ([(0, 100, 345), (50, 150, 345)], ["345 runs, 150"]),
    "new runs came in between": ([(0, 100, 145), (99, 145, 146)], []),
    "two queries, one cut": ([(0, 30, 30), (30, 60, 700)], ["700 runs, 30"]),
    "only an empty page": ([(0, 1, None), (1, 1, 300)], ["300 runs, 0"]),
}


@pytest.mark.parametrize(("pages", "expected"), CLAIMS.values(), ids=CLAIMS)
def test_the_number_of_runs_that_pages_claim_is_compared(tmp_path, pages, expected):
    documents = [
        {"total_count": total, "workflow_runs": [run(i) for i in range(first, last)]}
        for first, last, total in pages
    ]
    notes = read(tmp_path, *documents).attrs["notes"]
    found = [note for note in notes if "the pages say" in note]
    assert len(found) == len(expected)
    for note, numbers in zip(found, expected, strict=True):
        assert numbers in note
        assert "--paginate" in note


def test_two_workflows_asked_for_alone_have_a_count_each(tmp_path):
    whole = [of_workflow(i, 1, "CI", 60) for i in range(45)]
    cut = [of_workflow(100 + i, 2, "Docs", 60) for i in range(30)]
    pages = [{"total_count": 45, "workflow_runs": runs} for runs in (whole, cut)]
    found = [n for n in read(tmp_path, *pages).attrs["notes"] if "the pages say" in n]
    assert len(found) == 1
    assert "45 runs, 30 were read" in found[0]


def test_a_run_again_without_jobs_says_that_its_end_is_not_known(tmp_path):
    jobs = read(tmp_path, runs_page(run(1), run(2, 9000, 9600, attempt=2)))
    assert jobs.loc[jobs["run"] == "2", "started_at"].item() == pd.Timestamp(at(9000))
    assert jobs["duration"].dropna().tolist() == [600.0]
    assert any("1 runs were run again" in note for note in jobs.attrs["notes"])


@settings(max_examples=20, deadline=None)
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
    "a word for a time": (
        json.dumps(jobs_page(job(1, started_at="now"))),
        r"jobs\[0\], started_at: 'now' is no time",
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
