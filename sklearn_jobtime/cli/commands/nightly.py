"""The command `nightly`."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import AsJson, Names, Runs, Timezone, reads_source, writable

__all__ = ["nightly"]


def _writable_by(module: str, extra: str) -> Callable[[Path | None], Path | None]:
    """Say before the work that what writes a file is not installed."""

    def check(path: Path | None) -> Path | None:
        if path is not None and find_spec(module) is None:
            raise typer.BadParameter(
                f"{path} is written with {module}, which is not installed; run `pip install "
                f'"sklearn-jobtime[{extra}]"`.'
            )
        return writable(path)

    return check


@reads_source("runs")
def nightly(
    runs: Runs,
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="File that `fit` stored, with intervals; it is updated. Beside it stands "
            "MODEL.nightly.json, which remembers the open alarms.",
        ),
    ],
    deadline: Annotated[
        Names,
        typer.Option(
            metavar="[SERIES=]TIME",
            help="When runs have to be done: 06:00 (the next one after the start), a moment, or a "
            "duration from the start such as 45min; of all series, or of one. May be given several "
            "times.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(callback=_writable_by("jinja2", "report"), help="Page for people, .html."),
    ] = None,
    alerts: Annotated[
        Path | None, typer.Option(callback=writable, help="Open alarms for programs, .json.")
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(
            callback=_writable_by("prometheus_client", "prometheus"),
            help="Figures for the textfile collector of Prometheus' node exporter, .prom.",
        ),
    ] = None,
    alarm_below: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="A chance of a deadline that is lower is an alarm."),
    ] = 0.5,
    refit_after: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS",
            min=0.0,
            help="A fit is due when the newest run of the last one is older. Default: errors tell.",
        ),
    ] = None,
    landings: Annotated[
        int,
        typer.Option(
            min=0,
            help="For how many series the jobs of the next run are sent through their graph; a "
            "second or more for each.",
        ),
    ] = 8,
    now: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The present: for runs that go on. Default: the clock."),
    ] = None,
    timezone: Timezone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Do all that a team needs in the morning, in one run: for cron or Airflow.

    The model is updated with the runs that are new to it, then forecasts the next ones; landings,
    chances and unusual runs are as `forecast`, `landing`, `risk` and `anomalies` tell them. What
    needs a look is an alarm, one for each cause: it is new on one night, stays open while the cause
    lasts (late_chance and missed_deadline for three quiet nights more, unusual_run for seven), and
    is closed once.

    Exit code 4: an alarm is new. The same night once more writes the same files and exits with 0.
    Every file is whole or as it was; a night that was cut off is done again by the next. A second
    run at the same time is refused.

    cron: `0 7 * * * jobtime nightly runs.parquet --model model.skops --deadline 06:00 --report
    report.html --alerts alerts.json --metrics /var/lib/node_exporter/jobtime.prom || mail ...`

    Airflow: `BashOperator(task_id="nightly", retries=0, bash_command="jobtime nightly ...")` fails
    where an alarm is new; with `skip_on_exit_code=4` it is skipped instead.

    --alerts: `schema` (1), `date`, `timezone`, `newest`, `alarms` and `closed` (closed tonight).
    Each has `id`, `kind` (late_chance, missed_deadline, unusual_run, level_shift,
    failures_in_a_row, data_not_fresh, refit_due), `series` and `job` (null: all), `direction`,
    `run` and `since` (the first run of the cause), `nights`, `quiet_nights`, `new`, `sentence`,
    `numbers` (by name `value` and `unit`: seconds, ratio, runs), `times` (UTC).

    With --json: the same, and `model`, `update`, `forecasts`, `risks`, `anomalies`, `landings` (by
    series), `retired`, `coverage`, `notes`, each as the command for it prints them.
    """
    from sklearn_jobtime.cli.run.nightly import Outputs, run_nightly

    run_nightly(
        runs,
        model,
        Outputs(report, alerts, metrics),
        deadlines=deadline or [],
        alarm_below=alarm_below,
        refit_after=refit_after,
        landings=landings,
        now=now,
        timezone=timezone,
        as_json=as_json,
    )
