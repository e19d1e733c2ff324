"""Command `tune`: a grid search over a history."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, ParameterGrid, TimeSeriesSplit

from sklearn_jobtime._wording import human_seconds
from sklearn_jobtime.cli.holdout import Recipe, fit_with_intervals
from sklearn_jobtime.cli.inputs import History, history_record
from sklearn_jobtime.cli.intervals import NominalCoverage, coverage_record
from sklearn_jobtime.cli.output import print_coverage, print_json, print_notes, print_table, results
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.metrics import get_forecast_scorer
from sklearn_jobtime.persistence import save_model
from sklearn_jobtime.runs._schema import STARTED_AT

__all__ = ["run_tune"]


class CountedScorer:
    """The scorer of the search; it adds one byte to a file for each score, from any process."""

    def __init__(self, scoring: str, path: Path) -> None:
        self.scorer = get_forecast_scorer(scoring)
        self.path = path

    def __call__(self, estimator: BaseEstimator, X: pd.DataFrame, y: pd.DataFrame) -> float:
        score = self.scorer(estimator, X, y)
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
    nominal: NominalCoverage,
    grid: dict[str, list],
    *,
    horizon: int,
    splits: int,
    n_jobs: int,
    scoring: str,
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
    tested = _testable_splits(TimeSeriesSplit(splits, gap=gap), runs, y)
    if len(tested) < splits:
        history.note(
            f"{'nothing could be tested: ' if not tested else ''}in {splits - len(tested)} of the "
            f"{splits} splits no run succeeded before or after the split; "
            + ("they are left out." if tested else "the first combination is stored.")
        )
    ranking: list[dict[str, Any]] = []
    best_params = next(iter(ParameterGrid(grid)))
    if tested:
        found = _search(recipe.forecaster(history), grid, tested, runs, y, n_jobs, scoring)
        ranking, best_params = _ranking(found.cv_results_, scoring), found.best_params_
    best = recipe.forecaster(history).set_params(**best_params)
    fitted = fit_with_intervals(best, nominal, history, runs, horizon)
    save_model(fitted, output)
    print_notes(history.notes)
    coverage = coverage_record(fitted)
    if as_json:
        record = {"model": str(output), **history_record(history, horizon), "splits": len(tested)}
        print_json({**record, "scoring": scoring, "ranking": ranking, "coverage": coverage})
        return
    if ranking:
        _print_ranking(ranking, list(grid), len(tested), scoring)
    print_coverage(coverage)
    results().print(
        f"Fitted the first on all {len(runs)} runs, {horizon} ahead, and stored as {output}.",
        markup=False,
        soft_wrap=True,
    )


def _testable_splits(
    cv: TimeSeriesSplit, runs: pd.DataFrame, y: pd.DataFrame
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give the splits that have something to learn from and something to score."""
    has_success = y.notna().any(axis=1).to_numpy()
    return [
        (train, test)
        for train, test in cv.split(runs)
        if has_success[train].any() and has_success[test].any()
    ]


def _search(
    model: BaseEstimator,
    grid: dict[str, list],
    splits: list[tuple[np.ndarray, np.ndarray]],
    runs: pd.DataFrame,
    y: pd.DataFrame,
    n_jobs: int,
    scoring: str,
) -> GridSearchCV:
    """Score every combination of the grid, with a progress bar."""
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder, "scores")
        counted.touch()
        search = GridSearchCV(
            model,
            grid,
            cv=splits,
            scoring=CountedScorer(scoring, counted),
            refit=False,
            n_jobs=n_jobs,
            error_score="raise",
        )
        with _progress(counted, len(splits) * len(ParameterGrid(grid))):
            return search.fit(runs, y)


def _score_name(scoring: str) -> str:
    return scoring.removeprefix("neg_").removeprefix("observed_")


def _ranking(found: dict[str, Any], scoring: str) -> list[dict[str, Any]]:
    sign = -1 if scoring.startswith("neg_") else 1
    order = found["rank_test_score"].argsort(kind="stable")
    return [
        {
            "rank": found["rank_test_score"][k],
            "params": found["params"][k],
            _score_name(scoring): sign * found["mean_test_score"][k],
            "std": found["std_test_score"][k],
            "fit_seconds": found["mean_fit_time"][k],
        }
        for k in order
    ]


def _print_ranking(
    ranking: list[dict[str, Any]], names: list[str], splits: int, scoring: str
) -> None:
    score = _score_name(scoring)
    in_seconds = score.startswith(("mae", "rmse", "pinball"))
    what = {"mae": "Mean absolute error"}.get(score, score)
    title = "error" if scoring.startswith("neg_") else "score"
    print_table(
        f"{what} over {splits} splits in time",
        ["rank", *(name.split("__")[-1] for name in names), title, "spread", "time of a fit"],
        (
            [
                str(row["rank"]),
                *(str(row["params"][name]) for name in names),
                *(human_seconds(row[k]) if in_seconds else f"{row[k]:.3g}" for k in (score, "std")),
                human_seconds(row["fit_seconds"]),
            ]
            for row in ranking
        ),
    )
