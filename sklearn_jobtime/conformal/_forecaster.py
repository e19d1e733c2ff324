"""Any forecast with bounds that keep their promise: split conformal prediction over time."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._estimator import ObservedScoreMixin, read_rows
from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._calibration_set import HeldOut, Told
from sklearn_jobtime.conformal._inner_estimators import (
    LEAST_UNIT,
    check_difficulty,
    fit_difficulty,
    fitted,
    quantile_pair,
)
from sklearn_jobtime.conformal._quantiles import groups_of, levels_of, warn_if_too_few
from sklearn_jobtime.conformal._scores import (
    Centres,
    centres_of,
    given_centres,
    measured,
    told_targets,
)
from sklearn_jobtime.conformal._series_bounds import SeriesBounds, rows_of_series
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._splits import known_targets, split_rows
from sklearn_jobtime.point_in_time._table_memory import RememberedRows
from sklearn_jobtime.runs._schema import ENDED_AT
from sklearn_jobtime.runs._target_arrays import read_targets
from sklearn_jobtime.runs._timeline import as_of

__all__ = ["ConformalForecaster"]


class ConformalForecaster(MetaEstimatorMixin, ObservedScoreMixin, BaseEstimator):
    """Give the forecasts of any regressor bounds, and a promise of how often they hold.

    A forecast of 40 minutes is of little use to someone with a deadline: is it 40 give or take
    two, or anything up to three hours? The forecaster does not say, but its errors on runs that
    it has not seen do. `fit` fits the regressor on the older runs and keeps its errors on the
    newest quarter; the bound at 90 % is such that nine in ten of these errors, and one more for
    the run to come, are inside. Nothing is assumed of the regressor or of the distribution of the
    durations: if runs are exchangeable, the next one is inside with a chance of at least 90 %,
    with ten calibration rows as with ten thousand.

    Where runs are *not* exchangeable, after a change of level say, no method can promise that for
    each night, and neither does this one.

    Parameters
    ----------
    estimator : estimator
        Any regressor, or a pipeline that ends in one. It is cloned, and fitted on the training
        part as it was known at the split. Where targets are missing and it does not take that, its
        last step is fitted on the observed ones
        (:class:`~sklearn_jobtime.compose.CompleteCaseRegressor`).
    confidence_level : float, default=0.9
        What is promised when no other level is asked: how often the bounds hold. Any other can
        be asked later, of the same fit.
    conformity_score : {"log_ratio", "absolute", "scaled", "quantile"}, default="log_ratio"
        How an error is measured. "log_ratio": log(actual / forecast), so bounds are factors of the
        forecast and never negative; right for durations, where a job of hours is off by more
        seconds than one of minutes; less than a millisecond counts as none. A shorter run is off
        by the share 1 - actual / forecast, much the same where it is small and never above 1: a
        run that found nothing to do does not say that others may take a thousand times as long.
        "absolute": seconds, the same for short and long forecasts. "scaled": as "log_ratio",
        relative to the `difficulty` of the row, so that bounds are wide only where a run is hard
        to forecast. "quantile": as "log_ratio", from the forecasts of `quantile_estimators`, which
        have learned that themselves (conformalized quantile regression).
    coverage : {"output", "jobs", "steps", "all"}, default="output"
        What is promised to be inside together. "output": each job and step by itself. "jobs":
        all jobs of a run at once. "steps": all steps of a job. "all": the whole forecast of a
        row, all jobs and steps. Ten jobs that are inside with 90 % each are all inside in a third
        of the nights only, if they err independently. A bound of several at once is that of the
        largest of their errors, each relative to the usual one of its output: one number a row,
        so it takes no more calibration rows than a single job does.
    symmetric : bool, default=True
        Let one error bound both sides, so that the interval reaches as far below the forecast as
        above. False gives each side half of what may be missed, so a finite interval takes twice
        the rows (19 for 90 %, not 9). At three levels on 13 real histories, True had the narrower
        log-ratio intervals at equal coverage in 25 of the 34 cases that can be compared, 0.95 times
        as wide in the middle (``benchmarks/intervals.py``).
    difficulty : estimator, default=None
        For "scaled": a regressor that learns how large the absolute log ratio of a row will be,
        from errors on training rows that the estimator was not fitted on for this (one more fit).
        None takes :class:`~sklearn_jobtime.conformal.RecentSpread` where the columns of `y` are
        (step, job), else scikit-learn's HistGradientBoostingRegressor for the absolute error.
    quantile_estimators : pair of estimators, default=None
        For "quantile": two regressors that forecast a low and a high quantile, such as
        ``GradientBoostingRegressor(loss="quantile", alpha=0.05)`` and the same with 0.95. They are
        fitted as `estimator` is. Any level can be asked; that of the pair gives the best widths.
    cv : "prefit" or None, default=None
        "prefit": `estimator` is fitted already, on rows older than those given to `fit`, all of
        which calibrate; so are `difficulty` or `quantile_estimators`, where they are used. None
        fits all of them on the older rows.
    calibration_fraction : float, default=0.25
        Share of the rows with an observed target, the newest ones, that calibrate.
    horizon : int, default=1
        How many steps the columns of `y` are, all jobs of the first step first, when `y` is an
        array. A DataFrame of :func:`~sklearn_jobtime.runs.make_targets` says it by its names.
    refit : bool, default=False
        Fit the estimator again on all rows after it was calibrated. A forecaster that learned the
        newest runs is usually a little better than the one that made the errors; the promise is
        then not strict any more.
    by_series : bool, default=False
        For a pool of series (an index with several levels): calibrate each series on its own rows,
        so that the promise holds for each of them and not for the pool only, where a wild series
        may miss what the calm ones have to spare (Mondrian conformal prediction). A series with
        fewer rows than a bound takes has that of all of them. At 90 %, 85 % and not 69 % of 116
        tests in builds then had a coverage within 5 points of it, in intervals 20 % narrower at
        equal coverage; in three other pools they were 8 % narrower to 32 % wider
        (``benchmarks/intervals.py --by-series``).

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    difficulty_ : estimator or None
        The fitted regressor of the errors, for "scaled".
    quantile_estimators_ : list of estimator
        The fitted pair, for "quantile".
    calibration_forecasts_, calibration_targets_, calibration_at_least_ : ndarray of shape \
