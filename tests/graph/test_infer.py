"""Graphs learned from times are those behind the simulated runs, and say what they rest on."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import GraphError, GraphWarning
from sklearn_jobtime.graph import infer_graph
from sklearn_jobtime.runs import clock_columns, job_columns

SHAPES = {
    "chain": {"graph": "chain", "n_jobs": 4},
    "diamond": {"graph": "diamond", "n_jobs": 4},
    "fan_out": {"graph": "fan_out", "n_jobs": 12, "n_workers": 3},
}


def simulated(shape, seed, n_runs=100, **options):
    options = {"failure_rate": 0.03, "shift_every": 40} | SHAPES.get(shape, {}) | options
    runs, truth = make_job_runs(
        n_runs, starts=True, random_state=seed, return_truth=True, **options
    )
    edges = [(parent, job) for job, parents in truth.graph.items() for parent in parents]
    return runs, set(nx.transitive_reduction(nx.DiGraph(edges)).edges)


def in_whole(runs, unit):
    """The table as a clock that counts whole units tells it."""
    runs = runs.copy()
    for job in job_columns(runs):
        starts = runs[f"{job}__started_at"]
        ends = (starts + pd.to_timedelta(runs[job], unit="s")).dt.floor(unit)
        runs[f"{job}__started_at"] = starts.dt.floor(unit)
        runs[job] = (ends - starts.dt.floor(unit)).dt.total_seconds()
    return runs


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("gap", "unit"), [(0.0, None), (20.0, "s")])
def test_a_hundred_runs_tell_the_graph(shape, gap, unit):
    right = found = true = 0
    for seed in range(3):
        runs, edges = simulated(shape, seed, gap=gap)
        learned = set(infer_graph(runs if unit is None else in_whole(runs, unit)).edges)
        right, found, true = right + len(learned & edges), found + len(learned), true + len(edges)
    assert right >= 0.97 * found
    assert right >= 0.97 * true


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_precision_and_recall_over_many_histories(shape):
    right = found = true = 0
    for seed in range(100, 140):
        gap = (0.0, 5.0, 60.0)[seed % 3]
        runs, edges = simulated(shape, seed, gap=gap)
        learned = set(infer_graph(runs if seed % 2 else in_whole(runs, "s")).edges)
        right, found, true = right + len(learned & edges), found + len(learned), true + len(edges)
    assert right >= 0.97 * found
    assert right >= 0.97 * true


def evidence_by_loop(runs, before, after):
    """Runs of both, and of those in which the second starts at once after the last end, first's."""
    jobs = job_columns(runs)
    both = follows = early = 0
    gaps = []
    for _, run in runs.iterrows():
        ends = {
            job: run[f"{job}__started_at"] + pd.Timedelta(seconds=run[job])
            for job in jobs
            if not np.isnan(run[job])
        }
        start = run[f"{after}__started_at"]
        if before not in ends or start is pd.NaT:
            continue
        both += 1
        gaps.append((start - ends[before]).total_seconds())
        early += gaps[-1] < -0.002
        others = [end for job, end in ends.items() if job != after]
        last = max(end for end in others if end <= start + pd.Timedelta("2ms"))
        follows += ends[before] >= last - pd.Timedelta("1ms")
    return both, follows, early, float(np.median(gaps))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 99), shape=st.sampled_from(["chain", "diamond"]))
def test_the_evidence_of_an_edge_is_that_of_a_slow_loop(seed, shape):
    runs, _ = simulated(shape, seed, n_runs=40)
    for before, after, told in infer_graph(runs).edges(data=True):
        both, follows, early, gap = evidence_by_loop(runs, before, after)
        assert (told["runs"], told["early"]) == (both, early)
        assert told["share"] == pytest.approx(follows / both)
        assert told["median_gap"] == pytest.approx(gap, abs=1e-3)


def test_a_task_cleared_by_hand_is_said_and_changes_nothing():
    runs, edges = simulated("chain", 0, failure_rate=0)
    runs.loc[7, "job_2__started_at"] = runs.loc[7, "started_at"]
    with pytest.warns(GraphWarning, match=r"'job_2' waits for 'job_1' .* in the runs 7; correct"):
        graph = infer_graph(runs)
    assert set(graph.edges) == edges
    assert graph.edges["job_1", "job_2"]["early"] == 1


def test_jobs_that_never_run_together_have_no_edge():
    runs, edges = simulated("chain", 1)
    other = runs.add_prefix("x_")[[f"x_{c}" for c in runs if c.startswith("job")]]
    pooled = pd.concat({"one": runs, "two": pd.concat([runs[["started_at"]], other], axis=1)})
    graph = infer_graph(pooled.sort_values("started_at"))
    assert set(graph.edges) == edges | {(f"x_{a}", f"x_{b}") for a, b in edges}


def test_jobs_that_wait_for_none_have_no_edge_and_few_runs_say_nothing():
    runs, _ = simulated("independent", 0, graph="independent", n_jobs=5)
    assert not infer_graph(runs).edges
    assert list(infer_graph(runs)) == job_columns(runs)
    assert not infer_graph(simulated("chain", 0)[0].iloc[:4]).edges


def test_without_starts_there_is_nothing_to_learn_from():
    runs, _ = simulated("chain", 0, n_runs=10)
    with pytest.raises(GraphError, match=r"no job has a column of its starts, such as 'job_0__sta"):
        infer_graph(runs.drop(columns=clock_columns(runs)))
    partly = infer_graph(runs.drop(columns="job_3__started_at"))
    assert set(partly.edges) == {("job_0", "job_1"), ("job_1", "job_2")}
