"""Thirty submissions to a real exercise, graded in one go; six like them, of a smaller one, are in `test_grade`."""

import time

import psutil
import pytest

from dml_teach.classroom import grading, masters
from dml_teach.classroom.watching import Limits
from tests.classroom.table import SOLUTIONS
from tests.classroom.thirty import FIRST, SECOND, THIRTY

MASTER = SOLUTIONS / "sol_04_two_peers.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not MASTER.exists(), reason="solutions/ is kept elsewhere"),
]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    root = tmp_path_factory.mktemp("thirty")
    master = masters.read(MASTER)
    for name, one in THIRTY.items():
        one.write(root / "submitted" / name, master)
    began = time.monotonic()

    def tell(verdict, fresh):
        print(
            f"{time.monotonic() - began:6.1f} s  {verdict.student}: {verdict.status} {verdict.tasks} {verdict.reason}"
        )

    verdicts = grading.grade([master], root, root / "out", limits=Limits(seconds=80), tell=tell)
    return root, {verdict.student: verdict for verdict in verdicts}


@pytest.mark.parametrize("name", THIRTY)
def test_a_submission_gets_the_points_that_it_is_worth(graded, name):
    verdict, wanted = graded[1][name], THIRTY[name]
    assert (verdict.tasks, verdict.status) == ({FIRST: wanted.first, SECOND: wanted.second}, wanted.status)
    assert wanted.reason in verdict.reason


def test_feedback_shows_the_expected_picture(graded):
    assert list((graded[0] / "out/feedback/right/ex_04_two_peers/pictures").iterdir())


def test_nothing_of_them_runs_on(graded):
    left = [
        process for process in psutil.process_iter(["cmdline"]) if "dml-" in " ".join(process.info["cmdline"] or [])
    ]
    assert left == []
