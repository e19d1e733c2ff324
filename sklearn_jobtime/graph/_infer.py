"""The graph of jobs, learned from when they started and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._typing import Mask
from sklearn_jobtime.exceptions import GraphError
from sklearn_jobtime.graph._check import check_graph
from sklearn_jobtime.graph._evidence import Evidence
from sklearn_jobtime.graph._times import read_job_times
from sklearn_jobtime.runs._schema import job_columns, start_column

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["infer_graph"]


OFTEN_IDLE = 0.2  # share of the starts of a job that no freed worker explains
OFTEN_WAITED = 0.5  # share of runs in which a job did not start though a worker was free
LEAST_FOLLOWED = 2  # runs
FOLLOWED_SHARE = 0.01


def infer_graph(
    runs: pd.DataFrame, jobs: Sequence[str] | None = None, *, min_runs: int = 5
) -> nx.DiGraph:
    """Learn which job waits for which from the times of their runs.

    An edge ``a -> b`` is found where `b` never starts before `a` has ended (but in at most 2 % of
    the runs, as tasks are cleared by hand) and

    - `b` starts soon after that end, `a` being the last to end, in some runs; or
    - `b` starts soon after the end of others, and nothing else waits for `a`: so does a job wait
      for the slower one of two, and for the other one too.

    Edges that follow from others are left out (the transitive reduction). Where the jobs share a
    limited number of workers, a start that a freed worker explains is no evidence of waiting for
    the job that freed it: there a job has to have been left waiting while a worker was free.

    Times say when, not why. A job that is always the first to end of a full set of workers, or one
    of a branch beside that always happens to end earlier, cannot be told from one that is needed.
    Where the graph is written somewhere, read it instead (:func:`job_graph`).

    Parameters
    ----------
    runs : DataFrame
        A run table with ``<job>__started_at`` (:func:`~sklearn_jobtime.runs.pivot_runs` with
        ``job_starts=True``). Runs of several series are looked at together; an edge is between two
        jobs of one run.
    jobs : sequence of str, default=None
        The jobs; None finds them as :func:`~sklearn_jobtime.runs.job_columns` does. Those without
        starts have no edges.
    min_runs : int, default=5
        Of two jobs that stood in fewer runs together, nothing is said.

    Returns
    -------
    networkx.DiGraph
        A node for each job. Each edge has what it rests on: `runs` (in how many both stood),
        `share` (in which share of them the second started soon after the end of the first, which
        was the last to end), `median_gap` (seconds from end to start) and `early` (how many runs
        contradict).

    Raises
    ------
    GraphError
        When no job has starts.

    Warns
    -----
    GraphWarning
        Where some runs contradict an edge that nearly all others show; it names them.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.graph import infer_graph
    >>> runs = make_job_runs(100, graph="a>b>d, a>c>d", starts=True, random_state=0)
    >>> graph = infer_graph(runs)
    >>> sorted(graph.edges)
    [('a', 'b'), ('a', 'c'), ('b', 'd'), ('c', 'd')]
    >>> graph.edges["a", "b"]["share"]
    1.0
    """
    import networkx as nx  # noqa: PLC0415 - read where it is needed only

    runs = plain_table(runs)
    every = job_columns(runs, jobs)
    timed = [job for job in every if start_column(job) in runs]
    if not timed:
        raise GraphError(
            f"no job has a column of its starts, such as {start_column(every[0])!r}, so no graph "
            "can be learned; read the runs with job_starts=True, or say which job waits for which."
        )
    times = read_job_times(runs, timed)
    evidence = Evidence.of(times, min_runs)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(timed)))
    graph.add_edges_from(zip(*np.nonzero(_needed(evidence)), strict=True))
    _join_loose_ends(graph, evidence)
    reduced = nx.transitive_reduction(graph)
    found = nx.DiGraph()
    found.add_nodes_from(every)
    for a, b in sorted(reduced.edges):
        n_runs = int(evidence.both[a, b])
        found.add_edge(
            timed[a],
            timed[b],
            runs=n_runs,
            share=float(evidence.follows[a, b] / n_runs),
            median_gap=float(evidence.gap[a, b]),
            early=int(evidence.early[a, b]),
        )
    check_graph(found, runs)
    return found


def _needed(evidence: Evidence) -> Mask:
    """Mark the pairs of which the second is seen to wait for the first."""
    by_worker = evidence.waited_idle < OFTEN_IDLE * evidence.waited
    enough = np.maximum(LEAST_FOLLOWED, FOLLOWED_SHARE * evidence.both)
    seen = np.where(
        by_worker,
        evidence.idle_wait >= OFTEN_WAITED * evidence.both,
        evidence.follows_idle >= enough,
    )
    return np.asarray(evidence.precedes & seen)


def _join_loose_ends(graph: nx.DiGraph, evidence: Evidence) -> None:
    """Let what follows others wait also for jobs before it that nothing else waits for."""
    by_worker = evidence.waited_idle < OFTEN_IDLE * evidence.waited
    sinks = [a for a in graph if graph.out_degree(a) == 0]
    joining = [b for b in graph if graph.in_degree(b) > 0 and not by_worker[b]]
    graph.add_edges_from((a, b) for a in sinks for b in joining if evidence.precedes[a, b])
