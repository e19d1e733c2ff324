"""The file of alarms for other programs."""

import json
from pathlib import Path
from typing import Any

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime._plain_json import plain_json
from sklearn_jobtime.alerts._ledger import SCHEMA, Ledger

__all__ = ["alerts_record", "write_alerts"]


def alerts_record(ledger: Ledger, *, date: str, zone: str, newest: Any) -> dict[str, Any]:
    """Give what ``alerts.json`` holds.

    Parameters
    ----------
    ledger : Ledger
    date, zone : str
        The date of the night, and the zone of the sentences.
    newest : Timestamp
        The newest end in the history.

    Returns
    -------
    dict
        `schema` (1), `date`, `timezone`, `newest`, `alarms` and `closed`: those that are open, and
        those that this night closed. Each has `id`, `kind`, `series` and `job` (null: all of them),
        `direction`, `run` and `since` (its first run, and when that started), `nights`,
        `quiet_nights`, `new`, `sentence`, `numbers` (by name a `value` and its `unit`: seconds,
        ratio, runs) and `times` (ISO 8601, UTC).
    """
    return plain_json(
        {
            "schema": SCHEMA,
            "date": date,
            "timezone": zone,
            "newest": newest,
            "alarms": [alarm.record() for alarm in ledger.alarms],
            "closed": [alarm.record() for alarm in ledger.closed],
        }
    )


def write_alerts(record: dict[str, Any], path: Path) -> None:
    """Write the file, whole or not at all."""
    with replacing(path) as new:
        new.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
