"""Covariates become bounded numbers; new, missing and drifting values are no surprise."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import SplineTransformer

from sklearn_jobtime import CovariateEncoder, SequenceWindower
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.preprocessing._covariates import (
    bucket,
    hat_functions,
    persistence,
    quantile_knots,
)

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=30, deadline=None)
@given(values=arrays(float, st.integers(1, 20), elements=finite), n_knots=st.integers(2, 6))
def test_the_pieces_add_up_to_one_and_rebuild_what_lies_between_the_knots(values, n_knots):
    knots = quantile_knots(values, n_knots)
    assert (np.diff(knots) > 0).all()
    hats = hat_functions(values, knots)
    np.testing.assert_allclose(hats.sum(axis=1), 1.0)
    np.testing.assert_allclose(hats @ knots, values, rtol=1e-9, atol=1e-6)
    beyond = hat_functions(np.array([-1e9, 1e9]), knots)
    assert beyond[0, 0] == beyond[1, -1] == 1.0
    assert not hat_functions(np.array([np.nan]), knots).any()


def test_the_pieces_are_those_of_a_spline_of_degree_one():
    values = np.random.default_rng(0).lognormal(size=100)
    knots = quantile_knots(values, 5)
    spline = SplineTransformer(degree=1, knots=knots[:, None], extrapolation="constant")
    expected = spline.fit_transform(values[:, None])
    np.testing.assert_allclose(hat_functions(values, knots), expected, atol=1e-12)


def test_what_drifts_tells_the_date_and_is_left_out():
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"sloc": np.arange(60.0), "lines": rng.lognormal(size=60), "one": 1.0})
    encoder = CovariateEncoder(["sloc", "lines", "one"]).fit(runs)
    assert [len(knots) for knots in encoder.knots_.values()] == [0, 5, 0]
    everything = CovariateEncoder(["sloc"], max_persistence=1).fit(runs)
    assert len(everything.knots_["sloc"]) == 5


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000))
def test_persistence_is_that_of_a_slow_loop_within_each_series(seed):
    rng = np.random.default_rng(seed)
    values, series = rng.normal(size=30), rng.integers(0, 2, 30)
    values[rng.random(30) < 0.1] = np.nan
    rank = pd.Series(values).rank().to_numpy()
    pairs = []
    for code in (0, 1):
        mine = rank[series == code]
        pairs += [(a, b) for a, b in pairwise(mine) if not np.isnan(a + b)]
    expected = np.corrcoef(np.array(pairs).T)[0, 1] if len(pairs) >= 10 else 0.0
    assert persistence(values, series) == pytest.approx(expected)


def test_names_missing_and_new_values_have_their_places():
    runs = pd.DataFrame({"event": ["push", "push", "tag", "tag", "pr", None]})
    encoder = CovariateEncoder(max_categories=2, n_buckets=3).fit(runs)
    assert encoder.categories_ == {"event": ["push", "tag"]}
    new = pd.DataFrame({"event": ["tag", "never seen", np.nan, "pr"]})
    out = encoder.transform(new)
    assert (out.sum(axis=1) == 1).all()
    assert out["event__tag"].tolist() == [1, 0, 0, 0]
    assert out["event__missing"].tolist() == [0, 0, 1, 0]
    assert out.loc[1, f"event__rare_{bucket('never seen', 3)}"] == 1
    assert out.loc[3, f"event__rare_{bucket('pr', 3)}"] == 1
    assert out.columns.tolist() == encoder.get_feature_names_out().tolist()


@pytest.mark.parametrize("dtype", ["str", "category", "object", "string"])
def test_text_of_every_type_is_read(dtype):
    runs = pd.DataFrame({"event": pd.Series(["a", "b", "a"]).astype(dtype)})
    out = CovariateEncoder().fit_transform(runs)
    assert out["event__a"].tolist() == [1, 0, 1]


@pytest.mark.parametrize("dtype", ["bool", "boolean", "Int64", "float32", "object"])
def test_numbers_of_every_type_are_read(dtype):
    runs = pd.DataFrame({"is_main": pd.Series([0, 1, 1, 0] * 4).astype(dtype)})
    out = CovariateEncoder(["is_main"]).fit_transform(runs)
    assert out["is_main__knot_1"].tolist() == [0, 1, 1, 0] * 4


def test_a_number_missing_in_prediction_alone():
    encoder = CovariateEncoder(["files"]).fit(pd.DataFrame({"files": [1, 9, 2, 8]}))
    out = encoder.transform(pd.DataFrame({"files": [np.nan, 5.0]}))
    assert out["files__missing"].tolist() == [1, 0]
    assert out.iloc[0].sum() == 1
    nothing = CovariateEncoder(["files"]).fit(pd.DataFrame({"files": [np.nan, np.nan]}))
    assert nothing.transform(pd.DataFrame({"files": [3.0]})).to_numpy().tolist() == [[0.0]]


def test_what_a_known_column_gives_is_known_to_the_windower():
    runs = pd.DataFrame({"build": [1.0, 2.0], "event": ["push", "tag"]})
    table = CovariateEncoder().fit_transform(runs)
    windower = SequenceWindower(n_steps=1, known=["event"]).fit(table)
    last = dict(zip(windower.get_feature_names_out(), windower.transform(table)[1, 0], strict=True))
    assert last["build"] == 1.0
    assert last["event__tag"] == 1.0


BAD = {
    "no column": ({"build": [1.0]}, {"columns": ["event"]}, RunTableError, "no column"),
    "list": ({"event": [["a"], ["b"]]}, {}, TypeError, "a string or a number"),
    "clash": ({"event": ["a"], "event__a": [1.0]}, {}, RunTableError, "rename one of the two"),
}


@pytest.mark.parametrize(("table", "options", "error", "message"), BAD.values(), ids=BAD)
def test_bad_tables_are_named(table, options, error, message):
    with pytest.raises(error, match=message):
        CovariateEncoder(**options).fit(pd.DataFrame(table))
