"""The guard: what a student binds or replaces changes nothing for the tests."""

import builtins
import math
from types import SimpleNamespace

import pytest

from dml_teach.classroom import check, guard, registry
from dml_teach.classroom.guard import Guard, NotPassed
from dml_teach.classroom.registry import Result

IMPORTS = "import math\nfrom dml_teach.classroom import check"


@pytest.fixture
def published(monkeypatch):
    """What the guard tells the process outside."""
    said = []
    kernel = SimpleNamespace(display_pub=SimpleNamespace(publish=said.append))
    monkeypatch.setattr(builtins, "get_ipython", lambda: kernel, raising=False)
    return said


@pytest.fixture
def guarded(published, monkeypatch):
    monkeypatch.setenv("DML_TEACH_CHECK_SEED", "1")
    made = Guard(IMPORTS, {"DML_TEACH_CHECK_SEED": "7"})
    yield made
    made.restore()


def test_a_test_that_comes_to_its_end_is_proved(guarded, published):
    guarded.test("assert f() == 1", "assert f() == 1", ["f"], {"f": lambda: 1}, "proof")
    assert published == [{guard.PROOF: {"passed": "proof"}}]


@pytest.mark.parametrize(
    ("seen", "hidden", "says"),
    [
        ("assert f() == 2, 'one is not two'", "", "one is not two"),
        ("assert f() == 2", "", "not true"),
        ("f(3)", "", "TypeError"),
        ("g()", "", "NameError"),
        ("assert f() == 1", "assert f() == 3, 'nor three'", "a hidden test: nor three"),
        ("assert f() == 1", "x = 5\nassert f() == x", "a hidden test: not true"),
        ("raise SystemExit(0)", "", "SystemExit"),
        ("raise KeyboardInterrupt", "", "took too long and was stopped"),
        ("h()", "", "h is not defined"),
    ],
)
def test_a_test_that_fails_says_why_and_proves_nothing(guarded, published, seen, hidden, says):
    with pytest.raises(NotPassed) as caught:
        guarded.test(seen, hidden, ["f", "h"], {"f": lambda: 1}, "proof")
    assert says in str(caught.value)
    assert "x = 5" not in str(caught.value)
    assert published == []


def test_a_check_that_says_no_fails(guarded):
    with pytest.raises(NotPassed, match="did not accept it"):
        guarded.test("f()", "", ["f"], {"f": lambda: Result(False, "no")}, "proof")
    guarded.test("f()", "", ["f"], {"f": lambda: Result(True, "yes")}, "proof")


def test_names_that_the_student_bound_mean_nothing_to_a_test(guarded):
    names = {"f": lambda: 1, "check": None, "math": None, "all": lambda _: True, "abs": lambda _: 0, "given": 4}
    guarded.test("assert math.sqrt(given) == 2\nassert check.progress", "assert not all([0])", ["f"], names, "proof")
    with pytest.raises(NotPassed):
        guarded.test("assert abs(f()) == 0", "", ["f"], names, "proof")


def test_what_the_open_test_binds_is_there_afterwards_and_what_the_hidden_one_binds_is_not(guarded):
    names = {"f": lambda: 1}
    guarded.test("once = f()", "twice = f()", ["f"], names, "proof")
    assert names["once"] == 1
    assert "twice" not in names


def test_the_seed_of_the_grading_stands_whatever_the_student_set(guarded, monkeypatch):
    monkeypatch.setenv("DML_TEACH_CHECK_SEED", "0")
    guarded.test("import os\nassert os.environ['DML_TEACH_CHECK_SEED'] == '7'", "", [], {}, "proof")


def test_a_function_that_replaces_something_while_it_is_tested_fails(guarded, published):
    with pytest.raises(NotPassed, match=r"math\.sqrt was replaced while it was tested"):
        guarded.test("f()", "", ["f"], {"f": lambda: setattr(math, "sqrt", abs)}, "proof")
    assert published == []
    assert math.sqrt(4) == 2


def replace(owner, name, value=lambda *a, **k: True):
    def act():
        setattr(owner, name, value)

    return act


def empty_examinations():
    for task in registry.by_name().values():
        task.__dict__["examinations"] = []


def other_code():
    registry._wrapped.__code__ = (lambda text: "Passed").__code__


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (replace(math, "sqrt"), "math.sqrt"),
        (replace(builtins, "all"), "builtins.all"),
        (replace(registry, "check", None), "dml_teach.classroom.registry.check"),
        (replace(registry, "all"), "dml_teach.classroom.registry.all"),
        (replace(registry.TaskCheck, "__call__"), "TaskCheck.__call__"),
        (replace(registry.Result, "__bool__"), "Result.__bool__"),
        (replace(registry.Result, "__getattribute__", object.__getattribute__), "Result.__getattribute__"),
        (replace(check, "mended_step"), "check.mended_step"),
        (empty_examinations, "examinations"),
        (other_code, "_wrapped.__code__"),
    ],
    ids=["math", "builtin", "check", "hidden builtin", "call", "bool", "new method", "entry", "examinations", "code"],
)
def test_what_was_replaced_is_put_back_and_named(guarded, published, act, named):
    act()
    guarded.test("assert True", "", [], {}, "proof")
    told = published[0][guard.PROOF].get("restored", [])
    assert any(named in one for one in told)
    published.clear()
    guarded.test("assert True", "", [], {}, "proof")
    assert published == [{guard.PROOF: {"passed": "proof"}}]
