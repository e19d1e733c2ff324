"""Whether chances came true is counted right, also where runs were cut off."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster, DurationDistribution
from sklearn_jobtime.evaluation import (
    expected_calibration_error,
    holdout_events,
    reliability,
    reliability_of_deadlines,
)
from sklearn_jobtime.runs import make_lower_bounds, make_targets, split_by_time

KNOWN = DurationDistribution(np.full(20, 10.0), np.linspace(5, 24, 20))


def lognormal_runs(rng, n, spread=0.4):
    forecasts = 60 * rng.lognormal(0, 1, (n, 2))
    return forecasts, forecasts * rng.lognormal(0, spread, (n, 2))


KNOWN_OF_TWO = DurationDistribution(*lognormal_runs(np.random.default_rng(0), 300))


def calibration_error(events, sample_weight=None):
    table = reliability(events["probability"], events["happened"], sample_weight=sample_weight)
    return expected_calibration_error(table)


def test_chances_are_calibrated_on_later_runs_and_the_table_shows_where_they_are_not():
    rng = np.random.default_rng(0)
    known = DurationDistribution(*lognormal_runs(rng, 500))
    events = holdout_events(known, *lognormal_runs(rng, 1000))
    table = reliability(events["probability"], events["happened"])
    assert expected_calibration_error(table) < 0.03
    assert table["n"].sum() == len(events)
    assert calibration_error(holdout_events(known, *lognormal_runs(rng, 1000, spread=1.5))) > 0.1


def test_a_run_that_was_cut_off_answers_what_it_can_and_is_stood_for_where_it_cannot():
    events = holdout_events(
        KNOWN, [[10.0], [10.0]], [[np.nan], [12.0]], [[11.0], [np.nan]], multiples=[1.0, 1.5],
        elapsed=[0.0, 1.15],
    )  # fmt: skip
    asked = events[["row", "elapsed", "deadline", "happened", "weight"]].to_numpy().tolist()
    assert asked == [
        [0, 0.0, 1.0, False, 1.0],
        [1, 0.0, 1.0, False, 1.0],
        [1, 0.0, 1.5, True, 2.0],
        [1, 1.15, 1.5, True, 1.0],
    ]


@st.composite
def cut_off_runs(draw):
    """Forecasts of 60 s, durations and bounds of one output, many of them equal."""
    n = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    took = np.round(60 * rng.lognormal(0, draw(st.sampled_from([0.0, 0.5])), n) / 15) * 15 + 15
    cut = rng.random(n) < draw(st.sampled_from([0.0, 0.3, 0.9]))
    at_least = np.where(cut, np.maximum(took - 15 * rng.integers(0, 4, n), 15), np.nan)
    return np.full((n, 1), 60.0), np.where(cut, np.nan, took)[:, None], at_least[:, None]


@settings(deadline=None, max_examples=30)
@given(cut_off_runs())
def test_the_weighted_share_of_each_question_is_that_of_kaplan_and_meier(runs):
    _, took, at_least = runs
    events = holdout_events(KNOWN, *runs).groupby(["elapsed", "deadline"])
    reached = np.where(np.isnan(took), at_least, took)
    for elapsed in (0.0, 0.5, 1.0, 1.5):
        asked = reached > 60 * elapsed
        ended, cut = took[asked & ~np.isnan(took)], at_least[asked & ~np.isnan(at_least)]
        for deadline in (0.75, 1.0, 1.1, 1.5, 2.0, 3.0):
            if deadline <= elapsed or not asked.any():
                continue
            limit = 60 * deadline
            done = 0.0
            if len(ended):
                done = stats.ecdf(stats.CensoredData(ended, right=cut)).cdf.evaluate(limit)
            known_beyond = (ended > limit).any() or (cut >= limit).any()
            if not known_beyond and done < 1 - 1e-9:
                assert (elapsed, deadline) not in events.groups
                continue
            found = events.get_group((elapsed, deadline))
            assert found["weight"].sum() == pytest.approx(asked.sum())
            share = np.average(found["happened"], weights=found["weight"])
            assert share == pytest.approx(done, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_without_cut_off_runs_every_answer_counts_once(seed, n):
    runs = lognormal_runs(np.random.default_rng(seed), n)
    events = holdout_events(KNOWN_OF_TWO, *runs, np.full((n, 2), np.nan))
    pd.testing.assert_frame_equal(events, holdout_events(KNOWN_OF_TWO, *runs))
    assert (events["weight"] == 1).all()
    table = reliability(events["probability"], events["happened"], sample_weight=events["weight"])
    pd.testing.assert_frame_equal(table, reliability(events["probability"], events["happened"]))
    tens = np.minimum((events["probability"] * 10 + 1e-9).astype(int), 9)
    for (_, answers), (_, row) in zip(events.groupby(tens), table.iterrows(), strict=True):
        exact = stats.binomtest(int(answers["happened"].sum()), len(answers)).proportion_ci(0.95)
        assert row["n"] == len(answers)
        assert row["predicted"] == pytest.approx(answers["probability"].mean())
        assert row["observed"] == pytest.approx(answers["happened"].mean())
        assert (row["observed_low"], row["observed_high"]) == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("kind", ["at random", "by a limit"])
def test_chances_that_are_right_look_right_where_a_fifth_of_the_runs_was_cut_off(kind):
    rng = np.random.default_rng(1)
    known = DurationDistribution(*lognormal_runs(rng, 2000))
    forecasts, took = lognormal_runs(rng, 2000)
    limits = 1.8 * forecasts * rng.lognormal(0, 0.6, took.shape)
    if kind == "by a limit":  # the same for all, so it cuts off those with a long forecast
        limits = np.full(took.shape, 150.0)
    cut = limits < took
    assert 0.17 < cut.mean() < 0.23
    targets, at_least = np.where(cut, np.nan, took), np.where(cut, limits, np.nan)
    weighted = holdout_events(known, forecasts, targets, at_least)
    in_truth = calibration_error(holdout_events(known, forecasts, took))
    error = calibration_error(weighted, weighted["weight"])
    left_out = calibration_error(holdout_events(known, forecasts, targets))
    never_done = calibration_error(holdout_events(known, forecasts, np.where(cut, 1e9, took)))
    assert in_truth < 0.015
    assert error < 0.015
    assert left_out > max(0.03, 3 * error)
    assert never_done > 0.06
    assert calibration_error(weighted) > 1.5 * error  # only what is surely not done


def test_the_table_of_a_model_counts_runs_that_timed_out_and_those_that_still_run():
    rng = np.random.default_rng(0)
    n = 4000
    took, limits = 600 * rng.lognormal(0, 0.4, n), 1100 * rng.lognormal(0, 0.6, n)
    started = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(np.arange(n), unit="h")
    runs = pd.DataFrame({"started_at": started, "build": np.minimum(took, limits)})
    runs["build__status"] = np.where(took > limits, "timeout", "success")
    runs["ended_at"] = started + pd.to_timedelta(runs["build"], unit="s")
    train, is_test = split_by_time(runs, 0.5)
    model = ConformalForecaster(RollingRule("median"))
    model.fit(train, make_targets(train), make_lower_bounds(train))
    right = expected_calibration_error(reliability_of_deadlines(model, runs, is_test))
    known = DurationDistribution.from_forecaster(model)
    without = holdout_events(known, model.predict(runs)[is_test], make_targets(runs)[is_test])
    assert right < 0.03
    assert calibration_error(without) > 0.04

    now = started[-1] + pd.Timedelta("5min")
    runs.loc[n - 1, ["build", "build__status", "ended_at"]] = np.nan, None, pd.NaT
    later, running = (
        reliability_of_deadlines(model, runs, is_test, now=moment) for moment in (None, now)
    )
    assert running["n"].sum() > later["n"].sum()


def test_reliability_has_exact_bounds_and_wants_probabilities():
    table = reliability([0.05, 0.95, 1.0], [0, 1, 1])
    assert table["observed_high"].iloc[0] == pytest.approx(1 - 0.025)  # none of one
    assert table["observed_low"].iloc[1] == pytest.approx(0.025**0.5)
    assert reliability([], []).empty
    with pytest.raises(ValueError, match="one outcome"):
        reliability([0.5], [1, 0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability([1.5], [1])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_equal_weights_change_nothing_and_unequal_ones_widen_the_bounds(answers):
    said, came = np.array(answers).T
    table = reliability(said, came)
    pd.testing.assert_frame_equal(table, reliability(said, came, sample_weight=[3.0] * len(said)))
    doubled = reliability(np.tile(said, 2), np.tile(came, 2))
    uneven = reliability(
        np.tile(said, 2), np.tile(came, 2), sample_weight=np.repeat([1.0, 5.0], len(said))
    )
    np.testing.assert_allclose(uneven["observed"], doubled["observed"])
    width, narrow = (t["observed_high"] - t["observed_low"] for t in (uneven, doubled))
    assert (width > narrow).all()
