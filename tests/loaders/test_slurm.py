"""What a real sacct printed, in all its formats, becomes the same long table."""

import gzip
import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_slurm
from sklearn_jobtime.loaders.slurm import elapsed_seconds
from sklearn_jobtime.runs import pivot_runs

SAMPLES = Path(__file__).parents[1] / "samples" / "slurm"
EAGLE = Path(__file__).parents[3] / "shared" / "data" / "eagle_slurm_sample.csv.gz"
HEADER = "JobID|JobName|User|Submit|Start|End|Elapsed|State"
ROW = "7|etl|alice|2026-03-01T04:00:00|2026-03-01T04:01:00|2026-03-01T04:03:00|00:02:00|COMPLETED"


def sacct(folder, *rows, header=HEADER):
    path = folder / "jobs.txt"
    path.write_text("\n".join([header, *rows, ""]))
    return path


def test_the_real_text_says_what_slurm_did():
    jobs = read_slurm(SAMPLES / "sacct.txt").set_index("run")
    lines = [line.split("|") for line in (SAMPLES / "sacct.txt").read_text().splitlines()[1:]]
    started = {line[0] for line in lines if re.match(r"\d", line[4]) and "." not in line[0]}
    assert set(jobs.index) == started
    for run, name, user, submit, start, end, _, state in lines:
        # Job 9 was requeued: both tries are there, and the second is the one that counts.
        if run not in started or state == "REQUEUED":
            continue
        job = jobs.loc[run]
        assert job["series"] == f"{user}/{name}"
        wait = datetime.fromisoformat(start) - datetime.fromisoformat(submit)
        assert job["queued_seconds"] == wait.total_seconds()
        if state == "RUNNING":
            assert job["status"] is None
            assert np.isnan(job["duration"])
            continue
        took = datetime.fromisoformat(end) - datetime.fromisoformat(start)
        assert job["duration"] == took.total_seconds()
        expected = {"COMPLETED": "success", "CANCELLED by 1001": "cancelled"}
        assert job["status"] == expected.get(state, state.lower())
    assert {"success", "failed", "timeout", "cancelled", None} == set(jobs["status"])
    steps = sum("." in line[0] for line in lines)
    waiting = sum(line[4] in ("Unknown", "None") for line in lines)
    assert jobs.attrs["dropped"] == {
        "job step": steps,
        "not started": waiting,
        "earlier try of a requeued job": 1,
    }


@pytest.mark.parametrize("steps", [False, True])
def test_all_formats_say_the_same(steps):
    text = read_slurm(SAMPLES / "sacct.txt", steps=steps)
    assert_frame_equal(read_slurm(SAMPLES / "sacct.json.gz", steps=steps), text)
    zoned = read_slurm(SAMPLES / "new_york.txt", steps=steps, timezone="America/New_York")
    assert_frame_equal(zoned, text)
    assert set(text["job"]) == ({"job", "job.batch", "job.0", "job.1"} if steps else {"job"})


