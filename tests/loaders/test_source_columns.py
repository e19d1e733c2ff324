"""Every source says which fields became which column, which states it did not know, and why."""

import json
import sqlite3
from contextlib import closing

import pytest

from sklearn_jobtime.loaders import read_source

BEGIN = 1_772_337_600  # 2026-03-01 04:00:00 UTC


def slurm(folder, state):
    path = folder / "sacct.txt"
    path.write_text(
        "JobID|JobName|User|Start|End|State\n"
        f"1|etl|ann|2026-03-01T04:00:00|2026-03-01T04:02:00|{state}\n"
        "2|etl|ann|2026-03-02T04:00:00|2026-03-02T04:01:00|COMPLETED\n"
    )
    return f"slurm:{path}"


def slurm_json(folder, state):
    times = {"submission": BEGIN, "start": BEGIN, "end": BEGIN + 120, "elapsed": 120}
    jobs = [
        {"job_id": n, "name": "etl", "user": "ann", "state": {"current": [s]}, "time": times}
        for n, s in ((1, state), (2, "COMPLETED"))
    ]
    path = folder / "sacct.json"
    path.write_text(json.dumps({"jobs": jobs}))
    return f"slurm:{path}"


def github(folder, state):
    url = "https://api.github.com/repos/o/r/actions/runs/1"
    jobs = [
        {
            **{"id": n, "run_id": n, "run_url": url, "workflow_name": "CI", "name": "build"},
            **{"status": "completed", "conclusion": s, "started_at": f"2026-03-0{n}T04:00:00Z"},
            "completed_at": f"2026-03-0{n}T04:02:00Z",
        }
        for n, s in ((1, state), (2, "success"))
    ]
    path = folder / "jobs.json"
    path.write_text(json.dumps({"jobs": jobs}))
    return f"github:{path}"


def jenkins(folder, state):
    builds = [
        {"number": n, "timestamp": (BEGIN + 86400 * n) * 1000, "duration": 120_000, "result": s}
        for n, s in ((1, state), (2, "SUCCESS"))
    ]
    path = folder / "etl.json"
    path.write_text(json.dumps({"fullName": "etl", "builds": builds}))
    return f"jenkins:{path}"


def dbt(folder, state):
    for n, s in ((1, state), (2, "success")):
        timing = {
            "started_at": f"2026-03-0{n}T04:00:00Z", "completed_at": f"2026-03-0{n}T04:02:00Z"
        }  # fmt: skip
        result = {
            "status": s,
            "unique_id": "model.shop.a",
            "execution_time": 120,
            "timing": [timing],
        }
        document = {"metadata": {"invocation_id": f"r{n}"}, "results": [result]}
        (folder / f"run_results_{n}.json").write_text(json.dumps(document))
    return f"dbt:{folder}"


def nextflow(folder, state):
    for n, s in ((1, state), (2, "COMPLETED")):
        begun = (BEGIN + 86400 * n) * 1000
        (folder / f"trace_{n}.txt").write_text(
            "task_id\tname\tstatus\tsubmit\tstart\tcomplete\trealtime\n"
            f"1\tA (x)\t{s}\t{begun}\t{begun}\t{begun + 120_000}\t120000\n"
        )
    return f"nextflow:{folder}"


def airflow(folder, state):
    path = folder / "airflow.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE dag_run (dag_id, run_id, run_type, state, start_date);"
            "CREATE TABLE task_instance (dag_id, run_id, task_id, map_index, try_number, state,"
            " start_date, end_date, queued_dttm);"
        )
        for n, s in ((1, state), (2, "success")):
            clock = f"2026-03-0{n} 04:00:00", f"2026-03-0{n} 04:02:00"
            run = ("etl", f"r{n}", "scheduled", "success", clock[0])
            database.execute("INSERT INTO dag_run VALUES (?,?,?,?,?)", run)
            task = ("etl", f"r{n}", "load", -1, 1, s, *clock, clock[0])
            database.execute("INSERT INTO task_instance VALUES (?,?,?,?,?,?,?,?,?)", task)
        database.commit()
    return f"airflow+sqlite:///{path}"


