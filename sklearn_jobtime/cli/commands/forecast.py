"""The command `forecast`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Names,
    Runs,
    StoredModel,
    Timezone,
    reads_source,
    writable,
)

__all__ = ["forecast"]


@reads_source("runs")
def forecast(
    model: StoredModel,
    runs: Runs,
    at: Annotated[
        Names,
        typer.Option(metavar="TIME", help="Start of a run to come; may be given several times."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=writable, help="Table, .csv or .parquet."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(callback=writable, help="Picture, .png, .svg or .pdf.")
    ] = None,
    timezone: Timezone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Forecast the next runs of every job, and when each run will be done.

    The runs to come are the last rows of RUNS when they have no outcome yet (planned or still
    running, their known columns filled in), else those of --at, else the next run at the usual gap
    of each series that is not retired (whose next run was due ten gaps and a week ago). The last of
    them is followed by further runs, up to the horizon of the model. Listed are the jobs that the
    series has.

    With --json: `model`, `runs`, `forecasts` (`series` and `run`, `step`, `job`, `started_at`,
    `seconds`, `ends_at` for the job whole_run, `lower` and `upper` in seconds), `retired`
    (`series`, `last_run`), `coverage` (how often these are to hold), `written` files, `notes`.
    """
    from sklearn_jobtime.cli.run.forecast import run_forecast

    run_forecast(model, runs, at or [], output, plot, timezone=timezone, as_json=as_json)
