"""Finished jobs of a batch system's accounting file, one record a job, as a long table."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._identity import named_apart
from sklearn_jobtime.loaders._moments import to_moments
from sklearn_jobtime.loaders._open_file import find_files, open_text
from sklearn_jobtime.loaders._places import at_its_place
from sklearn_jobtime.runs._long_table import long_table

__all__ = ["batch_long", "epochs", "read_records"]


def read_records(
    source: str | Path,
    record: Callable[[str, str], dict[str, str] | None],
    max_bytes: int,
    *,
    like: str = "",
) -> list[dict[str, str]]:
    """Read the records of accounting files, one a line.

    Parameters
    ----------
    source : str or Path
        A file, a folder or a pattern.
    record : callable
        Gives the fields of a line, from the line and its place; None for one that does not count.
    max_bytes : int
        The most uncompressed bytes to read of each file.
    like : str, default=""
        Of a folder only the files are read of which the name holds this, if there are any.
    """
    paths = find_files(source, ("",))
    if Path(source).is_dir():
        paths = [path for path in paths if like in path.name] or paths
    records = []
    for path in paths:
        with open_text(path, max_bytes=max_bytes) as lines:
            for number, line in enumerate(lines, start=1):
                if len(line.strip()) > 1 and not line.startswith("#"):
                    found = record(line.rstrip("\n"), f"{path}, line {number}")
                    if found is not None:
                        records.append(found)
    return records


def epochs(seconds: pd.Series, places: pd.Series) -> pd.Series:
    """Give times in UTC for seconds since 1970, or milliseconds (13 digits); 0 is no time.

    Parameters
    ----------
    seconds : Series
        The numbers.
    places : Series of str
        File and line of each, for the error of one that is no moment.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._batch_jobs import epochs
    >>> places = pd.Series(["accounting, line 1"] * 3)
    >>> times = epochs(pd.Series([1772337660.0, 1772337660000.0, 0.0]), places)
    >>> times.dt.strftime("%H:%M").tolist()
    ['04:01', '04:01', nan]
    """
    seconds = seconds.astype("float64")
    seconds = seconds.where(seconds.abs() < 1e11, seconds / 1000.0)
    try:
        return to_moments(seconds.where(seconds > 0), unit=1.0)
    except BadValueError as error:
        raise at_its_place(error, places) from None


def batch_long(
    rows: pd.DataFrame, dropped: dict[str, int], notes: list[str], *, roles: dict[str, str]
) -> pd.DataFrame:
    """Make the long table of the jobs: a series is a user's job name, a run one of the jobs.

    Parameters
    ----------
    rows : DataFrame
        Columns `id`, `user`, `name`, `submitted_at`, `started_at`, `ended_at` (in UTC), `status`,
        `has_ended` (its state is not known), `place`, and `duration`: what the system itself says
        in seconds, NaN where it does not.
    dropped : dict of str to int
        What was left out before.
    notes : list of str
        What the user should know; goes to ``.attrs["notes"]``.
    roles : dict of str to str
        From which fields of the file each column of the long table is, but for `job`; goes to
        ``.attrs["columns"]``.

    Returns
    -------
    DataFrame
        A long table with the one job `job`, and `queued_seconds`. A record of the same id, user,
        name and submission is an earlier try of the job; the last one counts.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._batch_jobs import batch_long
    >>> rows = pd.DataFrame({"id": ["7"], "user": ["ann"], "name": ["etl"], "status": ["success"],
    ...     "has_ended": [False], "duration": [120.0], "place": ["line 1"],
    ...     "submitted_at": pd.to_datetime(["2026-03-01T04:00Z"]),
    ...     "started_at": pd.to_datetime(["2026-03-01T04:01Z"]),
    ...     "ended_at": pd.to_datetime(["2026-03-01T04:03Z"])})
    >>> long = batch_long(rows, {}, [], roles={"duration": "wall time"})
    >>> long[["series", "run", "job", "duration", "queued_seconds"]]
        series run  job  duration  queued_seconds
    0  ann/etl   7  job     120.0            60.0
    """
    started = rows["started_at"].notna()
    backwards = rows["ended_at"] < rows["started_at"]
    dropped = {
        **dropped,
        "not started": int((~started).sum()),
        "job that ended before it started": int(backwards.sum()),
    }
    rows = rows[started & ~backwards].sort_values("started_at", kind="stable")
    key = ["id", "user", "name", "submitted_at"]
    older = rows.duplicated(key, keep="last")
    twice = older & rows.duplicated([*key, "started_at", "ended_at"], keep="last")
    dropped["row that stands twice"] = int(twice.sum())
    dropped["earlier try of a requeued job"] = int((older & ~twice).sum())
    rows = rows[~older]
    if rows.empty:
        why = ", ".join(f"{reason}: {count}" for reason, count in dropped.items() if count)
        raise SourceError(f"holds no finished job that could be used ({why or 'no record'}).")
    took = (rows["ended_at"] - rows["started_at"]).dt.total_seconds()
    off = (took - rows["duration"]).abs()
    if (differs := off > 1.0).any():
        notes.append(
            f"in {int(differs.sum())} records {roles['duration']} is not end minus start, by up to "
            f"{off.max():,.0f} s; {roles['duration']} is used."
        )
    queued = (rows["started_at"] - rows["submitted_at"]).dt.total_seconds()
    rows = rows.assign(
        series=rows["user"] + "/" + rows["name"],
        run=rows["id"],
        job="job",
        duration=rows["duration"].fillna(took),
        queued_seconds=queued.where(queued >= 0),
    )
    rows, named = named_apart(rows, "job id")
    notes.extend(named)
    kept = ["series", "run", "job", "started_at", "ended_at", "duration", "status"]
    table = long_table(rows[[*kept, "has_ended", "queued_seconds"]], dropped)
    table.attrs |= {"notes": notes, "columns": {**roles, "job": "each run has one job"}}
    return table
