"""Boosted trees as arrays: scikit-learn's forecasts to the last digit, by NumPy and compiled."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor

from sklearn_jobtime.compose import BoostedTreesRegressor, DirectMultiStepRegressor
from sklearn_jobtime.compose._packed_trees import forecasts_of, packed

OPTIONS = {"min_samples_leaf": 2, "random_state": 0, "early_stopping": False}


def table(seed, n_columns=3, n=60, missing=0.2, infinite=0.1):
    """Columns of a few levels and of many, with gaps and infinities; targets that use them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_columns))
    X[:, 0] = rng.integers(0, 4, n)  # names, as an encoder counts them
    X[rng.random(X.shape) < missing] = np.nan
    X[rng.random(X.shape) < infinite] = np.inf
    X[rng.random(X.shape) < infinite] = -np.inf
    y = np.nan_to_num(X, nan=3.0, posinf=5.0, neginf=-5.0) @ rng.normal(size=n_columns)
    return X, y + rng.normal(size=n)


@pytest.mark.parametrize("many_pairs", [0, 10**9], ids=["compiled", "numpy"])
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 999),
    missing=st.sampled_from([0.0, 0.3]),
    infinite=st.sampled_from([0.0, 0.1]),
    loss=st.sampled_from(["absolute_error", "squared_error", "quantile"]),
    leaves=st.sampled_from([2, 7, None]),
)
def test_forecasts_are_those_of_scikit_learn_to_the_last_digit(
    many_pairs, seed, missing, infinite, loss, leaves
):
    X, y = table(seed, missing=missing, infinite=infinite)
    quantile = 0.8 if loss == "quantile" else None
    options = {"loss": loss, "quantile": quantile, "max_iter": 8, "max_leaf_nodes": leaves}
    theirs = HistGradientBoostingRegressor(**OPTIONS, **options).fit(X[:40], y[:40])
    trees = packed(theirs)
    found = forecasts_of(object_of_its_own(), [trees], [X], many_pairs=many_pairs)[0]
    assert found.tobytes() == theirs.predict(X).tobytes()
    ours = BoostedTreesRegressor(**OPTIONS, **options).fit(X[:40], y[:40])
    assert ours.packed_trees() is not None
    assert ours.predict(X).tobytes() == theirs.predict(X).tobytes()
    assert ours.n_iter_ == theirs.n_iter_


def object_of_its_own():
    return type("Owner", (), {})()


@pytest.mark.parametrize("many_pairs", [0, 10**9], ids=["compiled", "numpy"])
def test_several_regressors_of_other_inputs_are_walked_at_once(many_pairs):
    trees, inputs, expected = [], [], []
    for seed, n_columns in enumerate([2, 5, 3]):
        X, y = table(seed, n_columns)
        theirs = HistGradientBoostingRegressor(max_iter=3 + seed, **OPTIONS).fit(X, y)
        trees.append(packed(theirs))
        inputs.append(X[: 1 + 7 * seed])
        expected.append(theirs.predict(inputs[-1]))
    found = forecasts_of(object_of_its_own(), trees, inputs, many_pairs=many_pairs)
    for mine, other in zip(found, expected, strict=True):
        assert mine.tobytes() == other.tobytes()


def test_every_output_of_direct_steps_is_that_of_scikit_learn():
    X, _ = table(1, infinite=0.0)
    ahead = pd.MultiIndex.from_product([[1, 2, 3], ["build", "test"]], names=["step", "job"])
    y = pd.DataFrame(np.random.default_rng(0).random((len(X), 6)), columns=ahead)
    options = {"loss": "absolute_error", "max_iter": 4, **OPTIONS}
    theirs = DirectMultiStepRegressor(HistGradientBoostingRegressor(**options)).fit(X, y)
    ours = DirectMultiStepRegressor(BoostedTreesRegressor(**options)).fit(X, y)
    for rows in (X[:1], X):
        assert ours.predict(rows).tobytes() == theirs.predict(rows).tobytes()
    again = ours.fit(X[::-1], y)  # what was made of the trees of another fit is not used
    fresh = pickle.loads(pickle.dumps(again))
    assert again.predict(X).tobytes() == fresh.predict(X).tobytes()


def test_categories_of_pandas_keep_scikit_learns_own_trees():
    X, y = table(2)
    frame = pd.DataFrame({"kind": pd.Categorical(np.arange(len(X)) % 3), "size": X[:, 1]})
    ours = BoostedTreesRegressor(max_iter=5, **OPTIONS).fit(frame, y)
    theirs = HistGradientBoostingRegressor(max_iter=5, **OPTIONS).fit(frame, y)
    assert ours.packed_trees() is None
    np.testing.assert_array_equal(ours.predict(frame), theirs.predict(frame))


@pytest.mark.parametrize("name", ["_predictors", "_baseline_prediction", "_loss"])
def test_trees_that_are_laid_out_in_another_way_are_kept_as_they_are(name):
    X, y = table(3)
    theirs = HistGradientBoostingRegressor(max_iter=3, **OPTIONS).fit(X, y)
    del theirs.__dict__[name]  # as if a later version had another name for it
    assert packed(theirs) is None


def test_splits_in_another_order_are_not_taken_for_known_ones():
    X, y = table(3)
    theirs = HistGradientBoostingRegressor(max_iter=3, **OPTIONS).fit(X, y)
    nodes = theirs._predictors[0][0].nodes
    nodes["left"][0], nodes["right"][0] = nodes["right"][0], nodes["left"][0]
    assert packed(theirs) is None


def test_a_copy_and_a_clone_stand_for_themselves():
    X, y = table(4)
    model = BoostedTreesRegressor(max_iter=4, **OPTIONS).fit(X, y)
    said = model.predict(X)
    copied = pickle.loads(pickle.dumps(model))
    model.fit(X, -y)
    np.testing.assert_array_equal(copied.predict(X), said)
    unfitted = clone(model)
    assert not hasattr(unfitted, "n_iter_")
    assert unfitted.get_params() == model.get_params()


def test_a_loaded_model_forecasts_without_scikit_learns_ensembles(tmp_path):
    X, y = table(5)
    model = BoostedTreesRegressor(max_iter=4, **OPTIONS).fit(X, y)
    (tmp_path / "model").write_bytes(pickle.dumps((model, X, model.predict(X))))
    code = (
        "import pickle, sys\n"
        f"model, X, said = pickle.load(open({str(tmp_path / 'model')!r}, 'rb'))\n"
        "assert (model.predict(X) == said).all()\n"
        "assert 'sklearn.ensemble' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_there_is_one_parameter_for_each_that_stays():
    theirs = HistGradientBoostingRegressor().get_params()
    for name, value in BoostedTreesRegressor().get_params().items():
        assert theirs[name] == value
