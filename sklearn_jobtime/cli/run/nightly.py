"""Command `nightly`: update, forecast, landing, anomalies and report in one run, with alarms."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from sklearn_jobtime._atomic import locked
from sklearn_jobtime._plain_json import as_records
from sklearn_jobtime._wording import human_chance, human_span, human_time
from sklearn_jobtime.alerts import (
    Alarm,
    Asked,
    Ledger,
    Night,
    alerts_record,
    causes_of,
    look_at,
    metrics_text,
    write_alerts,
    write_metrics,
)
from sklearn_jobtime.cli.inputs import read_as_fitted, series_name
from sklearn_jobtime.cli.intervals import conformal
from sklearn_jobtime.cli.output import (
    forecast_records,
    print_json,
    print_notes,
    print_table,
    results,
    row_name,
)
from sklearn_jobtime.cli.run.update import update_record
from sklearn_jobtime.cli.times import deadline_typed, read_moment, read_zone
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.conformal._nominal_coverage import coverage_record
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN

__all__ = ["Outputs", "run_nightly"]


NEW_ALARMS = 4  # exit code where there are alarms that no night before had
PATIENCE = 0.0  # seconds to wait for another run: it does the same work
SHOWN = 20


@dataclass(frozen=True)
class Outputs:
    """The files that a night writes."""

    report: Path | None
    alerts: Path | None
    metrics: Path | None


def state_path(model: Path) -> Path:
    """Where the alarms of earlier nights are remembered: beside the model.

    Examples
    --------
    >>> state_path(Path("ops/model.joblib")).name
    'model.joblib.nightly.json'
    """
    return model.with_name(f"{model.name}.nightly.json")


def run_nightly(
    source: str,
    path: Path,
    outputs: Outputs,
    *,
    deadlines: list[str],
    alarm_below: float,
    refit_after: float | None,
    landings: int,
    now: str | None,
    timezone: str,
    as_json: bool,
) -> None:
    """Do the work of a night, and exit with 4 where an alarm is new.

    The model is written last. So a night that was cut off leaves the files of the one before or
    its own, each of them whole, and the next one does it again.
    """
    zone = read_zone(timezone)
    present = pd.Timestamp.now(tz="UTC") if now is None else read_moment(now, zone, "--now")
    asked = Asked(deadlines, present, zone, alarm_below, refit_after, landings)
    with locked(path, patience=PATIENCE):  # held until the model is replaced, which is last
        model = conformal(load_model(path), path)
        remembered = Ledger.read(state_path(path))
        table, jobs = read_as_fitted(source, model)
        series, notes = series_name(table), list(table.attrs.get("notes", []))
        with deadline_typed():
            night = look_at(model, table, jobs, asked, series)
        date = f"{present.tz_convert(zone):%Y-%m-%d}"
        name = f"{date}, runs up to {night.update.until.isoformat()}"
        ledger, is_repeated = remembered.starts_from(name, night.update.since)
        causes = causes_of(night, asked, model, ledger.until)
        after = ledger.then(name, night.update.until, causes)
        told = {alarm.id for alarm in remembered.alarms} if is_repeated else set()
        record = alerts_record(after, date=date, zone=timezone, newest=night.update.until)
        for write in _files(outputs, night, record, after, model, table, asked):
            write()
        if after != remembered:
            after.write(state_path(path))
        if night.update.until > night.update.since:
            save_model(model, path)
    notes += night.notes
    new = [alarm for alarm in after.alarms if alarm.is_new and alarm.id not in told]
    if as_json:
        print_json({"model": str(path), **record, **_figures(night, model), "notes": notes})
    else:
        _print(night, after, new, asked, model.fitted_until_)
        print_notes(notes)
    if new:
        raise typer.Exit(NEW_ALARMS)


def _files(
    outputs: Outputs,
    night: Night,
    record: dict[str, Any],
    after: Ledger,
    model: ConformalForecaster,
    table: pd.DataFrame,
    asked: Asked,
) -> list[Callable[[], None]]:
    """Make what the files for others hold, all of it before the first is written."""
    files: list[Callable[[], None]] = []
    if outputs.report is not None:
        from sklearn_jobtime.report import make_report  # noqa: PLC0415 - Jinja2 is an extra

        page = make_report(
            table,
            model,
            deadlines=list(asked.deadlines),
            now=asked.now,
            timezone=asked.zone.key,
            series=series_name(table),
            landings=asked.landings,
        )
        files.append(partial(page.save, outputs.report))
    if outputs.metrics is not None:
        files.append(partial(write_metrics, metrics_text(night, after, model), outputs.metrics))
    if outputs.alerts is not None:
        files.append(partial(write_alerts, record, outputs.alerts))
    return files


def _figures(night: Night, model: ConformalForecaster) -> dict[str, Any]:
    """Give the figures of the night, each as the command for it gives them."""
    return {
        "update": update_record(night.update),
        "forecasts": forecast_records(night.forecasts),
        "risks": forecast_records(night.risks) if len(night.risks) else [],
        "anomalies": forecast_records(night.unusual) if len(night.unusual) else [],
        "landings": {name: as_records(table) for name, table in night.landings.items()},
        "retired": [{"series": name, "last_run": last} for name, last in night.retired.items()],
        "coverage": coverage_record(model),
    }


def _print(night: Night, after: Ledger, new: list[Alarm], asked: Asked, fitted: float) -> None:
    """Say what is ahead, what is wrong, and whether the model is still good."""
    zone, update = asked.zone.key, night.update
    until = human_time(update.until, zone)
    _say(
        f"Updated with {update.n_runs} runs, which ended up to {until} {zone}."
        if update.until > update.since
        else f"No run has ended since {until} {zone}."
    )
    _print_ahead(night, zone)
    for alarm in after.alarms:
        night_of = "new" if alarm in new else f"open, night {alarm.nights}"
        _say(f"{_kind(alarm)}, {night_of}: {alarm.cause.sentence}")
    for alarm in after.closed[:SHOWN]:
        _say(f"{_kind(alarm)}, over since tonight: {alarm.cause.sentence}")
    if len(after.closed) > SHOWN:
        _say(f"{len(after.closed) - SHOWN} more are over: see them with --json.")
    if not after.alarms:
        _say("No alarm is open.")
    if not any(alarm.cause.kind == "refit_due" for alarm in after.alarms):
        last = pd.Timestamp(fitted, unit="s", tz="UTC")
        days = max(0, (asked.now - last).days)
        _say(
            f"No fit is due: errors are what they were. The newest run that the model was fitted "
            f"on ended on {human_time(last, zone)} {zone}, {days} days ago."
        )


def _kind(alarm: Alarm) -> str:
    return alarm.cause.kind.replace("_", " ").capitalize()


def _print_ahead(night: Night, zone: str) -> None:
    """Print the next run of each series, the least chance of a deadline first."""
    table = night.forecasts
    table = table[(table["step"] == 1) & (table["job"] == WHOLE_RUN)]
    chances = {
        label: (row["done_by"], human_chance(row["done_by"], row["counted_runs"]))
        for label, row in zip(night.risks.index, night.risks.to_dict("records"), strict=True)
        if row["job"] == WHOLE_RUN
    }
    rows = []
    for label, row in zip(table.index, table.to_dict("records"), strict=True):
        least, chance = chances.get(label, (2.0, "-"))
        start = row[STARTED_AT]
        rows.append(
            (
                least,
                [
                    row_name(label),
                    human_time(start, zone),
                    human_time(row["ends_at"], zone),
                    human_span(row["lower"], row["upper"]),
                    chance,
                ],
            )
        )
    rows.sort(key=lambda pair: pair[0])
    if rows:
        print_table(
            f"Runs to come (times in {zone})",
            ["run", "starts", "done at", "takes", "in time"],
            [cells for _, cells in rows[:SHOWN]],
        )
    if len(rows) > SHOWN:
        _say(f"{len(rows) - SHOWN} more runs: see them with --json.")


def _say(text: str) -> None:
    results().print(text, markup=False, soft_wrap=True)
