"""The house keeps its layers, and importing it stays cheap."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import threadpoolctl

import sklearn_jobtime

ROOT = Path(__file__).parents[1]


def test_imports_go_down_only():
    # In a process of its own, because the linter switches off the loggers of the one it runs in.
    command = [Path(sys.executable).with_name("lint-imports"), "--config", "setup.cfg"]
    linted = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert linted.returncode == 0, linted.stdout


def test_every_module_stands_in_a_layer():
    contract = (ROOT / "setup.cfg").read_text().split("[importlinter:contract:lstm]")[0]
    layers = {name for line in contract.splitlines() for name in line.replace("|", " ").split()}
    package = ROOT / "sklearn_jobtime"
    modules = {p.stem for p in package.glob("*.py")} | {
        p.parent.name for p in package.glob("*/__init__.py")
    }
    assert modules - {"__init__"} <= layers


@pytest.mark.parametrize("name", [n for n in sklearn_jobtime.__all__ if n != "__version__"])
def test_public_names_load_and_are_documented(name):
    assert "Examples" in getattr(sklearn_jobtime, name).__doc__


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
