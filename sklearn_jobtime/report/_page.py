"""The page: facts put into its templates, shown in a notebook or written to a file."""

import html
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime._containers import plain_table, to_utc
from sklearn_jobtime.conformal._deadlines import Deadlines
from sklearn_jobtime.exceptions import MissingPackageError, RunTableError
from sklearn_jobtime.forecasting import as_fitted, target_names
from sklearn_jobtime.report._facts import Asked, gather
from sklearn_jobtime.runs._schema import WHOLE_RUN, job_columns
from sklearn_jobtime.runs._validation import validate_runs

__all__ = ["Report", "make_report"]


LANDINGS = 3  # series whose next run is sent through the graph of its jobs: a second or more each


class Report:
    """A page on every series of a history.

    Parameters
    ----------
    html : str
        The page: one file that asks no network for anything.
    data : dict
        Its numbers, as they are embedded in it.
    sentence : str
        What it says, in one sentence.

    Examples
    --------
    See :func:`make_report`.
    """

    def __init__(self, html: str, data: dict[str, Any], sentence: str) -> None:
        self.html = html
        self.data = data
        self.sentence = sentence

    def __repr__(self) -> str:
        return f"<Report: {self.sentence}>"

    def save(self, path: str | Path) -> None:
        """Write the page to a file, whole or not at all.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        OSError
            Where the file cannot be written.
        """
        with replacing(path) as new:
            new.write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame of its own."""
        return (
            '<iframe title="Report on job run times" style="width:100%;height:80vh;border:0" '
            f'srcdoc="{html.escape(self.html)}"></iframe>'
        )


def make_report(
    runs: pd.DataFrame,
    model: Any = None,
    *,
    deadlines: Deadlines = None,
    now: Any = None,
    timezone: str = "UTC",
    series: str | None = None,
    jobs: Sequence[str] | None = None,
    landings: int = LANDINGS,
    progress: Callable[[str, float], None] | None = None,
) -> Report:
    """Make a page that answers, for every series, what a team asks every morning.

    When is the next run done, how sure is that, will it be late, what was unusual, is the model
    still good? The page is one HTML file without any link to elsewhere. It has an overview with
    one row a series, those first that somebody should look at, and a view of each series.

    Parameters
    ----------
    runs : DataFrame
        A run table, of one series or of many. Last rows of a series without any outcome are runs to
        come, or that run now.
    model : estimator, default=None
        Fitted on runs of such a table; with intervals
        (:class:`~sklearn_jobtime.ConformalForecaster`) there are chances of deadlines. None takes
        an average of baselines with intervals, which needs no training.
    deadlines : str, dict or list of str, default=None
        When runs have to be done: ``"06:00"`` (the next one after the start), a moment, or a
        duration from the start such as ``"45min"``; for some series ``{"etl": "05:00", None:
        "06:00"}`` or ``["06:00", "etl=05:00"]``.
    now : Timestamp or str, default=None
        The present, for the age of the data and for runs that go on; None: the clock's.
    timezone : str, default="UTC"
        Whose clock shows the times and whose calendar has the weekdays. The reader can switch to
        his own.
    series : str, default=None
        Name of the series, for a table of one.
    jobs : sequence of str, default=None
        The columns of durations, without a model; None finds them as
        :func:`~sklearn_jobtime.runs.job_columns` does. A model says them itself.
    landings : int, default=3
        For how many series, the first ones of the overview, the jobs of the next run are sent
        through their graph, as `jobtime landing` does. It takes a second or more a series; for the
        others, jobs are drawn where they usually start.
    progress : callable, default=None
        Called with what is done next, and with the share that is done.

    Returns
    -------
    Report
        `html`, `save(path)`; in a notebook it shows itself.

    Raises
    ------
    RunTableError
        When the table has no run with an outcome, or lacks a column that the model was fitted on.
    DeadlineError
        When a deadline cannot be read, or is that of a series that is not there.
    MissingPackageError
        When Jinja2 is not installed.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.report import make_report
    >>> runs = make_job_runs(n_runs=60, n_jobs=2, random_state=0)
    >>> page = make_report(runs, deadlines="06:00", now=runs["ended_at"].max(), series="etl")
    >>> page.data["series"][0]["name"], page.html.startswith("<!doctype html>")
    ('etl', True)
    """
    _check_jinja()
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"timezone={timezone!r} came; expected an IANA name such as 'UTC' or 'Europe/Berlin'."
        ) from None
    table = plain_table(runs)
    said = dict(table.attrs)
    table, found = _as_fitted(table, model, jobs)
    present = pd.Timestamp.now(tz="UTC") if now is None else to_utc(pd.Series([now])).iloc[0]
    asked = Asked(
        deadlines,
        present,
        timezone,
        landings,
        series or said.get("series"),
        progress or _nothing_said,
    )
    facts = gather(table, found, model, asked)
    facts["notes"] = [*map(str, said.get("notes", [])), *facts["notes"]]
    facts["left_out"] = {str(why): int(n) for why, n in (said.get("dropped") or {}).items()}
    asked.progress("page", 0.97)
    from sklearn_jobtime.report._render import render  # noqa: PLC0415 - needs the extra

    return Report(*render(facts))


def _as_fitted(
    table: pd.DataFrame, model: Any, jobs: Sequence[str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Take the columns that the model was fitted on, and the jobs that it forecasts."""
    table = table.copy(deep=False)
    table.attrs = {}
    if not len(table):
        raise RunTableError("the table has no run, so there is nothing to report on.")
    if model is None:
        own = job_columns(table, jobs)
        return validate_runs(table, jobs=own), own
    names = target_names(model).get_level_values("job").unique()
    own = [job for job in names if job != WHOLE_RUN] or job_columns(table)
    return validate_runs(as_fitted(table, model), jobs=own), own


def _nothing_said(what: str, share: float) -> None:  # noqa: ARG001 - shows no progress
    return


def _check_jinja() -> None:
    if find_spec("jinja2") is None:
        raise MissingPackageError(
            'the report is made with Jinja2, which is not installed; run `pip install "sklearn-'
            'jobtime[report]"`.'
        )
