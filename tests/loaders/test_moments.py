"""Moments in UTC: epochs by their digits, mixtures refused, "not known" found."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import BadValueError
from sklearn_jobtime.loaders._moments import epoch_unit, to_moments, unknown_moments

START = 1_772_337_600  # 2026-03-01T04:00Z
MOMENT = pd.Timestamp("2026-03-01T04:00Z")


@pytest.mark.parametrize(
    "value",
    [
        START,
        START * 10**3,
        START * 10**6,
        START * 10**9,
        float(START),
        str(START),
        str(START * 1000),
        f"{START}.0",
        20260301040000,
        "2026-03-01T04:00:00Z",
        "2026-03-01 05:00:00+01:00",
        datetime(2026, 3, 1, 4, tzinfo=UTC),
        datetime(2026, 3, 1, 4),
    ],
)
def test_every_form_is_the_same_moment(value):
    assert to_moments(pd.Series([value, None])).tolist() == [MOMENT, pd.NaT]
    assert to_moments(pd.Series([value])).dtype == "datetime64[us, UTC]"


def test_dates_alone_are_their_midnight():
    midnight = pd.Timestamp("2026-03-01", tz="UTC")
    for value in (20260301, "20260301", "2026-03-01", date(2026, 3, 1)):
        assert to_moments(pd.Series([value])).tolist() == [midnight]
    assert epoch_unit(pd.Series([20260301040000])) is None


@settings(deadline=None)
@given(
    seconds=st.lists(st.integers(10**9, 4 * 10**9), min_size=1, max_size=6),
    unit=st.sampled_from([1, 10**3, 10**6, 10**9]),
    hole=st.sampled_from([None, 0, -1]),
)
def test_any_epoch_is_the_moment_that_its_digits_say(seconds, unit, hole):
    column = pd.Series([*(s * unit for s in seconds), hole], dtype="Int64")
    assert epoch_unit(column) == 1 / unit
    found = to_moments(column)[: len(seconds)]
    assert (found.astype("int64") // 10**6).tolist() == seconds


def test_a_clock_that_begins_at_zero_is_in_seconds():
    assert to_moments(pd.Series([0, 90.5])).tolist() == [
        pd.Timestamp(0, tz="UTC"), pd.Timestamp(90.5, unit="s", tz="UTC"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "row", "message"),
    [
        ([START, START * 1000], 0, "cannot be of one unit"),
        ([START * 1000, START], 1, "cannot be of one unit"),
        ([START, 1e23], 1, "is no moment"),
        ([START * 1.0, 5e10 * 1000 * 100], 0, "cannot be of one unit"),
        ([46082.25, 46083.5], 0, "spreadsheets"),
        (["2026-03-01T04:00:00Z", "2026-03-01T05:00:00"], 1, "with a zone and moments without"),
        ([datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2)], 1, "with a zone and"),
        (["2026-03-01T04:00:00Z", str(START)], 1, "with a zone and numbers"),
        (["2026-03-01", "soon"], 1, "is not a time"),
        (["2026-03-01", "now"], 1, "is not a time"),
        (["2026-03-01", "12000-01-01T00:00:00Z"], 1, "is not a time"),
        (["2026-03-01", ["x"]], 1, "is not a time"),
        ([True, False], 0, "is not a time"),
    ],
)
def test_what_is_no_moment_or_of_another_kind_is_named_by_its_row(values, row, message):
    with pytest.raises(BadValueError, match=rf"column 'start', row {row}: .*{message}") as caught:
        to_moments(pd.Series(values, name="start"))
    assert caught.value.row == row


def test_a_name_that_tells_another_unit_than_the_digits_is_refused():
    with pytest.raises(BadValueError, match="after the year 2000 in seconds"):
        to_moments(pd.Series([START]), unit=1e-3)
    with pytest.raises(BadValueError, match="no moment in milliseconds"):
        to_moments(pd.Series([START * 10**9]), unit=1e-3)


def test_moments_that_stand_for_not_known_are_found():
    known = pd.to_datetime(pd.Series(["2026-03-01", "2026-03-02"]), utc=True)
    assert not unknown_moments(known).any()
    for sentinel in ("1970-01-01", "1969-12-31T23:59:59", "0001-01-01", "9999-12-31", "1899-12-30"):
        column = pd.to_datetime(
            pd.Series(["2026-03-01", sentinel, None]), utc=True, format="ISO8601"
        )
        assert unknown_moments(column).tolist() == [False, True, False]
    simulated = to_moments(pd.Series([0, 60, 90_000]))
    assert not unknown_moments(simulated).any()
    assert unknown_moments(to_moments(pd.Series([0])), known).tolist() == [True]
    assert unknown_moments(pd.to_datetime(pd.Series([None]), utc=True)).tolist() == [False]
    assert unknown_moments(known).dtype == np.bool_