def newer(value, key=None):
    """The same document as Slurm 23.11 writes it: states as lists, numbers as objects."""
    if isinstance(value, dict):
        return {name: newer(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [newer(inner, "state" if key == "steps" else None) for inner in value]
    if key in ("state", "current"):
        return [value, *(["COMPLETING"] if value == "RUNNING" else [])]
    if key in ("task_id", "job_offset", "start", "end"):
        return {"set": value is not None, "infinite": False, "number": value or 0}
    return value


@pytest.mark.parametrize("as_text", [True, False])
def test_newer_json_says_the_same(tmp_path, as_text):
    document = json.loads(gzip.decompress((SAMPLES / "sacct.json.gz").read_bytes()))
    for job in document["jobs"]:
        for step in job["steps"]:
            inner = step["step"]
            job_id, step_id = inner["job_id"], str(inner["id"])
            inner["id"] = f"{job_id}.{step_id}" if as_text else {"step_id": step_id}
    path = tmp_path / "newer.json"
    path.write_text(json.dumps(newer(document)))
    expected = read_slurm(SAMPLES / "sacct.json.gz", steps=True)
    assert_frame_equal(read_slurm(path, steps=True), expected)


def test_a_bar_in_a_name_is_named_and_another_delimiter_reads_it():
    with pytest.raises(SourceError, match=r"bar\.txt, line 6: 9 fields, the header has 8; .*--del"):
        read_slurm(SAMPLES / "bar.txt")
    jobs = read_slurm(SAMPLES / "caret.txt", delimiter="^").set_index("run")
    assert jobs.loc["12", "series"] == "alice/a|b"
    # Cancelled while it waited, a heterogeneous job has never started.
    assert not jobs.index.str.startswith("10").any()


def test_each_series_becomes_a_run_table():
    runs = pivot_runs(read_slurm(SAMPLES / "sacct.json.gz"))
    assert runs.loc["alice/etl", "job"].dropna().tolist() == [3.0, 4.0, 5.0, 6.0, 1.0]
    assert runs.loc["alice/sweep", "job__status"].tolist() == [
        "success",
        "success",
        "failed",
        "success",
    ]
    with_steps = pivot_runs(read_slurm(SAMPLES / "sacct.txt", steps=True))
    assert with_steps.loc[("alice/etl", "1"), "job.0"] == 1.0
    assert with_steps["ended_at"].equals(runs["ended_at"].reindex(with_steps.index))


elapsed_parts = st.tuples(
    st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59_999)
)


@settings(max_examples=30, deadline=None)
@given(elapsed_parts)
def test_elapsed_times_go_there_and_back(parts):
    days, hours, minutes, milliseconds = parts
    seconds = f"{milliseconds // 1000:02d}"
    if milliseconds % 1000:
        seconds += f".{milliseconds % 1000:03d}"
    text = f"{minutes:02d}:{seconds}"
    if days or hours:
        text = f"{hours:02d}:{text}"
    if days:
        text = f"{days}-{text}"
    expected = timedelta(days=days, hours=hours, minutes=minutes, milliseconds=milliseconds)
    got = elapsed_seconds(pd.Series([text]))[0]
    assert got == pytest.approx(expected.total_seconds(), abs=1e-6)


@pytest.mark.parametrize("text", ["12", "1-02", "a:b", "1:2:3:4", "-00:01", "00:01 ", "1-02-03:04"])
def test_what_is_no_elapsed_time_is_named(tmp_path, text):
    with pytest.raises(SourceError, match="is no elapsed time; expected"):
        elapsed_seconds(pd.Series([text]))
    row = ROW.replace("00:02:00", text)
    with pytest.raises(SourceError, match=r"jobs\.txt, field Elapsed, line 3: "):
        read_slurm(sacct(tmp_path, ROW, row))


@pytest.mark.parametrize("text", ["INVALID", "UNLIMITED", "Unknown", ""])
def test_an_elapsed_time_that_slurm_does_not_know_is_taken_from_the_clock(tmp_path, text):
    assert np.isnan(elapsed_seconds(pd.Series([text]))[0])
    jobs = read_slurm(sacct(tmp_path, ROW.replace("00:02:00", text)))
    assert jobs["duration"].tolist() == [120.0]


names = st.text(st.characters(codec="utf-8", exclude_characters="|\n\r"), min_size=1, max_size=8)
job_rows = st.tuples(
    names,
    names,
    st.integers(0, 10**6),
    st.integers(0, 5000),
    st.integers(0, 10**6),
    st.sampled_from(
        [
            ("COMPLETED", "success"),
            ("FAILED", "failed"),
            ("NODE_FAIL", "failed"),
            ("OUT_OF_MEMORY", "failed"),
            ("TIMEOUT", "timeout"),
            ("CANCELLED by 1000", "cancelled"),
            ("PREEMPTED", "cancelled"),
        ]
    ),
)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(job_rows, min_size=1, max_size=8), order=st.permutations(range(8)))
def test_any_history_goes_there_and_back(rows, order, tmp_path_factory):
    header = HEADER.split("|")
    lines = ["|".join(header[i] for i in order)]
    origin = datetime(2026, 1, 1)
    for number, (name, user, submit, wait, seconds, (state, _)) in enumerate(rows, start=1):
        moments = [origin + timedelta(seconds=s) for s in (submit, submit + wait)]
        moments.append(moments[1] + timedelta(seconds=seconds))
        days, rest = divmod(seconds, 86400)
        clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
        elapsed = f"{days}-{clock}" if days else clock
        values = [str(number), name, user, *(m.isoformat() for m in moments), elapsed, state]
        lines.append("|".join(values[i] for i in order))
    path = tmp_path_factory.mktemp("sacct") / "jobs.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    jobs = read_slurm(path).set_index("run")
    assert len(jobs) == len(rows)
    for number, (name, user, submit, wait, seconds, (_, status)) in enumerate(rows, start=1):
        job = jobs.loc[str(number)]
        assert (job["series"], job["status"]) == (f"{user}/{name}", status)
        assert (job["duration"], job["queued_seconds"]) == (seconds, wait)
        begin = pd.Timestamp(origin + timedelta(seconds=submit + wait), tz="UTC")
        assert job["started_at"] == begin
        assert job["ended_at"] == begin + pd.Timedelta(seconds=seconds)


