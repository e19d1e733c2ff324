"""What a user reads: tables, durations and times for people, one JSON object for scripts."""

import json
import sys
from collections.abc import Iterable
from typing import Any, Literal

import pandas as pd
from rich.markup import escape
from rich.table import Table

from sklearn_jobtime._plain_json import as_records, plain_json
from sklearn_jobtime._wording import shortened_apart
from sklearn_jobtime.cli.console import PlainConsole, printable
from sklearn_jobtime.runs._schema import WHOLE_RUN

__all__ = [
    "as_records",
    "forecast_records",
    "job_label",
    "named_rows",
    "print_coverage",
    "print_json",
    "print_notes",
    "print_table",
    "results",
    "row_name",
]

PIPED_WIDTH = 160
LONGEST_NAME = 48  # of a job or series in a table


def results() -> PlainConsole:
    """Console for results; in a pipe wide enough that a table is not cut."""
    return PlainConsole(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error."""
    console = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def job_label(name: object) -> str:
    """Name of a job for people.

    Examples
    --------
    >>> from sklearn_jobtime.cli.output import (job_label)
    >>> job_label("whole_run"), job_label("load")
    ('whole run', 'load')
    """
    return "whole run" if name == WHOLE_RUN else str(name)


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object to standard output; missing and infinite numbers are null."""
    print(json.dumps(plain_json(record), allow_nan=False))


def print_coverage(coverage: dict[str, Any] | None) -> None:
    """Print in one line how often the intervals are to hold, if there are any."""
    if coverage:
        results().print(f"Coverage: {coverage['text']}.", markup=False, soft_wrap=True)


def print_table(title: str, columns: list[str], rows: Iterable[list[str]]) -> None:
    """Print a table whose first column holds names; all others are right-aligned.

    Titles and the other columns are read as markup of the console: escape what is not yours.
    """
    table = Table(title=printable(title), title_justify="left", title_style="bold")
    for k, column in enumerate(columns):  # folded, not cut: what is cut is lost
        side: Literal["left", "right"] = "right" if k else "left"
        table.add_column(printable(column), justify=side, overflow="fold")
    rows = list(rows)
    names = shortened_apart([printable(row[0]) for row in rows], LONGEST_NAME)
    for name, (_, *cells) in zip(names, rows, strict=True):
        table.add_row(escape(name), *map(printable, cells))
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


def row_name(key: Any) -> str:
    """Label of a run, its levels joined by slashes."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
