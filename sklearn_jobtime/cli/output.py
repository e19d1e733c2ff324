"""What a user reads: tables, durations and times for people, one JSON object for scripts."""

import json
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sklearn_jobtime.cli.trial import MODEL_NAME, Trial, advice
from sklearn_jobtime.runs import WHOLE_RUN

__all__ = [
    "as_records",
    "human_seconds",
    "job_label",
    "print_json",
    "print_notes",
    "print_promise",
    "print_table",
    "print_trial",
    "results",
    "trial_record",
]

SHOWN_EPOCHS = 10
SHOWN_RULES = ("last run", "mean of last 2", "median of last 10")
PIPED_WIDTH = 120


def results() -> Console:
    """Console for results; in a pipe wide enough that a table is not cut."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def human_seconds(seconds: float) -> str:
    """Duration for people.

    Examples
    --------
    >>> from sklearn_jobtime.cli.output import human_seconds
    >>> [human_seconds(s) for s in (0.42, 59.9, 725.0, 7500.0, 200000.0, float("nan"))]
    ['0.4s', '1m 00s', '12m 05s', '2h 05m', '2d 07h', '-']
    """
    if not np.isfinite(seconds):
        return "-"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for large, unit, small, part in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= large:
            return f"{whole // large}{unit} {whole % large // small:02d}{part}"
    return f"{whole}s"


def job_label(name: object) -> str:
    """Name of a job for people; the tables of the console read brackets as markup.

    Examples
    --------
    >>> from sklearn_jobtime.cli.output import job_label
    >>> job_label("whole_run"), job_label("load")
    ('whole run', 'load')
    """
    return "whole run" if name == WHOLE_RUN else escape(str(name))


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object to standard output; missing and infinite numbers are null."""
    print(json.dumps(_plain(record), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else str(value)


def print_promise(promise: dict[str, Any] | None) -> None:
    """Print in one line which promise the intervals make, if there are any."""
    if promise:
        results().print(f"Promise: {promise['text']}.", markup=False, soft_wrap=True)


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as dicts, its index left out."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def print_table(title: str, columns: list[str], rows: Iterable[list[str]]) -> None:
    """Print a table; all columns but the first are right-aligned."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if k else "left")
    for row in rows:
        table.add_row(*row)
    results().print(table)


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
