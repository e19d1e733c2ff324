"""The part of `evaluate` that checks intervals and chances on runs that the model has not seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape

from sklearn_jobtime.cli.history import History
from sklearn_jobtime.cli.output import as_records, human_seconds, print_table, results
from sklearn_jobtime.cli.promise import few_runs_noted, promise_record
from sklearn_jobtime.cli.trial import Trial
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.coverage import coverage_report, held_out_intervals
from sklearn_jobtime.reliability import expected_calibration_error, reliability_of_deadlines

__all__ = ["Checked", "check_intervals", "checked_record", "print_checked"]

SHOWN_COUNTS = 20
# Which kinds of coverage promise a count of several targets at once.
PROMISED_BY = {
    "all jobs of a run": ("jobs", "all"),
    "all steps of a job": ("steps", "all"),
    "whole forecast": ("all",),
}


@dataclass(frozen=True)
class Checked:
    """What became of intervals and chances on the test runs.

    Parameters
    ----------
    promise : dict
        What was promised.
    intervals, coverage : DataFrame
        See :mod:`sklearn_jobtime.coverage`.
    reliability : DataFrame
        See :func:`~sklearn_jobtime.reliability.reliability`.
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
        intervals = held_out_intervals(model, history.runs, trial.is_test)
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
