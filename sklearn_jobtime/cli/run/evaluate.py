"""Command `evaluate`: a hold-out test, and whether intervals and chances held."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from sklearn.base import clone

from sklearn_jobtime._wording import human_seconds, human_share
from sklearn_jobtime.cli.files import PICTURE_ENDINGS, Files, check_ending, save_plot
from sklearn_jobtime.cli.holdout import Holdout, run_holdout
from sklearn_jobtime.cli.holdout_report import holdout_record, print_holdout
from sklearn_jobtime.cli.inputs import History, history_as_fitted, history_record
from sklearn_jobtime.cli.intervals import (
    NominalCoverage,
    coverage_record,
    few_runs_noted,
    point_model,
)
from sklearn_jobtime.cli.output import as_records, print_json, print_notes, print_table, results
from sklearn_jobtime.compose._anchored import AnchoredRegressor
from sklearn_jobtime.evaluation._coverage import coverage_report, holdout_intervals
from sklearn_jobtime.evaluation._reliability import (
    expected_calibration_error,
    reliability_of_deadlines,
)
from sklearn_jobtime.exceptions import ModelFileError
from sklearn_jobtime.forecasting import target_names
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.plots import CoverageDisplay

__all__ = ["IntervalCheck", "check_intervals", "check_record", "run_evaluate", "settings_of"]


SHOWN_COUNTS = 20
# Which values of --simultaneous ask for the coverage of several targets at once.
ASKED_BY = {
    "all jobs of a run": ("jobs", "both"),
    "all steps of a job": ("horizon", "both"),
    "whole forecast": ("both",),
}


@dataclass(frozen=True)
class IntervalCheck:
    """What became of intervals and chances on the test runs.

    Parameters
    ----------
    nominal : dict
        The nominal coverage, as `coverage_record` gives it.
    intervals, coverage : DataFrame
        See :mod:`sklearn_jobtime.evaluation`.
    reliability : DataFrame
        See :func:`~sklearn_jobtime.evaluation.reliability`.
    """

    nominal: dict[str, Any]
    intervals: pd.DataFrame
    coverage: pd.DataFrame
    reliability: pd.DataFrame

    @property
    def calibration_error(self) -> float:
        """By how much the chances were off, on average."""
        return expected_calibration_error(self.reliability)


def run_evaluate(
    history: History,
    model: AnchoredRegressor,
    nominal: NominalCoverage,
    *,
    horizon: int,
    test_size: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Test a forecaster beside the baselines, and its intervals where there are to be any."""
    check_ending(plot, PICTURE_ENDINGS, "--plot")
    holdout = run_holdout(model, history, horizon, test_size, nominal)
    found = check_intervals(holdout, history) if nominal.confidence_level else None
    files = Files()
    if found:
        level = nominal.confidence_level
        files.add(plot, lambda path: save_plot(_display(found, level), path))
    if as_json:
        files.write()
        record = {**history_record(history, horizon), **holdout_record(holdout)}
        record |= {"intervals": check_record(found)} if found else {}
        record |= {"written": files.written, "notes": history.notes + files.failed}
        print_json(record)
        files.exit_if_failed()
        return
    print_holdout(holdout)
    if found:
        _print_check(found)
    print_notes(history.notes + files.write())
    files.exit_if_failed()


def _display(found: IntervalCheck, level: float) -> CoverageDisplay:
    return CoverageDisplay.from_predictions(found.intervals, level)


def settings_of(
    path: Path, source: str, horizon: int | None
) -> tuple[History, AnchoredRegressor, NominalCoverage, int]:
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
    history = history_as_fitted(source, model)
    return history, clone(inner), NominalCoverage.of(model), ahead


def check_intervals(holdout: Holdout, history: History) -> IntervalCheck | None:
    """Compare the intervals of a tested model with the test runs; None if it has none."""
    model = holdout.model
    nominal = coverage_record(model)
    if nominal is None:
        return None
    with few_runs_noted(history.notes):
        intervals = holdout_intervals(model, history.runs, holdout.is_test)
    return IntervalCheck(
        nominal,
        intervals,
        coverage_report(intervals, nominal["confidence_level"]),
        reliability_of_deadlines(model, history.runs, holdout.is_test),
    )


def check_record(check: IntervalCheck) -> dict[str, Any]:
    """Give the counts for JSON."""
    return {
        "nominal_coverage": check.nominal,
        "coverage": as_records(check.coverage),
        "reliability": as_records(check.reliability),
        "calibration_error": check.calibration_error,
    }


def _print_check(check: IntervalCheck) -> None:
    """Print how often the intervals held, and whether chances came true."""
    _print_counts(check.coverage, check.nominal["simultaneous"])
    _print_reliability(check.reliability)
    results().print(
        f"Coverage: {check.nominal['text']}. Chances were off by "
        f"{100 * check.calibration_error:.1f} points on average.",
        markup=False,
        soft_wrap=True,
    )


def _print_counts(counts: pd.DataFrame, simultaneous: str) -> None:
    print_table(
        f"Inside the interval of {100 * counts['nominal'].iloc[0]:.3g} %, of runs not seen before",
        ["what", "counted", "effective", "inside", "95 % sure", "width", "of the forecast"],
        (
            [
                f"{row['what']} {row['which']}".strip(),
                f"{row['n']:,}",
                f"{row['n_effective']:,.0f}",
                f"{human_share(row['coverage'], 1)}{_remark(row, simultaneous)}",
                f"{human_share(row['low'])} - {human_share(row['high'])}",
                human_seconds(row["width"]),
                human_share(row["relative_width"]),
            ]
            for _, row in counts[:SHOWN_COUNTS].iterrows()
        ),
    )


def _remark(count: pd.Series, simultaneous: str) -> str:
    """Mark a coverage that is below the nominal one, or that nobody asked for."""
    if simultaneous not in ASKED_BY.get(count["what"], (simultaneous,)):
        return " (not asked for)"
    return "" if count["as_promised"] else " [bold red]low[/]"


def _print_reliability(reliability: pd.DataFrame) -> None:
    print_table(
        "Chances to be done in time, and how often it came so",
        ["said", "questions", "mean", "came so", "95 % sure"],
        (
            [
                f"{human_share(row['low'])} - {human_share(row['high'])}",
                f"{row['n']:,.0f}",
                human_share(row["predicted"], 1),
                human_share(row["observed"], 1),
                f"{human_share(row['observed_low'])} - {human_share(row['observed_high'])}",
            ]
            for _, row in reliability.iterrows()
        ),
    )
