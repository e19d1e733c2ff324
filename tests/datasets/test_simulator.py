import random
from datetime import timedelta

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from sklearn_jobtime.datasets import _processes as processes
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.runs import job_columns, make_targets, observed_durations, validate_runs

# The pipeline without anything but linked deviations.
PLAIN = {
    "season": 0,
    "month_end": 0,
    "shift_every": None,
    "input_effect": 0,
    "failure_rate": 0,
    "timeout": None,
}

parameters = st.fixed_dictionaries(
    {
        "n_runs": st.integers(1, 40),
        "n_jobs": st.integers(3, 6),
        "graph": st.sampled_from(["chain", "diamond", "independent", "random"])
        | st.just({"load": ["left", "right"], "right": [], "left": ["first"], "first": []}),
        "n_series": st.integers(1, 3),
        "noise": st.floats(0, 0.2),
        "persistence": st.floats(-0.4, 0.4),
        "linkage": st.floats(-0.6, 0.6),
        "coupling": st.floats(-0.3, 0.3),
        "shift_every": st.none() | st.floats(1, 50),
        "input_effect": st.sampled_from([0, 0.2, -1]),
        "failure_rate": st.floats(0, 1),
        "timeout": st.none() | st.floats(0.1, 10),
        "interval": st.sampled_from(["1min", "20min", "1D", timedelta(hours=1)]),
        "overlap": st.booleans(),
        "random_state": st.integers(0, 2**32 - 1),
    }
)


def statuses(runs):
    return runs[[f"{job}__status" for job in job_columns(runs)]].set_axis(job_columns(runs), axis=1)


@settings(deadline=None, max_examples=30)
@given(parameters)
def test_every_table_keeps_the_contract(given_parameters):
    runs, truth = make_job_runs(**given_parameters, return_truth=True)
    pd.testing.assert_frame_equal(validate_runs(runs), runs)
    jobs = list(truth.graph)
    assert job_columns(runs) == jobs
    assert len(runs) == given_parameters["n_runs"] * given_parameters["n_series"]
    assert runs.index.nlevels == (2 if given_parameters["n_series"] > 1 else 1)
    assert runs["started_at"].is_monotonic_increasing
    assert ("input_rows" in runs) == (given_parameters["input_effect"] != 0)
    for name in ("level", "expected", "duration", "oracle", "start", "limit"):
        assert truth[name].index.equals(runs.index)
        assert truth[name].columns.tolist() == jobs


@settings(deadline=None, max_examples=30)
@given(parameters)
def test_every_run_plays_by_the_rules_of_the_graph(given_parameters):
    runs, truth = make_job_runs(**given_parameters, return_truth=True)
    jobs, state = list(truth.graph), statuses(runs)
    ends = truth.start + runs[jobs]
    done = state == "success"
    # A success took its true time; nothing runs past its limit, and a time-out is stopped there.
    np.testing.assert_array_equal(runs[jobs].where(done), truth.duration.where(done))
    assert not (runs[jobs] > truth.limit).any(axis=None)
    stopped = state == "timeout"
    np.testing.assert_array_equal(runs[jobs].where(stopped), truth.limit.where(stopped))
    # A job starts exactly when the last of those it waits for has ended, each of them well.
    for job, parents in truth.graph.items():
        began = (state[job] != "skipped").to_numpy()
        assert done.loc[began, parents].all(axis=None)
        latest = ends[parents].max(axis=1) if parents else pd.Series(0.0, runs.index)
        np.testing.assert_array_equal(truth.start.loc[began, job], latest[began])
    np.testing.assert_array_equal(runs[jobs].isna(), state == "skipped")
    # The run ends with its last job, and its first failure ends it.
    whole = (runs["ended_at"] - runs["started_at"]).dt.total_seconds()
    np.testing.assert_allclose(whole, ends.max(axis=1), rtol=0, atol=1.1e-6)
    broken = state.isin(["failed", "timeout"])
    halted = broken.any(axis=1)
    np.testing.assert_allclose(ends.max(axis=1)[halted], ends.where(broken).min(axis=1)[halted])
    assert not state.loc[~halted].isin(["cancelled", "skipped"]).any(axis=None)


