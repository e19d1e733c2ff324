"""What a user reads of a hold-out test: training, errors, advice."""

from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape

from sklearn_jobtime.cli.holdout import MODEL_NAME, Trial, advice
from sklearn_jobtime.cli.output import as_records, human_seconds, print_table, results

__all__ = ["SHOWN_EPOCHS", "SHOWN_RULES", "print_trial", "trial_record"]


SHOWN_EPOCHS = 10
SHOWN_RULES = ("last run", "mean of last 2", "median of last 10")


def print_trial(trial: Trial) -> None:
    """Print how training went, the errors beside the rules, and what to use for each job."""
    _print_epochs(trial.epochs, trial.kept_epoch)
    mae = trial.scores.pivot_table(index="job", columns="model", values="mae", sort=False)
    rows = []
    for _, verdict in trial.verdicts.iterrows():
        errors = mae.loc[verdict["job"]]
        rule = f"{human_seconds(verdict['best_rule_mae'])} ({verdict['best_rule']})"
        cells = [*(human_seconds(errors[name]) for name in SHOWN_RULES), rule]
        cells.append(human_seconds(errors[MODEL_NAME]))
        best = -1 if verdict["best"] == MODEL_NAME else -2
        cells[best] = f"[bold green]{cells[best]} *[/]"
        rows.append([escape(verdict["job"]), *cells])
    print_table(
        f"Mean absolute error over the newest {trial.is_test.sum()} runs (* the least)",
        ["job", *SHOWN_RULES, f"best of {len(mae.columns) - 1} rules", MODEL_NAME],
        rows,
    )
    wins = int((trial.verdicts["best"] == MODEL_NAME).sum())
    console = results()
    console.print(
        f"The {MODEL_NAME} has the least error on {wins} of {len(mae)} targets, with the rules "
        "chosen in hindsight. Advice:"
    )
    for _, verdict in trial.verdicts.iterrows():
        console.print(f"  {verdict['job']}: {advice(verdict)}.", markup=False, soft_wrap=True)


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
                *(f"{epoch[name]:.3f}" for name in ("train_loss", "valid_loss")),
                *(f"{epoch[name]:.1%}" for name in ("train_accuracy", "valid_accuracy")),
                human_seconds(epoch["seconds"]),
            ]
        )
    print_table(
        "Training of the LSTM (accuracy: share of forecasts within 10 % of the actual)",
        ["epoch", "train loss", "valid loss", "train accuracy", "valid accuracy", "time"],
        rows,
    )
    results().print(
        "The model is a mix of rules, corrected by boosted trees alone: no epoch of the LSTM did "
        "better on the newest training runs."
        if kept == 0
        else "The model is a mix of rules, corrected by boosted trees and the LSTM of epoch "
        f"{kept}.",
        soft_wrap=True,
    )


def trial_record(trial: Trial) -> dict[str, Any]:
    """Epochs, scores and verdicts of a trial, for JSON."""
    advised = [advice(verdict) for _, verdict in trial.verdicts.iterrows()]
    return {
        "test_runs": int(trial.is_test.sum()),
        "epochs": as_records(trial.epochs),
        "kept_epoch": trial.kept_epoch,
        "scores": as_records(trial.scores),
        "verdicts": as_records(trial.verdicts.assign(advice=advised)),
    }
