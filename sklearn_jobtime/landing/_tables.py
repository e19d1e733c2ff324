"""Tables of landings: each job of each run, and what a change would do to them."""

from collections.abc import Mapping
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import row_label
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.conformal._quantiles import confidence_levels, warn_if_too_few
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.landing._forecaster import LandingForecaster
from sklearn_jobtime.landing._live import LandingPaths, RunPlan, play
from sklearn_jobtime.landing._nights import NightSoFar
from sklearn_jobtime.landing._run_times import SECOND, utc_moments
from sklearn_jobtime.landing._what_if import WhatIf
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN
from sklearn_jobtime.runs._timeline import later
from sklearn_jobtime.runs._validation import to_utc

__all__ = ["compare_landings", "landing_table", "rank_jobs"]


Deadlines = float | Mapping[Any, float] | None
TIMES = ("starts", "lands", "lower", "upper")  # that a table has also as moments


def landing_table(
    model: LandingForecaster,
    runs: pd.DataFrame,
    *,
    now: Any = None,
    deadlines: Deadlines = None,
    confidence_level: float | None = None,
    plans: list[RunPlan] | None = None,
) -> pd.DataFrame:
    """Say of each job of runs when it lands, how surely, and what depends on it.

    Parameters
    ----------
    model : LandingForecaster
        A fitted one.
    runs : DataFrame
        Rows of runs to come or under way.
    now : Timestamp, str or None, default=None
        What of the runs is known by then. None takes each run as it starts.
    deadlines : float or dict of job -> float, default=None
        Seconds after the start of the run, one for all or one for each job; ``whole_run`` is the
        run itself.
    confidence_level : float, default=None
        Of the intervals; None takes that of the model.
    plans : list of RunPlan, default=None
        What :meth:`LandingForecaster.plans` said of these runs. With it a run that goes on is
        forecast anew in milliseconds.

    Returns
    -------
    DataFrame
        Indexed as `runs`, one row a job and one for ``whole_run``. `state`: "landed", "running",
        "waiting", "failed" or "blocked" (it waits for one that failed). `starts`, `lands`,
        `lower`, `upper`: seconds after the start of the run, NaN for what does not land, and where
        the table has times `lands_at`, `lower_at`, `upper_at`. `slack`: how many seconds later the
        job could start without the run landing later, in the median. `critical`: the chance that
        the run waits for it. `deadline` and `chance`: that it has landed by then.

    Raises
    ------
    RunTableError
        When `now` lies before the start of a run, or the table has no times.
    ValueError
        When a deadline is that of an unknown job.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.landing import LandingForecaster, landing_table
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=200, n_jobs=2, failure_rate=0, random_state=0)
    >>> model = LandingForecaster(RollingRule(), "job_0>job_1", random_state=0)
    >>> model = model.fit(runs[:-1], make_targets(runs[:-1]))
    >>> table = landing_table(model, runs[-1:], deadlines={"whole_run": 3600.0})
    >>> table[["job", "state", "critical"]].values.tolist()
    [['job_0', 'waiting', 1.0], ['job_1', 'waiting', 1.0], ['whole_run', 'waiting', 1.0]]
    """
    runs = _checked(model, runs)
    seconds = seconds_since_start(runs, now)
    limits = _limits(model, deadlines)
    level = model.confidence_level if confidence_level is None else confidence_level
    levels, _ = confidence_levels(level)
    warn_if_too_few(model.n_nights_, levels, levels)
    parts = []
    for plan, so_far, drawn in model._so_far(runs, seconds, plans):
        paths = play(plan, drawn, so_far)
        one = _of_run(model, paths, so_far, level)
        if deadlines is not None:
            one |= {"deadline": limits, "chance": _chances(model, paths, so_far, limits)}
        parts.append(one)
    columns = _stacked(parts)
    if STARTED_AT in runs:
        columns |= _moments(columns, runs)
    return pd.DataFrame(columns, index=runs.index.repeat(len(model.jobs_) + 1))


