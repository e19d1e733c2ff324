"""How long it takes to forecast a run that is under way anew, as a watcher does every minute.

A `LandingForecaster` around a mix of baselines is fitted on simulated runs of a chain of 4 jobs and
of a fan of 12 on 3 workers. Its plan of the newest run is made once, when that starts; then
`landing_table` is asked again and again with it, when half of the jobs have ended, with a deadline
and 1000 sample paths. Printed is the median, in milliseconds on the processor and by the clock,
which on a busy machine also counts the waiting; beside it the first plan, which forecasts.

    python benchmarks/landing_speed.py --help
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.landing import LandingForecaster, landing_table
from sklearn_jobtime.runs import as_of, make_targets

FAN = {
    "plan": [],
    **{f"part_{k}": ["plan"] for k in range(10)},
    "publish": [f"part_{k}" for k in range(10)],
}
PIPELINES = {
    "chain of 4": {"graph": "chain", "n_jobs": 4},
    "fan of 12, 3 workers": {"graph": FAN, "n_workers": 3},
}


def milliseconds_of(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median of a call on the processor, and by the clock."""
    taken = []
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), time.thread_time()
        call()
        taken.append((time.thread_time() - cpu_start, time.perf_counter() - start))
    on_processor, by_clock = 1000 * np.median(taken, axis=0)
    return float(on_processor), float(by_clock)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200, help="runs to fit on (200)")
    parser.add_argument("--repeats", type=int, default=50, help="updates (50)")
    options = parser.parse_args(argv)
    found = {}
    for name, settings in PIPELINES.items():
        runs = make_job_runs(
            options.runs, **settings, starts=True, coupling=0.9, failure_rate=0, random_state=0
        )
        past, last = runs[:-1], runs[-1:]
        model = LandingForecaster(
            OnlineMix(), n_workers=settings.get("n_workers"), random_state=0
        ).fit(past, make_targets(past))
        ends = np.sort(model.landings(last, make_targets(last))[0, :-1])
        now = last["started_at"].iloc[0] + pd.Timedelta(ends[len(ends) // 2 - 1], unit="s")
        tonight = as_of(runs, now)[-1:]
        plans = model.plans(tonight)
        asked = {"now": now, "deadlines": 7200.0, "plans": plans}
        update = milliseconds_of(lambda: landing_table(model, tonight, **asked), options.repeats)  # noqa: B023
        first = milliseconds_of(lambda: model.plans(tonight), max(options.repeats // 10, 1))  # noqa: B023
        print(
            f"{name}: an update {update[0]:.1f} ms on the processor, {update[1]:.1f} by the clock; "
            f"the plan {first[0]:.1f} and {first[1]:.1f}"
        )
        found[name] = update[0]
    return found


if __name__ == "__main__":
    main()
