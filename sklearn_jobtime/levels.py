"""The confidence levels that are asked for, and what they take."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sklearn_jobtime.calibration import rows_needed
from sklearn_jobtime.exceptions import TooFewRunsWarning

__all__ = ["levels_of", "warn_if_too_few"]

Floats = NDArray[np.float64]


def levels_of(asked: float | Sequence[float]) -> Floats:
    """Check one confidence level or several."""
    levels = np.atleast_1d(np.asarray(asked, dtype=np.float64))
    if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(
            f"confidence_level must be a number between 0 and 1, or a list of such, got {asked}"
        )
    return levels


def warn_if_too_few(n_rows: int | None, one_sided: Floats, levels: Floats) -> None:
    """Say how many calibration rows the bounds at `levels` would need, if there are fewer."""
    if n_rows is None:
        return
    needed = np.array([rows_needed(level) for level in one_sided])
    if (needed > n_rows).any():
        short = int(np.argmax(needed > n_rows))
        warnings.warn(
            f"{n_rows} calibration rows are too few for a bound at {levels[short]:g}, which is "
            f"infinite: expected at least {needed[short]}; load a longer history, raise "
            "calibration_fraction or ask for a lower confidence_level.",
            TooFewRunsWarning,
            stacklevel=3,
        )