def test_the_hour_that_a_clock_repeats_or_skips_fits_the_elapsed_time(tmp_path):
    # Berlin, 2025: on 26 October 03:00 was followed by 02:00, on 30 March 02:00 by 03:00.
    path = sacct(
        tmp_path,
        "1|n|u|2025-10-26T01:50:00|2025-10-26T01:50:00|2025-10-26T02:10:00|00:20:00|COMPLETED",
        "2|n|u|2025-10-26T01:50:00|2025-10-26T01:50:00|2025-10-26T02:10:00|01:20:00|COMPLETED",
        "3|n|u|2025-10-26T02:30:00|2025-10-26T02:30:00|2025-10-26T03:30:00|02:00:00|COMPLETED",
        "4|n|u|2025-03-30T01:50:00|2025-03-30T01:50:00|2025-03-30T03:10:00|00:20:00|COMPLETED",
    )
    jobs = read_slurm(path, timezone="Europe/Berlin").set_index("run").sort_index()
    took = (jobs["ended_at"] - jobs["started_at"]).dt.total_seconds()
    assert took.tolist() == jobs["duration"].tolist() == [1200.0, 4800.0, 7200.0, 1200.0]
    with pytest.raises(ValueError, match="timezone: expected the name of a time zone"):
        read_slurm(path, timezone="Berlin/Europe")


def test_components_of_a_heterogeneous_job_are_jobs_of_one_run(tmp_path):
    rows = [ROW.replace("7|etl", f"7+{i}|{name}") for i, name in enumerate(["etl", "other"])]
    jobs = read_slurm(sacct(tmp_path, *rows, ROW.replace("7|etl|alice", "7+1.0|python|")))
    assert jobs["series"].tolist() == ["alice/etl"] * 2
    assert jobs["job"].tolist() == ["job+0", "job+1"]
    assert pivot_runs(jobs).index.tolist() == [("alice/etl", "7")]


def test_a_step_without_its_job_is_left_out(tmp_path):
    path = sacct(tmp_path, ROW, ROW.replace("7|etl|alice", "8.batch|batch|"))
    jobs = read_slurm(path, steps=True)
    assert jobs["run"].tolist() == ["7"]
    assert jobs.attrs["dropped"] == {"step without its job": 1}


def test_an_unknown_state_is_named_or_left_without_a_status(tmp_path):
    path = sacct(tmp_path, ROW, ROW.replace("7|", "8|").replace("COMPLETED", "EXPLODED"))
    with pytest.raises(RunTableError, match="'EXPLODED'"):
        read_slurm(path)
    with pytest.warns(UserWarning, match="'EXPLODED'"):
        jobs = read_slurm(path, on_unknown="warn")
    assert jobs["status"].tolist() == ["success", None]


