"""Whether probabilities hold: of the runs said to be done in time with 70 %, 70 % should be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_jobtime._containers import plain_table, seconds_of
from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._duration_distribution import DurationDistribution
from sklearn_jobtime.conformal._kaplan_meier import survival_masses
from sklearn_jobtime.evaluation._coverage import share_bounds
from sklearn_jobtime.runs._log_ratio import log_ratio
from sklearn_jobtime.runs._schema import WHOLE_RUN
from sklearn_jobtime.runs._targets import make_lower_bounds, targets_named

__all__ = [
    "expected_calibration_error",
    "holdout_events",
    "reliability",
    "reliability_of_deadlines",
]


MULTIPLES = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
ELAPSED = (0.0, 0.5, 1.0, 1.5)
TIE = 1e-9  # shares of runs this close are the same


def answer_weights(ratios: Floats, is_censored: Mask, has_ended: Mask, goes_on: Mask) -> Floats:
    """How many runs each answer to one question stands for: done by the deadline, or not.

    A run that was censored before the deadline does not answer. Its place take, in equal parts, the
    runs that lasted longer than it: this is the weighting by the inverse probability of not being
    censored, and its weighted share of runs done is the estimate of Kaplan and Meier.

    Parameters
    ----------
    ratios : ndarray of shape (n,)
        How long the runs that are asked took, or took at least.
    is_censored : ndarray of bool, shape (n,)
        Which ones are the latter.
    has_ended, goes_on : ndarray of bool, shape (n,)
        Which runs had surely ended by the deadline, and which had surely not.

    Returns
    -------
    ndarray of shape (n,)
        With the sum n; 0 where a run does not answer. All are 0 where runs were censored before the
        deadline and none is known to outlast it: nobody knows the share of these.

    Examples
    --------
    >>> took, cut = np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, False])
    >>> answer_weights(took, cut, ~cut & (took <= 3.5), took > 3.5)
    array([1. , 0. , 1.5, 1.5])
    """
    if not is_censored.any():
        return np.ones(len(ratios))
    stands_for = len(ratios) * survival_masses(ratios, is_censored, one_more=False)
    weights = np.where(has_ended, stands_for, 0.0)
    left = len(ratios) - weights.sum()
    if goes_on.any():
        return np.where(goes_on, left / goes_on.sum(), weights)
    return weights if left < TIE * len(ratios) else np.zeros(len(ratios))


def holdout_events(
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
        Forecasts and durations in seconds; a run whose duration is NaN is left out, unless it was
        right-censored.
    at_least : array-like of the same shape, default=None
        Lower bounds of right-censored runs. They had not ended by any earlier
        moment; of later ones nothing is known, and there others of their output stand for them.
    multiples : sequence of float
        The deadlines, in units of the forecast.
    elapsed : sequence of float
        When it is asked, in units of the forecast since the start, of the runs that still ran.
        No question is about a time that the clock of an output does not tell from 0 (`least_` of
        `known`).

    Returns
    -------
    DataFrame
        One row a question: `row` and `output` of the run, `elapsed`, `deadline` (both in units of
        the forecast), `probability`, whether it `happened`, and `weight`: how many runs the answer
        stands for, 1 where no run was censored. Questions to which `known` has no answer (NaN) are
        left out.

    Notes
    -----
    Of right-censored runs, only the answers "not yet" are known, so without weights too few
    would seem to be done; and without these runs too many, because it is the long ones that are
    censored. The weights mend both, if censoring had nothing to do with how many times its forecast
    a run would have taken: so it is with a limit, or with runs that still go on, not with runs that
    a person cancels. Within an output they also take all series and all forecasts to be
    censored alike, and one run may stand for many where most were censored.

    References
    ----------
    E. Graf, C. Schmoor, W. Sauerbrei, M. Schumacher, "Assessment and comparison of prognostic
    classification schemes for survival data", Statistics in Medicine 18, 1999.

    G. A. Satten, S. Datta, "The Kaplan-Meier estimator as an inverse-probability-of-censoring
    weighted average", The American Statistician 55(3), 2001.
    """
    forecast = np.atleast_2d(seconds_of(forecasts, "forecasts"))
    target = np.atleast_2d(seconds_of(targets, "targets"))
    unknown = np.full(target.shape, np.nan)
    bound = unknown if at_least is None else seconds_of(at_least, "at_least")
    is_censored = np.isnan(target)
    reached = np.where(is_censored, bound, target)  # NaN compares as False below
    least = known.least_
    ratios = np.exp(log_ratio(reached, forecast, least))
    columns = ("row", "output", "elapsed", "deadline", "probability", "happened", "weight")
    parts = []
    for gone in elapsed:
        still = reached > gone * forecast if gone else ~np.isnan(reached)
        still &= (gone * forecast >= least) | (gone == 0)
        for deadline in (multiple for multiple in multiples if multiple > gone):
            limit = deadline * forecast
            has_ended = target <= limit
            goes_on = (target > limit) | (is_censored & (bound >= limit))
            weight = np.zeros(target.shape)
            for k, rows in enumerate((still & (limit >= least)).T):
                weight[rows, k] = answer_weights(
                    *(part[rows, k] for part in (ratios, is_censored, has_ended, goes_on))
                )
            said = known.done_by(forecast, limit, gone * forecast)
            row, output = np.nonzero(np.where(np.isnan(said), 0.0, weight))
            chance = said[row, output]
            when = np.full(len(row), gone), np.full(len(row), deadline)
            answer = chance, has_ended[row, output], weight[row, output]
            parts.append((row, output, *when, *answer))
    answers = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return pd.DataFrame(dict(zip(columns, answers, strict=True)))


