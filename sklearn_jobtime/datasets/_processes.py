"""The processes behind simulated runs: which job waits for which, deviations, failures, times.

All arrays have the shape (n_runs, n_jobs) unless said otherwise; jobs stand in topological order.
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_jobtime.graph import job_graph as read_graph
from sklearn_jobtime.runs._schema import RESERVED

Graph = dict[str, list[str]]

SHIFT_SIZE = 0.3  # standard deviation of log level among the epochs of a job
FAST_FAILURE = (0.01, 0.3)  # share of the true duration after which a fast failure ends
SLOW_FAILURE = (1.0, 5.0)  # a slow one: retries and hanging
INPUT_COLUMN = "input_rows"


SHAPES = ("chain", "diamond", "fan_out", "independent", "random")


def job_graph(graph: Any, n_jobs: int, rng: np.random.Generator) -> Graph:
    """Parents of each job, in topological order."""
    if isinstance(graph, str) and ">" not in graph and graph not in SHAPES:
        raise ValueError(
            f"graph={graph!r}: expected one of {', '.join(SHAPES)}, edges such as 'extract>load', "
            "a dict of job -> jobs that it waits for, a list of pairs or a networkx DiGraph."
        )
    if isinstance(graph, Mapping):
        return _checked_graph(graph)
    if not isinstance(graph, str) or graph not in SHAPES:
        read = read_graph(graph)
        return _checked_graph({job: list(read.predecessors(job)) for job in read})
    names = [f"job_{j}" for j in range(n_jobs)]
    if graph == "chain":
        return {name: names[max(j - 1, 0) : j] for j, name in enumerate(names)}
    if graph == "diamond" and n_jobs > 2:
        middle = names[1:-1]
        return {names[0]: [], **{name: [names[0]] for name in middle}, names[-1]: middle}
    if graph == "diamond":
        raise ValueError(f"a diamond has at least 3 jobs, got n_jobs={n_jobs}.")
    if graph == "fan_out":
        return {name: names[: min(j, 1)] for j, name in enumerate(names)}
    parents: Graph = {name: [] for name in names}
    if graph == "random":
        for j in range(1, n_jobs):
            chosen = rng.choice(j, size=rng.integers(1, min(j, 2) + 1), replace=False)
            parents[names[j]] = [names[i] for i in sorted(chosen)]
    return parents


def _checked_graph(graph: Mapping[str, Sequence[str]]) -> Graph:
    parents = {job: list(dict.fromkeys(waits_for)) for job, waits_for in graph.items()}
    if not parents:
        raise ValueError("graph has no job: expected a dict of job -> jobs that it waits for.")
    for job, waits_for in parents.items():
        if not isinstance(job, str) or job in RESERVED or "__" in job or job == INPUT_COLUMN:
            raise ValueError(
                f"{job!r} cannot be the name of a job: expected a string without double "
                f"underscore, other than {', '.join(RESERVED)} and {INPUT_COLUMN}."
            )
        if unknown := [parent for parent in waits_for if parent not in parents]:
            raise ValueError(
                f"job {job!r} waits for {unknown[0]!r}, which is no job of the graph; add "
                f"{unknown[0]!r}: [] to it."
            )
    try:
        order = list(TopologicalSorter(parents).static_order())
    except CycleError as error:
        raise ValueError(f"graph has a cycle, {' -> '.join(error.args[1])}; remove one.") from error
    return {job: parents[job] for job in order}


def link_matrix(strength: float | ArrayLike, graph: Graph) -> np.ndarray:
    """Strength at [i, j] with which job i drives job j; a number is shared among the parents."""
    given = np.asarray(strength, dtype=float)
    expected = (len(graph), len(graph))
    if given.ndim and given.shape != expected:
        raise ValueError(
            f"linkage has shape {given.shape}, expected {expected}: one row and one column for "
            f"each of {list(graph)}."
        )
    if not np.isfinite(given).all():
        raise ValueError(f"linkage must be finite, got {strength!r}.")
    if given.ndim:
        return given
    place = {job: j for j, job in enumerate(graph)}
    matrix = np.zeros(expected)
    for job, parents in graph.items():
        matrix[[place[p] for p in parents], place[job]] = given / max(len(parents), 1)
    return matrix


def propagate(
    shocks: np.ndarray, linkage: np.ndarray, coupling: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Deviations ``z[t] = z[t-1] @ linkage + z[t] @ coupling + shocks[t]``, and their forecasts.

    The forecast is the mean of ``z[t]`` given all earlier runs.
    """
    # z[t] stands on both sides: solved, it reacts to everything upstream in its own run.
    within = np.linalg.inv(np.eye(len(coupling)) - coupling)
    step = linkage @ within
    growth = np.abs(np.linalg.eigvals(step)).max()
    if growth >= 1:
        raise ValueError(
            f"persistence, linkage and coupling make deviations grow {growth:.3g}-fold from run to "
            "run, expected less than 1; lower them."
        )
    deviations, forecasts = shocks @ within, np.zeros_like(shocks)
    for t in range(1, len(shocks)):
        forecasts[t] = deviations[t - 1] @ step
        deviations[t] += forecasts[t]
    return deviations, forecasts


