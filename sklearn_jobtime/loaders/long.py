"""The long table that every loader returns: one row a job of a run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sklearn_jobtime.runs import ENDED_AT, STARTED_AT, to_utc

__all__ = ["LONG_COLUMNS", "long_table"]

LONG_COLUMNS = ("series", "run", "job", STARTED_AT, ENDED_AT, "duration", "status")


def long_table(rows: pd.DataFrame, dropped: Mapping[str, int] | None = None) -> pd.DataFrame:
    """Bring the rows of a source into the one form of a long table.

    Parameters
    ----------
    rows : DataFrame
        Columns `series`, `run`, `job`, `started_at`, `ended_at`, `status` (in the one
        vocabulary; None = not ended); `duration` in seconds where the source says it itself, else
        it is end minus start. More columns, such as `queued_seconds`, are kept behind these.
    dropped : mapping of str to int, default=None
        Why the loader left rows out, and how many; kept in ``.attrs["dropped"]`` for summaries.

    Returns
    -------
    DataFrame
        Columns `LONG_COLUMNS` first, UTC datetimes, float64 seconds, in start order (rows without
        a start last). A job that has not ended has no duration. ``.attrs["dropped"]`` is set.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders.long import long_table
    >>> rows = pd.DataFrame({"series": ["etl"], "run": ["r1"], "job": ["load"],
    ...     "started_at": ["2026-03-01T00:00Z"], "ended_at": ["2026-03-01T00:02Z"],
    ...     "status": ["success"]})
    >>> long_table(rows)["duration"].tolist()
    [120.0]
    """
    rows = rows.copy()
    for column in (STARTED_AT, ENDED_AT):
        rows[column] = to_utc(rows[column])
    if "duration" not in rows:
        rows["duration"] = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    ended = rows["status"].notna()
    rows["duration"] = rows["duration"].astype("float64").where(ended, np.nan)
    rows[ENDED_AT] = rows[ENDED_AT].where(ended)
    others = [c for c in rows.columns if c not in LONG_COLUMNS]
    table = rows[[*LONG_COLUMNS, *others]].sort_values(
        [STARTED_AT, "series", "run", "job"], kind="stable", ignore_index=True
    )
    table.attrs["dropped"] = dict(dropped or {})
    return table
