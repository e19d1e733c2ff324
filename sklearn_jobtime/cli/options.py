"""Arguments and options that several commands share, so that they read alike everywhere."""

import inspect
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    "Source",
    "StoredModel",
    "TestSize",
    "Timezone",
    "Window",
    "nominal_coverage",
    "reads_source",
    "split_names",
    "writable",
    "writable_model",
]


def writable(path: Path | None) -> Path | None:
    """Say before an hour of training, not after it, that the result has no place to go."""
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; expected the name of a file to write.")
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}; create it first.")
    return path


def writable_model(path: Path | None) -> Path | None:
    """Say also that a .skops file needs skops to be written, where it is not installed."""
    if path is not None and path.suffix.lower() == ".skops" and find_spec("skops") is None:
        raise typer.BadParameter(
            f"{path} is written with skops, which is not installed; run `pip install "
            '"sklearn-jobtime[skops]"`, or name the file .joblib.'
        )
    return writable(path)


def split_names(values: list[str] | None) -> list[str]:
    """Split what was given as ``--jobs a,b --jobs c``."""
    return [name.strip() for value in values or [] for name in value.split(",") if name.strip()]


Runs = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Run table (.csv, .csv.gz, .parquet, .jsonl): one row a run in start order, "
        "started_at, ended_at, a column of seconds for each JOB, and JOB__status. Last rows "
        "without any outcome are runs to forecast. Or another source: a log of jobs, JSON of "
        "GitLab, Buildkite, Azure DevOps, CircleCI, Airflow, Prefect, Cloud Build, gh run list or "
        "your own (FILE.json, json:PATH), "
        "airflow+URL, URL#TABLE, bigquery://PROJECT#TABLE, slurm:FILE, swf:FILE, github:PATH, "
        "jenkins:PATH, dbt:PATH, nextflow:PATH, pbs:PATH, sge:PATH, lsf:PATH.",
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
StoredModel = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="File that `fit` stored. A .joblib file can run code: load only your own. A .skops "
        "file runs none.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed: the same one, the same result.")]
ModelOut = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        callback=writable_model,
        help="File for the fitted model: .joblib, which can run code when it is loaded, or .skops, "
        "which runs none.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, for scripts; seconds and UTC.")
]


_SOURCE_OPTIONS = {
    "column": Annotated[
        Names,
        typer.Option(
            metavar="NAME=COLUMN",
            help="Which column of a log or table is series, run, job, started_at, ended_at, "
            "duration, status; may be given several times. Default: guessed from usual names. In "
            "JSON a path: run=pipeline.id, job=steps.0.name, job=jobs[].name for each of a list.",
        ),
    ],
    "state": Annotated[
        Names,
        typer.Option(
            metavar="STATE=STATUS",
            help="What a state of a log or table means: success, failed, timeout, cancelled, "
            "skipped, or nothing for a job that has not ended; may be given several times.",
        ),
    ],
    "input_timezone": Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Zone of the times of SOURCE that name none, or UTC."),
    ],
    "delimiter": Annotated[
        str | None, typer.Option(help="What separates the fields of a CSV file or of sacct.")
    ],
    "series_by": Annotated[
        Names,
        typer.Option(
            metavar="FIELDS", help="Fields that name a series of swf:, such as user,queue."
        ),
    ],
    "columns": Annotated[
        Names,
        typer.Option(
            metavar="FIELDS",
            help="The fields of sacct's output without a header, in their order, such as "
            "JobID,JobName,User,Start,End,State.",
        ),
    ],
    "steps": Annotated[
        bool, typer.Option("--steps", help="Read the steps of jobs too (slurm:, github:).")
    ],
    "tries": Annotated[
        str | None,
        typer.Option(help="Airflow: the `last` try of a task, or `all`, each a row of its own."),
    ],
    "mapped": Annotated[
        str | None,
        typer.Option(help="Airflow: mapped tasks `together` as one job, or `separate`."),
    ],
    "dags": Annotated[Names, typer.Option(help="Airflow: only these DAGs, separated by commas.")],
    "start": Annotated[
        str | None, typer.Option(metavar="TIME", help="When a log of swf: begins (its second 0).")
    ],
    "series_name": Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the pipeline of nextflow:.")
    ],
    "index": Annotated[
        Names,
        typer.Option(help="Columns that name a run of a run table; all but the last: its series."),
    ],
    "chunk_rows": Annotated[
        int | None, typer.Option(min=1, help="Rows that a database sends at a time.")
    ],
    "query_timeout": Annotated[
        float | None, typer.Option(min=0.0, help="Seconds to wait for BigQuery's answers.")
    ],
    "on_duplicate": Annotated[
        str,
        typer.Option(
            help="A job that stands twice in a run: the `last` counts, `join` all from the first "
            "start to the last end, `error`, or `auto`: joined if they overlap, else the last."
        ),
    ],
    "on_unknown": Annotated[
        str, typer.Option(help="error or warn: what to do with a state that nothing maps.")
    ],
}
_DEFAULTS: dict[str, Any] = {"on_duplicate": "auto", "on_unknown": "error", "steps": False}


