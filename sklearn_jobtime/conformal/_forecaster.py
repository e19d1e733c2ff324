"""Any forecast with intervals of a known coverage: split conformal prediction over time."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._estimator import (
    ObservedScoreMixin,
    looks_back,
    pop_weights,
    read_rows,
)
from sklearn_jobtime._inside import chosen
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.compose._asked_rows import of_newest
from sklearn_jobtime.compose._metadata import router
from sklearn_jobtime.conformal._calibration_set import CalibrationSet, latest
from sklearn_jobtime.conformal._group_quantiles import OVER_HORIZON, groups_of
from sklearn_jobtime.conformal._inner_estimators import (
    InnerEstimators,
    InnerPartsMixin,
    TrainingRows,
    is_seen,
    predicted,
)
from sklearn_jobtime.conformal._quantiles import confidence_levels, warn_if_too_few
from sklearn_jobtime.conformal._scores import SCORES, ConformityScore, RowForecasts, score_named
from sklearn_jobtime.conformal._series_bounds import SeriesBounds, rows_of_series
from sklearn_jobtime.conformal._unseen_rows import UnseenRows
from sklearn_jobtime.conformal._unused_parameters import check_used
from sklearn_jobtime.conformal._updates_mixin import UpdatesMixin
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.point_in_time._newest_rows import NewestForecasts
from sklearn_jobtime.point_in_time._splits import in_start_order, known_targets
from sklearn_jobtime.point_in_time._table_memory import RememberedRows
from sklearn_jobtime.point_in_time._timed_windows import TimedWindows
from sklearn_jobtime.runs._log_ratio import clock_tick
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = ["ConformalForecaster"]


class ConformalForecaster(
    UpdatesMixin, InnerPartsMixin, MetaEstimatorMixin, ObservedScoreMixin, BaseEstimator
):
    """Put intervals of a known coverage around the forecasts of any regressor.

    A forecast of 40 minutes is of little use to someone with a deadline: is it 40 give or take
    two, or anything up to three hours? The forecaster does not say, but its errors on runs that
    it has not seen do. `fit` fits the regressor on the older runs and keeps its errors on the
    newest quarter, the calibration set; the bound at 90 % is such that nine in ten of these
    errors, and one more for the run to come, are inside. Nothing is assumed of the regressor or of
    the distribution of the durations: if runs are exchangeable, the next one is inside with a
    chance of at least 90 %, with ten calibration rows as with ten thousand.

    It goes around a pipeline, not inside: a Pipeline has no `predict_interval`. As the last step of
    one it works too, but its intervals are then asked of that step,
    ``pipe[-1].predict_interval(pipe[:-1].transform(runs))``.

    Where runs are *not* exchangeable, after a change of level for example, no method can guarantee
    that for each night, and neither does this one.

    Parameters
    ----------
    estimator : estimator
        Any regressor, or a pipeline that ends in one. It is cloned, and fitted on the training
        part as it was known at the split. Where targets are missing and it does not take that, its
        last step is fitted on the observed ones
        (:class:`~sklearn_jobtime.compose.CompleteCaseRegressor`).
    confidence_level : float, default=0.9
        Nominal coverage where no other is asked: how often a run is to be inside. Any other can
        be asked later, of the same fit.
    conformity_score : {"log_ratio", "absolute", "normalised", "quantile"} or ConformityScore, \
