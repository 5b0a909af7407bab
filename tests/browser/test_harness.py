"""The harness itself: it must see each kind of fault on a bad page, and be silent on a good one."""

import pytest
from playwright.sync_api import Error

from tests.browser import chromium

pytestmark = pytest.mark.browser

GOOD = """<!doctype html><html lang="en"><head><title>Good</title></head>
<body><main><h1>Good</h1><p>A page with nothing to hide.</p><img src="dot.svg" alt="A dot"></main></body></html>"""
BAD = GOOD.replace("</main>", "{fault}</main>")
FAULTS = {
    "good": "",
    "logs": "<script>console.error('a bad thing')</script>",
    "throws": "<script>throw new Error('a worse thing')</script>",
    "missing": "<script src='absent.js'></script>",
    "outside": "<script src='https://cdn.example.org/lib.js'></script>",
    "barrier": "<button></button><img src='dot.svg'>",
}


@pytest.fixture
def site(tmp_path):
    (tmp_path / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    for name, fault in FAULTS.items():
        (tmp_path / f"{name}.html").write_text(BAD.format(fault=fault))
    with chromium.serve(tmp_path) as address:
        yield address


def test_a_good_page_gives_no_finding_of_any_kind(tab, site):
    tab.page.goto(f"{site}/good.html")
    assert (tab.outside, tab.errors, chromium.axe(tab.page)) == ([], [], [])


@pytest.mark.parametrize(("name", "error"), [("logs", "a bad thing"), ("throws", "a worse thing"), ("missing", "404")])
def test_an_error_in_the_console_is_recorded(tab, site, name, error):
    tab.page.goto(f"{site}/{name}.html")
    assert [error in line for line in tab.errors] == [True]


def test_a_request_to_the_outside_is_recorded_and_gets_no_answer(tab, site):
    with tab.page.expect_event("requestfailed") as failed:
        tab.page.goto(f"{site}/outside.html")
    assert tab.outside == [failed.value.url] == ["https://cdn.example.org/lib.js"]


def test_axe_names_the_barriers(tab, site):
    tab.page.goto(f"{site}/barrier.html")
    assert [line.split(" ")[0] for line in chromium.axe(tab.page)] == ["button-name", "image-alt"]


def test_a_promise_that_never_settles_is_given_up(tab, site):
    tab.page.goto(f"{site}/good.html")
    with pytest.raises(Error, match=r"no answer in 0\.2 s"):
        chromium.answer(tab.page, "() => new Promise(() => {})", seconds=0.2)


def test_tabs_share_no_storage(browser, site):
    seen = []
    for _ in range(2):
        context = browser.new_context()
        page = chromium.open_tab(context).page
        page.goto(f"{site}/good.html")
        seen.append(
            page.evaluate("() => { const old = localStorage.peer; localStorage.peer = 'set'; return old ?? null }")
        )
        context.close()
    assert seen == [None, None]


def test_a_screenshot_is_a_picture(tab, site, tmp_path, monkeypatch):
    monkeypatch.setattr(chromium, "SCREENSHOTS", tmp_path / "pictures")
    tab.page.goto(f"{site}/good.html")
    assert chromium.screenshot(tab.page, "good").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_no_browser_is_a_failure_in_ci_and_a_skip_elsewhere(monkeypatch, ci, outcome):
    from tests.browser import conftest

    monkeypatch.setattr(chromium, "executable", lambda: None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no Chromium"):
        next(conftest.browser.__wrapped__())
