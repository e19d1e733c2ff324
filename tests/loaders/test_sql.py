"""SQL histories, read from a live SQLite file, DuckDB file and PostgreSQL server."""

import contextlib
import socket
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders import read_sql
from sklearn_jobtime.loaders.sql import is_query, read_only_connection
from sklearn_jobtime.runs import pivot_runs
from sklearn_jobtime.runs._long_table import LONG_COLUMNS

PASSWORD = "s3cr/t p@ss%word"  # as of conftest.py
START = datetime(2026, 3, 1, tzinfo=UTC)
NASTY = ["jobs'; DROP TABLE task_runs; --", 'a "quoted" one', "100 %s of :name", "back\\slash", "Ü"]


@dataclass
class Database:
    """A live database, written through its own driver: SQLAlchemy is only read with."""

    kind: str
    url: str
    time: str = "TIMESTAMP WITH TIME ZONE"

    def run(self, statement: str, rows: list[tuple] | None = None) -> list[tuple]:
        mark = "?"
        if self.kind == "postgresql":
            mark, statement = "%s", statement.replace("%", "%%") if rows else statement
        with self._connect() as connection:
            cursor = connection.cursor()
            if rows is None:
                cursor.execute(statement)
            for row in rows or []:
                cursor.execute(f"{statement} VALUES ({', '.join([mark] * len(row))})", row)
            found = cursor.fetchall() if statement.startswith("SELECT") else []
            connection.commit()
        return found

    def _connect(self) -> contextlib.AbstractContextManager:
        if self.kind == "sqlite":
            return contextlib.closing(sqlite3.connect(sa.make_url(self.url).database))
        if self.kind == "duckdb":
            return contextlib.closing(duckdb.connect(sa.make_url(self.url).database))
        return connect(self.url)

    def write(self, rows: list[tuple], table: str = "task_runs") -> None:
        """Write rows of dag, run, task, start, end, state and number of files."""
        self.run(
            f"CREATE TABLE {table} (dag_id TEXT, run_id TEXT, task TEXT, start_date {self.time}, "
            f"end_date {self.time}, state TEXT, files NUMERIC(9, 1))"
        )
        if self.kind == "sqlite":
            rows = [tuple(v.isoformat() if isinstance(v, datetime) else v for v in r) for r in rows]
        self.run(f"INSERT INTO {table}", rows)


def connect(url: str) -> psycopg.Connection:
    parts = sa.make_url(url).translate_connect_args(username="user", database="dbname")
    return psycopg.connect(**parts)


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param != "postgresql":
        time_type = "TEXT" if request.param == "sqlite" else "TIMESTAMP WITH TIME ZONE"
        file = tmp_path / f"a history, 100 %.{request.param}"
        database = Database(request.param, f"{request.param}:///{file}", time_type)
        database.run("CREATE TABLE idle (x INTEGER)")
        yield database
        return
    database = Database("postgresql", request.getfixturevalue("postgresql"))
    database.run("CREATE TABLE idle (x INTEGER)")
    yield database
    database.run("DROP SCHEMA public CASCADE")
    database.run("DROP SCHEMA IF EXISTS ops CASCADE")
    database.run("CREATE SCHEMA public")


@pytest.fixture(params=["sqlite"])
def sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    database = Database("sqlite", f"sqlite:///{tmp_path / 'runs.db'}", "TEXT")
    database.run("CREATE TABLE idle (x INTEGER)")
    return database


def history(n_runs: int = 4, jobs: list[str] | None = None) -> list[tuple]:
    """A history with every kind of end; the last run still goes on."""
    rows = []
    for k in range(n_runs):
        start = START + timedelta(hours=k)
        for j, job in enumerate(jobs or ["extract", "load"]):
            end = None if k == n_runs - 1 else start + timedelta(seconds=60 + k + j, microseconds=5)
            state = "running" if end is None else ["success", "FAILED", "skipped"][(k + j) % 3]
            rows.append(("etl", f"r{k}", job, start + timedelta(seconds=j), end, state, k + 0.5))
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
    """Rows of a long table as plain Python values."""
    times = long[["started_at", "ended_at"]].astype(object)
    table = long[list(LONG_COLUMNS)].astype(object).assign(**times)
    rows = table.where(table.notna(), None).itertuples(index=False, name=None)
    return [tuple(v.to_pydatetime() if isinstance(v, pd.Timestamp) else v for v in r) for r in rows]


