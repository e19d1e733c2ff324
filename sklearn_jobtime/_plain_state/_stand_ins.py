"""What stands in a file for an object that skops does not know: its kind, and plain parts."""

import json
from collections import deque
from datetime import tzinfo
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["StandIn", "stand_in"]


class StandIn:
    """An object as its kind and plain parts; made again, it is the object itself.

    skops stores an object whose ``__reduce__`` gives its own type and arguments as that, and calls
    the type when it loads the file.
    """

    kind: str
    parts: tuple[Any, ...]

    def __new__(cls, kind: str, *parts: Any) -> Any:
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r} of object")
        make, *types = KINDS[kind]
        if types and types[-1] is ...:  # the type before it, any number of times
            types[-2:] = types[-2:-1] * (len(parts) - len(types) + 2)
        if len(parts) != len(types) or not all(map(isinstance, parts, types)):
            raise ValueError(f"what {kind!r} is made of has other types than expected")
        return make(*parts)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return StandIn, (self.kind, *self.parts)


def stand_in(kind: str, *parts: Any) -> StandIn:
    """Make a stand-in to store; its parts are plain."""
    made: StandIn = object.__new__(StandIn)
    made.kind, made.parts = kind, parts
    return made


def _objects(items: list[Any], *shape: int) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        array[place] = item
    return array.reshape(shape)


def _dict(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    return dict(zip(keys, values, strict=True))


def _texts(text: str, *shape: int) -> np.ndarray:
    return _objects(json.loads(text), *shape)


def _times(values: np.ndarray, zone: Any, freq: str | None, name: Any) -> pd.DatetimeIndex:
    index = pd.DatetimeIndex(values, name=name)
    if zone is not None:
        index = index.tz_localize("UTC").tz_convert(zone)
    if freq is not None:
        index.freq = pd.tseries.frequencies.to_offset(freq)
    return index


def _time_column(values: np.ndarray, zone: Any) -> Any:
    return _times(values, zone, None, None).array


def _durations(values: np.ndarray, freq: str | None, name: Any) -> pd.TimedeltaIndex:
    index = pd.TimedeltaIndex(values, name=name)
    if freq is not None:
        index.freq = pd.tseries.frequencies.to_offset(freq)
    return index


def _timestamp(value: int, unit: Any, zone: Any) -> pd.Timestamp:
    moment = pd.Timestamp(np.datetime64(value, unit))
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)


def _timedelta(value: int, unit: Any) -> pd.Timedelta:
    return pd.Timedelta(np.timedelta64(value, unit))


def _text_dtype(storage: str, missing: Any) -> Any:
    if missing is pd.NA:  # pandas 2.2 knows no other
        return pd.StringDtype(storage)
    return pd.StringDtype(storage, na_value=missing)


def _text_column(text: str, storage: str, missing: Any) -> Any:
    return pd.array(json.loads(text), dtype=_text_dtype(storage, missing))


def _named_dtype(name: str) -> Any:
    """Give a type of numbers with a mask, or of Arrow."""
    return pd.api.types.pandas_dtype(name) if name.endswith("[pyarrow]") else _MASKED[name]


def _masked_column(values: np.ndarray, mask: np.ndarray, dtype: str) -> Any:
    column = pd.array(values, dtype=_named_dtype(dtype))
    column[mask] = pd.NA
    return column


def _arrow_column(items: list[Any], dtype: str) -> Any:
    return pd.array(items, dtype=_named_dtype(dtype))


def _category_dtype(categories: pd.Index | None, ordered: bool) -> Any:
    return pd.CategoricalDtype(categories, ordered=ordered)


def _categories(codes: np.ndarray, categories: pd.Index, ordered: bool) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories, ordered=ordered)


def _index(values: Any, name: Any) -> pd.Index:
    return pd.Index(values, name=name, dtype=values.dtype)


def _range(start: int, stop: int, step: int, name: Any) -> pd.RangeIndex:
    return pd.RangeIndex(start, stop, step, name=name)


def _levels(levels: list[Any], codes: list[Any], names: list[Any]) -> pd.MultiIndex:
    return pd.MultiIndex(levels, codes, names=names)


def _frame(
    columns: list[Any], names: pd.Index, index: pd.Index, attrs: dict[str, Any]
) -> pd.DataFrame:
    parts = {place: _series(column, index, None) for place, column in enumerate(columns)}
    frame = pd.DataFrame(parts, index=index)
    frame.columns = names
    frame.attrs = attrs
    return frame


def _series(values: Any, index: pd.Index, name: Any) -> pd.Series:
    if values.shape != (len(index),):
        raise ValueError("a column has another length than its table")
    return pd.Series(values, index, dtype=values.dtype, name=name, copy=True)


def _generator(
    state: dict[str, Any], entropy: Any, spawn_key: tuple[int, ...], n_spawned: int
) -> np.random.Generator:
    seed = np.random.SeedSequence(entropy, spawn_key=spawn_key, n_children_spawned=n_spawned)
    bits = _BIT_GENERATORS[state["bit_generator"]](seed)
    bits.state = state
    return np.random.Generator(bits)