class Source(str):
    """What the user typed for a source, with how it is to be read.

    Parameters
    ----------
    text : str
        The source.
    options : dict
        Arguments of :func:`~sklearn_jobtime.loaders.read_source`.
    """

    options: dict[str, Any]

    def __new__(cls, text: str, options: dict[str, Any] | None = None) -> "Source":
        """Keep the options beside the text."""
        made = super().__new__(cls, text)
        made.options = dict(options or {})
        return made


def reads_source(argument: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that say how its source is to be read.

    Parameters
    ----------
    argument : str
        Its argument that holds the source; the command gets a `Source` there.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**given: Any) -> None:
            options = {name: given.pop(name) for name in _SOURCE_OPTIONS}
            given[argument] = Source(given[argument], _as_arguments(**options))
            command(**given)

        signature = inspect.signature(command, eval_str=True)
        parameters = list(signature.parameters.values())
        added = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_DEFAULTS.get(name),
                annotation=annotation,
            )
            for name, annotation in _SOURCE_OPTIONS.items()
        ]
        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        at = next((k for k, p in enumerate(kept) if p.name == "as_json"), len(kept))
        kept[at:at] = added
        with_options.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in kept}
        return with_options

    return decorate


def _as_arguments(
    *,
    column: Names,
    state: Names,
    input_timezone: str | None,
    delimiter: str | None,
    series_by: Names,
    columns: Names,
    dags: Names,
    index: Names,
    series_name: str | None,
    query_timeout: float | None,
    on_duplicate: str,
    on_unknown: str,
    **of_readers: Any,
) -> dict[str, Any]:
    for option, value, known in (
        ("--on-duplicate", on_duplicate, ("auto", "last", "join", "error")),
        ("--on-unknown", on_unknown, ("error", "warn")),
        ("--tries", of_readers["tries"] or "last", ("last", "all")),
        ("--mapped", of_readers["mapped"] or "together", ("together", "separate")),
    ):
        if value not in known:
            raise typer.BadParameter(
                f"{value!r} came for {option}; expected one of {', '.join(known)}."
            )
    if column and columns:
        raise typer.BadParameter(
            "--column names columns of a log or table, --columns the fields of sacct's output "
            "without a header; give one of the two."
        )
    options = {
        name: split_names(value) or None for name, value in (("dags", dags), ("index", index))
    }
    return {
        "options": {**of_readers, **options, "series": series_name, "timeout": query_timeout},
        "columns": split_names(columns)
        or _pairs(column, "--column", "NAME=COLUMN, such as run=build_no"),
        "states": _pairs(state, "--state", "STATE=STATUS, such as manual=skipped"),
        "timezone": input_timezone,
        "delimiter": "\t" if delimiter in ("\\t", "tab") else delimiter,
        "by": split_names(series_by) or None,
        "on_duplicate": on_duplicate,
        "on_unknown": on_unknown,
    }


def _pairs(given: Names, option: str, expected: str) -> dict[str, str | None] | None:
    """Read what was given as ``--column run=build_no``; an empty value says there is none."""
    pairs: dict[str, str | None] = {}
    for text in given or []:
        name, equals, value = text.rpartition("=") if option == "--state" else text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{text!r} came for {option}; expected {expected}.")
        pairs[name] = value or None
    return pairs or None


def nominal_coverage(coverage: float, simultaneous: str) -> "NominalCoverage":
    """Make the nominal coverage that the options ask for."""
    from sklearn_jobtime.cli.intervals import SIMULTANEOUS, NominalCoverage  # noqa: PLC0415 - help stays fast

    if simultaneous not in SIMULTANEOUS:
        raise typer.BadParameter(
            f"{simultaneous!r} came for --simultaneous; expected one of {', '.join(SIMULTANEOUS)}."
        )
    return NominalCoverage(coverage, simultaneous)
