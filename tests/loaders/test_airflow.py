"""Histories of databases that a real Airflow wrote; ``airflow/make_airflow_db.py`` made them."""

import gzip
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders import STATES, read_airflow
from sklearn_jobtime.runs import make_targets, pivot_runs
from sklearn_jobtime.runs._long_table import LONG_COLUMNS

WRITTEN = Path(__file__).parents[1] / "airflow"
DAGS = {"etl": 6, "reports": 4, "retired": 2}
# TaskInstanceState of Airflow 2.2 to 3.3.
TASK_STATES = [
    *("removed", "scheduled", "queued", "running", "success", "restarting", "failed"),
    *("up_for_retry", "up_for_reschedule", "upstream_failed", "skipped", "deferred"),
    *("awaiting_input", "sensing", "shutdown"),
]


class Metadata:
    """A copy of the database that one version of Airflow wrote."""

    def __init__(self, version: str, folder: Path) -> None:
        self.file = folder / f"airflow {version}, 100 %.db"
        self.file.write_bytes(gzip.decompress((WRITTEN / f"airflow_{version}.db.gz").read_bytes()))
        self.url = f"sqlite:///{self.file}"

    def run(self, statement: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def read(self, **options: object) -> pd.DataFrame:
        return read_airflow(self.url, **options)


@pytest.fixture(params=["3", "2"])
def airflow(request: pytest.FixtureRequest, tmp_path: Path) -> Metadata:
    return Metadata(request.param, tmp_path)


def one(long: pd.DataFrame, series: str, run: str, job: str) -> pd.Series:
    rows = long[(long["series"] == series) & (long["run"] == run) & (long["job"] == job)]
    assert len(rows) == 1
    return rows.iloc[0]


def when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def naive_jobs(airflow: Metadata, *, earlier_tries: bool = True) -> dict[tuple, dict]:
    """Each job of each run in plain Python: its clock, status and seconds."""
    columns = "dag_id, run_id, task_id, map_index, state, start_date, end_date"
    jobs: dict[tuple, list] = {}
    for *key, index, state, start, end in airflow.run(f"SELECT {columns} FROM task_instance"):
        jobs.setdefault(tuple(key), []).append((index, state, when(start), when(end)))
    before: dict[tuple, list] = {}
    if earlier_tries:
        for *key, _, _, start, _ in airflow.run(f"SELECT {columns} FROM task_instance_history"):
            before.setdefault(tuple(key), []).append(when(start))
    return {key: naive_job(tasks, before.get(key, [])) for key, tasks in jobs.items()}


def naive_job(tasks: list[tuple], earlier_starts: list[datetime]) -> dict:
    statuses = [STATES["airflow"][state] if state else None for _, state, _, _ in tasks]
    starts = earlier_starts + [start for _, _, start, _ in tasks if start]
    job = {"start": min(starts, default=None), "end": None, "status": None, "seconds": None}
    if None in statuses:
        return job
    job["status"] = next(s for s in ("failed", "success", "skipped") if s in statuses)
    job["end"] = max((end for *_, end in tasks if end), default=None)
    if ran := [task for task, s in zip(tasks, statuses, strict=True) if s != "skipped"]:
        longest = max(end for *_, end in ran) - min(start for _, _, start, _ in ran)
        job["seconds"] = longest.total_seconds()
    return job


def plain(value: object) -> object:
    """Value of a long table as plain Python has it: None for missing, naive UTC times."""
    if pd.isna(value):
        return None
    return value.tz_localize(None).to_pydatetime() if isinstance(value, pd.Timestamp) else value


def assert_as_naive(long: pd.DataFrame, expected: dict[tuple, dict]) -> None:
    assert len(long) == len(expected)
    for row in long.itertuples():
        job = expected[row.series, row.run, row.job]
        assert plain(row.started_at) == job["start"]
        assert plain(row.ended_at) == job["end"]
        assert plain(row.status) == job["status"]
        assert plain(row.duration) == pytest.approx(job["seconds"])


# ---------------------------------------------------------------------------------- what it reads


def test_every_job_is_as_a_plain_reading_has_it(airflow):
    long = airflow.read()
    assert tuple(long.columns[: len(LONG_COLUMNS)]) == LONG_COLUMNS
    assert_as_naive(long, naive_jobs(airflow))
    assert long.attrs["dropped"] == {}


def test_durations_are_those_that_airflow_itself_wrote(airflow):
    own = airflow.run(
        "SELECT dag_id, run_id, task_id, duration FROM task_instance "
        "WHERE map_index < 0 AND state IN ('success', 'failed')"
    )
    long = airflow.read().set_index(["series", "run", "job"])
    assert len(own) > 30
    for *key, seconds in own:
        assert long.loc[tuple(key), "duration"] == pytest.approx(seconds, abs=1e-3)


def test_the_run_table_is_valid_and_has_the_same_durations(airflow):
    runs = pivot_runs(airflow.read(), covariates=["run_type"])
    assert runs.index.get_level_values("series").value_counts().to_dict() == DAGS
    for (series, run, job), expected in naive_jobs(airflow).items():
        assert plain(runs.loc[(series, run), job]) == pytest.approx(expected["seconds"])
        assert runs.loc[(series, run), f"{job}__status"] == expected["status"]
    assert set(runs["run_type"]) == {"manual"}
    assert np.isfinite(make_targets(runs).to_numpy()).any()


def test_a_run_spans_all_its_tries(airflow):
    runs = pivot_runs(airflow.read())
    tables = ("task_instance", "task_instance_history")
    columns = "dag_id, run_id, start_date, end_date"
    tries = [row for t in tables for row in airflow.run(f"SELECT {columns} FROM {t}")]
    for key, run in runs.iterrows():
        starts = [when(start) for *of, start, _ in tries if tuple(of) == key and start]
        ends = [when(end) for *of, _, end in tries if tuple(of) == key and end]
        assert plain(run["started_at"]) == min(starts)
        open_ = key in [("reports", "run_3"), ("reports", "run_4")]
        assert plain(run["ended_at"]) == (None if open_ else max(ends))


def test_a_retried_job_starts_with_its_first_try_and_lasts_as_long_as_its_last(airflow):
    job = one(airflow.read(), "etl", "run_2", "extract")
    [(first_start,)] = airflow.run(
        "SELECT start_date FROM task_instance_history "
        "WHERE dag_id = 'etl' AND run_id = 'run_2' AND task_id = 'extract'"
    )
    assert (job["status"], job["try_number"]) == ("success", 2)
    assert plain(job["started_at"]) == when(first_start)
    assert job["duration"] < (job["ended_at"] - job["started_at"]).total_seconds() - 1


def test_all_tries_are_rows_of_their_own(airflow):
    long = airflow.read(tries="all")
    tries = long[(long["series"] == "etl") & (long["run"] == "run_2") & (long["job"] == "extract")]
    assert tries["try_number"].tolist() == [1, 2]
    assert tries["status"].tolist() == ["failed", "success"]
    spans = (tries["ended_at"] - tries["started_at"]).dt.total_seconds()
    assert tries["duration"].tolist() == spans.tolist()
    last = airflow.read()
    earlier = airflow.run("SELECT count(*) FROM task_instance_history")[0][0]
    assert len(long) == len(last) + earlier
    newest = long.drop_duplicates(["series", "run", "job"], keep="last")
    same = ["series", "run", "job", "duration", "status", "try_number"]
    pd.testing.assert_frame_equal(
        newest[same].sort_values(same[:3], ignore_index=True),
        last[same].sort_values(same[:3], ignore_index=True),
    )
    with pytest.raises(RunTableError, match="stands twice"):
        pivot_runs(long)
    runs, newest_runs = pivot_runs(last), pivot_runs(long, on_duplicate="last")
    assert set(runs.index) - set(newest_runs.index) == {("reports", "run_3")}  # waits for its first
    for job in long["job"].unique():
        assert newest_runs[job].equals(runs[job].loc[newest_runs.index])


def test_a_task_cleared_by_hand_is_a_further_try(airflow):
    job = one(airflow.read(), "etl", "run_1", "publish")
    tries = airflow.read(tries="all", jobs=["publish"], dags=["etl"]).query("run == 'run_1'")
    assert tries["status"].tolist() == ["success", "success"]
    assert job["duration"] == tries["duration"].iloc[1]
    assert job["started_at"] == tries["started_at"].iloc[0]


def test_failures_and_skips(airflow):
    long = airflow.read(dags=["etl"])
    check = one(long, "etl", "run_5", "check")
    assert check["status"] == "failed"
    assert check["duration"] > 0
    skipped = long[long["status"] == "skipped"]
    assert skipped["duration"].isna().all()
    assert {("run_1", "full"), ("run_2", "light"), ("run_5", "publish")} <= set(
        zip(skipped["run"], skipped["job"], strict=True)
    )
    # A task mapped over nothing has no times at all, and its run has ended all the same.
    nothing = one(long, "etl", "run_4", "transform")
    assert nothing[["started_at", "ended_at"]].isna().all()
    assert pivot_runs(long).loc[("etl", "run_4"), "ended_at"] is not pd.NaT


def test_mapped_tasks_are_one_job_from_first_start_to_last_end(airflow):
    long = airflow.read(jobs=["transform"])
    assert set(long["job"]) == {"transform"}
    tasks = airflow.read(jobs=["transform"], mapped="separate")
    assert set(tasks["job"]) == {"transform", *(f"transform[{i}]" for i in range(4))}
    mapped = tasks[tasks["job"] != "transform"]
    assert mapped.groupby("run").size().to_dict() == {
        "run_1": 2, "run_2": 3, "run_3": 4, "run_5": 2, "run_6": 1
    }  # fmt: skip
    for run, of_run in mapped.groupby("run"):
        job = one(long, "etl", run, "transform")
        span = of_run["ended_at"].max() - of_run["started_at"].min()
        assert job["duration"] == pytest.approx(span.total_seconds())
        assert job["duration"] >= of_run["duration"].max()


@given(
    states=st.lists(
        st.sampled_from(["success", "failed", "skipped", "upstream_failed", "running", None]),
        min_size=4,
        max_size=4,
    )
)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_mapped_tasks_have_the_worst_status(tmp_path, states):
    airflow = Metadata("3", tmp_path)
    airflow.run("UPDATE dag_run SET state = 'running'")
    for index, state in enumerate(states):
        airflow.run(
            "UPDATE task_instance SET state = ? "
            "WHERE run_id = 'run_3' AND task_id = 'transform' AND map_index = ?", state, index
        )  # fmt: skip
    assert_as_naive(airflow.read(), naive_jobs(airflow))


def test_runs_that_run_have_neither_end_nor_status(airflow):
    long = airflow.read(dags=["reports"])
    load = one(long, "reports", "run_4", "load")
    assert load[["ended_at", "duration", "status"]].isna().all()
    assert load["started_at"].tz is not None
    assert one(long, "reports", "run_4", "extract")["status"] == "success"
    waiting = one(long, "reports", "run_3", "extract")  # for its next try
    assert waiting[["ended_at", "duration", "status"]].isna().all()
    assert waiting["try_number"] == 2
    runs = pivot_runs(long)
    assert runs["ended_at"].isna().tolist() == [False, False, True, True]
    assert runs["started_at"].notna().all()


def test_tries_that_wait_are_told_apart_from_those_that_failed(airflow):
    long = airflow.read(dags=["reports"], tries="all").query("run == 'run_3' and job == 'extract'")
    assert long["try_number"].tolist() == [1, 2]
    assert [plain(status) for status in long["status"]] == ["failed", None]
    assert plain(long["started_at"].iloc[1]) is None


def test_the_wait_in_the_queue_is_no_part_of_a_duration(airflow):
    [(queued, start, end)] = airflow.run(
        "SELECT queued_dttm, start_date, end_date FROM task_instance "
        "WHERE dag_id = 'reports' AND run_id = 'run_1' AND task_id = 'load'"
    )
    job = one(airflow.read(), "reports", "run_1", "load")
    assert job["queued_seconds"] == (when(start) - when(queued)).total_seconds() > 0
    assert job["duration"] == (when(end) - when(start)).total_seconds()


def test_a_task_queued_again_after_its_start_has_no_known_wait(airflow):
    airflow.run("UPDATE task_instance SET queued_dttm = end_date WHERE task_id = 'load'")
    long = airflow.read(dags=["reports"])
    assert long.loc[long["job"] == "load", "queued_seconds"].isna().all()
    assert long.loc[long["job"] == "extract", "queued_seconds"].notna().any()


def test_runs_of_a_deleted_dag_are_still_read(airflow):
    gone = "is_stale" if "3," in airflow.file.name else "NOT is_active"
    assert airflow.run(f"SELECT dag_id FROM dag WHERE {gone}") == [("retired",)]
    before = airflow.read(dags=["retired"])
    airflow.run("DELETE FROM dag WHERE dag_id = 'retired'")
    pd.testing.assert_frame_equal(airflow.read(dags=["retired"]), before)
    assert before["run"].nunique() == DAGS["retired"]
    assert before["try_number"].dtype == "int64"


# ------------------------------------------------------------------------------------ the filters


def test_filters_select_what_pandas_would(airflow):
    everything = airflow.read()
    chosen = airflow.read(dags=["etl", "retired"], jobs=["work", "check"])
    wanted = everything["series"].isin(["etl", "retired"]) & everything["job"].isin(
        ["work", "check"]
    )
    pd.testing.assert_frame_equal(chosen, everything[wanted].reset_index(drop=True))


def test_since_takes_the_runs_that_started_then_or_later(airflow):
    starts = sorted(when(start) for (start,) in airflow.run("SELECT start_date FROM dag_run"))
    everything = airflow.read()
    for start in (starts[3], starts[3] + timedelta(microseconds=1), starts[-1]):
        expected = {
            tuple(run)
            for *run, begun in airflow.run("SELECT dag_id, run_id, start_date FROM dag_run")
            if when(begun) >= start
        }
        for since in (start, pd.Timestamp(start, tz="UTC").tz_convert("Asia/Tokyo")):
            long = airflow.read(since=since)
            assert set(zip(long["series"], long["run"], strict=True)) == expected
            keys = [tuple(k) for k in everything[["series", "run"]].to_numpy()]
            assert len(long) == sum(key in expected for key in keys)


@pytest.mark.parametrize("tries", ["last", "all"])
def test_filters_bind_their_values(airflow, tries):
    with pytest.raises(SourceError, match="holds no task instance"):
        airflow.read(dags=["etl'; DROP TABLE task_instance; --"], jobs=['"'], tries=tries)
    assert len(airflow.read(tries=tries)) > 0


def test_nothing_found_says_what_there_is(airflow):
    with pytest.raises(SourceError, match=r"\['etl', 'reports', 'retired'\]"):
        airflow.read(dags=["elt"])
    with pytest.raises(SourceError, match="2100-01-01"):
        airflow.read(since="2100-01-01")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tries": "first"}, "tries must be one of"),
        ({"mapped": True}, "mapped must be one of"),
        ({"dags": "etl"}, r"such as \['etl'\]"),
        ({"jobs": "load"}, r"such as \['load'\]"),
        ({"since": "yesterdayish"}, "is not a time"),
        ({"on_unknown": "ignore"}, "on_unknown must be"),
    ],
)
def test_wrong_options_say_what_is_right(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Metadata("3", tmp_path).read(**options)


# ------------------------------------------------------------- states, clocks and other versions


def test_every_state_of_airflow_maps(airflow):
    long = airflow.read()
    for state in TASK_STATES:
        airflow.run("UPDATE task_instance SET state = ? WHERE task_id = 'work'", state)
        airflow.run("UPDATE dag_run SET state = 'running' WHERE dag_id = 'retired'")
        work = airflow.read(dags=["retired"])
        assert {plain(status) for status in work["status"]} == {STATES["airflow"][state]}
        assert work["duration"].notna().all() == (state in ("success", "failed", "shutdown"))
    assert set(long["status"].dropna()) == {"success", "failed", "skipped"}


def test_an_unknown_state_is_an_error_that_names_it(airflow):
    airflow.run("UPDATE task_instance SET state = 'pondering' WHERE task_id = 'check'")
    with pytest.raises(RunTableError, match="'pondering'"):
        airflow.read()
    airflow.run("UPDATE dag_run SET state = 'running'")
    with pytest.warns(UserWarning, match="'pondering'"):
        long = airflow.read(on_unknown="warn")
    assert long.loc[long["job"] == "check", ["status", "duration"]].isna().all(axis=None)
    # It holds no run open that has ended, and is not left out of it.
    airflow.run("UPDATE dag_run SET state = 'success'")
    with pytest.warns(UserWarning, match="'pondering'"):
        ended = airflow.read(on_unknown="warn")
    known = airflow.run("SELECT count(*) FROM task_instance WHERE task_id = 'check' AND end_date")
    assert ended.loc[ended["job"] == "check", "ended_at"].notna().sum() == known[0][0] > 0


def test_a_mapped_task_of_an_unknown_state_ends_with_the_others(airflow):
    part = "run_id = 'run_3' AND task_id = 'transform' AND map_index"
    before = one(airflow.read(), "etl", "run_3", "transform")
    airflow.run(f"UPDATE task_instance SET state = 'pondering' WHERE {part} = 1")
    with pytest.warns(UserWarning, match="'pondering'"):
        job = one(airflow.read(on_unknown="warn"), "etl", "run_3", "transform")
    assert (job["status"], job["ended_at"]) == (None, before["ended_at"])
    assert np.isnan(job["duration"])


def test_tasks_that_never_ended_in_runs_that_did_are_counted_out(airflow):
    airflow.run("UPDATE dag_run SET state = 'failed' WHERE dag_id = 'reports'")
    long = airflow.read()
    assert long.attrs["dropped"] == {"task that never ended, though its run did": 3}
    assert long["status"].notna().all()
    runs = pivot_runs(long)
    # Of the task that waited for a retry only the failed try is left, which is not the last.
    assert ("reports", "run_3") not in runs.index
    assert runs["ended_at"].notna().all()


def test_ends_before_starts_are_counted_out(airflow):
    airflow.run("UPDATE task_instance SET end_date = '2020-01-01 00:00:00' WHERE task_id = 'work'")
    long = airflow.read()
    assert long.attrs["dropped"] == {"task that ended before it started": DAGS["retired"]}
    assert "work" not in set(long["job"])


def test_a_queued_run_is_no_row_of_the_run_table_yet(airflow):
    airflow.run(
        "UPDATE task_instance SET state = 'queued', start_date = NULL, end_date = NULL "
        "WHERE dag_id = 'retired' AND run_id = 'run_2'"
    )
    airflow.run("UPDATE dag_run SET state = 'queued' WHERE dag_id = 'retired' AND run_id = 'run_2'")
    runs = pivot_runs(airflow.read())
    assert runs.index.get_level_values("series").value_counts()["retired"] == 1
    assert runs.attrs["dropped"] == {"job of a run of which no job has started": 1}


def test_a_schema_from_before_mapped_tasks_and_kept_tries(airflow):
    airflow.run("DELETE FROM task_instance WHERE map_index > 0")
    columns = "dag_id, run_id, task_id, try_number, state, start_date, end_date, queued_dttm"
    airflow.run(f"CREATE TABLE old AS SELECT {columns} FROM task_instance")
    expected = naive_jobs(airflow, earlier_tries=False)
    # Runs that begin with a task that was tried twice, of which only the last try is left.
    begun = airflow.run(
        "SELECT dag_id, run_id, task_id, run.start_date FROM dag_run run JOIN task_instance "
        "USING (dag_id, run_id) WHERE task_id = 'extract' AND dag_id = 'etl' AND try_number > 1"
    )
    assert len(begun) > 1
    for *key, start in begun:
        expected[tuple(key)]["start"] = when(start)
    for statement in (
        "DROP TABLE task_instance_history",
        "DROP TABLE task_instance",
        "ALTER TABLE old RENAME TO task_instance",
    ):
        airflow.run(statement)
    assert_as_naive(airflow.read(), expected)


def test_a_first_task_whose_first_try_is_gone_starts_with_its_run(airflow):
    airflow.run("DELETE FROM task_instance_history")
    long = airflow.read()
    [(begun, last)] = airflow.run(
        "SELECT run.start_date, task.start_date FROM dag_run run JOIN task_instance task "
        "USING (dag_id, run_id) WHERE run_id = 'run_2' AND dag_id = 'etl' AND task_id = 'extract'"
    )
    assert when(begun) < when(last)
    extract = one(long, "etl", "run_2", "extract")
    assert plain(extract["started_at"]) == when(begun)
    assert plain(pivot_runs(long).loc[("etl", "run_2"), "started_at"]) == when(begun)
    assert any("starts when its run did" in n or "start when its run did" in n
               for n in long.attrs["notes"])  # fmt: skip
    # A later task's first try does not matter, and other runs keep the start of their tasks.
    [(publish,)] = airflow.run(
        "SELECT start_date FROM task_instance "
        "WHERE dag_id = 'etl' AND run_id = 'run_1' AND task_id = 'publish'"
    )
    assert plain(one(long, "etl", "run_1", "publish")["started_at"]) == when(publish)
    # With some tasks only, runs begin with these.
    some = airflow.read(jobs=["extract"])
    assert plain(one(some, "etl", "run_2", "extract")["started_at"]) == when(last)


def test_a_run_that_was_cleared_does_not_move_the_start_of_its_tasks(airflow):
    before = airflow.read()
    airflow.run("UPDATE dag_run SET start_date = '2030-01-01 00:00:00'")
    airflow.run("DELETE FROM task_instance_history")
    after = airflow.read()
    same = after[after["try_number"] == 1].set_index(["series", "run", "job"])["started_at"]
    old = before.set_index(["series", "run", "job"])["started_at"]
    assert same.equals(old.loc[same.index])


def test_what_was_joined_is_said(airflow):
    notes = airflow.read().attrs["notes"]
    # Four runs of etl have two mapped tasks or more; extract and publish were tried again.
    assert any(note.startswith("4 mapped tasks of runs were joined") for note in notes)
    [(again,)] = airflow.run("SELECT count(*) FROM task_instance WHERE try_number > 1")
    assert any(note.startswith(f"{again} tasks of runs were tried again") for note in notes)
    assert airflow.read(tries="all", mapped="separate").attrs["notes"] == []


# ------------------------------------------------------------------------ reading changes nothing


def test_reading_changes_no_byte_and_needs_no_right_to_write(airflow):
    before = airflow.file.read_bytes()
    airflow.file.chmod(stat.S_IRUSR)
    airflow.read()
    assert airflow.file.read_bytes() == before
    assert os.listdir(airflow.file.parent) == [airflow.file.name]


def test_a_live_database_in_wal_mode_is_read_while_airflow_writes(airflow):
    with closing(sqlite3.connect(airflow.file)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE task_instance SET state = 'failed' WHERE task_id = 'check'")
        long = airflow.read(jobs=["check"])  # what is not committed is not seen
        assert "success" in set(long["status"])
        writer.commit()
        assert set(airflow.read(jobs=["check"])["status"]) == {"failed"}


def test_a_locked_database_says_what_to_do(airflow):
    with closing(sqlite3.connect(airflow.file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match=r"locked(.|\n)*try again"):
            read_airflow(f"{airflow.url}?timeout=0.1")
    assert len(airflow.read()) > 0


def test_what_is_no_airflow_database_says_so(tmp_path):
    missing = tmp_path / "none.db"
    with pytest.raises(SourceError, match="no such file"):
        read_airflow(f"sqlite:///{missing}")
    assert not missing.exists()
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE task_instance (task_id TEXT)")
    with pytest.raises(SourceError, match=r"'dag_run'; expected the\s.*airflow db migrate"):
        read_airflow(f"sqlite:///{tmp_path / 'other.db'}")
    shutil.copy(__file__, tmp_path / "text.db")
    with pytest.raises(SourceError, match="not a database"):
        read_airflow(f"sqlite:///{tmp_path / 'text.db'}")


def test_a_schema_before_run_ids_names_the_remedy(airflow):
    airflow.run("ALTER TABLE task_instance RENAME COLUMN run_id TO execution_date")
    with pytest.raises(SourceError, match=r"no run_id in table 'task_instance'.*db migrate"):
        airflow.read()


# ------------------------------------------------------------------------------------- PostgreSQL


def copy_to_postgresql(airflow: Metadata, url: str, schema: str) -> sa.URL:
    """Copy the tables into a schema of their own, with times as Airflow has them there."""
    target = sa.create_engine(url, poolclass=sa.pool.NullPool)
    source = sa.create_engine(airflow.url, poolclass=sa.pool.NullPool)
    with target.begin() as connection, source.connect() as reader:
        connection.execute(sa.schema.CreateSchema(schema))
        for name in ("dag_run", "task_instance", "task_instance_history"):
            columns = {
                column["name"]: postgresql_type(column["type"])
                for column in sa.inspect(reader).get_columns(name)
                if not isinstance(column["type"], sa.LargeBinary | sa.JSON)
            }
            table = sa.Table(
                name, sa.MetaData(schema=schema), *(sa.Column(c, t) for c, t in columns.items())
            )
            table.create(connection)
            rows = reader.execute(sa.select(*map(sa.column, columns)).select_from(sa.text(name)))
            connection.execute(
                table.insert(),
                [{c: zoned(columns[c], v) for c, v in row.items()} for row in rows.mappings()],
            )
    options = f"-csearch_path={schema} -cTimeZone=Asia/Tokyo"
    return sa.make_url(url).update_query_dict({"options": options})


def postgresql_type(kind: sa.types.TypeEngine) -> sa.types.TypeEngine:
    if isinstance(kind, sa.DateTime):
        return sa.TIMESTAMP(timezone=True)
    return sa.Integer() if isinstance(kind, sa.Integer) else sa.Text()


def zoned(kind: sa.types.TypeEngine, value: object) -> object:
    if value is None or isinstance(kind, sa.Integer):
        return value
    if isinstance(kind, sa.TIMESTAMP):
        return pd.Timestamp(value, tz="UTC").to_pydatetime()
    return str(value)


def test_postgresql_reads_the_same(airflow, postgresql):
    url = copy_to_postgresql(airflow, postgresql, f"airflow_{airflow.file.name[8]}")
    for options in ({}, {"tries": "all", "mapped": "separate"}, {"dags": ["retired"]}):
        pd.testing.assert_frame_equal(
            read_airflow(url, **options), airflow.read(**options), check_dtype=False
        )
    start = airflow.run("SELECT start_date FROM dag_run ORDER BY start_date DESC")[2][0]
    pd.testing.assert_frame_equal(read_airflow(url, since=start), airflow.read(since=start))
