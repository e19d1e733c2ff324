"""When each job of a run lands: durations, gaps and the graph of the jobs put together."""

from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._estimator import ObservedScoreMixin, looks_back, read_rows
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.compose._metadata import router
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._quantiles import confidence_levels, warn_if_too_few
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.landing._calibration import Calibration
from sklearn_jobtime.landing._graph import graph_of
from sklearn_jobtime.landing._held_out import held_out_rows
from sklearn_jobtime.landing._live import LandingPaths, RunPlan, draw, play
from sklearn_jobtime.landing._nights import Nights, NightSoFar
from sklearn_jobtime.landing._precedence import Precedence
from sklearn_jobtime.landing._usual_gaps import UsualGaps
from sklearn_jobtime.landing._workers import infer_workers
from sklearn_jobtime.runs._log_ratio import clock_tick, indistinct_durations
from sklearn_jobtime.runs._schema import WHOLE_RUN, series_of
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = ["LandingForecaster"]


AT_START = 0.0


class LandingForecaster(MetaEstimatorMixin, ObservedScoreMixin, BaseEstimator):
    """Forecast when each job of a run lands, from its start on and while it goes on.

    A forecaster of durations says how long each job takes. When it is *done* depends on the jobs
    that it waits for, on the time that it waits in a queue, and, once the run is under way, on what
    has happened so far. This meta-estimator puts them together: it takes the errors of the
    forecaster on whole held-out nights, all jobs and gaps of a night together, so that what makes
    one job late makes the others late, puts them on tonight's forecasts and sends them through the
    graph of the jobs. What comes out are sample paths of the night.

    Parameters
    ----------
    forecaster : estimator
        Forecasts durations: a pipeline, a baseline, the recipe. It is cloned, and fitted on the
        older runs. One that is fitted already stands in scikit-learn's FrozenEstimator: then all
        runs of `fit` are held out, so they have to be newer than those that it learned; a fitted
        :class:`~sklearn_jobtime.ConformalForecaster` there brings its own held-out runs, which are
        looked up in the table of `fit` by their starts.
    graph : "infer", DiGraph, list of pairs, dict or str, default="infer"
        Which job waits for which. "infer" learns it from the starts and ends of the jobs
        (:func:`~sklearn_jobtime.graph.infer_graph`); anything else is read by
        :func:`~sklearn_jobtime.graph.job_graph`, such as ``"extract>load, load>test"``.
    n_paths : int, default=1000
        Sample paths of a run. A chance of a tenth is then told to about one in a hundred.
    confidence_level : float, default=0.9
        How often a landing is to be inside its interval, where no other level is asked.
    n_workers : int, "infer" or None, default="infer"
        How many jobs may run at a time. "infer" learns it from the history: the largest number that
        ever ran at once, if jobs that were ready stood by while as many ran and started when one of
        those ended. None: no limit, and the time that jobs wait is a gap as any other.
    calibration_fraction : float, default=0.25
        Share of the runs, the newest ones, that are held out: their errors are the sample paths.
    random_state : int, RandomState instance or None, default=None
        Seed of the sample paths. None draws another one each time.

    Attributes
    ----------
    forecaster_ : ConformalForecaster
        The fitted forecaster of durations, with its held-out runs.
    graph_ : networkx.DiGraph
        The graph in use.
    jobs_ : list
        The jobs, in the order of the landings.
    n_workers_ : int or None
        How many jobs may run at a time; None: no limit is known.
    n_nights_ : int
        Held-out nights, those of `update` included, of which the newest 300 are kept.
    target_names_ : Index or None
        The columns of `y`, when it was a DataFrame.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Notes
    -----
    *Landings* are seconds after the start of the run, given that the jobs succeed: a job that
    fails, and all that wait for it, have none.

    *While a run goes on.* A job that has ended is known. One that runs takes at least as long as it
    has run. Both move what is left of the run by what held-out nights say that such a surprise
    means for it: the regression on it, with a covariance that is shrunk where nights are few
    (Ledoit and Wolf). A job that runs longer than it ever did goes on as the tail of its history
    falls off.

    *Intervals* are those of split conformal prediction: each held-out night is forecast from all
    others, at its start, while its first job runs and at up to four stages more, and the errors,
    relative to the spread of its sample paths, say how wide an interval has to be. A *chance* is
    told by the same errors: half of the nights land before the median of their paths, and the share
    of those that are farther off than the deadline is halved between early and late.

    *Steps that come on some nights only.* A job without start and duration behind which another has
    started, in a run that did not fail, was skipped and took no time; as many paths skip it as
    nights did.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.landing import LandingForecaster
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=200, n_jobs=3, failure_rate=0, random_state=0)
    >>> y = make_targets(runs)
    >>> model = LandingForecaster(
    ...     RollingRule(), graph="job_0>job_1>job_2", n_paths=200, random_state=0
    ... ).fit(runs[:-1], y[:-1])
    >>> landing = model.predict(runs[-1:])[0]
    >>> bool(landing[0] < landing[1] < landing[2] <= landing[3])
    True
    """

    forecaster_: ConformalForecaster
    n_workers_: int | None

    _parameter_constraints: ClassVar[dict] = {
        "forecaster": [HasMethods(["fit", "predict"])],
        "graph": "no_validation",
        "n_paths": [Interval(Integral, 2, None, closed="left")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "n_workers": [Interval(Integral, 1, None, closed="left"), StrOptions({"infer"}), None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        forecaster: Any,
        graph: Any = "infer",
        n_paths: int = 1000,
        *,
        confidence_level: float = 0.9,
        n_workers: int | str | None = "infer",
        calibration_fraction: float = 0.25,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.forecaster = forecaster
        self.graph = graph
        self.n_paths = n_paths
        self.confidence_level = confidence_level
        self.n_workers = n_workers
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: pd.DataFrame | ArrayLike, y: pd.DataFrame | ArrayLike, **fit_params: Any
    ) -> Self:
        """Fit the forecaster on the older runs, and keep its errors on whole nights of the newest.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            A run table of one series in start order, with the columns ``<job>__started_at`` where
            they are known. Without them a job is taken to start when those that it waits for have
            ended. Of an array each output is a job, and they start together.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            The durations of :func:`~sklearn_jobtime.runs.make_targets`, in seconds. Landings are
            those of its first step, the run of the row.
        **fit_params : dict
            What the forecaster takes beside them, such as `sample_weight`.

        Returns
        -------
        self

        Raises
        ------
        RunTableError
            When the table holds several series, or nothing tells which job waits for which.
        NoHistoryError
            When there are fewer than two held-out nights.
        """
        X = self._checked(X, reset=True)
        if isinstance(X, pd.DataFrame) and len(set(series_of(X.index))) > 1:
            raise RunTableError(
                "the table holds several series, whose jobs have graphs of their own; fit a "
                "LandingForecaster for each."
            )
        given = read_targets(self, X, y, None)
        self.target_names_ = given.form.names
        stored = None
        if isinstance(self.forecaster, FrozenEstimator):
            stored = self.forecaster.estimator
        has_held_out = isinstance(stored, ConformalForecaster)
        if isinstance(stored, ConformalForecaster):
            self.forecaster_ = deepcopy(stored)
        else:
            self.forecaster_ = ConformalForecaster(
                clone(self.forecaster),
                self.confidence_level,
                calibration_fraction=self.calibration_fraction,
            ).fit(X, y, **fit_params)
        self._read_outputs(given.observed.shape[1])
        self.graph_ = graph_of(self.graph, X if self._is_named else None, self.jobs_)
        self._precedence = Precedence.of(self.graph_, self.jobs_)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        nights = self._nights(X, given.observed)
        tick = clock_tick(nights.starts.ravel(), nights.ends.ravel())
        self._least = indistinct_durations(nights.durations, tick)
        if isinstance(self.n_workers, str):
            tick = float(np.median(self._least)) / 2
            self.n_workers_ = infer_workers(nights, self._precedence, tick)
        else:
            self.n_workers_ = self.n_workers
        gaps = nights.gaps(self._precedence, self.n_workers_)
        self._usual_gaps = UsualGaps(gaps.shape[1]).fit(X, gaps)
        if has_held_out:
            rows, forecasts = held_out_rows(self.forecaster_, X, self._own)
        else:
            rows = self.forecaster_.calibration_rows_
            forecasts = self.forecaster_.calibration_forecasts_[:, self._own]
        usual = self._usual_gaps.predict(X, gaps)[rows]
        plans = [self._plan(*pair) for pair in zip(forecasts, usual, strict=True)]
        self._calibration = Calibration(nights.rows(rows), gaps[rows], plans, seed)
        self.n_nights_ = self._calibration.n_nights
        return self

    def _read_outputs(self, n_outputs: int) -> None:
        """Find the jobs among the outputs of the forecaster, and the run itself."""
        names = self.forecaster_._form.names
        steps, jobs = self.forecaster_._form.steps_and_jobs(n_outputs, 1)
        first = np.flatnonzero(steps == 1)
        is_run = [isinstance(names, pd.MultiIndex) and jobs[k] == WHOLE_RUN for k in first]
        self._own = first[~np.array(is_run, dtype=bool)]
        self.jobs_ = [jobs[k] for k in self._own]
        if not self.jobs_:
            raise RunTableError(f"y forecasts {WHOLE_RUN!r} alone; expected jobs of the run too.")
        place = {job: k for k, job in enumerate(self.jobs_)}
        at = [None if run else place[jobs[k]] for k, run in zip(first, is_run, strict=True)]
        self._asked = [len(self.jobs_) if k is None else k for k in at]
        self._is_named = isinstance(names, pd.MultiIndex)

    def _nights(self, X: Any, observed: Floats | None) -> Nights:
        """Read what happened in the rows."""
        durations = None
        if not (self._is_named and isinstance(X, pd.DataFrame)):
            durations = np.full((len(X), len(self.jobs_)), np.nan)
            durations = durations if observed is None else observed[:, self._own]
        return Nights.of(X, durations, self._precedence)

    def _plan(self, forecast: Floats, usual_gaps: Floats) -> RunPlan:
        return RunPlan(self._precedence, forecast, usual_gaps, self._least, self.n_workers_)

    def plans(self, X: pd.DataFrame | ArrayLike) -> list[RunPlan]:
        """Say what each run is expected to be when it starts.

        A plan stays the same while its run goes on. Who keeps it asks again and again with it what
        is known by then, and nothing is forecast twice (`plans` of :meth:`sample_paths` and
        :func:`~sklearn_jobtime.landing.landing_table`).

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.

        Returns
        -------
        list of RunPlan
        """
        return self._plans_and_nights(X)[0]

    def _plans_and_nights(self, X: pd.DataFrame | ArrayLike) -> tuple[list[RunPlan], Nights]:
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        table, n_before = self.forecaster_._with_remembered(X)
        forecast = np.reshape(self.forecaster_.predict(X), (len(X), -1))[:, self._own]
        nights = self._nights(table, None)
        gaps = nights.gaps(self._precedence, self.n_workers_)
        usual = self._usual_gaps.predict(table, gaps)[n_before:]
        rows = np.arange(n_before, n_before + len(X))
        return [self._plan(*pair) for pair in zip(forecast, usual, strict=True)], nights.rows(rows)

    def paths(
        self, X: pd.DataFrame | ArrayLike, now: Any = None, plans: list[RunPlan] | None = None
    ) -> list[LandingPaths]:
        """Draw the sample paths of each run.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`.
        now : array-like of shape (n_runs,) or float, default=None
            Seconds after the start of each run from which it is seen: what happened later is not
            known. None is its start.
        plans : list of RunPlan, default=None
            What :meth:`plans` said of these rows; None: it is made now.

        Returns
        -------
        list of LandingPaths
        """
        return [
            play(plan, drawn, so_far) for plan, so_far, drawn in self.runs_so_far(X, now, plans)
        ]

    def runs_so_far(
        self, X: pd.DataFrame | ArrayLike, now: Any = None, plans: list[RunPlan] | None = None
    ) -> list[tuple[RunPlan, NightSoFar, Floats]]:
        """Give the plan of each run, what is known of it, and surprises that agree with that.

        Parameters
        ----------
        X, now, plans
            As for :meth:`paths`.

        Returns
        -------
        list of (RunPlan, NightSoFar, ndarray of shape (n_paths, 2 * n_jobs + 1))
        """
        check_is_fitted(self)
        return self._so_far(self._checked(X, reset=False), now, plans)

    def _so_far(
        self, X: Any, now: Any, plans: list[RunPlan] | None
    ) -> list[tuple[RunPlan, NightSoFar, Floats]]:
        if plans is None:
            plans, nights = self._plans_and_nights(X)
        else:
            nights = self._nights(X, None)
        seen = np.broadcast_to(AT_START if now is None else np.asarray(now, float), len(plans))
        if (seen < 0).any() or np.isnan(seen).any():
            raise ValueError(
                f"now is {seen.min():g} s after the start of a run; expected 0 or more: a run that "
                "has not started is seen from its start."
            )
        nothing = NightSoFar.at_start(len(self.jobs_))
        surprises, random = self._calibration.surprises, self._calibration.random
        at_start: Floats | None = None  # the same for all runs of which nothing is known
        found = []
        for row, (plan, at) in enumerate(zip(plans, seen.tolist(), strict=True)):
            so_far = nights.as_of(row, at) if at else nothing
            drawn = at_start
            if at or drawn is None:
                drawn = draw(plan, surprises, so_far, self.n_paths, random())
            at_start = at_start if at else drawn
            found.append((plan, so_far, drawn))
        return found

    def predict(self, X: pd.DataFrame | ArrayLike) -> Floats:
        """Forecast when each job lands, as known at the start of its run.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            Rows to forecast, and any rows newer than those of `fit`.

        Returns
        -------
        ndarray of shape (n_runs,) or (n_runs, n_outputs)
            Medians of the sample paths, in seconds after the start of the run, for the columns of
            the first step of `y`.
        """
        return self._asked_of(np.array([np.median(p.landings, axis=0) for p in self.paths(X)]))

    def sample_paths(
        self, X: pd.DataFrame | ArrayLike, now: Any = None, plans: list[RunPlan] | None = None
    ) -> Floats:
        """Draw landings of all jobs together.

        Parameters
        ----------
        X, now, plans
            As for :meth:`paths`.

        Returns
        -------
        ndarray of shape (n_runs, n_paths, n_outputs)
            Seconds after the start of the run; NaN for what does not land.
        """
        return np.array([paths.landings[:, self._asked] for paths in self.paths(X, now, plans)])

    def predict_interval(
        self,
        X: pd.DataFrame | ArrayLike,
        confidence_level: ArrayLike | None = None,
        *,
        now: Any = None,
        simultaneous: str = "none",
    ) -> Floats:
        """Forecast between which two times each job lands.

        Parameters
        ----------
        X, now
            As for :meth:`paths`.
        confidence_level : float or array-like of shape (n_levels,), default=None
            How often a landing is to be inside; None takes the one of the estimator.
        simultaneous : {"none", "jobs"}, default="none"
            "jobs": all landings of a run are to be inside at once.

        Returns
        -------
        ndarray of shape (n_runs, n_outputs, 2), in seconds after the start of the run
            With several levels of shape (n_runs, n_outputs, 2, n_levels). What has landed is its
            own interval; NaN for what does not land.
        """
        if simultaneous not in ("none", "jobs"):
            raise ValueError(f"simultaneous must be 'none' or 'jobs', got {simultaneous!r}.")
        asked = self.confidence_level if confidence_level is None else confidence_level
        levels, is_one = confidence_levels(asked)
        runs = self.paths(X, now)
        warn_if_too_few(self.n_nights_, levels, levels)
        seen = np.broadcast_to(AT_START if now is None else np.asarray(now, float), len(runs))
        found = np.array(
            [
                self.interval_of(paths, levels, float(at), together=simultaneous == "jobs")
                for paths, at in zip(runs, seen, strict=True)
            ]
        )[:, self._asked]
        return found[..., 0] if is_one else found

    def interval_of(
        self, paths: LandingPaths, levels: Floats, now: float, *, together: bool
    ) -> Floats:
        """Give the intervals of a run from its sample paths, of shape (n_jobs + 1, 2, n_levels)."""
        return self._calibration.interval_of(paths, levels, now, together=together)

    def landed_by(self, X: pd.DataFrame | ArrayLike, seconds: ArrayLike, now: Any = None) -> Floats:
        """Chance that each job has landed so many seconds after the start of the run.

        Parameters
        ----------
        X, now
            As for :meth:`paths`.
        seconds : array-like, broadcast to (n_runs, n_outputs)

        Returns
        -------
        ndarray of shape (n_runs, n_outputs)
            From ``1 / (n + 1)`` to ``n / (n + 1)`` with n held-out nights, but 0 or 1 for what is
            known.
        """
        runs = self.paths(X, now)
        asked = np.broadcast_to(np.asarray(seconds, float), (len(runs), len(self._asked)))
        limits = np.full((len(runs), len(self.jobs_) + 1), np.inf)
        limits[:, self._asked] = asked
        seen = np.broadcast_to(AT_START if now is None else np.asarray(now, float), len(runs))
        triples = zip(runs, limits, seen.tolist(), strict=True)
        return np.array([self.chance_of(*triple) for triple in triples])[:, self._asked]

    def chance_of(self, paths: LandingPaths, limits: ArrayLike, now: float) -> Floats:
        """Chance that each job of a run, and the run, has landed by its limit, ``(n_jobs + 1,)``.

        Parameters
        ----------
        paths : LandingPaths
        limits : array-like, broadcast to (n_jobs + 1,)
            Seconds after the start of the run.
        now : float
            Seconds after the start of the run from which it is seen.
        """
        return self._calibration.chance_of(paths, limits, now)

    def update(self, X: pd.DataFrame, y: pd.DataFrame | ArrayLike) -> Self:
        """Learn what became of runs: their surprises are paths of the next, their misses bounds.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            Rows of runs that have ended, in start order.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            What their jobs took, as in `fit`.

        Returns
        -------
        self
        """
        plans, nights = self._plans_and_nights(X)
        gaps = nights.gaps(self._precedence, self.n_workers_)
        for row, plan in enumerate(plans):
            self._calibration.learn(nights, row, gaps, plan)
        self.n_nights_ = self._calibration.n_nights
        self.forecaster_.update(X, y)
        return self

    def _asked_of(self, landings: Floats) -> Floats:
        return self.forecaster_._form.of(landings[:, self._asked])

    def _checked(self, X: Any, *, reset: bool) -> Any:
        return read_rows(self, X, reset=reset)

    def score(
        self, X: pd.DataFrame | ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Coefficient of determination of the landings of the jobs that succeeded.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for :meth:`predict`; a run table says when its jobs landed.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Durations, as in `fit`.
        sample_weight : array-like of shape (n_runs,), default=None

        Returns
        -------
        float
        """
        from sklearn_jobtime.metrics import observed_r2  # noqa: PLC0415 - a forecast needs none

        check_is_fitted(self)
        return float(observed_r2(self.landings(X, y), self.predict(X), sample_weight=sample_weight))

    def landings(self, X: pd.DataFrame | ArrayLike, y: ArrayLike) -> Any:
        """Say when the jobs of runs that are over landed, in the form of :meth:`predict`."""
        X = self._checked(X, reset=False)
        given = read_targets(self, X, y, None)
        nights = self._nights(X, given.observed)
        ends = np.array([np.append(nights.ends[k], nights.run_end(k)) for k in range(len(X))])
        return self._asked_of(ends)

    def get_metadata_routing(self) -> MetadataRouter:
        """Say who is given what: itself, and what the forecaster requests."""
        return router(self, {"forecaster": self.forecaster})

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.forecaster)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.three_d_array = inner.input_tags.three_d_array
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = True
        if inner.regressor_tags is not None:
            tags.regressor_tags.poor_score = inner.regressor_tags.poor_score
        tags.regressor_tags.looks_back = looks_back(self.forecaster)
        return tags