(n_calibration, n_outputs)
        Forecast, actual duration (NaN = not observed) and, for the runs that were cut off, how
        long they took at least (NaN for all others), in seconds and in start order.
    calibration_rows_ : ndarray of int, shape (n_calibration,)
        Their positions in the `X` of `fit`.
    n_calibration_ : int
        Rows that calibrate.
    n_effective_ : ndarray of shape (n_groups,)
        How many independent rows they are worth, for each group of outputs that are covered
        together. Neighbours are alike: their horizons overlap, and a slow day is slow for all of
        its runs. The share of future runs inside spreads around the level about as that of so many
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
    told_ : Told
        Until when it knows what became of runs, and of how many it was told since `fit`.
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

    A target that was not observed takes no part: of a failed job no duration is promised. With
    several outputs, a row counts with the largest error of those observed. Rows whose horizon
    reaches beyond the table take no part in a bound over steps.

    Runs that were cut off (`at_least` in `fit`) count by the estimate of Kaplan and Meier, which
    assumes that a run is not cut off *because* it would have been longer than others of its
    forecast: true for a fixed time limit that has nothing to do with the forecast, and for runs
    that still ran when the table was read. Leaving them out would make bounds too short. With
    several outputs together a row of which any was cut off counts as cut off, which is on the safe
    side: in a simulation with a fifth of the jobs cut off, bounds at 80 % for three jobs held in
    92 to 95 % of the runs (left out: 46 to 56 %).

    References
    ----------
    Y. Romano, E. Patterson, E. Candès, "Conformalized quantile regression", NeurIPS 2019.

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
    >>> both = ConformalForecaster(RollingRule(), coverage="jobs").fit(runs[:400], y[:400])
    >>> wider = both.predict_upper(runs[400:]) > model.predict_upper(runs[400:])
    >>> bool(wider.all())
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "conformity_score": [StrOptions({"log_ratio", "absolute", "scaled", "quantile"})],
        "coverage": [StrOptions({"output", "jobs", "steps", "all"})],
        "symmetric": ["boolean"],
        "difficulty": [HasMethods(["fit", "predict"]), None],
        "quantile_estimators": ["array-like", None],
        "cv": [StrOptions({"prefit"}), None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "refit": ["boolean"],
        "by_series": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        confidence_level: float = 0.9,
        *,
        conformity_score: str = "log_ratio",
        coverage: str = "output",
        symmetric: bool = True,
        difficulty: Any = None,
        quantile_estimators: Sequence[Any] | None = None,
        cv: str | None = None,
        calibration_fraction: float = 0.25,
        horizon: int = 1,
        refit: bool = False,
        by_series: bool = False,
    ) -> None:
        self.estimator = estimator
        self.confidence_level = confidence_level
        self.conformity_score = conformity_score
        self.coverage = coverage
        self.symmetric = symmetric
        self.difficulty = difficulty
        self.quantile_estimators = quantile_estimators
        self.cv = cv
        self.calibration_fraction = calibration_fraction
        self.horizon = horizon
        self.refit = refit
        self.by_series = by_series

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: pd.DataFrame | ArrayLike,
        at_least: pd.DataFrame | ArrayLike | None = None,
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
            Where a run was cut off and `y` is NaN: how long it took at least; NaN elsewhere. See
            :func:`~sklearn_jobtime.runs.make_lower_bounds`. An estimator whose `fit` has it too is
            given its part.

        Returns
        -------
        self
        """
        X = self._checked(X, reset=True)
        given = read_targets(self, X, y, at_least, strict=True)
        targets, limits, self._form = given.observed, given.lower_bounds, given.form
        self.target_names_ = self._form.names
        clock = read_clock(X)
        steps, jobs = self._form.steps_and_jobs(targets.shape[1], self.horizon)
        self.groups_ = groups_of(steps.tolist(), jobs, self.coverage)
        seen = np.asarray((~np.isnan(targets) | ~np.isnan(limits)).any(axis=1))
        check_difficulty(self.conformity_score, self.difficulty, self.cv)
        if self.cv == "prefit":
            self.estimator_ = self.estimator
            self.difficulty_ = self.difficulty if self.conformity_score == "scaled" else None
            self._least_unit = np.full(1, LEAST_UNIT)
            self.quantile_estimators_ = quantile_pair(
                self.conformity_score, self.quantile_estimators
            )
            calibrates = np.ones(len(targets), dtype=bool)
            recent = np.arange(len(targets))
        else:
            calibrates, cut = split_rows(X, seen, self.calibration_fraction)
            had_ended = ~calibrates
            if cut is not None:
                had_ended &= (X[ENDED_AT] <= cut).to_numpy()
            known = known_targets(clock, steps, had_ended)
            older = np.flatnonzero(~calibrates)
            table = _safe_indexing(X, older)
            self._fit_all(
                table if cut is None else as_of(table, cut),
                np.where(known, targets, np.nan)[older],
                np.where(known, limits, np.nan)[older],
            )
            recent = np.flatnonzero(~had_ended)
        self._remembered: RememberedRows | None = None
        centres = self._centres(X)
        self._remembered = RememberedRows(_safe_indexing(X, recent))
        self._calibrate(X, clock, steps, centres, targets, limits, calibrates & seen)
        if self.refit and self.cv is None:
            self._fit_all(X, targets, limits)
            self._remembered = None
        return self

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
        return self._form.of(self._predicted([self.estimator_], self._checked(X, reset=False))[0])

    @available_if(lambda self: hasattr(self.estimator_, "sources"))
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
        return self.estimator_.sources(table)[n_before:]

    def predict_interval(
        self,
        X: pd.DataFrame | ArrayLike,
        confidence_level: float | Sequence[float] | None = None,
    ) -> Floats:
        """Forecast between which two durations each run will be.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.
        confidence_level : float or sequence of float, default=None
            How often the run is to be inside; None takes the one of the estimator.

        Returns
        -------
        ndarray of shape (n_runs, n_outputs, 2), in seconds
            Lower and upper bound; with several levels, of shape (n_runs, n_outputs, 2, n_levels).
            Never NaN; the upper bound is infinite where the calibration rows are too few.
        """
        check_is_fitted(self)
        levels = levels_of(self.confidence_level if confidence_level is None else confidence_level)
        X = self._checked(X, reset=False)
        centres = self._centres(X)
        one_sided = levels if self.symmetric else (1 + levels) / 2
        warn_if_too_few(self._bounds.n_rows(X), one_sided, levels)
        if self.symmetric:
            above = below = self._bounds.errors(X, "both", levels)
        else:
            each = (1 + levels) / 2
            above, below = (self._bounds.errors(X, side, each) for side in ("above", "below"))
        ends = [centres.below(below), centres.above(above)]
        interval = np.stack([np.minimum(*ends), np.maximum(*ends)], axis=2)
        return interval if isinstance(confidence_level, Sequence | np.ndarray) else interval[..., 0]

    def predict_upper(
        self,
        X: pd.DataFrame | ArrayLike,
        confidence_level: float | Sequence[float] | None = None,
    ) -> Floats:
        """Forecast a duration that each run will not exceed.

        All that may be missed is above this bound, so it is lower than the upper end of an
        interval of the same level.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.
        confidence_level : float or sequence of float, default=None
            How often the run is to stay below; None takes the one of the estimator.

        Returns
        -------
        ndarray of shape (n_runs, n_outputs), in seconds
            With several levels, of shape (n_runs, n_outputs, n_levels).
        """
        check_is_fitted(self)
        levels = levels_of(self.confidence_level if confidence_level is None else confidence_level)
        X = self._checked(X, reset=False)
        centres = self._centres(X)
        warn_if_too_few(self._bounds.n_rows(X), levels, levels)
        upper = centres.above(self._bounds.errors(X, "above", levels))
        return upper if isinstance(confidence_level, Sequence | np.ndarray) else upper[..., 0]

    def update(
        self,
        X: pd.DataFrame | ArrayLike | None,
        y: pd.DataFrame | ArrayLike,
        at_least: pd.DataFrame | ArrayLike | None = None,
        *,
        forecast: ArrayLike | None = None,
    ) -> Self:
        """Let the bounds follow what happened, without fitting anything.

        From the first call on, bounds are no longer those of the calibration rows alone: each miss
        widens them a little, each hit narrows them, and the newest hundred errors count
        (:class:`~sklearn_jobtime.conformal.AdaptiveBound`). What is promised then is the share of
        runs inside in the long run, for any sequence of runs, changes of level included; not
        more than that for a single night.

        What is paid back are misses of the bounds that were in force when a run started, before
        others that ran at the same time had ended. That takes `started_at` and `ended_at` in `X`
        (the runs that later steps are about are looked up among those that were told too);
        without them each run counts as started after those before it had ended, which may be far
        off where many run at a time (66 % instead of 80 % in a simulation with changes of level).

        In a pool each series has bounds that follow its own runs. They start from the errors of
        its calibration rows, if there are twenty, else from the newest of all series. What is off
        in all series alike, after a wild spell of the machine say, they learn together. Series that
        were not updated yet keep the bounds of `fit`. What follows a series takes up to twenty
        kilobytes an output.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...), or None
            The rows of runs that have ended, in start order. They are also remembered as history
            for `predict`: the newest 1,000 of a series, or as many as `fit` remembered. With
            `forecast` only the times and the index are read, which names the series of each row;
            None is then one series without a name, as an array or a plain index is.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            What they took, in seconds; NaN is skipped. Feed each target once, as soon as it is
            known: of a horizon, the later steps are NaN at first, and follow in a later call with
            the same row and NaN for what was fed before. Where several steps are covered together,
            feed a row when all of them are known. :func:`~sklearn_jobtime.conformal.follow` does
            so from a whole run table.
        at_least : DataFrame or array of the shape of `y`, default=None
            How long runs took at least that were cut off: those known to be above a bound count
            as missed, others not at all.
        forecast : array of the shape of `y`, default=None
            The forecasts that were made for these rows, where they are at hand: an update then
            takes microseconds an output, as nothing is forecast again.

        Returns
        -------
        self
        """
        if not hasattr(self, "estimator_"):  # check_is_fitted alone takes a quarter of an update
            check_is_fitted(self)
        if forecast is None:
            X = self._checked(X, reset=False)
            centres = self._centres(X)
            rows = self._remembered or RememberedRows(_safe_indexing(X, slice(0)))
            self._remembered = rows.and_(X)
        else:
            centres = given_centres(forecast, X, self.conformity_score)
        targets, limits = told_targets(centres, len(self.groups_), y, at_least)
        above, below, is_censored = measured(centres, targets, limits)
        self.refit_advised_ = self._bounds.learn(X, above, below, is_censored, self.told_)
        self._held_out.add(centres.forecast, targets, limits)
        return self

    def held_out(self) -> tuple[Floats, Floats, Floats]:
        """Give the runs that tell how far off a forecast may be, those told by `update` included.

        Returns
        -------
        forecasts, targets, at_least : ndarray of shape (n, n_outputs)
            As `calibration_forecasts_` and so on, then those told since, of which the newest are
            kept: 1,000, or as many as calibrated.
        """
        check_is_fitted(self)
        return self._held_out.arrays()

    @property
    def drift_(self) -> Floats:
        """Drift figure of each group of outputs, of the series that is furthest off."""
        return self._bounds.drift()

    def _fit_all(self, X: Any, targets: Floats, limits: Floats) -> None:
        rows = (self._form, X, targets, limits)
        pair = quantile_pair(self.conformity_score, self.quantile_estimators)
        self.estimator_ = fitted(self.estimator, *rows)
        self.quantile_estimators_ = [fitted(estimator, *rows) for estimator in pair]
        self.difficulty_, self._least_unit = None, np.full(1, LEAST_UNIT)
        if self.conformity_score == "scaled":
            plain = {"conformity_score": "log_ratio", "coverage": "output"}
            judge = clone(self).set_params(**plain, refit=False, by_series=False)
            self.difficulty_, self._least_unit = fit_difficulty(self.difficulty, judge, *rows)

    def _calibrate(
        self,
        X: Any,
        clock: Clock,
        steps: NDArray[np.intp],
        centres: Centres,
        targets: Floats,
        limits: Floats,
        calibrates: Mask,
    ) -> None:
        started = np.zeros(len(targets)) if clock.started is None else clock.started
        order = np.argsort(started, kind="stable")
        rows = order[calibrates[order]]
        if not len(rows):
            raise NoHistoryError("no target of the rows that calibrate was observed.")
        self.calibration_forecasts_ = centres.forecast[rows]
        self.calibration_targets_ = targets[rows]
        self.calibration_at_least_ = limits[rows]
        self._held_out = HeldOut(centres.forecast[rows], targets[rows], limits[rows])
        self.n_calibration_ = len(rows)
        self.calibration_rows_ = rows
        above, below, is_censored = measured(centres.take(rows), targets[rows], limits[rows])
        if self.coverage in ("steps", "all"):
            is_cut = ~known_targets(clock, steps, np.full(len(targets), True))[rows].all(axis=1)
            above[is_cut] = below[is_cut] = np.nan
        self._bounds = SeriesBounds(
            *(self.groups_, steps, above, below, is_censored),
            rows_of_series(_safe_indexing(X, rows)),
            symmetric=self.symmetric,
            by_series=self.by_series,
        )
        self.told_ = Told(clock.ended)
        self.refit_advised_ = False
        self.n_effective_ = np.array([bounds.n_effective for bounds in self._bounds.pooled])

    def _with_remembered(self, X: Any) -> tuple[Any, int]:
        return (X, 0) if self._remembered is None else self._remembered.before(X)

    def _predicted(self, estimators: list, X: Any) -> list[Floats]:
        table, n_before = self._with_remembered(X)
        outputs = [np.asarray(one.predict(table), dtype=np.float64) for one in estimators]
        return [output.reshape(len(output), -1)[n_before:] for output in outputs]

    def _centres(self, X: Any) -> Centres:
        extra = [] if self.difficulty_ is None else [self.difficulty_]
        estimators = [self.estimator_, *self.quantile_estimators_, *extra]
        outputs = self._predicted(estimators, X)
        return centres_of(outputs, self._least_unit, self.conformity_score)

    def _checked(self, X: Any, *, reset: bool) -> Any:
        return read_rows(self, X, reset=reset)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.three_d_array = inner.input_tags.three_d_array
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.conformity_score != "absolute"
        tags.regressor_tags = inner.regressor_tags
        return tags
