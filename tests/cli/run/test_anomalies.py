"""`jobtime anomalies`, as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    runs = make_job_runs(n_runs=400, n_jobs=3, failure_rate=0, random_state=0)
    runs.iloc[-5, runs.columns.get_loc("job_1")] *= 8
    runs.iloc[-9, runs.columns.get_loc("job_2")] /= 20
    path = tmp_path_factory.mktemp("anomalies") / "runs.csv"
    write_table(runs, path)
    return path


def test_odd_runs_are_listed_with_the_reason(table):
    result = jobtime("anomalies", table)
    assert result.exit_code == 0, result.stderr
    for text in ("Unusual runs", "395", "job_1", "more than expected", "less than expected"):
        assert text in result.stdout


def test_json_tells_the_same(table):
    record = json.loads(jobtime("anomalies", table, "--newest", 20, "--json").stdout)
    odd = {(alarm["run"], alarm["job"]): alarm for alarm in record["anomalies"]}
    assert odd[395, "job_1"]["direction"] == "long"
    assert odd[391, "job_2"]["direction"] == "short"
    assert odd[395, "job_1"]["seconds"] > 3 * odd[395, "job_1"]["expected_seconds"]
    assert record["judged"] == 20
    assert record["compared_with"] == 380
    assert record["least_p_value"] < record["false_alarms"] == 0.01


def test_discoveries_are_jobs_of_runs(table):
    options = ("--newest", 20, "--jobs", "job_1,job_2", "--false-discoveries", 0.3, "--json")
    record = json.loads(jobtime("anomalies", table, *options).stdout)
    listed = {(alarm["run"], alarm["job"]) for alarm in record["anomalies"]}
    assert {(395, "job_1"), (391, "job_2")} <= listed


def test_the_newest_runs_are_newest_in_time_not_the_last_rows(tmp_path):
    runs = make_job_runs(n_runs=150, n_jobs=1, n_series=3, failure_rate=0, random_state=0)
    newest = runs["started_at"].nlargest(30).index
    runs.loc[newest[0], "job_0"] *= 10
    write_table(runs.sort_index(level="series", sort_remaining=False), tmp_path / "pool.csv")
    record = json.loads(
        jobtime("anomalies", tmp_path / "pool.csv", "--newest", 30, "--json").stdout
    )
    listed = {(alarm["series"], alarm["run"]) for alarm in record["anomalies"]}
    assert newest[0] in listed
    assert listed <= set(newest)
    assert record["judged"] == 30


def test_a_log_with_failures_and_without_times(table, tmp_path):
    runs = make_job_runs(n_runs=400, n_jobs=2, failure_rate=0.2, random_state=1)
    runs.iloc[-3, runs.columns.get_loc("job_1")] *= 0.001
    runs.iloc[-3, runs.columns.get_loc("job_1__status")] = "cancelled"
    write_table(runs.drop(columns=["started_at", "ended_at"]), tmp_path / "plain.csv")
    result = jobtime("anomalies", tmp_path / "plain.csv", "--json")
    record = json.loads(result.stdout)
    assert record["judged"] == 80
    assert (397, "job_1") not in {(alarm["run"], alarm["job"]) for alarm in record["anomalies"]}
    assert {alarm["job"] for alarm in record["anomalies"]} <= {"job_0", "job_1"}


def test_wrong_use_is_said_in_a_sentence(table, tmp_path):
    result = jobtime("anomalies", table, "--newest", 400)
    assert result.exit_code == 2
    assert "--newest 400 leaves none of the 400 runs" in " ".join(result.stderr.split())
    missing = jobtime("anomalies", tmp_path / "nothing.csv")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error:")
