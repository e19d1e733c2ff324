"""Options and help of every command; what a command does stands in the module it imports.

Those modules are imported when a command runs, so that ``jobtime --help`` loads neither torch nor
pandas.
"""

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from sklearn_jobtime._version import __version__
from sklearn_jobtime.cli.options import (
    AsJson,
    Device,
    Epochs,
    HiddenSize,
    Horizon,
    Jobs,
    Known,
    LearningRate,
    Level,
    ModelOut,
    Names,
    Runs,
    Seed,
    Steps,
    StoredModel,
    TestSize,
    Timezone,
    Together,
    writable,
)

if TYPE_CHECKING:
    from sklearn_jobtime.cli.promise import Promise

__all__ = ["app", "main"]

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Exit codes: 0 done, 1 a problem with the data or a file, 2 wrong usage, 130 "
    "interrupted. Results go to standard output, progress and notes to standard error.",
)


class Command(TyperCommand):
    """A command that ends with one readable message and an exit code, not with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        notes = Console(stderr=True, highlight=False, soft_wrap=True)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: notes.print(
                    f"note: {message}", markup=False
                )
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if ctx.find_root().params["debug"]:
                raise
            notes.print(_message(error), markup=False)
            raise typer.Exit(1) from None


def _message(error: Exception) -> str:
    if isinstance(error, ValueError | OSError | FloatingPointError) or (
        type(error).__module__ == "sklearn_jobtime.exceptions"
    ):
        return f"error: {error}"
    return (
        f"error: unexpected {type(error).__name__}: {error}. Please report this; "
        "`jobtime --debug ...` shows where it happened."
    )


def main() -> None:
    """Run the command line.

    Ctrl-C ends it at once: skorch would take a KeyboardInterrupt for the wish to end training
    early, and go on.
    """
    signal.signal(signal.SIGINT, lambda *_: sys.exit(INTERRUPTED))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # more threads slow networks this small down
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sklearn-jobtime {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option(envvar="JOBTIME_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Forecast job run times, and when the whole run will be done, from the history of runs."""


@app.command(cls=Command)
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


@app.command(cls=Command)
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


@app.command(cls=Command)
def fit(
    runs: Runs,
    output: ModelOut = Path("model.joblib"),
    horizon: Horizon = 5,
    jobs: Jobs = None,
    known: Known = None,
    steps: Steps = 20,
    hidden_size: HiddenSize = 32,
    epochs: Epochs = 60,
    lr: LearningRate = 0.003,
    device: Device = "auto",
    seed: Seed = 0,
    test_size: TestSize = 0.2,
    level: Level = 0.9,
    together: Together = "none",
    as_json: AsJson = False,
) -> None:
    """Fit a model on a run table and store it.

    It is first tested on the newest runs, beside the rules of thumb. Then it is fitted without
    the newest quarter, whose errors make the intervals, and at last on all runs.

    With --json: `model`, `runs`, `jobs`, `horizon`, `epochs` (losses, and accuracies: the share
    within 10 % of the actual), `kept_epoch` (0: the LSTM has no part), `test_runs`, `scores` (by
    model and job, in seconds), `verdicts` (by job: `best`, the rule that the older runs would have
    chosen, the ratio of the errors and its interval, advice), `notes`, `promise` (of the
    intervals: `confidence_level`, `coverage`, `calibration_runs`, `effective_runs`, `text`).
    """
    from sklearn_jobtime.cli.fitting import run_fit
    from sklearn_jobtime.cli.history import read_history
    from sklearn_jobtime.cli.trial import Recipe

    run_fit(
        read_history(runs, split_names(jobs), split_names(known)),
        Recipe(steps, hidden_size, epochs, lr, device, seed),
        output,
        _promise(level, together),
        horizon=horizon,
        test_size=test_size,
        as_json=as_json,
    )


@app.command(cls=Command)
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


@app.command(cls=Command)
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


