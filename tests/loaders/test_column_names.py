"""Columns of any name, unit and type become the long table."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import USUAL, guess_columns, map_columns, unit_of
from sklearn_jobtime.loaders._mapped_long import mapped_long
from sklearn_jobtime.loaders._moments import since_utc
from sklearn_jobtime.loaders._typed_columns import typed_columns, typed_rows
from sklearn_jobtime.runs import pivot_runs
from sklearn_jobtime.runs._long_table import LONG_COLUMNS

START = datetime(2026, 3, 1, tzinfo=UTC)


def read(frame: pd.DataFrame, columns=None, **options) -> pd.DataFrame:
    mapping = map_columns(frame.columns, columns, source="a table")
    return mapped_long(typed_columns(frame, mapping, source="a table"), mapping=mapping, **options)


@pytest.mark.parametrize(
    ("columns", "guess"),
    [
        (
            "dag_id run_id task_id start_date end_date duration state",
            "series run job started_at ended_at duration status",
        ),
        (
            "Pipeline BuildNumber StepName StartTime FinishTime ElapsedMs Result",
            "series run job started_at ended_at duration status",
        ),
        ("JOB_NAME START_TS END_TS OUTCOME", "job started_at ended_at status"),
        ("workflow name startTimeMillis durationMillis", "series job started_at duration"),
        ("run_id job_name begin finished_at runtime_s", "run job started_at ended_at duration"),
        ("task queued_at started_at ended_at", "job queued_at started_at ended_at"),
    ],
)
def test_usual_names_are_guessed(columns, guess):
    found = {name: column for column, name in zip(columns.split(), guess.split(), strict=True)}
    assert guess_columns(columns.split()) == found
    assert guess_columns(reversed(columns.split())) == found


@pytest.mark.parametrize("name", USUAL)
def test_every_usual_name_is_found_whatever_its_case(name):
    for usual in USUAL[name].split():
        for written in (usual, usual.upper(), usual.title(), "_".join([usual[:3], usual[3:]])):
            assert guess_columns([written]) == {name: written}


def test_of_several_the_more_usual_is_taken():
    assert guess_columns(["status", "conclusion"])["status"] == "conclusion"
    assert guess_columns(["name", "job_name"])["job"] == "job_name"
    assert guess_columns(["duration_min", "duration"])["duration"] == "duration"
    assert guess_columns(["starting", "ms", "s", "jobs", "", "id", "created_at"]) == {}
    assert guess_columns(["start_min"]) == {}, "a count of minutes is no time"


@given(st.lists(st.text(max_size=8) | st.sampled_from(" ".join(USUAL.values()).split())))
def test_a_guess_takes_columns_of_the_table_once(columns):
    guess = guess_columns(columns)
    assert set(guess.values()) <= set(columns)
    assert len(set(guess.values())) == len(guess)


def test_what_the_user_chose_wins():
    columns = ["run_id", "no", "started", "ended", "state", "trigger"]
    mapping = map_columns(
        columns, {"run": "no", "status": None, "event": "trigger"}, source="a table"
    )
    assert mapping == {
        "run": "no", "event": "trigger", "started_at": "started", "ended_at": "ended",
    }  # fmt: skip
    both = map_columns(columns, {"series": "no", "run": "no"}, source="a table")
    assert (both["series"], both["run"]) == ("no", "no")


@pytest.mark.parametrize(
    ("columns", "chosen", "message"),
    [
        (["run", "job"], None, "a table: found no column for the start of a job among"),
        (["run", "start"], None, "no column for the end or the duration"),
        (["run", "end"], None, "no column for the start"),
        (["run", "duration"], None, "no column for the start"),
        (["start", "end"], {"ended_at": None}, "no column for the end or the duration"),
        (["start", "end"], {"run": "no"}, "has no column 'no' for 'run'; it has"),
        (["start", "end", "end"], None, "'end' stands twice"),
        ([], None, "found no column"),
    ],
)
def test_what_is_missing_is_told(columns, chosen, message):
    with pytest.raises(SourceError, match=message):
        map_columns(columns, chosen, source="a table")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("elapsed", 1), ("duration_s", 1), ("RunTimeSeconds", 1), ("took_ms", 1e-3),
        ("DURATION_MILLIS", 1e-3), ("duration_us", 1e-6), ("elapsedNanos", 1e-9),
        ("run_min", 60), ("duration (minutes)", 60), ("wall hours", 3600), ("", 1), ("items", 1),
    ],
)  # fmt: skip
def test_units_are_told_by_the_last_word(name, unit):
    assert unit_of(name) == unit


@settings(deadline=None)
@given(
    seconds=st.integers(0, 10**6),
    unit=st.sampled_from([("s", 1), ("ms", 1000), ("min", 1 / 60), ("hours", 1 / 3600)]),
    written=st.sampled_from([float, str, np.float32, Decimal]),
)
def test_durations_of_any_unit_and_type_are_seconds(seconds, unit, written):
    name, per_second = unit
    frame = pd.DataFrame({"start": [START], f"took_{name}": [written(seconds * per_second)]})
    tolerance = 1e-6 if written is np.float32 else 1e-12
    assert read(frame)["duration"].iloc[0] == pytest.approx(seconds, rel=tolerance)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_clock_durations_are_read(hours, minutes, seconds):
    text = f"{hours}:{minutes:02}:{seconds:02}"
    frame = pd.DataFrame({"start": [START, START], "elapsed": [text, ""]})
    found = read(frame)["duration"]
    assert sorted(found.dropna()) == [3600 * hours + 60 * minutes + seconds]


@pytest.mark.parametrize(
    "starts",
    [
        [START, None],
        pd.array(["2026-03-01T00:00:00Z", None]),
        ["2026-03-01T01:00:00+01:00", ""],
        [1_772_323_200, None],
        pd.array([1_772_323_200, None], dtype="Int64"),
        [datetime(2026, 3, 1), pd.NaT],
    ],
)
def test_starts_of_any_type_are_utc(starts):
    frame = pd.DataFrame({"run": [1, 2], "started": starts, "elapsed": [60.0, 60.0]})
    long = read(frame)
    assert long["started_at"].iloc[0] == START
    assert long["ended_at"].iloc[0] == START + timedelta(minutes=1)
    assert long["started_at"].isna().tolist() == [False, True]
    in_ms = frame.assign(started_ms=[1_772_323_200_000, None]).drop(columns="started")
    pd.testing.assert_series_equal(read(in_ms)["started_at"], long["started_at"])


def test_a_start_can_come_from_the_end():
    frame = pd.DataFrame({"run": [1], "finished": [START], "duration_min": [2]})
    assert read(frame)["started_at"].iloc[0] == START - timedelta(minutes=2)


@pytest.mark.parametrize("bad", [["soon", "2026-03-01"], [True, False]])
def test_what_is_no_time_is_named(bad):
    frame = pd.DataFrame({"start": bad, "elapsed": [1, 2]}, index=[7, 8])
    with pytest.raises(SourceError, match=r"a table: column 'start', row .*7.*: .* is not a time"):
        read(frame)


@pytest.mark.parametrize("bad", ["fast", "1;5", "1:xx"])
def test_what_is_no_duration_is_named(bad):
    frame = pd.DataFrame({"start": [START, START], "took": ["5", bad]}, index=[7, 8])
    with pytest.raises(SourceError, match=rf"a table: column 'took', row 8: '{bad}' is not a dur"):
        read(frame)


def test_a_table_without_runs_has_one_series_a_job():
    frame = pd.DataFrame(
        {
            "dag": ["etl", "etl", "etl", "ml"],
            "job": ["load", "load", "fit", "fit"],
            "start": [START, START, START, START + timedelta(microseconds=5)],
            "end": [START + timedelta(minutes=1)] * 4,
        }
    )
    long = read(frame)
    assert list(zip(long["series"], long["run"], long["job"], strict=True)) == [
        ("etl/fit", "2026-03-01T00:00:00Z", "fit"),
        ("etl/load", "2026-03-01T00:00:00Z", "load"),
        ("etl/load", "2026-03-01T00:00:00Z#2", "load"),
        ("ml/fit", "2026-03-01T00:00:00.000005Z", "fit"),
    ]
    assert set(read(frame.drop(columns="dag"))["series"]) == {"load", "fit"}
    assert pivot_runs(long).index.nlevels == 2
    later = read(frame, since=START + timedelta(microseconds=1))
    assert later["run"].tolist() == long["run"].tolist()[3:], "a name does not depend on others"


def test_a_table_without_jobs_or_series_has_one():
    frame = pd.DataFrame({"build": [1, 2], "start": [START] * 2, "elapsed": [1.0, 2.0]})
    long = read(frame)
    assert set(long["series"]) == {"history"}
    assert set(long["job"]) == {"job"}
    assert long["run"].tolist() == ["1", "2"]
    assert pivot_runs(long)["job"].tolist() == [1.0, 2.0]
    assert read(frame[["start", "elapsed"]])["run"].tolist() == [
        "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z#2",
    ]  # fmt: skip


def test_without_statuses_what_has_an_end_succeeded():
    frame = pd.DataFrame({"run": [1, 2], "start": [START] * 2, "end": [START, None]})
    assert read(frame)["status"].tolist() == ["success", None]


def test_statuses_are_mapped_by_the_users_own_table_first():
    frame = pd.DataFrame(
        {"run": range(5), "start": [START] * 5, "elapsed": [1.0] * 5,
         "state": ["Green", "red", "done", None, "blue"]}
    )  # fmt: skip
    states = {"green": "success", "RED": "failed", "done": "timeout", "blue": None}
    long = read(frame, states=states)
    assert long["status"].tolist() == ["success", "failed", "timeout", None, None]
    assert long["duration"].notna().tolist() == [True, True, True, False, False]
    with pytest.raises(ValueError, match=r"unknown plain state.*'Green' in 1 row, 'blue' in 1 row"):
        read(frame)
    with pytest.warns(UserWarning, match="'blue'"):
        warned = read(frame, states={"green": "success", "red": "failed"}, on_unknown="warn")
    assert warned["status"].tolist() == ["success", "failed", "success", None, None]
    with pytest.raises(ValueError, match="states= maps to 'ok'"):
        read(frame, states={"green": "ok"})
    bools = frame.assign(state=[True, False, True, True, False])
    passed = read(bools, states={"True": "success", "False": "failed"})
    assert passed["status"].tolist() == ["success", "failed", "success", "success", "failed"]


def test_rows_that_cannot_be_used_are_left_out_and_counted():
    frame = pd.DataFrame(
        {
            "run": ["1", None, "3", "4", " "],
            "job": ["a", "a", None, "a", "a"],
            "start": [START] * 5,
            "end": [START] * 3 + [START - timedelta(seconds=1), START],
        }
    )
    long = read(frame)
    assert long["run"].tolist() == ["1"]
    assert long.attrs["dropped"] == {
        "row that ended before it started": 1, "row without a run": 2, "row without a job": 1,
    }  # fmt: skip
    timeless = pd.DataFrame({"job": ["a", "a"], "start": [START, None], "elapsed": [1.0, -1.0]})
    # -1 is how many systems write "not known"; any other negative number is an error.
    assert read(timeless).attrs["dropped"] == {"row without a start to name its run by": 1}
    with pytest.raises(SourceError, match=r"column 'elapsed', row 1: -2.0 is negative"):
        read(timeless.assign(elapsed=[1.0, -2.0]))
    assert read(timeless.assign(elapsed=1.0)).attrs["dropped"] == {
        "row without a start to name its run by": 1
    }


def test_the_wait_is_told_and_not_part_of_the_duration():
    frame = pd.DataFrame(
        {"run": [1, 2], "queued_at": [START, None], "start": [START + timedelta(seconds=30)] * 2,
         "end": [START + timedelta(seconds=90)] * 2}
    )  # fmt: skip
    long = read(frame)
    assert long["duration"].tolist() == [60.0, 60.0]
    assert long["queued_seconds"].tolist() == pytest.approx([30.0, np.nan], nan_ok=True)
    waited = frame.rename(columns={"queued_at": "wait_ms"}).assign(wait_ms=[500, 1500])
    assert read(waited)["queued_seconds"].tolist() == [0.5, 1.5]


def test_filters_and_numbers_as_names():
    frame = pd.DataFrame(
        {"run": [1.0, np.nan, 3.0], "job": [7, 8, 7], "start": [START] * 3, "took": [1, 2, 3]}
    )
    assert read(frame)["run"].tolist() == ["1", "3"]
    assert read(frame, jobs=["7"])["run"].tolist() == ["1", "3"]
    assert read(frame, since=START + timedelta(microseconds=1)).empty
    empty = read(frame[:0], jobs=["7"], since=START)
    assert tuple(empty.columns) == LONG_COLUMNS


def test_the_given_table_is_left_as_it_was():
    frame = pd.DataFrame({"run": ["1"], "start": ["2026-03-01"], "took": ["5"], "x": [Decimal(1)]})
    before = frame.copy()
    assert read(frame, columns={"x": "x"})["x"].dtype == "float64"
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("pages", [[], [[]], [[], [("1", 5)], []], [[("1", 5)]]])
def test_pages_may_be_empty(pages):
    rows = typed_rows(pages, ["run", "took"], {"run": "run", "duration": "took"}, source="x")
    assert rows["run"].tolist() == ["1"] * sum(map(len, pages))
    assert list(rows) == ["run", "duration"]


def test_an_error_counts_the_rows_over_the_pages():
    pages = [[("1", 5), ("2", 5)], [("3", "slow")]]
    with pytest.raises(SourceError, match="x: column 'took', row 2: 'slow'"):
        typed_rows(pages, ["run", "took"], {"run": "run", "duration": "took"}, source="x")


@pytest.mark.parametrize("since", ["soon", "", None, object(), pd.NaT])
def test_since_has_to_be_a_time(since):
    with pytest.raises(ValueError, match="is not a time"):
        since_utc(since)
    assert since_utc("2026-03-01T01:00+01:00") == since_utc(datetime(2026, 3, 1)) == START
