"""Trace files of Nextflow: formatted or raw, retries, several tasks a process, resumed runs."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_nextflow, read_source
from sklearn_jobtime.runs import pivot_runs

# The fields that Nextflow writes when none are asked for.
HEADER = (
    "task_id\thash\tnative_id\tname\tstatus\texit\tsubmit\tduration\trealtime\t%cpu\tpeak_rss\t"
    "peak_vmem\trchar\twchar"
)
DAY = pd.Timestamp("2026-03-01T04:00:00Z")


def text_of(seconds):
    """A duration as Nextflow prints it."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:g}s"
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m")]
    parts.append((seconds % 60, "s"))
    return " ".join(f"{int(value)}{unit}" for value, unit in parts if value)


def task(number, name, submit, wait, seconds, status="COMPLETED"):
    when = (DAY + pd.Timedelta(seconds=submit)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    ends = "0" if status == "COMPLETED" else "1"
    took = [text_of(wait + seconds), text_of(seconds)]
    return "\t".join([str(number), f"ab/{number:06}", str(100 + number), name, status, ends, when,
                      *took, "98.1%", "2 MB", "-", "1 KB", "-"])  # fmt: skip


def trace(path, *tasks, header=HEADER):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *tasks]) + "\n")
    return path


def test_processes_of_each_run(tmp_path):
    for run, extra in enumerate((0, 60)):
        trace(
            tmp_path / f"trace_{run}.txt",
            task(1, "FASTQC (a)", 86400 * run, 10, 120 + extra),
            task(2, "FASTQC (b)", 86400 * run + 5, 20, 300 + extra),
            task(3, "MULTIQC", 86400 * run + 400 + extra, 2, 0.5),
        )
    long = read_nextflow(tmp_path)
    # FASTQC starts after 10 s (a) and ends at 5 + 20 + 300 s (b): 315 s, and 60 s more.
    runs = pivot_runs(long)
    assert runs.index.tolist() == [("pipeline", "trace_0"), ("pipeline", "trace_1")]
    assert runs["FASTQC"].tolist() == [315.0, 375.0]
    assert runs["MULTIQC"].tolist() == [0.5, 0.5]
    whole = (runs["ended_at"] - runs["started_at"]).dt.total_seconds()
    assert whole.tolist() == [392.5, 452.5]
    notes = " ".join(long.attrs["notes"])
    assert "2 processes had several tasks in a run" in notes
    assert "no time zone" in notes
    assert "do not name their pipeline" in notes
    assert read_source(f"nextflow:{tmp_path}")["FASTQC"].tolist() == [315.0, 375.0]
    local = read_nextflow(tmp_path, timezone="Europe/Berlin", series="rnaseq")
    assert local["started_at"].min() == DAY - pd.Timedelta(hours=1) + pd.Timedelta(seconds=10)
    assert set(local["series"]) == {"rnaseq"}


def test_raw_traces_are_in_milliseconds(tmp_path):
    start = int(DAY.timestamp() * 1000)
    header = "task_id\tprocess\ttag\tname\tstatus\tsubmit\tstart\tcomplete\tduration\trealtime"
    row = f"1\tALIGN:STAR\ts1\tALIGN:STAR (s1)\tCOMPLETED\t{start}\t{start + 5000}\t{start + 65500}"
    long = read_nextflow(trace(tmp_path / "trace.txt", f"{row}\t65500\t60500", header=header))
    row = long.iloc[0]
    assert (row["series"], row["job"]) == ("ALIGN", "ALIGN:STAR")
    assert (row["duration"], row["queued_seconds"]) == (60.5, 5.0)
    assert row["started_at"] == DAY + pd.Timedelta(seconds=5)
    assert long.attrs["notes"] == []


def test_a_task_that_was_tried_again_counts_with_its_last_try(tmp_path):
    long = read_nextflow(
        trace(
            tmp_path / "trace.txt",
            task(1, "CALL (a)", 0, 0, 30, "FAILED"),
            task(2, "CALL (a)", 100, 0, 200),
            task(3, "PLOT (a)", 400, 0, 7, "FAILED"),
        )
    ).set_index("job")
    assert long["status"].to_dict() == {"CALL": "success", "PLOT": "failed"}
    assert long["duration"].to_dict() == {"CALL": 200.0, "PLOT": 7.0}
    assert long.loc["CALL", "started_at"] == DAY
    assert long.attrs["dropped"] == {"earlier try of a task": 1}


