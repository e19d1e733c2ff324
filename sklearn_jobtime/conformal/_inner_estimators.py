"""The estimators inside a conformal forecaster: what they are given, and what they say of a row."""

from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import _routing_enabled
from sklearn.utils.validation import _check_method_params

from sklearn_jobtime._inside import chosen
from sklearn_jobtime._typing import Floats, Ints, Mask, Rows
from sklearn_jobtime.baselines._history_regressor import HistoryRegressor, Learned
from sklearn_jobtime.compose._asked_rows import can_be_asked, is_own, predicted_rows
from sklearn_jobtime.compose._metadata import fit_parameters, passed
from sklearn_jobtime.compose._missing_targets import observing
from sklearn_jobtime.conformal._scores import ConformityScore, RowForecasts
from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.point_in_time._job_history import JobHistory
from sklearn_jobtime.point_in_time._memory import NotAllGivenError
from sklearn_jobtime.point_in_time._newest_rows import AskedRows, has_clear_clock
from sklearn_jobtime.point_in_time._rolling import row_mean, row_median
from sklearn_jobtime.point_in_time._splits import TimeSplit, in_start_order, split_in_time
from sklearn_jobtime.runs._log_ratio import clock_tick, indistinct_durations, log_ratio
from sklearn_jobtime.runs._target_arrays import TargetForm, shaped

__all__ = [
    "InnerEstimators",
    "RecentSpread",
    "TrainingRows",
    "given_forecasts",
    "is_prefit",
    "is_seen",
    "predicted",
]


LEAST_SCALE = 1e-3  # no forecast is less than a thousandth off


@dataclass(frozen=True)
class InnerEstimators:
    """The estimators that a conformity score needs, as they were passed or fitted.

    Parameters
    ----------
    estimator : estimator
        Forecasts durations.
    quantile_estimators : list of estimator
        Forecast a low and a high quantile of them; empty where the score needs none.
    scale_model : estimator or None
        Forecasts how large an error may well be; None: not needed, or the default one.
    least_scale : ndarray of shape (n_outputs,) or (1,)
        The least scale that is believed.
    """

    estimator: Any
    quantile_estimators: list[Any]
    scale_model: Any
    least_scale: Floats = field(default_factory=lambda: np.full(1, LEAST_SCALE))

    @classmethod
    def of(cls, forecaster: Any, score: ConformityScore) -> Self:
        """Take from the parameters of a conformal forecaster what its score needs."""
        pair, scale_model = forecaster.quantile_estimators, forecaster.scale_model
        name = repr(forecaster.conformity_score)
        if score.needs_scale_model and is_prefit(forecaster) and scale_model is None:
            raise ValueError(
                f"conformity_score={name} with cv='prefit', or a frozen estimator, needs a fitted "
                "scale_model; pass one, or let fit do it all with cv=None."
            )
        if score.needs_quantile_estimators and (pair is None or len(pair) != 2):
            raise ValueError(
                f"conformity_score={name} needs quantile_estimators=(low, high), two regressors "
                f"that forecast quantiles, got {pair!r}."
            )
        return cls(
            forecaster.estimator,
            list(pair) if score.needs_quantile_estimators else [],
            scale_model if score.needs_scale_model else None,
        )

    def fit(self, rows: "TrainingRows", score: ConformityScore, newer_fraction: float) -> Self:
        """Fit a clone of each.

        Parameters
        ----------
        rows : TrainingRows
        score : ConformityScore
        newer_fraction : float
            Share of the rows whose errors the scale model learns.

        Returns
        -------
        InnerEstimators
        """
        estimator = rows.fitted("estimator", self.estimator)
        pair = [
            rows.fitted(f"quantile_estimators_{k}", one)
            for k, one in enumerate(self.quantile_estimators)
        ]
        if not score.needs_scale_model:
            return type(self)(estimator, pair, None)
        sizes = error_sizes(self.estimator, score, rows, newer_fraction)
        model = default_scale_model(rows.form) if self.scale_model is None else self.scale_model
        of_sizes = replace(rows, targets=sizes, lower_bounds=np.full_like(sizes, np.nan))
        model = of_sizes.fitted("scale_model" if self.scale_model is not None else None, model)
        least_scale = np.maximum(np.nanmean(sizes, axis=0) / 10, LEAST_SCALE)
        return type(self)(estimator, pair, model, least_scale)

    def forecasts(self, X: Any) -> RowForecasts:
        """Forecast rows with each of the fitted estimators."""
        forecast = predicted(self.estimator, X)
        low_and_high = [predicted(one, X) for one in self.quantile_estimators]
        return RowForecasts.of(forecast, quantiles=low_and_high, scale=self._scale(X))

    def forecasts_of(self, X: Any, rows: Mask) -> RowForecasts:
        """Forecast some rows of the table of their fit, alone where they know how; NaN elsewhere.

        Parameters
        ----------
        X : DataFrame or array of shape (n, ...)
            Where it has the rows of `fit`, all of them have their place in it.
        rows : ndarray of bool, shape (n,)
        """
        asked = np.flatnonzero(rows)
        if len(asked) and self.can_be_asked() and has_clear_clock(X):
            try:
                return self.with_sources(X, asked)[0].spread(asked, len(rows))
            except NotAllGivenError:
                pass
        return self.forecasts(X)

    def _scale(self, X: Any, asked: AskedRows | None = None) -> Floats | None:
        if self.scale_model is None:
            return None
        of_rows = predicted(self.scale_model, X, asked)
        return np.maximum(of_rows, self.least_scale)

    def can_be_asked(self) -> bool:
        """Tell whether all of them can forecast some rows of a table alone."""
        model = chosen(self.estimator)
        if not hasattr(model, "with_sources") or self.quantile_estimators:
            return False
        scale_models = [] if self.scale_model is None else [self.scale_model]
        looks_back_alone = all(isinstance(one, HistoryRegressor) for one in scale_models)
        return looks_back_alone and all(map(can_be_asked, [model, *scale_models]))

    def with_sources(
        self, X: Any, rows: Rows | None = None
    ) -> tuple[RowForecasts, NDArray[np.str_] | None]:
        """Forecast rows, and tell what their forecasts rest on where the estimator can tell.

        Parameters
        ----------
        X : DataFrame or array
        rows : ndarray of int, default=None
            The rows to forecast, where each remembered run of the series in `X` is in `X`; None:
            all.

        Raises
        ------
        NotAllGivenError
            When a remembered run may stand before the given ones.
        """
        model = chosen(self.estimator)
        if not is_own(model) or not hasattr(model, "with_sources"):
            sources = model.sources(X) if hasattr(model, "sources") else None
            return self.forecasts(X), sources
        found = model.with_sources(X, rows)
        asked = None if rows is None else AskedRows(rows, rows)
        low_and_high = [predicted(one, X) for one in self.quantile_estimators]
        scale = self._scale(X, asked)
        return RowForecasts.of(found.seconds, quantiles=low_and_high, scale=scale), found.sources


