"""The command `load`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import AsJson, Names, Runs, reads_source, split_names, writable

__all__ = ["load"]


@reads_source("source")
def load(
    source: Runs,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=writable, help="Run table, .csv or .parquet."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only what started then or later.")] = None,
    jobs: Annotated[Names, typer.Option(help="Only these jobs, separated by commas.")] = None,
    top_jobs: Annotated[
        int | None, typer.Option(min=1, help="Only the jobs with the most seconds in total.")
    ] = None,
    job_starts: Annotated[
        bool, typer.Option(help="Keep when each job started, where a run has several.")
    ] = True,
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Most uncompressed bytes to read of a file.")
    ] = 2 * 1024**3,
    as_json: AsJson = False,
) -> None:
    """Read a run history from where it is, and say what is in it and what can be forecast.

    With --json: `runs`, `series` (one record each: runs, jobs, first and last start, statuses,
    good runs, median seconds, `baseline_error` of a rolling median as a share of the mean,
    `recommendation`), `dropped` (reason: rows), `columns` (which was taken for what), `report`
    (`columns`: which was taken for what and why, `runs`, `jobs_of_runs`, `left_out`, `statuses`,
    `total_seconds`, `median_seconds`), `notes`, `written`.
    """
    from sklearn_jobtime.cli.run.load import run_load

    run_load(
        source,
        output,
        since=since,
        jobs=split_names(jobs),
        top_jobs=top_jobs,
        job_starts=job_starts,
        max_bytes=max_bytes,
        as_json=as_json,
    )
