"""`jobtime nightly`: a night as cron runs it, once more, at the same time, and cut off."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.runs import make_targets

parser = pytest.importorskip("prometheus_client.parser")

NIGHT = "2025-04-15T07:00Z"  # after run 99
FILES = ("alerts.json", "metrics.prom", "model.joblib", "model.joblib.nightly.json")
OUTPUTS = ["--alerts", "alerts.json", "--metrics", "metrics.prom"]
ONE = ["runs.parquet", "--model", "model.joblib", *OUTPUTS, "--deadline", "1min"]
ONE += ["--landings", "0"]


def jobtime(*args, code=0):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def nightly(folder, *args, now=NIGHT, code=0, source="runs.parquet"):
    before = os.getcwd()
    os.chdir(folder)
    try:
        asked = ["nightly", source, *ONE[1:], "--now", now, *args]
        return jobtime(*asked, code=code)
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tables up to two mornings, a model of some nights before, and a folder for it all."""
    folder = tmp_path_factory.mktemp("made")
    runs = make_job_runs(
        n_runs=101, n_jobs=2, starts=True, failure_rate=0, shift_every=None, random_state=0
    )
    runs.loc[runs.index[98], "job_1"] /= 30
    past = runs[:90]
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past))
    save_model(model, folder / "model.joblib")
    write_table(runs[:100], folder / "runs.parquet")
    write_table(runs, folder / "next.parquet")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "night")


def files(folder):
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


def test_a_night_tells_its_alarms_once_and_the_same_night_once_more_changes_nothing(folder):
    shown = nightly(folder, code=4).stdout
    assert "Missed deadline, new: Run 99: " in shown
    assert "Updated with 10 runs" in shown
    assert "No fit is due" in shown
    first = files(folder)
    assert set(first) == set(FILES)
    said = json.loads(first["alerts.json"])
    assert [(a["kind"], a["series"], a["job"], a["new"]) for a in said["alarms"]] == [
        ("late_chance", None, "whole_run", True),
        ("missed_deadline", None, "whole_run", True),
    ]
    late = said["alarms"][0]
    assert late["numbers"]["chance"]["unit"] == "ratio"
    assert late["times"]["deadline_at"].endswith("Z")
    again = nightly(folder).stdout
    assert "Missed deadline, open, night 1" in again
    assert files(folder) == first
    assert "open, night 2" in nightly(folder, source="next.parquet", now="2025-04-16T07:00Z").stdout
    then = json.loads((folder / "alerts.json").read_text())
    assert [a["id"] for a in then["alarms"]] == [a["id"] for a in said["alarms"]]
    assert {(a["new"], a["nights"]) for a in then["alarms"]} == {(False, 2)}


