"""A model from a file of skops' format: names and sizes first, then the objects."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sklearn_jobtime._plain_state._archive import (
    SCHEMA,
    array_of,
    checked_members,
    content_of,
    most_unpacked,
)
from sklearn_jobtime._plain_state._trusted_types import (
    CLASSES,
    CONSTRUCTORS,
    FUNCTIONS,
    check,
    trusted,
)
from sklearn_jobtime.exceptions import ModelFileError

__all__ = ["read"]

PROTOCOL = 2  # of skops 0.16
Node = dict[str, Any]


def read(path: Path) -> Any:
    """Make the model in a file.

    Nothing of the file is unpickled or imported by its own names, and no object is made before
    every name in the file has been found on the list.

    Raises
    ------
    ModelFileError
        When the file names a type that is not on the list; the message has all of them.
    Exception
        When it is no such file, or is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        size = path.stat().st_size
        checked_members(archive, size)
        schema = json.loads(content_of(archive, SCHEMA))
        if not isinstance(schema, dict) or schema.get("protocol") != PROTOCOL:
            raise ValueError(f"{SCHEMA} is not of protocol {PROTOCOL} of skops")
        untrusted = sorted({name for name in _untrusted(schema) if name})
        if untrusted:
            raise ModelFileError(
                f"{path}: names what it may not: {', '.join(untrusted)}; nothing was loaded. "
                "Expected a file that save_model has written; ask who made this one."
            )
        return _Builder(archive, most_unpacked(size)).made(schema)


def _name(node: Node) -> str:
    return f"{node['__module__']}.{node['__class__']}"


def _untrusted(node: Node) -> Iterator[str]:
    """Names in a node and below it that are not on the list of what its kind may name."""
    loader = node["__loader__"]
    if loader not in _LOADERS:
        yield f"{_name(node)} ({loader})"
        return
    names, _ = _LOADERS[loader]
    if _name(node) not in names:
        yield _name(node)
    for child in _children(node):
        yield from _untrusted(child)


def _children(node: Node) -> Iterator[Node]:
    content = node.get("content")
    if node["__loader__"] == "DictNode":
        yield from content.values()  # type: ignore[union-attr]
    elif isinstance(content, list):
        yield from content
    elif isinstance(content, dict):
        yield content


def _same(one: Any, other: Any) -> bool:
    """Whether two nodes say the same, whatever the numbers of their parts."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            key == "__id__" or _same(one[key], other[key]) for key in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


class _Builder:
    """Makes each object once, its parts first."""

    def __init__(self, archive: zipfile.ZipFile, most_bytes: int) -> None:
        self.archive, self.bytes_left = archive, most_bytes
        self._made: dict[Any, tuple[Node | None, Any]] = {}

    def made(self, node: Node) -> Any:
        key = node["__id__"]
        if key in self._made:
            first, value = self._made[key]
            # Otherwise a few lines could stand for more objects than any memory holds.
            if first is None or not _same(first, node):
                raise ValueError("two objects have the same number")
            return value
        self._made[key] = None, None  # an object that is part of itself
        _, make = _LOADERS[node["__loader__"]]
        value = make(self, node)
        self._made[key] = node, value
        return value

    def all_made(self, nodes: list[Node]) -> list[Any]:
        return [self.made(node) for node in nodes]

    def mapping(self, node: Node) -> dict[str, Any]:
        keys = node["key_types"]["content"]
        if any(key["__loader__"] != "TypeNode" or _name(key) != "builtins.str" for key in keys):
            raise ValueError("the keys of a dict are no text")
        made = trusted(_name(node))()
        made.update({key: self.made(value) for key, value in node["content"].items()})
        return made

    def number(self, node: Node) -> Any:
        value = json.loads(node["content"])
        if isinstance(value, dict | list):
            raise ValueError("expected one number or text")
        return value

    def array(self, node: Node) -> Any:
        if node["type"] != "numpy":
            raise ValueError("an array holds objects")
        content = content_of(self.archive, node["file"])
        self.bytes_left -= len(content)  # equal arrays are stored once, and made each time
        if self.bytes_left < 0:
            raise ValueError("it would unpack to far more than a model needs")
        return array_of(content)

    def instance(self, node: Node) -> Any:
        cls = trusted(_name(node))
        instance = cls.__new__(cls)
        state = (self.made(node["content"]) if node.get("content") else None) or {}
        if type(state) is not dict:
            raise ValueError(f"the state of {cls.__name__} is no dict")
        if hasattr(instance, "__setstate__"):
            instance.__setstate__(state)
        else:
            instance.__dict__.update(state)
        check(instance, state)
        return instance


# What each kind of node may name, and how it is made. Other kinds of skops (functions with
# arguments, methods, operators, trees) have no place in a model of ours.
_LOADERS: dict[str, tuple[frozenset[str], Callable[[_Builder, Node], Any]]] = {
    "ConstructorFromReduceNode": (
        CONSTRUCTORS,
        lambda b, n: trusted(_name(n))(*b.made(n["content"])),
    ),
    "DictNode": (frozenset({"builtins.dict", "sklearn.utils._bunch.Bunch"}), _Builder.mapping),
    "FunctionNode": (FUNCTIONS, lambda _, n: trusted(_name(n))),
    "JsonNode": (frozenset({"builtins.str"}), _Builder.number),
    "ListNode": (frozenset({"builtins.list"}), lambda b, n: b.all_made(n["content"])),
    "NdArrayNode": (frozenset({"numpy.ndarray"}), _Builder.array),
    "ObjectNode": (CLASSES, _Builder.instance),
    "SetNode": (frozenset({"builtins.set"}), lambda b, n: set(b.all_made(n["content"]))),
    "TupleNode": (frozenset({"builtins.tuple"}), lambda b, n: tuple(b.all_made(n["content"]))),
    "TypeNode": (FUNCTIONS, lambda _, n: trusted(_name(n))),
}
