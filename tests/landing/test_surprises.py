"""What is known of a night moves the rest of it as its regression says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime.landing._surprises import Surprises


def gaussian_nights(seed, n_nights=4000):
    rng = np.random.default_rng(seed)
    mixing = np.eye(3) + rng.uniform(-0.5, 0.5, (3, 3))
    return rng.normal(size=(n_nights, 3)) @ mixing


@given(st.integers(0, 100))
def test_gaussian_surprises_are_conditioned_as_the_textbook_says(seed):
    nights = gaussian_nights(seed)
    surprises = Surprises(nights)
    paths = surprises.paths(4000, np.random.default_rng(0))
    known = nights.std(axis=0)[:2]
    paths.learn(0, known[0])
    paths.learn(1, known[1])
    covariance = np.cov(nights.T)
    slope = np.linalg.solve(covariance[:2, :2], covariance[:2, 2])
    mean = nights[:, 2].mean() + slope @ (known - nights[:, :2].mean(axis=0))
    left = covariance[2, 2] - slope @ covariance[:2, 2]
    scale = np.sqrt(covariance[2, 2])
    assert abs(paths.values[:, 2].mean() - mean) < 0.1 * scale
    assert abs(paths.values[:, 2].std() - np.sqrt(left)) < 0.1 * scale
    np.testing.assert_array_equal(paths.values[:, :2], np.tile(known, (4000, 1)))


@given(st.integers(0, 100), st.floats(-1, 1))
def test_a_lower_bound_leaves_no_path_below_and_the_rest_as_the_survivors_are(seed, bound):
    nights = gaussian_nights(seed)
    bound *= nights[:, 0].std()
    paths = Surprises(nights).paths(4000, np.random.default_rng(0))
    paths.learn_at_least(0, bound, np.random.default_rng(0))
    survivors = nights[nights[:, 0] >= bound]
    assert (paths.values[:, 0] >= bound).all()
    for at in (0, 2):
        scale = nights[:, at].std()
        assert abs(paths.values[:, at].mean() - survivors[:, at].mean()) < 0.1 * scale


def test_a_job_that_runs_longer_than_ever_goes_on_as_the_tail_falls_off():
    nights = np.random.default_rng(0).exponential(1.0, (500, 1))
    paths = Surprises(nights).paths(1000, np.random.default_rng(0))
    paths.learn_at_least(0, 50.0, np.random.default_rng(0))
    assert (paths.values >= 50.0).all()
    assert paths.values.mean() - 50.0 == pytest.approx(1.0, rel=0.3)  # memoryless


def test_more_paths_than_nights_spread_as_the_nights_do():
    nights = gaussian_nights(0, 40)
    paths = Surprises(nights).paths(4000, np.random.default_rng(0)).values
    np.testing.assert_allclose(paths.mean(axis=0), nights.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(paths.std(axis=0), nights.std(axis=0), rtol=0.15)
    assert len(np.unique(paths[:, 0])) == 4000


def test_what_was_not_observed_is_that_of_the_night_before():
    nan = np.nan
    nights = np.array([[nan, 1.0], [2.0, nan], [nan, 3.0]])
    assert Surprises(nights).nights.tolist() == [[2.0, 1.0], [2.0, 1.0], [2.0, 3.0]]


def test_one_hung_night_hardly_changes_what_jobs_say_of_each_other():
    nights = gaussian_nights(0, 200)
    with_hung = nights.copy()
    with_hung[50, 0] = 1e4
    before, after = Surprises(nights).covariance, Surprises(with_hung).covariance
    np.testing.assert_allclose(after, before, rtol=0.25, atol=0.1)
