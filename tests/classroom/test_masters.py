"""Every master runs as a script and passes all of its own checks."""

import contextlib
import io
import re
import runpy

import matplotlib
import pytest

from dml_teach.classroom.registry import by_name
from tests.classroom.table import SOLUTIONS

MASTERS = sorted(SOLUTIONS.glob("sol_*.py"))
pytestmark = pytest.mark.skipif(not MASTERS, reason="solutions/ is kept elsewhere")


def cells(text, kind):
    return re.findall(rf'^# %%.* ?{kind}="(\w+)"', text, re.M)


@pytest.fixture(params=MASTERS, ids=[path.stem for path in MASTERS])
def master(request):
    return request.param


def test_a_master_runs_and_passes_its_checks(master, monkeypatch):
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "agg")
    matplotlib.use("agg")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(master), run_name="__main__")
    matplotlib.pyplot.close("all")
    passed = re.findall(r"Passed: (\w+)\.", printed.getvalue())
    wanted = cells(master.read_text(encoding="utf-8"), "test")
    assert set(passed) == set(wanted)
    assert len(passed) == 2 * len(wanted)  # the student's check and the hidden one
    assert "Not yet" not in printed.getvalue()


def test_a_master_has_the_tasks_of_its_exercise_and_a_question(master):
    text, number = master.read_text(encoding="utf-8"), master.stem[4:6]
    tasks = cells(text, "task")
    assert tasks == cells(text, "test") == [t.name for t in by_name().values() if t.exercise == number]
    assert len(tasks) >= 2
    assert len(cells(text, "question")) >= 1
    points = re.search(r"\*\*Points\*\* \| (\d+)", text)
    assert int(points[1]) == sum(map(int, re.findall(r"^# %%.* points=(\d+)", text, re.M)))


def test_no_question_has_the_name_of_another():
    names = [name for path in MASTERS for name in cells(path.read_text(encoding="utf-8"), "question")]
    assert len(names) == len(set(names))


def test_every_exercise_has_a_master():
    assert sorted({path.stem[4:6] for path in MASTERS}) == sorted({task.exercise for task in by_name().values()})
