"""What students handed in: finding it, reading it with suspicion, and fitting it to the exercise as it was handed out.

Two layouts of a folder are known, nbgrader's own and a plain one; they may be mixed:

    submitted/STUDENT/ex_04_two_peers/ex_04_two_peers.ipynb
    submitted/STUDENT/ex_04.ipynb          any name that begins with ex_NN will do
"""

import copy
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dml_teach.errors import ConfigError, DataError

NUMBER = re.compile(r"ex[ _-]?(\d\d)(?!\d)", re.IGNORECASE)
FILE_BYTES = 64 * 2**20
ROLES = ("task", "test", "question")


@dataclass(frozen=True)
class Submission:
    """One student's file for one exercise; `file` is None if there is none."""

    student: str
    exercise: str
    file: Path | None
    others: tuple[str, ...] = ()

    def digest(self) -> str:
        """What tells whether it has changed; empty if it can not be read."""
        try:
            return hashlib.sha256(self.file.read_bytes()).hexdigest() if self.file else ""
        except OSError:
            return ""


@dataclass
class Fitted:
    """A notebook fitted to its exercise, with what was found amiss, in words for the instructor."""

    notebook: Any
    remarks: list[str] = field(default_factory=list)


def find(folder: Path, exercises: Sequence[str]) -> list[Submission]:
    """Every submission below a folder, by student and exercise.

    Whoever is there without an exercise that others handed in gets a `Submission` without a file. Raises `ConfigError`
    if the folder holds no student's folder or nothing of these exercises.
    """
    folder = folder / "submitted" if (folder / "submitted").is_dir() else folder
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; grade a folder with one folder for each student")
    students = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    by_number = {exercise[3:5]: exercise for exercise in exercises}
    files: dict[tuple[str, str], list[Path]] = {}
    for student in students:
        for path in sorted(student.rglob("*.ipynb")):
            inside = path.relative_to(student)
            number = NUMBER.match(path.name) or NUMBER.match(inside.parts[0])
            hidden = any(part.startswith(".") for part in inside.parts)
            if number and number[1] in by_number and not hidden and path.is_file():
                files.setdefault((student.name, by_number[number[1]]), []).append(path)
    if not files:
        raise ConfigError(f"{folder}: no STUDENT/ex_NN*.ipynb of {', '.join(exercises)}; see the instructor's guide")
    found = []
    for student in students:
        for exercise in sorted({exercise for _, exercise in files}):
            paths = files.get((student.name, exercise), [])
            # The name that was handed out first; among copies ("ex_04 (1).ipynb") the one that was saved last.
            paths.sort(key=lambda path: (path.stem == exercise, path.stat().st_mtime_ns))
            others = tuple(path.name for path in paths[:-1])
            found.append(Submission(student.name, exercise, paths[-1] if paths else None, others))
    return found


def read(path: Path) -> Any:
    """A submitted notebook (nbformat 4). Raises `DataError` saying what it is instead."""
    import nbformat

    try:
        size, content = path.stat().st_size, path.read_bytes() if path.stat().st_size <= FILE_BYTES else b""
    except OSError as error:
        raise DataError(f"the file can not be read ({error.strerror})") from error
    if size == 0:
        raise DataError("the file is empty")
    if size > FILE_BYTES:
        raise DataError(f"the file has {size / 2**20:.0f} MiB, more than {FILE_BYTES // 2**20}; clear its outputs")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the file is not UTF-8 ({error.reason} at byte {error.start})") from error
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"the file is not a notebook: no JSON ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("cells", found.get("worksheets")), list):
        raise DataError("the file is JSON, but not a notebook: it has no cells")
    try:
        notebook = nbformat.reads(text, as_version=4)
        return nbformat.from_dict(_plain(notebook))
    except Exception as error:  # nbformat raises whatever a malformed file happens to cause
        raise DataError(f"the file is not a sound notebook ({type(error).__name__}: {error})") from error


