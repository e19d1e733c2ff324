"""Links that are there are found, others are not, and the parts of a forecast add up."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_jobtime import (
    AnchoredRegressor,
    FailureImputer,
    LevelScaler,
    SequenceWindower,
    TimestampToNumeric,
)
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.inspection import job_linkage
from sklearn_jobtime.inspection._linkage import (
    false_discovery_rates,
    movement_interval,
    permutation_p_value,
)
from sklearn_jobtime.runs import WHOLE_RUN, make_targets, observed_durations, split_by_time

# Nothing moves durations but the jobs themselves: what is left to find are the links.
LINKS_ONLY = {"season": 0, "month_end": 0, "shift_every": None, "input_effect": 0, "coupling": 0}


def flat(windows):
    return np.nan_to_num(windows.reshape(len(windows), -1))


def ridge(n_steps=1):
    """A fast forecaster that sees the last runs of all jobs, relative to their levels."""
    steps = (
        TimestampToNumeric(month=False),
        FailureImputer("last success"),
        LevelScaler(),
        SequenceWindower(n_steps=n_steps),
        FunctionTransformer(flat),
        StandardScaler(),
        RidgeCV(np.logspace(-1, 4, 11)),
    )
    return AnchoredRegressor(make_pipeline(*steps), RollingRule("median"))


def fitted_half(runs, model, **changes):
    train, is_test = split_by_time(runs, 0.5)
    return model.fit(train, make_targets(train, **changes)), is_test


@pytest.fixture(scope="module")
def runs():
    linkage = [[0, 0.9, 0], [0, 0, 0], [0, 0, 0]]
    return make_job_runs(n_runs=240, n_jobs=3, linkage=linkage, random_state=0, **LINKS_ONLY)


@pytest.fixture(scope="module")
def found(runs):
    model, is_test = fitted_half(runs, ridge())
    return job_linkage(model, runs, is_test)


def test_the_one_strong_link_is_found_with_its_interval_and_gain(found):
    between = found.links(0.01).query("source != @WHOLE_RUN and target != @WHOLE_RUN")
    assert between[["source", "target"]].to_numpy().tolist() == [["job_0", "job_1"]]
    link = between.iloc[0]
    assert 0 < link["low"] < link["seconds"] < link["high"]
    assert link["gain"] > 0
    assert link["p_value"] <= link["q_value"] < 0.01


def test_tables_are_labelled_alike_and_ordered(found):
    targets = ["job_0", "job_1", "job_2", WHOLE_RUN]
    for name in ("matrix", "low", "high", "gains", "p_values", "q_values"):
        table = getattr(found, name)
        assert list(table.index) == list(table.columns) == targets
    assert (found.low <= found.matrix).all(axis=None)
    assert (found.matrix <= found.high).all(axis=None)
    assert found.q_values.ge(found.p_values - 1e-12).all(axis=None)
    assert (found.n_scored >= 90).all()


def test_the_same_seed_gives_the_same_matrix_and_leaves_numpy_alone(runs):
    model, is_test = fitted_half(runs, RollingRule("last"))
    before, given = np.random.get_state()[1].copy(), runs.copy()  # noqa: NPY002
    one, two = (job_linkage(model, runs, is_test, n_repeats=3, random_state=5) for _ in range(2))
    pd.testing.assert_frame_equal(one.matrix, two.matrix)
    pd.testing.assert_frame_equal(one.p_values, two.p_values)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    pd.testing.assert_frame_equal(runs, given)


def test_a_rule_links_no_jobs(runs):
    model, is_test = fitted_half(runs, RollingRule("last"))
    found = job_linkage(model, runs, is_test, n_repeats=5)
    matrix = found.matrix.iloc[:, :3].to_numpy()  # the whole run also fails with a job
    assert (np.diag(matrix) > 0).all()
    assert not matrix[~np.eye(4, 3, dtype=bool)].any()
    assert set(found.links(1.0 - 1e-9)["target"]) <= {WHOLE_RUN}


def test_each_series_is_permuted_within_itself():
    runs = make_job_runs(n_runs=60, n_jobs=2, n_series=2, random_state=0)
    model, is_test = fitted_half(runs, RollingRule("last"), horizon=2)
    found = job_linkage(model, runs, is_test, step=2, n_repeats=3)
    assert np.isfinite(found.matrix).all(axis=None)


def test_few_runs_are_not_tested_and_none_is_an_error(runs):
    model, _ = fitted_half(runs, RollingRule("last"))
    last = np.arange(len(runs)) >= len(runs) - 10
    found = job_linkage(model, runs, last, n_repeats=2)
    assert found.p_values.isna().all(axis=None)
    assert found.links().empty
    with pytest.raises(NoHistoryError, match="none of the 0 test runs"):
        job_linkage(model, runs, np.zeros(len(runs), dtype=bool))
    with pytest.raises(ValueError, match="expected one flag for each of the 240 runs"):
        job_linkage(model, runs, last[1:])
    with pytest.raises(ValueError, match="step=3 came"):
        job_linkage(model, runs, last, step=3)


def test_p_values_are_uniform_when_there_is_no_link():
    rng = np.random.default_rng(0)
    losses = rng.normal(size=(2000, 21))
    p_values = [permutation_p_value(one[0], one[1:]) for one in losses]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_past_that_changes_nothing_has_the_p_value_one():
    assert permutation_p_value(2.0, np.full(20, 2.0)) == 1.0


def test_links_and_own_pasts_are_two_families():
    p = pd.DataFrame([[0.001, 0.04], [0.5, np.nan], [0.02, 0.8]], list("abc"), list("ab"))
    q = false_discovery_rates(p)
    between = stats.false_discovery_control([0.04, 0.5, 0.02, 0.8])
    np.testing.assert_allclose([q.loc["a", "b"], q.loc["b", "a"], *q.loc["c"]], between)
    assert q.loc["a", "a"] == 0.001
    assert np.isnan(q.loc["b", "b"])


def test_intervals_hold_the_mean_of_independent_movements():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(100):
        rows = rng.exponential(size=(1, 150, 1))  # what rows share outweighs the permutations
        moved = rows * rng.uniform(0.8, 1.2, size=(10, 150, 1))
        low, high = movement_interval(moved, 1, 0.9, rng)
        held.append(low[0] <= 1.0 <= high[0])
    assert 0.82 <= np.mean(held) <= 0.98


def edges(table):
    """Pairs of different jobs in a table of links, or of positive strength in a true matrix."""
    if "source" in table:
        pairs = table[["source", "target"]].to_numpy().tolist()
        return {(a, b) for a, b in pairs if WHOLE_RUN not in (a, b)}
    return {(a, b) for a in table for b in table if a != b and table.loc[a, b] > 0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("graph", "failure_rate", "least_recall"),
    [("chain", 0.02, 0.8), ("random", 0.02, 0.65)],
)
def test_the_edges_of_the_simulated_graph_are_recovered(graph, failure_rate, least_recall):
    hits = n_found = n_true = 0
    for seed in range(100, 102):  # the method was chosen on other seeds
        runs, truth = make_job_runs(
            n_runs=600, n_jobs=6, graph=graph, failure_rate=failure_rate, random_state=seed,
            return_truth=True, **LINKS_ONLY,
        )  # fmt: skip
        model, is_test = fitted_half(runs, ridge(), whole_run=False)
        links, true = edges(job_linkage(model, runs, is_test).links()), edges(truth.linkage)
        assert true == {(parent, job) for job, above in truth.graph.items() for parent in above}
        hits, n_found, n_true = hits + len(links & true), n_found + len(links), n_true + len(true)
    assert hits / n_found >= 0.8  # precision
    assert hits / n_true >= least_recall  # failed runs hide weak links


@pytest.mark.slow
def test_without_any_link_hardly_any_is_found():
    p_values = []
    for seed in range(3):
        runs = make_job_runs(
            n_runs=400, n_jobs=5, graph="independent", random_state=seed, **LINKS_ONLY
        )
        model, is_test = fitted_half(runs, ridge(), whole_run=False)
        found = job_linkage(model, runs, is_test, random_state=seed)
        between = found.p_values.loc[list(found.matrix), list(found.matrix)].to_numpy()
        p_values.append(between[~np.eye(5, dtype=bool)])
        assert len(edges(found.links())) <= 1
    assert np.mean(np.concatenate(p_values) < 0.05) <= 0.15


def common_cause(kind, starts, rng):
    """What all jobs of a run take longer, as a logarithm."""
    if kind == "calendar":
        return 0.4 * ((starts.dt.day_of_week >= 5) + 1.0 * starts.dt.is_month_end).to_numpy()
    new, sizes = rng.random(len(starts)) < 1 / 60, rng.normal(0, 0.4, len(starts))
    return sizes[np.maximum.accumulate(np.where(new, np.arange(len(starts)), 0))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["calendar", "shifts of level"])
def test_a_common_cause_is_hardly_taken_for_a_link(kind):
    p_values, n_links = [], 0
    for seed in range(3):
        runs = make_job_runs(n_runs=400, n_jobs=5, graph="independent", random_state=seed,
                             **LINKS_ONLY)  # fmt: skip
        jobs = list(observed_durations(runs).drop(columns=WHOLE_RUN))
        cause = common_cause(kind, runs["started_at"], np.random.default_rng(seed))
        runs[jobs] = runs[jobs].mul(np.exp(cause), axis=0)
        model, is_test = fitted_half(runs, ridge(), whole_run=False)
        found = job_linkage(model, runs, is_test, n_repeats=12, random_state=seed)
        p_values.append(found.p_values.loc[jobs, jobs].to_numpy()[~np.eye(5, dtype=bool)])
        n_links += len(edges(found.links()))
    assert np.mean(np.concatenate(p_values) < 0.05) <= 0.15
    assert n_links <= 2


class LastOfAll(RegressorMixin, BaseEstimator):
    """Forecast of each job: a fixed mix of the newest earlier rows of all jobs."""

    def fit(self, X, y):
        self.target_names_ = y.columns
        self.is_fitted_ = True
        return self

    def predict(self, X):
        rows = X[["a", "b"]].shift(1).fillna(100.0)
        return np.column_stack([rows["a"] + 2 * rows["b"], rows["b"]])


def test_a_linear_model_moves_as_its_weights_say():
    rng = np.random.default_rng(0)
    runs = pd.DataFrame(rng.uniform(80, 120, size=(300, 2)), columns=["a", "b"])
    model = LastOfAll().fit(runs, make_targets(runs))
    found = job_linkage(model, runs, np.arange(300) >= 100)
    matrix = found.matrix
    assert matrix.loc["b", "a"] == pytest.approx(2 * matrix.loc["b", "b"])
    assert matrix.loc["a", "b"] == 0
    assert found.links().empty  # it moves forecasts, but the runs do not bear it out
