"""From a table whose columns are known to the long table; SQL, BigQuery and files read through it.

:func:`typed_columns` converts the values of one chunk of rows, and :func:`mapped_long` makes one
long table of all the chunks.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders._column_names import (
    EPOCH_UNITS,
    QUEUED_AT,
    QUEUED_SECONDS,
    SECONDS,
    TIMES,
    unit_of,
)
from sklearn_jobtime.loaders._states import to_status
from sklearn_jobtime.runs._long_table import LONG_COLUMNS, long_table
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, STATUSES
from sklearn_jobtime.runs._validation import to_utc

__all__ = ["mapped_long", "since_utc", "typed_columns", "typed_rows"]


ONE_SERIES = "history"
ONE_JOB = "job"


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


def _inferred(values: pd.Series) -> pd.Series:
    """Objects as a database driver returns them, as the dtype of all of them together."""
    if values.dtype != object:
        return values
    if pd.api.types.infer_dtype(values, skipna=True) == "decimal":
        return values.astype("float64")
    return pd.Series(values.tolist(), index=values.index, name=values.name)


def _text(values: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")  # whole numbers that are floats because some are missing
    text = values.astype("str").str.strip()
    return text.where(values.notna() & (text != ""))


def _seconds(values: pd.Series, unit: float) -> pd.Series:
    values = _inferred(values)
    if pd.api.types.is_timedelta64_dtype(values):
        return values.dt.total_seconds()
    seconds = pd.to_numeric(values, errors="coerce").astype("float64") * unit
    rest = seconds.isna() & values.notna()
    if rest.any():
        clock = values[rest].astype("str").str.strip()
        spans = pd.to_timedelta(clock.where(clock.str.contains(":")), errors="coerce")
        seconds[rest] = spans.dt.total_seconds()
        if (bad := spans.isna() & (clock != "")).any():
            row = int(bad.to_numpy().argmax())
            raise RunTableError(
                f"column {values.name!r}, row {clock.index[row]}: {clock.iloc[row]!r} is not a "
                "duration; expected a number, or hours:minutes:seconds."
            )
    return seconds


def typed_columns(chunk: pd.DataFrame, mapping: Mapping[str, str], *, source: str) -> pd.DataFrame:
    """Take the mapped columns of a chunk, under their new names and with their values converted.

    Parameters
    ----------
    chunk : DataFrame
        Rows of the source; its index names the rows in errors.
    mapping : mapping of str to str
        As of :func:`~sklearn_jobtime.loaders._column_names.map_columns`.
    source : str
        The place, for errors.

    Returns
    -------
    DataFrame
        Times in UTC, durations in seconds (a name such as `elapsed_ms` or `run_min` says another
        unit; ``1:02:03`` is read too), names as text, covariates as they are.

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

    def converted(name: str, column: str) -> pd.Series:
        values = chunk[column]
        if name in SECONDS:
            return _seconds(values, unit_of(column))
        if name in TIMES:
            values = _inferred(values)
            unit = unit_of(column, EPOCH_UNITS)
            if unit != 1 and pd.api.types.is_numeric_dtype(values):
                values = values * unit
            return to_utc(values)
        return _text(values) if name in LONG_COLUMNS else values

    try:
        columns = {name: converted(name, column) for name, column in mapping.items()}
    except RunTableError as error:
        raise SourceError(f"{source}: {error}") from None
    return pd.DataFrame(columns, index=chunk.index)


def typed_rows(
    pages: Iterable[Iterable[Sequence[object]]],
    names: Sequence[str],
    mapping: Mapping[str, str],
    *,
    source: str,
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
            chunks.append(typed_columns(chunk, mapping, source=source))
        read += len(rows)
    if not chunks:
        return typed_rows([[]], names, mapping, source=source)
    return pd.concat(chunks)


def mapped_long(
    rows: pd.DataFrame,
    *,
    mapping: Mapping[str, str],
    since: str | datetime | None = None,
    jobs: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
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

    Returns
    -------
    DataFrame
        A long table. Without a column of statuses, what has an end counts as a success. Rows
        that name no run or job, or that ended before they started, are left out and counted.

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
    rows = _with_times(rows.reset_index(drop=True))
    if since is not None:
        rows = rows[rows[STARTED_AT] >= since_utc(since)]
    if jobs is not None:
        rows = rows[rows["job"].isin(list(jobs))]
    rows = rows.assign(status=_statuses(rows, states, on_unknown))
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
    table = long_table(_with_names(rows), dropped)
    table.attrs["columns"] = dict(mapping)
    return table


def _with_times(rows: pd.DataFrame) -> pd.DataFrame:
    """Start, end and duration, each of the other two where the table does not have it."""
    rows = rows.copy()
    for covariate in [c for c in rows if c not in (*LONG_COLUMNS, *TIMES, *SECONDS)]:
        rows[covariate] = _inferred(rows[covariate])
    if "duration" not in rows:
        rows["duration"] = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    finite = rows["duration"].where(np.isfinite(rows["duration"]))
    span = pd.to_timedelta(finite, unit="s", errors="coerce").dt.round("us")
    if STARTED_AT not in rows:
        rows[STARTED_AT] = rows[ENDED_AT] - span
    if ENDED_AT not in rows:
        rows[ENDED_AT] = rows[STARTED_AT] + span
    if QUEUED_AT in rows:
        queued = rows.pop(QUEUED_AT)
        if QUEUED_SECONDS not in rows:
            rows[QUEUED_SECONDS] = (rows[STARTED_AT] - queued).dt.total_seconds()
    return rows


def _statuses(
    rows: pd.DataFrame, states: Mapping[str, str | None] | None, on_unknown: str
) -> pd.Series:
    own = {str(state).strip().lower(): status for state, status in (states or {}).items()}
    if wrong := [status for status in own.values() if status not in (*STATUSES, None)]:
        raise ValueError(
            f"states= maps to {wrong[0]!r}; expected one of {', '.join(STATUSES)}, or None for a "
            "state of a job that has not ended."
        )
    if "status" not in rows:
        ended = rows[ENDED_AT].notna() | rows["duration"].notna()
        return pd.Series("success", index=rows.index, dtype=object).where(ended, None)
    plain = rows["status"].str.lower()
    mine = plain.isin(own)
    status = to_status(rows["status"].where(~mine, None), "plain", on_unknown=on_unknown)
    status[mine] = plain[mine].map(own)
    return status.astype(object).where(status.notna(), None)


def _with_names(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.copy()
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
