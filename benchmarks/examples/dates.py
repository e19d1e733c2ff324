"""Dates as input: the next dates' durations, with what the calendar tells and without it.

Run ``python benchmarks/examples/dates.py --out .``. The job is a load that people in Berlin start
when they need it; its time depends on hour, weekday and month end (and on chance). One pipeline
gets the plain column of datetimes, which `TimestampToNumeric` turns into numbers, the other one the
same runs without it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from sklearn_jobtime import LSTMForecaster, MinMaxScaler, SequenceWindower, TimestampToNumeric
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.lstm import NetworkOptions
from sklearn_jobtime.metrics import observed_mae, observed_mape
from sklearn_jobtime.plots import PredictionDisplay
from sklearn_jobtime.runs import make_targets, next_runs, validate_runs

ZONE = "Europe/Berlin"
N_TEST = 100

OPTIONS = NetworkOptions(skip_connection=True)  # the output sees what is known of the run


def calendar_runs(n_runs: int, seed: int) -> pd.DataFrame:
    """Make runs at any hour of a job of some 20 minutes: more by day, on Mondays, at month ends."""
    rng = np.random.default_rng(seed)
    hours = np.cumsum(rng.exponential(8.0, n_runs))
    started = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(hours, "h")
    local = started.tz_convert(ZONE)
    weekday = np.select([local.day_of_week == 0, local.day_of_week >= 5], [1.6, 0.7], 1.0)
    by_day = 1.0 - 0.4 * np.cos(2 * np.pi * (local.hour - 2) / 24)
    month_end = np.where(local.day >= local.days_in_month - 1, 1.5, 1.0)
    seconds = 1200 * weekday * by_day * month_end * rng.lognormal(0.0, 0.08, n_runs)
    ended = started + pd.to_timedelta(seconds, "s")
    return validate_runs(
        pd.DataFrame({"started_at": started, "ended_at": ended, "load": seconds}), jobs=["load"]
    )


def make_model(*, with_dates: bool, seed: int) -> Pipeline:
    dates = [("timestamps", TimestampToNumeric(timezone=ZONE))] if with_dates else []
    return Pipeline(
        [
            *dates,
            ("windows", SequenceWindower(n_steps=10)),
            ("scale", MinMaxScaler()),
            ("lstm", LSTMForecaster(network_options=OPTIONS, device="cpu", random_state=seed)),
        ]
    )


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=900)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the picture")
    asked = parser.parse_args(argv)

    runs = calendar_runs(asked.runs, asked.seed)
    y = make_targets(runs, jobs=["load"], whole_run=False)
    n = len(runs) - N_TEST
    tables = {"with dates": runs, "without dates": runs[["load"]]}
    models = {
        name: make_model(with_dates=name == "with dates", seed=asked.seed).fit(table[:n], y[:n])
        for name, table in tables.items()
    }
    forecasts = {name: models[name].predict(table) for name, table in tables.items()}
    print(f"{n} runs to learn from, the next {N_TEST} to test; mean absolute error:")
    for name, seconds in forecasts.items():
        error = observed_mae(y[n:], seconds[n:]) / 60
        share = 100 * observed_mape(y[n:], seconds[n:])
        print(f"  {name:14} {error:.2f} minutes, {share:.1f} %")

    last = runs["started_at"].iloc[-1].tz_convert(ZONE).normalize()
    dates = [last + pd.Timedelta(days=1, hours=hour) for hour in range(0, 24, 4)]
    seconds = forecast(models["with dates"], runs, next_runs(runs, dates))["seconds"]
    print("if it starts at")
    for date, value in zip(dates, seconds, strict=True):
        print(f"  {date:%a %Y-%m-%d %H:%M} it takes {value / 60:.1f} minutes")
    if asked.out:
        shown = slice(n - N_TEST, None)
        display = PredictionDisplay.from_predictions(
            y[shown],
            forecasts["with dates"][shown],
            is_test=np.arange(len(runs))[shown] >= n,
            times=runs["started_at"][shown],
        )
        asked.out.mkdir(parents=True, exist_ok=True)
        display.figure_.savefig(asked.out / "dates.png")
    return {name: observed_mae(y[n:], seconds[n:]) for name, seconds in forecasts.items()}


if __name__ == "__main__":
    main()
