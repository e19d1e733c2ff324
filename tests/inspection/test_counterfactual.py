"""Other pasts: as usual, or with what was particular to a run at another one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.inspection._counterfactual import (
    block_permutation,
    covariates_of,
    local_levels,
    read_pasts,
    usual_values,
)
from sklearn_jobtime.point_in_time import read_clock
from sklearn_jobtime.runs import (
    WHOLE_RUN,
    job_columns,
    observed_durations,
    series_of,
    validate_runs,
)

JOBS = ["job_0", "job_1", "job_2"]


def overlapping(n_runs=60, seed=0, **changes):
    options = {"n_jobs": 3, "n_series": 2, "interval": "20min", "failure_rate": 0.1} | changes
    return make_job_runs(n_runs=n_runs, random_state=seed, **options)


def known_to(runs):
    """Which rows had ended when each row started, by the rule as it is written."""
    series = series_of(runs.index)
    started, ended = runs["started_at"].to_numpy(), runs["ended_at"].to_numpy()
    return np.array(
        [
            [series[i] == series[t] and i < t and ended[i] <= started[t] for i in range(len(runs))]
            for t in range(len(runs))
        ]
    )


def test_usual_is_the_median_of_the_last_ten_successes_that_had_ended():
    runs = overlapping()
    seconds = observed_durations(runs)["job_1"].to_numpy()
    usual = usual_values(seconds, read_clock(runs))
    ended = runs["ended_at"].to_numpy()
    for t, known in enumerate(known_to(runs)):
        rows = [i for i in np.flatnonzero(known) if np.isfinite(seconds[i])]
        rows = sorted(rows, key=lambda i: ended[i])[-10:]
        expected = np.median(seconds[rows]) if rows else np.nan
        np.testing.assert_allclose(usual[t], expected, rtol=1e-12)


def best_step(logs):
    """Place of the one step that leaves the smallest squares."""
    cuts = range(5, len(logs) - 4)
    return min(cuts, key=lambda k: logs[:k].var() * k + logs[k:].var() * (len(logs) - k))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(11, 49))
def test_one_shift_of_level_is_found_where_it_leaves_the_smallest_squares(seed, at):
    rng = np.random.default_rng(seed)
    logs = 4 + 0.02 * rng.uniform(-1, 1, size=60) + 0.3 * (np.arange(60) >= at)
    level = np.log(local_levels(np.exp(logs), np.zeros(60, dtype=int)))
    edges = np.flatnonzero(np.abs(np.diff(level)) > 0.1) + 1
    assert edges.tolist() == [best_step(logs)] == [at]
    assert np.abs(level - logs).max() < 0.1


def test_levels_are_those_of_each_series_and_see_no_outlier():
    rng = np.random.default_rng(0)
    series = rng.integers(2, size=200)
    seconds = np.where(series == 1, 50.0, 400.0) * np.exp(0.05 * rng.normal(size=200))
    seconds[[20, 90]] *= 100
    seconds[:30:3] = np.nan
    level = local_levels(seconds, series)
    np.testing.assert_allclose(level, np.where(series == 1, 50.0, 400.0), rtol=0.1)
    for code in (0, 1):
        alone = local_levels(seconds[series == code], np.zeros((series == code).sum(), dtype=int))
        np.testing.assert_array_equal(level[series == code], alone)
    assert np.isnan(local_levels(np.full(3, np.nan), np.zeros(3, dtype=int))).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 99))
def test_rows_are_permuted_within_their_series_and_mostly_keep_their_neighbour(codes, block, seed):
    series = np.array(codes)
    permuted = block_permutation(series, block, np.random.default_rng(seed))
    assert sorted(permuted) == list(range(len(series)))
    np.testing.assert_array_equal(series[permuted], series)
    for code in set(codes):
        rows = np.flatnonzero(series == code)
        place = np.searchsorted(rows, permuted[rows])
        follows = (np.diff(np.append(place, place[0])) - 1) % len(rows) == 0
        assert (~follows).sum() <= max(len(rows) // block, 1)


@pytest.mark.parametrize("interval", ["20min", "1D"])
def test_who_had_ended_when_is_the_same_in_every_other_past(interval):
    runs = overlapping(interval=interval)
    pasts = read_pasts(runs)
    rng = np.random.default_rng(0)
    moved = pasts.as_usual([WHOLE_RUN])
    assert (moved["ended_at"] != runs["ended_at"]).any()
    np.testing.assert_array_equal(known_to(moved), known_to(runs))
    for source in pasts.sources:
        rows = block_permutation(pasts.clock.series, 5, rng)
        permuted = pasts.permuted(source, pasts.expected(source), rows)
        np.testing.assert_array_equal(known_to(permuted), known_to(runs))
        validate_runs(permuted)


def test_ends_move_freely_where_runs_do_not_overlap():
    runs = make_job_runs(n_runs=30, n_jobs=2, random_state=0)
    pasts = read_pasts(runs)
    moved = pasts.as_usual([WHOLE_RUN])
    whole = (moved["ended_at"] - moved["started_at"]).dt.total_seconds().to_numpy()
    some = ~np.isnan(pasts.usual[WHOLE_RUN])
    np.testing.assert_allclose(whole[some], pasts.usual[WHOLE_RUN][some], atol=1e-5)


def test_only_the_columns_of_the_source_change():
    runs = overlapping().assign(job_1__retries=np.arange(120) % 3, job_10=1.0)
    runs["job_1__started_at"] = runs["started_at"] + pd.to_timedelta(np.arange(120) % 7, unit="s")
    pasts = read_pasts(runs, JOBS)
    rows = block_permutation(pasts.clock.series, 5, np.random.default_rng(0))
    own = ["job_1", "job_1__status", "job_1__retries", "job_1__started_at"]
    for other in (pasts.as_usual(["job_1"]), pasts.permuted("job_1", np.zeros(120), rows)):
        pd.testing.assert_frame_equal(other.drop(columns=own), runs.drop(columns=own))
        assert all(not other[column].equals(runs[column]) for column in own)
        waited = (other["job_1__started_at"] - other["started_at"]).dt.total_seconds()
        assert set(np.round(waited * 2)) <= set(range(13))


def test_as_usual_is_a_success_of_the_usual_length_where_one_was_recorded():
    runs = overlapping()
    pasts = read_pasts(runs)
    other = pasts.as_usual(["job_2"])
    usual = pasts.usual["job_2"]
    recorded = runs["job_2"].notna() | (runs["job_2__status"] == "skipped")
    changed = recorded.to_numpy() & ~np.isnan(usual)
    np.testing.assert_array_equal(other["job_2"][changed], usual[changed])
    assert (other["job_2__status"][changed] == "success").all()
    pd.testing.assert_frame_equal(other[~changed], runs[~changed])


def test_a_run_not_yet_observed_stays_so():
    runs = make_job_runs(n_runs=30, n_jobs=2, random_state=0)
    runs.loc[29, ["job_0", "ended_at"]] = [np.nan, pd.NaT]
    runs.loc[29, "job_0__status"] = None
    pd.testing.assert_series_equal(
        read_pasts(runs).as_usual(["job_0", "job_1", WHOLE_RUN]).loc[29, ["job_0", "ended_at"]],
        runs.loc[29, ["job_0", "ended_at"]],
    )


def test_a_permuted_past_has_the_same_particular_parts_elsewhere():
    runs = make_job_runs(n_runs=80, n_jobs=2, failure_rate=0.1, random_state=0)
    pasts = read_pasts(runs)
    is_test = np.arange(80) >= 40
    rows = block_permutation(pasts.groups("job_1", is_test), 8, np.random.default_rng(1))
    assert (rows != np.arange(80)).any()
    permuted = pasts.permuted("job_1", np.zeros(80), rows)
    seconds = runs["job_1"].to_numpy()
    for t in range(80):
        expected = (
            pasts.local_level["job_1"][t] * seconds[rows[t]] / pasts.local_level["job_1"][rows[t]]
        )
        np.testing.assert_allclose(permuted["job_1"][t], expected, rtol=1e-9)
    pd.testing.assert_series_equal(permuted["job_1__status"], runs["job_1__status"])


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 99))
def test_only_runs_of_one_series_that_ended_alike_trade(seed):
    runs = overlapping(seed=seed, failure_rate=0.2)
    is_test = np.random.default_rng(seed).random(len(runs)) < 0.5
    series, pasts = series_of(runs.index), read_pasts(runs)
    for job in JOBS:
        status, observed = runs[f"{job}__status"].tolist(), runs[job].notna().tolist()
        told = list(zip(series, is_test, status, observed, strict=True))
        groups = pasts.groups(job, is_test)
        for t, code in enumerate(groups):
            assert [told[t] == other for other in told] == (groups == code).tolist()


def test_what_others_tell_of_a_job_is_found():
    runs = make_job_runs(n_runs=300, n_jobs=2, coupling=0.9, linkage=0.0, random_state=0)
    pasts = read_pasts(runs)
    ratio = np.log(runs["job_1"].to_numpy() / pasts.local_level["job_1"])
    good = (runs["job_1__status"] == "success").to_numpy() & np.isfinite(ratio)
    assert np.corrcoef(pasts.expected("job_1")[good], ratio[good])[0, 1] > 0.6


def test_failures_of_others_do_not_hide_what_they_tell():
    runs = make_job_runs(
        n_runs=300, n_jobs=2, coupling=0.9, failure_rate=0.1, season=0, month_end=0,
        input_effect=0, random_state=0,
    )  # fmt: skip
    pasts = read_pasts(runs)
    good = (runs[["job_0__status", "job_1__status"]] == "success").all(axis=1).to_numpy()
    ratio = np.log(runs["job_1"].to_numpy() / pasts.local_level["job_1"])
    assert np.corrcoef(pasts.expected("job_1")[good], ratio[good])[0, 1] > 0.6


def test_month_ends_and_powers_of_a_covariate_are_expected():
    runs = make_job_runs(n_runs=400, n_jobs=1, noise=0.01, season=0, shift_every=None,
                         failure_rate=0, random_state=0)  # fmt: skip
    pasts = read_pasts(runs)
    ratio = np.log(runs["job_0"].to_numpy() / pasts.local_level["job_0"])
    left = ratio - pasts.expected("job_0")
    assert left.std() < 0.25 * ratio.std()
    assert np.abs(left[runs["started_at"].dt.is_month_end]).mean() < 0.05


def test_strange_tables_have_pasts():
    empty_job = pd.DataFrame({"a": [1.0, 2.0, np.inf, 0.0], "b": [np.nan] * 4})
    for runs in (empty_job, empty_job[:1], overlapping().drop(columns="ended_at")):
        pasts = read_pasts(runs)
        for source in pasts.sources:
            rows = block_permutation(pasts.clock.series, 2, np.random.default_rng(0))
            permuted = pasts.permuted(source, pasts.expected(source), rows)
            assert list(permuted) == list(runs)
        assert list(pasts.as_usual(pasts.sources)) == list(runs)


def test_covariates_are_what_no_source_owns():
    runs = overlapping().assign(event="push", job_1__queue=1.0)
    assert covariates_of(runs, [*job_columns(runs), WHOLE_RUN]) == ["input_rows", "event"]
