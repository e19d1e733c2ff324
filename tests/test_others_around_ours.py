"""Estimators of scikit-learn around ours: the right numbers, or an error."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline

from sklearn_jobtime import LevelScaler, RecentRuns, SequenceWindower, make_forecast_pipeline
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import LostClockError
from sklearn_jobtime.metrics import get_forecast_scorer, observed_mae
from sklearn_jobtime.runs import make_targets

RUNS = make_job_runs(n_runs=60, n_jobs=2, random_state=1)
Y = make_targets(RUNS)[[(1, "job_0"), (1, "job_1")]]


def stack():
    return StackingRegressor([("rule", RollingRule())], Ridge(alpha=1e-9), cv=3)


def test_each_output_of_a_stack_in_a_multi_output_regressor_is_of_its_own_job():
    found = MultiOutputRegressor(stack()).fit(RUNS, Y).predict(RUNS)
    turned = MultiOutputRegressor(stack()).fit(RUNS, Y[Y.columns[::-1]]).predict(RUNS)
    np.testing.assert_allclose(turned[:, ::-1], found)
    for k, name in enumerate(Y):  # a line through the forecasts of that job alone
        rule = RollingRule().fit(RUNS, Y[name]).predict(RUNS)
        line = np.polynomial.Polynomial.fit(rule, found[:, k], 1)
        np.testing.assert_allclose(line(rule), found[:, k], rtol=1e-6)


def test_scores_of_a_search_do_not_depend_on_the_order_of_the_columns():
    scorer, folds = get_forecast_scorer("neg_observed_mae"), TimeSeriesSplit(2)
    score = cross_val_score(RollingRule(), RUNS, Y, cv=folds, scoring=scorer)
    turned = cross_val_score(RollingRule(), RUNS, Y[Y.columns[::-1]], cv=folds, scoring=scorer)
    np.testing.assert_allclose(score, turned)
    model = RollingRule().fit(RUNS, Y)
    assert scorer(model, RUNS, Y[Y.columns[::-1]]) == scorer(model, RUNS, Y)
    assert scorer(model, RUNS, Y) == -observed_mae(Y, model.predict(RUNS))


def test_a_union_of_steps_in_threads_is_that_of_one():
    def union(n_jobs):
        steps = [("level", LevelScaler()), ("recent", RecentRuns())]
        return FeatureUnion(steps, n_jobs=n_jobs).set_output(transform="pandas")

    expected = union(None).fit_transform(RUNS)
    with joblib.parallel_backend("threading"):
        pd.testing.assert_frame_equal(union(2).fit_transform(RUNS), expected)
    numbers = RUNS.drop(columns=["job_0__status", "job_1__status"])
    with pytest.raises(LostClockError, match="renamed on the way"):
        make_pipeline(union(None), SequenceWindower(2)).fit_transform(numbers)


@pytest.mark.parametrize("inner", [RollingRule, lambda: make_forecast_pipeline(device="cpu")])
def test_bagging_turns_a_table_into_an_array_which_is_an_error(inner):
    bag = BaggingRegressor(inner(), n_estimators=1, random_state=0)
    with pytest.raises((TypeError, ValueError), match=r"Timestamp|is not a time"):
        bag.fit(RUNS, Y[(1, "job_0")])
