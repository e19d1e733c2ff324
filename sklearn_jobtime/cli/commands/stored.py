"""Commands on a stored model: `update`, and those that ask it."""

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
    writable,
)

__all__ = ["forecast", "links", "risk", "update", "why"]


def update(
    model: StoredModel,
    runs: Runs,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", callback=writable, help="File for the model. Default: MODEL itself."
        ),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Take the runs as they were known then. Default: all of them."
        ),
    ] = None,
    timezone: Timezone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Tell a stored model which runs have ended since, so that its intervals follow.

    Nothing is fitted, so it takes seconds. RUNS is the whole history, as for `fit` and `forecast`:
    what the model knows already is not told again, and runs that still run wait for the next time.

    With --json: `model` (where it is stored), `since` and `until` (the newest end that it knew
    before, and knows now), `told_runs`, `told_targets`, `cut_off` (told as "at least so long"),
    `jobs` (by `job`: `targets`, `cut_off`, and `drift` from -1 over 0 to 1, an alarm that runs take
    longer than they used to relative to their forecasts), `refit_advised`, `promise`.

    Load only model files that you trust: a model file can run code.
    """
    from sklearn_jobtime.cli.updating import run_update

    run_update(model, runs, output, now, timezone=timezone, as_json=as_json)


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
    running, their known columns filled in), else those of --at, else the next run at the usual gap.
    The last of them is followed by further runs, up to the horizon of the model.

    With --json: `model`, `runs`, `forecasts` (`series` and `run`, `step`, `job`, `started_at`,
    `seconds`, `ends_at` for the job whole_run, `lower` and `upper` in seconds), `promise` (what
    these promise), `written` files, `notes`.

    Load only model files that you trust: a model file can run code.
    """
    from sklearn_jobtime.cli.forecasting import run_forecast

    run_forecast(model, runs, at or [], output, plot, timezone=timezone, as_json=as_json)


def risk(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="File that `fit` stored.")],
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
        typer.Option(min=1e-6, max=0.5, help="Of good runs, that a time-out may cut off."),
    ] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Say how likely the next run is to be done in time, and what remains of one that runs.

    The chances are shares of the runs that calibrated the model, and are those of runs that
    succeed. `jobtime evaluate --intervals` says whether such chances came true.

    With --json: `model`, `runs`, `now`, `timeout_share`, `risks` (`series` and `run`, `job`,
    `seconds`, `elapsed`, `deadline` in seconds from the start and `deadline_at`, `done_by` (the
    chance), `remaining` and its interval `remaining_low` to `remaining_high`, `timeout`,
    `extrapolated`: it has run longer than any other, so the chance is a guess), `promise`, `notes`.
    """
    from sklearn_jobtime.cli.risk import run_risk

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


def links(
    model: StoredModel,
    runs: Runs,
    test_size: Annotated[
        float, typer.Option(min=0.05, max=0.9, help="Share of the newest runs to test links on.")
    ] = 0.5,
    level: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Share of wrong links that is asked for.")
    ] = 0.05,
    repeats: Annotated[
        int, typer.Option(min=5, help="Redraws of each past: more are steadier, and take longer.")
    ] = 20,
    plot: Annotated[
        Path | None, typer.Option(callback=writable, help="Heat map, .png, .svg or .pdf.")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say which job's past moves which job's forecast, and which of these links hold.

    The stored model is fitted anew on the older runs. A link holds when the past of the one job
    makes forecasts of the other better on the newer runs than a redrawn past does.

    With --json: `links` (`source`, `target`, `seconds`, `low`, `high`, `gain`, `p_value`,
    `q_value`), and for all pairs, by source and target: `matrix`, `low`, `high`, `gains`,
    `p_values`, `q_values`; `runs`, `test_runs`, `written`, `notes`.
    """
    from sklearn_jobtime.cli.linking import run_links

    run_links(
        model,
        runs,
        plot,
        test_size=test_size,
        repeats=repeats,
        level=level,
        seed=seed,
        as_json=as_json,
    )


def why(
    model: StoredModel,
    runs: Runs,
    run: Annotated[
        str | None,
        typer.Option(
            help="Label of the run, with several series SERIES/RUN. Default: the next run to come."
        ),
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="Job whose forecast to explain. Default: the whole run.")
    ] = None,
    permutations: Annotated[
        int, typer.Option(min=2, help="Orders to sample where there are many jobs.")
    ] = 10,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say why a run is forecast to take longer or shorter than usual, job by job.

    The parts sum to the difference from the forecast if every job had run as usual lately.

    With --json: `run`, `started_at`, `job`; by job `forecast` and `baseline`; by source and job
    `contributions` and `errors`; all in seconds.
    """
    from sklearn_jobtime.cli.linking import run_why

    run_why(model, runs, run, job, permutations=permutations, seed=seed, as_json=as_json)
