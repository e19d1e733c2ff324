"""Job logs in the Standard Workload Format of the Parallel Workloads Archive."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import to_utc
from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._identity import named_apart
from sklearn_jobtime.loaders._open_file import MAX_BYTES, open_text
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.runs._long_table import long_table

__all__ = ["read_swf"]


# The 18 fields of version 2.2 by their place; -1 stands for "not known" in every one of them.
FIELDS = (
    *("job", "submit", "wait", "run_time", "processors", "cpu_time", "memory"),
    *("requested_processors", "requested_time", "requested_memory", "status"),
    *("user", "group", "executable", "queue", "partition", "preceding_job", "think_time"),
)
_WHOLE_NUMBERS = (
    "job",
    "processors",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
)
_IDENTIFIERS = ("user", "group", "executable", "queue", "partition", "processors")
# A checkpointed job has one line of its own, and then one of these for each part of it.
_PARTIAL = (2, 3, 4)
_WHOLE = r"-?\d{1,15}(\.0*)?"
_DECIMAL = r"-?\d{1,15}(\.\d*)?"
_EXECUTABLE = ("user", "executable")
ONE_SERIES = "history"
_LAST_SECOND = pd.Timestamp("2200-01-01", tz="UTC").timestamp()
_ROLES = {
    "run": "job number",
    "job": "each run has one job",
    "started_at": "submit + wait",
    "ended_at": "submit + wait + run time",
    "duration": "run time",
    "status": "status",
}


def read_swf(
    path: str | Path,
    *,
    by: Sequence[str] | None = None,
    start: str | int | datetime | None = None,
    on_unknown: str = "error",
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read a log in the Standard Workload Format, as a long table with one row a job.

    The format names no recurring job, so a series is what you take for one: by default the same
    user running the same executable (``user4/executable3``). Each of its jobs is a run with one
    job, `job`, so that a log of thousands of series stays a table of one column.

    Parameters
    ----------
    path : str or Path
        The log, plain (``.swf``) or gzip (``.swf.gz``).
    by : sequence of str, default=None
        The fields that name a series: `user`, `group`, `executable`, `queue`, `partition` and
        `processors`. Add `processors` where run times depend on them. None takes `user` and
        `executable`; of these the one that the log has, where it does not have both; else
        `group`, else `queue`, else the log is one series, called ``history``. It says which.
    start : str, int or datetime, default=None
        When the log begins (its second 0): a time, UTC where it has no zone, or seconds since
        1970. None takes `UnixStartTime` of the header, and 1970-01-01 where there is none.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a status that the format does not define.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it, and
        `queued_seconds` (NaN where the log does not know it; the job is then taken to start when
        it was submitted). ``.attrs["dropped"]`` counts jobs without a run time or an identifier,
        and the parts of checkpointed jobs; ``.attrs["notes"]`` says what was assumed.

    Raises
    ------
    SourceError
        When the file cannot be read, a line is malformed, or no job has one of the identifiers
        `by`; it names the line and the remedy.

    Notes
    -----
    What the header claims about numbers of jobs (`MaxJobs`, `MaxRecords`) is not believed, but
    compared with the lines read. A log without statuses counts as successful throughout.

    References
    ----------
    .. [1] S. Chapin et al., "Benchmarks and Standards for the Evaluation of Parallel Job
       Schedulers", 1999, and https://www.cs.huji.ac.il/labs/parallel/workload/swf.html

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_swf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.swf")
    ...     _ = path.write_text(
    ...         "; UnixStartTime: 749458803\n"
    ...         "1 0 60 1451 128 -1 -1 -1 -1 -1 1 4 1 3 -1 -1 -1 -1\n"
    ...     )
    ...     read_swf(path)[["series", "run", "job", "duration", "status", "queued_seconds"]]
                  series run  job  duration   status  queued_seconds
    0  user4/executable3   1  job    1451.0  success            60.0
    """
    if by is not None and (unknown := [name for name in by if name not in _IDENTIFIERS] or not by):
        raise ValueError(f"by: expected some of {', '.join(_IDENTIFIERS)}, got {unknown or by!r}.")
    jobs = _read_jobs(path, max_bytes)
    notes: list[str] = []
    header = _header(path, max_bytes)
    begin = _begin(header, start, path, notes)
    _compare_counts(header, jobs, notes)
    if by is None:
        by = _fields_of_series(jobs, notes)
    reasons = {
        "part of a checkpointed job": jobs["status"].isin(_PARTIAL),
        "no run time": jobs["run_time"] < 0,
        **{f"no {name}": jobs[name] < 0 for name in by},
        "row that stands twice": jobs.duplicated(),
    }
    left = pd.Series(True, index=jobs.index)
    dropped = {}
    for reason, out in reasons.items():
        dropped[reason] = int((left & out).sum())
        left &= ~out
    jobs = jobs[left]
    if jobs.empty:
        why = ", ".join(f"{reason}: {count}" for reason, count in dropped.items() if count)
        raise SourceError(
            f"{path}: no job is left ({why}); name the series with the option by, by identifiers "
            f"that the log records, out of {', '.join(_IDENTIFIERS)}."
        )
    if (jobs["status"] == -1).all():
        notes.append("the log records no status: every job counts as a success.")
    table = long_table(_rows(jobs, begin, by, on_unknown, path, notes), dropped)
    table.attrs |= {"notes": notes, "columns": {"series": "/".join(by) or "the log", **_ROLES}}
    return table


