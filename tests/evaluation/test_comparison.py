"""Replays of the past say what a slow loop says, choose nothing by the test, and count all."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_pinball_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_jobtime import FailureImputer, SequenceWindower, TimestampToNumeric
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.compose import CompleteCaseRegressor
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.evaluation import (
    as_text,
    backtest,
    best_of_each_job,
    default_baselines,
    evaluate,
    ratio_interval,
    recommendations,
    scores,
)
from sklearn_jobtime.evaluation._backtest import has_past, why_not_observed
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.pipeline import flatten
from sklearn_jobtime.runs import WHOLE_RUN, as_of, job_columns, make_targets, validate_runs

RULES = {"last": RollingRule("last"), "median": RollingRule("median", 5)}
MODELS = {"mix": OnlineMix(), **RULES}


def two_series(seed=0, n_runs=80):
    parts = {
        name: make_job_runs(n_runs=n_runs, n_jobs=2, failure_rate=0.1, random_state=seed + k)
        for k, name in enumerate("ab")
    }
    runs = pd.concat(parts, names=["series", "run"]).sort_values("started_at", kind="stable")
    return validate_runs(runs)


@pytest.fixture(scope="module")
def runs():
    return two_series()


@pytest.fixture(scope="module")
def found(runs):
    return backtest(MODELS, runs, horizon=2, n_splits=3, test_size=0.4)


def test_any_number_of_processes_gives_the_same_numbers(runs):
    windows = make_pipeline(
        TimestampToNumeric(), FailureImputer(), SequenceWindower(3, pad_value=0)
    )
    ridge = CompleteCaseRegressor(Ridge())
    models = {
        "mix": OnlineMix(),
        "ridge": make_pipeline(windows, FunctionTransformer(flatten), ridge),
    }

    def tested(n_jobs):
        return backtest(models, runs, n_splits=2, n_jobs=n_jobs, whole_run=False)

    one, two = tested(1), tested(2)
    pd.testing.assert_frame_equal(one.forecasts, two.forecasts, check_exact=True)
    pd.testing.assert_frame_equal(one.targets, two.targets, check_exact=True)
    assert list(two.seconds.index) == list(models)
    table = evaluate(models, runs, n_splits=2, n_jobs=2, whole_run=False)
    expected = scores(one)
    same = [c for c in expected if not c.endswith("_seconds")]
    pd.testing.assert_frame_equal(table[same], expected[same], check_exact=True)


class Recorder(RegressorMixin, BaseEstimator):
    """Forecasts 1 s for all, and keeps every table that it sees."""

    fits: list = []  # noqa: RUF012
    predictions: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.fits.append((X, y))
        self.n_outputs_ = y.shape[1]
        return self

    def predict(self, X):
        self.predictions.append(X)
        return np.ones((len(X), self.n_outputs_))


def test_nothing_that_ended_after_a_split_is_there_to_learn_from(runs):
    Recorder.fits.clear()
    Recorder.predictions.clear()
    found = backtest({"recorder": Recorder()}, runs, horizon=3, n_splits=2)
    for split, (X, y) in enumerate(Recorder.fits, start=1):
        tested = found.targets.query("split == @split")
        cut = runs["started_at"].iloc[tested["row"]].min()
        pd.testing.assert_frame_equal(X, as_of(runs[runs["started_at"] < cut], cut))
        pd.testing.assert_frame_equal(y, make_targets(X, 3))
        assert (X["ended_at"].dropna() <= cut).all()
        seen = Recorder.predictions[split - 1]
        assert seen.index.equals(runs.index[: tested["row"].max() + 1])
    assert len(Recorder.fits) == 2


def test_the_test_rows_are_the_newest_each_once(runs, found):
    rows = found.targets.groupby("split")["row"].unique()
    n_test = sum(map(len, rows))
    assert np.concatenate(rows.tolist()).tolist() == list(range(len(runs) - n_test, len(runs)))
    assert abs(n_test - 0.4 * len(runs)) <= 1
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
    assert len(found.targets) == len(found.forecasts) == n_test * make_targets(runs, 2).shape[1]


def test_forecasts_are_those_of_a_model_fitted_at_the_split(runs, found):
    for _, targets in found.targets.groupby("split"):
        first = targets["row"].min()
        train = as_of(runs.iloc[:first], runs["started_at"].iloc[first])
        for name, model in MODELS.items():
            fitted = model.fit(train, make_targets(train, 2))
            expected = fitted.predict(runs)[first : targets["row"].max() + 1].ravel()
            np.testing.assert_array_equal(found.forecasts.loc[targets.index, name], expected)


def test_scores_equal_those_of_a_loop_over_the_groups(found):
    table = scores(found, by=("series", "job", "step"))
    assert len(table) == 3 * 2 * 3 * 2
    for _, row in table.iterrows():
        mine = (found.targets[["series", "job", "step"]] == row[["series", "job", "step"]]).all(
            axis=1
        )
        targets = found.targets[mine]
        seen = targets["actual"].notna()
        actual = targets["actual"][seen].to_numpy()
        forecast = found.forecasts.loc[actual_index := targets.index[seen], row["model"]].to_numpy()
        error = np.abs(forecast - actual)
        naive = targets["naive"][seen].to_numpy()
        by_rule = np.abs(found.forecasts.loc[actual_index, list(RULES)].T - actual).mean(axis=1)
        chosen = [found.forecasts.loc[i, found.targets["chosen_baseline"][i]] for i in actual_index]
        expected = {
            "mae": error.mean(),
            "within_10pct": (error <= 0.1 * actual).mean(),
            "off_2x": (np.abs(np.log2(forecast / actual)) > 1).mean(),
            "underestimated": (forecast < actual).mean(),
            "mase": (error / naive).mean(),
            "pinball_90": mean_pinball_loss(actual, forecast, alpha=0.9),
            "spearman": spearmanr(actual, forecast).statistic,
            "n_scored": len(actual),
            "n_ignored": len(targets) - len(actual),
            "to_best_baseline": error.mean() / by_rule.min(),
            "to_chosen_baseline": error.mean() / np.abs(np.array(chosen) - actual).mean(),
        }
        np.testing.assert_allclose(row[list(expected)].astype(float), list(expected.values()))


def test_the_chosen_baseline_and_the_naive_error_equal_a_loop(runs, found):
    first = found.targets.query("split == 2")["row"].min()
    train = as_of(runs.iloc[:first], runs["started_at"].iloc[first])
    y = make_targets(train, 2)
    spoke = y.where(has_past(train, y.columns))  # elsewhere it is what other series take
    errors = {n: (spoke - model.fit(train, y).predict(train)).abs() for n, model in RULES.items()}
    targets = found.targets.query("split == 2")
    for (series, job), part in targets.groupby(["series", "job"], observed=True):
        rows = np.flatnonzero(train.index.get_level_values("series") == series)
        tail = rows[-int(np.ceil(len(rows) / 4)) :]
        by_row = {n: e.xs(job, axis=1, level="job").mean(axis=1) for n, e in errors.items()}
        mae = {name: values.iloc[tail].mean() for name, values in by_row.items()}
        assert set(part["chosen_baseline"]) == {min(mae, key=mae.get)}
        np.testing.assert_allclose(part["naive"], by_row["last"].iloc[rows].mean())


def test_outcomes_of_test_rows_choose_nothing_and_leak_nowhere(runs, found):
    second = found.targets.query("split == 2")["row"].min()
    altered = runs.copy()
    for job in job_columns(runs):
        altered.iloc[second:, altered.columns.get_loc(job)] = 9e5
    again = backtest(MODELS, altered, horizon=2, n_splits=3, test_size=0.4)
    early = found.targets.query("split <= 2").index
    choice = ["chosen_baseline", "naive"]
    pd.testing.assert_frame_equal(
        again.targets.loc[early, choice], found.targets.loc[early, choice]
    )
    first = found.targets.query("split == 1").index
    pd.testing.assert_frame_equal(again.forecasts.loc[first], found.forecasts.loc[first])


def why_by_loop(runs, horizon, row, step, job):
    series = runs.index.get_level_values(0)
    later = [i for i in range(row, len(runs)) if series[i] == series[row]]
    if step > len(later):
        return "beyond the table"
    run = runs.iloc[later[step - 1]]
    if job == WHOLE_RUN:
        bad = [run[f"{j}__status"] in ("failed", "timeout", "cancelled") for j in ("x", "y")]
        ended = "a job did not succeed" if any(bad) or np.inf in (run["x"], run["y"]) else ""
        return "not ended" if pd.isna(run["ended_at"]) else ended
    if run[f"{job}__status"] not in ("success", None):
        return run[f"{job}__status"]
    if pd.isna(run["ended_at"]) and not np.isfinite(run[job]):
        return "not ended"
    return "failed" if np.isinf(run[job]) else "no duration" if np.isnan(run[job]) else ""


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 9999), horizon=st.integers(1, 3))
def test_every_target_is_observed_or_has_its_reason(seed, horizon):
    rng = np.random.default_rng(seed)
    n = 12
    started = np.sort(rng.integers(0, 9, n)) * 60.0
    table = {"started_at": started, "ended_at": started + rng.choice([30, 90, np.nan], n)}
    for job in "xy":
        table[job] = rng.choice([5.0, 9.0, np.nan, np.inf], n)
        status = np.array(["success", "failed", "timeout", "skipped", None], dtype=object)
        table[f"{job}__status"] = rng.choice(status, n)
    index = pd.MultiIndex.from_arrays([rng.choice(["a", "b"], n), range(n)])
    runs = validate_runs(pd.DataFrame(table, index=index))
    why = why_not_observed(runs, horizon, whole_run=True)
    y = make_targets(runs, horizon, whole_run=True)
    assert why.columns.equals(y.columns)
    assert (y.notna() == (why == "")).all(axis=None)
    expected = [[why_by_loop(runs, horizon, t, *column) for column in y] for t in range(n)]
    assert why.to_numpy().tolist() == expected


def test_skipped_targets_are_counted_with_their_reasons(found):
    counts = found.skipped().set_index(["job", "why"])["targets"]
    table = scores(found)
    ignored = table[table["model"] == "mix"].set_index("job")["n_ignored"]
    assert counts.groupby("job").sum().to_dict() == ignored[ignored > 0].to_dict()
    assert {"failed", "beyond the table"} <= set(counts.index.get_level_values("why"))


def test_a_job_that_starts_after_the_split_is_skipped_and_named(runs):
    late = runs.copy()
    late["new"] = np.where(np.arange(len(runs)) < 0.9 * len(runs), np.nan, 7.0)
    late["new__status"] = "success"
    found = backtest(RULES, late, n_splits=1, whole_run=False)
    reasons = found.skipped().query("job == 'new'").set_index("why")["targets"]
    assert reasons["never observed before the split"] == len(runs) - np.ceil(0.9 * len(runs))
    assert "new" not in set(scores(found)["job"])


def test_a_series_that_starts_after_the_split_is_scored(runs):
    names = np.where(np.arange(len(runs)) < 0.9 * len(runs), "old", "new")
    runs = runs.set_index(pd.MultiIndex.from_arrays([names, range(len(runs))]))
    found = backtest(RULES, runs, whole_run=False)
    table = scores(found, by=("series",)).set_index(["model", "series"])
    assert table.loc["last", "to_chosen_baseline"].notna().all()
    assert np.isnan(table.loc[("last", "new"), "mase"])


def test_a_model_can_come_fitted(runs):
    train = as_of(runs, runs["started_at"].iloc[int(0.8 * len(runs))]).iloc[: int(0.8 * len(runs))]
    fitted = OnlineMix().fit(train, make_targets(train))
    models = {"fitted": fitted, "fresh": OnlineMix(), **RULES}
    table = evaluate(models, runs, prefit=["fitted"]).set_index(["model", "job"])
    np.testing.assert_array_equal(table.loc["fitted", "mae"], table.loc["fresh", "mae"])
    alone = evaluate({"fitted": fitted}, runs, prefit=True)
    assert alone["mae"].tolist() == table.loc["fitted", "mae"].tolist()
    assert alone[["to_best_baseline", "to_chosen_baseline"]].isna().all(axis=None)


def test_all_baselines_are_compared_by_name(runs):
    table = evaluate(default_baselines(), runs, whole_run=False)
    assert table["model"].unique().tolist() == list(default_baselines())
    assert (table.groupby("job")["to_best_baseline"].min() == 1).all()
    best = best_of_each_job(table, baselines=list(default_baselines())[1:])
    assert (best["mae"] <= best["baseline_mae"]).all()
    other = table[table["model"] == "last run"].set_index("job")["mae"]
    np.testing.assert_allclose(best["ratio"], other / best["baseline_mae"])


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 9999),
    n=st.integers(2, 40),
    n_blocks=st.floats(2, 40),
    factor=st.floats(0.1, 10),
)
def test_the_interval_of_a_fixed_ratio_is_that_ratio_and_of_any_within_its_bounds(
    seed, n, n_blocks, factor
):
    block = max(1, int(n / n_blocks))
    rng = np.random.default_rng(seed)
    one, other = rng.exponential(size=(2, n))
    np.testing.assert_allclose(ratio_interval(factor * one, one, block=block), factor)
    low, high = ratio_interval(one, other, block=block)
    assert (one / other).min() * 0.999 <= low <= high <= (one / other).max() * 1.001
    assert (low, high) == ratio_interval(one, other, block=block)
    assert ratio_interval(one, other, block=n) == (0.0, np.inf)


def test_errors_of_nothing_are_equal_and_infinitely_better_than_some():
    nothing, some = np.zeros(30), np.ones(30)
    assert ratio_interval(nothing, nothing, block=3) == (1.0, 1.0)
    assert ratio_interval(some, nothing, block=3) == (np.inf, np.inf)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says(correlation):
    """Errors that are alike in time, one forecast truly 0.8 of the other, 300 times 250 rows."""
    noise = np.random.default_rng(0).normal(size=(2, 300, 250))
    for t in range(1, 250):
        noise[:, :, t] *= np.sqrt(1 - correlation**2)
        noise[:, :, t] += correlation * noise[:, :, t - 1]
    one, other = np.exp(noise) * np.array([0.8, 1.0])[:, None, None]
    intervals = np.array([ratio_interval(*pair, block=13) for pair in zip(one, other, strict=True)])
    covered = ((intervals[:, 0] <= 0.8) & (intervals[:, 1] >= 0.8)).mean()
    assert 0.86 <= covered <= 0.98
    assert (intervals[:, 1] < 1).mean() > 0.25  # and it is of use
    assert (intervals[:, 0] > 1).mean() < 0.01


class Scaled(RegressorMixin, BaseEstimator):
    """The truth, off by so much: what a recommendation is worth can be checked with it."""

    def __init__(self, truth, off):
        self.truth = truth
        self.off = off

    def fit(self, X, y):
        return self

    def predict(self, X):
        noise = np.random.default_rng(0).choice([-1, 1], len(X)) * self.off
        return self.truth.to_numpy()[: len(X)] + noise[:, None]


def test_recommendations_call_better_worse_and_undecided_by_their_names():
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"build": 100 + rng.normal(size=400)})
    truth = make_targets(runs).fillna(0.0)
    models = {
        "good": Scaled(truth, 0.1),
        "bad": Scaled(truth, 9.0),
        "twin": RollingRuleTwin("last"),
        "last": RollingRule("last"),
    }
    table = recommendations(backtest(models, runs)).set_index("model")
    assert table["recommendation"].to_dict() == {
        "good": "better",
        "bad": "worse",
        "twin": "no clear difference",
    }
    assert (table["low"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["high"]).all()
    np.testing.assert_allclose(table["ratio"], table["mae"] / table["baseline_mae"])
    assert table.loc["twin", "ratio"] == 1.0
    few = recommendations(backtest(models, runs, test_size=19 / 400))
    assert set(few["recommendation"]) == {"too few runs"}


class RollingRuleTwin(RegressorMixin, BaseEstimator):
    """The same forecasts as a rule, without being one."""

    def __init__(self, rule):
        self.rule = rule

    def fit(self, X, y):
        self.rule_ = RollingRule(self.rule).fit(X, y)
        return self

    def predict(self, X):
        return self.rule_.predict(X)


def test_what_can_not_be_asked_is_said(runs, found):
    with pytest.raises(ValueError, match="by must name some of job, series"):
        scores(found, by=("hour",))
    with pytest.raises(
        ValueError, match="no baseline to compare with; add those of default_baselines"
    ):
        recommendations(backtest({"mix": OnlineMix()}, runs))
    with pytest.raises(ValueError, match="n_splits must be at least 1, got 0"):
        backtest(RULES, runs, n_splits=0)
    truth = make_targets(runs)  # holds NaN, but only where nothing was observed
    backtest({"truth": Scaled(truth, 0.0)}, runs)
    with pytest.raises(ValueError, match="'broken' forecast NaN or infinity"):
        backtest({**RULES, "broken": Scaled(truth * np.nan, 0.0)}, runs)
    nothing = runs.assign(**dict.fromkeys(job_columns(runs), np.nan))
    nothing.loc[nothing.index[-40:], "ended_at"] = pd.NaT
    with pytest.raises(NoHistoryError, match="none of the 32 test runs was observed"):
        backtest(RULES, nothing)


def test_text_has_a_line_a_row_and_no_exponents():
    table = pd.DataFrame({"job": ["a", "long name"], "mae": [123456.7, np.nan], "n": [1, 20]})
    lines = as_text(table).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["job", "a", "long name"]
    assert lines[1].split() == ["a", "123,457", "1"]
    assert lines[2].split()[-2:] == ["-", "20"]
    assert len({line.index(c) for line, c in zip(lines, ("mae", "123", "-"), strict=True)}) == 1


def test_the_first_run_of_a_short_job_is_no_error_of_a_baseline():
    """40 jobs of 10 h and 40 of 10 or 11 s: what the first short one is told is no rule's."""
    starts = pd.date_range("2026-01-01", periods=40, tz="UTC")
    parts = {"train": np.full(40, 36000.0), "ping": np.resize([10.0, 11.0], 40)}
    runs = validate_runs(
        pd.concat({k: pd.DataFrame({"started_at": starts, "job": v}) for k, v in parts.items()})
    )
    found = backtest({"median": RollingRule("median", n_runs=10)}, runs, whole_run=False)
    naive = found.targets.groupby("series", observed=True)["naive"].first()
    assert naive.to_dict() == {"train": 0.0, "ping": 1.0}
    late = runs[(runs["job"] > 1000) | (runs["started_at"] >= starts[35])]
    found = backtest({"median": RollingRule("median", n_runs=10)}, late, whole_run=False)
    errors = scores(found, by=("series",)).set_index("series")
    assert errors.loc["ping", ["n_scored", "n_ignored"]].tolist() == [4, 1]
    assert errors.loc["ping", "mae"] <= 1.0
    assert found.skipped()["why"].tolist() == ["no success of the job before it"]
