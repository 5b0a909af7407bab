"""`pytest --nbval book/` needs no other flag: every cell runs in this Python, every stored output is compared as it is.

nbval compares nothing in a cell that is stored without an execution count, and lets it pass; a guard beside each
notebook fails then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Use the Python that runs pytest, whatever kernel a notebook names and whatever kernels this computer has."""
    config.option.nbval_current_env = True


def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> StoredNotebook | None:
    """Add the guard to each notebook that nbval is about to run."""
    if file_path.suffix == ".ipynb" and parent.config.getoption(
        "nbval", default=False
    ):
        return StoredNotebook.from_parent(parent, path=file_path)
    return None


class StoredNotebook(pytest.File):
    """A notebook as it lies on disk; its one test is the guard."""

    def collect(self) -> Iterator[pytest.Item]:
        """The guard alone: nbval collects the cells."""
        yield EveryCellWasRun.from_parent(
            self, name="every code cell was run"
        )


class EveryCellWasRun(pytest.Item):
    """Fails when a code cell has no execution count."""

    def runtest(self) -> None:
        """Read the file afresh and name the cells by nbval's numbers: code cells, from 0."""
        cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        counts = [
            cell["execution_count"]
            for cell in cells
            if cell["cell_type"] == "code"
        ]
        unrun = [
            number for number, count in enumerate(counts) if count is None
        ]
        if unrun:
            pytest.fail(
                f"{self.path.name}: cells {unrun} were never run, so nbval compares nothing in them; "
                f"run `python tools/notebooks.py build book/{self.path.stem}.py`",
                pytrace=False,
            )

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """File and title in the report."""
        return self.path, None, f"{self.path.name}::{self.name}"
