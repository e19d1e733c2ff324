"""How good a model is, job by job, against the baselines that people use today."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.baselines._baseline import Baseline
from sklearn_jobtime.baselines._rules import (
    ExponentialMean,
    JenkinsRule,
    RollingRule,
    SeasonalRule,
)
from sklearn_jobtime.evaluation._backtest import Backtest, backtest

__all__ = [
    "as_text",
    "best_of_each_job",
    "default_baselines",
    "evaluate",
    "ratio_interval",
    "recommendations",
    "scores",
]


LEAST_ROWS = 20  # fewer scored rows decide nothing
GROUPS = ("job", "series", "step", "split")


def default_baselines() -> dict[str, Baseline]:
    """Baselines to compare with, by the names that people know them by.

    Every model has to beat these. :class:`~sklearn_jobtime.baselines.OnlineMix` is not among
    them: no tool offers it, so it stands in a comparison as a model.

    Examples
    --------
    >>> from sklearn_jobtime.evaluation import default_baselines
    >>> print(*default_baselines(), sep=", ")
    last run, last success, mean of last 2, mean of last 10, Jenkins, median of last 10,
    median of a chosen window, exponential mean, same hour of the week
    """
    return {
        "last run": RollingRule("last", failed_too=True),
        "last success": RollingRule("last"),
        "mean of last 2": RollingRule("mean", n_runs=2),
        "mean of last 10": RollingRule("mean", n_runs=10),
        "Jenkins": JenkinsRule(),
        "median of last 10": RollingRule("median", n_runs=10),
        "median of a chosen window": RollingRule("median", n_runs="auto"),
        "exponential mean": ExponentialMean(),
        "same hour of the week": SeasonalRule(),
    }


def _scores(targets: pd.DataFrame, forecast: pd.Series, keys: list[pd.Series]) -> pd.DataFrame:
    """Scores of one model over the observed targets of each group."""
    actual = targets["actual"]
    error = forecast - actual
    least = targets["least"]  # durations below it count as that in ratios
    took, said = np.maximum(actual, least), np.maximum(forecast, least)
    ranks = pd.DataFrame({"a": actual, "f": forecast}).groupby(keys, observed=True).rank()
    ranks -= ranks.groupby(keys, observed=True).transform("mean")
    each = pd.DataFrame(
        {
            "mae": error.abs(),
            "within_10pct": (said - took).abs() <= 0.1 * took,
            "off_2x": (said > 2 * took) | (said < took / 2),
            "underestimated": error < 0,
            "mase": error.abs() / targets["naive"].where(targets["naive"] > 0),
            "pinball_90": np.maximum(-0.9 * error, 0.1 * error),
            "aa": ranks["a"] ** 2,
            "ff": ranks["f"] ** 2,
            "spearman": ranks["a"] * ranks["f"],
        }
    )
    scores = each.groupby(keys, observed=True).mean()
    spread = np.sqrt(scores.pop("aa") * scores.pop("ff"))
    scores["spearman"] /= spread.where(spread > 0)
    return scores


def scores(found: Backtest, by: Sequence[str] = ("job",)) -> pd.DataFrame:
    """Score every model of a backtest, for each job or for finer groups.

    Parameters
    ----------
    found : Backtest
        From :func:`~sklearn_jobtime.evaluation.backtest`.
    by : sequence of {"job", "series", "step", "split"}, default=("job",)
        One row for each of these.

    Returns
    -------
    DataFrame
        With the columns that :func:`evaluate` explains.
    """
    by = list(by)
    if not by or not set(by) <= set(GROUPS):
        raise ValueError(f"by must name some of {', '.join(GROUPS)}, got {by}.")
    seen = found.targets["actual"].notna()
    n_scored = seen.groupby([found.targets[c] for c in by], observed=True).agg(["sum", "size"])
    keys = [found.targets.loc[seen, c] for c in by]
    tables = {
        name: _scores(found.targets[seen], found.forecasts.loc[seen, name], keys)
        for name in found.forecasts
    }
    best = chosen = np.nan
    if found.baselines:
        best = pd.concat([tables[name]["mae"] for name in found.baselines], axis=1).min(axis=1)
        chosen = found.chosen_baseline_errors()[seen].groupby(keys, observed=True).mean()
    least_error = found.least_errors()[seen].groupby(keys, observed=True).mean()
    for name, table in tables.items():
        table.insert(0, "model", name)
        table["n_scored"] = n_scored["sum"]
        table["n_ignored"] = n_scored["size"] - n_scored["sum"]
        table["to_best_baseline"] = _ratio(table["mae"], best, least_error)
        table["to_chosen_baseline"] = _ratio(table["mae"], chosen, least_error)
        for column in found.seconds:
            table[column] = found.seconds.loc[name, column]
    scores = pd.concat(tables.values()).reset_index().astype(dict.fromkeys(by, object))
    return scores[["model", *by, *[c for c in scores if c not in {"model", *by}]]]


def evaluate(
    models: Mapping[str, BaseEstimator],
    runs: pd.DataFrame,
    *,
    horizon: int = 1,
    test_size: float = 0.2,
    n_splits: int = 1,
    by: Sequence[str] = ("job",),
    jobs: Sequence[str] | None = None,
    whole_run: bool | None = None,
    prefit: bool | Collection[str] = False,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Score models and baselines on the runs after one or more moments.

    It runs :func:`~sklearn_jobtime.evaluation.backtest` and gives its :func:`scores`.

    Parameters
    ----------
    models, runs, horizon, test_size, n_splits, jobs, whole_run, prefit, n_jobs
        See :func:`~sklearn_jobtime.evaluation.backtest`.
    by : sequence of {"job", "series", "step", "split"}, default=("job",)
        One row for each of these; ``("series", "job", "step")`` is the finest.

    Returns
    -------
    DataFrame
        One row for each model and group, in the order of `models`:

        - `mae`: mean absolute error in seconds.
        - `within_10pct`: share of the forecasts within 10 % of the actual.
        - `off_2x`: share that is more than twice the actual, or less than half of it.
        - `underestimated`: share below the actual.
        - `mase`: error as a share of that of the last success on the training rows, job by job
          and series by series; those that never varied have none.
        - `pinball_90`: pinball loss at 0.9, in seconds, for which a forecast that is too short
          costs nine times as much as one that is too long: somebody waits.
        - `spearman`: rank correlation of forecast and actual; NaN if either is constant.
        - `n_scored`, `n_ignored`: targets that were observed, and those that were not
          (:meth:`~sklearn_jobtime.evaluation.Backtest.skipped` says why).
        - `to_best_baseline`: `mae` relative to the baseline with the least on these test rows;
          where the clock is coarse, errors below half of what it counts are as good as that.
        - `to_chosen_baseline`: relative to the baselines with the least error, for each job and
          series, on the newest quarter of the training rows. Without baselines both are NaN.
        - `fit_seconds`, `predict_seconds`: of the model, over all splits.

    Raises
    ------
    NoHistoryError
        When the table is too short to split, or no test run was observed.

    References
    ----------
    R. J. Hyndman, A. B. Koehler, "Another look at measures of forecast accuracy", International
    Journal of Forecasting 22(4), 2006: MASE.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.evaluation import as_text, default_baselines, evaluate
    >>> runs = make_job_runs(n_runs=60, n_jobs=1, random_state=0)
    >>> table = evaluate(default_baselines(), runs, whole_run=False)
    >>> print(as_text(table.loc[:1, ["model", "job", "n_scored", "n_ignored"]]))
    model         job    n_scored  n_ignored
    last run      job_0  12        0
    last success  job_0  12        0
    """
    found = backtest(
        models,
        runs,
        horizon=horizon,
        test_size=test_size,
        n_splits=n_splits,
        jobs=jobs,
        whole_run=whole_run,
        prefit=prefit,
        n_jobs=n_jobs,
    )
    return scores(found, by)


