"""Graphs of jobs as people and systems write them, as one networkx DiGraph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime.exceptions import GraphError

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["job_graph"]


FORMS = (
    "expected a networkx DiGraph, pairs such as [('load', 'report')], text such as 'load>report', "
    "a dict of job -> jobs that it waits for, or a table with the columns 'job' and 'needs'"
)


def job_graph(source: Any, *, jobs: Sequence[str] | None = None) -> nx.DiGraph:
    """Read which job waits for which.

    An edge ``a -> b`` says that `b` does not start before `a` has ended.

    Parameters
    ----------
    source : networkx.DiGraph, str, mapping, DataFrame or iterable of pairs
        - a networkx DiGraph; attributes of its edges are kept;
        - text, as on the command line: ``"extract>load>report, extract>check"``, edges and chains
          divided by commas, semicolons or lines; a name alone is a job that waits for none;
        - a mapping of job -> the jobs that it needs (or one of them);
        - a table of pandas, polars or pyarrow with the columns `job` and `needs`, where a cell is
          a list of jobs, or text with blanks or commas between them, as the parents in traces of
          WfCommons are. Rows of several runs are put together;
        - pairs ``(before, after)``.

        Of Airflow's database :func:`~sklearn_jobtime.loaders.read_airflow_graph` reads it.
    jobs : sequence of str, default=None
        The jobs that there are, such as those of a run table: each becomes a node, and any other
        is an error. None: what the source names.

    Returns
    -------
    networkx.DiGraph
        Names as text, without a cycle; edges as they were written, also those that follow from
        others.

    Raises
    ------
    GraphError
        When the source cannot be read, has a cycle, or names a job that is not in `jobs`.

    Examples
    --------
    >>> from sklearn_jobtime.graph import job_graph
    >>> list(job_graph("extract>load>report, extract>check").edges)
    [('extract', 'load'), ('extract', 'check'), ('load', 'report')]
    >>> list(job_graph({"load": ["extract"], "extract": []}).edges)
    [('extract', 'load')]
    >>> job_graph("load>check>load")
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.GraphError: the jobs wait for each other in a circle: ...
    """
    import networkx as nx  # noqa: PLC0415 - read where it is needed only

    graph = nx.DiGraph()
    if isinstance(source, nx.Graph):
        if not source.is_directed():
            raise GraphError(
                "the graph has no directions, so nothing says which job waits for which; give a "
                "networkx.DiGraph with edges from a job to those that wait for it."
            )
        graph.add_nodes_from((_name(job), data) for job, data in source.nodes(data=True))
        edges = source.edges(data=True)
        graph.add_edges_from((_name(a), _name(b), data) for a, b, data in edges)
    else:
        nodes, pairs = _nodes_and_pairs(source)
        graph.add_nodes_from(nodes)
        graph.add_edges_from(pairs)
    check_acyclic(graph)
    if jobs is not None:
        known = [str(job) for job in jobs]
        if unknown := [job for job in graph if job not in set(known)]:
            raise GraphError(
                f"the graph has the job {unknown[0]!r}, which is none of "
                f"{', '.join(map(repr, known))}; correct its name, or leave it out."
            )
        whole = nx.DiGraph()
        whole.add_nodes_from(known)
        whole.update(graph)
        return whole
    return graph


def check_acyclic(graph: nx.DiGraph) -> None:
    """Raise a GraphError that names a cycle, if there is one."""
    import networkx as nx  # noqa: PLC0415

    try:
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        return
    raise GraphError(
        f"the jobs wait for each other in a circle: {' > '.join([*cycle, cycle[0]])}; take one of "
        "these edges out."
    )


def _nodes_and_pairs(source: Any) -> tuple[list[str], list[tuple[str, str]]]:
    table = plain_table(source)
    if isinstance(source, str):
        return _of_text(source)
    if isinstance(table, pd.DataFrame):
        return _of_table(table)
    if isinstance(source, Mapping):
        return _of_needs(source.items())
    if not isinstance(source, Iterable):
        raise GraphError(f"{type(source).__name__} came as a graph of jobs; {FORMS}.")
    pairs = []
    for edge in source:
        if isinstance(edge, str) or not isinstance(edge, Sequence) or len(edge) != 2:
            raise GraphError(f"{edge!r} came as an edge of the graph of jobs; {FORMS}.")
        pairs.append((_name(edge[0]), _name(edge[1])))
    return [], pairs


def _of_text(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    nodes: list[str] = []
    pairs: list[tuple[str, str]] = []
    for part in re.split(r"[,;\n]", text):
        if not part.strip():
            continue
        chain = [name.strip() for name in part.split(">")]
        if "" in chain:
            raise GraphError(
                f"{part.strip()!r} came as a part of a graph, with a job that has no name; "
                "expected chains such as 'extract>load>report', divided by commas."
            )
        nodes += chain
        pairs += pairwise(chain)
    if not nodes:
        raise GraphError(f"{text!r} names no job; {FORMS}.")
    return nodes, pairs


def _of_table(table: pd.DataFrame) -> tuple[list[str], list[tuple[str, str]]]:
    if missing := [name for name in ("job", "needs") if name not in table]:
        raise GraphError(
            f"the table has no column {missing[0]!r}, but {list(table.columns)}; expected 'job' "
            "and 'needs' (the jobs that it waits for); rename yours."
        )
    return _of_needs(zip(table["job"], table["needs"], strict=True))


def _of_needs(items: Iterable[tuple[Any, Any]]) -> tuple[list[str], list[tuple[str, str]]]:
    nodes: list[str] = []
    pairs: list[tuple[str, str]] = []
    for job, needs in items:
        nodes.append(_name(job))
        pairs += [(_name(parent), nodes[-1]) for parent in _listed(needs)]
    return nodes, list(dict.fromkeys(pairs))


def _listed(needs: Any) -> list[Any]:
    """Jobs of a cell: a list, or text with blanks or commas between them; none where missing."""
    if isinstance(needs, str):
        return [name for name in re.split(r"[,\s]+", needs) if name]
    if needs is None or (not isinstance(needs, Iterable) and needs != needs):  # noqa: PLR0124 - NaN
        return []
    return list(needs) if isinstance(needs, Iterable) else [needs]


def _name(job: Any) -> str:
    """Text of a name; whole numbers that a file gave back as floats are whole again."""
    if isinstance(job, float) and job.is_integer():
        job = int(job)
    name = str(job).strip()
    if not name or job is None or name == "nan":
        raise GraphError(f"{job!r} came as the name of a job; {FORMS}.")
    return name
