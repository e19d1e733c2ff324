"""What a table says twice is compared: the duration against the end minus the start.

The duration column measures the job; start and end are the clock. Where they show that a column
is of another unit than taken for, it is converted and a note says so; where they contradict each
other, a note says in how many rows and by how much, or reading stops.
"""

from collections.abc import Callable, MutableSequence

import numpy as np
import pandas as pd

from sklearn_jobtime.loaders._column_names import QUEUED_AT, QUEUED_SECONDS
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["Contradiction", "compare_with_clock", "forget_unknown_moments"]


# How many times too large a duration is that was taken for seconds, and what it is then.
_FACTORS = {
    1e3: "milliseconds",
    1e6: "microseconds",
    1e9: "nanoseconds",
    1 / 60: "minutes",
    1 / 3600: "hours",
    1 / 86400: "days",
}
_QUARTER = 900.0  # seconds; time zones differ by quarters of an hour
_LARGEST_ZONE = 26 * 3600.0
_YEAR_SECONDS = 366 * 86400.0
_OUTLIER = 100.0  # times the median of the other runs
_MOST = 0.9


class Contradiction(ValueError):  # noqa: N818 - it is what the data say, and a reader tells it
    """Columns of one table contradict each other so that no number is safe; it has a remedy."""

    def __init__(self, said: str, row: int | None = None) -> None:
        self.row = row
        super().__init__(said)


class _Both:
    """Duration and end minus start of the rows that have both, with the steps of their clocks."""

    def __init__(self, rows: pd.DataFrame, both: np.ndarray, unit: float) -> None:
        self.rows = np.flatnonzero(both)
        start, end = (_micros(rows[name])[both] for name in (STARTED_AT, ENDED_AT))
        self.span = (end - start) / 1e6
        self.duration = rows["duration"].to_numpy(dtype="float64")[both]
        clock = next(
            (s for s in (60_000_000, 1_000_000, 1000) if not (start % s).any() | (end % s).any()), 1
        )
        self.clock_step = clock / 1e6
        raw = self.duration / unit
        self.step = unit / next((p for p in (1, 10, 100, 1000) if _all_whole(raw * p)), 10**6)
        self.forward = self.span >= 0

    def agree(self, duration: np.ndarray, step: float) -> np.ndarray:
        """Where a duration is the span, as far as their clocks can tell."""
        return np.abs(duration - self.span) <= self.tolerance(step)

    def tolerance(self, step: float) -> np.ndarray:
        return self.clock_step + step + 1e-9 * np.abs(self.span)


_NAT = np.iinfo("int64").min


def _all_whole(values: np.ndarray) -> bool:
    return all(
        np.allclose(part, np.rint(part), rtol=1e-12, atol=1e-6) for part in (values[:1000], values)
    )


def _exact(rows: pd.DataFrame) -> tuple[np.ndarray, bool]:
    """Rows that have both, and whether they are the same there to the microsecond."""
    start, span = (_micros(rows[name]) for name in (STARTED_AT, ENDED_AT))
    duration = rows["duration"].to_numpy(dtype="float64")
    both = np.isfinite(duration) & (start != _NAT) & (span != _NAT)
    apart = (span - start) / 1e6
    apart -= duration
    np.abs(apart, out=apart)
    return both, not (apart[both] > 2e-6).any()


def _rows(where: np.ndarray | pd.Series) -> str:
    count = int(where.sum())
    return f"{count:,} row{'' if count == 1 else 's'}"


def _micros(moments: pd.Series) -> np.ndarray:
    return moments.dt.tz_localize(None).to_numpy("datetime64[us]").astype("int64")


