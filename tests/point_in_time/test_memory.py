"""What was known when, and what is remembered, held against loops written from the rule."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import RunTableError, SameRunsWarning
from sklearn_jobtime.point_in_time import (
    Clock,
    ended_order,
    epoch_seconds,
    given_again,
    read_clock,
    recall,
    remember,
    rows_to_remember,
)

SECONDS = st.integers(0, 6)


@st.composite
def clocks(draw, max_rows=12):
    """Few seconds and few series, so that ties, overlap and runs of no length abound."""
    n = draw(st.integers(1, max_rows))
    started = np.sort(draw(st.lists(SECONDS, min_size=n, max_size=n))).astype(float)
    lasted = draw(st.lists(st.one_of(st.none(), SECONDS), min_size=n, max_size=n))
    ended = np.array([np.nan if d is None else s + d for s, d in zip(started, lasted, strict=True)])
    series = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    times = draw(st.sampled_from(["both", "started", "none"]))
    return Clock(
        series,
        [("a",), ("b",), ("c",)],
        None if times == "none" else started,
        ended if times == "both" else None,
        pd.RangeIndex(n),
    )


def known_runs(clock, t, eligible):
    """The rule, run by run."""
    n = len(clock.series)
    started = np.zeros(n) if clock.started is None else clock.started
    ended = started if clock.ended is None else clock.ended
    known = [
        i
        for i in range(n)
        if eligible[i]
        and clock.series[i] == clock.series[t]
        and ended[i] <= started[t]
        and (started[i], i) < (started[t], t)
    ]
    return sorted(known, key=lambda i: (ended[i], started[i], i))


@settings(max_examples=30, deadline=None)
@given(clocks(), st.data())
def test_slices_are_the_runs_that_had_ended(clock, data):
    n = len(clock.series)
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    found = ended_order(clock.series, clock.started, clock.ended, eligible)
    for t in range(n):
        assert found.order[found.first[t] : found.stop[t]].tolist() == known_runs(
            clock, t, eligible
        )


@settings(max_examples=30, deadline=None)
@given(clocks(), st.data())
def test_one_sort_answers_for_some_rows_some_runs_and_runs_alike(clock, data):
    n = len(clock.series)
    first = data.draw(st.integers(0, n))
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    kind = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    ended = ended_order(clock.series, clock.started, clock.ended, first=first)
    alike = ended.within(2 * clock.series + kind)
    for t in range(first, n):
        for found, asked in [
            (ended, np.ones(n, bool)),
            (ended.only(eligible), eligible),
            (alike, kind == kind[t]),
            (alike.only(eligible), eligible & (kind == kind[t])),
        ]:
            seen = found.order[found.first[t - first] : found.stop[t - first]]
            assert seen.tolist() == known_runs(clock, t, asked)


def test_a_run_that_ended_before_it_started_counts_from_its_start():
    found = ended_order(np.zeros(3, int), np.array([1.0, 5.0, 6.0]), np.array([2.0, 0.0, 7.0]))
    assert found.order.tolist() == [0, 1, 2]
    assert found.stop.tolist() == [0, 1, 2]


def test_without_starts_a_running_row_is_known_to_nobody():
    found = ended_order(np.zeros(3, int), None, np.array([5.0, np.nan, 7.0]))
    assert found.order[: found.stop[2]].tolist() == [0]


def test_empty_table():
    found = ended_order(np.zeros(0, int), np.zeros(0), np.zeros(0))
    assert len(found.order) == len(found.first) == len(found.stop) == 0
    assert len(read_clock(pd.DataFrame({"started_at": np.zeros(0)})).series) == 0


@settings(max_examples=30, deadline=None)
@given(clocks(), st.integers(1, 4), st.data())
def test_memory_gives_every_later_row_its_history(clock, n, data):
    """Whatever was forgotten was not among the last n eligible runs of any later row."""
    n_rows = len(clock.series)
    split = data.draw(st.integers(1, n_rows))
    columns = data.draw(st.integers(1, 2))
    flags = data.draw(st.lists(st.booleans(), min_size=n_rows * columns, max_size=n_rows * columns))
    eligible = np.reshape(flags, (n_rows, columns))
    number = np.arange(n_rows, dtype=float)[:, None]  # a row's content is its number
    memory = remember(
        number[:split], clock.take(np.arange(split)), n, eligible=eligible[:split].squeeze()
    )
    later = clock.take(np.arange(split, n_rows))
    kept, joined = recall(memory, number[split:], later)
    rows = np.concatenate([memory.table[kept], number[split:]])[:, 0].astype(int)
    for k in range(columns):
        found = ended_order(joined.series, joined.started, joined.ended, eligible[rows, k])
        for t in range(len(kept), len(rows)):
            seen = rows[found.order[found.first[t] : found.stop[t]]][-n:]
            assert seen.tolist() == known_runs(clock, rows[t], eligible[:, k])[-n:]


@settings(max_examples=30, deadline=None)
@given(clocks(), st.integers(1, 3), st.data())
def test_no_later_row_could_see_another_row_among_the_newest_alike(clock, n, data):
    n_rows = len(clock.series)
    split = data.draw(st.integers(1, n_rows))
    flags = data.draw(st.lists(st.booleans(), min_size=n_rows, max_size=n_rows))
    kind = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n_rows, max_size=n_rows)))
    head = clock.take(np.arange(split))
    groups = 2 * clock.series + kind
    rows = set(rows_to_remember(head, n, np.array(flags)[:split], groups[:split]).tolist())
    for t in range(split, n_rows):
        known = known_runs(clock, t, np.array(flags) & (kind == kind[t]))
        assert {run for run in known[-n:] if run < split} <= rows


def test_memory_is_no_longer_than_asked():
    started = np.arange(100.0)
    clock = read_clock(pd.DataFrame({"started_at": started, "ended_at": started + 1.5}))
    assert remember(np.zeros((100, 1)), clock, 5).age.max() == 5 + 2  # two had not ended
    table = pd.DataFrame({"a": np.zeros(100)})
    assert remember(table.to_numpy(), read_clock(table), 5).age.tolist() == [5, 4, 3, 2, 1]


# ---------------------------------------------------------------- reading the times


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([0.0, 90.0, np.nan]),
        pd.Series([0, 90, None], dtype="Int64"),
        pd.Series(pd.to_datetime(["1970-01-01", "1970-01-01 00:01:30", None], format="ISO8601")),
        pd.Series([pd.Timestamp(0), pd.Timestamp(90, unit="s"), pd.NaT], dtype=object),
        pd.Series([pd.Timestamp(0), pd.Timestamp(90, unit="s"), pd.NaT]).astype("datetime64[s]"),
        pd.Series([pd.Timestamp(0), pd.Timestamp(90, unit="s"), pd.NaT])
        .dt.tz_localize("UTC")
        .dt.tz_convert("Asia/Tokyo"),
        pd.Series(["1970-01-01", "1970-01-01 00:01:30", None]),
    ],
    ids=["float", "Int64", "naive", "object", "in seconds", "Tokyo", "text"],
)
def test_epoch_seconds(column):
    before = column.copy()
    np.testing.assert_array_equal(epoch_seconds(column), [0, 90, np.nan])
    pd.testing.assert_series_equal(column, before)


@pytest.mark.parametrize("column", [["soon"], [True], [pd.Timedelta(1)], [1j]])
def test_other_columns_are_no_times(column):
    with pytest.raises(RunTableError, match=r"column 'started_at', row 0: .* is not a time"):
        read_clock(pd.DataFrame({"started_at": column}))


def test_a_run_needs_a_start():
    table = pd.DataFrame({"started_at": [0.0, np.nan]}, index=["x", "y"])
    with pytest.raises(RunTableError, match=r"Row 'y' \(position 1\) has no start.*drop it"):
        read_clock(table)


def test_two_columns_of_one_name():
    with pytest.raises(RunTableError, match="2 columns are named 'ended_at'"):
        read_clock(pd.DataFrame([[1.0, 2.0]], columns=["ended_at", "ended_at"]))


def test_series_of_a_multiindex():
    index = pd.MultiIndex.from_tuples([("x", 1, 7), ("y", 1, 7), ("x", 1, 8), (None, 1, 9)])
    clock = read_clock(pd.DataFrame({"a": range(4)}, index=index))
    assert clock.series.tolist() == [0, 1, 0, 2]
    assert clock.keys[:2] == [("x", 1), ("y", 1)]
    assert clock.labels.tolist() == [7, 7, 8, 9]


def test_columns_of_an_array_by_position():
    clock = read_clock(np.array([[0.0, 7.0, np.inf], [1.0, 8.0, 2.0]]), 0, 2)
    np.testing.assert_array_equal(clock.started, [0, 1])
    np.testing.assert_array_equal(clock.ended, [np.nan, 2])
    assert read_clock(np.zeros((2, 1))).is_plain


# ---------------------------------------------------------------- which rows are the same


def kept_ages(seen, given_, n=3, **times):
    """Fit on one table, give another; the ages of the remembered rows that count."""

    def values(X):
        return X.to_numpy(dtype=float) if isinstance(X, pd.DataFrame) else X

    memory = remember(values(seen), read_clock(seen, **times), n)
    kept, _ = recall(memory, values(given_), read_clock(given_, **times))
    return memory.age[kept].tolist()


@pytest.mark.parametrize("as_label", [int, str, pd.Timestamp], ids=["number", "text", "date"])
def test_labels_that_increase_tell_before_from_after(as_label):
    labels = [as_label(i) for i in range(10, 30)]
    X = pd.DataFrame({"a": np.zeros(20)}, index=labels)
    assert kept_ages(X.iloc[:10], X.iloc[10:]) == [3, 2, 1]
    assert kept_ages(X.iloc[:10], X.iloc[8:]) == [3]
    assert kept_ages(X.iloc[:10], X) == []
    assert kept_ages(X, X.iloc[:5]) == []
    assert kept_ages(X, X.iloc[[2, 18]]) == []


@pytest.mark.parametrize("labels", [list("qwertyuiop"), [3, "a", 1, "b", 2, "c", 9, "d", 8, "e"]])
def test_labels_without_an_order_are_taken_as_later(labels):
    X = pd.DataFrame({"a": np.zeros(10)}, index=pd.Index(labels, dtype=object))
    assert kept_ages(X.iloc[:5], X.iloc[5:]) == [3, 2, 1]
    assert kept_ages(X.iloc[:5], X.iloc[4:]) == []
    assert kept_ages(X, X) == []


def test_labels_of_another_type_are_taken_as_later():
    X = pd.DataFrame({"a": np.zeros(4)}, index=pd.date_range("2024-05-01", periods=4))
    assert kept_ages(X, X.set_axis(list("abcd"))) == [3, 2, 1]


def test_labels_count_within_their_series():
    rows = [(s, r) for r in range(5, 9) for s in "ab"]
    X = pd.DataFrame({"a": np.zeros(8)}, index=pd.MultiIndex.from_tuples(rows))
    a = X.loc[["a"]]
    assert kept_ages(X.iloc[:4], a.iloc[2:]) == [4, 2]  # only the rows of "a"
    assert kept_ages(X.iloc[:4], X.iloc[[3, 4]]) == [4, 3, 2]
    assert kept_ages(X, X.iloc[:3]) == []
    assert kept_ages(X.iloc[:4], X.iloc[4:].rename({"a": "z"}, level=0)) == [3, 1]


def test_with_times_the_start_tells_and_labels_tell_runs_that_start_at_once():
    X = pd.DataFrame({"started_at": [0.0, 1.0, 1.0, 2.0], "ended_at": [0.5, 1.0, 1.0, 3.0]})
    assert kept_ages(X.iloc[:2], X.iloc[2:]) == [2, 1]
    assert kept_ages(X.iloc[:2], X.iloc[1:]) == [2]
    assert kept_ages(X, X) == []
    assert kept_ages(X.iloc[:2], X.iloc[1:].reset_index(drop=True)) == [2]
    assert kept_ages(X.iloc[:2], X.set_axis(list("abcd")).iloc[1:]) == [2]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.integers(0, 90), st.integers(1, 90), st.integers(1, 5))
def test_arrays_are_known_by_the_rows_they_go_on_from(seen, start, n, steps):
    """A few rows that never came twice are proof; fewer, of as few, are not."""
    X = np.column_stack([np.arange(200.0), np.full(200, np.nan)])
    kept = kept_ages(X[:seen], X[start : start + n], steps)
    as_later = list(range(min(seen, steps), 0, -1))
    as_same = [age for age in as_later if age > seen - start]
    equal = min(seen, start + n) - start
    if start == 0 and n >= seen:
        assert kept == []
    elif seen >= 30 and equal >= (1 if start == 0 and seen > 150 else 3):
        assert kept == as_same
    elif equal <= 0:
        assert kept == as_later
    else:
        assert kept in (as_same, as_later)


@pytest.mark.parametrize("n", [30, 49])
@pytest.mark.parametrize("as_given", [np.asarray, lambda X: X])
def test_rows_that_are_all_alike_are_later(n, as_given):
    X = pd.DataFrame({"a": np.full(100, 7.0)})
    assert kept_ages(as_given(X[:50]), as_given(X[50 : 50 + n])) == [3, 2, 1]
    assert kept_ages(as_given(X[:50]), as_given(X[60 : 60 + n])) == [3, 2, 1]
    assert kept_ages(as_given(X[:50]), as_given(X[:51])) == []  # labels, or all rows of fit


def test_a_default_index_says_nothing_and_a_warning_says_where_values_do_not_either():
    took = np.random.default_rng(0).normal(500, 5, 120).round(1)
    X = pd.DataFrame({"a": took})
    new = X[100:].reset_index(drop=True)
    assert kept_ages(X[:100], new) == [3, 2, 1]
    assert kept_ages(X[:100], X[:40]) == []
    assert kept_ages(X[:100], X.set_axis(X.index + 1000)) == []
    assert kept_ages(X[:100], X.set_axis([f"etl-{i}" for i in X.index])[90:]) == []
    assert kept_ages(X[:100], X[94:].reset_index(drop=True), n=8) == [8, 7]
    pool = pd.concat({"etl": X[:100], "ci": X[:100] + 9})
    assert kept_ages(pool, pd.concat({"etl": new})) == [103, 102, 101]
    assert kept_ages(pool, pd.concat({"etl": X[:30]})) == []
    quiet = pd.DataFrame({"a": np.zeros(50)})
    assert kept_ages(quiet, quiet[:40]) == []  # the first rows must not see the last
    week = pd.DataFrame({"a": np.arange(60.0) % 7})
    with pytest.warns(SameRunsWarning, match="repeat too much to tell"):
        assert kept_ages(week, week[3:].reset_index(drop=True)) == [3, 2, 1]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["ms", "s", "us"]),
    st.sampled_from(["floor", "round"]),
    st.sampled_from(["as in fit", "from 0", "text", "+1000"]),
    st.integers(0, 39),
    st.integers(0, 2**32 - 1),
)
def test_a_table_that_is_loaded_anew_has_the_same_runs(unit, how, labels, first, seed):
    random = np.random.default_rng(seed)
    started = pd.Timestamp("2025-01-01") + pd.to_timedelta(
        np.cumsum(random.uniform(2, 5e3, 60)), unit="s"
    )
    X = pd.DataFrame({"started_at": started, "took": random.normal(500, 5, 60)})

    def as_kept(values, clock):
        return remember(values, clock, 5)

    again = X.assign(started_at=getattr(X["started_at"].dt, how)(unit))[first:]
    index = {"from 0": pd.RangeIndex(len(again)), "+1000": again.index + 1000}
    index["text"] = pd.Index([f"run {i}" for i in again.index])
    again = again.set_axis(index.get(labels, again.index))
    memory = as_kept(X[["took"]][:40].to_numpy(), read_clock(X[:40]))
    kept, _ = recall(memory, again[["took"]].to_numpy(), read_clock(again))
    assert memory.age[kept].tolist() == [age for age in range(5, 0, -1) if 40 - age < first]
    back = as_kept(again[["took"]].to_numpy(), read_clock(again))
    kept, _ = recall(back, X[["took"]].to_numpy(), read_clock(X))
    assert not len(kept)


def test_runs_of_other_times_between_those_of_fit_are_others_and_it_is_said():
    X = pd.DataFrame({"started_at": np.arange(20.0) * 3600})
    between = X + 1800
    with pytest.warns(SameRunsWarning, match="none of them starts when"):
        assert kept_ages(X, between) == [3, 2, 1]
    assert kept_ages(X[:10], between[10:]) == [3, 2, 1]


def test_runs_of_one_second_of_a_store_are_paired_one_to_one():
    starts = 86400 + np.array([0.25, 7.25, 7.5, 7.75, 9.25])
    X = pd.DataFrame({"started_at": starts, "took": [1.0, 2, 3, 4, 5]})
    again = X.assign(started_at=np.floor(X["started_at"]))
    assert kept_ages(X[:3], again) == []
    assert kept_ages(X, again[:4].set_axis(list("abcd")), n=5) == [1]


@pytest.mark.parametrize("as_labels", [lambda i: i, lambda i: i + 500, lambda i: "ab"[i % 2]])
def test_given_rows_that_are_remembered(as_labels):
    took = np.random.default_rng(1).normal(500, 5, (60, 1))
    X = pd.DataFrame(took, columns=["a"])
    memory = remember(took[:40], read_clock(X[:40]), 40)
    later = X[30:50].set_axis([as_labels(i) for i in range(30, 50)])
    expected = [*range(30, 40)] + [-1] * 10
    assert given_again(memory, took[30:50], read_clock(later)).tolist() == expected
    assert given_again(memory, took[30:50], read_clock(took[30:50])).tolist() == expected
