"""Durations that a coarse clock does not tell apart have no ratio worth telling."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster, DurationDistribution
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.runs import make_targets, validate_runs
from sklearn_jobtime.runs._log_ratio import indistinct_durations


def two_series(quick, copy, scale=1.0):
    starts = pd.date_range("2026-01-01", periods=60, tz="UTC")
    parts = {
        name: pd.DataFrame({"started_at": starts, "job": np.resize(seconds, 60) * scale})
        for name, seconds in {"quick": quick, "copy": copy}.items()
    }
    return validate_runs(pd.concat(parts))


@pytest.mark.parametrize("scale", [1.0, 0.1])
@pytest.mark.parametrize("quick", [[0.0, 0.0, 1.0, 0.0, 2.0], [0.0, 1.0], [2.0, 0.0, 0.0]])
def test_jobs_of_no_time_spoil_no_other_interval(quick, scale):
    runs = two_series(quick, [3.0, 4.0, 5.0], scale)
    model = ConformalForecaster(RollingRule("mean")).fit(runs, make_targets(runs))
    found = forecast(model, runs).loc["copy"].iloc[0]
    assert 2 * scale <= found["lower"] <= 3 * scale
    assert 5 * scale <= found["upper"] <= 6 * scale


def test_the_clock_is_told_by_all_durations_of_a_job():
    seconds = np.array([[1.0, 0.5, 0.25, 1.2345, 0.0], [60.0, 2.0, np.nan, 7.0, 0.0]])
    assert indistinct_durations(seconds).tolist() == [2.0, 0.2, 0.02, 0.001, 0.001]


def test_a_finer_clock_changes_nothing():
    runs = two_series([0.0013, 0.5], [3.0017, 5.0])
    model = ConformalForecaster(RollingRule("mean")).fit(runs, make_targets(runs))
    assert model.conformity_score_.least_ == 0.001


def test_chances_count_short_runs_as_alike():
    """Forecast 1 s, took 0, 1 or 2 s: nothing says that 10 s may become 20 s."""
    took = np.tile([[0.0], [1.0], [2.0]], (10, 1))
    known = DurationDistribution(np.ones((30, 1)), took)
    assert known.longest(10.0, 0.9).tolist() == [10.0]
