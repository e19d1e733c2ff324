"""Runs that took unusually long or short: p-values, false alarms, and what is said of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.linear_model import Ridge

from sklearn_jobtime._wording import human_seconds
from sklearn_jobtime.anomaly import JobTimeAnomalyDetector
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.compose import AnchoredRegressor
from sklearn_jobtime.conformal._p_values import conformal_p_values
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.runs import observed_durations

NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


def nightly(seconds, start="2026-01-01", **columns):
    """A table of nightly runs; columns of `seconds` are jobs."""
    seconds = np.asarray(seconds, dtype=float).reshape(len(seconds), -1)
    started = pd.date_range(start, periods=len(seconds), freq="D", tz="UTC")
    table = pd.DataFrame(seconds, columns=[f"job_{k}" for k in range(seconds.shape[1])])
    ended = started + pd.to_timedelta(np.nan_to_num(seconds, posinf=0).max(axis=1), unit="s")
    return table.assign(started_at=started, ended_at=ended, **columns)


def usual(n, n_jobs=1, sigma=0.1, seed=0):
    return 600 * np.exp(sigma * np.random.default_rng(seed).normal(size=(n, n_jobs)))


def watching(**params):
    return JobTimeAnomalyDetector(**{"whole_run": False, "contamination": 0.02, **params})


@settings(deadline=None, max_examples=30)
@given(NUMBERS, NUMBERS)
def test_p_values_are_the_share_as_large_itself_included(values, reference):
    p = conformal_p_values(np.array(values), np.sort(reference), is_in_reference=False)
    naive = [
        (1 + sum(other >= value for other in reference)) / (len(reference) + 1) for value in values
    ]
    np.testing.assert_allclose(p, naive)
    own = conformal_p_values(np.array(reference), np.sort(reference), is_in_reference=True)
    naive = [sum(o >= value for o in reference) / len(reference) for value in reference]
    np.testing.assert_allclose(own, naive)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 3), st.floats(0.2, 6.0))
def test_score_is_that_of_full_conformal_prediction(seed, n_jobs, factor):
    table = nightly(usual(60, n_jobs, seed=seed))
    detector = watching(forecaster=RollingRule("median")).fit(table[:59])
    new = table[59:].copy()
    new["job_0"] *= factor
    p = detector.score_samples(new)[0]

    inner = detector.forecaster_
    old = np.log(inner.calibration_targets_ / inner.calibration_forecasts_)
    own = np.log(new[inner.target_names_.get_level_values(1)] / inner.predict(new).reshape(1, -1))
    errors = np.concatenate([old, own])
    naive = []
    for way in (1, -1):
        sizes = np.maximum(way * errors, 0)
        with np.errstate(invalid="ignore"):
            largest = np.nan_to_num(sizes / sizes.mean(axis=0)).max(axis=1)
        naive.append(np.mean(largest >= largest[-1] * (1 - 1e-9)))
    assert p == pytest.approx(min(1.0, 2 * min(naive)))


def test_runs_of_fit_are_compared_with_the_others_only():
    table = nightly(usual(200))
    detector = watching(contamination=0.05)
    assert (detector.fit_predict(table) == -1).sum() == 10
    p = np.sort(detector.score_samples(table))
    np.testing.assert_allclose(p[p < 0.9], np.repeat(np.arange(2, 201, 2) / 200, 2)[p < 0.9])


def test_new_rows_alone_have_the_history_of_fit():
    runs = make_job_runs(n_runs=260, n_jobs=3, random_state=1)
    detector = watching().fit(runs[:200])
    np.testing.assert_allclose(
        detector.score_samples(runs)[200:], detector.score_samples(runs[200:])
    )


def test_what_becomes_of_later_runs_changes_nothing():
    runs = make_job_runs(n_runs=160, n_jobs=2, failure_rate=0, random_state=2)
    detector = watching().fit(runs[:120])
    changed = runs[120:].copy()
    changed.iloc[25:, changed.columns.get_loc("job_0")] *= 7
    before, after = (detector.p_values(table) for table in (runs[120:], changed))
    pd.testing.assert_frame_equal(before[:25], after[:25])
    assert (after["job_0"][25:26] < before["job_0"][25:26]).all()


def test_too_long_and_too_short_are_told_with_seconds():
    table = nightly(usual(300, 2))
    detector = watching().fit(table[:250])
    tonight = table[250:].copy()
    tonight.loc[260, "job_1"] *= 3
    tonight.loc[270, "job_0"] /= 3
    assert (detector.predict(tonight) == -1)[[10, 20]].all()
    alarms = detector.alarms(tonight)
    assert alarms.loc[260, "job"] == "job_1"
    assert alarms.loc[260, "direction"] == "long"
    assert alarms.loc[270, "job"] == "job_0"
    assert alarms.loc[270, "direction"] == "short"
    for row, word in ((260, "more"), (270, "less")):
        alarm = alarms.loc[row]
        assert f"took {human_seconds(alarm['seconds'])}," in alarm["why"]
        assert f"({human_seconds(alarm['expected_seconds'])}, " in alarm["why"]
        assert word in alarm["why"]


def test_jobs_that_were_not_observed_are_not_judged():
    table = nightly(usual(150, 2))
    table["job_0__status"] = "success"
    detector = watching().fit(table[:120])
    tonight = table[120:].copy()
    tonight.loc[125, "job_0"] = 9e9
    tonight.loc[125, "job_0__status"] = "failed"
    tonight.loc[130, ["job_0", "job_1"]] = np.nan
    score = detector.score_samples(tonight)
    assert np.isfinite(score).all()
    assert detector.predict(tonight)[5] == 1
    assert score[10] == 1.0
    assert np.isnan(detector.p_values(tonight).loc[125, "job_0"])


def test_a_level_shift_is_an_alarm_for_a_while_only():
    seconds = usual(400)
    seconds[300:] *= 3
    table = nightly(seconds)
    called = watching().fit(table[:300]).predict(table[300:]) == -1
    assert called[0]
    assert called[30:].mean() < 0.1


def test_a_season_is_no_alarm():
    seconds = usual(420)
    seconds[5::7] *= 4
    table = nightly(seconds)
    called = watching().fit(table[:350]).predict(table[350:]) == -1
    assert called[5::7].mean() <= 0.2
    assert called.mean() < 0.1


def test_series_are_judged_by_their_own_level():
    quick, slow = usual(150, seed=1) / 100, usual(150, seed=2) * 10
    tables = [nightly(quick), nightly(slow)]
    both = pd.concat(tables, keys=["quick", "slow"], names=["series", "run"])
    old = both.groupby(level=0).head(120)
    new = both.groupby(level=0).tail(30).copy()
    new.loc[("quick", 130), "job_0"] = slow[130, 0]  # usual for the other series
    alarms = watching().fit(old).alarms(new)
    assert ("quick", 130) in alarms.index
    assert "quick" in alarms.loc[("quick", 130), "why"]


def test_false_discoveries_are_controlled_over_many_jobs():
    rng = np.random.default_rng(3)
    table = nightly(usual(1030, 10, seed=3))
    names = [f"job_{k}" for k in range(10)]
    detector = watching(forecaster=RollingRule("median", n_runs=20)).fit(table[:1000])
    tonight = table[1000:].copy()
    is_odd = rng.random((30, 10)) < 0.1
    tonight[names] = tonight[names] * np.where(is_odd, 4.0, 1.0)
    found = detector.alarms(tonight, false_discovery_rate=0.1)
    odd = {(1000 + row, names[k]) for row, k in zip(*np.nonzero(is_odd), strict=True)}
    listed = set(zip(found.index, found["job"], strict=True))
    assert len(odd & listed) >= 0.9 * len(odd)
    # After an odd run the forecasts move a little, so a few more than a tenth may be false.
    assert len(listed - odd) <= 0.2 * len(listed)
    assert (found["p_value"] <= 0.1).all()


def test_a_trained_forecaster_is_calibrated_on_runs_that_it_has_not_seen():
    table = nightly(usual(300, 2))
    model = AnchoredRegressor(Ridge(), RollingRule("median"))
    plain = table.drop(columns=["started_at", "ended_at"])
    detector = watching(forecaster=model, contamination=0.05).fit(plain[:200])
    assert detector.n_calibration_ == 100
    score = detector.score_samples(plain[:200])
    assert ((score > 0) & (score <= 1)).all()
    assert (detector.predict(plain[200:]) == -1).mean() < 0.15


def test_too_few_runs_are_said_so(caplog):
    table = nightly(usual(60))
    detector = watching().fit(table[:40])
    assert "at least 99" in caplog.text
    assert detector.least_p_value_ == 2 / 41
    assert detector.alarms(table[40:]).empty
    assert (detector.predict(table[40:]) == 1).all()


@st.composite
def histories(draw):
    """Two series of runs that overlap, with jobs that failed, were not observed or took no time."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    chances = draw(CHANCES)
    tables = []
    for _ in range(2):
        seconds = rng.choice([0.0, 30.0, 600.0, 9e4, np.nan, np.inf], size=(40, 2), p=chances)
        table = nightly(seconds)
        table["ended_at"] = table["started_at"] + pd.to_timedelta(rng.uniform(0, 3, 40), unit="D")
        states = ["success", "failed", "cancelled"]
        table["job_0__status"] = rng.choice(states, 40, p=[0.8, 0.1, 0.1])
        tables.append(table)
    return pd.concat(tables, keys=["etl", "ci"], names=["series", "run"])


