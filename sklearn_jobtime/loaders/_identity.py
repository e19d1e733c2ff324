"""Questions about the names of a long table, whether they are those of series, runs and jobs.

A name that holds the number, the date or the hash of its run makes a series, or a job, of every
run, and nothing is left to learn from. A number that two different runs share makes one of them.
"""

import pandas as pd

__all__ = ["identity_notes", "named_apart"]


FEW = 3  # that many names of one run each are no longer a matter of chance
# What changes from run to run in a name: a hash, or any number (dates are numbers too).
_VARIES = r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b|\d+"


def identity_notes(long: pd.DataFrame) -> list[str]:
    """Ask whether the columns of series and jobs are right, where each name has one run.

    Parameters
    ----------
    long : DataFrame
        A long table, as :func:`~sklearn_jobtime.runs.long_table` makes it.

    Returns
    -------
    list of str
        No sentence, or one about the series and one about the jobs.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._identity import identity_notes
    >>> names = ["etl-101", "etl-102", "etl-103"]
    >>> identity_notes(pd.DataFrame({"series": names, "run": [1, 2, 3], "job": "job"}))
    ["3 of 3 series have one run each ('etl-101', 'etl-102', 'etl-103'): is the series column
    right? They differ only in numbers or hashes, so they seem to hold their run's."]
    """
    if not len(long):
        return []
    known = "series" in long
    series, series_names = pd.factorize(long["series"] if known else pd.Series("all", long.index))
    run, _ = pd.factorize(long["run"])
    job, job_names = pd.factorize(long["job"].astype("str"))
    codes = pd.DataFrame({"series": series, "run": run, "job": job})
    runs = codes[["series", "run"]].drop_duplicates()
    notes = []
    sizes = runs["series"].value_counts()
    names = pd.Series(series_names[sizes.index].astype("str"), sizes.index)
    if known and (text := _question(names, sizes, "series", "series")):
        notes.append(text)
    # The jobs of a series that has one run say nothing; they stand in one run each anyway.
    recur = codes[codes["series"].isin(sizes.index[sizes >= FEW])]
    sizes = recur.drop_duplicates()["job"].value_counts()
    names = pd.Series(job_names[sizes.index].astype("str"), sizes.index)
    if text := _question(names, sizes, "jobs", "job"):
        notes.append(text)
    return notes


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
