"""Records of known systems are recognised by their fields and read with the right values."""

import json

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders import read_source


def read(tmp_path, *documents, name="answer.json", **options):
    """Read documents that stand one after another, as a client of an API prints its pages."""
    path = tmp_path / name
    path.write_text("\n".join(json.dumps(document) for document in documents))
    return read_source(str(path), **options)


def at(clock, day=1):
    return f"2026-03-{day:02d}T{clock}Z"


def notes_of(runs):
    return " ".join(runs.attrs["notes"])


def gh_run(number, start, end, conclusion="success", **more):
    return {
        "databaseId": number,
        "workflowDatabaseId": 70,
        "workflowName": "Nightly",
        "attempt": 1,
        "createdAt": "2026-03-01T00:00:00Z",
        "startedAt": start,
        "updatedAt": end,
        "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion,
        **more,
    }


def test_gh_run_list(tmp_path):
    runs = read(
        tmp_path,
        [
            gh_run(5, at("04:00:00", 5), at("04:00:09", 5), "timed_out"),
            gh_run(4, at("04:00:00", 4), at("04:20:00", 4), workflowName="Every night"),
            gh_run(3, "0001-01-01T00:00:00Z", at("04:00:00", 3), ""),
            gh_run(2, at("04:00:00", 2), at("09:00:00", 2), attempt=2),
            gh_run(1, at("04:00:00"), at("04:10:00"), "cancelled"),
        ],
    )
    assert runs["job"].loc[["1", "4", "5"]].tolist() == [600.0, 1200.0, 9.0]
    assert np.isnan(runs["job"]["2"])  # nothing says when its second attempt ended
    statuses = runs["job__status"].loc[["1", "2", "4", "5"]].tolist()
    assert statuses == ["cancelled", "success", "success", "timeout"]
    assert runs.attrs["notes"][0].startswith("recognised as runs of gh run list by its fields")
    assert "last touched" in notes_of(runs)
    assert "one series, 'Nightly'" in notes_of(runs)


def test_gh_run_list_without_conclusions_asks_for_them(tmp_path):
    rows = [gh_run(k, at("04:00:00", k), at("04:10:00", k)) for k in (1, 2)]
    for row in rows:
        del row["conclusion"]
    with pytest.raises(SourceError, match="ask for the field conclusion"):
        read(tmp_path, rows)
    rows[0]["conclusion"] = "failure"
    runs = read(tmp_path, rows)
    assert runs["job__status"].tolist() == ["failed"]
    assert runs.attrs["dropped"] == {"run that does not say how it ended": 1}


def test_gh_workflows_of_one_name_are_series_of_their_own(tmp_path):
    runs = read(
        tmp_path,
        [
            gh_run(1, at("04:00:00"), at("04:10:00")),
            gh_run(2, at("05:00:00"), at("05:01:00"), workflowDatabaseId=71),
        ],
    )
    assert runs["job"].to_dict() == {("Nightly (70)", "1"): 600.0, ("Nightly (71)", "2"): 60.0}


def test_gh_run_view(tmp_path):
    job = {"databaseId": 11, "name": "build", "status": "completed", "conclusion": "failure"}
    job |= {"startedAt": at("04:00:00"), "completedAt": at("04:00:42"), "steps": [{"name": "a"}]}
    runs = read(tmp_path, {**gh_run(1, at("03:00:00"), at("05:00:00")), "jobs": [job]})
    assert runs["build"].tolist() == [42.0]
    assert runs["build__status"].tolist() == ["failed"]
    assert list(runs.index) == ["1"]
    alone = read(tmp_path, {"jobs": [job]}, {"jobs": [{**job, "databaseId": 12}]})
    assert alone["build"].tolist() == [42.0, 42.0]  # each answer is one run


