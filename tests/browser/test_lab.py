"""Every chapter in a real JupyterLab, as a learner meets it: opened as a pair, run from top to bottom, saved."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium
from tools.notebooks import BOOK, ROOT, chapters

pytestmark = pytest.mark.browser

START_SECONDS = 60
RUN_SECONDS = 300
QUIET = '{"fetchNews": "false", "checkForUpdates": false}'
SERVER_OPTIONS = [
    "--allow-root",
    "--no-browser",
    "--ip=127.0.0.1",
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--LabApp.news_url=",
    "--LabApp.extension_manager=readonly",
    "--LabApp.expose_app_in_browser=True",
]
# The notebook's model answers before its kernel does: without both, "run all" may silently do nothing.
READY = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await Promise.all([panel.context.ready, panel.sessionContext.ready]);
    await panel.sessionContext.session.kernel.info;
}"""
CLEAR = "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"
# "Run all" reports back at the first error, even one that the cell's tag asks for, while the kernel still has cells to
# run; a question to the kernel is answered after them.
CATCH_UP = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestKernelInfo()"
CELLS = "() => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells"

NAMES = [path.stem for path in chapters()]
TYPICAL = "05_do_they_agree"  # trains, draws, reads a recording, shows a widget
each_chapter = pytest.mark.parametrize("chapter", NAMES)
# Running all of them a second time, after nbval, takes many minutes and finds little: one does it by default.
one_by_default = pytest.mark.parametrize(
    "chapter", [name if name == TYPICAL else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the book and of the project's settings, which a learner may write to."""
    root = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copytree(BOOK, root / "book", ignore=shutil.ignore_patterns("site", "__pycache__", ".ipynb_checkpoints"))
    settings = root / ".settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(QUIET)
    return root


@pytest.fixture(scope="module")
def lab(house: Path) -> Iterator[str]:
    """Address of a JupyterLab that serves the copy, with settings of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = {"JUPYTER_CONFIG_DIR": ".cfg", "JUPYTERLAB_SETTINGS_DIR": ".settings", "JUPYTERLAB_WORKSPACES_DIR": ".ws"}
    environment = os.environ | {name: str(house / folder) for name, folder in folders.items()}
    command = [sys.executable, "-m", "jupyterlab", *SERVER_OPTIONS, f"--port={port}", f"--ServerApp.root_dir={house}"]
    log = house / "server.log"
    with log.open("w") as stream:
        server = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    try:
        wait_for(f"http://127.0.0.1:{port}/api", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def open_chapter(tab: chromium.Tab, lab: str, chapter: str) -> None:
    """Open a notebook and wait until its kernel answers."""
    page, patience = tab.page, 1000 * START_SECONDS
    page.goto(f"{lab}/lab/tree/book/{chapter}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=patience)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=patience)
    chromium.answer(page, READY, START_SECONDS)


def complaints(cells: list[dict]) -> list[str]:
    """Errors that no tag asked for, and everything on stderr."""
    found = []
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error" and "raises-exception" not in cell["metadata"].get("tags", []):
                found.append(f"{output['ename']}: {output['evalue']}")
            if output.get("name") == "stderr":
                found.append(output["text"])
    return found


@each_chapter
def test_saving_an_opened_chapter_leaves_its_source_as_it_was(tab, lab, house, chapter):
    open_chapter(tab, lab, chapter)
    built = house / "book" / f"{chapter}.ipynb"
    before = built.stat().st_mtime_ns
    chromium.answer(tab.page, SAVE)
    assert built.stat().st_mtime_ns > before
    assert built.with_suffix(".py").read_bytes() == (BOOK / f"{chapter}.py").read_bytes()


@one_by_default
def test_chapter_runs_from_top_to_bottom_in_jupyterlab(tab, lab, chapter):
    open_chapter(tab, lab, chapter)
    chromium.answer(tab.page, CLEAR)
    assert not any(cell.get("execution_count") for cell in chromium.answer(tab.page, CELLS))
    chromium.answer(tab.page, RUN_ALL, RUN_SECONDS)
    chromium.answer(tab.page, CATCH_UP, RUN_SECONDS)
    cells = chromium.answer(tab.page, CELLS)
    chromium.screenshot(tab.page, f"lab-{chapter}")
    assert complaints(cells) == []
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    assert (tab.outside, tab.errors) == ([], [])
