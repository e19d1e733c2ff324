"""A job that stands twice in a run: parts that ran side by side, or tries one after the other."""

import numpy as np
import pandas as pd

from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["ON_DUPLICATE", "UNKNOWN", "WORST_FIRST", "settle_duplicates"]


ON_DUPLICATE = ("auto", "last", "join", "error")
UNKNOWN = "unknown"  # has ended, but how is not known
# Parts together are as far as the worst of them: not ended (None) while one has not ended, and
# skipped only when all were.
WORST_FIRST = (None, UNKNOWN, "failed", "timeout", "cancelled", "success", "skipped")
_WORST = WORST_FIRST[2:]


def settle_duplicates(long: pd.DataFrame, how: str = "auto") -> tuple[pd.DataFrame, list[str]]:
    """Make one row of each job of a run.

    Parameters
    ----------
    long : DataFrame
        A long table in start order.
    how : {"auto", "last", "join", "error"}, default="auto"
        ``"join"``: parts of one job, such as mapped tasks: from the first start to the last end,
        with the worst status; it has not ended while one of them has not. ``"last"``: tries, of
        which the last one counts. ``"auto"``: a job whose rows overlap in any run is joined in all
        runs, of any other the last row counts. ``"error"`` leaves them to
        :func:`~sklearn_jobtime.runs.pivot_runs`, which refuses them.

    Returns
    -------
    long : DataFrame
        ``.attrs["dropped"]`` counts the rows that are no longer there.
    notes : list of str
        What was done, and in how many runs.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._duplicates import settle_duplicates
    >>> long = pd.DataFrame({"run": "r1", "job": "load", "status": "success",
    ...     "started_at": pd.to_datetime(["2026-03-01T04:00Z", "2026-03-01T04:00Z"]),
    ...     "ended_at": pd.to_datetime(["2026-03-01T04:01Z", "2026-03-01T04:02Z"]),
    ...     "duration": [60.0, 120.0]})
    >>> settle_duplicates(long)[0]["duration"].tolist()
    [120.0]
    """
    if how not in ON_DUPLICATE:
        raise ValueError(f"on_duplicate={how!r}; expected one of {', '.join(ON_DUPLICATE)}.")
    keys = [key for key in ("series", "run", "job") if key in long]
    twice = long.duplicated(keys, keep=False)
    if how == "error" or not twice.any():
        return long, []
    is_timed = {STARTED_AT, ENDED_AT} <= set(long)
    if how == "join" and not is_timed:
        raise ValueError("on_duplicate='join' needs a start and an end of each row.")
    rows = long[twice]
    joined = pd.Series(how == "join", index=rows.index)
    if how == "auto" and is_timed:
        group = rows.groupby([key for key in keys if key != "run"], sort=False, dropna=False)
        joined = _overlaps(rows, keys).groupby(group.ngroup()).transform("any")
    notes = []
    left_out = dict(long.attrs.get("dropped", {}))
    parts, tries = rows[joined], rows[~joined]
    if len(parts):
        notes.append(
            f"{_counted(parts, keys)} several times in a run, at one time: they are parts, joined "
            "from the first start to the last end (else: --on-duplicate last)."
        )
        left_out["part joined with the first of its job and run"] = int(
            parts.duplicated(keys).sum()
        )
    if len(tries):
        notes.append(
            f"{_counted(tries, keys)} several times in a run, one after the other: the last try "
            "counts (else: --on-duplicate join, from the first start to the last end)."
        )
        last = ~tries.duplicated(keys, keep="last")
        left_out["earlier try of a job in its run"] = int((~last).sum())
        tries = tries[last]
    settled = pd.concat([long[~twice], _joined(parts, keys), tries]).sort_index()
    settled.attrs = {**long.attrs, "dropped": left_out}
    return settled, notes


def _counted(rows: pd.DataFrame, keys: list[str]) -> str:
    names = rows["job"].astype("str").unique()
    shown = ", ".join(map(repr, names[:3])) + (" and others" if len(names) > 3 else "")
    times = len(rows.drop_duplicates(keys))
    return f"in {times:,} case{'s' * (times != 1)} a job ({shown}) stands"


def _overlaps(rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Tell the rows that start before an earlier row of their job and run ended."""
    rows = rows.sort_values(STARTED_AT, kind="stable")
    ends = rows[ENDED_AT].fillna(rows[STARTED_AT])
    codes = rows.groupby(keys, sort=False, dropna=False).ngroup()
    latest = ends.groupby(codes).cummax().groupby(codes).shift()
    return (rows[STARTED_AT] < latest).reindex(rows.index)


def _joined(parts: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    if parts.empty:
        return parts
    codes = parts.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    one = parts[~parts.duplicated(keys)].copy()
    order = pd.unique(codes)
    start = parts[STARTED_AT].groupby(codes).min()[order]
    end = parts[ENDED_AT].groupby(codes).max()[order]
    running = parts[ENDED_AT].isna()
    if "status" in parts:
        running &= parts["status"].isna()
        rank = parts["status"].map({status: k for k, status in enumerate(_WORST)})
        worst = rank.groupby(codes).min()[order]
        names = worst.map(dict(enumerate(_WORST))).astype(object)
        is_running = (parts["status"].isna()).groupby(codes).any()[order].to_numpy()
        one["status"] = np.where(is_running | names.isna(), None, names)
    has_ended = ~running.groupby(codes).any()[order].to_numpy()
    one[STARTED_AT], one[ENDED_AT] = start.array, end.where(has_ended).array
    seconds = (one[ENDED_AT] - one[STARTED_AT]).dt.total_seconds()
    one["duration"] = seconds.where(one["status"].notna()) if "status" in one else seconds
    return one
