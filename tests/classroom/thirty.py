"""Thirty submissions to exercise 04, made as students make them, well and ill, with what must come of each.

Right answers are the master's own, which stay where solutions are kept.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from dml_teach.classroom import students
from dml_teach.classroom.masters import Master
from tests.classroom.samples import code

FILE = "ex_04_two_peers.ipynb"
FIRST, SECOND = "reverse_kl_gradient", "mended_step"


@dataclass(frozen=True)
class Made:
    """A submission: how it is written into a student's folder; points of the two tasks; status and what is said."""

    write: Callable[[Path, Master], None]
    first: float = 0
    second: float = 0
    status: str = "graded"
    reason: str = ""


def save(folder: Path, made, name: str = FILE) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made), encoding="utf-8")


def raw(content: bytes) -> Callable[[Path, Master], None]:
    def write(folder: Path, master: Master) -> None:
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(content)

    return write


def best(change: Callable = lambda made: None, name: str = FILE) -> Callable[[Path, Master], None]:
    """The best answers after `change(notebook)`."""

    def write(folder: Path, master: Master) -> None:
        made = students.answered(master)
        change(made)
        save(folder, made, name)

    return write


def cell(made, name: str):
    return next(one for one in made.cells if one.id == name)


def write_first(text: str, name: str = FILE) -> Callable[[Path, Master], None]:
    return best(lambda made: cell(made, f"task-{FIRST}").update(source=code(text)), name)


def own_cell(text: str, place: int = 0, first: str | None = None) -> Callable[[Path, Master], None]:
    """The best answers, or another first one, with a cell of the student's own at a place."""

    def change(made) -> None:
        if first is not None:
            cell(made, f"task-{FIRST}").source = code(first)
        made.cells.insert(place, nbformat.v4.new_code_cell(code(text)))

    return best(change)


def empty(folder: Path, master: Master) -> None:
    save(folder, students.notebook(master))


def half(made) -> None:
    cell(
        made, f"task-{SECOND}"
    ).source = "def mended_step(networks, optimizers, images, labels):\n    raise NotImplementedError"
    cell(made, "question-why_detach").source = "   "


def fake_outputs(made) -> None:
    cell(made, f"task-{FIRST}").source = WRONG
    cell(made, f"test-{FIRST}").outputs = [nbformat.v4.new_output("stream", text="Passed: reverse_kl_gradient.")]
    cell(made, f"test-{FIRST}").execution_count = 7


def changed_tests(made) -> None:
    cell(made, f"task-{FIRST}").source = WRONG
    cell(made, f"test-{FIRST}").source = "pass"


def more_points(made) -> None:
    for one in made.cells:
        if "points" in one.metadata:
            one.metadata["points"] = 1000


def no_metadata(made) -> None:
    for number, one in enumerate(made.cells):
        one.metadata, one.id = nbformat.from_dict({}), f"id{number}"


def deleted_tests(made) -> None:
    cell(made, f"task-{FIRST}").source = WRONG
    made.cells = [one for one in made.cells if "test" not in one.metadata]


def shuffled(made) -> None:
    """Tests first, then the tasks, a task twice."""
    made.cells.sort(key=lambda one: "task" in one.metadata)
    made.cells.append(copy.deepcopy(cell(made, f"task-{FIRST}")))


def stored_flood(made) -> None:
    cell(made, "cell-1").outputs = [nbformat.v4.new_output("stream", text="x" * 100 + "\n") for _ in range(20_000)]


WRONG = code(
    """
    def reverse_kl_gradient(logits, target):
        return (logits.softmax(dim=1) - target.softmax(dim=1)) / len(logits)
    """
)
SWALLOWED = """
    def reverse_kl_gradient(logits, target):
        try:
            raise NotImplementedError("yours to write")
        except NotImplementedError:
            return logits * 0
    """
LOOP = """
    def reverse_kl_gradient(logits, target):
        while True:
            pass
    """
DEAF = """
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
    """
HUNGRY = """
    kept = []
    while True:
        kept.append(bytearray(2**26))
    """
