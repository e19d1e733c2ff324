"""What a table says twice is compared: units by proof, contradictions told, nothing guessed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders import read_log, read_source
from sklearn_jobtime.loaders._column_names import map_columns
from sklearn_jobtime.loaders._mapped_long import NO_STATUS, mapped_long
from sklearn_jobtime.loaders._typed_columns import typed_columns, typed_rows

START = pd.Timestamp("2026-03-01T04:00Z")


def read(frame, columns=None, **options):
    mapping = map_columns(frame.columns, columns, source="a table")
    return mapped_long(typed_columns(frame, mapping, source="a table"), mapping=mapping, **options)


def times(spans, start=START):
    starts = start + pd.to_timedelta(np.arange(len(spans)), unit="D")
    return {"start": starts, "end": starts + pd.to_timedelta(spans, unit="s")}


def notes(long):
    return " ".join(long.attrs.get("notes", []))


SPANS = [61.0, 63.0, 7200.0]


@settings(deadline=None)
@given(
    spans=st.lists(st.integers(100, 10**6), min_size=1, max_size=8),
    unit=st.sampled_from([("ms", 1e3), ("us", 1e6), ("ns", 1e9), ("min", 1 / 60), ("h", 1 / 3600)]),
)
def test_a_unit_that_no_name_tells_is_proven_by_start_and_end(spans, unit):
    _, per_second = unit
    frame = pd.DataFrame({**times(spans), "took": np.array(spans) * per_second})
    long = read(frame, {"duration": "took"})
    assert long["duration"].tolist() == pytest.approx(spans, rel=1e-9)
    assert "end minus start in" in notes(long)
    named = read(frame.rename(columns={"took": f"took_{unit[0]}"}))
    assert named["duration"].tolist() == pytest.approx(spans, rel=1e-9)
    assert named.attrs["notes"] == [NO_STATUS]


def test_seconds_and_their_rounding_are_no_news():
    for seconds in (SPANS, [60.6, 63.4, 7199.9], [61, 63, 7200]):
        long = read(pd.DataFrame({**times(SPANS), "took": seconds}))
        assert long["duration"].tolist() == seconds
        assert long.attrs["notes"] == [NO_STATUS]
    zero = read(pd.DataFrame({**times([0.0, 0.0]), "took": [500.0, 700.0]}))
    assert zero["duration"].tolist() == [500.0, 700.0]
    assert "differs from end minus start in 2 of 2 rows, by up to 700 s (median 600 s)" in notes(
        zero
    )


def test_differences_are_counted_and_the_duration_measures_the_job():
    long = read(pd.DataFrame({**times([100.0, 100.0, 100.0]), "took": [100.0, 70.0, 90.0]}))
    assert long["duration"].tolist() == [100.0, 70.0, 90.0]
    assert (long["ended_at"] - long["started_at"]).dt.total_seconds().tolist() == [100.0] * 3
    assert "in 2 of 3 rows, by up to 30 s (median 20 s); 'took' was taken" in notes(long)


def test_mixed_units_stop_with_a_row():
    spans = [100.0, 200.0, 300.0, 400.0]
    frame = pd.DataFrame({**times(spans), "took": [100.0, 200.0, 300_000.0, 400_000.0]})
    with pytest.raises(SourceError, match=r"row 2: column 'took' is 1,000 times .* in 2 of 4 rows"):
        read(frame)
    mostly = pd.DataFrame({**times([100.0] * 20), "took": [100_000.0] * 19 + [55.0]})
    with pytest.raises(SourceError, match="milliseconds, in 19 of 20 rows"):
        read(mostly)
    named = pd.DataFrame({**times([100.0] * 3), "took_ms": [100_000_000] * 3})
    with pytest.raises(SourceError, match="though its name tells its unit"):
        read(named)


def test_clocks_too_coarse_to_tell_the_unit_ask_and_the_user_decides():
    frame = pd.DataFrame({**times([60.0, 60.0]), "took": [61000.0, 63000.0]})
    with pytest.raises(SourceError, match="it looks like milliseconds; say which with"):
        read(frame)
    assert read(frame, {"duration_ms": "took"})["duration"].tolist() == [61.0, 63.0]
    said = read(frame, {"duration_s": "took"})
    assert said["duration"].tolist() == [61000.0, 63000.0]
    assert "differs from end minus start in 2 of 2 rows" in notes(said)


def test_a_wait_in_the_duration_or_in_the_span_is_noticed():
    queued = {"queued_at": times(SPANS)["start"] - pd.Timedelta(30, "s")}
    long = read(pd.DataFrame({**times(SPANS), **queued, "took": np.array(SPANS) + 30}))
    assert long["duration"].tolist() == SPANS
    assert long["queued_seconds"].tolist() == [30.0] * 3
    assert "counts the wait in the queue in all 3 rows" in notes(long)
    waited = read(pd.DataFrame({**times(SPANS), "wait": 40.0, "took": np.array(SPANS) + 40}))
    assert waited["duration"].tolist() == SPANS
    # start_time is when the build was queued: 316 s = 300.5 s + 15.5 s.
    build = pd.DataFrame({**times([316.0]), "duration_s": [300.5], "queue_time": [15.5]})
    long = read(build)
    assert long["duration"].tolist() == [300.5]
    assert long["started_at"].tolist() == [START + pd.Timedelta(15.5, "s")]
    assert "the wait was added to the start" in notes(long)


@pytest.mark.parametrize("hours", [[1.0, 1.0, 1.0], [-2.0, -2.0, -1.0], [5.5, 5.5, 5.5]])
def test_clocks_of_two_time_zones_are_noticed(hours):
    frame = pd.DataFrame({**times(SPANS), "took": SPANS})
    frame["end"] += pd.to_timedelta(hours, unit="h")
    long = read(frame)
    assert long["duration"].tolist() == SPANS
    assert (long["ended_at"] - long["started_at"]).dt.total_seconds().tolist() == SPANS
    assert "clocks in two time zones" in notes(long)
    assert long.attrs["dropped"] == {}


@pytest.mark.parametrize(("form", "seconds"), [("00:{:02}:{:02}", 1), ("{:02}:{:02}", 1)])
def test_two_numbers_with_a_colon_are_proven_by_the_clock(form, seconds):
    texts = [form.format(1, 1), form.format(1, 3), form.format(2, 5)]
    long = read(pd.DataFrame({**times([61.0, 63.0, 125.0]), "took": texts}))
    assert long["duration"].tolist() == [61.0, 63.0, 125.0]
    hours = pd.DataFrame({**times([3660.0, 3780.0, 7500.0]), "took": ["01:01", "01:03", "02:05"]})
    long = read(hours)
    assert long["duration"].tolist() == [3660.0, 3780.0, 7500.0]
    assert "read as hours and minutes" in notes(long)


def test_two_numbers_with_a_colon_ask_where_nothing_tells():
    frame = pd.DataFrame({"start": [START], "took": ["02:03"]})
    with pytest.raises(SourceError, match=r"'02:03' may be minutes.*--column duration_mmss=took"):
        read(frame)
    both = pd.DataFrame({**times([999.0]), "took": ["02:03"]})
    with pytest.raises(SourceError, match="no start and end beside it tell"):
        read(both)
    assert read(frame, {"duration_mmss": "took"})["duration"].tolist() == [123.0]
    assert read(frame, {"duration_hhmm": "took"})["duration"].tolist() == [7380.0]
    assert read(frame.rename(columns={"took": "Elapsed"}))["duration"].tolist() == [123.0]
    longer = pd.DataFrame({"start": [START] * 2, "took": ["1:02:03", "02:03"]})
    assert sorted(read(longer)["duration"]) == [123.0, 3723.0]
    pages = [[(START, "02:03")], [(START, "1:02:03")]]
    mapping = {"started_at": "start", "duration": "took"}
    rows = typed_rows(pages, ["start", "took"], mapping, source="x")
    assert sorted(mapped_long(rows, mapping=mapping)["duration"]) == [123.0, 3723.0]


MS = 1_772_337_600_000


def test_whole_durations_beside_milliseconds_are_milliseconds_or_ask(tmp_path):
    path = tmp_path / "builds.csv"
    path.write_text(f"start,took,result\n{MS},61000,SUCCESS\n{MS + 10**8},1500,FAILURE\n")
    long = read_log(path, columns={"duration": "took"})
    assert long["duration"].tolist() == [61.0, 1.5]
    assert long["started_at"].iloc[0] == START
    assert "'start' was read as milliseconds" in notes(long)
    assert "--column duration_s=took" in notes(long)
    said = read_log(path, columns={"duration_s": "took"})
    assert said["duration"].tolist() == [61000.0, 1500.0]
    path.write_text(f"start,took\n{MS},61\n{MS + 10**8},63\n")
    with pytest.raises(SourceError, match="may be seconds or milliseconds"):
        read_log(path)
    assert read_log(path, columns={"duration_s": "took"})["duration"].tolist() == [61.0, 63.0]
    assert read_log(path, columns={"duration_ms": "took"})["duration"].tolist() == [0.061, 0.063]
    path.write_text(f"start,took\n{MS},61.5\n{MS + 10**8},63\n")
    assert read_log(path)["duration"].tolist() == [61.5, 63.0]
    path.write_text(f"start,end,took\n{MS},{MS + 61_000},61\n")
    assert read_log(path)["duration"].tolist() == [61.0]


def test_moments_of_two_units_in_two_pages_are_refused():
    pages = [[(MS, 5.5)], [(MS // 1000, 5.5)]]
    with pytest.raises(SourceError, match="column 'start' holds numbers of milliseconds and of"):
        typed_rows(pages, ["start", "t"], {"started_at": "start", "duration": "t"}, source="x")
    pages = [[("2026-03-01T04:00:00Z", 5)], [("2026-03-01T04:00:00", 5)]]
    with pytest.raises(SourceError, match="holds moments with a zone and moments without"):
        typed_rows(pages, ["start", "t"], {"started_at": "start", "duration": "t"}, source="x")


@pytest.mark.parametrize("never", ["9999-12-31", "1970-01-01T00:00:00", "0001-01-01", "1900-01-01"])
def test_an_end_that_stands_for_not_known_is_not_known_and_counted(never):
    frame = pd.DataFrame({"run": [1, 2], "start": "2026-03-01", "end": ["2026-03-02", never]})
    long = read(frame)
    assert long["ended_at"].isna().tolist() == [False, True]
    assert long["status"].tolist() == ["success", None]
    assert "1 row: the end, such as" in notes(long)
    with_duration = read(frame.assign(took=[86400.0, 60.0]))
    assert with_duration["duration"].tolist() == [86400.0, 60.0]
    assert with_duration["ended_at"].iloc[1] == pd.Timestamp("2026-03-01T00:01Z")


def test_an_end_years_behind_the_others_is_not_known():
    frame = pd.DataFrame({"job": "a", **times([60.0, 61.0, 62.0, 4e7])})
    long = read(frame)
    assert long["ended_at"].isna().tolist() == [False, False, False, True]
    assert "more than a year after the start" in notes(long)
    slow = read(pd.DataFrame({"job": "a", **times([3e7, 3.5e7, 3e7, 4e7])}))
    assert slow["ended_at"].notna().all()


def test_an_error_names_the_line_of_the_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('task,start,took\nload,2026-03-01,5\n\n"two\nlines",2026-03-01,fast\n')
    with pytest.raises(SourceError, match=r"log\.csv, line 4, column 'took': 'fast' is not a d"):
        read_log(path)
    lines = tmp_path / "log.jsonl"
    lines.write_text('{"start": "2026-03-01", "took": 5}\n\n{"start": "soon", "took": 5}\n')
    with pytest.raises(SourceError, match=r"log\.jsonl, line 3, column 'start': 'soon' is not"):
        read_log(lines)
    pd.DataFrame({"start": [START], "took": [-3.0]}).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(SourceError, match=r"log\.parquet: column 'took', row 0: -3.0 is negative"):
        read_log(tmp_path / "log.parquet")


def test_notes_reach_the_run_table(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "job,start,end,duration\n"
        "a,2026-03-01T04:00:00Z,2026-03-01T04:01:01Z,61000\n"
        "a,2026-03-02T04:00:00Z,2026-03-02T04:01:03Z,63000\n"
    )
    runs = read_source(str(path))
    assert runs["a"].tolist() == [61.0, 63.0]
    assert runs.attrs["notes"] == [
        "column 'duration' is 1,000 times end minus start in all 2 rows, so it was read as "
        "milliseconds.",
        NO_STATUS,
    ]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("job", ["a", {"name": "b"}], "is an object, not a name"),
        ("job", ["a", ["b"]], "is a list, not a name"),
        ("run", [1.0, np.inf], "no name and no whole number"),
        ("run", [1.0, 1.5], "no name and no whole number"),
        ("job", ["a", b"\xff"], "bytes that are no UTF-8"),
        ("job", ["a", "\ud800"], "half of a character"),
        ("state", ["success", {"name": "success"}], "is an object"),
    ],
)
def test_what_is_no_name_is_named_by_its_row(column, values, message):
    frame = pd.DataFrame({"start": [START] * 2, "took": 5.0})
    frame[column] = pd.Series(values, dtype=object)
    with pytest.raises(SourceError, match=rf"a table: column '{column}', row 1: .*{message}"):
        read(frame)


def test_a_column_that_is_not_needed_never_stops_a_load():
    frame = pd.DataFrame({"start": [START], "took": 5.0, "extra": [{"a": [1]}]})
    assert read(frame)["duration"].tolist() == [5.0]
    text = pd.DataFrame({"start": [START], "took": 5.0, "job": [b"build"]})
    assert read(text)["job"].tolist() == ["build"]
