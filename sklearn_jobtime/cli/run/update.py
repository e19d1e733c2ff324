"""Command `update`: intervals that learn what became of the runs since the fit."""

from pathlib import Path
from typing import Any

from sklearn_jobtime._atomic import locked
from sklearn_jobtime._wording import human_time
from sklearn_jobtime.cli.inputs import read_as_fitted
from sklearn_jobtime.cli.intervals import (
    conformal,
    coverage_record,
)
from sklearn_jobtime.cli.output import (
    as_records,
    job_label,
    print_coverage,
    print_json,
    print_notes,
    print_table,
    results,
)
from sklearn_jobtime.cli.times import read_moment, read_zone
from sklearn_jobtime.conformal._online_update import OnlineUpdate, online_update
from sklearn_jobtime.persistence import load_model, save_model

__all__ = ["run_update", "update_record"]


def run_update(
    path: Path,
    source: str,
    output: Path | None,
    now: str | None,
    *,
    timezone: str,
    as_json: bool,
) -> None:
    """Update the model with the runs that are new to it, and store it where there were any."""
    zone = read_zone(timezone)
    moment = None if now is None else read_moment(now, zone, "--now")
    with locked(path):  # an update by another process would be lost
        model = conformal(load_model(path), path)
        runs, _ = read_as_fitted(source, model)
        found = online_update(model, runs, now=moment)
        changed = output is not None or found.until > found.since
        if changed:
            save_model(model, output or path)
    coverage = coverage_record(model)
    notes = runs.attrs.get("notes", [])
    if as_json:
        record = {"model": str(output or path), **update_record(found), "coverage": coverage}
        print_json({**record, "notes": notes})
        return
    _print(found, timezone)
    print_coverage(coverage)
    stored = f"Stored as {output or path}." if changed else f"{path} is as it was."
    results().print(stored, markup=False, soft_wrap=True)
    print_notes(notes)


def update_record(found: OnlineUpdate) -> dict[str, Any]:
    """Give what an update learned, for JSON."""
    return {
        "since": found.since,
        "until": found.until,
        "updated_runs": found.n_runs,
        "updated_targets": int(found.jobs["targets"].sum()),
        "right_censored": int(found.jobs["at_least"].sum()),
        "jobs": as_records(found.jobs.rename(columns={"at_least": "right_censored"})),
        "refit_advised": found.refit_advised,
    }


def _print(found: OnlineUpdate, timezone: str) -> None:
    since, until = (human_time(time, timezone) for time in (found.since, found.until))
    if found.until == found.since:
        results().print(f"Nothing to update: no outcome is newer than {since} {timezone}.")
    else:
        print_table(
            "New runs of each job",
            ["job", "durations", "at least so long", "drift"],
            (
                [
                    job_label(row["job"]),
                    f"{row['targets']:,}",
                    f"{row['at_least']:,}",
                    f"{row['drift']:+.2f}",
                ]
                for _, row in found.jobs.iterrows()
            ),
        )
        results().print(
            f"Updated with {found.n_runs} runs that ended after {since}, up to {until} {timezone}.",
            markup=False,
            soft_wrap=True,
        )
    results().print(
        "A fit is advised: runs are no longer as far from their forecasts as they were; "
        "`jobtime fit` again."
        if found.refit_advised
        else "No fit is advised (drift: 1 is an alarm that runs take longer than they used to, "
        "relative to their forecasts, -1 that they take shorter).",
        markup=False,
        soft_wrap=True,
    )
