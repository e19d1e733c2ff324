"""Workflow histories of GitHub Actions, from the JSON of its REST API."""

import re
from collections.abc import Iterable
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._claims import Claims
from sklearn_jobtime.loaders._github_names import workflow_names
from sklearn_jobtime.loaders._json_documents import field, json_documents, names_in
from sklearn_jobtime.loaders._open_file import MAX_BYTES, find_files
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.runs._long_table import long_table

__all__ = ["read_github"]


_TEXT = (str, NoneType)
_NOT_STARTED = ("queued", "requested", "waiting", "pending", "action_required")
# The moments of one job come from clocks that differ by a second or two.
_CLOCK_SKEW = pd.Timedelta(seconds=5)
_COLUMNS = (
    *("id", "run", "repository", "key", "path", "workflow", "series", "name"),
    *("run_attempt", "state", "place"),
)
_TIMES = ("created_at", "started_at", "ended_at")
_ALL_PAGES = (
    "fetch the others with gh api --paginate (a query with filters gives 1,000 at most; then ask "
    "span by span with created=)"
)
_ROLES = {
    "series": "workflow_id, called by its name",
    "run": "run_id",
    "job": "name",
    "started_at": "started_at",
    "ended_at": "completed_at; updated_at of runs without jobs",
    "duration": "completed_at - started_at",
    "status": "conclusion, else status",
}


