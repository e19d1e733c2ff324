"""Command `landing`: when each job of the next run, or of one that goes on, lands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from rich.markup import escape

from sklearn_jobtime._wording import human_chance, human_seconds, human_time
from sklearn_jobtime.cli.changes import read_what_if
from sklearn_jobtime.cli.files import PICTURE_ENDINGS, check_ending, save_plot
from sklearn_jobtime.cli.inputs import read_as_fitted
from sklearn_jobtime.cli.intervals import conformal
from sklearn_jobtime.cli.output import (
    as_records,
    job_label,
    print_json,
    print_notes,
    print_table,
    results,
    row_name,
)
from sklearn_jobtime.cli.times import deadline_typed, read_moment, read_zone
from sklearn_jobtime.conformal._deadlines import deadline_seconds
from sklearn_jobtime.landing import (
    LandingForecaster,
    compare_landings,
    landing_table,
    rank_jobs,
)
from sklearn_jobtime.landing._run_asked import landing_around, run_asked
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.plots.landing import LandingDisplay
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN

__all__ = ["Asked", "run_landing"]


TOO_LOW = 3  # exit code where a chance is below --fail-below
FASTER = 600.0  # seconds: what would ten minutes less of each job help?


@dataclass(frozen=True)
class Asked:
    """What a user asks of a run, as it was typed."""

    now: str | None
    deadlines: list[str]
    what_if: list[str]
    graph: str
    workers: int | None
    seed: int
    timezone: str


def run_landing(
    path: Path,
    source: str,
    asked: Asked,
    *,
    plot: Path | None,
    fail_below: float | None,
    as_json: bool,
) -> None:
    """Forecast the landings of one run, and exit with 3 where a chance is too low."""
    zone = read_zone(asked.timezone)
    check_ending(plot, PICTURE_ENDINGS, "--plot")
    stored = conformal(load_model(path), path)
    table, jobs = read_as_fitted(source, stored)
    notes = list(table.attrs.get("notes", []))
    moment = None if asked.now is None else read_moment(asked.now, zone, "--now")
    history, run, now = run_asked(table, jobs, moment, notes)
    model = landing_around(
        stored,
        history,
        jobs,
        graph=_graph(asked.graph),
        n_workers="infer" if asked.workers is None else asked.workers,
        random_state=asked.seed,
    )
    if asked.workers is None and model.n_workers_ is not None:
        notes.append(
            f"No more than {model.n_workers_} jobs run at a time, as the history shows; say "
            "--workers if that has changed."
        )
    limits = _deadlines(asked.deadlines, model, run, zone)
    plans = model.plans(run)
    found = landing_table(model, run, now=now, deadlines=limits, plans=plans)
    compared = None
    if asked.what_if:
        change = read_what_if(asked.what_if, model.jobs_)
        compared = compare_landings(model, run, change, now=now, deadlines=limits, plans=plans)
    helps = rank_jobs(model, run, faster=FASTER, now=now, plans=plans)
    at_start = found if now is None else landing_table(model, run, plans=plans)
    sentence = _sentence(model, found, at_start, run, now, asked.timezone)
    if plot is not None:
        elapsed = None if now is None else (now - run[STARTED_AT].iloc[0]).total_seconds()
        save_plot(LandingDisplay(found, now=elapsed, timezone=asked.timezone).plot(), plot)
    if as_json:
        said = {"model": str(path), **_record(model, run), "now": now, "jobs": as_records(found)}
        said |= {"sentence": sentence, "helps": as_records(helps)}
        said |= {"what_if": None if compared is None else as_records(compared)}
        print_json({**said, "plot": None if plot is None else str(plot), "notes": notes})
    else:
        _print(model, found, run, asked.timezone)
        if compared is not None:
            _print_changes(compared, model.n_nights_)
        results().print(sentence, markup=False, soft_wrap=True)
        _print_help(helps)
        print_notes(notes)
    if fail_below is not None and (found["chance"] < fail_below).any():
        raise typer.Exit(TOO_LOW)


def _record(model: LandingForecaster, run: pd.DataFrame) -> dict[str, Any]:
    """Say in JSON which run it is, and what its forecast rests on."""
    return {
        "run": row_name(run.index[0]),
        "started_at": run[STARTED_AT].iloc[0],
        "graph": [list(edge) for edge in model.graph_.edges],
        "workers": model.n_workers_,
        "nights": model.n_nights_,
    }


def _graph(text: str) -> str:
    """Read --graph: a file of edges, or the edges themselves."""
    if ">" in text or text == "infer":
        return text
    if Path(text).is_file():
        lines = Path(text).read_text(encoding="utf-8").splitlines()
        return ", ".join(line.strip() for line in lines if line.strip())
    if Path(text).suffix or len(Path(text).parts) > 1:
        raise typer.BadParameter(
            f"{text!r} came for --graph, and there is no such file; expected one of lines such as "
            "extract>load, the edges themselves, or infer."
        )
    return text


def _deadlines(
    texts: list[str], model: LandingForecaster, run: pd.DataFrame, zone: Any
) -> dict[Any, float] | None:
    """Read deadlines as seconds after the start of the run."""
    limits = {}
    for text in texts:
        job, _, time = text.rpartition("=")
        job = job or WHOLE_RUN
        if job not in (*model.jobs_, WHOLE_RUN):
            raise typer.BadParameter(
                f"{text!r} came for --deadline; {job!r} is no job of the run: expected one of "
                f"{', '.join(map(str, model.jobs_))}."
            )
        with deadline_typed():
            limits[job] = float(deadline_seconds(time, zone, run[[STARTED_AT]])[0])
        if limits[job] <= 0:
            began = human_time(run[STARTED_AT].iloc[0])
            raise typer.BadParameter(
                f"{text!r} came for --deadline; expected a time after the start of the run, "
                f"{began} UTC."
            )
    return limits or None


def _print(model: LandingForecaster, found: pd.DataFrame, run: pd.DataFrame, zone: str) -> None:
    has_chances = "chance" in found
    columns = ["job", "state", "starts", "lands", "between", "slack", "critical"]
    began = human_time(run[STARTED_AT].iloc[0], zone)
    print_table(
        escape(f"Run {row_name(run.index[0])}, start {began} {zone}"),
        [*columns, *(["in time"] if has_chances else [])],
        (
            [
                job_label(row["job"]),
                row["state"],
                _clock(row["starts_at"], zone),
                _clock(row["lands_at"], zone),
                _between(row, zone),
                human_seconds(row["slack"]),
                human_chance(row["critical"]),
                *([_in_time(row, model.n_nights_)] if has_chances else []),
            ]
            for _, row in found.iterrows()
        ),
    )


def _clock(moment: pd.Timestamp, zone: str) -> str:
    return human_time(moment, zone)[-5:] if moment is not pd.NaT else "-"


def _between(row: pd.Series, zone: str) -> str:
    if row["state"] == "landed" or not np.isfinite(row["lands"]):
        return "-"
    if not np.isfinite(row["upper"]):
        return f"after {_clock(row['lower_at'], zone)}"
    return f"{_clock(row['lower_at'], zone)} to {_clock(row['upper_at'], zone)}"


def _in_time(row: pd.Series, n_nights: int) -> str:
    return "-" if np.isnan(row["chance"]) else human_chance(row["chance"], n_nights)


def _print_changes(compared: pd.DataFrame, n_nights: int) -> None:
    has_chances = "chance" in compared
    print_table(
        "What if",
        ["job", "lands after", "then", "difference", "between", *(["in time"] * has_chances)],
        (
            [
                job_label(row["job"]),
                human_seconds(row["lands"]),
                human_seconds(row["lands_then"]),
                human_seconds(row["difference"]),
                f"{human_seconds(row['lower'])} to {human_seconds(row['upper'])}",
                *(
                    [
                        f"{human_chance(row['chance'], n_nights)} -> "
                        f"{human_chance(row['chance_then'], n_nights)}"
                    ]
                    * (has_chances and not np.isnan(row["chance"]))
                    or ["-"] * has_chances
                ),
            ]
            for _, row in compared.iterrows()
        ),
    )


def _print_help(helps: pd.DataFrame) -> None:
    best = helps.iloc[0]
    if best["saves"] > 0:
        results().print(
            f"Ten minutes less of {best['job']} would help most: the run lands "
            f"{human_seconds(best['saves'])} earlier on average.",
            markup=False,
            soft_wrap=True,
        )


def _sentence(
    model: LandingForecaster,
    found: pd.DataFrame,
    at_start: pd.DataFrame,
    run: pd.DataFrame,
    now: pd.Timestamp | None,
    zone: str,
) -> str:
    """Say in one sentence when the run lands, how surely, and what it waits for."""
    whole = found.iloc[-1]
    name = row_name(run.index[0])
    if whole["state"] in ("blocked", "failed"):
        failed = found.loc[found["state"] == "failed", "job"].iloc[0]
        return f"Run {name} does not land: {failed} did not succeed."
    parts = f"Run {name} lands at {_clock(whole['lands_at'], zone)} {zone}"
    if np.isfinite(whole["upper"]):
        parts += f", between {_between(whole, zone).replace(' to ', ' and ')}"
    if "chance" in found and not np.isnan(whole["chance"]):
        limit = run[STARTED_AT].iloc[0] + pd.Timedelta(seconds=whole["deadline"])
        chance = human_chance(whole["chance"], model.n_nights_)
        parts += f"; {chance} by {_clock(limit, zone)}"
    jobs = found.iloc[:-1]
    ahead = jobs[jobs["state"].isin(["running", "waiting"])]
    if now is not None and len(ahead):
        first = ahead[ahead["state"] == "running"] if (ahead["state"] == "running").any() else ahead
        waits_for = first.iloc[[int(first["critical"].to_numpy().argmax())]]
        job = waits_for["job"].iloc[0]
        planned = float(at_start.loc[(at_start["job"] == job).to_numpy(), "lands"].iloc[0])
        late = float(waits_for["lands"].iloc[0]) - planned
        parts += f"; it waits for {job}"
        if abs(late) >= 1:
            parts += (
                f", {human_seconds(abs(late))} {'later' if late > 0 else 'earlier'} than planned"
            )
    return f"{parts}."
