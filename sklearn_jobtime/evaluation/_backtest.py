"""The past replayed: what models would have forecast, beside what became of the runs.

Every score, recommendation and count of :mod:`sklearn_jobtime.evaluation` reads the
:class:`Backtest` that is made here.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._typing import Floats, Rows
from sklearn_jobtime.baselines._baseline import Baseline
from sklearn_jobtime.baselines._rules import RollingRule
from sklearn_jobtime.compose._asked_rows import can_be_asked, predicted_rows
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.point_in_time import ended_order, read_clock
from sklearn_jobtime.point_in_time._memory import NotAllGivenError
from sklearn_jobtime.point_in_time._newest_rows import AskedRows, has_clear_clock
from sklearn_jobtime.runs._log_ratio import FINEST, clock_tick, indistinct_durations
from sklearn_jobtime.runs._schema import ENDED_AT, WHOLE_RUN, series_names, status_column
from sklearn_jobtime.runs._targets import ahead, make_targets
from sklearn_jobtime.runs._timeline import split_by_time

__all__ = ["Backtest", "backtest", "why_not_observed"]


NO_PAST = "no success of the job before it"
NEWEST = 0.25  # share of the newest training rows on which a baseline is chosen


def why_not_observed(
    runs: pd.DataFrame,
    horizon: int = 1,
    *,
    jobs: Sequence[str] | None = None,
    whole_run: bool | None = None,
) -> pd.DataFrame:
    """Say of each target why it was not observed.

    Parameters
    ----------
    runs, horizon, jobs, whole_run
        As for :func:`~sklearn_jobtime.runs.make_targets`.

    Returns
    -------
    DataFrame of str, with the rows and columns of the targets
        Empty where the target was observed; else ``failed``, ``timeout``, ``cancelled`` or
        ``skipped``, ``not ended``, ``no duration``, ``a job did not succeed`` (for the whole run)
        or ``beyond the table``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.evaluation._backtest import why_not_observed
    >>> runs = pd.DataFrame({"build": [40.0, 3.0], "build__status": ["success", "failed"]})
    >>> why_not_observed(runs, horizon=2).to_numpy().tolist()
    [['', 'failed'], ['failed', 'beyond the table']]
    """
    now = make_targets(runs, jobs=jobs, whole_run=whole_run)[1]
    why = pd.DataFrame(index=now.index, columns=now.columns, dtype=object)
    running = runs[ENDED_AT].isna() if ENDED_AT in runs else pd.Series(False, index=runs.index)
    for job in now:
        usual = "a job did not succeed" if job == WHOLE_RUN else "no duration"
        reason = pd.Series(usual, index=runs.index, dtype=object)
        if job != WHOLE_RUN:
            reason = reason.mask(np.isinf(runs[job].astype("float64")), "failed")
        reason = reason.mask(running, "not ended")
        if status_column(job) in runs:
            status = runs[status_column(job)]
            reason = reason.mask(status.notna() & (status != "success"), status)
        why[job] = reason.mask(now[job].notna(), "")
    return ahead(why, horizon, runs).fillna("beyond the table")


@dataclass(frozen=True)
class Backtest:
    """What :func:`backtest` found: every target of the test rows, with all forecasts of it.

    Parameters
    ----------
    targets : DataFrame
        One row a target, in start order: `split`, `row` (position in the run table), `series`,
        `step`, `job`, `actual` (seconds, NaN = skipped), `why` it was skipped,
        `chosen_baseline` (the one with the least error on the newest quarter of the training rows
        of this job and series), `naive` (mean absolute error of the last success on all
        training rows of this job and series, in seconds) and `least` (the durations up to which
        the clock of the job tells nothing apart).
    forecasts : DataFrame
        Seconds, one row a target and one column a model.
    seconds : DataFrame
        `fit_seconds` and `predict_seconds` of each model over all splits.
    baselines : list of str
        The models that are baselines.
    """

    targets: pd.DataFrame
    forecasts: pd.DataFrame
    seconds: pd.DataFrame
    baselines: list[str]

    def chosen_baseline_errors(self) -> pd.Series:
        """Absolute error of the baseline that the training rows would have chosen, in seconds."""
        column = self.forecasts.columns.get_indexer(self.targets["chosen_baseline"])
        forecast = self.forecasts.to_numpy()[np.arange(len(column)), column]
        return (self.targets["actual"] - forecast).abs()

    def least_errors(self) -> pd.Series:
        """Half of what a coarse clock counts, in seconds: less is no error; 0 for a fine one."""
        least = self.targets["least"]
        return (least / 4).where(least > FINEST, 0.0)

    def skipped(self) -> pd.DataFrame:
        """Count, for each job, the targets that were not scored, and why."""
        left_out = self.targets[self.targets["actual"].isna()]
        counts = left_out.groupby(["job", "why"], observed=True).size().rename("targets")
        return counts.reset_index().astype({"job": object})


@dataclass(frozen=True)
class _Split:
    """The training table of one split with its targets, the rows up to its end, the tested ones."""

    train: pd.DataFrame
    y_train: pd.DataFrame
    upto: pd.DataFrame
    is_tested: NDArray[np.bool_]  # among the rows of `upto`
    is_test: NDArray[np.bool_]  # among all rows

    @property
    def learnable(self) -> pd.Index:
        return self.y_train.columns[self.y_train.notna().any()]


@dataclass(frozen=True)
class _Tested:
    """What one model forecast in one split, and how long it took; `baseline` for baselines only."""

    forecasts: Floats
    fit_seconds: float
    predict_seconds: float
    baseline: tuple[BaseEstimator, pd.Index] | None


def _tested(
    model: BaseEstimator, split: _Split, n_threads: int | None, *, is_ready: bool
) -> _Tested:
    """Fit a model on the training rows of a split, unless it is ready, and forecast the others."""
    columns = split.y_train.columns if is_ready else split.learnable
    with threadpool_limits(n_threads):
        start = perf_counter()
        known = model if is_ready else clone(model).fit(split.train, split.y_train[columns])
        middle = perf_counter()
        asked = np.flatnonzero(split.is_tested)
        table = forecasts_of_rows(known, split.upto, columns, split.y_train.columns, asked)
        end = perf_counter()
    forecasts = table.to_numpy().ravel()
    baseline = (known, columns) if isinstance(model, Baseline) else None
    return _Tested(forecasts, middle - start, end - middle, baseline)


def forecasts_of_rows(
    model: BaseEstimator,
    table: pd.DataFrame,
    columns: pd.Index,
    wanted: pd.Index,
    asked: Rows | None = None,
) -> pd.DataFrame:
    """Forecasts of a model fitted on the targets `columns`, as a table of the `wanted` ones.

    They are those of all rows of `table`, or of the asked ones in it: these by themselves where
    the model knows how, and the rows of its fit are all in the table.
    """
    asked = np.arange(len(table)) if asked is None else asked
    forecasts = None
    if 0 < len(asked) < len(table) and has_clear_clock(table) and can_be_asked(model):
        with suppress(NotAllGivenError):
            forecasts = predicted_rows(model, table, AskedRows(asked, asked))
    if forecasts is None:
        forecasts = np.reshape(model.predict(table), (len(table), -1))[asked]
    seconds = np.reshape(forecasts, (len(asked), len(columns)))
    return pd.DataFrame(seconds, index=table.index[asked], columns=columns).reindex(columns=wanted)


def has_past(runs: pd.DataFrame, columns: pd.Index) -> NDArray[np.bool_]:
    """Tell of which targets the job had a success in its series that had ended by the start.

    Elsewhere a baseline has nothing to go by and takes what other series take.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.evaluation._backtest import has_past
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = pd.DataFrame({"a": [9.0, 9.0, None], "b": [None, 5.0, 5.0]})
    >>> has_past(runs, make_targets(runs).columns).tolist()
    [[False, False], [True, False], [True, True]]
    """
    clock = read_clock(runs)
    jobs = columns.get_level_values("job")
    seconds = make_targets(
        runs, jobs=[job for job in jobs.unique() if job != WHOLE_RUN], whole_run=WHOLE_RUN in jobs
    )[1]
    found = {}
    for job in jobs.unique():
        is_success = seconds[job].notna().to_numpy()
        own = clock.of_job(job)
        known = ended_order(own.series, own.started, own.ended, is_success)
        found[job] = known.stop > known.first
    return np.column_stack([found[job] for job in jobs])


def _of_training(
    train: pd.DataFrame, y: pd.DataFrame, baselines: Mapping[str, tuple[BaseEstimator, pd.Index]]
) -> pd.DataFrame:
    """`naive` and `chosen_baseline` of each (job, series), from training rows only."""
    series = series_names(train.index)
    by_series = pd.Series(series).groupby(series)
    age = by_series.cumcount(ascending=False).to_numpy()
    tail = age < np.ceil(NEWEST * by_series.transform("size").to_numpy())

    own = y.where(has_past(train, y.columns))

    def errors(model: BaseEstimator, columns: pd.Index, rows: NDArray[np.bool_]) -> pd.Series:
        error = (own - forecasts_of_rows(model, train, columns, y.columns)).abs()[rows]
        by_job = error.T.groupby(level="job", sort=False).mean().T
        return by_job.groupby(series[rows]).mean().unstack()

    seen = y.columns[y.notna().any()]
    last = RollingRule("last").fit(train, y[seen])
    found = errors(last, seen, np.ones(len(train), dtype=bool)).rename("naive").to_frame()
    mae = pd.DataFrame({name: errors(*baseline, tail) for name, baseline in baselines.items()})
    mae = mae.reindex(found.index).astype("float64")
    # Without a success among its newest rows, a series takes the baseline that suits the others.
    mae = mae.fillna(mae.groupby(level=0).transform("mean")).fillna(0.0)
    return found.assign(chosen_baseline=mae.idxmin(axis=1) if baselines else None)


def _splits(
    runs: pd.DataFrame, test_size: float, n_splits: int
) -> list[tuple[pd.DataFrame, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Of each split: the training table, the rows up to its end, and which of all are tested."""
    if n_splits < 1:
        raise ValueError(f"n_splits must be at least 1, got {n_splits}.")
    sizes = test_size * np.arange(n_splits, 0, -1) / n_splits
    cuts = [split_by_time(runs, size) for size in sizes]
    later = [*[is_test for _, is_test in cuts[1:]], np.zeros(len(runs), dtype=bool)]
    return [
        (train, ~after, is_test & ~after)
        for (train, is_test), after in zip(cuts, later, strict=True)
        if (is_test & ~after).any()
    ]


