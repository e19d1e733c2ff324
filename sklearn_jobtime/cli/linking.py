"""Commands `links` and `why`: which job's past moves which forecast."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from rich.markup import escape
from sklearn.base import BaseEstimator, clone

from sklearn_jobtime.cli.history import History, read_as_fitted, split_off_coming
from sklearn_jobtime.cli.output import (
    as_records,
    human_seconds,
    print_json,
    print_notes,
    print_table,
    results,
)
from sklearn_jobtime.contributions import Contributions, forecast_contributions
from sklearn_jobtime.linkage import LEAST_ROWS, job_linkage
from sklearn_jobtime.persistence import load_model, replacing
from sklearn_jobtime.pipeline import with_coming
from sklearn_jobtime.plots import LinkageDisplay
from sklearn_jobtime.runs import STARTED_AT, WHOLE_RUN, target_names
from sklearn_jobtime.timeline import next_runs, split_by_time

__all__ = ["run_links", "run_why"]

SHOWN = 20


def run_links(
    model_path: Path,
    source: str,
    plot: Path | None,
    *,
    test_size: float,
    repeats: int,
    level: float,
    seed: int,
    as_json: bool,
) -> None:
    """Fit a stored forecaster anew on the older runs, and test its links on the newer ones."""
    model = load_model(model_path)
    table, jobs = read_as_fitted(source, model)
    history = History(split_off_coming(table, jobs)[0], jobs, [])
    train, is_test = split_by_time(history.runs, test_size)
    # Bounds around a forecaster link no jobs; the forecaster itself is quicker to fit.
    fitted = clone(getattr(model, "estimator", model)).fit(train, history.targets(train, 1))
    found = job_linkage(
        fitted,
        history.runs,
        is_test,
        jobs=history.all_jobs(),
        n_repeats=repeats,
        random_state=seed,
    )
    links = found.links(level)
    if plot is not None:
        with replacing(plot) as new:
            LinkageDisplay(found).plot(level=level).figure_.savefig(new)
    few = found.n_scored[found.n_scored < LEAST_ROWS].index
    notes = history.notes + [
        f"{name}: not tested, fewer than {LEAST_ROWS} test runs were observed." for name in few
    ]
    if as_json:
        tables = ("matrix", "low", "high", "gains", "p_values", "q_values")
        print_json(
            {
                "model": str(model_path),
                "runs": len(history.runs),
                "test_runs": int(is_test.sum()),
                "links": as_records(links),
                **{name: getattr(found, name).to_dict("index") for name in tables},
                "written": [] if plot is None else [str(plot)],
                "notes": notes,
            }
        )
        return
    print_table(
        f"Links that held on the newest {is_test.sum()} runs",
        ["past of", "forecast of", "moves it by", "95 % interval", "error saved", "q"],
        (
            [
                escape(_named(row["source"])),
                escape(_named(row["target"])),
                human_seconds(row["seconds"]),
                f"{human_seconds(row['low'])} to {human_seconds(row['high'])}",
                human_seconds(max(row["gain"], 0.0)),
                f"{row['q_value']:.2g}",
            ]
            for _, row in links[:SHOWN].iterrows()
        ),
    )
    tested = len(found.links(1.0))
    results().print(
        f"{len(links)} of {tested} pairs of different jobs are linked (asked: at most {level:.0%} "
        "false among those listed, on average).",
        soft_wrap=True,
    )
    print_notes(notes + ([] if plot is None else [f"written: {plot}"]))


def run_why(
    model_path: Path,
    source: str,
    run: str | None,
    job: str | None,
    *,
    permutations: int,
    seed: int,
    as_json: bool,
) -> None:
    """Share the difference between one forecast and the usual one among the jobs behind it."""
    model = load_model(model_path)
    table, jobs = read_as_fitted(source, model)
    runs, coming = split_off_coming(table, jobs)
    both = with_coming(runs, coming if len(coming) else next_runs(runs))
    row = _row_of(both.index, run, len(runs))
    target = _target(model, job)
    why = forecast_contributions(
        model,
        both,
        row,
        jobs=History(runs, jobs, []).all_jobs(),
        n_permutations=permutations,
        random_state=seed,
    )
    label, start = (
        _label(both.index[row]),
        both[STARTED_AT].iloc[row] if STARTED_AT in both else None,
    )
    if as_json:
        print_json(
            {
                "model": str(model_path),
                "run": label,
                "started_at": start,
                "job": target,
                "forecast": why.forecast.to_dict(),
                "baseline": why.baseline.to_dict(),
                "contributions": why.seconds.to_dict("index"),
                "errors": why.errors.to_dict("index"),
            }
        )
        return
    _print_why(why, target, label)


def _print_why(why: Contributions, target: str, label: str) -> None:
    difference = why.forecast[target] - why.baseline[target]
    results().print(
        f"{_named(target).capitalize() if target == WHOLE_RUN else target} of run {label} is "
        f"forecast to take {human_seconds(why.forecast[target])}, {_signed(difference)} beside "
        f"{human_seconds(why.baseline[target])} if all had been as usual.",
        markup=False,
        soft_wrap=True,
    )
    parts = why.of(target)
    shown = parts[parts["seconds"].abs() >= 0.05][:SHOWN]
    print_table(
        "What adds to it",
        ["past of", "adds", "give or take"],
        (
            [
                escape(_named(part["source"])),
                _signed(part["seconds"]),
                human_seconds(part["error"]) if part["error"] else "",
            ]
            for _, part in shown.iterrows()
        ),
    )


def _signed(seconds: float) -> str:
    return f"{'-' if seconds < 0 else '+'}{human_seconds(abs(seconds))}"


def _named(name: object) -> str:
    return "whole run" if name == WHOLE_RUN else str(name)


def _label(key: Any) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _row_of(index: pd.Index, run: str | None, n_past: int) -> int:
    """Position of the run that was asked for; None is the first run to come."""
    if run is None:
        return n_past
    full = np.array([_label(key) for key in index])
    own = index.get_level_values(-1).astype(str).to_numpy()
    for labels in (full, own):
        rows = np.flatnonzero(labels == run)
        if len(rows) == 1:
            return int(rows[0])
        if len(rows):
            raise typer.BadParameter(
                f"{run!r} came for --run, which {len(rows)} series have; name its series too, such "
                f"as {full[rows[0]]}."
            )
    raise typer.BadParameter(
        f"{run!r} came for --run; expected the label of a run, such as {full[n_past - 1]}."
    )


def _target(model: BaseEstimator, job: str | None) -> str:
    names = list(dict.fromkeys(target_names(model).get_level_values("job")))
    if job is None:
        return WHOLE_RUN if WHOLE_RUN in names else names[0]
    if job not in names:
        raise typer.BadParameter(
            f"{job!r} came for --job; the model forecasts {', '.join(map(str, names))}."
        )
    return job
