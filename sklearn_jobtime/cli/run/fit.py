"""Command `fit`: test the recipe, fit it on all runs, store it."""

from pathlib import Path

from sklearn.base import clone

from sklearn_jobtime.cli.holdout import Recipe, epochs_of, fit_promised, run_trial
from sklearn_jobtime.cli.holdout_report import print_trial, trial_record
from sklearn_jobtime.cli.inputs import History, history_record
from sklearn_jobtime.cli.intervals import Promise, promise_record
from sklearn_jobtime.cli.output import as_records, print_json, print_notes, print_promise, results
from sklearn_jobtime.persistence import save_model

__all__ = ["run_fit"]


def run_fit(
    history: History,
    recipe: Recipe,
    output: Path,
    promise: Promise,
    *,
    horizon: int,
    test_size: float,
    as_json: bool,
) -> None:
    """Test the recipe on the newest runs, fit it on all, store it."""
    model = recipe.forecaster(history)
    trial = run_trial(model, history, horizon, test_size) if test_size else None
    fitted = fit_promised(clone(model), promise, history, history.runs, horizon)
    save_model(fitted, output)
    print_notes(history.notes)
    if as_json:
        tested = trial_record(trial) if trial else {"epochs": as_records(epochs_of(fitted))}
        record = {"model": str(output), **history_record(history, horizon), **tested}
        print_json({**record, "promise": promise_record(fitted)})
        return
    if trial:
        print_trial(trial)
    print_promise(promise_record(fitted))
    results().print(
        f"Fitted on all {len(history.runs)} runs, {horizon} ahead, and stored as {output}.",
        markup=False,
        soft_wrap=True,
    )
