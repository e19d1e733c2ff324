"""The chance to be done in time: a count of calibration runs, consistent in time, calibrated."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster, DurationDistribution
from sklearn_jobtime.conformal._ratio_curve import LEAST_SCALE, ratio_curve
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError, TooFewRunsWarning
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.runs import make_targets


@st.composite
def calibration_runs(draw, least=1):
    """Forecasts, durations and bounds of one output, some runs cut off, some equal."""
    n = draw(st.integers(least, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    took = np.round(60 * rng.lognormal(0, draw(st.sampled_from([0.0, 0.3, 1.0])), n), 1)
    cut = rng.random(n) < draw(st.sampled_from([0.0, 0.3]))
    cut[0] = False
    at_least = np.where(cut, took * rng.random(n), np.nan)
    return np.full(n, 60.0), np.where(cut, np.nan, took), at_least


def share_done(known, moment, forecast=60.0):
    """Kaplan and Meier by scipy, with one more run that outlasts all."""
    _, took, at_least = known
    ended, cut = took[~np.isnan(took)], at_least[~np.isnan(at_least)]
    runs = stats.CensoredData(ended, right=np.append(cut, 1e12))
    return stats.ecdf(runs).cdf.evaluate(moment * 60.0 / forecast * (1 + 1e-12))


@settings(deadline=None, max_examples=30)
@given(
    calibration_runs(), st.floats(1, 300), st.floats(0, 300), st.sampled_from([30.0, 60.0, 600.0])
)
def test_the_chance_is_a_share_of_calibration_runs(known, deadline, elapsed, forecast):
    distribution = DurationDistribution(*known)
    chance = distribution.done_by(forecast, deadline, elapsed)[0]
    if deadline <= elapsed:
        assert chance == 0
        return
    least = 1 / (len(known[0]) + 1)
    longest = np.nanmax(known[1]) * forecast / 60
    if deadline < longest * (1 - 1e-9):
        gone = share_done(known, elapsed, forecast)
        expected = (share_done(known, deadline, forecast) - gone) / (1 - gone)
        assert chance == pytest.approx(np.clip(expected, least, 1 - least), abs=1e-6)
    else:
        gone = share_done(known, min(elapsed, longest), forecast)
        last = (share_done(known, longest, forecast) - gone) / (1 - gone)
        assert max(last, least) - 1e-6 <= chance <= 1 - least


@settings(deadline=None, max_examples=30)
@given(calibration_runs(), st.floats(0, 1e5), st.floats(1.0, 1e4))
def test_chances_rise_with_the_deadline_to_the_most_that_n_runs_tell_and_agree_over_time(
    known, elapsed, forecast
):
    distribution = DurationDistribution(*known)
    deadlines = elapsed + np.concatenate([np.linspace(-50, 2000, 60), [1e12, np.inf]])
    column = np.full((len(deadlines), 1), forecast)
    chances = distribution.done_by(column, deadlines[:, None], elapsed)[:, 0]
    assert not np.isnan(chances).any()
    assert (np.diff(chances) >= 0).all()
    assert (chances[deadlines <= elapsed] == 0).all()
    least = 1 / (len(known[0]) + 1)
    assert (chances[deadlines > elapsed] >= least).all()
    assert chances[-1] == pytest.approx(1 - least)
    later = elapsed + 0.5 * forecast
    until = distribution.done_by(forecast, later, elapsed)
    after = distribution.done_by(column, deadlines[:, None], later)[:, 0]
    beyond = deadlines > later
    chain = until + (1 - until) * after[beyond]  # done until later, or else after it
    parts = np.stack([np.full(beyond.sum(), until[0]), after[beyond], chances[beyond]])
    is_inside = ((parts > least + 1e-9) & (parts < 1 - least - 1e-9)).all(axis=0)
    np.testing.assert_allclose(chances[beyond][is_inside], chain[is_inside], atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(calibration_runs(least=10), st.floats(0.05, 0.95))
def test_bounds_are_order_statistics_and_agree_with_the_chances(known, level):
    forecasts, took, _ = known
    complete = DurationDistribution(forecasts, np.where(np.isnan(took), 60.0, took))
    values = np.sort(np.where(np.isnan(took), 60.0, took))
    rank = int(np.ceil((len(values) + 1) * level - 1e-9))
    expected = values[rank - 1] if rank <= len(values) else np.inf
    assert complete.longest(60.0, level)[0] == pytest.approx(expected)
    rank = int(np.floor((len(values) + 1) * (1 - level) + 1e-9))
    expected = values[rank - 1] if rank else 0.0
    assert complete.shortest(60.0, level)[0] == pytest.approx(expected)
    distribution = DurationDistribution(*known)
    for elapsed in (0.0, 50.0, 80.0):
        longest = distribution.longest(60.0, level, elapsed)
        most = len(took) / (len(took) + 1)
        assert distribution.done_by(60.0, longest, elapsed) >= min(level, most) - 1e-6
        assert elapsed <= distribution.shortest(60.0, level, elapsed) < np.inf
        middle = distribution.median(60.0, elapsed)
        assert elapsed <= middle < np.inf
        if middle > elapsed:
            assert distribution.done_by(60.0, middle, elapsed) >= 0.5 - 1e-6


def test_the_bound_is_that_of_the_conformal_forecaster():
    runs = make_job_runs(n_runs=200, n_jobs=2, random_state=1)
    model = ConformalForecaster(RollingRule("median")).fit(runs, make_targets(runs, 2))
    known = DurationDistribution.from_forecaster(model)
    upper = model.predict_upper(runs, 0.9)
    np.testing.assert_allclose(known.longest(model.predict(runs), 0.9), upper, rtol=1e-9)


def test_a_bound_for_a_running_run_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n_sets, n, level = 4000, 40, 0.8
    took = 60 * rng.lognormal(0, 0.5, (n_sets, n + 1))
    inside = []
    for held, future in zip(took[:, :n], took[:, n], strict=True):
        if future > 50.0:  # it still runs
            inside.append(future <= DurationDistribution(np.full(n, 60.0), held).longest(
                60.0, level, 50.0)[0])  # fmt: skip
    low, high = stats.binomtest(sum(inside), len(inside)).proportion_ci(0.999)
    assert high >= level
    assert low <= level + 2 / 20  # one run more than the at least 20 or so that still ran


def test_a_time_out_that_few_good_runs_exceed():
    took = np.arange(1.0, 100.0)
    known = DurationDistribution(np.full(99, 50.0), took)
    assert known.timeout(50.0, 0.01)[0] == pytest.approx(99.0)
    with pytest.warns(TooFewRunsWarning, match="99 calibration runs .* it takes 199"):
        assert np.isinf(known.timeout(50.0, 0.005)).all()
    with pytest.raises(ValueError, match="share must be between"):
        known.timeout(50.0, 0.0)


def test_an_output_with_few_runs_takes_the_ratios_of_all():
    forecasts = np.full((20, 2), 10.0)
    took = np.column_stack([np.linspace(5, 24, 20), np.full(20, np.nan)])
    took[:3, 1] = 10.0
    known = DurationDistribution(forecasts, took)
    assert known.n_runs_.tolist() == [20, 3]
    both = known.done_by([10.0, 10.0], [14.0, 14.0])
    assert both == pytest.approx([10 / 21, 13 / 24])
    newest = DurationDistribution(forecasts[:, :1], took[:, :1], n_newest=10)
    assert newest.done_by(10.0, 14.0) == pytest.approx(1 / 11)
    assert known.n_counted_.tolist() == [20, 20]


@pytest.mark.parametrize("n", [1, 3, 10, 99])
@pytest.mark.parametrize("extreme", [1e-9, 1.0, 1e9])
def test_no_chance_is_closer_to_certainty_than_its_runs_tell(n, extreme):
    known = DurationDistribution(np.full(n, 60.0), np.linspace(50, 70, n) * extreme)
    for deadline in (1e-6, 1.0, 60.0, 1e9, 1e15, np.inf):
        assert 1 / (n + 1) <= known.done_by(60.0, deadline)[0] <= n / (n + 1)
    middle = known.median(60.0)
    assert known.done_by(60.0, middle)[0] >= 0.5 - 1e-9


@pytest.fixture(scope="module")
def nightly():
    runs = make_job_runs(n_runs=500, n_jobs=2, random_state=0)
    y = make_targets(runs, 2)
    model = ConformalForecaster(RollingRule("median")).fit(runs, y)
    return forecast(model, runs), DurationDistribution.from_forecaster(model)


def test_the_table_counts_clock_times_from_the_start_of_each_run(nightly):
    coming, known = nightly
    start = coming["started_at"].iloc[0]
    clock = start + pd.Timedelta("3h")
    found = known.table(coming, clock)
    first = found["step"] == 1
    assert (found.loc[first, "deadline"] == 3 * 3600).all()
    assert (found["elapsed"] == 0).all()
    same = known.table(coming, [clock.tz_convert("Asia/Tokyo")] * len(coming))
    pd.testing.assert_frame_equal(found, same)
    naive = known.table(coming, str(clock.tz_localize(None)))
    pd.testing.assert_frame_equal(found, naive)
    pd.testing.assert_frame_equal(found[first], known.table(coming, 3 * 3600.0)[first])
    assert (found["remaining_low"] <= found["remaining"]).all()
    assert (found["remaining"] <= found["remaining_high"]).all()
    assert found["done_by"].between(0, 1).all()
    assert not found["extrapolated"].any()


def test_the_table_knows_what_is_running(nightly):
    coming, known = nightly
    first = (coming["step"] == 1).to_numpy()
    start = coming["started_at"].iloc[0]
    before = known.table(coming, 3 * 3600.0, now=start - pd.Timedelta("1h"))
    pd.testing.assert_frame_equal(before, known.table(coming, 3 * 3600.0))
    later = known.table(coming, 3 * 3600.0, now=start + pd.Timedelta("2h"))
    assert (later.loc[first, "elapsed"] == 7200).all()
    assert (later.loc[~first, "elapsed"] == 0).all()  # the next run has not started
    for_ever = known.table(coming, 1e9 + 60.0, now=1e9)
    assert for_ever["extrapolated"].all()
    assert (for_ever["done_by"] > 0).all()
    assert np.isfinite(for_ever["remaining"]).all()
    assert np.isinf(for_ever["remaining_high"]).all()


def test_what_cannot_be_answered_is_said(nightly):
    coming, known = nightly
    with pytest.raises(RunTableError, match="clock time, but the forecasts have no column"):
        known.table(coming.drop(columns="started_at"), "2026-03-01")
    with pytest.raises(RunTableError, match="is not a time"):
        known.table(coming, "06:00")
    with pytest.raises(RunTableError, match="has no time"):
        known.table(coming, pd.NaT)
    with pytest.raises(RunTableError, match="no calibration runs of"):
        known.table(coming.replace({"job": {"job_0": "other"}}), 60.0)
    nameless = DurationDistribution([1.0], [1.0])
    with pytest.raises(ValueError, match="no names"):
        nameless.table(coming, 60.0)
    with pytest.raises(ValueError, match="expected 1: one"):
        nameless.done_by([1.0, 2.0], 3.0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        nameless.done_by(np.nan, 3.0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        nameless.done_by(1.0, np.inf, np.inf)
    with pytest.raises(NoHistoryError, match="none of the 2 calibration runs"):
        DurationDistribution([1.0, 1.0], [np.nan, np.nan], [5.0, np.nan])
    with pytest.raises(NoHistoryError, match="none of the 0 calibration runs"):
        DurationDistribution(np.empty((0, 2)), np.empty((0, 2)))
    with pytest.raises(ValueError, match="one value each"):
        DurationDistribution([1.0], [1.0, 2.0])


def cut_at_a_limit(n, seed, limit=150.0):
    """Runs around a forecast of 100 s, of which a limit cuts off those that take longer."""
    took = 100 * np.exp(np.random.default_rng(seed).normal(size=n) * 0.5)
    ended = took <= limit
    return DurationDistribution(
        np.full(n, 100.0), np.where(ended, took, np.nan), np.where(ended, np.nan, limit)
    )


def test_beyond_a_time_limit_the_chance_is_not_far_on_the_unsafe_side():
    deadlines = np.array([[200.0], [250.0], [300.0]])
    known = [cut_at_a_limit(500, seed) for seed in range(20)]
    said = np.mean([one.done_by(100.0, deadlines)[:, 0] for one in known], axis=0)
    true = stats.norm.cdf(np.log(deadlines[:, 0] / 100) / 0.5)
    assert (said < true + 0.01).all()
    assert (said > true - 0.04).all()
    assert all(one.extrapolated(100.0, deadlines).all() for one in known)
    assert not any(one.extrapolated(100.0, 140.0).any() for one in known)


def test_where_no_run_of_the_tail_ended_the_chance_is_not_known():
    took, cut = np.array([100.0, *[np.nan] * 4]), np.array([np.nan, *[150.0] * 4])
    known = DurationDistribution(np.full(5, 100.0), took, cut)
    said = known.done_by(100.0, [[99.0], [100.0], [101.0], [np.inf]])[:, 0]
    np.testing.assert_allclose(said, [1 / 6, 1 / 6, np.nan, 5 / 6])
    assert np.isnan(known.median(100.0))
    assert np.isinf(known.longest(100.0, 0.5))


def test_runs_that_all_ended_keep_the_tail_of_hill():
    ratios = np.arange(1.0, 31.0)
    curve = ratio_curve(ratios, np.full(30, False))
    assert curve.scale == pytest.approx(np.mean([1, 2, 3]))
    assert ratio_curve(np.ones(5), np.full(5, False)).scale == LEAST_SCALE
