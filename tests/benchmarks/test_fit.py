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


def test_epochs_a_second_are_measured_on_a_device(benchmark, capsys):
    """With the CPU as the device; the same runs on a GPU where there is one."""
    small = ["--steps", "4", "--features", "2", "--epochs", "2", "--batch-size", "50"]
    found = benchmark["main"](["--device", "cpu", "--sizes", "100", "200", *small])
    assert list(found) == [100, 200]
    assert all(rate > 0 for rates in found.values() for rate in rates)
    assert "200 |" in capsys.readouterr().out


def test_a_step_of_a_fit_makes_few_calls_more_than_a_plain_loop(benchmark, calls_of):
    """The benchmark has the time; calls are the same on any machine."""
    calls = {}
    for name in ("fit_ours", "fit_by_hand"):
        few, many = (
            calls_of(lambda fit=benchmark[name], n=n: fit(*benchmark["make_windows"](n, 5, 2), 2))
            for n in (320, 960)
        )
        calls[name] = many - few  # of the further steps: what a fit does once is not in it
    assert calls["fit_ours"] < 1.25 * calls["fit_by_hand"]
