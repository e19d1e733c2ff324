"""Command `fit`: fit the recipe on all runs, store it, and test it on the newest runs."""

from pathlib import Path

from sklearn.base import clone

from sklearn_jobtime.cli.holdout import Recipe, fit_with_intervals, holdout_or_note
from sklearn_jobtime.cli.holdout_report import holdout_record, print_holdout, untested_record
from sklearn_jobtime.cli.inputs import History, history_record
from sklearn_jobtime.cli.intervals import NominalCoverage, coverage_record
from sklearn_jobtime.cli.output import print_coverage, print_json, print_notes, results
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
    """Fit the recipe on all runs and store it; then test it on the newest runs.

    The model is stored before anything is tested or printed: a report that cannot be made is a
    note, and no reason to be without a model.
    """
    model = recipe.forecaster(history)
    fitted = fit_with_intervals(clone(model), nominal, history, history.runs, horizon)
    save_model(fitted, output)
    holdout = holdout_or_note(model, history, horizon, test_size) if test_size else None
    print_notes(history.notes)
    if as_json:
        tested = holdout_record(holdout) if holdout else untested_record(fitted)
        record = {"model": str(output), **history_record(history, horizon), **tested}
        print_json({**record, "coverage": coverage_record(fitted)})
        return
    if holdout:
        print_holdout(holdout)
    print_coverage(coverage_record(fitted))
    of = f" of {history.series}" if history.series else ""
    results().print(
        f"Fitted on all {len(history.runs)} runs{of}, {horizon} ahead, and stored as {output}.",
        markup=False,
        soft_wrap=True,
    )
