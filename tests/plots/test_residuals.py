"""Residuals are actual minus forecast, or log ratios, and every one of them is counted once."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.plots import ResidualDisplay
from sklearn_jobtime.runs import make_targets

RNG = np.random.default_rng(0)
ACTUAL = pd.Series(RNG.lognormal(7, 0.5, 60), name="load").where(np.arange(60) % 7 > 0)
FORECAST = ACTUAL.fillna(900.0).to_numpy() * RNG.lognormal(0, 0.2, 60)
IS_TEST = np.arange(60) >= 40


def inside(values, ax):
    return np.clip(values, *ax.get_ylim())


def test_differences_in_the_unit_of_the_axis_train_and_test_apart():
    display = ResidualDisplay.from_predictions(ACTUAL, FORECAST, is_test=IS_TEST)
    where, how_often = display.ax_
    assert where.get_ylabel() == how_often.get_xlabel() == "actual - forecast (minutes)"
    residual = (ACTUAL - FORECAST) / 60
    for part, rows in (("trained", ~IS_TEST), ("tested", IS_TEST)):
        mine = rows & ACTUAL.notna().to_numpy()
        x, y = display.lines_[0][part].get_data()
        np.testing.assert_array_equal(x, np.flatnonzero(mine))
        np.testing.assert_allclose(y, inside(residual[mine], where))
        shares, edges, _ = display.bars_[0][part].get_data()
        expected, _ = np.histogram(inside(residual[mine], where), edges)
        np.testing.assert_allclose(shares, 100 * expected / mine.sum())
        assert shares.sum() == pytest.approx(100)
    legend = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert legend == ["training rows", "test rows"]


def test_log_ratios_against_the_forecast():
    actual, forecast = np.array([50.0, 200.0, 0.0, 100.0]), np.array([100.0, 100.0, 100.0, 0.0])
    display = ResidualDisplay.from_predictions(
        actual, forecast, kind="against_forecast", log_ratio=True
    )
    x, y = display.lines_[0]["trained"].get_data()
    np.testing.assert_allclose(y, [-np.log(2), np.log(2)])  # equally wrong; zeros have none
    np.testing.assert_allclose(x, 100.0)
    assert display.ax_[0].get_ylabel() == "log(actual / forecast)"
    assert display.ax_[0].get_xlabel() == "forecast (seconds)"


@pytest.mark.parametrize("kind", ["over_time", "against_forecast"])
@pytest.mark.parametrize(("n_runs", "n_jobs"), [(1, 1), (2, 1), (40, 2), (40, 10)])
def test_it_reads_well_from_one_run_to_many(n_runs, n_jobs, kind, assert_readable):
    runs = make_job_runs(n_runs=n_runs, n_jobs=n_jobs, failure_rate=0.1, random_state=0)
    y = make_targets(runs)
    y = y.rename(columns=lambda c: c.replace("job_", "load$of$" * 8) if isinstance(c, str) else c)
    display = ResidualDisplay.from_predictions(
        y, y.fillna(60.0) + 30.0, times=runs["started_at"], kind=kind
    )
    assert len(display.ax_) == 2 * min(8, y.shape[1])
    assert_readable(display.figure_)


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match="expected one of over_time, against_forecast"):
        ResidualDisplay.from_predictions([1.0], [1.0], kind="bars")
