"""What happened in a night: what was skipped, what never came, and what had not happened yet."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.graph import job_graph
from sklearn_jobtime.landing._nights import Nights
from sklearn_jobtime.landing._precedence import Precedence

JOBS = ["a", "b", "c"]
CHAIN = Precedence.of(job_graph("a>b>c"), JOBS)
START = pd.Timestamp("2026-01-01T02:00", tz="UTC")
nan = np.nan


def night(starts, durations, statuses=("success",) * 3, ended=nan):
    runs = pd.DataFrame(
        {"started_at": [START], "ended_at": [START + pd.Timedelta(ended, unit="s")]}
    )
    for job, start, took, status in zip(JOBS, starts, durations, statuses, strict=True):
        runs[f"{job}__started_at"] = START + pd.to_timedelta([start], unit="s")
        runs[job], runs[f"{job}__status"] = took, status
    return Nights.of(runs, None, CHAIN)


def test_a_step_that_did_not_come_took_no_time_and_is_known_when_the_next_starts():
    found = night([0, nan, 70], [60, nan, 30], ("success", None, "success"), ended=100)
    assert found.ends.tolist() == [[60.0, 70.0, 100.0]]
    assert found.durations.tolist() == [[60.0, 0.0, 30.0]]
    assert found.as_of(0, 65.0).has_ended.tolist() == [True, False, False]
    assert found.as_of(0, 70.0).has_ended.tolist() == [True, True, False]


def test_a_last_step_that_did_not_come_is_known_when_the_run_ends():
    found = night([0, 60, nan], [60, 20, nan], ("success", "success", None), ended=80)
    assert found.ends.tolist() == [[60.0, 80.0, 80.0]]
    going_on = night([0, 60, nan], [60, 20, nan], ("success", "success", None))
    np.testing.assert_array_equal(going_on.ends, [[60.0, 80.0, nan]])


def test_what_a_failure_kept_from_starting_does_not_land():
    found = night([0, 60, nan], [60, 5, nan], ("success", "failed", "skipped"), ended=65)
    np.testing.assert_array_equal(found.ends, [[60.0, nan, nan]])
    assert np.isnan(found.run_end(0))
    assert found.as_of(0, 70.0).stopped.tolist() == [False, True, False]


def test_a_skipped_branch_lands_when_it_is_ready():
    found = night([0, nan, 62], [60, nan, 30], ("success", "skipped", "success"), ended=92)
    assert found.ends.tolist() == [[60.0, 60.0, 92.0]]


@pytest.mark.parametrize("now", [10.0, 61.0, 64.0])
def test_what_is_not_known_yet_changes_nothing(now):
    nights = [
        night([0, 60, nan], [60, 5, nan], ("success", "failed", "skipped"), ended=65),
        night([0, 60, 90], [60, 30, 30], ended=120),
        night([0, 60, nan], [60, nan, nan], ("success", None, None)),
    ]
    seen = [found.as_of(0, now) for found in nights]
    for other in seen[1:]:
        for name in ("started", "took", "stopped"):
            np.testing.assert_array_equal(getattr(other, name), getattr(seen[0], name))