CHANCES = st.sampled_from([(0.1, 0.2, 0.5, 0.1, 0.05, 0.05), (0.0, 0.0, 0.5, 0.0, 0.5, 0.0)])


@settings(deadline=None, max_examples=8)
@given(histories(), st.integers(0, 15), st.sampled_from([None, RollingRule("median")]))
def test_scores_are_never_nan_and_only_of_what_was_known(runs, row, forecaster):
    run = runs.index.get_level_values("run")
    old, new = runs[run < 24], runs[run >= 24]
    jobs = ["job_0", "job_1"]
    detector = watching(forecaster=forecaster, contamination=0.2, jobs=jobs).fit(old)
    score, p = detector.score_samples(new), detector.p_values(new)
    assert ((score > 0) & (score <= 1)).all()
    observed = observed_durations(new, jobs)[jobs]
    np.testing.assert_array_equal(p.isna(), observed.isna())
    assert not ((p <= 0) | (p > 1)).any(axis=None)
    alarms = detector.alarms(new)
    assert alarms.index.isin(new.index).all()
    assert np.isfinite(alarms[["seconds", "expected_seconds", "p_value"]]).all(axis=None)

    # Whatever becomes of runs that end after the start of one run says nothing about that run.
    start = new["started_at"].iloc[row]
    later = (new["ended_at"] > start) & (np.arange(len(new)) != row)
    changed = new.copy()
    changed.loc[later, jobs] = 12_345.0
    changed.loc[later, "job_0__status"] = "success"
    assert detector.score_samples(changed)[row] == score[row]


