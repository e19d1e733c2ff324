"""Each command on small tables as a user runs it; each error as a user meets it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import joblib
import matplotlib.image as mpimg
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sklearn_jobtime import LSTMForecaster, __version__
from sklearn_jobtime._wording import human_seconds, human_time
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.evaluation import default_baselines
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.loaders import read_runs, write_table
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.runs import WHOLE_RUN, make_targets, melt_runs

pytestmark = pytest.mark.usefixtures("few_trees")

JOBS = ["job_0", "job_1"]
SMALL = [
    "--epochs",
    "2",
    "--hidden-size",
    "4",
    "--window",
    "4",
    "--device",
    "cpu",
    "--coverage",
    "0.8",
    "--horizon",
    "2",
]
UNTESTED = [*SMALL, "--test-size", "0"]
KNOWN = ["--known", "input_rows,event"]


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args):
    """The one JSON object that a command prints."""
    result = jobtime(*args, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.fixture(scope="module")
def table():
    runs = make_job_runs(n_runs=90, n_jobs=2, random_state=0)
    return runs.assign(event=np.where(np.arange(90) % 3, "push", "schedule"), branch="main")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, table):
    """Folder with the table and a model of it, and what the fit said."""
    folder = tmp_path_factory.mktemp("cli")
    write_table(table, folder / "runs.csv")
    said = jobtime("fit", folder / "runs.csv", "-o", folder / "model.joblib", *SMALL, *KNOWN)
    assert said.exit_code == 0, said.output
    return folder, said


@pytest.fixture(scope="module")
def folder(fitted):
    return fitted[0]


def with_coming(table, n):
    """The table and `n` rows of runs to come, an hour after the last, an hour apart."""
    coming = table.iloc[-n:].copy()
    coming.index = table.index[-1] + 1 + np.arange(n)
    coming["started_at"] = table["started_at"].iloc[-1] + pd.Timedelta("1h") * (1 + np.arange(n))
    coming["ended_at"] = pd.NaT
    coming[JOBS] = np.nan
    coming[[f"{job}__status" for job in JOBS]] = None
    return pd.concat([table, coming])


def test_help_says_units_and_exit_codes():
    ran = jobtime("--help")
    assert "Exit codes" in ran.stdout
    for command in ("demo", "load", "fit", "forecast", "risk", "evaluate", "tune"):
        assert command in ran.stdout
        page = jobtime(command, "--help")
        assert page.exit_code == 0
        assert "JSON" in page.stdout
    assert "JOB__status" in jobtime("fit", "--help").stdout


def test_version():
    assert jobtime("--version").stdout == f"sklearn-jobtime {__version__}\n"


def test_fit_stores_a_model_of_all_runs_and_shows_how_it_learned(fitted):
    folder, result = fitted
    for text in ("train loss", "valid accuracy", "last run", "mean of last 2", "median of last 10",
                 "model has the least error on", "The model is ", "job_0: ", "whole_run: ",
                 "all 90 runs"):  # fmt: skip
        assert text in result.stdout
    assert "epoch" in result.stderr  # the progress bar
    assert "columns of text left out: branch" in result.stderr
    steps = load_model(folder / "model.joblib").estimator_.regressor_
    assert "event__push" in steps[:-1].get_feature_names_out()
    for member in steps["mean"].named_estimators_.values():
        assert member["windows"].known == ["input_rows", "event"]
    assert steps["mean"].named_estimators_["lstm"]["network"].verbose == 0


def test_the_json_of_fit_has_the_documented_keys(folder):
    out = folder / "json.joblib"
    record = answer("fit", folder / "runs.csv", "-o", out, *SMALL, *KNOWN)
    assert record["model"] == str(out)
    assert (record["runs"], record["jobs"], record["horizon"]) == (90, JOBS, 2)
    assert record["test_runs"] == 18
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2]
    assert all(0 <= epoch["valid_accuracy"] <= 1 for epoch in record["epochs"])
    assert len(record["scores"]) == (len(default_baselines()) + 1) * 3
    assert {advised["job"] for advised in record["recommendations"]} == {*JOBS, WHOLE_RUN}
    for advised in record["recommendations"]:
        of_job = [row for row in record["scores"] if row["job"] == advised["job"]]
        best = min(of_job, key=lambda row: row["mae"])
        assert (advised["best"], advised["best_mae"]) == (best["model"], best["mae"])
        assert advised["baseline"] in advised["advice"] or "deploy" in advised["advice"]
    assert record["notes"] == [
        "columns of text left out: branch. Name those that are known when a run starts "
        "with --known."
    ]
    model, again = load_model(folder / "model.joblib"), load_model(out)
    assert model.target_names_.get_level_values("step").max() == 2
    runs = read_runs(folder / "runs.csv").drop(columns="branch")
    np.testing.assert_array_equal(model.predict(runs), again.predict(runs))  # the same seed


def test_forecast_prints_when_the_next_run_will_be_done(folder, table):
    result = jobtime("forecast", folder / "model.joblib", folder / "runs.csv")
    assert result.exit_code == 0
    model, runs = load_model(folder / "model.joblib"), read_runs(folder / "runs.csv")
    expected = forecast(model, runs[model.feature_names_in_])
    whole = expected[(expected["job"] == WHOLE_RUN) & (expected["step"] == 1)].iloc[0]
    assert f"should be done at {human_time(whole['ends_at'])} UTC" in result.stdout
    for seconds in expected["seconds"]:
        assert human_seconds(seconds) in result.stdout
    assert "input_rows, event of the runs to come are taken as unknown" in result.stderr


def test_the_json_of_forecast_is_the_table_of_the_library(folder):
    record = answer("forecast", folder / "model.joblib", folder / "runs.csv")
    model, runs = load_model(folder / "model.joblib"), read_runs(folder / "runs.csv")
    expected = forecast(model, runs[model.feature_names_in_])
    assert [row["seconds"] for row in record["forecasts"]] == expected["seconds"].tolist()
    assert [row["step"] for row in record["forecasts"]] == expected["step"].tolist()
    for row in record["forecasts"]:
        assert (row["ends_at"] is None) == (row["job"] != WHOLE_RUN)
        assert row["started_at"].endswith("Z")
        assert row["run"] == 90


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_last_rows_without_outcomes_are_the_runs_to_forecast(folder, table, tmp_path, ending):
    write_table(with_coming(table, 3), tmp_path / f"runs{ending}")
    out = tmp_path / "forecast.csv"
    record = answer(
        "forecast", folder / "model.joblib", tmp_path / f"runs{ending}", "-o", out,
        "--plot", tmp_path / "forecast.png",
    )  # fmt: skip
    steps = {(row["run"], row["step"]) for row in record["forecasts"]}
    assert steps == {(90, 1), (91, 1), (92, 1), (92, 2)}
    first = [row["started_at"] for row in record["forecasts"] if row["step"] == 1]
    last = table["started_at"].iloc[-1]
    assert [pd.Timestamp(t) for t in first[::3]] == [
        last + pd.Timedelta("1h") * k for k in (1, 2, 3)
    ]
    assert record["runs"] == 90
    assert record["notes"] == []
    stored = pd.read_csv(out)
    np.testing.assert_allclose(stored["seconds"], [row["seconds"] for row in record["forecasts"]])
    assert mpimg.imread(tmp_path / "forecast.png").shape[1] > 900
    assert record["written"] == [str(out), str(tmp_path / "forecast.png")]


def test_known_columns_of_a_coming_run_change_its_forecast(folder, table, tmp_path):
    def first_seconds(**changes):
        runs = with_coming(table, 1)
        for column, value in changes.items():
            runs.loc[90, column] = value
        write_table(runs, tmp_path / "runs.csv")
        found = answer("forecast", folder / "model.joblib", tmp_path / "runs.csv")
        return found["forecasts"][0]["seconds"]

    usual = first_seconds()
    assert first_seconds(input_rows=table["input_rows"].max() * 2) != usual
    assert first_seconds(event="push", branch="other") == first_seconds(event="push")
    assert first_seconds(event="never seen") > 0


def test_times_can_be_given_and_shown_in_a_zone(folder):
    model = folder / "model.joblib"
    at = ["--at", "2025-07-02T02:00", "--at", "2025-07-01T02:00+02:00"]
    record = answer("forecast", model, folder / "runs.csv", *at, "--timezone", "Europe/Berlin")
    starts = sorted({row["started_at"] for row in record["forecasts"] if row["step"] == 1})
    assert starts == ["2025-07-01T00:00:00Z", "2025-07-02T00:00:00Z"]
    shown = jobtime("forecast", model, folder / "runs.csv", *at, "--timezone", "Europe/Berlin")
    assert "2025-07-01 02:00" in shown.stdout
    assert "times in Europe/Berlin" in shown.stdout


def test_several_series_are_forecast_and_named(tmp_path):
    runs = make_job_runs(n_runs=40, n_jobs=1, n_series=2, random_state=0)
    write_table(runs, tmp_path / "runs.parquet")
    out = tmp_path / "model.joblib"
    assert jobtime("fit", tmp_path / "runs.parquet", "-o", out, *UNTESTED).exit_code == 0
    record = answer("forecast", out, tmp_path / "runs.parquet")
    assert {row["series"] for row in record["forecasts"]} == set(runs.index.get_level_values(0))
    shown = jobtime("forecast", out, tmp_path / "runs.parquet").stdout
    for series in set(runs.index.get_level_values(0)):
        assert f"of {series}, starting" in shown


def test_a_table_without_times_has_forecasts_without_clock(tmp_path):
    runs = pd.DataFrame({"build": 100 + 10 * np.sin(np.arange(60.0))})
    write_table(runs, tmp_path / "runs.csv")
    out = tmp_path / "model.joblib"
    assert jobtime("fit", tmp_path / "runs.csv", "-o", out, *UNTESTED).exit_code == 0
    record = answer("forecast", out, tmp_path / "runs.csv")
    keys = {"run", "step", "job", "seconds", "source", "lower", "upper"}
    assert set(record["forecasts"][0]) == keys
    assert "done at" not in jobtime("forecast", out, tmp_path / "runs.csv").stdout


def test_evaluate_takes_the_settings_of_a_stored_model_not_its_weights(folder):
    kept = (folder / "model.joblib").read_bytes()
    stored = answer("evaluate", folder / "runs.csv", "--model", folder / "model.joblib")
    anew = answer("evaluate", folder / "runs.csv", *SMALL, *KNOWN)

    def errors(record):
        return [row["mae"] for row in record["scores"]]

    np.testing.assert_array_equal(errors(stored), errors(anew))
    assert (folder / "model.joblib").read_bytes() == kept
    assert "model" not in stored
    assert stored["horizon"] == anew["horizon"] == 2
    assert "intervals" not in stored


def test_tune_ranks_the_grid_and_stores_the_best(folder, tmp_path):
    out = tmp_path / "best.joblib"
    grid = ["--window", "2,4", "--hidden-size", "4", "--lr", "0.003,0.03"]
    args = ["tune", folder / "runs.csv", "-o", out, *grid, "--splits", 2, "--n-jobs", 1]
    options = ["--device", "cpu", "--horizon", 1]
    record = answer(*args, *options, "--epochs", 2)
    errors = [row["mae"] for row in record["ranking"]]
    assert errors == sorted(errors)
    assert len(errors) == 4
    best = record["ranking"][0]["params"]
    model = load_model(out)
    assert {name: model.estimator.get_params()[name] for name in best} == best
    shown = jobtime(*args, *options, "--epochs", 1, "--window", 2, "--lr", "0.03")
    assert "2/2" in shown.stderr
    assert "rank" in shown.stdout


@pytest.mark.slow
def test_tune_ranks_by_the_scoring_that_was_asked_for(folder, tmp_path):
    args = ["tune", folder / "runs.csv", "-o", tmp_path / "best.joblib", "--splits", 2]
    grid = ["--window", "2,4", "--hidden-size", "4", "--lr", "0.003", "--epochs", 1, "--horizon", 1]
    options = ["--n-jobs", 1, "--device", "cpu", "--scoring", "neg_observed_pinball_0.9"]
    record = answer(*args, *grid, *options)
    assert record["scoring"] == "neg_observed_pinball_0.9"
    losses = [row["pinball_0.9"] for row in record["ranking"]]
    assert losses == sorted(losses)
    assert min(losses) > 0


def test_a_job_that_never_succeeds_keeps_no_other_from_a_forecast(table, tmp_path):
    broken = table.drop(columns=["event", "branch"]).assign(job_1__status="failed")
    write_table(broken, tmp_path / "runs.csv")
    options = (*SMALL, "--horizon", 1)
    record = answer("fit", tmp_path / "runs.csv", "-o", tmp_path / "model.joblib", *options)
    assert {row["job"] for row in record["scores"]} == {"job_0"}
    assert record["notes"] == [
        "job 'job_1' is not forecast: too few successful runs to learn from."
    ]


def write(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)
    return path


HEAD = "started_at,build\n"
BAD_RUNS = {
    "missing file": (None, "cannot be opened"),
    "empty file": ("", "is empty"),
    "only a header": (HEAD, "0 rows"),
    "other delimiter": ("started_at;build\n2026-03-01;1.0;2\n", "line 2: 3 fields, expected 2"),
    "text duration": (
        "build,build__status\n1.0,success\nlong,success\n",
        "column 'build', row 1: 'long' is no number",
    ),
    "bad time": (HEAD + "soon,1.0\n", "'soon' is not a time"),
    "unsorted": (HEAD + "2026-03-02,1.0\n2026-03-01,1.0\n", "sort with runs.sort_values"),
    "cut off": (HEAD + "2026-03-01,1.0\n2026-03\n", "line 3: 1 fields"),
    "not UTF-8": (HEAD.encode() + b"2026-03-01,\xff\n", "is not UTF-8"),
    "one run": (HEAD + "2026-03-01,1.0\n", "at least two runs|1 runs to learn from are too few"),
    "no outcome": (HEAD + "2026-03-01,\n2026-03-02,\n", "none of the 2 rows has an outcome"),
    "no success": (
        "build,build__status\n" + "1.0,failed\n" * 9,
        r"no job succeeded in the \d runs to learn from",
    ),
}


@pytest.mark.parametrize("command", ["fit", "evaluate", "tune"])
@pytest.mark.parametrize(("content", "message"), BAD_RUNS.values(), ids=BAD_RUNS)
def test_bad_tables_end_with_one_message(tmp_path, command, content, message):
    path = tmp_path / "runs.csv"
    if content is not None:
        write(path, content)
    out = [] if command == "evaluate" else ["-o", tmp_path / "model.joblib"]
    result = jobtime(command, path, *out)
    if command == "tune":  # it has no test: other tables are too short for it
        message = f"{message}|too few|no job succeeded"
    assert result.exit_code == 1
    assert re.search(message, result.stderr)
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert not set(os.listdir(tmp_path)) - {"runs.csv"}


def test_wrong_columns_are_named(folder, tmp_path):
    for option in ("--jobs", "--known"):
        result = jobtime("fit", folder / "runs.csv", option, "nothing", "-o", tmp_path / "m.joblib")
        assert result.exit_code == 1
        assert "no column 'nothing'" in result.stderr
        assert "input_rows" in result.stderr  # what there is
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[:3000], "no whole model file"),
        (lambda content: b"", "no whole model file"),
        (lambda content: content[:500] + b"x" + content[501:], "check sum"),
        (lambda content: b"started_at,build\n", "no whole model file"),
        (None, "cannot be opened"),
    ],
    ids=["truncated", "empty", "changed", "a table", "missing"],
)
def test_bad_model_files_end_with_one_message(folder, tmp_path, spoil, message):
    path = tmp_path / "model.joblib"
    if spoil:
        path.write_bytes(spoil((folder / "model.joblib").read_bytes()))
    out = tmp_path / "forecast.csv"
    for args in (
        ("forecast", path, folder / "runs.csv", "-o", out),
        ("evaluate", folder / "runs.csv", "--model", path),
    ):
        result = jobtime(*args)
        assert result.exit_code == 1
        assert message in result.stderr
        assert "Traceback" not in result.output
    assert not out.exists()


def test_a_model_and_a_table_that_do_not_match(folder, table, tmp_path):
    write_table(table.drop(columns="input_rows"), tmp_path / "runs.csv")
    result = jobtime("forecast", folder / "model.joblib", tmp_path / "runs.csv")
    assert result.exit_code == 1
    assert "no column 'input_rows', which the model was fitted on" in result.stderr


def test_models_that_are_not_ours(folder, table, tmp_path):
    runs = table.drop(columns=["event", "branch"])
    rule = RollingRule().fit(runs, make_targets(runs, horizon=2))
    save_model(rule, tmp_path / "rule.joblib")
    record = answer("forecast", tmp_path / "rule.joblib", folder / "runs.csv")
    assert len(record["forecasts"]) == 6
    result = jobtime("evaluate", folder / "runs.csv", "--model", tmp_path / "rule.joblib")
    assert result.exit_code == 1
    assert "holds a RollingRule; expected" in result.stderr
    save_model(RollingRule().fit(runs[JOBS], runs[JOBS]), tmp_path / "nameless.joblib")
    result = jobtime("forecast", tmp_path / "nameless.joblib", folder / "runs.csv")
    assert result.exit_code == 1
    assert "make_targets" in result.stderr


WRONG_USE = {
    "no command": [],
    "unknown command": ["predict"],
    "no table": ["fit"],
    "unknown option": ["fit", "RUNS", "--layers", "2"],
    "no number": ["fit", "RUNS", "--horizon", "five"],
    "out of range": ["fit", "RUNS", "--test-size", "1.5"],
    "no folder": ["fit", "RUNS", "-o", "no/such/folder/model.joblib"],
    "a folder": ["fit", "RUNS", "-o", "."],
    "grid of words": ["tune", "RUNS", "--window", "five"],
    "negative grid": ["tune", "RUNS", "--lr", "0.1,-1"],
    "no scoring": ["tune", "RUNS", "--scoring", "neg_observed_pinball_1.5"],
    "no time": ["forecast", "MODEL", "RUNS", "--at", "tonight"],
    "a time in the past": ["forecast", "MODEL", "RUNS", "--at", "2020-01-01"],
    "no zone": ["forecast", "MODEL", "RUNS", "--timezone", "Mars/Olympus"],
    "no picture": ["forecast", "MODEL", "RUNS", "--plot", "plot.txt"],
    "no table ending": ["forecast", "MODEL", "RUNS", "-o", "forecast.xlsx"],
}


@pytest.mark.parametrize("args", WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_exits_with_2(folder, args):
    paths = {"RUNS": folder / "runs.csv", "MODEL": folder / "model.joblib"}
    before = sorted(os.listdir(folder))
    result = jobtime(*(paths.get(arg, arg) for arg in args))
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert sorted(os.listdir(folder)) == before


def test_what_training_cannot_do_is_a_message(folder, tmp_path):
    for extra, message in ((["--device", "tpu"], "unknown device"), (["--lr", "-1"], "'lr'")):
        result = jobtime("fit", folder / "runs.csv", *extra, "-o", tmp_path / "model.joblib")
        assert result.exit_code == 1
        assert message in result.stderr
    assert os.listdir(tmp_path) == []


def test_debug_shows_where_an_error_came_from(tmp_path):
    assert jobtime("--debug", "fit", tmp_path / "none.csv").exception.__class__.__name__ == (
        "SourceError"
    )
    quiet = jobtime("fit", tmp_path / "none.csv")
    assert isinstance(quiet.exception, SystemExit)


def test_as_a_process_it_exits_with_its_code_and_no_traceback(tmp_path):
    def run(command, **variables):
        return subprocess.run(
            [sys.executable, "-m", "sklearn_jobtime", command, str(tmp_path / "none.csv")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **variables},
        )

    ran = run("load")  # it starts without torch
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    shown = run("load", JOBTIME_DEBUG="1")
    assert "Traceback" in shown.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_interrupted_training_stops_and_leaves_nothing(tmp_path, tmp_path_factory):
    write_table(make_job_runs(n_runs=60, n_jobs=1, random_state=0), tmp_path / "runs.parquet")
    notes = tmp_path_factory.mktemp("notes")
    many = ",".join(f"0.{k}" for k in range(1, 1000))
    command = [sys.executable, "-m", "sklearn_jobtime", "tune", "runs.parquet", "--lr", many]
    small = ["--epochs", "1", "--hidden-size", "4", "--horizon", "1", "--n-jobs", "1"]
    with subprocess.Popen(
        [*command, *small], env={**os.environ, "TMPDIR": str(notes)},
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        # The search writes a byte for each score, of which there would be thousands.
        while process.poll() is None and not any(f.stat().st_size for f in notes.glob("*/scores")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out == ""
    assert os.listdir(tmp_path) == ["runs.parquet"]
    assert not list(notes.glob("*/scores"))


@pytest.mark.slow
def test_demo_does_the_whole_job(tmp_path, monkeypatch):
    epochs, fit = [], LSTMForecaster.fit

    def counted(network, *args, **options):
        fitted = fit(network, *args, **options)
        epochs.append(len(fitted.training_history_))
        return fitted

    monkeypatch.setattr(LSTMForecaster, "fit", counted)
    record = answer("demo", "--output-dir", tmp_path / "new", "--epochs", 2)
    assert epochs == [2, 2, 2]  # for the test, the intervals and the forecast: the work of the demo
    assert record["runs"] == 1088
    assert record["test_runs"] == 218
    assert {row["job"] for row in record["recommendations"]} == {"build", "build_mpi", WHOLE_RUN}
    models = {row["model"] for row in record["scores"]}
    assert {"last run", "mean of last 2", "median of last 10", "model"} <= models
    assert [row["step"] for row in record["forecasts"] if row["job"] == "build"] == [1, 2, 3, 4, 5]
    assert mpimg.imread(record["plot"]).ndim == 3
    assert len(joblib.load(record["model"]).target_names_) == 15
    assert sorted(os.listdir(tmp_path / "new")) == ["forecast.png", "model.joblib"]


def write_log(path, table):
    """The table as a log, one row a job of a run, under other names."""
    long = melt_runs(table[[c for c in table if c not in ("event", "branch")]])
    write_table(
        long.rename(columns={"run": "build_id", "job": "task", "duration": "elapsed"}), path
    )


def test_load_writes_a_run_table_and_says_what_is_in_it(folder, table, tmp_path):
    write_log(tmp_path / "log.csv", table)
    record = answer("load", tmp_path / "log.csv", "-o", tmp_path / "runs.parquet")
    assert record["runs"] == record["series"][0]["runs"] > 80
    assert record["columns"]["run"] == "build_id"
    assert record["written"] == str(tmp_path / "runs.parquet")
    loaded = read_runs(tmp_path / "runs.parquet")
    pd.testing.assert_frame_equal(
        loaded[JOBS].reset_index(drop=True),
        table.loc[loaded.index.astype(int), JOBS].reset_index(drop=True),
        check_names=False,
    )
    shown = jobtime("load", tmp_path / "log.csv", "--jobs", "job_0")
    assert shown.exit_code == 0
    assert "1 of 1 series are regular enough to forecast" in shown.stdout
    assert "columns: " in shown.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nowhere.csv"], 1, "nowhere.csv"),
        (["delphi"], 1, "is no known source"),
        (["sqlite:///none.db#log"], 1, "none.db"),
        (["log.csv", "-o", "runs.xlsx"], 2, "ends in"),
        (["log.csv", "--column", "run"], 2, "NAME=COLUMN"),
        (["log.csv", "--column", "run=nothing"], 1, "no column 'nothing'"),
        (["log.csv", "--since", "2090-01-01"], 1, "no run started"),
        (["log.csv", "--max-bytes", "10"], 1, "--max-bytes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_loaded_is_said_in_one_message(
    tmp_path, table, monkeypatch, args, code, message
):
    pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "log.csv", table)
    result = jobtime("load", *args)
    assert result.exit_code == code
    assert re.search(message, re.sub(r"[\s│]+", " ", result.stderr))
    assert "Traceback" not in result.output
    assert os.listdir(tmp_path) == ["log.csv"]
