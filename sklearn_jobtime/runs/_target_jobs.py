"""Which job each target belongs to: by name, else by the durations that the table shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.runs._schema import WHOLE_RUN, series_of
from sklearn_jobtime.runs._targets import observed_durations

__all__ = ["in_order_of", "in_order_of_rows", "jobs_of_targets", "names_of"]


STEPS = 20  # the farthest step ahead that is looked for
LEAST_ROWS = 5  # with fewer in common nothing is told by value
EQUAL = 0.99  # share of the rows
FAR = 1.0  # logarithm of a ratio of medians


def names_of(y: Any) -> pd.Index | None:
    """Give the names of targets, (step, job) or the job; None where they have none.

    Examples
    --------
    >>> names_of(pd.Series([60.0], name=(1, "build"))).tolist()
    [(1, 'build')]
    >>> names_of(pd.DataFrame({"build": [60.0]})).tolist(), names_of(pd.Series([60.0]))
    (['build'], None)
    """
    if isinstance(y, pd.DataFrame):
        is_turned = list(y.columns.names) == ["job", "step"]
        return y.columns.swaplevel() if is_turned else y.columns
    if not isinstance(y, pd.Series) or y.name is None:
        return None
    if isinstance(y.name, tuple) and len(y.name) == 2:
        return pd.MultiIndex.from_tuples([y.name], names=["step", "job"])
    return pd.Index([y.name])


def _says_nothing(names: pd.Index | None) -> bool:
    return names is None or isinstance(names, pd.RangeIndex)


def _pairs(names: pd.Index) -> list[Any]:
    """Names as (step, job); of a job alone, the first step."""
    if not isinstance(names, pd.MultiIndex):
        return [(1, name) for name in names]
    return list(names)


def in_order_of(y: Any, names: pd.Index | None, what: str = "y") -> Any:
    """Put targets into the order of the names that a model was fitted on.

    Parameters
    ----------
    y : DataFrame, Series or array
        Without names it is taken as it stands.
    names : Index or None
        The order asked for.
    what : str, default="y"
        How an error calls it.

    Raises
    ------
    ValueError
        When the names are not the same.

    Examples
    --------
    >>> y = pd.DataFrame({"test": [7.0], "build": [60.0]})
    >>> in_order_of(y, pd.Index(["build", "test"])).columns.tolist()
    ['build', 'test']
    """
    own = names_of(y)
    if own is None or names is None or _says_nothing(own) or _says_nothing(names):
        return y
    given, asked = _pairs(own), _pairs(names)
    if given == asked or len(set(given)) < len(given):
        return y
    if isinstance(y, pd.DataFrame) and isinstance(own, pd.MultiIndex):
        # make_targets leaves the whole run out where no good run of the table has ended
        unseen = [pair for pair in asked if pair[1] == WHOLE_RUN and pair not in given]
        given += unseen
        y = y.reindex(columns=pd.MultiIndex.from_tuples(given)) if unseen else y
    if set(given) != set(asked):
        if not isinstance(own, pd.MultiIndex) and len(own) == 1:
            job = {name for _, name in asked}
            if own[0] not in job and not isinstance(names, pd.MultiIndex):
                return y  # two names of one column, such as "y" and "target"
        raise ValueError(
            f"{what} has the columns {given}, expected {asked}: give the same jobs and steps, "
            "in any order."
        )
    if isinstance(y, pd.Series):
        return y
    return y.iloc[:, [given.index(pair) for pair in asked]]


def in_order_of_rows(y: Any, X: Any, what: str = "y") -> Any:
    """Put targets into the order of the rows of a table, where both have labels for them.

    Raises
    ------
    ValueError
        When only some of the labels are the same, or one order is by default.
    """
    if not isinstance(X, pd.DataFrame) or not isinstance(y, pd.DataFrame | pd.Series):
        return y
    if len(X) != len(y) or X.index.equals(y.index) or not (y.index.is_unique & X.index.is_unique):
        return y
    shared = y.index.isin(X.index) if X.index.nlevels == y.index.nlevels else np.zeros(1, bool)
    if not shared.any() or (not shared.all() and _is_default(y.index, X.index)):
        return y
    if shared.all() and not _is_default(y.index, X.index):
        return y.loc[X.index]
    raise ValueError(
        f"{what} and X have other row labels, or the same in another order: X begins with "
        f"{X.index[:3].tolist()}, {what} with {y.index[:3].tolist()}. Give {what}.loc[X.index], or "
        "arrays where the order of the rows is right as it stands."
    )


def _is_default(*indexes: pd.Index) -> bool:
    return any(
        isinstance(one, pd.RangeIndex) and one.start == 0 and one.step == 1 for one in indexes
    )


def jobs_of_targets(
    X: pd.DataFrame, names: pd.Index | None, targets: Floats, estimator: str
) -> list[Any]:
    """Tell the job of each target.

    Parameters
    ----------
    X : DataFrame
        A run table, whose durations say which job a target without a name is.
    names : Index or None
        Of the targets: (step, job), or jobs of the table.
    targets : ndarray of shape (n, n_outputs)
    estimator : str
        How an error calls the estimator.

    Returns
    -------
    list, one a target

    Raises
    ------
    ValueError
        When a target is no job's, or could be that of several.
    """
    named = [pair[-1] for pair in _pairs(names)] if isinstance(names, pd.MultiIndex) else None
    own = None if named is None else [job for job in dict.fromkeys(named) if job in X] or None
    seconds = observed_durations(X, own)
    jobs = list(seconds.columns)
    if names is not None and all(name in jobs for name in names):
        named = list(names)
    if named is not None:
        for job, target in zip(named, targets.T, strict=True):
            if job in jobs:
                _check_seconds(target, seconds[job].to_numpy(), job, estimator)
        return named
    n_outputs = targets.shape[1]
    by_position = [k % len(jobs) for k in range(n_outputs)]
    durations, series = seconds.to_numpy(), series_of(X.index)
    if (durations < 0).any():  # no durations
        return [jobs[k] for k in by_position]
    steps = [k // len(jobs) + 1 for k in range(n_outputs)]
    return [
        jobs[_job_by_value(target, durations, series, place, step, jobs, estimator)]
        for target, place, step in zip(targets.T, by_position, steps, strict=True)
    ]


def _job_by_value(
    target: Floats,
    durations: Floats,
    series: Any,
    place: int,
    step: int,
    jobs: Sequence[Any],
    estimator: str,
) -> int:
    """Find the job whose durations, some steps ahead, are those of a target; else by position."""
    if _equal_share(target, _ahead(durations[:, [place]], series, step))[0] >= EQUAL:
        return place
    shares = np.zeros(len(jobs))
    for ahead in range(1, STEPS + 1):
        shares = np.fmax(shares, _equal_share(target, _ahead(durations, series, ahead)))
    if np.isnan(shares[place]) or np.isnan(target).all():
        return place
    best = np.flatnonzero(shares >= EQUAL)
    if place in best:
        return place
    if len(best) == 1:
        return int(best[0])
    if len(best) > 1:
        raise ValueError(
            f"a target without a name has the durations of {[jobs[k] for k in best.tolist()]} "
            f"alike, and not those of {jobs[place]!r}, at whose position it stands; pass "
            f"{estimator} the DataFrame of make_targets, whose columns have names."
        )
    _check_seconds(target, durations[:, place], jobs[place], estimator)
    return place


def _check_seconds(target: Floats, durations: Floats, job: Any, estimator: str) -> None:
    """Raise an error where targets are not of the size of the durations of their job."""
    both = ~np.isnan(target) & ~np.isnan(durations)
    if both.sum() < LEAST_ROWS or (durations[both] < 0).any():
        return
    value, own = float(np.median(target[both])), float(np.median(durations[both]))
    if own <= 0 or (value > 0 and abs(np.log(value / own)) < FAR):
        return
    raise ValueError(
        f"the targets of {job!r} have the median {value:.4g}, its durations in the table "
        f"{own:.4g} seconds: {estimator} forecasts the jobs of the table in seconds. Pass the "
        "DataFrame of make_targets, or name another job; transform forecasts, not targets "
        "(minutes, logarithms, deviations)."
    )


def _ahead(durations: Floats, series: Any, step: int) -> Floats:
    if step == 1:
        return durations
    if not series.any():
        later = np.full_like(durations, np.nan)
        later[: max(len(durations) - step + 1, 0)] = durations[step - 1 :]
        return later
    return pd.DataFrame(durations).groupby(series).shift(1 - step).to_numpy()


def _equal_share(target: Floats, durations: Floats) -> Floats:
    """Share of the rows seen in both in which they are equal; NaN where these are too few."""
    both = ~np.isnan(target)[:, None] & ~np.isnan(durations)
    equal = both & np.isclose(target[:, None], durations, rtol=1e-6, atol=1e-9)
    count = both.sum(axis=0)
    share = equal.sum(axis=0) / np.maximum(count, 1)
    return np.where(count >= LEAST_ROWS, share, np.nan)
