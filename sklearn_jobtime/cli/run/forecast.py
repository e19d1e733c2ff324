"""Command `forecast`, and the table of runs to come that `demo` prints too."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.markup import escape
from sklearn.base import BaseEstimator

from sklearn_jobtime._wording import human_seconds, human_span, human_time
from sklearn_jobtime.cli.files import PICTURE_ENDINGS, Files, check_ending, interval_name, save_plot
from sklearn_jobtime.cli.inputs import read_as_fitted, series_name
from sklearn_jobtime.cli.intervals import coverage_record, few_runs_noted
from sklearn_jobtime.cli.output import (
    forecast_records,
    named_rows,
    print_coverage,
    print_json,
    print_notes,
    print_table,
    results,
)
from sklearn_jobtime.cli.retired import print_retired, retired_records
from sklearn_jobtime.cli.times import read_times, read_zone
from sklearn_jobtime.forecasting import forecast, own_run_first
from sklearn_jobtime.loaders.files import TABLE_ENDINGS, write_table
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN, with_series
from sklearn_jobtime.runs._timeline import later, next_runs, split_off_coming

if TYPE_CHECKING:
    from sklearn_jobtime.plots import ForecastDisplay

__all__ = ["print_forecasts", "run_forecast"]

SHOWN_SERIES = 10
SHOWN_RUNS = 5


def run_forecast(
    model_path: Path,
    source: str,
    at: Sequence[str],
    output: Path | None,
    plot: Path | None,
    *,
    timezone: str,
    as_json: bool,
) -> None:
    """Forecast the runs to come; print them, and write what was asked for."""
    zone = read_zone(timezone)
    check_ending(output, TABLE_ENDINGS, "--output")
    check_ending(plot, PICTURE_ENDINGS, "--plot")
    model = load_model(model_path)
    table, jobs = read_as_fitted(source, model)
    runs, coming = split_off_coming(table, jobs)
    notes = [*table.attrs.get("notes", []), *([] if len(coming) else _notes_on_known(model))]
    if at:
        runs, coming = table, next_runs(table, read_times(at, zone, table))
    retired = retired_records(runs, coming)
    with few_runs_noted(notes):
        forecasts = own_run_first(forecast(model, runs, coming if len(coming) else None))
    series = series_name(table)
    forecasts, runs = with_series(forecasts, series), with_series(runs, series)
    coverage = coverage_record(model)
    files = Files()
    files.add(output, lambda path: write_table(named_rows(forecasts), path))
    files.add(plot, lambda path: save_plot(_display(runs, forecasts, coverage), path))
    if as_json:
        files.write()
        print_json(
            {
                "model": str(model_path),
                "runs": len(runs),
                "forecasts": forecast_records(forecasts),
                "retired": retired,
                "coverage": coverage,
                "written": files.written,
                "notes": notes + files.failed,
            }
        )
        files.exit_if_failed()
        return
    print_forecasts(forecasts, timezone)
    print_retired(retired, timezone)
    print_coverage(coverage)
    print_notes(notes + files.write())
    files.exit_if_failed()


def _display(
    runs: pd.DataFrame, forecasts: pd.DataFrame, coverage: dict[str, Any] | None
) -> "ForecastDisplay":
    from sklearn_jobtime.plots import ForecastDisplay  # noqa: PLC0415 - most ask for no picture

    return ForecastDisplay.from_predictions(runs, forecasts, interval=interval_name(coverage))


def _notes_on_known(model: BaseEstimator) -> list[str]:
    given = (value for key, value in model.get_params().items() if key.endswith("windows__known"))
    known = [str(name) for name in next(given, None) or []]
    if not known:
        return []
    return [
        f"{', '.join(known)} of the runs to come are taken as unknown. To give them, put a last "
        f"row for each run into the table, with {STARTED_AT} and these, and without outcomes."
    ]


def print_forecasts(forecasts: pd.DataFrame, timezone: str = "UTC") -> None:
    """Print the runs to come, a table a series, and when each first run will be done."""
    console = results()
    n_series = 1
    if forecasts.index.nlevels == 1:
        _print_series("", forecasts, timezone)
    else:
        keys = forecasts.index.droplevel(-1)
        n_series = len(keys.unique())
        for key in keys.unique()[:SHOWN_SERIES]:
            name = "/".join(map(str, np.ravel(key)))
            _print_series(name, forecasts[keys == key], timezone)
    if n_series > SHOWN_SERIES:
        console.print(f"{n_series - SHOWN_SERIES} more series: see them with --json or --output.")


def _print_series(series: str, forecasts: pd.DataFrame, timezone: str) -> None:
    label = forecasts.index.get_level_values(-1).astype(str)
    further = np.where(forecasts["step"] > 1, " +" + (forecasts["step"] - 1).astype(str), "")
    run = pd.Index(label + further)
    names = list(run.unique())
    forecasts = forecasts.set_axis(run)
    cells = forecasts["seconds"].map(human_seconds)
    if "lower" in forecasts:
        cells += [f"\n{human_span(*ends)}" for ends in forecasts[["lower", "upper"]].to_numpy()]
    cells = forecasts.assign(cell=cells).pivot(columns="job", values="cell")
    jobs = [job for job in dict.fromkeys(forecasts["job"]) if job != WHOLE_RUN]
    of_job = forecasts.groupby("job")
    sources = of_job["source"].unique().map(", ".join) if "source" in forecasts else None

    def behind(job: str = "") -> list[str]:
        return [] if sources is None else [sources[job] if job else ""]

    timed = STARTED_AT in forecasts
    times = forecasts.groupby(level=0)
    starts = times[STARTED_AT].first() if timed else pd.Series()
    ends = times["ends_at"].max() if timed and WHOLE_RUN in cells else pd.Series()
    for first in range(0, len(names), SHOWN_RUNS):
        shown = names[first : first + SHOWN_RUNS]
        rows = [[str(job), *(cells.loc[r, job] for r in shown), *behind(job)] for job in jobs]
        if timed:
            clock = (human_time(starts[r], timezone) for r in shown)
            rows.insert(0, ["starts", *clock, *behind()])
        if len(ends):
            whole = (cells.loc[r, WHOLE_RUN] for r in shown)
            rows.append(["whole run", *whole, *behind(WHOLE_RUN)])
            clock = (human_time(ends[r], timezone) for r in shown)
            rows.append(["done at", *clock, *behind()])
        title = f"Runs to come{f' of {escape(series)}' if series else ''}"
        title += f" (times in {timezone})" if timed else ""
        print_table(title, ["run", *shown, *([] if sources is None else ["source"])], rows)
    if len(ends):
        of = f" of {series}" if series else ""
        first_whole = forecasts[forecasts["job"] == WHOLE_RUN].iloc[0]
        results().print(
            f"Run {names[0]}{of}, starting {human_time(starts[names[0]], timezone)}, should be "
            f"done at {human_time(ends[names[0]], timezone)} {timezone}"
            f"{_between(first_whole, timezone)}.",
            markup=False,
            soft_wrap=True,
        )


def _between(forecast: pd.Series, timezone: str) -> str:
    """When a run will be done, as its interval says; empty without one."""
    if "lower" not in forecast:
        return ""
    bounds = forecast[["lower", "upper"]].astype("float64")
    ends = later(pd.Series(forecast[STARTED_AT], bounds.index), bounds)
    first, last = (human_time(end, timezone) for end in ends)
    if last == "-":
        known = forecast["lower"] > 0 and first != "-"
        return f", not before {first}" if known else ", too few runs to say between when"
    return f", at about {first}" if first == last else f", between {first} and {last}"
