"""The command `tune`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import (
    AsJson,
    Coverage,
    Device,
    Epochs,
    Horizon,
    Jobs,
    Known,
    ModelOut,
    Runs,
    Seed,
    Simultaneous,
    nominal_coverage,
    reads_source,
    split_names,
)

__all__ = ["tune"]


@reads_source("runs")
def tune(
    runs: Runs,
    output: ModelOut = Path("model.joblib"),
    horizon: Horizon = 5,
    jobs: Jobs = None,
    known: Known = None,
    window: Annotated[
        str, typer.Option(help="Ended runs that the LSTM reads, to try.")
    ] = "5,10,20",
    hidden_size: Annotated[str, typer.Option(help="Units of the LSTM, to try.")] = "16,32",
    lr: Annotated[str, typer.Option(help="Learning rates, to try.")] = "0.001,0.003",
    epochs: Epochs = 60,
    device: Device = "auto",
    seed: Seed = 0,
    splits: Annotated[int, typer.Option(min=2, help="Splits in time to validate on.")] = 3,
    n_jobs: Annotated[int, typer.Option(min=1, help="Fits at the same time.")] = 2,
    scoring: Annotated[
        str,
        typer.Option(
            help="What ranks them: neg_observed_mae, _rmse, _mape, observed_r2, "
            "observed_share_within, or neg_observed_pinball_Q for the quantile Q (0.9, say)."
        ),
    ] = "neg_observed_mae",
    coverage: Coverage = 0.9,
    simultaneous: Simultaneous = "none",
    as_json: AsJson = False,
) -> None:
    """Search the best window, size and learning rate, fit with them on all runs, store the model.

    With --json: `model`, `runs`, `jobs`, `horizon`, `splits`, `scoring`, `ranking` (`rank`,
    `params`, `mae` (or what else is scored) and its `std` over the splits in seconds,
    `fit_seconds`), `coverage`, `notes`.
    """
    from sklearn_jobtime.cli.holdout import Recipe
    from sklearn_jobtime.cli.inputs import read_history
    from sklearn_jobtime.cli.run.tune import run_tune
    from sklearn_jobtime.metrics import get_forecast_scorer

    try:
        get_forecast_scorer(scoring)
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint="--scoring") from error
    grid = {
        "regressor__mean__lstm__windows__n_steps": _numbers("--window", window, int),
        "regressor__mean__lstm__network__hidden_size": _numbers("--hidden-size", hidden_size, int),
        "regressor__mean__lstm__network__lr": _numbers("--lr", lr, float),
    }
    run_tune(
        read_history(runs, split_names(jobs), split_names(known)),
        Recipe(20, 32, epochs, 0.003, device, seed),
        output,
        nominal_coverage(coverage, simultaneous),
        grid,
        horizon=horizon,
        splits=splits,
        n_jobs=n_jobs,
        scoring=scoring,
        as_json=as_json,
    )


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
