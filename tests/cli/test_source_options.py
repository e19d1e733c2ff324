"""Options of a source in the shell, the same for every command, and the report of a reading."""

import json

import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app

SMALL = ["--epochs", "1", "--hidden-size", "2", "--window", "3", "--horizon", "1"]
COMMANDS = [
    "load",
    "fit",
    "evaluate",
    "tune",
    "forecast",
    "risk",
    "update",
    "anomalies",
    "links",
    "why",
]


def jobtime(*arguments):
    return CliRunner().invoke(app, [str(part) for part in arguments])


def answer(*arguments):
    result = jobtime(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def log(tmp_path):
    """Forty nights: a load of 90 minutes from 04:00 in Berlin, in states of one's own."""
    rows = ["nr~task~start~end~state"]
    for night in range(40):
        month, day = 6 + night // 30, 1 + night % 30
        date = f"2026-{month:02}-{day:02}"
        state = "parked" if night == 3 else "fine"
        rows.append(f"{night}~load~{date}T04:00:00~{date}T05:{20 + night % 3}:00~{state}")
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


READING = [
    *("--column", "run=nr", "--delimiter", "~", "--input-timezone", "Europe/Berlin"),
    *("--state", "fine=success", "--state", "parked=skipped"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_has_the_options(command):
    names = {
        option
        for parameter in __import__("typer").main.get_command(app).commands[command].params
        for option in parameter.opts
    }
    assert names >= {
        "--column",
        "--state",
        "--input-timezone",
        "--delimiter",
        "--series-by",
        "--on-duplicate",
        "--on-unknown",
    }


def test_a_log_of_ones_own_is_loaded_with_a_report(log):
    record = answer("load", log, *READING)
    report = record["report"]
    assert report["columns"]["run"] == {"column": "nr", "why": "named"}
    assert report["columns"]["started_at"] == {"column": "start", "why": "usual name"}
    assert report["statuses"] == {"success": 39, "skipped": 1}
    assert (report["runs"], report["jobs_of_runs"], report["left_out"]) == (40, 40, {})
    assert record["series"][0]["first"] == "2026-06-01T02:00:00Z"
    assert any("were read as Europe/Berlin" in note for note in record["notes"])
    said = jobtime("load", log, *READING).stderr
    assert "run from 'nr' (named)" in said
    assert "kept: 40 runs, 40 jobs of runs (39 success, 1 skipped)" in said


def test_a_deadline_of_the_clock_holds_for_local_times(log, tmp_path):
    model = tmp_path / "m.joblib"
    fitted = answer("fit", log, "-o", model, *SMALL, *READING)
    assert any("were read as Europe/Berlin" in note for note in fitted["notes"])
    zone = ["--timezone", "Europe/Berlin"]
    risks = answer("risk", model, log, "--deadline", "06:00", *zone, *READING)
    assert risks["risks"][0]["done_by"] > 0.9
    assert any("were read as Europe/Berlin" in note for note in risks["notes"])
    forecast = answer("forecast", model, log, *zone, *READING)["forecasts"][0]
    assert forecast["started_at"] == "2026-07-11T02:00:00Z"


def test_missing_statuses_are_noted_by_every_command(tmp_path):
    path = tmp_path / "log.csv"
    rows = [f"{n},load,2026-03-{1 + n:02}T04:00:00Z,{60 + n % 4}" for n in range(28)]
    path.write_text("run,task,start,took\n" + "\n".join(rows) + "\n")
    model = tmp_path / "m.joblib"
    for arguments in (
        ["load", path],
        ["fit", path, "-o", model, *SMALL],
        ["forecast", model, path],
        ["update", model, path],
        ["anomalies", path],
    ):
        notes = answer(*arguments)["notes"]
        assert any("no column of statuses" in note for note in notes), arguments


def test_errors_name_the_options_of_the_shell(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("id,cpu,memory\n1,4.5,2.5\n2,5.5,2.5\n")
    result = jobtime("load", path)
    assert result.exit_code == 1
    assert "--jobs cpu,memory" in result.stderr
    assert "--column started_at=START" in result.stderr
    assert "columns=" not in result.stderr
    result = jobtime("load", "slurm:sacct.txt", "--column", "run=JobID")
    assert result.exit_code == 1
    assert "slurm: does not use --column" in result.stderr
    assert jobtime("load", path, "--on-duplicate", "first").exit_code == 2
    assert jobtime("load", path, "--state", "parked").exit_code == 2


def test_what_load_wrote_of_a_cluster_is_read_back(tmp_path):
    text = tmp_path / "sacct.txt"
    text.write_text(
        "JobID|JobName|User|Submit|Start|End|Elapsed|State\n"
        "1|a|u|2026-03-01T04:00:00|2026-03-01T04:01:00|2026-03-01T04:03:00|00:02:00|COMPLETED\n"
        "2|a|u|2026-03-02T04:00:00|2026-03-02T04:01:00|2026-03-02T04:01:07|00:00:07|TIMEOUT\n"
    )
    first = answer("load", text, "-o", tmp_path / "runs.csv")
    again = answer("load", tmp_path / "runs.csv")
    for key in ("statuses", "runs", "jobs_of_runs", "total_seconds", "median_seconds"):
        assert first["report"][key] == again["report"][key]
    assert again["report"]["statuses"] == {"success": 1, "timeout": 1}
    assert again["report"]["total_seconds"] == 120.0
    assert first["notes"][0].startswith("read as slurm:")


def test_series_of_a_standard_workload_are_named_in_the_shell(tmp_path):
    path = tmp_path / "log.swf"
    path.write_text(
        "; UnixStartTime: 1772337600\n"
        + "".join(
            f"{k} {k * 60} 0 60 1 -1 -1 1 -1 -1 1 {k % 2} -1 -1 {k % 3} -1 -1 -1\n"
            for k in range(1, 13)
        )
    )
    record = answer("load", path, "--series-by", "user,queue")
    assert len(record["series"]) == 6


def test_paths_into_json_are_typed_as_the_shell_says(tmp_path):
    path = tmp_path / "builds.json"
    jobs = [{"name": "a", "start": "2026-03-01T04:00:00Z", "end": "2026-03-01T04:00:05Z"}]
    path.write_text(json.dumps([{"build": {"no": 7}, "result": "failure", "jobs": jobs}]))
    refused = jobtime("load", path)
    assert refused.exit_code == 1
    assert "--column status=result" in refused.output
    assert "'job=jobs[].name'" in refused.output
    columns = ["run=build.no", "status=result", "job=jobs[].name", "started_at=jobs[].start"]
    columns.append("ended_at=jobs[].end")
    read = answer("load", path, *(part for column in columns for part in ("--column", column)))
    assert read["report"]["total_seconds"] == 0
    assert read["report"]["statuses"] == {"failed": 1}
    assert read["report"]["columns"]["run"] == {"column": "build.no", "why": "named"}


def test_a_recognised_system_is_said_by_every_reading(tmp_path):
    path = tmp_path / "runs.json"
    run = {"dag_id": "etl", "state": "success", "execution_date": "2026-03-01T00:00:00+00:00"}
    run |= {
        "run_id": "r1",
        "start_date": "2026-03-01T04:00:00Z",
        "end_date": "2026-03-01T04:01:00Z",
    }
    path.write_text(json.dumps([run]))
    read = answer("load", path)
    assert read["notes"][0].startswith("recognised as Airflow DAG runs by its fields (dag_id,")
    assert read["report"]["columns"]["started_at"]["why"] == "field of Airflow DAG runs"
    assert read["series"][0]["median_seconds"] == 60
