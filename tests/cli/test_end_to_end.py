"""From each kind of source to a forecast, through the command line, on the same simulated runs.

The files are written in the form that each system writes; tests of the readers use bytes of the
real systems.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.runs import ENDED_AT, STARTED_AT, melt_runs

pytestmark = pytest.mark.usefixtures("few_trees")

AIRFLOW = Path(__file__).parents[1] / "airflow" / "airflow_3.db.gz"
SMALL = [
    "--horizon",
    "2",
    "--epochs",
    "1",
    "--hidden-size",
    "4",
    "--window",
    "3",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=40, n_jobs=1, input_effect=0, failure_rate=0, random_state=0)


@pytest.fixture(scope="module")
def rows(runs):
    """One dict a job of a run, times in whole seconds."""
    long = melt_runs(runs).dropna(subset="duration")
    for clock in (STARTED_AT, ENDED_AT):
        long[clock] = long[clock].dt.floor("s")
    return long.to_dict("records")


def csv(folder, rows, runs):
    write_table(runs, folder / "runs.csv")
    return f"{folder}/runs.csv"


def parquet_log(folder, rows, runs):
    write_table(melt_runs(runs), folder / "log.parquet")
    return f"{folder}/log.parquet"


def json_lines(folder, rows, runs):
    log = melt_runs(runs).rename(columns={"run": "build_id", "job": "task", "duration": "elapsed"})
    lines = log.to_json(orient="records", lines=True, date_format="iso")
    (folder / "log.jsonl").write_text(lines)
    return f"{folder}/log.jsonl"


def sqlite(folder, rows, runs):
    pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    with closing(sqlite3.connect(folder / "ops.db")) as database, database:
        log = melt_runs(runs)
        log.assign(**{c: log[c].astype(str) for c in (STARTED_AT, ENDED_AT)}).to_sql(
            "job_log", database, index=False
        )
    return f"sqlite:///{folder}/ops.db#job_log"


def airflow(folder, rows, runs):
    pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    (folder / "airflow.db").write_bytes(gzip.decompress(AIRFLOW.read_bytes()))
    return f"airflow+sqlite:///{folder}/airflow.db"


def slurm(folder, rows, runs):
    lines = ["JobID|JobName|User|Submit|Start|End|Elapsed|State"]
    for row in rows:
        start, end = (f"{row[clock]:%Y-%m-%dT%H:%M:%S}" for clock in (STARTED_AT, ENDED_AT))
        elapsed = f"{row[ENDED_AT] - row[STARTED_AT]}".replace(" days ", "-")
        lines.append(f"{row['run']}|etl|alice|{start}|{start}|{end}|{elapsed}|COMPLETED")
    (folder / "sacct.txt").write_text("\n".join(lines) + "\n")
    return f"slurm:{folder}/sacct.txt"


def swf(folder, rows, runs):
    lines = ["; UnixStartTime: 0"]
    for number, row in enumerate(rows, start=1):
        seconds = int((row[ENDED_AT] - row[STARTED_AT]).total_seconds())
        start = int(row[STARTED_AT].timestamp())
        lines.append(f"{number} {start} 0 {seconds} 1 -1 -1 1 -1 -1 1 7 1 3 -1 -1 -1 -1")
    (folder / "log.swf").write_text("\n".join(lines) + "\n")
    return f"swf:{folder}/log.swf"


def github(folder, rows, runs):
    times = [
        (f"{r[STARTED_AT]:%Y-%m-%dT%H:%M:%SZ}", f"{r[ENDED_AT]:%Y-%m-%dT%H:%M:%SZ}") for r in rows
    ]
    done = {"status": "completed", "conclusion": "success", "run_attempt": 1}
    pages = {
        "workflow_runs": [
            {
                **{"id": k, "name": "ci", "path": ".github/workflows/ci.yml", "event": "push"},
                **{"url": f"https://api.github.com/repos/o/r/actions/runs/{k}", "workflow_id": 1},
                **{"created_at": start, "run_started_at": start, "updated_at": end, **done},
            }
            for k, (start, end) in enumerate(times, start=1)
        ],
        "jobs": [
            {
                **{"id": 1000 + k, "run_id": k, "name": "build"},
                **{"run_url": f"https://api.github.com/repos/o/r/actions/runs/{k}", "steps": []},
                **{"created_at": start, "started_at": start, "completed_at": end, **done},
            }
            for k, (start, end) in enumerate(times, start=1)
        ],
    }
    (folder / "pages").mkdir()
    asked = {"runs": pages["workflow_runs"], **{f"jobs_{j['run_id']}": [j] for j in pages["jobs"]}}
    for name, items in asked.items():  # the API gives the jobs of one run a page
        key = "workflow_runs" if name == "runs" else "jobs"
        page = json.dumps({"total_count": len(items), key: items})
        (folder / "pages" / f"{name}.json").write_text(page)
    return f"github:{folder}/pages"


def jenkins(folder, rows, runs):
    builds = [
        {
            "number": k,
            "timestamp": int(row[STARTED_AT].timestamp() * 1000),
            "duration": int((row[ENDED_AT] - row[STARTED_AT]).total_seconds() * 1000),
            "result": "SUCCESS",
            "building": False,
        }
        for k, row in enumerate(rows)
    ]
    page = {"fullName": "etl", "name": "etl", "builds": builds}
    (folder / "builds.json").write_text(json.dumps(page))
    return f"jenkins:{folder}/builds.json"


SOURCES = [csv, parquet_log, json_lines, sqlite, airflow, slurm, swf, github, jenkins]


@pytest.mark.parametrize("write", SOURCES, ids=lambda write: write.__name__)
def test_from_the_source_to_a_forecast(write, rows, runs, tmp_path):
    source = write(tmp_path, rows, runs)
    model = str(tmp_path / "model.joblib")
    untested = ["--test-size", "0", *(["--coverage", "0"] if write is not csv else [])]
    fitted = CliRunner().invoke(app, ["fit", source, "-o", model, *untested, *SMALL])
    assert fitted.exit_code == 0, fitted.output
    asked = CliRunner().invoke(app, ["forecast", model, source, "--json"])
    assert asked.exit_code == 0, asked.output
    record = json.loads(asked.stdout)
    assert record["runs"] >= 12 if write is airflow else record["runs"] == len(rows)
    ends = [f["ends_at"] for f in record["forecasts"] if f["job"] == "whole_run"]
    assert len(ends) >= 2
    assert all(ends)
    assert all(f["seconds"] >= 0 for f in record["forecasts"])
