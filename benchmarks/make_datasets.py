"""Make the data files that the package ships from the raw tables they were cut from.

    python benchmarks/make_datasets.py RAW_DIRECTORY [--into DIRECTORY]

RAW_DIRECTORY holds `gha_runs.csv.gz`, `gha_steps.csv.gz` and `alcohol_sales.csv`. The result
depends on nothing else: the same input gives the same bytes.
"""

import argparse
import gzip
from pathlib import Path

import pandas as pd

SHIPPED = Path(__file__).parents[1] / "sklearn_jobtime" / "datasets" / "data"
SERIES = {
    "bmad-ecosystem/69576399": "bmad",
    "ccpay-payment-app/6192976": "ccpay",
    "jod-yksilo-ui/83806327": "jod",
}
# "Deploy to testing" of jod waits for a person's approval, by days: it says nothing about jobs.
JOBS = {
    "build": "build",
    "Build": "build",
    "build (ubuntu-latest, Y, N)": "build",
    "build (ubuntu-latest, Y, Y)": "build_mpi",
    "Deploy to development / deploy": "deploy",
}
PIPELINES = {"bmad": ["build", "build_mpi"], "ccpay": ["build"], "jod": ["build", "deploy"]}
KNOWN = [
    "event",
    "is_main",
    "files_added",
    "files_deleted",
    "files_modified",
    "lines_added",
    "lines_deleted",
    "sloc",
    "dependencies",
    "workflow_size",
]
STATUS = {"success": "success", "failure": "failed", "cancelled": "cancelled"}
GITHUB_LIMIT = 6 * 3600.0


def github_jobs(steps: pd.DataFrame) -> pd.DataFrame:
    """Whole jobs, one row each: run, job, started_at, ended_at, duration, status."""
    jobs = steps[(steps["step_no"] == -1) & steps["job"].isin(JOBS)]
    started = pd.to_datetime(jobs["started_at"])
    status = jobs["conclusion"].map(STATUS)
    # GitHub cancels a job at its limit of six hours: that is a time-out.
    hung = (status == "cancelled") & (jobs["duration_s"] >= GITHUB_LIMIT)
    return pd.DataFrame(
        {
            "run": jobs["run"],
            "job": jobs["job"].map(JOBS),
            "started_at": started,
            "ended_at": started + pd.to_timedelta(jobs["duration_s"], unit="s"),
            "duration": jobs["duration_s"].astype("int64"),
            "status": status.mask(hung, "timeout"),
        }
    )


def github_runs(runs: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """One row a run with at least one job, by series and in start order."""
    jobs = github_jobs(steps)
    by_run = jobs.groupby("run")
    table = pd.DataFrame(
        {"started_at": by_run["started_at"].min(), "ended_at": by_run["ended_at"].max()}
    )
    wide = jobs.pivot_table(index="run", columns="job", values="duration", aggfunc="last")
    status = jobs.pivot_table(index="run", columns="job", values="status", aggfunc="last")
    table = table.join(wide.astype("Int64")).join(status.add_suffix("__status"))
    raw = runs.set_index("run")
    table.insert(0, "series", raw["series"].map(SERIES))
    for series, names in PIPELINES.items():
        for job in names:
            idle = (table["series"] == series) & table[job].isna()
            table.loc[idle, f"{job}__status"] = "skipped"
    table = table.join(raw[KNOWN].astype({"workflow_size": "int64", "is_main": "int64"}))
    table = table.sort_values(["series", "started_at"], kind="stable")
    table.index = table.groupby("series").cumcount().rename("run")
    return table.reset_index().set_index("series")


def write_gzip(table: pd.DataFrame, path: Path) -> None:
    """Write a gzip CSV without name or time in its header, so that equal tables are equal bytes."""
    text = table.to_csv(date_format="%Y-%m-%dT%H:%M:%SZ", lineterminator="\n")
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def main(raw: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    runs = github_runs(pd.read_csv(raw / "gha_runs.csv.gz"), pd.read_csv(raw / "gha_steps.csv.gz"))
    write_gzip(runs, into / "github_runs.csv.gz")
    sales = pd.read_csv(raw / "alcohol_sales.csv")
    sales.columns = ["month", "sales_musd"]
    sales.to_csv(into / "alcohol_sales.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("raw", type=Path, help="directory of the raw tables")
    parser.add_argument("--into", type=Path, default=SHIPPED, help="where the files go")
    options = parser.parse_args()
    main(options.raw, options.into)
