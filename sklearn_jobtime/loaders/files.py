"""Run histories from CSV, Parquet and JSON lines files."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders._column_names import guess_columns, map_columns
from sklearn_jobtime.loaders._conversion import mapped_long, typed_columns
from sklearn_jobtime.loaders._open_file import COMPRESSED, MAX_BYTES, open_bytes, open_text
from sklearn_jobtime.runs._long_table import pivot_runs
from sklearn_jobtime.runs._schema import STATUS_SUFFIX
from sklearn_jobtime.runs._validation import validate_runs

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FILE_ENDINGS", "TABLE_ENDINGS", "read_log", "read_runs", "read_table", "write_table"]


TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")
_READ_ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
FILE_ENDINGS = tuple(end + packed for end in _READ_ENDINGS for packed in ("", *COMPRESSED))
_KEYS = ["series", "run"]
_ALSO_JOBS = ("build", "batch", "execution", "seconds")  # names of runs, or of a job's seconds
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
    return as_runs(read_table(path, max_bytes=max_bytes), path, jobs=jobs, index=index)


def as_runs(
    table: pd.DataFrame,
    path: str | Path,
    *,
    jobs: Sequence[str] | None = None,
    index: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Make the run table of what :func:`read_table` read from `path`; see :func:`read_runs`."""
    try:
        if index is None and {"run", "job"} <= set(table.columns):
            return validate_runs(pivot_runs(table), jobs=jobs)
        return validate_runs(_with_index(table, index), jobs=jobs)
    except RunTableError as error:
        raise RunTableError(f"{path}: {error}") from error


