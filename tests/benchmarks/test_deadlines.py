"""The benchmark of chances to be done in time runs, and its answers know nothing of the future."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.runs import job_columns

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def deadlines():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import deadlines  # noqa: PLC0415 - not part of the package

        yield deadlines
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_no_answer_knows_what_comes_later(deadlines):
    runs = make_job_runs(n_runs=300, n_jobs=1, n_series=2, random_state=0)
    history = deadlines.History("simulated", "pooled", runs, job_columns(runs))
    _, is_test = deadlines.split_by_time(runs)
    unknown = ~(runs["ended_at"] <= runs.loc[is_test, "started_at"].min())
    later = runs.copy()
    later.loc[unknown, "job_0"] *= 3
    later.loc[unknown, "ended_at"] += pd.Timedelta("2h")
    one, other = (
        next(deadlines.answers(deadlines.replace(history, runs=table), "mix")).query("elapsed == 0")
        for table in (runs, later)
    )
    assert len(one) == len(other) > 100
    assert not one["happened"].equals(other["happened"])
    pd.testing.assert_frame_equal(one[["fixed", "followed"]], other[["fixed", "followed"]])
    first = one["row"] == 0  # later rows of the block have other forecasts, which naive sees
    pd.testing.assert_series_equal(one.loc[first, "naive"], other.loc[first, "naive"])
    assert one[list(deadlines.ANSWERS)].apply(lambda chance: chance.between(0, 1)).all(axis=None)


def test_the_naive_rule_counts(deadlines):
    rule = deadlines.CountedRuns(np.array([[10.0], [20.0], [30.0], [np.nan]]))
    ask = np.array([[25.0], [25.0], [99.0]])
    gone = np.array([[0.0], [15.0], [40.0]])
    assert rule.done_by(ask, ask, gone).ravel() == pytest.approx([2 / 3, 1 / 2, 1.0])


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
def test_the_command_prints_the_error_of_every_answer(deadlines, capsys):
    deadlines.main([str(DATA), "--series", "ocp", "--limit", "400"])
    printed = capsys.readouterr().out
    for text in ("history", "naive", "fixed", "followed", "ocp", "all questions", "predicted"):
        assert text in printed
