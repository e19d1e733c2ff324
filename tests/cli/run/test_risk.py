"""`risk` and `forecast` say the same of the same run, and nothing that few runs cannot tell."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime._wording import human_chance
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli.run.forecast import _between
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.conformal._deadlines import next_risks
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.runs import make_targets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn_jobtime.exceptions.TooFewRunsWarning")


@pytest.fixture(scope="module")
def fitted():
    runs = make_job_runs(n_runs=120, n_jobs=2, random_state=0)
    return ConformalForecaster(RollingRule()).fit(runs, make_targets(runs)), runs


def test_the_range_before_the_start_is_that_of_the_forecast(fitted):
    model, runs = fitted
    forecasts = forecast(model, runs)
    risks = next_risks(model, forecasts, "30min")
    np.testing.assert_array_equal(risks["remaining_low"], forecasts["lower"])
    np.testing.assert_array_equal(risks["remaining_high"], forecasts["upper"])


def test_no_chance_is_more_certain_than_the_runs_behind_it(fitted):
    model, runs = fitted
    risks = next_risks(model, forecast(model, runs), "900h")
    n = risks["counted_runs"]
    assert n.max() == model.n_calibration_
    np.testing.assert_allclose(risks["done_by"], n / (n + 1))


def test_a_chance_is_never_negative():
    assert [human_chance(c) for c in (-0.0, -1e-17, 1 + 1e-12)] == ["0 %", "0 %", "100 %"]


@pytest.mark.parametrize(
    ("lower", "upper", "text"),
    [
        (600.0, 620.0, ", at about 2026-03-01 02:10"),
        (600.0, 700.0, ", between 2026-03-01 02:10 and 2026-03-01 02:12"),
        (600.0, np.inf, ", not before 2026-03-01 02:10"),
        (600.0, 1e300, ", not before 2026-03-01 02:10"),
        (0.0, np.inf, ", too few runs to say between when"),
    ],
)
def test_an_interval_within_a_minute_is_one_time(lower, upper, text):
    start = pd.Timestamp("2026-03-01T02:00Z")
    row = pd.Series({"started_at": start, "lower": lower, "upper": upper}, dtype=object)
    assert _between(row, "UTC") == text
