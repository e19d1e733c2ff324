"""Results of dbt's runs, in the form of its schema of version 5, become one long table."""

import json

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_dbt, read_source
from sklearn_jobtime.runs import observed_durations, pivot_runs

DAY = pd.Timestamp("2026-03-01T04:00:00Z")


def at(seconds):
    return (DAY + pd.Timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def node(name, start=0.0, taken=4.0, status="success", **more):
    steps = [("compile", start, start + 1), ("execute", start + 1, start + taken)]
    timing = [{"name": n, "started_at": at(a), "completed_at": at(b)} for n, a, b in steps]
    return {
        "status": status, "timing": timing, "thread_id": "Thread-1 (worker)",
        "execution_time": taken, "adapter_response": {}, "message": None, "failures": None,
        "unique_id": name, **more,
    }  # fmt: skip


def results(invocation, *nodes, which="build", target="prod", **args):
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v5.json",
            "dbt_version": "1.7.4", "generated_at": at(900), "invocation_id": invocation, "env": {},
        },
        "results": list(nodes), "elapsed_time": 33.0,
        "args": {"which": which, "target": target, **args},
    }  # fmt: skip


def read(folder, *documents, **options):
    for number, document in enumerate(documents):
        (folder / f"run_results_{number}.json").write_text(json.dumps(document))
    return read_dbt(folder, **options)


def test_a_run_is_an_invocation_and_a_job_a_node(tmp_path):
    first = results(
        "aa", node("seed.shop.raw", 0, 2), node("model.shop.orders", 3, 30),
        node("test.dbt_utils.unique", 34, 1.5, "pass"),
    )  # fmt: skip
    second = results("bb", node("seed.shop.raw", 86400, 3), node("model.shop.orders", 86404, 40))
    long = read(tmp_path, first, second)
    assert set(long["series"]) == {"shop/build"}
    runs = pivot_runs(long)
    assert runs.index.get_level_values("run").tolist() == ["aa", "bb"]
    assert runs["model.shop.orders"].tolist() == [30.0, 40.0]
    assert runs["test.dbt_utils.unique"].tolist()[0] == 1.5
    # From the first start to the last end: 0 to 35.5 s, and 0 to 44 s.
    assert observed_durations(runs)["whole_run"].tolist() == [35.5, 44.0]
    assert read_source(f"dbt:{tmp_path}")["model.shop.orders"].tolist() == [30.0, 40.0]


def test_every_status_of_dbt(tmp_path):
    skipped = node("model.shop.late", status="skipped", execution_time=0.0, timing=[])
    states = dict.fromkeys(("success", "pass", "warn"), "success")
    states |= dict.fromkeys(("error", "fail", "runtime error", "partial success"), "failed")
    nodes = [node(f"model.shop.{state}", status=state) for state in states]
    long = read(tmp_path, results("aa", *nodes, skipped)).set_index("job")
    for state, status in states.items():
        assert long.loc[f"model.shop.{state}", "status"] == status
    assert long.loc["model.shop.late", "status"] == "skipped"
    assert np.isnan(long.loc["model.shop.late", "duration"])
    late = node("model.shop.x")
    late["timing"][0]["started_at"] = "today"
    with pytest.raises(SourceError, match=r"results\[0\]\.timing: 'today' is no time"):
        read(tmp_path, results("aa", late))
    with pytest.raises(RunTableError, match="'melted'"):
        read(tmp_path, results("aa", node("model.shop.x", status="melted")))


def test_targets_and_commands_are_series_of_their_own(tmp_path):
    long = read(
        tmp_path,
        results("aa", node("model.shop.orders", taken=5.0), target="dev"),
        results("bb", node("model.shop.orders", taken=500.0)),
        results("cc", node("test.shop.unique", taken=2.0), which="test"),
    )
    assert dict(zip(long["series"], long["duration"], strict=True)) == {
        "shop/build (dev)": 5.0, "shop/build (prod)": 500.0, "shop/test": 2.0
    }  # fmt: skip
    assert any("several targets (dev, prod)" in note for note in long.attrs["notes"])


def test_what_is_worth_a_note(tmp_path):
    document = results("aa", node("model.shop.orders", taken=10.0, execution_time=70.0))
    other = {"metadata": {"dbt_schema_version": ".../sources/v3.json"}, "results": [{}]}
    part = results("bb", node("model.shop.orders"), select=["orders"])
    long = read(tmp_path, document, document, other, part)
    assert long.attrs["dropped"] == {"result that stands twice": 1}
    notes = long.attrs["notes"]
    assert "1 JSON documents are no run results" in notes[0]
    assert "in 1 results execution_time is not the span of the timing, by up to 60.0 s" in notes[1]
    assert notes[2].startswith("1 of 2 runs selected or excluded nodes")


def test_a_folder_of_artifacts_has_other_files(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    assert len(read(tmp_path, results("aa", node("model.shop.orders")))) == 1
    with pytest.raises(SourceError, match="holds no result of a dbt run"):
        read_dbt(tmp_path / "manifest.json")
    (tmp_path / "bad.json").write_text(json.dumps(results("aa", {"status": "success"})))
    with pytest.raises(SourceError, match=r"bad\.json.*results\[0\]: expected a field 'unique_id'"):
        read_dbt(tmp_path / "bad.json")
