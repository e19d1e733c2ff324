"""Command `report`: one HTML page on every series of a history."""

import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sklearn_jobtime.cli.files import check_ending
from sklearn_jobtime.cli.inputs import read_as_fitted, reading_notes
from sklearn_jobtime.cli.output import print_json, print_notes, results
from sklearn_jobtime.cli.progress import reading
from sklearn_jobtime.cli.times import deadline_typed, read_moment, read_zone
from sklearn_jobtime.loaders._sources import read_source
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.report import make_report

__all__ = ["run_report"]


ENDINGS = (".html", ".htm")


def run_report(
    source: str,
    model_path: Path | None,
    deadlines: Sequence[str],
    output: Path,
    *,
    jobs: list[str],
    now: str | None,
    landings: int,
    timezone: str,
    open_page: bool,
    as_json: bool,
) -> None:
    """Read, compute, write the page; say what it says in one sentence."""
    zone = read_zone(timezone)
    check_ending(output, ENDINGS, "--output")
    present = None if now is None else read_moment(now, zone, "--now")
    if model_path is not None and jobs:
        raise typer.BadParameter("--jobs is for a report without a model; leave one of them out.")
    model = None if model_path is None else load_model(model_path)
    table = _read(source, jobs) if model is None else read_as_fitted(source, model)[0]
    with _making() as progress, deadline_typed():
        page = make_report(
            table,
            model,
            deadlines=list(deadlines),
            now=present,
            timezone=timezone,
            jobs=jobs or None,
            landings=landings,
            progress=progress,
        )
    page.save(output)
    if as_json:
        print_json({**page.data, "written": [str(output)]})
    else:
        results().print(page.sentence, markup=False, soft_wrap=True)
        print_notes([*page.data["notes"], f"written: {output}"])
    if open_page:
        webbrowser.open(output.resolve().as_uri())


def _read(source: str, jobs: list[str]) -> pd.DataFrame:
    """Read a run table for the baselines: its runs with all of their columns."""
    with reading():
        runs = read_source(source, durations=jobs or None, **getattr(source, "options", {}))
    said = {**runs.attrs, "notes": reading_notes(runs)}
    runs.attrs = {name: said.get(name) for name in ("notes", "dropped", "series")}
    return runs


@contextmanager
def _making() -> Iterator[Callable[[str, float], None]]:
    """Show on standard error what is being computed."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("report", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
