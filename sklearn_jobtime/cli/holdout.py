"""Fit the recipe, and test it beside the baselines on runs that it has not seen."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from sklearn_jobtime._wording import human_share
from sklearn_jobtime.cli.inputs import History
from sklearn_jobtime.cli.intervals import NominalCoverage, point_model
from sklearn_jobtime.compose._anchored import AnchoredRegressor
from sklearn_jobtime.evaluation._backtest import backtest
from sklearn_jobtime.evaluation._comparison import (
    best_of_each_job,
    default_baselines,
    recommendations,
    scores,
)
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm.forecaster import LSTMForecaster
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs._schema import WHOLE_RUN
from sklearn_jobtime.runs._timeline import split_by_time

__all__ = [
    "MODEL_NAME",
    "Holdout",
    "Recipe",
    "advice",
    "epochs_of",
    "fit_with_intervals",
    "holdout_or_note",
    "kept_epoch_of",
    "run_holdout",
]


MODEL_NAME = "model"
POINTS = NominalCoverage(confidence_level=0)  # forecasts without intervals


@dataclass(frozen=True)
class Recipe:
    """Settings of the forecaster that the options of the command line reach."""

    window: int
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
            n_steps=self.window,
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
class Holdout:
    """A model fitted on the older runs, and what it and the baselines made of the newer ones.

    Parameters
    ----------
    model : AnchoredRegressor or ConformalForecaster
        Fitted on the older runs.
    is_test : ndarray of bool
        The newer runs.
    scores : DataFrame
        As :func:`~sklearn_jobtime.evaluation.evaluate` gives them.
    recommendations : DataFrame
        One row a job: the columns of :func:`~sklearn_jobtime.evaluation.recommendations`, and
        `best`, `best_baseline` and their errors on the test runs.
    """

    model: BaseEstimator
    is_test: np.ndarray
    scores: pd.DataFrame
    recommendations: pd.DataFrame

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are in use; 0 when it has no part in the forecasts."""
        return kept_epoch_of(self.model)

    @property
    def epochs(self) -> pd.DataFrame:
        """Losses and accuracies by epoch."""
        return epochs_of(self.model)


def network_of(model: BaseEstimator) -> LSTMForecaster | None:
    """Give the fitted LSTM of the recipe; None where the baselines alone forecast."""
    regressor = point_model(model).regressor_
    return None if regressor is None else regressor["mean"].named_estimators_["lstm"]["network"]


def epochs_of(model: BaseEstimator) -> pd.DataFrame:
    """Losses and accuracies by epoch; no row where the baselines forecast alone (too few runs)."""
    network = network_of(model)
    return pd.DataFrame() if network is None else network.training_history_


def kept_epoch_of(model: BaseEstimator) -> int:
    """Give the epoch whose weights are in use; 0 when the LSTM has no part in the forecasts."""
    network = network_of(model)
    return 0 if network is None else network.kept_epoch_


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


def fit_with_intervals(
    model: AnchoredRegressor,
    nominal: NominalCoverage,
    history: History,
    rows: pd.DataFrame,
    horizon: int,
) -> BaseEstimator:
    """Fit with the intervals that were asked for; without them, and a note, if runs are too few."""
    y = history.targets(rows, horizon)
    at_least = history.bounds(rows, y)
    wanted = nominal.around(model)
    if wanted is not model:
        try:
            return fit_shown(wanted, rows, y, at_least)
        except NoHistoryError as error:
            history.note(f"the forecasts have no intervals: {error}")
    return fit_shown(model, rows, y, at_least)


def run_holdout(
    model: AnchoredRegressor,
    history: History,
    horizon: int,
    test_size: float,
    nominal: NominalCoverage = POINTS,
) -> Holdout:
    """Fit `model` on the runs before one moment; score it and the baselines on those after it."""
    train, is_test = split_by_time(history.runs, test_size)
    start = perf_counter()
    fitted = fit_with_intervals(clone(model), nominal, history, train, horizon)
    seconds = perf_counter() - start
    names = fitted.target_names_.get_level_values("job").unique()
    jobs = [job for job in names if job != WHOLE_RUN]
    baselines = default_baselines()
    found = backtest(
        {**baselines, MODEL_NAME: fitted},
        history.runs,
        horizon=horizon,
        test_size=test_size,
        jobs=jobs,
        whole_run=WHOLE_RUN in names,
        prefit=[MODEL_NAME],
    )
    table = scores(found)
    table.loc[table["model"] == MODEL_NAME, "fit_seconds"] = seconds
    best = best_of_each_job(table, baselines=list(baselines))
    best = best.rename(columns={"mae": "best_mae", "baseline_mae": "best_baseline_mae"})
    advised = recommendations(found).drop(columns="model")
    return Holdout(fitted, is_test, table, advised.join(best.drop(columns="ratio"), on="job"))


def holdout_or_note(
    model: AnchoredRegressor, history: History, horizon: int, test_size: float
) -> Holdout | None:
    """Test as :func:`run_holdout` does; where that cannot be done, add a note that says why.

    The newest runs failed, say: then nothing tells how good a model is, which is no reason to be
    without one. So whatever goes wrong in the test is told and stops nothing.
    """
    try:
        return run_holdout(model, history, horizon, test_size)
    except Exception as error:
        said = str(error) or type(error).__name__
        said = said.replace("test_size", "--test-size")
        history.note(f"nothing could be tested: {said}")
        return None


_NOT_SURE = "too few runs to be sure"


def _times(ratio: float) -> str:
    return f"{ratio:,.1f} times as large" if np.isfinite(ratio) else "larger, and the other is 0"


def advice(recommendation: pd.Series) -> str:
    """Say in plain words what to use for a job, from its row of `Holdout.recommendations`."""
    baseline, ratio = recommendation["baseline"], recommendation["ratio"]
    larger = f"{human_share(ratio - 1)} larger" if ratio < 2 else _times(ratio)
    low, high = recommendation["low"], recommendation["high"]
    interval = f"95 % sure: {low:.2f} to {high:.2f} times" if np.isfinite(high) else _NOT_SURE
    return {
        "better": f"deploy the {MODEL_NAME}, its error is {human_share(1 - ratio)} smaller than "
        f"that of the {baseline} ({interval})",
        "worse": f"use the {baseline}, the error of the {MODEL_NAME} is {larger} ({interval})",
        "no clear difference": f"use the {baseline}, which is simpler: no clear difference to the "
        f"{MODEL_NAME} ({interval})",
        "too few runs": f"use the {baseline}: too few runs to say whether the {MODEL_NAME} is "
        "better",
    }[recommendation["recommendation"]]
