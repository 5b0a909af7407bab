"""The demo's report and the book's site in a real browser: they open with no network, and nobody is shut out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dml_teach.cli import main
from tests.browser import chromium
from tools.notebooks import BOOK, chapters

pytestmark = pytest.mark.browser

REFERENCE = [f"reference/{path.stem}" for path in (BOOK / "reference").glob("*.md")]
PAGES = ["index", "search", "genindex", "py-modindex", *(path.stem for path in chapters()), *sorted(REFERENCE)]
PHONE = {"width": 390, "height": 900}
WIDER_THAN_WINDOW = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
BROKEN_IMAGES = "() => [...document.images].filter(image => !image.naturalWidth || !image.alt).map(image => image.src)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out), "--seeds", "2", "--epochs", "1"]) == 0
    return out / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_report_opens_from_disk_with_no_network_and_no_barrier(report, tab, scheme, width):
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.page.emulate_media(color_scheme=scheme)
    tab.page.goto(report.as_uri())
    assert tab.outside == [] and tab.errors == []
    assert chromium.axe(tab.page) == []
    assert chromium.answer(tab.page, BROKEN_IMAGES) == []
    assert not chromium.answer(tab.page, WIDER_THAN_WINDOW)
    chromium.screenshot(tab.page, f"report-{scheme}-{width}")


@pytest.fixture(params=["http", "file"])
def address(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    if request.param == "file":
        yield site.as_uri()
    else:
        with chromium.serve(site) as served:
            yield served


def test_no_page_of_the_site_is_left_out_here(site):
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert sorted(path.relative_to(site).with_suffix("").as_posix() for path in found) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_loads_with_no_network_and_its_pictures_have_words(address, tab, name):
    tab.page.goto(f"{address}/{name}.html")
    tab.page.wait_for_load_state("networkidle")
    assert tab.outside == [] and tab.errors == []
    assert chromium.answer(tab.page, BROKEN_IMAGES) == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_shuts_anybody_out_in_light_or_dark_or_is_wider_than_a_phone(site, tab, name):
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        tab.page.goto((site / f"{name}.html").as_uri())
        tab.page.wait_for_selector(f"html[data-theme={scheme}]")
        tab.page.wait_for_load_state("networkidle")
        assert (scheme, chromium.axe(tab.page)) == (scheme, [])
    tab.page.set_viewport_size(PHONE)
    assert not chromium.answer(tab.page, WIDER_THAN_WINDOW)
    chromium.screenshot(tab.page, f"site-{name.replace('/', '-')}-phone")


@pytest.mark.parametrize("margin", ["5mm", "15mm"])
def test_the_cheat_sheet_is_printed_on_one_page(site, tab, margin):
    tab.page.goto((site / "reference" / "cheat_sheet.html").as_uri())
    tab.page.wait_for_selector("#cheat-sheet mjx-container")
    margins = dict.fromkeys(("top", "bottom", "left", "right"), margin)
    printed = tab.page.pdf(format="A4", margin=margins, print_background=True)
    assert re.findall(rb"/Count (\d+)", printed) == [b"1"]


def test_formulas_are_set_without_a_server(site, tab):
    tab.page.goto((site / "01_one_network.html").as_uri())
    tab.page.wait_for_selector("mjx-container svg")
    assert tab.page.locator("mjx-container").count() > 5


def test_the_search_finds_a_word_with_no_network(address, tab):
    tab.page.goto(f"{address}/index.html")
    tab.page.keyboard.press("Control+k")
    tab.page.locator("input[type=search]:visible").fill("detached")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("#search-results li a[href*='faq.html']")
    assert tab.outside == [] and tab.errors == []


@pytest.mark.parametrize("size", [{"width": 1300, "height": 900}, PHONE])
def test_there_is_one_way_to_the_search_and_one_box(site, tab, size):
    tab.page.set_viewport_size(size)
    tab.page.goto((site / "index.html").as_uri())
    ways = tab.page.locator("button[class*='search-button']:visible")
    assert ways.count() == 1
    ways.click()
    assert tab.page.locator("input[type=search]:visible").count() == 1


def test_a_reader_can_switch_to_the_dark_where_figures_lie_on_a_light_card(site, tab):
    tab.page.emulate_media(color_scheme="light")
    tab.page.goto((site / "01_one_network.html").as_uri())
    colour = "() => getComputedStyle(document.body).backgroundColor"
    assert tab.page.evaluate(colour) == "rgb(255, 255, 255)"
    tab.page.locator("button.theme-switch-button:visible").click()
    assert chromium.axe(tab.page) == []
    tab.page.locator("button.theme-change-button[data-mode=dark]").click()
    tab.page.wait_for_selector("html[data-theme=dark]")
    assert tab.page.evaluate(colour) != "rgb(255, 255, 255)"
    figure = "() => getComputedStyle(document.querySelector('.cell_output img')).backgroundColor"
    assert tab.page.evaluate(figure) == "rgb(255, 255, 255)"
    chromium.screenshot(tab.page, "site-dark")
    tab.page.reload()
    tab.page.wait_for_selector("html[data-theme=dark]")


def test_a_chapter_can_be_downloaded_as_the_notebook_that_it_is(site, tab):
    with chromium.serve(site) as served:
        tab.page.goto(f"{served}/01_one_network.html")
        tab.page.locator(".dropdown-download-buttons > button").click()
        link = tab.page.locator("a.btn-download-notebook-button:visible")
        answer = tab.page.request.get(f"{served}/{link.get_attribute('href')}")
    assert answer.body() == (BOOK / "01_one_network.ipynb").read_bytes()


def test_a_page_without_a_notebook_offers_no_download_of_one(site, tab):
    tab.page.goto((site / "reference" / "faq.html").as_uri())
    assert tab.page.locator("a.btn-download-notebook-button").count() == 0
