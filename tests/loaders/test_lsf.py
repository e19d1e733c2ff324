"""LSF's lsb.acct: made-up records with the fields in the documented order."""

import gzip

import pandas as pd
import pytest

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_lsf, read_source

BEGIN = 1_772_337_600  # 2026-03-01 04:00:00 UTC
DONE, EXIT = 64, 32


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def finished(job, seconds, *, user="alice", name="etl", command="./etl.sh", submitted=0, start=60,
             status=DONE, code=0, reason=0, task=0, asked=(), hosts=("node1",)):  # fmt: skip
    """A JOB_FINISH record; `start` None: it never started."""
    ended = BEGIN + (submitted if start is None else start) + seconds
    began = 0 if start is None else BEGIN + start
    before = ["10.1", ended, job, 500, 33554450, 1, BEGIN + submitted, 0, 0, began]
    paths = [user, "normal", "select[type == any]", "", "", "login1", "/home/a b", "", "out.%J",
             "", "1772337600.7"]  # fmt: skip
    lists = [len(asked), *asked, len(hosts), *hosts]
    used = [0.5, 0.25, *[-1] * 17]
    behind = ["alice", "default", code, 1, "", "", task, 1024, 2048, "", "", "", "", 0, "", reason]
    record = ["JOB_FINISH", *before, *paths, *lists, status, 60.0, name, command, *used, *behind]
    return " ".join(quoted(f) if isinstance(f, str) else str(f) for f in [*record, "", -1, ""])


RESIZED = f'"JOB_RESIZE" "10.1" {BEGIN} 7 0 {BEGIN} 500 "alice" 1 0 1 "node1" 1 "node2"'
RESERVED = f'"EVENT_ADRSV_FINISH" "10.1" {BEGIN} {BEGIN} 500 "alice#0" "user" 1 "node1:1"'


