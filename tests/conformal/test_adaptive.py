"""Adaptive bounds: their long-run coverage, on any sequence of runs, in few calls."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.dummy import DummyRegressor

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import AdaptiveBound, DriftAlarm, DurationDistribution
from sklearn_jobtime.conformal._adaptive import (
    MOST,
    PENDING,
    POOL_ALIKE,
    POOL_RATE,
    POOL_REACH,
    RATE,
    REACH,
    TAILS,
    WINDOW,
    AdaptiveGroup,
    PoolShares,
)
from sklearn_jobtime.conformal._calibration_split import CalibrationSplit
from sklearn_jobtime.conformal._drift import QUIET
from sklearn_jobtime.conformal._group_quantiles import GroupQuantiles
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.runs import make_targets


def most_missed(tail, n, n_pending=0, in_pool=False):
    """What the theory allows on any sequence of n errors."""
    reach = REACH + in_pool * POOL_REACH[1]
    return tail * n + (1 + reach + RATE * (1 + n_pending)) / RATE


def misses(start, errors, tails):
    state, missed = AdaptiveBound(start), np.zeros(len(tails))
    for error in errors:
        missed += error > state.bounds(tails)
        state.step(error)
    return missed


class Naive:
    """The same rule, written for reading: everything is sorted anew at each step."""

    def __init__(self, errors, tail):
        self.errors, self.tail, self.share = list(errors), tail, tail

    def bound(self):
        newest = sorted(self.errors[-WINDOW:])
        above = self.share * (len(newest) + 1)
        if above >= 1:
            return newest[-min(int(above + 1e-9), len(newest))]
        beyond = (1 - above) / ((len(newest) + 1) * REACH * self.tail + 1)
        if beyond >= 1:
            return np.inf
        return newest[-1] + (newest[-1] - newest[len(newest) // 2]) * beyond / (1 - beyond)

    def step(self, error):
        missed = error > self.bound()
        self.share = min(self.share - RATE * self.tail * (missed - self.tail), MOST)
        self.errors.append(error)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 200))
def test_the_state_is_that_of_the_rule_written_for_reading(seed, n_start):
    tail = TAILS[-1]  # its bound does not depend on those of the others
    rng = np.random.default_rng(seed)
    start = rng.normal(size=n_start).round(1)
    fast, naive = AdaptiveBound(start), Naive(start, tail)
    for error in rng.normal(size=150).round(1) * np.where(np.arange(150) > 70, 5, 1):
        fast.step(error)
        naive.step(error)
    assert fast.bounds([tail])[0] == pytest.approx(naive.bound())


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=0, max_size=50),
    st.lists(st.tuples(st.integers(1, 80), st.floats(-1e6, 1e6), st.floats(0, 1e6)), max_size=6),
    st.integers(0, 99),
)
def test_misses_stay_within_the_theory_on_any_sequence(start, pieces, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(level, spread, n) for n, level, spread in pieces]
    errors = np.concatenate([*parts, np.zeros(1)])
    missed = misses(start, errors, TAILS)
    for tail, count in zip(TAILS, missed, strict=True):
        assert count <= most_missed(tail, len(errors)) + 1e-9


def test_an_adversary_who_sees_the_bound_gains_no_more_than_the_theory_allows():
    tail, n = 0.1, 3000
    state, missed = AdaptiveBound(np.arange(50.0)), 0
    for _ in range(n):
        bound = state.bounds([tail])[0]
        error = bound + 1 if bound < 1e6 else 0.0  # just above, as long as it can
        missed += error > bound
        state.step(error)
    assert missed <= most_missed(tail, n)
    assert missed > tail * n / 2  # it was an adversary


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.booleans(), st.integers(0, 10**6))
def test_pending_runs_have_the_coverage_too(n_pending, in_pool, seed):
    rng = np.random.default_rng(seed)
    n = 300
    errors = rng.normal(size=n) + np.repeat(rng.normal(0, 5, n // 50), 50)
    state = AdaptiveBound(rng.normal(size=30), PoolShares(1) if in_pool else None)
    pending, missed = [], np.zeros(len(TAILS))
    for error in errors:
        pending.append((error, state.at_tails()))
        if len(pending) > n_pending:
            known, in_force = pending.pop(0)
            missed += known > np.array(in_force)
            state.step(known, in_force=in_force)
    for tail, count in zip(TAILS, missed, strict=True):
        assert count <= most_missed(tail, n, n_pending, in_pool) + 1e-9


@pytest.mark.parametrize("shift", ["none", "level", "spread", "drift", "season"])
def test_the_share_of_misses_is_the_asked_one_whatever_happens(shift):
    rng = np.random.default_rng(3)
    n = 4000
    noise = rng.gamma(1.0, 0.3, n)
    errors = {
        "none": noise,
        "level": noise + np.where(np.arange(n) // 500 % 2, 1.0, 0.0),
        "spread": noise * np.where(np.arange(n) // 400 % 2, 4.0, 1.0),
        "drift": noise + np.arange(n) / 500,
        "season": noise + np.sin(np.arange(n) / 20),
    }[shift]
    shares = misses(errors[:100], errors[100:], TAILS) / (n - 100)
    np.testing.assert_allclose(shares[:-1], TAILS[:-1], atol=0.012)


def test_bounds_are_nested_after_anything():
    rng = np.random.default_rng(0)
    state = AdaptiveBound(rng.normal(size=30))
    tails = np.linspace(0.001, 0.9, 60)
    for error in rng.normal(size=400) * np.repeat([1.0, 10.0, 0.1, 3.0], 100):
        state.step(error)
        bounds = state.bounds(tails)
        assert (np.diff(bounds) <= 0).all()
        assert not np.isnan(bounds).any()


def test_without_any_error_bounds_are_infinite():
    assert np.isposinf(AdaptiveBound([]).bounds([0.1, 0.5])).all()


def test_a_job_that_always_takes_the_same_is_never_called_a_miss():
    state = AdaptiveBound([0.0] * 20)
    for _ in range(500):
        assert state.bounds([0.05])[0] == 0.0
        state.step(0.0)


def test_a_right_censored_run_counts_only_where_it_surely_missed():
    low, high = AdaptiveBound(range(100)), AdaptiveBound(range(100))
    before = low.bounds(TAILS)
    low.step(1.0, is_censored=True)
    np.testing.assert_array_equal(low.bounds(TAILS), before)
    high.step(1000.0, is_censored=True)
    assert (high.bounds(TAILS) >= before).all()
    assert high.bounds([0.1]) > before[TAILS.index(0.1)]


@pytest.mark.parametrize("shift", [-3.0, 3.0])
def test_one_shift_alarms_once(shift):
    repeats = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        alarm = DriftAlarm(rng.normal(size=200))
        assert not any(alarm.step(error) for error in rng.normal(size=20))
        alarms = [t for t, e in enumerate(rng.normal(shift, 1, 100)) if alarm.step(e)]
        assert alarms[0] < 15
        assert np.diff(alarms).min(initial=1000) > QUIET
        repeats += len(alarms) > 1
    assert repeats <= 5  # thirty runs do not always tell well what is usual now


@pytest.mark.slow
def test_false_alarms_are_rare():
    rng = np.random.default_rng(0)
    n_alarms = 0
    for _ in range(20):
        alarm = DriftAlarm(rng.normal(size=300))
        n_alarms += sum(alarm.step(error) for error in rng.normal(size=5000))
    assert n_alarms <= 30  # of 100,000 runs


def test_an_alarm_stands_until_it_is_known_again_what_is_usual():
    rng = np.random.default_rng(0)
    alarm = DriftAlarm(rng.normal(size=100))
    while not alarm.step(5.0 + rng.normal()):
        pass
    for _ in range(QUIET - 1):
        assert not alarm.step(5.0 + rng.normal())
        assert alarm.figure == 1
    alarm.step(5.0)
    assert alarm.figure == 0
    assert not any(alarm.step(5.0 + rng.normal()) for _ in range(100))


# Several runs at once, several series


def overlapping_errors(n, seed, overlap):
    """Errors of runs in start order, when they started and when they ended."""
    rng = np.random.default_rng(seed)
    started = np.sort(rng.uniform(0, n, n)).round(1)
    return rng.normal(size=(n, 1)), started, started + rng.exponential(overlap, n).round(1)


def bounds_of(errors):
    outputs, censored = np.array([0]), np.zeros(errors.shape, dtype=bool)
    split = CalibrationSplit(errors, -errors, censored)
    return GroupQuantiles.calibrated(outputs, split, np.zeros(len(errors), int), WINDOW)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, PENDING), st.floats(0, 20), st.booleans(), st.integers(0, 10**6))
def test_each_run_is_held_to_the_bounds_of_its_start(n, overlap, in_pool, seed):
    errors, started, ended = overlapping_errors(n, seed, overlap)
    start = bounds_of(np.random.default_rng(1).normal(size=(30, 1)))
    pools = {"above": PoolShares(2)} if in_pool else None
    fast = AdaptiveGroup(start, ["above"], 1, pools)
    order = np.argsort(ended, kind="stable")
    censored = np.zeros((n, 1), dtype=bool)
    split = CalibrationSplit(errors[order], -errors[order], censored)
    fast.learn(split, started[order], ended[order])

    # The same, from the state after every run, and none forgotten.
    pool = PoolShares(2) if in_pool else None
    slow = AdaptiveBound(start.newest["above"], pool)
    states = [(-np.inf, slow.at_tails())]
    for row in order:
        in_force = [bounds for since, bounds in states if since <= started[row]][-1]
        slow.step(errors[row, 0], in_force=in_force, ended=ended[row])
        states.append((ended[row], slow.at_tails()))
    np.testing.assert_allclose(
        fast.errors("above", 1 - np.array(TAILS))[0], slow.bounds(TAILS), rtol=1e-12
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 60), st.integers(1, 20), st.floats(0, 100), st.integers(0, 10**6))
def test_a_pool_has_at_each_time_what_it_had_learned_by_then(n, n_series, time, seed):
    rng = np.random.default_rng(seed)
    ended = np.sort(rng.uniform(0, 100, n)).round()
    missed = rng.random((n, len(TAILS))) < 0.3
    pool = PoolShares(n_series)
    for row in range(n):
        pool.learn(missed[row].tolist(), ended[row])
    for index, tail in enumerate(TAILS):
        move = 0.0
        for moment in np.unique(ended[ended <= time]):
            new = missed[ended == moment, index]
            worth = len(new) / (1 + (len(new) - 1) * POOL_ALIKE)
            move -= POOL_RATE / n_series * worth * (new.mean() - tail)
            move = min(max(move, POOL_REACH[0] * tail), POOL_REACH[1] * tail)
        assert pool.at(time)[index] == pytest.approx(move)


def test_a_pool_finds_out_soon_that_all_bounds_are_too_wide():
    rng = np.random.default_rng(0)
    share = {}
    for in_pool in (False, True):
        pool = PoolShares(40) if in_pool else None
        states = [AdaptiveBound(rng.normal(0, 5, 50), pool) for _ in range(40)]
        missed = 0
        for _ in range(40):
            in_force = [state.at_tails() for state in states]
            errors = rng.normal(size=40)
            missed += sum(
                e > bounds[TAILS.index(0.1)] for e, bounds in zip(errors, in_force, strict=True)
            )
            for state, error, bounds in zip(states, errors, in_force, strict=True):
                state.step(error, in_force=bounds)
        share[in_pool] = missed / 1600
    assert share[False] < 0.04
    assert share[True] == pytest.approx(0.1, abs=0.03)


# Through the estimator


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=300, n_jobs=2, random_state=0)


@pytest.mark.parametrize(
    ("simultaneous", "symmetric"),
    [
        ("none", True),
        ("both", False),
        pytest.param("jobs", True, marks=pytest.mark.slow),
        pytest.param("horizon", False, marks=pytest.mark.slow),
    ],
)
def test_updated_intervals_cover_a_level_shift(simultaneous, symmetric):
    rng = np.random.default_rng(0)
    n, n_outputs = 1500, 4
    X = rng.uniform(50, 100, (n, n_outputs))
    y = X * np.exp(rng.normal(0, 0.2, (n, n_outputs)))
    y[600:] *= 1.6
    options = {"simultaneous": simultaneous, "symmetric": symmetric, "horizon": 2}
    model = ConformalForecaster(Columns(), 0.9, cv="prefit", **options).fit(X[:200], y[:200])
    static = clone(model).fit(X[:200], y[:200])
    inside = np.zeros((n - 200, n_outputs), dtype=bool)
    for t in range(200, n):
        low, high = np.moveaxis(model.predict_interval(X[t : t + 1])[0], 1, 0)
        inside[t - 200] = (low <= y[t]) & (y[t] <= high)
        model.update(None, y[t : t + 1], forecast=X[t : t + 1])
    shape = inside.reshape(-1, 2, 2)
    together = {
        "none": inside,
        "jobs": shape.all(axis=2),
        "horizon": shape.all(axis=1),
        "both": inside.all(axis=1),
    }[simultaneous]
    np.testing.assert_allclose(together.mean(axis=0), 0.9, atol=0.03)
    low, high = np.moveaxis(static.predict_interval(X[600:]), 2, 0)
    assert ((low <= y[600:]) & (y[600:] <= high)).mean() < 0.6  # the shift is one


class Columns(RollingRule):
    """Forecasts X itself."""

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return np.asarray(X)


def test_update_of_rows_is_the_update_of_their_forecasts(runs):
    y = make_targets(runs)
    model = ConformalForecaster(RollingRule()).fit(runs[:200], y[:200])
    by_rows, by_forecasts = (pickle.loads(pickle.dumps(model)) for _ in range(2))
    by_rows.update(runs[200:], y[200:])
    for t in range(200, 300):
        forecast = model.predict(runs[:300])[t : t + 1]
        by_forecasts.update(None, y[t : t + 1], forecast=forecast)
    whole = runs[200:]
    np.testing.assert_array_equal(
        by_rows.predict_interval(whole), by_forecasts.predict_interval(whole)
    )


def test_updated_rows_are_history(runs):
    y = make_targets(runs)
    model = ConformalForecaster(RollingRule()).fit(runs[:200], y[:200])
    expected = model.predict(runs)[290:]
    assert not np.allclose(model.predict(runs[290:]), expected)
    model.update(runs[200:250], y[200:250]).update(runs[250:290], y[250:290])
    np.testing.assert_array_equal(model.predict(runs[290:]), expected)
    model.update(runs[280:290], np.full_like(y[280:290], np.nan))  # fed again, nothing new
    np.testing.assert_array_equal(model.predict(runs[290:]), expected)


def test_predict_changes_nothing(runs):
    y = make_targets(runs)
    model = ConformalForecaster(RollingRule()).fit(runs[:200], y[:200]).update(runs[200:], y[200:])
    before = pickle.dumps(model)
    model.predict(runs)
    model.predict_interval(runs, 0.8)
    model.predict_upper(runs)
    assert pickle.dumps(model) == before


def test_a_pickle_after_updates_goes_on_exactly():
    rng = np.random.default_rng(0)
    X = rng.uniform(50, 100, (400, 3))
    y = X * np.exp(rng.normal(0, 0.2, X.shape))
    model = ConformalForecaster(Columns(), cv="prefit").fit(X[:100], y[:100])
    model.update(None, y[100:250], forecast=X[100:250])
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.update(None, y[250:], forecast=X[250:])
    levels = [0.5, 0.77, 0.9]
    np.testing.assert_array_equal(
        model.predict_interval(X, levels), again.predict_interval(X, levels)
    )
    np.testing.assert_array_equal(model.drift_, again.drift_)


def test_a_target_not_observed_changes_nothing_and_may_follow_later():
    rng = np.random.default_rng(0)
    X = rng.uniform(50, 100, (60, 2))
    y = X * np.exp(rng.normal(0, 0.2, X.shape))
    model = ConformalForecaster(Columns(), 0.8, cv="prefit").fit(X[:40], y[:40])
    at_once = clone(model).fit(X[:40], y[:40]).update(None, y[40:], forecast=X[40:])
    now, later = y[40:].copy(), y[40:].copy()
    now[:, 1] = later[:, 0] = np.nan
    model.update(None, now, forecast=X[40:]).update(None, later, forecast=X[40:])
    np.testing.assert_array_equal(model.predict_interval(X), at_once.predict_interval(X))


def test_the_alarm_sounds_once_and_names_the_direction():
    rng = np.random.default_rng(0)
    X = np.full((500, 1), 100.0)
    y = X * np.exp(rng.normal(0, 0.1, X.shape))
    y[300:] *= 2
    model = ConformalForecaster(Columns(), cv="prefit").fit(X[:200], y[:200])
    advised = []
    for t in range(200, 500):
        model.update(None, y[t : t + 1], forecast=X[t : t + 1])
        if model.refit_advised_:
            advised.append(t)
            assert model.drift_.tolist() == [1.0]
    assert len(advised) == 1
    assert 300 <= advised[0] < 310


@pytest.mark.parametrize("simultaneous", ["none", "both"])
def test_right_censored_runs_widen_the_bounds_of_a_scheduler(simultaneous):
    rng = np.random.default_rng(0)
    X = np.full((200, 2), 100.0)
    y = X * np.exp(rng.normal(0, 0.1, X.shape))
    model = ConformalForecaster(Columns(), cv="prefit", simultaneous=simultaneous).fit(X, y)
    missing, limit = np.full((5, 2), np.nan), np.full((5, 2), np.nan)
    limit[:, 0] = 200.0
    before = clone(model).fit(X, y).predict_upper(X[:1])
    after = model.update(None, missing, limit, forecast=X[:5]).predict_upper(X[:1])
    assert after[0, 0] > before[0, 0]


def test_chances_of_deadlines_know_of_updates():
    rng = np.random.default_rng(0)
    X = np.full((900, 1), 100.0)
    y = X * np.exp(rng.normal(0, 0.1, X.shape))
    y[100:] *= 2
    model = ConformalForecaster(Columns(), cv="prefit").fit(X[:100], y[:100])
    before = DurationDistribution.from_forecaster(model)
    assert before.done_by(100.0, 150.0) > 0.95
    limit = np.full_like(y[500:], np.nan)
    limit[::2] = 170.0
    new = np.where(np.isnan(limit), y[500:], np.nan)
    model.update(None, y[100:500], forecast=X[100:500]).update(None, new, limit, forecast=X[500:])
    assert model.n_calibration_ == 100
    forecasts, targets, at_least = model.calibration_set()
    np.testing.assert_array_equal(targets[:500], y[:500])
    np.testing.assert_array_equal(targets[500:], new)
    np.testing.assert_array_equal(at_least[500:], limit)
    assert forecasts.shape == (900, 1)
    assert DurationDistribution.from_forecaster(model).done_by(100.0, 150.0) < 0.2
    newest = DurationDistribution.from_forecaster(model, n_newest=200)
    assert newest.done_by(100.0, 150.0) < 0.05
    model.update(None, y[:400], forecast=X[:400])
    np.testing.assert_array_equal(model.calibration_set()[1][:100], y[:100])
    assert len(model.calibration_set()[0]) == 1100  # the newest thousand that were new


def test_wrong_shapes_are_named():
    X = np.full((40, 2), 100.0)
    model = ConformalForecaster(Columns(), cv="prefit").fit(X, X)
    with pytest.raises(ValueError, match="expected one for each"):
        model.update(None, X[:3], forecast=X[:2])
    with pytest.raises(ValueError, match="infinity"):
        model.update(None, X[:3], forecast=X[:3] * np.inf)


def test_an_update_costs_the_same_few_calls_however_many_came_before(calls_of):
    rng = np.random.default_rng(0)
    X = np.full((300, 1), 100.0)
    y = X * np.exp(rng.normal(0, 0.1, X.shape))
    model = ConformalForecaster(Columns(), cv="prefit").fit(X, y)
    rows = 100.0 * np.exp(rng.normal(0, 0.1, (3_000, 1, 1)))
    forecast = np.full((1, 1), 100.0)
    calls, sizes = [], []
    for part in rows.reshape(2, 1_500, 1, 1):
        for row in part[:-20]:
            model.update(None, row, forecast=forecast)
        last = part[-20:]
        calls.append(
            max(
                calls_of(lambda row=row: model.update(None, row, forecast=forecast)) for row in last
            )
        )
        sizes.append(len(pickle.dumps(model)))
    assert calls[1] <= calls[0] + 5  # a bound beyond the window takes two more
    assert calls[0] < 400  # 227: benchmarks/adaptive.py has the time
    assert sizes[1] <= sizes[0] + 100


def test_the_first_update_does_not_take_runs_that_were_cut_off_as_ended():
    rng = np.random.default_rng(0)
    took = 100 * np.exp(rng.normal(size=200) * 0.5)
    cut = took > 150  # a fifth
    X, at_least = np.zeros((200, 1)), np.where(cut, 150.0, np.nan)
    model = ConformalForecaster(DummyRegressor(strategy="constant", constant=100.0), cv="prefit")
    model.estimator.fit(X, took)
    model.fit(X, np.where(cut, np.nan, took), at_least)
    assert np.isinf(model.predict_upper([[0.0]], 0.9))
    model.update([[0.0]], [100.0])
    assert np.isinf(model.predict_upper([[0.0]], 0.9))
    assert 100 < model.predict_upper([[0.0]], 0.7)[0, 0] < 150
