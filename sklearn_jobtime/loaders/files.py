"""Run histories from CSV, Parquet and JSON files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import guess_columns, map_columns
from sklearn_jobtime.loaders._csv_tables import lines_of, read_csv
from sklearn_jobtime.loaders._csv_texts import write_csv
from sklearn_jobtime.loaders._json_columns import values_inside
from sklearn_jobtime.loaders._json_table import JSON_ENDINGS, is_json, read_json_table
from sklearn_jobtime.loaders._log_columns import error_flag, with_projects
from sklearn_jobtime.loaders._mapped_long import NO_STATUS, ONE_JOB, mapped_long
from sklearn_jobtime.loaders._named_jobs import with_statuses
from sklearn_jobtime.loaders._open_file import COMPRESSED, MAX_BYTES
from sklearn_jobtime.loaders._parquet import read_parquet
from sklearn_jobtime.loaders._recognised_log import recognised_log
from sklearn_jobtime.loaders._run_tables import as_runs
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.loaders._typed_columns import typed_columns

__all__ = [
    "FILE_ENDINGS",
    "TABLE_ENDINGS",
    "as_log",
    "as_long",
    "read_log",
    "read_runs",
    "read_table",
    "write_table",
]


TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")
_READ_ENDINGS = (".csv", ".tsv", ".parquet", *JSON_ENDINGS)
FILE_ENDINGS = tuple(end + packed for end in _READ_ENDINGS for packed in ("", *COMPRESSED))
_JSON_NAMES = tuple(end + packed for end in JSON_ENDINGS for packed in ("", *COMPRESSED))


def read_runs(
    path: str | Path,
    *,
    jobs: Sequence[str] | None = None,
    index: Sequence[str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read a run table from a file and validate it.

    A table with the columns `run`, `job` and `duration` (or `started_at` and `ended_at`) is a long
    table, one row a job of a run, and is pivoted; see
    :func:`~sklearn_jobtime.runs.pivot_runs`.

    Parameters
    ----------
    path : str or Path
        A file as of :func:`read_table`. CSV has a header line; times are ISO 8601, durations
        seconds, a failed run may say ``inf``.
    jobs : sequence of str, default=None
        The columns of durations. None finds them by their status columns, as
        :func:`~sklearn_jobtime.runs.job_columns` does.
    index : sequence of str, default=None
        The columns that name a run; all but the last name its series. None takes the columns
        `series` and `run` as far as there are any, else a first column without a name, else it
        numbers the rows.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read; see
        :func:`~sklearn_jobtime.loaders._open_file.open_text`.

    Returns
    -------
    DataFrame
        The validated run table, as :func:`~sklearn_jobtime.runs.validate_runs` gives it.

    Raises
    ------
    SourceError
        When the file is missing, empty, cut off, not UTF-8, or of another format.
    RunTableError
        When what it holds is no run table. Both name the file and what to do.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_runs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "runs.csv")
    ...     _ = path.write_text("run,started_at,build\n7,2026-03-01T02:00Z,40.0\n")
    ...     read_runs(path)
                       started_at  build
    run
    7   2026-03-01 02:00:00+00:00   40.0
    """
    notes: list[str] = []
    table = with_statuses(read_table(path, max_bytes=max_bytes), jobs or (), notes)
    runs = as_runs(table, path, jobs=jobs, index=index)
    if notes:
        runs.attrs["notes"] = notes
    return runs


