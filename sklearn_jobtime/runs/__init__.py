"""The run table: what it means, what breaks it, the targets in it, and how it stood when."""

from sklearn_jobtime._containers import to_utc
from sklearn_jobtime.runs._job_times import job_ends, job_starts
from sklearn_jobtime.runs._long_table import long_table, melt_runs, pivot_runs
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    RESERVED,
    STARTED_AT,
    STATUS_SUFFIX,
    STATUSES,
    WHOLE_RUN,
    clock_columns,
    job_columns,
    series_names,
    series_of,
    start_column,
    status_column,
)
from sklearn_jobtime.runs._targets import make_lower_bounds, make_targets, observed_durations
from sklearn_jobtime.runs._timeline import as_of, next_runs, retired_series, split_by_time
from sklearn_jobtime.runs._validation import validate_runs

__all__ = [
    "ENDED_AT",
    "RESERVED",
    "STARTED_AT",
    "STATUSES",
    "STATUS_SUFFIX",
    "WHOLE_RUN",
    "as_of",
    "clock_columns",
    "job_columns",
    "job_ends",
    "job_starts",
    "long_table",
    "make_lower_bounds",
    "make_targets",
    "melt_runs",
    "next_runs",
    "observed_durations",
    "pivot_runs",
    "retired_series",
    "series_names",
    "series_of",
    "split_by_time",
    "start_column",
    "status_column",
    "to_utc",
    "validate_runs",
]
