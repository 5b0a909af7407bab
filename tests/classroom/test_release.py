"""The release: what is in it, and when there is none."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dml_teach import cli
from dml_teach.classroom import release as releasing
from dml_teach.classroom import students
from dml_teach.classroom.masters import read_all
from dml_teach.errors import ConfigError, DataError, LeakError
from tests.classroom import samples, table

needs_masters = pytest.mark.skipif(not list(table.SOLUTIONS.glob("sol_*.py")), reason="solutions/ is kept elsewhere")
ROOT = table.SOLUTIONS.parent
LIBRARY = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "dml_teach"
version = "9"
[tool.hatch.build.targets.sdist]
exclude = ["/solutions"]
"""


@pytest.fixture
def tree(tmp_path):
    """A small instructor's tree, with a library of one line."""
    root = samples.course(tmp_path / "tree")
    for name, text in {
        "pyproject.toml": LIBRARY,
        "dml_teach/__init__.py": "MARBLES = 1\n",
        "book/04_marbles.py": "# %%\n1 + 1\n",
        "book/04_marbles.ipynb": json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
        "book/conftest.py": "",
        "book/site/conf.py": "",
        "book/recordings/marbles.json": "{}",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_release_has_exercises_book_wheel_and_readme_and_nothing_else(tree, tmp_path):
    out, archive = releasing.release(tree, tmp_path / "course")
    assert names(out) == {
        "README.md",
        "book/04_marbles.ipynb",
        "book/04_marbles.py",
        "book/recordings/marbles.json",
        "dml_teach-9-py2.py3-none-any.whl",
        "exercises/ex_04_marbles.ipynb",
        "exercises/ex_04_marbles.py",
        "exercises/jupytext.toml",
    }
    with zipfile.ZipFile(archive) as packed:
        inside = {name.removeprefix("course/") for name in packed.namelist() if not name.endswith("/")}
    assert inside == names(out)


def test_the_readme_installs_the_wheel_that_is_there_with_the_extra_course(tree, tmp_path):
    out, _ = releasing.release(tree, tmp_path / "course")
    lines = re.findall(r"pip install (.+)", (out / "README.md").read_text())
    assert lines == ['"./dml_teach-9-py2.py3-none-any.whl[course]"']
    assert "- `exercises/ex_04_marbles.ipynb`: Exercise 04: Marbles" in (out / "README.md").read_text()


def leak(tree: Path) -> None:
    (tree / "book/recordings/marbles.json").write_text(
        '{"note": "altogether_in_bags = sum(max(bag, 0) for bag in bags)"}'
    )


def leak_what_it_prints(tree: Path) -> None:
    (tree / "book/recordings/marbles.json").write_text('{"note": "ten bags hold 110 marbles"}')


@pytest.mark.parametrize("spoil", [leak, leak_what_it_prints])
def test_nothing_is_released_when_something_leaks(tree, tmp_path, spoil):
    spoil(tree)
    with pytest.raises(LeakError, match=r"book/recordings/marbles\.json shows (what )?sol_04_marbles\.py"):
        releasing.release(tree, tmp_path / "course")
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_an_earlier_release_stays_until_one_says_replace(tree, tmp_path):
    out, archive = releasing.release(tree, tmp_path / "course")
    before = archive.read_bytes()
    with pytest.raises(ConfigError, match="say --replace"):
        releasing.release(tree, tmp_path / "course")
    assert archive.read_bytes() == before
    (out / "old").write_text("")
    releasing.release(tree, tmp_path / "course", replace=True)
    assert not (out / "old").exists()


def test_what_is_no_release_is_never_replaced(tree, tmp_path):
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ConfigError, match="is no earlier release"):
        releasing.release(tree, tmp_path / "thesis", replace=True)
    assert (tmp_path / "thesis").is_dir()


def test_a_failed_replacement_leaves_the_earlier_release(tree, tmp_path):
    out, _ = releasing.release(tree, tmp_path / "course")
    leak(tree)
    with pytest.raises(LeakError):
        releasing.release(tree, tmp_path / "course", replace=True)
    assert (out / "README.md").is_file()


def test_a_library_that_can_not_be_built_is_told(tree, tmp_path):
    (tree / "pyproject.toml").write_text("[project]\nname = 3\n")
    with pytest.raises(DataError, match="the wheel could not be built"):
        releasing.release(tree, tmp_path / "course")
    assert not (tmp_path / "course").exists()


def test_a_picture_that_was_never_drawn_is_told(tree, tmp_path):
    path = tree / "solutions/sol_04_marbles.py"
    path.write_text(
        path.read_text() + '\n# %% picture="marbles"\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\n'
    )
    with pytest.raises(DataError, match=r"exercises/pictures/ex_04_marbles\.png: missing"):
        releasing.release(tree, tmp_path / "course")


