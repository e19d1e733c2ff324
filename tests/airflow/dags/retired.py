"""A DAG whose file is deleted once it has run: its runs stay in the database."""

import time
from datetime import datetime

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False)
def retired():
    """Run one task."""

    @task
    def work():
        time.sleep(0.1)

    work()


retired()
