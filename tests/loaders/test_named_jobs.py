"""A column of statuses beside columns that were named as jobs is used, or it is said why not."""

import pytest

from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.loaders import read_runs, read_source


def table(tmp_path, header, *rows):
    path = tmp_path / "runs.csv"
    dated = [f"{n},2026-03-{n:02}T04:00:00Z,{row}" for n, row in enumerate(rows, start=1)]
    path.write_text(f"run,started_at,{header}\n" + "\n".join(dated) + "\n")
    return str(path)


def test_a_status_beside_a_named_job_is_its_status(tmp_path):
    path = table(tmp_path, "took,state", "60.5,success", "2.0,FAILED", "9.0,running", "61.0,ok")
    for read in (
        read_source(path, jobs=["took"]),
        read_source(path, durations=["took"]),
        read_runs(path, jobs=["took"]),
    ):
        assert read["took__status"].tolist() == ["success", "failed", None, "success"]
        assert read["took"].isna().tolist() == [False, False, True, False]
        assert "column 'state' was taken for the statuses of 'took'" in read.attrs["notes"][0]
    report = read_source(path, jobs=["took"]).attrs["report"]
    assert report["statuses"] == {"success": 2, "failed": 1}
    assert (report["total_seconds"], report["median_seconds"]) == (121.5, 60.75)


def test_exit_codes_beside_whole_seconds_and_several_jobs(tmp_path):
    path = table(tmp_path, "load,clean,exit_code", "60,5,0", "61,6,0", "2,1,137")
    read = read_source(path, jobs=["load", "clean"])
    for job in ("load", "clean"):
        assert read[f"{job}__status"].tolist() == ["success", "success", "failed"]
    assert "'load', 'clean'" in read.attrs["notes"][0]


def test_own_states_and_unknown_ones(tmp_path):
    path = table(tmp_path, "took,state", "60.5,success", "2.0,parked")
    with pytest.raises(RunTableError, match="'parked' in 1 row"):
        read_source(path, jobs=["took"])
    read = read_source(path, jobs=["took"], states={"parked": "skipped"})
    assert read["took__status"].tolist() == ["success", "skipped"]
    with pytest.warns(UserWarning, match="parked"):
        read = read_source(path, jobs=["took"], on_unknown="warn")
    assert read["took"].isna().tolist() == [False, True]


def test_a_column_of_other_words_is_no_status(tmp_path):
    path = table(tmp_path, "took,state", "60.5,Texas", "2.0,Ohio")
    read = read_source(path, jobs=["took"])
    assert "took__status" not in read
    assert "column 'state' beside the jobs holds no known state" in read.attrs["notes"][0]


def test_statuses_of_jobs_go_before_a_column_beside_them(tmp_path):
    path = table(tmp_path, "took,took__status,state", "60.5,success,failed")
    read = read_source(path, jobs=["took"])
    assert read["took__status"].tolist() == ["success"]
    assert not any("was taken for" in note for note in read.attrs["notes"])
