"""Weighted calibration: a weight of 2 is the row twice, and a known shift is made up for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.conformal import DurationDistribution
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.conformal._quantiles import EmpiricalQuantile

LEVELS = [0.3, 0.5, 0.8, 0.9]


def prefit(**options):
    estimator = DummyRegressor(strategy="constant", constant=np.full(options.pop("n", 1), 100.0))
    estimator.fit([[0.0]], np.full((1, len(np.atleast_1d(estimator.constant))), 100.0))
    return ConformalForecaster(estimator, cv="prefit", **options)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 9999),
    symmetric=st.booleans(),
    simultaneous=st.sampled_from(["none", "jobs"]),
    cut=st.booleans(),
)
def test_whole_number_weights_are_repeated_rows(seed, symmetric, simultaneous, cut):
    rng = np.random.default_rng(seed)
    y = 100 * np.exp(0.4 * rng.normal(size=(25, 2)))
    is_cut = cut & (rng.random((25, 2)) < 0.3)
    is_cut[0] = False
    at_least, y = np.where(is_cut, y, np.nan), np.where(is_cut, np.nan, y)
    weight = rng.integers(0, 4, 25)
    weight[0] = 1
    X, again = np.zeros((25, 1)), np.repeat(np.arange(25), weight)
    options = {"symmetric": symmetric, "simultaneous": simultaneous, "n": 2}
    weighed = prefit(**options).fit(X, y, at_least, sample_weight=weight)
    repeated = prefit(**options).fit(X[again], y[again], at_least[again])
    for method in ("predict_interval", "predict_upper"):
        bounds = [
            getattr(one, method)(X[:1], confidence_level=LEVELS[:3]) for one in (weighed, repeated)
        ]
        np.testing.assert_allclose(*bounds, rtol=1e-9)


def test_the_run_to_be_predicted_has_the_weight_one():
    quantile = EmpiricalQuantile.of(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 0.5]))
    np.testing.assert_allclose(quantile.covered, [1 / 3, 1 / 2, 2 / 3])
    assert quantile.at([0.34, 0.5, 0.67]).tolist() == [2, 2, np.inf]


def test_the_estimate_of_kaplan_and_meier_with_weights():
    errors, cut = np.array([1.0, 2.0, 3.0]), np.array([False, True, False])
    masses = survival_masses(errors, cut, np.array([2.0, 1.0, 1.0]))
    np.testing.assert_allclose(masses, [2 / 5, 0, 3 / 5 / 2])  # of 5 at risk, then of 2


def test_rows_of_weight_zero_do_not_calibrate_but_are_history():
    y = np.arange(1.0, 41.0)
    model = prefit().fit(y[:, None], y, sample_weight=(y > 20).astype(float))
    assert model.calibration_rows_.tolist() == list(range(20, 40))
    assert model.n_calibration_ == 20


@pytest.mark.parametrize(
    ("weight", "match"),
    [(np.zeros(9), "zero"), (-np.ones(9), "negative"), (np.ones(8), "shape")],
)
def test_weights_that_make_no_sense_are_errors(weight, match):
    with pytest.raises(ValueError, match=match):
        prefit().fit(np.zeros((9, 1)), np.ones(9), sample_weight=weight)


def test_weights_reach_the_estimator():
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(80, 2)), rng.integers(1, 3, 80).astype(float)
    y = 100 + X[:, 0] + rng.normal(size=80)
    model = ConformalForecaster(Ridge()).fit(X, y, sample_weight=weight)
    by_hand = Ridge().fit(X[:60], y[:60], sample_weight=weight[:60])
    np.testing.assert_allclose(model.estimator_.coef_, by_hand.coef_)


def test_chances_count_the_runs_by_their_weights():
    rng = np.random.default_rng(0)
    y, weight = 100 * np.exp(0.4 * rng.normal(size=40)), rng.integers(0, 3, 40)
    again = np.repeat(np.arange(40), weight)
    weighed = prefit().fit(np.zeros((40, 1)), y, sample_weight=weight)
    repeated = prefit().fit(np.zeros((len(again), 1)), y[again])
    at = np.linspace(50, 400, 30)[:, None]
    chances = [
        DurationDistribution.from_forecaster(one).done_by(100.0, at) for one in (weighed, repeated)
    ]
    known = 1 / ((weight > 0).sum() + 1)  # rows that repeat tell no more than one
    chances = np.clip(chances, known, 1 - known)
    np.testing.assert_allclose(*chances, rtol=0.02)
    np.testing.assert_allclose(chances[0][:12], chances[1][:12], rtol=1e-9)
    weighed.update([[0.0]], [100.0])
    assert weighed.calibration_weights()[-1] == 1


@pytest.mark.slow
def test_weights_make_up_for_a_known_shift():
    """Calibration runs are wild on 1 day of 5, runs to come on 4 of 5."""
    inside = {"equal": [], "weighed": []}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        wild = rng.random(300) < np.where(np.arange(300) < 200, 0.2, 0.8)
        y = 100 * np.exp(rng.normal(size=300) * np.where(wild, 0.5, 0.05))
        X = np.zeros((300, 1))
        for name, weight in (("equal", None), ("weighed", np.where(wild, 0.8 / 0.2, 0.2 / 0.8))):
            given = {} if weight is None else {"sample_weight": weight[:200]}
            model = prefit().fit(X[:200], y[:200], **given)
            inside[name].append((y[200:] <= model.predict_upper(X[200:])[:, 0]).mean())
    assert np.mean(inside["equal"]) < 0.85
    assert 0.89 < np.mean(inside["weighed"]) < 0.93
