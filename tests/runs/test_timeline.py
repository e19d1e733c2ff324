"""What was known at a moment, and rows for runs that have not started."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.exceptions import NoHistoryError, RunTableError
from sklearn_jobtime.runs import as_of, next_runs, split_by_time, validate_runs


def nightly(n_runs, hours=30.0):
    """Runs start every day and last `hours`, so that neighbours overlap when that is over 24."""
    started = pd.date_range("2026-03-01", periods=n_runs, freq="D", tz="UTC")
    return validate_runs(
        pd.DataFrame(
            {
                "started_at": started,
                "ended_at": started + pd.Timedelta(hours=hours),
                "build": np.arange(1.0, n_runs + 1),
                "build__status": "success",
                "size": np.arange(n_runs),
                "event": "push",
            }
        )
    )


def test_as_of_hides_what_had_not_ended():
    runs = nightly(4)
    known = as_of(runs, pd.Timestamp("2026-03-03T01:00Z"))
    assert known.index.tolist() == [0, 1, 2]
    assert known["build"].isna().tolist() == [False, True, True]
    assert known["build__status"].isna().tolist() == [False, True, True]
    assert known["ended_at"].isna().tolist() == [False, True, True]
    assert known["size"].tolist() == [0, 1, 2], "a covariate is known at the start"
    assert runs["build"].notna().all(), "the table itself is not changed"


def test_what_happens_later_changes_nothing_as_of_now():
    runs, when = nightly(6), pd.Timestamp("2026-03-04T01:00Z")
    altered = runs.copy()
    altered.loc[~(runs["ended_at"] <= when), ["build"]] = 999.0
    altered.loc[~(runs["ended_at"] <= when), "build__status"] = "failed"
    pd.testing.assert_frame_equal(as_of(runs, when), as_of(altered, when))


def test_as_of_needs_times():
    with pytest.raises(RunTableError, match="no column 'started_at'"):
        as_of(pd.DataFrame({"build": [1.0]}), pd.Timestamp("2026-03-04", tz="UTC"))


@pytest.mark.parametrize("n_runs", [2, 5, 40])
def test_a_split_is_one_moment_for_all(n_runs):
    runs = nightly(n_runs)
    train, is_test = split_by_time(runs, 0.2)
    assert is_test.sum() >= 1
    assert len(train) + is_test.sum() == n_runs
    cut = runs.loc[is_test, "started_at"].min()
    assert (train["started_at"] < cut).all()
    assert train.loc[train["build"].notna(), "ended_at"].le(cut).all()


def test_a_split_without_times_takes_each_series_apart():
    index = pd.MultiIndex.from_product([["a", "b"], range(5)])
    train, is_test = split_by_time(pd.DataFrame({"build": 1.0}, index=index), 0.4)
    assert is_test.tolist() == [False, False, False, True, True] * 2
    assert len(train) == 6


@pytest.mark.parametrize("runs", [nightly(1), nightly(1).drop(columns=["started_at", "ended_at"])])
def test_one_run_cannot_be_split(runs):
    with pytest.raises(NoHistoryError, match="at least two runs"):
        split_by_time(runs)


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_a_split_needs_a_share(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_by_time(nightly(4), share)


def test_the_next_run_comes_one_gap_later_and_knows_nothing():
    coming = next_runs(nightly(5))
    assert coming.index.tolist() == [5]
    assert coming["started_at"].tolist() == [pd.Timestamp("2026-03-06", tz="UTC")]
    assert coming.drop(columns="started_at").isna().all(axis=None)
    joined = validate_runs(pd.concat([nightly(5), coming]))
    assert joined["started_at"].is_monotonic_increasing


def test_given_dates_make_a_row_each_for_every_series():
    runs = nightly(3)
    both = validate_runs(pd.concat({"a": runs, "b": runs.set_axis(["x", "y", "z"])}))
    coming = next_runs(both, ["2026-04-01", "2026-04-02"])
    assert coming.index.tolist() == [("a", 3), ("a", 4), ("b", "next 1"), ("b", "next 2")]
    assert coming["started_at"].dt.day.tolist() == [1, 2, 1, 2]
    assert next_runs(runs, "2026-04-01").index.tolist() == [3]


def test_dates_need_a_column_and_must_be_dates():
    with pytest.raises(RunTableError, match="no column 'started_at'"):
        next_runs(pd.DataFrame({"build": [1.0]}), "2026-04-01")
    with pytest.raises(RunTableError, match="is not a time"):
        next_runs(nightly(3), "tonight")
    with pytest.raises(RunTableError, match="at least one time"):
        next_runs(nightly(3), [])
    assert next_runs(pd.DataFrame({"build": [1.0]})).isna().all(axis=None)
