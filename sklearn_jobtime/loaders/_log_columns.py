"""What the columns of a log mean where the values must be asked too, not their names alone."""

from collections.abc import Mapping

import pandas as pd

from sklearn_jobtime.loaders._column_names import is_project
from sklearn_jobtime.loaders._text import to_text

__all__ = ["error_flag", "with_projects"]


def error_flag(table: pd.DataFrame) -> str | None:
    """Find a column `error` that flags failed rows; one of messages is empty where all is well."""
    names = [str(name) for name in table if str(name).lower() in ("error", "errored", "failure")]
    yes_no = {"0", "1", "true", "false", "yes", "no"}
    flags = [n for n in names if set(table[n].astype("str").str.lower().unique()) <= yes_no]
    return flags[0] if flags else None


def with_projects(
    table: pd.DataFrame, mapping: Mapping[str, str], notes: list[str]
) -> pd.DataFrame:
    """Put the project before the name of a series where several projects share that name."""
    series = mapping.get("series")
    others = [name for name in table if str(name) != series and is_project(str(name))]
    if series is None or not others or is_project(series):
        return table
    project = table[others[0]]
    there = project.notna() & table[series].notna()
    pairs = table.loc[there, [series, others[0]]].drop_duplicates()
    if not pairs[series].duplicated().any():
        return table
    notes.append(
        f"several {others[0]!r} have a {series!r} of one name, so both name a series; if that is "
        f"wrong, say --column series={series}."
    )
    joined = to_text(project) + "/" + to_text(table[series])
    return table.assign(**{series: joined.where(there, table[series])})
