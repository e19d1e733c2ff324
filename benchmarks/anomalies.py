"""How many anomalies are found, and how many clean runs called one, beside two rules of thumb.

Usage: python benchmarks/anomalies.py [DATA_DIR] [--seeds 20] [--out FILE]

Simulated nights with noise and a weekly season, steady or with a level shift; every twentieth run
of the second half is made too long or too short. With DATA_DIR, the same is done to the successful
runs of real histories, where nobody knows which were clean: the false alarms there are an upper
bound.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from real_series import read_histories

from sklearn_jobtime.anomaly import JobTimeAnomalyDetector
from sklearn_jobtime.runs import observed_durations

FACTORS = (2.0, 0.4)
EVERY = 20
CONTAMINATION = 0.01
SIMULATED = {"simulated": 1.0, "simulated, +60 %": 1.6}
SERIES = ("crates.io", "ouds-android", "bmad", "ccpay", "jod", "ocp")


def simulated(n_runs: int, seed: int, shift: float) -> pd.DataFrame:
    """Nights of one job: 30 % longer on Sundays, and another level in the last quarter."""
    rng = np.random.default_rng(seed)
    started = pd.date_range("2025-01-05", periods=n_runs, freq="D", tz="UTC")
    level = np.where(started.day_of_week == 6, 780.0, 600.0)
    level = level * np.where(np.arange(n_runs) >= 3 * n_runs // 4, shift, 1.0)
    seconds = level * np.exp(0.12 * rng.normal(size=n_runs))
    ended = started + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"started_at": started, "ended_at": ended, "job": seconds})


def three_sigma(seconds: pd.Series) -> np.ndarray:
    """More than three standard deviations from the mean of the last thirty."""
    past = seconds.ffill().shift().rolling(30, min_periods=10)
    return ((seconds - past.mean()).abs() > 3 * past.std()).to_numpy()


def twice_the_mean(seconds: pd.Series) -> np.ndarray:
    """More than twice, or less than half of, the mean of the last ten."""
    mean = seconds.ffill().shift().rolling(10, min_periods=1).mean()
    return ((seconds > 2 * mean) | (seconds < mean / 2)).to_numpy()


def called_anomalous(runs: pd.DataFrame, job: str, cut: int) -> dict[str, np.ndarray]:
    """Which test runs each method calls anomalous."""
    detector = JobTimeAnomalyDetector(contamination=CONTAMINATION, jobs=[job], whole_run=False)
    called = detector.fit(runs[:cut]).predict(runs[cut:]) == -1
    seconds = observed_durations(runs, [job])[job]
    return {
        "detector": called,
        "three sigma": three_sigma(seconds)[cut:],
        "2x or half the mean": twice_the_mean(seconds)[cut:],
    }


def rates(runs: pd.DataFrame, job: str, seed: int) -> pd.DataFrame:
    """Share of clean test runs called anomalous, and of those injected by each factor."""
    cut = len(runs) // 2
    good = np.flatnonzero(observed_durations(runs, [job])[job].notna())
    good = good[good >= cut]
    found = []
    for factor in FACTORS:
        odd = good[np.random.default_rng(seed).integers(EVERY) :: EVERY]
        changed = runs.copy()
        changed.iloc[odd, changed.columns.get_loc(job)] *= factor
        clean = np.setdiff1d(good, odd)
        for method, called in called_anomalous(changed, job, cut).items():
            found += [
                {"method": method, "what": "false alarms", "share": called[clean - cut].mean()},
                {"method": method, "what": f"found x{factor:g}", "share": called[odd - cut].mean()},
            ]
    return pd.DataFrame(found)


def main(arguments: list[str] | None = None) -> pd.DataFrame:
    """Print one table for the simulated nights and one line for each real history."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs of each seed")
    parser.add_argument("--out", type=Path, help="a CSV file for the table, as shares")
    options = parser.parse_args(arguments)
    parts = [
        rates(simulated(options.runs, seed, shift), "job", seed).assign(history=name)
        for name, shift in SIMULATED.items()
        for seed in range(options.seeds)
    ]
    if options.data is not None:
        parts += [
            rates(history.runs, history.jobs[0], 0).assign(history=history.name)
            for history in read_histories(options.data, list(SERIES))
        ]
    table = pd.concat(parts).pivot_table(
        index=["history", "method"], columns="what", values="share", sort=False
    )
    print(f"asked: at most {CONTAMINATION:.0%} false alarms; one run in {EVERY} was changed")
    print((100 * table).round(1).to_string())
    if options.out is not None:
        table.round(4).to_csv(options.out)
    return table


if __name__ == "__main__":
    main()
