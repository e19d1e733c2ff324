"""Run histories of Nextflow, from the trace file that each run writes."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import bad_value
from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._duplicates import UNKNOWN, WORST_FIRST
from sklearn_jobtime.loaders._durations import to_seconds
from sklearn_jobtime.loaders._open_file import MAX_BYTES, find_files, open_text
from sklearn_jobtime.loaders._places import at_its_place
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.runs._long_table import long_table

__all__ = ["read_nextflow"]


ONE_SERIES = "pipeline"
_NEEDED = ("name", "status")
_CACHED = "CACHED"
_LONGEST = 100 * 366 * 86400.0  # seconds
_TAG = r"^(?P<process>\S+?)\s*(?:\((?P<tag>.*)\))?$"
_ROLES = {
    "series": "workflow in front of the process",
    "run": "name of the file",
    "job": "process",
    "started_at": "start, else submit",
    "ended_at": "complete",
    "duration": "complete - start, else realtime",
    "status": "status",
}


def read_nextflow(
    source: str | Path,
    *,
    series: str | None = None,
    timezone: str | None = None,
    on_unknown: str = "error",
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read the trace files of Nextflow's runs, as a long table with one row a process of a run.

    A run is a file (``nextflow run ... -with-trace``), called by its name, or by its folder where
    all files have one name. A job is a process; the tasks that it has in a run are one job, from
    the first start to the last end, with the worst status.

    Parameters
    ----------
    source : str or Path
        A file, a folder, or a pattern such as ``runs/*/trace.txt``.
    series : str, default=None
        The name of the pipeline, which the file does not hold. None takes the workflow in front
        of the processes (``NFCORE_RNASEQ:ALIGN:STAR``), else ``pipeline``.
    timezone : str, default=None
        The time zone of the times in the file, such as "Europe/Berlin". None takes them as UTC,
        and says so; with ``trace.raw = true`` they are milliseconds since 1970 and need none.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a status that is not known.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it, and
        `queued_seconds`, the shortest wait of the job's tasks. ``.attrs["dropped"]`` counts tasks
        that were taken from the cache, and the earlier tries of tasks.

    Raises
    ------
    SourceError
        When a file cannot be read or lacks a field; it names file and line.
    RunTableError
        When a status is unknown.

    Notes
    -----
    `duration` in the trace is the time from submission to end, `realtime` that from start to end;
    `realtime` counts here. A task that was tried again has several lines, of which the last one
    says how it ended: the job then starts with the first try, and its duration is that of the last.

    References
    ----------
    .. [1] Nextflow, "Trace file", https://www.nextflow.io/docs/latest/reports.html#trace-file

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_nextflow
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "trace-7.txt")
    ...     _ = path.write_text(
    ...         "task_id\tname\tstatus\texit\tsubmit\tduration\trealtime\n"
    ...         "1\tFASTQC (a)\tCOMPLETED\t0\t2026-03-01 04:00:00.000\t1m 30s\t1m\n"
    ...         "2\tFASTQC (b)\tCOMPLETED\t0\t2026-03-01 04:00:10.000\t2m\t1m 30s\n"
    ...     )
    ...     read_nextflow(path)[["series", "run", "job", "duration", "status", "queued_seconds"]]
         series      run     job  duration   status  queued_seconds
    0  pipeline  trace-7  FASTQC     100.0  success            30.0
    """
    paths = find_files(source, (".txt", ".tsv", ".csv"))
    if Path(source).is_dir():
        paths = [path for path in paths if "trace" in path.name] or paths
    notes: list[str] = []
    stems = [path.name.partition(".")[0] for path in paths]
    runs = stems if len(set(stems)) == len(stems) else [str(path.parent) for path in paths]
    if len(set(runs)) < len(runs):
        runs = [str(path) for path in paths]
    tables = [_read(path, max_bytes).assign(run=run) for path, run in zip(paths, runs, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    rows = _with_times(table, timezone, notes)
    rows = rows.assign(**table["name"].str.extract(_TAG), state=table["status"], run=table["run"])
    rows["process"] = rows["process"].fillna(table["name"])
    if "process" in table:
        rows["process"] = table["process"].where(table["process"].notna(), rows["process"])
    dropped: dict[str, int] = {}
    rows = _last_tries(rows, dropped, notes)
    status, unknown = read_states(rows["state"], "nextflow", on_unknown=on_unknown)
    rows["outcome"] = status.mask(unknown, UNKNOWN)
    long = long_table(_as_jobs(rows, series, notes), dropped)
    named = {} if series is None else {"series": "named"}
    long.attrs |= {"notes": notes, "columns": {**_ROLES, **named}}
    return long


def _read(path: Path, max_bytes: int) -> pd.DataFrame:
    with open_text(path, max_bytes=max_bytes) as lines:
        first = lines.readline().rstrip("\n")
        delimiter = "\t" if "\t" in first else ","
        header = [name.strip() for name in first.split(delimiter)]
        if missing := [name for name in _NEEDED if name not in header]:
            raise SourceError(
                f"{path}, line 1: no field {', '.join(missing)} in the header {first[:200]!r}; "
                "expected a trace file of Nextflow, with trace.fields = "
                "'task_id,name,status,exit,submit,start,complete,duration,realtime'."
            )
        rows = []
        for number, fields in enumerate(csv.reader(lines, delimiter=delimiter), start=2):
            if not fields:
                continue
            if len(fields) != len(header):
                raise SourceError(
                    f"{path}, line {number}: {len(fields)} fields, the header has {len(header)}."
                )
            rows.append([*(text.strip() for text in fields), f"{path}, line {number}"])
    if not rows:
        raise SourceError(f"{path}: holds no task.")
    table = pd.DataFrame(rows, columns=[*header, "place"], dtype=object)
    return table.mask(table.isin(["-", ""]))


def _times(table: pd.DataFrame, name: str, timezone: str | None) -> pd.Series:
    """Read times, of text or of milliseconds since 1970, as UTC."""
    if name not in table:
        return pd.Series(pd.NaT, table.index, dtype="datetime64[us, UTC]")
    epoch = table[name].str.fullmatch(r"\d{12,14}").fillna(False).astype("bool")
    raw = pd.to_datetime(pd.to_numeric(table[name].where(epoch)), unit="ms", utc=True)
    text = table[name].where(~epoch)
    # pandas takes words such as "today" for times; a trace's own have no zone.
    plain = text.str.fullmatch(r"\d{4}-\d\d-\d\d[ T][\d:.]+").fillna(False).astype("bool")
    written = text.where(plain)
    local = pd.to_datetime(written, format="ISO8601", errors="coerce").astype("datetime64[us]")
    if (wrong := local.isna() & text.notna()).any():
        row = int(wrong.to_numpy().argmax())
        raise SourceError(f"{table['place'].iloc[row]}, {name}: {text.iloc[row]!r} is no time.")
    try:
        zoned = local.dt.tz_localize(
            timezone or "UTC", ambiguous=np.full(len(local), True), nonexistent="shift_forward"
        )
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"timezone: expected the name of a time zone such as 'Europe/Berlin', got {timezone!r}."
        ) from error
    return zoned.dt.tz_convert("UTC").fillna(raw.astype("datetime64[us, UTC]"))


def _seconds(table: pd.DataFrame, name: str) -> pd.Series:
    """Seconds of ``1h 2m 3s``, or of milliseconds as a plain number."""
    if name not in table:
        return pd.Series(np.nan, table.index)
    try:
        seconds = to_seconds(table[name], unit=0.001)
        if (wrong := seconds > _LONGEST).any():
            row = int(wrong.to_numpy().argmax())
            raise bad_value(table[name], row, "is more than 100 years; correct it.")
        return seconds
    except BadValueError as error:
        raise at_its_place(error, table["place"]) from None


def _with_times(table: pd.DataFrame, timezone: str | None, notes: list[str]) -> pd.DataFrame:
    """Start, end and seconds of each task, each from the others where the trace lacks it."""
    submit, start, end = (_times(table, n, timezone) for n in ("submit", "start", "complete"))
    waited, ran = _seconds(table, "duration"), _seconds(table, "realtime")
    if timezone is None and any(
        table[n].str.contains("-", regex=False).any()
        for n in ("submit", "start", "complete")
        if n in table
    ):
        notes.append(
            "the times of the trace carry no time zone and were read as UTC; name it with the "
            "option timezone, such as Europe/Berlin."
        )

    def span(seconds: pd.Series) -> pd.Series:
        return pd.to_timedelta(seconds, unit="s").dt.round("ms")

    end = end.fillna(submit + span(waited)).fillna(start + span(ran))
    start = start.fillna(end - span(ran)).fillna(submit)
    took = (end - start).dt.total_seconds()
    off = (ran - took).abs()
    # Durations are printed in whole seconds from a minute on, in tenths below.
    if (differs := off > (0.02 * took).clip(lower=2.0)).any():
        notes.append(
            f"in {int(differs.sum())} tasks realtime is not complete minus start, by up to "
            f"{off.max():,.0f} s; the clock is used."
        )
    queued = (start - submit).dt.total_seconds()
    return pd.DataFrame(
        {
            "started_at": start,
            "ended_at": end,
            "seconds": took.fillna(ran),
            "queued_seconds": queued.where(queued >= 0),
        }
    )


def _last_tries(rows: pd.DataFrame, dropped: dict[str, int], notes: list[str]) -> pd.DataFrame:
    """Last line of each task, with the start of its first one."""
    cached = rows["state"].str.upper() == _CACHED
    dropped["task taken from the cache"] = int(cached.sum())
    # What a process took says nothing where some of its tasks did not run.
    partly = cached.groupby([rows["run"], rows["process"]]).transform("any") & ~cached
    dropped["task of a process of which others came from the cache"] = int(partly.sum())
    resumed = rows.loc[cached, "run"].nunique()
    if resumed:
        notes.append(
            f"{resumed} runs were resumed: processes with tasks from the cache are left out of "
            "them, and their whole run is shorter than that of the others."
        )
    rows = rows[~cached & ~partly]
    if rows.empty:
        raise SourceError("no process ran whole: tasks were taken from the cache in all of them.")
    # Tasks without a tag bear a number in their name; equal names are tries of one task only
    # where all before the last one failed.
    rows = rows.assign(tag=rows["tag"].fillna(""))
    key = ["run", "process", "tag"]
    failed = rows["state"].str.upper().isin(["FAILED", "ABORTED"])
    older = rows.duplicated(key, keep="last") & failed
    first = rows.groupby(key)["started_at"].transform("min")
    dropped["earlier try of a task"] = int(older.sum())
    again = older.groupby([rows[name] for name in key]).transform("any")
    rows["own_start"] = rows["started_at"]
    rows["started_at"] = first.where(again, rows["started_at"])
    return rows[~older]


def _as_jobs(rows: pd.DataFrame, series: str | None, notes: list[str]) -> pd.DataFrame:
    """Join the tasks of a process in a run."""
    if series is None:
        front = rows["process"].where(rows["process"].str.contains(":"), "").str.partition(":")[0]
        one = front.groupby(rows["run"]).transform("nunique") == 1
        name = front.where(one & (front != ""), ONE_SERIES)
    else:
        name = pd.Series(series, rows.index)
    if series is None and (name == ONE_SERIES).any() and len(set(rows["run"])) > 1:
        notes.append(
            "the traces do not name their pipeline: all runs are one series, 'pipeline'; read the "
            "traces of each pipeline alone."
        )
    rank = {status: rank for rank, status in enumerate(WORST_FIRST)}
    rows = rows.assign(
        series=name, job=rows["process"], rank=[rank[outcome] for outcome in rows["outcome"]]
    )
    jobs = rows.groupby(["series", "run", "job"], as_index=False).agg(
        started_at=("started_at", "min"),
        ended_at=("ended_at", "max"),
        own_start=("own_start", "min"),
        tasks=("rank", "size"),
        seconds=("seconds", "sum"),
        queued_seconds=("queued_seconds", "min"),
        rank=("rank", "min"),
    )
    if (joined := int((jobs["tasks"] > 1).sum())) > 0:
        notes.append(
            f"{joined} processes had several tasks in a run; they are one job each, from the first "
            "start to the last end."
        )
    span = (jobs["ended_at"] - jobs["own_start"]).dt.total_seconds()
    outcome = pd.Series([WORST_FIRST[r] for r in jobs["rank"]], index=jobs.index, dtype=object)
    unknown = outcome == UNKNOWN
    return jobs.assign(
        status=outcome.mask(unknown, None),
        has_ended=unknown,
        duration=jobs["seconds"].where(jobs["tasks"] == 1, span),
    ).drop(columns=["own_start", "tasks", "seconds", "rank"])
