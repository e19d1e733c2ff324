"""What `forecast`, `risk` and `why` say of pooled series: their own jobs, and who is retired."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app
from sklearn_jobtime.loaders import read_source
from sklearn_jobtime.plots import CalendarDisplay

pytestmark = pytest.mark.usefixtures("few_trees")

SMALL = ["--epochs", "1", "--hidden-size", "4", "--window", "4", "--device", "cpu"]
FAST = ["--horizon", "1", "--test-size", "0"]


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def long_rows(series, start, n, gap, **jobs):
    starts = pd.date_range(start, periods=n, freq=gap, tz="UTC")
    return [
        (series, f"{k:03d}", at, job, seconds + k % 3, "success")
        for k, at in enumerate(starts)
        for job, seconds in jobs.items()
    ]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    rows = [
        *long_rows("CI", "2026-03-01T02:00", 60, "D", build=120, test=600),
        *long_rows("Release", "2026-03-03T02:00", 20, "3D", publish=60),
        *long_rows("Old", "2026-03-01T03:00", 20, "D", scan=30),
    ]
    columns = ["series", "run", "started_at", "job", "duration", "status"]
    table = pd.DataFrame(rows, columns=columns)
    table["ended_at"] = table["started_at"] + pd.to_timedelta(table["duration"], unit="s")
    table.to_csv(folder / "runs.csv", index=False)
    model = folder / "m.joblib"
    fitted = jobtime("fit", folder / "runs.csv", "-o", model, *SMALL, *FAST)
    assert fitted.exit_code == 0, fitted.output
    return model, folder / "runs.csv"


def jobs_by_series(rows):
    found = {}
    for row in rows:
        found.setdefault(row["series"], set()).add(row["job"])
    return found


OWN = {"CI": {"build", "test", "whole_run"}, "Release": {"publish", "whole_run"}}
RETIRED = [{"series": "Old", "last_run": "2026-03-20T03:00:00Z"}]


def test_forecast_lists_own_jobs_and_the_retired(stored):
    found = jobtime("forecast", *stored, "--json")
    record = json.loads(found.stdout)
    assert jobs_by_series(record["forecasts"]) == OWN
    assert record["retired"] == RETIRED
    people = jobtime("forecast", *stored).stdout
    assert "retired: Old (last run 2026-03-20 03:00 UTC)" in people
    assert people.count("publish") == 1
    assert "scan" not in people


def test_risk_has_no_chance_of_a_job_of_another_series(stored):
    found = jobtime("risk", *stored, "--deadline", "10min", "--json")
    record = json.loads(found.stdout)
    assert jobs_by_series(record["risks"]) == OWN
    assert record["retired"] == RETIRED
    assert "retired: Old" in jobtime("risk", *stored, "--deadline", "10min").stdout


def test_a_start_that_was_asked_for_is_forecast_for_a_retired_series(stored):
    found = jobtime("forecast", *stored, "--at", "2026-05-01T00:00Z", "--json")
    record = json.loads(found.stdout)
    assert jobs_by_series(record["forecasts"]) == {**OWN, "Old": {"scan", "whole_run"}}
    assert record["retired"] == []


def test_why_takes_the_jobs_of_the_series(stored):
    found = jobtime("why", *stored, "--run", "Release/010", "--permutations", "2", "--json")
    record = json.loads(found.stdout)
    assert set(record["forecast"]) == OWN["Release"]
    assert not {"build", "test", "scan"} & set(record["contributions"])
    refused = jobtime("why", *stored, "--run", "Release/010", "--job", "build")
    assert refused.exit_code == 2
    assert "publish" in refused.stderr


def test_anomalies_are_of_jobs_that_the_series_has(stored, tmp_path):
    table = pd.read_csv(stored[1])
    slow = table.groupby(["series", "job"])["run"].transform("max") == table["run"]
    table.loc[slow, "duration"] *= 9
    table.drop(columns="ended_at").to_csv(tmp_path / "slow.csv", index=False)
    args = ("--newest", "45", "--false-alarms", "0.3", "--json")
    found = jobtime("anomalies", tmp_path / "slow.csv", *args)
    rows = jobs_by_series(json.loads(found.stdout)["anomalies"])
    assert rows
    own = {**OWN, "Old": {"scan", "whole_run"}}
    assert all(jobs <= own[series] for series, jobs in rows.items())


@pytest.mark.slow
def test_links_pair_only_jobs_of_one_series(stored):
    model, source = stored
    found = json.loads(jobtime("links", model, source, "--repeats", "20", "--json").stdout)
    apart = {"build", "test"}, {"publish"}, {"scan"}
    for link in found["links"]:
        sides = [{link["source"]} & jobs or {link["target"]} & jobs for jobs in apart]
        assert sum(map(bool, sides)) <= 1


def test_a_picture_has_no_panel_of_a_job_of_another_series(stored):
    runs = read_source(str(stored[1]))
    pairs = CalendarDisplay.from_runs(runs).figure_.axes
    titles = {axis.get_title(loc="left") for axis in pairs} - {""}
    assert titles == {
        f"{series}: {job.replace('_', ' ')}"
        for series, jobs in {**OWN, "Old": {"scan", "whole_run"}}.items()
        for job in jobs
    }
