"""Which jobs belong to which series: the columns of a pooled table are not the jobs of each."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime.runs._schema import SPOILS_RUN, series_of, status_column

__all__ = ["has_job", "jobs_in_coming", "share_a_series"]


GONE_RUNS = 20  # complete runs without a job that ran in each of them before: it was taken out
GONE_GAPS = 3  # times its longest pause before, for a job that does not run in each run


def has_job(runs: pd.DataFrame, jobs: Sequence[str]) -> pd.DataFrame:
    """Mark which jobs each run has: those with a duration or a status, whatever it is.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs._jobs_of_series import has_job
    >>> runs = pd.DataFrame({"a": [1.0, None], "b": [None, None], "b__status": [None, "failed"]})
    >>> has_job(runs, ["a", "b"]).to_numpy().tolist()
    [[True, False], [False, True]]
    """
    there = {}
    for job in jobs:
        columns = [column for column in (job, status_column(job)) if column in runs]
        there[job] = runs[columns].notna().any(axis=1).to_numpy()
    return pd.DataFrame(there, index=runs.index)


def jobs_in_coming(
    runs: pd.DataFrame,
    coming: pd.DataFrame,
    jobs: Sequence[str],
    series: NDArray[np.intp] | None = None,
) -> NDArray[np.bool_]:
    """Tell which jobs the runs to come will have: those of their series.

    A job belongs to a series that had it in one of its runs. It was taken out of the series if it
    was missing from the newest 20 complete runs, and from three times as many as ever before
    between two of its runs (so a job of the end of the month stays). Runs in which a job did not
    succeed are not complete: what would have come after it is missing there. A coming row that
    tells something of a job has it. A series of which no run has told a job so far may have any,
    and a job without a column of its own is in every series.

    Parameters
    ----------
    runs, coming : DataFrame
        Run tables of the same columns.
    jobs : sequence of str
    series : ndarray of int, shape (n_runs + n_coming,), default=None
        The series of each row of `runs` and then of `coming`, where that is at hand.

    Returns
    -------
    ndarray of bool, shape (n_coming, n_jobs)

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.runs import next_runs
    >>> from sklearn_jobtime.runs._jobs_of_series import jobs_in_coming
    >>> runs = pd.DataFrame({"build": [60.0, None], "publish": [None, 5.0]},
    ...                     index=pd.MultiIndex.from_tuples([("ci", 1), ("release", 1)]))
    >>> jobs_in_coming(runs, next_runs(runs), ["build", "publish"]).tolist()
    [[True, False], [False, True]]
    """
    if series is None:
        series = series_of(runs.index.append(coming.index))
    past, ahead = series[: len(runs)], series[len(runs) :]
    is_own = np.isin(past, ahead)
    runs, past = runs[is_own], past[is_own]
    by_series = np.argsort(past, kind="stable")
    there = has_job(runs, jobs).to_numpy()
    with_status = [str(column) for column in runs if status_column(str(column)) in runs]
    is_known = there.any(axis=1) | has_job(runs, with_status).any(axis=1).to_numpy()
    complete = ~_spoiled(runs, jobs)
    found = has_job(coming, jobs).to_numpy(copy=True)
    found |= np.array([job not in runs for job in jobs], dtype=bool)
    for code in np.unique(ahead):
        rows = by_series[slice(*np.searchsorted(past[by_series], [code, code + 1]))]
        own = there[rows].any(axis=0)
        if not is_known[rows].any():
            found[ahead == code] = True
            continue
        for k in np.flatnonzero(own):
            own[k] = not _was_taken_out(there[rows, k], complete[rows] & there[rows].any(axis=1))
        found[ahead == code] |= own
    return found


def share_a_series(
    runs: pd.DataFrame, sources: Sequence[str], targets: Sequence[str]
) -> NDArray[np.bool_]:
    """Tell which pairs of jobs have a series in common, as an array (n_sources, n_targets).

    A target without a column, such as `whole_run`, is in every series.
    """
    codes = pd.Series(series_of(runs.index))
    sides = []
    for jobs in (sources, targets):
        own = has_job(runs, jobs).groupby(codes.to_numpy()).any().to_numpy(copy=True)
        own[:, [job not in runs for job in jobs]] = True
        sides.append(own.astype(np.intp))
    return sides[0].T @ sides[1] > 0


def _spoiled(runs: pd.DataFrame, jobs: Sequence[str]) -> NDArray[np.bool_]:
    """Mark runs in which a job did not succeed: others may be missing for that reason."""
    spoiled = np.zeros(len(runs), dtype=bool)
    for job in jobs:
        if status_column(job) in runs:
            spoiled |= runs[status_column(job)].isin(SPOILS_RUN).to_numpy()
        if job in runs:
            spoiled |= np.isinf(runs[job].to_numpy(np.float64))
    return spoiled


def _was_taken_out(there: NDArray[np.bool_], counted: NDArray[np.bool_]) -> bool:
    """Tell whether a job is missing from the newest runs for longer than a pause of its own."""
    at = np.flatnonzero(there)
    since = int(counted[at[-1] + 1 :].sum())
    if since < GONE_RUNS:
        return False
    return since > GONE_GAPS * int(np.diff(at).max(initial=1))
