"""Alarms of a nightly run: one for each cause, for as long as it lasts."""

from sklearn_jobtime.alerts._alerts_json import alerts_record, write_alerts
from sklearn_jobtime.alerts._causes import causes_of
from sklearn_jobtime.alerts._ledger import Alarm, Ledger
from sklearn_jobtime.alerts._metrics import metrics_text, write_metrics
from sklearn_jobtime.alerts._night import Asked, Night, look_at

__all__ = [
    "Alarm",
    "Asked",
    "Ledger",
    "Night",
    "alerts_record",
    "causes_of",
    "look_at",
    "metrics_text",
    "write_alerts",
    "write_metrics",
]
