"""Run histories of Apache Airflow, from its metadata database."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import bad_value, to_utc
from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._duplicates import UNKNOWN, WORST_FIRST
from sklearn_jobtime.loaders._moments import since_utc
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.loaders._text import inferred, to_text, to_whole_numbers
from sklearn_jobtime.loaders.sql import read_only_connection
from sklearn_jobtime.runs._long_table import long_table

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["read_airflow"]


RUNS, TASKS, HISTORY = "dag_run", "task_instance", "task_instance_history"
KEY = ["dag_id", "run_id", "task_id", "map_index"]
TIMES = ["start_date", "end_date", "queued_dttm"]
NEEDED = {
    RUNS: {"dag_id", "run_id", "run_type", "state", "start_date"},
    TASKS: {"dag_id", "run_id", "task_id", "try_number", "state", *TIMES},
}
CHUNK_ROWS = 100_000  # rows as Python's objects at a time, which take ten times the memory
_ROLES = {
    "series": "dag_id",
    "run": "run_id",
    "job": "task_id",
    "started_at": "start_date of the first try",
    "ended_at": "end_date",
    "duration": "end_date - start_date of the last try",
    "status": "state",
}


def read_airflow(
    url: "str | sa.URL",
    *,
    dags: Sequence[str] | None = None,
    jobs: Sequence[str] | None = None,
    since: str | datetime | None = None,
    tries: str = "last",
    mapped: str = "together",
    on_unknown: str = "error",
) -> pd.DataFrame:
    """Read the task instances of Airflow's metadata database.

    A series is a DAG, a run is a DAG run, a job is a task. Runs of DAGs that are gone are read as
    long as Airflow keeps them, and so are runs that are still running: a task that has not ended
    has no status and no duration.

    Airflow writes a task's tries over each other, and keeps the earlier ones elsewhere (since
    Airflow 2.10). With ``tries="last"`` a job of a run is one row:

    - it starts with its first try and ends with its last, so that the run around it has its true
      length, waits for retries included;
    - its status, `duration` and `queued_seconds` are those of the last try alone, since how long
      the job takes is what a forecast needs; a task that waits for its next try has not ended;
    - a task that was cleared and run again by hand is a further try, hours later perhaps, and
      stretches its run as far;
    - where the run begins with a task whose first try Airflow no longer has (before 2.10, or
      after ``airflow db clean``), that task starts when its run did.

    Tasks that were skipped, or whose upstream failed, have no duration. A task that never ended
    though its run did, or that ended before its start, is left out and counted in
    ``.attrs["dropped"]``; ``.attrs["notes"]`` says how many mapped tasks were joined and how many
    jobs had several tries.

    Parameters
    ----------
    url : str or sqlalchemy.URL
        The metadata database of Airflow 2.2 or later, 3.x included, as in the setting
        ``sql_alchemy_conn``; it is only read. Which columns there are is looked up, not guessed
        from a version. With MySQL, whose times depend on the session, add
        ``?init_command=SET time_zone='%2B00:00'``.
    dags : sequence of str, default=None
        Read only these DAGs. None reads all.
    jobs : sequence of str, default=None
        Read only these tasks, by `task_id`; runs then begin and end with them. None reads all.
    since : str or datetime, default=None
        Read only runs that started at this time or later; without a zone it is UTC. A run that
        was cleared starts when it was run again. None reads all, but for runs still queued there
        is nothing to read yet.
    tries : {"last", "all"}, default="last"
        "all" gives every try a row of its own, told apart by `try_number`, with its own start and
        end. ``pivot_runs(long, on_duplicate="last")`` then keeps the newest alone: runs begin
        with it, and are left out while none has begun.
    mapped : {"together", "separate"}, default="together"
        What to do with the tasks that a mapped task expands to. Their number changes from run to
        run, so together they are one job, from the first start to the last end, with the worst
        status. "separate" makes each a job ``task[0]``, ``task[1]``, ..., which pays only where
        an index always means the same.
    on_unknown : {"error", "warn"}, default="error"
        What to do with an unknown state; see :func:`~sklearn_jobtime.loaders.to_status`.

    Returns
    -------
    DataFrame
        A long table; see :func:`~sklearn_jobtime.runs.long_table`. Further columns:
        `queued_seconds`, from queued to started, NaN where Airflow does not tell; `try_number`,
        the largest of the mapped tasks; and the covariate `run_type`, such as "scheduled".

    Raises
    ------
    SourceError
        When the database is missing, locked or not Airflow's, or holds nothing of what was asked.

    References
    ----------
    .. [1] "Task Instances" and "Dynamic Task Mapping", documentation of Apache Airflow.

    Examples
    --------
    The two tables that matter, as far as they matter here:

    >>> import pathlib, sqlite3, tempfile
    >>> from contextlib import closing
    >>> from sklearn_jobtime.loaders import read_airflow
    >>> schema = '''
    ...     CREATE TABLE dag_run (dag_id, run_id, run_type, state, start_date);
    ...     CREATE TABLE task_instance (dag_id, run_id, task_id, map_index, try_number, state,
    ...                                 start_date, end_date, queued_dttm);
    ...     INSERT INTO dag_run VALUES ('etl', 'r1', 'scheduled', 'success', '2026-03-01 04:00:00');
    ...     INSERT INTO task_instance VALUES ('etl', 'r1', 'load', -1, 1, 'success',
    ...         '2026-03-01 04:00:10', '2026-03-01 04:01:40', '2026-03-01 04:00:07');
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "airflow.db")
    ...     with closing(sqlite3.connect(path)) as database:
    ...         _ = database.executescript(schema)
    ...     long = read_airflow(f"sqlite:///{path}", dags=["etl"])
    >>> long[["series", "run", "job", "duration", "status", "queued_seconds"]]
      series run   job  duration   status  queued_seconds
    0    etl  r1  load      90.0  success             3.0
    """
    for name, value, known in (
        ("tries", tries, ("last", "all")),
        ("mapped", mapped, ("together", "separate")),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {known}, got {value!r}.")
    for name, names in (("dags", dags), ("jobs", jobs)):
        if isinstance(names, str):
            raise ValueError(f"{name}={names!r}: expected a list of names, such as [{names!r}].")
    start = None if since is None else since_utc(since)
    with read_only_connection(url) as (connection, place):
        current, history = _read_tries(connection, place, dags, jobs, start)
    rows = _each_try_once(current, history, on_unknown)
    ended = rows["status"].notna() | (rows["unknown"] & rows["end_date"].notna())
    unended = rows["newest"] & ~ended & rows["run_state"].isin(["success", "failed"])
    back = ended & (rows["end_date"] < rows["start_date"])
    dropped = {
        "task that never ended, though its run did": int(unended.sum()),
        "task that ended before it started": int((back & ~unended).sum()),
    }
    rows = rows[~unended & ~back]
    notes: list[str] = []
    rows = rows.assign(first_start=rows["start_date"])
    if tries == "last":
        rows = _last_tries(rows, notes, whole_runs=jobs is None)
    if mapped == "together":
        tasks = rows[rows["newest"] & (rows["map_index"] >= 0)].groupby(KEY[:-1]).size()
        if (joined := int((tasks > 1).sum())) > 0:
            notes.append(
                f"{joined} mapped tasks of runs were joined, each one job from its first start to "
                "its last end; the option mapped keeps them apart."
            )
    table = _as_jobs(rows, each_try=tries == "all", apart=mapped == "separate")
    table = long_table(table, dropped)
    table.attrs |= {"notes": notes, "columns": dict(_ROLES)}
    return table


def _last_tries(rows: pd.DataFrame, notes: list[str], *, whole_runs: bool) -> pd.DataFrame:
    """Last try of each task, with the start of its first one."""
    tries = rows.groupby(KEY)["start_date"]
    rows = rows.assign(first_start=tries.transform("min"), known=tries.transform("size"))
    rows = rows[rows["newest"]]
    again = (rows["try_number"] > 1) & rows["start_date"].notna()
    if again.any():
        notes.append(
            f"{int(again.sum())} tasks of runs were tried again: each starts with its first try, "
            "and its duration is that of its last."
        )
    lost = again & (rows["known"] < rows["try_number"]) & rows["first_start"].notna()
    if whole_runs and lost.any():
        # When the first tries of other tasks were, nothing says; but only the first task's matters.
        first = rows["first_start"] == rows.groupby(KEY[:2])["first_start"].transform("min")
        late = first & lost & (rows["run_start"] < rows["first_start"])
        rows["first_start"] = rows["first_start"].mask(late, rows["run_start"])
        if late.any():
            notes.append(
                f"{int(late.sum())} runs begin with a task of whose first try nothing is left: it "
                "is taken to start when its run did."
            )
    return rows


def _read_tries(
    connection: "sa.Connection",
    place: str,
    dags: Sequence[str] | None,
    jobs: Sequence[str] | None,
    since: pd.Timestamp | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Task instances as they are now, and their earlier tries; times in UTC."""
    import sqlalchemy as sa  # noqa: PLC0415  an extra

    inspector = sa.inspect(connection)
    columns = {
        table: {c["name"]: c["type"] for c in inspector.get_columns(table)}
        for table in (RUNS, TASKS, HISTORY)
        if inspector.has_table(table)
    }
    for table, needed in NEEDED.items():
        if missing := needed - columns.get(table, {}).keys():
            raise SourceError(
                f"{place}: found no {', '.join(sorted(missing))} in table {table!r}; expected the "
                "metadata database of Airflow 2.2 or later. Check the URL (the setting "
                "sql_alchemy_conn has it), and migrate an older database with 'airflow db migrate'."
            )
    run = sa.table(RUNS, *(sa.column(c, columns[RUNS][c]) for c in NEEDED[RUNS]))

    def read(table: str) -> pd.DataFrame:
        # Untyped columns, so that the times of SQLite stay text, which pandas reads faster.
        tasks = sa.table(table, *map(sa.column, columns[table]))
        return _fetch(connection, _query(tasks, run, dags, jobs, since), place)

    # In this order: a try that ends in between is then in both, and counts once.
    current = read(TASKS)
    if current.empty:
        known = connection.execute(sa.select(run.c.dag_id).distinct().order_by(run.c.dag_id))
        raise SourceError(
            f"{place}: holds no task instance for dags={dags}, jobs={jobs}, since={since}; "
            f"it has runs of the DAGs {list(known.scalars())}. Ask for others, or for more."
        )
    history = read(HISTORY) if HISTORY in columns else current.iloc[:0]
    return current, current.iloc[:0] if history.empty else history  # which keeps the dtypes


def _query(
    task: "sa.TableClause",
    run: "sa.TableClause",
    dags: Sequence[str] | None,
    jobs: Sequence[str] | None,
    since: pd.Timestamp | None,
) -> "sa.Select":
    """Select the tasks with what their runs say, with the filters as bound parameters."""
    import sqlalchemy as sa  # noqa: PLC0415

    index = task.c.map_index if "map_index" in task.c else sa.literal(-1).label("map_index")
    wanted = [task.c[c] for c in (*KEY[:-1], "try_number", "state", *TIMES)]
    same_run = (task.c.dag_id == run.c.dag_id) & (task.c.run_id == run.c.run_id)
    begun, kind, ended = (  # untyped too
        sa.type_coerce(run.c[c], sa.types.NullType()) for c in ("start_date", "run_type", "state")
    )
    of_run = [kind.label("run_type"), ended.label("run_state"), begun.label("run_start")]
    query = sa.select(*wanted, index, *of_run).join_from(task, run, same_run)
    for column, names in ((task.c.dag_id, dags), (task.c.task_id, jobs)):
        if names is not None:
            query = query.where(column.in_(list(names)))
    if since is not None:
        zoned = getattr(run.c.start_date.type, "timezone", False)
        start = since if zoned else since.tz_localize(None)
        query = query.where(run.c.start_date >= start.to_pydatetime())
    return query.execution_options(stream_results=True)


def _fetch(connection: "sa.Connection", query: "sa.Select", place: str) -> pd.DataFrame:
    chunks = []
    read = 0
    result = connection.execute(query)
    names = list(result.keys())
    for page in result.partitions(CHUNK_ROWS):
        index = pd.RangeIndex(read, read + len(page))
        chunk = pd.DataFrame(list(map(tuple, page)), index=index, columns=names, dtype=object)
        try:
            chunks.append(chunk.apply(_typed))
        except BadValueError as error:
            raise SourceError(f"{place}, tasks of runs: {error}") from None
        read += len(page)
    if not chunks:
        return pd.DataFrame(columns=names)
    return pd.concat(chunks, ignore_index=True)


def _typed(column: pd.Series) -> pd.Series:
    if column.name in (*TIMES, "run_start"):
        return to_utc(inferred(column))
    if column.name in ("map_index", "try_number"):
        return to_whole_numbers(column)
    text = to_text(column)
    if column.name in KEY and text.isna().any():
        raise bad_value(column, int(text.isna().to_numpy().argmax()), "is no name; correct it.")
    return text


def _each_try_once(current: pd.DataFrame, history: pd.DataFrame, on_unknown: str) -> pd.DataFrame:
    """Give every try one row, with its status; `newest` marks the last try of each task."""
    rows = pd.concat([history, current], ignore_index=True)
    rows["newest"] = np.arange(len(rows)) >= len(history)
    rows["status"], rows["unknown"] = read_states(rows["state"], "airflow", on_unknown=on_unknown)
    # A task that waits for its next try still has number and times of the last one, which the
    # history holds too: that one has not begun.
    waits = rows.duplicated([*KEY, "try_number"]) & rows["status"].isna() & ~rows["unknown"]
    rows["try_number"] += waits
    rows[TIMES] = rows[TIMES].mask(waits)
    return rows.drop_duplicates([*KEY, "try_number"], keep="last", ignore_index=True)


def _as_jobs(rows: pd.DataFrame, *, each_try: bool, apart: bool) -> pd.DataFrame:
    """Make one job of the mapped tasks of a task, unless they are kept apart."""
    job = rows["task_id"]
    if apart:
        names = job + "[" + rows["map_index"].astype(str) + "]"
        job = names.where(rows["map_index"] >= 0, job)
    ran = rows["status"] != "skipped"
    rank = {status: rank for rank, status in enumerate(WORST_FIRST)}
    rows = rows.assign(
        series=rows["dag_id"],
        run=rows["run_id"],
        job=job,
        attempt=rows["try_number"] if each_try else 0,
        own_start=rows["start_date"].where(ran),
        own_end=rows["end_date"].where(ran),
        rank=[rank[outcome] for outcome in rows["status"].mask(rows["unknown"], UNKNOWN)],
    )
    jobs = rows.groupby(["series", "run", "job", "attempt"], as_index=False).agg(
        started_at=("first_start", "min"),
        ended_at=("end_date", "max"),
        own_start=("own_start", "min"),
        own_end=("own_end", "max"),
        queued=("queued_dttm", "min"),
        rank=("rank", "min"),
        try_number=("try_number", "max"),
        run_type=("run_type", "first"),
    )
    outcome = pd.Series([WORST_FIRST[r] for r in jobs["rank"]], index=jobs.index, dtype=object)
    unknown = outcome == UNKNOWN
    waited = (jobs["own_start"] - jobs["queued"]).dt.total_seconds()
    return jobs.assign(
        duration=(jobs["own_end"] - jobs["own_start"]).dt.total_seconds(),
        status=outcome.mask(unknown, None),
        has_ended=unknown,
        queued_seconds=waited.where(waited >= 0),  # a deferred task is queued again after its start
    ).drop(columns=["attempt", "own_start", "own_end", "queued", "rank"])
