"""Run tables of a file: which columns name a run, and which hold seconds."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sklearn_jobtime._containers import to_utc
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.loaders._local_times import localise
from sklearn_jobtime.loaders._moments import moment_kind
from sklearn_jobtime.loaders._table_form import owned_statuses
from sklearn_jobtime.loaders._text import inferred, to_text
from sklearn_jobtime.runs._long_table import pivot_runs
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, clock_columns
from sklearn_jobtime.runs._validation import validate_runs

__all__ = ["KEYS", "as_runs", "is_long"]


KEYS = ["series", "run"]


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
    for name in (STARTED_AT, ENDED_AT, *KEYS):
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
            return validate_runs(pivot_runs(table, job_starts=True))
        return validate_runs(_with_index(_with_seconds(table), index), jobs=jobs)
    except RunTableError as error:
        raise RunTableError(f"{path}: {error}") from error


def _with_plain_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Give columns of objects the dtype of all their cells; those of names are text then."""
    objects = {name: inferred(table[name]) for name in table if table[name].dtype == object}
    names = {k: to_text(v) for k, v in objects.items() if k in KEYS and v.dtype == object}
    return table.assign(**{**objects, **names}) if objects else table


def is_long(table: pd.DataFrame) -> bool:
    """Tell a long table, whose column `job` holds names, from a run table with a job so called.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._run_tables import is_long
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
    clocks = [c for c in (STARTED_AT, ENDED_AT) if c in table] + clock_columns(table)
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


def _with_index(table: pd.DataFrame, index: Sequence[str] | None) -> pd.DataFrame:
    if index is None:
        jobs = owned_statuses(list(table.columns))
        keys = [name for name in KEYS if name in table.columns and name not in jobs]
        if keys == ["series"]:
            table = table.assign(run=table.groupby("series", sort=False, dropna=False).cumcount())
            keys = KEYS
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
