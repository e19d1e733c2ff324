"""Every number on the page is the one that the commands print."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.persistence import save_model
from sklearn_jobtime.runs import make_targets

from .reading import embedded


def jobtime(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A pool, a model of two steps, and the page that the command made of them."""
    folder = tmp_path_factory.mktemp("report")
    runs = make_job_runs(n_runs=130, n_jobs=2, n_series=2, random_state=0)
    runs.iloc[-3, runs.columns.get_loc("job_1")] *= 30
    write_table(runs, folder / "runs.csv")
    past = runs.groupby(level=0).head(90)
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past, horizon=2))
    save_model(model, folder / "model.joblib")
    name = str(runs.index[0][0])
    given = ("--deadline", "02:50", "--deadline", f"{name}=03:10")
    out = folder / "report.html"
    jobtime("report", folder / "runs.csv", "--model", folder / "model.joblib", *given, "-o", out)
    data = embedded(out.read_text(encoding="utf-8"))
    return folder, name, {one["name"]: one for one in data["series"]}, data


def rows_of(one, data, table):
    return [dict(zip(data["columns"][table], row, strict=True)) for row in one[table]]


def same(mine, printed):
    if isinstance(printed, float) or isinstance(mine, float):
        return printed == pytest.approx(mine, rel=1e-6)
    return mine == printed


def test_forecasts_are_those_of_the_command(made):
    folder, _, series, data = made
    printed = json.loads(
        jobtime("forecast", folder / "model.joblib", folder / "runs.csv", "--json").stdout
    )
    found = {
        (row["series"], str(row["run"]), row["step"], row["job"]): row
        for row in printed["forecasts"]
    }
    n = 0
    for name, one in series.items():
        for row in rows_of(one, data, "forecasts"):
            other = found[name, row["run"], row["step"], row["job"]]
            assert all(same(row[key], other[key]) for key in ("seconds", "lower", "upper"))
            n += 1
    assert n == 2 * (3 + 1)
    assert data["coverage"]["text"] == printed["coverage"]["text"]


def test_chances_are_those_of_the_command(made):
    folder, name, series, _ = made
    for limit in ("02:50", "03:10"):
        printed = json.loads(
            jobtime(
                *("risk", folder / "model.joblib", folder / "runs.csv"),
                *("--deadline", limit, "--json"),
            ).stdout
        )
        for row in printed["risks"]:
            if row["job"] == "whole_run" and (row["series"] == name) == (limit == "03:10"):
                mine = series[row["series"]]["risk"]
                assert same(mine["done_by"], row["done_by"])
                assert same(mine["deadline"], row["deadline"])
                assert mine["counted_runs"] == row["counted_runs"]


def test_alarms_are_those_of_the_command(made):
    folder, _, series, data = made
    printed = json.loads(jobtime("anomalies", folder / "runs.csv", "--json").stdout)
    mine = {
        (name, row["run"], row["job"]): row
        for name, one in series.items()
        for row in rows_of(one, data, "alarms")
    }
    assert printed["judged"] == data["judged"]
    assert len(mine) == len(printed["anomalies"]) > 0
    for alarm in printed["anomalies"]:
        row = mine[alarm["series"], str(alarm["run"]), alarm["job"]]
        assert row["why"] == alarm["why"]
        assert same(row["p_value"], alarm["p_value"])


def test_landings_are_those_of_the_command(tmp_path):
    runs = make_job_runs(n_runs=80, n_jobs=2, starts=True, failure_rate=0, random_state=0)
    write_table(runs, tmp_path / "runs.csv")
    past = runs[:60]
    save_model(
        ConformalForecaster(RollingRule()).fit(past, make_targets(past)), tmp_path / "m.joblib"
    )
    printed = json.loads(
        jobtime("landing", tmp_path / "m.joblib", tmp_path / "runs.csv", "--json").stdout
    )
    page = json.loads(
        jobtime(
            *("report", tmp_path / "runs.csv", "--model", tmp_path / "m.joblib"),
            *("-o", tmp_path / "r.html", "--json"),
        ).stdout
    )
    (one,) = page["series"]
    found = {row["job"]: row for row in rows_of(one, page, "landing")}
    assert one["graph"] == printed["graph"]
    for row in printed["jobs"]:
        mine = found[row["job"]]
        assert mine["state"] == row["state"]
        assert all(
            same(mine[key], row[key]) for key in ("starts", "lands", "lower", "upper", "critical")
        )


def test_without_a_model_the_average_of_baselines_forecasts(made):
    folder, *_ = made
    out = folder / "mix.html"
    said = jobtime("report", folder / "runs.csv", "-o", out).stdout
    data = embedded(out.read_text(encoding="utf-8"))
    assert data["is_mix"]
    assert said.strip().startswith("2 series, 260 runs")
    assert all(one["coverage"]["n"] >= 20 for one in data["series"])


def test_held_out_runs_of_a_stored_model_are_found_again(made):
    """What the page calls unseen was forecast as the model forecast it before it knew it."""
    folder, _, series, data = made
    runs = pd.read_csv(folder / "runs.csv")
    for one in series.values():
        assert one["coverage"]["n"] >= 20  # the runs since the fit
        assert data["since_fit"]
        past = rows_of(one, data, "past")
        expected = [row["forecast"] for row in past if row["forecast"] is not None]
        assert len(expected) >= 30
        assert np.isfinite(expected).all()
    assert len(runs) == 260
