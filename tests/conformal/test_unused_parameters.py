"""A parameter that would do nothing is an error that names what it takes for it to have a part."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_jobtime import ConformalForecaster, JobTimeAnomalyDetector
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.runs import make_targets

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(size=(120, 2)), RNG.random(120)])
Y = np.exp(4 + 0.3 * X[:, 0] + X[:, 2] * RNG.normal(size=120))
POOL = pd.DataFrame(X, index=pd.MultiIndex.from_arrays([np.tile(["a", "b"], 60), np.arange(120)]))
PAIR = [GradientBoostingRegressor(loss="quantile", alpha=a, n_estimators=9) for a in (0.1, 0.9)]
RUNS = make_job_runs(n_runs=60, n_jobs=1, random_state=0)

# By parameter: a value that has no part with other ones, and those others.
NO_PART = {
    "scale_model": ({"scale_model": Ridge()}, "conformity_score"),
    "quantile_estimators": ({"quantile_estimators": PAIR}, "conformity_score"),
    "calibration_fraction": ({"calibration_fraction": 0.5, "cv": 3}, "cv"),
    "refit": ({"refit": True, "cv": 3}, "cv"),
    "group_conditional": ({"group_conditional": True}, "series"),
    "horizon": ({"horizon": 3}, "y of 1 named steps"),
}
# By parameter: values that change the bounds.
HAS_PART = {
    "estimator": {"estimator": Ridge(1e3)},
    "confidence_level": {"confidence_level": 0.5},
    "conformity_score": {"conformity_score": "absolute"},
    "simultaneous": {"simultaneous": "jobs"},
    "symmetric": {"symmetric": False},
    "cv": {"cv": 3},
    "scale_model": {"conformity_score": "normalised", "scale_model": Ridge()},
    "quantile_estimators": {"conformity_score": "quantile", "quantile_estimators": PAIR},
    "calibration_fraction": {"calibration_fraction": 0.5},
    "refit": {"refit": True},
    "group_conditional": {"group_conditional": True},
    "horizon": {"horizon": 2, "simultaneous": "horizon"},
}


def test_every_parameter_is_in_a_table():
    assert set(HAS_PART) == set(ConformalForecaster(Ridge()).get_params(deep=False))
    assert set(NO_PART) <= set(HAS_PART)


@pytest.mark.parametrize("name", NO_PART)
def test_a_parameter_without_a_part_is_an_error(name):
    options, other = NO_PART[name]
    inputs = (RUNS, make_targets(RUNS)) if name == "horizon" else (X, Y)
    estimator = RollingRule() if name == "horizon" else Ridge()
    with pytest.raises(InvalidParameterError, match=rf"{name}=.*{other}"):
        ConformalForecaster(estimator, **options).fit(*inputs)


@pytest.mark.parametrize("name", HAS_PART)
def test_a_parameter_with_a_part_changes_the_bounds(name):
    y = np.column_stack([Y, Y[::-1]])
    table = POOL if name == "group_conditional" else X
    plain, other = (
        ConformalForecaster(**{"estimator": Ridge(), **options})
        .fit(table, y[:, : 1 if "quantile" in name else 2])
        .predict_interval(table)
        for options in ({}, HAS_PART[name])
    )
    assert not np.allclose(plain, other, rtol=1e-3)


@pytest.mark.parametrize("options", [{"refit": True}, {"calibration_fraction": 0.4}])
def test_a_fitted_estimator_leaves_nothing_to_split(options):
    fitted = Ridge().fit(X, Y)
    for model in (
        ConformalForecaster(fitted, cv="prefit", **options),
        ConformalForecaster(FrozenEstimator(fitted), **options),
    ):
        with pytest.raises(InvalidParameterError, match=f"{next(iter(options))}=.*cv="):
            model.fit(X, Y)


def test_a_frozen_estimator_is_prefit():
    fitted = Ridge().fit(X[:60], Y[:60])
    frozen = ConformalForecaster(FrozenEstimator(fitted)).fit(X[60:], Y[60:])
    prefit = ConformalForecaster(fitted, cv="prefit").fit(X[60:], Y[60:])
    assert frozen.n_calibration_ == 60
    np.testing.assert_array_equal(frozen.predict_interval(X), prefit.predict_interval(X))


def test_every_parameter_of_the_detector_has_a_part():
    expected = {"forecaster", "contamination", "jobs", "whole_run", "calibration_fraction"}
    assert set(JobTimeAnomalyDetector().get_params(deep=False)) == expected
    for forecaster in (None, RollingRule(), FrozenEstimator(Ridge().fit(X[:, :1], Y))):
        with pytest.raises(InvalidParameterError, match=r"calibration_fraction=.*is trained"):
            JobTimeAnomalyDetector(forecaster, calibration_fraction=0.3).fit(X[:, :1])
    one, other = (
        JobTimeAnomalyDetector(Ridge(), calibration_fraction=part).fit(X[:, :1])
        for part in (0.3, 0.5)
    )
    assert one.n_calibration_ < other.n_calibration_
