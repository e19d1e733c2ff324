"""The rules of thumb that people use today, as regressors over the run table.

They are the baselines that a model has to beat. A rule looks at the runs of a job that had ended
when the row started, so it can be scored beside a model on the same rows.
"""

from collections.abc import Hashable
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_jobtime._estimator import check_has_effect
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.baselines._baseline import Baseline
from sklearn_jobtime.baselines._history_regressor import Learned
from sklearn_jobtime.point_in_time._clock import Clock
from sklearn_jobtime.point_in_time._job_history import JobHistory, newest_decayed_sums
from sklearn_jobtime.point_in_time._order import rows_to_remember
from sklearn_jobtime.point_in_time._rolling import newest, row_mean, row_median, runs_that_weigh

__all__ = ["ExponentialMean", "JenkinsRule", "RollingRule", "SeasonalRule"]


WINDOWS = (3, 5, 10, 20, 50)  # what n_runs="auto" chooses from
USUAL_RUNS = 10  # what the mean and the median see where nothing is said
JENKINS_RUNS = 6  # the newest ones, of which Jenkins takes up to three successes
TAIL = 0.25  # share of the newest training rows on which it chooses


class RollingRule(Baseline):
    """Forecast each job by the last, the mean or the median of its newest runs.

    The last run, the mean of the last two (usual in HPC schedulers) or of the last ten (what
    Airflow shows) and a rolling median are what people have today. A rolling median of ten to
    fifty runs is hard to beat from past durations alone, so every table of results should have
    it beside the model. Only runs that had ended when a row started are used; several series
    are kept apart; the newest runs seen in `fit` are remembered for `predict`. All steps of the
    horizon get the same forecast.

    Parameters
    ----------
    statistic : {"last", "mean", "median"}, default="median"
        What to take of the newest runs. The median shrugs off a single odd run.
    n_runs : int, "auto" or None, default=None
        How many runs the mean or the median sees. None sees ten, which is what schedulers use, and
        with "last" one: there more is an error. 2
        follows faster, 50 is steadier. With "auto", `fit` takes for each job the one of 3, 5, 10,
        20 and 50 with the least absolute error on the newest quarter of the training rows, the
        shortest of equals.
    failed_too : bool, default=False
        Look at every run that has a duration, the failed and cancelled ones too. That is the
        "last run" which most tools show; off, since a failed run does not tell how long the job
        takes.

    Attributes
    ----------
    n_runs_ : dict
        How many runs are seen for each job.
    jobs_ : list
        The column behind each output.
    target_names_ : Index or None
        The columns of `y`, when it was a DataFrame.
    fallback_ : ndarray of shape (n_outputs,)
        Median of the training targets in seconds, for rows without any history.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Names of the columns, when `X` is a DataFrame with such names.

    Raises
    ------
    RunTableError
        When `X` is a DataFrame without the jobs, or with times that are none.
    NoHistoryError
        When an output was never observed in `fit`.

    References
    ----------
    D. Tsafrir, Y. Etsion, D. G. Feitelson, "Backfilling using system-generated predictions rather
    than user runtime estimates", IEEE TPDS 18(6), 2007: the mean of the last two.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({"build": [10.0, 20.0, 60.0, 30.0]})
    >>> rule = RollingRule("mean", n_runs=2).fit(runs, make_targets(runs))
    >>> rule.predict(runs).ravel()
    array([25., 10., 15., 40.])

    The first row has no history: it gets the median of the training targets.
    """

    _parameter_constraints = {  # noqa: RUF012
        "statistic": [StrOptions({"last", "mean", "median"})],
        "n_runs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "failed_too": ["boolean"],
    }

    def __init__(
        self, statistic: str = "median", n_runs: int | str | None = None, failed_too: bool = False
    ) -> None:
        self.statistic = statistic
        self.n_runs = n_runs
        self.failed_too = failed_too

    @property
    def n_runs_(self) -> dict[Hashable, int]:
        """How many runs are seen for each job."""
        return {job: learned.state for job, learned in self.learned_.items()}

    def learn(self, history: JobHistory, targets: Floats) -> Learned:
        """Choose the window of one job on its newest training runs, where that is asked for."""
        if self.statistic == "last":
            check_has_effect(self, "n_runs", self.n_runs == 1, needs='statistic="mean" or "median"')
            return Learned(1, state=1)
        if self.n_runs == "auto":
            return Learned(max(WINDOWS), state=self._best_window(history, targets))
        n_runs = USUAL_RUNS if self.n_runs is None else int(self.n_runs)
        return Learned(n_runs, state=n_runs)

    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:
        """Take the statistic of the newest runs of one job."""
        return self._of_newest(history, learned.state)

    def _best_window(self, history: JobHistory, targets: Floats) -> int:
        """Which window had the least error on the newest training rows; the shortest of equals."""
        tail = np.flatnonzero(~np.isnan(targets).all(axis=1))
        tail = tail[int(len(tail) * (1 - TAIL)) :]
        errors = [np.abs(targets[tail] - self._of_newest(history, n)[tail, None]) for n in WINDOWS]
        flat = np.array([e.ravel() for e in errors])
        if history.weights is not None:
            of_each = np.repeat(history.weights[tail], targets.shape[1])
            counted = np.where(np.isnan(flat), np.nan, of_each)
            flat = flat * counted / row_mean(counted)[:, None]
        mae = row_mean(flat)
        return max(WINDOWS) if np.isnan(mae).all() else WINDOWS[int(np.nanargmin(mae))]

    def _of_newest(self, history: JobHistory, n_runs: int) -> Floats:
        seen = history.newest(n_runs)
        if self.failed_too:
            found = history.order_of(~np.isnan(history.recorded))
            seen = newest(history.recorded, found, n_runs)
        return row_median(seen) if self.statistic == "median" else row_mean(seen)


