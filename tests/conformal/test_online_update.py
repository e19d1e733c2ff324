"""A stored model is updated with each outcome once, in the order in which outcomes became known."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import online_update
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.forecasting import target_names
from sklearn_jobtime.point_in_time import read_clock
from sklearn_jobtime.point_in_time._table_memory import N_REMEMBERED
from sklearn_jobtime.runs import (
    ENDED_AT,
    STARTED_AT,
    as_of,
    make_lower_bounds,
    make_targets,
    validate_runs,
)
from sklearn_jobtime.runs._targets import targets_named

LEVELS = [0.5, 0.8, 0.9, 0.95]
N_FIT = 40


def overlapping(n=80, n_series=1, seed=0):
    """Give runs that often start before others of their series have ended, some right-censored."""
    rng = np.random.default_rng(seed)
    parts = {}
    for name in [f"s{k}" for k in range(n_series)]:
        gaps = 1 + rng.exponential(3600, n)
        started = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(gaps.cumsum().round(), "s")
        build = (3000 * np.exp(rng.normal(0, 0.7, n))).round()
        status = rng.choice(["success", "failed", "timeout"], n, p=[0.8, 0.1, 0.1])
        parts[name] = pd.DataFrame({
            STARTED_AT: started, ENDED_AT: started + pd.to_timedelta(build + 60, "s"),
            "build": build, "build__status": status, "load": build.clip(10) / 2,
            "load__status": np.where(status == "success", "success", "skipped"),
        })  # fmt: skip
    table = pd.concat(parts) if n_series > 1 else parts["s0"]
    return validate_runs(table.sort_values(STARTED_AT, kind="stable"))


def fitted(runs, horizon=1, **options):
    past = as_of(runs, runs[STARTED_AT].iloc[N_FIT * runs.index.nlevels])
    at_least = make_lower_bounds(past, horizon)
    model = ConformalForecaster(RollingRule(), **options)
    return model.fit(past, make_targets(past, horizon), at_least)


def assert_same(one, other, runs):
    for rows in (runs, runs[-5:]):
        expected = one.predict_interval(rows, LEVELS)
        np.testing.assert_array_equal(other.predict_interval(rows, LEVELS), expected)
    np.testing.assert_array_equal(other.drift_, one.drift_)
    for name in ("updated_until_", "fitted_until_", "n_updates_"):
        assert getattr(other, name) == getattr(one, name)


def by_hand(model, runs):
    """Update with what became known at each moment, with the forecasts of these rows."""
    names = target_names(model)
    horizon = int(names.get_level_values("step").max())
    forecasts = model.predict(runs)
    y, at_least = (make(runs, horizon)[names] for make in (make_targets, make_lower_bounds))
    steps = names.get_level_values("step").to_numpy()
    ended = runs[ENDED_AT].groupby(level=0) if runs.index.nlevels > 1 else None
    shifted = [
        runs[ENDED_AT].shift(1 - step) if ended is None else ended.shift(1 - step) for step in steps
    ]
    known = pd.concat(shifted, axis=1).set_axis(names, axis=1)
    fitted_until = pd.Timestamp(model.fitted_until_, unit="s", tz="UTC")
    if model.simultaneous in ("horizon", "both"):
        is_seen = (known <= fitted_until).any(axis=1)
        known = known.apply(lambda one: known.max(axis=1).where(known.notna().all(axis=1)))
        known[is_seen] = pd.NaT
    events = known.melt(ignore_index=False, value_name="when").reset_index(drop=True)
    events["row"] = np.tile(np.arange(len(runs)), len(names))
    events = events[events["when"] > fitted_until].sort_values(["when", "row"], kind="stable")
    outputs = {name: position for position, name in enumerate(names)}
    for when, group in events.groupby("when"):
        used = np.zeros(y.shape, dtype=bool)
        used[
            group["row"], [outputs[name] for name in zip(group["step"], group["job"], strict=True)]
        ] = True
        rows = slice(group["row"].min(), int((runs[STARTED_AT] <= when).sum()))
        clock = as_of(runs, when)[[STARTED_AT, ENDED_AT]].iloc[rows]
        outcome, least = (part.where(used).iloc[rows] for part in (y, at_least))
        model.update(clock, outcome, least, forecast=forecasts[rows])
    return model


KINDS = [
    ({"horizon": 1}, 3),
    ({"horizon": 1, "simultaneous": "jobs", "symmetric": False}, 3),
    pytest.param({"horizon": 3}, 1, marks=pytest.mark.slow),
    ({"horizon": 3, "simultaneous": "jobs"}, 3),
    pytest.param({"horizon": 3, "simultaneous": "horizon"}, 1, marks=pytest.mark.slow),
    ({"horizon": 3, "simultaneous": "both", "refit": True}, 3),
]


@pytest.mark.parametrize(("kind", "n_series"), KINDS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1000), nights=st.lists(st.floats(0.6, 1), max_size=4))
def test_at_once_night_by_night_or_by_hand_is_the_same(kind, n_series, seed, nights):
    runs = overlapping(60 if n_series == 1 else 40, n_series, seed)
    at_once, nightly, hand = (fitted(runs, **kind) for _ in range(3))
    span = runs[ENDED_AT].max() - runs[STARTED_AT].min()
    found = []
    for share in sorted(nights):
        now = runs[STARTED_AT].min() + share * span
        if now < runs[STARTED_AT].iloc[N_FIT * runs.index.nlevels]:
            continue
        nightly = pickle.loads(pickle.dumps(nightly))
        found.append(online_update(nightly, as_of(runs, now)))
    found.append(online_update(nightly, runs))
    whole = online_update(at_once, runs)
    assert_same(at_once, nightly, runs)
    by_hand(hand, runs)
    expected = at_once.predict_interval(runs, LEVELS)
    np.testing.assert_array_equal(hand.predict_interval(runs, LEVELS), expected)
    assert whole.n_runs == sum(part.n_runs for part in found)
    for count in ("targets", "at_least"):
        assert whole.jobs[count].tolist() == sum(part.jobs[count] for part in found).tolist()


def test_runs_of_a_series_that_start_at_once_keep_their_order():
    runs = overlapping()
    runs[STARTED_AT] = runs[STARTED_AT].dt.floor("3h")
    at_once, nightly = (fitted(runs, horizon=3) for _ in range(2))
    for now in runs[STARTED_AT].drop_duplicates()[-8:]:
        online_update(nightly, as_of(runs, now))
    for model in (nightly, at_once):
        online_update(model, runs)
    assert_same(at_once, nightly, runs)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.55, 0.95), more=st.integers(1, 30))
def test_each_target_is_used_once_and_only_when_known(seed, share, more):
    runs = overlapping(seed=seed)
    model = fitted(runs, horizon=2)
    fitted_until = pd.Timestamp(model.updated_until_, unit="s", tz="UTC").round("us")
    now = runs[STARTED_AT].iloc[int(share * len(runs))]
    moments = [now, now + pd.Timedelta(more, "h"), runs[ENDED_AT].max()]
    used = 0
    for moment in moments:
        used += online_update(model, runs, now=moment).jobs["targets"].to_numpy().sum()
        known = make_targets(as_of(runs, moment), 2)
        is_past = as_of(runs, moment)[ENDED_AT] <= fitted_until
        by_step = {step: is_past.shift(1 - step, fill_value=False) for step in (1, 2)}
        new = sum(int(known.loc[~by_step[step], step].notna().sum().sum()) for step in (1, 2))
        assert used == new
        before = pickle.dumps(model)
        assert online_update(model, runs, now=moment).n_runs == 0
        assert pickle.dumps(model) == before


def test_outcomes_that_are_not_known_yet_change_nothing():
    runs = overlapping()
    now = runs[STARTED_AT].iloc[60]
    later = ~(runs[ENDED_AT] <= now)
    other = runs.copy()
    other.loc[later, ["build", "load"]] *= 50
    other.loc[later, ENDED_AT] += pd.Timedelta("9h")
    models = fitted(runs), fitted(runs)
    for model, table in zip(models, (runs, other), strict=True):
        assert online_update(model, table, now=now).n_runs > 0
    assert_same(*models, as_of(runs, now))


def test_rows_of_fit_are_not_used_again_and_running_ones_not_yet():
    runs = overlapping()
    past = as_of(runs, runs[STARTED_AT].iloc[N_FIT])
    model = fitted(runs)
    fresh = model.predict_interval(runs, 0.8)
    found = online_update(model, past)
    assert (found.n_runs, found.since) == (0, found.until)
    np.testing.assert_array_equal(model.predict_interval(runs, 0.8), fresh)
    assert past[ENDED_AT].isna().any()  # running then
    online_update(model, runs)
    taken = model.calibration_set()[1][model.n_calibration_ :]
    late = make_targets(runs)[~(runs[ENDED_AT] <= past[ENDED_AT].max())].dropna(how="all")
    taken = taken[~np.isnan(taken).all(axis=1)]  # the others were right-censored
    np.testing.assert_array_equal(taken, late)


def test_time_outs_are_right_censored_and_failures_say_nothing():
    runs = overlapping(seed=1)
    model = fitted(runs)
    new = runs[runs[ENDED_AT].to_numpy() > pd.Timestamp(model.updated_until_, unit="s", tz="UTC")]
    found = online_update(model, runs).jobs.set_index("job")
    statuses = new["build__status"].value_counts()
    assert found.loc["build", "at_least"] == statuses["timeout"] > 0
    assert found.loc["build", "targets"] == statuses["success"]
    assert len(new) > statuses["timeout"] + statuses["success"]


def test_a_shift_advises_a_fit_until_it_is_known_what_is_usual():
    runs = overlapping(n=160)
    model = fitted(runs)
    calm = online_update(model, runs[:80])
    assert not calm.refit_advised
    assert calm.jobs["drift"].abs().max() < 1
    slower = runs[:100].copy()
    slower.loc[80:, ["build", "load"]] *= 2.0 ** np.arange(20)[:, None]
    alarmed = online_update(model, slower)
    assert alarmed.refit_advised
    assert online_update(model, slower).refit_advised


def test_a_series_that_is_new_since_fit_is_updated_too():
    runs = overlapping(n_series=2, n=120)
    is_known = runs.index.get_level_values(0) == "s0"
    model = fitted(runs[is_known])
    online_update(model, runs)
    since = pd.Timestamp(model.fitted_until_, unit="s", tz="UTC")
    used = runs[runs[ENDED_AT] > since]
    seen = make_targets(used).notna() | make_lower_bounds(used).notna()
    assert model.n_updates_ == seen.any(axis=1).sum()
    assert set(model._bounds.updated) == {("s0",), ("s1",)}


@pytest.mark.parametrize("refit", [True, False])
def test_the_model_remembers_the_newest_runs_and_not_the_whole_table(refit):
    runs = overlapping(n=3000)
    model = fitted(runs, refit=refit)
    online_update(model, runs[:-1])
    _, n_before = model._with_remembered(runs[-1:])
    assert n_before == N_REMEMBERED
    np.testing.assert_array_equal(model.predict(runs[-1:]), model.predict(runs)[-1:])


def test_errors_say_what_to_do():
    runs = overlapping()
    model = fitted(runs)
    with pytest.raises(ValueError, match=r"no intervals that could be updated.*coverage 0.9"):
        online_update(RollingRule().fit(runs, make_targets(runs)), runs)
    with pytest.raises(RunTableError, match=r"no column 'ended_at'.*add it"):
        online_update(model, runs.drop(columns=ENDED_AT))
    with pytest.raises(RunTableError, match=r"older than the model.*newest end is.*anew"):
        online_update(model, runs[:10])
    with pytest.raises(RunTableError, match="of 10 runs none has ended"):
        online_update(model, runs[:10].assign(ended_at=pd.NaT))
    arrays = ConformalForecaster(RollingRule()).fit(runs, make_targets(runs).to_numpy())
    with pytest.raises(ValueError, match="does not know what its outputs mean"):
        online_update(arrays, runs)
    plain = runs.drop(columns=ENDED_AT)
    timeless = ConformalForecaster(RollingRule()).fit(plain, make_targets(plain))
    with pytest.raises(NoHistoryError, match="do not say when runs had ended"):
        online_update(timeless, runs)
    old = pickle.loads(pickle.dumps(model))
    del old.updated_until_
    with pytest.raises(NoHistoryError, match="older version; fit it"):
        online_update(old, runs)


def test_a_job_is_used_once_and_at_its_own_end_though_its_run_goes_on():
    runs = make_job_runs(
        40, n_jobs=2, interval="15min", failure_rate=0.05, starts=True, random_state=0
    )
    past = as_of(runs, runs[STARTED_AT].iloc[25])
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past))
    names = model.target_names_
    clock = read_clock(runs)
    known = np.column_stack([clock.of_job(job).ended for job in names.get_level_values("job")])
    since = model.fitted_until_
    assert since == pytest.approx(known[known <= past[STARTED_AT].max().timestamp() + 900].max())
    y = targets_named(runs, names)
    for minutes in range(0, 300, 20):
        now = runs[STARTED_AT].iloc[25] + pd.Timedelta(minutes=minutes)
        if np.isfinite(known[(known > model.updated_until_) & (known <= now.timestamp())]).any():
            before = model.updated_until_
            told = online_update(model, runs, now=now).jobs.set_index("job")["targets"]
            new = y.where((known > before) & (known <= now.timestamp())).notna().sum()
            assert told.to_dict() == new.droplevel("step").to_dict()
            assert model.updated_until_ <= now.timestamp()
    together = ConformalForecaster(RollingRule(), simultaneous="jobs")
    together.fit(past, make_targets(past))
    online_update(together, runs)
    assert together.n_updates_ <= (runs[ENDED_AT] > past[ENDED_AT].max()).sum()
