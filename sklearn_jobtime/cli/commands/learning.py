"""Commands that fit a model: `fit`, `evaluate` and `tune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    Runs,
    Seed,
    Steps,
    TestSize,
    Together,
    split_names,
    writable,
)

if TYPE_CHECKING:
    from sklearn_jobtime.cli.promise import Promise

__all__ = ["evaluate", "fit", "tune"]


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
    intervals: `confidence_level`, `coverage`, `calibration_runs`, `effective_runs`, `told_runs`
    of `jobtime update`, `text`).
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


def evaluate(
    runs: Runs,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Stored model; its settings and columns then count, not the options below. It is "
            "fitted anew on the older runs."
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(min=1, help="Runs to forecast ahead. Default: as many as --model, else 5."),
    ] = None,
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
        horizon = horizon or 5
    else:
        history, forecaster, stored, horizon = settings_of(model, runs, horizon)
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
