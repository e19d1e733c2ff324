"""Job histories of the Slurm workload manager, from what its `sacct` command prints."""

from pathlib import Path
from types import NoneType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._durations import to_seconds
from sklearn_jobtime.loaders._json_documents import field, json_documents
from sklearn_jobtime.loaders._open_file import MAX_BYTES, open_text
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.runs._long_table import long_table
from sklearn_jobtime.runs._validation import BadValueError

__all__ = ["elapsed_seconds", "read_slurm"]


_NEEDED = ("JobID", "JobName", "User", "State", "Start", "End")
_ASK = (
    "ask for them with: sacct --parsable2 "
    "--format=JobID,JobName,User,Submit,Start,End,Elapsed,State"
)
_NO_TIME = ("", "Unknown", "None", "UNLIMITED", "INVALID", "Partition_Limit")
# A run is the digits of a job, with its place in an array; what follows is a part of the run:
# the component of a heterogeneous job, and the step.
_JOB_ID = r"^(?P<run>\d+(?:_(?:\d+|\[.*\]))?)(?P<component>\+\d+)?(?P<step>\..+)?$"
_CLOCK = r"(?:\d+-)?[\d:]*\d:\d+(?:\.\d+)?"


def elapsed_seconds(elapsed: pd.Series) -> pd.Series:
    """Turn Slurm's elapsed times into seconds.

    Parameters
    ----------
    elapsed : Series of str
        ``[[days-]hours:]minutes:seconds[.fraction]``; `INVALID`, `UNLIMITED`, `Unknown` and
        nothing at all mean that the time is not known.

    Returns
    -------
    Series of float64 seconds, NaN where not known

    Raises
    ------
    SourceError
        When a value is in another format; it names the row.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders.slurm import elapsed_seconds
    >>> elapsed_seconds(pd.Series(["1-02:03:04", "03:04.5", "INVALID"])).tolist()
    [93784.0, 184.5, nan]
    """
    known = elapsed.where(~elapsed.isin(_NO_TIME))
    try:
        wrong = known.notna() & ~known.str.fullmatch(_CLOCK).eq(True)
        if wrong.any():
            raise BadValueError(known, int(wrong.to_numpy().argmax()), "is no clock")
        return to_seconds(known, short_clock="minutes")
    except BadValueError as error:
        raise SourceError(
            f"{elapsed.name}, {elapsed.index.name or 'row'} {elapsed.index[error.row]}: "
            f"{elapsed.iloc[error.row]!r} is no elapsed time; expected "
            "[[days-]hours:]minutes:seconds, such as 1-02:03:04."
        ) from None


