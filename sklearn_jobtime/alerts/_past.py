"""What the newest runs of a history show: failures, deadlines missed, runs that did not come."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats
from sklearn_jobtime._wording import human_seconds, human_share
from sklearn_jobtime.alerts._cause import Cause, clock, what
from sklearn_jobtime.alerts._night import Asked, Night
from sklearn_jobtime.conformal._deadlines import deadline_seconds
from sklearn_jobtime.point_in_time._clock import epoch_seconds
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, WHOLE_RUN, status_column
from sklearn_jobtime.runs._targets import make_targets
from sklearn_jobtime.runs._timeline import GAPS, later

__all__ = ["failures_in_a_row", "missed_deadlines", "overdue"]


RARE = 0.01  # chance of as many failures in a row, at the usual share of failures
LEAST_IN_A_ROW = 2
LATE_BY = 1.1  # times the longest of the newest gaps between starts, that a run did not come
LEAST_GAPS = 5  # fewer do not say when the next run is due
IRREGULAR = 4.0  # a long gap over the median one: beyond, no run is ever due
REGULAR_SHARE = 0.95  # of the gaps are shorter than that long one
SEEN = 100  # newest runs of a series that are looked at


def failures_in_a_row(night: Night, zone: str) -> list[Cause]:
    """List the jobs whose newest runs failed, more in a row than by chance.

    A failure or a time-out counts, a success ends the row; what was skipped or cancelled with
    others says nothing. In a row are at least two, and so many that chance alone, at the share of
    the runs before that failed, has them in fewer than one of a hundred cases.
    """
    found = []
    history = night.history
    for job in night.jobs:
        column = status_column(str(job))
        if column not in history:
            continue
        status = history[column].to_numpy(object)
        is_bad = np.isin(status.astype(str), ("failed", "timeout"))
        says = is_bad | (status.astype(str) == "success")
        for name, rows in night.rows_of_series.items():
            own = rows[says[rows]]
            bad = is_bad[own]
            n = int(np.cumprod(bad[::-1]).sum())
            share = (bad[: len(bad) - n].sum() + 1) / (len(bad) - n + 2)
            if n < LEAST_IN_A_ROW or share**n >= RARE:
                continue
            first = own[len(own) - n]
            start, run = _start(history, first), night.run_of(history.index[first])
            series = night.series_label(name)
            since = "" if start is pd.NaT else f" (start {clock(start, zone)})"
            found.append(
                Cause(
                    "failures_in_a_row",
                    series,
                    str(job),
                    start,
                    run,
                    f"{what(job, series)} failed {n} times in a row, first in run {run}{since}; "
                    f"before that, about {human_share(share)} of its runs did.",
                    {"failures": (float(n), "runs"), "usual_share": (float(share), "ratio")},
                    {"started_at": start},
                )
            )
    return found


def missed_deadlines(night: Night, asked: Asked, new: pd.Timestamp) -> Iterator[Cause]:
    """Find the series of which a run that is new tonight, or the newest, missed its deadline.

    Runs that succeeded later than that count, and those that still go on; of one that failed,
    there is no saying when it would have been done. The newest run of a retired series is no news.
    """
    history = night.history
    if not any(night.limits.values()) or ENDED_AT not in history:
        return
    took = _whole_runs(night)
    retired = set(map(str, night.retired.index))
    for limit in dict.fromkeys(filter(None, night.limits.values())):
        runs = _measured(history, took, limit, asked)
        says, is_late = runs["says"].to_numpy(), (runs["seconds"] > runs["limit"]).to_numpy()
        is_new = ((runs[ENDED_AT] > new) | runs["goes_on"]).to_numpy()
        for name, rows in night.rows_of_series.items():
            if night.limits[name] != limit:
                continue
            own = rows[-SEEN:]
            own = own[says[own]]
            asked_of = is_new[own]
            asked_of[-1:] |= name not in retired
            missed = np.flatnonzero(is_late[own] & asked_of)
            if len(missed):
                yield _missed(night, name, runs.iloc[own[: missed[-1] + 1]], asked)


def _measured(rows: pd.DataFrame, took: Floats, limit: str, asked: Asked) -> pd.DataFrame:
    """Say of runs how long they took or go on, and what their deadline was.

    `says` marks those of which both are known; a run that goes on says something once its deadline
    is over.
    """
    limits = deadline_seconds(limit, asked.zone, rows)
    goes_on = rows[ENDED_AT].isna().to_numpy()
    so_far = (asked.now - rows[STARTED_AT]).dt.total_seconds().to_numpy()
    seconds = np.where(goes_on, so_far, took)
    says = ~np.isnan(seconds) & (limits > 0) & ~(goes_on & (seconds <= limits))
    return rows[[STARTED_AT, ENDED_AT]].assign(
        seconds=seconds, limit=limits, goes_on=goes_on, says=says
    )


def _missed(night: Night, name: str, runs: pd.DataFrame, asked: Asked) -> Cause:
    """Say by how much the last of these runs missed its deadline, and since when others did."""
    zone, series = asked.zone.key, night.series_label(name)
    is_late = (runs["seconds"] > runs["limit"]).to_numpy()
    n = int(np.cumprod(is_late[::-1]).sum())
    first, last = runs.iloc[-n], runs.iloc[-1]
    started = last[STARTED_AT]
    due, end = later(pd.Series([started] * 2), pd.Series([last["limit"], last["seconds"]]))
    over = human_seconds(last["seconds"] - last["limit"])
    done = "goes on" if last["goes_on"] else f"was done at {clock(end, zone)}"
    row = f"; {n} in a row" if n > 1 else ""
    return Cause(
        "missed_deadline",
        series,
        WHOLE_RUN,
        first[STARTED_AT],
        night.run_of(runs.index[-n]),
        f"Run {night.run_of(runs.index[-1])}: {what(None, series)} {done}, {over} after its "
        f"deadline {clock(due, zone)}{row}.",
        {
            "took": (float(last["seconds"]), "seconds"),
            "deadline": (float(last["limit"]), "seconds"),
            "in_a_row": (float(n), "runs"),
        },
        {
            "started_at": started,
            "ended_at": None if last["goes_on"] else end,
            "deadline_at": due,
        },
    )


def overdue(night: Night, now: pd.Timestamp, zone: str) -> list[Cause]:
    """List the series of which a run should have come by now; one alarm if it is so for all.

    A run is due at the longest of the newest twenty gaps between starts, and a tenth more, after
    the last one; so a pipeline that rests at weekends is not late on a Sunday. Where gaps are of
    all sizes, no run of a series is ever due, but one of any series may be.
    """
    history = night.history
    if STARTED_AT not in history:
        return []
    starts = np.sort(epoch_seconds(history[STARTED_AT]))
    running = night.coming.loc[night.is_running, STARTED_AT]
    if not len(running) and (due := _due(starts, strict=False)) is not None and due < now:
        return [_overdue(None, starts, due, zone, "any series" if len(night.limits) > 1 else None)]
    if len(night.limits) == 1:
        return []
    found = []
    retired = set(map(str, night.retired.index))
    has_run = {night.name_of(label) for label in running.index}
    for name, rows in night.rows_of_series.items():
        if name in retired or name in has_run:
            continue
        own = np.sort(epoch_seconds(history[STARTED_AT].iloc[rows]))
        due = _due(own, strict=True)
        if due is not None and due < now:
            found.append(_overdue(name, own, due, zone, name))
    return found


def _due(starts: Floats, *, strict: bool) -> pd.Timestamp | None:
    gaps = np.diff(starts[-(GAPS + 1) :])
    if len(gaps) < LEAST_GAPS:
        return None
    usual = np.diff(starts[-(SEEN + 1) :])
    if strict and np.quantile(usual, REGULAR_SHARE) > IRREGULAR * np.median(usual):
        return None
    return _moment(starts[-1] + LATE_BY * gaps.max()).ceil("min")


def _moment(seconds: float) -> pd.Timestamp:
    return pd.Timestamp(seconds, unit="s", tz="UTC").round("us")


def _overdue(
    series: str | None, starts: Floats, due: pd.Timestamp, zone: str, named: str | None
) -> Cause:
    last = _moment(starts[-1])
    whose = "" if named is None else f" of {named}"
    return Cause(
        "data_not_fresh",
        series,
        None,
        last,
        None,
        f"No run{whose} has come since the one that started at {clock(last, zone)}; going by the "
        f"gaps before, one was due by {clock(due, zone)}.",
        {},
        {"last_start": last, "due_by": due},
    )


def _whole_runs(night: Night) -> Floats:
    """Seconds of the runs that succeeded, start to end."""
    targets = make_targets(night.history, jobs=night.jobs, whole_run=True)
    return targets[1, WHOLE_RUN].to_numpy(np.float64)


def _start(history: pd.DataFrame, row: int) -> pd.Timestamp:
    return history[STARTED_AT].iloc[row] if STARTED_AT in history else pd.NaT
