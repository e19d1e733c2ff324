"""One parser of durations: every form there and back, and junk never becomes a number."""

import datetime
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import BadValueError
from sklearn_jobtime.loaders._durations import has_short_clock, parse_duration, to_seconds

READ = {
    "1-02:03:04": 93784, "0-05:00:00": 18000, "1 day, 2:03:04": 93784, "26:03:04": 93784,
    "2 days 02:03:04.5": 180184.5, "1.02:03:04": 93784, "0+01:02:03": 3723, "1d 02:03:04": 93784,
    "01:02:03,250": 3723.25, "02:03.5": 123.5, "4h 41m 19s": 16879, "4h41m19s": 16879,
    "1 hour and 3 minutes": 3780, "4 min 41 sec": 281, "2 days 3 hr": 183600, "1h": 3600, "3m": 180,
    "90s": 90, "250ms": 0.25, "1.5µs": 1.5e-6, "7 ns": 7e-9, "1 week": 604800, "1.5 min": 90,
    "1,5 h": 5400, "PT1H3M": 3780, "P1DT2H": 93600, "PT0.5S": 0.5, "pt5s": 5, "P2W": 1209600,
    "90.5": 90.5, " 7 ": 7, "1e3": 1000, ".5": 0.5, "12,5": 12.5,
}  # fmt: skip
JUNK = [
    "1,234", "1,234.5", "1.234,5", "-1 day, 23:59:59", "-5", "-00:01:00", "PT-5S", "P1M", "P1Y2D",
    "02:03", "1-02:03", "01:75:03", "00:00:60", "1 day, 24:00:00", "1:02:03:04", "about 5 min",
    "< 1 min", "5M", "3m 4h", "1h 1h", "1h 3", "fast", "1;5", "1:xx", "PT", "P", "T1H", "0x1F",
    "1 mon 2 days", "5 parsecs", "\uff11\uff12", "\uff11s", "inf", "1_000", "::", "1::2", "1d2",
    "1-2", "12h:30",
    "2026-03-01", "4:00:00 PM", "1 day ago", "1.5.2", "True", "{}", "[1]", "1 day 1 hour ago",
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), READ.items())
def test_every_form_is_read(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-15, abs=0)
    assert to_seconds(pd.Series([text, None, ""])).tolist()[0] == parse_duration(text)


@pytest.mark.parametrize("text", JUNK)
def test_junk_is_an_error_that_names_value_and_row_and_never_a_number(text):
    with pytest.raises(ValueError, match=r"."):
        parse_duration(text)
    for dtype in ("str", object):
        column = pd.Series(["90", text], index=["a", "b"], name="took", dtype=dtype)
        with pytest.raises(BadValueError, match=r"column 'took', row 'b': '") as caught:
            to_seconds(column)
        assert caught.value.row == 1


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_duration_of_digits_or_an_error(text):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert np.isnan(seconds) or (seconds >= 0 and any(c.isdigit() for c in text))


def clock(milliseconds):
    minutes, ms = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return *divmod(hours, 24), minutes, ms


FORMS = {
    "slurm": lambda ms: "{}-{:02}:{:02}:{:06.3f}".format(*clock(ms)[:3], clock(ms)[3] / 1000),
    "hours": lambda ms: f"{ms // 3_600_000}:{ms // 60_000 % 60:02}:{ms % 60_000 / 1000:06.3f}",
    "decimal comma": lambda ms: FORMS["hours"](ms).replace(".", ","),
    "python": lambda ms: str(datetime.timedelta(milliseconds=ms)),
    "pandas": lambda ms: str(pd.Timedelta(milliseconds=ms)),
    "words": lambda ms: "{}d {}h {}m {}ms".format(*clock(ms)),
    "go": lambda ms: f"{ms // 3_600_000}h{ms // 60_000 % 60}m{ms % 60_000 / 1000}s",
    "iso": lambda ms: "P{}DT{}H{}M{}S".format(*clock(ms)[:3], Decimal(clock(ms)[3]) / 1000),
    "pandas iso": lambda ms: pd.Timedelta(milliseconds=ms).isoformat(),
    "number": lambda ms: repr(ms / 1000),
    "unit": lambda ms: f"{ms} ms",
}


