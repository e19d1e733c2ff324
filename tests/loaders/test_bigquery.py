"""BigQuery histories, read by the official client from an emulator over HTTP.

The emulator lives in a virtual environment of its own; `bigquery-requirements.txt` beside this
file says how to make it and to run these tests in it. They are skipped where the client or the
emulator is missing; the environment variable BQEMULATOR may name its executable.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders import read_bigquery
from sklearn_jobtime.runs import WHOLE_RUN, make_targets, next_runs, pivot_runs
from sklearn_jobtime.runs._long_table import LONG_COLUMNS

bigquery = pytest.importorskip("google.cloud.bigquery", reason="the BigQuery client is missing")
client_options = pytest.importorskip("google.api_core.client_options")
credentials = pytest.importorskip("google.auth.credentials")
START = datetime(2026, 3, 1, tzinfo=UTC)
NASTY = ["jobs'); DROP TABLE ops.task_runs; --", 'a "quoted" `one`', "@since %s ?", "back\\", "Ü"]
SCHEMA = (
    "dag_id STRING, run_id STRING, task STRING, start_date TIMESTAMP, end_date TIMESTAMP, "
    "state STRING, files NUMERIC"
)


def client_of(endpoint: str) -> "bigquery.Client":
    return bigquery.Client(
        project="lab",
        credentials=credentials.AnonymousCredentials(),
        client_options=client_options.ClientOptions(api_endpoint=endpoint),
    )


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    beside = str(Path(sys.executable).parent)
    executable = os.environ.get("BQEMULATOR") or shutil.which("bqemulator", path=beside)
    if executable is None:
        pytest.skip("no BigQuery emulator here: see tests/bigquery-requirements.txt")
    home = tmp_path_factory.mktemp("home")  # where DuckDB keeps its extensions
    environment = {**os.environ, "HOME": str(home), "PYTHONWARNINGS": "ignore"}
    load = "import duckdb_extensions; duckdb_extensions.import_extension('spatial')"
    python = Path(executable).parent / "python"
    subprocess.run([python, "-c", load], env=environment, check=True)
    port = free_port()
    command = [executable, "start", "--rest-port", str(port), "--grpc-port", str(free_port())]
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(120)


def wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(1200):
        assert process.poll() is None, "the emulator ended at once"
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the emulator did not start within two minutes")


@pytest.fixture
def client(endpoint: str) -> Iterator["bigquery.Client"]:
    with client_of(endpoint) as client:
        client.create_dataset("ops")
        yield client
        client.delete_dataset("ops", delete_contents=True)


def write(client: "bigquery.Client", rows: list[tuple], table: str = "task_runs") -> None:
    client.query(f"CREATE TABLE `ops.{table}` ({SCHEMA})").result()
    names = [column.split()[0] for column in SCHEMA.split(", ")]
    insert(client, table, [dict(zip(names, row, strict=True)) for row in rows])


def insert(client: "bigquery.Client", table: str, rows: list[dict]) -> None:
    def plain(value):
        return value.isoformat() if isinstance(value, date) else value

    rows = [{name: plain(value) for name, value in row.items()} for row in rows]
    assert client.insert_rows_json(f"lab.ops.{table}", rows) == []


def history(n_runs: int = 4, jobs: list[str] | None = None) -> list[tuple]:
    """A history with every kind of end; the last run still goes on."""
    rows = []
    for k in range(n_runs):
        for j, job in enumerate(jobs or ["extract", "load"]):
            start = START + timedelta(hours=k, seconds=j)
            end = None if k == n_runs - 1 else start + timedelta(seconds=60 + k, microseconds=5)
            state = "running" if end is None else ["success", "FAILED", "skipped"][(k + j) % 3]
            rows.append(("etl", f"r{k}", job, start, end, state, str(k + 0.5)))
    return rows


def reference(rows: list[tuple]) -> list[tuple]:
    """The same rows as the long table has to hold them, by a plain loop."""
    table = []
    for dag, run, job, start, end, state, _ in rows:
        status = None if state == "running" else state.lower()
        seconds = None if end is None else (end - start) / timedelta(seconds=1)
        table.append((dag, run, job, start, end, seconds, status))
    return sorted(table, key=lambda row: (row[3], *row[:3]))


def plain(long: pd.DataFrame) -> list[tuple]:
    table = long[list(LONG_COLUMNS)].astype(object)
    rows = table.where(table.notna(), None).itertuples(index=False, name=None)
    return [tuple(v.to_pydatetime() if isinstance(v, pd.Timestamp) else v for v in r) for r in rows]


@pytest.mark.parametrize("table", ["ops.task_runs", "lab.ops.task_runs", "`lab.ops.task_runs`"])
def test_a_table_becomes_the_long_table(client, table):
    write(client, history())
    long = read_bigquery(table, client=client, columns={"n_files": "files"})
    assert plain(long) == reference(history())
    assert long["n_files"].tolist() == [k + 0.5 for k in range(4) for _ in range(2)]
    assert long.attrs["columns"]["started_at"] == "start_date"
    runs = pivot_runs(long)
    assert runs.index.tolist() == [("etl", f"r{k}") for k in range(4)]
    assert runs["load"].tolist()[:3] == pytest.approx([60.000005, 61.000005, 62.000005])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM ops.task_runs;",
        "  -- the log\n select * from `lab.ops.task_runs` -- all of it",
        "WITH log AS (SELECT * FROM ops.task_runs) SELECT * FROM log",
    ],
)
def test_a_query_is_filtered_around(client, query):
    write(client, history())
    since = START + timedelta(hours=1)
    kept = [row for row in reference(history()) if row[2] == "load" and row[3] >= since]
    assert plain(read_bigquery(query, client=client, jobs=["load"], since=since)) == kept


def test_since_takes_its_own_moment_and_nothing_earlier(client):
    write(client, history())
    for moment in (START + timedelta(hours=1), START + timedelta(hours=2, seconds=1)):
        for since in (moment, moment + timedelta(microseconds=1)):
            kept = [row for row in reference(history()) if row[3] >= since]
            assert plain(read_bigquery("ops.task_runs", client=client, since=since)) == kept


def test_filters_reach_the_server_as_bound_parameters(client, monkeypatch):
    write(client, history(3, NASTY))
    sent = []
    send = client.query
    monkeypatch.setattr(
        client,
        "query",
        lambda sql, **how: (sent.append((sql, how["job_config"])), send(sql, **how))[1],
    )
    for job in NASTY:
        found = read_bigquery("ops.task_runs", client=client, jobs=[job], since=START)
        assert plain(found) == [row for row in reference(history(3, NASTY)) if row[2] == job]
        sql, config = sent[-1]
        assert job not in sql
        assert "2026" not in sql
        jobs, since = [p.to_api_repr()["parameterValue"] for p in config.query_parameters]
        assert jobs == {"arrayValues": [{"value": job}]}
        assert pd.Timestamp(since["value"]) == START
        assert sent[-2][1].dry_run
    assert len(read_bigquery("ops.task_runs", client=client)) == 3 * len(NASTY)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("DATETIME", datetime(2026, 3, 1)),
        ("DATE", date(2026, 3, 1)),
        ("STRING", "2026-03-01T02:00:00+02:00"),
        ("INT64", 1_772_323_200_000),
        ("FLOAT64", 1_772_323_200_000.0),
        ("NUMERIC", "1772323200000"),
    ],
)
def test_starts_of_any_type_are_read_and_filtered(client, type_, value):
    name = "start_ms" if "1772" in str(value) else "start_time"
    client.query(
        f"CREATE TABLE ops.log (task_id INT64, {name} {type_}, duration_min INT64)"
    ).result()
    insert(client, "log", [{"task_id": k, name: value, "duration_min": 2} for k in (7, 8)])
    for since, n in [(START, 2), (START + timedelta(seconds=1), 0), ("2026-02-28T23:59:59", 2)]:
        assert len(read_bigquery("ops.log", client=client, since=since)) == n
    long = read_bigquery("ops.log", client=client, jobs=["7"], since=START)
    assert plain(long) == [
        ("7", "2026-03-01T00:00:00Z", "7", START, START + timedelta(minutes=2), 120.0, "success")
    ]


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_pages_join_to_the_same_table(client, size):
    write(client, history())
    whole = read_bigquery("ops.task_runs", client=client, columns={"n": "files"})
    paged = read_bigquery("ops.task_runs", client=client, columns={"n": "files"}, chunk_rows=size)
    pd.testing.assert_frame_equal(paged, whole)


def test_a_filter_that_nothing_meets_gives_an_empty_long_table(client):
    write(client, history())
    for filters in ({"since": "2030-01-01"}, {"jobs": ["none"]}, {"jobs": []}):
        long = read_bigquery("ops.task_runs", client=client, **filters)
        assert long.empty
        assert tuple(long.columns) == LONG_COLUMNS


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ops.no_such_table", "(?s)table ops.no_such_table: .*To do: check the project"),
        ("SELECT * FROM no_such_dataset.x", "(?s)BigQuery: .*To do: check the project"),
        ("SELECT FROM WHERE", "(?s)BigQuery: .*To do: check"),
        ("SELECT run_id, task FROM ops.task_runs", "no column for the start of a job among"),
        ("SELECT * EXCEPT (task) FROM ops.task_runs", "no column of jobs to filter"),
        ("task_runs", "is neither a table such as dataset.table nor a query"),
        ("DROP TABLE ops.task_runs", "(?s)To do: check the project"),
        ("ops.task_runs; DROP TABLE ops.task_runs", "(?s)To do: check the project"),
        ("ops.x\\", "is no name"),
        ("", "is neither a table"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_lost(client, source, message):
    write(client, history())
    with pytest.raises(SourceError, match=message):
        read_bigquery(source, client=client, jobs=["load"])
    assert len(read_bigquery("ops.task_runs", client=client)) == len(history())


def test_a_server_that_does_not_answer_is_given_up(endpoint):
    with (
        client_of(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(SourceError, match="and the network"),
    ):
        read_bigquery("ops.task_runs", client=client, timeout=0.5)


def test_without_credentials_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(SourceError, match="gcloud auth application-default login"):
        read_bigquery("ops.task_runs")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(SourceError, match=r"none\.json.*gcloud auth"):
        read_bigquery("ops.task_runs", project="lab")


def test_wrong_arguments_are_told():
    with pytest.raises(ValueError, match="expected a list of jobs"):
        read_bigquery("ops.task_runs", jobs="load")
    with pytest.raises(ValueError, match="since='soon' is not a time"):
        read_bigquery("ops.task_runs", since="soon")


def test_from_bigquery_to_a_forecast(client):
    write(client, history(40))
    runs = pivot_runs(read_bigquery("ops.task_runs", client=client)).droplevel(0)
    rule = RollingRule("median", n_runs=5).fit(runs, make_targets(runs, horizon=2))
    both = pd.concat([runs, next_runs(runs, "2026-04-01T02:00Z")])
    table = pd.DataFrame(rule.predict(both)[-1:], columns=rule.target_names_)
    assert table.columns.get_level_values("job").unique().tolist() == ["extract", "load", WHOLE_RUN]
    assert table.to_numpy().min() > 59