def read_table(path: str | Path, *, max_bytes: int = MAX_BYTES) -> pd.DataFrame:
    """Read a table from a file as it is; :func:`read_runs` and :func:`read_log` say what it means.

    Parameters
    ----------
    path : str or Path
        A file that ends in ``.csv``, ``.tsv``, ``.parquet`` or ``.jsonl``, also compressed
        (``.gz``, ``.bz2``, ``.xz``, or ``.zip`` with one file in it). What separates the fields
        of a CSV file (a comma, semicolon, tab or bar) is told from its first lines; with a
        semicolon or tab, numbers may have a decimal comma. JSON lines hold one object a row.
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
    if not path.name.endswith(FILE_ENDINGS):
        raise SourceError(
            f"{path}: the name ends in {path.suffix!r}, expected {', '.join(_READ_ENDINGS)}, also "
            f"with {', '.join(COMPRESSED)} behind it; export the table as one of these, or rename "
            "the file."
        )
    kind = next(suffix for suffix in reversed(path.suffixes) if suffix not in COMPRESSED)
    if kind == ".parquet":
        return _read_parquet(path, max_bytes)
    if kind in (".csv", ".tsv"):
        return _read_csv(path, max_bytes)
    return _read_json_lines(path, max_bytes)


def is_log(table: pd.DataFrame) -> bool:
    """Tell a log, one row a job of a run under names of its own, from a run table.

    A log has a column of text that is usually called a job, step or status, or one column of
    durations; a run table has statuses named after its jobs.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders.files import is_log
    >>> is_log(pd.DataFrame({"task": ["load"], "start": ["2026-03-01"], "elapsed_ms": [5]}))
    True
    >>> is_log(pd.DataFrame({"started_at": ["2026-03-01"], "build": [5.0], "deploy": [7.0]}))
    False
    """
    if any(str(column).endswith(STATUS_SUFFIX) for column in table):
        return False
    guess = guess_columns(table.columns)
    names = [guess[role] for role in ("job", "status") if role in guess]
    return "duration" in guess or any(
        not pd.api.types.is_numeric_dtype(table[name]) for name in names
    )


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
    table = read_table(path, max_bytes=max_bytes)
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
) -> pd.DataFrame:
    """Make the long table of what :func:`read_table` read from `path`; see :func:`read_log`."""
    mapping = map_columns(table.columns, columns, source=str(path))
    return mapped_long(
        typed_columns(table, mapping, source=str(path), line_of=_lines_of(path)),
        mapping=mapping,
        since=since,
        jobs=jobs,
        states=states,
        on_unknown=on_unknown,
    )


def _lines_of(path: str | Path) -> Callable[[int], int] | None:
    """Tell the line in which a row of a text file stands; it reads the file again, for an error."""
    name = str(path)
    if ".parquet" in name or not Path(path).is_file():
        return None

    def line_of(row: int) -> int:
        with open_text(path) as lines:
            if ".csv" not in name and ".tsv" not in name:
                numbers = (number for number, line in enumerate(lines, start=1) if line.strip())
                return next(islice(numbers, row, None), row + 1)
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


def _read_csv(path: Path, max_bytes: int) -> pd.DataFrame:
    separator = _separator(path, max_bytes)
    header = _checked_header(path, max_bytes, separator)
    guess = guess_columns(name for name in header if name)
    names = {guess[role]: "str" for role in ("series", "run", "job") if role in guess}
    for name in [name for name in names if name.lower() in _ALSO_JOBS]:
        del names[name]
    try:
        with open_text(path, max_bytes=max_bytes) as lines:
            table = pd.read_csv(
                lines,
                sep=separator,
                index_col=False,
                low_memory=False,
                skipinitialspace=True,
                dtype=names,
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SourceError(
            f"{path}: is no CSV table ({str(error).strip()}); check its quotes, or export it again."
        ) from error
    for name in names:
        table[name] = _whole_numbers(table[name])
    if separator != ",":
        table = table.apply(_without_decimal_commas)
    if header[0]:
        return table
    unnamed = table.columns[0]
    if set(_KEYS) & set(table.columns):
        return table.drop(columns=unnamed)
    return table.set_index(unnamed).rename_axis(None)


def _whole_numbers(names: pd.Series) -> pd.Series:
    """Make names that are numbers numbers, but not 007, nor 1.10 beside 1.1."""
    there = names.dropna()
    if there.empty:
        return names.astype("float64")
    if not there.str.fullmatch(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?").all():
        return names
    is_long = there.str.len().max() > 15 and len(there) < len(names)  # a float lacks the digits
    if is_long and not there.str.contains(".", regex=False).any():
        whole = [int(name) if isinstance(name, str) else None for name in names]
        return pd.Series(whole, index=names.index, name=names.name, dtype="Int64")
    numbers = pd.to_numeric(names)
    if numbers.nunique() < there.nunique():
        return names
    return numbers


def _without_decimal_commas(column: pd.Series) -> pd.Series:
    """Read 61,5 and 1.234,5 as numbers; 1,234 in all rows may be thousands and stays a text."""
    if pd.api.types.is_numeric_dtype(column) or column.isna().all():
        return column
    text = column.astype("str").str.strip()
    there = column.notna()
    numbers = text.str.fullmatch(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?")
    if not numbers[there].all() or not text[there].str.contains(",", regex=False).any():
        return column
    with_comma = text[there & text.str.contains(",", regex=False)]
    if with_comma.str.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}").all():
        return column
    plain = text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return pd.to_numeric(plain.where(there)).astype("float64")


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


def _read_json_lines(path: Path, max_bytes: int) -> pd.DataFrame:
    rows = []
    with open_text(path, max_bytes=max_bytes) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SourceError(
                    f"{path}, line {number}: is no JSON ({error}); expected one object a line; the "
                    "file may be cut off: export it again."
                ) from None
            if not isinstance(row, dict):
                raise SourceError(
                    f"{path}, line {number}: {type(row).__name__}, expected an object such as "
                    '{"run": 1, "job": "load"} on every line.'
                )
            rows.append(row)
    if not rows:
        raise SourceError(f"{path}: is empty; expected one JSON object a line.")
    return pd.DataFrame(rows)


def _read_parquet(path: Path, max_bytes: int) -> pd.DataFrame:
    import pyarrow as pa  # noqa: PLC0415  slow to load
    import pyarrow.parquet as pq  # noqa: PLC0415

    with open_bytes(path, max_bytes=max_bytes) as file:
        magic = file.read(4)
        packed = path.suffix in COMPRESSED
        source = io.BytesIO(magic + file.read()) if packed else path
    try:
        if magic != b"PAR1":
            raise pa.ArrowInvalid("it does not begin with the bytes PAR1")
        with pq.ParquetFile(source) as parquet:
            groups = range(parquet.num_row_groups)
            size = sum(parquet.metadata.row_group(k).total_byte_size for k in groups)
            if size > max_bytes:
                raise SourceError(
                    f"{path}: holds {size} bytes uncompressed, more than max_bytes={max_bytes}; if "
                    "the file is to be trusted, raise max_bytes."
                )
            return _to_pandas(parquet.read())
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{path}: is no whole Parquet file ({str(error).strip()}); write or fetch it again."
        ) from error


def _to_pandas(table: "pa.Table") -> pd.DataFrame:
    """Leave out the columns of types that pandas does not know; they never stop a load."""
    import pyarrow as pa  # noqa: PLC0415  slow to load

    try:
        return table.to_pandas()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, UnicodeDecodeError):
        kept = []
        for name in table.column_names:
            try:
                table.select([name]).to_pandas(ignore_metadata=True)
                kept.append(name)
            except (pa.ArrowException, UnicodeDecodeError):
                continue
        return table.select(kept).to_pandas()


def _with_index(table: pd.DataFrame, index: Sequence[str] | None) -> pd.DataFrame:
    if index is None:
        keys = [name for name in _KEYS if name in table.columns]
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
            table.to_csv(new, index=not numbered)
