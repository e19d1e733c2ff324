import gzip
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sklearn_jobtime
from sklearn_jobtime.datasets import load_alcohol_sales, load_github_runs
from sklearn_jobtime.runs import job_columns, make_targets, validate_runs

RAW = Path(__file__).parents[3] / "shared" / "data"
SHIPPED = Path(sklearn_jobtime.__file__).parent / "datasets" / "data"
MAKER = Path(__file__).parents[2] / "benchmarks" / "make_datasets.py"

needs_raw = pytest.mark.skipif(
    not (RAW / "gha_steps.csv.gz").exists(), reason="the raw data directory is not here"
)


@pytest.mark.parametrize("series", ["bmad", "ccpay", "jod", None])
def test_shipped_runs_keep_the_contract(series):
    github = load_github_runs(series)
    pd.testing.assert_frame_equal(validate_runs(github.runs), github.runs)
    assert job_columns(github.runs) == github.jobs
    assert make_targets(github.runs, 2).shape == (len(github.runs), 2 * (len(github.jobs) + 1))
    statuses = [f"{job}__status" for job in github.jobs]
    assert github.runs.columns.tolist() == [
        "started_at",
        "ended_at",
        *github.jobs,
        *statuses,
        *github.known,
    ]
    assert github.runs[github.known].notna().all(axis=None)
    assert set(github.categorical) <= set(github.known)
    numbers = github.runs[[c for c in github.known if c not in github.categorical]]
    assert (numbers.dtypes == "int64").all()


def test_all_series_stand_in_one_table_in_start_order():
    together = load_github_runs(None)
    assert together.runs.index.names == ["series", "run"]
    assert together.runs["started_at"].is_monotonic_increasing
    assert set(together.graph) == {"bmad", "ccpay", "jod"}
    for series, graph in together.graph.items():
        alone = load_github_runs(series)
        assert alone.graph == graph
        assert list(graph) == alone.jobs
        pd.testing.assert_frame_equal(together.runs.xs(series)[alone.runs.columns], alone.runs)
        other = [job for job in together.jobs if job not in alone.jobs]
        assert together.runs.xs(series)[other].isna().all(axis=None)


@pytest.mark.parametrize("series", ["bmad", "jod", None])
def test_each_call_gives_a_copy_of_its_own(series):
    first, untouched = load_github_runs(series), load_github_runs(series)
    first.runs["build"] = 0.0
    first.jobs.clear()
    first.known.clear()
    first.graph.clear()
    again = load_github_runs(series)
    pd.testing.assert_frame_equal(again.runs, untouched.runs)
    assert (again.jobs, again.known, again.graph) == (
        untouched.jobs,
        untouched.known,
        untouched.graph,
    )


def test_nested_graphs_are_copies_too():
    load_github_runs("jod").graph["deploy"].clear()
    assert load_github_runs("jod").graph["deploy"] == ["build"]


def test_what_the_docstring_says_of_the_runs_is_so():
    runs = load_github_runs(None).runs
    ended_before = runs["ended_at"].groupby("series").shift()
    overlap = (runs["started_at"] < ended_before).groupby("series").mean()
    share_failed = (runs["build__status"] == "failed").groupby("series").mean()
    doc = " ".join(load_github_runs.__doc__.split())
    for series, n in runs.groupby("series").size().items():
        assert f"{n:,}" in doc
        assert f"{overlap[series]:.0%}".replace("%", " %") in doc
    assert f"{len(runs):,} runs" in doc
    assert share_failed.min() == pytest.approx(0.07, abs=0.01)
    assert share_failed.max() == pytest.approx(0.50, abs=0.01)
    assert (runs["build__status"] == "timeout").sum() == 2
    assert runs["build"][runs["build__status"] == "timeout"].min() >= 6 * 3600


def test_a_run_ends_no_sooner_than_its_jobs():
    for series in ("bmad", "ccpay", "jod"):
        github = load_github_runs(series)
        whole = (github.runs["ended_at"] - github.runs["started_at"]).dt.total_seconds()
        # Jobs of jod run one after the other, those of bmad side by side.
        at_least = github.runs[github.jobs].agg("sum" if series == "jod" else "max", axis=1)
        assert (whole >= at_least).all()


def test_an_unknown_series_is_named():
    with pytest.raises(ValueError, match=r"no series 'rust'.*'bmad', 'ccpay', 'jod'"):
        load_github_runs("rust")


def test_the_notice_holds_source_and_licence():
    notice = load_github_runs().DESCR
    assert "github-actions-build-duration-replication" in notice
    assert "Copyright (c)" in notice
    assert "The above copyright notice and this permission notice shall be included" in notice


def test_sales_are_one_gapless_series_of_months():
    sales = load_alcohol_sales()
    assert sales.columns.tolist() == ["sales_musd"]
    assert sales["sales_musd"].dtype == np.float64
    assert sales.index.equals(pd.date_range("1992-01-01", "2022-07-01", freq="MS"))
    assert sales["sales_musd"].gt(0).all()
    # Decembers sell more than the Januaries after them, every year.
    by_year = sales["sales_musd"].groupby([sales.index.year, sales.index.month]).first().unstack()
    assert (by_year[12] > by_year[1].shift(-1))[:-1].all()
    sales.iloc[:] = 0
    assert load_alcohol_sales()["sales_musd"].gt(0).all()


def test_shipped_files_are_small():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 150_000


@needs_raw
def test_the_shipped_files_are_what_the_script_makes(tmp_path):
    make = runpy.run_path(str(MAKER))["main"]
    for place in ("one", "two"):
        make(RAW, tmp_path / place)
    for made in (tmp_path / "one").iterdir():
        assert made.read_bytes() == (tmp_path / "two" / made.name).read_bytes()
        shipped = (SHIPPED / made.name).read_bytes()
        if made.suffix == ".gz":  # the bytes depend on the version of zlib, what they say does not
            assert gzip.decompress(made.read_bytes()) == gzip.decompress(shipped)
        else:
            assert made.read_bytes() == shipped


@needs_raw
def test_shipped_durations_are_those_of_the_source():
    raw = pd.read_csv(RAW / "gha_runs.csv.gz").dropna(subset=["started_at"])
    raw["series"] = raw["series"].str.split("-").str[0]
    for series in ("bmad", "ccpay"):  # of jod a job was left out
        ours = load_github_runs(series)
        theirs = raw[raw["series"] == series].sort_values("started_at", kind="stable")
        np.testing.assert_array_equal(ours.runs[ours.jobs].sum(axis=1), theirs["busy_s"])
        np.testing.assert_array_equal(
            (ours.runs["ended_at"] - ours.runs["started_at"]).dt.total_seconds(),
            theirs["duration_s"],
        )
        np.testing.assert_array_equal(ours.runs["lines_added"], theirs["lines_added"])
