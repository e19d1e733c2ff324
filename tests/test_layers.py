"""The house keeps its layers, and importing it stays cheap."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import threadpoolctl

import sklearn_jobtime
from sklearn_jobtime import ConformalForecaster, make_anchored_forecaster, make_targets
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.persistence import save_model

ROOT = Path(__file__).parents[1]


def test_imports_go_down_only():
    # In a process of its own, because the linter switches off the loggers of the one it runs in.
    command = [Path(sys.executable).with_name("lint-imports")]
    linted = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert linted.returncode == 0, linted.stdout


def test_every_module_stands_in_a_layer():
    contract = (ROOT / "setup.cfg").read_text().split("[importlinter:contract:circles]")[0]
    layers = {name for line in contract.splitlines() for name in line.replace("|", " ").split()}
    package = ROOT / "sklearn_jobtime"
    modules = {p.stem for p in package.glob("*.py")} | {
        p.parent.name for p in package.glob("*/__init__.py")
    }
    assert modules - {"__init__"} <= layers


@pytest.mark.parametrize("name", [n for n in sklearn_jobtime.__all__ if n != "__version__"])
def test_public_names_load_and_are_documented(name):
    assert "Examples" in getattr(sklearn_jobtime, name).__doc__


def test_examples_import_public_names_only():
    texts = {path: path.read_text() for path in (ROOT / "sklearn_jobtime").rglob("*.py")}
    public = [path for path in texts if not any(part[0] == "_" for part in path.parts)]
    shown = {"README.md": (ROOT / "README.md").read_text()} | {str(p): texts[p] for p in public}
    imported = [
        (place, module)
        for place, text in shown.items()
        for module in re.findall(r"^ *>>> from (sklearn_jobtime[.\w]*) import", text, re.M)
    ]
    assert len(imported) >= 10
    assert not [(place, m) for place, m in imported if "._" in m]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        sklearn_jobtime.Nothing  # noqa: B018
    assert set(sklearn_jobtime.__all__) <= set(dir(sklearn_jobtime))


def test_import_loads_nothing_else():
    code = (
        "import json, sys, numpy; before = set(sys.modules); import sklearn_jobtime;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    modules = json.loads(printed)
    heavy = {"torch", "matplotlib", "skorch", "pandas", "sklearn", "scipy", "pyarrow", "typer"}
    assert not heavy & set(modules)
    assert len([name for name in modules if name.startswith("sklearn_jobtime")]) <= 3


def test_the_suite_runs_on_as_many_threads_as_it_says():
    pools = threadpoolctl.threadpool_info()
    assert {pool["num_threads"] for pool in pools if pool["internal_api"] == "openblas"} == {
        int(os.environ["OPENBLAS_NUM_THREADS"])
    }
    code = (
        "import numpy, threadpoolctl as t; print(*(p['num_threads'] for p in t.threadpool_info()))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert set(printed.split()) == {os.environ["OPENBLAS_NUM_THREADS"]}


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "runs.csv"
    write_table(make_job_runs(n_runs=200, n_jobs=2, random_state=0), path)
    return path


HEAVY = {"torch", "skorch", "matplotlib"}


@pytest.mark.parametrize(
    ("args", "not_loaded"),
    [
        (["--help"], {*HEAVY, "sklearn", "scipy", "pandas", "numpy"}),
        (["load", "CSV"], {*HEAVY, "sklearn", "scipy", "joblib", "pyarrow.parquet"}),
        (["anomalies", "CSV"], HEAVY),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_loads_no_more_than_it_needs(csv, args, not_loaded):
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
        "from sklearn_jobtime.cli import main; main()"
    )
    given = [str(csv) if arg == "CSV" else arg for arg in args]
    ran = subprocess.run(
        [sys.executable, "-c", code, *given], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout
    modules = set(ran.stderr.split())
    assert "sklearn_jobtime.cli.app" in modules
    assert not not_loaded & modules


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A model of the recipe with intervals, and a table of runs that goes on behind its own."""
    folder = tmp_path_factory.mktemp("stored")
    runs = make_job_runs(n_runs=90, n_jobs=2, random_state=0)
    model = make_anchored_forecaster(known=["input_rows"], device="cpu", random_state=0)
    model.set_params(
        regressor__mean__lstm__network__max_epochs=1,
        regressor__mean__lstm__network__hidden_size=4,
        regressor__mean__trees__boosting__regressor__max_iter=3,
    )
    seen = runs[:80]
    save_model(ConformalForecaster(model).fit(seen, make_targets(seen)), folder / "model.joblib")
    write_table(runs, folder / "runs.csv")
    return folder


IN_PYTHON = """
import sys
import sklearn_jobtime
from sklearn_jobtime import forecast, job_linkage
from sklearn_jobtime.conformal import online_update
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.tagging import LSTMTagger

model = load_model("model.joblib")
runs = make_job_runs(n_runs=90, n_jobs=2, random_state=0)
row = runs.iloc[[-1]]
assert len(forecast(model, runs)) and len(model.predict(row))
model.predict_interval(row)
online_update(model, runs)
save_model(model, "model.joblib")
LSTMTagger().set_params(network_options__embedding_dim=3), sklearn_jobtime.StatefulForecaster
"""

IN_THE_SHELL = """
import sys
from sklearn_jobtime.cli import main

for line in (
    "forecast model.joblib runs.csv",
    "risk model.joblib runs.csv --deadline 1h",
    "update model.joblib runs.csv",
    "anomalies runs.csv",
    "why model.joblib runs.csv --permutations 2",
):
    sys.argv = ["jobtime", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (line, end.code)
"""


@pytest.mark.parametrize("code", [IN_PYTHON, IN_THE_SHELL], ids=["python", "shell"])
def test_who_only_forecasts_loads_no_torch(code, stored):
    known = "assert not {'torch', 'skorch'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code + known],
        check=True,
        cwd=stored,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
