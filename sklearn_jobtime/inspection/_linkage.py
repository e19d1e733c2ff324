"""Which job's forecast depends on which job's past, found by permutation: intervals and tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import huber
from scipy.stats import false_discovery_control, median_abs_deviation
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.forecasting import outputs_of_step
from sklearn_jobtime.inspection._counterfactual import block_permutation, read_pasts
from sklearn_jobtime.runs._jobs_of_series import share_a_series
from sklearn_jobtime.runs._log_ratio import least_duration, log_ratio
from sklearn_jobtime.runs._schema import WHOLE_RUN
from sklearn_jobtime.runs._targets import make_targets

__all__ = ["Linkage", "false_discovery_rates", "job_linkage", "permutation_p_value"]


LEAST_ROWS = 20  # fewer scored rows decide nothing
N_RESAMPLES = 500  # enough for the second digit of an interval


def permutation_p_value(loss: float, permuted: Floats) -> float:
    """How likely so small a loss is if the past of a job were no better than a permuted one.

    Parameters
    ----------
    loss : float
        Mean loss of the forecasts from the past as it was.
    permuted : ndarray of shape (n_repeats,)
        Mean losses of the forecasts from permuted pasts.

    Returns
    -------
    float
        One-sided. If there is no link, all these losses come from one distribution; as means over
        many rows they are nearly normal, so Student's t for one more permutation gives p-values far
        smaller than one divided by the number of permutations. 1 when nothing differs.

    Examples
    --------
    >>> import numpy as np
    >>> round(permutation_p_value(1.0, np.array([1.9, 2.0, 2.1, 2.0, 2.0])), 4)
    0.0001
    """
    n = len(permuted)
    spread = permuted.std(ddof=1) * np.sqrt(1 + 1 / n)
    if not spread > 1e-12 * abs(loss):
        return 1.0
    return float(student_t.sf((permuted.mean() - loss) / spread, n - 1))


def false_discovery_rates(p_values: pd.DataFrame) -> pd.DataFrame:
    """Benjamini and Hochberg's q-values: links between jobs together, and own pasts together.

    Own pasts nearly always count. In one family with them, links between jobs would be accepted
    too easily.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.inspection._linkage import false_discovery_rates
    >>> p_values = pd.DataFrame({"a": [0.001, 0.5], "b": [0.04, 0.002]}, index=["a", "b"])
    >>> false_discovery_rates(p_values)
           a      b
    a  0.002  0.080
    b  0.500  0.002
    """
    q = p_values.copy()
    own = np.equal.outer(p_values.index.to_numpy(), p_values.columns.to_numpy())
    for family in (own, ~own):
        tested = family & p_values.notna().to_numpy()
        if tested.any():
            q = q.mask(tested)
            values = q.to_numpy(copy=True)
            values[tested] = false_discovery_control(p_values.to_numpy()[tested])
            q = pd.DataFrame(values, index=q.index, columns=q.columns)
    return q


def movement_interval(
    moved: Floats, block: int, confidence_level: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Interval of the mean movement, by resampling blocks of rows and permutations at once.

    Parameters
    ----------
    moved : ndarray of shape (n_repeats, n_rows, n_targets)
        Absolute movements of the forecasts; NaN where a forecast was not scored.
    block : int
        Rows in a block: movements of runs near each other in time are alike.
    confidence_level : float
        How often the interval should hold the mean.
    rng : Generator

    Returns
    -------
    low, high : ndarray of shape (n_targets,)
    """
    n_repeats, n_rows, n_targets = moved.shape
    seen = ~np.isnan(moved[0])
    starts = rng.integers(n_rows, size=(N_RESAMPLES, -(-n_rows // block)))
    rows = (starts[:, :, None] + np.arange(block)).reshape(N_RESAMPLES, -1) % n_rows
    draws = rng.integers(n_repeats, size=(N_RESAMPLES, n_repeats))
    row_weights = np.zeros((N_RESAMPLES, n_rows))
    permutation_weights = np.zeros((N_RESAMPLES, n_repeats))
    for weights, chosen in ((row_weights, rows), (permutation_weights, draws)):
        np.add.at(weights, (np.arange(N_RESAMPLES)[:, None], chosen), 1.0)
    sums = np.tensordot(
        row_weights, np.nan_to_num(moved), axes=(1, 1)
    )  # resample, permutation, target
    total = np.einsum("br,brt->bt", permutation_weights, sums) / n_repeats
    means = total / np.maximum(row_weights @ seen, 1.0)
    low, high = np.quantile(means, [(1 - confidence_level) / 2, (1 + confidence_level) / 2], axis=0)
    return low.reshape(n_targets), high.reshape(n_targets)


@dataclass(frozen=True)
class Linkage:
    """What :func:`job_linkage` found. Rows of every table are sources, columns are targets.

    Parameters
    ----------
    matrix : DataFrame
        Seconds by which the past of the source moves a forecast of the target, on average. NaN,
        here as in the other tables, for jobs that have no series in common.
    low, high : DataFrame
        Interval of these seconds.
    gains : DataFrame
        Seconds of mean absolute error that the past of the source saves; below 0 it does harm.
    p_values : DataFrame
        Of the test that the past of the source tells nothing about the target. NaN: fewer than
        20 observed runs.
    q_values : DataFrame
        The same, with false discoveries controlled.
    n_scored : Series
        Observed runs that each target was tested on.
    """

    matrix: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame
    gains: pd.DataFrame
    p_values: pd.DataFrame
    q_values: pd.DataFrame
    n_scored: pd.Series

    def links(self, false_discovery_rate: float = 0.05) -> pd.DataFrame:
        """List the links between different jobs, the strongest first.

        Parameters
        ----------
        false_discovery_rate : float, default=0.05
            False discovery rate: the share of wrong ones among them, on average, that is asked for.
            With common causes that the table does not show there may be more: see the
            notes of :func:`job_linkage`.

        Returns
        -------
        DataFrame
            `source`, `target`, `seconds` with `low` and `high`, `gain`, `p_value`, `q_value`.
        """
        tables = {
            "seconds": self.matrix,
            "low": self.low,
            "high": self.high,
            "gain": self.gains,
            "p_value": self.p_values,
            "q_value": self.q_values,
        }
        pairs = pd.MultiIndex.from_product(
            [self.matrix.index, self.matrix.columns], names=["source", "target"]
        )
        columns = {name: table.to_numpy().ravel() for name, table in tables.items()}
        long = pairs.to_frame(index=False).assign(**columns)
        found = long[(long["source"] != long["target"]) & (long["q_value"] <= false_discovery_rate)]
        return found.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)


def job_linkage(
    model: BaseEstimator,
    runs: pd.DataFrame,
    is_test: NDArray[np.bool_],
    *,
    step: int = 1,
    jobs: Sequence[str] | None = None,
    n_repeats: int = 20,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> Linkage:
    """Measure how much each job's past moves each job's forecast, and test whether it should.

    Which jobs upstream make this one late? For each job in turn, its past is *permuted*: what was
    particular to a run (its duration relative to the local level) stands at another run instead, in
    blocks, so that it follows on itself as before. What the other jobs of the run and of the run
    before, the calendar and the covariates tell of it stays, and so do shifts of its level and its
    failures: what jobs owe to a common cause is no link. Forecasts from permuted pasts differ from
    those of the past as it was: the mean difference is the entry of the matrix. If the past as it
    was gives better forecasts of runs that the model has not seen than permuted ones do, there is a
    link.

    Parameters
    ----------
    model : estimator
        Any regressor or pipeline over a run table, fitted on targets of
        :func:`~sklearn_jobtime.runs.make_targets`.
    runs : DataFrame
        A validated run table.
    is_test : ndarray of bool, shape (n_runs,)
        Rows that the model was not fitted on, as :func:`~sklearn_jobtime.runs.split_by_time`
        marks them. On rows it has learned from, every link that it imagined would seem real.
        Half of the runs is a good share: both learning and testing links need many.
    step : int, default=1
        Which run ahead; 1 is the row's own run.
    jobs : sequence of str, default=None
        The jobs whose pasts are permuted; None finds them as
        :func:`~sklearn_jobtime.runs.job_columns` does.
    n_repeats : int, default=20
        Permutations of each past, each of which costs one forecast of the whole table. More give
        a steadier p-value; its size does not depend on them.
    confidence_level : float, default=0.95
        Of the intervals.
    random_state : int, default=0
        Seed of the permutations.

    Returns
    -------
    Linkage

    Raises
    ------
    NoHistoryError
        When no test row was observed.
    ValueError
        For a mask of another length, or a step that the model does not forecast.

    Notes
    -----
    The matrix says what *this model* does, the test whether the runs bear it out: a link that the
    model did not learn is not found, and a link that it only imagined moves forecasts but does not
    pass the test. It is a conditional randomisation test, exact if the permutations have the right
    distribution, which the regression behind them only approximates.

    What all jobs owe to a common cause is taken out as far as the table tells it: the calendar
    (hour, weekday, first and last day of a month), covariates, other jobs, and shifts of level. A
    cause that none of these shows, such as a holiday, may pass for a link, and level and regression
    are estimates. Whether a failure of the source moves other jobs is not tested: failures stay
    where they are.

    A model that looks several runs back also finds *indirect* links, from the job before the job
    before: two runs ago it moved the job between, of which the model has no full account.
    ``python benchmarks/links.py`` measures how many of the links found in simulated histories are
    true.

    References
    ----------
    E. Candès, Y. Fan, L. Janson, J. Lv, "Panning for gold: model-X knockoffs for high dimensional
    controlled variable selection", Journal of the Royal Statistical Society B 80(3), 2018.

    Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", Journal of the Royal
    Statistical Society B 57(1), 1995.

    Examples
    --------
    A rule looks at each job's own past alone, so there are no links between jobs:

    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.inspection import job_linkage
    >>> from sklearn_jobtime.runs import make_targets
    >>> from sklearn_jobtime.runs import split_by_time
    >>> runs = make_job_runs(n_runs=120, n_jobs=2, random_state=0)
    >>> train, is_test = split_by_time(runs, 0.5)
    >>> rule = RollingRule("last").fit(train, make_targets(train, whole_run=False))
    >>> found = job_linkage(rule, runs, is_test)
    >>> bool(found.matrix.loc["job_0", "job_0"] > 0), float(found.matrix.loc["job_0", "job_1"])
    (True, 0.0)
    >>> len(found.links())
    0
    """
    runs, is_test = plain_table(runs), np.asarray(is_test, dtype=bool)
    if is_test.shape != (len(runs),):
        raise ValueError(
            f"is_test has shape {is_test.shape}, expected one flag for each of the {len(runs)} runs"
        )
    wanted, targets = outputs_of_step(model, step)
    actual = _actual(runs, targets, step)[is_test]
    if np.isnan(actual).all():
        raise NoHistoryError(
            f"none of the {is_test.sum()} test runs was observed at step {step}, so no link can be "
            "tested; mark other rows, or load a longer history."
        )

    def forecast(table: pd.DataFrame) -> Floats:
        return np.reshape(model.predict(table), (len(table), -1))[np.ix_(is_test, wanted)]

    rng = np.random.default_rng(random_state)
    pasts = read_pasts(runs, jobs)
    block = int(np.ceil(2 * is_test.sum() ** (1 / 3)))
    real = forecast(runs)
    rows = []
    for source in pasts.sources:
        expected, groups = pasts.expected(source), pasts.groups(source, is_test)
        permuted = np.stack(
            [
                forecast(pasts.permuted(source, expected, block_permutation(groups, block, rng)))
                for _ in range(n_repeats)
            ]
        )
        rows.append(_source_row(actual, real, permuted, block, confidence_level, rng))
    tables = [pd.DataFrame(t, pasts.sources, targets) for t in zip(*rows, strict=True)]
    related = share_a_series(runs, pasts.sources, targets)
    matrix, low, high, gains, p_values = (table.where(related) for table in tables)
    n_scored = pd.Series((~np.isnan(actual)).sum(axis=0), index=targets)
    return Linkage(matrix, low, high, gains, p_values, false_discovery_rates(p_values), n_scored)


def _actual(runs: pd.DataFrame, targets: list[str], step: int) -> Floats:
    jobs = [job for job in targets if job != WHOLE_RUN]
    y = make_targets(runs, step, jobs=jobs or None, whole_run=WHOLE_RUN in targets)
    return y[[(step, job) for job in targets]].to_numpy()


def _source_row(
    actual: Floats,
    real: Floats,
    permuted: Floats,
    block: int,
    confidence_level: float,
    rng: np.random.Generator,
) -> tuple[Floats, ...]:
    """Movement with its interval, gain and p-value of one source, each of shape (n_targets,)."""
    seen = ~np.isnan(actual)
    moved = np.where(seen, np.abs(permuted - real), np.nan)
    matrix, gains, p_values = (np.full(actual.shape[1], np.nan) for _ in range(3))
    low, high = movement_interval(moved, block, confidence_level, rng)
    for k in range(actual.shape[1]):
        rows = seen[:, k]
        if not rows.any():
            low[k] = high[k] = np.nan
            continue
        y, straight, drawn = actual[rows, k], real[rows, k], permuted[:, rows, k]
        matrix[k] = moved[:, rows, k].mean()
        gains[k] = (np.abs(y - drawn).mean(axis=1) - np.abs(y - straight).mean()).mean()
        if rows.sum() >= LEAST_ROWS:
            p_values[k] = permutation_p_value(*_log_losses(y, straight, drawn))
    return matrix, low, high, gains, p_values


def _log_losses(actual: Floats, real: Floats, permuted: Floats) -> tuple[float, Floats]:
    """Mean Huber losses of log ratios, of the forecasts and of each of the permutations.

    Log ratios weigh jobs of seconds and of hours alike. Squares find weak links that absolute
    errors miss, and Huber's bound keeps one hung run from deciding: 1.345 robust standard
    deviations of the errors are his own choice, 95 % as good as squares where errors are normal.
    """
    floor = least_duration(actual)
    errors = log_ratio(real, actual, floor)
    bound = max(1.345 * median_abs_deviation(errors, scale="normal"), 1e-9)
    other = log_ratio(permuted, actual, floor)
    return float(huber(bound, errors).mean()), huber(bound, other).mean(axis=-1)