def test_the_zone_of_the_times_and_the_order_of_the_series_change_nothing():
    runs = make_job_runs(n_runs=90, n_jobs=2, n_series=2, random_state=3)
    run = runs.index.get_level_values("run")
    new = runs[run >= 70]
    detector = JobTimeAnomalyDetector(contamination=0.05).fit(runs[run < 70])
    score = pd.Series(detector.score_samples(new), new.index)
    times = ["started_at", "ended_at"]
    abroad = new.assign(**{name: new[name].dt.tz_convert("Asia/Tokyo") for name in times})
    naive = new.assign(**{name: new[name].dt.tz_localize(None) for name in times})
    for same in (abroad, naive, new.sort_index(level="series", sort_remaining=False)):
        np.testing.assert_array_equal(detector.score_samples(same), score[same.index])


def test_an_alarm_is_told_by_the_job_that_was_furthest_off():
    table = nightly(usual(200, 3))
    detector = watching().fit(table[:150])
    tonight = table[150:].copy()
    tonight.loc[170, ["job_0", "job_1", "job_2"]] *= [5.0, 50.0, 6.0]
    alarm = detector.alarms(tonight).loc[170]
    assert alarm["job"] == "job_1"
    assert alarm["p_value"] == 2 / 151
    assert "p-value 1.32 %, compared with 150 runs" in alarm["why"]


def test_a_run_of_fit_told_anew_with_another_time_has_a_p_value():
    table = nightly(usual(200))
    detector = watching().fit(table)
    table.loc[100, "job_0"] *= 50
    assert detector.score_samples(table)[100] == 2 / 200
    assert detector.p_values(table).loc[100, "job_0"] == 2 / 200


def test_bad_tables_get_an_error_that_helps():
    table = nightly(usual(30))
    with pytest.raises(RunTableError, match="negative"):
        watching().fit(table.assign(job_0=-1.0))
    with pytest.raises(NoHistoryError, match="30 runs"):
        watching().fit(table.assign(job_0=np.nan))
    with pytest.raises(ValueError, match="contamination"):
        watching(contamination=0.7).fit(table)
    with pytest.raises(ValueError, match="feature names"):
        watching().fit(table).predict(table.rename(columns={"job_0": "other"}))


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_asked():
    """One new run of each of 250 histories: the number of alarms is binomial."""
    n_sets, contamination, alarms = 250, 0.05, 0
    for seed in range(n_sets):
        seconds = usual(200, 3, sigma=0.5, seed=seed)
        detector = watching(forecaster=RollingRule("median"), contamination=contamination)
        alarms += (detector.fit(seconds[:-1]).predict(seconds[-1:]) == -1).sum()
    low, high = binom.interval(0.999, n_sets, contamination)
    assert low <= alarms <= high


def test_runs_of_one_series_are_judged_by_a_detector_of_many_without_times():
    index = pd.MultiIndex.from_product([["a", "b", "c"], range(3)])
    runs = pd.DataFrame({"job": np.arange(1.0, 10.0)}, index)
    detector = JobTimeAnomalyDetector().fit(runs[:-1])
    assert len(detector.p_values(runs[-1:])) == 1
    again = detector.p_values(runs[:2])["job"]  # not compared with themselves
    assert again.notna().all()
