"""Simulated runs of a pipeline of jobs, with the truth behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

from sklearn_jobtime.datasets import _processes as processes
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, start_column, status_column

__all__ = ["make_job_runs"]


FIRST_START = pd.Timestamp("2025-01-06T02:00", tz="UTC")  # a Monday
MICROSECOND = pd.Timedelta("1us")
START_JITTER = 0.01  # of the interval: schedulers are punctual
LEVEL_SPREAD = 0.5  # standard deviation of log level among jobs
INPUT_ROWS = (1e6, 0.5)  # median, and standard deviation of the log
LARGEST_DEVIATION = np.log(1e6)
BURN_IN = 200  # runs before the first, so that deviations start in their steady state


def _per_job(values: float | ArrayLike, name: str, graph: processes.Graph) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim and array.shape != (len(graph),):
        raise ValueError(
            f"{name} has shape {array.shape}, expected one number or one for each of {list(graph)}."
        )
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"{name} must be finite and not negative, got {values!r}.")
    return np.broadcast_to(array, len(graph))


def _microseconds(interval: str | timedelta) -> float:
    found = pd.Timedelta(interval) / MICROSECOND
    if not found > 0:
        raise ValueError(f"interval must be a positive time between starts, got {interval!r}.")
    return found


def _usual_seconds(level: float | ArrayLike, graph: processes.Graph) -> np.ndarray:
    usual = _per_job(level, "level", graph)
    if not usual.all():
        raise ValueError(f"level must be positive seconds, got {level!r}.")
    return usual


def _seed(random_state: int | np.random.RandomState | None) -> np.random.SeedSequence:
    if isinstance(random_state, np.random.RandomState):
        return np.random.SeedSequence(random_state.randint(2**31 - 1, size=4).tolist())
    return np.random.SeedSequence(random_state)


@validate_params(
    {
        "n_runs": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Interval(Integral, 1, None, closed="left")],
        "graph": [str, Mapping, list, HasMethods(["edges", "nodes"])],
        "n_series": [Interval(Integral, 1, None, closed="left")],
        "level": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "noise": [Interval(Real, 0, None, closed="left"), "array-like"],
        "persistence": [Interval(Real, -1, 1, closed="neither")],
        "linkage": [Real, "array-like"],
        "coupling": [Real],
        "season": [Interval(Real, 0, None, closed="left")],
        "month_end": [Real],
        "shift_every": [Interval(Real, 1, None, closed="left"), None],
        "input_effect": [Real],
        "failure_rate": [Interval(Real, 0, 1, closed="both")],
        "timeout": [Interval(Real, 0, None, closed="neither"), None],
        "n_workers": [Interval(Integral, 1, None, closed="left"), None],
        "gap": [Interval(Real, 0, None, closed="left")],
        "interval": [str, timedelta],
        "overlap": ["boolean"],
        "starts": ["boolean"],
        "random_state": ["random_state"],
        "return_truth": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_job_runs(
    n_runs: int = 365,
    *,
    n_jobs: int = 4,
    graph: Any = "chain",
    n_series: int = 1,
    level: float | ArrayLike = 600.0,
    noise: float | ArrayLike = 0.1,
    persistence: float = 0.3,
    linkage: float | ArrayLike = 0.6,
    coupling: float = 0.3,
    season: float = 0.2,
    month_end: float = 0.2,
    shift_every: float | None = 250,
    input_effect: float = 0.2,
    failure_rate: float = 0.02,
    timeout: float | None = 4.0,
    n_workers: int | None = None,
    gap: float = 0.0,
    interval: str | timedelta = "1D",
    overlap: bool = True,
    starts: bool = False,
    random_state: int | np.random.RandomState | None = None,
    return_truth: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, Bunch]:
    """Simulate the runs of a pipeline of jobs, such as a nightly ETL.

    Use it to see what a forecaster can learn before trusting it with a real history: here the best
    possible forecast is known. The logarithm of a duration is a sum,

        log(seconds) = log(level) + calendar + input + deviation,

    and the deviations of all jobs, a row ``z[t]``, link jobs and runs in two ways:

        z[t] = z[t-1] @ (persistence * I + linkage) + z[t] @ coupling + noise * normal

    *Across runs*, entry (i, j) of `linkage` is how strongly job i's deviation in one run drives job
    j's in the next: what a forecast made at the start of a run can learn. *Within a run*,
    `coupling` makes a job react to the jobs it waits for in the same run: what a forecast made in
    the middle of a run can learn.

    A job starts when the jobs it waits for have ended (and, with `n_workers`, one of the workers is
    free; with `gap`, a little later). The first failure or time-out ends the run:
    jobs then running are ``cancelled`` there, jobs not yet started are ``skipped``.

    Parameters
    ----------
    n_runs : int, default=365
        Runs of each series; a year of nights.
    n_jobs : int, default=4
        Jobs in a run, named ``job_0``, ``job_1``, ... Unused when `graph` names the jobs.
    graph : {"chain", "diamond", "fan_out", "independent", "random"} or graph, default="chain"
        Which jobs a job waits for. Chain: the one before, as in most nightly batches. Diamond: the
        first, then all but the last at once, then the last. Fan-out: the first. Independent: none.
        Random: one or two of those before. A graph names the jobs as well: a dict of job -> jobs
        that it waits for, edges in text such as ``"extract>load, extract>check"``, a list of pairs,
        or a networkx DiGraph, as :func:`~sklearn_jobtime.graph.job_graph` reads it.
    n_series : int, default=1
        Pipelines in the table, independent but for sharing graph and linkage. From 2 on, the index
        is (series, run) and rows stand in start order across series; the k-th starts k hours after
        the first. Series k is the same whatever their number.
    level : float or array of shape (n_jobs,), default=600.0
        Seconds that a job usually takes. From a number, each job of each series draws its own,
        log-normal around it (standard deviation of the log 0.5), since jobs differ; an array sets
        them.
    noise : float or array of shape (n_jobs,), default=0.1
        Standard deviation of the unpredictable part of the log: 0.1 is about 10 % of a duration, as
        in quiet real pipelines.
    persistence : float, default=0.3
        How much of its deviation a job keeps from one run to the next, in (-1, 1).
    linkage : float or array of shape (n_jobs, n_jobs), default=0.6
        How strongly deviations drive the next run. A number: each job is driven by those it waits
        for, in equal parts. An array: row drives column, in topological order of the jobs (for a
        named graph: their numbers).
    coupling : float, default=0.3
        How strongly a job reacts, within a run, to the mean deviation of those it waits for.
    season : float, default=0.2
        Amplitude of the weekly wave in the log; each job has its own phase.
    month_end : float, default=0.2
        Added to the log on the last day of a month, when books are closed.
    shift_every : float or None, default=250
        Mean number of runs between two level shifts of a job, a new machine or release, to a new
        level around the usual one (standard deviation of the log 0.3). None: no shifts.
    input_effect : float, default=0.2
        Exponent with which durations grow with the column `input_rows`, a covariate known at the
        start (median a million, log-normal with 0.5). 0 leaves the column out.
    failure_rate : float, default=0.02
        Probability that a job fails once it has started; half fail fast (after 1 to 30 % of their
        time), half slowly (after 1 to 5 times their time).
    timeout : float or None, default=4.0
        Limit of a job as a multiple of its usual seconds, rare for a job that is merely late; a
        job is stopped there with the status ``timeout``. None: no limit.
    n_workers : int or None, default=None
        How many jobs of a run can run at once; jobs that could start wait for a worker, in the
        order in which they became ready. None: no limit.
    gap : float, default=0.0
        Mean seconds that pass before a job that could start does (exponential): scheduler and
        queue.
    interval : str or timedelta, default="1D"
        Time between scheduled starts; actual ones come up to 1 % of it later. Runs overlap where
        it is shorter than they are: try "20min".
    overlap : bool, default=True
        False: a run waits for the end of the one before. Its calendar effects stay those of the
        scheduled start.
    starts : bool, default=False
        Whether the table says when each job started, ``<job>__started_at``. Off, as durations need
        it not.
    random_state : int, RandomState or None, default=None
        Seed. Each ingredient has random numbers of its own: another `failure_rate`, say, leaves
        the true durations as they were.
    return_truth : bool, default=False
        Whether to return the truth too.

    Returns
    -------
    runs : DataFrame
        A run table, see :func:`sklearn_jobtime.runs.validate_runs`. Starts are in UTC from Monday
        2025-01-06 02:00 on.
    truth : Bunch
        Only if `return_truth`. `graph`: dict of job -> jobs it waits for; `linkage` (with
        persistence) and `coupling`: DataFrames (jobs x jobs), row drives column; and with rows like
        `runs` and a column a job, in seconds: `level`; `expected`, the duration without deviation;
        `duration`, the one that the job has or would have had without failure, limit or skipping;
        `oracle`, its median given `expected` and all earlier deviations, so that no forecast has a
        lower mean absolute error in the long run (where runs overlap, not even the oracle's
        knowledge is there at the start); `start`, after the start of the run; `limit`.

    Raises
    ------
    ValueError
        For a graph with a cycle or an unknown job, arrays of a wrong shape, or deviations that grow
        without bound or come near a million times the usual duration.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> runs = make_job_runs(n_runs=100, graph={"load": ["extract"], "extract": []}, random_state=0)
    >>> runs.columns.tolist()
    ['started_at', 'ended_at', 'extract', 'load', 'extract__status', 'load__status', 'input_rows']

    A chain whose first job drives all others in the next run; the first job varies by 30 %, the
    others hardly on their own, so its past tells nearly all about them:

    >>> runs, truth = make_job_runs(
    ...     n_runs=1000, linkage=[[0, 0.9, 0.9, 0.9]] + 3 * [[0, 0, 0, 0]], persistence=0,
    ...     coupling=0, noise=[0.3, 0.05, 0.05, 0.05], random_state=0, return_truth=True)
    >>> last_run_error = truth.duration.diff().abs().mean()
    >>> bool((truth.duration - truth.oracle).abs().mean()["job_1"] < 0.2 * last_run_error["job_1"])
    True
    """
    graph_seed, *seeds = _seed(random_state).spawn(n_series + 1)
    parents = processes.job_graph(graph, n_jobs, np.random.default_rng(graph_seed))
    plan = _Plan(
        graph=parents,
        n_runs=n_runs,
        interval=_microseconds(interval),
        usual=_usual_seconds(level, parents),
        level_spread=0.0 if np.ndim(level) else LEVEL_SPREAD,
        linkage=processes.link_matrix(linkage, parents) + persistence * np.eye(len(parents)),
        coupling=processes.link_matrix(coupling, parents),
        noise=_per_job(noise, "noise", parents),
        season=season,
        month_end=month_end,
        shift_every=shift_every,
        input_effect=input_effect,
        failure_rate=failure_rate,
        timeout=np.inf if timeout is None else timeout,
        n_workers=n_workers,
        gap=gap,
        overlap=overlap,
        starts=starts,
    )
    pipelines = [_one_pipeline(plan, k, seed) for k, seed in enumerate(seeds)]
    runs, order = _stacked([table for table, _ in pipelines])
    if not return_truth:
        return runs
    return runs, _truth_of(plan, [truths for _, truths in pipelines], order, runs.index)


@dataclass(frozen=True)
class _Plan:
    """What all pipelines of a table have in common.

    Parameters
    ----------
    graph : dict of str to list of str
        The jobs, and which ones each waits for.
    n_runs : int
        Runs of each pipeline.
    interval : float
        Microseconds between two scheduled starts.
    usual : ndarray of shape (n_jobs,)
        Seconds that a job usually takes.
    level_spread : float
        Standard deviation with which a pipeline draws the logs of its own usual seconds.
    linkage, coupling : ndarray of shape (n_jobs, n_jobs)
        How strongly deviations drive those of the next run, and of the same run.
    noise : ndarray of shape (n_jobs,)
    season, month_end, shift_every, input_effect, failure_rate, timeout
    n_workers, gap, overlap, starts
        As in :func:`make_job_runs`; `timeout` infinite for no limit.
    """

    graph: processes.Graph
    n_runs: int
    interval: float
    usual: np.ndarray
    level_spread: float
    linkage: np.ndarray
    coupling: np.ndarray
    noise: np.ndarray
    season: float
    month_end: float
    shift_every: float | None
    input_effect: float
    failure_rate: float
    timeout: float
    n_workers: int | None
    gap: float
    overlap: bool
    starts: bool


def _one_pipeline(
    plan: _Plan, number: int, seed: np.random.SeedSequence
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Run table and truths of a pipeline; pipeline `number` starts as many hours after the first.

    Each ingredient draws from a random generator of its own.
    """
    by_job, by_start, by_noise, by_phase, by_shift, by_input, by_failure, by_gap = (
        np.random.default_rng(child) for child in seed.spawn(8)
    )
    shape = (plan.n_runs, len(plan.graph))
    ticks = plan.interval * np.arange(plan.n_runs) + number * pd.Timedelta("1h") / MICROSECOND
    delays = START_JITTER * plan.interval * by_start.random(plan.n_runs)
    scheduled = (ticks + delays).astype(np.int64)
    usual = plan.usual * np.exp(plan.level_spread * by_job.normal(size=len(plan.graph)))
    rows = np.rint(INPUT_ROWS[0] * np.exp(INPUT_ROWS[1] * by_input.normal(size=plan.n_runs)))

    phase = by_phase.uniform(0, 2 * np.pi, len(plan.graph))
    effects = processes.calendar(_times(scheduled), phase, plan.season, plan.month_end)
    effects += plan.input_effect * np.log(rows / INPUT_ROWS[0])[:, None]
    level = processes.levels(usual, plan.n_runs, plan.shift_every, by_shift)
    expected = level * np.exp(effects)
    deviations, forecasts = _deviations(plan, by_noise)
    durations = expected * np.exp(deviations)

    attempts = durations * processes.failures(shape, plan.failure_rate, by_failure)
    limits = np.tile(usual * plan.timeout, (plan.n_runs, 1))
    gaps = plan.gap * by_gap.exponential(size=shape)
    starts, lengths, status = processes.execute(
        durations, attempts, limits, plan.graph, gaps, plan.n_workers
    )
    table = _run_table(plan, scheduled, starts, lengths, status)
    if plan.input_effect:
        table[processes.INPUT_COLUMN] = rows.astype(np.int64)
    return table, {
        "level": level,
        "expected": expected,
        "duration": durations,
        "oracle": expected * np.exp(forecasts),
        "start": starts,
        "limit": limits,
    }