def gitlab_job(number, pipeline, name, start, end, status="success", project=3):
    seconds = None if end is None else (pd.Timestamp(end) - pd.Timestamp(start)).total_seconds()
    return {
        "id": number,
        "name": name,
        "stage": "test",
        "status": status,
        "ref": "main",
        "created_at": at("01:00:00"),
        "started_at": start,
        "finished_at": end,
        "duration": seconds,
        "queued_duration": 7.5,
        "pipeline": {"id": pipeline, "project_id": project, "ref": "main"},
        "web_url": f"https://gitlab.example.com/data/etl/-/jobs/{number}",
        "tag_list": [],
    }


def test_gitlab_jobs(tmp_path):
    runs = read(
        tmp_path,
        [
            gitlab_job(1, 10, "build", at("04:00:00.000"), at("04:01:00.000")),
            gitlab_job(2, 10, "load", at("04:01:00.000"), at("04:03:00.250"), "canceled"),
            gitlab_job(3, 10, "publish", None, None, "manual"),
        ],
        [
            gitlab_job(3, 10, "publish", None, None, "manual"),  # again on the next page
            gitlab_job(4, 11, "build", "2026-03-02T06:00:00+02:00", at("04:00:50", 2), "failed"),
            gitlab_job(5, 11, "build", at("04:01:00", 2), at("04:02:30", 2)),  # the retry
            gitlab_job(6, 11, "load", None, None, "skipped"),
            gitlab_job(7, 11, "publish", None, None, "pending"),
        ],
    )
    assert runs["build"].tolist() == [60.0, 90.0]
    assert runs["load"].iloc[0] == 120.25
    assert runs["load__status"].tolist() == ["cancelled", "skipped"]
    assert runs["publish__status"].tolist() == ["skipped", None]
    assert runs["ended_at"].isna().tolist() == [False, True]
    assert runs.attrs["dropped"] == {
        "copy of a record on another page": 1,
        "earlier try of a job in its run": 1,
    }
    assert runs.attrs["report"]["columns"]["run"]["why"] == "field of GitLab jobs"


def test_gitlab_jobs_of_two_projects_of_one_name(tmp_path):
    jobs = [gitlab_job(k, 10 * k, "a", at("04:00:00"), at("04:00:30"), project=k) for k in (3, 4)]
    assert list(read(tmp_path, jobs).index) == [("data/etl (3)", "30"), ("data/etl (4)", "40")]


def gitlab_pipeline(number, **more):
    return {
        "id": number,
        "iid": number - 9,
        "project_id": 3,
        "sha": "c0ffee",
        "ref": "main",
        "status": "success",
        "source": "schedule",
        "created_at": at("03:59:00", number),
        "updated_at": at("04:30:00", number),
        "web_url": f"https://gitlab.example.com/data/etl/-/pipelines/{number}",
        **more,
    }


def test_gitlab_pipelines(tmp_path):
    times = {"started_at": at("04:00:00", 10), "finished_at": at("04:10:00", 10)}
    times |= {"duration": 600, "queued_duration": 60, "detailed_status": {"text": "passed"}}
    runs = read(tmp_path, gitlab_pipeline(10, **times), name="one.json")
    assert runs["job"].tolist() == [600.0]
    listed = read(tmp_path, [gitlab_pipeline(10), gitlab_pipeline(11, status="running")])
    assert listed["job"].iloc[0] == 1860.0  # created to last touched, and a note says so
    assert "waits counted" in notes_of(listed)
    assert listed["ended_at"].isna().tolist() == [False, True]


def test_jobs_are_read_before_the_pipelines_beside_them(tmp_path):
    runs = read(
        tmp_path,
        [gitlab_pipeline(10), gitlab_pipeline(11)],
        [gitlab_job(1, 10, "build", at("04:00:00", 10), at("04:01:00", 10))],
    )
    assert runs["build"].to_dict() == {"10": 60.0}
    assert runs.attrs["dropped"] == {"run whose jobs were not read": 1}


