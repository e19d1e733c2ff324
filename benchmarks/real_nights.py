"""Real histories of which it is known when their jobs or steps started, for `landing.py`.

Of the others in the shared data (sandmark, dune, the Slurm and NASA logs) only the start of a batch
or of a single job is known, and of the workflows each configuration ran five times.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.runs import pivot_runs

Night = tuple[str, pd.DataFrame, list[str], Any]

STEPS_OF = {
    "jod, steps of Build": ("jod", "Build"),
    "ccpay, steps of build": ("ccpay", "build"),
    "bmad, steps of a build": ("bmad", "build (ubuntu-latest, Y, N)"),
}
FULL_BATCH = 30  # benchmarks of pybamm that run one after the other; smaller ones are trials


def real_nights(folder: Path) -> Iterator[Night]:
    """Give a name, the runs, their jobs and their graph of each real history."""
    steps = pd.read_csv(folder / "gha_steps.csv.gz")
    steps["job"] = steps["job"].str.replace("__", "_")
    for name, (project, job) in STEPS_OF.items():
        rows = steps[steps["run"].str.startswith(project) & (steps["job"] == job)]
        rows = rows[rows["step_no"] >= 0]
        yield chain(name, rows, rows["step"], rows.groupby("step")["step_no"].median())
        usual = rows.groupby("step")["duration_s"].median()
        long = rows[rows["step"].isin(usual.index[usual > 1])]
        yield chain(
            f"{name} over 1 s", long, long["step"], long.groupby("step")["step_no"].median()
        )
    jobs = steps[steps["run"].str.startswith("bmad") & (steps["step_no"] == -1)]
    yield history("bmad, two jobs", jobs, jobs["job"], "infer")
    yield pybamm(folder)


def pybamm(folder: Path) -> Night:
    """Benchmarks of a commit, which run one after the other."""
    raw = pd.read_csv(folder / "pybamm_bench_asv.csv.gz")
    raw["run"] = raw["commit_at"] + " " + raw["env"]
    raw = raw[raw.groupby("run")["run"].transform("size") >= FULL_BATCH]
    raw["conclusion"] = np.where(raw["failed"], "failed", "success")
    return history("pybamm, benchmarks", raw, raw["benchmark"], "infer")


def chain(name: str, rows: pd.DataFrame, job: pd.Series, place: pd.Series) -> Night:
    """Jobs that run one after the other, in the order of their usual places."""
    order = [text.replace("__", "_") for text in place.sort_values(kind="stable").index]
    return history(name, rows, job, [*pairwise(order)])


def history(name: str, rows: pd.DataFrame, job: pd.Series, graph: Any) -> Night:
    """Make a run table of rows with `run`, `started_at`, `duration_s` and `conclusion`."""
    long = pd.DataFrame(
        {
            "run": rows["run"],
            "job": job.str.replace("__", "_"),
            "started_at": pd.to_datetime(rows["started_at"], utc=True, format="ISO8601"),
            "duration": rows["duration_s"],
            "status": np.where(rows["conclusion"] == "success", "success", "failed"),
        }
    )
    long["ended_at"] = long["started_at"] + pd.to_timedelta(long["duration"], unit="s")
    runs = pivot_runs(long, job_starts=True).sort_values("started_at", kind="stable")
    return name, runs, list(dict.fromkeys(long["job"])), graph
