"""Exercise 04 as a student meets it: the released bundle, opened in JupyterLab, wrong first and then right."""

from collections.abc import Iterator
from pathlib import Path

import jupytext
import pytest

from dml_teach.classroom import masters, release, students
from tests.browser import chromium
from tests.browser.test_lab import (  # `lab` serves this module's `house`
    CATCH_UP,
    CELLS,
    QUIET,
    READY,
    RUN_ALL,
    RUN_SECONDS,
    SAVE,
    START_SECONDS,
    lab,  # noqa: F401
)
from tools.notebooks import ROOT

MASTER = ROOT / "solutions" / "sol_04_two_peers.py"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not MASTER.exists(), reason="solutions/ is kept elsewhere"),
]
TASK = "task-reverse_kl_gradient"
TEST = "test-reverse_kl_gradient"
WRONG = """\
def reverse_kl_gradient(logits, target):
    return (logits.softmax(dim=1) - target.softmax(dim=1)) / len(logits)
"""
WRITE = """([id, text]) => {
    const cells = window.jupyterapp.shell.currentWidget.content.widgets;
    cells.find(cell => cell.model.id === id).model.sharedModel.setSource(text);
}"""
SHOW = """async id => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.id === id);
    await notebook.scrollToItem(notebook.activeCellIndex, 'center');
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bundle, and settings beside it that keep JupyterLab from asking for news."""
    root = tmp_path_factory.mktemp("student")
    release.fill(ROOT, [masters.read(MASTER)], root / "course")
    settings = root / ".settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(QUIET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DML_TEACH_PROGRESS", str(root / "progress.json"))
        yield root


def said(page, name: str) -> str:
    """What the cell with that id printed, on one line."""
    cell = next(cell for cell in chromium.answer(page, CELLS) if cell["id"] == name)
    return " ".join("".join("".join(output.get("text", "")) for output in cell["outputs"]).split())


def run(page, text: str) -> str:
    """Write the function, run everything, and give what its check says."""
    page.evaluate(WRITE, [TASK, text])
    chromium.answer(page, RUN_ALL, RUN_SECONDS)
    chromium.answer(page, CATCH_UP, RUN_SECONDS)
    return said(page, TEST)


def test_a_student_opens_the_exercise_is_told_what_is_wrong_and_gets_it_right(tab, lab, house):  # noqa: F811
    page, patience = tab.page, 1000 * START_SECONDS
    page.goto(f"{lab}/lab/tree/course/exercises/ex_04_two_peers.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=patience)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=patience)
    chromium.answer(page, READY, START_SECONDS)
    chromium.screenshot(page, "exercise-04-opened")

    page.wait_for_selector("img[alt^='Four bar charts']", timeout=patience)  # the expected picture, from its file
    assert page.eval_on_selector("img[alt^='Four bar charts']", "image => image.naturalWidth") > 300

    assert "That is p - q" in run(page, WRONG)
    page.evaluate(SHOW, TEST)
    chromium.screenshot(page, "exercise-04-wrong")

    answers = {cell.id: cell.source for cell in students.answered(masters.read(MASTER)).cells}
    assert run(page, answers[TASK]).startswith("Passed: reverse_kl_gradient.")
    page.evaluate(SHOW, TEST)
    chromium.screenshot(page, "exercise-04-right")

    chromium.answer(page, SAVE)
    paired = jupytext.read(house / "course/exercises/ex_04_two_peers.py")
    assert answers[TASK] in [cell.source for cell in paired.cells]
    assert [cell.metadata["test"] for cell in paired.cells if "test" in cell.metadata] == [
        "reverse_kl_gradient",
        "mended_step",
    ]
    assert (tab.outside, tab.errors) == ([], [])
