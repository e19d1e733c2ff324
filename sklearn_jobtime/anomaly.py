"""Runs that took unusually long or short, with a rate of false alarms that one can choose."""

import logging
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator, OutlierMixin, _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_jobtime._containers import plain_numbers, plain_table
from sklearn_jobtime._estimator import check_has_effect
from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime._wording import human_seconds, human_share
from sklearn_jobtime.baselines._history_regressor import HistoryRegressor
from sklearn_jobtime.baselines._online_mix import OnlineMix
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._p_values import TIE, CalibrationErrors
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time._clock import read_clock
from sklearn_jobtime.point_in_time._memory import given_again, remember
from sklearn_jobtime.point_in_time._table_memory import row_values
from sklearn_jobtime.runs._log_ratio import clock_tick, indistinct_durations, log_ratio
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN, job_columns, series_of
from sklearn_jobtime.runs._targets import make_targets
from sklearn_jobtime.runs._validation import validate_runs

__all__ = ["JobTimeAnomalyDetector", "newest_runs"]


_logger = logging.getLogger(__name__)


def errors_of(seconds: Floats, expected: Floats, floor: Floats | None) -> Floats:
    """How far off forecasts were, as log(actual / forecast) or in seconds; NaN = not observed.

    Durations below `floor`, which the clock does not tell apart, count as that; None asks for the
    difference in seconds.
    """
    return seconds - expected if floor is None else log_ratio(seconds, expected, floor)


