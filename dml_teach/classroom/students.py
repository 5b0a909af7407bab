"""The students' side: an exercise is its master without what the markers hide; it is made, never edited by hand.

    exercises/ex_NN_name.py       py:percent, for an editor
    exercises/ex_NN_name.ipynb    the same for JupyterLab, never run: no outputs, no counts
    exercises/pictures/*.png      what the right answers draw
    exercises/jupytext.toml       keeps the two files one pair

A cell keeps its role (`task`, `test`, `question`) and gets an id from it, so that grading knows it again.
"""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dml_teach.classroom import pictures
from dml_teach.classroom.markers import HIDDEN_TESTS, SOLUTION, without
from dml_teach.classroom.masters import Master

UNWRITTEN = 'raise NotImplementedError("yours to write")'
UNANSWERED = "*Your answer here.*"
FILTER = "tags,mystnb,task,test,question,points,-all"
NOTEBOOK_FILTER = "kernelspec,jupytext,-jupytext.text_representation.jupytext_version"
SETTINGS = f"""\
# Keeps each exercise's two files, .py and .ipynb, in step when JupyterLab saves one.
formats = "ipynb,py:percent"
notebook_metadata_filter = "{NOTEBOOK_FILTER}"
cell_metadata_filter = "{FILTER}"
"""
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "jupytext": {
        "cell_metadata_filter": FILTER,
        "formats": "ipynb,py:percent",
        "notebook_metadata_filter": NOTEBOOK_FILTER,
    },
    "language_info": {"name": "python"},
}


def notebook(master: Master, *, tests_stay: bool = False) -> Any:
    """The exercise as a notebook (nbformat 4.5); with `tests_stay` the hidden tests are in it, for grading alone."""
    import jupytext
    import nbformat

    hidden: dict[str, str | None] = {SOLUTION: UNWRITTEN} if tests_stay else {SOLUTION: UNWRITTEN, HIDDEN_TESTS: None}
    stripped = jupytext.reads(without(master.text, master.path.name, hidden), fmt="py:percent")
    made = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": copy.deepcopy(METADATA), "cells": []})
    roles, drawn = {cell.position: cell for cell in master.cells}, iter(pictures.names(master))
    for position, cell in enumerate(stripped.cells):
        known = roles.get(position)
        cell.id = f"cell-{position}"
        cell.metadata.pop("lines_to_next_cell", None)
        cell.source = cell.source.rstrip()
        if known is not None and known.role != "picture":
            cell.id = f"{known.role}-{known.name}"
        if known is not None and known.role == "picture":
            cell = nbformat.v4.new_markdown_cell(f"![{known.name}](pictures/{next(drawn)})", id=cell.id)
        elif known is not None and known.role == "question":
            cell.source = cell.source.replace(UNWRITTEN, UNANSWERED)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        made.cells.append(cell)
    nbformat.validate(made)
    return made


def files(master: Master) -> dict[str, bytes]:
    """The two files of an exercise by name, the same bytes each time."""
    import jupytext
    import nbformat

    made = notebook(master)
    paired = jupytext.writes(made, fmt="py:percent")
    return {
        f"{master.exercise}.py": paired.encode(),
        f"{master.exercise}.ipynb": (nbformat.writes(made) + "\n").encode(),
    }


def everything(masters: Sequence[Master], drawn: dict[str, bytes]) -> dict[str, bytes]:
    """All that `exercises/` holds, by path below it; `drawn` has the pictures by name."""
    made = {"jupytext.toml": SETTINGS.encode()}
    for master in masters:
        made |= files(master)
    return made | {f"pictures/{name}": content for name, content in drawn.items()}


def same(name: str, one: bytes, other: bytes) -> bool:
    """Whether a file is what it should be: to the byte, a picture to the eye."""
    return one == other or (name.endswith(".png") and pictures.alike(one, other))


def faults(wanted: dict[str, bytes], folder: Path, *, strangers: bool = True) -> Iterator[str]:
    """One line for each file of a folder that is missing, differs, or, with `strangers`, is not wanted at all."""
    for name, content in wanted.items():
        path = folder / name
        if not path.exists():
            yield f"{folder.name}/{name}: missing; run python tools/exercises.py build"
        elif not same(name, path.read_bytes(), content):
            yield f"{folder.name}/{name}: differs from its master; build it again, never edit it"
    for path in sorted(folder.rglob("*")) if strangers else ():
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in wanted and ".ipynb_checkpoints" not in path.parts:
            yield f"{folder.name}/{name}: has no master; remove it"


def answered(master: Master) -> Any:
    """The exercise as a notebook with every solution and model answer filled in, as the best student would."""
    made, right = notebook(master), pictures.solved(master)
    for cell in master.of("task", "question"):
        made.cells[cell.position].source = right.cells[cell.position].source
    return made


def title(master: Master) -> str:
    """The heading of an exercise, without its marks."""
    heading = next((line for line in master.text.splitlines() if line.startswith("# # ")), f"# # {master.exercise}")
    return heading.removeprefix("# # ").strip()
