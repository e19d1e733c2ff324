"""Damaged sources of every kind: read, or refused in one sentence; never a traceback.

Sources are small and whole, then bytes, lines, cells and nested values are changed at random. A
bounded number here; more by hand: ``FUZZ_INPUTS=1000 pytest tests/loaders/test_fuzz.py``.
"""

import copy
import csv
import gzip
import json
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sklearn_jobtime import exceptions
from sklearn_jobtime.loaders import read_source

INPUTS = int(os.environ.get("FUZZ_INPUTS", "6"))  # of each kind of source
FIXED = "FUZZ_INPUTS" not in os.environ  # the same inputs each time
OURS = tuple(
    error
    for name in exceptions.__all__
    if issubclass(error := getattr(exceptions, name), Exception)
)
DAYS = [f"2026-03-{day:02}" for day in range(1, 7)]
TOOK = [120, 130, 90, 240, 100, 75]


def lines(*rows):
    return ("\n".join(rows) + "\n").encode()


def ends(day, seconds):
    return f"{pd.Timestamp(f'{day}T04:00:00') + pd.Timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"


def nightly(form):
    """One text a night."""
    return [form(k, day, took) for k, (day, took) in enumerate(zip(DAYS, TOOK, strict=True))]


def run_table():
    return lines(
        "run,started_at,ended_at,build,build__status,test,test__status",
        *nightly(lambda k, d, s: f"{k},{d}T04:00:00Z,{ends(d, 2 * s)}Z,{s},success,{s},failed"),
    )


def log():
    return lines(
        "run_id,task,start_time,end_time,state,duration,owner",
        *nightly(lambda k, d, s: f"{k},etl,{d} 04:00:00,{ends(d, s)},SUCCESS,{s},alice"),
    )


def long_table():
    rows = nightly(
        lambda k, d, s: json.dumps(
            {
                "series": "a",
                "run": k,
                "job": "etl",
                "started_at": f"{d}T04:00:00Z",
                "ended_at": f"{ends(d, s)}Z",
                "duration": s,
                "status": "success",
                "rows": 7,
            }
        )
    )
    return lines(*rows)


def as_lines(content):
    rows = csv.DictReader(content.decode().splitlines())
    numbers = {"duration", "build", "test", "run"}
    return lines(*(json.dumps({k: float(v) if k in numbers else v for k, v in row.items()})
                   for row in rows))  # fmt: skip


def slurm():
    head = "JobID|JobName|User|Submit|Start|End|Elapsed|State|Timelimit"
    return lines(
        head,
        *nightly(
            lambda k, d, s: (
                f"{k}|etl|al|{d}T04:00:00|{d}T04:00:00|{ends(d, s)}|00:{s // 60:02}:"
                f"{s % 60:02}|COMPLETED|01:00:00"
            )
        ),
    )


def slurm_json():
    def job(k, day, took):
        start = int(pd.Timestamp(f"{day}T04:00Z").timestamp())
        times = {"submission": start, "start": start, "end": start + took, "elapsed": took}
        return {"job_id": k, "name": "etl", "user": "al", "cluster": "c", "restart_cnt": 0,
                "time": {**times, "limit": {"set": True, "infinite": False, "number": 60}},
                "state": {"current": ["COMPLETED"]}, "steps": []}  # fmt: skip

    return json.dumps({"meta": {"Slurm": {"version": {"major": 23}}}, "jobs": nightly(job)})


def swf():
    rows = nightly(lambda k, d, s: f"{k + 1} {k * 86400} 0 {s} 1 -1 -1 1 -1 -1 1 7 1 3 -1 -1 -1 -1")
    return lines("; UnixStartTime: 1772337600", "; MaxJobs: 6", *rows)


def github():
    def run(k, day, took):
        times = {"created_at": f"{day}T04:00:00Z", "run_started_at": f"{day}T04:00:00Z"}
        return {"id": k, "name": "ci", "path": ".github/workflows/ci.yml", "event": "push",
                "workflow_id": 1, "run_attempt": 1, "status": "completed", "conclusion": "success",
                "url": f"https://api.github.com/repos/o/r/actions/runs/{k}", **times,
                "updated_at": f"{ends(day, took)}Z"}  # fmt: skip

    return json.dumps({"total_count": 6, "workflow_runs": nightly(run)})


