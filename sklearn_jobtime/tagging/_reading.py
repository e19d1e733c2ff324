"""Sequences and tags as a fit takes them: validated, whatever form they came in."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data

from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.tagging._events import (
    Sequences,
    flat_tags,
    is_nested,
    read_arrays,
    read_nested,
)

__all__ = ["has_one_tag_a_sequence", "in_pandas", "read_sequences", "read_tags"]


def in_pandas(X: Any) -> Any:
    """Give polars and pyarrow containers, also those in a list, as pandas; all else as it is.

    The columns stay Arrow's: integer codes of which some are missing are codes, and no floats.

    Examples
    --------
    >>> import pyarrow as pa
    >>> in_pandas([pa.table({"step": [1, None]})])[0].dtypes.to_dict()
    {'step': int64[pyarrow]}
    """
    if isinstance(X, list | tuple):
        return [in_pandas(item) for item in X] if any(hasattr(i, "to_pandas") for i in X) else X
    if not hasattr(X, "to_pandas"):
        return X
    arrow = X.to_arrow() if hasattr(X, "to_arrow") else X
    return arrow.to_pandas(types_mapper=pd.ArrowDtype)


def read_sequences(estimator: Any, X: Any, reset: bool) -> Sequences:
    """Return the sequences of `X`, a list of them or a padded array.

    With `reset`, `estimator` learns the shape that it then expects: its `ndim_in_`, `n_steps_in_`
    and `n_features_in_`.
    """
    X = in_pandas(X)
    if is_nested(X):
        sequences = read_nested(X)
        if reset:
            estimator.ndim_in_, estimator.n_features_in_ = 1, sequences.events.shape[1]
            if hasattr(estimator, "feature_names_in_"):
                del estimator.feature_names_in_
    else:
        sequences = read_arrays(_read_array(estimator, X, reset), estimator.padding_value)
    if reset:
        widths = np.unique(sequences.lengths if sequences.real is None else sequences.real.shape[1])
        estimator.n_steps_in_ = int(widths[0]) if len(widths) == 1 else None
    return sequences


def _read_array(estimator: Any, X: Any, reset: bool) -> NDArray[Any]:
    X = X if hasattr(X, "ndim") else np.asarray(X)
    ndim, any_form = X.ndim, reset or estimator.ndim_in_ == 1
    if ndim > 3 or (ndim > 1 and not any_form and ndim != estimator.ndim_in_):
        expected = "2-D or 3-D" if any_form else f"{estimator.ndim_in_}-D as in fit"
        raise ValueError(
            f"X has {ndim} dimensions, shape {np.shape(X)}; expected {expected}, or a list "
            "of sequences."
        )
    options = {"dtype": None, "ensure_2d": ndim != 3, "allow_nd": ndim == 3}
    if reset or ndim == 2 == estimator.ndim_in_:
        X = validate_data(estimator, X, reset=reset, ensure_all_finite=False, **options)
    else:
        X = check_array(X, ensure_all_finite=False, **options)
    if reset:
        estimator.ndim_in_, estimator.n_features_in_ = ndim, X.shape[-1]
    elif estimator.n_steps_in_ not in (None, X.shape[1]):
        raise ValueError(
            f"X has {X.shape[1]} steps, but LSTMTagger is expecting {estimator.n_steps_in_} as in "
            "fit; give sequences of other lengths as a list."
        )
    return X


def has_one_tag_a_sequence(y: Any, sequences: Sequences) -> bool:
    """Tell whether `y` has one tag a sequence, not one an event."""
    y = in_pandas(y)
    check_consistent_length(sequences.lengths, y)
    if is_nested(y):
        return False
    shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    if sequences.real is not None:
        return shape != sequences.real.shape
    return not (len(shape) == 2 and shape[1] > 1)


def read_tags(
    y: Any, sequences: Sequences, one_tag: bool, padding_tag: Any
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the tags that are there, and which events, or sequences, have one."""
    y = in_pandas(y)
    if one_tag:
        labels = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        labels = column_or_1d(labels, warn=True)
        return labels, np.ones(len(labels), dtype=bool)
    tags, missing = flat_tags(y, sequences, padding_tag)
    if missing.all():
        raise NoHistoryError(
            f"no event of the {len(tags)} in y has a tag, so there is nothing to learn "
            "from; NaN, None and padding_tag stand for no tag."
        )
    return _of_one_type(tags[~missing]), ~missing


def _of_one_type(labels: NDArray[np.object_]) -> NDArray[Any]:
    """Give tags read as objects the type that all of them have."""
    plain = np.asarray(labels.tolist())
    if plain.dtype.kind in "US" and not all(isinstance(label, (str, bytes)) for label in labels):
        kinds = sorted({type(label).__name__ for label in labels})
        raise TypeError(
            f"the tags of y are {' and '.join(kinds)}; expected all of one type, such as str."
        )
    return plain
