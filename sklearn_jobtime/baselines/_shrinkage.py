"""Shrinkage of a forecast from few runs towards the prior, which is what all series have in common.

The weight of the prior is that of credibility theory: it is worth as much as some number of runs,
the prior sample size.
"""

import numpy as np

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.point_in_time._job_history import JobHistory
from sklearn_jobtime.runs._log_ratio import indistinct_durations, log_ratio
from sklearn_jobtime.runs._schema import WHOLE_RUN

__all__ = ["OWN_HISTORY", "learned_prior_sample_size", "pooled_medians", "prior_weight", "shrunk"]


OWN_HISTORY = 50  # runs from which on a series is forecast from nothing but its own
FOLDS = 5
TIE = 1e-9  # sums of weights this close are the same
PRIOR_SAMPLE_SIZES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


def prior_weight(n_known: Rows, prior_sample_size: float) -> Floats:
    """Weight of the prior beside a forecast from some known runs.

    It is ``prior_sample_size / (n_known + prior_sample_size)``, as in credibility theory, on its
    way to 0 at `OWN_HISTORY` runs: a longer history stands alone.

    Examples
    --------
    >>> import numpy as np
    >>> prior_weight(np.array([0, 1, 3, 50]), prior_sample_size=1.0).round(2)
    array([1.  , 0.49, 0.24, 0.  ])
    """
    if prior_sample_size == 0:
        return np.zeros(len(n_known))
    share = prior_sample_size / (n_known + prior_sample_size)
    return np.asarray(share * np.maximum(1 - n_known / OWN_HISTORY, 0.0))


def shrunk(forecasts: Floats, prior: Floats, weights: Floats) -> Floats:
    """Geometric mean of forecasts and prior; the prior where there is no forecast.

    Examples
    --------
    >>> import numpy as np
    >>> forecasts, weights = np.array([90.0, 90.0, np.nan]), np.array([0.0, 0.5, 1.0])
    >>> shrunk(forecasts, np.array([10.0]), weights)
    array([90., 30., 10.])
    """
    mixed = (weights > 0) & (forecasts > 0) & (prior > 0)
    ratio = np.divide(prior, forecasts, out=np.ones_like(forecasts), where=mixed)
    return np.where(np.isnan(forecasts), prior, forecasts * ratio**weights)


def weighted_median(values: Floats, weights: Floats) -> float:
    """Median of values that count as often as their weights say; NaN does not count.

    Examples
    --------
    >>> import numpy as np
    >>> weighted_median(np.array([1.0, 2.0, 5.0, np.nan]), np.array([1, 1, 2, 9]))
    3.5
    """
    known = ~np.isnan(values) & (weights > 0)
    order = np.argsort(values[known], kind="stable")
    ordered, upto = values[known][order], np.cumsum(weights[known][order])
    middle = np.searchsorted(upto, upto[-1] / 2 * np.array([1 - TIE, 1 + TIE]))
    return float(ordered[middle].mean())


def pooled_medians(targets: Floats, jobs: list, weights: Floats | None = None) -> Floats:
    """Median of each output over all series; for one never observed, what is nearest to it.

    That is the median of its job at the other steps, or else of the medians of the other jobs.

    Examples
    --------
    >>> import numpy as np
    >>> targets = np.array([[10.0, 90.0, np.nan], [30.0, 90.0, np.nan]])
    >>> pooled_medians(targets, ["build", "test", "deploy"])
    array([20., 90., 55.])
    """
    seen = ~np.isnan(targets).all(axis=0)
    medians = np.full(len(jobs), np.nan)
    if weights is None:
        medians[seen] = np.nanmedian(targets[:, seen], axis=0)
    else:
        medians[seen] = [weighted_median(column, weights) for column in targets[:, seen].T]
    of_a_job = seen & np.array([job != WHOLE_RUN for job in jobs])
    for output in np.flatnonzero(~seen):
        same = seen & np.array([job == jobs[output] for job in jobs])
        nearest = next(some for some in (same, of_a_job, seen) if some.any())
        medians[output] = np.median(medians[nearest])
    return medians


def medians_of_others(seconds: Floats, series: Rows) -> Floats:
    """For each run the median of other series: series are put into folds, its own one left out."""
    fold = series % FOLDS
    medians = np.full(len(seconds), np.nan)
    for left_out in np.unique(fold):
        others = seconds[(fold != left_out) & ~np.isnan(seconds)]
        medians[fold == left_out] = np.median(others) if others.size else np.nan
    return medians


def learned_prior_sample_size(seconds: Floats, forecasts: Floats, history: JobHistory) -> float:
    """After how many runs of a series its own history is worth as much as all other series.

    Parameters
    ----------
    seconds, forecasts : ndarray of shape (n,)
        What the runs took, and forecasts that knew those before.
    history : JobHistory
        The same runs.

    Returns
    -------
    float
        Of `PRIOR_SAMPLE_SIZES`, the least whose absolute error in logarithms, over the first runs
        of all series, is within a standard error over the series of that of the best; 0 for one
        series.
    """
    prior = medians_of_others(seconds, history.clock.series)
    n_known = history.n_known
    short = (n_known > 0) & (n_known < OWN_HISTORY) & (np.minimum(forecasts, seconds) > 0)
    short &= prior > 0
    series, n_known = history.clock.series[short], n_known[short]
    seconds, forecasts, prior = seconds[short], forecasts[short], prior[short]
    if len(np.unique(series)) < 2:
        return 0.0
    of_each = [shrunk(forecasts, prior, prior_weight(n_known, size)) for size in PRIOR_SAMPLE_SIZES]
    least = indistinct_durations(seconds[:, None])[0]
    errors = np.abs(log_ratio(np.column_stack(of_each), seconds[:, None], least))
    count = np.maximum(np.bincount(series), 1)
    best = int(errors.mean(axis=0).argmin())
    for k, size in enumerate(PRIOR_SAMPLE_SIZES):
        worse = errors[:, k] - errors[:, best]
        of_series = (np.bincount(series, worse) / count)[np.unique(series)]
        if worse.mean() <= of_series.std() / np.sqrt(len(of_series)):
            return size
    return PRIOR_SAMPLE_SIZES[best]
