"""Which job waits for which, as arrays in topological order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklearn_jobtime._typing import Floats

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Precedence"]


@dataclass(frozen=True)
class Precedence:
    """The jobs of a run and those that each waits for.

    Parameters
    ----------
    jobs : tuple
        Names, in the order of all arrays.
    parents : tuple of tuple of int
        For each job the places of those that it waits for.
    order : tuple of int
        Places of all jobs, each behind its parents.

    Examples
    --------
    >>> import networkx as nx
    >>> two = Precedence.of(nx.DiGraph([("load", "test")]), ["test", "load"])
    >>> two.parents, two.order
    (((1,), ()), (1, 0))
    """

    jobs: tuple[Any, ...]
    parents: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, graph: nx.DiGraph, jobs: Sequence[Any]) -> Self:
        """Take the edges among `jobs`; where a job between two is not among them, they are joined.

        Raises
        ------
        ValueError
            When the graph has a cycle.
        """
        import networkx as nx  # noqa: PLC0415 - read where it is needed only

        if not nx.is_directed_acyclic_graph(graph):
            cycle = [a for a, _ in nx.find_cycle(graph)]
            raise ValueError(
                f"the graph has a cycle, {' > '.join(map(str, [*cycle, cycle[0]]))}; remove one of "
                "its edges."
            )
        known = graph.copy()
        known.add_nodes_from(jobs)
        for other in set(known) - set(jobs):
            known.add_edges_from((a, b) for a in known.pred[other] for b in known.succ[other])
            known.remove_node(other)
        place = {job: k for k, job in enumerate(jobs)}
        parents = tuple(tuple(sorted(place[p] for p in known.pred[job])) for job in jobs)
        order = nx.lexicographical_topological_sort(known, key=place.__getitem__)
        return cls(tuple(jobs), parents, tuple(place[job] for job in order))

    @property
    def children(self) -> list[list[int]]:
        """For each job the places of those that wait for it."""
        found: list[list[int]] = [[] for _ in self.jobs]
        for job, parents in enumerate(self.parents):
            for parent in parents:
                found[parent].append(job)
        return found

    def ready(self, ends: Floats) -> Floats:
        """When the parents of each job have ended: 0, the start of the run, where it has none.

        Parameters
        ----------
        ends : ndarray of shape (..., n_jobs)
            NaN where not known; then it is not known when a child was ready either.
        """
        found = np.zeros_like(ends)
        for job, parents in enumerate(self.parents):
            if parents:
                found[..., job] = ends[..., list(parents)].max(axis=-1)
        return found

    def behind(self, jobs: Sequence[int]) -> set[int]:
        """Places of all jobs that wait for one of these, directly or through others."""
        found: set[int] = set()
        for job in self.order:
            if any(parent in found or parent in jobs for parent in self.parents[job]):
                found.add(job)
        return found
