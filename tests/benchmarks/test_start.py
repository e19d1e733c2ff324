"""The benchmark of the start runs and prints its ratios."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "start_speed.py"


def test_starts_are_compared_with_that_of_numpy(capsys):
    result = runpy.run_path(str(SCRIPT))["main"](["--repeats", "1"])
    assert set(result) == {"package", "help"}
    assert f"jobtime --help {result['help']:.2f} times" in capsys.readouterr().out
