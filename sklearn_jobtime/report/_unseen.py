"""Forecasts of runs that a model had not seen: whether its intervals held, and it is worth it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from sklearn_jobtime._typing import Floats, Ints, Mask
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._quantiles import EmpiricalQuantile
from sklearn_jobtime.evaluation._backtest import forecasts_of_rows
from sklearn_jobtime.evaluation._comparison import default_baselines, recommended
from sklearn_jobtime.evaluation._coverage import coverage_report, interval_table, share_bounds
from sklearn_jobtime.forecasting import outputs_of_step, target_names
from sklearn_jobtime.point_in_time._clock import epoch_seconds
from sklearn_jobtime.report._pool import Pool
from sklearn_jobtime.runs._log_ratio import FINEST, from_log_ratio, indistinct_durations, log_ratio
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN
from sklearn_jobtime.runs._targets import make_targets

__all__ = ["Unseen", "coverage_of_series", "unseen_forecasts", "verdicts"]


LEAST_ROWS = 20  # fewer decide nothing
TESTED = 1 / 3  # share of the newest held-out runs that are counted where none came after the fit


@dataclass(frozen=True)
class Unseen:
    """What a model forecast for runs before it knew anything of them.

    Parameters
    ----------
    forecasts : DataFrame of float, shape (n_runs, n_jobs)
        Seconds; NaN for runs that the model was fitted on.
    main, lower, upper : ndarray of shape (n_runs,)
        The forecast of the duration that stands for a run, and its interval where that is counted.
    is_tested : ndarray of bool, shape (n_runs,)
        The runs whose intervals are counted.
    since_fit : bool
        Whether these came after the fit; else they are the newest of the calibration set.
    is_mix : bool
        Whether no model was given, so that an average of baselines forecasts.
    """

    forecasts: pd.DataFrame
    main: Floats
    lower: Floats
    upper: Floats
    is_tested: Mask
    since_fit: bool
    is_mix: bool


def unseen_forecasts(model: Any, pool: Pool, *, is_mix: bool) -> Unseen | None:
    """Look up the held-out forecasts of a model, and make those of runs that came after its fit.

    None for a model without intervals: nothing says which runs it has not seen.
    """
    if not isinstance(model, ConformalForecaster):
        return None
    outputs, jobs = outputs_of_step(model, 1)
    values = np.full((len(pool.runs), len(jobs)), np.nan)
    forecasts, targets, _ = model.calibration_set()
    starts = model.calibration_starts()
    if is_mix:
        rows, at = model.calibration_rows_, np.arange(len(model.calibration_rows_))
    else:
        rows, at = _found_again(pool, jobs, targets[:, outputs], starts)
    values[rows] = forecasts[np.ix_(at, outputs)]
    is_new = np.zeros(len(pool.runs), dtype=bool)
    if not is_mix and STARTED_AT in pool.runs:
        started = epoch_seconds(pool.runs[STARTED_AT])
        later = np.flatnonzero(started > model.updated_until_)  # none where that is NaN
        if len(later):
            names = target_names(model)
            made = forecasts_of_rows(model, pool.runs, names, names, later)
            values[later] = made.to_numpy()[:, outputs]
        is_new = (started > model.fitted_until_) & ~np.isnan(values).all(axis=1)
    table = pd.DataFrame(values, columns=jobs)
    main = _main(pool, table)
    is_tested, since_fit = _tested(pool, main, is_new)
    lower, upper = _bounds(pool, main, is_tested, model)
    return Unseen(table, main, lower, upper, is_tested, since_fit, is_mix)


def _main(pool: Pool, table: pd.DataFrame) -> Floats:
    main = np.full(len(pool.runs), np.nan)
    for own, job in zip(pool.rows, pool.main, strict=True):
        if job in table:
            main[own] = table[job].to_numpy()[own]
    return main


def _found_again(pool: Pool, jobs: list[str], targets: Floats, starts: Floats) -> tuple[Ints, Ints]:
    """Find held-out runs in a table that may have grown: by their start and by what they took."""
    none = np.empty(0, dtype=np.intp)
    if STARTED_AT not in pool.runs:
        return none, none
    observed = pool.observed.reindex(columns=jobs).to_numpy(np.float64)
    tables = []
    for when, took in ((epoch_seconds(pool.runs[STARTED_AT]), observed), (starts, targets)):
        total = np.nansum(took, axis=1).round(3)
        known = np.flatnonzero(~np.isnan(when) & ~np.isnan(took).all(axis=1))
        table = pd.DataFrame({"when": when[known].round(3), "total": total[known], "row": known})
        tables.append(table.drop_duplicates(["when", "total"], keep=False))
    both = tables[0].merge(tables[1], on=["when", "total"])
    return both["row_x"].to_numpy(np.intp), both["row_y"].to_numpy(np.intp)


def _tested(pool: Pool, main: Floats, is_new: Mask) -> tuple[Mask, bool]:
    """Mark the runs to count: those since the fit, or the newest third of the held-out ones."""
    known = ~np.isnan(main) & ~np.isnan(pool.seconds)
    if (known & is_new).sum() >= LEAST_ROWS and (known & ~is_new).any():
        return known & is_new, True
    rows = np.flatnonzero(known)
    if STARTED_AT in pool.runs:
        rows = rows[np.argsort(pool.runs[STARTED_AT].to_numpy()[rows], kind="stable")]
    is_tested = np.zeros(len(main), dtype=bool)
    is_tested[rows[len(rows) - int(TESTED * len(rows)) :]] = True
    return is_tested, False


def _bounds(
    pool: Pool, main: Floats, is_tested: Mask, model: ConformalForecaster
) -> tuple[Floats, Floats]:
    """Intervals of the counted runs, calibrated on the held-out runs before them."""
    lower, upper = np.full((2, len(main)), np.nan)
    actual = pool.seconds
    codes = np.array([pool.main[code] for code in pool.codes], dtype=object)
    for job in dict.fromkeys(pool.main):
        own = (codes == job) & ~np.isnan(main) & ~np.isnan(actual)
        if not (own & is_tested).any():
            continue
        least = indistinct_durations(actual[own][:, None])[0]
        before = own & ~is_tested
        errors = np.sort(np.abs(log_ratio(actual[before], main[before], least)))
        quantile = EmpiricalQuantile.of(errors) if len(errors) else None
        bound = (
            np.inf
            if quantile is None
            else float(quantile.at(np.array([model.confidence_level]))[0])
        )
        counted = own & is_tested
        lower[counted] = from_log_ratio(np.full(counted.sum(), -bound), main[counted], least)
        upper[counted] = from_log_ratio(np.full(counted.sum(), bound), main[counted], least)
    return np.maximum(lower, 0.0), upper


def coverage_of_series(unseen: Unseen, pool: Pool, level: float) -> dict[str, dict[str, Any]]:
    """Count how often the intervals of runs held: by series, and of all (``""``).

    Returns
    -------
    dict of name -> row of :func:`~sklearn_jobtime.evaluation.coverage_report`
        And `is_below`: below the nominal coverage by more than chance does in any of the series
        (Bonferroni), so that of a thousand good ones none is called bad.
    """
    rows = np.flatnonzero(unseen.is_tested & np.isfinite(unseen.upper))
    if not len(rows):
        return {}
    names = np.array(pool.names, dtype=object)[pool.codes[rows]]
    index = pd.MultiIndex.from_arrays([names, rows])
    columns = pd.MultiIndex.from_tuples([(1, WHOLE_RUN)], names=["step", "job"])
    actual = pd.DataFrame(pool.seconds[rows][:, None], index, columns)
    bounds = np.stack([unseen.lower[rows], unseen.upper[rows]], axis=-1)[:, None, :]
    started = pool.runs[STARTED_AT].iloc[rows] if STARTED_AT in pool.runs else None
    table = interval_table(bounds, unseen.main[rows][:, None], actual, started)
    report = coverage_report(table, level)
    found = {}
    for row in report.to_dict("records"):
        if row["what"] == "each target":
            found[""] = row
        elif row["what"] == "series":
            found[row["which"]] = row
    if len(set(names)) == 1:
        found[names[0]] = dict(found[""])
    for row in found.values():
        most = share_bounds(row["coverage"], row["n_effective"], 1 - 0.05 / len(found))[1]
        row["is_below"] = bool(most < level)
    return found


def verdicts(unseen: Unseen, pool: Pool) -> list[dict[str, Any] | None]:
    """Compare the model with the baseline that earlier runs would have chosen, series by series.

    Returns
    -------
    list of dict or None
        `n` runs that the model had not seen, `baseline`, `mae` and `baseline_mae` in seconds,
        `errors` of all baselines, and what
        :func:`~sklearn_jobtime.evaluation.recommendations` says; None without such runs.
    """
    actual, errors = pool.seconds, _baseline_errors(pool)
    own_error = np.abs(actual - unseen.main)
    is_scored = ~np.isnan(own_error) & ~errors.isna().any(axis=1).to_numpy()
    if unseen.is_mix:
        is_scored &= unseen.is_tested
    found: list[dict[str, Any] | None] = []
    for own in pool.rows:
        rows = own[is_scored[own]]
        if not len(rows):
            found.append(None)
            continue
        before = own[: int(is_scored[own].argmax())]  # in start order
        past = errors.iloc[before].mean()
        chosen = past.fillna(np.inf).idxmin() if past.notna().any() else "median of last 10"
        least = indistinct_durations(actual[own][:, None])[0]
        least = float(least) / 4 if least > FINEST else 0.0
        mine, other = own_error[rows], errors[chosen].to_numpy()[rows]
        said = recommended(mine, other, least_error=least)
        found.append(
            {
                "n": len(rows),
                "baseline": chosen,
                "mae": float(mine.mean()),
                "baseline_mae": float(other.mean()),
                **said,
                "errors": {name: float(errors[name].to_numpy()[rows].mean()) for name in errors},
            }
        )
    return found


def _baseline_errors(pool: Pool) -> pd.DataFrame:
    """Absolute errors of the baselines for the duration that stands for each run, in seconds."""
    actual = pool.seconds
    errors = {name: np.full(len(actual), np.nan) for name in default_baselines()}
    codes = np.array([pool.main[code] for code in pool.codes], dtype=object)
    for job in dict.fromkeys(pool.main):
        mine = np.flatnonzero(codes == job)
        runs = pool.runs.iloc[mine]
        jobs = [job] if job != WHOLE_RUN else None
        y = make_targets(runs, jobs=jobs or pool.jobs)[[(1, job)]]
        if y.isna().all(axis=None):
            continue
        for name, baseline in default_baselines().items():
            made = np.ravel(_fitted(baseline, runs, y).predict(runs))
            errors[name][mine] = np.abs(actual[mine] - made)
    return pd.DataFrame(errors)


def _fitted(baseline: BaseEstimator, runs: pd.DataFrame, y: pd.DataFrame) -> Any:
    return clone(baseline).fit(runs, y)
