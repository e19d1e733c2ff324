"""A model as plain parts, stored by skops."""

import json
import re
import zipfile
from collections import deque
from datetime import date, datetime, time, timedelta, timezone
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime._plain_state._archive import SCHEMA, most_unpacked
from sklearn_jobtime._plain_state._stand_ins import stand_in
from sklearn_jobtime._plain_state._trusted_types import CLASSES, FUNCTIONS, check
from sklearn_jobtime.exceptions import ModelFileError

__all__ = ["plain_copy", "write"]

LEAST_PACKED = 1024
_FILE = re.compile(r'"file":"([0-9]+\.npy)"')  # in text of a model, quotes are escaped


def write(model: Any, path: Path, comment: bytes) -> None:
    """Store a model in a new file at `path`; `comment` stands at the end of the archive.

    Raises
    ------
    ModelFileError
        When skops is not installed, or the model holds what is not on the list.
    """
    try:
        import skops.io  # noqa: PLC0415 - imports all of scikit-learn
    except ImportError as error:
        raise ModelFileError(
            "a .skops file is written with skops, which is not installed; run `pip install "
            '"sklearn-jobtime[skops]"`, or name the file .joblib.'
        ) from error
    content = BytesIO()
    skops.io.dump(plain_copy(model), content)
    packed = _packed(content, zipfile.ZIP_DEFLATED, comment)
    if packed is None:
        packed = _packed(content, zipfile.ZIP_STORED, comment)
    path.write_bytes(cast(BytesIO, packed).getbuffer())


def _packed(content: BytesIO, method: int, comment: bytes) -> BytesIO | None:
    """Pack what skops has written; None if a reader would think that it unpacks to too much.

    skops indents its schema, and stores equal arrays again: about half of a model, whose parts
    have seen the same runs. Small arrays would not shrink.
    """
    packed, size = BytesIO(), 0
    names: dict[bytes, str] = {}  # the first member of each content
    firsts: dict[str, str] = {}
    with zipfile.ZipFile(content) as found, zipfile.ZipFile(packed, "w") as archive:
        archive.comment = comment
        for name in [*(name for name in found.namelist() if name != SCHEMA), SCHEMA]:
            member = found.read(name)
            if name == SCHEMA:
                text = json.dumps(json.loads(member), separators=(",", ":"))
                member = _FILE.sub(lambda file: f'"file":"{firsts[file[1]]}"', text).encode()
            size += len(member)
            if method == zipfile.ZIP_DEFLATED:
                firsts[name] = names.setdefault(sha256(member).digest(), name)
            else:
                firsts[name] = name
            if firsts[name] == name:
                is_small = len(member) < LEAST_PACKED
                archive.writestr(name, member, zipfile.ZIP_STORED if is_small else method)
        written = sum(member.compress_size for member in archive.infolist())
    return None if size > most_unpacked(written) else packed


def plain_copy(model: Any) -> Any:
    """Copy a model with stand-ins for what skops does not know; arrays are shared.

    Raises
    ------
    ModelFileError
        When the model holds types that are not on the list; the message names all of them.
    """
    copier = _Copier()
    plain = copier.plain(model)
    if copier.refused:
        names = ", ".join(sorted(copier.refused))
        raise ModelFileError(
            f"{type(model).__name__} holds what no .skops file may hold here: {names}; store it "
            "as .joblib, or leave that out of the model."
        )
    return plain


_ATOMS = (
    bool, int, float, str, type(None), date, datetime, time, timedelta, timezone, ZoneInfo,
)  # fmt: skip
_GRAPH = "networkx.classes.digraph.DiGraph"  # by name: most models have none, and load faster
_TREES = {"_predictors"}  # of histogram gradient boosting
_MISSING = {id(pd.NA): "NA", id(pd.NaT): "NaT"}