def statements(read) -> list[tuple[str, object, str]]:
    """What `read` sent: statement, parameters and the class of the driver's cursor."""
    sent = []

    def note(connection, cursor, statement, parameters, context, executemany):
        sent.append((statement, parameters, type(cursor).__name__))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        read()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return sent


def assert_no_secret(error: pytest.ExceptionInfo, secret: str = PASSWORD) -> None:
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value)
    for written in (secret, sa.URL.create("x", "u", secret).render_as_string(False)[6:-1]):
        assert written not in shown


def test_a_table_becomes_the_long_table(database):
    database.write(history())
    long = read_sql(database.url, "task_runs")
    assert plain(long) == reference(history())
    assert long.attrs == {
        "dropped": {},
        "columns": {
            "series": "dag_id", "run": "run_id", "job": "task", "started_at": "start_date",
            "ended_at": "end_date", "status": "state",
        },
    }  # fmt: skip
    runs = pivot_runs(long)
    assert runs.index.tolist() == [("etl", f"r{k}") for k in range(4)]
    assert runs["extract"].tolist()[:3] == pytest.approx([60.000005, 61.000005, 62.000005])
    assert runs["ended_at"].isna().tolist() == [False, False, False, True]


def test_covariates_come_with_their_own_name_and_as_numbers(database):
    database.write(history())
    long = read_sql(database.url, "task_runs", columns={"n_files": "files"})
    assert long["n_files"].tolist() == [k + 0.5 for k in range(4) for _ in range(2)]


def test_since_takes_its_own_moment_and_nothing_earlier(database):
    database.write(history())
    moments = sorted({row[3] for row in history()})
    for moment in moments:
        for since in (moment, moment + timedelta(microseconds=1)):
            long = read_sql(database.url, "task_runs", since=since)
            assert plain(long) == [row for row in reference(history()) if row[3] >= since]
    since = moments[3].astimezone().isoformat()
    assert len(read_sql(database.url, "task_runs", since=since)) == len(moments) - 3


def test_filters_reach_the_database_as_bound_parameters(database):
    database.write(history(4, [*NASTY, "load"]))
    jobs, since = [*NASTY[:2], "no such job"], "2026-03-01T01:00:00Z"
    sent = statements(lambda: read_sql(database.url, "task_runs", jobs=jobs, since=since))
    statement, parameters, cursor = sent[-1]
    assert "WHERE" in statement
    values = list(parameters.values()) if isinstance(parameters, dict) else list(parameters)
    assert set(jobs) <= set(values)
    assert len(values) == len(jobs) + 1
    for value in map(str, values):
        assert value not in statement
    if database.kind == "postgresql":
        assert cursor == "ServerCursor"


def test_nasty_names_are_only_names(database):
    rows = history(3, NASTY)
    database.write(rows)
    for job in NASTY:
        found = read_sql(database.url, "task_runs", jobs=[job])
        assert plain(found) == [row for row in reference(rows) if row[2] == job]
    assert len(read_sql(database.url, "task_runs")) == len(rows)


@pytest.mark.parametrize(
    "name", ['"runs; DROP TABLE task_runs"', '"a.b ""c"""', '"select"', '"100 %s :x"', "task_RUNS2"]
)
def test_tables_of_any_name_are_read_and_nothing_else_happens(database, name):
    quoted = name if name.startswith('"') else f'"{name}"'
    database.write(history(), quoted)
    database.write(history(2))
    assert plain(read_sql(database.url, name)) == reference(history())
    assert len(database.run("SELECT * FROM task_runs")) == 4


@pytest.mark.parametrize("name", ["task_runs; DROP TABLE task_runs", 'x" UNION SELECT 1 --', ".."])
def test_a_table_that_is_no_name_is_not_found(database, name):
    database.write(history())
    with pytest.raises(SourceError, match="check the names of the table"):
        read_sql(database.url, name)
    assert len(database.run("SELECT * FROM task_runs")) == len(history())


