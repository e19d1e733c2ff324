"""The benchmark of links runs, on little data."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "links.py"


@pytest.mark.slow
def test_edges_paths_and_links_are_counted():
    links = runpy.run_path(str(SCRIPT))
    found = links["counts"](
        "ridge, 1 step", links["EFFECTS"]["links only"], "chain", n_runs=150, seed=0
    )
    assert found["edges"] == 5
    assert found["edges found"] <= found["paths found"] <= found["found"] <= 30
    assert found["unlinked"] == 15
