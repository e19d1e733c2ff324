"""An outcome of a job is known at the end of the job, though its run may go on, and not before."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_jobtime.baselines import ExponentialMean, OnlineMix, RollingRule, SeasonalRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.point_in_time import Clock, ended_by_job, read_clock
from sklearn_jobtime.preprocessing import (
    FailureImputer,
    LevelScaler,
    MinMaxScaler,
    RecentRuns,
    SequenceWindower,
    TimestampToNumeric,
)
from sklearn_jobtime.runs import as_of, clock_columns, job_columns, job_ends, make_targets


def overlapping(seed, n_runs=40, **options):
    """Runs of a chain of two jobs; the next one starts while the second job still runs."""
    options = {"n_jobs": 2, "level": [700.0, 1500.0], "interval": "15min"} | options
    return make_job_runs(n_runs, starts=True, random_state=seed, **options)


def known_ends(runs, job):
    own = job_ends(runs, job)
    return own.fillna(runs["ended_at"])


def median_by_loop(runs, job, n_runs):
    """Median of the newest successes of a job to have ended themselves, a row after another."""
    ends = known_ends(runs, job)
    found = []
    for row in range(len(runs)):
        past = [
            (ends.iloc[i], i)
            for i in range(row)
            if ends.iloc[i] <= runs["started_at"].iloc[row]
            and runs[f"{job}__status"].iloc[i] == "success"
        ]
        newest = [runs[job].iloc[i] for _, i in sorted(past)[-n_runs:]]
        found.append(np.median(newest) if newest else np.nan)
    return np.array(found)


@pytest.mark.parametrize(("seed", "missing"), [(0, False), (1, True), (2, True)])
def test_a_rolling_median_is_that_of_a_slow_loop(seed, missing):
    runs = overlapping(seed)
    if missing:  # of some runs only their end is told
        runs.loc[runs.index % 3 == 0, "job_0__started_at"] = pd.NaT
    train = as_of(runs.iloc[:25], runs["started_at"].iloc[25])
    rule = RollingRule(n_runs=3, statistic="median").fit(train, make_targets(train))
    for job in job_columns(runs):
        expected = median_by_loop(runs, job, 3)
        forecast = rule.predict(runs)[:, rule.jobs_.index(job)]
        known = ~np.isnan(expected)
        np.testing.assert_allclose(forecast[known], expected[known])
        later = rule.predict(runs.iloc[15:])[10:, rule.jobs_.index(job)]  # from what fit remembers
        np.testing.assert_allclose(later[known[25:]], expected[25:][known[25:]])


def test_a_job_is_known_while_its_run_goes_on():
    runs = overlapping(0, failure_rate=0, timeout=None)
    ended, started = known_ends(runs, "job_0"), runs["started_at"]
    assert (ended < started.shift(-1)).mean() > 0.3
    assert (runs["ended_at"] < started.shift(-1)).mean() < 0.1
    rule = RollingRule(n_runs=1).fit(runs, make_targets(runs))
    strict = runs.drop(columns=clock_columns(runs))
    later = RollingRule(n_runs=1).fit(strict, make_targets(strict))
    assert (rule.predict(runs)[:, 0] != later.predict(strict)[:, 0]).mean() > 0.3
    np.testing.assert_array_equal(  # the whole run is known at its end as before
        rule.predict(runs)[:, -1], later.predict(strict)[:, -1]
    )


ESTIMATORS = [
    RollingRule(n_runs=3),
    ExponentialMean(),
    SeasonalRule(),
    OnlineMix(),
    FailureImputer("last success"),
    make_pipeline(TimestampToNumeric(), FailureImputer(), LevelScaler(n_runs=3)),
    make_pipeline(TimestampToNumeric(), FailureImputer(), RecentRuns()),
    make_pipeline(TimestampToNumeric(), FailureImputer(), SequenceWindower(n_steps=3)),
    make_pipeline(TimestampToNumeric(), FailureImputer(), MinMaxScaler(), LevelScaler(n_runs=3)),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: "-".join(
    [type(step).__name__ for _, step in getattr(e, "steps", [(0, e)])]))  # fmt: skip
def test_what_was_not_known_yet_changes_nothing(estimator):
    runs = overlapping(3, level=[1000.0, 1500.0], failure_rate=0.05)
    row = 30
    now = runs["started_at"].iloc[row]
    runs.loc[row, ["job_0", "job_0__status"]] = (5.0, "failed")  # itself stays as it is
    other = runs.copy()
    for job in job_columns(runs):
        unknown = ~(known_ends(runs, job) <= now) & (runs.index != row)
        assert unknown.iloc[:row].any()
        other.loc[unknown, job] = runs.loc[unknown, job].fillna(0) * 3 + 9000.0
        other.loc[unknown, f"{job}__status"] = "success"
        late = unknown & ~(runs[f"{job}__started_at"] <= now)
        other.loc[late, f"{job}__started_at"] = runs["started_at"].clip(lower=now)[late]
    assert (known_ends(runs, "job_0") < now)[runs["ended_at"] > now].any()
    other["ended_at"] = runs["ended_at"].where(runs["ended_at"] <= now, now + pd.Timedelta("9D"))
    train = as_of(runs.iloc[:20], runs["started_at"].iloc[20])
    fitted = estimator.fit(train, make_targets(train))
    outputs = []
    for table in (runs, other):
        out = fitted.predict(table) if hasattr(fitted, "predict") else fitted.transform(table)
        if isinstance(out, pd.DataFrame):
            of_past = [c for c in out if c == "job_0" or c.startswith("started_at__")]
            out = out[of_past].to_numpy()
        outputs.append(np.asarray(out)[row])
    assert np.isfinite(outputs[0]).any()
    np.testing.assert_array_equal(*outputs)


def test_scaled_durations_make_no_earlier_ends():
    runs = overlapping(1, failure_rate=0, timeout=None)
    clocks = []

    class Reads(LevelScaler):
        def transform(self, X):
            clocks.append(read_clock(X))
            return super().transform(X)

    make_pipeline(TimestampToNumeric(), FailureImputer(), Reads()).fit_transform(runs)
    make_pipeline(TimestampToNumeric(), FailureImputer(), MinMaxScaler(), Reads()).fit_transform(
        runs
    )
    plain, scaled = (clock.job_ended["job_0"] for clock in clocks)
    assert np.isfinite(plain).all()
    assert np.isnan(scaled).all()


def test_ends_of_jobs_are_those_of_their_runs_where_nothing_else_is_told():
    zero = np.zeros(3, dtype=np.intp)
    started, ended = np.array([0.0, 10.0, 20.0]), np.array([15.0, np.nan, 30.0])
    clock = Clock(zero, [()], started, ended, job_ended={"a": np.array([np.nan, 12.0, np.nan])})
    found = ended_by_job(clock, ["a", "b", "c"])
    known = {job: [o.order[i:j].tolist() for i, j in zip(o.first, o.stop, strict=True)]
             for job, o in found.items()}  # fmt: skip
    assert known == {"a": [[], [], [1, 0]], "b": [[], [], [0]], "c": [[], [], [0]]}
    assert found["b"] is found["c"]
    np.testing.assert_array_equal(clock.last_known, [15.0, 12.0, 30.0])
    no_ends = Clock(zero, [()], started, job_ended={"a": np.array([np.nan, 99.0, np.nan])})
    order = ended_by_job(no_ends, ["a"])["a"]
    assert [order.order[i:j].tolist() for i, j in zip(order.first, order.stop, strict=True)] == [
        *([], [0], [0])
    ]
