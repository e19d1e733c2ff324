"""A .skops file made to run code, or to fill the memory, is refused in one sentence."""

import io
import json
import os
import pickle
import subprocess
import tracemalloc
import zipfile
from contextlib import contextmanager
from functools import partial
from operator import attrgetter, methodcaller

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime._plain_state import _write, write
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.compose import BoostedTreesRegressor
from sklearn_jobtime.exceptions import ModelFileError
from sklearn_jobtime.persistence import load_model, save_model

skops_io = pytest.importorskip("skops.io")

X = np.random.default_rng(0).random((60, 3)) + 1


class Runs:
    """Runs a command when it is unpickled, called, or compared."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def canary(tmp_path):
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists(), "the file has run code"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skops"


def assert_refused(path, match=None):
    """One sentence or two, that name the file; nothing is made on the way."""
    with pytest.raises(ModelFileError, match=match) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@contextmanager
def little_memory():
    """No more than a few megabytes may be taken at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def holding(value):
    return RollingRule().set_params(n_runs=value)


def test_a_pickle_is_not_read(path, canary):
    for dump in (pickle.dump, joblib.dump):
        with path.open("wb") as file:
            dump(Runs(f"touch {canary}"), file)
        assert_refused(path, "no whole model file")


NOT_LISTED = {
    "a function": (lambda command: os.getcwd, ["os.getcwd", "posix.getcwd"]),
    "a call": (lambda command: partial(os.system, command), ["functools.partial"]),
    "a method by name": (lambda command: methodcaller("predict", 1), ["operator.methodcaller"]),
    "an attribute by name": (lambda command: attrgetter("a.b"), ["operator.attrgetter"]),
    "a class": (lambda command: subprocess.Popen, ["subprocess.Popen"]),
    "a method": (lambda command: pd.DataFrame().to_csv, ["DataFrame"]),
    "a function to be called by predict": (
        lambda command: FunctionTransformer(partial(os.system, command)), ["functools.partial"]
    ),
    "a tree": (lambda command: DecisionTreeRegressor().fit(X, X), ["_classes.DecisionTree"]),
    "a generator": (lambda command: np.random.default_rng(0), ["Generator"]),
    "a dtype": (lambda command: np.dtype("float64"), ["numpy.dtype"]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "named"), NOT_LISTED.values(), ids=NOT_LISTED)
def test_what_is_not_on_the_list_is_named_and_not_made(path, canary, make, named):
    skops_io.dump(holding([1, make(f"touch {canary}")]), path)
    assert_refused(path, "|".join(named))


@pytest.mark.parametrize(("make", "named"), NOT_LISTED.values(), ids=NOT_LISTED)
def test_what_is_not_on_the_list_is_not_stored_either(path, canary, make, named):
    value = make(f"touch {canary}")
    if isinstance(value, np.dtype | np.random.Generator):
        save_model(holding([value]), path)
        assert load_model(path).n_runs[0] is not None
        return
    with pytest.raises(ModelFileError, match=r"model\.skops: RollingRule holds what no \.skops"):
        save_model(holding([1, value]), path)
    assert os.listdir(path.parent) == []


def test_all_that_is_not_on_the_list_is_named(path):
    skops_io.dump(holding([os.getcwd, {"a": subprocess.Popen}, FunctionTransformer(len)]), path)
    assert_refused(path, "builtins.len, posix.getcwd, subprocess.Popen")


# Nodes that no honest writer makes.
FORGED = {
    "eval": {"__module__": "builtins", "__class__": "eval", "__loader__": "FunctionNode"},
    "a listed name by another kind": {
        "__module__": "sklearn.pipeline", "__class__": "Pipeline", "__loader__": "FunctionNode",
    },
    "an object of the system": {
        "__module__": "subprocess", "__class__": "Popen", "__loader__": "ObjectNode",
    },
    "a constructor": {
        "__module__": "subprocess", "__class__": "Popen",
        "__loader__": "ConstructorFromReduceNode", "content": "ARGUMENTS",
    },
    "a dict of the system": {
        "__module__": "os", "__class__": "_Environ", "__loader__": "DictNode",
        "content": {}, "key_types": "LIST",
    },
    "a list that is a range": {
        "__module__": "builtins", "__class__": "range", "__loader__": "ListNode", "content": [],
    },
    "a type of numpy": {
        "__module__": "numpy", "__class__": "memmap", "__loader__": "NdArrayNode",
        "type": "numpy", "file": "1.npy",
    },
    "keys that are called": {
        "__module__": "builtins", "__class__": "dict", "__loader__": "DictNode", "content": {},
        "key_types": {
            "__module__": "builtins", "__class__": "list", "__loader__": "ListNode", "__id__": 8,
            "content": [{"__module__": "os", "__class__": "system", "__loader__": "TypeNode"}],
        },
    },
    "an unknown kind": {"__module__": "os", "__class__": "system", "__loader__": "NewNode"},
    "no kind": {"__module__": "os", "__class__": "system"},
    "names that are no text": {"__module__": 1, "__class__": [], "__loader__": "ObjectNode"},
    "a kind that is no text": {"__module__": "os", "__class__": "system", "__loader__": []},
    "a module path in the class": {
        "__module__": "sklearn_jobtime", "__class__": "cli.os.system", "__loader__": "FunctionNode",
    },
    "no node": "text",
    "nothing": None,
}  # fmt: skip