def _plain(notebook: Any) -> dict[str, Any]:
    """Cells with nothing but type, source, roles and id: no outputs, no attachments, none of the metadata."""
    cells = []
    for cell in notebook["cells"]:
        source = cell["source"]
        if not isinstance(source, str) or cell["cell_type"] not in ("code", "markdown", "raw"):
            raise TypeError("a cell without text")
        source.encode()  # half characters, which JSON allows, fail here
        metadata = cell.get("metadata", {})
        kept = {role: metadata[role] for role in ROLES if isinstance(metadata.get(role), str)}
        plain = {"cell_type": cell["cell_type"], "source": source, "metadata": kept, "id": str(cell.get("id", ""))}
        if cell["cell_type"] == "code":
            plain |= {"outputs": [], "execution_count": None}
        cells.append(plain)
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def fit(submitted: Any, handed_out: Any) -> Fitted:
    """The submission with each cell of the exercise in its place, known by its role, its id, or what it defines.

    Cells that the student was to write keep the student's text. Cells that were deleted come back as they were handed
    out. Cells that the student added stay where they are. nbgrader restores the text of tests and of given cells
    afterwards, whatever became of it.

    Args:
        submitted: a notebook from `read`.
        handed_out: the exercise as the student got it.
    """
    owners = _owners(submitted.cells, handed_out.cells)
    placed = {mine: place for place, mine in owners.items()}
    added: dict[int, list[Any]] = {}
    last = -1
    for position, cell in enumerate(submitted.cells):
        if position in placed:
            last = placed[position]
        elif cell.source.strip():
            cell.id, cell.metadata = f"own-{position}", type(cell.metadata)()
            added.setdefault(last, []).append(cell)
    fitted = Fitted(copy.deepcopy(handed_out))
    cells = added.get(-1, [])
    for place, cell in enumerate(fitted.notebook.cells):
        role = next((role for role in ROLES if role in cell.metadata), "")
        mine = submitted.cells[owners[place]] if place in owners else None
        if mine is None and role:
            fitted.remarks.append(f"{role} '{cell.metadata[role]}' was deleted; put back")
        elif mine is not None and role == "test" and mine.source.strip() != cell.source.strip():
            fitted.remarks.append(f"test '{cell.metadata[role]}' was changed; restored")
        if mine is not None and not (role == "question" and not mine.source.strip()):
            cell.source = mine.source
        behind = added.get(place, [])
        if role == "question" and cell.source == handed_out.cells[place].source:  # some write it below instead
            words = [one for one in behind if one.cell_type == "markdown"]
            cell.source = "\n\n".join([one.source for one in words]) or cell.source
            behind = [one for one in behind if one not in words]
        cells += [cell, *behind]
    fitted.notebook.cells = cells
    return fitted


def _owners(submitted: list[Any], handed_out: list[Any]) -> dict[int, int]:
    """For each cell handed out, by position, the submitted cell that it became, each used once."""
    owners: dict[int, int] = {}

    def claim(matches: Any) -> None:
        for place, known in enumerate(handed_out):
            for position, cell in enumerate(submitted):
                if place not in owners and position not in owners.values() and matches(known, cell):
                    owners[place] = position

    def same_role(known: Any, cell: Any) -> bool:
        return bool(known.metadata) and dict(known.metadata).items() & dict(cell.metadata).items() != set()

    claim(lambda known, cell: known.id == cell.id and known.source == cell.source)
    claim(lambda known, cell: same_role(known, cell) and _defines(cell, known.metadata.get("task")))
    claim(same_role)
    claim(lambda known, cell: _defines(cell, known.metadata.get("task")))
    claim(lambda known, cell: known.id == cell.id)
    claim(lambda known, cell: known.source.strip() == cell.source.strip())
    # An answer whose marks and question are lost still stands behind the same cell.
    for place, known in enumerate(handed_out):
        after = owners.get(place - 1, len(submitted)) + 1
        free = place not in owners and after < len(submitted) and after not in owners.values()
        if "question" in known.metadata and free and submitted[after].cell_type == known.cell_type:
            owners[place] = after
    return owners


def _defines(cell: Any, name: str | None) -> bool:
    """Whether a cell defines a function or class of that name, at its left margin."""
    if name is None:
        return False
    pattern = rf"(?m)^(?:async )?(?:def|class) {re.escape(name)}\b"
    return cell.cell_type == "code" and re.search(pattern, cell.source) is not None
