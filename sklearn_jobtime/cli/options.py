"""Arguments and options that several commands share, so that they read alike everywhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sklearn_jobtime.cli.intervals import Promise

__all__ = [
    "AsJson",
    "Device",
    "Epochs",
    "HiddenSize",
    "Horizon",
    "Jobs",
    "Known",
    "LearningRate",
    "Level",
    "ModelOut",
    "Names",
    "Runs",
    "Seed",
    "Steps",
    "StoredModel",
    "TestSize",
    "Timezone",
    "Together",
    "promise_of",
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
Level = Annotated[
    float,
    typer.Option(
        min=0.0, max=0.999, help="How often the interval of a forecast is to hold; 0: no intervals."
    ),
]
Together = Annotated[
    str,
    typer.Option(
        help="What is to lie in its interval at once: `none` (each job and step by itself), "
        "`jobs` of a run, `steps` of a job, or `all`."
    ),
]
Timezone = Annotated[str, typer.Option(help="Zone of the printed times, and of TIME without one.")]
TestSize = Annotated[
    float, typer.Option(min=0.0, max=0.9, help="Share of the newest runs to test on; 0: no test.")
]
Steps = Annotated[int, typer.Option(min=1, help="Ended runs in a window.")]
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


def promise_of(level: float, together: str) -> "Promise":
    """Make the promise that the options ask for."""
    from sklearn_jobtime.cli.intervals import TOGETHER, Promise  # noqa: PLC0415 - help stays fast

    if together not in TOGETHER:
        raise typer.BadParameter(
            f"{together!r} came for --together; expected one of {', '.join(TOGETHER)}."
        )
    return Promise(level, together)
