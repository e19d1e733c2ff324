"""The benchmark of the windows runs, and the plain case holds its promise."""

import runpy
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "windowing_memory.py"


def test_plain_windows_take_less_than_twice_the_table(capsys):
    main = runpy.run_path(str(BENCHMARK))["main"]
    results = main(["--rows", "20000", "--columns", "8", "--steps", "20", "--series", "50"])
    view, gathered, naive = results.values()
    assert view["peak_over_table"] < 2
    assert view["windows_over_table"] > 19  # as wide as the copies, at a fraction of their cost
    assert naive["peak_over_table"] > view["windows_over_table"]
    assert gathered["peak_over_table"] < 2 * gathered["windows_over_table"]
    assert "20000 rows x 8 columns x 20 steps" in capsys.readouterr().out
