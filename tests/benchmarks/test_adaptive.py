"""The benchmark of the rules that move bounds runs, and a bound knows no run that has not ended."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def adaptive():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import adaptive  # noqa: PLC0415 - not part of the package

        yield adaptive
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize("rule", ["chosen", "window of 100", "DtACI, 150", "tracking 0.1"])
def test_a_bound_knows_only_the_runs_that_had_ended(adaptive, rule):
    rng = np.random.default_rng(0)
    errors, started = rng.normal(size=120), np.arange(120.0)
    ended = started + rng.uniform(0.5, 9, 120)
    changed = errors.copy()
    changed[110:] += 50
    one, other = (
        adaptive.online_bounds(adaptive.RULES[rule], e, 60, 0.1, (started, ended))
        for e in (errors, changed)
    )
    early = started[60:] < ended[110:].min()
    np.testing.assert_array_equal(one[early], other[early])
    assert not np.array_equal(one, other)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
def test_the_command_prints_every_rule(adaptive, capsys):
    adaptive.main([str(DATA), "--series", "ocp", "--least", "50"])
    printed = capsys.readouterr().out
    assert all(rule in printed for rule in adaptive.RULES)
    assert "an update takes as long as" in printed


def test_an_update_is_timed_beside_a_sort(adaptive, monkeypatch):
    moments = iter([10.0, 16.0, 18.0])
    monkeypatch.setattr(adaptive, "time", SimpleNamespace(process_time=lambda: next(moments)))
    assert adaptive.update_cost(20) == 3.0