def _deviations(plan: _Plan, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Deviations ``(n_runs, n_jobs)`` of the logs, and their best forecasts from earlier ones."""
    shocks = plan.noise * generator.normal(size=(BURN_IN + plan.n_runs, len(plan.graph)))
    found = processes.propagate(shocks, plan.linkage, plan.coupling)
    deviations, forecasts = (z[BURN_IN:] for z in found)
    if (largest := np.abs(deviations).max()) > LARGEST_DEVIATION:
        raise ValueError(
            f"a duration would be 10^{largest / np.log(10):.0f} times its usual seconds (or that "
            "part of them); lower noise, linkage, coupling or persistence."
        )
    return deviations, forecasts


def _run_table(
    plan: _Plan,
    scheduled: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    status: np.ndarray,
) -> pd.DataFrame:
    """Table of the runs of one pipeline; `starts` are seconds after the start of the run."""
    jobs = list(plan.graph)
    whole = np.ceil(np.nanmax(starts + lengths, axis=1) * 1e6).astype(np.int64)
    started = scheduled if plan.overlap else processes.queue(scheduled, whole)
    times = pd.DataFrame({STARTED_AT: _times(started), ENDED_AT: _times(started + whole)})
    statuses = pd.DataFrame(status, columns=[status_column(job) for job in jobs], dtype=object)
    table = pd.concat([times, pd.DataFrame(lengths, columns=jobs), statuses], axis=1)
    for k, job in enumerate(jobs) if plan.starts else ():
        after = pd.to_timedelta(starts[:, k], unit="s").round("us")
        table[start_column(job)] = (times[STARTED_AT] + after).dt.as_unit("us")
    return table


def _stacked(tables: list[pd.DataFrame]) -> tuple[pd.DataFrame, np.ndarray]:
    """Put the tables of all pipelines into one, in order of start, and return that order too."""
    order, index = _row_order([table[STARTED_AT] for table in tables])
    return pd.concat(tables).iloc[order].set_axis(index), order


def _truth_of(
    plan: _Plan, truths: list[dict[str, np.ndarray]], order: np.ndarray, index: pd.Index
) -> Bunch:
    """Return the truth behind the runs, its tables in their `order` and with their `index`."""
    jobs = list(plan.graph)
    tables = {
        name: pd.DataFrame(np.concatenate([one[name] for one in truths])[order], index, jobs)
        for name in truths[0]
    }
    return Bunch(
        graph=plan.graph,
        linkage=pd.DataFrame(plan.linkage, jobs, jobs),
        coupling=pd.DataFrame(plan.coupling, jobs, jobs),
        **tables,
    )


def _times(microseconds: np.ndarray) -> pd.DatetimeIndex:
    return (FIRST_START + pd.to_timedelta(microseconds, unit="us")).as_unit("us")


def _row_order(starts: list[pd.Series]) -> tuple[np.ndarray, pd.Index]:
    """Order of the stacked rows by start, and their labels: (series, run) for several series."""
    run = np.concatenate([np.arange(len(s)) for s in starts])
    if len(starts) == 1:
        return run, pd.RangeIndex(len(run), name="run")
    order = np.argsort(pd.concat(starts).to_numpy(), kind="stable")
    series = np.repeat([f"pipeline_{k}" for k in range(len(starts))], [len(s) for s in starts])
    return order, pd.MultiIndex.from_arrays([series[order], run[order]], names=["series", "run"])
