"""Commands that need no stored model: `demo`, `load` and `anomalies`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Device,
    Epochs,
    Jobs,
    Names,
    Runs,
    Seed,
    split_names,
    writable,
)

__all__ = ["anomalies", "demo", "load"]


def demo(
    output_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for model.joblib and forecast.png.")
    ] = Path(),
    epochs: Epochs = 60,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Do the whole main job on real runs that ship with the package, in under two minutes.

    Fit on the first 80 % of 1,088 runs of a GitHub workflow, test beside the rules of thumb on the
    rest, forecast the next five runs of every job, store the model and a picture.

    With --json: the keys of `fit`, and `forecasts` (as `forecast` has them), `risks` (as `risk` has
    them, for a deadline of 20 minutes), `plot`, `seconds`.
    """
    from sklearn_jobtime.cli.demo import run_demo
    from sklearn_jobtime.cli.trial import Recipe

    recipe = Recipe(n_steps=20, hidden_size=32, epochs=epochs, lr=0.003, device=device, seed=seed)
    run_demo(output_dir, recipe, as_json=as_json)


def load(
    source: Runs,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=writable, help="Run table, .csv or .parquet."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only what started then or later.")] = None,
    jobs: Annotated[Names, typer.Option(help="Only these jobs, separated by commas.")] = None,
    column: Annotated[
        Names,
        typer.Option(
            metavar="NAME=COLUMN",
            help="Which column of a log or table is series, run, job, started_at, ended_at, "
            "duration, status; may be given several times. Default: guessed from usual names.",
        ),
    ] = None,
    top_jobs: Annotated[
        int | None, typer.Option(min=1, help="Only the jobs with the most seconds in total.")
    ] = None,
    on_unknown: Annotated[
        str, typer.Option(help="error or warn: what to do with a state that nothing maps.")
    ] = "error",
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Most uncompressed bytes to read of a file.")
    ] = 2 * 1024**3,
    as_json: AsJson = False,
) -> None:
    """Read a run history from where it is, and say what is in it and what can be forecast.

    With --json: `runs`, `series` (one record each: runs, jobs, first and last start, statuses,
    good runs, median seconds, error of a rolling median as a share of the mean, verdict),
    `dropped` (reason: rows), `columns` (which was taken for what), `written`.
    """
    from sklearn_jobtime.cli.loading import run_load

    run_load(
        source,
        output,
        since=since,
        jobs=split_names(jobs),
        columns=column or [],
        top_jobs=top_jobs,
        on_unknown=on_unknown,
        max_bytes=max_bytes,
        as_json=as_json,
    )


def anomalies(
    runs: Runs,
    jobs: Jobs = None,
    newest: Annotated[
        int | None,
        typer.Option(min=1, help="How many of the newest runs to judge. Default: a fifth of them."),
    ] = None,
    false_alarms: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Share of usual runs that may be called odd.")
    ] = 0.01,
    false_discoveries: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=0.5,
            help="List jobs of runs instead, so many that only this share of the list is expected "
            "to be false: for many jobs at once.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs that took unusually long or short, and say why each is on the list.

    The runs before those judged say what is usual; each is compared with what a mix of rules
    forecasts for it, so a season or a new level is no alarm for long. No model is needed. Failed
    jobs are not judged.

    With --json: `anomalies` (`series` and `run`, `job`, `direction`, `seconds`, `expected_seconds`,
    `p_value`, `why`), `judged` runs, `compared_with` how many, `false_alarms`,
    `false_discoveries`, `least_p_value` (above `false_alarms`, there are too few runs for any
    alarm), `notes`.
    """
    from sklearn_jobtime.cli.anomalies import run_anomalies
    from sklearn_jobtime.cli.history import read_history

    run_anomalies(
        read_history(runs, split_names(jobs), ()),
        newest=newest,
        false_alarms=false_alarms,
        false_discoveries=false_discoveries,
        as_json=as_json,
    )
