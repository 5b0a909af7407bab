"""The notebook tool and the guard, each shown to see what it is there to see; every chapter of the book under both."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import notebooks

CHAPTER = """\
# %% [markdown]
# # A small chapter

# %%
import matplotlib.pyplot as plt
from ipywidgets import IntSlider

print("three peers")

# %%
IntSlider(value=3, description="peers")

# %% mystnb={"image": {"alt": "A rising line."}}
plt.plot([0, 1])
plt.show()

# %%
sum([1, 2, 3])
"""
PRINT, SLIDER, PLOT, SUM = 1, 2, 3, 4


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of a sound pair, built once; tests change copies."""
    source = tmp_path_factory.mktemp("built") / "00_small.py"
    source.write_text(CHAPTER)
    notebooks.build(source)
    return source


@pytest.fixture
def pair(built: Path, tmp_path: Path) -> Path:
    for path in (built, built.with_suffix(".ipynb")):
        shutil.copy(path, tmp_path)
    return tmp_path / built.name


def edit(source: Path, change) -> None:
    """Apply `change(cells)` to the stored notebook beside `source`."""
    path = source.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    change(notebook.cells)
    nbformat.write(notebook, path)


def name_an_absent_kernel(path: Path) -> None:
    path.write_text(path.read_text().replace('"name": "python3"', '"name": "absent"'))


def set_count(cells, position, count):
    cells[position].execution_count = count


def set_text(cells, position, text):
    cells[position].outputs[0].text = text


def add_output(cells, position, kind, **fields):
    cells[position].outputs.append(nbformat.v4.new_output(kind, **fields))


def drop_alt(cells):
    cells[PLOT].metadata.pop("mystnb")


def do_not_compare(cells, *positions):
    for position in positions:
        cells[position].metadata["tags"] = ["nbval-ignore-output"]


def steer_by_comment(cells):
    cells[SUM].source = "# NBVAL_IGNORE_OUTPUT\n" + cells[SUM].source


def test_a_sound_pair_has_no_fault(pair):
    assert notebooks.check(pair) == []


def test_building_again_gives_the_same_bytes(pair):
    before = [path.read_bytes() for path in (pair, pair.with_suffix(".ipynb"))]
    notebooks.build(pair)
    assert [path.read_bytes() for path in (pair, pair.with_suffix(".ipynb"))] == before


def test_a_built_notebook_stores_outputs_and_widget_state_and_no_times(pair):
    notebook = nbformat.read(pair.with_suffix(".ipynb"), as_version=4)
    view = notebook.cells[SLIDER].outputs[0].data[notebooks.WIDGET_VIEW]
    assert notebook.cells[PRINT].outputs[0].text == "three peers\n"
    assert "image/png" in notebook.cells[PLOT].outputs[0].data
    assert notebooks.widget_models(notebook)[view["model_id"]]["state"]["value"] == 3
    assert not any("execution" in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda cells: set_count(cells, SUM, None), "was never run"),
        (lambda cells: set_count(cells, SUM, 9), "was run out of order"),
        (lambda cells: add_output(cells, SUM, "stream", name="stderr", text="warning: x"), "writes to stderr"),
        (lambda cells: add_output(cells, SUM, "error", ename="KeyError", evalue="'x'"), "raised KeyError"),
        (lambda cells: set_text(cells, PRINT, "saved in /srv/data/run\n"), "shows an absolute path"),
        (drop_alt, "shows an image without a text alternative"),
        (lambda cells: do_not_compare(cells, SUM), "is not compared and gives no reason"),
        (lambda cells: do_not_compare(cells, PRINT, SUM), "2 of 4 code cells are not compared, at most 1 may be"),
        (steer_by_comment, "steers the comparison by a comment"),
        (lambda cells: cells.pop(), "5 cells here, 4 in the notebook"),
        (lambda cells: cells[0].update(source="# Another title"), "differs from the notebook"),
        (lambda cells: cells[SUM].metadata.update(tags=["hide-input"]), "differs from the notebook"),
    ],
)
def test_check_sees(pair, change, fault):
    edit(pair, change)
    assert any(fault in line for line in notebooks.check(pair))


def test_check_sees_a_widget_view_without_state(pair):
    path = pair.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata["widgets"]
    nbformat.write(notebook, path)
    assert any("a widget whose state is not stored" in line for line in notebooks.check(pair))


def test_check_sees_that_the_source_was_edited(pair):
    pair.write_text(pair.read_text().replace("sum([1, 2, 3])", "sum([1, 2, 4])"))
    assert [line.split(": ")[1] for line in notebooks.check(pair)] == [
        "cell 5 ('sum([1, 2, 4])') differs from the notebook; build it again"
    ]


def test_check_sees_that_the_header_is_not_canonical(pair):
    pair.write_text(pair.read_text().replace("tags,mystnb,-all", "-all,tags,mystnb"))
    assert any("header or spacing is not canonical" in line for line in notebooks.check(pair))


def test_check_sees_a_missing_notebook(pair):
    pair.with_suffix(".ipynb").unlink()
    assert any("missing" in line for line in notebooks.check(pair))


