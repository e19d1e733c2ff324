"""Job histories of the Slurm workload manager, from what its `sacct` command prints."""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._durations import to_seconds
from sklearn_jobtime.loaders._identity import named_apart
from sklearn_jobtime.loaders._json_documents import field, json_documents
from sklearn_jobtime.loaders._moments import to_moments, unknown_moments
from sklearn_jobtime.loaders._open_file import MAX_BYTES, open_text
from sklearn_jobtime.loaders._places import at_its_place
from sklearn_jobtime.loaders._redundant import forget_unknown_moments
from sklearn_jobtime.loaders._slurm_text import elapsed_seconds, read_text
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.runs._long_table import long_table

__all__ = ["elapsed_seconds", "read_slurm"]


# A run is the digits of a job, with its place in an array; what follows is a part of the run:
# the component of a heterogeneous job, and the step.
_JOB_ID = r"^(?P<run>\d+(?:_(?:\d+|\[.*\]))?)(?P<component>\+\d+)?(?P<step>\..+)?$"
# How older versions write "infinite" and "no value" into numbers of 32 and 64 bits.
_NOT_SET = (2**32 - 1, 2**32 - 2, 2**64 - 1, 2**64 - 2)
# A requeued job was given back to the queue by its end, or by hand as long as Slurm remembers it.
_REQUEUE = pd.Timedelta(minutes=10)
_GIVEN_BACK = (
    *("REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "PREEMPTED"),
    *("NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "RECONFIG_FAIL", "RESIZING"),
)


def read_slurm(
    path: str | Path,
    *,
    timezone: str | None = None,
    steps: bool = False,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    on_unknown: str = "error",
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read what `sacct` printed, as a long table with one row a job.

    A job that recurs is the same user running the same job name, so these two name the series
    (``alice/etl``). Each submission is a run, and so is each task of an array. It has one job,
    named `job` in every series, so that a cluster of thousands of names stays a table of one
    column. Write the history with one of::

        sacct --parsable2 --format=JobID,JobName,User,Cluster,Submit,Start,End,Elapsed,State > x.txt
        sacct --json > jobs.json

    Columns of fixed width (without ``--parsable2``), other delimiters and texts without a header
    are read too. A job is told by its id with cluster, user, name and time of submission, since
    ids are used again.

    Parameters
    ----------
    path : str or Path
        The file, plain or gzip. JSON is told from text by its first character.
    timezone : str, default=None
        The cluster's time zone, such as "Europe/Berlin": the times in the text carry none. None
        takes them as UTC, and says so. Times in JSON are seconds since 1970 and need none.
    steps : bool, default=False
        Whether the steps of a job (`batch`, `extern`, those of `srun`) are jobs of its run too,
        named ``job.batch``. They overlap with the whole job, so they are left out by default.
    delimiter : str, default=None
        What separates the fields, when `sacct` was given ``--delimiter``, because a job's name
        holds the bar. None finds it in the header.
    columns : sequence of str, default=None
        The fields of a text without a header (``sacct --noheader``), in their order, as in
        ``--format``. One of `JobName` and `User` will do; a series is then named by it alone.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that :data:`~sklearn_jobtime.loaders.STATES` lacks.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it, and
        `queued_seconds`, the wait from submission to start. ``.attrs["dropped"]`` counts the
        rows left out: job steps, jobs that have not started, and the earlier tries of requeued
        jobs. ``.attrs["notes"]`` says what was assumed. The components of a heterogeneous job are
        jobs of one run: `job+0`, `job+1`.

    Raises
    ------
    SourceError
        When the file cannot be read or lacks a field; it names line and remedy.
    RunTableError
        When a state is unknown.

    Notes
    -----
    In the hour that a clock repeats in autumn, a start is taken as the earlier of the two
    moments, an end as the one that fits `Elapsed`. Time that a job was suspended is not in
    `Elapsed`, and so not in its duration.

    A job of the same id, cluster, user and name is a further try of a requeued job when it was
    submitted at the same time, or when the one before it ended (Slurm writes the requeue as a
    submission); else it is another job that got a used id, and a run of its own, called
    ``<id>@<start>``. Where one user runs one name on several clusters, each cluster is a series.

    References
    ----------
    .. [1] Slurm, "sacct - displays accounting data", https://slurm.schedmd.com/sacct.html

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_slurm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "jobs.txt")
    ...     _ = path.write_text(
    ...         "JobID|JobName|User|Submit|Start|End|Elapsed|State\n"
    ...         "7|etl|alice|2026-03-01T04:00:00|2026-03-01T04:01:00|2026-03-01T04:03:00|"
    ...         "00:02:00|COMPLETED\n"
    ...     )
    ...     jobs = read_slurm(path)
    >>> jobs[["series", "run", "job", "duration", "status", "queued_seconds"]]
          series run  job  duration   status  queued_seconds
    0  alice/etl   7  job     120.0  success            60.0
    """
    with open_text(path, max_bytes=max_bytes) as lines:
        is_json = lines.readline().lstrip().startswith("{")
    notes: list[str] = []
    if is_json:
        if columns is not None:
            raise ValueError("columns names the fields of a text; the JSON of sacct names its own.")
        records = _read_json(path, max_bytes)
    else:
        records = read_text(
            path,
            columns=columns,
            delimiter=delimiter,
            timezone=timezone,
            max_bytes=max_bytes,
            notes=notes,
        )
    forget_unknown_moments(records, notes, unknown_moments)
    roles = records.attrs.pop("columns")
    table = _to_long(records, steps=steps, on_unknown=on_unknown, notes=notes)
    table.attrs["columns"] = roles
    return table


def _number(value: Any) -> float | None:
    """Read a number as such or, as newer versions say it, {"set", "infinite", "number"}."""
    if isinstance(value, dict):
        usable = value.get("set") and not value.get("infinite")
        return value.get("number") if usable else None
    return value if isinstance(value, int | float) and value not in _NOT_SET else None


def _seconds(time: dict[str, Any], name: str, place: str) -> float | None:
    value = time.get(name)
    if isinstance(value, str | list | bool):
        raise SourceError(f"{place}.time.{name}: expected a number of seconds, got {value!r}.")
    return _number(value)


def _state(value: Any, place: str) -> str:
    """Take the base state; newer versions write a list, the base state first, then flags."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, str):
        raise SourceError(f"{place}: expected a state such as 'COMPLETED', got {value!r}.")
    return value.partition(" ")[0]


def _json_job_id(job: dict[str, Any], place: str) -> str:
    array, het = (field(job, name, (dict, NoneType), place) or {} for name in ("array", "het"))
    task = _number(array.get("task_id"))
    if array.get("job_id") and (task is not None or array.get("task")):
        # Older Slurm cannot say "no task id"; it writes the waiting tasks as text beside it.
        return f"{array['job_id']}_" + (f"[{array['task']}]" if array.get("task") else f"{task}")
    if leader := _number(het.get("job_id")):
        return f"{leader}+{_number(het.get('job_offset')) or 0}"
    return str(field(job, "job_id", int, place))


def _read_json(path: str | Path, max_bytes: int) -> pd.DataFrame:
    rows = []
    for place, document in json_documents(path, max_bytes=max_bytes):
        for number, job in enumerate(field(document, "jobs", list, place)):
            rows.extend(_json_rows(job, f"{place}, jobs[{number}]"))
    if not rows:
        raise SourceError(f"{path}: holds no job; check the dates and users sacct was asked for.")
    columns = ("id", "name", "user", "cluster", "state", "place", *_JSON_TIMES)
    table = pd.DataFrame(rows, columns=columns)
    for column in ("submitted_at", "started_at", "ended_at"):
        seconds = pd.to_numeric(table[column], errors="coerce").astype("float64")
        # 0 means "not yet".
        seconds = seconds.where(seconds > 0).rename(f"time.{_JSON_TIMES[column]}")
        try:
            table[column] = to_moments(seconds, unit=1.0)
        except BadValueError as error:
            raise at_its_place(error, table["place"]) from None
    elapsed = pd.to_numeric(table["duration"]).astype("float64").rename("time.elapsed")
    try:
        elapsed = to_seconds(elapsed)
    except BadValueError as error:
        raise at_its_place(error, table["place"]) from None
    span = (table["ended_at"] - table["started_at"]).dt.total_seconds()
    table = table.assign(duration=elapsed.fillna(span))
    table.attrs["columns"] = {
        "series": "user/name",
        "run": "job_id, array and het",
        "job": "het.job_offset and steps.step.id",
        **{role: f"time.{name}" for role, name in _JSON_TIMES.items() if role != "submitted_at"},
        "status": "state.current",
    }
    return table


_JSON_TIMES = {
    "submitted_at": "submission",
    "started_at": "start",
    "ended_at": "end",
    "duration": "elapsed",
}


def _json_rows(job: Any, place: str) -> list[dict[str, Any]]:
    """One row of a job, then one of each of its steps."""
    name, user = (field(job, key, str, place) for key in ("name", "user"))
    cluster = field(job, "cluster", (str, NoneType), place) or ""
    job_id = _json_job_id(job, place)
    parts = [(job, "", place)]
    for number, step in enumerate(field(job, "steps", (list, NoneType), place) or []):
        at = f"{place}.steps[{number}]"
        # 0 and "batch" in 22.05; in later versions "7.batch", or {"job_id": 7, "step_id": "batch"}.
        step_id = field(field(step, "step", dict, at), "id", (int, str, dict), f"{at}.step")
        if isinstance(step_id, dict):
            step_id = field(step_id, "step_id", (int, str), f"{at}.step.id")
        parts.append((step, f".{str(step_id).rpartition('.')[2]}", at))
    rows = []
    for part, suffix, at in parts:
        state = field(part, "state", (dict, list, str), at)
        time = field(part, "time", dict, at)
        times = {column: _seconds(time, key, at) for column, key in _JSON_TIMES.items()}
        current = state.get("current") if isinstance(state, dict) else state
        row = {"id": job_id + suffix, "name": name, "user": user, "cluster": cluster, "place": at}
        rows.append({**row, "state": _state(current, f"{at}.state"), **times})
    return rows


def _to_long(
    records: pd.DataFrame, *, steps: bool, on_unknown: str, notes: list[str]
) -> pd.DataFrame:
    parts = records["id"].str.extract(_JOB_ID)
    if parts["run"].isna().any():
        row = int(parts["run"].isna().to_numpy().argmax())
        raise SourceError(
            f"{records['place'].iloc[row]}: {records['id'].iloc[row]!r} is no Slurm job id; "
            "expected 123, 123_4 (array), 123+0 (heterogeneous) or 123.batch (step)."
        )
    parts = parts.fillna("")
    rows = records.assign(**parts).reset_index(drop=True)
    rows["status"], rows["has_ended"] = read_states(rows["state"], "slurm", on_unknown=on_unknown)
    is_step = rows["step"] != ""
    rows["owner"] = _owners(rows, is_step)
    jobs = _told_apart(rows[~is_step], notes)
    dropped = {}
    if not steps:
        dropped["job step"] = int(is_step.sum())
        rows = rows[~is_step]
    of_job = jobs["why_not"].reindex(rows["owner"]).set_axis(rows.index).astype("str")
    of_job = of_job.where(rows["owner"].isin(jobs.index), "step without its job")
    for why in ("earlier try of a requeued job", "row that stands twice", "step without its job"):
        dropped[why] = int((of_job == why).sum())
    rows = rows[of_job == ""]
    started = rows["started_at"].notna()
    dropped["not started"] = int((~started).sum())
    rows = rows[started]
    queued = (rows["started_at"] - rows["submitted_at"]).dt.total_seconds()
    rows = rows.assign(
        series=rows["owner"].map(jobs["series"]),
        run=rows["owner"].map(jobs["named"]),
        job="job" + rows["component"] + rows["step"],
        queued_seconds=queued.where(rows["step"] == ""),
    )
    kept = ["series", "run", "job", "started_at", "ended_at", "duration", "status"]
    table = long_table(rows[[*kept, "has_ended", "queued_seconds"]], dropped)
    table.attrs |= {"notes": notes}
    return table


def _owners(rows: pd.DataFrame, is_step: pd.Series) -> pd.Series:
    """Row of the job that each row belongs to; `sacct` prints the steps of a job behind it."""
    owner = pd.Series(rows.index, rows.index, dtype="float64").where(~is_step)
    owner = owner.groupby([rows["cluster"], rows["run"], rows["component"]]).ffill()
    begin = rows["started_at"].reindex(owner).set_axis(rows.index)
    # Of lines in another order: a step that began before its job is not one of that job.
    return owner.where(~(rows["started_at"] < begin - pd.Timedelta(seconds=1)))


def _told_apart(jobs: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Say of each row of a job its series and the name of its run, or why it does not count."""
    key = ["cluster", "run", "component", "user"]
    # Of one submission: first what had not started when it was read, then try by try.
    jobs = jobs.assign(begun=jobs["started_at"].notna(), done=jobs["status"].notna())
    order = ["submitted_at", "begun", "started_at", "done"]
    jobs = jobs.sort_values(order, kind="stable", na_position="first")
    before = jobs.groupby(key)[["name", "submitted_at", "started_at", "ended_at", "state"]].shift()
    after = jobs["submitted_at"] - before["ended_at"]
    again = (
        (jobs["submitted_at"] == before["submitted_at"])
        | after.between(-pd.Timedelta(seconds=2), _REQUEUE)
        | (before["state"].isin(_GIVEN_BACK) & ~(after > pd.Timedelta(days=1)))
        | (jobs["started_at"].notna() & (jobs["started_at"] == before["started_at"]))
        | (jobs["submitted_at"].isna() & before["name"].notna() & before["started_at"].isna())
    )
    is_new = ~(again & (jobs["name"] == before["name"]))
    jobs["which"] = is_new.groupby([jobs[k] for k in key]).cumsum()
    one = ["cluster", "run", "user", "which"]
    older = jobs.duplicated([*one, "component"], keep="last")
    code = jobs.groupby([*one, "component"]).ngroup()
    last = jobs["started_at"].groupby(code).tail(1).set_axis(code[~older])
    last = last.reindex(code).set_axis(jobs.index)
    twice = older & ((jobs["started_at"] == last) | jobs["started_at"].isna())
    jobs["why_not"] = ""
    jobs.loc[older, "why_not"] = "earlier try of a requeued job"
    jobs.loc[twice, "why_not"] = "row that stands twice"
    lead = jobs[~older].sort_values("component", kind="stable").drop_duplicates(one)
    lead = lead.assign(series=_series(lead, notes), job="job")
    lead, named = named_apart(lead.assign(number=lead["run"]), "job id")
    notes.extend(named)
    names = lead.assign(named=lead["run"], run=lead["number"]).set_index(one)[["series", "named"]]
    return jobs.join(names, on=one)


def _series(jobs: pd.DataFrame, notes: list[str]) -> pd.Series:
    """User and name; and the cluster where both are on several."""
    both = (jobs["user"] != "") & (jobs["name"] != "")
    series = (jobs["user"] + "/" + jobs["name"]).where(both, jobs["user"] + jobs["name"])
    several = jobs["cluster"].groupby(series).transform("nunique") > 1
    if several.any():
        notes.append(
            f"{series[several].nunique()} users' jobs ran on several clusters, such as "
            f"{series[several].iloc[0]!r}: each cluster is a series of its own."
        )
    return series.where(~several, series + " (" + jobs["cluster"] + ")")
