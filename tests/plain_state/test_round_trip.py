"""Every public estimator forecasts the same bit for bit after a round trip through a file."""

import json
import pickle
import runpy
import subprocess
import sys
import zipfile
from datetime import UTC, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils import get_tags

from sklearn_jobtime import (
    ConformalForecaster,
    JobTimeAnomalyDetector,
    make_anchored_forecaster,
    make_forecast_pipeline,
)
from sklearn_jobtime._plain_state import _trusted_types, read, write
from sklearn_jobtime.baselines import OnlineMix, RollingRule, SeasonalRule
from sklearn_jobtime.conformal._online_update import online_update
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import ModelFileError
from sklearn_jobtime.graph import job_graph
from sklearn_jobtime.landing import LandingForecaster, landing_table
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.runs import make_lower_bounds, make_targets

skops_io = pytest.importorskip("skops.io")

CONTRACT = Path(__file__).parents[1] / "test_contract.py"
JUDGE = """
import sys, pathlib, joblib, numpy as np, pandas as pd
from sklearn_jobtime._plain_state import read
from sklearn_jobtime.graph import job_graph
from sklearn_jobtime.landing import LandingForecaster, landing_table
from sklearn_jobtime.persistence import load_model
folder = pathlib.Path(sys.argv[1])
tables = joblib.load(folder / "tables")
for path in sorted(folder.glob("*.*")):
    if path.suffix in (".skops", ".joblib"):
        load = read if path.suffix == ".skops" else joblib.load
        model, (table, method) = load(path), tables[path.stem]
        load = load_model if hasattr(model, "predict") else load
        joblib.dump(getattr(load(path), method)(table), folder / (path.name + ".found"))
assert not {"skops", "torch", "skorch"} & set(sys.modules)
"""


def contract_estimators():
    """The estimators of the contract; of the networks, which take longest, one of each class."""
    kinds = {}
    for case in runpy.run_path(str(CONTRACT))["ESTIMATORS"]:
        estimator, *_ = case[0] if hasattr(case, "marks") else case
        epochs = [name for name in estimator.get_params() if name.endswith("max_epochs")]
        key = type(estimator) if epochs else repr(estimator)
        kinds.setdefault(key, clone(estimator).set_params(**dict.fromkeys(epochs, 1)))
    return kinds.values()


def fitted_models(folder):
    """Fit the estimators of the contract on arrays, and what takes run tables on run tables."""
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 3)), rng.random((60, 2)) + 1
    runs = make_job_runs(n_runs=40, n_jobs=2, n_series=3, random_state=0, failure_rate=0.1)
    runs.loc[runs.index[::5], "job_0__status"] = "timeout"
    past, targets = runs[:80], make_targets(runs[:80], 2)
    for estimator in contract_estimators():
        is_tagger = type(estimator).__name__ == "LSTMTagger"
        several = get_tags(estimator).target_tags.multi_output and not is_tagger
        given = y if several else y[:, 0]
        yield estimator.fit(X, (given > 1.5).astype(int) if is_tagger else given), X
    for estimator in (OnlineMix(), SeasonalRule(), JobTimeAnomalyDetector()):
        yield estimator.fit(past, targets), runs
    for options in (
        {}, {"simultaneous": "both", "symmetric": False}, {"group_conditional": True, "cv": 3},
        {"conformity_score": "normalised", "refit": True},
    ):  # fmt: skip
        model = ConformalForecaster(RollingRule(), horizon=2, **options)
        model.fit(past, targets, make_lower_bounds(past, 2))
        online_update(model, runs)
        yield model, runs
    nights = make_job_runs(n_runs=60, n_jobs=3, starts=True, random_state=0)
    known = ConformalForecaster(RollingRule()).fit(nights[:50], make_targets(nights[:50]))
    for forecaster, graph in (
        (OnlineMix(), job_graph("job_0>job_1, job_0>job_2")), (FrozenEstimator(known), "infer"),
    ):  # fmt: skip
        model = LandingForecaster(forecaster, graph, n_paths=50, random_state=0)
        yield model.fit(nights[:50], make_targets(nights[:50])), nights
    recipe = make_anchored_forecaster(known=["input_rows"], series_identity=True, random_state=0,
                                      device="cpu", n_members=1)  # fmt: skip
    recipe.set_params(
        regressor__mean__lstm__network__max_epochs=1,
        regressor__mean__trees__boosting__regressor__max_iter=3,
    )
    yield ConformalForecaster(recipe, horizon=2).fit(past, targets), runs
    runs = runs.assign(cause=np.where(np.arange(len(runs)) % 3 == 0, "push", "timer"))
    pipeline = make_forecast_pipeline(
        known=["input_rows", "cause"], categorical=["cause"], n_steps=3, device="cpu"
    ).set_params(lstm__max_epochs=1)
    yield pipeline.fit(runs[:80], targets), runs


