"""Lower bounds and weights reach what takes them, with metadata routing on and off."""

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_jobtime import (
    AnchoredRegressor,
    ConformalForecaster,
    DirectMultiStepRegressor,
    ForecastMean,
    LSTMForecaster,
    StatefulForecaster,
)
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.compose import CompleteCaseRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = 100 + X[:, 0] + RNG.normal(size=60)
WEIGHT = RNG.integers(0, 3, 60).astype(float)
BOUNDS = np.where(np.arange(60) % 7 == 3, Y, np.nan)
CUT = np.where(np.isnan(BOUNDS), Y, np.nan)
IN_TIME = {
    "cv": TimeSeriesSplit(2),
    "error_score": "raise",
}


class Recorder(RegressorMixin, BaseEstimator):
    """Keeps what its fit was given."""

    masks_missing_targets = True
    seen: list = []  # noqa: RUF012
    __metadata_request__fit = {"at_least": True}  # noqa: RUF012

    def fit(self, X, y, sample_weight=None, at_least=None):
        given = {"sample_weight": sample_weight, "at_least": at_least}
        Recorder.seen.append({name: one for name, one in given.items() if one is not None})
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def score(self, X, y, sample_weight=None):
        return 0.0


def recorder():
    Recorder.seen = []
    with sklearn.config_context(enable_metadata_routing=True):
        one = Recorder().set_fit_request(sample_weight=True)
        return one.set_score_request(sample_weight=True)


META = {
    "anchored": lambda one: AnchoredRegressor(one, RollingRule()),
    "conformal": ConformalForecaster,
    "conformal in parts": lambda one: ConformalForecaster(one, cv=2),
    "mean": lambda one: ForecastMean([("one", one), ("two", one)]),
    "nested": lambda one: ConformalForecaster(AnchoredRegressor(one, RollingRule())),
}


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("inside", ["itself", "pipeline", "search"])
@pytest.mark.parametrize("meta", META)
def test_bounds_and_weights_reach_the_last_step(meta, inside, routing):
    last = recorder()
    if inside == "pipeline":
        last = make_pipeline(FunctionTransformer(), last)
    with sklearn.config_context(enable_metadata_routing=routing):
        if inside == "search":
            last = GridSearchCV(last, {}, **IN_TIME)
        META[meta](last).fit(X, CUT, at_least=BOUNDS, sample_weight=WEIGHT)
    assert Recorder.seen
    assert all(set(one) == {"at_least", "sample_weight"} for one in Recorder.seen)
    own = [one for one in Recorder.seen if len(one["sample_weight"]) == 60] or Recorder.seen
    for one in own:
        n = len(one["sample_weight"])
        np.testing.assert_array_equal(one["sample_weight"], WEIGHT[:n])
        assert (~np.isnan(one["at_least"])).tolist() == (~np.isnan(BOUNDS[:n])).tolist()


@pytest.mark.parametrize("meta", META)
def test_searches_and_cross_validation_route_to_a_meta_estimator(meta):
    model = META[meta](recorder())
    with sklearn.config_context(enable_metadata_routing=True):
        params = {"at_least": BOUNDS, "sample_weight": WEIGHT}
        cross_validate(model, X, CUT, params=params, **IN_TIME)
        n_folds = len(Recorder.seen)
        GridSearchCV(Pipeline([("last", model)]), {}, **IN_TIME).fit(X, CUT, **params)
    assert n_folds
    assert len(Recorder.seen) > n_folds
    assert all(set(one) == {"at_least", "sample_weight"} for one in Recorder.seen)


