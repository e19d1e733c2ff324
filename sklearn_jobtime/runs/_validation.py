"""Check a run table, and bring its times, durations and statuses into one form."""

from collections.abc import Sequence

import pandas as pd

from sklearn_jobtime._containers import (
    plain_column,
    plain_table,
    refuse_lookalikes,
    row_label,
    to_utc,
)
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs._job_times import check_job_times
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    STARTED_AT,
    STATUSES,
    clock_columns,
    job_columns,
    series_of,
    status_column,
)

__all__ = [
    "checked_durations",
    "checked_statuses",
    "elapsed_seconds",
    "validate_runs",
]


def elapsed_seconds(runs: pd.DataFrame) -> pd.Series:
    """Seconds from the start to the end of each run, NaN where one of them is missing.

    Parameters
    ----------
    runs : DataFrame
        A table with `started_at` and `ended_at`, in any form that :func:`to_utc` reads.

    Raises
    ------
    RunTableError
        When a value is no time.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"started_at": ["2026-03-01"], "ended_at": ["2026-03-01T00:02Z"]})
    >>> elapsed_seconds(runs).tolist()
    [120.0]
    """
    return (to_utc(runs[ENDED_AT]) - to_utc(runs[STARTED_AT])).dt.total_seconds()


def validate_runs(runs: pd.DataFrame, *, jobs: Sequence[str] | None = None) -> pd.DataFrame:
    """Check a run table and bring its times, durations and statuses into one form.

    ============== =======================================================================
    column         meaning
    ============== =======================================================================
    `started_at`   when the run started; missing nowhere; in order within each series
    `ended_at`     when its last job ended; NaT while it runs; optional
    a job          its duration in seconds, >= 0; NaN = not observed, inf = failed
    <job>__status  optional; one of `STATUSES`; missing means success
    anything else  a covariate, left as it is
    ============== =======================================================================

    One more column may stand beside a job: ``<job>__started_at``, when the job itself started, not
    before its run. Its end is that plus its duration, and not after the end of its run, but for
    what clocks round. From then on its outcome is known, though its run may go on.

    Several pipelines share a table through a ``MultiIndex(series, run)``.

    Parameters
    ----------
    runs : DataFrame of pandas, polars or pyarrow
        The table; it is not changed. Nullable and Arrow-backed columns become NumPy's own types,
        and lengths of time (timedelta of any unit) seconds. Containers other than pandas have no
        index: their columns `series` and `run`, where they have them, become it.
    jobs : sequence of str, default=None
        The job columns; None finds them as :func:`job_columns` does.

    Returns
    -------
    DataFrame
        A pandas copy with UTC datetimes and float64 seconds.

    Raises
    ------
    RunTableError
        At the first violation; it names the column, the row and what to do.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import validate_runs
    >>> runs = pd.DataFrame({"started_at": ["2026-03-01", "2026-03-02"], "build": [40.0, -1.0]})
    >>> validate_runs(runs)
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.RunTableError: column 'build', row 1: '-1.0' is negative, ...
    """
    runs = plain_table(runs)
    if not isinstance(runs, pd.DataFrame):
        raise RunTableError(
            "expected a DataFrame (of pandas, polars or pyarrow) with one row a run, got "
            f"{type(runs).__name__}."
        )
    if runs.empty:
        raise RunTableError(
            f"the run table is empty ({runs.shape[0]} rows, {runs.shape[1]} columns): expected one "
            "row a run; check the file or the filter that made it."
        )
    if not runs.columns.is_unique:
        twice = runs.columns[runs.columns.duplicated()][0]
        raise RunTableError(f"column {twice!r} stands twice in the table; rename or drop one.")
    runs = runs.copy()
    jobs = job_columns(runs, jobs)
    clocks = clock_columns(runs)
    for column in (STARTED_AT, ENDED_AT, *clocks):
        if column in runs:
            runs[column] = to_utc(runs[column])
    for job in jobs:
        runs[job] = checked_durations(runs[job])
        if status_column(job) in runs:
            runs[status_column(job)] = checked_statuses(runs[status_column(job)])
    _check_index(runs.index)
    _check_times(runs)
    if clocks:
        check_job_times(runs, jobs)
    return runs


def checked_durations(column: pd.Series) -> pd.Series:
    refuse_lookalikes(column, f"column {column.name!r}")
    column = plain_column(column)
    seconds = pd.to_numeric(column, errors="coerce").astype("float64")
    for wrong, what in ((seconds.isna() & column.notna(), "no number"), (seconds < 0, "negative")):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise RunTableError(
                f"column {column.name!r}, row {row_label(column.index, row)}: "
                f"{str(column.iloc[row])!r} is "
                f"{what}, expected a duration in seconds >= 0 (NaN = not observed, inf = failed); "
                "correct the value or set it to NaN."
            )
    return seconds


def checked_statuses(column: pd.Series) -> pd.Series:
    column = plain_column(column)
    unknown = column.notna() & ~column.isin(STATUSES)
    if unknown.any():
        row = int(unknown.to_numpy().argmax())
        raise RunTableError(
            f"column {column.name!r}, row {row_label(column.index, row)}: unknown status "
            f"{column.iloc[row]!r}, expected one of {', '.join(STATUSES)}; map your scheduler's "
            "states to these with Series.replace."
        )
    return column.astype(object).where(column.notna(), None)


def _check_index(index: pd.Index) -> None:
    if not index.is_unique:
        twice = row_label(index, int(index.duplicated().argmax()))
        raise RunTableError(
            f"row {twice} stands twice in the index: expected one row a run; drop the repeat "
            "with runs[~runs.index.duplicated(keep='last')]."
        )


def _check_times(runs: pd.DataFrame) -> None:
    if STARTED_AT not in runs:
        return
    started = runs[STARTED_AT]
    if started.isna().any():
        label = row_label(runs.index, int(started.isna().to_numpy().argmax()))
        raise RunTableError(
            f"column {STARTED_AT!r}, row {label}: the start is missing, and a run without a start "
            "has no place in time; fill it in or drop the row."
        )
    back = started.groupby(series_of(runs.index)).diff() < pd.Timedelta(0)
    if back.any():
        label = row_label(runs.index, int(back.to_numpy().argmax()))
        raise RunTableError(
            f"column {STARTED_AT!r}, row {label}: starts before the row above it; expected start "
            f"order within each series; sort with runs.sort_values({STARTED_AT!r}, kind='stable')."
        )
    if ENDED_AT in runs and (early := runs[ENDED_AT] < started).any():
        row = int(early.to_numpy().argmax())
        raise RunTableError(
            f"column {ENDED_AT!r}, row {row_label(runs.index, row)}: ended "
            f"{runs[ENDED_AT].iloc[row]}, "
            f"before its start {started.iloc[row]}; check the time zones of both columns."
        )