default="log_ratio"
        How an error is measured. "log_ratio": as a factor of the forecast, right for durations,
        where a job of hours is off by more seconds than one of minutes. "absolute": in seconds.
        "normalised": as "log_ratio", relative to the forecast of the `scale_model`, so that bounds
        are wide only where a run is hard to forecast. "quantile": as "log_ratio", from the
        forecasts of `quantile_estimators`, which have learned that themselves. Or a score of your
        own (:class:`~sklearn_jobtime.conformal.ConformityScore`).
    simultaneous : {"none", "jobs", "horizon", "both"}, default="none"
        What is to be inside together. "none": each job and step by itself. "jobs": all jobs of a
        run at once. "horizon": all steps of a job. "both": the whole forecast of a row, all jobs
        and steps. Ten jobs that are inside with 90 % each are all inside in a third of the nights
        only, if they err independently. A bound of several at once is that of the largest of their
        errors, each relative to the usual one of its output: one number a row, so it takes no more
        calibration rows than a single job does.
    symmetric : bool, default=True
        Let one error bound both sides, so that the interval reaches as far below the forecast as
        above. False gives each side half of what may be missed, so a finite interval takes twice
        the rows (19 for 90 %, not 9).
    scale_model : estimator, default=None
        For "normalised": a regressor that learns how large the absolute log ratio of a row will
        be, from errors on training rows that the estimator was not fitted on for this (one more
        fit). None takes :class:`~sklearn_jobtime.conformal.RecentSpread` where the columns of `y`
        are (step, job), else scikit-learn's HistGradientBoostingRegressor for the absolute error.
    quantile_estimators : pair of estimators, default=None
        For "quantile": two regressors that forecast a low and a high quantile, such as
        ``GradientBoostingRegressor(loss="quantile", alpha=0.05)`` and the same with 0.95. They are
        fitted as `estimator` is. Any level can be asked; that of the pair gives the best widths.
    cv : int, "prefit" or None, default=None
        None fits the estimators on the older rows and calibrates on the newest. "prefit":
        `estimator` is fitted already, on rows older than those given to `fit`, all of
        which calibrate; so are `scale_model` or `quantile_estimators`, where they are used. An
        `estimator` in scikit-learn's FrozenEstimator says the same. A number k of at least 2 is
        cross-conformal in time order, for short histories: the rows are cut into ``k + 1`` equal
        parts, and each part but the first calibrates with a forecaster that was fitted on all rows
        before it, as they were known then; what forecasts in the end is fitted on all rows. See the
        Notes for what that guarantees. It takes ``k + 1`` fits.
    calibration_fraction : float, default=0.25
        Share of the rows with an observed target, the newest ones, that calibrate.
    horizon : int, default=1
        How many steps the columns of `y` are, all jobs of the first step first, when `y` is an
        array. A DataFrame of :func:`~sklearn_jobtime.runs.make_targets` says it by its names.
    refit : bool, default=False
        With ``cv=None``: fit the estimator again on all rows after it was calibrated. A forecaster
        that learned the newest runs is usually a little better than the one that made the errors;
        the coverage is then not strictly guaranteed any more.
    group_conditional : bool, default=False
        For a pool of series (an index with several levels): calibrate each series on its own rows,
        so that the nominal coverage holds for each of them and not for the pool only, where a wild
        series may miss what the calm ones have to spare (Mondrian conformal prediction). A series
        with fewer rows than a bound takes has that of all of them.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    conformity_score_ : ConformityScore
        The score that is used.
    scale_model_ : estimator or None
        The fitted scale model, where the score needs one.
    quantile_estimators_ : list of estimator
        The fitted pair, where the score needs it.
    calibration_forecasts_, calibration_targets_, calibration_at_least_ : ndarray of shape \
