"""Run histories from CSV, Parquet and JSON files."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pandas as pd

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders._column_names import guess_columns, map_columns
from sklearn_jobtime.loaders._conversion import NO_STATUS, ONE_JOB, mapped_long, typed_columns
from sklearn_jobtime.loaders._csv_texts import missing_texts, text_columns, write_csv
from sklearn_jobtime.loaders._csv_numbers import whole_numbers, without_decimal_commas
from sklearn_jobtime.loaders._json_columns import values_inside
from sklearn_jobtime.loaders._json_table import JSON_ENDINGS, is_json, read_json_table
from sklearn_jobtime.loaders._local_times import localise
from sklearn_jobtime.loaders._log_columns import error_flag, with_projects
from sklearn_jobtime.loaders._moments import moment_kind
from sklearn_jobtime.loaders._named_jobs import with_statuses
from sklearn_jobtime.loaders._open_file import COMPRESSED, MAX_BYTES, open_text
from sklearn_jobtime.loaders._parquet import read_parquet
from sklearn_jobtime.loaders._recognised_log import recognised_log
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.loaders._table_form import owned_statuses
from sklearn_jobtime.loaders._text import inferred, to_text
from sklearn_jobtime.runs._long_table import pivot_runs
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT
from sklearn_jobtime.runs._validation import to_utc, validate_runs

__all__ = ["FILE_ENDINGS", "TABLE_ENDINGS", "read_log", "read_runs", "read_table", "write_table"]


TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")
_READ_ENDINGS = (".csv", ".tsv", ".parquet", *JSON_ENDINGS)
FILE_ENDINGS = tuple(end + packed for end in _READ_ENDINGS for packed in ("", *COMPRESSED))
_JSON_NAMES = tuple(end + packed for end in JSON_ENDINGS for packed in ("", *COMPRESSED))
_KEYS = ["series", "run"]
_ALSO_JOBS = ("build", "batch", "execution", "seconds")  # names of runs, or of a job's seconds
_HEAD = 1_048_576  # characters in which the header line ends
# Of the columns beside labels that are texts; of other files pandas has its own list.
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "null", "NULL", "None"]
_SEPARATORS = (",", ";", "\t", "|")  # the first of those that fit alike


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


def as_runs(
    table: pd.DataFrame,
    path: str | Path,
    *,
    jobs: Sequence[str] | None = None,
    index: Sequence[str] | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Make the run table of what :func:`read_table` read from `path`; see :func:`read_runs`."""
    table = table.copy(deep=False)
    for name in (STARTED_AT, ENDED_AT, *_KEYS):
        if below := table.attrs.get("nested", {}).get(name):
            raise RunTableError(
                f"{path}: {name!r} holds objects or lists, expected a value; there are "
                f"{', '.join(below)}."
            )
    table.attrs = {}
    try:
        table = _in_zone(_with_plain_cells(table), timezone)
        if index is None and jobs is None and is_long(table):
            if table["job"].dtype == object:
                table = table.assign(job=to_text(table["job"]))
            return validate_runs(pivot_runs(table))
        return validate_runs(_with_index(_with_seconds(table), index), jobs=jobs)
    except RunTableError as error:
        raise RunTableError(f"{path}: {error}") from error