def jenkins():
    def build(k, day, took):
        start = int(pd.Timestamp(f"{day}T04:00Z").timestamp() * 1000)
        actions = [{"parameters": [{"name": "X", "value": 1}]}]
        return {"number": k, "timestamp": start, "duration": took * 1000, "result": "SUCCESS",
                "building": False, "actions": actions}  # fmt: skip

    return json.dumps({"fullName": "etl", "name": "etl", "builds": nightly(build)})


def gitlab():
    def pipeline(k, day, took):
        times = {"created_at": f"{day}T03:59:00.000Z", "started_at": f"{day}T04:00:00.000Z"}
        return {"id": 100 + k, "iid": k, "project_id": 7, "sha": "ab", "ref": "main",
                "status": "success", "source": "push", **times, "duration": took,
                "finished_at": f"{ends(day, took)}.000Z", "updated_at": f"{ends(day, took)}.000Z",
                "queued_duration": 60, "web_url": f"https://git/o/r/-/pipelines/{k}"}  # fmt: skip

    return json.dumps(nightly(pipeline))


def gh_run_list():
    def run(k, day, took):
        return {"databaseId": k, "workflowDatabaseId": 70, "workflowName": "Nightly", "attempt": 1,
                "createdAt": f"{day}T03:00:00Z", "startedAt": f"{day}T04:00:00Z",
                "updatedAt": f"{ends(day, took)}Z", "status": "completed",
                "conclusion": "success"}  # fmt: skip

    return json.dumps(nightly(run))


def gitlab_jobs():
    def job(k, day, took):
        return {"id": k, "name": "build", "stage": "test", "status": "success", "ref": "main",
                "created_at": f"{day}T03:00:00.000Z", "started_at": f"{day}T04:00:00.000Z",
                "finished_at": f"{ends(day, took)}.000Z", "duration": took, "queued_duration": 7.5,
                "pipeline": {"id": 100 + k, "project_id": 3, "ref": "main"}, "tag_list": [],
                "web_url": f"https://git/data/etl/-/jobs/{k}"}  # fmt: skip

    return json.dumps(nightly(job))


def buildkite():
    def build(k, day, took):
        times = {"created_at": f"{day}T03:00:00Z", "scheduled_at": f"{day}T03:00:00Z"}
        times |= {"started_at": f"{day}T04:00:00Z", "finished_at": f"{ends(day, took)}Z"}
        job = {"id": f"job-{k}", "type": "script", "name": "load", "state": "passed", **times,
               "runnable_at": f"{day}T03:30:00Z", "retried": False}  # fmt: skip
        return {"id": f"build-{k}", "number": k, "state": "passed", "pipeline": {"slug": "etl"},
                **times, "jobs": [job]}  # fmt: skip

    return json.dumps(nightly(build))


def airflow_rest():
    def task(k, day, took):
        return {"dag_id": "etl", "dag_run_id": f"r{k}", "task_id": "load", "state": "success",
                "start_date": f"{day}T04:00:00Z", "end_date": f"{ends(day, took)}Z",
                "duration": took, "try_number": 1, "max_tries": 0, "map_index": -1,
                "queued_when": f"{day}T03:59:00Z", "operator": "BashOperator"}  # fmt: skip

    return json.dumps({"task_instances": nightly(task), "total_entries": 6})


def dbt():
    def node(k, day, took):
        steps = [{"name": "execute", "started_at": f"{day}T04:00:00Z",
                  "completed_at": f"{ends(day, took)}Z"}]  # fmt: skip
        return {"status": "success", "timing": steps, "thread_id": "t", "execution_time": took,
                "unique_id": f"model.shop.m{k}", "failures": None, "message": None}  # fmt: skip

    schema = "https://schemas.getdbt.com/dbt/run-results/v5.json"
    about = {"dbt_schema_version": schema, "invocation_id": "aa", "env": {},
             "generated_at": "2026-03-07T00:00:00Z", "dbt_version": "1.7.4"}  # fmt: skip
    return json.dumps(
        {"metadata": about, "results": nightly(node), "elapsed_time": 900.0,
         "args": {"which": "build", "target": "prod"}}
    )  # fmt: skip


