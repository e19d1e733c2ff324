"""What was known when: which runs had ended when another one started."""

from sklearn_jobtime.point_in_time._clock import Clock, epoch_seconds, read_clock
from sklearn_jobtime.point_in_time._job_history import JobHistory, newest_decayed_sums
from sklearn_jobtime.point_in_time._memory import Memory, given_again, recall, remember
from sklearn_jobtime.point_in_time._order import (
    EndedOrder,
    ended_by_job,
    ended_order,
    rows_to_remember,
)
from sklearn_jobtime.point_in_time._rolling import (
    decayed_sums,
    newest,
    row_mean,
    row_median,
    row_quantile,
    runs_that_weigh,
)
from sklearn_jobtime.point_in_time._splits import (
    TimeSplit,
    in_start_order,
    known_targets,
    newest_share,
    split_in_time,
    split_rows,
)
from sklearn_jobtime.point_in_time._table_memory import RememberedRows
from sklearn_jobtime.point_in_time._timed_windows import TimedWindows, in_time_order, time_order

__all__ = [
    "Clock",
    "EndedOrder",
    "JobHistory",
    "Memory",
    "RememberedRows",
    "TimeSplit",
    "TimedWindows",
    "decayed_sums",
    "ended_by_job",
    "ended_order",
    "epoch_seconds",
    "given_again",
    "in_start_order",
    "in_time_order",
    "known_targets",
    "newest",
    "newest_decayed_sums",
    "newest_share",
    "read_clock",
    "recall",
    "remember",
    "row_mean",
    "row_median",
    "row_quantile",
    "rows_to_remember",
    "runs_that_weigh",
    "split_in_time",
    "split_rows",
    "time_order",
]
