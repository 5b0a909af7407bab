"""The checkers are tested: right answers of other styles pass, wrong ones are refused, each with its own reason."""

from collections import Counter

import pytest

from dml_teach.classroom.registry import by_name, check
from tests.classroom.table import SOLUTIONS, answers

pytestmark = pytest.mark.skipif(not SOLUTIONS.is_dir(), reason="solutions/ is kept elsewhere")
ANSWERS = answers()


def names(some):
    return [f"{a.task}-{a.function.__name__}" for a in some]


RIGHT = [a for a in ANSWERS if not a.says]
WRONG = [a for a in ANSWERS if a.says]


def said(message):
    return " ".join(message.split())


@pytest.mark.parametrize("answer", RIGHT, ids=names(RIGHT))
@pytest.mark.parametrize("seed", [0, 20])
def test_a_right_answer_passes(answer, seed):
    result = getattr(check, answer.task)(answer.function, seed=seed)
    assert result, result.message


@pytest.mark.parametrize("answer", WRONG, ids=names(WRONG))
def test_a_wrong_answer_is_refused_for_its_reason(answer, monkeypatch):
    if answer.says == "a loop that never ends":
        monkeypatch.setenv("DML_TEACH_CHECK_SECONDS", "0.5")
    result = getattr(check, answer.task)(answer.function)
    assert not result
    assert answer.says in said(result.message)
    assert "can not read" not in result.message


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 13))
def test_the_verdict_does_not_depend_on_the_seed(seed):
    judged = [a for a in ANSWERS if a.says != "a loop that never ends"]
    wrong = [a for a in judged if bool(getattr(check, a.task)(a.function, seed=seed)) == bool(a.says)]
    assert names(wrong) == []


@pytest.mark.parametrize("task", by_name())
def test_each_task_has_three_wrong_answers_with_messages_of_their_own_and_two_right_ones(task):
    wrong = {a.says for a in WRONG if a.task == task and a.foreseen}
    invented = Counter(a.task for a in WRONG if not a.foreseen)
    assert len(wrong) >= 3
    assert sum(a.task == task for a in RIGHT) >= 2
    assert invented[task] >= 3
