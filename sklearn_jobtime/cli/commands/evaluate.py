"""The command `evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Coverage,
    Device,
    Epochs,
    HiddenSize,
    Jobs,
    Known,
    LearningRate,
    Runs,
    Seed,
    Simultaneous,
    Window,
    nominal_coverage,
    reads_source,
    split_names,
    writable,
)

__all__ = ["evaluate"]


OfModel = Annotated[
    Path | None,
    typer.Option(
        help="Stored model; its settings and columns then count, not the options below. It is "
        "fitted anew on the older runs. A .joblib file can run code: take only your own."
    ),
]
OwnHorizon = Annotated[
    int | None,
    typer.Option(min=1, help="Runs to forecast ahead. Default: as many as --model, else 5."),
]
TestShare = Annotated[
    float, typer.Option(min=0.01, max=0.9, help="Share of the newest runs to test on.")
]
Intervals = Annotated[
    bool,
    typer.Option(
        "--intervals", help="Check intervals too: how often they hold, and chances come true."
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(callback=writable, help="Picture of the coverage, with --intervals."),
]


@reads_source("runs")
def evaluate(
    runs: Runs,
    model: OfModel = None,
    horizon: OwnHorizon = None,
    jobs: Jobs = None,
    known: Known = None,
    window: Window = 20,
    hidden_size: HiddenSize = 32,
    epochs: Epochs = 60,
    lr: LearningRate = 0.003,
    device: Device = "auto",
    seed: Seed = 0,
    test_size: TestShare = 0.2,
    intervals: Intervals = False,
    coverage: Coverage = 0.9,
    simultaneous: Simultaneous = "none",
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Say for each job whether the model is worth having, beside the baselines.

    The model and the baselines are fitted on the older runs and scored on the newest ones, each
    forecast from what was known when the run started.

    With --json: the keys of `fit` without `model` and `coverage`; with --intervals also
    `intervals`: `nominal_coverage` (the `coverage` of `fit`), `coverage` (in all, for whole runs,
    by job, step and series: `n`, `coverage`, its bounds, `n_effective`, widths), `reliability` of
    the chances to be done in time, and their `calibration_error`; `written` files.
    """
    from sklearn_jobtime.cli.holdout import POINTS, Recipe
    from sklearn_jobtime.cli.inputs import read_history
    from sklearn_jobtime.cli.run.evaluate import run_evaluate, settings_of

    nominal = nominal_coverage(coverage, simultaneous)
    if intervals and not coverage:
        raise typer.BadParameter("--coverage 0 asks for no intervals, and --intervals for some.")
    if plot is not None and not intervals:
        raise typer.BadParameter("--plot draws the coverage of intervals; add --intervals.")
    if model is None:
        names = (split_names(given) for given in (jobs, known))
        history = read_history(runs, *names)
        forecaster = Recipe(window, hidden_size, epochs, lr, device, seed).forecaster(history)
        horizon = horizon or 5
    else:
        history, forecaster, stored, horizon = settings_of(model, runs, horizon)
        nominal = stored if stored.confidence_level else nominal
    run_evaluate(
        history,
        forecaster,
        nominal if intervals else POINTS,
        horizon=horizon,
        test_size=test_size,
        plot=plot,
        as_json=as_json,
    )
