"""Bounds around any forecast: their shape, their coverage, what they may look at."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.compose import CompleteCaseRegressor
from sklearn_jobtime.conformal import AbsoluteScore, ConformityScore, rows_needed
from sklearn_jobtime.conformal._effective_size import effective_sample_size
from sklearn_jobtime.conformal._group_quantiles import scaled_bounds
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.conformal._quantiles import EmpiricalQuantile
from sklearn_jobtime.conformal._scores import SCORES
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError, TooFewRunsWarning
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.point_in_time import known_targets, read_clock
from sklearn_jobtime.runs import make_targets, next_runs

KINDS = ("none", "jobs", "horizon", "both")


class FirstColumns(RegressorMixin, BaseEstimator):
    """Forecasts the first columns of X, so that a test chooses the forecasts."""

    def fit(self, X, y):
        self.n_outputs_ = np.reshape(y, (len(y), -1)).shape[1]
        return self

    def predict(self, X):
        return np.asarray(X)[:, : self.n_outputs_]


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=200, n_jobs=2, n_series=2, random_state=0)


def prefit(n_outputs, **options):
    return ConformalForecaster(
        FirstColumns().fit(None, np.zeros((1, n_outputs))), cv="prefit", **options
    )


def skewed(rng, n, n_outputs):
    forecasts = rng.uniform(60, 3600, (n, n_outputs))
    return forecasts, forecasts * np.exp(rng.gamma(1.0, 0.3, (n, n_outputs)) - 0.3)


levels = st.floats(0.01, 0.99)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), levels)
def test_a_bound_is_the_order_statistic_of_split_conformal(errors, level):
    rank = int(np.ceil((len(errors) + 1) * level - 1e-9))
    expected = sorted(errors)[rank - 1] if rank <= len(errors) else np.inf
    assert EmpiricalQuantile.of(np.array(errors)).at(level) == expected
    assert (expected < np.inf) == (len(errors) >= rows_needed(level))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=1, max_size=30),
)
def test_survival_masses_are_those_of_kaplan_and_meier(runs):
    errors, censored = np.array([r[0] for r in runs]), np.array([r[1] for r in runs])
    masses = survival_masses(errors, censored, one_more=False)
    assert (masses[censored] == 0).all()
    data = stats.CensoredData(uncensored=errors[~censored], right=errors[censored])
    oracle = stats.ecdf(data).cdf
    for at, share in zip(oracle.quantiles, oracle.probabilities, strict=True):
        assert masses[errors <= at].sum() == pytest.approx(share)


def test_no_censored_run_no_change_of_mass():
    np.testing.assert_allclose(survival_masses(np.arange(9.0), np.zeros(9, bool)), 0.1)


@settings(deadline=None)
@given(st.data(), st.integers(1, 12), st.integers(1, 4))
def test_the_box_holds_whatever_is_inside_by_the_units_of_all_runs(data, n, n_outputs):
    """The reason for the box: units over all n + 1 runs, the one to be predicted among them."""
    errors = data.draw(
        st.lists(
            st.lists(st.floats(0.01, 50), min_size=n_outputs, max_size=n_outputs),
            min_size=n + 1,
            max_size=n + 1,
        )
    )
    *calibration, new = np.array(errors)
    calibration = np.array(calibration)
    total = calibration.sum(axis=0)
    scaled = (calibration / (total / (n + 1))).max(axis=1)
    together = (np.array(errors) / ((total + new) / (n + 1))).max(axis=1)
    for rank in range(1, n + 1):
        box = scaled_bounds(np.sort(scaled)[rank - 1 : rank], total, np.full(n_outputs, n))[:, 0]
        if together[-1] <= np.sort(together[:-1])[rank - 1]:
            assert (new <= box * (1 + 1e-9)).all()


def test_rows_that_repeat_count_once():
    rng = np.random.default_rng(0)
    alone = rng.normal(size=600)
    one_series = np.zeros(600, dtype=int)
    assert effective_sample_size(alone, one_series) == pytest.approx(600, rel=0.15)
    overlapping = np.lib.stride_tricks.sliding_window_view(rng.normal(size=2009), 10).max(axis=1)
    assert effective_sample_size(overlapping, np.zeros(2000, dtype=int)) < 2000 / 5
    # neighbours of another series are no neighbours
    pairs = alone.repeat(2)
    assert effective_sample_size(pairs, np.tile([0, 1], 600)) > 900


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(1, 20), st.integers(1, 4))
def test_a_target_is_known_once_its_run_has_ended(seed, n, horizon):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_arrays([rng.choice(["a", "b"], n), np.arange(n)])
    table = pd.DataFrame({"started_at": np.sort(rng.uniform(0, 1e6, size=n))}, index=index)
    had_ended = rng.random(n) < 0.7
    clock = read_clock(table)
    known = known_targets(clock, np.arange(1, horizon + 1), had_ended)
    for row in range(n):
        later = [i for i in range(row, n) if clock.series[i] == clock.series[row]]
        for step in range(horizon):
            assert known[row, step] == (step < len(later) and had_ended[later[step]])


@pytest.mark.parametrize("conformity_score", ["log_ratio", "absolute"])
@pytest.mark.parametrize("simultaneous", KINDS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_intervals_are_nested_and_hold_the_calibration_rows(
    conformity_score, simultaneous, symmetric
):
    forecasts, actual = skewed(np.random.default_rng(0), 80, 6)
    actual[np.random.default_rng(1).random(actual.shape) < 0.1] = np.nan
    options = {
        "conformity_score": conformity_score,
        "simultaneous": simultaneous,
        "symmetric": symmetric,
    }
    model = prefit(6, horizon=3, **options).fit(forecasts, actual)
    levels = [0.5, 0.8, 0.9, 0.95]
    interval = model.predict_interval(forecasts, levels)
    assert interval.shape == (80, 6, 2, 4)
    assert not np.isnan(interval).any()
    if conformity_score == "log_ratio":
        assert (interval >= 0).all()
    assert (np.diff(interval[:, :, 0], axis=2) <= 0).all()
    assert (np.diff(interval[:, :, 1], axis=2) >= 0).all()
    seen = ~np.isnan(actual)
    low, high = interval[:, :, 0], interval[:, :, 1]
    inside = (low <= actual[..., None]) & (actual[..., None] <= high) | ~seen[..., None]
    for level, held in zip(levels, np.moveaxis(inside, 2, 0), strict=True):
        together = {
            "none": held[seen],
            "jobs": held.reshape(80, 3, 2).all(axis=2),
            "horizon": held.reshape(80, 3, 2).all(axis=1)[:-2],
            "both": held.all(axis=1)[:-2],
        }[simultaneous]
        assert together.mean() >= level
    upper = model.predict_upper(forecasts, levels)
    assert (upper <= interval[:, :, 1] * (1 + 1e-9)).all() or symmetric
    np.testing.assert_array_equal(model.predict_upper(forecasts, 0.8), upper[..., 1])
    np.testing.assert_array_equal(model.predict_interval(forecasts), interval[..., 2])


@pytest.mark.parametrize(("symmetric", "needed"), [(True, 9), (False, 19)])
@pytest.mark.parametrize("n", [1, 8, 9, 18, 19])
def test_too_few_rows_give_infinite_bounds_and_say_how_many_it_takes(n, symmetric, needed):
    forecasts, actual = skewed(np.random.default_rng(0), n, 1)
    model = prefit(1, symmetric=symmetric).fit(forecasts, actual[:, 0])
    for bound, rows in ((model.predict_upper, 9), (model.predict_interval, needed)):
        if n >= rows:
            assert np.isfinite(bound(forecasts)).all()
            continue
        with pytest.warns(TooFewRunsWarning, match=f"{n} calibration rows .* at least {rows}"):
            found = bound(forecasts)
        assert np.isposinf(found.max(axis=-1)).all()
        assert found.ndim == 2 or (found[:, :, 0] == 0).all()


def test_ten_rows_bound_a_hundred_outputs_at_once():
    forecasts, actual = skewed(np.random.default_rng(0), 10, 100)
    model = prefit(100, simultaneous="both", symmetric=True).fit(forecasts, actual)
    assert np.isfinite(model.predict_interval(forecasts)).all()


@pytest.mark.parametrize("simultaneous", ["none", "jobs"])
def test_runs_that_end_at_once_widen_nothing_above(simultaneous):
    rng = np.random.default_rng(0)
    forecasts = np.full((200, 2), 3600.0)
    actual = forecasts * np.exp(rng.normal(0, 0.1, forecasts.shape))
    actual[::5] = 0.5  # a fifth found nothing to do
    model = prefit(2, simultaneous=simultaneous).fit(forecasts, actual)
    low, high = np.moveaxis(model.predict_interval(forecasts[:1])[0], 1, 0)
    assert (low < 3600 * 0.01).all()
    assert (high < 3600 * np.exp(1.1)).all()


def test_a_run_is_as_far_off_as_its_bound_says():
    forecasts, actual = skewed(np.random.default_rng(0), 99, 1)
    above, below = np.log(actual / forecasts), 1 - actual / forecasts
    error = np.sort(np.maximum(above, below), axis=0)[89]  # of 99, the rank for 90 %
    interval = prefit(1).fit(forecasts, actual).predict_interval(forecasts)[:, 0]
    expected = forecasts * np.hstack([np.maximum(1 - error, 0), np.exp(error)])
    np.testing.assert_allclose(interval, expected, rtol=1e-9)


def test_whole_seconds_are_inside_their_own_bound():
    forecasts = np.full((100, 1), 60.0)
    actual = np.where(np.arange(100) < 50, 61.0, 59.0)
    interval = prefit(1).fit(forecasts, actual).predict_interval(forecasts)
    assert ((interval[:, 0, 0] <= actual) & (actual <= interval[:, 0, 1])).all()


@pytest.mark.parametrize("simultaneous", ["none", "both"])
def test_a_job_that_is_never_off_has_an_exact_interval(simultaneous):
    rng = np.random.default_rng(0)
    forecasts, actual = skewed(rng, 60, 2)
    actual[:, 0] = forecasts[:, 0] = 0.0
    model = prefit(2, simultaneous=simultaneous).fit(forecasts, actual)
    interval = model.predict_interval(forecasts)
    assert (interval[:, 0] <= 0.0011).all()
    assert (interval[:, 1, 0] < interval[:, 1, 1]).all()


@pytest.mark.parametrize(
    ("estimator", "simultaneous"),
    [
        (RollingRule(), "none"),
        (OnlineMix(), "both"),
        (make_anchored_forecaster(device="cpu", random_state=0), "none"),
    ],
    ids=["rule", "mix", "recipe"],
)
def test_new_rows_alone_have_the_calibration_rows_as_history(runs, estimator, simultaneous):
    if hasattr(estimator, "regressor"):
        estimator = clone(estimator).set_params(
            regressor__mean__lstm__network__max_epochs=2,
            regressor__mean__trees__boosting__regressor__max_iter=5,
        )
    y = make_targets(runs, horizon=2)
    started = runs["started_at"]
    cut = started.sort_values().iloc[320]
    old, new = runs[started < cut], runs[started >= cut]
    known = make_targets(old, horizon=2)
    model = ConformalForecaster(estimator, simultaneous=simultaneous).fit(old, known)
    whole = model.predict(runs)[(started >= cut).to_numpy()]
    np.testing.assert_allclose(model.predict(new), whole, rtol=1e-5)
    both = pd.concat([old[-60:], new])
    np.testing.assert_allclose(
        model.predict_interval(both)[60:], model.predict_interval(new), rtol=1e-5
    )
    assert model.predict_interval(new).shape == (len(new), y.shape[1], 2)
    table = forecast(model, runs, next_runs(runs))
    assert (table["seconds"] > 0).all()


def test_the_estimator_learns_only_what_was_known_at_the_split(runs):
    y = make_targets(runs, horizon=3, whole_run=False)
    seen = {}

    class Spy(RollingRule):
        def fit(self, X, y):
            seen["X"], seen["y"] = X, y
            return super().fit(X, y)

    model = ConformalForecaster(Spy()).fit(runs, y)
    cut = runs["started_at"].loc[seen["X"].index.symmetric_difference(runs.index)].min()
    assert (seen["X"]["started_at"] < cut).all()
    assert not (seen["X"]["ended_at"] > cut).any()
    known = make_targets(seen["X"], horizon=3, whole_run=False).reindex(columns=y.columns)
    pd.testing.assert_frame_equal(seen["y"], known)
    assert (
        model.n_calibration_
        == (runs["started_at"] >= cut).sum() - y[runs["started_at"] >= cut].isna().all(axis=1).sum()
    )


def test_outcomes_of_later_runs_change_no_earlier_bound(runs):
    y = make_targets(runs)
    model = ConformalForecaster(OnlineMix()).fit(runs[:300], y[:300])
    changed = runs[300:].copy()
    jobs = ["job_0", "job_1"]
    changed.iloc[-20:, changed.columns.get_indexer(jobs)] *= 7
    before = model.predict_interval(runs[300:])
    after = model.predict_interval(changed)
    started = runs["started_at"].iloc[300:]
    early = (started <= runs["ended_at"].iloc[-20:].min()).to_numpy()
    assert early.sum() > 20
    np.testing.assert_array_equal(before[early], after[early])


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        GradientBoostingRegressor(n_estimators=5, random_state=0),
        CompleteCaseRegressor(Ridge()),
    ],
)
def test_any_regressor_with_gaps_in_the_targets(estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = np.exp(X[:, :2] + 5)
    y[rng.random(y.shape) < 0.1] = np.nan
    model = ConformalForecaster(estimator).fit(X[:100], y[:100])
    assert np.isfinite(model.predict_interval(X[100:])).all()
    assert model.predict(X).shape == (120, 2)


def test_prefit_and_frozen_estimators_are_not_fitted_again():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 2)), rng.uniform(60, 70, 80)
    fitted = Ridge().fit(X[:40], y[:40])
    model = ConformalForecaster(FrozenEstimator(fitted), cv="prefit")
    model = clone(model).fit(X[40:], y[40:])
    assert model.n_calibration_ == 40
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))


def test_refit_learns_the_newest_rows_with_the_same_bounds():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 2)), rng.uniform(60, 70, 80)
    model = ConformalForecaster(Ridge(), refit=True).fit(X, y)
    np.testing.assert_allclose(model.predict(X), Ridge().fit(X, y).predict(X))
    once = ConformalForecaster(Ridge()).fit(X, y)
    np.testing.assert_array_equal(model.calibration_forecasts_, once.calibration_forecasts_)


def test_a_pickle_answers_any_level(runs):
    y = make_targets(runs)
    model = ConformalForecaster(RollingRule(), simultaneous="jobs").fit(runs, y)
    again = pickle.loads(pickle.dumps(model))
    for level in (0.6, [0.7, 0.9]):
        np.testing.assert_array_equal(
            again.predict_interval(runs, level), model.predict_interval(runs, level)
        )


def test_a_grid_search_reaches_the_estimator_and_the_score():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 2)), rng.uniform(60, 70, 120)
    grid = {"estimator__alpha": [0.1, 10.0], "conformity_score": ["log_ratio", "absolute"]}
    search = GridSearchCV(ConformalForecaster(Ridge()), grid, cv=TimeSeriesSplit(3))
    assert np.isfinite(search.fit(X, y).best_score_)


class SquareRootScore(ConformityScore):
    """A score that is none of the table, with a parameter."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def error_above(self, seconds, forecast):
        return self.factor * (self.root(seconds) - self.root(forecast))

    def error_below(self, seconds, forecast):
        return self.error_above(forecast, seconds)

    def bound_above(self, errors, forecast):
        return (self.root(forecast) + errors / self.factor) ** 2

    def bound_below(self, errors, forecast):
        return np.maximum(self.root(forecast) - errors / self.factor, 0.0) ** 2

    @staticmethod
    def root(seconds):
        return np.sqrt(np.maximum(seconds, 0.0))  # a line may forecast less than nothing