def _rows(
    jobs: pd.DataFrame,
    begin: float,
    by: Sequence[str],
    on_unknown: str,
    path: str | Path,
    notes: list[str],
) -> pd.DataFrame:
    """One row of the long table for each job."""
    wait = jobs["wait"].where(jobs["wait"] >= 0)
    if (unknown := int(wait.isna().sum())) and unknown < len(jobs):
        notes.append(f"{unknown} jobs have no known wait; they are taken to start when submitted.")
    started = begin + jobs["submit"] + wait.fillna(0.0)
    ended = started + jobs["run_time"]
    _check_span(started, ended, jobs, path)
    names = [name + jobs[name].astype("int64").astype("str") for name in by]
    codes = jobs["status"].astype("int64").astype("str")
    status, unknown = read_states(codes, "swf", on_unknown=on_unknown)
    rows = pd.DataFrame(
        {
            "series": names[0].str.cat(names[1:], sep="/") if names else ONE_SERIES,
            "run": jobs["job"].astype("int64").astype("str"),
            "job": "job",
            "started_at": to_utc(started),
            "ended_at": ended,
            "duration": jobs["run_time"],
            "status": status,
            "has_ended": unknown,
            "queued_seconds": wait,
        }
    )
    rows, named = named_apart(rows, "job number")
    notes.extend(named)
    return rows


def _fields_of_series(jobs: pd.DataFrame, notes: list[str]) -> tuple[str, ...]:
    """Fields that name a series: user and executable, else what the log has."""
    has = {name for name in _IDENTIFIERS if (jobs[name] >= 0).any()}
    if has >= set(_EXECUTABLE):
        return _EXECUTABLE
    both = tuple(name for name in _EXECUTABLE if name in has)
    by = both or next(((name,) for name in ("group", "queue") if name in has), ())
    missing = " and ".join(name for name in _EXECUTABLE if name not in has)
    series = f"a series is named by {by[0]}" if by else f"all is one series, {ONE_SERIES!r}"
    notes.append(f"the log records no {missing}: {series}; the option by names other fields.")
    return by


