"""Grading: what is handed in gets the points that it is worth, and nothing that is handed in stops the rest."""

import csv

import nbformat
import psutil
import pytest

from dml_teach import cli
from dml_teach.classroom import grading, masters
from dml_teach.classroom.watching import Limits
from dml_teach.errors import ConfigError
from tests.classroom import handed_in, samples
from tests.classroom.handed_in import HandedIn, before, cells, edited, raw

LIMITS = Limits(seconds=27, memory=900 * 2**20)
LOOP = "def root_of_marbles(marbles):\n    while True:\n        pass"
HUNGRY = "def root_of_marbles(marbles):\n    kept = []\n    while True:\n        kept.append(bytearray(2**24))"
LEFT = "time.sleep(600)  # left behind by a submission"
LEAVES = (
    f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; {LEFT}'], start_new_session=True)"
)
CRASH = "import os\ndef root_of_marbles(marbles):\n    os._exit(0)"
TRICKS = """
import math, builtins
math.sqrt = lambda n: 3
builtins.min = lambda *a: 1000
count_marbles = lambda bags: 3
"""


def tamper(made):
    """Everything at once: tests that pass always, more points, outputs of a good run, no question, a wrong answer."""
    test = handed_in.find(made, "test-count_marbles")
    test.source, test.metadata["points"] = "print('passed')", 100
    test.outputs = [{"output_type": "stream", "name": "stdout", "text": "all tests passed"}]
    handed_in.find(made, "task-count_marbles").source = handed_in.WRONG
    made.cells.remove(handed_in.find(made, "test-root_of_marbles"))
    made.cells.remove(handed_in.find(made, "question-why_a_limit"))


SIX = {
    "right": HandedIn(edited(lambda made: made.cells.insert(0, nbformat.v4.new_code_cell(LEAVES))), 4, 2),
    "wrong": HandedIn(before(TRICKS), 0, 2, "graded", "math.sqrt was replaced; put back"),
    "looping": HandedIn(cells(task_root_of_marbles=LOOP), 4, 0),
    "hungry": HandedIn(cells(task_root_of_marbles=HUNGRY), 4, 0, "stopped", "more than 900 MiB"),
    "crashing": HandedIn(cells(task_root_of_marbles=CRASH), 4, 0, "stopped", "died"),
    "tampered": HandedIn(edited(tamper), 0, 2, "graded", "test 'count_marbles' was changed; restored"),
}
UNREADABLE = {
    "empty file": (raw(b""), "is empty"),
    "words": (raw(b"def count_marbles(bags): ..."), "no JSON"),
    "other json": (raw(b'{"hello": 1}'), "no cells"),
    "utf-16": (raw('{"cells": []}'.encode("utf-16")), "not UTF-8"),
    "bad cells": (
        raw(b'{"cells": [{"cell_type": "code"}], "nbformat": 4, "nbformat_minor": 5}'),
        "not a sound notebook",
    ),
    "half a letter": (edited(lambda made: made.cells[1].update(source="x = '\ud800'")), "not a sound notebook"),
    "deep": (raw(b'{"cells": ' + b"[" * 100_000), "no JSON"),
}


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    folder = samples.course(tmp_path_factory.mktemp("course"))
    return masters.read_all(folder / "solutions")[0]


@pytest.fixture(scope="module")
def graded(tmp_path_factory, master):
    """All of them, and one who handed in nothing, graded once."""
    root = tmp_path_factory.mktemp("graded")
    for name, one in SIX.items():
        one.write(root / "submitted" / name, master)
    for name, (write, _) in UNREADABLE.items():
        write(root / "submitted" / name, master)
    (root / "submitted" / "absent").mkdir()
    seen = []
    verdicts = grading.grade(
        [master], root, root / "out", limits=LIMITS, tell=lambda verdict, fresh: seen.append((verdict, fresh))
    )
    assert all(fresh for _, fresh in seen)
    return root, {verdict.student: verdict for verdict in verdicts}


@pytest.mark.parametrize("name", SIX)
def test_a_submission_gets_the_points_that_it_is_worth(graded, name):
    verdict, wanted = graded[1][name], SIX[name]
    assert verdict.tasks == {"count_marbles": wanted.count, "root_of_marbles": wanted.root}
    assert verdict.possible == {"count_marbles": 4, "root_of_marbles": 2, "why_a_limit": 3}
    assert verdict.status == wanted.status
    assert wanted.reason in verdict.reason


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_notebook_gets_nothing_and_a_reason(graded, name):
    verdict = graded[1][name]
    assert (verdict.status, verdict.score) == ("unreadable", 0)
    assert UNREADABLE[name][1] in verdict.reason


