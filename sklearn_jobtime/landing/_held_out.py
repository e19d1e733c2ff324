"""The held-out runs of a forecaster that is fitted already, in a table that has grown since."""

from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats, Ints
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.point_in_time._clock import epoch_seconds
from sklearn_jobtime.runs._schema import STARTED_AT
from sklearn_jobtime.runs._validation import to_utc

__all__ = ["held_out_rows"]


def held_out_rows(forecaster: ConformalForecaster, X: Any, outputs: Ints) -> tuple[Ints, Floats]:
    """Find the held-out runs of a forecaster, those of its updates included, by their starts.

    Parameters
    ----------
    forecaster : ConformalForecaster
        A fitted one.
    X : DataFrame
        A run table of one series with the times of its runs.
    outputs : ndarray of int
        The outputs of the forecaster that are asked for.

    Returns
    -------
    rows : ndarray of int, shape (n,)
        Positions in `X`, in time order.
    forecasts : ndarray of shape (n, n_outputs)
        What was forecast for them before they were known, in seconds.

    Raises
    ------
    RunTableError
        When the table has no starts, or none of the held-out runs.
    """
    if not isinstance(X, pd.DataFrame) or STARTED_AT not in X:
        raise RunTableError(
            f"the held-out runs of a fitted model are looked up by {STARTED_AT!r}; pass a run "
            "table that has it."
        )
    forecasts, targets, _ = forecaster.calibration_set()
    when = forecaster.calibration_starts()
    says = ~np.isnan(targets[:, outputs]).all(axis=1) & ~np.isnan(when)
    place = {second: row for row, second in enumerate(epoch_seconds(to_utc(X[STARTED_AT])))}
    pairs = [(place[s], k) for k, s in enumerate(when) if says[k] and s in place]
    if not pairs:
        raise RunTableError(
            f"none of the {len(when)} held-out runs of the model is in the table; pass the whole "
            "history, with the runs that the model was fitted on."
        )
    rows, at = np.array(sorted(dict(pairs).items())).T
    return rows, forecasts[at][:, outputs]
