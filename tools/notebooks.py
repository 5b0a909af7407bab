"""The notebook pairs of the book: `python tools/notebooks.py build|check [FILES]`, by default every chapter.

`book/NN_name.py` (py:percent) is the source of a chapter; the `.ipynb` beside it is made from it, never edited by hand.

build   runs the source in a fresh kernel and stores the outputs. A rebuild gives the same bytes: cell ids come from the
        position, widget ids from the order of creation, no times are stored. The header of the `.py` is put in the
        canonical form of jupytext, because JupyterLab refuses to open a pair whose header is not. A cell that fails
        leaves both files as they were.
check   starts no kernel and writes nothing. It prints one line per fault and exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from jupytext.config import load_jupytext_config
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
CHAPTERS = "[0-9][0-9]_*"

CELL_SECONDS = 600
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
METADATA = {"kernelspec": KERNEL, "jupytext": {"formats": "ipynb,py:percent"}}
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}
NOT_COMPARED_SHARE = 0.10
REASON = re.compile(r"^# not compared: \S", re.MULTILINE)
MARKER_COMMENT = re.compile(r"^\s*#+\s*(?:NBVAL_|PYTEST_VALIDATE_)\w+\s*$", re.MULTILINE)

ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
EMBEDDED_DATA = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+")
# A slash that starts a path from the root or the home folder's name; not one inside ../runs, ~/data, a/b or https://a/b.
ABSOLUTE_PATH = re.compile(
    r"(?:(?<![\w.~/])|(?<=file://))/(?:(?:home|root|tmp)\b|[A-Za-z_][\w.-]*/[\w.-])|\b[A-Z]:\\{1,2}Users\b"
)


class CellFailed(Exception):
    """A cell raised, took too long or killed its kernel while a notebook was built; the message is one line."""


def chapters(folder: Path = BOOK) -> list[Path]:
    """Sources of the chapters in `folder`, in reading order."""
    return sorted(folder.glob(f"{CHAPTERS}.py"))


def shown(path: Path) -> str:
    """The path as the messages show it: from the root of the repository where it lies inside."""
    path = path.resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def named(position: int, cell: NotebookNode) -> str:
    """How a message points at a cell: its place among all cells, from 1, and its first words."""
    return f"cell {position + 1} ({first_line(cell.source)[:40]!r})"


def first_line(text: str) -> str:
    """The first line of a text that has something on it, or nothing."""
    return next(iter(text.strip().splitlines()), "")


def canonical(notebook: NotebookNode) -> str:
    """The py:percent text of a notebook under the project's jupytext settings."""
    return jupytext.writes(notebook, fmt="py:percent", config=load_jupytext_config(str(BOOK / "chapter.py")))


def write(path: Path, text: str) -> None:
    """Replace a file in one step, so that a crash leaves the old one or the new one and never a half."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def run(notebook: NotebookNode, source: Path) -> None:
    """Run every cell in a fresh kernel of this Python, in the source's folder; outputs land in `notebook`.

    Raises `CellFailed` naming the cell.
    """
    started: list[str] = []
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        timeout=CELL_SECONDS,
        record_timing=False,
        store_widget_state=True,
        extra_arguments=["--log-level=ERROR"],  # the kernel's own warnings are about its wires, not about the cells
        coalesce_streams=True,  # else one print or two stored outputs depend on when the kernel happens to flush
        resources={"metadata": {"path": str(source.parent)}},
        on_cell_start=lambda cell, cell_index: started.append(named(cell_index, cell)),
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise CellFailed(f"{shown(source)}: {started[-1]}: {first_line(f'{error.ename}: {error.evalue}')}") from error
    except (CellControlSignal, DeadKernelError) as error:
        raise CellFailed(f"{shown(source)}: {started[-1]}: {first_line(str(error))}") from error


def without_chance(notebook: NotebookNode, name: str) -> NotebookNode:
    """The same notebook with widget ids by order of creation and tracebacks that do not tell where the house stands."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = [line.replace(f"{ROOT}/", "") for line in output.traceback]
    text = nbformat.writes(notebook)
    for order, drawn in enumerate(widget_models(notebook)):
        text = text.replace(drawn, uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/widget/{order}").hex)
    return nbformat.reads(text, as_version=4)


def build(source: Path) -> None:
    """Run a chapter, store it as `.ipynb`, put its `.py` in canonical form; raises `CellFailed` before any writing."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        cell.id = f"cell-{position}"
    run(notebook, source)
    notebook.metadata["language_info"] = {"name": "python"}
    notebook = without_chance(notebook, source.stem)
    nbformat.validate(notebook)
    write(source.with_suffix(".ipynb"), nbformat.writes(notebook) + "\n")
    if canonical(notebook) != source.read_text(encoding="utf-8"):
        write(source, canonical(notebook))


def widget_models(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The stored widget models by id, in order of creation."""
    return notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})


def check(source: Path) -> list[str]:
    """Every fault of a chapter and its notebook, one line each; an empty list when the pair is sound."""
    built = source.with_suffix(".ipynb")
    missing = [path for path in (source, built) if not path.exists()]
    if missing:
        return [f"{shown(path)}: missing; write the .py, then build it" for path in missing]
    try:
        notebook = nbformat.read(built, as_version=4)
        nbformat.validate(notebook)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        return [f"{shown(built)}: not a notebook ({first_line(str(error))}); build it again"]
    faults = [f"{shown(source)}: {fault}" for fault in pair_faults(source, notebook)]
    return faults + [f"{shown(built)}: {fault}" for fault in notebook_faults(notebook)]


