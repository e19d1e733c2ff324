"""The real histories of the shared data as run tables, for the benchmarks.

The files and their traps are described in the README beside them. Each entry says how a run table
is made of them: which column is the duration, when a run's outcome was known, and which covariates
are known when it starts. A series with fewer than `LEAST` successful runs is left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sklearn_jobtime.runs import ENDED_AT, STARTED_AT, validate_runs

LEAST = 200
COMMIT = [
    "files_added",
    "files_deleted",
    "files_modified",
    "lines_added",
    "lines_deleted",
    "sloc",
    "dependencies",
    "workflow_size",
]
STATUS_OF = {"success": "success", "failure": "failed", "cancelled": "cancelled"}


@dataclass(frozen=True)
class History:
    """A run table and what is known of its columns.

    Parameters
    ----------
    name : str
        Short name for the tables of results.
    group : {"single", "jobs", "pooled"}
        One job with covariates or calendar, several jobs of one pipeline, or many series.
    runs : DataFrame
        A validated run table.
    jobs : list of str
        Its columns of durations.
    known : list of str
        Covariates known when a run starts.
    """

    name: str
    group: str
    runs: pd.DataFrame
    jobs: list[str]
    known: list[str] = field(default_factory=list)


def _table(runs: pd.DataFrame, jobs: list[str]) -> pd.DataFrame:
    return validate_runs(runs.sort_values(STARTED_AT, kind="stable"), jobs=jobs)


def openshift(folder: Path) -> Iterator[History]:
    raw = pd.read_csv(folder / "ocp_periodic_e2e.csv.gz")
    runs = raw.set_index("run")[[STARTED_AT, ENDED_AT]].assign(
        e2e=raw["duration_s"].to_numpy(),
        e2e__status=raw["result"].map({"SUCCESS": "success", "FAILURE": "failed"}).to_numpy(),
    )
    yield History("ocp", "single", _table(runs, ["e2e"]), ["e2e"])


def github_runs(folder: Path) -> Iterator[History]:
    raw = pd.read_csv(folder / "gha_runs.csv.gz").set_index("run")
    raw = raw[raw[STARTED_AT].notna()]
    for series, rows in raw.groupby("series"):
        known = ["event", "is_main", "branch_hash", "jobs_total", *COMMIT]
        runs = rows[[STARTED_AT, ENDED_AT, *known]].assign(
            is_main=rows["is_main"].astype("float64"),
            busy=rows["busy_s"],
            busy__status=rows["conclusion"].map(STATUS_OF).fillna("failed"),
        )
        # A run without a conclusion had not ended when the source was read.
        runs.loc[rows["conclusion"].isna(), ENDED_AT] = None
        yield History(series.split("-")[0], "single", _table(runs, ["busy"]), ["busy"], known)


def github_long_runs(folder: Path) -> Iterator[History]:
    raw = pd.read_csv(folder / "gha_long_runs.csv.gz")
    for series, rows in raw.groupby("series"):
        known = ["event_code", "is_pr", "jobs_total", *COMMIT]
        started = _first_start(rows) + pd.to_timedelta(rows["elapsed_s"], unit="s")
        runs = rows.set_index("seq")[known].assign(
            is_pr=rows["is_pr"].astype("float64").to_numpy(),
            event_code=("event " + rows["event_code"].astype(str)).to_numpy(),
            build=rows["duration_s"].to_numpy(),
            build__status=rows["conclusion"].map(STATUS_OF).to_numpy(),
        )
        runs[STARTED_AT] = started.to_numpy()
        runs[ENDED_AT] = (started + pd.to_timedelta(rows["duration_s"], unit="s")).to_numpy()
        yield History(series.split("/")[0], "single", _table(runs, ["build"]), ["build"], known)


def _first_start(rows: pd.DataFrame) -> pd.Timestamp:
    """Date of the first run: the source dropped it, but kept month, weekday and hour of each."""
    days = pd.date_range("2024-09-01", "2024-11-30", freq="D", tz="UTC")
    first = rows.iloc[0]
    elapsed = pd.to_timedelta(rows["elapsed_s"], unit="s")
    starts = [day + pd.Timedelta(hours=float(first["hour"]) + 0.5) for day in days]
    agree = [
        ((start + elapsed).dt.month == rows["month"]).mean()
        + ((start + elapsed).dt.day_of_week == rows["dow"]).mean()
        for start in starts
    ]
    return starts[int(pd.Series(agree).argmax())]


def github_jobs(folder: Path) -> Iterator[History]:
    """Give the jobs of each project as a wide table; a run's end is the end of its last job."""
    steps = pd.read_csv(folder / "gha_steps.csv.gz")
    jobs = steps[(steps["step_no"] == -1) & steps[STARTED_AT].notna()].copy()
    # `job:<name>` and no double underscore, whatever a project calls its jobs
    jobs["job"] = "job:" + jobs["job"].str.replace(r"\W+", "_", regex=True).str.strip("_")
    jobs[STARTED_AT] = pd.to_datetime(jobs[STARTED_AT], utc=True, format="ISO8601")
    jobs["ended"] = jobs[STARTED_AT] + pd.to_timedelta(jobs["duration_s"], unit="s")
    jobs["status"] = jobs["conclusion"].map(STATUS_OF).fillna("failed")
    # as in `gha_runs`: the covariates of the commit
    covariates = pd.read_csv(folder / "gha_runs.csv.gz").set_index("run")
    known = ["event", "is_main", *COMMIT]
    for project, rows in jobs.groupby(jobs["run"].str.rsplit("-", n=1).str[0]):
        n_good = rows[rows["status"] == "success"].groupby("job").size()
        names = sorted(n_good[n_good >= LEAST].index)
        kept = rows[rows["job"].isin(names)].drop_duplicates(["run", "job"], keep="last")
        wide = kept.pivot(index="run", columns="job", values="duration_s")[names]
        for name in names:
            status = kept[kept["job"] == name].set_index("run")["status"]
            wide[f"{name}__status"] = status.reindex(wide.index).astype(object)
        wide[STARTED_AT] = kept.groupby("run")[STARTED_AT].min()
        wide[ENDED_AT] = kept.groupby("run")["ended"].max()
        wide = wide.join(covariates[known].assign(is_main=covariates["is_main"].astype(float)))
        yield History(f"{project.split('-')[0]} jobs", "jobs", _table(wide, names), names, known)


