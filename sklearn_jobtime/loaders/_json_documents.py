"""JSON documents of a service's API, with a place for each so that an error can name it."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._open_file import MAX_BYTES, open_text
from sklearn_jobtime.loaders._text import is_unicode

__all__ = ["field", "json_documents", "names_in"]


_SPACE = " \t\r\n"
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    NoneType: "null",
}


def json_documents(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Iterator[tuple[str, Any]]:
    """Read one document, JSON lines, or the pages that an API client printed one after another.

    Parameters
    ----------
    path : str or Path
        The file, plain or gzip.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Yields
    ------
    place : str
        The file, and the line in which the document begins.
    document : object
        What it says.

    Raises
    ------
    SourceError
        When the file cannot be read or is no JSON; with file, line and column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders._json_documents import json_documents
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "pages.json")
    ...     _ = path.write_text('{"page": 1}{"page": 2}')
    ...     print([document for _, document in json_documents(path)])
    [{'page': 1}, {'page': 2}]
    """
    with open_text(path, max_bytes=max_bytes) as stream:
        text = stream.read()
    decoder = json.JSONDecoder()
    line, seen, position = 1, 0, _skip_space(text, 0)
    if position == len(text):
        raise SourceError(f"{path}: holds nothing but blanks; check the export that wrote it.")
    while position < len(text):
        line += text.count("\n", seen, position)
        seen = position
        try:
            document, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise SourceError(
                f"{path}, line {error.lineno}, column {error.colno}: is no JSON ({error.msg}); "
                "expected whole documents, so fetch the page again if it was cut off."
            ) from error
        except (RecursionError, ValueError) as error:
            raise SourceError(f"{path}, line {line}: cannot be decoded ({error}).") from error
        yield f"{path}, line {line}", document
        position = _skip_space(text, position)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def field(record: Any, name: str, kinds: type | tuple[type, ...], place: str) -> Any:
    """Value of a field that must be there and be of one of `kinds`.

    Parameters
    ----------
    record : object
        A part of a document; anything else than an object (dict) is an error.
    name : str
        The field.
    kinds : type or tuple of types
        What its value may be: dict, list, str, int, bool, NoneType.
    place : str
        Where `record` stands, for the message.

    Raises
    ------
    SourceError
        With the place, what was expected and what is there.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_documents import field
    >>> field({"id": "x"}, "id", int, "jobs.json, line 1, jobs[0]")
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.SourceError: jobs.json, line 1, jobs[0].id: expected a whole number,
    got 'x'.
    """
    if not isinstance(record, dict):
        raise SourceError(
            f"{place}: expected an object with a field {name!r}, got {str(record)[:80]!r}."
        )
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if name not in record and NoneType not in kinds:
        raise SourceError(
            f"{place}: expected a field {name!r}, it has only {names_in(record) or 'none'}; "
            "ask the source for this field too."
        )
    value = record.get(name)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(_KINDS[kind] for kind in kinds)
        raise SourceError(f"{place}.{name}: expected {expected}, got {str(value)[:80]!r}.")
    if isinstance(value, str) and not is_unicode(value):
        raise SourceError(
            f"{place}.{name}: {value[:80]!r} holds half of a character, which is no text; correct "
            "it."
        )
    return value


def names_in(record: Iterable[str]) -> str:
    r"""Names of the fields of an object, in one line that can be printed.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._json_documents import names_in
    >>> names_in({"id": 1, "a\ud800": 2})
    'id, a\\ud800'
    """
    return ", ".join(name if name.isprintable() else repr(name)[1:-1] for name in record)[:200]
