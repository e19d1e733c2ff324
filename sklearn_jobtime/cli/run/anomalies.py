"""Command `anomalies`: which runs took unusually long or short."""

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from rich.markup import escape

from sklearn_jobtime.anomaly import JobTimeAnomalyDetector
from sklearn_jobtime.cli.inputs import History
from sklearn_jobtime.cli.output import (
    forecast_records,
    human_seconds,
    job_label,
    print_json,
    print_notes,
    print_table,
    results,
)
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs._schema import STARTED_AT, series_of

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
    runs = history.runs
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


def newest_runs(runs: pd.DataFrame, n_runs: int) -> NDArray[np.bool_]:
    """Mark the newest runs by their start; without times, those nearest to the end of a series.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.cli.run.anomalies import newest_runs
    >>> runs = pd.DataFrame({"build": 9.0}, pd.MultiIndex.from_product([["a", "b"], range(3)]))
    >>> newest_runs(runs, 2).tolist()
    [False, False, True, False, False, True]
    """
    if STARTED_AT in runs:
        age = runs[STARTED_AT].rank(method="first", ascending=False).to_numpy() - 1
    else:
        series = pd.Series(series_of(runs.index))
        behind = series.groupby(series).cumcount(ascending=False)
        age = behind.rank(method="first").to_numpy() - 1
    return age < n_runs


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
                    escape("/".join(map(str, label)) if isinstance(label, tuple) else str(label)),
                    job_label(alarm["job"]),
                    human_seconds(alarm["seconds"]),
                    human_seconds(alarm["expected_seconds"]),
                    f"{alarm['p_value']:.2%}",
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