def ratio_interval(
    errors: Floats,
    other: Floats,
    *,
    block: int,
    least_error: float = 0.0,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> tuple[float, float]:
    """Interval of the ratio of two mean errors over the same rows, by a block bootstrap.

    The errors of runs near each other in time are alike, so whole blocks of rows are drawn, with
    the last row followed by the first. Both errors of a row stay together. As few blocks vary less
    than what they stand for, the percentiles are taken further out, by Student's t for that many
    blocks. In simulation 95 % intervals from 250 rows cover the true ratio in 95 % of cases when
    errors are independent, and in 90 % (87 %) when neighbours correlate by 0.5 (0.8).

    Parameters
    ----------
    errors, other : ndarray of shape (n,)
        Errors of two forecasts of the same rows, in the order of the table.
    block : int
        Rows in a block. With fewer than two blocks nothing can be said: 0 to infinity.
    least_error : float, default=0.0
        Mean errors below this are as good as this: half of what a coarse clock counts.
    confidence_level : float, default=0.95
        How often the interval should hold the true ratio.
    n_resamples : int, default=2000
        Enough for the second digit of the interval.
    random_state : int, default=0
        Seed of the resamples; the same seed gives the same interval.

    Returns
    -------
    low, high : float

    References
    ----------
    D. N. Politis, J. P. Romano, "A circular block-resampling procedure for stationary data", 1992.

    T. C. Hesterberg, "What teachers should know about the bootstrap", The American Statistician
    69(4), 2015: the expanded percentile interval.

    Examples
    --------
    >>> import numpy as np
    >>> ratio_interval(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]), block=1)
    (0.5, 0.5)
    """
    n = len(errors)
    if (n_blocks := n / block) < 2:
        return 0.0, np.inf
    starts = np.random.default_rng(random_state).integers(n, size=(n_resamples, -(-n // block)))

    def resampled(values: Floats) -> Floats:
        total = np.append(0.0, np.cumsum(np.append(values, values[:block])))
        return (total[block:] - total[:-block])[starts].sum(axis=1)

    ratio = _ratio(resampled(errors), resampled(other), least_error * starts.shape[1] * block)
    spread = np.sqrt(n_blocks / (n_blocks - 1)) * student_t.ppf(
        (1 + confidence_level) / 2, n_blocks - 1
    )
    low, high = np.quantile(ratio, norm.cdf([-spread, spread]), method="nearest")
    return float(low), float(high)


def _ratio(error: Any, other: Any, least: Any) -> Any:
    """Ratio of errors, each at least `least`; two forecasts without any are equally good."""
    error, other = np.maximum(error, least), np.maximum(other, least)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((error == 0) & (other == 0), 1.0, error / other)


def recommended(
    errors: Floats,
    baseline: Floats,
    *,
    horizon: int = 1,
    least_error: float = 0.0,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> dict[str, Any]:
    """Compare the errors of a model with those of a baseline on the same rows.

    Parameters
    ----------
    errors, baseline : ndarray of shape (n,)
        Absolute errors, in the order of the table.
    horizon : int, default=1
        How many runs a row is about: neighbours that share runs are drawn together.
    least_error, confidence_level, random_state
        As for :func:`ratio_interval`.

    Returns
    -------
    dict
        `ratio`, `low`, `high` and `recommendation`, as :func:`recommendations` explains them.

    Examples
    --------
    >>> import numpy as np
    >>> recommended(np.ones(5), np.full(5, 2.0))["recommendation"]
    'too few runs'
    """
    block = max(horizon, int(np.ceil(2 * len(baseline) ** (1 / 3))))
    low, high = ratio_interval(
        errors,
        baseline,
        block=block,
        least_error=least_error,
        confidence_level=confidence_level,
        random_state=random_state,
    )
    return {
        "ratio": float(_ratio(errors.mean(), baseline.mean(), least_error)),
        "low": low,
        "high": high,
        "recommendation": _recommendation(len(baseline), low, high),
    }


def _recommendation(n_rows: int, low: float, high: float) -> str:
    if n_rows < LEAST_ROWS:
        return "too few runs"
    if high < 1:
        return "better"
    return "worse" if low > 1 else "no clear difference"


def recommendations(
    found: Backtest, confidence_level: float = 0.95, random_state: int = 0
) -> pd.DataFrame:
    """Say for each job whether a model is worth deploying instead of a baseline.

    The other side is the baseline that the training rows would have chosen: whoever takes the
    best baseline of the *test* rows has looked into the future.

    Parameters
    ----------
    found : Backtest
        From :func:`~sklearn_jobtime.evaluation.backtest`, of models and baselines.
    confidence_level : float, default=0.95
        Of the interval.
    random_state : int, default=0
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row for each job and model that is no baseline: the `baseline` (most often chosen),
        `mae` and `baseline_mae` in seconds, their `ratio`, its interval `low` and `high`
        (:func:`ratio_interval`) and the `recommendation`: ``better`` when all of the interval lies
        below 1, ``worse`` when it lies above, else ``no clear difference``; ``too few runs``
        below 20 scored rows.
    """
    if not found.baselines:
        raise ValueError(
            "there is no baseline to compare with; add those of default_baselines() to the models."
        )
    seen = found.targets["actual"].notna()
    horizon = int(found.targets["step"].max())
    baseline_errors = found.chosen_baseline_errors()
    rows = []
    for job, targets in found.targets[seen].groupby("job", observed=True):
        baseline = baseline_errors[targets.index].groupby(targets["row"]).sum().to_numpy()
        for name in found.forecasts.columns.difference(found.baselines, sort=False):
            error = (found.forecasts.loc[targets.index, name] - targets["actual"]).abs()
            mine = error.groupby(targets["row"]).sum().to_numpy()
            least = float(found.least_errors()[targets.index].sum()) / len(mine)
            rows.append(
                {
                    "job": job,
                    "model": name,
                    "baseline": targets["chosen_baseline"].mode()[0],
                    "mae": error.mean(),
                    "baseline_mae": baseline.sum() / len(targets),
                    **recommended(
                        mine,
                        baseline,
                        horizon=horizon,
                        least_error=least,
                        confidence_level=confidence_level,
                        random_state=random_state,
                    ),
                }
            )
    return pd.DataFrame(rows)


def as_text(table: pd.DataFrame) -> str:
    """Lay out a table of scores, recommendations or skipped targets as plain text.

    Numbers have three digits, and never an exponent; NaN is a dash.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.evaluation import as_text
    >>> print(as_text(pd.DataFrame({"job": ["build", "test"], "mae": [12345.6, 0.12345]})))
    job    mae
    build  12,346
    test   0.123
    """
    rows = [[str(c) for c in table], *[[_cell(v) for v in row] for row in table.to_numpy(object)]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{v:<{w}}" for v, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if not np.isfinite(value):
        return "-" if np.isnan(value) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def best_of_each_job(table: pd.DataFrame, baselines: Sequence[str]) -> pd.DataFrame:
    """Which model or baseline had the smallest error for each job, and how far the rest was.

    Parameters
    ----------
    table : DataFrame
        What :func:`evaluate` returned.
    baselines : sequence of str
        The names in `table` that are baselines; the others are models.

    Returns
    -------
    DataFrame indexed by job
        `best`, its `mae` in seconds, `best_baseline` and `baseline_mae`, and `ratio`: the smallest
        error of a model divided by that of the best baseline on the same test rows. Below 1 a
        model is worth having for that job.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.evaluation import best_of_each_job
    >>> table = pd.DataFrame({"model": ["last", "lstm"], "job": ["build"] * 2, "mae": [4.0, 3.0]})
    >>> best_of_each_job(table, baselines=["last"])
           best  mae best_baseline  baseline_mae  ratio
    job
    build  lstm  3.0          last           4.0   0.75
    """
    mae = table.pivot_table(index="job", columns="model", values="mae", sort=False)
    baseline_mae = mae[[c for c in mae if c in baselines]]
    model_mae = mae[[c for c in mae if c not in baselines]]
    return pd.DataFrame(
        {
            "best": mae.idxmin(axis=1),
            "mae": mae.min(axis=1),
            "best_baseline": baseline_mae.idxmin(axis=1),
            "baseline_mae": baseline_mae.min(axis=1),
            "ratio": model_mae.min(axis=1) / baseline_mae.min(axis=1),
        }
    )
