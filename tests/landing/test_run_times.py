"""Run tables as arrays, and one table at the end: what an update of a run under way costs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.landing import LandingForecaster, landing_table
from sklearn_jobtime.landing._run_times import read_run_times
from sklearn_jobtime.runs import STATUSES, job_starts, make_targets, observed_durations

JOBS = ["load", "report"]
START = pd.Timestamp("2026-03-01T04:00Z")
SECONDS = st.none() | st.floats(0, 1e5) | st.just(np.inf)
STATUS = st.none() | st.sampled_from(STATUSES)
WHEN = st.none() | st.integers(0, 10**5)


def moments(seconds, form):
    times = [pd.NaT if s is None else START + pd.Timedelta(s, unit="s") for s in seconds]
    column = pd.Series(times, dtype="datetime64[us, UTC]")
    if form == "text":
        return column.map(lambda time: None if pd.isna(time) else time.isoformat())
    return column.dt.tz_convert("Asia/Tokyo") if form == "zone" else column


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(SECONDS, STATUS, WHEN, SECONDS, STATUS, WHEN, WHEN), min_size=1),
    has=st.sets(st.sampled_from(["status", "started_at", "ended_at"])),
    form=st.sampled_from(["text", "zone", "utc"]),
)
def test_arrays_say_what_the_table_says(rows, has, form):
    columns = [list(column) for column in zip(*rows, strict=True)]
    runs = pd.DataFrame({"started_at": moments([0] * len(rows), form)})
    if "ended_at" in has:
        runs["ended_at"] = moments(columns[6], form)
    for k, job in enumerate(JOBS):
        runs[job] = pd.Series(columns[3 * k], dtype="float64")
        if "status" in has:
            runs[f"{job}__status"] = pd.Series(columns[3 * k + 1], dtype=object)
        if "started_at" in has:
            runs[f"{job}__started_at"] = moments(columns[3 * k + 2], form)
    found = read_run_times(runs, JOBS)
    assert found.has_starts == ("started_at" in has)
    expected = observed_durations(runs, JOBS)
    np.testing.assert_array_equal(found.durations, expected[JOBS])
    for k, job in enumerate(JOBS):
        offset = (job_starts(runs, job) - START).dt.total_seconds()
        np.testing.assert_array_equal(found.starts[:, k], offset)
        for row in range(len(rows)):
            status = columns[3 * k + 1][row] if "status" in has else None
            seconds = runs[job].iloc[row]
            failed = status in ("failed", "timeout", "cancelled")
            failed = failed or (np.isinf(seconds) and status != "skipped")
            stop = (seconds if np.isfinite(seconds) else 0.0) if failed else np.nan
            np.testing.assert_equal(found.stops[row, k], stop)
            assert found.skipped[row, k] == (status == "skipped")
    ends = [s if "ended_at" in has and s is not None else np.nan for s in columns[6]]
    np.testing.assert_array_equal(found.whole, ends)


def test_a_job_that_is_missing_or_no_seconds_is_an_error():
    runs = pd.DataFrame({"load": [True], "report": [1.0]})
    with pytest.raises(RunTableError, match="no column 'extract'"):
        read_run_times(runs, ["extract"])
    with pytest.raises(RunTableError, match="column 'load' holds"):
        read_run_times(runs, ["load"])


def made(monkeypatch, do):
    """How many tables and columns of pandas are made while something is done."""
    counts = dict.fromkeys((pd.DataFrame, pd.Series), 0)
    with monkeypatch.context() as patch:
        for cls in counts:
            init = cls.__init__

            def counted(self, *args, _cls=cls, _init=init, **kwargs):
                counts[_cls] += 1
                _init(self, *args, **kwargs)

            patch.setattr(cls, "__init__", counted)
        do()
    return counts[pd.DataFrame], counts[pd.Series]


@pytest.mark.parametrize("n_jobs", [2, 12])
def test_an_update_of_a_run_under_way_makes_one_table(monkeypatch, n_jobs):
    runs = make_job_runs(n_runs=60, n_jobs=n_jobs, starts=True, failure_rate=0, random_state=0)
    past = runs[:50]
    model = LandingForecaster(RollingRule(), n_paths=20, random_state=0)
    model.fit(past, make_targets(past))
    new = runs[50:]
    plans = model.plans(new)
    now = new["started_at"].iloc[-1] + pd.Timedelta("20min")
    one = made(
        monkeypatch,
        lambda: landing_table(model, new[-1:], now=now, deadlines=3600.0, plans=plans[-1:]),
    )
    many = made(
        monkeypatch, lambda: landing_table(model, new, now=now, deadlines=3600.0, plans=plans)
    )
    assert one[0] <= 3
    assert one == many
