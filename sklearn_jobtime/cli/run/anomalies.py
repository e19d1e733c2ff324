"""Command `anomalies`: which runs took unusually long or short."""

import pandas as pd
import typer
from rich.markup import escape

from sklearn_jobtime._wording import human_seconds, human_share
from sklearn_jobtime.anomaly import JobTimeAnomalyDetector, newest_runs
from sklearn_jobtime.cli.inputs import History
from sklearn_jobtime.cli.output import (
    forecast_records,
    job_label,
    print_json,
    print_notes,
    print_table,
    results,
    row_name,
)
from sklearn_jobtime.exceptions import RunTableError

__all__ = ["run_anomalies"]


SHOWN = 30
JUDGED = 0.2


def run_anomalies(
    history: History,
    *,
    newest: int | None,
    false_alarms: float,
    false_discoveries: float | None,
    as_json: bool,
) -> None:
    """Judge the newest runs by those before them."""
    runs = history.named_runs
    if len(runs) < 2:
        raise RunTableError(
            f"the history has {len(runs)} run; it takes one to judge and others to compare it with."
        )
    n_judged = max(1, round(JUDGED * len(runs))) if newest is None else newest
    if n_judged >= len(runs):
        raise typer.BadParameter(
            f"--newest {n_judged} leaves none of the {len(runs)} runs to compare with."
        )
    is_judged = newest_runs(runs, n_judged)
    detector = JobTimeAnomalyDetector(contamination=false_alarms, jobs=history.jobs)
    detector.fit(runs[~is_judged])
    found = detector.alarms(runs[is_judged], false_discoveries)
    if as_json:
        if detector.least_p_value_ > false_alarms:  # said to people by the detector itself
            history.note("too few runs for any alarm: see `least_p_value`.")
        print_json(
            {
                "anomalies": forecast_records(found),
                "judged": n_judged,
                "compared_with": detector.n_calibration_,
                "false_alarms": false_alarms,
                "false_discoveries": false_discoveries,
                "least_p_value": detector.least_p_value_,
                "notes": history.notes,
            }
        )
        return
    _print(found, n_judged, detector, false_discoveries)
    print_notes(history.notes)


def _print(
    found: pd.DataFrame,
    n_judged: int,
    detector: JobTimeAnomalyDetector,
    false_discoveries: float | None,
) -> None:
    if len(found):
        print_table(
            "Unusual runs",
            ["run", "job", "took", "expected", "p-value"],
            (
                [
                    row_name(label),
                    escape(job_label(alarm["job"])),
                    human_seconds(alarm["seconds"]),
                    human_seconds(alarm["expected_seconds"]),
                    human_share(alarm["p_value"], 2),
                ]
                for label, alarm in found.tail(SHOWN).iterrows()
            ),
        )
    if len(found) > SHOWN:
        results().print(f"{len(found) - SHOWN} older ones: see them with --json.")
    for why in found["why"].tail(3):
        results().print(f"Run {why}", markup=False, soft_wrap=True)
    rate = (
        f"{100 * detector.contamination:.3g} % of usual runs are expected to be called so"
        if false_discoveries is None
        else f"{100 * false_discoveries:.3g} % of the list are expected to be false"
    )
    what = "runs" if false_discoveries is None else "jobs of runs"
    results().print(
        f"{len(found)} unusual {what} among the newest {n_judged}, compared with "
        f"{detector.n_calibration_} before them; {rate}.",
        markup=False,
        soft_wrap=True,
    )
