"""What the right answers draw, and print: a master, run from top to bottom in a fresh kernel."""

import base64
import io
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dml_teach.classroom.markers import bare
from dml_teach.classroom.masters import Master
from dml_teach.errors import DataError

CELL_SECONDS = 300
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
STEP = 32
"""How far apart, of 255, two pixels of the same picture may be; text is drawn a little differently elsewhere."""
SHARE = 0.01
"""Of the pixels may be further apart."""


@dataclass(frozen=True)
class Performance:
    """What a master gave when it was run: its pictures by file name, PNG, and every line of text that it printed."""

    pictures: dict[str, bytes] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)


def names(master: Master) -> list[str]:
    """File names of its pictures, in order."""
    count = len(master.of("picture"))
    return [f"{master.exercise}{f'_{number}' if count > 1 else ''}.png" for number in range(1, count + 1)]


def solved(master: Master) -> Any:
    """The master as a notebook that can be run: solutions in their places, no marker anywhere."""
    import jupytext

    return jupytext.reads(bare(master.text), fmt="py:percent")


def perform_all(masters: Sequence[Master]) -> dict[str, Performance]:
    """Run masters, two at a time; what each gave, by its exercise's name."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip((master.exercise for master in masters), pool.map(perform, masters), strict=True))


def perform(master: Master) -> Performance:
    """Run a master. Raises `DataError` if a cell fails, or if a cell with picture= draws not one picture."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = solved(master)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(_beside(master))}},
    )
    environment = os.environ | {"DML_TEACH_PROGRESS": "off"}
    try:
        client.execute(env=environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        said = [line for line in COLOUR.sub("", str(error)).splitlines() if line.strip()]
        raise DataError(f"{master.path.name}: does not run: {said[-1]}") from error
    drawn = {}
    for name, cell in zip(names(master), master.of("picture"), strict=True):
        images = list(_images(notebook.cells[cell.position]))
        if len(images) != 1:
            raise DataError(f"{master.path.name}:{cell.first}: draws {len(images)} pictures, picture= means one")
        drawn[name] = images[0]
    return Performance(drawn, [line for cell in notebook.cells for line in _lines(cell)])


def _beside(master: Master) -> Path:
    """Where exercises run, so that ../book is the same for a master and for a student."""
    exercises = master.path.parents[1] / "exercises"
    return exercises if exercises.is_dir() else master.path.parent


def _images(cell: Any) -> Any:
    for output in cell.get("outputs", []):
        if found := output.get("data", {}).get("image/png"):
            yield base64.b64decode(found)


def _lines(cell: Any) -> list[str]:
    text = "\n".join(
        part
        for output in cell.get("outputs", [])
        for part in (output.get("text", ""), output.get("data", {}).get("text/plain", ""))
    )
    return COLOUR.sub("", text).splitlines()


def alike(one: bytes, other: bytes) -> bool:
    """Whether two PNG files show the same, but for what another font or processor may change."""
    from matplotlib.image import imread

    try:
        first, second = (imread(io.BytesIO(content), format="png") for content in (one, other))
    except (OSError, SyntaxError):  # no PNG
        return False
    if first.shape != second.shape:
        return False
    return float((np.abs(first - second).max(axis=-1) > STEP / 255).mean()) <= SHARE