def read_slurm(
    path: str | Path,
    *,
    timezone: str = "UTC",
    steps: bool = False,
    delimiter: str = "|",
    on_unknown: str = "error",
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read what `sacct` printed, as a long table with one row a job.

    A job that recurs is the same user running the same job name, so these two name the series
    (``alice/etl``). Each submission is a run, and so is each task of an array. It has one job,
    named `job` in every series, so that a cluster of thousands of names stays a table of one
    column. Write the history with one of::

        sacct --parsable2 --format=JobID,JobName,User,Submit,Start,End,Elapsed,State > jobs.txt
        sacct --json > jobs.json

    Parameters
    ----------
    path : str or Path
        The file, plain or gzip. JSON is told from text by its first character.
    timezone : str, default="UTC"
        The cluster's time zone, such as "Europe/Berlin": the times in the text carry none. Times
        in JSON are seconds since 1970 and need none.
    steps : bool, default=False
        Whether the steps of a job (`batch`, `extern`, those of `srun`) are jobs of its run too,
        named ``job.batch``. They overlap with the whole job, so they are left out by default.
    delimiter : str, default="|"
        What separates the fields, when `sacct` was given ``--delimiter``, because a job's name
        holds the bar.
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
        jobs. The components of a heterogeneous job are jobs of one run: `job+0`, `job+1`.

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
    if is_json:
        records = _read_json(path, max_bytes)
    else:
        records = _read_parsable(path, delimiter, max_bytes, _zone(timezone))
    if records.empty:
        raise SourceError(
            f"{path}: holds no job; check the span and the users sacct was asked for."
        )
    return _to_long(records, steps=steps, on_unknown=on_unknown)


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(
            f"timezone: expected the name of a time zone such as 'Europe/Berlin', got {timezone!r}."
        ) from error


def _read_parsable(
    path: str | Path, delimiter: str, max_bytes: int, zone: ZoneInfo
) -> pd.DataFrame:
    rows, numbers = [], []
    with open_text(path, max_bytes=max_bytes) as lines:
        header = lines.readline().rstrip("\n").split(delimiter)
        if missing := [name for name in _NEEDED if name not in header]:
            raise SourceError(
                f"{path}, line 1: no field {', '.join(missing)} in the header "
                f"{delimiter.join(header)[:200]!r} (separated by {delimiter!r}); {_ASK}"
            )
        for number, line in enumerate(lines, start=2):
            if line == "\n":
                continue
            fields = line.rstrip("\n").split(delimiter)
            if len(fields) != len(header):
                raise SourceError(
                    f"{path}, line {number}: {len(fields)} fields, the header has {len(header)}; "
                    f"if a name holds {delimiter!r}, run sacct with another --delimiter, or with "
                    "--json; if the line was cut off, run it again."
                )
            rows.append(fields)
            numbers.append(number)
    _check_any(rows, path)
    table = pd.DataFrame(rows, columns=header, index=pd.Index(numbers, name="line"))
    table = table.loc[:, ~table.columns.duplicated()]
    return _parse_fields(table, path, zone)


def _check_any(rows: list[Any], path: str | Path) -> None:
    if not rows:
        raise SourceError(f"{path}: holds no job; check the dates and users sacct was asked for.")


def _parse_fields(table: pd.DataFrame, path: str | Path, zone: ZoneInfo) -> pd.DataFrame:
    """Fields of a `sacct` text as times and numbers; the index is the line of the file."""
    elapsed = pd.Series(np.nan, index=table.index)
    if "Elapsed" in table:
        elapsed = elapsed_seconds(table["Elapsed"].rename(f"{path}, field Elapsed"))
    start, end = (_local_times(table[name], path) for name in ("Start", "End"))
    started = _localize(start, zone, first=True)
    ended = _localize(end, zone, first=True)
    # In the repeated hour: the later moment where the earlier leaves no room for the job.
    room = (ended - started).dt.total_seconds()
    ended = ended.where(~(room < elapsed.fillna(0.0) - 1.0), _localize(end, zone, first=False))
    submitted = started
    if "Submit" in table:
        submitted = _localize(_local_times(table["Submit"], path), zone, first=True)
    return pd.DataFrame(
        {
            "id": table["JobID"],
            "name": table["JobName"],
            "user": table["User"],
            # Slurm says by whom: "CANCELLED by 1000".
            "state": table["State"].str.partition(" ")[0].str.rstrip("+"),
            "submitted_at": submitted if "Submit" in table else pd.NaT,
            "started_at": started,
            "ended_at": ended,
            "duration": elapsed.fillna((ended - started).dt.total_seconds()),
            "place": [f"{path}, line {number}" for number in table.index],
        }
    )


def _local_times(column: pd.Series, path: str | Path) -> pd.Series:
    times = pd.to_datetime(column, format="%Y-%m-%dT%H:%M:%S", errors="coerce")
    wrong = times.isna() & ~column.isin(_NO_TIME)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise SourceError(
            f"{path}, field {column.name}, line {column.index[row]}: {column.iloc[row]!r} is no "
            "time; expected 2026-03-01T04:00:00, as sacct writes it without SLURM_TIME_FORMAT."
        )
    return times


def _localize(times: pd.Series, zone: ZoneInfo, *, first: bool) -> pd.Series:
    which = np.full(len(times), first)
    return times.dt.tz_localize(zone, ambiguous=which, nonexistent="shift_forward").dt.tz_convert(
        "UTC"
    )


def _number(value: Any) -> float | None:
    """Read a number as such or, as newer versions say it, {"set", "infinite", "number"}."""
    if isinstance(value, dict):
        usable = value.get("set") and not value.get("infinite")
        return value.get("number") if usable else None
    return value if isinstance(value, int | float) else None


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
    _check_any(rows, path)
    columns = ("id", "name", "user", "state", "place", *_JSON_TIMES)
    table = pd.DataFrame(rows, columns=columns)
    for column in ("submitted_at", "started_at", "ended_at"):
        seconds = pd.to_numeric(table[column])
        # 0 means "not yet".
        table[column] = pd.to_datetime(seconds.where(seconds > 0), unit="s", utc=True)
    span = (table["ended_at"] - table["started_at"]).dt.total_seconds()
    table["duration"] = pd.to_numeric(table["duration"]).astype("float64").fillna(span)
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
        times = {column: _number(time.get(key)) for column, key in _JSON_TIMES.items()}
        current = state.get("current") if isinstance(state, dict) else state
        row = {"id": job_id + suffix, "name": name, "user": user, "place": at}
        rows.append({**row, "state": _state(current, f"{at}.state"), **times})
    return rows


def _to_long(records: pd.DataFrame, *, steps: bool, on_unknown: str) -> pd.DataFrame:
    parts = records["id"].str.extract(_JOB_ID)
    if parts["run"].isna().any():
        row = int(parts["run"].isna().to_numpy().argmax())
        raise SourceError(
            f"{records['place'].iloc[row]}: {records['id'].iloc[row]!r} is no Slurm job id; "
            "expected 123, 123_4 (array), 123+0 (heterogeneous) or 123.batch (step)."
        )
    parts = parts.fillna("")
    rows = records.assign(run=parts["run"], part=parts["component"] + parts["step"])
    rows["allocation"] = parts["run"] + parts["component"]
    rows["is_step"] = parts["step"] != ""
    rows["status"], rows["has_ended"] = read_states(rows["state"], "slurm", on_unknown=on_unknown)
    dropped = {}
    if not steps:
        dropped["job step"] = int(rows["is_step"].sum())
        rows = rows[~rows["is_step"]]
    started = rows["started_at"].notna()
    dropped["not started"] = int((~started).sum())
    # The newest try comes last; sacct --duplicates prints the older ones of a requeued job too.
    rows = rows[started].sort_values("started_at", kind="stable")
    owners = rows[~rows["is_step"]]
    newest = rows["allocation"].map(owners.groupby("allocation")["started_at"].max())
    older = rows.duplicated(["run", "part"], keep="last") | (rows["started_at"] < newest)
    dropped["earlier try of a requeued job"] = int((older & newest.notna()).sum())
    dropped["step without its job"] = int(newest.isna().sum())
    rows = rows[~older & newest.notna()]
    leader = owners.drop_duplicates("run").set_index("run")
    queued = (rows["started_at"] - rows["submitted_at"]).dt.total_seconds()
    rows = rows.assign(
        series=rows["run"].map(leader["user"] + "/" + leader["name"]),
        job="job" + rows["part"],
        queued_seconds=queued.where(~rows["is_step"]),
    )
    kept = ["series", "run", "job", "started_at", "ended_at", "duration", "status"]
    return long_table(rows[[*kept, "has_ended", "queued_seconds"]], dropped)
