"""The demo's report and the book's site in a real browser: they open with no network, and nobody is shut out."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dml_teach.cli import main
from tests.browser import chromium
from tools.notebooks import BOOK, chapters

pytestmark = pytest.mark.browser

WIDER_THAN_WINDOW = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
BROKEN_IMAGES = "() => [...document.images].filter(image => !image.naturalWidth || !image.alt).map(image => image.src)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out), "--seeds", "2", "--epochs", "1"]) == 0
    return out / "report.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    html = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", str(BOOK / "site")]
    built = subprocess.run([*command, str(BOOK), str(html)], capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    return html


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


@pytest.mark.parametrize("name", ["index", *(path.stem for path in chapters())])
def test_every_page_of_the_site_loads_with_no_network_and_no_barrier(address, tab, name):
    tab.page.goto(f"{address}/{name}.html")
    tab.page.wait_for_load_state("networkidle")
    assert tab.outside == [] and tab.errors == []
    assert chromium.answer(tab.page, BROKEN_IMAGES) == []
    assert chromium.axe(tab.page) == []


def test_formulas_are_set_without_a_server(site, tab):
    tab.page.goto((site / "01_one_network.html").as_uri())
    tab.page.wait_for_selector("mjx-container svg")
    assert tab.page.locator("mjx-container").count() > 5


def test_the_site_copies_no_source_of_its_pages(site):
    """What an instructor removes from a page must not lie beside it."""
    assert not [path for path in (site / "_sources").rglob("*") if path.is_file()]
    assert not list(site.rglob("*.ipynb"))