@pytest.fixture
def forge(path):
    """Write a model, whose parameter `n_runs` is a node of one's own, as the only thing changed."""

    def write(node, *, members=None, **changes):
        skops_io.dump(holding([1]), path)
        with zipfile.ZipFile(path) as archive:
            schema = json.loads(archive.read("schema.json"))
        listed = schema["content"]["content"]["n_runs"]
        arguments = listed | {"__class__": "tuple", "__loader__": "TupleNode", "__id__": 5}
        text = json.dumps(node).replace('"ARGUMENTS"', json.dumps(arguments))
        forged = json.loads(text.replace('"LIST"', json.dumps(listed)))
        if isinstance(forged, dict):
            forged.setdefault("__id__", 7)
        schema["content"]["content"]["n_runs"] = forged
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("schema.json", json.dumps(schema | changes))
            for name, content in (members or {}).items():
                archive.writestr(name, content)

    return write


def node_of(kind, *parts):
    """Give the node of a stand-in."""
    nodes = [
        part if isinstance(part, dict) else {
            "__module__": "builtins", "__class__": "str", "__loader__": "JsonNode",
            "__id__": 100 + place, "content": json.dumps(part),
        }
        for place, part in enumerate([kind, *parts])
    ]  # fmt: skip
    return {
        "__module__": "sklearn_jobtime._plain_state._stand_ins", "__class__": "StandIn",
        "__loader__": "ConstructorFromReduceNode", "__id__": 50,
        "content": {
            "__module__": "builtins", "__class__": "tuple", "__loader__": "TupleNode",
            "__id__": 51, "content": nodes,
        },
    }  # fmt: skip


def array_node(file="1.npy"):
    return {
        "__module__": "numpy", "__class__": "ndarray", "__loader__": "NdArrayNode",
        "__id__": 70, "type": "numpy", "file": file,
    }  # fmt: skip


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("node", FORGED.values(), ids=FORGED)
def test_forged_nodes_are_refused(path, forge, node):
    forge(node)
    assert_refused(path)


def test_a_forged_number_and_array_load(path, forge):
    forge(node_of("scalar", array_node()), members={"1.npy": npy(np.float64(4.5))})
    assert load_model(path).n_runs == 4.5


def test_a_pickle_in_an_array_is_not_read(path, forge, canary):
    evil = np.array([Runs(f"touch {canary}")], dtype=object)
    forge(array_node(), members={"1.npy": npy(evil, allow_pickle=True)})
    assert_refused(path, "as only a pickle can")
    forge(array_node(), members={"1.npy": pickle.dumps(Runs(f"touch {canary}"))})
    assert_refused(path)


def test_old_and_coming_protocols_are_refused(path, forge):
    for protocol in (0, 1, 3, True, None, "2"):
        forge({"__module__": "os", "__class__": "system", "__loader__": "FunctionNode"},
              protocol=protocol)  # fmt: skip
        assert_refused(path, "protocol 2")


@pytest.mark.parametrize("schema", ["", "[]", "{}", "{" * 100_000, '{"protocol": 2}', "9" * 5000])
def test_a_schema_of_another_form_is_refused(path, schema):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", schema)
    assert_refused(path)


@pytest.mark.parametrize("name", ["../1.npy", "/etc/1.npy", "a/1.npy", "1.pkl", "..", "1.NPY", " "])
def test_members_with_paths_or_other_names_are_refused(path, forge, name):
    forge(node_of("NaT"), members={name: b"text"})
    assert_refused(path, "is no part of a model")


def test_a_member_that_is_there_twice_is_refused(path, forge):
    forge(node_of("NaT"))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("schema.json", "{}")
    assert_refused(path, "twice")


def test_a_file_that_unpacks_to_far_more_is_refused_before_it_does(path, forge):
    forge(array_node(), members={"1.npy": bytes(2**26)})
    with little_memory():
        assert_refused(path, "unpack to far more")
    # A size that is a lie: no more is unpacked than is said.
    content = path.read_bytes()
    size = (2**26).to_bytes(4, "little")
    path.write_bytes(content.replace(size, (1000).to_bytes(4, "little")))
    with little_memory():
        assert_refused(path)


def test_members_that_share_their_bytes_are_refused(path, forge):
    forge(node_of("NaT"), members={"1.npy": os.urandom(2**20)})
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.getinfo("1.npy")
        for number in range(2, 200):
            copy = zipfile.ZipInfo(f"{number}.npy")
            for name in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(copy, name, getattr(first, name))
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
        archive._didModify = True
    assert_refused(path, "unpack to far more")


