"""Forecasts beside what happened, with the rows that were learned from and the others apart."""

from typing import TYPE_CHECKING, Any

import numpy as np
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

__all__ = ["PredictionDisplay"]


KINDS = ("over_time", "scatter")
Style = dict[str, Any] | None


class PredictionDisplay:
    """Draw predicted against actual, over time or against each other.

    A model that fits the rows it has learned from and misses the later ones has learned them by
    heart; so the two have colours of their own. A value far off the others is drawn at the edge
    of its panel.

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
        One a panel.
    figure_ : Figure
        Store it with ``display.figure_.savefig(path)``.
    lines_ : list of dict of str to Line2D
        One a panel: `actual`, `trained` and `tested` over time; `trained`, `tested` and the
        `diagonal` in a scatter plot.

    See Also
    --------
    sklearn.metrics.PredictionErrorDisplay : Of one output, without times.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.plots import PredictionDisplay
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=60, n_jobs=2, random_state=0)
    >>> y = make_targets(runs)
    >>> is_test = np.arange(60) >= 48
    >>> baseline = RollingRule().fit(runs[~is_test], y[~is_test])
    >>> display = PredictionDisplay.from_estimator(baseline, runs, y, is_test=is_test)
    >>> [ax.get_title(loc="left") for ax in display.ax_]
    ['whole run', 'job_0', 'job_1']
    """

    ax_: Any
    figure_: Any
    lines_: list[dict[str, Any]]

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
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "PredictionDisplay":
        """Forecast with a fitted model, and draw.

        Parameters
        ----------
        model : estimator
            Fitted.
        X : DataFrame or array
            All rows, those of the test too: many models need the earlier ones as history.
        y : array-like of shape (n,) or (n, n_outputs)
            What became of them, NaN where not observed.
        is_test, times, step, unit, kind, ax
            See :meth:`from_predictions`. `times` None takes the column `started_at` of `X`.
        **artist_kwargs : dict
            `line_kwargs` and `scatter_kwargs` of :meth:`plot`.

        Returns
        -------
        PredictionDisplay
        """
        return cls.from_predictions(
            y,
            model.predict(X),
            is_test=is_test,
            times=times_of_rows(X) if times is None else times,
            step=step,
            unit=unit,
            kind=kind,
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
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "PredictionDisplay":
        """Draw forecasts that you have.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,) or (n, n_outputs)
            Actual, NaN where not observed, and forecast. A DataFrame gives the panels their
            names, and an index of several levels a panel for each series.
        is_test : array-like of bool, shape (n,), default=None
            Rows that the model was not fitted on. None draws all forecasts in one colour.
        times : array-like of shape (n,), default=None
            Datetimes or numbers; None takes the dates of the index, or counts the rows.
        step : int, default=1
            Of outputs named (step, job), the runs ahead to draw.
        unit : str, default="seconds"
            Of the targets.
        kind : {"over_time", "scatter"}, default="over_time"
            See :meth:`plot`.
        ax : Axes or array of Axes, default=None
            See :meth:`plot`.
        **artist_kwargs : dict
            `line_kwargs` and `scatter_kwargs` of :meth:`plot`.

        Returns
        -------
        PredictionDisplay
        """
        panels, time_name = read_panels(y_true, y_pred, is_test=is_test, times=times, step=step)
        display = cls(panels, time_name=time_name, unit=unit)
        return display.plot(kind=kind, ax=ax, **artist_kwargs)

    def plot(
        self,
        *,
        kind: str = "over_time",
        ax: Any = None,
        line_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> "PredictionDisplay":
        """Draw the panels.

        Parameters
        ----------
        kind : {"over_time", "scatter"}, default="over_time"
            Actual and forecast over time, or the actual over the forecast, where a perfect
            forecast lies on the diagonal.
        ax : Axes or array of Axes, default=None
            One for each panel; None makes a figure.
        line_kwargs : dict, default=None
            Keywords of matplotlib's `plot` for the lines: the forecasts over time, or the diagonal.
        scatter_kwargs : dict, default=None
            The same for the marks: the actual durations over time, or the points.

        Returns
        -------
        PredictionDisplay
        """
        if kind not in KINDS:
            raise ValueError(f"kind came as {kind!r}; expected one of {', '.join(KINDS)}.")
        n = len(self.panels)
        if kind == "scatter":
            columns = min(n, 3)
            self.ax_ = panels_on(ax, n, height=3.6, columns=columns, width=3.6 * columns + 1.2)
        else:
            self.ax_ = panels_on(ax, n, height=3.2 if n == 1 else 2.2, columns=1 if n <= 4 else 2)
        self.figure_ = self.ax_[0].figure
        draw = self._over_time if kind == "over_time" else self._scatter
        self.lines_ = [
            draw(*each, line_kwargs, scatter_kwargs)
            for each in zip(self.ax_, self.panels, strict=True)
        ]
        set_panel_titles(self.ax_, [panel.title for panel in self.panels])
        named = {line.get_label(): line for lines in self.lines_ for line in lines.values()}
        legend_above(self.figure_, list(named.values()))
        return self

    def _scale(self, panel: Panel) -> tuple[str, float, tuple[float, float]]:
        values = panel.rows[["actual", "forecast"]].to_numpy().ravel()
        values = values[np.isfinite(values)]
        name, factor = unit_of(values) if self.unit == "seconds" else (self.unit, 1.0)
        low, high = axis_limits(values / factor)
        return name, factor, (low, high)

    def _over_time(
        self, ax: "Axes", panel: Panel, line_kwargs: Style, scatter_kwargs: Style
    ) -> dict[str, Any]:
        from matplotlib.lines import Line2D

        name, factor, limits = self._scale(panel)
        rows = panel.rows
        few = len(rows) <= 150
        values = (rows[["actual", "forecast"]] / factor).clip(*limits)
        lines = {}
        style: dict[str, Any] = {
            "color": ACTUAL, "linewidth": 0.8 if few else 0, "marker": "o",
            "markersize": 3 if few else 1.8, "label": "actual",
        }  # fmt: skip
        (lines["actual"],) = ax.plot(
            rows["time"], values["actual"], **styled(Line2D, style, scatter_kwargs)
        )
        for part, label, color, mine in panel.parts():
            style = {
                "color": color, "linewidth": 1.4, "marker": "D" if mine.sum() == 1 else None,
                "markersize": 4, "label": f"forecast, {label}",
            }  # fmt: skip
            (lines[part],) = ax.plot(
                rows["time"],
                values["forecast"].where(mine),
                **styled(Line2D, style, line_kwargs),
            )
        for line in lines.values():
            line.set(clip_on=False, in_layout=False)
        ax.set(ylabel=name, ylim=limits)
        label_times(ax, self.time_name, dates=rows["time"].dtype.kind == "M")
        quiet_frame(ax)
        return lines

    def _scatter(
        self, ax: "Axes", panel: Panel, line_kwargs: Style, scatter_kwargs: Style
    ) -> dict[str, Any]:
        from matplotlib.lines import Line2D

        name, factor, limits = self._scale(panel)
        values = (panel.rows[["actual", "forecast"]] / factor).clip(*limits)
        lines = {}
        style = {"color": ACTUAL, "linewidth": 0.8, "linestyle": "--", "label": "perfect forecast"}
        (lines["diagonal"],) = ax.plot(limits, limits, **styled(Line2D, style, line_kwargs))
        for part, label, color, mine in panel.parts():
            style = {
                "color": color, "linewidth": 0, "marker": "o", "markersize": 3, "alpha": 0.6,
                "label": f"forecast, {label}",
            }  # fmt: skip
            (lines[part],) = ax.plot(
                values["forecast"][mine],
                values["actual"][mine],
                **styled(Line2D, style, scatter_kwargs),
            )
            lines[part].set(clip_on=False, in_layout=False)
        ax.set(xlabel=f"forecast ({name})", ylabel=f"actual ({name})", xlim=limits, ylim=limits)
        ax.locator_params(axis="x", nbins=5)
        ax.set_box_aspect(1)
        quiet_frame(ax)
        return lines