# ------------------------------------------------------------------- one id, two jobs

CLUSTERS = "JobID|JobName|User|Cluster|Submit|Start|End|State"


def on_cluster(job, name, user, cluster, day, minutes, state="COMPLETED", month=3):
    start = datetime(2026, month, day, 6)
    times = [start - timedelta(minutes=5), start, start + timedelta(minutes=minutes)]
    return "|".join([job, name, user, cluster, *(t.isoformat() for t in times), state])


def read_clusters(folder, *rows, **options):
    return read_slurm(sacct(folder, *rows, header=CLUSTERS), **options)


def durations_of(jobs):
    return {series: rows["duration"].tolist() for series, rows in jobs.groupby("series")}


def test_one_id_on_two_clusters_is_two_jobs_each_with_its_owner(tmp_path):
    jobs = read_clusters(
        tmp_path,
        on_cluster("31", "load", "ann", "east", 1, 3),
        on_cluster("32", "load", "ann", "east", 2, 4),
        on_cluster("31", "fit", "ben", "west", 3, 600),
        on_cluster("31.batch", "batch", "", "west", 3, 600),
        on_cluster("32", "fit", "ben", "west", 4, 660, "FAILED"),
    )
    assert durations_of(jobs) == {"ann/load": [180.0, 240.0], "ben/fit": [36000.0, 39600.0]}
    assert jobs.set_index("series")["status"]["ben/fit"].tolist() == ["success", "failed"]
    assert jobs.attrs["dropped"] == {"job step": 1}


def test_one_users_job_on_two_clusters_is_two_series(tmp_path):
    rows = [on_cluster("31", "fit", "ann", c, 1, m) for c, m in (("east", 3), ("west", 600))]
    jobs = read_clusters(tmp_path, *rows)
    assert durations_of(jobs) == {"ann/fit (east)": [180.0], "ann/fit (west)": [36000.0]}
    assert "several clusters" in jobs.attrs["notes"][-1]


def test_an_id_used_again_is_another_run(tmp_path):
    # After MaxJobId, or in a rebuilt database: the same user and name, months later.
    jobs = read_clusters(
        tmp_path,
        on_cluster("31", "load", "ann", "east", 1, 3),
        on_cluster("31", "load", "ann", "east", 1, 5, month=7),
        on_cluster("31", "other", "ann", "east", 2, 7, month=7),
    )
    assert durations_of(jobs) == {"ann/load": [180.0, 300.0], "ann/other": [420.0]}
    assert jobs["run"].tolist() == ["31", "31@2026-07-01T06:00:00Z", "31"]
    assert jobs.attrs["dropped"] == {}
    assert any("1 runs have a job id that an earlier run" in note for note in jobs.attrs["notes"])
    assert len(pivot_runs(jobs)) == 3


def test_an_array_index_used_again_is_another_run(tmp_path):
    rows = [on_cluster(f"9_{i}", "sweep", "ann", "east", 1 + i, 3, month=m) for i in (0, 1)
            for m in (3, 7)]  # fmt: skip
    assert read_clusters(tmp_path, *rows)["duration"].tolist() == [180.0] * 4


