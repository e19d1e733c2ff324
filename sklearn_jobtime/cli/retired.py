"""Series without a run to come: said, as otherwise one would look for them in vain."""

from typing import Any

import pandas as pd

from sklearn_jobtime._wording import human_time
from sklearn_jobtime.cli.output import results
from sklearn_jobtime.runs._timeline import retired_series

__all__ = ["print_retired", "retired_records"]


def retired_records(runs: pd.DataFrame, coming: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the retired series for JSON; none where the runs to come were given."""
    if len(coming):
        return []
    last = retired_series(runs)
    return [{"series": name, "last_run": start} for name, start in last.items()]


def print_retired(retired: list[dict[str, Any]], timezone: str = "UTC") -> None:
    """Print a line for each, all at once: one by one, hundreds take longer than a forecast."""
    lasts = [f"{human_time(one['last_run'], timezone)} {timezone}" for one in retired]
    lines = [
        f"retired: {one['series']} (last run {last})"
        for one, last in zip(retired, lasts, strict=True)
    ]
    if lines:
        results().print("\n".join(lines), markup=False, soft_wrap=True)