def nextflow():
    head = "task_id\thash\tnative_id\tname\tstatus\texit\tsubmit\tduration\trealtime"
    return lines(
        head,
        *nightly(
            lambda k, d, s: (
                f"{k}\tab/{k:06}\t{k}\tALIGN (s{k})\tCOMPLETED\t0\t{d} 04:00:00.000\t"
                f"{s // 60}m {s % 60}s\t{s // 60}m {s % 60}s"
            )
        ),
    )


def pbs():
    def record(k, day, took):
        start = int(pd.Timestamp(f"{day}T04:00Z").timestamp())
        return (
            f"03/0{k + 1}/2026 05:00:00;E;{k}.head;user=al group=lab jobname=etl queue=q "
            f"ctime={start} qtime={start} etime={start} start={start} end={start + took} "
            f"Exit_status=0 Resource_List.walltime=01:00:00 resources_used.walltime=00:"
            f"{took // 60:02}:{took % 60:02}"
        )

    return lines(*nightly(record))


def sge():
    def record(k, day, took):
        start = int(pd.Timestamp(f"{day}T04:00Z").timestamp())
        fields = ["all.q", "node1", "lab", "al", "etl", k, "sge", 0, start, start, start + took, 0,
                  0, took, *[0] * 27, "NONE", 0, 0, 0]  # fmt: skip
        return ":".join(map(str, fields))

    return lines(*nightly(record))


def lsf():
    def record(k, day, took):
        start = int(pd.Timestamp(f"{day}T04:00Z").timestamp())
        return (
            f'"JOB_FINISH" "10.1" {start + took} {7000 + k} 500 33554450 1 {start - 40} 0 0 {start}'
            ' "al" "normal" "" "" "" "login1" "/home/al" "" "out" "" "177.7" 0 1 "node1" 64 60.0 '
            f'"etl" "./etl.sh" 0.5 0.25 {"-1 " * 17}"al" "default" 0 1 "" "" 0 1024 2048 "" "" "" '
            '"" 0 "" 0 "" -1 ""'
        )

    return lines(*nightly(record))


SOURCES = {
    "runs.csv": run_table,
    "log.csv": log,
    "runs.jsonl": lambda: as_lines(run_table()),
    "log.jsonl": lambda: as_lines(log()),
    "log.tsv": lambda: log().replace(b",", b"\t"),
    "long.jsonl": long_table,
    "slurm:sacct.txt": slurm,
    "slurm:sacct.json": slurm_json,
    "swf:log.swf": swf,
    "github:runs.json": github,
    "jenkins:builds.json": jenkins,
    "gitlab.json": gitlab,
    "gh_run_list.json": gh_run_list,
    "gitlab_jobs.json": gitlab_jobs,
    "buildkite.json": buildkite,
    "airflow_rest.json": airflow_rest,
    "dbt:run_results.json": dbt,
    "nextflow:trace.txt": nextflow,
    "pbs:20260301": pbs,
    "sge:accounting": sge,
    "lsf:lsb.acct": lsf,
}

TEXTS = ["", "NaN", "inf", "-inf", "-1", "0", "1e23", "1.5", "9" * 30, "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59Z", "2026-02-30", "1677-09-21", "2262-04-12T00:00:00+14:00", "null",
         "true", "[1]", '{"a": 1}', "\\ud800", "\x00", "\x1b[31m", "ünïcode", "\ufeff", '"',
         "1-02:03:04", "2026-03-01 04:00:00", "2026-03-01T04:00:00+05:00", "\r",
         "\u2028"]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            -1,
            0,
            1.5,
            10**23,
            -(10**18),
            1e308,
            float("nan"),
            float("inf"),
            [],
            {},
            [1, {"a": None}],
            {"a": [1]},
            "\ud800",
        ]
    ),
    st.sampled_from(TEXTS),
    st.integers(-(2**70), 2**70),
)
PLACES = st.floats(0, 1, exclude_max=True)


@st.composite
def changes_of_bytes(draw):
    return draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("put"), PLACES, st.binary(min_size=1, max_size=4)),
                st.tuples(st.just("put"), PLACES, st.sampled_from(TEXTS).map(_encoded)),
                st.tuples(st.just("cell"), PLACES, st.sampled_from(TEXTS).map(_encoded)),
                st.tuples(st.just("line"), PLACES, st.sampled_from(["twice", "gone", "swap"])),
                st.tuples(st.just("cut"), PLACES, st.none()),
            ),
            min_size=1,
            max_size=3,
        )
    )


