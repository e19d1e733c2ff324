import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler as Reference

import sklearn_jobtime.preprocessing._minmax as module
from sklearn_jobtime import MinMaxScaler

ATTRIBUTES = ["data_min_", "data_max_", "data_range_", "scale_", "min_"]
quick = settings(deadline=None, max_examples=40)


def floats(dtype):
    largest = 3e38 if dtype == np.float32 else 1.7e308
    largest = float(np.array(largest, dtype=dtype))
    width = 32 if dtype == np.float32 else 64
    finite = st.floats(-largest, largest, width=width)
    return st.one_of(st.just(np.nan), st.integers(-5, 5).map(float), finite)


@st.composite
def arrays(draw, ndim):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shape = draw(hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=4))
    return draw(hnp.arrays(dtype, shape, elements=floats(dtype)))


params = st.fixed_dictionaries(
    {"feature_range": st.sampled_from([(0, 1), (-1, 1), (2.5, 9)]), "clip": st.booleans()}
)


def reference(X, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scaler = Reference(**kwargs).fit(X)
        scaled = scaler.transform(X)
        return scaler, scaled, scaler.inverse_transform(scaled)


def assert_same_bits(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    np.testing.assert_array_equal(a, b)


def windows(n=50, steps=4, features=3, dtype=np.float64):
    table = np.random.default_rng(0).normal(size=(n + steps - 1, features)).astype(dtype)
    return sliding_window_view(table, steps, axis=0).swapaxes(1, 2)


@quick
@given(arrays(2), params)
def test_tables_equal_scikit_learns_to_the_last_bit(X, kwargs):
    theirs, scaled, back = reference(X, **kwargs)
    ours = MinMaxScaler(**kwargs).fit(X)
    for name in ATTRIBUTES:
        assert_same_bits(getattr(ours, name), getattr(theirs, name))
    assert_same_bits(ours.transform(X), scaled)
    assert_same_bits(ours.inverse_transform(scaled), back)
    assert ours.n_samples_seen_ == theirs.n_samples_seen_


@quick
@given(arrays(3), params)
def test_windows_are_scaled_like_their_rows(X, kwargs):
    rows = X.reshape(-1, X.shape[2])
    theirs, scaled, back = reference(rows, **kwargs)
    ours = MinMaxScaler(**kwargs).fit(X)
    for name in ATTRIBUTES:
        assert_same_bits(getattr(ours, name), getattr(theirs, name))
    assert_same_bits(ours.transform(X), scaled.reshape(X.shape))
    assert_same_bits(ours.inverse_transform(ours.transform(X)), back.reshape(X.shape))
    assert_same_bits(ours.transform(rows), scaled)
    assert ours.n_samples_seen_ == len(rows)
    assert ours.n_features_in_ == X.shape[2]


@quick
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans())
def test_partial_fit_equals_fit_of_all(sizes, three_d):
    X = windows(sum(sizes)) if three_d else windows(sum(sizes))[:, 0]
    scaler = MinMaxScaler()
    for batch in np.split(X, np.cumsum(sizes)[:-1]):
        scaler.partial_fit(batch)
    whole = MinMaxScaler().fit(X)
    for name in [*ATTRIBUTES, "n_samples_seen_"]:
        np.testing.assert_array_equal(getattr(scaler, name), getattr(whole, name))


def test_a_new_fit_forgets_the_old_one():
    scaler = MinMaxScaler().fit(windows() * 100).fit(windows())
    np.testing.assert_array_equal(scaler.data_max_, MinMaxScaler().fit(windows()).data_max_)


def test_the_block_size_does_not_show(monkeypatch):
    X = windows()
    expected = MinMaxScaler().fit_transform(X)
    monkeypatch.setattr(module, "BLOCK_VALUES", 30)
    assert_same_bits(MinMaxScaler().fit_transform(X), expected)


def test_a_span_beyond_floats_warns_of_nothing():
    X = np.array([[-1.7e308], [1.7e308], [0.0]])
    theirs, scaled, _ = reference(X)
    assert np.isinf(theirs.data_range_).all()
    assert_same_bits(MinMaxScaler().fit_transform(X), scaled)
    assert_same_bits(MinMaxScaler().fit_transform(X[None]), scaled[None])


@pytest.mark.parametrize("copy", [True, False])
def test_overlapping_windows_are_never_scaled_in_place(copy):
    table = np.arange(10.0).reshape(-1, 1)
    X = np.lib.stride_tricks.as_strided(table, (8, 3, 1), (8, 8, 8))
    scaler = MinMaxScaler(copy=copy).fit(X)
    scaler.transform(X)
    scaler.inverse_transform(X)
    assert_same_bits(table[:, 0], np.arange(10.0))
    whole = X.copy()
    scaler.transform(whole)
    assert_same_bits(whole, X)


def test_copy_false_scales_a_table_in_place():
    X = np.arange(6.0).reshape(3, 2)
    assert MinMaxScaler(copy=False).fit_transform(X) is X
    assert X.max() == 1


def test_fit_does_not_copy_the_windows():
    table = np.zeros((20_000, 4))
    X = sliding_window_view(table, 50, axis=0).swapaxes(1, 2)
    X.setflags(write=False)
    MinMaxScaler().fit(X[:10])  # what the first call loads is not its memory
    tracemalloc.start()
    MinMaxScaler().fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < table.nbytes < X.nbytes / 40


def test_the_clock_is_kept():
    times = pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True)
    index = pd.Index([4, 2], name="run")
    for started in (times, [0.0, 60.0]):
        runs = pd.DataFrame({"a": [1.0, 3.0], "started_at": started, "b": [2, 4]}, index=index)
        before = runs.copy(deep=True)
        scaler = MinMaxScaler(clip=True).fit(runs)
        out = scaler.transform(runs)
        expected = runs.assign(a=[0.0, 1.0], b=[0.0, 1.0])
        pd.testing.assert_frame_equal(out, expected)
        pd.testing.assert_frame_equal(scaler.inverse_transform(out), runs, check_dtype=False)
        pd.testing.assert_frame_equal(runs, before)
        assert np.isnan(scaler.scale_[1])
        assert scaler.kept_ == [1]
    array = runs.to_numpy()
    with pytest.warns(UserWarning, match="feature names"):
        out = scaler.transform(array)
    np.testing.assert_array_equal(out, expected)


