"""Forecasts of rows by estimators that have not seen them: the errors of these calibrate."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_jobtime._typing import Ints, Mask
from sklearn_jobtime.conformal._inner_estimators import InnerEstimators, TrainingRows, is_prefit
from sklearn_jobtime.conformal._scores import ConformityScore, RowForecasts
from sklearn_jobtime.point_in_time._splits import split_in_time

__all__ = ["UnseenRows"]


ROUNDING = 1e-12  # four fifths of 20 rows are 16


@dataclass(frozen=True)
class UnseenRows:
    """What is known of the rows that calibrate a conformal forecaster.

    Parameters
    ----------
    inner : InnerEstimators
        The last ones that were fitted.
    forecasts : RowForecasts
        Of n rows; those of rows that do not calibrate may be NaN.
    calibrates : ndarray of bool, shape (n,)
        Those whose forecast is by estimators that were fitted on rows before them.
    unfinished : ndarray of int
        The rows of which `inner` does not know how they ended.
    """

    inner: InnerEstimators
    forecasts: RowForecasts
    calibrates: Mask
    unfinished: Ints

    @classmethod
    def of(
        cls, forecaster: Any, score: ConformityScore, rows: TrainingRows, seen: Mask
    ) -> "UnseenRows":
        """Forecast the rows, fitted once or in parts as `cv` of the forecaster says.

        Parameters
        ----------
        forecaster : ConformalForecaster
        score : ConformityScore
            The one that it uses.
        rows : TrainingRows
        seen : ndarray of bool, shape (n,)
            The rows that have something to say.
        """
        asked = InnerEstimators.of(forecaster, score)
        if is_prefit(forecaster):
            return cls(asked, asked.forecasts_of(rows.X, seen), seen, np.arange(len(seen)))
        fractions = [forecaster.calibration_fraction]
        if isinstance(forecaster.cv, Integral):
            n_parts = int(forecaster.cv) + 1
            fractions = [part / n_parts - ROUNDING for part in range(n_parts - 1, 0, -1)]
        found: UnseenRows | None = None
        for fraction in fractions:
            split = split_in_time(rows.X, seen, rows.steps, fraction)
            inner = asked.fit(rows.older(split), score, forecaster.calibration_fraction)
            new = inner.forecasts_of(rows.X, split.is_newer & seen)
            if found is None:
                found = cls(inner, new, split.is_newer & seen, split.unfinished)
            else:
                forecasts = found.forecasts.replaced(split.is_newer, new)
                found = cls(inner, forecasts, found.calibrates, split.unfinished)
        assert found is not None
        return found
