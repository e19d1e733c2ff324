"""Nominal coverage: on hundreds of simulated data sets, bounds hold as often as they say."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin

from sklearn_jobtime import ConformalForecaster

pytestmark = pytest.mark.slow

N_SETS = 300
LEVEL = 0.9
N_STEPS, N_JOBS = 10, 10


class Columns(RegressorMixin, BaseEstimator):
    """Forecasts X itself, so that a test chooses the forecasts."""

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.asarray(X)


def nights(rng, n, n_outputs):
    """Forecasts and durations: errors are skewed, of every size, and those of a night alike."""
    size = np.exp(np.linspace(-3, 0, n_outputs))
    night, job = rng.normal(size=(n, 1)), rng.normal(size=(n, n_outputs))
    errors = size * (np.exp(0.5 * (0.6 * night + 0.8 * job)) - 1)
    forecasts = np.exp(np.linspace(3, 8, n_outputs)) * np.ones((n, 1))
    return forecasts, forecasts * np.exp(errors)


def held(seed, n, simultaneous, *, shape=(N_STEPS, N_JOBS), symmetric=True):
    """Whether each output of one more night is inside its interval, after n calibration rows."""
    rng = np.random.default_rng(seed)
    n_outputs = shape[0] * shape[1]
    # the last rows have no whole horizon in the table, so they do not calibrate steps
    n_rows = n + (shape[0] - 1 if simultaneous in ("horizon", "both") else 0)
    X, y = nights(rng, n_rows + 1, n_outputs)
    options = {"simultaneous": simultaneous, "symmetric": symmetric, "horizon": shape[0]}
    model = ConformalForecaster(Columns(), LEVEL, cv="prefit", **options)
    low, high = np.moveaxis(model.fit(X[:-1], y[:-1]).predict_interval(X[-1:])[0], 1, 0)
    return ((low <= y[-1]) & (y[-1] <= high)).reshape(shape)


def band(level, n=N_SETS, chance=0.001):
    return stats.binom.ppf([chance / 2, 1 - chance / 2], n, level)


@pytest.mark.parametrize("n", [50, 1000])
def test_a_hundred_targets_of_a_night_hold_together(n):
    inside = sum(held(seed, n, "both").all() for seed in range(N_SETS))
    low, high = band(LEVEL)
    print(f"{n} calibration rows: {inside} of {N_SETS} nights inside")
    assert low <= inside <= high


def test_intervals_for_each_target_do_not_hold_together():
    """The reason for the other kinds of coverage."""
    inside = np.array([held(seed, 200, "none") for seed in range(100)])
    low, high = band(LEVEL, 100)
    assert low <= inside[:, 3, 4].sum() <= high  # each of them has its nominal coverage
    whole = inside.all(axis=(1, 2)).mean()
    print(f"intervals for each target: {whole:.0%} of the nights inside")
    assert whole < 0.2


@pytest.mark.parametrize("n", [50])
@pytest.mark.parametrize("simultaneous", ["none", "jobs", "horizon", "both"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_each_kind_of_coverage_is_the_nominal_one(simultaneous, n, symmetric):
    kind = {"simultaneous": simultaneous, "symmetric": symmetric, "shape": (2, 3)}
    inside = np.array([held(seed, n, **kind) for seed in range(N_SETS)])
    together = {
        "none": inside[:, 0, 0],
        "jobs": inside.all(axis=2)[:, 1],
        "horizon": inside.all(axis=1)[:, 2],
        "both": inside.all(axis=(1, 2)),
    }[simultaneous]
    # A bound is one of n errors, so each side covers up to 1 / (n + 1) more than was asked.
    most = LEVEL + (1 if symmetric else 2) / (n + 1)
    assert band(LEVEL)[0] <= together.sum() <= band(most)[1]


def test_over_many_fits_coverage_is_beta_binomial():
    """Not more certain than it is: with 49 rows the share inside is 0.9, give or take 0.04."""
    n, n_new, rank = 49, 200, 45
    counts = []
    for seed in range(N_SETS):
        X, y = nights(np.random.default_rng(seed), n + n_new, 1)
        model = ConformalForecaster(Columns(), LEVEL, cv="prefit").fit(X[:n], y[:n])
        counts.append((y[n:] <= model.predict_upper(X[n:])).sum())
    expected = stats.betabinom(n_new, rank, n + 1 - rank)
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        at = expected.ppf(share)
        low, high = band(expected.cdf(at))
        assert low <= (np.array(counts) <= at).sum() <= high


@pytest.mark.parametrize("limit", ["each its own", "one for all"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_right_censored_runs_count(limit, n_outputs):
    """One run in five is right-censored. What is covered is how long it would have taken."""
    inside = {"counted": [], "left out": []}
    n_sets = 60
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        X = rng.uniform(50, 150, (400, n_outputs))
        y = X * np.exp(rng.normal(0, 0.4, X.shape))
        limits = X * np.exp(rng.normal(0.45, 0.4, X.shape)) if limit == "each its own" else 135.0
        limits = np.broadcast_to(limits, X.shape)
        cut = y[:200] > limits[:200]
        known, least = np.where(cut, np.nan, y[:200]), np.where(cut, limits[:200], np.nan)
        simultaneous = "both" if n_outputs > 1 else "none"
        model = ConformalForecaster(Columns(), 0.8, cv="prefit", simultaneous=simultaneous)
        for name, at_least in (("counted", least), ("left out", None)):
            upper = model.fit(X[:200], known, at_least).predict_upper(X[200:])
            inside[name].append((y[200:] <= upper).all(axis=1).mean())
    share = {name: np.mean(values) for name, values in inside.items()}
    error = 4 * np.std(inside["counted"]) / np.sqrt(n_sets)
    assert share["counted"] > 0.8 - error
    assert share["left out"] < 0.8 - 2 * error