def buildkite_job(number, name, start, end, state="passed", **more):
    return {
        "id": f"job-{number}",
        "type": "script",
        "name": name,
        "step_key": None,
        "state": state,
        "created_at": at("03:00:00"),
        "scheduled_at": at("03:00:00"),
        "runnable_at": at("03:30:00"),
        "started_at": start,
        "finished_at": end,
        "retried": False,
        "parallel_group_index": None,
        **more,
    }


def buildkite_build(number, jobs, state="passed"):
    return {
        "id": f"build-{number}",
        "number": number,
        "state": state,
        "pipeline": {"id": "p-1", "slug": "deploy", "name": "Deploy"},
        "created_at": at("03:00:00", number),
        "scheduled_at": at("03:00:00", number),
        "started_at": at("03:30:00", number),
        "finished_at": at("04:10:00", number),
        "jobs": jobs,
    }


def test_buildkite(tmp_path):
    first = [
        buildkite_job(1, "build", at("04:00:00"), at("04:01:00"), "failed", retried=True),
        buildkite_job(2, "build", at("04:02:00"), at("04:02:30")),
        {"id": "job-3", "type": "waiter", "state": "passed"},
        buildkite_job(4, "test", at("04:03:00"), at("04:04:00"), parallel_group_index=0),
        buildkite_job(5, "test", at("04:05:00"), at("04:06:00"), parallel_group_index=1),
    ]
    second = [
        buildkite_job(6, "build", at("04:00:00", 2), at("04:00:45", 2), "timed_out"),
        buildkite_job(7, "test", None, None, "broken"),
    ]
    runs = read(tmp_path, [buildkite_build(2, second, "failed"), buildkite_build(1, first)])
    assert runs["build"].tolist() == [30.0, 45.0]
    assert runs["build__status"].tolist() == ["success", "timeout"]
    assert runs["test"].iloc[0] == 180.0  # parts, from the first start to the last end
    assert runs["test__status"].tolist() == ["success", "skipped"]
    assert runs.attrs["dropped"] == {
        "job that was tried again, of which the last try counts": 1,
        "step that waits or asks, which is no job": 1,
        "part joined with the first of its job and run": 1,
    }


def test_buildkite_builds_without_jobs(tmp_path):
    runs = read(tmp_path, [buildkite_build(1, []), buildkite_build(2, [], "canceled")])
    assert runs["job"].tolist() == [2400.0, 2400.0]
    assert runs["job__status"].tolist() == ["success", "cancelled"]


def azure_build(number, result="succeeded", **more):
    return {
        "id": number,
        "buildNumber": f"2026030{number}.1",
        "status": "completed",
        "result": result,
        "queueTime": f"2026-03-0{number}T03:00:00.1234567Z",
        "startTime": f"2026-03-0{number}T04:00:00.1234567Z",
        "finishTime": f"2026-03-0{number}T04:02:00.1234567Z",
        "definition": {"id": 8, "name": "etl", "path": "\\"},
        "project": {"id": "p", "name": "Data"},
        **more,
    }


def test_azure_devops_builds(tmp_path):
    going = azure_build(3, status="inProgress", finishTime=None)
    del going["result"]
    page = {"count": 3, "value": [azure_build(1), azure_build(2, "partiallySucceeded"), going]}
    runs = read(tmp_path, page)
    assert runs["job"].iloc[:2].tolist() == [120.0, 120.0]
    assert runs["job__status"].tolist() == ["success", "success", None]
    other = azure_build(4, "canceled", definition={"id": 9, "name": "etl", "path": "\\old"})
    both = read(tmp_path, [azure_build(1), other])
    assert list(both.index) == [("Data/etl (p/8)", "1"), ("Data/etl (p/9)", "4")]