@pytest.mark.parametrize("state", ["REQUEUED", "NODE_FAIL", "PREEMPTED", "FAILED"])
@pytest.mark.parametrize("submit", ["kept", "moved", "absent"])
def test_a_requeued_job_is_one_run_from_the_start_of_its_last_try(tmp_path, state, submit):
    # Documented: a requeued job keeps its Submit; Slurm 22.05 writes the end of the last try.
    second = {"kept": "04:00:00", "moved": "04:31:00", "absent": "04:00:00"}[submit]
    header, rows = HEADER, [
        f"7|etl|ann|2026-03-01T04:00:00|2026-03-01T04:01:00|2026-03-01T04:31:00|00:30:00|{state}",
        f"7|etl|ann|2026-03-01T{second}|2026-03-01T04:35:00|2026-03-01T04:38:00|00:03:00|COMPLETED",
    ]  # fmt: skip
    if submit == "absent":
        header, rows = (
            (
                "|".join(v for i, v in enumerate(row.split("|")) if i != 3)
                for row in (header, *rows)
            ),
            None,
        )
        header, *rows = header
    jobs = read_slurm(sacct(tmp_path, *rows, header=header))
    if submit == "absent" and state == "FAILED":  # nothing says that the second is a try
        assert jobs["duration"].tolist() == [1800.0, 180.0]
        return
    assert jobs[["run", "duration", "status"]].to_numpy().tolist() == [["7", 180.0, "success"]]
    assert jobs["started_at"].item() == pd.Timestamp("2026-03-01T04:35:00Z")
    assert jobs.attrs["dropped"] == {"earlier try of a requeued job": 1}


def test_a_requeued_job_that_waits_has_not_ended(tmp_path):
    first = ROW.replace("COMPLETED", "REQUEUED")
    waits = "7|etl|alice|2026-03-01T04:03:00|Unknown|Unknown|00:00:00|PENDING"
    jobs = read_slurm(sacct(tmp_path, first, waits, ROW.replace("7|", "8|")))
    assert jobs["run"].tolist() == ["8"]
    assert jobs.attrs["dropped"] == {"earlier try of a requeued job": 1, "not started": 1}


def test_exports_that_overlap_count_a_job_once(tmp_path):
    waits = ROW.replace("2026-03-01T04:01:00|2026-03-01T04:03:00|00:02:00|COMPLETED",
                        "Unknown|Unknown|00:00:00|PENDING")  # fmt: skip
    runs = ROW.replace("2026-03-01T04:03:00|00:02:00|COMPLETED", "Unknown|00:00:30|RUNNING")
    jobs = read_slurm(sacct(tmp_path, ROW, waits, runs, ROW))
    assert jobs["duration"].tolist() == [120.0]
    assert jobs.attrs["dropped"] == {"row that stands twice": 3}


def test_steps_go_with_the_job_behind_which_they_stand(tmp_path):
    rows = [
        ROW,
        ROW.replace("7|etl|alice|", "7.batch|batch||"),
        ROW.replace("7|etl|alice|", "7|fit|bob|").replace("04:03:00|00:02", "04:11:00|00:10"),
        ROW.replace("7|etl|alice|", "7.0|run||"),
    ]
    jobs = read_slurm(sacct(tmp_path, *rows), steps=True)
    assert set(zip(jobs["series"], jobs["job"], strict=True)) == {
        ("alice/etl", "job"), ("alice/etl", "job.batch"), ("bob/fit", "job"), ("bob/fit", "job.0")
    }  # fmt: skip


def test_json_tells_clusters_apart(tmp_path):
    document = json.loads(gzip.decompress((SAMPLES / "sacct.json.gz").read_bytes()))
    jobs = [job for job in document["jobs"] if job["job_id"] == 1]
    other = {**jobs[0], "cluster": "second", "user": "carol"}
    other["time"] = {**jobs[0]["time"], "end": jobs[0]["time"]["end"] + 60, "elapsed": 63}
    path = tmp_path / "two.json"
    path.write_text(json.dumps({"jobs": [jobs[0], other]}))
    assert durations_of(read_slurm(path)) == {"alice/etl": [3.0], "carol/etl": [63.0]}


# ------------------------------------------------------------------------------- forms of the text


def padded(header, *rows):
    """The text of sacct without --parsable2; %20 for all columns."""
    table = [row.split("|") for row in (header, *rows)]
    lines = [" ".join(value[:20].rjust(20) for value in row) for row in table]
    return "\n".join([lines[0], " ".join(["-" * 20] * len(table[0])), *lines[1:], ""])


