"""Which alarms are open: one for each cause while it lasts, remembered from night to night.

A night is a state of the history on a date. The same night once more starts from what was known
before it, so it says the same; one that did not come to its end counts as if it had not been.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime._plain_json import plain_json
from sklearn_jobtime.alerts._cause import KINDS, Cause
from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.runs._schema import WHOLE_RUN

__all__ = ["Alarm", "Ledger"]


SCHEMA = 1
FIRST_SAID_STAYS = ("level_shift",)  # its medians would wander as the new level becomes the old


@dataclass(frozen=True)
class Alarm:
    """A cause, and for how long it has been known.

    Parameters
    ----------
    cause : Cause
    nights : int
        On how many nights it was open, this one included.
    quiet : int
        The newest nights without a sign of it.
    is_new : bool
        Whether this is its first night.
    """

    cause: Cause
    nights: int = 1
    quiet: int = 0
    is_new: bool = True

    @property
    def id(self) -> str:
        """Name that stays the same for as long as the alarm is open, and is never given again."""
        told = [*map(str, self.cause.key), str(self.cause.since)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def record(self) -> dict[str, Any]:
        """Give it as one object of ``alerts.json``."""
        cause = self.cause
        return {
            "id": self.id,
            "kind": cause.kind,
            "series": cause.series,
            "job": cause.job,
            "direction": cause.direction,
            "run": cause.run,
            "since": cause.since,
            "nights": self.nights,
            "quiet_nights": self.quiet,
            "new": self.is_new,
            "sentence": cause.sentence,
            "numbers": {
                name: {"value": value, "unit": unit}
                for name, (value, unit) in cause.numbers.items()
            },
            "times": cause.times,
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Alarm":
        """Read one object of the file."""
        numbers = {
            name: (_number(one["value"]), one["unit"]) for name, one in record["numbers"].items()
        }
        times = {name: _time(moment) for name, moment in record["times"].items()}
        names = ("kind", "series", "job", "direction", "run", "sentence")
        cause = Cause(
            since=_time(record["since"]),
            numbers=numbers,
            times=times,
            **{name: record[name] for name in names},
        )
        return cls(cause, record["nights"], record["quiet_nights"], record["new"])


@dataclass(frozen=True)
class Ledger:
    """The alarms of the newest night, and what it takes to repeat that night.

    Parameters
    ----------
    night : str or None
        The date and the newest end in the history; None: there was none yet.
    new_from, until : Timestamp or None
        Runs that ended between them were new on that night.
    before, alarms : list of Alarm
        Open before it, and after.
    closed : list of Alarm
        Those that it closed.
    """

    night: str | None = None
    new_from: Any = None
    until: Any = None
    before: list[Alarm] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    closed: list[Alarm] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """Read what was written; an empty one where there is no file.

        Raises
        ------
        SourceError
            When it is not such a file.
        """
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise SourceError(_unreadable(path, error)) from error
        try:
            if said["schema"] != SCHEMA:
                raise ValueError(f"schema {said['schema']!r}, expected {SCHEMA}")
            lists = {
                name: [Alarm.of_record(one) for one in said[name]]
                for name in ("before", "alarms", "closed")
            }
            return cls(said["night"], _time(said["new_from"]), _time(said["until"]), **lists)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(_unreadable(path, error)) from error

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        said = {
            "schema": SCHEMA,
            "night": self.night,
            "new_from": self.new_from,
            "until": self.until,
            **{
                name: [alarm.record() for alarm in getattr(self, name)]
                for name in ("before", "alarms", "closed")
            },
        }
        with replacing(path) as new:
            new.write_text(json.dumps(plain_json(said), indent=1) + "\n", encoding="utf-8")

    def starts_from(self, night: str, known: pd.Timestamp) -> tuple["Ledger", bool]:
        """Give the ledger that a night starts from, and whether the same night has ended before.

        Parameters
        ----------
        night : str
        known : Timestamp
            Until when the stored model is updated. A night writes its model last, so one whose
            model lacks its runs was cut off.

        Returns
        -------
        Ledger, bool
        """
        if self.night is None:
            return Ledger(until=known), False
        has_ended = self.until is not None and self.until <= known
        if night == self.night or not has_ended:
            return Ledger(
                until=self.new_from, alarms=self.before
            ), has_ended and night == self.night
        return self, False

    def then(self, night: str, until: pd.Timestamp, causes: Sequence[Cause]) -> "Ledger":
        """Give the ledger after a night that shows these causes."""
        found: list[Alarm] = []
        left = list(self.alarms)
        for cause in causes:
            if any(_same(cause, alarm.cause) for alarm in found):
                continue
            known = next((alarm for alarm in left if _same(cause, alarm.cause)), None)
            if known is None:
                found.append(Alarm(cause))
                continue
            left.remove(known)
            found.append(Alarm(_renewed(known.cause, cause), known.nights + 1, is_new=False))
        closed = []
        for alarm in left:
            older = replace(alarm, nights=alarm.nights + 1, quiet=alarm.quiet + 1, is_new=False)
            if older.quiet > KINDS[alarm.cause.kind] or _is_superseded(alarm, found):
                closed.append(alarm)
            else:
                found.append(older)
        return Ledger(night, self.until, until, list(self.alarms), found, closed)


def _same(one: Cause, other: Cause) -> bool:
    """Tell whether two signs are signs of one cause; a job and its whole run are odd together."""
    if one.key == other.key:
        return True
    return (
        one.kind == other.kind == "unusual_run"
        and (one.series, one.direction) == (other.series, other.direction)
        and WHOLE_RUN in (one.job, other.job)
    )


def _renewed(old: Cause, new: Cause) -> Cause:
    """Say what is known now of a cause that began earlier."""
    said = old if old.kind in FIRST_SAID_STAYS else new
    return replace(said, job=old.job, since=old.since, run=old.run)


def _is_superseded(alarm: Alarm, found: Sequence[Alarm]) -> bool:
    """Tell whether unusual runs turned out to be the beginning of a shift."""
    cause = alarm.cause
    return cause.kind == "unusual_run" and any(
        other.cause.kind == "level_shift"
        and (other.cause.series, other.cause.direction) == (cause.series, cause.direction)
        for other in found
    )


def _time(text: Any) -> Any:
    return None if text is None else pd.Timestamp(text)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _unreadable(path: Path, error: Exception) -> str:
    return (
        f"{path}: cannot be read as the alarms of earlier nights ({error}); remove it to begin "
        "anew, which tells open alarms once more."
    )
