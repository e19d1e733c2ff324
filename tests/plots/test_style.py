"""What every picture shares: units, limits, ticks; and that only drawing loads matplotlib."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.plots._style import axis_limits, spread_ticks, unit_of


def test_importing_the_pictures_loads_neither_matplotlib_nor_torch():
    code = "import sys, sklearn_jobtime.plots; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "sklearn_jobtime.plots.forecast" in loaded
    assert not {"matplotlib", "torch", "skorch", "sklearn_jobtime.lstm"} & set(loaded)


@given(st.lists(st.floats(0, 1e7), max_size=50))
@settings(max_examples=30, deadline=None)
def test_limits_hold_most_values_and_are_never_empty(values):
    seconds = np.array(values)
    low, high = axis_limits(seconds)
    assert 0 <= low < high
    if len(seconds):
        assert ((seconds >= low) & (seconds <= high)).mean() >= 0.9


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=60, unique=True).map(sorted),
    st.integers(1, 12),
)
@settings(max_examples=30, deadline=None)
def test_ticks_are_allowed_places_from_the_first_on(places, n_ticks):
    ticks = spread_ticks(np.array(places), n_ticks)
    assert set(ticks) <= set(places)
    assert len(ticks) <= n_ticks
    assert ticks[0] == places[0]


@pytest.mark.parametrize(
    ("seconds", "unit"),
    [([], "seconds"), ([0.1], "seconds"), ([119.0], "seconds"), ([121.0], "minutes"),
     ([7000.0], "minutes"), ([7200.0], "hours")],
)  # fmt: skip
def test_the_unit_is_one_that_a_run_fills_twice(seconds, unit):
    assert unit_of(np.array(seconds))[0] == unit
