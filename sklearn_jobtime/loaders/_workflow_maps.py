"""What the records of workflow systems say; names are those of their own pages."""

from sklearn_jobtime.loaders._record_map import RecordMap, roles

__all__ = ["WORKFLOW_MAPS"]


# https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html, and the commands
# `airflow dags list-runs` and `airflow tasks states-for-dag-run` with -o json
_AIRFLOW_TIMES = {"started_at": "start_date", "ended_at": "end_date", "status": "state"}
_AIRFLOW = [
    RecordMap(
        "Airflow task instances",
        "airflow",
        "dag_id task_id state start_date end_date",
        roles(
            series_key="dag_id",
            run="dag_run_id run_id execution_date logical_date @page",
            job="task_id",
            part="map_index",
            duration_s="duration",
            queued_at="queued_when",
            try_number="try_number",
            **_AIRFLOW_TIMES,
        ),
    ),
    RecordMap(
        "Airflow DAG runs",
        "airflow",
        "dag_id dag_run_id|run_id state start_date end_date",
        roles(
            series_key="dag_id",
            run="dag_run_id run_id",
            queued_at="queued_at",
            **_AIRFLOW_TIMES,
        ),
        lacks="task_id",
        is_run=True,
    ),
]
# https://docs.prefect.io/v3/api-ref/rest-api; total_run_time counts the running states only
_PREFECT_TIMES = {"started_at": "start_time", "ended_at": "end_time", "id": "id"}
_PREFECT = [
    RecordMap(
        "Prefect task runs",
        "prefect",
        "flow_run_id task_key state_type start_time end_time",
        roles(
            run="flow_run_id",
            job="task_key",
            part="dynamic_key",
            duration_s="total_run_time",
            status="state_name state_type",
            **_PREFECT_TIMES,
        ),
    ),
    RecordMap(
        "Prefect flow runs",
        "prefect",
        "flow_id state_type start_time end_time",
        roles(
            series_key="flow_id",
            series="flow_name flow.name flow_id",
            run="id",
            duration_s="total_run_time",
            status="state_name state_type",
            **_PREFECT_TIMES,
        ),
        lacks="task_key",
        is_run=True,
    ),
]
WORKFLOW_MAPS = (*_AIRFLOW, *_PREFECT)