def read_github(
    source: str | Path,
    *,
    steps: bool = False,
    on_unknown: str = "error",
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    r"""Read workflow runs and their jobs, as a long table with one row a job.

    A series is a workflow of a repository (``octo-org/octo-repo/CI``), told by its id and called
    by its newest name; two workflows of one name are told apart by their file (``CI (test.yml)``).
    A run is one of its runs. The runs alone only say when a run was last touched, so read their
    jobs too. Any mix of pages will do, such as what these commands write::

        gh api --paginate "repos/OWNER/REPO/actions/runs?per_page=100" > runs.json
        gh api --paginate "repos/OWNER/REPO/actions/runs/ID/jobs?per_page=100" > jobs-ID.json

    Parameters
    ----------
    source : str or Path
        A file, a folder, or a pattern such as ``pages/*.json``. Each file, plain or gzip, holds
        pages (``{"workflow_runs": [...]}``, ``{"jobs": [...]}``), one or many, or a run or a job
        a line.
    steps : bool, default=False
        Whether the steps of a job are jobs of the run too, named ``build / Run tests``. They run
        within their job, one after another, so they are left out by default.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that :data:`~sklearn_jobtime.loaders.STATES` lacks.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it;
        `queued_seconds`, a job's wait for its runner, for an approval or for a concurrent run,
        which is no part of `duration`; and `run_attempt`. ``.attrs["dropped"]`` counts what was
        left out, ``.attrs["notes"]`` says what was assumed and which pages are missing.

    Raises
    ------
    SourceError
        When a file cannot be read, is no such page, or lacks a field; it names file, line and
        the place in the document.
    RunTableError
        When a state is unknown.

    Notes
    -----
    Of a run that was run again, the last attempt counts: the jobs of earlier attempts are left
    out, also those that the last attempt carried over. A run's `updated_at` is not its end: a
    re-run or a deleted log moves it, by up to 400 days in histories seen. It is taken for the end
    only where a completed first attempt comes without any job records; the run is then one job
    named like the workflow, and its duration includes the wait for runners. A run with missing
    pages of jobs (its `total_count` says more than were read) is left out. Jobs name their
    workflow only; where two workflows bear that name, read the runs too.

    References
    ----------
    .. [1] GitHub, "REST API endpoints for workflow runs" and "... for workflow jobs",
       https://docs.github.com/en/rest/actions

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_github
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "jobs.json")
    ...     _ = path.write_text('''{"total_count": 1, "jobs": [{"id": 399444496, "run_id": 296794,
    ...         "run_url": "https://api.github.com/repos/octo-org/octo-repo/actions/runs/296794",
    ...         "workflow_name": "CI", "name": "build", "run_attempt": 1, "status": "completed",
    ...         "conclusion": "success", "created_at": "2026-01-20T17:42:10Z",
    ...         "started_at": "2026-01-20T17:42:40Z", "completed_at": "2026-01-20T17:44:39Z"}]}''')
    ...     jobs = read_github(path)
    >>> jobs[["series", "run", "job", "duration", "status", "queued_seconds"]]
                      series     run    job  duration   status  queued_seconds
    0  octo-org/octo-repo/CI  296794  build     119.0  success            30.0
    """
    run_rows: list[dict[str, Any]] = []
    job_rows: list[dict[str, Any]] = []
    claimed: dict[str, int] = {}
    pages = Claims("runs", _ALL_PAGES)
    for path in find_files(source, (".json", ".jsonl", ".ndjson")):
        for place, document in json_documents(path, max_bytes=max_bytes):
            _sort_out(document, place, run_rows, job_rows, claimed, pages)
    if not run_rows and not job_rows:
        raise SourceError(f"{source}: holds no run and no job; check the export that wrote it.")
    runs = _frame(run_rows).sort_values("run_attempt", kind="stable")
    runs = runs.drop_duplicates("run", keep="last").set_index("run", drop=False)
    jobs = _frame(job_rows)
    notes = pages.notes()
    dropped: dict[str, int] = {}
    jobs = _last_attempts(jobs, runs, claimed, dropped)
    runs, jobs = _with_series(runs, jobs, notes, dropped)
    rows = [_with_steps(jobs, dropped) if steps else jobs, _runs_alone(runs, jobs, dropped, notes)]
    table = pd.concat([part for part in rows if len(part)] or rows[:1], ignore_index=True)
    table["status"], unknown = read_states(table["state"], "github", on_unknown=on_unknown)
    table["has_ended"] = unknown & table["ended_at"].notna()
    kept = ["series", "run", "job", "started_at", "ended_at", "status", "has_ended"]
    table = table.rename(columns={"name": "job"})[[*kept, "queued_seconds", "run_attempt"]]
    table = long_table(table, dropped)
    table.attrs |= {"notes": notes, "columns": dict(_ROLES)}
    return table


def _sort_out(
    document: Any,
    place: str,
    runs: list[dict[str, Any]],
    jobs: list[dict[str, Any]],
    claimed: dict[str, int],
    pages: Claims,
) -> None:
    """Tell pages, lists of pages, single runs and single jobs apart, and take their rows."""
    if isinstance(document, list):
        for number, part in enumerate(document):
            _sort_out(part, f"{place}, [{number}]", runs, jobs, claimed, pages)
    elif not isinstance(document, dict):
        raise SourceError(f"{place}: expected a page of runs or jobs, got {str(document)[:80]!r}.")
    elif "workflow_runs" in document:
        rows = [
            _run_row(run, f"{place}, workflow_runs[{number}]")
            for number, run in enumerate(field(document, "workflow_runs", list, place))
        ]
        total = field(document, "total_count", (int, NoneType), place)
        keys = {row["key"] for row in rows}
        part = keys.pop() if len(keys) == 1 else None
        for repository in dict.fromkeys(row["repository"] for row in rows) or [str(place)]:
            pages.add(repository, total, (row["run"] for row in rows), part)
        runs.extend(rows)
    elif "jobs" in document:
        page = [
            _job_row(job, f"{place}, jobs[{number}]")
            for number, job in enumerate(field(document, "jobs", list, place))
        ]
        total = field(document, "total_count", (int, NoneType), place)
        if page and total:
            claimed[page[0]["run"]] = max(total, claimed.get(page[0]["run"], 0))
        jobs.extend(page)
    elif "run_id" in document:
        jobs.append(_job_row(document, place))
    elif "workflow_id" in document:
        runs.append(_run_row(document, place))
    else:
        raise SourceError(
            f"{place}: expected a page with 'workflow_runs' or 'jobs', a run or a job of the REST "
            f"API, got an object with {names_in(document) or 'nothing'}."
        )


def _repository(url: str, place: str) -> str:
    repository = re.search(r"/repos/([^/]+/[^/]+)/", url)
    if repository is None:
        raise SourceError(f"{place}: no '/repos/OWNER/REPO/' in the address {url[:200]!r}.")
    return repository[1]


def _run_row(run: Any, place: str) -> dict[str, Any]:
    created = field(run, "created_at", str, place)
    workflow = field(run, "workflow_id", (int, NoneType), place)
    name = field(run, "name", _TEXT, place)
    path = (field(run, "path", _TEXT, place) or "").partition("@")[0]
    if workflow is None and not (path or name):
        field(run, "workflow_id", int, place)  # which names what is missing
    return {
        "id": field(run, "id", int, place),
        "run": str(run["id"]),
        "repository": _repository(field(run, "url", str, place), place),
        "key": path or name if workflow is None else workflow,
        "path": path,
        "workflow": name,
        "run_attempt": field(run, "run_attempt", (int, NoneType), place) or 1,
        "state": field(run, "conclusion", _TEXT, place) or field(run, "status", str, place),
        "created_at": created,
        "started_at": field(run, "run_started_at", _TEXT, place) or created,
        "ended_at": field(run, "updated_at", str, place),
        "place": place,
    }


def _job_row(job: Any, place: str) -> dict[str, Any]:
    workflow = field(job, "workflow_name", _TEXT, place)
    return {
        "id": field(job, "id", int, place),
        "run": str(field(job, "run_id", int, place)),
        "repository": _repository(field(job, "run_url", str, place), place) if workflow else None,
        "workflow": workflow,
        "name": field(job, "name", str, place),
        "run_attempt": field(job, "run_attempt", (int, NoneType), place) or 1,
        **_state_and_times(job, place),
        "created_at": field(job, "created_at", _TEXT, place),
        "steps": field(job, "steps", (list, NoneType), place) or [],
    }


def _state_and_times(record: Any, place: str) -> dict[str, Any]:
    return {
        "state": field(record, "conclusion", _TEXT, place) or field(record, "status", str, place),
        "started_at": field(record, "started_at", _TEXT, place),
        "ended_at": field(record, "completed_at", _TEXT, place),
        "place": place,
    }


def _frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=[*_COLUMNS, *_TIMES, "steps"])
    for column in _TIMES:
        text = table[column].mask(table[column].isin(["now", "today"]))  # pandas takes these
        times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
        if (wrong := times.isna() & table[column].notna()).any():
            row = int(wrong.to_numpy().argmax())
            raise SourceError(
                f"{table['place'].iloc[row]}, {column}: {table[column].iloc[row]!r} is no time; "
                "expected one such as 2026-01-20T17:42:40Z."
            )
        table[column] = times
    # The API gives a waiting job the time of its creation as its start.
    waiting = table["state"].isin(_NOT_STARTED)
    table["started_at"] = table["started_at"].mask(waiting)
    early = table["ended_at"] < table["started_at"]
    table["ended_at"] = table["ended_at"].mask(early, table["started_at"])
    queued = (table["started_at"] - table["created_at"]).dt.total_seconds()
    table["queued_seconds"] = queued.clip(lower=0.0)
    return table


