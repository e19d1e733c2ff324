"""The run table: what it means, what breaks it, and the targets that a forecaster learns.

One row is one run of a pipeline of jobs, in start order; one float column a job holds its
duration in seconds. See :func:`validate_runs` for every column and rule.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import plain_table, plain_value
from sklearn_jobtime.exceptions import RunTableError

__all__ = ["STATUSES", "clock_columns", "job_columns", "series_of", "start_column"]


STARTED_AT = "started_at"
ENDED_AT = "ended_at"
WHOLE_RUN = "whole_run"
STATUS_SUFFIX = "__status"
JOB_CLOCKS = (f"__{STARTED_AT}", f"__{ENDED_AT}")
RESERVED = (STARTED_AT, ENDED_AT, WHOLE_RUN)
STATUSES = ("success", "failed", "timeout", "cancelled", "skipped")
# A skipped job does not spoil the run around it; any other end than success does.
SPOILS_RUN = ("failed", "timeout", "cancelled")


def status_column(job: str) -> str:
    """Name of the column that holds the status of `job`."""
    return f"{job}{STATUS_SUFFIX}"


def start_column(job: str) -> str:
    """Name of the column that says when `job` itself started: its end is that plus its duration."""
    return f"{job}__{STARTED_AT}"


def end_column(job: str) -> str:
    """Name of the column of the end of `job`, where a table has its ends beside its durations."""
    return f"{job}__{ENDED_AT}"


def clock_columns(columns: Iterable[object]) -> list[str]:
    """Columns that hold the start or the end of a job that is a column too, in their order.

    They are no jobs and no covariates. A column of such a name that has a status beside it is a job
    of its own.

    Examples
    --------
    >>> clock_columns(["started_at", "build", "build__started_at", "x__ended_at"])
    ['build__started_at']
    """
    names = dict.fromkeys(columns)
    found = []
    for name in names:
        for suffix in JOB_CLOCKS:
            is_clock = isinstance(name, str) and name.endswith(suffix)
            if is_clock and str(name).removesuffix(suffix) in names:
                found += [] if status_column(str(name)) in names else [str(name)]
    return found


def derives(column: object, name: object) -> bool:
    """Tell whether `column` is the column `name`, or derived from it: ``<name>__...``."""
    return column == name or (
        isinstance(column, str) and isinstance(name, str) and column.startswith(f"{name}__")
    )


def owner_of(column: object, names: Iterable[object]) -> object | None:
    """Tell of which of some columns a column is a part: of `names`, the longest that it derives.

    Examples
    --------
    >>> owner_of("deploy__eu__status", ["deploy", "deploy__eu"])
    'deploy__eu'
    """
    return max((name for name in names if derives(column, name)), key=_length, default=None)


def _length(name: object) -> int:
    return len(str(name))


def marked_jobs(columns: Sequence[object]) -> list[object]:
    """Columns that are jobs for sure: a status or a channel of it, ``<job>__failed``, is beside.

    Examples
    --------
    >>> marked_jobs(["build", "build__failed", "size"])
    ['build']
    """
    marks = (STATUS_SUFFIX, *(f"__{status}" for status in STATUSES))
    return [c for c in columns if any(f"{c}{mark}" in columns for mark in marks)]


def series_of(index: pd.Index) -> np.ndarray:
    """Integer code of each row's series: every index level but the last names the series.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import series_of
    >>> series_of(pd.MultiIndex.from_tuples([("etl", 1), ("ci", 1), ("etl", 2)])).tolist()
    [0, 1, 0]
    >>> series_of(pd.RangeIndex(3)).tolist()
    [0, 0, 0]
    """
    if index.nlevels == 1 or index.empty:
        return np.zeros(len(index), dtype=np.intp)
    if not isinstance(index, pd.MultiIndex) or index.nlevels > 2:
        return pd.factorize(index.droplevel(-1))[0]
    codes, found = pd.factorize(index.codes[0])  # numbers, where the names would be text
    of_code = np.cumsum(found >= 0) - 1  # a missing name has the code -1
    return np.where(found >= 0, of_code, -1)[codes]


def series_names(index: pd.Index) -> np.ndarray:
    """Name of each row's series, its levels joined by slashes; ``all`` where there is only one.

    Series that would share a name, such as 1 and "1", are written as Python writes their keys.

    Parameters
    ----------
    index : Index
        Every level but the last names the series.

    Returns
    -------
    ndarray of str, shape (n_rows,)

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import series_names
    >>> series_names(pd.MultiIndex.from_tuples([("etl", "eu", 1), ("ci", "us", 1)])).tolist()
    ['etl/eu', 'ci/us']
    >>> series_names(pd.MultiIndex.from_tuples([(1, 7), ("1", 8)])).tolist()
    ['1', "'1'"]
    """
    if index.nlevels == 1:
        return np.full(len(index), "all", dtype=object)
    if index.empty:  # of no tuples, pandas 2.2.0 makes no index of several levels
        return np.empty(0, dtype=object)
    codes, keys = pd.factorize(index.droplevel(-1))
    plain = [plain_value(key) for key in keys]
    names = ["/".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in plain]
    shared = {name for name, n in Counter(names).items() if n > 1}
    unique = [repr(p) if name in shared else name for name, p in zip(names, plain, strict=True)]
    return np.array([*unique, "nan"], dtype=object)[codes]  # a missing key has the code -1


def with_series(table: pd.DataFrame, series: str | None) -> pd.DataFrame:
    """Name the one series of a table in its index, to be read by people and in files.

    Examples
    --------
    >>> import pandas as pd
    >>> with_series(pd.DataFrame({"job": [60.0]}, index=["next 1"]), "alice/etl").index.tolist()
    [('alice/etl', 'next 1')]
    """
    if series is None or table.index.nlevels > 1:
        return table
    names = ["series", table.index.name or "run"]
    return table.set_axis(
        pd.MultiIndex.from_arrays([[series] * len(table), table.index], names=names)
    )


def job_columns(runs: pd.DataFrame, jobs: Sequence[str] | None = None) -> list[str]:
    """Names of the columns that hold durations of jobs.

    Parameters
    ----------
    runs : DataFrame
        A run table.
    jobs : sequence of str, default=None
        The jobs, when you know them. None: every column that has a ``<job>__status`` beside it;
        in a table without any status column, every float column, since a count or a flag that
        is a covariate is seldom a float.

    Returns
    -------
    list of str, in the order of the table (of `jobs`, when given)

    Raises
    ------
    RunTableError
        When a named job is not in the table, a status has no job, or there is no job at all.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import job_columns
    >>> job_columns(pd.DataFrame({"build": [3.0], "build__status": ["success"], "size": [1.5]}))
    ['build']
    """
    runs = plain_table(runs)
    columns = list(runs.columns)
    if jobs is not None:
        wanted = list(jobs)
    else:
        owners = [str(c)[: -len(STATUS_SUFFIX)] for c in columns if str(c).endswith(STATUS_SUFFIX)]
        wanted = [c for c in columns if c in owners] if owners else _float_columns(runs)
        if orphans := [owner for owner in owners if owner not in columns]:
            raise RunTableError(
                f"column {status_column(orphans[0])!r} has no job beside it: expected a column "
                f"{orphans[0]!r} with its durations in seconds; rename or drop the status column."
            )
    if missing := [job for job in wanted if job not in columns]:
        raise RunTableError(f"no column {missing[0]!r} for that job; the table has {columns}.")
    if reserved := [job for job in wanted if job in RESERVED]:
        raise RunTableError(
            f"{reserved[0]!r} is a reserved name and cannot be a job; rename the column."
        )
    if both := [job for job in wanted if status_column(job) in wanted]:
        raise RunTableError(
            f"column {status_column(both[0])!r} is a job, and by its name the status of the job "
            f"{both[0]!r}: rename one of the two."
        )
    if not wanted:
        raise RunTableError(
            f"no job found among the columns {columns}: expected a float column of seconds for "
            "each job, or name them with jobs=[...]."
        )
    return wanted


def _float_columns(runs: pd.DataFrame) -> list[str]:
    return [
        c
        for c in runs.columns
        if pd.api.types.is_float_dtype(runs[c]) and c not in RESERVED and "__" not in str(c)
    ]
