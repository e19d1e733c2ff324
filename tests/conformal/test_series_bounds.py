"""Pools of series: each has bounds of its own, and nothing grows for ever."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal._series_bounds import OWN_ROWS, rows_of_series
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.point_in_time import RememberedRows
from sklearn_jobtime.point_in_time._table_memory import N_REMEMBERED
from sklearn_jobtime.runs import make_targets

SPREADS = {"calm": 0.05, "usual": 0.2, "wild": 1.0}


class FirstColumn(RegressorMixin, BaseEstimator):
    """Forecasts the column `forecast`."""

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return X[["forecast"]].to_numpy()


def pool(n, seed=0, names=tuple(SPREADS)):
    """Give a table of `n` nights in which every series ran, and what the runs took."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(n), names]).swaplevel()
    X = pd.DataFrame({"forecast": 100.0}, index=index)
    noise = rng.normal(0, 1, len(X)) * np.tile([SPREADS.get(name, 0.2) for name in names], n)
    return X, (X["forecast"] * np.exp(noise)).to_numpy()[:, None]


def later(n, *, after, **options):
    X, y = pool(after + n, seed=1, **options)
    keep = X.index.get_level_values(1) >= after
    return X[keep], y[keep]


def calibrated(n=60, **options):
    return ConformalForecaster(FirstColumn(), cv="prefit", **options).fit(*pool(n))


def inside(model, X, y):
    low, high = np.moveaxis(model.predict_interval(X)[:, 0], 1, 0)
    held = pd.Series((low <= y[:, 0]) & (y[:, 0] <= high), X.index.get_level_values(0))
    return held, pd.Series(high - low, held.index)


