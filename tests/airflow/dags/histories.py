"""Two small DAGs whose runs show what a run history can hold; see ``make_airflow_db.py``.

A run's configuration says what shall happen in it: ``{"size": 3}`` maps three tasks,
``"flaky"`` fails the first try of `extract`, ``"broken"`` fails `check` for good, ``"slow"``
keeps `load` running, ``"waiting"`` leaves `extract` waiting for its next try.
"""

import time
from datetime import datetime, timedelta

try:
    from airflow.sdk import dag, get_current_context, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.operators.python import get_current_context

COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "catchup": False}


def _conf(key, default=0):
    return (get_current_context()["dag_run"].conf or {}).get(key, default)


@dag(**COMMON, max_active_runs=20)
def etl():
    """Retries, a mapped task, a branch, a failure."""

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def extract():
        time.sleep(0.2)
        if _conf("flaky") and get_current_context()["ti"].try_number == 1:
            raise ValueError("the first try fails")
        return [0.1 * (i + 1) for i in range(_conf("size", 2))]

    @task
    def transform(seconds):
        time.sleep(seconds)

    @task.branch
    def choose():
        return "full" if _conf("size", 2) > 2 else "light"

    @task
    def full():
        time.sleep(0.3)

    @task
    def light():
        time.sleep(0.1)

    @task
    def check():
        time.sleep(0.1)
        if _conf("broken"):
            raise ValueError("the check fails")

    @task
    def publish():
        time.sleep(0.1)

    seconds = extract()
    chosen = choose()
    transform.expand(seconds=seconds) >> chosen
    chosen >> [full(), light()]
    seconds >> check() >> publish()


@dag(**COMMON)
def reports():
    """Two tasks in a row; a run may be caught while it still runs or waits for its next try."""

    @task(retries=2, retry_delay=timedelta(hours=1))
    def extract():
        if _conf("waiting"):
            raise ValueError("fails, and waits an hour for its next try")
        time.sleep(0.1)

    @task
    def load():
        time.sleep(3600 if _conf("slow") else 0.2)

    extract() >> load()


etl()
reports()
