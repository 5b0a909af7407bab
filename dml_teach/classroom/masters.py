"""Masters: the exercises as their author writes them, `solutions/sol_NN_name.py`, which run as the solution.

A master is py:percent. What a cell is for stands in its header:

    # %% task="name"                          the function `name`, its body between solution markers
    # %% test="name" points=4                 runs the checker on it; more tests may be hidden
    # %% [markdown] question="name" points=4  an open question; the model answer is between solution markers
    # %% picture="what it shows"              draws what a right answer looks like; students get the picture alone

Every other cell is handed out as it is.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dml_teach.classroom.markers import CELL, SOLUTION, regions
from dml_teach.errors import ConfigError, DataError

FILE = re.compile(r"sol_(\d\d)_(\w+)\.py")
ROLES = ("task", "test", "question", "picture")
GRADED = ("test", "question")


@dataclass(frozen=True)
class Cell:
    """A cell with a role: `role` and `name` (of a picture: its text alternative), `points`, its lines in the file."""

    role: str
    name: str
    points: int
    first: int
    last: int
    position: int


@dataclass(frozen=True)
class Master:
    """One exercise: its file, its text, and the cells that have a role, in the order of the file."""

    path: Path
    text: str
    cells: list[Cell] = field(default_factory=list)

    @property
    def exercise(self) -> str:
        """The name that its students know, `ex_NN_name`."""
        return "ex_" + self.path.stem.removeprefix("sol_")

    @property
    def number(self) -> str:
        """Its two digits, those of the chapter."""
        return self.path.stem[4:6]

    def of(self, *roles: str) -> list[Cell]:
        """Cells of these roles."""
        return [cell for cell in self.cells if cell.role in roles]


def course_folder(course: Path) -> Path:
    """The folder, checked to be an instructor's tree. Raises `ConfigError` if it has no masters."""
    course = course.resolve()
    if not any(FILE.fullmatch(path.name) for path in (course / "solutions").glob("*.py")):
        raise ConfigError(f"{course.name}/ has no solutions/sol_NN_name.py; run this in the instructor's tree")
    return course


def read_all(folder: Path) -> list[Master]:
    """Every master in a folder, in order, each well formed. Raises `DataError` naming file and line."""
    masters = [read(path) for path in sorted(folder.glob("sol_*.py"))]
    owners: dict[str, str] = {}
    for master in masters:
        for cell in master.of("task", "question"):
            if owner := owners.get(cell.name):
                raise DataError(f"{master.path.name}:{cell.first}: '{cell.name}' is also in {owner}; rename one")
            owners[cell.name] = master.path.name
    return masters


def read(path: Path) -> Master:
    """One master. Raises `DataError` naming file and line if it is not well formed."""
    if not FILE.fullmatch(path.name):
        raise DataError(f"{path.name}: a master is named sol_NN_name.py")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    master = Master(path, text, list(_cells(path.name, text)))
    for fault in _faults(master):
        raise DataError(f"{path.name}:{fault}")
    return master


def _cells(name: str, text: str) -> Iterator[Cell]:
    import jupytext

    heads = [number for number, line in enumerate(text.splitlines(), start=1) if CELL.match(line)]
    cells = jupytext.reads(text, fmt="py:percent").cells
    if len(cells) != len(heads):
        raise DataError(f"{name}:1: {len(cells)} cells under {len(heads)} headers; begin each cell with '# %%'")
    ends = [head - 1 for head in heads[1:]] + [len(text.splitlines())]
    for position, (head, end, cell) in enumerate(zip(heads, ends, cells, strict=True)):
        roles = [role for role in ROLES if role in cell.metadata]
        if len(roles) > 1:
            raise DataError(f"{name}:{head}: a cell is {roles[0]} or {roles[1]}, not both")
        if unknown := set(cell.metadata) - {*ROLES, "points", "tags", "mystnb", "lines_to_next_cell"}:
            raise DataError(f"{name}:{head}: '{min(unknown)}' is not known; a cell is one of {', '.join(ROLES)}")
        if roles:
            wanted = "markdown" if roles[0] == "question" else "code"
            if cell.cell_type != wanted:
                raise DataError(f"{name}:{head}: a {roles[0]} is a cell of {wanted}, this is {cell.cell_type}")
            yield Cell(roles[0], _name(cell.metadata[roles[0]]), cell.metadata.get("points", 0), head, end, position)
        elif "points" in cell.metadata:
            raise DataError(f"{name}:{head}: points without test= or question=")


def _name(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _faults(master: Master) -> Iterator[str]:
    """What a master may not be, each with its line."""
    lines = master.text.splitlines()
    names: dict[str, set[str]] = {role: set() for role in ROLES}
    for cell in master.cells:
        if not cell.name or (cell.role != "picture" and not cell.name.isidentifier()):
            yield f"{cell.first}: {cell.role}= needs a name in quotes"
        if cell.role != "picture" and cell.name in names[cell.role]:
            yield f"{cell.first}: a second {cell.role} '{cell.name}'"
        if cell.role in GRADED and (not isinstance(cell.points, int) or cell.points < 1):
            yield f"{cell.first}: points must be a whole number from 1, got {cell.points!r}"
        names[cell.role].add(cell.name)
    for cell in master.of("test"):
        if cell.name not in names["task"]:
            yield f"{cell.first}: a test of '{cell.name}', which is no task here"
    for cell in master.of("task"):
        if cell.name not in names["test"]:
            yield f"{cell.first}: task '{cell.name}' has no test; add a cell with test=\"{cell.name}\" points=..."
        if not re.search(rf"(?m)^(?:async )?(?:def|class) {cell.name}\b", "\n".join(lines[cell.first : cell.last])):
            yield f"{cell.first}: task '{cell.name}' does not define {cell.name}"
    yield from _misplaced(master)
    yield from _broken_code(master)


def _misplaced(master: Master) -> Iterator[str]:
    """Regions in cells where they would hide nothing, and cells that lack theirs."""
    filled = set()
    for region in regions(master.text, master.path.name):
        owner = next((cell for cell in master.cells if cell.first < region.first <= cell.last), None)
        allowed = ("task", "question") if region.kind == SOLUTION else ("test",)
        if owner is None or owner.role not in allowed:
            yield f"{region.first}: {region.kind} outside a cell with {'= or '.join(allowed)}="
        else:
            filled.add(owner)
    for cell in master.of("task", "question"):
        if cell not in filled:
            yield f"{cell.first}: {cell.role} '{cell.name}' has no '### BEGIN SOLUTION'"


def _broken_code(master: Master) -> Iterator[str]:
    """Tasks and tests that Python can not read: graded on their own, they need to be whole by themselves."""
    lines = master.text.splitlines()
    for cell in master.of("task", "test"):
        try:
            ast.parse("\n".join(lines[cell.first : cell.last]))
        except SyntaxError as error:
            yield f"{cell.first + (error.lineno or 1)}: {error.msg}"