def test_azure_devops_timeline_with_its_build(tmp_path):
    def record(kind, name, start, end, result="succeeded"):
        more = {"id": f"{kind}-{name}", "parentId": None, "attempt": 1, "state": "completed"}
        return (
            {"type": kind, "name": name, "startTime": start, "finishTime": end}
            | more
            | {"result": result}
        )

    timeline = {
        "id": "t-1",
        "url": "https://dev.azure.com/acme/p/_apis/build/builds/1/Timeline/t-1",
        "records": [
            record("Stage", "all", at("04:00:00"), at("04:02:00")),
            record("Job", "build", at("04:00:10"), at("04:01:00")),
            record("Task", "checkout", at("04:00:10"), at("04:00:20")),
            record("Job", "test", at("04:01:10"), at("04:02:00"), "failed"),
        ],
    }
    runs = read(tmp_path, {"count": 1, "value": [azure_build(1)]}, timeline)
    assert runs[["build", "test"]].to_numpy().tolist() == [[50.0, 50.0]]
    assert runs["test__status"].tolist() == ["failed"]
    assert list(runs.index) == ["1"]
    assert runs.attrs["dropped"] == {"record of a timeline that is no job": 2}


def test_circleci_workflows(tmp_path):
    def workflow(number, status, end):
        same = {"pipeline_id": f"p-{number}", "pipeline_number": number, "name": "nightly"}
        same |= {"project_slug": "gh/acme/etl", "created_at": at("04:00:00", number)}
        return same | {"id": f"w-{number}", "status": status, "stopped_at": end}

    page = [workflow(1, "success", at("04:01:00", 1)), workflow(2, "canceled", at("04:00:05", 2))]
    runs = read(
        tmp_path,
        {"items": page, "next_page_token": "more"},
        {"items": [workflow(3, "on_hold", None)], "next_page_token": None},
    )
    assert runs["job"].iloc[:2].tolist() == [60.0, 5.0]
    assert runs["job__status"].tolist() == ["success", "cancelled", None]
    cut = read(tmp_path, {"items": page, "next_page_token": "more"})
    assert "the last page names one that follows" in notes_of(cut)


def test_circleci_jobs(tmp_path):
    def job(name, start, end, status="success", kind="build"):
        return {
            "id": name + start,
            "name": name,
            "type": kind,
            "status": status,
            "dependencies": [],
            "job_number": 5,
            "project_slug": "gh/acme/etl",
            "started_at": start,
            "stopped_at": end,
        }

    runs = read(
        tmp_path,
        {
            "items": [
                job("build", at("04:00:00"), at("04:00:30")),
                job("ok?", at("04:00:30"), at("05:00:00"), kind="approval"),
            ]
        },
        {"items": [job("build", at("04:00:00", 2), at("04:00:40", 2), "infrastructure_fail")]},
    )
    assert runs["build"].tolist() == [30.0, 40.0]
    assert runs["build__status"].tolist() == ["success", "failed"]
    assert runs.attrs["dropped"] == {"approval, which is no job": 1}
    assert "do not name their workflow" in notes_of(runs)


def test_circleci_job_details_are_in_milliseconds(tmp_path):
    job = {
        "web_url": "https://app.circleci.com/jobs/github/acme/etl/5",
        "name": "build",
        "number": 5,
        "status": "success",
        "project": {"slug": "gh/acme/etl", "name": "etl"},
        "latest_workflow": {"id": "w-1", "name": "nightly"},
        "started_at": at("04:00:00.000"),
        "stopped_at": at("04:00:30.500"),
        "queued_at": at("03:00:00.000"),
        "duration": 30500,
    }
    runs = read(tmp_path, job)
    assert runs["build"].to_dict() == {"w-1": 30.5}


def test_circleci_builds_of_the_old_api(tmp_path):
    def build(number, name, status):
        same = {"build_num": number, "username": "acme", "reponame": "etl", "lifecycle": "finished"}
        same |= {"workflows": {"job_name": name, "workflow_id": "w", "workflow_name": "nightly"}}
        same |= {"start_time": at("04:00:00"), "stop_time": at("04:01:00")}
        return same | {"build_time_millis": 60000, "status": status, "outcome": status}

    runs = read(tmp_path, [build(5, "build", "success"), build(6, "test", "timedout")])
    assert runs[["build", "test"]].to_numpy().tolist() == [[60.0, 60.0]]
    assert runs["test__status"].tolist() == ["timeout"]


