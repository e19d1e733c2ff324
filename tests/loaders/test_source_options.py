"""Options of a source: zones, delimiters, own states, jobs that stand twice, and who uses what."""

import json

import pandas as pd
import pytest

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_source


def written(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


HEADER = "run,task,start,end,state\n"


def test_local_times_of_a_log_are_those_of_their_zone(tmp_path):
    path = written(
        tmp_path,
        HEADER + "1,load,2026-01-05T04:00:00,2026-01-05T05:30:00,success\n"
        "2,load,2026-07-05T04:00:00,2026-07-05T05:30:00,success\n",
    )
    read = read_source(path, timezone="Europe/Berlin")
    assert read["started_at"].dt.strftime("%d %H:%M").tolist() == ["05 03:00", "05 02:00"]
    assert read["load"].tolist() == [5400.0, 5400.0]
    assert any("were read as Europe/Berlin" in note for note in read.attrs["notes"])
    assert any("--input-timezone" in note for note in read_source(path).attrs["notes"])


def test_the_hour_that_comes_twice_keeps_a_run_in_order(tmp_path):
    row = "1,load,2026-10-25T02:50:00,2026-10-25T02:10:00,success\n"
    read = read_source(written(tmp_path, HEADER + row), timezone="Europe/Berlin")
    assert read["load"].tolist() == [1200.0]  # 00:50 to 01:10 UTC


def test_times_with_a_zone_keep_it(tmp_path):
    row = "1,load,2026-01-05T04:00:00Z,2026-01-05T05:00:00Z,success\n"
    read = read_source(written(tmp_path, HEADER + row), timezone="Europe/Berlin")
    assert read["started_at"].dt.hour.tolist() == [4]


def test_local_times_of_a_run_table(tmp_path):
    text = "run,started_at,build,build__status\n1,2026-01-05T04:00:00,5.5,success\n"
    read = read_source(written(tmp_path, text), timezone="America/New_York")
    assert read["started_at"].dt.hour.tolist() == [9]
    with pytest.raises(ValueError, match="Europe/Nowhere"):
        read_source(written(tmp_path, text), timezone="Europe/Nowhere")


def test_local_times_of_a_database(tmp_path):
    sa = pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    url = f"sqlite:///{tmp_path}/runs.db"
    rows = pd.DataFrame(
        {"run": [1], "task": ["a"], "start": ["2026-01-05T20:00:00"], "took": [60.0]}
    )
    with sa.create_engine(url).begin() as connection:
        rows.to_sql("log", connection, index=False)
    read = read_source(f"{url}#log", timezone="America/New_York", since="2026-01-06")
    assert read["started_at"].dt.strftime("%d %H").tolist() == ["06 01"]


def test_own_states_and_delimiters(tmp_path):
    path = written(
        tmp_path,
        (HEADER + "1,a,2026-01-05T04:00Z,2026-01-05T05:00Z,parked\n").replace(",", "~"),
    )
    read = read_source(path, delimiter="~", states={"parked": "skipped"})
    assert read["a__status"].tolist() == ["skipped"]


PARTS = (
    "r1,load,2026-03-01T04:00:00Z,2026-03-01T04:01:00Z,success\n"
    "r1,load,2026-03-01T04:00:30Z,2026-03-01T04:02:00Z,failed\n"
    "r2,load,2026-03-02T04:00:00Z,2026-03-02T04:01:00Z,success\n"
    "r2,load,2026-03-02T04:01:00Z,2026-03-02T04:02:10Z,success\n"
)
TRIES = (
    "r1,load,2026-03-01T04:00:00Z,2026-03-01T04:01:00Z,failed\n"
    "r1,load,2026-03-01T04:05:00Z,2026-03-01T04:07:00Z,success\n"
)


def test_parts_of_a_job_are_joined_and_of_tries_the_last_counts(tmp_path):
    read = read_source(written(tmp_path, HEADER + PARTS))
    assert read["load"].tolist() == [120.0, 130.0]
    assert read["load__status"].tolist() == ["failed", "success"]
    assert any("joined" in note for note in read.attrs["notes"])
    read = read_source(written(tmp_path, HEADER + TRIES))
    assert read["load"].tolist() == [120.0]
    assert read["load__status"].tolist() == ["success"]
    assert read["started_at"].dt.minute.tolist() == [5]
    assert any("the last try counts" in note for note in read.attrs["notes"])
    joined = read_source(written(tmp_path, HEADER + TRIES), on_duplicate="join")
    assert joined["load"].tolist() == [420.0]
    last = read_source(written(tmp_path, HEADER + PARTS), on_duplicate="last")
    assert last["load"].tolist() == [90.0, 70.0]
    with pytest.raises(RunTableError, match="stands twice"):
        read_source(written(tmp_path, HEADER + TRIES), on_duplicate="error")


def test_a_part_that_still_runs_holds_its_job_open(tmp_path):
    rows = (
        "r1,load,2026-03-01T04:00:00Z,2026-03-01T04:01:00Z,success\n"
        "r1,load,2026-03-01T04:00:30Z,,running\n"
    )
    read = read_source(written(tmp_path, HEADER + rows), on_duplicate="join")
    assert read["load"].isna().all()
    assert read["ended_at"].isna().all()


@pytest.mark.parametrize(
    ("source", "option", "named"),
    [
        ("slurm:x.txt", {"columns": {"run": "no"}}, r"slurm: does not use columns="),
        ("swf:x.swf", {"columns": {"series": "user"}}, r"swf: does not use columns=.*by="),
        ("github:x.json", {"timezone": "Europe/Berlin"}, "github: does not use timezone="),
        ("jenkins:x.json", {"delimiter": ";"}, "jenkins: does not use delimiter="),
        ("airflow+sqlite:///x.db", {"columns": {"run": "a"}}, "airflow.*does not use columns="),
        ("log.parquet", {"delimiter": ";"}, "does not use delimiter="),
        ("sqlite:///x.db#log", {"by": ["user"]}, "does not use by="),
    ],
)
def test_an_option_that_a_source_does_not_use_is_an_error(source, option, named):
    with pytest.raises(SourceError, match=named):
        read_source(source, **option)


SWF = "; UnixStartTime: 1772337600\n" + "".join(
    f"{k} {k * 60} 0 60 1 -1 -1 1 -1 -1 1 {k % 2} -1 -1 1 -1 -1 -1\n" for k in range(1, 5)
)
RESULTS = {
    "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v5.json"},
    "results": [],
}


