"""Cross-conformal in time order: no error knows its run or a later one, and bounds cover."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.runs import as_of, make_targets


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, np.exp(4 + 0.3 * X[:, 0] + 0.2 * rng.normal(size=n))


def test_each_part_calibrates_with_what_was_fitted_on_the_rows_before_it():
    X, y = rows(40)
    model = ConformalForecaster(Ridge(), cv=3).fit(X, y)
    assert model.calibration_rows_.tolist() == list(range(10, 40))
    for start in (10, 20, 30):
        by_hand = Ridge().fit(X[:start], y[:start]).predict(X[start : start + 10])
        found = model.calibration_forecasts_[start - 10 : start, 0]
        np.testing.assert_allclose(found, by_hand, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), Ridge().fit(X, y).predict(X))


def test_runs_that_had_not_ended_are_not_learned_from():
    runs = make_job_runs(n_runs=80, n_jobs=1, random_state=0, failure_rate=0)
    runs["ended_at"] = runs["started_at"] + (runs["ended_at"] - runs["started_at"]) * 40
    y = make_targets(runs, whole_run=False)
    model = ConformalForecaster(RollingRule(), cv=3).fit(runs, y)
    first = model.calibration_rows_[0]
    past = as_of(runs, runs["started_at"].iloc[first])
    known = make_targets(past, whole_run=False)
    by_hand = RollingRule().fit(past, known).predict(runs)[first]
    assert model.calibration_forecasts_[0] == pytest.approx(by_hand)
    assert known.isna().any(axis=None)  # some that had started by then had not ended


@pytest.mark.parametrize("cv", [2, 5])
def test_later_rows_change_no_earlier_error(cv):
    X, y = rows(60)
    changed = y.copy()
    changed[50:] *= 7
    before, after = (ConformalForecaster(Ridge(), cv=cv).fit(X, one) for one in (y, changed))
    old = before.calibration_rows_ <= 50
    np.testing.assert_array_equal(
        before.calibration_forecasts_[old], after.calibration_forecasts_[old]
    )


def test_a_short_history_has_a_finite_bound():
    X, y = rows(20)
    assert ConformalForecaster(Ridge(), cv=4).fit(X, y).n_calibration_ == 16
    assert np.isfinite(ConformalForecaster(Ridge(), cv=4).fit(X, y).predict_upper(X)).all()


def test_updates_go_on_from_the_errors_of_all_parts():
    X, y = rows(60)
    model = ConformalForecaster(Ridge(), cv=5).fit(X[:50], y[:50])
    before = model.predict_upper(X[50:])
    model.update(X[50:], 10 * y[50:])
    assert model.n_updates_ == 10
    assert (model.predict_upper(X[50:]) > before).all()


@pytest.mark.parametrize("options", [{"conformity_score": "normalised", "scale_model": Ridge()}])
def test_the_scale_model_is_fitted_in_each_part_too(options):
    X, y = rows(60)
    model = ConformalForecaster(Ridge(), cv=3, **options).fit(X, y)
    assert model.n_calibration_ == 45
    assert np.isfinite(model.predict_interval(X)).all()


def test_more_parts_than_rows_is_an_error():
    X, y = rows(5)
    with pytest.raises(NoHistoryError, match="cannot be split"):
        ConformalForecaster(Ridge(), cv=5).fit(X, y)
    with pytest.raises(ValueError, match="'cv' parameter"):
        ConformalForecaster(Ridge(), cv=1).fit(X, y)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "cv"), [(20, 5), (60, 4)])
def test_nine_of_ten_runs_are_inside(n, cv):
    shares = []
    for seed in range(100):
        X, y = rows(n + 50, seed)
        model = ConformalForecaster(Ridge(), 0.9, cv=cv).fit(X[:n], y[:n])
        shares.append((y[n:] <= model.predict_upper(X[n:])[:, 0]).mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert 0.9 - 3 * error < np.mean(shares) < 0.97
