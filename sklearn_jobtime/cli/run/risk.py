"""Command `risk`: whether the next runs will be done in time, and what remains of one that runs."""

import re
from collections.abc import Sequence
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import typer
from rich.markup import escape

from sklearn_jobtime.cli.inputs import read_as_fitted, split_off_coming
from sklearn_jobtime.cli.intervals import conformal, coverage_record, few_runs_noted
from sklearn_jobtime.cli.output import (
    forecast_records,
    human_seconds,
    job_label,
    print_coverage,
    print_json,
    print_notes,
    print_table,
    results,
    span,
)
from sklearn_jobtime.cli.retired import print_retired, retired_records
from sklearn_jobtime.cli.times import read_moment, read_times, read_zone
from sklearn_jobtime.conformal._duration_distribution import DurationDistribution
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN
from sklearn_jobtime.runs._timeline import next_runs

__all__ = ["next_risks", "print_risks", "risk_records", "run_risk"]


CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
DURATION = re.compile(r"(\d+(\.\d+)?\s*(s|sec|m|min|h)\s*)+")
SHOWN_RUNS = 10


def run_risk(
    model_path: Path,
    source: str,
    deadline: str,
    *,
    at: Sequence[str],
    running_since: str | None,
    now: str | None,
    timezone: str,
    timeout_share: float,
    as_json: bool,
) -> None:
    """Say how likely the runs to come, or those running, are to be done by the deadline."""
    zone = read_zone(timezone)
    if at and running_since:
        raise typer.BadParameter("--at is a start to come, --running-since one that was: give one.")
    model = conformal(load_model(model_path), model_path)
    table, jobs = read_as_fitted(source, model)
    runs, coming = split_off_coming(table, jobs)
    present = None if now is None else read_moment(now, zone, "--now")
    if running_since:
        present = present or pd.Timestamp.now(tz="UTC")
        runs, coming = table, running_run(table, running_since, zone, present)
    elif at:
        runs, coming = table, next_runs(table, read_times(at, zone, table))
    notes: list[str] = list(table.attrs.get("notes", []))
    retired = retired_records(runs, coming)
    with few_runs_noted(notes):
        forecasts = forecast(model, runs, coming if len(coming) else None)
        risks = next_risks(
            model, forecasts, deadline, zone=zone, now=present, timeout_share=timeout_share
        )
    if len(risks["job"].unique()) > 1:
        notes.append(
            "the chance of a single job is that of its duration alone, as if it started with the "
            "run."
        )
    if as_json:
        print_json(
            {
                "model": str(model_path),
                "runs": len(runs),
                "now": present,
                "timeout_share": timeout_share,
                "risks": risk_records(risks),
                "retired": retired,
                "coverage": coverage_record(model),
                "notes": notes,
            }
        )
        return
    print_risks(risks, timezone, timeout_share)
    print_retired(retired, timezone)
    print_coverage(coverage_record(model))
    print_notes(notes)


def running_run(
    table: pd.DataFrame, since: str, zone: ZoneInfo, present: pd.Timestamp
) -> pd.DataFrame:
    """Make the row of a run that is running and not in the table."""
    coming = next_runs(table, read_times([since], zone, table, "--running-since"))
    if STARTED_AT in coming and coming[STARTED_AT].iloc[0] > present:
        raise typer.BadParameter(
            f"{since!r} came for --running-since, which is later than now, {present}."
        )
    return coming


def deadline_seconds(text: str, zone: ZoneInfo, forecasts: pd.DataFrame) -> np.ndarray:
    """Seconds from the start of each run to a deadline: a clock time, a moment or a duration."""
    if DURATION.fullmatch(text.strip()):
        return np.full(len(forecasts), pd.Timedelta(text).total_seconds())
    if STARTED_AT not in forecasts:
        raise RunTableError(
            f"the table has no column {STARTED_AT!r}, so {text!r} is no deadline for its runs; "
            "give a duration from the start of the run, such as 45min."
        )
    started = pd.Series(forecasts[STARTED_AT].array).dt.tz_convert(zone)
    if not CLOCK.fullmatch(text.strip()):
        moment = read_moment(text, zone, "--deadline")
        return (moment - started).dt.total_seconds().to_numpy()
    try:
        at = time.fromisoformat(text.strip().zfill(8 if text.count(":") == 2 else 5))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} came for --deadline, which is no time of a day."
        ) from None
    after_midnight = pd.Timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
    days = started.dt.tz_localize(None).dt.normalize()
    wall = {"ambiguous": np.ones(len(days), dtype=bool), "nonexistent": "shift_forward"}
    same, next_day = (
        (days + pd.Timedelta(days=later) + after_midnight).dt.tz_localize(zone, **wall)
        for later in (0, 1)
    )
    return (same.where(same > started, next_day) - started).dt.total_seconds().to_numpy()


