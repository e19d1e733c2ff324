import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import GraphWarning
from sklearn_jobtime.graph import check_graph, contradictions, job_graph
from sklearn_jobtime.runs import job_ends


@pytest.mark.parametrize("n_series", [1, 2])
def test_runs_that_contradict_are_named(n_series):
    runs = make_job_runs(30, n_jobs=3, n_series=n_series, starts=True, random_state=0)
    graph = job_graph("job_0>job_1>job_2, unknown>job_0")
    assert contradictions(graph, runs).empty
    early = [runs.index[k] for k in (3, 4, 7, 8, 9)]
    runs.loc[early, "job_1__started_at"] = runs.loc[early, "started_at"]
    with pytest.warns(GraphWarning, match=r"'job_1' waits for 'job_0' by .* and 2 more; correct"):
        found = check_graph(graph, runs)
    assert found["run"].tolist() == early
    by_hand = job_ends(runs, "job_0") - runs["job_1__started_at"]
    seconds = by_hand.dt.total_seconds().loc[early]
    assert found["seconds"].tolist() == pytest.approx(seconds.tolist(), abs=1e-3)
    assert set(zip(found["before"], found["after"], strict=True)) == {("job_0", "job_1")}


def test_what_a_clock_of_whole_seconds_rounds_contradicts_nothing():
    runs = pd.DataFrame(
        {
            "a": [10.0],
            "b": [5.0],
            "a__started_at": ["2026-03-01T04:00:00Z"],
            "b__started_at": ["2026-03-01T04:00:09Z"],
        }
    )
    assert contradictions(job_graph("a>b"), runs).empty
    runs["b__started_at"] = "2026-03-01T04:00:07Z"
    assert contradictions(job_graph("a>b"), runs)["seconds"].tolist() == [3.0]
