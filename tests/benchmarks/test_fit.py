"""The benchmark of fit runs, compares like with like, and measures what it says."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fit_speed.py"


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(SCRIPT))


def test_both_ways_take_the_same_steps_to_the_same_loss(benchmark, capsys):
    result = benchmark["main"](
        ["--rows", "100", "--steps", "4", "--features", "2", "--epochs", "2", "--repeats", "3"]
    )
    assert result["steps"] == result["steps_by_hand"] == 2 * 4
    assert result["loss"] == pytest.approx(result["loss_by_hand"], rel=1e-4)
    assert result["ratio"] == pytest.approx(result["seconds"] / result["seconds_by_hand"])
    assert result["ratio_low"] <= result["ratio_high"]
    assert f"ratio {result['ratio']:.3f}" in capsys.readouterr().out


def test_memory_is_measured_per_byte_of_the_table(benchmark, capsys):
    pytest.importorskip("resource", reason="peak memory needs the POSIX module resource")
    result = benchmark["main"](["--memory-rows", "2000", "--steps", "4", "--features", "2"])
    assert result["memory_ratio"] >= 0
    assert "times the table of 2000 rows" in capsys.readouterr().out


@pytest.mark.slow
def test_a_fit_costs_little_more_than_a_plain_loop(benchmark):
    """The aim is 1.15; a busy machine of a CI service is given some room."""
    assert benchmark["main"]([])["ratio"] < 1.4