class JenkinsRule(Baseline):
    """Forecast each job as Jenkins estimates a build: the mean of up to three successes.

    They are the last success and more of them among the last six runs. Jenkins fills up with
    failed builds when there are fewer than three, and counts builds that still run among the
    six; here only runs that had ended count, and only successful ones tell how long a job takes.

    Attributes
    ----------
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`RollingRule`.

    References
    ----------
    Jenkins, ``hudson.model.Job.getEstimatedDurationCandidates``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import JenkinsRule
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({
    ...     "build": [10.0, 20.0, 3.0, 60.0, 30.0, 50.0],
    ...     "build__status": ["success", "success", "failed", "success", "success", "success"]})
    >>> JenkinsRule().fit(runs, make_targets(runs)).predict(runs).ravel().round(1).tolist()
    [30.0, 10.0, 15.0, 15.0, 30.0, 36.7]
    """

    def learn(self, history: JobHistory, targets: Floats) -> Learned:  # noqa: ARG002
        """Say how far back a forecast looks; there is nothing else to learn."""
        return Learned(JENKINS_RUNS)

    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:  # noqa: ARG002
        """Take the mean of up to three successes among the newest six runs of one job."""
        ended = history.order_of(~np.isnan(history.recorded))
        seconds = newest(history.seconds, ended, JENKINS_RUNS)
        chosen = np.where(np.cumsum(~np.isnan(seconds), axis=1) <= 3, seconds, np.nan)
        last_success = history.newest(1)[:, 0]
        forecast = row_mean(chosen)
        return np.where(np.isnan(forecast), last_success, forecast)


