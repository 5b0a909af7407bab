"""What every chapter of the book keeps to, beyond being a sound pair: enough to compare, links that lead somewhere, and
the same cells at every scale and on every processor."""

import os
import re
import subprocess
import sys

import nbformat
import pytest

from tools.notebooks import BOOK, NOT_COMPARED, ROOT, chapters

CHAPTERS = [source for source in chapters() if not source.stem.startswith("00")]  # 00 is the welcome
COMPARED_AT_LEAST = 8
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
NAMED = re.compile(r"`(?P<path>(?:dml_teach|tests|tools|benchmarks|book)/[\w/.-]+\.\w+)`")

# Runs a chapter as its kernel would, at another scale, cut down to two steps of training.
SHORT = """
import runpy, sys
import matplotlib
matplotlib.use("Agg")
import torch
from dml_teach import scale
from dml_teach.data import cifar, sets
from dml_teach.data.images import ImageSet

chapter, name, data = sys.argv[1:]
if data:
    train, test = (cifar.load(cifar.CIFAR100, split, data) for split in ("train", "test"))
    parts = [train.take(range(600)), test.take(range(100))]
else:
    def images(count, seed):
        pixels = torch.randint(256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(seed))
        names = tuple(f"class {number}" for number in range(100))
        known = torch.arange(count) % 100
        return ImageSet(pixels.to(torch.uint8), known, names, "cifar100", (0.5,) * 3, (0.25,) * 3, False)
    parts = [images(600, 0), images(100, 1)]
sets.load = lambda *_, **__: tuple(parts)
entry = scale.SCALES[name]
recipe = entry.recipe.with_(epochs=1, probe_images=100, batch_size=16)
scale.SCALES[name] = entry._replace(subset=2 * recipe.batch_size, recipe=recipe)
runpy.run_path(chapter)
"""


def cells(source, kind):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def prints_text(cell) -> bool:
    """Whether strict nbval compares a text that this cell puts out."""
    if NOT_COMPARED & set(cell.metadata.get("tags", [])):
        return False
    return any(
        output.output_type == "stream" or {"text/plain"} == set(output.get("data", {})) for output in cell.outputs
    )


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda source: source.stem)
def test_a_chapter_has_enough_text_outputs_that_are_compared(source):
    assert sum(map(prints_text, cells(source, "code"))) >= COMPARED_AT_LEAST


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda source: source.stem)
def test_a_chapter_has_what_a_learner_looks_for(source):
    text = "\n".join(cell.source for cell in cells(source, "markdown"))
    for part in ("**After this chapter you can**", "**Time**", "**You need**", "*Predict:*", "## Summary", "## Recall"):
        assert part in text, f"{source.name} has no {part}"
    questions = text.split("## Recall")[1]
    assert [f"\n{number}. " in questions for number in range(1, 7)] == [True] * 5 + [False]
    assert "**By yourself.**" in questions


@pytest.mark.parametrize("page", [*chapters(), *sorted(BOOK.rglob("*.md"))], ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    if "_build" in page.parts:
        pytest.skip("built, not written")
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for named in NAMED.finditer(page.read_text(encoding="utf-8")):
        assert (ROOT / named["path"]).exists(), f"{page.name} names {named['path']}"


def run_short(source, scale, data=""):
    environment = {**os.environ, "DML_TEACH_SCALE": scale, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", SHORT, source.name, scale, str(data)]
    done = subprocess.run(command, cwd=BOOK, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda source: source.stem)
def test_the_same_cells_take_two_steps_at_laptop_scale(source, request):
    """On the real CIFAR-100 where it is, else on images like it: without it, too, every cell is run."""
    try:
        data = request.getfixturevalue("cifar100_folder")
    except pytest.skip.Exception:
        data = ""
    run_short(source, "laptop", data)


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda source: source.stem)
def test_the_same_cells_take_two_steps_at_paper_scale_on_the_real_cifar100(source, cifar100_folder):
    run_short(source, "paper", cifar100_folder)


@pytest.fixture(scope="module")
def cifar100_folder(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar100")
    subprocess.run([sys.executable, str(shared / "bin" / "unpack-cifar100"), str(folder)], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "processor",
    [
        {"OMP_NUM_THREADS": "2"},
        {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "1"},
    ],
    ids=["two threads", "no AVX-512", "no AVX"],
)
@pytest.mark.parametrize("source", chapters(), ids=lambda source: source.stem)
def test_stored_outputs_hold_on_another_processor(source, processor):
    command = [sys.executable, "-m", "pytest", "--nbval", f"book/{source.stem}.ipynb", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **processor}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