class JobTimeAnomalyDetector(OutlierMixin, BaseEstimator):
    """Tell which runs took longer or shorter than a forecaster of such jobs lets expect.

    A run of two hours may be normal on Mondays, and one of five minutes may be the sign of a job
    that did nothing and reported success. So a run is compared with what was forecast for it when
    it started, in both directions, and its error with those of the runs seen in `fit`: the share
    of them that were as far off is a p-value, and an alarm at 1 % is false for one clean run in a
    hundred, whatever the distribution of the durations. Nothing has to be tuned to a job.

    What the forecaster knows is no alarm: a season, or a covariate. After a change of level the
    first runs are alarms, until the forecaster has learned it.

    Parameters
    ----------
    forecaster : estimator, default=None
        What a run should have taken: any regressor over the run table. None takes
        :class:`~sklearn_jobtime.baselines.OnlineMix`, which needs no training, so every run of
        `fit` calibrates. Of a regressor that is trained, the newest runs calibrate, as in
        :class:`~sklearn_jobtime.conformal.ConformalForecaster`.
    contamination : float, default=0.01
        The share of clean runs that may be called anomalous, in (0, 0.5]; also the share of the
        runs of `fit` that are. One in a hundred is an alarm every three months for a nightly
        pipeline. It takes ``2 / contamination`` runs before there can be an alarm.
    jobs : sequence of str, default=None
        The jobs to watch; None finds them as :func:`~sklearn_jobtime.runs.job_columns` does.
    whole_run : bool, default=None
        Whether to watch the time of the whole run as well; None does if the table tells it, as
        :func:`~sklearn_jobtime.runs.make_targets`.
    calibration_fraction : float, default=0.5
        Share of the runs that calibrate a forecaster which is trained. Half, because a rate of
        1 % needs more of them than a bound at 90 %.

    Attributes
    ----------
    forecaster_ : ConformalForecaster
        The fitted forecaster, with its errors.
    jobs_ : list
        The jobs watched: those of which a run was observed.
    offset_ : float
        ``decision_function`` is ``score_samples`` minus this: the least number above
        `contamination`.
    n_calibration_ : int
        Runs with which a new one is compared.
    least_p_value_ : float
        The least p-value that a new run can have; above `contamination`, none is an alarm.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    NoHistoryError
        When no run was observed.
    RunTableError
        When a run table is not valid, see :func:`~sklearn_jobtime.runs.validate_runs`.

    Notes
    -----
    An error is ``log(actual / forecast)``. Too long and too short are judged apart, each with half
    of the false alarms, since job times have a long tail on one side. The p-value of a run with
    several jobs is that of its largest error over them, each relative to the scale of its job: the
    mean error over the runs of `fit` and the run itself, so that all of them are treated alike and
    the p-value holds with a finite number of runs. :meth:`p_values` has one for each job.

    The runs of all series are compared with each other, by ratios to their own forecasts. So the
    rate of false alarms is that of all series together: of one whose runs vary more than those of
    the others there will be more. Where that matters, fit a detector for each series.

    With n runs to compare with, no p-value of a job is below ``2 / (n + 1)``, so a control of false
    discoveries among m jobs of runs lists a single odd one only where ``2 m / (n + 1)`` is below
    the rate; several odd ones support each other.

    Jobs that failed or were not observed are not judged: their status says more than their time.
    If more than a share `contamination` of the runs of `fit` went wrong, the threshold lies among
    them, and some like them will pass.

    References
    ----------
    R. Laxhammar, G. Falkman, "Conformal prediction for distribution-independent anomaly detection
    in streaming vessel data", StreamKDD, 2010.

    S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia, "Testing for outliers with conformal
    p-values", Annals of Statistics 51, 2023: why false discoveries may be controlled over them.

    Examples
    --------
    >>> from sklearn_jobtime.anomaly import JobTimeAnomalyDetector
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> runs = make_job_runs(n_runs=400, n_jobs=2, failure_rate=0, random_state=0)
    >>> detector = JobTimeAnomalyDetector(whole_run=False).fit(runs[:300])
    >>> tonight = runs[300:].copy()
    >>> tonight.loc[tonight.index[50], "job_1"] *= 10
    >>> int(detector.predict(tonight)[50])
    -1
    >>> alarm = detector.alarms(tonight).loc[tonight.index[50]]
    >>> alarm["job"], alarm["direction"]
    ('job_1', 'long')
    """

    _parameter_constraints: ClassVar[dict] = {
        "forecaster": [HasMethods(["fit", "predict"]), None],
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
        "jobs": ["array-like", None],
        "whole_run": ["boolean", None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        forecaster: Any = None,
        *,
        contamination: float = 0.01,
        jobs: Sequence[str] | None = None,
        whole_run: bool | None = None,
        calibration_fraction: float = 0.5,
    ) -> None:
        self.forecaster = forecaster
        self.contamination = contamination
        self.jobs = jobs
        self.whole_run = whole_run
        self.calibration_fraction = calibration_fraction

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: pd.DataFrame | ArrayLike, y: None = None) -> Self:  # noqa: ARG002
        """Learn how far off the forecasts of usual runs are.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            A run table in start order. In an array, each column is a job.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        runs = self._checked(X, reset=True)
        targets = make_targets(runs, jobs=self._watched(runs), whole_run=self.whole_run)
        targets = targets.loc[:, targets.notna().any()]
        if targets.empty:
            raise NoHistoryError(
                f"none of the {len(runs)} runs was observed, so nothing is known of usual ones; "
                "load a longer history."
            )
        forecaster = OnlineMix() if self.forecaster is None else clone(self.forecaster)
        is_causal = isinstance(forecaster, HistoryRegressor)
        is_split = not is_causal and not isinstance(forecaster, FrozenEstimator)
        needs = "a forecaster that is trained here"
        check_has_effect(self, "calibration_fraction", is_split, needs=needs)
        self._floor = None  # an array may hold other things than times
        if not (targets < 0).any(axis=None):
            clock = read_clock(runs)
            tick = clock_tick(clock.started, clock.ended)
            self._floor = indistinct_durations(targets.to_numpy(), tick)
        self.forecaster_ = ConformalForecaster(
            forecaster.fit(runs, targets) if is_causal else forecaster,
            cv="prefit" if is_causal else None,
            calibration_fraction=self.calibration_fraction if is_split else 0.25,
        ).fit(runs, targets)
        self.jobs_ = list(targets.columns.get_level_values("job"))
        self.n_calibration_ = self.forecaster_.n_calibration_
        self.offset_ = float(np.nextafter(self.contamination, 1.0))
        errors = errors_of(
            self.forecaster_.calibration_targets_,
            self.forecaster_.calibration_forecasts_,
            self._floor,
        )
        self._calibration_errors = CalibrationErrors(errors)
        every = np.arange(len(runs))
        self._memory = remember(row_values(runs), read_clock(runs), len(runs), also=[every])
        self.least_p_value_ = 2 / (self.n_calibration_ + 1)
        if self.least_p_value_ > self.contamination:
            _logger.warning(
                "%d runs are too few to call a new one anomalous at a contamination of %g: "
                "expected at least %d; load a longer history or raise contamination.",
                self.n_calibration_,
                self.contamination,
                np.ceil(2 / self.contamination - TIE) - 1,
            )
        return self

    def score_samples(self, X: pd.DataFrame | ArrayLike) -> Floats:
        """P-value of each run: the share of usual runs that were as far off.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            Ended runs, in start order; the runs of `fit` are their history.

        Returns
        -------
        ndarray of shape (n_runs,)
            The lower, the less usual; 1 for a run of which no job was observed.
        """
        check_is_fitted(self)
        runs = self._checked(X, reset=False)
        return self._calibration_errors.p_of_rows(self._judged(runs)[0], self._is_known(runs))

    def decision_function(self, X: pd.DataFrame | ArrayLike) -> Floats:
        """P-values minus `offset_`: negative for the runs that are called anomalous.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)

        Returns
        -------
        ndarray of shape (n_runs,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.intp]:
        """Call each run usual (+1) or anomalous (-1).

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)

        Returns
        -------
        ndarray of int, shape (n_runs,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: pd.DataFrame | ArrayLike) -> pd.DataFrame:
        """Two-sided p-value of each job of each run.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)

        Returns
        -------
        DataFrame of shape (n_runs, n_jobs)
            NaN where a job was not observed.
        """
        check_is_fitted(self)
        runs = self._checked(X, reset=False)
        errors = self._judged(runs)[0]
        p = self._calibration_errors.p_of_outputs(errors, self._is_known(runs))
        return pd.DataFrame(p, index=runs.index, columns=self.jobs_)

    def alarms(
        self, X: pd.DataFrame | ArrayLike, false_discovery_rate: float | None = None
    ) -> pd.DataFrame:
        """List what is unusual, and say of each in a sentence why.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, n_columns)
            Ended runs, in start order.
        false_discovery_rate : float, default=None
            None lists the runs that :meth:`predict` calls anomalous, one line each, for the job
            with the least p-value, of equal ones that with the largest error. A number lists jobs
            of runs instead, so many that only this share of the list is expected to be false
            (Benjamini and Hochberg's procedure over all jobs of all runs of `X`): right for a look
            at many jobs at once.

        Returns
        -------
        DataFrame indexed as the runs
            `job`, `direction` ("long" or "short"), `seconds`, `expected_seconds`, `p_value` (of the
            run, or with `false_discovery_rate` that of the job adjusted for their number) and
            `why`.
        """
        check_is_fitted(self)
        runs = self._checked(X, reset=False)
        errors, seconds, expected = self._judged(runs)
        is_known = self._is_known(runs)
        p_jobs = self._calibration_errors.p_of_outputs(errors, is_known)
        if false_discovery_rate is None:
            p_run = self._calibration_errors.p_of_rows(errors, is_known)
            rows = np.flatnonzero(p_run < self.offset_)
            p_known = np.where(np.isnan(p_jobs), np.inf, p_jobs)  # never a job that did not run
            least_first = (-np.nan_to_num(np.abs(errors[rows])), p_known[rows])
            jobs = np.lexsort(least_first, axis=1)[:, 0]
            p = p_run[rows]
        else:
            seen = ~np.isnan(p_jobs)
            adjusted = np.ones(p_jobs.shape)
            if seen.any():
                adjusted[seen] = false_discovery_control(p_jobs[seen])
            rows, jobs = np.nonzero(adjusted <= false_discovery_rate)
            p = adjusted[rows, jobs]
        found = pd.DataFrame(
            {
                "job": np.array(self.jobs_, dtype=object)[jobs],
                "direction": np.where(errors[rows, jobs] > 0, "long", "short"),
                "seconds": seconds[rows, jobs],
                "expected_seconds": expected[rows, jobs],
                "p_value": p,
            },
            index=runs.index[rows],
        )
        kind = "p-value" if false_discovery_rate is None else "adjusted p-value"
        labels = ["/".join(map(str, np.atleast_1d(label))) for label in found.index]
        found["why"] = [
            self._sentence(label, alarm, kind)
            for label, alarm in zip(labels, found.itertuples(index=False), strict=True)
        ]
        return found

    def _sentence(self, label: str, alarm: Any, kind: str) -> str:
        took, expected = alarm.seconds, alarm.expected_seconds
        least = np.inf if self._floor is None else self._floor[self.jobs_.index(alarm.job)]
        # What the clock does not tell apart has no ratio worth telling.
        times = f", {max(took, least) / expected:.2g} times" if expected > max(least, 1) else ""
        return (
            f"{label}: {'the whole run' if alarm.job == WHOLE_RUN else alarm.job} took "
            f"{human_seconds(took)}, {human_seconds(abs(took - expected))} "
            f"{'more' if took > expected else 'less'} than expected "
            f"({human_seconds(expected)}{times}); "
            f"{kind} {human_share(alarm.p_value, 2)}, compared with {self.n_calibration_} runs."
        )

    def _judged(self, runs: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        """Errors, seconds and forecasts of the watched jobs, each of shape (n_runs, n_jobs)."""
        targets = make_targets(runs, jobs=self._watched(runs), whole_run=self.whole_run)
        seconds = targets.reindex(columns=self.forecaster_.target_names_).to_numpy()
        expected = np.reshape(self.forecaster_.predict(runs), seconds.shape)
        return errors_of(seconds, expected, self._floor), seconds, expected

    def _is_known(self, runs: pd.DataFrame) -> Mask:
        """Mark the runs that calibrate, which are not to be compared with themselves."""
        again = given_again(self._memory, row_values(runs), read_clock(runs))
        return np.isin(again, self.forecaster_.calibration_rows_)

    def _watched(self, runs: pd.DataFrame) -> list[str]:
        return job_columns(runs, None if self.jobs is None else list(self.jobs))

    def _checked(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return `X` as a run table."""
        X = plain_table(X)
        if isinstance(X, pd.DataFrame) and all(isinstance(name, str) for name in X.columns):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return validate_runs(X, jobs=self.jobs)
        X = validate_data(
            self,
            plain_numbers(X, "X"),
            reset=reset,
            ensure_all_finite="allow-nan",
            dtype="float64",
            order="C",
        )
        return pd.DataFrame(X, columns=[f"job_{k}" for k in range(X.shape[1])])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def newest_runs(runs: pd.DataFrame, n_runs: int) -> Mask:
    """Mark the newest runs by their start; without times, those nearest to the end of a series.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.anomaly import newest_runs
    >>> runs = pd.DataFrame({"build": 9.0}, pd.MultiIndex.from_product([["a", "b"], range(3)]))
    >>> newest_runs(runs, 2).tolist()
    [False, False, True, False, False, True]
    """
    if STARTED_AT in runs:
        age = runs[STARTED_AT].rank(method="first", ascending=False).to_numpy() - 1
    else:
        series = pd.Series(series_of(runs.index))
        behind = series.groupby(series).cumcount(ascending=False)
        age = behind.rank(method="first").to_numpy() - 1
    return age < n_runs
