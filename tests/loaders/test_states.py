"""One vocabulary of states: every system's words for every reader, codes by their column."""

import pandas as pd
import pytest

from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.loaders import STATES, read_log, read_slurm, read_source, to_status
from sklearn_jobtime.loaders._states import _plain, read_states

SYSTEMS = [name for name in STATES if name != "swf"]


def statuses(*states, **options):
    return read_states(pd.Series(states), **options)[0].tolist()


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_word_of_every_system_is_known_to_every_reader(system):
    for reader in SYSTEMS:
        assert len(to_status(pd.Series(list(STATES[system])), reader)) == len(STATES[system])


def test_where_systems_disagree_the_plain_words_decide():
    meanings = {}
    for system in SYSTEMS:
        for state, status in STATES[system].items():
            meanings.setdefault(_plain(state), set()).add(status)
    disputed = {state for state, found in meanings.items() if len(found) > 1}
    assert disputed == {"stopped"}
    assert disputed <= {_plain(state) for state in STATES["plain"]}
    assert to_status(pd.Series(["STOPPED"]), "slurm").tolist() == [None]
    assert to_status(pd.Series(["STOPPED"]), "plain").tolist() == ["cancelled"]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("upstream_failed", "skipped"), ("removed", "skipped"), ("OUT_OF_MEMORY", "failed"),
        ("NODE_FAIL", "failed"), ("UNSTABLE", "success"), ("neutral", "success"),
        ("action_required", None), ("errored", "failed"), ("pass", "success"), ("created", None),
        ("manual", "skipped"), ("SKIPPED", "skipped"), ("Crashed", "failed"), ("warn", "success"),
        ("partiallySucceeded", "success"), ("abandoned", "cancelled"), ("on_hold", None),
        ("infrastructure_fail", "failed"), ("timedout", "timeout"), ("TimedOut", "timeout"),
        ("timed out", "timeout"), ("Omitted", "skipped"), ("runtime error", "failed"),
        ("CACHED", "skipped"), ("EXIT", "failed"), ("EXPIRED", "cancelled"),
        ("OOMKilled", "failed"), ("InProgress", None), ("in-progress", None),
        ("CANCELLED by 7", "cancelled"), ("CANCELLED+", "cancelled"), ("failed: exit 3", "failed"),
        ("Failed (137)", "failed"), ("success (0)", "success"), ("exit 1", "failed"),
        ("exited with 0", "success"), ("TRUE", "success"), ("Ended Not OK", "failed"),
    ],
)  # fmt: skip
def test_states_of_many_systems_and_forms(state, status):
    assert statuses(state) == [status]
    assert statuses(f"  {state.upper() if status != 'skipped' else state} ") == [status]


@pytest.mark.parametrize(
    "state", ["completed: 3 failed", "success: no", "foo", "200", "running, then lost", "not ok"]
)
def test_what_is_not_surely_a_success_is_unknown(state):
    with pytest.raises(RunTableError, match=r"unknown|holds numbers"):
        statuses(state)


@pytest.mark.parametrize(
    ("column", "values", "wanted"),
    [
        ("exit_code", [0, 137, -9, None], ["success", "failed", "failed", None]),
        ("ExitStatus", ["0", "271", ""], ["success", "failed", None]),
        ("ExitCode", ["0:0", "0:15", "1:0"], ["success", "failed", "failed"]),
        ("job_rc", [0.0, 1.0], ["success", "failed"]),
        ("success", [True, False], ["success", "failed"]),
        ("is_success", [1, 0], ["success", "failed"]),
        ("build_ok", ["yes", "no"], ["success", "failed"]),
        ("passed", ["t", "F"], ["success", "failed"]),
        ("failed", [True, False], ["failed", "success"]),
        ("is_error", ["0", "1"], ["success", "failed"]),
        ("has_timed_out", [1, 0], ["timeout", "success"]),
        ("state", [True, False], ["success", "failed"]),
    ],
)
def test_codes_are_read_by_the_meaning_of_their_column(column, values, wanted):
    assert statuses(*values, column=column) == wanted


def test_bare_numbers_ask_and_the_users_map_answers(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("run,start,took,status\n1,2026-03-01,5,0\n2,2026-03-02,5,1\n3,2026-03-03,5,1\n")
    with pytest.raises(
        RunTableError, match=r"column 'status' holds numbers \('0' in 1 row, '1' in 2 r"
    ):
        read_log(path)
    long = read_log(path, states={"0": "success", "1": "failed"})
    assert long["status"].tolist() == ["success", "failed", "failed"]
    renamed = read_log(path, columns={"status": "status"}, states={"0": "failed", "1": "success"})
    assert renamed["status"].tolist() == ["failed", "success", "success"]


def test_the_users_map_goes_first_and_forgives_case():
    assert statuses("Manual", "done", own={"MANUAL": None, "done": "timeout"}) == [None, "timeout"]


LOG = """dag_id,run_id,task_id,start_date,end_date,state
etl,r1,extract,2026-03-01T04:00:00Z,2026-03-01T04:10:00Z,success
etl,r1,mail,2026-03-01T04:10:00Z,2026-03-01T04:12:00Z,{0}
etl,r2,extract,2026-03-02T04:00:00Z,2026-03-02T04:11:00Z,success
etl,r2,mail,2026-03-02T04:11:00Z,2026-03-02T04:12:00Z,{0}
"""


def test_states_of_another_system_are_known_in_a_log(tmp_path):
    (tmp_path / "log.csv").write_text(LOG.format("upstream_failed"))
    runs = read_source(str(tmp_path / "log.csv"))
    assert runs["mail__status"].tolist() == ["skipped", "skipped"]
    assert runs["extract"].tolist() == [600.0, 660.0]
    assert runs["ended_at"].notna().all()


def test_an_unknown_state_with_an_end_does_not_hold_its_run_open(tmp_path):
    (tmp_path / "log.csv").write_text(LOG.format("moonlit"))
    with pytest.raises(RunTableError, match=r"'moonlit' in 2 rows; .*--state moonlit=success"):
        read_source(str(tmp_path / "log.csv"))
    with pytest.warns(UserWarning, match="moonlit"):
        runs = read_source(str(tmp_path / "log.csv"), on_unknown="warn")
    assert runs["ended_at"].tolist() == [
        pd.Timestamp("2026-03-01T04:12Z"), pd.Timestamp("2026-03-02T04:12Z"),
    ]  # fmt: skip
    assert "mail" not in runs or runs["mail"].isna().all()
    assert any("moonlit (2)" in note for note in runs.attrs["notes"])
    (tmp_path / "log.csv").write_text(LOG.format("running"))
    assert read_source(str(tmp_path / "log.csv"))["ended_at"].isna().all()


def test_an_unknown_state_of_slurm_keeps_its_end(tmp_path):
    path = tmp_path / "jobs.txt"
    path.write_text(
        "JobID|JobName|User|Submit|Start|End|Elapsed|State\n"
        "7|etl|alice|2026-03-01T04:00:00|2026-03-01T04:00:00|2026-03-01T04:02:00|00:02:00|EXPLODED\n"
        "8|etl|alice|2026-03-02T04:00:00|2026-03-02T04:00:00|2026-03-02T04:02:00|00:02:00|succeeded\n"
    )
    with pytest.warns(UserWarning, match="EXPLODED"):
        long = read_slurm(path, on_unknown="warn")
    assert long["ended_at"].notna().all()
    assert long["duration"].isna().tolist() == [True, False]
    assert long["status"].tolist() == [None, "success"]
