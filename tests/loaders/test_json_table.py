"""JSON of any form: where the records are, paths into them, and what is no value."""

import ast
import gzip
import json
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import read_log, read_source


def written(tmp_path, content, name="runs.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def row(run, job="load", seconds=60, **more):
    return {
        "run": run,
        "job": job,
        "started_at": f"2026-03-0{run}T04:00:00Z",
        "duration": seconds,
        "status": "success",
        **more,
    }


ROWS = [row(1), row(2, seconds=90)]
FORMS = {
    "an array": json.dumps(ROWS),
    "an indented array": json.dumps(ROWS, indent=2),
    "a list in an object": json.dumps({"total": 2, "data": ROWS, "links": {"next": None}}),
    "a list an object deeper": json.dumps({"ok": True, "result": {"rows": ROWS}}),
    "a list beside another": json.dumps({"users": [{"name": "ann"}], "rows": ROWS, "errors": []}),
    "one a line": "\n".join(map(json.dumps, ROWS)) + "\n\n",
    "pages": "".join(json.dumps({"rows": [one], "start": 0, "limit": 1}) for one in ROWS),
    "pages with an empty one": json.dumps({"rows": ROWS}) + json.dumps({"rows": []}),
    "arrays one after another": "\n".join(json.dumps([one]) for one in ROWS),
    "a list of pages": json.dumps([{"rows": [one]} for one in ROWS]),
    "a list of lists": json.dumps([ROWS[:1], ROWS[1:]]),
}


@pytest.mark.parametrize("name", ["runs.json", "runs.jsonl", "runs", "runs.txt"])
@pytest.mark.parametrize("form", FORMS)
def test_records_are_found_in_every_form(tmp_path, form, name):
    runs = read_source(written(tmp_path, FORMS[form], name))
    assert runs["load"].to_dict() == {"1": 60.0, "2": 90.0}


def test_a_packed_file_and_a_folder(tmp_path):
    (tmp_path / "runs.json.gz").write_bytes(gzip.compress(json.dumps({"rows": ROWS}).encode()))
    assert read_source(str(tmp_path / "runs.json.gz"))["load"].tolist() == [60.0, 90.0]
    assert read_source(str(tmp_path))["load"].tolist() == [60.0, 90.0]


NESTED = [
    {
        "pipeline": {"id": 7, "name": "etl"},
        "name": "load",
        "timing": {"start": "2026-03-01T04:00:00Z", "seconds": 30.0},
        "steps": [{"name": "pull"}, {"name": "push"}],
        "outcome": {"code": "ok"},
    },
    {
        "pipeline": {"id": 8, "name": "etl"},
        "name": "load",
        "timing": {"start": "2026-03-02T04:00:00Z", "seconds": None},
        "steps": [],
        "outcome": None,
    },
]
PATHS = {
    "run": "pipeline.id",
    "job": "name",
    "started_at": "timing.start",
    "duration": "timing.seconds",
    "status": "outcome.code",
}


def test_paths_lead_into_objects(tmp_path):
    path = written(tmp_path, NESTED)
    runs = read_source(path, columns=PATHS)
    assert runs["load"].iloc[0] == 30.0
    assert runs["load__status"].tolist() == ["success", None]
    assert list(runs.index) == ["7", "8"]
    assert runs.attrs["report"]["columns"]["run"] == {"column": "pipeline.id", "why": "named"}
    assert read_log(path, columns=PATHS)["run"].tolist() == ["7", "8"]


@pytest.mark.parametrize("path", ["steps.0.name", "steps[0].name", "steps.-2.name"])
def test_a_path_may_have_a_place_in_a_list(tmp_path, path):
    source = written(tmp_path, NESTED[:1])
    assert "pull" in read_source(source, columns={**PATHS, "job": path})


def test_each_object_of_a_list_may_be_a_job(tmp_path):
    def build(number, seconds):
        steps = [{"name": n, "took": s} for n, s in zip("ab", seconds, strict=True)]
        return {"no": number, "begin": f"2026-03-0{number}T04:00:00Z", "steps": steps}

    columns = {"run": "no", "job": "steps[].name", "duration": "steps[].took"}
    columns["started_at"] = "begin"
    builds = [build(1, [5.0, 6.0]), build(2, [7.0, 8.0])]
    for content in (builds, {"builds": builds}):
        runs = read_source(written(tmp_path, content), columns=columns)
        assert runs[["a", "b"]].to_numpy().tolist() == [[5.0, 6.0], [7.0, 8.0]]
    with pytest.raises(SourceError, match="several lists, parts, steps"):
        read_source(written(tmp_path, builds), columns={**columns, "run": "parts[].no"})
    with pytest.raises(SourceError, match="no record has a list of objects 'parts'"):
        read_source(written(tmp_path, builds), columns={"job": "parts[].no"})


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("pipeline", "leads to an object, not to a value; below it: pipeline.id, pipeline.name"),
        ("steps", r"leads to a list, not to a value; below it: steps\[\].name"),
        ("pipeline.key", "no record has a value at 'pipeline.key'; there are pipeline.id,"),
    ],
)
def test_a_path_that_leads_to_no_value_lists_those_that_do(tmp_path, column, said):
    with pytest.raises(SourceError, match=said):
        read_source(written(tmp_path, NESTED), columns={**PATHS, "run": column})


def test_an_object_is_never_a_name(tmp_path):
    rows = [{**one, "job": {"name": "load", "tags": ["x"]}} for one in ROWS]
    with pytest.raises(
        SourceError, match=r"'job' seems to be the job, but holds objects.*job.name"
    ):
        read_source(written(tmp_path, rows))
    runs = read_source(written(tmp_path, rows), columns={"job": "job.name"})
    assert runs["load"].tolist() == [60.0, 90.0]


