"""Any regressor on top of a base forecast: it learns by which factor that will be wrong."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import _check_method_params, check_is_fitted

from sklearn_jobtime._estimator import (
    ObservedScoreMixin,
    check_has_effect,
    observed_with_weight,
    pop_weights,
    read_rows,
)
from sklearn_jobtime._typing import Floats, Mask, Rows
from sklearn_jobtime.baselines._history_regressor import HistoryRegressor
from sklearn_jobtime.baselines._online_mix import OnlineMix
from sklearn_jobtime.compose._asked_rows import (
    can_be_asked,
    is_own,
    of_newest,
    predicted_rows,
    window_steps,
)
from sklearn_jobtime.compose._metadata import (
    fit_parameters,
    parameter_of,
    predict_parameters,
    router,
)
from sklearn_jobtime.compose._missing_targets import observing
from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.point_in_time._newest_rows import AskedRows, NewestForecasts
from sklearn_jobtime.point_in_time._splits import newest_share
from sklearn_jobtime.point_in_time._timed_windows import in_time_order
from sklearn_jobtime.preprocessing._tables import in_rows
from sklearn_jobtime.runs._log_ratio import least_duration
from sklearn_jobtime.runs._schema import STARTED_AT
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = ["BASE_FORECAST_COLUMN", "AnchoredRegressor"]


BASE_FORECAST_COLUMN = f"{STARTED_AT}__base_forecast_"  # of a job: what `show_base_forecast` adds
FACTORS = np.linspace(0.0, 1.0, 11)
LEAST_VALIDATION = 10  # observed targets below which a factor would be chosen by chance


def log_correction(targets: Floats, base: Floats, floor: Floats, clip: float) -> Floats:
    """Clipped log of target over base forecast; one below `floor` moves in units of the floor."""
    change = (targets - base) / np.maximum(base, floor)
    return np.clip(np.log1p(np.maximum(change, np.expm1(-clip))), -clip, clip)


def corrected(log_corrections: Floats, base: Floats, floor: Floats, clip: float) -> Floats:
    """Inverse of :func:`log_correction`: exactly the base forecast where it is 0, never below 0."""
    moved = base + np.maximum(base, floor) * np.expm1(np.clip(log_corrections, -clip, clip))
    return np.maximum(moved, np.minimum(base, 0.0))


def shrink_factor(errors: Floats, caution: float, weights: Floats | None = None) -> float:
    """How far to follow a regressor, from errors on rows that it has not seen.

    Parameters
    ----------
    errors : ndarray of shape (n, n_factors)
        Absolute errors with the corrections times each of `FACTORS`, the first of which is 0.
    caution : float
        Standard errors by which the gain of a whole correction has to be more than chance.
    weights : ndarray of shape (n,), default=None
        How often each row counts; None: once.

    Returns
    -------
    float
        The factor with the least ``mean error + factor * caution * standard error``; 0 with fewer
        than `LEAST_VALIDATION` rows.
    """
    weights = np.ones(len(errors)) if weights is None else weights
    total = weights.sum()
    if total < LEAST_VALIDATION:
        return 0.0
    gain = errors[:, -1] - errors[:, 0]
    spread = np.sqrt(weights @ (gain - weights @ gain / total) ** 2 / total)
    penalty = caution * spread / np.sqrt(total)
    return float(FACTORS[np.argmin(weights @ errors / total + FACTORS * penalty)])


class AnchoredRegressor(MetaEstimatorMixin, ObservedScoreMixin, BaseEstimator):
    """Let a regressor learn by which factor a base forecast will be wrong, not the run time itself.

    A rolling median is hard to beat, and a network that has to learn the level of a job before
    anything else often loses to it. Here a baseline gives a *base forecast* first, from nothing but
    the runs that had ended; the regressor learns ``log(actual / base)``, and the forecast is
    ``base * exp(regressor)``. A regressor that predicts 0 gives exactly the base forecast, so there
    is a floor under what it can lose; a change of level is the work of the base forecast; and since
    ratios are alike for jobs of seconds and of hours, many series can be learned at once.

    A series or a job of which no run was known starts from the prior of the base forecast, and
    :meth:`sources` tells which forecasts rest on it, on the baselines, or on the regressor.

    The regressor may still lose where the future is unlike the past or runs are few. So its
    corrections are shrunk: multiplied by ``n / (n + prior_sample_size)``, with n observed targets a
    series. With ten runs the base forecast is the model, with thousands the regressor is. Many
    series count as one of their mean length, since those of one batch have their good and bad
    nights together, and such nights are no more than those of one series. For a regressor that can
    overfit, `validate` also fits it on the older training rows alone and scores it on the newest;
    the corrections are then also multiplied by the factor between 0 and 1 that would have been best
    there. With 0, the regressor is not trained at all.

    Parameters
    ----------
    regressor : estimator
        Any regressor, or a pipeline that makes numbers of a run table and ends in one. It is
        cloned. Where targets are missing, see `missing_targets`.
    base_forecaster : estimator, default=None
        A regressor over the same `X` whose forecasts for its own training rows are causal, such as
        those of :mod:`sklearn_jobtime.baselines`. None takes
        :class:`~sklearn_jobtime.baselines.OnlineMix`.
    clip : float, default=3.0
        Bound of the log ratios in training and prediction: a run 20 times as long as expected went
        wrong, and says nothing about the next one.
    prior_sample_size : float, default=400.0
        How many runs the base forecast is worth: the regressor is followed half the way in a series
        of so many runs, and in full with 0.
    show_base_forecast : bool, default=False
        Give the regressor the base forecasts too, as columns ``started_at__base_forecast_<job>``
        (the logarithm of the seconds; known at the start, as the name says) behind those of `X`.
        Boosted trees then see when a job is unlike its usual self. An LSTM follows a level to where
        it has never been: for one, leave it off.
    validate : bool, default=False
        Learn on validation rows how far to follow the regressor. It costs one more fit, and pays
        for regressors without early stopping.
    caution : float, default=0.5
        In `validate`, by how many standard errors the gain of the regressor has to be more than
        chance before it is followed in full. 0 takes the best factor as it is.
    validation_fraction : float, default=0.2
        In `validate`, the share of the newest rows to score on.
    missing_targets : {"auto", "pass", "drop"}, default="auto"
        What to do with rows whose target is NaN: "pass" them to a regressor that masks them, or
        "drop" them for the last step of the pipeline, output by output
        (:class:`~sklearn_jobtime.compose.CompleteCaseRegressor`). "auto" passes them to a regressor
        whose class says ``masks_missing_targets = True``, as LSTMForecaster does, also through a
        search or a wrapper of your own, and drops them where each row stands for itself; where
        neither can be, it raises an error.

    Attributes
    ----------
    base_forecaster_ : estimator
        Fitted.
    regressor_ : estimator or None
        The fitted regressor; None where `shrinkage_` is 0 for all outputs.
    shrinkage_ : ndarray of shape (n_outputs,)
        By how much its corrections are multiplied, from 0 (the base forecast alone) to 1.
    floor_ : ndarray of shape (n_outputs,)
        Half the smallest positive target, in seconds: the unit of corrections to a base
        forecast below it, such as 0 s.
    target_names_ : Index or None
        The columns of `y`, when it was a DataFrame.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    NoHistoryError
        When nothing was observed in `fit`. An output that was not, beside others that were, gets
        the base forecast alone.

    See Also
    --------
    sklearn_jobtime.LevelScaler : The same for the inputs.
    sklearn.compose.TransformedTargetRegressor : A transform that is the same for all rows.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn_jobtime.compose import AnchoredRegressor
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=60, random_state=0)
    >>> y = make_targets(runs)[[(1, "whole_run")]]
    >>> zero = DummyRegressor(strategy="constant", constant=0.0)
    >>> model = AnchoredRegressor(zero, RollingRule("median")).fit(runs, y)
    >>> bool((model.predict(runs) == model.base_forecaster_.predict(runs)).all())
    True
    """

    looks_back = True  # its base forecast does
    weighs_rows = True
    __metadata_request__fit: ClassVar = {"at_least": True, "sample_weight": True}

    _parameter_constraints: ClassVar[dict] = {
        "regressor": [HasMethods(["fit", "predict"])],
        "base_forecaster": [HasMethods(["fit", "predict"]), None],
        "clip": [Interval(Real, 0, None, closed="neither")],
        "prior_sample_size": [Interval(Real, 0, None, closed="left")],
        "validate": ["boolean"],
        "show_base_forecast": ["boolean"],
        "caution": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "missing_targets": [StrOptions({"auto", "pass", "drop"})],
    }

    def __init__(
        self,
        regressor: Any,
        base_forecaster: Any = None,
        *,
        clip: float = 3.0,
        prior_sample_size: float = 400.0,
        show_base_forecast: bool = False,
        validate: bool = False,
        caution: float = 0.5,
        validation_fraction: float = 0.2,
        missing_targets: str = "auto",
    ) -> None:
        self.regressor = regressor
        self.base_forecaster = base_forecaster
        self.clip = clip
        self.prior_sample_size = prior_sample_size
        self.show_base_forecast = show_base_forecast
        self.validate = validate
        self.caution = caution
        self.validation_fraction = validation_fraction
        self.missing_targets = missing_targets

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: pd.DataFrame | ArrayLike,
        at_least: pd.DataFrame | ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the base forecaster, and the regressor on what it leaves.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            A run table in start order.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Targets from :func:`~sklearn_jobtime.runs.make_targets`, in seconds.
        at_least : DataFrame or array of the shape of `y`, default=None
            Lower bounds of right-censored runs in seconds, NaN elsewhere, from
            :func:`~sklearn_jobtime.runs.make_lower_bounds`. They go, as log ratios to the base
            forecast, to a regressor whose `fit` takes `at_least`, as LSTMForecaster's does; any
            other regressor, and the base forecaster, do not get them.
        **fit_params : dict
            `sample_weight`, of shape (n_runs,): how often each row counts, for the regressor, the
            shrinkage, and the base forecaster if it takes them. A row of weight 0 is the history
            of others and no more. Anything else goes to the regressor: as it is, such as
            ``trees__groups`` for a step `trees`, or with metadata routing on to what requested it.

        Returns
        -------
        self
        """
        for name in ("caution", "validation_fraction"):
            check_has_effect(self, name, self.validate, needs="validate=True")
        X = read_rows(self, X, reset=True)
        X, y, at_least, *values = in_time_order(X, y, at_least, *fit_params.values())
        fit_params = dict(zip(fit_params, values, strict=True))
        given = read_targets(self, X, y, at_least)
        weights = pop_weights(fit_params, X)
        targets = observed_with_weight(given.observed, weights)
        self._form = given.form.for_jobs_of(X, targets, self)
        self.target_names_ = self._form.names
        self._fit_base_forecaster(X, targets, weights)
        base = np.reshape(self.base_forecaster_.predict(X), targets.shape)
        self.floor_ = np.array([least_duration(output) for output in targets.T])
        ratios = log_correction(given.observed, base, self.floor_, self.clip)
        counts = np.ones(len(targets)) if weights is None else weights
        n_observed = counts @ ~np.isnan(targets)
        prior = self.prior_sample_size * len(read_clock(X).keys)
        self.shrinkage_ = n_observed / np.maximum(n_observed + prior, 1)
        self._learned = n_observed > 0
        bounds = None
        if at_least is not None:
            bounds = log_correction(given.lower_bounds, base, self.floor_, self.clip)
            bounds = self._as_learned(bounds)
        beside = {"at_least": bounds, "sample_weight": weights, **fit_params}
        inner = {"regressor": self._new_regressor(ratios)}
        params = fit_parameters(self, inner, beside)["regressor"]
        X = self._shown(X, base)
        if self.validate:
            observed = (~np.isnan(targets)).any(axis=1)
            is_new = newest_share(X, np.asarray(observed), self.validation_fraction)
            self.shrinkage_ = self.shrinkage_ * self._best_factors(
                X, targets, base, ratios, is_new, params, counts
            )
        self.regressor_ = None
        if self.shrinkage_.any():
            self.regressor_ = self._new_regressor(ratios).fit(X, self._named(ratios), **params)
        return self

    def _fit_base_forecaster(self, X: Any, targets: Floats, weights: Floats | None) -> None:
        self.base_forecaster_ = clone(self._given_base_forecaster())
        inner = {"base_forecaster": self.base_forecaster_}
        is_weighed = parameter_of(self.base_forecaster_, "sample_weight") is not None
        beside = {"sample_weight": weights if is_weighed else None}
        params = fit_parameters(self, inner, beside)["base_forecaster"]
        self.base_forecaster_.fit(X, self._form.named(targets, X), **params)

    def _given_base_forecaster(self) -> Any:
        return OnlineMix() if self.base_forecaster is None else self.base_forecaster

    def predict(self, X: pd.DataFrame | ArrayLike, **predict_params: Any) -> Floats:
        """Forecast each row: the base forecast, corrected.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            Rows to forecast, and any rows newer than those of `fit`.
        **predict_params : dict
            Go to the regressor as they are, such as ``series`` for a
            :class:`~sklearn_jobtime.StatefulForecaster`.

        Returns
        -------
        ndarray of shape (n_runs,) or (n_runs, n_outputs), in seconds
        """
        check_is_fitted(self)
        X = read_rows(self, X, reset=False)
        base = np.reshape(self.base_forecaster_.predict(X), (-1, len(self.shrinkage_)))
        return self._form.of(self._corrected(X, base.astype(np.float64), **predict_params))

    def _corrected(self, X: Any, base: Floats, **predict_params: Any) -> Floats:
        """Correct the base forecasts of all rows."""
        if self.regressor_ is None:
            return base
        X = self._shown(X, base)
        if not predict_params and isinstance(X, pd.DataFrame) and can_be_asked(self.regressor_):
            learned = predicted_rows(self.regressor_, X, None)
        else:
            params = predict_parameters(self, "regressor", predict_params)
            learned = self.regressor_.predict(X, **params)
        ratio = self._corrections(learned, len(base))
        return corrected(ratio * self.shrinkage_, base, self.floor_, self.clip)

    def can_be_asked(self) -> bool:
        """Tell whether it can forecast some rows of a table alone."""
        is_known = isinstance(self.base_forecaster_, HistoryRegressor)
        parts = [self.base_forecaster_, *([] if self.regressor_ is None else [self.regressor_])]
        return is_known and all(map(can_be_asked, parts))

    def predict_rows(self, X: pd.DataFrame, asked: AskedRows | None) -> Floats:
        """Forecast some rows of a table in which each remembered run of its series is."""
        rows = None if asked is None else asked.rows
        return self._form.of(self.with_sources(X, rows).seconds)

    def forecast_newest(self, X: Any, n: int) -> NewestForecasts:
        """Forecast the last rows of a table and tell what each forecast rests on, in one pass.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            As for :meth:`predict`.
        n : int
            How many rows, from the end of the table.

        Returns
        -------
        NewestForecasts
            The last n rows of what :meth:`predict` and :meth:`sources` give.
        """
        check_is_fitted(self)
        X = read_rows(self, X, reset=False)
        return of_newest(X, n, self.can_be_asked(), self.with_sources)

    def with_sources(self, X: Any, rows: Rows | None = None) -> NewestForecasts:
        """Forecast rows, and tell what each forecast mostly rests on.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            As for :meth:`predict`.
        rows : ndarray of int, default=None
            The rows to forecast; None: all. With rows, each remembered run of the series in `X` has
            to be in `X`.

        Returns
        -------
        NewestForecasts

        Raises
        ------
        NotAllGivenError
            When a remembered run may stand before the given ones.
        """
        if rows is None:
            base, sources = self._base_forecasts(X)
            return NewestForecasts(self._corrected(X, base), self._followed(sources))
        asked = AskedRows.of(X, rows, window_steps(self.regressor_))
        base, sources = self._base_forecasts(X, asked.needed)
        place = np.searchsorted(asked.needed, rows)
        sources = self._followed(sources[place])
        if self.regressor_ is None:
            return NewestForecasts(base[place], sources)
        X = self._shown(X, base, asked.needed)
        ratio = self._corrections(predicted_rows(self.regressor_, X, asked), len(rows))
        seconds = corrected(ratio * self.shrinkage_, base[place], self.floor_, self.clip)
        return NewestForecasts(seconds, sources)

    def _base_forecasts(self, X: Any, rows: Rows | None = None) -> tuple[Floats, NDArray[np.str_]]:
        """Give base forecasts and what they rest on, of shape (n_rows, n_outputs)."""
        forecaster, n_outputs = self.base_forecaster_, len(self.shrinkage_)
        if isinstance(forecaster, HistoryRegressor) and is_own(forecaster):
            found = forecaster.with_sources(X, rows)
            assert found.sources is not None
            return found.seconds, found.sources
        base = np.reshape(forecaster.predict(X), (-1, n_outputs)).astype(np.float64)
        sources = np.full(base.shape, "baselines")
        if hasattr(forecaster, "sources"):
            sources = np.reshape(forecaster.sources(X), base.shape)
        return base, sources

    def _followed(self, sources: NDArray[np.str_]) -> NDArray[np.str_]:
        """Say where the corrections of the regressor are followed at least half the way."""
        followed = (sources == "baselines") & (self.shrinkage_ >= 0.5)
        return np.where(followed, "model", sources)

    def sources(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.str_]:
        """Tell what each forecast mostly rests on.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            As in `predict`.

        Returns
        -------
        ndarray of str, shape (n_runs,) or (n_runs, n_outputs)
            "prior" where the base forecaster says so: what other series or jobs take, for a series
            or a job of which few runs or none were known; else "model" where the corrections of the
            regressor are followed at least half the way, and "baselines" where they are not.
        """
        check_is_fitted(self)
        X = read_rows(self, X, reset=False)
        found = np.full((len(X), len(self.shrinkage_)), "baselines")
        if hasattr(self.base_forecaster_, "sources"):
            found = np.reshape(self.base_forecaster_.sources(X), found.shape)
        return self._form.of(self._followed(found))

    def _best_factors(
        self,
        X: Any,
        targets: Floats,
        base: Floats,
        ratios: Floats,
        is_new: Mask,
        fit_params: dict[str, Any],
        counts: Floats,
    ) -> Floats:
        """Score a regressor that knows the older rows on the newer ones, output by output."""
        old = np.flatnonzero(~is_new)
        n_scored = (~np.isnan(targets[is_new])).sum(axis=0)
        learned = (~np.isnan(self._as_learned(ratios[old]))).any(axis=0)
        if not learned.all() or (n_scored < LEAST_VALIDATION).all():
            return np.zeros(targets.shape[1])
        params = _check_method_params(X, fit_params, indices=old)
        judge = self._new_regressor(ratios)
        judge.fit(_safe_indexing(X, old), self._named(ratios[old]), **params)
        forecast = self._corrections(judge.predict(X), len(targets))[is_new]
        factors = np.zeros(targets.shape[1])
        for k in range(targets.shape[1]):
            seen = ~np.isnan(targets[is_new, k])
            seconds = corrected(
                forecast[seen, k, None] * FACTORS,
                base[is_new, k][seen, None],
                self.floor_[k],
                self.clip,
            )
            errors = np.abs(seconds - targets[is_new, k][seen, None])
            factors[k] = shrink_factor(errors, self.caution, counts[is_new][seen])
        return factors

    def _as_learned(self, outputs: Floats) -> Floats:
        """Take the outputs that the regressor can learn; the others keep the base forecast."""
        return self._form.of(outputs[:, self._learned])

    def _named(self, ratios: Floats) -> Floats | pd.DataFrame:
        """Give the ratios to learn the names that `y` had, for a regressor that reads them."""
        learned = self._as_learned(ratios)
        if self.target_names_ is None or self._form.ndim == 1:
            return learned
        return pd.DataFrame(learned, columns=self.target_names_[self._learned])

    def _corrections(self, learned: Floats, n_rows: int) -> Floats:
        """Put what the regressor forecasts beside the outputs that it has not learned."""
        ratios = np.zeros((n_rows, len(self._learned)))
        ratios[:, self._learned] = np.reshape(learned, (n_rows, -1))
        return ratios

    def _shown(self, X: Any, base: Floats, rows: Rows | None = None) -> Any:
        """Add the base forecasts of the first output of each job, when they are to be seen.

        With `rows`, the base forecasts are those of these rows alone.
        """
        if not self.show_base_forecast:
            return X
        jobs = pd.RangeIndex(base.shape[1])
        if isinstance(self.target_names_, pd.MultiIndex):
            jobs = self.target_names_.get_level_values(-1)
        first = ~jobs.duplicated()
        logs = np.log(np.maximum(base, self.floor_))[:, first]
        if not isinstance(X, pd.DataFrame):
            return np.column_stack([X, logs])
        names = [f"{BASE_FORECAST_COLUMN}{job}" for job in jobs[first]]
        logs = in_rows(len(X), rows, logs)
        return pd.concat([X, pd.DataFrame(logs, index=X.index, columns=names)], axis=1)

    def _new_regressor(self, ratios: Floats) -> Any:
        return observing(self.regressor, self._as_learned(ratios), self.missing_targets)

    def get_metadata_routing(self) -> MetadataRouter:
        """Say who is given what: itself, and what the inner estimators request."""
        inner = {"regressor": self.regressor, "base_forecaster": self._given_base_forecaster()}
        return router(self, inner)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.regressor).input_tags.allow_nan
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = (
            True  # a base forecast looks back, whatever the columns say
        )
        return tags