def outcome(model, table):
    method = next(name for name in ("predict", "transform") if hasattr(model, name))
    return method, getattr(model, method)(table)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Models in both formats, what they say here, and what they say in a fresh process."""
    folder = tmp_path_factory.mktemp("models")
    expected, tables, refused = {}, {}, {}
    for number, (model, table) in enumerate(fitted_models(folder)):
        name = f"{number:02}_{type(model).__name__}"
        method, said = outcome(model, table)
        try:
            write(model, folder / f"{name}.skops", b"")
        except ModelFileError as error:
            refused[repr(model)] = str(error)
            continue
        joblib.dump(model, folder / f"{name}.joblib")
        expected[name], tables[name] = said, (table, method)
    joblib.dump(tables, folder / "tables")
    subprocess.run([sys.executable, "-c", JUDGE, str(folder)], check=True)
    return folder, expected, refused


def assert_identical(found, said):
    assert type(found) is type(said)
    if isinstance(said, pd.DataFrame):
        pd.testing.assert_frame_equal(found, said, check_exact=True)
    else:
        np.testing.assert_array_equal(found, said)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".skops", ".joblib"])
def test_forecasts_in_a_fresh_process_are_the_same(stored, ending):
    folder, expected, _ = stored
    assert len(expected) > 30
    for name, said in expected.items():
        assert_identical(joblib.load(folder / f"{name}{ending}.found"), said)


def test_landings_of_a_run_under_way_are_the_same(tmp_path):
    runs = make_job_runs(n_runs=60, n_jobs=3, starts=True, failure_rate=0, random_state=0)
    past, run = runs[:-1], runs[-1:]
    model = LandingForecaster(RollingRule(), n_paths=50, random_state=0)
    model.fit(past, make_targets(past)).update(run, make_targets(run))
    save_model(model, tmp_path / "model.skops")
    found = load_model(tmp_path / "model.skops")
    assert list(found.graph_.edges(data=True)) == list(model.graph_.edges(data=True))
    now = run["started_at"].iloc[0] + pd.Timedelta("15min")
    asked = {"now": now, "deadlines": 3600.0, "confidence_level": 0.8}
    pd.testing.assert_frame_equal(
        landing_table(found, run, **asked), landing_table(model, run, **asked), check_exact=True
    )


@pytest.mark.slow
def test_only_trees_that_compiled_code_would_follow_are_refused(stored):
    _, _, refused = stored
    others = ("sklearn.tree._", "ensemble._gb")
    assert [why for why in refused.values() if not any(name in why for name in others)] == []
    assert any("DecisionTreeRegressor" in model for model in refused)


@pytest.mark.slow
def test_skops_itself_makes_the_same_models(stored):
    """Our reader is another implementation of the format; skops is the reference."""
    folder, expected, _ = stored
    listed = _trusted_types.CLASSES | _trusted_types.CONSTRUCTORS | _trusted_types.FUNCTIONS
    tables = joblib.load(folder / "tables")
    for name, said in expected.items():
        by_skops = skops_io.load(folder / f"{name}.skops", trusted=sorted(listed))
        table, method = tables[name]
        assert_identical(getattr(by_skops, method)(table), said)


@pytest.mark.slow
def test_the_list_has_what_our_estimators_need_and_no_more(stored):
    folder, _, _ = stored
    found = set()

    def collect(node):
        if isinstance(node, dict):
            if node.get("__loader__") == "ObjectNode":
                found.add(f"{node['__module__']}.{node['__class__']}")
            for part in node.values():
                collect(part)
        elif isinstance(node, list):
            for part in node:
                collect(part)

    for path in folder.glob("*.skops"):
        with zipfile.ZipFile(path) as archive:
            collect(json.loads(archive.read("schema.json")))
    ours = {name for name in _trusted_types.CLASSES if name.startswith("sklearn_jobtime.")}
    assert {name for name in found if name.startswith("sklearn_jobtime.")} == ours


@pytest.mark.parametrize(
    "name", sorted(_trusted_types.CLASSES | _trusted_types.FUNCTIONS | _trusted_types.CONSTRUCTORS)
)
def test_every_listed_name_is_there(name):
    assert _trusted_types.trusted(name) is not None


ZONES = [None, ZoneInfo("Europe/Berlin"), UTC, timezone(timedelta(hours=2))]
TIMES = pd.to_datetime(["2026-01-01 02:00", None, "2026-03-29 01:30"], format="mixed")
COLUMNS = [
    pd.Series([1.5, np.nan, np.inf]), pd.Series([2**62, 0, -1]), pd.Series([True, False, True]),
    pd.Series([1, 2, 3], dtype="float32"), pd.Series([1, None, 3], dtype="Int64"),
    pd.Series([0.5, None, 3], dtype="Float32"), pd.Series([True, None, False], dtype="boolean"),
    pd.Series(["a\x00", None, "\u00e9\ud800"], dtype=object),
    pd.Series(["a", None, ""], dtype="string"),
    pd.Series(["a", "b", ""]), pd.Series(["x", None, "y"], dtype="category"),
    pd.Series(pd.Categorical([3, 1, 3], categories=[3, 2, 1], ordered=True)),
    pd.Series([1, "a", None], dtype=object), pd.Series([pd.NA, pd.NaT, np.nan], dtype=object),
    pd.Series([pd.Timestamp("2026-01-01", tz="UTC"), pd.Timedelta("1h"), 2.5], dtype=object),
    pd.Series([(1, "a"), ["b", {}], {"c": 1.0, 2: None}], dtype=object),
    pd.Series(pd.to_timedelta([1, None, 3], unit="s")), pd.Series(TIMES),
    pd.Series(TIMES.as_unit("s")), *(pd.Series(TIMES.tz_localize(zone)) for zone in ZONES[1:]),
    pd.Series([1, None, 3], dtype="int64[pyarrow]"),
    pd.Series(["a", None, "b"], dtype="string[pyarrow]"),
    pd.Series([np.float32(1), np.int64(2), np.datetime64("2026-01-01")], dtype=object),
]  # fmt: skip
INDEXES = [
    pd.RangeIndex(3, name="run"), pd.RangeIndex(7, 1, -2), pd.Index([3, 1, 2]),
    pd.Index(["a", "b", None], name=("x", 1)), pd.Index([1, "a", None], dtype=object),
    pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("a", 3)], names=["series", None]),
    pd.MultiIndex.from_tuples([("a", 1), (None, 2), ("a", 2)]), pd.Index([True, False, True]),
    pd.date_range("2026-01-01", periods=3, freq="D", tz="UTC"), TIMES.tz_localize("UTC"),
    pd.timedelta_range("1h", periods=3, freq="h", name="after"),
    pd.CategoricalIndex(["a", "b", "a"]),
    pd.Index([1, 2, None], dtype="Int64"),
]  # fmt: skip


def round_trip(value, path):
    model = RollingRule()
    model.kept_ = value
    write(model, path, b"")
    return read(path).kept_


@pytest.mark.filterwarnings("ignore:.*surrogates.*")
@given(
    columns=st.lists(st.sampled_from(COLUMNS), max_size=5),
    index=st.sampled_from(INDEXES),
    names=st.sampled_from([list("abcde"), list("aabbc"), [1, "a", None, 2.5, ("b", 1)]]),
)
def test_a_table_is_the_same(tmp_path_factory, columns, index, names):
    table = pd.DataFrame(dict(enumerate(columns)), index=range(3)).set_axis(index)
    table.columns = names[: len(columns)]
    table.attrs = {"notes": ["a note"], "n": 3}
    found = round_trip(table, tmp_path_factory.mktemp("table") / "model.skops")
    pd.testing.assert_frame_equal(
        found, table, check_exact=True, check_freq=True, check_index_type="exact"
    )
    assert type(found.index) is type(table.index)
    assert found.attrs == table.attrs
    assert [type(part) for part in found.to_numpy(dtype=object).ravel()] == [
        type(part) for part in table.to_numpy(dtype=object).ravel()
    ]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.dtype))
def test_a_column_its_values_and_its_dtype_are_the_same(tmp_path, column):
    pd.testing.assert_series_equal(
        round_trip(column, tmp_path / "m.skops"), column, check_exact=True
    )
    assert round_trip(column.dtype, tmp_path / "m.skops") == column.dtype


SCALARS = [
    pd.NaT, pd.NA, pd.Timestamp("2026-01-01 00:00:01.000000001"),
    pd.Timestamp("1500-01-01", tz="Europe/Berlin").as_unit("s"), pd.Timedelta("1h1ns"),
    np.float32(0.1), np.datetime64("2026-01-01", "h"), np.datetime64("NaT", "s"), np.str_("a"),
    np.bool_(True), 10**40, 0.1, -0.0, float("inf"), "\ud800", frozenset({1, "a"}), {(1, 2): {3}},
    {1: "a", "1": "b", None: "c", False: "d"}, slice(1, None, 2), ((), [], {}), np.dtype("<M8[ns]"),
    UTC, ZoneInfo("Asia/Tokyo"), timedelta(seconds=1), np.zeros((0, 3)), np.float64, float,
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([["a", None], [1, 2.5]], dtype=object),
]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_a_value_is_the_same(tmp_path, value):
    found = round_trip([value], tmp_path / "m.skops")[0]
    assert type(found) is type(value)
    if isinstance(value, np.ndarray):
        np.testing.assert_array_equal(found, value)
        assert (found.dtype, found.flags.f_contiguous) == (value.dtype, value.flags.f_contiguous)
    else:
        assert repr(found) == repr(value)
        assert pickle.dumps(found) == pickle.dumps(value) or found == value


@pytest.mark.parametrize("cls", [np.random.MT19937, np.random.PCG64, np.random.Philox])
def test_random_numbers_go_on(tmp_path, cls):
    generator, state = np.random.Generator(cls(3)), np.random.RandomState(cls(4))
    generator.normal(size=3)
    state.normal()
    one, other = round_trip([generator, state], tmp_path / "m.skops")
    assert one.normal() == generator.normal()
    assert other.normal() == state.normal()
    assert one.spawn(1)[0].random() == generator.spawn(1)[0].random()


def test_what_is_shared_stays_shared(tmp_path):
    frame, items = pd.DataFrame({"a": [1.0]}), [1]
    one, two, three, four = round_trip((frame, {"b": frame}, items, [items]), tmp_path / "m.skops")
    assert one is two["b"]
    assert three is four[0]


def test_what_is_part_of_itself_is_refused(tmp_path):
    items = []
    items.append(items)
    with pytest.raises(ModelFileError, match="part of itself"):
        round_trip(items, tmp_path / "m.skops")


def test_pipelines_of_scikit_learn_are_the_same(tmp_path):
    X = pd.DataFrame({"a": ["x", "y", "z"] * 5, "n": np.arange(15.0)})
    encode = ColumnTransformer([("names", OneHotEncoder(), ["a"])], remainder="passthrough")
    model = make_pipeline(encode, FunctionTransformer(np.log1p), Ridge()).fit(X, X["n"])
    save_model(model, tmp_path / "m.skops")
    np.testing.assert_array_equal(load_model(tmp_path / "m.skops").predict(X), model.predict(X))


def test_zeros_that_shrink_a_thousandfold_load(tmp_path):
    zeros = np.zeros(2**21)
    np.testing.assert_array_equal(round_trip(zeros, tmp_path / "m.skops"), zeros)


def test_without_skops_it_says_what_to_install(tmp_path, monkeypatch):
    model = RollingRule()
    save_model(model, tmp_path / "m.skops")
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    assert load_model(tmp_path / "m.skops").statistic == model.statistic  # takes no skops
    with pytest.raises(ModelFileError, match=r"m\.skops: .*pip install \"sklearn-jobtime\[skops\]"):
        save_model(model, tmp_path / "m.skops")