def test_a_table_in_a_schema(database):
    if database.kind == "sqlite":
        database.write(history())
        assert len(read_sql(database.url, "main.task_runs")) == len(history())
        return
    database.run("CREATE SCHEMA ops")
    database.write(history(), "ops.task_runs")
    assert plain(read_sql(database.url, "ops.task_runs")) == reference(history())
    with pytest.raises(SourceError, match="task_runs"):
        read_sql(database.url, "task_runs")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM task_runs",
        "  -- the log\n select * from task_runs ORDER BY run_id; ",
        "SELECT * FROM task_runs -- all of it",
        "/* all */ WITH log AS (SELECT * FROM task_runs) SELECT * FROM log",
        "SELECT dag_id, run_id, task AS job, start_date AS begin, end_date AS finish, state "
        "FROM task_runs WHERE task NOT LIKE 'x%s:none%%' AND ':a\\:b' <> '::c'",
    ],
)
def test_a_query_is_filtered_around(database, query):
    database.write(history())
    assert plain(read_sql(database.url, query)) == reference(history())
    kept = [row for row in reference(history()) if row[2] == "load" and row[1] != "r0"]
    since = START + timedelta(hours=1)
    assert plain(read_sql(database.url, query, jobs=["load"], since=since)) == kept


def test_text_of_a_query_reaches_the_database_unchanged(database):
    text = r"12:30 :x \:y ::z %s %(a)s %% \\:"
    query = f"SELECT 1 AS run, '{text}' AS job, '2026-03-01' AS start, 5 AS elapsed"
    assert read_sql(database.url, query, jobs=[text])["job"].tolist() == [text]


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_chunks_join_to_the_same_table(database, size):
    database.write(history())
    whole = read_sql(database.url, "task_runs", columns={"n_files": "files"})
    chunked = read_sql(database.url, "task_runs", columns={"n_files": "files"}, chunk_rows=size)
    pd.testing.assert_frame_equal(chunked, whole)


cells = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.one_of(st.none(), st.integers(0, 2), st.text("01x", max_size=2)),
    st.one_of(st.none(), st.sampled_from(["2026-03-01T00:00Z", "2026-03-01T02:00:00.5+01:00", ""])),
    st.one_of(st.none(), st.integers(0, 90), st.floats(0, 90), st.just("0:01:30")),
    st.sampled_from(["success", "failed", "Running", None, ""]),
    st.one_of(st.none(), st.integers(0, 9), st.floats(0, 9)),
)


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(cells, max_size=12), size=st.integers(1, 13))
def test_any_chunk_size_gives_the_same_table(sqlite, rows, size):
    sqlite.run("DROP TABLE IF EXISTS log")
    sqlite.run("CREATE TABLE log (job, run, start, elapsed, state, load)")
    sqlite.run("INSERT INTO log", rows)
    columns = {"load": "load"}
    whole = read_sql(sqlite.url, "log", columns=columns)
    pd.testing.assert_frame_equal(
        read_sql(sqlite.url, "log", columns=columns, chunk_rows=size), whole
    )
    assert len(whole) + sum(whole.attrs["dropped"].values()) == len(rows)


@pytest.mark.parametrize(
    ("kinds", "type_", "value"),
    [
        ("sqlite duckdb postgresql", "BIGINT", 1_772_323_200_000),
        ("sqlite duckdb postgresql", "DOUBLE PRECISION", 1_772_323_200_000.0),
        ("postgresql duckdb", "TIMESTAMP", datetime(2026, 3, 1)),
        ("postgresql duckdb", "DATE", date(2026, 3, 1)),
        ("postgresql duckdb", "NUMERIC(18, 3)", 1_772_323_200_000),
        ("sqlite duckdb postgresql", "VARCHAR(40)", "2026-03-01T02:00:00+02:00"),
    ],
)
def test_starts_of_any_type_are_read_and_filtered(database, kinds, type_, value):
    if database.kind not in kinds.split():
        pytest.skip(f"{database.kind} has no such type")
    name = "start_ms" if "1772" in str(value) else "start_time"
    database.run(f"CREATE TABLE log (task_id INTEGER, {name} {type_}, duration_min INTEGER)")
    database.run("INSERT INTO log", [(7, value, 2), (8, value, 3)])
    for since, n in [(START, 2), (START + timedelta(seconds=1), 0), ("2026-02-28T23:59:59", 2)]:
        assert len(read_sql(database.url, "log", since=since)) == n
    long = read_sql(database.url, "log", jobs=["7"], since=START)
    assert plain(long) == [
        ("7", "2026-03-01T00:00:00Z", "7", START, START + timedelta(minutes=2), 120.0, "success")
    ]


