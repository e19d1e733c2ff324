"""One vocabulary of statuses for every source, and the table that maps to it.

A state maps to one of :data:`~sklearn_jobtime.runs.STATUSES`, or to None: the job has not ended,
so neither its status nor its duration is known yet.
"""

import warnings

import pandas as pd

from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs._schema import STATUSES

__all__ = ["STATES", "to_status"]


# Sources: Airflow TaskInstanceState (2.x and 3.x), Slurm "job state codes" of sacct(1), GitHub
# REST API check-run conclusions, Jenkins hudson.model.Result and the StatusExt of its pipelines,
# Parallel Workloads Archive field 11.
STATES: dict[str, dict[str, str | None]] = {
    "plain": {
        **{status: status for status in STATUSES},
        "ok": "success",
        "succeeded": "success",
        "successful": "success",
        "passed": "success",
        "completed": "success",
        "done": "success",
        "fail": "failed",
        "failure": "failed",
        "error": "failed",
        "timed_out": "timeout",
        "canceled": "cancelled",
        "aborted": "cancelled",
        "killed": "cancelled",
        "skip": "skipped",
        "running": None,
        "queued": None,
        "pending": None,
    },
    "airflow": {
        "success": "success",
        "failed": "failed",
        "skipped": "skipped",
        "upstream_failed": "skipped",
        "removed": "skipped",
        "running": None,
        "queued": None,
        "scheduled": None,
        "restarting": None,
        "up_for_retry": None,
        "up_for_reschedule": None,
        "awaiting_input": None,
        "deferred": None,
        "sensing": None,
        "shutdown": "cancelled",
    },
    "slurm": {
        "COMPLETED": "success",
        "FAILED": "failed",
        "BOOT_FAIL": "failed",
        "NODE_FAIL": "failed",
        "OUT_OF_MEMORY": "failed",
        "LAUNCH_FAILED": "failed",
        "RECONFIG_FAIL": "failed",
        "TIMEOUT": "timeout",
        "DEADLINE": "timeout",
        "CANCELLED": "cancelled",
        "PREEMPTED": "cancelled",
        "REVOKED": "cancelled",
        "REQUEUED": "cancelled",
        "SPECIAL_EXIT": "failed",
        "STOPPED": None,
        "SUSPENDED": None,
        "RUNNING": None,
        "PENDING": None,
        "CONFIGURING": None,
        "COMPLETING": None,
        "RESIZING": None,
        "REQUEUE_HOLD": None,
        "REQUEUE_FED": None,
        "SIGNALING": None,
        "STAGE_OUT": None,
        "RESV_DEL_HOLD": None,
    },
    "swf": {"-1": "success", "0": "failed", "1": "success", "5": "cancelled"},
    "github": {
        "success": "success",
        "neutral": "success",
        "failure": "failed",
        "startup_failure": "failed",
        "action_required": None,
        "stale": "cancelled",
        "timed_out": "timeout",
        "cancelled": "cancelled",
        "skipped": "skipped",
        "queued": None,
        "in_progress": None,
        "waiting": None,
        "requested": None,
        "pending": None,
    },
    "jenkins": {
        "SUCCESS": "success",
        "UNSTABLE": "success",
        "FAILURE": "failed",
        "NOT_BUILT": "skipped",
        "ABORTED": "cancelled",
        # stages of a pipeline
        "FAILED": "failed",
        "NOT_EXECUTED": "skipped",
        "IN_PROGRESS": None,
        "PAUSED_PENDING_INPUT": None,
    },
}


def to_status(states: pd.Series, system: str, *, on_unknown: str = "error") -> pd.Series:
    """Map the states of a source to the one vocabulary.

    Parameters
    ----------
    states : Series of str
        As the source writes them; the case is ignored, and missing stays missing.
    system : str
        A key of `STATES`.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that is in no table. "warn" leaves its status missing, as of a
        run that has not ended, so that its duration is not learned from.

    Returns
    -------
    Series of object
        Statuses; None where the job has not ended.

    Raises
    ------
    RunTableError
        When a state is unknown and `on_unknown` is "error"; it names the states.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders import to_status
    >>> to_status(pd.Series(["COMPLETED", "NODE_FAIL", "RUNNING"]), "slurm").tolist()
    ['success', 'failed', None]
    """
    if on_unknown not in ("error", "warn"):
        raise ValueError(f"on_unknown must be 'error' or 'warn', got {on_unknown!r}.")
    table = {state.lower(): status for state, status in STATES[system].items()}
    plain = states.astype("str").str.strip().str.lower().where(states.notna())
    unknown = sorted(states[plain.notna() & ~plain.isin(table)].astype(str).unique())
    if unknown:
        message = (
            f"unknown {system} state(s) {', '.join(map(repr, unknown[:10]))} in "
            f"{int((plain.notna() & ~plain.isin(table)).sum())} row(s); expected one of "
            f"{', '.join(STATES[system])}."
        )
        if on_unknown == "error":
            raise RunTableError(
                f"{message} Map them before loading, or pass on_unknown='warn' to leave them out."
            )
        warnings.warn(f"{message} Their status is left missing.", UserWarning, stacklevel=2)
    return pd.Series(
        [table.get(state) if isinstance(state, str) else None for state in plain],
        index=states.index,
        name="status",
        dtype=object,
    )