def is_prefit(forecaster: Any) -> bool:
    """Tell whether a conformal forecaster was given estimators that are fitted already."""
    return forecaster.cv == "prefit" or isinstance(forecaster.estimator, FrozenEstimator)


def predicted(estimator: Any, X: Any, asked: AskedRows | None = None) -> Floats:
    """Forecast with one column an output: all rows, or the asked ones."""
    found = estimator.predict(X) if asked is None else predicted_rows(estimator, X, asked)
    output = np.asarray(found, dtype=np.float64)
    return output.reshape(len(output), -1)


def given_forecasts(forecast: ArrayLike, X: Any, score: ConformityScore, name: Any) -> RowForecasts:
    """Read forecasts that are at hand, where a score needs no more of a row than these."""
    if score.needs_scale_model or score.needs_quantile_estimators:
        raise ValueError(
            f"the bounds of conformity_score={name!r} need more of a row than its forecast; pass X."
        )
    forecasts = shaped(forecast, "forecast")
    if isinstance(X, pd.DataFrame) and len(X) != len(forecasts):
        raise ValueError(
            f"X has {len(X)} rows and forecast {len(forecasts)}; expected one forecast for each "
            "row, or X=None for one series."
        )
    return RowForecasts.of(forecasts)


@dataclass(frozen=True)
class TrainingRows:
    """What inner estimators are fitted on.

    Parameters
    ----------
    owner : ConformalForecaster
        Whose `fit` it is; it says what each of them requested.
    form : TargetForm
        How the targets came.
    steps : ndarray of int, shape (n_outputs,)
        How many runs ahead each output is.
    X : DataFrame or array of shape (n, ...)
    targets, lower_bounds : ndarray of shape (n, n_outputs)
    beside : dict
        What else came, such as `sample_weight`; of what has one value a row, those of the rows.
    """

    owner: Any
    form: TargetForm
    steps: Ints
    X: Any
    targets: Floats
    lower_bounds: Floats
    beside: dict[str, Any]

    def older(self, split: TimeSplit) -> "TrainingRows":
        """Give the older rows of a split, as they were known then."""
        return replace(
            self,
            X=split.table,
            targets=split.known(self.targets),
            lower_bounds=split.known(self.lower_bounds),
            beside=_check_method_params(self.X, self.beside, indices=split.older),
        )

    def fitted(self, name: str | None, estimator: Any) -> Any:
        """Fit a clone, on the observed rows where it does not take missing targets.

        The name is that of the estimator in `get_metadata_routing` of the owner; None for one that
        nobody passed.
        """
        estimator = observing(estimator, self.form.of(self.targets))
        bounds = None
        if not np.isnan(self.lower_bounds).all():
            bounds = self.form.named(self.lower_bounds, self.X)
        beside = {"at_least": bounds, **self.beside}
        if name is None:
            params = passed(estimator, {k: v for k, v in beside.items() if v is not None})
        else:
            params = fit_parameters(self.owner, {name: estimator}, beside)[name]
        return estimator.fit(self.X, self.form.named(self.targets, self.X), **params)


