"""Questions about the names of a long table, whether they are those of series, runs and jobs.

A name that holds the number, the date or the hash of its run makes a series, or a job, of every
run, and nothing is left to learn from. A number that two different runs share makes one of them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_jobtime.runs._schema import series_of, status_column

__all__ = ["identity_notes", "job_question", "named_apart"]


FEW = 3  # that many names of one run each are no longer a matter of chance
# What changes from run to run in a name: a hash, or any number (dates are numbers too).
_VARIES = r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b|\d+"


def identity_notes(runs: pd.DataFrame, jobs: Sequence[str]) -> list[str]:
    """Ask whether the names of series and jobs are right, where each name has one run.

    Parameters
    ----------
    runs : DataFrame
        A run table.
    jobs : sequence of str
        Its columns of durations.

    Returns
    -------
    list of str
        No sentence, or one about the series and one about the jobs.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._identity import identity_notes
    >>> keys = [("etl-101", 1), ("etl-102", 2), ("etl-103", 3)]
    >>> runs = pd.DataFrame({"job": 5.0}, index=pd.MultiIndex.from_tuples(keys))
    >>> identity_notes(runs, ["job"])
    ["3 of 3 series have one run each ('etl-101', 'etl-102', 'etl-103'): is the series column
    right? They differ only in numbers or hashes, so they seem to hold their run's."]
    """
    series = series_of(runs.index)
    sizes = pd.Series(series).value_counts()
    notes = []
    if runs.index.nlevels > 1:
        keys = runs.index.droplevel(-1)
        first = pd.Series(series).drop_duplicates()
        shown = [key if isinstance(key, tuple) else (key,) for key in keys[first.index]]
        names = pd.Series(["/".join(map(str, key)) for key in shown], first.to_numpy())
        notes.append(_question(names[sizes.index], sizes, "series", "series"))
    # The jobs of a series that has one run say nothing; they stand in one run each anyway.
    recur = runs[np.isin(series, sizes.index[sizes >= FEW])]
    times = pd.Series(
        [
            int((recur[j].notna() | recur.get(status_column(j), recur[j]).notna()).sum())
            for j in jobs
        ]
    )
    times = times[times > 0]
    names = pd.Series([jobs[at] for at in times.index], times.index, dtype="str")
    notes.append(_question(names, times, "jobs", "job"))
    return [note for note in notes if note]


def job_question(long: pd.DataFrame) -> str:
    """Ask whether the column of jobs of a long table is right; empty where there is no doubt.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._identity import job_question
    >>> job_question(pd.DataFrame({"run": [1, 2, 3], "job": ["a1", "a2", "a3"]}))[:27]
    '3 of 3 jobs have one run ea'
    """
    keys = [key for key in ("series", "run", "job") if key in long]
    times = long.drop_duplicates(keys)["job"].astype("str").value_counts()
    return _question(pd.Series(times.index, times.index), times, "jobs", "job") or ""


def _question(names: pd.Series, sizes: pd.Series, what: str, column: str) -> str | None:
    once = names[sizes == 1].sort_index()
    if len(once) < FEW:
        return None
    # Names that are alike but for numbers, each with one run, tell that the run is in them.
    pattern = names.str.lower().str.replace(_VARIES, "#", regex=True)
    alike = pattern.map(pattern.value_counts()) >= FEW
    alike = (alike & (pattern.map(sizes.groupby(pattern).max()) == 1)).reindex(once.index)
    if len(once) * 2 < len(names) and not alike.any():
        return None
    shown = once[alike] if alike.any() else once
    text = (
        f"{len(once)} of {len(names)} {what} have one run each "
        f"({', '.join(map(repr, shown.iloc[:3]))}): is the {column} column right?"
    )
    if alike.any():
        text += " They differ only in numbers or hashes, so they seem to hold their run's."
    return text


def named_apart(rows: pd.DataFrame, what: str) -> tuple[pd.DataFrame, list[str]]:
    """Give different runs that have one number, in one series and job, a name each.

    Ids are used again: after the largest one, in a rebuilt database, in logs put together.

    Parameters
    ----------
    rows : DataFrame
        Columns `series`, `run`, `job` and `started_at` (UTC) of single runs; no row twice.
    what : str
        What the numbers are, for the note: "job id".

    Returns
    -------
    rows : DataFrame
        The later ones are called ``<run>@<start>``.
    notes : list of str
        How many there are.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._identity import named_apart
    >>> rows = pd.DataFrame({"series": "a/etl", "run": "7", "job": "job",
    ...     "started_at": pd.to_datetime(["2026-03-01T04:00Z", "2026-07-01T04:00Z"])})
    >>> named_apart(rows, "job id")[0]["run"].tolist()
    ['7', '7@2026-07-01T04:00:00Z']
    """
    rows = rows.sort_values("started_at", kind="stable")
    keys = ["series", "run", "job"]
    later = rows.duplicated(keys)
    if not later.any():
        return rows, []
    start = rows["started_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    named = (rows["run"] + "@" + start).where(later, rows["run"])
    # Two of one number that started in one second.
    again = rows.assign(run=named).groupby(keys).cumcount()
    named = named.where(again == 0, named + "#" + (again + 1).astype("str"))
    note = (
        f"{int(later.sum())} runs have a {what} that an earlier run of their series had; they are "
        f"runs of their own, with their start in their name, such as {named[later].iloc[0]!r}."
    )
    return rows.assign(run=named), [note]
