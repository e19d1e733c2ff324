"""The rules see what a slow loop sees, and nothing that had not ended."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_jobtime.baselines import (
    Baseline,
    ExponentialMean,
    JenkinsRule,
    Learned,
    OnlineMix,
    RollingRule,
    SeasonalRule,
)
from sklearn_jobtime.baselines._online_mix import baseline_weights
from sklearn_jobtime.baselines._rules import WINDOWS
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time import decayed_sums, newest, row_mean, row_median, row_quantile
from sklearn_jobtime.runs import WHOLE_RUN, as_of, make_targets, validate_runs

RULES = [
    RollingRule("last"),
    RollingRule("last", failed_too=True),
    RollingRule("mean", 2),
    RollingRule("mean", 3),
    RollingRule("median", 3),
    RollingRule("median", 4, failed_too=True),
    JenkinsRule(),
    ExponentialMean(half_life=1.5),
    SeasonalRule(n_runs=2),
    SeasonalRule("hour", n_runs=3),
    SeasonalRule("weekday", n_runs=2),
    SeasonalRule("month", n_runs=2),
]
MIX = OnlineMix(baselines=RULES, half_life=3)
SHORT_RULES = [RollingRule("last"), RollingRule("median", 3), SeasonalRule("hour", n_runs=2)]
FORGETFUL = OnlineMix(baselines=SHORT_RULES, half_life=0.1)
EVERY = [*RULES, MIX, FORGETFUL, OnlineMix()]
# One of each kind of reading: all runs, seasons of clocks, and an average of all the rules.
SOME = [RULES[5], SeasonalRule("hour", n_runs=3), MIX]
SEASONS = {
    "hour of week": lambda time: (time.weekday(), time.hour),
    "hour": lambda time: time.hour,
    "weekday": lambda time: time.weekday(),
    "month": lambda time: time.month,
}
seeds = st.integers(0, 10_000)
each_rule = pytest.mark.parametrize("rule", RULES, ids=str)
each_regressor = pytest.mark.parametrize("regressor", EVERY, ids=lambda r: str(r)[:50])


def overlapping_runs(seed, n_rows=14):
    """Make runs in three hours of Mondays in two months, some at once or without length or end."""
    rng = np.random.default_rng(seed)
    monday = 345_600 + 604_800 * rng.choice([0, 1, 5], n_rows)
    started = rng.integers(0, 12, n_rows) * 900 + monday
    started.sort()
    ended = (started + rng.integers(0, 6, n_rows) * 900).astype(float)
    ended[rng.random(n_rows) < 0.1] = np.nan
    series = rng.choice(["a", "b"], n_rows)
    index = pd.MultiIndex.from_arrays([series, np.arange(n_rows)], names=["series", "run"])
    table = {
        "started_at": started,
        "ended_at": ended,
        "build": rng.choice([np.nan, *rng.uniform(1, 9, 9)], n_rows),
        "build__status": rng.choice(["success", "failed", "skipped"], n_rows, p=[0.75, 0.15, 0.1]),
    }
    return validate_runs(pd.DataFrame(table, index=index))


def targets_of(runs):
    y = make_targets(runs, whole_run=False)
    return None if y.isna().all(axis=None) else y


def known_rows(runs, t):
    """Rows that had ended when row t started, oldest end first: the definition, as a loop."""
    ended, started = runs["ended_at"], runs["started_at"]
    known = [
        (ended.iloc[i], started.iloc[i], i)
        for i in range(t)
        if runs.index[i][0] == runs.index[t][0] and ended.iloc[i] <= started.iloc[t]
    ]
    return [i for *_, i in sorted(known)]


def forecast_by_loop(runs, t, rule):
    seconds, status = runs["build"], runs["build__status"]
    known = [i for i in known_rows(runs, t) if not np.isnan(seconds.iloc[i])]
    good = [i for i in known if status.iloc[i] == "success"]
    recorded = [i for i in known if status.iloc[i] != "skipped"]

    def values(rows):
        return seconds.iloc[list(rows)].to_numpy()

    if isinstance(rule, JenkinsRule):
        chosen = [i for i in recorded[-6:] if i in good][-3:] or good[-1:]
        return np.mean(values(chosen)) if chosen else np.nan
    if isinstance(rule, ExponentialMean):
        weights = 0.5 ** (np.arange(len(good))[::-1] / rule.half_life)
        return np.average(values(good), weights=weights) if good else np.nan
    if isinstance(rule, SeasonalRule):
        time = [SEASONS[rule.season](start) for start in runs["started_at"]]
        alike = [i for i in good if time[i] == time[t]]
        chosen = (alike or good)[-rule.n_runs :]
        return np.median(values(chosen)) if chosen else np.nan
    chosen = (recorded if rule.failed_too else good)[
        -(1 if rule.statistic == "last" else rule.n_runs) :
    ]
    statistic = np.median if rule.statistic == "median" else np.mean
    return statistic(values(chosen)) if chosen else np.nan


def mix_by_loop(runs, mix):
    forecasts = np.array([[forecast_by_loop(runs, t, r) for r in RULES] for t in range(len(runs))])
    good = (runs["build__status"] == "success") & runs["build"].notna()
    mixed = []
    for t in range(len(runs)):
        sums = np.zeros(len(RULES))
        for i in known_rows(runs, t):
            if good.iloc[i]:
                error = np.abs(forecasts[i] - runs["build"].iloc[i])
                sums = sums * 0.5 ** (1 / mix.half_life)
                sums = sums + (0 if np.isnan(error).any() else error)
        has = ~np.isnan(forecasts[t])
        if not has.any():
            mixed.append(np.nan)
            continue
        least = sums[has].min()
        weights = [
            np.exp(-mix.sharpness * (s / least - 1)) if least > 0 else float(s == 0)
            for s in sums[has]
        ]
        mixed.append(np.average(np.sqrt(forecasts[t][has]), weights=weights) ** 2)
    return np.array(mixed)


@each_rule
@settings(deadline=None, max_examples=4)
@given(seed=seeds)
def test_a_rule_equals_a_slow_loop(rule, seed):
    runs = overlapping_runs(seed)
    if (y := targets_of(runs)) is None:
        return
    model = clone(rule).fit(runs, y)
    expected = np.array([forecast_by_loop(runs, t, rule) for t in range(len(runs))])
    expected = np.where(np.isnan(expected), model.fallback_[0], expected)
    np.testing.assert_allclose(model.predict(runs)[:, 0], expected, rtol=1e-12)


@settings(deadline=None, max_examples=6)
@given(seed=seeds)
def test_the_mix_equals_a_slow_loop(seed):
    runs = overlapping_runs(seed)
    if (y := targets_of(runs)) is None:
        return
    model = clone(MIX).fit(runs, y)
    expected = mix_by_loop(runs, MIX)
    good = (runs["build__status"] == "success") & runs["build"].notna()
    worth, prior = model.prior_sample_size_["build"], model.fallback_[0]
    weights = np.zeros(len(runs))
    for t in range(len(runs)):
        n = sum(good.iloc[i] for i in known_rows(runs, t))
        if np.isnan(expected[t]):
            weights[t], expected[t] = 1.0, prior
        elif worth:
            weights[t] = worth / (n + worth) * (1 - n / 50)
        expected[t] = prior ** weights[t] * expected[t] ** (1 - weights[t])
    expected_source = np.where(weights >= 0.5, "prior", "baselines")
    np.testing.assert_array_equal(model.sources(runs)[:, 0], expected_source)
    np.testing.assert_allclose(model.predict(runs)[:, 0], expected, rtol=1e-9)


@each_regressor
@settings(deadline=None, max_examples=3)
@given(seed=seeds, row=st.integers(3, 13))
def test_nothing_unknown_at_the_start_changes_a_forecast(regressor, seed, row):
    runs = overlapping_runs(seed)
    if (y := targets_of(runs)) is None:
        return
    model = clone(regressor).fit(runs, y)
    unknown = ~(runs["ended_at"] <= runs["started_at"].iloc[row])
    unknown.iloc[row:] = True
    altered = runs.copy()
    altered.loc[unknown, "build"] = 12345.0
    altered.loc[unknown, "build__status"] = "success"
    later = altered["started_at"].iloc[row] + pd.Timedelta(days=9)
    altered.loc[unknown & altered["ended_at"].notna(), "ended_at"] = later
    np.testing.assert_array_equal(model.predict(runs)[row], model.predict(altered)[row])


@each_regressor
@settings(deadline=None, max_examples=3)
@given(seed=seeds, n_head=st.integers(8, 35))
def test_rows_after_fit_have_the_history_of_the_whole_table(regressor, seed, n_head):
    runs = overlapping_runs(seed, n_rows=40)
    # Of two runs that start at once, a remembered one of no length counts as the earlier one.
    instant = runs["ended_at"] == runs["started_at"]
    runs.loc[instant, "ended_at"] += pd.Timedelta(minutes=1)
    cut = runs["started_at"].iloc[n_head]
    head = as_of(runs[runs["started_at"] < cut], cut)
    y = targets_of(head)
    if y is None:
        return
    still_running = ~runs.index.isin(head.index[head["ended_at"].notna()])
    whole = clone(regressor).fit(runs, targets_of(runs))
    model = clone(regressor).fit(head, y)
    model.fallback_, model.prior_sample_size_ = whole.fallback_, whole.prior_sample_size_
    if regressor is FORGETFUL:  # an error weighs for 8 runs, and its rule looked back another 3
        assert len(model._memory.age) <= 2 * (8 + 3) + 6 * 2 + 6  # and what ended last, and seasons
    late = (runs["started_at"] >= cut).to_numpy()
    np.testing.assert_array_equal(
        model.predict(runs[still_running])[late[still_running]], whole.predict(runs)[late]
    )


@settings(deadline=None, max_examples=6)
@given(seed=seeds, half_life=st.sampled_from([0.1, 1.0, 7.3, 400.0]))
def test_decayed_sums_equal_a_loop_within_each_series(seed, half_life):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 200, 4)
    place = np.concatenate([np.arange(n) for n in lengths])
    values = rng.exponential(10.0 ** rng.integers(-5, 9, (len(place), 1)), (len(place), 2))
    expected = values.copy()
    for i in np.flatnonzero(place):
        expected[i] += 0.5 ** (1 / half_life) * expected[i - 1]
    np.testing.assert_allclose(decayed_sums(values, place, half_life), expected, rtol=1e-9)


@settings(deadline=None, max_examples=6)
@given(seed=seeds)
def test_row_statistics_equal_those_of_numpy(seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((20, 7)) < 0.4, np.nan, rng.normal(size=(20, 7)))
    some = ~np.isnan(values).all(axis=1)
    np.testing.assert_allclose(row_mean(values)[some], np.nanmean(values[some], axis=1))
    np.testing.assert_allclose(row_median(values)[some], np.nanmedian(values[some], axis=1))
    assert np.isnan(row_mean(values)[~some]).all()
    assert np.isnan(row_median(values)[~some]).all()
    for q in (0.0, 0.1, 0.5, 0.9, 1.0):
        expected = np.nanquantile(values[some], q, axis=1)
        np.testing.assert_allclose(row_quantile(values, q)[some], expected)
        assert np.isnan(row_quantile(values, q)[~some]).all()


@pytest.mark.parametrize("seed", range(6))
def test_auto_takes_the_window_with_the_least_error_on_the_newest_quarter(seed):
    rng = np.random.default_rng(seed)
    runs = pd.DataFrame(
        {"build": 50 + rng.normal(size=120).cumsum() * (seed % 2) + rng.normal(size=120)}
    )
    y = make_targets(runs)
    errors = [
        np.abs(y.to_numpy() - RollingRule("median", n).fit(runs, y).predict(runs))[90:].mean()
        for n in WINDOWS
    ]
    chosen = RollingRule("median", "auto").fit(runs, y).n_runs_
    assert chosen == {"build": WINDOWS[int(np.argmin(errors))]}


def test_auto_chooses_for_each_job_alone():
    rng = np.random.default_rng(0)
    walk = 1000 + 10 * rng.normal(size=300).cumsum()
    runs = pd.DataFrame({"drifts": walk, "stays": 100 + rng.normal(size=300)})
    chosen = RollingRule("median", "auto").fit(runs, make_targets(runs)).n_runs_
    assert chosen["drifts"] == min(WINDOWS)
    assert chosen["stays"] >= 20


def test_every_job_and_step_gets_the_forecast_of_its_own_job():
    runs = pd.DataFrame({"build": [1.0, 2.0, 3.0], "test": [10.0, 20.0, 30.0]})
    y = make_targets(runs, horizon=2)
    rule = RollingRule("last").fit(runs, y)
    assert rule.target_names_.equals(y.columns)
    assert rule.predict(runs)[1:].tolist() == [[1.0, 10.0, 1.0, 10.0], [2.0, 20.0, 2.0, 20.0]]


def test_a_failed_run_is_a_last_run_but_no_last_success():
    runs = validate_runs(
        pd.DataFrame(
            {
                "started_at": [0.0, 100.0, 200.0],
                "ended_at": [50.0, 105.0, None],
                "build": [50.0, 5.0, np.nan],
                "build__status": ["success", "failed", None],
            }
        )
    )
    y = make_targets(runs)
    assert set(y.columns.get_level_values("job")) == {"build", WHOLE_RUN}
    last_success = RollingRule("last").fit(runs, y).predict(runs)[2]
    last_run = RollingRule("last", failed_too=True).fit(runs, y).predict(runs)[2]
    assert (last_success.tolist(), last_run.tolist()) == ([50.0, 50.0], [5.0, 5.0])


def test_a_job_that_never_succeeded_is_named():
    runs = pd.DataFrame({"build": [1.0, 2.0], "build__status": ["failed", "failed"]})
    with pytest.raises(NoHistoryError, match="no target of 'build' was observed"):
        RollingRule().fit(runs, make_targets(runs))


@each_regressor
def test_a_new_job_starts_from_the_others_and_a_new_step_from_its_own_job(regressor, caplog):
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"build": rng.uniform(50, 60, 9), "test": rng.uniform(150, 160, 9)})
    runs["deploy"] = np.nan
    y = make_targets(runs, horizon=10)
    model = clone(regressor).fit(runs, y)
    assert "'deploy' was never observed" in caplog.text
    assert "'test'" not in caplog.text
    prior = pd.Series(model.fallback_, index=y.columns)
    assert prior[(10, "build")] == pytest.approx(prior.xs("build", level="job").iloc[:9].median())
    assert prior.xs("deploy", level="job").between(50, 160).all()
    after = pd.DataFrame({"build": 55.0, "test": 155.0, "deploy": 900.0}, index=[9, 10, 11])
    forecast = pd.DataFrame(model.predict(after), columns=y.columns)[1]
    source = pd.DataFrame(model.sources(after), columns=y.columns)[1]
    assert forecast["deploy"].tolist() == pytest.approx([prior[(1, "deploy")], 900.0, 900.0])
    assert source["deploy"].tolist() == ["prior", "baselines", "baselines"]
    assert (source[["build", "test"]] == "baselines").all(axis=None)


def pool(rng, n_series, n_runs, between, within):
    """Runs of many series, their levels and the noise of a run log-normal."""
    level = np.repeat(rng.normal(5, between, n_series), n_runs)
    seconds = np.exp(level + rng.normal(0, within, n_series * n_runs))
    index = pd.MultiIndex.from_product([range(n_series), range(n_runs)])
    return pd.DataFrame({"build": seconds}, index=index)


def test_the_mix_learns_what_other_series_are_worth():
    rng = np.random.default_rng(0)
    alike, apart = pool(rng, 30, 20, 0.05, 0.5), pool(rng, 30, 20, 2.0, 0.1)
    alone = alike.xs(0)
    worth = [
        OnlineMix().fit(runs, make_targets(runs)).prior_sample_size_
        for runs in (alike, apart, alone)
    ]
    assert worth[0]["build"] >= 1
    assert [w["build"] for w in worth[1:]] == [0, 0]
    new = pool(rng, 200, 4, 0.05, 0.5).rename(lambda s: s + 1000, level=0)
    actual = new["build"].to_numpy().reshape(-1, 4)
    errors = {}
    for pooled in (True, False):
        mix = OnlineMix(pooled=pooled).fit(alike, make_targets(alike))
        forecast = mix.predict(new).reshape(-1, 4)
        errors[pooled] = np.abs(np.log(forecast / actual)).mean(axis=0)
    assert errors[True][0] == errors[False][0]
    assert (errors[True][1:] < 0.95 * errors[False][1:]).all()


@each_regressor
def test_regressors_pickle_and_give_a_number_for_every_row(regressor):
    runs = overlapping_runs(3, n_rows=40)
    model = clone(regressor).fit(runs, targets_of(runs))
    before = model.predict(runs)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(runs), before)
    assert np.isfinite(before).all()
    other = runs.rename({"a": "never seen", "b": "nor this"})
    other["build"] = np.nan
    np.testing.assert_array_equal(model.predict(other)[:, 0], model.fallback_[0])


AWKWARD = {
    "nullable": lambda runs: runs.astype({"build": "Float64", "build__status": "string"}),
    "object": lambda runs: runs.astype({"build": object, "build__status": object}),
    "whole seconds": lambda runs: runs.assign(build=runs["build"].fillna(0).round().astype(int)),
    "naive times": lambda runs: runs.assign(
        started_at=runs["started_at"].dt.tz_localize(None),
        ended_at=runs["ended_at"].dt.tz_localize(None),
    ),
    "epoch seconds": lambda runs: runs.assign(
        **{c: (runs[c] - pd.Timestamp(0, tz="UTC")).dt.total_seconds() for c in runs.columns[:2]}
    ),
}


@pytest.mark.parametrize("regressor", SOME, ids=lambda r: str(r)[:50])
@pytest.mark.parametrize("awkward", AWKWARD.values(), ids=AWKWARD)
def test_types_and_clocks_make_no_difference(regressor, awkward):
    runs = overlapping_runs(3, n_rows=40)
    if awkward is AWKWARD["whole seconds"]:
        runs["build"] = runs["build"].fillna(0).round()
    given = awkward(runs)
    copy = given.copy(deep=True)
    y = targets_of(runs)
    found = clone(regressor).fit(given, y).predict(given)
    np.testing.assert_array_equal(found, clone(regressor).fit(runs, y).predict(runs))
    pd.testing.assert_frame_equal(given, copy)


@each_regressor
def test_arrays_may_be_read_only_and_rows_few(regressor):
    X = np.array([[3, 1], [5, 2], [4, 4]])
    X.setflags(write=False)
    for n in (1, 2, 3):
        forecast = clone(regressor).fit(X[:n], X[:n].astype(float)).predict(X)
        assert forecast.shape == X.shape
        assert np.isfinite(forecast).all()


def test_the_weights_are_ratios_and_no_rule_without_a_forecast_weighs():
    errors = np.array([[1.0, 1.2, 3.0, np.inf], [0.0, 0.0, 1e-300, np.inf]])
    weights = baseline_weights(errors, sharpness=8.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(baseline_weights(errors * 3600, sharpness=8.0), weights)
    assert (weights[:, -1] == 0).all()
    assert weights[1].tolist() == [0.5, 0.5, 0.0, 0.0]
    np.testing.assert_allclose(weights[0, 1] / weights[0, 0], np.exp(-8 * 0.2))
    assert baseline_weights(np.full((1, 3), np.inf), sharpness=8.0).tolist() == [[0.0, 0.0, 0.0]]


def test_the_mix_follows_the_rule_that_became_right():
    """Of two rules the steady one is right first, the fast one after a change of level."""
    rng = np.random.default_rng(0)
    level = np.r_[np.full(200, 100.0), 100 + 50 * np.arange(200)]
    runs = pd.DataFrame({"build": level + rng.normal(size=400)})
    y = make_targets(runs)
    fast, steady = RollingRule("last"), RollingRule("median", 50)
    mixed = OnlineMix([fast, steady]).fit(runs, y).predict(runs)
    for rule, rows in ((steady, slice(150, 200)), (fast, slice(300, 400))):
        by_rule = rule.fit(runs, y).predict(runs)
        assert (
            np.abs(mixed - by_rule)[rows].mean() < 0.2 * np.abs(y.to_numpy() - by_rule)[rows].mean()
        )


@pytest.mark.parametrize("baselines", [[], [RollingRule(), "median"]])
def test_what_is_no_baseline_can_not_be_averaged(baselines):
    runs = pd.DataFrame({"build": [1.0, 2.0]})
    with pytest.raises(TypeError, match=r"at least one baseline .* such as RollingRule"):
        OnlineMix(baselines).fit(runs, make_targets(runs))


class Noted(Baseline):
    """The last run again, from numbers that it kept beside the runs of fit."""

    def learn(self, history, targets):
        return Learned(1, run_values=history.seconds[:, None])

    def forecast_job(self, history, learned):
        noted = learned.run_values[history.remembered, 0]
        values = np.concatenate([noted, history.seconds[history.first :]])
        return newest(values, history.successes, 1)[:, 0]


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: OnlineMix([one, RollingRule()])])
def test_what_a_baseline_notes_of_each_run_is_there_for_later_rows(wrap):
    runs = overlapping_runs(3, n_rows=40)
    learn_on, later = runs[:25], runs[25:]
    y = targets_of(learn_on)
    own, known = (wrap(one).fit(learn_on, y) for one in (Noted(), RollingRule("last")))
    assert len(own._memory.age) < len(learn_on) or isinstance(own, OnlineMix)
    np.testing.assert_array_equal(own.predict(later), known.predict(later))
    assert (own.sources(later) == known.sources(later)).all()


def test_a_parameter_of_an_averaged_baseline_is_checked_too():
    runs = pd.DataFrame({"build": [1.0, 2.0]})
    with pytest.raises(ValueError, match="'n_runs' parameter of RollingRule"):
        OnlineMix([RollingRule(n_runs=0)]).fit(runs, make_targets(runs))


class NamedMix(OnlineMix):
    """Of this module, not of the package: it may tell jobs by their names, so none is left out."""


@pytest.mark.parametrize("seed", range(3))
def test_a_run_of_one_job_is_forecast_as_its_job_and_learned_once(seed):
    rng = np.random.default_rng(seed)
    started = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.arange(60) * 3600, "s")
    seconds = np.round(rng.lognormal(3, 1, 60)) + 1
    runs = validate_runs(
        pd.DataFrame(
            {
                "started_at": started,
                "ended_at": started + pd.to_timedelta(seconds, "s"),
                "build": seconds,
            }
        )
    )
    y = make_targets(runs)
    ours, one_by_one = OnlineMix().fit(runs[:50], y[:50]), NamedMix().fit(runs[:50], y[:50])
    assert ours.learned_["build"].is_as(ours.learned_[WHOLE_RUN])
    found, expected = ours.predict(runs), one_by_one.predict(runs)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    y.iloc[10:20, 1] = np.nan  # targets that differ are learned apart
    apart = OnlineMix(pooled=False).fit(runs[:50], y[:50])
    np.testing.assert_array_equal(
        apart.predict(runs), NamedMix(pooled=False).fit(runs[:50], y[:50]).predict(runs)
    )