@pytest.mark.parametrize(
    ("name", "text", "system"),
    [
        ("a.swf", SWF, "swf"),
        ("a.log", SWF, "swf"),
        ("a.txt", "JobID|JobName|User|Start|End|Elapsed|State\n", "slurm"),
        ("a.csv", "JobID,JobName,User,Start,End,Elapsed,State\n", "slurm"),
        ("a.json", json.dumps({"total_count": 1, "workflow_runs": []}), "github"),
        ("run_results.json", json.dumps(RESULTS), "dbt"),
        (
            "b.json",
            json.dumps({"_class": "hudson.model.FreeStyleProject", "builds": []}),
            "jenkins",
        ),
        ("trace.txt", "task_id\thash\tnative_id\tname\tstatus\texit\n", "nextflow"),
        ("20260301", "03/01/2026 04:00:00;E;12.server;user=a group=b\n", "pbs"),
        ("runs.csv", "run,started_at,build\n1,2026-03-01,5.5\n", None),
        ("log.csv", HEADER + TRIES, None),
    ],
)
def test_a_system_is_recognised_by_its_name_and_content(tmp_path, name, text, system):
    from sklearn_jobtime.loaders._recognise import recognised  # noqa: PLC0415

    found = recognised(written(tmp_path, text, name))
    assert (found and found.system) == system


def test_a_path_without_prefix_is_read_with_a_note(tmp_path):
    read = read_source(written(tmp_path, SWF, "a.swf"), by=["user"])
    assert len(read) == 4
    assert read.attrs["notes"][0].startswith("read as swf:")
    folder = tmp_path / "pages"
    folder.mkdir()
    with pytest.raises(SourceError, match="no known source"):
        read_source(str(folder))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"PK\3\4", "Excel workbook.*\n.*CSV"),
        ("a.db", b"SQLite format 3\0", "SQLite database.*\n.*sqlite:///.*a.db#TABLE"),
        ("a.html", b"<!DOCTYPE html>", "web page"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_way_out(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=said):
        read_source(str(path))


def test_own_states_reach_the_reader_of_a_system(tmp_path):
    path = written(
        tmp_path,
        "JobID|JobName|User|Submit|Start|End|Elapsed|State\n"
        "1|a|u|2026-03-01T04:00:00|2026-03-01T04:01:00|2026-03-01T04:03:00|00:02:00|VAPORISED\n",
        "sacct.txt",
    )
    with pytest.raises(RunTableError, match="VAPORISED"):
        read_source(path)
    assert read_source(path, states={"VAPORISED": "cancelled"})["job__status"].tolist() == [
        "cancelled"
    ]
    with pytest.raises(RunTableError, match="VAPORISED"):  # it is forgotten again
        read_source(path)
    with pytest.raises(ValueError, match="maps to 'gone'"):
        read_source(path, states={"VAPORISED": "gone"})
