"""Options of a source in the shell, the same for every command, and the report of a reading."""

import inspect
import json

import pytest
import typer
from typer.testing import CliRunner

from sklearn_jobtime import loaders
from sklearn_jobtime.cli.app import app

SMALL = ["--epochs", "1", "--hidden-size", "2", "--window", "3", "--horizon", "1"]
SMALL += ["--test-size", "0"]
pytestmark = pytest.mark.usefixtures("few_trees")
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
        for parameter in typer.main.get_command(app).commands[command].params
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


# How a keyword is called in the shell, where that is not --keyword.
SHELL_NAMES = {
    "columns": ["--column", "--columns"],
    "states": ["--state"],
    "timezone": ["--input-timezone"],
    "by": ["--series-by"],
    "series": ["--series-name"],
    "timeout": ["--query-timeout"],
}
NO_OPTION = {"client": "an object of Python", "project": "it stands in bigquery://PROJECT#TABLE"}
READERS = [name for name in loaders.__all__ if name.startswith("read_") and name != "read_source"]


@pytest.mark.parametrize("reader", READERS)
def test_every_keyword_of_a_reader_has_an_option_of_the_shell(reader):
    parameters = inspect.signature(getattr(loaders, reader)).parameters.values()
    keywords = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    command = typer.main.get_command(app).commands["load"]
    options = {option for parameter in command.params for option in parameter.opts}
    wanted = {
        option
        for keyword in keywords - set(NO_OPTION)
        for option in SHELL_NAMES.get(keyword, [f"--{keyword.replace('_', '-')}"])
    }
    assert wanted <= options
    assert len(READERS) >= 14


SACCT = (
    "7|etl|alice|2026-03-01T04:01:00|2026-03-01T04:03:00|COMPLETED\n"
    "7.batch|batch||2026-03-01T04:01:30|2026-03-01T04:03:00|COMPLETED\n"
    "8|etl|alice|2026-03-02T04:01:00|2026-03-02T04:02:00|COMPLETED\n"
)
FIELDS = ["--columns", "JobID,JobName,User,Start,End,State"]


@pytest.mark.parametrize("prefix", ["", "slurm:"])
def test_sacct_without_a_header_is_read_in_the_shell(tmp_path, prefix):
    text = tmp_path / "sacct.txt"
    text.write_text(SACCT)
    report = answer("load", f"{prefix}{text}", *FIELDS)["report"]
    assert (report["statuses"], report["total_seconds"]) == ({"success": 2}, 180.0)
    report = answer("load", f"{prefix}{text}", *FIELDS, "--steps")["report"]
    assert (report["statuses"], report["total_seconds"]) == ({"success": 3}, 270.0)
    assert "name its fields with --columns" in jobtime("load", f"slurm:{text}").stderr


@pytest.mark.parametrize(
    ("fields", "series", "note"),
    [
        ("JobID,User,Start,End,State", "alice", "no field JobName"),
        ("JobID,JobName,Start,End,State", "etl", "no field User"),
    ],
)
def test_fixed_width_without_a_header_or_a_name(tmp_path, fields, series, note):
    text = tmp_path / "sacct.txt"
    rows = [
        f"{n}           {series} 2026-03-01T04:0{n}:00 2026-03-01T04:0{n + 1}:00  CANCELLED by 7 "
        for n in (1, 2)
    ]
    rows.append("9           other 2026-03-01T05:00:00 2026-03-01T05:01:00  COMPLETED ")
    text.write_text("\n".join(rows) + "\n")
    record = answer("load", text, "--columns", fields)
    assert {s["series"]: s["runs"] for s in record["series"]} == {series: 2, "other": 1}
    assert record["report"]["statuses"] == {"cancelled": 2, "success": 1}
    assert any(note in text for text in record["notes"])


