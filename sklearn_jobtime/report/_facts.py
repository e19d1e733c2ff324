"""All numbers of a report, gathered from the functions that the commands print from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime.anomaly import JobTimeAnomalyDetector, newest_runs
from sklearn_jobtime.baselines._online_mix import OnlineMix
from sklearn_jobtime.conformal._deadlines import Deadlines, deadline_of_series
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._nominal_coverage import coverage_record
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.report._ahead import Ahead
from sklearn_jobtime.report._gantt import landing_of, usual_plan
from sklearn_jobtime.report._pool import RUNNING, Pool
from sklearn_jobtime.report._series import calendar_of, history_of, jobs_of
from sklearn_jobtime.report._states import states_of
from sklearn_jobtime.report._unseen import Unseen, coverage_of_series, unseen_forecasts, verdicts
from sklearn_jobtime.runs._job_times import job_ends, job_starts
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT
from sklearn_jobtime.runs._targets import make_targets
from sklearn_jobtime.runs._timeline import split_off_coming

__all__ = ["Asked", "gather"]


JUDGED = 0.2  # share of the newest runs that are judged, as `jobtime anomalies` does
A_WEEK = pd.Timedelta(days=7)
SHOWN_ALARMS = 20
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Asked:
    """What a report is asked for; see :func:`~sklearn_jobtime.report.make_report`."""

    deadlines: Deadlines
    now: pd.Timestamp
    timezone: str
    landings: int
    series: str | None
    progress: Progress

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the page."""
        return ZoneInfo(self.timezone)


def gather(runs: pd.DataFrame, jobs: list[str], model: Any, asked: Asked) -> dict[str, Any]:
    """Compute everything that a report shows.

    Parameters
    ----------
    runs : DataFrame
        A validated run table; last rows without an outcome are runs to come or that run.
    jobs : list of str
    model : estimator or None
    asked : Asked

    Returns
    -------
    dict
        `series` (a list of dicts, worst first) and what is said of all of them.
    """
    asked.progress("reading the runs", 0.0)
    notes: list[str] = []
    history, coming = split_off_coming(runs, jobs)
    pool = Pool.of(history, jobs, asked.series)
    limits = deadline_of_series(asked.deadlines, pool.names)
    is_mix = model is None
    if is_mix:
        asked.progress("average of baselines", 0.05)
        model = _mix_of(pool, notes)
    asked.progress("forecasting", 0.1)
    ahead = Ahead.of(model, pool, coming, limits, asked.zone, asked.now, notes)
    asked.progress("held-out runs", 0.25)
    unseen = None if model is None else unseen_forecasts(model, pool, is_mix=is_mix)
    level = getattr(model, "confidence_level", None)
    covered = coverage_of_series(unseen, pool, level) if unseen and level else {}
    judged = verdicts(unseen, pool) if unseen else [None] * len(pool.names)
    asked.progress("unusual runs", 0.5)
    alarms, n_judged = _alarms(pool, notes)
    asked.progress("series", 0.7)
    series = []
    for code, name in enumerate(pool.names):
        known = {"coverage": covered.get(name), "verdict": judged[code], "alarms": alarms[code]}
        series.append(_of_series(pool, code, ahead, unseen, known, asked))
    series.sort(key=lambda one: (-one["severity"], one["rank"], one["name"]))
    asked.progress("landings", 0.8)
    _add_landings(series, model, pool, ahead, asked)
    return {
        "series": series,
        "made_at": asked.now,
        "timezone": asked.timezone,
        "newest": _newest(pool),
        "runs": len(history),
        "is_mix": is_mix,
        "has_model": model is not None,
        "coverage": None if model is None else coverage_record(model),
        "covered": covered.get(""),
        "since_fit": bool(unseen and unseen.since_fit),
        "refit_advised": _refit_advised(model),
        "judged": n_judged,
        "notes": notes,
    }


def _of_series(
    pool: Pool,
    code: int,
    ahead: Ahead,
    unseen: Unseen | None,
    known: dict[str, Any],
    asked: Asked,
) -> dict[str, Any]:
    """Put together what is known of one series."""
    one = {
        "name": pool.names[code],
        "main": pool.main[code],
        **history_of(pool, code, unseen),
        **ahead.of_series(code),
        **known,
        "calendar": calendar_of(pool, code, asked.timezone),
        "jobs": jobs_of(pool, code, unseen),
    }
    return {**one, **states_of(one, asked.now)}


