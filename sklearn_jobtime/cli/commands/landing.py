"""The command `landing`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Names,
    Runs,
    Seed,
    StoredModel,
    Timezone,
    reads_source,
    writable,
)

__all__ = ["landing"]


@reads_source("runs")
def landing(
    model: StoredModel,
    runs: Runs,
    now: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="What happened later is not known. Default: the newest time in RUNS if its last "
            "run still goes on; else the next run is forecast from its start.",
        ),
    ] = None,
    deadline: Annotated[
        Names,
        typer.Option(
            metavar="[JOB=]TIME",
            help="When the run, or a job, has to have landed: 06:00 (the next one after the start "
            "of the run), a moment, or a duration from the start such as 45min. May be given "
            "several times.",
        ),
    ] = None,
    what_if: Annotated[
        Names,
        typer.Option(
            metavar="CHANGE",
            help="Forecast what would be if: JOB=0.5 (takes half the time), JOB=-10min (ten "
            "minutes less), JOB=drop, start=+30min, workers=4, 'A>B=cut' (B no longer waits for "
            "A). Several are applied together.",
        ),
    ] = None,
    graph: Annotated[
        str,
        typer.Option(
            metavar="GRAPH",
            help="Which job waits for which: 'extract>load>test, extract>report', a file of such "
            "lines, or infer, which learns it from the times of RUNS.",
        ),
    ] = "infer",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="How many jobs may run at a time. Default: learned from RUNS."),
    ] = None,
    fail_below: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Exit with 3 where the chance of a deadline is lower."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(callback=writable, help="Gantt chart, .png, .svg or .pdf.")
    ] = None,
    timezone: Timezone = "UTC",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say when each job of a run lands: the next run, or one that goes on.

    RUNS is the whole history of one series, with the start of each job; the run that goes on is its
    last. Errors of the model on whole nights that it had not seen, put on the forecasts of this
    run, are sent through the graph of the jobs.

    With --json: `model`, `run`, `started_at`, `now`, `jobs` (`job`, `state`, `starts_at`,
    `lands_at`, `lower_at`, `upper_at`, the same in seconds after the start of the run as `starts`,
    `lands`, `lower`, `upper`, `slack`, `critical`, and with deadlines `deadline` and `chance`),
    `graph` (pairs), `nights` (how many held-out ones), `sentence`, `helps` (seconds by which the
    run lands earlier if a job takes ten minutes less), `what_if` (`job`, `lands`, `lands_then`,
    `difference`, `lower`, `upper`, and with deadlines `chance` and `chance_then`), `plot`, `notes`.
    """
    from sklearn_jobtime.cli.run.landing import Asked, run_landing

    if fail_below is not None and not deadline:
        raise typer.BadParameter("--fail-below is about deadlines; add --deadline.")
    asked = Asked(now, deadline or [], what_if or [], graph, workers, seed, timezone)
    run_landing(model, runs, asked, plot=plot, fail_below=fail_below, as_json=as_json)