def _encoded(text):
    return text.encode("utf-8", "surrogatepass")


def changed_bytes(content, changes):
    for kind, place, what in changes:
        at = int(place * len(content))
        if kind == "put":
            content = content[:at] + what + content[at + len(what) :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "cell":  # from one separator to the next
            separators = b',|\t; "\n'
            start = max((content.rfind(bytes([s]), 0, at) for s in separators), default=-1) + 1
            stops = [p for s in separators if (p := content.find(bytes([s]), at)) >= 0]
            content = content[:start] + what + content[min(stops, default=len(content)) :]
        else:
            parts = content.splitlines(keepends=True)
            k = int(place * len(parts))
            again = (
                {"twice": [parts[k]] * 2, "gone": [], "swap": parts[k : k + 2][::-1]}[what]
                if (parts)
                else []
            )
            content = b"".join(parts[:k] + again + parts[k + 1 + (what == "swap") :])
    return content


def places_in(document, path=()):
    """Paths to everything inside a nested document."""
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from places_in(value, (*path, key))


def changed_document(content, changes):
    """Change a document, or JSON lines."""
    is_lines = isinstance(content, bytes)
    document = list(map(json.loads, content.splitlines())) if is_lines else json.loads(content)
    for place, value, drop in changes:
        paths = list(places_in(document))
        if not paths:
            break
        *path, key = paths[int(place * len(paths))]
        holder = document
        for step in path:
            holder = holder[step]
        if drop:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(value)  # or a second change would damage the strategy
    if is_lines:
        return "\n".join(map(json.dumps, document)).encode()
    return json.dumps(document).encode()


def check(source, folder):
    """Read it; any error is one of ours, in words that can be printed."""
    scheme, colon, name = source.rpartition(":")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            runs = read_source(f"{scheme}{colon}{folder / name}" if "//" not in source else source)
    except (*OURS, OSError) as error:
        said = str(error)
    else:
        check_report(runs)
        return
    said.encode()  # no lone surrogate, which no terminal takes
    assert "SELECT task_instance" not in said


def check_report(runs):
    report = runs.attrs["report"]
    assert report["runs"] == len(runs) > 0
    assert not np.isinf(report["total_seconds"])
    json.dumps(report).encode()


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=INPUTS, derandomize=FIXED)
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(source, tmp_path_factory, data):
    content = SOURCES[source]()
    content = content.encode() if isinstance(content, str) else content
    folder = tmp_path_factory.mktemp("fuzz")
    changed = changed_bytes(content, data.draw(changes_of_bytes()))
    (folder / source.rpartition(":")[2]).write_bytes(changed)
    check(source, folder)