def _mix_of(pool: Pool, notes: list[str]) -> ConformalForecaster | None:
    """Fit an average of baselines, which needs no training, with intervals from all runs."""
    y = make_targets(pool.runs, jobs=pool.jobs)
    y = y.loc[:, y.notna().any()]
    if y.empty:
        notes.append(
            f"No forecast: no job succeeded in the {len(pool.runs)} runs, so nothing says how long "
            "one takes."
        )
        return None
    mix = OnlineMix().fit(pool.runs, y)
    return ConformalForecaster(mix, cv="prefit").fit(pool.runs, y)


def _refit_advised(model: Any) -> bool:
    """Whether updates said that errors are no longer what they were."""
    if not isinstance(model, ConformalForecaster):
        return False
    return bool(model.refit_advised_ or (np.abs(model.drift_) >= 1).any())


def _newest(pool: Pool) -> pd.Timestamp | None:
    """Give the newest start or end of a run or a job."""
    told = [pool.runs[c].max() for c in (STARTED_AT, ENDED_AT) if c in pool.runs]
    for job in pool.jobs if pool.waits.size else []:
        told += [job_starts(pool.runs, job).max(), job_ends(pool.runs, job).max()]
    told = [moment for moment in told if moment is not pd.NaT]
    return max(told) if told else None


def _alarms(pool: Pool, notes: list[str]) -> tuple[list[dict[str, Any]], int]:
    """Judge the newest runs as `jobtime anomalies` does, and count those of the newest week."""
    nothing: dict[str, Any] = {"week": None, "found": [], "more": 0}
    runs, n_runs = pool.runs, len(pool.runs)
    n_judged = max(1, round(JUDGED * n_runs))
    if n_runs < 2 or n_judged >= n_runs:
        return [dict(nothing) for _ in pool.names], 0
    is_judged = newest_runs(runs, n_judged)
    detector = JobTimeAnomalyDetector(jobs=pool.jobs)
    try:
        found = detector.fit(runs[~is_judged]).alarms(runs[is_judged])
    except NoHistoryError:
        return [dict(nothing) for _ in pool.names], 0
    if detector.least_p_value_ > detector.contamination:
        notes.append(
            f"{detector.n_calibration_} runs are too few to call any other unusual at "
            f"{100 * detector.contamination:.3g} % false alarms."
        )
    has_times = STARTED_AT in runs
    since = runs[STARTED_AT].max() - A_WEEK if has_times else None
    starts = runs.loc[found.index, STARTED_AT].array if has_times else [None] * len(found)
    codes = pool.series_in(found.index)
    counts: list[dict[str, Any]] = [{"week": 0, "found": [], "more": 0} for _ in pool.names]
    for code, start, (label, row) in zip(codes, starts, found.iterrows(), strict=True):
        run = str(label[-1] if isinstance(label, tuple) else label)
        one = {**row.to_dict(), "started_at": start, "run": run}
        counts[code]["found"].insert(0, one)
        counts[code]["week"] += int(since is None or start > since)
    for one in counts:
        one["more"] = max(0, len(one["found"]) - SHOWN_ALARMS)
        one["found"] = one["found"][:SHOWN_ALARMS]
    return counts, n_judged


def _add_landings(
    series: list[dict[str, Any]], model: Any, pool: Pool, ahead: Ahead, asked: Asked
) -> None:
    """Draw the jobs of the next runs: those of the first series through their graphs."""
    code_of = {name: code for code, name in enumerate(pool.names)}
    left, newest = asked.landings, _newest(pool)
    for place, one in enumerate(series):
        code = code_of[one["name"]]
        run = ahead.run_of(code)
        one["landing"] = None
        one["plan"] = None
        table = ahead.forecasts[code]
        if model is None or table.empty or run.empty:
            continue
        one["plan"] = usual_plan(pool, code, table[table["step"] == 1])
        if one["plan"] and left > 0:
            asked.progress("landings", 0.8 + 0.15 * min(1.0, place / max(1, asked.landings)))
            now = asked.now if one["is_running"] else None
            if one["last"]["status"] == RUNNING:  # jobs of it have ended: seen from the data's end
                run, now = pool.runs.iloc[pool.rows[code][-1:]], newest
            one["landing"] = landing_of(model, pool, code, run, now)
            left -= one["landing"] is not None
