"""The picture shows every run once, in the right place, and reads well."""

import matplotlib as mpl
import matplotlib.image as mpimg
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.plots import ForecastDisplay
from sklearn_jobtime.plots._style import ACTUAL, COMING, FAILED, TESTED
from sklearn_jobtime.plots.forecast import MOST_PANELS
from sklearn_jobtime.runs import (
    job_columns,
    make_targets,
    next_runs,
    observed_durations,
    split_by_time,
)


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=80, n_jobs=2, failure_rate=0.1, random_state=0)


@pytest.fixture(scope="module")
def rule(runs):
    return RollingRule("mean", n_runs=2).fit(runs, make_targets(runs, horizon=5))


def drawn(ax):
    """Places and heights by colour of the lines."""
    return {line.get_color(): line.get_xydata() for line in ax.lines}


def panel(display, title):
    return next(ax for ax in display.ax_ if ax.get_title(loc="left") == title)


def test_each_panel_shows_history_failures_tests_and_the_next_runs(runs, rule):
    _, is_test = split_by_time(runs)
    display = ForecastDisplay.from_estimator(rule, runs, is_test=is_test)
    assert {ax.get_title(loc="left") for ax in display.ax_} == {"whole run", "job_0", "job_1"}
    shown = runs.iloc[-60:]
    for job in job_columns(runs):
        points = drawn(panel(display, job))
        observed = observed_durations(runs)[job].iloc[-60:]
        np.testing.assert_array_equal(
            points[ACTUAL][:, 0], np.flatnonzero(observed.notna().to_numpy())
        )
        failed = shown[f"{job}__status"].isin(["failed", "timeout", "cancelled"])
        failed &= shown[job].notna()
        np.testing.assert_array_equal(points[FAILED][:, 0], np.flatnonzero(failed.to_numpy()))
        tested = np.flatnonzero(is_test[-60:])
        np.testing.assert_array_equal(points[TESTED][:, 0], tested)
        np.testing.assert_array_equal(points[COMING][:, 0], 60 + np.arange(5))
        expected = rule.predict(runs)[-60:][tested, list(job_columns(runs)).index(job)]
        np.testing.assert_allclose(points[TESTED][:, 1] * 60, expected)


def test_the_legend_names_what_is_drawn(runs, rule):
    def entries(display):
        return [text.get_text() for text in display.figure_.legends[0].get_texts()]

    untested = ForecastDisplay.from_estimator(rule, runs)
    assert untested.tested is None
    assert entries(untested) == ["actual", "failed or cancelled", "next runs"]
    _, is_test = split_by_time(runs)
    tested = ForecastDisplay.from_estimator(rule, runs, is_test=is_test)
    assert "forecast at its start, tested" in entries(tested)


def test_axes_are_labelled_with_unit_and_zone(runs, rule):
    display = ForecastDisplay.from_estimator(rule, runs)
    assert {ax.get_ylabel() for ax in display.ax_} == {"minutes"}
    assert display.ax_[-1].get_xlabel() == "start of the run (UTC, 2025), run by run"
    labels = [label.get_text() for label in display.ax_[-1].get_xticklabels()]
    assert len(set(labels)) == len(labels) > 3


@pytest.mark.parametrize("n_jobs", [1, 2, 10])
@pytest.mark.parametrize("prefix", ["job_", "warehouse$load$_of_all_regions_and_of_every_shop_"])
def test_it_reads_well_with_few_and_many_jobs_of_any_name(n_jobs, prefix, assert_readable):
    runs = make_job_runs(n_runs=30, n_jobs=n_jobs, failure_rate=0.1, random_state=0)
    runs = runs.rename(columns=lambda column: column.replace("job_", prefix))
    _, is_test = split_by_time(runs)
    rule = RollingRule().fit(runs, make_targets(runs, horizon=3))
    display = ForecastDisplay.from_estimator(rule, runs, is_test=is_test)
    assert_readable(display.figure_)


def test_the_stored_picture_is_as_wide_as_a_page(runs, rule, tmp_path):
    ForecastDisplay.from_estimator(rule, runs).figure_.savefig(tmp_path / "forecast.png")
    _, width, _ = mpimg.imread(tmp_path / "forecast.png").shape
    assert 900 <= width <= 1200


