"""The page in a real Chromium: no error, no request, keyboard, filters, links, accessibility."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.report import make_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
AXE = Path("node_modules/axe-core/axe.min.js")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
HOSTILE = "<img src=x onerror=\"document.title=1\"> [red] '&lt;'"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="no playwright: pip install it"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A page of four series: one is late, one has a name that wants to be obeyed."""
    runs = make_job_runs(n_runs=40, n_jobs=3, n_series=3, starts=True, random_state=0)
    odd = make_job_runs(n_runs=5, n_jobs=3, starts=True, random_state=7)
    odd = pd.concat({HOSTILE: odd}, names=runs.index.names)
    pool = pd.concat([runs, odd])
    late = str(runs.index[0][0])
    path = tmp_path_factory.mktemp("browser") / "report.html"
    make_report(pool, deadlines=["09:00", f"{late}=1min"], landings=1).save(path)
    return path


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - where it is installed

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=[(1440, "light"), (375, "dark")], ids=["wide light", "narrow dark"])
def page(browser, path, request):
    """An open page; at the end nothing was wrong and nothing was asked for."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, timezone_id="Asia/Tokyo"
    )
    page, wrong, asked = context.new_page(), [], []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert wrong == []
    assert set(asked) == {path.as_uri()}
    context.close()


def shown(page):
    return page.eval_on_selector_all(
        ".overview tbody tr:not([hidden])",
        "rows => rows.map(r => r.querySelector('a').textContent)",
    )


def no_wider_than_the_window(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_search_filters_and_sorting(page):
    assert len(shown(page)) == 4
    assert no_wider_than_the_window(page)
    page.fill("#find", "IMG SRC")
    assert shown(page) == [HOSTILE]
    page.fill("#find", "")
    page.click("button[data-state=late]")
    assert len(shown(page)) == 1
    page.click("button[data-state='']")
    page.select_option("#order", "name") if page.locator("#order").is_visible() else page.click(
        "button[data-key=name]"
    )
    assert shown(page) == sorted(shown(page), key=str.lower)
    page.fill("#find", "nothing is called so")
    assert page.locator("#nothing").is_visible()


def test_a_link_opens_its_series_and_the_keyboard_reaches_everything(page, path):
    page.goto(path.as_uri() + "#series=" + page.evaluate("encodeURIComponent", HOSTILE))
    page.reload()
    page.wait_for_selector("#view h1")
    assert page.text_content("#view h1") == HOSTILE
    assert page.title() == HOSTILE
    assert no_wider_than_the_window(page)
    page.keyboard.press("Escape")
    page.wait_for_selector("#overview:not([hidden])")
    page.focus(".skip")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
    assert {"find", "zone", "theme", "everything", *shown(page)} <= set(reached)
    page.locator(".overview tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#view h1")
    assert page.evaluate("document.activeElement.id") == "view"


def test_times_in_the_zone_of_the_reader(page):
    first = page.locator(".overview tbody time").first
    before = first.text_content()
    page.select_option("#zone", "Asia/Tokyo")
    after = first.text_content()
    moved = pd.Timestamp(after) - pd.Timestamp(before)
    assert moved == pd.Timedelta(hours=9)
    assert "Asia/Tokyo" in page.text_content(".asof")


def test_colours_can_be_chosen_and_everything_printed(page):
    sheet = "getComputedStyle(document.querySelector('body')).backgroundColor"
    before = page.evaluate(sheet)
    other = "dark" if before == "rgb(246, 247, 248)" else "light"
    page.select_option("#theme", other)
    assert page.evaluate(sheet) != before
    page.click("#everything")
    page.wait_for_selector("#view article")
    assert page.locator("#view article").count() == 4
    assert len(page.pdf()) > 20_000


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: npm install axe-core")
def test_axe_finds_no_violation(page):
    for where in ("overview", "series"):
        if where == "series":
            page.locator(".overview tbody a").first.click()
            page.wait_for_selector("#view h1")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document)")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
