"""Targets belong to the job of their name, or to the one whose durations they are."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor

from sklearn_jobtime import AnchoredRegressor, ConformalForecaster, OnlineMix
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.metrics import observed_mae
from sklearn_jobtime.runs import make_targets

RUNS = make_job_runs(n_runs=120, random_state=0, failure_rate=0)
Y = make_targets(RUNS, horizon=2)
RULE = RollingRule("median", n_runs=3)
RIGHT = RULE.fit(RUNS, Y[[(1, "job_2")]]).predict(RUNS)[:, 0]


@pytest.mark.parametrize(
    "y",
    [
        Y[(1, "job_2")],
        Y[1]["job_2"],
        Y[1][["job_2"]],
        Y[(1, "job_2")].rename("seconds"),
        Y[(1, "job_2")].to_numpy(),
        Y[[(2, "job_2")]].to_numpy(),
        Y[[(1, "job_2")]].swaplevel(axis=1),
        Y[(1, "job_2")]
        .sample(frac=1, random_state=0)
        .set_axis([f"x{i}" for i in Y[(1, "job_2")].sample(frac=1, random_state=0).index]),
    ],
    ids=["step and job", "job", "frame", "other name", "array", "step 2", "levels", "rows"],
)
@pytest.mark.parametrize(
    "wrap", [lambda rule: rule, ConformalForecaster], ids=["rule", "conformal"]
)
def test_a_target_is_that_of_its_job(y, wrap):
    runs = RUNS
    if isinstance(y, pd.Series) and y.index[0] != RUNS.index[0]:
        runs = RUNS.set_axis([f"x{i}" for i in RUNS.index])
    model = wrap(RollingRule("median", n_runs=3)).fit(runs, y)
    np.testing.assert_allclose(np.ravel(model.predict(runs))[-20:], RIGHT[-20:])


def test_through_what_hands_over_arrays_it_is_right_or_an_error():
    every = RULE.fit(RUNS, Y).predict(RUNS)
    many = MultiOutputRegressor(RollingRule("median", n_runs=3)).fit(RUNS, Y[1][["job_2", "job_0"]])
    np.testing.assert_allclose(many.predict(RUNS)[-20:], every[-20:, [2, 0]])
    voting = VotingRegressor([("a", RollingRule("median", n_runs=3))]).fit(RUNS, Y[(1, "job_2")])
    np.testing.assert_allclose(voting.predict(RUNS), RIGHT)
    logs = TransformedTargetRegressor(OnlineMix(), func=np.log1p, inverse_func=np.expm1)
    with pytest.raises(ValueError, match=r"its durations in the table .* seconds"):
        logs.fit(RUNS, Y[(1, "job_2")])


@pytest.mark.parametrize("change", [lambda y: y / 60, np.log1p, lambda y: y - y.mean()])
@pytest.mark.parametrize("as_given", [lambda y: y, np.asarray])
@pytest.mark.parametrize("model", [OnlineMix(), AnchoredRegressor(LinearRegression())])
def test_other_units_are_an_error(change, as_given, model):
    with pytest.raises(ValueError, match="in seconds"):
        model.fit(RUNS, as_given(change(Y[1])))


def test_noise_constants_and_few_rows_keep_their_position():
    noisy = Y[1].to_numpy() * np.random.default_rng(0).uniform(0.9, 1.1, Y[1].shape)
    assert RULE.fit(RUNS, noisy).jobs_ == list(Y[1])
    alike = pd.DataFrame({"a": [60.0] * 9, "b": [60.0] * 9})
    assert RULE.fit(alike, make_targets(alike).to_numpy()).jobs_ == ["a", "b"]
    assert RULE.fit(alike[:3], np.array([1.0, 2.0, 3.0])).jobs_ == ["a"]
    one = pd.DataFrame({"a": np.arange(9.0), "b": np.arange(9.0)[::-1], "c": np.arange(9.0)})
    assert RULE.fit(one, make_targets(one)[1]["b"].to_numpy()).jobs_ == ["b"]
    with pytest.raises(ValueError, match=r"durations of \['b', 'c'\] alike"):
        RULE.fit(
            one[["b"]].assign(a=9.5 + one["a"] ** 2, b=one["a"], c=one["a"])[["a", "b", "c"]],
            one["a"].to_numpy(),
        )


def test_scores_and_updates_compare_names():
    rule, turned = RULE.fit(RUNS, Y), Y.iloc[:, ::-1]
    assert rule.score(RUNS, turned) == rule.score(RUNS, Y)
    with pytest.raises(ValueError, match="give the same jobs and steps"):
        rule.score(RUNS, Y[[(1, "job_0")]])
    forecast = pd.DataFrame(rule.predict(RUNS), columns=Y.columns, index=RUNS.index)
    assert observed_mae(turned, forecast) == observed_mae(Y, forecast)
    models = [ConformalForecaster(RULE).fit(RUNS[:100], Y[:100]) for _ in range(2)]
    for model, y in zip(models, (Y, turned), strict=True):
        model.update(RUNS[100:], y[100:])
    np.testing.assert_array_equal(*(model.predict_interval(RUNS) for model in models))


def test_rows_in_another_order_that_nothing_explains_are_an_error():
    with pytest.raises(ValueError, match=r"Give y.loc\[X.index\]"):
        RULE.fit(RUNS, Y.sample(frac=1, random_state=0).reset_index(drop=True)[::-1])


def test_an_array_in_fit_and_a_table_after_it_are_an_error():
    X = np.random.default_rng(0).uniform(50, 60, (60, 1))
    model = ConformalForecaster(OnlineMix()).fit(X, X)
    with pytest.raises(TypeError, match="a table, the rows of fit as an array"):
        model.predict(pd.DataFrame(X))
