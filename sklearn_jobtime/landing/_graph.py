"""The graph of a landing forecaster: given, or learned from the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.graph import check_graph, infer_graph, job_graph
from sklearn_jobtime.runs._schema import start_column

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["graph_of"]


def graph_of(asked: Any, X: Any, jobs: Sequence[Any]) -> nx.DiGraph:
    """Read or learn which of the jobs waits for which.

    Parameters
    ----------
    asked : "infer", or what :func:`~sklearn_jobtime.graph.job_graph` reads
    X : DataFrame or None
        The runs; None where the outputs are no jobs of a table: "infer" is then that they start
        together.
    jobs : sequence

    Raises
    ------
    RunTableError
        When several jobs are to be put in order, and the table does not say when they started.
    """
    import networkx as nx  # noqa: PLC0415 - read where it is needed only

    if not (isinstance(asked, str) and asked == "infer"):
        graph = job_graph(asked, jobs=jobs)
        if isinstance(X, pd.DataFrame):
            check_graph(graph, X)
        return graph
    is_table = isinstance(X, pd.DataFrame)
    if is_table and any(start_column(job) in X for job in jobs):
        return infer_graph(X, jobs)
    if is_table and len(jobs) > 1:
        raise RunTableError(
            f"the table has no column {start_column(jobs[0])!r} or of another job, so nothing says "
            "which job waits for which: read the runs with the starts of their jobs, or pass "
            f"graph, such as graph='{jobs[0]}>{jobs[1]}'."
        )
    graph = nx.DiGraph()
    graph.add_nodes_from(jobs)
    return graph
