"""From a table whose columns are known to the long table; SQL, BigQuery and files read through it.

:func:`typed_columns` converts the values of one chunk of rows, and :func:`mapped_long` makes one
long table of all the chunks. What must be judged over all rows, such as the unit of a column, goes
from one to the other in ``.attrs["reading"]``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._column_names import (
    EPOCH_UNITS,
    QUEUED_AT,
    QUEUED_SECONDS,
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
    unknown_moments,
)
from sklearn_jobtime.loaders._redundant import (
    Contradiction,
    compare_with_clock,
    forget_unknown_moments,
)
from sklearn_jobtime.loaders._states import checked_states, read_states
from sklearn_jobtime.loaders._text import inferred, to_text
from sklearn_jobtime.runs._long_table import LONG_COLUMNS, long_table
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["NO_STATUS", "ONE_JOB", "mapped_long", "since_utc", "typed_columns", "typed_rows"]


ONE_SERIES = "history"
ONE_JOB = "job"
NO_STATUS = (
    "no column of statuses: every run that has an end counts as a success; name it with --column "
    "status=NAME."
)


def since_utc(since: str | datetime) -> pd.Timestamp:
    """Time of a filter in UTC; without a zone it is read as UTC.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._conversion import since_utc
    >>> since_utc("2026-03-01")
    Timestamp('2026-03-01 00:00:00+0000', tz='UTC')
    """
    try:
        time = pd.Timestamp(since).as_unit("us")
    except (ValueError, TypeError):
        time = pd.NaT
    if time is pd.NaT:
        raise ValueError(f"since={since!r} is not a time; expected one such as '2026-03-01'.")
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")


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
    >>> from sklearn_jobtime.loaders._conversion import typed_columns
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
    >>> from sklearn_jobtime.loaders._conversion import typed_rows
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


def mapped_long(
    rows: pd.DataFrame,
    *,
    mapping: Mapping[str, str],
    since: str | datetime | None = None,
    jobs: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
    system: str = "plain",
) -> pd.DataFrame:
    """Make the long table of the converted rows of a table.

    A table without a column of runs has one row a run: each job is then a series of its own
    (``series/job`` where the table has both) and a run is called by its start. Without a column
    of jobs each run has one job, called ``job``; without series all is one, called ``history``.

    Parameters
    ----------
    rows : DataFrame
        All the chunks of :func:`typed_columns`, one below the other.
    mapping : mapping of str to str
        As of :func:`~sklearn_jobtime.loaders._column_names.map_columns`; kept in
        ``.attrs["columns"]``
        to be shown.
    since : str or datetime, default=None
        Keep the rows that started at this time or later.
    jobs : sequence of str, default=None
        Keep these jobs only.
    states : mapping of str to str or None, default=None
        Your own states to the one vocabulary (None: has not ended), before the usual ones.
    on_unknown : {"error", "warn"}, default="error"
        As in :func:`~sklearn_jobtime.loaders.to_status`.
    system : str, default="plain"
        Whose words for states go before those of all others.

    Returns
    -------
    DataFrame
        A long table. Without a column of statuses, what has an end counts as a success. Rows
        that name no run or job, or that ended before they started, are left out and counted.
        ``.attrs["notes"]`` holds a sentence for each thing that was concluded from the values.

    Notes
    -----
    Where a table has start, end and duration, the duration column tells how long a job took, start
    and end when it ran. They are compared: a duration that is 1,000, 60 or 3,600 times end minus
    start in every row is converted with a note; other differences are a note. Numbers since 1970
    are of the unit that their digits tell. An end that stands for "not known", such as the year
    9999, is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._conversion import mapped_long
    >>> rows = pd.DataFrame({"job": ["load"], "duration": [60.0],
    ...                      "started_at": pd.to_datetime(["2026-03-01T04:00Z"])})
    >>> mapped_long(rows, mapping={})[["series", "run", "job", "ended_at"]]
      series                   run   job                  ended_at
    0   load  2026-03-01T04:00:00Z  load 2026-03-01 04:01:00+00:00
    """
    reading = rows.attrs.get("reading", {"source": "the table", "units": {}, "short_clock": {}})
    notes = [
        f"column {column!r} was read as {UNIT_NAMES[unit]} since 1970."
        for role, (column, unit) in reading["units"].items()
        if role in TIMES and unit not in (None, 1.0) and told_unit(column, EPOCH_UNITS) is None
    ]
    if local := reading.get("local"):
        zone = reading["timezone"] or "UTC (name another with --input-timezone)"
        notes.append(
            f"times without a zone, in {', '.join(map(repr, local.values()))}, were read as {zone}."
        )
    rows = rows.reset_index(drop=True)
    rows.attrs = {}
    try:
        rows = _with_times(rows, reading, notes)
    except Contradiction as error:
        where = "" if error.row is None else f", row {error.row}"
        if where and (line_of := reading.get("line_of")):
            where = f", line {line_of(error.row)}"
        raise SourceError(f"{reading['source']}{where}: {error}") from None
    if since is not None:
        rows = rows[rows[STARTED_AT] >= since_utc(since)]
    if jobs is not None:
        rows = rows[rows["job"].isin(list(jobs))]
    rows = _with_statuses(rows, mapping.get("status"), states, on_unknown, notes, system)
    backwards = (rows[ENDED_AT] < rows[STARTED_AT]) | (rows["duration"] < 0)
    wrong = {"row that ended before it started": backwards}
    for name in ("run", "job"):
        if name in rows:
            wrong[f"row without a {name}"] = rows[name].isna()
    if "run" not in rows:
        wrong["row without a start to name its run by"] = rows[STARTED_AT].isna()
    dropped = {}
    for why, is_wrong in wrong.items():
        kept = rows[~is_wrong.reindex(rows.index)]
        dropped[why] = len(rows) - len(kept)
        rows = kept
    table = long_table(_with_names(rows, mapping.get("run"), notes), dropped)
    table.attrs["columns"] = dict(mapping)
    if notes:
        table.attrs["notes"] = notes
    return table


def _with_times(rows: pd.DataFrame, reading: Mapping[str, Any], notes: list[str]) -> pd.DataFrame:
    """Start, end and duration, each of the other two where the table does not have it."""
    rows = rows.copy()
    for covariate in [c for c in rows if c not in (*LONG_COLUMNS, *TIMES, *SECONDS)]:
        rows[covariate] = inferred(rows[covariate])
    forget_unknown_moments(rows, notes, unknown_moments)
    if "duration" in rows:
        _settle_unit(rows, reading, notes)
        _fill_durations(rows, notes)
    else:
        rows["duration"] = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    _fill_times(rows)
    if QUEUED_AT in rows:
        queued = rows.pop(QUEUED_AT)
        if QUEUED_SECONDS not in rows:
            rows[QUEUED_SECONDS] = (rows[STARTED_AT] - queued).dt.total_seconds()
    return rows


def _settle_unit(rows: pd.DataFrame, reading: Mapping[str, Any], notes: list[str]) -> None:
    """Compare the durations with the clock, and stop where nothing tells their unit."""
    column, unit = reading["units"].get("duration", ("duration", None))
    _, example, settled = reading["short_clock"].get("duration", (column, None, True))
    settled = settled or example is None
    proven = False
    if {STARTED_AT, ENDED_AT} <= set(rows):
        said = bool(reading.get("said", {}).get("duration"))
        proven = compare_with_clock(
            rows, notes, name=column, unit=unit, short_clock=not settled, said=said
        )
    if not settled and not proven:
        raise Contradiction(
            f"column {column!r}: {example!r} may be minutes and seconds or hours and minutes, and "
            "no start and end beside it tell; say which with columns={'duration_mmss': "
            f"{column!r}}} or {{'duration_hhmm': {column!r}}} (in a shell: --column "
            f"duration_mmss={column}), or write 00:02:03."
        )
    if not proven and unit is None:
        _follow_epoch(rows, reading, column, notes)


def _follow_epoch(
    rows: pd.DataFrame, reading: Mapping[str, Any], column: str, notes: list[str]
) -> None:
    """Read whole durations beside moments in milliseconds as milliseconds too, if they can be."""
    told_by_digits = (
        told
        for role, (moments, told) in reading["units"].items()
        if role in TIMES and told_unit(moments, EPOCH_UNITS) is None
    )
    unit = next(told_by_digits, None)
    seconds = rows["duration"][np.isfinite(rows["duration"]) & (rows["duration"] != 0)]
    if unit in (None, 1.0) or seconds.empty or (seconds % 1 != 0).any():
        return
    if (seconds * unit >= 1).all():
        rows["duration"] /= round(1 / unit)
        notes.append(
            f"column {column!r} was read as {UNIT_NAMES[unit]}, the unit of the moments beside it; "
            f"if it is seconds, say so: --column duration_s={column}."
        )
        return
    short = {1e-3: "ms", 1e-6: "us", 1e-9: "ns"}[unit]
    raise Contradiction(
        f"column {column!r} may be seconds or {UNIT_NAMES[unit]}, the unit of the moments beside "
        f"it; say which with columns={{'duration_s': {column!r}}} or {{'duration_{short}': "
        f"{column!r}}} (in a shell: --column duration_s={column})."
    )


def _fill_durations(rows: pd.DataFrame, notes: list[str]) -> None:
    """Take a missing duration from start and end."""
    lacks = rows["duration"].isna()
    if not ({STARTED_AT, ENDED_AT} <= set(rows) and lacks.any()):
        return
    span = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    lacks &= span >= 0
    if lacks.any():
        rows["duration"] = rows["duration"].where(~lacks, span)
        notes.append(
            f"{int(lacks.sum()):,} rows have no duration; end minus start was taken for it."
        )


def _fill_times(rows: pd.DataFrame) -> None:
    """Take a missing start or end from the other one and the duration."""
    finite = rows["duration"].where(np.isfinite(rows["duration"]))
    span: pd.Series | None = None
    for name, other, sign in ((STARTED_AT, ENDED_AT, -1), (ENDED_AT, STARTED_AT, 1)):
        if name in rows and not (rows[name].isna() & finite.notna()).any():
            continue
        if span is None:
            span = pd.to_timedelta(finite, unit="s", errors="coerce").dt.round("us")
        moments = rows[other] + sign * span if other in rows else pd.NaT
        rows[name] = rows[name].fillna(moments) if name in rows else moments


def _with_statuses(
    rows: pd.DataFrame,
    column: str | None,
    states: Mapping[str, str | None] | None,
    on_unknown: str,
    notes: list[str],
    system: str,
) -> pd.DataFrame:
    checked_states(states)
    if "status" not in rows:
        notes.append(NO_STATUS)
        ended = rows[ENDED_AT].notna() | rows["duration"].notna()
        status = pd.Series("success", index=rows.index, dtype=object).where(ended, None)
        return rows.assign(status=status)
    status, unknown = read_states(
        rows["status"], system, column=column, own=states, on_unknown=on_unknown
    )
    if not unknown.any():
        return rows.assign(status=status)
    counts = rows["status"][unknown].value_counts()
    notes.append(
        "states that are not known: "
        + ", ".join(f"{state} ({count:,})" for state, count in counts.items())
        + "; their durations are not learned from, their ends count."
    )
    return rows.assign(status=status, has_ended=unknown & rows[ENDED_AT].notna())


def _with_names(rows: pd.DataFrame, run: str | None, notes: list[str]) -> pd.DataFrame:
    rows = rows.copy()
    if str(run).lower() == "number" and "job" in rows and "series" not in rows:
        rows["series"] = rows["job"]
        if len(rows["job"].dropna().unique()) > 1:
            notes.append(
                f"the numbers in {run!r} count the runs of each job, so each job is a series; if "
                f"they are those of a whole run, name the pipeline with --column series=NAME."
            )
    if "run" not in rows:
        if "job" in rows:
            rows["series"] = rows["series"] + "/" + rows["job"] if "series" in rows else rows["job"]
        rows["run"] = _start_names(rows)
    for name, constant in (("series", ONE_SERIES), ("job", ONE_JOB)):
        rows[name] = rows[name].where(rows[name].notna(), constant) if name in rows else constant
    return rows


def _start_names(rows: pd.DataFrame) -> pd.Series:
    """Name of each run: its start, with a number where two of a series started at once."""
    names = rows[STARTED_AT].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str.removesuffix(".000000") + "Z"
    keys = [names, rows["series"]] if "series" in rows else [names]
    repeat = rows.groupby(keys, dropna=False).cumcount()
    return names.where(repeat == 0, names + "#" + (repeat + 1).astype("str"))
