"""Does a submission do the work, or does the library do it for them?

Looked at twice: which names the function and its helpers use, and, while the check runs, whether the library's
function is called at all, under whatever name. For that its code is exchanged for one that refuses.
"""

import contextlib
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any

from dml_teach.classroom.calling import NOT_THEIRS
from dml_teach.classroom.task import Refused

DEEP = 50  # functions looked into
CHECKER = "classroom"


def told(name: str) -> str:
    """What one says."""
    if name == CHECKER:
        return "It asks the checks for the answer. Write it from the formula; hint(1) to hint(3) go step by step."
    return (
        f"It leaves the work to the library: dml_teach's `{name}` is what this task asks you to write. Write it from "
        f"the "
        f"formula; afterwards compare it with the library's, that is a good test."
    )


_called: list[str] = []


def refuse() -> None:
    """What a function of the library does while it is under test."""
    _called.append(sys._getframe(1).f_code.co_name)
    raise Refused(told(_called[-1]))


@contextlib.contextmanager
def closed(names: Sequence[str]) -> Iterator[None]:
    """Within, these functions of the library ("losses.mimicry") refuse to work, under whatever name they are called."""
    functions = [innermost(find(name)) for name in names]
    before = [(function, function.__code__) for function in functions]
    _called.clear()
    try:
        for function, code in before:
            function.__code__ = _refusing(code)
        yield
    finally:
        for function, code in before:
            function.__code__ = code
        if _called:  # even if the refusal was caught
            raise Refused(told(_called[0]))


def used(function: Any, names: Sequence[str]) -> str | None:
    """The first of these functions of the library that a function, or a helper that it uses, speaks of."""
    wanted = {id(find(name)): name.rpartition(".")[2] for name in names}
    wanted |= {id(innermost(find(name))): name.rpartition(".")[2] for name in names}
    waiting, seen = [function], set[int]()
    if _of_the_classroom(function):
        return CHECKER
    while waiting and len(seen) < DEEP:
        now = waiting.pop()
        now = now.func if isinstance(now, functools.partial) else now
        if id(now) in wanted:
            return wanted[id(now)]
        now = inspect.unwrap(now) if callable(now) else now
        if not isinstance(now, FunctionType) or id(now) in seen or now.__code__.co_filename.startswith(NOT_THEIRS):
            continue
        seen.add(id(now))
        for value in _spoken_of(now):
            if id(value) in wanted:
                return wanted[id(value)]
            if _of_the_classroom(value):
                return CHECKER
            waiting.append(value)
    return None


def _spoken_of(function: FunctionType) -> Iterator[Any]:
    """Every object that a function's names lead to: globals, what it closes over, attributes of the house's modules."""
    names = list(dict.fromkeys(_names(function.__code__)))
    held = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    held += list(function.__defaults__ or ()) + list((function.__kwdefaults__ or {}).values())
    held += [function.__globals__[name] for name in names if name in function.__globals__]
    held += [sys.modules[name] for name in names if name in sys.modules and name.startswith("dml_teach")]
    for value in held:
        yield value
        home = getattr(value, "__name__", "") if inspect.ismodule(value) else getattr(value, "__module__", "")
        if str(home).startswith("dml_teach"):
            yield from _attributes(value, names)


def _attributes(value: Any, names: Sequence[str], depth: int = 2) -> Iterator[Any]:
    for name in names:
        found = getattr(value, name, None)
        if found is not None:
            yield found
            if depth and (inspect.ismodule(found) or inspect.isclass(found)):
                yield from _attributes(found, names, depth - 1)


def _of_the_classroom(value: Any) -> bool:
    """Whether it is a part of the checks themselves; `check`, which notebooks hold, is none of their answers."""
    home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
    return str(home).startswith(("dml_teach.classroom.tasks", "dml_teach.classroom.slow"))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif isinstance(constant, str):
            yield constant  # getattr(losses, "mimicry")


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is not bound yet
        return False


@functools.cache
def find(name: str) -> Callable[..., Any]:
    """The function of the library with this name, "losses.mimicry" or "cohort.Cohort.step"."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(["dml_teach", *parts[:end]]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise LookupError(name)


def innermost(function: Any) -> FunctionType:
    """The function under all decorators."""
    return inspect.unwrap(function)


def _refusing(code: CodeType) -> CodeType:
    """A code that can take the place of another."""
    space: dict[str, Any] = {}
    cells = "".join(f"    {name} = None\n" for name in code.co_freevars)
    body = "from dml_teach.classroom.library import refuse; refuse()"
    inner = f"    def refusing(*args, **kwargs):\n        {', '.join(code.co_freevars) or 'None'}\n        {body}\n"
    exec(f"def make():\n{cells}{inner}    return refusing\n", space)
    made: CodeType = space["make"]().__code__
    return made.replace(co_name=code.co_name)