def test_circleci_pipelines_say_what_to_fetch(tmp_path):
    pipeline = {"id": "p-1", "errors": [], "project_slug": "gh/acme/etl", "number": 1}
    pipeline |= {"state": "created", "trigger": {"type": "schedule"}}
    pipeline |= {"created_at": at("04:00:00"), "updated_at": at("04:00:01")}
    with pytest.raises(SourceError, match="fetch the workflows"):
        read(tmp_path, {"items": [pipeline], "next_page_token": None})


def task(run, name, start, end, state="success", **more):
    same = {"dag_id": "etl", "dag_run_id": run, "task_id": name, "map_index": -1}
    return same | {
        "state": state,
        "start_date": start,
        "end_date": end,
        "try_number": 1,
        "duration": None if end is None else 60.0,
        **more,
    }


def test_airflow_rest(tmp_path):
    tasks = [
        task("r1", "load", at("04:00:00"), at("04:01:00")),
        task("r1", "map", at("04:01:00"), at("04:02:00"), map_index=0),
        task("r1", "map", at("04:05:00"), at("04:06:00"), "failed", map_index=1),
        task("r1", "after", None, None, "upstream_failed"),
    ]
    dag_run = {"dag_id": "etl", "dag_run_id": "r1", "state": "failed"}
    dag_run |= {"start_date": at("03:59:00"), "end_date": at("04:06:05")}
    page = {"task_instances": tasks, "total_entries": 6}
    runs = read(tmp_path, {"dag_runs": [dag_run], "total_entries": 1}, page)
    assert runs["load"].tolist() == [60.0]
    assert runs["map"].tolist() == [300.0]
    assert runs["map__status"].tolist() == ["failed"]
    assert runs["after__status"].tolist() == ["skipped"]
    assert "the pages say 6 records, 4 were read" in notes_of(runs)
    alone = read(tmp_path, {"dag_runs": [dag_run], "total_entries": 1})
    assert alone["job"].to_dict() == {"r1": 425.0}
    assert alone["job__status"].tolist() == ["failed"]


def test_a_retried_first_task_of_airflow_starts_with_its_run(tmp_path):
    tasks = [
        task("r1", "load", at("06:00:00"), at("06:01:00"), try_number=3),
        task("r1", "save", at("06:01:00"), at("06:02:00")),
    ]
    dag_run = {"dag_id": "etl", "dag_run_id": "r1", "state": "success"}
    dag_run |= {"start_date": at("04:00:00"), "end_date": at("06:02:00")}
    runs = read(tmp_path, {"task_instances": tasks}, {"dag_runs": [dag_run]})
    assert runs["load"].tolist() == [60.0]
    assert runs["started_at"].tolist() == [pd.Timestamp(at("04:00:00"))]


def test_airflow_commands(tmp_path):
    def run(number, state, end):
        day = f"2026-03-0{number}T00:00:00+00:00"
        same = {"dag_id": "etl", "run_id": f"scheduled__{day}", "execution_date": day}
        start = f"2026-03-0{number}T04:00:00.000001+00:00"
        return same | {"state": state, "start_date": start, "end_date": end}

    end = "2026-03-01T04:00:10.500001+00:00"
    runs = read(tmp_path, [run(2, "running", ""), run(1, "success", end)])
    assert runs["job"].iloc[0] == 10.5
    assert runs["ended_at"].isna().tolist() == [False, True]

    def state(day, name, start, end, state="success"):
        same = {"dag_id": "etl", "execution_date": f"2026-03-0{day}T00:00:00+00:00"}
        return same | {"task_id": name, "state": state, "start_date": start, "end_date": end}

    first = [state(1, "a", at("04:00:00"), at("04:00:20")), state(1, "b", "", "", "skipped")]
    second = [state(2, "a", at("04:00:00", 2), at("04:00:30", 2)), state(2, "b", "", "", "")]
    runs = read(tmp_path, first, second)
    assert runs["a"].tolist() == [20.0, 30.0]
    assert runs["b__status"].tolist() == ["skipped", None]