def test_all_forms_of_the_text_say_the_same(tmp_path):
    rows = [ROW, ROW.replace("7|", "8|").replace("COMPLETED", "CANCELLED by 1000")]
    expected = read_slurm(sacct(tmp_path, *rows))
    assert expected["status"].tolist() == ["success", "cancelled"]
    text = "\n".join(rows)
    forms = {
        "comma": (HEADER.replace("|", ",") + "\n" + text.replace("|", ","), {}),
        "quoted": ("\n".join(
            ",".join(f'"{v}"' for v in line.split("|")) for line in (HEADER, *rows)), {}),
        "tab": (HEADER.replace("|", "\t") + "\n" + text.replace("|", "\t"), {}),
        "lower case": (HEADER.lower() + "\n" + text, {}),
        "fixed": (padded(HEADER, *rows), {}),
        "no header": (text, {"columns": HEADER.split("|")}),
        "no header, a trailing bar": (
            text.replace("\n", "|\n") + "|", {"columns": HEADER.lower()[:].replace("|", ",")}),
        "no header, blanks": (text.replace("|", "  "), {"columns": HEADER.split("|")}),
        "a header all the same": (HEADER + "\n" + text, {"columns": HEADER.split("|")}),
        "raw ids": ((HEADER + "\n" + text).replace("JobID", "JobIDRaw"), {}),
        "a blank in the times": (HEADER + "\n" + text.replace("01T04", "01 04"), {}),
        "offsets": (HEADER + "\n" + re.sub(r"T04(:\d\d:\d\d)", r"T05\1+0100", text), {}),
    }  # fmt: skip
    for name, (content, options) in forms.items():
        (tmp_path / "form.txt").write_text(content)
        assert_frame_equal(read_slurm(tmp_path / "form.txt", **options), expected, obj=name)


def test_epochs_are_no_local_times(tmp_path):
    row = "7|etl|alice|1772337600|1772337660|1772337780|00:02:00|COMPLETED"
    jobs = read_slurm(sacct(tmp_path, row), timezone="Europe/Berlin")
    assert jobs["started_at"].item() == pd.Timestamp("2026-03-01T04:01:00Z")


def test_fixed_columns_that_cut_values_off(tmp_path):
    path = tmp_path / "fixed.txt"
    header = "JobID|JobName|User|Start|End|State"
    times = "2026-03-01T04:01:00|2026-03-01T04:03:00"
    rows = [f"{i}|nightly-load-of-the+|alice|{times}|{s}" for i, s in
            enumerate(("OUT_OF_ME+", "CANCELLED+"))]  # fmt: skip
    path.write_text(padded(header, *rows))
    jobs = read_slurm(path)
    assert jobs["status"].tolist() == ["failed", "cancelled"]
    assert any("in 2 rows JobName is cut off" in note for note in jobs.attrs["notes"])
    path.write_text(padded(header, rows[0].replace("0|", "123456789_+|", 1)))
    with pytest.raises(SourceError, match=r"line 3, field JobID: '123456789_\+' is cut off"):
        read_slurm(path)


def test_local_times_are_read_in_the_zone_or_said_to_be_utc(tmp_path):
    path = sacct(tmp_path, ROW)
    assert "no time zone" in read_slurm(path).attrs["notes"][0]
    jobs = read_slurm(path, timezone="Europe/Berlin")
    assert jobs["started_at"].item() == pd.Timestamp("2026-03-01T03:01:00Z")
    assert jobs.attrs["notes"] == []


def test_an_elapsed_time_that_is_not_end_minus_start_is_said(tmp_path):
    jobs = read_slurm(sacct(tmp_path, ROW.replace("00:02:00", "00:00:30")), timezone="UTC")
    assert jobs["duration"].tolist() == [30.0]
    assert "in 1 rows Elapsed is not End minus Start, by up to 90 s" in jobs.attrs["notes"][0]


