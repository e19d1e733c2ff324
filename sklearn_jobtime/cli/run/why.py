"""Command `why`: which jobs make a forecast longer or shorter than usual."""

from pathlib import Path

import numpy as np
import pandas as pd
import typer
from sklearn.base import BaseEstimator

from sklearn_jobtime._wording import human_seconds
from sklearn_jobtime.cli.inputs import History, read_as_fitted, series_name
from sklearn_jobtime.cli.output import (
    job_label,
    print_json,
    print_notes,
    print_table,
    results,
    row_name,
)
from sklearn_jobtime.cli.run.links import SHOWN
from sklearn_jobtime.forecasting import target_names, with_coming
from sklearn_jobtime.inspection._contributions import Contributions, forecast_contributions
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.runs._jobs_of_series import has_job
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN, series_of, with_series
from sklearn_jobtime.runs._timeline import next_runs, split_off_coming

__all__ = ["run_why"]


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
    series, notes = series_name(table), table.attrs["notes"]
    runs, coming = split_off_coming(table, jobs)
    both = with_coming(runs, coming if len(coming) else next_runs(runs))
    labels = with_series(both, series).index
    row = _row_of(labels, run, len(runs))
    own = _jobs_of_row(both, row, model)
    target = _target(own, job)
    why = forecast_contributions(
        model,
        both,
        row,
        jobs=History(runs, jobs, []).all_jobs(),
        n_permutations=permutations,
        random_state=seed,
    )
    label, start = (
        row_name(labels[row]),
        both[STARTED_AT].iloc[row] if STARTED_AT in both else None,
    )
    if as_json:
        print_json(
            {
                "model": str(model_path),
                "run": label,
                "started_at": start,
                "job": target,
                "forecast": why.forecast[own].to_dict(),
                "baseline": why.baseline[own].to_dict(),
                "contributions": _among(why.seconds, own).to_dict("index"),
                "errors": _among(why.errors, own).to_dict("index"),
                "notes": notes,
            }
        )
        return
    _print_why(why, target, label)
    print_notes(notes)


def _print_why(why: Contributions, target: str, label: str) -> None:
    difference = why.forecast[target] - why.baseline[target]
    results().print(
        f"{'Whole run' if target == WHOLE_RUN else target} of run {label} is "
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
                job_label(part["source"]),
                _signed(part["seconds"]),
                human_seconds(part["error"]) if part["error"] else "",
            ]
            for _, part in shown.iterrows()
        ),
    )


def _signed(seconds: float) -> str:
    text = human_seconds(seconds)
    return text if text.startswith("-") else f"+{text}"


def _row_of(index: pd.Index, run: str | None, n_past: int) -> int:
    """Position of the run that was asked for; None is the first run to come."""
    if run is None:
        return n_past
    full = np.array([row_name(key) for key in index])
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


def _jobs_of_row(both: pd.DataFrame, row: int, model: BaseEstimator) -> list[str]:
    """Jobs of the series of a row, and `whole_run`; all jobs for a series that has no run yet."""
    names = list(dict.fromkeys(target_names(model).get_level_values("job")))
    series = series_of(both.index)
    own = has_job(both[series == series[row]], names).any()
    found = [job for job in names if job not in both or own[job]]
    return found if own.any() else names


def _among(table: pd.DataFrame, jobs: list[str]) -> pd.DataFrame:
    """Leave out the other jobs that are forecast, as sources and as targets."""
    others = [job for job in table if job not in jobs]
    return table.drop(index=others, errors="ignore")[jobs]


def _target(names: list[str], job: str | None) -> str:
    if job is None:
        return WHOLE_RUN if WHOLE_RUN in names else names[0]
    if job not in names:
        raise typer.BadParameter(
            f"{job!r} came for --job; of that run the model forecasts {', '.join(map(str, names))}."
        )
    return job