def test_one_member_for_many_arrays_is_refused(path, forge):
    arrays = [array_node() | {"__id__": 1000 + place} for place in range(100)]
    listed = {"__module__": "builtins", "__class__": "list", "__loader__": "ListNode"}
    forge(listed | {"content": arrays}, members={"1.npy": npy(np.zeros(2**15))})
    assert_refused(path, "unpack to far more")


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 4), (-1,), (5,), (0, 10**18)], ids=str)
def test_an_array_of_another_size_than_it_says_is_refused(path, forge, shape):
    content = npy(np.zeros(4)).replace(b"'shape': (4,), ", f"'shape': {shape}, ".encode())
    forge(array_node(), members={"1.npy": content})
    assert_refused(path)


# Few numbers that would become many.
GROWING = {
    "a range to unroll": node_of("deque", node_of("range", 0, 10**12, 1, None), None),
    "a range of keys": node_of("dict", node_of("range", 0, 10**12, 1, None), []),
    "one number for a long column": node_of("series", 1.0, node_of("range", 0, 10**12, 1, None),
                                            None),
    "a short array for a long column": node_of(
        "series", array_node(), node_of("range", 0, 10**12, 1, None), None
    ),
    "an unknown kind": node_of("code", "1"),
    "parts of other types": node_of("texts", 5),
    "too few parts": node_of("texts"),
    "a function that is no loss": node_of("loss", "__builtins__"),
    "a dtype that is no column's": node_of("arrow column", [], "object"),
}  # fmt: skip


@pytest.mark.parametrize("node", GROWING.values(), ids=GROWING)
def test_parts_that_would_grow_are_refused(path, forge, node):
    text = json.dumps(node)
    for place in range(text.count('"__id__"')):  # parts within parts share no numbers
        text = text.replace('"__id__": 5', f'"__id__": 9{place}', 1)
    forge(json.loads(text), members={"1.npy": npy(np.zeros(4))})
    with little_memory():
        assert_refused(path)


def test_one_number_for_two_objects_is_refused(path, forge):
    listed = {"__module__": "builtins", "__class__": "list", "__loader__": "ListNode"}
    inner = listed | {"__id__": 1, "content": []}
    for level in range(2, 40):  # each list twice in the next one: 2^38 in all
        inner = listed | {
            "__id__": level,
            "content": [inner, listed | {"__id__": level - 1, "content": []}],
        }
    forge(inner)
    assert_refused(path, "same number")
    forge(listed | {"__id__": 1, "content": [listed | {"__id__": 1, "content": []}]})
    assert_refused(path, "same number")


def test_an_attribute_that_hides_a_method_is_refused(path):
    model = RollingRule()
    model.predict = "text"
    skops_io.dump(model, path)
    assert_refused(path, "hides its method")


def test_a_tree_whose_indices_lead_out_of_it_is_refused(path, tmp_path, monkeypatch):
    boosting = HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=5)
    model = ConformalForecaster(boosting).fit(X, X[:, 0])
    save_model(model, path)
    np.testing.assert_array_equal(load_model(path).predict(X), model.predict(X))
    for field, value in (("left", 10**6), ("left", 0), ("right", 0), ("feature_idx", 3),
                         ("feature_idx", -1), ("is_categorical", 1)):  # fmt: skip
        nodes = model.estimator_._predictors[0][0].nodes
        before = nodes[field][0]
        nodes[field][0] = value
        # what a file would hold that somebody else has written
        monkeypatch.setattr(_write, "check", lambda *_: None)
        write(model, tmp_path / "bad.skops", b"")
        assert_refused(tmp_path / "bad.skops", r"lead out of it|do not match")
        nodes[field][0] = before


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("skips", 0, 200), ("skips", 0, 1), ("features", 0, 3), ("sizes", 0, 0), ("sizes", 1, 200)],
)
def test_packed_trees_whose_indices_lead_out_of_them_are_refused(
    path, tmp_path, monkeypatch, name, place, value
):
    model = BoostedTreesRegressor(max_iter=2, min_samples_leaf=5).fit(X, X[:, 0])
    save_model(model, path)
    np.testing.assert_array_equal(load_model(path).predict(X), model.predict(X))
    getattr(model.packed_trees(), name)[place] = value
    monkeypatch.setattr(_write, "check", lambda *_: None)
    write(model, tmp_path / "bad.skops", b"")
    assert_refused(tmp_path / "bad.skops", r"lead out of it|do not match|not as many")


@pytest.mark.parametrize("share", [0, 0.2, 0.7, 0.99])
def test_a_file_that_is_cut_off_is_refused(path, share):
    save_model(RollingRule().fit(X, X), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * content.rindex(b"\n#sklearn_jobtime"))])
    assert_refused(path, "no whole model file|check sum")


def test_any_changed_byte_is_found(path):
    save_model(RollingRule().fit(X, X), path)
    content = path.read_bytes()
    end = content.rindex(b"\n#sklearn_jobtime")
    for place in range(0, end, max(1, end // 50)):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        assert_refused(path, "check sum")
