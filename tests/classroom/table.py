"""The table of answers: solutions/answers/*.py fill it, since right answers belong where solutions are kept."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


class Answer(NamedTuple):
    """A function that somebody may hand in: for which task, what the check must say to it, nothing if it is right."""

    task: str
    function: Callable[..., Any]
    says: str
    foreseen: bool


ANSWERS: list[Answer] = []


def right(task):
    """The function below is a right answer, in another style than the solution."""
    return lambda function: ANSWERS.append(Answer(task, function, "", True)) or function


def wrong(task, says):
    """The function below makes a typical mistake; the check's message must contain `says`."""
    return lambda function: ANSWERS.append(Answer(task, function, says, True)) or function


def unforeseen(task, says):
    """Like `wrong`, but invented after the check was written, to see whether it is refused for the right reason."""
    return lambda function: ANSWERS.append(Answer(task, function, says, False)) or function


def answers() -> list[Answer]:
    """All of them; none without the solutions."""
    if not ANSWERS:
        for path in sorted(SOLUTIONS.glob("answers/ch*.py")):
            spec = importlib.util.spec_from_file_location(f"answers_{path.stem}", path)
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return ANSWERS


def exact(task: str) -> Callable[..., Any]:
    """A right answer to a task, for answers that spoil it."""
    return next(a.function for a in ANSWERS if a.task == task and not a.says)
