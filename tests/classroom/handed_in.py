"""Submissions to the sample course: what students hand in, and what must come of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from dml_teach.classroom import students
from dml_teach.classroom.masters import Master
from tests.classroom.samples import code

COUNT = 'def count_marbles(bags):\n    """All."""\n    return min(sum(bags), LIMIT)'
ROOT = "def root_of_marbles(marbles):\n    return marbles**0.5"
WHY = "They roll away."


@dataclass(frozen=True)
class HandedIn:
    """A submission: how to write it into a student's folder, and the points and words that it must get."""

    write: Callable[[Path, Master], None]
    count: float
    root: float
    status: str = "graded"
    reason: str = ""


def notebook(master: Master, **cells: str):
    """The exercise with other text in some cells, by their ids with _ for -; an empty text deletes the cell."""
    made = students.notebook(master)
    given = {"task_count_marbles": COUNT, "task_root_of_marbles": ROOT, "question_why_a_limit": WHY} | cells
    for cell in list(made.cells):
        text = given.get(cell.id.replace("-", "_"), cell.source)
        if text:
            cell.source = code(text)
        else:
            made.cells.remove(cell)
    return made


def save(folder: Path, made, name: str = "ex_04_marbles.ipynb") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(made), encoding="utf-8")


def cells(**given: str) -> Callable[[Path, Master], None]:
    return lambda folder, master: save(folder, notebook(master, **given))


def raw(content: bytes) -> Callable[[Path, Master], None]:
    def write(folder: Path, master: Master) -> None:
        folder.mkdir(parents=True)
        (folder / "ex_04_marbles.ipynb").write_bytes(content)

    return write


def before(text: str) -> Callable[[Path, Master], None]:
    """A submission that is wrong in the first task, with a cell of the student's own at its beginning."""

    def write(folder: Path, master: Master) -> None:
        made = notebook(master, task_count_marbles=WRONG)
        made.cells.insert(0, nbformat.v4.new_code_cell(code(text)))
        save(folder, made)

    return write


def edited(change: Callable) -> Callable[[Path, Master], None]:
    """A right submission after `change(notebook)`."""

    def write(folder: Path, master: Master) -> None:
        made = notebook(master)
        change(made)
        save(folder, made)

    return write


def find(made, name: str):
    return next(cell for cell in made.cells if cell.id == name)


WRONG = "def count_marbles(bags):\n    return sum(bags)"  # passes the open test, fails the hidden one