def test_nothing_handed_in_is_told(graded):
    assert (graded[1]["absent"].status, graded[1]["absent"].score) == ("missing", 0)


def test_an_answer_waits_to_be_read_and_no_answer_gets_nothing(graded):
    assert graded[1]["right"].questions == {"why_a_limit": None}
    assert graded[1]["tampered"].questions == {"why_a_limit": 0}
    assert "question 'why_a_limit' was deleted; put back" in graded[1]["tampered"].reason


def test_scores_are_a_table(graded):
    with (graded[0] / "out" / "scores.csv").open(encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(SIX) + len(UNREADABLE) + 1
    wanted = {"exercise": "ex_04_marbles", "status": "graded", "score": "6", "possible": "9", "to read": "1"}
    wanted |= {"count_marbles": "4", "root_of_marbles": "2", "why_a_limit": "to be read", "reason": ""}
    assert rows["right"] == {"student": "right"} | wanted


def test_nbgraders_own_table_has_the_same_scores(graded):
    with (graded[0] / "out" / "grades.csv").open(encoding="utf-8") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert {name: scores[name] for name in SIX} == {name: one.count + one.root for name, one in SIX.items()}


def page(graded, student):
    return (graded[0] / "out/feedback" / student / "ex_04_marbles/ex_04_marbles.html").read_text(encoding="utf-8")


def test_feedback_says_what_failed_but_shows_no_hidden_test(graded, master):
    shown = page(graded, "wrong")
    assert "a hidden test: more than LIMIT were counted" in shown
    assert "[700" not in shown
    assert "HIDDEN TESTS" not in shown


def test_who_was_stopped_reads_why(graded):
    assert "more than 900 MiB" in page(graded, "hungry")
    assert "took too long" in page(graded, "looping")


def test_what_a_submission_starts_does_not_outlive_it(graded):
    left = [one for one in psutil.process_iter(["cmdline"]) if LEFT in " ".join(one.info["cmdline"] or [])]
    assert left == []


def test_no_solution_comes_near_the_submissions(graded):
    files = [path for path in (graded[0] / "out").rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if b"altogether_in_bags" in path.read_bytes()] == []


def test_only_what_changed_is_graded_again(graded, master):
    root, before = graded
    seen = {}
    SIX["right"].write(root / "submitted" / "crashing", master)  # mended at last
    again = grading.grade(
        [master], root, root / "out", limits=LIMITS, tell=lambda verdict, fresh: seen.update({verdict.student: fresh})
    )
    assert [name for name, fresh in seen.items() if fresh] == ["crashing"]
    scores = {verdict.student: verdict.score for verdict in again}
    assert scores == {name: verdict.score for name, verdict in before.items()} | {"crashing": 6}


def test_points_that_a_person_gave_are_counted_and_stand_in_the_feedback(graded, master):
    from dml_teach.classroom.gradebook import Course

    root, _ = graded
    with Course(root / "out").open() as book:
        grade = book.find_grade("question-why_a_limit", "ex_04_marbles", "ex_04_marbles", "wrong")
        grade.manual_score = 2
        book.db.commit()
    again = {verdict.student: verdict for verdict in grading.grade([master], root, root / "out", limits=LIMITS)}
    assert (again["wrong"].questions, again["wrong"].score) == ({"why_a_limit": 2}, 4)
    assert "Score: 4.0 / 9.0" in page(graded, "wrong")


def test_the_command_tells_of_each_submission_and_what_was_graded_before(graded, master, capsys):
    root, _ = graded
    course = str(master.path.parents[1])
    status = cli.main(["classroom", "grade", str(root), "--out", str(root / "out"), "--course", course])
    said = capsys.readouterr().out
    assert status == 0
    assert "right ex_04_marbles: graded, 6 of 9, 1 to be read [as before]\n" in said
    assert "words ex_04_marbles: unreadable, 0 of 9 (the file is not a notebook" in said


def test_a_folder_with_other_things_is_not_graded_into(graded, master, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds other things"):
        grading.grade([master], graded[0], tmp_path)