def global_random_state():
    of_numpy = np.random.get_state()  # noqa: NPY002 - the state that must not be touched
    return random.getstate(), of_numpy[1].tobytes(), of_numpy[2:], torch.get_rng_state().tolist()


def test_the_default_table_shows_every_kind_of_trouble():
    runs = make_job_runs(3000, graph="diamond", random_state=0)
    assert set(statuses(runs).to_numpy().ravel()) == {
        "success",
        "failed",
        "timeout",
        "cancelled",
        "skipped",
    }
    assert make_targets(runs, horizon=5).shape == (3000, 5 * (4 + 1))


def test_same_seed_same_table_and_no_global_state_touched():
    before = global_random_state()
    first, again = (make_job_runs(50, graph="random", random_state=7) for _ in range(2))
    other = make_job_runs(50, graph="random", random_state=8)
    from_state = [make_job_runs(50, random_state=np.random.RandomState(3)) for _ in range(2)]
    unseeded = [make_job_runs(50) for _ in range(2)]
    after = global_random_state()
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(*from_state)
    assert not first["job_0"].equals(other["job_0"])
    assert not unseeded[0].equals(unseeded[1])
    assert before == after


def test_a_random_state_object_moves_on():
    state = np.random.RandomState(0)
    assert not make_job_runs(5, random_state=state).equals(make_job_runs(5, random_state=state))


@pytest.mark.parametrize(
    "changed", [{"failure_rate": 0.5}, {"timeout": 1.1}, {"overlap": False}, {"n_series": 3}]
)
def test_ingredients_have_streams_of_their_own(changed):
    _, before = make_job_runs(60, random_state=0, return_truth=True)
    _, after = make_job_runs(60, random_state=0, return_truth=True, **changed)
    durations = after.duration.xs("pipeline_0") if "n_series" in changed else after.duration
    np.testing.assert_array_equal(durations, before.duration)


def test_series_differ_and_share_one_graph():
    runs, truth = make_job_runs(30, n_series=2, graph="random", random_state=0, return_truth=True)
    assert runs.index.names == ["series", "run"]
    level = truth.level.groupby("series").first()
    assert (level.loc["pipeline_0"] != level.loc["pipeline_1"]).all()
    starts = runs["started_at"].groupby("series").first()
    assert abs(starts["pipeline_1"] - starts["pipeline_0"] - pd.Timedelta("1h")) < pd.Timedelta(
        "15min"
    )


def test_short_intervals_overlap_unless_runs_wait():
    def early(**options):
        runs = make_job_runs(200, interval="20min", random_state=0, **options)
        return (runs["started_at"] < runs["ended_at"].shift()).mean()

    assert early() > 0.5
    assert early(overlap=False) == 0
    nightly = make_job_runs(200, random_state=0)
    assert (nightly["started_at"].diff().dropna() > pd.Timedelta("23h")).all()


@pytest.mark.parametrize("graph", ["chain", "diamond"])
def test_least_squares_recover_the_links(graph):
    _, truth = make_job_runs(20_000, graph=graph, random_state=0, return_truth=True, **PLAIN)
    deviation = np.log(truth.duration / truth.expected).to_numpy()
    # Given what stands upstream in its own run, a job's deviation is linear with the two matrices.
    for j, job in enumerate(truth.graph):
        parents = [list(truth.graph).index(p) for p in truth.graph[job]]
        known = np.column_stack([deviation[:-1], deviation[1:, parents]])
        found, *_ = np.linalg.lstsq(known, deviation[1:, j])
        true = [*truth.linkage[job], *truth.coupling.iloc[parents, j]]
        np.testing.assert_allclose(found, true, atol=0.05)


def test_the_oracle_errs_by_the_noise_alone():
    _, truth = make_job_runs(
        20_000, coupling=0, noise=[0.1, 0.2, 0.3, 0.4], random_state=0, return_truth=True, **PLAIN
    )
    error = np.log(truth.duration / truth.oracle)
    np.testing.assert_allclose(error.std(), [0.1, 0.2, 0.3, 0.4], rtol=0.03)
    lagged = error.corrwith(np.log(truth.duration / truth.expected).shift())
    assert lagged.abs().max() < 0.03


