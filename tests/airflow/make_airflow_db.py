"""Let a real Airflow write the small metadata databases that ``test_airflow.py`` reads.

Usage, about two minutes each::

    python -m venv airflow3 && airflow3/bin/pip install apache-airflow==3.3.2
    python tests/airflow/make_airflow_db.py airflow3/bin/airflow tests/airflow/airflow_3.db.gz
    python -m venv airflow2 && airflow2/bin/pip install apache-airflow==2.11.0
    python tests/airflow/make_airflow_db.py airflow2/bin/airflow tests/airflow/airflow_2.db.gz

It migrates a fresh SQLite database in a temporary folder, starts Airflow's own scheduler on the
DAGs of ``dags/``, and triggers runs with retries, a failure, mapped tasks (0 to 4 of them),
skipped branches and a cleared task. It deletes the file of one DAG, and kills Airflow while one
run is running and another waits for its next try.

Last it strips the copy: of all tables only `dag`, `dag_run`, `serialized_dag`, `task_instance` and
`task_instance_history` keep their rows, and of these only the columns of `KEPT`; every other value
(host and user names, paths, code, pickles, configurations) is blanked, the schema is left as it is.
Of a serialized DAG the tasks stay, and which follow them.
"""

import gzip
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

DAGS = Path(__file__).parent / "dags"
RUNS = {
    "etl": [
        {"size": 2},
        {"size": 3, "flaky": True},
        {"size": 4},
        {"size": 0},
        {"size": 2, "broken": True},
        {"size": 1, "flaky": True},
    ],
    "reports": [{}, {}],
    "retired": [{}, {}],
}
LEFT_OPEN = [{"waiting": True}, {"slow": True}]
KEPT = {
    "dag": {"dag_id", "is_paused", "is_stale", "is_active"},
    "dag_run": {
        *("id", "dag_id", "run_id", "run_type", "state", "clear_number"),
        *("queued_at", "logical_date", "execution_date", "start_date", "end_date", "run_after"),
    },
    "task_instance": {
        *("id", "task_instance_id", "dag_id", "run_id", "task_id", "map_index", "try_number"),
        *("max_tries", "state", "start_date", "end_date", "duration", "operator"),
        *("queued_dttm", "scheduled_dttm"),
    },
}
KEPT["task_instance_history"] = KEPT["task_instance"]
KEPT["serialized_dag"] = {"id", "dag_id", "data", "created_at", "last_updated", "dag_version_id"}
OF_TASK = ("task_id", "downstream_task_ids")