class ExponentialMean(Baseline):
    """Forecast each job by an exponentially weighted mean of its successful runs.

    It follows a change of level at once and smoothly, where a window forgets a run all at once.

    Parameters
    ----------
    half_life : float, default=5.0
        After how many successful runs the weight of one has halved. Five weighs about as a mean
        of the last ten does, but leans on the newer ones.

    Attributes
    ----------
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`RollingRule`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import ExponentialMean
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({"build": [30.0, 60.0, 60.0]})
    >>> ExponentialMean(half_life=1).fit(runs, make_targets(runs)).predict(runs).ravel()
    array([60., 30., 50.])
    """

    _parameter_constraints = {  # noqa: RUF012
        "half_life": [Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, half_life: float = 5.0) -> None:
        self.half_life = half_life

    def learn(self, history: JobHistory, targets: Floats) -> Learned:  # noqa: ARG002
        """Say how far back a forecast looks; there is nothing else to learn."""
        return Learned(runs_that_weigh(self.half_life))

    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:  # noqa: ARG002
        """Take the exponentially weighted mean of the successful runs of one job."""
        terms = np.column_stack([history.seconds, np.ones(len(history.seconds))])
        total, weight = newest_decayed_sums(terms, history, self.half_life).T
        return np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)


class SeasonalRule(Baseline):
    """Forecast each job by the median of its newest runs at the same time of the week or year.

    A nightly load on a Monday takes as long as those on the last Mondays. A run has its own hour
    and weekday (UTC) from its start. Where no successful run of that time is known, and in a table
    without starts, it is the rolling median of the last `n_runs` runs of any time.

    Parameters
    ----------
    season : {"hour of week", "hour", "weekday", "month"}, default="hour of week"
        Which runs are alike: same weekday and hour, same hour, same weekday, or same month of the
        year, for what runs once a month.
    n_runs : int, default=5
        How many of them the median sees: about a month of a weekly rhythm. With 1 it is the
        seasonal naive forecast.

    Attributes
    ----------
    jobs_, target_names_, fallback_, n_features_in_, feature_names_in_
        As in :class:`RollingRule`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.baselines import SeasonalRule
    >>> from sklearn_jobtime.runs import make_targets, validate_runs
    >>> days = pd.date_range("2026-03-02", periods=14, tz="UTC")
    >>> runs = validate_runs(pd.DataFrame({
    ...     "started_at": days, "build": [60.0] + [10.0] * 6 + [62.0] + [11.0] * 6}))
    >>> SeasonalRule().fit(runs, make_targets(runs)).predict(runs)[7:9].ravel().tolist()
    [60.0, 10.0]
    """

    _parameter_constraints = {  # noqa: RUF012
        "season": [StrOptions({"hour of week", "hour", "weekday", "month"})],
        "n_runs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, season: str = "hour of week", n_runs: int = 5) -> None:
        self.season = season
        self.n_runs = n_runs

    def learn(self, history: JobHistory, targets: Floats) -> Learned:  # noqa: ARG002
        """Say which runs later forecasts look at: the newest, and the newest of each season."""
        if history.clock.started is None:
            return Learned(self.n_runs)
        is_success, seasons = ~np.isnan(history.seconds), self._alike(history.clock)
        rows = rows_to_remember(history.clock, self.n_runs, is_success, seasons)
        return Learned(self.n_runs, further_rows=rows)

    def forecast_job(self, history: JobHistory, learned: Learned) -> Floats:  # noqa: ARG002
        """Take the median of the newest runs of one job at the same time of the week or year."""
        any_time = row_median(history.newest(self.n_runs))
        if history.clock.started is None:
            return any_time
        alike = history.successes.within(self._alike(history.clock))
        forecast = row_median(newest(history.seconds, alike, self.n_runs))
        return np.where(np.isnan(forecast), any_time, forecast)

    def _alike(self, clock: Clock) -> Rows:
        """Give a number to each pair of a series and a time of the week."""
        assert clock.started is not None
        return clock.series * 168 + self._season_of(clock.started)

    def _season_of(self, started: Floats) -> NDArray[np.intp]:
        hours = np.floor(started / 3600).astype(np.intp)
        return {
            "hour of week": hours % 168,
            "hour": hours % 24,
            "weekday": hours // 24 % 7,
            "month": started.astype("datetime64[s]").astype("datetime64[M]").astype(np.intp) % 12,
        }[self.season]
