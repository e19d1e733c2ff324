"""The long table of the records of a system that was recognised by its fields."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sklearn_jobtime.loaders._duplicates import settle_duplicates
from sklearn_jobtime.loaders._mapped_long import mapped_long
from sklearn_jobtime.loaders._mapped_records import Recognition
from sklearn_jobtime.loaders._typed_columns import typed_columns

__all__ = ["recognised_log"]


def recognised_log(
    table: pd.DataFrame,
    known: Recognition,
    path: str | Path,
    *,
    since: str | None,
    jobs: Sequence[str] | None,
    states: Mapping[str, str | None] | None,
    on_unknown: str,
    timezone: str | None,
) -> pd.DataFrame:
    """Make the long table of the records of a known system; parts of one job are joined.

    Parameters
    ----------
    table, known
        As of :func:`~sklearn_jobtime.loaders._mapped_records.mapped_records`.
    path : str or Path
        The place, for errors.
    since, jobs, states, on_unknown, timezone
        As in :func:`~sklearn_jobtime.loaders.read_source`.
    """
    long = mapped_long(
        typed_columns(table, known.mapping, source=str(path), timezone=timezone),
        mapping=known.mapping,
        since=since,
        jobs=jobs,
        states=states,
        on_unknown=on_unknown,
        system=known.system,
    )
    attrs = long.attrs
    joined: list[str] = []
    dropped = attrs["dropped"]
    if "part" in long:
        is_part = long["part"].notna()
        parts, joined = settle_duplicates(long[is_part], "join")
        dropped = parts.attrs["dropped"]
        long = pd.concat([long[~is_part], parts]).sort_index().drop(columns="part")
    long.attrs = {
        "columns": {role: c for role, c in attrs["columns"].items() if role != "part"},
        "dropped": {**known.dropped, **dropped},
        "notes": [*known.notes, *attrs.get("notes", []), *joined],
        "recognised": f"field of {known.what}",
    }
    return long
