"""Landings of runs: at their start, while they go on, and when they are over."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.conformal import online_update
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.landing import (
    LandingForecaster,
    WhatIf,
    compare_landings,
    landing_table,
    rank_jobs,
)
from sklearn_jobtime.runs import make_targets

CHAIN = "job_0>job_1>job_2>job_3"
JOBS = CHAIN.split(">")


@pytest.fixture(scope="module")
def history():
    return make_job_runs(
        n_runs=240, coupling=0.9, linkage=0.2, season=0.05, month_end=0, shift_every=None,
        starts=True, random_state=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(history):
    runs = history[:180]
    forecaster = LandingForecaster(OnlineMix(), CHAIN, n_paths=300, random_state=0)
    return forecaster.fit(runs, make_targets(runs))


def test_the_landing_of_a_chain_is_near_the_sum_of_its_forecasts(history, model):
    new = history[180:]
    durations = np.reshape(model.forecaster_.predict(new), (len(new), -1))[:, :4]
    landings = model.predict(new)
    np.testing.assert_allclose(landings[:, :4], durations.cumsum(axis=1), rtol=0.1)
    assert (np.diff(landings, axis=1) >= 0).all()
    assert model.score(new, make_targets(new)) > 0


def test_the_same_seed_gives_the_same_paths_and_fit_changes_no_global_state(history, model):
    before = np.random.mtrand._rand.get_state()[1].copy()
    runs, new = history[:180], history[180:184]
    again = clone(model).fit(runs, make_targets(runs))
    np.testing.assert_array_equal(again.sample_paths(new), model.sample_paths(new))
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], before)


def test_when_all_jobs_have_ended_the_forecast_is_what_happened(history, model):
    new = history[180:]
    new = new[(new[[f"{job}__status" for job in JOBS]] == "success").all(axis=1)]
    over = (new["ended_at"] - new["started_at"]).dt.total_seconds().to_numpy()
    actual = model.landings(new, make_targets(new))
    paths = model.sample_paths(new, now=over + 1)
    np.testing.assert_allclose(paths, np.repeat(actual[:, None], 300, axis=1), rtol=1e-9)
    intervals = model.predict_interval(new, now=over + 1)
    np.testing.assert_allclose(intervals[..., 0], actual)
    np.testing.assert_allclose(intervals[..., 1], actual)


def test_no_landing_lies_before_now_and_what_ended_stands(history, model):
    new = history[180:200]
    actual = model.landings(new, make_targets(new))
    for now in (1.0, 600.0, 1200.0, 3000.0, 1e6):
        paths = model.sample_paths(new, now=now)
        landed = actual <= now
        ahead = paths[~np.isnan(paths) & ~np.repeat(landed[:, None], 300, axis=1)]
        assert (ahead >= now - 1e-6).all()
        ended = np.repeat(landed[:, None], 300, axis=1)
        np.testing.assert_allclose(
            paths[ended], np.repeat(actual[:, None], 300, axis=1)[ended], rtol=1e-9
        )


def test_at_the_start_nothing_of_the_run_is_known(history, model):
    new = history[180:190]
    unknown = new.copy()
    for job in JOBS:
        unknown[job], unknown[f"{job}__status"] = np.nan, None
        unknown[f"{job}__started_at"] = pd.NaT
    unknown["ended_at"] = pd.NaT
    for row in range(3):  # one at a time: the others of `new` are its history
        one, bare = new.iloc[[row]], unknown.iloc[[row]]
        np.testing.assert_array_equal(model.sample_paths(one), model.sample_paths(bare))
        np.testing.assert_array_equal(model.sample_paths(one, now=0), model.sample_paths(bare))


def test_what_happens_after_now_changes_no_forecast(history, model):
    one = history.iloc[[200]]
    ends = model.landings(one, make_targets(one))[0]
    now = (ends[1] + ends[2]) / 2
    moment = one["started_at"] + pd.to_timedelta(now, unit="s")
    other = one.copy()
    other["job_2"], other["job_3"] = 9e4, np.nan
    other["job_3__started_at"] = pd.NaT
    other["ended_at"] = moment + pd.Timedelta("2D")
    np.testing.assert_array_equal(
        model.sample_paths(one, now=now), model.sample_paths(other, now=now)
    )


def test_linked_nights_are_told_better_with_every_job_that_has_ended(history, model):
    new = history[180:]
    actual = model.landings(new, make_targets(new))
    seen = ~np.isnan(actual).any(axis=1)
    errors = []
    for n_ended in range(4):
        now = 0.0 if not n_ended else np.nan_to_num(actual[:, n_ended - 1])
        medians = np.median(model.sample_paths(new, now=now)[seen], axis=1)
        errors.append(np.abs(medians - actual[seen])[:, -1].mean())
    assert errors[2] < 0.7 * errors[0]
    assert errors[3] < errors[2]


def test_a_failed_job_and_all_that_wait_for_it_do_not_land(history, model):
    one = history.iloc[[200]].copy()
    one["job_1__status"], one["job_1"] = "failed", 30.0
    one["job_2"] = one["job_3"] = np.nan
    one[["job_2__status", "job_3__status"]] = "skipped"
    one["job_2__started_at"] = one["job_3__started_at"] = pd.NaT
    now = one["started_at"].iloc[0] + pd.Timedelta("1D")
    table = landing_table(model, one, now=now, deadlines=1e6).set_index("job")
    assert table["state"].tolist() == ["landed", "failed", "blocked", "blocked", "failed"]
    assert table["lands"].isna().tolist() == [False, True, True, True, True]
    assert table["chance"].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_a_job_that_runs_longer_than_ever_goes_on(history, model):
    one = history.iloc[[200]].copy()
    one[JOBS[1:]] = np.nan
    one[[f"{job}__status" for job in JOBS[1:]]] = None
    one[["job_2__started_at", "job_3__started_at", "ended_at"]] = pd.NaT
    days = 30 * 86400.0
    paths = model.sample_paths(one, now=days)
    assert np.isfinite(paths).all()
    assert (paths[..., 1] > days).all()


def test_with_the_plans_of_its_start_a_run_is_forecast_anew_without_its_forecaster(
    history, model, monkeypatch
):
    one = history.iloc[[200]]
    plans = model.plans(one)
    moments = [one["started_at"].iloc[0] + pd.Timedelta(s, unit="s") for s in (0, 900, 2000)]
    expected = [landing_table(model, one, now=now) for now in moments]
    monkeypatch.setattr(model.forecaster_, "predict", None)
    for now, table in zip(moments, expected, strict=True):
        found = landing_table(model, one, now=now, plans=plans)
        pd.testing.assert_frame_equal(found, table)


def test_a_table_says_moments_and_chances(history, model):
    one = history.iloc[[200]]
    table = landing_table(model, one, deadlines={"job_1": 1.0, "whole_run": 1e6})
    n = model.n_nights_
    assert table["chance"].iloc[[1, 4]].tolist() == pytest.approx([1 / (n + 1), n / (n + 1)])
    assert table["chance"].isna().tolist() == [True, False, True, True, False]
    lands = (table["lands_at"] - one["started_at"].iloc[0]).dt.total_seconds()
    np.testing.assert_allclose(lands, table["lands"], atol=0.51)  # moments are whole seconds
    assert table["critical"].tolist() == [1.0] * 5
    with pytest.raises(ValueError, match="'job_9' came; expected one of"):
        landing_table(model, one, deadlines={"job_9": 1.0})
    with pytest.raises(RunTableError, match="before the start of run"):
        landing_table(model, one, now="2020-01-01")


def test_what_if_compares_on_the_same_paths(history, model):
    one = history.iloc[[200]]
    half = compare_landings(model, one, WhatIf(scale={"job_0": 0.5})).set_index("job")
    paths = model.sample_paths(one)[0]
    np.testing.assert_allclose(half["difference"], -np.median(paths[:, 0]) / 2, rtol=0.02)
    nothing = compare_landings(model, one, WhatIf())
    assert (nothing[["difference", "lower", "upper"]] == 0).all(axis=None)
    now = one["started_at"].iloc[0] + pd.Timedelta("1min")
    with pytest.raises(ValueError, match=r"start_later is -60\.0, but the run has started"):
        compare_landings(model, one, WhatIf(start_later=-60.0), now=now)
    later = compare_landings(model, one, WhatIf(start_later=-60.0))
    np.testing.assert_allclose(later["difference"], -60.0)
    cut = compare_landings(model, one, WhatIf(cut=[("job_2", "job_3")])).set_index("job")
    assert cut.loc["job_3", "upper"] < 0
    instead = compare_landings(model, one, WhatIf(durations={"job_3": [0.0]})).set_index("job")
    assert instead.loc["job_3", "lands_then"] == pytest.approx(instead.loc["job_2", "lands"])
    with pytest.raises(ValueError, match="no edge to cut"):
        compare_landings(model, one, WhatIf(cut=[("job_0", "job_3")]))
    with pytest.raises(ValueError, match="'load' is no job of the run"):
        compare_landings(model, one, WhatIf(drop=["load"]))


def test_the_longest_job_of_a_fan_helps_most():
    runs = make_job_runs(
        n_runs=80, graph={"root": [], "short": ["root"], "long": ["root"]},
        level=[600.0, 60.0, 3000.0], failure_rate=0, starts=True, random_state=0,
    )  # fmt: skip
    model = LandingForecaster(RollingRule(), n_paths=100, random_state=0)
    model.fit(runs[:79], make_targets(runs[:79]))
    ranked = rank_jobs(model, runs[79:], faster=60.0).set_index("job")
    assert ranked["saves"].round().to_dict() == {"root": 60.0, "long": 60.0, "short": 0.0}
    assert ranked["critical"].to_dict() == {"root": 1.0, "long": 1.0, "short": 0.0}


def test_an_update_makes_the_newest_nights_count(history):
    runs, y = history[:120], make_targets(history[:120])
    model = LandingForecaster(RollingRule(), CHAIN, n_paths=100, random_state=0).fit(runs, y)
    n_before = model.n_nights_
    for row in range(120, 180, 5):
        some = history.iloc[row : row + 5]
        model.update(some, make_targets(some))
    assert model.n_nights_ > n_before
    assert model.forecaster_.n_updates_ > 0
    new = history[180:]
    actual = model.landings(new, make_targets(new))
    intervals = model.predict_interval(new, 0.8)
    inside = (intervals[..., 0] <= actual) & (actual <= intervals[..., 1])
    share = inside[~np.isnan(actual).any(axis=1)].mean()
    assert 0.6 < share < 0.97


def test_a_frozen_forecaster_is_not_fitted_again(history):
    runs, y = history[:120], make_targets(history[:120])
    fitted = OnlineMix().fit(runs, y)
    new = history[120:200]
    model = LandingForecaster(FrozenEstimator(fitted), CHAIN, n_paths=50, random_state=0)
    model.fit(new, make_targets(new))
    assert model.n_nights_ > 60
    assert model.predict(history[200:202]).shape == (2, 5)


def test_a_stored_model_brings_its_own_held_out_nights(history):
    runs, y = history[:160], make_targets(history[:160], horizon=2)
    stored = ConformalForecaster(OnlineMix(), refit=True).fit(runs, y)
    asked = {"n_paths": 100, "random_state": 0}
    model = LandingForecaster(FrozenEstimator(stored), CHAIN, **asked).fit(runs, y)
    assert model.n_nights_ == (~y[1].iloc[stored.calibration_rows_].isna().any(axis=1)).sum()
    online_update(stored, history[:200])
    grown, targets = history[:200], make_targets(history[:200], horizon=2)
    later = LandingForecaster(FrozenEstimator(stored), CHAIN, **asked).fit(grown, targets)
    assert later.n_nights_ > model.n_nights_ + 20
    n_updates = stored.n_updates_
    later.update(history[200:202], make_targets(history[200:202], horizon=2))
    assert stored.n_updates_ == n_updates
    with pytest.raises(RunTableError, match="none of the"):
        LandingForecaster(FrozenEstimator(stored), CHAIN).fit(runs[:50], y[:50])


def test_what_cannot_be_answered_is_an_error_with_a_remedy(history):
    y = make_targets(history[:60])
    pool = pd.concat({"a": history[:60], "b": history[:60]}, names=["series"])
    with pytest.raises(RunTableError, match="several series"):
        LandingForecaster(RollingRule(), CHAIN).fit(pool, make_targets(pool))
    with pytest.raises(NoHistoryError, match="expected at least 2"):
        LandingForecaster(RollingRule(), CHAIN).fit(history[:4], y[:4])
    with pytest.raises(RunTableError, match="which job waits for which"):
        LandingForecaster(RollingRule()).fit(
            history[:60].drop(columns=[f"{job}__started_at" for job in JOBS]), y
        )
    whole = y.loc[:, [(1, "whole_run")]]
    with pytest.raises(RunTableError, match="alone; expected jobs"):
        LandingForecaster(DummyRegressor(), CHAIN).fit(history[:60], whole)
    with pytest.raises(ValueError, match="'none' or 'jobs'"):
        LandingForecaster(RollingRule(), CHAIN).fit(history[:60], y).predict_interval(
            history[60:62], simultaneous="all"
        )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scale": {"job_0": "fast"}}, "scale of 'job_0' is 'fast'; expected a factor"),
        ({"faster": {"job_0": None}}, "faster of 'job_0' is None; expected seconds"),
        ({"start_later": "soon"}, "start_later is 'soon'; expected seconds"),
        ({"n_workers": 1.5}, "n_workers is 1.5; expected at least 1"),
    ],
)
def test_a_change_that_is_no_number_is_one_sentence(wrong, said):
    with pytest.raises(ValueError, match=said):
        WhatIf(**wrong)


def test_tables_of_what_is_no_run_or_no_time_are_errors(history, model):
    one = history.iloc[[200]]
    for deadline in ("06:00", np.nan, None):
        with pytest.raises(ValueError, match=r"the deadline of 'job_1' is .*; expected seconds"):
            landing_table(model, one, deadlines={"job_1": deadline})
    with pytest.raises(RunTableError, match="runs has no rows"):
        landing_table(model, one[:0])
    with pytest.raises(TypeError, match="ndarray; expected a run table"):
        landing_table(model, one.to_numpy())
