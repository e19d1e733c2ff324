"""What a table of a file is: a run table, a long table, or a log of somebody's own."""

from collections.abc import Sequence

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import SECONDS, TIMES, guess_columns
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    RESERVED,
    STARTED_AT,
    STATUS_SUFFIX,
    clock_columns,
)

__all__ = ["owned_statuses", "table_form"]


KEYS = ("series", "run")


def owned_statuses(columns: Sequence[object]) -> list[str]:
    """Names of the columns that have a column of statuses beside them.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._table_form import owned_statuses
    >>> owned_statuses(["run", "job", "job__status", "dbt__status"])
    ['job']
    """
    names = set(map(str, columns))
    return [str(c) for c in columns if f"{c}{STATUS_SUFFIX}" in names]


def table_form(table: pd.DataFrame, *, source: str, jobs: Sequence[str] | None = None) -> str:
    """Tell what a table is, or ask.

    ============ ==================================================================================
    form         how it is told
    ============ ==================================================================================
    ``"runs"``   a column has its statuses beside it (``build__status``), or `jobs` names columns
                 of numbers, or it has exactly the form of a run table: `started_at` or a name of
                 its runs, and columns of seconds, and nothing that looks like a part of a log
    ``"long"``   `run` (and mostly `job`) and a duration, but no times; the rows are in order
    ``"log"``    one row a job of a run: it has a duration, or a start and an end; or its system
                 was recognised
    ============ ==================================================================================

    Parameters
    ----------
    table : DataFrame
        As it was read.
    source : str
        The place, for errors.
    jobs : sequence of str, default=None
        Columns of durations that the user named.

    Returns
    -------
    {"runs", "long", "log"}

    Raises
    ------
    SourceError
        When it is none of them for sure; it says what to type.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._table_form import table_form
    >>> log = pd.DataFrame({"task": ["load"], "start": ["2026-03-01"], "elapsed_ms": [5]})
    >>> runs = pd.DataFrame({"started_at": ["2026-03-01"], "build": [5.0], "deploy": [7.0]})
    >>> table_form(log, source="a file"), table_form(runs, source="a file")
    ('log', 'runs')
    """
    columns = [str(column) for column in table]
    if "recognised" in table.attrs:
        return "log"
    if owned_statuses(columns) or (
        jobs and all(j in columns and pd.api.types.is_numeric_dtype(table[j]) for j in jobs)
    ):
        return "runs"
    clocks = clock_columns(columns)
    guess = guess_columns([column for column in columns if column not in clocks])
    seconds = _seconds(table)
    is_named_job = "job" in guess and guess["job"] not in seconds
    times = {STARTED_AT, ENDED_AT} & set(guess)
    is_whole_log = len(times) == 2 or bool(times and "duration" in guess)
    if not times and {"duration", "run"} <= set(guess) and guess["run"] not in seconds:
        return "long"
    is_named_status = guess.get("status") not in (None, *seconds)
    if is_whole_log and ("duration" in guess or is_named_job or is_named_status):
        return "log"
    inside = [path for paths in table.attrs.get("nested", {}).values() for path in paths]
    if _is_run_table(table, seconds) or (table.empty and not (is_whole_log or inside)):
        return "runs"  # an empty one is refused later, for that
    if is_whole_log:
        return "log"
    raise SourceError(_question(source, [*columns, *inside], seconds, guess))


def _seconds(table: pd.DataFrame) -> list[str]:
    """Columns that can be seconds: floats that are no time of the run or of a job."""
    times = {*RESERVED, *clock_columns(table)}
    return [str(c) for c in table if pd.api.types.is_float_dtype(table[c]) and str(c) not in times]


def _is_run_table(table: pd.DataFrame, seconds: Sequence[str]) -> bool:
    """Tell whether a table without statuses has exactly the form of a run table."""
    clocks = clock_columns(map(str, table))
    others = [str(c) for c in table if str(c) not in (STARTED_AT, ENDED_AT, *KEYS, *clocks)]
    is_named = STARTED_AT in table or "run" in table or not _is_numbered(table)
    is_named = is_named or len(seconds) == table.shape[1]  # nothing but seconds
    jobs = [c for c in seconds if c not in KEYS]
    roles = guess_columns(others)
    suspicious = {*TIMES, *SECONDS, "status"}
    looks_like_log = any(
        role in suspicious or (role in (*KEYS, "job") and column not in jobs)
        for role, column in roles.items()
    )
    return is_named and bool(jobs) and not looks_like_log


def _is_numbered(table: pd.DataFrame) -> bool:
    return isinstance(table.index, pd.RangeIndex) and table.index.name is None


def _question(
    source: str, columns: Sequence[str], seconds: Sequence[str], guess: dict[str, str]
) -> str:
    known = ", ".join(f"{role} from {column!r}" for role, column in guess.items())
    asked = f"{source}: cannot tell what a row is"
    asked += f" (it seems to have {known})" if known else f" among the columns {list(columns)}"
    ways = []
    if seconds:
        ways.append(
            "if a row is a run and these columns are the seconds of its jobs, name them: "
            f"jobs={list(seconds[:5])}"
        )
    roles = {"run": "RUN", "job": "JOB", STARTED_AT: "START", "duration": "SECONDS"}
    roles |= {"status": "STATUS"}
    wanted = {role: guess.get(role, name) for role, name in roles.items()}
    ways.append(f"if a row is a job of a run, say which column is which: columns={wanted}")
    return f"{asked}; {'; '.join(ways)}."