(n_calibration, n_outputs)
        Forecast, actual duration (NaN = not observed) and lower bound of right-censored runs (NaN
        for all others), in seconds and in start order.
    calibration_rows_ : ndarray of int, shape (n_calibration,)
        Their positions in the `X` of `fit`.
    n_calibration_ : int
        Rows that calibrate.
    n_effective_ : ndarray of shape (n_groups,)
        Their effective sample size, for each group of outputs that are covered together.
        Neighbours are alike: their horizons overlap, and a slow day is slow for all of its runs.
        The share of future runs inside spreads around the level about as that of so many
        independent rows would.
    groups_ : ndarray of int, shape (n_outputs,)
        The outputs with the same number are covered together.
    drift_ : ndarray of shape (n_groups,)
        After `update`: how sure it is that errors are no longer what they were, 0 for not at all,
        1 for an alarm because runs take longer than they used to relative to their forecasts, -1
        because they take shorter. In a pool: that of the series that is furthest off.
    refit_advised_ : bool
        Whether the last `update` raised such an alarm, in any series; a shift raises one, not one
        each night.
    updated_until_ : float
        The newest end of a run, or of a job of it, that `fit` or `update` was given, in seconds
        since 1970; NaN where nobody said when runs ended.
    fitted_until_ : float
        The same of `fit` alone.
    n_updates_ : int
        How many runs `update` was given since `fit`.
    target_names_ : Index or None
        The columns of `y`, when it was a DataFrame.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    NoHistoryError
        When there are too few rows to split, or no target of the calibration rows was observed.

    Notes
    -----
    With n calibration rows the bound is the error of rank ``ceil((n + 1) * level)``. With fewer
    rows than :func:`~sklearn_jobtime.conformal.rows_needed` it is infinite, and a
    :class:`~sklearn_jobtime.exceptions.TooFewRunsWarning` says how many it takes. Given the
    calibration rows, the share of future runs inside is not exactly the level: over many fits it
    has the distribution Beta(k, n + 1 - k) with k that rank.

    A target that was not observed takes no part: the coverage is that of runs that succeed. With
    several outputs, a row counts with the largest error of those observed. Rows whose horizon
    reaches beyond the table take no part in a bound over the horizon.

    Right-censored runs (`at_least` in `fit`) count by the estimate of Kaplan and Meier, which
    assumes that a run is not censored *because* it would have been longer than others of its
    forecast: true for a fixed time limit that has nothing to do with the forecast, and for runs
    that still ran when the table was read. Leaving them out would make bounds too short. With
    several outputs together a row of which any was censored counts as censored, which is on the
    safe side.

    With ``cv=k`` no error is that of a forecaster that knew the run, nor of one that knew a later
    run. But the forecaster in the end has learned more rows than those that made the errors, so the
    coverage is not guaranteed for every regressor: it holds as far as a regressor with k / (k + 1)
    of the rows and with all of them forecasts alike. A regressor that still gets better with more
    rows has bounds that are rather too wide. (For bounds from the forecasts of all k regressors,
    CV+ of Barber and others, a coverage of ``1 - 2 * (1 - level)`` can be proven, and much the
    same is seen in practice; but then a row has k forecasts, and an online update none.)
    Updates go on from the newest of these errors, with the final forecaster.

    With `sample_weight` in `fit`, a calibration row counts by its weight, beside the weight 1 of
    the run to be predicted: a row of weight 2 is the same as the row twice, and one of weight 0
    does not calibrate. With weights that are the ratio of the densities of the runs to come and
    those of the calibration rows, the coverage holds under such a shift (Tibshirani and others);
    with weights that fall with the age of a row, chosen without a look at the errors, the coverage
    that a drift may cost is bounded (Barber and others, 2023). Updates count all runs alike.

    References
    ----------
    R. F. Barber, E. Candès, A. Ramdas, R. J. Tibshirani, "Predictive inference with the
    jackknife+", Annals of Statistics 49, 2021: CV+.

    R. J. Tibshirani, R. F. Barber, E. Candès, A. Ramdas, "Conformal prediction under covariate
    shift", NeurIPS 2019.

    R. F. Barber, E. Candès, A. Ramdas, R. J. Tibshirani, "Conformal prediction beyond
    exchangeability", Annals of Statistics 51, 2023.

    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", Springer, 2005.

    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-free predictive
    inference for regression", Journal of the American Statistical Association 113, 2018.

    E. Candès, L. Lei, Z. Ren, "Conformalized survival analysis", Journal of the Royal Statistical
    Society B 85, 2023: why censored runs need assumptions.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.conformal import ConformalForecaster
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=500, n_jobs=2, random_state=0)
    >>> y = make_targets(runs, whole_run=False)
    >>> model = ConformalForecaster(RollingRule(), 0.9).fit(runs[:400], y[:400])
    >>> interval = model.predict_interval(runs[400:])
    >>> interval.shape
    (100, 2, 2)
    >>> inside = (interval[:, :, 0] <= y[400:]) & (y[400:] <= interval[:, :, 1])
    >>> bool(inside.mean().mean() > 0.8)
    True

    What will the run not exceed, with a chance of 95 %? And both of its jobs?

    >>> model.predict_upper(runs[400:], confidence_level=[0.5, 0.95]).shape
    (100, 2, 2)
    >>> both = ConformalForecaster(RollingRule(), simultaneous="jobs").fit(runs[:400], y[:400])
    >>> wider = both.predict_upper(runs[400:]) > model.predict_upper(runs[400:])
    >>> bool(wider.all())
    True
    """

    weighs_rows = True
    __metadata_request__fit: ClassVar = {"at_least": True, "sample_weight": True}

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "conformity_score": [StrOptions(set(SCORES)), ConformityScore],
        "simultaneous": [StrOptions({"none", "jobs", "horizon", "both"})],
        "symmetric": ["boolean"],
        "scale_model": [HasMethods(["fit", "predict"]), None],
        "quantile_estimators": ["array-like", None],
        "cv": [Interval(Integral, 2, None, closed="left"), StrOptions({"prefit"}), None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "refit": ["boolean"],
        "group_conditional": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        confidence_level: float = 0.9,
        *,
        conformity_score: str | ConformityScore = "log_ratio",
        simultaneous: str = "none",
        symmetric: bool = True,
        scale_model: Any = None,
        quantile_estimators: Sequence[Any] | None = None,
        cv: int | str | None = None,
        calibration_fraction: float = 0.25,
        horizon: int = 1,
        refit: bool = False,
        group_conditional: bool = False,
    ) -> None:
        self.estimator = estimator
        self.confidence_level = confidence_level
        self.conformity_score = conformity_score
        self.simultaneous = simultaneous
        self.symmetric = symmetric
        self.scale_model = scale_model
        self.quantile_estimators = quantile_estimators
        self.cv = cv
        self.calibration_fraction = calibration_fraction
        self.horizon = horizon
        self.refit = refit
        self.group_conditional = group_conditional

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: pd.DataFrame | ArrayLike,
        at_least: pd.DataFrame | ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the estimator on the older rows and keep its errors on the newest.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            A run table, or whatever the estimator takes, in start order.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Targets such as those of :func:`~sklearn_jobtime.runs.make_targets`, in seconds; NaN
            where not observed.
        at_least : DataFrame or array of the shape of `y`, default=None
            Lower bounds of right-censored runs, of which `y` is NaN; NaN elsewhere. See
            :func:`~sklearn_jobtime.runs.make_lower_bounds`. An estimator whose `fit` has it too is
            given its part.
        **fit_params : dict
            `sample_weight`, of shape (n_runs,): how much each row counts in calibration, and for
            the inner estimators, see the Notes; a row of weight 0 is the history of others and no
            more. Anything else goes to the inner estimators; with metadata routing on, to those
            that requested it.

        Returns
        -------
        self
        """
        X = self._checked(X, reset=True)
        given = read_targets(self, X, y, at_least, strict=True)
        weights = pop_weights(fit_params, X)
        targets, lower_bounds = given.observed, given.lower_bounds
        self._form = given.form.for_jobs_of(X, targets, self)
        self.target_names_ = self._form.names
        steps, jobs = self._form.steps_and_jobs(targets.shape[1], self.horizon)
        self.groups_ = groups_of(steps.tolist(), jobs, self.simultaneous)
        clock = read_clock(X)
        tick = clock_tick(clock.started, clock.ended)
        self.conformity_score_ = score_named(self.conformity_score).fit(targets, tick)
        check_used(self, self.conformity_score_, X, self.target_names_)
        beside = fit_params if weights is None else {"sample_weight": weights, **fit_params}
        rows = TrainingRows(self, self._form, steps, X, targets, lower_bounds, beside)
        seen = is_seen(targets, lower_bounds)
        seen = seen if weights is None else seen & (weights > 0)
        unseen = UnseenRows.of(self, self.conformity_score_, rows, seen)
        self._inner = unseen.inner
        self._remembered = RememberedRows(_safe_indexing(X, unseen.unfinished))
        self._calibrate(rows, unseen, weights)
        if self.refit or isinstance(self.cv, Integral):
            asked = InnerEstimators.of(self, self.conformity_score_)
            self._inner = asked.fit(rows, self.conformity_score_, self.calibration_fraction)
            self._remembered = None
        return self

    def _calibrate(self, given: TrainingRows, unseen: UnseenRows, weights: Floats | None) -> None:
        X, steps, targets = given.X, given.steps, given.targets
        clock = read_clock(X)
        rows = in_start_order(clock, unseen.calibrates)
        if not len(rows):
            raise NoHistoryError("no target of the rows that calibrate was observed.")
        forecasts = unseen.forecasts.take(rows)
        outcomes = targets[rows], given.lower_bounds[rows]
        self.calibration_forecasts_ = forecasts.forecast
        self.calibration_targets_, self.calibration_at_least_ = outcomes
        own = None if weights is None else weights[rows]
        started = None if clock.started is None else clock.started[rows]
        self._calibration_set = CalibrationSet(forecasts.forecast, *outcomes, own, started)
        self.n_calibration_ = len(rows)
        self.calibration_rows_ = rows
        split = self.conformity_score_.split(forecasts, *outcomes)
        split = replace(split, weights=own)
        if self.simultaneous in OVER_HORIZON:
            in_table = known_targets(clock, steps, np.full(len(targets), True))
            split = split.without_rows(~np.asarray(in_table[rows].all(axis=1)))
        self._bounds = SeriesBounds(
            self.groups_,
            steps,
            split,
            rows_of_series(_safe_indexing(X, rows)),
            symmetric=self.symmetric,
            group_conditional=self.group_conditional,
        )
        self.fitted_until_ = self.updated_until_ = latest(clock.last_known)
        self.n_updates_ = 0
        self.refit_advised_ = False
        self.n_effective_ = np.array([group.n_effective for group in self._bounds.pooled])

    def predict(self, X: pd.DataFrame | ArrayLike) -> Floats:
        """Forecast each row, as the estimator does.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            Rows to forecast, and any rows newer than those of `fit`. Those that calibrated are
            their history.

        Returns
        -------
        ndarray of shape (n_runs,) or (n_runs, n_outputs), in seconds
        """
        check_is_fitted(self)
        table, n_before = self._with_remembered(self._checked(X, reset=False))
        return self._form.of(predicted(self.estimator_, table)[n_before:])

    @available_if(lambda self: hasattr(chosen(self.estimator_), "sources"))
    def sources(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.str_]:
        """Tell what each forecast mostly rests on, where the estimator can tell.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.

        Returns
        -------
        ndarray of str
            As :meth:`AnchoredRegressor.sources <sklearn_jobtime.AnchoredRegressor.sources>`.
        """
        table, n_before = self._with_remembered(self._checked(X, reset=False))
        return chosen(self.estimator_).sources(table)[n_before:]

    def predict_interval(
        self,
        X: pd.DataFrame | ArrayLike,
        confidence_level: ArrayLike | None = None,
    ) -> Floats:
        """Forecast between which two durations each run will be.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.
        confidence_level : float or array-like of shape (n_levels,), default=None
            How often the run is to be inside; None takes the one of the estimator. Several come as
            a list, tuple, array, Series or Index, in any order.

        Returns
        -------
        ndarray of shape (n_runs, n_outputs, 2), in seconds
            Lower and upper bound; with several levels (a list of one included), of shape (n_runs,
            n_outputs, 2, n_levels), in the order in which they were given.
            Never NaN; the upper bound is infinite where the calibration rows are too few.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        return self._interval(X, self._forecasts(X), confidence_level)

    def forecast_newest(self, X: Any, n: int) -> NewestForecasts:
        """Forecast the last rows of a table in one pass: seconds, sources and intervals.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.
        n : int
            How many rows, from the end of the table.

        Returns
        -------
        NewestForecasts
            The last n rows of what :meth:`predict`, :meth:`sources` and :meth:`predict_interval`
            give, as `seconds`, `sources` (None where the estimator can not tell) and `interval`.

        Examples
        --------
        >>> from sklearn_jobtime.baselines import RollingRule
        >>> from sklearn_jobtime.conformal import ConformalForecaster
        >>> from sklearn_jobtime.datasets import make_job_runs
        >>> from sklearn_jobtime.runs import make_targets
        >>> runs = make_job_runs(n_runs=100, n_jobs=2, random_state=0)
        >>> model = ConformalForecaster(RollingRule()).fit(runs, make_targets(runs))
        >>> newest = model.forecast_newest(runs, 1)
        >>> bool((newest.interval == model.predict_interval(runs)[-1:]).all())
        True
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        return of_newest(X, n, self._inner.can_be_asked(), self._with_sources)

    def _with_sources(self, X: Any, rows: Rows | None) -> NewestForecasts:
        """Forecast some rows of a table, or all."""
        must_be_given = rows is not None
        table, n_before = self._with_remembered(X, must_be_given=must_be_given)
        forecasts, sources = self._inner.with_sources(table, rows)
        forecasts = forecasts.take(slice(n_before, None))
        asked = X if rows is None else _safe_indexing(X, rows)
        interval = self._interval(asked, forecasts, None)
        return NewestForecasts(
            forecasts.forecast, None if sources is None else sources[n_before:], interval
        )

    def _interval(
        self, X: Any, forecasts: RowForecasts, confidence_level: ArrayLike | None
    ) -> Floats:
        """Put intervals around forecasts of the rows of X."""
        levels, is_one = self._levels(confidence_level)
        score = self.conformity_score_
        one_sided = levels if self.symmetric else (1 + levels) / 2
        warn_if_too_few(self._bounds.n_rows(X), one_sided, levels)
        if self.symmetric:
            above = below = self._bounds.errors(X, "both", levels)
        else:
            above, below = (self._bounds.errors(X, side, one_sided) for side in ("above", "below"))
        ends = [score.lower_bounds(below, forecasts), score.upper_bounds(above, forecasts)]
        interval = np.stack([np.minimum(*ends), np.maximum(*ends)], axis=2)
        return interval[..., 0] if is_one else interval

    def predict_upper(
        self,
        X: pd.DataFrame | ArrayLike,
        confidence_level: ArrayLike | None = None,
    ) -> Floats:
        """Forecast a duration that each run will not exceed.

        All that may be missed is above this bound, so it is lower than the upper end of an
        interval of the same level.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.
        confidence_level : float or array-like of shape (n_levels,), default=None
            How often the run is to stay below; None takes the one of the estimator. Several as for
            :meth:`predict_interval`.

        Returns
        -------
        ndarray of shape (n_runs, n_outputs), in seconds
            With several levels, of shape (n_runs, n_outputs, n_levels).
        """
        check_is_fitted(self)
        levels, is_one = self._levels(confidence_level)
        X = self._checked(X, reset=False)
        forecasts = self._forecasts(X)
        warn_if_too_few(self._bounds.n_rows(X), levels, levels)
        errors = self._bounds.errors(X, "above", levels)
        upper = self.conformity_score_.upper_bounds(errors, forecasts)
        return upper[..., 0] if is_one else upper

    def _levels(self, asked: ArrayLike | None) -> tuple[Floats, bool]:
        return confidence_levels(self.confidence_level if asked is None else asked)

    def _with_remembered(self, X: Any, *, must_be_given: bool = False) -> tuple[Any, int]:
        if self._remembered is None:
            return X, 0
        return self._remembered.before(X, must_be_given=must_be_given)

    def _forecasts(self, X: Any) -> RowForecasts:
        table, n_before = self._with_remembered(X)
        return self._inner.forecasts(table).take(slice(n_before, None))

    def _checked(self, X: Any, *, reset: bool) -> Any:
        rows = read_rows(self, X, reset=reset)
        return X.like(rows) if isinstance(X, TimedWindows) else rows

    def get_metadata_routing(self) -> MetadataRouter:
        """Say who is given what: itself, and what the inner estimators request."""
        inner = {"estimator": self.estimator}
        if self.scale_model is not None:
            inner["scale_model"] = self.scale_model
        for k, one in enumerate(self.quantile_estimators or ()):
            inner[f"quantile_estimators_{k}"] = one
        return router(self, inner)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.three_d_array = inner.input_tags.three_d_array
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = score_named(self.conformity_score).positive_only
        if inner.regressor_tags is not None:
            tags.regressor_tags.poor_score = inner.regressor_tags.poor_score
        tags.regressor_tags.looks_back = looks_back(self.estimator)
        return tags
