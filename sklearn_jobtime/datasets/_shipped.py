"""Real histories that ship with the package; `data/NOTICE.txt` names sources and licences."""

from copy import deepcopy
from importlib.resources import files

import pandas as pd
from sklearn.utils import Bunch

from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, status_column

__all__ = ["load_alcohol_sales", "load_github_runs"]


DATA = files(__package__) / "data"

# Job -> the jobs that must have ended before it starts.
GRAPHS: dict[str, dict[str, list[str]]] = {
    "bmad": {"build": [], "build_mpi": []},
    "ccpay": {"build": []},
    "jod": {"build": [], "deploy": ["build"]},
}
# What the source says of the commit that a run was started for.
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


def load_github_runs(series: str | None = "bmad") -> Bunch:
    """Load real runs of GitHub Actions workflows: 4,913 runs of three projects in 14 months.

    These are histories as they come: between 7 % and 50 % of the jobs fail, fast or late, one
    failure cancels its neighbour, two jobs hung until GitHub's limit of six hours, levels jump when
    a machine image changes, and 15 % to 73 % of the runs start before the previous one has ended.

    ======= ================================= ===== ============================ =========
    series  project                           runs  jobs                         overlap
    ======= ================================= ===== ============================ =========
    bmad    bmad-sim/bmad-ecosystem           1,088 `build`, `build_mpi` (both   36 %
                                                    at once, about 17 min each)
    ccpay   hmcts/ccpay-payment-app           2,198 `build` (about 5 min when    73 %
                                                    it succeeds, half fail)
    jod     Opetushallitus/jod-yksilo-ui      1,627 `build` (about 4 min), then  15 %
                                                    `deploy` on pushes
    ======= ================================= ===== ============================ =========

    Parameters
    ----------
    series : {"bmad", "ccpay", "jod"} or None, default="bmad"
        The project; the default has two linked jobs in every run. None gives all three in one
        table, indexed by (series, run) and in start order; a job that a project does not have is
        missing there.

    Returns
    -------
    Bunch
        runs : DataFrame
            The run table: `started_at` (start of the first job) and `ended_at` (end of the last
            one, UTC), a column of seconds and a ``<job>__status`` for each job, and the covariates
            `event` (what set the run off), `is_main` (1 on the main branch), `files_added`,
            `files_deleted`, `files_modified`, `lines_added`, `lines_deleted` (the size of the
            change), `sloc` (source lines of the project), `dependencies` (their count) and
            `workflow_size` (size of the workflow file, in the source's measure).
        jobs : list of str
            The columns of durations.
        known : list of str
            The covariates, all of them known when a run starts: they come from the commit.
        categorical : list of str
            Those of `known` that are names, not numbers.
        graph : dict
            Job -> the jobs that it waits for (series -> such a dict, for ``series=None``).
        DESCR : str
            Source and licence.

    Raises
    ------
    ValueError
        For an unknown series.

    Notes
    -----
    Durations are whole seconds from the job records; GitHub's own run times are wrong for runs that
    were started again later (up to 400 days), so of those the last try counts. A cancelled job
    lasted until it was cancelled. Job conclusions are mapped ``failure`` to ``failed``, a job that
    did not run to ``skipped``, and a cancellation at the six-hour limit to ``timeout``. Left out:
    eight runs of bmad without any job, counts known only afterwards, and jod's second deployment,
    which waits for a person's approval by days. A few of its first deployments waited too, so
    some runs of jod end weeks after they start: that is when their outcome was known.

    References
    ----------
    theaymenFRS, "github-actions-build-duration-replication",
    https://github.com/theaymenFRS/github-actions-build-duration-replication (MIT licence; the
    notice is in `DESCR`).

    Examples
    --------
    >>> from sklearn_jobtime.datasets import load_github_runs
    >>> github = load_github_runs()
    >>> github.runs[["started_at", "build", "build__status", "event"]].head(2)
                       started_at   build build__status         event
    run
    0   2024-07-15 17:46:22+00:00  1061.0       success  pull_request
    1   2024-07-15 17:47:04+00:00  1068.0       success          push
    >>> github.jobs, github.categorical
    (['build', 'build_mpi'], ['event'])
    """
    if series is not None and series not in GRAPHS:
        raise ValueError(
            f"no series {series!r} among the shipped runs: expected one of {list(GRAPHS)}, or None "
            "for all of them."
        )
    with (DATA / "github_runs.csv.gz").open("rb") as file:
        runs = pd.read_csv(file, compression="gzip", dtype={"event": object})
    graphs = deepcopy(GRAPHS)
    jobs = list({job: None for name in ([series] if series else graphs) for job in graphs[name]})
    statuses = [status_column(job) for job in jobs]

    for column in (STARTED_AT, ENDED_AT):
        runs[column] = pd.to_datetime(runs[column], utc=True).dt.as_unit("us")
    runs[jobs] = runs[jobs].astype("float64")
    runs[statuses] = runs[statuses].astype(object).where(runs[statuses].notna(), None)
    runs = runs.sort_values(STARTED_AT, kind="stable")
    if series is None:
        runs = runs.set_index(["series", "run"])
    else:
        runs = runs[runs["series"] == series].set_index("run")
    return Bunch(
        runs=runs[[STARTED_AT, ENDED_AT, *jobs, *statuses, *KNOWN]],
        jobs=jobs,
        known=list(KNOWN),
        categorical=["event"],
        graph=graphs if series is None else graphs[series],
        DESCR=(DATA / "NOTICE.txt").read_text(encoding="utf-8"),
    )


def load_alcohol_sales() -> pd.DataFrame:
    """Load monthly sales of alcoholic beverages in the United States, 1992-01 to 2022-07.

    Not a job at all: the small series of many LSTM tutorials, strongly seasonal and with a trend,
    so that a first model can be seen to learn. Tutorials that end in January 2019 use its first 325
    months. Sales of beer, wine and distilled alcoholic beverages by merchant wholesalers, not
    seasonally adjusted.

    Returns
    -------
    DataFrame, shape (367, 1)
        Column `sales_musd`: million US dollars, float. The index `month` is a DatetimeIndex of the
        first days of the months.

    References
    ----------
    US Census Bureau, "Merchant Wholesalers, Except Manufacturers' Sales Branches and Offices:
    Nondurable Goods: Beer, Wine, and Distilled Alcoholic Beverages Sales", series S4248SM144NCEN,
    https://fred.stlouisfed.org/series/S4248SM144NCEN (public domain).

    Examples
    --------
    >>> from sklearn_jobtime.datasets import load_alcohol_sales
    >>> load_alcohol_sales().tail(2)
                sales_musd
    month
    2022-06-01     17700.0
    2022-07-01     15112.0
    """
    with (DATA / "alcohol_sales.csv").open("rb") as file:
        sales = pd.read_csv(file, dtype={"sales_musd": "float64"})
    months = pd.DatetimeIndex(pd.to_datetime(sales.pop("month")), freq="MS", name="month")
    return sales.set_index(months)
