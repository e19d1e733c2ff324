"""Every row is drawn once, at its time, in the colour of its part, in the unit of the axis."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import load_alcohol_sales, make_job_runs
from sklearn_jobtime.plots import PredictionDisplay
from sklearn_jobtime.plots._style import ACTUAL, TESTED, TRAINED
from sklearn_jobtime.runs import make_targets

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=80, n_jobs=2, failure_rate=0.1, random_state=0)


@pytest.fixture(scope="module")
def y(runs):
    return make_targets(runs, horizon=2)


@pytest.fixture(scope="module")
def rule(runs, y):
    return RollingRule().fit(runs, y)


IS_TEST = np.arange(80) >= 60


@pytest.mark.parametrize("kind", ["over_time", "scatter"])
def test_train_and_test_are_drawn_apart_and_in_the_unit_of_the_axis(runs, y, rule, kind):
    display = PredictionDisplay.from_estimator(rule, runs, y, is_test=IS_TEST, kind=kind)
    seconds = pd.DataFrame(rule.predict(runs), index=y.index, columns=y.columns)
    for ax, lines in zip(display.ax_, display.lines_, strict=True):
        title = ax.get_title(loc="left")
        target = (1, "whole_run" if title == "whole run" else title)
        assert "minutes" in ax.get_ylabel()
        seen = y[target].notna().to_numpy()
        for part, rows, color in (("trained", ~IS_TEST, TRAINED), ("tested", IS_TEST, TESTED)):
            x, height = lines[part].get_xydata().T
            assert lines[part].get_color() == color
            low, high = ax.get_ylim()
            forecast = np.clip(seconds[target] / 60, low, high)
            if kind == "over_time":
                np.testing.assert_allclose(height[rows], forecast[rows])
                assert np.isnan(height[~rows]).all()
            else:
                np.testing.assert_allclose(x, forecast[rows])
                both = rows & seen
                assert np.isfinite(x * height).sum() == both.sum()
        if kind == "over_time":
            x, height = lines["actual"].get_data()
            assert lines["actual"].get_color() == ACTUAL
            naive = runs["started_at"].dt.tz_localize(None)
            np.testing.assert_allclose(lines["actual"].get_xdata(orig=False), date2num(naive))
            shown = np.clip(y[target] / 60, *ax.get_ylim())
            np.testing.assert_allclose(height, shown)
        else:
            np.testing.assert_array_equal(*lines["diagonal"].get_data())


def test_the_legend_tells_the_parts(runs, y, rule):
    def legend(**options):
        display = PredictionDisplay.from_estimator(rule, runs, y, **options)
        return [text.get_text() for text in display.figure_.legends[0].get_texts()]

    assert legend(is_test=IS_TEST) == ["actual", "forecast, training rows", "forecast, test rows"]
    assert legend() == ["actual", "forecast, all rows"]
    assert legend(kind="scatter") == ["perfect forecast", "forecast, all rows"]


def test_a_step_further_ahead(runs, y, rule):
    display = PredictionDisplay.from_estimator(rule, runs, y, step=2)
    assert display.ax_[0].get_title(loc="left") == "whole run, step 2"
    with pytest.raises(ValueError, match=r"no target is 3 steps ahead; expected one of \[1, 2\]"):
        PredictionDisplay.from_estimator(rule, runs, y, step=3)


def test_months_and_another_unit(assert_readable):
    sales = load_alcohol_sales()["sales_musd"]
    display = PredictionDisplay.from_predictions(
        sales, sales.shift(12), is_test=np.arange(len(sales)) > 340, unit="million US dollars"
    )
    (ax,) = display.ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("month", "million US dollars")
    np.testing.assert_array_equal(display.lines_[0]["actual"].get_xdata(), sales.index)
    assert_readable(display.figure_)


def test_series_have_panels_of_their_own_most_time_first(assert_readable):
    runs = make_job_runs(n_runs=30, n_jobs=5, n_series=2, random_state=0)
    y = make_targets(runs)
    display = PredictionDisplay.from_predictions(y, y + 60.0, times=runs["started_at"])
    assert len(display.ax_) == 8
    assert {ax.get_title(loc="left").split(":")[0] for ax in display.ax_} == {
        "pipeline_0",
        "pipeline_1",
    }
    totals = [panel.rows["actual"].sum() for panel in display.panels]
    assert totals == sorted(totals, reverse=True)
    assert_readable(display.figure_)


@pytest.mark.parametrize("kind", ["over_time", "scatter"])
@pytest.mark.parametrize("n_runs", [1, 2, 40])
@pytest.mark.parametrize("n_jobs", [1, 10])
def test_it_reads_well_from_one_run_to_many_and_with_long_names(
    n_runs, n_jobs, kind, assert_readable
):
    names = [f"load_of_the_whole_$warehouse$_of_the_north_and_{k}" for k in range(n_jobs)]
    seconds = pd.DataFrame(RNG.lognormal(8, 1, (n_runs, n_jobs)), columns=names)
    # from the last hours of summer time on, every two hours
    times = pd.date_range("2025-10-25T20:00", periods=n_runs, freq="2h", tz="Europe/Berlin")
    display = PredictionDisplay.from_predictions(
        seconds, seconds * 1.1, times=times, is_test=np.arange(n_runs) >= n_runs / 2, kind=kind
    )
    if kind == "over_time":
        assert display.ax_[0].get_xlabel() == "time (UTC)"
        shown = display.lines_[0]["actual"].get_xdata()
        np.testing.assert_array_equal(shown, times.tz_convert("UTC").tz_localize(None))
    assert_readable(display.figure_)


def test_times_in_any_order_are_drawn_from_left_to_right():
    display = PredictionDisplay.from_predictions([3.0, 1.0, 2.0], [3, 1, 2], times=[30, 10, 20])
    line = display.lines_[0]["actual"]
    assert line.get_xdata().tolist() == [10, 20, 30]
    assert line.get_ydata().tolist() == [1, 2, 3]


def test_errors_say_what_came_and_what_was_expected():
    with pytest.raises(ValueError, match=r"shape \(2,\) and y_pred \(3,\); expected one forecast"):
        PredictionDisplay.from_predictions([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="kind came as 'bars'; expected one of over_time, scatter"):
        PredictionDisplay.from_predictions([1.0], [1.0], kind="bars")
    display = PredictionDisplay.from_predictions([1.0], [1.0])
    with pytest.raises(ValueError, match="ax holds 2 axes, expected one for each of the 1 panels"):
        display.plot(ax=[display.ax_[0], display.ax_[0]])
