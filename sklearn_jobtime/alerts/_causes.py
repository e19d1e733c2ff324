"""The causes for an alarm that a night shows: each found in its figures, said in a sentence."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime._wording import human_chance, human_seconds, human_span
from sklearn_jobtime.alerts._cause import Cause, clock, what
from sklearn_jobtime.alerts._night import Asked, Night
from sklearn_jobtime.alerts._past import failures_in_a_row, missed_deadlines, overdue
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, WHOLE_RUN
from sklearn_jobtime.runs._timeline import later

__all__ = ["causes_of"]


A_DAY = 86400.0


def causes_of(
    night: Night, asked: Asked, model: ConformalForecaster, new: pd.Timestamp
) -> list[Cause]:
    """List the causes for an alarm of a night, the most urgent kinds first.

    Parameters
    ----------
    night : Night
    asked : Asked
    model : ConformalForecaster
        The one of the night, updated.
    new : Timestamp
        Runs that ended later are new tonight.

    Returns
    -------
    list of Cause
    """
    zone = asked.zone.key
    late = overdue(night, asked.now, zone)
    stale = {cause.series for cause in late}
    is_stale = None in stale
    chances = [] if is_stale else [c for c in _late_chances(night, asked) if c.series not in stale]
    return [
        *chances,
        *missed_deadlines(night, asked, new),
        *failures_in_a_row(night, zone),
        *_unusual_runs(night, new),
        *_shifts(night, zone),
        *late,
        *_refit(night, asked, model),
    ]


def _late_chances(night: Night, asked: Asked) -> Iterator[Cause]:
    for label, row in _whole_runs(night.risks).iterrows():
        yield from _late_chance(asked, night.series_label(night.name_of(label)), label, row)
    open_rows = night.history[ENDED_AT].isna() if ENDED_AT in night.history else pd.Series()
    open_now = {night.name_of(label) for label in night.history.index[open_rows.to_numpy(bool)]}
    for series, table in night.landings.items():
        whole = table.iloc[-1]
        if series in open_now and whole["is_running"] and not np.isnan(whole.get("chance", np.nan)):
            row = _as_risk(whole, asked)
            yield from _late_chance(asked, night.series_label(series), table.index[-1], row)


def _as_risk(whole: pd.Series, asked: Asked) -> pd.Series:
    """Give the landing of a run that goes on in the form of a row of risks."""
    started = whole[STARTED_AT]
    elapsed = (asked.now - started).total_seconds()
    return pd.Series(
        {
            STARTED_AT: started,
            "seconds": whole["lands"],
            "elapsed": elapsed,
            "remaining": whole["lands"] - elapsed,
            "remaining_low": whole["lower"] - elapsed,
            "remaining_high": whole["upper"] - elapsed,
            "done_by": whole["chance"],
            "counted_runs": np.inf,
            "deadline": whole["deadline"],
            "deadline_at": later(pd.Series([started]), pd.Series([whole["deadline"]])).iloc[0],
        }
    )


def _late_chance(asked: Asked, series: str | None, label: Any, row: pd.Series) -> Iterator[Cause]:
    is_over = row["elapsed"] == 0 and row["deadline_at"] <= asked.now  # a run that did not come
    if is_over or not row["done_by"] < asked.alarm_below:
        return
    run = str(label[-1] if isinstance(label, tuple) else label)
    zone, started = asked.zone.key, row[STARTED_AT]
    expected = row["elapsed"] + (row["remaining"] if row["elapsed"] > 0 else row["seconds"])
    low, high = (row["elapsed"] + row[f"remaining_{end}"] for end in ("low", "high"))
    ends = later(pd.Series([started]), pd.Series([expected])).iloc[0]
    chance = human_chance(row["done_by"], row["counted_runs"])
    yield Cause(
        "late_chance",
        series,
        WHOLE_RUN,
        started,
        run,
        f"Run {run}: {what(None, series)}, start {clock(started, zone)}, is done by its deadline "
        f"{clock(row['deadline_at'], zone)} with a chance of {chance}, if it succeeds; expected "
        f"after {human_seconds(expected)} ({human_span(low, high)}), the deadline is after "
        f"{human_seconds(row['deadline'])}.",
        {
            "chance": (row["done_by"], "ratio"),
            "alarm_below": (asked.alarm_below, "ratio"),
            "expected": (expected, "seconds"),
            "lower": (low, "seconds"),
            "upper": (high, "seconds"),
            "deadline": (row["deadline"], "seconds"),
        },
        {"starts_at": started, "expected_at": ends, "deadline_at": row["deadline_at"]},
    )


def _unusual_runs(night: Night, new: pd.Timestamp) -> Iterator[Cause]:
    """Give the runs that are new tonight and on the list of `jobtime anomalies`."""
    if night.unusual.empty or ENDED_AT not in night.history:
        return
    found = night.unusual
    rows = night.history.loc[found.index]
    is_new = (rows[ENDED_AT] > new).to_numpy()
    for label, row, start in zip(
        found.index[is_new],
        found[is_new].to_dict("records"),
        rows.loc[is_new, STARTED_AT],
        strict=True,
    ):
        yield Cause(
            "unusual_run",
            night.series_label(night.name_of(label)),
            str(row["job"]),
            start,
            night.run_of(label),
            f"Run {row['why']}",
            {
                "took": (row["seconds"], "seconds"),
                "expected": (row["expected_seconds"], "seconds"),
                "p_value": (row["p_value"], "ratio"),
            },
            {"started_at": start},
            row["direction"],
        )


def _shifts(night: Night, zone: str) -> Iterator[Cause]:
    for shift in night.shifts:
        series = night.series_label(shift.series)
        word = "longer" if shift.direction == "long" else "shorter"
        name = what(shift.job, series)
        yield Cause(
            "level_shift",
            series,
            str(shift.job),
            shift.since,
            str(shift.run),
            f"{name} takes {word} than it used to, about "
            f"{human_seconds(shift.now)} instead of {human_seconds(shift.before)}; sure since run "
            f"{shift.run}, start {clock(shift.since, zone)}.",
            {
                "now": (shift.now, "seconds"),
                "before": (shift.before, "seconds"),
                "change": (shift.now / shift.before, "ratio"),
            },
            {"started_at": shift.since},
            shift.direction,
        )


def _refit(night: Night, asked: Asked, model: ConformalForecaster) -> Iterator[Cause]:
    fitted = pd.Timestamp(model.fitted_until_, unit="s", tz="UTC").round("us")
    age = (asked.now - fitted).total_seconds() / A_DAY
    because = []
    since = fitted
    if night.update.refit_advised:
        since = night.update.until
        because.append("runs are no longer as far from their forecasts as they were")
    if asked.refit_after is not None and age > asked.refit_after:
        since = fitted + pd.Timedelta(asked.refit_after, unit="D")
        because.append(
            f"the newest run that it was fitted on ended on {clock(fitted, asked.zone.key)}, more "
            f"than {asked.refit_after:g} days ago"
        )
    if because:
        yield Cause(
            "refit_due",
            None,
            None,
            since,
            None,
            f"A fit of the model is due: {', and '.join(because)}; `jobtime fit` again.",
            {"drift": (_furthest(model.drift_), "ratio")},
            {"fitted_until": fitted},
        )


def _furthest(drift: np.ndarray) -> float:
    return float(drift[np.abs(drift).argmax()])


def _whole_runs(risks: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows of the whole run, or of the one job where that is all there is."""
    if risks.empty:
        return risks
    whole = risks[risks["job"] == WHOLE_RUN]
    return whole if len(whole) or len(set(risks["job"])) > 1 else risks
