"""Rows for runs to come are made for all series at once, as one series after another would."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime.forecasting import _appended
from sklearn_jobtime.runs import next_runs, retired_series, series_of
from sklearn_jobtime.runs._timeline import RETIRED_AFTER, RETIRED_GAPS, median_gaps


def gap_of_one(starts):
    if len(starts) == 1:
        return pd.Timedelta(0)
    return starts.sort_values().iloc[-21:].diff().median()


def is_retired(runs):
    """Look at one series after the other."""
    retired = []
    for code in series_of(runs.index):
        starts = runs["started_at"][series_of(runs.index) == code]
        gap = gap_of_one(starts)
        overdue = runs["started_at"].max() - starts.max() - gap
        retired.append(overdue > RETIRED_GAPS * gap and overdue > RETIRED_AFTER)
    return np.array(retired)


def coming_one_by_one(runs, dates):
    """Make the index and the starts of the runs to come, a series at a time."""
    labels, starts = [], []
    timed = "started_at" in runs
    if timed and dates is None and runs.index.nlevels > 1:
        runs = runs[~is_retired(runs)]
    if timed:
        runs = runs.iloc[np.lexsort((runs["started_at"], _appearance(runs)))]
    for code in dict.fromkeys(series_of(runs.index)):
        rows = runs[series_of(runs.index) == code]
        own = dates
        if timed and dates is None:
            own = [rows["started_at"].iloc[-1] + gap_of_one(rows["started_at"])]
        last = rows.index[-1]
        *series, label = last if isinstance(last, tuple) else (last,)
        for k in range(1 if own is None else len(own)):
            new = label + 1 + k if isinstance(label, int | np.integer) else f"next {k + 1}"
            labels.append((*series, new) if series else new)
        starts += own or []
    return labels, starts


def as_text(label):
    return [str(part) for part in label] if isinstance(label, tuple) else [str(label)]


def _appearance(runs):
    return pd.factorize(series_of(runs.index))[0]


@st.composite
def tables(draw):
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = rng.choice(["etl", "ci", None], n)
    labels = draw(st.sampled_from([np.arange(n), [f"r{k}" for k in range(n)]]))
    index = draw(
        st.sampled_from(
            [
                pd.Index(labels, name="run"),
                pd.MultiIndex.from_arrays([names, labels], names=["series", "run"]),
                pd.MultiIndex.from_arrays([names == "ci", rng.integers(0, 2, n), labels]),
            ]
        )
    )
    runs = pd.DataFrame({"build": rng.normal(size=n), "n": 1, "ok": True}, index=index)
    if draw(st.booleans()):
        days = rng.integers(0, draw(st.sampled_from([3, 60])), n)  # unsorted, with ties
        micros = days * 86_400_000_000 + rng.integers(0, 3, n)
        times = pd.to_datetime("2026-03-01", utc=True) + pd.to_timedelta(micros, unit="us")
        runs.insert(0, "started_at", times)
    return runs


@given(tables(), st.booleans())
def test_runs_to_come_are_those_of_each_series(runs, with_dates):
    dates = None
    if with_dates and "started_at" in runs:
        dates = list(pd.to_datetime(["2026-07-01", "2026-07-03"], utc=True))
    labels, starts = coming_one_by_one(runs, dates)
    coming = next_runs(runs, dates)
    assert [as_text(label) for label in coming.index] == [as_text(label) for label in labels]
    assert coming.index.names == runs.index.names
    assert coming.columns.tolist() == runs.columns.tolist()
    if "started_at" in runs:
        assert coming["started_at"].tolist() == starts
        assert coming["started_at"].dtype == runs["started_at"].dtype
    assert coming.drop(columns="started_at", errors="ignore").isna().all(axis=None)


@given(tables())
def test_gaps_and_retired_series_are_those_of_each_series(runs):
    if "started_at" not in runs:
        return
    series = series_of(runs.index)
    gaps = median_gaps(runs["started_at"], series)
    for code, gap in gaps.items():
        assert gap == gap_of_one(runs["started_at"][series == code])
    if runs.index.nlevels > 1:
        retired = is_retired(runs)
        assert len(retired_series(runs)) == len(set(series[retired]))


@pytest.mark.parametrize("names", [["b", "a", "b", None, "a"], [2, 1, 2, 1, 3]])
def test_series_are_numbered_as_they_appear(names):
    index = pd.MultiIndex.from_arrays([names, range(len(names))])
    np.testing.assert_array_equal(series_of(index), pd.factorize(index.droplevel(-1))[0])
    part = index[[1, 4, 2]]
    np.testing.assert_array_equal(series_of(part), pd.factorize(part.droplevel(-1))[0])


names_of_series = st.lists(st.sampled_from("abc"), min_size=1, max_size=6)


@given(past=names_of_series, ahead=names_of_series, has_text=st.booleans(), drop=st.booleans())
def test_an_index_goes_on_as_pandas_appends_it(past, ahead, has_text, drop):
    labels = np.arange(len(past) + len(ahead))
    labels = [f"run {label}" for label in labels] if has_text else labels
    whole = pd.MultiIndex.from_arrays([[*past, *ahead], labels], names=["series", "run"])
    one, other = whole[: len(past)], whole[len(past) :]
    if drop:
        one, other = one.remove_unused_levels(), other.remove_unused_levels()
    pd.testing.assert_index_equal(_appended(one, other), one.append(other))
    assert _appended(one, one).duplicated().sum() == len(one)