def test_no_noise_makes_the_first_job_exact():
    _, truth = make_job_runs(30, noise=0, random_state=0, return_truth=True)
    pd.testing.assert_frame_equal(truth.duration, truth.expected)
    pd.testing.assert_frame_equal(truth.oracle, truth.expected)


def test_weeks_and_month_ends_are_seen():
    options = {**PLAIN, "noise": 0.02, "season": 0.3, "month_end": 0.5, "level": 100.0}
    runs, truth = make_job_runs(1400, random_state=0, return_truth=True, **options)
    log = np.log(runs["job_0"])
    last_day = runs["started_at"].dt.is_month_end
    by_day = log[~last_day].groupby(runs["started_at"].dt.day_of_week[~last_day]).mean()
    assert by_day.max() - by_day.min() > 0.4
    rest = log - runs["started_at"].dt.day_of_week.map(by_day)
    assert rest[last_day].mean() - rest[~last_day].mean() == pytest.approx(0.5, abs=0.02)
    assert truth.expected.loc[last_day].mean().gt(truth.expected.loc[~last_day].mean()).all()


def test_levels_shift_as_often_as_asked():
    _, truth = make_job_runs(20_000, shift_every=100, random_state=0, return_truth=True)
    shifted = truth.level.diff().iloc[1:] != 0
    # Binomial with p = 1/100: four standard deviations.
    assert abs(shifted.to_numpy().mean() - 0.01) < 4 * np.sqrt(0.01 * 0.99 / shifted.size)
    _, steady = make_job_runs(500, shift_every=None, random_state=0, return_truth=True)
    assert steady.level.nunique().eq(1).all()


def test_given_levels_are_exact():
    _, truth = make_job_runs(
        5, level=[10, 20, 30, 40], shift_every=None, n_series=2, random_state=0, return_truth=True
    )
    np.testing.assert_array_equal(truth.level.drop_duplicates(), [[10, 20, 30, 40]])
    np.testing.assert_array_equal(truth.limit.drop_duplicates(), [[40, 80, 120, 160]])


def test_input_rows_drive_durations():
    options = {**PLAIN, "input_effect": 0.7, "noise": 0}
    runs = make_job_runs(300, random_state=0, **options)
    slope, _ = np.polyfit(np.log(runs["input_rows"]), np.log(runs["job_2"]), 1)
    assert slope == pytest.approx(0.7, abs=1e-6)


def test_jobs_that_start_fail_at_the_given_rate_fast_and_slowly():
    runs, truth = make_job_runs(
        5000, failure_rate=0.05, timeout=None, random_state=0, return_truth=True
    )
    state = statuses(runs)
    began = state != "skipped"
    failed = state == "failed"
    n = began.to_numpy().sum()
    assert abs(failed.to_numpy().sum() / n - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n)
    share = (runs[list(truth.graph)] / truth.duration).to_numpy()[failed]
    assert ((share <= 0.3) | (share >= 1)).all()
    assert (share < 1).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_ridge_on_lagged_durations_beats_the_last_run(seed):
    runs = make_job_runs(1500, random_state=seed)
    observed = np.log(observed_durations(runs).drop(columns="whole_run"))
    past = observed.ffill().shift()
    level = past.rolling(14, min_periods=1).median()
    lags = pd.concat([past.shift(k) - level for k in range(8)], axis=1).to_numpy()
    X, y = lags[10:], observed[10:].to_numpy()
    level, last_run = level[10:].to_numpy(), past[10:].to_numpy()
    train = np.arange(len(y)) < 1000
    for j in range(4):
        fit, test = train & ~np.isnan(y[:, j]), ~train & ~np.isnan(y[:, j])
        ridge = Ridge().fit(X[fit], (y - level)[fit, j])
        error = np.abs(y[test, j] - level[test, j] - ridge.predict(X[test]))
        assert error.mean() < 0.8 * np.abs(y[test, j] - last_run[test, j]).mean()


