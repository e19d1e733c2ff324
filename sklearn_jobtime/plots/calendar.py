"""A calendar of durations: one cell a day, so that weekdays, gaps and bad weeks show."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._wording import shortened
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.plots._panels import own_panels, panel_title
from sklearn_jobtime.plots._style import (
    COMING,
    axis_limits,
    panels_on,
    set_panel_titles,
    spread_ticks,
    styled,
    tick_count,
    unit_of,
)
from sklearn_jobtime.plots.forecast import has_failed
from sklearn_jobtime.runs._schema import STARTED_AT, series_of
from sklearn_jobtime.runs._targets import observed_durations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CalendarDisplay", "daily_durations"]


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_PANELS = 8
FEWEST_WEEKS = 13  # cells of fewer weeks would be bars


def daily_durations(
    started: pd.Series, seconds: pd.Series, failed: pd.Series, timezone: str = "UTC"
) -> pd.DataFrame:
    """Median duration and failures of each day on which a run started.

    Parameters
    ----------
    started : Series of aware datetimes
    seconds : Series of float
        Durations of good runs, NaN elsewhere.
    failed : Series of bool
    timezone : str, default="UTC"
        IANA name of the zone whose midnight ends a day; days are 23 or 25 hours long when its
        clocks are changed.

    Returns
    -------
    DataFrame
        Indexed by day. Columns: `median` (seconds, NaN without a good run), `runs` and `failed`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.plots.calendar import daily_durations
    >>> started = pd.to_datetime(pd.Series(["2026-03-28T22:30Z", "2026-03-28T23:30Z"]))
    >>> durations, failed = pd.Series([60.0, 70.0]), pd.Series([False, False])
    >>> daily_durations(started, durations, failed, "Europe/Berlin")["median"].to_dict()
    {Timestamp('2026-03-28 00:00:00'): 60.0, Timestamp('2026-03-29 00:00:00'): 70.0}
    """
    day = started.dt.tz_convert(timezone).dt.tz_localize(None).dt.normalize().rename("day")
    by_day = pd.DataFrame({"seconds": seconds, "failed": failed}).groupby(day)
    return pd.DataFrame(
        {
            "median": by_day["seconds"].median(),
            "runs": by_day.size(),
            "failed": by_day["failed"].sum(),
        }
    )


def week_grid(days: pd.DataFrame, column: str) -> tuple[NDArray[np.float64], pd.DatetimeIndex]:
    """Values by weekday and week, NaN for days without a run, and the Mondays of the weeks."""
    monday = days.index - pd.to_timedelta(days.index.day_of_week, "D")
    weeks = pd.date_range(monday[0], monday[-1], freq="7D")
    grid = np.full((7, len(weeks)), np.nan)
    grid[days.index.day_of_week, (monday - monday[0]).days // 7] = days[column]
    return grid, weeks


class CalendarDisplay:
    """Draw a heat map of durations: weekdays downwards, weeks to the right.

    The colour of a day is the median of its good runs. A day without a run is blank, a day with
    runs but no good one is grey, and a mark stands on days on which the job failed at least once.
    So a weekly rhythm is a row of its own colour, a slow week a column, and an outage a hole.

    Parameters
    ----------
    runs : DataFrame
        A validated run table with `started_at`.
    jobs : sequence of str, default=None
        The job columns; None finds them as :func:`~sklearn_jobtime.runs.job_columns` does.
    timezone : str, default="UTC"
        IANA name of the zone whose calendar is drawn, such as ``"Europe/Berlin"``.

    Attributes
    ----------
    ax_ : ndarray of Axes
        One for each job of each series, most time first, at most eight.
    figure_ : Figure
        Store it with ``display.figure_.savefig(path)``.
    images_ : list of QuadMesh
        The colours, in the unit of their colour bar, masked where there is no good run.
    marks_ : list of Line2D
        The days with failures, one a panel.

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.plots import CalendarDisplay
    >>> runs = make_job_runs(n_runs=60, n_jobs=2, random_state=0)
    >>> display = CalendarDisplay.from_runs(runs, timezone="Europe/Berlin")
    >>> [ax.get_title(loc="left") for ax in display.ax_]
    ['whole run', 'job_0', 'job_1']
    """

    ax_: Any
    figure_: Any
    images_: list[Any]
    marks_: list[Any]

    def __init__(
        self, runs: pd.DataFrame, *, jobs: list[str] | None = None, timezone: str = "UTC"
    ) -> None:
        self.runs = plain_table(runs)
        self.jobs = jobs
        self.timezone = timezone

    @classmethod
    def from_runs(
        cls,
        runs: pd.DataFrame,
        *,
        jobs: list[str] | None = None,
        timezone: str = "UTC",
        n_weeks: int = 53,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "CalendarDisplay":
        """Draw a run table.

        Parameters
        ----------
        runs, jobs, timezone
            See the class.
        n_weeks, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        CalendarDisplay
        """
        display = cls(runs, jobs=jobs, timezone=timezone)
        return display.plot(n_weeks=n_weeks, ax=ax, **artist_kwargs)

    def plot(
        self,
        *,
        n_weeks: int = 53,
        ax: Any = None,
        mesh_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> "CalendarDisplay":
        """Draw the panels.

        Parameters
        ----------
        n_weeks : int, default=53
            How many of the last weeks to draw: a year, which is what the width of a page shows.
        ax : Axes or array of Axes, default=None
            One for each panel; None makes a figure.
        mesh_kwargs : dict, default=None
            Keywords of matplotlib's `pcolormesh` for the colours, such as ``{"cmap": "magma"}``.
        scatter_kwargs : dict, default=None
            Keywords of `plot` for the marks of failures.

        Returns
        -------
        CalendarDisplay
        """
        if STARTED_AT not in self.runs:
            raise RunTableError(
                f"the table has no column {STARTED_AT!r}, so no run has a day; it has "
                f"{list(self.runs.columns)}."
            )
        observed, codes = observed_durations(self.runs, self.jobs), series_of(self.runs.index)
        total = observed.groupby(codes).sum()
        pairs = own_panels(self.runs, list(total))
        pairs = sorted(pairs, key=lambda pair: -total.loc[pair])[:MOST_PANELS]
        self.ax_ = panels_on(ax, len(pairs), height=1.7)
        self.figure_ = self.ax_[0].figure
        self.images_, self.marks_ = [], []
        titles = []
        for axis, (series, job) in zip(self.ax_, pairs, strict=True):
            mine = codes == series
            runs, style = self.runs[mine], (mesh_kwargs, scatter_kwargs)
            self._draw(axis, runs, observed.loc[mine, job], n_weeks, *style)
            titles.append(panel_title(runs.index, job))
        set_panel_titles(self.ax_, titles)
        return self

    def _draw(
        self,
        ax: "Axes",
        runs: pd.DataFrame,
        seconds: pd.Series,
        n_weeks: int,
        mesh_kwargs: dict[str, Any] | None,
        scatter_kwargs: dict[str, Any] | None,
    ) -> None:
        from matplotlib.collections import QuadMesh
        from matplotlib.lines import Line2D

        job = seconds.name
        days = daily_durations(runs[STARTED_AT], seconds, has_failed(runs, job), self.timezone)
        days = days[days.index > days.index[-1] - pd.Timedelta(weeks=n_weeks)]
        medians = days["median"].dropna().to_numpy()
        name, unit = unit_of(medians)
        low, high = (limit / unit for limit in axis_limits(medians))
        grid, weeks = week_grid(days.assign(median=days["median"] / unit), "median")
        failed, _ = week_grid(days, "failed")

        any_run = np.where(np.isnan(failed), np.nan, 0.75)
        ax.pcolormesh(any_run, cmap="gray", vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
        mesh = {
            "cmap": "viridis",
            "vmin": low,
            "vmax": high,
            "edgecolor": "white",
            "linewidth": 0.5,
        }
        image = ax.pcolormesh(np.ma.masked_invalid(grid), **styled(QuadMesh, mesh, mesh_kwargs))
        rows, columns = np.nonzero(np.nan_to_num(failed))
        cross = {"linewidth": 0, "marker": "x", "markersize": 4, "color": COMING}
        (marks,) = ax.plot(columns + 0.5, rows + 0.5, **styled(Line2D, cross, scatter_kwargs))
        self.images_.append(image)
        self.marks_.append(marks)
        bar = ax.figure.colorbar(image, ax=ax, pad=0.01, extend=_beyond(grid, low, high))
        bar.set_label(name)

        ax.set(xlim=(0, max(len(weeks), FEWEST_WEEKS)), ylim=(7, 0))
        ax.set_yticks(np.arange(7) + 0.5, WEEKDAYS, fontsize="small")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        labels = weeks.strftime("%d %b")
        n_ticks = tick_count(ax, labels[0]) * len(weeks) // max(len(weeks), FEWEST_WEEKS)
        ticks = spread_ticks(np.arange(len(weeks)), max(1, n_ticks))
        ax.set_xticks(ticks + 0.5, labels[ticks])
        years = "-".join(dict.fromkeys(f"{day.year}" for day in (weeks[0], weeks[-1])))
        if ax is self.ax_[-1]:
            ax.set_xlabel(
                f"week of Monday, {years} ({shortened(self.timezone, 30)}); "
                "cross: a run failed, grey: none succeeded"
            )


def _beyond(values: NDArray[np.float64], low: float, high: float) -> str:
    """Tell beyond which ends of a colour bar there are values."""
    below, above = np.nanmin(values, initial=high) < low, np.nanmax(values, initial=low) > high
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[int(below), int(above)]
