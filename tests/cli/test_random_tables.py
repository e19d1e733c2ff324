"""Simulated tables of all kinds through every command: no traceback, no NaN, no infinity.

A few tables in the slow step; many by hand: ``RANDOM_TABLES=200 pytest -m slow tests/cli/...``.
"""

import json
import os
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_trees")]

SMALL = ["--horizon=2", "--window=3", "--epochs=1", "--hidden-size=4", "--device=cpu"]
NO_NUMBER = re.compile(r"(?<![\w.])[-+]?(nan|NaN|inf|Infinity|NaT)(?![\w.-]| as a failure)")


def random_table(seed):
    """Any mix of jobs, series, failures, time-outs, overlap, gaps and constant durations."""
    draw = np.random.default_rng(seed)
    n_jobs = int(draw.integers(1, 5))
    graphs = ["chain", "independent", "random", *["diamond"] * (n_jobs > 2)]
    runs = make_job_runs(
        n_runs=int(draw.integers(1, 80)),
        n_jobs=n_jobs,
        graph=str(draw.choice(graphs)),
        n_series=int(draw.choice([1, 1, 2, 4])),
        level=float(10 ** draw.uniform(-1, 6)),
        noise=float(draw.choice([0.0, 0.1, 2.0])),
        failure_rate=float(draw.choice([0.0, 0.1, 0.6, 1.0])),
        timeout=float(draw.choice([0.5, 1.5])) if draw.random() < 0.3 else None,
        overlap=bool(draw.random() < 0.3),
        random_state=seed,
    )
    if draw.random() < 0.3:
        jobs = [c for c in runs if f"{c}__status" in runs]
        runs[jobs] = runs[jobs].round()  # whole seconds, zero among them
    if draw.random() < 0.2:
        runs = runs.drop(columns=[c for c in runs if c.endswith("__status")])
    return runs


def commands(folder, draw):
    table, model = folder / "runs.parquet", folder / "model.joblib"
    yield ["load", table, "-o", folder / "copy.csv"]
    yield ["fit", table, "-o", model, *SMALL]
    if model.exists():
        yield ["forecast", model, table]
        yield ["risk", model, table, "--deadline", str(draw.choice(["00:00", "06:00", "23:59"]))]
        yield ["evaluate", table, "--model", model]
        yield ["links", model, table, "--repeats", "5"]
        yield ["why", model, table]
        yield ["update", model, table]
    yield ["anomalies", table]


@pytest.mark.parametrize("seed", range(int(os.environ.get("RANDOM_TABLES", "2"))))
def test_every_command_answers_in_numbers_or_says_why_not(seed, tmp_path):
    write_table(random_table(seed), tmp_path / "runs.parquet")
    draw = np.random.default_rng(seed)
    for command in commands(tmp_path, draw):
        as_json = ["--json"] if draw.random() < 0.5 else []
        result = CliRunner().invoke(app, [*map(str, command), *as_json])
        said = f"seed {seed}: {command}\n{result.stdout}\n{result.stderr}"
        assert result.exit_code in (0, 1), said
        if result.exit_code:
            assert result.stderr.splitlines()[-1].startswith("error: "), said
            assert "unexpected" not in result.stderr, said
        elif as_json:
            json.loads(result.stdout)
        assert not NO_NUMBER.search(result.stdout + result.stderr), said
