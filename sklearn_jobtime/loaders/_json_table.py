"""The table of a JSON file, whatever its form: of a known system, or of somebody's own."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import TIMES, guess_columns
from sklearn_jobtime.loaders._json_columns import record_table
from sklearn_jobtime.loaders._json_documents import json_documents
from sklearn_jobtime.loaders._json_paths import at_path, each_of, is_nested, plain_path
from sklearn_jobtime.loaders._json_records import records_of
from sklearn_jobtime.loaders._mapped_records import mapped_records
from sklearn_jobtime.loaders._open_file import MAX_BYTES, find_files, open_text
from sklearn_jobtime.loaders._record_maps import map_of
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["is_json", "read_json_table"]


JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
_EPOCHS = 1e8  # a smaller number is no moment but a count, such as the offset of a page


def is_json(path: str | Path) -> bool:
    """Tell a file that begins as JSON does, and a folder or a pattern of such files."""
    try:
        path = find_files(path, JSON_ENDINGS)[0]
        with open_text(path) as stream:
            return stream.read(1024).lstrip()[:1] in ("{", "[")
    except (SourceError, OSError, UnicodeError):
        return False


def read_json_table(
    source: str | Path,
    *,
    columns: Mapping[str, str | None] | None = None,
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    """Read the records of a JSON file, of a folder of them or of a pattern.

    Parameters
    ----------
    source : str or Path
        Arrays, objects with a list inside, one object a line, or several pages one after another.
    columns : mapping of str to str or None, default=None
        Roles to paths in a record: ``pipeline.id``, ``steps.0.name``, or ``jobs[].name`` for one
        row for each object of a list.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        One row a record. Where the records are those of a known system,
        ``.attrs["recognised"]`` says of which, and which column is which.

    Raises
    ------
    SourceError
        When a file is no JSON, holds no record, or lacks a path.
    """
    documents = (
        document
        for path in find_files(source, JSON_ENDINGS)
        for document in json_documents(path, max_bytes=max_bytes)
    )
    records, is_cut = records_of(documents, _score(columns))
    if not records:
        raise SourceError(f"{source}: holds no record; check the export that wrote it.")
    known = sum(map_of(record.value) is not None for record in records)
    if known * 2 <= len(records):
        return record_table(records, columns, source=source)
    table, found = mapped_records(records, source=str(source), columns=columns, is_cut=is_cut)
    table.attrs["recognised"] = found
    return table


def _score(columns: Mapping[str, str | None] | None) -> Callable[[dict[str, Any]], int]:
    """How much an object looks like a record: it is known, it has the paths, it has times."""
    paths = [plain_path(path) for path in (columns or {}).values() if path]

    def score(value: dict[str, Any]) -> int:
        if map_of(value) is not None:
            return 10_000
        there = sum(
            bool(each_of(value, path.rpartition("[].")[0]))
            if "[]." in path
            else at_path(value, path)[1]
            for path in paths
        )
        return 100 * there + (10 * _times(value) if paths else _times(value))

    return score


@lru_cache(1000)
def _guess(names: tuple[str, ...]) -> dict[str, str]:
    return guess_columns(names)


def _times(value: dict[str, Any]) -> int:
    """2 for what has the times of a job, 1 for what has some of them."""
    guess = dict(_guess(tuple(name for name, inner in value.items() if not is_nested(inner))))
    for role in TIMES:
        moment = value.get(guess.get(role, ""), "")
        if isinstance(moment, int | float) and abs(moment) < _EPOCHS:
            guess.pop(role, None)
    clocks = {STARTED_AT, ENDED_AT} & set(guess)
    if len(clocks) == 2 or ("duration" in guess and (clocks or {"run", "job"} & set(guess))):
        return 2
    return int(bool(clocks))
