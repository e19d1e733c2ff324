"""What windows cost: peak memory, as a ratio to the table's bytes, and seconds.

Run ``python benchmarks/windowing_memory.py --rows 1000000 --columns 8 --steps 20``. The plain
case (one series, no times) is a view of one padded buffer; with times, overlap and many series
the windows are gathered, so they exist in full; the naive way copies every window of a list.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from sklearn_jobtime import SequenceWindower

# What a run overlaps: its length is up to this many gaps between starts.
OVERLAP = 5.0


def measure(build: Callable[[], np.ndarray], table_bytes: int) -> dict[str, float]:
    """Peak memory on top of the table, over the table's bytes, and seconds without tracing."""
    start = time.perf_counter()
    build()  # first, so that what is imported on first use is not counted as memory
    seconds = time.perf_counter() - start
    tracemalloc.start()
    windows = build()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "peak_over_table": peak / table_bytes,
        "windows_over_table": windows.nbytes / table_bytes,
        "seconds": seconds,
    }


def overlapping_runs(rows: int, columns: int, n_series: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    series = rng.integers(0, n_series, rows)
    started = np.sort(rng.uniform(0, 60.0 * rows, rows))
    lasted = rng.uniform(0, OVERLAP * 60.0 * n_series, rows)
    return pd.DataFrame(
        {
            "started_at": started,
            "ended_at": started + lasted,
            **{f"job_{k}": lasted * rng.uniform(size=rows) for k in range(columns)},
        },
        index=pd.MultiIndex.from_arrays([series, np.arange(rows)], names=["series", "run"]),
    )


def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(argv)

    plain = np.random.default_rng(asked.seed).uniform(size=(asked.rows, asked.columns))
    runs = overlapping_runs(asked.rows, asked.columns, asked.series, asked.seed)

    def plain_view() -> np.ndarray:
        return SequenceWindower(n_steps=asked.steps).fit_transform(plain)

    def gathered() -> np.ndarray:
        return SequenceWindower(n_steps=asked.steps, dtype="float32").fit_transform(runs)

    def naive_copy() -> np.ndarray:
        padded = np.vstack([np.full((asked.steps, asked.columns), np.nan), plain])
        return np.array([padded[t : t + asked.steps] for t in range(asked.rows)])

    results = {
        "plain, a view": measure(plain_view, plain.nbytes),
        f"times, overlap, {asked.series} series, float32": measure(
            gathered, int(runs.memory_usage(index=False).sum())
        ),
        "naive, a list of copies": measure(naive_copy, plain.nbytes),
    }
    print(f"{asked.rows} rows x {asked.columns} columns x {asked.steps} steps")
    print(f"{'':48}{'peak/table':>12}{'windows/table':>15}{'seconds':>10}")
    for case, found in results.items():
        print(
            f"{case:48}{found['peak_over_table']:>12.2f}{found['windows_over_table']:>15.2f}"
            f"{found['seconds']:>10.2f}"
        )
    return results


if __name__ == "__main__":
    main()
