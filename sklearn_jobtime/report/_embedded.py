"""The numbers of a page as one block of JSON in it."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sklearn_jobtime._plain_json import plain_json

__all__ = ["embedded"]


DIGITS = 8  # significant ones: far beyond what is shown, and half as long as all of them
PAST = ["started_at", "seconds", "status", "forecast", "lower", "upper"]
AHEAD = ["run", "step", "job", "started_at", "seconds", "lower", "upper", "ends_at"]
JOBS = ["job", "median", "runs", "time_share", "late_share"]
ALARMS = ["run", "started_at", "job", "direction", "seconds", "expected_seconds", "p_value", "why"]
LANDING = ["job", "state", "starts", "lands", "lower", "upper", "critical"]
KEPT = [
    *("name", "main", "states", "runs", "good", "failed", "median", "last", "newest", "age"),
    *("next_run", "next_start", "is_running", "overdue", "seconds", "lower", "upper"),
    *("lands_at", "lower_at", "upper_at", "limit", "risk", "coverage", "verdict", "calendar"),
]


def embedded(facts: dict[str, Any]) -> dict[str, Any]:
    """Give the facts of a report as plain values, the tables as lists under their columns.

    Seconds, and moments in UTC; what is missing or infinite is None.
    """
    kept = {name: value for name, value in facts.items() if name != "series"}
    columns = {
        "past": PAST,
        "forecasts": AHEAD,
        "jobs": JOBS,
        "alarms": ALARMS,
        "landing": LANDING,
        "plan": LANDING,
    }
    series = []
    for one in facts["series"]:
        tables = {
            "past": one["past"],
            "forecasts": one["forecasts"],
            "jobs": one["jobs"],
            "alarms": one["alarms"]["found"],
            "landing": one["landing"]["rows"] if one["landing"] else [],
            "plan": [] if one["landing"] else one["plan"] or [],
        }
        plain = {name: one[name] for name in KEPT}
        plain["alarms_in_week"] = one["alarms"]["week"]
        plain["graph"] = one["landing"]["graph"] if one["landing"] else []
        for name, rows in tables.items():
            plain[name] = [[_cell(row, column) for column in columns[name]] for row in rows]
        series.append(_short(plain_json(plain)))
    return {**_short(plain_json(kept)), "columns": columns, "series": series}


def _cell(row: dict[str, Any], column: str) -> Any:
    """Give a value of a table; moments to the second."""
    value = row.get(column)
    return value.floor("s") if isinstance(value, pd.Timestamp) else value


def _short(value: Any) -> Any:
    """Cut floats to the digits that count."""
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_short(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
