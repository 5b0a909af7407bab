"""What students hand in: found in two layouts, read with suspicion, fitted to the exercise."""

import json
import os

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach.classroom import masters, students, submissions
from dml_teach.errors import ConfigError, DataError
from tests.classroom import handed_in
from tests.classroom.samples import course

EXERCISES = ["ex_04_marbles", "ex_05_more"]


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    return masters.read_all(course(tmp_path_factory.mktemp("course")) / "solutions")[0]


@pytest.fixture
def exercise(master):
    return students.notebook(master)


def hand_in(root, *paths):
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("{}")
        os.utime(root / path, (number, number))
    return root


def found(root):
    return {(one.student, one.exercise): one.file and one.file.name for one in submissions.find(root, EXERCISES)}


# --- finding ---


@pytest.mark.parametrize(
    "path",
    [
        "ada/ex_04_marbles/ex_04_marbles.ipynb",
        "submitted/ada/ex_04_marbles/ex_04_marbles.ipynb",
        "ada/ex_04_marbles.ipynb",
        "ada/ex_04.ipynb",
        "ada/Ex 04 (1).ipynb",
        "ada/ex04-mine.ipynb",
        "ada/ex_04/work.ipynb",
        "ada/homework/ex_04.ipynb",
    ],
)
def test_both_layouts_and_what_students_make_of_them(tmp_path, path):
    assert list(found(hand_in(tmp_path, path))) == [("ada", "ex_04_marbles")]


@pytest.mark.parametrize(
    "path",
    ["ada/.ipynb_checkpoints/ex_04.ipynb", ".git/ex_04.ipynb", "ada/ex_99.ipynb", "ada/ex_042.ipynb", "ada/ex_04.py"],
)
def test_what_is_none_of_them_is_left(tmp_path, path):
    with pytest.raises(ConfigError, match=r"no STUDENT/ex_NN\*\.ipynb of ex_04_marbles, ex_05_more"):
        submissions.find(hand_in(tmp_path, path), EXERCISES)


def test_of_several_files_the_one_that_was_handed_out_else_the_newest(tmp_path):
    root = hand_in(tmp_path, "ada/ex_04_marbles.ipynb", "ada/ex_04 (1).ipynb", "ben/ex_04 b.ipynb", "ben/ex_04 a.ipynb")
    assert found(root) == {("ada", "ex_04_marbles"): "ex_04_marbles.ipynb", ("ben", "ex_04_marbles"): "ex_04 a.ipynb"}
    assert submissions.find(root, EXERCISES)[0].others == ("ex_04 (1).ipynb",)


def test_who_lacks_what_others_handed_in_is_there_without_a_file(tmp_path):
    root = hand_in(tmp_path, "ada/ex_04.ipynb", "ben/ex_05.ipynb", "cleo/notes.txt")
    assert [key for key, name in found(root).items() if name is None] == [
        ("ada", "ex_05_more"),
        ("ben", "ex_04_marbles"),
        ("cleo", "ex_04_marbles"),
        ("cleo", "ex_05_more"),
    ]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        submissions.find(tmp_path / "nowhere", EXERCISES)


# --- reading ---


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["cells", "cell_type", "source", "metadata", "nbformat", "nbformat_minor", "outputs", "id"]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=25,
    )
)
def test_whatever_json_is_handed_in_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.ipynb"
    path.write_text(json.dumps(content))
    try:
        read = submissions.read(path)
    except DataError:
        return
    assert all(isinstance(cell.source, str) for cell in read.cells)


def test_outputs_and_foreign_metadata_are_dropped(tmp_path, exercise):
    cell = exercise.cells[1]
    cell.outputs = [nbformat.v4.new_output("stream", text="passed")]
    cell.metadata |= {"nbgrader": {"points": 9}, "task": 3, "tags": ["x"]}
    handed_in.save(tmp_path, exercise, "a.ipynb")
    read = submissions.read(tmp_path / "a.ipynb").cells[1]
    assert (read.outputs, dict(read.metadata)) == ([], {})


def test_a_file_that_can_not_be_opened_is_told(tmp_path):
    with pytest.raises(DataError, match="can not be read"):
        submissions.read(tmp_path / "gone.ipynb")


