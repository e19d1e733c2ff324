"""A picture of what was, what was forecast, and what comes next, one panel a job."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._wording import shortened
from sklearn_jobtime.forecasting import outputs_of_step
from sklearn_jobtime.plots._panels import own_panels, panel_title
from sklearn_jobtime.plots._style import (
    ACTUAL,
    COMING,
    FAILED,
    TESTED,
    axis_limits,
    date_format,
    legend_above,
    panels_on,
    quiet_frame,
    set_panel_titles,
    spread_ticks,
    styled,
    tick_count,
    unit_of,
)
from sklearn_jobtime.runs._schema import SPOILS_RUN, STARTED_AT, WHOLE_RUN, series_of, status_column
from sklearn_jobtime.runs._targets import observed_durations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ForecastDisplay"]


MOST_PANELS = 8


def has_failed(runs: pd.DataFrame, job: str) -> pd.Series:
    """Tell in which runs `job` failed, timed out or was cancelled; never for the whole run."""
    if job not in runs:
        return pd.Series(False, index=runs.index)
    failed = np.isinf(runs[job].astype("float64"))
    if status_column(job) in runs:
        failed |= runs[status_column(job)].isin(SPOILS_RUN)
    return failed


def failed_durations(runs: pd.DataFrame, job: str) -> pd.Series:
    """Seconds of the runs in which `job` failed, timed out or was cancelled; NaN elsewhere."""
    seconds = runs[job] if job in runs else pd.Series(np.nan, index=runs.index)
    return seconds.astype("float64").where(has_failed(runs, job))


class ForecastDisplay:
    """Draw the history of jobs, forecasts of past runs, and the forecast of the runs to come.

    Each panel is one job of one series. Runs stand side by side in start order, labelled with
    their dates: real runs start minutes or days apart, and on an axis of time the next five would
    lie on one spot. A value far off the others is drawn at the edge of its panel.

    Parameters
    ----------
    runs : DataFrame
        A validated run table.
    forecasts : DataFrame
        Runs to come, as :func:`~sklearn_jobtime.forecasting.forecast` returns them. With columns
        `lower` and `upper`, in seconds, a bar behind each forecast spans them; infinite bounds
        end at the edge of the panel.
    tested : DataFrame, default=None
        Forecasts of past runs in seconds, made before these runs were known: one row a run,
        labelled as in `runs`, one column a job.
    tested_lower, tested_upper : DataFrame, default=None
        Bounds of `tested`, of its form.
    interval : str, default="interval"
        What the bounds mean, for the legend: "90 % interval", say.

    Attributes
    ----------
    ax_ : ndarray of Axes
        The panels, in the order drawn.
    figure_ : Figure
        The figure. It is not registered with pyplot, so nothing has to be closed; store it with
        ``display.figure_.savefig(path)``.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.plots import ForecastDisplay
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=60, n_jobs=2, random_state=0)
    >>> baseline = RollingRule().fit(runs, make_targets(runs, horizon=5))
    >>> display = ForecastDisplay.from_estimator(baseline, runs)
    >>> [ax.get_title(loc="left") for ax in display.ax_]
    ['whole run', 'job_0', 'job_1']
    """

    ax_: NDArray[Any]
    figure_: Any

    def __init__(
        self,
        runs: pd.DataFrame,
        forecasts: pd.DataFrame,
        *,
        tested: pd.DataFrame | None = None,
        tested_lower: pd.DataFrame | None = None,
        tested_upper: pd.DataFrame | None = None,
        interval: str = "interval",
    ) -> None:
        self.runs = plain_table(runs)
        self.forecasts = forecasts
        self.tested = tested
        self.tested_lower = tested_lower
        self.tested_upper = tested_upper
        self.interval = interval

    @classmethod
    def from_estimator(
        cls,
        model: BaseEstimator,
        runs: pd.DataFrame,
        *,
        coming: pd.DataFrame | None = None,
        is_test: NDArray[np.bool_] | None = None,
        n_runs: int = 60,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "ForecastDisplay":
        """Forecast with a fitted model, and draw.

        Parameters
        ----------
        model : estimator
            Fitted on targets of :func:`~sklearn_jobtime.runs.make_targets`. The intervals of a
            :class:`~sklearn_jobtime.ConformalForecaster` are drawn too, at its own level.
        runs : DataFrame
            A validated run table.
        coming : DataFrame, default=None
            Runs to come; None takes the next run of every series.
        is_test : ndarray of bool, shape (n_runs,), default=None
            Rows that the model was not fitted on, as
            :func:`~sklearn_jobtime.runs.split_by_time` marks them: their forecasts are drawn
            beside what happened. None draws none, because a forecast of a run that the model
            has learned from would flatter it.
        n_runs : int, default=60
            How many of the last runs to draw.
        ax : Axes or array of Axes, default=None
            Where to draw; see :meth:`plot`.
        **artist_kwargs : dict
            `scatter_kwargs`, `line_kwargs` and `bar_kwargs` of :meth:`plot`.

        Returns
        -------
        ForecastDisplay
        """
        from sklearn_jobtime.forecasting import forecast

        runs = plain_table(runs)
        bounded = hasattr(model, "predict_interval")
        of_tests: dict[str, pd.DataFrame] = {}
        if is_test is not None:
            first, jobs = outputs_of_step(model, 1)
            values = {"tested": model.predict(runs)}
            if bounded:
                bounds = model.predict_interval(runs)
                values |= {"tested_lower": bounds[..., 0], "tested_upper": bounds[..., 1]}
            of_tests = {
                name: pd.DataFrame(
                    np.reshape(seconds, (len(runs), -1))[is_test][:, first],
                    index=runs.index[is_test],
                    columns=jobs,
                )
                for name, seconds in values.items()
            }
        interval = f"{100 * model.confidence_level:.3g} % interval" if bounded else "interval"
        display = cls(runs, forecast(model, runs, coming), interval=interval, **of_tests)
        return display.plot(n_runs=n_runs, ax=ax, **artist_kwargs)

    @classmethod
    def from_predictions(
        cls,
        runs: pd.DataFrame,
        forecasts: pd.DataFrame,
        *,
        tested: pd.DataFrame | None = None,
        tested_lower: pd.DataFrame | None = None,
        tested_upper: pd.DataFrame | None = None,
        interval: str = "interval",
        n_runs: int = 60,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "ForecastDisplay":
        """Draw forecasts that you have.

        Parameters
        ----------
        runs, forecasts, tested, tested_lower, tested_upper, interval
            See the class.
        n_runs, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        ForecastDisplay
        """
        display = cls(
            runs,
            forecasts,
            tested=tested,
            tested_lower=tested_lower,
            tested_upper=tested_upper,
            interval=interval,
        )
        return display.plot(n_runs=n_runs, ax=ax, **artist_kwargs)

    def panels(self) -> list[tuple[int, str]]:
        """Series (by number, in order of appearance) and job of each panel, most time first.

        At most eight: those with the most observed seconds in total, and none of a job that the
        series never had.
        """
        total = self._observed().groupby(series_of(self.runs.index)).sum()
        pairs = own_panels(self.runs, list(total))
        return sorted(pairs, key=lambda pair: -total.loc[pair])[:MOST_PANELS]

    def plot(
        self,
        *,
        n_runs: int = 60,
        ax: Any = None,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> "ForecastDisplay":
        """Draw the panels.

        Parameters
        ----------
        n_runs : int, default=60
            How many of the last runs to draw: more than that, and single runs cannot be told
            apart in a picture as wide as a page.
        ax : Axes or array of Axes, default=None
            One for each panel (see :meth:`panels`), when you have a figure of your own.
        scatter_kwargs : dict, default=None
            Keywords of matplotlib's `plot` for the marks of what happened.
        line_kwargs : dict, default=None
            The same for the forecasts.
        bar_kwargs : dict, default=None
            Keywords of `bar` for the intervals.

        Returns
        -------
        ForecastDisplay
        """
        panels = self.panels()
        own = ax is None
        columns = 1 if len(panels) <= 4 else 2
        self.ax_ = panels_on(ax, len(panels), height=1.9, columns=columns)
        self.figure_ = self.ax_[0].figure
        observed, codes = self._observed(), series_of(self.runs.index)
        styles, titles = _styles(scatter_kwargs, line_kwargs, bar_kwargs), []
        for axis, (series, job) in zip(self.ax_, panels, strict=True):
            rows = observed.loc[codes == series, job]
            self._draw(axis, rows, n_runs, styles)
            titles.append(panel_title(rows.index, job))
        set_panel_titles(self.ax_, titles)
        if own:
            one_series = len({series for series, _ in panels}) == 1
            for axis in self.ax_[:-columns]:
                axis.set_xlabel("")
                axis.tick_params(labelbottom=not one_series)
            self.figure_.align_ylabels()
        self._add_legend(styles)
        return self

    def _observed(self) -> pd.DataFrame:
        jobs = list(dict.fromkeys(self.forecasts["job"]))
        named = [job for job in jobs if job != WHOLE_RUN] or None
        return observed_durations(self.runs, named)[jobs]

    def _draw(
        self, ax: "Axes", actual: pd.Series, n_runs: int, styles: dict[str, dict[str, Any]]
    ) -> None:
        job = actual.name
        actual = actual.iloc[-n_runs:]
        runs = self.runs.loc[actual.index]
        failed = failed_durations(runs, job)
        past, coming = self._past(runs, job), self._coming(runs, job)
        forecasts = pd.concat([past, coming], ignore_index=True)

        shown = np.concatenate([actual, *forecasts.to_numpy().T])
        shown = shown[np.isfinite(shown)]
        name, unit = unit_of(shown)
        low, high = (limit / unit for limit in axis_limits(shown))
        x = np.arange(len(runs))
        ahead = len(runs) + np.arange(len(coming))
        for where, bounds, of in ((x, past, "tested"), (ahead, coming, "coming")):
            seen = bounds[["lower", "upper"]].notna().all(axis=1).to_numpy()
            bottom, top = np.clip(bounds[["lower", "upper"]][seen].to_numpy() / unit, low, high).T
            ax.bar(where[seen], top - bottom, bottom=bottom, **styles[f"{of} interval"])
        layers: list[tuple[NDArray[Any], pd.Series, str]] = [
            (x, actual, "actual"),
            (x, past["seconds"], "tested"),
            (x, failed, "failed"),
            (ahead, coming["seconds"], "coming"),
        ]
        for where, y, of in layers:
            seen = y.notna().to_numpy()
            (line,) = ax.plot(where[seen], np.clip(y[seen] / unit, low, high), **styles[of])
            line.set(clip_on=False, in_layout=False)  # whole marks at the edge
        ax.axvspan(len(runs) - 0.5, len(runs) + len(coming) - 0.5, color=COMING, alpha=0.08, lw=0)

        ax.set_ylabel(name)
        ax.set_ylim(low, high)
        ax.set_xlim(-1, len(runs) + len(coming))
        quiet_frame(ax)
        self._label_runs(ax, runs)

    def _past(self, runs: pd.DataFrame, job: Any) -> pd.DataFrame:
        tables = {"seconds": self.tested, "lower": self.tested_lower, "upper": self.tested_upper}
        return pd.DataFrame(
            {
                name: np.nan if table is None or job not in table else table[job]
                for name, table in tables.items()
            },
            index=runs.index,
            dtype="float64",
        )

    def _coming(self, runs: pd.DataFrame, job: Any) -> pd.DataFrame:
        own = self.forecasts["job"] == job
        if runs.index.nlevels > 1:
            key = runs.index[0][:-1]
            own &= np.array([label[:-1] == key for label in self.forecasts.index])
        columns = ["seconds", "lower", "upper"]
        return self.forecasts[own].reindex(columns=columns).astype("float64")

    def _label_runs(self, ax: "Axes", runs: pd.DataFrame) -> None:
        if STARTED_AT not in runs:
            ticks = spread_ticks(np.arange(len(runs)))
            ax.set_xticks(ticks, [shortened(np.ravel(runs.index[k])[-1], 14) for k in ticks])
            ax.set_xlabel("run")
            return
        starts = runs[STARTED_AT]
        form = date_format(starts)
        labels = starts.dt.strftime(form)
        changes = np.flatnonzero(labels.ne(labels.shift()).to_numpy())
        ticks = spread_ticks(changes, tick_count(ax, labels.iloc[0]))
        ax.set_xticks(ticks, labels.iloc[ticks])
        year = "" if "%Y" in form else f", {starts.iloc[-1].year}"
        ax.set_xlabel(f"start of the run (UTC{year}), run by run")

    def _add_legend(self, styles: dict[str, dict[str, Any]]) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        names = {
            "actual": "actual",
            "tested": "forecast at its start, tested",
            "failed": "failed or cancelled",
            "coming": "next runs",
        }
        if self.tested is None:
            names.pop("tested")
        entries: list[Any] = [
            Line2D([], [], **styles[of] | {"label": name}) for of, name in names.items()
        ]

        def patch(of: str, label: str) -> Any:
            style = styles[f"{of} interval"]
            kept = {key: value for key, value in style.items() if key not in ("width", "align")}
            return Patch(**kept | {"label": label})

        if self.tested_upper is not None:
            entries.append(patch("tested", self.interval))
        if "upper" in self.forecasts:
            label = self.interval if self.tested_upper is None else f"{self.interval}, next runs"
            entries.append(patch("coming", label))
        legend_above(self.figure_, entries)


def _styles(
    scatter_kwargs: dict[str, Any] | None,
    line_kwargs: dict[str, Any] | None,
    bar_kwargs: dict[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    """Keywords of the artists, by what they show."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    actual = {"color": ACTUAL, "marker": "o", "markersize": 3.5, "linewidth": 0, "zorder": 3}
    failed = {"color": FAILED, "marker": "x", "markersize": 5, "linewidth": 0, "zorder": 3}
    tested = {"color": TESTED, "linewidth": 1.6, "zorder": 3}
    coming = {"color": COMING, "marker": "D", "markersize": 4, "linewidth": 1.2, "zorder": 3}
    bar = {"width": 0.8, "alpha": 0.25, "linewidth": 0}
    return {
        "actual": styled(Line2D, actual, scatter_kwargs),
        "failed": failed,
        "tested": styled(Line2D, tested, line_kwargs),
        "coming": styled(Line2D, coming, line_kwargs),
        "tested interval": styled(Rectangle, {**bar, "color": TESTED}, bar_kwargs),
        "coming interval": styled(Rectangle, {**bar, "color": COMING}, bar_kwargs),
    }