@pytest.mark.parametrize(
    "meta",
    [
        CompleteCaseRegressor,
        DirectMultiStepRegressor,
        lambda one: ForecastMean([("one", one)]),
        ConformalForecaster,
        AnchoredRegressor,
    ],
)
def test_what_was_not_requested_is_an_error_and_what_was_refused_is_not_given(meta):
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            meta(Ridge()).fit(X, Y, sample_weight=WEIGHT)
        refused = meta(Ridge().set_fit_request(sample_weight=False)).fit
        own = meta in (ConformalForecaster, AnchoredRegressor)  # they use weights themselves
        if own or meta in (CompleteCaseRegressor, DirectMultiStepRegressor):
            refused(X, Y, sample_weight=WEIGHT)
            return
        with pytest.raises(TypeError, match="sample_weight"):
            refused(X, Y, sample_weight=WEIGHT)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize(
    "last",
    [
        CompleteCaseRegressor(Ridge()),
        DirectMultiStepRegressor(Ridge()),
        ForecastMean([("one", Ridge())]),
        ConformalForecaster(Ridge()),
        AnchoredRegressor(Ridge()),
        OnlineMix(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_pipeline_scores_what_it_ends_in(last, routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        model = make_pipeline(FunctionTransformer(), last).fit(X, CUT)
        assert model.score(X, CUT) == pytest.approx(last.score(X, CUT))
        equal = last.score(X, CUT, sample_weight=np.full(60, 2.0))
        assert equal == pytest.approx(last.score(X, CUT))
        seen = WEIGHT > 0
        weighed = last.score(X, CUT, sample_weight=seen)
        assert weighed != pytest.approx(equal)


def test_a_member_whose_fit_takes_no_weights_is_an_error():
    for model in (
        AnchoredRegressor(FirstColumn()),
        ConformalForecaster(FirstColumn()),
        ForecastMean([("one", FirstColumn())]),
        CompleteCaseRegressor(FirstColumn()),
    ):
        with pytest.raises(TypeError, match="sample_weight came, but fit of FirstColumn"):
            model.fit(X, Y, sample_weight=WEIGHT)
    with pytest.raises(TypeError, match="fit of OnlineMix came with weights"):
        OnlineMix().fit(X, Y, weights=WEIGHT)


class FirstColumn(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


@pytest.mark.parametrize(
    "model",
    [
        ForecastMean([("one", LinearRegression())]),
        DirectMultiStepRegressor(LinearRegression()),
        CompleteCaseRegressor(LinearRegression()),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_weight_of_two_is_the_row_twice(model):
    y = np.column_stack([Y, np.where(np.arange(60) % 5, Y * 2, np.nan)])
    again = np.repeat(np.arange(60), WEIGHT.astype(int))
    weighed = model.fit(X, y, sample_weight=WEIGHT).predict(X)
    np.testing.assert_allclose(weighed, model.fit(X[again], y[again]).predict(X), rtol=1e-9)


def test_weights_say_how_far_a_regressor_is_followed():
    again = AnchoredRegressor(LinearRegression(), prior_sample_size=100)
    twice = again.fit(X, Y, sample_weight=np.full(60, 2.0)).shrinkage_
    np.testing.assert_allclose(twice, 120 / 220)


def test_rows_of_weight_zero_are_history_and_no_more():
    took = np.r_[np.full(30, 500.0), np.full(30, 60.0)]
    weight = np.r_[np.zeros(30), np.ones(30)]
    table = took[:, None]
    rule = RollingRule("median", n_runs=5).fit(table, took, sample_weight=weight)
    assert rule.fallback_.tolist() == [60]
    assert rule.predict(np.full((1, 1), 9.0)).tolist() == [60]  # after all 60 rows
    known = RollingRule("last").fit(table[:31], took[:31], sample_weight=weight[:31])
    assert known.fallback_.tolist() == [60]
    history = RollingRule("last").fit(table[:30], took[:30], sample_weight=np.arange(30) > 28)
    assert history.predict(np.full((1, 1), 9.0)).tolist() == [500]


def test_the_window_of_a_rule_is_chosen_on_the_rows_that_count():
    saw = np.tile([100.0, 200.0], 100)  # the last run is always wrong, the median half so much
    level = np.repeat([100.0, 300.0, 500.0, 700.0], 50)  # the last run is nearly always right
    took = np.where(np.arange(200) < 150, saw, level)
    rows = np.arange(200)
    rule = RollingRule("median", n_runs="auto")
    on_saw = rule.fit(took[:, None], took, sample_weight=(rows < 150) * 1.0).learned_[0].state
    on_level = rule.fit(level[:, None], level, sample_weight=rows + 1.0).learned_[0].state
    assert on_saw > on_level


def test_a_stateful_network_takes_weights_in_its_loss():
    network = LSTMForecaster(4, max_epochs=3, device="cpu", random_state=0)
    model = StatefulForecaster(network, n_steps=10)
    plain, equal, other = (
        model.fit(X, Y, **given).predict(X)
        for given in ({}, {"sample_weight": np.full(60, 3.0)}, {"sample_weight": WEIGHT})
    )
    np.testing.assert_array_equal(plain, equal)
    assert np.abs(plain - other).max() > 1e-3
    with pytest.raises(TypeError, match="weights"):
        model.fit(X, Y, weights=WEIGHT)


def test_parameters_of_predict_are_routed():
    network = LSTMForecaster(4, max_epochs=2, device="cpu", random_state=0)
    names = np.repeat(["a", "b"], 30)
    passed = make_pipeline(FunctionTransformer(), StatefulForecaster(network))
    off = AnchoredRegressor(passed, RollingRule())
    off.fit(X, Y, statefulforecaster__series=names)
    with sklearn.config_context(enable_metadata_routing=True):
        asks = StatefulForecaster(network).set_fit_request(series=True)
        asks = make_pipeline(FunctionTransformer(), asks.set_predict_request(series=True))
        on = AnchoredRegressor(asks, RollingRule()).fit(X, Y, series=names)
        found = on.predict(X, series=names)
    np.testing.assert_array_equal(found, off.predict(X, series=names))


@pytest.mark.parametrize("routing", [False, True])
def test_the_scale_model_that_nobody_passed_takes_the_weights_too(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        estimator = Ridge().set_fit_request(sample_weight=True) if routing else Ridge()
        model = ConformalForecaster(estimator, conformity_score="normalised")
        model.fit(X, Y, sample_weight=WEIGHT)
    assert np.isfinite(model.predict_interval(X, 0.5)).all()
