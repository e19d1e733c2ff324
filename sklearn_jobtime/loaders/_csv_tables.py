"""Tables in CSV files, whatever separates their fields; an error names the line."""

import csv
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pandas as pd

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders._column_names import guess_columns
from sklearn_jobtime.loaders._csv_numbers import whole_numbers, without_decimal_commas
from sklearn_jobtime.loaders._csv_texts import missing_texts, text_columns
from sklearn_jobtime.loaders._open_file import MAX_BYTES, open_text
from sklearn_jobtime.loaders._run_tables import KEYS
from sklearn_jobtime.loaders._table_form import owned_statuses

__all__ = ["lines_of", "read_csv"]


_ALSO_JOBS = ("build", "batch", "execution", "seconds")  # names of runs, or of a job's seconds
_HEAD = 1_048_576  # characters in which the header line ends
# Of the columns beside labels that are texts; of other files pandas has its own list.
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "null", "NULL", "None"]
_SEPARATORS = (",", ";", "\t", "|")  # the first of those that fit alike


def read_csv(path: Path, delimiter: str | None, max_bytes: int) -> pd.DataFrame:
    """Read a CSV file as :func:`~sklearn_jobtime.loaders.files.read_table` says."""
    separator = delimiter or _separator(path, max_bytes)
    header = _checked_header(path, max_bytes, separator)
    guess = guess_columns(name for name in header if name)
    names = {guess[role]: "str" for role in ("series", "run", "job") if role in guess}
    if jobs := set(owned_statuses(header)):  # a run table
        names = {name: "str" for name in KEYS if name in header and name not in jobs}
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
    empty = [n for n in own if n in header and n not in KEYS and (table[n] == "").any()]
    if empty:
        table[empty] = table[empty].mask(missing_texts(path, empty, max_bytes))
    for name in names:
        table[name] = whole_numbers(table[name])
    if separator != ",":
        table = table.apply(without_decimal_commas)
    if header[0]:
        return table
    unnamed = table.columns[0]
    if unnamed not in own and (set(KEYS) - jobs) & set(table.columns):
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


def lines_of(path: str | Path, table: pd.DataFrame) -> Callable[[int], int] | None:
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