def test_a_first_job_can_drive_the_rest_of_the_chain():
    linkage = np.zeros((4, 4))
    linkage[0, 1:] = 0.9
    runs = make_job_runs(
        1000, linkage=linkage, persistence=0, coupling=0, noise=[0.3, 0.05, 0.05, 0.05],
        random_state=0, **PLAIN,
    )  # fmt: skip
    log = np.log(runs[job_columns(runs)])
    past = log[["job_0"]].shift().iloc[1:]
    for job in ("job_1", "job_2", "job_3"):
        predicted = Ridge().fit(past[:700], log[job][1:701]).predict(past[700:])
        last_run = (log[job] - log[job].shift())[701:].abs().mean()
        assert np.abs(log[job][701:] - predicted).mean() < 0.2 * last_run


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_propagate_is_the_recursion_it_states(n_runs, n_jobs, seed):
    rng = np.random.default_rng(seed)
    shocks = rng.normal(size=(n_runs, n_jobs))
    linkage = rng.uniform(-0.2, 0.2, (n_jobs, n_jobs))
    coupling = np.triu(rng.uniform(-0.2, 0.2, (n_jobs, n_jobs)), k=1)
    z, forecasts = processes.propagate(shocks, linkage, coupling)
    before = np.zeros(n_jobs)
    for t in range(n_runs):
        np.testing.assert_allclose(z[t], before @ linkage + z[t] @ coupling + shocks[t])
        quiet = processes.propagate(np.vstack([shocks[:t], np.zeros(n_jobs)]), linkage, coupling)[0]
        np.testing.assert_allclose(forecasts[t], quiet[t], atol=1e-12)
        before = z[t]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)), min_size=1, max_size=20))
def test_queue_is_the_recursion_it_states(pairs):
    gaps, lengths = np.array(pairs).T
    scheduled = np.cumsum(gaps)
    expected, free = [], -1
    for due, length in zip(scheduled, lengths, strict=True):
        expected.append(max(due, free))
        free = expected[-1] + length
    np.testing.assert_array_equal(processes.queue(scheduled, lengths), expected)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 5), st.sampled_from(["chain", "random", "independent"]), st.integers(0, 999))
def test_execute_agrees_with_one_run_played_event_by_event(n_jobs, name, seed):
    rng = np.random.default_rng(seed)
    graph = processes.job_graph(name, n_jobs, rng)
    durations = rng.uniform(1, 10, (4, n_jobs))
    attempts = durations * processes.failures(durations.shape, 0.3, rng)
    limits = rng.uniform(5, 15, durations.shape)
    starts, lengths, status = processes.execute(durations, attempts, limits, graph)
    for t in range(4):
        played = play_one_run(graph, durations[t], attempts[t], limits[t])
        for j, job in enumerate(graph):
            assert status[t, j] == played[job][2]
            np.testing.assert_allclose([starts[t, j], lengths[t, j]], played[job][:2])


