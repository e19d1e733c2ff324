"""Every command takes a model file of either kind, and says what a .joblib file can do."""

import json

import pytest
from typer.testing import CliRunner

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli import options
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.persistence import save_model
from sklearn_jobtime.runs import make_targets


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "200"})


def test_both_kinds_of_file_give_the_same_answers(tmp_path):
    pytest.importorskip("skops")
    runs = make_job_runs(n_runs=80, n_jobs=2, random_state=0)
    write_table(runs, tmp_path / "runs.csv")
    model = ConformalForecaster(RollingRule(), horizon=2).fit(runs[:60], make_targets(runs[:60], 2))
    answers = {}
    for ending in (".joblib", ".skops"):
        path = tmp_path / f"model{ending}"
        save_model(model, path)
        updated = jobtime("update", path, tmp_path / "runs.csv", "--json")
        found = jobtime("forecast", path, tmp_path / "runs.csv", "--json")
        assert (updated.exit_code, found.exit_code) == (0, 0), found.output
        answers[ending] = json.loads(found.stdout)["forecasts"], json.loads(updated.stdout)["jobs"]
    assert answers[".skops"] == answers[".joblib"]


def test_skops_is_missed_before_anything_is_fitted(tmp_path, monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    said = jobtime("fit", "no_such_runs.csv", "-o", tmp_path / "model.skops")
    assert said.exit_code == 2
    assert "not installed" in said.stderr


@pytest.mark.parametrize("command", ["forecast", "update", "risk", "why", "links"])
def test_help_says_once_that_a_joblib_file_can_run_code(command):
    said = " ".join(jobtime(command, "--help").stdout.split())
    assert said.count("can run code") == 1
