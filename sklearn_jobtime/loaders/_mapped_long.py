"""From a table whose columns are known and converted to the long table."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import (
    EPOCH_UNITS,
    QUEUED_AT,
    QUEUED_SECONDS,
    SECONDS,
    TIMES,
    told_unit,
)
from sklearn_jobtime.loaders._moments import (
    UNIT_NAMES,
    since_utc,
    unknown_moments,
)
from sklearn_jobtime.loaders._redundant import (
    Contradiction,
    compare_with_clock,
    forget_unknown_moments,
)
from sklearn_jobtime.loaders._states import checked_states, read_states
from sklearn_jobtime.loaders._text import inferred
from sklearn_jobtime.runs._long_table import LONG_COLUMNS, long_table
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["NO_STATUS", "ONE_JOB", "mapped_long"]


ONE_SERIES = "history"
ONE_JOB = "job"
NO_STATUS = (
    "no column of statuses: every run that has an end counts as a success; name it with --column "
    "status=NAME."
)


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
    >>> from sklearn_jobtime.loaders._mapped_long import mapped_long
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
    """Take a missing duration from start and end, unless these are the clock of the whole run."""
    lacks = rows["duration"].isna()
    if not ({STARTED_AT, ENDED_AT} <= set(rows) and lacks.any()):
        return
    span = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    lacks &= span >= 0
    both = np.isfinite(rows["duration"]) & span.notna()
    apart = np.abs(rows["duration"] - span) > np.maximum(2.0, 0.1 * span)
    if lacks.any() and both.any() and apart[both].mean() > 0.5:
        notes.append(
            f"{int(lacks.sum()):,} rows have no duration, and start and end are not those of the "
            "job: where others have one, it is another; they count as not observed."
        )
        return
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
