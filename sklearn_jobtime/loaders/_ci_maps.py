"""What the records of systems of continuous integration say; names are those of their own pages."""

from collections.abc import Mapping
from typing import Any

from sklearn_jobtime.loaders._record_map import RecordMap, roles

__all__ = ["CI_MAPS"]


_PROJECT = r"web_url~https?://[^/]+/(.+?)/-/"
_RETRIED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "each.type": (("waiter", "manual"), "step that waits or asks, which is no job"),
    "each.retried": ((True,), "job that was tried again, of which the last try counts"),
}
# gh run list --json: https://cli.github.com/manual/gh_run_list
_GITHUB = RecordMap(
    "runs of gh run list",
    "github",
    "workflowName|workflowDatabaseId databaseId|number updatedAt startedAt|createdAt",
    roles(
        series_key="workflowDatabaseId workflowName",
        series="workflowName name",
        run="databaseId number",
        id="databaseId",
        started_at="startedAt createdAt",
        ended_at="updatedAt",
        status="conclusion status",
        attempt="attempt",
    ),
    lacks="jobs",
    is_run=True,
    is_touch=True,
    note="gh run list says when a run was last touched, which was taken for its end, and its "
    "duration counts the wait for runners; the pages of jobs say more (github:PATH).",
)
# gh run view --json jobs,databaseId,...: https://cli.github.com/manual/gh_run_view
_GITHUB_JOBS = RecordMap(
    "jobs of gh run view",
    "github",
    "databaseId name conclusion startedAt completedAt",
    roles(
        series_key="^workflowDatabaseId ^workflowName",
        series="^workflowName",
        run="^databaseId @page",
        job="name",
        id="databaseId",
        started_at="startedAt",
        ended_at="completedAt",
        status="conclusion status",
    ),
)
# https://docs.gitlab.com/api/jobs and https://docs.gitlab.com/api/pipelines
_PIPELINE = {
    "series_key": f"project_id {_PROJECT}",
    "series": _PROJECT,
    "run": "id",
    "id": "id",
    "status": "status",
}
_GITLAB_TIMES = {
    "started_at": "started_at",
    "ended_at": "finished_at",
    "duration_s": "duration",
    "queued_seconds": "queued_duration",
}
_GITLAB = [
    RecordMap(
        "GitLab jobs",
        "gitlab",
        "pipeline stage name status started_at finished_at",
        roles(
            series_key=f"pipeline.project_id {_PROJECT}",
            series=_PROJECT,
            run="pipeline.id",
            job="name",
            id="id",
            status="status",
            **_GITLAB_TIMES,
        ),
    ),
    RecordMap(
        "GitLab pipelines",
        "gitlab",
        "iid|ref sha status started_at finished_at",
        roles(
            **_PIPELINE,
            **_GITLAB_TIMES,
        ),
        lacks="pipeline",
        is_run=True,
    ),
    RecordMap(
        "GitLab pipelines as a list",
        "gitlab",
        "iid|ref sha status created_at updated_at web_url",
        roles(
            **_PIPELINE,
            started_at="created_at",
            ended_at="updated_at",
        ),
        lacks="pipeline started_at finished_at",
        is_run=True,
        is_touch=True,
        note="GitLab's list of pipelines says when each was created and last touched, which was "
        "taken for its start and end, waits counted; /projects/ID/pipelines/ID says its own "
        "times, and /projects/ID/jobs those of its jobs.",
    ),
]
# https://buildkite.com/docs/apis/rest-api/builds
_BUILDKITE_RUN = {
    "series_key": "pipeline.id pipeline.slug",
    "series": "pipeline.slug pipeline.name",
    "run": "number",
}
_BUILDKITE = [
    RecordMap(
        "Buildkite builds",
        "buildkite",
        "number state pipeline jobs finished_at scheduled_at",
        roles(
            **_BUILDKITE_RUN,
            job="each.name each.step_key each.command each.type",
            id="each.id",
            started_at="each.started_at",
            ended_at="each.finished_at",
            part="each.parallel_group_index",
            status="each.state",
            queued_at="each.runnable_at",
            run_ended_at="finished_at",
        ),
        each="jobs",
        left_out=_RETRIED,
    ),
    RecordMap(
        "Buildkite builds without their jobs",
        "buildkite",
        "number state pipeline finished_at scheduled_at",
        roles(
            **_BUILDKITE_RUN,
            id="id",
            started_at="started_at",
            ended_at="finished_at",
            status="state",
            queued_at="scheduled_at",
        ),
        is_run=True,
    ),
]
# https://learn.microsoft.com/rest/api/azure/devops/build/builds/list, .../timeline/get and
# .../pipelines/runs/list
_AZURE = [
    RecordMap(
        "Azure DevOps builds",
        "azure",
        "definition buildNumber status queueTime",
        roles(
            series_key="project.id+definition.id definition.id",
            series="project.name+definition.name definition.name",
            run="id",
            id="id",
            started_at="startTime",
            ended_at="finishTime",
            queued_at="queueTime",
            status="result status",
        ),
        is_run=True,
    ),
    RecordMap(
        "records of an Azure DevOps timeline",
        "azure",
        "type parentId startTime finishTime state result name",
        roles(
            run=r"^url~/[Bb]uilds/(\d+)/ @page",
            job="name",
            id="id",
            started_at="startTime",
            ended_at="finishTime",
            status="result state",
            try_number="attempt",
        ),
        only=("type", ("Job",), "record of a timeline that is no job"),
    ),
    RecordMap(
        "runs of an Azure DevOps pipeline",
        "azure",
        "pipeline state createdDate finishedDate|_links",
        roles(
            series_key="pipeline.id",
            series="pipeline.name",
            run="id",
            id="id",
            started_at="createdDate",
            ended_at="finishedDate",
            status="result state",
        ),
        is_run=True,
        note="runs of an Azure DevOps pipeline start when they were created: the wait in the queue "
        "is counted; the list of builds says more.",
    ),
]
# https://circleci.com/docs/api/v2
_CIRCLECI = [
    RecordMap(
        "CircleCI workflows",
        "circleci",
        "pipeline_id pipeline_number name status created_at stopped_at",
        roles(
            series_key="project_slug+name name",
            run="id",
            id="id",
            started_at="created_at",
            ended_at="stopped_at",
            status="status",
        ),
        is_run=True,
        note="CircleCI's workflows start when they were created: waits for machines and approvals "
        "are counted; the jobs of a workflow say more.",
    ),
    RecordMap(
        "CircleCI jobs with their details",
        "circleci",
        "latest_workflow name status started_at stopped_at",
        roles(
            series_key="project.slug+latest_workflow.name latest_workflow.name",
            run="latest_workflow.id",
            job="name",
            id="web_url",
            started_at="started_at",
            ended_at="stopped_at",
            queued_at="queued_at",
            duration_ms="duration",
            status="status",
        ),
    ),
    RecordMap(
        "CircleCI jobs of workflows",
        "circleci",
        "dependencies type name status started_at",
        roles(
            series_key="project_slug",
            run="workflow_id @page",
            job="name",
            id="id",
            started_at="started_at",
            ended_at="stopped_at",
            status="status",
        ),
        left_out={"type": (("approval",), "approval, which is no job")},
        note="CircleCI's lists of jobs do not name their workflow: each list was taken for one run "
        "of its project, unless its jobs have a field workflow_id.",
    ),
    RecordMap(
        "CircleCI builds of API 1.1",
        "circleci",
        "build_num start_time stop_time status",
        roles(
            series_key="username+reponame+workflows.workflow_name username+reponame reponame",
            run="workflows.workflow_id build_num",
            job="workflows.job_name",
            id="username+reponame+build_num build_url",
            started_at="start_time",
            ended_at="stop_time",
            duration_ms="build_time_millis",
            status="outcome status",
        ),
    ),
    RecordMap(
        "CircleCI pipelines",
        "circleci",
        "trigger state number project_slug updated_at",
        lacks="stopped_at",
        refuse="they say when a pipeline was created, not when it ended; fetch the workflows of "
        "each: /api/v2/pipeline/ID/workflow",
    ),
]
# https://cloud.google.com/build/docs/api/reference/rest/v1/projects.builds
_CLOUD_RUN = {
    "series_key": "projectId+buildTriggerId projectId",
    "series": "projectId+substitutions.TRIGGER_NAME projectId+buildTriggerId projectId",
    "run": "id",
}
_CLOUD_BUILD = [
    RecordMap(
        "Google Cloud Build builds",
        "cloud_build",
        "projectId steps status createTime",
        roles(
            **_CLOUD_RUN,
            job="each.id each.name",
            started_at="each.timing.startTime",
            ended_at="each.timing.endTime",
            status="each.status",
            run_ended_at="finishTime",
        ),
        each="steps",
        is_numbered=True,
    ),
    RecordMap(
        "Google Cloud Build builds without their steps",
        "cloud_build",
        "projectId status createTime logsBucket|logUrl|startTime",
        roles(
            **_CLOUD_RUN,
            id="id",
            started_at="startTime",
            ended_at="finishTime",
            queued_at="createTime",
            status="status",
        ),
        is_run=True,
    ),
]
CI_MAPS = (
    _GITHUB_JOBS,
    _GITHUB,
    *_GITLAB,
    *_BUILDKITE,
    *_AZURE,
    *_CIRCLECI,
    *_CLOUD_BUILD,
)
