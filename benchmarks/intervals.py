"""Coverage and width of intervals on real run histories, beside MAPIE's.

    python benchmarks/intervals.py DATA_DIR [--series NAME ...] [--model NAME] [--asymmetric]
        [--group-conditional] [--out DIR]

On every history of `benchmarks/accuracy.py` a forecaster is fitted on the first 80 % of the time
and calibrated on the newest quarter of that; the last 20 % are tested. From the same forecasts and
the same calibration rows, job by job, for log ratios and for seconds:

- `static`: `ConformalForecaster`, as calibrated,
- `adaptive`: the same, fed each run once it has ended (`update`), each series of a pool by itself,
- `mapie`: MAPIE's split conformal intervals, of relative ("gamma") and of absolute errors,
- `aci`: MAPIE's adaptive ones of the same errors (`TimeSeriesRegressor(method="aci")`, the step of
  its tutorial), updated with each run once it has ended, each series of a pool by itself.

`near` is the share of the series with a coverage within 5 points of the level.
Intervals are symmetric, as by default, or not (`--asymmetric`, as MAPIE's of relative errors are).
Mean widths are in seconds, over the finite intervals; `/ mapie` and `/ aci` are the width relative
to MAPIE's at the level where that has the same coverage (below 1 is narrower). A width alone says
nothing, since intervals that are too narrow miss more.
"""

import argparse
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from deadlines import base_of, known_at
from mapie.conformity_scores import AbsoluteConformityScore, GammaConformityScore
from mapie.regression import SplitConformalRegressor, TimeSeriesRegressor
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from real_series import History, read_histories
from sklearn.base import BaseEstimator, RegressorMixin

from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.conformal._scores import LEAST
from sklearn_jobtime.conformal._series_bounds import OWN_ROWS, rows_of_series
from sklearn_jobtime.evaluation import as_text, rolling_coverage
from sklearn_jobtime.exceptions import TooFewRunsWarning
from sklearn_jobtime.runs import ENDED_AT, STARTED_AT, make_targets, series_names, split_by_time

LEVELS = [0.8, 0.9, 0.95]
METHODS = ["static", "adaptive", "mapie", "aci"]
SWEEP = np.round(np.arange(0.3, 0.996, 0.005), 3).tolist()
ACI_SWEEP = np.round(np.arange(0.6, 0.991, 0.01), 2).tolist()  # it rounds to two digits
MAPIE_SCORES = {"log_ratio": "gamma", "absolute": "absolute"}
MAPIE_SIDES = {"gamma": 2, "absolute": 1}  # that its bounds are made of
ACI_SCORES = {"gamma": GammaConformityScore, "absolute": AbsoluteConformityScore}
ACI_STEP = 0.05
ROLLING = 100  # runs of which the picture shows the share inside
COMPARED = ["mapie", "aci"]
ALMOST_NONE = 0.01  # of the intervals may be infinite where widths are compared
EQUAL = 0.02  # coverages that differ by more are not interpolated between
TIE = 1e-9  # coverages that differ by less are the same
NEAR = 0.05  # of the level is the coverage of a series that has the nominal coverage
ENOUGH = 300  # test runs from which on the adaptive coverage is held to two points


class Given(RegressorMixin, BaseEstimator):
    """Takes the forecast as its only column, so that all methods have the same ones."""

    def fit(self, X, y=None):  # noqa: ARG002, D102
        self.n_features_in_ = 1
        return self

    def predict(self, X):  # noqa: D102
        return np.asarray(X)[:, 0]


