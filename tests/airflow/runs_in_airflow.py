"""Run by ``tests/integrations/test_airflow.py`` in the Python of an Airflow, in a home of its own.

It writes a history of the DAG `etl` of the example (``benchmarks/examples``), lets Airflow run
`jobtime_learn`, creates a run of `etl` as the scheduler does, lets `jobtime_warn` look at it, and
prints as JSON what Airflow has made of all that.
"""

import contextlib
import io
import json
import random
import sys
from datetime import UTC, datetime, timedelta

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models import DagRun, TaskInstance, Variable
from airflow.models.dagbundle import DagBundleModel
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

N_RUNS = 40
MINUTES = (10, 20)  # of extract and load, about
ELAPSED = 119  # minutes of the run that goes on, which is due after 120
NOW = datetime.now(UTC)


def create(number, started, state):
    """Create a run of `etl` as the scheduler does; give its id."""
    with create_session() as session:
        dag = SerializedDagModel.get_dag("etl", session=session)
        run = dag.create_dagrun(
            run_id=f"night_{number}",
            logical_date=started,
            run_after=started,
            data_interval=(started, started),
            run_type=DagRunType.SCHEDULED,
            triggered_by=DagRunTriggeredByType.TEST,
            state=state,
            start_date=started,
            session=session,
        )
        return run.id


def write_times(run, started, minutes, state):
    """Write when the tasks of a run started and ended; `minutes` of None is one that runs."""
    with create_session() as session:
        row = session.get(DagRun, run)
        row.start_date, row.state = started, state
        at = started
        for task, length in zip(("extract", "load"), minutes, strict=True):
            one = session.scalar(
                select(TaskInstance).where(
                    TaskInstance.run_id == row.run_id, TaskInstance.task_id == task
                )
            )
            one.try_number, one.start_date = 1, at
            one.state = "running" if length is None else "success"
            if length is not None:
                at += timedelta(minutes=length)
                one.end_date = at
        row.end_date = None if None in minutes else at


def deadlines():
    """Give for each run the seconds from now to its deadline."""
    with create_session() as session:
        rows = session.execute(
            select(DagRun.run_id, Deadline.deadline_time).join(
                Deadline, Deadline.dagrun_id == DagRun.id
            )
        ).all()
    return {run: (time - datetime.now(UTC)).total_seconds() for run, time in rows}


def main(folder):
    """Print what became of it."""
    random.seed(0)
    with create_session() as session:
        session.add(DagBundleModel(name="example"))
    bag = DagBag(folder, bundle_name="example", load_op_links=False)
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, "example", None)
    for number in range(N_RUNS):
        started = NOW - timedelta(days=N_RUNS - number)
        run = create(number, started, "success")
        write_times(run, started, [m * (1 + random.random() / 4) for m in MINUTES], "success")
    found = {"before": deadlines()}
    bag.dags["jobtime_learn"].test()
    found["bound"] = Variable.get("jobtime_etl", deserialize_json=True)
    began = NOW - timedelta(minutes=ELAPSED)
    late = create(N_RUNS, began, "running")
    found["deadlines"] = deadlines()
    write_times(late, began, [ELAPSED - 1, None], "running")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        bag.dags["jobtime_warn"].test()
    found["warned"] = said.getvalue()
    print("FOUND", json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