FORKS = """
    import os, time
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            kept = [bytearray(os.urandom(2**20)) * 1500]
            time.sleep(600)
            os._exit(0)
    time.sleep(20)
    """
PATCHED = """
    from dml_teach.classroom import check, registry, task
    registry.TaskCheck.__call__ = lambda self, function, seed=None: registry.Result(True, "Passed")
    registry.Result.__bool__ = lambda self: True
    check.__dict__["reverse_kl_gradient"] = lambda function, seed=None: registry.Result(True, "Passed")
    for one in registry.by_name().values():
        one.__dict__["examinations"] = []
    """
SHADOWED = """
    class Yes:
        passed = True
        def __getattr__(self, name):
            return lambda *a, **k: self
    from dml_teach.classroom import check
    check.reverse_kl_gradient = lambda *a, **k: Yes()
    check = Yes()
    all = any = max = abs = lambda *a, **k: True
    import torch
    torch.Tensor.max = lambda self, *a: torch.tensor(0.0)
    """

THIRTY = {
    "right": Made(best(), 4, 4),
    "right in nbgraders layout": Made(best(name="ex_04_two_peers/ex_04_two_peers.ipynb"), 4, 4),
    "right under a short name": Made(best(name="ex_04 (1).ipynb"), 4, 4),
    "right with cells of their own": Made(own_cell("print('hello')\n1 / 0", 3), 4, 4),
    "right but metadata lost": Made(best(no_metadata), 4, 4, "graded", ""),
    "right but shuffled": Made(best(shuffled), 4, 4),
    "right but noisy": Made(own_cell("for _ in range(10**5): print('x' * 100)"), 4, 4),
    "right with a flood stored": Made(best(stored_flood), 4, 4),
    "wrong first": Made(write_first(WRONG), 0, 4),
    "half done": Made(best(half), 4, 0),
    "empty": Made(empty, 0, 0),
    "swallowed": Made(write_first(SWALLOWED), 0, 4),
    "syntax error": Made(write_first("def reverse_kl_gradient(logits, target:\n    return 1"), 0, 4),
    "raises": Made(write_first("def reverse_kl_gradient(logits, target):\n    return logits[100]"), 0, 4),
    "exits": Made(write_first("def reverse_kl_gradient(logits, target):\n    raise SystemExit(0)"), 0, 4),
    "looping in a function": Made(write_first(LOOP), 0, 4),
    "looping in a cell": Made(own_cell("while True:\n    pass"), 4, 4),
    "deaf": Made(own_cell(DEAF, -1), 4, 4, "stopped"),
    "hungry": Made(own_cell(HUNGRY, -1), 4, 4, "stopped", "memory"),
    "hungry with children": Made(own_cell(FORKS, -1), 4, 4, "stopped", "memory"),
    "crashing": Made(own_cell("import os\nos.kill(os.getpid(), 9)", -1), 4, 4, "stopped", "died"),
    "crashing at once": Made(own_cell("import ctypes\nctypes.string_at(0)"), 0, 0, "stopped", "died"),
    "tests changed": Made(best(changed_tests), 0, 4, "graded", "test 'reverse_kl_gradient' was changed; restored"),
    "tests deleted": Made(best(deleted_tests), 0, 4, "graded", "was deleted; put back"),
    "points changed": Made(best(more_points), 4, 4),
    "outputs faked": Made(best(fake_outputs), 0, 4),
    "checks patched": Made(own_cell(PATCHED, 2, first=WRONG), 0, 4, "graded", "was replaced; put back"),
    "names shadowed": Made(
        own_cell(SHADOWED, 2, first=WRONG), 0, 4, "graded", "check.reverse_kl_gradient was replaced"
    ),
    "no notebook": Made(raw(b"%PDF-1.7 what is this"), 0, 0, "unreadable", "not a notebook"),
    "wrong encoding": Made(raw('{"cells": ["Grüße"]}'.encode("latin-1")), 0, 0, "unreadable", "not UTF-8"),
}
assert len(THIRTY) == 30
