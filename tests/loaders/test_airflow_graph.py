"""The graph of a DAG as a real Airflow wrote it."""

import gzip
import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.graph import check_graph
from sklearn_jobtime.loaders import read_airflow_graph, read_source

DATABASES = Path(__file__).parents[1] / "airflow"
# As dags/histories.py and dags/retired.py write them.
WRITTEN = {
    "etl": {
        *(("extract", "transform"), ("transform", "choose"), ("choose", "full")),
        *(("choose", "light"), ("extract", "check"), ("check", "publish")),
    },
    "reports": {("extract", "load")},
    "retired": set(),
}


def unpacked(name, folder):
    path = folder / "airflow.db"
    path.write_bytes(gzip.decompress((DATABASES / name).read_bytes()))
    return path


@pytest.fixture
def database(tmp_path):
    return unpacked("airflow_3.db.gz", tmp_path)


def ask(path, statement, *values):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


@pytest.mark.parametrize("name", ["airflow_2.db.gz", "airflow_3.db.gz"])
@pytest.mark.parametrize("dag", WRITTEN)
def test_every_dag_has_the_edges_of_its_code(tmp_path, name, dag):
    database = unpacked(name, tmp_path)
    url = f"sqlite:///{database}"
    graph = read_airflow_graph(url, dag)
    assert set(graph.edges) == WRITTEN[dag]
    tasks = {
        task for (task,) in ask(database, "SELECT task_id FROM task_instance WHERE dag_id = ?", dag)
    }
    assert set(graph) == tasks
    runs = read_source(f"airflow+{url}", options={"dags": [dag]})
    assert check_graph(graph, runs).empty


def test_compressed_and_older_versions(database):
    [(data,)] = ask(database, "SELECT data FROM serialized_dag WHERE dag_id = 'etl'")
    packed = zlib.compress(data.encode())
    ask(database, "DELETE FROM serialized_dag WHERE dag_id <> 'etl'")
    ask(database, "UPDATE serialized_dag SET data = NULL, data_compressed = ?", packed)
    assert set(read_airflow_graph(f"sqlite:///{database}").edges) == WRITTEN["etl"]
    for key in ("downstream_task_ids", "_downstream_task_ids"):  # the latter of 2.0 to 2.2
        plain = json.loads(data)
        plain["dag"]["tasks"] = [
            {"task_id": task["task_id"], key: task.get("downstream_task_ids", [])}
            for task in (packed["__var"] for packed in plain["dag"]["tasks"])
        ]
        text = json.dumps(plain)
        ask(database, "UPDATE serialized_dag SET data = ?, data_compressed = NULL", text)
        assert set(read_airflow_graph(f"sqlite:///{database}").edges) == WRITTEN["etl"]


def test_what_cannot_be_read_says_what_to_do(database):
    url = f"sqlite:///{database}"
    with pytest.raises(SourceError, match=r"is not said; it has the DAGs \['etl', 'reports', 'ret"):
        read_airflow_graph(url)
    with pytest.raises(SourceError, match=r"holds no DAG 'elt'; it has"):
        read_airflow_graph(url, "elt")
    for data in ("{}", "[]", "no json", json.dumps({"dag": {"tasks": [{"id": 1}]}}), None):
        ask(database, "UPDATE serialized_dag SET data = ?", data)
        with pytest.raises(SourceError, match=r"DAG 'etl': its serialized form is not known"):
            read_airflow_graph(url, "etl")
    ask(database, "DROP TABLE serialized_dag")
    with pytest.raises(SourceError, match="has no table 'serialized_dag'"):
        read_airflow_graph(url, "etl")