def acct(folder, *lines, name="lsb.acct"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_jobs_and_records_of_other_types(tmp_path):
    path = acct(
        tmp_path,
        finished(7, 120),
        RESIZED,
        RESERVED,
        RESIZED,
        finished(8, 90, user="bob", name="", command='sh -c "sleep 1; ls"', start=100),
        finished(9, 30, submitted=86400, start=86430, hosts=("n1", "n1", "n2"), asked=("n1", "n2")),
    )
    jobs = read_lsf(path)
    assert jobs[["series", "run", "job", "duration", "status", "queued_seconds"]].to_dict("split")[
        "data"
    ] == [
        ["alice/etl", "7", "job", 120.0, "success", 60.0],
        ['bob/sh -c "sleep 1; ls"', "8", "job", 90.0, "success", 100.0],
        ["alice/etl", "9", "job", 30.0, "success", 30.0],
    ]
    assert jobs["started_at"].iloc[0] == pd.Timestamp("2026-03-01T04:01:00Z")
    assert jobs["ended_at"].iloc[0] == pd.Timestamp("2026-03-01T04:03:00Z")
    assert jobs.attrs["dropped"] == {
        "record of type EVENT_ADRSV_FINISH": 1, "record of type JOB_RESIZE": 2
    }  # fmt: skip
    assert jobs.attrs["notes"] == []


@pytest.mark.parametrize(
    ("record", "status"),
    [
        ({"status": DONE}, "success"),
        ({"status": DONE + 128}, "success"),  # and its post-processing was done
        ({"status": EXIT, "code": 256}, "failed"),
        ({"status": EXIT, "code": 35328, "reason": 16}, "failed"),  # TERM_MEMLIMIT
        ({"status": EXIT, "code": 35840, "reason": 5}, "timeout"),
        ({"status": EXIT, "code": 35840, "reason": 12}, "timeout"),
        ({"status": EXIT, "code": 33280, "reason": 14}, "cancelled"),
        ({"status": EXIT, "code": 9, "reason": 1}, "cancelled"),
    ],
)
def test_what_ended_a_job_is_its_status(tmp_path, record, status):
    assert read_lsf(acct(tmp_path, finished(7, 120, **record)))["status"].tolist() == [status]


def test_own_states_by_keyword_and_by_exit_code(tmp_path):
    path = acct(
        tmp_path,
        finished(1, 10, status=EXIT, code=33280, reason=14),
        finished(2, 20, start=100, status=EXIT, code=3 * 256),
        finished(3, 30, start=200, status=EXIT, code=256),
    )
    runs = read_source(f"lsf:{path}", states={"TERM_OWNER": "failed", "3": "skipped"})
    assert runs["job__status"].tolist() == ["failed", "skipped", "failed"]


def test_an_unknown_status_has_an_end(tmp_path):
    path = acct(tmp_path, finished(1, 10, status=4), finished(2, 20, start=100))
    with pytest.raises(RunTableError, match="'jStatus 4' in 1 row"):
        read_lsf(path)
    with pytest.warns(UserWarning, match="jStatus 4"):
        runs = read_source(f"lsf:{path}", on_unknown="warn")
    assert runs["ended_at"].notna().all()
    assert runs["job"].isna().tolist() == [True, False]
    assert runs.attrs["report"]["statuses"] == {"success": 1, "unknown": 1}


def test_arrays_requeues_and_jobs_that_never_started(tmp_path):
    path = acct(
        tmp_path,
        finished(5, 100, name="sweep[1-2]", task=1),
        finished(5, 110, name="sweep[1-2]%1", task=2, start=200),
        finished(6, 40, status=EXIT, code=256, reason=10),
        finished(6, 45, start=300, status=EXIT, code=256),  # by its exit value
        finished(6, 50, start=600),
        finished(8, 5, start=None, status=EXIT, reason=14),
        finished(9, 70, name="keep[1]", start=700),  # no array: so it is called
    )
    jobs = read_lsf(path)
    assert {(r.series, r.run): r.duration for r in jobs.itertuples()} == {
        ("alice/sweep", "5[1]"): 100.0,
        ("alice/sweep", "5[2]"): 110.0,
        ("alice/etl", "6"): 50.0,
        ("alice/keep[1]", "9"): 70.0,
    }
    assert jobs.attrs["dropped"] == {
        "try that was put back into the queue": 1,
        "not started": 1,
        "earlier try of a requeued job": 1,
    }
    assert jobs.attrs["notes"][0].startswith("2 jobs are elements of arrays")
    assert jobs.attrs["notes"][1].startswith("1 tries were put back into the queue")


def test_files_without_a_prefix_and_folders(tmp_path):
    path = acct(tmp_path, finished(7, 120), name="history.log")
    assert read_source(str(path))["job"].tolist() == [120.0]
    packed = tmp_path / "lsb.acct.1.gz"
    packed.write_bytes(gzip.compress(finished(8, 60, start=200).encode()))
    acct(tmp_path, finished(9, 70, start=400))
    assert read_lsf(tmp_path)["run"].tolist() == ["8", "9"]
    acct(tmp_path, RESIZED, finished(10, 5), name="resized.txt")
    assert len(read_source(str(tmp_path / "resized.txt"))) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("JobID|x", r"line 2: 'JobID\|x' is no record of LSF"),
        (finished(8, 5)[:200], r"line 2: .*cut off, fetch"),
        (finished(8, 5).replace(f" {BEGIN} 0 0 ", " soon 0 0 "), "line 2, submitted: 'soon' is no"),
        ('"JOB_FINISH" "10.1" 1772337600 8', r"line 2: 4 fields are not those of JOB_FINISH"),
    ],
)
def test_lines_that_are_no_record_are_named(tmp_path, line, said):
    with pytest.raises(SourceError, match=said):
        read_lsf(acct(tmp_path, finished(7, 120), line))


def test_a_file_without_finished_jobs_says_so(tmp_path):
    with pytest.raises(SourceError, match="holds no JOB_FINISH record"):
        read_lsf(acct(tmp_path, RESIZED))
    with pytest.raises(SourceError, match=r"no finished job that could be used .*not started: 1"):
        read_lsf(acct(tmp_path, finished(8, 5, start=None, status=EXIT)))
