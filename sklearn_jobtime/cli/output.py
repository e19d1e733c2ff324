"""What a user reads: tables, durations and times for people, one JSON object for scripts."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sklearn_jobtime.runs._schema import WHOLE_RUN

__all__ = [
    "PlainConsole",
    "as_records",
    "forecast_records",
    "human_seconds",
    "job_label",
    "named_row",
    "named_rows",
    "print_coverage",
    "print_json",
    "print_notes",
    "print_table",
    "printable",
    "results",
    "row_name",
    "span",
]

PIPED_WIDTH = 120
# All but tab and line feed; with those that turn the direction of what follows.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class PlainConsole(Console):
    """Console that shows the control characters of names and values instead of obeying them."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as the console does, texts made printable."""
        shown = (printable(item) if isinstance(item, str) else item for item in objects)
        super().print(*shown, **options)


def printable(text: str) -> str:
    r"""Text with its control characters, and halves of characters, written as escapes.

    Examples
    --------
    >>> from sklearn_jobtime.cli.output import printable
    >>> printable("red \x1b[31m, half \ud800")
    'red \\x1b[31m, half \\ud800'
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def results() -> Console:
    """Console for results; in a pipe wide enough that a table is not cut."""
    return PlainConsole(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error."""
    console = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def human_seconds(seconds: float) -> str:
    """Duration for people.

    Examples
    --------
    >>> from sklearn_jobtime.cli.output import human_seconds
    >>> [human_seconds(s) for s in (0.42, 59.9, 725.0, 7500.0, 200000.0, float("nan"))]
    ['0.4s', '1m 00s', '12m 05s', '2h 05m', '2d 07h', '-']
    """
    if not np.isfinite(seconds):
        return "-"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for large, unit, small, part in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= large:
            return f"{whole // large}{unit} {whole % large // small:02d}{part}"
    return f"{whole}s"


def job_label(name: object) -> str:
    """Name of a job for people; the tables of the console read brackets as markup.

    Examples
    --------
    >>> from sklearn_jobtime.cli.output import job_label
    >>> job_label("whole_run"), job_label("load")
    ('whole run', 'load')
    """
    return "whole run" if name == WHOLE_RUN else escape(str(name))


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object to standard output; missing and infinite numbers are null."""
    print(json.dumps(_plain(record), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else str(value)


def print_coverage(coverage: dict[str, Any] | None) -> None:
    """Print in one line how often the intervals are to hold, if there are any."""
    if coverage:
        results().print(f"Coverage: {coverage['text']}.", markup=False, soft_wrap=True)


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as dicts, its index left out."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def print_table(title: str, columns: list[str], rows: Iterable[list[str]]) -> None:
    """Print a table; all columns but the first are right-aligned."""
    table = Table(title=printable(title), title_justify="left", title_style="bold")
    for k, column in enumerate(columns):
        table.add_column(printable(column), justify="right" if k else "left")
    for row in rows:
        table.add_row(*map(printable, row))
    results().print(table)


def named_rows(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Series and run as columns; a further run is named by the run before it and its step."""
    names = list(forecasts.index.names)
    if names[-1] is None:
        names[-1] = "run"
    if len(names) == 2 and names[0] is None:
        names[0] = "series"
    return forecasts.rename_axis(index=names).reset_index()


def forecast_records(forecasts: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a forecast for JSON."""
    return as_records(named_rows(forecasts))


def span(lower: float, upper: float) -> str:
    """Interval of durations for people.

    Examples
    --------
    >>> from sklearn_jobtime.cli.output import span
    >>> span(50.0, 130.0), span(50.0, float("inf"))
    ('50s to 2m 10s', 'over 50s')
    """
    if np.isinf(upper):
        return f"over {human_seconds(lower)}"
    return f"{human_seconds(lower)} to {human_seconds(upper)}"


def named_row(name: object) -> str:
    """Name of a job in a sentence."""
    return "whole run" if name == WHOLE_RUN else str(name)


def row_name(key: Any) -> str:
    """Label of a run, its levels joined by slashes."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
