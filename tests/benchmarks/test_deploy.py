"""The benchmark of a deployed model measures every line of its table beside a bare bound."""

import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "deploy.py"
SMALL = ["--runs", "60", "--jobs", "1", "--epochs", "1", "--repeats", "1"]


@pytest.mark.slow
def test_every_line_of_the_table_has_a_bound(capsys):
    pytest.importorskip("skops")
    rows = runpy.run_path(str(SCRIPT))["main"]([*SMALL, "--series", "3", "--pool-runs", "40"])
    assert len(rows) == 13
    assert all(row.found > 0 and row.bound >= 0 for row in rows)
    assert {row.unit for row in rows} == {"s", "ms", "MB"}
    printed = capsys.readouterr().out
    assert all(row.name in printed for row in rows)
    growth = [row for row in rows if row.name.startswith("forecast of 3 series")]
    assert [int(row.name.split(",")[1].split()[0]) for row in growth] == [120, 240, 480, 960]


def test_its_parts_measure_what_they_say():
    parts = runpy.run_path(str(SCRIPT))
    seconds, megabytes = parts["process_cost"]("held = b'x' * 10**8; sum(range(10**6))")
    assert seconds > 0
    assert 100 < megabytes < 200
    with pytest.raises(RuntimeError, match="ValueError: here"):
        parts["process_cost"]("raise ValueError('here')")

    runs = make_job_runs(10, n_jobs=1, n_series=3, random_state=0).rename(columns={"job_0": "job"})
    longer = parts["repeated"](runs, 4)
    assert longer.index.is_unique
    counts = longer.groupby(level=0).size()
    assert (counts == 40).all()
    assert list(counts.index) == list(runs.groupby(level=0).size().index)
    pd.testing.assert_frame_equal(longer[-len(runs) :].reset_index(drop=True),
                                  runs.reset_index(drop=True))  # fmt: skip
    ended = [part["ended_at"] for _, part in longer.groupby(np.repeat(range(4), len(runs)))]
    assert all(one.max() < other.min() for one, other in pairwise(ended))
    assert parts["call_cost"](parts["bare_forecast"](longer, 5, 4), 1) > 0
    assert parts["bare_training"](50, 3, 2) > 0
