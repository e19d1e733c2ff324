"""Fit the recipe, and test it beside the rules on runs that it has not seen."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pandas as pd
import rich
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_jobtime.cli.history import History
from sklearn_jobtime.evaluation import best_of_each_job, default_rules, evaluate
from sklearn_jobtime.pipeline import make_forecast_pipeline
from sklearn_jobtime.runs import WHOLE_RUN
from sklearn_jobtime.timeline import split_by_time

__all__ = ["MODEL_NAME", "Recipe", "Trial", "advice", "fit_shown", "run_trial"]

MODEL_NAME = "LSTM"
# Closer than this to the best rule is no difference that anyone should maintain a model for.
NO_DIFFERENCE = 0.03


@dataclass(frozen=True)
class Recipe:
    """Settings of the pipeline that the options of the command line reach."""

    n_steps: int
    hidden_size: int
    epochs: int
    lr: float
    device: str
    seed: int

    def pipeline(self, history: History) -> Pipeline:
        """Make the pipeline for a history, not fitted yet."""
        model = make_forecast_pipeline(
            jobs=history.all_jobs(),
            known=history.known,
            categorical=history.categorical,
            n_steps=self.n_steps,
            hidden_size=self.hidden_size,
            device=self.device,
            random_state=self.seed,
        )
        return model.set_params(
            lstm__max_epochs=self.epochs,
            lstm__lr=self.lr,
            # One job that never succeeds must not keep the others from a forecast.
            failures__on_no_success="pooled",
        )


@dataclass(frozen=True)
class Trial:
    """A model fitted on the older runs, its epochs, and the scores on the newer ones."""

    model: Pipeline
    is_test: np.ndarray
    scores: pd.DataFrame
    best: pd.DataFrame

    @property
    def epochs(self) -> pd.DataFrame:
        """Losses and accuracies by epoch."""
        return self.model[-1].history_


def fit_shown(model: Pipeline, runs: pd.DataFrame, y: pd.DataFrame) -> Pipeline:
    """Fit with a progress bar on standard error, and no trace of the bar in the model."""
    rich.reconfigure(stderr=True)
    model.set_params(lstm__verbose=1).fit(runs, y)
    return model.set_params(lstm__verbose=0)


def run_trial(model: Pipeline, history: History, horizon: int, test_size: float) -> Trial:
    """Fit `model` on the runs before one moment, and score it and the rules on those after it."""
    train, is_test = split_by_time(history.runs, test_size)
    y = history.targets(train, horizon)
    names = y.columns.get_level_values("job").unique()
    jobs = [job for job in names if job != WHOLE_RUN]
    start = perf_counter()
    fitted = fit_shown(clone(model), train, y)
    seconds = perf_counter() - start
    rules = default_rules()
    tables = [
        evaluate(
            models,
            history.runs,
            horizon=horizon,
            test_size=test_size,
            jobs=jobs,
            whole_run=WHOLE_RUN in names,
            prefit=prefit,
        )
        for models, prefit in ((rules, False), ({MODEL_NAME: fitted}, True))
    ]
    tables[1]["fit_seconds"] = seconds
    scores = pd.concat(tables, ignore_index=True)
    return Trial(fitted, is_test, scores, best_of_each_job(scores, rules=list(rules)))


def advice(best: pd.Series) -> str:
    """Say in plain words what to use for a job, from its row of `best_of_each_job`."""
    share = abs(1 - best["ratio"])
    if best["ratio"] > 1 + NO_DIFFERENCE:
        more = f"{share:.0%} larger" if share < 1 else f"{best['ratio']:.1f} times as large"
        return f"use the {best['best_rule']}: the {MODEL_NAME}'s error is {more}."
    if best["ratio"] < 1 - NO_DIFFERENCE:
        return (
            f"deploy the {MODEL_NAME}: its error is {share:.0%} below that of the best rule, "
            f"{best['best_rule']}."
        )
    return f"use the {best['best_rule']}: the {MODEL_NAME}'s error is the same within {share:.0%}."
