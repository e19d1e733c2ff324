"""Only the rows that are scored or calibrate are forecast: as with the whole table."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_jobtime import AnchoredRegressor, ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.compose import DirectMultiStepRegressor
from sklearn_jobtime.conformal._inner_estimators import InnerEstimators
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.evaluation import _backtest, backtest
from sklearn_jobtime.pipeline import flatten
from sklearn_jobtime.preprocessing import FailureImputer, LevelScaler, TimestampToNumeric
from sklearn_jobtime.preprocessing._windows import SequenceWindower
from sklearn_jobtime.runs import make_targets


def two_series() -> pd.DataFrame:
    parts = {
        name: make_job_runs(n_runs=60, n_jobs=1, random_state=seed)
        for seed, name in enumerate(("etl", "ci"))
    }
    runs = pd.concat(parts, names=["series", "run"])
    return runs.sort_values("started_at", kind="stable")


def small_recipe() -> AnchoredRegressor:
    """The recipe with trees alone, few of them."""
    trees = HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=5, random_state=0)
    regressor = make_pipeline(
        TimestampToNumeric(),
        FailureImputer(on_no_success="pooled"),
        LevelScaler(),
        SequenceWindower(n_steps=2),
        FunctionTransformer(flatten),
        DirectMultiStepRegressor(trees),
    )
    return AnchoredRegressor(
        regressor, RollingRule(), prior_sample_size=10, show_base_forecast=True
    )


@pytest.fixture
def runs() -> pd.DataFrame:
    return two_series()


def whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InnerEstimators, "forecasts_of", lambda self, X, _rows: self.forecasts(X))
    monkeypatch.setattr(_backtest, "can_be_asked", lambda _model: False)


@pytest.mark.parametrize(("cv", "score"), [(None, "normalised"), (2, "log_ratio")])
def test_calibration_is_that_of_the_whole_table(runs, monkeypatch, cv, score):
    y = make_targets(runs, horizon=2)

    def fitted() -> ConformalForecaster:
        model = ConformalForecaster(small_recipe(), cv=cv, conformity_score=score, horizon=2)
        return model.fit(runs, y)

    asked = fitted()
    whole_table(monkeypatch)
    naive = fitted()
    np.testing.assert_allclose(
        asked.calibration_forecasts_, naive.calibration_forecasts_, rtol=1e-9
    )
    np.testing.assert_allclose(asked.predict_upper(runs), naive.predict_upper(runs), rtol=1e-9)


def test_calibration_forecasts_the_rows_that_calibrate_alone(runs, monkeypatch):
    forecast = []
    with_sources = InnerEstimators.with_sources

    def counted(self, X, rows=None):
        forecast.append(len(X) if rows is None else len(rows))
        return with_sources(self, X, rows)

    monkeypatch.setattr(InnerEstimators, "with_sources", counted)
    model = ConformalForecaster(small_recipe()).fit(runs, make_targets(runs))
    assert forecast == [model.n_calibration_]


def test_backtest_is_that_of_the_whole_table(runs, monkeypatch):
    models = {"recipe": small_recipe(), "rule": RollingRule("last")}
    asked = backtest(models, runs, n_splits=2)
    whole_table(monkeypatch)
    naive = backtest(models, runs, n_splits=2)
    pd.testing.assert_frame_equal(asked.targets, naive.targets)
    pd.testing.assert_frame_equal(asked.forecasts, naive.forecasts, rtol=1e-9)


def test_a_model_with_rows_of_its_own_is_given_the_whole_table(runs):
    """A fit on other rows than those of the table: its memory has a part in the forecasts."""
    train, later = runs.iloc[:80], runs.iloc[40:]
    model = RollingRule("mean", n_runs=40).fit(train, make_targets(train))
    found = backtest({"rule": model}, later, test_size=0.5, prefit=True)
    seconds = model.predict(later)[found.targets["row"].unique()]
    np.testing.assert_allclose(found.forecasts["rule"], seconds.ravel())
