"""Durations, shares, times and names as people read them: one way to write each."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = [
    "human_chance",
    "human_seconds",
    "human_share",
    "human_span",
    "human_time",
    "shortened",
    "shortened_apart",
]


# Larger unit, its seconds, smaller unit, its seconds.
UNITS = (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1))


def human_seconds(seconds: float) -> str:
    """Write a duration; what is not known, or infinite, is a dash.

    Examples
    --------
    >>> from sklearn_jobtime._wording import human_seconds
    >>> [human_seconds(s) for s in (0.42, 59.9, 725.0, 7500.0, 200000.0, -0.01, float("nan"))]
    ['0.4s', '1m 00s', '12m 05s', '2h 05m', '2d 08h', '0.0s', '-']
    """
    if not np.isfinite(seconds):
        return "-"
    size = abs(float(seconds))
    if round(size, 1) < 10:
        text = f"{size:.1f}s"
        return f"-{text}" if seconds < 0 and text != "0.0s" else text
    text = f"{round(size)}s"
    for large, n_large, small, n_small in UNITS:
        parts = round(size / n_small) * n_small  # rounded before it is parted: never 60 minutes
        if parts >= n_large:
            text = f"{parts // n_large:,}{large} {parts % n_large // n_small:02d}{small}"
            break
    return f"-{text}" if seconds < 0 else text


def human_span(lower: float, upper: float) -> str:
    """Write an interval of durations.

    Examples
    --------
    >>> from sklearn_jobtime._wording import human_span
    >>> human_span(50.0, 130.0), human_span(50.0, float("inf")), human_span(0.0, float("inf"))
    ('50s to 2m 10s', 'over 50s', 'not known')
    >>> human_span(60.2, 60.4)
    'about 1m 00s'
    """
    low, high = human_seconds(lower), human_seconds(upper)
    if not np.isfinite(upper):
        return f"over {low}" if lower > 0 else "not known"
    return f"about {low}" if low == high else f"{low} to {high}"


def human_share(share: float, digits: int = 0) -> str:
    """Write a share in per cent; one that is not 0 or 1 is not rounded to it.

    Examples
    --------
    >>> from sklearn_jobtime._wording import human_share
    >>> [human_share(share) for share in (0.0, 0.001, 0.5, 0.999, 1.0, 42.9, float("nan"))]
    ['0 %', 'under 1 %', '50 %', 'over 99 %', '100 %', '4,290 %', '-']
    >>> human_share(0.0123, 1), human_share(-0.0001, 1), human_share(0.9999, 1)
    ('1.2 %', '0.0 %', 'over 99.9 %')
    """
    if not np.isfinite(share):
        return "-"
    step = 10.0**-digits
    percent = round(100 * float(share), 9)
    if 0 < percent < step / 2:
        return f"under {step:.{digits}f} %"
    if 100 - step / 2 <= percent < 100:
        return f"over {100 - step:.{digits}f} %"
    return f"{round(percent, digits) + 0.0:,.{digits}f} %"  # + 0.0: no -0


def human_chance(chance: float, n_runs: float = np.inf) -> str:
    """Write a chance; one at the bound of what `n_runs` runs can tell is said to be a bound.

    Examples
    --------
    >>> from sklearn_jobtime._wording import human_chance
    >>> [human_chance(chance, 10) for chance in (0.0, 1 / 11, 0.5, 10 / 11)]
    ['0 %', '9 % or less', '50 %', '91 % or more']
    >>> human_chance(0.999), human_chance(-1e-17)
    ('over 99 %', '0 %')
    >>> human_chance(np.nan)
    'not known'
    """
    if np.isnan(chance):
        return "not known"
    chance = min(max(float(chance), 0.0), 1.0)
    least = 1 / (n_runs + 1)
    text = human_share(chance)
    if text.startswith(("under", "over")) or not 0 < chance < 1 or least == 0:
        return text
    if chance <= least + 1e-9:
        return f"{text} or less"
    return f"{text} or more" if chance >= 1 - least - 1e-9 else text


def human_time(time: pd.Timestamp, timezone: str = "UTC") -> str:
    """Write a moment to the nearest minute, by the clock of a zone.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime._wording import human_time
    >>> human_time(pd.Timestamp("2026-03-01T04:29:40Z"), "Europe/Berlin"), human_time(pd.NaT)
    ('2026-03-01 05:30', '-')
    """
    if time is pd.NaT:
        return "-"
    return f"{time.tz_convert('UTC').round('min').tz_convert(timezone):%Y-%m-%d %H:%M}"


def shortened(name: object, most: int) -> str:
    """Cut a name to at most `most` characters: a longer one loses its middle.

    Examples
    --------
    >>> from sklearn_jobtime._wording import shortened
    >>> shortened("load_customers_of_the_north", 14), shortened("load", 14)
    ('load_c…e_north', 'load')
    """
    text = str(name)
    if len(text) <= most:
        return text
    tail = most // 2
    return f"{text[: most - tail - 1]}…{text[-tail:]}"


def shortened_apart(names: Sequence[object], most: int) -> list[str]:
    """Cut names as :func:`shortened` does, but not where they differ: different names stay so.

    Examples
    --------
    >>> from sklearn_jobtime._wording import shortened_apart
    >>> names = ["export_of_orders_north_to_archive", "export_of_orders_south_to_archive"]
    >>> shortened_apart(names, 16)
    ['expor…nor…rchive', 'expor…sou…rchive']
    """
    texts = [str(name) for name in names]
    alike: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        alike.setdefault(shortened(text, most), []).append(text)
    short: dict[str, str] = {}
    for cut, group in alike.items():
        short |= {group[0]: cut} if len(group) == 1 else _apart(group, most)
    return [short[text] for text in texts]


def _n_alike(texts: list[str]) -> int:
    """Count the characters with which all texts begin."""
    columns = enumerate(zip(*texts, strict=False))
    return next((k for k, column in columns if len(set(column)) > 1), min(map(len, texts)))


def _apart(group: list[str], most: int) -> dict[str, str]:
    """Cut names that begin and end alike: to their ends, and to what is between."""
    head = _n_alike(group)
    tail = _n_alike([text[head:][::-1] for text in group])
    cores = [text[head : len(text) - tail] for text in group]
    room = most - 2 - max(map(len, cores))
    if room >= 0:
        before, after = room // 2, room - room // 2
        short = [
            f"{text[: min(before, head)]}…{core}…{text[len(text) - min(after, tail) :]}"
            for text, core in zip(group, cores, strict=True)
        ]
    else:
        short = [shortened(core, most) for core in cores]
    if len(set(short)) == len(group):
        return dict(zip(group, short, strict=True))
    # They differ in more places than there is room for: a number tells them apart.
    return {
        text: f"{shortened(text, most - len(str(k)) - 1)}~{k}"
        for k, text in enumerate(group, start=1)
    }
