"""What is computed once for an object, and is no part of it.

A fitted model is not changed by a forecast, and its file holds nothing that can be computed from
the rest. What many forecasts have in common is kept here, for as long as the object lives.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["once"]

Made = TypeVar("Made")
_KEPT: WeakKeyDictionary[Any, dict[str, tuple[tuple[Any, ...], Any]]] = WeakKeyDictionary()


def once(owner: Any, name: str, parts: tuple[Any, ...], make: Callable[[], Made]) -> Made:
    """Give what `make` makes; made anew only where other parts came than the last time.

    Parameters
    ----------
    owner : object
        With it, what was made is forgotten; a copy of it starts without.
    name : str
        What it is; an owner may have several.
    parts : tuple
        All objects that the result is made of. They are compared by identity, and kept.
    make : callable

    Examples
    --------
    >>> import numpy as np
    >>> class Model: pass
    >>> model, values = Model(), np.arange(3.0)
    >>> one = once(model, "sum", (values,), lambda: [values.sum()])
    >>> one is once(model, "sum", (values,), lambda: [values.sum()])
    True
    >>> one is once(model, "sum", (values.copy(),), lambda: [values.sum()])
    False
    """
    kept = _KEPT.setdefault(owner, {})
    found = kept.get(name)
    if (
        found is not None
        and len(found[0]) == len(parts)
        and all(mine is other for mine, other in zip(found[0], parts, strict=True))
    ):
        made: Made = found[1]
        return made
    made = make()
    kept[name] = parts, made
    return made
