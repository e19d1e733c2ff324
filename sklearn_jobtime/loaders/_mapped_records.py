"""The log table of the records of a known system: one row a job, under the names of its roles."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._claims import Claims
from sklearn_jobtime.loaders._column_names import QUEUED_AT, SECONDS, TIMES, role_and_unit
from sklearn_jobtime.loaders._json_columns import column_of
from sklearn_jobtime.loaders._json_paths import (
    at_path,
    each_of,
    is_nested,
    missing_path,
    nested_error,
    plain_path,
)
from sklearn_jobtime.loaders._json_records import Record
from sklearn_jobtime.loaders._record_map import RecordMap
from sklearn_jobtime.loaders._record_maps import map_of
from sklearn_jobtime.loaders._series_names import series_names
from sklearn_jobtime.loaders._states import state_meaning
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["Recognition", "mapped_records"]


# What a run that has ended is called by systems that say elsewhere how it ended.
_ENDED = "completed"
_ZERO_TIME = "0001-01-01"  # of Go and .NET, for a time that is not set
_NAMES = ("series", "series_key", "run", "job", "id", "part", "try_number")
_OPTIONAL = (*SECONDS, QUEUED_AT, "job", "series")
_HIDDEN = ("series_key", "id", "part", "attempt", "try_number", "run_ended_at", "is_run", "place")


@dataclass
class Recognition:
    """What was recognised in the records of a file.

    Parameters
    ----------
    what : str
        "GitLab jobs".
    system : str
        Whose words the states are.
    mapping : dict of str to str
        Role, with its unit, to the column of the table.
    notes : list of str
        What was concluded.
    dropped : dict of str to int
        Records that were left out, by reason.
    """

    what: str
    system: str
    mapping: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)


Row = dict[str, Any]


def mapped_records(
    records: Sequence[Record],
    *,
    source: str,
    columns: Mapping[str, str | None] | None = None,
    is_cut: bool = False,
) -> tuple[pd.DataFrame, Recognition]:
    """Make one row of each job, or of each run where nothing says more.

    Parameters
    ----------
    records : sequence of Record
        Some of which are of a known system; the others are counted.
    source : str
        The place, for errors.
    columns : mapping of str to str or None, default=None
        Roles to paths that the user named; they go before those of the system.
    is_cut : bool, default=False
        Whether the last page names one that follows.

    Returns
    -------
    table : DataFrame
        A log, whose columns are those of ``recognition.mapping``.
    recognition : Recognition
    """
    kinds = [map_of(record.value) for record in records]
    known = {kind.what: kind for kind in kinds if kind is not None}
    found = _recognition(known, source)
    rows: list[Row] = []
    claims = Claims("records", "fetch the other pages")
    by_page: dict[int, list[Row]] = {}
    for record, kind in zip(records, kinds, strict=True):
        if kind is None:
            _count(found, "record of another kind")
            continue
        made = list(_rows_of(record, _with_own(kind, columns), found))
        by_page.setdefault(record.page, []).extend(made)
        rows.extend(made)
    _claim(records, by_page, claims, found.what)
    found.notes += [kind.note for kind in known.values() if kind.note] + claims.notes()
    if is_cut:
        found.notes.append("the last page names one that follows it; fetch the other pages too.")
    _check_named(rows, columns, records, source)
    rows = _of_jobs(_once_each(rows, found), found)
    _tell_lost(rows, found, source)
    series_names(rows, found.notes)
    return _as_table(rows, known.values(), columns, found), found


def _recognition(known: Mapping[str, RecordMap], source: str) -> Recognition:
    systems = {kind.system for kind in known.values()}
    if len(systems) > 1:
        raise SourceError(
            f"{source}: holds {' and '.join(known)}; put the records of each system into a file "
            "of its own."
        )
    for kind in known.values():
        if kind.refuse:
            raise SourceError(f"{source}: holds {kind.what}: {kind.refuse}.")
    found = Recognition(" and ".join(known), systems.pop())
    fields = "; ".join(k.fields.replace(" ", ", ").replace("|", " or ") for k in known.values())
    found.notes.append(f"recognised as {found.what} by its fields ({fields}).")
    return found


def _count(found: Recognition, why: str) -> None:
    found.dropped[why] = found.dropped.get(why, 0) + 1


def _with_own(
    kind: RecordMap, columns: Mapping[str, str | None] | None
) -> tuple[RecordMap, dict[str, tuple[str, ...]]]:
    """Roles of a kind, with those that the user named in their place."""
    roles = dict(kind.roles)
    for key, path in (columns or {}).items():
        role = role_and_unit(key)[0]
        roles = {k: v for k, v in roles.items() if role_and_unit(k)[0] != role}
        if role == "series":
            roles.pop("series_key", None)
        if path is not None:
            inner = plain_path(path)
            if kind.each and inner.startswith(f"{kind.each}[]."):
                inner = "each." + inner.removeprefix(f"{kind.each}[].")
            roles[key] = (inner,)
    return kind, roles


def _rows_of(
    record: Record, kind_and_roles: tuple[RecordMap, dict[str, tuple[str, ...]]], found: Recognition
) -> Iterator[Row]:
    kind, roles = kind_and_roles
    items = each_of(record.value, kind.each) if kind.each else [None]
    if not items:
        _count(found, f"run without any {kind.each}")
    names: Counter[str] = Counter()
    for place, item in enumerate(items):
        why = _reason(kind, record, item)
        if why:
            _count(found, why)
            continue
        row: Row = {key: _value(record, item, paths, kind, key) for key, paths in roles.items()}
        row |= {"is_run": kind.is_run, "place": place if kind.each else 0}
        if kind.is_numbered and row.get("job") is not None:
            names[row["job"]] += 1
            row["job"] += f" #{names[row['job']]}" if names[row["job"]] > 1 else ""
        if kind.is_touch and _number(row.get("attempt")) > 1:
            row[ENDED_AT] = None
            _note_once(
                found,
                "of runs that were run again nothing says when their last attempt ended; read "
                "the pages of their jobs.",
            )
        if row.get("run_ended_at") and row.get(ENDED_AT) is None:
            if row.get(STARTED_AT) is not None:
                _count(found, "job that never ended, though its run did")
                continue
            if state_meaning(row.get("status"), kind.system) == (None, True):
                row["status"] = "skipped"  # its run ended before it could begin
        yield row


def _number(value: Any) -> int:
    """Give the number of a try, 1 where it is not told."""
    return int(value) if re.fullmatch(r"[0-9]{1,9}", str(value)) else 1


def _reason(kind: RecordMap, record: Record, item: Any) -> str:
    for path, (values, why) in kind.left_out.items():
        if _at(record, item, path) in values:
            return why
    if kind.only is not None and _at(record, item, kind.only[0]) not in kind.only[1]:
        return kind.only[2]
    return ""


def _note_once(found: Recognition, note: str) -> None:
    if note not in found.notes:
        found.notes.append(note)


def _at(record: Record, item: Any, path: str) -> Any:
    """Value of one path, in the words of `RecordMap`; None where there is none."""
    if path == "@page":
        return f"page {record.page}"
    path, _, pattern = path.partition("~")
    if "+" in path and not pattern:
        parts = [_at(record, item, part) for part in path.split("+")]
        return None if None in parts else "/".join(map(str, parts))
    if path.startswith("^"):
        value = at_path(record.around, path[1:])[0]
    elif item is not None and path.startswith("each."):
        value = at_path(item, path.removeprefix("each."))[0]
    else:
        value = at_path(record.value, path)[0]
    if value is None or value == "":
        return None
    if pattern:
        match = re.search(pattern, str(value))
        return match[1] if match else None
    return value


def _value(record: Record, item: Any, paths: Sequence[str], kind: RecordMap, key: str) -> Any:
    """First value of a role; of several states the first that is known."""
    values = [value for path in paths if (value := _at(record, item, path)) is not None]
    if nested := [value for value in values if is_nested(value)]:
        raise nested_error(record.place, paths[0], nested[0])
    if not values:
        return None
    role = role_and_unit(key)[0]
    if role == "status":
        return next((v for v in values if state_meaning(v, kind.system)[1]), values[0])
    if role in TIMES and str(values[0]).startswith(_ZERO_TIME):
        return None
    return str(values[0]) if role in _NAMES else values[0]


def _once_each(rows: list[Row], found: Recognition) -> list[Row]:
    """Newest copy of each record, since pages overlap and are fetched while jobs run."""
    newest: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        own = ("id",) if row.get("id") else ("series_key", "part", "try_number", "place")
        key = (row["is_run"], row.get("run"), row.get("job"), *(row.get(name) for name in own))
        before = newest.get(key)
        if before is not None:
            _count(found, "copy of a record on another page")
        if before is None or row.get(ENDED_AT) is not None or before.get(ENDED_AT) is None:
            newest[key] = row
    return list(newest.values())


def _of_jobs(rows: list[Row], found: Recognition) -> list[Row]:
    """Leave whole runs out where their jobs are there, and name the series of jobs by them."""
    runs = {row.get("run"): row for row in rows if row["is_run"]}
    jobs = [row for row in rows if not row["is_run"]]
    for row in jobs:
        if row.get("series_key") is None and row.get("series") is None:
            of = runs.get(row.get("run"), {})
            row |= {name: of.get(name) for name in ("series_key", "series")}
    if any(row["series"] is None and row["series_key"] is None for row in jobs if "series" in row):
        _note_once(
            found,
            "the records do not name their pipeline, so all are one series; read the records of "
            "its runs too, or name it with --column series=PATH.",
        )
    _begin_with_runs(jobs, runs, found)
    covered = {row.get("run") for row in jobs}
    with_jobs = {_series_of(row) for row in jobs}
    alone = []
    for row in rows:
        if row["is_run"] and row.get("run") not in covered:
            if _series_of(row) in with_jobs:
                _count(found, "run whose jobs were not read")
            else:
                alone.append(row)
    return jobs + alone


def _begin_with_runs(jobs: list[Row], runs: Mapping[Any, Row], found: Recognition) -> None:
    """Let a run begin when it did, where all that is left of its first job is a later try."""
    first: dict[Any, Row] = {}
    for row in jobs:
        if row.get(STARTED_AT) is not None:
            before = first.setdefault(row.get("run"), row)
            if str(row[STARTED_AT]) < str(before[STARTED_AT]):
                first[row.get("run")] = row
    for run, row in first.items():
        start = runs.get(run, {}).get(STARTED_AT)
        is_later_try = _number(row.get("try_number")) > 1 and row.get("duration_s") is not None
        if is_later_try and start is not None and str(start) < str(row[STARTED_AT]):
            row[STARTED_AT] = start
            _note_once(
                found,
                "runs whose first task was tried again start with the DAG run; the duration of the "
                "task is that of its last try.",
            )


def _series_of(row: Row) -> Any:
    return row.get("series_key") or row.get("series")


def _tell_lost(rows: list[Row], found: Recognition, source: str) -> None:
    """Take out what says that it has ended, but not how."""
    if found.system not in ("github", "azure"):
        return
    lost = [row for row in rows if str(row.get("status")).lower() == _ENDED]
    if lost and len(lost) == len(rows):
        raise SourceError(
            f"{source}: holds {found.what} that say {_ENDED!r}, but not how they ended; ask for "
            "the field conclusion (GitHub) or result (Azure DevOps) too."
        )
    for row in lost:
        _count(found, "run that does not say how it ended")
        rows.remove(row)


def _check_named(
    rows: list[Row],
    columns: Mapping[str, str | None] | None,
    records: Sequence[Record],
    source: str,
) -> None:
    """Stop at a path of the user's that leads nowhere."""
    for key, path in (columns or {}).items():
        if path is not None and all(row.get(key) is None for row in rows):
            raise missing_path(source, path, [record.value for record in records])