# --- fitting ---


def fitted(made, exercise):
    return submissions.fit(nbformat.from_dict(submissions._plain(made)), exercise)


def texts(notebook):
    return {cell.id: cell.source for cell in notebook.cells}


def test_an_untouched_exercise_fits_without_a_remark(exercise):
    fit = fitted(exercise, exercise)
    assert (texts(fit.notebook), fit.remarks) == (texts(exercise), [])


def test_answers_are_taken_and_nothing_else(master, exercise):
    fit = fitted(handed_in.notebook(master), exercise)
    wanted = texts(exercise) | {
        "task-count_marbles": handed_in.COUNT,
        "task-root_of_marbles": handed_in.ROOT,
        "question-why_a_limit": handed_in.WHY,
    }
    assert texts(fit.notebook) == wanted


def test_ones_own_cells_stay_where_they_are_with_no_role(master, exercise):
    made = handed_in.notebook(master)
    made.cells.insert(2, nbformat.v4.new_code_cell("helper = 1", metadata={"test": "helper", "points": 9}))
    fit = fitted(made, exercise)
    own = fit.notebook.cells[2]
    assert (own.source, own.id[:4], dict(own.metadata)) == ("helper = 1", "own-", {})


@pytest.mark.parametrize("gone", ["test-count_marbles", "task-count_marbles", "question-why_a_limit"])
def test_a_deleted_cell_comes_back_in_its_place_and_is_told(master, exercise, gone):
    made = handed_in.notebook(master)
    made.cells.remove(handed_in.find(made, gone))
    fit = fitted(made, exercise)
    assert [cell.id for cell in fit.notebook.cells] == [cell.id for cell in exercise.cells]
    role, _, name = gone.partition("-")
    assert fit.remarks == [f"{role} '{name}' was deleted; put back"]


def test_a_changed_test_is_told(master, exercise):
    made = handed_in.notebook(master, test_count_marbles="pass")
    assert fitted(made, exercise).remarks == ["test 'count_marbles' was changed; restored"]


def test_without_metadata_and_ids_everything_still_finds_its_place(master, exercise):
    made = handed_in.notebook(master)
    for number, cell in enumerate(made.cells):
        cell.metadata, cell.id = nbformat.from_dict({}), f"id{number}"
    fit = fitted(made, exercise)
    assert fit.remarks == []
    assert texts(fit.notebook) == texts(fitted(handed_in.notebook(master), exercise).notebook)


def test_a_function_that_moved_to_another_cell_is_found(master, exercise):
    made = handed_in.notebook(master, task_count_marbles="")
    made.cells.insert(1, nbformat.v4.new_code_cell(handed_in.COUNT))
    fit = fitted(made, exercise)
    assert texts(fit.notebook)["task-count_marbles"] == handed_in.COUNT
    assert fit.remarks == []


def test_an_answer_wiped_out_is_no_answer(master, exercise):
    fit = fitted(handed_in.notebook(master, question_why_a_limit="  \n"), exercise)
    assert texts(fit.notebook)["question-why_a_limit"] == students.UNANSWERED


def test_an_answer_in_a_cell_below_the_question_is_the_answer(master, exercise):
    made = handed_in.notebook(master, question_why_a_limit=students.UNANSWERED)
    made.cells += [nbformat.v4.new_markdown_cell("They roll."), nbformat.v4.new_markdown_cell("Away.")]
    fit = fitted(made, exercise)
    assert texts(fit.notebook)["question-why_a_limit"] == "They roll.\n\nAway."


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_cut_shuffled_and_doubled_each_cell_comes_once_and_in_order(master, data):
    exercise = students.notebook(master)
    made = handed_in.notebook(master)
    made.cells = data.draw(st.lists(st.sampled_from(made.cells), max_size=14))
    fit = fitted(nbformat.from_dict(json.loads(json.dumps(made))), exercise)
    known = [cell.id for cell in fit.notebook.cells if not cell.id.startswith("own-")]
    assert known == [cell.id for cell in exercise.cells]
    ids = [cell.id for cell in fit.notebook.cells]
    assert len(ids) == len(set(ids))