class NormalisedSquareRootScore(SquareRootScore):
    needs_scale_model = True


@pytest.mark.parametrize("score", [SquareRootScore(), NormalisedSquareRootScore(2.0)])
@pytest.mark.parametrize("simultaneous", ["none", "both"])
def test_a_score_of_ones_own_is_a_score_like_the_others(score, simultaneous):
    forecasts, actual = skewed(np.random.default_rng(0), 900, 2)
    model = ConformalForecaster(Ridge(), conformity_score=score, simultaneous=simultaneous)
    model = clone(model).fit(forecasts[:600], actual[:600])
    assert (model.scale_model_ is not None) == score.needs_scale_model
    low, high = np.moveaxis(model.predict_interval(forecasts[600:]), 2, 0)
    inside = (low <= actual[600:]) & (actual[600:] <= high)
    assert inside.all(axis=1).mean() > 0.85 if simultaneous == "both" else inside.mean() > 0.85
    again = pickle.loads(pickle.dumps(model)).update(forecasts[600:], actual[600:])
    assert np.isfinite(again.predict_interval(forecasts)).all()


def test_each_name_of_the_table_is_its_score():
    forecasts, actual = skewed(np.random.default_rng(0), 200, 1)
    for name, score in SCORES.items():
        options = {"quantile_estimators": [Ridge(), Ridge(1e3)]} if name == "quantile" else {}
        by_name, by_score = (
            ConformalForecaster(Ridge(), conformity_score=given, **options).fit(forecasts, actual)
            for given in (name, score())
        )
        np.testing.assert_array_equal(
            by_name.predict_interval(forecasts), by_score.predict_interval(forecasts)
        )