def test_intervals_are_bars_behind_the_forecasts(runs, rule, assert_readable):
    _, is_test = split_by_time(runs)
    tested = ForecastDisplay.from_estimator(rule, runs, is_test=is_test).tested
    coming = forecast(rule, runs).assign(lower=lambda t: 0.9 * t["seconds"], upper=np.inf)
    coming.iloc[: len(coming) // 2, coming.columns.get_loc("upper")] = 1500.0
    display = ForecastDisplay.from_predictions(
        runs,
        coming,
        tested=tested,
        tested_lower=0.9 * tested,
        tested_upper=1.1 * tested,
        interval="90 % interval",
    )
    ax = panel(display, "job_0")
    past, ahead = ax.containers
    bars = np.array([(bar.get_y(), bar.get_y() + bar.get_height()) for bar in past]) * 60
    np.testing.assert_allclose(bars, tested["job_0"].to_numpy()[:, None] * [0.9, 1.1])
    assert [bar.get_x() + bar.get_width() / 2 for bar in ahead] == [60, 61, 62, 63, 64]
    tops = np.array([bar.get_y() + bar.get_height() for bar in ahead])
    assert tops[-1] == pytest.approx(ax.get_ylim()[1])  # no end is drawn to the edge
    assert ahead[0].get_y() * 60 == pytest.approx(0.9 * coming["seconds"].iloc[0])
    legend = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert legend[-2:] == ["90 % interval", "90 % interval, next runs"]
    assert_readable(display.figure_)


def test_a_model_with_intervals_draws_them_by_itself(runs):
    train, is_test = split_by_time(runs)
    model = ConformalForecaster(RollingRule(), 0.8).fit(train, make_targets(train, horizon=2))
    display = ForecastDisplay.from_estimator(model, runs, is_test=is_test)
    bounds = model.predict_interval(runs)[is_test]
    first = model.estimator_.target_names_.get_level_values("step") == 1
    np.testing.assert_array_equal(display.tested_lower, bounds[:, first, 0])
    np.testing.assert_array_equal(display.tested_upper, bounds[:, first, 1])
    texts = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert texts[-2:] == ["80 % interval", "80 % interval, next runs"]
    assert all(len(ax.patches) > is_test.sum() for ax in display.ax_)  # a bar each


def test_most_time_first_and_at_most_eight_panels():
    runs = make_job_runs(n_runs=40, n_jobs=9, n_series=2, random_state=0)
    rule = RollingRule().fit(runs, make_targets(runs))
    display = ForecastDisplay.from_estimator(rule, runs)
    assert len(display.ax_) == MOST_PANELS
    total = observed_durations(runs).groupby(level=0).sum()
    times = [total.iloc[series][job] for series, job in display.panels()]
    assert times == sorted(times, reverse=True)
    assert min(times) >= np.sort(total.to_numpy().ravel())[-MOST_PANELS]
    assert display.ax_[0].get_title(loc="left").endswith(": whole run")


def test_own_axes_are_drawn_on(runs, rule):
    axes = Figure().subplots(3)
    display = ForecastDisplay.from_estimator(rule, runs, ax=axes)
    assert list(display.ax_) == list(axes)
    assert display.figure_ is axes[0].figure
    with pytest.raises(ValueError, match="ax holds 1 axes, expected one for each of the 3 panels"):
        display.plot(ax=axes[0])


def test_drawing_changes_neither_the_table_nor_matplotlib(runs, rule):
    before, settings_before = runs.copy(), dict(mpl.rcParams)
    display = ForecastDisplay.from_estimator(rule, runs)
    display.plot(n_runs=10)
    pd.testing.assert_frame_equal(runs, before)
    assert dict(mpl.rcParams) == settings_before


def test_a_table_without_times_is_labelled_with_its_runs():
    runs = pd.DataFrame({"build": np.linspace(10, 30, 30)})
    display = ForecastDisplay.from_estimator(RollingRule().fit(runs, make_targets(runs)), runs)
    assert display.ax_[0].get_xlabel() == "run"
    assert display.ax_[0].get_ylabel() == "seconds"
    assert display.ax_[0].get_xticklabels()[-1].get_text() == "29"


@pytest.mark.parametrize("n_runs", [1, 2, 3])
def test_the_shortest_tables_are_drawn(n_runs, assert_readable):
    runs = make_job_runs(n_runs=n_runs, n_jobs=1, failure_rate=0, random_state=0)
    rule = RollingRule().fit(runs, make_targets(runs))
    display = ForecastDisplay(runs, forecast(rule, runs, next_runs(runs))).plot()
    assert_readable(display.figure_)
    assert len(drawn(panel(display, "job_0"))[ACTUAL]) == n_runs


def test_one_hung_run_does_not_flatten_the_others(runs, rule):
    hung = runs.copy()
    hung.iloc[-5, hung.columns.get_loc("job_0")] = 1e6
    hung.iloc[-5, hung.columns.get_loc("job_0__status")] = "success"
    ax = panel(ForecastDisplay(hung, forecast(rule, runs)).plot(), "job_0")
    heights = drawn(ax)[ACTUAL][:, 1]
    low, high = ax.get_ylim()
    assert heights.max() == pytest.approx(high)  # at the edge, not beyond
    assert np.ptp(np.sort(heights)[:-1]) > 0.2 * (high - low)
