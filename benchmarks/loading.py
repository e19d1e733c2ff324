"""How fast run histories load: rows a second of each source, and the peak memory.

``python benchmarks/loading.py [--rows 5000000]`` writes a log of that many rows as Parquet, CSV and
SQLite into a temporary folder, reads each to the run table in a process of its own, and prints the
rows a second, the peak memory of the process, and its ratio to that of the log held in pandas. Last
comes the processor time of a whole ``jobtime load`` of 1,000 runs, relative to ``import pandas``.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sqlalchemy import create_engine

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import read_source, write_table

JOBS = 100


def make_log(n_rows: int) -> pd.DataFrame:
    """Make runs of a hundred jobs one after the other, every ten minutes."""
    rng = np.random.default_rng(0)
    run, job = np.divmod(np.arange(n_rows), JOBS)
    seconds = rng.lognormal(3, 0.3, n_rows)
    started = pd.Timestamp("2015-01-01", tz="UTC") + pd.to_timedelta(run * 600 + job, unit="s")
    return pd.DataFrame(
        {
            "series": "etl",
            "run": run,
            "job": pd.Categorical.from_codes(job, [f"job_{k}" for k in range(JOBS)]).astype("str"),
            "started_at": started,
            "ended_at": started + pd.to_timedelta(seconds, unit="s"),
            "duration": seconds,
            "status": "success",
        }
    )


def write(log: pd.DataFrame, source: str) -> None:
    """Write the log where `source` says."""
    if source.startswith("sqlite"):
        url, _, table = source.partition("#")
        text = log.assign(**{c: log[c].astype("str") for c in ("started_at", "ended_at")})
        text.to_sql(table, create_engine(url), index=False, chunksize=100_000)
    elif source.endswith(".parquet"):
        log.to_parquet(source)
    else:
        log.to_csv(source, index=False)


def measure(source: str) -> dict[str, float]:
    """Read one source in this process."""
    began = perf_counter()
    runs = read_source(source)
    seconds = perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak_bytes": peak, "n_runs": len(runs)}


def processor_seconds(*command: str) -> float:
    """Processor time of a process of its own: the least of three."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def load_to_pandas() -> float:
    """Processor time of ``jobtime load`` of 1,000 runs, relative to ``import pandas`` alone."""
    with tempfile.TemporaryDirectory() as folder:
        write_table(make_job_runs(n_runs=1000, random_state=0), Path(folder, "runs.csv"))
        load = processor_seconds("-m", "sklearn_jobtime", "load", f"{folder}/runs.csv")
    return load / processor_seconds("-c", "import pandas")


def main(argv: Sequence[str] | None = None) -> pd.DataFrame:
    """Print and return one row a source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        print(json.dumps(measure(options.one)))
        return pd.DataFrame()
    log = make_log(options.rows)
    held = int(log.memory_usage(deep=True).sum())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("log.parquet", "log.csv", "sqlite"):
            source = str(Path(folder, name))
            if name == "sqlite":
                source = f"sqlite:///{folder}/log.db#log"
            write(log, source)
            command = [sys.executable, __file__, "--one", source]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            measured = json.loads(printed)
            rows.append(
                {
                    "source": name,
                    "rows": len(log),
                    "runs": measured["n_runs"],
                    "seconds": measured["seconds"],
                    "rows_a_second": len(log) / measured["seconds"],
                    "peak_GB": measured["peak_bytes"] / 1e9,
                    "peak_to_log": measured["peak_bytes"] / held,
                }
            )
    table = pd.DataFrame(rows)
    print(table.round(2).to_string(index=False))
    print(f"one process, 1,000 rows, relative to import pandas alone: {load_to_pandas():.1f}")
    return table


if __name__ == "__main__":
    main()
