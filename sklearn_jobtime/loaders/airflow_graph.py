"""Which task of an Airflow DAG waits for which, from the metadata database."""

import json
import zlib
from typing import TYPE_CHECKING, Any

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.graph._reading import job_graph
from sklearn_jobtime.loaders.sql import read_only_connection

if TYPE_CHECKING:
    import networkx as nx
    import sqlalchemy as sa

__all__ = ["read_airflow_graph"]


TABLE = "serialized_dag"


def read_airflow_graph(url: "str | sa.URL", dag: str | None = None) -> "nx.DiGraph":
    """Read the graph of the tasks of a DAG as Airflow has written it.

    Airflow keeps every DAG that it has parsed as JSON in its table `serialized_dag`; of several
    versions the newest is read. No code of the DAG runs. Airflow 2 is read as well as 3: its tasks
    may be plain or packed with their type, and were ``_downstream_task_ids`` to its first versions.

    Parameters
    ----------
    url : str or sqlalchemy.URL
        The metadata database, as for :func:`~sklearn_jobtime.loaders.read_airflow`; it is only
        read.
    dag : str, default=None
        Its `dag_id`. None: the only one in the database.

    Returns
    -------
    networkx.DiGraph
        A node for each task, whose name is its `task_id`, the job of ``read_airflow``; edges as
        :func:`~sklearn_jobtime.graph.job_graph` gives them.

    Raises
    ------
    SourceError
        When the database is missing or not Airflow's, has no such DAG, or holds it in a form that
        is not known.

    References
    ----------
    .. [1] "DAG Serialization", documentation of Apache Airflow.

    Examples
    --------
    >>> import pathlib, sqlite3, tempfile
    >>> from contextlib import closing
    >>> from sklearn_jobtime.loaders import read_airflow_graph
    >>> tasks = '''{"dag": {"tasks": [{"task_id": "load", "downstream_task_ids": ["report"]},
    ...                              {"task_id": "report", "downstream_task_ids": []}]}}'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "airflow.db")
    ...     with closing(sqlite3.connect(path)) as database:
    ...         _ = database.execute("CREATE TABLE serialized_dag (dag_id, data, last_updated)")
    ...         _ = database.execute("INSERT INTO serialized_dag VALUES ('etl', ?, 0)", [tasks])
    ...         database.commit()
    ...     graph = read_airflow_graph(f"sqlite:///{path}")
    >>> list(graph.edges)
    [('load', 'report')]
    """
    with read_only_connection(url) as (connection, place):
        name, written = _newest(connection, place, dag)
    place = f"{place}, DAG {name!r}"
    try:
        text = zlib.decompress(written) if isinstance(written, bytes) else written
        document = json.loads(text) if isinstance(text, str | bytes) else text
        tasks = [_plain(task) for task in document["dag"]["tasks"]]
        after = {task["task_id"]: _followers(task) for task in tasks}
    except (KeyError, TypeError, AttributeError, ValueError, zlib.error) as error:
        raise SourceError(
            f"{place}: its serialized form is not known ({type(error).__name__}: {error}); "
            "expected 'dag' with 'tasks' that have 'task_id' and 'downstream_task_ids', as Airflow "
            "2 and 3 write it. Give the edges yourself."
        ) from error
    graph = job_graph([(task, next_one) for task in after for next_one in sorted(after[task])])
    graph.add_nodes_from(after)
    return graph


def _newest(connection: "sa.Connection", place: str, dag: str | None) -> tuple[str, Any]:
    """Name and serialized form of a DAG, in its newest version."""
    import sqlalchemy as sa  # noqa: PLC0415  an extra

    inspector = sa.inspect(connection)
    if not inspector.has_table(TABLE):
        raise SourceError(
            f"{place}: has no table {TABLE!r}; expected the metadata database of Airflow 2.0 or "
            "later. Check the URL (the setting sql_alchemy_conn has it)."
        )
    columns = {column["name"] for column in inspector.get_columns(TABLE)}
    table = sa.table(TABLE, *map(sa.column, columns))
    known = list(connection.execute(sa.select(table.c.dag_id).distinct()).scalars())
    if (dag is None and len(known) != 1) or (dag is not None and dag not in known):
        asked = "which DAG is meant, is not said" if dag is None else f"holds no DAG {dag!r}"
        raise SourceError(
            f"{place}: {asked}; it has the DAGs {sorted(known)}. Name one of them as dag=."
        )
    name = known[0] if dag is None else dag
    forms = [table.c[column] for column in ("data", "data_compressed") if column in columns]
    query = sa.select(*forms).where(table.c.dag_id == name)
    for column in ("last_updated", "created_at"):
        if column in columns:
            query = query.order_by(table.c[column].desc())
    row = connection.execute(query.limit(1)).one()
    return name, next((form for form in row if form is not None), None)


def _followers(task: dict[str, Any]) -> list[str]:
    """Tasks that wait for one; Airflow leaves the list out where it is empty."""
    found = (task.get(name) for name in ("downstream_task_ids", "_downstream_task_ids"))
    return next((_plain(tasks) for tasks in found if tasks), [])


def _plain(value: Any) -> Any:
    """Take what Airflow has packed with the name of its type out again."""
    return value["__var"] if isinstance(value, dict) and "__var" in value else value