def _of_run(values: pd.Series, jobs: pd.DataFrame) -> pd.Series:
    """Give each job the value of its run; `values` is indexed by run."""
    return values.reindex(jobs["run"]).set_axis(jobs.index)


def _last_attempts(
    jobs: pd.DataFrame, runs: pd.DataFrame, claimed: dict[str, int], dropped: dict[str, int]
) -> pd.DataFrame:
    """Jobs of each run's last attempt, of the runs of which all pages are there."""
    # A job may stand on several pages, fetched while it ran and later.
    jobs = jobs.iloc[jobs["ended_at"].notna().argsort(kind="stable")]
    jobs = jobs.drop_duplicates("id", keep="last").sort_values(["run", "id"], ignore_index=True)
    attempt = jobs.groupby("run")["run_attempt"].transform("max")
    of_this = _of_run(runs["run_attempt"], jobs) == attempt
    begun = _of_run(runs["started_at"], jobs).where(of_this).fillna(jobs["created_at"])
    by_run = jobs.groupby("run")
    total = _of_run(pd.Series(claimed, dtype="float64"), jobs)
    reasons = {
        "job of a run with missing pages of jobs": by_run["id"].transform("size") < total,
        "job of an earlier attempt": jobs["run_attempt"] < attempt,
        "job carried over from an earlier attempt": (attempt > 1)
        & (jobs["started_at"] < begun - _CLOCK_SKEW),
        "job of a run that has not started": by_run["started_at"].transform("count") == 0,
        "job that ended without a time": ~jobs["state"].isin((*_NOT_STARTED, "in_progress"))
        & jobs["ended_at"].isna(),
    }
    left = pd.Series(True, index=jobs.index)
    for reason, out in reasons.items():
        dropped[reason] = int((left & out).sum())
        left &= ~out
    jobs = jobs[left]
    again = jobs.groupby(["run", "name"]).cumcount()
    return jobs.assign(
        name=jobs["name"].where(again == 0, jobs["name"] + " #" + (again + 1).astype("str"))
    )


