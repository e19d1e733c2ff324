"""Where the times of runs contradict a graph of their jobs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import plain_table, row_label
from sklearn_jobtime.exceptions import GraphWarning
from sklearn_jobtime.graph._times import JobTimes, read_job_times

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["check_graph", "contradictions"]


SHOWN_RUNS = 3


def contradictions(graph: nx.DiGraph, runs: pd.DataFrame) -> pd.DataFrame:
    """Find the runs in which a job started before one that it waits for had ended.

    Parameters
    ----------
    graph : networkx.DiGraph
        As :func:`~sklearn_jobtime.graph.job_graph` reads it.
    runs : DataFrame
        A run table with ``<job>__started_at``; of other jobs nothing is said.

    Returns
    -------
    DataFrame
        Columns `before`, `after` (the jobs of the edge), `run` (its label in the index) and
        `seconds`, how much too early it started; beyond what the clock rounds.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.graph import contradictions, job_graph
    >>> runs = pd.DataFrame({"started_at": ["2026-03-01T04:00Z"], "load": [60.0], "report": [9.0],
    ...     "load__started_at": ["2026-03-01T04:00Z"], "report__started_at": ["2026-03-01T04:00Z"]})
    >>> contradictions(job_graph("load>report"), runs)
      before   after run  seconds
    0   load  report   0     60.0
    """
    runs = plain_table(runs)
    jobs = [job for job in graph if job in runs]
    return _found(graph, read_job_times(runs, jobs), runs.index)


def check_graph(graph: nx.DiGraph, runs: pd.DataFrame) -> pd.DataFrame:
    """Warn of the runs that contradict a graph, and give them.

    Parameters
    ----------
    graph, runs
        As for :func:`contradictions`.

    Returns
    -------
    DataFrame
        That of :func:`contradictions`.

    Warns
    -----
    GraphWarning
        One sentence for each edge that some runs contradict; it names runs.
    """
    found = contradictions(graph, runs)
    for (before, after), rows in found.groupby(["before", "after"], sort=False):
        labels = [row_label(pd.Index([label], tupleize_cols=False), 0) for label in rows["run"]]
        more = f" and {len(labels) - SHOWN_RUNS} more" if len(labels) > SHOWN_RUNS else ""
        warnings.warn(
            f"{after!r} waits for {before!r} by the graph, but started up to "
            f"{rows['seconds'].max():.0f} s before it had ended in the runs "
            f"{', '.join(labels[:SHOWN_RUNS])}{more}; correct the graph, or the times.",
            GraphWarning,
            stacklevel=2,
        )
    return found


def _found(graph: nx.DiGraph, times: JobTimes, index: pd.Index) -> pd.DataFrame:
    place = {job: k for k, job in enumerate(times.jobs)}
    parts = []
    for before, after in graph.edges:
        if before not in place or after not in place:
            continue
        early = times.ended[:, place[before]] - times.started[:, place[after]]
        rows = np.flatnonzero(early > times.tolerance)
        parts.append(
            pd.DataFrame(
                {
                    "before": before,
                    "after": after,
                    "run": pd.Series(list(index[rows]), dtype=object),
                    "seconds": early[rows],
                }
            )
        )
    columns = ["before", "after", "run", "seconds"]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
