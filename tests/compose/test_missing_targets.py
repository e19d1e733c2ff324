"""Failed runs stay in the history, whatever is around the pipeline; or an error says why not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

from sklearn_jobtime import (
    AnchoredRegressor,
    ConformalForecaster,
    FailureImputer,
    ForecastMean,
    LSTMForecaster,
    SequenceWindower,
    StatefulForecaster,
    TimestampToNumeric,
)
from sklearn_jobtime._estimator import masks_missing_targets
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.compose import CompleteCaseRegressor
from sklearn_jobtime.compose._missing_targets import observing
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.metrics import get_forecast_scorer, observed_mae
from sklearn_jobtime.runs import make_targets, validate_runs

IN_TIME = {"cv": TimeSeriesSplit(2), "scoring": get_forecast_scorer("neg_observed_mae")}


class Wrapper(RegressorMixin, BaseEstimator):
    """Somebody's own meta-estimator, which knows nothing of this package."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        self.model_ = clone(self.model).fit(X, y)
        return self

    def predict(self, X):
        return self.model_.predict(X)


def flat(windows):
    return np.nan_to_num(windows.reshape(len(windows), -1))


@pytest.fixture(scope="module")
def after_failures():
    """A run takes 200 s after a failed one, and else 100 s."""
    rng = np.random.default_rng(0)
    failed = rng.random(300) < 0.25
    took = np.where(np.r_[False, failed[:-1]], 200.0, 100.0) + rng.normal(size=300)
    start = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(np.arange(300), unit="D")
    runs = pd.DataFrame(
        {
            "started_at": start,
            "ended_at": start + pd.to_timedelta(took, unit="s"),
            "job": took,
            "job__status": np.where(failed, "failed", "success"),
        }
    )
    runs = validate_runs(runs)
    return runs, make_targets(runs, whole_run=False)


def pipeline(last=None):
    steps = [TimestampToNumeric(), FailureImputer(), SequenceWindower(n_steps=2)]
    return make_pipeline(*steps, FunctionTransformer(flat), StandardScaler(), last or Ridge())


WRAPPED = {
    "search": lambda one: GridSearchCV(one, {"ridge__alpha": [1.0]}, **IN_TIME),
    "own": Wrapper,
    "own in own": lambda one: Wrapper(Wrapper(one)),
    "search over own": lambda one: GridSearchCV(
        Wrapper(one), {"model__sequencewindower__n_steps": [2]}, **IN_TIME
    ),
    "pipeline": lambda one: Pipeline([("nothing", "passthrough"), ("last", one)]),
}
AROUND = {
    "ConformalForecaster": ConformalForecaster,
    "AnchoredRegressor": lambda one: AnchoredRegressor(
        one, RollingRule("median", n_runs=50), prior_sample_size=0
    ),
    "ForecastMean": lambda one: ForecastMean([("one", one)]),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_wrapped_pipelines_forecast_as_the_pipeline_does(after_failures, around, wrapped):
    runs, y = after_failures
    plain, other = (
        AROUND[around](one).fit(runs[:200], y[:200]).predict(runs)
        for one in (pipeline(), WRAPPED[wrapped](pipeline()))
    )
    np.testing.assert_allclose(other, plain, rtol=1e-9)
    assert observed_mae(y[200:], other[200:]) < 10


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    "wrapped",
    [
        TransformedTargetRegressor(pipeline()),
        BaggingRegressor(pipeline()),
        MultiOutputRegressor(pipeline()),
        VotingRegressor([("one", pipeline())]),
        Wrapper(VotingRegressor([("one", pipeline())])),
        TransformedTargetRegressor(RollingRule()),
        TransformedTargetRegressor(StatefulForecaster(LSTMForecaster())),
        TransformedTargetRegressor(
            make_pipeline(FunctionTransformer(lambda table: table.ffill()), Ridge())
        ),
    ],
    ids=lambda one: repr(one)[:40],
)
def test_rows_are_never_left_out_in_front_of_what_reads_them(after_failures, around, wrapped):
    runs, y = after_failures
    with pytest.raises(ValueError, match=r"rows cannot be left out in front of it: .*last step"):
        AROUND[around](wrapped).fit(runs, y)


@pytest.mark.parametrize(
    "last",
    [
        TransformedTargetRegressor(LinearRegression()),
        make_pipeline(StandardScaler(), LinearRegression()),
        GridSearchCV(Ridge(), {"alpha": [1e-9]}),
    ],
    ids=lambda one: type(one).__name__,
)
def test_where_each_row_stands_for_itself_rows_are_left_out(last):
    X = np.arange(20.0)[:, None]
    y = np.column_stack([3 * X[:, 0], 50 - X[:, 0]])
    y[::4, 0] = np.nan
    model = ForecastMean([("one", last)]).fit(X, y)
    np.testing.assert_allclose(model.predict([[30.0]]), [[90, 20]], rtol=1e-6)


def test_outputs_keep_their_names_through_a_wrapper(after_failures):
    runs, _ = after_failures
    runs = runs.assign(other=2 * runs["job"], other__status=runs["job__status"])
    y = make_targets(runs, whole_run=False)
    plain, other = (
        ConformalForecaster(one).fit(runs, y).predict(runs)
        for one in (RollingRule(), Wrapper(RollingRule()))
    )
    np.testing.assert_array_equal(plain, other)


def test_tags_say_who_takes_missing_targets():
    takes = [OnlineMix(), LSTMForecaster(), AnchoredRegressor(Ridge()), ForecastMean([])]
    takes += [GridSearchCV(pipeline(LSTMForecaster()), {}), FrozenEstimator(OnlineMix())]
    assert all(masks_missing_targets(one) for one in takes)
    assert not any(masks_missing_targets(one) for one in (Ridge(), pipeline(), Wrapper(Ridge())))
    assert get_tags(RollingRule()).regressor_tags.looks_back
    assert not get_tags(LSTMForecaster()).regressor_tags.looks_back


def test_what_is_frozen_is_not_fitted_on_fewer_rows():
    fitted = DummyRegressor().fit([[0.0]], [60.0])
    found = observing(FrozenEstimator(fitted), np.array([1.0, np.nan]))
    assert found.estimator is fitted


def test_missing_targets_says_it_by_hand(after_failures):
    y = after_failures[1]
    passed = AnchoredRegressor(Wrapper(pipeline(LSTMForecaster())), missing_targets="pass")
    assert observing(passed.regressor, y.to_numpy(), "pass").model.steps[-1][0] == "lstmforecaster"
    dropped = observing(pipeline(), y.to_numpy(), "drop")
    assert isinstance(dropped[-1], CompleteCaseRegressor)


def test_forecast_tables_look_through_a_search_and_a_wrapper(after_failures):
    runs, y = after_failures
    model = ConformalForecaster(OnlineMix(), symmetric=True)
    table = forecast(model.fit(runs, y), runs)
    search = GridSearchCV(model, {"symmetric": [True]}, **IN_TIME).fit(runs, y)
    pd.testing.assert_frame_equal(forecast(search, runs), table)
    inside = ConformalForecaster(GridSearchCV(OnlineMix(), {"pooled": [True]}, **IN_TIME))
    pd.testing.assert_frame_equal(forecast(inside.fit(runs, y), runs), table)
    own = forecast(Wrapper(OnlineMix()).fit(runs, y), runs)
    assert own["seconds"].tolist() == table["seconds"].tolist()
