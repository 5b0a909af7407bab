"""The students' side: what is in it, what is not, and that it is the same each time."""

import json

import jupytext
import nbformat
import pytest

from dml_teach.classroom import masters, pictures, students
from tests.classroom import table
from tests.classroom.samples import HEADER, course
from tools import exercises

PICTURE = """\
# %%
import matplotlib.pyplot as plt

# %% task="height"
def height():
    ### BEGIN SOLUTION
    return 3
    ### END SOLUTION

# %% test="height" points=1
assert height() == 3

# %% picture="A bar of height 3."
plt.figure(figsize=(2, 2))
plt.bar([0], [height()])
plt.show()
"""


@pytest.fixture
def master(tmp_path):
    return masters.read_all(course(tmp_path) / "solutions")[0]


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    """A course whose master draws, built once."""
    root = course(tmp_path_factory.mktemp("drawing"), sol_01_bar=HEADER + PICTURE)
    assert exercises.main(["build"], root) == 0
    return root


def test_a_solution_becomes_a_stub_and_hidden_tests_vanish(master):
    text = students.files(master)["ex_04_marbles.py"].decode()
    assert text.count('    raise NotImplementedError("yours to write")\n') == 2
    for hidden in ("###", "altogether", "700", "collapses"):
        assert hidden not in text


def test_a_question_asks_for_an_answer(master):
    asked = students.notebook(master).cells[-1]
    assert (asked.cell_type, asked.source) == ("markdown", "*Your answer here.*")


def test_the_notebook_was_never_run(master):
    code = [cell for cell in students.notebook(master).cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_cells_are_known_by_their_roles(master):
    ids = [cell.id for cell in students.notebook(master).cells]
    assert ids[2:4] == ["task-count_marbles", "test-count_marbles"]
    assert len(set(ids)) == len(ids)


def test_metadata_hold_nothing_but_roles_and_points(master):
    notebook = students.notebook(master)
    assert set(notebook.metadata) == {"kernelspec", "jupytext", "language_info"}
    assert {key for cell in notebook.cells for key in cell.metadata} == {"task", "test", "question", "points"}


def test_the_two_files_are_one_pair_in_canonical_form(master):
    files = students.files(master)
    paired = jupytext.reads(files["ex_04_marbles.py"].decode(), fmt="py:percent")
    stored = nbformat.reads(files["ex_04_marbles.ipynb"].decode(), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in paired.cells] == [(c.cell_type, c.source) for c in stored.cells]
    assert jupytext.writes(paired, fmt="py:percent") == files["ex_04_marbles.py"].decode()
    nbformat.validate(stored)


def test_the_same_bytes_each_time(master):
    assert students.files(master) == students.files(master)


def test_a_picture_takes_the_place_of_the_code_that_draws_it(drawing):
    text = (drawing / "exercises" / "ex_01_bar.py").read_text(encoding="utf-8")
    assert "# ![A bar of height 3.](pictures/ex_01_bar.png)" in text
    assert "plt.bar" not in text
    assert (drawing / "exercises" / "pictures" / "ex_01_bar.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_built_passes_the_check(drawing, capsys):
    assert exercises.main(["check"], drawing) == 0
    assert "1 exercise(s) equal their masters" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["ex_01_bar.py", "ex_01_bar.ipynb", "jupytext.toml", "pictures/ex_01_bar.png"])
def test_whoever_edits_a_made_file_is_told(drawing, capsys, name):
    path = drawing / "exercises" / name
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"a", b"b", 1) if path.suffix != ".png" else kept[:40])
    quick = [] if path.suffix == ".png" else ["--no-pictures"]
    try:
        assert exercises.main(["check", *quick], drawing) == 1
        assert f"exercises/{name}: differs from its master" in capsys.readouterr().out
    finally:
        path.write_bytes(kept)


def test_a_file_without_a_master_is_told(drawing, capsys):
    stray = drawing / "exercises" / "ex_09_old.py"
    stray.write_text("x = 1\n")
    try:
        assert exercises.main(["check"], drawing) == 1
        assert "exercises/ex_09_old.py: has no master" in capsys.readouterr().out
    finally:
        stray.unlink()


def test_a_picture_of_something_else_differs_and_one_pixel_does_not():
    import io

    import matplotlib.pyplot as plt
    import numpy as np

    def png(image):
        stream = io.BytesIO()
        plt.imsave(stream, image, vmin=0, vmax=1)
        return stream.getvalue()

    one = np.zeros((40, 40))
    nearly, other = one.copy(), one.copy()
    nearly[3, 3] = 1
    other[10:30] = 1
    assert pictures.alike(png(one), png(nearly))
    assert not pictures.alike(png(one), png(other))
    assert not pictures.alike(png(one), png(one[:30]))
    assert not pictures.alike(png(one), b"no picture")


def test_a_master_that_fails_is_told_and_nothing_is_built(tmp_path, capsys):
    root = course(tmp_path, sol_01_bar=HEADER + PICTURE.replace("plt.bar(", "plt.no_such("))
    assert exercises.main(["build"], root) == 1
    assert "sol_01_bar.py: does not run: AttributeError" in capsys.readouterr().out
    assert not (root / "exercises").exists()


def test_the_best_answers_have_nothing_hidden_but_the_solutions(master):
    text = json.dumps(students.answered(master))
    assert "altogether_in_bags" in text
    assert "700" not in text


# --- the exercises of this course ---

REAL = sorted(table.SOLUTIONS.glob("sol_*.py"))
needs_masters = pytest.mark.skipif(not REAL, reason="solutions/ is kept elsewhere")


@needs_masters
def test_the_exercises_are_what_their_masters_make(capsys):
    """Without the pictures, which the notebook check compares."""
    assert exercises.main(["check", "--no-pictures"]) == 0, capsys.readouterr().out


@needs_masters
@pytest.mark.parametrize("path", REAL, ids=[path.stem.removeprefix("sol_") for path in REAL])
def test_an_exercise_as_handed_out_runs_to_what_is_not_written_and_nothing_else(path, capsys, monkeypatch):
    """Cells run as a student would run them; only what is not written yet may stop one, and every check says so."""
    import matplotlib

    monkeypatch.setenv("DML_TEACH_PROGRESS", "off")
    matplotlib.use("agg")
    space: dict = {"__name__": "__main__"}
    master = masters.read(path)
    unwritten = []
    for cell in students.notebook(master).cells:
        if cell.cell_type == "code":
            try:
                exec(compile(cell.source, f"{master.exercise}, {cell.id}", "exec"), space)
            except NotImplementedError as error:
                assert str(error) == "yours to write"
                unwritten.append(cell.id)
    matplotlib.pyplot.close("all")
    said = capsys.readouterr().out
    for task in master.of("task"):
        assert f"{task.name} is not written yet" in said.replace("\n", " ") or f"test-{task.name}" in unwritten
    assert "Passed" not in said
