"""The benchmark of an update of a run under way runs and measures what it says."""

import itertools
import runpy
from pathlib import Path
from types import SimpleNamespace

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "landing_speed.py"


def test_an_update_is_timed_for_both_pipelines(capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    ticks, of_processor = itertools.count(), itertools.count(step=0.5)
    main.__globals__["time"] = SimpleNamespace(
        perf_counter=lambda: next(ticks), thread_time=lambda: next(of_processor)
    )
    found = main(["--runs", "40", "--repeats", "2"])
    assert found == {"chain of 4": 500.0, "fan of 12, 3 workers": 500.0}
    assert "an update 500.0 ms on the processor, 1000.0 by the clock" in capsys.readouterr().out
