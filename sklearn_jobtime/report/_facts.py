"""All numbers of a report, gathered from the functions that the commands print from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Ints
from sklearn_jobtime.anomaly import JobTimeAnomalyDetector, newest_runs
from sklearn_jobtime.baselines._online_mix import OnlineMix
from sklearn_jobtime.conformal._deadlines import Deadlines, deadline_of_series
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._nominal_coverage import coverage_record, few_runs_noted
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.forecasting import forecast, own_run_first
from sklearn_jobtime.report._ahead import (
    coming_of_series,
    landings_of,
    risks_of_series,
)
from sklearn_jobtime.report._calendar import by_calendar
from sklearn_jobtime.report._gantt import landing_of, usual_plan
from sklearn_jobtime.report._pool import RUNNING, Pool
from sklearn_jobtime.report._states import states_of
from sklearn_jobtime.report._unseen import Unseen, coverage_of_series, unseen_forecasts, verdicts
from sklearn_jobtime.runs._job_times import job_ends, job_starts
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT
from sklearn_jobtime.runs._targets import make_targets
from sklearn_jobtime.runs._timeline import next_runs, retired_series, split_off_coming

__all__ = ["Asked", "gather"]


TREND = 30  # runs in the small line of the overview
JUDGED = 0.2  # share of the newest runs that are judged, as `jobtime anomalies` does
A_WEEK = pd.Timedelta(days=7)
SHOWN_ALARMS = 20
MANY = 200  # series: beyond, less of each is shown
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
    ahead = _Ahead.of(model, pool, coming, limits, asked, notes)
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
        one = {
            "name": name,
            "main": pool.main[code],
            **_history(pool, code, unseen),
            **ahead.of_series(code),
            "coverage": covered.get(name),
            "verdict": judged[code],
            "alarms": alarms[code],
            "calendar": _calendar(pool, code, asked.timezone),
            "jobs": _jobs(pool, code, unseen),
        }
        series.append({**one, **states_of(one, asked.now)})
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


@dataclass(frozen=True)
class _Ahead:
    """The runs to come, by series."""

    pool: Pool
    rows: pd.DataFrame  # the runs to come
    is_open: Ints  # series whose coming run stands in the table
    forecasts: list[pd.DataFrame]
    risks: list[dict[str, Any] | None]
    limits: list[str | None]
    retired: set[str]
    now: pd.Timestamp

    @classmethod
    def of(
        cls,
        model: Any,
        pool: Pool,
        coming: pd.DataFrame,
        limits: list[str | None],
        asked: Asked,
        notes: list[str],
    ) -> "_Ahead":
        is_given = len(coming) > 0
        rows = coming if is_given else next_runs(pool.runs)
        retired = set() if is_given else {str(name) for name in retired_series(pool.runs).index}
        is_open = np.unique(pool.series_in(coming.index)) if is_given else np.empty(0, np.intp)
        n_series = len(pool.names)
        if model is None or rows.empty:
            none = pd.DataFrame({"step": [], "job": [], "seconds": []})
            nothing: list[Any] = [None] * n_series
            return cls(pool, rows, is_open, [none] * n_series, nothing, limits, retired, asked.now)
        few: list[str] = []
        with few_runs_noted(few):
            found = landings_of(own_run_first(forecast(model, pool.runs, rows)))
            sorted_in = coming_of_series(found, pool)
            firsts = [_first_of(one, main) for one, main in zip(sorted_in, pool.main, strict=True)]
            risks = risks_of_series(
                model,
                pd.concat(firsts),
                pool,
                limits,
                is_open=is_open,
                zone=asked.zone,
                now=asked.now,
            )
        if few:
            notes.append("Some intervals have no end: too few runs calibrate them.")
        return cls(pool, rows, is_open, sorted_in, risks, limits, retired, asked.now)

    def run_of(self, series: int) -> pd.DataFrame:
        """Row of the next run of a series; empty where none is expected."""
        return self.rows[self.pool.series_in(self.rows.index) == series][:1]

    def of_series(self, series: int) -> dict[str, Any]:
        """Say what is forecast for a series."""
        table, main = self.forecasts[series], self.pool.main[series]
        first = _first_of(table, main)
        whole: dict[str, Any] = {} if first.empty else first.to_dict("records")[0]
        if len(self.pool.rows[series]) == 1 and not np.isin(series, self.is_open):
            # One run has no rhythm; its start again is no start of the next.
            whole |= dict.fromkeys((STARTED_AT, "lands_at", "lower_at", "upper_at"))
        starts = whole.get(STARTED_AT)
        is_open = bool(np.isin(series, self.is_open))
        kept = table[(table["step"] == 1) | (table["job"] == main)]
        kept = kept.assign(run=[str(label) for label in kept.index.get_level_values(-1)])
        return {
            "next_run": None if first.empty else str(first.index.get_level_values(-1)[0]),
            "next_start": starts,
            "is_running": is_open and starts is not None and starts <= self.now,
            "overdue": _overdue(starts, self.now) if not is_open else 0.0,
            **{name: whole.get(name) for name in ("seconds", "lower", "upper")},
            **{name: whole.get(name) for name in ("lands_at", "lower_at", "upper_at")},
            "limit": self.limits[series],
            "risk": None if starts is None and STARTED_AT in table else self.risks[series],
            "is_retired": self.pool.names[series] in self.retired,
            "forecasts": kept.to_dict("records"),
        }


def _first_of(forecasts: pd.DataFrame, job: str) -> pd.DataFrame:
    """Row of the first run to come, of one job; empty where there is none."""
    return forecasts[(forecasts["step"] == 1) & (forecasts["job"] == job)][:1]


def _overdue(starts: Any, now: pd.Timestamp) -> float:
    if starts is None or starts is pd.NaT:
        return 0.0
    return max(0.0, (now - starts).total_seconds())


def _newest(pool: Pool) -> pd.Timestamp | None:
    """Give the newest start or end of a run or a job."""
    told = [pool.runs[c].max() for c in (STARTED_AT, ENDED_AT) if c in pool.runs]
    for job in pool.jobs if pool.waits.size else []:
        told += [job_starts(pool.runs, job).max(), job_ends(pool.runs, job).max()]
    told = [moment for moment in told if moment is not pd.NaT]
    return max(told) if told else None


def _history(pool: Pool, series: int, unseen: Unseen | None) -> dict[str, Any]:
    """Count the runs of a series, and give the newest of them."""
    rows = pool.rows[series]
    newest = rows[-(TREND if len(pool.names) > MANY else 2 * TREND) :]
    seconds = pool.seconds
    starts = pool.runs[STARTED_AT].iloc[newest] if STARTED_AT in pool.runs else [None] * len(newest)
    past = []
    for row, start in zip(newest, starts, strict=True):
        one = {"started_at": start, "seconds": seconds[row], "status": pool.status[row]}
        if unseen is not None:
            one |= {
                "forecast": unseen.main[row],
                "lower": unseen.lower[row],
                "upper": unseen.upper[row],
            }
        past.append(one)
    own = pool.runs.iloc[rows]
    ends = [own[c].max() for c in (STARTED_AT, ENDED_AT) if c in own]
    ends = [end for end in ends if end is not pd.NaT]
    return {
        "runs": len(rows),
        "good": int((~np.isnan(seconds[rows])).sum()),
        "failed": int(np.isin(pool.status[rows], ("failed", "timeout", "cancelled")).sum()),
        "median": float(np.nanmedian(seconds[rows])) if (~np.isnan(seconds[rows])).any() else None,
        "trend": seconds[rows[-TREND:]].tolist(),
        "past": past,
        "last": pool.last(series),
        "newest": max(ends) if ends else None,
    }


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


def _calendar(pool: Pool, series: int, timezone: str) -> dict[str, Any] | None:
    if STARTED_AT not in pool.runs:
        return None
    rows = pool.rows[series]
    return by_calendar(pool.runs[STARTED_AT].iloc[rows], pool.seconds[rows], timezone)


def _jobs(pool: Pool, series: int, unseen: Unseen | None) -> list[dict[str, Any]]:
    """Share of each job in the time and in the lateness of a series, most time first."""
    rows = pool.rows[series]
    own = [job for job in pool.jobs if pool.has[job].to_numpy()[rows].any()]
    took = {job: pool.observed[job].to_numpy()[rows] for job in own}
    late = dict.fromkeys(own, np.nan)
    if unseen is not None:
        for job in own:
            if job in unseen.forecasts:
                more = took[job] - unseen.forecasts[job].to_numpy()[rows]
                if (~np.isnan(more)).any():
                    late[job] = float(np.nansum(np.maximum(more, 0.0)))
    total = sum(float(np.nansum(seconds)) for seconds in took.values())
    all_late = float(np.nansum(list(late.values())))
    found = []
    for job in own:
        seconds = took[job]
        has_any = bool((~np.isnan(seconds)).any())
        found.append(
            {
                "job": job,
                "median": float(np.nanmedian(seconds)) if has_any else None,
                "runs": int((~np.isnan(seconds)).sum()),
                "time_share": float(np.nansum(seconds)) / total if total > 0 else None,
                "late_share": late[job] / all_late if all_late > 0 else None,
            }
        )
    return sorted(found, key=lambda one: -(one["time_share"] or 0.0))


def _add_landings(
    series: list[dict[str, Any]], model: Any, pool: Pool, ahead: _Ahead, asked: Asked
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
