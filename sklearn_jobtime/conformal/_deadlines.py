"""Deadlines as people write them, and how likely the next runs are to be done by them."""

import re
from collections.abc import Mapping, Sequence
from datetime import time
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import wall_moment
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.conformal._duration_distribution import DurationDistribution
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import DeadlineError, RunTableError
from sklearn_jobtime.runs._schema import STARTED_AT
from sklearn_jobtime.runs._timeline import later

__all__ = ["Deadlines", "deadline_of_series", "deadline_seconds", "next_risks"]


CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
DURATION = re.compile(r"(\d+(\.\d+)?\s*(s|sec|m|min|h)\s*)+")
FORMS = (
    "a time of the day such as 06:00, a moment such as 2026-03-01T02:00 or, with its offset from "
    "UTC, 2026-03-01T02:00+01:00, or a duration from the start of the run such as 45min"
)
Deadlines = str | Mapping[str | None, str] | Sequence[str] | None


def deadline_of_series(asked: Deadlines, names: Sequence[str]) -> list[str | None]:
    """Read deadlines as people type them: one for all, and others for series of their own.

    Parameters
    ----------
    asked : str, mapping, sequence of str or None
        ``"06:00"``, ``{"etl": "05:00", None: "06:00"}`` (None: all others) or
        ``["06:00", "etl=05:00"]``.
    names : sequence of str
        The series.

    Returns
    -------
    list of str or None

    Raises
    ------
    DeadlineError
        When a deadline is that of a series that is not there, or is empty.

    Examples
    --------
    >>> deadline_of_series(["06:00", "etl=05:00"], ["ci", "etl"])
    ['06:00', '05:00']
    """
    pairs: dict[str | None, str] = {}
    if isinstance(asked, Mapping):
        pairs = {name or None: text for name, text in asked.items()}
    else:
        for text in [asked] if isinstance(asked, str) else asked or []:
            name, _, limit = text.rpartition("=")
            pairs[name or None] = limit
    known = set(names)
    if unknown := [name for name in pairs if name is not None and name not in known]:
        shown = ", ".join(sorted(known)[:10])
        raise DeadlineError(
            f"a deadline of the series {unknown[0]!r} came, which is not in the table; expected "
            f"one of {shown}{', ...' if len(known) > 10 else ''}."
        )
    if any(text is not None and not text.strip() for text in pairs.values()):
        raise DeadlineError(f"'' came for a deadline; expected {FORMS}.")
    return [pairs.get(name, pairs.get(None)) for name in names]


def deadline_seconds(text: str, zone: ZoneInfo, forecasts: pd.DataFrame) -> Floats:
    """Seconds from the start of each run to a deadline: a clock time, a moment or a duration.

    Parameters
    ----------
    text : str
        ``06:00`` is the next one after the start, ``2026-03-01T06:00`` a moment, ``45min`` a
        duration from the start of the run.
    zone : ZoneInfo
        Whose clock shows the times that name no zone.
    forecasts : DataFrame
        With `started_at`, but for a duration.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    DeadlineError
        When the text is none of these.
    RunTableError
        When the table has no starts to count from.

    Examples
    --------
    >>> import pandas as pd
    >>> from zoneinfo import ZoneInfo
    >>> from sklearn_jobtime.conformal._deadlines import deadline_seconds
    >>> starts = pd.DataFrame({"started_at": pd.to_datetime(["2026-03-01T23:00Z"])})
    >>> [float(deadline_seconds(t, ZoneInfo("UTC"), starts)[0]) for t in ("01:00", "45min")]
    [7200.0, 2700.0]
    """
    if DURATION.fullmatch(text.strip()):
        return np.full(len(forecasts), pd.Timedelta(text).total_seconds())
    if STARTED_AT not in forecasts:
        raise RunTableError(
            f"the table has no column {STARTED_AT!r}, so {text!r} is no deadline for its runs; "
            "give a duration from the start of the run, such as 45min."
        )
    started = pd.Series(forecasts[STARTED_AT].array).dt.tz_convert(zone)
    if not CLOCK.fullmatch(text.strip()):
        moment = _moment(text, zone)
        return (moment - started).dt.total_seconds().to_numpy()
    try:
        at = time.fromisoformat(text.strip().zfill(8 if text.count(":") == 2 else 5))
    except ValueError:
        raise DeadlineError(f"{text!r} came for a deadline, which is no time of a day.") from None
    after_midnight = pd.Timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
    days = started.dt.tz_localize(None).dt.normalize()
    wall = {"ambiguous": np.ones(len(days), dtype=bool), "nonexistent": "shift_forward"}
    same, next_day = (
        (days + pd.Timedelta(days=later) + after_midnight).dt.tz_localize(zone, **wall)
        for later in (0, 1)
    )
    return (same.where(same > started, next_day) - started).dt.total_seconds().to_numpy()


def next_risks(
    model: ConformalForecaster,
    forecasts: pd.DataFrame,
    deadline: str,
    *,
    zone: ZoneInfo | None = None,
    now: pd.Timestamp | None = None,
    timeout_share: float = 0.01,
) -> pd.DataFrame:
    """Tell how likely the first run of each series to come is done by a deadline.

    Parameters
    ----------
    model : ConformalForecaster
        A fitted one.
    forecasts : DataFrame
        Of :func:`~sklearn_jobtime.forecasting.forecast` by this model.
    deadline : str
        As for :func:`deadline_seconds`.
    zone : ZoneInfo, default=None
        Whose clock shows it; None: UTC.
    now : Timestamp, default=None
        Runs that started before are running; None: no run has started.
    timeout_share : float, default=0.01
        See :meth:`DurationDistribution.table`.

    Returns
    -------
    DataFrame
        Rows of :meth:`DurationDistribution.table`, and `deadline_at` where the runs have times.
    """
    own = forecasts[forecasts["step"] == 1]
    limit = deadline_seconds(deadline, zone or ZoneInfo("UTC"), own)
    risks = DurationDistribution.from_forecaster(model).table(
        own,
        list(limit),
        now=now,
        confidence_level=model.confidence_level,
        timeout_share=timeout_share,
    )
    if "lower" in own:  # before the start, the range is that of the forecast
        waits = (risks["elapsed"] == 0).to_numpy()
        for end, bound in (("remaining_low", "lower"), ("remaining_high", "upper")):
            risks[end] = np.where(waits, own[bound], risks[end])
    if STARTED_AT in risks:
        risks["deadline_at"] = later(risks[STARTED_AT], risks["deadline"])
    return risks


def _moment(text: str, zone: ZoneInfo) -> pd.Timestamp:
    try:
        return wall_moment(text, zone)
    except (ValueError, TypeError):
        raise DeadlineError(f"{text!r} came for a deadline; expected {FORMS}.") from None