class _Copier:
    """Copies each object once, so that what is shared stays shared."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self._copies: dict[int, tuple[Any, Any]] = {}  # with the object, whose id it keeps

    def plain(self, value: Any) -> Any:
        if type(value) in _ATOMS:
            return value
        if id(value) in self._copies:
            known, copied = self._copies[id(value)]
            if known is None:
                raise ModelFileError("an object that is part of itself; store it as .joblib")
            return copied
        self._copies[id(value)] = None, None
        copied = self._copy(value)
        self._copies[id(value)] = value, copied
        return copied

    def _copy(self, value: Any) -> Any:  # noqa: PLR0911 - one for each kind
        if id(value) in _MISSING:
            return stand_in(_MISSING[id(value)])
        if type(value) in (list, tuple, set):
            return type(value)(self.plain(item) for item in value)
        if isinstance(value, dict):
            return self._mapping(value)
        for kind, copy in _COPIES.items():
            if isinstance(value, kind):
                return copy(self, value)
        if callable(value) and hasattr(value, "__qualname__"):
            return self._listed(value, f"{value.__module__}.{value.__qualname__}")
        if isinstance(value, np.ufunc):
            return self._listed(value, f"numpy.{value.__name__}")
        return self._object(value)

    def _listed(self, value: Any, name: str) -> Any:
        return value if name in FUNCTIONS else self._refuse(name)

    def _refuse(self, name: str) -> None:
        self.refused.add(name)

    def _object(self, value: Any) -> Any:
        cls: Any = type(value)
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name.startswith(("sklearn._loss._loss.Cy", "_loss.Cy")):
            arguments = [value.quantile] if hasattr(value, "quantile") else []
            return stand_in("loss", cls.__name__, *arguments)
        if name == _GRAPH:
            nodes, edges = ([*part(data=True)] for part in (value.nodes, value.edges))
            return stand_in("job graph", self.plain(nodes), self.plain(edges))
        if name not in CLASSES:
            return self._refuse(name)
        state = value.__getstate__() or {}
        copied = cls.__new__(cls)
        for key, item in state.items():
            copied.__dict__[key] = self._trees(item) if key in _TREES else self.plain(item)
        try:
            check(value, state)
        except ValueError as error:
            raise ModelFileError(f"{error}; store the model as .joblib.") from error
        return copied

    def _trees(self, trees: list[list[Any]]) -> Any:
        """Put all trees of a model into one array for each field of their nodes."""
        made = [tree for of_outputs in trees for tree in of_outputs]
        if not made:
            return self.plain(trees)
        if any(len(tree.raw_left_cat_bitsets) for tree in made):
            return self._refuse("boosted trees with categorical features")
        nodes = np.concatenate([tree.nodes for tree in made])
        fields = [np.ascontiguousarray(nodes[name]) for name in nodes.dtype.names or ()]
        sizes = np.array([len(tree.nodes) for tree in made])
        return stand_in("trees", fields, sizes, len(trees[0]))

    def _mapping(self, value: dict[Any, Any]) -> Any:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if name != "builtins.dict" and name not in CLASSES:
            return self._refuse(name)
        values = [self.plain(item) for item in value.values()]
        if all(type(key) is str for key in value):
            copied = type(value)()
            copied.update(zip(value, values, strict=True))
            return copied
        return stand_in("dict", [self.plain(key) for key in value], values)

    def _array(self, array: np.ndarray) -> Any:
        if type(array) not in (np.ndarray, np.memmap):
            return self._refuse(f"{type(array).__module__}.{type(array).__qualname__}")
        if not array.dtype.hasobject:
            return np.asarray(array)
        if array.dtype != object:
            return self._refuse(f"an array of {array.dtype}")
        items = array.ravel().tolist()
        if all(type(item) in (str, bool, int, float, type(None)) for item in items):
            return stand_in("texts", json.dumps(items), *array.shape)
        return stand_in("objects", [self.plain(item) for item in items], *array.shape)

    def _index(self, index: pd.Index) -> Any:
        name = self.plain(index.name)
        if isinstance(index, pd.RangeIndex):
            return stand_in("range", index.start, index.stop, index.step, name)
        if isinstance(index, pd.MultiIndex):
            codes = [np.asarray(part) for part in index.codes]
            levels = [self.plain(level) for level in index.levels]
            return stand_in("levels", levels, codes, [self.plain(name) for name in index.names])
        if isinstance(index, pd.DatetimeIndex):
            values, zone = _utc(index)
            return stand_in("times", values, self.plain(zone), index.freqstr, name)
        if isinstance(index, pd.TimedeltaIndex):
            return stand_in("durations", index.to_numpy(), index.freqstr, name)
        return stand_in("index", self._column(index), name)

    def _column(self, column: Any) -> Any:  # noqa: PLR0911 - one for each kind
        """Values of a column or of an index without places in time."""
        dtype = column.dtype
        if isinstance(dtype, np.dtype) or isinstance(column, pd.arrays.NumpyExtensionArray):
            return self.plain(np.asarray(column))
        if isinstance(dtype, pd.DatetimeTZDtype):
            values, zone = _utc(pd.DatetimeIndex(column))
            return stand_in("time column", values, self.plain(zone))
        if isinstance(dtype, pd.CategoricalDtype):
            categories = pd.Categorical(column)
            kinds = self.plain(categories.categories)
            return stand_in("categories", categories.codes, kinds, bool(dtype.ordered))
        if isinstance(dtype, pd.StringDtype):
            texts = [None if pd.isna(item) else str(item) for item in column]
            missing = self.plain(getattr(dtype, "na_value", pd.NA))
            return stand_in("text column", json.dumps(texts), dtype.storage, missing)
        if str(dtype).endswith("[pyarrow]"):
            items = [self.plain(item) for item in column.astype(object)]
            return stand_in("arrow column", items, str(dtype))
        if hasattr(dtype, "numpy_dtype"):  # numbers and a mask
            mask = column.isna()
            values = pd.array(column).to_numpy(dtype.numpy_dtype, na_value=0)
            return stand_in("masked column", values, np.asarray(mask), str(dtype))
        return self._refuse(f"a column of {dtype}")

    def _dtype(self, dtype: Any) -> Any:
        if isinstance(dtype, pd.DatetimeTZDtype):
            return stand_in("time dtype", dtype.unit, self.plain(dtype.tz))
        if isinstance(dtype, pd.CategoricalDtype):
            return stand_in("category dtype", self.plain(dtype.categories), bool(dtype.ordered))
        if isinstance(dtype, pd.StringDtype):
            missing = self.plain(getattr(dtype, "na_value", pd.NA))
            return stand_in("text dtype", dtype.storage, missing)
        if str(dtype).endswith("[pyarrow]") or hasattr(dtype, "numpy_dtype"):
            return stand_in("named dtype", str(dtype))
        return self._refuse(f"a column of {dtype}")

    def _frame(self, frame: pd.DataFrame) -> Any:
        columns = [self._column(frame.iloc[:, place].array) for place in range(frame.shape[1])]
        index = self.plain(frame.index)
        return stand_in("frame", columns, self.plain(frame.columns), index, self.plain(frame.attrs))

    def _series(self, series: pd.Series) -> Any:
        name = self.plain(series.name)
        return stand_in("series", self._column(series.array), self.plain(series.index), name)

    def _timestamp(self, moment: pd.Timestamp) -> Any:
        value = int(moment.to_datetime64().view("int64"))
        return stand_in("Timestamp", value, moment.unit, self.plain(moment.tz))

    def _timedelta(self, length: pd.Timedelta) -> Any:
        value = int(length.to_timedelta64().view("int64"))
        return stand_in("Timedelta", value, length.unit)

    def _generator(self, generator: np.random.Generator) -> Any:
        seed: Any = generator.bit_generator.seed_seq
        state = self.plain(generator.bit_generator.state)
        spawn_key = tuple(map(int, seed.spawn_key))
        return stand_in(
            "generator", state, self.plain(seed.entropy), spawn_key, seed.n_children_spawned
        )


def _utc(index: pd.DatetimeIndex) -> tuple[np.ndarray, Any]:
    """Give moments without a zone, and the zone."""
    naive = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    return naive.to_numpy(), index.tz


# Looked through in this order: a Timestamp is a datetime too, and a scalar of NumPy a float.
_COPIES: dict[type, Any] = {
    np.ndarray: _Copier._array,
    np.generic: lambda _, value: stand_in("scalar", np.asarray(value)),
    np.dtype: lambda _, value: stand_in("dtype", value.str),
    pd.api.extensions.ExtensionDtype: _Copier._dtype,
    pd.DataFrame: _Copier._frame,
    pd.Series: _Copier._series,
    pd.Index: _Copier._index,
    pd.Timestamp: _Copier._timestamp,
    pd.Timedelta: _Copier._timedelta,
    pd.api.extensions.ExtensionArray: _Copier._column,
    deque: lambda copier, value: stand_in("deque", [*map(copier.plain, value)], value.maxlen),
    frozenset: lambda copier, value: stand_in("frozenset", [*map(copier.plain, value)]),
    slice: lambda copier, value: stand_in(
        "slice", *map(copier.plain, (value.start, value.stop, value.step))
    ),
    np.random.Generator: _Copier._generator,
    np.random.RandomState: lambda copier, value: stand_in(
        "random state", copier.plain(value.get_state(legacy=False))
    ),
}
