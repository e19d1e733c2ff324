"""`fit`, `tune` and `demo` store their model although nothing could be tested."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli import holdout
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.loaders import read_runs, write_table
from sklearn_jobtime.persistence import load_model

pytestmark = pytest.mark.usefixtures("few_trees")

SMALL = ["--epochs", "1", "--hidden-size", "4", "--window", "4", "--device", "cpu"]


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def nightly(n_good, n_failed):
    """Runs of `build`, ten minutes each, of which the newest failed after one minute."""
    n = n_good + n_failed
    return pd.DataFrame(
        {
            "started_at": pd.date_range("2026-03-01", periods=n, freq="D", tz="UTC"),
            "build": [600.0 + (k % 3) for k in range(n_good)] + [60.0] * n_failed,
            "build__status": ["success"] * n_good + ["failed"] * n_failed,
        }
    )


@pytest.mark.filterwarnings("ignore::sklearn_jobtime.exceptions.TooFewRunsWarning")
@pytest.mark.parametrize(("n_good", "n_failed"), [(40, 30), (12, 3)])
def test_fit_stores_its_model_when_the_newest_runs_failed(tmp_path, n_good, n_failed):
    write_table(nightly(n_good, n_failed), tmp_path / "runs.csv")
    model = tmp_path / "m.joblib"
    found = jobtime(
        "fit", tmp_path / "runs.csv", "-o", model, *SMALL, "--horizon", "1", "--json"
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    record = json.loads(found.stdout)
    assert record["test_runs"] == 0
    assert record["scores"] == record["recommendations"] == []
    assert any(note.startswith("nothing could be tested: ") for note in record["notes"])
    seconds = forecast(load_model(model), read_runs(tmp_path / "runs.csv"))["seconds"]
    np.testing.assert_allclose(seconds, 601, atol=5)


def test_the_note_stands_in_the_output_for_people_and_names_the_option(tmp_path):
    write_table(nightly(24, 6), tmp_path / "runs.csv")
    found = jobtime(
        "fit", tmp_path / "runs.csv", "-o", tmp_path / "m.joblib", *SMALL, "--horizon", "1"
    )
    assert found.exit_code == 0, found.output
    assert "note: nothing could be tested: none of the 6 test runs" in found.stderr
    assert "--test-size" in found.stderr
    assert "stored as" in found.stdout


def test_evaluate_says_that_it_cannot(tmp_path):
    write_table(nightly(24, 6), tmp_path / "runs.csv")
    found = jobtime("evaluate", tmp_path / "runs.csv", *SMALL, "--horizon", "1")
    assert found.exit_code != 0
    assert "none of the 6 test runs was observed" in found.stderr


@pytest.mark.parametrize("command", ["fit", "demo"])
def test_no_error_of_a_test_stops_the_work(tmp_path, monkeypatch, command):
    def broken(*args, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(holdout, "backtest", broken)
    write_table(nightly(30, 0), tmp_path / "runs.csv")
    arguments = {
        "fit": [tmp_path / "runs.csv", "-o", tmp_path / "model.joblib", "--horizon", "1"],
        "demo": ["--output-dir", tmp_path, "--device", "cpu"],
    }[command]
    quick = SMALL if command == "fit" else ["--epochs", "1"]
    found = jobtime(command, *arguments, *quick, "--json")
    assert found.exit_code == 0, found.output
    record = json.loads(found.stdout)
    assert "nothing could be tested: ZeroDivisionError" in record["notes"]
    assert record["test_runs"] == 0
    horizon = 5 if command == "demo" else 1
    names = load_model(tmp_path / "model.joblib").target_names_
    assert names.get_level_values("step").max() == horizon


@pytest.mark.parametrize(
    ("n_good", "n_failed", "n_tested"),
    # of 30 runs, the splits test the runs 6-11, 12-17, 18-23 and 24-29
    [(24, 6, 3), (4, 26, 0)],
)
def test_tune_searches_the_splits_that_can_be_scored(tmp_path, n_good, n_failed, n_tested):
    write_table(nightly(n_good, n_failed), tmp_path / "runs.csv")
    model = tmp_path / "m.joblib"
    found = jobtime(
        "tune", tmp_path / "runs.csv", "-o", model, "--splits", "4", "--horizon", "1",
        "--epochs", "1", "--device", "cpu", "--n-jobs", "1", "--window", "4", "--json",
        "--hidden-size", "4", "--lr", "0.01",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    record = json.loads(found.stdout)
    assert record["splits"] == n_tested
    assert bool(record["ranking"]) == bool(n_tested)
    left_out = 4 - n_tested
    assert any(f"{left_out} of the 4 splits" in note for note in record["notes"])
    assert load_model(model)
