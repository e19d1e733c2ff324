"""Any forecast with bounds that keep their promise: split conformal prediction over time."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, _fit_context, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import Tags, _safe_indexing, check_array, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_jobtime.adaptive import WINDOW, Following
from sklearn_jobtime.anchored import at_least_parameter, newest_rows, observing
from sklearn_jobtime.calibration import Bounds, calibrated, groups_of, row_errors, rows_needed
from sklearn_jobtime.conformity import Centres, RecentSpread, measured
from sklearn_jobtime.exceptions import NoHistoryError, TooFewRunsWarning
from sklearn_jobtime.history import Clock, Memory, read_clock, recall, remember
from sklearn_jobtime.metrics import observed_r2
from sklearn_jobtime.runs import ENDED_AT, STARTED_AT
from sklearn_jobtime.timeline import as_of

__all__ = ["ConformalForecaster"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_UNIT = 1e-3  # no forecast is less than a thousandth off


def known_targets(clock: Clock, steps: NDArray[np.intp], had_ended: Mask) -> Mask:
    """Tell which targets were known when the marked runs had ended, and no other.

    Parameters
    ----------
    clock : Clock
        Of the n rows of a table.
    steps : ndarray of int, shape (n_outputs,)
        How many runs ahead each output is, 1 for the row's own run.
    had_ended : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of bool, shape (n, n_outputs)
    """
    started = np.zeros(len(had_ended)) if clock.started is None else clock.started
    order = np.lexsort((started, clock.series))
    series, ended = clock.series[order], had_ended[order]
    known = np.zeros((len(order), len(steps)), dtype=bool)
    for k, step in enumerate(steps):
        n = max(len(order) - step + 1, 0)  # rows that have a run so many steps ahead
        known[order[:n], k] = ended[step - 1 :] & (series[step - 1 :] == series[:n])
    return known


def observed_rows(targets: Floats, limits: Floats) -> Mask:
    """Mark the rows of which anything is known."""
    return np.asarray((~np.isnan(targets) | ~np.isnan(limits)).any(axis=1))


def row_values(X: pd.DataFrame | NDArray) -> NDArray:
    """Numbers by which a row of an array is known again; in a table, its position."""
    return np.arange(len(X))[:, None] if isinstance(X, pd.DataFrame) else X.reshape(len(X), -1)


class ConformalForecaster(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
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
        (:class:`~sklearn_jobtime.anchored.ObservedRegressor`).
    confidence_level : float, default=0.9
        What is promised when no other level is asked: how often the bounds hold. Any other can
        be asked later, of the same fit.
    conformity_score : {"log_ratio", "absolute", "scaled", "quantile"}, default="log_ratio"
        How an error is measured. "log_ratio": log(actual / forecast), so bounds are factors of the
        forecast and never negative; right for durations, where a job of hours is off by more
        seconds than one of minutes; less than a millisecond counts as none. "absolute": seconds,
        the same for short and long forecasts. "scaled": log ratios relative to the `difficulty` of
        the row, so that bounds are wide only where a run is hard to forecast. "quantile": log
        ratios to the forecasts of `quantile_estimators`, which have learned that themselves
        (conformalized quantile regression).
    coverage : {"output", "jobs", "steps", "all"}, default="output"
        What is promised to be inside together. "output": each job and step by itself. "jobs":
        all jobs of a run at once. "steps": all steps of a job. "all": the whole forecast of a
        row, all jobs and steps. Ten jobs that are inside with 90 % each are all inside in a third
        of the nights only, if they err independently. A bound of several at once is that of the
        largest of their errors, each relative to the usual one of its output: one number a row,
        so it takes no more calibration rows than a single job does.
    symmetric : bool, default=False
        Let the interval reach as far below the forecast as above (in factors, for "log_ratio").
        False gives each side half of what may be missed: with durations, whose errors are skewed,
        intervals are shorter, but a finite one takes twice the rows (19 for 90 %, not 9).
    difficulty : estimator, default=None
        For "scaled": a regressor that learns how large the absolute log ratio of a row will be,
        from errors on training rows that the estimator was not fitted on for this (one more fit).
        None takes :class:`~sklearn_jobtime.conformity.RecentSpread` where the columns of `y` are
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
        because they take shorter.
    refit_advised_ : bool
        Whether the last `update` raised such an alarm; a shift raises one, not one each night.
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
    rows than :func:`~sklearn_jobtime.calibration.rows_needed` it is infinite, and a
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
    >>> runs = make_job_runs(n_runs=300, n_jobs=2, random_state=0)
    >>> y = make_targets(runs, whole_run=False)
    >>> model = ConformalForecaster(RollingRule(), 0.9).fit(runs[:250], y[:250])
    >>> interval = model.predict_interval(runs[250:])
    >>> interval.shape
    (50, 2, 2)
    >>> inside = (interval[:, :, 0] <= y[250:]) & (y[250:] <= interval[:, :, 1])
    >>> bool(inside.mean().mean() > 0.8)
    True

    What will the run not exceed, with a chance of 95 %? And both of its jobs?

    >>> model.predict_upper(runs[250:], confidence_level=[0.5, 0.95]).shape
    (50, 2, 2)
    >>> both = ConformalForecaster(RollingRule(), coverage="jobs").fit(runs[:250], y[:250])
    >>> wider = both.predict_upper(runs[250:]) > model.predict_upper(runs[250:])
    >>> bool(wider.all())
    True
    """

    _following: list[Following] | None

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
    }

    def __init__(
        self,
        estimator: Any,
        confidence_level: float = 0.9,
        *,
        conformity_score: str = "log_ratio",
        coverage: str = "output",
        symmetric: bool = False,
        difficulty: Any = None,
        quantile_estimators: Sequence[Any] | None = None,
        cv: str | None = None,
        calibration_fraction: float = 0.25,
        horizon: int = 1,
        refit: bool = False,
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
        self.target_names_ = y.columns if isinstance(y, pd.DataFrame) else None
        X = self._checked(X, reset=True)
        targets, limits = self._checked_targets(X, y, at_least)
        clock = read_clock(X)
        steps, jobs = self._steps_and_jobs(targets.shape[1])
        self.groups_ = groups_of(steps.tolist(), jobs, self.coverage)
        seen = observed_rows(targets, limits)
        self._check_parts()
        if self.cv == "prefit":
            self.estimator_ = self.estimator
            self.difficulty_ = self.difficulty if self.conformity_score == "scaled" else None
            self._least_unit = LEAST_UNIT
            self.quantile_estimators_ = list(self._pair())
            calibrates = np.ones(len(targets), dtype=bool)
            recent = np.arange(len(targets))
        else:
            calibrates, cut = self._split(X, seen)
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
        self._forget()
        centres = self._centres(X)
        self._remember(X, recent)
        in_table = known_targets(clock, steps, np.ones(len(targets), dtype=bool))
        self._calibrate(clock, centres, targets, limits, calibrates & seen, in_table)
        if self.refit and self.cv is None:
            self._fit_all(X, targets, limits)
            self._forget()
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
        return self._as_given(self._forecast(self._checked(X, reset=False)))

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
        table, n_before = self._with_recent(self._checked(X, reset=False))
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
        levels = self._levels(confidence_level)
        centres = self._centres(self._checked(X, reset=False))
        self._warn_if_too_few(levels if self.symmetric else (1 + levels) / 2, levels)
        if self.symmetric:
            above = below = self._errors("both", levels)
        else:
            above, below = (self._errors(side, (1 + levels) / 2) for side in ("above", "below"))
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
        levels = self._levels(confidence_level)
        centres = self._centres(self._checked(X, reset=False))
        self._warn_if_too_few(levels, levels)
        upper = centres.above(self._errors("above", levels))
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
        (:class:`~sklearn_jobtime.adaptive.AdaptiveBound`). What is promised then is the share of
        runs inside in the long run, for any sequence of runs, changes of level included; not
        more than that for a single night.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...), or None
            The rows of runs that have ended, in start order. They are also remembered as history
            for `predict`. None when `forecast` is given.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            What they took, in seconds; NaN is skipped. Feed each target once, as soon as it is
            known: of a horizon, the later steps are NaN at first, and follow in a later call with
            the same row and NaN for what was fed before. Where several steps are covered together,
            feed a row when all of them are known.
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
            self._remember_too(X)
        else:
            if self.conformity_score in ("scaled", "quantile"):
                raise ValueError(
                    f"the bounds of conformity_score={self.conformity_score!r} need more of a row "
                    "than its forecast; pass X."
                )
            centres = self._around(self._shaped(forecast, "forecast"))
        targets = self._shaped(y, "y")
        limits = np.full_like(targets, np.nan)
        if at_least is not None:
            limits = self._shaped(at_least, "at_least")
        if not targets.shape == limits.shape == centres.upper.shape:
            raise ValueError(
                f"there are {len(centres.upper)} forecasts of {len(self.groups_)} outputs, y has "
                f"the shape {targets.shape} and at_least {limits.shape}; expected one for each."
            )
        if self._following is None:
            sides = ("above", "both") if self.symmetric else ("above", "below")
            n_groups = len(self._bounds)
            self._following = [Following(bounds, sides, n_groups) for bounds in self._bounds]
        above, below, is_censored = measured(centres, targets, limits)
        self.refit_advised_ = False
        for bounds, following in zip(self._bounds, self._following, strict=True):
            mine = (
                above[:, bounds.outputs],
                below[:, bounds.outputs],
                is_censored[:, bounds.outputs],
            )
            errors = row_errors(*mine, bounds.units())
            self.refit_advised_ |= following.learn(errors, np.asarray(mine[2].any(axis=1)))
        self.drift_ = np.array([following.alarm.figure for following in self._following])
        return self

    def score(self, X: pd.DataFrame | ArrayLike, y: ArrayLike) -> float:
        """Coefficient of determination of the forecasts over the observed targets."""
        return float(observed_r2(y, self.predict(X)))

    def _split(self, X: Any, seen: Mask) -> tuple[Mask, Any]:
        """Mark the rows that calibrate, and say when they begin if the table has ends."""
        if not seen.any():
            raise NoHistoryError("y contains NaN only: no run was observed, so nothing is known.")
        calibrates = newest_rows(X, np.asarray(seen), self.calibration_fraction)
        cut = None
        if isinstance(X, pd.DataFrame) and STARTED_AT in X:
            began = X.loc[calibrates, STARTED_AT].min()
            calibrates = (X[STARTED_AT] >= began).to_numpy()
            cut = began if ENDED_AT in X else None
        if not seen[~calibrates].any():
            n = int(seen.sum())
            raise NoHistoryError(
                f"n_samples = {n} rows with an observed target cannot be split in time into rows "
                "to learn from and rows to calibrate on; load a longer history, or fit the "
                "estimator elsewhere and pass cv='prefit'."
            )
        return calibrates, cut

    def _pair(self) -> Sequence[Any]:
        if self.conformity_score != "quantile" or self.quantile_estimators is None:
            return ()
        return self.quantile_estimators

    def _check_parts(self) -> None:
        if self.conformity_score == "quantile" and len(self._pair()) != 2:
            raise ValueError(
                "conformity_score='quantile' needs quantile_estimators=(low, high), two regressors "
                f"that forecast quantiles, got {self.quantile_estimators!r}."
            )
        if self.conformity_score == "scaled" and self.cv == "prefit" and self.difficulty is None:
            raise ValueError(
                "conformity_score='scaled' with cv='prefit' needs a fitted difficulty; pass one, "
                "or let fit do it all with cv=None."
            )

    def _fit_all(self, X: Any, targets: Floats, limits: Floats) -> None:
        self.estimator_ = self._fitted(self.estimator, X, targets, limits)
        self.quantile_estimators_ = [
            self._fitted(estimator, X, targets, limits) for estimator in self._pair()
        ]
        self.difficulty_ = None
        if self.conformity_score == "scaled":
            self.difficulty_ = self._fit_difficulty(X, targets, limits)

    def _fit_difficulty(self, X: Any, targets: Floats, limits: Floats) -> Any:
        """Learn the size of errors on the newest of these rows, of an estimator fitted without."""
        plain = {"conformity_score": "log_ratio", "coverage": "output", "refit": False}
        judge = clone(self).set_params(**plain)
        judge.fit(X, self._named(targets, X), self._named(limits, X))
        sizes = np.full_like(targets, np.nan)
        around = judge._around(judge.calibration_forecasts_)
        sizes[judge._calibration_rows] = np.abs(around.errors_of(judge.calibration_targets_)[0])
        difficulty = self.difficulty
        if difficulty is None:
            by_name = isinstance(self.target_names_, pd.MultiIndex)
            difficulty = (
                RecentSpread()
                if by_name
                else HistGradientBoostingRegressor(loss="absolute_error", random_state=0)
            )
        never = np.isnan(sizes).all(axis=0)
        sizes[judge._calibration_rows[0], never] = 1.0  # nothing is known, so nothing is harder
        self._least_unit = np.maximum(np.nanmean(sizes, axis=0) / 10, LEAST_UNIT)
        return self._fitted(difficulty, X, sizes, np.full_like(sizes, np.nan))

    def _fitted(self, estimator: Any, X: Any, targets: Floats, limits: Floats) -> Any:
        estimator = observing(estimator, self._as_given(targets))
        given = {}
        if not np.isnan(limits).all():
            given = at_least_parameter(estimator, self._named(limits, X))
        return estimator.fit(X, self._named(targets, X), **given)

    def _named(self, values: Floats, X: Any) -> Any:
        """Give targets the form in which they came."""
        if self.target_names_ is None:
            return self._as_given(values)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(values, columns=self.target_names_, index=index)

    def _as_given(self, values: Floats) -> Floats:
        return values[:, 0] if self._is_1d else values

    def _steps_and_jobs(self, n_outputs: int) -> tuple[NDArray[np.intp], list]:
        names = self.target_names_
        if isinstance(names, pd.MultiIndex):
            return names.get_level_values(0).to_numpy(np.intp), list(names.get_level_values(-1))
        n_jobs, rest = divmod(n_outputs, self.horizon)
        if rest:
            raise ValueError(
                f"y has {n_outputs} columns, which are not {self.horizon} steps of the same jobs; "
                "correct horizon, or pass the DataFrame of make_targets."
            )
        return np.repeat(np.arange(1, self.horizon + 1), n_jobs), list(range(n_jobs)) * self.horizon

    def _calibrate(
        self,
        clock: Clock,
        centres: Centres,
        targets: Floats,
        limits: Floats,
        calibrates: Mask,
        in_table: Mask,
    ) -> None:
        started = np.zeros(len(targets)) if clock.started is None else clock.started
        order = np.argsort(started, kind="stable")
        rows = order[calibrates[order]]
        if not len(rows):
            raise NoHistoryError("no target of the rows that calibrate was observed.")
        self.calibration_forecasts_ = centres.forecast[rows]
        self.calibration_targets_ = targets[rows]
        self.calibration_at_least_ = limits[rows]
        self.n_calibration_ = len(rows)
        self._calibration_rows = rows
        above, below, is_censored = measured(centres.take(rows), targets[rows], limits[rows])
        if self.coverage in ("steps", "all"):
            is_cut = ~in_table[rows].all(axis=1)
            above[is_cut] = below[is_cut] = np.nan
        self._bounds = []
        for group in range(self.groups_.max() + 1):
            outputs = np.flatnonzero(self.groups_ == group)
            mine = above[:, outputs], below[:, outputs], is_censored[:, outputs]
            self._bounds.append(calibrated(outputs, *mine, clock.series[rows], WINDOW))
        self._following = None
        self.drift_ = np.zeros(len(self._bounds))
        self.refit_advised_ = False
        self.n_effective_ = np.array([bounds.n_effective for bounds in self._bounds])

    def _forget(self) -> None:
        self._recent: pd.DataFrame | None = None
        self._memory: Memory | None = None

    def _remember(self, X: Any, rows: NDArray[np.intp]) -> None:
        """Keep the rows that the estimator has not seen the end of: the history of later ones."""
        recent = _safe_indexing(X, rows)
        self._recent = recent if isinstance(X, pd.DataFrame) else None
        self._memory = remember(row_values(recent), read_clock(recent), len(rows))

    def _with_recent(self, X: Any) -> tuple[Any, int]:
        """Put the remembered rows before the given ones, and say how many they are."""
        if self._memory is None:
            return X, 0
        kept, _ = recall(self._memory, row_values(X), read_clock(X))
        if not len(kept):
            return X, 0
        if self._recent is None:
            before = self._memory.table[kept].reshape(-1, *X.shape[1:])
            return np.concatenate([before, X]), len(kept)
        before = self._recent.iloc[self._memory.table[kept, 0].astype(np.intp)]
        # A flag that is not known yet is NaN, so a float.
        flags = [c for c in X if {before[c].dtype.kind, X[c].dtype.kind} == {"b", "f"}]
        floats = dict.fromkeys(flags, "float64")
        return pd.concat([before.astype(floats), X.astype(floats)]), len(kept)

    def _forecast(self, X: Any) -> Floats:
        """Forecast checked rows; always of shape (n_runs, n_outputs)."""
        return self._predicted([self.estimator_], X)[0]

    def _predicted(self, estimators: list, X: Any) -> list[Floats]:
        table, n_before = self._with_recent(X)
        outputs = [np.asarray(one.predict(table), dtype=np.float64) for one in estimators]
        return [output.reshape(len(output), -1)[n_before:] for output in outputs]

    def _centres(self, X: Any) -> Centres:
        extra = [] if self.difficulty_ is None else [self.difficulty_]
        forecast, *others = self._predicted(
            [self.estimator_, *self.quantile_estimators_, *extra], X
        )
        if self.quantile_estimators_:
            low, high = np.minimum(*others), np.maximum(*others)
            return Centres(forecast, low, high, np.ones_like(forecast), True)
        if extra:
            unit = np.maximum(others[0], self._least_unit)
            return Centres(forecast, forecast, forecast, unit, True)
        return self._around(forecast)

    def _around(self, forecasts: Floats) -> Centres:
        return Centres(
            forecasts,
            forecasts,
            forecasts,
            np.ones_like(forecasts),
            self.conformity_score != "absolute",
        )

    def _remember_too(self, X: Any) -> None:
        """Remember rows that have ended since, besides those of before."""
        if self._memory is None:
            self._remember(X, np.arange(len(X)))
        else:
            table, _ = self._with_recent(X)
            self._remember(table, np.arange(len(table)))

    def _shaped(self, values: Any, name: str) -> Floats:
        values = np.asarray(values, dtype=np.float64)
        if np.isinf(values).any():
            raise ValueError(f"{name} holds infinity; pass NaN where a run was not observed.")
        return values.reshape(len(values), -1)

    def _levels(self, confidence_level: float | Sequence[float] | None) -> Floats:
        asked = self.confidence_level if confidence_level is None else confidence_level
        levels = np.atleast_1d(np.asarray(asked, dtype=np.float64))
        if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"confidence_level must be a number between 0 and 1, or a list of such, got {asked}"
            )
        return levels

    def _warn_if_too_few(self, one_sided: Floats, levels: Floats) -> None:
        if self._following is not None:
            return
        fewest = min(bounds.n_rows for bounds in self._bounds)
        needed = np.array([rows_needed(level) for level in one_sided])
        if (needed > fewest).any():
            short = int(np.argmax(needed > fewest))
            warnings.warn(
                f"{fewest} calibration rows are too few for a bound at {levels[short]:g}, which is "
                f"infinite: expected at least {needed[short]}; load a longer history, raise "
                "calibration_fraction or ask for a lower confidence_level.",
                TooFewRunsWarning,
                stacklevel=3,
            )

    def _errors(self, side: str, levels: Floats) -> Floats:
        """Largest error inside at each level, of shape (n_outputs, n_levels)."""
        errors = np.empty((len(self.groups_), len(levels)))
        sources: Sequence[Bounds | Following] = self._following or self._bounds
        for bounds, source in zip(self._bounds, sources, strict=True):
            errors[bounds.outputs] = source.errors(side, levels)
        return errors

    def _checked(self, X: Any, *, reset: bool) -> Any:
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        tags = get_tags(self.estimator).input_tags
        X = X if hasattr(X, "ndim") or not tags.three_d_array else np.asarray(X)
        windows = tags.three_d_array and X.ndim == 3
        X = validate_data(
            self,
            X,
            reset=reset,
            ensure_all_finite="allow-nan" if tags.allow_nan else True,
            ensure_2d=not windows,
            allow_nd=windows,
        )
        if windows and reset:
            self.n_features_in_ = X.shape[2]
        return X

    def _checked_targets(self, X: Any, y: Any, at_least: Any) -> tuple[Floats, Floats]:
        """Targets and lower bounds of those that were cut off, with one column an output."""
        if y is None:
            raise ValueError(
                "ConformalForecaster requires y to be passed, but the target y is None; build it "
                "with sklearn_jobtime.runs.make_targets(runs)."
            )
        allow_nan = {"ensure_2d": False, "ensure_all_finite": "allow-nan", "dtype": "float64"}
        targets = check_array(y, **allow_nan, input_name="y")
        limits = np.full_like(targets, np.nan)
        if at_least is not None:
            limits = check_array(at_least, **allow_nan, input_name="at_least")
        if len(X) != len(targets) or limits.shape != targets.shape:
            raise ValueError(
                f"X has {len(X)} rows, y has the shape {targets.shape} and at_least "
                f"{limits.shape}; expected one row of y and at_least for each of X."
            )
        if (~np.isnan(targets) & ~np.isnan(limits)).any():
            raise ValueError(
                "at_least holds a number where y does too; where a run was cut off its duration is "
                "not known, so set y to NaN there."
            )
        self._is_1d = targets.ndim == 1
        return targets.reshape(len(targets), -1), limits.reshape(len(targets), -1)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.three_d_array = inner.input_tags.three_d_array
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.conformity_score != "absolute"
        tags.regressor_tags = inner.regressor_tags
        return tags
