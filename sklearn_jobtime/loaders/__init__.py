"""Readers of run histories, one a system."""

from sklearn_jobtime.loaders._sources import SOURCES, read_source
from sklearn_jobtime.loaders._states import STATES, to_status
from sklearn_jobtime.loaders._summary import summarise_runs
from sklearn_jobtime.loaders.airflow import read_airflow
from sklearn_jobtime.loaders.airflow_graph import read_airflow_graph
from sklearn_jobtime.loaders.bigquery import read_bigquery
from sklearn_jobtime.loaders.dbt import read_dbt
from sklearn_jobtime.loaders.files import read_log, read_runs, write_table
from sklearn_jobtime.loaders.github import read_github
from sklearn_jobtime.loaders.jenkins import read_jenkins
from sklearn_jobtime.loaders.lsf import read_lsf
from sklearn_jobtime.loaders.nextflow import read_nextflow
from sklearn_jobtime.loaders.pbs import read_pbs
from sklearn_jobtime.loaders.sge import read_sge
from sklearn_jobtime.loaders.slurm import read_slurm
from sklearn_jobtime.loaders.sql import read_sql
from sklearn_jobtime.loaders.swf import read_swf

__all__ = [
    "SOURCES",
    "STATES",
    "read_airflow",
    "read_airflow_graph",
    "read_bigquery",
    "read_dbt",
    "read_github",
    "read_jenkins",
    "read_log",
    "read_lsf",
    "read_nextflow",
    "read_pbs",
    "read_runs",
    "read_sge",
    "read_slurm",
    "read_source",
    "read_sql",
    "read_swf",
    "summarise_runs",
    "to_status",
    "write_table",
]
