"""What the words of each system mean in the one vocabulary of statuses.

None: the job has not ended.
"""

from sklearn_jobtime.runs._schema import STATUSES

__all__ = ["STATES"]


def _by_status(
    *,
    success: str = "",
    failed: str = "",
    timeout: str = "",
    cancelled: str = "",
    skipped: str = "",
    not_ended: str = "",
) -> dict[str, str | None]:
    words = (success, failed, timeout, cancelled, skipped)
    table: dict[str, str | None] = {
        state: status
        for status, states in zip(STATUSES, words, strict=True)
        for state in states.split()
    }
    return {**table, **dict.fromkeys(not_ended.split())}


# Sources: Airflow TaskInstanceState (2.x and 3.x), Slurm "job state codes" of sacct(1), GitHub
# REST API check-run conclusions, Jenkins hudson.model.Result and the StatusExt of its pipelines,
# Parallel Workloads Archive field 11; GitLab "Pipelines API" and "Jobs API", Buildkite "Build and
# job states", Azure DevOps BuildResult/TaskResult, CircleCI API v2 workflows and jobs, Prefect
# "States", Dagster DagsterRunStatus, Argo NodePhase, dbt RunStatus/TestStatus, Nextflow trace
# file, LSF bjobs(1), Google Cloud Build, AWS Step Functions and Batch, Kubernetes, Databricks Jobs
# API, Celery, Control-M.
STATES: dict[str, dict[str, str | None]] = {
    # What systems of one's own write, and the words on which the systems below do not agree.
    "plain": _by_status(
        success="success ok succeeded successful passed pass completed complete done finished true "
        "yes",
        failed="failed fail failure error errored false no",
        timeout="timeout timed_out timedout",
        cancelled="cancelled canceled aborted abort killed terminated stopped interrupted",
        skipped="skipped skip ignored removed not_run",
        not_ended="running queued pending started starting in_progress waiting scheduled created "
        "retrying blocked submitted new suspended",
    ),
    "airflow": _by_status(
        success="success",
        failed="failed",
        cancelled="shutdown",
        skipped="skipped upstream_failed removed",
        not_ended="running queued scheduled restarting up_for_retry up_for_reschedule "
        "awaiting_input deferred sensing",
    ),
    "slurm": _by_status(
        success="COMPLETED",
        failed="FAILED BOOT_FAIL NODE_FAIL OUT_OF_MEMORY LAUNCH_FAILED RECONFIG_FAIL SPECIAL_EXIT",
        timeout="TIMEOUT DEADLINE",
        cancelled="CANCELLED PREEMPTED REVOKED REQUEUED",
        not_ended="STOPPED SUSPENDED RUNNING PENDING CONFIGURING COMPLETING RESIZING REQUEUE_HOLD "
        "REQUEUE_FED SIGNALING STAGE_OUT RESV_DEL_HOLD",
    ),
    "swf": {"-1": "success", "0": "failed", "1": "success", "5": "cancelled"},
    "github": _by_status(
        success="success neutral",
        failed="failure startup_failure",
        timeout="timed_out",
        cancelled="stale cancelled",
        skipped="skipped",
        not_ended="action_required queued in_progress waiting requested pending",
    ),
    "jenkins": _by_status(
        success="SUCCESS UNSTABLE",
        failed="FAILURE FAILED",
        cancelled="ABORTED",
        skipped="NOT_BUILT NOT_EXECUTED",
        not_ended="IN_PROGRESS PAUSED_PENDING_INPUT",
    ),
    # A manual job that nobody started does not hold its pipeline open.
    "gitlab": _by_status(
        success="success",
        failed="failed",
        cancelled="canceled",
        skipped="skipped manual",
        not_ended="created waiting_for_resource preparing waiting_for_callback pending running "
        "canceling scheduled",
    ),
    "buildkite": _by_status(
        success="passed",
        failed="failed",
        timeout="timed_out",
        cancelled="canceled expired",
        skipped="skipped not_run broken waiting_failed blocked_failed unblocked_failed unblocked",
        not_ended="creating scheduled running failing canceling timing_out blocked waiting "
        "limiting limited assigned accepted reserved platform_limiting platform_limited",
    ),
    "azure": _by_status(
        success="succeeded succeededWithIssues partiallySucceeded",
        failed="failed",
        cancelled="canceled abandoned",
        skipped="skipped",
        not_ended="inProgress notStarted cancelling postponed none",
    ),
    "circleci": _by_status(
        success="success fixed",
        failed="failed error infrastructure_fail infra_failure unauthorized terminated_unknown "
        "retried",
        timeout="timedout",
        cancelled="canceled",
        skipped="not_run no_tests",
        not_ended="on_hold failing running queued not_running blocked",
    ),
    # What was taken from a cache did not run.
    "prefect": _by_status(
        success="Completed",
        failed="Failed Crashed RolledBack",
        timeout="TimedOut",
        cancelled="Cancelled",
        skipped="Cached Skipped",
        not_ended="Cancelling Paused Suspended Scheduled Late Retrying AwaitingRetry "
        "AwaitingConcurrencySlot Resuming Pending Running",
    ),
    "dagster": _by_status(
        success="SUCCESS",
        failed="FAILURE",
        cancelled="CANCELED",
        skipped="SKIPPED",
        not_ended="QUEUED NOT_STARTED MANAGED STARTING STARTED CANCELING",
    ),
    "argo": _by_status(
        success="Succeeded",
        failed="Failed Error",
        skipped="Skipped Omitted",
        not_ended="Pending Running Daemoned",
    ),
    # A test that warns has run to its end; of a partial success some batches failed.
    "dbt": _by_status(
        success="success pass warn",
        failed="error fail runtime_error partial_success",
        skipped="skipped no_op reused",
    ),
    "nextflow": _by_status(
        success="COMPLETED",
        failed="FAILED",
        cancelled="ABORTED",
        skipped="CACHED",
        not_ended="NEW SUBMITTED RUNNING",
    ),
    "lsf": _by_status(
        success="DONE POST_DONE",
        failed="EXIT POST_ERR",
        timeout="TERM_RUNLIMIT TERM_CPULIMIT TERM_DEADLINE",
        cancelled="TERM_OWNER TERM_ADMIN TERM_FORCE_OWNER TERM_FORCE_ADMIN TERM_BUCKET_KILL "
        "TERM_REMOVE_HUNG_JOB TERM_ORPHAN_SYSTEM TERM_PREEMPT TERM_WINDOW TERM_LOAD TERM_OTHER "
        "TERM_CHKPNT TERM_MC_RECALL TERM_RC",
        not_ended="PEND RUN PSUSP USUSP SSUSP PROV",
    ),
    "cloud_build": _by_status(
        success="SUCCESS",
        failed="FAILURE INTERNAL_ERROR",
        timeout="TIMEOUT",
        cancelled="CANCELLED EXPIRED",
        not_ended="PENDING QUEUED WORKING STATUS_UNKNOWN",
    ),
    "aws": _by_status(
        success="SUCCEEDED",
        failed="FAILED FAULT CLIENT_ERROR",
        timeout="TIMED_OUT",
        cancelled="ABORTED STOPPED SUPERSEDED",
        not_ended="RUNNING SUBMITTED PENDING RUNNABLE STARTING STOPPING PENDING_REDRIVE "
        "IN_PROGRESS",
    ),
    "kubernetes": _by_status(
        success="Succeeded Completed Complete",
        failed="Failed Error OOMKilled Evicted BackoffLimitExceeded ContainerCannotRun",
        timeout="DeadlineExceeded",
        not_ended="Pending Running ContainerCreating PodInitializing Terminating",
    ),
    "databricks": _by_status(
        success="SUCCESS SUCCESS_WITH_FAILURES",
        failed="FAILED INTERNAL_ERROR",
        timeout="TIMEDOUT",
        cancelled="CANCELED",
        skipped="SKIPPED EXCLUDED UPSTREAM_FAILED UPSTREAM_CANCELED DISABLED "
        "MAXIMUM_CONCURRENT_RUNS_REACHED",
        not_ended="QUEUED PENDING RUNNING TERMINATING BLOCKED WAITING_FOR_RETRY",
    ),
    "celery": _by_status(
        success="SUCCESS",
        failed="FAILURE REJECTED",
        cancelled="REVOKED",
        skipped="IGNORED",
        not_ended="PENDING RECEIVED STARTED RETRY",
    ),
    "control_m": _by_status(
        success="Ended_OK",
        failed="Ended_Not_OK",
        not_ended="Executing Wait_User Wait_Resource Wait_Condition Wait_Host",
    ),
}