def compare_landings(
    model: LandingForecaster,
    runs: pd.DataFrame,
    what_if: WhatIf,
    *,
    now: Any = None,
    deadlines: Deadlines = None,
    confidence_level: float | None = None,
    plans: list[RunPlan] | None = None,
) -> pd.DataFrame:
    """Say when jobs would land if something were changed, on the same sample paths.

    Parameters
    ----------
    model, runs, now, deadlines, plans
        As for :func:`landing_table`.
    what_if : WhatIf
    confidence_level : float, default=None
        Of the interval of the difference; None takes that of the model.

    Returns
    -------
    DataFrame
        One row a job: `lands` and `lands_then` in seconds after the start of the run, the median
        `difference` (negative is sooner) with `lower` and `upper`, and with deadlines `chance` and
        `chance_then`.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.landing import LandingForecaster, WhatIf, compare_landings
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=200, n_jobs=2, failure_rate=0, random_state=0)
    >>> model = LandingForecaster(RollingRule(), "job_0>job_1", random_state=0)
    >>> model = model.fit(runs[:-1], make_targets(runs[:-1]))
    >>> table = compare_landings(model, runs[-1:], WhatIf(scale={"job_0": 0.5}))
    >>> table["job"].tolist(), bool((table["upper"] < 0).all())
    (['job_0', 'job_1', 'whole_run'], True)
    """
    runs = _checked(model, runs)
    what_if.check(model._precedence)
    limits = _limits(model, deadlines)
    level = model.confidence_level if confidence_level is None else confidence_level
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    parts = []
    seconds = seconds_since_start(runs, now)
    for plan, so_far, drawn in model._so_far(runs, seconds, plans):
        if what_if.start_later and not so_far.is_at_start:
            raise ValueError(
                f"start_later is {what_if.start_later!r}, but the run has started; leave it out, "
                "or leave out now."
            )
        before, then = play(plan, drawn, so_far), play(plan, drawn, so_far, what_if)
        lower, middle, upper = np.quantile(then.landings - before.landings, tails, axis=0)
        one = {
            "job": [*model.jobs_, WHOLE_RUN],
            "lands": np.median(before.landings, axis=0),
            "lands_then": np.median(then.landings, axis=0),
            "difference": middle,
            "lower": lower,
            "upper": upper,
        }
        if deadlines is not None:
            one["deadline"] = limits
            one["chance"] = _chances(model, before, so_far, limits)
            one["chance_then"] = _chances(model, then, so_far, limits)
        parts.append(one)
    return pd.DataFrame(_stacked(parts), index=runs.index.repeat(len(model.jobs_) + 1))


def rank_jobs(
    model: LandingForecaster,
    runs: pd.DataFrame,
    *,
    faster: float = 600.0,
    now: Any = None,
    plans: list[RunPlan] | None = None,
) -> pd.DataFrame:
    """Say which job, so many seconds faster, makes runs land earliest.

    Parameters
    ----------
    model, runs, now, plans
        As for :func:`landing_table`.
    faster : float, default=600.0
        Seconds; ten minutes.

    Returns
    -------
    DataFrame
        Indexed as `runs`, one row a job, the one that helps most first: `saves`, the mean seconds
        by which the run lands earlier, and `critical`, the chance that the run waits for it.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.landing import LandingForecaster, rank_jobs
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=60, n_jobs=2, failure_rate=0, random_state=0)
    >>> model = LandingForecaster(RollingRule(), "job_0>job_1", n_paths=50, random_state=0)
    >>> model = model.fit(runs[:-1], make_targets(runs[:-1]))
    >>> rank_jobs(model, runs[-1:], faster=60.0)["saves"].round().tolist()
    [60.0, 60.0]
    """
    runs = _checked(model, runs)
    parts = []
    seconds = seconds_since_start(runs, now)
    for plan, so_far, drawn in model._so_far(runs, seconds, plans):
        before = play(plan, drawn, so_far)
        saves = []
        for job in model.jobs_:
            then = play(plan, drawn, so_far, WhatIf(faster={job: faster}))
            saves.append(float(np.mean(before.whole - then.whole)))
        best_first = np.argsort(-np.array(saves), kind="stable")
        parts.append(
            {
                "job": [model.jobs_[k] for k in best_first],
                "saves": np.array(saves)[best_first],
                "critical": before.played.critical().mean(axis=0)[best_first],
            }
        )
    return pd.DataFrame(_stacked(parts), index=runs.index.repeat(len(model.jobs_)))


def _checked(model: LandingForecaster, runs: Any) -> pd.DataFrame:
    check_is_fitted(model)
    if not hasattr(runs, "columns"):
        raise TypeError(f"runs is of type {type(runs).__name__}; expected a run table.")
    runs = model._checked(runs, reset=False)
    if not len(runs):
        raise RunTableError("runs has no rows; expected the rows of runs to come or under way.")
    return runs


