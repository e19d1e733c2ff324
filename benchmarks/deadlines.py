"""Chances to be done in time on real run histories, and how often it came so.

    python benchmarks/deadlines.py DATA_DIR [--series NAME ...] [--model NAME] [--limit N]

On every history of `benchmarks/accuracy.py` a forecaster is fitted on the first 80 % of the time
and calibrated on the newest quarter of that. Of each later run it is then asked for the chance to
be done within 0.5 to 3 times its forecast: at its start, and after 0.5, 1 and 1.5 times its
forecast if it still runs. Three answers are compared with what happened:

- `naive`: the share of the last 50 runs of the series that took no longer, as one would count
  by hand; where none of them lasted as long as the run has been running, that it will be done,
- `fixed`: `DurationDistribution` of the calibration set as it was at the fit,
- `followed`: of the newest 200 runs of the series, made anew every 20 runs.

The figures are the expected calibration error, the mean distance between the chances and the shares
that came true, in tens of percents; and the Brier score, which also tells who dares to say more
than the usual share. Every answer uses only what was known when the run started.
"""

import argparse
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from real_series import History, read_histories

from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.conformal import ConformalForecaster, DurationDistribution
from sklearn_jobtime.evaluation import (
    as_text,
    expected_calibration_error,
    holdout_events,
    reliability,
)
from sklearn_jobtime.evaluation._reliability import ELAPSED, MULTIPLES
from sklearn_jobtime.exceptions import NoHistoryError, TooFewRunsWarning
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs import (
    ENDED_AT,
    STARTED_AT,
    make_lower_bounds,
    make_targets,
    series_of,
    split_by_time,
)
from sklearn_jobtime.runs._log_ratio import indistinct_durations

ANSWERS = ("naive", "fixed", "followed")
COUNTED = 50  # runs that the naive rule looks at
FOLLOWED = 200
ANEW = 20  # runs after which the distribution is made anew


