"""Windows held against a loop written from their definition, and against leakage."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from sklearn_jobtime import SequenceWindower
from sklearn_jobtime.exceptions import RunTableError

DATA = Path(__file__).parents[3] / "shared" / "data"

# ---------------------------------------------------------------- tables and the definition


@st.composite
def tables(draw, max_rows=12, times=None, distinct_starts=False):
    """Run tables with few seconds and series, so that ties, overlap, zero lengths abound."""
    n = draw(st.integers(1, max_rows))
    seconds = st.integers(0, 8)
    started = draw(st.lists(seconds, min_size=n, max_size=n))
    started = np.arange(n) if distinct_starts else np.sort(started)
    lasted = draw(st.lists(st.one_of(st.none(), seconds), min_size=n, max_size=n))
    ended = [np.nan if d is None else s + d for s, d in zip(started, lasted, strict=True)]
    table = pd.DataFrame(
        {
            "build": draw(st.lists(st.sampled_from([0.5, 2.0, np.nan]), min_size=n, max_size=n)),
            "event__push": np.arange(n) % 3 + 10.0,
            "number": np.arange(n, dtype=float),
        }
    )
    if draw(st.booleans()) if times is None else times:
        table.insert(0, "started_at", pd.to_datetime(started, unit="s"))
        table["ended_at"] = pd.to_datetime(pd.Series(ended), unit="s", utc=True)
    if draw(st.booleans()):
        series = draw(st.lists(st.sampled_from("ab"), min_size=n, max_size=n))
        table.index = pd.MultiIndex.from_arrays([series, range(n)], names=["series", "run"])
    return table


def known_to(table, t):
    """Positions of the runs that had ended when row t started, oldest end first."""
    key = [label[:-1] if isinstance(label, tuple) else () for label in table.index]
    if "started_at" not in table:
        return [i for i in range(t) if key[i] == key[t]]
    started = pd.to_datetime(table["started_at"], utc=True).tolist()
    ended = table["ended_at"].tolist()
    before = [i for i in range(len(table)) if (started[i], i) < (started[t], t)]
    known = [i for i in before if key[i] == key[t] and ended[i] <= started[t]]
    return sorted(known, key=lambda i: (ended[i], started[i], i))


def windows_by_definition(table, known, n_steps, pad):
    channels = [c for c in table.columns if c not in ("started_at", "ended_at")]
    windows = np.full((len(table), n_steps, len(channels)), pad)
    for t in range(len(table)):
        history = known_to(table, t)
        for k, channel in enumerate(channels):
            shown = [*history, t] if channel in known else history
            for back, run in enumerate(reversed(shown[-n_steps:]), start=1):
                windows[t, -back, k] = table[channel].iloc[run]
    return windows


@settings(max_examples=30, deadline=None)
@given(
    tables(),
    st.integers(1, 5),
    st.sampled_from([[], ["event"], ["event", "number"]]),
    st.sampled_from([np.nan, -1.0]),
    st.sampled_from(["float64", "float32"]),
)
def test_windows_are_as_defined(table, n_steps, known, pad, dtype):
    before = table.copy(deep=True)
    windower = SequenceWindower(n_steps, known=known, pad_value=pad, dtype=dtype)
    windows = windower.fit_transform(table)
    columns = [{"event": "event__push"}.get(name, name) for name in known]
    np.testing.assert_array_equal(windows, windows_by_definition(table, columns, n_steps, pad))
    assert windows.dtype == dtype
    np.testing.assert_array_equal(windower.transform(table), windows)
    pd.testing.assert_frame_equal(table, before)


@settings(max_examples=30, deadline=None)
@given(tables(times=True), st.data())
def test_nothing_unknown_at_the_start_changes_a_window(table, data):
    t = data.draw(st.integers(0, len(table) - 1))
    unknown = np.setdiff1d(np.arange(len(table)), known_to(table, t))
    changed = table.copy()
    changed.iloc[unknown, changed.columns.get_loc("build")] = 1e6
    late = table["started_at"].max().tz_localize("UTC") + pd.Timedelta(seconds=5)
    still_runs = data.draw(st.booleans())
    changed.iloc[unknown, changed.columns.get_loc("ended_at")] = pd.NaT if still_runs else late
    windower = SequenceWindower(3, known=["event"])
    expected = windower.fit_transform(table)[t]
    for seen in (table, changed):
        np.testing.assert_array_equal(windower.fit(seen).transform(changed)[t], expected)
    np.testing.assert_array_equal(windower.transform(changed.iloc[: t + 1])[t], expected)


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(1, 4))
def test_no_series_sees_another(table, n_steps):
    assume(isinstance(table.index, pd.MultiIndex))
    windower = SequenceWindower(n_steps, known=["event"])
    windows = windower.fit_transform(table)
    for name in table.index.unique("series"):
        own = table.index.get_level_values("series") == name
        np.testing.assert_array_equal(windower.fit_transform(table[own]), windows[own])
        np.testing.assert_array_equal(windower.fit(table).transform(table[own]), windows[own])


@settings(max_examples=30, deadline=None)
@given(tables(), st.integers(1, 4), st.data())
def test_later_rows_have_their_full_history(table, n_steps, data):
    split = data.draw(st.integers(1, len(table)))
    windower = SequenceWindower(n_steps, known=["event"], add_mask=True)
    whole = windower.fit_transform(table)
    windower.fit(table.iloc[:split])
    np.testing.assert_array_equal(windower.transform(table), whole)
    if split < len(table):
        np.testing.assert_array_equal(windower.transform(table.iloc[split:]), whole[split:])


@settings(max_examples=30, deadline=None)
@given(tables(distinct_starts=True), st.integers(1, 4), st.data())
def test_early_rows_do_not_see_what_fit_saw_later(table, n_steps, data):
    split = data.draw(st.integers(1, len(table)))
    windower = SequenceWindower(n_steps, known=["event"])
    whole = windower.fit_transform(table)
    np.testing.assert_array_equal(windower.transform(table.iloc[:split]), whole[:split])


@settings(max_examples=30, deadline=None)
@given(tables(times=False), st.integers(2, 5))
def test_without_overlap_a_window_moves_by_one_step(table, n_steps):
    table = table.reset_index(drop=True)
    windows = SequenceWindower(n_steps, known=["event"], add_mask=True).fit_transform(table)
    np.testing.assert_array_equal(windows[1:, :-1], windows[:-1, 1:])


@settings(max_examples=30, deadline=None)
@given(tables(), st.integers(1, 4))
def test_mask_counts_the_real_steps(table, n_steps):
    mask = SequenceWindower(n_steps, add_mask=True).fit_transform(table)[:, :, -1]
    counts = [min(n_steps, len(known_to(table, t))) for t in range(len(table))]
    np.testing.assert_array_equal(mask.sum(axis=1), counts)
    assert (np.diff(mask, axis=1) >= 0).all()  # padded in front


# ---------------------------------------------------------------- the plain case


def test_textbook():
    X = np.arange(10.0, 100.0, 10.0)[:, None]
    windows = SequenceWindower(n_steps=3).fit_transform(X)
    assert windows.shape == (9, 3, 1)
    np.testing.assert_array_equal(windows[3].ravel(), [10, 20, 30])
    np.testing.assert_array_equal(windows[8].ravel(), [60, 70, 80])
    np.testing.assert_array_equal(windows[1].ravel(), [np.nan, np.nan, 10])


@pytest.mark.parametrize("known", [None, [1]])
def test_plain_windows_are_one_view(known):
    X = np.random.default_rng(0).normal(size=(500, 2))
    X.setflags(write=False)
    windows = SequenceWindower(n_steps=20, known=known).fit_transform(X)
    last = sum((n - 1) * stride for n, stride in zip(windows.shape, windows.strides, strict=True))
    assert last + 8 == (500 + 20 - 1) * 2 * 8  # the bytes that the view spans
    assert not windows.flags.writeable
    assert not np.shares_memory(windows, X)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 5), st.sampled_from([None, [0], [0, 1]])
)
def test_arrays_go_on_where_fit_stopped(seen, later, n_steps, known):
    X = np.column_stack([np.arange(seen + later), -np.arange(seen + later)])
    windower = SequenceWindower(n_steps, known=known)
    whole = windower.fit_transform(X)
    windower.fit(X[:seen])
    np.testing.assert_array_equal(windower.transform(X[seen:]), whole[seen:])
    np.testing.assert_array_equal(windower.transform(X), whole)


@pytest.mark.parametrize("known", [None, ["b"]])
def test_pandas_and_numpy_agree(known):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["a", "b"])
    of_frame = SequenceWindower(4, known=known).fit(X)
    of_array = SequenceWindower(4, known=known and [1]).fit(X.to_numpy())
    np.testing.assert_array_equal(of_frame.transform(X), of_array.transform(X.to_numpy()))
    with pytest.warns(UserWarning, match="valid feature names"):
        np.testing.assert_array_equal(of_frame.transform(X.to_numpy()), of_frame.transform(X))
    as_list = SequenceWindower(4, known=known and [-1]).fit_transform(X.to_numpy().tolist())
    np.testing.assert_array_equal(as_list, of_array.transform(X.to_numpy()))


def test_times_go_by_position_in_an_array():
    runs = pd.DataFrame({"a": [7.0, 8.0, 9.0], "started_at": [0.0, 1.0, 6.0]})
    runs["ended_at"] = [5.0, 2.0, 7.0]
    windower = SequenceWindower(2).fit(runs)
    with pytest.warns(UserWarning, match="valid feature names"):
        windows = windower.transform(runs.to_numpy())
    np.testing.assert_array_equal(windows, windower.transform(runs))
    np.testing.assert_array_equal(windows[2].ravel(), [8, 7])  # in the order of their ends


# ---------------------------------------------------------------- columns


def test_number_types_of_pandas():
    table = pd.DataFrame(
        {
            "a": pd.array([1, None, 3], dtype="Int64"),
            "b": [True, False, True],
            "c": np.array([1, 2, 3], dtype="float32"),
            "d": pd.array([0.5, None, 1.5], dtype="Float64"),
        }
    )
    windows = SequenceWindower(1).fit_transform(table)
    np.testing.assert_array_equal(windows[1:, 0], [[1, 1, 1, 0.5], [np.nan, 0, 2, np.nan]])


def test_two_columns_of_one_name():
    with pytest.raises(RunTableError, match="Two columns are named 'a'; rename or drop one"):
        SequenceWindower().fit(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))


def test_the_start_and_what_derives_from_it_are_known():
    table = pd.DataFrame(
        {"started_at": [0.0, 9.0], "started_at__hour": [1.0, 2.0], "ended_at": [5.0, 10.0]}
    )
    windower = SequenceWindower(1, keep_times=True).fit(table)
    assert windower.get_feature_names_out().tolist() == table.columns.tolist()
    np.testing.assert_array_equal(windower.transform(table)[1], [[9, 2, 5]])
    windower = SequenceWindower(1, add_mask=True).fit(table)
    assert windower.get_feature_names_out().tolist() == ["started_at__hour", "real_step"]
    assert windower.n_features_in_ == 3


def test_other_names_of_the_times():
    table = pd.DataFrame({"begin": [0.0, 1.0], "end": [5.0, 6.0], "a": [1.0, 2.0]})
    windower = SequenceWindower(1, started_at="begin", ended_at="end").fit(table)
    assert windower.get_feature_names_out().tolist() == ["a"]
    assert np.isnan(windower.transform(table)).all()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["x", "y"], "'build' has dtype .*; windows are made of numbers.*Encode"),
        (pd.to_datetime(["2026-03-01"] * 2), "'build' has dtype datetime64.*TimestampToNumeric"),
        (pd.Categorical(["x", "y"]), "'build' has dtype (str|object);.*OneHotEncoder"),
        ([1j, 2j], "'build' has dtype complex"),
        ([1.0, np.inf], "'build' contains infinity.*FailureImputer"),
    ],
    ids=["text", "time", "category", "complex", "inf"],
)
def test_what_is_no_number_is_named(column, message):
    with pytest.raises(RunTableError, match=message):
        SequenceWindower().fit(pd.DataFrame({"a": [1.0, 2.0], "build": column}))


@pytest.mark.parametrize(
    ("parameters", "table", "message"),
    [
        ({"known": ["c"]}, {"a": [1.0]}, r"known='c' is no column of the table: \['a'\]"),
        ({"known": [2]}, {"a": [1.0]}, "known=2 is no column"),
        ({"known": "a"}, {"a": [1.0]}, "known='a' is a string.*list"),
        ({}, {"started_at": [1.0]}, "only columns of times.*keep_times"),
        ({}, {"a": []}, r"0 sample\(s\)"),
        ({}, {"a": [1.0], "started_at": [np.nan]}, "has no start"),
        ({"n_steps": 0}, {"a": [1.0]}, "'n_steps' parameter.*must be an int"),
    ],
)
def test_errors_help(parameters, table, message):
    with pytest.raises(ValueError, match=message):
        SequenceWindower(**parameters).fit(pd.DataFrame(table))


def test_columns_of_transform_are_those_of_fit():
    table = pd.DataFrame({"a": [1.0], "b": [2.0]})
    windower = SequenceWindower().fit(table)
    with pytest.raises(ValueError, match="feature names should match"):
        windower.transform(table[["b", "a"]])
    with pytest.raises(ValueError, match=r"[Mm]issing|expecting 2"):
        windower.transform(table[["a"]])


# ---------------------------------------------------------------- among estimators


def test_clone_pickle_and_tags():
    table = pd.DataFrame({"a": np.arange(9.0)}, index=range(1, 10))
    windower = SequenceWindower(2, known=["a"]).fit(table)
    assert clone(windower).get_params() == windower.get_params()
    copy = pickle.loads(pickle.dumps(windower))
    later = table.set_axis(range(10, 19))
    np.testing.assert_array_equal(copy.transform(later), windower.transform(later))
    np.testing.assert_array_equal(copy.transform(later)[0].ravel(), [8, 0])
    assert get_tags(windower).input_tags.allow_nan


def test_transform_leaves_the_estimator_as_it_was():
    table = pd.DataFrame({"a": np.arange(9.0)})
    windower = SequenceWindower(2).fit(table)
    before = pickle.dumps(windower)
    windower.transform(table.set_axis(range(9, 18)))
    assert pickle.dumps(windower) == before


def test_grid_search_of_the_steps():
    """A series that repeats every fourth run is forecast from four steps on, not before."""
    y = np.tile([1.0, 5.0, 2.0, 9.0], 15)
    pipeline = make_pipeline(
        SequenceWindower(pad_value=0.0),
        FunctionTransformer(lambda windows: windows.reshape(len(windows), -1)),
        Ridge(alpha=1e-3),
    )
    search = GridSearchCV(
        pipeline, {"sequencewindower__n_steps": [1, 4]}, cv=TimeSeriesSplit(n_splits=3)
    )
    search.fit(pd.DataFrame({"job": y}), y)
    assert search.best_params_ == {"sequencewindower__n_steps": 4}
    assert search.best_score_ > 0.95


@pytest.mark.skipif(not (DATA / "gha_runs.csv.gz").exists(), reason="the real data is not here")
def test_folds_of_real_runs_have_the_windows_of_the_whole_table():
    table = pd.read_csv(DATA / "gha_runs.csv.gz", parse_dates=["started_at", "ended_at"])
    table = table.dropna(subset="started_at").sort_values("started_at", kind="stable")
    table = table.set_index(["series", "run"])[
        ["started_at", "ended_at", "duration_s", "lines_added"]
    ]
    previous_end = table.groupby("series")["ended_at"].shift()
    assert (table["started_at"] < previous_end).mean() > 0.3  # runs overlap
    windower = SequenceWindower(10, known=["lines_added"])
    whole = windower.fit_transform(table)
    for train, test in TimeSeriesSplit(n_splits=4).split(table):
        windower.fit(table.iloc[train])
        np.testing.assert_array_equal(windower.transform(table.iloc[train]), whole[train])
        np.testing.assert_array_equal(windower.transform(table.iloc[test]), whole[test])
    early = table.iloc[:150]
    np.testing.assert_array_equal(
        whole[:150], windows_by_definition(early, ["lines_added"], 10, np.nan)
    )
