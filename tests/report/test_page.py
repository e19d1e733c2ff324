"""The page: whole, harmless, and something to read whatever the history is."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import DeadlineError, RunTableError
from sklearn_jobtime.report import make_report
from sklearn_jobtime.runs import as_of, make_targets

from .reading import embedded, read, views, words

HOSTILE = "<script>alert(1)</script> \"[red]\" 'x' &amp; </script><!-- {{ 7 * 7 }} \u202e%"


@pytest.fixture(scope="module")
def pool():
    return make_job_runs(n_runs=40, n_jobs=2, n_series=3, starts=True, random_state=0)


@pytest.fixture(scope="module")
def page(pool):
    now = pool["ended_at"].max() + pd.Timedelta(hours=2)
    return make_report(pool, deadlines="06:00", now=now, landings=0)


def test_one_row_and_one_view_a_series(page, pool):
    names = {one["name"] for one in page.data["series"]}
    rows = [attrs for tag, attrs in read(page.html).tags if tag == "tr" and "data-view" in attrs]
    assert len(names) == len(rows) == len(views(page.html)) == 3
    assert {row["data-name"] for row in rows} == {name.lower() for name in names}
    assert embedded(page.html) == page.data


def test_the_page_asks_no_network_for_anything(page):
    everything = page.html + "".join(views(page.html))
    outside = [
        attrs
        for tag, attrs in read(everything).tags
        for name, value in attrs.items()
        if name in ("src", "srcset", "action", "data", "poster")
        or (name == "href" and not value.startswith(("#", "data:,")))
    ]
    assert outside == []
    assert "default-src 'none'" in page.html
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|https?:", everything)


def test_tables_have_headers_pictures_a_text_and_headings_an_order(page):
    for part in (page.html, *views(page.html)):
        tags = read(part).tags
        assert all("scope" in attrs for tag, attrs in tags if tag == "th")
        assert all(
            "aria-label" in attrs or "aria-labelledby" in attrs
            for tag, attrs in tags
            if tag == "svg"
        )
        assert [tag for tag, _ in tags if tag == "h1"] == ["h1"]
    labelled = {attrs["aria-labelledby"] for tag, attrs in tags if "aria-labelledby" in attrs}
    assert labelled <= {attrs.get("id") for _, attrs in tags}


def test_each_picture_has_a_sentence_made_from_the_numbers(page):
    first = words(views(page.html)[0])
    for said in (
        "The next run starts about",
        "in the median",
        "of the time of all jobs",
        "No weekday and no hour differs clearly",
        "had not seen",
        "usually starts",
    ):
        assert said in first


@pytest.fixture(scope="module")
def hostile():
    runs = make_job_runs(n_runs=30, n_jobs=2, random_state=0)
    runs = runs.rename(columns=lambda c: c.replace("job_0", HOSTILE))
    runs.loc[runs.index[-1], HOSTILE] *= 50
    return make_report(
        pd.concat({HOSTILE: runs, "calm": runs}, names=["series", "run"]), deadlines="06:00"
    )


def test_names_are_shown_and_never_obeyed(hostile):
    scripts = [attrs for attrs, _ in read(hostile.html).scripts]
    assert len(scripts) == 4  # style, views, data, the page's own
    for view in views(hostile.html):
        assert all(tag not in ("script", "style", "img") for tag, _ in read(view).tags)
        assert HOSTILE in "".join(read(view).text)
    names = {one["name"] for one in embedded(hostile.html)["series"]}
    assert names == {HOSTILE, "calm"}
    assert "49" not in {one["name"] for one in embedded(hostile.html)["series"]}


@settings(max_examples=3)
@given(st.lists(st.text(min_size=1, max_size=20).filter(str.strip), min_size=5, unique=True))
def test_any_name_is_text(names):
    index = pd.MultiIndex.from_tuples([(name, 0) for name in names])
    html = make_report(pd.DataFrame({"build": 60.0}, index), now="2026-03-01").html
    assert {one["name"] for one in embedded(html)["series"]} == set(names)
    for view in views(html):
        assert "<" not in re.search(r"<h1[^>]*>(.*?)</h1>", view, re.S)[1]


def _days(n):
    starts = pd.date_range("2026-03-01T02:00Z", periods=n)
    return pd.DataFrame({"started_at": starts, "ended_at": starts + pd.Timedelta("40min")})


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (_days(1).assign(load=1200.0), "One run has no rhythm"),
        (_days(3).assign(load=np.inf), "Nothing can be forecast: no job of any run has succeeded."),
        (_days(2).assign(load=1200.0), "too few runs to say between when"),
        (pd.DataFrame({"load": [60.0, 70.0, 65.0]}), "The next run takes"),
        (pd.DataFrame({"load": [0.0] * 12}), "The next run takes 0.0s"),
        (_days(12).assign(load=5.0, load__status=None), "The next run starts about"),
    ],
    ids=["one run", "all failed", "two runs", "no times", "zeros", "no status"],
)
def test_a_page_for_any_history(runs, said):
    page = make_report(runs, deadlines="06:00" if "started_at" in runs else "45min", series="etl")
    assert said in words(views(page.html)[0])
    assert page.data["series"][0]["name"] == "etl"


def test_one_sentence_where_there_is_no_page(pool):
    with pytest.raises(RunTableError, match="has no run"):
        make_report(pool[:0])
    model = RollingRule().fit(pool.assign(size=1.0), make_targets(pool))
    with pytest.raises(RunTableError, match="no column"):
        make_report(pool, model)
    with pytest.raises(DeadlineError, match="'nightly'"):
        make_report(pool, deadlines={"nightly": "06:00"})
    for text in ("tomorrow morning", "", "etl="):  # such as of a variable that is not set
        with pytest.raises(DeadlineError, match=r"expected a time of the day|'etl'"):
            make_report(pool, deadlines=text)
    with pytest.raises(ValueError, match="IANA name"):
        make_report(pool, timezone="Mars/Olympus")


def test_a_model_without_intervals_says_so(pool):
    model = RollingRule().fit(pool, make_targets(pool))
    page = make_report(pool, model, deadlines="06:00", landings=0)
    assert "The model has no intervals" in words(page.html)
    assert "is not known: no intervals" in words(views(page.html)[0])
    assert all(one["risk"] is None for one in page.data["series"])


def test_a_retired_series_comes_last_and_expects_no_run():
    old = make_job_runs(n_runs=30, n_jobs=1, random_state=0)
    new = make_job_runs(n_runs=200, n_jobs=1, random_state=1)
    page = make_report(pd.concat({"old": old, "new": new}, names=["series", "run"]), landings=0)
    last = page.data["series"][-1]
    assert (last["name"], last["states"]) == ("old", ["retired"])
    assert "No run is expected" in words(views(page.html)[-1])


def test_a_file_is_whole_and_a_notebook_shows_a_frame(page, tmp_path):
    page.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page.html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    ((tag, attrs),) = read(page._repr_html_()).tags
    assert tag == "iframe"
    assert attrs["srcdoc"] == page.html


def test_a_run_that_goes_on_is_no_success_yet():
    runs = make_job_runs(n_runs=60, graph="load>test", starts=True, failure_rate=0, random_state=0)
    moment = runs["started_at"].iloc[-1] + pd.Timedelta(runs["load"].iloc[-1] + 30, unit="s")
    page = make_report(as_of(runs, moment), now=moment)
    (one,) = page.data["series"]
    states = {row[0]: row[1] for row in one["landing"]}
    assert one["last"]["status"] == "running"
    assert states == {"load": "landed", "test": "running", "whole_run": "running"}
    assert "A run goes on since" in words(views(page.html)[0])
