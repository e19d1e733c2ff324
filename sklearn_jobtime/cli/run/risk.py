"""Command `risk`: whether the next runs will be done in time, and what remains of one that runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import typer
from rich.markup import escape

from sklearn_jobtime._wording import human_chance, human_seconds, human_span, human_time
from sklearn_jobtime.cli.inputs import read_as_fitted, series_name
from sklearn_jobtime.cli.intervals import conformal, coverage_record, few_runs_noted
from sklearn_jobtime.cli.output import (
    forecast_records,
    job_label,
    print_coverage,
    print_json,
    print_notes,
    print_table,
    results,
    row_name,
)
from sklearn_jobtime.cli.retired import print_retired, retired_records
from sklearn_jobtime.cli.times import deadline_typed, read_moment, read_times, read_zone
from sklearn_jobtime.conformal._deadlines import next_risks
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN, with_series
from sklearn_jobtime.runs._timeline import next_runs, split_off_coming

__all__ = ["print_risks", "risk_records", "run_risk"]


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
    series = series_name(table)
    with few_runs_noted(notes), deadline_typed():
        forecasts = forecast(model, runs, coming if len(coming) else None)
        risks = next_risks(
            model, forecasts, deadline, zone=zone, now=present, timeout_share=timeout_share
        )
    risks = with_series(risks, series)
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


def risk_records(risks: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of risks for JSON."""
    return forecast_records(risks)


def print_risks(risks: pd.DataFrame, timezone: str = "UTC", timeout_share: float = 0.01) -> None:
    """Print the chances, a table a run, and a sentence on the whole run."""
    labels = list(dict.fromkeys(risks.index))
    for label in labels[:SHOWN_RUNS]:
        own = risks.loc[[label]]
        first = own.iloc[0]
        name = row_name(label)
        running = first["elapsed"] > 0
        limit = f"within {human_seconds(first['deadline'])}"
        if "deadline_at" in own:
            limit += f", by {human_time(first['deadline_at'], timezone)} {timezone}"
        state = f"running for {human_seconds(first['elapsed'])}" if running else "not started"
        takes = "still takes" if running else "takes"
        print_table(
            escape(f"Run {name}, {state}: done {limit}?"),
            ["job", "forecast", "chance", takes, "between", "time-out"],
            (
                [
                    job_label(row["job"]),
                    human_seconds(row["seconds"]),
                    human_chance(row["done_by"], row["counted_runs"])
                    + (" (a guess)" if row["extrapolated"] else ""),
                    human_seconds(row["remaining"]),
                    human_span(row["remaining_low"], row["remaining_high"]),
                    human_seconds(row["timeout"]),
                ]
                for _, row in own.iterrows()
            ),
        )
        whole = own[own["job"] == WHOLE_RUN]
        if len(whole):
            results().print(
                f"Run {name} will be done in time with a chance of {_chance(whole.iloc[0])}.",
                markup=False,
                soft_wrap=True,
            )
    if len(labels) > SHOWN_RUNS:
        results().print(f"{len(labels) - SHOWN_RUNS} more runs: see them with --json.")
    if np.isfinite(risks["timeout"]).any():
        results().print(f"Of the good runs, {100 * timeout_share:.3g} % would exceed the time-out.")


def _chance(risk: pd.Series) -> str:
    """Say a chance in a sentence, and where more runs would tell it closer."""
    n_runs = int(risk["counted_runs"])
    chance = human_chance(risk["done_by"], n_runs)
    closer = f" ({n_runs} runs tell it no closer)" if chance.endswith(("more", "less")) else ""
    return f"{chance}, if it succeeds{closer}"
