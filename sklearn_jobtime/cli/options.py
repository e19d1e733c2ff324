"""Arguments and options that several commands share, so that they read alike everywhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sklearn_jobtime.cli.intervals import NominalCoverage

__all__ = [
    "AsJson",
    "Coverage",
    "Device",
    "Epochs",
    "HiddenSize",
    "Horizon",
    "Jobs",
    "Known",
    "LearningRate",
    "ModelOut",
    "Names",
    "Runs",
    "Seed",
    "Simultaneous",
    "StoredModel",
    "TestSize",
    "Timezone",
    "Window",
    "nominal_coverage",
    "split_names",
    "writable",
]


def writable(path: Path | None) -> Path | None:
    """Say before an hour of training, not after it, that the result has no place to go."""
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; expected the name of a file to write.")
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}; create it first.")
    return path


def split_names(values: list[str] | None) -> list[str]:
    """Split what was given as ``--jobs a,b --jobs c``."""
    return [name.strip() for value in values or [] for name in value.split(",") if name.strip()]


Runs = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Run table (.csv, .csv.gz, .parquet, .jsonl): one row a run in start order, "
        "started_at, ended_at, a column of seconds for each JOB, and JOB__status. Last rows "
        "without any outcome are runs to forecast. Or another source: a log of jobs, "
        "airflow+URL, URL#TABLE, bigquery://PROJECT#TABLE, slurm:FILE, swf:FILE, github:PATH, "
        "jenkins:PATH.",
    ),
]
Names = list[str] | None
Jobs = Annotated[
    Names,
    typer.Option(help="Columns of durations, separated by commas. Default: by their status."),
]
Known = Annotated[
    Names,
    typer.Option(
        help="Columns known when a run starts, numbers or names, separated by commas. Other "
        "numbers are used one run later, other columns of text are left out."
    ),
]
Horizon = Annotated[int, typer.Option(min=1, help="Runs to forecast ahead.")]
Coverage = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=0.999,
        help="Share of runs that is to lie in the interval of its forecast, 0.9 for 9 of 10; 0: no "
        "intervals.",
    ),
]
Simultaneous = Annotated[
    str,
    typer.Option(
        help="What is to lie in its interval at once: `none` (each job and step by itself), all "
        "`jobs` of a run, all steps of the `horizon` of a job, or `both`."
    ),
]
Timezone = Annotated[str, typer.Option(help="Zone of the printed times, and of TIME without one.")]
TestSize = Annotated[
    float, typer.Option(min=0.0, max=0.9, help="Share of the newest runs to test on; 0: no test.")
]
Window = Annotated[int, typer.Option(min=1, help="Ended runs that the LSTM reads at a time.")]
HiddenSize = Annotated[int, typer.Option(min=1, help="Units of the LSTM.")]
Epochs = Annotated[
    int, typer.Option(min=1, help="Passes over the runs, at most; early stopping ends sooner.")
]
LearningRate = Annotated[float, typer.Option(help="Learning rate.")]
Device = Annotated[str, typer.Option(help="`cpu`, `cuda`, `cuda:<number>`, `mps`, or `auto`.")]
StoredModel = Annotated[Path, typer.Argument(metavar="MODEL", help="File that `fit` stored.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed: the same one, the same result.")]
ModelOut = Annotated[
    Path, typer.Option("--output", "-o", callback=writable, help="File for the fitted model.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, for scripts; seconds and UTC.")
]


def nominal_coverage(coverage: float, simultaneous: str) -> "NominalCoverage":
    """Make the nominal coverage that the options ask for."""
    from sklearn_jobtime.cli.intervals import SIMULTANEOUS, NominalCoverage  # noqa: PLC0415 - help stays fast

    if simultaneous not in SIMULTANEOUS:
        raise typer.BadParameter(
            f"{simultaneous!r} came for --simultaneous; expected one of {', '.join(SIMULTANEOUS)}."
        )
    return NominalCoverage(coverage, simultaneous)
