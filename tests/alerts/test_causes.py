"""Causes for an alarm, each in a history that was made to have it."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.alerts import Asked, causes_of, look_at
from sklearn_jobtime.alerts._shifts import level_shifts
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import DeadlineError
from sklearn_jobtime.runs import as_of, make_targets

FITTED = 60


def history(n_runs=80, **options):
    return make_job_runs(
        n_runs, n_jobs=1, shift_every=None, failure_rate=0, random_state=0, **options
    )


def causes(runs, *deadlines, after="6h", refit_after=None, series=None, jobs=("job_0",), new=-2):
    past = runs.groupby(level=0).head(FITTED) if runs.index.nlevels > 1 else runs[:FITTED]
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past, jobs=list(jobs)))
    now = runs["started_at"].max() + pd.Timedelta(after)
    asked = Asked(deadlines, now, ZoneInfo("UTC"), refit_after=refit_after, landings=0)
    night = look_at(model, runs, list(jobs), asked, series)
    since = runs["ended_at"].sort_values().iloc[new]
    return causes_of(night, asked, model, since)


def of_kind(found, kind):
    return [cause for cause in found if cause.kind == kind]


def fail(runs, rows):
    runs = runs.copy()
    runs.loc[runs.index[rows], "job_0__status"] = "failed"
    return runs


def test_a_quiet_history_has_no_cause():
    assert causes(history(), "06:00", series="etl") == []


def test_failures_in_a_row_begin_with_the_first_and_end_with_a_success():
    runs = history()
    (found,) = of_kind(causes(fail(runs, slice(-3, None))), "failures_in_a_row")
    assert (found.job, found.run, found.series) == ("job_0", "77", None)
    assert found.since == runs["started_at"].iloc[-3]
    assert found.numbers["failures"] == (3.0, "runs")
    assert "failed 3 times in a row, first in run 77" in found.sentence
    assert not of_kind(causes(fail(runs, slice(-3, -1))), "failures_in_a_row")


def test_where_half_of_the_runs_fail_two_in_a_row_are_no_news():
    runs = fail(history(), [*range(0, 78, 2), 78, 79])
    assert not of_kind(causes(runs), "failures_in_a_row")


def test_a_missed_deadline_is_said_with_how_many_in_a_row():
    runs = history()
    # Runs start at about 02:00 and take about ten minutes.
    (found,) = of_kind(causes(runs, "1min"), "missed_deadline")
    assert found.numbers["in_a_row"] == (80.0, "runs")
    assert found.times["deadline_at"] == (runs["started_at"].iloc[-1] + pd.Timedelta("1min")).round(
        "s"
    )
    assert "80 in a row" in found.sentence
    assert not of_kind(causes(runs, "5h"), "missed_deadline")
    failed = fail(runs, [79])
    (older,) = of_kind(causes(failed, "1min"), "missed_deadline")
    assert "Run 78" in older.sentence


def test_a_low_chance_is_an_alarm_for_the_run_that_is_asked_for():
    found = causes(history(), "1min")
    (late,) = of_kind(found, "late_chance")
    chance, unit = late.numbers["chance"]
    assert chance < 0.5
    assert unit == "ratio"
    assert late.run == "80"
    assert "Run 80: the whole run, start " in late.sentence
    assert not of_kind(causes(history(), "10h"), "late_chance")


def test_a_run_that_goes_on_beyond_its_deadline_has_missed_it():
    runs = history()
    runs.iloc[-1, [runs.columns.get_loc(c) for c in ("ended_at", "job_0__status")]] = pd.NaT, None
    runs.iloc[-1, runs.columns.get_loc("job_0")] = np.nan
    found = causes(runs, "2h", after="3h")
    (late,) = of_kind(found, "late_chance")
    assert late.numbers["chance"][0] < 0.05
    assert late.run == "79"
    assert not of_kind(found, "data_not_fresh")


def test_the_landing_of_a_run_of_which_a_job_has_ended_tells_its_chance():
    runs = make_job_runs(
        80, n_jobs=2, starts=True, failure_rate=0, shift_every=None, random_state=0
    )
    past, started = runs[:FITTED], runs["started_at"].iloc[-1]
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past))
    now = started + pd.Timedelta(runs["job_0"].iloc[-1] + 60, unit="s")
    asked = Asked(["11min"], now, ZoneInfo("UTC"), alarm_below=1.0)
    night = look_at(model, as_of(runs, now), ["job_0", "job_1"], asked)
    late = of_kind(causes_of(night, asked, model, now), "late_chance")
    (landing,) = night.landings.values()
    assert [cause.run for cause in late] == ["80", "79"]
    assert late[1].numbers["chance"][0] == landing["chance"].iloc[-1]
    assert late[1].numbers["expected"][0] == pytest.approx(landing["lands"].iloc[-1])


def test_a_run_that_did_not_come_by_its_deadline_has_no_chance_of_it():
    assert not of_kind(causes(history(), "1min", after="25h"), "late_chance")


@pytest.mark.parametrize(("after", "n"), [("6h", 0), ("25h", 0), ("30h", 1), ("40D", 1)])
def test_a_run_that_did_not_come_is_one_alarm(after, n):
    found = of_kind(causes(history(), after=after), "data_not_fresh")
    assert len(found) == n
    assert all("No run has come since the one" in cause.sentence for cause in found)


def test_of_several_series_the_one_that_rests_is_told_and_chances_of_it_are_not():
    runs = make_job_runs(80, n_jobs=1, n_series=2, failure_rate=0, random_state=0)
    names = runs.index.get_level_values(0).unique()
    rests = runs.drop(index=runs.loc[[names[0]]].index[-3:])
    found = causes(rests, "1min", f"{names[1]}=10h")
    (stale,) = of_kind(found, "data_not_fresh")
    assert stale.series == str(names[0])
    assert not of_kind(found, "late_chance")
    with pytest.raises(DeadlineError, match="the series 'x' came"):
        causes(runs, "x=05:00")


@pytest.mark.parametrize("n_gone", [0, 40])
def test_one_series_that_runs_takes_no_forecast_from_the_others(n_gone):
    runs = make_job_runs(80, n_jobs=1, n_series=3, failure_rate=0, random_state=0)
    one, two, three = runs.index.get_level_values(0).unique()
    if n_gone:  # retired
        runs = runs.drop(index=runs.loc[[three]].index[-n_gone:])
    last = runs.loc[[two]].index[-1]
    runs.loc[last, ["job_0", "ended_at", "job_0__status"]] = [np.nan, pd.NaT, None]
    past = runs.groupby(level=0).head(30)
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past, jobs=["job_0"]))
    now = runs.loc[last, "started_at"] + pd.Timedelta("1min")
    night = look_at(model, runs, ["job_0"], Asked(["5h"], now, ZoneInfo("UTC"), landings=0))
    coming = [two, one] if n_gone else [two, one, three]
    assert list(night.coming.index.get_level_values(0)) == coming
    assert night.is_running.tolist() == [True] + [False] * (len(coming) - 1)
    elapsed = night.risks[night.risks["job"] == "whole_run"].groupby(level=0)["elapsed"].first()
    assert elapsed.to_dict() == {name: 60.0 * (name == two) for name in coming}


def test_a_fit_is_due_after_so_many_days():
    assert not of_kind(causes(history(), refit_after=30), "refit_due")
    (due,) = of_kind(causes(history(), refit_after=10), "refit_due")
    assert "more than 10 days ago; `jobtime fit` again." in due.sentence
    assert due.series is None


def test_a_level_shift_is_found_once_and_is_over_when_the_new_level_is_usual():
    runs = history(200)
    fitted_until = runs["ended_at"].iloc[120]
    runs.loc[runs.index[140:], "job_0"] *= 1.8
    found = {}
    for n in range(122, 200, 2):
        for shift in level_shifts(runs[:n], ["job_0"], fitted_until):
            found.setdefault((shift.job, shift.direction, shift.run), []).append(n)
    ((_, direction, run), seen), = [
        (key, seen) for key, seen in found.items() if key[0] == "job_0"
    ]  # fmt: skip
    assert direction == "long"
    assert 140 <= run < 155
    assert seen == list(range(seen[0], seen[-1] + 1, 2))
    assert run < seen[-1] < run + 32