def test_the_cache_is_no_run_time(tmp_path):
    trace(tmp_path / "trace_1.txt", task(1, "A (x)", 0, 0, 50), task(2, "A (y)", 0, 0, 60),
          task(3, "B", 60, 0, 9))  # fmt: skip
    trace(tmp_path / "trace_2.txt", task(1, "A (x)", 0, 0, 50, "CACHED"),
          task(2, "A (y)", 90_000, 0, 8), task(3, "B", 90_010, 0, 10))  # fmt: skip
    long = read_nextflow(tmp_path)
    runs = pivot_runs(long).droplevel(0)
    assert runs["A"].tolist()[0] == 60.0
    assert np.isnan(runs.loc["trace_2", "A"])
    assert runs["B"].tolist() == [9.0, 10.0]
    assert long.attrs["dropped"] == {
        "task taken from the cache": 1,
        "task of a process of which others came from the cache": 1,
    }
    assert any("1 runs were resumed" in note for note in long.attrs["notes"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h 2m 3s", 3723.0), ("2d 1h", 176400.0), ("345ms", 0.345), ("12.3s", 12.3), ("1500", 1.5)],
)
def test_durations_as_nextflow_prints_them(tmp_path, text, seconds):
    header = "name\tstatus\tcomplete\trealtime"
    path = trace(tmp_path / "t.txt", f"A\tCOMPLETED\t2026-03-05 04:00:00\t{text}", header=header)
    long = read_nextflow(path)
    assert long["duration"].tolist() == pytest.approx([seconds])


def test_files_of_one_name_are_told_by_their_folder(tmp_path):
    for name in ("a", "b"):
        trace(tmp_path / name / "trace.txt", task(1, "A", 0, 0, 5))
    long = read_nextflow(f"{tmp_path}/*/trace.txt")
    assert sorted(run.rpartition("/")[2] for run in long["run"]) == ["a", "b"]


def test_bad_traces_are_named_with_their_place(tmp_path):
    bad = task(1, "A", 0, 0, 5)
    with pytest.raises(SourceError, match=r"t\.txt, line 1: no field name, status"):
        read_nextflow(trace(tmp_path / "t.txt", bad, header="a\tb"))
    with pytest.raises(SourceError, match=r"t\.txt, line 2, realtime: 'soon' is not a duration"):
        read_nextflow(trace(tmp_path / "t.txt", bad.replace("\t5s\t98", "\tsoon\t98")))
    with pytest.raises(SourceError, match=r"line 2, submit: 'today' is no time"):
        read_nextflow(trace(tmp_path / "t.txt", bad.replace("2026-03-01 04:00:00.000", "today")))
    with pytest.raises(RunTableError, match="'MELTED'"):
        read_nextflow(trace(tmp_path / "t.txt", task(1, "A", 0, 0, 5, "MELTED")))
    with pytest.raises(ValueError, match="timezone: expected the name"):
        read_nextflow(trace(tmp_path / "t.txt", bad), timezone="Berlin/Europe")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1d 2h 3m 4s", 93784.0), ("90ms", 0.09), ("1.5s", 1.5), ("90500", 90.5), ("2h 1s", 7201.0)],
)
def test_durations_in_all_forms(tmp_path, text, seconds):
    row = f"1\tA (x)\tCOMPLETED\t2026-03-01 04:00:00.000\t{text}"
    path = trace(tmp_path / "t.txt", row, header="task_id\tname\tstatus\tstart\trealtime")
    assert read_nextflow(path)["duration"].tolist() == [seconds]


@pytest.mark.parametrize("text", ["-5s", "1,234", "1h 2h", "5 lightyears"])
def test_what_is_no_duration_is_named(tmp_path, text):
    row = f"1\tA (x)\tCOMPLETED\t2026-03-01 04:00:00.000\t{text}"
    path = trace(tmp_path / "t.txt", row, header="task_id\tname\tstatus\tstart\trealtime")
    with pytest.raises(SourceError, match=rf"t\.txt, line 2, realtime: '{text}' is "):
        read_nextflow(path)


def test_a_task_of_an_unknown_state_does_not_hold_its_process_open(tmp_path):
    tasks = [task(1, "A (x)", 0, 10, 100), task(2, "A (y)", 0, 10, 300, status="MELTED")]
    path = trace(tmp_path / "t.txt", *tasks)
    with pytest.warns(UserWarning, match="MELTED"):
        [job] = read_nextflow(path, on_unknown="warn").to_dict("records")
    assert (job["status"], job["ended_at"]) == (None, DAY + pd.Timedelta(seconds=310))
    assert np.isnan(job["duration"])
    path = trace(tmp_path / "t.txt", *tasks, task(3, "A (z)", 0, 10, 5, status="RUNNING"))
    with pytest.warns(UserWarning, match="MELTED"):
        assert read_nextflow(path, on_unknown="warn")["ended_at"].isna().all()
