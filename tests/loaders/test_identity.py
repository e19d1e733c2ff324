"""Names that hold the run's number, date or hash are questioned; those that recur are not."""

import pandas as pd
import pytest

from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.loaders import read_source
from sklearn_jobtime.loaders._identity import identity_notes, named_apart
from sklearn_jobtime.runs import job_columns, pivot_runs


def table(series, jobs=None, runs=None):
    n = len(series)
    names = {"series": series, "run": runs or range(n), "job": jobs or ["job"] * n}
    return pd.DataFrame({**names, "duration": 1.0})


def notes_of(long):
    runs = pivot_runs(long)
    return identity_notes(runs, job_columns(runs))


QUESTIONED = {
    "numbers": [f"etl-{i}" for i in range(5)],
    "dates": [f"backup_2026-03-0{i}" for i in range(1, 6)],
    "hashes": [f"build 9f8e7d{i}a" for i in range(3)],
    "titles": ["Fix login", "Add a page", "Remove dead code", "Typo"],
    "numbers among names that recur": ["a"] * 9 + ["b"] * 9 + ["c"] * 9 + ["d"] * 9
    + [f"run {i}" for i in range(3)],
}  # fmt: skip


@pytest.mark.parametrize("series", QUESTIONED.values(), ids=QUESTIONED)
def test_series_of_one_run_each_are_questioned(series):
    [note] = notes_of(table(series))
    once = [name for name in series if series.count(name) == 1]
    assert note.startswith(f"{len(once)} of {len(set(series))} series have one run each")
    assert "is the series column right?" in note
    assert ("seem to hold their run's" in note) == (series != QUESTIONED["titles"])


RIGHT = {
    "one": ["etl"] * 5,
    "two of one run": ["etl"] * 5 + ["new", "newer"],
    "versions that recur": ["test 3.11", "test 3.12", "test 3.13"] * 4,
    "some one-off users": ["user1/exe2"] * 9 + ["user2/exe2"] * 3 + ["user3/exe1", "user4/exe1"],
}


@pytest.mark.parametrize("series", RIGHT.values(), ids=RIGHT)
def test_series_that_recur_are_not_questioned(series):
    assert notes_of(table(series)) == []


def test_a_job_per_run_is_questioned():
    jobs = [f"load_202603{i:02}" for i in range(1, 7)] + ["extract"] * 6
    long = table(["etl"] * 12, jobs, [*range(6), *range(6)])
    [note] = notes_of(long)
    assert note.startswith("6 of 7 jobs have one run each ('load_20260301', ")
    assert "is the job column right?" in note
    # Each series of one run has its own jobs, which says nothing about them.
    assert notes_of(table(["a", "b"], ["x", "y"])) == []
    assert notes_of(long.drop(columns="series")) == [note]


def log(path, rows):
    header = "pipeline,run,job,started_at,ended_at,status"
    lines = [f"{p},{r},{j},2026-03-01T04:{n % 60:02}:00Z,2026-03-01T05:00:00Z,success"
             for n, (p, r, j) in enumerate(rows)]  # fmt: skip
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def test_every_source_is_questioned_once(tmp_path):
    read = read_source(log(tmp_path / "log.csv", [(f"etl-{n}", n, "load") for n in range(4)]))
    [note] = [note for note in read.attrs["notes"] if "have one run each" in note]
    assert note.startswith("4 of 4 series have one run each ('etl-0', 'etl-1', 'etl-2')")
    swf = "".join(
        f"{k} {k * 60} 0 60 1 -1 -1 1 -1 -1 1 {k} 1 {k} -1 -1 -1 -1\n" for k in range(1, 5)
    )
    (tmp_path / "a.swf").write_text("; UnixStartTime: 1772337600\n" + swf)
    notes = read_source(str(tmp_path / "a.swf")).attrs["notes"]
    assert any("4 of 4 series have one run each" in note for note in notes)
    read.to_csv(tmp_path / "runs.csv")
    notes = read_source(str(tmp_path / "runs.csv")).attrs["notes"]
    assert any("4 of 4 series have one run each" in note for note in notes)
    good = [("etl", n, job) for n in range(4) for job in ("load", "clean")]
    assert read_source(log(tmp_path / "good.csv", good)).attrs["notes"] == []


def test_a_job_per_run_is_questioned_where_there_are_too_many_jobs(tmp_path):
    path = log(tmp_path / "log.csv", [("etl", n, f"load_{n}") for n in range(1001)])
    with pytest.raises(RunTableError, match=r"1,001 jobs.*is the job column right\?"):
        read_source(path)


def test_runs_of_one_number_get_a_name_each():
    start = pd.to_datetime(["2026-03-02T04:00Z", "2026-03-01T04:00Z", "2026-03-02T04:00Z"])
    rows = pd.DataFrame({"series": "a", "run": "7", "job": "job", "started_at": start})
    named, notes = named_apart(rows, "job id")
    assert named["run"].tolist() == ["7", "7@2026-03-02T04:00:00Z", "7@2026-03-02T04:00:00Z#2"]
    assert notes[0].startswith("2 runs have a job id that an earlier run")
    others = rows.assign(series=["a", "b", "c"])
    assert named_apart(others, "job id")[1] == []
