"""What all pictures share: colours, the unit of an axis, its limits, its dates."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._wording import shortened_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Okabe and Ito's palette, which colour-blind readers can tell apart.
ACTUAL, TESTED, COMING, FAILED = "#4d4d4d", "#0072B2", "#D55E00", "#CC79A7"
TRAINED = "#009E73"
# A panel is read in the largest unit that a typical run fills.
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


def styled(artist: type, usual: dict[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keywords of an artist: the usual ones, but for those that the caller gave.

    Both may be spelled either way, such as ``lw`` and ``linewidth``.

    Examples
    --------
    >>> from matplotlib.lines import Line2D
    >>> styled(Line2D, {"linewidth": 1.4, "color": "blue"}, {"lw": 3})
    {'linewidth': 3, 'color': 'blue'}
    """
    from matplotlib.cbook import normalize_kwargs

    return normalize_kwargs(usual, artist) | normalize_kwargs(dict(given or {}), artist)


def unit_of(seconds: NDArray[np.floating]) -> tuple[str, float]:
    """Name and seconds of the unit for an axis: the largest that the median fills twice."""
    typical = float(np.median(seconds)) if len(seconds) else 0.0
    return next((unit for unit in UNITS if typical >= 2 * unit[1]), UNITS[-1])


def axis_limits(seconds: NDArray[np.floating]) -> tuple[float, float]:
    """Limits that show nearly all values: one run that hung for hours must not flatten the rest.

    The middle 95 % of the values, and half their spread on either side where values are; below
    zero only where values are.
    """
    if not len(seconds):
        return 0.0, 1.0
    low, high = np.quantile(seconds, [0.025, 0.975])
    least = max(0.05 * (high - low), 0.05 * abs(high), 1e-3)
    room = max((high - low) / 2, least)
    bottom = max(low - room, seconds.min() - least)
    top = min(high + room, seconds.max() + least)
    return float(bottom if seconds.min() < 0 else max(0.0, bottom)), float(top)


def spread_ticks(places: NDArray[np.integer], n_ticks: int = 7) -> NDArray[np.integer]:
    """Of the places that may have a tick label, those nearest to `n_ticks` even ones."""
    even = np.linspace(places[0], places[-1], n_ticks)
    return np.unique(places[np.abs(places[:, None] - even).argmin(axis=0)])


def panels_on(
    ax: Any, n_panels: int, *, height: float, columns: int = 1, width: float = 9.0
) -> NDArray[np.object_]:
    """Axes to draw on: those given, or `n_panels` in rows of `columns` of a figure of their own.

    The figure is not registered with pyplot, so nothing has to be closed. `height` is that of one
    row, in inches.
    """
    from matplotlib.figure import Figure

    if ax is None:
        rows = -(-n_panels // columns)
        figure = Figure(figsize=(width, height * rows + 0.8), dpi=120, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for spare in axes[n_panels:]:
            spare.remove()
        return axes[:n_panels]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_panels:
        raise ValueError(
            f"ax holds {len(axes)} axes, expected one for each of the {n_panels} panels; pass as "
            "many, or ax=None for a figure of its own."
        )
    return axes


def date_format(starts: pd.Series) -> str:
    """Format of the dates on an axis: as much of them as tells the runs apart."""
    span = (starts.iloc[-1] - starts.iloc[0]).days
    return "%d %b %Y" if span > 300 else "%d %b" if span > 6 else "%d %b %H:%M"


def inches_wide(ax: "Axes") -> float:
    """Width of a panel, before its labels take their room."""
    return float(ax.get_window_extent().width / ax.figure.dpi)


def tick_count(ax: "Axes", label: str) -> int:
    """How many labels such as `label` stand side by side below a panel, at most seven."""
    return int(np.clip(inches_wide(ax) / (0.11 * len(label) + 0.3), 2, 7))


def set_panel_titles(axes: Iterable["Axes"], titles: Sequence[str]) -> None:
    """Write the titles of panels at their left, as long as the panels are wide, all different."""
    axes = list(axes)
    most = max(12, int(min(inches_wide(ax) for ax in axes) * 9))
    for ax, title in zip(axes, shortened_apart(titles, most), strict=True):
        ax.set_title(
            title,
            loc="left",
            fontsize=10,
            fontweight="bold",
            parse_math=False,  # a $ in the name of a job is a $
        )


def quiet_frame(ax: "Axes") -> None:
    """Leave of the frame what helps to read values: two sides, and pale lines across."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def label_times(ax: "Axes", name: str, *, dates: bool) -> None:
    """Name the axis of time, and where it shows `dates`, write them short and apart."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if dates:
        # Of these pairs matplotlib finds ticks for any span; others leave gaps.
        fewest, most = (3, 7) if inches_wide(ax) > 3.5 else (2, 5)
        locator = AutoDateLocator(minticks=fewest, maxticks=most)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_xlabel(name)


def legend_above(figure: Any, handles: list[Any]) -> None:
    """Put a legend above all panels, in as many columns as the figure is wide for."""
    columns = max(1, int(figure.bbox.width / figure.dpi / 2.2))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=min(len(handles), columns),
        frameon=False,
    )
