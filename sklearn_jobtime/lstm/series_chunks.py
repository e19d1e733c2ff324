"""Series of rows cut into chunks side by side, and forecasts that go on from the states of series.

It knows NumPy only; the training on such chunks is in
:mod:`~sklearn_jobtime.lstm.truncated_bptt`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats, Ints, Rows
from sklearn_jobtime.lstm.forward import ForwardPass, State

__all__ = ["READ_STEPS", "chunks_of", "forecast_from_states", "pad", "rows_of_series"]


# Where nothing is learned, the length of a chunk only decides how much memory it takes.
READ_STEPS = 256

# The same for the rows of all series in a chunk.
READ_ROWS = 2**14


def pad(flat: NDArray[Any], starts: Ints, lengths: Ints, fill: Any) -> NDArray[Any]:
    """Return ``(n, n_steps, ...)``: sequences of `flat`, padded behind to the longest of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.series_chunks import pad
    >>> pad(np.array([2, 3, 4]), np.array([0, 2]), np.array([2, 1]), 0)
    array([[2, 3],
           [4, 0]])
    """
    steps = np.arange(max(1, lengths.max(initial=0)))
    real = steps < lengths[:, None]
    padded = np.full(real.shape + flat.shape[1:], fill, dtype=flat.dtype)
    padded[real] = flat[(starts[:, None] + steps)[real]]
    return padded


def rows_of_series(series: Rows) -> list[Rows]:
    """Return the rows of each series, in order, for the codes ``(n,)`` of the series.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.series_chunks import rows_of_series
    >>> [rows.tolist() for rows in rows_of_series(np.array([0, 1, 0, 0]))]
    [[0, 2, 3], [1]]
    """
    order = np.argsort(series, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(series[order])) + 1)


def chunks_of(rows_by_series: Sequence[Rows], n_steps: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield the rows of the series, `n_steps` of each at a time, and how many of each are real.

    Parameters
    ----------
    rows_by_series : sequence of ndarray of int
        The rows of each series, longest first: those that have ended drop out at the end.
    n_steps : int
        Length of a chunk.

    Yields
    ------
    rows : ndarray of shape (n_series, steps)
        -1 behind the end of a series.
    lengths : ndarray of shape (n_series,)
        From 1 to `n_steps`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime.lstm.truncated_bptt import chunks_of
    >>> for rows, lengths in chunks_of([np.array([0, 2, 3]), np.array([1])], n_steps=2):
    ...     print(rows.tolist(), lengths)
    [[0, 2], [1, -1]] [2 1]
    [[3]] [1]
    """
    flat = np.concatenate(rows_by_series)
    sizes = np.array([len(rows) for rows in rows_by_series])
    starts = np.cumsum(sizes) - sizes
    for begin in range(0, int(sizes[0]), n_steps):
        lengths = np.clip(sizes[sizes > begin] - begin, 1, n_steps)
        yield pad(flat, starts[: len(lengths)] + begin, lengths, -1), lengths


def forecast_from_states(
    network: ForwardPass,
    inputs: Floats,
    rows_by_series: Sequence[Rows],
    states: Sequence[Floats | None],
) -> tuple[Floats, list[Floats]]:
    """Forecast every row, each series from its own state, and return the states behind them.

    Parameters
    ----------
    network : ForwardPass
    inputs : ndarray of shape (n, n_features)
        The standardised steps.
    rows_by_series : sequence of ndarray of int
        The rows of each series, in order of time.
    states : sequence of ndarray of shape (2, n_layers, hidden_size) or None
        Hidden and cell state of each series before its first row; None for zeros.

    Returns
    -------
    outputs : ndarray of shape (n, n_outputs)
    states : list of ndarray of shape (2, n_layers, hidden_size)
    """
    longest_first = np.argsort([-len(rows) for rows in rows_by_series], kind="stable")
    state = stacked_states([states[k] for k in longest_first])
    outputs: list[tuple[Rows, Floats]] = []
    ends: list[Any] = [None] * len(rows_by_series)
    in_order = [rows_by_series[k] for k in longest_first]
    n_steps = min(READ_STEPS, max(1, READ_ROWS // len(in_order)))
    for rows, lengths in chunks_of(in_order, n_steps):
        n = len(rows)  # the series that have ended were the last ones
        start = None if state is None else (state[0][:, :n], state[1][:, :n])
        found, state = network.forecast_each_step(inputs[rows], start, lengths)
        real = rows >= 0
        outputs.append((rows[real], found[real]))
        for k, end in zip(longest_first[:n], np.stack(state).transpose(2, 0, 1, 3), strict=True):
            ends[k] = end.copy()
    read, values = (np.concatenate(part) for part in zip(*outputs, strict=True))
    return values[np.argsort(read)], ends


def stacked_states(states: Sequence[Floats | None]) -> State | None:
    """Stack the states of several series, zeros for None; None where all are None."""
    shape = next((state.shape for state in states if state is not None), None)
    if shape is None:
        return None
    hidden, cell = np.stack([np.zeros(shape) if one is None else one for one in states], axis=2)
    return hidden, cell
