"""Whether probabilities hold: of the runs said to be done in time with 70 %, 70 % should be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from sklearn_jobtime.deadlines import DurationDistribution
from sklearn_jobtime.runs import targets_named

__all__ = [
    "expected_calibration_error",
    "held_out_events",
    "reliability",
    "reliability_of_deadlines",
]

MULTIPLES = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
ELAPSED = (0.0, 0.5, 1.0, 1.5)


def held_out_events(
    known: DurationDistribution,
    forecasts: ArrayLike,
    targets: ArrayLike,
    at_least: ArrayLike | None = None,
    *,
    multiples: Sequence[float] = MULTIPLES,
    elapsed: Sequence[float] = ELAPSED,
) -> pd.DataFrame:
    """Ask of runs of the past whether they would be done by many deadlines, and whether they were.

    Parameters
    ----------
    known : DurationDistribution
        From runs older than these.
    forecasts, targets : array-like of shape (n_runs, n_outputs)
        Forecasts and durations in seconds; a run whose duration is NaN is left out.
    at_least : array-like of the same shape, default=None
        For runs that were cut off: how long they took at least. They had not ended by any earlier
        moment; of later ones nothing is known.
    multiples : sequence of float
        The deadlines, in units of the forecast.
    elapsed : sequence of float
        When it is asked, in units of the forecast since the start, of the runs that still ran.

    Returns
    -------
    DataFrame
        One row a question: `row` and `output` of the run, `elapsed`, `deadline` (both in units of
        the forecast), `probability`, and whether it `happened`.
    """
    forecast, target = (np.atleast_2d(np.asarray(part, float)) for part in (forecasts, targets))
    bound = np.full(target.shape, np.nan) if at_least is None else np.asarray(at_least, float)
    reached = np.where(np.isnan(target), bound, target)  # NaN compares as False below
    columns = ("row", "output", "elapsed", "deadline", "probability", "happened")
    parts = []
    for gone in elapsed:
        for deadline in (multiple for multiple in multiples if multiple > gone):
            still = reached > gone * forecast if gone else ~np.isnan(reached)
            asked = still & (~np.isnan(target) | (bound >= deadline * forecast))
            chance = known.done_by(forecast, deadline * forecast, gone * forecast)[asked]
            row, output = np.nonzero(asked)
            when = np.full(len(row), gone), np.full(len(row), deadline)
            parts.append((row, output, *when, chance, (target <= deadline * forecast)[asked]))
    answers = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return pd.DataFrame(dict(zip(columns, answers, strict=True)))


def reliability(
    probability: ArrayLike,
    happened: ArrayLike,
    *,
    n_bins: int = 10,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Compare probabilities with how often it happened: of those said 70 %, about 70 % should.

    Parameters
    ----------
    probability : array-like of shape (n,)
        What was said, from 0 to 1.
    happened : array-like of shape (n,)
        What came of it, 0 or 1.
    n_bins : int, default=10
        Bins of equal width: tens of percents.
    confidence_level : float, default=0.95
        Of the bounds of the observed share.

    Returns
    -------
    DataFrame
        One row a bin that holds any: `low` and `high` of the bin, `n`, `predicted` (mean
        probability), `observed` (share that happened), and its exact binomial bounds
        `observed_low` and `observed_high`. These take the answers as independent; several
        questions of one run are not, and then the bounds are too narrow.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26(4), 1934.

    Examples
    --------
    >>> from sklearn_jobtime.reliability import reliability
    >>> table = reliability([0.1, 0.75, 0.75, 0.75, 0.75], [0, 1, 1, 1, 0])
    >>> table[["low", "high", "n", "predicted", "observed"]]
       low  high  n  predicted  observed
    0  0.1   0.2  1       0.10      0.00
    1  0.7   0.8  4       0.75      0.75
    """
    said, came = np.asarray(probability, np.float64), np.asarray(happened, np.float64)
    if said.shape != came.shape or not ((said >= 0) & (said <= 1)).all():
        raise ValueError(
            f"expected one outcome for each probability between 0 and 1, got shapes {said.shape} "
            f"and {came.shape}."
        )
    place = np.minimum((said * n_bins + 1e-9).astype(int), n_bins - 1)
    bins = pd.DataFrame({"predicted": said, "observed": came}).groupby(place)
    table = bins.mean()
    table.insert(0, "n", bins.size())
    table.insert(0, "high", (table.index + 1) / n_bins)
    table.insert(0, "low", table.index / n_bins)
    table[["observed_low", "observed_high"]] = [
        binomtest(int(k), int(n)).proportion_ci(confidence_level)
        for k, n in zip(bins["observed"].sum(), table["n"], strict=True)
    ]
    return table.reset_index(drop=True)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of what was said from what came, over all answers of :func:`reliability`.

    Examples
    --------
    >>> from sklearn_jobtime.reliability import expected_calibration_error, reliability
    >>> round(expected_calibration_error(reliability([0.2, 0.9, 0.9], [0, 1, 0])), 3)
    0.333
    """
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["n"]))


def reliability_of_deadlines(
    model: Any, runs: pd.DataFrame, is_test: NDArray[np.bool_]
) -> pd.DataFrame:
    """Check the chances that follow from the held-out runs of a model on runs after these.

    Parameters
    ----------
    model : ConformalForecaster
        Fitted on the runs before the marked ones, with targets of
        :func:`~sklearn_jobtime.runs.make_targets`.
    runs : DataFrame
        The whole validated run table, so that each run has its full history.
    is_test : ndarray of bool, shape (n_runs,)
        The runs to check, as :func:`~sklearn_jobtime.timeline.split_by_time` marks them.

    Returns
    -------
    DataFrame
        The :func:`reliability` of the answers to all :func:`held_out_events`.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.conformal import ConformalForecaster
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.reliability import (
    ...     expected_calibration_error, reliability_of_deadlines)
    >>> from sklearn_jobtime.runs import make_targets
    >>> from sklearn_jobtime.timeline import split_by_time
    >>> runs = make_job_runs(n_runs=500, n_jobs=1, random_state=0)
    >>> train, is_test = split_by_time(runs)
    >>> model = ConformalForecaster(RollingRule("median")).fit(train, make_targets(train))
    >>> bool(expected_calibration_error(reliability_of_deadlines(model, runs, is_test)) < 0.1)
    True
    """
    y = targets_named(runs, model.target_names_)
    forecasts = np.reshape(model.predict(runs), y.shape)[is_test]
    known = DurationDistribution.from_forecaster(model)
    events = held_out_events(known, forecasts, y[is_test])
    return reliability(events["probability"], events["happened"])
