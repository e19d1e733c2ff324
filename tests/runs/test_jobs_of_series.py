"""Which jobs belong to which series, and which series are retired."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.inspection import job_linkage
from sklearn_jobtime.plots import ForecastDisplay
from sklearn_jobtime.runs import make_targets, next_runs, retired_series, validate_runs
from sklearn_jobtime.runs._jobs_of_series import jobs_in_coming, share_a_series


def series_runs(start, gap, **jobs):
    n = len(next(iter(jobs.values())))
    starts = pd.date_range(start, periods=n, freq=gap, tz="UTC")
    ends = starts + pd.Timedelta("10min")
    return pd.DataFrame({"started_at": starts, "ended_at": ends, **jobs}, index=range(n))


def pooled(**series):
    runs = validate_runs(pd.concat(series))
    return runs.astype(dict.fromkeys(runs.columns[2:], "float64"))


CI = series_runs("2026-03-01", "D", build=[60.0] * 30, test=[300.0] * 30)
RELEASE = series_runs("2026-03-02", "7D", publish=[20.0] * 5)


@pytest.fixture
def pool():
    return pooled(ci=CI, release=RELEASE)


def listed(forecasts):
    """Jobs by the series of the forecasts, the whole run left out."""
    named = forecasts[forecasts["job"] != "whole_run"]
    return named["job"].groupby(named.index.get_level_values(0)).unique().map(list).to_dict()


def test_a_forecast_lists_the_jobs_of_its_series(pool):
    rule = RollingRule("median").fit(pool, make_targets(pool, horizon=2))
    found = forecast(rule, pool)
    assert listed(found) == {"ci": ["build", "test"], "release": ["publish"]}
    assert len(found) == (3 + 2) * 2
    assert found.groupby(level=0)["job"].apply(lambda job: "whole_run" in set(job)).all()
    assert found[found["job"] == "publish"]["seconds"].tolist() == [20.0, 20.0]


def test_a_new_job_of_a_series_is_forecast_from_the_others(pool):
    """One run of `release` had `test`: it belongs there from then on."""
    pool.loc[("release", 4), "test"] = 280.0
    rule = RollingRule("median").fit(pool, make_targets(pool))
    assert listed(forecast(rule, pool))["release"] == ["test", "publish"]


def test_a_status_without_a_duration_is_a_job_of_the_series(pool):
    pool["build__status"] = np.where(pool["build"].notna(), "success", None)
    pool["test__status"] = np.where(pool["test"].notna(), "success", None)
    pool["publish__status"] = np.where(pool["publish"].notna(), "success", None)
    pool.loc[("release", 4), "build__status"] = "failed"
    coming = next_runs(pool)
    assert jobs_in_coming(pool, coming, ["build", "test", "publish"]).tolist() == [
        [True, True, False],
        [True, False, True],
    ]


def test_a_coming_row_that_tells_something_of_a_job_has_it(pool):
    coming = next_runs(pool)
    coming["test__status"] = [None, "skipped"]
    found = jobs_in_coming(pool.assign(test__status=None), coming, ["build", "test", "publish"])
    assert found.tolist() == [[True, True, False], [False, True, True]]


def test_a_series_without_a_run_may_have_any_job(pool):
    coming = next_runs(pool.loc[["ci"]])
    coming.index = pd.MultiIndex.from_tuples([("nightly", 1)])
    assert jobs_in_coming(pool, coming, ["build", "publish"]).all()


def test_a_series_whose_jobs_are_not_forecast_gets_no_other_jobs(pool):
    """As when `publish` never succeeded, or was not among --jobs."""
    pool["publish__status"] = np.where(pool["publish"].notna(), "failed", None)
    assert jobs_in_coming(pool, next_runs(pool), ["build", "test"]).tolist() == [
        [True, True],
        [False, False],
    ]


@pytest.mark.parametrize(
    ("ran", "n_failed", "belongs"),
    [
        ([True] * 30 + [False] * 19, 0, True),
        ([True] * 30 + [False] * 20, 0, False),  # in each run until 20 runs ago
        ([True] * 30 + [False] * 50, 40, True),  # what would come after a failure is not missing
        ([k % 30 == 0 for k in range(150)], 0, True),  # 29 runs ago, as always
        ([k % 30 == 0 for k in range(120)] + [False] * 100, 0, False),
        ([False] * 10 + [True] + [False] * 30, 0, False),  # tried once
    ],
)
def test_a_job_that_was_taken_out_is_no_longer_listed(ran, n_failed, belongs):
    n = len(ran)
    runs = pd.DataFrame({"build": [60.0] * n, "docs": np.where(ran, 5.0, np.nan)})
    runs["build__status"] = ["success"] * (n - n_failed) + ["failed"] * n_failed
    coming = next_runs(runs).reindex(columns=runs.columns)
    assert jobs_in_coming(runs, coming, ["build", "docs"]).tolist() == [[True, belongs]]


def test_many_runs_to_come_take_no_job_out(pool):
    dates = pd.date_range("2026-05-01", periods=30, tz="UTC")
    assert jobs_in_coming(pool, next_runs(pool, dates), ["build", "publish"]).tolist() == (
        [[True, False]] * 30 + [[False, True]] * 30
    )


def test_links_are_among_jobs_that_share_a_series(pool):
    assert share_a_series(
        pool, ["build", "publish"], ["test", "publish", "whole_run"]
    ).tolist() == [
        [True, False, True],
        [False, True, True],
    ]
    rule = RollingRule("last").fit(pool, make_targets(pool))
    found = job_linkage(rule, pool, np.arange(len(pool)) >= 10, n_repeats=2)
    assert np.isnan(found.matrix.loc["build", "publish"])
    assert not np.isnan(found.matrix.loc["build", "test"])
    assert len(found.links(1.0).query("source == 'publish' and target == 'build'")) == 0


def test_a_picture_has_no_panel_of_a_job_of_another_series(pool):
    rule = RollingRule("median").fit(pool, make_targets(pool))
    panels = ForecastDisplay.from_estimator(rule, pool).panels()
    named = {(series, job) for series, job in panels if job != "whole_run"}
    assert named == {(0, "build"), (0, "test"), (1, "publish")}


@pytest.mark.parametrize(
    ("n_runs", "gap", "is_retired"),
    # nightly runs until 2026-06-08; the next one is due a gap after the last
    [
        (89, "D", False),  # due 2026-05-29, ten gaps ago
        (88, "D", True),  # due 2026-05-28, eleven gaps ago
        (5, "7D", False),  # due 2026-04-05, nine weeks ago
        (3, "7D", True),  # due 2026-03-22, eleven weeks ago
        (2200, "1h", False),  # due 2026-05-31 16:00, more than ten gaps but within 8 days
        (2000, "1h", True),
        (1, "D", True),  # a single run, months ago
    ],
)
def test_a_series_whose_next_run_is_long_overdue_is_retired(n_runs, gap, is_retired):
    other = series_runs("2026-03-01", gap, old=[5.0] * n_runs)
    runs = pooled(nightly=series_runs("2026-03-01", "D", job=[9.0] * 100), other=other)
    if n_runs == 2200:
        runs = runs[runs["started_at"] < "2026-06-06"]
    retired = retired_series(runs)
    assert retired.to_dict() == ({"other": other["started_at"].max()} if is_retired else {})
    coming = next_runs(runs)
    assert coming.index.get_level_values(0).tolist() == ["nightly"] + ["other"] * (not is_retired)
    asked = next_runs(runs, "2026-07-01")
    assert asked.index.get_level_values(0).tolist() == ["nightly", "other"]


def test_the_only_series_is_not_retired():
    runs = series_runs("2020-01-01", "D", job=[5.0] * 5)
    assert len(retired_series(runs)) == 0
    assert len(next_runs(runs)) == 1
    assert len(retired_series(runs.drop(columns=["started_at", "ended_at"]))) == 0
