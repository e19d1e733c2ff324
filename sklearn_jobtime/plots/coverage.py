"""A picture of how often intervals held: in all, by group, and over time."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_jobtime._wording import shortened_apart
from sklearn_jobtime.evaluation._coverage import (
    coverage_report,
    holdout_intervals,
    rolling_coverage,
)
from sklearn_jobtime.plots._style import (
    ACTUAL,
    COMING,
    TESTED,
    label_times,
    panels_on,
    quiet_frame,
    set_panel_titles,
    styled,
)
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CoverageDisplay"]


MOST_COUNTS = 20


class CoverageDisplay:
    """Draw which share of the runs was inside its interval, beside the nominal coverage.

    The upper panel has a line for each count of the report, with its exact binomial bounds: those
    that reach the dashed line have the nominal coverage. The lower panel shows the coverage over
    time: a model that was right on average and wrong for the last two months shows there.

    Parameters
    ----------
    intervals : DataFrame
        Of :func:`~sklearn_jobtime.evaluation.holdout_intervals` or
        :func:`~sklearn_jobtime.evaluation.interval_table`.
    nominal : float
        The nominal coverage.

    Attributes
    ----------
    ax_ : ndarray of Axes
        The two panels.
    figure_ : Figure
        The figure; store it with ``display.figure_.savefig(path)``.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.conformal import ConformalForecaster
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.plots import CoverageDisplay
    >>> from sklearn_jobtime.runs import make_targets
    >>> from sklearn_jobtime.runs import split_by_time
    >>> runs = make_job_runs(n_runs=300, n_jobs=2, random_state=0)
    >>> train, is_test = split_by_time(runs)
    >>> model = ConformalForecaster(RollingRule()).fit(train, make_targets(train))
    >>> display = CoverageDisplay.from_estimator(model, runs, is_test)
    >>> [ax.get_title(loc="left") for ax in display.ax_]
    ['inside the 90 % interval', 'inside, of the newest 100']
    """

    ax_: NDArray[Any]
    figure_: Any

    def __init__(self, intervals: pd.DataFrame, nominal: float) -> None:
        self.intervals = intervals
        self.nominal = nominal

    @classmethod
    def from_estimator(
        cls,
        model: BaseEstimator,
        runs: pd.DataFrame,
        is_test: NDArray[np.bool_],
        *,
        confidence_level: float | None = None,
        n_rows: int = 100,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "CoverageDisplay":
        """Check a fitted model on runs that it has not seen, and draw.

        Parameters
        ----------
        model, runs, is_test, confidence_level
            See :func:`~sklearn_jobtime.evaluation.holdout_intervals`.
        n_rows, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        CoverageDisplay
        """
        level = model.confidence_level if confidence_level is None else confidence_level
        intervals = holdout_intervals(model, runs, is_test, level)
        return cls(intervals, level).plot(n_rows=n_rows, ax=ax, **artist_kwargs)

    @classmethod
    def from_predictions(
        cls,
        intervals: pd.DataFrame,
        nominal: float,
        *,
        n_rows: int = 100,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "CoverageDisplay":
        """Draw intervals that you have.

        Parameters
        ----------
        intervals, nominal
            See the class.
        n_rows, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        CoverageDisplay
        """
        return cls(intervals, nominal).plot(n_rows=n_rows, ax=ax, **artist_kwargs)

    def plot(
        self,
        *,
        n_rows: int = 100,
        ax: Any = None,
        errorbar_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        fill_between_kwargs: dict[str, Any] | None = None,
    ) -> "CoverageDisplay":
        """Draw both panels.

        Parameters
        ----------
        n_rows : int, default=100
            Targets that are counted together in the lower panel.
        ax : array of two Axes, default=None
            When you have a figure of your own.
        errorbar_kwargs : dict, default=None
            Keywords of matplotlib's `errorbar`: the counts of the upper panel.
        line_kwargs, fill_between_kwargs : dict, default=None
            Keywords of `plot` and `fill_between`: the coverage over time and its bounds.

        Returns
        -------
        CoverageDisplay
        """
        report = coverage_report(self.intervals, self.nominal)[:MOST_COUNTS]
        self.ax_ = panels_on(ax, 2, height=0.9 + 0.14 * len(report))
        self.figure_ = self.ax_[0].figure
        self._draw_counts(self.ax_[0], report, errorbar_kwargs)
        self._draw_rolling(self.ax_[1], n_rows, line_kwargs, fill_between_kwargs)
        return self

    def _draw_counts(
        self, ax: "Axes", report: pd.DataFrame, errorbar_kwargs: dict[str, Any] | None
    ) -> None:
        from matplotlib.lines import Line2D

        places = np.arange(len(report))[::-1]
        off = report["coverage"] - report["low"], report["high"] - report["coverage"]
        style = {"marker": "o", "linestyle": "none", "color": TESTED, "markersize": 4}
        ax.errorbar(
            report["coverage"],
            places,
            xerr=np.stack(off),
            **styled(Line2D, style, errorbar_kwargs),
        )
        which = report["which"].replace(WHOLE_RUN, "whole run")
        labels = report["what"] + which.map(lambda name: f" {name}" if name else "")
        ax.set_yticks(places, shortened_apart(list(labels), 28), parse_math=False)
        ax.axvline(self.nominal, color=COMING, linestyle="--", linewidth=1.2)
        ax.set_ylim(-0.7, len(report) - 0.3)
        set_panel_titles([ax], [f"inside the {100 * self.nominal:.3g} % interval"])
        ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
        ax.set_xlabel("share inside, with 95 % bounds")
        quiet_frame(ax)

    def _draw_rolling(
        self,
        ax: "Axes",
        n_rows: int,
        line_kwargs: dict[str, Any] | None,
        fill_between_kwargs: dict[str, Any] | None,
    ) -> None:
        from matplotlib.collections import PolyCollection
        from matplotlib.lines import Line2D

        rolling = rolling_coverage(self.intervals, n_rows)
        is_timed = STARTED_AT in rolling
        # matplotlib wants times without a zone; the axis says which one they are in
        when = rolling[STARTED_AT].dt.tz_localize(None) if is_timed else rolling["row"]
        fill = styled(
            PolyCollection, {"facecolor": TESTED, "alpha": 0.2, "linewidth": 0}, fill_between_kwargs
        )
        ax.fill_between(when, rolling["low"], rolling["high"], **fill)
        line = styled(Line2D, {"color": TESTED, "linewidth": 1.4}, line_kwargs)
        ax.plot(when, rolling["coverage"], **line)
        ax.axhline(self.nominal, color=COMING, linestyle="--", linewidth=1.2)
        if rolling.empty:
            ax.text(
                0.5, 0.25, f"fewer than {n_rows} targets", transform=ax.transAxes, color=ACTUAL,
                ha="center",
            )  # fmt: skip
            ax.set_xticks([])  # those of no data are of 1970
        dates = is_timed and not rolling.empty
        label_times(ax, "start of the run (UTC)" if is_timed else "run", dates=dates)
        ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
        ax.set_ylabel("share inside")
        set_panel_titles([ax], [f"inside, of the newest {n_rows}"])
        quiet_frame(ax)
