"""The values of the mapped columns of a table, converted; chunk by chunk where it is read so.

What must be judged over all rows, such as the unit of a column, goes to :mod:`._mapped_long` in
``.attrs["reading"]``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._column_names import (
    EPOCH_UNITS,
    SECONDS,
    TIMES,
    UNITS,
    role_and_unit,
    short_clock_of,
    told_unit,
)
from sklearn_jobtime.loaders._durations import has_short_clock, to_seconds
from sklearn_jobtime.loaders._local_times import localise
from sklearn_jobtime.loaders._moments import (
    UNIT_NAMES,
    epoch_unit,
    moment_kind,
    to_moments,
)
from sklearn_jobtime.loaders._text import inferred, to_text
from sklearn_jobtime.runs._long_table import LONG_COLUMNS

__all__ = ["typed_columns", "typed_rows"]


def typed_columns(
    chunk: pd.DataFrame,
    mapping: Mapping[str, str],
    *,
    source: str,
    line_of: Callable[[int], int] | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Take the mapped columns of a chunk, under their new names and with their values converted.

    Parameters
    ----------
    chunk : DataFrame
        Rows of the source; its index names the rows in errors.
    mapping : mapping of str to str
        As of :func:`~sklearn_jobtime.loaders._column_names.map_columns`.
    source : str
        The place, for errors.
    line_of : callable, default=None
        Gives the line of the file in which a row (counted from 0) stands, for errors.
    timezone : str, default=None
        Zone of the times that name none, such as ``"Europe/Berlin"``. None: UTC.

    Returns
    -------
    DataFrame
        Times in UTC, durations in seconds (a name such as `elapsed_ms` or `run_min` says another
        unit; ``1:02:03`` is read too), names as text, covariates as they are.
        ``.attrs["reading"]`` says how the columns were read.

    Raises
    ------
    SourceError
        When a value is no time or no duration; it names the column, the row and the value.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._typed_columns import typed_columns
    >>> chunk = pd.DataFrame({"no": [7], "took_ms": [1500]})
    >>> typed_columns(chunk, {"run": "no", "duration": "took_ms"}, source="a table")
      run  duration
    0   7       1.5
    """
    reading: dict[str, Any] = {"source": source, "units": {}, "short_clock": {}, "kinds": {}}
    reading |= {"line_of": line_of, "said": {}}
    columns = {}
    for key, column in mapping.items():
        role, unit_name = role_and_unit(key)
        try:
            columns[role] = _converted(chunk[column], role, unit_name, reading)
        except BadValueError as error:
            raise _at_its_place(error, source, line_of) from None
    table = pd.DataFrame(columns, index=chunk.index)
    local = [name for name, (_, kind) in reading["kinds"].items() if "without" in kind]
    local += [n for n, (c, kind) in reading["kinds"].items() if not kind and _is_date(chunk[c])]
    if timezone is not None:
        localise(table, local, timezone)
    reading["local"] = {name: reading["kinds"][name][0] for name in local}
    reading["timezone"] = timezone
    table.attrs["reading"] = reading
    return table


def _is_date(column: pd.Series) -> bool:
    """Tell dates alone, which are local too, from numbers of seconds."""
    return column.notna().any() and not pd.api.types.is_numeric_dtype(column)


def _at_its_place(
    error: BadValueError, source: str, line_of: Callable[[int], int] | None
) -> SourceError:
    if line_of is None:
        return SourceError(f"{source}: {error}")
    line = line_of(error.row)
    return SourceError(f"{source}, line {line}, column {error.column!r}: {error.said}")


