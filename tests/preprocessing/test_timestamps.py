import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_jobtime import TimestampToNumeric
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.preprocessing._timestamps import calendar_turns, seconds_since_previous

DATA = Path(__file__).parents[3] / "shared" / "data"
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
CYCLES = ["hour", "weekday", "monthday", "month"]
quick = settings(deadline=None, max_examples=30)

# Years in which float seconds hold every microsecond.
stamps = st.datetimes(datetime(1700, 1, 1), datetime(2240, 1, 1), timezones=st.just(UTC))
modern = st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))


def table(*started, **more):
    return pd.DataFrame({"started_at": list(started), **more})


def turn_of(out, cycle, column="started_at"):
    sin, cos = out[f"{column}__{cycle}_sin"], out[f"{column}__{cycle}_cos"]
    return np.arctan2(sin, cos).to_numpy() / (2 * np.pi) % 1


def naive_turns(stamp, zone):
    """Read the fractions off a Python datetime, one by one."""
    wall = stamp.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    day = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    year = month.replace(month=1)
    next_month = (month + timedelta(days=32)).replace(day=1)
    week = day - timedelta(days=day.weekday())
    return {
        "hour": (wall - day) / timedelta(days=1),
        "weekday": (wall - week) / timedelta(days=7),
        "monthday": (wall - month) / (next_month - month),
        "month": (wall - year) / (year.replace(year=year.year + 1) - year),
    }


def naive_gaps(series, started):
    gaps = []
    for s, t in zip(series, started, strict=True):
        earlier = [u for r, u in zip(series, started, strict=True) if r == s and u < t]
        gaps.append(t - max(earlier) if earlier else np.nan)
    return gaps


@quick
@given(st.lists(stamps, min_size=1, max_size=8), st.sampled_from(["us", "ns"]))
def test_epoch_round_trip_is_exact_to_the_microsecond(times, unit):
    runs = pd.DataFrame({"started_at": pd.DatetimeIndex(times).as_unit(unit)})
    numeric = TimestampToNumeric().fit(runs)
    out = numeric.transform(runs)
    assert out["started_at"].dtype == np.float64
    pd.testing.assert_frame_equal(numeric.inverse_transform(out), runs)


@quick
@given(st.lists(modern, min_size=1, max_size=8), st.sampled_from(ZONES))
def test_features_do_not_depend_on_the_form_of_the_input(times, zone):
    aware = pd.Series(times).dt.tz_convert(zone)
    naive = pd.Series(times).dt.tz_localize(None)
    forms = {
        "aware": aware,
        "naive": naive,
        "nanoseconds": naive.astype("datetime64[ns]"),
        "objects": pd.Series(times, dtype=object),
        "mixed zones": pd.Series(
            [t.astimezone(ZoneInfo(z)) for t, z in zip(times, ZONES * 2, strict=False)],
            dtype=object,
        ),
        "iso": pd.Series([t.isoformat() for t in aware]),
        "iso naive": pd.Series([t.isoformat() for t in naive], dtype=object),
        "iso Z": pd.Series([t.isoformat().replace("+00:00", "Z") for t in times], dtype="category"),
        "numbers": pd.Series([t.timestamp() for t in times]),
        "numbers as objects": pd.Series([t.timestamp() for t in times], dtype=object),
        "nullable": pd.Series([t.timestamp() for t in times], dtype="Float64"),
    }
    numeric = TimestampToNumeric(timezone="America/New_York")
    expected = numeric.fit_transform(forms["numbers"].to_frame("started_at"))
    for name, form in forms.items():
        out = numeric.fit_transform(form.to_frame("started_at"))
        pd.testing.assert_frame_equal(out, expected, obj=name, check_exact=True)


@quick
@given(st.lists(modern, min_size=1, max_size=8), st.sampled_from(ZONES))
def test_calendar_equals_a_naive_reading_and_lies_on_the_circle(times, zone):
    out = TimestampToNumeric(timezone=zone).fit_transform(table(*times))
    for cycle in CYCLES:
        sin, cos = out[f"started_at__{cycle}_sin"], out[f"started_at__{cycle}_cos"]
        np.testing.assert_allclose(sin**2 + cos**2, 1, rtol=1e-12)
        expected = np.array([naive_turns(t, zone)[cycle] for t in times])
        np.testing.assert_allclose(sin, np.sin(2 * np.pi * expected), atol=1e-9)
        np.testing.assert_allclose(cos, np.cos(2 * np.pi * expected), atol=1e-9)


