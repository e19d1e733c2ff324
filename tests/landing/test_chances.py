"""Chances to have landed by a deadline."""

import numpy as np
import pytest

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.landing import LandingForecaster
from sklearn_jobtime.landing._bounds import StageBounds
from sklearn_jobtime.runs import make_targets


@pytest.fixture(scope="module")
def night():
    runs = make_job_runs(
        n_runs=100, n_jobs=3, failure_rate=0, shift_every=None, starts=True, random_state=1
    )
    y = make_targets(runs)
    model = LandingForecaster(RollingRule(), "job_0>job_1>job_2", n_paths=200, random_state=0)
    model.fit(runs[:90], y[:90])
    return model, runs[90:91], model.landings(runs[90:91], y[90:91])[0]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_later_deadline_has_no_lower_chance_and_one_that_is_over_has_none(night, share):
    model, run, landings = night
    now = share * landings[-1]
    limits = np.linspace(0.5, 2, 40) * landings[-1]
    paths = model.paths(run, now=now)[0]
    chances = np.array([model.chance_of(paths, limit, now) for limit in limits])
    np.testing.assert_array_equal(model.landed_by(run, limits[20], now=now)[0], chances[20])
    assert (np.diff(chances, axis=0) >= 0).all()
    ahead = landings > now
    assert (chances[limits < now][:, ahead] == 0).all()
    assert (chances[:, ~ahead] == (limits[:, None] >= landings[~ahead])).all()
    least = 1 / (model.n_nights_ + 1)
    assert (chances[limits > now][:, ahead] >= least).all()
    assert (chances[-1] >= 0.9).all()


def test_the_share_of_nights_is_the_rank_of_their_distance_on_either_side():
    bounds = StageBounds(np.array([-1.0, 2.0, -3.0, 4.0])[:, None, None])
    asked = [-np.inf, -9.0, -3.0, 0.0, 0.5, 1.0, 9.0, np.inf]
    found = [float(bounds.share_by(0, np.array([error]))[0]) for error in asked]
    assert found == pytest.approx([0, 0.1, 0.2, 0.5, 0.55, 0.6, 0.9, 1])
    bounds.learn(np.array([[5.0]]))
    assert float(bounds.share_by(0, np.array([5.0]))[0]) == pytest.approx(0.5 + 5 / 12)
