"""Fit the recipe, and test it beside the rules on runs that it has not seen."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from sklearn_jobtime.cli.inputs import History
from sklearn_jobtime.cli.intervals import Promise, point_model
from sklearn_jobtime.compose._anchored import AnchoredRegressor
from sklearn_jobtime.evaluation._backtest import backtest
from sklearn_jobtime.evaluation._comparison import best_of_each_job, default_rules, scores, verdicts
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm.forecaster import LSTMForecaster
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs._schema import WHOLE_RUN
from sklearn_jobtime.runs._timeline import split_by_time

__all__ = ["MODEL_NAME", "Recipe", "Trial", "advice", "epochs_of", "fit_promised", "run_trial"]


MODEL_NAME = "model"
POINTS = Promise(level=0)


@dataclass(frozen=True)
class Recipe:
    """Settings of the forecaster that the options of the command line reach."""

    n_steps: int
    hidden_size: int
    epochs: int
    lr: float
    device: str
    seed: int

    def forecaster(self, history: History) -> AnchoredRegressor:
        """Make the forecaster for a history, not fitted yet."""
        model = make_anchored_forecaster(
            jobs=history.all_jobs(),
            known=history.known,
            n_steps=self.n_steps,
            device=self.device,
            random_state=self.seed,
        )
        return model.set_params(
            regressor__mean__lstm__network__hidden_size=self.hidden_size,
            regressor__mean__lstm__network__max_epochs=self.epochs,
            regressor__mean__lstm__network__lr=self.lr,
            # One job that never succeeds must not keep the others from a forecast.
            regressor__failures__on_no_success="pooled",
        )


@dataclass(frozen=True)
class Trial:
    """A model fitted on the older runs, and what it and the rules made of the newer ones.

    Parameters
    ----------
    model : AnchoredRegressor or ConformalForecaster
        Fitted on the older runs.
    is_test : ndarray of bool
        The newer runs.
    scores : DataFrame
        As :func:`~sklearn_jobtime.evaluation.evaluate` gives them.
    verdicts : DataFrame
        One row a job: the columns of :func:`~sklearn_jobtime.evaluation.verdicts`, and `best`,
        `best_rule` and their errors on the test runs.
    """

    model: BaseEstimator
    is_test: np.ndarray
    scores: pd.DataFrame
    verdicts: pd.DataFrame

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are in use; 0 when it has no part in the forecasts."""
        network = network_of(self.model)
        return 0 if network is None else network.kept_epoch_

    @property
    def epochs(self) -> pd.DataFrame:
        """Losses and accuracies by epoch."""
        return epochs_of(self.model)


def network_of(model: BaseEstimator) -> LSTMForecaster | None:
    """Give the fitted LSTM of the recipe; None where the rules alone forecast."""
    regressor = point_model(model).regressor_
    return None if regressor is None else regressor["mean"].named_estimators_["lstm"]["network"]


def epochs_of(model: BaseEstimator) -> pd.DataFrame:
    """Losses and accuracies by epoch; no row where the rules alone forecast, for want of runs."""
    network = network_of(model)
    return pd.DataFrame() if network is None else network.training_history_


def fit_shown(
    model: BaseEstimator, runs: pd.DataFrame, y: pd.DataFrame, at_least: pd.DataFrame | None = None
) -> BaseEstimator:
    """Fit with a progress bar on standard error, and no trace of the bar in the model."""
    given = point_model(model)  # the parameter of a model that is not fitted, whatever is around it
    given.set_params(regressor__mean__lstm__network__verbose=1)
    model.fit(runs, y, at_least=at_least)
    given.set_params(regressor__mean__lstm__network__verbose=0)
    point_model(model).set_params(regressor__mean__lstm__network__verbose=0)
    if (network := network_of(model)) is not None:
        network.set_params(verbose=0)
    return model


def fit_promised(
    model: AnchoredRegressor, promise: Promise, history: History, rows: pd.DataFrame, horizon: int
) -> BaseEstimator:
    """Fit with the intervals that were asked for; without them, and a note, if runs are too few."""
    y = history.targets(rows, horizon)
    at_least = history.bounds(rows, y)
    wanted = promise.around(model)
    if wanted is not model:
        try:
            return fit_shown(wanted, rows, y, at_least)
        except NoHistoryError as error:
            history.note(f"the forecasts have no intervals: {error}")
    return fit_shown(model, rows, y, at_least)


def run_trial(
    model: AnchoredRegressor,
    history: History,
    horizon: int,
    test_size: float,
    promise: Promise = POINTS,
) -> Trial:
    """Fit `model` on the runs before one moment, and score it and the rules on those after it."""
    train, is_test = split_by_time(history.runs, test_size)
    start = perf_counter()
    fitted = fit_promised(clone(model), promise, history, train, horizon)
    seconds = perf_counter() - start
    names = fitted.target_names_.get_level_values("job").unique()
    jobs = [job for job in names if job != WHOLE_RUN]
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
