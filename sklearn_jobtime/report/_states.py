"""The state of a series in a word, and how soon somebody should look at it."""

from typing import Any

import pandas as pd

__all__ = ["STATES", "states_of"]


# In the order in which somebody should look at them.
STATES = {
    "late": "late",
    "failed": "last run failed",
    "unusual": "unusual",
    "refit": "needs a refit",
    "little": "too little history",
    "retired": "retired",
}
LATE_BELOW = 0.5  # a chance of the deadline that makes a run rather late than not
ENOUGH_RUNS = 30  # good ones: with fewer, nothing can be tested (as `jobtime load` says)
SEVERITY = {"late": 16, "failed": 8, "unusual": 4, "refit": 2, "retired": -64, "little": 0}


def states_of(one: dict[str, Any], now: pd.Timestamp) -> dict[str, Any]:
    """Say in which states a series is.

    Parameters
    ----------
    one : dict
        What is known of the series.
    now : Timestamp

    Returns
    -------
    dict
        `states` (keys of `STATES`), `severity` (the higher, the sooner to look at), `rank` (among
        equals, the lowest first) and `age` of its newest data in seconds.
    """
    risk = one["risk"]
    chance = None if risk is None else risk["done_by"]
    coverage = one["coverage"]
    is_in = {
        "late": chance is not None and chance < LATE_BELOW,
        "failed": one["last"]["status"] in ("failed", "timeout", "cancelled"),
        "unusual": bool(one["alarms"]["week"]),
        "refit": coverage is not None and coverage["is_below"],
        "little": one["good"] < ENOUGH_RUNS,
        "retired": one["is_retired"],
    }
    states = [name for name in STATES if is_in[name]]
    if "retired" in states:
        states = ["retired"]
    return {
        "states": states,
        "severity": sum(SEVERITY[state] for state in states),
        "rank": 1.0 if chance is None else chance,
        "age": None if one["newest"] is None else (now - one["newest"]).total_seconds(),
    }
