"""Numbers of a report as lines and places of its pictures, in per cent of their size."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sklearn_jobtime._typing import Floats

__all__ = ["calendar_bars", "gantt", "history_chart", "hour_bars", "sparkline"]


ROOM = 0.25  # of the middle 95 % of the values, above and below them
SPARK_WIDTH, SPARK_HEIGHT = 120.0, 28.0
TICKS = 4


def _number(value: float) -> str:
    """Write a place in as few characters as the eye can tell apart."""
    return f"{value:.1f}".removesuffix(".0")


def _line(x: Sequence[float] | Floats, y: Floats) -> str:
    """Path through points; it breaks where one is missing, and shows single ones as dots."""
    parts, pen_down = [], False
    for k, (a, b) in enumerate(zip(x, y, strict=True)):
        if np.isnan(b):
            pen_down = False
            continue
        alone = not pen_down and (k + 1 == len(y) or np.isnan(y[k + 1]))
        parts.append(f"{'L' if pen_down else 'M'}{_number(a)} {_number(b)}{'h0' if alone else ''}")
        pen_down = True
    return "".join(parts)


def _dots(x: Iterable[float], y: Iterable[float]) -> str:
    """Path of lines without length: with round ends they are dots."""
    return "".join(f"M{_number(a)} {_number(b)}h0" for a, b in zip(x, y, strict=True))


def sparkline(seconds: Sequence[float | None]) -> dict[str, Any] | None:
    """Draw the trend of a series; None where there is nothing to draw.

    Examples
    --------
    >>> sparkline([60.0, None, 90.0])["line"]
    'M3 25h0M117 3h0'
    """
    y = np.array([np.nan if s is None else s for s in seconds], dtype=np.float64)
    if np.isnan(y).all():
        return None
    low, high = np.nanmin(y), np.nanmax(y)
    x = np.linspace(3, SPARK_WIDTH - 3, len(y)) if len(y) > 1 else np.array([SPARK_WIDTH - 3])
    share = (y - low) / (high - low) if high > low else np.where(np.isnan(y), np.nan, 0.5)
    place = (SPARK_HEIGHT - 3) - share * (SPARK_HEIGHT - 6)
    last = int(np.flatnonzero(~np.isnan(y))[-1])
    return {
        "line": _line(x, place),
        "dot": _dots([x[last]], [place[last]]),
        "low": float(low),
        "high": float(high),
        "first": float(y[~np.isnan(y)][0]),
        "last": float(y[last]),
    }


def _floats(rows: Sequence[dict[str, Any]], name: str) -> Floats:
    values = [row.get(name) for row in rows]
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def history_chart(past: Sequence[dict[str, Any]], coming: Sequence[dict[str, Any]]) -> Any:
    """Draw runs side by side: what they took, what was forecast for them, and those to come.

    Returns
    -------
    dict or None
        Paths in a frame of 100 by 100, `low` and `high` seconds of the frame, and `has` of what
        there is; None where no run succeeded and none is forecast.
    """
    actual = _floats(past, "seconds")
    expected, below, above = (_floats(past, name) for name in ("forecast", "lower", "upper"))
    ahead, least, most = (_floats(coming, name) for name in ("seconds", "lower", "upper"))
    values = np.concatenate([actual, ahead, least, most, below, above])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [0.02, 0.98])
    room = max(ROOM * (high - low), 0.02 * high, 0.01)
    low, high = max(0.0, low - room, 0.0), high + room
    n = len(past) + len(coming)
    x = (np.arange(n) + 0.5) / n * 100

    def at(seconds: Floats) -> Floats:
        return 100 - 100 * (np.clip(seconds, low, high) - low) / (high - low)

    here, there = x[: len(past)], x[len(past) :]
    seen, known = ~np.isnan(actual), ~np.isnan(ahead)
    bounds = [
        f"M{_number(a)} {_number(p)}V{_number(q)}"
        for a, p, q in zip(here, at(below), at(above), strict=True)
        if not np.isnan(p + q)
    ]
    coming_bounds = [
        f"M{_number(a)} {_number(p)}V{_number(q)}"
        for a, p, q in zip(there, at(least), at(most), strict=True)
        if not np.isnan(p + q)
    ]
    failed = [
        a
        for a, row in zip(here, past, strict=True)
        if row["status"] in ("failed", "timeout", "cancelled")
    ]
    return {
        "actual": _dots(here[seen], at(actual)[seen]),
        "forecast": _line(here, at(expected)),
        "bounds": "".join(bounds),
        "failed": "".join(f"M{_number(a)} 93V100" for a in failed),
        "coming": _dots(there[known], at(ahead)[known]),
        "coming_bounds": "".join(coming_bounds),
        "low": float(low),
        "high": float(high),
        "width": 60 / n * 5,
        "divide": _number(float(len(past)) / n * 100),
        "n_failed": len(failed),
        "beyond": int((actual[seen] > high).sum() + (actual[seen] < low).sum()),
    }


def gantt(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Place the bars and intervals of the jobs of a run on a line of time.

    Returns
    -------
    dict
        `rows` with `left`, `width`, `from` and `to` in per cent, and `ticks`: seconds after the
        start of the run, and their places.
    """
    ends = np.array([[row["lands"], row["upper"]] for row in rows], dtype=np.float64)
    ends = ends[np.isfinite(ends)]
    span = float(ends.max()) if len(ends) and ends.max() > 0 else 1.0
    placed = []
    for row in rows:
        bar: dict[str, Any] = {"left": None, "from": None}
        if np.isfinite(row["lands"]):
            start = row["starts"] if np.isfinite(row["starts"]) else 0.0
            bar["left"] = _number(100 * start / span)
            bar["width"] = _number(max(0.4, 100 * (row["lands"] - start) / span))
        if np.isfinite(row["lower"]) and np.isfinite(row["upper"]):
            bar["from"] = _number(100 * row["lower"] / span)
            bar["to"] = _number(max(0.4, 100 * (row["upper"] - row["lower"]) / span))
        placed.append({**row, **bar})
    ticks = [(span * k / TICKS, _number(100 * k / TICKS)) for k in range(TICKS + 1)]
    return {"rows": placed, "ticks": ticks, "span": span}


def calendar_bars(groups: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """Lengths of the bars of weekdays or hours, in per cent of the longest."""
    most = max((group[2] for group in groups), default=0.0) or 1.0
    return [
        {"number": g[0], "runs": g[1], "median": g[2], "size": _number(100 * g[2] / most)}
        for g in groups
    ]


def hour_bars(groups: Sequence[Sequence[float]]) -> list[dict[str, Any] | None]:
    """Give the bars of the 24 hours of a day; None for an hour at which no run starts."""
    of_hour = {bar["number"]: bar for bar in calendar_bars(groups)}
    return [of_hour.get(hour) for hour in range(24)]