@quick
@given(st.integers(1971, 2036), st.sampled_from(["D", "W-MON", "MS", "YS"]))
def test_calendar_is_continuous_where_a_cycle_ends(year, freq):
    ends = pd.date_range(f"{year}-01-01", f"{year + 1}-01-01", freq=freq, tz="UTC")
    step = pd.Timedelta(milliseconds=1)
    features = TimestampToNumeric(since_previous=False)
    at = features.fit_transform(pd.DataFrame({"started_at": ends}))
    before = features.fit_transform(pd.DataFrame({"started_at": ends - step}))
    np.testing.assert_allclose(
        at.drop(columns="started_at"), before.drop(columns="started_at"), atol=1e-6
    )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_job_in_local_time_keeps_its_hour_when_the_clocks_change(zone):
    nights = pd.date_range("2026-01-01 04:00", "2026-12-31 04:00", freq="D", tz=zone)
    runs = pd.DataFrame({"started_at": nights.tz_convert("UTC")})
    local = TimestampToNumeric(timezone=zone).fit_transform(runs)
    np.testing.assert_allclose(turn_of(local, "hour"), 4 / 24)
    assert sorted(local["started_at__since_previous"].dropna().unique() / 3600) == [23, 24, 25]
    utc = TimestampToNumeric().fit_transform(runs)
    assert len(np.unique(turn_of(utc, "hour").round(6))) == 2
    np.testing.assert_array_equal(utc["started_at"], local["started_at"])


def test_the_hour_that_comes_twice_has_the_same_wall_clock():
    twice = pd.to_datetime(["2026-10-25T00:30Z", "2026-10-25T01:30Z"])
    out = TimestampToNumeric(timezone="Europe/Berlin").fit_transform(table(*twice))
    np.testing.assert_allclose(turn_of(out, "hour"), 2.5 / 24)
    assert out["started_at"].diff().iloc[1] == 3600


@quick
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.integers(0, 6), st.none())), max_size=12)
)
def test_gaps_equal_a_naive_loop(rows):
    series = pd.Index([s for s, _ in rows], dtype=object)
    started = np.array([np.nan if t is None else t for _, t in rows], dtype=float)
    expected = np.array(naive_gaps(list(series), list(started)), dtype=float)
    np.testing.assert_array_equal(seconds_since_previous(series, started), expected)


@quick
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=2, max_size=10),
    st.data(),
)
def test_a_split_table_has_the_gaps_of_the_whole(rows, data):
    rows = sorted(rows, key=lambda row: row[1])
    index = pd.MultiIndex.from_tuples([(s, i) for i, (s, _) in enumerate(rows)])
    runs = pd.DataFrame({"started_at": [float(t) for _, t in rows]}, index=index)
    whole = TimestampToNumeric().fit(runs)
    expected = whole.transform(runs)["started_at__since_previous"]
    head = data.draw(st.integers(1, len(rows) - 1))
    later = TimestampToNumeric().fit(runs[:head]).transform(runs[head:])
    pd.testing.assert_series_equal(later["started_at__since_previous"], expected[head:])
    again = whole.transform(runs[head:])
    pd.testing.assert_series_equal(again["started_at__since_previous"], expected[head:])
    pd.testing.assert_series_equal(
        expected.reset_index(drop=True),
        pd.Series(naive_gaps([s for s, _ in rows], [t for _, t in rows]), dtype=float),
        check_names=False,
    )


def test_changing_an_end_changes_only_its_own_outcome():
    runs = table(0.0, 60.0, 90.0, ended_at=[50.0, 100.0, np.nan])
    changed = runs.assign(ended_at=[55.0, np.nan, 500.0])
    numeric = TimestampToNumeric().fit(runs)
    outcomes = ["ended_at", "ended_at__elapsed"]
    known = numeric.transform(runs).drop(columns=outcomes)
    pd.testing.assert_frame_equal(known, numeric.transform(changed).drop(columns=outcomes))
    assert list(known) == [c for c in known if c.startswith("started_at")]


def test_elapsed_is_the_time_of_the_whole_run():
    started = pd.to_datetime(["2026-03-29T00:30Z", "2026-03-30T00:30Z"])
    runs = table(*started, ended_at=[started[0] + pd.Timedelta(hours=2), pd.NaT])
    out = TimestampToNumeric(timezone="Europe/Berlin").fit_transform(runs)
    np.testing.assert_array_equal(out["ended_at__elapsed"], [7200, np.nan])
    assert [c for c in out if c.startswith("ended_at__")] == ["ended_at__elapsed"]


