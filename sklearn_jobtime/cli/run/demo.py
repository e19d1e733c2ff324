"""Command `demo`: the whole main job on real runs."""

from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from rich.console import Console
from sklearn.base import clone

from sklearn_jobtime._wording import human_seconds
from sklearn_jobtime.cli.files import Files, interval_name, save_plot
from sklearn_jobtime.cli.holdout import Holdout, Recipe, fit_with_intervals, holdout_or_note
from sklearn_jobtime.cli.holdout_report import holdout_record, print_holdout, untested_record
from sklearn_jobtime.cli.inputs import History, history_record
from sklearn_jobtime.cli.intervals import NominalCoverage, coverage_record
from sklearn_jobtime.cli.output import (
    forecast_records,
    print_coverage,
    print_json,
    print_notes,
    results,
)
from sklearn_jobtime.cli.run.forecast import print_forecasts
from sklearn_jobtime.cli.run.risk import print_risks, risk_records
from sklearn_jobtime.conformal._deadlines import next_risks
from sklearn_jobtime.datasets import load_github_runs
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.persistence import save_model
from sklearn_jobtime.plots import ForecastDisplay

__all__ = ["run_demo"]


HORIZON = 5
TEST_SIZE = 0.2
DEADLINE = "20min"  # from the start of the run; some three in four make it


def run_demo(folder: Path, recipe: Recipe, *, as_json: bool) -> None:
    """Load, split in time, fit, test beside the baselines, forecast, store, draw."""
    start = perf_counter()
    steps = Console(stderr=True, highlight=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)

    shipped = load_github_runs()
    history = History(shipped.runs, shipped.jobs, shipped.known)
    n_test = round(TEST_SIZE * len(history.runs))
    steps.print(
        f"1/4 Loaded {len(history.runs)} runs of bmad-sim/bmad-ecosystem on GitHub Actions."
    )
    steps.print(f"2/4 Fitting on all but the newest {n_test}, which are for the test.")
    model = recipe.forecaster(history)
    holdout = holdout_or_note(model, history, HORIZON, TEST_SIZE)

    steps.print("3/4 Fitting on all runs, for the forecast.")
    fitted = fit_with_intervals(clone(model), NominalCoverage(), history, history.runs, HORIZON)
    forecasts = forecast(fitted, history.runs)
    coverage = coverage_record(fitted)

    steps.print("4/4 Storing the model and drawing.")
    model_path, plot_path = folder / "model.joblib", folder / "forecast.png"
    save_model(fitted, model_path)
    files = Files()
    files.add(plot_path, lambda path: _draw(history, forecasts, holdout, coverage, path))
    files.write()
    risks = next_risks(fitted, forecasts, DEADLINE)

    seconds = perf_counter() - start
    if as_json:
        print_json(
            {
                "model": str(model_path),
                **history_record(history, HORIZON),
                **(holdout_record(holdout) if holdout else untested_record(fitted)),
                "forecasts": forecast_records(forecasts),
                "coverage": coverage,
                "risks": risk_records(risks),
                "plot": str(plot_path),
                "seconds": seconds,
                "notes": history.notes + files.failed,
            }
        )
        files.exit_if_failed()
        return
    print_notes(history.notes)
    if holdout:
        print_holdout(holdout)
    print_forecasts(forecasts)
    print_coverage(coverage)
    print_risks(risks)
    results().print(
        f"Stored {' and '.join([str(model_path), *files.written])}. All of it took "
        f"{human_seconds(seconds)}.",
        markup=False,
        soft_wrap=True,
    )
    files.exit_if_failed()


def _draw(
    history: History,
    forecasts: pd.DataFrame,
    holdout: Holdout | None,
    coverage: dict[str, Any] | None,
    path: Path,
) -> None:
    """Draw the forecasts, behind those of the test runs where there was a test."""
    tested = None
    if holdout:
        tested = ForecastDisplay.from_estimator(
            holdout.model, history.runs, is_test=holdout.is_test
        ).tested
    display = ForecastDisplay.from_predictions(
        history.runs, forecasts, tested=tested, interval=interval_name(coverage)
    )
    save_plot(display, path)
