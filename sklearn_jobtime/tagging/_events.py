"""Sequences of events of unequal length: read, encoded, padded, and the tags beside them.

Events are held one behind the other in a flat table; only a batch is ever padded. It knows pandas
and scikit-learn, no torch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Ints
from sklearn_jobtime.lstm.window_inputs import windows_mean_and_scale

__all__ = [
    "NO_TAG",
    "EventEncoder",
    "Sequences",
    "flat_tags",
    "is_nested",
    "read_arrays",
    "read_nested",
]


# Codes of events: what pads, what was never seen or is not known, then the categories of `fit`.
PADDING, UNKNOWN, FIRST_CODE = 0, 1, 2

# Code of an event without a tag, which is not part of the loss.
NO_TAG = -1

_NUMBERS = ("floating", "mixed-integer-float", "decimal", "empty")
_TIMES = ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period")


@dataclass(frozen=True)
class Sequences:
    """Sequences of events, one behind the other.

    Parameters
    ----------
    events : DataFrame
        One row an event, one column a feature.
    lengths : ndarray of shape (n,)
        Events of each sequence.
    real : ndarray of bool, shape (n, n_steps), or None
        Which cells of the array hold an event, where the sequences came as an array.
    """

    events: pd.DataFrame
    lengths: Ints
    real: NDArray[np.bool_] | None = None

    def nested(self, values: NDArray[Any], padding: Any) -> NDArray[Any]:
        """Give `values`, one row an event, the nesting the sequences came in.

        An array holds `padding` where there is no event; sequences in a list become an array of
        objects, one array a sequence.
        """
        if self.real is None:
            return as_objects(np.split(values, np.cumsum(self.lengths)[:-1]))
        if self.real.all():
            return values.reshape(self.real.shape + values.shape[1:])
        dtype = np.dtype(object)  # a string beside numbers, or None, stays what it is
        if padding is not None and isinstance(padding, str) == (values.dtype.kind == "U"):
            dtype = np.result_type(values, np.asarray(padding))
        found = np.full(self.real.shape + values.shape[1:], padding, dtype=dtype)
        found[self.real] = values
        return found


def as_objects(items: Sequence[Any]) -> NDArray[np.object_]:
    """Return a 1-D array of `items`, also where they are arrays of one shape."""
    found = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):
        found[position] = item
    return found


def is_nested(X: Any) -> bool:
    """Tell sequences in a list (or a 1-D array or Series of objects) from one padded array."""
    if isinstance(X, pd.DataFrame) or getattr(X, "ndim", 1) != 1 or not hasattr(X, "__len__"):
        return False
    first = next((item for item in X), None) if isinstance(X, Iterable) else None
    return isinstance(first, (list, tuple, np.ndarray, pd.Series, pd.DataFrame))


def is_missing(values: NDArray[Any], stand_in: Any) -> NDArray[np.bool_]:
    """Tell which values are NaN, None, or the value that stands for none."""
    missing = np.asarray(pd.isna(values))
    if stand_in is not None:
        missing[~missing] = values[~missing] == stand_in
    return missing


def read_arrays(X: NDArray[Any], padding: Any) -> Sequences:
    """Read an array ``(n, n_steps)`` or ``(n, n_steps, n_features)``.

    A sequence goes from its first event to its last; steps before and behind, whose features all
    are missing, are padding.
    """
    X = X.reshape(*X.shape[:2], -1)
    seen = np.asarray(~is_missing(X, padding).all(axis=2))
    begun = np.maximum.accumulate(seen, axis=1)
    ended = ~np.maximum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    real = begun & ~ended
    return Sequences(pd.DataFrame(X[real]), real.sum(axis=1), real)


def read_nested(X: Sequence[Any]) -> Sequences:
    """Read sequences, each of single events, of rows of features, or a DataFrame."""
    items = list(X)
    for position, item in enumerate(items):
        if not isinstance(item, (list, tuple, np.ndarray, pd.Series, pd.DataFrame)):
            raise ValueError(
                f"sequence {position} of X came as {type(item).__name__}; expected a list, an "
                "array or a DataFrame of events. A sequence of one event is a list of one."
            )
    lengths = np.array([len(item) for item in items], dtype=np.int64)
    return Sequences(_one_table([item for item in items if len(item)]), lengths)


def _one_table(items: list[Any]) -> pd.DataFrame:
    """Return the events of all sequences as one table."""
    if not items:
        return pd.DataFrame({0: np.empty(0)})
    if all(isinstance(item, pd.DataFrame) for item in items):
        if any(not item.columns.equals(items[0].columns) for item in items):
            raise ValueError(
                "the sequences of X have different columns; expected the same in the same order."
            )
        return pd.concat(items, ignore_index=True)
    if all(isinstance(item, np.ndarray) for item in items):
        shapes = {item.shape[1:] for item in items}
        if len(shapes) > 1 or len(next(iter(shapes))) > 1:
            raise ValueError(
                "the sequences of X came as arrays of the shapes (length, "
                f"{', '.join(map(str, shapes))}); expected (length,) or (length, n_features), "
                "the same number of features in each."
            )
        return pd.DataFrame(np.concatenate(items))
    events = list(chain.from_iterable(items))
    widths = {len(event) if isinstance(event, (list, tuple, np.ndarray)) else 0 for event in events}
    if len(widths) > 1:
        raise ValueError(
            f"the events of X have {sorted(widths)} features (0: a single value); expected the "
            "same number in each, with None for what is not known."
        )
    if widths == {0}:
        # As objects: pandas would turn integer codes beside None into floats, hence numbers.
        return pd.DataFrame({0: pd.Series(events, dtype=object)})
    return pd.DataFrame(
        {k: pd.Series(column, dtype=object) for k, column in enumerate(zip(*events, strict=True))}
    )


def is_category(column: pd.Series) -> bool:
    """Tell event codes and names from numbers by their type: floats are numbers, all else not."""
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in _TIMES:
        raise ValueError(
            f"feature {column.name!r} of the events holds {kind} values; expected codes, names or "
            "numbers. Give times as numbers, such as the seconds since the event before."
        )
    return kind not in _NUMBERS


@dataclass(frozen=True)
class EventEncoder:
    """Turns events into codes and standardised numbers, as learned by :meth:`fit`.

    Parameters
    ----------
    columns : pandas.Index
        The features of an event.
    categories : dict of int to pandas.Index
        For each feature that is a category, by its position, what was seen; the first has the
        code `FIRST_CODE`.
    mean, scale : ndarray of shape (n_numbers,)
        What the other features are standardised with: those of their usual values.
    bound : float
        A standardised number beyond it counts as the bound.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.tagging import EventEncoder
    >>> events = pd.DataFrame({"step": ["build", "test", "build"], "seconds": [1.0, 3.0, None]})
    >>> codes, numbers = EventEncoder.fit(events).encode(events.replace("test", "deploy"))
    >>> codes.ravel(), numbers.ravel()
    (array([2, 1, 2]), array([-1.,  1.,  0.]))
    """

    columns: pd.Index
    categories: dict[int, pd.Index]
    mean: Floats
    scale: Floats
    bound: float

    @classmethod
    def fit(
        cls,
        events: pd.DataFrame,
        categorical: str | Sequence[int | str] = "from_dtype",
        bound: float = np.inf,
    ) -> "EventEncoder":
        """Learn the categories and the scaling; `categorical` names features or says by type."""
        if isinstance(categorical, str):
            chosen = [k for k in range(events.shape[1]) if is_category(events.iloc[:, k])]
        else:
            chosen = [_position(name, events.columns) for name in categorical]
        categories = {k: pd.factorize(events.iloc[:, k], sort=True)[1] for k in sorted(set(chosen))}
        none = np.empty(0)
        found = {k: pd.Index(v) for k, v in categories.items()}
        encoder = cls(events.columns, found, none, none, bound)
        mean, scale = windows_mean_and_scale(encoder._numbers(events)[:, None])
        return replace(encoder, mean=mean, scale=scale)

    def encode(self, events: pd.DataFrame) -> tuple[Ints, Floats]:
        """Return codes ``(n_events, n_categories)`` and numbers ``(n_events, n_numbers)``."""
        if events.shape[1] != len(self.columns) and len(events):
            raise ValueError(
                f"the events of X have {events.shape[1]} features, but LSTMTagger is expecting "
                f"{len(self.columns)} features as input."
            )
        codes = np.empty((len(events), len(self.categories)), dtype=np.int64)
        if not len(events):
            return codes, np.empty((0, len(self.columns) - len(self.categories)))
        for position, (k, seen) in enumerate(self.categories.items()):
            # What was never seen, and NaN, is -1 here.
            found = seen.get_indexer(pd.Index(events.iloc[:, k]))
            codes[:, position] = np.where(found < 0, UNKNOWN, found + FIRST_CODE)
        numbers = self._numbers(events)
        numbers = (numbers - self.mean) / self.scale
        return codes, np.clip(np.nan_to_num(numbers), -self.bound, self.bound)

    @property
    def n_codes(self) -> list[int]:
        """Codes of each category, those of padding and the unknown included."""
        return [FIRST_CODE + len(seen) for seen in self.categories.values()]

    @property
    def n_numbers(self) -> int:
        """Features that are numbers."""
        return len(self.columns) - len(self.categories)

    def _numbers(self, events: pd.DataFrame) -> Floats:
        columns = [k for k in range(events.shape[1]) if k not in self.categories]
        try:
            numbers = events.iloc[:, columns].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"the features {list(self.columns[columns])} of the events are numbers, but X "
                f"holds something else there ({error}); if they are names or codes, list them in "
                "categorical_features."
            ) from error
        if np.isinf(numbers).any():
            raise ValueError(
                "Input X contains infinity; expected finite numbers, or NaN where one is not known."
            )
        return np.ascontiguousarray(numbers)  # however the columns of the table lie


def _position(name: int | str, columns: pd.Index) -> int:
    if name in columns:
        return int(columns.get_loc(name))
    if isinstance(name, str) or not -len(columns) <= name < len(columns):
        raise ValueError(
            f"categorical_features names {name!r}, but the features of an event are "
            f"{list(columns)}."
        )
    return int(name) % len(columns)


def flat_tags(y: Any, sequences: Sequences, no_tag: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the tag of each event, and which events have none: NaN, None or `no_tag`.

    `y` has the nesting of X: an array of the same first two axes, or a sequence of tags a sequence
    of events.
    """
    if is_nested(y):
        items = [np.asarray(item, dtype=object) for item in y]
    else:
        y = np.asarray(y, dtype=object)
        if sequences.real is not None and y.shape == sequences.real.shape:
            _check_no_tags_at_padding(bool(is_missing(y[~sequences.real], no_tag).all()))
            tags = y[sequences.real]
            return tags, is_missing(tags, no_tag)
        items = [row[:n] for row, n in zip(y, sequences.lengths, strict=True)]
        rest = [row[n:] for row, n in zip(y, sequences.lengths, strict=True)]
        _check_no_tags_at_padding(all(is_missing(row, no_tag).all() for row in rest))
    for position, (item, length) in enumerate(zip(items, sequences.lengths, strict=True)):
        if item.shape != (length,):
            raise ValueError(
                f"sequence {position} has {length} events but tags of the shape {item.shape}; "
                "expected one tag an event, None for an event without one."
            )
    tags = np.concatenate(items) if items else np.empty(0, dtype=object)
    return tags, is_missing(tags, no_tag)


def _check_no_tags_at_padding(untagged: bool) -> None:
    if not untagged:
        raise ValueError(
            "y has tags where X has no event; expected NaN or None there, or padding_tag set to "
            "the value that y is padded with. If X is padded with a value, set padding_value."
        )
