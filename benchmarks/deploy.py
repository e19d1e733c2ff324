"""What a deployed model costs: to load, to forecast with, to fit, to keep.

    python benchmarks/deploy.py [--log swf:NASA-iPSC-1993-3.1-cln.swf.gz] [--help]

Seconds are those of one processor (user and system, one thread), of whole processes where it says
so; memory is the peak of the process. Beside each figure stands, measured in the same run, a bare
lower bound: the least that NumPy, pandas or torch take for the part of the work that nothing can
do without. `must` is what the project asks of itself; the exit status says whether all of it holds.

The table: a recipe with intervals on simulated runs (400 of 5 jobs); and one on a log of many
series, of which `--log` names a real one (NASA's iPSC/860 log of the Parallel Workloads Archive
has 17,195 runs of 638 series), else it is simulated. Its history is then taken 2, 4 and 8 times,
the same series each time.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_jobtime.cli.inputs import read_history
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.lstm import LSTMForecaster
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.runs import ENDED_AT, STARTED_AT, next_runs

N_STEPS, HIDDEN, MEMBERS, FITS = 20, 32, 3, 3  # of the recipe that `jobtime fit` makes
IMPORTS = "import pandas, sklearn"
JOBTIME = "from sklearn_jobtime.cli import main; main()"
# The peak that the kernel keeps of a child also counts the parent that started it.
PEAK = (
    "import atexit, sys\n"
    "def peak():\n"
    "    print('\\n' + open('/proc/self/status').read(), file=sys.stderr)\n"
    "atexit.register(peak)\n"
)


@dataclass
class Row:
    """One line of the table."""

    name: str
    unit: str
    found: float
    bound: float
    what: str
    must: float | None = None
    aim: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the figure is as low as it must be."""
        return self.must is None or self.found <= self.must


def process_cost(code: str, *args: str, repeats: int = 1) -> tuple[float, float]:
    """Give seconds on the processor and peak megabytes of a process, the medians of several."""
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    costs = []
    for _ in range(repeats):
        command = [sys.executable, "-c", PEAK + code, *args]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=env)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            said = errors.read()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {said}")
        peak = re.search(r"VmHWM:\s+(\d+)", said)
        costs.append((usage.ru_utime + usage.ru_stime, int(peak[1]) / 1000 if peak else np.nan))
    return tuple(np.median(costs, axis=0))


def call_cost(call: Callable[[], object], repeats: int) -> float:
    """Seconds on the processor of a call, the median of several after a first one."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.thread_time()
        call()
        seconds.append(time.thread_time() - start)
    return float(np.median(seconds))


def bare_lstm(n_windows: int, n_features: int, n_members: int = 1) -> Callable[[], object]:
    """Give the forward pass of LSTMs on windows, in NumPy and no more than that."""
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(n_windows, N_STEPS, n_features)).astype(np.float32)
    inputs = rng.normal(size=(n_members, n_features, 4 * HIDDEN)).astype(np.float32)
    recurrent = rng.normal(size=(HIDDEN, 4 * HIDDEN)).astype(np.float32)

    def forward() -> None:
        for weights in inputs:
            gates = windows @ weights
            state = cell = np.zeros((n_windows, HIDDEN), dtype=np.float32)
            for step in range(N_STEPS):
                now = gates[:, step] + state @ recurrent
                keep, add, out = 1 / (1 + np.exp(-now[:, : 3 * HIDDEN].reshape(-1, 3, HIDDEN)
                                                 .transpose(1, 0, 2)))  # fmt: skip
                cell = keep * cell + add * np.tanh(now[:, 3 * HIDDEN :])
                state = out * np.tanh(cell)

    return forward


def bare_forecast(runs: pd.DataFrame, horizon: int, n_features: int) -> Callable[[], object]:
    """Sort the ends within each series, gather the newest, and pass them through the networks."""
    series = pd.factorize(runs.index.droplevel(-1))[0]
    ends = runs[ENDED_AT].to_numpy("datetime64[us]").astype("int64")
    forward = bare_lstm(horizon * (series.max() + 1), n_features, MEMBERS)

    def run() -> None:
        order = np.lexsort((ends, series))
        last = np.searchsorted(series[order], np.arange(series.max() + 1), side="right")
        runs["job"].to_numpy()[order[np.maximum(last[:, None] - np.arange(1, N_STEPS + 1), 0)]]
        forward()

    return run


def bare_training(n_windows: int, n_features: int, epochs: int) -> float:
    """Seconds of the epochs of a recipe's three fits, as a bare loop of torch."""
    import torch  # noqa: PLC0415 - the other figures are those of processes without it

    torch.set_num_threads(1)
    network = torch.nn.LSTM(n_features, HIDDEN, batch_first=True)
    head = torch.nn.Linear(HIDDEN, 5)
    parameters = [*network.parameters(), *head.parameters()]
    windows, targets = torch.randn(n_windows, N_STEPS, n_features), torch.randn(n_windows, 5)

    def epoch() -> None:
        for part in torch.randperm(n_windows).split(128):
            loss = (head(network(windows[part])[0][:, -1]) - targets[part]).abs().mean()
            loss.backward()
            with torch.no_grad():
                for parameter in parameters:
                    parameter.sub_(0.003 * parameter.grad)
                    parameter.grad = None

    return FITS * MEMBERS * epochs * call_cost(epoch, 1)


