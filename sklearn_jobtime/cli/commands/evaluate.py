"""The command `evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Device,
    Epochs,
    HiddenSize,
    Jobs,
    Known,
    LearningRate,
    Level,
    Runs,
    Seed,
    Steps,
    Together,
    promise_of,
    split_names,
    writable,
)

if TYPE_CHECKING:
    pass

__all__ = ["evaluate"]


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
    from sklearn_jobtime.cli.holdout import POINTS, Recipe
    from sklearn_jobtime.cli.inputs import read_history
    from sklearn_jobtime.cli.run.evaluate import run_evaluate, settings_of

    promise = promise_of(level, together)
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