def is_seen(targets: Floats, lower_bounds: Floats) -> Any:
    """Mark the rows of which a duration or a lower bound is known."""
    return np.asarray((~np.isnan(targets) | ~np.isnan(lower_bounds)).any(axis=1))


def error_sizes(
    estimator: Any, score: ConformityScore, given: TrainingRows, newer_fraction: float
) -> Floats:
    """Sizes of the errors on the newer rows, of a clone that is fitted on the older ones.

    Returns
    -------
    ndarray of shape (n, n_outputs)
        NaN for the older rows and where not observed. An output that was never observed on the
        newer rows has a single 1: nothing is known of it, so no row of it is harder.
    """
    X, targets = given.X, given.targets
    seen = is_seen(targets, given.lower_bounds)
    split = split_in_time(X, seen, given.steps, newer_fraction)
    forecast = predicted(given.older(split).fitted("estimator", estimator), X)
    rows = in_start_order(read_clock(X), split.is_newer & seen)
    sizes = np.full_like(targets, np.nan)
    one_sided = score.split(
        RowForecasts.of(forecast[rows]), targets[rows], np.full_like(targets[rows], np.nan)
    )
    sizes[rows] = np.abs(one_sided.above)
    sizes[rows[0], np.isnan(sizes).all(axis=0)] = 1.0
    return sizes


class InnerPartsMixin:
    """Names the fitted inner estimators of a conformal forecaster, which stand in one place."""

    _inner: InnerEstimators

    @property
    def estimator_(self) -> Any:
        """The fitted estimator."""
        return self._inner.estimator

    @property
    def quantile_estimators_(self) -> list[Any]:
        """The fitted pair, where the score needs it."""
        return self._inner.quantile_estimators

    @property
    def scale_model_(self) -> Any:
        """The fitted scale model, where the score needs one."""
        return self._inner.scale_model


def default_scale_model(form: TargetForm) -> Any:
    """Give the scale model that is used when none was passed."""
    if isinstance(form.names, pd.MultiIndex):
        return RecentSpread()
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - takes long

    model = HistGradientBoostingRegressor(loss="absolute_error", random_state=0)
    return model.set_fit_request(sample_weight=True) if _routing_enabled() else model


class RecentSpread(HistoryRegressor):
    """Forecast how far off a forecast of each job may well be: by how much it varied lately.

    The mean of ``|log(duration / median)|`` over the newest successful runs that had ended. It
    looks at the durations alone, not at anybody's forecasts, so it serves any forecaster of a run
    table.

    Parameters
    ----------
    n_runs : int, default=20
        How many runs it looks at: a job that turned unsteady is known as such within days, and a
        single odd run is forgotten within a month of nights.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.conformal import RecentSpread
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({"build": [60.0] * 10 + [40.0, 90.0, 60.0]})
    >>> spread = RecentSpread().fit(runs, make_targets(runs)).predict(runs)
    >>> spread[[9, 11, 12], 0].round(2)
    array([0.  , 0.04, 0.07])
    """

    learns_durations = False

    _parameter_constraints = {  # noqa: RUF012
        "n_runs": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(self, n_runs: int = 20) -> None:
        self.n_runs = n_runs

    def learn(self, history: JobHistory, targets: Floats) -> Learned:  # noqa: ARG002
        """Learn which durations the clock does not tell apart."""
        tick = clock_tick(history.clock.started, history.clock.ended)
        least = indistinct_durations(history.seconds[:, None], tick)[0]
        return Learned(self.n_runs, state=float(least))

    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:
        """Take the mean absolute log ratio of the newest runs of one job to their median."""
        seen = history.newest(self.n_runs)
        return row_mean(np.abs(log_ratio(seen, row_median(seen)[:, None], learned.state)))