def repeated(runs: pd.DataFrame, times: int) -> pd.DataFrame:
    """Give every series `times` its history, the copies one after another before it.

    The newest copy is the runs themselves, with their labels: a model knows them again.
    """
    own = runs.index.get_level_values(-1)
    span = runs[ENDED_AT].max() - runs[STARTED_AT].min() + pd.Timedelta("1D")
    tables = []
    for copy in range(times):
        back = runs.copy()
        for name in (STARTED_AT, ENDED_AT):
            back[name] -= (times - 1 - copy) * span
        names = [*runs.index.names[:-1], runs.index.names[-1]]
        age = times - 1 - copy
        if pd.api.types.is_numeric_dtype(own):
            last = own - age * (own.max() - own.min() + 1)
        else:
            last = own if not age else own.astype(str) + f" {age} times before"
        levels = [runs.index.get_level_values(level) for level in range(runs.index.nlevels - 1)]
        tables.append(back.set_axis(pd.MultiIndex.from_arrays([*levels, last], names=names)))
    return pd.concat(tables)


def coming_runs(model: object, runs: pd.DataFrame, coming: pd.DataFrame) -> pd.DataFrame:
    """Make the runs to come, and forecast those of the same series, whatever the history."""
    next_runs(runs)  # of a longer history, fewer series count as retired
    return forecast(model, runs, coming)


def small_rows(folder: Path, options: argparse.Namespace) -> list[Row]:
    """Measure the recipe with intervals on the runs of a few jobs."""
    runs = make_job_runs(options.runs + 20, n_jobs=options.jobs, random_state=0)
    past, new, table = runs[:-20], runs[-20:], folder / "runs.parquet"
    write_table(past, table)
    fit = ["fit", str(table), "--horizon", "5", "--epochs", str(options.epochs), "--test-size", "0"]
    model = folder / "model.joblib"
    process_cost(JOBTIME, *fit, "-o", str(model))
    bare, _ = process_cost(IMPORTS, repeats=options.repeats)
    numbers = folder / "numbers.npz"
    np.savez_compressed(numbers, past.select_dtypes("number").to_numpy())
    read = f"{IMPORTS}, numpy; numpy.load({str(numbers)!r})['arr_0']"
    least, _ = process_cost(read, repeats=options.repeats)
    rows = []
    safe = folder / "model.skops"
    save_model(load_model(model), safe)
    for path, must, aim in ((model, 0.15, 0.05), (safe, 0.15, 0.05)):
        load = f"; from sklearn_jobtime.persistence import load_model; load_model({str(path)!r})"
        found, _ = process_cost(IMPORTS + load, repeats=options.repeats)
        name = f"load {path.suffix}, beyond `{IMPORTS}`"
        rows.append(Row(name, "s", found - bare, max(least - bare, 0), "numpy.load", must, aim))
    fitted = load_model(model)
    run = new.iloc[[0]]
    both = call_cost(lambda: fitted.forecast_newest(run, 1), 10 * options.repeats)
    forward = call_cost(bare_lstm(1, 4 * options.jobs, MEMBERS), 10 * options.repeats)
    what = f"NumPy: {MEMBERS} LSTMs"
    rows.append(
        Row("forecast and interval of one new run", "ms", 1e3 * both, 1e3 * forward, what, 5, 1)
    )
    rows.append(window_row(options))
    forecasts = ["forecast", str(model), str(table)]
    seconds, peak = process_cost(JOBTIME, *forecasts, repeats=options.repeats)
    reading = f"{IMPORTS}; pandas.read_parquet({str(table)!r})"
    least, least_peak = process_cost(reading, repeats=options.repeats)
    what = "pandas: imports, and reads the runs"
    rows.append(Row("`jobtime forecast`, whole process", "s", seconds, least, what, 2.5, 1.2))
    rows.append(Row("its peak memory", "MB", peak, least_peak, what, 250, 180))
    return rows


