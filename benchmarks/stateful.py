"""A state beside windows: how accurate, and how costly, inside the recipe of `jobtime`.

    python benchmarks/stateful.py DATA_DIR [--series NAME ...] [--seeds N] [--choose] [--out FILE]

On every single-job history, and on simulated runs, the recipe is fitted on the first 80 % of the
time and forecasts each of the last 20 % of the runs. All models have the same inputs, anchor and
network options, and differ in how far back the network reads:

- `windows of 20`: the recipe as it is, a window of 20 runs for each row,
- `windows of 1`: no memory, the newest outcomes only,
- `state`: the newest outcomes and a state of the series, trained by truncated back-propagation
  through time in chunks of 20,
- `state, 100`: the same in chunks of 100, so with a fifth of the steps of training in an epoch,
- `state, 3 at once`: the same, but a step reads the last three runs to have ended.

Errors are mean absolute errors over successful test runs, relative to `windows of 20`; so are the
seconds on the processor of a whole fit, and of the network's part in a forecast of one new run
(`--predictions` of them, one at a time).
"""

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from real_series import History, read_histories

from sklearn_jobtime import StatefulForecaster
from sklearn_jobtime.compose import AnchoredRegressor
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.evaluation import backtest
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs import job_columns, make_targets, split_by_time

WINDOWS = "windows of 20"


def cpu_seconds(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


def models_of(history: History, seed: int) -> dict[str, AnchoredRegressor]:
    def recipe(n_steps: int, chunk: int | None = None) -> AnchoredRegressor:
        model = make_anchored_forecaster(
            jobs=history.jobs, known=history.known, n_steps=n_steps, device="cpu", random_state=seed
        )
        # the LSTM alone, which does not look at the base forecast
        model.set_params(regressor__mean__trees="drop", show_base_forecast=False)
        if chunk is not None:
            name = "regressor__mean__lstm__network"
            stateful = StatefulForecaster(model.get_params()[name], n_steps=chunk)
            model.set_params(**{name: stateful})
        return model

    return {
        WINDOWS: recipe(20),
        "windows of 1": recipe(1),
        "state": recipe(1, chunk=20),
        "state, 100": recipe(1, chunk=100),
        "state, 3 at once": recipe(3, chunk=100),
    }


def seconds_a_run(model: AnchoredRegressor, runs: pd.DataFrame) -> float:
    """Median seconds of the network for one new run, its inputs being ready."""
    lstm = model.regressor_["mean"].named_estimators_["lstm"]
    inputs = lstm[:-1].transform(model.regressor_[:-1].transform(runs))
    network = lstm["network"]
    state, seconds = None, []
    for row in range(len(inputs)):
        start = time.thread_time()
        if isinstance(network, StatefulForecaster):
            _, state = network.step(inputs[[row]], state)
        else:
            network.predict(inputs[[row]])
        seconds.append(time.thread_time() - start)
    return float(np.median(seconds))


def results_of(history: History, seed: int, predictions: int) -> Iterator[dict[str, object]]:
    """One row a model: its error in seconds over all jobs, and what it cost."""
    train, _ = split_by_time(history.runs, 0.2)
    y = make_targets(train, jobs=history.jobs, whole_run=False)
    models = models_of(history, seed)
    fit = {
        name: cpu_seconds(lambda model=model: model.fit(train, y)) for name, model in models.items()
    }
    found = backtest(models, history.runs, jobs=history.jobs, whole_run=False, prefit=True)
    errors = found.forecasts.sub(found.targets["actual"], axis=0).abs()
    jobs = found.targets["job"]
    newest = history.runs.iloc[-predictions:]
    for name, model in models.items():
        yield {
            "history": history.name,
            "seed": seed,
            "model": name,
            "mae": float(np.exp(np.log(errors[name].groupby(jobs, observed=True).mean()).mean())),
            "fit_seconds": fit[name],
            "run_seconds": seconds_a_run(model, newest),
        }


def simulated(n_runs: int = 1500) -> History:
    runs = make_job_runs(n_runs=n_runs, n_jobs=2, random_state=0)
    return History("simulated", "simulated", runs, job_columns(runs), ["input_rows"])


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Geometric mean over the seeds of each figure relative to windows, for each history."""
    figures = table.set_index(["history", "seed", "model"])
    logs = np.log(figures[["mae", "fit_seconds", "run_seconds"]])
    logs = logs.sub(logs.xs(WINDOWS, level="model"))
    means = logs.groupby(level=["history", "model"], sort=False).mean()
    real = means.drop("simulated", level="history", errors="ignore")
    if len(real.index.unique("history")) > 1:
        total = real.groupby(level="model", sort=False).mean()
        means = pd.concat([means, pd.concat({"all real": total}, names=["history"])])
    return np.exp(means).unstack("model")


def main(arguments: list[str] | None = None) -> pd.DataFrame:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the real histories")
    parser.add_argument("--series", nargs="+", help="names of histories; all of one job by default")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--limit", type=int, help="newest runs of each history to use")
    parser.add_argument(
        "--choose", action="store_true", help="use the training part alone, for choices"
    )
    parser.add_argument("--predictions", type=int, default=50, help="runs to forecast one by one")
    parser.add_argument("--out", type=Path, help="a CSV file for the figures")
    options = parser.parse_args(arguments)
    logging.getLogger("sklearn_jobtime").setLevel(logging.ERROR)
    real = (
        history
        for history in read_histories(options.data, options.series)
        if history.group == "single"
    )
    histories = [simulated(options.limit or 1500), *real]
    rows: list[dict[str, object]] = []
    for history in histories:
        runs = history.runs.iloc[-options.limit :] if options.limit else history.runs
        if options.choose:
            runs, _ = split_by_time(runs, 0.2)
        some = History(history.name, history.group, runs, history.jobs, history.known)
        for seed in range(options.seeds):
            rows += results_of(some, seed, options.predictions)
        table = pd.DataFrame(rows)
        if options.out is not None:
            table.to_csv(options.out, index=False)
        print(f"{history.name}, {len(runs)} runs:", flush=True)
        print(ratios(table).loc[history.name].unstack(0).round(3).to_string(), flush=True)
    found = ratios(pd.DataFrame(rows))
    for figure in found.columns.get_level_values(0).unique():
        print(f"\n{figure}, relative to {WINDOWS}")
        print(found[figure].round(3).to_string())
    return found


if __name__ == "__main__":
    main()