@pytest.mark.parametrize("nothing", [None, pd.NaT, "", "  ", np.nan])
def test_missing_stays_nan_in_every_feature(nothing):
    runs = pd.DataFrame({"started_at": pd.Series(["2026-01-01", nothing], dtype=object)})
    out = TimestampToNumeric().fit_transform(runs)
    assert out.iloc[1].isna().all()
    assert out.iloc[0].drop("started_at__since_previous").notna().all()
    alone = TimestampToNumeric().fit_transform(runs[1:])
    assert alone.isna().all(axis=None)


def test_columns_are_found_and_the_others_pass():
    runs = pd.DataFrame(
        {
            "event": ["push", None],
            "ended_at": [None, "2026-01-02T01:00Z"],
            "queued": pd.to_datetime(["2026-01-01", "2026-01-02"]).as_unit("s"),
            "size": pd.array([1, None], dtype="Int64"),
            "started_at": ["2026-01-01T00:30Z", "2026-01-02T00:30Z"],
        },
        index=pd.Index([7, 3], name="run"),
    )
    before = runs.copy(deep=True)
    numeric = TimestampToNumeric().fit(runs)
    out = numeric.transform(runs)
    assert numeric.columns_ == ["started_at", "ended_at", "queued"]
    assert list(out)[:5] == list(runs)
    assert list(out) == list(numeric.get_feature_names_out())
    passed = runs[["event", "size"]].astype({"size": "float64"})  # in a type of NumPy's
    pd.testing.assert_frame_equal(out[["event", "size"]], passed)
    pd.testing.assert_index_equal(out.index, runs.index)
    assert out["queued__elapsed"].tolist() == [-1800.0, -1800.0]
    pd.testing.assert_frame_equal(runs, before)
    back = numeric.inverse_transform(out)
    assert list(back) == list(runs)
    assert back["queued"].dtype == runs["queued"].dtype
    pd.testing.assert_series_equal(
        back["ended_at"], pd.to_datetime(runs["ended_at"]).dt.as_unit("us")
    )


@pytest.mark.parametrize("unwanted", [*CYCLES, "since_previous", "elapsed"])
def test_each_feature_can_be_switched_off(unwanted):
    runs = table(0.0, 60.0, ended_at=[1.0, 61.0])
    every = TimestampToNumeric().fit_transform(runs)
    fewer = TimestampToNumeric(**{unwanted: False}).fit_transform(runs)
    gone = [
        name
        for name in every
        if name.split("__")[-1].removesuffix("_sin").removesuffix("_cos") == unwanted
    ]
    assert len(gone) == (2 if unwanted in CYCLES else 1)
    pd.testing.assert_frame_equal(fewer, every.drop(columns=gone))


def test_arrays_take_every_column_or_those_asked_for():
    epoch = np.array([[0.0, 30.0], [86400.0, 86490.0]])
    numeric = TimestampToNumeric()
    out = numeric.fit_transform(epoch)
    frame = numeric.fit_transform(pd.DataFrame(epoch, columns=["started_at", "ended_at"]))
    assert isinstance(out, np.ndarray)
    np.testing.assert_array_equal(out, frame)
    names = TimestampToNumeric().fit(epoch).get_feature_names_out()
    assert list(names[[0, 1, 2, -1]]) == ["x0", "x1", "x0__hour_sin", "x1__elapsed"]
    one = TimestampToNumeric([1], month=False, monthday=False, weekday=False).fit(epoch)
    assert list(one.get_feature_names_out())[2:] == [
        "x1__hour_sin",
        "x1__hour_cos",
        "x1__since_previous",
    ]
    np.testing.assert_array_equal(TimestampToNumeric([]).fit_transform(epoch), epoch)
    np.testing.assert_array_equal(numeric.fit(epoch).inverse_transform(out), epoch)
    dates = epoch.astype("datetime64[s]")
    by_date = TimestampToNumeric().fit(dates)
    np.testing.assert_array_equal(by_date.transform(dates), out)
    np.testing.assert_array_equal(by_date.inverse_transform(out), dates)


def test_output_is_writeable_and_the_read_only_input_untouched():
    epoch = np.array([[0.0, 30.0], [86400.0, 86490.0]])
    epoch.setflags(write=False)
    for numeric in (TimestampToNumeric(), TimestampToNumeric([])):
        out = numeric.fit_transform(epoch)
        out[:] = -1
    assert epoch[0, 1] == 30.0


