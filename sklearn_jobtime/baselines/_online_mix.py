"""A weighted average of baselines that trusts, for each job, those which were right lately."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import _fit_context, clone
from sklearn.utils._param_validation import Interval

from sklearn_jobtime._estimator import observed_with_weight
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.baselines._baseline import Baseline
from sklearn_jobtime.baselines._history_regressor import HistoryRegressor, Learned
from sklearn_jobtime.baselines._rules import RollingRule, SeasonalRule
from sklearn_jobtime.baselines._shrinkage import OWN_HISTORY, learned_prior_sample_size
from sklearn_jobtime.point_in_time._job_history import JobHistory, newest_decayed_sums
from sklearn_jobtime.point_in_time._rolling import runs_that_weigh

__all__ = ["OnlineMix", "averaged_baselines"]


def averaged_baselines() -> list[Baseline]:
    """Baselines that an :class:`OnlineMix` averages by default: fast, steady and seasonal ones."""
    return [
        RollingRule("last"),
        RollingRule("mean", n_runs=2),
        RollingRule("median", n_runs=5),
        RollingRule("mean", n_runs=10),
        RollingRule("median", n_runs=10),
        RollingRule("median", n_runs=20),
        RollingRule("median", n_runs=50),
        RollingRule("median", n_runs=100),
        SeasonalRule("hour of week"),
        SeasonalRule("hour"),
        SeasonalRule("weekday"),
    ]


def baseline_weights(past_errors: Floats, sharpness: float) -> Floats:
    """Weights of baselines from the sums of their past errors; the rows add up to 1.

    A baseline has the weight ``exp(-sharpness * (S / min S - 1))``: ratios, so that seconds and
    hours give the same weights. Without any error, all weigh the same.

    Parameters
    ----------
    past_errors : ndarray of shape (n, n_baselines)
        Sums S of absolute errors; infinite for a baseline that has no forecast.
    sharpness : float
        0 gives the plain mean of the baselines; infinity the one with the least error.

    Examples
    --------
    >>> import numpy as np
    >>> baseline_weights(np.array([[1.0, 1.1, 2.0], [0.0, 0.0, 5.0]]), sharpness=8.0).round(3)
    array([[0.69, 0.31, 0.  ],
           [0.5 , 0.5 , 0.  ]])
    """
    least = past_errors.min(axis=1, keepdims=True)
    above = past_errors - np.where(np.isfinite(least), least, 0.0)
    scale = np.where(np.isfinite(least) & (least > 0), least, 1.0)
    excess = np.where((least == 0) & (above > 0), np.inf, above / scale)
    weights = np.exp(-sharpness * excess)
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def absolute_errors(forecasts: Floats, history: JobHistory) -> Floats:
    """Errors of the baselines on the asked rows; 0 where one of them had no forecast."""
    errors = np.abs(forecasts - history.seconds[history.first :, None])
    return np.where(np.isnan(errors).any(axis=1, keepdims=True), 0.0, errors)


def root_mean(forecasts: Floats, weights: Floats) -> Floats:
    """Square of the weighted mean of the square roots of each row; the signs are kept.

    Durations are skewed: one baseline that saw a run of many hours pulls an arithmetic mean up, and
    one forecast of 0 s would pull a geometric mean to 0. This lies between the two.

    Examples
    --------
    >>> import numpy as np
    >>> root_mean(np.array([[0.0, 100.0]]), np.array([[0.5, 0.5]]))
    array([25.])
    """
    mean = (weights * np.sign(forecasts) * np.sqrt(np.abs(forecasts))).sum(axis=1)
    return mean * np.abs(mean)


class OnlineMix(HistoryRegressor):
    """Forecast each job by an average of baselines, weighted by how right each was lately.

    No single baseline is best for all jobs, and seldom for one job all year: after a change of
    level the last run is right, in quiet times a long median is. The average keeps, for each job of
    each series, the exponentially weighted sum S of the absolute errors of every baseline on the
    runs that had ended when a row started, and weighs the baselines by
    ``exp(-sharpness * (S / min S - 1))``, as in the aggregation of experts [1]_. There is
    nothing to tune for a job and nothing to train, so it is also the base forecast from which a
    learned model starts.

    Parameters
    ----------
    baselines : list of Baseline, default=None
        What to average: any of :mod:`sklearn_jobtime.baselines`, or one of your own
        (:class:`~sklearn_jobtime.baselines.Baseline`). None takes eleven: the last success,
        the means of the last 2 and 10, the medians of the last 5, 10, 20, 50 and 100, and those
        of the same hour and weekday, the same hour, and the same weekday.
    sharpness : float, default=8.0
        How fast a baseline loses weight: at 8, one whose past errors are 10 % larger than the least
        weighs 0.45 of the best one, one with twice the errors nothing.
    half_life : float, default=30.0
        After how many runs an error counts half: about a month of a nightly job.
    pooled : bool, default=True
        Shrink the forecast of a series of few runs towards the prior, the median of all series, as
        far as the training runs show that it helps. Without any run it is the prior either way.

    Attributes
    ----------
    baselines_ : list of Baseline
        The baselines, without a memory of their own.
    prior_sample_size_ : dict of float
        For each job, how many runs of a series the prior is worth: it has the weight
        ``prior_sample_size_ / (n + prior_sample_size_)`` where n runs are known, on its way to 0 at
        50 runs. It is 0 where one run says more than all other series, and for a single series.
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`~sklearn_jobtime.baselines.RollingRule`.

    Notes
    -----
    The mean is that of the square roots of the forecasts, squared: durations are skewed, and a
    plain mean follows the largest forecast too far.

    An error counts once its run has ended, and is that of the forecast made when the run started.
    Remembered is what later rows may need of the history seen in `fit` (the newest runs, those of
    each season, and the errors of the baselines until they weigh nothing), so later rows get bit
    for bit the forecast that one table of all rows would give them.

    References
    ----------
    A. Tumanov, A. Jiang, J. W. Park, M. A. Kozuch, G. R. Ganger, "JamaisVu: Robust scheduling with
    auto-estimated job runtimes", CMU-PDL-16-104, 2016. Its JVuPredict takes, of several statistics
    over several histories of similar jobs, the one with the least past error; here all are
    averaged, since a choice between baselines that are almost as good as each other is noise.

    .. [1] N. Cesa-Bianchi, G. Lugosi, "Prediction, learning, and games", Cambridge University
       Press, 2006, chapter 2: the exponentially weighted forecaster.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.metrics import observed_mae
    >>> from sklearn_jobtime.baselines import OnlineMix
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=60, random_state=0)
    >>> y = make_targets(runs)
    >>> mix = OnlineMix().fit(runs[:40], y[:40])
    >>> mix.predict(runs[40:]).shape
    (20, 5)
    """

    _parameter_constraints = {  # noqa: RUF012
        "baselines": [list, None],
        "sharpness": [Interval(Real, 0, None, closed="left")],
        "half_life": [Interval(Real, 0, None, closed="neither")],
        "pooled": ["boolean"],
    }

    def __init__(
        self,
        baselines: Sequence[Baseline] | None = None,
        sharpness: float = 8.0,
        half_life: float = 30.0,
        pooled: bool = True,
    ) -> None:
        self.baselines = baselines
        self.sharpness = sharpness
        self.half_life = half_life
        self.pooled = pooled

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: pd.DataFrame | ArrayLike, y: pd.DataFrame | ArrayLike, **fit_params: Any
    ) -> Self:
        """Remember the runs that later rows may need, and the errors that the baselines made.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            A run table. In an array, each column is the history of one job.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Targets from :func:`~sklearn_jobtime.runs.make_targets`: its columns (step, job) say
            which job an output belongs to. Without names, output k belongs to column k.
        **fit_params : dict
            `sample_weight`, as for :class:`~sklearn_jobtime.baselines.RollingRule`.

        Returns
        -------
        self
        """
        baselines = averaged_baselines() if self.baselines is None else self.baselines
        if not baselines or not all(isinstance(one, Baseline) for one in baselines):
            raise TypeError(
                "baselines must be a list of at least one baseline of sklearn_jobtime.baselines, "
                f"such as RollingRule(), got {baselines!r}."
            )
        self.baselines_ = [clone(one).check_parameters() for one in baselines]
        return super().fit(X, y, **fit_params)

    def learn(self, history: JobHistory, targets: Floats) -> Learned:
        """Learn one job with every baseline, and what their errors on the training runs were.

        Its `parts` are what the baselines learned, its `run_values` their errors. An error is
        remembered as long as it weighs, and from there as far as its baseline looked.
        """
        parts = tuple(one.learn(history, targets) for one in self.baselines_)
        forecasts = self._forecasts_of_each(history, parts)
        errors = absolute_errors(forecasts, history)
        prior_sample_size = 0.0
        if self.pooled:
            averaged = self._averaged(forecasts, errors, history)
            seconds = observed_with_weight(history.seconds[:, None], history.weights)[:, 0]
            prior_sample_size = learned_prior_sample_size(seconds, averaged, history)
        weighing = runs_that_weigh(self.half_life) + max(one.runs_needed for one in parts)
        further = [one.further_rows for one in parts if one.further_rows is not None]
        return Learned(
            max(weighing, OWN_HISTORY if prior_sample_size else 0),
            further_rows=np.concatenate(further) if further else None,
            run_values=errors,
            prior_sample_size=prior_sample_size,
            parts=parts,
        )

    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:
        """Average the forecasts of the baselines for one job."""
        return self.forecast_rows_of_job(history, learned, slice(None))

    def forecast_rows_of_job(
        self, history: JobHistory, learned: Learned, rows: Rows | slice
    ) -> Floats:
        """Average the forecasts of some rows; the errors are those of all."""
        assert learned.run_values is not None
        forecasts = self._forecasts_of_each(history, learned.parts)
        before = learned.run_values[history.remembered]
        errors = np.concatenate([before, absolute_errors(forecasts, history)])
        return self._averaged(forecasts, errors, history, rows)

    def _forecasts_of_each(self, history: JobHistory, parts: tuple[Learned, ...]) -> Floats:
        pairs = list(zip(self.baselines_, parts, strict=True))
        lengths = [part.state for one, part in pairs if isinstance(one, RollingRule)]
        history.newest(max(lengths, default=1))  # the shorter ones are its part
        return np.column_stack([one.forecast_job(history, part) for one, part in pairs])

    def _averaged(
        self,
        forecasts: Floats,
        errors: Floats,
        history: JobHistory,
        rows: Rows | slice = slice(None),
    ) -> Floats:
        sums = newest_decayed_sums(errors, history, self.half_life)[rows]
        forecasts = forecasts[rows]
        has_forecast = ~np.isnan(forecasts)
        weights = baseline_weights(np.where(has_forecast, sums, np.inf), self.sharpness)
        averaged = root_mean(np.where(has_forecast, forecasts, 0.0), weights)
        return np.where(has_forecast.any(axis=1), averaged, np.nan)