@pytest.mark.parametrize("symmetric", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_bounds_adapt_to_each_series_though_all_of_a_night_are_known_at_once(symmetric):
    X, y = later(400, after=60)
    model = calibrated(symmetric=symmetric)
    nights = [slice(k, k + 3) for k in range(0, len(X), 3)]
    found = []
    for night in nights:
        found.append(inside(model, X[night], y[night]))
        model.update(X[night], y[night], forecast=X[night])
    held, width = (pd.concat(parts) for parts in zip(*found, strict=True))
    np.testing.assert_allclose(held.groupby(level=0).mean(), 0.9, atol=0.03)
    width = width.groupby(level=0).mean()
    assert width["calm"] < width["usual"] / 2 < width["wild"] / 4


def test_series_that_were_not_updated_keep_the_bounds_of_fit():
    X, y = later(20, after=60)
    model, kept = calibrated(), calibrated()
    is_wild = X.index.get_level_values(0) == "wild"
    model.update(X[is_wild], 2 * y[is_wild], forecast=X[is_wild])
    now, before = model.predict_interval(X), kept.predict_interval(X)
    np.testing.assert_array_equal(now[~is_wild], before[~is_wild])
    assert (now[is_wild, :, 1] > before[is_wild, :, 1]).all()


def test_a_named_series_alone_is_as_one_without_a_name():
    X, y = pool(100, names=("usual",))
    plain = X.droplevel(0)
    named = ConformalForecaster(FirstColumn(), cv="prefit").fit(X[:50], y[:50])
    model = ConformalForecaster(FirstColumn(), cv="prefit").fit(plain[:50], y[:50])
    for k in range(50, 100, 5):
        named.update(X[k : k + 5], y[k : k + 5])
        model.update(plain[k : k + 5], y[k : k + 5])
        np.testing.assert_array_equal(
            named.predict_interval(X[:9], [0.5, 0.9]), model.predict_interval(plain[:9], [0.5, 0.9])
        )
        np.testing.assert_array_equal(named.drift_, model.drift_)


def test_a_series_with_few_rows_starts_as_one_nobody_knows():
    X, y = pool(OWN_ROWS)
    some = X.index.get_level_values(1) < OWN_ROWS - 1
    short = some | (X.index.get_level_values(0) != "calm")
    one_row = pool(1, names=("calm",))
    stranger = one_row[0].rename({"calm": "stranger"}, level=0), one_row[1]

    def width(rows, new_rows):
        model = ConformalForecaster(FirstColumn(), cv="prefit").fit(X[rows], y[rows])
        model.update(new_rows[0], new_rows[1], forecast=new_rows[0])
        return np.diff(model.predict_interval(new_rows[0], 0.8)[0, 0])

    assert width(short, one_row) == width(short, stranger)
    assert width(short | True, one_row) < width(short, one_row) / 2


def ended_first(runs, y, n):
    """Positions of the `n` rows that ended first, and of the others."""
    order = np.argsort(runs["ended_at"].to_numpy(), kind="stable")
    return np.sort(order[:n]), np.sort(order[n:])


def test_rows_and_forecasts_update_a_pool_alike_and_pickles_go_on():
    runs = make_job_runs(n_runs=150, n_jobs=2, n_series=3, random_state=0).sort_values("started_at")
    y = make_targets(runs)
    model = ConformalForecaster(RollingRule(), simultaneous="jobs").fit(runs[:300], y[:300])
    new, new_y = runs[300:], y[300:]
    forecast = model.predict(new)
    by_rows = pickle.loads(pickle.dumps(model)).update(new, new_y)
    for rows in ended_first(new, new_y, 50):
        model = pickle.loads(pickle.dumps(model))
        model.update(new.iloc[rows], new_y.iloc[rows], forecast=forecast[rows])
    np.testing.assert_array_equal(by_rows.predict_interval(new), model.predict_interval(new))
    np.testing.assert_array_equal(by_rows.drift_, model.drift_)


@pytest.mark.parametrize("seed", range(3))
def test_runs_are_learned_in_the_order_of_their_ends(seed):
    rng = np.random.default_rng(seed)
    X, y = later(30, after=60)
    night = X.index.get_level_values(1).to_numpy() * 100.0
    started = pd.to_datetime(night + rng.uniform(0, 50, len(X)), unit="s", utc=True)
    X = X.assign(
        started_at=started, ended_at=started + pd.to_timedelta(rng.uniform(1, 900, len(X)), "s")
    )
    forecast, levels = X[["forecast"]], [0.5, 0.8, 0.9, 0.95]
    at_once, one_by_one, shuffled = (calibrated() for _ in range(3))
    at_once.update(X, y, forecast=forecast)
    for row in np.argsort(X["ended_at"].to_numpy()):
        one = slice(row, row + 1)
        one_by_one.update(X[one], y[one], forecast=forecast[one])
    order = rng.permutation(len(X))
    shuffled.update(X.iloc[order], y[order], forecast=forecast.iloc[order])
    expected = at_once.predict_interval(forecast, levels)
    for model in (one_by_one, shuffled):
        np.testing.assert_array_equal(model.predict_interval(forecast, levels), expected)
    without_times = calibrated().update(forecast, y, forecast=forecast)
    assert not np.array_equal(without_times.predict_interval(forecast, levels), expected)


@pytest.mark.parametrize(("times_known", "share"), [(True, 0.8), (False, 0.66)])
@pytest.mark.slow
def test_runs_that_overlap_have_the_nominal_coverage(times_known, share):
    n, n_pending = 1500, 20
    rng = np.random.default_rng(0)
    started = pd.to_datetime(np.arange(n + 200), unit="s", utc=True)
    X = pd.DataFrame({"forecast": 100.0}, index=range(n + 200))
    clock = pd.DataFrame({"started_at": started}, index=X.index)
    clock["ended_at"] = started + pd.Timedelta(n_pending, "s")
    level = np.where(np.arange(n + 200) // 40 % 2, 0.6, 0.0)  # it changes each time it is known
    y = (100 * np.exp(rng.normal(0, 0.2, n + 200) + level))[:, None]
    model = ConformalForecaster(FirstColumn(), 0.8, cv="prefit").fit(X[:200], y[:200])
    held = []
    for row in range(200, n + 200):
        known = slice(row - n_pending, row - n_pending + 1)
        if row >= 200 + n_pending:
            model.update((clock if times_known else X)[known], y[known], forecast=X[known])
        low, high = model.predict_interval(X[row : row + 1])[0, 0]
        held.append(low <= y[row, 0] <= high)
    assert np.mean(held) == pytest.approx(share, abs=0.02)


@pytest.mark.slow
def test_later_steps_have_the_nominal_coverage():
    n, horizon = 900, 12
    rng = np.random.default_rng(0)
    started = pd.to_datetime(np.arange(n) * 100, unit="s", utc=True)
    clock = pd.DataFrame({"started_at": started, "ended_at": started + pd.Timedelta("90s")})
    X = pd.DataFrame({"forecast": 100.0}, index=clock.index)
    level = np.where(np.arange(n) // 24 % 2, 0.6, 0.0)
    took = 100 * np.exp(rng.normal(0, 0.2, n) + level)
    steps = np.minimum(np.add.outer(np.arange(n), np.arange(horizon)), n - 1)
    y = took[steps]
    forecasts = np.full_like(y, 100.0)
    model = ConformalForecaster(Hundred(horizon), 0.8, cv="prefit", horizon=horizon)
    model.fit(X[:150], y[:150])
    held = []
    for row in range(150, n - horizon):
        new_rows = slice(row - horizon, row)  # of which one step each became known just now
        new = np.where(steps[new_rows] == row - 1, y[new_rows], np.nan)
        model.update(clock[new_rows], new, forecast=forecasts[new_rows])
        low, high = model.predict_interval(X[row : row + 1])[0, -1]
        held.append(low <= y[row, -1] <= high)
    assert np.mean(held) == pytest.approx(0.8, abs=0.03)


class Hundred(FirstColumn):
    """Forecasts 100 for each of several steps."""

    def __init__(self, horizon):
        self.horizon = horizon

    def predict(self, X):
        return np.full((len(X), self.horizon), 100.0)


def test_a_shift_of_one_series_is_an_alarm():
    X, y = later(60, after=60)
    model = calibrated().update(X[:90], y[:90], forecast=X[:90])
    assert not model.refit_advised_
    assert abs(model.drift_[0]) < 1
    y[90:][X[90:].index.get_level_values(0) == "calm"] *= 3
    model.update(X[90:], y[90:], forecast=X[90:])
    assert model.refit_advised_
    assert model.drift_.shape == (1,)


def test_a_series_without_a_name_is_known_again_after_a_pickle():
    X, y = pool(30)
    X.index = pd.MultiIndex.from_arrays(
        [X.index.get_level_values(0).where(X.index.get_level_values(0) != "calm"),
         X.index.get_level_values(1)]
    )  # fmt: skip
    model = ConformalForecaster(FirstColumn(), cv="prefit").fit(X, y).update(X, y, forecast=X)
    again = pickle.loads(pickle.dumps(model))
    X = pickle.loads(pickle.dumps(X))
    np.testing.assert_array_equal(again.predict_interval(X), model.predict_interval(X))
    assert len(again._bounds.updated) == 3


def test_nominal_coverage_of_each_series():
    X, y = later(3000, after=1000)
    pooled, each = calibrated(1000), calibrated(1000, group_conditional=True)
    np.testing.assert_allclose(inside(each, X, y)[0].groupby(level=0).mean(), 0.9, atol=0.03)
    by_pool = inside(pooled, X, y)[0].groupby(level=0).mean()
    assert by_pool["calm"] == 1.0
    assert by_pool["wild"] < 0.85


def test_a_series_with_too_few_rows_has_the_bounds_of_all():
    X, y = pool(30)
    names, night = (X.index.get_level_values(k) for k in (0, 1))
    kept = (names != "calm") | (night < 12)  # enough for 90 %, not for 95 %
    pooled = ConformalForecaster(FirstColumn(), cv="prefit").fit(X[kept], y[kept])
    each = clone(pooled).set_params(group_conditional=True).fit(X[kept], y[kept])
    calm = X[names == "calm"]
    a, b = (model.predict_interval(calm, [0.9, 0.95]) for model in (pooled, each))
    np.testing.assert_array_equal(a[..., 1], b[..., 1])
    assert (b[:, :, 1, 0] < a[:, :, 1, 0]).all()
    stranger = X[:1].rename({"calm": "stranger"}, level=0)
    np.testing.assert_array_equal(
        each.predict_interval(stranger), pooled.predict_interval(stranger)
    )


def test_an_empty_table_has_no_intervals():
    X, _ = pool(1)
    assert rows_of_series(X[:0]) == []
    assert calibrated()._bounds.errors(X[:0], "above", np.array([0.9])).shape == (0, 1, 1)


def test_forecasts_without_a_row_are_named():
    X, y = pool(2)
    with pytest.raises(ValueError, match="6 rows and forecast 3"):
        calibrated().update(X, y[:3], forecast=y[:3])


@pytest.mark.parametrize("n_series", [1, 2])
def test_the_newest_rows_of_each_series_are_remembered(n_series):
    index = pd.MultiIndex.from_product([range(2 * N_REMEMBERED), range(n_series)]).swaplevel()
    X = pd.DataFrame({"build": np.arange(len(index), dtype=float)}, index=index)
    rows = RememberedRows(X[:100])
    for k in range(100, len(X), 500):
        rows = rows.and_(X[k : k + 500])
    after = X[-n_series:].rename(lambda run: run + 1, level=1)
    table, n_before = rows.before(after)
    pd.testing.assert_frame_equal(table[:n_before], X[-n_before:])
    assert n_before == N_REMEMBERED * n_series


def test_rows_of_one_series_do_not_replace_those_of_others():
    runs = make_job_runs(n_runs=40, n_jobs=1, n_series=2, random_state=0).sort_values("started_at")
    first = runs.index.get_level_values(0) == runs.index[0][0]
    y = make_targets(runs)
    model = ConformalForecaster(RollingRule()).fit(runs[:60], y[:60])
    whole = model.predict(runs)[70:]
    for rows in (first, ~first):
        rows = rows & (np.arange(80) >= 60) & (np.arange(80) < 70)  # noqa: PLW2901
        model.update(runs[rows], y[rows])
    np.testing.assert_array_equal(model.predict(runs[70:]), whole)