@app.command(cls=Command)
def evaluate(
    runs: Runs,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Stored model; its settings and columns then count, not the options below. It is "
            "fitted anew on the older runs."
        ),
    ] = None,
    horizon: Horizon = 5,
    jobs: Jobs = None,
    known: Known = None,
    steps: Steps = 20,
    hidden_size: HiddenSize = 32,
    epochs: Epochs = 60,
    lr: LearningRate = 0.003,
    device: Device = "auto",
    seed: Seed = 0,
    test_size: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of the newest runs to test on.")
    ] = 0.2,
    intervals: Annotated[
        bool,
        typer.Option(
            "--intervals", help="Check intervals too: how often they hold, and chances come true."
        ),
    ] = False,
    level: Level = 0.9,
    together: Together = "none",
    plot: Annotated[
        Path | None,
        typer.Option(callback=writable, help="Picture of the coverage, with --intervals."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say for each job whether the model is worth having, beside the rules of thumb.

    The model and the rules are fitted on the older runs and scored on the newest ones, each
    forecast from what was known when the run started.

    With --json: the keys of `fit` without `model` and `promise`; with --intervals also `intervals`:
    `promise`, `coverage` (in all, for whole runs, by job, step and series: `n`, `coverage`, its
    bounds, `n_effective`, widths), `reliability` of the chances to be done in time, and their
    `calibration_error`.
    """
    from sklearn_jobtime.cli.fitting import run_evaluate, settings_of
    from sklearn_jobtime.cli.history import read_history
    from sklearn_jobtime.cli.trial import POINTS, Recipe

    promise = _promise(level, together)
    if intervals and not level:
        raise typer.BadParameter("--level 0 asks for no intervals, and --intervals for some.")
    if plot is not None and not intervals:
        raise typer.BadParameter("--plot draws the coverage of intervals; add --intervals.")
    if model is None:
        names = (split_names(given) for given in (jobs, known))
        history = read_history(runs, *names)
        forecaster = Recipe(steps, hidden_size, epochs, lr, device, seed).forecaster(history)
    else:
        history, forecaster, stored = settings_of(model, runs)
        promise = stored if stored.level else promise
    run_evaluate(
        history,
        forecaster,
        promise if intervals else POINTS,
        horizon=horizon,
        test_size=test_size,
        plot=plot,
        as_json=as_json,
    )


@app.command(cls=Command)
def tune(
    runs: Runs,
    output: ModelOut = Path("model.joblib"),
    horizon: Horizon = 5,
    jobs: Jobs = None,
    known: Known = None,
    steps: Annotated[str, typer.Option(help="Ended runs in a window, to try.")] = "5,10,20",
    hidden_size: Annotated[str, typer.Option(help="Units of the LSTM, to try.")] = "16,32",
    lr: Annotated[str, typer.Option(help="Learning rates, to try.")] = "0.001,0.003",
    epochs: Epochs = 60,
    device: Device = "auto",
    seed: Seed = 0,
    splits: Annotated[int, typer.Option(min=2, help="Splits in time to validate on.")] = 3,
    n_jobs: Annotated[int, typer.Option(min=1, help="Fits at the same time.")] = 2,
    level: Level = 0.9,
    together: Together = "none",
    as_json: AsJson = False,
) -> None:
    """Search the best window, size and learning rate, fit with them on all runs, store the model.

    With --json: `model`, `runs`, `jobs`, `horizon`, `splits`, `ranking` (`rank`, `params`, `mae`
    and its `std` over the splits in seconds, `fit_seconds`), `promise`, `notes`.
    """
    from sklearn_jobtime.cli.fitting import run_tune
    from sklearn_jobtime.cli.history import read_history
    from sklearn_jobtime.cli.trial import Recipe

    grid = {
        "regressor__mean__lstm__windows__n_steps": _numbers("--steps", steps, int),
        "regressor__mean__lstm__network__hidden_size": _numbers("--hidden-size", hidden_size, int),
        "regressor__mean__lstm__network__lr": _numbers("--lr", lr, float),
    }
    run_tune(
        read_history(runs, split_names(jobs), split_names(known)),
        Recipe(20, 32, epochs, 0.003, device, seed),
        output,
        _promise(level, together),
        grid,
        horizon=horizon,
        splits=splits,
        n_jobs=n_jobs,
        as_json=as_json,
    )


@app.command(cls=Command)
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


@app.command(cls=Command)
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


@app.command(cls=Command)
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


def split_names(values: list[str] | None) -> list[str]:
    """Split what was given as ``--jobs a,b --jobs c``."""
    return [name.strip() for value in values or [] for name in value.split(",") if name.strip()]


def _promise(level: float, together: str) -> "Promise":
    from sklearn_jobtime.cli.promise import TOGETHER, Promise

    if together not in TOGETHER:
        raise typer.BadParameter(
            f"{together!r} came for --together; expected one of {', '.join(TOGETHER)}."
        )
    return Promise(level, together)


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> list[int] | list[float]:
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) <= 0:
        raise typer.BadParameter(
            f"{text!r} came for {option}; expected positive numbers separated by commas, such as "
            "5,10,20."
        )
    return numbers
