"""Build histories of Jenkins, from the JSON of its remote API."""

import re
from pathlib import Path
from types import NoneType
from typing import Any
from urllib.parse import unquote

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._json_documents import field, json_documents, names_in
from sklearn_jobtime.loaders._open_file import MAX_BYTES, find_files
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.runs._long_table import long_table

__all__ = ["read_jenkins"]


_BUILDS = ("builds", "allBuilds")
_COLUMNS = ("series", "run", "job", "state", "start", "taken", "paused", "queued", "place", "begun")
_NEWEST = 100  # builds are in "builds"; all of them are in "allBuilds"
# Pages of one build may differ in its start by its wait in the queue.
_ONE_BUILD = 3_600_000
_LAST_MILLISECOND = 1000 * pd.Timestamp("2200-01-01", tz="UTC").timestamp()
_ROLES = {
    "series": "fullName, else url",
    "run": "number",
    "job": "name of a stage; the whole build is 'job'",
    "started_at": "timestamp",
    "ended_at": "timestamp + duration",
    "duration": "duration without pauses",
    "status": "result, else status",
}


def read_jenkins(
    source: str | Path, *, on_unknown: str = "error", max_bytes: int = MAX_BYTES
) -> pd.DataFrame:
    r"""Read the builds of Jenkins jobs, as a long table with one row a build, and one a stage.

    A series is a Jenkins job with its folders (``team/etl``), a run one of its builds. The whole
    build is one job, `job`, in every series; each stage of a pipeline, where the stages are read
    too, is another, named like the stage. These addresses of a Jenkins job give the pages::

        .../job/etl/api/json?tree=fullName,allBuilds[number,timestamp,duration,result,building]
        .../job/etl/wfapi/runs?fullStages=true

    Parameters
    ----------
    source : str or Path
        A file, a folder, or a pattern such as ``pages/*.json``. Each file, plain or gzip, holds
        the answer about a job, a folder of jobs, a build, or a pipeline's runs (``wfapi``); one
        or many.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a result that :data:`~sklearn_jobtime.loaders.STATES` lacks.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it, and
        `queued_seconds`, a build's wait in the queue where the page says so (with the Metrics
        plugin: ``actions[queuingDurationMillis]``). ``.attrs["dropped"]`` counts stages that did
        not run, ``.attrs["notes"]`` says what was assumed, and where only the newest 100 builds
        were asked for.

    Raises
    ------
    SourceError
        When a file cannot be read, is no such answer, or lacks a field; it names file, line and
        the place in the document.
    RunTableError
        When a result is unknown.

    Notes
    -----
    The time that a pipeline was paused, waiting for an input, is no part of a duration read from
    ``wfapi``, but does lie between start and end. An unstable build (tests failed, the build ran
    to its end) counts as successful, since its time is what a build takes. A build that runs has
    duration 0 in the answers; here it has none. Where a job was deleted and made again its numbers
    begin again: such builds are runs of their own, called ``<number>@<start>``.

    References
    ----------
    .. [1] Jenkins, "Remote Access API", https://www.jenkins.io/doc/book/using/remote-access-api/
    .. [2] "Pipeline: REST API", https://plugins.jenkins.io/pipeline-rest-api/

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_jenkins
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "etl.json")
    ...     _ = path.write_text('''{"fullName": "team/etl", "builds": [
    ...         {"number": 8, "timestamp": 1772337600000, "duration": 0, "result": null,
    ...          "building": true},
    ...         {"number": 7, "timestamp": 1772251200000, "duration": 93500, "result": "SUCCESS",
    ...          "building": false}]}''')
    ...     read_jenkins(path)[["series", "run", "job", "duration", "status"]]
         series run  job  duration   status
    0  team/etl   7  job      93.5  success
    1  team/etl   8  job       NaN     None
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for path in find_files(source, (".json", ".jsonl", ".ndjson")):
        for place, document in json_documents(path, max_bytes=max_bytes):
            _sort_out(document, place, rows, notes)
    if not rows:
        raise SourceError(
            f"{source}: holds no build; ask for them with /api/json?tree=fullName,"
            "allBuilds[number,timestamp,duration,result,building]."
        )
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    _check_span(table)
    ran = table["start"] > 0
    dropped = {"stage that did not run": int((~ran).sum())}
    status, unknown = read_states(table.loc[ran, "state"], "jenkins", on_unknown=on_unknown)
    table = table[ran].assign(status=status, has_ended=unknown)
    table = _newest(_numbers_apart(table, notes))
    started = pd.to_datetime(table["start"], unit="ms", utc=True)
    busy = table["taken"] - table["paused"].astype("float64").fillna(0.0)
    table = table.assign(
        started_at=started,
        ended_at=started + pd.to_timedelta(table["taken"], unit="ms"),
        duration=busy.clip(lower=0.0) / 1000.0,
        queued_seconds=table["queued"] / 1000.0,
    )
    kept = ["series", "run", "job", "started_at", "ended_at", "duration", "status"]
    table = long_table(table[[*kept, "has_ended", "queued_seconds"]], dropped)
    table.attrs |= {"notes": notes, "columns": dict(_ROLES)}
    return table


def _sort_out(document: Any, place: str, rows: list[dict[str, Any]], notes: list[str]) -> None:
    """Tell jobs, folders, builds and pipeline runs apart, and take their rows."""
    if isinstance(document, list):
        for number, part in enumerate(document):
            _sort_out(part, f"{place}, [{number}]", rows, notes)
    elif not isinstance(document, dict):
        raise SourceError(f"{place}: expected an answer of Jenkins, got {str(document)[:80]!r}.")
    elif "stages" in document:
        _take_pipeline(document, place, rows)
    elif "timestamp" in document:
        _take_build(document, None, "", place, rows)
    elif "jobs" in document or any(name in document for name in _BUILDS):
        _take_job(document, place, rows, notes)
    else:
        raise SourceError(
            f"{place}: expected a job with 'builds', a folder with 'jobs', a build or a pipeline "
            f"run of Jenkins, got an object with {names_in(document) or 'nothing'}."
        )


def _take_job(
    job: Any, place: str, rows: list[dict[str, Any]], notes: list[str], folder: str = ""
) -> None:
    for name in _BUILDS:
        builds = field(job, name, (list, NoneType), place) or []
        if name == "builds" and len(builds) == _NEWEST and not job.get("allBuilds"):
            notes.append(
                f"{_series(builds[0], job, folder, place)}: exactly {_NEWEST} builds, which is all "
                "that Jenkins gives as 'builds'; ask for 'allBuilds' to have the older ones too."
            )
        for number, build in enumerate(builds):
            _take_build(build, job, folder, f"{place}, {name}[{number}]", rows)
    inner = "/".join(filter(None, (folder, field(job, "name", (str, NoneType), place))))
    for number, part in enumerate(field(job, "jobs", (list, NoneType), place) or []):
        _take_job(part, f"{place}, jobs[{number}]", rows, notes, inner)


def _path_of(address: str) -> str | None:
    """Name with its folders: ``.../job/team/job/my%20etl/7/`` is ``team/my etl``."""
    parts = re.findall(r"(?:^|/)job/([^/]+)", address)
    return "/".join(unquote(part) for part in parts) or None


def _series(build: Any, job: dict[str, Any] | None, folder: str, place: str) -> str:
    for record, name in ((job, "fullName"), (job, "url"), (build, "url"), (job, "name")):
        text = field(record, name, (str, NoneType), place) if record else None
        if found := _path_of(text) if text and name == "url" else text:
            return f"{folder}/{found}" if folder and name == "name" else found
    raise SourceError(
        f"{place}: nothing says of which job this is a build; ask for fullName or url, too."
    )


def _take_build(
    build: Any, job: dict[str, Any] | None, folder: str, place: str, rows: list[dict[str, Any]]
) -> None:
    number = field(build, "number", int, place)
    building = field(build, "building", (bool, NoneType), place)
    result = field(build, "result", (str, NoneType), place)
    waits = [
        action["queuingDurationMillis"]
        for action in field(build, "actions", (list, NoneType), place) or []
        if isinstance(action, dict) and isinstance(action.get("queuingDurationMillis"), int)
    ]
    rows.append(
        {
            "series": _series(build, job, folder, place),
            "run": str(number),
            "job": "job",
            "state": None if building else result,
            "start": field(build, "timestamp", int, place),
            "taken": field(build, "duration", int, place),
            "paused": None,
            "queued": waits[0] if waits else None,
            "place": place,
            "begun": build["timestamp"],
        }
    )


def _take_pipeline(run: dict[str, Any], place: str, rows: list[dict[str, Any]]) -> None:
    link = field(field(run, "_links", dict, place), "self", dict, f"{place}._links")
    href = field(link, "href", str, f"{place}._links.self")
    number = re.search(r"/(\d+)/wfapi/", href)
    series = _path_of(href)
    if number is None or series is None:
        raise SourceError(
            f"{place}._links.self.href: expected an address such as /job/etl/7/wfapi/describe, "
            f"got {href[:200]!r}."
        )
    parts = [(run, "job", place)]
    seen: dict[str, int] = {}
    for index, stage in enumerate(field(run, "stages", list, place)):
        at = f"{place}.stages[{index}]"
        name = field(stage, "name", str, at)
        seen[name] = seen.get(name, 0) + 1
        # A stage may bear the name of another one, or of the whole build.
        first = seen[name] == 1 and name != "job"
        parts.append((stage, name if first else f"{name} #{seen[name]}", at))
    for part, name, at in parts:
        rows.append(
            {
                "series": series,
                "run": number[1],
                "job": name,
                "state": field(part, "status", str, at),
                "start": field(part, "startTimeMillis", int, at),
                "taken": field(part, "durationMillis", int, at),
                "paused": field(part, "pauseDurationMillis", (int, NoneType), at) or 0,
                "queued": None,
                "place": at,
                "begun": run["startTimeMillis"],
            }
        )


def _numbers_apart(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Give builds of one number that began at other times a name each."""
    begun = table.sort_values("begun", kind="stable").groupby(["series", "run"])["begun"]
    which = (begun.diff() > _ONE_BUILD).groupby([table["series"], table["run"]]).cumsum()
    table = table.assign(which=which)
    first = table.groupby(["series", "run", "which"])["begun"].transform("min")
    name = pd.to_datetime(first, unit="ms", utc=True).dt.strftime("@%Y-%m-%dT%H:%M:%SZ")
    later = table["which"] > 0
    if later.any():
        builds = table.loc[later, ["series", "run", "which"]].drop_duplicates()
        notes.append(
            f"{len(builds)} builds have a number that an earlier build of their job had (such as "
            f"{builds['run'].iloc[0]} of {builds['series'].iloc[0]!r}): the job was made again, or "
            "two jobs bear one name. They are runs of their own; fullName or url tell jobs apart."
        )
    return table.assign(run=(table["run"] + name).where(later, table["run"]))


def _newest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one record of each build: pages overlap, and some were fetched while it ran."""
    keys = ["series", "run", "job"]
    queued = table["queued"].astype("float64").groupby([table[key] for key in keys])
    table = table.assign(
        queued=queued.transform("max"),
        ended=table["status"].notna() | table["has_ended"],
        # Only a pipeline's own page knows for how long it was paused.
        detailed=table["paused"].notna(),
    )
    table = table.sort_values(["ended", "detailed"], kind="stable")
    return table.drop_duplicates(keys, keep="last")


def _check_span(table: pd.DataFrame) -> None:
    end = table["start"] + table["taken"]
    outside = ~(table["start"].between(0, _LAST_MILLISECOND) & end.between(0, _LAST_MILLISECOND))
    outside |= table["taken"] < 0
    if outside.any():
        row = int(outside.to_numpy().argmax())
        raise SourceError(
            f"{table['place'].iloc[row]}: start {table['start'].iloc[row]} and duration "
            f"{table['taken'].iloc[row]} are no milliseconds since 1970 and of a build."
        )