def pair_faults(source: Path, notebook: NotebookNode) -> Iterator[str]:
    """How the source differs from the stored notebook: the first cell that does, the number of cells, or the header."""
    mine, stored = jupytext.read(source, fmt="py:percent").cells, notebook.cells
    for position, (here, there) in enumerate(zip(mine, stored, strict=False)):
        if content(here) != content(there):
            yield f"{named(position, here)} differs from the notebook; build it again"
            return
    if len(mine) != len(stored):
        yield f"{len(mine)} cells here, {len(stored)} in the notebook; build it again"
    elif source.read_text(encoding="utf-8") != canonical(notebook):
        yield "header or spacing is not canonical, JupyterLab may refuse the pair; build it again"


def content(cell: NotebookNode) -> tuple[object, ...]:
    """What must agree between the two files of a pair."""
    metadata = cell.metadata
    return cell.cell_type, cell.source.rstrip(), sorted(metadata.get("tags", [])), metadata.get("mystnb", {})


def notebook_faults(notebook: NotebookNode) -> Iterator[str]:
    """Faults of a stored notebook by itself: cells never run or in disorder, bad outputs, too many not compared."""
    code = [(position, cell) for position, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for order, (position, cell) in enumerate(code, start=1):
        if cell.execution_count is None:
            yield f"{named(position, cell)} was never run, so nothing of it would be compared; build it again"
        elif cell.execution_count != order:
            yield f"{named(position, cell)} was run out of order ({cell.execution_count} for {order}); build it again"
        for fault in [*cell_faults(cell), *output_faults(cell, widget_models(notebook))]:
            yield f"{named(position, cell)} {fault}"
    skipped = sum(not NOT_COMPARED.isdisjoint(cell.metadata.get("tags", [])) for _, cell in code)
    allowed = max(1, math.ceil(NOT_COMPARED_SHARE * len(code)))
    if skipped > allowed:
        yield f"{skipped} of {len(code)} code cells are not compared, at most {allowed} may be; print stable facts"


def cell_faults(cell: NotebookNode) -> Iterator[str]:
    """What a code cell lacks in its header or comments."""
    if MARKER_COMMENT.search(cell.source):
        yield "steers the comparison by a comment; use the tag nbval-ignore-output"
    if not NOT_COMPARED.isdisjoint(cell.metadata.get("tags", [])) and not REASON.search(cell.source):
        yield "is not compared and gives no reason; add a comment '# not compared: why'"
    pictures = any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {}))
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if pictures and not alt.strip():
        yield 'shows an image without a text alternative; add mystnb={"image": {"alt": "..."}} to its header'


def output_faults(cell: NotebookNode, models: dict[str, NotebookNode]) -> Iterator[str]:
    """What must not stand in stored outputs: an error not asked for, stderr, absolute paths, widgets with no state."""
    for output in cell.outputs:
        if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
            yield f"raised {output.ename}: {output.evalue}; mend it, or tag it raises-exception if that is the lesson"
        if output.output_type == "stream" and output.name == "stderr":
            yield f"writes to stderr: {first_line(output.text)!r}; remove the cause"
        if found := ABSOLUTE_PATH.search(EMBEDDED_DATA.sub("", readable(output))):
            yield f"shows an absolute path ({found[0]!r}...); print a relative one or none"
        view = output.get("data", {}).get(WIDGET_VIEW)
        if view and view["model_id"] not in models:
            yield "shows a widget whose state is not stored, so a page would be blank; build it again"


def readable(output: NotebookNode) -> str:
    """All text of an output that a reader sees, without colour codes."""
    texts = [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return ANSI_COLOUR.sub("", "\n".join([output.get("text", ""), *output.get("traceback", []), *texts]))


def orphans(folder: Path = BOOK) -> list[str]:
    """One line for each notebook of the book that has no source."""
    lonely = [built for built in sorted(folder.glob(f"{CHAPTERS}.ipynb")) if not built.with_suffix(".py").exists()]
    return [f"{shown(built)}: has no source; write {built.stem}.py or remove it" for built in lonely]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status, 1 when a build failed or a fault was found."""
    parser = argparse.ArgumentParser(description="Build or check the notebook pairs of the book.")
    parser.add_argument("command", choices=["build", "check"])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILES", help="chapters (.py or .ipynb); default: all")
    options = parser.parse_args(arguments)
    sources = [path.with_suffix(".py") for path in options.files] or chapters()
    faults = [] if options.files else orphans()
    if not sources:
        faults.append("book: no chapter (NN_name.py) found")
    for source in sources:
        if options.command == "build" and source.exists():
            began = time.perf_counter()
            try:
                build(source)
            except CellFailed as error:
                faults.append(str(error))
                continue
            print(f"built {shown(source.with_suffix('.ipynb'))} in {time.perf_counter() - began:.1f} s")
        faults += check(source)
    print(*faults or [f"{len(sources)} notebook pair(s) sound"], sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
