"""Updates of a fitted conformal forecaster: adaptive conformal inference."""

from typing import Any, Self

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._typing import Floats, Ints
from sklearn_jobtime.conformal._calibration_set import CalibrationSet, latest, read_outcomes
from sklearn_jobtime.conformal._inner_estimators import given_forecasts
from sklearn_jobtime.conformal._scores import ConformityScore
from sklearn_jobtime.conformal._series_bounds import SeriesBounds, times_of
from sklearn_jobtime.point_in_time._table_memory import RememberedRows
from sklearn_jobtime.runs._target_jobs import in_order_of, in_order_of_rows

__all__ = ["UpdatesMixin"]


class UpdatesMixin:
    """The methods by which a fitted conformal forecaster learns what became of later runs."""

    conformity_score: str | ConformityScore
    conformity_score_: ConformityScore
    groups_: Ints
    n_updates_: int
    refit_advised_: bool
    target_names_: pd.Index | None
    updated_until_: float
    _bounds: SeriesBounds
    _calibration_set: CalibrationSet
    _checked: Any
    _forecasts: Any
    _remembered: RememberedRows | None

    def update(
        self,
        X: pd.DataFrame | ArrayLike | None,
        y: pd.DataFrame | ArrayLike,
        at_least: pd.DataFrame | ArrayLike | None = None,
        *,
        forecast: ArrayLike | None = None,
    ) -> Self:
        """Update the bounds with what became of runs, without fitting anything.

        From the first call on, bounds are no longer those of the calibration rows alone: each miss
        widens them a little, each hit narrows them, and the newest hundred errors count
        (adaptive conformal inference, :class:`~sklearn_jobtime.conformal.AdaptiveBound`). The
        nominal coverage is then the share of runs inside in the long run, for any sequence of
        runs, changes of level included; not more than that for a single night.

        What is made up for are misses of the bounds that were in force when a run started, before
        others that ran at the same time had ended. That takes `started_at` and `ended_at` in `X`
        (the runs that later steps are about are looked up among those of earlier updates too);
        without them each run counts as started after those before it had ended, which may be far
        off where many run at a time.

        In a pool each series has adaptive bounds of its own. They start from the errors of its
        calibration rows, if there are twenty, else from the newest of all series. What is off in
        all series alike, after a wild spell of the machine for example, they learn together.
        Series that were not updated yet keep the bounds of `fit`. The state of a series takes up
        to twenty kilobytes an output.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...), or None
            The rows of runs that have ended, in start order. They are also remembered as history
            for `predict`: the newest 1,000 of a series, or as many as `fit` remembered. With
            `forecast` only the times and the index are read, which names the series of each row;
            None is then one series without a name, as an array or a plain index is.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            What they took, in seconds; NaN is skipped. Give each target once, as soon as it is
            known: of a horizon, the later steps are NaN at first, and come in a later call with
            the same row and NaN for what was given before. Where several steps are covered
            together, give a row when all of them are known.
            :func:`~sklearn_jobtime.conformal.online_update` does so from a whole run table.
        at_least : DataFrame or array of the shape of `y`, default=None
            Lower bounds of right-censored runs: those above a bound of the interval count as
            missed, others not at all.
        forecast : array of the shape of `y`, default=None
            The forecasts that were made for these rows, where they are at hand: an update then
            takes microseconds an output, as nothing is forecast again.

        Returns
        -------
        self
        """
        if not hasattr(self, "estimator_"):  # check_is_fitted alone takes a quarter of an update
            check_is_fitted(self)
        X, score = plain_table(X), self.conformity_score_
        if forecast is None:
            X = self._checked(X, reset=False)
            forecasts = self._forecasts(X)
            rows = self._remembered or RememberedRows(_safe_indexing(X, slice(0)))
            self._remembered = rows.and_(X)
        else:
            forecasts = given_forecasts(forecast, X, score, self.conformity_score)
        if hasattr(y, "columns") or hasattr(at_least, "columns"):  # names, else an array
            y = in_order_of(in_order_of_rows(y, X), self.target_names_)
            at_least = in_order_of(
                in_order_of_rows(at_least, X, "at_least"), self.target_names_, "at_least"
            )
        shape = len(forecasts.forecast), len(self.groups_)
        targets, lower_bounds = read_outcomes(shape, y, at_least)
        started, ended = times_of(X, len(targets))
        split = score.split(forecasts, targets, lower_bounds)
        n_runs, self.refit_advised_ = self._bounds.learn(X, split, started, ended)
        self.n_updates_ += n_runs
        self.updated_until_ = latest(ended, self.updated_until_)
        self._calibration_set.add(forecasts.forecast, targets, lower_bounds, started)
        return self

    def calibration_set(self) -> tuple[Floats, Floats, Floats]:
        """Give the runs that say how far off a forecast may be, those of `update` included.

        Returns
        -------
        forecasts, targets, at_least : ndarray of shape (n, n_outputs)
            As `calibration_forecasts_` and so on, then those of `update`, of which the newest are
            kept: 1,000, or as many as calibrated.
        """
        check_is_fitted(self)
        return self._calibration_set.arrays()

    def calibration_weights(self) -> Floats | None:
        """Give the weights of the rows of :meth:`calibration_set`; None where all count alike.

        Returns
        -------
        ndarray of shape (n,) or None
            1 for the runs of `update`.
        """
        check_is_fitted(self)
        return self._calibration_set.weights()

    def calibration_starts(self) -> Floats:
        """Give the starts of the rows of :meth:`calibration_set`, in seconds since 1970.

        Returns
        -------
        ndarray of shape (n,)
            NaN where nobody said when runs started.
        """
        check_is_fitted(self)
        return self._calibration_set.started()

    @property
    def drift_(self) -> Floats:
        """Drift figure of each group of outputs, of the series that is furthest off."""
        return self._bounds.drift()

    def drift_of_series(self) -> dict[tuple, Floats]:
        """Give the drift figures of each series that was updated, one for each group of outputs.

        Returns
        -------
        dict of tuple to ndarray of shape (n_groups,)
            By the names of the series; ``()`` is that of a table without any.
        """
        check_is_fitted(self)
        return self._bounds.drift_of_series()