def test_intervals_are_durations(database):
    if database.kind == "sqlite":
        pytest.skip("SQLite has no intervals")
    query = "SELECT 1 AS run, TIMESTAMP '2026-03-01 00:00:00' AS start, INTERVAL '90 s' AS took"
    assert read_sql(database.url, query)["duration"].tolist() == [90.0]


def test_a_filter_that_nothing_meets_gives_an_empty_long_table(database):
    database.write(history())
    for filters in ({"since": "2030-01-01"}, {"jobs": ["none"]}, {"jobs": []}):
        long = read_sql(database.url, "task_runs", **filters)
        assert long.empty
        assert tuple(long.columns) == LONG_COLUMNS
    database.run("CREATE TABLE fresh (run TEXT, start TEXT, elapsed TEXT)")
    assert read_sql(database.url, "fresh", since="2030-01-01").empty


def test_nothing_can_be_written(database):
    database.write(history())
    for statement in ("DELETE FROM task_runs", "CREATE TABLE more (x INTEGER)"):
        with (
            pytest.raises(SourceError, match=r"(?i)read.?only"),
            read_only_connection(database.url) as (connection, _),
        ):
            connection.execute(sa.text(statement))
    with pytest.raises(SourceError):
        read_sql(database.url, "WITH x AS (DELETE FROM task_runs RETURNING *) SELECT * FROM x")
    assert len(database.run("SELECT * FROM task_runs")) == len(history())


