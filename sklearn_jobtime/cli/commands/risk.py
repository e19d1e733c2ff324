"""The command `risk`."""

from typing import Annotated

import typer

from sklearn_jobtime.cli.options import AsJson, Names, Runs, StoredModel, Timezone, reads_source

__all__ = ["risk"]


@reads_source("runs")
def risk(
    model: StoredModel,
    runs: Runs,
    deadline: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="When the run has to be done: a time of the day such as 06:00 (the next one after "
            "its start), a moment, or a duration from its start such as 45min.",
        ),
    ],
    at: Annotated[
        Names,
        typer.Option(metavar="TIME", help="Start of a run to come; may be given several times."),
    ] = None,
    running_since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Start of a run that is running and not in RUNS. For one that is its last row, "
            "without any outcome, --now is enough.",
        ),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Runs that started before are running. Default: with --running-since the present, "
            "else no run has started.",
        ),
    ] = None,
    timezone: Timezone = "UTC",
    timeout_share: Annotated[
        float,
        typer.Option(min=1e-6, max=0.5, help="Share of good runs that a time-out may end."),
    ] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Say how likely the next run is to be done in time, and what remains of one that runs.

    The chances are shares of the runs that calibrated the model, and are those of runs that
    succeed. `jobtime evaluate --intervals` says whether such chances came true.

    With --json: `model`, `runs`, `now`, `timeout_share`, `risks` (`series` and `run`, `job`,
    `seconds`, `elapsed`, `deadline` in seconds from the start and `deadline_at`, `done_by` (the
    chance), `remaining` and its interval `remaining_low` to `remaining_high`, `timeout`,
    `counted_runs`: a chance from n runs is between 1/(n+1) and n/(n+1), `extrapolated`: it has run
    longer than any other, so the chance is a guess), `retired` series (`series`, `last_run`),
    `coverage`, `notes`.
    """
    from sklearn_jobtime.cli.run.risk import run_risk

    run_risk(
        model,
        runs,
        deadline,
        at=at or [],
        running_since=running_since,
        now=now,
        timezone=timezone,
        timeout_share=timeout_share,
        as_json=as_json,
    )