def as_known(times: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows in start order that start with the same knowledge, and which runs ended before them."""
    ended = np.argsort(times["known"].to_numpy(), kind="stable")
    n_known = np.searchsorted(times["known"].to_numpy()[ended], times["started"], side="right")
    fed = 0
    for rows in np.split(np.arange(len(times)), np.flatnonzero(np.diff(n_known)) + 1):
        yield rows, ended[fed : n_known[rows[0]]]
        fed = n_known[rows[0]]


def usable(score: str, old: np.ndarray, old_actual: np.ndarray) -> np.ndarray:
    """Mark the calibration rows that MAPIE can take: a relative error needs two durations."""
    return (old_actual > 0) & (old[:, 0] > 0) if score == "gamma" else old_actual >= 0


def adaptive_intervals(
    model: ConformalForecaster, forecast: pd.DataFrame, actual: np.ndarray, times: pd.DataFrame
) -> np.ndarray:
    """Intervals of runs in start order, each after the updates by those that had ended."""
    found = np.empty((len(forecast), 2, len(LEVELS)))
    clock = times.set_axis([STARTED_AT, ENDED_AT], axis=1).set_index(forecast.index)
    for rows, new in as_known(times):
        if len(new):
            model.update(clock.iloc[new], actual[new], forecast=forecast.to_numpy()[new])
        found[rows] = model.predict_interval(forecast.iloc[rows], LEVELS)[:, 0]
    return found


def mapie_intervals(
    score: str, old: np.ndarray, old_actual: np.ndarray, new: np.ndarray
) -> tuple[list[float], np.ndarray]:
    """MAPIE's intervals at every level that its calibration rows are enough for."""
    taken = usable(score, old, old_actual)
    least = MAPIE_SIDES[score] / max(taken.sum() - 2, 1)
    levels = [level for level in SWEEP if 1 - level > least]
    if not levels:
        return [], np.empty((len(new), 2, 0))
    mapie = SplitConformalRegressor(Given().fit(old), levels, score, prefit=True)
    mapie.conformalize(old[taken], old_actual[taken])
    return levels, mapie.predict_interval(new)[1]


def aci_intervals(
    score: str, old: pd.DataFrame, old_actual: np.ndarray, new: pd.DataFrame, actual: np.ndarray,
    times: pd.DataFrame,
) -> np.ndarray:  # fmt: skip
    """MAPIE's adaptive intervals at every level, of each series by itself."""
    own = dict(rows_of_series(old))
    found = np.empty((len(new), 2, len(ACI_SWEEP)))
    for key, rows in rows_of_series(new):
        mine = own.get(key, slice(0, 0))
        few = len(old_actual[mine]) < OWN_ROWS
        some = slice(None) if few else mine
        found[rows] = aci_of_series(
            *(score, old.to_numpy()[some], old_actual[some], new.to_numpy()[rows], actual[rows]),
            times.iloc[rows],
        )
    return found


def aci_of_series(
    score: str, old: np.ndarray, old_actual: np.ndarray, new: np.ndarray, actual: np.ndarray,
    times: pd.DataFrame,
) -> np.ndarray:  # fmt: skip
    """MAPIE's adaptive intervals of one series; infinite where its errors are too few."""
    taken = usable(score, old, old_actual)
    old, old_actual = old[taken], old_actual[taken]
    if score == "gamma":
        new, actual = np.maximum(new, LEAST), np.maximum(actual, LEAST)  # it divides by them
    # It raises an error where its share of misses falls below what so few errors can tell.
    least = MAPIE_SIDES[score] / (len(old) + 1)
    least = np.ceil(100 * least + 0.1) / 100
    levels = [level for level in ACI_SWEEP if 1 - level >= least - 1e-9]
    found = np.empty((len(new), 2, len(ACI_SWEEP)))
    found[:, 0], found[:, 1] = -np.inf, np.inf
    if not levels:
        return found
    mapie = TimeSeriesRegressor(
        Given().fit(old), method="aci", cv="prefit", conformity_score=ACI_SCORES[score]()
    ).fit(old, old_actual)
    for rows, ended in as_known(times):
        for one in ended[:, None]:
            mapie.adapt_conformal_inference(new[one], actual[one], ACI_STEP, levels)
            with warnings.catch_warnings(action="ignore"):  # that it did something else once
                mapie.update(new[one], actual[one])
            shares = mapie.current_alpha.items()
            mapie.current_alpha = {level: max(share, least) for level, share in shares}
        bounds = mapie.predict(new[rows], confidence_level=levels, allow_infinite_bounds=True)
        found[rows, :, : len(levels)] = bounds[1]
    return found


def intervals_of(
    history: History, model: str, *, symmetric: bool = True, group_conditional: bool = False
) -> pd.DataFrame:
    """Every interval of every observed test run, one row for a method and level."""
    runs = history.runs
    train, is_test = split_by_time(runs)
    options = {"jobs": history.jobs, "whole_run": False}
    y = make_targets(runs, **options)
    y_train = make_targets(train, **options).reindex(columns=y.columns)
    forecaster = ConformalForecaster(base_of(model, history)).fit(train, y_train)
    forecasts = np.reshape(forecaster.predict(runs), y.shape)
    start = known_at(pd.DataFrame({ENDED_AT: runs[STARTED_AT]}))
    times = pd.DataFrame({"started": start, "known": known_at(runs)})
    parts = []
    for k, job in enumerate(history.jobs):
        calibrates = ~np.isnan(forecaster.calibration_targets_[:, k])
        index = train.index[forecaster.calibration_rows_[calibrates]]
        old = pd.DataFrame({"forecast": forecaster.calibration_forecasts_[calibrates, k]}, index)
        old_actual = forecaster.calibration_targets_[calibrates, k]
        rows = np.flatnonzero(is_test & y.iloc[:, k].notna())
        rows = rows[np.argsort(start[rows], kind="stable")]
        new = pd.DataFrame({"forecast": forecasts[rows, k]}, runs.index[rows])
        actual = y.iloc[rows, k].to_numpy()
        for score, of_mapie in MAPIE_SCORES.items():
            static = ConformalForecaster(
                Given().fit(old),
                conformity_score=score,
                symmetric=symmetric,
                group_conditional=group_conditional,
                cv="prefit",
            )
            bounds = static.fit(old, old_actual).predict_interval(new, LEVELS)[:, 0]
            moved = adaptive_intervals(static, new, actual, times.iloc[rows])
            levels, swept = mapie_intervals(of_mapie, old.to_numpy(), old_actual, new.to_numpy())
            given = old, old_actual, new, actual, times.iloc[rows]
            for method, asked, found in (
                ("static", LEVELS, bounds),
                ("adaptive", LEVELS, moved),
                ("mapie", levels, swept),
                ("aci", ACI_SWEEP, aci_intervals(of_mapie, *given)),
            ):
                inside = (found[:, 0] <= actual[:, None]) & (actual[:, None] <= found[:, 1])
                parts.append(
                    pd.DataFrame(
                        {
                            "history": history.name,
                            "series": np.repeat(series_names(runs.index[rows]), len(asked)),
                            "job": job,
                            "score": score,
                            "method": method,
                            "level": np.tile(asked, len(rows)),
                            STARTED_AT: runs[STARTED_AT].iloc[rows].repeat(len(asked)).to_numpy(),
                            "inside": inside.ravel(),
                            "width": (found[:, 1] - found[:, 0]).ravel(),
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


def summary(intervals: pd.DataFrame) -> pd.DataFrame:
    """Coverage and width of each score, method and level over one history."""
    finite = intervals["width"].where(np.isfinite(intervals["width"]))
    by = intervals.assign(finite=finite, is_infinite=finite.isna()).groupby(
        ["score", "method", "level"]
    )
    table = by.agg(
        n=("inside", "size"),
        coverage=("inside", "mean"),
        width=("finite", "mean"),
        infinite=("is_infinite", "mean"),
    ).reset_index()
    asked = table[table["level"].isin(LEVELS)].copy()
    each = intervals.groupby(["score", "method", "level", "series"])["inside"].mean().reset_index()
    each["near"] = (each["inside"] - each["level"]).abs() <= NEAR
    near = each.groupby(["score", "method", "level"])["near"].mean().rename("series_near")
    asked = asked.join(near, on=["score", "method", "level"])
    for (score, method), swept in table[table["infinite"] <= ALMOST_NONE].groupby(
        ["score", "method"]
    ):
        if method in COMPARED:
            for index, row in asked[asked["score"] == score].iterrows():
                at_equal = width_at(swept, row["coverage"], row["level"])
                asked.loc[index, f"to_{method}"] = row["width"] / at_equal
    return asked


def width_at(swept: pd.DataFrame, coverage: float, level: float) -> float:
    """Width at which as much is covered, interpolated between two levels that cover about as much.

    Where several levels cover just as much, it is that of the one nearest to `level`.
    """
    off = swept["coverage"] - coverage
    equal = swept[off.abs() <= TIE]
    if len(equal):
        return float(equal.loc[(equal["level"] - level).abs().idxmin(), "width"])
    less, more = swept[off < 0].sort_values("width"), swept[off > 0].sort_values("width")
    if less.empty or more.empty or more["coverage"].min() - less["coverage"].max() > EQUAL:
        return np.nan
    near = [less.loc[less["coverage"].idxmax()], more.loc[more["coverage"].idxmin()]]
    ends = ([one[key] for one in near] for key in ("coverage", "width"))
    return float(np.interp(coverage, *ends))


def draw(intervals: pd.DataFrame, path: Path, level: float = 0.9) -> None:
    """Draw the rolling coverage of the static and adaptive intervals, a panel for each history.

    Histories with no more runs than the share is taken over are left out.
    """
    asked = intervals[(intervals["level"] == level) & (intervals["score"] == "log_ratio")]
    counts = asked[asked["method"] == "static"].groupby("history", sort=False).size()
    names = counts.index[counts > ROLLING]
    if not len(names):
        raise SystemExit(f"no history has more than {ROLLING} test runs; nothing to draw.")
    n_columns = min(3, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(4 * n_columns, 2.4 * n_rows), layout="constrained")
    axes = np.ravel(figure.subplots(n_rows, n_columns, sharey=True, squeeze=False))
    for ax, name in zip(axes, names, strict=False):
        for method, colour in (("static", "0.6"), ("adaptive", "tab:blue")):
            mine = asked[(asked["history"] == name) & (asked["method"] == method)]
            rolling = rolling_coverage(mine.sort_values(STARTED_AT, kind="stable"), ROLLING)
            ax.plot(rolling[STARTED_AT], rolling["coverage"], color=colour, label=method)
        ax.axhline(level, color="black", linewidth=0.8, linestyle="--")
        ax.set_title(name, loc="left", fontsize="medium")
        locator = AutoDateLocator(maxticks=5)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    for ax in axes[len(names) :]:
        ax.remove()
    axes[0].legend(frameon=False, loc="lower left")
    figure.supylabel(f"share of the newest {ROLLING} runs inside {level:.0%} intervals")
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> pd.DataFrame:
    """Print a table for each level, and which of the aims were reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--series", nargs="*", help="histories; all of them by default")
    parser.add_argument("--model", choices=["mix", "recipe"], default="mix")
    parser.add_argument("--asymmetric", action="store_true", help="symmetric=False")
    parser.add_argument("--group-conditional", action="store_true", help="group_conditional=True")
    parser.add_argument("--limit", type=int, help="newest runs of each history, for a quick look")
    parser.add_argument("--out", type=Path, help="folder for intervals.csv and intervals.png")
    options = parser.parse_args(arguments)
    logging.getLogger("sklearn_jobtime").setLevel(logging.ERROR)
    tables, drawn = {}, []
    for history in read_histories(options.data, options.series):
        some = replace(history, runs=history.runs.iloc[-(options.limit or 0) :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TooFewRunsWarning)
            found = intervals_of(
                some,
                options.model,
                symmetric=not options.asymmetric,
                group_conditional=options.group_conditional,
            )
        tables[history.name] = summary(found)
        drawn.append(found[found["method"].isin(["static", "adaptive"])])
        print(f"{history.name}: {tables[history.name]['n'].iloc[0]} targets", flush=True)
    table = pd.concat(tables, names=["history"]).reset_index(level=0)
    for (score, level), part in table.groupby(["score", "level"]):
        print(f"\n{level:.0%} intervals, {score}, {options.model}")
        wide = part.pivot(index="history", columns="method").reindex(columns=METHODS, level=1)
        columns = {
            "n": wide["n", "static"],
            **{f"{m} %": 100 * wide["coverage", m] for m in METHODS},
            **{f"{m} near": wide["series_near", m] for m in METHODS[:2]},
            **{f"{m} s": wide["width", m] for m in METHODS},
            **{f"{m} / mapie": wide["to_mapie", m] for m in METHODS[:2]},
            "adaptive / aci": wide["to_aci", "adaptive"],
        }
        print(as_text(pd.DataFrame(columns).reset_index()))
    enough = table[(table["method"] == "adaptive") & (table["n"] >= ENOUGH)]
    off = enough[(enough["coverage"] - enough["level"]).abs() > 0.02]
    print(f"\nadaptive coverage within 2 points: {len(enough) - len(off)} of {len(enough)}")
    for row in off.itertuples():
        print(f"  not: {row.history}, {row.score}, {row.level:.0%}: {row.coverage:.1%} of {row.n}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        table.round(4).to_csv(options.out / "intervals.csv", index=False)
        draw(pd.concat(drawn), options.out / "intervals.png")
    return table


if __name__ == "__main__":
    main()
