"""What a reading made of a source: which column is what and why, what is left and what is not."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.loaders._column_names import role_and_unit
from sklearn_jobtime.loaders._moments import moment_kind
from sklearn_jobtime.loaders._table_form import owned_statuses
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, job_columns, status_column

__all__ = ["reading_report", "run_table_notes"]


def run_table_notes(
    table: pd.DataFrame, runs: pd.DataFrame, timezone: str | None, named: Sequence[str] | None
) -> list[str]:
    """Say what was concluded of a file that is a run table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._report import run_table_notes
    >>> table = pd.DataFrame({"started_at": ["2026-03-01T04:00Z"], "build": [5.0]})
    >>> run_table_notes(table, table, None, None)[0]
    "columns of numbers taken for jobs: 'build'; name the jobs with --jobs if that is wrong."
    """
    notes = []
    if not owned_statuses(list(table)):
        jobs = [job for job in runs if pd.api.types.is_float_dtype(runs[job])]
        if not named:
            notes.append(
                f"columns of numbers taken for jobs: {', '.join(map(repr, jobs))}; name the jobs "
                "with --jobs if that is wrong."
            )
        notes.append(
            "no column of statuses: every duration counts as a success, inf as a failure; add "
            "columns JOB__status, or name one of a log with --column status=NAME."
        )
    clocks = [c for c in (STARTED_AT, ENDED_AT) if c in table]
    local = [repr(c) for c in clocks if "without" in moment_kind(table[c])]
    if local:
        zone = timezone or "UTC (name another with --input-timezone)"
        notes.append(f"times without a zone, in {', '.join(local)}, were read as {zone}.")
    return notes


def reading_report(
    runs: pd.DataFrame,
    columns: Mapping[str, str] | None,
    named: Collection[str],
    why: str = "usual name",
) -> dict[str, Any]:
    """Sum a reading up.

    Parameters
    ----------
    runs : DataFrame
        The run table, with ``.attrs["dropped"]``.
    columns : mapping of str to str or None
        Role to column of a log; None for a run table.
    named : collection of str
        Roles (of a log) or jobs (of a run table) that the user named.
    why : str, default="usual name"
        Why the other columns were taken.

    Returns
    -------
    dict
        `columns` (role or column: `column`, `why`), `runs` and `jobs_of_runs` kept, `left_out`
        (reason: rows), `statuses` (counted over the jobs of runs; `running` have no end yet,
        `unknown` have one, but a state that nothing maps), `total_seconds` and `median_seconds` of
        the jobs of runs that succeeded. Each row of a log is either one of the `jobs_of_runs` or
        counted in `left_out`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._report import reading_report
    >>> runs = pd.DataFrame({"build": [40.0, 60.0], "build__status": ["success", "failed"]})
    >>> report = reading_report(runs, None, ())
    >>> report["statuses"], report["median_seconds"]
    ({'success': 1, 'failed': 1}, 40.0)
    """
    jobs = job_columns(runs, [j for j in named if j in runs] or None if columns is None else None)
    statuses: dict[str, int] = {}
    good = []
    for job in jobs:
        status = runs.get(status_column(job), pd.Series(None, runs.index, dtype=object))
        seconds = runs[job].to_numpy()
        plain = np.where(np.isinf(seconds), "failed", np.where(np.isnan(seconds), "", "success"))
        told = status.where(status.notna(), plain)
        for name, count in told[told != ""].value_counts().items():
            statuses[str(name)] = statuses.get(str(name), 0) + int(count)
        good.append(seconds[(told == "success").to_numpy() & np.isfinite(seconds)])
    statuses |= runs.attrs.get("no_outcome", {})
    seconds = np.concatenate(good) if good else np.empty(0)
    return {
        "columns": _whys(runs, jobs, columns, named, why),
        "runs": len(runs),
        "jobs_of_runs": sum(statuses.values()),
        "left_out": dict(runs.attrs.get("dropped", {})),
        "statuses": statuses,
        "total_seconds": float(seconds.sum()),
        "median_seconds": float(np.median(seconds)) if len(seconds) else None,
    }


def _whys(
    runs: pd.DataFrame,
    jobs: Sequence[str],
    columns: Mapping[str, str] | None,
    named: Collection[str],
    usual: str,
) -> dict[str, dict[str, str]]:
    if columns is not None:
        chosen = {role_and_unit(role)[0] for role in named}
        return {
            role: {
                "column": column,
                "why": "named"
                if role_and_unit(role)[0] in chosen
                else runs.attrs.get("recognised", usual),
            }
            for role, column in columns.items()
        }
    whys = {}
    for column in map(str, runs):
        if column in jobs:
            beside = status_column(column) in runs
            why = "named" if column in named else "statuses beside it" if beside else "numbers"
            whys[column] = {"column": column, "why": f"a job: {why}"}
        elif column in (STARTED_AT, ENDED_AT):
            whys[column] = {"column": column, "why": "name of a run table"}
    return whys
