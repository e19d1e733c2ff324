"""Accounting files of PBS, Torque and Grid Engine, line by line as their manuals show them."""

import pandas as pd
import pytest

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders import read_pbs, read_sge, read_source
from sklearn_jobtime.runs import pivot_runs

BEGIN = 1_772_337_600  # 2026-03-01 04:00:00 UTC


def clock(seconds):
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def pbs(job, seconds, *, user="alice", name="etl", start=60, created=0, code=0, limit=3600,
        used=None):  # fmt: skip
    start += BEGIN
    return (
        f'03/01/2026 04:00:00;E;{job};user={user} group=lab account="a b" jobname={name} '
        f"queue=batch ctime={BEGIN + created} qtime={BEGIN + created} etime={BEGIN + created} "
        f"start={start} owner={user}@login exec_host=node1/0 Resource_List.nodes=1:ppn=4 "
        f"Resource_List.walltime={clock(limit)} session=77 end={start + seconds} "
        f"Exit_status={code} resources_used.cput=00:00:30 resources_used.mem=1024kb "
        f"resources_used.walltime={clock(seconds if used is None else used)}"
    )


def accounting(folder, *lines, name="20260301"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_pbs_jobs_and_other_records(tmp_path):
    accounting(
        tmp_path,
        "03/01/2026 04:00:00;Q;1.head;queue=batch",
        "03/01/2026 04:01:00;S;1.head;user=alice jobname=etl",
        pbs("1.head", 120),
        "03/01/2026 04:10:00;L;license;floating license hour:1 day:2",
        "03/01/2026 04:11:00;D;4.head;requestor=alice@login",
    )
    accounting(tmp_path, pbs("2.head", 130, start=86460, created=86400), name="20260302")
    jobs = read_pbs(tmp_path)
    assert jobs[["series", "run", "job"]].to_numpy().tolist() == [
        ["alice/etl", "1", "job"], ["alice/etl", "2", "job"]
    ]  # fmt: skip
    assert jobs["duration"].tolist() == [120.0, 130.0]
    assert jobs["queued_seconds"].tolist() == [60.0, 60.0]
    assert jobs["started_at"].iloc[0] == pd.Timestamp(BEGIN + 60, unit="s", tz="UTC")
    assert jobs.attrs["notes"] == []
    assert read_source(f"pbs:{tmp_path}")["job"].tolist() == [120.0, 130.0]


@pytest.mark.parametrize(
    ("code", "seconds", "status"),
    [
        (0, 120, "success"),
        (1, 120, "failed"),
        (271, 120, "cancelled"),
        (271, 3600, "timeout"),
        (-29, 3605, "timeout"),
        (-1, 120, "failed"),
    ],
)
def test_pbs_exit_statuses(tmp_path, code, seconds, status):
    jobs = read_pbs(accounting(tmp_path, pbs("1.head", seconds, code=code)))
    assert jobs["status"].tolist() == [status]


def test_pbs_arrays_tries_and_ids_used_again(tmp_path):
    path = accounting(
        tmp_path,
        pbs("5[].head", 900, name="sweep"),
        pbs("5[1].head", 100, name="sweep"),
        pbs("5[2].head", 110, name="sweep"),
        pbs("6.head", 40, code=271),
        pbs("6.head", 50, start=600),
        pbs("1.head", 120),
        pbs("1.head", 120),
        pbs("1.head", 7200, user="bob", name="train", created=9_000_000, start=9_000_060),
        pbs("1.head", 140, created=9_000_000, start=9_000_060),
    )
    jobs = read_pbs(path)
    found = {(r.series, r.run): r.duration for r in jobs.itertuples()}
    assert found == {
        ("alice/sweep", "5[1]"): 100.0,
        ("alice/sweep", "5[2]"): 110.0,
        ("alice/etl", "6"): 50.0,
        ("alice/etl", "1"): 120.0,
        ("alice/etl", "1@2026-06-13T08:01:00Z"): 140.0,
        ("bob/train", "1"): 7200.0,
    }
    assert jobs.attrs["dropped"] == {
        "array of which the parts are read": 1,
        "earlier try of a requeued job": 1,
        "row that stands twice": 1,
    }
    assert len(pivot_runs(jobs)) == 6


def test_pbs_servers_suspensions_and_bad_lines(tmp_path):
    jobs = read_pbs(accounting(tmp_path, pbs("1.north", 60), pbs("1.south", 90, used=50)))
    assert jobs.set_index("run")["duration"].to_dict() == {"1.north": 60.0, "1.south": 50.0}
    assert "in 1 records resources_used.walltime is not end minus start" in jobs.attrs["notes"][0]
    with pytest.raises(SourceError, match=r"20260301, line 2: 'JobID\|x' is no record of PBS"):
        read_pbs(accounting(tmp_path, pbs("1.a", 60), "JobID|x"))
    with pytest.raises(SourceError, match=r"line 1: the record has no field jobname"):
        read_pbs(accounting(tmp_path, pbs("1.a", 60).replace("jobname", "n")))
    with pytest.raises(SourceError, match=r"line 1, start: 'soon' is no number"):
        read_pbs(accounting(tmp_path, pbs("1.a", 60).replace(f"start={BEGIN + 60}", "start=soon")))
    with pytest.raises(SourceError, match="holds no record of a job that has ended"):
        read_pbs(accounting(tmp_path, "03/01/2026 04:00:00;Q;1.head;queue=batch"))


def sge(job, seconds, *, user="alice", name="etl", start=60, failed=0, code=0, task=0,
        submitted=0, part="NONE", category="-q all.q", factor=1, wall=None):  # fmt: skip
    times = [(BEGIN + t) * factor for t in (submitted, start, start + seconds)]
    if start == 0:
        times[1:] = [0, 0]
    wall = seconds if wall is None else wall
    usage = ":".join(["0"] * 17)
    return (
        f"all.q:node1:lab:{user}:{name}:{job}:sge:0:{':'.join(map(str, times))}:{failed}:{code}:"
        f"{wall}:{usage}:lab:defaultdepartment:NONE:1:{task}:92.4:1.0:0.1:{category}:0.0:{part}:"
        "1048576:0:0"
    )


@pytest.mark.parametrize("factor", [1, 1000])
def test_sge_jobs_in_seconds_or_milliseconds(tmp_path, factor):
    path = accounting(
        tmp_path,
        "# Version: 8.1.9",
        sge(7, 120, factor=factor),
        sge(8, 130, start=86460, submitted=86400, factor=factor),
        sge(9, 500, user="bob", task=3, factor=factor),
        name="accounting",
    )
    jobs = read_sge(path)
    assert {(r.series, r.run): r.duration for r in jobs.itertuples()} == {
        ("alice/etl", "7"): 120.0, ("alice/etl", "8"): 130.0, ("bob/etl", "9.3"): 500.0
    }  # fmt: skip
    assert jobs["queued_seconds"].tolist() == [60.0] * 3
    assert jobs["started_at"].iloc[0] == pd.Timestamp(BEGIN + 60, unit="s", tz="UTC")
    assert jobs.attrs["notes"] == []
    assert read_source(f"sge:{path}").loc[("alice/etl", "7"), "job"] == 120.0


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, "success"),
        ({"code": 1}, "failed"),
        ({"failed": 1}, "failed"),
        ({"failed": 37, "code": 137}, "timeout"),
        ({"failed": 100, "code": 137}, "cancelled"),
        ({"failed": 100, "code": 137, "category": "-l h_rt=120,h_vmem=4G"}, "timeout"),
    ],
)
def test_sge_codes(tmp_path, options, status):
    assert read_sge(accounting(tmp_path, sge(7, 120, **options)))["status"].tolist() == [status]


