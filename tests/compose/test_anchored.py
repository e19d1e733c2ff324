"""An anchored regressor starts from its base forecast, sees no future, is held back if it loses."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_jobtime import LSTMForecaster, SequenceWindower
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.compose import (
    AnchoredRegressor,
    CompleteCaseRegressor,
    DirectMultiStepRegressor,
)
from sklearn_jobtime.compose._anchored import (
    FACTORS,
    corrected,
    log_correction,
    shrink_factor,
)
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.metrics import get_forecast_scorer, observed_mae
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.point_in_time import newest_share
from sklearn_jobtime.runs import STARTED_AT, job_columns, make_lower_bounds, make_targets, next_runs
from sklearn_jobtime.runs._log_ratio import least_duration


def numbers(runs):
    """Numeric columns that any regressor takes."""
    return runs[job_columns(runs)].shift().fillna(0.0).replace(np.inf, 0.0).to_numpy()


def flat(windows):
    return np.nan_to_num(windows.reshape(len(windows), -1))


def windowed(regressor, n_steps=3):
    steps = FunctionTransformer(lambda runs: runs[[STARTED_AT, "ended_at", *job_columns(runs)]])
    return make_pipeline(steps, SequenceWindower(n_steps), FunctionTransformer(flat), regressor)


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=120, n_jobs=2, n_series=2, random_state=0)


finite = st.floats(0, 1e6)


@given(target=finite, base=finite, floor=st.floats(1e-3, 10))
def test_a_log_ratio_is_undone_within_the_clip(target, base, floor):
    ratio = log_correction(np.array([target]), np.array([base]), np.array([floor]), 3.0)
    back = corrected(ratio, np.array([base]), np.array([floor]), 3.0)
    unit = max(base, floor)
    low, high = base + unit * np.expm1(-3.0), base + unit * np.expm1(3.0)
    assert abs(ratio[0]) <= 3.0
    np.testing.assert_allclose(back[0], np.clip(target, max(low, 0.0), high), atol=1e-6 * unit)


@given(base=st.floats(-1e6, 1e6))
def test_a_ratio_of_zero_is_the_base_forecast_to_the_last_bit(base):
    assert corrected(np.zeros(1), np.array([base]), np.ones(1), 3.0)[0] == base


@given(base=finite, ratio=st.floats(-50, 50))
def test_no_forecast_is_negative(base, ratio):
    assert corrected(np.array([ratio]), np.array([base]), np.ones(1), 3.0)[0] >= 0


def test_the_floor_is_half_the_smallest_positive_target_or_what_the_clock_tells():
    targets = np.array([[0.0, 0.0, np.nan], [4.0, 0.0, 3.0], [9.0, np.nan, 5.0]])
    assert [least_duration(output) for output in targets.T] == [2.0, 1.0, 2.0]
    assert least_duration(targets[:, 2] / 3) == 0.5


@settings(deadline=None, max_examples=15)
@given(horizon=st.integers(1, 3), n_series=st.integers(1, 2), seed=st.integers(0, 99))
def test_a_regressor_of_zero_gives_exactly_the_base_forecast(horizon, n_series, seed):
    runs = make_job_runs(n_runs=30, n_jobs=2, n_series=n_series, random_state=seed)
    y = make_targets(runs, horizon)
    if y.isna().all().any():
        return
    zero = DummyRegressor(strategy="constant", constant=0.0)
    model = AnchoredRegressor(zero, RollingRule("median", 5), missing_targets="drop").fit(runs, y)
    base = clone(model.base_forecaster).fit(runs, y)
    np.testing.assert_array_equal(model.predict(runs), base.predict(runs))
    assert model.target_names_.equals(y.columns)


def test_no_outcome_not_yet_known_changes_a_forecast(runs):
    model = AnchoredRegressor(windowed(Ridge()), prior_sample_size=0).fit(runs, make_targets(runs))
    row = 150
    unknown = ~(runs["ended_at"] <= runs[STARTED_AT].iloc[row])
    altered = runs.copy()
    altered.loc[unknown, job_columns(runs)] = 98765.0
    before, after = model.predict(runs), model.predict(altered)
    np.testing.assert_array_equal(before[row], after[row])
    assert not np.array_equal(before[row + 30 :], after[row + 30 :])


def test_rows_with_missing_targets_stay_in_the_windows_of_others(runs):
    y = make_targets(runs, 2)
    assert y.isna().any(axis=None)
    model = AnchoredRegressor(windowed(LinearRegression()), RollingRule(), prior_sample_size=0)
    fitted = model.fit(runs, y).regressor_
    assert isinstance(fitted[-1], CompleteCaseRegressor)
    windows = fitted[:-1].transform(runs)
    ratios = log_correction(y.to_numpy(), model.base_forecaster_.predict(runs), model.floor_, 3.0)
    for k, ratio in enumerate(ratios.T):
        rows = ~np.isnan(ratio)
        by_hand = LinearRegression().fit(windows[rows], ratio[rows]).predict(windows)
        np.testing.assert_allclose(fitted.predict(runs)[:, k], by_hand, atol=1e-8)


class Masking(RegressorMixin, BaseEstimator):
    """Means of the observed targets, as a regressor that masks the others."""

    masks_missing_targets = True

    def fit(self, X, y):
        self.n_seen_ = len(y)
        self.mean_ = np.nanmean(y, axis=0)
        return self

    def predict(self, X):
        return np.tile(self.mean_, (len(X), 1))


def test_a_regressor_that_masks_gets_the_missing_targets(runs):
    y = make_targets(runs)
    model = AnchoredRegressor(Masking(), prior_sample_size=0).fit(runs, y)
    assert model.regressor_.n_seen_ == len(runs)
    dropped = AnchoredRegressor(Masking(), prior_sample_size=0, missing_targets="drop").fit(runs, y)
    np.testing.assert_allclose(dropped.predict(runs), model.predict(runs))
    assert len(dropped.regressor_.regressors_) == y.shape[1]


@pytest.mark.parametrize("regressor", [Ridge(), HistGradientBoostingRegressor(max_iter=5)])
def test_arrays_of_one_or_several_outputs(runs, regressor):
    X, y = numbers(runs), make_targets(runs).to_numpy()
    assert AnchoredRegressor(regressor).fit(X, y[:, :2]).predict(X).shape == (len(X), 2)
    assert AnchoredRegressor(regressor).fit(X, y[:, 0]).predict(X).shape == (len(X),)
    complete = np.nan_to_num(y[:, :1], nan=60.0)  # a column is a table of one output
    assert AnchoredRegressor(regressor).fit(X, complete).predict(X).shape == (len(X), 1)


class Oracle(RegressorMixin, BaseEstimator):
    """Knows the ratio, or makes it up, by a column of the table."""

    def __init__(self, column="truth"):
        self.column = column

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return X[self.column].to_numpy()


@pytest.fixture(scope="module")
def level_job():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 0.3, 300)
    return pd.DataFrame(
        {"build": 60 * np.exp(truth), "truth": truth, "noise": rng.normal(0, 0.3, 300)}
    )


class Constant(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), 60.0)


def test_what_helps_is_followed_and_what_does_not_is_not(level_job):
    y = level_job["build"]
    options = {"prior_sample_size": 0, "validate": True}
    good = AnchoredRegressor(Oracle("truth"), Constant(), **options).fit(level_job, y)
    assert good.shrinkage_.tolist() == [1.0]
    np.testing.assert_allclose(good.predict(level_job), y)
    bad = AnchoredRegressor(Oracle("noise"), Constant(), **options).fit(level_job, y)
    assert bad.shrinkage_.tolist() == [0.0]
    assert bad.regressor_ is None
    assert (bad.predict(level_job) == 60.0).all()
    free = AnchoredRegressor(Oracle("noise"), Constant(), prior_sample_size=0).fit(level_job, y)
    assert observed_mae(y, free.predict(level_job)) > observed_mae(y, bad.predict(level_job))


def test_the_more_runs_the_further_the_regressor_is_followed(level_job):
    shares = []
    for n in (5, 100, 300):
        rows = level_job.iloc[:n]
        model = AnchoredRegressor(Oracle("truth"), Constant(), prior_sample_size=100)
        model.fit(rows, rows["build"])
        moved = np.log(model.predict(rows) / 60.0)
        np.testing.assert_allclose(moved, rows["truth"] * n / (n + 100))
        shares.append(model.shrinkage_[0])
    assert shares == [5 / 105, 0.5, 0.75]


def test_with_few_runs_to_validate_on_the_rule_is_the_model(level_job):
    few = level_job.iloc[:12]
    model = AnchoredRegressor(Oracle("truth"), Constant(), validate=True).fit(few, few["build"])
    assert model.regressor_ is None
    assert (model.predict(few) == 60.0).all()


@given(st.integers(0, 1000), st.integers(10, 60))
def test_caution_only_ever_lowers_the_factor(seed, n):
    rng = np.random.default_rng(seed)
    errors = np.abs(rng.normal(size=(n, 1)) - FACTORS * rng.normal(0.2, 1, size=(n, 1)))
    factors = [shrink_factor(errors, caution) for caution in (0.0, 0.5, 1.0, 50.0)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == FACTORS[errors.mean(axis=0).argmin()]
    assert shrink_factor(errors[:9], 0.0) == 0.0


def test_the_newest_rows_are_those_that_started_last():
    runs = pd.DataFrame({STARTED_AT: [5.0, 6.0, 7.0, 1.0, 2.0, 3.0], "build": 1.0})
    observed = np.array([True, True, False, True, True, True])
    assert newest_share(runs, observed, 0.4).tolist() == [True, True, True] + [False] * 3
    assert newest_share(np.ones((4, 1)), np.ones(4, bool), 0.5).tolist() == [False] * 2 + [True] * 2


def test_shrinkage_is_learned_from_rows_the_judge_has_not_seen(runs):
    seen = []

    class Spy(Ridge):
        def fit(self, X, y, sample_weight=None):
            seen.append(len(y))
            return super().fit(X, y, sample_weight)

    y = make_targets(runs).iloc[:, 0]
    AnchoredRegressor(windowed(Spy()), RollingRule(), validate=True, caution=0.0).fit(runs, y)
    observed = y.notna().sum()
    assert seen[0] == pytest.approx(0.8 * observed, abs=2)
    assert set(seen[1:]) <= {observed}


def test_parameters_for_fit_reach_the_regressor(level_job):
    X, y = level_job[["truth", "noise"]].to_numpy(), level_job["build"]
    weight = np.where(np.arange(300) < 150, 0.0, 1.0)
    model = AnchoredRegressor(LinearRegression(), Constant(), prior_sample_size=0)
    weighted = model.fit(X, y, sample_weight=weight).regressor_.coef_
    ratio = np.log(y / 60.0)
    by_hand = LinearRegression().fit(X[150:], ratio[150:]).coef_
    np.testing.assert_allclose(weighted, by_hand, atol=1e-9)
    AnchoredRegressor(LinearRegression(), Constant(), validate=True).fit(X, y, sample_weight=weight)


def test_it_clones_searches_and_pickles(runs):
    y = make_targets(runs)
    model = AnchoredRegressor(windowed(Ridge()), RollingRule())
    search = GridSearchCV(
        model,
        {"regressor__ridge__alpha": [1.0, 1e4], "base_forecaster__n_runs": [5, 10]},
        cv=TimeSeriesSplit(2),
        scoring=get_forecast_scorer("neg_observed_mae"),
        error_score="raise",
    ).fit(runs, y)
    assert len(search.cv_results_["params"]) == 4
    plain = AnchoredRegressor(HistGradientBoostingRegressor(max_iter=3))
    plain.fit(numbers(runs), y.to_numpy())
    copy = pickle.loads(pickle.dumps(plain))
    np.testing.assert_array_equal(copy.predict(numbers(runs)), plain.predict(numbers(runs)))


@pytest.mark.parametrize("validate", [False, True])
def test_a_job_never_observed_gets_the_base_forecast_alone(runs, validate):
    y = make_targets(runs, whole_run=False)
    new = y.copy()
    new.iloc[:, 0] = np.nan
    model = AnchoredRegressor(windowed(Ridge()), prior_sample_size=0, validate=validate).fit(
        runs, new
    )
    forecast, base = model.predict(runs), model.base_forecaster_.predict(runs)
    np.testing.assert_array_equal(forecast[:, 0], base[:, 0])
    assert np.isfinite(forecast).all()
    assert model.shrinkage_[0] == 0
    assert (model.sources(runs)[-10:, 0] == "baselines").all()  # of the ended runs in the table
    others = AnchoredRegressor(windowed(Ridge()), prior_sample_size=0, validate=validate)
    others.fit(runs, y.iloc[:, 1:])
    np.testing.assert_allclose(forecast[:, 1:], others.predict(runs), rtol=1e-9)


def test_the_source_of_a_forecast_is_told(runs):
    y = make_targets(runs)
    for prior_sample_size, source in [(0, "model"), (1e9, "baselines")]:
        model = AnchoredRegressor(windowed(Ridge()), prior_sample_size=prior_sample_size).fit(
            runs, y
        )
        assert model.sources(runs).shape == y.shape
        assert set(model.sources(runs)[0]) == {"prior"}
        assert set(model.sources(runs)[20:].ravel()) == {source}
    plain = AnchoredRegressor(Ridge(), Ridge(), prior_sample_size=0).fit(
        numbers(runs), np.ones(len(runs))
    )
    assert plain.sources(numbers(runs)).tolist() == ["model"] * len(runs)


def test_nothing_observed_is_an_error(runs):
    y = make_targets(runs)
    with pytest.raises(NoHistoryError, match="y contains NaN only"):
        AnchoredRegressor(Ridge()).fit(runs, y * np.nan)
    with pytest.raises(NoHistoryError, match="output 1"):
        CompleteCaseRegressor(Ridge()).fit([[1.0], [2.0]], [[1.0, np.nan], [2.0, np.nan]])
    with pytest.raises(ValueError, match="make_targets"):
        AnchoredRegressor(Ridge()).fit(runs, None)


def test_observed_targets_are_weighted_by_row():
    X, y = np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([0.0, 1.0, np.nan, 30.0])
    model = CompleteCaseRegressor(LinearRegression()).fit(X, y, sample_weight=[1.0, 1.0, 5.0, 0.0])
    np.testing.assert_allclose(model.predict(X), X[:, 0], atol=1e-9)
    assert model.score(X[:2], y[:2]) == pytest.approx(1.0)


@pytest.fixture(scope="module")
def recipe():
    runs = make_job_runs(n_runs=160, n_jobs=2, random_state=0)
    runs["files"] = np.random.default_rng(0).poisson(3, len(runs)).astype(float)
    runs["event"] = np.where(runs["files"] > 3, "push", "schedule")
    model = make_anchored_forecaster(known=["files", "event"], device="cpu", random_state=0)
    model.set_params(
        regressor__mean__lstm__network__max_epochs=3,
        regressor__mean__lstm__network__n_members=2,
        regressor__mean__trees__boosting__regressor__max_iter=5,
    )
    return runs, model.fit(runs, make_targets(runs, 2))


def test_the_recipe_forecasts_every_job_and_step(recipe):
    runs, model = recipe
    coming = next_runs(runs).assign(files=2.0, event="an event never seen")
    table = forecast(model, runs, coming)
    assert len(table) == 2 * 3
    assert (table["seconds"] > 0).all()
    assert (model.shrinkage_ > 0).all()
    assert (model.shrinkage_ < 0.5).all()


def test_the_recipe_sees_no_future(recipe):
    runs, model = recipe
    row = 100
    unknown = ~(runs["ended_at"] <= runs[STARTED_AT].iloc[row])
    altered = runs.copy()
    altered.loc[unknown, job_columns(runs)] = 98765.0
    altered.loc[unknown, "ended_at"] = runs[STARTED_AT].iloc[-1] + pd.Timedelta(days=9)
    before, after = model.predict(runs), model.predict(altered)
    np.testing.assert_array_equal(before[row], after[row])
    assert not np.array_equal(before[row + 30 :], after[row + 30 :])


def test_the_recipe_starts_as_the_rules(recipe):
    runs, fitted = recipe
    model = clone(fitted).set_params(
        regressor__mean__trees="drop",
        regressor__mean__lstm__network__lr=1e-30,
        regressor__mean__lstm__network__early_stopping=False,
        regressor__mean__lstm__network__patience=30,
    )
    model.fit(runs, make_targets(runs))
    np.testing.assert_allclose(model.predict(runs), model.base_forecaster_.predict(runs), rtol=1e-5)


class Looks(RegressorMixin, BaseEstimator):
    """Keeps the table it is given."""

    def fit(self, X, y):
        self.seen_ = X
        return self

    def predict(self, X):
        self.asked_ = X
        return np.zeros((len(X), 2))


def test_the_base_forecast_is_shown_as_columns_known_at_the_start(runs):
    y = make_targets(runs, 2)[[(1, "job_0"), (2, "job_0")]]
    model = AnchoredRegressor(
        Looks(), RollingRule(), show_base_forecast=True, missing_targets="pass"
    ).fit(runs, y)
    name = "started_at__base_forecast_job_0"  # one for both steps: a rule forecasts them alike
    assert list(model.regressor_.seen_.columns) == [*runs.columns, name]
    model.predict(runs)
    np.testing.assert_allclose(
        np.exp(model.regressor_.asked_[name]), model.base_forecaster_.predict(runs)[:, 0]
    )
    assert name not in runs
    X = numbers(runs)
    plain = AnchoredRegressor(Ridge(), show_base_forecast=True).fit(
        X, np.nan_to_num(y.iloc[:, 0], nan=9)
    )
    assert plain.regressor_.n_features_in_ == X.shape[1] + 1


def test_series_of_a_pool_count_as_one_of_their_mean_length(runs):
    y = make_targets(runs)[[(1, "job_0")]]
    model = AnchoredRegressor(Looks(), RollingRule(), prior_sample_size=50, missing_targets="pass")
    both = clone(model).fit(runs, y).shrinkage_[0]
    mean = int(y.notna().sum().iloc[0]) / 2
    assert both == pytest.approx(mean / (mean + 50))
    alone = runs.loc[runs.index[0][0]]
    assert clone(model).fit(alone, make_targets(alone)[[(1, "job_0")]]).shrinkage_[
        0
    ] == pytest.approx(both, rel=0.1)


def test_a_forecast_costs_the_same_calls_however_long_the_history(calls_of, monkeypatch):
    asked = []
    for kind in (LSTMForecaster, DirectMultiStepRegressor):
        predict = kind.predict

        def counted(model, X, predict=predict, name=kind.__name__):
            asked.append((name, len(X)))
            return predict(model, X)

        monkeypatch.setattr(kind, "predict", counted)
    calls, per_fit = [], []
    for n in (100, 400):
        runs = make_job_runs(n_runs=n, n_jobs=1, random_state=0)
        model = make_anchored_forecaster(n_members=1, device="cpu", random_state=0)
        model.set_params(
            regressor__mean__lstm__network__max_epochs=1,
            regressor__mean__trees__boosting__regressor__max_iter=5,
        )
        y = make_targets(runs)
        per_fit.append(calls_of(lambda model=model, runs=runs, y=y: model.fit(runs, y)))
        coming = next_runs(runs)
        model.predict(coming)  # the first one looks up what it keeps
        asked.clear()
        calls.append(calls_of(lambda model=model, coming=coming: model.predict(coming)))
        assert sorted(asked) == [("DirectMultiStepRegressor", 1), ("LSTMForecaster", 1)]
    assert calls[1] < 1.02 * calls[0]
    assert per_fit[1] < 4 * per_fit[0]  # a fit costs no more than in proportion to the runs


class LargestMean(RegressorMixin, BaseEstimator):
    """The mean of what was observed and of the bounds, where the task is to show that they came."""

    masks_missing_targets = True

    def fit(self, X, y, at_least=None):
        self.seen_ = y if at_least is None else np.where(np.isnan(y), at_least, y)
        self.bounds_ = at_least
        return self

    def predict(self, X):
        return np.tile(np.nanmean(self.seen_, axis=0), (len(X), *[1] * (self.seen_.ndim - 1)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        return tags


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_bounds_reach_the_last_step_as_log_ratios_to_the_base_forecast(runs, in_pipeline):
    cut = runs.copy()
    long = np.flatnonzero(cut["job_0__status"] == "success")[::4]
    cut.iloc[long, cut.columns.get_loc("job_0__status")] = "timeout"
    y, at_least = make_targets(cut, 2), make_lower_bounds(cut, 2)
    last = LargestMean()
    regressor = make_pipeline(FunctionTransformer(numbers), last) if in_pipeline else last
    X = cut if in_pipeline else cut[[STARTED_AT, "ended_at", *job_columns(cut)]]
    model = AnchoredRegressor(regressor, RollingRule("median", 5), prior_sample_size=0)
    fitted = clone(model).fit(X, y, at_least=at_least)
    got = (fitted.regressor_[-1] if in_pipeline else fitted.regressor_).bounds_
    base = fitted.base_forecaster_.predict(X)
    expected = log_correction(at_least.to_numpy(), base, fitted.floor_, 3.0)
    np.testing.assert_array_equal(got, expected)
    assert np.isfinite(got).sum() == at_least.notna().to_numpy().sum() > 0
    assert not np.array_equal(clone(model).fit(X, y).predict(X), fitted.predict(X))
    judged = model.set_params(validate=True).fit(
        X, y, at_least=at_least
    )  # rows go with their bounds
    assert np.isfinite(judged.predict(X)).all()


def test_a_regressor_without_bounds_does_not_hear_of_them(runs):
    y, at_least = make_targets(runs), make_lower_bounds(runs)
    assert at_least.notna().any(axis=None)
    model = AnchoredRegressor(windowed(Ridge()))
    np.testing.assert_array_equal(
        clone(model).fit(runs, y, at_least=at_least).predict(runs), model.fit(runs, y).predict(runs)
    )
    with pytest.raises(ValueError, match="at_least has the"):
        model.fit(runs, y, at_least=at_least.iloc[:, :1])


def test_the_recipe_learns_from_what_was_cut_off():
    runs = make_job_runs(n_runs=200, n_jobs=1, random_state=0)
    long = (runs["job_0"] > runs["job_0"].median()) & (runs["job_0__status"] == "success")
    runs.loc[long & (np.arange(200) % 2 == 0), "job_0__status"] = "timeout"
    y, at_least = make_targets(runs, whole_run=False), make_lower_bounds(runs, whole_run=False)
    assert at_least.notna().to_numpy().sum() > 30
    model = make_anchored_forecaster(n_members=1, device="cpu", random_state=0)
    model.set_params(prior_sample_size=0.0, regressor__mean__trees="drop")  # trees take no bounds
    model.set_params(regressor__mean__lstm__network__max_epochs=15)
    model.set_params(regressor__mean__lstm__network__early_stopping=False)
    model.set_params(regressor__mean__lstm__network__patience=30)
    without = clone(model).fit(runs, y).predict(runs)
    informed = clone(model).fit(runs, y, at_least=at_least).predict(runs)
    cut = at_least.notna().to_numpy()
    assert informed[cut].mean() > without[cut].mean()
