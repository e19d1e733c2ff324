"""Will it be done in time: the chance that a run ends by a deadline, and the time that remains.

A forecast is one number; a deadline asks how far a run may be from it. The errors of a forecaster
on runs that it has not seen answer that: :class:`DurationDistribution` reads them as a distribution
of the duration around each forecast. Whether its probabilities hold on later runs is checked in
:mod:`sklearn_jobtime.evaluation`.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_jobtime._containers import seconds_of, to_utc
from sklearn_jobtime._typing import Floats, Mask
from sklearn_jobtime.conformal._quantiles import confidence_levels, rows_needed
from sklearn_jobtime.conformal._ratio_curve import TIE, RatioCurve, ratio_curve
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError, TooFewRunsWarning
from sklearn_jobtime.runs._log_ratio import from_log_ratio, indistinct_durations, log_ratio
from sklearn_jobtime.runs._schema import STARTED_AT

__all__ = ["DurationDistribution"]


LEAST_PAIRS = 10  # an output with fewer calibration runs takes those of all outputs
FAR = 2  # times the longest run ever seen: the ratio of a short job, not a time-out of a long one


class DurationDistribution:
    """How long a run may take, given its forecast, from the errors on the calibration set.

    The night's run is forecast at 50 minutes and has to be done at 06:00, in an hour. How often
    did runs of this forecaster take more than 60/50 of their forecast? That share, with one run
    more that outlasts them all in the place of tonight's, is the chance to be late. After 50
    minutes the run still goes on: now only the runs count that had also reached their forecast.
    So the chance rises with the deadline, is 0 for one that has passed, and for runs like the
    calibration runs it is at most the true one, however few they are. No chance is closer to 0 or 1
    than n runs can tell: it is from ``1 / (n + 1)`` to ``n / (n + 1)``.

    All of it is about runs that succeed: a run that fails has no duration to speak of.

    Parameters
    ----------
    forecasts, targets : array-like of shape (n_runs,) or (n_runs, n_outputs)
        Forecasts of runs that were not learned from and how long they took, in seconds and in
        time order; NaN where that was not observed.
    at_least : array-like of the shape of `targets`, default=None
        Lower bounds of right-censored runs. Such a run counts by the estimate of Kaplan and Meier,
        which assumes that it was not censored because it would have been long.
    names : Index, default=None
        The (step, job) of each output, for :meth:`table`.
    n_newest : int, default=None
        Count only the newest so many runs of each output; None counts all. Where the distribution
        is made anew each night, 200 follow changes sooner.
    least : array-like of shape (n_outputs,), default=None
        What shorter durations count as, in seconds; None takes what the clock of `targets` does not
        tell apart, as :class:`~sklearn_jobtime.conformal.LogRatioScore` does.
    sample_weight : array-like of shape (n_runs,), default=None
        How much each run counts beside the run to come, which has the weight 1; None: 1.

    Attributes
    ----------
    n_runs_ : ndarray of int, shape (n_outputs,)
        Calibration runs that count for each output. One with fewer than ten takes the ratios of all
        outputs together.
    n_counted_ : ndarray of int, shape (n_outputs,)
        Calibration runs whose ratios are counted for each output: those of all outputs where it
        takes their ratios.
    least_ : ndarray of float, shape (n_outputs,)
        What shorter durations count as, in seconds.

    Raises
    ------
    NoHistoryError
        When no calibration run ended.

    Notes
    -----
    Ratios of duration to forecast are taken to be alike for short and for long forecasts. Beyond
    the largest ratio of a run that ended there is no run to count: there the log ratio falls off
    exponentially, as the largest tenth of the ratios do (Hill's estimate, in its form for
    right-censored runs), so that the chance goes on rising. Such values are a guess:
    :meth:`extrapolated` tells which, and so does :meth:`table`. Where runs were cut off and none
    ended in the tail, nothing is known of it, and the chance and the median are NaN. Bounds with
    a guaranteed coverage, :meth:`longest` and :meth:`timeout`, are infinite beyond instead.

    References
    ----------
    V. Vovk, J. Shen, V. Manokhin, M. Xie, "Nonparametric predictive distributions based on
    conformal prediction", Machine Learning 108, 2019.

    B. M. Hill, "A simple general approach to inference about the tail of a distribution", Annals of
    Statistics 3(5), 1975.

    J. Beirlant, A. Guillou, G. Dierckx, A. Fils-Villetard, "Estimation of the extreme value index
    and extreme quantiles under random censoring", Extremes 10, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.conformal import DurationDistribution
    >>> took = np.array([40.0, 45.0, 50.0, 50.0, 50.0, 55.0, 55.0, 60.0, 70.0])
    >>> known = DurationDistribution(np.full(9, 50.0), took)
    >>> known.done_by(50.0, 60.0).round(2), known.done_by(50.0, 60.0, elapsed=54.0).round(2)
    (array([0.8]), array([0.6]))
    >>> known.longest(50.0, 0.9), known.longest(50.0, 0.95)
    (array([70.]), array([inf]))
    """

    def __init__(
        self,
        forecasts: ArrayLike,
        targets: ArrayLike,
        at_least: ArrayLike | None = None,
        *,
        names: pd.Index | None = None,
        n_newest: int | None = None,
        least: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> None:
        forecast, target = seconds_of(forecasts, "forecasts"), seconds_of(targets, "targets")
        unknown = np.full(target.shape, np.nan)
        bound = unknown if at_least is None else seconds_of(at_least, "at_least")
        if not forecast.shape == target.shape == bound.shape:
            raise ValueError(
                f"forecasts, targets and at_least have the shapes {forecast.shape}, "
                f"{target.shape} and {bound.shape}; expected one value each for every target."
            )
        forecast, target, bound = (
            a[:, None] if a.ndim == 1 else a for a in (forecast, target, bound)
        )
        is_censored = np.isnan(target)
        self.least_ = indistinct_durations(target) if least is None else np.asarray(least, float)
        ratios = log_ratio(np.where(is_censored, bound, target), forecast, self.least_)
        weights = (
            np.ones(len(target)) if sample_weight is None else np.asarray(sample_weight, float)
        )
        counts = ~np.isnan(ratios) & (weights > 0)[:, None]
        rows = [np.flatnonzero(count)[-(n_newest or 0) :] for count in counts.T]
        pairs = [
            (ratios[newest, k], is_censored[newest, k], weights[newest])
            for k, newest in enumerate(rows)
        ]
        everything = tuple(np.concatenate(part) for part in zip(*pairs, strict=True))
        if everything[1].all():
            raise NoHistoryError(
                f"none of the {len(target)} calibration runs was observed to its end, so nothing "
                "says how far a run may be from its forecast; calibrate on more runs."
            )
        self._longest = np.nanmax(target, initial=0.0)
        self.names = names
        self.n_runs_ = np.array([len(ratio) for ratio, *_ in pairs])
        has_own = [(~cut).sum() >= LEAST_PAIRS for _, cut, _ in pairs]
        n_of_all = len(np.unique(np.concatenate(rows)))
        self.n_counted_ = np.where(has_own, self.n_runs_, n_of_all)
        self._curves = [
            ratio_curve(*(pair if own else everything))
            for pair, own in zip(pairs, has_own, strict=True)
        ]

    @classmethod
    def from_forecaster(cls, forecaster: Any, *, n_newest: int | None = None) -> Self:
        """Take the calibration set of a forecaster, the runs of its `update` included.

        Parameters
        ----------
        forecaster : ConformalForecaster
            A fitted one.
        n_newest : int, default=None
            As for the class.

        Returns
        -------
        DurationDistribution
        """
        runs = forecaster.calibration_set()
        least = getattr(forecaster.conformity_score_, "least_", None)
        return cls(
            *runs,
            names=forecaster.target_names_,
            n_newest=n_newest,
            least=least,
            sample_weight=forecaster.calibration_weights(),
        )

    def done_by(self, forecast: ArrayLike, seconds: ArrayLike, elapsed: ArrayLike = 0.0) -> Floats:
        """Chance that a run is done within so many seconds of its start.

        Parameters
        ----------
        forecast : array-like of shape (n_outputs,) or (n, n_outputs)
            Forecast durations in seconds.
        seconds : array-like
            The deadline, counted from the start of the run; infinite is allowed. Its shape is that
            of `forecast`, or is broadcast to it.
        elapsed : array-like, default=0.0
            For how long the run has been running and is not done.

        Returns
        -------
        ndarray of the shape of `forecast`
            From ``1 / (n + 1)`` to ``n / (n + 1)``, with n runs of `n_counted_`; 0 where `seconds`
            is not beyond `elapsed`. A guess where :meth:`extrapolated` says so, NaN where nothing
            is known: runs were cut off, and none that lasted so long ended.
        """
        forecast, elapsed, seconds = self._checked(forecast, elapsed, seconds)
        left = self._of_each(RatioCurve.log_survival, log_ratio(seconds, forecast, self.least_))
        chance = -np.expm1(np.minimum(left - self._log_outlasted(elapsed, forecast), 0.0))
        least = 1 / (self.n_counted_ + 1)
        return np.where(seconds > elapsed, np.clip(chance, least, 1 - least), 0.0)

    def longest(self, forecast: ArrayLike, level: ArrayLike, elapsed: ArrayLike = 0.0) -> Floats:
        """Duration that a run will not exceed with a chance of `level`, in seconds.

        Parameters
        ----------
        forecast, elapsed : array-like
            As for :meth:`done_by`.
        level : float, or array-like of shape (n_levels,)
            Between 0 and 1.

        Returns
        -------
        ndarray of the shape of `forecast`
            Infinite where the calibration runs that lasted as long are too few for that level. With
            several levels, the last axis holds them in the order in which they were given.
        """
        forecast, elapsed = self._checked(forecast, elapsed)
        share = self._share_done(elapsed, forecast)

        def at_level(level: float) -> Floats:
            shares = share + level * (1 - share)
            ratio = self._of_each(lambda curve, at: curve.quantile.at(at), shares)
            return np.maximum(from_log_ratio(ratio, forecast, self.least_), elapsed)

        return _at_each(at_level, level)

    def shortest(self, forecast: ArrayLike, level: ArrayLike, elapsed: ArrayLike = 0.0) -> Floats:
        """Duration that a run will reach with a chance of `level`, in seconds.

        Parameters
        ----------
        forecast, level, elapsed
            As for :meth:`longest`.

        Returns
        -------
        ndarray of the shape of `forecast`
            At least `elapsed`.
        """
        forecast, elapsed = self._checked(forecast, elapsed)
        share = self._share_done(elapsed, forecast)

        def at_level(level: float) -> Floats:
            ratio = self._of_each(RatioCurve.below, share + (1 - level) * (1 - share))
            return np.maximum(from_log_ratio(ratio, forecast, self.least_), elapsed)

        return _at_each(at_level, level)

    def median(self, forecast: ArrayLike, elapsed: ArrayLike = 0.0) -> Floats:
        """Duration that a run exceeds as often as not, in seconds.

        Parameters
        ----------
        forecast, elapsed : array-like
            As for :meth:`done_by`.

        Returns
        -------
        ndarray of the shape of `forecast`
            Finite; a guess where :meth:`extrapolated` says so of it, NaN where nothing is known.
        """
        forecast, elapsed = self._checked(forecast, elapsed)
        half = self._log_outlasted(elapsed, forecast) - np.log(2)
        middle = self._of_each(RatioCurve.ratio_at, half)
        return np.maximum(from_log_ratio(middle, forecast, self.least_), elapsed)

    def extrapolated(
        self, forecast: ArrayLike, seconds: ArrayLike, elapsed: ArrayLike = 0.0
    ) -> Mask:
        """Tell where a chance by `seconds`, or a median of `seconds`, is a guess.

        Parameters
        ----------
        forecast, seconds, elapsed : array-like
            As for :meth:`done_by`.

        Returns
        -------
        ndarray of bool, of the shape of `forecast`
            Whether the run has outlasted every calibration run that ended, or `seconds` are beyond
            them all and runs were cut off there. Where none was, at least ``n / (n + 1)`` of the
            runs are done by then, which is counted; infinity is no guess either.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_jobtime.conformal import DurationDistribution
        >>> took, cut = [40.0, 50.0, 60.0, np.nan], [np.nan, np.nan, np.nan, 65.0]
        >>> known = DurationDistribution(np.full(4, 50.0), took, cut)
        >>> known.extrapolated(50.0, [[60.0], [61.0]])[:, 0]
        array([False,  True])
        """
        forecast, elapsed, seconds = self._checked(forecast, elapsed, seconds)
        last = np.array([curve.last for curve in self._curves])
        is_cut = np.array([curve.is_cut_beyond for curve in self._curves])
        at, gone = (log_ratio(time, forecast, self.least_) for time in (seconds, elapsed))
        is_beyond = np.isnan(at) | (np.isfinite(at) & (at > last + TIE))
        return (is_beyond & is_cut) | ((elapsed > 0) & (gone >= last))

    def timeout(self, forecast: ArrayLike, share: float = 0.01) -> Floats:
        """Time-out that only so small a share of the good runs would exceed, in seconds.

        Parameters
        ----------
        forecast : array-like of shape (n_outputs,) or (n, n_outputs)
            Forecast durations in seconds.
        share : float, default=0.01
            Of good runs that the time-out may cut off. One in a hundred can be told from 99
            calibration runs.

        Returns
        -------
        ndarray of the shape of `forecast`
            Infinite, with a warning, where the calibration runs are too few to tell, and where it
            is more than twice the longest of them: then short jobs that vary much say it of a long
            one.
        """
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, got {share}.")
        seconds = self.longest(forecast, 1 - share)
        too_few = np.isinf(seconds).any()
        seconds = np.where(seconds > FAR * self._longest, np.inf, seconds)
        if np.isinf(seconds).any() and not too_few:
            warnings.warn(
                "a time-out far beyond all calibration runs is told by the ratios of other series "
                "or jobs, which vary more: it is infinite; take a larger share, or calibrate on "
                "runs of this series alone.",
                TooFewRunsWarning,
                stacklevel=2,
            )
        if too_few:
            warnings.warn(
                f"{self.n_runs_.min()} calibration runs cannot tell a time-out that only "
                f"{share:.3g} of the good runs exceed: it takes {rows_needed(1 - share)}, of which "
                "the longest were not right-censored. It is infinite; take a larger share, or "
                "calibrate on more runs.",
                TooFewRunsWarning,
                stacklevel=2,
            )
        return seconds

    def table(
        self,
        forecasts: pd.DataFrame,
        deadline: pd.Timestamp | str | float | timedelta | Sequence,
        *,
        now: pd.Timestamp | str | float | timedelta | None = None,
        confidence_level: float = 0.9,
        timeout_share: float = 0.01,
    ) -> pd.DataFrame:
        """Say for each forecast whether it will be done in time, and what remains.

        Parameters
        ----------
        forecasts : DataFrame
            Of :func:`~sklearn_jobtime.forecasting.forecast`, with `step`, `job`, `seconds` and, for
            clock times, `started_at`.
        deadline : Timestamp, str, number or Timedelta, or a sequence with one a row
            A clock time (one without a zone is UTC), or seconds from the start of the run.
        now : Timestamp, str, number or Timedelta, default=None
            The present, or for how many seconds the runs have been running: they are not done.
            A run that starts later has not started. None: no run has started.
        confidence_level : float, default=0.9
            How often the remaining time is to be inside its interval.
        timeout_share : float, default=0.01
            See :meth:`timeout`.

        Returns
        -------
        DataFrame
            The rows of `forecasts`, with `elapsed` (seconds since the start; 0 for a run to come),
            `deadline` (seconds from the start), `done_by` (the chance), `remaining` (its median),
            `remaining_low` and `remaining_high` (with a chance of `confidence_level` between
            them), `timeout`, all in seconds, `counted_runs` (`n_counted_`, which bounds the chance)
            and `extrapolated`: the run has outlasted every calibration run that ended, or its
            deadline is beyond them and runs were cut off there, so the chance is a guess, or NaN
            where nothing is known (see :meth:`extrapolated`). Deadlines and elapsed times are
            counted from the start of the *run*: of a job that starts later, the chance is that of
            its duration alone.
        """
        if self.names is None:
            raise ValueError("the outputs have no names: fit on the DataFrame of make_targets.")
        rows = pd.MultiIndex.from_frame(forecasts[["step", "job"]])
        output = self.names.get_indexer(rows)
        if (output < 0).any():
            raise RunTableError(
                f"no calibration runs of {rows[int((output < 0).argmax())]}: expected forecasts of "
                "the model that the distribution was taken from."
            )
        limit = seconds_from_start(deadline, forecasts)
        elapsed = np.zeros(len(forecasts))
        if now is not None:
            elapsed = np.maximum(seconds_from_start(now, forecasts), 0.0)
        found: dict[str, Floats] = {"elapsed": elapsed, "deadline": limit}
        seconds = forecasts["seconds"].to_numpy(np.float64)
        at = np.arange(len(forecasts)), output
        spread = np.tile(seconds[:, None], (1, len(self._curves)))
        gone = elapsed[:, None]
        found["done_by"] = self.done_by(spread, limit[:, None], gone)[at]
        side = (1 + confidence_level) / 2
        for name, total in (
            ("remaining", self.median(spread, gone)),
            ("remaining_low", self.shortest(spread, side, gone)),
            ("remaining_high", self.longest(spread, side, gone)),
        ):
            found[name] = total[at] - elapsed
        found["timeout"] = self.timeout(spread, timeout_share)[at]
        found["counted_runs"] = self.n_counted_[output]
        is_guess = self.extrapolated(spread, limit[:, None], gone)[at]
        return forecasts.assign(**found, extrapolated=is_guess)

    def _of_each(self, function: Any, values: Floats) -> Floats:
        """Apply a function of a curve to the values of its output, the last axis of `values`."""
        columns = [function(curve, values[..., k]) for k, curve in enumerate(self._curves)]
        return np.stack(columns, axis=-1)

    def _share_done(self, elapsed: Floats, forecast: Floats) -> Floats:
        """Share of the calibration runs that were done so long after their start."""
        share = self._of_each(RatioCurve.share, log_ratio(elapsed, forecast, self.least_))
        return np.where(elapsed > 0, share, 0.0)

    def _log_outlasted(self, elapsed: Floats, forecast: Floats) -> Floats:
        """Log of the share of runs, the tail among them, that were not."""
        left = self._of_each(RatioCurve.log_survival, log_ratio(elapsed, forecast, self.least_))
        return np.where(elapsed > 0, left, 0.0)

    def _checked(self, forecast: ArrayLike, *times: ArrayLike) -> tuple[Floats, ...]:
        """Forecast, elapsed time and perhaps a deadline, of one shape."""
        given = [seconds_of(part, "a forecast or a time") for part in (forecast, *times)]
        given = [np.atleast_1d(part) for part in np.broadcast_arrays(*given)]
        if given[0].shape[-1] != len(self._curves):
            raise ValueError(
                f"got {given[0].shape[-1]} forecasts a row, expected {len(self._curves)}: one for "
                "each output of the calibration runs."
            )
        if not all(np.isfinite(part).all() for part in given[:2]) or np.isnan(given[-1]).any():
            raise ValueError(
                "a forecast or an elapsed time is NaN or infinite, or a deadline is NaN; expected "
                "seconds."
            )
        return tuple(given)


def _at_each(at_level: Callable[[float], Floats], asked: ArrayLike) -> Floats:
    levels, is_one = confidence_levels(asked, "level")
    found = np.stack([at_level(level) for level in levels], axis=-1)
    return found[..., 0] if is_one else found


def seconds_from_start(when: Any, forecasts: pd.DataFrame) -> Floats:
    """Seconds from the start of each run until `when`: a clock time, or a length of time."""
    one = isinstance(when, str) or not isinstance(when, Iterable)
    given = [when] * len(forecasts) if one else list(when)
    if all(isinstance(part, Real | timedelta | np.timedelta64) for part in given):
        return seconds_of(given, "deadline")
    if STARTED_AT not in forecasts:
        raise RunTableError(
            f"{given[0]} is a clock time, but the forecasts have no column {STARTED_AT!r}; give "
            "seconds from the start of the run."
        )
    times = to_utc(pd.Series(given, name="deadline"))
    if times.isna().any():
        raise RunTableError(f"{when!r} has no time; expected one such as 2026-03-01T06:00Z.")
    started = pd.Series(forecasts[STARTED_AT].array)
    return (times - started).dt.total_seconds().to_numpy()
