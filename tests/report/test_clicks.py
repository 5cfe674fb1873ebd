"""Pages under real clicks in Chromium: sorting, filtering, following, phone, print, dark, axe-core.

They need playwright and axe-playwright-python (extra `browser`) and Debian's chromium.
"""

from __future__ import annotations

import shutil

import pytest
from running import write_reviews
from test_view import config_of, serving, until

from opro_local.report.page import write_report
from opro_local.runs.run import run

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine"),
]
SERIOUS = ("serious", "critical")
MILLISECONDS = 120_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a mixed run, one in mode opro, and a cut one; the first two have reports."""
    base = tmp_path_factory.mktemp("clicks")
    write_reviews(base / "mails.csv")
    mixed, opro = config_of(base, 6), config_of(base, 3)
    search = opro.search.model_copy(update={"mode": "opro"})
    run(mixed, base / "runs" / "mixed")
    run(opro.model_copy(update={"search": search}), base / "runs" / "opro")
    for name in ("mixed", "opro"):
        write_report(base / "runs" / name, base / f"{name}.html")
    (base / "runs" / "cut").mkdir()
    store = (base / "runs" / "opro" / "run.sqlite").read_bytes()
    (base / "runs" / "cut" / "run.sqlite").write_bytes(store[:3000])
    return base


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser):
    """A page that notes its requests and complaints."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(MILLISECONDS)
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    assert page.complaints == []
    page.close()


def column(tab, table, place):
    """The texts of a column, of rows that are shown."""
    return tab.eval_on_selector_all(
        f"#{table} tbody tr:not([hidden])",
        f"rows => rows.map(row => row.cells[{place}].textContent)",
    )


def test_a_report_sorts_filters_and_asks_for_nothing(runs, tab):
    tab.goto((runs / "mixed.html").as_uri())
    scores = [float(text.split()[0]) for text in column(tab, "solutions", 1)]
    heading = tab.locator("#solutions thead button", has_text="Score")
    heading.click()
    assert [float(text.split()[0]) for text in column(tab, "solutions", 1)] == sorted(scores)
    heading.press("Enter")
    descending = sorted(scores, reverse=True)
    assert [float(text.split()[0]) for text in column(tab, "solutions", 1)] == descending
    tab.locator("[data-filter=solutions]").fill("chosen")
    assert len(column(tab, "solutions", 0)) == 1
    assert tab.locator("[data-shown=solutions]").text_content() == f"1 of {len(scores)}"
    changes = column(tab, "flips", 0)
    for change in ("gained", "lost"):
        tab.locator("select[data-filter=flips]").select_option(change)
        assert column(tab, "flips", 0) == [one for one in changes if one == change]
    assert len(tab.asked) == 1


def test_what_was_shown_for_the_chosen_one_is_unfolded(runs, tab):
    tab.goto((runs / "opro.html").as_uri())
    lineage = tab.locator("section[aria-labelledby=h-lineage]")
    lineage.locator("summary").first.click()
    assert "What is it?" in lineage.locator("pre").first.inner_text()


@pytest.mark.parametrize("name", ["mixed", "opro"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_has_no_serious_fault_for_who_can_t_see_it(runs, browser, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(color_scheme=scheme)
    page.goto((runs / f"{name}.html").as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    violations = axe.run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in SERIOUS] == []
    page.close()


def test_a_report_fits_a_phone_and_prints_whole(runs, tab):
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto((runs / "mixed.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details:not([open])").count() == 0
    assert not tab.locator(".filter").first.is_visible()


def test_the_list_is_sorted_filtered_and_followed_to_a_run(runs, tab):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with serving(runs / "runs") as server:
        until(lambda: all(line.state != "unread" for line in server.listing.lines(5)))
        tab.goto(server.access.url())
        names = [text.strip() for text in column(tab, "runs", 0)]
        assert sorted(names) == ["cut", "mixed", "opro"]
        tab.locator("#runs thead button", has_text="Run").click()
        assert column(tab, "runs", 0) == ["cut", "mixed", "opro"]
        tab.get_by_label("State").select_option("finished")
        assert column(tab, "runs", 0) == ["mixed", "opro"]
        tab.get_by_label("Gain at least").fill("1000")
        assert column(tab, "runs", 0) == []
        tab.get_by_label("Gain at least").fill("")
        assert [
            one for one in axe.run(tab).response["violations"] if one["impact"] in SERIOUS
        ] == []
        shutil.copytree(runs / "runs" / "opro", runs / "runs" / "third")
        # The list is loaded again, and sorted and filtered as before.
        until(lambda: tab.locator("#runs tbody tr").count() == 4)
        until(lambda: column(tab, "runs", 0) == ["mixed", "opro", "third"])
        tab.locator("#runs a", has_text="opro").click()
        tab.wait_for_url("**/run/opro")
        assert tab.locator("h1").text_content() == "Mails"
        tab.locator("nav a", has_text="All runs").click()
        tab.wait_for_url(server.access.url())
        mine = server.access.url()
        assert all(url.startswith(mine) or url.startswith("data:") for url in tab.asked)
