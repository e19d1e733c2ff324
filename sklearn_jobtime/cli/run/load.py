"""Command `load`: from any source to one run table, and what is in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from sklearn_jobtime._wording import human_seconds, human_share
from sklearn_jobtime.cli.output import print_json, print_notes, print_table, results
from sklearn_jobtime.cli.progress import reading
from sklearn_jobtime.cli.shell_words import in_shell_words
from sklearn_jobtime.loaders._sources import read_source
from sklearn_jobtime.loaders._summary import summarise_runs
from sklearn_jobtime.loaders.files import TABLE_ENDINGS, write_table
from sklearn_jobtime.runs._schema import STATUSES

__all__ = ["run_load"]


SHOWN_SERIES = 20


def run_load(
    source: str,
    output: Path | None,
    *,
    since: str | None,
    jobs: Sequence[str],
    top_jobs: int | None,
    job_starts: bool,
    max_bytes: int,
    as_json: bool,
) -> None:
    """Read a source, write its run table, print what was found and what was left out."""
    if output is not None and not output.name.endswith(TABLE_ENDINGS):
        raise typer.BadParameter(
            f"{output} came for --output; expected a name that ends in {', '.join(TABLE_ENDINGS)}."
        )
    with reading():
        runs = read_source(
            source,
            since=since,
            jobs=list(jobs) or None,
            top_jobs=top_jobs,
            job_starts=job_starts,
            max_bytes=max_bytes,
            **getattr(source, "options", {}),
        )
        summary = summarise_runs(runs)
        if output is not None:
            write_table(runs, output)
    dropped: dict[str, int] = runs.attrs.get("dropped", {})
    guessed: dict[str, str] = runs.attrs.get("columns", {})
    report: dict[str, Any] = runs.attrs["report"]
    notes: list[str] = [in_shell_words(note) for note in runs.attrs.get("notes", [])]
    if as_json:
        print_json(
            {
                "runs": len(runs),
                "series": summary.reset_index().to_dict("records"),
                "dropped": dropped,
                "columns": guessed,
                "report": report,
                "notes": notes,
                "written": None if output is None else str(output),
            }
        )
        return
    _print_summary(summary)
    left_out = [f"left out: {count:,} {why}." for why, count in dropped.items()]
    written = [] if output is None else [f"written: {output}"]
    print_notes([*_report_lines(report), *left_out, *notes, *written])


def _report_lines(report: Mapping[str, Any]) -> list[str]:
    """Say what a reading made of its source."""
    lines = []
    if columns := report["columns"]:
        taken = ", ".join(
            f"{role} from {told['column']!r} ({told['why']})"
            if role != told["column"]
            else f"{role} ({told['why']})"
            for role, told in columns.items()
        )
        may_be_named = any(told["why"] in ("usual name", "named") for told in columns.values())
        correct = " Correct one with --column NAME=COLUMN." if may_be_named else ""
        lines.append(f"columns: {taken}.{correct}")
    statuses = ", ".join(f"{count:,} {status}" for status, count in report["statuses"].items())
    median = report["median_seconds"]
    lines.append(
        f"kept: {report['runs']:,} runs, {report['jobs_of_runs']:,} jobs of runs"
        + (f" ({statuses})" if statuses else "")
        + (
            f"; successes took {human_seconds(report['total_seconds'])} in total, "
            f"{human_seconds(median)} in the median."
            if median is not None
            else "; no success."
        )
    )
    return lines


def _print_summary(summary: pd.DataFrame) -> None:
    spans = {"first", "last"} <= set(summary)
    ends = [status for status in STATUSES if summary[status].any()]
    shown = summary.sort_values("good_runs", ascending=False, kind="stable")[:SHOWN_SERIES]
    print_table(
        f"{len(summary)} series, {summary['runs'].sum():,} runs",
        [
            *("series", "runs", "jobs", *(["from", "to"] if spans else []), *ends),
            *("median", "error of a baseline", "to forecast?"),
        ],
        (_cells(str(name), row, spans, ends) for name, row in shown.iterrows()),
    )
    regular = int((summary["recommendation"] == "regular enough").sum())
    more = len(summary) - len(shown)
    results().print(
        f"{regular} of {len(summary)} series are regular enough to forecast. The baseline is "
        "the median of the last ten runs, its error a share of the mean duration."
        + (f" {more} smaller series are not shown." if more else "")
    )


def _cells(name: str, row: pd.Series, spans: bool, ends: list[str]) -> list[str]:
    span = [f"{row[end]:%Y-%m-%d}" for end in ("first", "last")] if spans else []
    return [
        name,
        str(row["runs"]),
        str(row["jobs"]),
        *span,
        *(str(row[status]) for status in ends),
        human_seconds(row["median_seconds"]),
        human_share(row["baseline_error"]),
        row["recommendation"],
    ]
