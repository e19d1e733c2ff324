"""A number of workers is learned where jobs waited for one, and nowhere else."""

import numpy as np
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.graph import job_graph
from sklearn_jobtime.landing._nights import Nights
from sklearn_jobtime.landing._precedence import Precedence
from sklearn_jobtime.landing._workers import infer_workers
from sklearn_jobtime.runs import job_columns

FAN = {
    "plan": [],
    **{f"part_{k}": ["plan"] for k in range(8)},
    "publish": [f"part_{k}" for k in range(8)],
}
CHAIN = {"a": [], "b": ["a"], "c": ["b"]}
DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def learned(graph, tick=1e-3, **settings):
    runs = make_job_runs(60, graph=graph, starts=True, random_state=0, **settings)
    jobs = job_columns(runs)
    edges = [(parent, job) for job, parents in graph.items() for parent in parents]
    precedence = Precedence.of(job_graph(edges, jobs=jobs), jobs)
    return infer_workers(Nights.of(runs, None, precedence), precedence, tick)


@pytest.mark.parametrize("n_workers", [1, 2, 3, 5])
@pytest.mark.parametrize("gap", [0.0, 2.0])
def test_as_many_as_ever_ran_while_others_stood_by(n_workers, gap):
    assert learned(FAN, n_workers=n_workers, gap=gap) == n_workers


@pytest.mark.parametrize("graph", [FAN, CHAIN, DIAMOND])
@pytest.mark.parametrize("gap", [0.0, 60.0])
def test_no_limit_is_learned_where_none_is_seen(graph, gap):
    assert learned(graph, gap=gap) is None


def test_a_limit_that_nobody_ever_reaches_is_none():
    assert learned(DIAMOND, n_workers=2) is None


def test_without_starts_nothing_is_learned():
    precedence = Precedence.of(job_graph("a>b"), ["a", "b"])
    nights = Nights.of(None, np.full((30, 2), 60.0), precedence)
    assert infer_workers(nights, precedence, 1e-3) is None