def levels(
    base: np.ndarray, n_runs: int, shift_every: float | None, rng: np.random.Generator
) -> np.ndarray:
    """Level of each job at each run; at a shift a job takes a new one around its base."""
    if shift_every is None:
        return np.tile(base, (n_runs, 1))
    shifts = rng.random((n_runs, len(base))) < 1 / shift_every
    shifts[0] = False
    sizes = rng.normal(0, SHIFT_SIZE, shifts.shape)
    sizes[0] = 0
    since = np.maximum.accumulate(np.where(shifts, np.arange(n_runs)[:, None], 0), axis=0)
    return base * np.exp(np.take_along_axis(sizes, since, axis=0))


def calendar(
    times: pd.DatetimeIndex, phase: np.ndarray, season: float, month_end: float
) -> np.ndarray:
    """Log effect of the calendar: a weekly wave for each job, and the last day of a month."""
    week = (times.day_of_week * 24 + times.hour + times.minute / 60).to_numpy() / (7 * 24)
    wave = season * np.sin(2 * np.pi * week[:, None] + phase)
    return wave + month_end * times.is_month_end.astype(float)[:, None]


def execute(
    durations: np.ndarray,
    attempts: np.ndarray,
    limits: np.ndarray,
    graph: Graph,
    gaps: np.ndarray | float = 0.0,
    n_workers: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Play the runs: start of each job after its run's, seconds it ran, and its status.

    A job is ready `gaps` seconds after its parents have ended, and starts when one of `n_workers`
    is free. `attempts` are the seconds after which a failing job fails, NaN where it succeeds. The
    first failure or time-out of a run ends the run.
    """
    lengths = np.where(np.isnan(attempts), durations, attempts)
    status = np.where(np.isnan(attempts), "success", "failed").astype(object)
    status[lengths > limits] = "timeout"
    lengths = np.minimum(lengths, limits)

    waits: np.ndarray = np.zeros_like(lengths) + gaps
    place = {job: j for j, job in enumerate(graph)}
    above = [[place[p] for p in parents] for parents in graph.values()]
    if n_workers is None:
        starts = np.array(waits)
        for j, parents in enumerate(above):
            if parents:
                starts[:, j] += (starts[:, parents] + lengths[:, parents]).max(axis=1)
    else:
        starts = _by_workers(lengths, above, waits, n_workers)

    ends = starts + lengths
    halt = ends.min(axis=1, where=status != "success", initial=np.inf, keepdims=True)
    cut = (starts < halt) & (ends > halt)
    status[cut] = "cancelled"
    lengths = np.where(cut, halt - starts, lengths)
    skipped = starts >= halt
    status[skipped] = "skipped"
    return np.where(skipped, np.nan, starts), np.where(skipped, np.nan, lengths), status


def _by_workers(
    lengths: np.ndarray, above: list[list[int]], gaps: np.ndarray, n_workers: int
) -> np.ndarray:
    """Start jobs that wait for their parents, then for a worker: the first ready one first."""
    n_runs, n_jobs = lengths.shape
    rows, starts = np.arange(n_runs), np.full(lengths.shape, np.nan)
    free = np.zeros((n_runs, min(n_workers, n_jobs)))  # when each worker is
    for _ in range(n_jobs):
        ready = np.array(gaps)
        for j, parents in enumerate(above):
            if parents:
                ready[:, j] += (starts[:, parents] + lengths[:, parents]).max(axis=1)
        ready[~np.isnan(starts) | np.isnan(ready)] = np.inf  # started, or its parents have not
        worker = free.argmin(axis=1)
        begins = np.maximum(ready, free[rows, worker][:, None])
        first = begins == begins.min(axis=1, keepdims=True)
        job = np.where(first, ready, np.inf).argmin(axis=1)
        starts[rows, job] = begins[rows, job]
        free[rows, worker] = starts[rows, job] + lengths[rows, job]
    return starts


def failures(shape: tuple[int, int], rate: float, rng: np.random.Generator) -> np.ndarray:
    """When a job fails, as a share of its duration; NaN where it succeeds."""
    failing, fast = rng.random(shape) < rate, rng.random(shape) < 0.5
    share = np.where(fast, rng.uniform(*FAST_FAILURE, shape), rng.uniform(*SLOW_FAILURE, shape))
    return np.where(failing, share, np.nan)


def queue(scheduled: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Start each run when it is due and the run before has ended.

    Unrolled, ``max(scheduled[t], start[t-1] + length[t-1])`` is the largest of
    ``scheduled[k] + length[k] + ... + length[t-1]`` over k <= t.
    """
    before = np.cumsum(lengths) - lengths
    return before + np.maximum.accumulate(scheduled - before)
