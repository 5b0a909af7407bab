"""Fixtures of the browser tests: one Chromium for the whole run, a fresh and watched tab for each test."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium

ABSENT = "no Chromium or Chrome found; `make test` installs it where it may, else install the package `chromium`"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser; without one the test is skipped on a laptop and fails in CI, where a skip would go unseen."""
    path = chromium.executable()
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(ABSENT)
    if path is None:
        pytest.skip(ABSENT)
    with chromium.launched(path) as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[chromium.Tab]:
    """A page with storage of its own, 1200 x 900 pixels."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(1000 * chromium.ANSWER_SECONDS)
    yield chromium.open_tab(context)
    context.close()
