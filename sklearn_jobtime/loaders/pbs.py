"""Job histories of PBS and Torque, from the accounting logs of their servers."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._batch_jobs import batch_long, epochs, read_records
from sklearn_jobtime.loaders._durations import to_seconds
from sklearn_jobtime.loaders._open_file import MAX_BYTES
from sklearn_jobtime.loaders._places import at_its_place
from sklearn_jobtime.loaders._states import read_codes

__all__ = ["read_pbs"]


_TIMES = ("ctime", "qtime", "etime", "start", "end")
_RECORD = re.compile(r"^\d\d/\d\d/\d{4} \d\d:\d\d:\d\d;([A-Za-z]+);([^;]*);?(.*)$")
_ARRAY = r"^\d+\[\]"
_KILLED_AT_LIMIT = -29  # JOB_EXEC_KILL_WALLTIME
# The signals by which a server, or a user with qdel, ends a job: 256 (older: 128) is added.
_ENDED_BY_SIGNAL = (271, 265, 143, 137)
_ROLES = {
    **{"series": "user/jobname", "run": "job id", "started_at": "start", "ended_at": "end"},
    **{"duration": "resources_used.walltime", "status": "Exit_status"},
}


def read_pbs(
    source: str | Path, *, on_unknown: str = "error", max_bytes: int = MAX_BYTES
) -> pd.DataFrame:
    r"""Read the accounting logs of PBS Professional, OpenPBS or Torque, one row a job.

    They lie in ``server_priv/accounting``, one file a day. A job that recurs is the same user
    running the same job name, so these two name the series (``alice/etl``); each job, and each
    part of an array, is a run with one job, named `job`. The ``E`` records are read, which a
    server writes when a job has ended.

    Parameters
    ----------
    source : str or Path
        A file, a folder, or a pattern such as ``accounting/202603*``; plain or gzip.
    on_unknown : {"error", "warn"}, default="error"
        As in :func:`~sklearn_jobtime.loaders.to_status`; the exit status of a job is a number, so
        no state is unknown here.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it, and
        `queued_seconds`, the wait from submission to start. ``.attrs["dropped"]`` counts earlier
        tries of jobs that were run again and jobs that never started.

    Raises
    ------
    SourceError
        When a file cannot be read, or a line is no record; it names file and line.

    Notes
    -----
    `Exit_status` 0 is a success. A job that was killed at its wall time is a timeout: exit status
    -29, or ended by a signal when it had used the wall time that it asked for. Ended by SIGTERM or
    SIGKILL before that it was cancelled (``qdel``); all else is failed. `duration` is
    `resources_used.walltime`, which leaves out the time that a job was suspended.
    The user's own states (``states={"3": "skipped"}`` of
    :func:`~sklearn_jobtime.loaders.read_source`) map an exit status before that.

    References
    ----------
    .. [1] "Accounting Log", PBS Professional Administrator's Guide; "Accounting records", Torque
       Administrator Guide.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_pbs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "20260301")
    ...     _ = path.write_text(
    ...         "03/01/2026 04:03:00;E;7.server;user=alice group=lab jobname=etl queue=batch "
    ...         "ctime=1772337600 qtime=1772337600 etime=1772337600 start=1772337660 "
    ...         "Resource_List.walltime=01:00:00 session=99 end=1772337780 Exit_status=0 "
    ...         "resources_used.walltime=00:02:00\n"
    ...     )
    ...     jobs = read_pbs(path)
    >>> jobs[["series", "run", "job", "duration", "status", "queued_seconds"]]
          series run  job  duration   status  queued_seconds
    0  alice/etl   7  job     120.0  success            60.0
    """
    table = pd.DataFrame(read_records(source, _record, max_bytes))
    if table.empty or (arrays := table["id"].str.contains(_ARRAY)).all():
        raise SourceError(
            f"{source}: holds no record of a job that has ended ('E'); give the files of "
            "server_priv/accounting."
        )
    table = table[~arrays]  # of which the parts have records of their own
    wall = _durations(table, "resources_used.walltime")
    times = {name: epochs(_numbers(table, name), table["place"]) for name in _TIMES}
    code = _numbers(table, "Exit_status")
    dropped = {"array of which the parts are read": int(arrays.sum())}
    dropped["record without an exit status"] = int(code.isna().sum())
    took = wall.fillna((times["end"] - times["start"]).dt.total_seconds())
    outcomes = _outcomes(code, took, _durations(table, "Resource_List.walltime"))
    status, unknown = read_codes(code, outcomes, on_unknown=on_unknown)
    number = table["id"].str.partition(".")
    rows = pd.DataFrame(
        {
            # The number alone is unique on one server only.
            "id": number[0] if len(set(number[2])) == 1 else table["id"],
            "user": table["user"],
            "name": table["jobname"],
            "submitted_at": times["ctime"].fillna(times["qtime"]),
            "started_at": times["start"],
            "ended_at": times["end"],
            "duration": wall,
            "status": status,
            "has_ended": unknown,
            "place": table["place"],
        }
    )
    try:
        return batch_long(rows[code.notna()], dropped, [], roles=_ROLES)
    except SourceError as error:
        raise SourceError(f"{source}: {error}") from None


def _record(line: str, place: str) -> dict[str, str] | None:
    """Fields of an ``E`` record, None of another one."""
    found = _RECORD.match(line)
    if found is None:
        raise SourceError(
            f"{place}: {line[:60]!r} is no record of PBS; expected such as "
            "'03/01/2026 04:03:00;E;7.server;user=alice jobname=etl ...'."
        )
    if found[1] != "E":
        return None
    fields = {"id": found[2], "place": place}
    name = ""
    for part in found[3].split():
        key, equals, value = part.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_][\w.]*", key):
            name = key
            fields.setdefault(name, value)
        elif name:
            fields[name] += " " + part  # a value with blanks
    if missing := [key for key in ("user", "jobname", "start", "end") if key not in fields]:
        raise SourceError(f"{place}: the record has no field {', '.join(missing)}.")
    return fields


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table else pd.Series(None, table.index, dtype=object)


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    values = _column(table, name)
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    if (wrong := numbers.isna() & values.notna()).any():
        row = int(wrong.to_numpy().argmax())
        raise SourceError(
            f"{table['place'].iloc[row]}, {name}: {values.iloc[row][:40]!r} is no number."
        )
    return numbers


def _durations(table: pd.DataFrame, name: str) -> pd.Series:
    """Seconds of ``[[hours:]minutes:]seconds``."""
    values = _column(table, name).str.strip('"').rename(name)
    try:
        return to_seconds(values, short_clock="minutes")
    except BadValueError as error:
        raise at_its_place(error, table["place"]) from None


def _outcomes(code: pd.Series, took: pd.Series, limit: pd.Series) -> pd.Series:
    by_signal = code.isin(_ENDED_BY_SIGNAL)
    at_limit = (code == _KILLED_AT_LIMIT) | (by_signal & (took >= limit - 1.0))
    outcome = np.select(
        [code == 0, at_limit, by_signal], ["success", "timeout", "cancelled"], "failed"
    )
    return pd.Series(outcome, code.index, dtype=object)