def _claim(
    records: Sequence[Record], by_page: Mapping[int, list[Row]], claims: Claims, what: str
) -> None:
    """Compare the totals that pages state with what was read."""
    pages: dict[int, list[Record]] = {}
    for record in records:
        pages.setdefault(record.page, []).append(record)
    for page, of_page in pages.items():
        rows = by_page.get(page, [])
        keys = {(_series_of(row), None if row["is_run"] else row.get("run")) for row in rows}
        part = keys.pop() if len(keys) == 1 else None
        ids = (str(r.value.get("id", id(r))) for r in of_page)
        claims.add(what, of_page[0].total, ids, part)


def _as_table(
    rows: list[Row],
    kinds: Any,
    columns: Mapping[str, str | None] | None,
    found: Recognition,
) -> pd.DataFrame:
    """Columns by role, called by the field that they are from."""
    labels: dict[str, str] = {}
    for kind in kinds:
        roles = _with_own(kind, columns)[1]
        for key, paths in roles.items():
            role = "series" if key == "series_key" else key
            labels.setdefault(role, paths[0].replace("each.", f"{kind.each}[].").partition("~")[0])
    for key in _HIDDEN:
        labels.pop(key, None)
    data = {}
    for key, label in labels.items():
        values = [row.get(key) for row in rows]
        if role_and_unit(key)[0] in _OPTIONAL and all(value is None for value in values):
            continue
        column = label if label not in data else f"{label} ({key})"
        data[column] = values
        found.mapping[key] = column
    table = pd.DataFrame({name: column_of(values) for name, values in data.items()})
    if any(row.get("part") is not None for row in rows):
        table["part"] = column_of([row.get("part") for row in rows])
        found.mapping["part"] = "part"
    return table
