"""Durations by weekday and hour, and the one of them that stands out, if any does."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from sklearn_jobtime._typing import Floats, Ints

__all__ = ["WEEKDAYS", "by_calendar"]


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
A_YEAR = pd.Timedelta(days=366)
LEAST_RUNS = 5  # of a weekday or hour, and of the others: fewer say nothing
RARE = 0.01  # how often some group would stand out by chance


def by_calendar(started: pd.Series, seconds: Floats, timezone: str) -> dict[str, Any] | None:
    """Median durations by weekday and by hour of the start, over the newest year.

    Parameters
    ----------
    started : Series of aware datetimes
    seconds : ndarray of shape (n,)
        NaN for runs without success.
    timezone : str
        Whose weekdays and hours.

    Returns
    -------
    dict or None
        `weekday` and `hour`: lists of ``[number, runs, median seconds]``, and `stands_out`: `by`
        ("weekday" or "hour"), `number`, `runs`, `median`, `others` (their median) and `p_value`
        (Mann and Whitney's, times the groups looked at), or None where no group stands out. None
        without any success.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> days = pd.Series(pd.date_range("2026-01-05", periods=70, tz="UTC"))
    >>> took = np.where(days.dt.day_of_week == 0, 90.0, 60.0) + np.arange(70) / 100
    >>> found = by_calendar(days, took, "UTC")["stands_out"]
    >>> found["by"], found["number"], found["runs"]
    ('weekday', 0, 10)
    """
    known = ~np.isnan(seconds) & (started > started.max() - A_YEAR).to_numpy()
    if not known.any():
        return None
    local = started[known].dt.tz_convert(timezone)
    took = seconds[known]
    groups = {"weekday": local.dt.day_of_week.to_numpy(), "hour": local.dt.hour.to_numpy()}
    found: dict[str, Any] = {by: _medians(numbers, took) for by, numbers in groups.items()}
    best = None
    for by, numbers in groups.items():
        other = _standing_out(numbers, took)
        if other and (best is None or other["p_value"] < best["p_value"]):
            best = {"by": by, **other}
    return {**found, "stands_out": best}


def _medians(numbers: Ints, took: Floats) -> list[list[float]]:
    of_group = pd.Series(took).groupby(numbers).agg(["size", "median"])
    return [[int(k), int(n), float(median)] for k, n, median in of_group.itertuples()]


def _standing_out(numbers: Ints, took: Floats) -> dict[str, Any] | None:
    values, counts = np.unique(numbers, return_counts=True)
    looked_at = [v for v, n in zip(values, counts, strict=True) if n >= LEAST_RUNS]
    looked_at = [v for v in looked_at if len(took) - (numbers == v).sum() >= LEAST_RUNS]
    best = None
    for number in looked_at:
        own, rest = took[numbers == number], took[numbers != number]
        p_value = mannwhitneyu(own, rest, method="asymptotic").pvalue * len(looked_at)
        if p_value < RARE and (best is None or p_value < best["p_value"]):
            best = {
                "number": int(number),
                "runs": len(own),
                "median": float(np.median(own)),
                "others": float(np.median(rest)),
                "p_value": float(p_value),
            }
    return best