def read_table(
    path: str | Path,
    *,
    delimiter: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    """Read a table from a file as it is; :func:`read_runs` and :func:`read_log` say what it means.

    Parameters
    ----------
    path : str or Path
        A file that ends in ``.csv``, ``.tsv``, ``.parquet``, ``.json`` or ``.jsonl``, also
        compressed (``.gz``, ``.bz2``, ``.xz``, or ``.zip`` with one file in it). What separates
        the fields of a CSV file (a comma, semicolon, tab or bar) is told from its first lines;
        with a semicolon or tab, numbers may have a decimal comma. JSON, which may have any name,
        holds one object a row: in arrays, in a list of an object, one a line, or on several
        pages.
    delimiter : str, default=None
        What separates the fields of a CSV file, where its first lines do not tell.
    columns : mapping of str to str or None, default=None
        Columns whose names are paths in the objects of a JSON file, such as ``pipeline.id``.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Returns
    -------
    DataFrame

    Raises
    ------
    SourceError
        When the file is missing, empty, cut off, not UTF-8, or of another format.
    """
    path = Path(path)
    is_named = path.name.endswith(FILE_ENDINGS)
    if path.name.endswith(_JSON_NAMES) or (not is_named and is_json(path)):
        return read_json_table(path, columns=columns, max_bytes=max_bytes)
    if not is_named:
        raise SourceError(
            f"{path}: the name ends in {path.suffix!r}, expected {', '.join(_READ_ENDINGS)}, also "
            f"with {', '.join(COMPRESSED)} behind it; export the table as one of these, or rename "
            "the file."
        )
    kind = next(suffix for suffix in reversed(path.suffixes) if suffix not in COMPRESSED)
    if kind == ".parquet":
        return read_parquet(path, max_bytes)
    return read_csv(path, delimiter, max_bytes)


def read_log(
    path: str | Path,
    *,
    columns: Mapping[str, str | None] | None = None,
    since: str | None = None,
    jobs: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read a log of jobs from a file: one row a job of a run, under whatever names.

    Parameters
    ----------
    path : str or Path
        The file; see :func:`read_table`.
    columns : mapping of str to str or None, default=None
        Which column is which, where the guess of
        :func:`~sklearn_jobtime.loaders._column_names.guess_columns` is wrong.
    since, jobs, states, on_unknown
        As in :func:`~sklearn_jobtime.loaders.read_sql`.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Returns
    -------
    DataFrame
        A long table; ``.attrs["columns"]`` tells which column was taken for what.

    Raises
    ------
    SourceError
        When the file cannot be read, or lacks what is needed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_log
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     _ = path.write_text("task,start,elapsed_ms\nload,2026-03-01T02:00Z,1500\n")
    ...     read_log(path)[["series", "job", "duration", "status"]]
      series   job  duration   status
    0   load  load       1.5  success
    """
    table = read_table(path, columns=columns, max_bytes=max_bytes)
    return as_log(
        table,
        path,
        columns=columns,
        since=since,
        jobs=jobs,
        states=states,
        on_unknown=on_unknown,
    )


def as_log(
    table: pd.DataFrame,
    path: str | Path,
    *,
    columns: Mapping[str, str | None] | None = None,
    since: str | None = None,
    jobs: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
    timezone: str | None = None,
) -> pd.DataFrame:
    """Make the long table of what :func:`read_table` read from `path`; see :func:`read_log`."""
    if (known := table.attrs.pop("recognised", None)) is not None:
        return recognised_log(
            table,
            known,
            path,
            since=since,
            jobs=jobs,
            states=states,
            on_unknown=on_unknown,
            timezone=timezone,
        )
    notes: list[str] = []
    inside = values_inside(table, columns, notes, source=str(path))
    mapping = map_columns(table.columns, columns, source=str(path), inside=inside)
    if "status" not in {**mapping, **(columns or {})} and (flag := error_flag(table)):
        mapping["status"] = flag
    if not columns or "series" not in columns:
        table = with_projects(table, mapping, notes)
    long = mapped_long(
        typed_columns(
            table, mapping, source=str(path), line_of=lines_of(path, table), timezone=timezone
        ),
        mapping=mapping,
        since=since,
        jobs=jobs,
        states=states,
        on_unknown=on_unknown,
    )
    if notes:
        long.attrs["notes"] = [*notes, *long.attrs.get("notes", [])]
    return long


def as_long(
    table: pd.DataFrame,
    path: str | Path,
    *,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
) -> pd.DataFrame:
    """Make a long table of one that has no times at all; its rows are in order."""
    mapping = {
        role: column
        for role, column in guess_columns(table.columns).items()
        if role in ("series", "run", "job", "duration", "status")
    }
    source = str(path)
    notes: list[str] = []
    values_inside(table, None, notes, source=source)
    rows = typed_columns(table, mapping, source=source, line_of=lines_of(path, table))
    reading = rows.attrs.pop("reading")
    if pd.api.types.is_integer_dtype(table[mapping["run"]]):  # as read_runs gives them
        rows["run"] = table[mapping["run"]]
    if any(example is not None for _, example, _ in reading["short_clock"].values()):
        column = mapping["duration"]
        raise SourceError(
            f"{source}: column {column!r}: may be minutes and seconds or hours and minutes; write "
            "seconds, or 00:02:03."
        )
    dropped = {}
    for name in ("run", "job"):
        if name in rows:
            dropped[f"row without a {name}"] = int(rows[name].isna().sum())
            rows = rows[rows[name].notna()]
    notes.append("no column of times: the runs are taken in the order of their rows.")
    if "status" in rows:
        column = mapping["status"]
        status, _ = read_states(rows["status"], column=column, own=states, on_unknown=on_unknown)
        rows = rows.assign(status=status, duration=rows["duration"].where(status.notna()))
    else:
        notes.append(NO_STATUS)
        status = pd.Series("success", index=rows.index, dtype=object)
        rows = rows.assign(status=status.where(rows["duration"].notna(), None))
    rows = rows if "job" in rows else rows.assign(job=ONE_JOB)
    rows.attrs = {
        "columns": mapping,
        "notes": notes,
        "dropped": {why: n for why, n in dropped.items() if n},
    }
    return rows


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV or Parquet, by the ending of the name; whole or not at all.

    Parameters
    ----------
    table : DataFrame
        Its index is written too, unless it only numbers the rows.
    path : str or Path
        A name that ends in ``.csv``, ``.csv.gz`` or ``.parquet``.

    Raises
    ------
    ValueError
        For another ending.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders import write_table
    >>> write_table(pd.DataFrame({"build": [40.0]}), "runs.xlsx")
    Traceback (most recent call last):
    ...
    ValueError: runs.xlsx: the name ends in '.xlsx', expected one of .csv, .csv.gz, ...
    """
    path = Path(path)
    if not path.name.endswith(TABLE_ENDINGS):
        raise ValueError(
            f"{path}: the name ends in {path.suffix!r}, expected one of {', '.join(TABLE_ENDINGS)}."
        )
    numbered = isinstance(table.index, pd.RangeIndex) and table.index.name is None
    with replacing(path) as new:
        if path.name.endswith(".parquet"):
            table.to_parquet(new)
        else:
            write_csv(table, new, index=not numbered)
