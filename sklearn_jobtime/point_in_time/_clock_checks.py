"""Signs that the clock of a table was renamed, scaled or dropped on its way here.

What looks back rests on the columns `started_at` and `ended_at`. Without them every earlier row
counts as ended, which is right for rows that ended one by one and leaks the future for all others.
So whoever reads a clock asks here, and what looks like a lost one is an error.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import LostClockError
from sklearn_jobtime.runs._schema import WHOLE_RUN

__all__ = [
    "REMEDY",
    "check_column_names",
    "check_no_hidden_clock",
    "check_plausible",
    "check_targets",
]


REMEDY = (
    "Put steps that rename, scale or drop columns behind what looks back, take MinMaxScaler of "
    "this package, which keeps the clock, or let a ColumnTransformer(..., remainder='passthrough', "
    "verbose_feature_names_out=False).set_output(transform='pandas') pass it on. If each row had "
    "ended before the next one, SequenceWindower(started_at=None) says so."
)

ENOUGH_ROWS = 20  # fewer are in one order by chance
LIKE_A_CLOCK = 0.95  # rank correlation of starts and ends
LARGEST_SCALED = 10.0  # standard deviations, shares and quantiles lie below it
LEAST_EPOCH = 1e8  # seconds: the year 1973
MOST_EARLY = 0.25  # share of ends before starts that clocks of two machines may account for


def check_column_names(columns: Sequence[Hashable], started_at: str, ended_at: str) -> None:
    """Raise where a table has a column of times under another name, such as ``num__started_at``.

    ``<job>__started_at`` beside a column ``<job>`` is the clock of that job and may stand here.
    What TimestampToNumeric makes of a time says that there was one.

    Raises
    ------
    LostClockError
    """
    for name, feature in ((started_at, "since_previous"), (ended_at, "elapsed")):
        if name in columns:
            continue
        if f"{name}__{feature}" in columns:
            raise LostClockError(
                f"the table has {name + '__' + feature!r}, but no longer {name!r}, without which "
                f"runs that had not ended would count as known. {REMEDY}"
            )
        for column in columns:
            prefix = str(column)[: -len(name)]
            if str(column).endswith(name) and prefix.removesuffix("__") not in columns:
                raise LostClockError(
                    f"no column is named {name!r}, but {column!r} looks like it, renamed on the "
                    "way; without it, runs that had not ended would count as known. Give the "
                    f"step that renames it verbose_feature_names_out=False, or rename it back. "
                    f"{REMEDY}"
                )


def check_plausible(started: Floats, ended: Floats | None) -> None:
    """Raise where columns of numbers can not be the starts and ends of runs in seconds.

    Parameters
    ----------
    started : ndarray of shape (n,)
    ended : ndarray of shape (n,), or None
        NaN where a run had not ended.

    Raises
    ------
    LostClockError
    """
    what = _implausible(started, ended)
    if what:
        raise LostClockError(
            f"the clock came as numbers that are no seconds of starts and ends: {what}. A step "
            f"before this one has scaled these columns, each for itself. {REMEDY}"
        )


def _implausible(started: Floats, ended: Floats | None) -> str:
    n, largest = len(started), np.abs(started).max(initial=0)
    if n < 2:
        return ""
    if largest <= LARGEST_SCALED and (started != np.round(started)).any():
        return f"starts lie between {started.min():.3g} and {started.max():.3g}"
    if largest < LEAST_EPOCH and n >= ENOUGH_ROWS and np.ptp(started) < (n - 1) / 10:
        return f"{n} runs start within {np.ptp(started):.3g} seconds"
    if ended is None or not np.isfinite(ended).any():
        return ""
    has_ended = np.isfinite(ended)
    return _unlike(started[has_ended], ended[has_ended])


def _unlike(started: Floats, ended: Floats) -> str:
    """Say why two columns are not the starts and ends of the same runs."""
    took = ended - started
    low, high = sorted([np.abs(started).max(), np.abs(ended).max()])
    if len(took) > 2 and (took < 0).mean() > MOST_EARLY:
        return f"{(took < 0).sum()} of {len(took)} runs end before they start"
    if len(took) >= ENOUGH_ROWS and np.ptp(started) == 0 and not took.any():
        return f"all {len(took)} runs start and end at {started[0]:.3g}"
    if high > LEAST_EPOCH and high > 100 * low:
        return f"one column reaches {low:.3g}, the other {high:.3g}"
    return ""


def check_targets(X: object, y: object) -> None:
    """Raise where rows without times come with targets of a run table that may have had them.

    Of rows in a table, only the targets `whole_run` say that there were times.

    Raises
    ------
    LostClockError
    """
    if not isinstance(y, pd.DataFrame) or list(y.columns.names) != ["step", "job"]:
        return
    if not isinstance(X, pd.DataFrame) or WHOLE_RUN in y.columns.get_level_values("job"):
        raise LostClockError(
            "y comes from make_targets, so from a run table, but X has no times: without them "
            f"nothing says which runs had ended. Give the run table. {REMEDY}"
        )


def check_no_hidden_clock(X: pd.DataFrame | NDArray[np.floating]) -> None:
    """Raise where two columns of numbers are in the order of starts and ends.

    Starts only grow, and ends follow nearly their order. Where they follow it exactly, no run
    overlaps the next one visibly, and nothing is said.

    Raises
    ------
    LostClockError
    """
    if X.ndim != 2 or len(X) < ENOUGH_ROWS or X.shape[1] < 2:
        return
    table = X.select_dtypes("number") if isinstance(X, pd.DataFrame) else X
    growing = [k for k in range(table.shape[1]) if _grows(_column(table, k))]
    for start in growing:
        for end in range(table.shape[1]):
            if end not in growing and _follows(_column(table, end), _column(table, start)):
                raise LostClockError(
                    f"column {start} of the numbers only grows and column {end} follows it nearly, "
                    "like starts and ends of runs that overlap, but none has the name of a time. "
                    f"A step before this one has lost the names. {REMEDY}"
                )


def _column(table: pd.DataFrame | NDArray[np.floating], k: int) -> NDArray[np.floating]:
    """Take one column at a time: a copy of a long table would take as much memory as the table."""
    if isinstance(table, pd.DataFrame):
        return table.iloc[:, k].to_numpy(np.float64, na_value=np.nan)
    return table[:, k]


def _grows(column: NDArray[np.floating]) -> bool:
    only_grows = bool((column[1:] >= column[:-1]).all())  # false where a number is missing
    return only_grows and len(np.unique(column)) > len(column) / 2


def _follows(ends: NDArray[np.floating], starts: NDArray[np.floating]) -> bool:
    known = np.isfinite(ends)
    if known.sum() < ENOUGH_ROWS or (np.diff(ends[known]) >= 0).all():
        return False
    ranks = pd.DataFrame({"start": starts[known], "end": ends[known]}).rank()
    return bool(ranks["start"].corr(ranks["end"]) > LIKE_A_CLOCK)
