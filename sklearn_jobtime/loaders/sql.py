"""Run histories from any SQL database that SQLAlchemy reaches."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import EPOCH_UNITS, map_columns, unit_of
from sklearn_jobtime.loaders._mapped_long import mapped_long
from sklearn_jobtime.loaders._moments import since_utc
from sklearn_jobtime.loaders._typed_columns import typed_rows
from sklearn_jobtime.runs._schema import STARTED_AT

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["is_query", "read_only_connection", "read_sql"]


DRIVERS = {
    "postgresql": "install psycopg[binary] and write postgresql+psycopg://user@host/database",
    "duckdb": "install duckdb-engine and pytz",
    "mysql": "install pymysql and write mysql+pymysql://user@host/database",
}


def read_sql(
    url: "str | sa.URL",
    table_or_query: str,
    *,
    columns: Mapping[str, str | None] | None = None,
    since: str | datetime | None = None,
    jobs: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
    timezone: str | None = None,
    chunk_rows: int = 100_000,
) -> pd.DataFrame:
    """Read a run history from a table or a query of a SQL database.

    For the log table that an ETL system writes: one row a job of a run. Which column is which is
    guessed from the usual names; see
    :func:`~sklearn_jobtime.loaders._column_names.guess_columns` for them, and
    :func:`~sklearn_jobtime.loaders._mapped_long.mapped_long` for tables without runs, jobs or
    statuses. The filters are part of the query that the database runs. The connection is
    read-only where the database knows that: SQLite, DuckDB and PostgreSQL.

    Parameters
    ----------
    url : str or sqlalchemy.URL
        Where the database is, such as ``sqlite:///runs.db``, ``duckdb:///runs.duckdb`` or
        ``postgresql+psycopg://user@host/database``. Passwords never appear in an error; better
        keep them out of the URL too, in ``~/.pgpass`` say.
    table_or_query : str
        The name of a table or a view, ``schema.table`` too (a name with a dot in it goes in
        double quotes); or a query that begins with SELECT, WITH, VALUES or FROM.
    columns : mapping of str to str or None, default=None
        Which column is which, where the guess is wrong: ``{"run": "build_no"}``. None says that
        there is no such column; a name of your own, ``{"event": "trigger"}``, is a covariate to
        keep. All other columns stay in the database. ``.attrs["columns"]`` tells what was taken.
    since : str or datetime, default=None
        Read only what started at this time or later; without a zone it is UTC. A time without a
        zone in the database is UTC as well.
    jobs : sequence of str, default=None
        Read only these jobs.
    states : mapping of str to str or None, default=None
        Your own states to the one vocabulary, such as ``{"green": "success"}``.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that nothing maps; see
        :func:`~sklearn_jobtime.loaders.to_status`.
    timezone : str, default=None
        Zone of the times that name none, such as ``"Europe/Berlin"``. None: UTC.
    chunk_rows : int, default=100_000
        How many rows to fetch at a time, which bounds the memory beside the table itself. The
        result does not depend on it.

    Returns
    -------
    DataFrame
        A long table; see :func:`~sklearn_jobtime.runs.long_table`.

    Raises
    ------
    SourceError
        When the database is missing, locked or not reached, or the table or query lacks what is
        needed.

    Examples
    --------
    >>> import pathlib, sqlite3, tempfile
    >>> from contextlib import closing
    >>> from sklearn_jobtime.loaders import read_sql
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "runs.db")
    ...     with closing(sqlite3.connect(path)) as database, database:
    ...         _ = database.execute("CREATE TABLE log (run_id, task, started, elapsed_ms)")
    ...         _ = database.execute("INSERT INTO log VALUES (1, 'load', '2026-03-01', 90000)")
    ...     long = read_sql(f"sqlite:///{path}", "log", since="2026-01-01", jobs=["load"])
    >>> long[["run", "job", "duration", "status"]]
      run   job  duration   status
    0   1  load      90.0  success
    """
    if isinstance(jobs, str):
        raise ValueError(f"jobs={jobs!r}: expected a list of jobs, such as [{jobs!r}].")
    if chunk_rows < 1:
        raise ValueError(f"chunk_rows must be at least 1, got {chunk_rows}.")
    start = None if since is None else since_utc(since)
    earliest = start if start is None or timezone is None else start - pd.Timedelta(days=1)
    with read_only_connection(url) as (connection, place):
        source = place if is_query(table_or_query) else f"{place}, table {table_or_query}"
        history, names = _history(connection, table_or_query)
        mapping = map_columns(names, columns, source=source)
        if jobs is not None and "job" not in mapping:
            raise SourceError(
                f"{source}: found no column of jobs to filter by jobs= among {names}; name it "
                "with columns={'job': ...}, or leave jobs out."
            )
        query = _filtered(connection, history, mapping, earliest, jobs)
        with connection.execution_options(yield_per=chunk_rows).execute(query) as result:
            rows = typed_rows(
                result.partitions(),
                list(result.keys()),
                mapping,
                source=source,
                timezone=timezone,
            )
    return mapped_long(
        rows,
        mapping=mapping,
        since=start,
        jobs=jobs,
        states=states,
        on_unknown=on_unknown,
    )


def is_query(table_or_query: str) -> bool:
    """Whether a text is a query rather than the name of a table: it begins as queries do.

    Examples
    --------
    >>> from sklearn_jobtime.loaders.sql import is_query
    >>> is_query("SELECT * FROM runs"), is_query("ops.task_runs"), is_query("selected runs")
    (True, False, False)
    """
    bare = re.sub(r"^(\s|\(|--[^\n]*\n|/\*.*?\*/)+", "", table_or_query, flags=re.DOTALL)
    return re.match(r"(select|with|values|from)\b", bare, flags=re.IGNORECASE) is not None


def _history(connection: "sa.Connection", table_or_query: str) -> tuple["sa.FromClause", list[str]]:
    """Make the table or query something to select from, and find the names of its columns."""
    import sqlalchemy as sa  # noqa: PLC0415

    def columns_of(history: sa.FromClause) -> list[str]:
        nothing = sa.select(sa.text("*")).select_from(history).where(sa.false())
        return list(connection.execute(nothing).keys())

    if not is_query(table_or_query):
        *schemas, name = _name_parts(table_or_query)
        schema = ".".join(schemas) or None
        names = columns_of(sa.table(name, schema=schema))
        return sa.table(name, *map(sa.column, names), schema=schema), names
    # An escaped colon is no parameter; the line break ends a comment that the query ends in.
    query = sa.text(table_or_query.strip().rstrip(";").replace(":", r"\:") + "\n")
    names = columns_of(query.columns().subquery("history"))
    return query.columns(*map(sa.column, dict.fromkeys(names))).subquery("history"), names


def _name_parts(table: str) -> list[str]:
    """Parts of a name such as ``schema.table``, of which any may stand in double quotes."""
    part = r'"((?:[^"]|"")+)"|([^."]+)'
    if not re.fullmatch(rf"(?:{part})(?:\.(?:{part}))*", table):
        return [table]
    return [quoted.replace('""', '"') or plain for quoted, plain in re.findall(part, table)]


def _filtered(
    connection: "sa.Connection",
    history: "sa.FromClause",
    mapping: Mapping[str, str],
    since: pd.Timestamp | None,
    jobs: Sequence[str] | None,
) -> "sa.Select":
    """Select the mapped columns, with the filters as bound parameters."""
    import sqlalchemy as sa  # noqa: PLC0415

    def example(column: sa.ColumnElement) -> object:
        return connection.execute(sa.select(column).where(column.is_not(None)).limit(1)).scalar()

    query = sa.select(*(history.c[column] for column in dict.fromkeys(mapping.values())))
    if jobs is not None:
        job = history.c[mapping["job"]]
        text = job if isinstance(example(job), str) else sa.cast(job, sa.String)
        query = query.where(text.in_(list(jobs)))
    if since is not None and STARTED_AT in mapping:
        started = history.c[mapping[STARTED_AT]]
        bound = _comparable(since, example(started), unit_of(mapping[STARTED_AT], EPOCH_UNITS))
        if bound is not None:
            query = query.where(started >= sa.literal(bound))
    return query


def _comparable(since: pd.Timestamp, example: object, unit: float) -> object:
    """Write the time as the database can compare it; never too late, since pandas filters again.

    Text is compared by its date, a day early since it may be of another time zone. Numbers of fewer
    digits than seconds since the year 2001, such as 20260301, and numbers as text are not compared.
    """
    if isinstance(example, datetime):
        return (since if example.tzinfo else since.tz_localize(None)).to_pydatetime()
    if isinstance(example, date):
        return since.date()
    if isinstance(example, str):
        if example.strip().replace(".", "", 1).lstrip("-").isdigit():
            return None
        return (since - timedelta(days=1)).date().isoformat()
    if isinstance(example, int | float | Decimal) and example >= 10**9:
        return math.floor(since.timestamp() / unit)
    return None


@contextmanager
def read_only_connection(url: "str | sa.URL") -> Iterator[tuple["sa.Connection", str]]:
    """Connect to a database to read it; whatever goes wrong inside becomes a `SourceError`.

    Parameters
    ----------
    url : str or sqlalchemy.URL
        As of :func:`read_sql`. A file that does not exist is not made.

    Yields
    ------
    connection : sqlalchemy.Connection
        Read-only for SQLite, DuckDB and PostgreSQL.
    place : str
        The URL without its password and options, for errors.

    Examples
    --------
    >>> from sklearn_jobtime.loaders.sql import read_only_connection
    >>> with read_only_connection("sqlite:///no_such.db"):
    ...     pass
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.SourceError: sqlite:///no_such.db: there is no such file; ...
    """
    try:
        import sqlalchemy as sa  # noqa: PLC0415  an extra
    except ImportError:
        raise SourceError(
            "a SQL database is read with SQLAlchemy, which is not installed; run "
            "pip install 'sklearn-jobtime[sql]' and install the driver of your database."
        ) from None
    try:
        target = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise SourceError(
            "the URL of the database cannot be read; expected one such as sqlite:///runs.db or "
            "postgresql+psycopg://user@host:5432/database, with %40 for an @ in a password."
        ) from None
    place = target.set(query={}).render_as_string(hide_password=True)
    target, arguments = _read_only(target, place)
    try:
        engine = sa.create_engine(
            target, connect_args=arguments, hide_parameters=True, poolclass=sa.pool.NullPool
        )
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        remedy = DRIVERS.get(target.get_backend_name(), "install its SQLAlchemy dialect")
        raise SourceError(f"{place}: no driver ({error}); {remedy}.") from None
    remedy = "check that it is there, its name, your user name and password"
    try:
        with engine.connect() as connection:
            remedy = "check the names of the table and its columns, or the query"
            if target.get_backend_name() == "postgresql":
                connection.execution_options(postgresql_readonly=True)
            if target.get_backend_name() == "sqlite":  # text that is no UTF-8 stops with its row
                driver: Any = connection.connection.driver_connection
                driver.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            yield connection, place
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{place}: holds text that is no UTF-8 ({error}); check it for damage, or export it."
        ) from None
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n[SQL:")[0].strip()
        reason = _without_secrets(reason, target)
        if re.search("locked|conflicting lock|different configuration", reason, re.IGNORECASE):
            remedy = "another program is writing to it: try again when that is done"
        raise SourceError(f"{place}: {reason}\nTo do: {remedy}.") from None
    finally:
        engine.dispose()


def _read_only(url: "sa.URL", place: str) -> tuple["sa.URL", dict[str, Any]]:
    """Find the URL and the driver's arguments that make a database in a file read-only."""
    backend, file = url.get_backend_name(), url.database
    if backend not in ("sqlite", "duckdb"):
        return url, {}
    if not file or file == ":memory:":
        if backend == "sqlite":
            raise SourceError(f"{place}: names no file; write sqlite:///runs.db.")
        return url, {}  # a query of DuckDB may read files, such as FROM 'runs.parquet'
    if file.startswith(("file:", "md:")):
        return (url.update_query_dict({"mode": "ro"}) if backend == "sqlite" else url), {}
    path = Path(file)
    if not path.is_file():
        raise SourceError(f"{place}: there is no such file; check the path.")
    if backend == "duckdb":
        return url, {"read_only": True}
    options = {"mode": "ro", "uri": "true"}
    return url.set(database=path.absolute().as_uri()).update_query_dict(options), {}


def _without_secrets(text: str, url: "sa.URL") -> str:
    secrets = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if re.search("pass|pwd|token|secret|key", name, re.IGNORECASE):
            secrets += [value] if isinstance(value, str) else value
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for written in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(written, "***")
    return text
