"""The jobs of one run on a time line: what happened, what runs, what is forecast."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sklearn_jobtime._wording import human_time, shortened_apart
from sklearn_jobtime.plots._style import (
    ACTUAL,
    COMING,
    FAILED,
    TESTED,
    panels_on,
    styled,
    unit_of,
)
from sklearn_jobtime.runs._schema import WHOLE_RUN

if TYPE_CHECKING:
    from sklearn_jobtime.landing import LandingForecaster

__all__ = ["LandingDisplay"]


LONGEST_NAME = 28
COLOURS = {"landed": ACTUAL, "running": TESTED, "waiting": COMING, "failed": FAILED}
CRITICAL = 0.5  # a job that the run waits for with at least this chance is marked


class LandingDisplay:
    """Gantt chart of one run: bars of jobs that landed, run and wait, whiskers, the critical path.

    Parameters
    ----------
    table : DataFrame
        One run of :func:`~sklearn_jobtime.landing.landing_table`.
    now : float, default=None
        Seconds after the start of the run; None: it has not started.
    timezone : str, default="UTC"
        Of the moments on the axis, where the table has them.

    Attributes
    ----------
    figure_ : Figure
    ax_ : Axes

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.landing import LandingForecaster
    >>> from sklearn_jobtime.plots import LandingDisplay
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=100, n_jobs=3, starts=True, random_state=0)
    >>> model = LandingForecaster(RollingRule(), n_paths=200, random_state=0)
    >>> model = model.fit(runs[:-1], make_targets(runs[:-1]))
    >>> display = LandingDisplay.from_estimator(model, runs[-1:])
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['job_0', 'job_1', 'job_2', 'whole run']
    """

    def __init__(
        self, table: pd.DataFrame, *, now: float | None = None, timezone: str = "UTC"
    ) -> None:
        self.table = table
        self.now = now
        self.timezone = timezone

    @classmethod
    def from_estimator(
        cls,
        model: "LandingForecaster",
        runs: pd.DataFrame,
        *,
        now: Any = None,
        timezone: str = "UTC",
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "LandingDisplay":
        """Forecast one run, and draw.

        Parameters
        ----------
        model : LandingForecaster
            A fitted one.
        runs : DataFrame of one row
        now : Timestamp or str, default=None
            See :func:`~sklearn_jobtime.landing.landing_table`.
        timezone, ax, **artist_kwargs
            See the class and :meth:`plot`.

        Returns
        -------
        LandingDisplay
        """
        from sklearn_jobtime.landing._tables import landing_table, seconds_since_start

        if len(runs) != 1:
            raise ValueError(f"{len(runs)} runs came; expected the row of one.")
        seconds = seconds_since_start(runs, now)
        elapsed = None if seconds is None else float(seconds[0])
        table = landing_table(model, runs, now=now)
        return cls(table, now=elapsed, timezone=timezone).plot(ax=ax, **artist_kwargs)

    def plot(
        self,
        *,
        ax: Any = None,
        bar_kwargs: dict[str, Any] | None = None,
        whisker_kwargs: dict[str, Any] | None = None,
    ) -> "LandingDisplay":
        """Draw the chart.

        Parameters
        ----------
        ax : Axes, default=None
            When you have a figure of your own.
        bar_kwargs : dict, default=None
            Keywords of matplotlib's `barh`, such as ``{"height": 0.8}``.
        whisker_kwargs : dict, default=None
            Keywords of `Line2D` for the intervals.

        Returns
        -------
        LandingDisplay
        """
        from matplotlib.lines import Line2D
        from matplotlib.patches import Rectangle

        table = self.table.reset_index(drop=True)
        (self.ax_,) = panels_on(ax, 1, height=1.4 + 0.36 * len(table), width=9.0)
        self.figure_ = self.ax_.figure
        ends = table[["lands", "upper"]].to_numpy(np.float64)
        unit, size = unit_of(ends[np.isfinite(ends)])
        for place, row in table.iterrows():
            self._draw_bar(place, row, size, styled(Rectangle, {"height": 0.6}, bar_kwargs))
            if row["state"] in ("waiting", "running") and np.isfinite(row["upper"]):
                line = styled(Line2D, {"color": "black", "linewidth": 1.2}, whisker_kwargs)
                self.ax_.plot([row["lower"] / size, row["upper"] / size], [place, place], **line)
        if self.now:
            self.ax_.axvline(self.now / size, color="black", linestyle=":", linewidth=1)
            self.ax_.text(self.now / size, -0.75, " now", ha="left", va="top", fontsize="small")
        whole = {WHOLE_RUN: "whole run"}
        names = [whole.get(job, str(job)) for job in table["job"]]
        self.ax_.set_yticks(range(len(names)), shortened_apart(names, LONGEST_NAME))
        self.ax_.set_ylim(len(names) - 0.4, -0.8)
        self.ax_.set_xlim(left=0)
        self.ax_.set_xlabel(self._axis_name(unit))
        self._write_legend(table)
        return self

    def _draw_bar(self, place: Any, row: pd.Series, size: float, style: dict[str, Any]) -> None:
        from matplotlib.colors import to_rgba

        start, end = row["starts"] / size, row["lands"] / size
        if not np.isfinite(end):
            self.ax_.text(0, place, f" {row['state']}", va="center", color=FAILED, fontsize="small")
            return
        colour = {"facecolor": COLOURS[row["state"]]}
        to_come = {"facecolor": to_rgba(COLOURS[row["state"]], 0.55)}  # its edge is solid
        bar = colour if row["state"] == "landed" else to_come
        is_critical = row["critical"] >= CRITICAL and row["job"] != WHOLE_RUN
        edge = {"edgecolor": "black", "linewidth": 1.8} if is_critical else {"edgecolor": "none"}
        self.ax_.barh(place, end - start, left=start, **{**bar, **edge, **style})
        if row["state"] == "running" and self.now:
            done = min(self.now / size, end) - start
            self.ax_.barh(place, done, left=start, **{**colour, **style})

    def _axis_name(self, unit: str) -> str:
        if "starts_at" not in self.table:
            return f"{unit} after the start of the run"
        began = human_time(self.table["starts_at"].iloc[-1], self.timezone)
        return f"{unit} after {began} {self.timezone}, the start of the run"

    def _write_legend(self, table: pd.DataFrame) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        words = {"landed": "landed", "running": "running", "waiting": "forecast"}
        handles: list[Any] = [
            Patch(facecolor=COLOURS[state], label=word, alpha=1.0 if state == "landed" else 0.55)
            for state, word in words.items()
            if (table["state"] == state).any()
        ]
        handles.append(
            Line2D([], [], color="black", linewidth=1.2, label="interval of the landing")
        )
        if (table["critical"].iloc[:-1] >= CRITICAL).any():
            handles.append(
                Patch(facecolor="none", edgecolor="black", linewidth=1.8, label="critical path")
            )
        self.ax_.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize="small"
        )