def reliability(
    probability: ArrayLike,
    happened: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
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
    sample_weight : array-like of shape (n,), default=None
        How many cases each stands for, such as `weight` of :func:`holdout_events`; None: itself.
    n_bins : int, default=10
        Bins of equal width: tens of percents.
    confidence_level : float, default=0.95
        Of the bounds of the observed share.

    Returns
    -------
    DataFrame
        One row a bin that holds any: `low` and `high` of the bin, `n` answers, their `share` of
        the weight of all, `predicted` (mean probability), `observed` (share that happened), and its
        exact binomial bounds `observed_low` and `observed_high`. These take the answers as
        independent; several questions of one run are not, and then the bounds are too narrow. With
        unequal weights the bounds are those of the effective sample size
        ``sum(w) ** 2 / sum(w ** 2)``.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26(4), 1934.

    Examples
    --------
    >>> from sklearn_jobtime.evaluation import reliability
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
    weight = np.ones(said.shape) if sample_weight is None else np.asarray(sample_weight, float)
    place = np.minimum((said * n_bins + 1e-9).astype(int), n_bins - 1)
    parts = {"predicted": weight * said, "observed": weight * came, "w": weight, "w2": weight**2}
    bins = pd.DataFrame(parts).groupby(place)
    sums = bins.sum()
    table = sums[["predicted", "observed"]].div(sums["w"], axis=0)
    table.insert(0, "share", sums["w"] / sums["w"].sum())
    table.insert(0, "n", bins.size())
    table.insert(0, "high", (table.index + 1) / n_bins)
    table.insert(0, "low", table.index / n_bins)
    n_effective = sums["w"] ** 2 / sums["w2"]
    bounds = share_bounds(table["observed"], n_effective, confidence_level)
    table["observed_low"], table["observed_high"] = bounds
    return table.reset_index(drop=True)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of what was said from what came, over all answers of :func:`reliability`.

    Examples
    --------
    >>> from sklearn_jobtime.evaluation import expected_calibration_error, reliability
    >>> round(expected_calibration_error(reliability([0.2, 0.9, 0.9], [0, 1, 0])), 3)
    0.333
    """
    errors = (table["predicted"] - table["observed"]).abs()
    return float(np.average(errors, weights=table["share"]))


def reliability_of_deadlines(
    model: Any,
    runs: pd.DataFrame,
    is_test: Mask,
    *,
    now: pd.Timestamp | str | None = None,
) -> pd.DataFrame:
    """Check the chances that follow from the calibration set of a model on runs after these.

    Runs that timed out count for as long as they ran, and then other runs stand for them, as
    :func:`holdout_events` says.

    Parameters
    ----------
    model : ConformalForecaster
        Fitted on the runs before the marked ones, with targets of
        :func:`~sklearn_jobtime.runs.make_targets`.
    runs : DataFrame
        The whole validated run table, so that each run has its full history.
    is_test : ndarray of bool, shape (n_runs,)
        The runs to check, as :func:`~sklearn_jobtime.runs.split_by_time` marks them.
    now : Timestamp or str, default=None
        When the table was read: runs that were running then count like those that timed out, as in
        :func:`~sklearn_jobtime.runs.make_lower_bounds`. None leaves them out.

    Returns
    -------
    DataFrame
        The :func:`reliability` of the answers to all :func:`holdout_events`.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.conformal import ConformalForecaster
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.evaluation import expected_calibration_error, reliability_of_deadlines
    >>> from sklearn_jobtime.runs import make_targets
    >>> from sklearn_jobtime.runs import split_by_time
    >>> runs = make_job_runs(n_runs=500, n_jobs=1, random_state=0)
    >>> train, is_test = split_by_time(runs)
    >>> model = ConformalForecaster(RollingRule("median")).fit(train, make_targets(train))
    >>> bool(expected_calibration_error(reliability_of_deadlines(model, runs, is_test)) < 0.1)
    True
    """
    runs = plain_table(runs)
    y = targets_named(runs, model.target_names_)
    horizon = int(y.columns.get_level_values("step").max())
    jobs = [job for job in y.columns.get_level_values("job").unique() if job != WHOLE_RUN]
    at_least = make_lower_bounds(runs, horizon, jobs=jobs or None, now=now)
    at_least = at_least.reindex(columns=y.columns)
    forecasts = np.reshape(model.predict(runs), y.shape)[is_test]
    known = DurationDistribution.from_forecaster(model)
    events = holdout_events(known, forecasts, y[is_test], at_least[is_test])
    return reliability(events["probability"], events["happened"], sample_weight=events["weight"])