@settings(deadline=None, max_examples=30)
@pytest.mark.parametrize("form", FORMS)
@given(milliseconds=st.lists(st.integers(0, 10**10), min_size=1, max_size=5))
def test_any_duration_comes_back_exactly_in_every_form(form, milliseconds):
    texts = [FORMS[form](ms) for ms in milliseconds]
    wanted = [ms / 1000 for ms in milliseconds]
    assert to_seconds(pd.Series(texts)).tolist() == wanted
    assert [parse_duration(text) for text in texts] == wanted


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*READ, None, "", "n/a", "-1", "12", "12", "0"]), max_size=30),
    st.sampled_from(["str", object, "category"]),
)
def test_a_column_is_what_its_values_are_one_by_one(texts, dtype):
    unit = 0.001
    one_by_one = [
        np.nan if text in (None, "-1") else parse_duration(text, unit=Decimal("0.001"))
        for text in texts
    ]
    column = to_seconds(pd.Series(texts, dtype=dtype), unit=unit)
    np.testing.assert_array_equal(column.to_numpy(), one_by_one)


@pytest.mark.parametrize(
    ("values", "unit", "seconds"),
    [
        ([1001, 2, -1], 1e-3, [1.001, 0.002, np.nan]),
        (pd.array([7, None], dtype="Int64"), 60.0, [420.0, np.nan]),
        ([datetime.timedelta(minutes=1), None], 1e-3, [60.0, np.nan]),
        ([datetime.time(1, 2, 3), None], 1.0, [3723.0, np.nan]),
        ([Decimal("1.5"), None], 60.0, [90.0, np.nan]),
        ([b"90", 90, "1m 30s", 90.0, Decimal(90), np.timedelta64(90, "s")], 1.0, [90.0] * 6),
        ([SimpleNamespace(days=1, hours=2, minutes=0, seconds=0, microseconds=5)], 1.0,
         [93600.000005]),
        ([SimpleNamespace(months=0, days=1, nanoseconds=500)], 1.0, [86400.0000005]),
        ([None, None], 1.0, [np.nan, np.nan]),
    ],
)  # fmt: skip
def test_numbers_and_objects_of_databases_are_read(values, unit, seconds):
    np.testing.assert_array_equal(to_seconds(pd.Series(values), unit=unit), seconds)


@pytest.mark.parametrize(
    "values",
    [
        [5.0, -2.0],
        [5, -2],
        [datetime.timedelta(1), datetime.timedelta(-1)],
        [5, True],
        [5, "x"],
        ["5", {"s": 5}],
        ["5", [5]],
        [5, SimpleNamespace(years=0, months=1, days=1)],
        [5, b"\xff"],
    ],
)
def test_what_is_no_duration_is_named_by_its_row(values):
    with pytest.raises(BadValueError, match=r"column 'took', row 1: "):
        to_seconds(pd.Series(values, name="took"))
    with pytest.raises(BadValueError, match="is not a duration"):
        to_seconds(pd.Series([True, False]))


def test_two_numbers_with_a_colon_are_open_until_something_tells():
    assert has_short_clock(pd.Series(["1", None, "02:03"])) == (2, False)
    assert has_short_clock(pd.Series(["1:02:03", "02:03"], dtype=object)) == (1, True)
    assert has_short_clock(pd.Series(["02:03.5", "02:03"])) == (1, True)
    assert has_short_clock(pd.Series([1.0])) == (None, False)
    short = pd.Series(["02:03"])
    assert to_seconds(short, short_clock="minutes").tolist() == [123.0]
    assert to_seconds(short, short_clock="hours").tolist() == [7380.0]
