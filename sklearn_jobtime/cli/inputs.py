"""The runs that a command works on, and the notes a user should read about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pandas.api import types
from sklearn.base import BaseEstimator

from sklearn_jobtime.cli.progress import reading
from sklearn_jobtime.cli.shell_words import in_shell_words
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.forecasting import as_fitted, target_names
from sklearn_jobtime.loaders._sources import read_source
from sklearn_jobtime.runs._schema import (
    WHOLE_RUN,
    job_columns,
    series_names,
    status_column,
    with_series,
)
from sklearn_jobtime.runs._targets import make_lower_bounds, make_targets
from sklearn_jobtime.runs._timeline import split_off_coming

__all__ = [
    "History",
    "history_as_fitted",
    "history_record",
    "read_as_fitted",
    "read_history",
    "reading_notes",
    "series_name",
]


@dataclass
class History:
    """A run table and what its columns are.

    Parameters
    ----------
    runs : DataFrame
        Runs with an outcome, validated.
    jobs : list of str
        The columns of durations to forecast.
    known : list of str
        Columns known at the start, numbers or names.
    notes : list of str
        What was left out, and why.
    series : str, default=None
        Name of the one series of `runs`, where the source names it.
    """

    runs: pd.DataFrame
    jobs: list[str]
    known: list[str]
    notes: list[str] = field(default_factory=list)
    series: str | None = None

    @property
    def named_runs(self) -> pd.DataFrame:
        """The runs, with the name of their one series in the index: to be shown, not learned."""
        return with_series(self.runs, self.series)

    def all_jobs(self) -> list[str]:
        """Jobs to forecast, and others that have a status and so are jobs as well."""
        others = [c for c in self.runs if status_column(str(c)) in self.runs]
        return list(dict.fromkeys([*self.jobs, *others]))

    def targets(self, rows: pd.DataFrame, horizon: int) -> pd.DataFrame:
        """Targets of `rows`, without the jobs that were never observed there."""
        y = make_targets(rows, horizon, jobs=self.jobs)
        never = set(y.columns[y.isna().all()].get_level_values("job"))
        kept = y.columns[~y.columns.get_level_values("job").isin(never)]
        if kept.empty and y.xs(1, axis=1, level="step").notna().any(axis=None):
            raise NoHistoryError(
                f"the {len(rows)} runs to learn from are too few to forecast {horizon} runs ahead; "
                "take a smaller --horizon, or load a longer history."
            )
        if kept.empty:
            raise NoHistoryError(
                f"no job succeeded in the {len(rows)} runs to learn from: looked at "
                f"{', '.join(map(repr, self.jobs))}; check their durations and statuses, or load "
                "a longer history."
            )
        for job in sorted(never - {WHOLE_RUN}):
            self.note(f"job {job!r} is not forecast: too few successful runs to learn from.")
        return y[kept]

    def bounds(self, rows: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame | None:
        """Give what the runs of `rows` that timed out took at least; None if none did."""
        horizon = int(y.columns.get_level_values("step").max())
        at_least = make_lower_bounds(rows, horizon, jobs=self.jobs).reindex(columns=y.columns)
        return at_least if at_least.notna().any(axis=None) else None

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)


def read_history(source: str, jobs: Sequence[str], known: Sequence[str]) -> History:
    """Read a run table for fitting; columns of text that are not known are left out."""
    with reading():
        runs = read_source(source, durations=jobs or None, **getattr(source, "options", {}))
    said, series = reading_notes(runs), series_name(runs)
    runs.attrs = {}
    for name in known:
        if name not in runs:
            raise RunTableError(f"no column {name!r}; the table has {list(runs.columns)}.")
    jobs = job_columns(runs, jobs or None)
    statuses = [status_column(str(column)) for column in runs]
    texts = [c for c in runs if _is_text(runs[c]) and c not in statuses]
    left_out = [c for c in texts if c not in known]
    runs, coming = split_off_coming(runs.drop(columns=left_out), jobs)
    history = History(runs, jobs, list(known), said, series)
    if left_out:
        history.note(
            f"columns of text left out: {', '.join(map(str, left_out))}. Name those that are known "
            "when a run starts with --known."
        )
    if len(coming):
        history.note(f"{len(coming)} last rows without any outcome are not learned from.")
    return history


def read_as_fitted(source: str, model: BaseEstimator) -> tuple[pd.DataFrame, list[str]]:
    """Read a run table for a fitted model: the columns of its fit, and the jobs it forecasts."""
    targets = target_names(model).get_level_values("job").unique()
    jobs = [job for job in targets if job != WHOLE_RUN]
    with reading():
        runs = read_source(source, durations=jobs or None, **getattr(source, "options", {}))
    said, series, dropped = reading_notes(runs), series_name(runs), runs.attrs.get("dropped")
    runs = as_fitted(runs, model)
    runs.attrs = {"notes": said, "series": series, "dropped": dropped}
    return runs, jobs


def history_as_fitted(source: str, model: BaseEstimator) -> History:
    """Read the runs with an outcome for a fitted model, as a history to test it on."""
    table, jobs = read_as_fitted(source, model)
    said, series = table.attrs["notes"], series_name(table)
    table.attrs = {}
    return History(split_off_coming(table, jobs)[0], jobs, [], said, series)


def series_name(runs: pd.DataFrame) -> str | None:
    """Name of the one series of a table that was read, where its source names it."""
    return runs.attrs.get("series")


def reading_notes(runs: pd.DataFrame) -> list[str]:
    """Give what was concluded when a table was read, in the words of the shell."""
    return [in_shell_words(note) for note in runs.attrs.get("notes", [])]


def _is_text(column: pd.Series) -> bool:
    return not (types.is_numeric_dtype(column) or types.is_datetime64_any_dtype(column))


def history_record(history: History, horizon: int) -> dict[str, Any]:
    """Give the keys that every JSON answer about a history begins with."""
    return {
        "runs": len(history.runs),
        "series": list(dict.fromkeys(map(str, series_names(history.named_runs.index)))),
        "jobs": history.jobs,
        "horizon": horizon,
        "notes": history.notes,
    }