def test_a_text_without_a_header_names_the_remedy(tmp_path):
    with pytest.raises(SourceError, match="no header, name its fields with the option columns"):
        read_slurm(sacct(tmp_path, ROW, header=ROW))
    with pytest.raises(SourceError, match="no field State"):
        read_slurm(sacct(tmp_path, ROW, header=ROW), columns=["JobID", "JobName", "Start", "End"])
    with pytest.raises(ValueError, match="columns names the fields of a text"):
        read_slurm(SAMPLES / "sacct.json.gz", columns=HEADER.split("|"))


BAD_FILES = {
    "no header": (ROW, r"line 1: no field JobID, .* ask for them with: sacct --parsable2"),
    "default fields": ("JobID|JobName|State\n7|a|COMPLETED", r"no field Start, End"),
    "wrong delimiter": (HEADER.replace("|", " "), r"line 1: no field .*separated by '\|'"),
    "cut off": (f"{HEADER}\n{ROW}\n{ROW[:40]}", r"line 3: 5 fields, the header has 8"),
    "no time": (
        f"{HEADER}\n{ROW.replace('T04:01:00', ' 4h')}",
        r"field Start, line 2: '2026-03-01",
    ),
    "no id": (f"{HEADER}\n{ROW}\n{ROW.replace('7|', 'x7|')}", r"line 3: 'x7' is no Slurm job id"),
    "no job": (HEADER + "\n", "holds no job"),
    "half a page": ('{"jobs": [{"job_id": 7, ', r"line 1, column 25: is no JSON"),
    "no jobs": ('{"jobs": []}', "holds no job"),
    "no list of jobs": ('{"errors": []}', r"line 1: expected a field 'jobs'"),
    "no name": ('{"jobs": [{"job_id": 7}]}', r"jobs\[0\]: expected a field 'name', .*only job_id"),
    "no object": ('{"jobs": [7]}', r"jobs\[0\]: expected an object with a field 'name', got '7'"),
    "bad state": (
        '{"jobs": [{"job_id": 7, "name": "a", "user": "b", "time": {}, "state": {"current": []}}]}',
        r"jobs\[0\]\.state: expected a state such as 'COMPLETED', got \[\]",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_malformed_input_is_named_with_its_place(tmp_path, text, message):
    path = tmp_path / "jobs.txt"
    path.write_text(text)
    with pytest.raises(SourceError, match=rf"jobs\.txt.*{message}"):
        read_slurm(path)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be opened"):
        read_slurm(tmp_path / "none.txt")
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes((SAMPLES / "sacct.json.gz").read_bytes()[:1500])
    with pytest.raises(SourceError, match=r"cut\.json\.gz: the gzip data is cut off"):
        read_slurm(cut)
    with pytest.raises(SourceError, match="max_bytes=1000"):
        read_slurm(SAMPLES / "sacct.json.gz", max_bytes=1000)
    latin = tmp_path / "latin.txt"
    latin.write_bytes(f"{HEADER}\n{ROW}\n{ROW.replace('etl', 'été')}".encode("latin-1"))
    with pytest.raises(SourceError, match=r"line 3, byte .* is not UTF-8"):
        read_slurm(latin)


@pytest.mark.skipif(not EAGLE.exists(), reason="the shared data is not beside this checkout")
def test_a_thousand_jobs_of_a_real_cluster(tmp_path):
    eagle = pd.read_csv(EAGLE)
    seconds = eagle["run_time"].astype(int)
    # The tasks of an array share one id there.
    task = eagle.groupby("job_id").cumcount().astype(str)
    fields = {
        "JobID": eagle["job_id"].astype(str) + "_" + task,
        "JobName": eagle["name"],
        "User": eagle["user"],
        "Submit": eagle["submit_time"].str.replace(" ", "T"),
        "Start": eagle["start_time"].str.replace(" ", "T"),
        "End": eagle["end_time"].str.replace(" ", "T"),
        "Elapsed": [
            f"{s // 86400}-{s // 3600 % 24:02}:{s // 60 % 60:02}:{s % 60:02}" for s in seconds
        ],
        "State": eagle["state"],
    }
    lines = pd.DataFrame(fields).agg("|".join, axis=1)
    jobs = read_slurm(sacct(tmp_path, *lines))
    assert len(jobs) == len(eagle) == 1000
    assert jobs["status"].value_counts().to_dict() == {"success": 985, "timeout": 15}
    took = jobs.set_index("run")["duration"].loc[fields["JobID"]]
    np.testing.assert_array_equal(took, eagle["run_time"])
    runs = pivot_runs(jobs)
    assert runs.index.get_level_values(0).nunique() == eagle.groupby(["user", "name"]).ngroups


WITHOUT_SUBMIT = "JobID|JobName|User|Start|End|State"


@pytest.mark.parametrize(
    ("rows", "seconds", "dropped"),
    [
        (["7|etl|al|2026-03-01T04:01:00|2026-03-01T04:03:00|COMPLETED"], [120.0], {}),
        (
            [
                "7|etl|al|2026-03-01T04:01:00|2026-03-01T04:03:00|REQUEUED",
                "7|etl|al|2026-03-01T05:01:00|2026-03-01T05:02:00|COMPLETED",
                "8|etl|al|Unknown|Unknown|PENDING",
            ],
            [60.0],
            {"earlier try of a requeued job": 1, "not started": 1},
        ),
        (
            ["7.batch|batch||2026-03-01T04:01:00|2026-03-01T04:03:00|COMPLETED"],
            [],
            {"step without its job": 1},
        ),
        (["7|etl|al|1772337660|2026-03-01T04:03:00+0000|COMPLETED"], [120.0], {}),
    ],
)
@pytest.mark.parametrize("timezone", [None, "UTC"])
def test_a_text_without_submissions(tmp_path, rows, seconds, dropped, timezone):
    jobs = read_slurm(sacct(tmp_path, *rows, header=WITHOUT_SUBMIT), steps=True, timezone=timezone)
    assert jobs["duration"].tolist() == seconds
    assert jobs.attrs["dropped"] == dropped
    assert jobs["queued_seconds"].isna().all()


BEGIN = 1_772_337_600


def json_job(folder, **time):
    times = {"submission": BEGIN, "start": BEGIN + 60, "end": BEGIN + 180, "elapsed": 120, **time}
    job = {"job_id": 7, "name": "etl", "user": "al", "state": {"current": ["COMPLETED"]}}
    path = folder / "jobs.json"
    path.write_text(json.dumps({"jobs": [{**job, "time": times}]}))
    return path


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ({"start": 1_772_337_660_000}, r"jobs\[0\], time\.start: .* is no moment in seconds"),
        ({"end": 2**63 - 1}, r"jobs\[0\], time\.end: .* is no moment in seconds"),
        ({"submission": 1e300}, r"jobs\[0\], time\.submission: 1e\+300 is no moment"),
        ({"elapsed": -3}, r"jobs\[0\], time\.elapsed: -3.* is negative"),
        ({"start": "soon"}, r"jobs\[0\]\.time\.start: expected a number of seconds, got 'soon'"),
    ],
)
def test_json_moments_beyond_the_range_are_named(tmp_path, time, said):
    with pytest.raises(SourceError, match=rf"jobs\.json, line 1, {said}"):
        read_slurm(json_job(tmp_path, **time))


@pytest.mark.parametrize(
    "end", [2**32 - 1, 2**64 - 2, {"set": False, "number": 0}, 253_000_000_000]
)
def test_ends_that_stand_for_no_value_are_not_known(tmp_path, end):
    jobs = read_slurm(json_job(tmp_path, end=end))
    assert jobs["ended_at"].isna().all()
    assert jobs["duration"].tolist() == [120.0]
    assert len(jobs.attrs["notes"]) == (end == 253_000_000_000)  # the year 9987 is noted
