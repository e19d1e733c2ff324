"""The benchmark of a single forecast runs and measures what it says."""

import itertools
import runpy
from pathlib import Path
from types import SimpleNamespace

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "predict_speed.py"


def test_a_forecast_is_timed_beside_a_forward_pass(capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    ticks = itertools.count()  # the first fit, then forecasts and forward passes in turn
    parts = itertools.chain([0, 8], itertools.cycle([0, 4, 0, 1]))
    of_processor = itertools.accumulate(parts)
    main.__globals__["time"] = SimpleNamespace(
        perf_counter=lambda: next(ticks), thread_time=lambda: next(of_processor)
    )
    result = main(["--rows", "60", "--epochs", "1", "--repeats", "5"])
    assert result["predict_ms_low"] == result["predict_ms"] == result["predict_ms_high"] == 1000
    assert result["fit_seconds"] == 1
    assert (result["predict_cpu_ms"], result["forward_cpu_ms"]) == (4000, 1000)
    assert result["ratio"] == 4
    out = capsys.readouterr().out
    assert "median 1000.0 ms" in out
    assert "2 outputs" in out
