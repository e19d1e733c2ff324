"""Times that a source writes in its local zone, without naming it."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT

__all__ = ["localise", "zone_of"]


def zone_of(timezone: str) -> ZoneInfo:
    """Zone of a name of the IANA database.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._local_times import zone_of
    >>> zone_of("Europe/Berlin").key
    'Europe/Berlin'
    """
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"timezone={timezone!r} is not known; expected a name such as 'Europe/Berlin' or 'UTC'."
        ) from None


def localise(table: pd.DataFrame, columns: Sequence[str], timezone: str) -> None:
    """Take times that were read as UTC for those of a local clock, in place.

    In the hour that a clock repeats in autumn a time is the earlier of the two moments; an end
    that would be before its start, or that does not fit the duration, is the later one. A time
    that a clock skips in spring is the first moment after.

    Parameters
    ----------
    table : DataFrame
        Columns of UTC datetimes.
    columns : sequence of str
        Those that are local.
    timezone : str
        The zone.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._local_times import localise
    >>> table = pd.DataFrame({"started_at": pd.to_datetime(["2026-01-05T04:00Z"])})
    >>> localise(table, ["started_at"], "Europe/Berlin")
    >>> table["started_at"].iloc[0]
    Timestamp('2026-01-05 03:00:00+0000', tz='UTC')
    """
    zone = zone_of(timezone)
    for name in columns:
        local = table[name].dt.tz_localize(None)
        early, late = (
            local.dt.tz_localize(
                zone, ambiguous=[is_summer] * len(local), nonexistent="shift_forward"
            )
            .dt.tz_convert("UTC")
            .dt.as_unit("us")
            for is_summer in (True, False)
        )
        table[name] = early
        if name != ENDED_AT or STARTED_AT not in table or early.equals(late):
            continue
        start = table[STARTED_AT]
        is_later = early < start
        if "duration" in table:
            wanted = table["duration"]
            off = [((end - start).dt.total_seconds() - wanted).abs() for end in (early, late)]
            is_later |= off[1] < off[0]
        table[name] = early.where(~is_later, late)
