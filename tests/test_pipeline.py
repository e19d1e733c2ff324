"""The recipe end to end: rows in, forecasts out, tuned, stored, and honest about time."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_html_repr

from sklearn_jobtime import MinMaxScaler, SequenceWindower
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import load_github_runs, make_job_runs
from sklearn_jobtime.evaluation import best_of_each_job, default_baselines, evaluate
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.metrics import get_forecast_scorer, observed_mae
from sklearn_jobtime.pipeline import make_anchored_forecaster, make_forecast_pipeline
from sklearn_jobtime.runs import (
    STARTED_AT,
    WHOLE_RUN,
    job_columns,
    make_targets,
    next_runs,
    split_by_time,
    validate_runs,
)


def small_model(**changes):
    model = make_forecast_pipeline(n_steps=5, device="cpu", random_state=0)
    return model.set_params(lstm__max_epochs=3, lstm__hidden_size=8, **changes)


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=150, random_state=0)


@pytest.fixture(scope="module")
def fitted(runs):
    return small_model().fit(runs, make_targets(runs, horizon=3))


def test_the_recipe_is_the_pipeline_of_the_design_and_draws(fitted):
    assert list(fitted.named_steps) == ["timestamps", "failures", "windows", "scale", "lstm"]
    page = estimator_html_repr(fitted)
    assert all(
        name in page for name in ("TimestampToNumeric", "SequenceWindower", "LSTMForecaster")
    )


def test_forecasts_are_finite_for_every_row_job_and_step(runs, fitted):
    predicted = fitted.predict(runs)
    assert predicted.shape == make_targets(runs, horizon=3).shape
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()


def test_no_outcome_not_yet_known_changes_a_forecast(runs, fitted):
    row = 120
    start = runs["started_at"].iloc[row]
    unknown = ~(runs["ended_at"] <= start)
    altered = runs.copy()
    jobs = job_columns(runs)
    altered.loc[unknown, jobs] = 98765.0
    altered.loc[unknown, [f"{job}__status" for job in jobs]] = "failed"
    altered.loc[unknown, "ended_at"] = start + pd.Timedelta(days=900)
    before, after = fitted.predict(runs), fitted.predict(altered)
    np.testing.assert_array_equal(before[row], after[row])
    assert not np.array_equal(before[row + 20], after[row + 20])


def test_shuffling_the_future_changes_no_forecast(runs, fitted):
    cut = 100
    known = runs["ended_at"] <= runs["started_at"].iloc[cut]
    future = runs.copy()
    jobs = job_columns(runs)
    late = np.flatnonzero(~known)
    shuffled = np.random.default_rng(0).permutation(late)
    future.iloc[late, [runs.columns.get_loc(j) for j in jobs]] = (
        runs[jobs].iloc[shuffled].to_numpy()
    )
    unchanged = runs["started_at"] <= runs["started_at"].iloc[cut]
    np.testing.assert_array_equal(
        fitted.predict(runs)[unchanged], fitted.predict(future)[unchanged]
    )


def test_new_runs_start_from_the_remembered_history(runs):
    train, is_test = split_by_time(runs)
    model = small_model().fit(train, make_targets(train))
    together = model.predict(runs)[is_test]
    known_then = pd.concat([train[train["ended_at"].isna()], runs[is_test]])
    alone = model.predict(known_then.combine_first(runs.loc[known_then.index])[runs.columns])
    np.testing.assert_allclose(alone[-is_test.sum() :], together)


def test_a_forecast_is_a_table_with_clock_times(runs, fitted):
    table = forecast(fitted, runs)
    assert sorted(set(table["step"])) == [1, 2, 3]
    assert set(table["job"]) == {*job_columns(runs), WHOLE_RUN}
    assert (table["seconds"] >= 0).all()
    whole = table[(table["job"] == WHOLE_RUN) & (table["step"] == 1)].iloc[0]
    seconds = (whole["ends_at"] - whole["started_at"]).total_seconds()
    assert seconds == pytest.approx(whole["seconds"], abs=0.5)
    assert table.loc[table["job"] != WHOLE_RUN, "ends_at"].isna().all()
    assert table[STARTED_AT].is_monotonic_increasing


def test_a_run_cannot_come_twice(runs, fitted):
    with pytest.raises(RunTableError, match="already in the table"):
        forecast(fitted, runs, runs.iloc[-1:])


def test_forecast_needs_named_outputs(runs):
    model = small_model().fit(runs, make_targets(runs).to_numpy())
    with pytest.raises(ValueError, match="make_targets"):
        forecast(model, runs)


def test_several_series_are_forecast_apart():
    both = make_job_runs(n_runs=80, n_series=2, random_state=1)
    model = small_model().fit(both, make_targets(both))
    table = forecast(model, both)
    assert table.index.get_level_values(0).nunique() == 2
    own = both.xs(both.index[0][0], level=0, drop_level=False)
    other = both.drop(own.index)
    altered = pd.concat([own, other.assign(**dict.fromkeys(job_columns(both), 1.0))])
    altered = altered.loc[both.index]
    mine = both.index.get_level_values(0) == own.index[0][0]
    np.testing.assert_array_equal(model.predict(both)[mine], model.predict(altered)[mine])


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search_tunes_the_recipe(runs, n_jobs):
    grid = {
        "windows__n_steps": [3, 6],
        "lstm__hidden_size": [4],
        "lstm__lr": [0.01],
        "lstm__optimizer": ["adam", "sgd"],
        "lstm__criterion": ["mae"],
    }
    search = GridSearchCV(
        small_model(),
        grid,
        cv=TimeSeriesSplit(2, gap=1),
        scoring=get_forecast_scorer("neg_observed_mae"),
        n_jobs=n_jobs,
        error_score="raise",
    ).fit(runs, make_targets(runs, horizon=2))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.predict(next_runs(runs))).all()


def test_categories_and_covariates_known_at_the_start():
    data = load_github_runs()
    model = make_forecast_pipeline(
        jobs=data.jobs, known=data.known, categorical=data.categorical, n_steps=4, device="cpu"
    ).set_params(lstm__max_epochs=1)
    runs = data.runs.iloc[:120]
    model.fit(runs, make_targets(runs, jobs=data.jobs))
    names = model[:-2].get_feature_names_out()
    assert any(name.startswith(f"{data.categorical[0]}__") for name in names)
    coming = next_runs(runs)
    assert np.isfinite(forecast(model, runs, coming)["seconds"]).all()
    coming[data.categorical[0]] = "an event never seen"
    assert np.isfinite(forecast(model, runs, coming)["seconds"]).all()


def test_the_scaler_may_stand_before_the_windower(runs, fitted):
    steps = dict(fitted.steps)
    other = make_forecast_pipeline(n_steps=5, device="cpu", random_state=0)
    other.steps = [other.steps[i] for i in (0, 1, 3, 2, 4)]
    other.set_params(lstm__max_epochs=3, lstm__hidden_size=8).fit(runs, make_targets(runs, 3))
    assert np.isfinite(other.predict(runs)).all()
    swapped = other[:-1].transform(runs)
    straight = fitted[:-1].transform(runs)
    assert swapped.shape == straight.shape
    assert list(steps) == ["timestamps", "failures", "windows", "scale", "lstm"]


def test_the_windows_serve_other_regressors_too():
    series = pd.DataFrame({"build": np.sin(np.arange(200) / 5) + 2})
    model = make_pipeline(
        SequenceWindower(n_steps=8, pad_value=0.0),
        MinMaxScaler(),
        FunctionTransformer(lambda X: X.reshape(len(X), -1)),
        Ridge(1e-6),
    )
    model.fit(series.iloc[:150], series["build"].iloc[:150])
    assert model.score(series.iloc[150:], series["build"].iloc[150:]) > 0.99


def rule_error(runs, y, is_test):
    rule = RollingRule("last").fit(runs[~is_test], y[~is_test])
    return observed_mae(y[is_test], rule.predict(runs)[is_test])


def test_four_jobs_in_a_chain_first_job_in_the_others_out():
    linkage = np.zeros((4, 4))
    linkage[0, 1:] = 0.9  # the first job's last run drives the other jobs' next run
    runs = make_job_runs(
        n_runs=700,
        n_jobs=4,
        graph="chain",
        linkage=linkage,
        persistence=0.0,
        noise=[0.3, 0.05, 0.05, 0.05],
        shift_every=None,
        random_state=0,
    )
    first, *others = job_columns(runs)
    train, is_test = split_by_time(runs)
    columns = [STARTED_AT, "ended_at", first, f"{first}__status"]
    targets = {"jobs": others, "whole_run": False}
    model = make_forecast_pipeline(n_steps=20, device="cpu", random_state=0)
    y = make_targets(runs, **targets)
    y_train = make_targets(train, **targets)
    model.fit(train[columns], y_train)
    error = observed_mae(y[is_test], model.predict(runs[columns])[is_test])
    last = RollingRule("last").fit(train, y_train)
    assert error < 0.95 * observed_mae(y[is_test], last.predict(runs)[is_test])


@pytest.mark.slow
def test_all_jobs_in_the_next_five_runs_of_all_jobs_out():
    runs = make_job_runs(n_runs=700, n_jobs=4, shift_every=None, random_state=0)
    model = make_forecast_pipeline(n_steps=20, device="cpu", random_state=0)
    table = evaluate({"lstm": model, "last run": RollingRule("last")}, runs, horizon=5)
    mae = table.pivot_table(index="job", columns="model", values="mae")
    assert (mae["lstm"] < 0.95 * mae["last run"]).all()


def test_evaluation_looks_only_at_the_future_and_says_what_it_skipped(runs):
    table = evaluate(default_baselines(), runs, horizon=2)
    jobs = [*job_columns(runs), WHOLE_RUN]
    assert table.groupby("model", sort=False)["job"].apply(list).tolist() == [jobs] * len(
        default_baselines()
    )
    n_test = split_by_time(runs)[1].sum()
    assert (table["n_scored"] + table["n_ignored"] == 2 * n_test).all()
    best = best_of_each_job(table, baselines=list(default_baselines())[1:])
    assert (best["mae"] <= best["baseline_mae"]).all()
    assert best["ratio"].notna().all()


def test_evaluation_of_nothing_observed_says_so(runs):
    late = runs.copy()
    _, is_test = split_by_time(runs)
    for job in job_columns(runs):
        late.loc[is_test, job] = np.nan
    late.loc[is_test, "ended_at"] = pd.NaT
    with pytest.raises(NoHistoryError, match="none of the"):
        evaluate(default_baselines(), late, whole_run=False)


BAD = {
    "unknown column": (lambda r: r.rename(columns={r.columns[2]: "other"}), "feature names"),
    "missing column": (lambda r: r.drop(columns=r.columns[2]), "feature names"),
    "no rows": (lambda r: r.iloc[:0], "0 rows"),
    "text": (
        lambda r: r.astype({job_columns(r)[0]: object}).replace(r.iloc[3, 2], "x"),
        "expected the durations",
    ),
    "unknown status": (lambda r: r.replace("success", "fine"), "unknown status 'fine'"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_bad_rows_at_predict_are_named(runs, fitted, spoil, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict(spoil(runs))


def test_all_failed_runs_teach_nothing(runs):
    failed = runs.replace("success", "failed")
    with pytest.raises(NoHistoryError):
        small_model().fit(failed, make_targets(failed))


@pytest.mark.parametrize("n_rows", [2, 3, 4])
def test_fewer_runs_than_steps_still_fit(runs, n_rows):
    few = validate_runs(runs.iloc[:n_rows])
    model = small_model(failures__on_no_success="pooled").fit(few, make_targets(few))
    assert np.isfinite(forecast(model, few)["seconds"]).all()


@pytest.mark.parametrize("status", [None, "failed", "skipped"])
def test_a_new_job_and_a_new_series_have_a_forecast_that_tells_its_source(status):
    runs = make_job_runs(n_runs=50, n_jobs=2, n_series=2, random_state=0)
    runs = validate_runs(runs.assign(deploy=np.nan, deploy__status=status))
    y = make_targets(runs, horizon=2, whole_run=True)
    model = make_anchored_forecaster(device="cpu", random_state=0)
    model.set_params(
        regressor__mean__lstm__network__max_epochs=1,
        regressor__mean__trees__boosting__regressor__max_iter=3,
    ).fit(runs, y)
    series = runs.index[0][0]
    new = runs.loc[[series]].iloc[:1].rename({series: "new"}, level=0)
    table = forecast(model, pd.concat([runs, new]))
    assert np.isfinite(table["seconds"]).all()
    unseen = y.columns[y.isna().all()].get_level_values("job")  # whole runs too, if they failed
    is_prior = table["job"].isin(unseen) | (table.index.get_level_values(0) == "new")
    np.testing.assert_array_equal(table["source"], np.where(is_prior, "prior", "baselines"))
    assert "deploy" in unseen
    levels = table[table["job"].isin(["job_0", "job_1"])]["seconds"]
    deploy = table.loc[table["job"] == "deploy", "seconds"]
    assert deploy.between(levels.min() / 1.5, levels.max() * 1.5).all()