def prefect_flow_run(number, name, kind, end, seconds):
    return {
        "id": f"f-{number}",
        "name": f"odd-otter-{number}",
        "flow_id": "flow-1",
        "deployment_id": None,
        "state_name": name,
        "state_type": kind,
        "start_time": at("04:00:00", number),
        "end_time": end,
        "total_run_time": seconds,
        "expected_start_time": at("03:00:00", number),
    }


def test_prefect_flow_runs(tmp_path):
    runs = read(
        tmp_path,
        [
            prefect_flow_run(1, "Completed", "COMPLETED", at("04:01:00", 1), 60.0),
            prefect_flow_run(2, "Crashed", "CRASHED", at("04:00:03", 2), 3.0),
            prefect_flow_run(3, "TimedOut", "FAILED", at("04:10:00", 3), 600.0),
            prefect_flow_run(4, "Half of it", "COMPLETED", at("04:00:30", 4), 30.0),
            prefect_flow_run(5, "Running", "RUNNING", None, 12.0),
        ],
    )
    assert runs["job"].iloc[:4].tolist() == [60.0, 3.0, 600.0, 30.0]
    assert runs["job__status"].tolist() == ["success", "failed", "timeout", "success", None]
    assert list(runs.index) == ["f-1", "f-2", "f-3", "f-4", "f-5"]


def test_prefect_task_runs_of_one_task_are_parts(tmp_path):
    def task_run(number, key, dynamic, start, end):
        same = {"flow_run_id": "f-1", "task_key": key, "dynamic_key": dynamic, "name": f"{key}-x"}
        same |= {"id": f"t-{number}", "state_type": "COMPLETED", "state_name": "Completed"}
        return same | {"start_time": start, "end_time": end, "total_run_time": 20.0}

    tasks = [
        task_run(1, "extract", "0", at("04:00:00"), at("04:00:20")),
        task_run(2, "extract", "1", at("04:00:30"), at("04:00:50")),
        task_run(3, "load", "0", at("04:01:00"), at("04:01:20")),
    ]
    flow = prefect_flow_run(1, "Completed", "COMPLETED", at("04:01:20", 1), 80.0)
    runs = read(tmp_path, [flow], tasks)
    assert runs[["extract", "load"]].to_numpy().tolist() == [[50.0, 20.0]]


def test_cloud_build(tmp_path):
    def step(name, start, end, status="SUCCESS", **more):
        timing = {} if start is None else {"timing": {"startTime": start, "endTime": end}}
        return {"name": name, "status": status, **timing, **more}

    def build(number, status, steps):
        return {
            "id": f"b-{number}",
            "projectId": "acme",
            "status": status,
            "buildTriggerId": "t-1",
            "substitutions": {"TRIGGER_NAME": "nightly"},
            "createTime": f"2026-03-0{number}T03:00:00.123456789Z",
            "startTime": f"2026-03-0{number}T03:59:00.123456789Z",
            "finishTime": f"2026-03-0{number}T04:10:00.5Z",
            "steps": steps,
        }

    first = [
        step("docker", at("04:00:00.000000000"), at("04:00:30.250000000")),
        step("docker", at("04:00:31"), at("04:00:41")),
        step("gcloud", at("04:01:00"), at("04:02:00"), id="deploy"),
    ]
    second = [
        step("docker", at("04:00:00", 2), at("04:00:20", 2), "TIMEOUT"),
        step("docker", None, None, "QUEUED"),
        step("gcloud", None, None, "QUEUED", id="deploy"),
    ]
    runs = read(tmp_path, {"builds": [build(2, "TIMEOUT", second), build(1, "SUCCESS", first)]})
    assert runs["docker"].tolist() == [30.25, 20.0]
    assert runs["docker #2"].iloc[0] == 10.0
    assert runs["deploy"].iloc[0] == 60.0
    assert runs["docker__status"].tolist() == ["success", "timeout"]
    assert runs["deploy__status"].tolist() == ["success", "skipped"]
    whole = [{k: v for k, v in build(1, "CANCELLED", []).items() if k != "steps"}]
    alone = read(tmp_path, whole)
    assert alone["job"].tolist() == pytest.approx([660.3765], abs=1e-3)
    assert alone["job__status"].tolist() == ["cancelled"]