@np.errstate(over="ignore")  # of a damaged duration such as 1e308, which agrees with nothing
def compare_with_clock(
    rows: pd.DataFrame,
    notes: MutableSequence[str],
    *,
    name: str,
    unit: float | None = None,
    short_clock: bool = False,
    said: bool = False,
) -> bool:
    """Compare the durations with end minus start, and convert what is of another unit.

    Parameters
    ----------
    rows : DataFrame
        Columns `started_at`, `ended_at`, `duration` in seconds, and `queued_at` or
        `queued_seconds` where known; it is changed.
    notes : list of str
        What was found is added to it.
    name : str
        The column of durations, for the notes.
    unit : float, default=None
        Seconds in one of its units, where the column's name or the user tells it.
    short_clock : bool, default=False
        Whether the column holds texts such as ``02:03`` that were taken for minutes and seconds.
    said : bool, default=False
        Whether the user said the unit; then nothing is converted, and differences are noted.

    Returns
    -------
    bool
        Whether any row was compared and agrees, so that the unit is proven.

    Raises
    ------
    Contradiction
        When the rows are of different units, or most of them of another one.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._redundant import compare_with_clock
    >>> rows = pd.DataFrame({"started_at": ["2026-03-01T04:00:00Z"], "duration": [61000.0],
    ...                      "ended_at": ["2026-03-01T04:01:01Z"]})
    >>> rows = rows.astype({c: "datetime64[us, UTC]" for c in ("started_at", "ended_at")})
    >>> notes = []
    >>> compare_with_clock(rows, notes, name="took")
    True
    >>> rows["duration"].tolist(), notes
    ([61.0], ["column 'took' is 1,000 times end minus start in 1 row, so it was read as ..."])
    """
    where_both, exact = _exact(rows)
    n = int(where_both.sum())
    if not n or exact:
        return n > 0
    both = _Both(rows, where_both, unit or 1.0)
    off = ~both.agree(both.duration, both.step)
    if not off.any():
        return True
    where = "in 1 row" if n == 1 else f"in all {n:,} rows"
    factor = None if said else _common_factor(both, off, name, unit)
    if factor and (not short_clock or factor == 1 / 60):
        if unit is not None and unit != 1 and not short_clock:
            raise Contradiction(
                f"column {name!r} is {_times(factor)} end minus start {where}, though its name "
                f"tells its unit; rename it, or correct start and end."
            )
        rows["duration"] = _scaled(rows["duration"], factor)
        what = "hours and minutes" if short_clock else _FACTORS[factor]
        notes.append(
            f"column {name!r} is {_times(factor)} end minus start {where}, so it was read as "
            f"{what}."
        )
        return True
    if short_clock:
        return False
    if not said:
        _stop_at_mixed_units(both, off, name)
    if _waits_explain(rows, both, off, notes, name, where) or _zones_explain(
        rows, both, notes, name, where
    ):
        return True
    apart = np.abs(both.duration - both.span)[off & both.forward]
    if apart.size:
        notes.append(
            f"column {name!r} differs from end minus start in {apart.size:,} of {n:,} rows, by up "
            f"to {apart.max():,.6g} s (median {np.median(apart):,.6g} s); {name!r} was taken for "
            "how long the jobs took, start and end for when they ran."
        )
    return not off.all()


def _times(factor: float) -> str:
    if factor > 1:
        return f"{factor:,.0f} times"
    return f"one {round(1 / factor):,}th of"


def _scaled(seconds: pd.Series, factor: float) -> pd.Series:
    return seconds / factor if factor > 1 else seconds * round(1 / factor)


def _common_factor(both: _Both, off: np.ndarray, name: str, told: float | None) -> float | None:
    """Find the one factor by which all rows agree; proven by a span beyond the clocks' steps."""
    spans = both.span[off]
    if not (spans > 0).any():
        return None
    ratio = np.median(both.duration[off][spans > 0] / spans[spans > 0])
    for factor, unit in _FACTORS.items():
        step = both.step / factor
        if not (both.agree(both.duration / factor, step).all() and factor / 3 < ratio < factor * 3):
            continue
        if (spans > 1.5 * both.tolerance(step)[off]).any():
            return factor
        if told is not None:
            return None
        short = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}.get(unit, unit)
        raise Contradiction(
            f"column {name!r} may be seconds or {unit}: beside start and end, which are too coarse "
            f"to tell, it looks like {unit}; say which with columns={{'duration_s': {name!r}}} or "
            f"{{'duration_{short}': {name!r}}} (in a shell: --column duration_s={name})."
        )
    return None


def _stop_at_mixed_units(both: _Both, off: np.ndarray, name: str) -> None:
    for factor, unit in _FACTORS.items():
        step = both.step / factor
        other = off & both.agree(both.duration / factor, step)
        other &= both.span > 3 * both.tolerance(step)
        if other.sum() < 2:
            continue
        if other.sum() > _MOST * off.sum() or (other | ~off).all():
            row = int(both.rows[other.argmax()])
            raise Contradiction(
                f"column {name!r} is {_times(factor)} end minus start, as if it were {unit}, in "
                f"{int(other.sum()):,} of {both.rows.size:,} rows, but not in the others; write "
                "all durations in one unit, or leave this column out.",
                row,
            )


