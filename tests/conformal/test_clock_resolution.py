"""Durations that a coarse clock does not tell apart have no ratio worth telling."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from sklearn_jobtime.anomaly import JobTimeAnomalyDetector
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.conformal import ConformalForecaster, DurationDistribution, RecentSpread
from sklearn_jobtime.evaluation import backtest, evaluate, recommendations
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.loaders import summarise_runs
from sklearn_jobtime.point_in_time import epoch_seconds
from sklearn_jobtime.runs import make_targets, validate_runs
from sklearn_jobtime.runs._log_ratio import clock_tick, indistinct_durations


class ShiftedRule(RegressorMixin, BaseEstimator):
    """The last run and 0.3 s more."""

    def __init__(self, statistic):
        self.statistic = statistic

    def fit(self, X, y):
        self.rule_ = RollingRule(self.statistic).fit(X, y)
        return self

    def predict(self, X):
        return self.rule_.predict(X) + 0.3


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


def test_a_clock_of_minutes_is_told_by_starts_and_ends():
    """Every 20 min, jobs of 0, 1 and 2 min: 2 min is what the clock does not tell from 0."""
    starts = pd.date_range("2026-01-01", periods=60, freq="20min", tz="UTC")
    took = np.resize([0.0, 60.0, 120.0], 60)
    runs = validate_runs(
        pd.DataFrame(
            {
                "started_at": starts,
                "ended_at": starts + pd.to_timedelta(took, unit="s"),
                "job": took,
            }
        )
    )
    assert clock_tick(*(epoch_seconds(runs[c]) for c in ("started_at", "ended_at"))) == 60
    model = ConformalForecaster(RollingRule("mean")).fit(runs, make_targets(runs))
    assert model.conformity_score_.least_.tolist() == [120.0, 120.0]
    by_second = runs.assign(ended_at=runs["ended_at"] + pd.Timedelta("1s"))
    model.fit(by_second, make_targets(by_second))
    assert (model.conformity_score_.least_ <= 2.0).all()


def test_twelve_further_nights_of_jobs_of_seconds():
    """The copy of 3 to 5 s gets about 2 to 6 s, whatever the jobs of no time do beside it."""
    runs = two_series([0.0, 0.0, 1.0, 0.0, 2.0], [3.0, 4.0, 5.0])
    model = ConformalForecaster(OnlineMix()).fit(runs, make_targets(runs))
    assert model.n_effective_.min() > 20  # of 30: neighbours are no more alike than others
    for night in range(60, 72):
        found = forecast(model, runs)
        copy, quick = (found.xs(name).iloc[0] for name in ("copy", "quick"))
        took = {"copy": [3.0, 4.0, 5.0][night % 3], "quick": [0.0, 0.0, 1.0, 0.0, 2.0][night % 5]}
        assert 2 <= copy["lower"] <= took["copy"] <= copy["upper"] <= 6
        assert quick["lower"] <= took["quick"] <= quick["upper"] <= 4
        start = pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(days=night)
        new = pd.DataFrame(
            {"started_at": start, "job": took.values()},
            pd.MultiIndex.from_tuples([(name, night) for name in took]),
        )
        runs = validate_runs(pd.concat([runs, new]))


def test_zero_and_two_seconds_are_no_anomaly_and_no_error():
    runs = two_series([0.0, 0.0, 1.0, 0.0, 2.0], [3.0, 4.0, 5.0])
    detector = JobTimeAnomalyDetector(contamination=0.05).fit(runs)
    found = detector.alarms(runs)
    assert "quick" not in found.index.get_level_values(0)
    spread = RecentSpread().fit(runs, make_targets(runs)).predict(runs)
    assert np.nanmax(spread[1:60]) == 0  # the first run has no past
    table = evaluate({"mean": RollingRule("mean", n_runs=5)}, runs, by=("series",))
    assert table.set_index("series").loc["quick", ["within_10pct", "off_2x"]].tolist() == [1.0, 0.0]
    summary = summarise_runs(runs)
    assert summary.loc["quick", "baseline_error"] == pytest.approx(0.6 / 2, abs=0.05)


def test_errors_below_half_a_tick_are_equally_good():
    """0.3 s off beside 0.0 s off, where the clock counts seconds: neither is better."""
    runs = two_series([5.0], [7.0])
    models = {"last": RollingRule("last"), "shifted": ShiftedRule("last")}
    found = recommendations(backtest(models, runs))
    assert found["ratio"].tolist() == [1.0]
    assert found["recommendation"].tolist() == ["no clear difference"]