def test_a_file_is_left_as_it_was_and_a_protected_one_is_read(database):
    if database.kind == "postgresql":
        pytest.skip("a server, not a file")
    database.write(history())
    file = Path(sa.make_url(database.url).database)
    file.chmod(0o444)
    before = file.read_bytes()
    assert len(read_sql(database.url, "task_runs")) == len(history())
    assert file.read_bytes() == before
    assert sorted(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_missing_file_is_named_and_not_made(kind, tmp_path):
    file = tmp_path / "none.db"
    with pytest.raises(SourceError, match=r"none\.db: there is no such file"):
        read_sql(f"{kind}:///{file}", "runs")
    assert not file.exists()
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(SourceError, match="not a"):
        read_sql(f"{kind}:///{file}", "runs")


def test_a_locked_sqlite_file_says_so(sqlite):
    with contextlib.closing(sqlite3.connect(sa.make_url(sqlite.url).database)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="locked\nTo do: another program is writing"):
            read_sql(f"{sqlite.url}?timeout=0.05", "idle")


def test_a_locked_duckdb_file_says_so(tmp_path):
    file = tmp_path / "runs.duckdb"
    hold = f"import duckdb; c = duckdb.connect({str(file)!r}); print(1, flush=True); input()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "1\n"
        with pytest.raises(SourceError, match="To do: another program is writing"):
            read_sql(f"duckdb:///{file}", "runs")
        writer.communicate("\n")


def test_a_file_given_as_sqlite_uri_and_duckdb_without_a_file(sqlite, tmp_path):
    sqlite.write(history())
    file = Path(sa.make_url(sqlite.url).database)
    assert len(read_sql(f"sqlite:///file:{file}?uri=true", "task_runs")) == len(history())
    with pytest.raises(SourceError, match="names no file"):
        read_sql("sqlite://", "task_runs")
    csv = tmp_path / "log.csv"
    csv.write_text("run,start,elapsed\n1,2026-03-01 00:00:00,5\n")
    assert len(read_sql("duckdb:///:memory:", f"FROM '{csv}'")) == 1


def test_what_is_missing_in_a_query_is_named(database):
    database.write(history())
    with pytest.raises(SourceError, match=r"no such|does not exist"):
        read_sql(database.url, "no_such_table")
    with pytest.raises(SourceError, match="found no column for the start of a job among"):
        read_sql(database.url, "SELECT run_id, task FROM task_runs")
    with pytest.raises(SourceError, match="has no column 'x' for 'job'"):
        read_sql(database.url, "task_runs", columns={"job": "x"})
    with pytest.raises(SourceError, match="no column of jobs to filter"):
        read_sql(database.url, "task_runs", columns={"job": None}, jobs=["load"])
    if database.kind == "postgresql":  # the others rename it themselves
        with pytest.raises(SourceError, match="'run_id' stands twice"):
            read_sql(database.url, "SELECT *, run_id AS run_id FROM task_runs")
    with pytest.raises(SourceError, match="column 'state', row 0: 'success' is not a time"):
        read_sql(
            database.url,
            "SELECT * FROM task_runs ORDER BY run_id, task",
            columns={"started_at": "state"},
        )
    with pytest.raises(SourceError):
        read_sql(database.url, "SELECT FROM WHERE")


def test_wrong_arguments_are_told(sqlite):
    with pytest.raises(ValueError, match="expected a list of jobs"):
        read_sql(sqlite.url, "runs", jobs="load")
    with pytest.raises(ValueError, match="chunk_rows must be at least 1"):
        read_sql(sqlite.url, "runs", chunk_rows=0)
    with pytest.raises(ValueError, match="since='soon' is not a time"):
        read_sql(sqlite.url, "runs", since="soon")


def test_a_password_is_in_no_error_of_the_server(postgresql):
    good = sa.make_url(postgresql)
    for bad in (
        good.set(password=PASSWORD + "x"),
        good.set(port=free_port()),
        good.set(database=PASSWORD),
        good.set(database="none").update_query_dict({"application_name": "x"}),
        good.set(password=None).update_query_dict({"password": PASSWORD + "x"}),
        good.update_query_dict({"options": "-c nonsense"}),
    ):
        with pytest.raises(SourceError, match="To do: ") as error:
            read_sql(bad.render_as_string(hide_password=False), "runs")
        assert_no_secret(error, bad.password or PASSWORD)
    with pytest.raises(SourceError, match="does not exist") as error:
        read_sql(good, f"SELECT * FROM \"{PASSWORD}\" WHERE x = '{PASSWORD}'")
    assert_no_secret(error)
    with pytest.raises(SourceError) as error:
        read_sql(good, "no_such_table")
    assert_no_secret(error)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:hush-hush@host:port/db", "the URL of the database cannot be read"),
        ("u:hush-hush@host/db", "the URL of the database cannot be read"),
        ("nosuch://u:hush-hush@host/db", "nosuch://u:.*@host/db: no driver"),
        ("mysql+mysqldb://u:hush-hush@host/db?x=1", "no driver .*MySQLdb.*; install pymysql"),
        ("sqlite://u:hush-hush@host/db", "there is no such file"),
    ],
)
def test_a_password_is_in_no_error_about_the_url(url, message):
    with pytest.raises(SourceError, match=message) as error:
        read_sql(url, "runs")
    assert_no_secret(error, "hush-hush")


def test_without_sqlalchemy_the_extra_is_named(sqlite):
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from sklearn_jobtime.loaders.sql import read_sql\n"
        f"read_sql({sqlite.url!r}, 'idle')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'sklearn-jobtime[sql]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("SELECT 1", True),
        ("(select 1)", True),
        ("with\nx AS (SELECT 1) SELECT * FROM x", True),
        ("-- a log\n/* of\nruns */ VALUES (1)", True),
        ("runs", False),
        ("selection", False),
        ("ops.select", False),
        ('"SELECT 1"', False),
        ("-- only a comment", False),
        ("DROP TABLE runs", False),
    ],
)
def test_a_query_is_told_from_a_name(text, query):
    assert is_query(text) is query