def test_its_figures_are_those_that_the_commands_print(folder):
    found = json.loads(nightly(folder, "--landings", "1", "--json", code=4).stdout)
    model, source = folder / "model.joblib", folder / "runs.parquet"
    forecasts = json.loads(jobtime("forecast", model, source, "--json").stdout)
    assert found["forecasts"] == forecasts["forecasts"]
    assert found["coverage"] == forecasts["coverage"]
    risks = json.loads(jobtime("risk", model, source, "--deadline", "1min", "--json").stdout)
    assert found["risks"] == risks["risks"]
    odd = json.loads(jobtime("anomalies", source, "--json").stdout)
    assert found["anomalies"] == odd["anomalies"]
    landing = json.loads(
        jobtime("landing", model, source, "--deadline", "1min", "--now", NIGHT, "--json").stdout
    )
    landed = [
        {name: value for name, value in row.items() if name not in ("started_at", "is_running")}
        for row in found["landings"]["all"]
    ]
    assert landed == landing["jobs"]
    text = (folder / "metrics.prom").read_text()
    samples = {
        (sample.name, sample.labels.get("job")): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    for row in forecasts["forecasts"]:
        if row["step"] == 1:
            for name, value in (("", "seconds"), ("_lower", "lower"), ("_upper", "upper")):
                key = f"jobtime_forecast{name}_seconds", row["job"]
                assert samples[key] == pytest.approx(row[value])
    chance = next(row["done_by"] for row in risks["risks"] if row["job"] == "whole_run")
    assert samples["jobtime_deadline_chance_ratio", None] == pytest.approx(chance)
    ends = [pd.Timestamp(row["lands_at"]).timestamp() for row in landing["jobs"]]
    assert [samples["jobtime_landing_timestamp_seconds", row["job"]] for row in landed] == ends


def test_what_a_night_cannot_do_is_one_sentence_and_changes_nothing(folder, tmp_path):
    runs = pd.read_parquet(folder / "runs.parquet")
    before = files(folder)
    write_table(runs[:0], tmp_path / "empty.csv")
    write_table(runs[:50], tmp_path / "old.csv")
    failed = runs.assign(job_0__status="failed", job_1__status="skipped", job_1=np.nan)
    write_table(failed, folder / "failed.parquet")
    (folder / "notes.txt").write_text("no model")
    model = folder / "model.joblib"
    for source, path, said in (
        (tmp_path / "empty.csv", model, "error: "),
        (tmp_path / "old.csv", model, "older than the model"),
        (tmp_path / "none.csv", model, "none.csv"),
        (folder / "runs.parquet", folder / "none.joblib", "cannot be opened"),
        (folder / "runs.parquet", folder / "notes.txt", "notes.txt"),
    ):
        result = jobtime("nightly", source, "--model", path, code=1)
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    unknown = nightly(folder, "--deadline", "x=05:00", code=2)
    assert "the series 'x' came" in " ".join(unknown.stderr.replace("│", " ").split())
    assert files(folder) == before
    assert "failed 100 times in a row" in nightly(folder, source="failed.parquet", code=4).stdout


def test_a_second_run_at_the_same_time_is_refused_and_one_that_died_is_not_waited_for(folder):
    hold = """
        import sys, time
        from sklearn_jobtime._atomic import locked
        with locked("model.joblib"):
            print("held", flush=True)
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(hold)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        before = files(folder)
        refused = nightly(folder, code=1)
        assert "is being changed by another process; run again" in refused.stderr
        assert files(folder) == before
        other.send_signal(signal.SIGKILL)
        other.wait()
        nightly(folder, code=4)


# One process imports everything, and its children are nights that are cut off.
CUT_OFF = """
    import json, os, random, shutil, signal, sys, time
    from pathlib import Path
    from prometheus_client.parser import text_string_to_metric_families
    from sklearn_jobtime.cli.app import app
    from sklearn_jobtime.persistence import load_model

    made, folder, n, *args = sys.argv[1:]
    moments = random.Random(0)

    def night():
        child = os.fork()
        if child == 0:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            app(["nightly", *args])
        return child

    def code_of(child):
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def files():
        return {p.name: p.read_bytes() for p in Path().iterdir()}

    def assert_whole():
        for path in Path().iterdir():
            if path.name.startswith("."):
                continue
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".prom":
                assert list(text_string_to_metric_families(path.read_text()))
            elif path.suffix == ".joblib":
                load_model(path)

    def anew():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
        os.chdir(folder)

    anew()
    begun = time.monotonic()
    first = code_of(night())
    usual = time.monotonic() - begun
    expected = files()
    seen = []
    for k in range(int(n)):
        if k % 5 == 0:
            anew()
        child = night()
        if k % 2:  # within the writing, which is a small part of the time
            names = set(os.listdir())
            while set(os.listdir()) == names and os.waitpid(child, os.WNOHANG)[0] == 0:
                time.sleep(0.0005)
            time.sleep(moments.uniform(0, 0.02))
        else:
            time.sleep(usual * moments.uniform(0, 1.1))
        try:
            os.kill(child, signal.SIGKILL)
            seen.append(code_of(child))
        except (ProcessLookupError, ChildProcessError):
            seen.append(None)
        assert_whole()
        if k % 5 == 4:
            last = code_of(night())
            assert last in (0, 4), last
            assert files() == expected
    print(json.dumps({"first": first, "killed": seen.count(-signal.SIGKILL)}))
"""


def cut_off(made, tmp_path, n):
    code = textwrap.dedent(CUT_OFF)
    command = [sys.executable, "-c", code, made, tmp_path / "cut", n, *ONE, "--now", NIGHT]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_night_that_is_killed_leaves_whole_files_and_the_next_makes_it_good(made, tmp_path):
    found = cut_off(made, tmp_path, 5)
    assert found["first"] == 4
    assert found["killed"] >= 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_many_nights_are_killed(made, tmp_path):
    """Of a hundred, tried once by hand, all left whole files too."""
    assert cut_off(made, tmp_path, 20)["killed"] >= 5


TWO = """
    import os, sys
    from sklearn_jobtime.cli.app import app

    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            app(["nightly", *sys.argv[1:]])
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(0 if sorted(codes) in ([0, 4], [1, 4]) else f"{codes}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_of_two_at_once_one_does_the_work_and_tells_the_alarms(folder):
    command = [sys.executable, "-c", textwrap.dedent(TWO), *ONE, "--now", NIGHT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert load_model(folder / "model.joblib").n_updates_ == 10
    twice = files(folder)
    nightly(folder)
    assert files(folder) == twice


@pytest.mark.slow
def test_a_year_with_two_shifts_tells_each_of_them_once_and_its_bounds_hold(tmp_path):
    """Every fifth night of a year: it catches up with the runs between."""
    shifts = {120: 1.7, 240: 0.5}
    runs = make_job_runs(130 + 365, n_jobs=1, shift_every=None, random_state=1)
    for night, factor in shifts.items():
        runs.loc[runs.index[130 + night :], "job_0"] *= factor
    took = pd.to_timedelta(runs["job_0"].replace(np.inf, np.nan).fillna(60), unit="s")
    runs["ended_at"] = (runs["started_at"] + took).dt.floor("us")
    past = runs[:130]
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past))
    save_model(model, tmp_path / "model.joblib")
    new, inside = [], []
    for night in range(0, 365, 5):
        table = runs[: 130 + night]
        write_table(table, tmp_path / "runs.parquet")
        now = table["started_at"].iloc[-1] + pd.Timedelta("6h")
        asked = ["nightly", tmp_path / "runs.parquet", "--model", tmp_path / "model.joblib"]
        asked += ["--deadline", "06:00", "--now", now.isoformat(), "--json"]
        result = CliRunner().invoke(app, list(map(str, asked)))
        said = json.loads(result.stdout)
        tonight = [alarm for alarm in said["alarms"] if alarm["new"]]
        assert result.exit_code == (4 if tonight else 0)
        new += [(night, alarm["kind"], alarm["direction"]) for alarm in tonight]
        bounds = next(row for row in said["forecasts"] if row["job"] == "job_0")
        tomorrow = runs.iloc[130 + night]
        if tomorrow["job_0__status"] == "success":
            inside.append(bounds["lower"] <= tomorrow["job_0"] <= bounds["upper"])
    shifted = [(night, direction) for night, kind, direction in new if kind == "level_shift"]
    for night, direction in ((120, "long"), (240, "short")):
        assert len([s for s in shifted if s[1] == direction and night < s[0] < night + 40]) == 1
    assert len(new) <= 10, new
    low, high = binom.interval(0.999, len(inside), 0.9)
    assert low <= sum(inside) <= high
