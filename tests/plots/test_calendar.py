"""Each day has its cell, its median and its mark, in the calendar of the zone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.plots import CalendarDisplay
from sklearn_jobtime.plots.calendar import daily_durations, week_grid
from sklearn_jobtime.runs import validate_runs


def table(starts, seconds, statuses=None):
    runs = pd.DataFrame({"started_at": pd.to_datetime(starts, utc=True), "load": seconds})
    if statuses is not None:
        runs["load__status"] = statuses
    return validate_runs(runs, jobs=["load"])


@given(st.lists(st.integers(0, 60 * 24 * 300), min_size=1, max_size=40), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_cells_equal_a_loop_over_the_days(minutes, seed):
    rng = np.random.default_rng(seed)
    zone = "America/New_York"
    started = pd.Timestamp("2025-01-15", tz="UTC") + pd.to_timedelta(sorted(minutes), "min")
    seconds = np.where(rng.random(len(minutes)) < 0.3, np.nan, rng.uniform(1, 9, len(minutes)))
    days = daily_durations(pd.Series(started), pd.Series(seconds), pd.Series(seconds > 5), zone)
    grid, weeks = week_grid(days, "median")
    local = [start.tz_convert(zone).date() for start in started]
    assert days.index.date.tolist() == sorted(set(local))
    for week, monday in enumerate(weeks):
        for weekday in range(7):
            date = (monday + pd.Timedelta(days=weekday)).date()
            of_day = [s for s, d in zip(seconds, local, strict=True) if d == date]
            good = [s for s in of_day if not np.isnan(s)]
            expected = np.median(good) if good else np.nan
            np.testing.assert_equal(grid[weekday, week], expected)
            if of_day:
                assert days.loc[pd.Timestamp(date), "runs"] == len(of_day)
                assert days.loc[pd.Timestamp(date), "failed"] == sum(s > 5 for s in good)


def test_gaps_are_blank_failures_marked_and_colours_in_the_unit_of_the_bar():
    runs = table(
        ["2026-03-02T05:00", "2026-03-02T07:00", "2026-03-04T05:00", "2026-03-15T05:00"],
        [1200.0, 1800.0, 60.0, 2400.0],
        ["success", "success", "failed", "success"],
    )
    display = CalendarDisplay.from_runs(runs, jobs=["load"])
    colours = display.images_[0].get_array()
    assert colours.shape == (7, 2)
    assert colours[0, 0] == 25.0  # Monday, minutes
    assert colours[6, 1] == 40.0  # Sunday of the week after
    assert (~colours.mask).sum() == 2
    assert display.marks_[0].get_xydata().tolist() == [[0.5, 2.5]]  # the failed Wednesday
    assert display.figure_.axes[-1].get_ylabel() == "minutes"
    assert "2026 (UTC)" in display.ax_[-1].get_xlabel()


def test_a_day_ends_at_the_midnight_of_the_zone_when_the_clocks_change():
    # Berlin: 2025-10-26 has 25 hours, from 22:00 UTC to 23:00 UTC.
    runs = table(["2025-10-25T21:59", "2025-10-25T22:00", "2025-10-26T22:59", "2025-10-26T23:00"],
                 [1.0, 2.0, 4.0, 8.0])  # fmt: skip
    colours = CalendarDisplay.from_runs(
        runs, jobs=["load"], timezone="Europe/Berlin"
    ).images_[0].get_array()  # fmt: skip
    assert (colours[5, 0], colours[6, 0], colours[0, 1]) == (1.0, 3.0, 8.0)


@pytest.mark.parametrize("n_runs", [1, 3, 90, 700])
@pytest.mark.parametrize("n_jobs", [1, 10])
def test_it_reads_well_from_one_day_to_years_and_with_long_names(n_runs, n_jobs, assert_readable):
    runs = make_job_runs(n_runs=n_runs, n_jobs=n_jobs, random_state=0)
    runs = runs.rename(columns=lambda c: c.replace("job_", "load$of$the_warehouse_" * 4))
    display = CalendarDisplay.from_runs(runs, timezone="America/Argentina/ComodRivadavia")
    assert len(display.ax_) == min(8, n_jobs + 1)
    assert display.images_[0].get_array().shape[1] <= 54
    assert_readable(display.figure_)


def test_series_have_panels_of_their_own():
    runs = make_job_runs(n_runs=30, n_jobs=1, n_series=2, random_state=0)
    titles = {ax.get_title(loc="left") for ax in CalendarDisplay.from_runs(runs).ax_}
    assert titles == {f"pipeline_{k}: {job}" for k in (0, 1) for job in ("job_0", "whole run")}


def test_a_job_that_never_succeeded_has_no_colour(assert_readable):
    runs = table(["2026-03-02", "2026-03-03"], [5.0, 6.0], ["failed", "failed"])
    display = CalendarDisplay.from_runs(runs, jobs=["load"])
    assert display.images_[0].get_array().mask.all()
    assert len(display.marks_[0].get_xdata()) == 2
    assert_readable(display.figure_)


def test_a_table_without_times_is_an_error_that_says_so():
    with pytest.raises(RunTableError, match="no column 'started_at', so no run has a day"):
        CalendarDisplay.from_runs(pd.DataFrame({"load": [1.0]}))