def test_a_grid_search_reaches_the_parameters_of_a_score():
    forecasts, actual = skewed(np.random.default_rng(0), 120, 1)
    model = ConformalForecaster(Ridge(), conformity_score=SquareRootScore())
    grid = {"conformity_score": [SquareRootScore(), AbsoluteScore(), "log_ratio"]}
    for one in (grid, {"conformity_score__factor": [0.5, 2.0]}):
        search = GridSearchCV(model, one, cv=TimeSeriesSplit(3)).fit(forecasts, actual)
        assert np.isfinite(search.best_score_)


def test_rows_update_a_model_that_was_fitted_again():
    forecasts, actual = skewed(np.random.default_rng(0), 200, 1)
    model = ConformalForecaster(Ridge(), refit=True).fit(forecasts[:100], actual[:100])
    by_forecast = pickle.loads(pickle.dumps(model))
    by_forecast.update(None, actual[100:], forecast=model.predict(forecasts[100:]))
    model.update(forecasts[100:], actual[100:])
    np.testing.assert_array_equal(
        model.predict_interval(forecasts), by_forecast.predict_interval(forecasts)
    )


def test_errors_say_what_to_do():
    X, y = np.ones((20, 1)), np.full(20, 60.0)
    model = ConformalForecaster(Ridge())
    with pytest.raises(NoHistoryError, match="NaN only"):
        model.fit(X, np.full(20, np.nan))
    with pytest.raises(ValueError, match="set y to NaN"):
        model.fit(X, y, at_least=y)
    with pytest.raises(ValueError, match="at_least"):
        model.fit(X, y, at_least=np.ones(3))
    with pytest.raises(ValueError, match="horizon"):
        clone(model).set_params(horizon=3).fit(X, np.ones((20, 4)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.fit(X, y).predict_interval(X, 90)


def noisy(rng, n):
    """Runs of which those with a large first column are hard to forecast."""
    X = rng.uniform(0, 1, (n, 2))
    return X, 600 * np.exp(X[:, 1] + rng.normal(size=n) * (0.02 + 0.5 * (X[:, 0] > 0.5)))


def quantiles(*alphas):
    return tuple(
        GradientBoostingRegressor(loss="quantile", alpha=a, n_estimators=30, random_state=0)
        for a in alphas
    )


@pytest.mark.parametrize(
    "options",
    [
        {"conformity_score": "normalised"},
        {
            "conformity_score": "normalised",
            "scale_model": GradientBoostingRegressor(random_state=0),
        },
        {"conformity_score": "quantile", "quantile_estimators": quantiles(0.05, 0.95)},
    ],
    ids=["normalised", "own scale model", "quantile"],
)
def test_bounds_are_wide_only_where_a_run_is_hard_to_forecast(options):
    X, y = noisy(np.random.default_rng(0), 1500)
    estimator = GradientBoostingRegressor(random_state=0)
    model = clone(ConformalForecaster(estimator, **options)).fit(X[:1000], y[:1000])
    low, high = np.moveaxis(model.predict_interval(X[1000:])[:, 0], 1, 0)
    three_deviations = 3 * np.sqrt(0.09 / 251 + 0.09 / 500)  # of the bound, and of the test rows
    inside = (low <= y[1000:]) & (y[1000:] <= high)
    assert inside.mean() == pytest.approx(0.9, abs=three_deviations)
    hard = X[1000:, 0] > 0.5
    assert np.median((high - low)[hard]) > 2 * np.median((high - low)[~hard])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_upper(X), model.predict_upper(X))
    before = model.predict_interval(X[1000:])
    model.update(X[1000:], y[1000:])
    assert not np.array_equal(before, model.predict_interval(X[1000:]))
    with pytest.raises(ValueError, match="pass X"):
        model.update(None, y[1000:], forecast=y[1000:])


@pytest.mark.parametrize("simultaneous", ["none", "both"])
def test_the_scale_of_a_run_table_is_how_it_varied_lately(runs, simultaneous):
    y = make_targets(runs, horizon=2)
    model = ConformalForecaster(
        OnlineMix(), conformity_score="normalised", simultaneous=simultaneous
    )
    model.fit(runs[:300], y[:300])
    interval = model.predict_interval(runs[300:])
    assert np.isfinite(interval).all()
    ratio = interval[:, 0, 1] / interval[:, 0, 0]
    assert ratio.max() > 1.05 * ratio.min()
    wild = runs[300:].copy()
    wild.iloc[-30:, wild.columns.get_indexer(["job_0", "job_1"])] *= 5
    early = (runs["started_at"][300:] <= runs["ended_at"][-30:].min()).to_numpy()
    np.testing.assert_array_equal(model.predict_interval(wild)[early], interval[early])


def test_inner_estimators_that_are_missing_are_asked_for():
    X, y = np.ones((20, 1)), np.full(20, 60.0)
    fitted = Ridge().fit(X, y)
    with pytest.raises(ValueError, match="two regressors"):
        ConformalForecaster(Ridge(), conformity_score="quantile").fit(X, y)
    with pytest.raises(ValueError, match="fitted scale_model"):
        ConformalForecaster(fitted, conformity_score="normalised", cv="prefit").fit(X, y)