def swf(folder, state):
    path = folder / "a.swf"
    path.write_text(
        f"; UnixStartTime: {BEGIN}\n"
        f"1 0 0 120 1 -1 -1 1 -1 -1 {state} 4 1 3 -1 -1 -1 -1\n"
        "2 900 0 60 1 -1 -1 1 -1 -1 1 4 1 3 -1 -1 -1 -1\n"
    )
    return f"swf:{path}"


def pbs(folder, state):
    path = folder / "20260301"
    path.write_text(
        "".join(
            f"03/01/2026 04:00:00;E;{n}.head;user=ann jobname=etl ctime={BEGIN} start={BEGIN + n} "
            f"end={BEGIN + n + 120} Exit_status={code} resources_used.walltime=00:02:00\n"
            for n, code in ((1, state), (2, 0))
        )
    )
    return f"pbs:{path}"


def sge(folder, state):
    path = folder / "accounting"
    usage = ":".join(["0"] * 17)
    path.write_text(
        "".join(
            f"all.q:node1:lab:ann:etl:{n}:sge:0:{BEGIN}:{BEGIN + n}:{BEGIN + n + 120}:0:{code}:120:"
            f"{usage}:lab:defaultdepartment:NONE:1:0:1:1:0:-q all.q:0.0:NONE:1:0:0\n"
            for n, code in ((1, state), (2, 0))
        )
    )
    return f"sge:{path}"


WORDS = {
    "slurm": slurm,
    "slurm json": slurm_json,
    "github": github,
    "jenkins": jenkins,
    "dbt": dbt,
    "nextflow": nextflow,
    "airflow": airflow,
}
CODES = {"swf": (swf, "7"), "pbs": (pbs, "7"), "sge": (sge, "7")}
ROLES = {"series", "run", "job", "started_at", "ended_at", "duration", "status"}


def job_of(runs):
    return next(column for column in runs if f"{column}__status" in runs)


@pytest.mark.parametrize("source", WORDS.values(), ids=WORDS)
def test_an_unknown_state_with_an_end_ends_its_run_and_is_counted(tmp_path, source):
    place = source(tmp_path, "VAPORISED")
    with pytest.warns(UserWarning, match="VAPORISED"):
        runs = read_source(place, on_unknown="warn")
    job = job_of(runs)
    assert runs["ended_at"].notna().all()
    assert runs[job].isna().tolist() == [True, False]
    assert runs[f"{job}__status"].tolist() == [None, "success"]
    assert runs.attrs["report"]["statuses"] == {"success": 1, "unknown": 1}


@pytest.mark.parametrize("source", WORDS.values(), ids=WORDS)
def test_own_states_hold_for_every_system(tmp_path, source):
    runs = read_source(source(tmp_path, "vaporised"), states={"Vaporised": "cancelled"})
    assert runs[f"{job_of(runs)}__status"].tolist() == ["cancelled", "success"]


@pytest.mark.parametrize(("source", "code"), CODES.values(), ids=CODES)
def test_own_states_hold_for_codes(tmp_path, source, code):
    runs = read_source(source(tmp_path, code), states={code: "cancelled"})
    assert runs["job__status"].tolist() == ["cancelled", "success"]


@pytest.mark.parametrize(
    ("name", "series", "duration"),
    [
        ("slurm", "User/JobName", "End - Start"),
        ("slurm json", "user/name", "time.elapsed"),
        ("github", "workflow_id, called by its name", "completed_at - started_at"),
        ("jenkins", "fullName, else url", "duration without pauses"),
        ("dbt", "project/args.which", "execution_time"),
        ("nextflow", "workflow in front of the process", "complete - start, else realtime"),
        ("airflow", "dag_id", "end_date - start_date of the last try"),
        ("swf", "user/executable", "run time"),
        ("pbs", "user/jobname", "resources_used.walltime"),
        ("sge", "owner/job_name", "ru_wallclock"),
    ],
)
def test_a_report_tells_the_fields_of_each_system(tmp_path, name, series, duration):
    source = WORDS.get(name) or CODES[name][0]
    known = {"slurm": "COMPLETED", "slurm json": "COMPLETED", "nextflow": "COMPLETED"}
    columns = read_source(source(tmp_path, "1" if name in CODES else known.get(name, "success")))
    columns = columns.attrs["report"]["columns"]
    assert set(columns) == ROLES
    assert columns["series"] == {"column": series, "why": f"field of {name.split()[0]}"}
    assert columns["duration"]["column"] == duration