def known_at(runs: pd.DataFrame) -> np.ndarray:
    """Seconds since 1970 from which on each run's outcome is known; infinite if it never ended.

    Where no end is recorded, an outcome is known once a later run starts.
    """
    times = runs[ENDED_AT] if ENDED_AT in runs else runs[STARTED_AT] + pd.Timedelta("1us")
    seconds = (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return seconds.fillna(np.inf).to_numpy()


class CountedRuns:
    """The naive rule: a share of past durations, whatever was forecast."""

    def __init__(self, seconds: np.ndarray) -> None:
        self.least_ = indistinct_durations(seconds)
        self.seconds = [np.sort(column[~np.isnan(column)][-COUNTED:]) for column in seconds.T]

    def done_by(self, forecast, seconds, elapsed):  # noqa: ARG002 - the rule asks no forecast
        """Answer as `DurationDistribution.done_by`."""
        columns = []
        for k, past in enumerate(self.seconds):
            n = max(len(past), 1)
            done = np.searchsorted(past, seconds[:, k], side="right") / n
            gone = np.searchsorted(past, elapsed[:, k], side="right") / n
            gone = np.where(elapsed[:, k] > 0, gone, 0.0)
            left = np.where(gone < 1, 1 - gone, 1.0)
            columns.append(np.where(gone < 1, (done - gone) / left, 1.0))
        return np.column_stack(columns)


def answers(history: History, model: str) -> Iterator[pd.DataFrame]:
    """Every question about the test runs of a history, with each of the answers to it."""
    runs = history.runs
    if ENDED_AT in runs:  # a run whose end was never recorded would seem to run for ever
        runs = runs[runs[ENDED_AT].notna()]
    train, is_test = split_by_time(runs)
    cut = runs.loc[is_test, STARTED_AT].min()
    y, options = make_targets(runs, jobs=history.jobs), {"jobs": history.jobs}
    y_train = make_targets(train, **options).reindex(columns=y.columns)
    at_least = make_lower_bounds(train, now=cut, **options).reindex(columns=y.columns)
    forecaster = ConformalForecaster(base_of(model, history)).fit(train, y_train, at_least)
    fixed = DurationDistribution.from_forecaster(forecaster)
    forecasts = np.reshape(forecaster.predict(runs), y.shape)
    actual = y.to_numpy()
    candidates = np.flatnonzero(is_test | (y_train.notna() | at_least.notna()).any(axis=1)
                              .reindex(runs.index, fill_value=False).to_numpy())  # fmt: skip
    candidates = candidates[-(forecaster.n_calibration_ + is_test.sum()) :]
    series, known = series_of(runs.index), known_at(runs)
    started = known_at(runs[[STARTED_AT]].rename(columns={STARTED_AT: ENDED_AT}))
    for one in np.unique(series[is_test]):
        own = np.flatnonzero(series == one)
        own = own[np.argsort(known[own], kind="stable")]
        rows = np.flatnonzero(is_test & (series == one))
        for block in np.split(rows, range(ANEW, len(rows), ANEW)):
            past = own[known[own] <= started[block[0]]]
            newest = past[np.isin(past, candidates)]
            try:
                followed = DurationDistribution(
                    forecasts[newest], actual[newest], n_newest=FOLLOWED
                )
            except NoHistoryError:  # nothing of this series ended since the fit
                followed = fixed
            naive = CountedRuns(actual[past])
            found = [
                holdout_events(known_runs, forecasts[block], actual[block])
                for known_runs in (naive, fixed, followed)
            ]
            chances = {name: part["probability"] for name, part in zip(ANSWERS, found, strict=True)}
            yield found[0].drop(columns="probability").assign(**chances, history=history.name)


def base_of(model: str, history: History):
    """Make the forecaster under the intervals."""
    if model == "mix":
        return OnlineMix()
    return make_anchored_forecaster(
        jobs=history.jobs, known=history.known, device="cpu", random_state=0
    )


def errors(events: pd.DataFrame) -> dict[str, float]:
    """Give the expected calibration error of each answer."""
    return {
        name: expected_calibration_error(reliability(events[name], events["happened"]))
        for name in ANSWERS
    }


def brier_scores(events: pd.DataFrame) -> dict[str, float]:
    """Give the mean squared distance of each answer from what happened, which wants sharp ones."""
    return {
        f"{name} Brier": float(((events[name] - events["happened"]) ** 2).mean())
        for name in ANSWERS
    }


def main(arguments: list[str] | None = None) -> None:
    """Ask, and print what came of the answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the real histories")
    parser.add_argument("--series", nargs="+", help="names of histories; all by default")
    parser.add_argument("--model", choices=["mix", "recipe"], default="mix")
    parser.add_argument("--limit", type=int, help="newest runs of each history to use")
    options = parser.parse_args(arguments)
    logging.getLogger("sklearn_jobtime").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", TooFewRunsWarning)
    print(f"deadlines {MULTIPLES} and elapsed {ELAPSED}, in units of the forecast")
    lines, everything = [], []
    for history in read_histories(options.data, options.series):
        some = replace(history, runs=history.runs.iloc[-(options.limit or 0) :])
        events = pd.concat(answers(some, options.model), ignore_index=True)
        found = {**errors(events), **brier_scores(events)}
        lines.append({"history": history.name, "questions": len(events), **found})
        everything.append(events)
        print(as_text(pd.DataFrame(lines[-1:])).splitlines()[-1], flush=True)
    pooled = pd.concat(everything, ignore_index=True)
    means = pd.DataFrame(lines).drop(columns=["history", "questions"]).mean().to_dict()
    found = {**errors(pooled), **brier_scores(pooled)}
    lines.append({"history": "all questions", "questions": len(pooled), **found})
    lines.append({"history": "mean of the histories", "questions": len(pooled), **means})
    print(as_text(pd.DataFrame(lines)))
    for name in ANSWERS:
        print(f"\n{name}\n{as_text(reliability(pooled[name], pooled['happened']))}")


if __name__ == "__main__":
    main()
