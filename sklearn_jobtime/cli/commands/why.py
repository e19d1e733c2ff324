"""The command `why`."""

from typing import Annotated

import typer

from sklearn_jobtime.cli.options import AsJson, Runs, Seed, StoredModel, reads_source

__all__ = ["why"]


@reads_source("runs")
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
    `contributions` and `errors`; all in seconds; `notes`.
    """
    from sklearn_jobtime.cli.run.why import run_why

    run_why(model, runs, run, job, permutations=permutations, seed=seed, as_json=as_json)
