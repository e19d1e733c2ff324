"""A heat map of how much each job's past moves each job's forecast."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_jobtime._wording import shortened_apart
from sklearn_jobtime.inspection._linkage import Linkage, job_linkage
from sklearn_jobtime.plots._style import COMING, panels_on, styled, unit_of
from sklearn_jobtime.runs._schema import WHOLE_RUN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LinkageDisplay"]


MOST_JOBS = 25  # cells of more cannot be read on a page
MOST_WRITTEN = 14  # numbers in smaller cells would overlap
LONGEST_NAME = 22


class LinkageDisplay:
    """Draw the matrix of links: rows are jobs whose past counts, columns are jobs forecast.

    The darker a cell, the more seconds the past of its row moves the forecast of its column. A
    frame marks the links that held on runs that the model had not seen. Own pasts, on the diagonal,
    mostly move a forecast more than any other job; the colours span the links between jobs, so own
    pasts may lie beyond their end.

    Where jobs share causes that the table does not show, more of the frames may be false than the
    share that was asked for.

    Parameters
    ----------
    linkage : Linkage
        Of :func:`~sklearn_jobtime.inspection.job_linkage`.

    Attributes
    ----------
    ax_ : Axes
        The heat map.
    figure_ : Figure
        The figure; store it with ``display.figure_.savefig(path)``.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.plots import LinkageDisplay
    >>> from sklearn_jobtime.runs import make_targets
    >>> from sklearn_jobtime.runs import split_by_time
    >>> runs = make_job_runs(n_runs=80, n_jobs=2, random_state=0)
    >>> train, is_test = split_by_time(runs, 0.5)
    >>> baseline = RollingRule("last").fit(train, make_targets(train))
    >>> display = LinkageDisplay.from_estimator(baseline, runs, is_test, n_repeats=2)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['job_0', 'job_1', 'whole run']
    """

    ax_: Any
    figure_: Any

    def __init__(self, linkage: Linkage) -> None:
        self.linkage = linkage

    @classmethod
    def from_estimator(
        cls,
        model: BaseEstimator,
        runs: pd.DataFrame,
        is_test: NDArray[np.bool_],
        *,
        step: int = 1,
        jobs: Sequence[str] | None = None,
        n_repeats: int = 20,
        random_state: int = 0,
        false_discovery_rate: float = 0.05,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "LinkageDisplay":
        """Measure the links of a fitted model, and draw.

        Parameters
        ----------
        model, runs, is_test, step, jobs, n_repeats, random_state
            See :func:`~sklearn_jobtime.inspection.job_linkage`.
        false_discovery_rate, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        LinkageDisplay
        """
        found = job_linkage(
            model,
            runs,
            is_test,
            step=step,
            jobs=jobs,
            n_repeats=n_repeats,
            random_state=random_state,
        )
        return cls(found).plot(false_discovery_rate=false_discovery_rate, ax=ax, **artist_kwargs)

    @classmethod
    def from_predictions(
        cls,
        linkage: Linkage,
        *,
        false_discovery_rate: float = 0.05,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "LinkageDisplay":
        """Draw links that you have.

        Parameters
        ----------
        linkage : Linkage
            See the class.
        false_discovery_rate, ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        LinkageDisplay
        """
        return cls(linkage).plot(false_discovery_rate=false_discovery_rate, ax=ax, **artist_kwargs)

    def plot(
        self,
        *,
        false_discovery_rate: float = 0.05,
        ax: Any = None,
        im_kwargs: dict[str, Any] | None = None,
        text_kwargs: dict[str, Any] | None = None,
        frame_kwargs: dict[str, Any] | None = None,
    ) -> "LinkageDisplay":
        """Draw the heat map.

        Parameters
        ----------
        false_discovery_rate : float, default=0.05
            False discovery rate: the share of false ones among the framed links, on average,
            that is asked for. With common causes that the table does not show there may be more:
            see the notes of :func:`~sklearn_jobtime.inspection.job_linkage`.
        ax : Axes, default=None
            When you have a figure of your own.
        im_kwargs : dict, default=None
            Keywords of matplotlib's `imshow`, such as ``{"cmap": "magma"}``.
        text_kwargs : dict, default=None
            Keywords of `text` for the numbers in the cells.
        frame_kwargs : dict, default=None
            Keywords of `Rectangle` for the frames of links.

        Returns
        -------
        LinkageDisplay
        """
        from matplotlib.image import AxesImage

        matrix = self._shown()
        n_rows, n_columns = matrix.shape
        (self.ax_,) = panels_on(
            ax, 1, height=2.0 + 0.42 * n_rows, width=min(12.0, 3.6 + 0.62 * n_columns)
        )
        self.figure_ = self.ax_.figure
        own = np.equal.outer(matrix.index.to_numpy(), matrix.columns.to_numpy())
        between = matrix.to_numpy()[~own & matrix.notna().to_numpy()]
        name, unit = unit_of(between[between > 0])
        values = matrix.to_numpy() / unit
        top = between.max(initial=0.0) / unit
        top = top if top > 0 else np.nanmax(values, initial=1e-9)
        colours = {"cmap": "Blues", "vmin": 0.0, "vmax": top, "aspect": "auto"}
        image = self.ax_.imshow(values, **styled(AxesImage, colours, im_kwargs))
        beyond = bool((values > top).any())
        bar = self.figure_.colorbar(image, ax=self.ax_, extend="max" if beyond else "neither")
        bar.set_label(f"{name} by which the forecast moves")
        self._label(self.ax_, matrix)
        if max(matrix.shape) <= MOST_WRITTEN:
            self._write(self.ax_, values, top, text_kwargs)
        self._frame(self.ax_, matrix, false_discovery_rate, frame_kwargs)
        return self

    def _shown(self) -> pd.DataFrame:
        """Take the jobs that move most and are moved most, where there are too many."""
        matrix = self.linkage.matrix
        most = [matrix.sum(axis=1 - axis).nlargest(MOST_JOBS).index for axis in (0, 1)]
        return matrix.loc[matrix.index.isin(most[0]), matrix.columns.isin(most[1])]

    def _label(self, ax: "Axes", matrix: pd.DataFrame) -> None:
        def labels(names: pd.Index) -> list[str]:
            whole = {WHOLE_RUN: "whole run"}
            return shortened_apart([whole.get(name, name) for name in names], LONGEST_NAME)

        ax.set_xticks(
            range(matrix.shape[1]),
            labels(matrix.columns),
            rotation=45,
            ha="right",
            rotation_mode="anchor",
            parse_math=False,
        )
        ax.set_yticks(range(matrix.shape[0]), labels(matrix.index), parse_math=False)
        ax.set_xlabel("forecast of")
        ax.set_ylabel("past of")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)

    def _write(
        self,
        ax: "Axes",
        values: NDArray[np.floating],
        top: float,
        text_kwargs: dict[str, Any] | None,
    ) -> None:
        from matplotlib.text import Text

        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                text = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
                colour = "white" if value > 0.6 * top else "black"
                style = {"ha": "center", "va": "center", "color": colour, "fontsize": 8}
                ax.text(column, row, text, **styled(Text, style, text_kwargs))

    def _frame(
        self,
        ax: "Axes",
        matrix: pd.DataFrame,
        false_discovery_rate: float,
        frame_kwargs: dict[str, Any] | None,
    ) -> None:
        from matplotlib.patches import Rectangle

        found = (
            self.linkage.q_values.loc[matrix.index, matrix.columns].to_numpy()
            <= false_discovery_rate
        )
        style = styled(Rectangle, {"fill": False, "ec": COMING, "lw": 2.0}, frame_kwargs)
        for row, column in np.argwhere(found):
            ax.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, **style))
        ax.set_title(
            "framed: better forecasts on unseen runs\n"
            f"(asked: at most {100 * false_discovery_rate:.3g} % false among these)",
            loc="left",
            fontsize=9,
        )