def test_objects_that_nothing_needs_stop_no_load(tmp_path):
    rows = [{**one, "meta": {"a": [1, {"b": None}]}, "tags": []} for one in ROWS]
    assert read_source(written(tmp_path, rows))["load"].tolist() == [60.0, 90.0]
    rows = [{**one, "workflow": {"id": 3}} for one in ROWS]
    runs = read_source(written(tmp_path, rows))
    assert "'workflow' holds objects, so it was not taken for the series" in runs.attrs["notes"][0]


def test_several_lists_that_look_alike_ask(tmp_path):
    both = {"old": [row(1)], "new": [row(2)]}
    with pytest.raises(SourceError, match="several lists that may hold the records: old, new"):
        read_source(written(tmp_path, both))
    runs = read_source(
        written(tmp_path, both),
        columns={r: f"new[].{r}" for r in ("run", "job", "started_at", "duration", "status")},
    )
    assert list(runs.index) == ["2"]


def test_an_object_that_says_what_its_list_lacks_asks(tmp_path):
    def build(number):
        jobs = [{"name": "a", "start": "2026-03-01T04:00:00Z", "took": 5.0}]
        return {"build": number, "result": "failure", "jobs": jobs}

    builds = [build(1), build(2)]
    with pytest.raises(SourceError, match="have no run and no status, but the object") as caught:
        read_source(written(tmp_path, builds))
    named = re.search(r"columns=(\{.*?\})", str(caught.value))
    runs = read_source(written(tmp_path, builds), columns=ast.literal_eval(named[1]))
    assert runs["a__status"].to_dict() == {"1": "failed", "2": "failed"}


def test_lists_are_found_deep_in_an_answer(tmp_path):
    answer = {"data": {"project": {"runs": {"nodes": ROWS, "count": 2}}}}
    assert read_source(written(tmp_path, answer))["load"].tolist() == [60.0, 90.0]


def test_a_time_that_is_an_object_asks_for_its_value(tmp_path):
    rows = [{**one, "started_at": {"$date": one["started_at"]}} for one in ROWS]
    with pytest.raises(SourceError, match=r"holds objects or lists.*started_at\.\$date"):
        read_source(written(tmp_path, rows))
    runs = read_source(written(tmp_path, rows), columns={"started_at": "started_at.$date"})
    assert runs["load"].tolist() == [60.0, 90.0]
    table = [{"started_at": {"$date": 1}, "a": 5.5, "a__status": "success"}]
    with pytest.raises(RunTableError, match="'started_at' holds objects"):
        read_source(written(tmp_path, table))


def test_missing_values_and_long_numbers(tmp_path):
    long_id = 9_007_199_254_740_993  # the first that a float does not hold
    rows = [row(1, run_id=long_id), row(2, seconds=float("nan"), run_id=None), row(3)]
    del rows[2]["status"]
    runs = read_source(written(tmp_path, rows), columns={"run": "run_id"})
    assert list(runs.index) == [str(long_id)]
    assert runs.attrs["dropped"] == {"row without a run": 2}
    runs = read_source(written(tmp_path, rows))
    assert runs["load__status"].tolist() == ["success", "success", None]
    assert runs["load"].isna().tolist() == [False, True, True]


def test_a_missing_duration_is_taken_from_the_clock(tmp_path):
    rows = [row(1, ended_at="2026-03-01T04:01:00Z"), row(2, None, ended_at="2026-03-02T04:02:00Z")]
    rows[1] |= {"job": "load", "duration": None}
    runs = read_source(written(tmp_path, rows))
    assert runs["load"].tolist() == [60.0, 120.0]
    assert "1 rows have no duration" in " ".join(runs.attrs["notes"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "holds no record"),
        ("[1, 2]", "is no object"),
        ('[{"run": 1', "is no JSON"),
        ('[{"a": {"b": 1}, "c": 2}]', "cannot tell what a row is.*'a.b'"),
    ],
)
def test_what_holds_no_records_is_named(tmp_path, content, said):
    with pytest.raises(SourceError, match=said):
        read_source(written(tmp_path, content))


def test_a_run_table_may_be_an_array(tmp_path):
    rows = [{"run": k, "started_at": f"2026-03-0{k}T04:00:00Z", "a": k + 0.5} for k in (1, 2)]
    rows = [{**one, "a__status": "success", "host": {"name": "x"}} for one in rows]
    assert read_source(written(tmp_path, rows))["a"].tolist() == [1.5, 2.5]


KEYS = st.text("abcxyz._ 0", min_size=1, max_size=4)


@given(
    under=st.lists(st.lists(KEYS, max_size=3), min_size=5, max_size=5),
    seconds=st.lists(st.integers(1, 10_000), min_size=1, max_size=4),
    is_page=st.booleans(),
)
def test_nested_and_flat_tables_are_read_the_same(tmp_path_factory, under, seconds, is_page):
    folder = tmp_path_factory.mktemp("nested")
    flat = [row(k, seconds=taken) for k, taken in enumerate(seconds, start=1)]
    names = list(flat[0])
    keys = {
        n: [f"{n}#", *inner, f"v{k}"] for k, (n, inner) in enumerate(zip(names, under, strict=True))
    }

    def nested(record):
        made: dict = {}
        for name, value in record.items():
            place = made
            for key in keys[name][:-1]:
                place = place.setdefault(key, {})
            place[keys[name][-1]] = value
        return made

    rows = [nested(record) for record in flat]
    content = {"page": 1, "rows": rows} if is_page else rows
    read = read_source(
        written(folder, content), columns={name: ".".join(keys[name]) for name in names}
    )
    expected = read_source(written(folder, flat, "flat.json"))
    pd.testing.assert_frame_equal(read, expected)