def seconds_since_start(runs: pd.DataFrame, now: Any) -> Floats | None:
    """Seconds from the start of each run until now.

    Raises
    ------
    RunTableError
        When the table has no starts, or now is before one of them.
    """
    if now is None:
        return None
    if STARTED_AT not in runs:
        raise RunTableError(
            f"now came, but the table has no column {STARTED_AT!r}; add it, or leave now out to "
            "take each run as it starts."
        )
    [moment] = utc_moments(pd.Series([now], name="now"))
    seconds = (moment - utc_moments(runs[STARTED_AT])) / SECOND
    if (seconds < 0).any():
        early = int(np.nanargmin(seconds))
        raise RunTableError(
            f"now is {moment}Z, before the start of run {row_label(runs.index, early)} at "
            f"{to_utc(runs[STARTED_AT]).iloc[early]}; expected a moment from its start on."
        )
    return seconds


def _limits(model: LandingForecaster, deadlines: Deadlines) -> Floats:
    """Give the deadline of each job and of the run, infinite where there is none."""
    names = [*model.jobs_, WHOLE_RUN]
    if not isinstance(deadlines, Mapping):
        deadlines = {} if deadlines is None else dict.fromkeys(names, deadlines)
    if unknown := [job for job in deadlines if job not in names]:
        raise ValueError(f"a deadline of {unknown[0]!r} came; expected one of {names}.")
    for job, seconds in deadlines.items():
        if not isinstance(seconds, Real) or np.isnan(seconds):
            raise ValueError(
                f"the deadline of {job!r} is {seconds!r}; expected seconds after the start of the "
                "run."
            )
    return np.array([float(deadlines.get(name, np.inf)) for name in names])


def _chances(
    model: LandingForecaster, paths: LandingPaths, so_far: NightSoFar, limits: Floats
) -> Floats:
    """Chance of each deadline; 0 or 1 where it is known, NaN where there is none."""
    chances = model.chance_of(paths, limits, so_far.now)
    return np.where(np.isinf(limits), np.nan, chances)


def _of_run(
    model: LandingForecaster, paths: LandingPaths, so_far: NightSoFar, level: float
) -> dict[str, Any]:
    played = paths.played
    bounds = model.interval_of(paths, np.array([level]), so_far.now, together=False)[..., 0]
    has_ended = not np.isnan(so_far.whole)
    states = np.select(
        [paths.is_known, so_far.stopped, paths.blocked, so_far.is_running],
        ["landed", "failed", "blocked", "running"],
        "waiting",
    ).tolist()
    of_run = "running" if so_far.now > 0 else "waiting"
    if paths.blocked.any():
        of_run = "failed" if has_ended else "blocked"
    elif has_ended:
        of_run = "landed"
    gone = np.append(paths.blocked, False)
    starts = np.append(np.median(played.starts, axis=0), 0.0)
    slack = np.append(np.median(played.slack(model._precedence), axis=0), 0.0)
    return {
        "job": [*model.jobs_, WHOLE_RUN],
        "state": [*states, of_run],
        "starts": np.where(gone & ~np.append(so_far.stopped, False), np.nan, starts),
        "lands": np.median(paths.landings, axis=0),
        "lower": bounds[:, 0],
        "upper": bounds[:, 1],
        "slack": np.where(gone, np.nan, slack),
        "critical": np.where(gone, np.nan, np.append(played.critical().mean(axis=0), 1.0)),
    }


def _stacked(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the columns of several runs below each other."""
    return {
        name: [*chain.from_iterable(part[name] for part in parts)]
        if isinstance(values, list)
        else np.concatenate([part[name] for part in parts])
        for name, values in parts[0].items()
    }


def _moments(columns: dict[str, Any], runs: pd.DataFrame) -> dict[str, Any]:
    """Give the moments at which jobs start and land."""
    n_rows = len(columns["job"])
    began = np.repeat(utc_moments(runs[STARTED_AT]), n_rows // len(runs))
    started = pd.Series(pd.DatetimeIndex(np.tile(began, len(TIMES)), tz="UTC"))
    moments = later(started, pd.Series(np.concatenate([columns[name] for name in TIMES]))).array
    return {f"{name}_at": moments[k * n_rows :][:n_rows] for k, name in enumerate(TIMES)}
