"""Statuses of jobs that the user named, from a column of statuses beside them."""

import warnings
from collections.abc import Mapping, Sequence

import pandas as pd

from sklearn_jobtime.loaders._column_names import guess_columns
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.loaders._table_form import owned_statuses
from sklearn_jobtime.runs._schema import RESERVED, status_column

__all__ = ["with_statuses"]


def with_statuses(
    table: pd.DataFrame,
    jobs: Sequence[str],
    notes: list[str],
    *,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
) -> pd.DataFrame:
    """Give the named jobs of a run table their statuses, where one column tells those of the runs.

    Parameters
    ----------
    table : DataFrame
        As it was read.
    jobs : sequence of str
        Its columns of durations.
    notes : list of str
        What was concluded is added to it.
    states, on_unknown
        As in :func:`~sklearn_jobtime.loaders.read_source`.

    Returns
    -------
    DataFrame
        With a column ``<job>__status`` for each job, and without the durations of runs that have
        not ended or whose state is unknown; the same where no column tells.

    Raises
    ------
    RunTableError
        When some of the states are unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._named_jobs import with_statuses
    >>> table = pd.DataFrame({"took": [40.0, 2.0], "state": ["done", "failed"]})
    >>> with_statuses(table, ["took"], [])["took__status"].tolist()
    ['success', 'failed']
    """
    others = [str(c) for c in table if str(c) not in (*jobs, *RESERVED)]
    column = guess_columns(others).get("status")
    if not jobs or owned_statuses(list(table)) or column is None:
        return table
    if pd.api.types.is_float_dtype(table[column]) and table[column].notna().any():
        return table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, unknown = read_states(table[column], column=column, own=states, on_unknown="warn")
    if unknown[table[column].notna()].all():
        notes.append(
            f"column {column!r} beside the jobs holds no known state, so it was not read as their "
            "statuses; map its values with states={...} if it does."
        )
        return table
    status, _ = read_states(table[column], column=column, own=states, on_unknown=on_unknown)
    notes.append(
        f"column {column!r} was taken for the statuses of {', '.join(map(repr, jobs))}; rename it "
        "if it is none."
    )
    seconds = {job: table[job].where(status.notna()) for job in jobs}
    return table.assign(**seconds, **{status_column(job): status for job in jobs})