def test_keep_is_a_choice():
    runs = pd.DataFrame({"started_at": [0.0, 60.0], "b": [2.0, 4.0]})
    assert MinMaxScaler(keep=()).fit_transform(runs)["started_at"].tolist() == [0.0, 1.0]
    kept = MinMaxScaler(keep=["b"]).fit_transform(runs)
    assert kept["b"].tolist() == [2.0, 4.0]
    assert MinMaxScaler().fit(runs.to_numpy()).kept_ == []


def test_float32_stays_float32_beside_a_kept_clock():
    runs = pd.DataFrame({"started_at": [0.0, 6e9], "b": np.array([2, 4], dtype=np.float32)})
    out = MinMaxScaler().fit_transform(runs)
    assert out.dtypes.tolist() == [np.float64, np.float32]
    assert out["started_at"].tolist() == [0.0, 6e9]


class ToWindows(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X)[:, None, :]

    def set_output(self, *, transform=None):
        return self


@pytest.mark.parametrize("container", ["default", "pandas"])
def test_set_output_rules_tables_and_leaves_windows(container):
    X = windows()
    pipe = Pipeline([("windows", ToWindows()), ("scale", MinMaxScaler())])
    pipe.set_output(transform=container)
    assert pipe.fit_transform(X[:, 0]).shape == (len(X), 1, 3)
    assert isinstance(pipe.transform(X[:, 0]), np.ndarray)
    out = MinMaxScaler().set_output(transform=container).fit_transform(X[:, 0])
    assert isinstance(out, pd.DataFrame) == (container == "pandas")
    frame = pd.DataFrame(X[:, 0], columns=list("abc"), index=np.arange(len(X)) + 5)
    framed = MinMaxScaler().set_output(transform=container).fit_transform(frame)
    np.testing.assert_array_equal(framed, out)
    pd.testing.assert_index_equal(framed.index, frame.index)
    assert list(framed) == list("abc")
    assert clone(pipe)["scale"].set_output() is not None


def test_clone_and_pickle_keep_the_container_and_the_scale():
    scaler = MinMaxScaler(keep=["a"]).set_output(transform="pandas").fit(windows()[:, 0])
    copied = pickle.loads(pickle.dumps(scaler))
    pd.testing.assert_frame_equal(
        copied.transform(windows()[:, 0]), scaler.transform(windows()[:, 0])
    )
    assert clone(scaler).keep == ["a"]
    assert isinstance(clone(scaler).fit_transform(windows()[:, 0]), pd.DataFrame)


@pytest.mark.parametrize("ndim", [2, 3])
def test_errors_are_scikit_learns(ndim):
    X = windows() if ndim == 3 else windows()[:, 0]
    scaler = MinMaxScaler().fit(X)
    with pytest.raises(ValueError, match="expecting 3 features"):
        scaler.transform(X[..., :2])
    with pytest.raises(ValueError, match="expecting 3 features"):
        scaler.partial_fit(X[..., :2])
    infinite = X.copy()
    infinite[(3, *[0] * (ndim - 1))] = -np.inf
    for method in (scaler.fit, scaler.transform):
        with pytest.raises(ValueError, match="infinity"):
            method(infinite)
    with pytest.raises(ValueError, match="minimum of 1"):
        MinMaxScaler().fit(X[:0])
    with pytest.raises(ValueError, match="feature range"):
        MinMaxScaler((1, 0)).fit(X)
    with pytest.raises(ValueError, match="keep"):
        MinMaxScaler(keep=1).fit(X)


def test_odd_windows():
    with pytest.raises(ValueError, match="0 steps"):
        MinMaxScaler().fit(np.empty((3, 0, 2)))
    with pytest.raises(ValueError, match="dim 4"):
        MinMaxScaler().fit(np.zeros((1, 1, 1, 1)))
    whole = MinMaxScaler().fit_transform(np.arange(6).reshape(3, 2, 1))
    assert whole.dtype == np.float64
    assert whole.max() == 1
    nested = MinMaxScaler().fit_transform([[[1], [2]], [[3], [None]]])
    np.testing.assert_array_equal(nested[..., 0], [[0, 0.5], [1, np.nan]])
    empty = MinMaxScaler().fit_transform(np.full((2, 2, 1), np.nan))
    assert np.isnan(empty).all()
