"""Lateness is a log ratio for long jobs, and can be undone for all."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime.landing._lateness import lateness, seconds_of

SECONDS = st.floats(0, 1e6)


@given(SECONDS, SECONDS, st.sampled_from([1e-3, 2.0, 120.0]))
def test_seconds_come_back(seconds, forecast, least):
    arrays = np.array([seconds]), np.array([forecast]), np.array([least])
    found = seconds_of(lateness(*arrays), *arrays[1:])
    np.testing.assert_allclose(found, arrays[0], rtol=1e-9, atol=1e-6)


@given(st.floats(-20, 20), SECONDS)
def test_later_is_longer_and_never_below_none(late, forecast):
    asked = np.array([late, late + 0.1])
    found = seconds_of(asked, np.full(2, forecast), np.full(2, 2.0))
    assert 0 <= found[0] <= found[1]


def test_of_a_long_job_it_is_the_log_ratio():
    late = lateness(np.array([7200.0]), np.array([3600.0]), np.array([1e-3]))
    np.testing.assert_allclose(late, np.log(2), rtol=1e-5)
