"""Job histories of IBM Spectrum LSF, from the accounting file of its batch daemon."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._batch_jobs import batch_long, epochs, read_records
from sklearn_jobtime.loaders._open_file import MAX_BYTES
from sklearn_jobtime.loaders._states import read_codes

__all__ = ["read_lsf"]


RECORDS = ("JOB_FINISH", "JOB_RESIZE", "EVENT_ADRSV_FINISH")
# The fields of JOB_FINISH that are used, by their place: as lsb.acct(5) orders them, up to the
# hosts that were asked for, and from behind those that ran the job.
_BEFORE_HOSTS = {"ended": 2, "id": 3, "submitted": 7, "started": 10, "user": 11}
_N_ASKED_HOSTS = 22
_BEHIND_HOSTS = {"jStatus": 0, "name": 2, "command": 3, "exit": 25, "task": 29, "reason": 38}
_NEEDED_BEHIND_HOSTS = _BEHIND_HOSTS["task"] + 1  # before version 6 there were fewer
_NUMBERS = ("ended", "submitted", "started", "jStatus", "exit", "task", "reason")
_EXITED, _DONE = 32, 64  # bits of jStatus
# Why LSF ended a job: the numbers of `exitInfo`.
_REASONS = {
    **{1: "TERM_PREEMPT", 2: "TERM_WINDOW", 3: "TERM_LOAD", 4: "TERM_OTHER", 5: "TERM_RUNLIMIT"},
    **{6: "TERM_DEADLINE", 8: "TERM_FORCE_OWNER", 9: "TERM_FORCE_ADMIN", 12: "TERM_CPULIMIT"},
    **{13: "TERM_CHKPNT", 14: "TERM_OWNER", 15: "TERM_ADMIN", 23: "TERM_BUCKET_KILL"},
    **{26: "TERM_REMOVE_HUNG_JOB", 27: "TERM_ORPHAN_SYSTEM", 30: "TERM_MC_RECALL", 34: "TERM_RC"},
}
_INDICES = r"\[[^\[\]]*\](?:%\d+)?$"  # of an array, behind its name: sweep[1-100]%5
_RUN_AGAIN = (10, 11)  # TERM_REQUEUE_OWNER, TERM_REQUEUE_ADMIN
_ROLES = {
    **{"series": "userName/jobName", "run": "jobId[idx]", "started_at": "startTime"},
    **{"ended_at": "Event time", "duration": "Event time - startTime"},
    "status": "jStatus and exitInfo",
}


def read_lsf(
    source: str | Path, *, on_unknown: str = "error", max_bytes: int = MAX_BYTES
) -> pd.DataFrame:
    r"""Read the accounting file of LSF, ``lsb.acct``, one row a job.

    It lies in ``$LSB_SHAREDIR/<cluster>/logdir``, older parts of it beside it (``lsb.acct.1``). A
    job that recurs is the same user running the same job name, so these two name the series
    (``alice/etl``); each job, and each element of an array (``7[3]``), is a run with one job, named
    `job`. A job without a name is called by its command, as LSF itself does.

    Parameters
    ----------
    source : str or Path
        A file, a folder, or a pattern such as ``logdir/lsb.acct*``; plain or gzip. Of a folder the
        files called ``lsb.acct`` and so on are read.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a status that is neither DONE nor EXIT.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it, and
        `queued_seconds`, the wait from submission to dispatch. ``.attrs["dropped"]`` counts
        records of other types, tries that were put back into the queue, and jobs that never
        started.

    Raises
    ------
    SourceError
        When a file cannot be read, or a line is no record; it names file and line.
    RunTableError
        When a status is unknown.

    Notes
    -----
    A job ran from its dispatch (`startTime`) to the time of its record, so the time that it was
    suspended is in its duration. Ended by its run limit, its limit of CPU time or its deadline it
    is a timeout; ended by its owner, an administrator, a closing queue, load or preemption it was
    cancelled; all else that exited is failed. A job that was requeued has a record for each try:
    the last one counts, and the others are counted as left out. ``--state TERM_OWNER=failed``
    (``states=`` of :func:`~sklearn_jobtime.loaders.read_source`) says otherwise, by the keywords
    that `bacct` shows or by exit status.

    References
    ----------
    .. [1] IBM, "lsb.acct" and "Termination reasons displayed by bacct, bhist, and bjobs", IBM
       Spectrum LSF, https://www.ibm.com/docs/en/spectrum-lsf/10.1.0?topic=files-lsbacct

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_lsf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "lsb.acct")
    ...     _ = path.write_text(
    ...         '"JOB_FINISH" "10.1" 1772337780 7 500 33554450 1 1772337600 0 0 1772337660 "alice" '
    ...         '"normal" "" "" "" "login1" "work" "" "" "" "1772337600.7" 0 1 "node1" 64 60.0 '
    ...         '"etl" "./etl.sh" ' + "-1 " * 19 + '"" "default" 0 1 "" "" 0 1024 2048 "" "" "" "" '
    ...         '0 "" 0\n'
    ...     )
    ...     jobs = read_lsf(path)
    >>> jobs[["series", "run", "job", "duration", "status", "queued_seconds"]]
          series run  job  duration   status  queued_seconds
    0  alice/etl   7  job     120.0  success            60.0
    """
    others: Counter[str] = Counter()

    def record(line: str, place: str) -> dict[str, str] | None:
        fields = _fields(line, place)
        if fields[0] == "JOB_FINISH":
            return {**_finished(fields, place), "place": place}
        others[fields[0]] += 1
        return None

    records = read_records(source, record, max_bytes, like="lsb.acct")
    if not records:
        raise SourceError(f"{source}: holds no JOB_FINISH record; give the file lsb.acct.")
    table = pd.DataFrame(records)
    number = {name: _numbers(table, name) for name in _NUMBERS}
    again = number["reason"].isin(_RUN_AGAIN)
    # The status that the shell shows is in the upper byte; a signal is in the lower one.
    code = (number["exit"] // 256).where(number["exit"] % 256 == 0, number["exit"])
    status, unknown = read_codes(code, _outcomes(number), "lsf", on_unknown=on_unknown)
    element = number["task"].astype("int64").astype("str")
    of_array = element != "0"
    name = table["name"].where(table["name"] != "", table["command"])
    rows = pd.DataFrame(
        {
            "id": table["id"] + np.where(of_array, "[" + element + "]", ""),
            "user": table["user"],
            "name": name.mask(of_array, name.str.replace(_INDICES, "", regex=True)),
            "submitted_at": epochs(number["submitted"], table["place"]),
            "started_at": epochs(number["started"], table["place"]),
            "ended_at": epochs(number["ended"], table["place"]),
            "duration": np.nan,
            "status": status,
            "has_ended": unknown,
            "place": table["place"],
        }
    )
    dropped = {f"record of type {name}": count for name, count in sorted(others.items())}
    dropped["try that was put back into the queue"] = int(again.sum())
    try:
        return batch_long(rows[~again], dropped, _notes(again, of_array), roles=_ROLES)
    except SourceError as error:
        raise SourceError(f"{source}: {error}") from None


def _notes(again: pd.Series, of_array: pd.Series) -> list[str]:
    notes = []
    if of_array.any():
        notes.append(
            f"{int(of_array.sum()):,} jobs are elements of arrays: each is a run of its own, of "
            "the series that the name of the array makes."
        )
    if again.any():
        notes.append(
            f"{int(again.sum()):,} tries were put back into the queue: of such a job the last try "
            "counts."
        )
    return notes


def _fields(line: str, place: str) -> list[str]:
    """Fields of a record: separated by blanks, strings in quotes, a quote in them doubled."""
    try:
        fields = next(csv.reader([line], delimiter=" ", skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise SourceError(f"{place}: {error}; if the line was cut off, fetch it again.") from None
    if fields[0] not in RECORDS and not (len(fields) > 2 and fields[0].isupper()):
        raise SourceError(
            f"{place}: {line[:60]!r} is no record of LSF; expected such as "
            '"JOB_FINISH" "10.1" 1772337780 7 ...'
        )
    return fields


def _finished(fields: list[str], place: str) -> dict[str, str]:
    """Fields of JOB_FINISH that are used; the lists of hosts in the middle are of any length."""
    try:
        ran = _N_ASKED_HOSTS + 1 + int(fields[_N_ASKED_HOSTS])
        behind = fields[ran + 1 + int(fields[ran]) :]
    except (IndexError, ValueError):
        behind = []
    if len(behind) < _NEEDED_BEHIND_HOSTS:
        raise SourceError(
            f"{place}: {len(fields)} fields are not those of JOB_FINISH, as lsb.acct(5) orders "
            "them; if the line was cut off, fetch the file again."
        )
    return {
        **{name: fields[at] for name, at in _BEFORE_HOSTS.items()},
        **{name: behind[at] if at < len(behind) else "0" for name, at in _BEHIND_HOSTS.items()},
    }


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    numbers = pd.to_numeric(table[name], errors="coerce").astype("float64")
    if (wrong := ~np.isfinite(numbers)).any():
        row = int(wrong.to_numpy().argmax())
        raise SourceError(
            f"{table['place'].iloc[row]}, {name}: {table[name].iloc[row][:40]!r} is no number; "
            "expected the fields as lsb.acct(5) orders them."
        )
    return numbers


def _outcomes(number: dict[str, pd.Series]) -> pd.Series:
    """DONE, the keyword of the reason for which LSF ended the job, or EXIT."""
    state = number["jStatus"].astype("int64")
    reason = number["reason"].map(_REASONS).fillna("EXIT")
    named = reason.where((state & _EXITED) > 0, "jStatus " + state.astype("str"))
    return named.mask((state & _DONE) > 0, "DONE")