def test_check_sees_a_file_that_is_no_notebook(pair):
    pair.with_suffix(".ipynb").write_text("{")
    assert any("not a notebook" in line for line in notebooks.check(pair))


def test_a_notebook_without_source_is_an_orphan(pair):
    pair.unlink()
    assert [line.split(": ")[1] for line in notebooks.orphans(pair.parent)] == [
        "has no source; write 00_small.py or remove it"
    ]


def test_a_reason_in_a_comment_allows_one_cell_not_to_be_compared(pair):
    pair.write_text(pair.read_text().replace("# %%\nsum(", '# %% tags=["nbval-skip"]\n# not compared: a clock.\nsum('))
    notebooks.build(pair)
    assert notebooks.check(pair) == []


def test_an_error_asked_for_is_stored_with_no_word_of_where_the_house_stands(pair):
    call = "from tools.notebooks import first_line\n\nfirst_line(3)"
    tagged = pair.read_text().replace("# %%\nsum([1, 2, 3])", f'# %% tags=["raises-exception"]\n{call}')
    pair.write_text(
        tagged.replace(
            "import matplotlib", f"import sys\n\nsys.path.insert(0, {str(notebooks.ROOT)!r})\nimport matplotlib"
        )
    )
    notebooks.build(pair)
    assert notebooks.check(pair) == []


@pytest.mark.parametrize(
    ("text", "absolute"),
    [
        ("run written to runs/first/config.json", False),
        ("../recordings/a/b ~/data/x https://example.org/a/b n/a 3/4", False),
        ("precision/recall (K, B, C) / T, and </b></p>", False),
        ("/srv/data/run", True),
        ("path=/" + "home/ada", True),
        ("file:///srv/data", True),
        ("C:\\Users\\ada", True),
        ("\x1b[32m/srv/x/losses.py:3", True),
    ],
)
def test_an_absolute_path_is_told_from_a_slash(text, absolute):
    output = nbformat.v4.new_output("stream", text=text)
    assert bool(notebooks.ABSOLUTE_PATH.search(notebooks.readable(output))) is absolute


def test_a_failing_cell_is_named_and_leaves_both_files_as_they_were(pair, capsys):
    pair.write_text(pair.read_text().replace("sum([1, 2, 3])", "1 / 0"))
    before = [path.read_bytes() for path in (pair, pair.with_suffix(".ipynb"))]
    assert notebooks.main(["build", str(pair)]) == 1
    assert "cell 5 ('1 / 0'): ZeroDivisionError: division by zero" in capsys.readouterr().out
    assert [path.read_bytes() for path in (pair, pair.with_suffix(".ipynb"))] == before
    assert sorted(path.name for path in pair.parent.iterdir()) == ["00_small.ipynb", "00_small.py"]


def test_the_command_prints_one_line_per_fault_and_exits_with_1(pair, capsys):
    edit(pair, lambda cells: set_count(cells, SUM, None))
    assert notebooks.main(["check", str(pair)]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.fixture(scope="module")
def strict_run(built: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `pytest --nbval book/` says of three copies: sound, one output changed, one execution count cleared."""
    book = tmp_path_factory.mktemp("house") / "book"
    book.mkdir()
    shutil.copy(notebooks.BOOK / "conftest.py", book)
    for name, change in {
        "sound": lambda cells: None,
        "changed": lambda cells: set_text(cells, PRINT, "two peers\n"),
        "unrun": lambda cells: cells[SUM].update(execution_count=None, outputs=[]),
    }.items():
        shutil.copy(built.with_suffix(".ipynb"), book / f"{name}.ipynb")
        edit(book / f"{name}.py", change)
    name_an_absent_kernel(book / "sound.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "book/", "-rA", "--color=no"]
    answer = subprocess.run(command, cwd=book.parent, capture_output=True, text=True, timeout=300)
    return answer.stdout


def test_strict_nbval_passes_a_sound_notebook_in_this_python_whatever_kernel_it_names(strict_run):
    assert "PASSED book/sound.ipynb::Cell 0" in strict_run
    assert "FAILED book/sound.ipynb" not in strict_run


def test_strict_nbval_fails_on_one_changed_output(strict_run):
    assert "FAILED book/changed.ipynb::Cell 0" in strict_run


def test_the_guard_fails_on_a_cell_that_nbval_would_pass_unseen(strict_run):
    assert "PASSED book/unrun.ipynb::Cell 3" in strict_run
    assert "FAILED book/unrun.ipynb::every code cell was run" in strict_run


def test_the_guard_is_a_test_of_every_notebook(strict_run):
    assert "PASSED book/sound.ipynb::every code cell was run" in strict_run
    assert "2 failed, 13 passed" in strict_run


def test_the_book_has_chapters():
    assert notebooks.chapters()


def test_every_notebook_of_the_book_has_a_source():
    assert notebooks.orphans() == []


@pytest.mark.parametrize("source", notebooks.chapters(), ids=lambda source: source.stem)
def test_chapter_and_notebook_agree_and_are_sound(source):
    assert notebooks.check(source) == []


@pytest.mark.parametrize("source", notebooks.chapters(), ids=lambda source: source.stem)
def test_every_code_cell_of_the_chapter_was_run(source):
    cells = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