def test_the_start_of_a_workload_log_and_the_name_of_a_pipeline(tmp_path):
    log = tmp_path / "a.swf"
    log.write_text("1 0 0 120 1 -1 -1 1 -1 -1 1 4 1 3 -1 -1 -1 -1\n")
    [series] = answer("load", log, "--start", "2026-03-01")["series"]
    assert series["first"] == "2026-03-01T00:00:00Z"
    for run in (1, 2):
        (tmp_path / f"trace_{run}.txt").write_text(
            "task_id\thash\tnative_id\tname\tstatus\tsubmit\trealtime\n"
            "1\ta\t1\tA\tCOMPLETED\t2026-03-01 04:00:00.000\t2m\n"
        )
    source = f"nextflow:{tmp_path}/trace_*.txt"
    columns = answer("load", source, "--series-name", "rnaseq")["report"]["columns"]
    assert columns["series"]["column"] == "named"


def test_a_run_table_with_an_index_of_its_own(tmp_path):
    path = tmp_path / "runs.csv"
    rows = [f"{plant},{n},2026-03-0{n}T04:00:00Z,60.0,success" for plant in "ab" for n in (1, 2)]
    path.write_text("plant,night,started_at,mix,mix__status\n" + "\n".join(rows) + "\n")
    record = answer("load", path, "--index", "plant,night")
    assert [series["series"] for series in record["series"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "option", "users"),
    [
        ("swf:a.swf", ["--steps"], "--steps is used by slurm:, github:"),
        ("slurm:a.txt", ["--tries", "all"], r"--tries is used by airflow+URL"),
        ("github:a.json", ["--start", "2020"], "--start is used by swf:"),
        ("pbs:log", ["--columns", "JobID"], "--columns is used by slurm:"),
        ("sqlite:///a.db#log", ["--mapped", "separate"], "--mapped is used by airflow+URL"),
        ("jenkins:a.json", ["--series-name", "x"], "--series-name is used by nextflow:"),
        ("lsf:acct", ["--index", "a,b"], "--index is used by a run table"),
    ],
)
def test_an_option_of_no_use_names_the_sources_that_use_it(source, option, users):
    result = jobtime("load", source, *option)
    assert result.exit_code == 1
    assert f"does not use {option[0]}; leave it out" in result.stderr
    assert users in result.stderr


def test_tries_and_mapped_tasks_of_airflow(tmp_path):
    database = pytest.importorskip("sqlite3").connect(tmp_path / "airflow.db")
    database.executescript(
        """CREATE TABLE dag_run (dag_id, run_id, run_type, state, start_date);
        CREATE TABLE task_instance (dag_id, run_id, task_id, map_index, try_number, state,
                                    start_date, end_date, queued_dttm);
        CREATE TABLE task_instance_history AS SELECT * FROM task_instance;
        INSERT INTO dag_run VALUES ('etl', 'r1', 'scheduled', 'success', '2026-03-01 04:00:00');
        INSERT INTO task_instance VALUES
            ('etl', 'r1', 'part', 0, 1, 'success', '2026-03-01 04:00', '2026-03-01 04:01', NULL),
            ('etl', 'r1', 'part', 1, 1, 'success', '2026-03-01 04:00', '2026-03-01 04:03', NULL),
            ('etl', 'r1', 'load', -1, 2, 'success', '2026-03-01 05:00', '2026-03-01 05:02', NULL);
        INSERT INTO task_instance_history VALUES
            ('etl', 'r1', 'load', -1, 1, 'failed', '2026-03-01 04:10', '2026-03-01 04:11', NULL);
        """
    )
    database.commit()
    database.close()
    source = f"airflow+sqlite:///{tmp_path}/airflow.db"

    def seconds(*options):
        return answer("load", source, *options)["report"]["total_seconds"]

    # part 180 s (both of its tasks), load 120 s (its last try).
    assert seconds() == 300.0
    assert seconds("--mapped", "separate") == 360.0
    # Joined, the job failed in one of its tries, so that only part is left.
    assert seconds("--tries", "all", "--on-duplicate", "join") == 180.0
    assert answer("load", source, "--tries", "all")["report"]["statuses"] == {"success": 2}
    assert seconds("--dags", "etl") == 300.0
    assert jobtime("load", source, "--tries", "never").exit_code == 2
