"""Intervals, coverage and deadlines on the command line, as a user meets them."""

import json
import os
import re
from zoneinfo import ZoneInfo

import matplotlib.image as mpimg
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sklearn_jobtime._wording import human_chance, human_seconds
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.conformal import DurationDistribution
from sklearn_jobtime.conformal._deadlines import deadline_seconds
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.loaders import read_runs, write_table
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.runs import WHOLE_RUN

pytestmark = pytest.mark.usefixtures("few_trees")

SMALL = ["--epochs", "2", "--hidden-size", "4", "--window", "4", "--device", "cpu"]
SMALL += ["--horizon", "2"]


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args):
    """The one JSON object that a command prints."""
    result = jobtime(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.fixture(scope="module")
def table():
    runs = make_job_runs(n_runs=150, n_jobs=2, random_state=0)
    return runs.drop(columns=[c for c in runs if c == "input_rows"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("intervals")
    write_table(table, folder / "runs.csv")
    fitted = jobtime("fit", folder / "runs.csv", "-o", folder / "model.joblib", *SMALL)
    assert fitted.exit_code == 0, fitted.output
    assert "Coverage: about 9 of 10 runs lie in their interval, each job and step by" in (
        fitted.stdout
    )
    return folder


def test_forecasts_have_intervals_and_say_how_often_they_hold(folder):
    plot = folder / "forecast.png"
    record = answer("forecast", folder / "model.joblib", folder / "runs.csv", "--plot", plot)
    model, runs = load_model(folder / "model.joblib"), read_runs(folder / "runs.csv")
    expected = forecast(model, runs[model.feature_names_in_])
    for name in ("lower", "upper"):
        assert [row[name] for row in record["forecasts"]] == expected[name].tolist()
    assert all(row["lower"] <= row["seconds"] <= row["upper"] for row in record["forecasts"])
    nominal = record["coverage"]
    assert (nominal["confidence_level"], nominal["simultaneous"]) == (0.9, "none")
    assert nominal["calibration_runs"] == model.n_calibration_
    assert 1 <= nominal["effective_sample_size"] <= model.n_calibration_
    assert mpimg.imread(plot).shape[1] > 900
    shown = jobtime("forecast", folder / "model.joblib", folder / "runs.csv").stdout
    for seconds in expected["upper"]:
        assert human_seconds(seconds) in shown
    assert nominal["text"] in shown
    assert ", between 20" in shown


@pytest.mark.parametrize("simultaneous", ["jobs", "both"])
def test_the_coverage_can_be_of_several_at_once(folder, tmp_path, simultaneous):
    out = tmp_path / "model.joblib"
    args = ("fit", folder / "runs.csv", "-o", out, *SMALL, "--test-size", 0, "--coverage", 0.8)
    nominal = answer(*args, "--simultaneous", simultaneous)["coverage"]
    assert nominal["simultaneous"] == simultaneous
    assert load_model(out).simultaneous == simultaneous
    assert "at once" in nominal["text"]
    assert nominal["text"].startswith("about 8 of 10 runs")


def test_coverage_0_stores_a_model_without_intervals(folder, tmp_path):
    out = tmp_path / "model.joblib"
    fitted = answer(
        "fit", folder / "runs.csv", "-o", out, *SMALL, "--coverage", 0, "--test-size", 0
    )
    assert fitted["coverage"] is None
    record = answer("forecast", out, folder / "runs.csv")
    assert record["coverage"] is None
    assert "lower" not in record["forecasts"][0]
    refused = jobtime("risk", out, folder / "runs.csv", "--deadline", "06:00")
    assert refused.exit_code == 1
    assert "without intervals" in refused.stderr
    assert "jobtime fit --coverage 0.9" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_too_few_runs_for_intervals_is_a_note(table, tmp_path):
    write_table(table[:8], tmp_path / "few.csv")
    out = tmp_path / "model.joblib"
    args = ("-o", out, *SMALL, "--test-size", 0, "--horizon", 1)
    few = answer("fit", tmp_path / "few.csv", *args, "--coverage", 0.9)
    if few["coverage"] is None:
        assert "have no intervals" in " ".join(few["notes"])
    record = answer("forecast", out, tmp_path / "few.csv")
    assert all(row.get("upper") is None for row in record["forecasts"])
    if few["coverage"]:
        assert "too few for a bound" in " ".join(record["notes"])
        shown = jobtime("forecast", out, tmp_path / "few.csv").stdout
        assert "not known" in shown
        assert ", too few runs to say between when." in shown


def test_risk_is_the_table_of_the_library(folder):
    record = answer("risk", folder / "model.joblib", folder / "runs.csv", "--deadline", "30min",
                    "--timeout-share", 0.05)  # fmt: skip
    model, runs = load_model(folder / "model.joblib"), read_runs(folder / "runs.csv")
    coming = forecast(model, runs[model.feature_names_in_])
    known = DurationDistribution.from_forecaster(model)
    expected = known.table(coming, 1800.0, timeout_share=0.05)
    expected = expected[expected["step"] == 1]
    # The range is that of `forecast`, and no chance is above what the runs behind it can tell.
    expected[["remaining_low", "remaining_high"]] = expected[["lower", "upper"]]
    n = model.n_calibration_
    expected["done_by"] = expected["done_by"].clip(upper=n / (n + 1))
    for name in ("done_by", "remaining", "remaining_low", "remaining_high", "timeout"):
        values = expected[name].where(np.isfinite(expected[name]), None).tolist()
        assert [row[name] for row in record["risks"]] == pytest.approx(values)
    assert [row["job"] for row in record["risks"]] == ["job_0", "job_1", WHOLE_RUN]
    start = pd.Timestamp(record["risks"][0]["started_at"])
    deadline_at = pd.Timestamp(record["risks"][0]["deadline_at"])
    assert deadline_at == (start + pd.Timedelta("30min")).round("s")
    assert record["now"] is None
    assert record["coverage"]["confidence_level"] == 0.9


def test_chances_rise_with_the_deadline_and_are_printed(folder):
    def whole(deadline):
        record = answer("risk", folder / "model.joblib", folder / "runs.csv", "--deadline",
                        deadline, "--timeout-share", 0.1)  # fmt: skip
        return record["risks"][-1]["done_by"]

    chances = [whole(deadline) for deadline in ("1s", "20 min", "1h 30min", "12h")]
    assert chances == sorted(chances)
    assert 0 < chances[0] < 0.05  # the least that so few runs tell
    assert chances[-1] > 0.97
    result = jobtime("risk", folder / "model.joblib", folder / "runs.csv", "--deadline", "12h",
                     "--timeout-share", 0.1)  # fmt: skip
    assert f"in time with a chance of {human_chance(chances[-1])}" in result.stdout
    assert "not started: done within 12h 00m" in result.stdout
    assert "10 % would exceed the time-out" in result.stdout
    assert "as if it started with the run" in result.stderr


def test_a_running_run_has_its_remaining_time(folder, table):
    since = table["started_at"].max() + pd.Timedelta("1D")
    args = ("risk", folder / "model.joblib", folder / "runs.csv", "--deadline", "1h",
            "--running-since", since, "--timeout-share", 0.1)  # fmt: skip
    record = answer(*args, "--now", since + pd.Timedelta("10min"))
    whole = record["risks"][-1]
    assert whole["elapsed"] == pytest.approx(600)
    assert pd.Timestamp(whole["started_at"]) == since
    assert whole["remaining_low"] <= whole["remaining"]
    for_ever = answer(*args[:4], "100000h", *args[5:], "--now", since + pd.Timedelta("300D"))
    last = for_ever["risks"][-1]
    assert last["extrapolated"]
    assert 0 < last["done_by"] <= 1
    assert last["remaining_high"] is None
    shown = jobtime(*args, "--now", since + pd.Timedelta("300D")).stdout
    assert "running for 300d 00h" in shown
    assert "(a guess)" in shown
    assert "running for " in jobtime(*args).stdout  # until the present


def test_a_last_row_without_outcome_runs_when_now_is_given(folder, table, tmp_path):
    start = table["started_at"].max() + pd.Timedelta("1D")
    coming = pd.DataFrame({"started_at": [start]}, index=pd.Index([150], name="run"))
    write_table(pd.concat([table, coming]), tmp_path / "runs.csv")
    args = ("risk", folder / "model.joblib", tmp_path / "runs.csv", "--deadline", "02:00",
            "--timeout-share", 0.1)  # fmt: skip
    assert {row["elapsed"] for row in answer(*args)["risks"]} == {0}
    now = start + pd.Timedelta("5min")
    running = answer(*args, "--now", now)
    assert {row["elapsed"] for row in running["risks"]} == {300}
    assert pd.Timestamp(running["now"]) == now
    assert running["risks"][0]["run"] == 150


@given(
    start=st.datetimes(pd.Timestamp("2025-01-01"), pd.Timestamp("2026-12-31")),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_a_time_of_the_day_is_the_next_one_after_the_start(start, hour, minute, zone):
    started = pd.Timestamp(start, tz="UTC")
    forecasts = pd.DataFrame({"started_at": [started], "step": 1, "job": "build"})
    text = f"{hour}:{minute:02d}"
    seconds = deadline_seconds(text, ZoneInfo(zone), forecasts)[0]
    assert 0 < seconds <= 90_000  # a day of 25 hours when the clocks go back
    wall = (started + pd.Timedelta(seconds=seconds)).round("ms").tz_convert(zone)
    if (wall.hour, wall.minute) != (hour, minute):  # an hour that the clocks skip
        before, after = wall - pd.Timedelta("1min"), wall + pd.Timedelta("1min")
        assert before.utcoffset() != after.utcoffset()


def test_a_moment_can_be_the_deadline(folder, table):
    start = table["started_at"].max() + pd.Timedelta("1D")
    args = ("risk", folder / "model.joblib", folder / "runs.csv", "--at", start,
            "--timeout-share", 0.1)  # fmt: skip
    moment = (start + pd.Timedelta("1h")).tz_convert("Europe/Berlin")
    naive = answer(*args, "--deadline", moment.tz_localize(None), "--timezone", "Europe/Berlin")
    aware = answer(*args, "--deadline", moment)
    assert naive["risks"] == aware["risks"]
    assert aware["risks"][0]["deadline"] == pytest.approx(3600)


@pytest.mark.slow
def test_evaluate_checks_intervals_and_chances(folder):
    plot = folder / "coverage.png"
    args = ("evaluate", folder / "runs.csv", *SMALL, "--intervals", "--coverage", 0.8)
    shown = jobtime(*args, "--plot", plot)
    for text in ("Inside the interval of 80 %", "whole forecast", "Chances to be done in time",
                 "points on average"):  # fmt: skip
        assert text in shown.stdout
    assert mpimg.imread(plot).shape[1] > 900


def test_evaluate_takes_horizon_and_coverage_of_a_stored_model(folder):
    of_model = ("evaluate", folder / "runs.csv", "--model", folder / "model.joblib")
    record = answer(*of_model, "--intervals", "--test-size", 0.4)
    assert record["horizon"] == 2
    found = record["intervals"]
    assert found["nominal_coverage"]["confidence_level"] == 0.9
    steps = {row["which"] for row in found["coverage"] if row["what"] == "step"}
    assert steps == {"1", "2"}
    whats = {row["what"] for row in found["coverage"]}
    assert whats == {"each target", "all jobs of a run", "all steps of a job", "whole forecast",
                     "job", "step"}  # fmt: skip
    for row in found["coverage"]:
        assert 0 <= row["low"] <= row["coverage"] <= row["high"] <= 1
        assert row["nominal"] == 0.9
    assert 0 <= found["calibration_error"] <= 1
    assert sum(row["n"] for row in found["reliability"]) > 100
    for extra in ((), ("--intervals",)):
        refused = jobtime(*of_model, "--horizon", 5, *extra)
        said = re.sub(r"[\s│]+", " ", refused.stderr)
        assert refused.exit_code == 2
        assert "5 came for --horizon" in said
        assert "was fitted to forecast 2 ahead" in said
        assert "leave --horizon out" in said
        assert "fit --horizon 5" in said


def test_runs_that_timed_out_count_as_at_least_so_long(table, tmp_path):
    cut = table.copy()
    cut.iloc[::7, cut.columns.get_loc("job_0__status")] = "timeout"
    write_table(cut, tmp_path / "cut.csv")
    fitted = answer("fit", tmp_path / "cut.csv", "-o", tmp_path / "m.joblib", *SMALL,
                    "--test-size", 0)  # fmt: skip
    assert fitted["coverage"] is not None
    model = load_model(tmp_path / "m.joblib")
    assert np.isfinite(model.calibration_at_least_).any()


WRONG_USE = {
    "no deadline": ["risk", "MODEL", "RUNS"],
    "no time": ["risk", "MODEL", "RUNS", "--deadline", "soon"],
    "no time of a day": ["risk", "MODEL", "RUNS", "--deadline", "25:00"],
    "no minute": ["risk", "MODEL", "RUNS", "--deadline", "10:99"],
    "no zone": ["risk", "MODEL", "RUNS", "--deadline", "1h", "--timezone", "Mars"],
    "no now": ["risk", "MODEL", "RUNS", "--deadline", "1h", "--now", "later"],
    "a start in the past": ["risk", "MODEL", "RUNS", "--deadline", "1h", "--at", "2020-01-01"],
    "a start to come": ["risk", "MODEL", "RUNS", "--deadline", "1h", "--running-since",
                        "2030-01-01", "--now", "2029-01-01"],
    "two starts": ["risk", "MODEL", "RUNS", "--deadline", "1h", "--running-since", "2026-01-01",
                   "--at", "2026-01-01"],
    "no share": ["risk", "MODEL", "RUNS", "--deadline", "1h", "--timeout-share", "2"],
    "no coverage of several": ["fit", "RUNS", "--simultaneous", "some"],
    "no coverage": ["fit", "RUNS", "--coverage", "1.5"],
    "no intervals to check": ["evaluate", "RUNS", "--intervals", "--coverage", "0"],
    "nothing to draw": ["evaluate", "RUNS", "--plot", "coverage.png"],
}  # fmt: skip


@pytest.mark.parametrize("args", WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_exits_with_2(folder, args):
    paths = {"RUNS": folder / "runs.csv", "MODEL": folder / "model.joblib"}
    before = sorted(os.listdir(folder))
    result = jobtime(*(paths.get(arg, arg) for arg in args))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert sorted(os.listdir(folder)) == before


def test_a_table_without_times_has_chances_but_no_clock(tmp_path):
    runs = pd.DataFrame({"build": 100 + 10 * np.sin(np.arange(120.0))})
    write_table(runs, tmp_path / "runs.csv")
    out = tmp_path / "model.joblib"
    args = ["-o", out, *SMALL, "--test-size", "0"]
    assert jobtime("fit", tmp_path / "runs.csv", *args).exit_code == 0
    ask = ("risk", out, tmp_path / "runs.csv", "--timeout-share", 0.1, "--deadline")
    assert 0 < answer(*ask, "105s")["risks"][0]["done_by"] <= 1
    result = jobtime(*ask, "06:00")
    assert result.exit_code == 1
    assert "no column 'started_at'" in result.stderr
    assert "a duration from the start" in result.stderr
