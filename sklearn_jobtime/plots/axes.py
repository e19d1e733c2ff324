"""What all pictures share: colours, the unit of an axis, its limits, its dates."""

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's palette, which colour-blind readers can tell apart.
ACTUAL, TESTED, COMING, FAILED = "#4d4d4d", "#0072B2", "#D55E00", "#CC79A7"
# A panel is read in the largest unit that a typical run fills.
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


def unit_of(seconds: NDArray[np.floating]) -> tuple[str, float]:
    """Name and seconds of the unit for an axis: the largest that the median fills twice."""
    typical = float(np.median(seconds)) if len(seconds) else 0.0
    return next((unit for unit in UNITS if typical >= 2 * unit[1]), UNITS[-1])


def axis_limits(seconds: NDArray[np.floating]) -> tuple[float, float]:
    """Limits that show nearly all values: one run that hung for hours must not flatten the rest.

    The middle 95 % of the values, and half their spread on either side; never below zero.
    """
    if not len(seconds):
        return 0.0, 1.0
    low, high = np.quantile(seconds, [0.025, 0.975])
    room = max((high - low) / 2, 0.05 * high, 1e-3)
    return max(0.0, low - room), high + room


def spread_ticks(places: NDArray[np.integer], n_ticks: int = 7) -> NDArray[np.integer]:
    """Of the places that may have a tick label, those nearest to `n_ticks` even ones."""
    even = np.linspace(places[0], places[-1], n_ticks)
    return np.unique(places[np.abs(places[:, None] - even).argmin(axis=0)])
