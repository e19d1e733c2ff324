"""Commands `fit`, `evaluate` and `tune`."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, TimeSeriesSplit

from sklearn_jobtime.anchored import AnchoredRegressor
from sklearn_jobtime.cli.checking import check_intervals, checked_record, print_checked
from sklearn_jobtime.cli.forecasting import save_plot
from sklearn_jobtime.cli.history import History, read_as_fitted, split_off_coming
from sklearn_jobtime.cli.output import (
    as_records,
    human_seconds,
    print_json,
    print_notes,
    print_promise,
    print_table,
    print_trial,
    results,
    trial_record,
)
from sklearn_jobtime.cli.promise import Promise, point_model, promise_record
from sklearn_jobtime.cli.trial import Recipe, epochs_of, fit_promised, run_trial
from sklearn_jobtime.exceptions import ModelFileError, NoHistoryError
from sklearn_jobtime.metrics import get_scorer
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.plots import CoverageDisplay
from sklearn_jobtime.runs import STARTED_AT, target_names

__all__ = ["history_record", "run_evaluate", "run_fit", "run_tune", "settings_of"]

SCORER = "neg_observed_mae"


def history_record(history: History, horizon: int) -> dict[str, Any]:
    """Give the keys that every JSON answer about a history begins with."""
    return {
        "runs": len(history.runs),
        "jobs": history.jobs,
        "horizon": horizon,
        "notes": history.notes,
    }


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


class CountedScorer:
    """The scorer of the search; it adds one byte to a file for each score, from any process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, estimator: BaseEstimator, X: pd.DataFrame, y: pd.DataFrame) -> float:
        score = get_scorer(SCORER)(estimator, X, y)
        with self.path.open("ab") as file:
            file.write(b".")
        return score


@contextmanager
def _progress(path: Path, total: int) -> Iterator[None]:
    """Show on standard error how many bytes of `total` the file has."""
    done = threading.Event()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(TextColumn("fits"), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)

        def watch() -> None:
            while not done.wait(0.2):
                bar.update(task, completed=path.stat().st_size)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            bar.update(task, completed=path.stat().st_size)


def run_tune(
    history: History,
    recipe: Recipe,
    output: Path,
    promise: Promise,
    grid: dict[str, list],
    *,
    horizon: int,
    splits: int,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Search the grid over splits in time, store the best pipeline fitted on all runs."""
    runs = history.runs
    if STARTED_AT in runs:  # the splits are in time, over all series
        runs = runs.sort_values(STARTED_AT, kind="stable")
    y = history.targets(runs, horizon)
    gap = horizon - 1
    if len(runs) < (splits + 1) * 2 + gap:
        raise NoHistoryError(
            f"{len(runs)} runs are too few for {splits} splits in time with a horizon of {horizon};"
            " take fewer --splits, a smaller --horizon, or load a longer history."
        )
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder, "scores")
        counted.touch()
        search = GridSearchCV(
            recipe.forecaster(history),
            grid,
            cv=TimeSeriesSplit(splits, gap=gap),
            scoring=CountedScorer(counted),
            refit=False,
            n_jobs=n_jobs,
            error_score="raise",
        )
        with _progress(counted, splits * len(ParameterGrid(grid))):
            search.fit(runs, y)
    best = recipe.forecaster(history).set_params(**search.best_params_)
    fitted = fit_promised(best, promise, history, runs, horizon)
    save_model(fitted, output)
    print_notes(history.notes)
    ranking = _ranking(search.cv_results_)
    if as_json:
        record = {"model": str(output), **history_record(history, horizon), "splits": splits}
        print_json({**record, "ranking": ranking, "promise": promise_record(fitted)})
        return
    names = list(grid)
    print_table(
        f"Mean absolute error over {splits} splits in time",
        ["rank", *(name.split("__")[-1] for name in names), "error", "spread", "time of a fit"],
        (
            [
                str(row["rank"]),
                *(str(row["params"][name]) for name in names),
                *(human_seconds(row[key]) for key in ("mae", "std", "fit_seconds")),
            ]
            for row in ranking
        ),
    )
    print_promise(promise_record(fitted))
    results().print(
        f"Fitted the first on all {len(runs)} runs, {horizon} ahead, and stored as {output}.",
        markup=False,
        soft_wrap=True,
    )


def _ranking(found: dict[str, Any]) -> list[dict[str, Any]]:
    order = found["rank_test_score"].argsort(kind="stable")
    return [
        {
            "rank": found["rank_test_score"][k],
            "params": found["params"][k],
            "mae": -found["mean_test_score"][k],
            "std": found["std_test_score"][k],
            "fit_seconds": found["mean_fit_time"][k],
        }
        for k in order
    ]