def _pooled(
    name: str, raw: pd.DataFrame, series: pd.Series, job: str, known: list[str]
) -> Iterator[History]:
    """Index rows by (series, run) and keep the series with enough successful runs."""
    good = raw[job].notna()
    if f"{job}__status" in raw:
        good &= raw[f"{job}__status"] == "success"
    counts = good.groupby(series).sum()
    keep = series.isin(counts[counts >= LEAST].index)
    runs, series = raw[keep], series[keep]
    order = runs[STARTED_AT].sort_values(kind="stable").index
    runs, series = runs.loc[order], series.loc[order]
    run = runs.groupby(series).cumcount()
    runs.index = pd.MultiIndex.from_arrays([series, run], names=["series", "run"])
    yield History(name, "pooled", _table(runs, [job]), [job], known)


def pybamm(folder: Path) -> Iterator[History]:
    raw = pd.read_csv(folder / "pybamm_bench_asv.csv.gz")
    started = pd.to_datetime(raw[STARTED_AT], utc=True, format="ISO8601")
    runs = pd.DataFrame(
        {
            STARTED_AT: started,
            ENDED_AT: started + pd.to_timedelta(raw["duration_s"], unit="s"),
            "bench": raw["duration_s"],
            "bench__status": raw["failed"].map({False: "success", True: "failed"}),
            "env": raw["env"],
            "python": "py" + raw["python"].astype(str),
        }
    )
    yield from _pooled("pybamm", runs, raw["benchmark"], "bench", ["env", "python"])


def sandmark(folder: Path) -> Iterator[History]:
    """Only the start of the batch is recorded: a batch counts as ended when the next one starts."""
    raw = pd.read_csv(folder / "sandmark_turing.csv.gz")
    started = pd.to_datetime(raw["batch_started_at"], utc=True, format="ISO8601")
    runs = pd.DataFrame({STARTED_AT: started, "program": raw["duration_s"]})
    yield from _pooled("sandmark", runs, raw["variant"] + ":" + raw["benchmark"], "program", [])


def dune(folder: Path) -> Iterator[History]:
    """All tests of a build have the build's start: a build counts as ended when the next starts."""
    raw = pd.read_csv(folder / "dune_ci_tests.csv.gz")
    runs = pd.DataFrame(
        {
            STARTED_AT: pd.to_datetime(raw[STARTED_AT], utc=True, format="ISO8601"),
            "test": raw["duration_s"],
            "test__status": raw["failed"].map({0: "success", 1: "failed"}),
        }
    )
    yield from _pooled("dune", runs, raw["test"].astype(str), "test", [])


def nasa(folder: Path) -> Iterator[History]:
    fields = [1, 3, 4, 11, 13]
    names = ["submitted", "runtime", "processors", "user", "executable"]
    raw = pd.read_csv(
        folder / "NASA-iPSC-1993-3.1-cln.swf.gz",
        sep=r"\s+",
        comment=";",
        header=None,
        usecols=fields,
        names=range(18),
    )[fields].set_axis(names, axis=1)
    started = pd.Timestamp(749458803 + raw["submitted"].min(), unit="s", tz="UTC")
    started = started + pd.to_timedelta(raw["submitted"] - raw["submitted"].min(), unit="s")
    runtime = raw["runtime"].where(raw["runtime"] >= 0).astype("float64")
    runs = pd.DataFrame(
        {
            STARTED_AT: started,
            ENDED_AT: started + pd.to_timedelta(runtime, unit="s"),
            "run_time": runtime,
            "processors": raw["processors"],
        }
    )
    series = raw["user"].astype(str) + ":" + raw["executable"].astype(str)
    yield from _pooled("nasa", runs, series, "run_time", ["processors"])


SOURCES: list[Callable[[Path], Iterator[History]]] = [
    github_long_runs,
    github_runs,
    openshift,
    github_jobs,
    pybamm,
    sandmark,
    dune,
    nasa,
]


def read_histories(folder: Path, names: list[str] | None = None) -> Iterator[History]:
    """Yield the histories of a folder of data, or those of the given names.

    Raises
    ------
    SystemExit
        When a name is unknown.
    """
    seen = []
    for source in SOURCES:
        for history in source(Path(folder)):
            seen.append(history.name)
            if names is None or history.name in names:
                yield history
    if unknown := set(names or ()) - set(seen):
        raise SystemExit(f"no series {min(unknown)!r}; there are {', '.join(seen)}.")
