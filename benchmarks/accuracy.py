"""How accurate the forecasts are on real histories, beside the rules and boosted trees.

    python benchmarks/accuracy.py DATA_DIR [--series NAME ...] [--seeds N] [--limit N] [--out DIR]

On every history, models are fitted once on the first 80 % of the time, with the outcomes known
then, and forecast each of the last 20 % of the runs from what was known at its start. Errors are
mean absolute errors over successful test runs, per job and series, relative to

- `best baseline`: the one that was best on these very test runs, which nobody could know,
- `chosen baseline`: the one that was best on the newest quarter of the training runs,
- `lightgbm`: boosted trees with the same inputs and the same base forecast.

The models are the rules, `recipe` (`make_anchored_forecaster`), `anchored lstm` (the same without
its trees), `plain lstm` (`make_forecast_pipeline`), and LightGBM and HistGradientBoosting with the
inputs and the base forecast of the recipe. One recipe with one set of defaults serves every
history. Test rows choose nothing. It writes `accuracy.csv` (a row for each model, seed, job and
series) and `accuracy.md`.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from real_series import History, read_histories
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from sklearn_jobtime import SequenceWindower
from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.compose import AnchoredRegressor
from sklearn_jobtime.evaluation import backtest, default_baselines
from sklearn_jobtime.pipeline import make_anchored_forecaster, make_forecast_pipeline

LEAST_SCORED = 20
SINGLE = "six single-job series"


class FlatWindows(SequenceWindower, auto_wrap_output_keys=None):
    """The inputs of the recipe as one row for trees.

    Ten steps of each outcome, its median, and the last step of what is known at the start.
    """

    def transform(self, X):
        """Window the rows, and flatten the windows."""
        windows = super().transform(X)
        outcomes = windows[:, :, ~self._known]
        middle = np.nan_to_num(outcomes).mean(axis=1)
        flat = outcomes[:, -10:].reshape(len(windows), -1)
        return np.concatenate([flat, middle, windows[:, -1, self._known]], axis=1)


class TailLightGBM(BaseEstimator):
    """LightGBM, its number of trees chosen on the newest fifth of the rows, then fitted on all."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        """Choose the number of trees, then fit."""
        import lightgbm  # noqa: PLC0415 - only the benchmark needs it

        options = {
            "objective": "l1",
            "learning_rate": 0.03,
            "num_leaves": 15,
            "min_data_in_leaf": 20,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "feature_fraction": 0.5,
            "num_threads": 1,
            "verbose": -1,
            "seed": 0 if self.random_state is None else self.random_state,
        }
        cut = int(0.8 * len(y))
        judge = lightgbm.train(
            options,
            lightgbm.Dataset(X[:cut], y[:cut]),
            num_boost_round=400,
            valid_sets=[lightgbm.Dataset(X[cut:], y[cut:])],
            callbacks=[lightgbm.early_stopping(40, verbose=False)],
        )
        trees = max(1, judge.best_iteration)
        self.model_ = lightgbm.train(options, lightgbm.Dataset(X, y), num_boost_round=trees)
        return self

    def predict(self, X):
        """Forecast the rows."""
        return self.model_.predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.input_tags.allow_nan = True
        return tags


def with_trees(history: History, trees: BaseEstimator) -> AnchoredRegressor:
    """Give trees the inputs and the base forecast of the recipe."""
    model = make_anchored_forecaster(jobs=history.jobs, known=history.known)
    steps = model.regressor.steps[:-1]
    flat = FlatWindows(known=history.known or None)
    return model.set_params(regressor=Pipeline([*steps, ("windows", flat), ("trees", trees)]))


def models_of(history: History, seed: int, has_lightgbm: bool) -> dict[str, BaseEstimator]:
    """Models that a seed changes."""
    text = [name for name in history.known if history.runs[name].dtype.kind not in "biuf"]
    recipe = make_anchored_forecaster(
        jobs=history.jobs, known=history.known, device="cpu", random_state=seed
    )
    models = {
        "recipe": recipe,
        "anchored lstm": clone(recipe).set_params(regressor__mean__trees="drop"),
        "plain lstm": make_forecast_pipeline(
            jobs=history.jobs,
            known=history.known,
            categorical=text,
            device="cpu",
            random_state=seed,
        ),
        "anchored histgb": with_trees(
            history,
            HistGradientBoostingRegressor(
                loss="absolute_error",
                learning_rate=0.05,
                max_iter=150,
                max_leaf_nodes=15,
                random_state=seed,
            ),
        ),
    }
    if has_lightgbm:
        models["lightgbm"] = with_trees(history, TailLightGBM(random_state=seed))
    return models


def newest(history: History, limit: int | None) -> History:
    """Keep the newest `limit` runs."""
    runs = history.runs if limit is None else history.runs.iloc[-limit:]
    return History(history.name, history.group, runs, history.jobs, history.known)


def errors_of(history: History, seeds: int, has_lightgbm: bool) -> Iterator[pd.DataFrame]:
    """Mean absolute error of each model, seed, job and series with enough scored runs."""
    for seed in range(seeds):
        models = models_of(history, seed, has_lightgbm)
        if seed == 0:
            models = {**default_baselines(), "OnlineMix": OnlineMix(), **models}
        else:
            models = {"last success": default_baselines()["last success"], **models}
        found = backtest(models, history.runs, jobs=history.jobs, whole_run=False)
        seen = found.targets["actual"].notna()
        keys = [found.targets[seen][name].astype(str) for name in ("job", "series")]
        error = found.forecasts[seen].sub(found.targets["actual"][seen], axis=0).abs()
        if seed == 0:
            error["chosen baseline"] = found.chosen_baseline_errors()[seen]
            error["best baseline"] = np.nan
        groups = error.groupby(keys)
        mae = groups.mean()[groups.size() >= LEAST_SCORED]
        if seed == 0:
            mae["best baseline"] = mae[list(default_baselines())].min(axis=1)
        else:
            mae = mae.drop(columns="last success")
        table = mae.reset_index().melt(["job", "series"], var_name="model", value_name="mae")
        sizes = groups.size().rename("n_scored").reset_index()
        table = table.merge(sizes, on=["job", "series"]).merge(
            found.seconds.rename_axis("model").reset_index(), on="model", how="left"
        )
        yield table.assign(history=history.name, group=history.group, seed=seed)


def geometric_mean(ratios: pd.Series) -> float:
    return float(np.exp(np.log(ratios).mean()))


def ratios(table: pd.DataFrame, model: str, to: str) -> pd.DataFrame:
    """Ratio of errors for each history and seed, geometric mean over its jobs and series.

    Where the other never errs, there is no ratio.
    """
    keys = ["history", "job", "series"]
    mine = table[table["model"] == model].set_index([*keys, "seed"])["mae"]
    other = table[(table["model"] == to)].set_index([*keys, "seed"])["mae"]
    if to in ("best baseline", "chosen baseline"):
        other = other.droplevel("seed")
    both = pd.DataFrame({"mine": mine}).join(other.rename("other"), how="inner")
    both = both[(both["other"] > 0) & (both["mine"] > 0)]
    ratio = both["mine"] / both["other"]
    return ratio.groupby(level=["history", "seed"], sort=False).agg(geometric_mean).unstack("seed")


def markdown(table: pd.DataFrame) -> str:
    """One row a history, then the geometric mean over the single-job ones."""
    lines = [
        "| history | test runs | mix / best | mix / tail | plain / best | LSTM / best | "
        "recipe / best | recipe / tail | recipe / LightGBM | LightGBM / best | HistGB / best | "
        "fit s |",
        "|" + "---|" * 12,
    ]
    pairs = [
        ("OnlineMix", "best baseline"),
        ("OnlineMix", "chosen baseline"),
        ("plain lstm", "best baseline"),
        ("anchored lstm", "best baseline"),
        ("recipe", "best baseline"),
        ("recipe", "chosen baseline"),
        ("recipe", "lightgbm"),
        ("lightgbm", "best baseline"),
        ("anchored histgb", "best baseline"),
    ]
    found = [ratios(table, *pair) for pair in pairs]
    recipe = table[table["model"] == "recipe"]
    for name, rows in recipe.groupby("history", sort=False):
        cells = [_spread(frame.loc[name]) if name in frame.index else "-" for frame in found]
        n_scored = rows[rows["seed"] == 0]["n_scored"].sum()
        lines.append(
            f"| {name} | {n_scored} | {' | '.join(cells)} | {rows['fit_seconds'].mean():.0f} |"
        )
    singles = table[table["group"] == "single"]["history"].unique()
    if len(singles):
        cells = []
        for frame in found:
            rows = frame[frame.index.isin(singles)]
            cells.append(_spread(rows.apply(geometric_mean)) if len(rows) else "-")
        title = SINGLE if len(singles) == 6 else f"{len(singles)} single-job series"
        lines.append(f"| **{title}** | | {' | '.join(cells)} | |")
    return "\n".join(lines) + "\n"


def _spread(values: pd.Series) -> str:
    values = values.dropna()
    if values.empty:
        return "-"
    spread = values.max() - values.min()
    return f"{geometric_mean(values):.3f}" + (f" ±{spread / 2:.3f}" if len(values) > 1 else "")


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the real histories")
    parser.add_argument("--series", nargs="+", help="names of histories; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="newest runs of each history to use")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the two tables")
    options = parser.parse_args(arguments)
    logging.getLogger("sklearn_jobtime").setLevel(logging.ERROR)
    try:
        import lightgbm  # noqa: F401, PLC0415
    except ImportError:
        print("lightgbm is not installed: its column stays empty (pip install lightgbm).")
        has_lightgbm = False
    else:
        has_lightgbm = True
    tables = []
    options.out.mkdir(parents=True, exist_ok=True)
    for history in read_histories(options.data, options.series):
        some = newest(history, options.limit)
        tables += errors_of(some, options.seeds, has_lightgbm)
        table = pd.concat(tables, ignore_index=True)
        table.to_csv(options.out / "accuracy.csv", index=False, float_format="%.6g")
        (options.out / "accuracy.md").write_text(markdown(table), encoding="utf-8")
        print(markdown(table).splitlines()[-2 if "single" in set(table["group"]) else -1])
    print(markdown(table))


if __name__ == "__main__":
    main()
