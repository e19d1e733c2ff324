"""A stored model forecasts as before; a damaged one says so; a failed write changes nothing."""

import json
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_jobtime import persistence
from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import ModelFileError
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.pipeline import make_forecast_pipeline
from sklearn_jobtime.runs import make_targets


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=60, n_jobs=2, random_state=0)


@pytest.fixture(scope="module")
def fitted(runs):
    model = make_forecast_pipeline(n_steps=3, hidden_size=4, device="cpu", random_state=0)
    return model.set_params(lstm__max_epochs=2).fit(runs, make_targets(runs, 2))


@pytest.fixture
def stored(tmp_path, fitted):
    save_model(fitted, tmp_path / "model.joblib")
    return tmp_path / "model.joblib"


@pytest.mark.parametrize("load", [load_model, joblib.load])
def test_a_stored_model_forecasts_the_same_bit_for_bit(runs, fitted, stored, load):
    np.testing.assert_array_equal(load(stored).predict(runs), fitted.predict(runs))
    assert os.listdir(stored.parent) == ["model.joblib"]


def test_a_model_stored_by_plain_joblib_loads(runs, fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "plain.joblib", compress=3)
    loaded = load_model(tmp_path / "plain.joblib")
    np.testing.assert_array_equal(loaded.predict(runs), fitted.predict(runs))


@pytest.mark.parametrize("load", [load_model, joblib.load])
def test_a_large_model_is_compressed_and_forecasts_the_same(tmp_path, monkeypatch, load):
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"build": rng.integers(1, 9, 1000).astype(float)})
    model = RollingRule("mean", n_runs=1000).fit(runs, make_targets(runs))
    path = tmp_path / "model.joblib"
    save_model(model, path)
    plain = path.stat().st_size
    monkeypatch.setattr(persistence, "LARGE", plain // 2)
    save_model(model, path)
    assert path.stat().st_size < plain / 2
    np.testing.assert_array_equal(load(path).predict(runs), model.predict(runs))
    path.write_bytes(path.read_bytes()[: plain // 20])
    with pytest.raises(ModelFileError, match=str(path)):
        load_model(path)


def test_a_model_loads_in_a_fresh_process(runs, fitted, stored, tmp_path):
    write_table(runs, tmp_path / "runs.parquet")
    code = (
        "import json, sys; from sklearn_jobtime.persistence import load_model;"
        "from sklearn_jobtime.loaders.files import read_runs;"
        "print(json.dumps(load_model(sys.argv[1]).predict(read_runs(sys.argv[2])).tolist()))"
    )
    command = [sys.executable, "-c", code, str(stored), str(tmp_path / "runs.parquet")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    np.testing.assert_array_equal(json.loads(printed), fitted.predict(runs))


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.999), data=st.data())
def test_a_file_cut_off_or_changed_anywhere_never_loads_as_a_wrong_model(
    runs, fitted, tmp_path_factory, share, data
):
    path = tmp_path_factory.mktemp("damage") / "model.joblib"
    save_model(fitted, path)
    content = path.read_bytes()
    model_size = content.rindex(persistence.MARK)
    path.write_bytes(content[: int(share * model_size)])
    with pytest.raises(ModelFileError, match=str(path)):
        load_model(path)

    place = data.draw(st.integers(0, model_size - 1))
    changed = bytearray(content)
    changed[place] ^= 0xFF
    path.write_bytes(changed)
    with pytest.raises(ModelFileError, match="check sum"):
        load_model(path)


NO_MODELS = {
    "empty": b"",
    "text": b"started_at,build\n",
    "a pickled table": pickle.dumps(pd.DataFrame({"build": [1.0]})),
    "a pickled class": pickle.dumps(RollingRule),
    "a class that is not there": b"cno_such_module\nModel\n.",
}


@pytest.mark.parametrize("content", NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.joblib"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.joblib: (is no whole model|\w+ is no model)"):
        load_model(path)


def test_missing_files_and_folders_are_named(tmp_path, fitted):
    for path in (tmp_path / "none.joblib", tmp_path):
        with pytest.raises(ModelFileError, match="cannot be opened"):
            load_model(path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_model(fitted, tmp_path / "nowhere" / "model.joblib")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save_model(fitted, tmp_path)


def test_other_versions_are_named_where_a_model_does_not_load(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(persistence, "_versions", lambda: {"torch": "0.1", "numpy": "0.2"})
    assert load_model(stored) is not None  # other versions alone are no reason

    bad = tmp_path / "bad.joblib"
    monkeypatch.undo()
    save_model(_Unreadable(), bad)
    with pytest.raises(ModelFileError, match=r"does not load here \(AttributeError: gone\); fit"):
        load_model(bad)
    monkeypatch.setattr(persistence, "_versions", lambda: {"torch": "0.1"})
    with pytest.raises(ModelFileError, match=r"stored with torch \d.* \(here 0\.1\); install"):
        load_model(bad)


class _Unreadable:
    predict = None

    def __setstate__(self, state):
        raise AttributeError("gone")

    def __getstate__(self):
        return {"something": 1}


def test_an_unpicklable_model_leaves_the_old_file(runs, fitted, stored):
    before = stored.read_bytes()
    bad = make_pipeline(FunctionTransformer(lambda X: X), RollingRule())
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_model(bad, stored)
    assert stored.read_bytes() == before
    assert os.listdir(stored.parent) == ["model.joblib"]


def test_only_models_are_stored(tmp_path):
    with pytest.raises(ModelFileError, match="dict is no model"):
        save_model({"weights": 1}, tmp_path / "model.joblib")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "runs.csv"
    path.write_text("old")

    def fail(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="No space left"):
        write_table(pd.DataFrame({"build": [1.0]}), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["runs.csv"]


def test_replacing_keeps_the_rights_and_the_link_of_a_file(tmp_path):
    path, link = tmp_path / "note.txt", tmp_path / "link.txt"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with replacing(link) as new:
        new.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_replacing_forgets_what_an_interrupted_block_wrote(tmp_path):
    def interrupted():
        with replacing(tmp_path / "note.txt") as new:
            new.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == []


def test_a_table_has_one_of_three_endings(tmp_path):
    with pytest.raises(ValueError, match=r"runs\.xlsx: the name ends in '\.xlsx', expected one of"):
        write_table(pd.DataFrame({"build": [1.0]}), tmp_path / "runs.xlsx")
    write_table(pd.DataFrame({"build": [1.0]}), tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text() == "build\n1.0\n"