def backtest(
    models: Mapping[str, BaseEstimator],
    runs: pd.DataFrame,
    *,
    horizon: int = 1,
    test_size: float = 0.2,
    n_splits: int = 1,
    jobs: Sequence[str] | None = None,
    whole_run: bool | None = None,
    prefit: bool | Collection[str] = False,
    n_jobs: int | None = None,
) -> Backtest:
    """Fit models on the past of one or more moments and forecast the runs after each of them.

    The training rows of a split are those that had started before it, with the outcomes known
    then (:func:`~sklearn_jobtime.runs.as_of`): a target that reaches into the test rows is
    missing, so the gap between training and test is as long as the horizon and the runs need.
    Each test row is forecast from what was known when it started. Test rows choose nothing. Where
    there are baselines to compare with, the first run of a job in its series is not scored: there
    they say what other series take, which is no error of theirs.

    Parameters
    ----------
    models : mapping of str to estimator
        Pipelines or regressors over the run table; they are cloned before fitting. Those from
        :mod:`sklearn_jobtime.baselines` are those with which the others are compared.
    runs : DataFrame
        A validated run table.
    horizon : int, default=1
        How many runs ahead, the row's own run included.
    test_size : float, default=0.2
        Share of the runs after the first split.
    n_splits : int, default=1
        How many times the models are fitted. The test rows are cut into as many parts of equal
        size, and before each part all that was known by then is the training table. One tells
        how a model does when it is never fitted again; more, when it is fitted now and then.
    jobs : sequence of str, default=None
        The jobs to forecast; None takes all of them.
    whole_run : bool, default=None
        Whether the time of the whole run is a target; see
        :func:`~sklearn_jobtime.runs.make_targets`.
    prefit : bool or collection of str, default=False
        The names of models to take as they are, True for all. They must not have seen the test
        rows.
    n_jobs : int, default=None
        How many fits run at the same time, each in a process of its own; -1 takes all cores. With a
        number (1 too) each fit has one thread of BLAS and OpenMP, so that the forecasts are the
        same, bit for bit, for any number. None: one fit after the other, with all threads.

    Returns
    -------
    Backtest

    Raises
    ------
    NoHistoryError
        When the table is too short to split, or no test run was observed.
    ValueError
        When a model forecasts NaN or infinity for an observed target.

    Examples
    --------
    >>> from sklearn_jobtime.evaluation import backtest
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> runs = make_job_runs(n_runs=300, n_jobs=2, random_state=0)
    >>> models = {"last success": RollingRule("last"), "median": RollingRule("median")}
    >>> found = backtest(models, runs, n_splits=2)
    >>> found.forecasts.shape
    (180, 2)
    >>> found.skipped()
             job                    why  targets
    0      job_0                 failed        2
    1      job_0                timeout        1
    2      job_1                 failed        1
    3      job_1                skipped        3
    4  whole_run  a job did not succeed        4
    """
    runs = plain_table(runs)
    y = make_targets(runs, horizon, jobs=jobs, whole_run=whole_run)
    why = why_not_observed(runs, horizon, jobs=jobs, whole_run=whole_run)
    clock = read_clock(runs)
    least = indistinct_durations(y.to_numpy(), clock_tick(clock.started, clock.ended))
    spoke = has_past(runs, y.columns)
    ready = set(models) if prefit is True else set(prefit or ())
    baselines = [name for name, model in models.items() if isinstance(model, Baseline)]
    splits = []
    for train, upto, is_test in _splits(runs, test_size, n_splits):
        y_train = make_targets(train, horizon, jobs=jobs, whole_run=whole_run)
        y_train = y_train.reindex(columns=y.columns)
        splits.append(_Split(train, y_train, runs[upto], is_test[upto], is_test))
    found = iter(
        Parallel(n_jobs=n_jobs)(
            delayed(_tested)(model, split, n_jobs and 1, is_ready=name in ready)
            for split in splits
            for name, model in models.items()
        )
    )
    targets, forecasts, seconds = [], [], []
    for number, split in enumerate(splits, start=1):
        tested = {name: next(found) for name in models}
        seconds += [(name, one.fit_seconds, one.predict_seconds) for name, one in tested.items()]
        forecasts.append(pd.DataFrame({name: one.forecasts for name, one in tested.items()}))
        fitted = {name: one.baseline for name, one in tested.items() if one.baseline is not None}
        of_training = _of_training(split.train, split.y_train, fitted)
        rows = _long_targets(runs, y, why, split.is_test, split.learnable).assign(split=number)
        rows["least"] = np.tile(least, int(split.is_test.sum()))
        if baselines:  # what a baseline takes from other series there is no error of its own
            first = ~spoke[split.is_test].ravel() & rows["actual"].notna()
            rows.loc[first, ["actual", "why"]] = np.nan, NO_PAST
        targets.append(_with_training(rows, of_training))
    took = pd.DataFrame(seconds, columns=["model", "fit_seconds", "predict_seconds"])
    all_targets, all_forecasts = (pd.concat(t, ignore_index=True) for t in (targets, forecasts))
    _check(all_targets, all_forecasts)
    for column, values in (
        ("job", y.columns.get_level_values("job").unique()),
        ("series", all_targets["series"].unique()),
    ):  # categories keep the order of the table
        all_targets[column] = pd.Categorical(all_targets[column], categories=values)
    by_model = took.groupby("model", sort=False).sum()
    return Backtest(all_targets, all_forecasts, by_model, baselines)


