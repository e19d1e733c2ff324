"""Which column of somebody's table is which of the long table, chosen or guessed from its name."""

import re
from collections.abc import Iterable, Mapping, Sequence

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = [
    "EPOCH_UNITS",
    "SECONDS",
    "TIMES",
    "guess_columns",
    "is_project",
    "map_columns",
    "role_and_unit",
    "short_clock_of",
    "told_unit",
    "unit_of",
]


QUEUED_AT = "queued_at"
QUEUED_SECONDS = "queued_seconds"
TIMES = (STARTED_AT, ENDED_AT, QUEUED_AT)
SECONDS = ("duration", QUEUED_SECONDS)

# Usual names, the best first, without case, spaces and underscores.
USUAL = {
    "series": "series dag dagid dagname pipeline pipelinename pipelineid workflow workflowname "
    "workflowid flow flowname project projectid projectname repository repositoryname reponame "
    "repo",
    "run": "run runid runnumber runno dagrunid pipelinerunid workflowrunid build buildid "
    "buildnumber buildno execution executionid batch batchid executiondate logicaldate "
    "number",
    "job": "job jobname task taskname taskid step stepname stage stagename name",
    STARTED_AT: "startedat started starttime start startts starttimestamp startdatetime startdate "
    "begin begintime beginat beganat begints startedon timestart",
    ENDED_AT: "endedat ended endtime end endts endtimestamp enddatetime enddate finishedat "
    "finished finishtime finish completedat completedon completiontime stoppedat stoptime stopdate "
    "stop endedon timeend",
    "duration": "duration elapsed elapsedtime runtime totalduration took walltime exectime "
    "executiontime seconds",
    # How it ended before where it is: Azure and GitHub call a failed run "completed" as well.
    "status": "conclusion outcome result buildresult runresult jobresult taskresult resultstate "
    "finalstatus finalstate status state jobstatus jobstate taskstatus taskstate runstatus "
    "runstate buildstatus buildstate exitstatus exitcode returncode retcode rc success succeeded "
    "successful issuccess ok passed failed isfailed iserror haserror",
    QUEUED_AT: "queuedat enqueuedat submittedat submittime submit",
    QUEUED_SECONDS: "queued queuetime wait waittime",
}
_PROJECTS = frozenset(
    ["project", "projectid", "projectname", "repository", "repositoryname", "reponame", "repo"]
)
EPOCH_UNITS = {
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "micros", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanoseconds"), 1e-9),
}
UNITS = {
    **EPOCH_UNITS,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
}


def _words(name: object) -> list[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(name))
    return [word.lower() for word in re.split(r"[\W_]+", apart) if word]


def unit_of(name: object, units: Mapping[str, float] = UNITS) -> float:
    """Seconds in one unit of a column, told from the last word of its name; 1 when it tells none.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._column_names import unit_of
    >>> unit_of("elapsed_ms"), unit_of("durationMin"), unit_of("runtime")
    (0.001, 60.0, 1.0)
    """
    return units.get(_words(name)[-1], 1.0) if _words(name) else 1.0


def told_unit(name: object, units: Mapping[str, float] = UNITS) -> float | None:
    """Seconds in one unit of a column, as :func:`unit_of`; None when its name tells none."""
    words = _words(name)
    return units.get(words[-1]) if words else None


def short_clock_of(name: object) -> str:
    """Tell what ``02:03`` is in a column of this name, as `to_seconds` takes it: "ask" if open.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._column_names import short_clock_of
    >>> short_clock_of("took (hh:mm)"), short_clock_of("elapsed_mmss"), short_clock_of("took")
    ('hours', 'minutes', 'ask')
    """
    words = "".join(_words(name))
    if words.endswith("hhmm"):
        return "hours"
    return "minutes" if words.endswith("mmss") else "ask"


def is_project(name: str) -> bool:
    """Tell a column of projects or repositories, whose workflows may have names in common.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._column_names import is_project
    >>> is_project("Repository_Name"), is_project("workflow")
    (True, False)
    """
    return "".join(_words(name)) in _PROJECTS


def role_and_unit(key: str) -> tuple[str, str | None]:
    """Role of a key of `columns=`, and the unit that it tells: ``duration_ms`` is a duration.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._column_names import role_and_unit
    >>> role_and_unit("duration_ms"), role_and_unit("queued_seconds"), role_and_unit("event_s")
    (('duration', 'ms'), ('queued_seconds', None), ('event_s', None))
    """
    role, _, unit = key.rpartition("_")
    if key not in USUAL and (
        (role in TIMES and (unit in EPOCH_UNITS or UNITS.get(unit) == 1))
        or (role in SECONDS and (unit in UNITS or short_clock_of(unit) != "ask"))
    ):
        return role, unit
    return key, None


