"""The command `anomalies`."""

from typing import Annotated

import typer

from sklearn_jobtime.cli.options import AsJson, Jobs, Runs, reads_source, split_names

__all__ = ["anomalies"]


@reads_source("runs")
def anomalies(
    runs: Runs,
    jobs: Jobs = None,
    newest: Annotated[
        int | None,
        typer.Option(min=1, help="How many of the newest runs to judge. Default: a fifth of them."),
    ] = None,
    false_alarms: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Share of usual runs that may be called odd.")
    ] = 0.01,
    false_discoveries: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=0.5,
            help="List jobs of runs instead, so many that only this share of the list is expected "
            "to be false: for many jobs at once.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs that took unusually long or short, and say why each is on the list.

    The runs before those judged say what is usual; each is compared with what a weighted average
    of baselines forecasts for it, so a season or a new level is no alarm for long. No model is
    needed. Failed jobs are not judged.

    With --json: `anomalies` (`series` and `run`, `job`, `direction`, `seconds`, `expected_seconds`,
    `p_value`, `why`), `judged` runs, `compared_with` how many, `false_alarms`,
    `false_discoveries`, `least_p_value` (above `false_alarms`, there are too few runs for any
    alarm), `notes`.
    """
    from sklearn_jobtime.cli.inputs import read_history
    from sklearn_jobtime.cli.run.anomalies import run_anomalies

    run_anomalies(
        read_history(runs, split_names(jobs), ()),
        newest=newest,
        false_alarms=false_alarms,
        false_discoveries=false_discoveries,
        as_json=as_json,
    )
