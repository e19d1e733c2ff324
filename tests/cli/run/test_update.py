"""A nightly user: fit once, then update the stored model with each night's runs."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app
from sklearn_jobtime.conformal import online_update
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import read_runs, write_table
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.runs import as_of

pytestmark = pytest.mark.usefixtures("few_trees")

SMALL = ["--epochs", "2", "--hidden-size", "4", "--window", "4", "--device", "cpu"]
SMALL += ["--horizon", "2"]
FIT = [*SMALL, "--test-size", "0"]
ONE = [*FIT, "--horizon", "1"]
POINTS = [*ONE, "--coverage", "0"]


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args):
    result = jobtime(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=150, n_jobs=2, random_state=0)


@pytest.fixture(scope="module")
def night(runs):
    """When the model is fitted: in the middle of a run."""
    return runs["started_at"].iloc[120] + pd.Timedelta("1min")


@pytest.fixture(scope="module")
def stored(tmp_path_factory, runs, night):
    """Folder with the history up to that night, all of it, and a model of the former."""
    folder = tmp_path_factory.mktemp("update")
    write_table(as_of(runs, night), folder / "past.csv")
    write_table(runs, folder / "runs.csv")
    fitted = jobtime("fit", folder / "past.csv", "-o", folder / "fitted.joblib", *FIT)
    assert fitted.exit_code == 0, fitted.output
    return folder


@pytest.fixture
def model(stored, tmp_path):
    save_model(load_model(stored / "fitted.joblib"), tmp_path / "model.joblib")
    return tmp_path / "model.joblib"


def bounds(path, source):
    forecasts = answer("forecast", path, source)["forecasts"]
    return np.array([[row["lower"], row["seconds"], row["upper"]] for row in forecasts])


def test_a_model_is_updated_with_new_runs_once_and_forecasts_with_their_coverage(stored, model):
    source = stored / "runs.csv"
    before = answer("forecast", model, source)["coverage"]
    assert before["updated_runs"] == 0
    assert "if what comes is like" in before["text"]
    fresh = bounds(model, source)
    record = answer("update", model, source)
    by_python = load_model(stored / "fitted.joblib")
    table = read_runs(source)[by_python.feature_names_in_]
    expected = online_update(by_python, table)
    assert record["updated_runs"] == expected.n_runs >= 28
    assert record["updated_targets"] == expected.jobs["targets"].sum() > record["updated_runs"]
    assert [row["job"] for row in record["jobs"]] == ["job_0", "job_1", "whole_run"]
    assert all(-1 <= row["drift"] <= 1 for row in record["jobs"])
    assert pd.Timestamp(record["until"]) == table["ended_at"].max()
    assert pd.Timestamp(record["since"]) < pd.Timestamp(record["until"])
    assert record["refit_advised"] is False
    updated = bounds(model, source)
    np.testing.assert_array_equal(updated[:, 1], fresh[:, 1])
    assert (updated[:, [0, 2]] != fresh[:, [0, 2]]).any()
    after = answer("forecast", model, source)["coverage"]
    assert after == record["coverage"]
    assert after["updated_runs"] == record["updated_runs"]
    assert f"updated with the {after['updated_runs']} runs since the fit" in after["text"]
    assert "in the long run 9 of 10 runs" in after["text"]
    bytes_before, stamp = model.read_bytes(), model.stat().st_mtime_ns
    again = answer("update", model, source)
    assert (again["updated_runs"], again["updated_targets"]) == (0, 0)
    assert again["since"] == again["until"] == record["until"]
    assert (model.read_bytes(), model.stat().st_mtime_ns) == (bytes_before, stamp)
    shown = jobtime("update", model, source).stdout
    assert "Nothing to update" in shown
    assert f"{model} is as it was." in shown


def test_output_leaves_the_model_and_now_takes_the_table_as_it_was(stored, model, runs, night):
    content = model.read_bytes()
    now = night + pd.Timedelta("10D")
    out = model.with_name("updated.joblib")
    shown = jobtime("update", model, stored / "runs.csv", "-o", out, "--now", now.isoformat())
    assert shown.exit_code == 0, shown.stderr
    assert model.read_bytes() == content
    n_updated = load_model(out).n_updates_
    assert 0 < n_updated <= 10
    assert f"Updated with {n_updated} runs that ended after " in shown.stdout
    assert "No fit is advised" in shown.stdout
    assert f"Stored as {out}." in shown.stdout
    for name in ("job_0", "job_1", "whole run"):
        assert name in shown.stdout
    assert "Coverage: in the long run 9 of 10 runs" in shown.stdout
    rest = answer("update", out, stored / "runs.csv")["updated_runs"]
    assert rest + n_updated == answer("update", model, stored / "runs.csv")["updated_runs"]


def test_runs_that_became_ever_slower_ask_for_a_fit(stored, model, runs, night):
    slower = runs.copy()
    late = slower["started_at"] > night
    slower.loc[late, ["job_0", "job_1"]] *= 1.5 ** np.arange(late.sum())[:, None]
    write_table(slower, model.with_name("slower.csv"))
    shown = jobtime("update", model, model.with_name("slower.csv"))
    assert "A fit is advised" in shown.stdout
    assert "`jobtime fit` again" in shown.stdout
    assert answer("update", model, model.with_name("slower.csv"))["refit_advised"] is True


def test_what_cannot_be_updated_is_said_and_changes_nothing(stored, model, runs, tmp_path):
    content = model.read_bytes()
    write_table(runs.drop(columns="job_1"), tmp_path / "other.csv")
    write_table(runs[:50], tmp_path / "old.csv")
    write_table(runs[:60].drop(columns=["started_at", "ended_at"]), tmp_path / "timeless.csv")
    points = tmp_path / "points.joblib"
    assert jobtime("fit", stored / "past.csv", "-o", points, *POINTS).exit_code == 0
    assert (
        jobtime("fit", tmp_path / "timeless.csv", "-o", tmp_path / "t.joblib", *ONE).exit_code == 0
    )
    for path, source, text in [
        (model, tmp_path / "other.csv", "job_1"),
        (model, tmp_path / "old.csv", "older than the model"),
        (model, tmp_path / "timeless.csv", "started_at"),
        (tmp_path / "t.joblib", tmp_path / "timeless.csv", "started_at"),
        (points, stored / "runs.csv", "without intervals"),
        (tmp_path / "none.joblib", stored / "runs.csv", "cannot be opened"),
    ]:
        refused = jobtime("update", path, source)
        assert refused.exit_code == 1, refused.output
        assert text in refused.stderr
        assert "Traceback" not in refused.output
    assert jobtime("update", model, stored / "runs.csv", "--now", "later").exit_code == 2
    assert jobtime("update", model, stored / "runs.csv", "-o", tmp_path).exit_code == 2
    assert model.read_bytes() == content


def test_help_lists_update_after_fit():
    listed = jobtime("--help").stdout
    assert listed.index(" fit ") < listed.index(" update ") < listed.index(" forecast ")