def window_row(options: argparse.Namespace) -> Row:
    """Measure the network alone, on one window."""
    windows = np.random.default_rng(0).random((100, N_STEPS, 1))
    network = LSTMForecaster(HIDDEN, max_epochs=1, device="cpu", random_state=0)
    network.fit(windows, windows[:, -1, 0])
    found = call_cost(lambda: network.predict(windows[:1]), 30 * options.repeats)
    bound = call_cost(bare_lstm(1, 1), 30 * options.repeats)
    name = f"LSTMForecaster.predict of one window ({N_STEPS} steps, {HIDDEN} units)"
    return Row(name, "ms", 1e3 * found, 1e3 * bound, "NumPy: one LSTM", 0.5, 0.2)


def pool_rows(folder: Path, options: argparse.Namespace) -> list[Row]:
    """Measure the recipe on a log of many series, and the growth with their history."""
    table = options.log
    if table is None:
        table = str(folder / "pool.parquet")
        runs = make_job_runs(options.pool_runs, n_jobs=1, n_series=options.series, random_state=0)
        write_table(runs.rename(columns=lambda name: name.replace("job_0", "job")), table)
    model = folder / "pool.joblib"
    fit = ["fit", table, "--horizon", "5", "--epochs", str(options.epochs), "-o", str(model)]
    seconds, _ = process_cost(JOBTIME, *fit)
    runs = read_history(table, None, []).runs
    n_series = runs.index.droplevel(-1).nunique()
    n_features = runs.shape[1] + 16  # calendar, ages and recent runs beside the columns
    bound = bare_training(len(runs), n_features, options.epochs)
    rows = []
    fitted = load_model(model)
    first, coming = 0.0, next_runs(runs)
    for times in (1, 2, 4, 8):
        longer = repeated(runs, times)
        found = call_cost(
            lambda longer=longer: coming_runs(fitted, longer, coming), options.repeats
        )
        least = call_cost(bare_forecast(longer, 5, n_features), options.repeats)
        name = f"forecast of {n_series} series, {len(longer)} runs"
        what = f"NumPy: sort, gather, {MEMBERS} LSTMs"
        must, aim = (1.5, 0.5) if times == 1 else (1.1 * first, first)
        rows.append(Row(name, "s", found, least, what, must, aim))
        first = first or found
    rows.append(Row(f"`jobtime fit` on {len(runs)} runs", "s", seconds, bound,
                    f"torch: {FITS} x {MEMBERS} x {options.epochs} epochs", 45, 25))  # fmt: skip
    numbers = io.BytesIO()
    moments = runs[[STARTED_AT, ENDED_AT]].apply(lambda one: one.astype("int64")).to_numpy()
    np.savez_compressed(numbers, moments, runs.select_dtypes("float").to_numpy())
    least = len(numbers.getvalue()) / 1e6
    safe = folder / "pool.skops"
    save_model(fitted, safe)
    for path in (model, safe):
        size = path.stat().st_size / 1e6
        rows.append(Row(f"size of its {path.suffix}", "MB", size, least, "NumPy: the runs", 5, 2))
    return rows


def main(argv: Sequence[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", help="source of a run table of many series (simulated)")
    parser.add_argument("--runs", type=int, default=400, help="runs of the small history (400)")
    parser.add_argument("--jobs", type=int, default=5, help="jobs of its runs (5)")
    parser.add_argument("--series", type=int, default=638, help="simulated series (638)")
    parser.add_argument("--pool-runs", type=int, default=27, help="runs of each (27)")
    parser.add_argument("--epochs", type=int, default=60, help="most epochs of a fit (60)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each (3)")
    parser.add_argument("--small", action="store_true", help="leave out the log of many series")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        rows = small_rows(Path(name), options)
        if not options.small:
            rows += pool_rows(Path(name), options)
    print(f"{'':62} {'found':>9} {'bound':>9} {'ratio':>6} {'must':>7} {'aim':>7}")
    for row in rows:
        ratio = f"{row.found / row.bound:6.1f}" if row.bound else f"{'':6}"
        must, aim = (f"{limit:7.4g}" if limit else f"{'':7}" for limit in (row.must, row.aim))
        print(f"{row.name + ', ' + row.unit:62} {row.found:9.4g} {row.bound:9.3g} {ratio} {must} "
              f"{aim} {'' if row.holds else 'no '} ({row.what})")  # fmt: skip
    return rows


if __name__ == "__main__":
    sys.exit(not all(row.holds for row in main()))
