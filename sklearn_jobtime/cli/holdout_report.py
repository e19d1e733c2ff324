"""What a user reads of a hold-out test: training, errors, advice."""

from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape
from sklearn.base import BaseEstimator

from sklearn_jobtime.cli.holdout import MODEL_NAME, Holdout, advice, epochs_of, kept_epoch_of
from sklearn_jobtime.cli.output import as_records, human_seconds, print_table, results

__all__ = ["SHOWN_BASELINES", "SHOWN_EPOCHS", "holdout_record", "print_holdout", "untested_record"]


SHOWN_EPOCHS = 10
SHOWN_BASELINES = ("last run", "mean of last 2", "median of last 10")


def print_holdout(holdout: Holdout) -> None:
    """Print how training went, the errors beside the baselines, and what to use for each job."""
    _print_epochs(holdout.epochs, holdout.kept_epoch)
    mae = holdout.scores.pivot_table(index="job", columns="model", values="mae", sort=False)
    rows = []
    for _, row in holdout.recommendations.iterrows():
        errors = mae.loc[row["job"]]
        baseline = f"{human_seconds(row['best_baseline_mae'])} ({row['best_baseline']})"
        cells = [*(human_seconds(errors[name]) for name in SHOWN_BASELINES), baseline]
        cells.append(human_seconds(errors[MODEL_NAME]))
        best = -1 if row["best"] == MODEL_NAME else -2
        cells[best] = f"[bold green]{cells[best]} *[/]"
        rows.append([escape(row["job"]), *cells])
    print_table(
        f"Mean absolute error over the newest {holdout.is_test.sum()} runs (* the least)",
        ["job", *SHOWN_BASELINES, f"best of {len(mae.columns) - 1} baselines", MODEL_NAME],
        rows,
    )
    wins = int((holdout.recommendations["best"] == MODEL_NAME).sum())
    console = results()
    console.print(
        f"The {MODEL_NAME} has the least error on {wins} of {len(mae)} targets, with the "
        "baselines chosen in hindsight. Recommendations:"
    )
    for _, recommendation in holdout.recommendations.iterrows():
        console.print(
            f"  {recommendation['job']}: {advice(recommendation)}.", markup=False, soft_wrap=True
        )


def _print_epochs(epochs: pd.DataFrame, kept: int) -> None:
    """Print some of the epochs; `kept` is the number of the one whose weights are in use."""
    shown = {*np.linspace(0, len(epochs) - 1, SHOWN_EPOCHS).astype(int).tolist()}
    rows = []
    for k in sorted(shown | {kept - 1}) if len(epochs) else []:
        if k < 0:
            continue
        epoch = epochs.iloc[k]
        rows.append(
            [
                f"{epoch['epoch']:.0f}{' (kept)' if k == kept - 1 else ''}",
                *(_known(epoch[name], ".3f") for name in ("train_loss", "valid_loss")),
                *(_known(epoch[name], ".1%") for name in ("train_accuracy", "valid_accuracy")),
                human_seconds(epoch["seconds"]),
            ]
        )
    print_table(
        "Training of the LSTM (accuracy: share of forecasts within 10 % of the actual)",
        ["epoch", "train loss", "valid loss", "train accuracy", "valid accuracy", "time"],
        rows,
    )
    results().print(
        "The model is a weighted average of baselines, corrected by boosted trees alone: no epoch "
        "of the LSTM did better on the newest training runs."
        if kept == 0
        else "The model is a weighted average of baselines, corrected by boosted trees and the "
        f"LSTM of epoch {kept}.",
        soft_wrap=True,
    )


def _known(number: float, form: str) -> str:
    return format(number, form) if np.isfinite(number) else "-"


def holdout_record(holdout: Holdout) -> dict[str, Any]:
    """Give epochs, scores and recommendations of a hold-out test, for JSON."""
    advised = [advice(row) for _, row in holdout.recommendations.iterrows()]
    return {
        "test_runs": int(holdout.is_test.sum()),
        "epochs": as_records(holdout.epochs),
        "kept_epoch": holdout.kept_epoch,
        "scores": as_records(holdout.scores),
        "recommendations": as_records(holdout.recommendations.assign(advice=advised)),
    }


def untested_record(fitted: BaseEstimator) -> dict[str, Any]:
    """Give the same keys for a model that was not tested."""
    return {
        "test_runs": 0,
        "epochs": as_records(epochs_of(fitted)),
        "kept_epoch": kept_epoch_of(fitted),
        "scores": [],
        "recommendations": [],
    }
