"""Times and zones as people type them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import typer

from sklearn_jobtime._containers import wall_moment
from sklearn_jobtime.exceptions import DeadlineError
from sklearn_jobtime.runs._schema import STARTED_AT

__all__ = ["deadline_typed", "read_moment", "read_times", "read_zone"]


def read_zone(name: str) -> ZoneInfo:
    """Read what was given as --timezone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"{name!r} came for --timezone; expected an IANA name such as UTC or Europe/Berlin."
        ) from None


def read_times(
    at: Sequence[str], zone: ZoneInfo, runs: pd.DataFrame, option: str = "--at"
) -> list[pd.Timestamp]:
    """Read the times of an option, in order."""
    times = sorted(read_moment(text, zone, option) for text in at)
    if STARTED_AT in runs and times[0] <= runs[STARTED_AT].max():
        raise typer.BadParameter(
            f"{times[0]} came for {option}; expected times after the last start in the table, "
            f"{runs[STARTED_AT].max()}."
        )
    return times


def read_moment(text: str, zone: ZoneInfo, option: str) -> pd.Timestamp:
    """Read one time of an option; one without an offset is a wall-clock time of the zone."""
    try:
        return wall_moment(text, zone)
    except (ValueError, TypeError):
        raise typer.BadParameter(
            f"{text!r} came for {option}; expected a time such as 2026-03-01T02:00 or, with "
            "its offset from UTC, 2026-03-01T02:00+01:00."
        ) from None


@contextmanager
def deadline_typed() -> Iterator[None]:
    """Word a deadline that cannot be read as a wrong use of --deadline."""
    try:
        yield
    except DeadlineError as error:
        said = str(error).replace("came for a deadline", "came for --deadline")
        raise typer.BadParameter(said) from None
