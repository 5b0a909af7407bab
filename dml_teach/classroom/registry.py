"""`check`: every task by name, and what happens when a learner checks a function."""

import difflib
import functools
import importlib
import os
import pkgutil
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dml_teach.classroom import progress, tasks

if TYPE_CHECKING:
    from dml_teach.classroom.running import Outcome
    from dml_teach.classroom.task import Task

WIDTH = 88
SEED = "DML_TEACH_CHECK_SEED"


class Result:
    """What a check found: `passed`, and the `message` that was printed. True if passed."""

    def __init__(self, passed: bool, message: str) -> None:
        self.passed = passed
        self.message = message

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"<{'passed' if self.passed else 'not passed'}>"

    def _ipython_display_(self) -> None:
        """Nothing: the message has been printed."""


class TaskCheck:
    """The check of one task: call it with your function, or ask for a hint."""

    def __init__(self, task: "Task") -> None:
        self._task = task
        self.__doc__ = f"Check your {task.name}({', '.join(task.arguments)})."

    def __call__(self, function: Callable[..., Any], *, seed: int | None = None) -> Result:
        """Run the function on several cases and say in words what was found.

        Args:
            function: yours.
            seed: of the random cases; if not given, that of DML_TEACH_CHECK_SEED, or 0.
        """
        chosen = int(os.environ.get(SEED) or 0) if seed is None else seed
        result, written, printed = self._judged(function, chosen)
        if written:
            progress.record(self._task.name, result.passed)
        if printed:
            print(printed)
        print(result.message)
        return result

    def hint(self, step: int = 1) -> None:
        """Print a hint: 1 says where to look, 2 what to think of, 3 what is left to write down."""
        if step not in (1, 2, 3):
            print("There are hints 1, 2 and 3.")
        else:
            print(_wrapped(f"Hint {step} of 3. {self._task.hints[step - 1]}"))

    def __repr__(self) -> str:
        return f"<check of {self._task.name}>"

    def _judged(self, function: Any, seed: int) -> tuple[Result, bool, str]:
        """The result, whether the function is written at all, and what it printed."""
        from dml_teach.classroom import library
        from dml_teach.classroom.running import bounded, no_way_out, undisturbed
        from dml_teach.classroom.task import Unwritten

        name = self._task.name
        if not callable(function):
            text = f"Hand over the function itself: check.{name}({name}), without calling it."
            return Result(False, _wrapped(_no(name, text))), True, ""
        if (found := library.used(function, self._task.library)) is not None:
            return Result(False, _wrapped(_no(name, library.told(found)))), True, ""
        if self._task.prepare:
            self._task.prepare()
        with undisturbed(), no_way_out():
            outcome = bounded(functools.partial(_examine, self._task, function, seed))
        if isinstance(outcome.error, Unwritten):
            text = (
                f"{name} is not written yet: it still raises NotImplementedError. check.{name}.hint(1) helps to begin."
            )
            return Result(False, _wrapped(text)), False, ""
        if outcome.error is None:
            text = f"Passed: {name}. Right in all {outcome.value} cases, the special ones too."
            return Result(True, _wrapped(text)), True, _few(outcome.printed)
        return Result(False, _wrapped(_no(name, _reason(outcome)))), True, _few(outcome.printed)


class Checks:
    """All checks by the names of their tasks: `check.NAME(function)`, `check.NAME.hint(1)`, `check.progress()`."""

    def __getattr__(self, name: str) -> TaskCheck:
        known = by_name()
        if name in known:
            return TaskCheck(known[name])
        nearest = [] if name.startswith("_") else difflib.get_close_matches(name, known, n=1)
        raise AttributeError(f"there is no task '{name}'" + (f"; did you mean '{nearest[0]}'?" if nearest else ""))

    def __dir__(self) -> list[str]:
        return sorted([*by_name(), "progress"])

    def progress(self) -> None:
        """Print which tasks have been passed so far."""
        by_exercise: dict[str, list[str]] = {}
        for task in by_name().values():
            by_exercise.setdefault(task.exercise, []).append(task.name)
        print(progress.table(by_exercise))


check = Checks()


@functools.cache
def by_name() -> dict[str, "Task"]:
    """Every task, in the order of the exercises."""
    names = sorted(module.name for module in pkgutil.iter_modules(tasks.__path__) if module.name.startswith("ch"))
    modules = [importlib.import_module(f"{tasks.__name__}.{name}") for name in names]
    return {task.name: task for module in modules for task in module.TASKS}


def _examine(task: "Task", function: Any, seed: int) -> int:
    """Run all examinations; the number of cases."""
    import numpy as np
    import torch

    from dml_teach.classroom import library
    from dml_teach.classroom.calling import Caller

    torch.set_num_threads(1)  # small cases: a second thread costs more than it brings
    caller = Caller(function, task.name, task.arguments)
    with library.closed(task.library):
        return sum(examine(caller, np.random.default_rng([seed, i])) for i, examine in enumerate(task.examinations))


def _reason(outcome: "Outcome") -> str:
    from dml_teach.classroom import running
    from dml_teach.classroom.task import Refused

    error = outcome.error
    if outcome.left_behind:
        return "It does not come to an end and can not be stopped. Restart the kernel, then look at your loops."
    if isinstance(error, running.TooLong):
        return "It takes too long and was stopped. Is there a loop that never ends, or one over far too much?"
    if isinstance(error, running.TooLarge):
        return "It fills the memory and was stopped. What grows in your loop, or which shape is larger than you think?"
    if isinstance(error, running.TooMuchPrinted):
        return (
            "It prints far too much and was stopped. One print() in the outermost loop is enough to see what goes on."
        )
    if isinstance(error, MemoryError):
        return "It asks for more memory than there is. Which shape is larger than you think?"
    if isinstance(error, Refused):
        return str(error)
    return f"The check can not read what it returns ({type(error).__name__}: {str(error)[:200]})."


def _no(name: str, reason: str) -> str:
    return f"Not yet: {name}. {reason}"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.fill(line, WIDTH, break_long_words=False) for line in text.splitlines())


def _few(printed: str, lines: int = 8) -> str:
    """The first lines of what a function printed."""
    kept = [line[:200] for line in printed.splitlines()]
    if not kept:
        return ""
    return "\n".join(["(It printed:)", *kept[:lines], *(["…"] if len(kept) > lines else [])])
