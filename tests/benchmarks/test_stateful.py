"""The benchmark of the state runs, and compares models that differ in their memory only."""

import sys
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
MODELS = ["windows of 20", "windows of 1", "state", "state, 100", "state, 3 at once"]


@pytest.fixture(scope="module")
def stateful():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import stateful  # noqa: PLC0415 - not part of the package

        yield stateful
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.slow
def test_every_model_is_scored_on_the_same_runs(stateful):
    rows = pd.DataFrame(stateful.results_of(stateful.simulated(90), seed=0, predictions=3))
    assert rows["model"].tolist() == MODELS
    assert (rows[["mae", "fit_seconds", "run_seconds"]] > 0).all(axis=None)
    assert (stateful.ratios(rows).xs("windows of 20", axis=1, level="model") == 1).all(axis=None)


@real_data
@pytest.mark.slow
def test_it_runs_on_a_real_history(stateful, capsys, tmp_path):
    out = tmp_path / "figures.csv"
    options = [
        "--series",
        "ocp",
        "--limit",
        "120",
        "--seeds",
        "1",
        "--predictions",
        "3",
        "--choose",
    ]
    table = stateful.main([str(DATA), *options, "--out", str(out)])
    assert set(table.index) == {"simulated", "ocp"}
    assert len(pd.read_csv(out)) == 2 * len(MODELS)
    assert "mae, relative to windows of 20" in capsys.readouterr().out
