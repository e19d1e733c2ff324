"""Records in the documents of a JSON file: pages of an API, arrays, objects with a list inside."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import guess_columns
from sklearn_jobtime.loaders._json_paths import at_path, is_nested
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["Record", "records_of"]


_DEEPEST = 4  # objects in objects in which lists are looked for
_LOOKED_AT = 20  # records of a list whose fields are looked at
_BY_NAME = 10  # a score from here on is due to names that were given or are known
_ROLES = ("series", "run", "job", "status", STARTED_AT)
_TOTALS = ("total_entries", "total_count", "totalCount", "total", "count")
_NESTED = frozenset((dict, list))
_TOKENS = frozenset(("next_page_token", "nextPageToken", "next_cursor"))


class Record(NamedTuple):
    """An object that stands for a run or a job, and the page on which it stands.

    Parameters
    ----------
    value : dict
        What it says.
    place : str
        File and line of its document.
    page : int
        Number of its page; documents of which one says that another follows are one page.
    around : dict
        The object whose list it stands in; empty where there is none.
    total : int, default=None
        How many records its page says there are.
    """

    value: dict[str, Any]
    place: str
    page: int
    around: dict[str, Any]
    total: int | None = None


def records_of(
    documents: Iterable[tuple[str, Any]], score: Callable[[dict[str, Any]], int]
) -> tuple[list[Record], bool]:
    """Find the records of a file.

    An object is a record itself, or has one list of them, perhaps an object deeper.

    Parameters
    ----------
    documents : iterable of (str, object)
        As of :func:`~sklearn_jobtime.loaders._json_documents.json_documents`.
    score : callable
        How much an object looks like a record; 0 for not at all, 10 or more for sure.

    Returns
    -------
    records : list of Record
    is_cut : bool
        Whether the last page names one that follows it.

    Raises
    ------
    SourceError
        When several lists look alike, or nothing is an object.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_records import records_of
    >>> pages = [("a.json, line 1", {"items": [{"id": 1}], "next_page_token": "x"})]
    >>> records, is_cut = records_of(pages, lambda value: "id" in value)
    >>> [record.value for record in records], is_cut
    ([{'id': 1}], True)
    """
    records: list[Record] = []
    page, is_cut = 0, False
    for place, document in documents:
        for value in _objects(document, place):
            page += not is_cut
            records.extend(_of_object(value, place, page, score))
            is_cut = any(value[n] for n in _TOKENS & value.keys() if not is_nested(value[n]))
    return records, is_cut


def _objects(document: Any, place: str) -> Iterator[dict[str, Any]]:
    """Objects of a document, out of a list or of lists of pages."""
    if isinstance(document, list):
        for part in document:
            yield from _objects(part, place)
    elif isinstance(document, dict):
        yield document
    else:
        raise SourceError(
            f"{place}: {str(document)[:80]!r} is no object; expected objects such as "
            '{"run": 1, "job": "load"}, in a list, one a line, or in a list of an object.'
        )


def _of_object(
    value: dict[str, Any], place: str, page: int, score: Callable[[dict[str, Any]], int]
) -> list[Record]:
    if _NESTED.isdisjoint(map(type, value.values())) or not (found := dict(_lists_in(value))):
        return [Record(value, place, page, {})]
    lists = {
        path: max((score(item) for item in items[:_LOOKED_AT]), default=0)
        for path, items in found.items()
    }
    most = max(lists.values(), default=0)
    own = score(value)
    if own >= max(most, 1):
        return [Record(value, place, page, {})]
    filled = [path for path, items in found.items() if items]
    if most < _BY_NAME:
        for path in filled:
            _ask_for_around(value, path, place)
    best = [path for path in filled if lists[path] == most] if most else filled
    if len(best) > 1:
        raise SourceError(
            f"{place}: has several lists that may hold the records: {', '.join(best)}; say which, "
            f"as with columns={{'job': '{best[0]}[].name', 'started_at': "
            f"'{best[0]}[].started_at'}}."
        )
    total = next((value[t] for t in _TOTALS if type(value.get(t)) is int), None)
    return [Record(item, place, page, value, total) for path in best for item in found[path]]


def _ask_for_around(value: dict[str, Any], path: str, place: str) -> None:
    """Stop where the object around a list says what its records lack, such as the run."""
    around = guess_columns(name for name, inner in value.items() if not is_nested(inner))
    first = at_path(value, path)[0][0]
    inner = guess_columns(name for name, item in first.items() if not is_nested(item))
    lost = {role: name for role, name in around.items() if role in _ROLES and role not in inner}
    if not lost or lost == {"run": "number"} or not {STARTED_AT, ENDED_AT, "duration"} & set(inner):
        return
    named = {**lost, **{role: f"{path}[].{name}" for role, name in inner.items()}}
    raise SourceError(
        f"{place}: the objects in {path!r} have no {' and no '.join(lost)}, but the object around "
        f"them has {', '.join(map(repr, lost.values()))}; if they are the jobs, say "
        f"columns={named}, else name the columns of the object."
    )


def _lists_in(value: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Find the lists of objects in an object, and in the objects of it."""
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, list) and all(isinstance(item, dict) for item in inner):
            yield path, inner
        elif isinstance(inner, dict) and depth < _DEEPEST:
            yield from _lists_in(inner, f"{path}.", depth + 1)
