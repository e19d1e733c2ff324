"""The tables that were given to the pipelines and wrappers around an estimator that is at work.

A scikit-learn step hands on an array without a word of the table that it had. The pipeline around
it still holds that table, and this module finds it, so that a check can say what was lost.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["tables_above"]


def tables_above(n_rows: int) -> Iterator[pd.DataFrame]:
    """Yield the tables of `n_rows` rows given to the estimators that are calling us, inmost first.

    An estimator calls its steps from a method with an argument ``X``, so its table stands in a
    frame of the call stack. That knows every pipeline, search and wrapper, cached steps too, and
    nothing stays behind when the call is over, as it would in a global. Our own estimators look
    after their clocks themselves; steps that run in threads of a `FeatureUnion` are not seen.

    Parameters
    ----------
    n_rows : int
        Tables of another length are not the source of the rows in question.
    """
    base = sys.modules.get("sklearn.base")
    frame: FrameType | None = sys._getframe(1)
    while base and frame:  # where scikit-learn was not imported, no estimator calls us
        local = frame.f_locals
        caller, X = local.get("self"), local.get("X")
        if isinstance(caller, base.BaseEstimator) and not _is_ours(caller) and _is_table(X, n_rows):
            yield X if isinstance(X, pd.DataFrame) else _as_pandas(X)
        frame = frame.f_back


def _is_ours(estimator: object) -> bool:
    return type(estimator).__module__.split(".")[0] == "sklearn_jobtime"


def _is_table(X: Any, n_rows: int) -> bool:
    return hasattr(X, "columns") and np.shape(X)[:1] == (n_rows,)


def _as_pandas(X: Any) -> pd.DataFrame:
    """Bring a table of polars or pyarrow into the form in which clocks are read."""
    names = getattr(X, "column_names", None) or X.columns
    return pd.DataFrame({name: np.asarray(X[name]) for name in names})
