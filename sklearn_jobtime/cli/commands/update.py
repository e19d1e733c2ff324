"""The command `update`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Runs,
    StoredModel,
    Timezone,
    reads_source,
    writable_model,
)

__all__ = ["update"]


@reads_source("runs")
def update(
    model: StoredModel,
    runs: Runs,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=writable_model,
            help="File for the model, .joblib or .skops. Default: MODEL itself.",
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
    """Update the intervals of a stored model with the runs that have ended since.

    Nothing is fitted, so it takes seconds. RUNS is the whole history, as for `fit` and `forecast`:
    each run counts once, and runs that still run wait for the next time.

    With --json: `model` (where it is stored), `since` and `until` (the newest end that it knew
    before, and knows now), `updated_runs`, `updated_targets`, `right_censored` (of these, known
    only as "at least so long"), `jobs` (by `job`: `targets`, `right_censored`, and `drift` from -1
    over 0 to 1, an alarm that runs take longer than they used to relative to their forecasts),
    `refit_advised`, `coverage`, `notes`.
    """
    from sklearn_jobtime.cli.run.update import run_update

    run_update(model, runs, output, now, timezone=timezone, as_json=as_json)
