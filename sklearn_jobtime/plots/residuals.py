"""What forecasts were wrong by: over time or against the forecast, and how often by how much."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sklearn_jobtime.plots._panels import Panel, read_panels, times_of_rows
from sklearn_jobtime.plots._style import (
    ACTUAL,
    axis_limits,
    label_times,
    legend_above,
    panels_on,
    quiet_frame,
    set_panel_titles,
    styled,
    unit_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ResidualDisplay"]


KINDS = ("over_time", "against_forecast")
MOST_BINS = 40


def residuals(rows: pd.DataFrame, *, log_ratio: bool) -> pd.Series:
    """Actual minus forecast, or log(actual / forecast), NaN where either is not positive."""
    if not log_ratio:
        return rows["actual"] - rows["forecast"]
    both = (rows["actual"] > 0) & (rows["forecast"] > 0)
    positive = rows[["actual", "forecast"]].where(both)
    return np.log(positive["actual"] / positive["forecast"])


class ResidualDisplay:
    """Draw residuals, actual minus forecast, with training and test rows apart.

    Two panels for each output: where residuals lie, over time or against the forecast, and how
    many there are of each size. A forecast to trust has residuals around zero that look alike at
    all times; a drift over time means that the level has moved, a funnel against the forecast that
    long runs are uncertain in proportion, for which log ratios are made. A value far off the
    others is drawn at the edge of its panel.

    Parameters
    ----------
    panels : list of Panel
        From :func:`~sklearn_jobtime.plots._panels.read_panels`.
    time_name : str, default="row"
        What the times of the panels are.
    unit : str, default="seconds"
        Of the targets. Seconds are drawn in minutes or hours where that reads better.

    Attributes
    ----------
    ax_ : ndarray of Axes
        Two for each output: where the residuals lie, and their histogram.
    figure_ : Figure
        Store it with ``display.figure_.savefig(path)``.
    lines_ : list of dict of str to Line2D
        The residuals, one an output: `trained` and `tested`.
    bars_ : list of dict of str to StepPatch
        The histograms.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.plots import ResidualDisplay
    >>> display = ResidualDisplay.from_predictions([60.0, 66.0, 63.0], [60.0, 60.0, 60.0])
    >>> display.lines_[0]["trained"].get_ydata().tolist()
    [0.0, 6.0, 3.0]
    >>> display.ax_[0].get_ylabel()
    'actual - forecast (seconds)'
    """

    ax_: Any
    figure_: Any
    lines_: list[dict[str, Any]]
    bars_: list[dict[str, Any]]

    def __init__(
        self, panels: list[Panel], *, time_name: str = "row", unit: str = "seconds"
    ) -> None:
        self.panels = panels
        self.time_name = time_name
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: Any,
        y: ArrayLike,
        *,
        is_test: ArrayLike | None = None,
        times: Any = None,
        step: int = 1,
        unit: str = "seconds",
        kind: str = "over_time",
        log_ratio: bool = False,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "ResidualDisplay":
        """Forecast with a fitted model, and draw.

        Parameters
        ----------
        model : estimator
            Fitted.
        X : DataFrame or array
            All rows, those of the test too: many models need the earlier ones as history.
        y : array-like of shape (n,) or (n, n_outputs)
            What became of them, NaN where not observed.
        is_test, times, step, unit
            See :meth:`PredictionDisplay.from_predictions`. `times` None takes the column
            `started_at` of `X`.
        kind, log_ratio, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        ResidualDisplay
        """
        return cls.from_predictions(
            y,
            model.predict(X),
            is_test=is_test,
            times=times_of_rows(X) if times is None else times,
            step=step,
            unit=unit,
            kind=kind,
            log_ratio=log_ratio,
            ax=ax,
            **artist_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        is_test: ArrayLike | None = None,
        times: Any = None,
        step: int = 1,
        unit: str = "seconds",
        kind: str = "over_time",
        log_ratio: bool = False,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "ResidualDisplay":
        """Draw the residuals of forecasts that you have.

        Parameters
        ----------
        y_true, y_pred, is_test, times, step, unit
            See :meth:`PredictionDisplay.from_predictions`.
        kind, log_ratio, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        ResidualDisplay
        """
        panels, time_name = read_panels(y_true, y_pred, is_test=is_test, times=times, step=step)
        display = cls(panels, time_name=time_name, unit=unit)
        return display.plot(kind=kind, log_ratio=log_ratio, ax=ax, **artist_kwargs)

    def plot(
        self,
        *,
        kind: str = "over_time",
        log_ratio: bool = False,
        ax: Any = None,
        scatter_kwargs: dict[str, Any] | None = None,
        bar_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> "ResidualDisplay":
        """Draw two panels for each output.

        Parameters
        ----------
        kind : {"over_time", "against_forecast"}, default="over_time"
            What the left panels have across.
        log_ratio : bool, default=False
            Draw log(actual / forecast), in which twice and half as long are equally wrong, instead
            of the difference. Values that are not positive have none and are left out.
        ax : array of Axes, default=None
            Two for each output; None makes a figure.
        scatter_kwargs : dict, default=None
            Keywords of matplotlib's `plot` for the marks of the residuals.
        bar_kwargs : dict, default=None
            Keywords of `stairs` for the histograms.
        line_kwargs : dict, default=None
            Keywords of `axhline` and `axvline` for the lines at zero.

        Returns
        -------
        ResidualDisplay
        """
        from matplotlib.lines import Line2D

        if kind not in KINDS:
            raise ValueError(f"kind came as {kind!r}; expected one of {', '.join(KINDS)}.")
        n = len(self.panels)
        self.ax_ = panels_on(ax, 2 * n, height=3.2 if n == 1 else 2.4, columns=2)
        self.figure_ = self.ax_[0].figure
        self.lines_, self.bars_ = [], []
        for panel, (where, how_often) in zip(self.panels, self.ax_.reshape(-1, 2), strict=True):
            self._draw(panel, where, how_often, kind, log_ratio, scatter_kwargs, bar_kwargs)
            line = {"color": ACTUAL, "linewidth": 0.8, "linestyle": "--"}
            where.axhline(0.0, **styled(Line2D, line, line_kwargs))
            how_often.axvline(0.0, **styled(Line2D, line, line_kwargs))
        set_panel_titles(self.ax_.reshape(-1, 2)[:, 0], [panel.title for panel in self.panels])
        handles = {line.get_label(): line for lines in self.lines_ for line in lines.values()}
        legend_above(self.figure_, list(handles.values()))
        return self

    def _draw(
        self,
        panel: Panel,
        where: "Axes",
        how_often: "Axes",
        kind: str,
        log_ratio: bool,
        scatter_kwargs: dict[str, Any] | None,
        bar_kwargs: dict[str, Any] | None,
    ) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import StepPatch

        rows = panel.rows
        wrong_by = residuals(rows, log_ratio=log_ratio)
        finite = wrong_by[np.isfinite(wrong_by)].to_numpy()
        forecast = rows["forecast"].dropna().to_numpy()
        name, factor = unit_of(forecast) if self.unit == "seconds" else (self.unit, 1.0)
        label = "log(actual / forecast)" if log_ratio else f"actual - forecast ({name})"
        shown = finite if log_ratio else finite / factor
        wrong_by = wrong_by if log_ratio else wrong_by / factor
        low, high = axis_limits(np.append(shown, 0.0))
        wrong_by = wrong_by.clip(low, high)
        # Rice's rule. Those of Scott and of Freedman and Diaconis make bins as narrow as most
        # residuals are alike: without end when nearly all are equal.
        n_bins = int(np.clip(2 * len(shown) ** (1 / 3), 5, MOST_BINS))
        edges = np.linspace(low, high, n_bins + 1)

        lines, bars = {}, {}
        x = rows["time"] if kind == "over_time" else rows["forecast"] / factor
        for part, of_part, color, rows_of_part in panel.parts():
            mine = rows_of_part & wrong_by.notna()
            marks = {
                "color": color, "linewidth": 0, "marker": "o", "markersize": 3, "alpha": 0.7,
                "label": of_part,
            }  # fmt: skip
            (lines[part],) = where.plot(
                x[mine], wrong_by[mine], **styled(Line2D, marks, scatter_kwargs)
            )
            lines[part].set(clip_on=False, in_layout=False)
            counts, _ = np.histogram(wrong_by[mine], edges)
            share = 100 * counts / max(1, counts.sum())
            fill = {"color": color, "fill": True, "alpha": 0.4}
            bars[part] = how_often.stairs(share, edges, **styled(StepPatch, fill, bar_kwargs))
        self.lines_.append(lines)
        self.bars_.append(bars)

        where.set(ylabel=label, ylim=(low, high))
        how_often.set(xlabel=label, ylabel="share of the rows (%)", xlim=(low, high))
        how_often.set_ylim(bottom=0)
        how_often.locator_params(axis="x", nbins=5)
        if kind == "over_time":
            label_times(where, self.time_name, dates=rows["time"].dtype.kind == "M")
        else:
            where.set_xlabel(f"forecast ({name})")
            where.locator_params(axis="x", nbins=5)
        quiet_frame(where)
        quiet_frame(how_often)
