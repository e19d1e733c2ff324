"""The benchmark of intervals runs, and no interval of it knows what comes later."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.runs import job_columns

pytest.importorskip("mapie", reason="the benchmark compares with MAPIE: pip install mapie")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def intervals():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import intervals  # noqa: PLC0415 - not part of the package

        yield intervals
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.slow
def test_no_interval_knows_what_comes_later(intervals):
    runs = make_job_runs(n_runs=250, n_jobs=1, n_series=2, random_state=0)
    runs = runs.sort_values("started_at", kind="stable")
    when = runs["started_at"].quantile(0.9)
    later = runs.copy()
    unknown = ~(runs["ended_at"] <= when)
    later.loc[unknown, job_columns(runs)] *= 3
    one, other = (
        intervals.intervals_of(intervals.History("h", "pooled", table, job_columns(runs)), "mix")
        for table in (runs, later)
    )
    assert set(one["method"]) == set(intervals.METHODS)
    before = one["started_at"] <= when
    assert 0 < before.sum() < len(one)
    np.testing.assert_array_equal(one.loc[before, "width"], other.loc[before, "width"])
    assert not np.array_equal(one["inside"], other["inside"])


def test_widths_are_compared_at_equal_coverage(intervals):
    rows = [
        ("log_ratio", method, level, inside, width)
        for method, level, share, width in (
            ("static", 0.9, 8, 30.0),
            ("adaptive", 0.9, 7, 20.0),
            ("mapie", 0.7, 6, 10.0),
            ("mapie", 0.8, 8, 24.0),
            ("mapie", 0.85, 8, 25.0),
            ("mapie", 0.9, 9, 40.0),
        )
        for inside in np.arange(10) < share
    ]
    table = pd.DataFrame(rows, columns=["score", "method", "level", "inside", "width"])
    table["series"] = "all"
    found = intervals.summary(table).query("level == 0.9").set_index("method")
    assert found.loc["static", "coverage"] == pytest.approx(0.8)
    # Two levels of MAPIE's cover as much; 85 % is nearer to the asked one.
    assert found.loc["static", "to_mapie"] == pytest.approx(30 / 25)
    assert np.isnan(found.loc["adaptive", "to_mapie"])  # none covers 70 %
    assert found.loc["mapie", "to_mapie"] == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
def test_the_command_prints_writes_and_draws(intervals, tmp_path, capsys):
    command = [str(DATA), "--series", "ccpay", "ocp", "--out", str(tmp_path)]
    table = intervals.main(command)
    printed = capsys.readouterr().out
    for text in ("80% intervals, absolute, mix", "static / mapie", "adaptive coverage within"):
        assert text in printed
    assert (tmp_path / "intervals.png").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "intervals.csv")) == len(table) == 2 * 2 * 4 * 3