def _with_series(
    runs: pd.DataFrame, jobs: pd.DataFrame, notes: list[str], dropped: dict[str, int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Name the workflow of each run, and of each job: that of its run, else the one so called."""
    names = workflow_names(runs, notes)
    keys = pd.MultiIndex.from_frame(runs[["repository", "key"]])
    label = pd.Series([names[key] for key in keys], index=runs.index, dtype=object)
    runs = runs.assign(name=label, series=runs["repository"] + "/" + label)
    known = runs[["repository", "workflow", "series"]].dropna().drop_duplicates()
    called = known.groupby(["repository", "workflow"])["series"].agg(["first", "size"])
    own = pd.MultiIndex.from_frame(jobs[["repository", "workflow"]])
    same_name = pd.Series(called["first"].reindex(own).array, jobs.index, dtype=object)
    several = pd.Series(called["size"].reindex(own).array, jobs.index, dtype="float64") > 1
    plain = jobs["repository"] + "/" + jobs["workflow"]
    of_run = _of_run(runs["series"], jobs)
    series = of_run.fillna(same_name.fillna(plain))
    if series.isna().any():
        place = jobs.loc[series.isna(), "place"].iloc[0]
        raise SourceError(f"{place}: has no workflow_name, and its run is not among the runs read.")
    unclear = several & of_run.isna()
    dropped["job of a run that is not there, of a workflow name that several have"] = int(
        unclear.sum()
    )
    if len(jobs) and of_run.isna().all():
        notes.append(
            "the jobs name their workflow but not its id; where a workflow was renamed, or two "
            "bear one name, read the pages of runs too."
        )
    return runs, jobs.assign(series=series)[~unclear]


def _with_steps(jobs: pd.DataFrame, dropped: dict[str, int]) -> pd.DataFrame:
    rows = []
    for job in jobs.itertuples(index=False):
        seen: dict[str, int] = {}
        for number, step in enumerate(job.steps):
            at = f"{job.place}.steps[{number}]"
            name = field(step, "name", str, at)
            seen[name] = seen.get(name, 0) + 1
            unique = name if seen[name] == 1 else f"{name} #{seen[name]}"
            row = {"run": job.run, "series": job.series, "run_attempt": job.run_attempt}
            rows.append({**row, "name": f"{job.name} / {unique}", **_state_and_times(step, at)})
    steps = _frame(rows)
    ran = steps["started_at"].notna() & (
        steps["ended_at"].notna() | steps["state"].isin(["in_progress"])
    )
    dropped["step that did not run"] = int((~ran).sum())
    return pd.concat([jobs, steps[ran]] if ran.any() else [jobs], ignore_index=True)


def _runs_alone(
    runs: pd.DataFrame, jobs: pd.DataFrame, dropped: dict[str, int], notes: list[str]
) -> pd.DataFrame:
    """Take the runs of workflows of which no job was read, each as one job of that name."""
    runs = runs[~runs["run"].isin(jobs["run"])]
    has_jobs = runs["series"].isin(jobs["series"])
    dropped["run without jobs in a workflow that has them"] = int(has_jobs.sum())
    waiting = runs["started_at"].isna()
    dropped["run that has not started"] = int((waiting & ~has_jobs).sum())
    runs = runs[~has_jobs & ~waiting].reset_index(drop=True)
    again = runs["run_attempt"] > 1
    if again.any():
        notes.append(
            f"{int(again.sum())} runs were run again and come without their jobs: when their last "
            "attempt ended is not known, so read the pages of their jobs too."
        )
    return runs.assign(ended_at=runs["ended_at"].mask(again), queued_seconds=np.nan)
