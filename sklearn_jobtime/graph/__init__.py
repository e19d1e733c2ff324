"""Which job of a run waits for which: as it is written somewhere, or learned from the times."""

from sklearn_jobtime.graph._check import check_graph, contradictions
from sklearn_jobtime.graph._infer import infer_graph
from sklearn_jobtime.graph._reading import job_graph

__all__ = ["check_graph", "contradictions", "infer_graph", "job_graph"]
