"""Paths into records: ``pipeline.id``, ``steps.0.name``, and ``jobs[].name`` for each job."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sklearn_jobtime.exceptions import SourceError

__all__ = [
    "at_path",
    "each_of",
    "is_nested",
    "missing_path",
    "nested_error",
    "paths_of",
    "plain_path",
]


_MOST = 40  # paths that a message lists
_DEEPEST = 6
_LISTED = 20  # records whose paths are looked at


def plain_path(path: str) -> str:
    """Write a path in the one form: ``steps[0].name`` is ``steps.0.name``.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_paths import plain_path
    >>> plain_path("steps[-1].name"), plain_path("jobs[].name")
    ('steps.-1.name', 'jobs[].name')
    """
    return re.sub(r"\[(-?\d+)\]", r".\1", path)


def at_path(record: Any, path: str) -> tuple[Any, bool]:
    """Value at a path, and whether the path is there; what is below a null is null.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_paths import at_path
    >>> record = {"pipeline": {"id": 7}, "a.b": 1, "steps": [{"name": "load"}]}
    >>> [at_path(record, path)[0] for path in ("pipeline.id", "a.b", "steps.-1.name")]
    [7, 1, 'load']
    """
    if record is None:
        return None, True
    if isinstance(record, list):
        return _in_list(record, path)
    if not isinstance(record, dict):
        return None, False
    if path in record:
        return record[path], True
    # A key may hold a point itself, so the longest one goes first.
    for at in reversed([at for at, letter in enumerate(path) if letter == "."]):
        if path[:at] in record:
            value, found = at_path(record[path[:at]], path[at + 1 :])
            if found:
                return value, True
    return None, False


def _in_list(items: list[Any], path: str) -> tuple[Any, bool]:
    head, _, rest = path.partition(".")
    if not re.fullmatch(r"-?\d+", head):
        return None, False
    place = int(head)
    if not -len(items) <= place < len(items):
        return None, True
    return at_path(items[place], rest) if rest else (items[place], True)


def is_nested(value: Any) -> bool:
    """Tell objects and lists, which are no value of a column."""
    return isinstance(value, dict | list)


def missing_path(source: str, path: str, records: Iterable[Any]) -> SourceError:
    """Say that no record has a path, and which there are."""
    return SourceError(
        f"{source}: no record has a value at {path!r}; there are {', '.join(paths_of(records))}. "
        "Correct columns=."
    )


def nested_error(place: str, path: str, value: Any) -> SourceError:
    """Say that a path leads to no value, and what is below it."""
    what = "a list" if isinstance(value, list) else "an object"
    below = list(_below(value, path, 0))[:_MOST]
    return SourceError(
        f"{place}: {path!r} leads to {what}, not to a value; "
        + (f"below it: {', '.join(below)}." if below else "it is empty.")
    )


def each_of(record: Any, path: str) -> list[Any]:
    """Objects of the list at a path; none where there is no list.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_paths import each_of
    >>> each_of({"build": {"jobs": [{"name": "a"}]}}, "build.jobs")
    [{'name': 'a'}]
    """
    value, _ = at_path(record, path)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def paths_of(records: Iterable[Any]) -> list[str]:
    """Paths that lead to values in the first of some records, for messages.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_paths import paths_of
    >>> paths_of([{"id": 7, "timing": {"start": "4:00"}, "jobs": [{"name": "a"}], "tags": ["x"]}])
    ['id', 'timing.start', 'jobs[].name', 'tags.0']
    """
    found: dict[str, None] = {}
    for number, record in enumerate(records):
        if number == _LISTED:
            break
        found.update(dict.fromkeys(_below(record, "", 0)))
    return list(found)[:_MOST]


def _below(value: Any, prefix: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below(inner, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif isinstance(value, list):
        if value and isinstance(value[0], dict):
            yield from _below(value[0], f"{prefix}[]", depth + 1)
        elif value:
            yield from _below(value[0], f"{prefix}.0", depth + 1)
    elif prefix:
        yield prefix
