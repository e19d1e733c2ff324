"""Command `evaluate`: a hold-out test, and whether intervals and chances held."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from rich.markup import escape
from sklearn.base import clone

from sklearn_jobtime.cli.files import save_plot
from sklearn_jobtime.cli.holdout import Trial, run_trial
from sklearn_jobtime.cli.holdout_report import print_trial, trial_record
from sklearn_jobtime.cli.inputs import History, history_record, read_as_fitted, split_off_coming
from sklearn_jobtime.cli.intervals import Promise, few_runs_noted, point_model, promise_record
from sklearn_jobtime.cli.output import (
    as_records,
    human_seconds,
    print_json,
    print_notes,
    print_table,
    results,
)
from sklearn_jobtime.compose._anchored import AnchoredRegressor
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.evaluation._coverage import coverage_report, holdout_intervals
from sklearn_jobtime.evaluation._reliability import (
    expected_calibration_error,
    reliability_of_deadlines,
)
from sklearn_jobtime.exceptions import ModelFileError
from sklearn_jobtime.forecasting import target_names
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.plots import CoverageDisplay

__all__ = [
    "Checked",
    "check_intervals",
    "checked_record",
    "print_checked",
    "run_evaluate",
    "settings_of",
]


SHOWN_COUNTS = 20
# Which kinds of coverage promise a count of several targets at once.
PROMISED_BY = {
    "all jobs of a run": ("jobs", "both"),
    "all steps of a job": ("horizon", "both"),
    "whole forecast": ("both",),
}


@dataclass(frozen=True)
class Checked:
    """What became of intervals and chances on the test runs.

    Parameters
    ----------
    promise : dict
        What was promised.
    intervals, coverage : DataFrame
        See :mod:`sklearn_jobtime.evaluation`.
    reliability : DataFrame
        See :func:`~sklearn_jobtime.evaluation.reliability`.
    """

    promise: dict[str, Any]
    intervals: pd.DataFrame
    coverage: pd.DataFrame
    reliability: pd.DataFrame


def check_intervals(trial: Trial, history: History) -> Checked | None:
    """Compare the intervals of the model of a trial with the test runs; None if it has none."""
    model = trial.model
    promise = promise_record(model)
    if not isinstance(model, ConformalForecaster) or promise is None:
        return None
    with few_runs_noted(history.notes):
        intervals = holdout_intervals(model, history.runs, trial.is_test)
    return Checked(
        promise,
        intervals,
        coverage_report(intervals, model.confidence_level),
        reliability_of_deadlines(model, history.runs, trial.is_test),
    )


def checked_record(checked: Checked) -> dict[str, Any]:
    """Give the counts for JSON."""
    return {
        "promise": checked.promise,
        "coverage": as_records(checked.coverage),
        "reliability": as_records(checked.reliability),
        "calibration_error": expected_calibration_error(checked.reliability),
    }


def _remark(count: pd.Series, coverage: str) -> str:
    """Mark a count that is below what was promised, or that was never promised."""
    if coverage not in PROMISED_BY.get(count["what"], (coverage,)):
        return " (not promised)"
    return "" if count["as_promised"] else " [bold red]low[/]"


def print_checked(checked: Checked) -> None:
    """Print how often the intervals held, and whether chances came true."""
    counts = checked.coverage
    print_table(
        f"Inside the interval of {100 * counts['nominal'].iloc[0]:.3g} %, of runs not seen before",
        ["what", "counted", "worth", "inside", "95 % sure", "width", "of the forecast"],
        (
            [
                escape(f"{row['what']} {row['which']}".strip()),
                f"{row['n']:,}",
                f"{row['n_effective']:,.0f}",
                f"{row['coverage']:.1%}{_remark(row, checked.promise['coverage'])}",
                f"{row['low']:.0%} - {row['high']:.0%}",
                human_seconds(row["width"]),
                f"{row['relative_width']:.0%}" if np.isfinite(row["relative_width"]) else "-",
            ]
            for _, row in counts[:SHOWN_COUNTS].iterrows()
        ),
    )
    print_table(
        "Chances to be done in time, and how often it came so",
        ["said", "questions", "mean", "came so", "95 % sure"],
        (
            [
                f"{row['low']:.0%} - {row['high']:.0%}",
                f"{row['n']:,.0f}",
                f"{row['predicted']:.1%}",
                f"{row['observed']:.1%}",
                f"{row['observed_low']:.0%} - {row['observed_high']:.0%}",
            ]
            for _, row in checked.reliability.iterrows()
        ),
    )
    error = expected_calibration_error(checked.reliability)
    results().print(
        f"Promise: {checked.promise['text']}. Chances were off by {100 * error:.1f} points on "
        "average.",
        markup=False,
        soft_wrap=True,
    )


def run_evaluate(
    history: History,
    model: AnchoredRegressor,
    promise: Promise,
    *,
    horizon: int,
    test_size: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Test a forecaster beside the rules, and its intervals where there are to be any."""
    trial = run_trial(model, history, horizon, test_size, promise)
    found = check_intervals(trial, history) if promise.level else None
    if found and plot is not None:
        save_plot(CoverageDisplay.from_predictions(found.intervals, promise.level), plot)
    print_notes(history.notes + ([f"written: {plot}"] if found and plot is not None else []))
    if as_json:
        record = {**history_record(history, horizon), **trial_record(trial)}
        print_json({**record, **({"intervals": checked_record(found)} if found else {})})
        return
    print_trial(trial)
    if found:
        print_checked(found)


def settings_of(
    path: Path, source: str, horizon: int | None
) -> tuple[History, AnchoredRegressor, Promise, int]:
    """Load a forecaster without what it has learned (it may have seen the test runs), and runs.

    A horizon that was asked for has to be that of the model; its own one comes back.
    """
    model = load_model(path)
    inner = point_model(model)
    if not isinstance(inner, AnchoredRegressor):
        raise ModelFileError(
            f"{path}: holds a {type(inner).__name__}; expected an AnchoredRegressor stored by "
            "`jobtime fit` or `jobtime tune`."
        )
    ahead = int(target_names(model).get_level_values("step").max())
    if horizon not in (None, ahead):
        raise typer.BadParameter(
            f"{horizon} came for --horizon, and {path} was fitted to forecast {ahead} ahead; leave "
            f"--horizon out, or store a model with `jobtime fit --horizon {horizon}`."
        )
    table, jobs = read_as_fitted(source, model)
    history = History(split_off_coming(table, jobs)[0], jobs, [])
    return history, clone(inner), Promise.of(model), ahead
