"""The system's Chromium, driven through Playwright, with no way out of this computer.

A request to anywhere but this computer is aborted and recorded, and every error in the console is recorded: a test
asserts that both lists stay empty.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# No sandbox, because containers run as root; the rest keeps Chromium from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTS_HERE = ("127.0.0.1", "localhost", None)  # None: data:, blob: and file: name no host
ANSWER_SECONDS = 20
AXE_SECONDS = 120  # the page of the whole library has thousands of elements, and the computer other work
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


@dataclass
class Tab:
    """A page, the addresses outside that it asked for (in vain) and the errors of its console."""

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line of log for each; the icon that browsers ask for unbidden is empty, not missing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.send_response(http.HTTPStatus.NO_CONTENT)
            self.end_headers()
        else:
            super().do_GET()


def executable() -> str | None:
    """Path of the first Chromium or Chrome found, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def launched(path: str) -> Iterator[Browser]:
    """A running browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def open_tab(context: BrowserContext) -> Tab:
    """A fresh page of the context, with its requests gated and its console watched."""
    tab = Tab(context.new_page())

    def gate(route: Route) -> None:
        if urlsplit(route.request.url).hostname in HOSTS_HERE:
            route.continue_()
        else:
            tab.outside.append(route.request.url)
            route.abort()

    context.route("**/*", gate)
    tab.page.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    return tab


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this computer; gives the address, without a slash at its end."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def answer(page: Page, function: str, seconds: float = ANSWER_SECONDS) -> Any:
    """The result of a JavaScript function, async or not; an error after `seconds`: Playwright would wait for ever."""
    late = "new Promise((_, no) => setTimeout(() => no(new Error(`no answer in ${seconds} s`)), 1000 * seconds))"
    return page.evaluate(f"seconds => Promise.race([({function})(), {late}])", seconds)


def axe(page: Page) -> list[str]:
    """Serious and critical barriers that axe finds on the page as it stands: a line each, rule and first element."""
    page.evaluate(AXE_SCRIPT)
    found = answer(page, "() => axe.run({ resultTypes: ['violations'] })", AXE_SECONDS)["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {violation['nodes'][0]['html'][:120]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


def screenshot(page: Page, name: str) -> Path:
    """Save what the page shows as build/screenshots/NAME.png, to be looked at by a person."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    return SCREENSHOTS / f"{name}.png"