class Airflow:
    """One Airflow in its own folder."""

    def __init__(self, command: str, home: Path) -> None:
        self.command = Path(command).absolute()
        self.database = home / "airflow.db"
        self.dags = Path(shutil.copytree(DAGS, home / "dags"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.environ = os.environ | {
            "PATH": f"{self.command.parent}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
            "AIRFLOW__API__PORT": port,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
        }
        self.is_3 = self.run("version").strip().splitlines()[-1].startswith("3")
        self.environ["AIRFLOW__CORE__EXECUTOR"] = (
            "LocalExecutor" if self.is_3 else "SequentialExecutor"
        )

    def run(self, *arguments: str) -> str:
        """Run one of Airflow's commands; what it printed."""
        return subprocess.run(
            [self.command, *arguments], env=self.environ, check=True, capture_output=True, text=True
        ).stdout

    def ask(self, query: str) -> list[tuple]:
        """Rows of the metadata database."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def wait_for(self, query: str, what: str, seconds: float = 180) -> None:
        """Wait until the query's first value is true."""
        stop = time.monotonic() + seconds
        while not self.ask(query)[0][0]:
            if time.monotonic() > stop:
                raise SystemExit(f"waited {seconds} s in vain for: {what}")
            time.sleep(0.5)

    def trigger(self, dag_id: str, number: int, conf: dict) -> None:
        """Trigger a run; its logical date is a day of its own, so that it can be cleared."""
        date_option = "--logical-date" if self.is_3 else "--exec-date"
        day = f"2026-02-{number:02d}T00:00:00+00:00"
        options = ["-c", json.dumps(conf), "-r", f"run_{number}", date_option, day]
        self.run("dags", "trigger", *options, dag_id)


def write_history(airflow: Airflow) -> None:
    """Run the DAGs; last, since Airflow 2 runs one task at a time here, the runs left open."""
    airflow.wait_for(f"SELECT count(*) = {len(RUNS)} FROM dag", "the DAGs to be parsed")
    for dag_id, confs in RUNS.items():
        for number, conf in enumerate(confs, start=1):
            airflow.trigger(dag_id, number, conf)
    ended = "state IN ('success', 'failed')"
    airflow.wait_for(f"SELECT count(*) = 0 FROM dag_run WHERE NOT {ended}", "the runs to end")
    day = ["-s", "2026-02-01", "-e", "2026-02-01"]
    airflow.run("tasks", "clear", "--yes", "--task-regex", "publish", *day, "etl")
    airflow.wait_for(
        f"SELECT {ended} AND clear_number FROM dag_run WHERE dag_id = 'etl' AND run_id = 'run_1'",
        "the cleared run to end again",
    )
    (airflow.dags / "retired.py").unlink()
    gone = "is_stale" if airflow.is_3 else "NOT is_active"
    airflow.wait_for(f"SELECT {gone} FROM dag WHERE dag_id = 'retired'", "the DAG to go stale")
    for number, conf in enumerate(LEFT_OPEN, start=len(RUNS["reports"]) + 1):
        airflow.trigger("reports", number, conf)
    for task, state in (("extract", "up_for_retry"), ("load", "running")):
        airflow.wait_for(
            "SELECT count(*) FROM task_instance WHERE dag_id = 'reports' "
            f"AND task_id = '{task}' AND state = '{state}'",
            f"{task} to be {state}",
        )


def strip(database: Path) -> None:
    """Blank whatever could tell of the machine or the user; the schema stays."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        for (table,) in connection.execute(names).fetchall():
            if table == "alembic_version":
                continue
            if table not in KEPT:
                connection.execute(f"DELETE FROM {table}")
                continue
            for _, column, kind, required, _, key in connection.execute(
                f"PRAGMA table_info({table})"
            ).fetchall():
                if column not in KEPT[table] and not key:
                    text = "CHAR" in kind or kind in ("TEXT", "JSON", "BLOB")
                    blank = "NULL" if not required else "''" if text else "0"
                    connection.execute(f"UPDATE {table} SET {column} = {blank}")
        rows = connection.execute("SELECT dag_id, data FROM serialized_dag").fetchall()
        for dag_id, data in rows:
            connection.execute(
                "UPDATE serialized_dag SET data = ? WHERE dag_id = ?", [tasks_alone(data), dag_id]
            )
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")


def tasks_alone(data: str) -> str:
    """Leave of a serialized DAG its tasks, and which follow them."""
    document = json.loads(data)
    for task in document["dag"]["tasks"]:
        inside = task.get("__var", task)
        for name in inside.keys() - {*OF_TASK}:
            del inside[name]
    dag = document["dag"]
    document["dag"] = {name: dag[name] for name in ("dag_id", "_dag_id", "tasks") if name in dag}
    return json.dumps(document)


def main(command: str, target: str) -> None:
    """Write the database that `command` makes to `target`, gzipped."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        airflow = Airflow(command, Path(home))
        airflow.run("db", "migrate")
        server = subprocess.Popen(
            [airflow.command, "standalone" if airflow.is_3 else "scheduler"],
            env=airflow.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            write_history(airflow)
        finally:  # at once, or Airflow would mark the open tasks as failed
            subprocess.run(["pkill", "-KILL", "-s", str(server.pid)], check=True)
            server.wait()
            time.sleep(2)  # until the last of its processes has let go of the database
        strip(airflow.database)
        Path(target).write_bytes(gzip.compress(airflow.database.read_bytes(), mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
