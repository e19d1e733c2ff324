"""Fit the recipe, and test it beside the rules on runs that it has not seen."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_jobtime.backtest import backtest
from sklearn_jobtime.cli.history import History
from sklearn_jobtime.evaluation import best_of_each_job, default_rules, scores, verdicts
from sklearn_jobtime.pipeline import make_forecast_pipeline
from sklearn_jobtime.runs import WHOLE_RUN
from sklearn_jobtime.timeline import split_by_time

__all__ = ["MODEL_NAME", "Recipe", "Trial", "advice", "fit_shown", "run_trial"]

MODEL_NAME = "LSTM"


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
    """A model fitted on the older runs, and what it and the rules made of the newer ones.

    Parameters
    ----------
    model : Pipeline
        Fitted on the older runs.
    is_test : ndarray of bool
        The newer runs.
    scores : DataFrame
        As :func:`~sklearn_jobtime.evaluation.evaluate` gives them.
    verdicts : DataFrame
        One row a job: the columns of :func:`~sklearn_jobtime.evaluation.verdicts`, and `best`,
        `best_rule` and their errors on the test runs.
    """

    model: Pipeline
    is_test: np.ndarray
    scores: pd.DataFrame
    verdicts: pd.DataFrame

    @property
    def epochs(self) -> pd.DataFrame:
        """Losses and accuracies by epoch."""
        return self.model[-1].history_


def fit_shown(model: Pipeline, runs: pd.DataFrame, y: pd.DataFrame) -> Pipeline:
    """Fit with a progress bar on standard error, and no trace of the bar in the model."""
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
    found = backtest(
        {**rules, MODEL_NAME: fitted},
        history.runs,
        horizon=horizon,
        test_size=test_size,
        jobs=jobs,
        whole_run=WHOLE_RUN in names,
        prefit=[MODEL_NAME],
    )
    table = scores(found)
    table.loc[table["model"] == MODEL_NAME, "fit_seconds"] = seconds
    best = best_of_each_job(table, rules=list(rules))
    best = best.rename(columns={"mae": "best_mae", "rule_mae": "best_rule_mae"})
    judged = verdicts(found).drop(columns="model")
    return Trial(fitted, is_test, table, judged.join(best.drop(columns="ratio"), on="job"))


def advice(verdict: pd.Series) -> str:
    """Say in plain words what to use for a job, from its row of `Trial.verdicts`."""
    rule, ratio = verdict["rule"], verdict["ratio"]
    larger = f"{ratio - 1:.0%} larger" if ratio < 2 else f"{ratio:.1f} times as large"
    interval = f"95 % sure: {verdict['low']:.2f} to {verdict['high']:.2f} times"
    return {
        "better": f"deploy the {MODEL_NAME}, its error is {1 - ratio:.0%} smaller than that of the "
        f"{rule} ({interval})",
        "worse": f"use the {rule}, the error of the {MODEL_NAME} is {larger} ({interval})",
        "no clear difference": f"use the {rule}, which is simpler: no clear difference to the "
        f"{MODEL_NAME} ({interval})",
        "too few runs": f"use the {rule}: too few runs to say whether the {MODEL_NAME} is better",
    }[verdict["verdict"]]
