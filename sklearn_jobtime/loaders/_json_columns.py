"""The table of the records of a JSON file: their own values, and those at the paths asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import (
    QUEUED_AT,
    QUEUED_SECONDS,
    guess_columns,
    role_and_unit,
)
from sklearn_jobtime.loaders._json_paths import (
    at_path,
    each_of,
    is_nested,
    missing_path,
    nested_error,
    paths_of,
    plain_path,
)
from sklearn_jobtime.loaders._json_records import Record
from sklearn_jobtime.loaders._text import is_unicode

__all__ = ["column_of", "record_table", "values_inside"]


_EXACT = 2**53  # the whole numbers that a float holds


def column_of(values: Sequence[Any]) -> pd.Series:
    """Make a column of values, in which no large number loses digits beside a missing one.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_columns import column_of
    >>> column_of([9007199254740993, None]).iloc[0]
    9007199254740993
    """
    try:
        column = pd.Series(values, dtype=None if len(values) else object)
    except (UnicodeEncodeError, OverflowError):  # half a character; to be told with its row
        return pd.Series(values, dtype=object)
    is_large = pd.api.types.is_float_dtype(column) and (column.abs() >= _EXACT).any()
    if is_large and any(type(value) is int for value in values):
        return pd.Series(values, dtype=object)
    return column


def record_table(
    records: Sequence[Record], columns: Mapping[str, str | None] | None, *, source: str | Path
) -> pd.DataFrame:
    """Table of records of no known system: their values, and columns for the paths asked for.

    Objects and lists are no values: such a column is left out, unless a path leads into it.

    Parameters
    ----------
    records : sequence of Record
        The records.
    columns : mapping of str to str or None
        Roles to paths, such as ``{"run": "pipeline.id", "job": "jobs[].name"}``.
    source : str or Path
        The place, for errors.

    Returns
    -------
    DataFrame
        One row a record, or one for each object of the list of which ``[]`` is said. ``.attrs``
        tells the columns of objects as `nested`, with the paths below.

    Raises
    ------
    SourceError
        When no record has a path, or it leads to an object or a list.
    """
    paths = list(dict.fromkeys(plain_path(path) for path in (columns or {}).values() if path))
    lists = {path.rpartition("[].")[0] for path in paths if "[]." in path}
    if len(lists) > 1:
        raise SourceError(
            f"{source}: columns={dict(columns or {})} names several lists, "
            f"{', '.join(sorted(lists))}; a row is one object of one list."
        )
    values = [record.value for record in records]
    inner: list[Any] = [None] * len(values)
    if lists:
        values, inner = _each(records, lists.pop(), source)
    table, nested = _own_values(values, source)
    wanted = {path: _at_all(path, values, inner, source) for path in paths if path not in table}
    table = table.assign(**{path: column_of(column) for path, column in wanted.items()})
    given = {path: plain_path(path) for path in (columns or {}).values() if path}
    table = table.assign(**{path: table[plain] for path, plain in given.items() if path != plain})
    lines = [int(record.place.rpartition("line ")[2]) for record in records]
    # Where several objects stand in one document, its line says little.
    is_told = len(set(lines)) == len(table)
    table.attrs = {"nested": nested, "line_of": lines.__getitem__ if is_told else None}
    return table


def values_inside(
    table: pd.DataFrame,
    columns: Mapping[str, str | None] | None,
    notes: list[str],
    *,
    source: str,
) -> list[str]:
    """Give the paths inside of objects, and ask for one where an object seems to be needed.

    Raises
    ------
    SourceError
        When a column that is usually a job, a run, a status or a time holds objects or lists.
    """
    nested: dict[str, list[str]] = table.attrs.pop("nested", {})
    chosen = {role_and_unit(key)[0] for key in columns or {}}
    guess = guess_columns([*map(str, table), *nested])
    for role, column in guess.items():
        if column not in nested or role in chosen:
            continue
        below = ", ".join(nested[column]) or "nothing"
        if role not in ("series", QUEUED_AT, QUEUED_SECONDS):
            first = next(iter(nested[column]), f"{column}.NAME")
            raise SourceError(
                f"{source}: {column!r} seems to be the {role}, but holds objects or lists; name a "
                f"value inside of it, as columns={{{role!r}: {first!r}}}. There are: {below}."
            )
        notes.append(
            f"{column!r} holds objects, so it was not taken for the {role}; name a value inside "
            f"of it (--column {role}=PATH): {below}."
        )
    inside = [path for paths in nested.values() for path in paths]
    missing = {"run", "job", "status"} - chosen - set(guess)
    if inside and missing:
        notes.append(
            f"nothing names the {' and the '.join(sorted(missing))}; objects were not read: "
            f"{', '.join(inside[:12])} (a value inside of them: --column NAME=PATH)."
        )
    return inside


def _each(records: Sequence[Record], path: str, source: str | Path) -> tuple[list[Any], list[Any]]:
    """Record and object of its list, for each of its objects; the list may be around the record."""
    if not any(each_of(record.value, path) for record in records):
        around = {id(record.around): record.around for record in records if record.around}
        values = [value for value in around.values() if each_of(value, path)]
    else:
        values = [record.value for record in records]
    pairs = [(value, item) for value in values for item in each_of(value, path)]
    if not pairs:
        raise SourceError(
            f"{source}: no record has a list of objects {path!r}; there are "
            f"{', '.join(paths_of(record.value for record in records))}."
        )
    return [value for value, _ in pairs], [item for _, item in pairs]


def _own_values(
    values: Sequence[dict[str, Any]], source: str | Path
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    names = dict.fromkeys(name for value in values for name in value)
    if halved := next((name for name in names if not is_unicode(name)), None):
        raise SourceError(
            f"{source}: the name {halved[:80]!r} holds half of a character, which is no text; "
            "correct it."
        )
    data, nested = {}, {}
    for name in names:
        column = [value.get(name) for value in values]
        if {dict, list} & set(map(type, column)):
            nested[name] = paths_of({name: value} for value in column if is_nested(value))
        else:
            data[name] = column_of(column)
    return pd.DataFrame(data, index=pd.RangeIndex(len(values))), nested


def _at_all(
    path: str, values: Sequence[Any], inner: Sequence[Any], source: str | Path
) -> list[Any]:
    behind = path.rpartition("[].")[2] if "[]." in path else None
    found_any, column = False, []
    for value, item in zip(values, inner, strict=True):
        there, found = at_path(value, path) if behind is None else at_path(item, behind)
        found_any |= found
        if is_nested(there):
            raise nested_error(f"{source}", path, there)
        column.append(there)
    if not found_any:
        raise missing_path(str(source), path, values)
    return column