def _read_jobs(path: str | Path, max_bytes: int) -> pd.DataFrame:
    # One name too many, so that a line with too many fields is seen and not cut.
    names = [*FIELDS, "too_many"]
    try:
        with open_text(path, max_bytes=max_bytes) as lines:
            jobs = pd.read_csv(
                lines, sep=r"\s+", comment=";", header=None, names=names, dtype="float64"
            )
    except (pd.errors.ParserError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        _raise_at_first_bad_line(path, max_bytes)
        raise SourceError(f"{path}: {error}") from error
    numbers, whole = jobs[list(FIELDS)].to_numpy(), jobs[list(_WHOLE_NUMBERS)].to_numpy()
    fits = isinstance(jobs.index, pd.RangeIndex) and jobs["too_many"].isna().all()
    if not (fits and (np.abs(numbers) < 1e15).all() and (whole == np.rint(whole)).all()):
        _raise_at_first_bad_line(path, max_bytes)
    if jobs.empty:
        raise SourceError(f"{path}: holds no job; expected lines of {len(FIELDS)} numbers.")
    return jobs


def _raise_at_first_bad_line(path: str | Path, max_bytes: int) -> None:
    """Find the line that the fast parser did not take, to name it."""
    with open_text(path, max_bytes=max_bytes) as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.partition(";")[0].split()
            if fields and len(fields) != len(FIELDS):
                raise SourceError(
                    f"{path}, line {number}: {len(fields)} fields, expected {len(FIELDS)} numbers "
                    "separated by blanks (-1 = not known); correct the line or fetch the log again."
                )
            for name, text in zip(FIELDS, fields, strict=False):
                if not re.fullmatch(_WHOLE if name in _WHOLE_NUMBERS else _DECIMAL, text):
                    raise SourceError(
                        f"{path}, line {number}, {name}: {text[:40]!r} is not a number as expected "
                        "there; correct it, or set it to -1 if it is not known."
                    )


def _header(path: str | Path, max_bytes: int) -> dict[str, tuple[int, str]]:
    """Fields of the header that are used, with the line of each; the first of a name counts."""
    found: dict[str, tuple[int, str]] = {}
    with open_text(path, max_bytes=max_bytes) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.lstrip().startswith(";"):
                break
            # Cleaned logs say what was removed, and keep the counts of the whole one.
            if removed := re.search(r"(?i)\((\d{1,12}) jobs removed\)", line):
                before = int(found.get("removed", (0, "0"))[1])
                found["removed"] = (number, str(before + int(removed[1])))
            if field := re.match(r"\s*;\s*(\w+):\s*(.*?)\s*$", line):
                found.setdefault(field[1].lower(), (number, field[2]))
    return found


def _begin(
    header: dict[str, tuple[int, str]],
    start: str | int | datetime | None,
    path: str | Path,
    notes: list[str],
) -> float:
    """Seconds since 1970 at which the log begins."""
    if start is not None:
        if isinstance(start, int) or (isinstance(start, str) and re.fullmatch(r"\d{1,11}", start)):
            return float(start)
        try:
            time = pd.Timestamp(start)
            return (time if time.tzinfo else time.tz_localize("UTC")).timestamp()
        except (ValueError, TypeError, AttributeError):
            raise ValueError(
                f"start: expected a time such as '2005-11-20' or seconds since 1970, got {start!r}."
            ) from None
    if "unixstarttime" not in header:
        notes.append(
            "the header does not say when the log starts (UnixStartTime): its times are counted "
            "from 1970-01-01, so days and hours are not the true ones; the option start sets it."
        )
        return 0.0
    number, text = header["unixstarttime"]
    if not re.fullmatch(r"\d{1,11}", text):
        raise SourceError(
            f"{path}, line {number}: UnixStartTime {text[:40]!r} is not in seconds since 1970; "
            "correct the header, or set the option start."
        )
    return float(text)


def _compare_counts(
    header: dict[str, tuple[int, str]], jobs: pd.DataFrame, notes: list[str]
) -> None:
    """Say where the header claims other numbers of lines than there are."""
    removed = int(header.get("removed", (0, "0"))[1])
    whole = int((~jobs["status"].isin(_PARTIAL)).sum())
    for name, read in (("MaxRecords", len(jobs)), ("MaxJobs", whole)):
        text = header.get(name.lower(), (0, ""))[1]
        # Checkpointed jobs: some logs count their parts as jobs, some do not.
        if re.fullmatch(r"\d{1,18}", text) and int(text) - removed not in (read, len(jobs)):
            less = f" less {removed:,} that it says were removed" if removed else ""
            notes.append(f"the header says {name} {int(text):,}{less}, {read:,} were read.")


def _check_span(started: pd.Series, ended: pd.Series, jobs: pd.DataFrame, path: str | Path) -> None:
    outside = ~(started.between(0, _LAST_SECOND) & ended.between(0, _LAST_SECOND))
    if outside.any():
        row = int(outside.to_numpy().argmax())
        raise SourceError(
            f"{path}, job {jobs['job'].iloc[row]:.0f}: from {started.iloc[row]:.6g} to "
            f"{ended.iloc[row]:.6g} seconds since 1970 is no span of a job; correct its fields 2 "
            "to 4, or UnixStartTime in the header."
        )
