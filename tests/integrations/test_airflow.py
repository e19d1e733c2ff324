"""Deadlines of Airflow: what is put into its Variable, what is read there, and all of it inside.

The last test needs a real Airflow: `AIRFLOW_PYTHON` names the Python of a virtual environment that
has one beside this package::

    python -m venv airflow3 && airflow3/bin/pip install apache-airflow==3.3.2 ".[sql]"
    AIRFLOW_PYTHON=airflow3/bin/python python -m pytest -m slow tests/integrations
"""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import IntegrationError, TooFewRunsWarning
from sklearn_jobtime.integrations import airflow
from sklearn_jobtime.landing import LandingForecaster
from sklearn_jobtime.runs import make_targets, next_runs

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
GOOD = {"seconds": 5400.0, "starts_at": NOW.isoformat(), "nights": 40}


@pytest.fixture(scope="module")
def fitted():
    runs = make_job_runs(n_runs=60, n_jobs=2, failure_rate=0, random_state=0)
    model = LandingForecaster(RollingRule(), "job_0>job_1", n_paths=50, random_state=0)
    return model.fit(runs, make_targets(runs)), runs


def test_the_bound_is_the_upper_end_of_the_interval_of_the_run(fitted):
    model, runs = fitted
    run = next_runs(runs)
    bound = json.loads(json.dumps(airflow.landing_bound(model, run, 0.8)))
    assert bound["seconds"] == model.predict_interval(run, 0.8)[0, -1, 1]
    assert bound["lands"] == model.predict(run)[0, -1]
    assert (bound["confidence_level"], bound["nights"]) == (0.8, model.n_nights_)
    assert datetime.fromisoformat(bound["starts_at"]) == run["started_at"].iloc[0]
    with pytest.warns(TooFewRunsWarning, match="15 calibration rows are too few"):
        assert airflow.landing_bound(model, run, 0.999)["seconds"] is None
    with pytest.raises(ValueError, match="60 runs came; expected one row"):
        airflow.landing_bound(model, runs)


def test_a_bound_that_holds_is_read():
    assert airflow._seconds(json.dumps(GOOD), NOW + timedelta(days=2), 7.0) == (5400.0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("no json", "is not what landing_bound gives"),
        ("[]", "is not what landing_bound gives"),
        (json.dumps(GOOD | {"seconds": "soon"}), "is not what landing_bound gives"),
        (json.dumps(GOOD | {"seconds": float("nan")}), "has the seconds nan"),
        (json.dumps(GOOD | {"seconds": -1}), "has the seconds -1"),
        (json.dumps(GOOD | {"seconds": 1e300}), "has the seconds 1e"),
        (json.dumps(GOOD | {"seconds": None}), "40 held-out nights are too few"),
        (json.dumps(GOOD | {"starts_at": "2026-02-01T04:00:00+00:00"}), "more than 7 days away"),
        (json.dumps(GOOD | {"starts_at": "2026-03-01"}), "is not what landing_bound gives"),
    ],
)
def test_a_bound_that_does_not_hold_is_none_and_a_reason(text, said):
    seconds, reason = airflow._seconds(text, NOW, 7.0)
    assert seconds is None
    assert said in reason


@pytest.mark.skipif(airflow.HAS_API, reason="this Airflow has references of others")
def test_without_the_api_the_version_that_has_it_is_named():
    with pytest.raises(IntegrationError, match=r"needs Airflow 3\.2 or later, .*; found "):
        airflow.LandingDeadline("jobtime_etl")
    assert airflow.JobtimePlugin.deadline_references == []


def test_a_scheduler_that_loads_it_loads_no_model():
    code = "import sys, sklearn_jobtime.integrations.airflow; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"sklearn", "torch", "sklearn_jobtime.landing", "scipy"}
    if not airflow.HAS_API:
        assert not heavy & set(done.stdout.split())


def airflow_python():
    """Python of an Airflow with custom references, or why there is none."""
    python = os.environ.get("AIRFLOW_PYTHON", sys.executable)
    code = "from sklearn_jobtime.integrations.airflow import HAS_API; assert HAS_API"
    found = subprocess.run([python, "-c", code], capture_output=True, check=False, cwd=ROOT)
    return python if found.returncode == 0 else None


@pytest.mark.slow
def test_in_a_real_airflow_a_run_gets_its_deadline_and_a_late_one_its_warning(tmp_path):
    python = airflow_python()
    if python is None:
        pytest.skip("no Airflow 3.2 or later here; AIRFLOW_PYTHON may name the Python of one")
    for folder in ("dags", "plugins"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "benchmarks/examples/airflow_landing_dag.py", tmp_path / "dags")
    plugin = "from sklearn_jobtime.integrations.airflow import JobtimePlugin\n"
    (tmp_path / "plugins/jobtime.py").write_text(plugin)
    environ = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "JOBTIME_DATABASE": f"sqlite:///{tmp_path}/airflow.db",
        "JOBTIME_FOLDER": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    for arguments in (
        ("-m", "airflow", "db", "migrate"),
        (str(ROOT / "tests/airflow/runs_in_airflow.py"), str(tmp_path / "dags")),
    ):
        done = subprocess.run(
            [python, *arguments], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found = json.loads(line.removeprefix("FOUND "))
    assert found["before"] == {}  # without a bound no deadline
    bound = found["bound"]
    assert 30 * 60 < bound["lands"] < bound["seconds"] < 42 * 60
    assert list(found["deadlines"]) == ["night_40"]
    assert bound["seconds"] - 60 < found["deadlines"]["night_40"] <= bound["seconds"]
    assert "etl lands at" in found["warned"]
    assert "it waits for load" in found["warned"]
