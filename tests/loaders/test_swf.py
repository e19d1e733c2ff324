"""Logs in the Standard Workload Format: a real one, any valid one, and bad ones with the place."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_swf
from sklearn_jobtime.runs import observed_durations, pivot_runs

NASA = Path(__file__).parents[3] / "shared" / "data" / "NASA-iPSC-1993-3.1-cln.swf.gz"
needs_nasa = pytest.mark.skipif(
    not NASA.exists(), reason="the shared data is not beside this checkout"
)
HEADER = "; UnixStartTime: 749458803\n"
ROW = "1 0 60 1451 128 -1 -1 -1 -1 -1 1 4 1 3 -1 -1 -1 -1\n"


def log(folder, text, name="log.swf"):
    path = folder / name
    path.write_text(text)
    return path


@needs_nasa
@pytest.mark.parametrize(
    "by", [("user",), ("user", "executable"), ("user", "executable", "processors")]
)
def test_the_real_log_says_what_a_loop_over_its_lines_says(by):
    places = {"user": 11, "executable": 13, "processors": 4}
    expected = {}
    for line in gzip.decompress(NASA.read_bytes()).decode().splitlines():
        fields = [] if line.startswith(";") else [int(text) for text in line.split()]
        if fields and all(fields[places[name]] != -1 for name in by):
            series = "/".join(f"{name}{fields[places[name]]}" for name in by)
            expected[str(fields[0])] = (series, 749458803 + fields[1], fields[3])
    jobs = read_swf(NASA, by=by).set_index("run")
    assert jobs.index.is_unique
    assert set(jobs.index) == set(expected)
    start = (jobs["started_at"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    got = dict(
        zip(jobs.index, zip(jobs["series"], start, jobs["duration"], strict=True), strict=True)
    )
    assert got == expected
    # Submissions are the starts in this log, and nothing says how a job ended.
    assert jobs["queued_seconds"].isna().all()
    assert set(jobs["status"]) == {"success"}
    left_out = 18239 - len(expected)
    assert jobs.attrs["dropped"] == ({"no executable": left_out} if left_out else {})


@needs_nasa
def test_the_real_log_becomes_one_run_table():
    jobs = read_swf(NASA)
    runs = pivot_runs(jobs)
    assert len(runs) == len(jobs)
    # 42,264 jobs in the header, of which it says that 24,025 were removed: 18,239 are there.
    assert not any("were read" in note for note in jobs.attrs["notes"])
    assert runs.columns.tolist() == ["started_at", "ended_at", "job", "job__status"]
    sizes = runs.groupby(level=0).size()
    assert sizes.sort_index().equals(jobs.groupby("series").size().rename(None))
    assert observed_durations(runs)["job"].sum() == jobs["duration"].sum()


fields = st.tuples(
    st.integers(0, 10**7),
    st.integers(-1, 10**5),
    st.integers(-1, 10**6),
    st.integers(1, 9),
    st.integers(-1, 9),
    st.sampled_from([-1, 0, 1, 2, 3, 4, 5]),
)


@settings(max_examples=40, deadline=None)
@given(jobs=st.lists(fields, min_size=1, max_size=12), zipped=st.booleans())
def test_any_log_reads_as_its_lines_say(jobs, zipped, tmp_path_factory):
    status = {-1: "success", 0: "failed", 1: "success", 5: "cancelled"}
    lines, expected = [HEADER, ";\n"], {}
    for number, (submit, wait, seconds, user, executable, code) in enumerate(jobs, start=1):
        lines.append(
            f"  {number} {submit}\t{wait} {seconds} 4 1.50 -1 -1 -1 -1 {code} "
            f"{user} 1 {executable} -1 -1 -1 -1\n"
        )
        has = any(job[4] >= 0 for job in jobs)
        if code in status and seconds >= 0 and (executable >= 0 or not has):
            series = f"user{user}/executable{executable}" if has else f"user{user}"
            start = 749458803 + submit + max(wait, 0)
            expected[str(number)] = (series, start, start + seconds, seconds, wait, status[code])
    text = "".join(lines).encode()
    path = tmp_path_factory.mktemp("swf") / "log.swf.gz"
    path.write_bytes(gzip.compress(text) if zipped else text)
    if not expected:
        with pytest.raises(SourceError, match="no job is left"):
            read_swf(path)
        return
    table = read_swf(path)
    epoch = pd.Timestamp(0, tz="UTC")
    got = {
        row.run: (
            row.series,
            (row.started_at - epoch).total_seconds(),
            (row.ended_at - epoch).total_seconds(),
            row.duration,
            -1 if np.isnan(row.queued_seconds) else row.queued_seconds,
            row.status,
        )
        for row in table.itertuples()
    }
    assert got == expected
    assert sum(table.attrs["dropped"].values()) == len(jobs) - len(expected)


def test_parts_of_checkpointed_jobs_are_counted_and_left_out(tmp_path):
    parts = [ROW.replace(" 1 4 1 3", f" {code} 4 1 3") for code in (2, 2, 3)]
    table = read_swf(log(tmp_path, HEADER + ROW + "".join(parts)))
    assert table["duration"].tolist() == [1451.0]
    assert table.attrs["dropped"] == {"part of a checkpointed job": 3}


def test_what_the_header_claims_is_neither_believed_nor_allocated(tmp_path):
    claims = "; MaxJobs: 99999999999999\n; MaxRecords: 1000000000\n; MaxNodes: -5\n"
    path = log(tmp_path, claims + HEADER + ROW)
    read_swf(path)
    tracemalloc.start()
    table = read_swf(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 1
    assert peak < 20e6
    notes = " ".join(table.attrs["notes"])
    assert "MaxJobs 99,999,999,999,999, 1 were read" in notes
    assert "MaxRecords 1,000,000,000, 1 were read" in notes


def test_an_unknown_status_is_named_or_left_without_one(tmp_path):
    path = log(tmp_path, HEADER + ROW + ROW.replace(" 1 4 1 3", " 7 4 1 3"))
    with pytest.raises(RunTableError, match=r"unknown swf state.* '7'"):
        read_swf(path)
    with pytest.warns(UserWarning, match="'7'"):
        assert read_swf(path, on_unknown="warn")["status"].tolist() == ["success", None]


BAD_LOGS = {
    "too few": (HEADER + ROW + "2 0 -1\n", "line 3: 3 fields, expected 18"),
    "too few first": (HEADER + "2 0 -1\n" + ROW, "line 2: 3 fields, expected 18"),
    "too many": (HEADER + ROW + ROW.strip() + " 4\n", "line 3: 19 fields, expected 18"),
    "far too many": (HEADER + ROW.strip() + " 4 5 6\n", "line 2: 21 fields, expected 18"),
    "too many everywhere": (HEADER + (ROW.strip() + " 4\n") * 3, "line 2: 19 fields"),
    "no number": (HEADER + ROW + ROW.replace("1451", "soon"), r"line 3, run_time: 'soon' is not a"),
    "nan": (HEADER + ROW.replace("1451", "nan"), "line 2, run_time: 'nan'"),
    "infinite": (HEADER + ROW.replace("1451", "inf"), "line 2, run_time: 'inf'"),
    "half a user": (HEADER + ROW.replace(" 4 ", " 4.5 "), "line 2, user: '4.5'"),
    "huge user": (HEADER + ROW.replace(" 4 ", " 1e300 "), "line 2, user: '1e300'"),
    "wrong delimiter": (HEADER + ROW.replace(" ", ","), "line 2: 1 fields, expected 18"),
    "quoted": (HEADER + ROW.replace("1451", '"1451'), "line 2, run_time: '\"1451'"),
    "bad start": ("; UnixStartTime: monday\n" + ROW, "line 1: UnixStartTime 'monday' is not"),
    "no job": (HEADER, "holds no job"),
    "out of time": (HEADER + ROW.replace("1 0 60", "1 1e16 60"), "line 2, submit: '1e16'"),
    "out of span": (
        HEADER + ROW.replace("1 0 60", "1 99999999999 60"),
        r"job 1: from 1\.00749e\+11 to",
    ),
    "no run time": (HEADER + ROW.replace("1451", "-1"), r"no job is left \(no run time: 1\)"),
}


@pytest.mark.parametrize(("text", "message"), BAD_LOGS.values(), ids=BAD_LOGS)
def test_malformed_logs_are_named_with_the_line(tmp_path, text, message):
    with pytest.raises(SourceError, match=rf"log\.swf.*{message}"):
        read_swf(log(tmp_path, text))


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be opened"):
        read_swf(tmp_path / "none.swf")
    with pytest.raises(SourceError, match="is empty"):
        read_swf(log(tmp_path, ""))
    cut = tmp_path / "cut.swf.gz"
    cut.write_bytes(gzip.compress((HEADER + ROW * 5000).encode())[:-20])
    with pytest.raises(SourceError, match=r"cut\.swf\.gz: the gzip data is cut off"):
        read_swf(cut)
    with pytest.raises(SourceError, match="max_bytes=99"):
        read_swf(log(tmp_path, HEADER + ROW * 5), max_bytes=99)
    latin = tmp_path / "latin.swf"
    latin.write_bytes(b"; Computer: caf\xe9\n" + (HEADER + ROW).encode())
    with pytest.raises(SourceError, match="line 1, byte 15: 0xe9 is not UTF-8"):
        read_swf(latin)


@pytest.mark.parametrize("by", [(), ("user", "shoe_size")])
def test_identifiers_that_are_none_are_named(tmp_path, by):
    with pytest.raises(ValueError, match="by: expected some of user, group"):
        read_swf(log(tmp_path, HEADER + ROW), by=by)


# ---------------------------------------- logs without executables, start or unique numbers


def line(job, submit=0, seconds=60, *, user=-1, group=-1, executable=-1, queue=-1, status=1):
    fields = (job, submit, 5, seconds, 1, -1, -1, 1, -1, -1, status, user, group, executable, queue)
    return " ".join(map(str, (*fields, -1, -1, -1))) + "\n"


WITHOUT = {
    "executable": (({"user": 8}, {"user": 9}), {"user8": [60.0], "user9": [61.0]}),
    "user": (({"executable": 3}, {"executable": 3}), {"executable3": [60.0, 61.0]}),
    "user, but with a group": (({"group": 2, "queue": 1}, {"group": 3, "queue": 1}),
                               {"group2": [60.0], "group3": [61.0]}),
    "all but the queue": (({"queue": 0}, {"queue": 4}), {"queue0": [60.0], "queue4": [61.0]}),
    "all": (({}, {}), {"history": [60.0, 61.0]}),
}  # fmt: skip


@pytest.mark.parametrize(("jobs", "expected"), WITHOUT.values(), ids=WITHOUT)
def test_what_the_log_lacks_is_replaced_by_what_it_has_and_said(tmp_path, jobs, expected):
    lines = [line(i, 3600 * i, 60 + i, **fields) for i, fields in enumerate(jobs)]
    table = read_swf(log(tmp_path, HEADER + "".join(lines)))
    assert {s: rows["duration"].tolist() for s, rows in table.groupby("series")} == expected
    assert table.attrs["dropped"] == {}
    assert any("the log records no" in note for note in table.attrs["notes"])


def test_fields_that_are_asked_for_are_not_replaced(tmp_path):
    path = log(tmp_path, HEADER + line(1, user=4))
    with pytest.raises(SourceError, match=r"no executable: 1.*option by"):
        read_swf(path, by=("user", "executable"))
    assert read_swf(path, by=["user"]).attrs["notes"] == []


@pytest.mark.parametrize(
    ("start", "begin"),
    [
        (None, "1970-01-01T00:00:00Z"),
        ("2005-11-20", "2005-11-20T00:00:00Z"),
        ("2005-11-20T01:00+01:00", "2005-11-20T00:00:00Z"),
        (1132444800, "2005-11-20T00:00:00Z"),
        ("1132444800", "2005-11-20T00:00:00Z"),
    ],
)
def test_a_log_that_does_not_say_when_it_starts(tmp_path, start, begin):
    table = read_swf(log(tmp_path, "; Version: 2.2\n" + line(1, 100, user=1)), start=start)
    assert table["started_at"].item() == pd.Timestamp(begin) + pd.Timedelta(seconds=105)
    assert table["duration"].tolist() == [60.0]
    assert any("UnixStartTime" in note for note in table.attrs["notes"]) == (start is None)
    # What is asked for goes before what the header says.
    table = read_swf(log(tmp_path, HEADER + line(1, 100, user=1)), start=start or 0)
    assert table["started_at"].item() == pd.Timestamp(begin) + pd.Timedelta(seconds=105)


def test_a_start_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"start: expected a time .*'soon'"):
        read_swf(log(tmp_path, line(1, user=1)), start="soon")


def test_numbers_that_two_jobs_have_and_lines_that_stand_twice(tmp_path):
    lines = [line(1, user=1), line(1, 86400, 90, user=1), line(1, 86400, 90, user=1)]
    table = read_swf(log(tmp_path, "; UnixStartTime: 0\n" + "".join(lines)))
    assert table["duration"].tolist() == [60.0, 90.0]
    assert table["run"].tolist() == ["1", "1@1970-01-02T00:00:05Z"]
    assert table.attrs["dropped"] == {"row that stands twice": 1}


def test_counts_of_the_header_that_fit_are_not_mentioned(tmp_path):
    parts = line(2, user=1, status=2) + line(2, user=1, status=3)
    for claims in ("; MaxJobs: 2\n; MaxRecords: 4\n", "; MaxJobs: 4\n"):
        text = claims + HEADER + line(1, user=1) + line(2, user=1) + parts
        assert len(read_swf(log(tmp_path, text), by=["user"]).attrs["notes"]) == 0
    text = "; MaxJobs: 3\n" + HEADER + line(1, user=1)
    notes = read_swf(log(tmp_path, text), by=["user"]).attrs["notes"]
    assert notes == ["the header says MaxJobs 3, 1 were read."]


def test_a_log_without_statuses_says_so(tmp_path):
    table = read_swf(log(tmp_path, HEADER + line(1, user=1, executable=1, status=-1)))
    assert table["status"].tolist() == ["success"]
    assert table.attrs["notes"] == ["the log records no status: every job counts as a success."]
