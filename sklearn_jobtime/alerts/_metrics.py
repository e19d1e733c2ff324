"""The figures of a night for Prometheus, in a file for its node exporter's textfile collector."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.alerts._cause import KINDS
from sklearn_jobtime.alerts._ledger import Ledger
from sklearn_jobtime.alerts._night import Night
from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.runs._schema import STARTED_AT, WHOLE_RUN

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

__all__ = ["metrics_text", "write_metrics"]


# Name without its prefix, what it says, its labels.
GAUGES = {
    "forecast_seconds": ("Forecast of the next run of a job.", "series job"),
    "forecast_lower_seconds": ("Lower bound of that forecast.", "series job"),
    "forecast_upper_seconds": ("Upper bound of that forecast.", "series job"),
    "next_start_timestamp_seconds": ("Expected start of the next run.", "series"),
    "next_end_timestamp_seconds": ("Expected end of the next run.", "series"),
    "landing_timestamp_seconds": ("When a job of the next run lands.", "series job"),
    "landing_lower_timestamp_seconds": ("Lower bound of that landing.", "series job"),
    "landing_upper_timestamp_seconds": ("Upper bound of that landing.", "series job"),
    "deadline_timestamp_seconds": ("Deadline of the next run.", "series"),
    "deadline_chance_ratio": ("Chance that it is done by its deadline.", "series"),
    "last_start_timestamp_seconds": ("Start of the newest run in the history.", "series"),
    "history_runs": ("Runs in the history.", "series"),
    "drift_ratio": ("Drift of the errors; 1 and -1 are alarms.", "job"),
    "nominal_coverage_ratio": ("Share of runs that the bounds are to hold for.", ""),
    "model_fitted_until_timestamp_seconds": ("Newest end that the fit knew.", ""),
    "model_updated_until_timestamp_seconds": ("Newest end that the model knows.", ""),
    "alarms": ("Open alarms.", "kind"),
    "new_alarms": ("Alarms that are new since the night before.", "kind"),
    "alarm_since_timestamp_seconds": ("When the cause of an open alarm began.", "kind series job"),
}
Sample = tuple[str, list[str], float]


def metrics_text(night: Night, ledger: Ledger, model: ConformalForecaster) -> bytes:
    """Write the figures of a night in the text format of Prometheus.

    Parameters
    ----------
    night : Night
    ledger : Ledger
        The alarms after it.
    model : ConformalForecaster
        The updated one.

    Returns
    -------
    bytes
        Gauges whose names begin with ``jobtime_`` and end with their unit; what is not known or
        infinite is left out. The label `series` is empty where there is one without a name.
    """
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - an extra

    registry = CollectorRegistry()
    registry.register(_Figures([*_ahead(night), *_of_model(night, model), *_alarms(ledger)]))
    return generate_latest(registry)


def write_metrics(text: bytes, path: Path) -> None:
    """Write the file, whole or not at all: the collector may read it at any time."""
    with replacing(path) as new:
        new.write_bytes(text)


class _Figures:
    """What a registry of prometheus_client asks for metrics."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def collect(self) -> "Iterator[GaugeMetricFamily]":
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - an extra

        families = {
            name: GaugeMetricFamily(f"jobtime_{name}", said, labels=labels.split())
            for name, (said, labels) in GAUGES.items()
        }
        for name, labels, value in self._samples:
            if np.isfinite(value):
                families[name].add_metric(labels, value)
        yield from (family for family in families.values() if family.samples)


def _ahead(night: Night) -> Iterator[Sample]:
    """Give the figures of the next run of each series, and of the newest one."""
    table = night.forecasts[night.forecasts["step"] == 1]
    firsts: dict[str, Any] = {}
    for label, row in zip(table.index, table.to_dict("records"), strict=True):
        name = night.name_of(label)
        if firsts.setdefault(name, label) != label:
            continue
        series, job = night.series_label(name) or "", str(row["job"])
        yield "forecast_seconds", [series, job], row["seconds"]
        for bound in ("lower", "upper"):
            yield f"forecast_{bound}_seconds", [series, job], row.get(bound, np.nan)
        if job == WHOLE_RUN:
            yield "next_start_timestamp_seconds", [series], _epoch(row.get(STARTED_AT))
            yield "next_end_timestamp_seconds", [series], _epoch(row.get("ends_at"))
    for label, row in zip(night.risks.index, night.risks.to_dict("records"), strict=True):
        name = night.name_of(label)
        if firsts.get(name) == label and row["job"] == WHOLE_RUN:
            series = night.series_label(name) or ""
            yield "deadline_timestamp_seconds", [series], _epoch(row.get("deadline_at"))
            yield "deadline_chance_ratio", [series], row["done_by"]
    for name, landing in night.landings.items():
        series = night.series_label(name) or ""
        for row in landing.to_dict("records"):
            labels = [series, str(row["job"])]
            yield "landing_timestamp_seconds", labels, _epoch(row["lands_at"])
            for bound in ("lower", "upper"):
                yield f"landing_{bound}_timestamp_seconds", labels, _epoch(row[f"{bound}_at"])
    for name, rows in night.rows_of_series.items():
        series = night.series_label(name) or ""
        yield "history_runs", [series], float(len(rows))
        if STARTED_AT in night.history:
            start = night.history[STARTED_AT].iloc[rows[-1]]
            yield "last_start_timestamp_seconds", [series], _epoch(start)


def _of_model(night: Night, model: ConformalForecaster) -> Iterator[Sample]:
    for row in night.update.jobs.to_dict("records"):
        yield "drift_ratio", [str(row["job"])], row["drift"]
    yield "nominal_coverage_ratio", [], model.confidence_level
    yield "model_fitted_until_timestamp_seconds", [], model.fitted_until_
    yield "model_updated_until_timestamp_seconds", [], model.updated_until_


def _alarms(ledger: Ledger) -> Iterator[Sample]:
    for kind in KINDS:
        own = [alarm for alarm in ledger.alarms if alarm.cause.kind == kind]
        yield "alarms", [kind], float(len(own))
        yield "new_alarms", [kind], float(sum(alarm.is_new for alarm in own))
    begun: dict[tuple[str, str, str], float] = {}
    for alarm in ledger.alarms:
        cause = alarm.cause
        key = cause.kind, cause.series or "", cause.job or ""
        begun[key] = min(begun.get(key, np.inf), _epoch(cause.since))
    for key, since in begun.items():
        yield "alarm_since_timestamp_seconds", list(key), since


def _epoch(moment: Any) -> float:
    """Seconds since 1970; NaN for what is not known."""
    return float("nan") if moment is None or pd.isna(moment) else pd.Timestamp(moment).timestamp()
