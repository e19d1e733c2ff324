"""The next run of a job has a regressor of its own, the runs after it share one."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklearn_jobtime import DirectMultiStepRegressor
from sklearn_jobtime.compose import CompleteCaseRegressor
from sklearn_jobtime.compose._direct_steps import grouped_outputs, thinned
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.metrics import get_forecast_scorer


def table(n_steps, jobs, seed=0, n=40):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    columns = pd.MultiIndex.from_product([range(1, n_steps + 1), jobs], names=["step", "job"])
    y = X[:, [0]] + rng.normal(0, 0.3, (n, len(columns)))
    y[rng.random(y.shape) < 0.3] = np.nan
    y[0] = 1.0  # every output is observed
    return X, pd.DataFrame(y, columns=columns)


def naive(regressor, X, y, new):
    """The same, a pair of row and step at a time."""
    forecast = pd.DataFrame(index=range(len(new)), columns=y.columns, dtype=float)
    for job in y.columns.get_level_values("job").unique():
        steps = [step for step, other in y.columns if other == job]
        seen = y[steps[0], job].notna()
        first = clone(regressor).fit(X[seen], y.loc[seen, (steps[0], job)])
        forecast[steps[0], job] = first.predict(new)
        inputs, targets = [], []
        for row in range(len(X)):
            for step in steps[1:]:
                if not np.isnan(y[step, job].iloc[row]):
                    inputs.append([*X[row], step])
                    targets.append(y[step, job].iloc[row])
        for step in steps[1:]:
            later = clone(regressor).fit(inputs, targets)
            forecast[step, job] = later.predict([[*row, step] for row in new])
    return forecast.to_numpy()


@settings(deadline=None, max_examples=20)
@given(n_steps=st.integers(1, 4), n_jobs=st.integers(1, 3), seed=st.integers(0, 99))
def test_it_does_what_a_loop_over_rows_and_steps_does(n_steps, n_jobs, seed):
    X, y = table(n_steps, [f"job {k}" for k in range(n_jobs)], seed)
    model = DirectMultiStepRegressor(Ridge()).fit(X, y)
    new = X[:5] + 0.5
    np.testing.assert_allclose(model.predict(new), naive(Ridge(), X, y, new), atol=1e-9)
    assert len(model.regressors_) == n_jobs * min(n_steps, 2)


@given(
    observed=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=30),
    max_rows=st.integers(1, 40),
)
def test_only_observed_targets_are_kept_and_about_as_many_as_asked(observed, max_rows):
    observed = np.array(observed)
    rows, steps = thinned(observed, max_rows)
    assert observed[rows, steps].all()
    assert len(set(zip(rows.tolist(), steps.tolist(), strict=True))) == len(rows)
    if observed.sum() <= max_rows:
        assert len(rows) == observed.sum()
    every = -(-observed.sum() // max_rows)
    assert ((rows + steps) % max(every, 1) == 0).all()


def test_thinning_takes_every_step_alike():
    rows, steps = thinned(np.ones((300, 3), dtype=bool), max_rows=300)
    assert len(rows) == 300
    assert np.bincount(steps).tolist() == [100, 100, 100]
    X, y = table(3, ["build"], n=300)
    few, all_rows = (
        DirectMultiStepRegressor(Ridge(), max_rows=m).fit(X, y).predict(X) for m in (100, 10_000)
    )
    np.testing.assert_array_equal(few[:, 0], all_rows[:, 0])  # the next run is never thinned
    assert not np.array_equal(few[:, 1], all_rows[:, 1])
    assert np.abs(few - all_rows).mean() < 0.2


def test_every_output_is_in_one_group():
    steps = np.array([1, 2, 2, 3, 1, 3])
    jobs = pd.Index(["a", "a", "b", "b", "c", "a"])
    groups = grouped_outputs(steps, jobs)
    assert [group.tolist() for group in groups] == [[0], [1, 5], [2], [3], [4]]


def test_without_names_every_output_is_a_job_of_its_own():
    X, y = table(2, ["a", "b"])
    each = CompleteCaseRegressor(LinearRegression()).fit(X, y.to_numpy()).predict(X)
    np.testing.assert_allclose(
        DirectMultiStepRegressor(LinearRegression()).fit(X, y.to_numpy()).predict(X), each
    )
    one = y.iloc[:, 0].to_numpy()
    assert DirectMultiStepRegressor(Ridge()).fit(X, one).predict(X).shape == (len(X),)


def test_it_searches_pickles_and_is_the_same_each_time():
    X, y = table(3, ["a"])
    boosting = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=3, random_state=0)
    search = GridSearchCV(
        DirectMultiStepRegressor(boosting),
        {"regressor__max_iter": [1, 5], "max_rows": [10, 100]},
        cv=TimeSeriesSplit(2),
        scoring=get_forecast_scorer("neg_observed_mae"),
        error_score="raise",
    ).fit(X, y)
    best = search.best_estimator_
    copy = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(copy.predict(X), best.predict(X))
    np.testing.assert_array_equal(clone(best).fit(X, y).predict(X), best.predict(X))
    assert best.score(X, y) <= 1.0
    X[0] = np.nan
    assert np.isfinite(DirectMultiStepRegressor(boosting).fit(X, y).predict(X)).all()


def test_errors_say_what_came():
    X, y = table(2, ["a"])
    with pytest.raises(NoHistoryError, match="output 1"):
        DirectMultiStepRegressor(Ridge()).fit(X, y.mul([1.0, np.nan]))
    with pytest.raises(ValueError, match="make_targets"):
        DirectMultiStepRegressor(Ridge()).fit(X, None)
    with pytest.raises(ValueError, match="40 rows and y has 39"):
        DirectMultiStepRegressor(Ridge()).fit(X, y[:-1])
    with pytest.raises(ValueError, match="max_rows"):
        DirectMultiStepRegressor(Ridge(), max_rows=0).fit(X, y)


def test_equal_targets_share_a_fit_and_others_do_not():
    X, y = table(3, ["build", "test"])
    twice = pd.concat([y, y.xs("build", axis=1, level="job", drop_level=False)], axis=1)
    names = [*y.columns, *((step, "whole_run") for step in (1, 2, 3))]
    twice.columns = pd.MultiIndex.from_tuples(names, names=y.columns.names)
    trees = HistGradientBoostingRegressor(max_iter=3, max_features=0.5, random_state=0)
    shared = DirectMultiStepRegressor(trees).fit(X, twice)
    assert len({id(one) for one in shared.regressors_}) == 4
    alone = DirectMultiStepRegressor(trees).fit(X, y)
    kept = pickle.loads(pickle.dumps(shared))
    assert len({id(one) for one in kept.regressors_}) == 4
    for model in (shared, kept):
        found = pd.DataFrame(model.predict(X), columns=twice.columns)
        np.testing.assert_array_equal(found[y.columns], alone.predict(X))
        np.testing.assert_array_equal(
            found.xs("whole_run", axis=1, level="job"), found.xs("build", axis=1, level="job")
        )
    other = twice.copy()
    other.loc[other.index[-1], (2, "whole_run")] = 9.0
    assert len({id(one) for one in DirectMultiStepRegressor(trees).fit(X, other).regressors_}) == 5
