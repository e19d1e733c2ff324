"""How good the forecasts are for a series of which few runs are known.

    python benchmarks/short_history.py DATA_DIR [--histories NAME ...] [--network] [--out FILE]

The series of a pool are put into two halves. What is fitted on the training runs of one half
forecasts test runs of the other, of which it has seen nothing, from no more than the newest
0, 1, 2, 3, 5, 10 or 20 successful runs known at their start. The same test runs are forecast at
every length. Errors are the geometric mean over the series of mean absolute errors, relative to
those of the baselines that know 20 runs:

- `prior`: the median of the training runs of all series,
- `baselines`: their weighted average, from the runs of the series alone; the prior without any,
- `shrunk`: the same, shrunk to the prior as far as the training runs teach (`OnlineMix()`),
- `network` (with --network): the recipe, which corrects that.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from real_series import History, read_histories

from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.point_in_time import ended_order, read_clock
from sklearn_jobtime.runs import ENDED_AT, STARTED_AT, as_of, make_targets, observed_durations

LENGTHS = (0, 1, 2, 3, 5, 10, 20)
TESTED = 10  # test runs of each series


def halves(runs: pd.DataFrame) -> np.ndarray:
    """Put half of the series, drawn by chance, into the first half: True."""
    series = runs.index.get_level_values(0)
    names = np.random.default_rng(0).permutation(np.unique(series))
    return np.asarray(series.isin(names[: len(names) // 2]))


def cut_histories(
    runs: pd.DataFrame, job: str, start: pd.Timestamp
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a series of its own for each test run and length of history.

    Returns
    -------
    cut : DataFrame
        The run table; the last run of each series is the test run, its outcome hidden.
    tested : DataFrame
        For each of its series the `row` of the test run, its `series`, `length` and `actual`.
    """
    clock = read_clock(runs)
    seconds = observed_durations(runs, [job])[job].to_numpy()
    found = ended_order(clock.series, clock.started, clock.ended, ~np.isnan(seconds))
    scored = found.stop - found.first >= max(LENGTHS)
    scored &= ~np.isnan(seconds) & (runs[STARTED_AT] >= start).to_numpy()
    rows, names, labels, tested = [], [], [], []
    for series in np.unique(clock.series[scored]):
        mine = np.flatnonzero(scored & (clock.series == series))
        for row in mine[np.linspace(0, len(mine) - 1, min(TESTED, len(mine))).astype(int)]:
            known = found.order[found.first[row] : found.stop[row]]
            for length in LENGTHS:
                rows += [*np.sort(known[len(known) - length :]), row]
                names += [f"{row} {length}"] * (length + 1)
                labels += range(length + 1)
                tested.append((len(rows) - 1, series, length, seconds[row]))
    cut = runs.iloc[rows].set_axis(pd.MultiIndex.from_arrays([names, labels]))
    found_rows = pd.DataFrame(tested, columns=["row", "series", "length", "actual"])
    hidden = [job, ENDED_AT] if ENDED_AT in cut else [job]
    cut.iloc[found_rows["row"], cut.columns.get_indexer(hidden)] = np.nan
    return cut, found_rows


def forecasts_of(history: History, network: bool) -> pd.DataFrame:
    """Test runs of a pool with the forecasts of each kind."""
    runs, job = history.runs, history.jobs[0]
    start = runs[STARTED_AT].quantile(0.8)
    first = halves(runs)
    tables = []
    for known in (first, ~first):
        train = as_of(runs[known], start)
        y = make_targets(train, jobs=[job], whole_run=False)
        cut, tested = cut_histories(runs[~known], job, start)
        models = {"baselines": OnlineMix(pooled=False), "shrunk": OnlineMix()}
        if network:
            models["network"] = make_anchored_forecaster(
                jobs=[job], known=history.known, device="cpu", random_state=0
            )
        tested["series"] = tested["series"].astype(str) + f" of {len(tables)}"
        tested["prior"] = np.nanmedian(y)
        for name, model in models.items():
            forecast = model.fit(train, y).predict(cut)
            tested[name] = forecast[tested["row"], 0]
            if name == "shrunk":
                tested["prior sample size"] = model.prior_sample_size_[job]
        tables.append(tested)
    return pd.concat(tables, ignore_index=True)


def errors_of(tested: pd.DataFrame) -> pd.DataFrame:
    """Errors of each kind of forecast by length of the history."""
    kinds = [name for name in ("prior", "baselines", "shrunk", "network") if name in tested]
    errors = tested[kinds].sub(tested["actual"], axis=0).abs()
    errors = errors.groupby([tested["length"], tested["series"]]).mean()
    unit = errors["baselines"].xs(max(LENGTHS), level="length")
    ratios = errors.div(unit[unit > 0], level="series", axis=0)
    ratios = np.log(ratios.where(ratios > 0)).groupby(level="length").mean()
    return np.exp(ratios)


def main(arguments: list[str] | None = None) -> pd.DataFrame:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the real histories")
    parser.add_argument("--histories", nargs="+", default=["sandmark", "dune", "nasa", "pybamm"])
    parser.add_argument("--network", action="store_true", help="also fit the recipe (minutes)")
    parser.add_argument("--out", type=Path, help="a CSV file for the table")
    options = parser.parse_args(arguments)
    logging.getLogger("sklearn_jobtime").setLevel(logging.ERROR)
    tables = {}
    for history in read_histories(options.data, options.histories):
        tested = forecasts_of(history, options.network)
        tables[history.name] = errors_of(tested)
        learned = ", ".join(f"{size:g}" for size in tested["prior sample size"].unique())
        print(f"{history.name}: the prior is worth {learned} runs of a series")
        print(tables[history.name].round(3).to_string(), flush=True)
    table = pd.concat(tables, names=["history"])
    if options.out is not None:
        table.to_csv(options.out)
    return table


if __name__ == "__main__":
    main()
