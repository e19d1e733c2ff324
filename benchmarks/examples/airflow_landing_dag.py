"""Deadlines of Airflow from a model: a DAG with a deadline, one that learns, one that warns.

Put this file into the folder of DAGs of an Airflow 3.2 or later that has sklearn-jobtime[sql], and
set the environment variable JOBTIME_DATABASE to the URL of Airflow's metadata database (a user that
may only read is enough) and JOBTIME_FOLDER to a folder of the workers.

- `etl` is the DAG that is watched. Its deadline is when the model says that it lands.
- `jobtime_learn` fits the model each day, with the graph as Airflow has written it, and puts the
  bound of the next run into the Variable that the deadline reads.
- `jobtime_warn` looks every five minutes of the night whether the run will make it, from what its
  tasks have done so far: long before the deadline has passed.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, Variable, dag, task

from sklearn_jobtime.integrations.airflow import LandingDeadline, landing_bound

WATCHED = "etl"
VARIABLE = "jobtime_etl"
DUE = timedelta(hours=2)  # after the start of the run, promised to those who use its tables
LEAST_CHANCE = 0.5  # of landing by then; below it somebody is told
DATABASE = os.environ.get("JOBTIME_DATABASE", "sqlite:///airflow.db")
MODEL = Path(os.environ.get("JOBTIME_FOLDER", "."), f"{WATCHED}.joblib")
START = datetime(2026, 1, 1)


async def tell(text, **_):
    """Send a text to those on call; put your pager or chat here."""
    print(text)


late = DeadlineAlert(
    reference=LandingDeadline(VARIABLE),
    interval=timedelta(0),
    callback=AsyncCallback(tell, {"text": f"{WATCHED} is later than its model thought possible"}),
)
with DAG(WATCHED, schedule="0 2 * * *", start_date=START, catchup=False, deadline=late):

    @task
    def extract():
        """Stand in for a task of yours."""

    @task
    def load():
        """Stand in for a task of yours."""

    extract() >> load()


def read_runs():
    """Read the history of the watched DAG, the run that goes on included."""
    from sklearn_jobtime.loaders import read_source

    return read_source(f"airflow+{DATABASE}", options={"dags": [WATCHED]})


@dag(schedule="0 12 * * *", start_date=START, catchup=False)
def jobtime_learn():
    """Fit the model on the runs so far, and say by when the next one lands."""

    @task
    def learn():
        from sklearn_jobtime import OnlineMix, make_targets
        from sklearn_jobtime.landing import LandingForecaster
        from sklearn_jobtime.loaders import read_airflow_graph
        from sklearn_jobtime.persistence import save_model
        from sklearn_jobtime.runs import next_runs

        runs = read_runs()
        runs = runs[runs["ended_at"].notna()]
        graph = read_airflow_graph(DATABASE, WATCHED)
        model = LandingForecaster(OnlineMix(), graph, random_state=0).fit(runs, make_targets(runs))
        save_model(model, MODEL)
        Variable.set(VARIABLE, landing_bound(model, next_runs(runs)), serialize_json=True)

    learn()


@dag(schedule="*/5 2-6 * * *", start_date=START, catchup=False)
def jobtime_warn():
    """Tell somebody while there is still time."""

    @task
    def warn():
        import asyncio

        import pandas as pd

        from sklearn_jobtime.landing import landing_table
        from sklearn_jobtime.persistence import load_model

        runs = read_runs()
        run = runs[runs["ended_at"].isna()].tail(1)
        if run.empty:
            return
        due = DUE.total_seconds()
        now = pd.Timestamp.now("UTC")
        jobs = landing_table(load_model(MODEL), run, now=now, deadlines=due).set_index("job")
        whole, jobs = jobs.loc["whole_run"], jobs.drop("whole_run")
        ahead = jobs[jobs["state"].isin(["running", "waiting"])]
        if ahead.empty or whole["state"] != "running" or whole["chance"] >= LEAST_CHANCE:
            return
        text = (
            f"{WATCHED} lands at {whole['lands_at']:%H:%M} UTC, {whole['chance']:.0%} by "
            f"{run['started_at'].iloc[0] + DUE:%H:%M}; it waits for {ahead['critical'].idxmax()}"
        )
        asyncio.run(tell(text))

    warn()


jobtime_learn()
jobtime_warn()