def test_sge_tries_parts_and_units(tmp_path):
    path = accounting(
        tmp_path,
        sge(7, 30, failed=25),
        sge(7, 120, start=300),
        sge(8, 100, part="1.node2"),
        sge(8, 110),
        sge(9, 0, start=0, failed=1),
        sge(7, 200, user="bob", name="train"),
    )
    jobs = read_sge(path)
    assert {(r.series, r.run): r.duration for r in jobs.itertuples()} == {
        ("alice/etl", "7"): 120.0, ("alice/etl", "8"): 110.0, ("bob/train", "7"): 200.0
    }  # fmt: skip
    assert jobs.attrs["dropped"] == {
        "part of a parallel job": 1,
        "try that was put back into the queue": 1,
        "not started": 1,
    }
    rows = [sge(i, 100 + i, wall=1000 * (100 + i)) for i in range(3)]
    jobs = read_sge(accounting(tmp_path, *rows))
    assert sorted(jobs["duration"]) == [100.0, 101.0, 102.0]
    assert "read as milliseconds" in jobs.attrs["notes"][0]


def test_sge_bad_lines(tmp_path):
    with pytest.raises(SourceError, match=r"line 2: 3 fields separated by colons, expected 36"):
        read_sge(accounting(tmp_path, sge(7, 120), "a:b:c"))
    with pytest.raises(SourceError, match=r"line 1, start: 'soon' is no number"):
        read_sge(accounting(tmp_path, sge(7, 120).replace(f":{BEGIN + 60}:", ":soon:")))
    with pytest.raises(SourceError, match="holds no finished job that could be used"):
        read_sge(accounting(tmp_path, sge(7, 120, start=0)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:02:03", 123.0), ("123", 123.0), ("100:00:00", 360000.0)]
)
def test_pbs_wall_times_in_all_forms(tmp_path, text, seconds):
    line = pbs("1.head", 120).replace("used.walltime=00:02:00", f"used.walltime={text}")
    assert read_pbs(accounting(tmp_path, line))["duration"].tolist() == [seconds]


@pytest.mark.parametrize("text", ["-00:02:00", "1:99", "soon"])
def test_pbs_wall_times_that_are_none_are_named(tmp_path, text):
    line = pbs("1.head", 120).replace("used.walltime=00:02:00", f"used.walltime={text}")
    said = rf"20260301, line 1, resources_used\.walltime: '{text}' is "
    with pytest.raises(SourceError, match=said):
        read_pbs(accounting(tmp_path, line))
