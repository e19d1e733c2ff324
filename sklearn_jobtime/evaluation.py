"""How good a model is, job by job, against the rules that people use today."""

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.metrics import observed_mae, observed_share_within
from sklearn_jobtime.runs import make_targets
from sklearn_jobtime.timeline import split_by_time

__all__ = ["best_of_each_job", "default_rules", "evaluate"]


def default_rules() -> dict[str, RollingRule]:
    """Rules to compare with: what schedulers show today, and the rolling median.

    Examples
    --------
    >>> from sklearn_jobtime.evaluation import default_rules
    >>> list(default_rules())
    ['last run', 'mean of last 2', 'mean of last 10', 'median of last 10']
    """
    return {
        "last run": RollingRule("last"),
        "mean of last 2": RollingRule("mean", n_runs=2),
        "mean of last 10": RollingRule("mean", n_runs=10),
        "median of last 10": RollingRule("median", n_runs=10),
    }


def evaluate(
    models: Mapping[str, BaseEstimator],
    runs: pd.DataFrame,
    *,
    horizon: int = 1,
    test_size: float = 0.2,
    jobs: Sequence[str] | None = None,
    whole_run: bool | None = None,
    prefit: bool = False,
) -> pd.DataFrame:
    """Fit models on the past of one moment and score them on the runs after it.

    The training rows are those that had started before the split, with the outcomes known then
    (:func:`~sklearn_jobtime.timeline.as_of`); each test row is forecast from what was known when
    it started. Test rows choose nothing.

    Parameters
    ----------
    models : mapping of str to estimator
        Pipelines or regressors over the run table; they are cloned before fitting.
    runs : DataFrame
        A validated run table.
    horizon : int, default=1
        How many runs ahead, the row's own run included.
    test_size : float, default=0.2
        Share of the runs after the split.
    jobs : sequence of str, default=None
        The jobs to forecast; None takes all of them.
    whole_run : bool, default=None
        Whether the time of the whole run is a target; see
        :func:`~sklearn_jobtime.runs.make_targets`.
    prefit : bool, default=False
        Score the given models as they are. They must not have seen the test rows.

    Returns
    -------
    DataFrame
        One row for each model and job, in the order of `models`: `mae` in seconds, `within_10pct`
        (share of forecasts within 10 % of the actual), `n_scored` and `n_ignored` targets (those
        that failed, have not ended, or lie beyond the table), `fit_seconds` and
        `predict_seconds` of the model.

    Raises
    ------
    NoHistoryError
        When the table is too short to split, or no test run was observed.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.evaluation import default_rules, evaluate
    >>> table = evaluate(default_rules(), make_job_runs(n_runs=60, random_state=0))
    >>> table.columns.tolist()
    ['model', 'job', 'mae', 'within_10pct', 'n_scored', 'n_ignored', 'fit_seconds',
     'predict_seconds']
    """
    train, is_test = split_by_time(runs, test_size)
    y_test = make_targets(runs, horizon, jobs=jobs, whole_run=whole_run)[is_test]
    y_train = make_targets(train, horizon, jobs=jobs, whole_run=whole_run)
    y_train = y_train.reindex(columns=y_test.columns)
    tables = []
    for name, model in models.items():
        start = perf_counter()
        fitted = model if prefit else clone(model).fit(train, y_train)
        fit_seconds = perf_counter() - start
        start = perf_counter()
        forecasts = pd.DataFrame(
            fitted.predict(runs)[is_test], index=y_test.index, columns=y_test.columns
        )
        predict_seconds = perf_counter() - start
        scores = score_by_job(y_test, forecasts)
        scores.insert(0, "model", name)
        tables.append(scores.assign(fit_seconds=fit_seconds, predict_seconds=predict_seconds))
    return pd.concat(tables, ignore_index=True)


def score_by_job(y_true: pd.DataFrame, y_pred: pd.DataFrame) -> pd.DataFrame:
    """Scores of forecasts for each job over all rows and steps; both have columns (step, job)."""
    rows = []
    for job in y_true.columns.get_level_values("job").unique():
        actual = y_true.xs(job, axis=1, level="job").to_numpy()
        forecast = y_pred.xs(job, axis=1, level="job").to_numpy()
        if np.isnan(actual).all():
            continue
        mae, ignored = observed_mae(actual, forecast, return_ignored=True)
        rows.append(
            {
                "job": job,
                "mae": mae,
                "within_10pct": observed_share_within(actual, forecast),
                "n_scored": actual.size - ignored,
                "n_ignored": ignored,
            }
        )
    if not rows:
        raise NoHistoryError(
            f"none of the {len(y_true)} test runs was observed, so nothing can be scored; take a "
            "larger test_size or a longer history."
        )
    return pd.DataFrame(rows)


def best_of_each_job(table: pd.DataFrame, rules: Sequence[str]) -> pd.DataFrame:
    """Which model or rule had the smallest error for each job, and how far the rest was.

    Parameters
    ----------
    table : DataFrame
        What :func:`evaluate` returned.
    rules : sequence of str
        The names in `table` that are rules; the others are models.

    Returns
    -------
    DataFrame indexed by job
        `best`, its `mae` in seconds, `best_rule` and `rule_mae`, and `ratio`: the smallest error
        of a model divided by that of the best rule on the same test rows. Below 1 a model is
        worth having for that job.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.evaluation import best_of_each_job
    >>> table = pd.DataFrame({"model": ["last", "lstm"], "job": ["build"] * 2, "mae": [4.0, 3.0]})
    >>> best_of_each_job(table, rules=["last"])
           best  mae best_rule  rule_mae  ratio
    job
    build  lstm  3.0      last       4.0   0.75
    """
    mae = table.pivot_table(index="job", columns="model", values="mae", sort=False)
    rule_mae = mae[[c for c in mae if c in rules]]
    model_mae = mae[[c for c in mae if c not in rules]]
    return pd.DataFrame(
        {
            "best": mae.idxmin(axis=1),
            "mae": mae.min(axis=1),
            "best_rule": rule_mae.idxmin(axis=1),
            "rule_mae": rule_mae.min(axis=1),
            "ratio": model_mae.min(axis=1) / rule_mae.min(axis=1),
        }
    )