def _random_state(state: dict[str, Any]) -> np.random.RandomState:
    made = np.random.RandomState(_BIT_GENERATORS[state["bit_generator"]](0))
    made.set_state(state)
    return made


def _trees(fields: list[Any], sizes: np.ndarray, n_outputs: int) -> list[list[Any]]:
    """Make boosted trees from the fields of their nodes, all trees one after another."""
    trees = import_module("sklearn.ensemble._hist_gradient_boosting.predictor")
    if (
        sizes.ndim != 1
        or (sizes < 1).any()
        or {field.shape for field in fields} != {(sizes.sum(),)}
    ):
        raise ValueError("the nodes of the trees are not as many as they should be")
    nodes = np.empty(sizes.sum(), trees.PREDICTOR_RECORD_DTYPE)
    for name, field in zip(nodes.dtype.names or (), fields, strict=True):
        nodes[name] = field.astype(nodes.dtype[name], casting="safe")
    splits = np.flatnonzero(nodes["is_leaf"] == 0)
    places = np.concatenate([np.arange(size) for size in sizes])[splits]
    ends = np.repeat(sizes, sizes)[splits]
    # Compiled code follows these indices without a check. Children come after their parent, so
    # that every walk ends.
    leads_out = any(
        ((nodes[side][splits] <= places) | (nodes[side][splits] >= ends)).any()
        for side in ("left", "right")
    )
    if leads_out or nodes["is_categorical"].any():
        raise ValueError("the nodes of a tree lead out of it")
    no_categories = np.empty((0, 8), dtype=np.uint32)
    made = [
        trees.TreePredictor(part, no_categories, no_categories)
        for part in np.split(nodes, np.cumsum(sizes)[:-1])
    ]
    return [made[place : place + n_outputs] for place in range(0, len(made), n_outputs)]


def _loss(name: str, *arguments: float) -> Any:
    if name not in _LOSSES:
        raise ValueError(f"{name!r} is no loss")
    return getattr(import_module("sklearn._loss._loss"), name)(*arguments)


def _job_graph(nodes: list[Any], edges: list[Any]) -> Any:
    """Make a graph of jobs; a node is its name and what is said of it, an edge has two names."""
    graph = import_module("networkx").DiGraph()
    for name, said in nodes:
        graph.add_node(name, **said)
    for before, after, said in edges:
        graph.add_edge(before, after, **said)
    return graph


_MASKED = {
    str(dtype): dtype
    for dtype in (
        *(pd.api.types.pandas_dtype(f"Int{bits}") for bits in (8, 16, 32, 64)),
        *(pd.api.types.pandas_dtype(f"UInt{bits}") for bits in (8, 16, 32, 64)),
        pd.Float32Dtype(),
        pd.Float64Dtype(),
        pd.BooleanDtype(),
    )
}  # fmt: skip
_BIT_GENERATORS: dict[str, Any] = {
    cls.__name__: cls
    for cls in (np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM, np.random.Philox,
                np.random.SFC64)
}  # fmt: skip
_LOSSES = (
    "CyAbsoluteError", "CyHalfGammaLoss", "CyHalfPoissonLoss", "CyHalfSquaredError",
    "CyPinballLoss",
)  # fmt: skip
# How each kind is made, and of what. The types are checked, for a range in the place of a list, or
# one number in that of a column, would fill the memory.
_ZONE = tzinfo | None
_COLUMN = np.ndarray | pd.api.extensions.ExtensionArray
KINDS: dict[str, tuple[Any, ...]] = {
    "NA": (lambda: pd.NA,),
    "NaT": (lambda: pd.NaT,),
    "Timedelta": (_timedelta, int, str),
    "Timestamp": (_timestamp, int, str, _ZONE),
    "arrow column": (_arrow_column, list, str),
    "categories": (_categories, np.ndarray, pd.Index, bool),
    "category dtype": (_category_dtype, pd.Index | None, bool),
    "deque": (deque, list, int | None),
    "dict": (_dict, list, list),
    "dtype": (np.dtype, str),
    "durations": (_durations, np.ndarray, str | None, object),
    "frame": (_frame, list, pd.Index, pd.Index, dict),
    "frozenset": (frozenset, list),
    "generator": (_generator, dict, object, tuple, int),
    "index": (_index, _COLUMN, object),
    "job graph": (_job_graph, list, list),
    "levels": (_levels, list, list, list),
    "loss": (_loss, str, float, ...),
    "masked column": (_masked_column, np.ndarray, np.ndarray, str),
    "named dtype": (_named_dtype, str),
    "objects": (_objects, list, int, ...),
    "random state": (_random_state, dict),
    "range": (_range, int, int, int, object),
    "scalar": (lambda array: array[()], np.ndarray),
    "series": (_series, _COLUMN, pd.Index, object),
    "slice": (slice, object, object, object),
    "text column": (_text_column, str, str, object),
    "text dtype": (_text_dtype, str, object),
    "texts": (_texts, str, int, ...),
    "time column": (_time_column, np.ndarray, _ZONE),
    "time dtype": (pd.DatetimeTZDtype, str, tzinfo),
    "trees": (_trees, list, np.ndarray, int),
    "times": (_times, np.ndarray, _ZONE, str | None, object),
}
