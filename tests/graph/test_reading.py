import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_jobtime.exceptions import GraphError
from sklearn_jobtime.graph import job_graph

EDGES = {("extract", "load"), ("extract", "check"), ("load", "report")}
NEEDS = {"extract": [], "load": ["extract"], "check": "extract", "report": ["load"]}
TABLE = {"job": list(NEEDS), "needs": [None, "extract", ["extract"], np.array(["load"])]}


@pytest.mark.parametrize(
    "source",
    [
        nx.DiGraph(EDGES),
        sorted(EDGES),
        "extract>load>report, extract>check",
        " extract > load\nload>report;extract>check,",
        NEEDS,
        pd.DataFrame(TABLE),
        pl.DataFrame({"job": list(NEEDS), "needs": ["", "extract", "extract", "load"]}),
    ],
)
def test_every_form_is_the_same_graph(source):
    graph = job_graph(source)
    assert set(graph.edges) == EDGES
    assert set(graph) == set(NEEDS)
    assert isinstance(graph, nx.DiGraph)


def test_attributes_of_edges_stay_and_the_given_graph_does_not_change():
    given = nx.DiGraph()
    given.add_edge(1, 2, share=0.9)
    graph = job_graph(given)
    assert graph.edges["1", "2"] == {"share": 0.9}
    graph.add_edge("2", "3")
    assert set(given.edges) == {(1, 2)}


def test_parents_of_a_trace_are_numbers_with_blanks_between():
    tasks = pd.DataFrame({"job": [0, 1, 2, 3], "needs": [np.nan, 0.0, 0.0, "1 2"]})
    assert set(job_graph(tasks).edges) == {("0", "1"), ("0", "2"), ("1", "3"), ("2", "3")}


def test_jobs_of_a_table_are_nodes_and_no_others():
    graph = job_graph("a>b", jobs=["c", "b", "a"])
    assert list(graph) == ["c", "b", "a"]
    with pytest.raises(GraphError, match=r"has the job 'x', which is none of 'a', 'b'"):
        job_graph("a>x", jobs=["a", "b"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a>b>c>a", r"in a circle: (a > b > c > a|b > c > a > b|c > a > b > c); take one"),
        ("a>a", "in a circle: a > a"),
        ({"a": ["a"]}, "in a circle: a > a"),
        ("a>>b", "'a>>b' came as a part of a graph, with a job that has no name"),
        ("", "names no job"),
        (["a>b"], "'a>b' came as an edge of the graph"),
        ([("a", "b", "c")], "came as an edge"),
        ([(None, "b")], "None came as the name of a job"),
        (3, "int came as a graph of jobs"),
        (nx.Graph([("a", "b")]), "has no directions"),
        (pd.DataFrame({"job": ["a"]}), "has no column 'needs'"),
    ],
)
def test_what_is_no_graph_says_what_to_do(source, message):
    with pytest.raises(GraphError, match=message):
        job_graph(source)
