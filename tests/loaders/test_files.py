"""Run tables from files: the same runs there and back, and every damage named with its place."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.datasets import load_github_runs, make_job_runs
from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_log, read_runs, to_status, write_table
from sklearn_jobtime.runs import job_columns, pivot_runs, validate_runs

SHARED = Path(__file__).parents[3] / "shared" / "data"
ENDINGS = [".csv", ".csv.gz", ".parquet"]


def assert_same_runs(read, runs):
    pd.testing.assert_frame_equal(read, validate_runs(runs), check_dtype=False)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("series", ["bmad", None], ids=["one series", "three series"])
def test_the_shipped_runs_come_back(tmp_path, ending, series):
    runs = load_github_runs(series).runs
    write_table(runs, tmp_path / f"runs{ending}")
    read = read_runs(tmp_path / f"runs{ending}", jobs=job_columns(runs))
    assert_same_runs(read, runs)
    assert read.index.names == runs.index.names


@settings(max_examples=25, deadline=None)
@given(
    seconds=st.lists(
        st.one_of(st.floats(0, 1e6), st.just(np.nan), st.just(np.inf)), min_size=1, max_size=8
    ),
    size=st.integers(0, 2**53),
    ending=st.sampled_from(ENDINGS),
)
def test_every_duration_comes_back_bit_for_bit(tmp_path_factory, seconds, size, ending):
    starts = pd.date_range("2026-03-01", periods=len(seconds), freq="7h13min", tz="UTC", unit="us")
    runs = pd.DataFrame({"started_at": starts, "build": seconds, "size": size})
    path = tmp_path_factory.mktemp("there") / f"runs{ending}"
    write_table(runs, path)
    read = read_runs(path, jobs=["build"])
    np.testing.assert_array_equal(read["build"], runs["build"])
    assert read["started_at"].tolist() == runs["started_at"].tolist()
    assert read["size"].tolist() == runs["size"].tolist()


def test_a_long_table_is_pivoted(tmp_path):
    long = pd.DataFrame(
        {"run": [1, 1, 2], "job": ["build", "test", "build"], "duration": [40.0, 300.0, 41.0]}
    )
    write_table(long, tmp_path / "long.csv")
    pd.testing.assert_frame_equal(read_runs(tmp_path / "long.csv"), pivot_runs(long))


INDEXES = {
    "none": ("build\n1.0\n2.0\n", [0, 1]),
    "unnamed": (",build\nr1,1.0\nr2,2.0\n", ["r1", "r2"]),
    "run": ("build,run\n1.0,7\n2.0,8\n", [7, 8]),
    "series": ("series,build\na,1.0\na,2.0\n", [("a", 0), ("a", 1)]),
    "series and run": ("run,series,build\n5,a,1.0\n6,a,2.0\n", [("a", 5), ("a", 6)]),
    "row numbers beside run": (",run,build\n0,5,1.0\n1,6,2.0\n", [5, 6]),
}


@pytest.mark.parametrize(("text", "labels"), INDEXES.values(), ids=INDEXES)
def test_the_index_is_found(tmp_path, text, labels):
    path = tmp_path / "runs.csv"
    path.write_text(text)
    runs = read_runs(path)
    assert runs.index.tolist() == labels
    assert list(runs.columns) == ["build"]


def test_the_index_can_be_named(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("flow,number,build\na,1,1.0\nb,1,2.0\n")
    assert read_runs(path, index=["flow", "number"]).index.tolist() == [("a", 1), ("b", 1)]
    with pytest.raises(RunTableError, match=r"no column 'nr' for the index; the table has \["):
        read_runs(path, index=["nr"])


def test_a_byte_order_mark_and_blanks_after_commas_are_no_part_of_a_name(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes("\ufeffrun, build, build__status\n1, 1.0, success\n".encode())
    assert list(read_runs(path).columns) == ["build", "build__status"]


BAD = {
    "empty": ("runs.csv", b"", SourceError, "is empty"),
    "no rows": ("runs.csv", b"started_at,build\n", RunTableError, "0 rows"),
    "blank lines only": ("runs.csv", b"\n\n", (RunTableError, SourceError), "csv"),
    "ending": ("runs.xlsx", b"PK", SourceError, r"ends in '\.xlsx', expected \.csv"),
    "short row": (
        "runs.csv",
        b"run,build\n1,2.0\n2\n",
        SourceError,
        "line 3: 1 fields, expected 2",
    ),
    "long row": ("runs.csv", b"run,build\n1,2.0,3\n", SourceError, "line 2: 3 fields, expected 2"),
    "open quote": ("runs.csv", b'run,build\n1,"2.0\n', SourceError, "quotes"),
    "encoding": ("runs.csv", b"run,build\n1,2.0\n\xe9,3.0\n", SourceError, "line 3, byte 16"),
    "twice": ("runs.csv", b"build,build\n1.0,2.0\n", RunTableError, "'build' stands twice"),
    "text duration": (
        "runs.csv",
        b"build,build__status\n1.0,success\nfast,success\n",
        RunTableError,
        "column 'build', row 1: 'fast' is no number",
    ),
    "negative": ("runs.csv", b"build\n-1.5\n", RunTableError, "negative"),
    "unsorted": (
        "runs.csv",
        b"started_at,build\n2026-03-02,1.0\n2026-03-01,1.0\n",
        RunTableError,
        "starts before the row above",
    ),
    "no time": ("runs.csv", b"started_at,build\nsoon,1.0\n", RunTableError, "'soon' is not a time"),
    "no run": ("runs.csv", b"run,build\n,1.0\n2,1.0\n", RunTableError, "row 0: .*names no run"),
    "no job": ("runs.csv", b"run,size\n1,2\n", RunTableError, "no job found"),
    "gzip cut off": (
        "runs.csv.gz",
        gzip.compress(b"build\n" + b"1.0\n" * 999)[:-9],
        SourceError,
        "cut off",
    ),
    "no parquet": ("runs.parquet", b"run,build\n", SourceError, "no whole Parquet file"),
    "parquet of rubbish": (
        "runs.parquet",
        b"PAR1" + b"\0" * 40 + b"PAR1",
        SourceError,
        "no whole Parquet file",
    ),
}


@pytest.mark.parametrize(("name", "content", "error", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_with_its_place(tmp_path, name, content, error, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        read_runs(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, why in (("none.csv", "No such file"), ("folder.csv", "directory")):
        with pytest.raises(SourceError, match=f"{name}: cannot be opened .*{why}"):
            read_runs(tmp_path / name)
    with pytest.raises(SourceError, match=r"none.parquet: cannot be opened"):
        read_runs(tmp_path / "none.parquet")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("ending", [".csv.gz", ".parquet"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path, ending, share):
    path = tmp_path / f"runs{ending}"
    write_table(make_job_runs(n_runs=60, random_state=0), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SourceError, match=str(path)):
        read_runs(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_size_has_a_limit_that_can_be_raised(tmp_path, ending):
    runs = make_job_runs(n_runs=60, random_state=0)
    path = tmp_path / f"runs{ending}"
    write_table(runs, path)
    with pytest.raises(SourceError, match="more than max_bytes=1000"):
        read_runs(path, max_bytes=1000)
    assert len(read_runs(path, max_bytes=10**6)) == 60


def test_real_runs_of_two_workflows_are_read_from_their_csv(tmp_path):
    source = SHARED / "gha_long_runs.csv.gz"
    if not source.exists():
        pytest.skip("the shared data is not here")
    raw = pd.read_csv(source)
    table = pd.DataFrame(
        {
            "series": raw["series"],
            "run": raw["seq"],
            "started_at": raw["elapsed_s"],
            "ci": raw["duration_s"],
            "ci__status": to_status(raw["conclusion"], "github"),
        }
    )
    write_table(table, tmp_path / "runs.csv.gz")
    runs = read_runs(tmp_path / "runs.csv.gz")
    assert runs.index.nlevels == 2
    assert runs["started_at"].iloc[0] == pd.Timestamp(0, tz="UTC")
    np.testing.assert_array_equal(runs["ci"], raw["duration_s"])
    assert (runs["ci__status"] == "success").mean() > 0.5


LOG = [["task", "start", "elapsed"], ["load", "2026-03-01T04:00Z", "61.5"],
       ["fit", "2026-03-01T04:02Z", "7"]]  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.bz2", ".csv.xz", ".csv.zip"])
def test_what_separates_the_fields_is_told_from_the_first_lines(tmp_path, separator, ending):
    text = "\n".join(separator.join(row) for row in LOG) + "\n"
    if separator != ",":
        text = text.replace("61.5", "61,5")
    data = text.encode("utf-16" if ending == ".tsv" else "utf-8")
    path = tmp_path / f"log{ending}"
    pack = {".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(data))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("log.csv", data)
    long = read_log(path)
    assert dict(zip(long["job"], long["duration"], strict=True)) == {"load": 61.5, "fit": 7.0}


def test_decimal_commas_are_numbers_unless_they_may_be_thousands(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("run;build;note\n1;1.234,5;a,b\n2;61,5;c\n")
    assert read_runs(path)["build"].tolist() == [1234.5, 61.5]
    path.write_text("task;start;elapsed\nload;2026-03-01;1,234\n")
    with pytest.raises(SourceError, match="line 2, column 'elapsed': '1,234' is ambiguous"):
        read_log(path)
    path.write_text('task,start,elapsed\nload,2026-03-01,"1,234"\n')
    with pytest.raises(SourceError, match="line 2, column 'elapsed': '1,234' is ambiguous"):
        read_log(path)


def test_names_stay_as_they_are_written(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("run_id,start,elapsed\n1.10,2026-03-01,5\n1.1,2026-03-02,6\n")
    assert read_log(path)["run"].tolist() == ["1.10", "1.1"]
    path.write_text("run_id,start,elapsed\n007,2026-03-01,5\n07,2026-03-02,6\n")
    assert read_log(path)["run"].tolist() == ["007", "07"]
    path.write_text("run_id,start,elapsed\n9007199254740993,2026-03-01,5\n,2026-03-02,6\n")
    assert read_log(path)["run"].tolist() == ["9007199254740993"]
    path.write_text("run,started_at,build\n7,2026-03-01,5.5\n8,2026-03-02,6\n")
    assert read_runs(path).index.tolist() == [7, 8]


def test_a_column_of_an_unknown_type_never_stops_a_load(tmp_path):
    path = tmp_path / "log.parquet"
    start = pd.DataFrame({"start": pd.to_datetime(["2026-03-01"], utc=True), "elapsed": [5.0]})
    table = pa.Table.from_pandas(start, preserve_index=False)
    table = table.append_column("extra", pa.array([[{"a": 1}]]))
    pq.write_table(table, path)
    assert read_log(path)["duration"].tolist() == [5.0]
    path.with_suffix(".parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_log(path.with_suffix(".parquet.gz"))["duration"].tolist() == [5.0]


def test_a_column_that_nothing_needs_may_stand_twice_in_a_log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("id,id,start,elapsed\n1,2,2026-03-01,5\n")
    assert read_log(path)["duration"].tolist() == [5.0]
    path.write_text("id,start,elapsed,elapsed\n1,2026-03-01,5,6\n")
    with pytest.raises(RunTableError, match="'elapsed' stands twice"):
        read_log(path)
    path.write_text("started_at,load,load\n2026-03-01,5.5,6.5\n")
    with pytest.raises(RunTableError, match="'load' stands twice"):
        read_runs(path)