def test_outside_of_an_instructors_tree_the_command_says_so(tmp_path, capsys):
    assert cli.main(["classroom", "release", "--out", str(tmp_path / "out"), "--course", str(tmp_path)]) == 2
    assert "has no solutions/sol_NN_name.py" in capsys.readouterr().err


def test_the_command_tells_what_it_made(tree, tmp_path, capsys):
    assert cli.main(["classroom", "release", "--out", str(tmp_path / "out"), "--course", str(tree)]) == 0
    assert "no line of a solution is in them" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["grade", "verify"])
def test_without_nbgrader_the_command_says_what_to_install(tree, monkeypatch, capsys, command):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = [str(tree)] if command == "grade" else []
    assert cli.main(["classroom", command, *arguments, "--course", str(tree)]) == 2
    assert "nbgrader is not installed; python -m pip install 'dml_teach[classroom]'" in capsys.readouterr().err


@needs_masters
def test_a_student_needs_nothing_but_the_bundle(tmp_path):
    """The wheel that is in it, installed, runs a check; nothing of this tree is on the path."""
    releasing.fill(ROOT, read_all(ROOT / "solutions"), tmp_path / "course")
    library = tmp_path / "library"
    wheel = next((tmp_path / "course").glob("*.whl"))
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(library), str(wheel))
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    program = (
        "import sys, pathlib, json; sys.path.insert(0, sys.argv[1])\n"
        "import dml_teach; assert dml_teach.__file__.startswith(sys.argv[1])\n"
        "cells = json.loads(pathlib.Path('ex_04_two_peers.ipynb').read_text())['cells']\n"
        "import matplotlib; matplotlib.use('agg')\n"
        "for cell in cells:\n"
        "    if cell['cell_type'] == 'code': exec(''.join(cell['source']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(library)],
        cwd=tmp_path / "course" / "exercises",
        env={"PATH": "", "HOME": str(tmp_path), "DML_TEACH_PROGRESS": "off"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "reverse_kl_gradient is not written yet" in done.stdout.replace("\n", " ")


# --- verify ---


@pytest.fixture
def whole(tree):
    """The tree with its exercises."""
    folder = tree / "exercises"
    folder.mkdir()
    for name, content in students.everything(read_all(tree / "solutions"), {}).items():
        (folder / name).write_bytes(content)
    return tree


def verified(tree: Path, capsys) -> tuple[int, str]:
    pytest.importorskip("nbgrader", reason="the extra classroom is not installed")
    status = cli.main(["classroom", "verify", "--course", str(tree)])
    return status, capsys.readouterr().out


def test_a_sound_tree_is_verified_in_words(whole, capsys):
    status, said = verified(whole, capsys)
    assert (status, said.count("ok    ")) == (0, 6), said


@pytest.mark.slow
def test_everything_that_is_not_so_is_told(whole, capsys):
    path = whole / "solutions/sol_04_marbles.py"
    path.write_text(path.read_text().replace("return square_root_wanted", "return -square_root_wanted"))
    path.write_text(path.read_text().replace('== 3, "the root', '== -3, "the root'))
    (whole / "pyproject.toml").write_text(LIBRARY.replace("/solutions", "/book"))
    page = whole / "book/site/_build/html/index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>altogether_in_bags = sum(max(bag, 0) for bag in bags)</p>")
    status, said = verified(whole, capsys)
    assert status == 1
    assert "ex_04_marbles.py: differs from its master" in said
    assert "solutions/sol_04_marbles.py shows sol_04_marbles.py" in said
    assert "index.html shows sol_04_marbles.py" in said


def test_a_master_that_does_not_run_is_told(whole, capsys):
    path = whole / "solutions/sol_04_marbles.py"
    path.write_text(path.read_text().replace("return square_root_wanted", "return -square_root_wanted"))
    status, said = verified(whole, capsys)
    assert status == 1
    assert "sol_04_marbles.py: does not run: AssertionError: the root of 9 is 3" in said


@pytest.mark.slow
def test_a_solution_that_does_not_get_its_marks_is_told(whole):
    """One that passes where its author ran it, and not where it is graded."""
    pytest.importorskip("nbgrader", reason="the extra classroom is not installed")
    from dml_teach.classroom.verify import unsolved

    path = whole / "solutions/sol_04_marbles.py"
    path.write_text(path.read_text().replace("return square_root_wanted", "return -square_root_wanted"))
    assert list(unsolved(read_all(whole / "solutions"), whole)) == ["ex_04_marbles: root_of_marbles got 0 of 2"]
