"""Durations, shares, chances, times and names for people: no odd text for any value."""

import re
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime._wording import (
    human_chance,
    human_seconds,
    human_share,
    human_span,
    human_time,
    shortened_apart,
)

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
any_float = st.floats(allow_nan=True, allow_infinity=True)


@given(any_float)
def test_a_duration_reads_back_to_what_it_rounds(seconds):
    text = human_seconds(seconds)
    if not np.isfinite(seconds):
        assert text == "-"
        return
    assert not re.fullmatch(r"-[0.]+s", text)
    parts = re.findall(r"([\d.]+)([dhms])", text.replace(",", ""))
    assert parts
    read = sum(float(number) * SECONDS[unit] for number, unit in parts)
    finest = 0.05 if "." in text else SECONDS[parts[-1][1]] / 2
    assert abs(read - abs(seconds)) <= finest * (1 + 1e-9) + 1e-15 * abs(seconds)
    assert all(float(number) < 60 for number, unit in parts[1:] if unit in "ms")
    assert text.startswith("-") == (seconds < 0 and read > 0)


@given(any_float, st.sampled_from([0, 1, 2]))
def test_a_share_is_0_or_1_only_if_it_is(share, digits):
    text = human_share(share, digits)
    assert "-0" not in text
    number = text.removesuffix(" %").replace(",", "")
    if 0 < share < 1 and round(100 * share, 9) not in (0.0, 100.0):
        assert number not in ("0", "0.0", "0.00", "100", "100.0", "100.00")


@given(st.floats(-1, 2), st.integers(1, 10**6))
def test_a_chance_is_never_more_certain_than_its_runs(chance, n_runs):
    told = min(max(chance, 1 / (n_runs + 1)), n_runs / (n_runs + 1))
    text = human_chance(told, n_runs)
    if n_runs < 99:
        assert "over 99" not in text
        assert "100 %" not in text
    assert not text.startswith("-")


def test_chances_of_few_runs():
    assert [human_chance(n / (n + 1), n) for n in (1, 3, 10, 99)] == [
        "50 % or less", "75 % or more", "91 % or more", "99 % or more",
    ]  # fmt: skip


@given(st.floats(0, 1e300), st.floats(0, np.inf))
def test_a_span_never_goes_from_a_value_to_the_same(low, more):
    text = human_span(low, low + more)
    ends = text.split(" to ")
    assert len(ends) == 1 or ends[0] != ends[1]


@given(
    st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1)),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"]),
)
def test_a_time_is_the_nearest_minute_of_the_zone(moment, zone):
    time = pd.Timestamp(moment, tz="UTC")
    text = human_time(time, zone)
    off = abs(time.tz_convert(zone).tz_localize(None) - pd.Timestamp(text))
    assert off <= pd.Timedelta("30s")


def test_what_has_no_moment_is_a_dash():
    assert human_time(pd.NaT) == "-"


@given(st.lists(st.text("abX-", min_size=1, max_size=40), max_size=8), st.integers(12, 30))
def test_different_names_stay_different_and_short(names, most):
    short = shortened_apart(names, most)
    assert len(set(short)) == len(set(names))
    assert all(len(text) <= most for text in short)
    assert all(text == name for text, name in zip(short, names, strict=True) if len(name) <= most)


@pytest.mark.parametrize("most", [16, 28, 48])
def test_a_name_is_not_cut_where_it_differs(most):
    names = [f"a-very-long-prefix-of-all-jobs-{key}-and-a-long-suffix-of-all-jobs" for key in "XYZ"]
    for text, key in zip(shortened_apart(names, most), "XYZ", strict=True):
        assert key in text
        assert text.startswith("a-v")
        assert text.endswith("obs")
        assert len(text) <= most
