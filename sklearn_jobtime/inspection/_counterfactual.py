"""What if a job had run otherwise? Run tables in which the past of one source is another one.

A *source* is a job, or the whole run. Its past is its durations, its statuses and every other
column that derives from it. Each duration is split into what was usual for the source when the run
started, the median of its newest ten successes that had ended by then, and what was particular to
the run: the logarithm of the ratio of the two. A table without the particular part says that the
source ran as usual. A table in which the particular parts stand at other runs says as much about
the source as before, but nothing about *these* runs; there the usual is a local level that knows
the successes after a run too (:func:`local_levels`), since a median of those before lags behind
a shift, and the lag would pass for something particular.

Who had ended when never changes: the ends of runs are only moved between the starts around them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.point_in_time._clock import Clock, read_clock
from sklearn_jobtime.point_in_time._order import ended_order
from sklearn_jobtime.point_in_time._rolling import newest
from sklearn_jobtime.runs._log_ratio import least_duration, log_ratio
from sklearn_jobtime.runs._schema import (
    ENDED_AT,
    STARTED_AT,
    WHOLE_RUN,
    job_columns,
    marked_jobs,
    owner_of,
    status_column,
)
from sklearn_jobtime.runs._targets import observed_durations
from sklearn_jobtime.runs._validation import elapsed_seconds

__all__ = ["Pasts", "block_permutation", "local_levels", "read_pasts", "usual_values"]


LEVEL = 10  # successes in what is usual, as in LevelScaler
AROUND = 21  # successes in the median that shows outliers: itself, ten on either side
SHORTEST = 5  # successes between two shifts of level
CLIP = 2.0  # of the log ratios that the other jobs are explained with: a failure is no trend
MOST_NAMES = 10  # values of a covariate of text that are kept apart
PENALTIES = np.logspace(-1, 4, 6)
INSTANT = pd.Timedelta("1us")


def usual_values(values: Floats, clock: Clock, n_runs: int = LEVEL) -> Floats:
    """Median of the newest values known when each run started; NaN where there is none.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One value a run; NaN where it says nothing about the usual.
    clock : Clock
        Series and times of the same runs.
    n_runs : int, default=10
        How many values the median sees.

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_jobtime.point_in_time import read_clock
    >>> clock = read_clock(pd.DataFrame(index=range(4)))
    >>> usual_values(np.array([40.0, 60.0, np.nan, 50.0]), clock)
    array([nan, 40., 50., 50.])
    """
    found = ended_order(clock.series, clock.started, clock.ended, ~np.isnan(values))
    seen = newest(values, found, n_runs)
    usual = np.full(len(values), np.nan)
    some = ~np.isnan(seen[:, 0])
    if some.any():
        usual[some] = np.nanmedian(seen[some], axis=1)
    return usual


def local_levels(values: Floats, series: NDArray[np.intp]) -> Floats:
    """Level of each row among the rows before *and* after it, constant between shifts.

    A median of the rows before lags behind a shift, and one of the rows around blurs its edge. Both
    leave a trace of the shift in what is particular to the runs near it, where shifts that many
    jobs share would pass for links. A regression tree on the place of a row finds edges.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Seconds in row order; NaN where a row says nothing about the level.
    series : ndarray of int, shape (n,)
        Series of each row.

    Returns
    -------
    ndarray of shape (n,)
        A row without a value has the level of the last row with one, or else of the next; NaN
        where a series has no value.

    Notes
    -----
    The logarithms are first kept within three robust standard deviations of their running median:
    a hung run is no shift. A step costs as much as three parameters do in the Bayesian information
    criterion. Two shifts within ten runs are blurred.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.repeat([60.0, 90.0], 20)
    >>> values[[5, 30]] = 600.0, np.nan
    >>> local_levels(values, np.zeros(40, dtype=int))[[0, 5, 19, 20, 30]].round()
    array([60., 60., 60., 90., 90.])
    """
    level = np.full(len(values), np.nan)
    least = least_duration(values)
    for code in np.unique(series):
        rows = np.flatnonzero(series == code)
        seen = rows[~np.isnan(values[rows])]
        if not len(seen):
            continue
        logs = pd.Series(np.log(np.maximum(values[seen], least)))
        middle = logs.rolling(AROUND, center=True, min_periods=1).median()
        spread = median_abs_deviation(logs - middle, scale="normal")
        place = np.arange(len(seen))[:, None]
        tree = DecisionTreeRegressor(
            min_samples_leaf=SHORTEST,
            ccp_alpha=3 * spread**2 * np.log(len(seen)) / len(seen),
            random_state=0,
        )
        tree.fit(place, logs.clip(middle - 3 * spread, middle + 3 * spread))
        found = pd.Series(np.exp(tree.predict(place)), seen)
        level[rows] = found.reindex(rows).ffill().bfill()
    return level


def block_permutation(
    groups: NDArray[np.intp], block: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Permute rows in blocks of neighbours, each group of rows within itself.

    Blocks keep what follows on what, so the permuted rows are as like their neighbours as before.
    The cuts lie elsewhere in every permutation, with the last row followed by the first.

    Examples
    --------
    >>> import numpy as np
    >>> block_permutation(np.zeros(6, dtype=int), 2, np.random.default_rng(0)).tolist()
    [4, 5, 0, 1, 2, 3]
    """
    permuted = np.arange(len(groups))
    for code in np.unique(groups):
        rows = np.flatnonzero(groups == code)
        at = np.roll(rows, -rng.integers(len(rows)))
        parts = np.array_split(at, max(len(rows) // block, 1))
        permuted[at] = np.concatenate([parts[k] for k in rng.permutation(len(parts))])
    return permuted


@dataclass(frozen=True)
class Pasts:
    """A run table, and of every source what was usual and what was particular.

    Built by :func:`read_pasts`.

    Parameters
    ----------
    runs : DataFrame
        The table.
    clock : Clock
        Its series and times.
    seconds, usual, local_level : dict of str to ndarray of shape (n,)
        By source: its durations, the usual ones when each run started, and those around it.
    """

    runs: pd.DataFrame
    clock: Clock
    seconds: dict[str, Floats]
    usual: dict[str, Floats]
    local_level: dict[str, Floats]

    @property
    def sources(self) -> list[str]:
        """The jobs, then `whole_run` where the table has its ends."""
        return list(self.seconds)

    def as_usual(self, sources: Iterable[str]) -> pd.DataFrame:
        """Table in which these sources ran as usual and succeeded.

        What was never observed stays so, and so do runs before the first success.
        """
        changed: dict[str, pd.Series] = {}
        for source in sources:
            usual = self.usual[source]
            recorded = ~np.isnan(self.seconds[source]) | self._failed(source)
            changed |= self._with_seconds(source, usual, recorded & ~np.isnan(usual))
            for column in self._derived(source):
                values = self.runs[column]
                if column == status_column(source):
                    changed[column] = values.mask(values.notna() & ~np.isnan(usual), "success")
                elif (numbers := self._numbers(values)) is not None:
                    other = usual_values(numbers, self.clock)
                    other = np.where(np.isnan(numbers) | np.isnan(other), numbers, other)
                    changed[column] = self._column(values, other)
        return self.runs.assign(**changed)

    def groups(self, source: str, is_test: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Code of each row: those of one code may trade what was particular to them.

        They are of the same series, and all test rows or none, since the model knows the others.
        And the source ended alike in them: a failure ends other jobs of the run as well, so at
        another run it would stand against what they did.
        """
        alike = {
            "series": self.clock.series,
            "is_test": is_test,
            "observed": ~np.isnan(self.seconds[source]),
            "good": self._good(source),
        }
        if status_column(source) in self.runs:
            alike["status"] = pd.factorize(self.runs[status_column(source)])[0]
        return pd.DataFrame(alike).groupby(list(alike)).ngroup().to_numpy()

    def permuted(self, source: str, expected: Floats, rows: NDArray[np.intp]) -> pd.DataFrame:
        """Table in which what was particular to run ``rows[t]`` of a source stands at run t.

        `expected`, from :meth:`expected`, is the part of the log ratios that other columns tell;
        it stays where it is. So does the local level.
        """
        level = self.local_level[source]
        rest = self._log_ratio(source) - expected
        with np.errstate(over="ignore"):
            seconds = level * np.exp(expected + rest[rows])
        changed = self._with_seconds(source, seconds, ~np.isnan(level))
        for column in self._derived(source):
            values = self.runs[column]
            numbers = self._numbers(values)
            changed[column] = (
                pd.Series(values.array[rows], values.index, values.dtype)
                if numbers is None
                else self._column(values, numbers[rows])
            )
        return self.runs.assign(**changed)

    def expected(self, source: str) -> Floats:
        """Log ratio of a source to its local level, as far as other columns tell it.

        A ridge regression on the other jobs in the same run and in the one before (whether they
        succeeded, and how long a success took), on the hour, the weekday, the first and the last
        day of a month, and on the covariates. Runs that failed do not teach it.
        """
        ratio = self._log_ratio(source)
        taught = np.isfinite(ratio) & self._good(source)
        inputs = self._inputs(source)
        if taught.sum() < 3 or not inputs.size:
            return np.zeros(len(ratio))
        model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
        model.fit(inputs[taught], np.clip(ratio[taught], -CLIP, CLIP))
        return np.asarray(model.predict(inputs))

    def _inputs(self, source: str) -> Floats:
        columns = []
        for job in self.sources:
            if job in (source, WHOLE_RUN):  # the whole run is the sum of its jobs
                continue
            good = self._good(job)
            # Seconds of a failure are far off, and would outweigh all that successes have to tell.
            ratio = np.where(good, np.clip(self._log_ratio(job), -CLIP, CLIP), 0.0)
            for signal in (ratio, good.astype(np.float64)):
                before = pd.Series(signal).groupby(self.clock.series).shift(1, fill_value=0.0)
                columns += [signal, before.to_numpy()]
        if STARTED_AT in self.runs:
            started = self.runs[STARTED_AT]
            day = (started.dt.hour + started.dt.minute / 60).to_numpy() / 24
            for angle in (day, (day + started.dt.day_of_week.to_numpy()) / 7):
                columns += [np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle)]
            columns += [started.dt.is_month_start.to_numpy(), started.dt.is_month_end.to_numpy()]
        columns += [c.to_numpy() for c in _covariate_columns(self.runs, self.sources)]
        return np.nan_to_num(pd.DataFrame(dict(enumerate(columns))).to_numpy(np.float64))

    def _good(self, source: str) -> NDArray[np.bool_]:
        """Mark the runs in which the source succeeded and was observed."""
        jobs = [job for job in self.sources if job != WHOLE_RUN]
        return observed_durations(self.runs, jobs)[source].notna().to_numpy(dtype=bool)

    def _log_ratio(self, source: str) -> Floats:
        floor = least_duration(self.seconds[source])
        return log_ratio(self.seconds[source], self.local_level[source], floor)

    def _derived(self, source: str) -> list[str]:
        if source == WHOLE_RUN:
            return []
        jobs = [source, *marked_jobs(list(self.runs)), *self.sources]
        return [c for c in self.runs if c != source and owner_of(c, jobs) == source]

    def _with_seconds(
        self, source: str, seconds: Floats, where: NDArray[np.bool_]
    ) -> dict[str, pd.Series]:
        """Columns with other durations of a source where it has one."""
        if source != WHOLE_RUN:
            other = np.where(where, seconds, self.seconds[source])
            return {source: pd.Series(other, index=self.runs.index)}
        started, ended = self.runs[STARTED_AT], self.runs[ENDED_AT]
        moved = started + pd.to_timedelta(np.where(where, seconds, np.nan), unit="s")
        after, upto = _starts_around(self.runs, self.clock)
        moved = moved.where(moved > after, after + INSTANT).where(lambda end: end <= upto, upto)
        return {ENDED_AT: moved.where(where & ended.notna(), ended).astype(ended.dtype)}

    def _failed(self, source: str) -> NDArray[np.bool_]:
        if status_column(source) not in self.runs:
            return np.zeros(len(self.runs), dtype=bool)
        status = self.runs[status_column(source)]
        return (status.notna() & (status != "success")).to_numpy(dtype=bool)

    def _numbers(self, column: pd.Series) -> Floats | None:
        """Values of a column as numbers, times as seconds since the start; None for text."""
        if pd.api.types.is_datetime64_any_dtype(column):
            if STARTED_AT not in self.runs:
                return None
            return (column - self.runs[STARTED_AT]).dt.total_seconds().to_numpy(np.float64)
        if not pd.api.types.is_numeric_dtype(column):
            return None
        return column.to_numpy(np.float64, na_value=np.nan)

    def _column(self, like: pd.Series, numbers: Floats) -> pd.Series:
        values = pd.Series(numbers, index=like.index)
        if pd.api.types.is_datetime64_any_dtype(like):
            times = self.runs[STARTED_AT] + pd.to_timedelta(values, unit="s")
            return times.astype(like.dtype)
        return values


def read_pasts(runs: pd.DataFrame, jobs: Sequence[str] | None = None) -> Pasts:
    """Read the past of every source of a run table.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    jobs : sequence of str, default=None
        The jobs; None finds them as :func:`~sklearn_jobtime.runs.job_columns` does.

    Returns
    -------
    Pasts

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.inspection._counterfactual import read_pasts
    >>> runs = pd.DataFrame({"build": [40.0, 90.0, 40.0], "test": [5.0, 5.0, 9.0]})
    >>> read_pasts(runs).as_usual(["build"])
       build  test
    0   40.0   5.0
    1   40.0   5.0
    2   65.0   9.0
    """
    jobs = job_columns(runs, jobs)
    clock = read_clock(runs)
    successes = observed_durations(runs, jobs)
    seconds = {job: runs[job].to_numpy(np.float64, na_value=np.nan) for job in jobs}
    if WHOLE_RUN in successes:
        whole = elapsed_seconds(runs)
        seconds[WHOLE_RUN] = whole.to_numpy(np.float64)
    good = {name: successes[name].to_numpy(np.float64) for name in seconds}
    usual = {name: usual_values(values, clock) for name, values in good.items()}
    level = {name: local_levels(values, clock.series) for name, values in good.items()}
    return Pasts(runs, clock, seconds, usual, level)


def _covariate_columns(runs: pd.DataFrame, sources: Sequence[str]) -> list[pd.Series]:
    columns = []
    for name in covariates_of(runs, sources):
        column = runs[name]
        if pd.api.types.is_numeric_dtype(column):
            numbers = column.astype("float64")
            numbers = numbers.fillna(numbers.median())
            columns.append(numbers)
            if (numbers > 0).all():  # of rows or bytes, durations are a power
                columns.append(np.log(numbers))
        elif not pd.api.types.is_datetime64_any_dtype(column):
            codes, _ = pd.factorize(column.astype(object), use_na_sentinel=False)
            code = pd.Series(codes, column.index)
            common = code.value_counts().index[:MOST_NAMES]
            columns += [(code == value).astype("float64") for value in common]
    return columns


def covariates_of(runs: pd.DataFrame, sources: Sequence[str]) -> list[str]:
    """Columns that are neither times nor the past of a source."""
    own = [STARTED_AT, ENDED_AT, *sources]
    return [c for c in runs if owner_of(c, own) is None]


def _starts_around(runs: pd.DataFrame, clock: Clock) -> tuple[pd.Series, pd.Series]:
    """Of each end: the last start of its series before it, and the first at or after it.

    An end that stays behind the one and not behind the other is known to the same runs as before.
    """
    started, ended = runs[STARTED_AT], runs[ENDED_AT]
    after = pd.Series(started.array, index=range(len(runs)))
    upto = pd.Series(pd.Timestamp.max.tz_localize("UTC"), index=range(len(runs))).astype(
        started.dtype
    )
    for code in np.unique(clock.series):
        rows = np.flatnonzero((clock.series == code) & ended.notna().to_numpy())
        starts = started[clock.series == code].sort_values().reset_index(drop=True)
        place = starts.searchsorted(ended.iloc[rows], side="left")
        inner = place < len(starts)
        upto.iloc[rows[inner]] = starts.iloc[place[inner]].array
        later = place > 0
        after.iloc[rows[later]] = starts.iloc[place[later] - 1].array
    return after.set_axis(runs.index), upto.set_axis(runs.index)
