"""Jobs that have taken longer, or shorter, for good: shifts of their level since the fit."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.conformal._drift import ENOUGH, QUIET, DriftAlarm
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN, series_names
from sklearn_jobtime.runs._targets import make_targets

__all__ = ["Shift", "level_shifts"]


LEAST_USUAL = 10  # runs before the fit that say what is usual


@dataclass(frozen=True)
class Shift:
    """A shift that was found within the newest runs of a job.

    Parameters
    ----------
    series, job : str
    direction : str
        ``"long"`` or ``"short"``.
    run : label
        The run with which it was sure.
    since : Timestamp
        The start of that run.
    before, now : float
        Median seconds of the usual runs, and of those from the shift on.
    """

    series: str
    job: str
    direction: str
    run: object
    since: pd.Timestamp
    before: float
    now: float


def level_shifts(named: pd.DataFrame, jobs: list[str], fitted_until: pd.Timestamp) -> list[Shift]:
    """Find shifts of the level of jobs since a fit, of which the newest runs are not told yet.

    The runs before the fit say what is usual, and those after it go through
    :class:`~sklearn_jobtime.conformal.DriftAlarm` one by one. So a shift is found once: then the
    next thirty runs become what is usual. A shift of the whole run is left out where one of a job
    explains it.

    Parameters
    ----------
    named : DataFrame
        A run table with `started_at`.
    jobs : list of str
    fitted_until : Timestamp
        The newest end that the fit knew.

    Returns
    -------
    list of Shift

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> runs = make_job_runs(200, n_jobs=1, shift_every=None, failure_rate=0, random_state=0)
    >>> runs.loc[runs.index[180:], "job_0"] *= 2
    >>> shift, = level_shifts(runs, ["job_0"], runs["ended_at"].iloc[150])
    >>> shift.job, shift.direction, 180 <= shift.run < 200
    ('job_0', 'long', True)
    """
    targets = make_targets(named, jobs=jobs)
    seconds = targets.droplevel("step", axis=1)
    is_old = (named[STARTED_AT] <= fitted_until).to_numpy()
    series = series_names(named.index)
    codes, names = pd.factorize(series)
    order = np.argsort(codes, kind="stable")
    rows_of = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    n_alarms = len(names) * seconds.shape[1]
    found = []
    for name, rows in zip(names, rows_of, strict=True):
        own = []
        for job in seconds.columns:
            took = seconds[job].to_numpy(np.float64)
            good = rows[took[rows] > 0]
            shift = _newest_shift(took[good], int(is_old[good].sum()), n_alarms)
            if shift is not None:
                at, up, before, now = shift
                row = good[at]
                label = named.index[row]
                run = label[-1] if isinstance(label, tuple) else label
                start = named[STARTED_AT].iloc[row]
                own.append(
                    Shift(str(name), job, "long" if up else "short", run, start, before, now)
                )
        explained = {shift.direction for shift in own if shift.job != WHOLE_RUN}
        found += [s for s in own if s.job != WHOLE_RUN or s.direction not in explained]
    return found


def _newest_shift(
    took: Floats, n_usual: int, n_alarms: int
) -> tuple[int, bool, float, float] | None:
    """Find the shift within the newest runs: its place, its direction, and the medians around it.

    None where there is none, or where it is known again what is usual.
    """
    if not LEAST_USUAL <= n_usual < len(took):
        return None
    first = max(0, n_usual - ENOUGH)
    log = np.log(took)
    alarm = DriftAlarm(log[first:n_usual].tolist(), n_alarms)
    newest = None
    for k in range(n_usual, len(log)):
        if alarm.step(float(log[k])):
            newest = (k, alarm.figure > 0)
    if newest is None or len(took) - newest[0] > QUIET:
        return None
    at, up = newest
    before = np.median(took[max(0, at - 2 * QUIET) : max(1, at - QUIET // 3)])
    return at, up, float(before), float(np.median(took[max(0, at - QUIET // 6) :]))
