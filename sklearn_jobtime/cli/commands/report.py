"""The command `report`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Jobs,
    Names,
    Runs,
    Timezone,
    reads_source,
    split_names,
    writable,
)

__all__ = ["report"]


@reads_source("runs")
def report(
    runs: Runs,
    model: Annotated[
        Path | None,
        typer.Option(
            help="File that `fit` stored. Default: an average of baselines, which needs no "
            "training. A .joblib file can run code: load only your own."
        ),
    ] = None,
    deadline: Annotated[
        Names,
        typer.Option(
            metavar="[SERIES=]TIME",
            help="When runs have to be done: 06:00 (the next one after their start), a moment, or "
            "a duration from the start such as 45min; of one series: etl=05:00. May be given "
            "several times.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=writable, help="The page, .html.")
    ] = Path("report.html"),
    open_page: Annotated[
        bool, typer.Option("--open", help="Show the page in the browser when it is made.")
    ] = False,
    now: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The present, for the age of the data. Default: now."),
    ] = None,
    landings: Annotated[
        int,
        typer.Option(
            min=0,
            help="For how many series, those first that somebody should look at, the jobs of the "
            "next run are sent through their graph; a second or more each.",
        ),
    ] = 3,
    jobs: Jobs = None,
    timezone: Timezone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Make one HTML page that says of every series when it is done, how surely, and what was odd.

    The page is one file that asks no network for anything: an overview with one row a series, those
    first that somebody should look at, and a view of each series. Send a colleague
    `report.html#series=NAME`. It needs the extra `report` (Jinja2).

    With --json: what the page embeds: `series` (worst first; for each `name`, `states`,
    `next_start`, `seconds`, `lands_at` and bounds, `risk`, `last`, `coverage`, `verdict` and
    others, and tables as lists under the names in `columns`), `made_at`, `newest`, `coverage`,
    `notes`; and `written`.
    """
    from sklearn_jobtime.cli.run.report import run_report

    run_report(
        runs,
        model,
        deadline or [],
        output,
        jobs=split_names(jobs),
        now=now,
        landings=landings,
        timezone=timezone,
        open_page=open_page,
        as_json=as_json,
    )