def _converted(
    values: pd.Series, role: str, unit_name: str | None, reading: dict[str, Any]
) -> pd.Series:
    column = values.name
    if role in SECONDS:
        unit = UNITS.get(unit_name) if unit_name else told_unit(column)
        short_clock = short_clock_of(unit_name or column)
        if short_clock == "ask" and str(column).lower() == "elapsed":  # as sacct's field
            short_clock = "minutes"
        if short_clock == "ask":
            first, settled = has_short_clock(values)
            if first is not None or settled:
                example = None if first is None else str(values.iloc[first])
                reading["short_clock"][role] = (column, example, settled)
                short_clock = "minutes"  # until all rows are there to tell
        reading["units"][role] = (column, unit)
        reading["said"] |= {role: unit_name is not None}
        return to_seconds(values, unit=1.0 if unit is None else unit, short_clock=short_clock)
    if role in TIMES:
        values = inferred(values)
        unit = EPOCH_UNITS.get(unit_name, 1.0) if unit_name else told_unit(column, EPOCH_UNITS)
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            reading["units"][role] = (column, unit or epoch_unit(values))
        moments = to_moments(values, unit=unit)
        reading["kinds"][role] = (column, moment_kind(values))
        return moments
    return to_text(values) if role in LONG_COLUMNS else values


def typed_rows(
    pages: Iterable[Iterable[Sequence[object]]],
    names: Sequence[str],
    mapping: Mapping[str, str],
    *,
    source: str,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Convert the rows that a database returns page by page; see :func:`typed_columns`.

    Parameters
    ----------
    pages : iterable of iterables of rows
        One page at a time is held in memory as the driver's own objects.
    names : sequence of str
        The columns of a row.
    mapping : mapping of str to str
        As of :func:`~sklearn_jobtime.loaders._column_names.map_columns`.
    source : str
        The place, for errors, which count the rows from 0.
    timezone : str, default=None
        Zone of the times that name none. None: UTC.

    Returns
    -------
    DataFrame
        All rows; of no rows, a table that has the columns.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._typed_columns import typed_rows
    >>> mapping = {"run": "no", "duration": "took"}
    >>> typed_rows([[(1, 60)], [(2, "0:01:30")]], ["no", "took"], mapping, source="a database")
      run  duration
    0   1      60.0
    1   2      90.0
    """
    chunks: list[pd.DataFrame] = []
    read = 0
    for page in pages:
        rows = [tuple(row) for row in page]
        index = pd.RangeIndex(read, read + len(rows))
        chunk = pd.DataFrame(rows, index=index, columns=list(names), dtype=object)
        if rows or not chunks:
            chunks.append(typed_columns(chunk, mapping, source=source, timezone=timezone))
        read += len(rows)
    if not chunks:
        return typed_rows([[]], names, mapping, source=source, timezone=timezone)
    reading = _joined_reading([chunk.attrs["reading"] for chunk in chunks])
    table = pd.concat(chunks)
    table.attrs = {"reading": reading}
    return table


def _joined_reading(readings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How all chunks were read; numbers since 1970 must be of one unit in all of them."""
    joined: dict[str, Any] = {
        "source": readings[0]["source"],
        "units": {},
        "short_clock": {},
        "kinds": {},
        "said": readings[0]["said"],
        "local": {},
        "timezone": readings[0]["timezone"],
    }
    for reading in readings:
        joined["local"] |= reading["local"]
        for role, (column, kind) in reading["kinds"].items():
            first = joined["kinds"].setdefault(role, (column, kind))[1] or kind
            if kind and kind != first:
                raise SourceError(
                    f"{reading['source']}: column {column!r} holds {first} and {kind}; write all "
                    "of them in one form, such as 2026-03-01T04:00:00Z."
                )
            joined["kinds"][role] = (column, first)
        for role, (column, unit) in reading["units"].items():
            before = joined["units"].get(role, (column, None))[1]
            if role in TIMES and None not in (before, unit) and before != unit:
                raise SourceError(
                    f"{reading['source']}: column {column!r} holds numbers of {UNIT_NAMES[before]} "
                    f"and of {UNIT_NAMES[unit]} since 1970; write all of them in one unit."
                )
            joined["units"][role] = (column, before if unit is None else unit)
        for role, (column, value, settled) in reading["short_clock"].items():
            _, first, before = joined["short_clock"].get(role, (column, value, False))
            joined["short_clock"][role] = (column, first or value, settled or before)
    return joined
