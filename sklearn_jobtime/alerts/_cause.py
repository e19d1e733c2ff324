"""What an alarm is about: its cause, in a sentence and in numbers with their units."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sklearn_jobtime._wording import human_time
from sklearn_jobtime.runs._schema import WHOLE_RUN

__all__ = ["KINDS", "Cause", "of_series", "what"]


# How many nights without a sign of it a cause is taken to last: one that comes and goes is one.
KINDS = {
    "late_chance": 3,
    "missed_deadline": 3,
    "unusual_run": 7,
    "level_shift": 0,
    "failures_in_a_row": 0,
    "data_not_fresh": 0,
    "refit_due": 0,
}


@dataclass(frozen=True)
class Cause:
    """Something that somebody should look at.

    Parameters
    ----------
    kind : str
        Key of `KINDS`.
    series, job : str or None
        What it is about; None for all of them. The whole run is the job ``whole_run``.
    since : Timestamp
        When it began, as the history tells it: the start of its first run, mostly.
    run : str or None
        Label of that run.
    sentence : str
    numbers : dict of str to (float, str)
        Each with its unit: ``seconds``, ``ratio`` (a share or a chance), ``runs`` or ``days``.
    times : dict of str to Timestamp
    direction : str or None
        ``"long"`` or ``"short"``: one of each may be open at a time.
    """

    kind: str
    series: str | None
    job: str | None
    since: pd.Timestamp
    run: str | None
    sentence: str
    numbers: dict[str, tuple[float, str]] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)
    direction: str | None = None

    @property
    def key(self) -> tuple[str, str | None, str | None, str | None]:
        """What makes two signs signs of the same cause, while it lasts."""
        return self.kind, self.series, self.job, self.direction


def of_series(series: str | None) -> str:
    """Say whose run it is, where there are several series."""
    return "" if series is None else f" of {series}"


def what(job: str | None, series: str | None) -> str:
    """Name a job in a sentence.

    Examples
    --------
    >>> from sklearn_jobtime.alerts._cause import what
    >>> what("load", "etl"), what("whole_run", None)
    ('load of etl', 'the whole run')
    """
    name = "the whole run" if job in (None, WHOLE_RUN) else str(job)
    return f"{name}{of_series(series)}"


def clock(moment: Any, zone: str) -> str:
    """Write a moment with its zone."""
    return f"{human_time(moment, zone)} {zone}"


def listed(causes: Sequence[Cause], kind: str) -> list[Cause]:
    """Pick the causes of one kind."""
    return [cause for cause in causes if cause.kind == kind]