def test_set_output_clone_pickle_and_pipeline():
    runs = table(0.0, 60.0, ended_at=[1.0, 61.0])
    numeric = TimestampToNumeric(timezone="Asia/Kolkata").fit(runs)
    expected = numeric.transform(runs)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(numeric)).transform(runs), expected)
    pd.testing.assert_frame_equal(clone(numeric).fit_transform(runs), expected)
    framed = TimestampToNumeric().set_output(transform="pandas").fit_transform(runs.to_numpy())
    assert isinstance(framed, pd.DataFrame)
    pipe = make_pipeline(TimestampToNumeric()).set_output(transform="pandas")
    assert list(pipe.fit_transform(runs)) == list(pipe.get_feature_names_out())


@pytest.mark.parametrize(
    ("started", "words"),
    [
        (["2026-01-01", "soon"], ["'started_at'", "row 1", "'soon'", "ISO 8601"]),
        (
            ["2026-01-01T00:00Z", "2026-01-01T00:00"],
            ["row 0", "row 1", "without a zone", "utc=True"],
        ),
        ([datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)], ["without a zone"]),
        ([1.0, "2026-01-01"], ["a number", "mixes"]),
        ([1.7e12, 1.8e12], ["row 0", "milliseconds"]),
    ],
)
def test_errors_name_the_place_and_the_remedy(started, words):
    with pytest.raises(RunTableError) as error:
        TimestampToNumeric().fit(table(*started))
    for word in words:
        assert word in str(error.value)


def test_other_errors():
    with pytest.raises(ValueError, match="infinity"):
        TimestampToNumeric().fit(table(1.0, np.inf))
    with pytest.raises(TypeError, match=r"row 1.*got Timedelta"):
        TimestampToNumeric().fit(table("2026-01-01", pd.Timedelta(1)))
    with pytest.raises(ValueError, match="IANA"):
        TimestampToNumeric(timezone="Mars/Base").fit(table(1.0))
    with pytest.raises(RunTableError, match=r"'queued_at'.*no column"):
        TimestampToNumeric(["queued_at"]).fit(table(1.0))
    with pytest.raises(RunTableError, match="twice"):
        TimestampToNumeric().fit(pd.DataFrame([[1.0, 2.0]], columns=["started_at"] * 2))
    with pytest.raises(ValueError, match="0 rows"):
        TimestampToNumeric().fit(table())
    numeric = TimestampToNumeric().fit(table(1.0))
    with pytest.raises(RunTableError, match="transform a table twice"):
        clone(numeric).fit(numeric.transform(table(1.0)))
    with pytest.raises(ValueError, match="features"):
        numeric.inverse_transform(table(1.0))


def test_a_table_without_times_passes():
    runs = pd.DataFrame({"build": [1.0, 2.0], "event": ["push", "pull"]})
    numeric = TimestampToNumeric()
    pd.testing.assert_frame_equal(numeric.fit_transform(runs), runs)
    pd.testing.assert_frame_equal(numeric.inverse_transform(runs), runs)


def test_other_kinds_of_indexes_and_names():
    runs = pd.DataFrame([[0.0, 1.0], [60.0, 2.0]])
    assert list(TimestampToNumeric([0]).fit_transform(runs))[:3] == ["x0", "x1", "x0__hour_sin"]
    index = pd.MultiIndex.from_tuples([("a", "x", 1), ("a", "y", 1), ("a", "x", 2)])
    three = pd.DataFrame({"started_at": [0.0, 10.0, 60.0]}, index=index)
    gaps = TimestampToNumeric().fit(three).transform(three)["started_at__since_previous"]
    np.testing.assert_array_equal(gaps, [np.nan, np.nan, 60.0])


def test_turns_stay_below_one():
    seconds = 1.7e9 + np.arange(200_000) * 977.0
    turns = calendar_turns(seconds, "Europe/Berlin")
    for turn in turns.values():
        assert ((turn >= 0) & (turn < 1)).all()


@pytest.mark.skipif(not DATA.exists(), reason="the shared real data is not here")
def test_a_real_log():
    runs = pd.read_csv(DATA / "ocp_periodic_e2e.csv.gz")
    out = TimestampToNumeric().fit_transform(runs)
    assert (out["started_at__since_previous"].dropna() > 0).all()
    np.testing.assert_allclose(out["ended_at__elapsed"], runs["duration_s"], atol=1)
    assert 1 < out["started_at__since_previous"].median() / 3600 < 2
