"""What every command says: notes in --json, the name of the series, a result before a picture."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sklearn_jobtime.anomaly import newest_runs
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.loaders import read_source
from sklearn_jobtime.plots import CoverageDisplay, ForecastDisplay, LinkageDisplay

pytestmark = pytest.mark.usefixtures("few_trees")

SMALL = ["--epochs", "1", "--hidden-size", "4", "--window", "4", "--device", "cpu"]
NIGHTLY = "etl/a nightly job"
NO_ZONE = "carry no time zone"
DISPLAYS = {"forecast": ForecastDisplay, "evaluate": CoverageDisplay, "links": LinkageDisplay}


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One series of one job at 04:00, as `sacct` prints it, and a model of it."""
    folder = tmp_path_factory.mktemp("sacct")
    rng = np.random.default_rng(0)
    lines = ["JobID|JobName|User|Submit|Start|End|Elapsed|State"]
    for k, start in enumerate(pd.date_range("2026-01-01T04:00", periods=60)):
        took = pd.Timedelta(seconds=int(rng.integers(5300, 5500)))
        stamp = start.isoformat()
        clock = f"{took.components.hours:02d}:{took.components.minutes:02d}:"
        clock += f"{took.components.seconds:02d}"
        end = (start + took).isoformat()
        lines.append(f"{k}|a nightly job|etl|{stamp}|{stamp}|{end}|{clock}|COMPLETED")
    (folder / "sacct.txt").write_text("\n".join(lines) + "\n")
    source, model = f"slurm:{folder / 'sacct.txt'}", folder / "m.joblib"
    fitted = jobtime(
        "fit", source, "-o", model, *SMALL, "--horizon", "1", "--test-size", "0", "--json"
    )
    assert fitted.exit_code == 0, fitted.output
    return source, model, json.loads(fitted.stdout)


def commands(files):
    source, model, _ = files
    return {
        "load": ("load", source),
        "forecast": ("forecast", model, source),
        "risk": ("risk", model, source, "--deadline", "06:00"),
        "evaluate": ("evaluate", source, "--model", model, "--intervals"),
        "anomalies": ("anomalies", source, "--newest", "10", "--false-alarms", "0.5"),
        "links": ("links", model, source, "--repeats", "5"),
        "why": ("why", model, source, "--permutations", "2"),
        "update": ("update", model, source, "-o", model.with_name("updated.joblib")),
    }  # fmt: skip


NAMES = ("load", "forecast", "risk", "evaluate", "anomalies", "links", "why", "update")


@pytest.mark.parametrize("name", NAMES)
def test_every_json_carries_the_notes_and_the_name_of_the_series(files, name):
    found = jobtime(*commands(files)[name], "--json")
    assert found.exit_code == 0, found.output
    record = json.loads(found.stdout)
    assert any(NO_ZONE in note for note in record["notes"])
    if name not in ("links", "update"):  # which say nothing of single runs
        assert NIGHTLY in found.stdout


def test_fit_says_the_same(files):
    *_, record = files
    assert any(NO_ZONE in note for note in record["notes"])
    assert record["series"] == [NIGHTLY]


@pytest.mark.parametrize("name", ["load", "forecast", "risk", "anomalies", "why"])
def test_people_read_the_name_of_a_single_series(files, name):
    assert NIGHTLY in jobtime(*commands(files)[name]).stdout


def test_a_single_series_is_used_as_before(files):
    runs = read_source(files[0])
    assert runs.index.nlevels == 1
    assert runs.attrs["series"] == NIGHTLY
    assert newest_runs(runs, 2).sum() == 2


@pytest.mark.parametrize(
    ("name", "as_json", "first"),
    [
        ("forecast", False, "Runs to come of etl/a nightly job"),
        ("forecast", True, None),
        pytest.param("evaluate", True, None, marks=pytest.mark.slow),
        pytest.param("links", False, "Links that held on", marks=pytest.mark.slow),
    ],
)
def test_a_picture_that_fails_takes_no_result_away(
    files, name, as_json, first, monkeypatch, tmp_path
):
    def fail(self, **options):
        raise RuntimeError("no room on the canvas")

    monkeypatch.setattr(DISPLAYS[name], "plot", fail)
    args = commands(files)[name]
    kind = ("--json",) if as_json else ()
    table = ("--output", tmp_path / "f.csv") if name == "forecast" else ()
    found = jobtime(*args, "--plot", tmp_path / "p.png", *table, *kind)
    assert found.exit_code == 1
    assert found.stderr.count("no room on the canvas") == 1
    assert not (tmp_path / "p.png").exists()
    if name == "forecast":
        assert (tmp_path / "f.csv").exists()
    if as_json:
        record = json.loads(found.stdout)
        assert "no room on the canvas" in record["notes"][-1]
        assert str(tmp_path / "p.png") not in record["written"]
    else:
        assert found.stdout.startswith(first)


def test_a_local_night_is_done_at_half_past_five(files):
    """Ten and more runs of 1 h 29 m: done at about 05:30, and by 06:00 as surely as n runs tell."""
    shown = jobtime(*commands(files)["forecast"]).stdout
    assert "should be done at 2026-03-02 05:30 UTC" in shown
    risk = jobtime(*commands(files)["risk"]).stdout
    n = json.loads(jobtime(*commands(files)["risk"], "--json").stdout)["risks"][0]["counted_runs"]
    assert f"a chance of {100 * n / (n + 1):.0f} % or more, if it succeeds" in risk
    assert f"({n} runs tell it no closer)" in risk
