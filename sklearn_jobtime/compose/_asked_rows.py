"""Forecasts of a few rows of a table, without computing what has no part in them.

Steps that look back read the whole table, but compute their columns for the rows that windows hold
alone; a windower makes windows of the asked rows, and what stands behind it sees no others. Only
parts of which that is known are taken so; with any other the whole table is forecast.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils._set_output import _get_output_config

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.compose._boosted_trees import BoostedTreesRegressor
from sklearn_jobtime.compose._missing_targets import parts_that_read_other_rows
from sklearn_jobtime.point_in_time._memory import NotAllGivenError
from sklearn_jobtime.point_in_time._newest_rows import AskedRows, NewestForecasts, own_series
from sklearn_jobtime.preprocessing import FailureImputer, MinMaxScaler, SeriesEncoder
from sklearn_jobtime.preprocessing._windows import SequenceWindower
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = [
    "can_be_asked",
    "each_row_alone",
    "is_own",
    "of_newest",
    "predicted_rows",
    "window_steps",
]


EACH_ROW_ALONE = "each_row_alone"
# Networks that are given windows, by name: to import them takes torch.
NETWORKS = (
    ("sklearn_jobtime.lstm.forecaster", "LSTMForecaster"),
    ("sklearn_jobtime.lstm.residual", "ResidualForecaster"),
)


def each_row_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function of a FunctionTransformer that makes each row of one row of its input."""
    setattr(function, EACH_ROW_ALONE, True)
    return function


def is_own(estimator: Any) -> bool:
    """Tell whether a class is one of this package, so that nobody has changed its methods."""
    return type(estimator).__module__.startswith("sklearn_jobtime.")


def can_be_asked(estimator: Any) -> bool:
    """Tell whether :func:`predicted_rows` knows each part of a fitted regressor."""
    if type(estimator) is Pipeline:
        steps = [step for _, step in estimator.steps]
        return all(map(_keeps_rows, steps[:-1])) and can_be_asked(steps[-1])
    if is_own(estimator) and hasattr(estimator, "can_be_asked"):
        return bool(estimator.can_be_asked())
    if (type(estimator).__module__, type(estimator).__name__) in NETWORKS:
        return True
    return _is_row_by_row(_inside(estimator))


def _is_row_by_row(estimator: Any) -> bool:
    """Tell whether all of a regressor is scikit-learn's, and forecasts each row by itself."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    fitted = [one for one in parts if hasattr(one, "fit") and not isinstance(one, type)]
    return all(map(_stands_alone, fitted)) and not parts_that_read_other_rows(estimator)


def _stands_alone(estimator: Any) -> bool:
    own = type(estimator).__module__.startswith("sklearn.")
    return own or type(estimator) is BoostedTreesRegressor


def _inside(estimator: Any) -> Any:
    """Give the regressor inside one of our wrappers, each output of which stands for itself."""
    return (
        estimator.regressor
        if is_own(estimator) and hasattr(estimator, "regressors_")
        else estimator
    )


def _keeps_rows(step: Any) -> bool:
    if isinstance(step, FunctionTransformer):
        return getattr(step.func, EACH_ROW_ALONE, False)
    if not is_own(step) or _get_output_config("transform", step)["dense"] == "polars":
        return False
    if isinstance(step, SequenceWindower):
        return (step.started_at, step.ended_at) == (STARTED_AT, ENDED_AT)
    if isinstance(step, FailureImputer):
        return not step.looks_back()
    return hasattr(step, "transform_rows") or isinstance(step, MinMaxScaler | SeriesEncoder)


def window_steps(estimator: Any) -> int:
    """Give the length of the longest window that a fitted regressor makes; 0 without any."""
    if isinstance(estimator, Pipeline):
        return max(window_steps(step) for _, step in estimator.steps)
    if isinstance(estimator, SequenceWindower):
        return estimator.n_steps
    return max(map(window_steps, getattr(estimator, "estimators_", [])), default=0)


def predicted_rows(estimator: Any, X: pd.DataFrame, asked: AskedRows | None) -> Floats:
    """Forecast some rows of a table, of which all remembered runs of their series are a part.

    Of all rows it is what `predict` gives, but the steps of a pipeline are not checked anew.

    Parameters
    ----------
    estimator : estimator
        Fitted; :func:`can_be_asked` has to be true.
    X : DataFrame
        Columns that other steps have added may be NaN in rows that are not needed.
    asked : AskedRows or None
        None: all rows.

    Returns
    -------
    ndarray of shape (n_rows,) or (n_rows, n_outputs)

    Raises
    ------
    NotAllGivenError
        When a remembered run may stand before the given ones.
    """
    if hasattr(estimator, "predict_rows"):
        return np.asarray(estimator.predict_rows(X, asked))
    if not isinstance(estimator, Pipeline):
        return np.asarray(estimator.predict(X if asked is None else X.iloc[asked.rows]))
    rows, needed = (None, None) if asked is None else (asked.rows, asked.needed)
    steps = [step for _, step in estimator.steps]
    for k, step in enumerate(steps[:-1]):
        if isinstance(step, SequenceWindower):
            windows = step.windows_of_rows(X, rows)
            for later in steps[k + 1 : -1]:
                windows = later.transform(windows)
            return np.asarray(steps[-1].predict(windows))
        is_asked = hasattr(step, "transform_rows")
        X = step.transform_rows(X, needed) if is_asked else step.transform(X)
    return predicted_rows(steps[-1], X, asked)


def of_newest(
    X: Any, n: int, can_be_asked: bool, forecasts: Callable[[Any, Any], NewestForecasts]
) -> NewestForecasts:
    """Forecast the newest rows of a table: by themselves where that is sure to be the same.

    Parameters
    ----------
    X : DataFrame or array of shape (n_runs, ...)
    n : int
        The last rows are asked.
    can_be_asked : bool
        Whether the model knows how to forecast some rows alone.
    forecasts : callable
        Forecasts rows of a table; of all where the rows are None.
    """
    part = own_series(X, n) if can_be_asked else None
    if part is not None:
        try:
            return forecasts(*part)
        except NotAllGivenError:
            pass
    whole = forecasts(X, None)
    last = slice(len(whole.seconds) - n, None)
    return NewestForecasts(
        whole.seconds[last],
        None if whole.sources is None else whole.sources[last],
        None if whole.interval is None else whole.interval[last],
    )
