"""The file for Prometheus is read by Prometheus' own parser, with whatever names."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.alerts import Asked, Ledger, causes_of, look_at, metrics_text
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.runs import make_targets

parser = pytest.importorskip("prometheus_client.parser")

HOSTILE = ['<script>alert("1")</script>', 'a\\b"c\nd', "[red]", 'größe {x="1"} 1 2', "NaN"]


def test_every_figure_is_a_gauge_with_its_unit_and_hostile_names_stay_labels():
    runs = make_job_runs(40, n_jobs=1, n_series=len(HOSTILE), failure_rate=0, random_state=0)
    job = HOSTILE[1]
    runs = runs.rename(columns=lambda name: name.replace("job_0", job))
    series = runs.index.get_level_values(0)
    names = dict(zip(series.unique(), HOSTILE, strict=True))
    runs.index = pd.MultiIndex.from_arrays([series.map(names), runs.index.get_level_values(1)])
    past = runs[runs.groupby(level=0).cumcount() < 30]
    model = ConformalForecaster(RollingRule()).fit(past, make_targets(past, jobs=[job]))
    now = runs["started_at"].max() + pd.Timedelta("40D")
    asked = Asked(["1min"], now, ZoneInfo("UTC"), refit_after=1.0)
    night = look_at(model, runs, [job], asked)
    causes = causes_of(night, asked, model, runs["ended_at"].min())
    ledger = Ledger(until=now).then("tonight", now, causes)
    text = metrics_text(night, ledger, model).decode()
    families = list(parser.text_string_to_metric_families(text))
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)
    units = ("_seconds", "_ratio", "_runs", "alarms")
    assert all(f.name.startswith("jobtime_") and f.name.endswith(units) for f in families)
    samples = [sample for family in families for sample in family.samples]
    keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(set(keys)) == len(keys)
    assert all(np.isfinite(sample.value) for sample in samples)
    said = {(s.labels["series"], s.labels["job"]): s.value for s in samples
            if s.name == "jobtime_forecast_seconds"}  # fmt: skip
    table = night.forecasts
    for label, row in table[table["step"] == 1].iterrows():
        assert said[label[0], row["job"]] == pytest.approx(row["seconds"])
    assert {name for name, _ in said} == set(HOSTILE)
    open_now = {s.labels["kind"]: s.value for s in samples if s.name == "jobtime_alarms"}
    assert open_now["data_not_fresh"] == open_now["refit_due"] == 1
    assert open_now["missed_deadline"] == len(HOSTILE)