def play_one_run(graph, durations, attempts, limits):
    """Advance a clock from one end of a job to the next, as a scheduler would."""
    place = {job: j for j, job in enumerate(graph)}
    running, ended, clock = {}, {}, 0.0
    while len(ended) < len(graph):
        for job, parents in graph.items():
            if job not in running and job not in ended and set(parents) <= set(ended):
                running[job] = clock
        due = {}
        for job, start in running.items():
            j = place[job]
            seconds = durations[j] if np.isnan(attempts[j]) else attempts[j]
            due[job] = start + min(seconds, limits[j])
        job = min(due, key=due.get)
        clock = due[job]
        j, start = place[job], running.pop(job)
        seconds = durations[j] if np.isnan(attempts[j]) else attempts[j]
        fate = "timeout" if seconds > limits[j] else "failed"
        if fate == "failed" and np.isnan(attempts[j]):
            ended[job] = (start, seconds, "success")
            continue
        ended[job] = (start, min(seconds, limits[j]), fate)
        ended |= {other: (begun, clock - begun, "cancelled") for other, begun in running.items()}
        ended |= {other: (np.nan, np.nan, "skipped") for other in graph if other not in ended}
    return ended


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"graph": {"a": ["b"], "b": ["a"]}}, "cycle"),
        ({"graph": {"a": ["b"]}}, r"'b'.*no job of the graph.*add"),
        ({"graph": {"a__status": []}}, "cannot be the name"),
        ({"graph": {"whole_run": []}}, "cannot be the name"),
        ({"graph": {1: []}}, "cannot be the name"),
        ({"graph": {}}, "no job"),
        ({"graph": "diamond", "n_jobs": 2}, "at least 3 jobs"),
        ({"graph": "star"}, "graph"),
        ({"linkage": np.eye(3)}, r"\(3, 3\), expected \(4, 4\)"),
        ({"linkage": np.eye(4)}, "grow 1.3-fold.*lower"),
        ({"noise": 10.0}, "times its usual seconds.*lower noise"),
        ({"linkage": np.nan}, "finite"),
        ({"noise": [0.1, 0.2]}, "noise has shape"),
        ({"noise": [0.1, 0.2, -0.1, 0]}, "noise must be finite and not negative"),
        ({"level": [1, 2, 3, 0]}, "level must be positive"),
        ({"interval": "-1h"}, "positive time"),
        ({"n_runs": 0}, "n_runs"),
        ({"failure_rate": 1.5}, "failure_rate"),
        ({"persistence": 1.0}, "persistence"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_wrong_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        make_job_runs(**{"n_runs": 5, **wrong})


def test_the_given_graph_is_not_changed_and_repeats_count_once():
    graph = {"b": ["a", "a"], "a": []}
    _, truth = make_job_runs(3, graph=graph, random_state=0, return_truth=True)
    assert graph == {"b": ["a", "a"], "a": []}
    assert truth.graph == {"a": [], "b": ["a"]}
    assert truth.coupling.loc["a", "b"] == 0.3


def test_starts_gaps_and_workers_leave_the_durations_as_they_were():
    options = {"n_runs": 60, "n_jobs": 6, "graph": "fan_out", "failure_rate": 0, "timeout": None}
    plain = make_job_runs(**options, random_state=0)
    timed = make_job_runs(**options, starts=True, random_state=0)
    jobs = job_columns(plain)
    pd.testing.assert_frame_equal(timed[plain.columns], plain)
    queued, truth = make_job_runs(
        **options, starts=True, n_workers=2, gap=30.0, random_state=0, return_truth=True
    )
    pd.testing.assert_frame_equal(queued[jobs], plain[jobs])
    pd.testing.assert_frame_equal(validate_runs(queued), queued)
    for job in jobs:
        after = (queued[f"{job}__started_at"] - queued["started_at"]).dt.total_seconds()
        np.testing.assert_allclose(after, truth.start[job], atol=1e-6)


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_workers_are_never_more_and_none_is_idle_while_a_job_is_ready(n_workers):
    runs, truth = make_job_runs(
        20, graph="a>c, b>c, b>d, a>e", n_workers=n_workers, random_state=1, return_truth=True
    )
    ends = truth.start + runs[list(truth.graph)]
    for (_, start), (_, end) in zip(truth.start.iterrows(), ends.iterrows(), strict=True):
        for job, begins in start.dropna().items():
            running = ((start <= begins) & (end > begins)).sum()
            assert running <= n_workers
            parents = truth.graph[job]
            ready = end[parents].max() if parents else 0.0
            assert begins >= ready - 1e-9
            if begins > ready + 1e-9:  # it waited for a worker: all were busy just before
                assert ((start < begins) & (end >= begins - 1e-9)).sum() >= n_workers


@pytest.mark.parametrize(
    "graph", [{"a": [], "b": ["a"]}, "a>b", [("a", "b")], nx.DiGraph([("a", "b")])]
)
def test_a_graph_may_come_in_any_form(graph):
    truth = make_job_runs(3, graph=graph, random_state=0, return_truth=True)[1]
    assert truth.graph == {"a": [], "b": ["a"]}