def _with_training(targets: pd.DataFrame, of_training: pd.DataFrame) -> pd.DataFrame:
    """Join what the training rows say of the job and series of each target."""
    key = pd.MultiIndex.from_frame(targets[["job", "series"]])
    targets = targets.assign(**of_training.reindex(key).reset_index(drop=True))
    if of_training["chosen_baseline"].notna().any():
        # A series that was not there yet takes the baseline that suits most others.
        usual = of_training.groupby(level=0)["chosen_baseline"].agg(lambda names: names.mode()[0])
        targets["chosen_baseline"] = targets["chosen_baseline"].fillna(targets["job"].map(usual))
    return targets


def _long_targets(
    runs: pd.DataFrame,
    y: pd.DataFrame,
    why: pd.DataFrame,
    is_test: NDArray[np.bool_],
    learnable: pd.Index,
) -> pd.DataFrame:
    rows = np.flatnonzero(is_test)
    targets = pd.DataFrame(
        {
            "row": np.repeat(rows, len(y.columns)),
            "series": np.repeat(series_names(runs.index)[rows], len(y.columns)),
            "step": np.tile(y.columns.get_level_values("step"), len(rows)),
            "job": np.tile(y.columns.get_level_values("job").astype(object), len(rows)),
            "actual": y.to_numpy()[rows].ravel(),
            "why": why.to_numpy(dtype=object)[rows].ravel(),
        }
    )
    unknown = np.tile(~y.columns.isin(learnable), len(rows))
    targets.loc[unknown & targets["actual"].notna(), "why"] = "never observed before the split"
    targets.loc[unknown, "actual"] = np.nan
    return targets


def _check(targets: pd.DataFrame, forecasts: pd.DataFrame) -> None:
    seen = targets["actual"].notna()
    if not seen.any():
        n_runs = targets["row"].nunique()
        raise NoHistoryError(
            f"none of the {n_runs} test runs was observed, so nothing can be scored; take a "
            "larger test_size or a longer history."
        )
    bad = ~np.isfinite(forecasts[seen]).all()
    if bad.any():
        raise ValueError(
            f"the model {bad.idxmax()!r} forecast NaN or infinity for an observed target; a "
            "forecaster must give a number."
        )
