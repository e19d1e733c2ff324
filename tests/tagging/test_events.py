"""Sequences of events are read in every form they come in, encoded and padded."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.lstm.series_chunks import pad
from sklearn_jobtime.tagging import EventEncoder
from sklearn_jobtime.tagging._events import (
    FIRST_CODE,
    NO_TAG,
    UNKNOWN,
    flat_tags,
    is_nested,
    read_arrays,
    read_nested,
)

FLAT = settings(deadline=None, max_examples=30)
EVENTS = st.sampled_from(["build", "test", None])
ROWS = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(EVENTS, min_size=n, max_size=n), min_size=1, max_size=5)
)


def naive_span(row):
    """Events of a row of an array: from the first that is there to the last."""
    there = [k for k, event in enumerate(row) if event is not None]
    return list(row[there[0] : there[-1] + 1]) if there else []


@FLAT
@given(ROWS)
def test_an_array_is_read_from_the_first_event_to_the_last(rows):
    found = read_arrays(np.array(rows, dtype=object), None)
    expected = [naive_span(row) for row in rows]
    assert found.lengths.tolist() == [len(row) for row in expected]
    events = [event for row in expected for event in row]
    assert [None if pd.isna(event) else event for event in found.events[0]] == events
    back = found.nested(np.arange(len(found.events)), None)
    assert back.shape == (len(rows), len(rows[0]))
    assert [value for value in back.ravel() if value is not None] == list(range(len(found.events)))
    assert found.real.tolist() == [[value is not None for value in row] for row in back]


def test_a_value_can_stand_for_padding_on_either_side():
    found = read_arrays(np.array([[0, 0, 3, 0, 4], [5, 0, 0, 0, 0]]), 0)
    assert found.events[0].tolist() == [3, 0, 4, 5]
    assert found.lengths.tolist() == [3, 1]


def test_every_kind_of_missing_is_padding():
    X = np.array([[1, pd.NA], [2, None], [3, np.nan], [4, -1]], dtype=object)
    assert read_arrays(X, -1).lengths.tolist() == [1, 1, 1, 1]


def test_a_step_is_padding_only_where_all_its_features_are_missing():
    X = np.array([[[1.0, np.nan], [np.nan, 2.0], [np.nan, np.nan]]])
    assert read_arrays(X, None).lengths.tolist() == [2]


@FLAT
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_padding_is_what_a_loop_does(lengths):
    flat = np.arange(2 * sum(lengths)).reshape(-1, 2)
    lengths = np.array(lengths)
    starts = np.cumsum(lengths) - lengths
    found = pad(flat, starts, lengths, -1)
    assert found.shape[1] == max(1, lengths.max())
    for row, start, length in zip(found, starts, lengths, strict=True):
        assert np.array_equal(row[:length], flat[start : start + length])
        assert (row[length:] == -1).all()


STEPS = [["build", "test"], ["build"], ["build", "test", "deploy"]]


@pytest.mark.parametrize(
    "X",
    [
        STEPS,
        tuple(map(tuple, STEPS)),
        [np.array(row) for row in STEPS],
        [pd.Series(row) for row in STEPS],
        pd.Series(STEPS),
        pd.Series(STEPS, index=[7, 8, 9]).to_numpy(),
        [pd.DataFrame({"step": row}) for row in STEPS],
    ],
    ids=["lists", "tuples", "arrays", "series", "series of lists", "objects", "frames"],
)
def test_every_form_of_sequences_gives_the_same_events(X):
    assert is_nested(X)
    found = read_nested(X)
    assert found.lengths.tolist() == [2, 1, 3]
    assert found.events.iloc[:, 0].tolist() == ["build", "test", "build", "build", "test", "deploy"]
    back = found.nested(np.arange(6), None)
    assert [row.tolist() for row in back] == [[0, 1], [2], [3, 4, 5]]


def test_arrays_of_one_length_stay_apart():
    back = read_nested([["a", "b"], ["c", "d"]]).nested(np.arange(4), None)
    assert back.shape == (2,)
    assert back[1].tolist() == [2, 3]


@pytest.mark.parametrize("X", [np.zeros((2, 3)), pd.DataFrame({"a": ["x"]}), [1, 2], ["ab", "c"]])
def test_an_array_or_plain_values_are_not_nested(X):
    assert not is_nested(X)


@pytest.mark.parametrize(
    ("column", "is_code"),
    [
        (["a", "b"], True),
        ([3, 4], True),
        ([3, None], True),
        ([True, False], True),
        ([3, "a"], True),
        ([1.0, 2.0], False),
        ([1, 2.5], False),
        ([None, 2.5], False),
        ([None, None], False),
    ],
)
def test_floats_are_numbers_and_all_else_is_a_category(column, is_code):
    encoder = EventEncoder.fit(read_nested([column]).events)
    assert len(encoder.categories) == is_code
    assert encoder.n_numbers == 1 - is_code


def test_features_of_both_kinds_stand_side_by_side():
    sequences = read_nested([[("build", 10.0), ("test", 20.0)], [("build", None)]])
    codes, numbers = EventEncoder.fit(sequences.events).encode(sequences.events)
    assert codes.tolist() == [[FIRST_CODE], [FIRST_CODE + 1], [FIRST_CODE]]
    assert numbers.tolist() == [[-1.0], [1.0], [0.0]]


def test_codes_stored_as_floats_are_categories_when_named():
    events = pd.DataFrame({"step": [2.0, 1.0, np.nan], "seconds": [1.0, 2.0, 3.0]})
    for chosen in ([0], ["step"], [-2]):
        encoder = EventEncoder.fit(events, chosen)
        codes, numbers = encoder.encode(events)
        assert codes.ravel().tolist() == [FIRST_CODE + 1, FIRST_CODE, UNKNOWN]
        assert numbers.shape == (3, 1)


def test_what_was_never_seen_is_unknown_whatever_its_type():
    encoder = EventEncoder.fit(pd.DataFrame({0: [1, 2]}))
    codes, _ = encoder.encode(pd.DataFrame({0: [2.0, 3.0]}))
    assert codes.ravel().tolist() == [FIRST_CODE + 1, UNKNOWN]
    codes, _ = encoder.encode(pd.DataFrame({0: ["2", None]}))
    assert codes.ravel().tolist() == [UNKNOWN, UNKNOWN]


def test_a_number_far_from_all_others_counts_as_the_bound():
    encoder = EventEncoder.fit(pd.DataFrame({0: [0.0, 1.0]}), bound=10.0)
    assert encoder.encode(pd.DataFrame({0: [1e30]}))[1].item() == 10.0


@pytest.mark.parametrize(
    ("X", "match"),
    [
        ([["a"], "b"], "sequence 1 of X came as str"),
        ([["a"], [("a", 1.0)]], r"\[0, 2\] features"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "same number of features"),
        ([pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})], "different columns"),
    ],
)
def test_sequences_that_do_not_agree_are_named(X, match):
    with pytest.raises(ValueError, match=match):
        read_nested(X)


@pytest.mark.parametrize(
    ("events", "categorical", "match"),
    [
        ({"t": pd.to_datetime(["2024-01-01"])}, "from_dtype", "datetime64 values"),
        ({"t": [np.inf]}, "from_dtype", "infinity"),
        ({"t": ["x"]}, [], "are numbers, but X"),
        ({"t": [1.0]}, [1], "names 1"),
        ({"t": [1.0]}, ["x"], "names 'x'"),
    ],
)
def test_events_that_can_not_be_read_are_errors_that_help(events, categorical, match):
    with pytest.raises(ValueError, match=match):
        EventEncoder.fit(pd.DataFrame(events), categorical)


def test_tags_are_read_in_the_nesting_of_the_events():
    sequences = read_nested(STEPS)
    nested = [[1, None], [2], [3, 4, np.nan]]
    padded = np.array([[1, None, None], [2, None, None], [3, 4, None]], dtype=object)
    for y in (nested, padded):
        tags, missing = flat_tags(y, sequences, None)
        assert tags[~missing].tolist() == [1, 2, 3, 4]
        assert missing.tolist() == [False, True, False, False, False, True]
    array = read_arrays(np.array([["a", "b", None]], dtype=object), None)
    for y in ([["x", ""]], np.array([["x", "", ""]])):
        tags, missing = flat_tags(y, array, "")
        assert missing.tolist() == [False, True]


def test_tags_beside_no_event_are_an_error():
    array = read_arrays(np.array([[1.0, np.nan]]), None)
    with pytest.raises(ValueError, match="tags where X has no event"):
        flat_tags(np.array([[1, 2]]), array, None)
    with pytest.raises(ValueError, match="tags where X has no event"):
        flat_tags(np.array([[1, 2]]), read_nested([["a"]]), None)
    with pytest.raises(ValueError, match="sequence 1 has 1 events but tags of the shape"):
        flat_tags([[1, 1], [1, 2], [1, 1, 1]], read_nested(STEPS), None)
    assert NO_TAG not in (UNKNOWN, FIRST_CODE)