def _with_plain_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Give columns of objects the dtype of all their cells; those of names are text then."""
    objects = {name: inferred(table[name]) for name in table if table[name].dtype == object}
    names = {k: to_text(v) for k, v in objects.items() if k in _KEYS and v.dtype == object}
    return table.assign(**{**objects, **names}) if objects else table


def is_long(table: pd.DataFrame) -> bool:
    """Tell a long table, whose column `job` holds names, from a run table with a job so called.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders.files import is_long
    >>> is_long(pd.DataFrame({"run": [1], "job": ["build"], "duration": [4.0]}))
    True
    >>> is_long(pd.DataFrame({"run": [1], "job": [120.0], "job__status": ["success"]}))
    False
    """
    if not {"run", "job"} <= set(table.columns) or owned_statuses(list(table.columns)):
        return False
    return "duration" in table or not _all_seconds(table["job"])


def _in_zone(table: pd.DataFrame, timezone: str | None) -> pd.DataFrame:
    """Take the times of a run table that name no zone for those of a clock."""
    clocks = [c for c in (STARTED_AT, ENDED_AT) if c in table]
    local = [c for c in clocks if "with " not in moment_kind(table[c])]
    local = [c for c in local if not pd.api.types.is_numeric_dtype(table[c])]
    if timezone is None or not local:
        return table
    table = table.assign(**{c: to_utc(table[c]) for c in local})
    localise(table, local, timezone)
    return table


def _all_seconds(column: pd.Series) -> bool:
    """Tell seconds from names; whole numbers may be names."""
    if pd.api.types.is_numeric_dtype(column):
        return pd.api.types.is_float_dtype(column)
    numbers = pd.to_numeric(column, errors="coerce")
    return bool((numbers.isna() == column.isna()).all()) and bool((numbers % 1 != 0).any())


def _with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """Make a job that bears a name of names, and was so read as text, seconds again."""
    for name in ("job", *(c for c in owned_statuses(list(table.columns)) if c in table)):
        if name in table and not pd.api.types.is_numeric_dtype(table[name]):
            numbers = pd.to_numeric(table[name], errors="coerce")
            if (numbers.isna() == table[name].isna()).all():
                table = table.assign(**{name: numbers})
    return table


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
    return _read_csv(path, delimiter or _separator(path, max_bytes), max_bytes)


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
            table, mapping, source=str(path), line_of=_lines_of(path, table), timezone=timezone
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
    rows = typed_columns(table, mapping, source=source, line_of=_lines_of(path, table))
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


def _lines_of(path: str | Path, table: pd.DataFrame) -> Callable[[int], int] | None:
    """Tell the line in which a row of a text file stands; it reads the file again, for an error."""
    name = str(path)
    if (line_of_record := table.attrs.get("line_of")) is not None:
        return cast(Callable[[int], int], line_of_record)
    if not any(end in name for end in (".csv", ".tsv")) or not Path(path).is_file():
        return None

    def line_of(row: int) -> int:
        with open_text(path) as lines:
            rows = csv.reader(lines, delimiter=_separator(path, MAX_BYTES), skipinitialspace=True)
            begun = 1
            for number, fields in enumerate(filter(None, _with_lines(rows))):
                begun = fields
                if number == row + 1:  # the first is the header
                    break
            return begun

    return line_of


def _with_lines(rows: Any) -> Iterator[int]:
    """Line in which each row begins; 0 for a blank one."""
    last = 0
    for row in rows:
        yield last + 1 if row else 0
        last = rows.line_num


def _separator(path: str | Path, max_bytes: int) -> str:
    """Tell what separates the fields: that by which the first lines have most, all as many."""
    with open_text(path, max_bytes=max_bytes) as lines:
        first = list(islice(lines, 20))
    widths: dict[str, list[int]] = {}
    for separator in _SEPARATORS:
        try:
            rows = list(csv.reader(first, delimiter=separator, skipinitialspace=True))
        except csv.Error:
            rows = []
        widths[separator] = [len(row) for row in rows if row] or [1]
    # A comma that separates most lines but not all is a damaged file rather than another form.
    even = {s: w[0] for s, w in widths.items() if len(set(w)) == 1 and w[0] > 1}
    candidates = even or {s: w[0] for s, w in widths.items()}
    return max(candidates, key=lambda separator: candidates[separator])


def _read_csv(path: Path, separator: str, max_bytes: int) -> pd.DataFrame:
    header = _checked_header(path, max_bytes, separator)
    guess = guess_columns(name for name in header if name)
    names = {guess[role]: "str" for role in ("series", "run", "job") if role in guess}
    if jobs := set(owned_statuses(header)):  # a run table
        names = {name: "str" for name in _KEYS if name in header and name not in jobs}
    with open_text(path, max_bytes=max_bytes) as lines:
        labels = text_columns(lines.read(_HEAD), separator)
    own = {header[place] or f"Unnamed: {place}" for place in labels}
    for name in [name for name in names if name.lower() in _ALSO_JOBS or name in own]:
        del names[name]
    missing = {name: _MISSING for name in header if name not in own} if own else None
    try:
        with open_text(path, max_bytes=max_bytes, newline="" if own else None) as lines:
            table = pd.read_csv(
                lines,
                sep=separator,
                index_col=False,
                low_memory=False,
                skipinitialspace=not own,
                dtype={**names, **dict.fromkeys(own, "str")},
                keep_default_na=not own,
                na_values=missing,
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SourceError(
            f"{path}: is no CSV table ({str(error).strip()}); check its quotes, or export it again."
        ) from error
    empty = [n for n in own if n in table and n not in _KEYS and (table[n] == "").any()]
    if empty:
        table[empty] = table[empty].mask(missing_texts(path, empty, max_bytes))
    for name in names:
        table[name] = whole_numbers(table[name])
    if separator != ",":
        table = table.apply(without_decimal_commas)
    if header[0]:
        return table
    unnamed = table.columns[0]
    if unnamed not in own and (set(_KEYS) - jobs) & set(table.columns):
        return table.drop(columns=unnamed)
    return table.set_index(unnamed).rename_axis(None)


def _checked_header(path: Path, max_bytes: int, separator: str) -> list[str]:
    """Names of the columns; pandas would rename repeated ones and fill short rows, unasked."""
    with open_text(path, max_bytes=max_bytes) as lines:
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        try:
            header = next(rows, None) or [""]
            guess = guess_columns(name for name in header if name)
            # In a log, a column that nothing needs may stand twice.
            is_needed = [
                name in guess.values() or ("duration" not in guess and "status" not in guess)
                for name in header
            ]
            if twice := [
                name
                for k, name in enumerate(header)
                if name and name in header[:k] and is_needed[k]
            ]:
                raise RunTableError(
                    f"{path}, line 1: column {twice[0]!r} stands twice; rename or drop one."
                )
            for row in rows:
                if row and len(row) != len(header):
                    raise SourceError(
                        f"{path}, line {rows.line_num}: {len(row)} fields, expected {len(header)} "
                        "as in the header line; the file is cut off or damaged: export it again."
                    )
        except csv.Error as error:
            raise SourceError(
                f"{path}, line {rows.line_num}: is no CSV ({error}); export the table again."
            ) from error
    return header


def _with_index(table: pd.DataFrame, index: Sequence[str] | None) -> pd.DataFrame:
    if index is None:
        jobs = owned_statuses(list(table.columns))
        keys = [name for name in _KEYS if name in table.columns and name not in jobs]
        if keys == ["series"]:
            table = table.assign(run=table.groupby("series", sort=False, dropna=False).cumcount())
            keys = _KEYS
    else:
        keys = list(index)
        if missing := [name for name in keys if name not in table.columns]:
            raise RunTableError(
                f"no column {missing[0]!r} for the index; the table has {list(table.columns)}."
            )
    if not keys:
        return table
    if (absent := table[keys].isna().any(axis=1)).any():
        row = int(absent.to_numpy().argmax())
        raise RunTableError(
            f"row {row}: {table[keys].iloc[row].to_dict()} names no run; expected a value in each "
            f"of the columns {keys}; fill it in or drop the row."
        )
    return table.set_index(keys)


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