@pytest.mark.parametrize("source", [s for s in SOURCES if ".json" in s])
@settings(max_examples=INPUTS, derandomize=FIXED)
@given(changes=st.lists(st.tuples(PLACES, VALUES, st.booleans()), min_size=1, max_size=3))
def test_changed_documents_are_read_or_refused(source, tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("fuzz")
    changed = changed_document(SOURCES[source](), changes)
    (folder / source.rpartition(":")[2]).write_bytes(changed)
    check(source, folder)


CELLS = st.one_of(
    VALUES.filter(lambda v: not isinstance(v, list | dict | bool)),
    st.binary(max_size=3),
).map(lambda v: float(v) if isinstance(v, int) and abs(v) >= 2**63 else v)


@pytest.mark.parametrize("table", ["log", "runs"])
@settings(max_examples=INPUTS, derandomize=FIXED)
@given(
    cells=st.lists(st.tuples(st.integers(0, 5), PLACES, CELLS), min_size=1, max_size=4),
    as_text=st.booleans(),
)
def test_changed_cells_of_a_database_are_read_or_refused(table, tmp_path_factory, cells, as_text):
    pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    folder = tmp_path_factory.mktemp("fuzz")
    frame = pd.read_csv(folder_file(folder, SOURCES["log.csv"]()))
    with closing(sqlite3.connect(folder / "ops.db")) as database, database:
        frame.to_sql("log", database, index=False)
        for row, column, value in cells:
            name = frame.columns[int(column * frame.shape[1])]
            put_cell(database, "log", name, row, value, as_text)
    check(f"sqlite:///{folder}/ops.db#{'log' if table == 'log' else 'SELECT * FROM log'}", folder)


AIRFLOW = gzip.decompress(
    Path(__file__).parents[1].joinpath("airflow/airflow_3.db.gz").read_bytes()
)
USED = {
    "dag_run": ["dag_id", "run_id", "run_type", "state", "start_date"],
    "task_instance": ["dag_id", "run_id", "task_id", "map_index", "try_number", "state",
                      "start_date", "end_date", "queued_dttm"],
}  # fmt: skip


@settings(max_examples=INPUTS, derandomize=FIXED)
@given(
    cells=st.lists(
        st.tuples(
            st.sampled_from([(t, c) for t, columns in USED.items() for c in columns]),
            PLACES,
            CELLS,
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
    damage=st.none() | st.tuples(PLACES, st.binary(min_size=1, max_size=3)),
)
def test_changed_cells_of_an_airflow_database_are_read_or_refused(tmp_path_factory, cells, damage):
    pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    path = tmp_path_factory.mktemp("fuzz") / "airflow.db"
    path.write_bytes(AIRFLOW)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        for (table, column), place, value, as_text in cells:
            count = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            put_cell(database, table, column, int(place * count), value, as_text)
    if damage is not None:
        path.write_bytes(changed_bytes(path.read_bytes(), [("put", *damage)]))
    check(f"airflow+sqlite:///{path}", path.parent)


def put_cell(database, table, column, row, value, as_text):
    value = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    cast = "CAST(? AS TEXT)" if isinstance(value, bytes) and as_text else "?"
    which = f"(SELECT rowid FROM {table} LIMIT 1 OFFSET ?)"
    database.execute(
        f"UPDATE OR IGNORE {table} SET {column} = {cast} WHERE rowid = {which}",
        (value, row),
    )


def folder_file(folder, content):
    (folder / "base.csv").write_bytes(content)
    return folder / "base.csv"


ARROW = st.sampled_from(
    [pa.binary(), pa.string(), pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.int64(),
     pa.float64(), pa.bool_(), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.date32(),
     pa.duration("ms"), pa.decimal128(20, 3), pa.null(), pa.time32("s")]
)  # fmt: skip


@pytest.mark.parametrize("source", ["log.csv", "runs.csv"])
@settings(max_examples=INPUTS, derandomize=FIXED)
@given(
    columns=st.lists(st.tuples(PLACES, ARROW, st.data()), min_size=1, max_size=2),
    damage=st.one_of(st.none(), st.tuples(PLACES, st.binary(min_size=1, max_size=3))),
)
def test_columns_of_other_types_in_parquet_are_read_or_refused(
    source, tmp_path_factory, columns, damage
):
    folder = tmp_path_factory.mktemp("fuzz")
    table = pa.Table.from_pandas(pd.read_csv(folder_file(folder, SOURCES[source]())))
    for place, kind, data in columns:
        at = int(place * table.num_columns)
        values = [data.draw(_values_of(kind)) for _ in range(table.num_rows)]
        table = table.set_column(at, table.column_names[at], pa.array(values, kind))
    path = folder / "log.parquet"
    parquet.write_table(table, path)
    if damage is not None:
        path.write_bytes(changed_bytes(path.read_bytes(), [("put", *damage)]))
    check("log.parquet", folder)


def _values_of(kind):
    some = {
        pa.binary(): st.binary(max_size=3),
        pa.string(): st.sampled_from(TEXTS),
        pa.list_(pa.int64()): st.lists(st.integers(0, 3), max_size=2),
        pa.struct([("a", pa.int64())]): st.fixed_dictionaries({"a": st.integers(0, 3)}),
        pa.float64(): st.sampled_from([0.0, 1.5, -1.0, 1e300, float("nan"), float("inf")]),
        pa.bool_(): st.booleans(),
        pa.null(): st.none(),
        pa.decimal128(20, 3): st.decimals(-10, 10**9, places=3, allow_nan=False),
    }
    integers = st.integers(-(2**31), 2**31 - 1)
    return st.none() | some.get(kind, integers if kind != pa.time32("s") else st.integers(0, 86399))
