"""An alarm is told once for each cause, whatever the nights do."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime.alerts import Ledger
from sklearn_jobtime.alerts._cause import KINDS, Cause
from sklearn_jobtime.exceptions import SourceError

FIRST = pd.Timestamp("2026-03-01T02:00", tz="UTC")


def cause(kind="late_chance", job="load", day=0, series="etl", direction=None):
    since = FIRST + pd.Timedelta(day, unit="D")
    numbers = {"chance": (0.25, "ratio")}
    times = {"deadline_at": since, "ended_at": None}
    return Cause(kind, series, job, since, str(day), "is late.", numbers, times, direction)


def until(day):
    return FIRST + pd.Timedelta(day, unit="D")


def nights(*found):
    """The ledgers of nights that show these causes, one after the other."""
    ledger, all_of_them = Ledger(until=until(-1)), []
    for day, causes in enumerate(found):
        start, _ = ledger.starts_from(f"night {day}", until(day - 1))
        ledger = start.then(f"night {day}", until(day), causes)
        all_of_them.append(ledger)
    return all_of_them


def test_a_cause_is_new_once_and_stays_open_until_it_is_quiet_for_long_enough():
    shown = [[cause(day=0)], [cause(day=1)], [], [cause(day=3)], [], [], [], [], [cause(day=8)]]
    found = nights(*shown)
    alarms = [(len(one.alarms), one.alarms[0].is_new if one.alarms else None) for one in found]
    assert alarms == [
        (1, True), (1, False), (1, False), (1, False), (1, False), (1, False), (1, False),
        (0, None), (1, True),
    ]  # fmt: skip
    first = found[0].alarms[0]
    assert {one.alarms[0].id for one in found[:7]} == {first.id}
    assert found[3].alarms[0].cause.since == first.cause.since
    assert found[3].alarms[0].nights == 4
    assert [alarm.id for alarm in found[7].closed] == [first.id]
    assert found[8].alarms[0].id != first.id


def test_unusual_runs_of_a_job_and_of_its_whole_run_are_one_cause_those_of_two_jobs_are_two():
    def odd(job):
        return cause("unusual_run", job, direction="long")

    found = nights([odd("load")], [odd("whole_run"), odd("test")], [odd("load")])
    assert [[alarm.cause.job for alarm in one.alarms] for one in found] == [
        ["load"], ["load", "test"], ["load", "test"],
    ]  # fmt: skip
    assert [[alarm.is_new for alarm in one.alarms] for one in found] == [
        [True], [False, True], [False, False],
    ]  # fmt: skip


def test_a_shift_takes_the_place_of_the_unusual_runs_that_it_began_with():
    odd = cause("unusual_run", direction="long")
    shift = cause("level_shift", direction="long", day=3)
    found = nights([odd], [odd], [shift], [shift])
    assert [[alarm.cause.kind for alarm in one.alarms] for one in found] == [
        ["unusual_run"], ["unusual_run"], ["level_shift"], ["level_shift"],
    ]  # fmt: skip
    assert [alarm.cause.kind for alarm in found[2].closed] == ["unusual_run"]


causes = st.lists(
    st.builds(
        cause,
        kind=st.sampled_from(sorted(KINDS)),
        job=st.sampled_from(["load", "whole_run", "<script>\n", None]),
        series=st.sampled_from(["etl", 'a"b\\', None]),
        direction=st.sampled_from(["long", "short", None]),
        day=st.integers(0, 30),
    ),
    max_size=6,
)


@given(shown=st.lists(causes, min_size=1, max_size=4))
def test_a_night_once_more_says_the_same_and_one_that_was_cut_off_had_not_been(
    tmp_path_factory, shown
):
    path = tmp_path_factory.mktemp("ledger") / "state.json"
    ledger = Ledger(until=until(-1))
    ledger.write(path)
    for day, found in enumerate(shown):
        name = f"night {day}"
        start, is_repeated = Ledger.read(path).starts_from(name, until(day - 1))
        assert not is_repeated
        ledger = start.then(name, until(day), found)
        ledger.write(path)
        content = path.read_bytes()
        # Cut off before its model was stored, and done again on the same night or on the next.
        for again in (name, "another night"):
            restarted, has_ended = ledger.starts_from(again, until(day - 1))
            assert not has_ended
            assert restarted.then(name, until(day), found) == ledger
        repeated, has_ended = Ledger.read(path).starts_from(name, until(day))
        assert has_ended
        repeated.then(name, until(day), found).write(path)
        assert path.read_bytes() == content
    ids = [alarm.id for alarm in ledger.alarms]
    assert len(set(ids)) == len(ids)
    json.loads(content)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"schema": 9}', '{"schema": 1}', '{"schema": 1, "night": "x"']
)
def test_what_is_no_such_file_is_one_sentence(tmp_path, text):
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=r"state\.json: cannot be read as the alarms"):
        Ledger.read(path)