def guess_columns(columns: Iterable[object]) -> dict[str, str]:
    """Guess which column of a table is which, from the names that people usually give.

    Case, spaces and underscores do not count, and a time or a duration may end in its unit:
    `started_at`, `StartTime`, `start_date` and `start_ms` are all a start.

    Parameters
    ----------
    columns : iterable of str
        The names of the table.

    Returns
    -------
    dict of str to str
        Column of the long table to column of this table, for those that were found. Of several
        that fit, the more usual one: `job_name` before `name`, `conclusion` before `status`.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._column_names import guess_columns
    >>> guess_columns(["dag_id", "Task", "start_date", "elapsed_ms", "colour"])
    {'series': 'dag_id', 'job': 'Task', 'started_at': 'start_date', 'duration': 'elapsed_ms'}
    """
    named: dict[str, str] = {}
    with_unit: dict[str, str] = {}
    for column in map(str, columns):
        words = _words(column)
        named.setdefault("".join(words), column)
        if words and words[-1] in UNITS:
            with_unit.setdefault("".join(words[:-1]), column)
    guess: dict[str, str] = {}
    for name, usual in USUAL.items():
        found = [named[u] for u in usual.split() if u in named]
        if name in (*TIMES, *SECONDS):
            units = UNITS if name in SECONDS else EPOCH_UNITS
            found += [
                with_unit[u]
                for u in usual.split()
                if u in with_unit and _words(with_unit[u])[-1] in units
            ]
        if found := [column for column in found if column not in guess.values()]:
            guess[name] = found[0]
    return guess


def map_columns(
    columns: Iterable[object],
    chosen: Mapping[str, str | None] | None = None,
    *,
    source: str,
    inside: Sequence[str] = (),
) -> dict[str, str]:
    """Decide which column of a table is which: what the user chose, and a guess for the rest.

    Parameters
    ----------
    columns : iterable of str
        The names of the table.
    chosen : mapping of str to str or None, default=None
        Column of the long table to column of this table, such as ``{"run": "build_no"}``; it wins
        over the guess. None says that the table has no such column. A name that is not of the
        long table, such as ``{"event": "trigger"}``, is kept as a covariate under this name.
        A time or a duration may tell its unit: ``{"duration_ms": "took"}``.
    source : str
        The place, for errors.
    inside : sequence of str, default=()
        Paths to values inside of objects, for errors.

    Returns
    -------
    dict of str to str
        As of :func:`guess_columns`; it has a start, an end or a duration enough to tell both.

    Raises
    ------
    SourceError
        When a chosen column is missing, a needed one stands twice, or there are too few times.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._column_names import map_columns
    >>> map_columns(["no", "start", "end"], {"run": "no"}, source="builds.csv")
    {'run': 'no', 'started_at': 'start', 'ended_at': 'end'}
    >>> map_columns(["no", "start"], source="builds.csv")
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.SourceError: builds.csv: found no column for the end or the ...
    """
    names = [str(column) for column in columns]
    chosen = dict(chosen or {})
    for key, column in chosen.items():
        if column is not None and column not in names:
            raise SourceError(
                f"{source}: has no column {column!r} for {key!r}; it has {names}. Correct columns=."
            )
    taken = set(chosen.values())
    roles = {role_and_unit(key)[0] for key in chosen}
    mapping = {key: column for key, column in chosen.items() if column is not None}
    for key, column in guess_columns(name for name in names if name not in taken).items():
        if key not in roles:
            mapping[key] = column
    if twice := [column for column in mapping.values() if names.count(column) > 1]:
        raise SourceError(
            f"{source}: the column {twice[0]!r} stands twice; rename one, in a query with AS."
        )
    found = {role_and_unit(key)[0] for key in mapping}
    if not ({STARTED_AT, ENDED_AT} <= found or "duration" in found):
        missing = "the end or the duration" if STARTED_AT in found else "the start"
    elif not {STARTED_AT, ENDED_AT} & found:
        missing = "the start"
    else:
        return mapping
    more = f", and inside of objects {', '.join(inside)}" if inside else ""
    raise SourceError(
        f"{source}: found no column for {missing} of a job among {names}{more}; name yours, for "
        "example "
        "columns={'run': 'build_no', 'job': 'step', 'started_at': 'begin', 'ended_at': 'done'}."
    )
