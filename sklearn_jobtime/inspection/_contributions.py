"""Why is this forecast not the usual one: the seconds that each job's past contributes to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.forecasting import outputs_of_step
from sklearn_jobtime.inspection._counterfactual import LEVEL, Pasts, covariates_of, read_pasts
from sklearn_jobtime.point_in_time._order import ended_order
from sklearn_jobtime.runs._schema import series_of

__all__ = ["Contributions", "forecast_contributions", "shapley_values"]

Value = Callable[[int], Floats]


def shapley_values(
    value: Value, n_players: int, n_permutations: int = 40, random_state: int = 0
) -> tuple[Floats, Floats]:
    """Share what a game is worth among its players.

    Parameters
    ----------
    value : callable
        Worth of a coalition, an array of shape (n_outputs,). Coalitions are numbers: bit k is
        set when player k takes part.
    n_players : int
    n_permutations : int, default=40
        Orders in which players join, when there are too many players for all coalitions, which
        is when 2 ** n_players exceeds the coalitions of the sampled orders: from 9 players on.
    random_state : int, default=0
        Seed of the orders.

    Returns
    -------
    shares : ndarray of shape (n_players, n_outputs)
        They sum to the worth of all players less that of none, sampled or not.
    errors : ndarray of shape (n_players, n_outputs)
        Standard errors of sampled shares; 0 where all coalitions were taken.

    Notes
    -----
    Each sampled order is also taken backwards, which makes the errors smaller.

    References
    ----------
    J. Castro, D. Gómez, J. Tejada, "Polynomial calculation of the Shapley value based on sampling",
    Computers & Operations Research 36(5), 2009.

    Examples
    --------
    Two gloves, of which only a pair is worth something:

    >>> import numpy as np
    >>> shares, _ = shapley_values(lambda coalition: np.array([float(coalition == 0b11)]), 2)
    >>> shares.ravel()
    array([0.5, 0.5])
    """
    worth = cache(value)
    shares = np.zeros((n_players, len(worth(0))))
    if 2**n_players <= 2 + n_permutations * (n_players - 1):
        for coalition in range(2**n_players):
            weight = 1 / (n_players * comb(n_players - 1, coalition.bit_count()) or 1)
            for player in range(n_players):
                if not coalition >> player & 1:
                    gain = worth(coalition | 1 << player) - worth(coalition)
                    shares[player] += weight * gain
        return shares, np.zeros_like(shares)
    rng = np.random.default_rng(random_state)
    pairs = np.zeros((max(n_permutations // 2, 2), *shares.shape))
    for pair in pairs:
        order = rng.permutation(n_players)
        for joining in (order, order[::-1]):
            coalition = 0
            for player in joining.tolist():
                pair[player] += (worth(coalition | 1 << player) - worth(coalition)) / 2
                coalition |= 1 << player
    return pairs.mean(axis=0), pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))


@dataclass(frozen=True)
class Contributions:
    """What :func:`forecast_contributions` found; everything is in seconds.

    Parameters
    ----------
    seconds : DataFrame
        One row a job, `whole_run` or covariate, one column a forecast job: what the past of the
        one adds to the forecast of the other. A column sums to `forecast` less `baseline`.
    errors : DataFrame
        Standard errors of these; 0 where they are exact.
    baseline : Series
        Forecasts if every job had run as usual and the covariates were usual.
    forecast : Series
        Forecasts as they are.
    """

    seconds: pd.DataFrame
    errors: pd.DataFrame
    baseline: pd.Series
    forecast: pd.Series

    def of(self, job: str) -> pd.DataFrame:
        """Contributions to the forecast of one job, the largest first.

        Returns
        -------
        DataFrame
            `source`, `seconds` and `error`.
        """
        if job not in self.seconds:
            raise ValueError(
                f"{job!r} is not forecast; expected one of {list(map(str, self.seconds))}."
            )
        order = self.seconds[job].abs().sort_values(ascending=False, kind="stable").index
        table = pd.DataFrame({"seconds": self.seconds[job], "error": self.errors[job]})
        return table.loc[order].rename_axis("source").reset_index()


def forecast_contributions(
    model: BaseEstimator,
    runs: pd.DataFrame,
    row: int = -1,
    *,
    step: int = 1,
    jobs: Sequence[str] | None = None,
    n_permutations: int = 40,
    random_state: int = 0,
) -> Contributions:
    """Share the difference between a forecast and the usual one among the jobs behind it.

    Tonight's load is forecast four minutes later than usual: is it because *extract* has been slow
    this week, because of its own last run, or because the input is large? The baseline is the
    forecast if every job had run as usual, that is if each past duration had been the median
    of the ten successes before it, and if the covariates of this run had their usual values. The
    difference is shared by Shapley's rule: what a job's past adds, averaged over all orders in
    which the true pasts can be put in. It is the only rule by which the parts add up, jobs that
    change nothing get nothing, and jobs that change the same get the same.

    Parameters
    ----------
    model : estimator
        Any regressor or pipeline over a run table, fitted on targets of
        :func:`~sklearn_jobtime.runs.make_targets`.
    runs : DataFrame
        A validated run table; for a run to come, with its row.
    row : int, default=-1
        Position of the run. Nothing of the rows below it is used.
    step : int, default=1
        Which run ahead; 1 is the row's own run.
    jobs : sequence of str, default=None
        The jobs whose pasts are explained by; None finds them as
        :func:`~sklearn_jobtime.runs.job_columns` does.
    n_permutations : int, default=40
        With more than eight jobs and covariates that are not as usual, so many orders are sampled;
        each costs a forecast a job. Contributions then have a standard error, and still add up.
    random_state : int, default=0
        Seed of the orders.

    Returns
    -------
    Contributions

    Raises
    ------
    ValueError
        For a row outside the table, or a step that the model does not forecast.

    Notes
    -----
    The start of the run, hence the hour and the weekday, stays as it is: a Sunday is compared with
    a Sunday. Covariates of earlier runs stay too. Jobs that never succeeded have no usual duration;
    their past stays, and is part of the baseline.

    References
    ----------
    L. S. Shapley, "A value for n-person games", Contributions to the Theory of Games 2, 1953.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.inspection import forecast_contributions
    >>> from sklearn_jobtime.runs import make_targets
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"build": [60.0, 60.0, 90.0, None], "test": [5.0, 5.0, 5.0, None]})
    >>> rule = RollingRule("last").fit(runs, make_targets(runs))
    >>> why = forecast_contributions(rule, runs)
    >>> why.of("build")
      source  seconds  error
    0  build     30.0    0.0
    1   test      0.0    0.0
    >>> why.baseline["build"], why.forecast["build"]
    (np.float64(60.0), np.float64(90.0))
    """
    runs = plain_table(runs)
    if not -len(runs) <= row < len(runs):
        raise ValueError(f"row={row} came, the table has {len(runs)} rows.")
    wanted, targets = outputs_of_step(model, step)
    upto = runs.iloc[: row % len(runs) + 1]
    codes = series_of(upto.index)
    table = upto[codes == codes[-1]]
    pasts = read_pasts(table, jobs)
    usual = _usual_covariates(pasts)
    players = [*pasts.sources, *usual]

    def changed(players: Sequence[str]) -> pd.DataFrame:
        other = pasts.as_usual([name for name in players if name in pasts.seconds])
        for name in players:
            if name in usual:
                other[name] = usual[name]
        return other

    moving = [name for name in players if not changed([name]).equals(table)]

    @cache
    def value(coalition: int) -> Floats:
        absent = [name for k, name in enumerate(moving) if not coalition >> k & 1]
        outputs = np.reshape(model.predict(changed(absent)), (len(table), -1))
        return outputs[-1, wanted]

    shares, errors = shapley_values(value, len(moving), n_permutations, random_state)
    return Contributions(
        pd.DataFrame(shares, moving, targets).reindex(players, fill_value=0.0),
        pd.DataFrame(errors, moving, targets).reindex(players, fill_value=0.0),
        pd.Series(value(0), targets),
        pd.Series(value(2 ** len(moving) - 1), targets),
    )


def _usual_covariates(pasts: Pasts) -> dict[str, pd.Series]:
    """Each covariate with what was usual in the last row: the median, or the most common value.

    Of the newest ten runs that had ended by then, as for durations.
    """
    clock = pasts.clock
    found = ended_order(clock.series, clock.started, clock.ended)
    known = found.order[found.first[-1] : found.stop[-1]][-LEVEL:]
    columns = {}
    for name in covariates_of(pasts.runs, pasts.sources):
        column = pasts.runs[name]
        seen = column.iloc[known].dropna()
        if seen.empty or pd.isna(column.iloc[-1]) or pd.api.types.is_datetime64_any_dtype(column):
            continue
        is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        values = column.astype("float64") if is_number else column.copy()
        values.iloc[-1] = seen.astype("float64").median() if is_number else seen.mode().iloc[0]
        columns[name] = values
    return columns
