"""Sample paths through a graph are those of a plain simulation, one path after another."""

import heapq

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime.landing._precedence import Precedence
from sklearn_jobtime.landing._schedule import NOTHING_BEFORE, schedule


@st.composite
def nights(draw):
    """A graph of up to six jobs, durations and gaps of four paths, and a number of workers."""
    n_jobs = draw(st.integers(1, 6))
    pairs = [(a, b) for a in range(n_jobs) for b in range(a + 1, n_jobs)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    names = draw(st.permutations(range(n_jobs)))
    graph = nx.DiGraph([(names[a], names[b]) for a, b in edges])
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    durations = rng.exponential(60.0, (4, n_jobs))
    gaps = rng.exponential(5.0, (4, n_jobs)) * (rng.random((4, n_jobs)) < 0.5)
    workers = draw(st.none() | st.integers(1, 3))
    return Precedence.of(graph, range(n_jobs)), durations, gaps, workers


def played(durations, gaps, precedence, n_workers):
    """Starts and ends of one path: jobs queue in the order in which they ask for a worker."""
    n_jobs = len(durations)
    starts, ends = [None] * n_jobs, [None] * n_jobs
    free = [0.0] * (n_workers or n_jobs)
    rank = {job: k for k, job in enumerate(precedence.order)}
    while None in ends:
        asking = []
        for job, parents in enumerate(precedence.parents):
            if ends[job] is None and all(ends[p] is not None for p in parents):
                ready = max((ends[p] for p in parents), default=0.0) + gaps[job]
                asking.append((ready, rank[job], job))
        ready, _, job = min(asking)
        starts[job] = max(ready, heapq.heappop(free))
        ends[job] = starts[job] + durations[job]
        heapq.heappush(free, ends[job])
    return starts, ends


@given(nights())
def test_each_path_is_played_as_a_plain_simulation_plays_it(night):
    precedence, durations, gaps, workers = night
    found = schedule(durations, gaps, precedence, n_workers=workers)
    for path in range(len(durations)):
        starts, ends = played(durations[path], gaps[path], precedence, workers)
        np.testing.assert_allclose(found.starts[path], starts)
        np.testing.assert_allclose(found.ends[path], ends)


@given(nights())
def test_the_run_lands_as_much_later_as_a_critical_job_takes_longer(night):
    precedence, durations, gaps, workers = night
    found = schedule(durations, gaps, precedence, n_workers=workers)
    if workers is not None:  # a queue may turn around: only the chain without one is exact
        return
    critical, slack = found.critical(), found.slack(precedence)
    for job in range(durations.shape[1]):
        longer = durations.copy()
        longer[:, job] += 1e-3
        later = schedule(longer, gaps, precedence).ends.max(axis=1) - found.ends.max(axis=1)
        np.testing.assert_allclose(later, np.where(critical[:, job], 1e-3, 0.0), atol=1e-9)
        np.testing.assert_allclose(slack[:, job][critical[:, job]], 0.0, atol=1e-9)
        longer = durations.copy()
        longer[:, job] += slack[:, job]
        later = schedule(longer, gaps, precedence).ends.max(axis=1)
        np.testing.assert_allclose(later, found.ends.max(axis=1))


def test_what_has_started_keeps_its_start_and_nothing_else_is_before_now():
    chain = Precedence.of(nx.DiGraph([("a", "b"), ("b", "c")]), ["a", "b", "c"])
    found = schedule(
        np.array([[10.0, 20.0, 30.0]]),
        np.zeros((1, 3)),
        chain,
        started=np.array([0.0, np.nan, np.nan]),
        not_before=50.0,
    )
    assert found.starts.tolist() == [[0.0, 50.0, 70.0]]
    assert found.cause.tolist() == [[NOTHING_BEFORE, 0, 1]]


def test_a_job_that_is_not_asked_for_joins_its_neighbours():
    graph = nx.DiGraph([("a", "hidden"), ("hidden", "b")])
    assert Precedence.of(graph, ["b", "a"]).parents == ((1,), ())


def test_a_cycle_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"cycle, a > b > a; remove"):
        Precedence.of(nx.DiGraph([("a", "b"), ("b", "a")]), ["a", "b"])


def test_all_behind_a_failed_job_are_found():
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("d", "c")])
    precedence = Precedence.of(graph, ["a", "b", "c", "d"])
    assert precedence.behind([1]) == {2}
    assert precedence.behind([0]) == {1, 2}
