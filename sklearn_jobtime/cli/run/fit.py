"""Command `fit`: test the recipe, fit it on all runs, store it."""

from pathlib import Path

from sklearn.base import clone

from sklearn_jobtime.cli.holdout import Recipe, epochs_of, fit_with_intervals, run_holdout
from sklearn_jobtime.cli.holdout_report import holdout_record, print_holdout
from sklearn_jobtime.cli.inputs import History, history_record
from sklearn_jobtime.cli.intervals import NominalCoverage, coverage_record
from sklearn_jobtime.cli.output import as_records, print_coverage, print_json, print_notes, results
from sklearn_jobtime.persistence import save_model

__all__ = ["run_fit"]


def run_fit(
    history: History,
    recipe: Recipe,
    output: Path,
    nominal: NominalCoverage,
    *,
    horizon: int,
    test_size: float,
    as_json: bool,
) -> None:
    """Test the recipe on the newest runs, fit it on all, store it."""
    model = recipe.forecaster(history)
    holdout = run_holdout(model, history, horizon, test_size) if test_size else None
    fitted = fit_with_intervals(clone(model), nominal, history, history.runs, horizon)
    save_model(fitted, output)
    print_notes(history.notes)
    if as_json:
        tested = holdout_record(holdout) if holdout else {"epochs": as_records(epochs_of(fitted))}
        record = {"model": str(output), **history_record(history, horizon), **tested}
        print_json({**record, "coverage": coverage_record(fitted)})
        return
    if holdout:
        print_holdout(holdout)
    print_coverage(coverage_record(fitted))
    results().print(
        f"Fitted on all {len(history.runs)} runs, {horizon} ahead, and stored as {output}.",
        markup=False,
        soft_wrap=True,
    )