def _waits_explain(
    rows: pd.DataFrame,
    both: _Both,
    off: np.ndarray,
    notes: MutableSequence[str],
    name: str,
    where: str,
) -> bool:
    """Notice that the duration counts the wait, or that the span does; waits are no part of it."""
    given = QUEUED_SECONDS in rows
    if given:
        waited = rows[QUEUED_SECONDS].to_numpy(dtype="float64")[both.rows]
    elif QUEUED_AT in rows:
        waited = (_micros(rows[STARTED_AT]) - _micros(rows[QUEUED_AT])) / 1e6
        waited = np.where(rows[QUEUED_AT].isna(), np.nan, waited)[both.rows]
    else:
        return False
    if np.isnan(waited[off]).any():
        return False
    waited = np.where(np.isnan(waited), 0.0, waited)
    if both.agree(both.duration - waited, both.step).all():
        rows.loc[rows.index[both.rows], "duration"] = both.span
        notes.append(
            f"column {name!r} counts the wait in the queue {where}; end minus start was taken for "
            "how long the jobs took."
        )
        return True
    if given and both.agree(both.duration + waited, both.step).all():
        began = rows[STARTED_AT].iloc[both.rows] + pd.to_timedelta(waited, unit="s").round("us")
        rows.loc[rows.index[both.rows], STARTED_AT] = began.astype(rows[STARTED_AT].dtype)
        notes.append(
            f"the start counts the wait in the queue {where}: end minus start is {name!r} plus "
            "the wait; the wait was added to the start."
        )
        return True
    return False


def _zones_explain(
    rows: pd.DataFrame, both: _Both, notes: MutableSequence[str], name: str, where: str
) -> bool:
    """Notice that start and end are of two time zones: they are off by quarters of an hour."""
    apart = both.span - both.duration
    quarters = np.rint(apart / _QUARTER) * _QUARTER
    close = np.abs(apart - quarters) <= np.minimum(both.tolerance(both.step), _QUARTER / 4)
    values = np.unique(quarters)
    same = values.size == 1 or (values.size == 2 and values[1] - values[0] == 3600)
    if not (close.all() and same and 0 not in values and np.abs(values).max() <= _LARGEST_ZONE):
        return False
    index = rows.index[both.rows]
    took = pd.to_timedelta(both.duration, unit="s").round("us")
    ended = rows.loc[index, STARTED_AT] + took
    rows.loc[index, ENDED_AT] = ended.astype(rows[ENDED_AT].dtype)
    hours = " or ".join(f"{value / 3600:+g} h" for value in values)
    notes.append(
        f"end minus start is off by {hours} from {name!r} {where}, as of clocks in two time zones; "
        f"the end was taken as the start plus {name!r}."
    )
    return True


def forget_unknown_moments(
    rows: pd.DataFrame,
    notes: MutableSequence[str],
    unknown: Callable[[pd.Series, pd.Series | None], np.ndarray],
) -> None:
    """Make moments that stand for "not known" missing, and ends years behind their starts.

    Parameters
    ----------
    rows : DataFrame
        It is changed.
    notes : list of str
        How many there were is added to it.
    unknown : callable
        :func:`~sklearn_jobtime.loaders._moments.unknown_moments`.
    """
    found = {}
    for name, other in ((STARTED_AT, ENDED_AT), (ENDED_AT, STARTED_AT), (QUEUED_AT, STARTED_AT)):
        if name in rows:
            found[name] = unknown(rows[name], rows.get(other))
    for name, where in found.items():
        if where.any():
            example = str(rows[name][where].iloc[0])[:19]
            rows[name] = rows[name].mask(where)
            what = {STARTED_AT: "start", ENDED_AT: "end"}.get(name, "time of queueing")
            notes.append(
                f"{_rows(where)}: the {what}, such as "
                f"{example}, stands for a moment that is not known."
            )
    if not {STARTED_AT, ENDED_AT} <= set(rows):
        return
    span = (rows[ENDED_AT] - rows[STARTED_AT]).dt.total_seconds()
    if not (long := (span > _YEAR_SECONDS)).any():
        return
    keys = [rows[key] for key in ("series", "job") if key in rows] or [np.zeros(len(rows))]
    usual = span.where(~long & (span >= 0)).groupby(keys, dropna=False)
    far = long & (usual.transform("count") >= 3) & (span > _OUTLIER * usual.transform("median"))
    if far.any():
        rows[ENDED_AT] = rows[ENDED_AT].mask(far)
        notes.append(
            f"{_rows(far)}: an end more than a year after the "
            "start, and over 100 times as long as the other runs take, was taken as not known."
        )