def next_risks(
    model: ConformalForecaster,
    forecasts: pd.DataFrame,
    deadline: str,
    *,
    zone: ZoneInfo | None = None,
    now: pd.Timestamp | None = None,
    timeout_share: float = 0.01,
) -> pd.DataFrame:
    """Rows of :meth:`DurationDistribution.table` for the first run of each series to come."""
    own = forecasts[forecasts["step"] == 1]
    limit = deadline_seconds(deadline, zone or ZoneInfo("UTC"), own)
    risks = DurationDistribution.from_forecaster(model).table(
        own,
        list(limit),
        now=now,
        confidence_level=model.confidence_level,
        timeout_share=timeout_share,
    )
    # No more runs than those that calibrated it have told of any chance.
    most = model.n_calibration_ + model.n_updates_
    risks["done_by"] = risks["done_by"].clip(0.0, most / (most + 1))
    if "lower" in own:  # before the start, the range is that of the forecast
        waits = (risks["elapsed"] == 0).to_numpy()
        for end, bound in (("remaining_low", "lower"), ("remaining_high", "upper")):
            risks[end] = np.where(waits, own[bound], risks[end])
    if STARTED_AT in risks:
        moment = risks[STARTED_AT] + pd.to_timedelta(risks["deadline"], unit="s")
        risks["deadline_at"] = moment.dt.round("s")
    return risks


def risk_records(risks: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of risks for JSON."""
    return forecast_records(risks)


def human_chance(chance: float) -> str:
    """Chance for people, who must not read a certainty where there is none.

    Examples
    --------
    >>> from sklearn_jobtime.cli.run.risk import human_chance
    >>> [human_chance(chance) for chance in (0.0, 0.001, 0.5, 0.999, 1.0)]
    ['0 %', 'under 1 %', '50 %', 'over 99 %', '100 %']
    >>> human_chance(float("nan"))
    'not known'
    """
    if np.isnan(chance):
        return "not known"
    chance = min(max(chance, 0.0), 1.0) + 0.0  # a chance of -1e-17, or -0.0, is none
    if 0 < chance < 0.01:
        return "under 1 %"
    if 0.99 < chance < 1:
        return "over 99 %"
    return f"{100 * chance:.0f} %"


def print_risks(risks: pd.DataFrame, timezone: str = "UTC", timeout_share: float = 0.01) -> None:
    """Print the chances, a table a run, and a sentence on the whole run."""
    labels = list(dict.fromkeys(risks.index))
    for label in labels[:SHOWN_RUNS]:
        own = risks.loc[[label]]
        first = own.iloc[0]
        name = escape(
            "/".join(map(str, np.ravel(label))) if isinstance(label, tuple) else str(label)
        )
        running = first["elapsed"] > 0
        limit = f"within {human_seconds(first['deadline'])}"
        if "deadline_at" in own:
            limit += f", by {first['deadline_at'].tz_convert(timezone):%Y-%m-%d %H:%M} {timezone}"
        state = f"running for {human_seconds(first['elapsed'])}" if running else "not started"
        takes = "still takes" if running else "takes"
        print_table(
            f"Run {name}, {state}: done {limit}?",
            ["job", "forecast", "chance", takes, "between", "time-out"],
            (
                [
                    job_label(row["job"]),
                    human_seconds(row["seconds"]),
                    human_chance(row["done_by"]) + (" (a guess)" if row["extrapolated"] else ""),
                    human_seconds(row["remaining"]),
                    span(row["remaining_low"], row["remaining_high"]),
                    human_seconds(row["timeout"]),
                ]
                for _, row in own.iterrows()
            ),
        )
        whole = own[own["job"] == WHOLE_RUN]
        if len(whole):
            chance = human_chance(whole["done_by"].iloc[0])
            results().print(
                f"Run {name} will be done in time with a chance of {chance}, if it succeeds.",
                markup=False,
                soft_wrap=True,
            )
    if len(labels) > SHOWN_RUNS:
        results().print(f"{len(labels) - SHOWN_RUNS} more runs: see them with --json.")
    if np.isfinite(risks["timeout"]).any():
        results().print(f"Of the good runs, {100 * timeout_share:.3g} % would exceed the time-out.")
