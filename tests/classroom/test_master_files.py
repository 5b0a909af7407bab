"""Masters: what is in one, and every way in which it can be wrong, with file and line."""

import pytest

from dml_teach.classroom import masters
from dml_teach.errors import ConfigError, DataError
from tests.classroom.samples import HEADER, MASTER, course

TASK = '# %% task="f"\ndef f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n'
TEST = '# %% test="f" points=2\nassert f() == 1\n'
ASKED = '# %% [markdown] question="why" points=1\n# ### BEGIN SOLUTION\n# So.\n# ### END SOLUTION\n'
WRONG = {
    "no test": (TASK, "17: task 'f' has no test"),
    "no task": (TEST, "17: a test of 'f', which is no task here"),
    "two tests": (TASK + TEST + TEST, "a second test 'f'"),
    "no points": (TASK + TEST.replace(" points=2", ""), "points must be a whole number from 1, got 0"),
    "half a point": (TASK + TEST.replace("=2", "=0.5"), "got 0.5"),
    "points in words": (TASK + TEST.replace("=2", '="two"'), "got 'two'"),
    "points of nothing": ("# %% points=3\nx = 1\n", "17: points without test= or question="),
    "other name": (TASK.replace("def f", "def g") + TEST, "17: task 'f' does not define f"),
    "no name": (TASK.replace('"f"', '"f g"') + TEST, "task= needs a name in quotes"),
    "unknown role": ('# %% tasks="f"\nx = 1\n', "17: 'tasks' is not known"),
    "two roles": ('# %% task="f" test="f"\nx = 1\n', "17: a cell is task or test, not both"),
    "text as task": ('# %% [markdown] task="f"\n# x\n', "17: a task is a cell of code, this is markdown"),
    "code as question": ('# %% question="f"\nx = 1\n', "17: a question is a cell of markdown"),
    "nothing hidden": (
        TASK.replace("    ### BEGIN SOLUTION\n", "").replace("    ### END SOLUTION\n", "") + TEST,
        "has no",
    ),
    "solution given away": (
        TASK + TEST + "# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n",
        "SOLUTION outside a cell",
    ),
    "tests given away": (
        "# %%\n### BEGIN HIDDEN TESTS\nx = 1\n### END HIDDEN TESTS\n",
        "18: HIDDEN TESTS outside a cell",
    ),
    "syntax": (TASK + TEST + "### BEGIN HIDDEN TESTS\nassert (\n### END HIDDEN TESTS\n", "was never closed"),
    "unbalanced": (TASK.replace("    ### END SOLUTION\n", "") + TEST, "the cell ends inside the SOLUTION of line 19"),
}


def test_a_master_tells_its_cells(tmp_path):
    master = masters.read_all(course(tmp_path) / "solutions")[0]
    assert (master.exercise, master.number) == ("ex_04_marbles", "04")
    assert [(cell.role, cell.name, cell.points) for cell in master.cells] == [
        ("task", "count_marbles", 0),
        ("test", "count_marbles", 4),
        ("task", "root_of_marbles", 0),
        ("test", "root_of_marbles", 2),
        ("question", "why_a_limit", 3),
    ]
    lines = MASTER.splitlines()
    assert all(cell.role in lines[cell.first - 1] for cell in master.cells)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_master_is_told_with_file_and_line(tmp_path, name):
    text, says = WRONG[name]
    folder = course(tmp_path, sol_01_wrong=HEADER + text)
    with pytest.raises(DataError, match=r"^sol_01_wrong.py:\d+") as caught:
        masters.read_all(folder / "solutions")
    assert says in str(caught.value)


def test_a_name_is_in_one_exercise_only(tmp_path):
    folder = course(tmp_path, sol_01_one=HEADER + TASK + TEST + ASKED, sol_02_two=HEADER + TASK + TEST)
    with pytest.raises(DataError, match=r"sol_02_two.py:17: 'f' is also in sol_01_one.py"):
        masters.read_all(folder / "solutions")


def test_a_master_in_another_encoding_is_told(tmp_path):
    folder = course(tmp_path)
    (folder / "solutions" / "sol_05_latin.py").write_bytes("# %% é\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"sol_05_latin\.py: not UTF-8"):
        masters.read_all(folder / "solutions")


def test_a_folder_without_masters_is_no_instructors_tree(tmp_path):
    with pytest.raises(ConfigError, match=r"has no solutions/sol_NN_name\.py"):
        masters.course_folder(tmp_path)
