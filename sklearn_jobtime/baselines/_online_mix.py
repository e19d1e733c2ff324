"""A forecast that trusts, for each job, the rules which were right about it lately."""

from collections.abc import Sequence
from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import Interval

from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.baselines._base import OWN_HISTORY, HistoryRegressor, blended, prior_weight
from sklearn_jobtime.baselines._rules import RollingRule, Rule, SeasonalRule
from sklearn_jobtime.point_in_time._job_history import Past, newest_decayed_sums
from sklearn_jobtime.point_in_time._rolling import runs_that_weigh

__all__ = ["OnlineMix"]


FOLDS = 5
PRIOR_RUNS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


def mixed_rules() -> list[Rule]:
    """Rules that an :class:`OnlineMix` weighs by default: fast, steady and seasonal ones."""
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


def mix_weights(past_errors: Floats, sharpness: float) -> Floats:
    """Weights of rules from the sums of their past errors, the rows add up to 1.

    A rule has the weight ``exp(-sharpness * (S / min S - 1))``: ratios, so that seconds and hours
    give the same weights. Without any error, all rules weigh the same.

    Parameters
    ----------
    past_errors : ndarray of shape (n, n_rules)
        Sums S of absolute errors; infinite for a rule that has no forecast.
    sharpness : float
        0 gives the plain mean of the rules; infinity the one with the least error.

    Examples
    --------
    >>> import numpy as np
    >>> mix_weights(np.array([[1.0, 1.1, 2.0], [0.0, 0.0, 5.0]]), sharpness=8.0).round(3)
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


def absolute_errors(forecasts: Floats, past: Past) -> Floats:
    """Errors of the rules on the asked rows; 0 where one of them had no forecast to be wrong."""
    errors = np.abs(forecasts - past.seconds[past.first :, None])
    return np.where(np.isnan(errors).any(axis=1, keepdims=True), 0.0, errors)


def root_mean(forecasts: Floats, weights: Floats) -> Floats:
    """Square of the weighted mean of the square roots of each row; the signs are kept.

    Durations are skewed: one rule that saw a run of many hours pulls an arithmetic mean up, and
    one forecast of 0 s would pull a geometric mean to 0. This lies between the two.

    Examples
    --------
    >>> import numpy as np
    >>> root_mean(np.array([[0.0, 100.0]]), np.array([[0.5, 0.5]]))
    array([25.])
    """
    mean = (weights * np.sign(forecasts) * np.sqrt(np.abs(forecasts))).sum(axis=1)
    return mean * np.abs(mean)


def medians_of_others(seconds: Floats, series: Rows) -> Floats:
    """For each run the median of other series: series are put into folds, its own one left out."""
    fold = series % FOLDS
    medians = np.full(len(seconds), np.nan)
    for left_out in np.unique(fold):
        others = seconds[(fold != left_out) & ~np.isnan(seconds)]
        medians[fold == left_out] = np.median(others) if others.size else np.nan
    return medians


def runs_worth(seconds: Floats, forecasts: Floats, past: Past) -> float:
    """After how many runs of a series its own history is worth as much as all other series.

    Parameters
    ----------
    seconds, forecasts : ndarray of shape (n,)
        What the runs took, and the forecasts of a rule that knew those before.
    past : Past
        The same runs.

    Returns
    -------
    float
        Of `PRIOR_RUNS`, the least whose absolute error in logarithms, over the first runs of all
        series, is within a standard error over the series of that of the best; 0 for one series.
    """
    prior = medians_of_others(seconds, past.clock.series)
    n_known = past.n_known
    short = (n_known > 0) & (n_known < OWN_HISTORY) & (np.minimum(forecasts, seconds) > 0)
    short &= prior > 0
    series, n_known = past.clock.series[short], n_known[short]
    seconds, forecasts, prior = seconds[short], forecasts[short], prior[short]
    if len(np.unique(series)) < 2:
        return 0.0
    of_each = [blended(forecasts, prior, prior_weight(n_known, runs)) for runs in PRIOR_RUNS]
    errors = np.abs(np.log(np.column_stack(of_each) / seconds[:, None]))
    count = np.maximum(np.bincount(series), 1)
    best = int(errors.mean(axis=0).argmin())
    for k, runs in enumerate(PRIOR_RUNS):
        worse = errors[:, k] - errors[:, best]
        of_series = (np.bincount(series, worse) / count)[np.unique(series)]
        if worse.mean() <= of_series.std() / np.sqrt(len(of_series)):
            return runs
    return PRIOR_RUNS[best]


class OnlineMix(HistoryRegressor):
    """Forecast each job by a mean of the rules, weighted by how right each of them was lately.

    No single rule is best for all jobs, and seldom for one job all year: after a change of level
    the last run is right, in quiet times a long median is. The mix keeps, for each job of each
    series, the exponentially weighted absolute errors of every rule on the runs that had ended
    when a row started, and weighs the rules by ``exp(-sharpness * (S / min S - 1))``. There is
    nothing to tune for a job and nothing to train, so it is also the level from which a learned
    model starts.

    Parameters
    ----------
    rules : list of Rule, default=None
        What to mix, from :mod:`sklearn_jobtime.baselines`. None takes eleven: the last success,
        the means of the last 2 and 10, the medians of the last 5, 10, 20, 50 and 100, and those
        of the same hour and weekday, the same hour, and the same weekday.
    sharpness : float, default=8.0
        How fast a rule loses weight: at 8, one whose past errors are 10 % larger than the least
        weighs 0.45 of the best one, one with twice the errors nothing.
    half_life : float, default=30.0
        After how many runs an error counts half: about a month of a nightly job.
    pooled : bool, default=True
        Blend the forecast of a series of few runs with the prior, the median of all series, as
        far as the training runs show that it helps. Without any run it is the prior either way.

    Attributes
    ----------
    rules_ : list of Rule
        The rules, without a memory of their own.
    prior_runs_ : dict of float
        For each job, how many runs of a series the prior is worth: it has the weight
        ``prior_runs_ / (n + prior_runs_)`` where n runs are known, on its way to 0 at 50 runs. It
        is 0 where one run says more than all other series, and for a single series.
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`~sklearn_jobtime.baselines.RollingRule`.

    Notes
    -----
    The mean is that of the square roots of the forecasts, squared. On the training parts of 13
    real histories its error was 0.3 % below that of a plain mean, more where durations are skewed;
    a weighted median was about as good, the single best rule 3 % worse. The seasonal rules and
    the median of 100 took off another 1 %, and nearly 2 % for single jobs; other half-lives, and
    more rules, did not help.

    An error counts once its run has ended, and is that of the forecast made when the run started.
    Remembered is what later rows may need of the history seen in `fit` (the newest runs, those of
    each season, and the errors of the rules until they weigh nothing), so later rows get bit for
    bit the forecast that one table of all rows would give them.

    References
    ----------
    A. Tumanov, A. Jiang, J. W. Park, M. A. Kozuch, G. R. Ganger, "JamaisVu: Robust scheduling with
    auto-estimated job runtimes", CMU-PDL-16-104, 2016. Its JVuPredict takes, of several statistics
    over several histories of similar jobs, the one with the least past error; here all are mixed,
    since a choice between rules that are almost as good as each other is noise.

    N. Cesa-Bianchi, G. Lugosi, "Prediction, learning, and games", Cambridge University Press,
    2006, chapter 2: the exponentially weighted forecaster.

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
        "rules": [list, None],
        "sharpness": [Interval(Real, 0, None, closed="left")],
        "half_life": [Interval(Real, 0, None, closed="neither")],
        "pooled": ["boolean"],
    }

    def __init__(
        self,
        rules: Sequence[Rule] | None = None,
        sharpness: float = 8.0,
        half_life: float = 30.0,
        pooled: bool = True,
    ) -> None:
        self.rules = rules
        self.sharpness = sharpness
        self.half_life = half_life
        self.pooled = pooled

    def _reach(self) -> int:
        """As far as an error weighs, and from there as far as its rule looked."""
        weighing = runs_that_weigh(self.half_life) + max(rule._reach() for rule in self.rules_)
        return max(weighing, OWN_HISTORY if any(self.prior_runs_.values()) else 0)

    def _further_rows(self, past: Past) -> list[Rows]:
        return [rows for rule in self.rules_ for rows in rule._further_rows(past)]

    def _learn(self, pasts: list[Past], targets: list[Floats]) -> None:
        rules = mixed_rules() if self.rules is None else self.rules
        if not rules or not all(isinstance(rule, Rule) for rule in rules):
            raise TypeError(
                "rules must be a list of at least one rule of sklearn_jobtime.baselines, such as "
                f"RollingRule(), got {rules!r}."
            )
        self.rules_ = [clone(rule) for rule in rules]
        for rule in self.rules_:
            rule._validate_params()
            rule._learn(pasts, targets)
        self._errors = {}
        for past in pasts:
            forecasts = self._rule_forecasts(past)
            self._errors[past.job] = absolute_errors(forecasts, past)
            if self.pooled:
                mixed = self._mixed(forecasts, self._errors[past.job], past)
                self.prior_runs_[past.job] = runs_worth(past.seconds, mixed, past)

    def _keep(self, rows: Rows) -> None:
        self._errors = {job: errors[rows] for job, errors in self._errors.items()}

    def _rule_forecasts(self, past: Past) -> Floats:
        return np.column_stack([rule._forecast_job(past) for rule in self.rules_])

    def _forecast_job(self, past: Past) -> Floats:
        forecasts = self._rule_forecasts(past)
        before = self._errors[past.job][past.remembered]
        errors = np.concatenate([before, absolute_errors(forecasts, past)])
        return self._mixed(forecasts, errors, past)

    def _mixed(self, forecasts: Floats, errors: Floats, past: Past) -> Floats:
        sums = newest_decayed_sums(errors, past, self.half_life)
        has_forecast = ~np.isnan(forecasts)
        weights = mix_weights(np.where(has_forecast, sums, np.inf), self.sharpness)
        mixed = root_mean(np.where(has_forecast, forecasts, 0.0), weights)
        return np.where(has_forecast.any(axis=1), mixed, np.nan)
