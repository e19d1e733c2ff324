"""`jobtime landing`: a night that is over, one that goes on, one to come; and what if."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.cli.changes import read_what_if
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.persistence import save_model
from sklearn_jobtime.runs import as_of, make_targets

GRAPH = {
    "extract": [],
    "load_orders": ["extract"],
    "load_users": ["extract"],
    "warehouse": ["load_orders", "load_users"],
}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A stored model, a folder of tables, and the run table of 150 nights."""
    runs = make_job_runs(
        n_runs=150, graph=GRAPH, coupling=0.8, starts=True, failure_rate=0, random_state=1
    )
    folder = tmp_path_factory.mktemp("night")
    past = runs[:140]
    save_model(
        ConformalForecaster(RollingRule(), refit=True).fit(past, make_targets(past)),
        folder / "model.joblib",
    )
    runs.to_csv(folder / "runs.csv")
    last = runs["started_at"].iloc[-1] + pd.Timedelta(runs["extract"].iloc[-1] + 60, unit="s")
    as_of(runs, last).to_csv(folder / "tonight.csv")
    return folder, runs


def jobtime(folder, *arguments, code=0):
    result = CliRunner().invoke(app, ["landing", str(folder / "model.joblib"), *arguments])
    assert result.exit_code == code, result.output
    return result


def test_a_night_that_goes_on_is_seen_from_the_newest_time_of_its_table(night):
    folder, runs = night
    found = json.loads(jobtime(folder, str(folder / "tonight.csv"), "--json").stdout)
    states = {row["job"]: row["state"] for row in found["jobs"]}
    assert states == {
        "extract": "landed",
        "load_orders": "running",
        "load_users": "running",
        "warehouse": "waiting",
        "whole_run": "running",
    }
    assert sorted(found["graph"]) == sorted(
        [parent, job] for job, parents in GRAPH.items() for parent in parents
    )
    assert any("newest time in the table" in note for note in found["notes"])
    assert "it waits for load_" in found["sentence"]
    whole = found["jobs"][-1]
    assert pd.Timestamp(whole["lower_at"]) < pd.Timestamp(whole["upper_at"])
    assert pd.Timestamp(found["now"]) <= pd.Timestamp(whole["lower_at"])
    assert found["started_at"] == runs["started_at"].iloc[-1].isoformat().replace("+00:00", "Z")


def test_the_table_and_the_json_say_the_same(night):
    folder, _ = night
    asked = [str(folder / "runs.csv"), "--now", "2025-06-04T02:20Z", "--deadline", "02:45"]
    text = jobtime(folder, *asked, "--deadline", "warehouse=40min").stdout
    found = json.loads(jobtime(folder, *asked, "--json").stdout)
    assert found["sentence"] in " ".join(text.split())
    for row in found["jobs"]:
        assert pd.Timestamp(row["lands_at"]).round("min").strftime("%H:%M") in text


def test_without_a_run_that_goes_on_the_next_one_is_forecast(night):
    folder, runs = night
    found = json.loads(jobtime(folder, str(folder / "runs.csv"), "--json").stdout)
    assert found["run"] == "150"
    assert found["now"] is None
    assert {row["state"] for row in found["jobs"]} == {"waiting"}
    assert pd.Timestamp(found["started_at"]) > runs["started_at"].iloc[-1]


def test_a_chance_that_is_too_low_is_exit_code_3(night):
    folder, _ = night
    asked = [str(folder / "runs.csv"), "--deadline", "1min", "--fail-below"]
    jobtime(folder, *asked, "0.5", code=3)
    jobtime(folder, str(folder / "runs.csv"), "--deadline", "30h", "--fail-below", "0.5")
    jobtime(folder, str(folder / "runs.csv"), "--fail-below", "0.5", code=2)


def test_a_change_is_compared_and_the_chart_is_drawn(night, tmp_path):
    folder, _ = night
    chart = tmp_path / "night.png"
    asked = [str(folder / "tonight.csv"), "--what-if", "warehouse=0.5", "--plot", str(chart)]
    found = json.loads(jobtime(folder, *asked, "--json").stdout)
    difference = {row["job"]: row["difference"] for row in found["what_if"]}
    assert difference["extract"] == difference["load_users"] == 0.0
    assert difference["warehouse"] < -60
    assert chart.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--deadline", "load=06:00"], "'load' is no job of the run"),
        (["--what-if", "load=0.5"], "came for --what-if; expected JOB=0.5"),
        (["--now", "2020-01-01"], "no run of the table had started"),
        (["--graph", "extract>warehouse>extract"], "in a circle: extract > warehouse > extract"),
        (["--graph", "extract>nowhere"], "nowhere"),
        (["--graph", "nights/graph.txt"], "there is no such file"),
        (["--deadline", "warehouse="], "'' came for --deadline"),
        (["--now", ""], "'' came for --now"),
        (["--deadline", "2020-01-01"], "expected a time after the start of the run"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(night, asked, said):
    folder, _ = night
    result = CliRunner().invoke(
        app, ["landing", str(folder / "model.joblib"), str(folder / "runs.csv"), *asked]
    )
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_changes_are_read_as_they_are_typed():
    change = read_what_if(["a=drop", "b=+90s", "start=-1h", "workers=3", "a > b=cut"], ["a", "b"])
    assert (change.drop, change.faster, change.start_later) == (["a"], {"b": -90.0}, -3600.0)
    assert (change.n_workers, change.cut) == (3, [("a", "b")])
