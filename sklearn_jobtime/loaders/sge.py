"""Job histories of Grid Engine (SGE, UGE, Altair), from the accounting file of its master."""

from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._batch_jobs import batch_long, epochs, read_records
from sklearn_jobtime.loaders._durations import to_seconds
from sklearn_jobtime.loaders._open_file import MAX_BYTES
from sklearn_jobtime.loaders._states import read_codes

__all__ = ["read_sge"]


# The place of each field that is used in a line, as accounting(5) orders them.
FIELDS = {
    **{"user": 3, "name": 4, "number": 5, "submitted": 8, "start": 9, "end": 10},
    **{"failed": 11, "exit_status": 12, "wallclock": 13, "task": 35, "category": 39, "part": 41},
}
_NEEDED = FIELDS["task"] + 1
_NUMBERS = ("submitted", "start", "end", "failed", "exit_status", "wallclock")
_RUN_AGAIN = (24, 25)  # the job was moved, or put back into its queue
_AT_LIMIT = 37  # "qmaster enforced h_rt, h_cpu, or h_vmem limit"
_KILLED = (137, 143)  # by SIGKILL or SIGTERM: 128 and the signal
_ROLES = {
    **{"series": "owner/job_name", "run": "job_number.task_number", "started_at": "start_time"},
    **{"ended_at": "end_time", "duration": "ru_wallclock", "status": "failed and exit_status"},
}


def read_sge(
    source: str | Path, *, on_unknown: str = "error", max_bytes: int = MAX_BYTES
) -> pd.DataFrame:
    r"""Read the accounting file of Grid Engine, one row a job.

    It lies in ``$SGE_ROOT/default/common/accounting``, one line a finished job, with fields
    separated by colons. A job that recurs is the same owner running the same job name, so these
    two name the series (``alice/etl``); each job, and each task of an array (``7.3``), is a run
    with one job, named `job`.

    Parameters
    ----------
    source : str or Path
        A file, a folder, or a pattern such as ``accounting*``; plain or gzip.
    on_unknown : {"error", "warn"}, default="error"
        As in :func:`~sklearn_jobtime.loaders.to_status`; the codes of a job are numbers, so no
        state is unknown here.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it, and
        `queued_seconds`, the wait from submission to start. ``.attrs["dropped"]`` counts earlier
        tries of jobs that were run again, jobs that never started, and the parts of parallel jobs
        that have lines of their own.

    Raises
    ------
    SourceError
        When a file cannot be read, or a line is no record; it names file and line.

    Notes
    -----
    `failed` and `exit_status` 0 are a success. `failed` 37, and a job that was killed when it had
    used its `h_rt`, are timeouts; killed before that it was cancelled (``qdel``); all else is
    failed. Times are in seconds since 1970, in newer versions in milliseconds.
    The user's own states (``states={"3": "skipped"}`` of
    :func:`~sklearn_jobtime.loaders.read_source`) map an exit status before that.

    References
    ----------
    .. [1] Grid Engine, "accounting(5)".

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_sge
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "accounting")
    ...     _ = path.write_text(
    ...         "all.q:node1:lab:alice:etl:7:sge:0:1772337600:1772337660:1772337780:0:0:120:"
    ...         "90.1:2.3:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:lab:defaultdepartment:NONE:1:0:92.4:"
    ...         "1.0:0.1:-q all.q:0.0:NONE:1e6:0:0\n"
    ...     )
    ...     jobs = read_sge(path)
    >>> jobs[["series", "run", "job", "duration", "status", "queued_seconds"]]
          series run  job  duration   status  queued_seconds
    0  alice/etl   7  job     120.0  success            60.0
    """
    records = read_records(source, _record, max_bytes)
    if not records:
        raise SourceError(f"{source}: holds no record of a job; give the file 'accounting'.")
    table = pd.DataFrame(records)
    numbers = {name: _numbers(table, name) for name in _NUMBERS}
    times = {name: epochs(numbers[name], table["place"]) for name in ("submitted", "start", "end")}
    span = (times["end"] - times["start"]).dt.total_seconds()
    notes: list[str] = []
    wall = to_seconds(numbers["wallclock"], unit=_unit(numbers["wallclock"], span, notes))
    parallel = ~table["part"].isin(("", "NONE"))
    again = numbers["failed"].isin(_RUN_AGAIN)
    outcomes = _outcomes(numbers, table["category"], wall.fillna(span))
    status, unknown = read_codes(numbers["exit_status"], outcomes, on_unknown=on_unknown)
    rows = pd.DataFrame(
        {
            "id": table["number"] + np.where(table["task"] == "0", "", "." + table["task"]),
            "user": table["user"],
            "name": table["name"],
            "submitted_at": times["submitted"],
            "started_at": times["start"],
            "ended_at": times["end"],
            "duration": wall,
            "status": status,
            "has_ended": unknown,
            "place": table["place"],
        }
    )
    dropped = {
        "part of a parallel job": int(parallel.sum()),
        "try that was put back into the queue": int((again & ~parallel).sum()),
    }
    try:
        return batch_long(rows[~parallel & ~again], dropped, notes, roles=_ROLES)
    except SourceError as error:
        raise SourceError(f"{source}: {error}") from None


def _record(line: str, place: str) -> dict[str, str]:
    fields = line.split(":")
    if len(fields) < _NEEDED:
        raise SourceError(
            f"{place}: {len(fields)} fields separated by colons, expected {_NEEDED} or more, as "
            "accounting(5) orders them; if the line was cut off, fetch the file again."
        )
    return {
        **{name: fields[at] if at < len(fields) else "" for name, at in FIELDS.items()},
        "place": place,
    }


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    numbers = pd.to_numeric(table[name], errors="coerce").astype("float64")
    if numbers.isna().any():
        row = int(numbers.isna().to_numpy().argmax())
        raise SourceError(
            f"{table['place'].iloc[row]}, {name}: {table[name].iloc[row][:40]!r} is no number; "
            "expected the fields as accounting(5) orders them."
        )
    return numbers


def _unit(wall: pd.Series, span: pd.Series, notes: list[str]) -> float:
    """Seconds in a unit of the wall clock; 1,000 times end minus start in all rows are ms."""
    ran = span >= 1
    if ran.any() and (wall[ran] / span[ran]).between(500, 2000).all():
        notes.append("ru_wallclock is 1,000 times end minus start and was read as milliseconds.")
        return 0.001
    return 1.0


def _outcomes(numbers: dict[str, pd.Series], category: pd.Series, took: pd.Series) -> pd.Series:
    failed, code = numbers["failed"], numbers["exit_status"]
    limit = category.str.extract(r"\bh_rt=(\d+)\b")[0].astype("float64")
    killed = code.isin(_KILLED)
    at_limit = (failed == _AT_LIMIT) | (killed & (took >= limit - 1.0))
    outcome = np.select(
        [(failed == 0) & (code == 0), at_limit, killed],
        ["success", "timeout", "cancelled"],
        "failed",
    )
    return pd.Series(outcome, code.index, dtype=object)