def test_the_user_may_name_another_field(tmp_path):
    jobs = [gitlab_job(k, 10 * k, "a", at("04:00:00", k), at("04:00:30", k)) for k in (1, 2)]
    jobs[1]["ref"] = "next"
    runs = read(tmp_path, jobs, columns={"series": "pipeline.ref", "event": "ref"})
    assert runs.index.nlevels == 1  # the field in the pipeline is 'main' in both
    runs = read(tmp_path, jobs, columns={"series": "ref"})
    assert list(runs.index) == [("main", "10"), ("next", "20")]
    assert runs.attrs["report"]["columns"]["series"] == {"column": "ref", "why": "named"}
    with pytest.raises(SourceError, match=r"no record has a value at 'pipeline.name'.*pipeline.id"):
        read(tmp_path, jobs, columns={"series": "pipeline.name"})
    with pytest.raises(SourceError, match=r"leads to an object.*pipeline.project_id"):
        read(tmp_path, jobs, columns={"series": "pipeline"})


def test_two_systems_in_one_file_are_told_apart(tmp_path):
    job = gitlab_job(1, 10, "a", at("04:00:00"), at("04:00:30"))
    with pytest.raises(SourceError, match="each system"):
        read(tmp_path, [job], [azure_build(1)])


def test_records_of_another_kind_are_counted(tmp_path):
    jobs = [gitlab_job(k, 10, f"j{k}", at("04:00:00"), at("04:00:30")) for k in (1, 2, 3)]
    runs = read(tmp_path, [*jobs, {"message": "rate limit"}])
    assert runs.attrs["dropped"] == {"record of another kind": 1}


def test_own_states_and_unknown_ones(tmp_path):
    odd = gitlab_job(1, 10, "a", at("04:00:00"), at("04:00:30"), "parked")
    with pytest.raises(ValueError, match=r"unknown gitlab state.*parked"):
        read(tmp_path, [odd])
    runs = read(tmp_path, [odd], states={"parked": "skipped"})
    assert runs["a__status"].tolist() == ["skipped"]


def test_a_folder_of_pages(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in (1, 2):
        job = gitlab_job(number, number, "a", at("04:00:00", number), at("04:00:30", number))
        (folder / f"{number}.json").write_text(json.dumps([job]))
    assert read_source(f"json:{folder}")["a"].tolist() == [30.0, 30.0]
    assert read_source(f"json:{folder}/*.json")["a"].tolist() == [30.0, 30.0]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("started_at", 1.5, "'started_at', row [01]: .*moments with a zone"),
        ("duration", "\ud800", "'duration', row 0: .* is not a duration"),
        ("duration", -3, "'duration', row 0: -3.* is negative"),
        ("name", {"en": "a"}, "'name' leads to an object, not to a value; below it: name.en"),
        ("status", ["success"], "'status' leads to a list"),
    ],
)
def test_a_value_of_another_kind_is_named(tmp_path, field, value, said):
    jobs = [gitlab_job(k, 10, f"j{k}", at("04:00:00"), at("04:00:30")) for k in (1, 2)]
    jobs[0][field] = value
    with pytest.raises(SourceError, match=said):
        read(tmp_path, jobs)
